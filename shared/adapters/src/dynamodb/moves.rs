//! Words, and the parts of a move, which the records of leads and of entries share.

use domain::identity::{ExternalId, Slug};
use domain::money::Money;
use domain::sales::Move;
use domain::stage::Step;
use domain::time::Timestamp;

/// Finds the value of a word.
pub(super) fn of_words<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// Reads the word of a step.
pub(super) fn step(text: &str) -> Option<Step> {
    let ours = Step::OURS.iter().copied().find(|step| step.as_str() == text);
    ours.or_else(|| of_words(Step::REPORTED, text))
}

/// What the moves hold between them; which fields belong to which is said here, once for both records.
#[derive(Default)]
pub(super) struct MoveFields {
    /// Who got it.
    pub(super) whom: Option<Slug>,
    /// When they promised to have answered; or before when it should not come again.
    pub(super) until: Option<Timestamp>,
    /// Why.
    pub(super) reason: Option<String>,
    /// Which deal.
    pub(super) deal: Option<ExternalId>,
    /// What it brings.
    pub(super) amount: Option<Money>,
}

impl MoveFields {
    pub(super) fn of(what: &Move) -> Self {
        let none = Self::default();
        match what.clone() {
            Move::MarketingQualified { owner, promise_due_at } => {
                Self { whom: Some(owner), until: Some(promise_due_at), ..none }
            }
            Move::Assigned { to, promise_due_at } => Self { whom: Some(to), until: promise_due_at, ..none },
            Move::PromiseBroken { to: Some((to, due_at)) } => {
                Self { whom: Some(to), until: Some(due_at), ..none }
            }
            Move::Rejected { reason } | Move::Disqualified { reason } => Self { reason, ..none },
            Move::NotReady { reason, not_before } => Self { reason, until: not_before, ..none },
            Move::Opportunity { deal, amount } | Move::Won { deal, amount } => {
                Self { deal: Some(deal), amount, ..none }
            }
            Move::Lost { deal, reason } => Self { deal, reason, ..none },
            Move::Accepted
            | Move::Qualified
            | Move::Churned
            | Move::FollowedUp
            | Move::PromiseDueSoon
            | Move::PromiseBroken { to: None } => none,
        }
    }

    /// Puts the move together again; `None` where a field that it needs is missing.
    pub(super) fn into_move(self, step: Step) -> Option<Move> {
        let Self { whom, until, reason, deal, amount } = self;
        Some(match step {
            Step::Qualify => Move::MarketingQualified { owner: whom?, promise_due_at: until? },
            Step::Accept => Move::Accepted,
            Step::Reject => Move::Rejected { reason },
            Step::NotReady => Move::NotReady { reason, not_before: until },
            Step::SalesQualify => Move::Qualified,
            Step::Assign => Move::Assigned { to: whom?, promise_due_at: until },
            Step::FollowUp => Move::FollowedUp,
            Step::Remind => Move::PromiseDueSoon,
            Step::Lapse => Move::PromiseBroken { to: whom.zip(until) },
            Step::Open => Move::Opportunity { deal: deal?, amount },
            Step::Win => Move::Won { deal: deal?, amount },
            Step::Lose => Move::Lost { deal, reason },
            Step::Disqualify => Move::Disqualified { reason },
            Step::Churn => Move::Churned,
            Step::Respond => return None,
        })
    }
}
