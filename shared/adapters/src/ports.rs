//! The capabilities that functions need, one narrow trait each.
//!
//! A function asks for the traits that it uses, and its IAM policy in `template.yaml` mirrors them. The memory fakes
//! and the failing wrappers in `testkit` share the stems of these names.

use crate::cloud_event::CloudEvent;
use crate::mail::Message;
use async_trait::async_trait;
use domain::change::{Change, Entry, Event};
use domain::identity::{AnonymousId, Identity, LeadId, Slug};
use domain::lead::Lead;
use domain::time::Timestamp;
use serde_json::Value;
use std::fmt::Debug;
use thiserror::Error;

/// Says why a store could not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Too much at once or out of reach for the moment: try again.
    #[error("the store is busy: {0}")]
    Busy(String),
    /// What is stored cannot be read; somebody has to look.
    #[error("a stored record is damaged: {0}")]
    Damaged(String),
    /// The store refused the request; trying again will not help.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Tells whether the same request may succeed later.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// All of it is stored.
    Done,
    /// Nothing is stored: the lead changed meanwhile, or somebody else got an identity first.
    Conflict,
    /// Nothing is stored: these entries, by their place in the change, are there already.
    Repeated(Vec<usize>),
}

/// Finds, reads and changes single leads.
#[async_trait]
pub trait LeadStore: Send + Sync + Debug {
    /// Tells which leads own the identities; consistent.
    async fn owners(&self, identities: &[Identity]) -> Result<Vec<(Identity, LeadId)>, StoreError>;
    /// Tells which lead owns the identity of which only the key is left ([`identity_key`](crate::dynamodb::keys::identity_key));
    /// consistent.
    async fn owner_by_key(&self, key: &str) -> Result<Option<LeadId>, StoreError>;
    /// Reads leads; consistent. Leads that are not there are left out.
    async fn load(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError>;
    /// Stores a change: all of it or nothing.
    async fn commit(&self, change: &Change) -> Result<Commit, StoreError> {
        self.commit_with(change, &[]).await
    }
    /// Stores a change together with records of the catalog, all of it or nothing: what one lead alone does not decide. A
    /// record that is not as expected is a conflict.
    async fn commit_with(&self, change: &Change, also: &[Put]) -> Result<Commit, StoreError>;
    /// Deletes a lead as it was read, with all that it is known by, and stores the event that tells so and records of the
    /// catalog: all of it or nothing. `false` where it is nothing: the lead changed meanwhile or is gone, or a record is not
    /// as expected. What happened to the lead is left to [`Remains`].
    async fn erase(&self, lead: &Lead, event: &Event, also: &[Put]) -> Result<bool, StoreError>;
}

/// Deletes what is left of a lead that is gone. Each call deletes some of it; whatever was deleted before is deleted still.
#[async_trait]
pub trait Remains: Send + Sync + Debug {
    /// Deletes entries of a lead's timeline, and tells whether there may be more.
    async fn forget_entries(&self, lead: &LeadId) -> Result<bool, StoreError>;
    /// Deletes events of a lead from the outbox, but for the one that tells of its erasure; tells whether there may be more.
    async fn forget_events(&self, lead: &LeadId) -> Result<bool, StoreError>;
    /// Looks through a page of all identities for those by which the lead is still known, and deletes them. Gives where the
    /// next page starts; none where this was the last.
    async fn forget_identities(
        &self,
        lead: &LeadId,
        cursor: Option<&str>,
    ) -> Result<Option<String>, StoreError>;
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; none where this was the last.
    pub next: Option<String>,
}

/// In which direction a timeline is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Latest first.
    Backward,
}

/// Reads what happened to a lead.
#[async_trait]
pub trait Timeline: Send + Sync + Debug {
    /// Reads a page of entries; consistent.
    async fn entries(
        &self,
        lead: &LeadId,
        direction: Direction,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError>;
}

/// Keeps what visitors did whom nobody knows yet.
#[async_trait]
pub trait Visitors: Send + Sync + Debug {
    /// Keeps activity of a browser; a second delivery of the same entry changes nothing.
    async fn remember(&self, visitor: &AnonymousId, entries: &[Entry]) -> Result<(), StoreError>;
    /// Gives the latest activity of a browser, oldest first.
    async fn recall(&self, visitor: &AnonymousId, most: usize) -> Result<Vec<Entry>, StoreError>;
    /// Deletes activity of a browser, and tells whether there may be more.
    async fn forget_visitor(&self, visitor: &AnonymousId) -> Result<bool, StoreError>;
}

/// A lead as the inbox index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxLine {
    /// The lead.
    pub lead: LeadId,
    /// When its owner promised to have answered, in the index's order: kept promises come last.
    pub promise_due_at: Timestamp,
}

