//! The job that writes a segment to a file, or to two.
//!
//! # Everybody
//!
//! All leads are read once, a few pages at a time; who is in the segment, may be in the file and can be matched gets a row,
//! the others are counted by reason. After every 5 MiB, and every 20 seconds, the job is told what was uploaded and where in
//! the table it goes on: whoever takes the job up goes on from there, writes the rows since then again, and no row is lost
//! or doubled. Memory holds a few pages and one part of each file, whatever the table's size.
//!
//! # What changed
//!
//! Every export leaves a ledger (`ledger`) of what it said of whom, and the target's mark (`mark`) says which
//! export was the last. One of what changed holds its rows against that ledger while it reads the leads, and then goes
//! through the ledger for those of whom it saw nothing, or something else than before: they left the segment, withdrew
//! their consent, are known by another address, or were erased. What a removal says of them comes from the ledger.
//! Where there is no mark, everybody is new.
//!
//! # An audience
//!
//! An audience's destination knows no leads but what they are matched by, and two leads can be matched by the same. So of a
//! preset all leads are read once before, for those who withdrew, and what is told and taken back is held against what
//! the other rows have (`keys`).
//!
//! # The end
//!
//! Each step can be done twice, and one whose worker dies is done again by the next: files are put together, the manifests
//! beside them written, and then, in one transaction, the mark moved and the job done. Everything in a manifest was noted
//! before the first of these steps, so that whoever writes it writes the same. Only then there is a link.
//!
//! A worker that was thought dead and is not can do no harm: its notes are refused, small files are named by what is in
//! them, and a part that it uploads late has another tag than the one that was noted, so that S3 refuses to put the file
//! together. The export then starts anew; so it does when its upload was cleared away, as the bucket does with unfinished
//! ones after two days.
//!
//! # Layout
//!
//! * this file – the work; `state` – where it stands, as the job keeps it.

mod state;

pub(crate) use state::{Counts, State};

use crate::keys::Keys;
use crate::ledger::{Change, Fate, Index, LOST, Ledger, Line};
use crate::mark::{self, Mark};
use crate::output::{Output, PART_BYTES, Role};
use crate::scan::Scan;
use crate::{App, member, response};
use adapters::jobs::{Job, JobKind};
use adapters::ports::StoreError;
use domain::consent::ConsentStatus;
use domain::export::{Asked, Contents, Reason, Since, held_back};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::time::{DAY_MS, Day};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How often a worker notes where it stands, however little it wrote.
const BEAT: Duration = Duration::from_secs(20);
/// From which age on an unfinished upload is begun anew, in milliseconds: the bucket clears it away at twice that.
const TOO_OLD_MS: i64 = DAY_MS;

/// How work on an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The files are there.
    Whole,
    /// The worker's time is over, and where it stands is noted.
    Late,
    /// Somebody else works on it now.
    Taken,
}

/// Works on an export until its files are whole or time is over; then another worker goes on. A job that somebody else
/// has, or that is done, is left alone.
///
/// # Errors
///
/// [`StoreError`]; the job is free again then, and goes on from where it was noted last.
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
        Ok(End::Late) => {
            // Attempts are counted to give up what gets nowhere, and this one came further.
            job.attempts = 0;
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
    match attempt(app, job, &asked, deadline).await {
        Err(error) => Err(anew(app, job, error).await?),
        ended => ended,
    }
}

async fn attempt(app: &App, job: &mut Job, asked: &Asked, deadline: Instant) -> Result<End, StoreError> {
    let playbook = app.playbooks.version(asked.playbook_version).await?;
    let noted = State::read(&job.state).filter(|state| app.clock.now().since(state.started_at) < TOO_OLD_MS);
    let mut state = match noted {
        Some(mut state) => {
            for output in &mut state.outputs {
                output.fetch(app.files.as_ref()).await?;
            }
            state
        }
        None => begin(app, job, asked).await?,
    };
    let beat = Instant::now() + BEAT;
    let audience = matches!(asked.spec.contents, Contents::Audience(_));
    let keys = audience.then(Keys::default);
    let mut worker =
        Worker { app, job, asked, deadline, beat, lines: Vec::new(), beside: tails(&state), keys };
    if !worker.note(&mut state).await? {
        return Ok(End::Taken);
    }
    if state.finished_at.is_none() {
        let mut index = worker.look_back(&state).await?;
        let end = worker.read_leads(&mut state, &playbook, index.as_mut()).await?;
        if end != End::Whole {
            return Ok(end);
        }
        if let Some(index) = &mut index {
            let end = worker.write_removals(&mut state, index).await?;
            if end != End::Whole {
                return Ok(end);
            }
        }
        for output in &mut state.outputs {
            output.close(app.files.as_ref()).await?;
        }
        state.finished_at = Some(app.clock.now());
        if !worker.note(&mut state).await? {
            return Ok(End::Taken);
        }
    }
    finish(app, job, asked, &state).await
}

