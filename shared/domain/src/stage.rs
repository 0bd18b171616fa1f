//! The stages of the funnel and the typed table of what may move a lead from one to the next.
//!
//! What *triggers* a step is the playbook's and people's business; which steps exist is decided here, once. Marketing
//! owns the top of the funnel and sales the bottom, so a stage also says which team owns the lead.

use std::fmt;

/// Where a lead stands. The order of the variants is the order of the funnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Stage {
    /// A person we know of, who has not responded to anything yet.
    #[default]
    Contact,
    /// Responded to a marketing communication.
    Inquiry,
    /// Not ready: kept warm.
    Nurturing,
    /// Meets the definition; handed to the territory's qualifier.
    MarketingQualified,
    /// Sales took it.
    SalesAccepted,
    /// Sales found it to be a real prospect.
    SalesQualified,
    /// There is a deal.
    Opportunity,
    /// Bought.
    Customer,
    /// Will never buy.
    Disqualified,
}

/// The team that owns a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Team {
    /// Owns the top of the funnel.
    Marketing,
    /// Owns the bottom of the funnel.
    Sales,
}

impl Team {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Sales => "sales",
        }
    }
}

/// A step that a fact asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The lead responded to marketing.
    Respond,
    /// The lead met the definition and was handed off.
    Qualify,
    /// Sales took it.
    Accept,
    /// Sales gave it back as wrong.
    Reject,
    /// Sales gave it back for later.
    NotReady,
    /// Sales found it to be a real prospect.
    SalesQualify,
    /// Somebody else in sales takes it over.
    Assign,
    /// A deal was opened.
    Open,
    /// A deal was won.
    Win,
    /// A deal, or the lead, was lost.
    Lose,
    /// Will never buy.
    Disqualify,
    /// A customer left.
    Churn,
    /// Sales tried to reach it.
    FollowUp,
    /// Its owner is reminded of a promise.
    Remind,
    /// Its owner let a promise pass.
    Lapse,
}

impl Step {
    /// Every step that sales can report, with its word in the API.
    pub const REPORTED: &'static [(&'static str, Self)] = &[
        ("accepted", Self::Accept),
        ("rejected", Self::Reject),
        ("not_ready", Self::NotReady),
        ("qualified", Self::SalesQualify),
        ("assigned", Self::Assign),
        ("opportunity", Self::Open),
        ("won", Self::Win),
        ("lost", Self::Lose),
        ("disqualified", Self::Disqualify),
        ("churned", Self::Churn),
    ];

    /// Every other step.
    pub const OURS: &'static [Self] =
        &[Self::Respond, Self::Qualify, Self::FollowUp, Self::Remind, Self::Lapse];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Respond => "responded",
            Self::Qualify => "marketing_qualified",
            Self::FollowUp => "follow_up",
            Self::Remind => "promise_due_soon",
            Self::Lapse => "promise_broken",
            _ => Self::REPORTED.iter().find(|(_, step)| *step == self).map_or("", |(word, _)| word),
        }
    }
}

