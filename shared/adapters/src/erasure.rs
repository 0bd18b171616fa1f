//! Somebody is forgotten: the lead at once, all that is left of it shortly after.
//!
//! # At once
//!
//! [`erase`] deletes the lead and what it is known by in one transaction, and with it stores the event that tells so, a job for
//! the rest and, of somebody who said no, the hash of each address that nobody may write to. From then on nobody finds the
//! lead, nothing is sent to it, and nothing can be written about it: whoever read it before commits on a version that is
//! gone. Whoever comes with the address is somebody new. What the lead's browsers did before anybody knew them goes right
//! before: a form from one of them would copy it to whoever is new. The lead has a copy, should the transaction come to
//! nothing.
//!
//! # Shortly after
//!
//! [`Cleaner::work`] deletes what lies under the lead's id elsewhere. Everything that it does may be done twice, so it keeps no
//! account but where it stands in the one list that is long. It looks twice: at once, and again after [`LOOK_AGAIN_MS`], which
//! outlasts every function. Somebody may have read the lead when it was there and be about to note beside it, not in it, what
//! became of a mail or of a CRM's record. A report that was begun before the erasure and is at work still is waited for, with
//! a look more: it may have found the lead, and is looked through when it is done.
//!
//! The job's request holds what the transaction deleted the knowledge of: the ids of the lead's browsers, until the first look
//! is done, and its ids in other systems, for whoever deletes it there, until the second is. A week later nothing of the job
//! is left.

use crate::claims;
use crate::clock::Clock;
use crate::crm;
use crate::jobs::{self, Job, JobKind, JobStatus, Jobs};
use crate::ports::{Catalog, CatalogKind, LeadStore, Put, Remains, StoreError, Visitors};
use crate::suppressions;
use crate::write_path::{GIVE_UP_AFTER, RecordError, pause};
use domain::erasure::{event, take_out};
use domain::identity::{AnonymousId, ExternalId, Identity, LeadId};
use domain::lead::{Lead, MOST_ANONYMOUS};
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;

/// After how long it is looked once more for what somebody wrote who had read the lead before, in milliseconds.
pub const LOOK_AGAIN_MS: i64 = claims::LEASE_MS;
/// How many records of the catalog are read at a time.
const PAGE: usize = 100;
/// How often a record is changed anew that others write too.
const TRIES: u32 = 8;

/// The records in which leads stand beside others.
const SHARED: &[CatalogKind] = &[CatalogKind::Release, CatalogKind::Won, CatalogKind::Job];

/// What is left of a lead when it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The lead.
    pub lead: LeadId,
    /// Its browsers.
    pub visitors: Vec<AnonymousId>,
    /// Whether it had so many browsers that it may have forgotten some by which it is known still.
    pub forgotten: bool,
    /// Its ids in other systems.
    pub external_ids: Vec<ExternalId>,
}

impl Left {
    fn of(lead: &Lead) -> Self {
        let visitors: Vec<AnonymousId> = lead
            .identities
            .iter()
            .filter_map(|identity| match identity {
                Identity::Anonymous(id) => Some(id.clone()),
                _ => None,
            })
            .collect();
        Self {
            lead: lead.id.clone(),
            forgotten: visitors.len() >= MOST_ANONYMOUS,
            visitors,
            external_ids: lead.external_ids().cloned().collect(),
        }
    }

    fn to_json(&self) -> Value {
        let visitors: Vec<&str> = self.visitors.iter().map(AnonymousId::as_str).collect();
        let external_ids: Vec<Value> =
            self.external_ids.iter().map(|id| json!({ "system": id.system(), "id": id.id() })).collect();
        json!({
            "lead_id": self.lead.as_str(), "visitors": visitors, "forgotten": self.forgotten,
            "external_ids": external_ids,
        })
    }

    /// Reads what is left by the job that deletes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`].
    pub fn by(job: &Job) -> Result<Self, StoreError> {
        fn read(request: &Value) -> Option<Left> {
            let list = |name: &str| request.get(name).and_then(Value::as_array).into_iter().flatten();
            let external =
                |id: &Value| ExternalId::new(id.get("system")?.as_str()?, id.get("id")?.as_str()?).ok();
            Some(Left {
                lead: LeadId::parse(request.get("lead_id")?.as_str()?).ok()?,
                visitors: list("visitors")
                    .map(|id| AnonymousId::parse(id.as_str()?).ok())
                    .collect::<Option<_>>()?,
                forgotten: request.get("forgotten").and_then(Value::as_bool).unwrap_or(false),
                external_ids: list("external_ids").map(external).collect::<Option<_>>()?,
            })
        }
        read(&job.request).ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))
    }
}

