//! The score: explained to the point, on any day.

use adapters::http::Role;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use tests::{World, ada};

async fn score(world: &World, id: &str, at: &str) -> Value {
    world.get(Role::Marketing, &format!("/v1/leads/{id}/score?at={at}")).await
}

/// Adds the explanation up and demands that it is the score.
fn adds_up(score: &Value) {
    for part in ["fit", "engagement"] {
        let lines = score["explanation"].as_array().unwrap().iter().filter(|line| line["part"] == part);
        let sum: i64 = lines.map(|line| line["points"].as_i64().unwrap()).sum();
        assert_eq!(json!(sum), score[part], "{part}: {score}");
    }
}

/// Demands that a score says all that the dossier said, whatever more it says.
fn same(score: &Value, dossier: &Value) {
    for (name, said) in dossier.as_object().unwrap() {
        assert_eq!(&score[name], said, "{name}");
    }
}

/// Makes a lead that does something on several days from noon on; gives the world, thirty days later, and the id.
async fn active() -> (World, String) {
    let world = World::new().await;
    let mut fields = ada();
    fields["job_title"] = json!("Head of Sales, student");
    world.submit("contact", &fields).await;
    let id = world.lead_id("ada@company.example").await;
    for (days, kind) in [
        (1, "page_viewed"),
        (2, "page_viewed"),
        (3, "page_viewed"),
        (9, "page_viewed"),
        (12, "webinar_attended"),
    ] {
        world.later(DAY_MS);
        let at = testkit::time("2026-11-22T12:00:00Z").plus(days * DAY_MS);
        world.clock.set(at);
        let body = json!({"lead": {"lead_id": id}, "kind": kind, "properties": {"path": "/pricing"}});
        world.post(Role::Capture, "/v1/activities", &body).await.ok("activity");
    }
    world.clock.set(testkit::time("2026-12-22T12:00:00Z"));
    (world, id)
}

#[tokio::test]
async fn the_lines_of_the_explanation_add_up_to_the_score_on_every_day() {
    let (world, id) = active().await;
    for day in [
        "2026-11-21",
        "2026-11-22",
        "2026-11-23",
        "2026-11-25",
        "2026-12-01",
        "2026-12-04",
        "2026-12-22",
        "2027-01-15",
        "2027-06-01",
        "2029-01-01",
    ] {
        adds_up(&score(&world, &id, day).await);
    }
    adds_up(&world.dossier("ada@company.example").await["score"]);
}

#[tokio::test]
async fn a_past_day_knows_only_what_had_happened_by_then() {
    let (world, id) = active().await;
    let before = score(&world, &id, "2026-11-21").await;
    assert_eq!(
        (&before["fit"], &before["engagement"], &before["label"]),
        (&json!(0), &json!(0), &json!("D4"))
    );
    let day = score(&world, &id, "2026-11-22").await;
    assert_eq!(
        (&day["fit"], &day["engagement"], &day["as_of"]),
        (&json!(20), &json!(60), &json!("2026-11-22T23:59:59.999Z"))
    );
    let morning = score(&world, &id, "2026-11-22T11:59:59Z").await;
    assert_eq!(morning["engagement"], 0);
    let third = score(&world, &id, "2026-11-25").await;
    assert_eq!(third["engagement"], 96, "60 faded by three days, three views that fade, 15 for coming back");
}

#[tokio::test]
async fn the_score_of_a_past_day_is_the_one_that_was_shown_on_it() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    let mut shown = Vec::new();
    for n in 0..12 {
        if n % 3 == 0 {
            let body =
                json!({"lead": {"lead_id": id}, "kind": "page_viewed", "properties": {"path": "/pricing"}});
            world.post(Role::Capture, "/v1/activities", &body).await.ok("activity");
        }
        shown.push((world.now().to_string(), world.dossier("ada@company.example").await["score"].clone()));
        world.later(DAY_MS);
    }
    for (at, then) in shown {
        same(&score(&world, &id, &at).await, &then);
    }
}

#[tokio::test]
async fn a_day_to_come_is_as_if_nothing_more_happened() {
    let (world, id) = active().await;
    let mut last = 101;
    for day in ["2026-12-22", "2027-01-05", "2027-02-05", "2027-06-05", "2029-06-05"] {
        let engagement = score(&world, &id, day).await["engagement"].as_i64().unwrap();
        assert!(engagement < last, "{day}: {engagement} after {last}");
        last = engagement;
    }
    assert_eq!(last, 0, "in the end all points have faded");
}

