//! Campaigns: what people call them, which channel they belong to, and what they cost in each month.
//!
//! A campaign needs no record to be reported on; without one it has no cost. So records are written late, in any order
//! and again: a list of them (`leadloop import campaigns`) adds months to what is known, and the same list twice changes
//! nothing.

use crate::request::PageQuery;
use crate::{App, response};
use adapters::campaigns::{from_json, id, said, to_json};
use adapters::http::auth::{MarketingAndSales, MarketingOnly};
use adapters::http::{self, Caller, JsonBody, Problem, Query};
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use adapters::wire;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::campaign::{Campaign, MOST_COSTS};
use domain::reader::Node;
use serde_json::{Value, json};

/// Lists campaigns. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns", security(("token" = ["marketing", "sales"])), params(PageQuery),
    responses((status = 200, description = "The campaigns by id")))]
pub(crate) async fn campaigns(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let limit = wire::limit(query.limit, 100)?;
    let page = app
        .catalog
        .list(CatalogKind::Campaign, limit, query.cursor.as_deref())
        .await
        .map_err(|error| Problem::of_list(error, query.cursor.as_deref()))?;
    let items: Vec<Value> = page.items.iter().map(response::campaign).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": page.next })))
}

/// Gives a campaign. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}", tag = "campaigns", security(("token" = ["marketing", "sales"])),
    params(("campaign_id" = String, Path, description = "The campaign, by the text that its touches carry")),
    responses((status = 200, description = "The campaign"), (status = 404, description = "Nothing was declared of it")))]
pub(crate) async fn campaign(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(campaign): Path<String>,
) -> Result<Response, Problem> {
    let record = match id(&campaign) {
        Ok(id) => app.catalog.get(CatalogKind::Campaign, &id).await?,
        Err(_) => None,
    };
    let missing =
        || Problem::not_found("nothing was declared of this campaign; GET /v1/campaigns lists them");
    Ok(http::json(StatusCode::OK, &response::campaign(&record.ok_or_else(missing)?)))
}

/// Writes a campaign whole: what is not said is no longer known. Roles: marketing, admin.
///
/// Its id is the text that its touches carry, such as `utm_campaign`, letter by letter. A month's cost counts in reports by
/// the days of it that are asked about. The channel says where the cost stands in a report by channel.
#[utoipa::path(put, path = "/v1/campaigns/{campaign_id}", tag = "campaigns", security(("token" = ["marketing"])),
    params(("campaign_id" = String, Path, description = "The campaign, by the text that its touches carry")),
    request_body(content = Value, content_type = "application/json", example = json!({"name": "Spring 2026",
        "channel": "paid_search", "costs": [{"month": "2026-02", "cost": {"amount": "1200.50", "currency": "EUR"}}]})),
    responses((status = 200, description = "The campaign"), (status = 422, description = "Every fault")))]
pub(crate) async fn put_campaign(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(campaign): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = id(&campaign).map_err(|error| Problem::fault("/campaign_id", error))?;
    let said = wire::one(&body, |node| {
        let object = node.object()?;
        let said = said(&object);
        object.finish();
        said
    })?;
    let (record, _) = write(&app, &id, |_| said.clone()).await?;
    Ok(http::json(StatusCode::OK, &response::campaign(&record)))
}

/// Adds what is said of up to 100 campaigns to what is known, each with its own result. Roles: marketing, admin.
///
/// A name, a channel and a month's cost replace what was known of them; months that are not mentioned stay.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", security(("token" = ["marketing"])),
    request_body(content = Value, content_type = "application/json", example = json!({"campaigns": [{"id": "spring",
        "costs": [{"month": "2026-02", "cost": {"amount": "1200.50", "currency": "EUR"}}]}]})),
    responses((status = 200, description = "A result for each campaign, in the order sent: `created`, `updated`, `unchanged`, or `rejected` with the problem"),
        (status = 422, description = "Every fault of the request as a whole")))]
pub(crate) async fn add_campaigns(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let items: Vec<Value> = wire::one(&body, |node| {
        let object = node.object()?;
        let items = wire::items(&object, "campaigns");
        object.finish();
        Some(items?.iter().map(|node| node.value().clone()).collect())
    })?;
    let mut results = Vec::with_capacity(items.len());
    // One after the other: two items may be about one campaign.
    for item in items {
        results.push(match add(&app, &item).await {
            Ok((id, status)) => json!({ "id": id, "status": status }),
            Err(problem) => json!({ "status": "rejected", "problem": problem.to_json() }),
        });
    }
    Ok(http::json(StatusCode::OK, &json!({ "results": results })))
}

async fn add(app: &App, item: &Value) -> Result<(String, &'static str), Problem> {
    let (id, said) = wire::one(item, |node: &Node<'_>| {
        let object = node.object()?;
        let id = object.required("id").and_then(|node| node.parsed(id));
        let said = said(&object);
        object.finish();
        Some((id?, said?))
    })?;
    let overlaid = |known: Option<Campaign>| {
        let mut campaign = known.unwrap_or_default();
        campaign.overlay(said.clone());
        campaign
    };
    let (_, status) = write(app, &id, overlaid).await?;
    Ok((id, status))
}

/// Writes a campaign on top of what was there before and says whether that made a difference.
async fn write(
    app: &App,
    id: &str,
    campaign: impl Fn(Option<Campaign>) -> Campaign,
) -> Result<(Record, &'static str), Problem> {
    loop {
        let known = app.catalog.get(CatalogKind::Campaign, id).await?;
        let before = match &known {
            Some(record) => {
                let damaged = || StoreError::Damaged(format!("campaign {id}"));
                Some(from_json(&record.body).ok_or_else(damaged)?)
            }
            None => None,
        };
        let after = campaign(before.clone());
        if after.costs.len() > MOST_COSTS {
            let many = format!("would have {} costs; expected at most {MOST_COSTS}", after.costs.len());
            return Err(Problem::fault("/costs", many));
        }
        let (put, status) = match known {
            Some(record) if before.as_ref() == Some(&after) => return Ok((record, "unchanged")),
            Some(record) => (Put::over(&record, to_json(&after)), "updated"),
            None => (Put::new(CatalogKind::Campaign, id, to_json(&after)), "created"),
        };
        if app.catalog.put(std::slice::from_ref(&put)).await? {
            return Ok((put.record, status));
        }
    }
}
