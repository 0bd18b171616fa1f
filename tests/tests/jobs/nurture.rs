//! Leads are kept warm: from a form through the tick to a mailbox, and back through the links of the mail.
//!
//! On the embedded database, with the real SDK. A worker dies here at each call that it makes, one after the other. Whether a
//! mail server took what it was given when the line broke nobody can know; that is a failure of the mailer here.

use adapters::clock::{Clock, SetClock};
use adapters::dynamodb::keys;
use adapters::http::Role;
use adapters::mail::{Mailbox, Message};
use adapters::ports::{Catalog, Commit, LeadLists, LeadStore, Page, Put, StoreError, Timeline, Visitors};
use adapters::suppressions::{self, Lifted};
use async_trait::async_trait;
use domain::change::{Change, Entry, Event};
use domain::consent::{ConsentStatus, Purpose};
use domain::identity::{Email, Identity, LeadId, Slug};
use domain::lead::Lead;
use domain::nurture::LEASE_MS;
use domain::suppression::Reason;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use testkit::builders::{a_lead, activate, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, FailingMailer, Failure, Failures, MemoryCatalog,
    MemoryLeadStore, MemoryMailer, RoleTokens, test_playbook,
};
use tests::{Answer, Api};

/// Monday, ten o'clock in Vienna.
const MONDAY: &str = "2026-11-23T09:00:00Z";
const BASE: &str = "https://leads.company.example/live";

/// The tests' playbook with one program, whose mails go at any hour a week apart.
fn nurturing(program: &Value) -> Value {
    let all_day: Value = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        .map(|day| (day.to_owned(), json!("00:00-24:00")))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut document = test_playbook();
    document["nurture"] = json!({
        "postal_address": "Company GmbH, 1010 Wien", "site": "https://www.company.example", "hours": all_day,
    });
    let mut whole = json!({
        "id": "warm", "title": "Warm up", "audience": { "stage": ["contact", "inquiry", "nurturing"] },
        "first_after_days": 0, "content": ["one", "two"],
    });
    whole.as_object_mut().unwrap().extend(program.as_object().unwrap().clone());
    document["programs"] = json!([whole]);
    document["consent"] = json!({ "single_opt_in": ["AT"] });
    let form = json!({
        "id": "paper",
        "fields": {
            "email": "email", "full_name": "attributes.full_name", "country": "attributes.country",
            "job_title": "attributes.job_title",
        },
        "consent": [{ "field": "consent_marketing", "purpose": "marketing", "text": "v1" }],
    });
    document["forms"].as_array_mut().unwrap().push(form);
    document
}

struct House {
    clock: Arc<SetClock>,
    failures: Failures,
    mailer: Arc<MemoryMailer>,
    tokens: RoleTokens,
    leads: Arc<dyn LeadStore>,
    nurture: nurture::App,
    api: Api,
}

impl House {
    /// Makes it on the memory store.
    async fn new(program: &Value) -> Self {
        Self::wired(program, Arc::new(MemoryLeadStore::new()), Arc::new(MemoryCatalog::new()), |store| store)
            .await
    }

    /// Makes it on the embedded database, which ends with what is given beside it.
    async fn on_dynamo(program: &Value) -> (Self, Dynamo) {
        let dynamo = Dynamo::start().await;
        let (store, catalog) = (Arc::new(dynamo.leads()), Arc::new(dynamo.catalog()));
        (Self::wired(program, store, catalog, |store| store).await, dynamo)
    }

