//! Evidence through its routes: what is refused, what is the same, what is forgotten.

use adapters::http::Role;
use serde_json::{Value, json};
use testkit::dynamo::root;
use testkit::{Failure, test_playbook};
use tests::World;

const PATH: &str = "/v1/personas/olga/evidence";

async fn world() -> World {
    let personas = std::fs::read_to_string(root().join("tests/personas/playbook.json")).unwrap();
    let personas: Value = serde_json::from_str(&personas).unwrap();
    let mut playbook = test_playbook();
    playbook.as_object_mut().unwrap().extend(personas.as_object().unwrap().clone());
    World::with(&playbook).await
}

fn said(text: &str) -> Value {
    json!({"kind": "interview_sales", "text": text, "source": "Sales meeting", "date": "2026-03-01",
        "supports": ["friday_reports"]})
}

fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

async fn list(world: &World, query: &str) -> Vec<Value> {
    world.get(Role::Sales, &format!("{PATH}{query}")).await["items"].as_array().unwrap().clone()
}

async fn add(world: &World, evidence: &Value) -> Value {
    world.post(Role::Marketing, PATH, evidence).await.ok("evidence")
}

#[tokio::test]
async fn every_fault_of_a_piece_is_named_at_once() {
    let world = world().await;
    let wrong = json!({"kind": "social_listening", "url": "ftp://x", "text": " ", "author": "ada", "date": "2999-01-01",
        "weight": 6, "supports": ["too_dear", "of_nobody"], "contradicts": "too_dear", "keyword": "x"});
    let answer = world.post(Role::Marketing, PATH, &wrong).await;
    assert_eq!(answer.status, 422);
    let pointers =
        ["", "/author", "/date", "/keyword", "/network", "/supports/1", "/text", "/url", "/weight"];
    assert_eq!(answer.pointers(), pointers, "{}", answer.text());
    assert!(
        answer.text().contains("its statements: from_the_line, no_standstill, friday_reports"),
        "{}",
        answer.text()
    );
    for (wrong, pointer) in [
        (json!({"kind": "rumour", "text": "x", "date": "2026-01-01"}), "/kind"),
        (json!({"kind": "interview_sales", "text": "x"}), "/date"),
        (
            json!({"kind": "keyword_research", "keyword": "x", "date": "2026-01-01", "topic": "none"}),
            "/topic",
        ),
        (json!({"kind": "keyword_research", "date": "2026-01-01"}), "/keyword"),
        (json!({"kind": "database_mining", "text": "x", "date": "2026-01-01", "signal": "none"}), "/signal"),
        (
            json!({"kind": "database_mining", "text": "x", "date": "2026-01-01", "compared": "won_with_lost"}),
            "/compared",
        ),
        (
            json!({"kind": "database_mining", "text": "x", "date": "2026-01-01", "interval": {"low": 0.5, "high": 0.2}}),
            "/interval",
        ),
        (json!({"evidence": []}), "/evidence"),
        (json!({"evidence": [{}], "mode": "live"}), "/mode"),
    ] {
        assert_eq!(world.post(Role::Marketing, PATH, &wrong).await.pointers(), [pointer], "{wrong}");
    }
    assert!(list(&world, "").await.is_empty());
}

