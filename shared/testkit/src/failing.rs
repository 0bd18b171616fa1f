//! Wrappers that fail as a store on a network fails, exactly when a test says so.
//!
//! One [`Failures`] may drive several wrappers: then "the third call" is the third call of the request, whatever port it
//! goes to, and a test can walk through all of them.

use adapters::cloud_event::CloudEvent;
use adapters::mail::Message;
use adapters::ports::{
    Catalog, CatalogKind, Commit, Direction, EventBus, InboxLine, LeadLists, LeadStore, MailError, Mailer,
    MessageHolder, MessageSender, MessageTaker, Page, Put, Record, Remains, StoreError, Taken, Timeline,
    Visitors,
};
use async_trait::async_trait;
use domain::change::{Change, Entry, Event};
use domain::identity::{AnonymousId, Identity, LeadId, Slug};
use domain::lead::Lead;
use domain::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The store does nothing and says that it is busy.
    Throttled,
    /// The store does what it was asked for, and the answer gets lost on the way: the caller hears that it is busy.
    TimedOutAfterWrite,
    /// Somebody else was faster: a conflict where the call knows one, else busy. Of several events or messages sent at
    /// once, the first is not taken.
    Conflict,
    /// The store does nothing and never answers.
    Hangs,
}

#[derive(Debug, Default)]
struct Script {
    on_call: BTreeMap<usize, Failure>,
    on_write: BTreeMap<usize, Failure>,
    every: Option<(usize, Failure)>,
    outage: bool,
    calls: Vec<&'static str>,
    writes: usize,
    hung: bool,
}

/// Says which calls fail, and notes which were made.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<Script>>);

impl Failures {
    /// Makes a script without failures.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the `n`th call from now fail, counted from 1.
    pub fn on_call(&self, n: usize, failure: Failure) {
        let mut script = self.script();
        let at = script.calls.len() + n;
        script.on_call.insert(at, failure);
    }

    /// Lets the `n`th write from now fail, counted from 1.
    pub fn on_write(&self, n: usize, failure: Failure) {
        let mut script = self.script();
        let at = script.writes + n;
        script.on_write.insert(at, failure);
    }

    /// Lets the next `n` writes fail.
    pub fn next_writes(&self, n: usize, failure: Failure) {
        (1..=n).for_each(|at| self.on_write(at, failure));
    }

    /// Lets every `n`th write fail.
    pub fn every_write(&self, n: usize, failure: Failure) {
        self.script().every = Some((n.max(1), failure));
    }

    /// Lets every call fail from now on.
    pub fn outage(&self) {
        self.script().outage = true;
    }

    /// Ends all failures.
    pub fn heal(&self) {
        let mut script = self.script();
        script.outage = false;
        script.every = None;
        script.on_call.clear();
        script.on_write.clear();
    }

    /// Gives the calls that were made since the last time, failed ones included.
    pub fn take_calls(&self) -> Vec<&'static str> {
        let mut script = self.script();
        script.on_call.clear();
        script.hung = false;
        std::mem::take(&mut script.calls)
    }

    /// Waits until a call hangs that was told to, so that a test can let its caller die there.
    pub async fn hung(&self) {
        while !self.script().hung {
            tokio::task::yield_now().await;
        }
    }

    fn next(&self, call: &'static str, writes: bool) -> Option<Failure> {
        let mut script = self.script();
        script.calls.push(call);
        let at = script.calls.len();
        let on_call = script.on_call.remove(&at);
        let mut on_write = None;
        if writes {
            script.writes += 1;
            let at = script.writes;
            on_write = script.on_write.remove(&at);
            on_write =
                on_write.or(script.every.filter(|(n, _)| at.is_multiple_of(*n)).map(|(_, failure)| failure));
        }
        let failure = if script.outage { Some(Failure::Throttled) } else { on_call.or(on_write) };
        script.hung |= failure == Some(Failure::Hangs);
        failure
    }

    async fn read<T>(
        &self,
        call: &'static str,
        go: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.next(call, false) {
            None => go.await,
            Some(Failure::Hangs) => std::future::pending().await,
            Some(failure) => Err(busy(failure)),
        }
    }

    async fn write<T>(
        &self,
        call: &'static str,
        conflict: Option<T>,
        go: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match (self.next(call, true), conflict) {
            (None, _) => go.await,
            (Some(Failure::Hangs), _) => std::future::pending().await,
            (Some(Failure::TimedOutAfterWrite), _) => {
                go.await?;
                Err(busy(Failure::TimedOutAfterWrite))
            }
            (Some(Failure::Conflict), Some(conflict)) => Ok(conflict),
            (Some(failure), _) => Err(busy(failure)),
        }
    }
}

