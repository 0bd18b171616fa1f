//! Pieces of the wire format that several functions share: how a lead is named, when something happened, which
//! delivery it is, and how a score looks.

pub mod feedback;

use crate::jobs::{Job, JobKind, JobStatus, sweep_progress};
use axum::http::HeaderMap;
use domain::attribute::AttributeValue;
use domain::change::Outcome;
use domain::condition::{TouchField, WhichTouch};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Consents, Purpose};
use domain::fault::Faults;
use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, LeadRef, Phone, Slug};
use domain::lead::{Lead, Touch};
use domain::money::{Currency, Money};
use domain::outlook::{Fading, Outlook, Step, Way};
use domain::reader::{Node, Object};
use domain::sales::DeliveryId;
use domain::score::{Explanation, Line, Part, Score, Seen};
use domain::time::{MINUTE_MS, Timestamp};
use domain::touch::LONGEST_SOURCE;
use serde_json::{Map, Value, json};

/// How far ahead of our clock a sender's clock may run, in milliseconds; such times are taken as now.
pub const AHEAD_MS: i64 = 10 * MINUTE_MS;
/// The most items that one request may hold.
pub const MOST_ITEMS: usize = 100;
/// The most identities that one item may bring.
const MOST_IDENTITIES: usize = 10;

/// When something happened, and whether the sender said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The time.
    pub at: Timestamp,
    /// Whether the sender said it.
    pub said: bool,
}

/// Reads a time that must not lie before 1990 or more than ten minutes ahead; up to that it is taken as now.
#[must_use]
pub fn time(node: &Node<'_>, now: Timestamp) -> Option<Timestamp> {
    let at = node.time()?;
    if at < Timestamp::EARLIEST {
        node.fault("lies before 1990-01-01; is the year right?");
        None
    } else if at.since(now) > AHEAD_MS {
        node.fault(format!("lies more than ten minutes ahead; it is {now} now"));
        None
    } else {
        Some(at.min(now))
    }
}

/// Reads `occurred_at`; now where it is not said. `None` where it is said and wrong.
#[must_use]
pub fn occurred_at(object: &Object<'_>, now: Timestamp) -> Option<When> {
    match object.optional("occurred_at") {
        None => Some(When { at: now, said: false }),
        Some(node) => time(&node, now).map(|at| When { at, said: true }),
    }
}

/// Reads an external id.
#[must_use]
pub fn external_id(node: &Node<'_>) -> Option<ExternalId> {
    let object = node.object()?;
    let system = object.required("system").and_then(|node| node.parsed(ExternalId::parse_system));
    let id = object.required("id").and_then(|node| match node.value() {
        // Ids are texts; a number that a client did not quote means the same.
        Value::Number(number) => Some(number.to_string()),
        _ => node.text(200).map(str::to_owned),
    });
    let pointer = object.pointer().to_owned();
    let faults = object.faults();
    object.finish();
    match ExternalId::new(&system?, &id?) {
        Ok(id) => Some(id),
        Err(error) => {
            faults.add(pointer, error.to_string());
            None
        }
    }
}

/// Reads the identities in an object; none where one of them is wrong.
#[must_use]
pub fn identities(object: &Object<'_>) -> Vec<Identity> {
    let before = object.faults().len();
    let mut found = Vec::new();
    if let Some(node) = object.optional("external_id") {
        for node in node.list_or_one() {
            found.extend(external_id(&node).map(Identity::External));
        }
    }
    found.extend(object.optional("email").and_then(|n| n.parsed(Email::parse)).map(Identity::Email));
    found.extend(object.optional("phone").and_then(|n| n.parsed(Phone::parse)).map(Identity::Phone));
    found.extend(
        object.optional("anonymous_id").and_then(|n| n.parsed(AnonymousId::parse)).map(Identity::Anonymous),
    );
    if found.len() > MOST_IDENTITIES {
        object.fault(format!("is known by {} identities; expected at most {MOST_IDENTITIES}", found.len()));
    }
    if object.faults().len() > before { Vec::new() } else { found }
}

const KNOWN_BY: &str = "names nobody; expected lead_id, email, phone or external_id";

/// Reads a reference to a lead: its id or one of its identities.
#[must_use]
pub fn lead_ref(node: &Node<'_>) -> Option<LeadRef> {
    let object = node.object()?;
    let id = object.optional("lead_id").map(|node| node.parsed(LeadId::parse));
    let before = object.faults().len();
    let known = identities(&object);
    let faulty = object.faults().len() > before;
    object.finish();
    match (id, known.as_slice()) {
        (Some(id), []) => id.map(LeadRef::Id),
        (None, [identity]) => Some(LeadRef::Known(identity.clone())),
        (None, []) => {
            if !faulty {
                node.fault(KNOWN_BY);
            }
            None
        }
        _ => {
            node.fault(
                "names the lead in several ways; expected one of lead_id, email, phone and external_id",
            );
            None
        }
    }
}

