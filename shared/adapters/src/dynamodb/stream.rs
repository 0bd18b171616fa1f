//! Records of a table's stream, as Lambda hands them over: JSON that spells each attribute's type.
//!
//! `leadloop dev` has no stream and makes such records from the items of the outbox; so there is a way in both directions,
//! and what runs on one machine reads what it would read on AWS.

use super::{Item, keys};
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use serde_json::{Map, Value, json};

/// Gives the record of an item that was added.
#[must_use]
pub fn added(item: &Item, sequence_number: &str) -> Value {
    let image: Map<String, Value> = item.iter().map(|(name, value)| (name.clone(), to_json(value))).collect();
    let key = |name: &str| image.get(name).cloned().unwrap_or_default();
    json!({
        "eventID": sequence_number,
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": { (keys::LEAD_ID): key(keys::LEAD_ID), (keys::ENTRY_ID): key(keys::ENTRY_ID) },
            "NewImage": image,
            "SequenceNumber": sequence_number,
            "StreamViewType": "NEW_IMAGE",
        },
    })
}

/// Gives the number by which a record is reported as failed.
#[must_use]
pub fn sequence_number(record: &Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default()
}

/// Gives the item that a record says was added; `Ok(None)` where it says something else happened.
///
/// # Errors
///
/// Where it cannot be read; what is in it is not repeated.
pub fn item_of(record: &Value) -> Result<Option<Item>, &'static str> {
    match record.get("eventName").and_then(Value::as_str) {
        Some("INSERT") => {}
        Some("MODIFY" | "REMOVE") => return Ok(None),
        _ => return Err("the record is none of a stream"),
    }
    let image = record.pointer("/dynamodb/NewImage").and_then(Value::as_object);
    let image = image.ok_or("the record has no image")?;
    let item =
        image.iter().map(|(name, value)| Some((name.clone(), from_json(value)?))).collect::<Option<_>>();
    item.map(Some).ok_or("the image has a type that no item of the outbox has")
}

fn to_json(value: &Stored) -> Value {
    match value {
        Stored::S(text) => json!({ "S": text }),
        Stored::N(number) => json!({ "N": number }),
        Stored::Bool(flag) => json!({ "BOOL": flag }),
        Stored::M(map) => {
            let map: Map<String, Value> =
                map.iter().map(|(name, value)| (name.clone(), to_json(value))).collect();
            json!({ "M": map })
        }
        // The outbox has no others.
        _ => json!({ "NULL": true }),
    }
}

fn from_json(value: &Value) -> Option<Stored> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => Stored::S(value.as_str()?.to_owned()),
        "N" => Stored::N(value.as_str()?.to_owned()),
        "BOOL" => Stored::Bool(value.as_bool()?),
        "NULL" => Stored::Null(true),
        "M" => {
            let map = value.as_object()?.iter();
            Stored::M(
                map.map(|(name, value)| Some((name.clone(), from_json(value)?))).collect::<Option<_>>()?,
            )
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::entry_record::{event_from_item, event_to_item};
    use domain::change::{Event, EventKind};
    use domain::identity::LeadId;
    use domain::time::Timestamp;

    fn item() -> Item {
        let event = Event {
            id: "2026-11-22T12:00:00.000Z-abc-0-handed_off".to_owned(),
            kind: EventKind::HandedOff,
            at: Timestamp::from_secs(1_795_000_000),
            detail: vec![("owner", "at-1".to_owned()), ("cycle", "2".to_owned())],
        };
        event_to_item(&LeadId::from_bytes([7; 16]), 3, &event, Timestamp::from_secs(1_796_000_000))
    }

    #[test]
    fn an_event_reads_back_from_the_record_that_its_item_makes() {
        let record = added(&item(), "42");
        assert_eq!(sequence_number(&record), "42");
        let read = event_from_item(&item_of(&record).unwrap().unwrap()).unwrap();
        assert_eq!((read.version, read.kind.as_str()), (3, "handed_off"));
        assert_eq!(read.detail["owner"], "at-1");
        assert_eq!(read.id, "2026-11-22T12:00:00.000Z-abc-0-handed_off");
    }

    #[test]
    fn what_expired_is_no_event_and_what_cannot_be_read_is_an_error_that_repeats_nothing() {
        let mut record = added(&item(), "42");
        record["eventName"] = "REMOVE".into();
        assert_eq!(item_of(&record), Ok(None));
        record["eventName"] = "INSERT".into();
        record["dynamodb"]["NewImage"]["at"] = json!({ "B": "c2VjcmV0" });
        assert!(item_of(&record).is_err_and(|error| !error.contains("secret")));
        assert!(item_of(&json!({ "Records": [] })).is_err());
        let mut broken = item();
        broken.insert("at".to_owned(), Stored::S("secret".to_owned()));
        let error = event_from_item(&broken).unwrap_err().to_string();
        assert!(error.contains("attribute at") && !error.contains("secret"), "{error}");
    }
}
