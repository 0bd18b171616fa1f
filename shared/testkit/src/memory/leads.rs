//! Leads, timelines, visitors and lists in memory.

use super::{MemoryCatalog, lock, page, start};
use adapters::dynamodb::keys;
use adapters::ports::{
    Commit, Direction, InboxLine, LeadLists, LeadStore, Page, Put, Remains, StoreError, Timeline, Visitors,
};
use async_trait::async_trait;
use domain::change::{Change, Entry, Event, EventKind};
use domain::identity::{AnonymousId, Identity, LeadId, Slug};
use domain::lead::Lead;
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

/// The most pieces that one transaction may have.
const MOST_PIECES: usize = 100;
/// How many leads a page of a scan has; small, so that tests see several.
const SCAN_PAGE: usize = 10;
/// How many of a lead's remains are deleted at a time; small for the same reason.
const FORGOTTEN: usize = 3;

/// An event as it waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// The lead.
    pub lead: LeadId,
    /// The lead's version after the event.
    pub version: u64,
    /// The event's id.
    pub id: String,
    /// The word of its kind.
    pub kind: String,
}

/// Shows what waits to be sent, for tests.
#[async_trait]
pub trait Outbox: Send + Sync + Debug {
    /// Gives every event, by lead and id.
    async fn sent(&self) -> Vec<SentEvent>;
}

#[derive(Clone, Debug, Default)]
struct State {
    leads: BTreeMap<LeadId, Lead>,
    identities: BTreeMap<String, LeadId>,
    /// By partition, a lead's or a visitor's, and entry.
    entries: BTreeMap<(String, String), Entry>,
    events: BTreeMap<(LeadId, String), (u64, Event)>,
}

/// Leads, timelines, visitors and lists in memory.
#[derive(Debug, Default)]
pub struct MemoryLeadStore {
    state: Mutex<State>,
    /// What the indexes show, where they lag behind.
    frozen: Mutex<Option<BTreeMap<LeadId, Lead>>>,
    /// Where records go that are written together with a lead.
    catalog: Option<Arc<MemoryCatalog>>,
}

impl MemoryLeadStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store that writes records into a catalog together with its leads.
    #[must_use]
    pub fn beside(catalog: Arc<MemoryCatalog>) -> Self {
        Self { catalog: Some(catalog), ..Self::default() }
    }

    /// Lets `due` and `inbox` go on showing what they show now, as an index that is behind does.
    pub fn freeze_indexes(&self) {
        let now = lock(&self.state).leads.clone();
        *lock(&self.frozen) = Some(now);
    }

    /// Lets the indexes catch up.
    pub fn thaw_indexes(&self) {
        *lock(&self.frozen) = None;
    }

    /// Gives every lead.
    #[must_use]
    pub fn leads(&self) -> Vec<Lead> {
        lock(&self.state).leads.values().cloned().collect()
    }

    /// Gives every entry of a lead, oldest first.
    #[must_use]
    pub fn timeline(&self, lead: &LeadId) -> Vec<Entry> {
        self.partition(lead.as_str()).into_iter().map(|(_, entry)| entry).collect()
    }

    /// Gives every event that waits to be sent, by lead and id.
    #[must_use]
    pub fn events(&self) -> Vec<(LeadId, Event)> {
        lock(&self.state).events.iter().map(|((lead, _), (_, event))| (lead.clone(), event.clone())).collect()
    }

    /// Counts the identities that somebody owns.
    #[must_use]
    pub fn identities(&self) -> usize {
        lock(&self.state).identities.len()
    }

    /// Puts a lead in place as it is, past all conditions.
    pub fn put(&self, lead: Lead) {
        let mut state = lock(&self.state);
        for identity in &lead.identities {
            state.identities.insert(keys::identity_key(identity), lead.id.clone());
        }
        state.leads.insert(lead.id.clone(), lead);
    }

    /// Lets a lead be gone, as somebody who was erased is.
    pub fn forget(&self, lead: &LeadId) {
        let mut state = lock(&self.state);
        state.identities.retain(|_, owner| owner != lead);
        state.leads.remove(lead);
    }

    fn partition(&self, partition: &str) -> Vec<(String, Entry)> {
        lock(&self.state)
            .entries
            .iter()
            .filter(|((of, _), _)| of == partition)
            .map(|((_, id), entry)| (id.clone(), entry.clone()))
            .collect()
    }

    fn indexed(&self) -> BTreeMap<LeadId, Lead> {
        lock(&self.frozen).clone().unwrap_or_else(|| lock(&self.state).leads.clone())
    }
}

