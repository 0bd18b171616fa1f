//! `lead-capture`: everything that comes in about leads: forms, page activity, activities, leads by hand and in bulk,
//! consent; and that a lead is to be forgotten.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`forms`] – public forms: what browsers and scripts send;
//! * [`request`], [`response`] – the wire;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! Nothing is answered as accepted that is not stored, and a public answer tells nothing about who is known.

pub mod config;
pub mod forms;
pub(crate) mod members;
pub mod request;
pub mod response;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::erasure;
use adapters::http::auth::{Admins, Capturing, MarketingAndSales, MarketingOnly};
use adapters::http::{self, BodyBytes, Caller, JsonBody, Problem, Role, Tokens};
use adapters::lambda_jobs::LambdaJobStarter;
use adapters::people::{is_person, note};
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, JobStarter, LeadStore, Visitors};
use adapters::write_path::{About, WritePath};
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::change::{Fact, Incoming, MOST_FACTS};
use domain::identity::{LeadId, LeadRef, Slug};
use futures::StreamExt;
use request::{Item, Items, Logged};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many leads of one request are written beside each other.
const BESIDE: usize = 16;
/// For how long a caller waits for a job to be started.
const START_WITHIN: Duration = Duration::from_secs(5);

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// Records facts.
    pub write_path: WritePath,
    /// Visitors whom nobody knows yet.
    pub visitors: Arc<dyn Visitors>,
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// People, and what they declared.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Starts what deletes the rest of a lead that was erased; without it the tick does.
    pub starter: Option<Arc<dyn JobStarter>>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// Wires the function to DynamoDB.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let store = DynamoLeadStore::new(client.clone(), config.tables.clone());
        let catalog = DynamoCatalog::new(client, config.tables.catalog.clone());
        let starter = LambdaJobStarter::new(aws_sdk_lambda::Client::new(&sdk), config.rescore.clone());
        let app = Self::new(Arc::new(store), Arc::new(catalog), Arc::new(SystemClock));
        Self { starter: Some(Arc::new(starter)), ..app }
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new<S: LeadStore + Visitors + 'static>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let playbooks = Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock)));
        Self {
            write_path: WritePath::new(
                Arc::clone(&store) as Arc<dyn LeadStore>,
                Arc::clone(&playbooks),
                Arc::clone(&clock),
            ),
            visitors: Arc::clone(&store) as Arc<dyn Visitors>,
            leads: store,
            playbooks,
            starter: None,
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
        .routes(routes!(submit_form, preflight_form))
        .routes(routes!(page_activity, preflight_page_activity))
        .routes(routes!(activities))
        .routes(routes!(lead))
        .routes(routes!(leads))
        .routes(routes!(consent))
        .routes(routes!(erase))
        .with_state(app)
}

/// Takes a form submission, from a page's script or a plain HTML form.
///
/// The form's definition in the playbook says where each field goes. A hidden `submission_id` marks a repeat. The
/// answer is the same whether the address is known or not. A plain HTML form is sent on (303) to its thank-you page.
#[utoipa::path(post, path = "/v1/forms/{form_id}", tag = "capture",
    params(("form_id" = String, Path, description = "The form's id in the playbook")),
    request_body(content(
        (Value = "application/json", example = json!({"email": "ada@company.example", "full_name": "Ada Example",
            "country": "AT", "submission_id": "7f9c2ba4-e88f-4a1c-8f61-0a3d8b1f5c11", "utm_source": "google",
            "utm_medium": "cpc", "utm_campaign": "spring", "landing_page": "https://www.company.example/lp"})),
        (Value = "application/x-www-form-urlencoded"), (Value = "multipart/form-data"))),
    responses((status = 202, description = "Accepted: stored, or seen before"),
        (status = 303, description = "Accepted; on to the thank-you page"),
        (status = 403, description = "The page's origin is not among the form's"),
        (status = 404, description = "No such form"), (status = 413, description = "More than 256 KB"),
        (status = 422, description = "Every fault, with the field that it is about")))]
async fn submit_form(
    State(app): State<App>,
    Path(form_id): Path<String>,
    headers: HeaderMap,
    body: Result<BodyBytes, Problem>,
) -> Response {
    forms::submit(&app, &form_id, &headers, body).await
}

