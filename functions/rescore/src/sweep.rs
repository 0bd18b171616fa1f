//! The sweep: every lead once, to a new playbook version.
//!
//! A worker reads one of the table's segments page by page and brings each lead that is on another version to the job's.
//! Where it stands goes back in its answer, for the state machine to call it again with, and every few seconds into the
//! job, for whoever takes the job up when the state machine ended early. A noted place says that every lead before it
//! was looked at, whoever noted it; so a worker that is late with its note costs a second look and nothing else.
//!
//! Where the version has signals that the lead's version before did not have, they are counted anew from its timeline,
//! within retention; signals that mean the same as before keep their counts.
//!
//! # When a sweep is done
//!
//! Leads that a function creates after the activation have the new version, except within the half minute in which its
//! caches may still hold the old pointer; that is over when the sweep starts. What remains are leads that failed: somebody
//! changed them too often, or the store was busy. So the end looks at *all* leads once more ([`finish`]), which costs a
//! read and no writes, and the job is done only when such a look has met every lead and none was left behind. A lead that
//! cannot be read at all is counted and logged and holds up nobody.
//!
//! # Whom it makes ready
//!
//! A laxer version makes many leads ready on one day. The sweep hands none of them off: they wait for their turn, and
//! [`crate::release`] lets the best ones go first, as many a day as their owners can answer. A sweep that an operator
//! asked for with `go-live` does the same with leads that an import of history made ready.
//!
//! A sweep to a version that is no longer the active one ends within [`BEAT`]: the newer one's sweep, which starts later
//! than that, brings its leads further, and must not find them pulled back behind it.

use crate::request::Stretch;
use crate::{AT_ONCE, App, RescoreError, Reviewed, TRIES, handle, pause, review};
use adapters::jobs::{Job, JobStatus};
use adapters::ports::{Direction, StoreError};
use async_trait::async_trait;
use domain::change::{Change, Counted, Pace, Recount};
use domain::lead::Lead;
use domain::ledger::SignalKey;
use domain::playbook::Playbook;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::Instant;

/// Into how many parts the table is divided.
pub const SEGMENTS: u32 = 8;
/// How often a worker notes where it stands and asks whether its version is still the active one.
pub const BEAT: Duration = Duration::from_secs(10);
/// How many entries of a timeline are read at a time.
const ENTRIES: usize = 500;

/// Starts a sweep's workers.
#[async_trait]
pub trait SweepStarter: Send + Sync + Debug {
    /// Starts them for a job; `attempt` tells a second start from the first.
    async fn start(&self, app: &App, job: &str, of: u32, attempt: u64) -> Result<(), StoreError>;
}

/// Starts the state machine of the template.
#[derive(Clone, Debug)]
pub struct StateMachine {
    client: aws_sdk_sfn::Client,
    arn: String,
}

impl StateMachine {
    /// Makes it.
    #[must_use]
    pub fn new(client: aws_sdk_sfn::Client, arn: String) -> Self {
        Self { client, arn }
    }
}

#[async_trait]
impl SweepStarter for StateMachine {
    async fn start(&self, _: &App, job: &str, of: u32, attempt: u64) -> Result<(), StoreError> {
        let started = self
            .client
            .start_execution()
            .state_machine_arn(&self.arn)
            // One name, one execution: who starts it twice starts it once.
            .name(format!("{job}-{attempt}"))
            .input(json!({ "job": job, "of": of }).to_string())
            .send()
            .await;
        match started {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_already_exists()) => Ok(()),
            Err(error) => {
                let code =
                    error.as_service_error().and_then(|e| e.meta().code()).unwrap_or("no answer").to_owned();
                Err(StoreError::Busy(format!("the state machine could not be started: {code}")))
            }
        }
    }
}

/// Runs the workers as tasks of this process.
#[derive(Clone, Copy, Debug)]
pub struct Tasks;

