//! The score of an earlier day, counted from the facts that had happened by then.

use adapters::http::Problem;
use adapters::ports::{Direction, StoreError, Timeline};
use domain::change::{Entry, Fact, Incoming, Subject, decide};
use domain::identity::LeadId;
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::sales::DeliveryId;
use domain::score::{Explanation, explain};
use domain::time::Timestamp;

/// How many entries are read at a time.
const PAGE: usize = 500;

/// Explains the score that a lead had at a time, under a playbook.
///
/// # Errors
///
/// [`StoreError`].
pub async fn explain_at(
    timeline: &dyn Timeline,
    lead: &Lead,
    playbook: &Playbook,
    at: Timestamp,
) -> Result<Explanation, StoreError> {
    let (mut facts, mut cursor) = (Vec::new(), None);
    'pages: loop {
        let page = timeline.entries(&lead.id, Direction::Forward, PAGE, cursor.as_deref()).await?;
        for entry in page.items {
            if entry.at > at {
                break 'pages;
            }
            facts.extend(fact_of(entry));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let subject = Subject::New { id: lead.id.clone(), playbook_version: lead.playbook_version };
    let then = decide(subject, Vec::new(), &[], &facts, playbook, at).lead;
    Ok(explain(playbook, &then.view(at.day())))
}

fn fact_of(entry: Entry) -> Option<Incoming> {
    if matches!(entry.fact, Fact::Reviewed) {
        return None;
    }
    Some(Incoming {
        delivery: DeliveryId::parse(&entry.id)?,
        occurred_at: entry.at,
        history: true,
        by: entry.by,
        strict: false,
        fact: entry.fact,
    })
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
