//! The tick: the leads for which something changes now, jobs that nobody works on, and leads whose turn has come.
//!
//! What is due stands in a sparse index, so a tick costs what changes and not what exists. A lead that fails is put off
//! and reported, so that it cannot hold up the others; a shard that cannot be read holds up no other; and each tick
//! begins with another shard, so that a backlog larger than one tick's time starves none of them.
//!
//! An export that the playbook wants made becomes a job whose id is made from the export's and the day's. Whoever adds it
//! once more finds it there, so that two ticks at once, or a tick that comes twice, make one. The same holds for what gives
//! the leads of somebody who left to others.

use crate::{AT_ONCE, App, RescoreError, Reviewed, pause, release, review, sweep};
use adapters::dynamodb::keys::{DUE_SHARDS, mail_shard};
use adapters::jobs::{Job, JobKind, JobStatus, MOST_ATTEMPTS};
use adapters::ports::StoreError;
use adapters::routing::{Given, Leaving};
use domain::change::{Pace, review as review_lead};
use domain::export::Asked;
use domain::identity::LeadId;
use domain::time::{MINUTE_MS, Timestamp};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How many leads of a shard are asked for at a time.
const PAGE: usize = 100;
/// Up to how many leads of a shard are counted that no time was left for.
const MOST_COUNTED: usize = 1_000;
/// For how long a lead that failed is put off, in milliseconds.
const PUT_OFF_MS: i64 = 15 * MINUTE_MS;
/// The time between two ticks, in milliseconds.
const TICK_MS: i64 = 5 * MINUTE_MS;
/// After how long a mail that was due and not sent holds up nothing else, in milliseconds.
const UNSENT_MS: i64 = 30 * MINUTE_MS;
/// How often the index is asked again where it shows only what was handled a moment ago.
const PATIENCE: u32 = 5;

/// What a tick did with the leads that are due.
#[derive(Debug, Default)]
struct Tick {
    read: u64,
    changed: u64,
    failed: u64,
    /// At least so many were left for the next tick.
    remaining: usize,
}

/// What a tick did with jobs.
#[derive(Debug, Default)]
struct Started {
    sweeps: Vec<String>,
    resumed: Vec<String>,
    ordered: Vec<String>,
    given_up: Vec<String>,
}

/// What became of one lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Changed,
    Unchanged,
    Failed,
    /// No time was left for it.
    Late,
}

/// Takes up jobs, hands off the leads whose turn has come, then handles what is due.
///
/// # Errors
///
/// [`RescoreError`] where jobs could not be started or a shard not be read, after everything else was done; the same
/// tick may come again.
pub async fn run(app: &App) -> Result<Value, RescoreError> {
    let deadline = Instant::now() + app.work_for;
    let now = app.clock.now();
    let mut problem: Option<RescoreError> = None;
    // Jobs first: a tick that has much to do must not keep a sweep waiting.
    let mut started = Started::default();
    if let Err(error) = jobs(app, &mut started).await {
        tracing::error!(error = %error, "jobs could not be taken up");
        problem = Some(error.into());
    }
    let mut released = 0;
    // Half of the time at most: what is due must not wait for it.
    match release::run(app, Instant::now() + app.work_for / 2).await {
        Ok(n) => released = n,
        Err(error) => {
            tracing::error!(error = %error, "leads that wait for their turn could not be handed off");
            problem = Some(error.into());
        }
    }
    // What somebody leaves behind has an owner, if the wrong one: half of what is left.
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let mut moved = Vec::new();
    if let Err(error) = give_away(app, half, &mut moved).await {
        tracing::error!(error = %error, "leads of somebody who leaves could not be given away");
        problem = Some(error.into());
    }
    let mut forgotten = Vec::new();
    if let Err(error) = forget(app, half, &mut forgotten, &mut started.given_up).await {
        tracing::error!(error = %error, "what is left of erased leads could not be deleted");
        problem = Some(error.into());
    }
    let mut tick = Tick::default();
    let first = now.millis().div_euclid(TICK_MS).rem_euclid(i64::from(DUE_SHARDS));
    let first = u8::try_from(first).unwrap_or(0);
    for shard in (first..DUE_SHARDS).chain(0..first) {
        if let Err(error) = one_shard(app, shard, now, (now, deadline), &mut tick).await {
            tracing::error!(shard, error = %error, "what is due in a shard could not be read");
            problem = Some(error.into());
        }
        // Who waits for a mail for so long waits for one that nobody sends, and whatever else is due of them behind it.
        if let Err(error) =
            one_shard(app, mail_shard(shard), now.plus(-UNSENT_MS), (now, deadline), &mut tick).await
        {
            tracing::error!(shard, error = %error, "who waits for a mail in a shard could not be read");
            problem = Some(error.into());
        }
    }
    if !started.given_up.is_empty() {
        problem = Some(RescoreError::GivenUp(started.given_up.join(", ")));
    }
    match problem {
        Some(problem) => Err(problem),
        None => Ok(json!({
            "read": tick.read, "changed": tick.changed, "failed": tick.failed, "remaining": tick.remaining,
            "released": released, "given_away": moved, "forgotten": forgotten, "sweeps": started.sweeps,
            "resumed": started.resumed, "ordered": started.ordered,
        })),
    }
}

