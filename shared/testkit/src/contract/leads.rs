//! What is promised of single leads.

use super::Ports;
use crate::builders::{
    NOON, a_lead, activity, change, delivered, email, external, phone, slug, time, visitor,
};
use adapters::dynamodb::keys::identity_key;
use adapters::ports::{CatalogKind, Commit, Put, Record};
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Fact, Incoming, MarketingFeedback, Subject, decide};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{ExternalId, Identity};
use domain::lead::{Company, Touch};
use domain::money::{Currency, Money};
use domain::promise::People;
use domain::sales::{DeliveryId, Move};
use domain::time::{DAY_MS, HOUR_MS, Timestamp};
use futures::future::join_all;
use serde_json::json;

/// A lead is stored as it was decided, and every identity leads to it.
pub async fn a_stored_lead_reads_back_equal_and_is_found_by_each_identity(ports: &Ports) {
    let identities = [
        external("crm", "42"),
        email("ada@b.example"),
        phone("+431234567"),
        Identity::Anonymous(visitor("v-12345678")),
    ];
    let lead =
        identities.iter().fold(a_lead().ready(), |lead, identity| lead.known_by(identity.clone())).change();
    let stored = ports.store(&lead).await;
    assert_eq!(ports.read(&stored.id).await, stored);
    assert_eq!(stored.version, 1);
    for identity in &identities {
        let owners = ports.leads.owners(std::slice::from_ref(identity)).await.unwrap();
        assert_eq!(owners, vec![(identity.clone(), stored.id.clone())]);
        let owner = ports.leads.owner_by_key(&identity_key(identity)).await.unwrap();
        assert_eq!(owner, Some(stored.id.clone()));
    }
    let nobodys = identity_key(&email("nobody@b.example"));
    assert_eq!(ports.leads.owner_by_key(&nobodys).await.unwrap(), None);
    let mut twice: Vec<Identity> = identities.to_vec();
    twice.extend(identities.iter().cloned());
    twice.push(email("nobody@b.example"));
    let mut owners = ports.leads.owners(&twice).await.unwrap();
    owners.sort();
    let mut expected: Vec<_> =
        identities.iter().map(|identity| (identity.clone(), stored.id.clone())).collect();
    expected.sort();
    assert_eq!(owners, expected, "asked twice, answered once");
}

/// Makes one fact of each kind, with odd values in them.
fn every_kind(at: Timestamp) -> Vec<Incoming> {
    let eur = |text: &str| Money::parse(text, Currency::parse("EUR").unwrap()).ok();
    let deal = |id: &str| ExternalId::new("crm", id).unwrap();
    let by = Some(slug("at-1"));
    let note = Some("Grüße – \"quoted\"\n#hash \\ 🙂".to_owned());
    let number = |n: f64| NewAttribute { value: AttributeValue::Number(n), known_at: None };
    let text = |t: &str| NewAttribute { value: AttributeValue::Text(t.to_owned()), known_at: Some(at) };
    let attributes = [
        ("full_name", text("Ada Lovelace-Łukasiewicz")),
        ("company_size", number(120.0)),
        ("share", number(-0.125)),
        ("huge", number(1e120)),
        ("tiny", number(1e-120)),
        ("is_partner", NewAttribute { value: AttributeValue::Flag(false), known_at: None }),
        ("country", text("Kakania")),
    ];
    let capture = Capture {
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (AttributeName::parse(name).unwrap(), value))
            .collect(),
        company: Company {
            name: Some("Bureau & Söhne".to_owned()),
            domain: Some("b.example".to_owned()),
            external_id: Some(deal("C-1")),
        },
        touch: Some(Touch {
            at,
            channel: Some("paid_search".to_owned()),
            campaign: None,
            landing_page: Some("https://www.company.example/lp?a=1#b".to_owned()),
        }),
        consents: vec![ConsentFact {
            purpose: Purpose::Marketing,
            status: ConsentStatus::Pending,
            basis: Basis::SoftOptIn,
            text: Some("v3".to_owned()),
            source: None,
            at,
        }],
        activity: Some(activity("webinar_attended", &[("title", "Ünïcode"), ("#odd key", " spaced ")])),
        responded: true,
        customer: false,
        public: true,
    };
    let sales = |what: Move| Fact::Sales { what, by: by.clone(), note: note.clone() };
    let facts = vec![
        Fact::Captured(Box::new(capture)),
        Fact::Activity(activity("page_viewed", &[("path", "/pricing")])),
        sales(Move::Qualified),
        sales(Move::Assigned { to: slug("de-1"), promise_due_at: None }),
        sales(Move::Opportunity { deal: deal("D-1"), amount: eur("0.01") }),
        Fact::FollowUp { channel: "phone".to_owned(), result: None, by: by.clone(), note: note.clone() },
        sales(Move::Won { deal: deal("D-1"), amount: eur("1200.50") }),
        sales(Move::Lost { deal: Some(deal("D-2")), reason: Some("price".to_owned()) }),
        sales(Move::Churned),
        sales(Move::Accepted), // Makes no sense here: kept and skipped.
        sales(Move::Disqualified { reason: None }),
        Fact::MarketingFeedback {
            said: MarketingFeedback {
                campaign: Some("spring".to_owned()),
                content: None,
                sentiment: Some("negative".to_owned()),
                quote: note.clone(),
            },
            by: None,
            note: None,
        },
        Fact::Consent(ConsentFact {
            purpose: Purpose::Phone,
            status: ConsentStatus::Withdrawn,
            basis: Basis::Consent,
            text: None,
            source: Some("sales:at-1".to_owned()),
            at,
        }),
        Fact::Withdrawn { id: DeliveryId::new("test", "kind 7"), note: None },
    ];
    let times = (0..).map(|n| at.plus(n * HOUR_MS + n));
    facts
        .into_iter()
        .zip(times)
        .enumerate()
        .map(|(n, (fact, at))| delivered(&format!("kind {n}"), at, fact))
        .collect()
}

