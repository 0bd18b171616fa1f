//! `segment-export`: who is in a segment, and files of them.
//!
//! # Layout
//!
//! * this file – the story of each route;
//! * [`preview`] – how many a condition keeps, and which of its lines throws away whom;
//! * [`export`] – the job that writes files; `output` – a file in the making; [`scan`] – all leads, from any place on;
//! * `ledger` – what an export said of whom, by which the next one knows what changed; `mark` – which export was the last;
//! * `keys` – what an audience's destination knows people by;
//! * [`request`], [`response`] – the wire;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! Who has not consented to the purpose is in no file, and a file has its final name only when it is whole. Who was in one
//! and may not be any more is in the removals of the next. An audience that takes both, removals first, has the hashes that
//! an export of everybody would have.

pub mod config;
pub mod export;
mod keys;
mod ledger;
mod mark;
mod output;
pub mod preview;
pub mod request;
pub mod response;
pub mod scan;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use export::run as run_job;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::http::auth::MarketingOnly;
use adapters::http::{self, Caller, JsonBody, Problem, Tokens};
use adapters::jobs::{JobKind, Jobs};
use adapters::lambda_jobs::LambdaJobStarter;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, FileStore, JobStarter, LeadLists};
use adapters::s3::{self, S3Files};
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::evaluation::Evaluation;
use domain::export::Asked;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::playbook::diff::{condition_of, in_words};
use domain::time::Day;
use response::Linked;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// For how long a caller waits for a preview; API Gateway gives up after 29 seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long a worker works on an export before another one goes on; Lambda ends it after 15 minutes.
pub const WORK_FOR: Duration = Duration::from_secs(14 * 60);
/// For how long a caller waits for an export to be started. One that was not is started when somebody asks for it.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How many leads a preview shows.
const SAMPLE: usize = 10;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// All leads.
    pub lists: Arc<dyn LeadLists>,
    /// Where files go.
    pub files: Arc<dyn FileStore>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Exports.
    pub jobs: Jobs,
    /// Which export of each target was the last.
    pub catalog: Arc<dyn Catalog>,
    /// Starts them.
    pub starter: Arc<dyn JobStarter>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For how long a caller waits for a preview.
    pub answer_within: Duration,
    /// How long a worker works on an export before another one goes on.
    pub work_for: Duration,
}

impl App {
    /// Wires the function to AWS.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let store = Arc::new(DynamoLeadStore::new(client.clone(), config.tables.clone()));
        let catalog = Arc::new(DynamoCatalog::new(client, config.tables.catalog.clone()));
        let files = Arc::new(S3Files::new(s3::client(&sdk), config.bucket.clone()));
        let starter = LambdaJobStarter::new(aws_sdk_lambda::Client::new(&sdk), config.function.clone());
        Self::new(store, catalog, files, Arc::new(starter), Arc::new(SystemClock))
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new(
        lists: Arc<dyn LeadLists>,
        catalog: Arc<dyn Catalog>,
        files: Arc<dyn FileStore>,
        starter: Arc<dyn JobStarter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            lists,
            files,
            playbooks: Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
            jobs: Jobs::new(Arc::clone(&catalog), Arc::clone(&clock)),
            catalog: Arc::clone(&catalog),
            starter,
            tokens: Arc::new(Tokens::new(catalog, Arc::clone(&clock))),
            clock,
            answer_within: ANSWER_WITHIN,
            work_for: WORK_FOR,
        }
    }

    /// Lets somebody work on an export. It is written down already, so whoever asked for it is answered in any case, and
    /// the next question starts it where this did not.
    pub(crate) async fn work_on(&self, id: &str) {
        match tokio::time::timeout(START_WITHIN, self.starter.start(id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(job = id, error = %error, "an export could not be started"),
            Err(_) => tracing::error!(job = id, "an export could not be started in time"),
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
        .routes(routes!(list))
        .routes(routes!(preview::preview))
        .routes(routes!(preview::preview_unsaved))
        .routes(routes!(start_export))
        .routes(routes!(one_export))
        .with_state(app)
}

/// Evaluates a lead on a day, where it is in a segment of the playbook then.
pub(crate) fn member(playbook: &Playbook, segment: &str, lead: &Lead, today: Day) -> Option<Evaluation> {
    let found = Evaluation::of(lead, playbook, today);
    found.segments.iter().any(|id| id.as_str() == segment).then_some(found)
}

fn no_segment() -> Problem {
    Problem::not_found("no segment of this name stands in the active playbook; GET /v1/segments lists them")
}

/// Lists the segments of the active playbook, each with its condition as a sentence. Roles: marketing, admin.
#[utoipa::path(get, path = "/v1/segments", tag = "segments", security(("token" = ["marketing"])),
    responses((status = 200, description = "The segments")))]
