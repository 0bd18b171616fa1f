//! `rescore`: what changes although nothing happens: points fade, windows run out, a new playbook goes live.
//!
//! # Layout
//!
//! * this file – the three actions and what they need;
//! * [`request`] – the events;
//! * [`due`] – the leads for which something changes now, the exports that are due, and jobs that nobody works on, such as
//!   deleting what is left of leads that were erased;
//! * [`sweep`] – every lead once, to a new playbook version;
//! * [`release`] – the leads that wait for their turn, as many a day as their owners can answer;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! Only leads that really changed are written, each conditional on its version: everything here may run twice, beside
//! captures, and from the middle.

pub mod config;
pub mod due;
pub mod release;
pub mod request;
pub mod sweep;
#[cfg(test)]
mod tests;

pub use config::Config;

use adapters::clock::{Clock, SystemClock, pause};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::erasure::Cleaner;
use adapters::jobs::{JobKind, Jobs};
use adapters::lambda_jobs::{LambdaJobStarter, job_of};
use adapters::playbooks::Playbooks;
use adapters::ports::{
    Catalog, Commit, JobStarter, LeadLists, LeadStore, Remains, StoreError, Timeline, Visitors,
};
use adapters::routing::Assigner;
use domain::change::Change;
use domain::identity::LeadId;
use domain::lead::Lead;
use request::Action;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use sweep::{StateMachine, SweepStarter, Tasks};
use thiserror::Error;
use tokio::time::Instant;

/// How long one call works before it says how far it came; the function's own time ends later.
pub const WORK_FOR: Duration = Duration::from_secs(200);
/// How many leads are worked on side by side: a commit is mostly waiting.
pub(crate) const AT_ONCE: usize = 16;
/// How often something is tried again that changed while it was looked at.
pub(crate) const TRIES: u32 = 8;

/// Says why a call failed. The next tick, or the state machine, calls again.
#[derive(Debug, Error)]
pub enum RescoreError {
    /// The event is none of ours.
    #[error("the event is not understood: {0}")]
    Event(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sweeps or erasures were given up: leads keep the label and the segments of an older playbook, or something is left of
    /// somebody, until somebody looks.
    #[error(
        "given up after too many attempts: {0}; activating the active version once more sweeps again, and deleting a lead \
         once more erases it"
    )]
    GivenUp(String),
}

/// What the actions need.
#[derive(Clone, Debug)]
pub struct App {
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// All leads, and those that are due.
    pub lists: Arc<dyn LeadLists>,
    /// What happened to a lead.
    pub timeline: Arc<dyn Timeline>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// People, and what was released to them today.
    pub catalog: Arc<dyn Catalog>,
    /// Sweeps, and leads that are given away.
    pub jobs: Jobs,
    /// Gives leads to people.
    pub assigner: Assigner,
    /// Deletes what is left of leads that were erased.
    pub cleaner: Cleaner,
    /// Starts a sweep.
    pub starter: Arc<dyn SweepStarter>,
    /// Starts other kinds of jobs once more whose workers died; where a kind has none, it is taken up when somebody asks
    /// for it.
    pub resumers: Vec<(JobKind, Arc<dyn JobStarter>)>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long one call works.
    pub work_for: Duration,
}

impl App {
    /// Wires the function to AWS.
    pub async fn connect(config: &Config) -> Self {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let store = Arc::new(DynamoLeadStore::new(client.clone(), config.tables.clone()));
        let catalog = Arc::new(DynamoCatalog::new(client, config.tables.catalog.clone()));
        let starter = StateMachine::new(aws_sdk_sfn::Client::new(&sdk), config.state_machine.clone());
        let lambda = aws_sdk_lambda::Client::new(&sdk);
        let insights = Arc::new(LambdaJobStarter::new(lambda.clone(), config.insights.clone()));
        let export = Arc::new(LambdaJobStarter::new(lambda, config.export.clone()));
        let app = Self::new(store, catalog, Arc::new(starter), Arc::new(SystemClock));
        Self { resumers: resumers(insights, export), ..app }
    }

