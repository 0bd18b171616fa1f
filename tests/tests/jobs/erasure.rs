//! Somebody is forgotten: whole, at once, whoever dies in between and whoever races; and a no outlives them.
//!
//! The proof on the embedded database reads every item of every table. What a person is known by must stand in none of them,
//! and their lead's id in two: the event that tells of it, and the job that did it.

use adapters::claims::{self, Claim, End};
use adapters::clock::{Clock, SetClock};
use adapters::crm;
use adapters::erasure::{LOOK_AGAIN_MS, job_id};
use adapters::http::Role;
use adapters::jobs::{JobKind, JobStatus, LEASE_MS, MOST_ATTEMPTS};
use adapters::ports::{
    Catalog, CatalogKind, Commit, Direction, LeadLists, LeadStore, Put, Remains, Timeline, Visitors,
};
use adapters::won;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::change::Change;
use domain::identity::{AnonymousId, Email, Identity, LeadId};
use domain::similar::{LatestWon, Trait, Won};
use domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use testkit::builders::{NOON, activate, email, external, phone, time, visitor};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryLeadStore, RoleTokens,
};
use tests::{Answer, Api};

const ADDRESS: &str = "ada.secret@company.example";
const SECOND: &str = "ada.second@company.example";
const PHONE: &str = "+436641234567";
const NAME: &str = "Lovelace";
const BROWSER: &str = "v-ada0123456789";
const CRM_ID: &str = "crm-4711-ada";

/// What may stand nowhere once Ada is forgotten.
const HERS: &[&str] = &["ada.secret", "ada.second", "6641234567", NAME, BROWSER, CRM_ID, "Grüße"];

/// A store with its functions, of which those that erase meet failures.
struct House {
    clock: Arc<SetClock>,
    failures: Failures,
    tokens: RoleTokens,
    catalog: Arc<dyn Catalog>,
    leads: Arc<dyn LeadStore>,
    timeline: Arc<dyn Timeline>,
    visitors: Arc<dyn Visitors>,
    rescore: rescore::App,
    api: Api,
}

