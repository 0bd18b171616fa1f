//! What each piece of content did: on request for any span, and once a day for whoever chooses content and for its trend.

use super::written;
use crate::kept::content::Did;
use crate::kept::{Night, finish};
use crate::request::{self, SpanAsked, SpanQuery};
use crate::walk::{Selection, Stand, Story, Study, page, stand_of, walk};
use crate::{App, response, run_job, timely, version_of};
use adapters::content::{contents, keep, results_from, results_json};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::{Job, JobKind};
use adapters::ports::{Put, StoreError};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::content::Content;
use domain::content::results::{Count, Results};
use domain::identity::Slug;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Tells what each piece of content did, in all and for each persona and phase that leads had when they first had it: sent,
/// opened, clicked, had otherwise, moved a phase, won. Roles: marketing, sales, admin.
///
/// A lead counts once per piece, in the span in which it first had it. `moved` are those in a further phase within 30 days, of
/// those `judged`, who had it 30 days ago or longer; `won` those won within a year, of those `decided`: won, lost, or a year
/// later. What only forms tell of (`told`) is had, and nobody is judged by it; where every mail came back (`bounced`) nothing was had.
/// Shares come with their 95 % interval. What is not in the catalog is counted in `unknown`. The report that takes
/// longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/content", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(SpanQuery),
    responses((status = 200, description = "A row for each piece; CSV with `Accept: text/csv`"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn content(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<SpanQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::span("content", &query, &zone)?;
    let found = match timely(&app, &asked, report(&app, &asked)).await? {
        Ok(found) => found,
        Err(job) => return Ok(response::later(&job)),
    };
    let results = found.get("results").and_then(results_from).ok_or_else(Problem::internal)?;
    let whole = written::results(&asked, &found, &results, &contents(app.catalog.as_ref()).await?);
    if request::wants_csv(&headers) {
        let rows = written::listed(&whole, "rows");
        let rows = rows.flat_map(|row| std::iter::once(row).chain(written::listed(row, "cells")));
        return written::csv(rows, written::RESULT_COLUMNS);
    }
    Ok(response::whole(&whole))
}

/// Gives the ids of the pieces in a catalog.
fn ids(catalog: &[Content]) -> BTreeSet<Slug> {
    catalog.iter().map(|content| content.id.clone()).collect()
}

fn found(results: &Results, version: u32, as_of: domain::time::Timestamp) -> Value {
    json!({ "results": results_json(results), "playbook_version": version, "as_of": as_of.to_string() })
}

/// Counts, while somebody waits.
async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let active = app.playbooks.active().await?;
    let known = ids(&contents(app.catalog.as_ref()).await?);
    let (span, now) = (SpanAsked::selection(asked), app.clock.now());
    let count = Count { playbook: &active.playbook, known: &known, from: span.from, to: span.to, now };
    let (mut results, mut stand) = (Results::default(), Stand::default());
    while !stand.done {
        for Story { lead, facts, .. } in page(app, &Selection::default(), &mut stand, now).await? {
            count.add(&mut results, &lead, &facts);
        }
    }
    Ok(found(&results, active.number, now))
}

/// What is counted on the walk of a job.
struct Counted<'a> {
    count: Count<'a>,
    results: Results,
    version: u32,
}

impl Study for Counted<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.count.add(&mut self.results, lead, facts);
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({
            "walk": stand, "results": results_json(&self.results), "version": self.version,
            "progress": { "leads": stand.leads },
        })
    }
}

/// Works on the report as a job; `false` where time is over before its end.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
    let version = version_of(app, job).await?;
    let playbook = app.playbooks.version(version).await?;
    let known = ids(&contents(app.catalog.as_ref()).await?);
    let (span, now) = (SpanAsked::selection(&job.request), job.created_at);
    let count = Count { playbook: &playbook, known: &known, from: span.from, to: span.to, now };
    let results = job.state.get("results").and_then(results_from).unwrap_or_default();
    let mut counted = Counted { count, results, version };
    let mut stand = stand_of(&job.state, "walk");
    if !walk(app, job, &Selection::default(), &mut stand, until, &mut counted).await? {
        return Ok(false);
    }
    let results = counted.results;
    if job.request.get("watch") == Some(&Value::Bool(true)) {
        keep(app.catalog.as_ref(), &results, now).await?;
    }
    // A day that is kept is kept with the job's end. Whoever dies before walks no further than from where it was noted last, and
    // keeps the same, as of when the job was made.
    let of_day: Vec<Put> =
        Night::asked(job, now).iter().map(|night| Did::keep(night, &results, version)).collect();
    finish(app, job, found(&results, version, now), &of_day).await?;
    Ok(true)
}

/// Counts what content did, for whoever chooses it and for its trend: a job, once a day however often it is asked for.
///
/// # Errors
///
/// [`StoreError`]; the next call goes on.
pub async fn watch(app: &App) -> Result<Value, StoreError> {
    let night = Night::last(app).await?;
    let id = format!("report-content-of-{}", night.day);
    let asked = night.ask(json!({ "report": "content", "watch": true }));
    app.jobs.add(&id, JobKind::Report, &asked).await?;
    run_job(app, &id).await?;
    Ok(json!({ "job": id }))
}
