//! Who gets a real prospect, and what somebody has who leaves.

use crate::{App, request};
use adapters::http::auth::SalesOnly;
use adapters::http::{self, Caller, JsonBody, Problem};
use adapters::jobs::{Job, JobKind, JobStatus};
use adapters::people::note;
use adapters::routing::Given;
use adapters::wire;
use adapters::write_path::Recorded;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::identity::Slug;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a caller waits for leads to be given away; the tick goes on with what is left.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Gives a lead that waits for somebody of its pool to them, at once. Where that fails the fact is recorded all the same,
/// and the tick finds the lead.
pub(crate) async fn given(app: &App, recorded: Recorded) -> Recorded {
    if recorded.lead.to_assign.is_none() {
        return recorded;
    }
    match app.assigner.to_pool(&recorded.lead.id).await {
        Ok(Given::To(lead)) => Recorded { lead: *lead, ..recorded },
        Ok(Given::Waits | Given::Nothing) => recorded,
        Err(error) => {
            tracing::error!(lead = recorded.lead.id.as_str(), error = %error, "a lead waits for its pool");
            recorded
        }
    }
}

/// Gives every lead in somebody's inbox to others. Roles: sales, admin.
///
/// To `to`, or without it by the playbook: real prospects to their territory's pool, others to its qualifier or who answers
/// for them. Each says why in its timeline. Who leaves should have `left_at` in their record first, so that nothing new
/// comes to them. Answers at once where that ends soon, and else with 202 and a job, which `GET /v1/jobs/{job}` shows; the
/// same request goes on with the same job while it is not done.
#[utoipa::path(post, path = "/v1/people/{person_id}/reassign", tag = "people", security(("token" = ["sales"])),
    params(("person_id" = String, Path, description = "Whose leads")),
    request_body(content = Value, content_type = "application/json", example = json!({"to": "de-1"})),
    responses((status = 200, description = "The job, done: how many leads `moved`, and how many `stayed`, since nobody else can have them now"),
        (status = 202, description = "The job"), (status = 422, description = "Every fault")))]
pub(crate) async fn reassign(
    State(app): State<App>,
    _: Caller<SalesOnly>,
    Path(person): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let from = Slug::parse(&person).map_err(|error| Problem::fault("/person_id", error.to_string()))?;
    let leaving = request::leaving(&body, from)?;
    if let Some(to) = &leaving.to {
        let playbook = app.playbooks.active().await?.playbook;
        if app.playbooks.people(&playbook).await?.get(to).has_left(app.clock.now()) {
            return Err(Problem::fault("/to", "left the company; expected somebody who is there"));
        }
        note(app.catalog.as_ref(), to).await?;
    }
    let asked = leaving.to_json();
    let job = match open(&app, &asked).await? {
        Some(job) => job,
        None => {
            let id = format!("reassign-{}-{}", leaving.from, app.clock.now().millis());
            app.jobs.add(&id, JobKind::Reassign, &asked).await?
        }
    };
    let worked = app.assigner.work(&app.jobs, job.id(), Instant::now() + ANSWER_WITHIN).await?;
    let job = worked.unwrap_or(job);
    let status = if job.status == JobStatus::Done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(http::json(status, &wire::job_json(&job)))
}

/// Finds the job that does what is asked already.
async fn open(app: &App, asked: &Value) -> Result<Option<Job>, Problem> {
    let open = |job: &Job| matches!(job.status, JobStatus::Waiting | JobStatus::Running);
    let mut jobs = app.jobs.list().await?.into_iter();
    Ok(jobs.find(|job| job.kind == JobKind::Reassign && open(job) && job.request == *asked))
}