/// Whatever can happen to a lead is stored as it happened.
pub async fn a_lead_with_every_kind_of_fact_reads_back_equal_and_so_do_its_entries(ports: &Ports) {
    let (start, now) = (time("2026-11-01T08:00:00.123Z"), time(NOON));
    let stored = ports.store(&a_lead().ready().known_by(email("ada@b.example")).at(start).change()).await;
    let mut lead = stored.clone();
    let mut entries = Vec::new();
    for fact in every_kind(start.plus(DAY_MS)) {
        let change = change(&lead, &[fact], now);
        entries.extend(change.entries.clone());
        lead = ports.store(&change).await;
    }
    assert_eq!(entries.len(), 14, "each kind says something");
    assert_eq!(ports.read(&lead.id).await, lead);
    let history = ports.history(&lead.id).await;
    assert_eq!(history.split_first().unwrap().1, entries);
}

/// Nothing is made up.
pub async fn what_is_not_there_is_left_out(ports: &Ports) {
    let there = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    let (one, other) = (a_lead().lead().id, a_lead().lead().id);
    assert!(ports.leads.load(std::slice::from_ref(&one)).await.unwrap().is_empty());
    assert!(ports.leads.load(&[]).await.unwrap().is_empty());
    assert!(ports.leads.owners(&[]).await.unwrap().is_empty());
    let found = ports.leads.load(&[one.clone(), there.id.clone(), other]).await.unwrap();
    assert_eq!(found, vec![there]);
    assert!(ports.history(&one).await.is_empty());
}

/// More leads than one request of DynamoDB can ask for.
pub async fn a_hundred_and_ten_leads_are_read_at_once(ports: &Ports) {
    let changes: Vec<Change> =
        (0..110).map(|n| a_lead().known_by(external("crm", &n.to_string())).change()).collect();
    let mut stored = join_all(changes.iter().map(|change| ports.store(change))).await;
    let ids: Vec<_> = stored.iter().map(|lead| lead.id.clone()).collect();
    let mut found = ports.leads.load(&ids).await.unwrap();
    stored.sort_by(|a, b| a.id.cmp(&b.id));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, stored);
}

/// Makes two changes of one lead that know nothing of each other.
async fn two_changes(ports: &Ports) -> (Change, Change) {
    let lead = ports.store(&a_lead().ready().known_by(email("ada@b.example")).change()).await;
    let now = time(NOON).plus(DAY_MS);
    let view = |id: &str| {
        let fact = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
        let subject = Subject::Existing(Box::new(lead.clone()));
        let claims = vec![external("crm", id)];
        decide(
            subject,
            claims,
            &[],
            &[delivered(id, now, fact)],
            crate::builders::playbook(),
            People::nobody(),
            now,
        )
    };
    (view("one"), view("other"))
}

