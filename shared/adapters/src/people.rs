//! People as their records have them: when they work, and who answers for them.
//!
//! The records are read whole and cached for at most [`CACHED_MS`], since every hand-off needs somebody's calendar and
//! hardly any changes one. A record that cannot be read is reported and passed over, so that one of them cannot hold up
//! the others' leads; its person counts as one of whom nothing is known.

use crate::clock::Clock;
use crate::ports::{Catalog, CatalogKind, Record, StoreError};
use domain::calendar::{Schedule, Week};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::promise::{People, Person};
use domain::reader::Node;
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
}

impl Known {
    fn read(record: &Record) -> Option<Self> {
        let faults = Faults::default();
        let node = Node::root(&record.body, &faults);
        let schedule = Schedule::read(&node.object()?).filter(|_| faults.is_empty())?;
        let slug =
            |name: &str| record.body.get(name).and_then(Value::as_str).and_then(|id| Slug::parse(id).ok());
        Some(Self {
            id: Slug::parse(&record.id).ok()?,
            schedule,
            deputy: slug("deputy"),
            manager: slug("manager"),
        })
    }

    fn person(&self, usual: Option<&Week>) -> (Slug, Person) {
        let calendar = self.schedule.calendar(usual);
        (self.id.clone(), Person { calendar, deputy: self.deputy.clone(), manager: self.manager.clone() })
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
