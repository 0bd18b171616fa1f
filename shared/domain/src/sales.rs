//! What sales reported, and the standing that follows from it.
//!
//! Facts may arrive late or out of order. So the lead keeps, compactly, every fact that moves its stage, and where it
//! stands is their fold by [`SalesFact::place`]: withdrawn facts are left out, impossible ones are recorded and skipped, and the
//! order of arrival does not matter.

use crate::identity::{ExternalId, Slug};
use crate::lead::Lead;
use crate::money::Money;
use crate::stage::{Stage, Step};
use crate::time::Timestamp;
use std::fmt;

/// Eight bytes that stand for one delivery of one sender; also the id of the fact that it brought.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DeliveryId(pub [u8; 8]);

impl DeliveryId {
    /// Makes the id of a delivery from where it came and the id that its sender gave it.
    #[must_use]
    pub fn new(source: &str, id: &str) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        hasher.update(source.as_bytes());
        hasher.update([0]);
        hasher.update(id.as_bytes());
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Reads the hexadecimal form, or the tail of an entry id that ends with it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tail = text.rsplit('-').next()?;
        let bytes = data_encoding::HEXLOWER.decode(tail.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryId({self})")
    }
}

/// What a fact says, where it moves the stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// The lead met the definition and was handed to somebody.
    MarketingQualified {
        /// Who got it.
        owner: Slug,
        /// When they promised to have answered.
        promise_due_at: Timestamp,
    },
    /// Sales took it.
    Accepted,
    /// Sales gave it back as wrong.
    Rejected {
        /// Why.
        reason: Option<String>,
    },
    /// Sales gave it back for later.
    NotReady {
        /// Why.
        reason: Option<String>,
        /// Before when it should not come again.
        not_before: Option<Timestamp>,
    },
    /// Sales found it to be a real prospect.
    Qualified,
    /// Somebody else in sales takes it over.
    Assigned {
        /// Who.
        to: Slug,
        /// By when they answer it, where a first answer is still owed; found when the fact is taken in.
        promise_due_at: Option<Timestamp>,
    },
    /// Sales tried to reach it.
    FollowedUp,
    /// Its owner was reminded that the promised answer is due soon.
    PromiseDueSoon,
    /// Its owner let the time of the promise pass.
    PromiseBroken {
        /// Who has it since, and by when they answer; nobody else where nobody is left.
        to: Option<(Slug, Timestamp)>,
    },
    /// A deal was opened.
    Opportunity {
        /// Which deal.
        deal: ExternalId,
        /// What it may bring.
        amount: Option<Money>,
    },
    /// A deal was won.
    Won {
        /// Which deal.
        deal: ExternalId,
        /// What it brought.
        amount: Option<Money>,
    },
    /// A deal, or the lead, was lost.
    Lost {
        /// Which deal, where there was one.
        deal: Option<ExternalId>,
        /// Why.
        reason: Option<String>,
    },
    /// Will never buy.
    Disqualified {
        /// Why.
        reason: Option<String>,
    },
    /// A customer left.
    Churned,
}

impl Move {
    /// Gives the step of the stage table that the fact asks for.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::MarketingQualified { .. } => Step::Qualify,
            Self::Accepted => Step::Accept,
            Self::Rejected { .. } => Step::Reject,
            Self::NotReady { .. } => Step::NotReady,
            Self::Qualified => Step::SalesQualify,
            Self::Assigned { .. } => Step::Assign,
            Self::FollowedUp => Step::FollowUp,
            Self::PromiseDueSoon => Step::Remind,
            Self::PromiseBroken { .. } => Step::Lapse,
            Self::Opportunity { .. } => Step::Open,
            Self::Won { .. } => Step::Win,
            Self::Lost { .. } => Step::Lose,
            Self::Disqualified { .. } => Step::Disqualify,
            Self::Churned => Step::Churn,
        }
    }

    /// Tells whether it is something that Leadloop itself says of a lead, rather than sales.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::MarketingQualified { .. } | Self::PromiseDueSoon | Self::PromiseBroken { .. })
    }

    /// Tells whether it leaves the stage as it is, wherever it comes.
    #[must_use]
    pub const fn moves_nothing(&self) -> bool {
        matches!(self, Self::FollowedUp | Self::PromiseDueSoon | Self::PromiseBroken { .. })
    }

    /// Gives why, where the fact says so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Rejected { reason }
            | Self::NotReady { reason, .. }
            | Self::Lost { reason, .. }
            | Self::Disqualified { reason } => reason.as_deref(),
            _ => None,
        }
    }

    /// Gives the deal that the fact is about.
    #[must_use]
    pub const fn deal(&self) -> Option<&ExternalId> {
        match self {
            Self::Opportunity { deal, .. } | Self::Won { deal, .. } => Some(deal),
            Self::Lost { deal, .. } => deal.as_ref(),
            _ => None,
        }
    }
}

