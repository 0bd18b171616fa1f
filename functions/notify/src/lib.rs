//! `notify`: what people in the company are told by mail: a lead that is theirs now, and what waits in their inbox.
//!
//! # Layout
//!
//! * this file – who calls, and what is needed;
//! * [`queue`] – events about leads, each of which may mean a mail to whoever has the lead;
//! * [`hand_off`] – that mail; [`digest`] – the one of each morning; [`written`] – how mails look;
//! * [`person`] – whom it goes to; [`once`] – that it goes out once;
//! * [`config`] – the environment.
//!
//! # The invariant not to break
//!
//! Nothing is sent but under a claim, and a mail is composed before its claim is taken: between the claim and the sending
//! nothing can fail but the sending.

pub mod config;
pub mod digest;
pub mod hand_off;
pub mod once;
pub mod person;
pub mod queue;
pub mod written;

pub use config::Config;

use adapters::clock::{self, Clock, SystemClock};
use adapters::dynamodb::{self, DynamoCatalog, DynamoLeadStore};
use adapters::mail::Mailbox;
use adapters::playbooks::Playbooks;
use adapters::ports::{
    Catalog, LeadLists, LeadStore, Mailer, MessageHolder, MessageSender, StoreError, Timeline,
};
use adapters::signed_link::Links;
use adapters::sqs::SqsQueue;
use domain::change::EventKind;
use domain::identity::LeadId;
use serde_json::{Value, json};
use std::sync::Arc;

/// The events after which whoever has the lead may have to be told. `template.yaml` has the same list, in the rule by which
/// they come into the queue; a test holds the two together.
pub const TELLS: &[EventKind] = &[EventKind::HandedOff, EventKind::Assigned, EventKind::PromiseBroken];

/// Stands for the lead's id in the URL of its page.
const LEAD: &str = "{lead_id}";

/// Where links of mails lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// Where the API is reached from outside; without it there is no link to the confirm page.
    base: Option<String>,
    /// Where people open a lead.
    lead: Option<String>,
}

impl Pages {
    /// Makes it from the API's public URL, and the URL of a lead's page with `{lead_id}` in it: that of the API's dossier
    /// where none is given.
    #[must_use]
    pub fn new(base: Option<String>, lead: Option<String>) -> Self {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        let lead = lead.or_else(|| base.as_ref().map(|base| format!("{base}/v1/leads/{LEAD}")));
        Self { base, lead }
    }

    /// Gives the URL of the confirm page.
    #[must_use]
    pub fn confirm(&self, token: &str) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/t/f/{token}"))
    }

    /// Gives the URL of a lead's page.
    #[must_use]
    pub fn lead(&self, id: &LeadId) -> Option<String> {
        self.lead.as_ref().map(|url| url.replace(LEAD, id.as_str()))
    }
}

/// What sends, and in whose name.
#[derive(Clone, Debug)]
pub struct Post {
    /// Sends.
    pub mailer: Arc<dyn Mailer>,
    /// Who mails come from.
    pub from: Mailbox,
}

/// What the function needs.
#[derive(Clone, Debug)]
pub struct App {
    /// Leads.
    pub leads: Arc<dyn LeadStore>,
    /// Inboxes.
    pub lists: Arc<dyn LeadLists>,
    /// What leads did.
    pub timeline: Arc<dyn Timeline>,
    /// People, and claims.
    pub catalog: Arc<dyn Catalog>,
    /// Playbooks.
    pub playbooks: Arc<Playbooks>,
    /// Links to the confirm page.
    pub links: Arc<Links>,
    /// Sends; none where mails are off.
    pub post: Option<Post>,
    /// Where links lead.
    pub pages: Pages,
    /// The queue, where messages wait.
    pub holder: Arc<dyn MessageHolder>,
    /// The dead letters, to set a message aside.
    pub dead_letters: Arc<dyn MessageSender>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: fn() -> u64,
}

impl App {
    /// Wires the function to AWS.
    ///
    /// # Errors
    ///
    /// [`mail::SettingsError`] where mails cannot be sent as the settings say.
    pub async fn connect(config: &Config) -> Result<Self, mail::SettingsError> {
        let sdk = dynamodb::sdk_config().await;
        let client = dynamodb::connect(&sdk, &config.tables.catalog).await;
        let store = Arc::new(DynamoLeadStore::new(client.clone(), config.tables.clone()));
        let catalog = Arc::new(DynamoCatalog::new(client, config.tables.catalog.clone()));
        let post = match &config.mail {
            Some(settings) => Some(Post { mailer: settings.connect().await?, from: settings.from.clone() }),
            None => None,
        };
        let sqs = adapters::sqs::client(&sdk);
        let queue = SqsQueue::new(sqs.clone(), config.queue.clone());
        let dead_letters = SqsQueue::new(sqs, config.dead_letters.clone());
        Ok(Self::new(
            store,
            catalog,
            (queue, dead_letters),
            post,
            config.pages.clone(),
            Arc::new(SystemClock),
        ))
    }

    /// Wires the function to any store and any queues, the second of them that of what is set aside.
    #[must_use]
    pub fn new<S, Q>(
        store: Arc<S>,
        catalog: Arc<dyn Catalog>,
        queues: (Q, Q),
        post: Option<Post>,
        pages: Pages,
        clock: Arc<dyn Clock>,
    ) -> Self
    where
        S: LeadStore + LeadLists + Timeline + 'static,
        Q: MessageHolder + MessageSender + 'static,
    {
        Self {
            leads: Arc::clone(&store) as Arc<dyn LeadStore>,
            lists: Arc::clone(&store) as Arc<dyn LeadLists>,
            timeline: store,
            playbooks: Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock))),
            links: Arc::new(Links::new(Arc::clone(&catalog), Arc::clone(&clock))),
            catalog,
            post,
            pages,
            holder: Arc::new(queues.0),
            dead_letters: Arc::new(queues.1),
            clock,
            chance: clock::chance,
        }
    }
}

/// Works on what Lambda hands over: a batch of the queue, or what the schedule sends.
///
/// # Errors
///
/// [`StoreError`] where the digests could not be looked through; those that are left come with the next tick.
pub async fn handle(app: &App, event: &Value) -> Result<Value, StoreError> {
    if event.get("Records").is_some() {
        return Ok(queue::handle(app, event).await);
    }
    match event.get("action").and_then(Value::as_str) {
        Some("digests") => {
            let sent = digest::tick(app).await?;
            Ok(json!({ "sent": sent }))
        }
        _ => {
            Err(StoreError::Refused("an event is neither a batch of messages nor a known action".to_owned()))
        }
    }
}
