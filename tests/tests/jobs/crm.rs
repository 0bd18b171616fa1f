//! Leads on their way into a CRM and back: from the outbox of a real database through the queue and `deliver` into a CRM on a
//! port of this machine, and what that tells the hook.
//!
//! The CRM is a stub that does what the real ones do and what hurts: it asks for tokens that end, takes a refresh token only
//! once, asks to wait, makes a record and loses the answer, and tells us what we just told it.

use adapters::clock::{Clock, SetClock};
use adapters::crm::{Kept, Standing};
use adapters::http::Role;
use adapters::ports::{Catalog, CatalogKind, Direction, LeadStore, Put, Timeline};
use data_encoding::BASE64;
use deliver::post::Poster;
use domain::crm::context::{Owner, bare_sample, context, sample};
use domain::crm::{Holds, mark};
use domain::lead::Lead;
use domain::template::People;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use leadloop::dev::outbox;
use leadloop::dev::queue::LocalQueue;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::builders::{NOON, activate, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, FailingQueue, Failure, Failures, Heard, Manner, MemoryEventBus,
    Receiver, RoleTokens, Said, Service, a_lead, test_playbook,
};
use tests::{Answer, Api, ada, dies_after};

/// What HubSpot signs with.
const SECRET: &str = "the-client-secret-of-the-app";
/// Where HubSpot was told that the hook is.
const HOOK: &str = "https://leads.company.example/v1/hooks/crm/hubspot";

/// What goes wrong with the next request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It asks to wait, for so many seconds.
    Wait(u32),
    /// It does what it was asked for and closes the connection.
    LosesTheAnswer,
    /// It does what it was asked for and says that it failed.
    FailsAfter,
    /// It breaks before it does anything.
    FailsBefore,
    /// It takes the token no longer.
    ForgetsTokens,
    /// It says no.
    Refuses,
    /// It does what it was asked for and does not say which record it is.
    SaysNothing,
}

/// A CRM.
#[derive(Debug, Default)]
struct Crm {
    /// The records, by their ids.
    records: BTreeMap<String, Map<String, Value>>,
    /// The ids under keys of ours.
    keys: BTreeMap<String, String>,
    /// Whether two records may have one address.
    doubles: bool,
    troubles: Vec<Trouble>,
    tokens: u32,
    /// Those that it takes.
    taken: BTreeSet<String>,
    refresh: u32,
    /// Whether each refresh token is taken once.
    rotates: bool,
    /// What it was asked for tokens.
    grants: Vec<String>,
    /// What it would tell the hook.
    changes: Vec<Value>,
    unauthorized: u32,
}

#[derive(Clone, Debug)]
struct Stub(Arc<Mutex<Crm>>);

impl Stub {
    fn with<T>(&self, see: impl FnOnce(&mut Crm) -> T) -> T {
        see(&mut self.0.lock().unwrap())
    }
}

impl Service for Stub {
    fn answer(&self, heard: &Heard) -> Option<Said> {
        self.with(|crm| crm.answer(heard))
    }
}

fn said(status: u16, body: Value) -> Option<Said> {
    Some((status, Vec::new(), if body.is_null() { String::new() } else { body.to_string() }))
}

impl Crm {
    fn answer(&mut self, heard: &Heard) -> Option<Said> {
        if heard.path == "/oauth/token" {
            return self.grant(&heard.body);
        }
        let bearer = heard.header("authorization").strip_prefix("Bearer ").map(str::to_owned);
        if bearer.is_none_or(|bearer| !self.taken.contains(&bearer)) {
            self.unauthorized += 1;
            return said(401, json!({ "message": "expired" }));
        }
        let path: Vec<String> =
            heard.path.split('?').next().unwrap().split('/').skip(1).map(decoded).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if heard.method == "GET" {
            let found = self.records.iter().find(|(_, fields)| fields.get("email") == Some(&json!(path[1])));
            return found.map_or(said(404, Value::Null), |(id, _)| said(200, json!({ "id": id })));
        }
        let trouble = if self.troubles.is_empty() { None } else { Some(self.troubles.remove(0)) };
        match trouble {
            Some(Trouble::Wait(seconds)) => {
                return Some((429, vec![("Retry-After", seconds.to_string())], String::new()));
            }
            Some(Trouble::FailsBefore) => return said(500, Value::Null),
            Some(Trouble::Refuses) => return said(400, json!({ "message": "no" })),
            Some(Trouble::ForgetsTokens) => {
                self.taken.clear();
                return said(401, Value::Null);
            }
            _ => {}
        }
        let body: Value = serde_json::from_str(&heard.body).unwrap();
        let fields = body.get("properties").unwrap_or(&body).as_object().unwrap().clone();
        let done = match (heard.method.as_str(), path.as_slice()) {
            ("POST", ["contacts"]) => self.make(fields),
            ("PATCH", ["contacts" | "leads", id]) => self.write(id, fields),
            ("PATCH", ["leads", "by-key", key]) => match self.keys.get(*key).cloned() {
                Some(id) => self.write(&id, fields),
                None => {
                    let made = self.make(fields);
                    let id = self.records.keys().next_back().cloned().unwrap();
                    self.keys.insert((*key).to_owned(), id);
                    made
                }
            },
            other => panic!("{other:?}"),
        };
        match trouble {
            Some(Trouble::LosesTheAnswer) => None,
            Some(Trouble::FailsAfter) => said(502, Value::Null),
            Some(Trouble::SaysNothing) => said(201, Value::Null),
            _ => done,
        }
    }

    fn make(&mut self, fields: Map<String, Value>) -> Option<Said> {
        let taken = self.records.values().any(|known| known.get("email") == fields.get("email"));
        if taken && !self.doubles {
            return said(409, json!({ "message": "Contact already exists" }));
        }
        let id = (4711 + self.records.len()).to_string();
        self.records.insert(id.clone(), Map::new());
        self.write(&id, fields);
        said(201, json!({ "id": id }))
    }