/// Who decided on what is no longer true decides again.
pub async fn a_commit_on_an_older_version_is_a_conflict_and_stores_nothing(ports: &Ports) {
    let (one, other) = two_changes(ports).await;
    let stored = ports.store(&one).await;
    let sent = ports.outbox.sent().await;
    assert_eq!(ports.leads.commit(&other).await.unwrap(), Commit::Conflict);
    assert_eq!(ports.read(&stored.id).await, stored);
    assert_eq!(ports.history(&stored.id).await.len(), 2);
    assert!(ports.leads.owners(&other.claims).await.unwrap().is_empty());
    assert_eq!(ports.outbox.sent().await, sent);
}

/// An id belongs to one lead.
pub async fn a_commit_that_creates_a_lead_which_exists_is_a_conflict(ports: &Ports) {
    let first = a_lead().known_by(email("ada@b.example"));
    let stored = ports.store(&first.change()).await;
    let again =
        a_lead().id(stored.id.clone()).known_by(email("eve@b.example")).at(time(NOON).plus(1)).change();
    assert_eq!(ports.leads.commit(&again).await.unwrap(), Commit::Conflict);
    assert_eq!(ports.read(&stored.id).await, stored);
    assert!(ports.leads.owners(&[email("eve@b.example")]).await.unwrap().is_empty());
}

/// A change of a lead that was erased does not bring it back.
pub async fn a_commit_on_a_lead_that_is_not_there_is_a_conflict(ports: &Ports) {
    let lead = a_lead().known_by(email("ada@b.example")).lead();
    let fact = Fact::Activity(activity("page_viewed", &[]));
    let change = change(&lead, &[delivered("view", time(NOON), fact)], time(NOON));
    assert_eq!(ports.leads.commit(&change).await.unwrap(), Commit::Conflict);
    assert!(ports.leads.load(std::slice::from_ref(&lead.id)).await.unwrap().is_empty());
    assert!(ports.history(&lead.id).await.is_empty());
}

/// An address belongs to one lead.
pub async fn an_identity_that_somebody_owns_is_a_conflict_and_nothing_is_stored(ports: &Ports) {
    let owner = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    let sent = ports.outbox.sent().await;
    let late = a_lead().ready().known_by(external("crm", "7")).known_by(email("ada@b.example")).change();
    assert_eq!(ports.leads.commit(&late).await.unwrap(), Commit::Conflict);
    let owners = ports.leads.owners(&late.claims).await.unwrap();
    assert_eq!(owners, vec![(email("ada@b.example"), owner.id)]);
    assert!(ports.leads.load(std::slice::from_ref(&late.lead.id)).await.unwrap().is_empty());
    assert!(ports.history(&late.lead.id).await.is_empty());
    assert_eq!(ports.outbox.sent().await, sent);
}

fn views(lead: &domain::lead::Lead, ids: &[&str]) -> Change {
    let fact = |id: &&str| {
        let fact = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
        delivered(id, time("2026-11-22T13:00:00Z"), fact)
    };
    change(lead, &ids.iter().map(fact).collect::<Vec<_>>(), time("2026-11-22T14:00:00Z"))
}

/// A delivery that comes again is told from one that lost a race.
pub async fn an_entry_that_is_there_is_a_repeat_and_nothing_is_stored(ports: &Ports) {
    let lead = ports.store(&a_lead().ready().known_by(email("ada@b.example")).change()).await;
    let mut lead = ports.store(&views(&lead, &["a", "b"])).await;
    // As if more than it remembers had come between.
    lead.recent.clear();
    let again = views(&lead, &["new", "a", "newer", "b"]);
    let place = |id: &str| {
        let id = domain::change::entry_id(time("2026-11-22T13:00:00Z"), DeliveryId::new("test", id));
        again.entries.iter().position(|entry| entry.id == id).unwrap()
    };
    let mut expected = vec![place("a"), place("b")];
    expected.sort_unstable();
    assert_eq!(ports.leads.commit(&again).await.unwrap(), Commit::Repeated(expected));
    assert_eq!(ports.history(&lead.id).await.len(), 3);
    assert_eq!(ports.read(&lead.id).await.version, lead.version);
}

/// Who lost a race looks again before anything is called a repeat.
pub async fn a_repeat_on_an_older_version_is_a_conflict(ports: &Ports) {
    let old = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    ports.store(&views(&old, &["a"])).await;
    assert_eq!(ports.leads.commit(&views(&old, &["a"])).await.unwrap(), Commit::Conflict);
}

