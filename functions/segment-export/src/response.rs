//! What the function answers.

use adapters::jobs::Job;
use domain::lead::Lead;
use domain::playbook::diff::in_words;
use domain::score::Score;
use domain::segment::Kept;
use serde_json::{Value, json};

/// Gives a lead of a preview: enough to recognise it, no more.
#[must_use]
pub fn sample(lead: &Lead, score: &Score) -> Value {
    json!({
        "lead_id": lead.id.as_str(),
        "email": lead.email().map(domain::identity::Email::as_str),
        "label": score.label.to_string(),
        "stage": lead.stage.as_str(),
        "country": lead.country().map(domain::attribute::AttributeValue::to_json),
    })
}

/// Gives what a part of a condition did, in words and numbers.
#[must_use]
pub fn kept(kept: &Kept, written: &Value, document: &Value) -> Value {
    let part = written.pointer(&kept.pointer).unwrap_or(&Value::Null);
    json!({
        "pointer": kept.pointer,
        "says": in_words(part, document),
        "met": kept.met,
        "not_met": kept.not_met,
        "not_known": kept.not_known,
        "left": kept.left,
        "drops_alone": kept.drops_alone,
    })
}

/// Gives how far an export is.
#[must_use]
pub fn export(job: &Job, link: Option<String>) -> Value {
    let asked = |key: &str| job.request.get(key).cloned().unwrap_or_default();
    let state = |key: &str| job.state.get(key).cloned().unwrap_or_else(|| json!(0));
    json!({
        "export_id": job.id(),
        "status": job.status.as_str(),
        "segment_id": asked("segment"),
        "playbook_version": asked("playbook_version"),
        "format": asked("format"),
        "purpose": asked("purpose"),
        "columns": asked("columns"),
        "rows": state("rows"),
        "left_out": { "no_consent": state("no_consent") },
        "created_at": job.created_at.to_string(),
        "link": link,
    })
}
