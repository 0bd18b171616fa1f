//! What is asked of an export.

use adapters::http::Problem;
use adapters::wire;
use axum::http::HeaderMap;
use domain::condition::{Condition, Level};
use domain::export::{Asked, Spec};
use domain::playbook::Playbook;
use domain::sales::DeliveryId;
use serde_json::Value;

/// The longest condition of a preview, in bytes: each of its parts is counted on its own.
const LONGEST_CONDITION: usize = 8_000;

/// Reads a condition that stands in no playbook, with how it is written.
///
/// # Errors
///
/// Every fault.
pub fn condition(body: &Value, playbook: &Playbook) -> Result<(Condition, Value), Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let when = object.required("where");
        let condition = when.as_ref().and_then(|node| {
            let size = node.value().to_string().len();
            if size > LONGEST_CONDITION {
                node.fault(format!("has {size} bytes; a preview takes {LONGEST_CONDITION}"));
                return None;
            }
            playbook.condition(node, Level::Segments)
        });
        object.finish();
        Some((condition?, when?.value().clone()))
    })
}

/// Reads what an export is to hold.
///
/// # Errors
///
/// Every fault.
pub fn export(body: &Value, segment: &str, playbook_version: u32) -> Result<Asked, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let spec = Spec::read(&object);
        object.finish();
        Some(Asked { segment: segment.to_owned(), playbook_version, spec: spec?, scheduled: None })
    })
}

/// Chooses the id of an export: from the caller's key, or a new one.
///
/// # Errors
///
/// What is wrong with the key.
pub fn export_id(headers: &HeaderMap, segment: &str) -> Result<String, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    let id = key.map_or_else(wire::unrepeatable, |key| DeliveryId::new(&format!("export {segment}"), &key));
    Ok(format!("export-{id}"))
}
