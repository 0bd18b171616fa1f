//! Whom nobody may write to, from the tick and from what the mail service tells: on the memory store, with a set clock.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::mail::{Mailbox, Message};
use adapters::ports::{Catalog, Commit, LeadStore, Put, StoreError};
use adapters::suppressions::{self, Suppression};
use adapters::write_path::{About, WritePath};
use async_trait::async_trait;
use domain::change::{Change, Event, Fact};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::export::held_back;
use domain::identity::{Email, Identity, LeadId};
use domain::lead::Lead;
use domain::suppression::Reason;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use testkit::builders::{NOON, activate, delivered, email, time};
use testkit::{
    FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryLeadStore, MemoryMailer,
    RoleTokens, test_playbook,
};
use tests::Api;

/// What sends mails, with the API beside it, and a program for everybody who agreed.
struct House {
    clock: Arc<SetClock>,
    failures: Failures,
    mailer: Arc<MemoryMailer>,
    tokens: RoleTokens,
    nurture: nurture::App,
    api: Api,
}

impl House {
    async fn new() -> Self {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let mut document = test_playbook();
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let hours: serde_json::Map<_, _> =
            days.map(|day| (day.to_owned(), json!("00:00-24:00"))).into_iter().collect();
        document["nurture"] = json!({ "postal_address": "Company GmbH, 1010 Wien", "hours": hours,
            "site": "https://www.company.example" });
        document["programs"] = json!([{ "id": "warm", "title": "Warm up", "first_after_days": 0,
            "audience": { "stage": ["contact", "inquiry", "nurturing"] }, "content": ["one", "two"] }]);
        let plain = Arc::new(MemoryCatalog::new());
        let catalog: Arc<dyn Catalog> = Arc::clone(&plain) as _;
        activate(&document, Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let (failures, mailer) = (Failures::none(), Arc::new(MemoryMailer::new()));
        let store = Arc::new(MemoryLeadStore::beside(plain));
        let from = Mailbox { name: None, email: Email::parse("hello@company.example").unwrap() };
        let post = nurture::Post::new(Arc::clone(&mailer) as _, from, "https://api.company.example");
        let mut nurture = nurture::App::new(
            Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone())),
            Arc::new(FailingCatalog::new(Arc::clone(&catalog), failures.clone())),
            Some(post),
            Arc::clone(&shown),
        );
        nurture.rate = Arc::new(nurture::rate::Rate::new(0));
        let api = Api::over(&store, &catalog, &shown);
        let house = Self { clock, failures, mailer, tokens, nurture, api };
        for id in ["one", "two"] {
            let piece =
                json!({ "title": format!("Piece {id}"), "url": format!("/papers/{id}"), "kind": "guide" });
            let call = house.api.call("PUT", &format!("/v1/content/{id}"));
            call.token(house.tokens.of(Role::Marketing)).json(&piece).expect(201).await;
        }
        house
    }

    /// Brings a lead that agreed to mails.
    async fn agree(&self, name: &str) -> LeadId {
        let lead = json!({ "email": format!("{name}@company.example"), "attributes": { "country": "DE" },
            "consent": { "purpose": "marketing", "status": "confirmed" } });
        LeadId::parse(self.post(Role::Marketing, "/v1/leads", &lead).await["lead_id"].as_str().unwrap())
            .unwrap()
    }

    async fn post(&self, role: Role, path: &str, body: &Value) -> Value {
        self.api.call("POST", path).token(self.tokens.of(role)).json(body).expect(200).await.json()
    }

    async fn tick(&self) -> Value {
        nurture::handle(&self.nurture, &json!({ "action": "due" })).await.unwrap().unwrap()
    }

    async fn dossier(&self, id: &LeadId) -> Value {
        let call = self.api.call("GET", &format!("/v1/leads/{id}?limit=200"));
        call.token(self.tokens.of(Role::Sales)).expect(200).await.json()
    }

    /// Gives what the list says of somebody.
    async fn listed(&self, name: &str) -> Value {
        let email = json!({ "email": format!("{name}@company.example") });
        self.post(Role::Marketing, "/v1/suppressions/lookup", &email).await["items"][0]["reason"].clone()
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    fn mails(&self) -> Vec<Message> {
        self.mailer.take()
    }
}