impl House {
    async fn in_memory() -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        Self::over(Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog))), catalog).await
    }

    async fn on_dynamo() -> (Self, Dynamo) {
        let dynamo = Dynamo::start().await;
        let house = Self::over(Arc::new(dynamo.leads()), Arc::new(dynamo.catalog())).await;
        (house, dynamo)
    }

    async fn over<S, C>(store: Arc<S>, catalog: Arc<C>) -> Self
    where
        S: LeadStore + LeadLists + Timeline + Visitors + Remains + 'static,
        C: Catalog + 'static,
    {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let plain: Arc<dyn Catalog> = Arc::clone(&catalog) as _;
        activate(&super::personas::playbook(), Arc::clone(&plain), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&plain), Arc::clone(&shown)).await.unwrap();
        let failures = Failures::none();
        let failing: Arc<dyn Catalog> = Arc::new(FailingCatalog::new(catalog, failures.clone()));
        let fails = Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()));
        let rescore =
            rescore::App::on_one_machine(Arc::clone(&fails), Arc::clone(&failing), Arc::clone(&shown));
        let api = Api::over(&fails, &failing, &shown);
        Self {
            clock,
            failures,
            tokens,
            catalog: plain,
            leads: Arc::clone(&store) as _,
            timeline: Arc::clone(&store) as _,
            visitors: store,
            rescore,
            api,
        }
    }

    async fn call(&self, role: Role, method: &str, path: &str, body: &Value) -> Answer {
        let call = self.api.call(method, path).token(self.tokens.of(role));
        if body.is_null() { call.send().await } else { call.json(body).send().await }
    }

    async fn does(&self, role: Role, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.call(role, method, path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("\"rejected\""), "{}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    async fn id_of(&self, address: &str) -> Option<LeadId> {
        let owners = self.leads.owners(&[email(address)]).await.unwrap();
        owners.into_iter().next().map(|(_, lead)| lead)
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    async fn erase(&self, lead: &LeadId) -> Answer {
        self.call(Role::Admin, "DELETE", &format!("/v1/leads/{lead}"), &Value::Null).await
    }

    /// Erases as a client does that is told to come again.
    async fn insist(&self, lead: &LeadId) -> Answer {
        for _ in 0..5 {
            let answer = self.erase(lead).await;
            if answer.status != 503 {
                return answer;
            }
        }
        panic!("five times 503");
    }

    async fn tick(&self) -> Result<Value, rescore::RescoreError> {
        rescore::handle(&self.rescore, json!({ "action": "due" })).await
    }

    async fn status(&self, lead: &LeadId) -> Option<JobStatus> {
        let job = self.rescore.jobs.list().await.unwrap();
        job.into_iter().find(|job| job.id() == job_id(lead)).map(|job| job.status)
    }

    /// Ticks until nothing is left to be done about an erasure; half an hour is plenty where nothing fails any more.
    async fn settle(&self, lead: &LeadId) {
        for _ in 0..6 {
            self.tick().await.unwrap();
            self.later(5 * MINUTE_MS);
        }
        assert_eq!(self.status(lead).await, Some(JobStatus::Done));
    }

    async fn history(&self, lead: &LeadId) -> usize {
        let page = self.timeline.entries(lead, Direction::Forward, 1_000, None).await.unwrap();
        page.items.len()
    }

    /// Lets Ada do everything that leaves a trace.
    async fn life_of_ada(&self) -> LeadId {
        let view = |n: u32| json!({"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": format!("p-{n}")});
        let seen =
            json!({"anonymous_id": BROWSER, "consent": {"tracking": true}, "activities": [view(1), view(2)]});
        self.api.call("POST", "/v1/forms/contact/activities").json(&seen).expect(202).await;
        self.later(MINUTE_MS);
        let form = json!({
            "email": ADDRESS, "full_name": format!("Ada {NAME}"), "company": "Company Ltd.", "country": "AT",
            "phone": PHONE, "job_title": "Head of Sales", "company_size": "120", "message": format!("Grüße, {NAME}"),
            "submission_id": "s-1", "anonymous_id": BROWSER, "consent_marketing": true,
        });
        self.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
        self.later(MINUTE_MS);
        let lead = self.id_of(ADDRESS).await.unwrap();
        let ids = json!({"system": "crm", "id": CRM_ID});
        for address in [ADDRESS, SECOND] {
            let by_hand = json!({"email": address, "external_id": ids, "attributes": {"last_name": NAME}});
            self.does(Role::Marketing, "POST", "/v1/leads", &by_hand).await;
        }
        assert_eq!(self.id_of(SECOND).await.as_ref(), Some(&lead));
        for n in 0..30 {
            self.later(MINUTE_MS);
            let did = json!({"lead": {"email": ADDRESS}, "kind": "page_viewed", "id": format!("a-{n}"),
                "properties": {"path": format!("/people/{NAME}")}});
            self.does(Role::Capture, "POST", "/v1/activities", &did).await;
        }
        let path = format!("/v1/leads/{lead}");
        let yes =
            json!({"purpose": "marketing", "status": "confirmed", "source": format!("call with {NAME}")});
        self.does(Role::Sales, "POST", &format!("{path}/consent"), &yes).await;
        let took = json!({"kind": "accepted", "note": format!("{NAME} wants an offer")});
        self.does(Role::Sales, "POST", &format!("{path}/feedback"), &took).await;
        lead
    }

    /// Writes beside the lead what others know of it.
    async fn talk_about(&self, lead: &LeadId) {
        let catalog = self.catalog.as_ref();
        let now = self.clock.now();
        if adapters::webhooks::all(catalog).await.unwrap().is_empty() {
            self.does(Role::Admin, "POST", "/v1/webhooks", &json!({"url": "http://127.0.0.1:1/"})).await;
            let mapping = json!({"preset": "salesforce",
                "auth": {"kind": "header", "header": "x-api-key", "secret": "a-key-of-the-crm"}});
            self.does(Role::Admin, "PUT", "/v1/crm/mappings/crm", &mapping).await;
            let said = json!({"kind": "interview_prospect", "with": "customer", "source": format!("Mail of {ADDRESS}"),
                "text": format!("Call me at {PHONE} or {ADDRESS}"), "date": "2026-03-01", "weight": 3});
            self.does(Role::Marketing, "POST", "/v1/personas/olga/evidence", &said).await;
        }
        for channel in crm::channels(catalog).await.unwrap() {
            let mut kept = crm::Kept::read(catalog, &crm::id(&channel, lead.as_str())).await.unwrap();
            kept.known.standing = crm::Standing::Made { id: CRM_ID.to_owned() };
            assert!(kept.write(catalog).await.unwrap());
        }
        let mail = format!("{}fact", claims::of_hand_overs(lead));
        let Claim::Ours(held) = claims::take(catalog, &mail, now, now.plus(30 * DAY_MS), 1).await.unwrap()
        else {
            panic!("nobody else takes this claim");
        };
        claims::end(catalog, &held, End::Done, now).await.unwrap();
        let other = LeadId::from_bytes([9; 16]);
        let force = |kind, id: &str, body| Put { force: true, ..Put::new(kind, id, body) };
        let mut latest = LatestWon::default();
        latest.extend([lead, &other].map(|lead| {
            Won {
                lead: lead.clone(),
                at: now,
                traits: Trait::WORDS
                    .iter()
                    .map(|(_, one)| (*one, NAME.to_owned()))
                    .take(usize::from(lead != &other))
                    .collect(),
            }
        }));
        let done = json!({"kind": "report", "status": "done", "request": {"report": "marketing-feedback"}, "attempts": 1,
            "created_at": now.to_string(), "not_before": now.to_string(),
            "state": {"rows": [["spring", 1, 0, [[1, "fact", lead.as_str(), 1, format!("{NAME} said so")],
                [2, "fact", other.as_str(), 1, "well"]]]],
                "leads": [{"lead_id": lead.as_str(), "title": NAME}, {"lead_id": other.as_str()}]}});
        let turn = json!({"day": "2026-11-22", "leads": [lead.as_str(), other.as_str()]});
        let puts = [
            won::put(&latest, now),
            force(CatalogKind::Release, "at-1", turn),
            force(CatalogKind::Job, "report-1", done),
        ];
        assert!(catalog.put(&puts).await.unwrap());
    }

    /// Tells everything that is left of a lead, by what a store answers.
    async fn left_of(&self, lead: &LeadId) -> Vec<String> {
        let mut left = Vec::new();
        let found = self.leads.load(std::slice::from_ref(lead)).await.unwrap();
        left.extend(found.iter().map(|_| "the lead".to_owned()));
        let hers = [
            email(ADDRESS),
            email(SECOND),
            phone(PHONE),
            external("crm", CRM_ID),
            Identity::Anonymous(visitor(BROWSER)),
        ];
        let owned = self.leads.owners(&hers).await.unwrap();
        left.extend(owned.iter().filter(|(_, owner)| owner == lead).map(|(known, _)| format!("{known:?}")));
        left.extend((0..self.history(lead).await).map(|n| format!("entry {n}")));
        let seen = self.visitors.recall(&AnonymousId::parse(BROWSER).unwrap(), 100).await.unwrap();
        left.extend(seen.iter().map(|entry| format!("visit {}", entry.id)));
        for (word, kind) in CatalogKind::WORDS {
            for record in self.catalog.list(*kind, 1_000, None).await.unwrap().items {
                let text = format!("{} {}", record.id, record.body);
                let named = text.contains(lead.as_str()) && record.id != job_id(lead);
                if named || HERS.iter().any(|word| text.contains(word)) {
                    left.push(format!("{word} {text}"));
                }
            }
        }
        left
    }
}

/// Gives the items of all tables in which one of the words stands, each with its table.
async fn items_with(dynamo: &Dynamo, words: &[&str]) -> Vec<(&'static str, String)> {
    let tables = &dynamo.tables;
    let all = [
        ("Leads", &tables.leads),
        ("Timeline", &tables.timeline),
        ("Identities", &tables.identities),
        ("Catalog", &tables.catalog),
        ("Outbox", &tables.outbox),
    ];
    let mut found = Vec::new();
    for (name, table) in all {
        for item in dynamo.items(table).await {
            // What is packed as bytes is looked through too.
            let bytes = |value: &AttributeValue| {
                value.as_b().map_or_else(
                    |_| format!("{value:?}"),
                    |blob| String::from_utf8_lossy(blob.as_ref()).into_owned(),
                )
            };
            let item: BTreeMap<&String, String> =
                item.iter().map(|(name, value)| (name, bytes(value))).collect();
            let text = format!("{item:?}");
            if words.iter().any(|word| text.contains(word)) {
                found.push((name, text));
            }
        }
    }
    found
}

#[tokio::test]
async fn nothing_of_somebody_who_is_forgotten_stands_in_any_table() {
    let (house, dynamo) = House::on_dynamo().await;
    let ada = house.life_of_ada().await;
    house.talk_about(&ada).await;
    let eve = json!({"email": "eve@company.example", "full_name": "Eve", "submission_id": "s-eve", "country": "AT"});
    house.api.call("POST", "/v1/forms/contact").json(&eve).expect(202).await;
    let before = items_with(&dynamo, HERS).await;
    let tables: BTreeSet<&str> = before.iter().map(|(table, _)| *table).collect();
    assert_eq!(tables, BTreeSet::from(["Leads", "Timeline", "Catalog"]), "she is known well");
    let eve = house.id_of("eve@company.example").await.unwrap();
    let of_eve = async || {
        let page = house.timeline.entries(&eve, Direction::Forward, 100, None).await.unwrap();
        (house.leads.load(std::slice::from_ref(&eve)).await.unwrap(), page.items)
    };
    let eve_before = of_eve().await;

    let answer = house.erase(&ada).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let expected = json!({"lead_id": ada.as_str(), "job": job_id(&ada), "status": "waiting",
        "external_ids": [{"system": "crm", "id": CRM_ID}]});
    assert_eq!(answer.json(), expected);
    for (method, path, role, body, status) in [
        ("GET", format!("/v1/leads/{ada}"), Role::Sales, Value::Null, 404),
        ("POST", format!("/v1/leads/{ada}/feedback"), Role::Sales, json!({"kind": "accepted"}), 404),
        ("DELETE", format!("/v1/leads/{ada}"), Role::Admin, Value::Null, 202),
    ] {
        assert_eq!(house.call(role, method, &path, &body).await.status, status, "{method} {path}");
    }
    let found = house.does(Role::Sales, "POST", "/v1/leads/lookup", &json!({"email": ADDRESS})).await;
    assert_eq!(found["items"], json!([]), "at once nobody finds her");

    // The job as the function is called that starts it.
    let worked = rescore::handle(&house.rescore, json!({ "job": job_id(&ada) })).await.unwrap();
    assert_eq!(worked["status"], "running", "it looks once more later");
    let told =
        |items: &[(&str, String)]| items.iter().map(|(table, _)| (*table).to_owned()).collect::<Vec<_>>();
    let left = items_with(&dynamo, HERS).await;
    assert_eq!(told(&left), ["Catalog"], "how another system calls her, in the job: {left:?}");
    let left = items_with(&dynamo, &[ada.as_str()]).await;
    assert_eq!(told(&left), ["Catalog", "Outbox"], "{left:?}");
    assert!(left[0].1.contains(&job_id(&ada)) && left[1].1.contains("erased"), "{left:?}");

    // Somebody had read the lead before, and writes beside it after.
    house.talk_about(&ada).await;
    house.later(LOOK_AGAIN_MS - MINUTE_MS);
    house.tick().await.unwrap();
    assert_eq!(house.status(&ada).await, Some(JobStatus::Running));
    house.later(MINUTE_MS);
    house.tick().await.unwrap();
    assert_eq!(house.status(&ada).await, Some(JobStatus::Done));
    let left = items_with(&dynamo, HERS).await;
    assert!(left.is_empty(), "{left:?}");
    let left = items_with(&dynamo, &[ada.as_str()]).await;
    assert_eq!(told(&left), ["Catalog", "Outbox"], "{left:?}");
    assert!(house.left_of(&ada).await.is_empty());
    assert_eq!(house.erase(&ada).await.status, 404, "there is nothing more to be forgotten");
    let job = house.does(Role::Marketing, "GET", &format!("/v1/jobs/{}", job_id(&ada)), &Value::Null).await;
    assert_eq!((&job["status"], &job["request"]), (&json!("done"), &json!({ "lead_id": ada.as_str() })));

    // Everybody else is as before, in lists that she stood in too.
    assert_eq!(of_eve().await, eve_before);
    let other = LeadId::from_bytes([9; 16]);
    let latest = won::latest(house.catalog.as_ref()).await.unwrap().won;
    assert_eq!(latest.iter().map(|won| won.lead).collect::<Vec<_>>(), std::slice::from_ref(&other));
    let turn = house.catalog.get(CatalogKind::Release, "at-1").await.unwrap().unwrap();
    assert_eq!(turn.body["leads"], json!([other.as_str()]));
    let report = house.rescore.jobs.get("report-1").await.unwrap().unwrap();
    assert_eq!(report.state["leads"], json!([{ "lead_id": other.as_str() }]));
    assert_eq!(report.state["rows"], json!([["spring", 1, 0, [[2, "fact", other.as_str(), 1, "well"]]]]));
}

#[tokio::test]
async fn an_erasure_that_meets_any_failure_ends_as_if_there_had_been_none() {
    let story = async |house: &House, ada: &LeadId| {
        let answer = house.insist(ada).await;
        // Whose answer got lost hears of the job, which may be at work by then.
        assert_eq!(answer.status, 202, "{}", answer.text());
        let _told = rescore::handle(&house.rescore, json!({ "job": job_id(ada) })).await;
    };
    let calm = House::in_memory().await;
    let ada = calm.life_of_ada().await;
    calm.talk_about(&ada).await;
    assert!(!calm.left_of(&ada).await.is_empty());
    calm.failures.take_calls();
    story(&calm, &ada).await;
    let calls = calm.failures.take_calls();
    assert!(calls.contains(&"erase") && calls.contains(&"forget_entries") && calls.len() > 20, "{calls:?}");
    calm.settle(&ada).await;
    assert_eq!(calm.left_of(&ada).await, Vec::<String>::new());
    for (n, call) in (1..).zip(&calls) {
        for way in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
            let house = House::in_memory().await;
            let ada = house.life_of_ada().await;
            house.talk_about(&ada).await;
            house.failures.take_calls();
            house.failures.on_call(n, way);
            story(&house, &ada).await;
            house.failures.heal();
            house.tick().await.unwrap();
            assert_ne!(
                house.status(&ada).await,
                Some(JobStatus::Done),
                "call {n}, {call}, {way:?}: it looks again later"
            );
            house.settle(&ada).await;
            assert_eq!(house.left_of(&ada).await, Vec::<String>::new(), "call {n}, {call}, {way:?}");
        }
    }
}

