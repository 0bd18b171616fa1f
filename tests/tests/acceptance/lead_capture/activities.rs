//! Activities with a token.

use adapters::http::Role;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value, json};
use tests::World;

fn view(email: &str, id: &str) -> Value {
    json!({"lead": {"email": email}, "kind": "page_viewed", "properties": {"path": "/pricing"}, "id": id})
}

async fn post(world: &World, body: &Value) -> tests::Answer {
    world.post(Role::Capture, "/v1/activities", body).await
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

async fn entries(world: &World, email: &str) -> usize {
    world.dossier(email).await["timeline"]["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_activity_of_somebody_unknown_creates_the_contact_and_answers_with_the_score() {
    let world = World::new().await;
    let result = post(&world, &view("ada@company.example", "p-1")).await.ok("activity");
    assert_eq!(result["status"], "created");
    assert_eq!(result["stage"], "contact", "to look at a page is no response");
    assert_eq!(result["score"], json!({"fit": 0, "engagement": 10, "label": "D3"}));
    assert_eq!(result["owner"], json!({"team": "marketing", "person": null}));
    let attended = json!({"lead": {"lead_id": result["lead_id"]}, "kind": "webinar_attended"});
    let result = post(&world, &attended).await.ok("activity");
    assert_eq!((&result["status"], &result["stage"]), (&json!("updated"), &json!("inquiry")));
    assert_eq!(result["score"]["engagement"], 35);
    assert_eq!(world.events().await, ["captured", "stage_changed"]);
}

#[tokio::test]
async fn a_batch_answers_for_each_item_and_one_bad_item_holds_up_no_other() {
    let world = World::new().await;
    let batch = json!({"activities": [
        view("ada@company.example", "p-1"),
        {"lead": {"email": "nobody"}, "kind": "Page Viewed", "colour": "red"},
        view("bob@company.example", "p-1b"),
        {"lead": {"lead_id": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "kind": "page_viewed"},
        view("ada@company.example", "p-2"),
        view("ada@company.example", "p-1"),
        "an activity",
    ]});
    let answer = post(&world, &batch).await.ok("batch");
    let expected = ["created", "rejected", "created", "rejected", "updated", "unchanged", "rejected"];
    assert_eq!(statuses(&answer), expected);
    let problem = &answer["results"][1]["problem"];
    assert_eq!(problem["status"], 422);
    let mut pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/colour", "/kind", "/lead/email"]);
    assert_eq!(answer["results"][3]["problem"]["status"], 404);
    assert_eq!(
        (entries(&world, "ada@company.example").await, entries(&world, "bob@company.example").await),
        (2, 1)
    );
}

#[tokio::test]
async fn a_hundred_activities_of_one_lead_arrive_in_one_batch() {
    let world = World::new().await;
    let at = |n: i64| world.now().plus(-n * MINUTE_MS).to_string();
    let item = |n: i64| {
        let mut item = view("ada@company.example", &n.to_string());
        item["occurred_at"] = json!(at(n));
        item
    };
    let batch = json!({"activities": (0..100).map(item).collect::<Vec<_>>()});
    let answer = post(&world, &batch).await.ok("batch");
    assert_eq!(statuses(&answer)[0], "created");
    assert!(statuses(&answer)[1..].iter().all(|status| *status == "updated"));
    assert_eq!(entries(&world, "ada@company.example").await, 100);
    let again = post(&world, &batch).await.ok("batch");
    assert!(statuses(&again).iter().all(|status| *status == "unchanged"));
    assert_eq!(entries(&world, "ada@company.example").await, 100);
}

#[tokio::test]
async fn a_hundred_leads_arrive_in_one_batch() {
    let world = World::new().await;
    let item = |n: i64| view(&format!("{n}@company.example"), "p-1");
    let mut items: Vec<Value> = (0..100).map(item).collect();
    items[99] = view("0@company.example", "p-2");
    let answer = post(&world, &json!({"activities": items})).await.ok("batch");
    assert_eq!(statuses(&answer).iter().filter(|status| **status == "created").count(), 99);
    assert_eq!(world.memory().leads().len(), 99);
    assert_eq!(answer["results"][99]["lead_id"], answer["results"][0]["lead_id"], "in the order sent");
}

#[tokio::test]
async fn items_that_share_an_identity_are_about_one_lead() {
    let world = World::new().await;
    let by = |lead: Value, id: &str| json!({"lead": lead, "kind": "page_viewed", "id": id});
    let batch = json!({"activities": [
        by(json!({"email": "ada@company.example"}), "1"),
        by(json!({"phone": "+431234567"}), "2"),
        by(json!({"email": "ADA@company.example", "phone": "+43 1 234567"}), "3"),
    ]});
    let answer = post(&world, &batch).await.ok("batch");
    assert_eq!(statuses(&answer), ["created", "created", "updated"]);
    // The two were made before the third named both: the stronger identity decides, and nothing is merged silently.
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(lead["possible_duplicates"], json!([answer["results"][1]["lead_id"]]));
    assert_eq!(answer["results"][2]["lead_id"], answer["results"][0]["lead_id"]);
}

#[tokio::test]
async fn the_same_delivery_any_number_of_times_is_one() {
    let world = World::new().await;
    for n in 0..10 {
        let answer = post(&world, &view("ada@company.example", "p-1")).await.ok("activity");
        assert_eq!(answer["status"], if n == 0 { "created" } else { "unchanged" });
        assert_eq!(answer["score"]["engagement"], 10);
        world.later(HOUR_MS / 10);
    }
    assert_eq!(entries(&world, "ada@company.example").await, 1);
}

#[tokio::test]
async fn a_delivery_with_its_own_time_is_known_however_much_came_between() {
    let world = World::new().await;
    let mut first = view("ada@company.example", "first");
    first["occurred_at"] = json!("2026-11-20T09:30:00Z");
    post(&world, &first).await.ok("first");
    for n in 0..40 {
        post(&world, &view("ada@company.example", &n.to_string())).await.ok("between");
    }
    let again = post(&world, &first).await.ok("again");
    assert_eq!(again["status"], "unchanged");
    assert_eq!(entries(&world, "ada@company.example").await, 41);
}

#[tokio::test]
async fn an_idempotency_key_covers_the_whole_request() {
    let world = World::new().await;
    let mut item = view("ada@company.example", "");
    item.as_object_mut().unwrap().remove("id");
    let batch = json!({"activities": [item, item]});
    let send = async |key: &str| {
        let call = world.call(Role::Capture, "POST", "/v1/activities").header("idempotency-key", key);
        call.json(&batch).send().await.ok("batch")
    };
    assert_eq!(statuses(&send("k-1").await), ["created", "updated"]);
    assert_eq!(statuses(&send("k-1").await), ["unchanged", "unchanged"]);
    assert_eq!(statuses(&send("k-2").await), ["updated", "updated"]);
    let bad = world.call(Role::Capture, "POST", "/v1/activities").header("idempotency-key", &"x".repeat(201));
    assert_eq!(bad.json(&batch).send().await.status, 422);
}

#[tokio::test]
async fn a_clock_that_runs_ahead_a_little_is_forgiven_and_a_wrong_year_is_not() {
    let world = World::new().await;
    let at = |time: String| {
        let mut item = view("ada@company.example", &time);
        item["occurred_at"] = json!(time);
        item
    };
    let ahead = |ms: i64| at(world.now().plus(ms).to_string());
    post(&world, &ahead(10 * MINUTE_MS)).await.ok("ten minutes ahead");
    let entry = world.dossier("ada@company.example").await["timeline"]["items"][0].clone();
    assert_eq!(entry["at"], "2026-11-22T12:00:00Z", "taken as now");
    let wrong = [
        ahead(10 * MINUTE_MS + 1),
        at("1989-12-31T23:59:59Z".to_owned()),
        at("0026-11-22T12:00:00Z".to_owned()),
        at("yesterday".to_owned()),
        at("2026-11-22".to_owned()),
    ];
    for item in &wrong {
        let answer = post(&world, item).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/occurred_at".to_owned()]), "{item}");
    }
    post(&world, &at("1990-01-01T00:00:00+00:00".to_owned())).await.ok("long ago");
    assert_eq!(entries(&world, "ada@company.example").await, 2);
}

#[tokio::test]
async fn what_happened_more_than_a_week_ago_counts_and_hands_nothing_off() {
    let world = World::new().await;
    let who =
        json!({"email": "ada@company.example", "attributes": {"company_size": 120, "job_title": "Director"}});
    world.post(Role::Marketing, "/v1/leads", &who).await.ok("lead");
    let asked = |days: i64| {
        json!({"lead": {"email": "ada@company.example"}, "kind": "contact_requested", "id": format!("{days}"),
            "occurred_at": world.now().plus(-days * DAY_MS).to_string()})
    };
    let result = post(&world, &asked(8)).await.ok("late");
    assert_eq!((&result["score"]["label"], &result["stage"]), (&json!("B2"), &json!("inquiry")));
    let result = post(&world, &asked(1)).await.ok("in time");
    assert_eq!(result["stage"], "marketing_qualified");
}

#[tokio::test]
async fn the_envelope_of_a_batch_is_checked_before_its_items() {
    let world = World::new().await;
    let many = json!({"activities": vec![view("ada@company.example", "p"); 101]});
    let wrong = [
        many,
        json!({"activities": []}),
        json!({"activities": {}}),
        json!({"activities": [], "colour": "red"}),
    ];
    for body in &wrong {
        assert_eq!(post(&world, body).await.status, 422);
    }
    let big = json!({"activities": [view("ada@company.example", &"x".repeat(256 * 1024))]});
    assert_eq!(post(&world, &big).await.status, 413);
    let broken =
        world.call(Role::Capture, "POST", "/v1/activities").body("application/json", "{\"activities\": [");
    assert_eq!(broken.send().await.status, 400);
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn one_activity_of_a_lead_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let body = json!({"lead": {"lead_id": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}, "kind": "page_viewed"});
    assert_eq!(post(&world, &body).await.status, 404);
    let body = json!({"lead": {}, "kind": "page_viewed"});
    assert_eq!(post(&world, &body).await.pointers(), ["/lead"]);
}