#[async_trait]
impl SweepStarter for Tasks {
    async fn start(&self, app: &App, job: &str, of: u32, _: u64) -> Result<(), StoreError> {
        let (app, job) = (app.clone(), job.to_owned());
        tokio::spawn(async move {
            if let Err(error) = whole(&app, &job, of).await {
                tracing::error!(job, error = %error, "a sweep stopped; a later tick takes it up again");
            }
        });
        Ok(())
    }
}

/// Does what the state machine does: every segment to its end, then the finish.
///
/// # Errors
///
/// [`RescoreError`]; the job is taken up again once its lease has ended.
pub async fn whole(app: &App, job: &str, of: u32) -> Result<Value, RescoreError> {
    for segment in 0..of {
        let mut cursor = Value::Null;
        loop {
            let event =
                json!({ "action": "sweep", "job": job, "segment": segment, "of": of, "cursor": cursor });
            let answer = Box::pin(handle(app, event)).await?;
            if answer.get("done") == Some(&Value::Bool(true)) {
                break;
            }
            cursor = answer.get("cursor").cloned().unwrap_or_default();
        }
    }
    loop {
        let answer = Box::pin(handle(app, json!({ "action": "sweep_finish", "job": job }))).await?;
        if answer.get("done") == Some(&Value::Bool(true)) {
            return Ok(answer);
        }
    }
}

/// Where a worker stands, and what it did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stand {
    /// Where to go on; every lead before it was looked at.
    cursor: Option<String>,
    /// Whether all was looked at.
    done: bool,
    read: u64,
    changed: u64,
    /// Leads that could not be brought along.
    failed: u64,
    /// Those of them that may be brought along later.
    busy: u64,
}

impl Stand {
    fn read(json: &Value) -> Self {
        let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
        Self {
            cursor: json.get("cursor").and_then(Value::as_str).map(str::to_owned),
            done: json.get("done") == Some(&Value::Bool(true)),
            read: number("read"),
            changed: number("changed"),
            failed: number("failed"),
            busy: number("busy"),
        }
    }

    fn write(&self) -> Value {
        json!({
            "cursor": self.cursor, "done": self.done,
            "read": self.read, "changed": self.changed, "failed": self.failed, "busy": self.busy,
        })
    }
}

/// Where a sweep stands, as its job keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Into how many segments the table was divided; a place in one division says nothing about another.
    of: u32,
    segments: BTreeMap<u32, Stand>,
    /// The second look, at all leads.
    second: Stand,
    /// About how many leads there are, for whoever watches.
    leads: Option<u64>,
}

impl Progress {
    fn read(state: &Value) -> Self {
        let of = state.get("of").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let segments = state.get("segments").and_then(Value::as_object).into_iter().flatten();
        let segments = segments.filter_map(|(key, stand)| Some((key.parse().ok()?, Stand::read(stand))));
        let second = state.get("second_look").map(Stand::read).unwrap_or_default();
        let leads = state.get("leads").and_then(Value::as_u64);
        Self { of: of.unwrap_or(0), segments: segments.collect(), second, leads }
    }

    fn write(&self) -> Value {
        let segments: Map<String, Value> =
            self.segments.iter().map(|(n, s)| (n.to_string(), s.write())).collect();
        json!({
            "of": self.of, "segments": segments, "second_look": self.second.write(), "leads": self.leads,
        })
    }

    fn segment(&self, segment: u32, of: u32) -> Option<&Stand> {
        self.segments.get(&segment).filter(|_| self.of == of)
    }

    fn set(&mut self, place: Place, stand: &Stand) {
        match place {
            Place::SecondLook => self.second = stand.clone(),
            Place::Segment { segment, of } => {
                if self.of != of {
                    self.of = of;
                    self.segments.clear();
                }
                self.segments.insert(segment, stand.clone());
            }
        }
    }
}

/// Which part of the work a worker has.
#[derive(Clone, Copy, Debug)]
enum Place {
    Segment { segment: u32, of: u32 },
    SecondLook,
}

