//! What the function answers.

use adapters::erasure::Left;
use adapters::http::Problem;
use adapters::jobs::Job;
use adapters::ports::StoreError;
use adapters::wire;
use adapters::write_path::Recorded;
use domain::change::Outcome;
use serde_json::{Value, json};

/// Gives what became of each fact, with the lead's new score.
#[must_use]
pub fn recorded(recorded: &Recorded) -> Vec<Value> {
    let lead = &recorded.lead;
    recorded
        .outcomes
        .iter()
        .map(|outcome| {
            json!({
                "status": wire::status(outcome),
                "lead_id": lead.id.as_str(),
                "stage": lead.stage.as_str(),
                "owner": wire::owner_json(lead),
                "score": wire::score_json(&lead.score),
            })
        })
        .collect()
}

/// Gives what became of a lead that was logged by hand, and of what was reported with it.
#[must_use]
pub fn logged(recorded: &Recorded) -> Value {
    let created = |outcome: &Outcome| matches!(outcome, Outcome::Created { .. });
    let status = match recorded.outcomes.last() {
        _ if recorded.outcomes.iter().any(created) => "created",
        Some(outcome) => wire::status(outcome),
        None => "unchanged",
    };
    let report = |outcome: &Outcome| match outcome {
        Outcome::Created { entry } | Outcome::Updated { entry } => {
            json!({ "status": "updated", "fact_id": entry })
        }
        _ => json!({ "status": "unchanged", "fact_id": null }),
    };
    let reports = recorded.outcomes.iter().rev().skip(1).rev().map(report);
    json!({
        "status": status,
        "lead_id": recorded.lead.id.as_str(),
        "stage": recorded.lead.stage.as_str(),
        "owner": wire::owner_json(&recorded.lead),
        "score": wire::score_json(&recorded.lead.score),
        "feedback": reports.collect::<Vec<_>>(),
    })
}

/// Gives an item that was not stored, with why.
#[must_use]
pub fn rejected(problem: &Problem) -> Value {
    json!({ "status": "rejected", "problem": problem.to_json() })
}

/// Gives the results of a batch.
#[must_use]
pub fn results(results: Vec<Value>) -> Value {
    json!({ "results": results })
}

/// Gives how far a lead is forgotten.
///
/// # Errors
///
/// [`StoreError::Damaged`].
pub fn erased(job: &Job) -> Result<Value, StoreError> {
    let left = Left::by(job)?;
    let external_ids: Vec<Value> =
        left.external_ids.iter().map(|id| json!({ "system": id.system(), "id": id.id() })).collect();
    Ok(json!({
        "lead_id": left.lead.as_str(),
        "job": job.id(),
        "status": job.status.as_str(),
        "external_ids": external_ids,
    }))
}

/// Gives a lead's consents.
#[must_use]
pub fn consents(recorded: &Recorded) -> Value {
    let status = recorded.outcomes.first().map_or("unchanged", wire::status);
    json!({
        "status": status,
        "lead_id": recorded.lead.id.as_str(),
        "consent": wire::consents_json(&recorded.lead.consents),
    })
}