/// Lists leads.
#[async_trait]
pub trait LeadLists: Send + Sync + Debug {
    /// Scans one of `of` parts of all leads, in pages.
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError>;
    /// Gives leads that are due at `until` or before, of one of the 16 shards.
    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> Result<Vec<LeadId>, StoreError>;
    /// Gives the leads that a person in sales works on, in the order of their promises.
    async fn inbox(
        &self,
        owner: &Slug,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<InboxLine>, StoreError>;
    /// Gives leads that wait until a person has room for them, the best first; up to `most`, 1,000 at most.
    async fn held(&self, owner: &Slug, most: usize) -> Result<Vec<LeadId>, StoreError>;
    /// Tells about how many leads there are, without counting them.
    async fn about(&self) -> Result<u64, StoreError>;
    /// Puts off a lead whose review failed, if it is still due at `due_at`.
    async fn put_off(&self, lead: &LeadId, due_at: Timestamp, until: Timestamp) -> Result<(), StoreError>;
}

/// The kinds of records in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CatalogKind {
    /// Playbook versions, and the pointer to the active one.
    Playbook,
    /// People.
    Person,
    /// Tokens, by their hash.
    Token,
    /// Jobs.
    Job,
    /// What was released to each person today.
    Release,
    /// Whose turn it is in each territory's pool.
    Rotation,
    /// Who in sales has the leads of each company, by its domain.
    Company,
    /// What people declared about an attribute.
    Attribute,
    /// What people declared about a campaign.
    Campaign,
    /// What the last export of each target held.
    Mark,
    /// Content.
    Content,
    /// What content did, as of its latest count.
    ContentResults,
    /// Figures of reports, kept by date.
    Report,
    /// What personas stand on.
    Evidence,
    /// The latest won leads, and what they are like.
    Won,
    /// Who outside is told what happened.
    Webhook,
    /// What a webhook's messages are signed with: apart from it, so that only who signs reads it.
    WebhookSecret,
    /// How a CRM's changes are read.
    CrmMapping,
    /// What is known of a lead's record in a CRM.
    CrmRecord,
    /// What links are signed with.
    LinkKey,
    /// Addresses that nobody may write to, by their hash.
    Suppression,
    /// What was done outside, such as mails that were sent.
    Claim,
    /// How mails to leads look.
    Template,
}

impl CatalogKind {
    /// Every kind with the word in its key.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("playbook", Self::Playbook),
        ("person", Self::Person),
        ("token", Self::Token),
        ("job", Self::Job),
        ("release", Self::Release),
        ("rotation", Self::Rotation),
        ("company", Self::Company),
        ("attribute", Self::Attribute),
        ("campaign", Self::Campaign),
        ("mark", Self::Mark),
        ("content", Self::Content),
        ("content_results", Self::ContentResults),
        ("report", Self::Report),
        ("evidence", Self::Evidence),
        ("won", Self::Won),
        ("webhook", Self::Webhook),
        ("webhook_secret", Self::WebhookSecret),
        ("crm_mapping", Self::CrmMapping),
        ("crm_record", Self::CrmRecord),
        ("link_key", Self::LinkKey),
        ("suppression", Self::Suppression),
        ("claim", Self::Claim),
        ("template", Self::Template),
    ];

    /// Gives the word in the key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// A record of the catalog: a small JSON document with a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What it is.
    pub kind: CatalogKind,
    /// Its id.
    pub id: String,
    /// Counts the writes, from 1.
    pub version: u64,
    /// The document.
    pub body: Value,
    /// When it may be forgotten.
    pub expires_at: Option<Timestamp>,
}

/// A write to the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The record as it is to be; its `version` is the one to write.
    pub record: Record,
    /// Whether to write whatever is there, rather than only on top of `version - 1`.
    pub force: bool,
}

impl Put {
    /// Makes a new record; refused where one of that id exists.
    #[must_use]
    pub fn new(kind: CatalogKind, id: impl Into<String>, body: Value) -> Self {
        Self { record: Record { kind, id: id.into(), version: 1, body, expires_at: None }, force: false }
    }

    /// Replaces a record that was read; refused where it changed meanwhile.
    #[must_use]
    pub fn over(record: &Record, body: Value) -> Self {
        Self { record: Record { version: record.version + 1, body, ..record.clone() }, force: false }
    }
}