#[tokio::test]
async fn now_is_what_the_dossier_says() {
    let (world, id) = active().await;
    let now = world.get(Role::Sales, &format!("/v1/leads/{id}/score")).await;
    same(&now, &world.dossier("ada@company.example").await["score"]);
    assert_eq!(now["as_of"], "2026-12-22T12:00:00Z");
}

#[tokio::test]
async fn each_line_names_its_rule_and_a_reason_that_people_understand() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let lead = world.dossier("ada@company.example").await;
    let lines = lead["score"]["explanation"].as_array().unwrap();
    let size = lines.iter().find(|line| line["rule"] == "size_right").unwrap();
    assert_eq!((&size["part"], &size["points"]), (&json!("fit"), &json!(30)));
    assert!(size["because"].as_str().unwrap().contains("company_size: 120"), "{size}");
    let asked = lines.iter().find(|line| line["rule"] == "asks_for_contact").unwrap();
    assert_eq!((&asked["part"], &asked["points"]), (&json!("engagement"), &json!(60)));
}

#[tokio::test]
async fn what_is_no_day_is_refused() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for at in ["tomorrow", "2026-13-01", "1980-01-01", ""] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}/score?at={at}")).send().await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/at".to_owned()]), "{at}");
    }
}

#[tokio::test]
async fn each_activity_can_be_followed_to_its_points() {
    let (world, id) = active().await;
    let now = world.get(Role::Sales, &format!("/v1/leads/{id}/score")).await;
    let lines = now["explanation"].as_array().unwrap();
    let line = lines.iter().find(|l| l["rule"] == "looks_at_prices" && l["kind"] == "points").unwrap();
    let basis = &line["basis"];
    assert_eq!((&basis["signal"], &basis["each"]), (&json!("pricing_viewed"), &json!(10)));
    assert_eq!(line["points"], json!(30), "raw: ten for each of the three that count");
    let hits: i64 = basis["days"].as_array().unwrap().iter().map(|day| day["hits"].as_i64().unwrap()).sum();
    assert_eq!(hits, 3);
    let behind = now["activities"]["pricing_viewed"].as_array().unwrap();
    assert_eq!(behind.len(), 4, "all of them are listed, also the one beyond the most hits");
    assert!(behind[0]["at"].as_str().unwrap().starts_with("2026-12-01"), "latest first");
    let timeline = world.dossier("ada@company.example").await["timeline"]["items"].clone();
    let known = |id: &Value| timeline.as_array().unwrap().iter().any(|entry| entry["id"] == *id);
    assert!(behind.iter().all(|activity| known(&activity["id"])), "each is an entry of the timeline");
    let fading = now["fading"].as_array().unwrap().iter().find(|f| f["rule"] == "looks_at_prices").unwrap();
    let half = score(&world, &id, fading["half_on"].as_str().unwrap()).await;
    let points = |score: &Value| -> i64 {
        let lines = score["explanation"].as_array().unwrap().iter();
        lines.filter(|l| l["rule"] == "looks_at_prices").map(|l| l["points"].as_i64().unwrap()).sum()
    };
    assert!(points(&half) * 2 <= points(&now), "{} of {}", points(&half), points(&now));
}

#[tokio::test]
async fn the_nearest_ways_to_qualify_are_said_and_hold() {
    let world = World::new().await;
    let lead = json!({"email": "eva@company.example", "source": {"channel": "email"},
        "attributes": {"company_size": 120, "country": "AT", "industry": "Logistics"}});
    world.post(Role::Marketing, "/v1/leads", &lead).await.ok("lead");
    let id = world.lead_id("eva@company.example").await;
    let now = world.get(Role::Marketing, &format!("/v1/leads/{id}/score")).await;
    assert_eq!(now["outlook"]["status"], json!("ways"), "{}", now["outlook"]);
    let ways = now["outlook"]["ways"].as_array().unwrap();
    let way = ways.iter().find(|way| way["steps"].as_array().unwrap().iter().all(|s| s["kind"] == "does"));
    let steps = way.expect("something that it can do")["steps"].as_array().unwrap().clone();
    for step in &steps {
        let (kind, path) = match step["signal"].as_str().unwrap() {
            "pricing_viewed" => ("page_viewed", "/pricing"),
            other => (other, "/"),
        };
        for _ in 0..step["times"].as_u64().unwrap() {
            assert_eq!(world.dossier("eva@company.example").await["stage"], json!("inquiry"));
            let body = json!({"lead": {"lead_id": id}, "kind": kind, "properties": {"path": path}});
            world.post(Role::Capture, "/v1/activities", &body).await.ok("activity");
        }
    }
    assert_eq!(
        world.dossier("eva@company.example").await["stage"],
        json!("marketing_qualified"),
        "{steps:?}"
    );
    let now = world.get(Role::Marketing, &format!("/v1/leads/{id}/score")).await;
    assert_eq!(now["outlook"]["status"], json!("elsewhere"));
}

