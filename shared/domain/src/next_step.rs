//! What to do next about a lead, by rule, and why.
//!
//! The rules stand in one list, and the first that applies is the answer: what was promised comes before what was
//! agreed, and that before what would be nice. Each names the facts that it rests on, so that whoever disagrees knows what
//! to correct.

use crate::consent::{ConsentStatus, Purpose};
use crate::inbox::{Pressing, followed_up_at, promised_tries, span, tries};
use crate::lead::Lead;
use crate::promise::Promises;
use crate::sales::{Deal, DealState};
use crate::sentence::{date, moment, said};
use crate::stage::Stage;
use crate::time::{DAY_MS, Timestamp};

/// After how long without a try somebody in sales should try again, in milliseconds.
const TRY_AGAIN_MS: i64 = 7 * DAY_MS;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Get in touch at once.
    AnswerNow,
    /// Get in touch in time.
    Answer,
    /// Say whether sales takes it.
    Decide,
    /// Try to reach it, for the first time or again.
    FollowUp,
    /// Find out whether it is a real prospect, and say so.
    Qualify,
    /// Open a deal, or give it back.
    OpenDeal,
    /// Bring the open deal to an end.
    CloseDeal,
    /// Nothing before a date.
    Wait,
    /// Nothing: it waits for its turn.
    WaitForTurn,
    /// Nothing for sales: marketing keeps it warm.
    KeepWarm,
    /// Nothing for sales: it bought.
    LookAfter,
    /// Nothing at all.
    LeaveAlone,
}

impl Action {
    /// Every action with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("answer_now", Self::AnswerNow),
        ("answer", Self::Answer),
        ("decide", Self::Decide),
        ("follow_up", Self::FollowUp),
        ("qualify", Self::Qualify),
        ("open_deal", Self::OpenDeal),
        ("close_deal", Self::CloseDeal),
        ("wait", Self::Wait),
        ("wait_for_turn", Self::WaitForTurn),
        ("keep_warm", Self::KeepWarm),
        ("look_after", Self::LookAfter),
        ("leave_alone", Self::LeaveAlone),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// What.
    pub action: Action,
    /// That as a sentence.
    pub says: String,
    /// Why.
    pub because: String,
    /// By when, or not before when.
    pub at: Option<Timestamp>,
    /// What to mind whatever is done.
    pub mind: Vec<&'static str>,
}

/// Says what to do next about a lead.
#[must_use]
pub fn next_step(lead: &Lead, promises: &Promises, now: Timestamp) -> NextStep {
    let (action, says, because, at) = rule(lead, promises, now);
    NextStep { action, says: says.to_owned(), because, at, mind: mind(lead) }
}

type Rule = (Action, &'static str, String, Option<Timestamp>);

fn rule(lead: &Lead, promises: &Promises, now: Timestamp) -> Rule {
    let due = lead.promise_due_at;
    let left = due.map(|due| span(due.since(now).abs())).unwrap_or_default();
    match Pressing::of(lead, now) {
        Pressing::Broken => {
            let because = match due.filter(|due| *due > now) {
                Some(due) => {
                    format!("the promise of an answer was broken, and is now to be kept by {}", moment(due))
                }
                None => format!("the answer that was promised is {left} late"),
            };
            return (Action::AnswerNow, "Get in touch now, and say what came of it.", because, due);
        }
        Pressing::DueSoon => {
            let because = format!("the promise of an answer is due in {left}");
            return (Action::AnswerNow, "Get in touch now, and say what came of it.", because, due);
        }
        Pressing::Running => {
            let because =
                due.map(|due| format!("an answer is promised by {}", moment(due))).unwrap_or_default();
            return (Action::Answer, "Get in touch in time, and say what came of it.", because, due);
        }
        Pressing::Nothing => {}
    }
    let standing = lead.standing();
    let since = format!("it is in {} since {}", said(lead.stage.as_str()), date(lead.stage_since.day()));
    match lead.stage {
        Stage::Disqualified => {
            (Action::LeaveAlone, "Leave them alone.", "sales found that they will never buy".to_owned(), None)
        }
        Stage::Customer => {
            (Action::LookAfter, "Look after them; a new interest of theirs opens a new cycle.", since, None)
        }
        Stage::Contact => {
            let because = "they have not responded to anything yet".to_owned();
            (Action::KeepWarm, "Nothing for sales: it is marketing's.", because, None)
        }
        Stage::Inquiry | Stage::Nurturing => with_marketing(lead, standing.not_before, now, since),
        Stage::MarketingQualified => {
            let because =
                "somebody tried to reach them, and nobody said whether sales takes the lead".to_owned();
            (
                Action::Decide,
                "Say whether you take the lead: accepted, not ready, or rejected.",
                because,
                None,
            )
        }
        _ => with_sales(lead, &standing.deals, promises, now, since),
    }
}

fn with_marketing(lead: &Lead, not_before: Option<Timestamp>, now: Timestamp, since: String) -> Rule {
    if let Some(date_of) = not_before.filter(|at| *at > now) {
        let because = format!("sales asked not to have them before {}", date(date_of.day()));
        return (Action::Wait, "Wait: marketing keeps them warm.", because, Some(date_of));
    }
    match &lead.held_for {
        Some(owner) => {
            let because =
                format!("they are ready, together with many others, and go to {owner} in their turn");
            (Action::WaitForTurn, "Nothing yet: they are handed over when there is room.", because, None)
        }
        None => (
            Action::KeepWarm,
            "Nothing for sales: marketing keeps them warm until they are ready.",
            since,
            None,
        ),
    }
}

fn with_sales(lead: &Lead, deals: &[Deal], promises: &Promises, now: Timestamp, since: String) -> Rule {
    let (tried, promised) = (tries(lead), promised_tries(promises));
    if tried == 0 {
        let because = "nobody has tried to reach them since they were handed over".to_owned();
        return (Action::FollowUp, "Call or write to them, and note what came of it.", because, None);
    }
    if let Some(at) = followed_up_at(lead).filter(|at| now.since(*at) >= TRY_AGAIN_MS) {
        let because =
            format!("the last try was on {}, and {tried} of {promised} tries are made", date(at.day()));
        return (Action::FollowUp, "Try again, and note what came of it.", because, None);
    }
    match lead.stage {
        Stage::SalesAccepted => (
            Action::Qualify,
            "Find out whether they are a real prospect: qualified, or not ready.",
            since,
            None,
        ),
        Stage::SalesQualified => {
            (Action::OpenDeal, "Open a deal, or give them back: not ready.", since, None)
        }
        _ => {
            let open = deals.iter().find(|deal| deal.state == DealState::Open);
            let because = open.map_or(since, |deal| {
                format!("the deal {} is open since {}", deal.id.id(), date(deal.at.day()))
            });
            (Action::CloseDeal, "Bring the deal to an end: won, or lost.", because, None)
        }
    }
}

fn mind(lead: &Lead) -> Vec<&'static str> {
    let withdrew = |purpose| lead.consents.status(purpose) == Some(ConsentStatus::Withdrawn);
    let mut mind = Vec::new();
    if withdrew(Purpose::Phone) {
        mind.push("They do not want to be called.");
    }
    if withdrew(Purpose::Marketing) {
        mind.push("They want no marketing by mail.");
    }
    if !lead.possible_duplicates.is_empty() {
        mind.push("They may be known twice: see the possible duplicates.");
    }
    mind
}