impl Stage {
    /// Every stage with its word in the API, in the order of the funnel.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("contact", Self::Contact),
        ("inquiry", Self::Inquiry),
        ("nurturing", Self::Nurturing),
        ("marketing_qualified", Self::MarketingQualified),
        ("sales_accepted", Self::SalesAccepted),
        ("sales_qualified", Self::SalesQualified),
        ("opportunity", Self::Opportunity),
        ("customer", Self::Customer),
        ("disqualified", Self::Disqualified),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, stage)| *stage == self).map_or("", |(word, _)| word)
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, stage)| *stage)
    }

    /// Tells which team owns a lead in this stage.
    #[must_use]
    pub const fn team(self) -> Team {
        match self {
            Self::Contact | Self::Inquiry | Self::Nurturing | Self::Disqualified => Team::Marketing,
            _ => Team::Sales,
        }
    }

    /// Tells whether sales works on a lead in this stage, so that it stands in somebody's inbox.
    #[must_use]
    pub const fn in_inbox(self) -> bool {
        matches!(
            self,
            Self::MarketingQualified | Self::SalesAccepted | Self::SalesQualified | Self::Opportunity
        )
    }

    /// Gives the stage after a step, or `None` where the step makes no sense here.
    ///
    /// Outcomes may skip stages, since sales also finds deals on its own; accepting, rejecting and giving back need
    /// a lead that was handed over.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        use Stage as S;
        use Step as T;
        Some(match (self, step) {
            (S::Contact, T::Respond) => S::Inquiry,
            (S::Contact | S::Inquiry | S::Nurturing, T::Qualify) => S::MarketingQualified,
            (S::MarketingQualified, T::Accept) => S::SalesAccepted,
            (S::MarketingQualified, T::Reject) => S::Nurturing,
            (S::MarketingQualified | S::SalesAccepted | S::SalesQualified | S::Opportunity, T::NotReady) => {
                S::Nurturing
            }
            (
                S::Contact
                | S::Inquiry
                | S::Nurturing
                | S::MarketingQualified
                | S::SalesAccepted
                | S::Customer,
                T::SalesQualify,
            ) => S::SalesQualified,
            (
                S::MarketingQualified | S::SalesAccepted | S::SalesQualified | S::Opportunity | S::Customer,
                T::Assign,
            ) => self,
            (_, T::FollowUp) | (S::MarketingQualified, T::Remind | T::Lapse) => self,
            (_, T::Open) => S::Opportunity,
            (_, T::Win) => S::Customer,
            (S::Customer, T::Lose) => S::Customer,
            (S::Disqualified, T::Lose) => return None,
            (_, T::Lose) => S::Nurturing,
            (S::Customer | S::Disqualified, T::Disqualify) => return None,
            (_, T::Disqualify) => S::Disqualified,
            (S::Customer, T::Churn) => S::Nurturing,
            _ => return None,
        })
    }

    /// Lists the stages that a step jumps over, in the order of the funnel.
    #[must_use]
    pub fn skipped(self, to: Self) -> Vec<Self> {
        if to == Self::Disqualified || to <= Self::Nurturing {
            return Vec::new();
        }
        let from = if matches!(self, Self::Disqualified | Self::Customer) { Self::Nurturing } else { self };
        Self::WORDS
            .iter()
            .map(|(_, stage)| *stage)
            .filter(|stage| *stage > from.max(Self::Nurturing) && *stage < to)
            .collect()
    }

    /// Lists what sales may report about a lead in this stage and that moves it.
    #[must_use]
    pub fn legal(self) -> Vec<&'static str> {
        Step::REPORTED.iter().filter(|(_, step)| self.after(*step).is_some()).map(|(word, _)| *word).collect()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_won_deal_on_a_lead_that_was_never_marked_skips_four_stages() {
        assert_eq!(Stage::Inquiry.after(Step::Win), Some(Stage::Customer));
        assert_eq!(
            Stage::Inquiry.skipped(Stage::Customer),
            vec![Stage::MarketingQualified, Stage::SalesAccepted, Stage::SalesQualified, Stage::Opportunity]
        );
        assert!(Stage::Opportunity.skipped(Stage::Customer).is_empty());
    }

    #[test]
    fn what_was_not_handed_over_cannot_be_accepted_or_given_back() {
        for stage in [Stage::Contact, Stage::Inquiry, Stage::Nurturing, Stage::Customer, Stage::Disqualified]
        {
            for step in [Step::Accept, Step::Reject, Step::NotReady] {
                assert_eq!(stage.after(step), None, "{stage} {step:?}");
            }
        }
        assert!(Stage::Inquiry.legal().contains(&"won") && !Stage::Inquiry.legal().contains(&"accepted"));
    }

    #[test]
    fn every_word_reads_back() {
        for (word, stage) in Stage::WORDS {
            assert_eq!(Stage::parse(word), Some(*stage));
            assert_eq!(stage.as_str(), *word);
        }
    }
}
