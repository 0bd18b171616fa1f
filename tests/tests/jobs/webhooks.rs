//! Events on their way out: from the outbox of a real database through `dispatch`, the queue and `deliver` to a receiver on
//! a port of this machine, which believes what is signed and nothing else.
//!
//! The clock is a test's, so an hour of refusals or three days of silence take as long as the tries in them. The queue is
//! the one of `leadloop dev`; how SQS itself behaves cannot be shown here.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::ports::{Catalog, LeadStore, MessageHolder, MessageSender, MessageTaker};
use adapters::webhooks;
use deliver::post::Poster;
use deliver::signature::{Secret, verify};
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use domain::webhook::State;
use leadloop::dev::outbox;
use leadloop::dev::queue::LocalQueue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{NOON, email, time};
use testkit::{
    Dynamo, FailingCatalog, FailingEventBus, FailingQueue, Failure, Failures, Heard, Manner, MemoryEventBus,
    Outbox, Receiver, RoleTokens, a_lead,
};
use tests::Api;
use tests::dies_after;

/// Everything between a change and a receiver.
struct Road {
    dynamo: Dynamo,
    clock: Arc<SetClock>,
    tokens: RoleTokens,
    failures: Failures,
    catalog: Arc<dyn Catalog>,
    bus: Arc<MemoryEventBus>,
    queue: LocalQueue,
    dead: LocalQueue,
    dispatch: dispatch::App,
    deliver: deliver::App,
    api: Api,
}

impl Road {
    async fn new() -> Self {
        let dynamo = Dynamo::start().await;
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let catalog: Arc<dyn Catalog> = Arc::new(dynamo.catalog());
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let failures = Failures::none();
        let failing: Arc<dyn Catalog> =
            Arc::new(FailingCatalog::new(Arc::new(dynamo.catalog()), failures.clone()));
        let bus = Arc::new(MemoryEventBus::new());
        let queue = LocalQueue::in_memory(Arc::clone(&shown));
        let dead = LocalQueue::in_memory(Arc::clone(&shown));
        let fails = |queue: &LocalQueue| FailingQueue::new(queue.clone(), failures.clone());
        let dispatch = dispatch::App {
            catalog: Arc::clone(&failing),
            bus: Arc::new(FailingEventBus::new(Arc::clone(&bus), failures.clone())),
            queue: Arc::new(fails(&queue)),
            dead_letters: Arc::new(fails(&dead)),
            source: "urn:leadloop:test".to_owned(),
        };
        let poster = Poster::new(true).within(Duration::from_millis(250));
        let source = dispatch.source.clone();
        let leads = Arc::new(dynamo.leads());
        let deliver = deliver::App::new(leads, failing, fails(&queue), fails(&dead), poster, source, shown);
        let (router, _) = adapters::http::split(deliver::router(deliver.clone()));
        let api = Api::of(router);
        Self { dynamo, clock, tokens, failures, catalog, bus, queue, dead, dispatch, deliver, api }
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let call = self.api.call(method, path).token(self.tokens.of(Role::Admin)).json(body);
        let answer = call.send().await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Registers a receiver; gives the webhook's id and its secret.
    async fn register(&self, url: &str) -> (String, Secret) {
        let made = self.call("POST", "/v1/webhooks", &json!({ "url": url })).await;
        let secret = Secret::parse(made["secret"].as_str().unwrap()).unwrap();
        (made["id"].as_str().unwrap().to_owned(), secret)
    }

    /// Stores new leads, each with its event.
    async fn capture(&self, names: &[&str]) {
        for name in names {
            let change = a_lead().known_by(email(&format!("{name}@company.example"))).change();
            assert!(!change.events.is_empty());
            assert_eq!(self.dynamo.leads().commit(&change).await.unwrap(), adapters::ports::Commit::Done);
        }
    }

    /// Lets `dispatch` and `deliver` work once.
    async fn work(&self) {
        let table = &self.dynamo.tables.outbox;
        outbox::feed(&self.dynamo.client, table, &self.dispatch).await.unwrap();
        outbox::deliver(&self.queue, &self.deliver).await.unwrap();
    }

    /// Lets time pass to the next try, and tries; gives how much time that was.
    async fn next_try(&self) -> Option<i64> {
        let next = self.queue.next_at()?;
        let passed = next.since(self.clock.now());
        self.clock.set(next.max(self.clock.now()));
        outbox::deliver(&self.queue, &self.deliver).await.unwrap();
        Some(passed.max(0))
    }

    /// Tries until nothing waits any more, or until a moment.
    async fn until(&self, end: Timestamp) -> usize {
        let mut tries = 0;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.next_try().await;
            tries += 1;
        }
        self.clock.set(self.clock.now().max(end));
        tries
    }

