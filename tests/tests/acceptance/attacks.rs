//! What strangers, careless clients and repeats tried, and what came of it.

use adapters::http::Role;
use domain::consent::{ConsentStatus, Purpose};
use serde_json::{Value, json};
use testkit::test_playbook;
use tests::World;

fn consent(purpose: &str, status: &str) -> Value {
    json!({"purpose": purpose, "status": status})
}

async fn upsert(world: &World, lead: &Value) -> Value {
    let answer = world.post(Role::Marketing, "/v1/leads/batch", &json!({"leads": [lead]})).await;
    assert_eq!(answer.status, 200);
    answer.json()["results"][0].clone()
}

#[tokio::test]
async fn several_consents_withdrawn_at_once_are_all_withdrawn_on_dynamodb_too() {
    for world in [World::new().await, World::on_dynamo().await] {
        let lead = json!({"email": "w@x.example",
            "consent": [consent("marketing", "withdrawn"), consent("phone", "withdrawn")]});
        assert_eq!(upsert(&world, &lead).await["status"], "created");
        let sent = world.events().await;
        assert_eq!(sent.iter().filter(|kind| *kind == "consent_withdrawn").count(), 2);
    }
}

#[tokio::test]
async fn a_page_cannot_speak_of_more_than_what_was_viewed() {
    let world = World::new().await;
    upsert(&world, &json!({"email": "victim@x.example", "consent": [consent("marketing", "confirmed")]}))
        .await;
    let form = json!({"email": "victim@x.example", "anonymous_id": "visitor-0001", "submission_id": "s"});
    assert_eq!(world.submit("contact", &form).await.status, 202);
    for (n, kind) in ["unsubscribed", "webinar_attended", "contact_requested"].into_iter().enumerate() {
        let body = json!({"anonymous_id": "visitor-0001", "consent": {"tracking": true},
            "activities": [{"kind": kind, "id": n.to_string()}]});
        assert_eq!(
            world.api.call("POST", "/v1/forms/contact/activities").json(&body).send().await.status,
            202
        );
    }
    let lead = world.memory().leads().pop().unwrap();
    assert_eq!(lead.consents.status(Purpose::Marketing), Some(ConsentStatus::Confirmed));
    assert_eq!(lead.activities, 1, "the form alone");
}

#[tokio::test]
async fn who_withdrew_tracking_is_no_longer_watched() {
    let world = World::new().await;
    let form = json!({"email": "a@x.example", "anonymous_id": "visitor-0001", "submission_id": "s"});
    world.submit("contact", &form).await;
    upsert(&world, &json!({"email": "a@x.example", "consent": [consent("tracking", "withdrawn")]})).await;
    let body = json!({"anonymous_id": "visitor-0001", "consent": {"tracking": true},
        "activities": [{"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": "1"}]});
    assert_eq!(world.api.call("POST", "/v1/forms/contact/activities").json(&body).send().await.status, 202);
    assert_eq!(world.memory().leads().pop().unwrap().activities, 1);
}

#[tokio::test]
async fn a_trusted_country_named_in_a_form_confirms_nothing_for_a_lead_of_another_or_after_a_withdrawal() {
    let world = World::new().await;
    upsert(&world, &json!({"email": "de@x.example", "attributes": {"country": "DE"}})).await;
    upsert(
        &world,
        &json!({"email": "gb@x.example", "attributes": {"country": "GB"},
        "consent": [consent("marketing", "withdrawn")]}),
    )
    .await;
    world.later(60_000);
    for email in ["de@x.example", "gb@x.example", "new@x.example"] {
        let form =
            json!({"email": email, "country": "GB", "consent_marketing": true, "submission_id": email});
        assert_eq!(world.submit("contact", &form).await.status, 202);
    }
    for (email, status) in
        [("de@x.example", "pending"), ("gb@x.example", "pending"), ("new@x.example", "confirmed")]
    {
        assert_eq!(world.dossier(email).await["consent"][0]["status"], status, "{email}");
    }
}

#[tokio::test]
async fn boxes_left_unticked_are_no_consent_in_whatever_words() {
    let world = World::new().await;
    for (n, no) in ["0", "0, 0", "nein", "off", "False", "no"].into_iter().enumerate() {
        let form = json!({"email": format!("p{n}@x.example"), "consent_marketing": no});
        assert_eq!(world.submit("contact", &form).await.status, 202);
    }
    assert!(world.memory().leads().iter().all(|lead| lead.consents.0.is_empty()));
    let form = json!({"email": "yes@x.example", "consent_marketing": ["0", "1"]});
    world.submit("contact", &form).await;
    assert_eq!(world.dossier("yes@x.example").await["consent"][0]["status"], "pending");
}

