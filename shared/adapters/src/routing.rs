//! Gives leads to people: real prospects to somebody of their territory's pool, and what somebody who leaves has to
//! others.
//!
//! Who gets a lead is decided by [`domain::routing`]; here everything that it asks for is read, and a lead is committed in
//! one transaction with whose turn it is then and who has its company. Each of the three is conditional on its version, so
//! of those who decide at the same time one wins, and the others ask again: a lead is given away once, and nobody's turn
//! comes twice. Whoever dies before the commit has changed nothing; the lead still waits ([`Lead::to_assign`]), is due, and
//! the tick finds it.
//!
//! [`Lead::to_assign`]: domain::lead::Lead::to_assign

use crate::clock::Clock;
use crate::jobs::{Job, JobKind, Jobs};
use crate::playbooks::Playbooks;
use crate::ports::{Catalog, CatalogKind, Commit, LeadLists, LeadStore, Put, Record, StoreError};
use crate::write_path::pause;
use domain::change::{Change, assign};
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::playbook::{Member, Playbook, Territory};
use domain::promise::People;
use domain::routing::{Hindrance, Load, Passed, Rotation, Routed, Rule, missing, pick, qualify};
use domain::stage::Stage;
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a lead is tried to be given away that others give away at the same time.
const GIVE_UP_AFTER: Duration = Duration::from_secs(8);
/// How many leads of an inbox are asked for at a time.
const PAGE: usize = 100;

/// What became of a lead that was to be given to somebody.
#[derive(Clone, Debug)]
pub enum Given {
    /// Somebody has it now.
    To(Box<Lead>),
    /// Nobody has room for it; it waits with whoever has it.
    Waits,
    /// It does not wait for anybody, or whoever should give it away has it no longer.
    Nothing,
}

/// Whose leads go to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Who gives them away.
    pub from: Slug,
    /// Who gets all of them; the rules say, where nobody is named.
    pub to: Option<Slug>,
}

impl Leaving {
    /// Writes the request of a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "from": self.from.as_str(), "to": self.to.as_ref().map(Slug::as_str) })
    }

    /// Tells whether a job gives the leads of the same person away, to whomever.
    #[must_use]
    pub fn is_by(&self, job: &Job) -> bool {
        job.kind == JobKind::Reassign && Self::of(job).is_ok_and(|known| known.from == self.from)
    }

    /// Reads the request of a job.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`].
    pub fn of(job: &Job) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged(format!("job {}", job.id()));
        let who = |key: &str| job.request.get(key).and_then(Value::as_str).map(Slug::parse).transpose();
        let (from, to) = (who("from").map_err(|_| damaged())?, who("to").map_err(|_| damaged())?);
        Ok(Self { from: from.ok_or_else(damaged)?, to })
    }
}

/// How far somebody's leads are given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Moved {
    /// How many somebody else has.
    pub moved: u64,
    /// How many stay, since nobody else can have them or nobody has room.
    pub stayed: u64,
}

impl Moved {
    /// Reads the state of a job.
    #[must_use]
    pub fn of(state: &Value) -> Self {
        let number = |key: &str| state.get(key).and_then(Value::as_u64).unwrap_or(0);
        Self { moved: number("moved"), stayed: number("stayed") }
    }

    /// Writes the state of a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "moved": self.moved, "stayed": self.stayed })
    }
}

/// Gives leads to people.
#[derive(Clone, Debug)]
pub struct Assigner {
    leads: Arc<dyn LeadStore>,
    lists: Arc<dyn LeadLists>,
    catalog: Arc<dyn Catalog>,
    playbooks: Arc<Playbooks>,
    clock: Arc<dyn Clock>,
}

impl Assigner {
    /// Makes it.
    #[must_use]
    pub fn new(
        leads: Arc<dyn LeadStore>,
        lists: Arc<dyn LeadLists>,
        catalog: Arc<dyn Catalog>,
        playbooks: Arc<Playbooks>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { leads, lists, catalog, playbooks, clock }
    }

    /// Gives a lead that waits for somebody of its pool to them.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Busy`] where too many give leads away at once. The lead waits on then.
    pub async fn to_pool(&self, id: &LeadId) -> Result<Given, StoreError> {
        self.give(id, None).await
    }

    /// Gives a lead of somebody who leaves to somebody else.
    ///
    /// # Errors
    ///
    /// As [`Assigner::to_pool`].
    pub async fn away(&self, id: &LeadId, leaving: &Leaving) -> Result<Given, StoreError> {
        self.give(id, Some(leaving)).await
    }

