use super::*;
use adapters::cloud_event::type_of;
use adapters::ports::StoreError;
use async_trait::async_trait;
use domain::change::EventKind;
use domain::webhook::{Health, State, Webhook};
use std::sync::Mutex;
use testkit::{FailingCatalog, FailingEventBus, Failure, Failures, MemoryCatalog, MemoryEventBus, time};

/// A queue that takes everything but the messages of some webhooks.
#[derive(Debug, Default)]
struct PickyQueue {
    refuses: &'static str,
    took: Mutex<Vec<String>>,
}

#[async_trait]
impl MessageSender for PickyQueue {
    async fn send(&self, messages: &[String]) -> Result<Vec<usize>, StoreError> {
        assert!((1..=AT_ONCE).contains(&messages.len()));
        let refused = |message: &str| !self.refuses.is_empty() && message.contains(self.refuses);
        let mut took = self.took.lock().unwrap();
        took.extend(messages.iter().filter(|message| !refused(message)).cloned());
        Ok(messages.iter().enumerate().filter(|(_, message)| refused(message)).map(|(at, _)| at).collect())
    }
}

struct Setting {
    app: App,
    bus: Arc<MemoryEventBus>,
    queue: Arc<PickyQueue>,
    aside: Arc<PickyQueue>,
    failures: Failures,
}

async fn setting(refuses: &'static str, webhooks: &[(&str, &[EventKind], State)]) -> Setting {
    let catalog = Arc::new(MemoryCatalog::new());
    for (id, kinds, state) in webhooks {
        let webhook = Webhook {
            id: (*id).to_owned(),
            url: "https://hooks.example/".to_owned(),
            crm: None,
            kinds: kinds.to_vec(),
            description: None,
            state: state.clone(),
            health: Health::default(),
            created_at: time(testkit::builders::NOON),
            created_by: "admin".to_owned(),
        };
        let put = adapters::ports::Put::new(webhooks::KIND, *id, webhooks::to_body(&webhook));
        assert!(catalog.put(&[put]).await.unwrap());
    }
    let failures = Failures::none();
    let bus = Arc::new(MemoryEventBus::new());
    let queue = Arc::new(PickyQueue { refuses, took: Mutex::default() });
    let aside = Arc::new(PickyQueue::default());
    let app = App {
        catalog: Arc::new(FailingCatalog::new(catalog, failures.clone())),
        bus: Arc::new(FailingEventBus::new(Arc::clone(&bus), failures.clone())),
        queue: Arc::clone(&queue) as _,
        dead_letters: Arc::clone(&aside) as _,
        source: "urn:leadloop:test".to_owned(),
    };
    Setting { app, bus, queue, aside, failures }
}

fn record(n: usize, kind: &str) -> Value {
    json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": format!("{n:05}"), "NewImage": {
        "lead_id": {"S": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "entry_id": {"S": format!("2026-11-22T12:00:00.000Z-{n}-0-{kind}")},
        "kind": {"S": kind}, "at": {"N": "1795348800000"}, "version": {"N": "3"}, "expires_at": {"N": "1795953600"},
        "detail": {"M": {"stage": {"S": "inquiry"}}}}}})
}

fn batch(records: impl IntoIterator<Item = Value>) -> Value {
    json!({ "Records": records.into_iter().collect::<Vec<_>>() })
}

fn failed(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_webhook_gets_what_it_wants_and_the_bus_gets_everything() {
    let off = State::SwitchedOff { at: time(testkit::builders::NOON), reason: "failed".to_owned() };
    let webhooks: [(&str, &[EventKind], State); 4] = [
        ("all", &[], State::On),
        ("outcomes", &[EventKind::Outcome], State::On),
        ("paused", &[], State::Paused),
        ("off", &[], off),
    ];
    let setting = setting("", &webhooks).await;
    let answer = handle(
        &setting.app,
        &batch([record(1, "captured"), record(2, "outcome"), record(3, "of_next_year")]),
    )
    .await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let types: Vec<String> = setting.bus.take().into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["captured", "outcome", "of_next_year"].map(type_of));
    let mut sent: Vec<(String, String)> = setting
        .queue
        .took
        .lock()
        .unwrap()
        .iter()
        .map(|body| Delivery::from_body(body).unwrap())
        .map(|delivery| (delivery.webhook.clone(), delivery.event["type"].as_str().unwrap().to_owned()))
        .collect();
    sent.sort();
    let of = |webhook: &str, kind: &str| (webhook.to_owned(), type_of(kind));
    // One that was switched off still gets its messages: `deliver` sets them aside for it.
    let wanted = [
        of("all", "captured"),
        of("all", "of_next_year"),
        of("all", "outcome"),
        of("off", "captured"),
        of("off", "of_next_year"),
        of("off", "outcome"),
        of("outcomes", "outcome"),
    ];
    assert_eq!(sent, wanted);
}

