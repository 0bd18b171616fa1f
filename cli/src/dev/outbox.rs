//! The outbox on one machine: read instead of streamed, since the embedded database gets slower as a stream grows; fed to
//! `dispatch` as records of a stream; deleted once that says that all of it went out.

use super::queue::LocalQueue;
use adapters::cloud_event::{self, CloudEvent};
use adapters::dynamodb::{keys, stream};
use adapters::ports::{EventBus, MessageSender, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use domain::change::EventKind;
use serde_json::{Value, json};

/// How many events are read at once.
const BATCH: i32 = 100;

/// The bus on one machine: the log, and the one rule that the template has, by which `notify` hears of hand-overs.
#[derive(Clone, Debug)]
pub struct LoggedBus {
    /// The queue of `notify`.
    pub notices: LocalQueue,
}

#[async_trait]
impl EventBus for LoggedBus {
    async fn put(&self, events: &[CloudEvent]) -> Result<Vec<usize>, StoreError> {
        for event in events {
            tracing::info!(event = event.id, lead = event.subject, "{}", event.event_type);
        }
        let told = events.iter().filter(|event| cloud_event::kind_of(&event.event_type).is_some_and(tells));
        let messages: Vec<String> =
            told.map(|event| json!({ "detail": event.to_json() }).to_string()).collect();
        if !messages.is_empty() {
            self.notices.send(&messages).await?;
        }
        Ok(Vec::new())
    }
}

fn tells(kind: EventKind) -> bool {
    notify::TELLS.contains(&kind)
}

/// Lets `dispatch` send on what stands in the outbox, and tells how much of it went out. Whatever did not is there the next
/// time.
///
/// # Errors
///
/// [`StoreError`].
pub async fn feed(client: &Client, table: &str, dispatch: &dispatch::App) -> Result<usize, StoreError> {
    let no_answer = |what: &str| StoreError::Busy(format!("the outbox cannot be {what}"));
    let (mut sent, mut start) = (0, None);
    loop {
        let scan = client.scan().table_name(table).limit(BATCH).consistent_read(true);
        let page = scan.set_exclusive_start_key(start).send().await.map_err(|_| no_answer("read"))?;
        let items = page.items.unwrap_or_default();
        let records: Vec<Value> =
            items.iter().enumerate().map(|(at, item)| stream::added(item, &at.to_string())).collect();
        let answer = dispatch::handle(dispatch, &serde_json::json!({ "Records": records })).await;
        let failed: Vec<&str> = answer
            .get("batchItemFailures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|failure| failure.get("itemIdentifier")?.as_str())
            .collect();
        for (at, item) in items.iter().enumerate() {
            let key = |name: &str| item.get(name).cloned();
            let (Some(lead), Some(entry)) = (key(keys::LEAD_ID), key(keys::ENTRY_ID)) else { continue };
            if failed.contains(&at.to_string().as_str()) {
                continue;
            }
            let delete = client.delete_item().table_name(table).key(keys::LEAD_ID, lead);
            delete.key(keys::ENTRY_ID, entry).send().await.map_err(|_| no_answer("cleared"))?;
            sent += 1;
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(sent);
        }
    }
}

/// Lets `deliver` work on the messages that can be taken, until none is left.
///
/// # Errors
///
/// [`StoreError`].
pub async fn deliver(queue: &LocalQueue, deliver: &deliver::App) -> Result<(), StoreError> {
    while let Some(batch) = batch(queue)? {
        let answer = deliver::queue::handle(deliver, &batch).await;
        queue.settle(&batch, &answer)?;
    }
    Ok(())
}

/// Lets `notify` work on the messages that can be taken, until none is left.
///
/// # Errors
///
/// [`StoreError`].
pub async fn notify(queue: &LocalQueue, notify: &notify::App) -> Result<(), StoreError> {
    while let Some(batch) = batch(queue)? {
        let answer = notify::queue::handle(notify, &batch).await;
        queue.settle(&batch, &answer)?;
    }
    Ok(())
}

/// Takes a batch; none where no message can be taken.
fn batch(queue: &LocalQueue) -> Result<Option<Value>, StoreError> {
    let batch = queue.receive()?;
    let empty = batch.get("Records").and_then(Value::as_array).is_none_or(Vec::is_empty);
    Ok((!empty).then_some(batch))
}
