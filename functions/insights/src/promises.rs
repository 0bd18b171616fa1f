//! The promises of both sides: what was promised, kept and broken, how long first answers took, and who waited longest;
//! and the leads behind each figure of sales' side.

use crate::request::promises::{
    PromiseFigure, PromisesLeadsAsked, PromisesLeadsQuery, PromisesQuery, promises as read, promises_leads,
    to_json,
};
use crate::request::wants_csv;
use crate::response::{self, interval, rate};
use crate::walk::{every_lead, find};
use crate::{App, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::kept::{Count, Kept, Names, Question, Waited, Week};
use domain::promise::{Clock, Delivery, State as PromiseState, Verdict, clocks, turns};
use domain::segment::harmless_cell;
use domain::time::{HOUR_MS, Timestamp};
use serde_json::{Map, Value, json};

/// Tells how sales and marketing kept what they promised each other. Roles: marketing, sales, admin.
///
/// Of `sales` each hand-off in the time is a promise: `kept` where it was first followed up or decided on by the moment that
/// was promised then, `broken` where not, `open` while nobody can tell. It is the promise of whoever had the lead when it
/// was kept or broken. `kept_rate` = kept / (kept + broken), with Wilson's interval at 95%. `first_answer_hours` is how long
/// the answers took in their owners' working hours: median and 90th percentile by nearest rank, rounded down to the hour up
/// to 30 days and to the day beyond. `tries` counts the leads that were given up for a reason before which the playbook
/// promises tries, and those that were tried so often. `waited_longest` are the three that waited longest for an answer, or
/// still do.
///
/// Of `marketing` each promise of the active playbook is judged by whole weeks in its time zone, at most the latest 260.
/// A lead counts in the territory in which it is now. `GET /v1/reports/promises/leads` gives the leads behind a figure of
/// sales' side. A report that takes longer than 20 seconds is answered with 202: ask again with the same words until it
/// is 200.
#[utoipa::path(get, path = "/v1/reports/promises", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(PromisesQuery),
    responses((status = 200, description = "Both sides; CSV with `Accept: text/csv`, a line for each row and week"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn promises(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<PromisesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = read(&query, &zone)?;
    let report = match timely(&app, &to_json(&asked), report(&app, &asked)).await? {
        Ok(report) => report,
        Err(job) => return Ok(response::later(&job)),
    };
    if wants_csv(&headers) {
        return response::csv(table(&report)).ok_or_else(Problem::internal);
    }
    Ok(response::whole(&report))
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &Question) -> Result<Value, StoreError> {
    let now = app.clock.now();
    let playbook = app.playbooks.active().await?.playbook;
    let people = app.playbooks.people(&playbook).await?;
    let mut kept = Kept::default();
    every_lead(app, |lead| {
        let territory = territory(&playbook, lead, now);
        kept.add(asked, &playbook.promises, &people, lead, territory, now);
    })
    .await?;
    Ok(shown(asked, &playbook, &kept, now))
}

/// Gives the territory in which a lead is now.
pub(crate) fn territory<'a>(playbook: &'a Playbook, lead: &Lead, now: Timestamp) -> Option<&'a Slug> {
    playbook.territory(lead, now.day()).map(|territory| &territory.id)
}

fn shown(asked: &Question, playbook: &Playbook, kept: &Kept, now: Timestamp) -> Value {
    let mut report = to_json(asked);
    if let (Some(map), Value::Object(figures)) = (report.as_object_mut(), figures(asked, playbook, kept, now))
    {
        map.insert("as_of".to_owned(), now.to_string().into());
        map.extend(figures);
    }
    report
}

/// Gives the figures of both sides.
pub(crate) fn figures(asked: &Question, playbook: &Playbook, kept: &Kept, now: Timestamp) -> Value {
    let promises = &playbook.promises;
    let rows = kept.sales.iter().map(|(names, count)| {
        let mut row = named(asked, names);
        row.extend(counted(count));
        Value::Object(row)
    });
    let tries = promises.tries.as_ref();
    let sales = json!({
        "first_answer_hours": promises.first_answer_hours,
        "tries": tries.map(|tries| json!({ "tries": tries.at_least, "before": tries.before })),
        "total": counted(&kept.total()),
        "rows": rows.collect::<Vec<_>>(),
    });
    let marketing = promises.marketing.iter().map(|promise| {
        let weeks: Vec<Value> = kept.weeks(asked, promise, now).iter().map(week).collect();
        delivery(promise, weeks)
    });
    json!({ "sales": sales, "marketing": marketing.collect::<Vec<_>>() })
}

fn named(asked: &Question, names: &Names) -> Map<String, Value> {
    let words = asked.group_by.iter().map(|group| group.as_str().to_owned());
    words.zip(names.iter().map(|name| json!(name))).collect()
}

fn counted(count: &Count) -> Map<String, Value> {
    let judged = count.kept + count.broken;
    let took = &count.took;
    let line = json!({
        "promised": count.promised,
        "kept": count.kept,
        "broken": count.broken,
        "open": count.open,
        "kept_rate": rate(count.kept, judged),
        "kept_rate_interval": interval(count.kept, judged),
        "first_answer_hours": { "median": took.quantile(50), "p90": took.quantile(90), "of": took.count() },
        "tries": { "given_up": count.gave_up, "kept": count.tried_enough },
        "waited_longest": count.waited.iter().map(waited).collect::<Vec<_>>(),
    });
    match line {
        Value::Object(line) => line,
        _ => Map::new(),
    }
}

fn waited(waited: &Waited) -> Value {
    json!({
        "lead_id": waited.lead.as_str(),
        "owner": waited.owner.as_str(),
        "since": waited.since.to_string(),
        "hours": waited.ms / HOUR_MS,
        "answered": waited.answered,
    })
}

fn delivery(promise: &Delivery, weeks: Vec<Value>) -> Value {
    let of = |word: &str| weeks.iter().filter(|week| week.get("verdict").is_some_and(|v| v == word)).count();
    json!({
        "territory": promise.territory.as_ref().map(Slug::as_str),
        "tz": promise.timezone.iana_name().unwrap_or("UTC"),
        "leads_a_week": promise.leads,
        "accepted_percent": promise.accepted_percent,
        "kept": of("kept"),
        "broken": of("broken"),
        "open": of("open"),
        "weeks": weeks,
    })
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Open => "open",
        Verdict::Kept => "kept",
        Verdict::Broken => "broken",
    }
}