    async fn webhook(&self, id: &str) -> domain::webhook::Webhook {
        let record = self.catalog.get(webhooks::KIND, id).await.unwrap().unwrap();
        webhooks::from_record(&record).unwrap()
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }
}

/// Holds that what came is signed; the clock of the receiver is that of the test.
fn believe(heard: &Heard, secret: &Secret, now: Timestamp) -> bool {
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| heard.header(name));
    verify(secret, id, timestamp, signature, heard.body.as_bytes(), now).is_ok()
}

fn event(heard: &Heard) -> Value {
    serde_json::from_str(&heard.body).unwrap()
}

fn ids(heard: &[Heard]) -> BTreeSet<String> {
    heard.iter().map(|one| one.header("webhook-id").to_owned()).collect()
}

#[tokio::test]
async fn what_happens_to_a_lead_is_heard_signed_on_the_bus_and_by_every_webhook_that_wants_it() {
    let road = Road::new().await;
    let (all, some) =
        (Receiver::start(Manner::Answers(200)).await, Receiver::start(Manner::Answers(204)).await);
    let (_, secret) = road.register(&all.url).await;
    let outcomes = json!({ "url": some.url, "types": ["leadloop.lead.outcome"] });
    road.call("POST", "/v1/webhooks", &outcomes).await;
    road.capture(&["ada"]).await;
    let stored = road.dynamo.sent().await;
    road.work().await;
    let told = road.bus.take();
    let heard = all.take();
    assert_eq!(told.len(), stored.len());
    assert_eq!(heard.len(), stored.len());
    assert!(some.take().is_empty(), "nothing was won or lost");
    for one in &heard {
        assert!(believe(one, &secret, road.clock.now()));
        assert!(!believe(one, &Secret::fresh(), road.clock.now()));
        let event = event(one);
        assert_eq!(event["id"], one.header("webhook-id"));
        assert_eq!(event["data"]["version"], 1);
        assert_eq!(one.header("content-type"), "application/cloudevents+json; charset=utf-8");
        assert!(told.iter().any(|told| told.to_json() == event), "the bus heard the same");
    }
    assert!(road.dynamo.sent().await.is_empty(), "the outbox is cleared");
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn an_hour_of_500_costs_time_and_no_event() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(500)).await;
    let (id, secret) = road.register(&receiver.url).await;
    road.capture(&["ada", "bob"]).await;
    let wanted = road.dynamo.sent().await.len();
    road.work().await;
    let end = road.clock.now().plus(HOUR_MS);
    road.until(end).await;
    let refused = receiver.take();
    assert_eq!(ids(&refused).len(), wanted);
    assert!((4 * wanted..40 * wanted).contains(&refused.len()), "{} tries in an hour", refused.len());
    let webhook = road.webhook(&id).await;
    assert_eq!(webhook.state, State::On);
    assert_eq!(webhook.health.failing_since, Some(time(NOON)));
    assert_eq!(webhook.health.last_failure.unwrap().1, "answered 500");
    receiver.now(Manner::Answers(200));
    road.until(end.plus(4 * HOUR_MS)).await;
    let taken = receiver.take();
    assert_eq!(taken.len(), wanted, "each is taken once");
    assert_eq!(ids(&taken), ids(&refused), "under the ids that were refused");
    assert!(taken.iter().all(|one| {
        let at = one.header("webhook-timestamp").parse().unwrap();
        believe(one, &secret, Timestamp::from_secs(at)) && Timestamp::from_secs(at) >= end
    }));
    assert!(road.queue.is_empty() && road.dead.is_empty());
    assert_eq!(road.webhook(&id).await.health.failing_since, None);
}

