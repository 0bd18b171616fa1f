//! The backtest: what a playbook would have done on leads whose outcome is known.
//!
//! A job over all leads with their timelines, twice: first to learn since when each value was known, then to judge
//! ([`learning::backtest`]). What it keeps are counts, so it goes on from the last page wherever it stopped.

use crate::request::{self, BacktestAsked};
use crate::walk::{Stand, Story, Study, stand_of, walk};
use crate::{App, begin};
use adapters::attributes::known_at_capture;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{BodyBytes, Caller, Problem};
use adapters::jobs::{Job, JobKind};
use adapters::ports::StoreError;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::attribute::AttributeName;
use domain::change::Fact;
use domain::time::Timestamp;
use learning::backtest::{Backtest, Known, Past, Report, Tallies};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Tells what a version would have done on leads whose outcome is known, beside the active one. Roles: marketing, sales,
/// admin.
///
/// Each lead is played again with only what was known then, and judged 0, 7 and 30 days after its capture and when it first
/// crosses the line, always before sales first touched it. Won within `horizon_days` (180) of that moment is a win; lost, or
/// the days gone by, is a loss; younger leads are censored. Attributes whose values are known only after sales' first
/// contact, or of which nobody says since when, are refused by name with the rules that rest on them; PUT
/// /v1/attributes/{name} declares one known at capture. Areas under the curve come with DeLong's 95 % interval, rates with
/// Wilson's. What takes longer than 20 seconds is answered with 202: GET /v1/jobs/{job_id} tells how far it is and has the
/// result.
#[utoipa::path(post, path = "/v1/playbooks/{version}/backtest", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = u32, Path, description = "The version's number"),
        ("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the request")),
    request_body(content = Option<serde_json::Value>, content_type = "application/json", example = json!({"from": "2018-01-01",
        "to": "2018-04-01", "where": {"attribute": "country", "in": ["AT", "DE"]}, "horizon_days": 180})),
    responses((status = 200, description = "The job with its `result`"), (status = 202, description = "The job; it goes on"),
        (status = 404, description = "No such version"), (status = 422, description = "Every fault")))]
pub(crate) async fn backtest(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(version): Path<String>,
    headers: HeaderMap,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("no such version; GET /v1/playbooks lists them");
    let number = version.parse().map_err(|_| missing())?;
    let stored = app.playbooks.stored(number).await?.ok_or_else(missing)?;
    let active = app.playbooks.active().await?;
    // As they stand now: what is declared while the job runs must not come between its passes.
    let declared = known_at_capture(app.catalog.as_ref()).await?;
    let asked = request::backtest(&bytes, &stored, &active, &declared)?;
    let id = request::job_id("backtest", caller.name(), &headers, &asked, app.clock.now());
    begin(&app, &id, JobKind::Backtest, &asked).await
}

/// The first pass: since when each attribute's values were known.
pub(crate) struct FirstPass {
    pub(crate) known: Known,
    pub(crate) declared: BTreeSet<AttributeName>,
    pub(crate) now: Timestamp,
    pub(crate) seen: Seen,
}

/// What the first pass sees besides.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// The leads that can be judged.
    pub(crate) judged: u64,
    /// When the first and the last of them were captured, in milliseconds.
    pub(crate) span: Option<(i64, i64)>,
    /// For each attribute that was declared, the leads whose first value came when sales had touched them.
    late: BTreeMap<String, u64>,
}

impl Study for FirstPass {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.known.add(lead, facts, &self.declared, self.now);
        let Ok(past) = Past::of(lead, facts, self.now) else { return };
        self.seen.judged += 1;
        let at = past.captured.millis();
        self.seen.span = Some(self.seen.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        let mut first: BTreeMap<&AttributeName, Timestamp> = BTreeMap::new();
        for fact in facts {
            let Fact::Captured(capture) = &fact.fact else { continue };
            for name in capture.attributes.keys().filter(|name| self.declared.contains(*name)) {
                let known = first.entry(name).or_insert(fact.occurred_at);
                *known = (*known).min(fact.occurred_at);
            }
        }
        for (name, _) in first.into_iter().filter(|(_, at)| *at > past.last) {
            *self.seen.late.entry(name.as_str().to_owned()).or_default() += 1;
        }
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({
            "first": stand, "known": self.known.to_json(), "seen": self.seen,
            "progress": { "pass": 1, "leads": stand.leads },
        })
    }
}

