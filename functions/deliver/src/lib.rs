//! `deliver`: who outside is told what happened, and the telling.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`queue`] – the messages of the queue, each to its webhook; [`crm`] – to one that is a CRM;
//! * [`mappings`] – how CRMs tell us;
//! * [`post`] – one message over one connection to one address that was checked; [`signature`] – Standard Webhooks;
//!   [`secrets`] – what signs, and how it is changed;
//! * [`request`], [`response`] – the wire; [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A message leaves the queue only when its receiver took it or it stands among the dead letters, and nothing is ever sent
//! to an address that was not checked.

pub mod config;
pub mod crm;
pub mod mappings;
pub mod post;
pub mod queue;
pub mod request;
pub mod response;
pub mod secrets;
pub mod signature;

pub use config::Config;

use adapters::clock::{self, Clock, SystemClock};
use adapters::cloud_event::CloudEvent;
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::http::auth::Admins;
use adapters::http::{self, BodyBytes, Caller, JsonBody, Problem, Tokens};
use adapters::playbooks::Playbooks;
use adapters::ports::{
    AT_ONCE, Catalog, LeadStore, MessageHolder, MessageSender, MessageTaker, Put, Record, Taken,
};
use adapters::sqs::SqsQueue;
use adapters::webhooks::{self, Delivery};
use adapters::write_path::WritePath;
use axum::extract::{FromRef, Path, State as Wired};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::identity::LeadId;
use domain::webhook::{Health, State, Webhook};
use post::Poster;
use request::Wanted;
use secrets::Secrets;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The JSON Schema of the events, held by tests to what is sent and to the documentation.
pub const SCHEMA: &str = include_str!("events.schema.json");

/// The longest id of a webhook, in bytes.
const LONGEST_ID: usize = 200;
/// The most webhooks that there may be: each gets a message of its own for each event.
const MOST: usize = 50;
/// How often a replay looks for dead letters within one request, which has to end within 29 seconds.
const LOOKS: u32 = 10;

/// What the function needs.
#[derive(Clone, Debug)]
pub struct App {
    /// Webhooks and their secrets.
    pub catalog: Arc<dyn Catalog>,
    /// The leads that CRMs are told of.
    pub leads: Arc<dyn LeadStore>,
    /// Records the ids that CRMs give them.
    pub write_path: WritePath,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// The queue, to send once more what was set aside.
    pub queue: Arc<dyn MessageSender>,
    /// The queue, where messages wait.
    pub holder: Arc<dyn MessageHolder>,
    /// The dead letters, to set a message aside.
    pub dead_letters_in: Arc<dyn MessageSender>,
    /// The dead letters, to fetch them back.
    pub dead_letters_out: Arc<dyn MessageTaker>,
    /// Sends.
    pub poster: Poster,
    /// How this installation calls itself.
    pub source: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: fn() -> u64,
}

impl App {
    /// Wires the function to AWS.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let leads = Arc::new(DynamoLeadStore::new(client.clone(), config.tables.clone()));
        let catalog = Arc::new(DynamoCatalog::new(client, config.tables.catalog.clone()));
        let sqs = adapters::sqs::client(&sdk);
        let queue = SqsQueue::new(sqs.clone(), config.queue.clone());
        let dead_letters = SqsQueue::new(sqs, config.dead_letters.clone());
        let poster = Poster::new(config.loopback);
        let clock = Arc::new(SystemClock);
        Self::new(leads, catalog, queue, dead_letters, poster, config.source.clone(), clock)
    }

    /// Wires the function to any store and any queues.
    #[must_use]
    pub fn new<Q>(
        leads: Arc<dyn LeadStore>,
        catalog: Arc<dyn Catalog>,
        queue: Q,
        dead_letters: Q,
        poster: Poster,
        source: String,
        clock: Arc<dyn Clock>,
    ) -> Self
    where
        Q: MessageSender + MessageHolder + MessageTaker + 'static,
    {
        let (queue, dead_letters) = (Arc::new(queue), Arc::new(dead_letters));
        Self {
            tokens: Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock))),
            write_path: WritePath::new(
                Arc::clone(&leads),
                Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
                Arc::clone(&clock),
            ),
            leads,
            catalog,
            queue: queue.clone(),
            holder: queue,
            dead_letters_in: dead_letters.clone(),
            dead_letters_out: dead_letters,
            poster,
            source,
            clock,
            chance: clock::chance,
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
        .routes(routes!(list, add))
        .routes(routes!(one, put, delete))
        .routes(routes!(rotate))
        .routes(routes!(test))
        .routes(routes!(replay))
        .routes(routes!(forget))
        .routes(routes!(schema))
        .routes(routes!(mappings::list))
        .routes(routes!(mappings::one, mappings::put, mappings::delete))
        .with_state(app)
}

