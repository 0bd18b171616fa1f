//! `playbook`: what marketing and sales agree on and how they do, the people it names, and the tokens they use; also how
//! far long work is, and the API's documentation.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`campaigns`] – campaigns and what they cost;
//! * [`request`], [`response`] – the wire; [`yaml`] – playbooks as people write them;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A version's content never changes once it is written, and none goes live without the keys that it needs.

pub mod campaigns;
pub mod config;
pub mod request;
pub mod response;
pub mod yaml;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog};
use adapters::http::auth::{Admins, MarketingAndSales};
use adapters::http::{self, BodyBytes, Caller, JsonBody, Problem, Query, Role, Tokens};
use adapters::jobs::{JobKind, JobStatus, Jobs};
use adapters::playbooks::{NotActivated, Playbooks, Stored};
use adapters::ports::{Catalog, CatalogKind, Put, Record};
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::agreement::SignOff;
use domain::attribute::AttributeName;
use domain::identity::Slug;
use domain::playbook::Playbook;
use domain::stage::Team;
use request::{CommentQuery, DiffQuery, PageQuery};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The API's description, generated from the code by `leadloop openapi` and held to it by a test.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");
/// The JSON Schema of playbooks, held to their reader by a test.
pub const SCHEMA: &str = include_str!("playbook.schema.json");

/// The longest id of a job or a person, in bytes.
const LONGEST_ID: usize = 200;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// People.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Sweeps, backtests, suggestions.
    pub jobs: Jobs,
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
            jobs: Jobs::new(Arc::clone(&catalog), Arc::clone(&clock)),
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
        .routes(routes!(diff))
        .routes(routes!(propose))
        .routes(routes!(sign, withdraw))
        .routes(routes!(activate))
        .routes(routes!(schema))
        .routes(routes!(go_live))
        .routes(routes!(job))
        .routes(routes!(attributes))
        .routes(routes!(put_attribute))
        .routes(routes!(campaigns::campaigns, campaigns::add_campaigns))
        .routes(routes!(campaigns::campaign, campaigns::put_campaign))
        .routes(routes!(people))
        .routes(routes!(person, put_person))
        .routes(routes!(tokens, add_token))
        .routes(routes!(delete_token))
        .routes(routes!(openapi))
        .routes(routes!(docs))
        .routes(routes!(health))
        .with_state(app)
}

/// Lists the playbook's versions. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/playbooks", tag = "playbook", security(("token" = ["marketing", "sales"])),
    responses((status = 200, description = "The versions, oldest first, each with its status (draft, proposed, active, retired), its sign-offs and the SHA-256 of its content")))]
async fn playbooks(State(app): State<App>, _: Caller<MarketingAndSales>) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    let versions = app.playbooks.list().await?;
    let items: Vec<Value> = versions.iter().map(|version| response::version(version, active)).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Takes a new version, as YAML or JSON; every fault at once where it is not valid. Roles: marketing, sales, admin.
///
/// It is a draft. The same content as the latest version gives that one; any edit is a version of its own, which nobody
/// has signed.
#[utoipa::path(post, path = "/v1/playbooks", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(CommentQuery),
    request_body(content((String = "application/yaml"), (Value = "application/json"))),
    responses((status = 201, description = "The version"), (status = 400, description = "Neither YAML nor JSON"),
        (status = 422, description = "Every fault, with a pointer into the document and what would be right")))]
async fn add_playbook(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    headers: HeaderMap,
    Query(query): Query<CommentQuery>,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let document = request::document(&headers, &bytes)?;
    let comment = request::comment(query.comment.as_deref())?;
    match app.playbooks.add(&document, caller.name(), comment).await? {
        Err(faults) => Err(Problem::invalid(faults)),
        Ok(stored) => {
            let active = app.playbooks.pointer().await?.map(|active| active.number);
            Ok(http::json(StatusCode::CREATED, &response::version(&stored, active)))
        }
    }
}

/// Gives a version with its document. Roles: marketing, sales, admin.
///
/// `needs` says whose sign-off it needs against the active version; `sweep` how far existing leads are with it.
#[utoipa::path(get, path = "/v1/playbooks/{version}", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = String, Path, description = "A number, or `active`")),
    responses((status = 200, description = "The version"), (status = 404, description = "No such version")))]
async fn one_playbook(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    let stored = find(&app, &version, active).await?;
    whole(&app, &stored, active).await
}

