//! By which fact somebody in sales got a lead, and whether it still is theirs by that fact.
//!
//! A hand-over is the fact that made a lead ready and gave it to its qualifier, or one that gave it to somebody else: an
//! assignment, or a promise that was broken, after which the deputy or the manager has it. Its id names it in mails and links: not the person, who may get the same lead twice, nor the lead, which comes back. So whoever
//! answers by a link from an old mail is told what became of the lead, rather than answering for somebody else.

use crate::identity::{LeadId, Slug};
use crate::lead::Lead;
use crate::sales::{DeliveryId, Move, SalesFact};
use crate::stage::Stage;

/// Why somebody got a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It became ready, and they qualify for it.
    Ready,
    /// Somebody gave it to them.
    Given,
    /// Whoever had it before did not answer in time.
    Unanswered,
}

/// A fact by which somebody got a lead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HandOver<'a> {
    /// The fact.
    pub fact: &'a SalesFact,
    /// Who got it.
    pub to: &'a Slug,
}

impl HandOver<'_> {
    /// Says why they got it.
    #[must_use]
    pub const fn why(&self) -> Why {
        match self.fact.what {
            Move::MarketingQualified { .. } => Why::Ready,
            Move::PromiseBroken { .. } => Why::Unanswered,
            _ => Why::Given,
        }
    }

    /// Tells whether they took it themselves, so that nobody need tell them.
    #[must_use]
    pub fn is_own_doing(&self) -> bool {
        self.fact.by.as_ref() == Some(self.to)
    }
}

/// Gives who got a lead by a fact; none where the fact gave it to nobody.
fn given(fact: &SalesFact) -> Option<HandOver<'_>> {
    let to = match &fact.what {
        Move::MarketingQualified { owner, .. } => owner,
        Move::Assigned { to, .. } | Move::PromiseBroken { to: Some((to, _)) } => to,
        _ => return None,
    };
    Some(HandOver { fact, to })
}

/// Gives the fact by which the person who has a lead got it; none where nobody in sales works on it.
#[must_use]
pub fn latest(lead: &Lead) -> Option<HandOver<'_>> {
    if !lead.stage.in_inbox() {
        return None;
    }
    let impossible = lead.standing().impossible;
    let counts = |fact: &&SalesFact| {
        !lead.withdrawn.contains(&fact.id) && impossible.iter().all(|skipped| skipped.id != fact.id)
    };
    let last = lead.sales.iter().filter(counts).filter_map(given).next_back()?;
    (lead.person.as_ref() == Some(last.to)).then_some(last)
}

/// What became of a hand-over.
#[derive(Clone, Debug, PartialEq)]
pub enum Became<'a> {
    /// Whoever got the lead by it has it.
    Theirs(&'a Slug),
    /// The lead was handed over since, perhaps to the same person once more.
    Anothers(&'a Slug),
    /// Nobody in sales works on it now.
    Over(Stage),
}

/// Tells what became of a hand-over.
#[must_use]
pub fn became(lead: &Lead, id: DeliveryId) -> Became<'_> {
    match (latest(lead), &lead.person) {
        (Some(last), _) if last.fact.id == id => Became::Theirs(last.to),
        (_, Some(person)) if lead.stage.in_inbox() => Became::Anothers(person),
        _ => Became::Over(lead.stage),
    }
}

/// Writes which hand-over a link is about.
#[must_use]
pub fn to_bytes(lead: &LeadId, id: DeliveryId) -> Vec<u8> {
    [lead.as_str().as_bytes(), id.0.as_slice()].concat()
}

/// Reads which hand-over a link is about.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Option<(LeadId, DeliveryId)> {
    let (lead, id) = bytes.split_last_chunk()?;
    Some((LeadId::parse(std::str::from_utf8(lead).ok()?).ok()?, DeliveryId(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_is_about_reads_back_and_nothing_else_is_read() {
        let (lead, id) = (LeadId::from_bytes([7; 16]), DeliveryId([0, 1, 2, 3, 4, 5, 6, 255]));
        let bytes = to_bytes(&lead, id);
        assert_eq!(from_bytes(&bytes), Some((lead, id)));
        for n in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..n]), None);
        }
        assert_eq!(from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
    }
}
