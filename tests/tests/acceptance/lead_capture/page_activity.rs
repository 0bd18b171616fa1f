//! What a page's script reports of a visitor, and how it joins a lead.

use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value, json};
use tests::{Answer, World, ada};

const VISITOR: &str = "v-3f9a0c5b7d";

async fn report(world: &World, body: &Value) -> Answer {
    world.api.call("POST", "/v1/forms/contact/activities").json(body).send().await
}

fn views(ids: std::ops::Range<i64>) -> Value {
    let view =
        |n: i64| json!({"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": format!("p-{n}")});
    json!({"anonymous_id": VISITOR, "consent": {"tracking": true}, "activities": ids.map(view).collect::<Vec<_>>()})
}

fn submission(id: &str) -> Value {
    let mut fields = ada();
    fields["anonymous_id"] = json!(VISITOR);
    fields["submission_id"] = json!(id);
    fields
}

async fn kinds(world: &World) -> (usize, usize) {
    let lead = world.dossier("ada@company.example").await;
    let count = |kind: &str| {
        lead["timeline"]["items"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).count()
    };
    (count("form"), count("activity"))
}

#[tokio::test]
async fn what_a_visitor_did_before_counts_from_the_submission_on() {
    let world = World::new().await;
    assert_eq!(report(&world, &views(0..1)).await.status, 202);
    world.later(MINUTE_MS);
    report(&world, &views(1..2)).await;
    assert!(world.memory().leads().is_empty(), "nobody knows yet who that is");
    world.later(MINUTE_MS);
    world.submit("contact", &submission("s-1")).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(lead["score"]["engagement"], 95, "60 for the form, 2 × 10 for the prices, 15 for coming back");
    assert_eq!(kinds(&world).await, (1, 2));
    let at: Vec<&str> =
        lead["timeline"]["items"].as_array().unwrap().iter().map(|e| e["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["2026-11-22T12:02:00Z", "2026-11-22T12:01:00Z", "2026-11-22T12:00:00Z"]);
}

#[tokio::test]
async fn the_latest_forty_activities_join() {
    let world = World::new().await;
    for (n, page) in [(0, views(0..5)), (1, views(5..20)), (2, views(20..45))] {
        assert_eq!(report(&world, &page).await.status, 202, "{n}");
        world.later(MINUTE_MS);
    }
    world.submit("contact", &submission("s-1")).await;
    assert_eq!(kinds(&world).await, (1, 40));
    let lead = world.dossier("ada@company.example").await;
    let first = lead["timeline"]["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(first["at"], "2026-11-22T12:01:00Z", "the oldest five are left behind");
}

#[tokio::test]
async fn a_submission_with_forty_activities_that_comes_again_changes_nothing() {
    let world = World::new().await;
    report(&world, &views(0..40)).await;
    world.later(MINUTE_MS);
    world.submit("contact", &submission("s-1")).await;
    let before = (
        kinds(&world).await,
        world.events().await,
        world.dossier("ada@company.example").await["score"].clone(),
    );
    for _ in 0..3 {
        assert_eq!(world.submit("contact", &submission("s-1")).await.status, 202);
        world.later(MINUTE_MS);
    }
    assert_eq!((kinds(&world).await, world.events().await), (before.0, before.1));
    world.submit("contact", &submission("s-2")).await;
    assert_eq!(
        kinds(&world).await,
        (2, 40),
        "another submission brings the same visitor's activity no second time"
    );
    let score = world.dossier("ada@company.example").await["score"].clone();
    assert_eq!((&score["fit"], &score["engagement"]), (&before.2["fit"], &before.2["engagement"]));
}

#[tokio::test]
async fn a_visitor_whom_a_form_made_known_is_followed_without_another_form() {
    let world = World::new().await;
    world.submit("contact", &submission("s-1")).await;
    world.later(DAY_MS);
    report(&world, &views(0..2)).await;
    report(&world, &views(0..2)).await;
    assert_eq!(kinds(&world).await, (1, 2), "the report came twice and counts once");
}

#[tokio::test]
async fn the_answer_is_always_the_same_and_what_is_not_in_order_is_dropped() {
    let world = World::new().await;
    let good = report(&world, &views(0..1)).await;
    assert_eq!(good.json(), json!({"status": "accepted"}));
    let mut without_consent = views(1..2);
    without_consent["consent"]["tracking"] = json!(false);
    let mut without_a_word = views(1..2);
    without_a_word.as_object_mut().unwrap().remove("consent");
    let mut one_wrong = views(1..3);
    one_wrong["activities"][1]["kind"] = json!("Page Viewed");
    let mut with_an_address = views(1..2);
    with_an_address["email"] = json!("ada@company.example");
    for body in
        [without_consent, without_a_word, one_wrong, with_an_address, views(1..42), json!([]), json!({})]
    {
        let answer = report(&world, &body).await;
        assert_eq!((answer.status, answer.body), (good.status, good.body.clone()), "{body}");
    }
    let foreign =
        world.api.call("POST", "/v1/forms/contact/activities").header("origin", "https://evil.example");
    assert_eq!(foreign.json(&views(1..2)).send().await.status, 202);
    let broken = world.api.call("POST", "/v1/forms/contact/activities").body("application/json", "{");
    assert_eq!(broken.send().await.status, 202);
    let nowhere = world.api.call("POST", "/v1/forms/nowhere/activities").json(&views(1..2));
    assert_eq!(nowhere.send().await.status, 202);
    world.later(MINUTE_MS);
    world.submit("contact", &submission("s-1")).await;
    assert_eq!(kinds(&world).await, (1, 1), "only the good one was kept");
}

#[tokio::test]
async fn a_page_may_report_as_a_beacon_does() {
    let world = World::new().await;
    let call = world
        .api
        .call("POST", "/v1/forms/contact/activities")
        .header("origin", "https://www.company.example");
    let answer = call.body("text/plain;charset=UTF-8", views(0..1).to_string()).expect(202).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://www.company.example");
    world.later(MINUTE_MS);
    world.submit("contact", &submission("s-1")).await;
    assert_eq!(kinds(&world).await, (1, 1));
}
