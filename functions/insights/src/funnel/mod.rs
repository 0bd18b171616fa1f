//! The funnel: how many leads came how far, how many of those went on, and how long that took; and the leads behind each
//! of its figures.
//!
//! # Layout
//!
//! * this file – the report from one scan, and the leads; [`figures`] – its figures as they are kept and as they are shown.

pub mod figures;

use crate::request::funnel::FunnelFigure;
use crate::request::{self, FunnelAsked, FunnelLeadsAsked, FunnelLeadsQuery, FunnelQuery};
use crate::walk::{every_lead, find};
use crate::{App, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::funnel::{Ending, Funnel, Question, Row};
use domain::lead::Lead;
use figures::Figures;
use serde_json::{Value, json};

/// How many rows the report has at most; the leads of all others are counted together.
const MOST_ROWS: usize = 200;

/// Tells how many leads came to each stage, which share of them went on, and how long that took. Roles: marketing, sales,
/// admin.
///
/// With `basis=cohort` the leads are those whose first contact lies in the time, and how far they came by now. `reached` counts
/// those that stood in the stage or in a further one, `entered` those that really stood in it. `conversion` = reached / reached
/// of the stage before, with Wilson's interval at 95%. `hours_from_previous` is how long it took from the stage before, where a
/// lead stood in both. A row whose cohort has leads that are neither won nor lost is `still_open`, and each stage says how
/// many of them came so far and no further: its figures may still grow.
///
/// With `basis=period` the leads are those that something happened to in the time: `entered` counts those that came into the
/// stage, `left` those that left it, `advanced` those that left it for a further one; `conversion` = advanced / left, and
/// `hours_in_stage` is how long those stood there that advanced. Each lead counts once in each figure.
///
/// Medians and 90th percentiles are by nearest rank, rounded down to the hour up to 30 days and to the day beyond. A lead counts
/// in each of its segments, in all else once; `total` counts every lead once. `GET /v1/reports/funnel/leads` gives the leads
/// behind a figure. A report that takes longer than 20 seconds is answered with 202: ask again with the same words until it is
/// 200.
#[utoipa::path(get, path = "/v1/reports/funnel", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(FunnelQuery),
    responses((status = 200, description = "The rows, most leads first; CSV with `Accept: text/csv`, a line for each row and stage"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn funnel(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<FunnelQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::funnel(&query, &zone)?;
    let found = match timely(&app, &asked.to_json(), report(&app, &asked)).await? {
        Ok(found) => found,
        Err(job) => return Ok(response::later(&job)),
    };
    let figures = Figures::from_json(&found).ok_or_else(Problem::internal)?;
    let shown = figures.shown(asked.group_by, asked.question.basis);
    if request::wants_csv(&headers) {
        let rows = figures::table(&shown, asked.group_by, asked.question.basis);
        return response::csv(rows).ok_or_else(Problem::internal);
    }
    let mut report = asked.to_json();
    if let (Some(map), Value::Object(shown)) = (report.as_object_mut(), shown) {
        map.extend(shown);
    }
    Ok(response::whole(&report))
}

/// Makes the report, in the form in which a job keeps it.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &FunnelAsked) -> Result<Value, StoreError> {
    let now = app.clock.now();
    let mut funnel = Funnel::default();
    every_lead(app, |lead| {
        Row::of(lead).iter().for_each(|row| funnel.add(&asked.question, row));
    })
    .await?;
    Ok(Figures::of(funnel, MOST_ROWS, now).to_json())
}

/// Gives the leads behind a figure of the funnel. Roles: marketing, sales, admin.
///
/// `figure` is `leads`, `won`, `lost` or `open` of a row or, with `stage`, `reached`, `entered`, `open`, `left` or `advanced`
/// of one of its stages. A page may hold fewer than `limit` while `next_cursor` leads on, since all leads are looked through.
#[utoipa::path(get, path = "/v1/reports/funnel/leads", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(FunnelLeadsQuery),
    responses((status = 200, description = "The leads, in no order"), (status = 422, description = "Every fault")))]
pub(crate) async fn leads(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<FunnelLeadsQuery>,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::funnel_leads(&query, &zone)?;
    let shown = |lead: &Lead| Some(behind(&Row::of(lead).filter(|row| is_behind(&asked, row))?));
    let (found, next) = find(&app, &asked.place, asked.limit, shown).await?;
    let mut answer = asked.report.to_json();
    if let Some(map) = answer.as_object_mut() {
        map.insert("figure".to_owned(), asked.figure_word.into());
        map.insert("stage".to_owned(), json!(asked.stage.map(|stage| stage.as_str())));
        map.insert("row".to_owned(), json!(asked.row.clone().flatten()));
        map.insert("items".to_owned(), found.into());
        map.insert("next_cursor".to_owned(), json!(next.map(|place| place.to_string())));
    }
    Ok(response::whole(&answer))
}

/// Gives a lead behind a figure, with where it stood since when.
fn behind(row: &Row) -> Value {
    let mut lead = response::behind(&row.lead);
    let stays = row.lead.stays.iter().map(
        |stay| json!({ "stage": stay.stage.as_str(), "cycle": stay.cycle, "since": stay.since.to_string() }),
    );
    if let Some(map) = lead.as_object_mut() {
        map.insert("stays".to_owned(), stays.collect());
    }
    lead
}

fn is_behind(asked: &FunnelLeadsAsked, row: &Row) -> bool {
    let question: &Question = &asked.report.question;
    let of_row = asked.row.as_ref().is_none_or(|name| question.groups(row).contains(name));
    let figure = || match (asked.figure, asked.stage.map(|stage| question.passage(row, stage))) {
        (FunnelFigure::Leads, _) => true,
        (FunnelFigure::Won, _) => question.ending(row) == Ending::Won,
        (FunnelFigure::Lost, _) => question.ending(row) == Ending::Lost,
        (FunnelFigure::Open, None) => question.ending(row) == Ending::Open,
        (FunnelFigure::Open, Some(passage)) => passage.open,
        (FunnelFigure::Reached, Some(passage)) => passage.reached,
        (FunnelFigure::Entered, Some(passage)) => passage.entered,
        (FunnelFigure::Left, Some(passage)) => passage.left,
        (FunnelFigure::Advanced, Some(passage)) => passage.advanced,
        // A figure of a stage without its stage is refused before.
        (_, None) => false,
    };
    of_row && question.counts(row) && figure()
}
