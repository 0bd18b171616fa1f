//! Whether a lead is to be asked to confirm what it agreed to.

use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::time::Timestamp;

/// Gives the moment from which a lead is to be asked; none where there is nothing to ask.
#[must_use]
pub fn owed_at(_lead: &Lead, _playbook: &Playbook, _now: Timestamp) -> Option<Timestamp> {
    None
}

/// Gives since when what a lead is to be asked about stands, where it is to be asked now.
#[must_use]
pub fn owed(lead: &Lead, playbook: &Playbook, now: Timestamp) -> Option<Timestamp> {
    owed_at(lead, playbook, now).filter(|at| *at <= now)
}
