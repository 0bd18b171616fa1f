//! How a CRM's changes are read: the mappings of `POST /v1/hooks/crm/{mapping_id}`, and by what the CRM is known there.
//!
//! They are kept here, beside who is told, since both hold secrets that no other function writes; `sales-feedback`, which
//! answers the hook, reads them.

use crate::{App, request, response, secrets};
use adapters::crm::hook::Hook;
use adapters::crm::{MAPPING, mapping, secret_of};
use adapters::http::auth::{Admins, MarketingOnly};
use adapters::http::{self, Caller, JsonBody, Problem};
use adapters::ports::{Put, StoreError};
use axum::extract::{Path, State as Wired};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::crm::mapping::{Mapping, PRESETS};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::reader::Node;
use serde_json::{Value, json};

/// The most mappings that there may be.
const MOST: usize = 50;

/// Lists how CRMs tell us. Roles: marketing, admin.
#[utoipa::path(get, path = "/v1/crm/mappings", tag = "webhooks", security(("token" = ["marketing"])),
    responses((status = 200, description = "The mappings by id")))]
pub(crate) async fn list(Wired(app): Wired<App>, _: Caller<MarketingOnly>) -> Result<Response, Problem> {
    let page = app.catalog.list(MAPPING, MOST, None).await?;
    let items: Vec<Value> =
        page.items.iter().map(|record| response::mapping(&record.id, &record.body, None)).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Gives a mapping, and by what the CRM is known, without the secret. Roles: marketing, admin.
#[utoipa::path(get, path = "/v1/crm/mappings/{mapping_id}", tag = "webhooks", security(("token" = ["marketing"])),
    params(("mapping_id" = String, Path, description = "The mapping's id, as in the hook's address")),
    responses((status = 200, description = "The mapping"), (status = 404, description = "No such mapping")))]
pub(crate) async fn one(
    Wired(app): Wired<App>,
    _: Caller<MarketingOnly>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|_| missing())?;
    let (record, _) = mapping(app.catalog.as_ref(), id.as_str()).await?.ok_or_else(missing)?;
    let hook = hook(&app, id.as_str()).await?;
    Ok(http::json(StatusCode::OK, &response::mapping(id.as_str(), &record.body, Some(&hook))))
}

/// Says how a CRM's changes are read as feedback, and by what the CRM is known. Roles: admin.
///
/// A `preset`, `hubspot` or `salesforce`, has the usual rules; what is given beside it takes its place. `auth` may be left
/// out where there is one already.
#[utoipa::path(put, path = "/v1/crm/mappings/{mapping_id}", tag = "webhooks", security(("token" = [])),
    params(("mapping_id" = String, Path, description = "The mapping's id, as in the hook's address")),
    request_body(content = Value, content_type = "application/json", example = json!({"preset": "hubspot",
        "subscriber": "webhook-01jd9z3v6wq4k5xgb3v7n2c8tb",
        "auth": {"kind": "hubspot_v3", "secret": "the app's client secret", "url": "https://leads.company.example/v1/hooks/crm/hubspot"}})),
    responses((status = 200, description = "The mapping"), (status = 409, description = "There are too many"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn put(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|error| Problem::fault("", format!("the mapping's id {error}")))?;
    let (wanted, hook) = read(&body)?;
    if let Some(subscriber) = &wanted.subscriber
        && crate::find(&app, subscriber).await.is_err()
    {
        return Err(Problem::fault("/subscriber", "names no webhook; GET /v1/webhooks lists them"));
    }
    loop {
        let before = app.catalog.get(MAPPING, id.as_str()).await?;
        let mut puts = vec![match &before {
            Some(record) => Put::over(record, wanted.document().clone()),
            None => Put::new(MAPPING, id.as_str(), wanted.document().clone()),
        }];
        let hook = match (&hook, &before) {
            (Some(hook), _) => {
                let put = Put::new(secrets::KIND, secret_of(id.as_str()), hook.to_body());
                puts.push(Put { force: true, ..put });
                hook.clone()
            }
            (None, Some(_)) => self::hook(&app, id.as_str()).await?,
            (None, None) => return Err(Problem::fault("/auth", "is required: by what the CRM is known")),
        };
        if before.is_none() && app.catalog.list(MAPPING, MOST, None).await?.items.len() >= MOST {
            return Err(Problem::conflict(format!("there are {MOST} mappings already; delete one first")));
        }
        if app.catalog.put(&puts).await? {
            let shown = response::mapping(id.as_str(), wanted.document(), Some(&hook));
            return Ok(http::json(StatusCode::OK, &shown));
        }
    }
}

/// Deletes a mapping; the CRM's calls are answered with 404 from then on. Roles: admin.
#[utoipa::path(delete, path = "/v1/crm/mappings/{mapping_id}", tag = "webhooks", security(("token" = [])),
    params(("mapping_id" = String, Path, description = "The mapping's id, as in the hook's address")),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such mapping")))]
pub(crate) async fn delete(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|_| missing())?;
    mapping(app.catalog.as_ref(), id.as_str()).await?.ok_or_else(missing)?;
    // The secret last: without a mapping it opens nothing.
    app.catalog.delete(MAPPING, id.as_str()).await?;
    app.catalog.delete(secrets::KIND, &secret_of(id.as_str())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn missing() -> Problem {
    Problem::not_found("no such mapping; GET /v1/crm/mappings lists them")
}

/// Reads by what a CRM is known.
async fn hook(app: &App, id: &str) -> Result<Hook, Problem> {
    let record = app.catalog.get(secrets::KIND, &secret_of(id)).await?;
    let hook = record.and_then(|record| Hook::from_body(&record.body));
    Ok(hook.ok_or_else(|| StoreError::Damaged(format!("by what the CRM of mapping {id} is known")))?)
}

/// Reads a mapping with what stands beside it.
fn read(body: &Value) -> Result<(Mapping, Option<Hook>), Problem> {
    let faults = Faults::new();
    let mut body = body.clone();
    let auth = body.as_object_mut().and_then(|map| map.remove("auth")).filter(|auth| !auth.is_null());
    let hook = auth.as_ref().map(|auth| Hook::read(&Node::at(auth, "/auth", &faults)));
    let read = request::preset(&Node::root(&body, &faults), PRESETS, Mapping::read);
    let hook = hook.map_or(Some(None), |hook| hook.map(Some));
    faults.into_result(read.zip(hook)).map_err(Problem::invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_mapping_and_of_its_auth_is_named_at_once() {
        let body = json!({ "preset": "hubspot", "record_id": "{{", "rules": [], "auth": { "kind": "bearer", "secret": "x" } });
        let problem = read(&body).unwrap_err();
        let pointers: Vec<&str> = problem.faults().iter().map(|fault| fault.pointer.as_str()).collect();
        for pointer in ["/auth/secret", "/record_id", "/rules"] {
            assert!(pointers.contains(&pointer), "{pointer}: {pointers:?}");
        }
        let pointers = |body: Value| {
            read(&body).unwrap_err().faults().iter().map(|f| f.pointer.clone()).collect::<Vec<_>>()
        };
        assert_eq!(pointers(json!({ "preset": "x" })), ["/preset"]);
        let (mapping, hook) = read(&json!({ "preset": "hubspot", "auth": null })).unwrap();
        assert_eq!((mapping.system.as_str(), hook), ("hubspot", None));
        assert!(read(&json!([])).is_err());
    }
}