    fn write(&mut self, id: &str, fields: Map<String, Value>) -> Option<Said> {
        let Some(record) = self.records.get_mut(id) else { return said(404, Value::Null) };
        for (name, value) in fields {
            if record.get(&name) != Some(&value) {
                self.changes.push(change(self.changes.len(), id, &name, &value));
                record.insert(name, value);
            }
        }
        said(200, json!({ "id": id }))
    }

    fn grant(&mut self, form: &str) -> Option<Said> {
        self.grants.push(form.to_owned());
        let ok = form.contains("client_id=us")
            && (form.contains("grant_type=client_credentials&") && form.contains("client_secret=geheim")
                || form.contains("grant_type=refresh_token&")
                    && form.contains(&format!("refresh_token=r{}", self.refresh)));
        if !ok {
            return said(400, json!({ "error": "invalid_grant" }));
        }
        self.tokens += 1;
        self.refresh += u32::from(self.rotates);
        let token = format!("t{}", self.tokens);
        self.taken.insert(token.clone());
        said(
            200,
            json!({ "access_token": token, "expires_in": 1_800, "refresh_token": format!("r{}", self.refresh) }),
        )
    }
}

fn decoded(part: &str) -> String {
    part.replace("%40", "@")
}

/// A change as HubSpot tells it.
fn change(event: usize, record: &str, name: &str, value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!({"eventId": event, "subscriptionId": 1, "occurredAt": time(NOON).millis() + 60_000, "attemptNumber": 0,
        "subscriptionType": "contact.propertyChange", "objectId": record, "propertyName": name, "propertyValue": text})
}

/// Everything between a lead and a CRM, both ways.
struct Road {
    dynamo: Dynamo,
    clock: Arc<SetClock>,
    tokens: RoleTokens,
    failures: Failures,
    catalog: Arc<dyn Catalog>,
    queue: LocalQueue,
    dead: LocalQueue,
    dispatch: dispatch::App,
    deliver: deliver::App,
    api: Api,
    crm: Stub,
    at: Receiver,
}