fn refused(what: &str) -> StoreError {
    StoreError::Refused(what.to_owned())
}

/// Tells whether two of the pieces are one item, which no transaction may have.
fn overlaps(change: &Change) -> bool {
    let pieces = change.claims.len() + change.entries.len() + change.events.len();
    let claims: BTreeSet<String> = change.claims.iter().map(keys::identity_key).collect();
    let entries: BTreeSet<&str> = change.entries.iter().map(|entry| entry.id.as_str()).collect();
    let events: BTreeSet<&str> = change.events.iter().map(|event| event.id.as_str()).collect();
    claims.len() + entries.len() + events.len() < pieces || pieces + 1 > MOST_PIECES
}

#[async_trait]
impl LeadStore for MemoryLeadStore {
    async fn owners(&self, identities: &[Identity]) -> Result<Vec<(Identity, LeadId)>, StoreError> {
        tokio::task::yield_now().await;
        let wanted: BTreeSet<&Identity> = identities.iter().collect();
        let state = lock(&self.state);
        let owner = |identity: &Identity| state.identities.get(&keys::identity_key(identity)).cloned();
        Ok(wanted.into_iter().filter_map(|identity| Some((identity.clone(), owner(identity)?))).collect())
    }

    async fn owner_by_key(&self, key: &str) -> Result<Option<LeadId>, StoreError> {
        tokio::task::yield_now().await;
        Ok(lock(&self.state).identities.get(key).cloned())
    }

    async fn load(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError> {
        tokio::task::yield_now().await;
        if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
            return Err(refused("ValidationException"));
        }
        let state = lock(&self.state);
        Ok(ids.iter().filter_map(|id| state.leads.get(id).cloned()).collect())
    }

    async fn commit_with(&self, change: &Change, also: &[Put]) -> Result<Commit, StoreError> {
        tokio::task::yield_now().await;
        if overlaps(change) {
            return Err(refused("ValidationException"));
        }
        let mut state = lock(&self.state);
        let lead = &change.lead;
        let stored = state.leads.get(&lead.id).map(|lead| lead.version);
        let claimed =
            change.claims.iter().any(|identity| state.identities.contains_key(&keys::identity_key(identity)));
        let key = |entry: &Entry| (lead.id.as_str().to_owned(), entry.id.clone());
        let places = change.entries.iter().enumerate();
        let repeated: Vec<usize> =
            places.filter(|(_, entry)| state.entries.contains_key(&key(entry))).map(|(at, _)| at).collect();
        if stored != change.expected || claimed {
            return Ok(Commit::Conflict);
        }
        if !repeated.is_empty() {
            return Ok(Commit::Repeated(repeated));
        }
        if !also.is_empty() {
            let catalog =
                self.catalog.as_ref().ok_or_else(|| refused("no catalog stands beside this store"))?;
            if !catalog.write(also)? {
                return Ok(Commit::Conflict);
            }
        }
        for identity in &change.claims {
            state.identities.insert(keys::identity_key(identity), lead.id.clone());
        }
        for entry in &change.entries {
            state.entries.insert(key(entry), entry.clone());
        }
        for event in &change.events {
            state.events.insert((lead.id.clone(), event.id.clone()), (lead.version, event.clone()));
        }
        state.leads.insert(lead.id.clone(), lead.clone());
        Ok(Commit::Done)
    }

