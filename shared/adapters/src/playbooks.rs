//! Playbook versions and the active one.
//!
//! A version never changes once it is written, so it is cached for good; the pointer to the active one is cached for
//! at most [`POINTER_MS`]. That is why a sweep to a new version waits until every cache has seen it.

use crate::clock::Clock;
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::fault::Fault;
use domain::playbook::Playbook;
use domain::time::{SECOND_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// For how long the pointer to the active version is cached, in milliseconds.
pub const POINTER_MS: i64 = 30 * SECOND_MS;
/// How long after an activation the sweep to the new version starts, in milliseconds: twice the time of the caches.
pub const SWEEP_AFTER_MS: i64 = 2 * POINTER_MS;
/// The id of the record that points to the active version.
const ACTIVE: &str = "active";

/// A playbook with its number.
#[derive(Clone, Debug)]
pub struct Version {
    /// The number, from 1.
    pub number: u32,
    /// The playbook.
    pub playbook: Arc<Playbook>,
}

/// What is stored of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The number, from 1.
    pub number: u32,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
    /// The document.
    pub document: Value,
    /// The SHA-256 of the canonical document, in hexadecimal.
    pub hash: String,
}

/// Where the active version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its number.
    pub number: u32,
    /// Since when.
    pub since: Timestamp,
}

#[derive(Debug, Default)]
struct Cache {
    versions: BTreeMap<u32, Arc<Playbook>>,
    active: Option<(u32, Timestamp)>,
}

/// Reads and writes playbooks.
#[derive(Debug)]
pub struct Playbooks {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
}

fn id_of(number: u32) -> String {
    format!("{number:08}")
}

/// Gives the SHA-256 of the canonical form of a document: JSON without spaces, keys sorted.
#[must_use]
pub fn content_hash(document: &Value) -> String {
    use sha2::{Digest, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(document.to_string().as_bytes()))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("playbook {what}"))
}

fn read_stored(record: &Record) -> Result<Stored, StoreError> {
    let field = |name: &str| record.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Stored {
        number: record.id.parse().map_err(|_| damaged(&record.id))?,
        author: field("author"),
        created_at: Timestamp::parse(&field("created_at")).ok_or_else(|| damaged(&record.id))?,
        document: record.body.get("document").cloned().ok_or_else(|| damaged(&record.id))?,
        hash: field("hash"),
    })
}

impl Playbooks {
    /// Makes a reader with an empty cache.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, cache: Mutex::default() }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the active version, up to [`POINTER_MS`] old.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Refused`] where none is active yet.
    pub async fn active(&self) -> Result<Version, StoreError> {
        let now = self.clock.now();
        let cached = self.cache().active.filter(|(_, read)| (0..POINTER_MS).contains(&now.since(*read)));
        let number = match cached {
            Some((number, _)) => number,
            None => {
                let active = self.pointer().await?.ok_or_else(|| {
                    StoreError::Refused(
                        "no playbook is active; `leadloop bootstrap` activates the first".to_owned(),
                    )
                })?;
                self.cache().active = Some((active.number, now));
                active.number
            }
        };
        Ok(Version { number, playbook: self.version(number).await? })
    }

    /// Reads where the active version stands, past the cache.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn pointer(&self) -> Result<Option<Active>, StoreError> {
        let Some(record) = self.catalog.get(CatalogKind::Playbook, ACTIVE).await? else { return Ok(None) };
        Ok(Some(read_active(&record)?))
    }

    /// Gives a version by its number.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Damaged`] where there is none or it cannot be read.
    pub async fn version(&self, number: u32) -> Result<Arc<Playbook>, StoreError> {
        if let Some(playbook) = self.cache().versions.get(&number) {
            return Ok(Arc::clone(playbook));
        }
        let stored = self.stored(number).await?.ok_or_else(|| damaged(&number.to_string()))?;
        let playbook = Playbook::parse(&stored.document).map_err(|_| damaged(&number.to_string()))?;
        let playbook = Arc::new(playbook);
        self.cache().versions.insert(number, Arc::clone(&playbook));
        Ok(playbook)
    }

    /// Gives what is stored of a version.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn stored(&self, number: u32) -> Result<Option<Stored>, StoreError> {
        match self.catalog.get(CatalogKind::Playbook, &id_of(number)).await? {
            Some(record) => Ok(Some(read_stored(&record)?)),
            None => Ok(None),
        }
    }

    /// Lists the versions, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Stored>, StoreError> {
        let (mut versions, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.catalog.list(CatalogKind::Playbook, 100, cursor.as_deref()).await?;
            for record in page.items.iter().filter(|record| record.id != ACTIVE) {
                versions.push(read_stored(record)?);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(versions);
            }
        }
    }

    /// Writes a new version and gives it; the same content as the latest version gives that one.
    ///
    /// # Errors
    ///
    /// The faults of the document, or a [`StoreError`].
    pub async fn add(
        &self,
        document: &Value,
        author: &str,
    ) -> Result<Result<Stored, Vec<Fault>>, StoreError> {
        if let Err(faults) = Playbook::parse(document) {
            return Ok(Err(faults));
        }
        let hash = content_hash(document);
        loop {
            let versions = self.list().await?;
            if let Some(last) = versions.last().filter(|last| last.hash == hash) {
                return Ok(Ok(last.clone()));
            }
            let stored = Stored {
                number: versions.last().map_or(1, |last| last.number + 1),
                author: author.to_owned(),
                created_at: self.clock.now(),
                document: document.clone(),
                hash: hash.clone(),
            };
            let body = json!({
                "author": stored.author,
                "created_at": stored.created_at.to_string(),
                "document": stored.document,
                "hash": stored.hash,
            });
            if self.catalog.put(&[Put::new(CatalogKind::Playbook, id_of(stored.number), body)]).await? {
                return Ok(Ok(stored));
            }
        }
    }

    /// Makes a version the active one, together with the job that brings existing leads to it. `false` where somebody
    /// else was faster, or it is active already.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn activate(&self, number: u32) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let record = self.catalog.get(CatalogKind::Playbook, ACTIVE).await?;
        let before = record.as_ref().map(read_active).transpose()?;
        if before.is_some_and(|before| before.number == number) {
            return Ok(false);
        }
        let body = json!({ "number": number, "since": now.to_string() });
        let pointer = match &record {
            Some(record) => Put::over(record, body),
            None => Put::new(CatalogKind::Playbook, ACTIVE, body),
        };
        let mut puts = vec![pointer];
        if before.is_some() {
            puts.push(crate::jobs::sweep(number, now.plus(SWEEP_AFTER_MS), now));
        }
        let done = self.catalog.put(&puts).await?;
        if done {
            self.cache().active = None;
        }
        Ok(done)
    }
}

fn read_active(record: &Record) -> Result<Active, StoreError> {
    let number = record.body.get("number").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let since = record.body.get("since").and_then(Value::as_str).and_then(Timestamp::parse);
    match (number, since) {
        (Some(number), Some(since)) => Ok(Active { number, since }),
        _ => Err(damaged(ACTIVE)),
    }
}
