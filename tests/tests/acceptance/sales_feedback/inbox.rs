//! Whom sales works on.

use adapters::http::{Role, Tokens};
use domain::time::{DAY_MS, HOUR_MS};
use serde_json::{Value, json};
use std::sync::Arc;
use tests::{World, ada};

async fn hand_off(world: &World, email: &str, country: &str) -> String {
    let mut fields = ada();
    fields["email"] = json!(email);
    fields["country"] = json!(country);
    fields["submission_id"] = json!(email);
    world.submit("contact", &fields).await;
    world.lead_id(email).await
}

async fn inbox(world: &World, query: &str) -> Vec<String> {
    let mut emails = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(Role::Sales, &format!("/v1/inbox?{query}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        emails.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return emails,
        }
    }
}

async fn report(world: &World, id: &str, body: &Value) {
    world.post(Role::Sales, &format!("/v1/leads/{id}/feedback"), body).await.ok("feedback");
}

#[tokio::test]
async fn a_sales_person_sees_their_own_leads_the_most_urgent_first() {
    let world = World::new().await;
    let kept = hand_off(&world, "kept@b.example", "AT").await;
    world.later(HOUR_MS);
    hand_off(&world, "first@b.example", "AT").await;
    hand_off(&world, "german@b.example", "DE").await;
    world.later(HOUR_MS);
    hand_off(&world, "second@b.example", "CH").await;
    report(&world, &kept, &json!({"kind": "accepted"})).await;
    assert_eq!(inbox(&world, "").await, ["first@b.example", "second@b.example", "kept@b.example"]);
    assert_eq!(inbox(&world, "owner=de-1").await, ["german@b.example"]);
    assert_eq!(inbox(&world, "stage=sales_accepted").await, ["kept@b.example"]);
    world.later(DAY_MS - HOUR_MS);
    let page = world.get(Role::Sales, "/v1/inbox").await;
    let promises: Vec<&Value> =
        page["items"].as_array().unwrap().iter().map(|item| &item["promise"]).collect();
    assert_eq!(promises[0]["overdue"], true);
    assert_eq!(promises[1]["overdue"], false);
    assert_eq!(promises[2], &Value::Null);
    assert_eq!(page["items"][0]["label"], "A1");
}

#[tokio::test]
async fn an_inbox_reads_in_pages_of_any_size_without_gaps_also_across_people() {
    let world = World::new().await;
    for n in 0..7 {
        hand_off(&world, &format!("at-{n}@b.example"), "AT").await;
        hand_off(&world, &format!("de-{n}@b.example"), "DE").await;
        hand_off(&world, &format!("jp-{n}@b.example"), "JP").await;
        world.later(HOUR_MS);
    }
    // A token of nobody in sales sees everybody's.
    let clock: Arc<dyn adapters::clock::Clock> = Arc::clone(&world.clock) as _;
    let (secret, _) =
        Tokens::new(Arc::clone(&world.catalog), clock).create(Role::Sales, "crm", None).await.unwrap();
    for limit in [1, 2, 5, 7, 21, 200] {
        let mut emails = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/inbox?limit={limit}{cursor}");
            let page = world.api.call("GET", &path).token(&secret).expect(200).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            emails.extend(items.iter().map(|item| item["email"].as_str().unwrap().to_owned()));
            match &page["next_cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        let mut each = emails.clone();
        each.sort();
        each.dedup();
        assert_eq!((emails.len(), each.len()), (21, 21), "in pages of {limit}");
        assert_eq!(inbox(&world, &format!("limit={limit}")).await.len(), 7, "one's own, in pages of {limit}");
    }
}

#[tokio::test]
async fn a_lead_that_moved_on_is_not_shown_while_the_index_is_behind() {
    let world = World::new().await;
    let id = hand_off(&world, "gone@b.example", "AT").await;
    hand_off(&world, "here@b.example", "AT").await;
    world.later(HOUR_MS);
    world.memory().freeze_indexes();
    report(&world, &id, &json!({"kind": "rejected", "reason": "wrong_size"})).await;
    assert_eq!(inbox(&world, "").await, ["here@b.example"]);
    assert_eq!(inbox(&world, "limit=1").await, ["here@b.example"]);
    world.memory().thaw_indexes();
    assert_eq!(inbox(&world, "").await, ["here@b.example"]);
}

#[tokio::test]
async fn a_lead_that_somebody_else_took_over_is_not_shown_while_the_index_is_behind() {
    let world = World::new().await;
    let id = hand_off(&world, "moved@b.example", "AT").await;
    world.later(HOUR_MS);
    world.memory().freeze_indexes();
    report(&world, &id, &json!({"kind": "assigned", "to": "de-1"})).await;
    assert_eq!(inbox(&world, "owner=at-1").await, Vec::<String>::new());
}

#[tokio::test]
async fn faults_of_the_query_are_named() {
    let world = World::new().await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("stage=nurturing", "/stage"),
        ("owner=At+1", "/owner"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=at-1.nonsense", "/cursor"),
    ] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?{query}")).send().await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
        assert_eq!(answer.pointers(), [pointer], "{query}");
    }
    for query in ["limit=many", "colour=red"] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (422, "application/problem+json"),
            "{query}"
        );
    }
}
