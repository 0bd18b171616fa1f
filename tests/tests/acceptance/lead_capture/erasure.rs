//! Somebody asks to be forgotten: what is answered, and what everybody else sees from that moment on.

use adapters::http::Role;
use serde_json::{Value, json};
use tests::{World, ada};

async fn erase(world: &World, id: &str) -> (u16, Value) {
    let answer = world.call(Role::Admin, "DELETE", &format!("/v1/leads/{id}")).send().await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn with_the_answer_the_lead_is_gone_for_everybody() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let by_hand = json!({"email": "ada@company.example", "external_id": {"system": "crm", "id": "42"}});
    world.post(Role::Marketing, "/v1/leads", &by_hand).await.ok("by hand");
    let id = world.lead_id("ada@company.example").await;
    let before = world.events().await;
    let (status, answer) = erase(&world, &id).await;
    assert_eq!(status, 202, "{answer}");
    let expected = json!({"lead_id": id, "job": format!("erase-{id}"), "status": "waiting",
        "external_ids": [{"system": "crm", "id": "42"}]});
    assert_eq!(answer, expected);
    for (role, method, path, body) in [
        (Role::Sales, "GET", format!("/v1/leads/{id}"), Value::Null),
        (Role::Sales, "GET", format!("/v1/leads/{id}/score"), Value::Null),
        (Role::Sales, "POST", format!("/v1/leads/{id}/feedback"), json!({"kind": "accepted"})),
        (
            Role::Sales,
            "POST",
            format!("/v1/leads/{id}/consent"),
            json!({"purpose": "phone", "status": "confirmed"}),
        ),
        (Role::Marketing, "GET", format!("/v1/leads/{id}/next-content"), Value::Null),
    ] {
        let call = world.call(role, method, &path);
        let answer = if body.is_null() { call.send().await } else { call.json(&body).send().await };
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    }
    let lookup = json!({"email": "ada@company.example"});
    assert_eq!(world.post(Role::Sales, "/v1/leads/lookup", &lookup).await.ok("lookup")["items"], json!([]));
    assert_eq!(world.get(Role::Sales, "/v1/inbox").await["items"], json!([]));
    let preview = world.get(Role::Marketing, "/v1/segments/dach_active/preview").await;
    assert_eq!((&preview["count"], &preview["looked_at"]), (&json!(0), &json!(0)));
    let mut after = before;
    after.push("erased".to_owned());
    after.sort();
    assert_eq!(world.events().await, after);
    // Who comes again is somebody new, of whom nothing is known.
    let mut fields = ada();
    fields["submission_id"] = json!("s-again");
    assert_eq!(world.submit("contact", &fields).await.status, 202);
    let dossier = world.dossier("ada@company.example").await;
    assert_ne!(dossier["lead_id"], json!(id));
    assert_eq!(dossier["timeline"]["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_asks_again_hears_the_same_while_the_job_is_at_work() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    let first = erase(&world, &id).await;
    assert_eq!(erase(&world, &id).await, first);
    let job = world.get(Role::Marketing, &format!("/v1/jobs/erase-{id}")).await;
    assert_eq!(
        (&job["kind"], &job["status"], &job["request"]),
        (&json!("erase"), &json!("waiting"), &json!({"lead_id": id}))
    );
}

#[tokio::test]
async fn only_an_admin_erases_and_only_somebody_who_is_there() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for role in [Role::Capture, Role::Marketing, Role::Sales] {
        let answer = world.call(role, "DELETE", &format!("/v1/leads/{id}")).expect(403).await;
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    world.get(Role::Sales, &format!("/v1/leads/{id}")).await;
    for id in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "not-an-id"] {
        let (status, problem) = erase(&world, id).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{problem}");
    }
}