/// Finds a version by its number or as the active one.
async fn find(app: &App, version: &str, active: Option<u32>) -> Result<Stored, Problem> {
    let number = match version {
        "active" => active,
        text => text.parse().ok(),
    };
    app.playbooks.stored(number.ok_or_else(missing)?).await?.ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("no such version; GET /v1/playbooks lists them")
}

fn number_of(version: &str) -> Result<u32, Problem> {
    version.parse().map_err(|_| missing())
}

async fn whole(app: &App, stored: &Stored, active: Option<u32>) -> Result<Response, Problem> {
    let agree = app.playbooks.agree(&stored.document).await?;
    let sweep = match stored.history.get("sweep").and_then(Value::as_str) {
        Some(id) => app.jobs.get(id).await?,
        None => None,
    };
    let json = response::whole_version(stored, active, agree, sweep.as_ref());
    Ok(http::json(StatusCode::OK, &json))
}

/// Says in words what changed between two versions, and who has to agree to it. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/playbooks/{version}/diff", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = String, Path, description = "A number, or `active`"), DiffQuery),
    responses((status = 200, description = "The differences: `both` are those that marketing and sales agree to, `marketing` those that are marketing's own; `needs` lists the teams whose sign-off they need"),
        (status = 404, description = "No such version")))]
async fn diff(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(version): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    let to = find(&app, &version, active).await?;
    let from = match (query.from.as_deref(), active) {
        (None, None) => None,
        (from, _) => Some(find(&app, from.unwrap_or("active"), active).await?),
    };
    let before = from.as_ref().map_or(&Value::Null, |from| &from.document);
    let differences = domain::playbook::diff::diff(before, &to.document);
    let agree = domain::agreement::agree(&differences);
    let json = response::differences(from.map(|from| from.number), to.number, agree, &differences);
    Ok(http::json(StatusCode::OK, &json))
}

/// Asks marketing and sales to sign a version: a draft, or a retired one to go back to. Roles: marketing, sales, admin.
///
/// Going back is agreeing anew: signatures of an earlier round stay in its history and open nothing.
#[utoipa::path(post, path = "/v1/playbooks/{version}/propose", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = u32, Path, description = "The version's number")),
    responses((status = 200, description = "Proposed"), (status = 404, description = "No such version"),
        (status = 409, description = "It is active")))]
async fn propose(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let proposed = app.playbooks.propose(number_of(&version)?, caller.name()).await?.ok_or_else(missing)?;
    let stored = proposed.map_err(|refusal| Problem::conflict(refusal.to_string()))?;
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    whole(&app, &stored, active).await
}

/// Signs a proposed version for the team of the token. Roles: marketing, sales.
///
/// A sign-off holds for exactly this content, and as long as the version stays active that is so now. It notes the backtest that the signer had been shown, if they name it. An
/// admin's token belongs to neither team and opens nothing.
#[utoipa::path(post, path = "/v1/playbooks/{version}/signoffs", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = u32, Path, description = "The version's number")),
    request_body(content = Option<Value>, content_type = "application/json",
        example = json!({"comment": "As we discussed on Tuesday."})),
    responses((status = 200, description = "Signed"), (status = 403, description = "The token belongs to neither team"),
        (status = 404, description = "No such version"),
        (status = 409, description = "It is not proposed, has another content than `sha256` says, or the same person signed for the other team"),
        (status = 422, description = "Every fault")))]
async fn sign(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(version): Path<String>,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let number = number_of(&version)?;
    let team = match caller.token.role {
        Role::Marketing => Team::Marketing,
        Role::Sales => Team::Sales,
        Role::Admin | Role::Capture => {
            let detail =
                "an admin signs for neither team; a marketing token and a sales token of two people do";
            return Err(Problem::forbidden(detail));
        }
    };
    let signed = request::signature(&bytes)?;
    let stored = app.playbooks.stored(number).await?.ok_or_else(missing)?;
    let backtest = match &signed.backtest {
        Some(id) => Some(shown(&app, id, &stored.hash).await?),
        None => None,
    };
    let against = app.playbooks.pointer().await?.map(|active| active.number);
    let sign_off = SignOff {
        team,
        against,
        holder: caller.name().to_owned(),
        at: app.clock.now(),
        hash: signed.hash.unwrap_or_else(|| stored.hash.clone()),
        backtest,
        comment: signed.comment,
    };
    let signed = app.playbooks.sign(number, &sign_off).await?.ok_or_else(missing)?;
    let stored = signed.map_err(|refusal| Problem::conflict(refusal.to_string()))?;
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    whole(&app, &stored, active).await
}

