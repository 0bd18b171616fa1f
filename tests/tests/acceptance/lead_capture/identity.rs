//! Who is who: one person, one lead; two persons, two; and nothing merged silently.

use adapters::http::Role;
use serde_json::{Value, json};
use tests::World;

async fn capture(world: &World, lead: Value) -> Value {
    world.post(Role::Marketing, "/v1/leads", &lead).await.ok("lead")
}

async fn lead(world: &World, id: &Value) -> Value {
    world.get(Role::Sales, &format!("/v1/leads/{}", id.as_str().unwrap())).await
}

fn titled(mut who: Value, title: &str) -> Value {
    who["attributes"] = json!({"job_title": title});
    who
}

#[tokio::test]
async fn two_spellings_of_one_address_are_one_lead() {
    let world = World::new().await;
    let one = capture(&world, json!({"email": "Ada.Lovelace@Company.Example"})).await;
    let other = capture(&world, titled(json!({"email": " ada.lovelace@company.example "}), "Owner")).await;
    assert_eq!((&one["status"], &other["status"]), (&json!("created"), &json!("updated")));
    assert_eq!(one["lead_id"], other["lead_id"]);
    let one = capture(&world, json!({"phone": "+43 (0)1 / 234-567"})).await;
    let other = capture(&world, titled(json!({"phone": "0043 1 234567"}), "Owner")).await;
    assert_eq!(one["lead_id"], other["lead_id"]);
}

#[tokio::test]
async fn a_lead_gets_to_be_known_by_more_and_more() {
    let world = World::new().await;
    let first = capture(&world, json!({"phone": "+431234567"})).await;
    let second = capture(&world, json!({"phone": "+431234567", "email": "ada@company.example"})).await;
    let third = capture(
        &world,
        json!({"email": "ada@company.example", "external_id": {"system": "crm", "id": "42"}}),
    )
    .await;
    assert_eq!(first["lead_id"], second["lead_id"]);
    assert_eq!(first["lead_id"], third["lead_id"]);
    let found = capture(&world, titled(json!({"external_id": {"system": "crm", "id": 42}}), "Owner")).await;
    assert_eq!(found["lead_id"], first["lead_id"], "a number that was not quoted is the same id");
    let dossier = lead(&world, &first["lead_id"]).await;
    assert_eq!((&dossier["email"], &dossier["phone"]), (&json!("ada@company.example"), &json!("+431234567")));
    assert_eq!(dossier["external_ids"], json!([{"system": "crm", "id": "42"}]));
}

#[tokio::test]
async fn the_strongest_known_identity_decides_and_a_weaker_one_is_not_moved() {
    let world = World::new().await;
    let ada = capture(&world, json!({"email": "ada@company.example"})).await;
    let bob = capture(&world, json!({"phone": "+431234567"})).await;
    let both = capture(&world, json!({"email": "ada@company.example", "phone": "+431234567"})).await;
    assert_eq!(both["lead_id"], ada["lead_id"]);
    let ada = lead(&world, &ada["lead_id"]).await;
    assert_eq!((&ada["phone"], &ada["possible_duplicates"]), (&Value::Null, &json!([bob["lead_id"]])));
    let still = capture(&world, titled(json!({"phone": "+431234567"}), "Owner")).await;
    assert_eq!(still["lead_id"], bob["lead_id"]);
}

#[tokio::test]
async fn ten_people_behind_one_switchboard_are_ten_leads() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        let who = json!({"email": format!("{n}@company.example"), "phone": "+431234567"});
        let result = capture(&world, who).await;
        assert_eq!(result["status"], "created", "{n}");
        ids.push(result["lead_id"].clone());
    }
    assert_eq!(lead(&world, &ids[0]).await["phone"], "+431234567");
    assert_eq!(lead(&world, &ids[9]).await["possible_duplicates"], json!([ids[0]]));
    assert_eq!(lead(&world, &ids[9]).await["phone"], Value::Null);
    assert_eq!(world.memory().leads().len(), 10);
}

#[tokio::test]
async fn a_new_address_of_somebody_known_by_an_external_id_is_one_more_address() {
    let world = World::new().await;
    let old =
        capture(&world, json!({"external_id": {"system": "crm", "id": "1"}, "email": "old@company.example"}))
            .await;
    let new =
        capture(&world, json!({"external_id": {"system": "crm", "id": "1"}, "email": "new@company.example"}))
            .await;
    assert_eq!(old["lead_id"], new["lead_id"]);
    let dossier = lead(&world, &old["lead_id"]).await;
    assert_eq!(dossier["emails"], json!(["old@company.example", "new@company.example"]));
    assert_eq!(world.lead_id("new@company.example").await, old["lead_id"].as_str().unwrap());
}

#[tokio::test]
async fn one_address_with_two_ids_of_one_system_is_two_leads() {
    let world = World::new().await;
    let one =
        capture(&world, json!({"external_id": {"system": "crm", "id": "1"}, "email": "ada@company.example"}))
            .await;
    let two =
        capture(&world, json!({"external_id": {"system": "crm", "id": "2"}, "email": "ada@company.example"}))
            .await;
    assert_eq!(two["status"], "created");
    assert_eq!(lead(&world, &two["lead_id"]).await["possible_duplicates"], json!([one["lead_id"]]));
    let other_system = json!({"external_id": {"system": "erp", "id": "2"}, "email": "ada@company.example"});
    assert_eq!(capture(&world, other_system).await["lead_id"], one["lead_id"]);
}

#[tokio::test]
async fn a_shared_computer_makes_nobody_somebody_else() {
    let world = World::new().await;
    let fields = |email: &str| json!({"email": email, "anonymous_id": "v-3f9a0c5b7d", "submission_id": email, "full_name": email});
    world.submit("contact", &fields("ada@company.example")).await;
    world.submit("contact", &fields("bob@company.example")).await;
    let (ada, bob) = (world.dossier("ada@company.example").await, world.dossier("bob@company.example").await);
    assert_ne!(ada["lead_id"], bob["lead_id"]);
    assert_eq!(bob["possible_duplicates"], json!([ada["lead_id"]]));
    assert_eq!(bob["attributes"]["full_name"], "bob@company.example");
}
