//! The one way in which facts become stored facts.
//!
//! Resolve who is meant, load that lead, let `domain` decide, commit in one transaction. Whoever loses a race starts
//! over, with full jitter (each pause a random part of a growing limit; "Exponential Backoff And Jitter", AWS
//! Architecture Blog), for up to [`GIVE_UP_AFTER`]; then the caller is told to try again. A fact whose entry is there
//! already is a repeat and changes nothing.

use crate::clock::{Clock, new_lead_id};
use crate::http::Problem;
use crate::playbooks::{Playbooks, Version};
use crate::ports::{Commit, LeadStore, StoreError};
use crate::suppressions;
use domain::change::{Change, Incoming, Outcome, Subject, decide};
use domain::identity::{Identity, LeadId, LeadRef};
use domain::lead::Lead;
use domain::resolve::{Resolution, resolve};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// For how long a commit is tried.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(15);
/// The limit of the first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// The limit of the longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Says why facts were not recorded. Nothing of them is stored then.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Nobody is known by that reference.
    #[error("no lead is known by this reference")]
    NoSuchLead,
    /// The race was lost for too long.
    #[error("the lead is being changed by too many at once")]
    Busy,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::NoSuchLead => Self::not_found("no lead is known by this reference"),
            RecordError::Busy => Self::busy(),
            RecordError::Store(error) => error.into(),
        }
    }
}

/// Whom facts are about.
#[derive(Clone, Debug)]
pub enum About {
    /// A lead that must exist.
    Known(LeadRef),
    /// Whoever is known by these identities; a new lead where nobody is.
    Anybody(Vec<Identity>),
    /// A lead that must exist, and that is known by these identities from now on where nobody else is.
    Also(LeadId, Vec<Identity>),
}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The lead as it is now.
    pub lead: Lead,
    /// What became of each fact, in their order.
    pub outcomes: Vec<Outcome>,
    /// The playbook version that decided.
    pub version: Version,
}

/// Records facts.
#[derive(Clone, Debug)]
pub struct WritePath {
    store: Arc<dyn LeadStore>,
    playbooks: Arc<Playbooks>,
    clock: Arc<dyn Clock>,
    give_up_after: Duration,
}

impl WritePath {
    /// Makes it.
    #[must_use]
    pub fn new(store: Arc<dyn LeadStore>, playbooks: Arc<Playbooks>, clock: Arc<dyn Clock>) -> Self {
        Self { store, playbooks, clock, give_up_after: GIVE_UP_AFTER }
    }

    /// Lets it give up after another time than [`GIVE_UP_AFTER`].
    #[must_use]
    pub fn giving_up_after(self, time: Duration) -> Self {
        Self { give_up_after: time, ..self }
    }

    /// Lets it share somebody else's view of the playbooks, for several functions in one process.
    #[must_use]
    pub fn with_playbooks(mut self, playbooks: Arc<Playbooks>) -> Self {
        self.playbooks = playbooks;
        self
    }

    /// Records facts about one lead: all of them with all their effects, or nothing.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; nothing is stored then.
    pub async fn record(&self, about: &About, facts: &[Incoming]) -> Result<Recorded, RecordError> {
        let (recorded, claimed) = self.commit(about, facts).await?;
        Ok(self.look_again(recorded, &claimed, facts).await)
    }

    /// Tells a lead what came onto the list of suppressed addresses while it got one: between the look at the list and the
    /// commit nobody could find it to tell it. What was asked for is stored, so failing here is no failure of that; the list
    /// is asked before each mail all the same.
    async fn look_again(&self, recorded: Recorded, claimed: &[Identity], facts: &[Incoming]) -> Recorded {
        let (lead, now) = (&recorded.lead, self.clock.now());
        let told = async {
            let mut listed = suppressions::listed(self.playbooks.catalog(), Some(lead), claimed).await?;
            listed.retain(|reason| !reason.is_heard(lead));
            if listed.is_empty() {
                return Ok(None);
            }
            let news = suppressions::news(&listed, facts, now);
            self.commit(&About::Known(LeadRef::Id(lead.id.clone())), &news).await.map(Some)
        };
        match told.await {
            Ok(None) => recorded,
            Ok(Some((told, _))) => Recorded { lead: told.lead, ..recorded },
            Err::<_, RecordError>(error) => {
                tracing::error!(lead = lead.id.as_str(), error = %error, "nobody could look whether an address was suppressed meanwhile");
                recorded
            }
        }
    }

