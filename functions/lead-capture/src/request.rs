//! What comes in with a token: activities, leads, consent.

use adapters::http::Problem;
use adapters::wire;
use adapters::write_path::About;
use axum::http::HeaderMap;
use domain::activity::{Activity, parse_kind};
use domain::attribute::{check_size, read_attributes, read_properties};
use domain::change::{Capture, Fact, Incoming};
use domain::fault::Faults;
use domain::identity::{Identity, LeadRef};
use domain::lead::Company;
use domain::reader::{Node, Object};
use domain::sales::DeliveryId;
use domain::time::Timestamp;
use serde_json::Value;

/// One item: whom it is about and what it says.
#[derive(Clone, Debug)]
pub struct Item {
    /// Whom it is about.
    pub about: About,
    /// What it says.
    pub fact: Incoming,
}

impl Item {
    /// Gives what the item's lead is named by, for grouping.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        match &self.about {
            About::Known(LeadRef::Id(id)) | About::Also(id, _) => vec![id.as_str().to_owned()],
            About::Known(LeadRef::Known(identity)) => vec![key(identity)],
            About::Anybody(identities) => identities.iter().map(key).collect(),
        }
    }
}

fn key(identity: &Identity) -> String {
    adapters::dynamodb::keys::identity_key(identity)
}

/// Tells whether two items name their lead in the same way.
#[must_use]
pub fn same(a: &About, b: &About) -> bool {
    match (a, b) {
        (About::Known(a), About::Known(b)) => a == b,
        (About::Anybody(a), About::Anybody(b)) => a == b,
        _ => false,
    }
}

/// A request of one item, or of many with a verdict each.
#[derive(Clone, Debug)]
pub enum Items {
    /// One.
    One(Box<Item>),
    /// Many.
    Many(Vec<Result<Item, Problem>>),
}

/// What the items of one request share.
struct Shared<'a> {
    key: Option<String>,
    by: &'a str,
    history: bool,
    /// Whether it is one item, sent by itself.
    alone: bool,
    now: Timestamp,
}

impl Shared<'_> {
    fn new<'a>(headers: &HeaderMap, by: &'a str, now: Timestamp) -> Result<Shared<'a>, Problem> {
        let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
        Ok(Shared { key, by, history: false, alone: false, now })
    }

    /// Chooses the id of a delivery: the sender's own, or the request's key with the item's place in it.
    fn delivery(
        &self,
        route: &str,
        own: Option<&str>,
        at: usize,
        or: impl FnOnce() -> DeliveryId,
    ) -> DeliveryId {
        match (own, &self.key) {
            (Some(id), _) => DeliveryId::new(&format!("{route} {}", self.by), id),
            (None, Some(key)) => DeliveryId::new(&format!("{route} key {}", self.by), &format!("{key}#{at}")),
            (None, None) => or(),
        }
    }
}

/// Reads one activity, or up to 100.
///
/// # Errors
///
/// The faults of the one, or of the envelope of the many.
pub fn activities(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Items, Problem> {
    let mut shared = Shared::new(headers, by, now)?;
    if body.get("activities").is_none() {
        let item = wire::one(body, |node| activity(node, &shared, 0))?;
        return Ok(Items::One(Box::new(item)));
    }
    let values = envelope(body, "activities", &mut shared)?;
    Ok(Items::Many(
        values.iter().enumerate().map(|(at, v)| wire::one(v, |node| activity(node, &shared, at))).collect(),
    ))
}

/// A lead that was logged by hand, with what sales reports of it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The lead.
    pub item: Item,
    /// What sales reports.
    pub feedback: Vec<Incoming>,
}

/// The most reports that come with a lead.
const MOST_REPORTS: usize = 5;
/// What sales may report of somebody whom nobody was handed.
const REPORTS: &[&str] = &["qualified", "opportunity", "won", "follow_up", "marketing_feedback"];

