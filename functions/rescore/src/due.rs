//! The tick: the leads for which something changes now, and sweeps that nobody works on.
//!
//! What is due stands in a sparse index, so a tick costs what changes and not what exists. A lead that fails is put off
//! and reported, so that it cannot hold up the others.

use crate::{App, RescoreError, Reviewed, review, sweep};
use adapters::dynamodb::keys::DUE_SHARDS;
use adapters::jobs::JobKind;
use adapters::ports::StoreError;
use domain::change::advance;
use domain::identity::LeadId;
use domain::time::{MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many leads of a shard are asked for at a time.
const PAGE: usize = 100;
/// For how long a lead that failed is put off, in milliseconds.
const PUT_OFF_MS: i64 = 15 * MINUTE_MS;

/// What a tick did.
#[derive(Debug, Default)]
struct Done {
    read: u64,
    changed: u64,
    failed: u64,
    more: bool,
}

/// Handles what is due, then takes up sweeps.
///
/// # Errors
///
/// [`RescoreError`] where the index cannot be read.
pub async fn run(app: &App) -> Result<Value, RescoreError> {
    let deadline = tokio::time::Instant::now() + app.work_for;
    let now = app.clock.now();
    let mut done = Done::default();
    // Jobs first: a tick that has much to do must not keep a sweep waiting.
    let sweeps = sweeps(app).await?;
    for shard in 0..DUE_SHARDS {
        let mut seen: BTreeSet<LeadId> = BTreeSet::new();
        loop {
            if tokio::time::Instant::now() > deadline {
                done.more = true;
                break;
            }
            let due = app.lists.due(shard, now, PAGE).await?;
            // The index lags behind the table: what was handled a moment ago may still stand in it.
            let new: Vec<LeadId> = due.into_iter().filter(|id| seen.insert(id.clone())).collect();
            if new.is_empty() {
                break;
            }
            for id in new {
                one(app, &id, now, &mut done).await;
            }
        }
    }
    Ok(
        json!({ "read": done.read, "changed": done.changed, "failed": done.failed, "more": done.more, "sweeps": sweeps }),
    )
}

async fn one(app: &App, id: &LeadId, now: Timestamp, done: &mut Done) {
    done.read += 1;
    let reviewed = review(app, id, |lead| async move {
        if lead.due_at.is_none_or(|due| due > now) {
            return Ok(None);
        }
        let playbook = app.playbooks.version(lead.playbook_version).await?;
        Ok(advance(&lead, &playbook, lead.playbook_version, None, now))
    })
    .await;
    match reviewed {
        Ok(Reviewed::Changed) => done.changed += 1,
        Ok(Reviewed::Unchanged | Reviewed::Gone) => {}
        Err(error) => {
            done.failed += 1;
            tracing::error!(lead = id.as_str(), error = %error, "a lead could not be rescored and is put off");
            if let Err(error) = app.lists.put_off(id, now, now.plus(PUT_OFF_MS)).await {
                tracing::error!(lead = id.as_str(), error = %error, "a lead could not be put off");
            }
        }
    }
}

/// Starts the sweeps that wait, and those whose workers died; gives their jobs.
async fn sweeps(app: &App) -> Result<Vec<String>, StoreError> {
    let mut started = Vec::new();
    for job in app.jobs.free(JobKind::Sweep).await? {
        let Some(job) = app.jobs.take(job.id()).await? else { continue };
        app.starter.start(app, job.id(), sweep::SEGMENTS, job.attempts).await?;
        started.push(job.id().to_owned());
    }
    Ok(started)
}
