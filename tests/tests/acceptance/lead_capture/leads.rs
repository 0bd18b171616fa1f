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