fn week(week: &Week) -> Value {
    json!({
        "week": week.monday.to_string(),
        "handed_off": week.tally.delivered,
        "accepted": week.tally.accepted,
        "returned": week.tally.returned,
        "verdict": verdict(week.verdict),
    })
}

/// The columns of the table: those of both sides, then of sales', then of marketing's.
const COLUMNS: [&str; 17] = [
    "side",
    "territory",
    "person",
    "week",
    "promised",
    "kept",
    "broken",
    "open",
    "median_hours",
    "p90_hours",
    "answers",
    "given_up",
    "tried_enough",
    "handed_off",
    "accepted",
    "returned",
    "accepted_percent",
];

/// Gives a report as a table: a line for each row of sales, and for each week of a promise of marketing's, which is kept,
/// broken or open by a 1.
pub(crate) fn table(report: &Value) -> Vec<Vec<String>> {
    let cell = |value: Option<&Value>| match value {
        Some(Value::String(text)) => harmless_cell(text).into_owned(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut table = vec![COLUMNS.map(str::to_owned).to_vec()];
    for row in list(report.pointer("/sales/rows")) {
        table.push(
            COLUMNS
                .map(|column| match column {
                    "side" => "sales".to_owned(),
                    "median_hours" => cell(row.pointer("/first_answer_hours/median")),
                    "p90_hours" => cell(row.pointer("/first_answer_hours/p90")),
                    "answers" => cell(row.pointer("/first_answer_hours/of")),
                    "given_up" => cell(row.pointer("/tries/given_up")),
                    "tried_enough" => cell(row.pointer("/tries/kept")),
                    column => cell(row.get(column)),
                })
                .to_vec(),
        );
    }
    for promise in list(report.get("marketing")) {
        for week in list(promise.get("weeks")) {
            table.push(
                COLUMNS
                    .map(|column| match column {
                        "side" => "marketing".to_owned(),
                        "promised" => cell(promise.get("leads_a_week")),
                        "territory" | "accepted_percent" => cell(promise.get(column)),
                        "kept" | "broken" | "open" => {
                            u8::from(week.get("verdict").is_some_and(|verdict| verdict == column)).to_string()
                        }
                        column => cell(week.get(column)),
                    })
                    .to_vec(),
            );
        }
    }
    table
}

/// Gives the leads behind a figure of sales' side. Roles: marketing, sales, admin.
///
/// `figure` is `promised`, `kept`, `broken` or `open` as in the report, of the `territory`, `person` and `week` that are
/// given. A page may hold fewer than `limit` while `next_cursor` leads on, since all leads are looked through.
#[utoipa::path(get, path = "/v1/reports/promises/leads", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(PromisesLeadsQuery),
    responses((status = 200, description = "The leads with their promises, in no order"), (status = 422, description = "Every fault")))]
