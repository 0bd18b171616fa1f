//! `sales-feedback`: what sales gets and what sales gives: the inbox, the dossier, scores; follow-ups and outcomes.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`inbox`] – what to work on, in which order; [`dossier`] – everything known of a lead;
//! * [`request`], [`response`] – the wire;
//! * [`history`] – a lead as it was on another day;
//! * [`routing`] – who gets a real prospect, and what somebody has who leaves;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A fact is never edited. What was wrong is withdrawn by a later fact.

pub mod config;
pub mod dossier;
pub mod history;
pub mod inbox;
pub mod request;
pub mod response;
pub mod routing;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::history::facts as facts_of_lead;
use adapters::http::auth::{MarketingAndSales, SalesOnly};
use adapters::http::{self, Caller, JsonBody, Problem, Query, Tokens};
use adapters::jobs::Jobs;
use adapters::people::{is_person, note};
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, CatalogKind, LeadLists, LeadStore, Timeline};
use adapters::routing::Assigner;
use adapters::wire::feedback::{Sent, reason};
use adapters::write_path::{About, RecordError, Recorded, WritePath};
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::change::{Fact, Outcome};
use domain::claim::holder;
use domain::identity::{LeadId, LeadRef, Slug};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::sales::Move;
use domain::time::Timestamp;
use futures::StreamExt;
use request::{Feedback, LabelsQuery, ScoreQuery};
use serde_json::Value;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many facts of one request are written beside each other.
const BESIDE: usize = 16;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// Records facts.
    pub write_path: WritePath,
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// Inboxes.
    pub lists: Arc<dyn LeadLists>,
    /// Timelines.
    pub timeline: Arc<dyn Timeline>,
    /// People.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Gives leads to people.
    pub assigner: Assigner,
    /// What takes too long to wait for.
    pub jobs: Jobs,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// Wires the function to DynamoDB.
    pub async fn connect(config: &Config) -> Self {
        let client = dynamodb::connect(&dynamodb::sdk_config().await, &config.tables.catalog).await;
        let store = DynamoLeadStore::new(client.clone(), config.tables.clone());
        let catalog = DynamoCatalog::new(client, config.tables.catalog.clone());
        Self::new(Arc::new(store), Arc::new(catalog), Arc::new(SystemClock))
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new<S: LeadStore + LeadLists + Timeline + 'static>(
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
            assigner: Assigner::new(
                Arc::clone(&store) as Arc<dyn LeadStore>,
                Arc::clone(&store) as Arc<dyn LeadLists>,
                Arc::clone(&catalog),
                Arc::clone(&playbooks),
                Arc::clone(&clock),
            ),
            jobs: Jobs::new(Arc::clone(&catalog), Arc::clone(&clock)),
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            lists: Arc::clone(&store) as Arc<dyn LeadLists>,
            timeline: store,
            tokens: Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock))),
            catalog,
            playbooks,
            clock,
        }
    }

    async fn playbook(&self, version: u32) -> Result<Arc<Playbook>, Problem> {
        if self.playbooks.stored(version).await?.is_none() {
            return Err(Problem::fault(
                "/version",
                "names no playbook version; GET /v1/playbooks lists them",
            ));
        }
        Ok(self.playbooks.version(version).await?)
    }

    /// Finds what a question about a lead on a day, under a version, is about.
    async fn asked(&self, id: &str, query: &ScoreQuery) -> Result<Asked, Problem> {
        let lead = self.lead(id).await?;
        let now = self.clock.now();
        let at = request::at(query.at.as_deref(), now)?;
        let version = query.version.unwrap_or(lead.playbook_version);
        let playbook = self.playbook(version).await?;
        let past = (at < now || version != lead.playbook_version).then(|| at.min(now));
        Ok(Asked { lead, version, playbook, at, past })
    }

    async fn lead(&self, id: &str) -> Result<Lead, Problem> {
        let id = lead_id(id)?;
        let found = self.leads.load(std::slice::from_ref(&id)).await?.pop();
        found.ok_or_else(|| Problem::not_found("no lead has this id"))
    }
}

/// A question about a lead on a day, under a version.
struct Asked {
    lead: Lead,
    version: u32,
    playbook: Arc<Playbook>,
    at: Timestamp,
    /// Up to when its facts are played again; none where the lead as it is stored answers.
    past: Option<Timestamp>,
}

