//! The leads that wait for their turn: the best first, as many a day as their owners can answer.
//!
//! A new playbook or an import of history can make thousands ready at once. They wait in a partition of index `inbox`
//! that is nobody's inbox, ordered by their score. Each tick gives every owner what their `daily_capacity` leaves for
//! today, today being the day in the owner's time zone. While a sweep still runs nobody gets any: the best may come last.
//!
//! # Nobody gets more
//!
//! Claim, act: whose turn it is today stands in the catalog, in a record that is written on condition, before any of them
//! is handed off. Whoever is interrupted in between leaves leads that are claimed and still wait, and the next tick hands
//! exactly these off. A lead that hands itself off meanwhile, by doing something, was claimed and is no longer there;
//! nobody takes its place that day. What leads do by themselves is never held up; those that came so today and wait for an
//! answer take room in the day.

use crate::{App, Reviewed, review};
use adapters::dynamodb::keys;
use adapters::jobs::{JobKind, JobStatus};
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use domain::change::Pace;
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How many leads a day somebody can answer whose record says nothing of it.
pub const USUAL_CAPACITY: usize = 20;
/// The most leads that are asked for at a time.
const MOST: usize = 1_000;
/// How many leads of an inbox are read at a time.
const LOADED: usize = 100;

/// Hands off the leads whose turn it is, and tells how many.
///
/// # Errors
///
/// [`StoreError`], after everybody else got theirs.
pub async fn run(app: &App, until: Instant) -> Result<u64, StoreError> {
    let Some(active) = app.playbooks.pointer().await? else { return Ok(0) };
    let playbook = app.playbooks.version(active.number).await?;
    let (mut released, mut problem) = (0, None);
    let mut sweeping = None;
    for owner in &owners(app, &playbook).await? {
        let held = app.lists.held(owner, MOST).await?;
        if held.is_empty() {
            continue;
        }
        let busy = match sweeping {
            Some(busy) => busy,
            None => is_sweeping(app).await?,
        };
        sweeping = Some(busy);
        if busy {
            return Ok(released);
        }
        match to_one(app, owner, &held, until).await {
            Ok(n) => released += n,
            Err(error) => problem = Some(error),
        }
    }
    problem.map_or(Ok(released), Err)
}

/// Lists everybody for whom a lead may wait: those whom the active playbook names, and those whom an earlier one named,
/// should a lead not have been brought along.
async fn owners(app: &App, playbook: &Playbook) -> Result<BTreeSet<Slug>, StoreError> {
    let mut owners: BTreeSet<Slug> = playbook.people().into_iter().cloned().collect();
    let mut cursor = None;
    loop {
        let page = app.catalog.list(CatalogKind::Person, 100, cursor.as_deref()).await?;
        owners.extend(page.items.iter().filter_map(|record| Slug::parse(&record.id).ok()));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(owners);
        }
    }
}

async fn is_sweeping(app: &App) -> Result<bool, StoreError> {
    let open = |status| matches!(status, JobStatus::Waiting | JobStatus::Running);
    Ok(app.jobs.list().await?.iter().any(|job| job.kind == JobKind::Sweep && open(job.status)))
}