#[tokio::test]
async fn what_is_refused_for_a_day_is_set_aside_and_comes_with_a_replay() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Says(302, "Location", "http://10.0.0.1/".to_owned())).await;
    let (id, _) = road.register(&receiver.url).await;
    road.capture(&["ada"]).await;
    road.work().await;
    let began = road.clock.now();
    while road.next_try().await.is_some() {}
    assert_eq!(road.clock.now().since(began), DAY_MS, "the last try is after a day");
    let refused = receiver.take();
    assert!(!road.dead.is_empty());
    let how = road.webhook(&id).await.health.last_failure.unwrap().1;
    assert!(how.contains("redirect"), "{how}");
    receiver.now(Manner::Answers(200));
    let replayed = road.call("POST", &format!("/v1/webhooks/{id}/replay"), &Value::Null).await;
    assert_eq!(replayed["replayed"], ids(&refused).len());
    assert_eq!(replayed["more"], false);
    road.work().await;
    assert_eq!(ids(&receiver.take()), ids(&refused));
    assert!(road.queue.is_empty() && road.dead.is_empty());
}

#[tokio::test]
async fn a_receiver_that_fails_for_three_days_is_switched_off_says_so_and_loses_nothing() {
    let road = Road::new().await;
    let (ill, well) = (Receiver::start(Manner::HangsUp).await, Receiver::start(Manner::Answers(200)).await);
    let (id, _) = road.register(&ill.url).await;
    road.register(&well.url).await;
    let mut wanted = BTreeSet::new();
    for day in 0..5 {
        road.capture(&[&format!("lead-{day}")]).await;
        road.work().await;
        road.until(time(NOON).plus((day + 1) * DAY_MS)).await;
        wanted.extend(ids(&well.take()));
    }
    let State::SwitchedOff { at, .. } = road.webhook(&id).await.state else { panic!("it is still on") };
    let after = at.since(time(NOON));
    assert!((3 * DAY_MS..3 * DAY_MS + 2 * HOUR_MS).contains(&after), "{after}");
    let shown = road.call("GET", &format!("/v1/webhooks/{id}"), &Value::Null).await;
    assert_eq!(shown["state"], "switched_off");
    assert!(shown["switched_off"]["reason"].as_str().unwrap().contains("3 days"), "{shown}");
    assert!(shown["switched_off"]["at"].is_string() && shown["failing_since"].is_string());
    let tried = ill.take();
    // What happens now is not even tried, and not lost either.
    road.capture(&["late"]).await;
    road.work().await;
    wanted.extend(ids(&well.take()));
    assert!(ill.take().is_empty());
    // A replay to a receiver that is off would come straight back.
    let path = format!("/v1/webhooks/{id}/replay");
    road.api.call("POST", &path).token(&road.tokens.admin).expect(409).await;
    ill.now(Manner::Answers(200));
    road.call("PUT", &format!("/v1/webhooks/{id}"), &json!({ "url": ill.url })).await;
    road.call("POST", &path, &Value::Null).await;
    road.work().await;
    road.until(road.clock.now().plus(DAY_MS)).await;
    let came: BTreeSet<String> = ids(&ill.take());
    assert_eq!(came, wanted, "all of five days, and of the one after");
    assert!(ids(&tried).is_subset(&came));
    assert_eq!(road.webhook(&id).await.state, State::On);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_switched_off_at_once() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(410)).await;
    let (id, _) = road.register(&receiver.url).await;
    road.capture(&["ada"]).await;
    let wanted = road.dynamo.sent().await.len();
    road.work().await;
    assert!(matches!(road.webhook(&id).await.state, State::SwitchedOff { .. }));
    assert_eq!((road.queue.len(), road.dead.len()), (0, wanted));
}

#[tokio::test]
async fn a_receiver_is_waited_for_as_long_as_it_asks() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Says(429, "Retry-After", "5400".to_owned())).await;
    road.register(&receiver.url).await;
    road.capture(&["ada"]).await;
    road.work().await;
    let next = road.queue.next_at().unwrap().since(road.clock.now());
    assert!((90 * MINUTE_MS..92 * MINUTE_MS).contains(&next), "{next}");
}