/// Lists the webhooks, each with how its receiver does. Roles: admin.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", security(("token" = [])),
    responses((status = 200, description = "The webhooks by id; `state` is `on`, `paused` by a person, or `switched_off`, where `switched_off` says when and why")))]
async fn list(Wired(app): Wired<App>, _: Caller<Admins>) -> Result<Response, Problem> {
    let all = webhooks::all(app.catalog.as_ref()).await?;
    let items: Vec<Value> = all.iter().map(response::webhook).collect();
    Ok(http::json(StatusCode::OK, &json!({ "items": items, "next_cursor": null })))
}

/// Registers a webhook, whose secret is shown this once, or a CRM. Roles: admin.
///
/// From then on each event of the named types is posted to the URL as a CloudEvent, signed by Standard Webhooks: at least
/// once, in no particular order, under the same id each time. With `crm` instead of a URL each event makes or changes the
/// lead's record in that CRM: `{"crm": {"preset": "hubspot_contacts"}, "auth": {"kind": "bearer", "token": "…"}}`.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", security(("token" = [])),
    request_body(content = Value, content_type = "application/json", example = json!({"url": "https://hooks.example/leads",
        "types": ["leadloop.lead.handed_off", "leadloop.lead.outcome"], "description": "The data warehouse"})),
    responses((status = 201, description = "The webhook with its secret"), (status = 409, description = "There are too many"),
        (status = 422, description = "Every fault")))]
async fn add(
    Wired(app): Wired<App>,
    caller: Caller<Admins>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wanted = request::webhook(&body, app.poster.reaches_loopback())?;
    if webhooks::all(app.catalog.as_ref()).await?.len() >= MOST {
        return Err(Problem::conflict(format!("there are {MOST} webhooks already; delete one first")));
    }
    let now = app.clock.now();
    let webhook = Webhook {
        id: format!("webhook-{}", clock::new_lead_id()),
        url: wanted.url,
        crm: wanted.crm,
        kinds: wanted.kinds,
        description: wanted.description,
        state: if wanted.paused { State::Paused } else { State::On },
        health: Health::default(),
        created_at: now,
        created_by: caller.name().to_owned(),
    };
    let record = Put::new(webhooks::KIND, webhook.id.clone(), webhooks::to_body(&webhook));
    if webhook.crm.is_some() {
        let detail = "is required: with what we show the CRM who we are";
        let auth = wanted.auth.ok_or_else(|| Problem::fault("/auth", detail))?;
        if !app.catalog.put(&[record, auth.put(&webhook.id)]).await? {
            return Err(Problem::busy());
        }
        return Ok(http::json(StatusCode::CREATED, &response::with_auth(&webhook, &auth)));
    }
    let secrets = Secrets::fresh(now);
    if !app.catalog.put(&[record, secrets.put(&webhook.id)]).await? {
        return Err(Problem::busy());
    }
    Ok(http::json(StatusCode::CREATED, &response::with_secret(&webhook, &secrets)))
}

/// Gives a webhook, and how its receiver does. Roles: admin.
#[utoipa::path(get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook"), (status = 404, description = "No such webhook")))]
async fn one(Wired(app): Wired<App>, _: Caller<Admins>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, webhook) = find(&app, &id).await?;
    if webhook.crm.is_some() {
        let auth = crm::auth::read(app.catalog.as_ref(), &id).await?;
        return Ok(http::json(StatusCode::OK, &response::with_auth(&webhook, &auth)));
    }
    Ok(http::json(StatusCode::OK, &response::webhook(&webhook)))
}

