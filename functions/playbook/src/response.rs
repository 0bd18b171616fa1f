//! What goes out: versions, people.

use adapters::playbooks::Stored;
use adapters::ports::Record;
use serde_json::{Value, json};

/// Gives a version, with its document where that is asked for.
#[must_use]
pub fn version(stored: &Stored, active: Option<u32>, whole: bool) -> Value {
    let mut json = json!({
        "version": stored.number,
        "status": if active == Some(stored.number) { "active" } else { "draft" },
        "name": stored.document.get("name"),
        "author": stored.author,
        "created_at": stored.created_at.to_string(),
        "sha256": stored.hash,
    });
    if let Some(map) = json.as_object_mut().filter(|_| whole) {
        map.insert("document".to_owned(), stored.document.clone());
    }
    json
}

/// Gives a person's record.
#[must_use]
pub fn person(record: &Record) -> Value {
    let mut json = record.body.clone();
    if let Some(map) = json.as_object_mut() {
        map.insert("id".to_owned(), record.id.clone().into());
        map.retain(|_, value| !value.is_null());
    }
    json
}