impl FirstPass {
    /// Goes on with the first pass of a job; none where time is over before its end.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub(crate) async fn go_on(
        app: &App,
        job: &mut Job,
        selection: &crate::walk::Selection,
        until: Instant,
    ) -> Result<Option<Self>, StoreError> {
        let declared = request::declared(&job.request);
        let seen = job.state.get("seen").and_then(|seen| serde_json::from_value(seen.clone()).ok());
        let known = job.state.get("known").and_then(Known::from_json).unwrap_or_default();
        let mut pass = Self { known, declared, now: job.created_at, seen: seen.unwrap_or_default() };
        let mut stand: Stand = stand_of(&job.state, "first");
        let done = walk(app, job, selection, &mut stand, until, &mut pass).await?;
        Ok(done.then_some(pass))
    }

    /// Says what has to be known of the answer besides: who vouches for what, and by what leads were chosen.
    pub(crate) fn cautions(&self, asked: &Value) -> Vec<String> {
        let vouched =
            self.declared.iter().filter(|name| self.known.iter().any(|(known, _)| known == name.as_str()));
        let vouched: Vec<String> = vouched.map(|name| format!("`{name}`")).collect();
        let vouched = (!vouched.is_empty())
            .then(|| format!("somebody vouches that these were known at capture: {}", vouched.join(", ")));
        let late = self.seen.late.iter().map(|(name, leads)| {
            format!("`{name}` was declared known at capture, and came only after sales' first contact in {leads} leads")
        });
        let chosen = asked.get("where").filter(|condition| !condition.is_null()).map(|_| {
            "the leads were chosen by what is known of them today, which may have come with their outcome"
                .to_owned()
        });
        vouched.into_iter().chain(late).chain(chosen).collect()
    }
}

/// The second pass: judging.
struct SecondPass<'a> {
    backtest: &'a Backtest,
    tallies: Tallies,
    /// What the first pass found, kept beside.
    first: Value,
}

impl Study for SecondPass<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.backtest.add(&mut self.tallies, lead, facts);
    }

    fn save(&self, stand: &Stand) -> Value {
        let mut state = self.first.clone();
        if let Some(map) = state.as_object_mut() {
            map.insert("second".to_owned(), json!(stand));
            map.insert("tallies".to_owned(), self.tallies.to_json());
            map.insert("progress".to_owned(), json!({ "pass": 2, "leads": stand.leads }));
        }
        state
    }
}

/// Works on a backtest; `false` where time is over before its end.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
    let damaged = || StoreError::Damaged(format!("job {}", job.id()));
    let asked = BacktestAsked::from_json(&job.request).ok_or_else(damaged)?;
    let tested = app.playbooks.version(asked.version).await?;
    // The version that was active when it was asked, also where another one went live meanwhile.
    let active = app.playbooks.version(asked.active).await?;
    let selection = asked.selection(&active).ok_or_else(damaged)?;
    let Some(first) = FirstPass::go_on(app, job, &selection, until).await? else { return Ok(false) };
    let beside = (asked.active != asked.version).then_some(active.as_ref());
    let (cautions, vouched) = (first.cautions(&job.request), request::declared(&job.request));
    let FirstPass { known, declared, now, .. } = first;
    let backtest = Backtest::new(&tested, beside, known, declared, asked.horizon_days, now);
    let tallies = job.state.get("tallies").and_then(Tallies::from_json).unwrap_or_default();
    let mut second = SecondPass { backtest: &backtest, tallies, first: job.state.clone() };
    let mut stand = stand_of(&job.state, "second");
    if !walk(app, job, &selection, &mut stand, until, &mut second).await? {
        return Ok(false);
    }
    let mut result = Report { backtest: &backtest, tallies: &second.tallies }.to_json();
    if let Some(map) = result.as_object_mut() {
        map.insert("declared".to_owned(), vouched.iter().map(|name| Value::from(name.as_str())).collect());
        if let Some(said) = map.get_mut("caution").and_then(Value::as_array_mut) {
            said.extend(cautions.into_iter().map(Value::from));
        }
        map.insert("version".to_owned(), asked.version.into());
        map.insert("active_version".to_owned(), asked.active.into());
        map.insert("sha256".to_owned(), job.request.get("sha256").cloned().unwrap_or_default());
    }
    app.jobs.finish(job, result).await?;
    Ok(true)
}
