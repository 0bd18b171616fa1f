//! What comes in: webhooks, and until when an old secret signs.

use crate::crm::auth::Auth;
use crate::post::Target;
use adapters::cloud_event::{kind_of, type_of};
use adapters::http::Problem;
use adapters::http::body::parse_json;
use adapters::wire;
use axum::body::Bytes;
use domain::change::EventKind;
use domain::crm::{Crm, PRESETS, with_preset};
use domain::fault::Faults;
use domain::reader::Node;
use domain::time::{HOUR_MS, Timestamp};
use serde_json::Value;

/// For how long an old secret signs beside the new one unless said, in hours.
const OLD_SIGNS_H: i64 = 24;
/// The longest that it may, in hours.
const OLD_SIGNS_AT_MOST_H: i64 = 7 * 24;

/// What a person wants a webhook to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where messages go.
    pub url: String,
    /// What it is told where it is a CRM.
    pub crm: Option<Value>,
    /// Who we are to a CRM; as before where it is not said.
    pub auth: Option<Auth>,
    /// The kinds that it wants; all where none is named.
    pub kinds: Vec<EventKind>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it gets none for now.
    pub paused: bool,
}

/// Reads a webhook; `loopback` says whether this machine itself may be meant.
///
/// # Errors
///
/// Every fault.
pub fn webhook(body: &Value, loopback: bool) -> Result<Wanted, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let crm = object.optional("crm").map(|node| crm(&node, loopback));
        let auth = object.optional("auth").map(|node| Auth::read(&node, loopback));
        let url = match (&crm, object.has("url")) {
            (None, _) => object.required("url").and_then(|node| {
                node.parsed(|text| Target::parse(text.trim(), loopback).map(|_| text.trim().to_owned()))
            }),
            (Some(crm), false) => crm.as_ref().map(|crm| crm.url().to_owned()),
            (Some(_), true) => {
                object.fault("has a \"url\" and a \"crm\"; a CRM's requests have URLs of their own");
                object.optional("url").and(None)
            }
        };
        if auth.is_some() && crm.is_none() {
            object.fault("has an \"auth\", which belongs to a CRM; a webhook is signed");
        }
        let kinds = object.optional("types").map(|node| kinds(&node));
        let description = object.optional("description").map(|node| node.text(500).map(str::to_owned));
        let paused = object.optional("paused").map(|node| node.boolean());
        object.finish();
        Some(Wanted {
            url: url?,
            crm: match crm {
                Some(crm) => Some(crm?.document().clone()),
                None => None,
            },
            auth: match auth {
                Some(auth) => Some(auth?),
                None => None,
            },
            kinds: kinds.unwrap_or(Some(Vec::new()))?,
            description: description.flatten(),
            paused: paused.unwrap_or(Some(false))?,
        })
    })
}

/// Reads what a CRM is told, a preset with what is given over it.
fn crm(node: &Node<'_>, loopback: bool) -> Option<Crm> {
    let check = |url: &str| Target::parse(url, loopback).map(|_| ());
    preset(node, PRESETS, |node| Crm::read(node, &check))
}

