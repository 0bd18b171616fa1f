//! Templates of letters over HTTP: written, refused, read, and looked at as a lead would get them.

use adapters::http::Role;
use serde_json::{Value, json};
use tests::{World, ada};

const MARKETING: Role = Role::Marketing;

fn plain() -> Value {
    json!({ "name": "Plain", "variants": [
        { "language": "en", "fallback": true, "subject": "{{ content.title }}", "preheader": "For {{ lead.first_name | default('you') }}",
            "body": "<p>Hello {{ lead.first_name | default('there') }}, read <a href=\"{{ content.url }}\">{{ content.title }}</a></p>" },
        { "language": "de", "subject": "{{ content.title }} für Sie",
            "body": "<mjml><mj-body><mj-section><mj-column><mj-text>Guten Tag</mj-text><mj-button href=\"{{ content.url }}\">Lesen</mj-button></mj-column></mj-section></mj-body></mjml>" },
    ] })
}

async fn put(world: &World, id: &str, body: &Value, status: u16) -> Value {
    let path = format!("/v1/templates/{id}");
    world.call(MARKETING, "PUT", &path).json(body).expect(status).await.json()
}

#[tokio::test]
async fn a_template_is_written_whole_by_whoever_read_what_was_there() {
    let world = World::new().await;
    let written = put(&world, "plain", &plain(), 201).await;
    assert_eq!((&written["status"], &written["version"]), (&json!("created"), &json!(1)));
    assert_eq!(put(&world, "plain", &plain(), 200).await["status"], "unchanged");

    let mut other = plain();
    other["variants"][1]["subject"] = json!("Neu");
    put(&world, "plain", &other, 409).await;
    other["version"] = json!(1);
    let changed = put(&world, "plain", &other, 200).await;
    assert_eq!((&changed["status"], &changed["version"]), (&json!("updated"), &json!(2)));
    other["version"] = json!(1);
    other["name"] = json!("Late");
    put(&world, "plain", &other, 409).await;

    // What was read may be sent back as it is.
    let read = world.get(MARKETING, "/v1/templates/plain").await;
    assert_eq!(put(&world, "plain", &read, 200).await["status"], "unchanged");
    assert_eq!(read["variants"][1]["fallback"], false);

    let list = world.get(MARKETING, "/v1/templates").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["languages"], json!(["en", "de"]));
    assert!(list["items"][0].get("variants").is_none());
}

#[tokio::test]
async fn the_built_in_template_is_there_until_somebody_writes_one_in_its_place() {
    let world = World::new().await;
    let mut own = world.get(MARKETING, "/v1/templates/default").await;
    assert_eq!((&own["built_in"], own.get("version")), (&json!(true), None));
    own["name"] = json!("Ours");
    let written = put(&world, "default", &own, 201).await;
    assert_eq!(written.get("built_in"), None);
    assert_eq!(world.get(MARKETING, "/v1/templates/default").await["name"], "Ours");
    world.call(MARKETING, "GET", "/v1/templates/none").expect(404).await;
}

#[tokio::test]
async fn a_refused_template_names_every_fault_with_its_place_and_leaves_nothing() {
    let world = World::new().await;
    let mut wrong = plain();
    wrong["colour"] = json!("red");
    wrong["variants"][0]["subject"] = json!("{{ lead.frist_name }}");
    wrong["variants"][1]["body"] = json!("<mjml><mj-body><mj-section <b></mj-body></mjml>");
    let problem = put(&world, "plain", &wrong, 422).await;
    let mut places: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["/colour", "/variants/0/subject", "/variants/1/body"]);
    world.call(MARKETING, "GET", "/v1/templates/plain").expect(404).await;
}

#[tokio::test]
async fn a_preview_is_the_letter_that_a_lead_would_get_with_links_that_nobody_counts() {
    let world = World::new().await;
    assert_eq!(world.submit("contact", &ada()).await.status, 202);
    put(&world, "plain", &plain(), 201).await;
    let path = "/v1/templates/plain/preview";
    let asked = json!({ "lead": { "email": "ada@company.example" }, "content": "savings" });
    let preview = async |asked: &Value, status: u16| {
        world.call(MARKETING, "POST", path).json(asked).expect(status).await
    };
    let lead_only = json!({ "lead": { "email": "ada@company.example" } });
    let problem = preview(&lead_only, 409).await.json();
    assert!(problem["detail"].as_str().unwrap().contains("no content"), "{problem}");

    let content = json!({ "title": "Savings & more", "url": "/papers/savings", "kind": "whitepaper" });
    world.call(MARKETING, "PUT", "/v1/content/savings").json(&content).expect(201).await;
    for asked in [&asked, &lead_only] {
        let shown = preview(asked, 200).await.json();
        assert_eq!((&shown["content"], &shown["template"]), (&json!("savings"), &json!("plain")));
        let (html, text) = (shown["html"].as_str().unwrap(), shown["text"].as_str().unwrap());
        for part in [html, text] {
            assert!(part.contains("/papers/savings?utm_source=nurture"), "{part}");
            assert!(part.contains("https://preview.invalid/unsubscribe") && !part.contains("/t/"), "{part}");
        }
    }
    let page =
        world.call(MARKETING, "POST", path).header("accept", "text/html").json(&asked).expect(200).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("sandbox"));
    assert!(page.text().contains("Guten Tag"), "she is in Austria");

    let nobody = json!({ "lead": { "email": "nobody@company.example" }, "content": "savings" });
    preview(&nobody, 404).await;
    let wrong = json!({ "lead": { "email": "ada@company.example" }, "content": "none" });
    assert_eq!(preview(&wrong, 422).await.json()["errors"][0]["pointer"], "/content");
    let wrong =
        json!({ "lead": { "email": "ada@company.example" }, "content": "savings", "program": "none" });
    assert_eq!(preview(&wrong, 422).await.json()["errors"][0]["pointer"], "/program");
    // Nothing of it is written down: the lead knows of no mail.
    let dossier = world.dossier("ada@company.example").await;
    assert!(!dossier["timeline"].to_string().contains("email_"), "{dossier}");
}
