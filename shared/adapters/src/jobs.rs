//! Long work: a record with a lease and a cursor, resumed by the tick where its worker died.

use crate::clock::Clock;
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// For how long a worker holds a job without a sign of life, in milliseconds.
pub const LEASE_MS: i64 = 2 * MINUTE_MS;
/// For how long a finished job is kept, in milliseconds: as long as the files of exports are.
const KEEP_MS: i64 = 7 * DAY_MS;
/// After how many attempts a job is given up.
pub const MOST_ATTEMPTS: u64 = 10;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Brings every lead to a playbook version.
    Sweep,
    /// Writes a segment to a file.
    Export,
    /// Answers a report that takes too long to wait for.
    Report,
    /// Confronts a playbook with outcomes.
    Backtest,
    /// Fits a card to won and lost.
    Suggestion,
    /// Gives the leads of somebody who leaves to others.
    Reassign,
    /// Deletes what is left of a lead that was erased.
    Erase,
}

impl JobKind {
    /// Every kind with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("sweep", Self::Sweep),
        ("export", Self::Export),
        ("report", Self::Report),
        ("backtest", Self::Backtest),
        ("suggestion", Self::Suggestion),
        ("reassign", Self::Reassign),
        ("erase", Self::Erase),
    ];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Nobody works on it yet.
    Waiting,
    /// Somebody works on it.
    Running,
    /// It is done.
    Done,
    /// It was given up.
    Failed,
}

impl JobStatus {
    /// Every status with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("waiting", Self::Waiting),
        ("running", Self::Running),
        ("done", Self::Done),
        ("failed", Self::Failed),
    ];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, status)| *status == self).map_or("", |(word, _)| word)
    }
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// The record that it was read from.
    record: Record,
    /// What it does.
    pub kind: JobKind,
    /// How far it has come.
    pub status: JobStatus,
    /// What it was asked for.
    pub request: Value,
    /// Where it stands; its worker's own.
    pub state: Value,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Before when it must not start.
    pub not_before: Timestamp,
    /// Until when its worker holds it.
    pub lease_until: Option<Timestamp>,
    /// How often somebody began to work on it.
    pub attempts: u64,
}

fn body(kind: JobKind, request: &Value, created_at: Timestamp, not_before: Timestamp) -> Value {
    json!({
        "kind": kind.as_str(),
        "status": JobStatus::Waiting.as_str(),
        "request": request,
        "state": null,
        "created_at": created_at.to_string(),
        "not_before": not_before.to_string(),
        "attempts": 0,
    })
}

/// Makes the job that sweeps all leads to a playbook version.
#[must_use]
pub fn sweep(version: u32, not_before: Timestamp, now: Timestamp) -> Put {
    // The activation's time is part of the id: going back to an earlier version is a sweep of its own.
    let id = format!("sweep-{version}-{}", now.millis());
    Put::new(
        CatalogKind::Job,
        id,
        body(JobKind::Sweep, &json!({ "playbook_version": version }), now, not_before),
    )
}

/// Makes the job that lets every lead that is ready and was never handed off wait for its turn.
#[must_use]
pub fn go_live(version: u32, now: Timestamp) -> Put {
    let request = json!({ "playbook_version": version, "go_live": true });
    Put::new(CatalogKind::Job, format!("go-live-{}", now.millis()), body(JobKind::Sweep, &request, now, now))
}

/// Makes the job that goes on with what a superseded one was to do; the same one, however often it is made.
#[must_use]
pub fn go_live_again(superseded: &Job, version: u32, now: Timestamp) -> Put {
    let mut put = go_live(version, now);
    put.record.id = format!("{}-{version}", superseded.id());
    put
}

/// Makes the job that deletes what is left of a lead. It takes the place of an earlier one: of a lead that came back with a
/// backup.
#[must_use]
pub fn erase(id: String, request: &Value, now: Timestamp) -> Put {
    Put { force: true, ..Put::new(CatalogKind::Job, id, body(JobKind::Erase, request, now, now)) }
}

