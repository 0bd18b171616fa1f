//! Logs hold ids, and no personal data: not when all goes well, and not when something breaks.
//!
//! Everything that our crates say at any level is caught, and whatever others say at the level that production logs at.

use adapters::http::Role;
use adapters::ports::StoreError;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use testkit::Failure;
use tests::{World, ada};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What must never be in a log, as it was sent and as it is kept.
const PERSONAL: &[&str] = &[
    "ada.secret",
    "hidden-company.example",
    "Adelaide",
    "Geheim",
    "Secret Ltd",
    "1 555 0199",
    "15550199",
    "call me at home",
    "v-secret-visitor",
    "crm-secret-42",
    "budget is tight",
    "ll_sales_",
    "ll_capture_",
    "ll_admin_",
    "ll_marketing_",
];

#[derive(Clone, Debug, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Caught {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Catches what is logged on this thread until the guard is dropped.
fn catch() -> (Caught, tracing::subscriber::DefaultGuard) {
    let caught = Caught::default();
    let filter = EnvFilter::new("info,adapters=trace,domain=trace,lead_capture=trace,sales_feedback=trace");
    let subscriber =
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(caught.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    (caught, guard)
}

fn secret() -> Value {
    let mut fields = ada();
    for (name, value) in [
        ("email", "Ada.Secret@Hidden-Company.example"),
        ("full_name", "Adelaide Geheim"),
        ("company", "Secret Ltd."),
        ("phone", "+1 555 0199"),
        ("message", "call me at home"),
        ("anonymous_id", "v-secret-visitor"),
    ] {
        fields[name] = json!(value);
    }
    fields
}

/// Uses every route with personal data, rightly and wrongly.
async fn use_everything(world: &World) {
    let page = json!({"anonymous_id": "v-secret-visitor", "consent": {"tracking": true},
        "activities": [{"kind": "page_viewed", "properties": {"path": "/pricing?email=ada.secret"}}]});
    for body in
        [page, json!({"anonymous_id": "v-secret-visitor", "email": "ada.secret@hidden-company.example"})]
    {
        world.api.call("POST", "/v1/forms/contact/activities").json(&body).send().await;
    }
    world.submit("contact", &secret()).await;
    let mut trapped = secret();
    trapped["website"] = json!("https://hidden-company.example");
    world.submit("contact", &trapped).await;
    let mut wrong = secret();
    wrong["email"] = json!("ada.secret@@hidden-company.example");
    world.submit("contact", &wrong).await;
    world.submit("ada.secret", &secret()).await;
    let broken = world
        .api
        .call("POST", "/v1/forms/contact")
        .body("application/json", "{\"email\": \"ada.secret@hidden");
    broken.send().await;
    let lead = json!({"email": "ada.secret@hidden-company.example", "phone": "+1 555 0199"});
    let external = json!({"system": "crm", "id": "crm-secret-42"});
    let activity = json!({"lead": lead, "kind": "page_viewed", "properties": {"name": "Adelaide Geheim"}});
    world.post(Role::Capture, "/v1/activities", &activity).await;
    world.post(Role::Sales, "/v1/activities", &activity).await;
    world.api.call("POST", "/v1/activities").token("ll_capture_made-up").json(&activity).send().await;
    let upsert = json!({"leads": [{"email": "ada.secret@hidden-company.example", "external_id": external,
        "attributes": {"full_name": "Adelaide Geheim"}}, {"phone": "1 555 0199"}]});
    world.post(Role::Marketing, "/v1/leads/batch", &upsert).await;
    world.post(Role::Sales, "/v1/leads/lookup", &json!({"external_id": external})).await;
    world.post(Role::Sales, "/v1/leads/lookup", &json!({"email": "ada.secret@hidden-company"})).await;
    let feedback = json!({"feedback": [
        {"lead": {"phone": "+1 555 0199"}, "kind": "lost", "reason": "budget is tight", "note": "call me at home"},
        {"lead": {"external_id": external}, "kind": "follow_up", "channel": "call me at home"},
        {"lead": {"email": "nobody.ada.secret@hidden-company.example"}, "kind": "accepted"}]});
    world.post(Role::Sales, "/v1/feedback/batch", &feedback).await;
    world.call(Role::Sales, "GET", "/v1/inbox?owner=ada.secret").send().await;
    world.call(Role::Sales, "GET", "/v1/leads/ada.secret@hidden-company.example").send().await;
}

fn assert_clean(caught: &Caught) -> String {
    let log = String::from_utf8(caught.0.lock().unwrap().clone()).unwrap();
    let lower = log.to_lowercase();
    for word in PERSONAL {
        let line = lower.lines().find(|line| line.contains(&word.to_lowercase()));
        assert_eq!(line, None, "{word} is in the log");
    }
    log
}

#[tokio::test]
async fn what_goes_well_and_what_is_refused_leaves_no_personal_data() {
    let world = World::new().await;
    let (caught, guard) = catch();
    use_everything(&world).await;
    drop(guard);
    let log = assert_clean(&caught);
    assert!(log.contains("honeypot"), "something is logged: {log}");
}

#[tokio::test]
async fn what_the_database_does_leaves_no_personal_data() {
    let world = World::on_dynamo().await;
    let (caught, guard) = catch();
    use_everything(&world).await;
    drop(guard);
    assert!(assert_clean(&caught).contains("honeypot"));
}

#[tokio::test]
async fn a_store_that_fails_leaves_no_personal_data() {
    let world = World::new().await;
    let (caught, guard) = catch();
    world.failures.every_write(2, Failure::TimedOutAfterWrite);
    (0..60).step_by(3).for_each(|n| world.failures.on_call(n + 1, Failure::Throttled));
    use_everything(&world).await;
    world.later(3_600_000);
    world.failures.outage();
    for path in ["/v1/activities", "/v1/leads/lookup"] {
        world.post(Role::Admin, path, &json!({"email": "ada.secret@hidden-company.example"})).await;
    }
    world.submit("contact", &secret()).await;
    drop(guard);
    let log = assert_clean(&caught);
    assert!(log.contains("store busy"), "the failures are logged: {log}");
}

#[tokio::test]
async fn a_damaged_item_is_reported_by_its_id_and_not_by_what_it_holds() {
    use adapters::dynamodb::keys;
    use aws_sdk_dynamodb::types::AttributeValue;
    let world = World::on_dynamo().await;
    world.submit("contact", &secret()).await;
    let id = world.lead_id("ada.secret@hidden-company.example").await;
    let dynamo = world.dynamo();
    let leads = &dynamo.tables.leads;
    let item = dynamo.items(leads).await.remove(0);
    // Each attribute in turn becomes something that it cannot be, and says what must not be said.
    let (caught, guard) = catch();
    let mut refused = 0;
    for name in item.keys().filter(|name| name.as_str() != keys::LEAD_ID) {
        for wrong in [
            AttributeValue::S("ada.secret@hidden-company.example Adelaide Geheim".to_owned()),
            AttributeValue::L(vec![AttributeValue::S("ada.secret@hidden-company.example".to_owned())]),
            AttributeValue::M(
                [("Adelaide Geheim".to_owned(), AttributeValue::S("+15550199".to_owned()))].into(),
            ),
        ] {
            let mut damaged = item.clone();
            damaged.insert(name.clone(), wrong);
            // Some attributes are keys of an index, which keeps their type.
            if dynamo.client.put_item().table_name(leads).set_item(Some(damaged)).send().await.is_err() {
                continue;
            }
            let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}")).send().await;
            assert!([200, 500].contains(&answer.status), "{name}: {}", answer.text());
            refused += usize::from(answer.status == 500);
            assert!(answer.status == 200 || !answer.text().contains("ada.secret"), "{name}");
        }
    }
    drop(guard);
    assert!(refused > 10, "damage is found: {refused}");
    let log = assert_clean(&caught);
    assert!(log.contains("store failed") && log.contains(&id), "the log names the lead: {log}");
}

#[tokio::test]
async fn what_is_shown_of_an_error_names_nobody() {
    let store = testkit::MemoryLeadStore::new();
    let lead =
        testkit::a_lead().known_by(testkit::builders::email("ada.secret@hidden-company.example")).change();
    let shown = format!(
        "{:?} {:?} {:?}",
        lead.claims,
        lead.lead.identities,
        StoreError::Busy("throttled".to_owned())
    );
    for word in PERSONAL {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    drop(store);
}
