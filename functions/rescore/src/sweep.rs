//! The sweep: every lead once, to a new playbook version.
//!
//! A worker's whole state is `{job, segment, of, cursor}`, so that whoever has it can go on. Leads that are on the
//! version already are left alone; a sweep for a version that is no longer the active one ends at once, since a newer
//! sweep brings its leads further. Where the version has signals that a lead's ledger does not know, they are counted
//! anew from its timeline, within retention; signals that mean the same as before keep their counts.

use crate::request::Stretch;
use crate::{App, RescoreError, Reviewed, handle, review};
use adapters::jobs::Job;
use adapters::ports::{Direction, StoreError};
use async_trait::async_trait;
use domain::change::{Change, Fact, advance, count_signals};
use domain::lead::Lead;
use domain::ledger::{Ledger, SignalKey};
use domain::playbook::Playbook;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

/// Into how many parts the table is divided.
pub const SEGMENTS: u32 = 8;
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
            Err(_) => Err(StoreError::Busy("the state machine could not be started".to_owned())),
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
                tracing::error!(job, error = %error, "a sweep stopped; the next tick takes it up again");
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
    Box::pin(handle(app, json!({ "action": "sweep_finish", "job": job }))).await
}

/// Reads the job and the version that it sweeps to; `None` where there is nothing left to do for it.
async fn target(app: &App, id: &str) -> Result<Option<(Job, u32)>, RescoreError> {
    let job = app.jobs.get(id).await?.ok_or_else(|| RescoreError::Event(format!("there is no job {id}")))?;
    let version =
        job.request.get("playbook_version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let version = version.ok_or_else(|| StoreError::Damaged(format!("job {id}")))?;
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    Ok((active == Some(version)).then_some((job, version)))
}

/// Sweeps one stretch: page by page until its time is over.
///
/// # Errors
///
/// [`RescoreError`].
pub async fn run(app: &App, stretch: &Stretch) -> Result<Value, RescoreError> {
    let mut counts = Counts::default();
    let answer = |cursor: Option<String>, done: bool, counts: &Counts| {
        json!({
            "job": stretch.job, "segment": stretch.segment, "of": stretch.of, "cursor": cursor, "done": done,
            "read": counts.read, "changed": counts.changed, "failed": counts.failed,
        })
    };
    let Some((mut job, version)) = target(app, &stretch.job).await? else {
        return Ok(answer(None, true, &counts));
    };
    let deadline = tokio::time::Instant::now() + app.work_for;
    let mut cursor = stretch.cursor.clone();
    loop {
        let page = app.lists.scan(stretch.segment, stretch.of, cursor.as_deref()).await?;
        for lead in page.items {
            one(app, lead, version, &mut counts).await;
        }
        // A sign of life; another worker's is as good.
        let state = job.state.clone();
        if !app.jobs.checkpoint(&mut job, state).await?
            && let Some(fresh) = app.jobs.get(&stretch.job).await?
        {
            job = fresh;
        }
        cursor = page.next;
        if cursor.is_none() || tokio::time::Instant::now() > deadline {
            return Ok(answer(cursor.clone(), cursor.is_none(), &counts));
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    read: u64,
    changed: u64,
    failed: u64,
}

async fn one(app: &App, lead: Lead, version: u32, counts: &mut Counts) {
    counts.read += 1;
    if lead.playbook_version == version {
        return;
    }
    match review(app, &lead.id, |lead| bring(app, lead, version)).await {
        Ok(Reviewed::Changed) => counts.changed += 1,
        Ok(Reviewed::Unchanged | Reviewed::Gone) => {}
        Err(error) => {
            counts.failed += 1;
            tracing::error!(lead = lead.id.as_str(), error = %error, "a lead could not be swept");
        }
    }
}

/// Decides what bringing a lead to a version changes.
async fn bring(app: &App, lead: Lead, version: u32) -> Result<Option<Change>, StoreError> {
    if lead.playbook_version == version {
        return Ok(None);
    }
    let playbook = app.playbooks.version(version).await?;
    let before = app.playbooks.version(lead.playbook_version).await?;
    let known: BTreeSet<SignalKey> = before.signals.iter().map(|signal| signal.key).collect();
    let refill = lead.activities > 0 && playbook.signals.iter().any(|signal| !known.contains(&signal.key));
    let ledger = if refill { Some(refilled(app, &lead, &playbook, &known).await?) } else { None };
    Ok(advance(&lead, &playbook, version, ledger, app.clock.now()))
}

/// Counts the signals that the lead's ledger does not know from its timeline; the others keep their counts.
async fn refilled(
    app: &App,
    lead: &Lead,
    playbook: &Playbook,
    known: &BTreeSet<SignalKey>,
) -> Result<Ledger, StoreError> {
    let (mut activities, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.timeline.entries(&lead.id, Direction::Forward, ENTRIES, cursor.as_deref()).await?;
        for entry in page.items {
            match entry.fact {
                Fact::Activity(activity) => activities.push((activity, entry.at)),
                Fact::Captured(capture) => {
                    activities.extend(capture.activity.map(|activity| (activity, entry.at)))
                }
                _ => {}
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let counted = count_signals(activities.iter().map(|(activity, at)| (activity, *at)), playbook);
    let mut ledger = lead.ledger.clone();
    for (key, counts) in counted.iter().filter(|(key, _)| !known.contains(key)) {
        counts.days.iter().for_each(|(day, hits)| ledger.add(key, *day, *hits));
    }
    Ok(ledger)
}

/// Looks once more at every lead, brings stragglers along, and ends the job.
///
/// # Errors
///
/// [`RescoreError`] where leads remain that could not be brought along; the job is taken up again then.
pub async fn finish(app: &App, id: &str) -> Result<Value, RescoreError> {
    let Some(mut job) = app.jobs.get(id).await? else {
        return Err(RescoreError::Event(format!("there is no job {id}")));
    };
    let mut counts = Counts::default();
    let mut whole = true;
    if let Some((_, version)) = target(app, id).await? {
        let deadline = tokio::time::Instant::now() + app.work_for.max(Duration::from_secs(1));
        let mut cursor = None;
        loop {
            let page = app.lists.scan(0, 1, cursor.as_deref()).await?;
            for lead in page.items {
                one(app, lead, version, &mut counts).await;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                whole = false;
                break;
            }
        }
    }
    if counts.failed > 0 {
        let failed = counts.failed;
        return Err(StoreError::Busy(format!(
            "{failed} leads could not be swept; the sweep is taken up again"
        ))
        .into());
    }
    let state = json!({ "stragglers": counts.changed, "looked_at": counts.read, "looked_at_all": whole });
    app.jobs.finish(&mut job, state.clone()).await?;
    Ok(json!({ "job": id, "done": true, "stragglers": counts.changed }))
}