/// A fact that moves the stage, with when it happened and who reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct SalesFact {
    /// When it happened.
    pub at: Timestamp,
    /// Which delivery brought it.
    pub id: DeliveryId,
    /// Who did it, where that is known.
    pub by: Option<Slug>,
    /// What happened.
    pub what: Move,
    /// Whether its reason ends the matter for good, as the playbook had it when it was taken in: a lead that is given
    /// back for it is disqualified rather than kept warm.
    pub ends: bool,
}

impl SalesFact {
    /// Gives its place among a lead's facts: by time; among those of one time (a CRM that exports days) in the order of
    /// the funnel, a deal's end after its beginning; then by id.
    #[must_use]
    pub const fn place(&self) -> (Timestamp, u8, DeliveryId) {
        let rank = match self.what.step() {
            Step::Respond | Step::Qualify => 0,
            Step::FollowUp => 1,
            Step::Accept => 2,
            Step::SalesQualify => 3,
            Step::Assign => 4,
            Step::Open => 5,
            Step::Reject | Step::NotReady => 6,
            Step::Lose => 7,
            Step::Win => 8,
            Step::Churn => 9,
            Step::Disqualify => 10,
            // Whoever answered at the same time was in time.
            Step::Remind | Step::Lapse => 11,
        };
        (self.at, rank, self.id)
    }
}

/// How a deal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealState {
    /// Open.
    Open,
    /// Won.
    Won,
    /// Lost.
    Lost,
}

/// A deal as its latest fact has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Deal {
    /// The id that the CRM gave it.
    pub id: ExternalId,
    /// How it stands.
    pub state: DealState,
    /// What it brings, where that was said.
    pub amount: Option<Money>,
    /// When its latest fact happened.
    pub at: Timestamp,
    /// The id of its latest fact, which decides between two of one time.
    pub fact: DeliveryId,
}

/// How a lead ended, seen from the funnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Not yet.
    #[default]
    Open,
    /// At least one deal is won.
    Won(Timestamp),
    /// Lost or disqualified, with no won deal and nothing opened since.
    Lost(Timestamp),
}

/// A fact that made no sense where it came, and was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// The fact.
    pub id: DeliveryId,
    /// What it asked for.
    pub step: Step,
    /// The stage in which it came.
    pub stage: Stage,
}

/// Where a lead stands: what follows from all its facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The stage.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// The number of the pass through the funnel, from 1.
    pub cycle: u32,
    /// The person in sales who has it.
    pub person: Option<Slug>,
    /// When it was last given back to marketing: only what comes after counts towards becoming ready again.
    pub returned_at: Option<Timestamp>,
    /// Before when sales does not want it back.
    pub not_before: Option<Timestamp>,
    /// When its owner promised to have answered; none once they did.
    pub promise_due_at: Option<Timestamp>,
    /// When it was last handed to sales.
    pub handed_off_at: Option<Timestamp>,
    /// The deals, in the order of their first mention.
    pub deals: Vec<Deal>,
    /// How it ended.
    pub outcome: Outcome,
    /// Facts that made no sense and were skipped.
    pub impossible: Vec<Impossible>,
}

impl Standing {
    /// Gives the standing of a lead about which sales reported nothing.
    #[must_use]
    pub fn new(created_at: Timestamp, responded_at: Option<Timestamp>, was_customer: bool) -> Self {
        let (stage, since) = match responded_at {
            _ if was_customer => (Stage::Customer, created_at),
            Some(at) => (Stage::Inquiry, at),
            None => (Stage::Contact, created_at),
        };
        Self {
            stage,
            since,
            cycle: 1,
            person: None,
            returned_at: None,
            not_before: None,
            promise_due_at: None,
            handed_off_at: None,
            deals: Vec::new(),
            outcome: Outcome::Open,
            impossible: Vec::new(),
        }
    }

