//! The campaigns report: which channels, campaigns and landing pages brought leads, and which of them revenue.

use crate::request::{self, CampaignsAsked, CampaignsQuery};
use crate::{App, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::report::{Campaigns, Question, Row};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

/// Into how many parts a scan is divided.
const PARTS: u32 = 4;

/// Tells which channels, campaigns or landing pages brought leads, and which of them revenue. Roles: marketing, sales, admin.
///
/// `conversion_rate` = won / leads; `win_rate` = won / (won + lost), null where neither; a deal's revenue counts once
/// however many leads share it, in the row of the lead that came first. With `basis=cohort` the leads are those whose
/// first contact lies in the time, and what became of them by now; with `basis=period` those that were won or lost in
/// it. Lost counts leads that were lost or disqualified, with no won deal and nothing opened since. A report that takes
/// longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/campaigns", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(CampaignsQuery),
    responses((status = 200, description = "The rows, most leads first; CSV with `Accept: text/csv`"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn campaigns(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<CampaignsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::campaigns(&query, &zone)?;
    let csv = request::wants_csv(&headers);
    let report = match timely(&app, &asked.to_json(), report(&app, &asked)).await? {
        Ok(report) => report,
        Err(job) => return Ok(response::later(&job)),
    };
    response::answer(&asked, &report, csv)
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &CampaignsAsked) -> Result<Value, StoreError> {
    let counted = count(app, &asked.question).await?;
    Ok(response::report(asked, counted, app.clock.now()))
}

/// Counts over all leads, the parts of the table beside each other.
async fn count(app: &App, question: &Question) -> Result<Campaigns, StoreError> {
    let rows = futures::stream::iter(0..PARTS)
        .map(|part| {
            futures::stream::try_unfold(Some(None::<String>), move |cursor| async move {
                let Some(cursor) = cursor else { return Ok::<_, StoreError>(None) };
                let page = app.lists.scan(part, PARTS, cursor.as_deref()).await?;
                let rows: Vec<Row> = page.items.iter().filter_map(Row::of).collect();
                Ok(Some((rows, page.next.map(Some))))
            })
            .boxed()
        })
        .flatten_unordered(None);
    rows.try_fold(Campaigns::default(), |mut report, rows| async move {
        rows.iter().for_each(|row| report.add(question, row));
        Ok(report)
    })
    .await
}