/// Changes a webhook; one that was switched off is on again. Roles: admin.
///
/// What was set aside while it was off comes with `POST …/replay`.
#[utoipa::path(put, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    request_body(content = Value, content_type = "application/json",
        example = json!({"url": "https://hooks.example/leads", "paused": false})),
    responses((status = 200, description = "The webhook"), (status = 404, description = "No such webhook"),
        (status = 422, description = "Every fault")))]
async fn put(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wanted = request::webhook(&body, app.poster.reaches_loopback())?;
    loop {
        let (record, before) = find(&app, &id).await?;
        if before.crm.is_some() != wanted.crm.is_some() {
            return Err(Problem::conflict("a CRM stays a CRM and a webhook a webhook; register another one"));
        }
        let webhook = changed(&before, &wanted);
        let mut puts = vec![Put::over(&record, webhooks::to_body(&webhook))];
        puts.extend(wanted.auth.as_ref().map(|auth| auth.put(&id)));
        if app.catalog.put(&puts).await? {
            return Ok(http::json(StatusCode::OK, &response::webhook(&webhook)));
        }
    }
}

/// Gives a webhook as a person wants it. Its days of failing begin anew, since they may just have mended it.
fn changed(before: &Webhook, wanted: &Wanted) -> Webhook {
    Webhook {
        url: wanted.url.clone(),
        crm: wanted.crm.clone(),
        kinds: wanted.kinds.clone(),
        description: wanted.description.clone(),
        state: if wanted.paused { State::Paused } else { State::On },
        health: Health { failing_since: None, ..before.health.clone() },
        ..before.clone()
    }
}

/// Deletes a webhook with its secrets; messages on their way to it are dropped. Roles: admin.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such webhook")))]
async fn delete(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    find(&app, &id).await?;
    // Secrets first: whoever gets no answer sends the same again and finds the webhook still there.
    app.catalog.delete(secrets::KIND, &crm::auth::token_id(&id)).await?;
    app.catalog.delete(secrets::KIND, &id).await?;
    app.catalog.delete(webhooks::KIND, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes a new secret, shown this once; the old one signs beside it for a day. Roles: admin.
///
/// `old_signs_hours` says for how long instead, 0 to 168. While both sign, a receiver may know either.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/rotate", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    request_body(content = Option<Value>, content_type = "application/json", example = json!({"old_signs_hours": 48})),
    responses((status = 200, description = "The webhook with its new secret"), (status = 404, description = "No such webhook"),
        (status = 409, description = "Too many secrets sign side by side already"), (status = 422, description = "Every fault")))]
async fn rotate(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let ends_at = request::old_ends_at(&bytes, now)?;
    let (_, webhook) = find(&app, &id).await?;
    if webhook.crm.is_some() {
        return Err(Problem::conflict("a CRM knows us by its own credentials; PUT other ones as \"auth\""));
    }
    loop {
        let (record, secrets) = secrets::read(app.catalog.as_ref(), &id).await?;
        let secrets = secrets.rotated(now, ends_at).ok_or_else(|| {
            let most = secrets::MOST;
            Problem::conflict(format!(
                "{most} secrets sign already; wait for one to end, or let the old ones end now"
            ))
        })?;
        let put = Put::over(&record, secrets.to_body());
        if app.catalog.put(std::slice::from_ref(&put)).await? {
            return Ok(http::json(StatusCode::OK, &response::with_secret(&webhook, &secrets)));
        }
    }
}

/// Sends a test event at once and tells what came of it. Roles: admin.
///
/// It is sent whatever the webhook's state is, once, and changes nothing about it. In a CRM nothing is made: it is asked for
/// somebody who is made up, and `would_send` says what would be written.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/test", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "`delivered`, the `status` of the answer where there was one, and `how` it went in words"),
        (status = 404, description = "No such webhook")))]
