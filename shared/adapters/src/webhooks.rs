//! Webhooks as the catalog keeps them, and the messages on their way to them.
//!
//! `dispatch` reads who wants what, `deliver` keeps the records and sends the messages; so both forms stand here. What the
//! messages are signed with is another record, which only `deliver` reads.

use crate::cloud_event::{kind_of, type_of};
use crate::ports::{Catalog, CatalogKind, Record, StoreError};
use domain::time::Timestamp;
use domain::webhook::{Health, State, Webhook};
use serde_json::{Value, json};

/// The kind of the webhooks' records.
pub const KIND: CatalogKind = CatalogKind::Webhook;

/// Lists every webhook by id.
///
/// # Errors
///
/// [`StoreError`].
pub async fn all(catalog: &dyn Catalog) -> Result<Vec<Webhook>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list(KIND, 100, cursor.as_deref()).await?;
        for record in &page.items {
            all.push(from_record(record)?);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Writes the body of a webhook's record.
#[must_use]
pub fn to_body(webhook: &Webhook) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let (state, off) = match &webhook.state {
        State::On => ("on", None),
        State::Paused => ("paused", None),
        State::SwitchedOff { at, reason } => {
            ("switched_off", Some(json!({ "at": at.to_string(), "reason": reason })))
        }
    };
    let health = &webhook.health;
    let failure = health.last_failure.as_ref();
    json!({
        "url": webhook.url,
        "crm": webhook.crm,
        "types": webhook.kinds.iter().map(|kind| type_of(kind.as_str())).collect::<Vec<_>>(),
        "description": webhook.description,
        "state": state,
        "switched_off": off,
        "succeeded_at": time(health.succeeded_at),
        "failing_since": time(health.failing_since),
        "last_failure": failure.map(|(at, how)| json!({ "at": at.to_string(), "how": how })),
        "created_at": webhook.created_at.to_string(),
        "created_by": webhook.created_by,
    })
}

/// Reads a webhook from its record.
///
/// # Errors
///
/// [`StoreError::Damaged`].
pub fn from_record(record: &Record) -> Result<Webhook, StoreError> {
    read(&record.id, &record.body).ok_or_else(|| StoreError::Damaged(format!("webhook {}", record.id)))
}

fn read(id: &str, body: &Value) -> Option<Webhook> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let time = |pointer: &str| text(pointer).and_then(|text| Timestamp::parse(&text));
    let state = match text("/state")?.as_str() {
        "on" => State::On,
        "paused" => State::Paused,
        "switched_off" => {
            State::SwitchedOff { at: time("/switched_off/at")?, reason: text("/switched_off/reason")? }
        }
        _ => return None,
    };
    let types = body.get("types")?.as_array()?;
    Some(Webhook {
        id: id.to_owned(),
        url: text("/url")?,
        crm: body.get("crm").filter(|crm| !crm.is_null()).cloned(),
        kinds: types.iter().map(|kind| kind_of(kind.as_str()?)).collect::<Option<_>>()?,
        description: text("/description"),
        state,
        health: Health {
            succeeded_at: time("/succeeded_at"),
            failing_since: time("/failing_since"),
            last_failure: time("/last_failure/at").zip(text("/last_failure/how")),
        },
        created_at: time("/created_at")?,
        created_by: text("/created_by")?,
    })
}

/// A message in the queue: which event goes to which webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The webhook's id.
    pub webhook: String,
    /// The event, a CloudEvent.
    pub event: Value,
    /// Why it was set aside, where it was.
    pub set_aside: Option<String>,
}

impl Delivery {
    /// Makes a message on its way.
    #[must_use]
    pub fn new(webhook: &str, event: Value) -> Self {
        Self { webhook: webhook.to_owned(), event, set_aside: None }
    }

    /// Gives the event's id.
    #[must_use]
    pub fn event_id(&self) -> &str {
        self.event.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Writes the message.
    #[must_use]
    pub fn to_body(&self) -> String {
        let mut body = json!({ "webhook": self.webhook, "event": self.event });
        if let (Some(why), Some(map)) = (&self.set_aside, body.as_object_mut()) {
            map.insert("set_aside".to_owned(), why.as_str().into());
        }
        body.to_string()
    }

    /// Reads a message; `None` where it is none of ours.
    #[must_use]
    pub fn from_body(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let event = body.get("event").filter(|event| event.get("id").is_some_and(Value::is_string))?;
        Some(Self {
            webhook: body.get("webhook")?.as_str()?.to_owned(),
            event: event.clone(),
            set_aside: body.get("set_aside").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::change::EventKind;

    #[test]
    fn a_webhook_reads_back_from_its_record() {
        let at = Timestamp::from_secs(1_795_000_000);
        let plain = Webhook {
            id: "webhook-1".to_owned(),
            url: "https://hooks.example/leads".to_owned(),
            crm: None,
            kinds: Vec::new(),
            description: None,
            state: State::On,
            health: Health::default(),
            created_at: at,
            created_by: "admin".to_owned(),
        };
        let off = Webhook {
            crm: Some(json!({ "system": "crm" })),
            kinds: vec![EventKind::Captured, EventKind::Outcome],
            description: Some("The data warehouse".to_owned()),
            state: State::SwitchedOff { at, reason: "every try failed".to_owned() },
            health: Health {
                succeeded_at: Some(at),
                failing_since: Some(at),
                last_failure: Some((at, "answered 500".to_owned())),
            },
            ..plain.clone()
        };
        let paused = Webhook { state: State::Paused, ..plain.clone() };
        for webhook in [plain, off, paused] {
            let body = to_body(&webhook);
            let record = Record { kind: KIND, id: webhook.id.clone(), version: 1, body, expires_at: None };
            assert_eq!(from_record(&record).unwrap(), webhook);
        }
    }

    #[test]
    fn a_message_reads_back_and_what_is_none_is_not_read() {
        let event = json!({ "id": "evt_1", "type": "leadloop.lead.captured" });
        let mut delivery = Delivery::new("webhook-1", event);
        assert_eq!(Delivery::from_body(&delivery.to_body()).as_ref(), Some(&delivery));
        delivery.set_aside = Some("tried for a day".to_owned());
        assert_eq!(Delivery::from_body(&delivery.to_body()).as_ref(), Some(&delivery));
        for body in ["", "{}", "[]", r#"{"webhook": "w"}"#, r#"{"webhook": "w", "event": {}}"#] {
            assert_eq!(Delivery::from_body(body), None, "{body}");
        }
    }
}