/// Notes where a worker stands, beside what the others noted. It is a sign of life too.
async fn note(app: &App, job: &mut Job, place: Place, stand: &Stand) -> Result<(), StoreError> {
    for attempt in 0..TRIES {
        if job.status == JobStatus::Done {
            return Ok(());
        }
        let mut progress = Progress::read(&job.state);
        progress.set(place, stand);
        if progress.leads.is_none() {
            progress.leads = app.lists.about().await.ok();
        }
        if app.jobs.checkpoint(job, progress.write()).await? {
            return Ok(());
        }
        let Some(fresh) = app.jobs.get(job.id()).await? else { return Ok(()) };
        *job = fresh;
        pause(attempt).await;
    }
    // The others note all the time, so the job is alive; this worker's place goes in with the next beat.
    Ok(())
}

/// Tells whether a version is still the one that leads are to be brought to.
async fn is_active(app: &App, version: u32) -> Result<bool, StoreError> {
    Ok(app.playbooks.pointer().await?.is_some_and(|active| active.number == version))
}

/// What a sweep brings leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aim {
    version: u32,
    /// Whether leads that are ready and were never handed off wait for their turn from now on, too.
    go_live: bool,
}

impl Aim {
    /// Tells whether a lead, as the scan shows it, has nothing to gain.
    fn is_met(self, lead: &Lead) -> bool {
        let waits = lead.ready && lead.held_for.is_none();
        lead.playbook_version == self.version && !(self.go_live && waits)
    }
}

async fn find(app: &App, id: &str) -> Result<(Job, Aim), RescoreError> {
    let job = app.jobs.get(id).await?.ok_or_else(|| RescoreError::Event(format!("there is no job {id}")))?;
    let version =
        job.request.get("playbook_version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let version = version.ok_or_else(|| RescoreError::Event(format!("the job {id} is no sweep")))?;
    let go_live = job.request.get("go_live") == Some(&Value::Bool(true));
    Ok((job, Aim { version, go_live }))
}

/// How a worker's call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It looked at everything.
    Whole,
    /// Its time is over.
    Late,
    /// Another version is the active one now.
    Superseded,
}

/// Reads pages from where the worker stands and brings their leads along, until the end or until time is over.
async fn go_on(
    app: &App,
    job: &mut Job,
    aim: Aim,
    place: Place,
    stand: &mut Stand,
) -> Result<End, StoreError> {
    let (segment, of) = match place {
        Place::Segment { segment, of } => (segment, of),
        Place::SecondLook => (0, 1),
    };
    let deadline = Instant::now() + app.work_for;
    let mut beat = Instant::now() + BEAT;
    // The first page is looked at in whole, so that every call gets somewhere.
    let mut limit = None;
    if !is_active(app, aim.version).await? {
        return Ok(End::Superseded);
    }
    while !stand.done {
        let page = app.lists.scan(segment, of, stand.cursor.as_deref()).await?;
        let (mut read, mut failed, mut busy, mut late) = (0, 0, 0, false);
        let mut leads =
            stream::iter(page.items).map(|lead| one(app, lead, aim, limit)).buffer_unordered(AT_ONCE);
        while let Some(became) = leads.next().await {
            read += 1;
            match became {
                Became::Changed => stand.changed += 1,
                Became::Unchanged => {}
                Became::Failed { may_retry } => {
                    failed += 1;
                    busy += u64::from(may_retry);
                }
                Became::Late => late = true,
            }
            if Instant::now() > beat {
                beat = Instant::now() + BEAT;
                note(app, job, place, stand).await?;
                if !is_active(app, aim.version).await? {
                    return Ok(End::Superseded);
                }
            }
        }
        drop(leads);
        if late {
            // The next call reads this page again; the leads that it brought along cost nothing then.
            note(app, job, place, stand).await?;
            return Ok(End::Late);
        }
        stand.read += read;
        stand.failed += failed;
        stand.busy += busy;
        stand.done = page.next.is_none();
        stand.cursor = page.next;
        if !stand.done && Instant::now() > deadline {
            note(app, job, place, stand).await?;
            return Ok(End::Late);
        }
        limit = Some(deadline);
    }
    note(app, job, place, stand).await?;
    Ok(End::Whole)
}

