//! What sales reports, as it stands on the wire: read in one place, since it comes alone, in bulk, and together with a lead
//! that is logged by hand.

use crate::http::Problem;
use domain::change::{Fact, Incoming, MarketingFeedback};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{ExternalId, Slug};
use domain::playbook::Playbook;
use domain::reader::{Node, Object};
use domain::sales::{DeliveryId, Move};
use domain::time::{Timestamp, zone};
use serde_json::Value;

/// The longest note or quote, in characters.
const LONGEST_NOTE: usize = 4_000;
/// The longest reason, channel or result, in characters.
const LONGEST_WORD: usize = 200;

/// A fact as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The fact.
    pub fact: Incoming,
    /// Whether a repeat of it can be recognised: it has an id, a key or its own time.
    pub identified: bool,
}

/// Makes sure that a reason is one of those that the playbook has for the step, where it has any.
///
/// # Errors
///
/// The fault, with the reasons that there are.
pub fn reason(what: &Move, playbook: &Playbook) -> Result<(), Problem> {
    let Some(known) = playbook.reasons.get(&what.step()) else { return Ok(()) };
    let given = what.reason();
    if given.is_none_or(|given| known.iter().any(|reason| reason.id.as_str() == given)) {
        return Ok(());
    }
    let known: Vec<&str> = known.iter().map(|reason| reason.id.as_str()).collect();
    let detail = format!("is no reason of the playbook; expected one of: {}", known.join(", "));
    Err(Problem::fault("/reason", detail))
}

const KINDS: &[(&str, &str)] = &[
    ("accepted", "accepted"),
    ("rejected", "rejected"),
    ("follow_up", "follow_up"),
    ("not_ready", "not_ready"),
    ("qualified", "qualified"),
    ("assigned", "assigned"),
    ("opportunity", "opportunity"),
    ("won", "won"),
    ("lost", "lost"),
    ("disqualified", "disqualified"),
    ("churned", "churned"),
    ("opted_out", "opted_out"),
    ("marketing_feedback", "marketing_feedback"),
    ("nurture_paused", "nurture_paused"),
    ("nurture_resumed", "nurture_resumed"),
    ("withdrawn", "withdrawn"),
];

/// Reads one fact of an object whose other fields are somebody else's. `key` tells a repeat, where the sender gives one;
/// `caller` is who reports it.
#[must_use]
pub fn fact(
    node: &Node<'_>,
    object: &Object<'_>,
    key: Option<String>,
    caller: &str,
    now: Timestamp,
) -> Option<Sent> {
    let kind = object.required("kind").and_then(|node| node.one_of(KINDS));
    let when = super::occurred_at(object, now);
    let by = object.optional("by").and_then(|node| node.parsed(Slug::parse));
    let note = object.optional("note").and_then(|node| node.text(LONGEST_NOTE).map(str::to_owned));
    let kind = kind?;
    let fact = what(object, kind, by, note, when.map_or(now, |when| when.at), now);
    // A withdrawal's `id` is the fact that it takes back; its own delivery follows from that.
    let own = if kind == "withdrawn" { None } else { object.optional("id").and_then(|node| node.text(200)) };
    let (fact, when) = (fact?, when?);
    let identified = when.said || own.is_some() || key.is_some();
    let delivery = match (own, key) {
        (Some(id), _) => DeliveryId::new(&format!("feedback {caller}"), id),
        (None, Some(key)) => DeliveryId::new(&format!("feedback key {caller}"), &key),
        (None, None) => match &fact {
            Fact::Withdrawn { id, .. } => DeliveryId::new("withdrawal", &id.to_string()),
            // With its own time the same content is the same fact.
            _ if when.said => content(node.value()),
            _ => super::unrepeatable(),
        },
    };
    let fact = Incoming {
        delivery,
        occurred_at: when.at,
        history: false,
        by: format!("sales:{caller}"),
        strict: false,
        fact,
    };
    Some(Sent { fact, identified })
}

fn content(value: &Value) -> DeliveryId {
    DeliveryId::new("feedback content", &value.to_string())
}