/// Reads identities of which at least one must be there.
#[must_use]
pub fn some_identities(object: &Object<'_>) -> Vec<Identity> {
    let before = object.faults().len();
    let found = identities(object);
    if found.is_empty() && object.faults().len() == before {
        object.fault("is known by nothing; expected at least one of email, phone and external_id");
    }
    found
}

/// Reads where a lead came from.
#[must_use]
pub fn source(node: &Node<'_>, at: Timestamp) -> Option<Touch> {
    let object = node.object()?;
    let text = |key: &'static str| {
        object
            .optional(key)
            .filter(|node| node.value().as_str().is_none_or(|text| !text.trim().is_empty()))
            .and_then(|node| node.text(LONGEST_SOURCE).map(str::to_owned))
    };
    let touch = Touch {
        at,
        channel: text("channel"),
        campaign: text("campaign"),
        landing_page: text("landing_page"),
    };
    object.finish();
    (touch.channel.is_some() || touch.campaign.is_some() || touch.landing_page.is_some()).then_some(touch)
}

/// Reads one statement about consent.
#[must_use]
pub fn consent(node: &Node<'_>, now: Timestamp, default_at: Timestamp) -> Option<ConsentFact> {
    let object = node.object()?;
    let purpose = object.required("purpose").and_then(|node| node.one_of(Purpose::WORDS));
    let status = object.required("status").and_then(|node| node.one_of(ConsentStatus::WORDS));
    let basis = match object.optional("basis") {
        Some(node) => node.one_of(Basis::WORDS),
        None => Some(Basis::Consent),
    };
    let text = |key: &'static str| object.optional(key).and_then(|node| node.text(300).map(str::to_owned));
    let (words, source) = (text("text"), text("source"));
    let at = match object.optional("at") {
        Some(node) => time(&node, now),
        None => Some(default_at),
    };
    object.finish();
    Some(ConsentFact { purpose: purpose?, status: status?, basis: basis?, text: words, source, at: at? })
}

/// Reads an amount of money: `{"amount": "1200.50", "currency": "EUR"}`.
#[must_use]
pub fn money(node: &Node<'_>) -> Option<Money> {
    let object = node.object()?;
    let currency = object.required("currency").and_then(|node| node.parsed(Currency::parse));
    let amount = object.required("amount");
    let money = currency.and_then(|currency| match amount.as_ref()?.value() {
        // A JSON number is taken as it is written.
        Value::Number(number) => match Money::parse(&number.to_string(), currency) {
            Ok(money) => Some(money),
            Err(error) => {
                amount.as_ref()?.fault(error.to_string());
                None
            }
        },
        _ => amount.as_ref()?.parsed(|text| Money::parse(text, currency)),
    });
    object.finish();
    money
}

/// Gives an amount of money as JSON.
#[must_use]
pub fn money_json(money: &Money) -> Value {
    json!({ "amount": money.to_string(), "currency": money.currency.as_str() })
}

/// Reads `mode`: whether the facts are an import of what happened long ago.
#[must_use]
pub fn history(object: &Object<'_>) -> bool {
    object
        .optional("mode")
        .and_then(|node| node.one_of(&[("live", false), ("history", true)]))
        .unwrap_or(false)
}

/// Reads the header `Idempotency-Key`, by which a client marks a repeat.
///
/// # Errors
///
/// What is wrong with it.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, String> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(text) if (1..=200).contains(&text.trim().len()) => Ok(Some(text.trim().to_owned())),
        _ => Err("the header Idempotency-Key must hold 1 to 200 visible ASCII characters".to_owned()),
    }
}

/// Makes the id of a delivery that nobody can repeat, for senders who gave none.
#[must_use]
pub fn unrepeatable() -> DeliveryId {
    DeliveryId::new("once", &uuid::Uuid::new_v4().to_string())
}

/// Reads the list of items in a request of one item, or of up to 100 under `key`.
#[must_use]
pub fn items<'a>(object: &Object<'a>, key: &'static str) -> Option<Vec<Node<'a>>> {
    let node = object.required(key)?;
    let items = node.list()?;
    if items.is_empty() || items.len() > MOST_ITEMS {
        node.fault(format!("has {} items; expected 1 to {MOST_ITEMS}", items.len()));
        return None;
    }
    Some(items)
}

/// Reads how many items of a list are asked for, 1 to 200.
///
/// # Errors
///
/// The fault.
pub fn limit(asked: Option<u32>, default: usize) -> Result<usize, crate::http::Problem> {
    match asked {
        None => Ok(default),
        Some(n @ 1..=200) => Ok(n as usize),
        Some(n) => Err(crate::http::Problem::fault("/limit", format!("is {n}; expected 1 to 200"))),
    }
}