/// Tells how far a sweep has come, in leads. How many there are is about right only: DynamoDB counts a table's items
/// every six hours.
#[must_use]
pub fn sweep_progress(job: &Job) -> Value {
    let sum = |name: &str| -> u64 {
        if let Some(sum) = job.state.get(name).and_then(Value::as_u64) {
            return sum;
        }
        let segments = job.state.get("segments").and_then(Value::as_object).into_iter().flatten();
        segments.filter_map(|(_, stand)| stand.get(name)?.as_u64()).sum()
    };
    let again = |name: &str| job.state.pointer(&format!("/second_look/{name}")).and_then(Value::as_u64);
    let (swept, done) = (sum("read"), job.status == JobStatus::Done);
    let leads = job.state.get("leads").and_then(Value::as_u64).map(|leads| leads.max(swept));
    json!({
        "job": job.id(),
        "status": job.status.as_str(),
        "leads": if done { Some(swept) } else { leads },
        "swept": swept,
        "changed": if done { sum("changed") } else { sum("changed") + again("changed").unwrap_or(0) },
        "failed": again("failed").unwrap_or_else(|| sum("failed")),
        "superseded": job.state.get("superseded").cloned().unwrap_or(Value::Bool(false)),
        "remaining": if done { Some(0) } else { leads.map(|leads| leads - swept) },
    })
}

impl Job {
    fn read(record: Record) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged(format!("job {}", record.id));
        let text = |name: &str| record.body.get(name).and_then(Value::as_str);
        let word = |name: &str| text(name).ok_or_else(damaged);
        let time = |name: &str| text(name).and_then(Timestamp::parse).ok_or_else(damaged);
        let (kind, status) = (word("kind")?, word("status")?);
        Ok(Self {
            kind: JobKind::WORDS.iter().find(|(w, _)| *w == kind).map(|(_, k)| *k).ok_or_else(damaged)?,
            status: JobStatus::WORDS
                .iter()
                .find(|(w, _)| *w == status)
                .map(|(_, s)| *s)
                .ok_or_else(damaged)?,
            request: record.body.get("request").cloned().unwrap_or_default(),
            state: record.body.get("state").cloned().unwrap_or_default(),
            created_at: time("created_at")?,
            not_before: time("not_before")?,
            lease_until: text("lease_until").and_then(Timestamp::parse),
            attempts: record.body.get("attempts").and_then(Value::as_u64).unwrap_or(0),
            record,
        })
    }

    fn write(&self) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "status": self.status.as_str(),
            "request": self.request,
            "state": self.state,
            "created_at": self.created_at.to_string(),
            "not_before": self.not_before.to_string(),
            "lease_until": self.lease_until.map(|at| at.to_string()),
            "attempts": self.attempts,
        })
    }

    /// Gives its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Tells whether somebody may begin to work on it.
    #[must_use]
    pub fn is_free(&self, now: Timestamp) -> bool {
        match self.status {
            JobStatus::Waiting => now >= self.not_before,
            JobStatus::Running => self.lease_until.is_none_or(|until| until <= now),
            JobStatus::Done | JobStatus::Failed => false,
        }
    }
}

/// Reads and writes jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

