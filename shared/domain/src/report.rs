//! The campaigns report: which channels, campaigns and landing pages brought leads, and which of them revenue.
//!
//! A pure fold over leads, so that one scan of the table is all it costs and parts of a scan can be joined.

use crate::condition::TouchField;
use crate::identity::{ExternalId, LeadId};
use crate::lead::{Lead, Touch};
use crate::money::{Currency, Money};
use crate::sales::{DealState, DeliveryId, Outcome};
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// By which time leads are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Leads whose first contact lies in the time; what became of them by now.
    Cohort,
    /// Leads whose outcome lies in the time.
    Period,
}

impl Basis {
    /// Every basis with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[("cohort", Self::Cohort), ("period", Self::Period)];
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What the rows stand for.
    pub group_by: TouchField,
    /// By which time leads are chosen.
    pub basis: Basis,
    /// From when, included.
    pub from: Option<Timestamp>,
    /// Until when, not included.
    pub to: Option<Timestamp>,
}

impl Question {
    fn covers(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

/// What the report needs of one lead.
#[derive(Clone, Debug)]
pub struct Row {
    /// The lead.
    pub lead: LeadId,
    /// Its first touch.
    pub first_touch: Option<Touch>,
    /// Its first response.
    pub responded_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Its deals that are won.
    pub won: Vec<WonDeal>,
}

/// A won deal.
#[derive(Clone, Debug)]
pub struct WonDeal {
    /// The id that the CRM gave it.
    pub id: ExternalId,
    /// What it brought.
    pub amount: Option<Money>,
    /// When its latest fact happened.
    pub at: Timestamp,
    /// Which fact that was.
    pub fact: DeliveryId,
}

impl Row {
    /// Takes from a lead what the report needs; `None` for a contact, since only leads count in funnels.
    #[must_use]
    pub fn of(lead: &Lead) -> Option<Self> {
        let responded_at = lead.responded_at?;
        let standing = lead.standing();
        let won = standing
            .deals
            .iter()
            .filter(|deal| deal.state == DealState::Won)
            .map(|deal| WonDeal { id: deal.id.clone(), amount: deal.amount, at: deal.at, fact: deal.fact })
            .collect();
        Some(Self {
            lead: lead.id.clone(),
            first_touch: lead.touches.first.clone(),
            responded_at,
            outcome: standing.outcome,
            won,
        })
    }

    /// Gives the first contact: the first touch, where one is known to be earlier than the first response.
    fn first(&self) -> Timestamp {
        self.first_touch.as_ref().map_or(self.responded_at, |touch| touch.at.min(self.responded_at))
    }
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// Leads.
    pub leads: u64,
    /// Leads with a won deal.
    pub won: u64,
    /// Leads that were lost or disqualified.
    pub lost: u64,
    /// Leads that are neither.
    pub open: u64,
    /// What the won deals brought, by currency in minor units.
    pub revenue: BTreeMap<Currency, i64>,
    /// Whether a sum grew beyond what can be counted; revenue is then the largest number.
    pub overflow: bool,
}

/// Who counts a deal's revenue: the lead that came first of those that share it.
#[derive(Clone, Debug)]
struct Share<G> {
    group: G,
    first: (Timestamp, LeadId),
    latest: (Timestamp, DeliveryId),
    amount: Option<Money>,
}

/// Won deals, each once however many leads report it: its revenue is that of the lead that came first, and of that
/// lead's group.
#[derive(Clone, Debug)]
pub struct Deals<G = ()>(HashMap<ExternalId, Share<G>>);

impl<G> Default for Deals<G> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<G> Deals<G> {
    /// Adds a won deal of a lead.
    pub fn add(&mut self, row: &Row, deal: &WonDeal, group: G) {
        let first = (row.first(), row.lead.clone());
        let share = Share { group, first, latest: (deal.at, deal.fact), amount: deal.amount };
        match self.0.get_mut(&deal.id) {
            None => {
                self.0.insert(deal.id.clone(), share);
            }
            Some(known) => {
                // The latest word on the amount counts; a word without an amount leaves the one that is known, also
                // its time, so that the order of the scan does not matter.
                if share.amount.is_some() && (known.amount.is_none() || share.latest > known.latest) {
                    known.amount = share.amount;
                    known.latest = share.latest;
                }
                if share.first < known.first {
                    known.first = share.first;
                    known.group = share.group;
                }
            }
        }
    }

    /// Gives what each deal brought, with the lead that counts it and its group.
    pub fn finish(self) -> impl Iterator<Item = (LeadId, G, Money)> {
        self.0.into_values().filter_map(|share| Some((share.first.1, share.group, share.amount?)))
    }
}

/// The report while leads are added.
#[derive(Clone, Debug, Default)]
pub struct Campaigns {
    lines: BTreeMap<Option<String>, Line>,
    deals: Deals<Option<String>>,
}

impl Campaigns {
    /// Adds a lead.
    pub fn add(&mut self, question: &Question, row: Row) {
        let first = row.first();
        let group = row.first_touch.as_ref().and_then(|touch| question.group_by.of(touch)).map(str::to_owned);
        let counted = match (question.basis, row.outcome) {
            (Basis::Cohort, _) => question.covers(first),
            (Basis::Period, Outcome::Won(at) | Outcome::Lost(at)) => question.covers(at),
            (Basis::Period, Outcome::Open) => false,
        };
        if counted {
            let line = self.lines.entry(group.clone()).or_default();
            line.leads += 1;
            match row.outcome {
                Outcome::Won(_) => line.won += 1,
                Outcome::Lost(_) => line.lost += 1,
                Outcome::Open => line.open += 1,
            }
        }
        for deal in &row.won {
            let covered = match question.basis {
                Basis::Cohort => counted,
                Basis::Period => question.covers(deal.at),
            };
            if covered {
                self.deals.add(&row, deal, group.clone());
            }
        }
    }

    /// Gives the lines by group, deals' revenue included; `None` stands for leads that came from nowhere known.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<Option<String>, Line> {
        for (_, group, money) in self.deals.finish() {
            let line = self.lines.entry(group).or_default();
            let sum = line.revenue.entry(money.currency).or_default();
            match sum.checked_add(money.minor) {
                Some(total) => *sum = total,
                None => {
                    *sum = i64::MAX;
                    line.overflow = true;
                }
            }
        }
        self.lines
    }
}