/// Tells whether somebody works on a job, or will.
fn is_open(job: &Value) -> bool {
    let status = job.get("status").and_then(Value::as_str);
    [JobStatus::Waiting, JobStatus::Running].iter().any(|open| status == Some(open.as_str()))
}

/// Tells whether an open job may hold a lead that was erased at `erased_at`: it was asked for before, and was begun. Another
/// erasure holds none but its own.
fn may_have_found(job: &Value, erased_at: Timestamp) -> bool {
    let text = |name: &str| job.get(name).and_then(Value::as_str);
    let begun = text("status") != Some(JobStatus::Waiting.as_str()) || job.get("state") != Some(&Value::Null);
    let before = text("created_at").and_then(Timestamp::parse).is_none_or(|at| at <= erased_at);
    begun && before && text("kind") != Some(JobKind::Erase.as_str())
}

/// Gives the id of the job that deletes what is left of a lead.
#[must_use]
pub fn job_id(lead: &LeadId) -> String {
    format!("erase-{lead}")
}

/// Erases a lead and gives the job that deletes what is left of it. Of a lead that is gone it is the job that is at work
/// still; one that was given up begins anew.
///
/// # Errors
///
/// [`RecordError`]; [`RecordError::NoSuchLead`] where there is neither a lead nor anything left of it to be deleted.
pub async fn erase(
    leads: &dyn LeadStore,
    visitors: &dyn Visitors,
    catalog: &Arc<dyn Catalog>,
    clock: &Arc<dyn Clock>,
    id: &LeadId,
) -> Result<Job, RecordError> {
    let jobs = Jobs::new(Arc::clone(catalog), Arc::clone(clock));
    let deadline = Instant::now() + GIVE_UP_AFTER;
    let mut attempt = 0;
    loop {
        match once(leads, visitors, catalog.as_ref(), &jobs, clock.as_ref(), id, deadline).await {
            Ok(Some(job)) => return Ok(job),
            Ok(None) => {}
            Err(RecordError::Store(error)) if error.may_retry() => {
                tracing::debug!(error = %error, "trying again");
            }
            Err(error) => return Err(error),
        }
        let pause = pause(attempt);
        attempt += 1;
        if Instant::now() + pause > deadline {
            return Err(RecordError::Busy);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Tries once, until `deadline`; `None` where somebody else was faster, or there is too much to be deleted.
async fn once(
    leads: &dyn LeadStore,
    visitors: &dyn Visitors,
    catalog: &dyn Catalog,
    jobs: &Jobs,
    clock: &dyn Clock,
    id: &LeadId,
    deadline: Instant,
) -> Result<Option<Job>, RecordError> {
    let Some(lead) = leads.load(std::slice::from_ref(id)).await?.pop() else {
        // Whoever asks again, or whose answer got lost, hears of the job that is there.
        let job = jobs.get(&job_id(id)).await?.filter(|job| job.status != JobStatus::Done);
        let mut job = job.ok_or(RecordError::NoSuchLead)?;
        if job.status == JobStatus::Failed && !jobs.again(&mut job).await? {
            return Ok(None);
        }
        return Ok(Some(job));
    };
    let left = Left::of(&lead);
    for visitor in &left.visitors {
        while visitors.forget_visitor(visitor).await? {
            if Instant::now() > deadline {
                return Ok(None);
            }
        }
    }
    let now = clock.now();
    let mut also = vec![jobs::erase(job_id(id), &left.to_json(), now)];
    also.extend(suppressions::outliving(catalog, &lead, now).await?);
    if !leads.erase(&lead, &event(&lead, now), &also).await? {
        return Ok(None);
    }
    tracing::info!(lead = id.as_str(), "a lead was erased");
    Ok(jobs.get(&job_id(id)).await?)
}

/// Deletes what is left of leads.
#[derive(Clone, Debug)]
pub struct Cleaner {
    remains: Arc<dyn Remains>,
    visitors: Arc<dyn Visitors>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
}

impl Cleaner {
    /// Makes it.
    #[must_use]
    pub fn new(
        remains: Arc<dyn Remains>,
        visitors: Arc<dyn Visitors>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { remains, visitors, catalog, clock }
    }

    /// Works on a job until `until`, and gives it as it is then; none where somebody else works on it, or it is none of
    /// these. It may begin anew from wherever it was interrupted.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the job may be taken up at once then. That the store was busy is no failed attempt.
    pub async fn work(&self, jobs: &Jobs, id: &str, until: Instant) -> Result<Option<Job>, StoreError> {
        if !jobs.get(id).await?.is_some_and(|job| job.kind == JobKind::Erase) {
            return Ok(None);
        }
        let Some(mut job) = jobs.take(id).await? else { return Ok(None) };
        let done = self.look(jobs, &mut job, until).await;
        if !matches!(done, Ok(true)) {
            let failed = done.as_ref().is_err_and(|error| !error.may_retry());
            job.attempts = job.attempts.saturating_sub(u64::from(!failed));
            jobs.let_go(&mut job).await?;
        }
        done.map(|_| Some(job))
    }

    /// Deletes whatever is there, and tells whether that is all of it.
    async fn look(&self, jobs: &Jobs, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
        let mut left = Left::by(job)?;
        let looked = job.state.get("looked") == Some(&Value::Bool(true));
        let lead = &left.lead;
        while self.remains.forget_entries(lead).await? {
            if Instant::now() > until {
                return Ok(false);
            }
        }
        while self.remains.forget_events(lead).await? {}
        for visitor in &left.visitors {
            while self.visitors.forget_visitor(visitor).await? {
                if Instant::now() > until {
                    return Ok(false);
                }
            }
        }
        self.forget_records(lead).await?;
        let mut at_work = false;
        for kind in SHARED {
            at_work |= self.take_out_of(*kind, lead, job.created_at).await?;
        }
        if left.forgotten && !self.forget_browsers(jobs, job, lead, until).await? {
            return Ok(false);
        }
        left = Left { visitors: Vec::new(), forgotten: false, ..left };
        if looked && !at_work {
            job.request = json!({ "lead_id": left.lead.as_str() });
            return jobs.finish(job, Value::Null).await.map(|_| true);
        }
        job.request = left.to_json();
        let again = self.clock.now().plus(LOOK_AGAIN_MS);
        jobs.rest(job, json!({ "looked": true }), again).await.map(|_| true)
    }

    /// Deletes the records that are about the lead alone: what is known of its records in CRMs, and the mails that sales got
    /// about it.
    async fn forget_records(&self, lead: &LeadId) -> Result<(), StoreError> {
        let catalog = self.catalog.as_ref();
        for channel in crm::channels(catalog).await? {
            catalog.delete(crm::RECORD, &crm::id(&channel, lead.as_str())).await?;
        }
        let mails = claims::of_hand_overs(lead);
        loop {
            let page = catalog.list_under(CatalogKind::Claim, &mails, PAGE, None).await?;
            for record in &page.items {
                catalog.delete(CatalogKind::Claim, &record.id).await?;
            }
            if page.items.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes the lead out of the records of a kind in which others stand too: whose turn it is, the latest won ones, what
    /// reports found. A job that somebody works on is left to them: what it finds now has no erased lead in it, and what it
    /// found before is looked through once it is done. Tells whether there is such a job that may have found the lead.
    async fn take_out_of(
        &self,
        kind: CatalogKind,
        lead: &LeadId,
        erased_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut at_work = false;
        // What this very job, and one of the same lead before it, is called by is no place to take it out of.
        let own = job_id(lead);
        let mut cursor = None;
        loop {
            let page = self.catalog.list(kind, PAGE, cursor.as_deref()).await?;
            for record in page.items {
                if record.id == own {
                    continue;
                }
                if kind == CatalogKind::Job && is_open(&record.body) {
                    at_work |= may_have_found(&record.body, erased_at);
                } else if take_out(&mut record.body.clone(), lead) {
                    self.take_out_of_one(kind, &record.id, lead).await?;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(at_work);
            }
        }
    }

    async fn take_out_of_one(&self, kind: CatalogKind, id: &str, lead: &LeadId) -> Result<(), StoreError> {
        for attempt in 0..TRIES {
            let Some(record) = self.catalog.get(kind, id).await? else { return Ok(()) };
            let mut body = record.body.clone();
            if !take_out(&mut body, lead) || self.catalog.put(&[Put::over(&record, body)]).await? {
                return Ok(());
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(StoreError::Busy(format!("a record of kind {} is being changed by too many", kind.as_str())))
    }

    /// Looks through all identities for browsers that the lead had forgotten and is known by still, and tells whether it came
    /// to the end.
    async fn forget_browsers(
        &self,
        jobs: &Jobs,
        job: &mut Job,
        lead: &LeadId,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let mut cursor = job.state.get("cursor").and_then(Value::as_str).map(str::to_owned);
        loop {
            cursor = self.remains.forget_identities(lead, cursor.as_deref()).await?;
            if cursor.is_none() {
                return Ok(true);
            }
            if !jobs.checkpoint(job, json!({ "cursor": cursor })).await? || Instant::now() > until {
                return Ok(false);
            }
        }
    }
}