#[tokio::test]
async fn a_slow_or_silent_receiver_holds_nobody_else_up() {
    let road = Road::new().await;
    let slow = Receiver::start(Manner::Drips).await;
    let (silent, well) =
        (Receiver::start(Manner::IsSilent).await, Receiver::start(Manner::Answers(200)).await);
    let (id, _) = road.register(&slow.url).await;
    road.register(&silent.url).await;
    road.register(&well.url).await;
    road.capture(&["ada"]).await;
    let wanted = road.dynamo.sent().await.len();
    let began = std::time::Instant::now();
    road.work().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(well.take().len(), wanted);
    assert_eq!(road.queue.len(), 2 * wanted, "the others' messages wait");
    assert!(road.webhook(&id).await.health.last_failure.unwrap().1.contains("no whole answer within"));
}

#[tokio::test]
async fn a_secret_is_rotated_without_a_message_that_either_side_does_not_believe() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let (id, old) = road.register(&receiver.url).await;
    let made =
        road.call("POST", &format!("/v1/webhooks/{id}/rotate"), &json!({ "old_signs_hours": 2 })).await;
    let new = Secret::parse(made["secret"].as_str().unwrap()).unwrap();
    assert_ne!(old, new);
    for (hour, believed) in [(0, (true, true)), (1, (true, true)), (2, (false, true)), (30, (false, true))] {
        road.clock.set(time(NOON).plus(hour * HOUR_MS));
        road.capture(&[&format!("lead-{hour}")]).await;
        road.work().await;
        let heard = receiver.take();
        assert!(!heard.is_empty());
        for one in heard {
            let now = road.clock.now();
            assert_eq!((believe(&one, &old, now), believe(&one, &new, now)), believed, "after {hour} h");
        }
    }
    // Nothing shows a secret but its making.
    for path in ["/v1/webhooks".to_owned(), format!("/v1/webhooks/{id}")] {
        let shown = road.call("GET", &path, &Value::Null).await.to_string();
        assert!(!shown.contains("whsec_") && !shown.contains("\"secret\""), "{shown}");
    }
}

#[tokio::test]
async fn a_webhook_can_be_tried_paused_and_deleted() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let (id, secret) = road.register(&receiver.url).await;
    let path = format!("/v1/webhooks/{id}");
    let tried = road.call("POST", &format!("{path}/test"), &Value::Null).await;
    assert_eq!((tried["delivered"].clone(), tried["status"].clone()), (json!(true), json!(200)));
    let [heard] = receiver.take().try_into().unwrap();
    assert!(believe(&heard, &secret, road.clock.now()));
    assert_eq!(event(&heard)["type"], "leadloop.webhook.test");
    receiver.now(Manner::Answers(404));
    let tried = road.call("POST", &format!("{path}/test"), &Value::Null).await;
    assert_eq!((tried["delivered"].clone(), tried["how"].clone()), (json!(false), json!("answered 404")));
    assert_eq!(
        road.webhook(&id).await.health.failing_since,
        None,
        "a try by hand says nothing of its health"
    );
    receiver.now(Manner::Answers(200));
    drop(receiver.take());
    road.call("PUT", &path, &json!({ "url": receiver.url, "paused": true })).await;
    road.capture(&["ada"]).await;
    road.work().await;
    assert!(receiver.take().is_empty() && road.queue.is_empty() && road.dead.is_empty());
    // A message that is under way when its webhook is deleted has nobody to go to.
    road.call("PUT", &path, &json!({ "url": receiver.url })).await;
    road.capture(&["bob"]).await;
    outbox::feed(&road.dynamo.client, &road.dynamo.tables.outbox, &road.dispatch).await.unwrap();
    assert!(!road.queue.is_empty());
    road.call("DELETE", &path, &Value::Null).await;
    road.work().await;
    assert!(receiver.take().is_empty() && road.queue.is_empty() && road.dead.is_empty());
    let secret = road.catalog.get(deliver::secrets::KIND, &id).await.unwrap();
    assert_eq!(secret, None);
}

