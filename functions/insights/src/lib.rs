//! `insights`: closed-loop reports: what became of the leads that marketing brought.
//!
//! # Layout
//!
//! * this file – what the routes need, and how a long question becomes a job;
//! * [`campaigns`] – which campaigns brought leads and revenue, what they cost, and the leads behind each figure;
//! * [`funnel`] – how many leads came how far, and how long that took;
//! * [`kept`] – figures kept by date: one walk each night, and trends from it;
//! * [`promises`] – how both sides kept what they promised each other;
//! * [`nurture`] – what nurturing did, against leads that were held out;
//! * [`said`] – what customers said about the marketing;
//! * [`backtest`] – what a playbook would have done on leads whose outcome is known;
//! * [`learned`] – what best and worst customers have in common, and a card that follows from it;
//! * [`segments`] – what became of the leads of each segment, and which segmentation works best;
//! * [`personas`] – personas, what they stand on, and who mirrors them;
//! * [`content`] – what there is to say, what it did, and what to say next;
//! * [`quality`] – how good the active score was, month by month;
//! * [`walk`] – every lead with its facts, page by page, to go on with where it stopped;
//! * [`request`], [`response`] – the wire;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A report answers within the 29 seconds that API Gateway waits, or says where its answer will be.

pub mod backtest;
pub mod campaigns;
pub mod config;
pub mod content;
pub mod funnel;
pub mod kept;
pub mod learned;
pub mod nurture;
pub mod personas;
pub mod promises;
pub mod quality;
pub mod request;
pub mod response;
pub mod said;
pub mod segments;
pub mod walk;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::http::{Problem, Tokens};
use adapters::jobs::{Job, JobKind, JobStatus, Jobs};
use adapters::lambda_jobs::LambdaJobStarter;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, JobStarter, LeadLists, LeadStore, StoreError, Timeline};
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::Response;
use request::{CampaignsAsked, FunnelAsked};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// For how long a caller waits for an answer; API Gateway gives up after 29 seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// For how long one call works on a job before it lets the next call go on; the function's own time ends later.
pub const WORK_FOR: Duration = Duration::from_secs(780);

/// How often work that notes nothing by itself tells that it is alive: several times within a lease.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// What the routes need.
#[derive(Clone, Debug)]
pub struct App {
    /// Single leads.
    pub leads: Arc<dyn LeadStore>,
    /// All leads.
    pub lists: Arc<dyn LeadLists>,
    /// What happened to them.
    pub timeline: Arc<dyn Timeline>,
    /// What people declared.
    pub catalog: Arc<dyn Catalog>,
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
    /// For how long one call works on a job.
    pub work_for: Duration,
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
    pub fn new<S: LeadStore + LeadLists + Timeline + 'static>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        starter: Arc<dyn JobStarter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            lists: Arc::clone(&store) as Arc<dyn LeadLists>,
            timeline: store,
            playbooks: Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
            jobs: Jobs::new(Arc::clone(&catalog), Arc::clone(&clock)),
            starter,
            tokens: Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock))),
            catalog,
            clock,
            answer_within: ANSWER_WITHIN,
            work_for: WORK_FOR,
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
        .routes(routes!(campaigns::campaigns))
        .routes(routes!(campaigns::leads))
        .routes(routes!(kept::trend::campaigns))
        .routes(routes!(funnel::funnel))
        .routes(routes!(funnel::leads))
        .routes(routes!(kept::trend::funnel))
        .routes(routes!(promises::promises))
        .routes(routes!(promises::leads))
        .routes(routes!(kept::trend::promises))
        .routes(routes!(nurture::nurture))
        .routes(routes!(nurture::leads))
        .routes(routes!(said::marketing_feedback))
        .routes(routes!(backtest::backtest))
        .routes(routes!(learned::characteristics))
        .routes(routes!(learned::suggest))
        .routes(routes!(segments::segments))
        .routes(routes!(quality::score_quality))
        .routes(routes!(kept::trend::personas))
        .routes(routes!(kept::trend::content))
        .merge(personas::routes())
        .merge(content::routes())
        .with_state(app)
}

/// Does what a schedule asks for: the daily look at the score, or at what content did, or the figures that are kept. None
/// where the event is no schedule's.
///
/// # Errors
///
/// [`StoreError`].
pub async fn scheduled(app: &App, event: &Value) -> Result<Option<Value>, StoreError> {
    match event.get("action").and_then(Value::as_str) {
        Some("watch_score") => quality::watch(app).await.map(Some),
        Some("watch_content") => content::report::watch(app).await.map(Some),
        Some("keep_figures") => kept::keep(app).await.map(Some),
        _ => Ok(None),
    }
}

/// Waits for a report as long as a caller does. What takes longer becomes a job, whose id is the error: the same question
/// asked again meets it, for an hour while it is worked on, and its answer for up to twenty minutes.
pub(crate) async fn timely(
    app: &App,
    asked: &Value,
    report: impl Future<Output = Result<Value, StoreError>>,
) -> Result<Result<Value, String>, Problem> {
    let now = app.clock.now();
    // The same question may have been asked a while ago and still be worked on: nobody begins it anew.
    for ago in 0..request::REMEMBERED {
        let id = request::report_id(asked, now, ago);
        let Some(job) = app.jobs.get(&id).await? else { continue };
        match job.status {
            JobStatus::Done if now.since(job.created_at) < request::FRESH_MS * 2 => return Ok(Ok(job.state)),
            // Given up lately: whoever asks again in a while begins anew.
            JobStatus::Failed if ago == 0 => return Err(Problem::busy()),
            JobStatus::Done | JobStatus::Failed => {}
            JobStatus::Waiting | JobStatus::Running => {
                if job.is_free(now) {
                    app.starter.start(&id).await?;
                }
                return Ok(Err(id));
            }
        }
    }
    let id = request::report_id(asked, now, 0);
    match tokio::time::timeout(app.answer_within, report).await {
        Ok(report) => Ok(Ok(report?)),
        Err(_) => {
            app.jobs.add(&id, JobKind::Report, asked).await?;
            app.starter.start(&id).await?;
            Ok(Err(id))
        }
    }
}

