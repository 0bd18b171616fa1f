//! People as their records have them: when they work, who answers for them, and how many leads they can have.
//!
//! The records are read whole and cached for at most [`CACHED_MS`], since every hand-off needs somebody's calendar and
//! hardly any changes one. A record that cannot be read is reported and passed over, so that one of them cannot hold up
//! the others' leads; its person counts as one of whom nothing is known.

use crate::clock::Clock;
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::calendar::{Schedule, Week};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::playbook::Playbook;
use domain::promise::{People, Person};
use domain::reader::Node;
use domain::routing::Room;
use domain::time::{SECOND_MS, Timestamp};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// For how long the records are cached, in milliseconds.
pub const CACHED_MS: i64 = 30 * SECOND_MS;
/// How many records are asked for at a time.
const PAGE: usize = 100;

/// What a record says.
#[derive(Clone, Debug)]
struct Known {
    id: Slug,
    schedule: Schedule,
    deputy: Option<Slug>,
    manager: Option<Slug>,
    left_at: Option<Timestamp>,
    room: Room,
}

impl Known {
    fn read(record: &Record) -> Option<Self> {
        let faults = Faults::default();
        let node = Node::root(&record.body, &faults);
        let schedule = Schedule::read(&node.object()?).filter(|_| faults.is_empty())?;
        let slug =
            |name: &str| record.body.get(name).and_then(Value::as_str).and_then(|id| Slug::parse(id).ok());
        let room = |name: &str| record.body.get(name)?.as_u64().and_then(|n| u32::try_from(n).ok());
        let left_at = record.body.get("left_at").and_then(Value::as_str).and_then(Timestamp::parse);
        Some(Self {
            id: Slug::parse(&record.id).ok()?,
            schedule,
            deputy: slug("deputy"),
            manager: slug("manager"),
            left_at,
            room: Room { a_day: room("daily_capacity"), open: room("open_capacity") },
        })
    }

    fn person(&self, usual: Option<&Week>) -> (Slug, Person) {
        let person = Person {
            calendar: self.schedule.calendar(usual),
            deputy: self.deputy.clone(),
            manager: self.manager.clone(),
            left_at: self.left_at,
            room: self.room,
        };
        (self.id.clone(), person)
    }
}

/// Reads people's records.
#[derive(Debug)]
pub struct Directory {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Option<(Arc<Vec<Known>>, Timestamp)>>,
}

impl Directory {
    /// Makes a reader with an empty cache.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, cache: Mutex::default() }
    }

    /// Gives everybody, up to [`CACHED_MS`] old; `usual` are the hours of those who have none of their own.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn people(&self, usual: Option<&Week>) -> Result<People, StoreError> {
        let known = self.known().await?;
        Ok(known.iter().map(|known| known.person(usual)).collect())
    }

    async fn known(&self) -> Result<Arc<Vec<Known>>, StoreError> {
        let now = self.clock.now();
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((known, _)) = cached.filter(|(_, read)| (0..CACHED_MS).contains(&now.since(*read))) {
            return Ok(known);
        }
        let (mut known, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.catalog.list(CatalogKind::Person, PAGE, cursor.as_deref()).await?;
            for record in &page.items {
                match Known::read(record) {
                    Some(person) => known.push(person),
                    None => tracing::error!(person = record.id, "a person's record cannot be read"),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let known = Arc::new(known);
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&known), now));
        Ok(known)
    }
}

/// Makes sure that somebody has a record. Whoever has none stands in no list, and their leads would be out of sight: they
/// get one to be filled in. If somebody else is faster, theirs stays.
///
/// # Errors
///
/// [`StoreError`].
pub async fn note(catalog: &dyn Catalog, person: &Slug) -> Result<(), StoreError> {
    if catalog.get(CatalogKind::Person, person.as_str()).await?.is_none() {
        let body = serde_json::json!({ "name": person.as_str(), "team": "sales", "timezone": "UTC", "unknown": true });
        let _made = catalog.put(&[Put::new(CatalogKind::Person, person.as_str(), body)]).await?;
    }
    Ok(())
}

/// Tells whether somebody is a person whom the playbook names or who has a record, rather than a system.
///
/// # Errors
///
/// [`StoreError`].
pub async fn is_person(catalog: &dyn Catalog, playbook: &Playbook, id: &Slug) -> Result<bool, StoreError> {
    Ok(playbook.people().contains(&id) || catalog.get(CatalogKind::Person, id.as_str()).await?.is_some())
}
