//! The job that writes a segment to a file.
//!
//! One multipart upload, a part for every 5 MiB. After each part the job is told the part and where in the table the
//! next one begins: whoever takes the job up goes on from there, writes the rows since then again, and no row is lost or
//! doubled. Memory holds a few pages and one part, whatever the table's size.
//!
//! A worker that was thought dead and is not can do no harm: its notes are refused, and a part that it uploads late has
//! another tag than the one that was noted, so that S3 refuses to put the file together. The export then starts anew; so
//! it does when its upload was cleared away, as the bucket does with unfinished ones after two days.

use crate::columns::Column;
use crate::request::{Asked, Format};
use crate::scan::Scan;
use crate::{App, member};
use adapters::jobs::{Job, JobKind};
use adapters::ports::{StoreError, Upload};
use domain::consent::ConsentStatus;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::score::Score;
use domain::segment::harmless_cell;
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// From which size on a part is uploaded; S3 wants at least 5 MiB of each but the last.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// How often a worker gives a sign of life between parts.
const BEAT: Duration = Duration::from_secs(20);
/// From which age on an unfinished upload is begun anew, in milliseconds: the bucket clears it away at twice that.
const TOO_OLD_MS: i64 = DAY_MS;

/// Where an export stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    upload: Upload,
    started_at: Timestamp,
    /// Where the next part begins; all parts are uploaded where the scan is over.
    scan: Scan,
    rows: u64,
    no_consent: u64,
}

impl State {
    /// Reads what was noted; `None` where nothing was.
    fn read(json: &Value) -> Option<Self> {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| json.get(key).and_then(Value::as_u64);
        let upload = json.get("upload")?;
        let parts = upload.get("parts")?.as_array()?.iter().map(|part| part.as_str().map(str::to_owned));
        Some(Self {
            upload: Upload {
                key: text(upload, "key")?,
                id: text(upload, "id")?,
                parts: parts.collect::<Option<_>>()?,
            },
            started_at: Timestamp::parse(&text(json, "started_at")?)?,
            scan: Scan::from_json(json.get("scan")?)?,
            rows: number("rows")?,
            no_consent: number("no_consent")?,
        })
    }

    fn write(&self) -> Value {
        json!({
            "upload": { "key": self.upload.key, "id": self.upload.id, "parts": self.upload.parts },
            "started_at": self.started_at.to_string(),
            "scan": self.scan.to_json(),
            "rows": self.rows,
            "no_consent": self.no_consent,
        })
    }
}

/// How work on an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The file is there.
    Whole,
    /// The worker's time is over; whether it uploaded a part.
    Late { uploaded: bool },
    /// Somebody else works on it now.
    Taken,
}

/// Works on an export until its file is whole or time is over; then another worker goes on. A job that somebody else
/// has, or that is done, is left alone.
///
/// # Errors
///
/// [`StoreError`]; the job is free again then, and goes on from its last part.
pub async fn run(app: &App, id: &str) -> Result<(), StoreError> {
    if app.jobs.get(id).await?.is_none_or(|job| job.kind != JobKind::Export) {
        tracing::warn!(job = id, "there is no such export");
        return Ok(());
    }
    let Some(mut job) = app.jobs.take(id).await? else { return Ok(()) };
    let worked = work(app, &mut job).await;
    match worked {
        Ok(End::Whole) => Ok(()),
        Ok(End::Taken) => {
            tracing::info!(job = id, "somebody else works on the export now");
            Ok(())
        }
        Ok(End::Late { uploaded }) => {
            if uploaded {
                // Attempts are counted to give up what gets nowhere.
                job.attempts = 0;
            }
            app.jobs.let_go(&mut job).await?;
            app.work_on(id).await;
            Ok(())
        }
        Err(error) => {
            tracing::warn!(job = id, error = %error, "an export stopped and will be taken up again");
            if let Err(error) = app.jobs.let_go(&mut job).await {
                tracing::warn!(job = id, error = %error, "it is free only when its lease ends");
            }
            Err(error)
        }
    }
}

async fn work(app: &App, job: &mut Job) -> Result<End, StoreError> {
    let deadline = Instant::now() + app.work_for;
    let asked =
        Asked::from_json(&job.request).ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let playbook = app.playbooks.version(asked.playbook_version).await?;
    let noted = State::read(&job.state).filter(|state| app.clock.now().since(state.started_at) < TOO_OLD_MS);
    let mut state = match noted {
        Some(state) => state,
        None => {
            let state = begin(app, job, &asked).await?;
            if !app.jobs.checkpoint(job, state.write()).await? {
                return Ok(End::Taken);
            }
            state
        }
    };
    let uploaded = state.upload.parts.len();
    if !state.scan.is_over() {
        match fill(app, job, &asked, &playbook, &mut state, deadline).await {
            Ok(End::Late { .. }) => return Ok(End::Late { uploaded: state.upload.parts.len() > uploaded }),
            Ok(End::Taken) => return Ok(End::Taken),
            Ok(End::Whole) => {}
            Err(error) => return Err(anew(app, job, error).await?),
        }
    }
    match app.files.complete(&state.upload).await {
        Ok(()) => {}
        // A worker before this one completed it and died before it could say so.
        Err(StoreError::Refused(code)) if code == "NoSuchUpload" => {}
        Err(error) => return Err(anew(app, job, error).await?),
    }
    let done = json!({ "key": state.upload.key, "rows": state.rows, "no_consent": state.no_consent });
    Ok(if app.jobs.finish(job, done).await? { End::Whole } else { End::Taken })
}

