//! What sales sends.

use adapters::http::Problem;
use adapters::wire;
use axum::http::HeaderMap;
use domain::change::{Fact, Incoming, MarketingFeedback};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::fault::Faults;
use domain::identity::{ExternalId, LeadRef, Slug};
use domain::playbook::Playbook;
use domain::reader::{Node, Object};
use domain::sales::{DeliveryId, Move};
use domain::stage::Stage;
use domain::time::{Day, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The longest note or quote, in characters.
const LONGEST_NOTE: usize = 4_000;
/// The longest reason, channel or result, in characters.
const LONGEST_WORD: usize = 200;

/// The query of the dossier.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TimelineQuery {
    /// How many entries of the timeline, 1 to 200; 50 unless said.
    pub limit: Option<u32>,
    /// Where the page of the timeline starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// The query of the score.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ScoreQuery {
    /// The day, as an RFC 3339 time or a date; now unless said.
    pub at: Option<String>,
    /// The playbook version by which to score; the lead's own unless said.
    pub version: Option<u32>,
}

/// The query of a lead's labels over time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LabelsQuery {
    /// The first day, such as 2026-02-01; that of the lead's first fact unless said.
    pub from: Option<String>,
    /// The last day, included; today unless said.
    pub to: Option<String>,
    /// The playbook version by which to score; the lead's own unless said.
    pub version: Option<u32>,
}

/// The most days that a series spans.
const MOST_DAYS: i32 = 1_500;

/// Reads the days of a series; where more are asked for than it may span, the fault.
///
/// # Errors
///
/// Every fault.
pub fn days(query: &LabelsQuery, first: Day, today: Day) -> Result<(Day, Day), Problem> {
    let faults = Faults::new();
    let read = |name: &str, asked: Option<&str>, otherwise: Day| {
        let Some(text) = asked else { return otherwise };
        let day = Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC).map(Timestamp::day);
        day.unwrap_or_else(|| {
            faults.add(format!("/{name}"), "is not a day; expected one such as 2026-02-01");
            otherwise
        })
    };
    let to = read("to", query.to.as_deref(), today);
    let from = read("from", query.from.as_deref(), first.max(to.plus(1 - MOST_DAYS)));
    if faults.is_empty() && from > to && query.from.is_some() {
        faults.add("/to", "lies before \"from\"");
    }
    if faults.is_empty() && to.0 - from.0 >= MOST_DAYS {
        faults.add("/from", format!("is too long ago; a series spans at most {MOST_DAYS} days"));
    }
    faults.into_result(Some((from, to))).map_err(Problem::invalid)
}

/// The query of the inbox.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// Whose inbox.
    pub owner: Option<String>,
    /// Only leads in this stage.
    pub stage: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Reads a stage.
///
/// # Errors
///
/// The fault.
pub fn stage(asked: Option<&str>) -> Result<Option<Stage>, Problem> {
    let Some(text) = asked else { return Ok(None) };
    let words: Vec<&str> = Stage::WORDS.iter().filter(|(_, s)| s.in_inbox()).map(|(word, _)| *word).collect();
    match Stage::parse(text).filter(|stage| stage.in_inbox()) {
        Some(stage) => Ok(Some(stage)),
        None => Err(Problem::fault(
            "/stage",
            format!("is no stage of the inbox; expected one of: {}", words.join(", ")),
        )),
    }
}

/// Reads the day of a score.
///
/// # Errors
///
/// The fault.
pub fn at(asked: Option<&str>, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(text) = asked else { return Ok(now) };
    // A date means its end, so that all that happened on it counts.
    let end_of_day = Timestamp::parse(&format!("{}T23:59:59.999Z", text.trim()));
    Timestamp::parse(text).or(end_of_day).filter(|at| *at >= Timestamp::EARLIEST).ok_or_else(|| {
        Problem::fault("/at", "is not a time; expected one such as 2026-02-01T12:00:00Z, or 2026-02-01")
    })
}