#[tokio::test]
async fn whatever_call_fails_nothing_is_lost_and_repeats_carry_the_same_id() {
    // Once undisturbed, to see which calls there are.
    let calls = walk(None).await;
    assert!(calls >= 6, "{calls} calls");
    for n in 1..=calls {
        for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
            walk(Some((n, failure))).await;
        }
    }
}

/// Two receivers, one of which refuses at first; one call fails. Gives how many calls there were.
async fn walk(fails: Option<(usize, Failure)>) -> usize {
    let road = Road::new().await;
    let (well, late) =
        (Receiver::start(Manner::Answers(200)).await, Receiver::start(Manner::Answers(503)).await);
    road.register(&well.url).await;
    road.register(&late.url).await;
    road.capture(&["ada", "bob", "cyd"]).await;
    drop(road.failures.take_calls());
    if let Some((n, failure)) = fails {
        road.failures.on_call(n, failure);
    }
    road.work().await;
    late.now(Manner::Answers(200));
    // What failed comes again: the stream from the record on, the queue when the message is no longer hidden.
    for _ in 0..20 {
        road.work().await;
        if road.dynamo.sent().await.is_empty() && road.queue.is_empty() {
            break;
        }
        road.next_try().await;
        road.later(1);
    }
    let calls = road.failures.take_calls().len();
    let told = road.bus.take();
    let by_id: BTreeMap<String, Value> =
        told.iter().map(|event| (event.id.clone(), event.to_json())).collect();
    let leads: BTreeSet<&str> = told.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(leads.len(), 3, "{fails:?}");
    assert!(told.iter().all(|event| by_id[&event.id] == event.to_json()), "{fails:?}: one id is one event");
    for receiver in [&well, &late] {
        let heard = receiver.take();
        assert_eq!(ids(&heard), by_id.keys().cloned().collect(), "{fails:?}: all of it was heard");
        assert!(heard.iter().all(|one| by_id[one.header("webhook-id")] == event(one)), "{fails:?}");
    }
    assert!(road.queue.is_empty() && road.dead.is_empty(), "{fails:?}");
    calls
}

#[tokio::test]
async fn whatever_call_of_setting_aside_and_replaying_fails_nothing_is_lost() {
    for n in 1..=12 {
        for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
            let road = Road::new().await;
            let receiver = Receiver::start(Manner::Answers(410)).await;
            let (id, _) = road.register(&receiver.url).await;
            road.capture(&["ada"]).await;
            let table = &road.dynamo.tables.outbox;
            outbox::feed(&road.dynamo.client, table, &road.dispatch).await.unwrap();
            let wanted: BTreeSet<String> = road.bus.take().into_iter().map(|event| event.id).collect();
            drop(road.failures.take_calls());
            road.failures.on_call(n, failure);
            while road.next_try().await.is_some() {}
            receiver.now(Manner::Answers(200));
            road.call_until_done("PUT", &format!("/v1/webhooks/{id}"), &json!({ "url": receiver.url })).await;
            drop(receiver.take());
            for _ in 0..4 {
                road.call_until_done("POST", &format!("/v1/webhooks/{id}/replay"), &Value::Null).await;
                road.later(2 * MINUTE_MS);
                while road.next_try().await.is_some() {}
            }
            assert_eq!(ids(&receiver.take()), wanted, "call {n}: {failure:?}");
            assert!(road.queue.is_empty() && road.dead.is_empty(), "call {n}: {failure:?}");
        }
    }
}

impl Road {
    /// Sends a request again while the answer is that the store is busy.
    async fn call_until_done(&self, method: &str, path: &str, body: &Value) {
        for _ in 0..5 {
            let answer = self.api.call(method, path).token(&self.tokens.admin).json(body).send().await;
            if answer.status == 200 {
                return;
            }
            assert_eq!(answer.status, 503, "{}", answer.text());
        }
        panic!("{method} {path} is never answered");
    }
}

