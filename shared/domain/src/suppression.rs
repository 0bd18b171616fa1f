//! Addresses that nobody may write to, whatever their owner agreed to.
//!
//! The list of them is kept apart from leads, since most of its addresses never were one. What it says of an address that a
//! lead has stands in the lead too ([`Lead::suppressed`]): there it is told in the timeline, withdraws what the reason
//! withdraws, so that exports and whoever listens hear of it, and costs nothing to look up. Both ways lead there: an address
//! that comes onto the list is looked for among the leads, and a lead that gets an address is held against the list.
//!
//! It is told by activities of two kinds, [`SUPPRESSED`] and [`LIFTED`], which only the list itself brings ([`BY`]), and by
//! what mails bring back: an address that is dead for good, and a complaint.

use crate::activity::Activity;
use crate::attribute::AttributeValue;
use crate::change::nurture::MAIL;
use crate::change::{Fact, Incoming};
use crate::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use crate::identity::Email;
use crate::lead::Lead;
use crate::sales::DeliveryId;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The kind of activity by which an address of a lead came onto the list.
pub const SUPPRESSED: &str = "address_suppressed";
/// The kind by which the last one of a lead's addresses was taken off the list.
pub const LIFTED: &str = "suppression_lifted";
/// What brings them: this, or this with a colon and who did it.
pub const BY: &str = "suppressions";

/// Why nobody may write to an address. The order of the variants is that of their weight: of several, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// There is no such mailbox.
    Bounced,
    /// Somebody decided so: an employee, a competitor, a trap.
    Other,
    /// Its owner unsubscribed, here or with the tool before.
    Unsubscribed,
    /// Its owner told the mail service that a mail was spam.
    Complained,
    /// Its owner objected to being contacted in any way, or the law says so.
    Legal,
}

impl Reason {
    /// Every reason with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("bounced", Self::Bounced),
        ("other", Self::Other),
        ("unsubscribed", Self::Unsubscribed),
        ("complained", Self::Complained),
        ("legal", Self::Legal),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, reason)| *reason == self).map_or("", |(word, _)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, reason)| *reason)
    }

    /// Gives the purposes that it withdraws the consent for: what its owner said, and no more. A mailbox that is gone, and a
    /// decision of ours, are nobody's withdrawal.
    #[must_use]
    pub const fn withdraws(self) -> &'static [Purpose] {
        match self {
            Self::Unsubscribed | Self::Complained => &[Purpose::Marketing],
            Self::Legal => &[Purpose::Marketing, Purpose::Tracking, Purpose::AdAudience, Purpose::Phone],
            Self::Bounced | Self::Other => &[],
        }
    }

    /// Tells whether it concerns a lead that has the address. What its owner said holds for the person; a mailbox that is
    /// gone only matters where it is the one that is written to.
    #[must_use]
    pub fn concerns(self, lead: &Lead, address: &Email) -> bool {
        self != Self::Bounced || lead.email().is_none_or(|first| first == address)
    }

    /// Tells whether a lead stands as it leaves one: left alone for a reason that weighs as much, with nothing agreed to since
    /// that it withdraws. To such a lead the same statement once more says nothing.
    #[must_use]
    pub fn is_heard(self, lead: &Lead) -> bool {
        let withdrawn = |purpose: &Purpose| lead.consents.status(*purpose) == Some(ConsentStatus::Withdrawn);
        lead.suppressed >= Some(self) && self.withdraws().iter().all(withdrawn)
    }

    /// Gives it as a fact about a lead, of a moment.
    #[must_use]
    pub fn fact(self, by: Option<&str>, source: Option<&str>, at: Timestamp) -> Incoming {
        let mut properties =
            BTreeMap::from([("reason".to_owned(), AttributeValue::Text(self.as_str().to_owned()))]);
        properties
            .extend(source.map(|source| ("source".to_owned(), AttributeValue::Text(source.to_owned()))));
        told(SUPPRESSED, properties, by, at)
    }
}