/// What SES tells of a mail to a lead.
fn told_by_ses(lead: &LeadId, kind: &str, detail: &Value, at: Timestamp) -> Value {
    let mut event = json!({
        "source": "aws.ses",
        "detail": { "eventType": kind, "mail": { "tags": { "lead": [lead.as_str()], "message": ["1"] } } },
    });
    let mut detail = detail.clone();
    detail["timestamp"] = at.to_string().into();
    event["detail"][kind.to_lowercase()] = detail;
    event
}

#[tokio::test]
async fn an_address_that_is_dead_or_complained_comes_onto_the_list_and_stays_there_for_whoever_comes_with_it()
{
    for (kind, detail, reason, withdrawn) in [
        ("Bounce", json!({ "bounceType": "Permanent", "bounceSubType": "General" }), Some("bounced"), false),
        ("Bounce", json!({ "bounceType": "Transient", "bounceSubType": "MailboxFull" }), None, false),
        ("Complaint", json!({}), Some("complained"), true),
        ("Delivery", json!({}), None, false),
    ] {
        let house = House::new().await;
        let ada = house.agree("ada").await;
        house.tick().await;
        house.later(MINUTE_MS);
        let event = told_by_ses(&ada, kind, &detail, house.clock.now());
        for _ in 0..2 {
            nurture::handle(&house.nurture, &event).await.unwrap();
        }
        let dossier = house.dossier(&ada).await;
        assert_eq!(dossier["suppressed"], json!(reason), "{kind}");
        let status = if withdrawn { "withdrawn" } else { "confirmed" };
        assert_eq!(dossier["consent"][0]["status"], status, "{kind}");
        assert_eq!(house.listed("ada").await, json!(reason), "{kind}");
        assert_eq!(dossier["nurture"]["program"].is_null(), reason.is_some(), "{kind}");
        house.later(30 * DAY_MS);
        assert_eq!(house.tick().await["sent"], u64::from(reason.is_none()), "{kind}");
    }
}

#[tokio::test]
async fn a_worker_that_dies_while_it_hears_of_a_complaint_leaves_the_rest_to_the_next_try() {
    let mut call = 1;
    loop {
        let house = House::new().await;
        let ada = house.agree("ada").await;
        house.tick().await;
        house.failures.take_calls();
        house.failures.on_call(call, Failure::Hangs);
        let event = told_by_ses(&ada, "Complaint", &json!({}), house.clock.now());
        let ended = tokio::select! {
            done = nurture::handle(&house.nurture, &event) => { done.unwrap(); true },
            () = house.failures.hung() => false,
        };
        house.failures.heal();
        nurture::handle(&house.nurture, &event).await.unwrap();
        assert_eq!(house.dossier(&ada).await["suppressed"], "complained", "call {call}");
        assert_eq!(house.listed("ada").await, "complained", "call {call}");
        let dossier = house.dossier(&ada).await;
        let told = dossier["timeline"]["items"].as_array().unwrap().iter();
        assert_eq!(told.filter(|entry| entry["activity"] == "email_complained").count(), 1, "call {call}");
        if ended {
            break;
        }
        call += 1;
    }
    assert!(call > 3, "it dies at {call} calls");
}

#[tokio::test]
async fn whoever_fills_in_forms_in_somebody_s_name_for_a_year_has_three_mails_sent() {
    let house = House::new().await;
    let mut sent = Vec::new();
    for day in 0..360 {
        for n in 0..4 {
            let form = json!({
                "email": "eva@company.example", "country": "DE", "submission_id": format!("{day} {n}"),
                "consent_marketing": true, "full_name": "WIN https://evil.example",
            });
            house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
            house.later(6 * HOUR_MS);
            house.tick().await;
            sent.extend(house.mails().into_iter().map(|mail| (house.clock.now(), mail)));
        }
    }
    assert_eq!(sent.len(), 3, "{:?}", sent.iter().map(|(at, _)| at.to_string()).collect::<Vec<_>>());
    assert!(sent.windows(2).all(|two| two[1].0.since(two[0].0) >= DAY_MS), "at most one a day");
    assert!(sent.iter().all(|(_, mail)| !mail.html.contains("evil") && mail.html.contains("/t/y/")));
}

