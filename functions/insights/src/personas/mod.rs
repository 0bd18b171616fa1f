//! Personas: who mirrors them, what they stand on, and what the database shows of them.
//!
//! # Layout
//!
//! * this file – the persona card and the report over all personas, from one scan of the leads;
//! * [`evidence`] – evidence is entered, listed and withdrawn; [`request`] – how it is read;
//! * [`mining`] – the system's own evidence;
//! * [`card`] – what a card shows; [`page`] – the same to be read and printed.

pub mod card;
pub mod evidence;
pub mod mining;
pub mod page;
pub mod request;

use crate::walk::every_lead;
use crate::{App, in_time, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem};
use adapters::playbooks::Version;
use adapters::ports::StoreError;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use card::{CardShown, Overview};
use domain::persona::card::Card;
use domain::persona::figures::Figures;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Gives the routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(personas))
        .routes(routes!(one))
        .routes(routes!(evidence::list, evidence::add))
        .routes(routes!(evidence::withdraw))
        .routes(routes!(mining::mine))
}

pub(crate) fn no_persona() -> Problem {
    Problem::not_found("the active playbook has no persona of this id; GET /v1/reports/personas lists them")
}

/// Tells how many leads mirror each persona, how many none or several, in which phases they are and what became of them.
/// Roles: marketing, sales, admin.
///
/// Leads and contacts are evaluated now, with the active playbook. Who meets the conditions of several personas is counted
/// for the first by priority, so that shares add up; `meet` counts everybody who meets a persona's condition, `overlaps`
/// who meets both of two. `win_rate` = won / (won + lost) with its 95 % interval, null where neither. What takes longer
/// than 20 seconds is answered with 202: ask again until it is 200.
#[utoipa::path(get, path = "/v1/reports/personas", tag = "reports", security(("token" = ["marketing", "sales"])),
    responses((status = 200, description = "The personas by priority; CSV with `Accept: text/csv`"),
        (status = 202, description = "Still counting; ask again")))]
pub(crate) async fn personas(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let active = app.playbooks.active().await?;
    match figures(&app, &active).await? {
        Ok(report) if crate::request::wants_csv(&headers) => {
            response::csv(card::table(&report)).ok_or_else(Problem::internal)
        }
        Ok(report) => Ok(response::whole(&json!(report))),
        Err(job) => Ok(response::later(&job)),
    }
}

/// Gives the card of a persona: its portrait, each statement with what speaks for and against it, which statements stand
/// on nothing, which kinds of evidence are missing, and the figures of the leads that mirror it. Roles: marketing, sales,
/// admin.
///
/// A statement's `verdict` is `stands`, `disputed`, `contradicted`, `claims_evidence` (and has none) or `guess`, by the
/// weights of the evidence on record. Ten pieces a side are shown, the best first; `count` and `weight` are of all. The
/// page (`Accept: text/html`) is to be printed on A4 and asks nothing of the network. What takes longer than 20 seconds is
/// answered with 202: ask again until it is 200.
#[utoipa::path(get, path = "/v1/personas/{persona_id}", tag = "personas", security(("token" = ["marketing", "sales"])),
    params(("persona_id" = String, Path, description = "The persona")),
    responses((status = 200, description = "The card; Markdown with `Accept: text/markdown`, a page with `Accept: text/html`"),
        (status = 202, description = "Still counting; ask again"), (status = 404, description = "No such persona")))]
pub(crate) async fn one(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let active = app.playbooks.active().await?;
    let persona = active.playbook.persona(&id).ok_or_else(no_persona)?;
    // Beside each other: each may take as long as a caller waits.
    let evidence = in_time(&app, adapters::evidence::all(app.catalog.as_ref(), &persona.id));
    let (evidence, overview) = futures::join!(evidence, figures(&app, &active));
    let overview = match overview? {
        Ok(overview) => overview,
        Err(job) => return Ok(response::later(&job)),
    };
    let evidence = evidence?;
    let shown = CardShown::of(persona, &Card::of(persona, &evidence), overview);
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(if accept.contains("text/html") {
        response::page(page::html(&shown))
    } else if accept.contains("text/markdown") {
        ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page::markdown(&shown)).into_response()
    } else {
        response::whole(&json!(shown))
    })
}

/// Counts the leads, or names the job that does. Every card and the report ask the same, and meet the same job.
async fn figures(app: &App, active: &Version) -> Result<Result<Overview, String>, Problem> {
    let asked = json!({ "report": "personas", "playbook_version": active.number });
    let counted = timely(app, &asked, report(app, &asked)).await?;
    Ok(match counted {
        Ok(report) => Ok(serde_json::from_value(report).map_err(|_| Problem::internal())?),
        Err(job) => Err(job),
    })
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let number = asked.get("playbook_version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let number =
        number.ok_or_else(|| StoreError::Damaged("a report on personas names no version".to_owned()))?;
    let playbook = app.playbooks.version(number).await?;
    let now = app.clock.now();
    let mut counted = Figures::default();
    every_lead(app, |lead| counted.add(lead, &playbook, now.day())).await?;
    Ok(json!(Overview::of(&counted, &playbook, number, now)))
}
