//! What happened to a lead, for looking back.

use adapters::http::Problem;
use adapters::ports::{Direction, Timeline};
use domain::change::{Incoming, Subject, decide};
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::People;
use domain::replay::Replay;
use domain::sales::DeliveryId;
use domain::time::Timestamp;

/// How many entries are read at a time.
const PAGE: usize = 500;

/// Gives a lead as it was at a time, under a playbook version; one of which nothing was known yet has no attributes and did
/// nothing.
#[must_use]
pub fn as_of(lead: &Lead, facts: &[Incoming], playbook: &Playbook, version: u32, at: Timestamp) -> Lead {
    let mut replay = Replay::new(lead.id.clone(), playbook, facts);
    match replay.until(at) {
        Some(then) => then.clone(),
        None => {
            let subject = Subject::New { id: lead.id.clone(), playbook_version: version };
            decide(subject, Vec::new(), &[], &[], playbook, People::nobody(), at).lead
        }
    }
}

/// Makes sure that a lead's timeline has a fact.
///
/// # Errors
///
/// A problem that says what was looked for.
pub async fn must_exist(timeline: &dyn Timeline, lead: &LeadId, fact: DeliveryId) -> Result<(), Problem> {
    let mut cursor = None;
    loop {
        let page = timeline.entries(lead, Direction::Backward, PAGE, cursor.as_deref()).await?;
        if page.items.iter().any(|entry| DeliveryId::parse(&entry.id) == Some(fact)) {
            return Ok(());
        }
        cursor = page.next;
        if cursor.is_none() {
            return Err(Problem::fault(
                "/id",
                "names no fact of this lead; expected a fact_id of its timeline",
            ));
        }
    }
}