/// Reads where a page of the inbox starts: the person, and the place in their list.
///
/// # Errors
///
/// The fault.
pub fn inbox_cursor(asked: Option<&str>) -> Result<Option<(Slug, Option<String>)>, Problem> {
    let Some(text) = asked else { return Ok(None) };
    let read = || {
        let (owner, rest) = text.split_once('.')?;
        Some((Slug::parse(owner).ok()?, (!rest.is_empty()).then(|| rest.to_owned())))
    };
    read().map(Some).ok_or_else(|| Problem::fault("/cursor", "is not a cursor of this list"))
}

/// A fact as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The fact.
    pub fact: Incoming,
    /// Whether a repeat of it can be recognised: it has an id, a key or its own time.
    pub identified: bool,
}

/// A fact with the lead that it is about.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// Which lead.
    pub lead: LeadRef,
    /// The fact.
    pub sent: Sent,
}

/// Gives what a reference is, for grouping.
#[must_use]
pub fn key(lead: &LeadRef) -> String {
    match lead {
        LeadRef::Id(id) => id.as_str().to_owned(),
        LeadRef::Known(identity) => adapters::dynamodb::keys::identity_key(identity),
    }
}

/// Reads one fact.
///
/// # Errors
///
/// Its faults.
pub fn feedback(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Sent, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    wire::one(body, |node| {
        let object = node.object()?;
        let fact = fact(node, &object, key.map(|key| format!("{key}#0")), by, now);
        object.finish();
        fact.map(|sent| Sent { fact: Incoming { strict: true, ..sent.fact }, ..sent })
    })
}

/// Reads up to 100 facts.
///
/// # Errors
///
/// The faults of the envelope.
pub fn batch(
    body: &Value,
    headers: &HeaderMap,
    by: &str,
    now: Timestamp,
) -> Result<Vec<Result<Feedback, Problem>>, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    let faults = Faults::new();
    let mut history = false;
    let items = Node::root(body, &faults).object().and_then(|object| {
        history = wire::history(&object);
        let items = wire::items(&object, "feedback");
        object.finish();
        items.map(|items| items.iter().map(|node| node.value().clone()).collect::<Vec<_>>())
    });
    let items = faults.into_result(items).map_err(Problem::invalid)?;
    let read = |(at, value): (usize, &Value)| {
        wire::one(value, |node| {
            let object = node.object()?;
            let lead = object.required("lead").and_then(|node| wire::lead_ref(&node));
            let key = key.as_ref().map(|key| format!("{key}#{at}"));
            // Facts without a time of their own happened in the order in which they were sent.
            let sent = fact(node, &object, key, by, now.plus(i64::try_from(at).unwrap_or(0)));
            object.finish();
            let sent = sent?;
            Some(Feedback { lead: lead?, sent: Sent { fact: Incoming { history, ..sent.fact }, ..sent } })
        })
    };
    Ok(items.iter().enumerate().map(read).collect())
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
    ("withdrawn", "withdrawn"),
];

fn fact(
    node: &Node<'_>,
    object: &Object<'_>,
    key: Option<String>,
    caller: &str,
    now: Timestamp,
) -> Option<Sent> {
    let kind = object.required("kind").and_then(|node| node.one_of(KINDS));
    let when = wire::occurred_at(object, now);
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
            _ => wire::unrepeatable(),
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
    let deal = || object.required("deal").and_then(|node| wire::external_id(&node));
    let amount = || object.optional("amount").and_then(|node| wire::money(&node));
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
                Some(node) => {
                    // A date to come, so the ten minutes ahead do not apply.
                    let at = node
                        .value()
                        .as_str()
                        .and_then(|text| Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC));
                    if at.is_none() {
                        node.fault("is not a time; expected one such as 2027-02-01T00:00:00Z, or 2027-02-01");
                    }
                    Some(at?)
                }
                None => None,
            };
            sales(Move::NotReady { reason: Some(reason?), not_before }, by, note)
        }
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
            let deal: Option<ExternalId> = object.optional("deal").and_then(|node| wire::external_id(&node));
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

fn joined(reason: Option<String>, note: Option<String>) -> Option<String> {
    match (reason, note) {
        (Some(reason), Some(note)) => Some(format!("{reason}: {note}")),
        (reason, note) => reason.or(note),
    }
}