#[tokio::test]
async fn the_same_evidence_is_one_record_however_it_is_weighed_and_whichever_key_it_brings() {
    let world = world().await;
    let first = add(&world, &said("They like it.")).await;
    assert_eq!(first["status"], "created");
    let again = world
        .call(Role::Marketing, "POST", PATH)
        .header("idempotency-key", "k-1")
        .json(&said("They like it."));
    assert_eq!(
        again.send().await.ok("again"),
        json!({"status": "unchanged", "evidence_id": first["evidence_id"]})
    );
    let heavier =
        with(said("They like it."), json!({"weight": 4, "supports": [], "contradicts": ["too_dear"]}));
    assert_eq!(add(&world, &heavier).await["status"], "updated");
    let [one] = list(&world, "").await.try_into().unwrap();
    assert_eq!(
        (&one["weight"], &one["supports"], &one["entered_by"]),
        (&json!(4), &json!([]), &json!("mia"))
    );
    // The same in one request, and a keyword in an older export.
    let keyword = |date: &str, n: u64| json!({"kind": "keyword_research", "keyword": "Shift  report", "monthly_searches": n, "date": date});
    let many =
        json!({"evidence": [said("New"), said("New"), keyword("2026-04-01", 900), {"kind": "rumour"}]});
    let results = add(&world, &many).await["results"].clone();
    let mut two = [results[0]["status"].as_str().unwrap(), results[1]["status"].as_str().unwrap()];
    two.sort_unstable();
    assert_eq!(two, ["created", "unchanged"]);
    assert_eq!((&results[2]["status"], &results[3]["status"]), (&json!("created"), &json!("rejected")));
    assert_eq!(results[3]["problem"]["errors"][0]["pointer"], "/kind");
    assert_eq!(add(&world, &keyword("2026-01-01", 100)).await["status"], "unchanged");
    assert_eq!(add(&world, &keyword("2026-07-01", 950)).await["status"], "updated");
    let [keyword] = list(&world, "?kind=keyword_research").await.try_into().unwrap();
    assert_eq!((&keyword["monthly_searches"], &keyword["keyword"]), (&json!(950), &json!("Shift report")));
}

#[tokio::test]
async fn no_field_that_has_words_keeps_a_name() {
    let world = world().await;
    let name = "n @@ada_l ＠ada 0043 664 1234567 5@/each:ada@company.example";
    let one = |kind: &str, more: Value| {
        with(json!({"kind": kind, "text": name, "source": name, "date": "2026-03-01"}), more)
    };
    let many = json!({"evidence": [
        one("interview_prospect", json!({})),
        one("interview_sales", json!({})),
        one("interview_customer_service", json!({})),
        one("database_mining", json!({"attribute": "country", "value": name})),
        one("keyword_research", json!({"keyword": name})),
        json!({"kind": "keyword_research", "keyword": "ada@company.example price", "date": "2026-03-01"}),
        one("social_listening", json!({"network": name, "url": "https://facebook.com/p/Ada-Example-100064/"})),
    ]});
    add(&world, &many).await;
    let kept = list(&world, "").await;
    assert_eq!(kept.len(), 7);
    for one in &kept {
        let shown = one.to_string();
        assert!(!shown.to_lowercase().contains("ada") && !shown.contains("1234567"), "{shown}");
    }
    let of = |kind: &str| kept.iter().find(|one| one["kind"] == kind && one["source"].is_string()).unwrap();
    let clean = "n […] […] […] […]";
    for (kind, field) in [
        ("interview_prospect", "text"),
        ("interview_prospect", "source"),
        ("database_mining", "value"),
        ("keyword_research", "keyword"),
        ("social_listening", "network"),
    ] {
        assert_eq!(of(kind)[field], clean, "{kind} {field}");
    }
    assert_eq!(of("social_listening")["url"], "https://facebook.com/");
}