#[tokio::test]
async fn whoever_dies_at_any_step_leaves_a_whole_lead_or_one_that_the_tick_forgets() {
    let calm = House::in_memory().await;
    let ada = calm.life_of_ada().await;
    calm.talk_about(&ada).await;
    calm.failures.take_calls();
    calm.erase(&ada).await;
    let asked = calm.failures.take_calls().len();
    calm.tick().await.unwrap();
    let first = calm.failures.take_calls().len();
    calm.later(LOOK_AGAIN_MS);
    calm.tick().await.unwrap();
    let second = calm.failures.take_calls().len();
    assert_eq!(calm.status(&ada).await, Some(JobStatus::Done));
    let (mut whole, mut gone) = (0, 0);
    for n in 1..=asked + first + second {
        let house = House::in_memory().await;
        let ada = house.life_of_ada().await;
        house.talk_about(&ada).await;
        let before = house.left_of(&ada).await;
        house.failures.take_calls();
        let work = async {
            house.erase(&ada).await;
            house.tick().await.unwrap();
            house.later(LOOK_AGAIN_MS);
            house.tick().await.unwrap();
        };
        house.failures.on_call(n, Failure::Hangs);
        tokio::select! {
            () = work => panic!("call {n} hangs"),
            () = house.failures.hung() => {}
        }
        house.failures.heal();
        if house.status(&ada).await.is_none() {
            // What her browser did goes before she does, who has a copy.
            let but_visits = |mut left: Vec<String>| {
                left.retain(|what| !what.starts_with("visit "));
                left
            };
            let left = but_visits(house.left_of(&ada).await);
            assert_eq!(left, but_visits(before), "call {n}: nothing was done");
            whole += 1;
            house.insist(&ada).await;
        } else {
            let left = house.leads.load(std::slice::from_ref(&ada)).await.unwrap();
            assert!(left.is_empty() && house.id_of(ADDRESS).await.is_none(), "call {n}");
            gone += 1;
        }
        house.later(LEASE_MS);
        house.settle(&ada).await;
        assert_eq!(house.left_of(&ada).await, Vec::<String>::new(), "call {n}");
    }
    assert!(whole >= 3 && gone > 30, "{whole} died before, {gone} after");
}