    /// Takes one fact in and gives the stages that it skipped.
    pub fn take(&mut self, fact: &SalesFact) -> Vec<Stage> {
        let step = fact.what.step();
        let Some(stage) = self.stage.after(step) else {
            self.impossible.push(Impossible { id: fact.id, step, stage: self.stage });
            return Vec::new();
        };
        self.deal(fact);
        let stage = if step == Step::Lose { self.after_loss(stage) } else { stage };
        let given_back = matches!(step, Step::Reject | Step::Lose) && stage == Stage::Nurturing;
        let ended = fact.ends && given_back;
        let stage = if ended { Stage::Disqualified } else { stage };
        let skipped = self.stage.skipped(stage);
        let new_cycle = match step {
            Step::NotReady | Step::Churn => true,
            Step::Reject | Step::Lose => stage == Stage::Nurturing,
            // A customer's new interest, and a disqualified lead that turns out to buy after all.
            Step::Open | Step::SalesQualify => matches!(self.stage, Stage::Customer | Stage::Disqualified),
            Step::Win => self.stage == Stage::Disqualified,
            _ => false,
        };
        if new_cycle {
            self.cycle = self.cycle.saturating_add(1);
        }
        if stage == Stage::Nurturing {
            self.returned_at = Some(fact.at);
            self.not_before = None;
            self.person = None;
        }
        match &fact.what {
            Move::MarketingQualified { owner, promise_due_at } => {
                self.person = Some(owner.clone());
                self.promise_due_at = Some(*promise_due_at);
                self.handed_off_at = Some(fact.at);
            }
            Move::Assigned { to, promise_due_at } => {
                self.person = Some(to.clone());
                self.promise_due_at = self.promise_due_at.map(|due_at| promise_due_at.unwrap_or(due_at));
            }
            // Who took it has it, whomever it was offered to.
            Move::Accepted if fact.by.is_some() => self.person.clone_from(&fact.by),
            // Void where a fact that came late answered it before.
            Move::PromiseBroken { to: Some((to, due_at)) } if self.promise_due_at.is_some() => {
                self.person = Some(to.clone());
                self.promise_due_at = Some(*due_at);
            }
            Move::NotReady { not_before, .. } => self.not_before = *not_before,
            Move::Disqualified { .. } => self.person = None,
            _ if ended => self.person = None,
            _ => {}
        }
        if !matches!(step, Step::Qualify | Step::Assign | Step::Remind | Step::Lapse) {
            self.promise_due_at = None;
        }
        if self.person.is_none() && stage.in_inbox() | (stage == Stage::Customer) {
            self.person.clone_from(&fact.by);
        }
        self.outcome(fact, if ended { Step::Disqualify } else { step });
        if self.stage != stage || new_cycle {
            self.stage = stage;
            self.since = fact.at;
        }
        skipped
    }

    /// Tells whether a deal stands already as a fact about it says.
    #[must_use]
    pub fn stands_so(&self, what: &Move) -> bool {
        let (state, amount) = match what {
            Move::Opportunity { amount, .. } => (DealState::Open, *amount),
            Move::Won { amount, .. } => (DealState::Won, *amount),
            Move::Lost { .. } => (DealState::Lost, None),
            _ => return false,
        };
        let deal = what.deal().and_then(|id| self.deals.iter().find(|deal| deal.id == *id));
        deal.is_some_and(|deal| deal.state == state && (amount.is_none() || amount == deal.amount))
    }

    fn has(&self, state: DealState) -> bool {
        self.deals.iter().any(|deal| deal.state == state)
    }

    /// Gives the stage after a loss: who bought before stays a customer, and another deal may still be open.
    fn after_loss(&self, stage: Stage) -> Stage {
        if self.has(DealState::Won) {
            Stage::Customer
        } else if self.stage == Stage::Opportunity && self.has(DealState::Open) {
            Stage::Opportunity
        } else {
            stage
        }
    }