/// Answers a browser that asks whether a page may post the form.
#[utoipa::path(options, path = "/v1/forms/{form_id}", tag = "capture",
    params(("form_id" = String, Path, description = "The form's id in the playbook")),
    responses((status = 204, description = "With the CORS headers where the origin is allowed")))]
async fn preflight_form(State(app): State<App>, Path(form_id): Path<String>, headers: HeaderMap) -> Response {
    forms::preflight(&app, &form_id, &headers).await
}

/// Takes activity of a visitor whom nobody needs to know, from a page's script after consent to tracking.
///
/// Always answers 202. What is not valid, comes without consent or from another origin is dropped.
#[utoipa::path(post, path = "/v1/forms/{form_id}/activities", tag = "capture",
    params(("form_id" = String, Path, description = "The form's id in the playbook")),
    request_body(content = Value, content_type = "application/json", example = json!({"anonymous_id": "v-3f9a0c5b7d",
        "consent": {"tracking": true}, "activities": [{"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": "p-1"}]})),
    responses((status = 202, description = "Heard")))]
async fn page_activity(
    State(app): State<App>,
    Path(form_id): Path<String>,
    headers: HeaderMap,
    body: Result<BodyBytes, Problem>,
) -> Response {
    forms::page_activity(&app, &form_id, &headers, body).await
}

/// Answers a browser that asks whether a page may send activity.
#[utoipa::path(options, path = "/v1/forms/{form_id}/activities", tag = "capture",
    params(("form_id" = String, Path, description = "The form's id in the playbook")),
    responses((status = 204, description = "With the CORS headers where the origin is allowed")))]
async fn preflight_page_activity(
    State(app): State<App>,
    Path(form_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    forms::preflight(&app, &form_id, &headers).await
}

/// Takes one activity, or up to 100 as `{"activities": […]}`, each with its own result.
///
/// For somebody unknown it creates the contact. Of kind `campaign_member`, with `campaign` and `status` among its properties, it
/// tells how a lead stands to a campaign: by one of the statuses that the campaign declares, which also say whether it
/// is a response. Roles: capture, admin.
#[utoipa::path(post, path = "/v1/activities", tag = "capture", security(("token" = ["capture"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the whole request")),
    request_body(content = Value, content_type = "application/json", example = json!({"lead": {"email": "ada@company.example"},
        "kind": "page_viewed", "occurred_at": "2026-11-20T09:30:00Z", "properties": {"path": "/pricing"}, "id": "pv-1"})),
    responses((status = 200, description = "What became of it, with the new score"),
        (status = 400, description = "Not JSON"), (status = 401, description = "No token"), (status = 413, description = "More than 256 KB"),
        (status = 422, description = "Every fault"), (status = 503, description = "Too much at once; try again")))]
async fn activities(
    State(app): State<App>,
    caller: Caller<Capturing>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let items = request::activities(&body, &headers, caller.name(), app.clock.now())?;
    let items = members::declared(app.catalog.as_ref(), items).await?;
    answer(&app, items).await
}

/// Takes one lead by hand, as after a phone call or a talk at a trade show, with what sales has to report of it in the same
/// go. Roles: marketing, sales, admin.
///
/// `feedback`, from sales only, is one of `qualified`, `opportunity`, `won`, `follow_up` and `marketing_feedback`, or up to
/// five of them, as `POST /v1/leads/{id}/feedback` takes them. With one of the first three the lead is theirs who logged it
/// (`by`, else the token's person) from the first moment: nobody is handed it, and nobody promises anything to themselves.
/// A step that makes no sense, such as for a lead that has a deal already, is kept and skipped.
#[utoipa::path(post, path = "/v1/leads", tag = "capture", security(("token" = ["marketing", "sales"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the request")),
    request_body(content = Value, content_type = "application/json", example = json!({"email": "ada@company.example",
        "attributes": {"country": "AT", "company_size": 120}, "source": {"channel": "trade_show", "campaign": "hannover"},
        "feedback": {"kind": "qualified", "by": "at-1", "note": "Wants an offer for two lines."}})),
    responses((status = 200, description = "What became of it and of each report, with the new score"),
        (status = 403, description = "Feedback is for sales to report"), (status = 422, description = "Every fault")))]
