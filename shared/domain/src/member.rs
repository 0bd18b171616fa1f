//! How a lead stands to campaigns: sent, registered, attended, did not come.
//!
//! A campaign declares its statuses in the order from least to most ([`crate::campaign`]). What was told of a lead is kept as
//! it was told, each status with the time at which it was first told, and its status is the furthest of these in the
//! campaign's order. So it never goes backwards; it does not matter in which order things are told; and where people change
//! the order or drop a status, what leads have follows.
//!
//! A lead remembers [`MOST_CAMPAIGNS`] campaigns, those that it was last told of, and of each [`MOST_STATUSES`] statuses,
//! which is as many as a campaign may declare.

use crate::campaign::{Campaign, MOST_STATUSES, Status};
use crate::lead::Lead;
use crate::report::{Basis, Question};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The most campaigns that a lead remembers its statuses in.
pub const MOST_CAMPAIGNS: usize = 24;

/// The statuses of a lead: by campaign and status the time at which it was first told.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Members(pub BTreeMap<String, BTreeMap<String, Timestamp>>);

impl Members {
    /// Takes in that a lead has a status in a campaign, and tells whether that is new.
    pub fn take(&mut self, campaign: &str, status: &str, at: Timestamp) -> bool {
        let before = self.clone();
        let statuses = self.0.entry(campaign.to_owned()).or_default();
        if statuses.len() < MOST_STATUSES || statuses.contains_key(status) {
            let first = statuses.entry(status.to_owned()).or_insert(at);
            *first = at.min(*first);
        }
        if self.0.len() > MOST_CAMPAIGNS {
            let latest = |(_, told): &(&String, &BTreeMap<String, Timestamp>)| told.values().max().copied();
            let oldest = self.0.iter().min_by_key(latest).map(|(campaign, _)| campaign.clone());
            oldest.and_then(|campaign| self.0.remove(&campaign));
        }
        *self != before
    }

    /// Gives the status in a campaign, and when it was first told: of those that the campaign declares the furthest.
    #[must_use]
    pub fn status<'a>(&self, id: &str, campaign: &'a Campaign) -> Option<(&'a Status, Timestamp)> {
        let told = self.0.get(id)?;
        campaign.statuses.iter().rev().find_map(|status| Some((status, *told.get(&status.name)?)))
    }

    /// Gives when the lead was first told to be a member of a campaign.
    #[must_use]
    pub fn since(&self, id: &str) -> Option<Timestamp> {
        self.0.get(id)?.values().min().copied()
    }
}

/// Gives the status that a lead counts with among the members of a campaign: in the cohort where it became a member in the
/// time, in the period where it came to its status in it.
#[must_use]
pub fn counted<'a>(question: &Question, lead: &Lead, id: &str, campaign: &'a Campaign) -> Option<&'a Status> {
    let (status, at) = lead.members.status(id, campaign)?;
    let at = match question.basis {
        Basis::Cohort => lead.members.since(id)?,
        Basis::Period => at,
    };
    question.covers(at).then_some(status)
}

/// How many members of which campaign have which status. Contacts are members, too: most are, until they respond.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tally(pub BTreeMap<String, BTreeMap<String, u64>>);

impl Tally {
    /// Adds a lead or a contact.
    pub fn add(&mut self, question: &Question, campaigns: &BTreeMap<String, Campaign>, lead: &Lead) {
        for id in lead.members.0.keys() {
            let Some(campaign) = campaigns.get(id) else { continue };
            if let Some(status) = counted(question, lead, id, campaign) {
                *self.0.entry(id.clone()).or_default().entry(status.name.clone()).or_default() += 1;
            }
        }
    }

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (id, statuses) in other.0 {
            let mine = self.0.entry(id).or_default();
            for (status, n) in statuses {
                *mine.entry(status).or_default() += n;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn webinar() -> Campaign {
        let status = |name: &str| Status { name: name.to_owned(), responded: name != "sent" };
        Campaign { statuses: ["sent", "registered", "attended"].map(status).into(), ..Campaign::default() }
    }

    fn at(n: i64) -> Timestamp {
        Timestamp::from_secs(n)
    }

    #[test]
    fn a_status_never_goes_backwards() {
        let (mut members, webinar) = (Members::default(), webinar());
        let name =
            |members: &Members| members.status("w", &webinar).map(|(status, at)| (status.name.clone(), at));
        assert_eq!(name(&members), None);
        assert!(members.take("w", "registered", at(20)));
        assert!(members.take("w", "sent", at(30)));
        assert_eq!(name(&members), Some(("registered".to_owned(), at(20))));
        assert!(members.take("w", "attended", at(10)));
        assert_eq!(name(&members), Some(("attended".to_owned(), at(10))));
        assert!(!members.take("w", "attended", at(99)), "told again");
        assert_eq!((members.since("w"), members.since("x")), (Some(at(10)), None));
        // What nobody declares is kept, and is no status.
        assert!(members.take("w", "dreamt_of_it", at(5)));
        assert_eq!(name(&members), Some(("attended".to_owned(), at(10))));
    }

    #[test]
    fn the_campaigns_told_of_last_are_remembered() {
        let mut members = Members::default();
        for n in 0..MOST_CAMPAIGNS as i64 + 3 {
            members.take(&format!("c{n}"), "sent", at(n));
        }
        assert_eq!(members.0.len(), MOST_CAMPAIGNS);
        assert!(members.since("c2").is_none() && members.since("c3").is_some());
        assert!(!members.take("c1", "sent", at(1)), "older than all that are remembered");
    }

    proptest! {
        #[test]
        fn in_whatever_order_statuses_are_told_the_lead_has_one(
            (one, other) in prop::collection::vec((0_usize..4, 0_usize..5, 0_i64..50), 0..20)
                .prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle()))
        ) {
            let all = |told: &[(usize, usize, i64)]| {
                let mut members = Members::default();
                for (campaign, status, n) in told {
                    members.take(&format!("c{campaign}"), &format!("s{status}"), at(*n));
                }
                members
            };
            prop_assert_eq!(all(&one), all(&other));
        }
    }
}