    /// Wires the function to any store, with sweeps as tasks of this process.
    #[must_use]
    pub fn on_one_machine<S: LeadStore + LeadLists + Timeline + Visitors + Remains + 'static>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::new(store, catalog, Arc::new(Tasks), clock)
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new<S: LeadStore + LeadLists + Timeline + Visitors + Remains + 'static>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        starter: Arc<dyn SweepStarter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let playbooks = Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock)));
        Self {
            assigner: Assigner::new(
                Arc::clone(&store) as Arc<dyn LeadStore>,
                Arc::clone(&store) as Arc<dyn LeadLists>,
                Arc::clone(&catalog),
                Arc::clone(&playbooks),
                Arc::clone(&clock),
            ),
            cleaner: Cleaner::new(
                Arc::clone(&store) as Arc<dyn Remains>,
                Arc::clone(&store) as Arc<dyn Visitors>,
                Arc::clone(&catalog),
                Arc::clone(&clock),
            ),
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            lists: Arc::clone(&store) as Arc<dyn LeadLists>,
            timeline: store,
            playbooks,
            catalog: Arc::clone(&catalog),
            jobs: Jobs::new(catalog, Arc::clone(&clock)),
            starter,
            resumers: Vec::new(),
            clock,
            work_for: WORK_FOR,
        }
    }
}

/// Says who starts which kind of job once more: the function that works on it.
#[must_use]
pub fn resumers(
    insights: Arc<dyn JobStarter>,
    export: Arc<dyn JobStarter>,
) -> Vec<(JobKind, Arc<dyn JobStarter>)> {
    let mut all = vec![(JobKind::Export, export)];
    for kind in [JobKind::Backtest, JobKind::Suggestion, JobKind::Report] {
        all.push((kind, Arc::clone(&insights)));
    }
    all
}

/// Does what an event asks for.
///
/// # Errors
///
/// [`RescoreError`].
pub async fn handle(app: &App, event: Value) -> Result<Value, RescoreError> {
    if let Some(job) = job_of(&event) {
        return Ok(run_job(app, job).await?);
    }
    match request::action(&event).map_err(RescoreError::Event)? {
        Action::Due => due::run(app).await,
        Action::Sweep(stretch) => sweep::run(app, &stretch).await,
        Action::SweepFinish { job } => sweep::finish(app, &job).await,
    }
}

/// Works on what is left of a lead that was just erased. Where somebody else does, or nothing is left, that is fine too.
///
/// # Errors
///
/// [`StoreError`]; the tick goes on with it.
pub async fn run_job(app: &App, job: &str) -> Result<Value, StoreError> {
    let worked = app.cleaner.work(&app.jobs, job, Instant::now() + app.work_for).await?;
    Ok(json!({ "job": job, "status": worked.map(|job| job.status.as_str()) }))
}

/// What became of one lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reviewed {
    /// It was written.
    Changed,
    /// Nothing about it changed.
    Unchanged,
    /// It is no longer there.
    Gone,
}

/// Reads a lead, lets `decide` say what changes, and commits that; again, where the lead changed meanwhile or the store
/// was busy.
pub(crate) async fn review<F, D>(app: &App, id: &LeadId, decide: D) -> Result<Reviewed, StoreError>
where
    D: Fn(Lead) -> F,
    F: Future<Output = Result<Option<Change>, StoreError>>,
{
    let mut problem = StoreError::Busy("the lead is being changed by too many at once".to_owned());
    for attempt in 0..TRIES {
        match review_once(app, id, &decide).await {
            Ok(Some(reviewed)) => return Ok(reviewed),
            Ok(None) => {}
            Err(error) if error.may_retry() => problem = error,
            Err(error) => return Err(error),
        }
        pause(attempt).await;
    }
    Err(problem)
}

async fn review_once<F, D>(app: &App, id: &LeadId, decide: &D) -> Result<Option<Reviewed>, StoreError>
where
    D: Fn(Lead) -> F,
    F: Future<Output = Result<Option<Change>, StoreError>>,
{
    let Some(lead) = app.leads.load(std::slice::from_ref(id)).await?.pop() else {
        return Ok(Some(Reviewed::Gone));
    };
    let Some(change) = decide(lead).await? else { return Ok(Some(Reviewed::Unchanged)) };
    Ok(match app.leads.commit(&change).await? {
        Commit::Done => Some(Reviewed::Changed),
        // An entry that is there already was written by somebody who did the same at the same time.
        Commit::Conflict | Commit::Repeated(_) => None,
    })
}