fn lead_id(text: &str) -> Result<LeadId, Problem> {
    LeadId::parse(text).map_err(|error| Problem::not_found(format!("the lead id {error}")))
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
        .routes(routes!(lookup))
        .routes(routes!(dossier::dossier))
        .routes(routes!(score))
        .routes(routes!(labels))
        .routes(routes!(lead_segments))
        .routes(routes!(inbox::inbox))
        .routes(routes!(feedback))
        .routes(routes!(feedback_batch))
        .routes(routes!(routing::reassign))
        .with_state(app)
}

/// Finds a lead by its id, e-mail address, phone number or external id. Roles: marketing, sales, admin.
///
/// A POST, so that no address stands in a URL. The list is empty where nobody is known by the reference.
#[utoipa::path(post, path = "/v1/leads/lookup", tag = "leads", security(("token" = ["marketing", "sales"])),
    request_body(content = Value, content_type = "application/json", example = json!({"email": "ada@company.example"})),
    responses((status = 200, description = "The lead, or an empty list"), (status = 422, description = "Every fault")))]
async fn lookup(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let reference = adapters::wire::one(&body, adapters::wire::lead_ref)?;
    let lead = app.write_path.look_up(&reference).await?;
    Ok(http::json(StatusCode::OK, &response::found(lead.as_ref())))
}

/// Gives a lead's score and its explanation, now or on another day, under its own or any other playbook version. Roles:
/// marketing, sales, admin.
///
/// Each line of the explanation says what it rests on: the signal with its hits by day and the activities behind them, the
/// values that a condition looked at, the half-life, the cap. The points of the lines of each part add up to its number.
/// `fading` says when half of a rule's points will be gone, and when all; `outlook` what would make the lead
/// marketing-qualified, the nearest few ways first. A past day is counted from the facts of the timeline up to then; a day to
/// come as if nothing more happened.
#[utoipa::path(get, path = "/v1/leads/{lead_id}/score", tag = "leads", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead"), ScoreQuery),
    responses((status = 200, description = "The score with its explanation, when it fades, and what would qualify the lead"),
        (status = 404, description = "No such lead"), (status = 422, description = "Every fault")))]
async fn score(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
    Query(query): Query<ScoreQuery>,
) -> Result<Response, Problem> {
    let Asked { lead, version, playbook, at, past } = app.asked(&id, &query).await?;
    let facts = facts_of_lead(app.timeline.as_ref(), &lead.id).await?;
    let then = match past {
        Some(day) => history::as_of(&lead, &facts, &playbook, version, day),
        None => lead,
    };
    Ok(http::json(StatusCode::OK, &response::score(&then, &playbook, version, &facts, at)))
}

/// Gives a lead's score and label over time, as a series that a line can be drawn from. Roles: marketing, sales, admin.
///
/// A point for the first day on which the lead was known, and one for each later day on which a number or the label was
/// another, as it stood at the day's end (today: now), all under one playbook version.
#[utoipa::path(get, path = "/v1/leads/{lead_id}/labels", tag = "leads", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead"), LabelsQuery),
    responses((status = 200, description = "The points, oldest first"), (status = 404, description = "No such lead"),
        (status = 422, description = "Every fault")))]
async fn labels(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
    Query(query): Query<LabelsQuery>,
) -> Result<Response, Problem> {
    let lead = app.lead(&id).await?;
    let version = query.version.unwrap_or(lead.playbook_version);
    let playbook = app.playbook(version).await?;
    let facts = facts_of_lead(app.timeline.as_ref(), &lead.id).await?;
    let today = app.clock.now().day();
    let first = facts.first().map_or(lead.created_at.day(), |fact| fact.occurred_at.day());
    let (from, to) = request::days(&query, first, today)?;
    let points = domain::replay::labels(&lead.id, &facts, &playbook, from, to.min(today));
    Ok(http::json(StatusCode::OK, &response::labels(version, &points)))
}

/// Lists the segments that a lead is in, with the persona that it mirrors and the phase that it is in, now or on another
/// day, under its own or any other playbook version. Roles: marketing, sales, admin.
///
/// A past day is counted from the facts of the timeline up to then; on a day to come it is in the stage that it is in now, and
/// nothing more has happened. Each segment says its condition as a sentence.
#[utoipa::path(get, path = "/v1/leads/{lead_id}/segments", tag = "leads", security(("token" = ["marketing", "sales"])),
    params(("lead_id" = String, Path, description = "The lead"), ScoreQuery),
    responses((status = 200, description = "The segments"), (status = 404, description = "No such lead"),
        (status = 422, description = "Every fault")))]