#[tokio::test]
async fn whoever_races_with_an_erasure_is_forgotten_too_or_is_somebody_new() {
    let (on_dynamo, _dynamo) = House::on_dynamo().await;
    for (name, house) in [("memory", House::in_memory().await), ("DynamoDB", on_dynamo)] {
        house.failures.every_write(3, Failure::Conflict);
        let ada = house.life_of_ada().await;
        let send = async |n: usize| {
            let body = json!({"lead": {"email": ADDRESS}, "kind": "page_viewed", "id": format!("race-{n}")});
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            let answer = house.call(Role::Capture, "POST", "/v1/activities", &body).await;
            LeadId::parse(answer.ok(name)["lead_id"].as_str().unwrap()).unwrap()
        };
        let (went_to, erased) = futures::future::join(join_all((0..20).map(send)), house.erase(&ada)).await;
        assert_eq!(erased.status, 202, "{name}: {}", erased.text());
        house.failures.heal();
        house.settle(&ada).await;
        let after: Vec<&LeadId> = went_to.iter().filter(|lead| **lead != ada).collect();
        match house.id_of(ADDRESS).await {
            Some(new) => {
                assert!(new != ada && after.iter().all(|lead| **lead == new), "{name}: {went_to:?}");
                assert_eq!(house.history(&new).await, after.len(), "{name}: only what came after");
                let known = house.leads.load(std::slice::from_ref(&new)).await.unwrap().pop().unwrap();
                assert_eq!(known.identities, [email(ADDRESS)], "{name}");
            }
            None => assert!(after.is_empty(), "{name}: {went_to:?}"),
        }
        assert!(house.leads.load(std::slice::from_ref(&ada)).await.unwrap().is_empty(), "{name}");
        assert_eq!(house.history(&ada).await, 0, "{name}");
        assert_eq!(house.id_of(SECOND).await, None, "{name}");
    }
}

