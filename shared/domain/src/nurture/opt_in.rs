//! When the owner of an address is asked to confirm what was ticked in their name (double opt-in).
//!
//! A public form can be filled in by anybody with anybody's address. So a tick is pending until the owner of the mailbox
//! confirms it, and asking is all that may be sent until then. The same stranger must not be able to flood a mailbox with
//! questions either:
//!
//! * one mail asks for everything that is pending at that moment, and for each statement at most once;
//! * at most one a day ([`APART_MS`]), and [`MOST`] that nobody answered within a year ([`FORGOTTEN_MS`]). Whoever answers
//!   shows that the mails are welcome, and starts anew;
//! * what came as history, or late, is not asked about ([`STALE_MS`]): the moment has passed;
//! * never an address that nobody may write to.
//!
//! A mail of which nobody knows whether it went out counts as one that did (`OptIn::ask`): it is not sent again.

use crate::change::STALE_MS;
use crate::consent::{ConsentStatus, Consents, Purpose};
use crate::lead::Lead;
use crate::time::{DAY_MS, Timestamp};

/// How long lies between two mails to one lead, at least, in milliseconds.
pub const APART_MS: i64 = DAY_MS;
/// How many mails that nobody answered are enough.
pub const MOST: usize = 3;
/// After which time a mail that nobody answered counts no more, in milliseconds.
pub const FORGOTTEN_MS: i64 = 365 * DAY_MS;

/// What a lead has to be asked, and was.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OptIn {
    /// When the latest statement was heard that waits for confirmation and came in its own time.
    pub wanted_at: Option<Timestamp>,
    /// When it was asked and did not answer, oldest first; [`MOST`] at most.
    pub asked: Vec<Timestamp>,
    /// Whether the first address of a lead that was known otherwise, by its phone say, came by a public form: anybody may have
    /// typed it, and only its owner's own yes counts ([`may_write`](crate::permission::may_write)). An address from somebody
    /// with a token takes its place, and takes this back.
    pub typed: bool,
}

impl OptIn {
    /// Hears what a delivery changed: a statement that waits, or one that needs no asking any more.
    pub(crate) fn hear(&mut self, before: &Consents, after: &Consents, now: Timestamp) {
        for (purpose, state) in &after.0 {
            let known = before.0.get(purpose);
            if state.pending_at > known.and_then(|known| known.pending_at)
                && state.status() == Some(ConsentStatus::Pending)
            {
                self.wanted_at = Some(now);
            }
            if state.confirmed_at > known.and_then(|known| known.confirmed_at) {
                self.answered();
            }
        }
    }

    /// Forgets the mails so far, and not that they asked.
    fn answered(&mut self) {
        if self.asked.last() >= self.wanted_at.as_ref() {
            self.wanted_at = None;
        }
        self.asked.clear();
    }

    /// Takes in that a mail asked, as far as anybody knows.
    pub(crate) fn ask(&mut self, now: Timestamp) {
        self.asked.retain(|asked| now.since(*asked) < FORGOTTEN_MS);
        self.asked.push(now);
        self.asked.drain(..self.asked.len().saturating_sub(MOST));
    }
}

/// What becomes of a purpose when the owner of the address confirms what a mail asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is confirmed by this.
    Confirms,
    /// It was confirmed already.
    Stands,
    /// It was withdrawn since the mail asked: the mail is no yes any more, and what comes back does so by a newer statement
    /// and the mail that asks about that.
    WithdrawnSince,
    /// Nothing is known of a statement.
    NothingAsked,
}

/// Tells what it means for a purpose that a mail's question is answered with yes.
#[must_use]
pub fn answer(lead: &Lead, purpose: Purpose, asked_at: Timestamp) -> Answer {
    let Some(state) = lead.consents.0.get(&purpose) else { return Answer::NothingAsked };
    match state.status() {
        None => Answer::NothingAsked,
        Some(ConsentStatus::Confirmed) => Answer::Stands,
        Some(ConsentStatus::Pending) if state.withdrawn_at < Some(asked_at) => Answer::Confirms,
        Some(ConsentStatus::Pending | ConsentStatus::Withdrawn) => Answer::WithdrawnSince,
    }
}

/// Gives the purposes for which a lead's statement waits for confirmation.
#[must_use]
pub fn pending(lead: &Lead) -> Vec<Purpose> {
    let waits = |purpose: &Purpose| lead.consents.status(*purpose) == Some(ConsentStatus::Pending);
    lead.consents.0.keys().copied().filter(waits).collect()
}

/// Gives the moment from which a lead is to be asked; none where there is nothing to ask, or it is too late for it.
#[must_use]
pub fn owed_at(lead: &Lead, now: Timestamp) -> Option<Timestamp> {
    let OptIn { wanted_at, asked, .. } = &lead.opt_in;
    let wanted_at = (*wanted_at)?;
    if lead.email().is_none() || lead.suppressed.is_some() || pending(lead).is_empty() {
        return None;
    }
    // Asked about this statement, or a later one.
    if asked.last().is_some_and(|last| *last >= wanted_at) {
        return None;
    }
    let day_over = asked.last().map(|last| last.plus(APART_MS));
    let forgotten = asked.first().filter(|_| asked.len() >= MOST).map(|first| first.plus(FORGOTTEN_MS));
    let owed_at = [day_over, forgotten].into_iter().flatten().fold(wanted_at, Timestamp::max);
    (owed_at.max(now).since(wanted_at) <= STALE_MS).then_some(owed_at)
}

/// Gives since when a lead is to be asked, where it is to be asked now: for everything that is [`pending`].
#[must_use]
pub fn owed(lead: &Lead, now: Timestamp) -> Option<Timestamp> {
    owed_at(lead, now).filter(|at| *at <= now)
}