    async fn give(&self, id: &LeadId, leaving: Option<&Leaving>) -> Result<Given, StoreError> {
        let deadline = Instant::now() + GIVE_UP_AFTER;
        let mut attempt = 0;
        loop {
            match self.once(id, leaving).await {
                Ok(Some(given)) => return Ok(given),
                Err(error) if !error.may_retry() => return Err(error),
                Ok(None) | Err(_) => {}
            }
            let pause = pause(attempt);
            attempt += 1;
            if Instant::now() + pause > deadline {
                return Err(StoreError::Busy("too many leads are given away at once".to_owned()));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Tries once; `None` where somebody else was faster.
    async fn once(&self, id: &LeadId, leaving: Option<&Leaving>) -> Result<Option<Given>, StoreError> {
        let Some(lead) = self.leads.load(std::slice::from_ref(id)).await?.pop() else {
            return Ok(Some(Given::Nothing));
        };
        let concerned = match leaving {
            Some(leaving) => lead.stage.in_inbox() && lead.person.as_ref() == Some(&leaving.from),
            None => lead.to_assign.is_some(),
        };
        if !concerned {
            return Ok(Some(Given::Nothing));
        }
        let playbook = self.playbooks.version(lead.playbook_version).await?;
        let mut people = self.playbooks.people(&playbook).await?;
        let now = self.clock.now();
        if let Some(leaving) = leaving {
            people.leaves(&leaving.from, now);
        }
        let (also, routed) = match self.decide(&lead, &playbook, &people, leaving, now).await? {
            Some(decided) => decided,
            None => return Ok(Some(Given::Waits)),
        };
        let change = assign(&lead, routed, &playbook, &people, now);
        self.commit(change, &also).await
    }

    async fn commit(&self, change: Change, also: &[Put]) -> Result<Option<Given>, StoreError> {
        Ok(match self.leads.commit_with(&change, also).await? {
            Commit::Done => Some(Given::To(Box::new(change.lead))),
            Commit::Conflict | Commit::Repeated(_) => None,
        })
    }

    /// Says who gets a lead and what is written with it; none where nobody else can have it now.
    async fn decide(
        &self,
        lead: &Lead,
        playbook: &Playbook,
        people: &People,
        leaving: Option<&Leaving>,
        now: Timestamp,
    ) -> Result<Option<(Vec<Put>, Routed)>, StoreError> {
        let territory = playbook.territory(lead, now.day());
        let company = self.company(lead).await?;
        let gone = |mut routed: Routed| {
            if let Some(Leaving { from, .. }) = leaving
                && routed.passed.iter().all(|passed| passed.person != *from)
            {
                routed.passed.insert(0, Passed { person: from.clone(), because: Hindrance::Left });
            }
            routed
        };
        if let Some(Leaving { from, to: Some(to) }) = leaving {
            let territory = territory.map(|territory| territory.id.clone());
            let also = company.as_ref().filter(|company| company.is_of(from));
            let also = also.map(|company| company.goes_to(to)).into_iter().collect();
            let routed = Routed { to: to.clone(), territory, rule: Rule::Named, passed: Vec::new() };
            return Ok(Some((also, gone(routed))));
        }
        let sold = matches!(lead.stage, Stage::SalesQualified | Stage::Opportunity);
        if let Some(pooled) = territory.filter(|territory| sold && !territory.pool.is_empty()) {
            let given = self.in_turn(lead, pooled, playbook, people, company, now).await?;
            // Who has no room today has some tomorrow; but where nobody of the pool is there, it is as if there was none.
            let is_there = |member: &Member| missing(people.get(&member.person), now).is_none();
            if given.is_some() || pooled.pool.iter().any(is_there) {
                return Ok(given.map(|(also, routed)| (also, gone(routed))));
            }
        }
        // Without a pool a real prospect stays with whoever has it; what has nobody any more is the qualifier's.
        let routed = leaving.map(|_| gone(qualify(playbook, territory, people, now)));
        let elsewhere = routed.filter(|routed| leaving.is_none_or(|leaving| routed.to != leaving.from));
        Ok(elsewhere.map(|routed| (Vec::new(), routed)))
    }

    async fn in_turn(
        &self,
        lead: &Lead,
        territory: &Territory,
        playbook: &Playbook,
        people: &People,
        company: Option<Company>,
        now: Timestamp,
    ) -> Result<Option<(Vec<Put>, Routed)>, StoreError> {
        let record = self.catalog.get(CatalogKind::Rotation, territory.id.as_str()).await?;
        let rotation = record.as_ref().map(|record| Rotation::read(&record.body)).unwrap_or_default();
        let loads = self.loads(lead, territory, playbook, people, now).await?;
        let owner = company.as_ref().and_then(Company::person);
        let Some(pick) = pick(territory, &rotation, people, &loads, owner.as_ref(), now) else {
            return Ok(None);
        };
        let mut also = vec![match &record {
            Some(record) => Put::over(record, pick.rotation.to_json()),
            None => Put::new(CatalogKind::Rotation, territory.id.as_str(), pick.rotation.to_json()),
        }];
        if let Some(company) = company.filter(|company| pick.has_company && !company.is_of(&pick.routed.to)) {
            also.push(company.goes_to(&pick.routed.to));
        }
        Ok(Some((also, pick.routed)))
    }

    /// Reads who has the leads of a lead's company, where it has one.
    async fn company(&self, lead: &Lead) -> Result<Option<Company>, StoreError> {
        let Some(domain) = &lead.company.domain else { return Ok(None) };
        let record = self.catalog.get(CatalogKind::Company, domain).await?;
        Ok(Some(Company { domain: domain.clone(), record }))
    }

    /// Counts what those of a pool have who can have only so much.
    async fn loads(
        &self,
        lead: &Lead,
        territory: &Territory,
        playbook: &Playbook,
        people: &People,
        now: Timestamp,
    ) -> Result<BTreeMap<Slug, Load>, StoreError> {
        let mut loads: BTreeMap<Slug, Load> = BTreeMap::new();
        let mut others: Option<Vec<Rotation>> = None;
        for member in &territory.pool {
            let person = people.get(&member.person);
            let mut load = Load::default();
            if let Some(room) = person.room.open {
                load.open = self.open(&member.person, room, &lead.id).await?;
            }
            if person.room.a_day.is_some() {
                let others = match &mut others {
                    Some(others) => others,
                    none => none.insert(self.others(territory, playbook).await?),
                };
                let today = person.calendar.day(now);
                let given = others.iter().map(|rotation| rotation.given_on(&member.person, today));
                load.elsewhere_today = given.fold(0, u32::saturating_add);
            }
            loads.insert(member.person.clone(), load);
        }
        Ok(loads)
    }

    /// Reads whose turn it is in other territories.
    async fn others(&self, own: &Territory, playbook: &Playbook) -> Result<Vec<Rotation>, StoreError> {
        let mut others = Vec::new();
        for territory in playbook.territories.iter().filter(|t| t.id != own.id && !t.pool.is_empty()) {
            let record = self.catalog.get(CatalogKind::Rotation, territory.id.as_str()).await?;
            others.extend(record.map(|record| Rotation::read(&record.body)));
        }
        Ok(others)
    }

    /// Counts the leads of somebody's inbox, up to `most`, beside the one that is to be given away.
    async fn open(&self, person: &Slug, most: u32, beside: &LeadId) -> Result<u32, StoreError> {
        let (mut open, mut cursor) = (0_u32, None);
        loop {
            let page = self.lists.inbox(person, PAGE, cursor.as_deref()).await?;
            let others = page.items.iter().filter(|line| line.lead != *beside).count();
            open = open.saturating_add(u32::try_from(others).unwrap_or(u32::MAX));
            cursor = page.next;
            if cursor.is_none() || open >= most {
                return Ok(open);
            }
        }
    }

    /// Works on a job that gives the leads of somebody's inbox away, until `until`, and gives the job as it is then; none
    /// where somebody else works on it. Nothing is given away twice: what somebody else has already is passed over, so it
    /// may begin anew from wherever it was interrupted.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the job may be taken up at once then.
    pub async fn work(&self, jobs: &Jobs, id: &str, until: Instant) -> Result<Option<Job>, StoreError> {
        let Some(mut job) = jobs.take(id).await? else { return Ok(None) };
        let done = self.all_away(jobs, &mut job, until).await;
        if !matches!(done, Ok(true)) {
            // Whoever ran out of time made no failed attempt.
            job.attempts = job.attempts.saturating_sub(u64::from(done.is_ok()));
            jobs.let_go(&mut job).await?;
        }
        done.map(|_| Some(job))
    }

    /// Tells whether all are given away.
    async fn all_away(&self, jobs: &Jobs, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
        let leaving = Leaving::of(job)?;
        let mut so_far = Moved::of(&job.state);
        loop {
            // What comes while others go, and what the index shows late, is found by another round.
            let (before, mut cursor) = (so_far.moved, None);
            so_far.stayed = 0;
            let mut problem = None;
            loop {
                let page = self.lists.inbox(&leaving.from, PAGE, cursor.as_deref()).await?;
                for line in &page.items {
                    match self.away(&line.lead, &leaving).await {
                        Ok(Given::To(_)) => so_far.moved += 1,
                        Ok(Given::Waits) => so_far.stayed += 1,
                        Ok(Given::Nothing) => {}
                        // One that fails must not hold up the others.
                        Err(error) => {
                            let lead = line.lead.as_str();
                            tracing::error!(lead, error = %error, "a lead of somebody who leaves could not be given away");
                            problem = Some(error);
                        }
                    }
                    if Instant::now() > until {
                        job.state = so_far.to_json();
                        return Ok(false);
                    }
                }
                if !jobs.checkpoint(job, so_far.to_json()).await? {
                    return Ok(true);
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            if let Some(error) = problem {
                return Err(error);
            }
            if so_far.moved == before {
                return jobs.finish(job, so_far.to_json()).await.map(|_| true);
            }
        }
    }
}

/// Who in sales has the leads of a company.
#[derive(Debug)]
struct Company {
    domain: String,
    record: Option<Record>,
}

impl Company {
    fn person(&self) -> Option<Slug> {
        let id = self.record.as_ref()?.body.get("person")?.as_str()?;
        Slug::parse(id).ok()
    }

    fn is_of(&self, person: &Slug) -> bool {
        self.person().as_ref() == Some(person)
    }

    fn goes_to(&self, person: &Slug) -> Put {
        let body = json!({ "person": person.as_str() });
        match &self.record {
            Some(record) => Put::over(record, body),
            None => Put::new(CatalogKind::Company, self.domain.clone(), body),
        }
    }
}