/// Forgets what was noted where it cannot be gone on with; gives the error to end with.
async fn anew(app: &App, job: &mut Job, error: StoreError) -> Result<StoreError, StoreError> {
    match &error {
        StoreError::Refused(code)
            if matches!(
                code.as_str(),
                "NoSuchUpload" | "InvalidPart" | "EntityTooSmall" | LOST | MARK_MOVED
            ) =>
        {
            app.jobs.checkpoint(job, Value::Null).await?;
            Ok(StoreError::Busy(format!("what was written is of no use ({code}); the export starts anew")))
        }
        _ => Ok(error),
    }
}

/// What an export of changes is refused with when another one of its target finished before it.
const MARK_MOVED: &str = "MarkMoved";

async fn begin(app: &App, job: &Job, asked: &Asked) -> Result<State, StoreError> {
    let (ending, now, target) = (asked.spec.format.as_str(), app.clock.now(), asked.target());
    let base = match asked.spec.since {
        Since::Nothing => None,
        Since::Last => mark::find(app, &target).await?.mark,
    };
    let roles: &[Role] = match (asked.spec.since, &asked.spec.contents) {
        (Since::Nothing, _) => &[Role::All],
        (Since::Last, Contents::Columns(_)) => &[Role::Changes],
        (Since::Last, Contents::Audience(_)) => &[Role::Add, Role::Remove],
    };
    let mut outputs = Vec::new();
    for role in roles {
        let suffix = role.suffix();
        let key = format!("exports/{}{suffix}.{ending}", job.id());
        let name = format!("{}-{}{suffix}.{ending}", asked.segment, now.day());
        outputs.push(Output::begin(app.files.as_ref(), &asked.spec, *role, key, name).await?);
    }
    Ok(State {
        started_at: now,
        finished_at: None,
        gathered: matches!(asked.spec.contents, Contents::Columns(_)),
        scan: Scan::all(),
        base,
        removed: 0,
        outputs,
        ledger: Ledger::new(&target, job.id()),
        counts: Counts::default(),
    })
}

/// Who works on an export, and what it has not brought to safety yet.
struct Worker<'a> {
    app: &'a App,
    job: &'a mut Job,
    asked: &'a Asked,
    deadline: Instant,
    /// When it notes where it stands at the latest.
    beat: Instant,
    /// The lines of the next piece of the ledger.
    lines: Vec<u8>,
    /// Where what filled no part lay when that was noted last.
    beside: Vec<String>,
    /// What the destination knows people by, of an audience.
    keys: Option<Keys>,
}

fn tails(state: &State) -> Vec<String> {
    state.outputs.iter().filter_map(|output| output.tail().cloned()).collect()
}

