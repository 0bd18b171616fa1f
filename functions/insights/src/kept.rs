//! Figures kept by date: once a day one walk over all leads counts what reports count, and keeps it, so that how a figure
//! went over months is read and not counted again.
//!
//! Two bases answer two questions, and only one of them can be asked later. What *happened* on a day can nearly be counted at
//! any time (feedback that comes late moves it); how *all* leads stood after it can not. Both are kept as they were known in
//! the night, with the time at which they were counted.
//!
//! # Killed at any step, run twice
//!
//! The day's work is one job, whose id is the day. It reads, and at its end writes everything that is kept together with its
//! being done, in one transaction: so there is all of a day or nothing, once. What dies before begins anew, by the
//! retries of the schedule or the tick that looks after jobs. It notes nothing on its way, since it reads leads only and
//! no timelines: a call lasts long enough for a table of any size in reach (docs/performance.md), while what is counted,
//! every won deal among it, would not fit into a job.
//!
//! # To count something else, too
//!
//! A [`Tally`] sees every lead once and says what is to be kept: write one, and add it to `tallies`. All that is kept in
//! one night has to fit into a transaction of 100 records and 4 MB.

use crate::campaigns::Counted;
use crate::funnel::figures::Figures;
use crate::request::{self, CampaignsAsked, FunnelAsked, TrendAsked, TrendQuery};
use crate::response;
use crate::walk::every_lead;
use crate::{App, alive, in_time, run_job};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::{Job, JobKind};
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::campaign::Campaign;
use domain::condition::TouchField;
use domain::funnel::{self, Funnel, GroupBy};
use domain::lead::Lead;
use domain::report::{self, Basis};
use domain::similar::LatestWon;
use domain::time::{DAY_MS, Day, Timestamp};
use futures::{StreamExt, TryStreamExt};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many rows of a report are kept, those with most leads; those of the funnel beyond are counted together.
const MOST_ROWS: usize = 25;
/// For how long figures are kept, in milliseconds: three years and a bit.
const KEEP_MS: i64 = 1_100 * DAY_MS;
/// How many months are read beside each other.
const BESIDE: usize = 4;

/// The day that is counted.
#[derive(Clone, Debug)]
pub struct Night {
    /// The day.
    pub day: Day,
    /// The time zone in which it is one.
    pub zone: TimeZone,
    /// When it is counted.
    pub now: Timestamp,
}

impl Night {
    /// Gives the first moment of the day, and that of the next.
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.day.midnight_in(&self.zone), self.day.plus(1).midnight_in(&self.zone))
    }

    /// Gives the two questions of each report: what happened on the day, and how all leads stand.
    fn questions(&self) -> [(Basis, Option<Timestamp>, Option<Timestamp>); 2] {
        let (from, to) = self.span();
        [(Basis::Period, Some(from), Some(to)), (Basis::Cohort, None, None)]
    }

    /// Makes a record that is kept of this day under a name.
    #[must_use]
    pub fn keep(&self, name: &str, body: Value) -> Put {
        let record = Record {
            kind: CatalogKind::Report,
            id: format!("{name}#{}", self.day),
            version: 1,
            body,
            expires_at: Some(self.now.plus(KEEP_MS)),
        };
        // Whoever ends the day's job writes what is kept of the day; there is no other word on it.
        Put { record, force: true }
    }
}

/// What is counted of every lead in the night, and kept.
pub trait Tally: Send {
    /// Counts a lead, as it is now.
    fn add(&mut self, lead: &Lead);
    /// Gives what is kept of it.
    fn finish(self: Box<Self>, night: &Night) -> Vec<Put>;
}

/// Gives all that is counted in a night.
async fn tallies(app: &App, night: &Night) -> Result<Vec<Box<dyn Tally>>, StoreError> {
    let touched = Touched::new(app, night).await?;
    Ok(vec![Box::new(Funnels::new(night)), Box::new(touched), Box::<LatestWonLeads>::default()])
}

/// What is kept of a report under which name.
fn name(report: &str, group_by: &str, basis: &str) -> String {
    format!("{report}.{group_by}.{basis}")
}

/// The funnel by each of its groups.
struct Funnels(Vec<(FunnelAsked, Funnel)>);

impl Funnels {
    fn new(night: &Night) -> Self {
        let asked = |group_by: GroupBy| {
            night.questions().map(|(basis, from, to)| {
                let zone = night.zone.clone();
                FunnelAsked::new(funnel::Question { group_by, basis, from, to, zone })
            })
        };
        let all = GroupBy::WORDS.iter().flat_map(|(_, group_by)| asked(*group_by));
        Self(all.map(|asked| (asked, Funnel::default())).collect())
    }
}