/// Takes back what the token's holder signed under a proposed version. Roles: marketing, sales.
#[utoipa::path(delete, path = "/v1/playbooks/{version}/signoffs", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = u32, Path, description = "The version's number")),
    responses((status = 200, description = "Taken back, if there was one"), (status = 404, description = "No such version"),
        (status = 409, description = "It no longer waits for signatures")))]
async fn withdraw(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let withdrawn = app.playbooks.withdraw(number_of(&version)?, caller.name()).await?.ok_or_else(missing)?;
    let stored = withdrawn.map_err(|refusal| Problem::conflict(refusal.to_string()))?;
    let active = app.playbooks.pointer().await?.map(|active| active.number);
    whole(&app, &stored, active).await
}

/// Gives what a signer had been shown of a backtest. Its figures stay with the signature, since the job, with its sample of
/// leads, is forgotten within a week.
async fn shown(app: &App, id: &str, hash: &str) -> Result<Value, Problem> {
    let job = if id.len() > LONGEST_ID { None } else { app.jobs.get(id).await? };
    let job = job.filter(|job| job.kind == JobKind::Backtest);
    let job = job.ok_or_else(|| Problem::fault("/backtest", "names no backtest; expected the id of one"))?;
    if job.request.get("sha256").and_then(Value::as_str) != Some(hash) {
        return Err(Problem::fault("/backtest", "was about another content than this version's"));
    }
    if job.status != JobStatus::Done {
        return Err(Problem::fault("/backtest", "is not done yet; look at its result before you sign"));
    }
    Ok(response::shown(&job))
}

/// Makes a proposed version the active one, if everybody signed whose sign-off its changes need. Roles: marketing, sales,
/// admin.
///
/// New leads take it within 30 seconds; existing leads are brought to it by a sweep that starts a minute later. Those that
/// it makes ready go to sales best first, as many a day as their owners can answer. Everybody whom it names must have a
/// record under /v1/people.
#[utoipa::path(post, path = "/v1/playbooks/{version}/activate", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("version" = u32, Path, description = "The version's number")),
    responses((status = 200, description = "Active"), (status = 404, description = "No such version"),
        (status = 409, description = "A sign-off is missing, somebody else was faster, or people without a record")))]
async fn activate(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(version): Path<String>,
) -> Result<Response, Problem> {
    let number = number_of(&version)?;
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
    match app.playbooks.activate(number, caller.name()).await? {
        Ok(stored) => whole(&app, &stored, Some(number)).await,
        Err(NotActivated::Missing) => Err(missing()),
        Err(NotActivated::Refused(refusal)) => Err(Problem::conflict(refusal.to_string())),
        Err(NotActivated::Raced) => Err(Problem::conflict(
            "another version was activated at the same time; look which, and propose again what is still wanted",
        )),
    }
}

/// Gives the JSON Schema of playbooks.
#[utoipa::path(get, path = "/v1/schemas/playbook.json", tag = "playbook",
    responses((status = 200, description = "JSON Schema, draft 2020-12", content_type = "application/schema+json")))]
async fn schema() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"))], SCHEMA).into_response()
}

/// Lets the leads that are ready and were never handed off go to sales, best first, as many a day as their owners can
/// answer. Roles: admin.
///
/// For the day after an import of history, which by itself hands nothing off.
#[utoipa::path(post, path = "/v1/go-live", tag = "playbook", security(("token" = [])),
    responses((status = 202, description = "The job that looks at every lead; GET /v1/jobs/{job_id} tells how far it is"),
        (status = 409, description = "No playbook is active")))]
async fn go_live(State(app): State<App>, _: Caller<Admins>) -> Result<Response, Problem> {
    let active = app.playbooks.pointer().await?;
    let active =
        active.ok_or_else(|| Problem::conflict("no playbook is active that could say who is ready"))?;
    let put = adapters::jobs::go_live(active.number, app.clock.now());
    let id = put.record.id.clone();
    // One of this id was asked for in the same millisecond.
    let _is_new = app.catalog.put(&[put]).await?;
    one_job(&app, &id, StatusCode::ACCEPTED).await
}