impl Worker<'_> {
    /// Brings what is there to safety and notes where the export stands; `false` where somebody else works on it now.
    async fn note(&mut self, state: &mut State) -> Result<bool, StoreError> {
        let files = self.app.files.as_ref();
        let beside = format!("exports/{}", self.job.id());
        for output in &mut state.outputs {
            output.save(files, &beside).await?;
        }
        state.ledger.add(files, std::mem::take(&mut self.lines)).await?;
        self.beat = Instant::now() + BEAT;
        if !self.app.jobs.checkpoint(self.job, state.write()).await? {
            return Ok(false);
        }
        let now = tails(state);
        let before = std::mem::replace(&mut self.beside, now.clone());
        tidy_up(self.app, before.into_iter().filter(|tail| !now.contains(tail))).await;
        Ok(true)
    }

    /// Tells whether it is time to note where the export stands.
    fn is_time(&self, state: &State) -> bool {
        let full = self.lines.len() >= PART_BYTES || state.outputs.iter().any(Output::is_full);
        full || Instant::now() >= self.beat || self.is_late()
    }

    fn is_late(&self) -> bool {
        Instant::now() > self.deadline
    }

    /// Makes the index of the ledger before, if there is one, with what became of the leads that were seen already; and the
    /// keys of an audience, so far.
    async fn look_back(&mut self, state: &State) -> Result<Option<Index>, StoreError> {
        let (files, spec) = (self.app.files.as_ref(), &self.asked.spec);
        let mut index = state.base.is_some().then(Index::default);
        if let (Some(index), Some(base)) = (&mut index, &state.base) {
            for n in 0..base.ledger.pieces() {
                let lines = base.ledger.read(files, n).await?;
                index.extend(spec, &lines);
                if let Some(keys) = self.keys.as_mut().filter(|_| n < state.removed) {
                    lines
                        .iter()
                        .filter(|line| matches!(line, Line::Row { .. }))
                        .for_each(|l| keys.extend(spec, l));
                }
                self.give_sign().await?;
            }
            index.sort();
        }
        if index.is_none() && self.keys.is_none() {
            return Ok(None);
        }
        for n in 0..state.ledger.pieces() {
            for line in state.ledger.read(files, n).await? {
                if let Some(index) = &mut index {
                    index.take(spec, &line);
                }
                if let Some(keys) = &mut self.keys {
                    keys.extend(spec, &line);
                }
            }
            self.give_sign().await?;
        }
        Ok(index)
    }

    /// Says, now and then, that the worker is alive.
    async fn give_sign(&mut self) -> Result<(), StoreError> {
        if Instant::now() >= self.beat {
            self.beat = Instant::now() + BEAT;
            let noted = self.job.state.clone();
            // Where somebody else has the job now, the next note says so.
            let _ours = self.app.jobs.checkpoint(self.job, noted).await?;
        }
        Ok(())
    }

    /// Writes the rows of all leads, of an audience after all were read for who withdrew.
    async fn read_leads(
        &mut self,
        state: &mut State,
        playbook: &Playbook,
        mut index: Option<&mut Index>,
    ) -> Result<End, StoreError> {
        while !state.scan.is_over() {
            let leads = state.scan.round(self.app.lists.as_ref()).await?;
            let today = self.app.clock.now().day();
            for lead in &leads {
                if state.gathered {
                    self.say(state, playbook, index.as_deref_mut(), lead, today)?;
                } else {
                    self.gather(lead);
                }
            }
            if state.scan.is_over() && !state.gathered {
                (state.gathered, state.scan) = (true, Scan::all());
            }
            if !self.is_time(state) {
                continue;
            }
            if !self.note(state).await? {
                return Ok(End::Taken);
            }
            if self.is_late() {
                return Ok(End::Late);
            }
        }
        Ok(End::Whole)
    }

    /// Remembers by what the destination would know a lead that withdrew.
    fn gather(&mut self, lead: &Lead) {
        let spec = &self.asked.spec;
        let line = self.keys.as_mut().and_then(|keys| keys.withdraw(spec, &spec.withdrawn(lead)));
        if let Some(line) = line {
            line.write(&mut self.lines);
        }
    }

    /// Writes what the export says of a lead, if it says anything.
    fn say(
        &mut self,
        state: &mut State,
        playbook: &Playbook,
        index: Option<&mut Index>,
        lead: &Lead,
        today: Day,
    ) -> Result<(), StoreError> {
        let Asked { segment, spec, .. } = self.asked;
        let row = match member(playbook, segment, lead, today) {
            Some(found) => match held_back(lead, spec.purpose) {
                None => match spec.row(lead, &found) {
                    None => Err(Reason::NothingToMatchBy),
                    Some(row) if self.keys.as_ref().is_some_and(|keys| keys.is_withdrawn(spec, &row)) => {
                        Err(Reason::WithdrewElsewhere)
                    }
                    Some(row) => Ok(row),
                },
                Some(reason) => Err(reason),
            }
            .inspect_err(|reason| *state.counts.left_out.entry(*reason).or_default() += 1),
            // Who withdrew consent did so, also where it made them leave the segment.
            None => match lead.consents.status(spec.purpose) {
                Some(ConsentStatus::Withdrawn) => Err(Reason::ConsentWithdrawn),
                _ => Err(Reason::LeftSegment),
            },
        };
        let line = match &row {
            Ok(row) => Line::of(spec, lead.id.as_str(), row),
            Err(reason) => Line::Gone { lead: lead.id.as_str().to_owned(), reason: *reason },
        };
        let change = match (index, &row) {
            (Some(index), _) => index.take(spec, &line),
            (None, Ok(_)) => Change::Added,
            (None, Err(_)) => Change::Same,
        };
        if row.is_ok() || change != Change::Same {
            line.write(&mut self.lines);
        }
        let (Ok(row), Some(output)) = (row, state.outputs.first_mut()) else { return Ok(()) };
        let new = self.keys.as_mut().is_none_or(|keys| keys.tell(spec, &row));
        let how = match change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Same => return Ok(()),
        };
        let count = if change == Change::Added { &mut state.counts.added } else { &mut state.counts.changed };
        *count += 1;
        if !new {
            return Ok(());
        }
        let before = [json!(how), Value::Null];
        output.row(spec, if output.role == Role::Changes { &before } else { &[] }, &row)
    }

    /// Writes the rows of those whom the export before had and this one has not, and of what else no longer holds.
    async fn write_removals(&mut self, state: &mut State, index: &mut Index) -> Result<End, StoreError> {
        let Some(base) = state.base.clone() else { return Ok(End::Whole) };
        while state.removed < base.ledger.pieces() {
            for line in base.ledger.read(self.app.files.as_ref(), state.removed).await? {
                if let Line::Row { lead, who, .. } = line {
                    self.take_back(state, index.fate(&lead), &who)?;
                }
            }
            state.removed += 1;
            if !self.is_time(state) {
                continue;
            }
            if !self.note(state).await? {
                return Ok(End::Taken);
            }
            if self.is_late() {
                return Ok(End::Late);
            }
        }
        Ok(End::Whole)
    }

    /// Writes what is taken back of somebody, if anything is.
    fn take_back(&mut self, state: &mut State, fate: Fate, who: &[Value]) -> Result<(), StoreError> {
        let (spec, counts) = (&self.asked.spec, &mut state.counts);
        let (reason, wanted) = match fate {
            Fate::Kept { replaced } => (Reason::Replaced, replaced),
            Fate::Gone(reason) => (reason, u8::MAX),
            Fate::Unseen => (Reason::Erased, u8::MAX),
        };
        let taken = self.keys.as_mut().map_or(wanted, |keys| keys.take_back(spec, who, wanted));
        match fate {
            Fate::Kept { .. } => counts.replaced += u64::from(taken != 0),
            Fate::Gone(_) | Fate::Unseen => counts.removed += 1,
        }
        let row = match taken {
            0 => return Ok(()),
            u8::MAX => who.to_vec(),
            some => spec.only(who, |n| some >> n & 1 == 1),
        };
        let Some(output) = state.outputs.last_mut() else { return Ok(()) };
        let before = [json!("removed"), json!(reason.as_str())];
        output.row(spec, if output.role == Role::Changes { &before } else { &[] }, &row)
    }
}

