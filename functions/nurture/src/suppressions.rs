//! The list of addresses that nobody may write to, for people and imports: put onto it, looked up, taken off.
//!
//! Anything may put an address there; only people take one off, and say why. An address never stands in a link: it is sent.

use crate::App;
use adapters::http::auth::MarketingOnly;
use adapters::http::{self, Caller, JsonBody, Problem};
use adapters::people::is_person;
use adapters::suppressions::{self, Done, Lifted, Suppression};
use adapters::wire;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::fault::Faults;
use domain::identity::{Email, Slug};
use domain::reader::Node;
use domain::suppression::Reason;
use domain::time::Timestamp;
use futures::StreamExt;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many addresses of one request are written beside each other.
const BESIDE: usize = 16;
/// The longest source and the longest reason to lift, in characters.
const LONGEST: usize = 300;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(add)).routes(routes!(look_up)).routes(routes!(lift))
}

/// Puts one address onto the list of those that nobody may write to, or up to 100 as `{"suppressions": […]}`, each with its own
/// result.
///
/// Kept is a hash. A lead that has the address hears of it at once: `unsubscribed` and `complained` withdraw its consent to
/// marketing, `legal` all that it agreed to; `bounced` and `other` withdraw nothing. Of several reasons the weightiest counts.
/// `at` says since when, for people to read: it counts from now on. Sent again with the same `at` it is the same statement and changes
/// nothing; with a later one, or none, it is a later no. Roles: marketing, admin.
#[utoipa::path(post, path = "/v1/suppressions", tag = "consent", security(("token" = ["marketing"])),
    request_body(content = Value, content_type = "application/json", example = json!({"suppressions": [
        {"email": "ada@company.example", "reason": "unsubscribed", "at": "2024-05-01T12:00:00Z", "source": "The tool before"}]})),
    responses((status = 200, description = "What became of it, or a result for each in the order sent: created, updated, unchanged or rejected"),
        (status = 422, description = "Every fault")))]
async fn add(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (now, by) = (app.clock.now(), caller.name());
    if body.get("suppressions").is_none() {
        let (address, suppression) = wire::one(&body, |node| read(node, by, now))?;
        return Ok(http::json(StatusCode::OK, &put(&app, &address, &suppression).await?));
    }
    let values = envelope(&body)?;
    let results: Vec<Value> = futures::stream::iter(values.into_iter().map(|value| {
        let app = &app;
        async move {
            let done = match wire::one(&value, |node| read(node, by, now)) {
                Ok((address, suppression)) => put(app, &address, &suppression).await,
                Err(problem) => Err(problem),
            };
            done.unwrap_or_else(|problem| json!({ "status": "rejected", "problem": problem.to_json() }))
        }
    }))
    .buffered(BESIDE)
    .collect()
    .await;
    Ok(http::json(StatusCode::OK, &json!({ "results": results })))
}

fn envelope(body: &Value) -> Result<Vec<Value>, Problem> {
    let faults = Faults::new();
    let values = Node::root(body, &faults).object().and_then(|object| {
        let items = wire::items(&object, "suppressions");
        object.finish();
        items.map(|items| items.iter().map(|node| node.value().clone()).collect::<Vec<_>>())
    });
    faults.into_result(values).map_err(Problem::invalid)
}

fn read(node: &Node<'_>, by: &str, now: Timestamp) -> Option<(Email, Suppression)> {
    let object = node.object()?;
    let address = object.required("email").and_then(|node| node.parsed(Email::parse));
    let reason = object.required("reason").and_then(|node| node.one_of(Reason::WORDS));
    let since = match object.optional("at") {
        Some(node) => wire::time(&node, now),
        None => Some(now),
    };
    let source = object.optional("source").and_then(|node| node.text(LONGEST).map(str::to_owned));
    object.finish();
    let suppression = Suppression {
        reason: reason?,
        since: since?,
        recorded_at: now,
        by: by.to_owned(),
        source,
        lifted: None,
    };
    Some((address?, suppression))
}

async fn put(app: &App, address: &Email, suppression: &Suppression) -> Result<Value, Problem> {
    let done = suppressions::suppress(app.catalog.as_ref(), &app.write_path, address, suppression).await?;
    let stood = done.before.as_ref().filter(|before| before.lifted.is_none() || before.settles(suppression));
    let status = match stood {
        None => "created",
        Some(before) if before.settles(suppression) => "unchanged",
        Some(before) if before.covers(suppression) && !done.heard => "unchanged",
        Some(_) => "updated",
    };
    Ok(json!({ "status": status, "lead_id": done.lead.as_ref().map(|id| id.as_str()) }))
}

/// Tells what the list says of an address: nothing where there are no items. What was taken off stays, with why.
/// Roles: marketing, sales, admin.
#[utoipa::path(post, path = "/v1/suppressions/lookup", tag = "consent", security(("token" = ["marketing", "sales"])),
    request_body(content = Value, content_type = "application/json", example = json!({"email": "ada@company.example"})),
    responses((status = 200, description = "What the list says"), (status = 422, description = "Every fault")))]
async fn look_up(
    State(app): State<App>,
    _caller: Caller<http::auth::MarketingAndSales>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let address = wire::one(&body, |node| {
        let object = node.object()?;
        let address = object.required("email").and_then(|node| node.parsed(Email::parse));
        object.finish();
        address
    })?;
    let found = suppressions::find(app.catalog.as_ref(), &address).await?;
    let items: Vec<Value> = found.iter().map(Suppression::to_json).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items })))
}

/// Takes an address off the list, with why; a person does that, not a system.
///
/// What was withdrawn stays withdrawn: whoever wants to be written to agrees anew. Roles: marketing, admin.
#[utoipa::path(post, path = "/v1/suppressions/lift", tag = "consent", security(("token" = ["marketing"])),
    request_body(content = Value, content_type = "application/json",
        example = json!({"email": "ada@company.example", "because": "She called: the mailbox is back"})),
    responses((status = 200, description = "Taken off, or off before"), (status = 403, description = "The token belongs to no person"),
        (status = 404, description = "The address was never on the list"), (status = 422, description = "Every fault")))]
async fn lift(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (address, because) = wire::one(&body, |node| {
        let object = node.object()?;
        let address = object.required("email").and_then(|node| node.parsed(Email::parse));
        let because = object.required("because").and_then(|node| node.text(LONGEST).map(str::to_owned));
        object.finish();
        Some((address?, because?))
    })?;
    let playbook = app.playbooks.active().await?.playbook;
    match Slug::parse(caller.name()) {
        Ok(person) if is_person(app.catalog.as_ref(), &playbook, &person).await? => {}
        _ => {
            return Err(Problem::forbidden(
                "an address is taken off the list by a person; this token belongs to none",
            ));
        }
    }
    let how = Lifted { at: app.clock.now(), by: caller.name().to_owned(), because };
    let done = suppressions::lift(app.catalog.as_ref(), &app.write_path, &address, &how).await?;
    let Done { before, lead, heard } = done;
    let status = match &before {
        None if !heard => return Err(Problem::not_found("this address was never on the list")),
        Some(before) if before.lifted.is_some() && !heard => "unchanged",
        _ => "updated",
    };
    Ok(http::json(
        StatusCode::OK,
        &json!({ "status": status, "lead_id": lead.as_ref().map(|id| id.as_str()) }),
    ))
}