/// Reads a document that may name a preset, whole; faults point to what was given or, where that is the preset's, beside it.
pub(crate) fn preset<T>(
    node: &Node<'_>,
    presets: &[(&str, &str)],
    read: impl FnOnce(&Node<'_>) -> Option<T>,
) -> Option<T> {
    let faults = Faults::new();
    let whole = match with_preset(node.value(), presets) {
        Ok(whole) => whole,
        Err((pointer, detail)) => {
            node.faults().add(format!("{}{pointer}", node.pointer()), detail);
            return None;
        }
    };
    let read = read(&Node::at(&whole, node.pointer(), &faults));
    match faults.into_result(read) {
        Ok(read) => Some(read),
        Err(found) => {
            found.into_iter().for_each(|fault| node.faults().add(fault.pointer, fault.detail));
            None
        }
    }
}

/// Reads a list of types, of which at least one is named.
fn kinds(node: &Node<'_>) -> Option<Vec<EventKind>> {
    let list = node.list()?;
    if list.is_empty() {
        node.fault("names no type; leave it out for all of them");
        return None;
    }
    let all: Vec<String> = EventKind::WORDS.iter().map(|(word, _)| type_of(word)).collect();
    let one =
        |text: &str| kind_of(text).ok_or(format!("is no type of event; expected one of: {}", all.join(", ")));
    let read: Vec<Option<EventKind>> = list.iter().map(|node| node.parsed(one)).collect();
    let mut kinds: Vec<EventKind> = read.into_iter().collect::<Option<_>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

/// Reads until when the secrets before a new one sign; an empty body says nothing.
///
/// # Errors
///
/// Every fault.
pub fn old_ends_at(bytes: &Bytes, now: Timestamp) -> Result<Timestamp, Problem> {
    let hours = if bytes.iter().all(u8::is_ascii_whitespace) {
        OLD_SIGNS_H
    } else {
        wire::one(&parse_json(bytes)?, |node| {
            let object = node.object()?;
            let hours = object.optional("old_signs_hours").map(|node| node.integer(0, OLD_SIGNS_AT_MOST_H));
            object.finish();
            hours.unwrap_or(Some(OLD_SIGNS_H))
        })?
    };
    Ok(now.plus(hours * HOUR_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_webhook_is_read() {
        let body = json!({ "url": "https://hooks.example/leads", "types": ["leadloop.lead.outcome",
            "leadloop.lead.captured", "leadloop.lead.outcome"], "description": "The warehouse", "paused": true });
        let read = webhook(&body, false).unwrap();
        assert_eq!(read.kinds, [EventKind::Captured, EventKind::Outcome]);
        assert!(read.paused);
        let least = webhook(&json!({ "url": "https://hooks.example" }), false).unwrap();
        assert_eq!((least.kinds.len(), least.paused, least.description), (0, false, None));
    }

    #[test]
    fn every_fault_of_a_webhook_is_named() {
        let body =
            json!({ "url": "ftp://x.example", "types": ["captured", 7], "paused": "no", "secret": "mine" });
        let problem = webhook(&body, false).unwrap_err();
        let pointers: Vec<&str> = problem.faults().iter().map(|fault| fault.pointer.as_str()).collect();
        for pointer in ["/url", "/types/0", "/types/1", "/paused", "/secret"] {
            assert!(pointers.contains(&pointer), "{pointer}: {pointers:?}");
        }
        assert!(webhook(&json!({ "url": "https://x.example", "types": [] }), false).is_err());
    }

    #[test]
    fn a_crm_is_read_whole_and_every_fault_points_into_what_was_sent() {
        let auth = json!({ "kind": "bearer", "token": "geheim" });
        let body = json!({ "crm": { "preset": "hubspot_contacts" }, "auth": auth });
        let read = webhook(&body, false).unwrap();
        assert_eq!(read.url, "https://api.hubapi.com/crm/v3/objects/contacts");
        assert!(read.auth.is_some() && Crm::stored(&read.crm.unwrap()).is_some());
        let body = json!({ "crm": { "preset": "hubspot_contacts", "fields": { "score": "{% if x %}", "n": "{{ lead.n }}" },
            "update": { "method": "GET", "url": "http://10.0.0.1/{{ record_id }}" }, "x": 1 },
            "auth": { "kind": "bearer" }, "types": [] });
        let pointers = |body: &Value| {
            let problem = webhook(body, true).unwrap_err();
            problem.faults().iter().map(|fault| fault.pointer.clone()).collect::<Vec<_>>()
        };
        let found = pointers(&body);
        for pointer in [
            "/crm/fields/score",
            "/crm/fields/n",
            "/crm/update/method",
            "/crm/update/url",
            "/crm/x",
            "/auth/token",
            "/types",
        ] {
            assert!(found.iter().any(|at| at == pointer), "{pointer}: {found:?}");
        }
        assert_eq!(pointers(&json!({ "crm": { "preset": "salesforce_leads" } })), ["/crm/instance"]);
        assert_eq!(pointers(&json!({ "url": "https://x.example", "auth": auth })), [""]);
        assert!(
            !pointers(&json!({ "crm": { "preset": "hubspot_contacts" }, "url": "https://x.example" }))
                .is_empty()
        );
    }

    #[test]
    fn an_old_secret_signs_for_a_day_unless_said() {
        let now = Timestamp::from_secs(1_795_000_000);
        let after = |text: &'static str| old_ends_at(&Bytes::from_static(text.as_bytes()), now);
        assert_eq!(after("").unwrap(), now.plus(24 * HOUR_MS));
        assert_eq!(after("{}").unwrap(), now.plus(24 * HOUR_MS));
        assert_eq!(after(r#"{"old_signs_hours": 0}"#).unwrap(), now);
        assert!(after(r#"{"old_signs_hours": 169}"#).is_err());
        assert!(after(r#"{"hours": 1}"#).is_err());
    }
}