/// Puts the files together, writes their manifests, and ends the job together with moving the mark.
async fn finish(app: &App, job: &mut Job, asked: &Asked, state: &State) -> Result<End, StoreError> {
    let files = app.files.as_ref();
    let target = asked.target();
    let found = mark::find(app, &target).await?;
    let began_from = |mark: &Option<Mark>| mark.as_ref().map(|mark| mark.export.clone());
    if asked.spec.since == Since::Last && began_from(&found.mark) != began_from(&state.base) {
        return Err(StoreError::Refused(MARK_MOVED.to_owned()));
    }
    let mut shown = Vec::new();
    for output in &state.outputs {
        if let Err(error) = files.complete(&output.upload).await {
            // A worker before this one may have completed it and died before it could say so. S3 knows no such upload then,
            // and the embedded one refuses it.
            let gone = matches!(&error, StoreError::Refused(code) if code == "NoSuchUpload" || code == "AccessDenied");
            if !gone || files.size(&output.upload.key).await? != Some(output.bytes) {
                return Err(error);
            }
        }
        let manifest = response::manifest(job.id(), asked, state, output);
        let key = format!("{}.manifest.json", output.upload.key);
        let text = format!("{manifest:#}\n").into_bytes();
        files.put(&key, "application/json", &format!("{}.manifest.json", output.name), text).await?;
        shown.push(json!({ "key": output.upload.key, "manifest_key": key, "manifest": manifest }));
    }
    let mark = Mark {
        export: job.id().to_owned(),
        finished_at: state.finished_at.unwrap_or(state.started_at),
        ledger: state.ledger.clone(),
    };
    let done = json!({
        "files": shown,
        "rows": state.outputs.iter().map(|output| output.rows).sum::<u64>(),
        "left_out": response::left_out(&state.counts),
        "finished_at": mark.finished_at.to_string(),
    });
    if !app.jobs.finish_with(job, done, &[found.moved(&target, &mark)]).await? {
        // Another worker has the job, or another export moved the mark; who takes the job up finds out.
        return Err(StoreError::Busy(
            "the export could not be ended: another one ended meanwhile".to_owned(),
        ));
    }
    // The ledger before is of no use any more, and nobody's data is kept for longer than it is.
    let old = found.mark.into_iter().filter(|old| old.ledger != mark.ledger);
    tidy_up(app, old.flat_map(|old| old.ledger.keys().collect::<Vec<_>>())).await;
    Ok(End::Whole)
}

/// Removes small files that are of no use any more. What stays, the bucket's lifecycle removes.
async fn tidy_up(app: &App, keys: impl IntoIterator<Item = String>) {
    for key in keys {
        if let Err(error) = app.files.remove(&key).await {
            tracing::warn!(key, error = %error, "a file that is of no use any more stays for now");
        }
    }
}
