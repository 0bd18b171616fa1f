//! The addresses that a tool before brought along, from its file: the compiled `leadloop`, against a `leadloop dev` of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

mod dev;

use adapters::config::Environment;
use dev::Dev;
use leadloop::api::{Body, Where};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(dev: &Dev, path: &str, body: &Value) -> Value {
    let place = Where { url: Some(dev.url.clone()), token: None, data_dir: dev.folder.clone() };
    let api = place.api("marketing", &Environment::read()).unwrap();
    api.send(Method::POST, path, Body::Json(body), None).await.unwrap()
}

#[tokio::test]
async fn a_list_of_the_tool_before_is_imported_once_and_counts_at_once() {
    let dev = Dev::start("suppressions");
    let ada = json!({"email": "ada@company.example"});
    let mut lead = ada.clone();
    lead["consent"] = json!({"purpose": "marketing", "status": "confirmed"});
    let known = post(&dev, "/v1/leads", &lead).await["lead_id"].clone();

    let mut file = "Email Address,Since,reason\nada@company.example,2024-05-01,\nno address,,\nb@company.example,yesterday,\n\
                    c@company.example,,bored\nd@company.example,2024-05-01T12:00:00Z,complained\n"
        .to_owned();
    (0..250).for_each(|n| file.push_str(&format!("P{n}@Company.example,,bounced\n")));
    dev.file("out.csv", &file);
    let import = [
        "import",
        "suppressions",
        "out.csv",
        "--map",
        "Email Address=email",
        "--map",
        "Since=at",
        "--set",
        "source=Old",
    ];
    let refused = dev.refuses(&import);
    assert!(refused.contains("3 of 255 rows were rejected"), "{refused}");
    let rejects = std::fs::read_to_string(dev.folder.join("out.rejects.csv")).unwrap();
    for part in
        ["/email is not an e-mail address", "\"\"yesterday\"\" is not a time", "/reason is \"\"bored\"\""]
    {
        assert!(rejects.contains(part), "no {part}: {rejects}");
    }

    let found = post(&dev, "/v1/suppressions/lookup", &ada).await;
    let item = &found["items"][0];
    assert_eq!(
        (&item["reason"], &item["since"], &item["source"]),
        (&json!("unsubscribed"), &json!("2024-05-01T00:00:00Z"), &json!("Old"))
    );
    let place = Where { url: Some(dev.url.clone()), token: None, data_dir: dev.folder.clone() };
    let api = place.api("sales", &Environment::read()).unwrap();
    let dossier = api.get(&format!("/v1/leads/{}", known.as_str().unwrap())).await.unwrap();
    assert_eq!(
        (&dossier["suppressed"], &dossier["consent"][0]["status"]),
        (&json!("unsubscribed"), &json!("withdrawn"))
    );
    let version = dossier["version"].clone();

    // Again: nothing changes, neither in the list nor in the lead.
    let mut lines: Vec<&str> = file.lines().collect();
    lines
        .retain(|line| !["no address", "b@company", "c@company"].iter().any(|wrong| line.starts_with(wrong)));
    dev.file("out.csv", &lines.join("\n"));
    let again = dev.does(&import);
    assert!(again.starts_with("252 addresses: 0 created, 0 updated, 252 unchanged, 0 rejected"), "{again}");
    let dossier = api.get(&format!("/v1/leads/{}", known.as_str().unwrap())).await.unwrap();
    assert_eq!(dossier["version"], version);

    dev.file("more.jsonl", "{\"email\": \"e@company.example\", \"reason\": \"legal\"}\n");
    let lines = dev.does(&["import", "suppressions", "more.jsonl"]);
    assert!(lines.starts_with("1 addresses: 1 created"), "{lines}");
}
