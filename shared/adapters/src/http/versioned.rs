//! Records that people write whole over HTTP, such as content and templates: read with a version, and written with the version
//! that was read, so that nobody overwrites what they did not see. What was sent already changes nothing.

use super::{Problem, json};
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use axum::http::StatusCode;
use axum::response::Response;
use domain::identity::Slug;
use domain::reader::Object;
use domain::time::Timestamp;
use serde_json::{Value, json};

/// What is sent to stand under an id.
#[derive(Clone, Debug)]
pub struct Sent<T> {
    /// What it is.
    pub value: T,
    /// The version that its sender read; none for what is new.
    pub version: Option<u64>,
}

/// Reads the fields that stand around what is sent: `id` and `version`, and what a reading gave besides (`ours`), so that what
/// was read may be sent back as it is.
#[must_use]
pub fn version(object: &Object<'_>, id: &Slug, ours: &[&'static str]) -> Option<Option<u64>> {
    let version = object.optional("version").map(|node| node.integer(1, i64::MAX));
    if let Some(node) = object.optional("id")
        && node.value().as_str() != Some(id.as_str())
    {
        node.fault(format!("is another id than that of the address, {id}"));
    }
    for ours in ["updated_at", "updated_by", "status"].iter().chain(ours) {
        let _ours = object.optional(ours);
    }
    match version {
        Some(version) => u64::try_from(version?).ok().map(Some),
        None => Some(None),
    }
}

/// Gives a record as it is shown.
#[must_use]
pub fn shown(record: &Record) -> Value {
    let mut shown = json!({ "id": record.id, "version": record.version });
    if let (Some(map), Some(body)) = (shown.as_object_mut(), record.body.as_object()) {
        map.extend(body.clone());
    }
    shown
}

/// Writes what was sent, by `who`, and answers with the record; `status` says whether it is new, changed or was there.
///
/// # Errors
///
/// 409 where it stands at another version than the sender read, or [`StoreError`]'s problem.
pub async fn put<T: PartialEq>(
    catalog: &dyn Catalog,
    (kind, id): (CatalogKind, &Slug),
    sent: &Sent<T>,
    mut body: Value,
    (who, now): (&str, Timestamp),
    read: impl Fn(&Record) -> Result<T, StoreError>,
) -> Result<Response, Problem> {
    if let Some(map) = body.as_object_mut() {
        map.insert("updated_at".to_owned(), now.to_string().into());
        map.insert("updated_by".to_owned(), who.into());
    }
    loop {
        let known = catalog.get(kind, id.as_str()).await?;
        let put = match (&known, sent.version) {
            (Some(record), _) if read(record)? == sent.value => {
                return Ok(answer(StatusCode::OK, record, "unchanged"));
            }
            (Some(record), Some(version)) if version == record.version => Put::over(record, body.clone()),
            (Some(record), _) => {
                return Err(Problem::conflict(format!(
                    "it stands at version {}; read it, and send the version that you read with your change",
                    record.version
                )));
            }
            (None, Some(_)) => {
                return Err(Problem::conflict("it is not there any more; without a version it is new"));
            }
            (None, None) => Put::new(kind, id.as_str(), body.clone()),
        };
        if catalog.put(std::slice::from_ref(&put)).await? {
            let (status, word) =
                if known.is_some() { (StatusCode::OK, "updated") } else { (StatusCode::CREATED, "created") };
            return Ok(answer(status, &put.record, word));
        }
    }
}

fn answer(status: StatusCode, record: &Record, word: &str) -> Response {
    let mut shown = shown(record);
    if let Some(map) = shown.as_object_mut() {
        map.insert("status".to_owned(), word.into());
    }
    json(status, &shown)
}