/// Tells how far long work is, and gives its result once it is done. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/jobs/{job_id}", tag = "about", security(("token" = ["marketing", "sales"])),
    params(("job_id" = String, Path, description = "The job, as the answer that started it names it")),
    responses((status = 200, description = "Its `status` is waiting, running, done or failed"), (status = 404, description = "No such job")))]
async fn job(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    one_job(&app, &id, StatusCode::OK).await
}

async fn one_job(app: &App, id: &str, status: StatusCode) -> Result<Response, Problem> {
    // Ids are short; a key that DynamoDB would refuse is nobody's.
    let job = if id.len() > LONGEST_ID { None } else { app.jobs.get(id).await? };
    let job =
        job.ok_or_else(|| Problem::not_found("no job has this id; finished ones are kept for a week"))?;
    Ok(http::json(status, &adapters::wire::job_json(&job)))
}

/// Lists what was declared about attributes. Roles: marketing, sales, admin.
#[utoipa::path(get, path = "/v1/attributes", tag = "playbook", security(("token" = ["marketing", "sales"])),
    responses((status = 200, description = "The declarations by name")))]
async fn attributes(State(app): State<App>, _: Caller<MarketingAndSales>) -> Result<Response, Problem> {
    let declared = adapters::attributes::declared(app.catalog.as_ref()).await?;
    let items: Vec<Value> = declared.iter().map(|(name, body)| response::attribute(name, body)).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Declares when an attribute's values are known, for values that do not say it themselves. Roles: marketing, sales, admin.
///
/// A backtest leaves out what nobody knows the time of: a value that sales wrote after the outcome makes any rule look
/// good. Who declares an attribute known at capture vouches for it, and stands in the record.
#[utoipa::path(put, path = "/v1/attributes/{name}", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("name" = String, Path, description = "The attribute")),
    request_body(content = Value, content_type = "application/json",
        example = json!({"known_at_capture": true, "comment": "A field of the form since 2015."})),
    responses((status = 200, description = "The declaration"), (status = 422, description = "Every fault")))]
async fn put_attribute(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let name = AttributeName::parse(&name).map_err(|error| Problem::fault("/name", error))?;
    let said = request::declaration(&body, caller.name(), app.clock.now())?;
    let record =
        write(&app, CatalogKind::Attribute, name.as_str(), |before| request::over(before, &said)).await?;
    Ok(http::json(StatusCode::OK, &response::attribute(name.as_str(), &record.body)))
}

/// Writes a record on top of what was there before.
async fn write(
    app: &App,
    kind: CatalogKind,
    id: &str,
    body: impl Fn(Option<&Value>) -> Value,
) -> Result<Record, Problem> {
    loop {
        let put = match app.catalog.get(kind, id).await? {
            Some(record) => Put::over(&record, body(Some(&record.body))),
            None => Put::new(kind, id, body(None)),
        };
        if app.catalog.put(std::slice::from_ref(&put)).await? {
            return Ok(put.record);
        }
    }
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
    let record = if id.len() > LONGEST_ID { None } else { app.catalog.get(CatalogKind::Person, &id).await? };
    let record = record.ok_or_else(|| Problem::not_found("nobody has this id; GET /v1/people lists them"))?;
    Ok(http::json(StatusCode::OK, &response::person(&record)))
}

/// Writes a person's record. Roles: admin.
#[utoipa::path(put, path = "/v1/people/{person_id}", tag = "people", security(("token" = [])),
    params(("person_id" = String, Path, description = "The person")),
    request_body(content = Value, content_type = "application/json", example = json!({"name": "Anna Example",
        "email": "anna@company.example", "team": "sales", "timezone": "Europe/Vienna", "deputy": "de-1",
        "working_hours": {"monday": ["09:00-12:00", "13:00-17:00"], "tuesday": "09:00-17:00"},
        "holidays": ["2026-12-25"], "absences": [{"from": "2026-07-06", "through": "2026-07-17"}],
        "daily_capacity": 20, "open_capacity": 60, "left_at": "2027-12-31T17:00:00Z"})),
    responses((status = 200, description = "The record"), (status = 422, description = "Every fault")))]
async fn put_person(
    State(app): State<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = Slug::parse(&id).map_err(|error| Problem::fault("/person_id", error.to_string()))?;
    let person = request::person(&body)?;
    let record = write(&app, CatalogKind::Person, id.as_str(), |_| person.clone()).await?;
    Ok(http::json(StatusCode::OK, &response::person(&record)))
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
