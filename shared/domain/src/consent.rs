//! Consent, per purpose: `pending → confirmed → withdrawn`, with its proof.
//!
//! The latest time of each status is kept, and the status follows from the three times alone. So the order in which
//! facts arrive does not matter, and a form that is sent again cannot turn a confirmed consent back into a pending one.

use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What the consent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Being written to.
    Marketing,
    /// Being recognised on the site.
    Tracking,
    /// Being matched in advertisers' audiences.
    AdAudience,
    /// Being called.
    Phone,
}

impl Purpose {
    /// Every purpose with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("marketing", Self::Marketing),
        ("tracking", Self::Tracking),
        ("ad_audience", Self::AdAudience),
        ("phone", Self::Phone),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, p)| *p == self).map_or("", |(word, _)| word)
    }
}

/// How far the consent has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentStatus {
    /// Ticked, and not yet confirmed by the owner of the address.
    Pending,
    /// Given.
    Confirmed,
    /// Taken back.
    Withdrawn,
}

impl ConsentStatus {
    /// Every status with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("pending", Self::Pending), ("confirmed", Self::Confirmed), ("withdrawn", Self::Withdrawn)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, s)| *s == self).map_or("", |(word, _)| word)
    }
}

/// On what ground somebody may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// They said yes.
    Consent,
    /// They bought something similar and may object at any time.
    SoftOptIn,
}

impl Basis {
    /// Every basis with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("consent", Self::Consent), ("soft_opt_in", Self::SoftOptIn)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, b)| *b == self).map_or("", |(word, _)| word)
    }
}

/// One statement about consent.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsentFact {
    /// What for.
    pub purpose: Purpose,
    /// What was said.
    pub status: ConsentStatus,
    /// On what ground.
    pub basis: Basis,
    /// Which text was shown, by its version.
    pub text: Option<String>,
    /// Where it was said: a form, a page, a call.
    pub source: Option<String>,
    /// When it was said.
    pub at: Timestamp,
}

/// What is known of one purpose: the latest time of each status, and the proof of the latest consent.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ConsentState {
    /// When it was last ticked without confirmation.
    pub pending_at: Option<Timestamp>,
    /// When it was last confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When it was last withdrawn.
    pub withdrawn_at: Option<Timestamp>,
    /// The ground of the latest statement.
    pub soft_opt_in: bool,
    /// The text shown with the latest statement.
    pub text: Option<String>,
    /// The place of the latest statement.
    pub source: Option<String>,
}

impl ConsentState {
    /// Tells the status that follows from the three times; a withdrawal wins a tie.
    #[must_use]
    pub fn status(&self) -> Option<ConsentStatus> {
        if self.confirmed_at.is_some() && self.confirmed_at > self.withdrawn_at {
            Some(ConsentStatus::Confirmed)
        } else if self.pending_at.is_some() && self.pending_at > self.withdrawn_at {
            Some(ConsentStatus::Pending)
        } else {
            self.withdrawn_at.map(|_| ConsentStatus::Withdrawn)
        }
    }

    /// Gives the time of the statement that decides the status.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        match self.status()? {
            ConsentStatus::Confirmed => self.confirmed_at,
            ConsentStatus::Pending => self.pending_at,
            ConsentStatus::Withdrawn => self.withdrawn_at,
        }
    }

    /// Gives the ground of the latest statement.
    #[must_use]
    pub fn basis(&self) -> Basis {
        if self.soft_opt_in { Basis::SoftOptIn } else { Basis::Consent }
    }

    fn take(&mut self, fact: &ConsentFact) {
        let latest = self.pending_at.max(self.confirmed_at).max(self.withdrawn_at);
        let slot = match fact.status {
            ConsentStatus::Pending => &mut self.pending_at,
            ConsentStatus::Confirmed => &mut self.confirmed_at,
            ConsentStatus::Withdrawn => &mut self.withdrawn_at,
        };
        *slot = (*slot).max(Some(fact.at));
        if latest.is_none_or(|latest| fact.at >= latest) {
            self.soft_opt_in = fact.basis == Basis::SoftOptIn;
            self.text.clone_from(&fact.text);
            self.source.clone_from(&fact.source);
        }
    }
}

/// The consent of a lead, by purpose.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Consents(pub BTreeMap<Purpose, ConsentState>);

impl Consents {
    /// Takes in a statement and tells whether anything changed.
    pub fn take(&mut self, fact: &ConsentFact) -> bool {
        let state = self.0.entry(fact.purpose).or_default();
        let before = state.clone();
        state.take(fact);
        *state != before
    }

    /// Tells the status of one purpose.
    #[must_use]
    pub fn status(&self, purpose: Purpose) -> Option<ConsentStatus> {
        self.0.get(&purpose).and_then(ConsentState::status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fact(status: ConsentStatus, at: i64) -> ConsentFact {
        ConsentFact {
            purpose: Purpose::Marketing,
            status,
            basis: Basis::Consent,
            text: None,
            source: None,
            at: Timestamp::from_secs(at),
        }
    }

    #[test]
    fn a_form_sent_again_leaves_a_confirmed_consent_confirmed() {
        let mut consents = Consents::default();
        consents.take(&fact(ConsentStatus::Confirmed, 10));
        consents.take(&fact(ConsentStatus::Pending, 20));
        assert_eq!(consents.status(Purpose::Marketing), Some(ConsentStatus::Confirmed));
        consents.take(&fact(ConsentStatus::Withdrawn, 30));
        assert_eq!(consents.status(Purpose::Marketing), Some(ConsentStatus::Withdrawn));
        consents.take(&fact(ConsentStatus::Pending, 40));
        assert_eq!(consents.status(Purpose::Marketing), Some(ConsentStatus::Pending));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(times in prop::collection::vec((0_i64..50, 0_usize..3), 1..8)) {
            let facts: Vec<ConsentFact> = times
                .iter()
                .map(|(at, status)| fact(ConsentStatus::WORDS[*status].1, *at))
                .collect();
            let mut forward = Consents::default();
            facts.iter().for_each(|fact| { forward.take(fact); });
            let mut backward = Consents::default();
            facts.iter().rev().for_each(|fact| { backward.take(fact); });
            prop_assert_eq!(forward.status(Purpose::Marketing), backward.status(Purpose::Marketing));
        }
    }
}