    fn deal(&mut self, fact: &SalesFact) {
        let Some(id) = fact.what.deal() else { return };
        let (state, amount) = match &fact.what {
            Move::Won { amount, .. } => (DealState::Won, *amount),
            Move::Lost { .. } => (DealState::Lost, None),
            Move::Opportunity { amount, .. } => (DealState::Open, *amount),
            _ => return,
        };
        match self.deals.iter_mut().find(|deal| deal.id == *id) {
            Some(deal) => {
                deal.state = state;
                deal.amount = amount.or(deal.amount.take());
                deal.at = fact.at;
                deal.fact = fact.id;
            }
            None => self.deals.push(Deal { id: id.clone(), state, amount, at: fact.at, fact: fact.id }),
        }
    }

    fn outcome(&mut self, fact: &SalesFact, step: Step) {
        let won = self.deals.iter().filter(|deal| deal.state == DealState::Won).map(|deal| deal.at).min();
        self.outcome = match (won, step) {
            (Some(at), _) => Outcome::Won(at),
            (None, Step::Lose) if self.stage == Stage::Opportunity && self.has(DealState::Open) => {
                Outcome::Open
            }
            (None, Step::Lose | Step::Disqualify) => Outcome::Lost(fact.at),
            (None, Step::Qualify | Step::Accept | Step::SalesQualify | Step::Open) => Outcome::Open,
            (None, _) => match self.outcome {
                Outcome::Won(_) => Outcome::Open,
                other => other,
            },
        };
    }
}

/// Folds a lead's facts into its standing. The facts are sorted by their place; the withdrawn ones are left out.
#[must_use]
pub fn standing(
    created_at: Timestamp,
    responded_at: Option<Timestamp>,
    was_customer: bool,
    facts: &[SalesFact],
    withdrawn: &[DeliveryId],
) -> Standing {
    let mut standing = Standing::new(created_at, responded_at, was_customer);
    for fact in facts.iter().filter(|fact| !withdrawn.contains(&fact.id)) {
        standing.take(fact);
    }
    standing
}

/// A stay of a lead in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The stage.
    pub stage: Stage,
    /// The number of the pass through the funnel, from 1.
    pub cycle: u32,
    /// Since when.
    pub since: Timestamp,
}

/// Tells where a lead stood since when, the first stay first; each ends where the next one begins.
#[must_use]
pub fn stays(lead: &Lead) -> Vec<Stay> {
    let mut standing = Standing::new(lead.created_at, lead.responded_at, lead.was_customer);
    let mut stays = Vec::new();
    if standing.since > lead.created_at {
        stays.push(Stay { stage: Stage::Contact, cycle: 1, since: lead.created_at });
    }
    let mut note = |standing: &Standing| {
        let stay = Stay { stage: standing.stage, cycle: standing.cycle, since: standing.since };
        if stays.last() != Some(&stay) {
            stays.push(stay);
        }
    };
    note(&standing);
    for fact in lead.sales.iter().filter(|fact| !lead.withdrawn.contains(&fact.id)) {
        standing.take(fact);
        note(&standing);
    }
    stays
}

/// How many follow-ups a lead keeps. The timeline keeps them all; the lead lets go of the oldest that changes nothing: one
/// right after another one, since the first one after a hand-off is the answer to it.
pub const MOST_FOLLOW_UPS: usize = 100;