impl Jobs {
    /// Makes it.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock }
    }

    /// Writes a new job; one of the same id stays as it is. Gives the job that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add(&self, id: &str, kind: JobKind, request: &Value) -> Result<Job, StoreError> {
        let now = self.clock.now();
        let _is_new =
            self.catalog.put(&[Put::new(CatalogKind::Job, id, body(kind, request, now, now))]).await?;
        self.get(id).await?.ok_or_else(|| StoreError::Damaged(format!("job {id}")))
    }

    /// Reads a job.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn get(&self, id: &str) -> Result<Option<Job>, StoreError> {
        self.catalog.get(CatalogKind::Job, id).await?.map(Job::read).transpose()
    }

    /// Takes a job for work; `None` where somebody else has it or it is finished.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take(&self, id: &str) -> Result<Option<Job>, StoreError> {
        let now = self.clock.now();
        let Some(mut job) = self.get(id).await? else { return Ok(None) };
        if !job.is_free(now) {
            return Ok(None);
        }
        job.attempts += 1;
        if job.attempts > MOST_ATTEMPTS {
            job.status = JobStatus::Failed;
            self.save(&mut job).await?;
            return Ok(None);
        }
        job.status = JobStatus::Running;
        job.lease_until = Some(now.plus(LEASE_MS));
        Ok(self.save(&mut job).await?.then_some(job))
    }

    /// Notes how far the work has come and renews the lease; `false` where somebody else has the job now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn checkpoint(&self, job: &mut Job, state: Value) -> Result<bool, StoreError> {
        job.state = state;
        job.lease_until = Some(self.clock.now().plus(LEASE_MS));
        self.save(job).await
    }

    /// Ends a job.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn finish(&self, job: &mut Job, state: Value) -> Result<bool, StoreError> {
        self.finish_with(job, state, &[]).await
    }

    /// Ends a job and writes other records, both or neither; `false` where somebody else has the job now, or one of the
    /// records is not as expected. The job is as it was then.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn finish_with(&self, job: &mut Job, state: Value, also: &[Put]) -> Result<bool, StoreError> {
        let before = (job.state.clone(), job.status, job.lease_until);
        job.state = state;
        job.status = JobStatus::Done;
        job.lease_until = None;
        let done = self.save_with(job, also).await;
        if !matches!(done, Ok(true)) {
            (job.state, job.status, job.lease_until) = before;
        }
        done
    }

    /// Lets a job go, to be taken up again by the tick.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn let_go(&self, job: &mut Job) -> Result<bool, StoreError> {
        job.lease_until = Some(self.clock.now());
        self.save(job).await
    }

    /// Lets a job rest until it is gone on with; what was done so far was no failed attempt. Where that is not written the
    /// job is as it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn rest(&self, job: &mut Job, state: Value, until: Timestamp) -> Result<bool, StoreError> {
        let before = (job.state.clone(), job.attempts, job.lease_until);
        (job.state, job.attempts, job.lease_until) = (state, 0, Some(until));
        let rests = self.save(job).await;
        if !matches!(rests, Ok(true)) {
            (job.state, job.attempts, job.lease_until) = before;
        }
        rests
    }

    /// Begins a job anew that was given up.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn again(&self, job: &mut Job) -> Result<bool, StoreError> {
        (job.status, job.attempts, job.lease_until) = (JobStatus::Waiting, 0, None);
        self.save(job).await
    }

    async fn save(&self, job: &mut Job) -> Result<bool, StoreError> {
        self.save_with(job, &[]).await
    }

    async fn save_with(&self, job: &mut Job, also: &[Put]) -> Result<bool, StoreError> {
        let mut put = Put::over(&job.record, job.write());
        // A sweep or an erasure that was given up is looked for until it is begun again, however long that takes.
        let looked_for =
            matches!(job.kind, JobKind::Sweep | JobKind::Erase) && job.status == JobStatus::Failed;
        if matches!(job.status, JobStatus::Done | JobStatus::Failed) && !looked_for {
            put.record.expires_at = Some(self.clock.now().plus(KEEP_MS));
        }
        let puts: Vec<Put> = std::iter::once(&put).chain(also).cloned().collect();
        let done = self.catalog.put(&puts).await?;
        if done {
            job.record = put.record;
        }
        Ok(done)
    }

    /// Lists the jobs of a kind that somebody may begin to work on.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn free(&self, kind: JobKind) -> Result<Vec<Job>, StoreError> {
        let now = self.clock.now();
        Ok(self.list().await?.into_iter().filter(|job| job.kind == kind && job.is_free(now)).collect())
    }

    /// Lists all jobs.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Job>, StoreError> {
        let (mut jobs, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.catalog.list(CatalogKind::Job, 100, cursor.as_deref()).await?;
            for record in page.items {
                jobs.push(Job::read(record)?);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(jobs);
            }
        }
    }
}
