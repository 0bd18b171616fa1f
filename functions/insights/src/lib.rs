//! `insights`: closed-loop reports: what became of the leads that marketing brought.
//!
//! # Layout
//!
//! * this file – the story of each route, and the scan behind it;
//! * [`request`], [`response`] – the wire;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A report answers within the 29 seconds that API Gateway waits, or says where its answer will be.

pub mod config;
pub mod request;
pub mod response;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query, Tokens};
use adapters::jobs::{JobKind, JobStatus, Jobs};
use adapters::lambda_jobs::LambdaJobStarter;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, JobStarter, LeadLists, StoreError};
use axum::extract::{FromRef, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::report::{Campaigns, Question, Row};
use futures::{StreamExt, TryStreamExt};
use request::{Asked, CampaignsQuery};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Into how many parts a scan is divided.
const PARTS: u32 = 4;
/// For how long a caller waits for a scan; API Gateway gives up after 29 seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// All leads.
    pub lists: Arc<dyn LeadLists>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Reports that take longer.
    pub jobs: Jobs,
    /// Starts them.
    pub starter: Arc<dyn JobStarter>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For how long a caller waits.
    pub answer_within: Duration,
}

impl App {
    /// Wires the function to DynamoDB.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let store = DynamoLeadStore::new(client.clone(), config.tables.clone());
        let catalog = DynamoCatalog::new(client, config.tables.catalog.clone());
        let starter = LambdaJobStarter::new(aws_sdk_lambda::Client::new(&sdk), config.function.clone());
        Self::new(Arc::new(store), Arc::new(catalog), Arc::new(starter), Arc::new(SystemClock))
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new(
        lists: Arc<dyn LeadLists>,
        catalog: Arc<dyn Catalog>,
        starter: Arc<dyn JobStarter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            lists,
            playbooks: Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
            jobs: Jobs::new(Arc::clone(&catalog), Arc::clone(&clock)),
            starter,
            tokens: Arc::new(Tokens::new(catalog, Arc::clone(&clock))),
            clock,
            answer_within: ANSWER_WITHIN,
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
    OpenApiRouter::new().routes(routes!(campaigns)).with_state(app)
}

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
async fn campaigns(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<CampaignsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::campaigns(&query, &zone)?;
    let csv = request::wants_csv(&headers);
    let id = asked.job_id(app.clock.now());
    if let Some(job) = app.jobs.get(&id).await? {
        match job.status {
            JobStatus::Done => return response::answer(&asked, &job.state, csv),
            // Given up: count afresh below, and say what happens.
            JobStatus::Failed => {}
            JobStatus::Waiting | JobStatus::Running => {
                if job.is_free(app.clock.now()) {
                    app.starter.start(&id).await?;
                }
                return Ok(response::later(&id));
            }
        }
    }
    match tokio::time::timeout(app.answer_within, count(&app, &asked.question)).await {
        Ok(report) => response::answer(&asked, &response::report(&asked, report?, app.clock.now()), csv),
        Err(_) => {
            app.jobs.add(&id, JobKind::Report, &asked.to_json()).await?;
            app.starter.start(&id).await?;
            Ok(response::later(&id))
        }
    }
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
        rows.into_iter().for_each(|row| report.add(question, row));
        Ok(report)
    })
    .await
}

/// Works on a report that takes longer than a caller waits.
///
/// # Errors
///
/// [`StoreError`]; the job is free again then.
pub async fn run_job(app: &App, id: &str) -> Result<(), StoreError> {
    let Some(mut job) = app.jobs.take(id).await? else { return Ok(()) };
    let Some(asked) = Asked::from_json(&job.request) else {
        return Err(StoreError::Damaged(format!("job {id}")));
    };
    let state: Value = match count(app, &asked.question).await {
        Ok(report) => response::report(&asked, report, app.clock.now()),
        Err(error) => {
            app.jobs.let_go(&mut job).await?;
            return Err(error);
        }
    };
    app.jobs.finish(&mut job, state).await?;
    Ok(())
}
