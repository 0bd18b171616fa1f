//! Who has a lead, and who may still take it.
//!
//! A lead that was handed over stands open: it has an owner, so that somebody answers for it, but whoever in sales takes
//! it first has it: by accepting it, or by assigning it to themselves. From then on it is theirs, and another who wants to
//! take it is told whose it is. To hand a lead on to somebody else is no taking, and whoever may report may do so.
//!
//! Whether it is taken goes by how things stand when the fact is recorded, and not by when it is said to have happened:
//! otherwise a call that is dated a minute earlier would take a lead from somebody who was told that it is theirs. What
//! systems report in bulk is not asked: it is kept in the order in which it happened, as everything is.

use crate::identity::Slug;
use crate::lead::Lead;
use crate::sales::Move;
use crate::stage::Stage;

/// Gives who has a lead that somebody is about to take; none where they may, or where they are not taking it.
#[must_use]
pub fn holder<'a>(lead: &'a Lead, what: &Move, by: Option<&Slug>) -> Option<&'a Slug> {
    let taker = match what {
        Move::Accepted => by?,
        Move::Assigned { to, .. } if by == Some(to) => to,
        _ => return None,
    };
    lead.person.as_ref().filter(|person| *person != taker && is_taken(lead))
}

/// Tells whether somebody took a lead that sales works on, or was given it.
#[must_use]
pub fn is_taken(lead: &Lead) -> bool {
    if lead.stage != Stage::MarketingQualified {
        return lead.stage.in_inbox();
    }
    let counts = lead.sales.iter().rev().filter(|fact| !lead.withdrawn.contains(&fact.id));
    let latest = counts
        .map(|fact| &fact.what)
        .find(|what| matches!(what, Move::MarketingQualified { .. } | Move::Assigned { .. }));
    matches!(latest, Some(Move::Assigned { .. }))
}