pub(crate) async fn leads(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<PromisesLeadsQuery>,
) -> Result<Response, Problem> {
    let playbook = app.playbooks.active().await?.playbook;
    let asked = promises_leads(&query, &playbook.timezone)?;
    let now = app.clock.now();
    let shown = |lead: &Lead| behind(&asked, &playbook, lead, now);
    let (found, next) = find(&app, &asked.place, asked.limit, shown).await?;
    let mut answer = to_json(&asked.question);
    if let Some(map) = answer.as_object_mut() {
        map.remove("group_by");
        map.insert("figure".to_owned(), asked.figure_word.into());
        map.extend(named(&asked.question, &asked.names));
        map.insert("items".to_owned(), found.into());
        map.insert("next_cursor".to_owned(), json!(next.map(|place| place.to_string())));
    }
    Ok(response::whole(&answer))
}

/// Gives a lead with those of its promises that are asked for, where it has any.
fn behind(asked: &PromisesLeadsAsked, playbook: &Playbook, lead: &Lead, now: Timestamp) -> Option<Value> {
    let territory = territory(playbook, lead, now);
    let figure = |clock: &Clock| match clock.state(now) {
        PromiseState::Kept => PromiseFigure::Kept,
        PromiseState::Broken => PromiseFigure::Broken,
        PromiseState::Running | PromiseState::Paused { .. } => PromiseFigure::Open,
    };
    let is_meant = |clock: &Clock| {
        asked.question.counts(clock)
            && asked.question.names(clock, territory) == asked.names
            && (asked.figure == PromiseFigure::Promised || asked.figure == figure(clock))
    };
    let clocks = clocks(turns(lead, playbook.promises.tries.as_ref()));
    let promises: Vec<Value> = clocks.iter().filter(|clock| is_meant(clock)).map(promise).collect();
    (!promises.is_empty()).then(|| {
        json!({
            "lead_id": lead.id.as_str(),
            "territory": territory.map(Slug::as_str),
            "promises": promises,
        })
    })
}

fn promise(clock: &Clock) -> Value {
    json!({
        "owner": clock.owner.as_str(),
        "handed_off_at": clock.started_at.to_string(),
        "due_at": clock.due_at.to_string(),
        "answered_at": clock.answered_at.map(|at| at.to_string()),
        "accepted": clock.accepted,
    })
}