/// Goes on with what somebody who leaves has, where the one who began it ran out of time or died.
async fn give_away(app: &App, until: Instant, moved: &mut Vec<String>) -> Result<(), StoreError> {
    let mut problem = None;
    for job in app.jobs.free(JobKind::Reassign).await? {
        match app.assigner.work(&app.jobs, job.id(), until).await {
            Ok(worked) => moved.extend(worked.map(|job| job.id().to_owned())),
            Err(error) => problem = Some(error),
        }
        if Instant::now() > until {
            break;
        }
    }
    problem.map_or(Ok(()), Err)
}

/// Goes on with what is left of leads that were erased, and looks once more where it is time.
async fn forget(
    app: &App,
    until: Instant,
    forgotten: &mut Vec<String>,
    given_up: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut problem = None;
    for job in app.jobs.free(JobKind::Erase).await? {
        match app.cleaner.work(&app.jobs, job.id(), until).await {
            Ok(Some(job)) => forgotten.push(job.id().to_owned()),
            Ok(None) if job.attempts >= MOST_ATTEMPTS => {
                tracing::error!(job = job.id(), "an erasure was given up");
                given_up.push(job.id().to_owned());
            }
            Ok(None) => {}
            Err(error) => problem = Some(error),
        }
        if Instant::now() > until {
            break;
        }
    }
    problem.map_or(Ok(()), Err)
}

/// Handles what was due in a shard by `until`.
async fn one_shard(
    app: &App,
    shard: u8,
    until: Timestamp,
    (now, deadline): (Timestamp, Instant),
    tick: &mut Tick,
) -> Result<(), StoreError> {
    // Who waits for a mail stays in the index until it is sent, so that seeing nobody new is no sign of a slow index there.
    let stays = shard >= DUE_SHARDS;
    let mut seen: BTreeSet<LeadId> = BTreeSet::new();
    let (mut most, mut patience) = (PAGE, PATIENCE);
    loop {
        let late = Instant::now() > deadline;
        let due = app.lists.due(shard, until, if late { MOST_COUNTED } else { most }).await?;
        let full = due.len() >= most;
        // The index lags behind the table: what was handled a moment ago may still stand in it.
        let new: Vec<LeadId> = due.into_iter().filter(|id| seen.insert(id.clone())).collect();
        if late {
            tick.remaining += new.len();
            return Ok(());
        }
        if new.is_empty() {
            if !full || patience == 0 {
                return Ok(());
            }
            most += PAGE;
            if stays {
                continue;
            }
            patience -= 1;
            pause(PATIENCE - patience).await;
            continue;
        }
        let mut ready = stream::iter(new).map(|id| one(app, id, now, deadline)).buffer_unordered(AT_ONCE);
        let mut left = 0;
        while let Some(became) = ready.next().await {
            match became {
                Became::Changed => tick.changed += 1,
                Became::Unchanged => {}
                Became::Failed => tick.failed += 1,
                Became::Late => left += 1,
            }
            tick.read += u64::from(became != Became::Late);
        }
        tick.remaining += left;
        if left > 0 {
            return Ok(());
        }
    }
}

async fn one(app: &App, id: LeadId, now: Timestamp, deadline: Instant) -> Became {
    if Instant::now() > deadline {
        return Became::Late;
    }
    let reviewed = review(app, &id, |lead| async move {
        if lead.due_at.is_none_or(|due| due > now) {
            return Ok(None);
        }
        // What nobody gave away when it could be is given away now; where nobody has room, it is asked again later.
        if lead.to_assign.is_some() && matches!(app.assigner.to_pool(&lead.id).await?, Given::To(_)) {
            return Ok(None);
        }
        let playbook = app.playbooks.version(lead.playbook_version).await?;
        // A date makes a whole cohort ready on one day: they wait for their turn, as after a new playbook.
        let people = app.playbooks.people(&playbook).await?;
        let change = review_lead(&lead, &playbook, lead.playbook_version, None, Pace::Hold, &people, now);
        // A mail that is due is for who sends mails to put off.
        if change.is_none() && !lead.is_due_a_mail() {
            // A review gives a lead that is past its time a new one. Should it ever not, the lead must not stay due.
            app.lists.put_off(&lead.id, now, now.plus(PUT_OFF_MS)).await?;
        }
        Ok(change)
    })
    .await;
    match reviewed {
        Ok(Reviewed::Changed) => Became::Changed,
        Ok(Reviewed::Unchanged | Reviewed::Gone) => Became::Unchanged,
        Err(error) => {
            tracing::error!(lead = id.as_str(), error = %error, "a lead could not be rescored and is put off");
            if let Err(error) = app.lists.put_off(&id, now, now.plus(PUT_OFF_MS)).await {
                tracing::error!(lead = id.as_str(), error = %error, "a lead could not be put off");
            }
            Became::Failed
        }
    }
}

