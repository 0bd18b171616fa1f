//! Leads by hand and in bulk.

use adapters::http::Role;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use tests::World;

async fn batch(world: &World, body: &Value) -> Value {
    world.post(Role::Marketing, "/v1/leads/batch", body).await.ok("batch")
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

fn crm(id: &str) -> Value {
    json!({"external_id": {"system": "crm", "id": id}, "occurred_at": "2018-02-01T12:00:00Z",
        "attributes": {"country": "Österreich", "company_size": 120, "job_title": "Head of Sales"},
        "source": {"channel": "paid_search", "campaign": "spring", "landing_page": "lp-7"}})
}

#[tokio::test]
async fn a_lead_by_hand_is_created_then_updated_then_unchanged() {
    let world = World::new().await;
    let mut lead =
        json!({"email": "ada@company.example", "attributes": {"country": "AT", "company_size": 120}});
    let send = async |lead: &Value| world.post(Role::Sales, "/v1/leads", lead).await.ok("lead");
    let first = send(&lead).await;
    assert_eq!((&first["status"], &first["stage"]), (&json!("created"), &json!("inquiry")));
    assert_eq!(first["score"], json!({"fit": 50, "engagement": 0, "label": "B4"}));
    assert_eq!(send(&lead).await["status"], "unchanged");
    world.later(DAY_MS);
    assert_eq!(send(&lead).await["status"], "unchanged", "nothing new is nothing new tomorrow");
    lead["attributes"]["job_title"] = json!("Director");
    let changed = send(&lead).await;
    assert_eq!((&changed["status"], &changed["score"]["fit"]), (&json!("updated"), &json!(80)));
    assert_eq!(changed["lead_id"], first["lead_id"]);
}

#[tokio::test]
async fn an_import_is_scored_and_owned_and_starts_nothing() {
    let world = World::new().await;
    let body = json!({"mode": "history", "leads": [crm("1"), crm("2"), crm("1"), {"email": "nobody"}]});
    let answer = batch(&world, &body).await;
    assert_eq!(statuses(&answer), ["created", "created", "unchanged", "rejected"]);
    let found = world
        .post(Role::Sales, "/v1/leads/lookup", &json!({"external_id": {"system": "crm", "id": "1"}}))
        .await;
    let id = found.json()["items"][0]["lead_id"].as_str().unwrap().to_owned();
    let lead = world.get(Role::Marketing, &format!("/v1/leads/{id}")).await;
    assert_eq!((&lead["stage"], &lead["owner"]["team"]), (&json!("inquiry"), &json!("marketing")));
    assert_eq!(lead["score"]["fit"], 85, "size 30, title 30, country 20, channel 5");
    assert_eq!(lead["created_at"], "2018-02-01T12:00:00Z");
    assert_eq!(lead["timeline"]["items"][0]["history"], true);
    assert!(world.events().await.is_empty());
    let again = batch(&world, &body).await;
    assert_eq!(statuses(&again), ["unchanged", "unchanged", "unchanged", "rejected"]);
}

#[tokio::test]
async fn an_import_that_is_live_hands_off_who_is_ready() {
    let world = World::new().await;
    let mut lead = crm("1");
    lead["email"] = json!("ada@company.example");
    lead["occurred_at"] = json!("2026-11-22T11:00:00Z");
    batch(&world, &json!({"leads": [lead]})).await;
    let asked = json!({"lead": {"external_id": {"system": "crm", "id": "1"}}, "kind": "contact_requested"});
    let result = world.post(Role::Capture, "/v1/activities", &asked).await.ok("activity");
    assert_eq!(
        (&result["stage"], &result["owner"]["person"]),
        (&json!("marketing_qualified"), &json!("at-1"))
    );
    assert_eq!(
        world.events().await,
        ["became_qualified", "captured", "handed_off", "stage_changed", "stage_changed"]
    );
}

#[tokio::test]
async fn a_newer_value_wins_an_older_one_is_only_proposed_and_an_empty_one_erases_nothing() {
    let world = World::new().await;
    let lead = |title: &str, at: &str| json!({"leads": [{"email": "ada@company.example", "occurred_at": at, "attributes": {"job_title": title, "city": ""}}]});
    batch(&world, &lead("Director", "2026-11-20T00:00:00Z")).await;
    batch(&world, &lead("Owner", "2026-11-21T00:00:00Z")).await;
    batch(&world, &lead("Trainee", "2020-01-01T00:00:00Z")).await;
    let empty = json!({"leads": [{"email": "ada@company.example", "attributes": {"job_title": "  "}}]});
    assert_eq!(statuses(&batch(&world, &empty).await), ["unchanged"]);
    let dossier = world.dossier("ada@company.example").await;
    assert_eq!(dossier["attributes"], json!({"job_title": "Owner"}));
    assert_eq!(dossier["attribute_origins"]["job_title"]["set_at"], "2026-11-21T00:00:00Z");
    assert_eq!(dossier["attribute_origins"]["job_title"]["set_by"], "api:mia");
    assert_eq!(dossier["created_at"], "2020-01-01T00:00:00Z");
}

#[tokio::test]
async fn contacts_and_customers_are_imported_as_what_they_are() {
    let world = World::new().await;
    let body = json!({"mode": "history", "leads": [
        {"email": "contact@b.example", "stage": "contact"}, {"email": "customer@b.example", "stage": "customer"},
        {"email": "lead@b.example"}, {"email": "odd@b.example", "stage": "opportunity"}]});
    let answer = batch(&world, &body).await;
    let stages: Vec<&Value> =
        answer["results"].as_array().unwrap().iter().map(|result| &result["stage"]).collect();
    assert_eq!(stages, [&json!("contact"), &json!("customer"), &json!("inquiry"), &Value::Null]);
    assert_eq!(answer["results"][3]["problem"]["errors"][0]["pointer"], "/stage");
}

#[tokio::test]
async fn consent_comes_with_its_proof() {
    let world = World::new().await;
    let body = json!({"mode": "history", "leads": [{"email": "ada@company.example", "consent": [
        {"purpose": "marketing", "status": "confirmed", "basis": "soft_opt_in", "text": "v3", "source": "fair",
            "at": "2024-05-01T00:00:00Z"},
        {"purpose": "phone", "status": "withdrawn", "at": "2025-05-01T00:00:00Z"}]}]});
    batch(&world, &body).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!(
        lead["consent"][0],
        json!({"purpose": "marketing", "status": "confirmed", "basis": "soft_opt_in",
        "text": "v3", "source": "fair", "at": "2024-05-01T00:00:00Z"})
    );
    assert_eq!(lead["consent"][1]["status"], "withdrawn");
    assert_eq!(lead["segments"], json!(["newsletter"]));
}

#[tokio::test]
async fn every_fault_of_a_lead_is_named_at_once_and_nothing_of_it_is_stored() {
    let world = World::new().await;
    let bad = json!({"email": "ada@b.example", "phone": "12", "external_id": {"system": "C R M", "id": ""},
        "occurred_at": "2100-01-01T00:00:00Z", "attributes": {"Company": 1, "ok": [1], "deep": {"value": 1, "colour": 2}},
        "company": {"domain": "https://b.example"}, "source": {"channel": 7}, "stage": "won", "colour": "red",
        "consent": [{"purpose": "everything", "status": "confirmed"}]});
    let answer = world.post(Role::Marketing, "/v1/leads", &bad).await;
    assert_eq!(answer.status, 422);
    let expected = [
        "/attributes/Company",
        "/attributes/deep/colour",
        "/attributes/ok",
        "/colour",
        "/company",
        "/consent/0/purpose",
        "/external_id/id",
        "/external_id/system",
        "/occurred_at",
        "/phone",
        "/source/channel",
        "/stage",
    ];
    let pointers = answer.pointers();
    for pointer in expected {
        assert!(pointers.iter().any(|named| named.starts_with(pointer)), "{pointer} in {pointers:?}");
    }
    assert_eq!(world.post(Role::Marketing, "/v1/leads", &json!({"attributes": {}})).await.pointers(), [""]);
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn a_batch_in_an_unknown_mode_is_refused_as_a_whole() {
    let world = World::new().await;
    let body = json!({"mode": "archive", "leads": [crm("1")]});
    let answer = world.post(Role::Marketing, "/v1/leads/batch", &body).await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/mode".to_owned()]));
    assert!(world.memory().leads().is_empty());
}

#[tokio::test]
async fn an_import_in_any_order_ends_in_the_same_leads() {
    let item = |n: usize| {
        let day = format!("2018-02-0{n}T12:00:00Z");
        let country = ["AT", "DE", "CH", "FR", "IT"][n];
        json!({"external_id": {"system": "crm", "id": "1"}, "occurred_at": day,
            "attributes": {"company_size": n, "country": country},
            "source": {"channel": format!("c-{n}")}})
    };
    let mut profiles = Vec::new();
    for order in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]] {
        let world = World::new().await;
        for n in order {
            batch(&world, &json!({"mode": "history", "leads": [item(n)]})).await;
        }
        let lead = world.memory().leads().pop().unwrap();
        let lead = world.get(Role::Marketing, &format!("/v1/leads/{}", lead.id)).await;
        let keep = ["attributes", "attribute_origins", "source", "score", "stage", "created_at"];
        profiles.push(keep.map(|key| lead[key].clone()));
    }
    assert_eq!(profiles[0], profiles[1]);
    assert_eq!(profiles[0], profiles[2]);
}

