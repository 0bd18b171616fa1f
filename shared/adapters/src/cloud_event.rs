//! Events as other systems read them: CloudEvents 1.0 in JSON, one form for the bus and for webhooks.
//!
//! **Repeats carry the same id.** It is a hash of the lead and of the event's id among the lead's, so whoever sends an
//! event once more sends the same one. Both parts are needed: two leads may have an entry of the same moment and delivery.
//! It has no dot, which Standard Webhooks forbids in the id of a message.
//!
//! **Order is not promised.** `data.version` is the lead's after the event: of two events of a lead the higher one is the
//! later one; several of one change share it.

use crate::dynamodb::entry_record::OutboxEvent;
use domain::change::EventKind;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Stands before the kind in the type of an event.
const PREFIX: &str = "leadloop.lead.";
/// The type of the event that is only sent to try a webhook.
pub const TEST_TYPE: &str = "leadloop.webhook.test";
/// How the JSON form is called in HTTP.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Gives the type of events of a kind.
#[must_use]
pub fn type_of(kind: &str) -> String {
    format!("{PREFIX}{kind}")
}

/// Reads the type of an event; `None` where there is no such kind.
#[must_use]
pub fn kind_of(event_type: &str) -> Option<EventKind> {
    let kind = event_type.strip_prefix(PREFIX)?;
    EventKind::WORDS.iter().find(|(word, _)| *word == kind).map(|(_, kind)| *kind)
}

/// An event on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent {
    /// Its id; repeats carry the same.
    pub id: String,
    /// Its type, as in `leadloop.lead.captured`.
    pub event_type: String,
    /// Which installation it comes from.
    pub source: String,
    /// What it is about: the lead's id.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub data: Map<String, Value>,
}

impl CloudEvent {
    /// Makes the event that stands in the outbox.
    #[must_use]
    pub fn of(event: &OutboxEvent, source: &str) -> Self {
        let mut data: Map<String, Value> =
            event.detail.iter().map(|(name, word)| (name.clone(), word_to_json(name, word))).collect();
        data.insert("lead_id".to_owned(), event.lead.as_str().into());
        data.insert("version".to_owned(), event.version.into());
        Self {
            id: id_of(&[event.lead.as_str(), &event.id]),
            event_type: type_of(&event.kind),
            source: source.to_owned(),
            subject: event.lead.as_str().to_owned(),
            time: event.at,
            data,
        }
    }

    /// Makes an event that tries a webhook and is about nobody.
    #[must_use]
    pub fn test(webhook: &str, source: &str, now: Timestamp) -> Self {
        let data = Map::from_iter([("webhook_id".to_owned(), webhook.into())]);
        Self {
            id: id_of(&[webhook, &now.to_string()]),
            event_type: TEST_TYPE.to_owned(),
            source: source.to_owned(),
            subject: webhook.to_owned(),
            time: now,
            data,
        }
    }

    /// Gives the word of its kind; empty for one that is about no lead.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event_type.strip_prefix(PREFIX).unwrap_or_default()
    }

    /// Gives it in JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "type": self.event_type,
            "source": self.source,
            "subject": self.subject,
            "time": self.time.to_string(),
            "datacontenttype": "application/json",
            "data": self.data,
        })
    }
}

/// Gives a detail, which the outbox keeps as a word, the type that it has in JSON.
fn word_to_json(name: &str, word: &str) -> Value {
    match name {
        "cycle" => word.parse::<u64>().map_or_else(|_| word.into(), Value::from),
        _ => word.into(),
    }
}

fn id_of(parts: &[&str]) -> String {
    let mut half = [0; 16];
    let hash = Sha256::digest(parts.join("#").as_bytes());
    half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    format!("evt_{}", data_encoding::BASE32_NOPAD.encode(&half).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::identity::LeadId;

    fn outbox(lead: u8, id: &str) -> OutboxEvent {
        OutboxEvent {
            lead: LeadId::from_bytes([lead; 16]),
            version: 4,
            id: id.to_owned(),
            kind: "handed_off".to_owned(),
            at: Timestamp::from_secs(1_795_000_000),
            detail: [("owner", "at-1"), ("cycle", "2")].map(|(n, w)| (n.to_owned(), w.to_owned())).into(),
        }
    }

    #[test]
    fn the_id_is_that_of_lead_and_event_and_holds_no_dot() {
        let event = |lead, id| CloudEvent::of(&outbox(lead, id), "urn:leadloop:test").id;
        let one = event(7, "2026-11-22T12:00:00.000Z-abc-0-handed_off");
        assert_eq!(one, event(7, "2026-11-22T12:00:00.000Z-abc-0-handed_off"));
        assert_ne!(one, event(8, "2026-11-22T12:00:00.000Z-abc-0-handed_off"), "of another lead");
        assert_ne!(one, event(7, "2026-11-22T12:00:00.000Z-abc-1-handed_off"));
        assert!(!one.contains('.'));
    }

    #[test]
    fn it_has_what_cloudevents_asks_for_and_the_version_of_the_lead() {
        let json = CloudEvent::of(&outbox(7, "x"), "urn:leadloop:test").to_json();
        assert_eq!(json["specversion"], "1.0");
        assert_eq!(json["type"], "leadloop.lead.handed_off");
        assert_eq!(json["data"]["version"], 4);
        assert_eq!(json["data"]["cycle"], 2);
        assert_eq!(json["data"]["lead_id"], json["subject"]);
    }

    #[test]
    fn every_kind_reads_back_from_its_type() {
        for (word, kind) in EventKind::WORDS {
            assert_eq!(kind_of(&type_of(word)), Some(*kind));
        }
        assert_eq!(kind_of(TEST_TYPE), None);
        assert_eq!(kind_of("captured"), None);
    }
}
