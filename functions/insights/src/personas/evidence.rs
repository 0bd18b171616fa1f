//! Evidence is entered, one by one or many at a time, listed, and withdrawn.

use super::{no_persona, request};
use crate::App;
use crate::personas::request::ListQuery;
use adapters::evidence::{self as stored, OnRecord};
use adapters::http::auth::{MarketingAndSales, MarketingOnly};
use adapters::http::{self, Caller, JsonBody, Problem, Query};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::evidence::Evidence;
use domain::identity::Slug;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

/// How many pieces of evidence are written beside each other.
const BESIDE: usize = 8;

/// Puts evidence about a persona on record: one piece, or up to 100 as `{"evidence": […]}`, each with its own result.
/// Roles: marketing, admin.
///
/// `kind` is one of the six; `text` the quote or finding, without its author: addresses, handles and phone numbers in it are
/// blacked out, and a `url` is cut down to what names nobody. `supports` and `contradicts` name statements of the persona.
/// Besides, by kind: `with` (prospect or customer); `network`, `url`; `keyword`, `monthly_searches`, `competition`, `topic`;
/// `attribute` or `signal`, `value`, `lift`, `support`, `interval`. The same evidence is one record, with or without
/// `Idempotency-Key`: sent again it is `unchanged`, with another weight or other statements `updated`. A keyword is the
/// same in every export, and the later one has the figures.
#[utoipa::path(post, path = "/v1/personas/{persona_id}/evidence", tag = "personas", security(("token" = ["marketing"])),
    params(("persona_id" = String, Path, description = "The persona"),
        ("Idempotency-Key" = Option<String>, Header, description = "Taken, and not needed: evidence is known by what it says")),
    request_body(content = Value, content_type = "application/json", example = json!({"kind": "interview_prospect",
        "with": "customer", "text": "I spend every Friday on reports.", "source": "Interview, Hanover fair",
        "date": "2026-03-01", "weight": 3, "supports": ["friday_reports"]})),
    responses((status = 200, description = "created, updated or unchanged, with its id; `results` for several"),
        (status = 404, description = "No such persona"), (status = 422, description = "Every fault")))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    Path(persona): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    adapters::wire::idempotency_key(&headers).map_err(|detail| Problem::fault("", detail))?;
    let active = app.playbooks.active().await?;
    let persona = active.playbook.persona(&persona).ok_or_else(no_persona)?;
    let now = app.clock.now();
    let read = |value: &Value| request::evidence(value, persona, &active.playbook, now);
    let by = caller.name();
    let Some(many) = request::many(&body)? else {
        return Ok(http::json(StatusCode::OK, &record(&app, read(&body)?, by).await?));
    };
    let results: Vec<Value> = stream::iter(many.iter().map(read))
        .map(|evidence| async {
            let recorded = match evidence {
                Ok(evidence) => record(&app, evidence, by).await,
                Err(problem) => Err(problem),
            };
            recorded.unwrap_or_else(|problem| json!({ "status": "rejected", "problem": problem.to_json() }))
        })
        .buffered(BESIDE)
        .collect()
        .await;
    Ok(http::json(StatusCode::OK, &json!({ "results": results })))
}

async fn record(app: &App, evidence: Evidence, by: &str) -> Result<Value, Problem> {
    let id = evidence.id();
    let one = OnRecord { evidence, by: by.to_owned(), at: app.clock.now() };
    let recorded = stored::record(app.catalog.as_ref(), &one).await?;
    Ok(json!({ "status": recorded.as_str(), "evidence_id": id }))
}

/// Lists the evidence about a persona, in the order of its ids. Roles: marketing, sales, admin.
///
/// Also that about a persona, or statements, which the playbook no longer has.
#[utoipa::path(get, path = "/v1/personas/{persona_id}/evidence", tag = "personas", security(("token" = ["marketing", "sales"])),
    params(("persona_id" = String, Path, description = "The persona"), ListQuery),
    responses((status = 200, description = "The evidence"), (status = 404, description = "No such persona"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn list(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(persona): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let id = Slug::parse(&persona).map_err(|_| no_persona())?;
    let (limit, wanted) = match request::wanted(&query) {
        Ok(wanted) => wanted,
        // Whether a cursor is one of this list only the list can tell.
        Err(problem) => {
            let page = stored::page(app.catalog.as_ref(), &id, 1, query.cursor.as_deref()).await;
            let cursor = page.err().map(|error| Problem::of_list(error, query.cursor.as_deref()));
            let faults = problem.faults().iter().chain(cursor.iter().flat_map(Problem::faults));
            return Err(Problem::invalid(faults.cloned().collect()));
        }
    };
    let (mut items, mut cursor, mut some) = (Vec::new(), query.cursor.clone(), query.cursor.is_some());
    // What is left out leaves room for more of the next page, so that a page is full wherever it can be.
    loop {
        let page = stored::page(app.catalog.as_ref(), &id, limit - items.len(), cursor.as_deref())
            .await
            .map_err(|error| Problem::of_list(error, cursor.as_deref()))?;
        some |= !page.items.is_empty();
        items.extend(page.items.iter().filter(|one| wanted.has(&one.evidence)).map(stored::to_json));
        cursor = page.next;
        if cursor.is_none() || items.len() >= limit {
            break;
        }
    }
    if !some && app.playbooks.active().await?.playbook.persona(&persona).is_none() {
        return Err(no_persona());
    }
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": cursor })))
}

/// Withdraws a piece of evidence: it is deleted, words and all. Roles: marketing, admin.
///
/// For what was entered wrongly, or is somebody's who wants to be forgotten. A file that still has it brings it back.
#[utoipa::path(delete, path = "/v1/personas/{persona_id}/evidence/{evidence_id}", tag = "personas",
    security(("token" = ["marketing"])),
    params(("persona_id" = String, Path, description = "The persona"), ("evidence_id" = String, Path, description = "The evidence")),
    responses((status = 204, description = "Gone"), (status = 404, description = "No such evidence")))]
pub(crate) async fn withdraw(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path((persona, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("no such evidence; GET /v1/personas/{id}/evidence lists what there is");
    let persona = Slug::parse(&persona).map_err(|_| none())?;
    // A key that DynamoDB would refuse is nobody's.
    let known =
        id.len() <= request::LONGEST_ID && stored::withdraw(app.catalog.as_ref(), &persona, &id).await?;
    if known { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(none()) }
}