/// Gives one person what today's capacity leaves.
async fn to_one(app: &App, owner: &Slug, held: &[LeadId], until: Instant) -> Result<u64, StoreError> {
    let person = app.catalog.get(CatalogKind::Person, owner.as_str()).await?;
    let capacity = person.as_ref().and_then(|person| person.body.get("daily_capacity")?.as_u64());
    let capacity = capacity.map_or(USUAL_CAPACITY, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let today = day_of(app.clock.now(), person.as_ref());
    let record = app.catalog.get(CatalogKind::Release, owner.as_str()).await?;
    let mut turn = Turn::read(record.as_ref(), &today);
    let busy = turn.leads.len() + own_arrivals(app, owner, person.as_ref(), &turn).await?;
    let free = capacity.saturating_sub(busy);
    let next: Vec<LeadId> = held.iter().filter(|id| !turn.leads.contains(id)).take(free).cloned().collect();
    if !next.is_empty() {
        turn.leads.extend(next);
        let put = match &record {
            Some(record) => Put::over(record, turn.write()),
            None => Put::new(CatalogKind::Release, owner.as_str(), turn.write()),
        };
        if !app.catalog.put(&[put]).await? {
            // Another tick claims at the same time; it hands off what it claimed.
            return Ok(0);
        }
    }
    let (mut released, mut problem) = (0, None);
    for id in turn.leads.iter().filter(|id| held.contains(id)) {
        if Instant::now() > until {
            // Claimed as they are, the next tick hands them off.
            break;
        }
        let handed = review(app, id, |lead| async move {
            if lead.held_for.as_ref() != Some(owner) {
                return Ok(None);
            }
            let playbook = app.playbooks.version(lead.playbook_version).await?;
            let people = app.playbooks.people(&playbook).await?;
            let (version, now) = (lead.playbook_version, app.clock.now());
            Ok(domain::change::review(&lead, &playbook, version, None, Pace::Release, &people, now))
        });
        match handed.await {
            Ok(Reviewed::Changed) => released += 1,
            Ok(Reviewed::Unchanged | Reviewed::Gone) => {}
            Err(error) => {
                tracing::error!(lead = id.as_str(), error = %error, "a lead could not be handed off in its turn");
                problem = Some(error);
            }
        }
    }
    problem.map_or(Ok(released), Err)
}

/// Counts the leads that came to a person's inbox by themselves today and still wait for an answer: they take room too.
async fn own_arrivals(
    app: &App,
    owner: &Slug,
    person: Option<&Record>,
    turn: &Turn,
) -> Result<usize, StoreError> {
    let midnight = start_of_day(app.clock.now(), person);
    // What has no promise any more was answered; what was promised for before midnight came before it.
    let promised = midnight.secs()..keys::NO_PROMISE;
    let (mut arrived, mut cursor) = (0, None);
    loop {
        let page = app.lists.inbox(owner, LOADED, cursor.as_deref()).await?;
        let open = page.items.iter().filter(|line| promised.contains(&line.promise_due_at.secs()));
        let open: Vec<LeadId> =
            open.filter(|line| !turn.leads.contains(&line.lead)).map(|line| line.lead.clone()).collect();
        if !open.is_empty() {
            let came = |lead: &Lead| lead.standing().handed_off_at.is_some_and(|at| at >= midnight);
            arrived += app.leads.load(&open).await?.iter().filter(|lead| came(lead)).count();
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(arrived);
        }
    }
}

fn zone_of(person: Option<&Record>) -> TimeZone {
    let zone = person.and_then(|person| person.body.get("timezone")?.as_str());
    zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

fn start_of_day(now: Timestamp, person: Option<&Record>) -> Timestamp {
    let day = day_of(now, person);
    Timestamp::parse_in(&day, &zone_of(person)).unwrap_or(now)
}

/// Gives the day in the time zone of a person; in UTC where they have none.
fn day_of(now: Timestamp, person: Option<&Record>) -> String {
    let zone = zone_of(person);
    let now = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    now.to_zoned(zone).date().to_string()
}

/// Whose turn it is today.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    day: String,
    leads: Vec<LeadId>,
}

impl Turn {
    fn read(record: Option<&Record>, today: &str) -> Self {
        let body = record.map(|record| &record.body);
        let same_day = body.and_then(|body| body.get("day")?.as_str()) == Some(today);
        let leads = body.filter(|_| same_day).and_then(|body| body.get("leads")?.as_array());
        let leads = leads.into_iter().flatten().filter_map(|id| LeadId::parse(id.as_str()?).ok());
        Self { day: today.to_owned(), leads: leads.collect() }
    }

    fn write(&self) -> Value {
        json!({ "day": self.day, "leads": self.leads.iter().map(LeadId::as_str).collect::<Vec<_>>() })
    }
}