/// Forgets what was noted where the upload cannot be mended; gives the error to end with.
async fn anew(app: &App, job: &mut Job, error: StoreError) -> Result<StoreError, StoreError> {
    match &error {
        StoreError::Refused(code)
            if matches!(code.as_str(), "NoSuchUpload" | "InvalidPart" | "EntityTooSmall") =>
        {
            app.jobs.checkpoint(job, Value::Null).await?;
            Ok(StoreError::Busy(format!("the upload is lost ({code}); the export starts anew")))
        }
        _ => Ok(error),
    }
}

async fn begin(app: &App, job: &Job, asked: &Asked) -> Result<State, StoreError> {
    let (ending, now) = (asked.format.as_str(), app.clock.now());
    let key = format!("exports/{}.{ending}", job.id());
    let name = format!("{}-{}.{ending}", asked.segment, now.day());
    let upload = app.files.start(&key, asked.format.content_type(), &name).await?;
    Ok(State { upload, started_at: now, scan: Scan::all(), rows: 0, no_consent: 0 })
}

/// Uploads parts until the scan is over.
async fn fill(
    app: &App,
    job: &mut Job,
    asked: &Asked,
    playbook: &Playbook,
    state: &mut State,
    deadline: Instant,
) -> Result<End, StoreError> {
    let mut noted = state.write();
    let mut beat = Instant::now() + BEAT;
    let mut part = Vec::new();
    if state.upload.parts.is_empty() {
        header(asked, &mut part)?;
    }
    while !state.scan.is_over() {
        let leads = state.scan.round(app.lists.as_ref()).await?;
        let today = app.clock.now().day();
        let mut members: Vec<(&Lead, Score)> = Vec::new();
        for lead in &leads {
            let Some(score) = member(playbook, &asked.segment, lead, today) else { continue };
            if lead.consents.status(asked.purpose) == Some(ConsentStatus::Confirmed) {
                members.push((lead, score));
                state.rows += 1;
            } else {
                state.no_consent += 1;
            }
        }
        rows(asked, &members, &mut part)?;
        if part.len() >= PART_BYTES || state.scan.is_over() {
            app.files.add(&mut state.upload, std::mem::take(&mut part)).await?;
            noted = state.write();
        } else if Instant::now() < beat {
            continue;
        }
        // Between parts this says only that the worker is alive.
        beat = Instant::now() + BEAT;
        if !app.jobs.checkpoint(job, noted.clone()).await? {
            return Ok(End::Taken);
        }
        if Instant::now() > deadline && !state.scan.is_over() {
            return Ok(End::Late { uploaded: false });
        }
    }
    Ok(End::Whole)
}

fn unwritable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("a row could not be written: {error}"))
}

fn csv_into(out: &mut Vec<u8>) -> csv::Writer<&mut Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out)
}

fn header(asked: &Asked, out: &mut Vec<u8>) -> Result<(), StoreError> {
    if asked.format == Format::Csv {
        let mut writer = csv_into(out);
        writer.write_record(asked.columns.iter().map(Column::name)).map_err(unwritable)?;
        writer.flush().map_err(unwritable)?;
    }
    Ok(())
}

fn rows(asked: &Asked, members: &[(&Lead, Score)], out: &mut Vec<u8>) -> Result<(), StoreError> {
    match asked.format {
        Format::JsonLines => {
            for (lead, score) in members {
                let values = asked.columns.iter().map(|column| (column.name(), column.value(lead, score)));
                let object: Map<String, Value> = values.collect();
                serde_json::to_writer(&mut *out, &object).map_err(unwritable)?;
                out.push(b'\n');
            }
        }
        Format::Csv => {
            let mut writer = csv_into(out);
            for (lead, score) in members {
                let cells = asked.columns.iter().map(|column| match column.value(lead, score) {
                    Value::Null => String::new(),
                    Value::String(text) => harmless_cell(&text).into_owned(),
                    other => other.to_string(),
                });
                writer.write_record(cells).map_err(unwritable)?;
            }
            writer.flush().map_err(unwritable)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_reads_back() {
        let upload = Upload { key: "k".to_owned(), id: "u".to_owned(), parts: vec!["\"1\"".to_owned()] };
        let started_at = Timestamp::from_secs(1_795_348_800);
        let state = State { upload, started_at, scan: Scan::all(), rows: 3, no_consent: 2 };
        assert_eq!(State::read(&state.write()), Some(state));
        assert_eq!(State::read(&Value::Null), None);
    }
}
