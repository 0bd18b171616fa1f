//! `playbook`: what marketing and sales agreed on, the people it names, and the tokens they use; also the API's
//! documentation.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`request`], [`response`] – the wire; [`yaml`] – playbooks as people write them;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A version never changes once it is written.

pub mod config;
pub mod request;
pub mod response;
pub mod yaml;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog};
use adapters::http::auth::{Admins, MarketingAndSales};
use adapters::http::{self, BodyBytes, Caller, JsonBody, Problem, Query, Tokens};
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, CatalogKind, Put};
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::identity::Slug;
use domain::playbook::Playbook;
use request::PageQuery;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The API's description, generated from the code by `leadloop openapi` and held to it by a test.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// People.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// Wires the function to DynamoDB.
    pub async fn connect(config: &Config) -> Self {
        let client = dynamodb::connect(&dynamodb::sdk_config().await, &config.tables.catalog).await;
        let catalog = DynamoCatalog::new(client, config.tables.catalog.clone());
        Self::new(Arc::new(catalog), Arc::new(SystemClock))
    }

    /// Wires the function to any catalog.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self {
            playbooks: Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
            tokens: Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock))),
            catalog,
            clock,
        }
    }
}

impl FromRef<App> for Arc<Tokens> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.tokens)
    }
}

/// Gives the function's routes with their documentation.
#[must_use]
pub fn router(app: App) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(playbooks, add_playbook))
        .routes(routes!(one_playbook))
        .routes(routes!(activate))
        .routes(routes!(people))
        .routes(routes!(person, put_person))
        .routes(routes!(tokens, add_token))
        .routes(routes!(delete_token))
        .routes(routes!(openapi))
        .routes(routes!(docs))
        .routes(routes!(health))
        .with_state(app)
}

/// Lists the playbook's versions, the active one marked. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/playbooks", tag = "playbook", security(("token" = ["marketing", "sales"])),
    responses((status = 200, description = "The versions, oldest first")))]
async fn playbooks(State(app): State<App>, _: Caller<MarketingAndSales>) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    let versions = app.playbooks.list().await?;
    let items: Vec<Value> =
        versions.iter().map(|version| response::version(version, active, false)).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Takes a new version, as YAML or JSON; every fault at once where it is not valid. Roles: marketing, sales, admin.
///
/// The same content as the latest version gives that one.
#[utoipa::path(post, path = "/v1/playbooks", tag = "playbook", security(("token" = ["marketing", "sales"])),
    request_body(content((String = "application/yaml"), (Value = "application/json"))),
    responses((status = 201, description = "The version"), (status = 400, description = "Neither YAML nor JSON"),
        (status = 422, description = "Every fault, with a pointer into the document and what would be right")))]
async fn add_playbook(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    headers: HeaderMap,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let document = request::document(&headers, &bytes)?;
    match app.playbooks.add(&document, caller.name()).await? {
        Err(faults) => Err(Problem::invalid(faults)),
        Ok(stored) => {
            let active = app.playbooks.pointer().await?.map(|active| active.number);
            Ok(http::json(StatusCode::CREATED, &response::version(&stored, active, false)))
        }
    }
}

/// Gives a version with its document. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/playbooks/{version}", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = String, Path, description = "A number, or `active`")),
    responses((status = 200, description = "The version"), (status = 404, description = "No such version")))]
async fn one_playbook(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    let number = match version.as_str() {
        "active" => active,
        text => text.parse().ok(),
    };
    let missing = || Problem::not_found("no such version; GET /v1/playbooks lists them");
    let stored = app.playbooks.stored(number.ok_or_else(missing)?).await?.ok_or_else(missing)?;
    Ok(http::json(StatusCode::OK, &response::version(&stored, active, true)))
}

/// Makes a version the active one. Roles: admin.
///
/// New leads take it within 30 seconds; existing leads are brought to it by a sweep that starts a minute later.
/// Everybody whom it names must have a record under /v1/people.
#[utoipa::path(post, path = "/v1/playbooks/{version}/activate", tag = "playbook", security(("token" = [])),
    params(("version" = u32, Path, description = "The version's number")),
    responses((status = 200, description = "Active"), (status = 404, description = "No such version"),
        (status = 409, description = "Somebody else was faster, or people without a record")))]