#[tokio::test]
async fn a_worker_that_dies_before_it_answers_leaves_its_messages_in_the_queue() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    road.register(&receiver.url).await;
    road.capture(&["ada"]).await;
    let table = &road.dynamo.tables.outbox;
    // `dispatch` dies after it sent and before anybody hears of it: the records come again.
    let records = road.dynamo.items(table).await;
    let records: Vec<Value> =
        records.iter().map(|item| adapters::dynamodb::stream::added(item, "1")).collect();
    dispatch::handle(&road.dispatch, &json!({ "Records": records })).await;
    // `deliver` dies after it sent and before the message is removed: it comes again when it is no longer hidden.
    let batch = road.queue.receive().unwrap();
    deliver::queue::handle(&road.deliver, &batch).await;
    let first = receiver.take();
    road.later(HOUR_MS);
    road.work().await;
    let again = receiver.take();
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(again.len(), 2 * first.len(), "once for each time that dispatch sent it");
    assert!(road.queue.is_empty());
}

#[tokio::test]
async fn workers_that_die_at_any_step_lose_nothing() {
    let (mut finished, mut died) = (0, 0);
    for steps in (0..16).chain((16..64).step_by(6)).chain([1_000]) {
        let road = Road::new().await;
        let receiver = Receiver::start(Manner::Answers(200)).await;
        road.register(&receiver.url).await;
        road.capture(&["ada", "bob"]).await;
        let table = &road.dynamo.tables.outbox;
        let wanted = road.dynamo.sent().await.len();
        let fed = dies_after(steps, outbox::feed(&road.dynamo.client, table, &road.dispatch)).await;
        let batch = road.queue.receive().unwrap();
        let sent = dies_after(steps, deliver::queue::handle(&road.deliver, &batch)).await;
        finished += usize::from(fed.is_some() && sent.is_some());
        died += usize::from(fed.is_none() || sent.is_none());
        // Nobody removed a message of the batch: its worker never said what became of it.
        road.later(HOUR_MS);
        road.work().await;
        let heard = receiver.take();
        let told: BTreeSet<String> = road.bus.take().into_iter().map(|event| event.id).collect();
        assert_eq!(ids(&heard).len(), wanted, "after {steps} steps");
        assert_eq!(ids(&heard), told, "after {steps} steps");
        assert!(road.queue.is_empty() && road.dead.is_empty(), "after {steps} steps");
        assert!(road.dynamo.sent().await.is_empty(), "after {steps} steps");
    }
    assert!(died > 10 && finished > 0, "{died} died, {finished} did not");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_set_aside_and_stays_there() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let (id, _) = road.register(&receiver.url).await;
    road.queue.send(&["what is this?".to_owned()]).await.unwrap();
    road.work().await;
    assert_eq!((road.queue.len(), road.dead.len()), (0, 1));
    let replayed = road.call("POST", &format!("/v1/webhooks/{id}/replay"), &Value::Null).await;
    assert_eq!(replayed["replayed"], 0);
    assert_eq!(road.dead.len(), 1);
}

