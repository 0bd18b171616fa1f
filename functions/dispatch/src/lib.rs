//! `dispatch`: what happened to leads, told to other systems: to the account's event bus, and to the queue of each webhook
//! that wants to know.
//!
//! It reads the stream of the outbox, whose items are written in the transaction that stores what they tell of. **At least
//! once**: a record whose event was not taken everywhere is reported as failed and comes again, with all that came after
//! it; the event's id is the same each time, so a receiver can drop what it has.
//!
//! # Layout
//!
//! * this file – the story;
//! * [`bus`] – EventBridge; [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A record counts as done only when the bus and every queue said that they have its event.

pub mod bus;
pub mod config;

pub use config::Config;

use adapters::cloud_event::CloudEvent;
use adapters::dynamodb::{self, DynamoCatalog, entry_record, stream};
use adapters::ports::{AT_ONCE, Catalog, EventBus, MessageSender};
use adapters::sqs::SqsQueue;
use adapters::webhooks::{self, Delivery};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the function needs.
#[derive(Clone, Debug)]
pub struct App {
    /// Webhooks.
    pub catalog: Arc<dyn Catalog>,
    /// The bus.
    pub bus: Arc<dyn EventBus>,
    /// The queue of webhooks' messages.
    pub queue: Arc<dyn MessageSender>,
    /// Where records go that cannot be read.
    pub dead_letters: Arc<dyn MessageSender>,
    /// How this installation calls itself.
    pub source: String,
}

impl App {
    /// Wires the function to AWS.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.catalog).await;
        let sqs = adapters::sqs::client(&sdk);
        Self {
            catalog: Arc::new(DynamoCatalog::new(client, config.catalog.clone())),
            bus: Arc::new(bus::EventBridge::new(aws_sdk_eventbridge::Client::new(&sdk), config.bus.clone())),
            queue: Arc::new(SqsQueue::new(sqs.clone(), config.queue.clone())),
            dead_letters: Arc::new(SqsQueue::new(sqs, config.dead_letters.clone())),
            source: config.source.clone(),
        }
    }
}

/// Sends on what a batch of the stream's records tells, and names the records that have to come again.
pub async fn handle(app: &App, batch: &Value) -> Value {
    let records = batch.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (mut events, mut failed) = (Vec::new(), BTreeSet::new());
    for (at, record) in records.iter().enumerate() {
        match read(app, record) {
            Ok(None) => {}
            Ok(Some(event)) => events.push((at, event)),
            Err(error) => {
                tracing::error!(error, "a record of the stream cannot be read and is set aside");
                if !set_aside(app, record).await {
                    failed.insert(at);
                }
            }
        }
    }
    failed.extend(onto_the_bus(app, &events).await);
    failed.extend(into_the_queue(app, &events).await);
    if !records.is_empty() {
        tracing::info!(events = events.len(), failed = failed.len(), "events went out");
    }
    // Lambda goes on at the first of them.
    let failures: Vec<Value> = records
        .iter()
        .enumerate()
        .filter(|(at, _)| failed.contains(at))
        .map(|(_, record)| json!({ "itemIdentifier": stream::sequence_number(record) }))
        .collect();
    json!({ "batchItemFailures": failures })
}

/// Reads a record; `Ok(None)` where it tells of nothing that was added.
fn read(app: &App, record: &Value) -> Result<Option<CloudEvent>, String> {
    let Some(item) = stream::item_of(record)? else { return Ok(None) };
    let event = entry_record::event_from_item(&item).map_err(|error| error.to_string())?;
    Ok(Some(CloudEvent::of(&event, &app.source)))
}

/// Puts a record that cannot be read among the dead letters: it would hold up all that come after it.
async fn set_aside(app: &App, record: &Value) -> bool {
    matches!(app.dead_letters.send(&[record.to_string()]).await, Ok(refused) if refused.is_empty())
}

/// Puts events onto the bus and gives those that were not taken.
async fn onto_the_bus(app: &App, events: &[(usize, CloudEvent)]) -> Vec<usize> {
    let mut failed = Vec::new();
    for chunk in events.chunks(AT_ONCE) {
        let put: Vec<CloudEvent> = chunk.iter().map(|(_, event)| event.clone()).collect();
        failed.extend(not_taken(chunk.iter().map(|(at, _)| *at), app.bus.put(&put).await));
    }
    failed
}

/// Puts a message into the queue for each webhook that wants an event, and gives the events of those that were not taken.
async fn into_the_queue(app: &App, events: &[(usize, CloudEvent)]) -> Vec<usize> {
    if events.is_empty() {
        return Vec::new();
    }
    // Read at each batch: whoever registers a webhook gets what happens from that moment on.
    let webhooks = match webhooks::all(app.catalog.as_ref()).await {
        Ok(webhooks) => webhooks,
        Err(error) => {
            tracing::warn!(error = %error, "the webhooks cannot be read");
            return events.iter().map(|(at, _)| *at).collect();
        }
    };
    let mut messages = Vec::new();
    for (at, event) in events {
        let kind = event.kind();
        for webhook in webhooks.iter().filter(|webhook| webhook.wants(kind)) {
            messages.push((*at, Delivery::new(&webhook.id, event.to_json()).to_body()));
        }
    }
    let mut failed = Vec::new();
    for chunk in messages.chunks(AT_ONCE) {
        let bodies: Vec<String> = chunk.iter().map(|(_, body)| body.clone()).collect();
        failed.extend(not_taken(chunk.iter().map(|(at, _)| *at), app.queue.send(&bodies).await));
    }
    failed
}

/// Gives those of a chunk that an answer says were not taken: all of them, where there is no answer.
fn not_taken(
    chunk: impl Iterator<Item = usize>,
    answer: Result<Vec<usize>, adapters::ports::StoreError>,
) -> Vec<usize> {
    match answer {
        Ok(refused) => {
            chunk.enumerate().filter(|(place, _)| refused.contains(place)).map(|(_, at)| at).collect()
        }
        Err(error) => {
            tracing::warn!(error = %error, "events were not taken");
            chunk.collect()
        }
    }
}

#[cfg(test)]
mod tests;
