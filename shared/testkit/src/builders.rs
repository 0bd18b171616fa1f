//! A lead, a fact, a playbook, in one line each.

use adapters::clock::{Clock, new_lead_id};
use adapters::playbooks::Playbooks;
use adapters::ports::Catalog;
use domain::activity::Activity;
use domain::agreement::SignOff;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Entry, Fact, Incoming, Subject, decide, entry_id};
use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, Phone, Slug};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::DeliveryId;
use domain::stage::Team;
use domain::time::Timestamp;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The time at which tests begin: a Sunday noon in November.
pub const NOON: &str = "2026-11-22T12:00:00Z";

/// Reads a time.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|| panic!("{text} is no time"))
}

/// Reads an identifier.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// Reads an e-mail address.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn email(text: &str) -> Identity {
    Identity::Email(Email::parse(text).unwrap())
}

/// Reads a phone number.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn phone(text: &str) -> Identity {
    Identity::Phone(Phone::parse(text).unwrap())
}

/// Makes an external id.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn external(system: &str, id: &str) -> Identity {
    Identity::External(ExternalId::new(system, id).unwrap())
}

/// Reads a browser's id.
///
/// # Panics
///
/// Where it is none.
#[must_use]
pub fn visitor(text: &str) -> AnonymousId {
    AnonymousId::parse(text).unwrap()
}

/// Gives the document of the tests' own playbook: small, and with numbers that can be added up in the head.
///
/// Its form `contact` takes the same fields as the starter's.
#[must_use]
pub fn test_playbook() -> Value {
    serde_json::from_str(include_str!("playbook.json")).expect("the tests' playbook is JSON")
}

/// Gives the tests' own playbook, read.
#[must_use]
pub fn playbook() -> &'static Playbook {
    static PLAYBOOK: OnceLock<Playbook> = OnceLock::new();
    PLAYBOOK.get_or_init(|| {
        Playbook::parse(&test_playbook()).unwrap_or_else(|faults| panic!("the tests' playbook: {faults:?}"))
    })
}