/// Sweeps one stretch: page by page until its time is over.
///
/// # Errors
///
/// [`RescoreError`].
pub async fn run(app: &App, stretch: &Stretch) -> Result<Value, RescoreError> {
    let (mut job, aim) = find(app, &stretch.job).await?;
    let place = Place::Segment { segment: stretch.segment, of: stretch.of };
    let noted = Progress::read(&job.state).segment(stretch.segment, stretch.of).cloned();
    let before = noted.unwrap_or_default();
    let mut stand = before.clone();
    if stand.cursor.is_none() {
        stand.cursor = stretch.cursor.clone();
    }
    let end = match job.status {
        JobStatus::Done => End::Whole,
        _ => go_on(app, &mut job, aim, place, &mut stand).await?,
    };
    let done = end != End::Late;
    Ok(json!({
        "job": stretch.job, "segment": stretch.segment, "of": stretch.of,
        "cursor": if done { None } else { stand.cursor }, "done": done,
        "read": stand.read - before.read, "changed": stand.changed - before.changed, "failed": stand.failed - before.failed,
    }))
}

/// What became of one lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Changed,
    Unchanged,
    Failed {
        may_retry: bool,
    },
    /// No time was left for it.
    Late,
}

async fn one(app: &App, lead: Lead, aim: Aim, limit: Option<Instant>) -> Became {
    if aim.is_met(&lead) {
        return Became::Unchanged;
    }
    if limit.is_some_and(|limit| Instant::now() > limit) {
        return Became::Late;
    }
    match review(app, &lead.id, |lead| bring(app, lead, aim)).await {
        Ok(Reviewed::Changed) => Became::Changed,
        Ok(Reviewed::Unchanged | Reviewed::Gone) => Became::Unchanged,
        Err(error) => {
            tracing::error!(lead = lead.id.as_str(), error = %error, "a lead could not be swept");
            Became::Failed { may_retry: error.may_retry() }
        }
    }
}

/// Decides what bringing a lead to a version changes.
async fn bring(app: &App, lead: Lead, aim: Aim) -> Result<Option<Change>, StoreError> {
    if aim.is_met(&lead) {
        return Ok(None);
    }
    let version = aim.version;
    let pace = if aim.go_live { Pace::HoldAll } else { Pace::Hold };
    let playbook = app.playbooks.version(version).await?;
    let before = app.playbooks.version(lead.playbook_version).await?;
    let known: BTreeSet<SignalKey> = before.signals.iter().map(|signal| signal.key).collect();
    // Where a rule looks further back than any did before, days that were folded away count again.
    let folded = playbook.lookback_days > before.lookback_days && lead.ledger.is_folded();
    let mut ledger = None;
    if folded {
        ledger = refilled(app, &lead, &playbook, &BTreeSet::new()).await?;
    }
    let new = lead.activities > 0 && playbook.signals.iter().any(|signal| !known.contains(&signal.key));
    if ledger.is_none() && new {
        ledger = refilled(app, &lead, &playbook, &known).await?;
    }
    let people = app.playbooks.people(&playbook).await?;
    Ok(domain::change::review(&lead, &playbook, version, ledger, pace, &people, app.clock.now()))
}

/// Counts the signals that the lead's version does not know from its timeline; the others keep their counts. The lead
/// was read before its timeline: an entry that comes in between makes the commit fail, and all this is done again.
///
/// None where the timeline no longer holds what the ledger has counted: the counts that are known stay.
async fn refilled(
    app: &App,
    lead: &Lead,
    playbook: &Playbook,
    known: &BTreeSet<SignalKey>,
) -> Result<Option<Counted>, StoreError> {
    let mut recount = Recount::new(playbook, known, lead);
    let mut cursor = None;
    loop {
        let page = app.timeline.entries(&lead.id, Direction::Forward, ENTRIES, cursor.as_deref()).await?;
        page.items.iter().for_each(|entry| recount.take(entry));
        cursor = page.next;
        if cursor.is_none() {
            let counted = recount.finish();
            let has = |key| counted.ledger.get(key).map_or(0, |counts| counts.total);
            let asked = |key| playbook.signals.iter().any(|signal| signal.key == key);
            let complete = lead.ledger.iter().all(|(key, counts)| !asked(key) || has(key) >= counts.total);
            return Ok(complete.then_some(counted));
        }
    }
}

