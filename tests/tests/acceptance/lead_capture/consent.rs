//! Consent given and withdrawn.

use adapters::http::Role;
use domain::time::MINUTE_MS;
use serde_json::json;
use tests::{World, ada};

#[tokio::test]
async fn a_withdrawal_counts_at_once_and_leaves_the_house() {
    let world = World::new().await;
    let known =
        json!({"email": "ada@company.example", "consent": {"purpose": "marketing", "status": "confirmed"}});
    let id = world.post(Role::Marketing, "/v1/leads", &known).await.ok("lead")["lead_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(world.dossier("ada@company.example").await["segments"], json!(["newsletter"]));
    world.later(MINUTE_MS);
    let path = format!("/v1/leads/{id}/consent");
    let withdrawn = json!({"purpose": "marketing", "status": "withdrawn", "source": "phone call"});
    let answer = world.post(Role::Sales, &path, &withdrawn).await.ok("consent");
    assert_eq!(
        (&answer["status"], &answer["consent"][0]["status"]),
        (&json!("updated"), &json!("withdrawn"))
    );
    assert_eq!(world.dossier("ada@company.example").await["segments"], json!([]));
    assert_eq!(world.events().await, ["captured", "consent_withdrawn", "stage_changed"]);
}

#[tokio::test]
async fn a_statement_with_its_time_may_be_sent_again() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let path = format!("/v1/leads/{}/consent", world.lead_id("ada@company.example").await);
    let body = json!({"purpose": "phone", "status": "confirmed", "at": "2026-11-20T09:30:00Z"});
    assert_eq!(world.post(Role::Marketing, &path, &body).await.ok("consent")["status"], "updated");
    assert_eq!(world.post(Role::Marketing, &path, &body).await.ok("consent")["status"], "unchanged");
}

#[tokio::test]
async fn what_was_said_earlier_does_not_undo_what_was_said_later() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let path = format!("/v1/leads/{}/consent", world.lead_id("ada@company.example").await);
    for (status, at) in [("withdrawn", "2026-11-21T00:00:00Z"), ("confirmed", "2026-11-20T00:00:00Z")] {
        let body = json!({"purpose": "marketing", "status": status, "at": at});
        world.post(Role::Marketing, &path, &body).await.ok("consent");
    }
    assert_eq!(world.dossier("ada@company.example").await["consent"][0]["status"], "withdrawn");
}

#[tokio::test]
async fn faults_and_unknown_leads_are_told_apart() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let path = format!("/v1/leads/{}/consent", world.lead_id("ada@company.example").await);
    let bad = json!({"purpose": "spam", "status": "yes", "at": "1900-01-01T00:00:00Z", "colour": "red"});
    let answer = world.post(Role::Marketing, &path, &bad).await;
    assert_eq!(
        (answer.status, answer.pointers()),
        (422, ["/at", "/colour", "/purpose", "/status"].map(String::from).to_vec())
    );
    let good = json!({"purpose": "marketing", "status": "withdrawn"});
    for id in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "not-an-id"] {
        assert_eq!(world.post(Role::Marketing, &format!("/v1/leads/{id}/consent"), &good).await.status, 404);
    }
}
