//! What goes out: versions, differences, jobs, people.

use adapters::jobs::{Job, sweep_progress};
use adapters::playbooks::{Stored, sign_off_json};
use adapters::ports::Record;
use domain::agreement::Status;
use domain::playbook::diff::{Agree, Difference};
use serde_json::{Value, json};

/// Gives a version, as lists have it.
#[must_use]
pub fn version(stored: &Stored, active: Option<u32>) -> Value {
    let status = match stored.agreement.status {
        _ if active == Some(stored.number) => Status::Active,
        Status::Active => Status::Retired,
        other => other,
    };
    json!({
        "version": stored.number,
        "status": status.as_str(),
        "name": stored.document.get("name"),
        "author": stored.author,
        "created_at": stored.created_at.to_string(),
        "comment": stored.comment,
        "sha256": stored.hash,
        "sign_offs": stored.agreement.sign_offs.iter().map(sign_off_json).collect::<Vec<_>>(),
        "history": stored.history,
    })
}

/// Gives a version with its document, with the teams whose sign-off it needs against the active one, and with how far
/// its sweep has come.
#[must_use]
pub fn whole_version(stored: &Stored, active: Option<u32>, agree: Agree, sweep: Option<&Job>) -> Value {
    let mut json = version(stored, active);
    if let Some(map) = json.as_object_mut() {
        let live = map.get("status").and_then(Value::as_str) == Some(Status::Active.as_str());
        map.insert("needs".to_owned(), if live { json!([]) } else { json!(teams(agree)) });
        map.insert("sweep".to_owned(), sweep.map_or(Value::Null, sweep_progress));
        map.insert("document".to_owned(), stored.document.clone());
    }
    json
}

const fn teams(agree: Agree) -> &'static [&'static str] {
    match agree {
        Agree::Both => &["marketing", "sales"],
        Agree::Marketing => &["marketing"],
    }
}

/// Gives what changed between two versions, grouped by who has to agree.
#[must_use]
pub fn differences(from: Option<u32>, to: u32, agree: Agree, differences: &[Difference]) -> Value {
    let of = |wanted: Agree| -> Vec<Value> {
        let those = differences.iter().filter(|difference| difference.agree == wanted);
        those.map(|d| json!({ "section": d.section, "text": d.text })).collect()
    };
    json!({
        "from": from,
        "to": to,
        "needs": if from == Some(to) { &[] } else { teams(agree) },
        "both": of(Agree::Both),
        "marketing": of(Agree::Marketing),
    })
}

/// Gives the figures of a backtest that stay with a signature: none of any lead.
#[must_use]
pub fn shown(job: &Job) -> Value {
    let figure = |name: &str| job.state.get(name).cloned().unwrap_or_default();
    let moments = job.state.pointer("/tested/moments").and_then(Value::as_object).into_iter().flatten();
    let auc = moments.map(|(name, moment)| (name.clone(), moment.get("auc").cloned().unwrap_or_default()));
    json!({
        "job": job.id(),
        "as_of": figure("as_of"),
        "request": job.request,
        "declared": figure("declared"),
        "leads": figure("leads"),
        "wins": figure("wins"),
        "losses": figure("losses"),
        "auc": auc.collect::<serde_json::Map<_, _>>(),
        "line": job.state.pointer("/tested/moments/first_crossing/line"),
        "caution": figure("caution"),
    })
}

/// Gives what was declared about an attribute.
#[must_use]
pub fn attribute(name: &str, body: &Value) -> Value {
    let mut json = body.clone();
    if let Some(map) = json.as_object_mut() {
        map.insert("name".to_owned(), name.into());
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

/// Gives a campaign.
#[must_use]
pub fn campaign(record: &Record) -> Value {
    let mut json = record.body.clone();
    if let Some(map) = json.as_object_mut() {
        map.insert("id".to_owned(), record.id.clone().into());
    }
    json
}
