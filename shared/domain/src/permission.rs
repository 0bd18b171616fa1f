//! Who may be written to, and for what: the one place that says so.
//!
//! * **Somebody agreed**: the latest statement about the purpose stands confirmed ([`ConsentState::status`]); or
//! * **they bought**: in countries in which the playbook says so (`consent.soft_opt_in`), customers may be written to about
//!   what they bought until they object. That is for marketing by mail and nothing else, for as long as they are customers,
//!   and an objection ends it for good: a tick afterwards counts once it is confirmed, like anybody's. It holds for mails of
//!   our own, each of which says how to object, and not for files that leave the house ([`held_back`]). And not for an address
//!   that a public form gave to somebody who was known without one: whoever knows a customer's phone number could have
//!   typed it. Nothing but its owner's own yes is ground to write there, from the mail that asks; an address that somebody with
//!   a token brings is written to in its place.
//! * **And nothing forbids it**: there is an address, and no reason to leave it alone ([`Lead::suppressed`]).
//!
//! Whoever sends asks this with the lead as it is read in the moment of sending, and asks the list of suppressed addresses
//! itself too.
//!
//! [`ConsentState::status`]: crate::consent::ConsentState::status
//! [`held_back`]: crate::export::held_back

use crate::attribute::AttributeValue;
use crate::consent::{Basis, ConsentStatus, Purpose};
use crate::country::Country;
use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::stage::Stage;
use crate::suppression;

/// Why somebody may not be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Nobody knows where to.
    NoAddress,
    /// Nobody may write to that address.
    Suppressed(suppression::Reason),
    /// They withdrew.
    Withdrawn,
    /// They ticked a box and did not confirm.
    Pending,
    /// Nobody ever asked them.
    NeverAsked,
}

impl Refusal {
    /// Says it in the words of a sentence that begins with the lead.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoAddress => "has no e-mail address",
            Self::Suppressed(_) => "has an address that nobody may write to",
            Self::Withdrawn => "withdrew consent",
            Self::Pending => "has not confirmed consent",
            Self::NeverAsked => "was never asked for consent",
        }
    }
}

/// Tells whether a lead may be written to for a purpose, and on what ground; else why not.
///
/// # Errors
///
/// [`Refusal`].
pub fn may_write(lead: &Lead, purpose: Purpose, playbook: &Playbook) -> Result<Basis, Refusal> {
    if lead.email().is_none() {
        return Err(Refusal::NoAddress);
    }
    if let Some(reason) = lead.suppressed {
        return Err(Refusal::Suppressed(reason));
    }
    let state = lead.consents.0.get(&purpose);
    let status = state.and_then(crate::consent::ConsentState::status);
    if let (Some(state), Some(ConsentStatus::Confirmed)) = (state, status) {
        return Ok(state.basis());
    }
    let objected = state.is_some_and(|state| state.withdrawn_at.is_some());
    if !objected && purpose == Purpose::Marketing && bought(lead, playbook) {
        return Ok(Basis::SoftOptIn);
    }
    Err(match status {
        Some(ConsentStatus::Withdrawn) => Refusal::Withdrawn,
        Some(_) => Refusal::Pending,
        None => Refusal::NeverAsked,
    })
}

/// Tells whether a lead is a customer in a country in which that is enough, whose address no stranger can have given.
fn bought(lead: &Lead, playbook: &Playbook) -> bool {
    lead.stage == Stage::Customer
        && !lead.opt_in.typed
        && country_of(lead).is_some_and(|country| playbook.soft_opt_in.contains(&country))
}

/// Gives the country of a lead, where it is known for one.
pub(crate) fn country_of(lead: &Lead) -> Option<Country> {
    match lead.country() {
        Some(AttributeValue::Text(text)) => Country::parse(text),
        _ => None,
    }
}