#[tokio::test]
async fn ten_who_erase_one_lead_at_once_hear_of_one_job_and_one_event_goes_out() {
    let (house, dynamo) = House::on_dynamo().await;
    let ada = house.life_of_ada().await;
    let answers = join_all((0..10).map(|_| house.erase(&ada))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.json()["job"]), (202, &json!(job_id(&ada))));
    }
    let told = items_with(&dynamo, &["erased"]).await.into_iter().filter(|(table, _)| *table == "Outbox");
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn who_said_no_is_not_written_to_whoever_brings_the_address_back() {
    for no in ["withdrawn", "suppressed", "lifted", "never"] {
        let house = House::in_memory().await;
        let ada = house.life_of_ada().await;
        house.later(MINUTE_MS);
        let listed = json!({"email": ADDRESS, "reason": "legal"});
        match no {
            "withdrawn" => {
                let body = json!({"purpose": "marketing", "status": "withdrawn", "source": "phone call"});
                house.does(Role::Sales, "POST", &format!("/v1/leads/{ada}/consent"), &body).await;
            }
            "suppressed" => drop(house.does(Role::Marketing, "POST", "/v1/suppressions", &listed).await),
            "lifted" => {
                let other = json!({"email": ADDRESS, "reason": "other"});
                house.does(Role::Marketing, "POST", "/v1/suppressions", &other).await;
                let body = json!({"email": ADDRESS, "because": "It was a mistake"});
                let person = json!({"role": "admin", "holder": "at-1"});
                let person = house.does(Role::Admin, "POST", "/v1/tokens", &person).await;
                let call =
                    house.api.call("POST", "/v1/suppressions/lift").token(person["token"].as_str().unwrap());
                call.json(&body).expect(200).await;
            }
            _ => {}
        }
        house.later(MINUTE_MS);
        assert_eq!(house.insist(&ada).await.status, 202, "{no}");
        house.settle(&ada).await;
        let forbids = matches!(no, "withdrawn" | "suppressed");
        for address in [ADDRESS, SECOND] {
            let email = Email::parse(address).unwrap();
            let said = adapters::suppressions::is_suppressed(house.catalog.as_ref(), &email).await.unwrap();
            assert_eq!(said.is_some(), forbids, "{no}: {address}");
        }
        let kept = house.catalog.list(CatalogKind::Suppression, 100, None).await.unwrap().items;
        assert_eq!(
            kept.len(),
            match no {
                "never" => 0,
                "lifted" => 1,
                _ => 2,
            },
            "{no}: {kept:?}"
        );
        // Ten days later an import brings her back, and says that she agreed.
        house.later(10 * DAY_MS);
        let import = json!({"mode": "history", "leads": [{"email": ADDRESS, "attributes": {"country": "AT"},
            "occurred_at": house.clock.now().plus(-DAY_MS).to_string(),
            "consent": [{"purpose": "marketing", "status": "confirmed", "text": "v1"}]}]});
        house.does(Role::Marketing, "POST", "/v1/leads/batch", &import).await;
        let new = house.id_of(ADDRESS).await.unwrap();
        assert_ne!(new, ada);
        let lead = house.leads.load(std::slice::from_ref(&new)).await.unwrap().pop().unwrap();
        assert_eq!(lead.suppressed.is_some(), forbids, "{no}");
        let asked = json!({"segment": "newsletter"});
        let preview =
            house.does(Role::Marketing, "POST", "/v1/segments/preview", &json!({"where": asked})).await;
        assert_eq!(preview["count"], json!(u8::from(!forbids)), "{no}: {preview}");
    }
}

