//! Figures kept by date: once a day one walk over all leads counts what reports count, and keeps it, so that how a figure
//! went over months is read and not counted again.
//!
//! Two bases answer two questions, and only one of them can be asked later. What *happened* on a day can nearly be counted at
//! any time (feedback that comes late moves it); how *all* leads stood after it can not. Both are kept as they were known in
//! the night, with the time at which they were counted.
//!
//! # Layout
//!
//! * this file – the day's work, and what is kept under which name;
//! * `funnel`, `campaigns`, `promises`, `personas`, `content` – what is kept of each report, and how a day of it is shown;
//! * [`trend`] – the days of a report, read.
//!
//! # Killed at any step, run twice
//!
//! The day's work is one job, whose id is the day. It reads, and at its end writes everything that is kept together with its
//! being done, in one transaction: so there is all of a day or nothing, once. What dies before begins anew, by the
//! retries of the schedule or the tick that looks after jobs. It notes nothing on its way, since it reads leads only and
//! no timelines: a call lasts long enough for a table of any size in reach (docs/performance.md), while what is counted,
//! every won deal among it, would not fit into a job.
//!
//! What content did is told by timelines, whose walk takes many calls. So it is kept by the job that makes that walk each day
//! anyway, which notes where it stands: with its end in one transaction, too.
//!
//! A day that was not counted is not counted later, since nobody knows any more how leads stood then. It stays missing, and
//! trends name it.
//!
//! # To count something else, too
//!
//! A [`Tally`] sees every lead once and says what is to be kept; a [`trend::Trend`] says in which words it is asked for, and
//! shows it. Write both, add the one to `tallies` and a route for the other. All that is kept in one night has to fit into a
//! transaction of 100 records and 4 MB.

pub(crate) mod campaigns;
pub(crate) mod content;
pub(crate) mod funnel;
pub(crate) mod personas;
pub(crate) mod promises;
pub mod trend;

use crate::walk::every_lead;
use crate::{App, alive, run_job};
use adapters::jobs::{Job, JobKind};
use adapters::ports::{CatalogKind, Put, Record, StoreError};
use domain::lead::Lead;
use domain::report::Basis;
use domain::similar::LatestWon;
use domain::time::{DAY_MS, Day, Timestamp};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// How many rows of a report are kept, those with most leads.
pub(crate) const MOST_ROWS: usize = 25;
/// For how long figures are kept, in milliseconds: three years and a bit.
const KEEP_MS: i64 = 1_100 * DAY_MS;

/// The day that is counted.
#[derive(Clone, Debug)]
pub struct Night {
    /// The day.
    pub day: Day,
    /// The time zone in which it is one.
    pub zone: TimeZone,
    /// When it is counted.
    pub now: Timestamp,
}

impl Night {
    /// Gives the night after the day that ended last, in the time zone of the active playbook.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub(crate) async fn last(app: &App) -> Result<Self, StoreError> {
        let (zone, now) = (app.playbooks.active().await?.playbook.timezone.clone(), app.clock.now());
        Ok(Self { day: now.day_in(&zone).plus(-1), zone, now })
    }

    /// Adds the day to what a job is asked for.
    pub(crate) fn ask(&self, mut asked: Value) -> Value {
        if let Some(map) = asked.as_object_mut() {
            map.insert("day".to_owned(), self.day.to_string().into());
            map.insert("tz".to_owned(), self.zone.iana_name().unwrap_or("UTC").into());
        }
        asked
    }

    /// Reads the day that a job was asked for; none where it was asked for none.
    pub(crate) fn asked(job: &Job, now: Timestamp) -> Option<Self> {
        let text = |name: &str| job.request.get(name).and_then(Value::as_str);
        Some(Self { day: Day::parse(text("day")?)?, zone: TimeZone::get(text("tz")?).ok()?, now })
    }

    /// Gives from when until when a basis asks: about the day for what happened, and about all leads.
    pub(crate) fn span(&self, basis: Basis) -> (Option<Timestamp>, Option<Timestamp>) {
        match basis {
            Basis::Period => {
                let midnight = |day: Day| Some(day.midnight_in(&self.zone));
                (midnight(self.day), midnight(self.day.plus(1)))
            }
            Basis::Cohort => (None, None),
        }
    }

    /// Makes the record that is kept of a report of this day.
    #[must_use]
    pub(crate) fn keep(&self, report: &str, group_by: &str, basis: Basis, body: Value) -> Put {
        let record = Record {
            kind: CatalogKind::Report,
            id: format!("{}{}", name(report, group_by, basis), self.day),
            version: 1,
            body,
            expires_at: Some(self.now.plus(KEEP_MS)),
        };
        // Whoever ends the day's job writes what is kept of the day; there is no other word on it.
        Put { record, force: true }
    }
}