/// Reads one item on its own, so that its faults do not touch the others'.
///
/// # Errors
///
/// The item's faults.
pub fn one<T>(value: &Value, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Result<T, crate::http::Problem> {
    let faults = Faults::new();
    let item = read(&Node::root(value, &faults));
    faults.into_result(item).map_err(crate::http::Problem::invalid)
}

/// Groups items by the identities that they share, each group in the order sent, so that items about one lead are
/// recorded one after the other and the others beside them.
#[must_use]
pub fn groups(items: &[Vec<String>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Vec<usize>, Vec<&str>)> = Vec::new();
    for (at, keys) in items.iter().enumerate() {
        let (shared, mut rest): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(_, known): &(Vec<usize>, Vec<&str>)| {
                keys.iter().any(|key| known.contains(&key.as_str()))
            });
        let mut members: Vec<usize> = Vec::new();
        let mut known: Vec<&str> = keys.iter().map(String::as_str).collect();
        for (places, more) in shared {
            members.extend(places);
            known.extend(more);
        }
        members.push(at);
        members.sort_unstable();
        known.sort_unstable();
        known.dedup();
        rest.push((members, known));
        groups = rest;
    }
    groups.into_iter().map(|(members, _)| members).collect()
}

/// Gives the word for what became of a fact.
#[must_use]
pub const fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Created { .. } => "created",
        Outcome::Updated { .. } => "updated",
        Outcome::Unchanged => "unchanged",
        Outcome::Illegal { .. } => "rejected",
    }
}

/// Gives a score as JSON.
#[must_use]
pub fn score_json(score: &Score) -> Value {
    json!({ "fit": score.fit, "engagement": score.engagement, "label": score.label.to_string() })
}

fn line_json(line: &Line) -> Value {
    let mut json = json!({
        "part": match line.part { Part::Fit => "fit", Part::Engagement => "engagement" },
        "kind": line.kind.as_str(),
        "group": line.group.as_ref().map(Slug::as_str),
        "rule": line.rule.as_ref().map(Slug::as_str),
        "points": line.points,
        "because": line.because,
        "basis": basis_json(&line.basis),
    });
    if let (domain::score::Basis::Withheld { points, .. }, Some(map)) = (&line.basis, json.as_object_mut()) {
        map.insert("withheld".to_owned(), (*points).into());
    }
    json
}

fn basis_json(basis: &domain::score::Basis) -> Value {
    use domain::score::Basis;
    match basis {
        Basis::Hits { signal, each, hits, days } => {
            let days: Vec<Value> =
                days.iter().map(|(day, hits)| json!({ "day": day.to_string(), "hits": hits })).collect();
            json!({ "kind": "hits", "signal": signal.as_str(), "each": each, "hits": hits, "days": days })
        }
        Basis::Condition(seen) => {
            let seen: Vec<Value> = seen.iter().map(seen_json).collect();
            json!({ "kind": "condition", "seen": seen })
        }
        Basis::HalfLife(days) => json!({ "kind": "half_life", "half_life_days": days }),
        Basis::Cap(cap) => json!({ "kind": "cap", "cap": cap }),
        Basis::Range => json!({ "kind": "range", "at_least": 0, "at_most": 100 }),
        Basis::Withheld { hits, .. } => {
            let by: Vec<Value> =
                hits.iter().map(|(rule, hits)| json!({ "machine": rule.as_str(), "hits": hits })).collect();
            json!({ "kind": "withheld", "by": by })
        }
    }
}

fn seen_json(seen: &Seen) -> Value {
    match seen {
        Seen::Attribute { name, value } => {
            json!({ "attribute": name.as_str(), "value": value.as_ref().map(AttributeValue::to_json) })
        }
        Seen::Signal { signal, hits, within_days } => {
            json!({ "signal": signal.as_str(), "hits": hits, "within_days": within_days })
        }
        Seen::Source { touch, field, value } => {
            let touch = match touch {
                WhichTouch::First => "first",
                WhichTouch::Last => "last",
            };
            let field = TouchField::WORDS.iter().find(|(_, f)| f == field).map_or("", |(word, _)| *word);
            json!({ "source": field, "touch": touch, "value": value })
        }
        Seen::Consent { purpose, status } => {
            json!({ "consent": purpose.as_str(), "status": status.map(ConsentStatus::as_str) })
        }
    }
}

/// Gives a score with its explanation as JSON. The points of the lines of each part add up to its number.
#[must_use]
pub fn explanation_json(explanation: &Explanation, playbook_version: u32, as_of: Timestamp) -> Value {
    let mut json = score_json(&explanation.score);
    if let Some(map) = json.as_object_mut() {
        map.insert("playbook_version".to_owned(), playbook_version.into());
        map.insert("as_of".to_owned(), as_of.to_string().into());
        map.insert("explanation".to_owned(), explanation.lines.iter().map(line_json).collect());
    }
    json
}