async fn list(State(app): State<App>, _: Caller<MarketingOnly>) -> Result<Response, Problem> {
    let version = app.playbooks.active().await?;
    let document = app.playbooks.document(version.number).await?;
    let items: Vec<Value> = version
        .playbook
        .segments
        .iter()
        .map(|segment| {
            let says = condition_of(&document, "segments", segment.id.as_str());
            let says = says.map(|condition| in_words(condition, &document));
            json!({ "segment_id": segment.id.as_str(), "title": segment.title, "says": says })
        })
        .collect();
    let body = json!({ "items": items, "next_cursor": null, "playbook_version": version.number });
    Ok(http::json(StatusCode::OK, &body))
}

/// Starts an export of a segment to a file. Roles: marketing, admin.
///
/// Leads without confirmed consent for the purpose are left out and counted by reason. In CSV, cells that a spreadsheet
/// would run as formulas get a leading apostrophe, which phone numbers of the column `phone` are not; JSON Lines hold the
/// values as they are. A `preset`
/// (`google_customer_match`, `meta_custom_audiences`) has the columns that its destination takes instead of `columns`,
/// written and hashed as it wants them, and is for the purpose `ad_audience`. With `"since": "last"` the export holds what
/// changed since the last finished one of the same target (segment, format, columns or preset, and purpose): each row with
/// its `change` (`added`, `changed`, `removed`) and, of a removal, the `reason`; of a preset as two files, `add` and
/// `remove`. The removals are to be taken first. Of a preset, who cannot be told from somebody who withdrew consent is left
/// out as `withdrew_elsewhere`.
#[utoipa::path(post, path = "/v1/segments/{segment_id}/exports", tag = "segments", security(("token" = ["marketing"])),
    params(("segment_id" = String, Path, description = "The segment"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key gives the same export")),
    request_body(content = Value, content_type = "application/json", examples(
        ("columns" = (value = json!({"format": "csv", "purpose": "marketing",
            "columns": ["email", "country", "label", "attributes.job_title"]}))),
        ("changes" = (value = json!({"format": "jsonl", "purpose": "marketing", "since": "last"}))),
        ("preset" = (value = json!({"preset": "google_customer_match", "since": "last"}))))),
    responses((status = 202, description = "The export; GET /v1/exports/{export_id} tells how far it is"),
        (status = 404, description = "No such segment"), (status = 409, description = "The key belongs to another export"),
        (status = 422, description = "Every fault")))]
async fn start_export(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(segment): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let version = app.playbooks.active().await?;
    version.playbook.segment(&segment).ok_or_else(no_segment)?;
    let asked = request::export(&body, &segment, version.number)?;
    let id = request::export_id(&headers, &segment)?;
    let job = app.jobs.add(&id, JobKind::Export, &asked.to_json()).await?;
    if !Asked::from_json(&job.request).is_some_and(|known| known.is_same(&asked)) {
        return Err(Problem::conflict(
            "this Idempotency-Key started an export of something else; expected a new key",
        ));
    }
    if job.is_free(app.clock.now()) {
        app.work_on(&id).await;
    }
    Ok(http::json(StatusCode::ACCEPTED, &response::export(&job, &[])))
}

/// Tells how far an export is, once it is done with each file's manifest and fresh links. Roles: marketing, admin.
///
/// A manifest says what is in the file, how many rows and bytes it has and its SHA-256, who was left out for which reason,
/// and which export the changes are since; it lies beside the file too.
#[utoipa::path(get, path = "/v1/exports/{export_id}", tag = "segments", security(("token" = ["marketing"])),
    params(("export_id" = String, Path, description = "The export")),
    responses((status = 200, description = "The export; links work for 15 minutes"), (status = 404, description = "No such export")))]
async fn one_export(
    State(app): State<App>,
    _: Caller<MarketingOnly>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = app.jobs.get(&id).await?.filter(|job| job.kind == JobKind::Export);
    let job = job.ok_or_else(|| Problem::not_found("no such export; exports are kept for a week"))?;
    if job.is_free(app.clock.now()) {
        // Its worker died, or it was never started.
        app.work_on(&id).await;
    }
    let mut files = Vec::new();
    for file in job.state.get("files").and_then(Value::as_array).into_iter().flatten() {
        let key = |name: &str| file.get(name).and_then(Value::as_str);
        let (Some(key), Some(manifest_key)) = (key("key"), key("manifest_key")) else { continue };
        files.push(Linked {
            link: app.files.link(key).await?,
            manifest_link: app.files.link(manifest_key).await?,
            manifest: file.get("manifest").cloned().unwrap_or_default(),
        });
    }
    Ok(http::json(StatusCode::OK, &response::export(&job, &files)))
}