#[tokio::test]
async fn the_queue_of_one_machine_hides_holds_and_survives_a_restart() {
    let folder = std::env::temp_dir().join(format!("leadloop-queue-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("deliveries.json");
    let clock = Arc::new(SetClock::at(time(NOON)));
    let open = || LocalQueue::open(&file, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let queue = open();
    queue.send(&["one".to_owned(), "two".to_owned()]).await.unwrap();
    let batch = queue.receive().unwrap();
    assert_eq!(batch["Records"].as_array().unwrap().len(), 2);
    assert_eq!(queue.receive().unwrap()["Records"], json!([]), "both are hidden");
    let receipt = batch["Records"][0]["receiptHandle"].as_str().unwrap();
    queue.hold(receipt, 3_600).await.unwrap();
    queue.settle(&batch, &json!({ "batchItemFailures": [{ "itemIdentifier": "0" }] })).unwrap();
    drop(queue);
    let queue = open();
    assert_eq!(queue.len(), 1);
    clock.set(time(NOON).plus(HOUR_MS - 1));
    assert_eq!(queue.receive().unwrap()["Records"], json!([]));
    clock.set(time(NOON).plus(HOUR_MS));
    let again = queue.receive().unwrap();
    assert_eq!(again["Records"][0]["body"], "one");
    assert_eq!(again["Records"][0]["attributes"]["ApproximateReceiveCount"], "2");
    assert!(queue.hold(receipt, 1).await.is_err(), "an old receipt is void");
    clock.set(time(NOON).plus(2 * HOUR_MS));
    let [taken] = queue.take().await.unwrap().try_into().unwrap();
    queue.remove(&taken.receipt).await.unwrap();
    assert!(open().is_empty());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Tells whether the published schema allows an event.
fn allowed(event: &Value) -> Result<(), String> {
    let schema: Value = serde_json::from_str(deliver::SCHEMA).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    schema.validate(event).map_err(|error| error.to_string())
}

#[test]
fn every_type_is_documented_with_an_example_that_its_schema_allows_and_nothing_else() {
    let page = std::fs::read_to_string(testkit::dynamo::root().join("docs/events.md")).unwrap();
    let mut shown = BTreeSet::new();
    for part in page.split("\n### leadloop.").skip(1) {
        let heading = format!("leadloop.{}", part.lines().next().unwrap());
        let example = part.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let event: Value = serde_json::from_str(example).unwrap();
        assert_eq!(event["type"], heading);
        allowed(&event).unwrap_or_else(|error| panic!("{heading}: {error}"));
        // Without any one of its fields, or with another type's, it is no such event.
        for field in event["data"].as_object().unwrap().keys() {
            let mut broken = event.clone();
            broken["data"].as_object_mut().unwrap().remove(field);
            assert!(allowed(&broken).is_err(), "{heading} without {field}");
        }
        for field in ["specversion", "id", "type", "source", "subject", "time", "datacontenttype", "data"] {
            let mut broken = event.clone();
            broken.as_object_mut().unwrap().remove(field);
            assert!(allowed(&broken).is_err(), "{heading} without {field}");
        }
        shown.insert(heading);
    }
    let first = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(allowed(&serde_json::from_str(first).unwrap()), Ok(()));
    let mut known: BTreeSet<String> = domain::change::EventKind::WORDS
        .iter()
        .map(|(word, _)| adapters::cloud_event::type_of(word))
        .collect();
    known.insert(adapters::cloud_event::TEST_TYPE.to_owned());
    assert_eq!(shown, known);
}

#[tokio::test]
async fn what_a_whole_story_sends_is_what_the_schema_allows() {
    use domain::change::{Change, Fact, advance};
    use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
    use domain::identity::{ExternalId, Slug};
    use domain::promise::People;
    use domain::sales::Move;
    use testkit::builders::{change, delivered, playbook};
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let (id, _) = road.register(&receiver.url).await;
    road.call("POST", &format!("/v1/webhooks/{id}/test"), &Value::Null).await;
    let store = road.dynamo.leads();
    let Change { lead, .. } = {
        let born = a_lead().known_by(email("ada@company.example")).ready().change();
        store.commit(&born).await.unwrap();
        born
    };
    let withdrawn = ConsentFact {
        purpose: Purpose::Marketing,
        status: ConsentStatus::Withdrawn,
        basis: Basis::Consent,
        at: time(NOON),
        source: None,
        text: None,
    };
    let won = Move::Won { deal: ExternalId::new("crm", "D-1").unwrap(), amount: None };
    let won = Fact::Sales { what: won, by: None, note: None };
    let mut lead = lead;
    let to = Slug::parse("at-2").unwrap();
    let assigned = Fact::Sales { what: Move::Assigned { to, promise_due_at: None }, by: None, note: None };
    let at = time(NOON).plus(MINUTE_MS);
    let next = change(&lead, &[delivered("assigned", at, assigned)], at);
    store.commit(&next).await.unwrap();
    lead = next.lead;
    // Nobody answers: until the promise is broken, reviews come as they are due.
    let mut at = at;
    while lead.promise_due_at.is_some_and(|promised| promised >= at) {
        at = lead.due_at.unwrap();
        let next = advance(&lead, playbook(), lead.playbook_version, None, People::nobody(), at).unwrap();
        store.commit(&next).await.unwrap();
        lead = next.lead;
    }
    for (n, fact) in [won, Fact::Consent(withdrawn)].into_iter().enumerate() {
        let at = at.plus((i64::try_from(n).unwrap() + 1) * MINUTE_MS);
        let next = change(&lead, &[delivered(&format!("fact {n}"), at, fact)], at);
        store.commit(&next).await.unwrap();
        lead = next.lead;
    }
    let told = domain::erasure::event(&lead, at.plus(HOUR_MS));
    assert!(store.erase(&lead, &told, &[]).await.unwrap());
    road.work().await;
    let heard = receiver.take();
    let types: BTreeSet<String> =
        heard.iter().map(|one| event(one)["type"].as_str().unwrap().to_owned()).collect();
    for one in &heard {
        let event = event(one);
        allowed(&event).unwrap_or_else(|error| panic!("{event}: {error}"));
    }
    let known = domain::change::EventKind::WORDS.len() + 1;
    assert_eq!(types.len(), known, "each type is sent once at least: {types:?}");
}

#[tokio::test]
async fn nothing_that_goes_well_or_wrong_leaves_a_secret_an_address_or_a_name_in_the_log() {
    let road = Road::new().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let caught: Arc<std::sync::Mutex<Vec<u8>>> = Arc::default();
    let writer = Arc::clone(&caught);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter("info,adapters=trace,domain=trace,deliver=trace,dispatch=trace,leadloop=trace")
        .with_writer(move || Writer(Arc::clone(&writer)))
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let (id, secret) = road.register(&receiver.url).await;
    let rotated = road.call("POST", &format!("/v1/webhooks/{id}/rotate"), &json!({})).await;
    let mut heard = Vec::new();
    for (n, manner) in [
        Manner::Answers(200),
        Manner::Says(307, "Location", "http://169.254.169.254/".to_owned()),
        Manner::HangsUp,
        Manner::IsSilent,
        Manner::Answers(410),
    ]
    .into_iter()
    .enumerate()
    {
        receiver.now(manner);
        road.capture(&[&format!("ada.secret-{n}")]).await;
        road.failures.on_call(2 * n + 1, Failure::Throttled);
        road.work().await;
        heard.extend(receiver.take());
        road.later(8 * MINUTE_MS);
    }
    road.work().await;
    for key in ["secrets", "state"] {
        let kind = if key == "state" { webhooks::KIND } else { deliver::secrets::KIND };
        let record = road.catalog.get(kind, &id).await.unwrap().unwrap();
        let mut body = record.body.clone();
        body[key] = json!([{ "secret": secret.reveal() }]);
        road.catalog.put(&[adapters::ports::Put::over(&record, body)]).await.unwrap();
        road.capture(&[&format!("ada.secret-{key}")]).await;
        let table = &road.dynamo.tables.outbox;
        outbox::feed(&road.dynamo.client, table, &road.dispatch).await.unwrap();
        road.later(HOUR_MS);
        outbox::deliver(&road.queue, &road.deliver).await.unwrap();
        road.api.call("GET", &format!("/v1/webhooks/{id}")).token(&road.tokens.admin).send().await;
    }
    drop(guard);
    let log = String::from_utf8(caught.lock().unwrap().clone()).unwrap();
    for said in ["a webhook was called", "webhook_switched_off", "damaged", "switched off"] {
        assert!(log.contains(said), "{said} is logged: {log}");
    }
    let secrets = [secret.reveal(), rotated["secret"].as_str().unwrap().to_owned()];
    let signatures = heard.iter().map(|one| one.header("webhook-signature").to_owned());
    let never: Vec<String> = secrets
        .iter()
        .map(|secret| secret.trim_start_matches("whsec_").to_owned())
        .chain(signatures)
        .chain(["whsec_", "ada.secret", "company.example", "for=leads", "ll_admin_"].map(str::to_owned))
        .collect();
    assert!(never.len() > 9);
    for word in never {
        let line = log.lines().find(|line| line.contains(&word));
        assert_eq!(line, None, "{word} is in the log");
    }
}

/// Keeps what is logged.
struct Writer(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