#[tokio::test]
async fn an_erasure_that_was_given_up_is_said_and_begins_anew_when_it_is_asked_for_again() {
    let house = House::in_memory().await;
    let ada = house.life_of_ada().await;
    assert_eq!(house.erase(&ada).await.status, 202);
    // Its worker dies every time.
    for _ in 0..MOST_ATTEMPTS {
        house.later(LEASE_MS);
        let taken = house.rescore.jobs.take(&job_id(&ada)).await.unwrap();
        assert!(taken.is_some_and(|job| job.kind == JobKind::Erase));
    }
    house.later(LEASE_MS);
    let said = house.tick().await.unwrap_err().to_string();
    assert!(said.contains(&job_id(&ada)), "{said}");
    assert_eq!(house.status(&ada).await, Some(JobStatus::Failed));
    let record = house.catalog.get(CatalogKind::Job, &job_id(&ada)).await.unwrap().unwrap();
    assert_eq!(record.expires_at, None, "what is left is not lost sight of");
    assert!(house.history(&ada).await > 30);
    assert_eq!(house.erase(&ada).await.json()["status"], "waiting");
    house.settle(&ada).await;
    assert!(house.left_of(&ada).await.is_empty());
    let record = house.catalog.get(CatalogKind::Job, &job_id(&ada)).await.unwrap().unwrap();
    assert!(record.expires_at.is_some());
}

#[tokio::test]
async fn a_busy_store_never_makes_an_erasure_be_given_up() {
    let house = House::in_memory().await;
    let ada = house.life_of_ada().await;
    house.erase(&ada).await;
    for _ in 0..3 * MOST_ATTEMPTS {
        house.later(LEASE_MS);
        house.failures.take_calls();
        let before = house.failures.take_calls().len();
        house.failures.on_write(before + 2, Failure::Throttled);
        assert!(rescore::handle(&house.rescore, json!({ "job": job_id(&ada) })).await.is_err());
    }
    house.failures.heal();
    house.settle(&ada).await;
    assert!(house.left_of(&ada).await.is_empty());
}