/// Reads one lead, with what sales reports of it.
///
/// # Errors
///
/// Its faults.
pub fn lead(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Logged, Problem> {
    let shared = Shared { alone: true, ..Shared::new(headers, by, now)? };
    wire::one(body, |node| {
        let object = node.object()?;
        let reports = object.optional("feedback").map(|node| node.list_or_one()).unwrap_or_default();
        if reports.len() > MOST_REPORTS {
            object.fault(format!("has {} reports; expected at most {MOST_REPORTS}", reports.len()));
        }
        let said = object.has("occurred_at");
        let item = upsert_of(node, object, &shared, 0);
        let at = item.as_ref().map_or(now, |item| item.fact.occurred_at);
        let read = |(n, report): (usize, &Node<'_>)| report_of(report, &shared, n, at, said.then_some(body));
        let feedback: Vec<Option<Incoming>> = reports.iter().enumerate().map(read).collect();
        Some(Logged { item: item?, feedback: feedback.into_iter().collect::<Option<_>>()? })
    })
}

/// Reads what sales reports together with a lead: of the lead's own time where it says none, and of its repeat a repeat.
fn report_of(
    node: &Node<'_>,
    shared: &Shared<'_>,
    n: usize,
    at: Timestamp,
    dated: Option<&Value>,
) -> Option<Incoming> {
    let object = node.object()?;
    let kind = object.required("kind")?.value().as_str().unwrap_or_default();
    if !REPORTS.contains(&kind) {
        let known = REPORTS.join(", ");
        object.fault(format!("is not reported together with a lead; expected a kind of: {known}"));
        return None;
    }
    let (own_time, own_id) = (object.has("occurred_at"), object.has("id"));
    let key = shared.key.as_ref().map(|key| format!("{key}#report{n}"));
    let sent = wire::feedback::fact(node, &object, key, shared.by, shared.now);
    object.finish();
    let mut fact = sent?.fact;
    if !own_time {
        fact.occurred_at = at;
    }
    if let Some(body) = dated.filter(|_| !own_id && shared.key.is_none()) {
        fact.delivery = DeliveryId::new("leads content", &format!("{body}#report{n}"));
    }
    Some(fact)
}

/// Reads up to 100 leads.
///
/// # Errors
///
/// The faults of the envelope.
pub fn leads(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Items, Problem> {
    let mut shared = Shared::new(headers, by, now)?;
    let values = envelope(body, "leads", &mut shared)?;
    Ok(Items::Many(
        values.iter().enumerate().map(|(at, v)| wire::one(v, |node| upsert(node, &shared, at))).collect(),
    ))
}

fn envelope(body: &Value, key: &'static str, shared: &mut Shared<'_>) -> Result<Vec<Value>, Problem> {
    let faults = Faults::new();
    let values = Node::root(body, &faults).object().and_then(|object| {
        shared.history = wire::history(&object);
        let items = wire::items(&object, key);
        object.finish();
        items.map(|items| items.iter().map(|node| node.value().clone()).collect::<Vec<_>>())
    });
    faults.into_result(values).map_err(Problem::invalid)
}

fn activity(node: &Node<'_>, shared: &Shared<'_>, at: usize) -> Option<Item> {
    let object = node.object()?;
    let about = object.required("lead").and_then(|node| about(&node));
    let kind = object.required("kind").and_then(|node| node.parsed(parse_kind));
    let when = wire::occurred_at(&object, shared.now);
    let properties = object.optional("properties").map(|node| read_properties(&node)).unwrap_or_default();
    let id = object.optional("id").and_then(|node| node.text(200));
    object.finish();
    let delivery = shared.delivery("activities", id, at, wire::unrepeatable);
    let fact = Incoming {
        delivery,
        occurred_at: when?.at,
        history: shared.history,
        by: format!("api:{}", shared.by),
        strict: false,
        fact: Fact::Activity(Activity { kind: kind?, properties }),
    };
    Some(Item { about: about?, fact })
}

/// Reads whom an activity is about: a lead by its id, or anybody by identities.
fn about(node: &Node<'_>) -> Option<About> {
    let object = node.object()?;
    if object.has("lead_id") {
        return wire::lead_ref(node).map(About::Known);
    }
    let identities = wire::some_identities(&object);
    object.finish();
    (!identities.is_empty()).then_some(About::Anybody(identities))
}

fn upsert(node: &Node<'_>, shared: &Shared<'_>, at: usize) -> Option<Item> {
    upsert_of(node, node.object()?, shared, at)
}

fn upsert_of(node: &Node<'_>, object: Object<'_>, shared: &Shared<'_>, at: usize) -> Option<Item> {
    let identities = wire::some_identities(&object);
    let when = wire::occurred_at(&object, shared.now);
    let time = when.map_or(shared.now, |when| when.at);
    let attributes = object.optional("attributes");
    let pointer = attributes.as_ref().map(|node| node.pointer().to_owned()).unwrap_or_default();
    let attributes = attributes.map(|node| read_attributes(&node)).unwrap_or_default();
    check_size(&attributes, &pointer, object.faults());
    let company = object.optional("company").and_then(|node| company(&node)).unwrap_or_default();
    let touch = object.optional("source").and_then(|node| wire::source(&node, time));
    let consents = object
        .optional("consent")
        .map(|node| node.list_or_one().iter().filter_map(|n| wire::consent(n, shared.now, time)).collect())
        .unwrap_or_default();
    let stage = match object.optional("stage") {
        Some(node) => node.one_of(&[("contact", Some(false)), ("customer", Some(true))]).flatten(),
        None => None,
    };
    object.finish();
    let when = when?;
    // With its own time the same content is the same fact; without one it says how things are now, and may say so again.
    let delivery = shared.delivery("leads", None, at, || {
        if when.said {
            DeliveryId::new("leads content", &node.value().to_string())
        } else {
            wire::unrepeatable()
        }
    });
    let capture = Capture {
        attributes,
        company,
        touch,
        consents,
        activity: None,
        responded: stage.is_none(),
        customer: stage == Some(true),
        public: false,
    };
    let fact = Incoming {
        delivery,
        occurred_at: when.at,
        history: shared.history,
        by: format!("api:{}", shared.by),
        strict: shared.alone,
        fact: Fact::Captured(Box::new(capture)),
    };
    (!identities.is_empty()).then_some(Item { about: About::Anybody(identities), fact })
}

fn company(node: &Node<'_>) -> Option<Company> {
    let object = node.object()?;
    let name = text(&object, "name", 200);
    let domain = text(&object, "domain", 253).map(|domain| domain.to_lowercase());
    let external_id = object.optional("external_id").and_then(|node| wire::external_id(&node));
    if let Some(domain) = &domain
        && (!domain.contains('.') || domain.contains(['@', '/', ' ', ':']))
    {
        object.fault("has a domain that is none; expected one such as company.example");
    }
    object.finish();
    Some(Company { name, domain, external_id })
}

fn text(object: &Object<'_>, key: &'static str, most: usize) -> Option<String> {
    object.optional(key).and_then(|node| node.text(most).map(str::to_owned))
}

/// Reads a statement about consent.
///
/// # Errors
///
/// Its faults.
pub fn consent(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Incoming, Problem> {
    let shared = Shared::new(headers, by, now)?;
    let fact = wire::one(body, |node| wire::consent(node, now, now))?;
    let delivery = shared.delivery("consent", None, 0, || {
        if body.get("at").is_some() {
            DeliveryId::new("consent content", &body.to_string())
        } else {
            wire::unrepeatable()
        }
    });
    Ok(Incoming {
        delivery,
        occurred_at: fact.at,
        history: false,
        by: format!("api:{by}"),
        strict: false,
        fact: Fact::Consent(fact),
    })
}