#[tokio::test]
async fn a_list_is_filtered_and_its_pages_are_full() {
    let world = world().await;
    for n in 0..30 {
        let about = if n % 3 == 0 { "too_dear" } else { "friday_reports" };
        add(&world, &with(said(&format!("Quote {n}")), json!({"supports": [about]}))).await;
    }
    let mut found = Vec::new();
    let mut query = "?statement=too_dear&limit=4".to_owned();
    loop {
        let page = world.get(Role::Marketing, &format!("{PATH}{query}")).await;
        let items = page["items"].as_array().unwrap().clone();
        found.extend(items.iter().map(|one| one["evidence_id"].to_string()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(items.len(), 4);
        query = format!("?statement=too_dear&limit=4&cursor={cursor}");
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 10);
    assert!(list(&world, "?kind=social_listening").await.is_empty());
    let wrong = format!("{PATH}?cursor=x&limit=0&kind=x&statement=_&colour=1&shade=2");
    let answer = world.call(Role::Sales, "GET", &wrong).expect(422).await;
    let every = ["/colour", "/cursor", "/kind", "/limit", "/shade", "/statement"];
    assert_eq!(answer.pointers(), every, "{}", answer.text());
    let answer = world.call(Role::Sales, "GET", &format!("{PATH}?limit=many&kind=x")).expect(422).await;
    assert_eq!(answer.pointers(), ["/kind", "/limit"], "{}", answer.text());
    for wrong in ["?cursor=x", "?limit=0", "?kind=x", "?statement=_", "?colour=1"] {
        assert_eq!(
            world.call(Role::Sales, "GET", &format!("{PATH}{wrong}")).send().await.status,
            422,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn withdrawn_evidence_is_gone_and_may_come_again() {
    let world = world().await;
    let id = add(&world, &said("Wrong")).await["evidence_id"].as_str().unwrap().to_owned();
    let path = format!("{PATH}/{id}");
    world.call(Role::Sales, "DELETE", &path).expect(403).await;
    world.call(Role::Marketing, "DELETE", &format!("/v1/personas/otto/evidence/{id}")).expect(404).await;
    world.call(Role::Marketing, "DELETE", &path).expect(204).await;
    world.call(Role::Marketing, "DELETE", &path).expect(404).await;
    assert!(list(&world, "").await.is_empty());
    assert_eq!(add(&world, &said("Wrong")).await["status"], "created");
}

#[tokio::test]
async fn evidence_stays_readable_and_withdrawable_when_its_persona_is_gone() {
    let world = world().await;
    let id = add(&world, &said("Old")).await["evidence_id"].clone();
    testkit::builders::agree(&test_playbook(), &playbooks(&world)).await;
    world.later(60_000);
    assert_eq!(list(&world, "").await[0]["evidence_id"], id);
    world.call(Role::Sales, "GET", "/v1/personas/olga").expect(404).await;
    assert_eq!(world.post(Role::Marketing, PATH, &said("New")).await.status, 404);
    let path = format!("{PATH}/{}", id.as_str().unwrap());
    world.call(Role::Marketing, "DELETE", &path).expect(204).await;
    world.call(Role::Sales, "GET", PATH).expect(404).await;
}

fn playbooks(world: &World) -> adapters::playbooks::Playbooks {
    let clock: std::sync::Arc<dyn adapters::clock::Clock> = std::sync::Arc::clone(&world.clock) as _;
    adapters::playbooks::Playbooks::new(std::sync::Arc::clone(&world.catalog), clock)
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_asked_for_again_and_is_one_record() {
    let world = world().await;
    for failure in [Failure::TimedOutAfterWrite, Failure::Throttled] {
        let text = format!("{failure:?}");
        world.failures.next_writes(1, failure);
        let lost = world.post(Role::Marketing, PATH, &said(&text)).await;
        assert_eq!(lost.status, 503, "{}", lost.text());
        let again = add(&world, &said(&text)).await["status"].clone();
        assert!(["created", "unchanged"].contains(&again.as_str().unwrap()), "{again}");
    }
    // Somebody else was faster between reading and writing: it is read again.
    world.failures.next_writes(1, Failure::Conflict);
    assert_eq!(add(&world, &said("Raced")).await["status"], "created");
    assert_eq!(list(&world, "").await.len(), 3);
}

#[tokio::test]
async fn keywords_count_for_the_topics_that_they_are_about() {
    let world = world().await;
    let keyword = |text: &str, more: Value| {
        with(json!({"kind": "keyword_research", "keyword": text, "date": "2026-04-01"}), more)
    };
    let many = json!({"evidence": [
        keyword("Report DASHBOARD price", json!({"monthly_searches": 390})),
        keyword("shift plan", json!({"topic": "reporting", "monthly_searches": 20})),
        keyword("anything", json!({})),
        said("No keyword"),
    ]});
    add(&world, &many).await;
    let active = playbooks(&world).active().await.unwrap();
    let keywords = adapters::evidence::keywords(world.catalog.as_ref()).await.unwrap();
    assert_eq!(keywords.len(), 3);
    let demand = domain::content::matrix::demand(&active.playbook, &keywords);
    let found: Vec<(&str, u64)> =
        demand.iter().map(|(topic, searches)| (topic.as_str(), *searches)).collect();
    assert_eq!(found, [("prices", 390), ("reporting", 410)]);
}
