//! Playbook versions and the active one.
//!
//! A version never changes once it is written, so it is cached for good; the pointer to the active one is cached for
//! at most [`POINTER_MS`]. That is why a sweep to a new version waits until every cache has seen it.
//!
//! What does change about a version is how far marketing and sales are with it: the rules stand in
//! [`domain::agreement`], here they are stored, each step conditional on the record as it was read.

use crate::clock::Clock;
use crate::people::Directory;
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::agreement::{Agreement, Refusal, SignOff, Status, agree};
use domain::fault::Fault;
use domain::playbook::Playbook;
use domain::playbook::diff::{Agree, diff};
use domain::promise::People;
use domain::stage::Team;
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
    /// What its author said of it.
    pub comment: Option<String>,
    /// How far marketing and sales are with it.
    pub agreement: Agreement,
    /// When it was last proposed, activated and retired, and by whom; the job of its sweep; and the rounds before, with
    /// their signatures. Kept as it is shown.
    pub history: Value,
}

/// Says why a version did not become the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotActivated {
    /// There is no such version.
    Missing,
    /// A key is missing, or it is not proposed.
    Refused(Refusal),
    /// Another version was activated at the same time.
    Raced,
}

/// How many earlier rounds of a version are kept: a record has an end.
const MOST_ROUNDS: usize = 20;
/// The largest document, in bytes of its canonical form: it leaves room in its record for the agreement.
const LARGEST: usize = 256 * 1024;
/// How often a step is tried again that somebody else's step came before.
const TRIES: u32 = 8;

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
    documents: BTreeMap<u32, Arc<Value>>,
    active: Option<(u32, Timestamp)>,
}

/// Reads and writes playbooks.
#[derive(Debug)]
pub struct Playbooks {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
    directory: Directory,
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
    let text = |name: &str| record.body.get(name).and_then(Value::as_str);
    let field = |name: &str| text(name).unwrap_or_default().to_owned();
    let status = text("status").and_then(|word| Status::WORDS.iter().find(|(known, _)| *known == word));
    let signed = record.body.get("sign_offs").and_then(Value::as_array).into_iter().flatten();
    let sign_offs: Option<Vec<SignOff>> = signed.map(read_sign_off).collect();
    Ok(Stored {
        number: record.id.parse().map_err(|_| damaged(&record.id))?,
        author: field("author"),
        created_at: Timestamp::parse(&field("created_at")).ok_or_else(|| damaged(&record.id))?,
        document: record.body.get("document").cloned().ok_or_else(|| damaged(&record.id))?,
        hash: field("hash"),
        comment: text("comment").map(str::to_owned),
        agreement: Agreement {
            status: status.map(|(_, status)| *status).unwrap_or_default(),
            sign_offs: sign_offs.ok_or_else(|| damaged(&record.id))?,
        },
        history: record.body.get("history").cloned().unwrap_or_else(|| json!({})),
    })
}

fn read_sign_off(json: &Value) -> Option<SignOff> {
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(SignOff {
        team: match text("team")?.as_str() {
            "sales" => Team::Sales,
            "marketing" => Team::Marketing,
            _ => return None,
        },
        holder: text("holder")?,
        at: Timestamp::parse(&text("at")?)?,
        hash: text("sha256")?,
        against: json.get("against").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()),
        backtest: json.get("backtest").filter(|shown| !shown.is_null()).cloned(),
        comment: text("comment"),
    })
}

/// Gives a signature as JSON, as it is stored and shown.
#[must_use]
pub fn sign_off_json(sign_off: &SignOff) -> Value {
    json!({
        "team": sign_off.team.as_str(),
        "holder": sign_off.holder,
        "at": sign_off.at.to_string(),
        "sha256": sign_off.hash,
        "against": sign_off.against,
        "backtest": sign_off.backtest,
        "comment": sign_off.comment,
    })
}

impl Stored {
    fn body(&self) -> Value {
        json!({
            "author": self.author,
            "created_at": self.created_at.to_string(),
            "document": self.document,
            "hash": self.hash,
            "comment": self.comment,
            "status": self.agreement.status.as_str(),
            "sign_offs": self.agreement.sign_offs.iter().map(sign_off_json).collect::<Vec<_>>(),
            "history": self.history,
        })
    }

    /// Notes something in the history.
    fn note(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(map) = self.history.as_object_mut() {
            map.insert(name.to_owned(), value.into());
        }
    }