    /// Commits facts; gives what was recorded and the identities that the lead got with it.
    async fn commit(
        &self,
        about: &About,
        facts: &[Incoming],
    ) -> Result<(Recorded, Vec<Identity>), RecordError> {
        let fresh_id = new_lead_id();
        let mut repeated: Vec<usize> = Vec::new();
        let mut attempt = 0_u32;
        let deadline = tokio::time::Instant::now() + self.give_up_after;
        loop {
            match self.attempt(about, facts, &mut repeated, &fresh_id).await {
                Ok(Some(recorded)) => return Ok(recorded),
                Ok(None) => {}
                Err(RecordError::Store(error)) if error.may_retry() => {
                    tracing::debug!(error = %error, "trying again");
                }
                Err(error) => return Err(error),
            }
            let pause = pause(attempt);
            attempt += 1;
            if tokio::time::Instant::now() + pause > deadline {
                return Err(RecordError::Busy);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        about: &About,
        facts: &[Incoming],
        repeated: &mut Vec<usize>,
        fresh_id: &LeadId,
    ) -> Result<Option<(Recorded, Vec<Identity>)>, RecordError> {
        let (resolution, lead) = self.find(about).await?;
        let now = self.clock.now();
        // Nobody may write to some addresses: a lead that gets one hears of it in the same transaction.
        let listed =
            suppressions::listed(self.playbooks.catalog(), lead.as_ref(), &resolution.claims).await?;
        let (subject, version) = match lead {
            Some(lead) => {
                let playbook = self.playbooks.version(lead.playbook_version).await?;
                let version = Version { number: lead.playbook_version, playbook };
                (Subject::Existing(Box::new(lead)), version)
            }
            None => {
                let version = self.playbooks.active().await?;
                (Subject::New { id: fresh_id.clone(), playbook_version: version.number }, version)
            }
        };
        let (places, mut fresh): (Vec<usize>, Vec<Incoming>) = facts
            .iter()
            .enumerate()
            .filter(|(at, _)| !repeated.contains(at))
            .map(|(at, f)| (at, f.clone()))
            .unzip();
        if !fresh.is_empty() {
            fresh.extend(suppressions::news(&listed, facts, now));
        }
        let Resolution { claims, possible_duplicates, .. } = resolution;
        let (playbook, people) = (&version.playbook, self.playbooks.people(&version.playbook).await?);
        let change = decide(subject, claims, &possible_duplicates, &fresh, playbook, &people, now);
        let outcomes = outcomes(facts.len(), &places, &change);
        if change.is_empty() || (change.expected.is_none() && change.entries.is_empty()) {
            return Ok(Some((Recorded { lead: change.lead, outcomes, version }, Vec::new())));
        }
        match self.store.commit(&change).await? {
            Commit::Done => Ok(Some((Recorded { lead: change.lead, outcomes, version }, change.claims))),
            Commit::Conflict => Ok(None),
            Commit::Repeated(entries) => {
                let ids: Vec<&String> =
                    entries.iter().filter_map(|at| change.entries.get(*at)).map(|e| &e.id).collect();
                let is_repeat = |outcome: &Outcome| match outcome {
                    Outcome::Created { entry } | Outcome::Updated { entry } => ids.contains(&entry),
                    _ => false,
                };
                repeated.extend(outcomes.iter().enumerate().filter(|(_, o)| is_repeat(o)).map(|(at, _)| at));
                Ok(None)
            }
        }
    }

    async fn find(&self, about: &About) -> Result<(Resolution, Option<Lead>), RecordError> {
        let identities = match about {
            About::Known(LeadRef::Id(id)) => {
                let lead =
                    self.store.load(std::slice::from_ref(id)).await?.pop().ok_or(RecordError::NoSuchLead)?;
                let resolution = Resolution {
                    lead: Some(id.clone()),
                    claims: Vec::new(),
                    possible_duplicates: Vec::new(),
                };
                return Ok((resolution, Some(lead)));
            }
            About::Also(id, identities) => {
                let lead = self.store.load(std::slice::from_ref(id)).await?.pop();
                let lead = lead.ok_or(RecordError::NoSuchLead)?;
                let owned = self.store.owners(identities).await?;
                let free = |identity: &&Identity| !owned.iter().any(|(taken, _)| taken == *identity);
                let others = owned.iter().map(|(_, owner)| owner.clone()).filter(|owner| owner != id);
                let resolution = Resolution {
                    lead: Some(id.clone()),
                    claims: identities.iter().filter(free).cloned().collect(),
                    possible_duplicates: others.collect(),
                };
                return Ok((resolution, Some(lead)));
            }
            About::Known(LeadRef::Known(identity)) => std::slice::from_ref(identity),
            About::Anybody(identities) => identities.as_slice(),
        };
        let owned = self.store.owners(identities).await?;
        let mut ids: Vec<LeadId> = owned.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        let leads = if ids.is_empty() { Vec::new() } else { self.store.load(&ids).await? };
        // A browser may lead for some seconds yet to somebody who was erased and had forgotten it. It is not there to be
        // claimed until that is mended, and nobody else has to wait for it who is known by anything better.
        let stale: Vec<Identity> = owned
            .iter()
            .filter(|(identity, id)| {
                matches!(identity, Identity::Anonymous(_)) && !leads.iter().any(|lead| lead.id == *id)
            })
            .map(|(identity, _)| identity.clone())
            .collect();
        let owners: Vec<(Identity, Lead)> = owned
            .into_iter()
            .filter_map(|(identity, id)| Some((identity, leads.iter().find(|lead| lead.id == id)?.clone())))
            .collect();
        let mut resolution = resolve(identities, &owners);
        if resolution.lead.is_some() || resolution.claims.iter().any(|identity| !stale.contains(identity)) {
            resolution.claims.retain(|identity| !stale.contains(identity));
        }
        let lead = leads.into_iter().find(|lead| Some(&lead.id) == resolution.lead.as_ref());
        if lead.is_none() && matches!(about, About::Known(_)) {
            return Err(RecordError::NoSuchLead);
        }
        Ok((resolution, lead))
    }

    /// Finds the lead that a reference means.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn look_up(&self, reference: &LeadRef) -> Result<Option<Lead>, StoreError> {
        match self.find(&About::Known(reference.clone())).await {
            Ok((_, lead)) => Ok(lead),
            Err(RecordError::NoSuchLead) => Ok(None),
            Err(RecordError::Busy) => Err(StoreError::Busy("too many at once".to_owned())),
            Err(RecordError::Store(error)) => Err(error),
        }
    }
}

/// Puts the outcomes of the facts that were decided into their places; the others are repeats.
fn outcomes(len: usize, places: &[usize], change: &Change) -> Vec<Outcome> {
    let mut all = vec![Outcome::Unchanged; len];
    for (at, outcome) in places.iter().zip(&change.outcomes) {
        if let Some(slot) = all.get_mut(*at) {
            *slot = outcome.clone();
        }
    }
    all
}

/// Gives how long to wait before something is tried again that others do at the same time.
pub(crate) fn pause(attempt: u32) -> Duration {
    let limit = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    let random = uuid::Uuid::new_v4().as_u64_pair().1 % 1_000;
    limit.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 1_000.0)
}