async fn activate(
    State(app): State<App>,
    _: Caller<Admins>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("no such version; GET /v1/playbooks lists them");
    let number: u32 = version.parse().map_err(|_| missing())?;
    let stored = app.playbooks.stored(number).await?.ok_or_else(missing)?;
    let playbook = Playbook::parse(&stored.document).map_err(Problem::invalid)?;
    let mut unknown: Vec<&str> = Vec::new();
    for person in playbook.people() {
        if app.catalog.get(CatalogKind::Person, person.as_str()).await?.is_none() {
            unknown.push(person.as_str());
        }
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        return Err(Problem::conflict(format!(
            "these people have no record yet: {names}; PUT /v1/people/{{id}} makes one"
        )));
    }
    if !app.playbooks.activate(number).await? {
        let active = app.playbooks.pointer().await?.map(|active| active.number);
        if active != Some(number) {
            return Err(Problem::conflict(
                "another version was activated at the same time; look which, and try again",
            ));
        }
    }
    Ok(http::json(StatusCode::OK, &response::version(&stored, Some(number), false)))
}

/// Lists people. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/people", tag = "people", security(("token" = ["marketing", "sales"])), params(PageQuery),
    responses((status = 200, description = "The people by id")))]
async fn people(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let limit = adapters::wire::limit(query.limit, 100)?;
    let page = app
        .catalog
        .list(CatalogKind::Person, limit, query.cursor.as_deref())
        .await
        .map_err(|error| Problem::of_list(error, query.cursor.as_deref()))?;
    let items: Vec<Value> = page.items.iter().map(response::person).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": page.next })))
}

/// Gives a person's record. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/people/{person_id}", tag = "people", security(("token" = ["marketing", "sales"])),
    params(("person_id" = String, Path, description = "The person")),
    responses((status = 200, description = "The record"), (status = 404, description = "Nobody has this id")))]
async fn person(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let record = app.catalog.get(CatalogKind::Person, &id).await?;
    let record = record.ok_or_else(|| Problem::not_found("nobody has this id; GET /v1/people lists them"))?;
    Ok(http::json(StatusCode::OK, &response::person(&record)))
}

/// Writes a person's record. Roles: admin.
#[utoipa::path(put, path = "/v1/people/{person_id}", tag = "people", security(("token" = [])),
    params(("person_id" = String, Path, description = "The person")),
    request_body(content = Value, content_type = "application/json", example = json!({"name": "Anna Example",
        "email": "anna@company.example", "team": "sales", "timezone": "Europe/Vienna", "deputy": "de-1"})),
    responses((status = 200, description = "The record"), (status = 422, description = "Every fault")))]
async fn put_person(
    State(app): State<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|error| Problem::fault("/person_id", error.to_string()))?;
    let person = request::person(&body)?;
    loop {
        let put = match app.catalog.get(CatalogKind::Person, id.as_str()).await? {
            Some(record) => Put::over(&record, person.clone()),
            None => Put::new(CatalogKind::Person, id.as_str(), person.clone()),
        };
        if app.catalog.put(std::slice::from_ref(&put)).await? {
            return Ok(http::json(StatusCode::OK, &response::person(&put.record)));
        }
    }
}

/// Lists tokens, without the tokens. Roles: admin.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", security(("token" = [])),
    responses((status = 200, description = "The tokens")))]
async fn tokens(State(app): State<App>, _: Caller<Admins>) -> Result<Response, Problem> {
    let items: Vec<Value> =
        app.tokens.list().await?.iter().map(adapters::http::auth::Token::to_json).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Makes a token; it is shown this once. Roles: admin.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", security(("token" = [])),
    request_body(content = Value, content_type = "application/json",
        example = json!({"role": "sales", "holder": "at-1", "expires_at": "2027-12-31T00:00:00Z"})),
    responses((status = 201, description = "The token"), (status = 422, description = "Every fault")))]
async fn add_token(
    State(app): State<App>,
    _: Caller<Admins>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (role, holder, expires_at) = request::token(&body, app.clock.now())?;
    let (secret, token) = app.tokens.create(role, &holder, expires_at).await?;
    let mut json = token.to_json();
    if let Some(map) = json.as_object_mut() {
        map.insert("token".to_owned(), secret.into());
    }
    Ok(http::json(StatusCode::CREATED, &json))
}

/// Deletes a token; it works for at most 30 seconds more. Roles: admin.
#[utoipa::path(delete, path = "/v1/tokens/{token_id}", tag = "tokens", security(("token" = [])),
    params(("token_id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such token")))]
async fn delete_token(
    State(app): State<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    if app.tokens.delete(&id).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::not_found("no such token; GET /v1/tokens lists them"))
    }
}

/// Gives this description of the API, OpenAPI 3.1.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1")))]
async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

/// Shows the description of the API as a page.
#[utoipa::path(get, path = "/docs", tag = "about", responses((status = 200, description = "A page")))]
async fn docs() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}

/// Tells that the function answers.
#[utoipa::path(get, path = "/health", tag = "about", responses((status = 200, description = "It does")))]
async fn health() -> Response {
    http::json(StatusCode::OK, &json!({ "status": "ok" }))
}
