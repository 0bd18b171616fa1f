//! Finding a lead, and everything known of it.

use adapters::http::Role;
use domain::time::MINUTE_MS;
use serde_json::{Value, json};
use tests::{World, ada};

#[tokio::test]
async fn a_lead_is_found_by_its_id_address_phone_or_external_id() {
    let world = World::new().await;
    let known = json!({"email": "ada@company.example", "phone": "+431234567", "external_id": {"system": "crm", "id": "42"}});
    let lead = world.post(Role::Marketing, "/v1/leads", &known).await.ok("lead");
    for reference in [
        json!({"lead_id": lead["lead_id"]}),
        json!({"email": "ADA@COMPANY.EXAMPLE"}),
        json!({"phone": "0043 1 234567"}),
        json!({"external_id": {"system": "CRM", "id": "42"}}),
    ] {
        let found = world.post(Role::Sales, "/v1/leads/lookup", &reference).await.ok("lookup");
        assert_eq!(found["items"][0]["lead_id"], lead["lead_id"], "{reference}");
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
    }
    let nobody =
        world.post(Role::Sales, "/v1/leads/lookup", &json!({"email": "nobody@company.example"})).await;
    assert_eq!(nobody.ok("lookup"), json!({"items": []}));
}

#[tokio::test]
async fn a_reference_names_a_lead_in_one_way() {
    let world = World::new().await;
    for (reference, pointer) in [
        (json!({}), ""),
        (json!({"email": "ada@company.example", "phone": "+431234567"}), ""),
        (json!({"email": "ada"}), "/email"),
        (json!({"lead_id": "Ada"}), "/lead_id"),
        (json!({"name": "Ada", "email": "ada@company.example"}), "/name"),
        (json!("ada@company.example"), ""),
    ] {
        let answer = world.post(Role::Sales, "/v1/leads/lookup", &reference).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec![pointer.to_owned()]), "{reference}");
    }
}

#[tokio::test]
async fn a_dossier_holds_everything_known() {
    let world = World::new().await;
    let mut fields = ada();
    fields["phone"] = json!("+43 1 234567");
    fields["consent_marketing"] = json!("yes");
    fields["utm_medium"] = json!("cpc");
    world.submit("contact", &fields).await;
    let lead = world.dossier("ada@company.example").await;
    for key in [
        "lead_id",
        "email",
        "phone",
        "external_ids",
        "company",
        "attributes",
        "stage",
        "stage_since",
        "cycle",
        "owner",
        "promise",
        "score",
        "persona",
        "phase",
        "segments",
        "consent",
        "source",
        "deals",
        "possible_duplicates",
        "created_at",
        "responded_at",
        "next_review_at",
        "version",
        "timeline",
        "legal_feedback",
    ] {
        assert!(lead.get(key).is_some(), "{key}");
    }
    assert_eq!((&lead["email"], &lead["phone"]), (&json!("ada@company.example"), &json!("+431234567")));
    assert_eq!(lead["segments"], json!(["dach_active"]));
    assert_eq!(lead["score"]["playbook_version"], 1);
    assert_eq!(lead["score"]["as_of"], "2026-11-22T12:00:00Z");
    assert_eq!(lead["company"]["domain"], "company.example");
    assert!(lead["next_review_at"].as_str().unwrap() > "2026-11-22");
    assert_eq!(lead["timeline"]["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_timeline_says_why_a_lead_came_to_a_persona_a_phase_and_a_segment() {
    let world = World::new().await;
    let mut fields = ada();
    fields["job_title"] = json!("Plant manager");
    world.submit("contact", &fields).await;
    let lead = world.dossier("ada@company.example").await;
    assert_eq!((&lead["persona"], &lead["phase"]), (&json!("plant_manager"), &json!("decision")));
    let effects = lead["timeline"]["items"][0]["effects"].as_array().unwrap().clone();
    let effect = |name: &str| effects.iter().find(|effect| effect["effect"] == name).unwrap().clone();
    let persona = effect("persona_changed");
    assert_eq!((&persona["from"], &persona["to"]), (&Value::Null, &json!("plant_manager")));
    assert!(persona["because"][0].as_str().unwrap().starts_with("job title contains"), "{persona}");
    assert_eq!(
        effect("phase_changed")["because"],
        json!(["\"contact requested\" at least once within 60 days"])
    );
    assert_eq!(
        effect("segment_entered"),
        json!({"effect": "segment_entered", "segment": "dach_active",
            "because": ["country is one of AT, CH, DE", "the engagement is at least 10"]})
    );
    let id = lead["lead_id"].as_str().unwrap();
    world.later(70 * 24 * 60 * MINUTE_MS);
    let then = world.get(Role::Sales, &format!("/v1/leads/{id}/segments?at=2026-11-23")).await;
    assert_eq!((&then["persona"], &then["phase"]), (&json!("plant_manager"), &json!("decision")), "{then}");
    let now = world.get(Role::Sales, &format!("/v1/leads/{id}/segments")).await;
    assert_eq!(now["phase"], "awareness", "the request has grown old: {now}");
}

#[tokio::test]
async fn a_timeline_reads_in_pages_latest_first() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for n in 0..9 {
        world.later(MINUTE_MS);
        let view = json!({"lead": {"lead_id": id}, "kind": "page_viewed", "id": format!("{n}")});
        world.post(Role::Capture, "/v1/activities", &view).await.ok("view");
    }
    let (mut at, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            world.get(Role::Sales, &format!("/v1/leads/{id}?limit=4{cursor}")).await["timeline"].clone();
        at.extend(
            page["items"].as_array().unwrap().iter().map(|entry| entry["at"].as_str().unwrap().to_owned()),
        );
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    assert_eq!(at.len(), 10);
    assert!(at.is_sorted_by(|a, b| a > b), "{at:?}");
}

#[tokio::test]
async fn a_bad_query_is_the_callers_fault_and_not_ours() {
    let world = World::new().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    for (query, pointers) in [("cursor=nonsense", vec!["/cursor"]), ("limit=0", vec!["/limit"])] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (422, pointers.iter().map(|p| (*p).to_owned()).collect()),
            "{query}"
        );
    }
    for query in ["limit=many", "colour=red"] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?{query}")).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (422, "application/problem+json"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_bad_cursor_is_the_callers_fault_on_dynamodb_too() {
    let world = World::on_dynamo().await;
    world.submit("contact", &ada()).await;
    let id = world.lead_id("ada@company.example").await;
    let foreign = data_encoding::BASE64URL_NOPAD.encode(br#"{"lead_id":{"S":"x"},"entry_id":{"S":"y"}}"#);
    for cursor in ["nonsense", &foreign] {
        let answer = world.call(Role::Sales, "GET", &format!("/v1/leads/{id}?cursor={cursor}")).send().await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/cursor".to_owned()]), "{cursor}");
        let answer = world.call(Role::Sales, "GET", &format!("/v1/inbox?cursor=at-1.{cursor}")).send().await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/cursor".to_owned()]), "{cursor}");
    }
}

#[tokio::test]
async fn a_lead_that_is_not_there_is_not_found() {
    let world = World::new().await;
    for id in ["aaaaaaaaaaaaaaaaaaaaaaaaaa", "ada", "ada@company.example"] {
        for path in [format!("/v1/leads/{id}"), format!("/v1/leads/{id}/score")] {
            let answer = world.call(Role::Sales, "GET", &path).send().await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (404, "application/problem+json"),
                "{path}"
            );
        }
    }
}