    async fn erase(&self, lead: &Lead, event: &Event, also: &[Put]) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        if lead.identities.len() + also.len() + 2 > MOST_PIECES {
            return Err(refused("ValidationException"));
        }
        let mut state = lock(&self.state);
        // What leads to somebody else is not this lead's to take along.
        let mut keys: Vec<String> = lead.identities.iter().map(keys::identity_key).collect();
        keys.retain(|key| state.identities.get(key) == Some(&lead.id));
        let stored = state.leads.get(&lead.id).map(|lead| lead.version);
        if stored != Some(lead.version) {
            return Ok(false);
        }
        if !also.is_empty() {
            let catalog =
                self.catalog.as_ref().ok_or_else(|| refused("no catalog stands beside this store"))?;
            if !catalog.write(also)? {
                return Ok(false);
            }
        }
        for key in &keys {
            state.identities.remove(key);
        }
        state.events.insert((lead.id.clone(), event.id.clone()), (lead.version + 1, event.clone()));
        state.leads.remove(&lead.id);
        Ok(true)
    }
}

impl MemoryLeadStore {
    fn forget_partition(&self, partition: &str) -> bool {
        let found = self.partition(partition);
        let mut state = lock(&self.state);
        for (id, _) in found.iter().take(FORGOTTEN) {
            state.entries.remove(&(partition.to_owned(), id.clone()));
        }
        found.len() >= FORGOTTEN
    }
}

#[async_trait]
impl Remains for MemoryLeadStore {
    async fn forget_entries(&self, lead: &LeadId) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        Ok(self.forget_partition(lead.as_str()))
    }

    async fn forget_events(&self, lead: &LeadId) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.state);
        let others = |((of, id), (_, event)): (&(LeadId, String), &(u64, Event))| {
            (of == lead && event.kind != EventKind::Erased).then(|| (of.clone(), id.clone()))
        };
        let found: Vec<(LeadId, String)> = state.events.iter().filter_map(others).take(FORGOTTEN).collect();
        for key in &found {
            state.events.remove(key);
        }
        Ok(found.len() >= FORGOTTEN)
    }

    async fn forget_identities(
        &self,
        lead: &LeadId,
        cursor: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        tokio::task::yield_now().await;
        let list = "identities";
        let after = start(list, cursor)?;
        let mut state = lock(&self.state);
        let left: Vec<(String, String)> = state
            .identities
            .keys()
            .filter(|key| after.as_deref().is_none_or(|after| key.as_str() > after))
            .map(|key| (key.clone(), key.clone()))
            .collect();
        let page = page(list, left, SCAN_PAGE);
        for key in page.items {
            if state.identities.get(&key) == Some(lead) {
                state.identities.remove(&key);
            }
        }
        Ok(page.next)
    }
}

#[async_trait]
impl Timeline for MemoryLeadStore {
    async fn entries(
        &self,
        lead: &LeadId,
        direction: Direction,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError> {
        tokio::task::yield_now().await;
        let list = format!("timeline {lead}");
        let after = start(&list, cursor)?;
        let mut entries = self.partition(lead.as_str());
        match direction {
            Direction::Forward => {
                entries.retain(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() > after))
            }
            Direction::Backward => {
                entries.retain(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() < after));
                entries.reverse();
            }
        }
        Ok(page(&list, entries, limit.clamp(1, 1_000)))
    }
}

#[async_trait]
impl Visitors for MemoryLeadStore {
    async fn remember(&self, visitor: &AnonymousId, entries: &[Entry]) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.state);
        for entry in entries {
            state.entries.insert((keys::visitor_partition(visitor), entry.id.clone()), entry.clone());
        }
        Ok(())
    }

    async fn recall(&self, visitor: &AnonymousId, most: usize) -> Result<Vec<Entry>, StoreError> {
        tokio::task::yield_now().await;
        let entries = self.partition(&keys::visitor_partition(visitor));
        let spare = entries.len().saturating_sub(most);
        Ok(entries.into_iter().skip(spare).map(|(_, entry)| entry).collect())
    }

    async fn forget_visitor(&self, visitor: &AnonymousId) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        Ok(self.forget_partition(&keys::visitor_partition(visitor)))
    }
}

