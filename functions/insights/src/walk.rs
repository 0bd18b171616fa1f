//! Every lead with its facts, page by page.
//!
//! A walk reads the table of leads in pages and, for the leads that were asked for, their timelines beside each other.
//! Where it stands after a page is a small value that a job keeps: another call goes on from there. Memory holds one page.

use crate::App;
use crate::request::Place;
use adapters::history::entries;
use adapters::http::Problem;
use adapters::jobs::Job;
use adapters::ports::StoreError;
use domain::change::Incoming;
use domain::condition::Condition;
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::membership::Moves;
use domain::replay::facts_of;
use domain::time::Timestamp;
use futures::stream::{self, StreamExt, TryStreamExt};
use learning::dataset::spread;
use learning::nurtured::{self, Side};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Into how many parts a scan without timelines is divided.
const PARTS: u32 = 4;
/// How many timelines are read beside each other.
const BESIDE: usize = 32;
/// How often a job notes where it stands.
const BEAT: Duration = Duration::from_secs(10);

/// Which leads are looked at.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Captured from then on.
    pub from: Option<Timestamp>,
    /// Captured before.
    pub to: Option<Timestamp>,
    /// Meeting this, as they are now.
    pub condition: Option<Condition>,
    /// Of all others, about one in so many; chosen by their ids, always the same ones.
    pub one_in: Option<f64>,
    /// Nurtured by the programs that are asked for.
    pub nurtured: Option<nurtured::Question>,
}

impl Selection {
    /// Tells whether a lead is asked for.
    #[must_use]
    pub fn has(&self, lead: &Lead, now: Timestamp) -> bool {
        let captured = lead.responded_at.unwrap_or(lead.created_at);
        let view = lead.evaluated(now.day());
        self.one_in.is_none_or(|n| is_sampled(&lead.id, n))
            && self.from.is_none_or(|from| captured >= from)
            && self.to.is_none_or(|to| captured < to)
            && self
                .nurtured
                .as_ref()
                .is_none_or(|question| question.eligible(lead).any(|e| e.side == Side::Nurtured))
            && self.condition.as_ref().is_none_or(|condition| condition.met(&view))
    }
}

/// Tells whether a lead is among one in so many.
#[allow(clippy::cast_precision_loss, reason = "a place between 0 and 1 needs no more digits")]
fn is_sampled(id: &LeadId, one_in: f64) -> bool {
    (spread(id.as_str()) >> 16) as f64 * one_in < (1_u64 << 48) as f64
}

/// Where a walk stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stand {
    cursor: Option<String>,
    /// Whether every lead was looked at.
    pub done: bool,
    /// How many leads were looked at so far.
    pub leads: u64,
}

/// Reads where a walk stands from what a job keeps; at the beginning, where it keeps nothing.
#[must_use]
pub fn stand_of(state: &Value, name: &str) -> Stand {
    state.get(name).and_then(|stand| serde_json::from_value(stand.clone()).ok()).unwrap_or_default()
}

/// A lead with all that happened to it.
#[derive(Clone, Debug)]
pub struct Story {
    /// The lead.
    pub lead: Lead,
    /// Its facts.
    pub facts: Vec<Incoming>,
    /// When it came into which segment, or left it.
    pub moves: Moves,
}

/// Reads the next page of the leads that are asked for.
///
/// # Errors
///
/// [`StoreError`]; the walk stands where it stood.
pub async fn page(
    app: &App,
    selection: &Selection,
    stand: &mut Stand,
    now: Timestamp,
) -> Result<Vec<Story>, StoreError> {
    let page = app.lists.scan(0, 1, stand.cursor.as_deref()).await?;
    let looked_at = page.items.len();
    let chosen = page.items.into_iter().filter(|lead| selection.has(lead, now));
    let stories = stream::iter(chosen.map(|lead| story(app, lead))).buffered(BESIDE);
    let stories = stories.try_collect().await?;
    stand.leads += looked_at as u64;
    stand.done = page.next.is_none();
    stand.cursor = page.next;
    Ok(stories)
}

async fn story(app: &App, lead: Lead) -> Result<Story, StoreError> {
    let entries = entries(app.timeline.as_ref(), &lead.id).await?;
    let moves = Moves::of(&entries);
    Ok(Story { lead, facts: facts_of(entries), moves })
}

/// Shows every lead once, as it is now and without its timeline: the parts of the table beside each other, in no order.
///
/// # Errors
///
/// [`StoreError`].
pub async fn every_lead(app: &App, mut see: impl FnMut(&Lead)) -> Result<(), StoreError> {
    let mut pages = stream::iter(0..PARTS)
        .map(|part| {
            stream::try_unfold(Some(None::<String>), move |cursor| async move {
                let Some(cursor) = cursor else { return Ok::<_, StoreError>(None) };
                let page = app.lists.scan(part, PARTS, cursor.as_deref()).await?;
                Ok(Some((page.items, page.next.map(Some))))
            })
            .boxed()
        })
        .flatten_unordered(None);
    while let Some(leads) = pages.try_next().await? {
        leads.iter().for_each(&mut see);
    }
    Ok(())
}

/// Looks through all leads from a place on for those that are to be shown, as long as a caller waits. Gives up to `limit`
/// of them, and the place where the next page goes on, if any.
///
/// # Errors
///
/// A problem with the cursor, or the store's.
pub async fn find(
    app: &App,
    place: &Place,
    limit: usize,
    shown: impl Fn(&Lead) -> Option<Value>,
) -> Result<(Vec<Value>, Option<Place>), Problem> {
    let until = Instant::now() + app.answer_within;
    let Place { mut cursor, mut skip } = place.clone();
    let mut found = Vec::new();
    loop {
        let page = app.lists.scan(0, 1, cursor.as_deref()).await;
        let page = page.map_err(|error| Problem::of_list(error, place.cursor.as_deref()))?;
        let looked_at = page.items.len();
        for (at, lead) in page.items.iter().enumerate().skip(skip) {
            if found.len() == limit {
                return Ok((found, Some(Place { cursor, skip: at })));
            }
            found.extend(shown(lead));
        }
        skip = 0;
        match page.next {
            None => return Ok((found, None)),
            next => cursor = next,
        }
        // What was looked through so far is the page; who asks on gets the rest.
        if looked_at > 0 && Instant::now() > until {
            return Ok((found, Some(Place { cursor, skip })));
        }
    }
}

/// What is counted of the leads on a walk.
pub trait Study: Send {
    /// Counts a lead.
    fn add(&mut self, story: &Story);
    /// Gives what the job keeps of it, for another call to go on with.
    fn save(&self, stand: &Stand) -> Value;
}

/// Walks on, for a job, until every lead was looked at or time is over; `false` then. Where it stands is noted.
///
/// # Errors
///
/// [`StoreError`]; what was noted last is where the next call goes on.
pub async fn walk(
    app: &App,
    job: &mut Job,
    selection: &Selection,
    stand: &mut Stand,
    until: Instant,
    study: &mut dyn Study,
) -> Result<bool, StoreError> {
    let now = job.created_at;
    let mut beat = Instant::now() + BEAT;
    while !stand.done {
        for story in page(app, selection, stand, now).await? {
            study.add(&story);
        }
        let late = Instant::now() > until;
        if stand.done || late || Instant::now() > beat {
            beat = Instant::now() + BEAT;
            if !app.jobs.checkpoint(job, study.save(stand)).await? {
                return Err(StoreError::Busy(format!("somebody else works on the job {}", job.id())));
            }
        }
        if late && !stand.done {
            return Ok(false);
        }
    }
    Ok(true)
}