/// A talk at a trade show with somebody who fits and asks for an offer: ready by any measure.
fn talk(feedback: Value) -> Value {
    json!({"email": "olga@company.example", "attributes": {"country": "AT", "company_size": 120, "job_title": "Head of Sales"},
        "source": {"channel": "trade_show", "campaign": "hannover"}, "feedback": feedback})
}

#[tokio::test]
async fn a_lead_that_sales_logs_with_a_report_is_theirs_and_nobody_is_handed_it() {
    for (feedback, stage) in [
        (json!({"kind": "qualified", "by": "de-1", "note": "Wants an offer."}), "sales_qualified"),
        (json!({"kind": "opportunity", "by": "de-1", "deal": {"system": "crm", "id": "D-1"}}), "opportunity"),
        (
            json!([{"kind": "follow_up", "channel": "trade_show", "by": "de-1"}, {"kind": "won", "by": "de-1",
            "deal": {"system": "crm", "id": "D-1"}, "amount": {"amount": "10.00", "currency": "EUR"}}]),
            "customer",
        ),
    ] {
        let world = World::new().await;
        let answer = world.post(Role::Sales, "/v1/leads", &talk(feedback.clone())).await.ok("logged");
        assert_eq!((&answer["status"], &answer["stage"]), (&json!("created"), &json!(stage)), "{feedback}");
        assert_eq!(answer["owner"], json!({"team": "sales", "person": "de-1"}));
        let reports = answer["feedback"].as_array().unwrap();
        assert!(
            !reports.is_empty() && reports.iter().all(|report| report["fact_id"].is_string()),
            "{answer}"
        );
        let events = world.events().await;
        assert!(
            !events.contains(&"handed_off".to_owned()) && events.contains(&"captured".to_owned()),
            "{events:?}"
        );
        let lead = world.dossier("olga@company.example").await;
        assert_eq!((&lead["promise"], &lead["campaigns"][0]["campaign"]), (&Value::Null, &json!("hannover")));
        let story: Vec<&str> =
            lead["story"].as_array().unwrap().iter().map(|line| line["says"].as_str().unwrap()).collect();
        assert!(story.iter().all(|says| !says.contains("handed")), "{story:?}");
        if stage != "customer" {
            let inbox = world.get(Role::Sales, "/v1/inbox?owner=de-1").await;
            assert_eq!(inbox["items"][0]["lead_id"], answer["lead_id"]);
        }
    }
    // Without a report it is a lead as any other, which goes to who qualifies its country.
    let world = World::new().await;
    let mut body = talk(json!([]));
    body.as_object_mut().unwrap().remove("feedback");
    let activity = json!({"lead": {"email": "olga@company.example"}, "kind": "contact_requested"});
    world.post(Role::Sales, "/v1/leads", &body).await.ok("logged");
    world.post(Role::Capture, "/v1/activities", &activity).await.ok("asked");
    assert!(world.events().await.contains(&"handed_off".to_owned()), "so this is what is spared");
}