/// Waits for what no job makes as long as a caller does; whoever waited in vain is to ask again.
pub(crate) async fn in_time<T, E: Into<Problem>>(
    app: &App,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(app.answer_within, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Problem::busy()),
    }
}

/// Works on a new job as long as a caller waits, and lets another call go on with it where that does not suffice. Answers
/// with the job as it stands then.
pub(crate) async fn begin(app: &App, id: &str, kind: JobKind, asked: &Value) -> Result<Response, Problem> {
    app.jobs.add(id, kind, asked).await?;
    if let Some(mut job) = app.jobs.take(id).await? {
        match work(app, &mut job, Instant::now() + app.answer_within).await {
            Ok(Worked::Done) => {}
            Ok(Worked::Onward | Worked::Anew) => {
                app.jobs.let_go(&mut job).await?;
                app.starter.start(id).await?;
            }
            Err(error) => {
                // Whoever asks again, or the next tick, goes on at once.
                app.jobs.let_go(&mut job).await?;
                return Err(error.into());
            }
        }
    }
    let job = app.jobs.get(id).await?.ok_or_else(Problem::internal)?;
    let status = if job.status == JobStatus::Done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(adapters::http::json(status, &adapters::wire::job_json(&job)))
}

/// Works on a job. One that needs longer than a call may last is handed on to the next call, where it stands.
///
/// # Errors
///
/// [`StoreError`]; the job is free again then.
pub async fn run_job(app: &App, id: &str) -> Result<(), StoreError> {
    let Some(mut job) = app.jobs.take(id).await? else { return Ok(()) };
    match work(app, &mut job, Instant::now() + app.work_for).await {
        Ok(Worked::Done) => Ok(()),
        Ok(worked) => {
            // What got somewhere was no failed attempt.
            job.attempts = job.attempts.saturating_sub(u64::from(worked == Worked::Onward));
            app.jobs.let_go(&mut job).await?;
            app.starter.start(id).await
        }
        Err(error) => {
            app.jobs.let_go(&mut job).await?;
            Err(error)
        }
    }
}

/// How far a call brought a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// To its end.
    Done,
    /// To where the next call goes on.
    Onward,
    /// Nowhere that could be kept: the next call begins anew.
    Anew,
}

impl Worked {
    /// Of work that notes where it stands.
    fn is_done(done: bool) -> Self {
        if done { Self::Done } else { Self::Onward }
    }
}

/// Works on a job until a time.
async fn work(app: &App, job: &mut Job, until: Instant) -> Result<Worked, StoreError> {
    match job.kind {
        JobKind::Backtest => Ok(Worked::is_done(backtest::work(app, job, until).await?)),
        JobKind::Suggestion => learned::work(app, job, until).await,
        JobKind::Report => {
            let asked = job.request.clone();
            let report = match asked.get("report").and_then(Value::as_str) {
                Some("kept") => return kept::work(app, job).await.map(|()| Worked::Done),
                Some("funnel") => {
                    let asked = FunnelAsked::from_json(&asked);
                    let asked = asked.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
                    alive(app, job, funnel::report(app, &asked)).await?
                }
                Some("promises") => {
                    let asked = request::promises::from_json(&asked);
                    let asked = asked.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
                    alive(app, job, promises::report(app, &asked)).await?
                }
                Some("nurture") => return nurture::work(app, job, until).await,
                Some("characteristics") => alive(app, job, learned::report(app, &asked)).await?,
                Some("segments") => return Ok(Worked::is_done(segments::work(app, job, until).await?)),
                Some("personas") => alive(app, job, personas::report(app, &asked)).await?,
                Some("mining") => return personas::mining::work(app, job, until).await,
                Some("content") => return Ok(Worked::is_done(content::report::work(app, job, until).await?)),
                Some("content-matrix") => alive(app, job, content::matrix::report(app, &asked)).await?,
                Some("marketing-feedback") => return Ok(Worked::is_done(said::work(app, job, until).await?)),
                Some("score-quality") => return Ok(Worked::is_done(quality::work(app, job, until).await?)),
                _ => {
                    let asked = CampaignsAsked::from_json(&asked);
                    let asked = asked.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
                    alive(app, job, campaigns::report(app, &asked)).await?
                }
            };
            app.jobs.finish(job, report).await?;
            Ok(Worked::Done)
        }
        JobKind::Sweep | JobKind::Export | JobKind::Reassign | JobKind::Erase => {
            Err(StoreError::Refused(format!("the job {} is another function's", job.id())))
        }
    }
}

/// Gives the playbook version that a job speaks of: the one that was active when it began, also where another one went
/// live meanwhile. It keeps it as `version`.
pub(crate) async fn version_of(app: &App, job: &Job) -> Result<u32, StoreError> {
    match job.state.get("version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()) {
        Some(version) => Ok(version),
        None => Ok(app.playbooks.active().await?.number),
    }
}

/// Waits for work that notes nothing by itself, and keeps the job while it lasts.
pub(crate) async fn alive<T>(
    app: &App,
    job: &mut Job,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(SIGN_OF_LIFE, &mut work).await {
            return done;
        }
        let state = job.state.clone();
        if !app.jobs.checkpoint(job, state).await? {
            return Err(StoreError::Busy(format!("somebody else works on the job {}", job.id())));
        }
    }
}