async fn lead(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let logged = request::lead(&body, &headers, caller.name(), app.clock.now())?;
    if logged.feedback.is_empty() {
        return answer(&app, Items::One(Box::new(logged.item))).await;
    }
    if caller.token.role == Role::Marketing {
        return Err(Problem::forbidden(
            "feedback is for sales to report; a marketing token may send the lead without it",
        ));
    }
    logged_by_hand(&app, caller.name(), logged).await
}

/// Records a lead with what sales reports of it, all or nothing. The reports come first, so that a lead that somebody has
/// is not handed to anybody.
async fn logged_by_hand(
    app: &App,
    caller: &str,
    Logged { item, mut feedback }: Logged,
) -> Result<Response, Problem> {
    let playbook = app.playbooks.active().await?.playbook;
    let caller = match Slug::parse(caller) {
        Ok(person) if is_person(app.catalog.as_ref(), &playbook, &person).await? => Some(person),
        _ => None,
    };
    for report in &mut feedback {
        let by = match &mut report.fact {
            Fact::Sales { by, .. } | Fact::FollowUp { by, .. } | Fact::MarketingFeedback { by, .. } => by,
            _ => continue,
        };
        *by = by.take().or_else(|| caller.clone());
        if let Some(by) = by {
            note(app.catalog.as_ref(), by).await?;
        }
    }
    let facts: Vec<Incoming> = feedback.into_iter().chain([item.fact]).collect();
    let recorded = app.write_path.record(&item.about, &facts).await?;
    Ok(http::json(StatusCode::OK, &response::logged(&recorded)))
}

/// Takes up to 100 leads, each with its own result; `"mode": "history"` for imports. Roles: marketing, admin.
#[utoipa::path(post, path = "/v1/leads/batch", tag = "capture", security(("token" = ["marketing"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the whole request")),
    request_body(content = Value, content_type = "application/json", example = json!({"mode": "history", "leads": [{
        "external_id": {"system": "crm", "id": "42"}, "occurred_at": "2018-02-01T12:00:00Z", "attributes": {"country": "AT"},
        "source": {"channel": "paid_search", "campaign": "spring", "landing_page": "lp-7"},
        "consent": [{"purpose": "marketing", "status": "confirmed", "text": "v3"}]}]})),
    responses((status = 200, description = "A result for each, in the order sent"), (status = 422, description = "Every fault of the envelope")))]
async fn leads(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let items = request::leads(&body, &headers, caller.name(), app.clock.now())?;
    answer(&app, items).await
}

/// Records consent given or withdrawn, with its proof. Roles: marketing, sales, admin.
#[utoipa::path(post, path = "/v1/leads/{lead_id}/consent", tag = "capture", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead")),
    request_body(content = Value, content_type = "application/json", example = json!({"purpose": "marketing",
        "status": "withdrawn", "source": "phone call", "at": "2026-11-20T09:30:00Z"})),
    responses((status = 200, description = "The lead's consents"), (status = 404, description = "No such lead"),
        (status = 422, description = "Every fault")))]
async fn consent(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    Path(lead_id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = LeadId::parse(&lead_id).map_err(|error| Problem::not_found(format!("the lead id {error}")))?;
    let fact = request::consent(&body, &headers, caller.name(), app.clock.now())?;
    let recorded = app.write_path.record(&About::Known(LeadRef::Id(id)), &[fact]).await?;
    Ok(http::json(StatusCode::OK, &response::consents(&recorded)))
}

/// Forgets a lead, for good. Roles: admin.
///
/// With the answer the lead is gone: nobody finds it, nothing is sent to it, and nothing that is still on its way brings it
/// back. The job deletes what happened to it and whatever else there is, and ends after a last look some twenty minutes later,
/// or when the reports are done that were at work.
/// `external_ids` is how other systems call it, for whoever deletes it there. Of somebody who said no the hash of the address
/// stays on the list of those that nobody may write to. Asked again, it answers the same while the job is at work, begins one
/// anew that was given up, and answers 404 once nothing is left.
#[utoipa::path(delete, path = "/v1/leads/{lead_id}", tag = "consent", security(("token" = [])),
    params(("lead_id" = String, Path, description = "The lead")),
    responses((status = 202, description = "The lead is gone; the job that deletes what is left of it"),
        (status = 404, description = "No such lead, and nothing left of it"), (status = 503, description = "Too much at once; try again")))]