#[tokio::test]
async fn who_logs_a_lead_is_the_person_of_the_token_unless_they_say_otherwise() {
    let world = World::new().await;
    let answer = world.post(Role::Sales, "/v1/leads", &talk(json!({"kind": "qualified"}))).await.ok("logged");
    assert_eq!(answer["owner"]["person"], "at-1", "the token of sales is theirs");
    // Somebody of whom nothing was known gets a record, so that their inbox is a list among the others'.
    let mut other = talk(json!({"kind": "qualified", "by": "new-1"}));
    other["email"] = json!("other@company.example");
    world.post(Role::Sales, "/v1/leads", &other).await.ok("logged");
    let person = world.get(Role::Admin, "/v1/people/new-1").await;
    assert_eq!(person["unknown"], json!(true));
}

#[tokio::test]
async fn a_lead_with_a_report_comes_whole_or_not_at_all_and_again_changes_nothing() {
    let world = World::new().await;
    for (feedback, pointers) in [
        (json!({"kind": "accepted"}), vec!["/feedback"]),
        (json!({"kind": "opportunity"}), vec!["/feedback/deal"]),
        (
            json!([{"kind": "qualified"}, {"kind": "follow_up", "colour": "red"}]),
            vec!["/feedback/1/channel", "/feedback/1/colour"],
        ),
        (json!([1, 2, 3, 4, 5, 6].map(|_| json!({"kind": "qualified"}))), vec![""]),
        (json!("qualified"), vec!["/feedback"]),
    ] {
        let answer = world.post(Role::Sales, "/v1/leads", &talk(feedback.clone())).await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (422, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{feedback}: {}",
            answer.text()
        );
    }
    let by_marketing = world.post(Role::Marketing, "/v1/leads", &talk(json!({"kind": "qualified"}))).await;
    assert_eq!(by_marketing.status, 403, "{}", by_marketing.text());
    let found = world.post(Role::Sales, "/v1/leads/lookup", &json!({"email": "olga@company.example"})).await;
    assert_eq!(found.ok("lookup"), json!({"items": []}), "nothing of it is stored");
    let mut dated = talk(json!([{"kind": "qualified"}, {"kind": "follow_up", "channel": "trade_show"}]));
    dated["occurred_at"] = json!("2026-11-22T10:00:00Z");
    let first = world.post(Role::Sales, "/v1/leads", &dated).await.ok("first");
    let again = world.post(Role::Sales, "/v1/leads", &dated).await.ok("again");
    assert_eq!((&first["status"], &again["status"]), (&json!("created"), &json!("unchanged")));
    assert!(
        again["feedback"].as_array().unwrap().iter().all(|report| report["status"] == "unchanged"),
        "{again}"
    );
    let lead = world.dossier("olga@company.example").await;
    assert_eq!(lead["timeline"]["items"].as_array().unwrap().len(), 3);
    assert_eq!(lead["stage_since"], "2026-11-22T10:00:00Z", "of the talk's own time");
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_kept_and_skipped_with_the_lead() {
    let world = World::new().await;
    let deal = json!({"kind": "opportunity", "by": "at-1", "deal": {"system": "crm", "id": "D-1"}});
    world.post(Role::Sales, "/v1/leads", &talk(deal)).await.ok("first");
    world.later(1_000);
    let answer = world
        .post(Role::Sales, "/v1/leads", &talk(json!({"kind": "qualified", "by": "de-1"})))
        .await
        .ok("second");
    assert_eq!(
        (&answer["stage"], &answer["owner"]["person"]),
        (&json!("opportunity"), &json!("at-1")),
        "a colleague has it"
    );
    let lead = world.dossier("olga@company.example").await;
    let effects = lead["timeline"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|item| item["effects"].as_array().unwrap());
    assert!(
        effects.clone().any(|effect| effect["effect"] == "impossible"),
        "{:?}",
        effects.collect::<Vec<_>>()
    );
}