/// Gives as a fact about a lead that none of its addresses is on the list any more, with why.
#[must_use]
pub fn lifted(by: &str, why: &str, at: Timestamp) -> Incoming {
    told(LIFTED, BTreeMap::from([("because".to_owned(), AttributeValue::Text(why.to_owned()))]), Some(by), at)
}

fn told(
    kind: &str,
    properties: BTreeMap<String, AttributeValue>,
    by: Option<&str>,
    at: Timestamp,
) -> Incoming {
    Incoming {
        delivery: DeliveryId::new(kind, &format!("{at} {properties:?}")),
        occurred_at: at,
        history: false,
        by: by.map_or_else(|| BY.to_owned(), |by| format!("{BY}:{by}")),
        strict: false,
        fact: Fact::Activity(Activity { kind: kind.to_owned(), properties }),
    }
}

/// What an activity says of whether a lead may be written to.
#[derive(Clone, Debug, PartialEq, Default)]
struct Said {
    /// There is a reason not to; or there is none any more.
    suppressed: Option<Option<Reason>>,
    /// What is withdrawn.
    purposes: Vec<Purpose>,
}

/// Reads what an activity says of whether a lead may be written to; only from whom it may come: a page's script speaks for
/// anybody, and whoever reports activities may withdraw for a lead and not bring it onto the list.
fn said(activity: &Activity, by: &str) -> Said {
    let text = |name: &str| activity.properties.get(name).map(ToString::to_string);
    let (mail, api) = (by == MAIL, by.starts_with("api:"));
    let list = by.strip_prefix(BY).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    let because =
        |reason: Reason| Said { suppressed: Some(Some(reason)), purposes: reason.withdraws().to_vec() };
    match activity.kind.as_str() {
        "unsubscribed" if mail || api => {
            let named = text("purpose");
            let named = Purpose::WORDS.iter().find(|(word, _)| named.as_deref() == Some(word));
            let purpose = named.map_or(Purpose::Marketing, |(_, purpose)| *purpose);
            Said { suppressed: None, purposes: vec![purpose] }
        }
        "email_complained" if mail => because(Reason::Complained),
        "email_complained" if api => Said { suppressed: None, ..because(Reason::Complained) },
        "email_bounced"
            if mail && activity.properties.get("permanent") == Some(&AttributeValue::Flag(true)) =>
        {
            because(Reason::Bounced)
        }
        // A word that this version does not know is a reason all the same.
        SUPPRESSED if list => {
            because(text("reason").and_then(|word| Reason::parse(&word)).unwrap_or(Reason::Other))
        }
        LIFTED if list => Said { suppressed: Some(None), purposes: Vec::new() },
        _ => Said::default(),
    }
}

/// Tells whether what the list says of a lead is what it said before, and no later word of the lead's: a no counts from its
/// own moment, so that a yes from before it that comes late finds it.
pub(crate) fn is_known(lead: &Lead, activity: &Activity, incoming: &Incoming) -> bool {
    let Said { suppressed, purposes } = said(activity, &incoming.by);
    let heard = |purpose: &Purpose| {
        let no = lead.consents.0.get(purpose).and_then(|state| state.withdrawn_at);
        no.is_some_and(|no| no >= incoming.occurred_at)
    };
    match suppressed {
        Some(None) => lead.suppressed.is_none(),
        Some(reason) => {
            activity.kind == SUPPRESSED && lead.suppressed >= reason && purposes.iter().all(heard)
        }
        None => false,
    }
}

/// Takes in what an activity says of whether the lead may be written to, and gives what it withdraws.
pub(crate) fn take(lead: &mut Lead, activity: &Activity, incoming: &Incoming) -> Vec<ConsentFact> {
    let Said { suppressed, purposes } = said(activity, &incoming.by);
    if let Some(reason) = suppressed {
        lead.suppressed = reason.map(|reason| lead.suppressed.map_or(reason, |known| known.max(reason)));
    }
    let withdrawn = |purpose: Purpose| ConsentFact {
        purpose,
        status: ConsentStatus::Withdrawn,
        basis: Basis::Consent,
        text: None,
        source: Some(incoming.by.clone()),
        at: incoming.occurred_at,
    };
    purposes.into_iter().map(withdrawn).collect()
}