impl Tally for Funnels {
    fn add(&mut self, lead: &Lead) {
        let Some(row) = funnel::Row::of(lead) else { return };
        self.0.iter_mut().for_each(|(asked, funnel)| funnel.add(&asked.question, &row));
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let kept = self.0.into_iter().map(|(asked, funnel)| {
            let figures = Figures::of(funnel, MOST_ROWS, night.now);
            night.keep(&name("funnel", asked.group_by, asked.basis), figures.to_json())
        });
        kept.collect()
    }
}

/// The campaigns report by each field of a touch.
struct Touched {
    declared: BTreeMap<String, Campaign>,
    all: Vec<(CampaignsAsked, Counted)>,
}

impl Touched {
    async fn new(app: &App, night: &Night) -> Result<Self, StoreError> {
        let tz = night.zone.iana_name().unwrap_or("UTC");
        let asked = |group_by: TouchField| {
            night.questions().map(|(basis, from, to)| {
                let question = report::Question { group_by, basis, from, to };
                (CampaignsAsked::new(question, tz.to_owned()), Counted::default())
            })
        };
        let all = TouchField::WORDS.iter().flat_map(|(_, group_by)| asked(*group_by)).collect();
        Ok(Self { declared: adapters::campaigns::all(app.catalog.as_ref()).await?, all })
    }
}

impl Tally for Touched {
    fn add(&mut self, lead: &Lead) {
        let row = report::Row::of(lead);
        for (CampaignsAsked { question, .. }, counted) in &mut self.all {
            row.iter().for_each(|row| counted.campaigns.add(question, row));
            counted.members_of(question, &self.declared, lead);
        }
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        let kept = self.all.into_iter().map(|(asked, counted)| {
            let report = response::report(&asked, counted, &self.declared, night.now);
            let rows = report.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
            let left_out = rows.len().saturating_sub(MOST_ROWS);
            let rows: Vec<Value> = rows.into_iter().take(MOST_ROWS).collect();
            let body = json!({ "as_of": night.now.to_string(), "rows": rows, "rows_left_out": left_out });
            night.keep(&name("campaigns", asked.group_by, asked.basis), body)
        });
        kept.collect()
    }
}

/// The latest won leads and what they are like, for dossiers of leads that are alike. Of these only the latest night's
/// are kept.
#[derive(Default)]
struct LatestWonLeads(LatestWon);

impl Tally for LatestWonLeads {
    fn add(&mut self, lead: &Lead) {
        self.0.add(lead);
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        vec![adapters::won::put(&self.0, night.now)]
    }
}

/// Keeps the figures of the day before: a job, once a day however often it is asked for.
///
/// # Errors
///
/// [`StoreError`]; the next call goes on.
pub async fn keep(app: &App) -> Result<Value, StoreError> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let day = app.clock.now().day_in(&zone).plus(-1);
    let asked = json!({
        "report": "kept", "day": day.to_string(), "tz": zone.iana_name().unwrap_or("UTC"),
    });
    let id = format!("report-kept-{day}");
    app.jobs.add(&id, JobKind::Report, &asked).await?;
    run_job(app, &id).await?;
    Ok(json!({ "job": id }))
}

/// Works on the job of a day.
pub(crate) async fn work(app: &App, job: &mut Job) -> Result<(), StoreError> {
    let text = |name: &str| job.request.get(name).and_then(Value::as_str);
    let day = text("day").and_then(Day::parse);
    let zone = text("tz").and_then(|tz| TimeZone::get(tz).ok());
    let (day, zone) = day.zip(zone).ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let night = Night { day, zone, now: app.clock.now() };
    let kept = alive(app, job, count(app, &night)).await?;
    let done = json!({ "day": night.day.to_string(), "as_of": night.now.to_string(), "records": kept.len() });
    if app.jobs.finish_with(job, done, &kept).await? {
        Ok(())
    } else {
        Err(StoreError::Busy(format!("somebody else works on the job {}", job.id())))
    }
}

/// Counts all leads, once.
async fn count(app: &App, night: &Night) -> Result<Vec<Put>, StoreError> {
    let mut tallies = tallies(app, night).await?;
    every_lead(app, |lead| tallies.iter_mut().for_each(|tally| tally.add(lead))).await?;
    Ok(tallies.into_iter().flat_map(|tally| tally.finish(night)).collect())
}