/// Gives the document of `playbooks/b2b-starter.yaml`.
///
/// # Panics
///
/// Where it cannot be read.
#[must_use]
pub fn starter_playbook() -> Value {
    let path = crate::dynamo::root().join("playbooks/b2b-starter.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Strict, so that `NO` is Norway.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(&text, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes a playbook as the first version and makes it the active one.
///
/// # Panics
///
/// Where the playbook has faults or the catalog fails.
pub async fn activate(document: &Value, catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) {
    let playbooks = Playbooks::new(catalog, clock);
    let stored = playbooks
        .add(document, "the tests", None)
        .await
        .unwrap()
        .unwrap_or_else(|faults| panic!("{faults:?}"));
    let first = playbooks.activate_first(stored.number, "the tests").await.unwrap();
    assert!(first, "the playbook can be activated");
}

/// Writes a playbook as the next version, has both teams sign it, and makes it the active one; gives its number.
///
/// # Panics
///
/// Where the playbook has faults, is active already, or the catalog fails.
pub async fn agree(document: &Value, playbooks: &Playbooks) -> u32 {
    let stored = playbooks.add(document, "the tests", None).await.unwrap();
    let stored = stored.unwrap_or_else(|faults| panic!("{faults:?}"));
    sign(stored.number, playbooks).await;
    playbooks.activate(stored.number, "the tests").await.unwrap().expect("both keys are there");
    stored.number
}

/// Proposes a version and has both teams sign it.
///
/// # Panics
///
/// Where there is no such version, it is active already, or the catalog fails.
pub async fn sign(number: u32, playbooks: &Playbooks) {
    let proposed = playbooks.propose(number, "the tests").await.unwrap().unwrap().unwrap();
    for (team, holder) in [(Team::Marketing, "mia"), (Team::Sales, "at-1")] {
        let sign_off = SignOff {
            team,
            holder: holder.to_owned(),
            at: time(NOON),
            hash: proposed.hash.clone(),
            against: playbooks.pointer().await.unwrap().map(|active| active.number),
            backtest: None,
            comment: None,
        };
        playbooks.sign(number, &sign_off).await.unwrap().unwrap().unwrap();
    }
}

/// Makes an activity.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn activity(kind: &str, properties: &[(&str, &str)]) -> Activity {
    let value = |text: &str| AttributeValue::Text(text.to_owned());
    let properties = properties.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    Activity { kind: kind.to_owned(), properties }
}

/// Makes a delivery of a fact.
#[must_use]
pub fn delivered(id: &str, at: Timestamp, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("test", id);
    Incoming { delivery, occurred_at: at, history: false, by: "test".to_owned(), strict: false, fact }
}

/// Makes an entry as a page's script brings it, before anybody knows whose it is.
#[must_use]
pub fn page_view(id: &str, at: Timestamp, path: &str) -> Entry {
    Entry {
        id: entry_id(at, DeliveryId::new("test", id)),
        at,
        recorded_at: at,
        by: "page:contact".to_owned(),
        history: false,
        fact: Fact::Activity(activity("page_viewed", &[("path", path)])),
        effects: Vec::new(),
        playbook_version: 0,
    }
}

/// Decides what facts change about an existing lead, under the tests' playbook.
#[must_use]
pub fn change(lead: &Lead, facts: &[Incoming], now: Timestamp) -> Change {
    decide(
        Subject::Existing(Box::new(lead.clone())),
        Vec::new(),
        &[],
        facts,
        playbook(),
        People::nobody(),
        now,
    )
}

/// Starts a new lead, known by nothing and captured at [`NOON`].
#[must_use]
pub fn a_lead() -> LeadBuilder {
    LeadBuilder { id: new_lead_id(), identities: Vec::new(), capture: Capture::default(), at: time(NOON) }
}

/// A lead in the making.
#[derive(Clone, Debug)]
pub struct LeadBuilder {
    id: LeadId,
    identities: Vec<Identity>,
    capture: Capture,
    at: Timestamp,
}

impl LeadBuilder {
    /// Gives it an id.
    #[must_use]
    pub fn id(mut self, id: LeadId) -> Self {
        self.id = id;
        self
    }

    /// Lets it be known by an identity.
    #[must_use]
    pub fn known_by(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Gives it an attribute.
    ///
    /// # Panics
    ///
    /// Where the name is none.
    #[must_use]
    pub fn with(mut self, name: &str, value: AttributeValue) -> Self {
        let name = AttributeName::parse(name).unwrap();
        self.capture.attributes.insert(name, NewAttribute { value, known_at: None });
        self
    }

    /// Lets it have been captured at a time.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// Lets it be one of ours that asked to be contacted: it is handed to the qualifier of Austria.
    #[must_use]
    pub fn ready(mut self) -> Self {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        self.capture.responded = true;
        self.capture.activity = Some(activity("contact_requested", &[]));
        self.with("country", text("AT"))
            .with("company_size", AttributeValue::Number(120.0))
            .with("job_title", text("Head of Sales"))
    }

    /// Gives the delivery that brings it.
    #[must_use]
    pub fn fact(&self, id: &str, at: Timestamp) -> Incoming {
        delivered(id, at, Fact::Captured(Box::new(self.capture.clone())))
    }

    /// Gives the change that stores it.
    #[must_use]
    pub fn change(&self) -> Change {
        let subject = Subject::New { id: self.id.clone(), playbook_version: 1 };
        let facts = [self.fact(&format!("capture of {}", self.id), self.at)];
        decide(subject, self.identities.clone(), &[], &facts, playbook(), People::nobody(), self.at)
    }

    /// Gives the lead as it is once it is stored.
    #[must_use]
    pub fn lead(&self) -> Lead {
        self.change().lead
    }
}