/// A store before which an address comes onto the list, once, right before a commit by which a lead gets an address.
#[derive(Debug)]
struct ListedMeanwhile {
    inner: Arc<MemoryLeadStore>,
    catalog: Arc<dyn Catalog>,
    lister: WritePath,
    listing: Mutex<Option<Suppression>>,
}

#[async_trait]
impl LeadStore for ListedMeanwhile {
    async fn owners(&self, identities: &[Identity]) -> Result<Vec<(Identity, LeadId)>, StoreError> {
        self.inner.owners(identities).await
    }

    async fn owner_by_key(&self, key: &str) -> Result<Option<LeadId>, StoreError> {
        self.inner.owner_by_key(key).await
    }

    async fn load(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError> {
        self.inner.load(ids).await
    }

    async fn commit_with(&self, change: &Change, also: &[Put]) -> Result<Commit, StoreError> {
        let listing = self.listing.lock().unwrap().take();
        if let Some(listing) = listing {
            let address = Email::parse("ada@company.example").unwrap();
            let done = suppressions::suppress(self.catalog.as_ref(), &self.lister, &address, &listing).await;
            assert_eq!(done.unwrap().lead, None, "nobody has the address yet");
        }
        self.inner.commit_with(change, also).await
    }

    async fn erase(&self, lead: &Lead, event: &Event, also: &[Put]) -> Result<bool, StoreError> {
        self.inner.erase(lead, event, also).await
    }
}

#[tokio::test]
async fn an_address_that_is_listed_while_a_lead_gets_it_is_heard_of_by_the_lead_all_the_same() {
    for (reason, withdrawn) in [(Reason::Legal, true), (Reason::Other, false)] {
        let house = House::new().await;
        let inner = Arc::new(MemoryLeadStore::new());
        let (catalog, playbooks) = (Arc::clone(&house.nurture.catalog), Arc::clone(&house.nurture.playbooks));
        let clock: Arc<dyn Clock> = Arc::clone(&house.clock) as _;
        let path =
            |store: Arc<dyn LeadStore>| WritePath::new(store, Arc::clone(&playbooks), Arc::clone(&clock));
        let now = house.clock.now();
        let listing = Suppression {
            reason,
            since: now,
            recorded_at: now,
            by: "mia".to_owned(),
            source: None,
            lifted: None,
        };
        let store = Arc::new(ListedMeanwhile {
            inner: Arc::clone(&inner),
            catalog,
            lister: path(Arc::clone(&inner) as _),
            listing: Mutex::new(Some(listing)),
        });
        let yes = ConsentFact {
            purpose: Purpose::Marketing,
            status: ConsentStatus::Confirmed,
            basis: Basis::Consent,
            text: None,
            source: None,
            at: now.plus(-MINUTE_MS),
        };
        let facts = [delivered("1", now.plus(-MINUTE_MS), Fact::Consent(yes))];
        let about = About::Anybody(vec![email("ada@company.example")]);
        let recorded = path(store).record(&about, &facts).await.unwrap();
        let [stored] = inner.leads().try_into().unwrap();
        assert_eq!(stored, recorded.lead, "whoever recorded it gets the lead as it is");
        assert_eq!(stored.suppressed, Some(reason));
        let status = if withdrawn { ConsentStatus::Withdrawn } else { ConsentStatus::Confirmed };
        assert_eq!(stored.consents.status(Purpose::Marketing), Some(status));
        assert_eq!(recorded.outcomes.len(), 1, "of what was asked for");
        // Exports read nothing but the lead.
        assert!(held_back(&stored, Purpose::Marketing).is_some());
    }
}

#[tokio::test]
async fn what_a_token_states_goes_to_the_address_that_it_brings_and_not_to_the_one_that_a_stranger_typed() {
    let house = House::new().await;
    let id = json!({ "system": "crm", "id": "7" });
    let known = json!({ "phone": "+436641234567", "external_id": id,
        "attributes": { "country": "DE", "first_name": "Ada" } });
    house.post(Role::Marketing, "/v1/leads", &known).await;
    house.later(MINUTE_MS);
    let form = json!({ "email": "eve@evil.example", "phone": "+436641234567", "submission_id": "x" });
    house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
    let yes = json!({ "purpose": "marketing", "status": "confirmed" });
    house.later(MINUTE_MS);
    house.post(Role::Marketing, "/v1/leads", &json!({ "external_id": id, "consent": yes })).await;
    house.later(MINUTE_MS);
    house.tick().await;
    let [asks] = house.mails().try_into().unwrap();
    assert_eq!(asks.to.email.as_str(), "eve@evil.example");
    assert!(
        asks.text.contains("/t/y/") && !asks.text.contains("Ada"),
        "it asks, and names nobody: {}",
        asks.text
    );
    house.later(MINUTE_MS);
    let own = json!({ "email": "ada@company.example", "external_id": id, "consent": yes });
    house.post(Role::Marketing, "/v1/leads", &own).await;
    house.later(MINUTE_MS);
    house.tick().await;
    let [mail] = house.mails().try_into().unwrap();
    assert_eq!(mail.to.email.as_str(), "ada@company.example");
    assert!(mail.text.contains("Ada"), "{}", mail.text);
    // The link of the mail that asked is another address's by now.
    let token = asks.text.split("/t/y/").nth(1).unwrap().split_whitespace().next().unwrap();
    house.api.call("POST", &format!("/t/y/{token}")).expect(410).await;
}

#[tokio::test]
async fn a_statement_that_is_sent_again_after_somebody_took_the_address_off_changes_nothing() {
    let house = House::new().await;
    let ada = house.agree("ada").await;
    let said = |reason: &str, at: Option<&str>| {
        let mut said = json!({ "email": "ada@company.example", "reason": reason });
        said["at"] = at.into();
        said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        said
    };
    let (catalog, path) = (Arc::clone(&house.nurture.catalog), &house.nurture.write_path);
    let address = Email::parse("ada@company.example").unwrap();
    let lift = async || {
        house.later(MINUTE_MS);
        let (by, because) = ("mia".to_owned(), "She called".to_owned());
        let how = suppressions::Lifted { at: house.clock.now(), by, because };
        suppressions::lift(catalog.as_ref(), path, &address, &how).await.unwrap();
        house.later(MINUTE_MS);
    };
    let stands = async || {
        let dossier = house.dossier(&ada).await;
        (dossier["suppressed"].clone(), dossier["consent"][0]["status"].clone())
    };
    let nightly = said("unsubscribed", Some("2024-05-01T12:00:00Z"));
    assert_eq!(house.post(Role::Marketing, "/v1/suppressions", &nightly).await["status"], "created");
    lift().await;
    house.agree("ada").await;
    let free = (Value::Null, json!("confirmed"));
    for _ in 0..2 {
        house.later(MINUTE_MS);
        let again = house.post(Role::Marketing, "/v1/suppressions", &nightly).await;
        assert_eq!((&again["status"], &again["lead_id"]), (&json!("unchanged"), &json!(ada.as_str())));
        assert_eq!(stands().await, free);
    }
    // What weighs more was not known to whoever took it off, and a later no is one.
    for later in [said("legal", Some("2024-05-01T12:00:00Z")), said("legal", None)] {
        house.later(MINUTE_MS);
        let status = &house.post(Role::Marketing, "/v1/suppressions", &later).await["status"];
        assert_eq!(*status, "created", "{later}");
        assert_eq!(stands().await, (json!("legal"), json!("withdrawn")), "{later}");
        lift().await;
        house.agree("ada").await;
        assert_eq!(stands().await, free);
    }
}

#[tokio::test]
async fn a_no_by_a_mail_of_somebody_who_was_erased_is_one_of_whoever_has_the_address_now() {
    for comes_back in [true, false] {
        let house = House::new().await;
        let ada = house.agree("ada").await;
        house.tick().await;
        let [mail] = house.mails().try_into().unwrap();
        let (_, url) = mail.headers.iter().find(|(name, _)| *name == "List-Unsubscribe").unwrap();
        let path = format!("/t/u/{}", url.split_once("/t/u/").unwrap().1.trim_end_matches('>'));
        assert!(!path.contains("company"), "no address stands in it");
        let admin = house.tokens.of(Role::Admin);
        house.api.call("DELETE", &format!("/v1/leads/{ada}")).token(admin).expect(202).await;
        nurture::handle(&house.nurture, &json!({ "action": "due" })).await.unwrap();
        house.later(MINUTE_MS);
        assert_eq!(house.listed("ada").await, Value::Null);
        let new = if comes_back { Some(house.agree("ada").await) } else { None };
        assert_ne!(new.as_ref(), Some(&ada));
        house.later(MINUTE_MS);
        let page = house.api.call("GET", &path).expect(200).await.text();
        assert!(page.contains("One-Click") && page.contains("Unsubscribe"), "{page}");
        let status = async |lead: &LeadId| house.dossier(lead).await["consent"][0]["status"].clone();
        if let Some(new) = &new {
            assert_eq!(status(new).await, "confirmed", "following a link changes nothing");
        }
        for _ in 0..2 {
            let body = ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click");
            let page = house.api.call("POST", &path).body(body.0, body.1).expect(200).await.text();
            assert!(page.contains("role=\"status\""), "{page}");
            house.later(MINUTE_MS);
        }
        match &new {
            Some(new) => {
                assert_eq!(status(new).await, "withdrawn");
                assert_eq!(house.listed("ada").await, Value::Null, "it may agree anew");
                // A yes by the mail of another lead waits until the owner of the address says it.
                let chosen = "choices=1&agree=marketing";
                let call = house.api.call("POST", &path).body("application/x-www-form-urlencoded", chosen);
                call.expect(200).await;
                assert_eq!(status(new).await, "pending");
            }
            None => {
                assert_eq!(house.listed("ada").await, "unsubscribed");
                let late = house.agree("ada").await;
                assert_eq!(house.dossier(&late).await["suppressed"], "unsubscribed");
            }
        }
        house.tick().await;
        assert!(house.mails().iter().all(|mail| !mail.html.contains("Piece")), "no mail goes there");
    }
}

#[tokio::test]
async fn a_server_that_has_none_of_many_mailboxes_and_takes_nothing_in_between_is_not_believed() {
    let house = House::new().await;
    let address = |n: usize| Email::parse(&format!("lead{n}@company.example")).unwrap();
    for n in 0..12 {
        house.mailer.has_no(&address(n));
        house.agree(&format!("lead{n}")).await;
    }
    let listed = async || {
        let mut all = 0;
        for n in 0..13 {
            all += usize::from(house.listed(&format!("lead{n}")).await == "bounced");
        }
        all
    };
    let told = house.tick().await;
    assert_eq!((&told["stopped"], &told["failed"], listed().await), (&json!(5), &json!(7), 5), "{told}");
    house.later(MINUTE_MS);
    assert_eq!(house.tick().await["read"], 0, "the others are tried again later");
    house.later(2 * HOUR_MS);
    let told = house.tick().await;
    assert_eq!((&told["failed"], listed().await), (&json!(7), 5), "nor by the next tick: {told}");
    // A mail that it takes shows that it works.
    house.agree("ada").await;
    assert_eq!(house.tick().await["sent"], 1);
    house.later(2 * HOUR_MS);
    house.tick().await;
    assert_eq!(listed().await, 10);
}
