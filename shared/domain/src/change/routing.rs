//! How a lead goes to somebody of a pool, or from one person to another.
//!
//! Whose turn it is in a pool is not one lead's to know. So a lead that sales found to be a real prospect only waits
//! ([`Lead::to_assign`]), with whoever has it; and whoever knows the pool decides ([`pick`](crate::routing::pick)) and
//! gives the lead away ([`assign`]), in one transaction with the turn.

use super::{Change, Effect, Fact, Incoming, Subject, decide};
use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::promise::People;
use crate::routing::Routed;
use crate::sales::{DeliveryId, Move};
use crate::stage::Stage;
use crate::time::{Day, MINUTE_MS, Timestamp};

/// After how long somebody is looked for again for a lead that nobody had room for, in milliseconds.
pub const ASK_AGAIN_MS: i64 = 15 * MINUTE_MS;

/// Lets a lead that sales found to be a real prospect wait for somebody of its pool, and end to wait once somebody has it,
/// it went on, or there is no pool. `found` is the fact that says so, should it be one that starts something.
pub(super) fn wait(lead: &mut Lead, found: Option<DeliveryId>, playbook: &Playbook, today: Day) {
    lead.to_assign = found.or(lead.to_assign).filter(|id| {
        lead.stage == Stage::SalesQualified
            && is_latest(lead, *id)
            && playbook.territory(lead, today).is_some_and(|territory| !territory.pool.is_empty())
    });
}

/// Tells whether a fact counts, and nobody was given the lead after it.
fn is_latest(lead: &Lead, id: DeliveryId) -> bool {
    let impossible = lead.standing().impossible;
    let mut counts = lead
        .sales
        .iter()
        .filter(|fact| !lead.withdrawn.contains(&fact.id) && impossible.iter().all(|no| no.id != fact.id));
    counts.any(|fact| fact.id == id) && !counts.any(|fact| matches!(fact.what, Move::Assigned { .. }))
}

/// Puts the moment at which somebody is looked for, for a lead that waits, before whatever else is due.
pub(super) fn due(lead: &Lead, other: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    let waits = lead.to_assign.map(|_| at);
    waits.into_iter().chain(other).min()
}

/// Gives a lead to somebody, and says why.
#[must_use]
pub fn assign(lead: &Lead, routed: Routed, playbook: &Playbook, people: &People, now: Timestamp) -> Change {
    // Behind every fact that is known, also one whose sender's clock ran ahead.
    let at = lead.sales.last().map_or(now, |last| now.max(last.at.plus(1)));
    let what = Move::Assigned { to: routed.to.clone(), promise_due_at: None };
    let fact = Incoming {
        delivery: DeliveryId::new("routing", &format!("{} {}", lead.id, lead.version)),
        occurred_at: at,
        history: false,
        by: "routing".to_owned(),
        strict: false,
        fact: Fact::Sales { what, by: None, note: None },
    };
    let subject = Subject::Existing(Box::new(lead.clone()));
    let mut change = decide(subject, Vec::new(), &[], &[fact], playbook, people, now);
    if let Some(entry) = change.entries.last_mut() {
        entry.effects.push(Effect::Routed(routed));
    }
    change
}