impl Road {
    async fn new() -> Self {
        let dynamo = Dynamo::start().await;
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let catalog: Arc<dyn Catalog> = Arc::new(dynamo.catalog());
        activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        for (id, crm) in [("at-1", "77"), ("de-1", "78")] {
            let put = Put {
                force: true,
                ..Put::new(CatalogKind::Person, id, json!({ "name": id, "team": "sales", "crm_id": crm }))
            };
            assert!(catalog.put(&[put]).await.unwrap());
        }
        let failures = Failures::none();
        let failing: Arc<dyn Catalog> =
            Arc::new(FailingCatalog::new(Arc::new(dynamo.catalog()), failures.clone()));
        let store = Arc::new(FailingLeadStore::new(Arc::new(dynamo.leads()), failures.clone()));
        let queue = LocalQueue::in_memory(Arc::clone(&shown));
        let dead = LocalQueue::in_memory(Arc::clone(&shown));
        let fails = |queue: &LocalQueue| FailingQueue::new(queue.clone(), failures.clone());
        let dispatch = dispatch::App {
            catalog: Arc::clone(&catalog),
            bus: Arc::new(MemoryEventBus::new()),
            queue: Arc::new(queue.clone()),
            dead_letters: Arc::new(dead.clone()),
            source: "urn:leadloop:test".to_owned(),
        };
        let poster = Poster::new(true).within(Duration::from_millis(400));
        let source = dispatch.source.clone();
        let mut deliver = deliver::App::new(
            store.clone(),
            Arc::clone(&failing),
            fails(&queue),
            fails(&dead),
            poster,
            source,
            Arc::clone(&shown),
        );
        deliver.write_path = deliver.write_path.giving_up_after(Duration::from_millis(50));
        let capture =
            lead_capture::App::new(Arc::new(dynamo.leads()), Arc::clone(&catalog), Arc::clone(&shown));
        let feedback = sales_feedback::App::new(store, failing, shown);
        let router = lead_capture::router(capture).merge(sales_feedback::router(feedback));
        let (router, _) = adapters::http::split(router.merge(deliver::router(deliver.clone())));
        let crm = Stub(Arc::default());
        crm.with(|crm| crm.taken.insert("fixed".to_owned()));
        let at = Receiver::serving(Arc::new(crm.clone())).await;
        let api = Api::of(router);
        Self { dynamo, clock, tokens, failures, catalog, queue, dead, dispatch, deliver, api, crm, at }
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let call = self.api.call(method, path).token(self.tokens.of(Role::Admin)).json(body);
        let answer = call.send().await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    fn base(&self) -> String {
        self.at.url.split("/hook").next().unwrap().to_owned()
    }

    /// What a CRM such as HubSpot is told; it can be asked by the address.
    fn contacts(&self) -> Value {
        let base = self.base();
        json!({
            "system": "hubspot",
            "create": { "method": "POST", "url": format!("{base}/contacts") },
            "update": { "method": "PATCH", "url": format!("{base}/contacts/{{{{ record_id }}}}") },
            "find": { "url": format!("{base}/contacts/{{{{ lead.email }}}}?idProperty=email"), "id": "/id" },
            "record_id": "/id", "under": "properties",
            "fields": { "email": "{{ lead.email }}", "hs_lead_status": "{{ {'marketing_qualified': 'NEW', 'sales_accepted': 'IN_PROGRESS', 'disqualified': 'UNQUALIFIED'}[lead.stage] | default(none) }}",
                "hubspot_owner_id": "{{ owner.crm_id }}", "last_event": "{{ event.type }}" },
        })
    }

    /// One that cannot be asked.
    fn mute(&self) -> Value {
        let mut crm = self.contacts();
        crm.as_object_mut().unwrap().remove("find");
        self.crm.with(|crm| crm.doubles = true);
        crm
    }

    fn bearer() -> Value {
        json!({ "kind": "bearer", "token": "fixed" })
    }

    fn oauth(&self, kind: &str) -> Value {
        let mut auth =
            json!({ "kind": kind, "token_url": format!("{}/oauth/token", self.base()), "client_id": "us" });
        match kind {
            "refresh_token" => auth["refresh_token"] = "r0".into(),
            _ => auth["client_secret"] = "geheim".into(),
        }
        auth
    }

    async fn register(&self, crm: &Value, auth: &Value) -> String {
        let made = self.call("POST", "/v1/webhooks", &json!({ "crm": crm, "auth": auth })).await;
        assert!(made.get("secret").is_none() && !made.to_string().contains("geheim"), "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Lets HubSpot tell us, about the same records.
    async fn map(&self, subscriber: &str) {
        let auth = json!({ "kind": "hubspot_v3", "secret": SECRET, "url": HOOK });
        let mapping = json!({ "preset": "hubspot", "subscriber": subscriber, "auth": auth });
        self.call("PUT", "/v1/crm/mappings/hubspot", &mapping).await;
    }

    /// A lead that goes to sales at once.
    async fn ada(&self) {
        self.api.call("POST", "/v1/forms/contact").json(&ada()).expect(202).await;
    }

    async fn lead(&self) -> Lead {
        let id = self.call("POST", "/v1/leads/lookup", &json!({ "email": "ada@company.example" })).await;
        let id = domain::identity::LeadId::parse(id["items"][0]["lead_id"].as_str().unwrap()).unwrap();
        self.dynamo.leads().load(&[id]).await.unwrap().pop().unwrap()
    }

    async fn external(&self) -> Vec<String> {
        self.lead().await.external_ids().map(|id| format!("{}#{}", id.system(), id.id())).collect()
    }

    async fn known(&self, webhook: &str) -> adapters::crm::Known {
        let id = adapters::crm::id(webhook, self.lead().await.id.as_str());
        Kept::read(self.catalog.as_ref(), &id).await.unwrap().known
    }

    async fn feed(&self) {
        outbox::feed(&self.dynamo.client, &self.dynamo.tables.outbox, &self.dispatch).await.unwrap();
    }

    async fn work(&self) {
        self.feed().await;
        outbox::deliver(&self.queue, &self.deliver).await.unwrap();
    }

    /// Works until nothing waits any more; gives how much time that took.
    async fn finish(&self) -> i64 {
        let began = self.clock.now();
        self.work().await;
        while let Some(at) = self.queue.next_at() {
            self.clock.set(at.max(self.clock.now()));
            outbox::deliver(&self.queue, &self.deliver).await.unwrap();
        }
        self.clock.now().since(began)
    }

    fn records(&self) -> Vec<(String, Map<String, Value>)> {
        self.crm.with(|crm| crm.records.clone().into_iter().collect())
    }

    /// Calls the hook as HubSpot does.
    async fn tell(&self, body: &Value) -> Answer {
        let (body, stamp) = (body.to_string(), self.clock.now().millis().to_string());
        let mut code = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        for part in ["POST", HOOK, &body, &stamp] {
            code.update(part.as_bytes());
        }
        let call =
            self.api.call("POST", "/v1/hooks/crm/hubspot").header("x-hubspot-request-timestamp", &stamp);
        let call = call.header("x-hubspot-signature-v3", &BASE64.encode(&code.finalize().into_bytes()));
        call.body("application/json", body).send().await
    }

    /// Lets the CRM tell what it was told, and gives what became of each change.
    async fn echo(&self) -> Vec<String> {
        let changes = self.crm.with(|crm| std::mem::take(&mut crm.changes));
        let answer = self.tell(&changes.into()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let results = answer.json()["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect()
    }

    async fn facts(&self) -> usize {
        let (lead, leads) = (self.lead().await.id, self.dynamo.leads());
        let page = leads.entries(&lead, Direction::Forward, 200, None).await;
        page.unwrap().items.len()
    }
}

#[tokio::test]
async fn a_lead_becomes_one_record_whose_id_is_its_own_and_is_changed_from_then_on() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    road.ada().await;
    road.finish().await;
    let [(id, fields)] = road.records().try_into().unwrap();
    assert_eq!(
        (fields["email"].clone(), fields["hs_lead_status"].clone()),
        (json!("ada@company.example"), json!("NEW"))
    );
    let owner = road.lead().await.person.unwrap();
    assert_eq!(fields["hubspot_owner_id"], if owner.as_str() == "at-1" { "77" } else { "78" });
    assert_eq!(road.external().await, [format!("hubspot#{id}")]);
    assert_eq!(road.known(&webhook).await.standing, Standing::Made { id: id.clone() });
    assert_eq!(
        road.at.take().iter().filter(|heard| heard.method == "POST").count(),
        1,
        "made once, for all its events"
    );
    let lead = road.lead().await.id;
    road.clock.set(road.clock.now().plus(MINUTE_MS));
    road.call("POST", &format!("/v1/leads/{lead}/feedback"), &json!({ "kind": "accepted" })).await;
    road.finish().await;
    let [(same, fields)] = road.records().try_into().unwrap();
    assert_eq!((same, fields["hs_lead_status"].clone()), (id, json!("IN_PROGRESS")));
    assert!(road.at.take().iter().all(|heard| heard.method == "PATCH"), "what is known is not asked for");
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn what_a_crm_is_told_back_is_unchanged_and_what_sales_does_there_is_feedback() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    road.map(&webhook).await;
    road.ada().await;
    road.finish().await;
    let (before, facts) = (road.lead().await, road.facts().await);
    // The CRM tells all that it was just told.
    let echoes = road.echo().await;
    assert!(echoes.len() >= 3 && echoes.iter().all(|status| status == "unchanged"), "{echoes:?}");
    assert_eq!((road.lead().await, road.facts().await), (before, facts));
    // Sales works in the CRM: it is accepted, and goes to another person; a change that nobody mapped, and one of a stranger.
    road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
    let id = road.records()[0].0.clone();
    let other =
        if road.lead().await.person.unwrap().as_str() == "at-1" { ("78", "de-1") } else { ("77", "at-1") };
    let items = [
        change(100, &id, "hs_lead_status", &json!("IN_PROGRESS")),
        change(101, &id, "hubspot_owner_id", &json!(other.0)),
        change(102, &id, "firstname", &json!("Ada")),
        change(103, "999", "hs_lead_status", &json!("IN_PROGRESS")),
        change(104, &id, "hubspot_owner_id", &json!("12345")),
        change(105, &id, "hs_lead_status", &json!("BAD_TIMING")),
    ];
    let answer = road.tell(&items.to_vec().into()).await.ok("the hook");
    let of = |at: usize| answer["results"][at]["status"].as_str().unwrap();
    assert_eq!(
        [of(0), of(1), of(2), of(3), of(4)],
        ["updated", "updated", "unchanged", "rejected", "rejected"],
        "{answer}"
    );
    assert_eq!(answer["results"][3]["problem"]["status"], 404);
    assert!(answer["results"][4]["changes"][0]["problem"].to_string().contains("cannot be made"), "{answer}");
    // The tests' playbook may have other reasons: then the fault says which, and nothing else suffers.
    assert!(["updated", "rejected"].contains(&of(5)), "{answer}");
    let lead = road.lead().await;
    assert!(lead.sales.iter().any(|fact| fact.what == domain::sales::Move::Accepted));
    let assigned = |what: &domain::sales::Move| matches!(what, domain::sales::Move::Assigned { to, .. } if to.as_str() == other.1);
    assert!(lead.sales.iter().any(|fact| assigned(&fact.what)));
    // All of it again, as HubSpot does: nothing changes.
    let facts = road.facts().await;
    let again = road.tell(&items[..3].to_vec().into()).await.ok("again");
    assert!(
        again["results"].as_array().unwrap().iter().all(|result| result["status"] == "unchanged"),
        "{again}"
    );
    assert_eq!(road.facts().await, facts);
    // What follows goes to the CRM, and comes back as an echo: the circle ends.
    road.crm.with(|crm| crm.changes.clear());
    road.finish().await;
    let facts = road.facts().await;
    let echoes = road.echo().await;
    assert!(echoes.iter().all(|status| status == "unchanged"), "{echoes:?}");
    assert_eq!(road.facts().await, facts);
    assert!(road.dynamo.items(&road.dynamo.tables.outbox).await.is_empty());
}

#[tokio::test]
async fn a_change_to_what_was_there_once_is_no_echo() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    road.map(&webhook).await;
    road.ada().await;
    road.finish().await;
    let id = road.records()[0].0.clone();
    let mut event = 200;
    let mut says = async |value: &str| {
        event += 1;
        road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
        let mut item = change(event, &id, "hubspot_owner_id", &json!(value));
        item["occurredAt"] = road.clock.now().millis().into();
        let answer = road.tell(&json!([item])).await.ok("the hook");
        answer["results"][0]["status"].as_str().unwrap().to_owned()
    };
    let (own, other) =
        if road.lead().await.person.unwrap().as_str() == "at-1" { ("77", "78") } else { ("78", "77") };
    assert_eq!(says(own).await, "unchanged", "we said so");
    assert_eq!(says(other).await, "updated");
    assert_eq!(says(own).await, "updated", "and back again, which somebody did");
    assert_eq!(says(own).await, "unchanged");
}

#[tokio::test]
async fn a_change_back_is_no_echo_where_what_lay_between_was_not_taken_in() {
    // A value that no rule is about, and one that is rejected.
    for between in ["", "12345"] {
        let road = Road::new().await;
        let webhook = road.register(&road.contacts(), &Road::bearer()).await;
        road.map(&webhook).await;
        road.ada().await;
        road.finish().await;
        let (record, lead) = (road.records()[0].0.clone(), road.lead().await);
        let own = lead.person.unwrap();
        let (crm_id, other) = if own.as_str() == "at-1" { ("77", "de-1") } else { ("78", "at-1") };
        let mut event = 200;
        let mut says = async |value: &str| {
            event += 1;
            road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
            let mut item = change(event, &record, "hubspot_owner_id", &json!(value));
            item["occurredAt"] = road.clock.now().millis().into();
            let answer = road.tell(&json!([item])).await.ok("the hook");
            answer["results"][0]["status"].as_str().unwrap().to_owned()
        };
        assert_eq!(says(crm_id).await, "unchanged", "we said so");
        assert_ne!(says(between).await, "updated");
        // Here it goes to somebody else, of which the CRM is not told yet.
        road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
        let feedback = json!({ "kind": "assigned", "to": other });
        road.call("POST", &format!("/v1/leads/{}/feedback", lead.id), &feedback).await;
        assert_eq!(says(crm_id).await, "updated", "somebody took it back, after {between:?}");
        assert_eq!(road.lead().await.person, Some(own));
    }
}

#[tokio::test]
async fn somebody_found_by_the_address_is_known_by_the_record_from_then_on() {
    let road = Road::new().await;
    let auth = json!({ "kind": "hubspot_v3", "secret": SECRET, "url": HOOK });
    let mapping = json!({ "preset": "hubspot", "email": "{{ item.email | default(none) }}", "auth": auth });
    road.call("PUT", "/v1/crm/mappings/hubspot", &mapping).await;
    road.ada().await;
    let says = async |event: usize, record: &str, email: Option<&str>, status: &str| {
        road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
        let mut item = change(event, record, "hs_lead_status", &json!(status));
        item["occurredAt"] = road.clock.now().millis().into();
        item["email"] = json!(email);
        road.tell(&json!([item])).await.ok("the hook")["results"][0]["status"].as_str().unwrap().to_owned()
    };
    let address = Some("Ada@Company.example");
    assert_eq!(says(1, "900", None, "IN_PROGRESS").await, "rejected", "a record of nobody");
    assert_eq!(says(2, "900", address, "NEW").await, "unchanged", "no rule is about it");
    assert_eq!(road.external().await, ["hubspot#900"]);
    assert_eq!(says(3, "900", None, "IN_PROGRESS").await, "updated", "by the record alone");
    // Of two records of one address the first stays the lead's own.
    assert_eq!(says(4, "901", address, "CONNECTED").await, "updated");
    assert_eq!(road.external().await, ["hubspot#900"]);
    // Who is told now changes that record, though nobody finds it by the address, and makes no second one.
    let before = Map::from_iter([("email".to_owned(), json!("other@company.example"))]);
    road.crm.with(|crm| drop(crm.records.insert("900".to_owned(), before)));
    road.register(&road.contacts(), &Road::bearer()).await;
    let lead = road.lead().await.id;
    road.call(
        "POST",
        &format!("/v1/leads/{lead}/feedback"),
        &json!({ "kind": "disqualified", "reason": "budget" }),
    )
    .await;
    road.finish().await;
    let [(id, fields)] = road.records().try_into().unwrap();
    assert_eq!((id.as_str(), &fields["hs_lead_status"]), ("900", &json!("UNQUALIFIED")));
}

#[tokio::test]
async fn the_hook_believes_nobody_else_and_names_what_it_cannot_read() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    let call = || road.api.call("POST", "/v1/hooks/crm/hubspot");
    call().json(&json!([])).expect(404).await;
    road.map(&webhook).await;
    call().json(&json!([])).expect(401).await;
    call()
        .header("x-hubspot-request-timestamp", "1")
        .header("x-hubspot-signature-v3", "AAAA")
        .json(&json!([]))
        .expect(401)
        .await;
    call().token(&road.tokens.admin).json(&json!([])).expect(401).await;
    assert_eq!(road.tell(&json!([])).await.ok("nothing"), json!({ "results": [] }));
    assert_eq!(road.tell(&json!(7)).await.status, 422);
    assert_eq!(road.tell(&vec![json!({}); 101].into()).await.status, 422);
    let answer = road.tell(&json!([{}, change(1, "x", "a", &json!("b"))])).await.ok("one is bad");
    assert_eq!(answer["results"][0]["status"], "rejected");
    assert!(
        answer["results"][0]["problem"]["errors"].as_array().unwrap().len() >= 3,
        "every fault: {answer}"
    );
    assert_eq!(answer["results"][1]["status"], "unchanged");
    // Nothing shows the secret; without one, what is there stays.
    let shown = road.call("GET", "/v1/crm/mappings/hubspot", &Value::Null).await;
    assert!(!shown.to_string().contains(SECRET) && shown["auth"]["kind"] == "hubspot_v3", "{shown}");
    road.call("PUT", "/v1/crm/mappings/hubspot", &json!({ "preset": "hubspot" })).await;
    assert_eq!(road.tell(&json!([])).await.status, 200);
    road.call("DELETE", "/v1/crm/mappings/hubspot", &Value::Null).await;
    assert_eq!(road.tell(&json!([])).await.status, 404);
}

#[tokio::test]
async fn a_hook_that_cannot_store_says_so_and_what_comes_again_is_taken_once() {
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite] {
        for call in 1..14 {
            let road = Road::new().await;
            let webhook = road.register(&road.contacts(), &Road::bearer()).await;
            road.map(&webhook).await;
            road.ada().await;
            road.finish().await;
            let id = road.records()[0].0.clone();
            road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
            let items = json!([change(1, &id, "hs_lead_status", &json!("IN_PROGRESS"))]);
            road.failures.on_call(call, failure);
            let first = road.tell(&items).await;
            assert!([200, 503].contains(&first.status), "call {call}: {}", first.text());
            road.failures.heal();
            assert_eq!(road.tell(&items).await.status, 200, "call {call}");
            let accepted = road.lead().await.sales;
            let accepted = accepted.iter().filter(|fact| fact.what == domain::sales::Move::Accepted);
            assert_eq!(accepted.count(), 1, "call {call}, {failure:?}");
        }
    }
}

#[tokio::test]
async fn two_deliveries_of_one_lead_at_once_make_one_record() {
    for crm in [true, false] {
        let road = Road::new().await;
        let document = if crm { road.contacts() } else { road.mute() };
        road.register(&document, &Road::bearer()).await;
        road.ada().await;
        road.feed().await;
        let batch = road.queue.receive().unwrap();
        assert!(batch["Records"].as_array().unwrap().len() > 1, "the lead has several events");
        // Two workers have the same messages, and each sends them side by side.
        let (one, two) =
            (deliver::queue::handle(&road.deliver, &batch), deliver::queue::handle(&road.deliver, &batch));
        drop(futures::future::join(one, two).await);
        road.clock.set(road.clock.now().plus(HOUR_MS));
        road.finish().await;
        assert_eq!(road.records().len(), 1);
        assert_eq!(road.external().await.len(), 1);
        assert!(road.queue.is_empty() && road.dead.is_empty());
    }
}

#[tokio::test]
async fn what_landed_last_though_it_is_older_is_sent_once_more() {
    let mut road = Road::new().await;
    road.deliver.poster = Poster::new(true).within(Duration::from_secs(60));
    road.register(&road.contacts(), &Road::bearer()).await;
    road.ada().await;
    road.finish().await;
    let (record, path) =
        (road.records()[0].0.clone(), format!("/v1/leads/{}/feedback", road.lead().await.id));
    road.clock.set(road.clock.now().plus(MINUTE_MS));
    road.call("POST", &path, &json!({ "kind": "accepted" })).await;
    road.feed().await;
    // A slow worker: its request is on the way, and it hears no more of it for now.
    drop(road.at.take());
    let batch = road.queue.receive().unwrap();
    assert_eq!(
        batch["Records"].as_array().unwrap().len(),
        1,
        "whatever becomes of the batch becomes of this message"
    );
    let slow = deliver::queue::handle(&road.deliver, &batch);
    tokio::pin!(slow);
    let heard = async {
        while !road.at.take().iter().any(|heard| heard.method == "PATCH") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = heard => {}
        _ = &mut slow => panic!("it ended before it was heard"),
    }
    // Another one tells of what came next, and is faster; then the slow one's request lands.
    road.clock.set(road.clock.now().plus(MINUTE_MS));
    road.call("POST", &path, &json!({ "kind": "disqualified", "reason": "budget" })).await;
    road.work().await;
    assert_eq!(road.records()[0].1["hs_lead_status"], "UNQUALIFIED");
    let older = Map::from_iter([("hs_lead_status".to_owned(), json!("IN_PROGRESS"))]);
    road.crm.with(|crm| drop(crm.write(&record, older)));
    let failures = slow.await;
    assert!(
        !failures["batchItemFailures"].as_array().unwrap().is_empty(),
        "it does not think that it is done"
    );
    road.finish().await;
    assert_eq!(road.records()[0].1["hs_lead_status"], "UNQUALIFIED");
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn a_record_whose_answer_was_lost_is_found_and_not_made_again() {
    for trouble in [Trouble::LosesTheAnswer, Trouble::FailsAfter, Trouble::SaysNothing] {
        let road = Road::new().await;
        // This CRM would take a second one.
        road.crm.with(|crm| (crm.doubles, crm.troubles) = (true, vec![trouble]));
        road.register(&road.contacts(), &Road::bearer()).await;
        road.ada().await;
        road.finish().await;
        assert_eq!(road.records().len(), 1, "{trouble:?}");
        assert_eq!(road.external().await.len(), 1);
        assert!(road.queue.is_empty() && road.dead.is_empty());
    }
}

#[tokio::test]
async fn a_record_that_was_there_before_us_is_found_and_changed() {
    let road = Road::new().await;
    road.crm.with(|crm| drop(crm.make(Map::from_iter([("email".to_owned(), json!("ada@company.example"))]))));
    road.register(&road.contacts(), &Road::bearer()).await;
    road.ada().await;
    road.finish().await;
    let [(id, fields)] = road.records().try_into().unwrap();
    assert_eq!(
        (road.external().await, fields["hs_lead_status"].clone()),
        (vec![format!("hubspot#{id}")], json!("NEW"))
    );
}

#[tokio::test]
async fn where_the_crm_cannot_be_asked_a_person_is_and_nobody_makes_a_second_record() {
    for found in [true, false] {
        let road = Road::new().await;
        let webhook = road.register(&road.mute(), &Road::bearer()).await;
        let trouble = if found { Trouble::LosesTheAnswer } else { Trouble::FailsBefore };
        road.crm.with(|crm| crm.troubles = vec![trouble]);
        road.ada().await;
        road.finish().await;
        assert_eq!(road.records().len(), usize::from(found));
        assert!(road.external().await.is_empty() && road.queue.is_empty() && !road.dead.is_empty());
        let messages = road.dead.len();
        let lead = road.lead().await.id;
        if found {
            let id = road.records()[0].0.clone();
            let known =
                json!({ "email": "ada@company.example", "external_id": { "system": "hubspot", "id": id } });
            road.call("POST", "/v1/leads", &known).await;
        } else {
            road.call("DELETE", &format!("/v1/webhooks/{webhook}/records/{lead}"), &Value::Null).await;
        }
        let replayed = road.call("POST", &format!("/v1/webhooks/{webhook}/replay"), &Value::Null).await;
        assert_eq!(replayed["replayed"], messages);
        road.finish().await;
        assert_eq!((road.records().len(), road.external().await.len()), (1, 1));
        assert!(road.queue.is_empty() && road.dead.is_empty());
    }
}

#[tokio::test]
async fn what_is_clear_to_have_made_nothing_is_tried_again_and_waits_as_long_as_it_is_asked_to() {
    let road = Road::new().await;
    road.register(&road.mute(), &Road::bearer()).await;
    road.crm.with(|crm| crm.troubles = vec![Trouble::Wait(5_400), Trouble::Refuses]);
    road.ada().await;
    let took = road.finish().await;
    assert!(took >= 90 * MINUTE_MS, "{took}");
    assert_eq!((road.records().len(), road.external().await.len()), (1, 1));
    assert!(road.dead.is_empty());
    // Nor is anything lost where nobody is there at all, or where everybody is slow.
    for manner in [Manner::HangsUp, Manner::IsSilent, Manner::Drips, Manner::Answers(503)] {
        let road = Road::new().await;
        road.register(&road.contacts(), &Road::bearer()).await;
        road.at.now(manner);
        road.ada().await;
        road.work().await;
        assert!(!road.queue.is_empty() && road.records().is_empty());
        road.at.now(Manner::Answers(200));
        road.finish().await;
        assert_eq!((road.records().len(), road.external().await.len()), (1, 1));
        assert!(road.queue.is_empty() && road.dead.is_empty());
    }
}

#[tokio::test]
async fn a_record_under_a_key_of_ours_is_made_once_however_often_it_is_sent() {
    let road = Road::new().await;
    let base = road.base();
    let crm = json!({
        "system": "salesforce", "record_id": "/id",
        "upsert": { "method": "PATCH", "url": format!("{base}/leads/by-key/{{{{ lead.id }}}}") },
        "update": { "method": "PATCH", "url": format!("{base}/leads/{{{{ record_id }}}}") },
        "fields": { "Email": "{{ lead.email }}", "Stage": "{{ lead.stage }}" },
    });
    road.crm
        .with(|crm| (crm.doubles, crm.troubles) = (true, vec![Trouble::LosesTheAnswer, Trouble::FailsAfter]));
    road.register(&crm, &Road::bearer()).await;
    road.ada().await;
    road.finish().await;
    let [(id, fields)] = road.records().try_into().unwrap();
    assert_eq!(fields["Stage"], "marketing_qualified");
    assert_eq!(road.external().await, [format!("salesforce#{id}")]);
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn tokens_are_kept_until_they_end_and_renewed_when_the_crm_takes_them_no_longer() {
    for kind in ["client_credentials", "refresh_token"] {
        let road = Road::new().await;
        road.crm.with(|crm| crm.rotates = true);
        let webhook = road.register(&road.contacts(), &road.oauth(kind)).await;
        road.ada().await;
        road.feed().await;
        let together = road.queue.len();
        road.finish().await;
        assert_eq!(road.records().len(), 1);
        let grants = road.crm.with(|crm| crm.grants.len());
        assert!((1..=together).contains(&grants), "side by side they may all ask at first: {grants}");
        // Kept.
        let lead = road.lead().await.id;
        let path = format!("/v1/leads/{lead}/feedback");
        road.clock.set(road.clock.now().plus(MINUTE_MS));
        road.call("POST", &path, &json!({ "kind": "accepted" })).await;
        road.finish().await;
        assert_eq!(road.crm.with(|crm| crm.grants.len()), grants);
        // Taken no longer before its time.
        road.crm.with(|crm| crm.troubles = vec![Trouble::ForgetsTokens]);
        road.clock.set(road.clock.now().plus(MINUTE_MS));
        road.call("POST", &path, &json!({ "kind": "qualified" })).await;
        let took = road.finish().await;
        assert_eq!((took, road.crm.with(|crm| crm.grants.len())), (0, grants + 1), "at once");
        // Over.
        road.clock.set(road.clock.now().plus(HOUR_MS));
        let deal = json!({ "kind": "opportunity", "deal": { "system": "crm", "id": "D-1" } });
        road.call("POST", &path, &deal).await;
        road.crm.with(|crm| crm.unauthorized = 0);
        road.finish().await;
        assert_eq!(
            road.crm.with(|crm| (crm.grants.len(), crm.unauthorized)),
            (grants + 2, 0),
            "renewed ahead of its end"
        );
        assert_eq!(road.crm.with(|crm| crm.records.len()), 1);
        // Nobody is shown what we show the CRM.
        let shown = road.call("GET", &format!("/v1/webhooks/{webhook}"), &Value::Null).await.to_string();
        assert!(
            !["geheim", "r0", "\"t1\"", "refresh_token\":"].iter().any(|secret| shown.contains(secret)),
            "{shown}"
        );
        assert!(road.queue.is_empty() && road.dead.is_empty());
    }
}

#[tokio::test]
async fn credentials_that_are_not_taken_cost_time_and_no_lead() {
    let road = Road::new().await;
    let mut wrong = road.oauth("client_credentials");
    wrong["client_secret"] = "guessed".into();
    let webhook = road.register(&road.mute(), &wrong).await;
    road.ada().await;
    road.work().await;
    assert!(road.records().is_empty() && !road.queue.is_empty());
    let shown = road.call("GET", &format!("/v1/webhooks/{webhook}"), &Value::Null).await;
    assert!(shown["last_failure"]["how"].as_str().unwrap().contains("no token"), "{shown}");
    let tried = road.call("POST", &format!("/v1/webhooks/{webhook}/test"), &Value::Null).await;
    assert_eq!(tried["delivered"], false);
    let mended = json!({ "crm": road.mute(), "auth": road.oauth("client_credentials") });
    road.call("PUT", &format!("/v1/webhooks/{webhook}"), &mended).await;
    let tried = road.call("POST", &format!("/v1/webhooks/{webhook}/test"), &Value::Null).await;
    assert_eq!(
        (&tried["delivered"], &tried["would_send"]["method"]),
        (&json!(true), &json!("POST")),
        "{tried}"
    );
    assert!(road.records().is_empty(), "a test makes nothing");
    road.finish().await;
    assert_eq!((road.records().len(), road.external().await.len()), (1, 1), "no claim was left behind");
    // What is not said anew stays: the credentials, and that it is on.
    road.call("PUT", &format!("/v1/webhooks/{webhook}"), &json!({ "crm": road.mute() })).await;
    let lead = road.lead().await.id;
    road.clock.set(road.clock.now().plus(MINUTE_MS));
    road.call("POST", &format!("/v1/leads/{lead}/feedback"), &json!({ "kind": "accepted" })).await;
    // A record that is gone is no CRM that is gone.
    road.at.now(Manner::Answers(410));
    road.work().await;
    let shown = road.call("GET", &format!("/v1/webhooks/{webhook}"), &Value::Null).await;
    assert_eq!((&shown["state"], &shown["auth"]["kind"]), (&json!("on"), &json!("client_credentials")));
    road.at.now(Manner::Answers(200));
    road.finish().await;
    assert_eq!(road.records()[0].1["hs_lead_status"], "IN_PROGRESS");
    // A webhook does not become a CRM, nor is a CRM signed for.
    let path = format!("/v1/webhooks/{webhook}");
    let put = json!({ "url": road.at.url });
    road.api.call("PUT", &path).token(&road.tokens.admin).json(&put).expect(409).await;
    road.api.call("POST", &format!("{path}/rotate")).token(&road.tokens.admin).expect(409).await;
}

#[tokio::test]
async fn a_crm_that_refuses_for_a_day_has_its_messages_set_aside_and_replayed() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    road.at.now(Manner::Answers(400));
    road.ada().await;
    let took = road.finish().await;
    assert_eq!(took, DAY_MS);
    let aside = road.dead.len();
    assert!(aside > 0);
    road.at.now(Manner::Answers(200));
    road.call("POST", &format!("/v1/webhooks/{webhook}/replay"), &Value::Null).await;
    road.finish().await;
    assert_eq!((road.records().len(), road.external().await.len()), (1, 1));
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_neither_loses_a_lead_nor_doubles_it() {
    let (mut finished, mut died) = (0, 0);
    for steps in (0..24).chain((24..120).step_by(5)).chain([2_000]) {
        let road = Road::new().await;
        // It would take a second one.
        road.crm.with(|crm| crm.doubles = true);
        road.register(&road.contacts(), &road.oauth("refresh_token")).await;
        road.ada().await;
        road.feed().await;
        let batch = road.queue.receive().unwrap();
        let sent = dies_after(steps, deliver::queue::handle(&road.deliver, &batch)).await;
        finished += usize::from(sent.is_some());
        died += usize::from(sent.is_none());
        // What was on its way may still arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
        road.clock.set(road.clock.now().plus(HOUR_MS));
        road.finish().await;
        assert_eq!(road.records().len(), 1, "after {steps} steps");
        assert_eq!(road.external().await.len(), 1, "after {steps} steps");
        assert!(road.queue.is_empty() && road.dead.is_empty(), "after {steps} steps");
    }
    assert!(died > 20 && finished > 0, "{died} died, {finished} did not");
}

#[tokio::test]
async fn a_store_that_fails_at_any_call_neither_loses_a_lead_nor_doubles_it() {
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        for call in (1..30).step_by(if failure == Failure::TimedOutAfterWrite { 1 } else { 3 }) {
            let road = Road::new().await;
            road.crm.with(|crm| crm.doubles = true);
            road.register(&road.contacts(), &Road::bearer()).await;
            road.ada().await;
            road.feed().await;
            road.failures.on_call(call, failure);
            let batch = road.queue.receive().unwrap();
            let answer = deliver::queue::handle(&road.deliver, &batch).await;
            road.queue.settle(&batch, &answer).unwrap();
            road.failures.heal();
            road.finish().await;
            assert_eq!(road.records().len(), 1, "call {call}, {failure:?}");
            assert_eq!(road.external().await.len(), 1, "call {call}, {failure:?}");
            assert!(road.queue.is_empty() && road.dead.is_empty(), "call {call}, {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_record_that_another_lead_has_already_is_changed_and_the_two_are_noted_as_one_perhaps() {
    let road = Road::new().await;
    road.crm.with(|crm| drop(crm.make(Map::from_iter([("email".to_owned(), json!("ada@company.example"))]))));
    let other =
        json!({ "external_id": { "system": "hubspot", "id": "4711" }, "attributes": { "country": "AT" } });
    road.call("POST", "/v1/leads", &other).await;
    road.register(&road.contacts(), &Road::bearer()).await;
    road.ada().await;
    road.finish().await;
    let lead = road.lead().await;
    assert_eq!((lead.external_ids().count(), lead.possible_duplicates.len()), (0, 1));
    assert_eq!(road.records().len(), 1);
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn a_crm_is_told_nothing_of_a_lead_that_was_erased_and_nothing_waits_for_it() {
    let road = Road::new().await;
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    road.map(&webhook).await;
    road.ada().await;
    road.finish().await;
    let record = road.records()[0].clone();
    let lead = road.lead().await.id;
    road.clock.set(road.clock.now().plus(2 * MINUTE_MS));
    let feedback = json!({ "kind": "accepted" });
    road.call("POST", &format!("/v1/leads/{lead}/feedback"), &feedback).await;
    road.feed().await;
    // What waits now is of somebody who is there, and is worked on when they are not.
    let erased = road.call("DELETE", &format!("/v1/leads/{lead}"), &Value::Null).await;
    assert_eq!(
        erased["external_ids"],
        json!([{ "system": "hubspot", "id": record.0 }]),
        "it says which record"
    );
    drop(road.at.take());
    assert_eq!(road.finish().await, 0, "nothing is tried again");
    assert!(road.at.take().is_empty() && road.queue.is_empty() && road.dead.is_empty());
    assert_eq!(road.records(), vec![record.clone()], "what becomes of the record is for people to say");
    let item = change(300, &record.0, "hs_lead_status", &json!("UNQUALIFIED"));
    let told = road.tell(&json!([item])).await.ok("the hook");
    assert_eq!(told["results"][0]["status"], "rejected", "{told}");
    assert!(road.dynamo.items(&road.dynamo.tables.leads).await.is_empty());
}

#[tokio::test]
async fn what_templates_see_of_a_lead_is_what_they_were_tried_on() {
    fn names(value: &Value, path: &str, found: &mut Vec<String>) {
        if let Value::Object(map) = value {
            for (name, value) in map {
                let path = format!("{path}/{name}");
                // What is in these is a company's own.
                if !["/lead/attributes", "/lead/external_ids", "/event"].contains(&path.as_str()) {
                    found.push(path.clone());
                    names(value, &path, found);
                }
            }
        }
    }
    let of = |value: &Value| {
        let mut found = Vec::new();
        names(value, "", &mut found);
        found.sort();
        found
    };
    let lead = a_lead().lead();
    let owner = Owner { id: "at-1".to_owned(), ..Owner::default() };
    let seen = context(&lead, Some(&owner), &json!({}), None);
    assert_eq!(of(&seen), of(&sample()));
    assert_eq!(of(&seen), of(&bare_sample()));
}

#[tokio::test]
async fn what_is_known_of_a_record_is_written_by_one_at_a_time() {
    let road = Road::new().await;
    let catalog = road.catalog.as_ref();
    let id = adapters::crm::id("webhook-1", "lead");
    let mut first = Kept::read(catalog, &id).await.unwrap();
    let mut second = first.clone();
    first.known.standing = Standing::Making { since: Timestamp::from_secs(1_795_000_000) };
    assert!(first.known.will_hold(&Holds::from([("f".to_owned(), mark("lead", "f", &json!("v")))])));
    assert!(first.write(catalog).await.unwrap());
    assert!(!second.write(catalog).await.unwrap(), "one claim");
    assert_eq!(Kept::read(catalog, &id).await.unwrap().known, first.known);
}

#[tokio::test]
async fn people_are_known_by_their_records_and_over_them_by_what_the_webhook_says() {
    let road = Road::new().await;
    let of = |id: &str, person: &str| (id.to_owned(), person.to_owned());
    let plain = adapters::crm::people(road.catalog.as_ref(), None).await.unwrap();
    assert_eq!(plain, People::from([of("77", "at-1"), of("78", "de-1")]));
    let mut crm = road.contacts();
    crm["owners"] = json!({ "at-1": 9, "fr-1": "78" });
    let webhook = road.register(&crm, &Road::bearer()).await;
    let told = adapters::crm::people(road.catalog.as_ref(), Some(&webhook)).await.unwrap();
    assert_eq!(told, People::from([of("77", "at-1"), of("78", "fr-1"), of("9", "at-1")]));
}

#[tokio::test]
async fn the_examples_of_the_documentation_are_taken() {
    let road = Road::new().await;
    let text = std::fs::read_to_string(testkit::dynamo::root().join("docs/crm.md")).unwrap();
    let (mut told, mut telling) = (0, 0);
    let webhook = road.register(&road.contacts(), &Road::bearer()).await;
    for block in text.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let body: Value =
            serde_json::from_str(&block.replace("WEBHOOK_ID", &webhook).replace('…', "x")).unwrap();
        if body.get("crm").is_some() {
            road.call("POST", "/v1/webhooks", &body).await;
            told += 1;
        } else {
            road.call("PUT", "/v1/crm/mappings/example", &body).await;
            telling += 1;
        }
    }
    assert_eq!((told, telling), (2, 3));
}
