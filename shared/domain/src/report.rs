//! The campaigns report: which channels, campaigns and landing pages brought leads, and which of them revenue.
//!
//! A pure fold over leads, so that one scan of the table is all it costs and parts of a scan can be joined.
//!
//! Each lead and each deal counts once: the lead with its first touch, the deal with the lead that came first. Beside that
//! stands what each model of [`attribution`](crate::attribution) credits: a deal is divided among the touches of all the
//! leads that are counted and share it, up to its first win; what no touch explains belongs to the group without a name.

use crate::attribution::{CREDIT, Model, Moments, Weighing, allot};
use crate::condition::TouchField;
use crate::identity::{ExternalId, LeadId};
use crate::lead::{Lead, Touch};
use crate::money::{Currency, Money};
use crate::sales::{DealState, DeliveryId, Move, Outcome};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
    /// All its touches in order, each with how many it stands for; none for a lead that won nothing.
    pub touches: Vec<(Touch, u32)>,
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
    /// When somebody first spoke of it as an opportunity.
    pub opened: Option<Timestamp>,
    /// When it was first won.
    pub first_won: Timestamp,
}

impl Row {
    /// Takes from a lead what the report needs; `None` for a contact, since only leads count in funnels.
    #[must_use]
    pub fn of(lead: &Lead) -> Option<Self> {
        let responded_at = lead.responded_at?;
        let standing = lead.standing();
        let taken = |fact: &DeliveryId| {
            !lead.withdrawn.contains(fact) && standing.impossible.iter().all(|skipped| skipped.id != *fact)
        };
        // Facts are kept in the order in which they happened.
        let first = |deal: &ExternalId, is: fn(&Move) -> bool| {
            let mut facts = lead.sales.iter().filter(|fact| fact.what.deal() == Some(deal) && is(&fact.what));
            facts.find(|fact| taken(&fact.id)).map(|fact| fact.at)
        };
        let deals = standing.deals.iter().filter(|deal| deal.state == DealState::Won);
        let won: Vec<WonDeal> = deals
            .map(|deal| WonDeal {
                id: deal.id.clone(),
                amount: deal.amount,
                at: deal.at,
                fact: deal.fact,
                opened: first(&deal.id, |what| matches!(what, Move::Opportunity { .. })),
                first_won: first(&deal.id, |what| matches!(what, Move::Won { .. })).unwrap_or(deal.at),
            })
            .collect();
        let touches = lead.touches.all().filter(|_| !won.is_empty());
        Some(Self {
            lead: lead.id.clone(),
            first_touch: lead.touches.first.clone(),
            touches: touches.map(|(touch, times)| (touch.clone(), times)).collect(),
            responded_at,
            outcome: standing.outcome,
            won,
        })
    }
}

/// What a model credits.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Credit {
    /// Won deals, in parts of which a deal has [`CREDIT`].
    pub deals: i64,
    /// What they brought, by currency in minor units.
    pub revenue: BTreeMap<Currency, i64>,
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
    /// What each model credits; models that credit nothing are left out.
    pub models: BTreeMap<Model, Credit>,
    /// Whether a sum grew beyond what can be counted; revenue is then the largest number.
    pub overflow: bool,
}

/// A group's name, kept once however many touches carry it.
type Name = Option<Arc<str>>;

/// Who counts a deal's revenue: the lead that came first of those that share it; and what led to it.
#[derive(Clone, Debug)]
struct Share {
    group: Name,
    first: (Timestamp, LeadId),
    latest: (Timestamp, DeliveryId),
    amount: Option<Money>,
    touches: Vec<(Timestamp, Name, u32)>,
    moments: Moments,
}

/// The report while leads are added.
#[derive(Clone, Debug, Default)]
pub struct Campaigns {
    lines: BTreeMap<Name, Line>,
    deals: HashMap<ExternalId, Share>,
    names: BTreeSet<Arc<str>>,
}

impl Question {
    /// When a lead was first in touch: by its first touch, where one is known to be earlier than its first response.
    fn first_contact(row: &Row) -> Timestamp {
        row.first_touch.as_ref().map_or(row.responded_at, |touch| touch.at.min(row.responded_at))
    }

