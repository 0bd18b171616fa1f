//! `nurture`: leads that are not ready are kept warm: the right content by mail at the right pace, and what comes back.
//!
//! # Layout
//!
//! * this file – who calls, and what is needed;
//! * [`letter`] – a mail to a lead, composed; [`templates`] – how mails look, over HTTP;
//! * [`consent`] – what somebody agreed to: asked, confirmed, changed, from mails; [`suppressions`] – addresses that nobody
//!   may write to;
//! * [`link`] – the links of mails; [`track`] – what becomes of a mail: opened, clicked; [`told`] – what the mail service
//!   tells of it;
//! * [`tick`] – the leads whose next mail is due; [`rate`] – how fast mails go;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! A lead is mailed only under a claim that stands in the lead itself: whatever changes the lead in between ends the claim,
//! and what nobody knows to have gone out is never sent again.

pub mod config;
pub mod consent;
pub mod letter;
pub mod link;
pub mod rate;
pub mod suppressions;
pub mod templates;
pub mod tick;
pub mod told;
pub mod track;

pub use config::Config;

use adapters::clock::{Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::http::Tokens;
use adapters::mail::Mailbox;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, LeadLists, LeadStore, Mailer, StoreError, Timeline};
use adapters::signed_link::Links;
use adapters::write_path::{About, RecordError, Recorded, WritePath};
use axum::extract::FromRef;
use domain::change::Incoming;
use domain::identity::{LeadId, LeadRef};
use rate::Rate;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long one tick works; the next begins a minute after it did.
pub const WORK_FOR: Duration = Duration::from_secs(45);

/// What sends to leads, in whose name, and where the links of mails lead.
#[derive(Clone, Debug)]
pub struct Post {
    /// Sends.
    pub mailer: Arc<dyn Mailer>,
    /// Who mails come from.
    pub from: Mailbox,
    /// Where the API is reached from outside, without a slash at the end.
    pub base: String,
}

impl Post {
    /// Makes it; `base` may end with a slash.
    #[must_use]
    pub fn new(mailer: Arc<dyn Mailer>, from: Mailbox, base: &str) -> Self {
        Self { mailer, from, base: base.trim_end_matches('/').to_owned() }
    }
}

/// What the function needs.
#[derive(Clone, Debug)]
pub struct App {
    /// Records facts.
    pub write_path: WritePath,
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// Leads that are due.
    pub lists: Arc<dyn LeadLists>,
    /// What leads did.
    pub timeline: Arc<dyn Timeline>,
    /// Content, templates, suppressed addresses.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// The links in mails.
    pub links: Arc<Links>,
    /// Sends; none where mails are off.
    pub post: Option<Post>,
    /// How fast.
    pub rate: Arc<Rate>,
    /// How many mailboxes in a row a server said are not there, over all ticks: since the last mail that it took.
    pub gone_in_a_row: Arc<AtomicU32>,
    /// How long one tick works.
    pub work_for: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// Wires the function to AWS.
    ///
    /// # Errors
    ///
    /// [`mail::SettingsError`] where mails cannot be sent as the settings say.
    pub async fn connect(config: &Config) -> Result<Self, mail::SettingsError> {
        let client = dynamodb::connect(&dynamodb::sdk_config().await, &config.tables.catalog).await;
        let store = DynamoLeadStore::new(client.clone(), config.tables.clone());
        let catalog = DynamoCatalog::new(client, config.tables.catalog.clone());
        let post = match (&config.mail, &config.base) {
            (Some(settings), Some(base)) => {
                Some(Post::new(settings.connect().await?, settings.from.clone(), base))
            }
            _ => None,
        };
        let app = Self::new(Arc::new(store), Arc::new(catalog), post, Arc::new(SystemClock));
        Ok(Self { rate: Arc::new(Rate::new(config.mails_per_second)), ..app })
    }

    /// Wires the function to any store.
    #[must_use]
    pub fn new<S: LeadStore + LeadLists + Timeline + 'static>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        post: Option<Post>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let playbooks = Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock)));
        Self {
            write_path: WritePath::new(
                Arc::clone(&store) as Arc<dyn LeadStore>,
                Arc::clone(&playbooks),
                Arc::clone(&clock),
            ),
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            lists: Arc::clone(&store) as Arc<dyn LeadLists>,
            timeline: store,
            tokens: Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock))),
            links: Arc::new(Links::new(Arc::clone(&catalog), Arc::clone(&clock))),
            playbooks,
            catalog,
            post,
            rate: Arc::new(Rate::new(rate::USUAL)),
            gone_in_a_row: Arc::default(),
            work_for: WORK_FOR,
            clock,
        }
    }
}

impl App {
    /// Records what mails tell of a lead; `None` where the lead is not there any more.
    async fn hear(&self, lead: &LeadId, fact: Incoming) -> Result<Option<Recorded>, StoreError> {
        let about = About::Known(LeadRef::Id(lead.clone()));
        match self.write_path.record(&about, std::slice::from_ref(&fact)).await {
            Ok(recorded) => Ok(Some(recorded)),
            Err(RecordError::NoSuchLead) => Ok(None),
            Err(RecordError::Busy) => {
                Err(StoreError::Busy("the lead is being changed by too many at once".to_owned()))
            }
            Err(RecordError::Store(error)) => Err(error),
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
        .merge(templates::routes())
        .merge(consent::routes())
        .merge(suppressions::routes())
        .routes(routes!(track::opened))
        .routes(routes!(track::clicked))
        .with_state(app)
}

/// Works on what Lambda hands over: what the schedule sends, or what the mail service tells. `None` where it is neither, but
/// a request.
///
/// # Errors
///
/// [`StoreError`]; the same event may come again.
pub async fn handle(app: &App, event: &Value) -> Result<Option<Value>, StoreError> {
    if told::is_told(event) {
        return told::take(app, event).await.map(Some);
    }
    match event.get("action").and_then(Value::as_str) {
        Some("due") => tick::run(app).await.map(Some),
        _ => Ok(None),
    }
}