#[tokio::test]
async fn any_day_can_be_seen_under_any_version() {
    let (world, id) = active().await;
    let mut other = testkit::test_playbook();
    other["engagement"][1]["rules"][0]["points"] = json!(1);
    other["signals"].as_array_mut().unwrap().push(json!({"id": "pages", "kind": "page_viewed"}));
    let rule = json!({"id": "any_page", "points": 2, "signal": "pages"});
    other["engagement"][1]["rules"].as_array_mut().unwrap().push(rule);
    let added = world.post(Role::Marketing, "/v1/playbooks", &other).await;
    assert_eq!(added.status, 201);
    let path = format!("/v1/leads/{id}/score?version=2&at=2026-12-01");
    let under = world.get(Role::Marketing, &path).await;
    assert_eq!(under["playbook_version"], json!(2));
    let lines = under["explanation"].as_array().unwrap();
    let line =
        lines.iter().find(|line| line["rule"] == "any_page").expect("a signal that version 1 does not know");
    assert_eq!(line["points"], json!(8), "four views by then");
    adds_up(&under);
    let missing = world.call(Role::Marketing, "GET", &format!("/v1/leads/{id}/score?version=9")).send().await;
    assert_eq!(missing.status, 422);
}

#[tokio::test]
async fn labels_are_a_series_to_draw_a_line_from() {
    let (world, id) = active().await;
    let series = world.get(Role::Marketing, &format!("/v1/leads/{id}/labels")).await;
    let points = series["items"].as_array().unwrap();
    assert_eq!(points[0]["day"], json!("2026-11-22"));
    assert!(points.is_sorted_by_key(|point| point["day"].as_str().unwrap().to_owned()));
    for point in points.iter().filter(|point| point["day"] != "2026-12-22") {
        let then = score(&world, &id, point["day"].as_str().unwrap()).await;
        for name in ["fit", "engagement", "label"] {
            assert_eq!(then[name], point[name], "{name} on {}", point["day"]);
        }
    }
    let few =
        world.get(Role::Marketing, &format!("/v1/leads/{id}/labels?from=2026-12-01&to=2026-12-05")).await;
    let days = few["items"].as_array().unwrap().iter().map(|p| p["day"].as_str().unwrap().to_owned());
    assert!(days.clone().all(|day| ("2026-12-01"..="2026-12-05").contains(&day.as_str())), "{few}");
    let wrong =
        world.call(Role::Marketing, "GET", &format!("/v1/leads/{id}/labels?from=x&to=y")).send().await;
    assert_eq!((wrong.status, wrong.pointers().len()), (422, 2));
}

#[tokio::test]
async fn it_is_known_which_segments_a_lead_was_in_on_any_day() {
    let (world, id) = active().await;
    let on = async |query: &str| {
        let found = world.get(Role::Sales, &format!("/v1/leads/{id}/segments{query}")).await;
        let items = found["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["segment_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(on("?at=2026-11-21").await, Vec::<String>::new(), "nobody knew it then");
    assert_eq!(on("?at=2026-11-23").await, ["dach_active"]);
    assert_eq!(on("").await, ["dach_active"]);
    assert_eq!(on("?at=2028-01-01").await, Vec::<String>::new(), "its points will have faded");
    let said = world.get(Role::Sales, &format!("/v1/leads/{id}/segments")).await;
    assert!(said["items"][0]["says"].as_str().unwrap().contains("engagement"), "{said}");
    assert_eq!(said["items"][0]["title"], json!("dach active"));
}