fn what(
    object: &Object<'_>,
    kind: &str,
    by: Option<Slug>,
    note: Option<String>,
    at: Timestamp,
    now: Timestamp,
) -> Option<Fact> {
    let word = |key: &'static str| object.optional(key).and_then(|n| n.text(LONGEST_WORD).map(str::to_owned));
    let needed =
        |key: &'static str| object.required(key).and_then(|n| n.text(LONGEST_WORD).map(str::to_owned));
    let deal = || object.required("deal").and_then(|node| super::external_id(&node));
    let amount = || object.optional("amount").and_then(|node| super::money(&node));
    let sales = |what: Move, by: Option<Slug>, note: Option<String>| Some(Fact::Sales { what, by, note });
    match kind {
        "accepted" => sales(Move::Accepted, by, note),
        "qualified" => sales(Move::Qualified, by, note),
        "churned" => {
            let reason = word("reason");
            sales(Move::Churned, by, joined(reason, note))
        }
        "rejected" => sales(Move::Rejected { reason: Some(needed("reason")?) }, by, note),
        "disqualified" => sales(Move::Disqualified { reason: Some(needed("reason")?) }, by, note),
        "not_ready" => {
            let reason = needed("reason");
            let not_before = match object.optional("not_before") {
                Some(node) => Some(date_to_come(&node)?),
                None => None,
            };
            sales(Move::NotReady { reason: Some(reason?), not_before }, by, note)
        }
        "nurture_paused" => {
            let until = object.required("until").and_then(|node| date_to_come(&node));
            Some(Fact::NurturePaused { until: Some(until?), by, note })
        }
        "nurture_resumed" => Some(Fact::NurturePaused { until: None, by, note }),
        "assigned" => {
            let to = object.required("to").and_then(|node| node.parsed(Slug::parse));
            sales(Move::Assigned { to: to?, promise_due_at: None }, by, note)
        }
        "opportunity" => {
            let (deal, amount) = (deal(), amount());
            sales(Move::Opportunity { deal: deal?, amount }, by, note)
        }
        "won" => {
            let (deal, amount) = (deal(), amount());
            sales(Move::Won { deal: deal?, amount }, by, note)
        }
        "lost" => {
            let deal: Option<ExternalId> = object.optional("deal").and_then(|node| super::external_id(&node));
            let reason = word("reason");
            sales(Move::Lost { deal, reason }, by, note)
        }
        "follow_up" => {
            let (channel, result) = (needed("channel"), word("result"));
            Some(Fact::FollowUp { channel: channel?, result, by, note })
        }
        "opted_out" => {
            let purpose = object.required("purpose").and_then(|node| node.one_of(Purpose::WORDS));
            Some(Fact::Consent(ConsentFact {
                purpose: purpose?,
                status: ConsentStatus::Withdrawn,
                basis: Basis::Consent,
                text: note,
                source: Some(by.map_or_else(|| "sales".to_owned(), |by| format!("sales:{by}"))),
                at: at.min(now),
            }))
        }
        "marketing_feedback" => {
            let about = object.optional("about").and_then(|node| {
                let object = node.object()?;
                let campaign =
                    object.optional("campaign").and_then(|n| n.text(LONGEST_WORD).map(str::to_owned));
                let content =
                    object.optional("content").and_then(|n| n.text(LONGEST_WORD).map(str::to_owned));
                object.finish();
                Some((campaign, content))
            });
            const SENTIMENTS: &[(&str, &str)] =
                &[("positive", "positive"), ("neutral", "neutral"), ("negative", "negative")];
            let sentiment =
                object.optional("sentiment").and_then(|node| node.one_of(SENTIMENTS)).map(str::to_owned);
            let quote = object.optional("quote").and_then(|n| n.text(LONGEST_NOTE).map(str::to_owned));
            let (campaign, content) = about.unwrap_or_default();
            if quote.is_none() && sentiment.is_none() {
                object.fault("says nothing; expected a quote, a sentiment or both");
            }
            Some(Fact::MarketingFeedback {
                said: MarketingFeedback { campaign, content, sentiment, quote },
                by,
                note,
            })
        }
        _ => {
            let id = object.required("id").and_then(|node| {
                node.parsed(|text| {
                    DeliveryId::parse(text).ok_or("is not the id of a fact; expected a fact_id of the lead")
                })
            });
            Some(Fact::Withdrawn { id: id?, note })
        }
    }
}

/// Reads a date to come, so the ten minutes ahead do not apply.
fn date_to_come(node: &Node<'_>) -> Option<Timestamp> {
    let at = node.value().as_str().and_then(|text| Timestamp::parse_in(text, &zone("UTC").ok()?));
    if at.is_none() {
        node.fault("is not a time; expected one such as 2027-02-01T00:00:00Z, or 2027-02-01");
    }
    at
}

fn joined(reason: Option<String>, note: Option<String>) -> Option<String> {
    match (reason, note) {
        (Some(reason), Some(note)) => Some(format!("{reason}: {note}")),
        (reason, note) => reason.or(note),
    }
}
