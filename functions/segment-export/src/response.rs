//! What the function answers.

use crate::export::{Counts, State};
use crate::mark::Mark;
use crate::output::Output;
use adapters::jobs::Job;
use domain::export::{Asked, Contents, Reason, Since, Spec};
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

/// Gives how many people in the segment were left out, by reason.
#[must_use]
pub(crate) fn left_out(counts: &Counts) -> Value {
    let of = |reason: &Reason| counts.left_out.get(reason).copied().unwrap_or(0);
    Reason::LEFT_OUT.iter().map(|reason| (reason.as_str().to_owned(), json!(of(reason)))).collect()
}

/// Gives what stands beside a file: all that somebody needs who has nothing but the two.
pub(crate) fn manifest(id: &str, asked: &Asked, state: &State, output: &Output) -> Value {
    let Counts { added, changed, removed, replaced, .. } = state.counts;
    let Asked { segment, playbook_version, spec, scheduled } = asked;
    let changes = spec.since == Since::Last;
    let finished_at = state.finished_at.unwrap_or(state.started_at);
    json!({
        "export_id": id,
        "file": output.name,
        "holds": output.role.as_str(),
        "rows": output.rows,
        "bytes": output.bytes,
        "sha256": output.sha256(),
        "format": spec.format.as_str(),
        "columns": output.role.header(spec),
        "target": asked.target(),
        "segment_id": segment,
        "preset": preset(spec),
        "purpose": spec.purpose.as_str(),
        "playbook_version": playbook_version,
        "scheduled": scheduled,
        "since": state.base.as_ref().map(Mark::shown),
        "changes": changes.then(|| json!({
            "added": added, "changed": changed, "removed": removed, "replaced": replaced,
        })),
        "left_out": left_out(&state.counts),
        "started_at": state.started_at.to_string(),
        "finished_at": finished_at.to_string(),
    })
}

fn preset(spec: &Spec) -> Option<&'static str> {
    match &spec.contents {
        Contents::Audience(destination) => Some(destination.as_str()),
        Contents::Columns(_) => None,
    }
}

/// A file of an export that is done, with links to it and to what stands beside it.
#[derive(Debug)]
pub struct Linked {
    /// Works for 15 minutes.
    pub link: String,
    /// Works for 15 minutes.
    pub manifest_link: String,
    /// The manifest.
    pub manifest: Value,
}

/// Gives how far an export is.
#[must_use]
pub fn export(job: &Job, files: &[Linked]) -> Value {
    let asked = |key: &str| job.request.get(key).cloned().unwrap_or_default();
    let state = |key: &str| job.state.get(key).cloned();
    let of_manifest = |key: &str| files.first().and_then(|file| file.manifest.get(key).cloned());
    json!({
        "export_id": job.id(),
        "status": job.status.as_str(),
        "target": Asked::from_json(&job.request).map(|asked| asked.target()),
        "segment_id": asked("segment"),
        "playbook_version": asked("playbook_version"),
        "format": asked("format"),
        "purpose": asked("purpose"),
        "columns": asked("columns"),
        "preset": asked("preset"),
        "scheduled": asked("scheduled"),
        "changes_since": of_manifest("since"),
        "changes": of_manifest("changes"),
        "rows": state("rows").unwrap_or_else(|| json!(0)),
        "left_out": state("left_out").unwrap_or_else(|| left_out(&Counts::default())),
        "created_at": job.created_at.to_string(),
        "finished_at": state("finished_at"),
        "link": files.first().map(|file| &file.link),
        "files": files.iter().map(|file| json!({
            "link": file.link, "manifest_link": file.manifest_link, "manifest": file.manifest,
        })).collect::<Vec<_>>(),
    })
}