/// Keeps what is not about a single lead.
#[async_trait]
pub trait Catalog: Send + Sync + Debug {
    /// Reads a record; consistent.
    async fn get(&self, kind: CatalogKind, id: &str) -> Result<Option<Record>, StoreError>;
    /// Lists records of a kind by id.
    async fn list(
        &self,
        kind: CatalogKind,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Record>, StoreError> {
        self.list_under(kind, "", limit, cursor).await
    }
    /// Lists those records of a kind whose ids start with a text, by id.
    async fn list_under(
        &self,
        kind: CatalogKind,
        start: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Record>, StoreError>;
    /// Writes records, all or none; `false` where one of them is not as expected.
    async fn put(&self, puts: &[Put]) -> Result<bool, StoreError>;
    /// Deletes a record; `false` where there was none.
    async fn delete(&self, kind: CatalogKind, id: &str) -> Result<bool, StoreError>;
}

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key of the file.
    pub key: String,
    /// The id of the upload.
    pub id: String,
    /// The tags of the parts so far, in order.
    pub parts: Vec<String>,
}

/// Writes files that people fetch.
#[async_trait]
pub trait FileStore: Send + Sync + Debug {
    /// Starts an upload.
    async fn start(&self, key: &str, content_type: &str, file_name: &str) -> Result<Upload, StoreError>;
    /// Adds the next part; each but the last has at least 5 MiB.
    async fn add(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), StoreError>;
    /// Completes the upload: only now the file exists.
    async fn complete(&self, upload: &Upload) -> Result<(), StoreError>;
    /// Writes a small file whole; one of that key is replaced.
    async fn put(
        &self,
        key: &str,
        content_type: &str,
        file_name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError>;
    /// Reads a small file; `None` where there is none.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Tells how many bytes a file has; `None` where there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError>;
    /// Removes a file; one that is not there is removed already.
    async fn remove(&self, key: &str) -> Result<(), StoreError>;
    /// Signs a link that works for 15 minutes.
    async fn link(&self, key: &str) -> Result<String, StoreError>;
}

/// Starts a job somewhere else, so that the answer does not wait for it.
#[async_trait]
pub trait JobStarter: Send + Sync + Debug {
    /// Starts work on a job.
    async fn start(&self, job: &str) -> Result<(), StoreError>;
}

/// Tells the other systems of the account what happened.
#[async_trait]
pub trait EventBus: Send + Sync + Debug {
    /// Puts up to [`AT_ONCE`] events and gives the places of those that were not taken.
    async fn put(&self, events: &[CloudEvent]) -> Result<Vec<usize>, StoreError>;
}

/// How many events or messages are sent at once, at most.
pub const AT_ONCE: usize = 10;

/// Puts messages into a queue.
#[async_trait]
pub trait MessageSender: Send + Sync + Debug {
    /// Sends up to [`AT_ONCE`] messages and gives the places of those that were not taken.
    async fn send(&self, messages: &[String]) -> Result<Vec<usize>, StoreError>;
}

/// Lets a message wait that a worker holds.
#[async_trait]
pub trait MessageHolder: Send + Sync + Debug {
    /// Hides a message for some seconds, up to twelve hours.
    async fn hold(&self, receipt: &str, seconds: u32) -> Result<(), StoreError>;
}

/// A message that somebody took out of a queue, and has to remove once it is dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What removes it.
    pub receipt: String,
    /// What it says.
    pub body: String,
}

/// Takes messages out of a queue.
#[async_trait]
pub trait MessageTaker: Send + Sync + Debug {
    /// Takes up to [`AT_ONCE`] messages, which are hidden from others for a minute.
    async fn take(&self) -> Result<Vec<Taken>, StoreError>;
    /// Removes a message.
    async fn remove(&self, receipt: &str) -> Result<(), StoreError>;
}

/// Says why a mail was not sent, as far as that can be known.
#[derive(Debug, Error)]
pub enum MailError {
    /// It was not sent, and may be tried again.
    #[error("the mail was not taken for now: {0}")]
    NotNow(String),
    /// It was not sent, and no mail to this address ever will be: there is no such mailbox.
    #[error("there is no such mailbox: {0}")]
    NoSuchMailbox(String),
    /// It was not sent, and never will be as it is.
    #[error("the mail was refused: {0}")]
    Never(String),
    /// Nobody knows: the way broke off after it was handed over.
    #[error("whether the mail was sent is not known: {0}")]
    Unknown(String),
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync + Debug {
    /// Sends a mail, and gives the id by which whoever took it speaks of it.
    async fn send(&self, message: &Message) -> Result<String, MailError>;
}