/// Races for an address have one winner, and the losers leave nothing behind.
pub async fn of_twenty_that_claim_one_address_at_once_one_gets_it(ports: &Ports) {
    let changes: Vec<Change> = (0..20).map(|_| a_lead().known_by(email("ada@b.example")).change()).collect();
    let results = join_all(changes.iter().map(|change| ports.leads.commit(change))).await;
    let done: Vec<usize> = (0..20).filter(|at| *results[*at].as_ref().unwrap() == Commit::Done).collect();
    assert_eq!(done.len(), 1, "{results:?}");
    let ids: Vec<_> = changes.iter().map(|change| change.lead.id.clone()).collect();
    assert_eq!(ports.leads.load(&ids).await.unwrap(), vec![changes[done[0]].lead.clone()]);
}

/// Races for a version have one winner.
pub async fn of_twenty_that_change_one_version_at_once_one_does(ports: &Ports) {
    let lead = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    let changes: Vec<Change> = (0..20).map(|n| views(&lead, &[&n.to_string()])).collect();
    let results = join_all(changes.iter().map(|change| ports.leads.commit(change))).await;
    let done = results.iter().filter(|result| *result.as_ref().unwrap() == Commit::Done).count();
    assert_eq!(done, 1, "{results:?}");
    assert_eq!(ports.history(&lead.id).await.len(), 2);
}

/// A lead and records of the catalog are stored together or not at all.
pub async fn a_lead_is_stored_together_with_records_or_not_at_all(ports: &Ports) {
    let lead = ports.store(&a_lead().known_by(email("ada@b.example")).change()).await;
    let rotation = |n: u64| Put {
        record: Record {
            kind: CatalogKind::Rotation,
            id: "alps".to_owned(),
            version: n,
            body: json!({ "turns": n }),
            expires_at: None,
        },
        force: false,
    };
    let company = Put::new(CatalogKind::Company, "b.example", json!({ "person": "at-2" }));
    let change = views(&lead, &["1"]);
    let stored = async || ports.catalog.get(CatalogKind::Rotation, "alps").await.unwrap();
    // A record that is not there yet cannot be written over: nothing is stored.
    let refused = ports.leads.commit_with(&change, &[company.clone(), rotation(2)]).await.unwrap();
    assert_eq!((refused, stored().await), (Commit::Conflict, None));
    assert_eq!(ports.catalog.get(CatalogKind::Company, "b.example").await.unwrap(), None);
    assert_eq!(ports.read(&lead.id).await, lead);
    let done = ports.leads.commit_with(&change, &[company, rotation(1)]).await.unwrap();
    assert_eq!((done, stored().await), (Commit::Done, Some(rotation(1).record)));
    assert_eq!(ports.read(&lead.id).await, change.lead);
    // A lead that changed meanwhile: no record is stored.
    let again = ports.leads.commit_with(&change, &[rotation(2)]).await.unwrap();
    assert_eq!((again, stored().await), (Commit::Conflict, Some(rotation(1).record)));
}

/// Of those who write one record together with leads of their own, one does.
pub async fn of_twenty_leads_that_take_one_turn_at_once_one_does(ports: &Ports) {
    let mut changes: Vec<Change> = Vec::new();
    for n in 0..20 {
        let lead = ports.store(&a_lead().known_by(email(&format!("{n}@b.example"))).change()).await;
        changes.push(views(&lead, &["1"]));
    }
    let turn = [Put::new(CatalogKind::Rotation, "alps", json!({ "turns": 1 }))];
    let results = join_all(changes.iter().map(|change| ports.leads.commit_with(change, &turn))).await;
    let done = results.iter().filter(|result| *result.as_ref().unwrap() == Commit::Done).count();
    assert_eq!(done, 1, "{results:?}");
}

/// What leaves the system says after which version of the lead it was.
pub async fn events_are_stored_with_the_version_that_caused_them(ports: &Ports) {
    let change = a_lead().ready().known_by(email("ada@b.example")).change();
    let lead = ports.store(&change).await;
    let sent = ports.outbox.sent().await;
    let kinds: Vec<&str> = sent.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.len(), change.events.len());
    for kind in ["captured", "became_qualified", "handed_off", "stage_changed"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert!(sent.iter().all(|event| event.lead == lead.id && event.version == 1));
    let lost = Fact::Sales { what: Move::Lost { deal: None, reason: None }, by: None, note: None };
    ports.happen(&lead, &[delivered("lost", time(NOON), lost)], time(NOON)).await;
    let sent = ports.outbox.sent().await;
    assert!(sent.iter().any(|event| event.kind == "outcome" && event.version == 2), "{sent:?}");
}
