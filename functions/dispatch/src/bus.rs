//! The bus on EventBridge.

use adapters::cloud_event::CloudEvent;
use adapters::ports::{EventBus, StoreError};
use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

/// Who sends, in the words of EventBridge's rules.
const SENDER: &str = "leadloop";

/// A bus on EventBridge. An event's type is its `detail-type`, and the whole CloudEvent its `detail`.
#[derive(Clone, Debug)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// Makes it from the bus's name.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }
}

#[async_trait]
impl EventBus for EventBridge {
    async fn put(&self, events: &[CloudEvent]) -> Result<Vec<usize>, StoreError> {
        let entry = |event: &CloudEvent| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SENDER)
                .detail_type(&event.event_type)
                .detail(event.to_json().to_string())
                .time(DateTime::from_millis(event.time.millis()))
                .build()
        };
        let put = self.client.put_events().set_entries(Some(events.iter().map(entry).collect())).send().await;
        let answer = put.map_err(|_| StoreError::Busy("no answer from EventBridge".to_owned()))?;
        // One answer for each event, in their order; whatever has no id was not taken.
        let taken = |at: &usize| answer.entries().get(*at).is_some_and(|entry| entry.event_id().is_some());
        let refused: Vec<usize> = (0..events.len()).filter(|at| !taken(at)).collect();
        if let Some(entry) = refused.first().and_then(|at| answer.entries().get(*at)) {
            tracing::warn!(code = entry.error_code(), refused = refused.len(), "the bus did not take events");
        }
        Ok(refused)
    }
}