#[async_trait]
impl LeadLists for MemoryLeadStore {
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError> {
        tokio::task::yield_now().await;
        if of == 0 || segment >= of {
            return Err(refused("ValidationException"));
        }
        let list = format!("scan {segment} of {of}");
        let after = start(&list, cursor)?;
        let part =
            |id: &LeadId| id.as_str().bytes().fold(0_u32, |sum, b| sum.wrapping_mul(31) + u32::from(b)) % of;
        let leads = lock(&self.state).leads.clone().into_iter();
        let left = leads.filter(|(id, _)| {
            part(id) == segment && after.as_deref().is_none_or(|after| id.as_str() > after)
        });
        Ok(page(&list, left.map(|(id, lead)| (id.as_str().to_owned(), lead)).collect(), SCAN_PAGE))
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> Result<Vec<LeadId>, StoreError> {
        tokio::task::yield_now().await;
        let mut due: Vec<(i64, LeadId)> = self
            .indexed()
            .into_iter()
            .filter(|(_, lead)| keys::shard_of(lead) == shard)
            .filter_map(|(id, lead)| Some((lead.due_at?.secs(), id)))
            .filter(|(at, _)| *at <= until.secs())
            .collect();
        due.sort();
        Ok(due.into_iter().take(most).map(|(_, id)| id).collect())
    }

    async fn inbox(
        &self,
        owner: &Slug,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<InboxLine>, StoreError> {
        tokio::task::yield_now().await;
        let list = format!("inbox {owner}");
        let after = start(&list, cursor)?;
        let mut lines: Vec<(String, InboxLine)> = self
            .indexed()
            .into_values()
            .filter(|lead| lead.stage.in_inbox() && lead.person.as_ref() == Some(owner))
            .map(|lead| {
                let due = lead.promise_due_at.map_or(keys::NO_PROMISE, Timestamp::secs);
                let key = format!("{due:020} {}", lead.id);
                (key, InboxLine { lead: lead.id, promise_due_at: Timestamp::from_secs(due) })
            })
            .collect();
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        lines.retain(|(key, _)| after.as_deref().is_none_or(|after| key.as_str() > after));
        Ok(page(&list, lines, limit.clamp(1, 1_000)))
    }

    async fn held(&self, owner: &Slug, most: usize) -> Result<Vec<LeadId>, StoreError> {
        tokio::task::yield_now().await;
        let held = self.indexed().into_values().filter(|lead| lead.held_for.as_ref() == Some(owner));
        let mut held: Vec<(i64, LeadId)> = held.map(|lead| (keys::held_rank(&lead.score), lead.id)).collect();
        held.sort();
        held.truncate(most);
        Ok(held.into_iter().map(|(_, id)| id).collect())
    }

    async fn about(&self) -> Result<u64, StoreError> {
        tokio::task::yield_now().await;
        Ok(self.indexed().len() as u64)
    }

    async fn put_off(&self, lead: &LeadId, due_at: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.state);
        if let Some(lead) = state.leads.get_mut(lead)
            && let Some(at) = lead.due_at.filter(|at| at.secs() <= due_at.secs())
        {
            // The index has whole seconds; what is finer stays beside it.
            let finer = at.since(Timestamp::from_secs(at.secs()));
            lead.due_at = Some(Timestamp::from_secs(until.secs()).plus(finer));
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryLeadStore {
    async fn sent(&self) -> Vec<SentEvent> {
        let state = lock(&self.state);
        let sent = state.events.iter().map(|((lead, id), (version, event))| SentEvent {
            lead: lead.clone(),
            version: *version,
            id: id.clone(),
            kind: event.kind.as_str().to_owned(),
        });
        sent.collect()
    }
}
