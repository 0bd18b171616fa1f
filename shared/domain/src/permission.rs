//! Whether somebody may be written to.

use crate::consent::{ConsentStatus, Purpose};
use crate::lead::Lead;

/// Tells whether a lead may be written to for a purpose: it has an address that takes mails, and what it said last for that
/// purpose, confirmed, is yes.
#[must_use]
pub fn may_write(lead: &Lead, purpose: Purpose) -> bool {
    lead.email().is_some() && lead.consents.status(purpose) == Some(ConsentStatus::Confirmed)
}