#[tokio::test]
async fn a_browser_that_the_lead_had_forgotten_leads_to_somebody_new() {
    let (house, _dynamo) = House::on_dynamo().await;
    for n in 0..7 {
        let form = json!({"email": ADDRESS, "submission_id": format!("s-{n}"),
            "anonymous_id": format!("v-browser-{n}-0123")});
        house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
        house.later(MINUTE_MS);
    }
    let ada = house.id_of(ADDRESS).await.unwrap();
    let browser = |n: usize| Identity::Anonymous(visitor(&format!("v-browser-{n}-0123")));
    let owners = async |n| house.leads.owners(&[browser(n)]).await.unwrap().len();
    house.erase(&ada).await;
    assert_eq!((owners(0).await, owners(6).await), (1, 0));
    // A form from that browser is not kept waiting: whom it brings is known by the browser once it is free.
    let of_bob = async |n: u32| {
        let form = json!({"email": "bob@company.example", "submission_id": format!("bob-{n}"),
            "anonymous_id": "v-browser-0-0123"});
        house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
        let bob = house.id_of("bob@company.example").await.unwrap();
        house.leads.load(&[bob]).await.unwrap().pop().unwrap()
    };
    for n in 0..2 {
        assert_eq!(of_bob(n).await.identities, [email("bob@company.example")], "{n}");
        house.later(MINUTE_MS);
    }
    // What nobody else is known by is asked for again.
    let alone = json!({"lead": {"anonymous_id": "v-browser-0-0123"}, "kind": "page_viewed", "id": "alone"});
    let answer = house.call(Role::Capture, "POST", "/v1/activities", &alone).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    rescore::handle(&house.rescore, json!({ "job": job_id(&ada) })).await.unwrap();
    for n in 0..7 {
        assert_eq!(owners(n).await, 0, "{n}");
    }
    assert_eq!(of_bob(2).await.identities, [email("bob@company.example"), browser(0)]);
    let form = json!({"email": ADDRESS, "submission_id": "new", "anonymous_id": "v-browser-1-0123"});
    house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
    assert!(house.id_of(ADDRESS).await.is_some_and(|new| new != ada));
}

#[tokio::test]
async fn whoever_comes_from_the_same_browser_before_the_job_has_looked_inherits_nothing() {
    let (on_dynamo, _dynamo) = House::on_dynamo().await;
    for (name, house) in [("memory", House::in_memory().await), ("DynamoDB", on_dynamo)] {
        let ada = house.life_of_ada().await;
        let seen = async || house.visitors.recall(&visitor(BROWSER), 100).await.unwrap().len();
        assert_eq!(seen().await, 2, "{name}");
        assert_eq!(house.erase(&ada).await.status, 202, "{name}");
        assert_eq!((seen().await, house.status(&ada).await), (0, Some(JobStatus::Waiting)), "{name}");
        let form = json!({"email": ADDRESS, "submission_id": "again", "anonymous_id": BROWSER});
        house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
        let new = house.id_of(ADDRESS).await.unwrap();
        assert_ne!(new, ada, "{name}");
        assert_eq!(house.history(&new).await, 1, "{name}: the form alone");
    }
}

#[tokio::test]
async fn an_erasure_looks_until_the_reports_are_done_that_were_at_work_when_it_was_asked_for() {
    let house = House::in_memory().await;
    let ada = house.life_of_ada().await;
    let now = house.clock.now();
    let job = |kind: &str, status: &str, created_at: Timestamp, state: &Value| {
        json!({"kind": kind, "status": status, "request": {"report": "marketing-feedback"}, "attempts": 1,
            "created_at": created_at.to_string(), "not_before": now.to_string(),
            "lease_until": now.plus(DAY_MS).to_string(), "state": state})
    };
    let put = async |id: &str, body: Value| {
        let put = Put { force: true, ..Put::new(CatalogKind::Job, id, body) };
        assert!(house.catalog.put(&[put]).await.unwrap());
    };
    let found = json!({"walk": {"leads": 5}, "said": [["spring", [0, 1, 0], 0,
        [[1, "fact", ada.as_str(), null, format!("{NAME} said so")]]]]});
    put("report-long", job("report", "running", now.plus(-MINUTE_MS), &found)).await;
    // None of these found her: one was asked for after, one is not begun, one deletes what is left of somebody else.
    let none = json!({"walk": {"leads": 5}});
    put("report-after", job("report", "running", now.plus(MINUTE_MS), &none)).await;
    put("report-not-begun", job("report", "waiting", now.plus(-MINUTE_MS), &Value::Null)).await;
    put("erase-other", job("erase", "running", now.plus(-MINUTE_MS), &none)).await;
    assert_eq!(house.erase(&ada).await.status, 202);
    for n in 0..5 {
        rescore::handle(&house.rescore, json!({ "job": job_id(&ada) })).await.unwrap();
        assert_eq!(house.status(&ada).await, Some(JobStatus::Running), "look {n}");
        house.later(LOOK_AGAIN_MS);
    }
    let mut left = house.left_of(&ada).await;
    left.retain(|what| !what.contains(&job_id(&ada)));
    assert!(left.len() == 1 && left[0].contains("report-long"), "its worker has the record: {left:?}");
    put("report-long", job("report", "done", now.plus(-MINUTE_MS), &found)).await;
    rescore::handle(&house.rescore, json!({ "job": job_id(&ada) })).await.unwrap();
    assert_eq!(house.status(&ada).await, Some(JobStatus::Done));
    assert_eq!(house.left_of(&ada).await, Vec::<String>::new());
    let report = house.catalog.get(CatalogKind::Job, "report-long").await.unwrap().unwrap();
    assert_eq!(report.body["state"]["said"], json!([["spring", [0, 1, 0], 0, []]]));
}

