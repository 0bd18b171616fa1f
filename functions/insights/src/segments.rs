//! The segments report: who was in which segment, what became of them, and which segmentation works best.
//!
//! Whose revenue a deal is can be said only of all leads together, and memory is no place for a job to go on from. So each
//! call that works on the report first reads the leads without their timelines, which takes a fraction of the time, and
//! then goes on with the walk where the last one stopped.

use crate::request::{self, SegmentsAsked, SegmentsQuery};
use crate::walk::{Selection, Stand, Story, Study, page, stand_of, walk};
use crate::{App, alive, response, timely};
use adapters::attributes::known_at_capture;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::Job;
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use learning::segments::{Counter, Ground, Question, Report, Tallies};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Tells of each segment, by month, week or day, how many members it had and how many came and left; which labels they have
/// now; and what became of the leads that were in it before anything was decided: handed off, accepted, won, lost, revenue,
/// days to win. Compares segmentations by how well each tells won from lost. Roles: marketing, sales, admin.
///
/// Members, `entered` and `left` are what was recorded in those days. The `cohort` of a segment are the leads that were in it
/// at some moment of the time before their first hand-off or, where there was none, before sales first touched them, by the
/// active playbook; `win_rate` = won / (won + lost) with Wilson's 95 % interval; a deal's revenue counts once, for the lead
/// that came first. `compare` gives the information value of each segmentation, what chance alone would give, and where what
/// lies beyond it is with 95 % confidence; `answer` says which works best, or that it cannot be said. A report that takes
/// longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/segments", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(SegmentsQuery),
    responses((status = 200, description = "The segments and what was compared; CSV with `Accept: text/csv`, a line for each segment"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn segments(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<SegmentsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let active = app.playbooks.active().await?;
    let declared = known_at_capture(app.catalog.as_ref()).await?;
    let asked = request::segments(&query, &active, declared, app.clock.now())?;
    match timely(&app, &asked.to_json(), report(&app, &asked)).await? {
        Ok(report) if request::wants_csv(&headers) => response::segments_csv(&report),
        Ok(report) => Ok(response::whole(&report)),
        Err(job) => Ok(response::later(&job)),
    }
}

fn damaged(asked: &SegmentsAsked) -> StoreError {
    StoreError::Damaged(format!("the question {}", asked.to_json()))
}

/// Reads all leads for what has to be known before, and names the groups.
async fn ground(app: &App, question: &Question<'_>) -> Result<(Ground, Vec<Vec<String>>), StoreError> {
    let (mut ground, mut cursor) = (Ground::default(), None);
    loop {
        let page = app.lists.scan(0, 1, cursor.as_deref()).await?;
        page.items.iter().for_each(|lead| ground.add(question, lead));
        cursor = page.next;
        if cursor.is_none() {
            let groups = ground.finish(question);
            return Ok((ground, groups));
        }
    }
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
async fn report(app: &App, asked: &SegmentsAsked) -> Result<Value, StoreError> {
    let (playbook, now) = (app.playbooks.version(asked.version).await?, app.clock.now());
    let question = asked.question(&playbook, now).ok_or_else(|| damaged(asked))?;
    let (ground, groups) = ground(app, &question).await?;
    let counter = Counter { question: &question, ground: &ground, groups: &groups };
    let (mut tallies, mut stand) = (Tallies::default(), Stand::default());
    while !stand.done {
        for Story { lead, facts, moves } in page(app, &Selection::default(), &mut stand, now).await? {
            counter.add(&mut tallies, &lead, &facts, &moves);
        }
    }
    let counted = Report { question: &question, groups: &groups, tallies: &tallies }.to_json();
    Ok(response::segments(asked, counted, &question.bounds))
}

/// What is counted on the walk of a job.
struct Walked<'a> {
    counter: Counter<'a>,
    tallies: Tallies,
}

impl Study for Walked<'_> {
    fn add(&mut self, Story { lead, facts, moves }: &Story) {
        self.counter.add(&mut self.tallies, lead, facts, moves);
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({
            "walk": stand, "tallies": self.tallies.to_json(), "groups": self.counter.groups,
            "progress": { "leads": stand.leads },
        })
    }
}

/// Works on the report as a job; `false` where time is over before its end.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
    let asked = SegmentsAsked::from_json(&job.request);
    let asked = asked.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let (playbook, now) = (app.playbooks.version(asked.version).await?, job.created_at);
    let question = asked.question(&playbook, now).ok_or_else(|| damaged(&asked))?;
    let (ground, named) = alive(app, job, ground(app, &question)).await?;
    // The groups of the first call, since what was counted speaks of those.
    let kept = job.state.get("groups").and_then(|groups| serde_json::from_value(groups.clone()).ok());
    let groups: Vec<Vec<String>> = kept.unwrap_or(named);
    let tallies = job.state.get("tallies").and_then(Tallies::from_json).unwrap_or_default();
    let counter = Counter { question: &question, ground: &ground, groups: &groups };
    let mut walked = Walked { counter, tallies };
    let mut stand = stand_of(&job.state, "walk");
    if !walk(app, job, &Selection::default(), &mut stand, until, &mut walked).await? {
        return Ok(false);
    }
    let counted = Report { question: &question, groups: &groups, tallies: &walked.tallies }.to_json();
    let report = response::segments(&asked, counted, &question.bounds);
    app.jobs.finish(job, report).await?;
    Ok(true)
}