    /// Makes it on any store, with what sends looking at leads through a store of one's own.
    async fn wired<S, W>(
        program: &Value,
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        wrap: impl FnOnce(Arc<FailingLeadStore<S>>) -> Arc<W>,
    ) -> Self
    where
        S: LeadStore + LeadLists + Timeline + Visitors + 'static,
        W: LeadStore + LeadLists + Timeline + 'static,
    {
        let clock = Arc::new(SetClock::at(time(MONDAY)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        activate(&nurturing(program), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let (failures, mailer) = (Failures::none(), Arc::new(MemoryMailer::new()));
        let from = Mailbox {
            name: Some("Company".to_owned()),
            email: Email::parse("hello@company.example").unwrap(),
        };
        let failing = Arc::new(FailingMailer::new(Arc::clone(&mailer), failures.clone()));
        let mut nurture = nurture::App::new(
            wrap(Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()))),
            Arc::new(FailingCatalog::new(Arc::clone(&catalog), failures.clone())),
            Some(nurture::Post::new(failing, from, BASE)),
            Arc::clone(&shown),
        );
        nurture.rate = Arc::new(nurture::rate::Rate::new(0));
        let api = Api::over(&store, &catalog, &shown);
        let leads: Arc<dyn LeadStore> = store;
        let house = Self { clock, failures, mailer, tokens, leads, nurture, api };
        for id in ["one", "two"] {
            let piece =
                json!({ "title": format!("Piece {id}"), "url": format!("/papers/{id}"), "kind": "guide" });
            let call = house.api.call("PUT", &format!("/v1/content/{id}"));
            call.token(house.tokens.of(Role::Marketing)).json(&piece).expect(201).await;
        }
        // The first key of links is made now, so that the calls of a tick are those of its mails.
        house.nurture.links.signer().await.unwrap();
        house
    }

    /// Lets somebody agree to mails on a form of a country in which that is enough.
    async fn agree(&self, name: &str) -> LeadId {
        let form = json!({
            "email": format!("{name}@company.example"), "full_name": name, "country": "AT",
            "submission_id": name, "consent_marketing": true, "job_title": "Clerk",
        });
        self.api.call("POST", "/v1/forms/paper").json(&form).expect(202).await;
        let email = json!({ "email": format!("{name}@company.example") });
        let found = self.call(Role::Sales, "/v1/leads/lookup", &email).await.json();
        LeadId::parse(found["items"][0]["lead_id"].as_str().unwrap()).unwrap()
    }

    async fn call(&self, role: Role, path: &str, body: &Value) -> Answer {
        self.api.call("POST", path).token(self.tokens.of(role)).json(body).expect(200).await
    }

    async fn tick(&self) -> Value {
        nurture::handle(&self.nurture, &json!({ "action": "due" })).await.unwrap().unwrap()
    }

    /// Lets a tick work that dies where a call hangs; tells whether it came to the end.
    async fn tick_or_die(&self) -> bool {
        let due = json!({ "action": "due" });
        tokio::select! {
            _ = nurture::handle(&self.nurture, &due) => true,
            () = self.failures.hung() => false,
        }
    }

    /// Tells how many partitions a tick looks into before the one that a lead stands in.
    fn looks_before(&self, id: &LeadId) -> usize {
        let first = self.clock.now().millis().div_euclid(MINUTE_MS).rem_euclid(16);
        usize::try_from((i64::from(keys::due_shard(id)) - first).rem_euclid(16)).unwrap()
    }

    async fn lead(&self, id: &LeadId) -> Lead {
        self.leads.load(std::slice::from_ref(id)).await.unwrap().pop().unwrap()
    }

    async fn dossier(&self, id: &LeadId) -> Value {
        let call = self.api.call("GET", &format!("/v1/leads/{id}?limit=200"));
        call.token(self.tokens.of(Role::Sales)).expect(200).await.json()
    }

    /// Gives the activities of a kind in the timeline, the oldest first.
    async fn told(&self, id: &LeadId, kind: &str) -> Vec<Value> {
        let dossier = self.dossier(id).await;
        let items = dossier["timeline"]["items"].as_array().unwrap();
        items.iter().rev().filter(|entry| entry["activity"] == kind).cloned().collect()
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    fn mails(&self) -> Vec<Message> {
        self.mailer.take()
    }
}

/// Finds the path of the first link of a kind in a mail's HTML.
fn link(message: &Message, kind: &str) -> String {
    let start = format!("/t/{kind}/");
    let (_, rest) =
        message.html.split_once(&format!("{BASE}{start}")).unwrap_or_else(|| panic!("{}", message.html));
    let token: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    format!("{start}{token}")
}

#[tokio::test]
async fn a_lead_gets_one_piece_after_the_other_a_week_apart_and_then_it_is_said_that_nothing_is_left() {
    let (house, _dynamo) = House::on_dynamo(&json!({})).await;
    let ada = house.agree("ada").await;
    let shown = house.dossier(&ada).await;
    assert_eq!(shown["nurture"]["program"], "warm", "{}", shown["nurture"]);
    assert_eq!(house.tick().await["sent"], 1);
    let [mail] = house.mails().try_into().unwrap();
    assert_eq!(mail.to.email.as_str(), "ada@company.example");
    assert_eq!(mail.id, format!("nurture.{ada}.1"));
    let header =
        |name: &str| mail.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert!(header("List-Unsubscribe").unwrap().starts_with(&format!("<{BASE}/t/u/")));
    assert_eq!(header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    for said in ["Piece one", "Company GmbH, 1010 Wien"] {
        assert!(mail.html.contains(said) && mail.text.contains(said), "{said}\n{}", mail.text);
    }
    for no in ["ada@company.example", "Clerk"] {
        assert!(!mail.html.contains(no), "{no} in {}", mail.html);
    }
    for _ in 0..3 {
        house.later(HOUR_MS);
        assert_eq!(house.tick().await["read"], 0, "nothing is due");
    }
    house.later(7 * DAY_MS);
    assert_eq!(house.tick().await["sent"], 1);
    house.later(7 * DAY_MS);
    assert_eq!(house.tick().await["exhausted"], json!({ "warm": 1 }));
    house.later(7 * DAY_MS);
    let again = house.tick().await;
    assert_eq!((&again["read"], &again["exhausted"]), (&json!(1), &json!({})), "it is said once");
    let subjects: Vec<String> = house.mails().into_iter().map(|mail| mail.id).collect();
    assert_eq!(subjects, [format!("nurture.{ada}.2")]);
    let sent = house.told(&ada, "email_sent").await;
    let pieces: Vec<&Value> = sent.iter().map(|entry| &entry["properties"]["content"]).collect();
    assert_eq!(pieces, ["one", "two"]);
    // New content is found when it is looked again.
    let piece = json!({ "title": "Piece three", "url": "/papers/three", "kind": "guide" });
    let call = house.api.call("PUT", "/v1/content/three");
    call.token(house.tokens.of(Role::Marketing)).json(&piece).expect(201).await;
    house.later(8 * DAY_MS);
    assert_eq!(house.tick().await["sent"], 0, "a fixed order has no room for it");
}

#[tokio::test]
async fn the_link_unsubscribes_at_once_and_the_click_leads_on_and_is_told() {
    let (house, _dynamo) = House::on_dynamo(&json!({})).await;
    let ada = house.agree("ada").await;
    house.tick().await;
    let [mail] = house.mails().try_into().unwrap();
    house.later(5 * MINUTE_MS);
    let router = adapters::http::split(nurture::router(house.nurture.clone())).0;
    let api = Api::of(router);
    let clicked = api.call("GET", &link(&mail, "c")).header("user-agent", "Mozilla/5.0 (X11)").send().await;
    assert!((302..=303).contains(&clicked.status), "{}", clicked.text());
    let to = clicked.header("location").to_owned();
    assert!(to.starts_with("https://www.company.example/papers/one?"), "{to}");
    assert!(to.contains("utm_medium=email") && to.contains("utm_campaign=warm"), "{to}");
    house.later(MINUTE_MS);
    let unsubscribe = link(&mail, "u");
    let form = "application/x-www-form-urlencoded";
    api.call("GET", &unsubscribe).expect(200).await;
    assert_eq!(house.dossier(&ada).await["nurture"]["program"], "warm", "looking changes nothing");
    api.call("POST", &unsubscribe).body(form, "List-Unsubscribe=One-Click").expect(200).await;
    let shown = house.dossier(&ada).await;
    assert_eq!(
        (&shown["nurture"]["program"], &shown["nurture"]["next_mail_at"]),
        (&Value::Null, &Value::Null)
    );
    house.later(30 * DAY_MS);
    assert_eq!(house.tick().await["sent"], 0);
    assert_eq!(house.mails().len(), 0);
    assert_eq!(house.told(&ada, "email_clicked").await.len(), 1);
}

#[tokio::test]
async fn a_tick_that_dies_at_any_call_neither_skips_a_mail_nor_repeats_one() {
    let mut outcomes = BTreeSet::new();
    let mut n = 0;
    let died = loop {
        n += 1;
        let (house, _dynamo) = House::on_dynamo(&json!({})).await;
        let ada = house.agree("ada").await;
        house.failures.take_calls();
        house.failures.on_call(house.looks_before(&ada) + n, Failure::Hangs);
        let came_to_the_end = house.tick_or_die().await;
        house.failures.take_calls();
        // Whoever comes next finds the claim, waits until its lease is over, and ends it.
        for _ in 0..4 {
            house.tick().await;
            house.later(LEASE_MS / 2);
        }
        let mails = house.mails();
        let sent = house.told(&ada, "email_sent").await;
        assert_eq!(sent.len(), 1, "died at call {n}");
        let known = sent[0]["properties"].get("outcome").is_none();
        assert!(mails.len() <= 1, "died at call {n}: sent {} times", mails.len());
        assert!(!known || mails.len() == 1, "died at call {n}: said to be sent and was not");
        outcomes.insert((known, mails.len()));
        // The next one keeps its distance and has the next number, whatever became of the first.
        house.later(7 * DAY_MS);
        assert_eq!(house.tick().await["sent"], 1, "died at call {n}");
        assert_eq!(house.mails()[0].id, format!("nurture.{ada}.2"));
        if came_to_the_end {
            break n - 1;
        }
    };
    assert!(died > 8, "it made {died} calls");
    // It went out and was told, it went out and nobody knew, it did not go and nobody knew.
    assert_eq!(outcomes, [(true, 1), (false, 1), (false, 0)].into());
}

#[tokio::test]
async fn a_store_that_fails_in_any_way_at_any_call_costs_no_mail_and_makes_no_second_one() {
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        for n in 1..45 {
            let house = House::new(&json!({})).await;
            let ada = house.agree("ada").await;
            house.failures.take_calls();
            house.failures.on_call(house.looks_before(&ada) + n, failure);
            let event = json!({ "action": "due" });
            let _told = nurture::handle(&house.nurture, &event).await;
            let calls = house.failures.take_calls();
            for _ in 0..4 {
                house.later(HOUR_MS / 2);
                house.tick().await;
            }
            // A mail that is refused for good is tried again a day later: then nothing fails any more.
            house.later(DAY_MS);
            house.tick().await;
            let (mails, sent) = (house.mails(), house.told(&ada, "email_sent").await);
            assert_eq!((mails.len(), sent.len()), (1, 1), "{failure:?} at call {n}");
            if house.looks_before(&ada) + n > calls.len() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_mailbox_that_a_server_says_is_not_there_is_never_mailed_again() {
    let (house, _dynamo) = House::on_dynamo(&json!({ "again_after_days": 1 })).await;
    let address = Email::parse("ada@company.example").unwrap();
    house.mailer.has_no(&address);
    let ada = house.agree("ada").await;
    let told = house.tick().await;
    assert_eq!(
        (&told["sent"], &told["failed"], &told["stopped"]),
        (&json!(0), &json!(0), &json!(1)),
        "{told}"
    );
    let lead = house.lead(&ada).await;
    assert_eq!(
        (lead.suppressed, lead.nurture.next_at, lead.nurture.messages),
        (Some(Reason::Bounced), None, 0)
    );
    assert_eq!(lead.content.len(), 0, "it did not have the piece");
    assert_eq!(lead.consents.status(Purpose::Marketing), Some(ConsentStatus::Confirmed), "nobody said no");
    let listed = suppressions::find(house.nurture.catalog.as_ref(), &address).await.unwrap().unwrap();
    assert_eq!((listed.reason, listed.by.as_str()), (Reason::Bounced, "mail"));
    let [bounce] = house.told(&ada, "email_bounced").await.try_into().unwrap();
    assert_eq!(
        bounce["properties"],
        json!({ "content": "one", "permanent": true, "program": "warm", "why": "NoSuchMailbox" })
    );
    for _ in 0..20 {
        house.later(2 * DAY_MS);
        assert_eq!(house.tick().await["read"], 0, "nothing is due");
    }
    // Taken off by a person, it is tried once more, and what the server says again is a new fact.
    let how = Lifted {
        at: house.clock.now(),
        by: "mia".to_owned(),
        because: "She says that it is back".to_owned(),
    };
    let nurture = &house.nurture;
    suppressions::lift(nurture.catalog.as_ref(), &nurture.write_path, &address, &how).await.unwrap();
    assert_eq!(house.tick().await["stopped"], 1);
    assert_eq!(house.told(&ada, "email_bounced").await.len(), 2);
    assert_eq!(house.lead(&ada).await.suppressed, Some(Reason::Bounced));
    assert_eq!((house.mails().len(), house.told(&ada, "email_sent").await.len()), (0, 0));
}

#[tokio::test]
async fn a_piece_that_the_mail_service_did_not_send_after_all_is_sent_again_and_one_that_came_back_for_now_is_not()
 {
    for (kind, detail, next) in [
        ("Reject", json!({}), "one"),
        ("Rendering Failure", json!({}), "one"),
        ("Bounce", json!({ "bounceType": "Transient", "bounceSubType": "General" }), "two"),
    ] {
        let house = House::new(&json!({})).await;
        let ada = house.agree("ada").await;
        house.tick().await;
        house.later(MINUTE_MS);
        let tags =
            json!({ "lead": [ada.as_str()], "message": ["1"], "program": ["warm"], "content": ["one"] });
        let at = house.clock.now().to_string();
        let mut detail = json!({ "bounce": detail });
        detail["bounce"]["timestamp"] = json!(at);
        detail["mail"] = json!({ "tags": tags, "timestamp": at });
        detail["eventType"] = json!(kind);
        let event = json!({ "source": "aws.ses", "detail": detail });
        assert_eq!(nurture::handle(&house.nurture, &event).await.unwrap().unwrap()["told"], "email_bounced");
        let lead = house.lead(&ada).await;
        assert_eq!(lead.suppressed, None, "{kind}");
        assert_eq!(lead.content.is_empty(), next == "one", "{kind}");
        house.later(7 * DAY_MS);
        assert_eq!(house.tick().await["sent"], 1, "{kind}");
        let sent = house.told(&ada, "email_sent").await;
        assert_eq!((sent.len(), &sent[1]["properties"]["content"]), (2, &json!(next)), "{kind}");
        let address = Email::parse("ada@company.example").unwrap();
        let listed = suppressions::find(house.nurture.catalog.as_ref(), &address).await.unwrap();
        assert_eq!(listed, None, "{kind}");
    }
}

#[tokio::test]
async fn wherever_a_worker_dies_or_a_store_fails_a_mailbox_that_is_not_there_comes_onto_the_list() {
    let address = Email::parse("ada@company.example").unwrap();
    for failure in [Failure::Hangs, Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        for n in 1.. {
            let house = House::new(&json!({})).await;
            house.mailer.has_no(&address);
            let ada = house.agree("ada").await;
            house.failures.take_calls();
            let at = house.looks_before(&ada) + n;
            house.failures.on_call(at, failure);
            let due = json!({ "action": "due" });
            tokio::select! {
                _ = nurture::handle(&house.nurture, &due) => {}
                () = house.failures.hung() => {}
            }
            let calls = house.failures.take_calls().len();
            for _ in 0..10 {
                house.later(DAY_MS);
                house.tick().await;
            }
            let lead = house.lead(&ada).await;
            assert_eq!(lead.suppressed, Some(Reason::Bounced), "{failure:?} at call {n}");
            let listed = suppressions::is_suppressed(house.nurture.catalog.as_ref(), &address).await.unwrap();
            assert_eq!(listed, Some(Reason::Bounced), "{failure:?} at call {n}");
            assert_eq!(house.mails().len(), 0);
            if at > calls {
                assert!(n > 8, "it made {n} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn ticks_at_the_same_time_send_one_mail() {
    let house = House::new(&json!({})).await;
    let mut leads = Vec::new();
    for n in 0..6 {
        leads.push(house.agree(&format!("lead{n}")).await);
    }
    let event = json!({ "action": "due" });
    let ticks = (0..5).map(|_| nurture::handle(&house.nurture, &event));
    for told in futures::future::join_all(ticks).await {
        told.unwrap();
    }
    let mut to: Vec<String> =
        house.mails().into_iter().map(|mail| mail.to.email.as_str().to_owned()).collect();
    to.sort();
    assert_eq!(to, (0..6).map(|n| format!("lead{n}@company.example")).collect::<Vec<_>>());
}

/// A store in which something happens to a lead right after a mail to it was claimed.
#[derive(Debug)]
struct Meddling<S> {
    inner: Arc<S>,
    api: std::sync::OnceLock<(Api, String, Value)>,
}

#[async_trait]
impl<S: LeadStore> LeadStore for Meddling<S> {
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
        let done = self.inner.commit_with(change, also).await?;
        if change.lead.nurture.sending.is_some()
            && let Some((api, token, fact)) = self.api.get()
        {
            let path = format!("/v1/leads/{}/feedback", change.lead.id);
            if fact.get("erase").is_some() {
                let path = format!("/v1/leads/{}", change.lead.id);
                api.call("DELETE", &path).token(token).expect(202).await;
                return Ok(done);
            }
            let path = match () {
                () if fact.get("lead").is_some() => "/v1/activities",
                () if fact.get("email").is_some() => "/v1/suppressions",
                () => &path,
            };
            api.call("POST", path).token(token).json(fact).expect(200).await;
        }
        Ok(done)
    }

    async fn erase(&self, lead: &Lead, event: &Event, also: &[Put]) -> Result<bool, StoreError> {
        self.inner.erase(lead, event, also).await
    }
}

#[async_trait]
impl<S: LeadLists> LeadLists for Meddling<S> {
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError> {
        self.inner.scan(segment, of, cursor).await
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> Result<Vec<LeadId>, StoreError> {
        self.inner.due(shard, until, most).await
    }

    async fn inbox(
        &self,
        owner: &Slug,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<adapters::ports::InboxLine>, StoreError> {
        self.inner.inbox(owner, limit, cursor).await
    }

    async fn held(&self, owner: &Slug, most: usize) -> Result<Vec<LeadId>, StoreError> {
        self.inner.held(owner, most).await
    }

    async fn about(&self) -> Result<u64, StoreError> {
        self.inner.about().await
    }

    async fn put_off(&self, lead: &LeadId, due_at: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.inner.put_off(lead, due_at, until).await
    }
}

#[async_trait]
impl<S: Timeline> Timeline for Meddling<S> {
    async fn entries(
        &self,
        lead: &LeadId,
        direction: adapters::ports::Direction,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError> {
        self.inner.entries(lead, direction, limit, cursor).await
    }
}

#[tokio::test]
async fn what_happens_between_choosing_and_sending_still_stops_the_mail() {
    let lead = json!({ "email": "ada@company.example" });
    for (role, fact) in [
        (Role::Sales, json!({ "kind": "opted_out", "purpose": "marketing" })),
        (Role::Sales, json!({ "kind": "disqualified", "reason": "competitor" })),
        (Role::Sales, json!({ "kind": "nurture_paused", "until": "2027-01-01" })),
        (Role::Sales, json!({ "kind": "qualified", "by": "at-1" })),
        (Role::Marketing, json!({ "email": "ada@company.example", "reason": "other" })),
        (Role::Capture, json!({ "lead": lead, "kind": "email_complained" })),
    ] {
        let slot: std::sync::OnceLock<Arc<Meddling<_>>> = std::sync::OnceLock::new();
        let (store, catalog) = (Arc::new(MemoryLeadStore::new()), Arc::new(MemoryCatalog::new()));
        let house = House::wired(&json!({}), store, catalog, |inner| {
            let meddling = Arc::new(Meddling { inner, api: std::sync::OnceLock::new() });
            slot.get_or_init(|| Arc::clone(&meddling));
            meddling
        })
        .await;
        let ada = house.agree("ada").await;
        let token = house.tokens.of(role).to_owned();
        slot.get().unwrap().api.set((house.api.clone(), token, fact.clone())).unwrap();
        let told = house.tick().await;
        assert_eq!((house.mails().len(), &told["sent"]), (0, &json!(0)), "{fact}");
        let after = house.lead(&ada).await;
        assert_eq!((after.nurture.sending, after.nurture.messages), (None, 0), "{fact}");
    }
}

#[tokio::test]
async fn who_is_erased_is_mailed_nothing_whether_a_mail_was_due_or_claimed() {
    let slot: std::sync::OnceLock<Arc<Meddling<_>>> = std::sync::OnceLock::new();
    let catalog = Arc::new(MemoryCatalog::new());
    let store = Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog)));
    let frozen = Arc::clone(&store);
    let house = House::wired(&json!({}), store, catalog, |inner| {
        let meddling = Arc::new(Meddling { inner, api: std::sync::OnceLock::new() });
        slot.get_or_init(|| Arc::clone(&meddling));
        meddling
    })
    .await;
    let token = house.tokens.of(Role::Admin).to_owned();
    // A mail is due, and the index shows the lead still.
    let ada = house.agree("ada").await;
    frozen.freeze_indexes();
    house.api.call("DELETE", &format!("/v1/leads/{ada}")).token(&token).expect(202).await;
    let told = house.tick().await;
    assert_eq!((&told["read"], &told["sent"], &told["failed"]), (&json!(1), &json!(0), &json!(0)));
    frozen.thaw_indexes();
    // A mail is claimed.
    let eve = house.agree("eve").await;
    slot.get().unwrap().api.set((house.api.clone(), token, json!({ "erase": true }))).unwrap();
    let told = house.tick().await;
    assert_eq!((&told["read"], &told["sent"], &told["failed"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(house.mails().len(), 0);
    for lead in [ada, eve] {
        assert!(house.leads.load(std::slice::from_ref(&lead)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn old_mails_of_somebody_who_was_erased_lead_on_and_say_what_is_so() {
    let (house, _dynamo) = House::on_dynamo(&json!({})).await;
    let ada = house.agree("ada").await;
    assert_eq!(house.tick().await["sent"], 1);
    let [mail] = house.mails().try_into().unwrap();
    let token = house.tokens.of(Role::Admin);
    house.api.call("DELETE", &format!("/v1/leads/{ada}")).token(token).expect(202).await;
    let on = house.api.call("GET", &link(&mail, "c")).expect(302).await;
    assert!(on.header("location").starts_with("https://www.company.example/"), "{:?}", on.headers);
    let (form, address) = ("application/x-www-form-urlencoded", Email::parse("ada@company.example").unwrap());
    let listed = async || suppressions::find(house.nurture.catalog.as_ref(), &address).await.unwrap();
    // Links of before did not know their address.
    let before = nurture::link::Mail {
        lead: ada.clone(),
        number: 1,
        program: None,
        content: None,
        made_at: house.clock.now(),
    };
    let before = nurture::link::MailLinks::new(&house.nurture.links, "", before).await.unwrap();
    for method in ["GET", "POST"] {
        let call = house.api.call(method, &before.unsubscribe(Purpose::Marketing)).body(form, "");
        let page = call.expect(410).await;
        assert!(page.text().contains("leads to nobody any more"), "{}", page.text());
        assert_eq!(listed().await, None);
    }
    let way_out = link(&mail, "u");
    house.api.call("GET", &way_out).expect(200).await;
    assert_eq!(listed().await, None, "following a link changes nothing");
    house.api.call("POST", &way_out).body(form, "").expect(200).await;
    assert_eq!(listed().await.unwrap().reason, Reason::Unsubscribed);
    // What the mail service has to tell is about nobody, and is not told again.
    let event = json!({ "source": "aws.ses", "detail": { "eventType": "Complaint",
        "mail": { "tags": { "lead": [ada.as_str()], "message": ["1"] } } } });
    let told = nurture::handle(&house.nurture, &event).await.unwrap().unwrap();
    assert_eq!(told["told"], "unknown_lead");
    assert!(house.leads.load(std::slice::from_ref(&ada)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_provider_does_not_take_is_tried_again_and_what_nobody_knows_is_said_and_never_sent_again() {
    let house = House::new(&json!({})).await;
    let ada = house.agree("ada").await;
    let sending = {
        let probe = House::new(&json!({})).await;
        let ada = probe.agree("ada").await;
        probe.failures.take_calls();
        let before = probe.looks_before(&ada);
        probe.tick().await;
        let calls = probe.failures.take_calls();
        calls.iter().position(|call| *call == "send_mail").unwrap() + 1 - before
    };
    house.failures.take_calls();
    house.failures.on_call(house.looks_before(&ada) + sending, Failure::Throttled);
    assert_eq!(house.tick().await["stopped"], 1);
    assert_eq!(house.tick().await["read"], 0, "not at once");
    house.later(HOUR_MS);
    assert_eq!(house.tick().await["sent"], 1);
    assert_eq!(house.mails()[0].id, format!("nurture.{ada}.1"), "it is the same mail");

    let house = House::new(&json!({})).await;
    let ada = house.agree("ada").await;
    house.failures.take_calls();
    house.failures.on_call(house.looks_before(&ada) + sending, Failure::TimedOutAfterWrite);
    assert_eq!(house.tick().await["unknown"], 1);
    assert_eq!(house.lead(&ada).await.nurture.sending, None, "nobody has to wait to hear of it");
    house.later(LEASE_MS + MINUTE_MS);
    assert_eq!(house.tick().await["read"], 0, "it is said once");
    assert_eq!(house.mails().len(), 1);
    let sent = house.told(&ada, "email_sent").await;
    assert_eq!((sent.len(), &sent[0]["properties"]["outcome"]), (1, &json!("unknown")));
}

#[tokio::test]
async fn who_ticked_a_box_is_asked_first_and_mailed_only_once_they_confirmed() {
    let (house, _dynamo) = House::on_dynamo(&json!({})).await;
    let form = json!({
        "email": "eva@company.example", "country": "DE", "submission_id": "eva", "consent_marketing": true,
    });
    house.api.call("POST", "/v1/forms/paper").json(&form).expect(202).await;
    assert_eq!(house.tick().await["sent"], 1);
    let [ask] = house.mails().try_into().unwrap();
    assert!(ask.subject.contains("bestätigen"), "in the language of Germany: {}", ask.subject);
    house.later(3 * DAY_MS);
    assert_eq!(house.tick().await["sent"], 0, "they are asked once, and mailed nothing");
    let email = json!({ "email": "eva@company.example" });
    let found = house.call(Role::Sales, "/v1/leads/lookup", &email).await.json();
    let eva = LeadId::parse(found["items"][0]["lead_id"].as_str().unwrap()).unwrap();
    assert_eq!(house.dossier(&eva).await["nurture"]["no_mails_because"], "has not confirmed consent");
    let api = Api::of(adapters::http::split(nurture::router(house.nurture.clone())).0);
    let confirm = link(&ask, "y");
    api.call("GET", &confirm).expect(200).await;
    assert_eq!(house.tick().await["sent"], 0, "a scanner that looks confirms nothing");
    api.call("POST", &confirm).body("application/x-www-form-urlencoded", "").expect(200).await;
    assert_eq!(house.tick().await["sent"], 1);
    assert_eq!(house.dossier(&eva).await["nurture"]["no_mails_because"], Value::Null);
    let [first] = house.mails().try_into().unwrap();
    assert!(first.html.contains("Piece one"));
}

#[tokio::test]
async fn mails_that_are_off_hold_up_nothing_else_that_is_due() {
    let mut house = House::new(&json!({})).await;
    house.nurture.post = None;
    let ada = house.agree("ada").await;
    house.tick().await;
    let lead = house.lead(&ada).await;
    assert!(lead.nurture.next_at.unwrap() > house.clock.now() && lead.nurture.sending.is_none());
}

/// Stores so many leads in memory, and gives the calls of a tick in which so many of them are due.
async fn calls_of_a_tick(all: usize, due: usize) -> Vec<&'static str> {
    let clock = Arc::new(SetClock::at(time(MONDAY)));
    let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let store = Arc::new(MemoryLeadStore::new());
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new());
    activate(&nurturing(&json!({})), Arc::clone(&catalog), Arc::clone(&shown)).await;
    let failures = Failures::none();
    let from = Mailbox { name: None, email: Email::parse("hello@company.example").unwrap() };
    let mailer = Arc::new(MemoryMailer::new());
    let mut app = nurture::App::new(
        Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone())),
        Arc::clone(&catalog),
        Some(nurture::Post::new(Arc::clone(&mailer) as _, from, BASE)),
        shown,
    );
    app.rate = Arc::new(nurture::rate::Rate::new(0));
    app.links.signer().await.unwrap();
    let playbook = domain::playbook::Playbook::parse(&nurturing(&json!({}))).unwrap();
    let people = domain::promise::People::nobody();
    for n in 0..all {
        let new = a_lead().known_by(testkit::builders::email(&format!("lead{n}@company.example")));
        let consent = domain::consent::ConsentFact {
            purpose: domain::consent::Purpose::Marketing,
            status: domain::consent::ConsentStatus::Confirmed,
            basis: domain::consent::Basis::Consent,
            text: None,
            source: None,
            at: clock.now(),
        };
        let fact = domain::change::Fact::Consent(consent);
        let subject = domain::change::Subject::Existing(Box::new(new.lead()));
        let facts = [testkit::builders::delivered(&n.to_string(), clock.now(), fact)];
        let mut change =
            domain::change::decide(subject, Vec::new(), &[], &facts, &playbook, people, clock.now());
        change.expected = None;
        if n >= due {
            // Not before next month.
            let at = clock.now().plus(30 * DAY_MS);
            change = domain::change::nurture::release(&change.lead, Some(at), &playbook, people, clock.now());
            change.expected = None;
        }
        assert_eq!(store.commit(&change).await.unwrap(), Commit::Done);
    }
    failures.take_calls();
    let told = nurture::handle(&app, &json!({ "action": "due" })).await.unwrap().unwrap();
    let read = told["read"].as_u64().unwrap();
    assert_eq!(usize::try_from(read).unwrap(), due, "{told}");
    let mut calls = failures.take_calls();
    calls.sort_unstable();
    calls
}

#[tokio::test]
async fn a_tick_costs_what_is_due_and_not_what_there_is() {
    let few = calls_of_a_tick(300, 40).await;
    let many = calls_of_a_tick(3_000, 40).await;
    assert_eq!(few, many);
    assert!(few.iter().filter(|call| **call == "load").count() >= 40);
}