#[tokio::test]
async fn a_deal_opened_and_won_in_one_request_without_times_is_won() {
    let world = World::new().await;
    for n in 0..20 {
        let email = format!("p{n}@x.example");
        upsert(&world, &json!({"email": email})).await;
        let fact = |kind: &str| json!({"lead": {"email": email}, "kind": kind, "deal": {"system": "crm", "id": email}});
        let body = json!({"feedback": [fact("opportunity"), fact("won")]});
        assert_eq!(world.post(Role::Sales, "/v1/feedback/batch", &body).await.status, 200);
    }
    assert!(world.memory().leads().iter().all(|lead| lead.stage.as_str() == "customer"));
}

#[tokio::test]
async fn a_deal_lost_twice_is_lost_twice_and_a_mistaken_withdrawal_can_be_mended() {
    let world = World::new().await;
    upsert(&world, &json!({"email": "a@x.example"})).await;
    let id = world.lead_id("a@x.example").await;
    let path = format!("/v1/leads/{id}/feedback");
    let deal = json!({"system": "crm", "id": "D"});
    let mut last = Value::Null;
    for (kind, stage) in [
        ("opportunity", "opportunity"),
        ("lost", "nurturing"),
        ("opportunity", "opportunity"),
        ("lost", "nurturing"),
        ("won", "customer"),
    ] {
        world.later(1_000);
        let answer = world.post(Role::Sales, &path, &json!({"kind": kind, "deal": deal})).await;
        last = answer.json();
        assert_eq!((&last["status"], &last["stage"]), (&json!("updated"), &json!(stage)), "{kind}");
    }
    world.later(1_000);
    let again = world.post(Role::Sales, &path, &json!({"kind": "won", "deal": deal})).await.json();
    assert_eq!(again["status"], "unchanged", "the deal stands so already");
    let withdrawal = json!({"kind": "withdrawn", "id": last["fact_id"]});
    assert_eq!(world.post(Role::Sales, &path, &withdrawal).await.json()["stage"], "nurturing");
    world.later(1_000);
    let mended = world.post(Role::Sales, &path, &json!({"kind": "won", "deal": deal})).await.json();
    assert_eq!((&mended["status"], &mended["stage"]), (&json!("updated"), &json!("customer")));
}

#[tokio::test]
async fn two_apps_may_use_the_same_ids() {
    let world = World::new().await;
    let other = json!({"role": "capture", "holder": "app-b"});
    let secret =
        world.post(Role::Admin, "/v1/tokens", &other).await.json()["token"].as_str().unwrap().to_owned();
    let body = json!({"lead": {"email": "a@x.example"}, "kind": "webinar_attended", "id": "1"});
    assert_eq!(world.post(Role::Capture, "/v1/activities", &body).await.json()["status"], "created");
    let answer = world.api.call("POST", "/v1/activities").token(&secret).json(&body).send().await;
    assert_eq!(answer.json()["status"], "updated");
    assert_eq!(world.post(Role::Capture, "/v1/activities", &body).await.json()["status"], "unchanged");
}

#[tokio::test]
async fn a_request_of_a_hundred_facts_about_one_lead_is_recognised_when_it_comes_again() {
    let world = World::new().await;
    let activity =
        |n: usize| json!({"lead": {"email": "a@x.example"}, "kind": "webinar_attended", "id": n.to_string()});
    let body = json!({"activities": (0..100).map(activity).collect::<Vec<Value>>()});
    for _ in 0..3 {
        assert_eq!(world.post(Role::Capture, "/v1/activities", &body).await.status, 200);
        world.later(60_000);
    }
    assert_eq!(world.memory().leads().pop().unwrap().activities, 100);
}

#[tokio::test]
async fn an_identity_named_twice_is_one_and_too_many_are_a_fault() {
    for world in [World::new().await, World::on_dynamo().await] {
        let id = json!({"system": "crm", "id": "1"});
        assert_eq!(upsert(&world, &json!({"external_id": [id, id]})).await["status"], "created");
        let many: Vec<Value> = (0..11).map(|n| json!({"system": "crm", "id": n.to_string()})).collect();
        assert_eq!(upsert(&world, &json!({"external_id": many})).await["problem"]["status"], 422);
    }
}

#[tokio::test]
async fn a_long_message_costs_no_lead() {
    let world = World::with(&test_playbook()).await;
    let form = json!({"email": "a@x.example", "message": "x".repeat(5_000)});
    assert_eq!(world.submit("contact", &form).await.status, 202);
    assert_eq!(world.memory().leads().len(), 1);
}

#[tokio::test]
async fn a_lead_given_to_somebody_without_a_record_stays_in_sight() {
    let world = World::new().await;
    world.submit("contact", &tests::ada()).await;
    let id = world.lead_id("ada@company.example").await;
    world.later(1_000);
    let body = json!({"kind": "assigned", "to": "ghost-99"});
    assert_eq!(world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), &body).await.status, 200);
    let inbox = world.get(Role::Admin, "/v1/inbox").await;
    assert_eq!(inbox["items"][0]["owner"]["person"], "ghost-99");
}
