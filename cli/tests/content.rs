//! Content from a file to the matrix, as a newcomer does it: the compiled `leadloop`, against a `leadloop dev` of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

mod dev;

use adapters::config::Environment;
use dev::{Dev, ROOT};
use leadloop::api::Where;
use serde_json::{Value, json};

async fn get(dev: &Dev, path: &str) -> Value {
    let place = Where { url: Some(dev.url.clone()), token: None, data_dir: dev.folder.clone() };
    place.api("marketing", &Environment::read()).unwrap().get(path).await.unwrap()
}

#[tokio::test]
async fn the_starter_content_is_imported_once_and_shows_a_matrix_with_gaps() {
    let dev = Dev::start("content");
    let starter = std::fs::read_to_string(format!("{ROOT}/playbooks/b2b-starter.content.csv")).unwrap();
    let pieces = starter.lines().count() - 1;
    dev.file("content.csv", &starter);
    let first = dev.does(&["import", "content", "content.csv"]);
    assert!(
        first.starts_with(&format!("{pieces} pieces: {pieces} created, 0 updated, 0 unchanged, 0 rejected")),
        "{first}"
    );
    let again = dev.does(&["import", "content", "content.csv"]);
    assert!(again.contains(&format!("0 created, 0 updated, {pieces} unchanged, 0 rejected")), "{again}");
    assert!(!dev.folder.join("content.rejects.csv").exists());

    // One title changed, one row with two faults, one row too many cells, one named twice.
    let changed = starter.replace("The savings calculator", "What you save")
        + "wrong,Wrong,/x,leaflet,nobody,,,,,\nlong,x,/x,other,,,,,,,more\nsavings-calculator,x,/x,other,,,,,,\n";
    dev.file("changed.csv", &changed);
    let refused = dev.refuses(&["import", "content", "changed.csv"]);
    assert!(refused.contains(&format!("3 of {} rows were rejected", pieces + 3)), "{refused}");
    let rejects = std::fs::read_to_string(dev.folder.join("changed.rejects.csv")).unwrap();
    for part in [
        "/kind is \"\"leaflet\"\"",
        "/personas/0 is \"\"nobody\"\"",
        "has 11 cells",
        "names savings-calculator again",
    ] {
        assert!(rejects.contains(part), "no {part}: {rejects}");
    }
    let piece = get(&dev, "/v1/content/savings-calculator").await;
    assert_eq!(
        (&piece["title"], &piece["version"], &piece["kind"]),
        (&json!("What you save"), &json!(2), &json!("tool"))
    );

    dev.file(
        "more.jsonl",
        "{\"id\": \"film\", \"title\": \"A film\", \"url\": \"/film\", \"kind\": \"video\", \"phases\": [\"customer\"]}\n\nnonsense\n",
    );
    assert!(dev.refuses(&["import", "content", "more.jsonl"]).contains("1 of 2 rows"));
    assert_eq!(get(&dev, "/v1/content/film").await["phases"], json!(["customer"]));

    let matrix = get(&dev, "/v1/content/matrix").await;
    let cell = |persona: &str, phase: &str| {
        let cells = matrix["cells"].as_array().unwrap();
        cells.iter().find(|cell| cell["persona"] == persona && cell["phase"] == phase).unwrap()["content"]
            .clone()
    };
    assert_eq!((cell("it_lead", "awareness"), cell("plant_manager", "awareness")), (json!(1), json!(4)));
    assert_eq!(cell("purchaser", "customer"), json!(1), "the film");
}
