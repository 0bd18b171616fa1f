//! Score quality: how well the active version told winners from losers, month by month, and whether that drifts.

use crate::request::{self, SpanAsked, SpanQuery};
use crate::walk::{Stand, Story, Study, page, stand_of, walk};
use crate::{App, response, run_job, timely, version_of};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::{Job, JobKind};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::response::Response;
use learning::quality::{Quality, Report, Tallies};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Tells how good the active version's score was: by month the area under the curve, sales' acceptance and the win rate of
/// each label; whether they drift; and which rules decided the leads that sales rejected, with the reasons. Roles:
/// marketing, sales, admin.
///
/// A lead belongs to the month of its first hand-off, else of the day on which it first was ready, else of its thirtieth
/// day. A rule decided a lead that would not have been ready without it. Drift is the mean absolute difference, weighted by
/// leads, of each label's rate in the latest whole month to that of the months before; `alarm` says that it is more than
/// chance. A report that takes longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/score-quality", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(SpanQuery),
    responses((status = 200, description = "The months, the drift, and the rules behind rejected leads"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn score_quality(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<SpanQuery>,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::span("score-quality", &query, &zone)?;
    match timely(&app, &asked, report(&app, &asked)).await? {
        Ok(report) => Ok(response::whole(&report)),
        Err(job) => Ok(response::later(&job)),
    }
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let active = app.playbooks.active().await?;
    let (selection, now) = (SpanAsked::selection(asked), app.clock.now());
    let quality = Quality::new(&active.playbook, now);
    let (mut tallies, mut stand) = (Tallies::default(), Stand::default());
    while !stand.done {
        for Story { lead, facts, .. } in page(app, &selection, &mut stand, now).await? {
            quality.add(&mut tallies, &lead, &facts);
        }
    }
    Ok(written(&quality, &tallies, active.number))
}

fn written(quality: &Quality, tallies: &Tallies, version: u32) -> Value {
    let mut report = Report { quality, tallies }.to_json();
    if let Some(map) = report.as_object_mut() {
        map.insert("playbook_version".to_owned(), json!(version));
    }
    report
}

/// What is counted on the walk of a job.
struct Counted<'a> {
    quality: &'a Quality,
    tallies: Tallies,
    version: u32,
}

impl Study for Counted<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.quality.add(&mut self.tallies, lead, facts);
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({
            "walk": stand, "tallies": self.tallies.to_json(), "version": self.version,
            "progress": { "leads": stand.leads },
        })
    }
}

/// Works on the report as a job; `false` where time is over before its end.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
    let version = version_of(app, job).await?;
    let quality = Quality::new(app.playbooks.version(version).await?.as_ref(), job.created_at);
    let tallies = job.state.get("tallies").and_then(Tallies::from_json).unwrap_or_default();
    let mut counted = Counted { quality: &quality, tallies, version };
    let mut stand = stand_of(&job.state, "walk");
    let selection = SpanAsked::selection(&job.request);
    if !walk(app, job, &selection, &mut stand, until, &mut counted).await? {
        return Ok(false);
    }
    let report = written(&quality, &counted.tallies, version);
    if job.request.get("watch") == Some(&Value::Bool(true)) {
        watched(&report);
    }
    app.jobs.finish(job, report).await?;
    Ok(true)
}

/// Says whether the score drifts, for the log's metric. What drifts is a warning, so that it is logged at any level that
/// logs warnings.
fn watched(report: &Value) {
    let drift = |name: &str| report.pointer(&format!("/drift/{name}/value")).and_then(Value::as_f64);
    let (win_rate, acceptance) = (drift("win_rate"), drift("acceptance"));
    if report.get("alarm") == Some(&Value::Bool(true)) {
        tracing::warn!(
            score_drift = 1,
            win_rate_drift = win_rate,
            acceptance_drift = acceptance,
            "the score drifts: labels no longer mean what they meant"
        );
    } else {
        tracing::info!(
            score_drift = 0,
            win_rate_drift = win_rate,
            acceptance_drift = acceptance,
            "the score was looked at and does not drift"
        );
    }
}

/// Looks at the score's quality for whoever watches: a job, once a day however often it is asked for, so that a base of any
/// size is looked at to its end.
///
/// # Errors
///
/// [`StoreError`]; the next look goes on.
pub async fn watch(app: &App) -> Result<Value, StoreError> {
    let id = format!("report-score-quality-{}", app.clock.now().day());
    app.jobs.add(&id, JobKind::Report, &json!({ "report": "score-quality", "watch": true })).await?;
    run_job(app, &id).await?;
    Ok(json!({ "job": id }))
}
