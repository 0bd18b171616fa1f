//! The job that writes a segment to a file.
//!
//! One multipart upload, a part for every 5 MiB, noted after each part together with where in the table the next one
//! starts: whoever takes the job up goes on from there, and no row is lost or doubled. Memory holds one page and one
//! part, whatever the table's size.

use crate::request::{Asked, Format};
use crate::{App, member};
use adapters::jobs::Job;
use adapters::ports::{StoreError, Upload};
use domain::consent::ConsentStatus;
use domain::lead::Lead;
use domain::score::Score;
use domain::segment::harmless_cell;
use serde_json::{Map, Value, json};

/// From which size on a part is uploaded; S3 wants at least 5 MiB of each but the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Where an export stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    upload: Option<Upload>,
    /// Where the scan goes on.
    cursor: Option<String>,
    /// All parts are uploaded; what remains is to say so to S3.
    whole: bool,
    rows: u64,
    no_consent: u64,
}

impl State {
    fn read(json: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
        let upload = json.get("upload").and_then(|upload| {
            let parts = upload.get("parts")?.as_array()?;
            Some(Upload {
                key: text(upload, "key")?,
                id: text(upload, "id")?,
                parts: parts.iter().filter_map(|part| part.as_str().map(str::to_owned)).collect(),
            })
        });
        Self {
            upload,
            cursor: text(json, "cursor"),
            whole: json.get("whole") == Some(&Value::Bool(true)),
            rows: number("rows"),
            no_consent: number("no_consent"),
        }
    }

    fn write(&self) -> Value {
        json!({
            "upload": self.upload.as_ref().map(|u| json!({ "key": u.key, "id": u.id, "parts": u.parts })),
            "cursor": self.cursor,
            "whole": self.whole,
            "rows": self.rows,
            "no_consent": self.no_consent,
        })
    }
}

/// Works on an export until its file is whole. A job that somebody else has, or that is done, is left alone.
///
/// # Errors
///
/// [`StoreError`]; the job is free again then, and goes on from its last part.
pub async fn run(app: &App, id: &str) -> Result<(), StoreError> {
    let Some(mut job) = app.jobs.take(id).await? else { return Ok(()) };
    let worked = work(app, &mut job).await;
    if let Err(error) = &worked {
        tracing::warn!(job = id, error = %error, "an export stopped and will be taken up again");
        app.jobs.let_go(&mut job).await?;
    }
    worked
}

async fn work(app: &App, job: &mut Job) -> Result<(), StoreError> {
    let asked =
        Asked::from_json(&job.request).ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let playbook = app.playbooks.version(asked.playbook_version).await?;
    let mut state = State::read(&job.state);
    let mut part = Vec::new();
    let mut upload = match state.upload.take() {
        Some(upload) => upload,
        None => start(app, job, &asked).await?,
    };
    if upload.parts.is_empty() && state.cursor.is_none() {
        header(&asked, &mut part);
    }
    while !state.whole {
        let today = app.clock.now().day();
        let page = app.lists.scan(0, 1, state.cursor.as_deref()).await?;
        for lead in &page.items {
            let Some(score) = member(&playbook, &asked.segment, lead, today) else { continue };
            if lead.consents.status(asked.purpose) == Some(ConsentStatus::Confirmed) {
                row(&asked, lead, &score, &mut part)?;
                state.rows += 1;
            } else {
                state.no_consent += 1;
            }
        }
        state.cursor = page.next;
        state.whole = state.cursor.is_none();
        if part.len() >= PART_BYTES || state.whole {
            app.files.add(&mut upload, std::mem::take(&mut part)).await?;
            state.upload = Some(upload.clone());
            note(app, job, &state).await?;
        }
    }
    match app.files.complete(&upload).await {
        Ok(()) => {}
        // The worker before this one completed it and died before it could say so.
        Err(StoreError::Refused(code)) if code == "NoSuchUpload" => {}
        Err(error) => return Err(error),
    }
    let done = json!({ "key": upload.key, "rows": state.rows, "no_consent": state.no_consent });
    app.jobs.finish(job, done).await?;
    Ok(())
}

async fn start(app: &App, job: &mut Job, asked: &Asked) -> Result<Upload, StoreError> {
    let ending = asked.format.as_str();
    let key = format!("exports/{}.{ending}", job.id());
    let name = format!("{}-{}.{ending}", asked.segment, app.clock.now().day());
    let upload = app.files.start(&key, asked.format.content_type(), &name).await?;
    let state = State { upload: Some(upload.clone()), ..State::default() };
    note(app, job, &state).await?;
    Ok(upload)
}

async fn note(app: &App, job: &mut Job, state: &State) -> Result<(), StoreError> {
    if app.jobs.checkpoint(job, state.write()).await? {
        Ok(())
    } else {
        Err(StoreError::Busy("somebody else works on this export now".to_owned()))
    }
}

fn header(asked: &Asked, out: &mut Vec<u8>) {
    if asked.format == Format::Csv {
        let names: Vec<String> = asked.columns.iter().map(crate::columns::Column::name).collect();
        out.extend_from_slice(names.join(",").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn row(asked: &Asked, lead: &Lead, score: &Score, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let values = asked.columns.iter().map(|column| (column.name(), column.value(lead, score)));
    match asked.format {
        Format::JsonLines => {
            let object: Map<String, Value> = values.collect();
            out.extend_from_slice(Value::Object(object).to_string().as_bytes());
            out.push(b'\n');
        }
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
            let cells = values.map(|(_, value)| match value {
                Value::Null => String::new(),
                Value::String(text) => harmless_cell(&text).into_owned(),
                other => other.to_string(),
            });
            writer
                .write_record(cells)
                .and_then(|()| writer.flush().map_err(csv::Error::from))
                .map_err(|error| StoreError::Refused(format!("a row could not be written: {error}")))?;
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
        let state =
            State { upload: Some(upload), cursor: Some("c".to_owned()), whole: true, rows: 3, no_consent: 2 };
        assert_eq!(State::read(&state.write()), state);
        assert_eq!(State::read(&Value::Null), State::default());
    }
}