async fn lead_segments(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Path(id): Path<String>,
    Query(query): Query<ScoreQuery>,
) -> Result<Response, Problem> {
    let Asked { lead, version, playbook, at, past } = app.asked(&id, &query).await?;
    let then = match past {
        Some(day) => {
            let facts = facts_of_lead(app.timeline.as_ref(), &lead.id).await?;
            // Of which nothing was known yet was in no segment, not even in one that asks for what is missing.
            let known = facts.iter().any(|fact| fact.occurred_at <= at);
            known.then(|| history::as_of(&lead, &facts, &playbook, version, day))
        }
        None => Some(lead),
    };
    let document = app.playbooks.document(version).await?;
    Ok(http::json(StatusCode::OK, &response::segments(then.as_ref(), &playbook, &document, version, at)))
}

/// Gives whose inboxes are asked for.
async fn owners(app: &App, caller: &Caller<SalesOnly>, asked: Option<&Slug>) -> Result<Vec<Slug>, Problem> {
    if let Some(owner) = asked {
        return Ok(vec![owner.clone()]);
    }
    let mut people: Vec<Slug> =
        app.playbooks.active().await?.playbook.people().into_iter().cloned().collect();
    let mut cursor = None;
    loop {
        let page = app.catalog.list(CatalogKind::Person, 100, cursor.as_deref()).await?;
        people.extend(page.items.iter().filter_map(|record| Slug::parse(&record.id).ok()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    people.sort();
    people.dedup();
    match people.iter().find(|person| person.as_str() == caller.name()) {
        Some(person) => Ok(vec![person.clone()]),
        None => Ok(people),
    }
}

/// Records what sales did or learned. Roles: sales, admin.
///
/// A fact that makes no sense in the lead's stage is answered with 409 and with what would be legal. A lead that was handed
/// over is taken by who reports `accepted` first, or `assigned` to themselves (`by` = `to`); without `by` that is the person of
/// the token. Of several at once exactly one has it, and the others are answered with 409 and with who has it.
#[utoipa::path(post, path = "/v1/leads/{lead_id}/feedback", tag = "sales", security(("token" = ["sales"])),
    params(("lead_id" = String, Path, description = "The lead"),
        ("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the request")),
    request_body(content = Value, content_type = "application/json", example = json!({"kind": "won", "occurred_at": "2026-11-20T09:30:00Z",
        "by": "at-1", "deal": {"system": "crm", "id": "D-7"}, "amount": {"amount": "1200.50", "currency": "EUR"}, "note": "Signed."})),
    responses((status = 200, description = "Recorded, with the lead's stage, owner and score; `fact_id` names the fact for a later withdrawal"),
        (status = 404, description = "No such lead"), (status = 409, description = "Not in this stage; `legal` lists what is. Or somebody else took the lead; `owner` says who"),
        (status = 422, description = "Every fault")))]
async fn feedback(
    State(app): State<App>,
    caller: Caller<SalesOnly>,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let id = lead_id(&id)?;
    let mut sent = request::feedback(&body, &headers, caller.name(), app.clock.now())?;
    taken_by_caller(&app, &caller, &mut sent.fact.fact).await?;
    let asked = sent.fact.fact.clone();
    let recorded = record(&app, LeadRef::Id(id), sent).await?;
    match recorded.outcomes.first() {
        Some(Outcome::Illegal { stage, legal }) => {
            let holder = match &asked {
                Fact::Sales { what, by, .. } => holder(&recorded.lead, what, by.as_ref()),
                _ => None,
            };
            let illegal = || Problem::illegal_transition(stage.as_str(), asked.kind(), legal.clone());
            Err(holder.map_or_else(illegal, |who| Problem::taken(who.as_str(), recorded.lead.person_since)))
        }
        _ => Ok(http::json(StatusCode::OK, &response::recorded(&recorded))),
    }
}

/// Lets who takes a lead without saying who they are be the person to whom the token belongs, where it belongs to one.
async fn taken_by_caller(app: &App, caller: &Caller<SalesOnly>, fact: &mut Fact) -> Result<(), Problem> {
    let Fact::Sales { what, by: by @ None, .. } = fact else { return Ok(()) };
    let Ok(person) = Slug::parse(caller.name()) else { return Ok(()) };
    let takes = match what {
        Move::Accepted => true,
        Move::Assigned { to, .. } => *to == person,
        _ => false,
    };
    if takes && is_person(app.catalog.as_ref(), &app.playbooks.active().await?.playbook, &person).await? {
        *by = Some(person);
    }
    Ok(())
}

/// Records up to 100 facts from sales, each with a `lead` reference and a result of its own. Roles: sales, admin.
///
/// Facts may come late and in any order; one that makes no sense where it comes is kept and skipped.
#[utoipa::path(post, path = "/v1/feedback/batch", tag = "sales", security(("token" = ["sales"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the whole request")),
    request_body(content = Value, content_type = "application/json", example = json!({"mode": "history", "feedback": [{
        "lead": {"email": "ada@company.example"}, "kind": "follow_up", "channel": "phone", "result": "reached",
        "occurred_at": "2026-11-20T09:30:00Z"}]})),
    responses((status = 200, description = "A result for each, in the order sent"), (status = 422, description = "Every fault of the envelope")))]