#[tokio::test]
async fn an_event_that_the_bus_did_not_take_comes_again_and_no_other() {
    let setting = setting("", &[("one", &[], State::On)]).await;
    // The first of the second ten is not taken by the bus.
    setting.failures.on_call(2, Failure::Conflict);
    let answer = handle(&setting.app, &batch((0..25).map(|n| record(n, "captured")))).await;
    assert_eq!(failed(&answer), ["00010"]);
    assert_eq!(setting.bus.take().len(), 24);
    // The bus gives no answer about the last five.
    drop(setting.failures.take_calls());
    setting.failures.on_call(3, Failure::TimedOutAfterWrite);
    let answer = handle(&setting.app, &batch((0..25).map(|n| record(n, "captured")))).await;
    assert_eq!(failed(&answer), ["00020", "00021", "00022", "00023", "00024"]);
}

#[tokio::test]
async fn a_message_that_the_queue_did_not_take_fails_its_event() {
    let setting =
        setting("\"webhook\":\"two\"", &[("one", &[], State::On), ("two", &[EventKind::Outcome], State::On)])
            .await;
    let answer =
        handle(&setting.app, &batch([record(1, "captured"), record(2, "outcome"), record(3, "captured")]))
            .await;
    assert_eq!(failed(&answer), ["00002"]);
    assert_eq!(setting.queue.took.lock().unwrap().len(), 3, "the other webhook has all of them");
}

#[tokio::test]
async fn while_the_webhooks_cannot_be_read_every_event_comes_again() {
    let setting = setting("", &[("one", &[], State::On)]).await;
    setting.failures.outage();
    let answer = handle(&setting.app, &batch([record(1, "captured"), record(2, "outcome")])).await;
    assert_eq!(failed(&answer), ["00001", "00002"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_set_aside_and_holds_nobody_up() {
    let setting = setting("", &[("one", &[], State::On)]).await;
    let mut broken = record(2, "captured");
    broken["dynamodb"]["NewImage"]["version"] = json!({ "S": "three" });
    let answer =
        handle(&setting.app, &batch([record(1, "captured"), broken.clone(), record(3, "captured")])).await;
    assert_eq!(failed(&answer), Vec::<&str>::new());
    assert_eq!(setting.bus.take().len(), 2);
    assert_eq!(*setting.aside.took.lock().unwrap(), [broken.to_string()], "whole, so that it can be mended");
    let app = App {
        dead_letters: Arc::new(PickyQueue { refuses: "three", took: Mutex::default() }),
        ..setting.app
    };
    assert_eq!(failed(&handle(&app, &batch([broken])).await), ["00002"], "unless even that fails");
}

#[tokio::test]
async fn what_leaves_the_outbox_is_no_event() {
    let setting = setting("", &[("one", &[], State::On)]).await;
    let mut gone = record(1, "captured");
    gone["eventName"] = "REMOVE".into();
    let answer = handle(&setting.app, &batch([gone])).await;
    assert_eq!(failed(&answer), Vec::<&str>::new());
    assert!(setting.bus.take().is_empty() && setting.queue.took.lock().unwrap().is_empty());
    assert_eq!(handle(&setting.app, &json!({})).await, json!({ "batchItemFailures": [] }));
}

#[tokio::test]
async fn each_event_that_eventbridge_does_not_take_is_named() {
    use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use testkit::{Manner, Receiver};
    let answer = json!({ "FailedEntryCount": 1, "Entries": [
        { "EventId": "1" }, { "ErrorCode": "ThrottlingException", "ErrorMessage": "slow down" }, { "EventId": "3" }] });
    let aws = Receiver::start(Manner::Replies(200, answer.to_string())).await;
    let config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(&aws.url)
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    let bus = bus::EventBridge::new(aws_sdk_eventbridge::Client::from_conf(config), "leadloop");
    let setting = setting("", &[]).await;
    let events: Vec<CloudEvent> =
        (0..3).map(|n| read(&setting.app, &record(n, "captured")).unwrap().unwrap()).collect();
    assert_eq!(bus.put(&events).await.unwrap(), [1]);
    let [heard] = aws.take().try_into().unwrap();
    let sent: Value = serde_json::from_str(&heard.body).unwrap();
    let entry = &sent["Entries"][0];
    assert_eq!(entry["EventBusName"], "leadloop");
    assert_eq!(
        (&entry["Source"], &entry["DetailType"]),
        (&json!("leadloop"), &json!("leadloop.lead.captured"))
    );
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail, events[0].to_json());
    // An answer that is shorter than the question, and none at all.
    aws.now(Manner::Replies(200, json!({ "Entries": [{ "EventId": "1" }] }).to_string()));
    assert_eq!(bus.put(&events).await.unwrap(), [1, 2]);
    aws.now(Manner::Replies(500, "{}".to_owned()));
    assert!(bus.put(&events).await.unwrap_err().may_retry());
}