/// Gives the funnel of each day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// With `basis=period` a day's figures are what happened on it, with `basis=cohort` how all leads stood when it was counted
/// (`as_of`). Days are those of the playbook's time zone. Of each day the 25 rows with most leads are kept, the others counted
/// together, for three years; a day that was not counted is missing.
#[utoipa::path(get, path = "/v1/reports/funnel/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn funnel_trend(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = asked(&app, "funnel", &query).await?;
    let (kept, next) = in_time(&app, read(&app, &asked)).await?;
    let basis = Basis::WORDS.iter().find(|(word, _)| *word == asked.basis).map_or(Basis::Period, |(_, b)| *b);
    let (mut items, mut table) = (Vec::new(), Vec::new());
    for (day, body) in kept {
        let mut figures = Figures::from_json(&body).ok_or_else(Problem::internal)?;
        if let Some(row) = &asked.row {
            figures.only(row.as_deref());
        }
        let lines = figures.table(asked.group_by, basis, Some(day));
        table.extend(lines.into_iter().skip(usize::from(!table.is_empty())));
        items.push(of_day(day, figures.shown(asked.group_by, basis)));
    }
    if request::wants_csv(&headers) {
        return response::csv(table).ok_or_else(Problem::internal);
    }
    Ok(answer(&asked, items, next))
}

/// Gives the campaigns report of each day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// With `basis=period` a day's figures are the leads that were won or lost on it, with `basis=cohort` how all leads stood when
/// it was counted (`as_of`). Days are those of the playbook's time zone. Of each day the 25 rows with most leads are kept, for
/// three years; `rows_left_out` tells how many there were besides. A day that was not counted is missing.
#[utoipa::path(get, path = "/v1/reports/campaigns/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order"), (status = 422, description = "Every fault")))]
pub(crate) async fn campaigns_trend(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
) -> Result<Response, Problem> {
    let asked = asked(&app, "campaigns", &query).await?;
    let (kept, next) = in_time(&app, read(&app, &asked)).await?;
    let items = kept.into_iter().map(|(day, mut body)| {
        let rows = body.get_mut("rows").and_then(Value::as_array_mut);
        if let (Some(rows), Some(name)) = (rows, &asked.row) {
            rows.retain(|row| row.get(asked.group_by).and_then(Value::as_str) == name.as_deref());
        }
        of_day(day, body)
    });
    Ok(answer(&asked, items.collect(), next))
}

async fn asked(app: &App, report: &'static str, query: &TrendQuery) -> Result<TrendAsked, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    request::trend(report, query, app.clock.now().day_in(&zone))
}

fn of_day(day: Day, mut body: Value) -> Value {
    if let Some(map) = body.as_object_mut() {
        map.insert("day".to_owned(), day.to_string().into());
    }
    body
}

fn answer(asked: &TrendAsked, items: Vec<Value>, next: Option<Day>) -> Response {
    let mut answer = asked.to_json();
    if let Some(map) = answer.as_object_mut() {
        map.insert("items".to_owned(), items.into());
        map.insert("next_cursor".to_owned(), json!(next.map(|day| day.to_string())));
    }
    response::whole(&answer)
}

/// Reads what was kept of the days of a page, and with which day the next page begins: a query for each month, beside each
/// other, since the ids of a month's days begin alike.
async fn read(app: &App, asked: &TrendAsked) -> Result<(Vec<(Day, Value)>, Option<Day>), StoreError> {
    let limit = i32::try_from(asked.limit).unwrap_or(i32::MAX);
    let end = asked.start.plus(limit).min(asked.to);
    let name = name(asked.report, asked.group_by, asked.basis);
    let days = std::iter::successors(Some(asked.start), |day| Some(day.plus(1))).take_while(|day| *day < end);
    let mut months: Vec<String> =
        days.filter_map(|day| Some(format!("{name}#{}-", day.to_string().rsplit_once('-')?.0))).collect();
    months.dedup();
    let months = futures::stream::iter(months.into_iter().map(|month| month_of(app, month))).buffered(BESIDE);
    let records: Vec<Vec<Record>> = months.try_collect().await?;
    let kept = records.into_iter().flatten().filter_map(|record| {
        let day = Day::parse(record.id.rsplit_once('#')?.1)?;
        (asked.start..end).contains(&day).then_some((day, record.body))
    });
    Ok((kept.collect(), (end < asked.to).then_some(end)))
}

async fn month_of(app: &App, month: String) -> Result<Vec<Record>, StoreError> {
    let (mut records, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.catalog.list_under(CatalogKind::Report, &month, 100, cursor.as_deref()).await?;
        records.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(records);
        }
    }
}