/// With what the ids begin of all that is kept of a report; the day follows.
fn name(report: &str, group_by: &str, basis: Basis) -> String {
    format!("{report}.{group_by}.{}#", basis.as_str())
}

/// What is counted of every lead in the night, and kept.
pub trait Tally: Send {
    /// Counts a lead, as it is now.
    fn add(&mut self, lead: &Lead);
    /// Gives what is kept of it.
    fn finish(self: Box<Self>, night: &Night) -> Vec<Put>;
}

/// Gives all that is counted in a night.
async fn tallies(app: &App, night: &Night) -> Result<Vec<Box<dyn Tally>>, StoreError> {
    Ok(vec![
        Box::new(funnel::Funnels::new(night)),
        Box::new(campaigns::Touched::new(app, night).await?),
        Box::new(promises::Promised::new(app, night).await?),
        Box::new(personas::Mirrored::new(app, night).await?),
        Box::<LatestWonLeads>::default(),
    ])
}

/// Leaves of rows those with most of something, in their order, and tells how many were left out.
pub(crate) fn most<T>(rows: Vec<T>, of: impl Fn(&T) -> u64) -> (Vec<T>, usize) {
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    let mut placed: Vec<(usize, T)> = rows.into_iter().enumerate().collect();
    // Stable: of equal ones the first.
    placed.sort_by_key(|(_, row)| std::cmp::Reverse(of(row)));
    placed.truncate(MOST_ROWS);
    placed.sort_by_key(|(place, _)| *place);
    (placed.into_iter().map(|(_, row)| row).collect(), left_out)
}

/// Reads a count of a row.
pub(crate) fn count_of(row: &Value, name: &str) -> u64 {
    row.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// The latest won leads and what they are like, for dossiers of leads that are alike. Of these only the latest night's
/// are kept.
#[derive(Default)]
struct LatestWonLeads(LatestWon);

impl Tally for LatestWonLeads {
    fn add(&mut self, lead: &Lead) {
        self.0.add(lead);
    }

    fn finish(self: Box<Self>, night: &Night) -> Vec<Put> {
        vec![adapters::won::put(&self.0, night.now)]
    }
}

/// Keeps the figures of the day before: a job, once a day however often it is asked for.
///
/// # Errors
///
/// [`StoreError`]; the next call goes on.
pub async fn keep(app: &App) -> Result<Value, StoreError> {
    let night = Night::last(app).await?;
    let id = format!("report-kept-{}", night.day);
    app.jobs.add(&id, JobKind::Report, &night.ask(json!({ "report": "kept" }))).await?;
    run_job(app, &id).await?;
    Ok(json!({ "job": id }))
}

/// Works on the job of a day.
pub(crate) async fn work(app: &App, job: &mut Job) -> Result<(), StoreError> {
    let night = Night::asked(job, app.clock.now());
    let night = night.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let kept = alive(app, job, count(app, &night)).await?;
    let done = json!({ "day": night.day.to_string(), "as_of": night.now.to_string(), "records": kept.len() });
    finish(app, job, done, &kept).await
}

/// Ends a job and keeps what it counted, both or neither.
///
/// # Errors
///
/// [`StoreError`]; [`StoreError::Busy`] where somebody else has the job now.
pub(crate) async fn finish(app: &App, job: &mut Job, done: Value, kept: &[Put]) -> Result<(), StoreError> {
    if app.jobs.finish_with(job, done, kept).await? {
        Ok(())
    } else {
        Err(StoreError::Busy(format!("somebody else works on the job {}", job.id())))
    }
}

/// Counts all leads, once.
async fn count(app: &App, night: &Night) -> Result<Vec<Put>, StoreError> {
    let mut tallies = tallies(app, night).await?;
    every_lead(app, |lead| tallies.iter_mut().for_each(|tally| tally.add(lead))).await?;
    Ok(tallies.into_iter().flat_map(|tally| tally.finish(night)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_with_most_stay_in_their_order_and_of_equal_ones_the_first() {
        let few: Vec<u64> = vec![3, 9, 3];
        assert_eq!(most(few.clone(), |n| *n), (few, 0));
        let many: Vec<(u64, u64)> = (0..40).map(|place| (place, place % 2)).collect();
        let (kept, left_out) = most(many, |(_, n)| *n);
        let odd = (0..40).filter(|place| place % 2 == 1);
        let mut expected: Vec<u64> = odd.chain([0, 2, 4, 6, 8]).collect();
        expected.sort_unstable();
        assert_eq!((kept.into_iter().map(|(place, _)| place).collect::<Vec<_>>(), left_out), (expected, 15));
    }
}