    /// Gives the group that a lead counts in.
    #[must_use]
    pub fn group<'a>(&self, row: &'a Row) -> Option<&'a str> {
        row.first_touch.as_ref().and_then(|touch| self.group_by.of(touch))
    }

    /// Tells whether a lead counts.
    #[must_use]
    pub fn counts(&self, row: &Row) -> bool {
        match (self.basis, row.outcome) {
            (Basis::Cohort, _) => self.covers(Self::first_contact(row)),
            (Basis::Period, Outcome::Won(at) | Outcome::Lost(at)) => self.covers(at),
            (Basis::Period, Outcome::Open) => false,
        }
    }

    /// Gives the deals of a lead that count.
    pub fn deals<'a>(&self, row: &'a Row) -> impl Iterator<Item = &'a WonDeal> {
        let counted = self.counts(row);
        row.won.iter().filter(move |deal| match self.basis {
            Basis::Cohort => counted,
            Basis::Period => self.covers(deal.at),
        })
    }
}

impl Campaigns {
    fn name(&mut self, text: Option<&str>) -> Name {
        let text = text?;
        if let Some(known) = self.names.get(text) {
            return Some(Arc::clone(known));
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        Some(name)
    }

    /// Adds a lead.
    pub fn add(&mut self, question: &Question, row: &Row) {
        let group = self.name(question.group(row));
        if question.counts(row) {
            let line = self.lines.entry(group.clone()).or_default();
            line.leads += 1;
            match row.outcome {
                Outcome::Won(_) => line.won += 1,
                Outcome::Lost(_) => line.lost += 1,
                Outcome::Open => line.open += 1,
            }
        }
        for deal in question.deals(row) {
            let touches = row.touches.iter().filter(|(touch, _)| touch.at <= deal.first_won);
            let touches = touches
                .map(|(touch, times)| (touch.at, self.name(question.group_by.of(touch)), *times))
                .collect();
            let (opened, won) = (deal.opened, deal.first_won);
            self.share(
                deal,
                Share {
                    group: group.clone(),
                    first: (Question::first_contact(row), row.lead.clone()),
                    latest: (deal.at, deal.fact),
                    amount: deal.amount,
                    touches,
                    moments: Moments { created: row.responded_at, opened, won },
                },
            );
        }
    }

    fn share(&mut self, deal: &WonDeal, share: Share) {
        match self.deals.get_mut(&deal.id) {
            None => {
                self.deals.insert(deal.id.clone(), share);
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
                known.touches.extend(share.touches);
                let (one, other) = (&mut known.moments, share.moments);
                one.created = one.created.min(other.created);
                one.opened = one.opened.into_iter().chain(other.opened).min();
                one.won = one.won.min(other.won);
            }
        }
    }

    /// Gives the lines by group, deals' revenue included; `None` stands for leads that came from nowhere known.
    #[must_use]
    pub fn finish(mut self) -> BTreeMap<Option<String>, Line> {
        let weighing = Weighing::default();
        for mut share in self.deals.into_values() {
            if let Some(money) = share.amount {
                let line = self.lines.entry(share.group).or_default();
                line.overflow |= !add(&mut line.revenue, money);
            }
            // Where two leads touched at one moment the names decide, and not the scan.
            share.touches.sort_unstable();
            let touches: Vec<(Timestamp, u32)> =
                share.touches.iter().map(|(at, _, times)| (*at, *times)).collect();
            for (_, model) in Model::WORDS {
                let weights = weighing.weights(*model, &touches, &share.moments);
                let mut groups: BTreeMap<&Name, u128> = BTreeMap::new();
                for ((_, name, _), weight) in share.touches.iter().zip(weights) {
                    *groups.entry(name).or_default() += weight;
                }
                groups.retain(|_, weight| *weight > 0);
                if groups.is_empty() {
                    groups.insert(&None, 1);
                }
                let weights: Vec<u128> = groups.values().copied().collect();
                let deals = allot(CREDIT, &weights);
                let money = share.amount.map(|money| allot(money.minor, &weights));
                let mut money = money.into_iter().flatten();
                for (name, deals) in groups.into_keys().zip(deals) {
                    let line = self.lines.entry(name.clone()).or_default();
                    let credit = line.models.entry(*model).or_default();
                    credit.deals = credit.deals.saturating_add(deals);
                    if let (Some(minor), Some(Money { currency, .. })) = (money.next(), share.amount) {
                        line.overflow |= !add(&mut credit.revenue, Money { minor, currency });
                    }
                }
            }
        }
        let named = |(name, line): (Name, Line)| (name.map(|name| name.as_ref().to_owned()), line);
        self.lines.into_iter().map(named).collect()
    }
}

/// Adds to the sum of a currency; `false` where that cannot be counted, and the sum is then the largest number.
fn add(sums: &mut BTreeMap<Currency, i64>, money: Money) -> bool {
    let sum = sums.entry(money.currency).or_default();
    let total = sum.checked_add(money.minor);
    *sum = total.unwrap_or(i64::MAX);
    total.is_some()
}