/// Looks once more at every lead, brings stragglers along, and ends the job. Where its time does not suffice, it says so
/// and goes on from there when it is called again.
///
/// # Errors
///
/// [`RescoreError`] where leads remain that may be brought along later; the next call looks at all leads anew.
pub async fn finish(app: &App, id: &str) -> Result<Value, RescoreError> {
    let (mut job, aim) = find(app, id).await?;
    if job.status == JobStatus::Done {
        return Ok(finished(&job));
    }
    let mut second = Progress::read(&job.state).second;
    let superseded = match go_on(app, &mut job, aim, Place::SecondLook, &mut second).await? {
        End::Late => {
            return Ok(
                json!({ "job": id, "done": false, "looked_at": second.read, "stragglers": second.changed }),
            );
        }
        End::Superseded => true,
        End::Whole => false,
    };
    if second.busy > 0 && !superseded {
        let again = Stand { changed: second.changed, ..Stand::default() };
        note(app, &mut job, Place::SecondLook, &again).await?;
        let n = second.busy;
        return Err(StoreError::Busy(format!("{n} leads could not be swept yet")).into());
    }
    if second.failed > 0 {
        tracing::error!(
            job = id,
            leads = second.failed,
            "a sweep is done but for leads that cannot be read or written"
        );
    }
    if superseded && aim.go_live {
        // What was asked for is asked of the version that came between.
        if let Some(active) = app.playbooks.pointer().await? {
            let again = adapters::jobs::go_live_again(&job, active.number, app.clock.now());
            let _is_new = app.catalog.put(&[again]).await?;
        }
    }
    let segments = Progress::read(&job.state).segments;
    let sum = |of: fn(&Stand) -> u64| segments.values().map(of).sum::<u64>();
    let state = json!({
        "read": sum(|s| s.read), "changed": sum(|s| s.changed) + second.changed,
        "looked_at": second.read, "stragglers": second.changed, "failed": second.failed, "superseded": superseded,
    });
    for attempt in 0..TRIES {
        if app.jobs.finish(&mut job, state.clone()).await? {
            return Ok(finished(&job));
        }
        // Another worker noted something meanwhile, or finished it.
        (job, _) = find(app, id).await?;
        if job.status == JobStatus::Done {
            return Ok(finished(&job));
        }
        pause(attempt).await;
    }
    Err(StoreError::Busy("the job is being changed by too many at once".to_owned()).into())
}

fn finished(job: &Job) -> Value {
    let mut answer = json!({ "job": job.id(), "done": true });
    if let (Some(answer), Some(state)) = (answer.as_object_mut(), job.state.as_object()) {
        answer.extend(state.clone());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_reads_back() {
        let stand =
            Stand { cursor: Some("c".to_owned()), done: false, read: 5, changed: 3, failed: 2, busy: 1 };
        let mut progress = Progress::default();
        progress.set(Place::Segment { segment: 3, of: 8 }, &stand);
        progress.set(Place::SecondLook, &Stand { done: true, ..Stand::default() });
        assert_eq!(Progress::read(&progress.write()), progress);
        assert_eq!(Progress::read(&Value::Null), Progress::default());
    }

    #[test]
    fn a_place_in_one_division_of_the_table_says_nothing_about_another() {
        let mut progress = Progress::default();
        progress.set(Place::Segment { segment: 1, of: 8 }, &Stand::default());
        assert!(progress.segment(1, 8).is_some());
        assert!(progress.segment(1, 4).is_none());
        progress.set(Place::Segment { segment: 1, of: 4 }, &Stand::default());
        assert!(progress.segment(1, 8).is_none());
    }
}