impl Failures {
    /// Sends several things at once; where somebody else was faster, all but the first.
    async fn batch<T>(
        &self,
        call: &'static str,
        all: &[T],
        go: impl AsyncFnOnce(&[T]) -> Result<Vec<usize>, StoreError>,
    ) -> Result<Vec<usize>, StoreError> {
        match self.next(call, true) {
            None => go(all).await,
            Some(Failure::Hangs) => std::future::pending().await,
            Some(Failure::Throttled) => Err(busy(Failure::Throttled)),
            Some(Failure::TimedOutAfterWrite) => {
                go(all).await?;
                Err(busy(Failure::TimedOutAfterWrite))
            }
            Some(Failure::Conflict) => {
                let mut refused: Vec<usize> = match all.split_first() {
                    Some((_, rest)) if !rest.is_empty() => go(rest).await?,
                    _ => Vec::new(),
                };
                refused.iter_mut().for_each(|at| *at += 1);
                refused.push(0);
                Ok(refused)
            }
        }
    }
}

fn busy(failure: Failure) -> StoreError {
    StoreError::Busy(format!("injected: {failure:?}"))
}

/// A store of leads that fails as it is told.
#[derive(Debug)]
pub struct FailingLeadStore<S> {
    inner: Arc<S>,
    failures: Failures,
}

impl<S> FailingLeadStore<S> {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: Arc<S>, failures: Failures) -> Self {
        Self { inner, failures }
    }
}

#[async_trait]
impl<S: LeadStore> LeadStore for FailingLeadStore<S> {
    async fn owners(&self, identities: &[Identity]) -> Result<Vec<(Identity, LeadId)>, StoreError> {
        self.failures.read("owners", self.inner.owners(identities)).await
    }

    async fn owner_by_key(&self, key: &str) -> Result<Option<LeadId>, StoreError> {
        self.failures.read("owner by key", self.inner.owner_by_key(key)).await
    }

    async fn load(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError> {
        self.failures.read("load", self.inner.load(ids)).await
    }

    async fn commit_with(&self, change: &Change, also: &[Put]) -> Result<Commit, StoreError> {
        self.failures.write("commit", Some(Commit::Conflict), self.inner.commit_with(change, also)).await
    }

    async fn erase(&self, lead: &Lead, event: &Event, also: &[Put]) -> Result<bool, StoreError> {
        self.failures.write("erase", Some(false), self.inner.erase(lead, event, also)).await
    }
}

#[async_trait]
impl<S: Remains> Remains for FailingLeadStore<S> {
    async fn forget_entries(&self, lead: &LeadId) -> Result<bool, StoreError> {
        self.failures.write("forget_entries", None, self.inner.forget_entries(lead)).await
    }

    async fn forget_events(&self, lead: &LeadId) -> Result<bool, StoreError> {
        self.failures.write("forget_events", None, self.inner.forget_events(lead)).await
    }

    async fn forget_identities(
        &self,
        lead: &LeadId,
        cursor: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        self.failures.write("forget_identities", None, self.inner.forget_identities(lead, cursor)).await
    }
}

#[async_trait]
impl<S: Timeline> Timeline for FailingLeadStore<S> {
    async fn entries(
        &self,
        lead: &LeadId,
        direction: Direction,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError> {
        self.failures.read("entries", self.inner.entries(lead, direction, limit, cursor)).await
    }
}

#[async_trait]
impl<S: Visitors> Visitors for FailingLeadStore<S> {
    async fn remember(&self, visitor: &AnonymousId, entries: &[Entry]) -> Result<(), StoreError> {
        self.failures.write("remember", None, self.inner.remember(visitor, entries)).await
    }

    async fn recall(&self, visitor: &AnonymousId, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.failures.read("recall", self.inner.recall(visitor, most)).await
    }