async fn test(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (_, webhook) = find(&app, &id).await?;
    if let Some(document) = &webhook.crm {
        return Ok(http::json(StatusCode::OK, &crm::test(&app, &webhook, document).await?));
    }
    let event = CloudEvent::test(&id, &app.source, app.clock.now());
    let sent = queue::send(&app, &webhook, &event.to_json()).await?;
    Ok(http::json(StatusCode::OK, &response::tried(&event.id, &sent)))
}

/// Sends once more what was set aside for a webhook. Roles: admin.
///
/// Dead letters are kept for 14 days. `more` says that there may be others: ask again after a minute.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "How many were `replayed`, and whether there may be `more`"),
        (status = 404, description = "No such webhook"), (status = 409, description = "It is paused or switched off")))]
async fn replay(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (_, webhook) = find(&app, &id).await?;
    if webhook.state != State::On {
        let detail = "the webhook is paused or switched off; PUT it with \"paused\": false first";
        return Err(Problem::conflict(detail));
    }
    let (mut replayed, mut more) = (0, true);
    for _ in 0..LOOKS {
        // Those of other webhooks are hidden for a minute and come back by themselves.
        let taken = app.dead_letters_out.take().await?;
        if taken.is_empty() {
            more = false;
            break;
        }
        replayed += send_again(&app, &id, &taken).await?;
    }
    tracing::info!(webhook = id, replayed, more, "dead letters are sent once more");
    Ok(http::json(StatusCode::OK, &json!({ "replayed": replayed, "more": more })))
}

/// Puts those of some dead letters back into the queue that are a webhook's.
async fn send_again(app: &App, id: &str, taken: &[Taken]) -> Result<usize, Problem> {
    let own = |taken: &Taken| {
        let delivery = Delivery::from_body(&taken.body).filter(|delivery| delivery.webhook == id)?;
        Some((taken.receipt.clone(), Delivery::new(id, delivery.event).to_body()))
    };
    let (receipts, bodies): (Vec<String>, Vec<String>) = taken.iter().take(AT_ONCE).filter_map(own).unzip();
    if bodies.is_empty() {
        return Ok(0);
    }
    let refused = app.queue.send(&bodies).await?;
    let sent = receipts.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    let mut replayed = 0;
    for (_, receipt) in sent {
        // Only now: one that dies in between is sent twice rather than never.
        app.dead_letters_out.remove(receipt).await?;
        replayed += 1;
    }
    Ok(replayed)
}

/// Forgets what is known of a lead's record in a CRM, so that the next delivery makes one. Roles: admin.
///
/// For a delivery that was set aside since nobody knows whether it made a record, and somebody looked: there is none. Where
/// there is one, give the lead its id as an external id instead.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook_id}/records/{lead_id}", tag = "webhooks", security(("token" = [])),
    params(("webhook_id" = String, Path, description = "The webhook's id"), ("lead_id" = String, Path, description = "The lead")),
    responses((status = 204, description = "Forgotten"), (status = 404, description = "Nothing is known of such a record")))]
async fn forget(
    Wired(app): Wired<App>,
    _: Caller<Admins>,
    Path((id, lead)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (webhook, lead) = (find(&app, &id).await?.1, LeadId::parse(&lead).ok());
    let lead = lead.ok_or_else(|| Problem::not_found("no lead has this id"))?;
    let id = adapters::crm::id(&webhook.id, lead.as_str());
    if !app.catalog.delete(adapters::crm::RECORD, &id).await? {
        return Err(Problem::not_found("nothing is known of a record of this lead there"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Gives the JSON Schema of the events.
#[utoipa::path(get, path = "/v1/schemas/events.json", tag = "webhooks",
    responses((status = 200, description = "JSON Schema, draft 2020-12")))]
async fn schema() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"))], SCHEMA).into_response()
}

/// Finds a webhook with its record.
async fn find(app: &App, id: &str) -> Result<(Record, Webhook), Problem> {
    // Ids are short; a key that DynamoDB would refuse is nobody's.
    let found = if id.len() > LONGEST_ID { None } else { app.webhook(id).await? };
    found.ok_or_else(|| Problem::not_found("no such webhook; GET /v1/webhooks lists them"))
}