async fn erase(
    State(app): State<App>,
    _: Caller<Admins>,
    Path(lead_id): Path<String>,
) -> Result<Response, Problem> {
    let id = LeadId::parse(&lead_id).map_err(|error| Problem::not_found(format!("the lead id {error}")))?;
    let job =
        erasure::erase(app.leads.as_ref(), app.visitors.as_ref(), &app.catalog, &app.clock, &id).await?;
    if let Some(starter) = &app.starter {
        match tokio::time::timeout(START_WITHIN, starter.start(job.id())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(job = job.id(), error = %error, "the next tick starts an erasure")
            }
            Err(_) => tracing::warn!(job = job.id(), "the next tick starts an erasure"),
        }
    }
    Ok(http::json(StatusCode::ACCEPTED, &response::erased(&job)?))
}

/// Records the items and answers: one result for one item, a list for a list.
async fn answer(app: &App, items: Items) -> Result<Response, Problem> {
    match items {
        Items::One(item) => {
            let result = record_group(app, vec![(0, *item)]).await.pop();
            let (_, result) = result.ok_or_else(Problem::internal)?;
            Ok(http::json(StatusCode::OK, &result?))
        }
        Items::Many(read) => {
            let mut results: Vec<Value> = vec![Value::Null; read.len()];
            let mut valid: Vec<(usize, Item)> = Vec::new();
            for (at, item) in read.into_iter().enumerate() {
                match item {
                    Ok(item) => valid.push((at, item)),
                    Err(problem) => put(&mut results, at, response::rejected(&problem)),
                }
            }
            let keys: Vec<Vec<String>> = valid.iter().map(|(_, item)| item.keys()).collect();
            let mut slots: Vec<Option<(usize, Item)>> = valid.into_iter().map(Some).collect();
            let mut groups: Vec<Vec<(usize, Item)>> = Vec::new();
            for places in adapters::wire::groups(&keys) {
                groups.push(places.iter().filter_map(|at| slots.get_mut(*at)?.take()).collect());
            }
            let mut done = futures::stream::iter(groups.into_iter().map(|group| record_group(app, group)))
                .buffer_unordered(BESIDE);
            while let Some(group) = done.next().await {
                for (at, result) in group {
                    put(&mut results, at, result.unwrap_or_else(|problem| response::rejected(&problem)));
                }
            }
            Ok(http::json(StatusCode::OK, &response::results(results)))
        }
    }
}

fn put(results: &mut [Value], at: usize, result: Value) {
    if let Some(slot) = results.get_mut(at) {
        *slot = result;
    }
}

/// Records the items about one lead in order; those that name it in the same way go into one transaction.
async fn record_group(app: &App, items: Vec<(usize, Item)>) -> Vec<(usize, Result<Value, Problem>)> {
    let mut results = Vec::new();
    let mut rest = items.into_iter().peekable();
    while let Some((at, Item { about, fact })) = rest.next() {
        let (mut places, mut facts) = (vec![at], vec![fact]);
        while facts.len() < MOST_FACTS
            && let Some((at, item)) = rest.next_if(|(_, next)| request::same(&next.about, &about))
        {
            places.push(at);
            facts.push(item.fact);
        }
        match app.write_path.record(&about, &facts).await {
            Ok(recorded) => {
                let one = response::recorded(&recorded);
                results.extend(places.into_iter().zip(one).map(|(at, result)| (at, Ok(result))));
            }
            Err(error) => {
                let problem = Problem::from(error);
                results.extend(places.into_iter().map(|at| (at, Err(problem.clone()))));
            }
        }
    }
    results
}

/// Answers in the same words whoever asks.
pub(crate) fn accepted() -> Response {
    http::json(StatusCode::ACCEPTED, &serde_json::json!({ "status": "accepted" })).into_response()
}
