//! The messages of the queue: events about leads.
//!
//! **An event is a nudge.** What it says is not looked at but for the lead that it is about: the lead itself tells who has
//! it and by which fact, and the claim on that fact whether they were told. So events may come late, twice, in any order
//! and of any kind, and whoever no longer has the lead is not written to.
//!
//! **A message leaves the queue** when its mail is dealt with or it stands among the dead letters. While the mail server
//! takes nothing it waits, hidden, for the times that [`domain::webhook::wait_ms`] says, for a day.

use crate::once::Sent;
use crate::{App, hand_off};
use adapters::ports::StoreError;
use domain::identity::LeadId;
use domain::time::{SECOND_MS, Timestamp};
use domain::webhook::wait_ms;
use futures::future::join_all;
use serde_json::{Value, json};

/// How long a message waits that could not be set aside, in milliseconds.
const STUCK_MS: i64 = 60 * SECOND_MS;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It leaves the queue.
    Done,
    /// It waits, in milliseconds.
    Again(i64),
}

/// Works on the messages of a batch, and names those that stay in the queue.
pub async fn handle(app: &App, batch: &Value) -> Value {
    let records = batch.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let stays = join_all(records.iter().map(|record| async move {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        match one(app, record).await {
            Next::Done => None,
            Next::Again(wait_ms) => {
                let seconds = u32::try_from((wait_ms + SECOND_MS - 1) / SECOND_MS).unwrap_or(1);
                if let Err(error) = app.holder.hold(text("/receiptHandle"), seconds).await {
                    // It comes again when the queue's own time is over.
                    tracing::warn!(error = %error, "a message cannot be held");
                }
                Some(text("/messageId").to_owned())
            }
        }
    }))
    .await;
    let failures: Vec<Value> =
        stays.into_iter().flatten().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}

async fn one(app: &App, record: &Value) -> Next {
    let body = record.get("body").and_then(Value::as_str).unwrap_or_default();
    let Some(lead) = lead(body) else {
        tracing::error!("a message names no lead and is set aside");
        return set_aside(app, body).await;
    };
    let now = app.clock.now();
    let told = hand_off::tell(app, &lead).await;
    let waited = |tries: u32, for_ms: i64| wait_ms(tries, for_ms, None, (app.chance)());
    let wait = match told {
        Ok(Sent::Now | Sent::Over) => return Next::Done,
        Ok(Sent::Elsewhere(until)) => return Next::Again(until.since(now).max(SECOND_MS)),
        Ok(Sent::NotNow) => waited(tries(record), now.since(sent_at(record, now))),
        Err(error) => {
            tracing::warn!(lead = lead.as_str(), error = %error, "nobody could be told of a lead");
            // What is damaged stays so; somebody has to look.
            if error.may_retry() { waited(tries(record), now.since(sent_at(record, now))) } else { None }
        }
    };
    match wait {
        Some(wait_ms) => Next::Again(wait_ms),
        None => set_aside(app, body).await,
    }
}

/// Reads which lead an event is about, as EventBridge wraps it.
fn lead(body: &str) -> Option<LeadId> {
    let event: Value = serde_json::from_str(body).ok()?;
    LeadId::parse(event.pointer("/detail/subject")?.as_str()?).ok()
}

/// How often a message was handed over, this time included.
fn tries(record: &Value) -> u32 {
    let tries = record.pointer("/attributes/ApproximateReceiveCount").and_then(Value::as_str);
    tries.and_then(|tries| tries.parse().ok()).unwrap_or(1)
}

/// When a message was put into the queue.
fn sent_at(record: &Value, now: Timestamp) -> Timestamp {
    let at = record.pointer("/attributes/SentTimestamp").and_then(Value::as_str);
    at.and_then(|at| at.parse().ok()).map_or(now, Timestamp::from_millis)
}

/// Puts a message among the dead letters; it stays in the queue until that is done.
async fn set_aside(app: &App, body: &str) -> Next {
    match app.dead_letters.send(&[body.to_owned()]).await {
        Ok(refused) if refused.is_empty() => Next::Done,
        answer => {
            let error: Option<StoreError> = answer.err();
            tracing::warn!(error = error.map(|error| error.to_string()), "a message cannot be set aside");
            Next::Again(STUCK_MS)
        }
    }
}