#[tokio::test]
async fn somebody_who_comes_back_with_a_backup_is_erased_though_their_address_has_a_new_owner() {
    let (on_dynamo, _dynamo) = House::on_dynamo().await;
    for (name, house) in [("memory", House::in_memory().await), ("DynamoDB", on_dynamo)] {
        let ada = house.life_of_ada().await;
        let kept = house.leads.load(std::slice::from_ref(&ada)).await.unwrap().pop().unwrap();
        assert_eq!(house.erase(&ada).await.status, 202, "{name}");
        house.settle(&ada).await;
        let form = json!({"email": ADDRESS, "submission_id": "again"});
        house.api.call("POST", "/v1/forms/contact").json(&form).expect(202).await;
        let new = house.id_of(ADDRESS).await.unwrap();
        let back = Change {
            lead: kept,
            expected: None,
            entries: Vec::new(),
            claims: vec![email(SECOND)],
            events: Vec::new(),
            outcomes: Vec::new(),
        };
        assert_eq!(house.leads.commit(&back).await.unwrap(), Commit::Done, "{name}");
        let answer = house.erase(&ada).await;
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
        house.settle(&ada).await;
        assert_eq!(house.id_of(ADDRESS).await.as_ref(), Some(&new), "{name}");
        assert_eq!((house.id_of(SECOND).await, house.history(&new).await), (None, 1), "{name}");
        assert!(house.leads.load(std::slice::from_ref(&ada)).await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_job_of_another_function_is_left_alone() {
    let house = House::in_memory().await;
    let job = house.rescore.jobs.add("report-7", JobKind::Report, &json!({})).await.unwrap();
    for id in [job.id(), "erase-nobody"] {
        let worked = rescore::handle(&house.rescore, json!({ "job": id })).await.unwrap();
        assert_eq!(worked["status"], Value::Null);
    }
    let job = house.rescore.jobs.get("report-7").await.unwrap().unwrap();
    assert_eq!((job.status, job.attempts), (JobStatus::Waiting, 0));
}

#[tokio::test]
async fn the_next_export_of_changes_tells_its_target_of_the_erasure() {
    let setting = super::setting::Setting::new().await;
    let known = json!({"email": ADDRESS, "consent": {"purpose": "marketing", "status": "confirmed"}});
    let lead = setting.call(Role::Marketing, "POST", "/v1/leads", Some(&known)).await.json();
    let lead = lead["lead_id"].as_str().unwrap().to_owned();
    let export = async || {
        let asked = json!({"format": "jsonl", "purpose": "marketing", "since": "last", "columns": ["email"]});
        let path = "/v1/segments/newsletter/exports";
        let id = setting.call(Role::Marketing, "POST", path, Some(&asked)).await.json();
        let id = id["export_id"].as_str().unwrap().to_owned();
        segment_export::run_job(&setting.export, &id).await.unwrap();
        let file = setting.files.file(&format!("exports/{id}-changes.jsonl")).unwrap();
        let text = String::from_utf8(file.bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    assert_eq!(export().await, [json!({"change": "added", "reason": null, "email": ADDRESS})]);
    setting.later(DAY_MS);
    let path = format!("/v1/leads/{lead}");
    assert_eq!(setting.call(Role::Admin, "DELETE", &path, None).await.status, 202);
    assert_eq!(export().await, [json!({"change": "removed", "reason": "erased", "email": ADDRESS})]);
    setting.later(DAY_MS);
    assert_eq!(export().await, Vec::<Value>::new(), "and remembers no more of it");
}