async fn feedback_batch(
    State(app): State<App>,
    caller: Caller<SalesOnly>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let items = request::batch(&body, &headers, caller.name(), app.clock.now())?;
    let mut results: Vec<Value> = vec![Value::Null; items.len()];
    let mut valid: Vec<(usize, Feedback)> = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        match item {
            Ok(item) => valid.push((at, item)),
            Err(problem) => put(&mut results, at, response::rejected(&problem)),
        }
    }
    let keys: Vec<Vec<String>> = valid.iter().map(|(_, item)| vec![request::key(&item.lead)]).collect();
    let mut slots: Vec<Option<(usize, Feedback)>> = valid.into_iter().map(Some).collect();
    let mut groups = Vec::new();
    for places in adapters::wire::groups(&keys) {
        let group: Vec<(usize, Feedback)> =
            places.iter().filter_map(|at| slots.get_mut(*at)?.take()).collect();
        groups.push(record_group(&app, group));
    }
    let mut done = futures::stream::iter(groups).buffer_unordered(BESIDE);
    while let Some(group) = done.next().await {
        for (at, result) in group {
            put(&mut results, at, result);
        }
    }
    Ok(http::json(StatusCode::OK, &serde_json::json!({ "results": results })))
}

fn put(results: &mut [Value], at: usize, result: Value) {
    if let Some(slot) = results.get_mut(at) {
        *slot = result;
    }
}

async fn record_group(app: &App, group: Vec<(usize, Feedback)>) -> Vec<(usize, Value)> {
    let mut results = Vec::with_capacity(group.len());
    for (at, Feedback { lead, sent }) in group {
        let result = match record(app, lead, sent).await {
            Ok(recorded) => response::recorded(&recorded),
            Err(problem) => response::rejected(&problem),
        };
        results.push((at, result));
    }
    results
}

/// Records a fact, once it is certain that what it names exists.
async fn record(app: &App, lead: LeadRef, sent: Sent) -> Result<Recorded, Problem> {
    if let Fact::Sales { what, .. } = &sent.fact.fact
        && !sent.fact.history
    {
        // What was written long ago need not be in today's words.
        reason(what, &app.playbooks.active().await?.playbook)?;
    }
    match &sent.fact.fact {
        Fact::Withdrawn { id, .. } => {
            let known = app.write_path.look_up(&lead).await?.ok_or(RecordError::NoSuchLead)?;
            history::must_exist(app.timeline.as_ref(), &known.id, *id).await?;
        }
        Fact::Sales { what: Move::Assigned { to, .. }, .. } => note(app.catalog.as_ref(), to).await?,
        Fact::Sales { what: Move::Accepted, by: Some(by), .. } => note(app.catalog.as_ref(), by).await?,
        Fact::Sales { what, .. } if what.deal().is_some() && !sent.identified => {
            // Nothing tells a repeat from a second time but that the deal stands so already.
            if let Some(known) = app.write_path.look_up(&lead).await?
                && known.standing().stands_so(what)
            {
                let version = app.playbooks.active().await?;
                return Ok(Recorded { lead: known, outcomes: vec![Outcome::Unchanged], version });
            }
        }
        _ => {}
    }
    let recorded = app.write_path.record(&About::Known(lead), &[sent.fact]).await?;
    Ok(routing::given(app, recorded).await)
}
