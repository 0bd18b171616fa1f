//! The matrix: for each persona and phase what there is to say, who waits, and which gap matters most.

use super::{page, written};
use crate::{App, response, timely};
use adapters::content::contents;
use adapters::evidence::keywords;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::content::matrix::{Matrix, Waiting, demand};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// Into how many parts a scan is divided.
const PARTS: u32 = 4;

/// The query of the matrix.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatrixQuery {
    /// `language` divides each cell by language.
    by: Option<String>,
}

/// Gives the matrix persona × phase: how much content holds today, how many leads wait, and the gaps, what matters most first.
/// Roles: marketing, sales, admin.
///
/// A lead waits where nothing fits it that it has not had. A cell is a gap where somebody waits or nothing is there; `rank` =
/// waiting × (1 + demand / demand of all topics), where the demand is the monthly searches for keywords of topics about which
/// the cell has nothing. Leads without a persona or phase are counted apart. JSON; a page to look at and to print with
/// `Accept: text/html`; CSV with `Accept: text/csv`. What takes longer than 20 seconds is answered with 202: ask again with the
/// same words until it is 200.
#[utoipa::path(get, path = "/v1/content/matrix", tag = "content", security(("token" = ["marketing", "sales"])),
    params(MatrixQuery),
    responses((status = 200, description = "The cells and the gaps"), (status = 202, description = "Still counting; ask again"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn matrix(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<MatrixQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let by_language = match query.by.as_deref() {
        None => false,
        Some("language") => true,
        Some(other) => return Err(Problem::fault("/by", format!("is \"{other}\"; expected language"))),
    };
    let asked = json!({ "report": "content-matrix", "by_language": by_language });
    let found = match timely(&app, &asked, report(&app, &asked)).await? {
        Ok(found) => found,
        Err(job) => return Ok(response::later(&job)),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return Ok(axum::response::Html(page::matrix(&found).into_string()).into_response());
    }
    if accept.contains("text/csv") {
        return written::csv(written::listed(&found, "cells"), written::MATRIX_COLUMNS);
    }
    Ok(response::whole(&found))
}

/// Makes the matrix.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let by_language = asked.get("by_language") == Some(&Value::Bool(true));
    let now = app.clock.now();
    let today = now.day();
    let (active, catalog) = (app.playbooks.active().await?, contents(app.catalog.as_ref()).await?);
    let (playbook, catalog) = (&active.playbook, &catalog);
    let counted = futures::stream::iter(0..PARTS)
        .map(|part| {
            futures::stream::try_unfold(Some(None::<String>), move |cursor| async move {
                let Some(cursor) = cursor else { return Ok::<_, StoreError>(None) };
                let page = app.lists.scan(part, PARTS, cursor.as_deref()).await?;
                let mut waiting = Waiting::default();
                page.items.iter().for_each(|lead| waiting.add(lead, playbook, catalog, by_language, today));
                Ok(Some((waiting, page.next.map(Some))))
            })
            .boxed()
        })
        .flatten_unordered(None);
    let waiting = counted
        .try_fold(Waiting::default(), |mut whole, part| async move {
            whole.merge(part);
            Ok(whole)
        })
        .await?;
    let demand = demand(playbook, &keywords(app.catalog.as_ref()).await?);
    let matrix = Matrix::new(playbook, catalog, &waiting, &demand, by_language, today);
    Ok(written::matrix(&matrix, &waiting, &active, catalog, now))
}