/// Gives as JSON when the points of each rule fade, as days; null where they do not within the time looked ahead.
#[must_use]
pub fn fading_json(fading: &[(Slug, Fading)]) -> Value {
    fading
        .iter()
        .map(|(rule, fading)| {
            json!({
                "rule": rule.as_str(),
                "half_on": fading.half_on.map(|day| day.to_string()),
                "gone_on": fading.gone_on.map(|day| day.to_string()),
            })
        })
        .collect()
}

/// Gives as JSON what would make a lead marketing-qualified.
#[must_use]
pub fn outlook_json(outlook: &Outlook) -> Value {
    let steps = |way: &Way| json!({ "steps": way.steps.iter().map(step_json).collect::<Vec<_>>() });
    let (stage, from, ways) = match outlook {
        Outlook::Elsewhere(stage) => (Some(stage.as_str()), None, Vec::new()),
        Outlook::Resting(day) => (None, Some(day.to_string()), Vec::new()),
        Outlook::Ways(ways) => (None, None, ways.iter().map(steps).collect()),
        Outlook::Ready | Outlook::OutOfReach => (None, None, Vec::new()),
    };
    let because = outlook.to_string();
    json!({ "status": outlook.as_str(), "because": because, "stage": stage, "from": from, "ways": ways })
}

fn step_json(step: &Step) -> Value {
    let says = step.to_string();
    match step {
        Step::Does { signal, times, .. } => {
            json!({ "kind": "does", "says": says, "signal": signal.as_str(), "times": times })
        }
        Step::Is { attribute, test, value } => {
            let (attribute, value) = (attribute.as_str(), value.to_json());
            json!({ "kind": "is", "says": says, "attribute": attribute, "test": test, "such_as": value })
        }
        Step::Agrees { purpose } => json!({ "kind": "agrees", "says": says, "purpose": purpose.as_str() }),
    }
}

/// Gives the owner of a lead as JSON.
#[must_use]
pub fn owner_json(lead: &Lead) -> Value {
    json!({ "team": lead.team().as_str(), "person": lead.person.as_ref().map(Slug::as_str) })
}

/// Gives consents as JSON.
#[must_use]
pub fn consents_json(consents: &Consents) -> Value {
    consents
        .0
        .iter()
        .map(|(purpose, state)| {
            json!({
                "purpose": purpose.as_str(),
                "status": state.status().map(ConsentStatus::as_str),
                "basis": state.basis().as_str(),
                "text": state.text,
                "source": state.source,
                "at": state.at().map(|at| at.to_string()),
            })
        })
        .collect()
}

/// Gives a touch as JSON.
#[must_use]
pub fn touch_json(touch: &Touch) -> Value {
    json!({
        "at": touch.at.to_string(),
        "channel": touch.channel,
        "campaign": touch.campaign,
        "landing_page": touch.landing_page,
    })
}

/// Gives the external ids of a lead as JSON.
#[must_use]
pub fn external_ids_json(lead: &Lead) -> Value {
    lead.external_ids().map(|id| json!({ "system": id.system(), "id": id.id() })).collect()
}

/// Gives the values of a lead's attributes as JSON.
#[must_use]
pub fn attributes_json(lead: &Lead) -> Map<String, Value> {
    lead.attributes
        .iter()
        .map(|(name, attribute)| (name.as_str().to_owned(), attribute.value.to_json()))
        .collect()
}

/// Gives a job: how far it has come, and its result once it is done.
#[must_use]
pub fn job_json(job: &Job) -> Value {
    let mut json = json!({
        "job": job.id(),
        "kind": job.kind.as_str(),
        "status": job.status.as_str(),
        "created_at": job.created_at.to_string(),
        "request": job.request,
        "progress": null,
        "result": null,
    });
    if let Some(map) = json.as_object_mut() {
        match job.kind {
            JobKind::Sweep => map.insert("progress".to_owned(), sweep_progress(job)),
            JobKind::Report | JobKind::Backtest | JobKind::Suggestion => {
                let (at, value) = match job.status {
                    JobStatus::Done => ("result", job.state.clone()),
                    _ => ("progress", job.state.get("progress").cloned().unwrap_or_default()),
                };
                map.insert(at.to_owned(), value)
            }
            // Who is erased is nobody's to read about, beside the id by which it was asked for.
            JobKind::Erase => {
                let lead = job.request.get("lead_id").cloned();
                map.insert("request".to_owned(), json!({ "lead_id": lead }))
            }
            JobKind::Reassign => {
                let at = if job.status == JobStatus::Done { "result" } else { "progress" };
                map.insert(at.to_owned(), job.state.clone())
            }
            // GET /v1/exports/{id} says more of it.
            JobKind::Export => None,
        };
    }
    json
}