    /// Puts what the last round brought among the earlier ones, and begins a new one.
    fn new_round(&mut self) {
        let mut round = std::mem::replace(&mut self.history, json!({}));
        let earlier = round.as_object_mut().and_then(|map| map.remove("earlier"));
        let mut earlier = earlier.and_then(|list| list.as_array().cloned()).unwrap_or_default();
        if let Some(map) = round.as_object_mut().filter(|map| !map.is_empty()) {
            // Who signed what and when is kept; what they were shown and said, only while it decides.
            let signed = self.agreement.sign_offs.iter().map(|s| SignOff {
                backtest: None,
                comment: None,
                ..s.clone()
            });
            let signed: Vec<Value> = signed.map(|sign_off| sign_off_json(&sign_off)).collect();
            map.insert("sign_offs".to_owned(), signed.into());
            earlier.push(round);
            let spare = earlier.len().saturating_sub(MOST_ROUNDS);
            earlier.drain(..spare);
            self.note("earlier", earlier);
        }
    }
}

impl Playbooks {
    /// Makes a reader with an empty cache.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        let directory = Directory::new(Arc::clone(&catalog), Arc::clone(&clock));
        Self { catalog, clock, cache: Mutex::default(), directory }
    }

    /// Gives the catalog that it reads.
    pub(crate) fn catalog(&self) -> &dyn Catalog {
        self.catalog.as_ref()
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

    /// Gives the people who keep what a version promises: where their records name no working hours, its own count.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn people(&self, playbook: &Playbook) -> Result<People, StoreError> {
        self.directory.people(playbook.promises.working_hours.as_ref()).await
    }

    /// Gives a version as it is written, which never changes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Damaged`] where there is none.
    pub async fn document(&self, number: u32) -> Result<Arc<Value>, StoreError> {
        if let Some(document) = self.cache().documents.get(&number) {
            return Ok(Arc::clone(document));
        }
        let stored = self.stored(number).await?.ok_or_else(|| damaged(&number.to_string()))?;
        let document = Arc::new(stored.document);
        self.cache().documents.insert(number, Arc::clone(&document));
        Ok(document)
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
        comment: Option<&str>,
    ) -> Result<Result<Stored, Vec<Fault>>, StoreError> {
        if let Err(faults) = Playbook::parse(document) {
            return Ok(Err(faults));
        }
        let size = document.to_string().len();
        if size > LARGEST {
            let detail = format!("has {size} bytes as JSON; a playbook may have {LARGEST}");
            return Ok(Err(vec![Fault { pointer: String::new(), detail }]));
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
                comment: comment.map(str::to_owned),
                agreement: Agreement::default(),
                history: json!({}),
            };
            let put = Put::new(CatalogKind::Playbook, id_of(stored.number), stored.body());
            if self.catalog.put(&[put]).await? {
                return Ok(Ok(stored));
            }
        }
    }

    /// Takes a step with a version, on top of whatever others did meanwhile; `None` where there is no such version.
    async fn step(
        &self,
        number: u32,
        step: impl Fn(&mut Stored) -> Result<(), Refusal>,
    ) -> Result<Option<Result<Stored, Refusal>>, StoreError> {
        for _ in 0..TRIES {
            let Some(record) = self.catalog.get(CatalogKind::Playbook, &id_of(number)).await? else {
                return Ok(None);
            };
            let mut stored = read_stored(&record)?;
            let before = stored.clone();
            if let Err(refusal) = step(&mut stored) {
                return Ok(Some(Err(refusal)));
            }
            if stored == before || self.catalog.put(&[Put::over(&record, stored.body())]).await? {
                return Ok(Some(Ok(stored)));
            }
        }
        Err(StoreError::Busy(format!("playbook {number} is being changed by too many at once")))
    }

    /// Asks marketing and sales to sign a version.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `None` where there is no such version.
    pub async fn propose(
        &self,
        number: u32,
        by: &str,
    ) -> Result<Option<Result<Stored, Refusal>>, StoreError> {
        let now = self.clock.now().to_string();
        self.step(number, |stored| {
            let mut agreement = stored.agreement.clone();
            if agreement.propose()? {
                stored.new_round();
                stored.agreement = agreement;
                stored.note("proposed_at", now.as_str());
                stored.note("proposed_by", by);
            }
            Ok(())
        })
        .await
    }

    /// Puts a signature under a version.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `None` where there is no such version.
    pub async fn sign(
        &self,
        number: u32,
        sign_off: &SignOff,
    ) -> Result<Option<Result<Stored, Refusal>>, StoreError> {
        self.step(number, |stored| {
            // The hash is made anew: what is signed is the content and not what a record says of it.
            let hash = content_hash(&stored.document);
            stored.agreement.sign(sign_off.clone(), &hash)
        })
        .await
    }

    /// Takes back what somebody signed under a version.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; `None` where there is no such version.
    pub async fn withdraw(
        &self,
        number: u32,
        holder: &str,
    ) -> Result<Option<Result<Stored, Refusal>>, StoreError> {
        self.step(number, |stored| stored.agreement.withdraw(holder).map(drop)).await
    }

    /// Tells who has to agree to a content against the one that is active; both where none is.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn agree(&self, document: &Value) -> Result<Agree, StoreError> {
        let Some(active) = self.pointer().await? else { return Ok(Agree::Both) };
        let active = self.stored(active.number).await?.ok_or_else(|| damaged(&active.number.to_string()))?;
        Ok(agree(&diff(&active.document, document)))
    }

    /// Makes a version the active one, if the keys that its changes need are there: together with the job that brings
    /// existing leads to it, and with the end of the version before. Gives it as it is then; one that is active already
    /// stays so.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn activate(&self, number: u32, by: &str) -> Result<Result<Stored, NotActivated>, StoreError> {
        let first = self.pointer().await?.map(|active| active.number);
        for _ in 0..TRIES {
            let pointer = self.catalog.get(CatalogKind::Playbook, ACTIVE).await?;
            let before = pointer.as_ref().map(read_active).transpose()?.map(|active| active.number);
            let Some(record) = self.catalog.get(CatalogKind::Playbook, &id_of(number)).await? else {
                return Ok(Err(NotActivated::Missing));
            };
            let mut stored = read_stored(&record)?;
            if before == Some(number) {
                return self.sweep_again(&record, stored).await.map(Ok);
            }
            if before != first {
                return Ok(Err(NotActivated::Raced));
            }
            let agree = self.agree(&stored.document).await?;
            if let Err(refusal) = stored.agreement.activate(agree, &content_hash(&stored.document), before) {
                return Ok(Err(NotActivated::Refused(refusal)));
            }
            match self.go_live(&record, &mut stored, pointer.as_ref(), before, by).await {
                Ok(true) => return Ok(Ok(stored)),
                // Somebody else's step came between, or is just being stored: look again who is active now.
                Ok(false) => {}
                Err(error) if error.may_retry() => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy(format!("playbook {number} is being changed by too many at once")))
    }

    /// Gives the active version as it stands; with a new sweep, where its sweep was given up.
    async fn sweep_again(&self, record: &Record, mut stored: Stored) -> Result<Stored, StoreError> {
        let failed = match stored.history.get("sweep").and_then(Value::as_str) {
            None => false,
            Some(id) => {
                let job = self.catalog.get(CatalogKind::Job, id).await?;
                let status = job.as_ref().and_then(|job| job.body.get("status")?.as_str());
                status == Some(crate::jobs::JobStatus::Failed.as_str())
            }
        };
        if failed {
            let now = self.clock.now();
            let sweep = crate::jobs::sweep(stored.number, now, now);
            stored.note("sweep", sweep.record.id.as_str());
            if !self.catalog.put(&[sweep, Put::over(record, stored.body())]).await? {
                // Somebody else was faster, and theirs sweeps.
                return Ok(self.stored(stored.number).await?.unwrap_or(stored));
            }
        }
        Ok(stored)
    }

    /// Makes the first version active on a stack that has none: there is no agreement yet that it could change. `false`
    /// where one is active.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn activate_first(&self, number: u32, by: &str) -> Result<bool, StoreError> {
        let Some(record) = self.catalog.get(CatalogKind::Playbook, &id_of(number)).await? else {
            return Err(damaged(&number.to_string()));
        };
        let mut stored = read_stored(&record)?;
        stored.agreement.status = Status::Active;
        self.go_live(&record, &mut stored, None, None, by).await
    }

    /// Stores that a version is active: all of it or nothing.
    async fn go_live(
        &self,
        record: &Record,
        stored: &mut Stored,
        pointer: Option<&Record>,
        before: Option<u32>,
        by: &str,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let sweep = crate::jobs::sweep(stored.number, now.plus(SWEEP_AFTER_MS), now);
        stored.note("activated_at", now.to_string());
        stored.note("activated_by", by);
        let body = json!({ "number": stored.number, "since": now.to_string() });
        let mut puts = Vec::new();
        if let Some(before) = before {
            stored.note("sweep", sweep.record.id.as_str());
            let old = self.catalog.get(CatalogKind::Playbook, &id_of(before)).await?;
            let old = old.ok_or_else(|| damaged(&before.to_string()))?;
            let mut retired = read_stored(&old)?;
            retired.agreement.retire();
            retired.note("retired_at", now.to_string());
            puts.extend([Put::over(&old, retired.body()), sweep]);
        }
        puts.push(Put::over(record, stored.body()));
        puts.push(match pointer {
            Some(pointer) => Put::over(pointer, body),
            None => Put::new(CatalogKind::Playbook, ACTIVE, body),
        });
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
