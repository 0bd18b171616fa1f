//! All that happened to a lead, to be played again.

use crate::ports::{Direction, StoreError, Timeline};
use domain::change::{Entry, Incoming};
use domain::identity::LeadId;
use domain::replay::facts_of;

/// How many entries are read at a time.
const PAGE: usize = 500;

/// Gives all facts of a lead, as they are played again.
///
/// # Errors
///
/// [`StoreError`].
pub async fn facts(timeline: &dyn Timeline, lead: &LeadId) -> Result<Vec<Incoming>, StoreError> {
    Ok(facts_of(entries(timeline, lead).await?))
}

/// Gives a lead's whole timeline.
///
/// # Errors
///
/// [`StoreError`].
pub async fn entries(timeline: &dyn Timeline, lead: &LeadId) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut cursor) = (Vec::new(), None);
    loop {
        let page = timeline.entries(lead, Direction::Forward, PAGE, cursor.as_deref()).await?;
        entries.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(entries);
        }
    }
}