/// Adds the exports that the active playbook wants made now and that no tick has added yet.
async fn order(app: &App, known: &[Job]) -> Result<Vec<Job>, StoreError> {
    let Some(active) = app.playbooks.pointer().await? else { return Ok(Vec::new()) };
    let playbook = app.playbooks.version(active.number).await?;
    let now = app.clock.now();
    let mut new = Vec::new();
    for export in &playbook.exports {
        let Some(day) = export.due(&playbook.timezone, now) else { continue };
        let id = export.job(day);
        if known.iter().any(|job| job.id() == id) {
            continue;
        }
        let asked = Asked {
            segment: export.segment.as_str().to_owned(),
            playbook_version: active.number,
            spec: export.spec.clone(),
            scheduled: Some(export.id.as_str().to_owned()),
        };
        new.push(app.jobs.add(&id, JobKind::Export, &asked.to_json()).await?);
    }
    Ok(new)
}

/// Adds what gives the leads of those who left to others, once a day for as long as they have any, unless somebody asked
/// for that already.
async fn part(app: &App, known: &[Job]) -> Result<Vec<Job>, StoreError> {
    let Some(active) = app.playbooks.pointer().await? else { return Ok(Vec::new()) };
    let playbook = app.playbooks.version(active.number).await?;
    let (people, now) = (app.playbooks.people(&playbook).await?, app.clock.now());
    let mut new = Vec::new();
    for from in people.gone(now) {
        let leaving = Leaving { from: from.clone(), to: None };
        let id = format!("reassign-{from}-{}", now.day());
        let asked = |job: &Job| {
            let open = matches!(job.status, JobStatus::Waiting | JobStatus::Running);
            job.id() == id || (open && leaving.is_by(job))
        };
        if known.iter().any(asked) || app.lists.inbox(from, 1, None).await?.items.is_empty() {
            continue;
        }
        new.push(app.jobs.add(&id, JobKind::Reassign, &leaving.to_json()).await?);
    }
    Ok(new)
}

/// Orders the exports that are due and what those who left have, starts the sweeps that wait and those whose workers died, and other jobs that wait or
/// whose workers died.
async fn jobs(app: &App, started: &mut Started) -> Result<(), StoreError> {
    let mut problem = None;
    let now = app.clock.now();
    let mut all = app.jobs.list().await?;
    // What cannot be ordered now is ordered by the next tick, and holds up nothing else.
    for ordered in [order(app, &all).await, part(app, &all).await] {
        match ordered {
            Ok(new) => {
                started.ordered.extend(new.iter().map(|job| job.id().to_owned()));
                all.extend(new);
            }
            Err(error) => problem = Some(error),
        }
    }
    let free: Vec<Job> = all.into_iter().filter(|job| job.is_free(now)).collect();
    for job in free.iter().filter(|job| job.kind == JobKind::Sweep) {
        let Some(mut taken) = app.jobs.take(job.id()).await? else {
            if job.attempts >= MOST_ATTEMPTS {
                tracing::error!(job = job.id(), "a sweep was given up");
                started.given_up.push(job.id().to_owned());
            }
            continue;
        };
        match app.starter.start(app, taken.id(), sweep::SEGMENTS, taken.attempts).await {
            Ok(()) => started.sweeps.push(taken.id().to_owned()),
            Err(error) => {
                // What never began was no attempt; and the next one has the same name, should it have begun after all.
                taken.attempts = taken.attempts.saturating_sub(1);
                app.jobs.let_go(&mut taken).await?;
                problem = Some(error);
            }
        }
    }
    for (kind, starter) in &app.resumers {
        for job in free.iter().filter(|job| job.kind == *kind) {
            match starter.start(job.id()).await {
                Ok(()) => started.resumed.push(job.id().to_owned()),
                Err(error) => problem = Some(error),
            }
        }
    }
    problem.map_or(Ok(()), Err)
}