    async fn forget_visitor(&self, visitor: &AnonymousId) -> Result<bool, StoreError> {
        self.failures.write("forget_visitor", None, self.inner.forget_visitor(visitor)).await
    }
}

#[async_trait]
impl<S: LeadLists> LeadLists for FailingLeadStore<S> {
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError> {
        self.failures.read("scan", self.inner.scan(segment, of, cursor)).await
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> Result<Vec<LeadId>, StoreError> {
        self.failures.read("due", self.inner.due(shard, until, most)).await
    }

    async fn inbox(
        &self,
        owner: &Slug,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<InboxLine>, StoreError> {
        self.failures.read("inbox", self.inner.inbox(owner, limit, cursor)).await
    }

    async fn held(&self, owner: &Slug, most: usize) -> Result<Vec<LeadId>, StoreError> {
        self.failures.read("held", self.inner.held(owner, most)).await
    }

    async fn about(&self) -> Result<u64, StoreError> {
        self.failures.read("about", self.inner.about()).await
    }

    async fn put_off(&self, lead: &LeadId, due_at: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        self.failures.write("put_off", None, self.inner.put_off(lead, due_at, until)).await
    }
}

/// A catalog that fails as it is told.
#[derive(Debug)]
pub struct FailingCatalog<C: ?Sized> {
    inner: Arc<C>,
    failures: Failures,
}

impl<C: ?Sized> FailingCatalog<C> {
    /// Wraps a catalog.
    #[must_use]
    pub fn new(inner: Arc<C>, failures: Failures) -> Self {
        Self { inner, failures }
    }
}

#[async_trait]
impl<C: Catalog + ?Sized> Catalog for FailingCatalog<C> {
    async fn get(&self, kind: CatalogKind, id: &str) -> Result<Option<Record>, StoreError> {
        self.failures.read("get", self.inner.get(kind, id)).await
    }

    async fn list_under(
        &self,
        kind: CatalogKind,
        start: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Record>, StoreError> {
        self.failures.read("list", self.inner.list_under(kind, start, limit, cursor)).await
    }

    async fn put(&self, puts: &[Put]) -> Result<bool, StoreError> {
        self.failures.write("put", Some(false), self.inner.put(puts)).await
    }

    async fn delete(&self, kind: CatalogKind, id: &str) -> Result<bool, StoreError> {
        self.failures.write("delete", Some(false), self.inner.delete(kind, id)).await
    }
}

/// A bus that fails as it is told.
#[derive(Debug)]
pub struct FailingEventBus<B> {
    inner: Arc<B>,
    failures: Failures,
}

impl<B> FailingEventBus<B> {
    /// Wraps a bus.
    #[must_use]
    pub fn new(inner: Arc<B>, failures: Failures) -> Self {
        Self { inner, failures }
    }
}

#[async_trait]
impl<B: EventBus> EventBus for FailingEventBus<B> {
    async fn put(&self, events: &[CloudEvent]) -> Result<Vec<usize>, StoreError> {
        self.failures.batch("put_events", events, async |taken| self.inner.put(taken).await).await
    }
}

/// A mailer that fails as it is told: a conflict is a mail that is refused for good.
#[derive(Debug)]
pub struct FailingMailer<M> {
    inner: Arc<M>,
    failures: Failures,
}

impl<M> FailingMailer<M> {
    /// Wraps a mailer.
    #[must_use]
    pub fn new(inner: Arc<M>, failures: Failures) -> Self {
        Self { inner, failures }
    }
}

#[async_trait]
impl<M: Mailer> Mailer for FailingMailer<M> {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        match self.failures.next("send_mail", true) {
            None => self.inner.send(message).await,
            Some(Failure::Hangs) => std::future::pending().await,
            Some(Failure::Throttled) => Err(MailError::NotNow("throttled".to_owned())),
            Some(Failure::Conflict) => Err(MailError::Never("refused".to_owned())),
            Some(Failure::TimedOutAfterWrite) => {
                self.inner.send(message).await?;
                Err(MailError::Unknown("no answer".to_owned()))
            }
        }
    }
}

/// A queue that fails as it is told.
#[derive(Clone, Debug)]
pub struct FailingQueue<Q> {
    inner: Q,
    failures: Failures,
}

impl<Q> FailingQueue<Q> {
    /// Wraps a queue.
    #[must_use]
    pub fn new(inner: Q, failures: Failures) -> Self {
        Self { inner, failures }
    }
}

#[async_trait]
impl<Q: MessageSender> MessageSender for FailingQueue<Q> {
    async fn send(&self, messages: &[String]) -> Result<Vec<usize>, StoreError> {
        self.failures.batch("send", messages, async |taken| self.inner.send(taken).await).await
    }
}

#[async_trait]
impl<Q: MessageHolder> MessageHolder for FailingQueue<Q> {
    async fn hold(&self, receipt: &str, seconds: u32) -> Result<(), StoreError> {
        self.failures.write("hold", None, self.inner.hold(receipt, seconds)).await
    }
}

#[async_trait]
impl<Q: MessageTaker> MessageTaker for FailingQueue<Q> {
    async fn take(&self) -> Result<Vec<Taken>, StoreError> {
        self.failures.write("take", None, self.inner.take()).await
    }

    async fn remove(&self, receipt: &str) -> Result<(), StoreError> {
        self.failures.write("remove", None, self.inner.remove(receipt)).await
    }
}