/// Puts a fact in its place and tells whether it was new.
pub fn insert(facts: &mut Vec<SalesFact>, fact: SalesFact) -> bool {
    if facts.iter().any(|known| known.id == fact.id) {
        return false;
    }
    let at = facts.partition_point(|known| known.place() < fact.place());
    let follows_up = |fact: &SalesFact| fact.what == Move::FollowedUp;
    let one_more = follows_up(&fact);
    facts.insert(at, fact);
    if one_more && facts.iter().filter(|fact| follows_up(fact)).count() > MOST_FOLLOW_UPS {
        let again = facts.windows(2).position(|pair| pair.iter().all(follows_up)).map(|at| at + 1);
        if let Some(oldest) = again.or_else(|| facts.iter().position(follows_up)) {
            facts.remove(oldest);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;
    use proptest::prelude::*;

    fn fact(at: i64, what: Move) -> SalesFact {
        let id = DeliveryId::new("test", &format!("{at} {what:?} {:?}", what.deal().map(ExternalId::id)));
        SalesFact { at: Timestamp::from_secs(at), id, by: None, what, ends: false }
    }

    fn deal(id: &str) -> ExternalId {
        ExternalId::new("crm", id).unwrap()
    }

    fn won(at: i64, id: &str) -> SalesFact {
        let amount = Money::parse("10.00", Currency::parse("EUR").unwrap()).ok();
        fact(at, Move::Won { deal: deal(id), amount })
    }

    fn fold(facts: &[SalesFact], withdrawn: &[DeliveryId]) -> Standing {
        let mut sorted = Vec::new();
        facts.iter().for_each(|fact| {
            insert(&mut sorted, fact.clone());
        });
        standing(Timestamp::from_secs(0), Some(Timestamp::from_secs(1)), false, &sorted, withdrawn)
    }

    fn handed(at: i64) -> SalesFact {
        let owner = Slug::parse("at-1").unwrap();
        fact(at, Move::MarketingQualified { owner, promise_due_at: Timestamp::from_secs(at + 100) })
    }

    #[test]
    fn the_first_answer_is_kept_however_often_somebody_is_tried_afterwards() {
        let tried = |at| fact(at, Move::FollowedUp);
        let mut forwards = vec![handed(10), tried(20), handed(1_000), tried(1_010)];
        forwards.extend((2_000..2_000 + 150).map(tried));
        let kept = |facts: &mut dyn Iterator<Item = &SalesFact>| {
            let mut kept = Vec::new();
            facts.for_each(|fact| {
                insert(&mut kept, fact.clone());
            });
            kept
        };
        let lead = kept(&mut forwards.iter());
        let times: Vec<i64> =
            lead.iter().filter(|f| f.what == Move::FollowedUp).map(|f| f.at.secs()).collect();
        assert_eq!(times.len(), MOST_FOLLOW_UPS);
        assert_eq!((&times[..2], times.last()), ([20, 1_010].as_slice(), Some(&2_149)));
        assert_eq!(kept(&mut forwards.iter().rev()), lead);
    }

    #[test]
    fn a_returned_lead_is_marketings_again_in_a_new_cycle() {
        let standing = fold(&[handed(10), fact(20, Move::Rejected { reason: None })], &[]);
        assert_eq!((standing.stage, standing.cycle, standing.person), (Stage::Nurturing, 2, None));
        assert_eq!(standing.returned_at, Some(Timestamp::from_secs(20)));
        assert_eq!(standing.promise_due_at, None);
    }

    #[test]
    fn who_is_given_back_for_a_reason_that_ends_it_is_disqualified_and_comes_back_only_with_a_deal() {
        let ends = |fact: SalesFact| SalesFact { ends: true, ..fact };
        let rejected = ends(fact(20, Move::Rejected { reason: None }));
        let standing = fold(&[handed(10), rejected.clone()], &[]);
        assert_eq!((standing.stage, standing.cycle, standing.person.clone()), (Stage::Disqualified, 1, None));
        assert_eq!(
            (standing.outcome, standing.returned_at, standing.promise_due_at),
            (Outcome::Lost(Timestamp::from_secs(20)), None, None)
        );
        let open = fact(30, Move::Opportunity { deal: deal("1"), amount: None });
        let standing = fold(&[handed(10), rejected, open.clone()], &[]);
        assert_eq!((standing.stage, standing.cycle), (Stage::Opportunity, 2));
        let lost = |deal| ends(fact(40, Move::Lost { deal, reason: None }));
        assert_eq!(fold(&[handed(10), open.clone(), lost(Some(deal("1")))], &[]).stage, Stage::Disqualified);
        // Another deal goes on, and who bought stays a customer.
        let other = fact(35, Move::Opportunity { deal: deal("2"), amount: None });
        assert_eq!(fold(&[open, other, lost(Some(deal("1")))], &[]).stage, Stage::Opportunity);
        assert_eq!(fold(&[won(10, "1"), lost(Some(deal("2")))], &[]).stage, Stage::Customer);
    }

    #[test]
    fn a_withdrawn_win_never_happened() {
        let win = won(20, "D-1");
        let standing = fold(&[handed(10), win.clone()], &[win.id]);
        assert_eq!((standing.stage, standing.outcome), (Stage::MarketingQualified, Outcome::Open));
        assert!(standing.deals.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_recorded_and_skipped() {
        let standing = fold(&[won(10, "D-1"), fact(20, Move::Accepted)], &[]);
        assert_eq!(standing.stage, Stage::Customer);
        assert_eq!(standing.impossible.len(), 1);
    }

    #[test]
    fn a_win_outweighs_a_lost_second_deal() {
        let lost = fact(30, Move::Lost { deal: Some(deal("D-2")), reason: None });
        let standing = fold(&[won(10, "D-1"), lost], &[]);
        assert_eq!(
            (standing.stage, standing.outcome),
            (Stage::Customer, Outcome::Won(Timestamp::from_secs(10)))
        );
    }

    #[test]
    fn a_deal_that_opens_and_ends_at_one_time_is_won_whatever_the_ids() {
        for n in 0..50 {
            let mut facts =
                vec![won(10, "D-1"), fact(10, Move::Opportunity { deal: deal("D-1"), amount: None })];
            for (i, fact) in facts.iter_mut().enumerate() {
                fact.id = DeliveryId::new("any", &format!("{n} {i}"));
            }
            let standing = fold(&facts, &[]);
            assert_eq!(
                (standing.stage, standing.outcome),
                (Stage::Customer, Outcome::Won(Timestamp::from_secs(10)))
            );
        }
    }

    #[test]
    fn a_lost_deal_beside_an_open_one_leaves_the_opportunity() {
        let open = |at, id| fact(at, Move::Opportunity { deal: deal(id), amount: None });
        let lost = |at, id| fact(at, Move::Lost { deal: Some(deal(id)), reason: None });
        let standing = fold(&[open(10, "1"), open(11, "2"), lost(12, "1")], &[]);
        assert_eq!((standing.stage, standing.outcome), (Stage::Opportunity, Outcome::Open));
        let standing = fold(&[open(10, "1"), open(11, "2"), lost(12, "1"), lost(13, "2")], &[]);
        assert_eq!((standing.stage, standing.cycle), (Stage::Nurturing, 2));
        let standing = fold(&[won(10, "1"), open(11, "2"), lost(12, "2")], &[]);
        assert_eq!(
            (standing.stage, standing.outcome),
            (Stage::Customer, Outcome::Won(Timestamp::from_secs(10)))
        );
    }

    fn any_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            Just(Move::Accepted),
            Just(Move::Rejected { reason: None }),
            Just(Move::NotReady { reason: None, not_before: None }),
            Just(Move::Qualified),
            Just(Move::Assigned { to: Slug::parse("at-2").unwrap(), promise_due_at: None }),
            (0..3_u8).prop_map(|i: u8| Move::Opportunity { deal: deal(&i.to_string()), amount: None }),
            (0..3_u8).prop_map(|i: u8| Move::Won { deal: deal(&i.to_string()), amount: None }),
            (0..3_u8).prop_map(|i: u8| Move::Lost { deal: Some(deal(&i.to_string())), reason: None }),
            Just(Move::Disqualified { reason: None }),
            Just(Move::Churned),
            Just(Move::MarketingQualified {
                owner: Slug::parse("at-1").unwrap(),
                promise_due_at: Timestamp::from_secs(0)
            }),
        ]
    }

    proptest! {
        #[test]
        fn facts_in_any_order_give_one_standing(moves in prop::collection::vec((0_i64..20, any_move()), 0..12)) {
            let facts: Vec<SalesFact> = moves.into_iter().map(|(at, what)| fact(at, what)).collect();
            let backwards: Vec<SalesFact> = facts.iter().rev().cloned().collect();
            prop_assert_eq!(fold(&facts, &[]), fold(&backwards, &[]));
        }

        #[test]
        fn an_owner_in_the_inbox_is_never_lost(moves in prop::collection::vec((0_i64..20, any_move()), 0..12)) {
            let mut facts = vec![handed(-1)];
            facts.extend(moves.into_iter().map(|(at, what)| fact(at, what)));
            let standing = fold(&facts, &[]);
            // Who is handed a lead keeps it until it leaves the inbox.
            if standing.stage == Stage::MarketingQualified || standing.stage == Stage::SalesAccepted {
                prop_assert!(standing.person.is_some());
            }
        }
    }
}
