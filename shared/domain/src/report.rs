//! The campaigns report: which channels, campaigns and landing pages brought leads, and which of them revenue.
//!
//! A pure fold over leads, so that one scan of the table is all it costs and parts of a scan can be joined.
//!
//! Each lead and each deal counts once: the lead with its first touch, the deal with the lead that came first. Beside that
//! stands what each model of [`attribution`](crate::attribution) credits: a deal is divided among the touches of all the
//! leads that are counted and share it, up to its first win; what no touch explains belongs to the group without a name.
//!
//! A deal is won once, at the first word of that. Whoever says it again, of another lead or with another amount, changes
//! what it brought and not when: so what was won in March is March's, and periods side by side add up.

use crate::attribution::{CREDIT, Model, Moments, Weighing, allot};
use crate::condition::TouchField;
use crate::identity::{ExternalId, LeadId};
use crate::lead::{Lead, Touch};
use crate::money::{Currency, Money};
use crate::sales::{DealState, DeliveryId, Move, Outcome, Standing, Stay, stays};
use crate::stage::Stage;
use crate::time::Timestamp;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The stages that a lead passes on its way, in order.
pub const PATH: [Stage; 6] = [
    Stage::Inquiry,
    Stage::MarketingQualified,
    Stage::SalesAccepted,
    Stage::SalesQualified,
    Stage::Opportunity,
    Stage::Customer,
];

/// By which time leads are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Leads whose first contact lies in the time; what became of them by now.
    Cohort,
    /// Leads whose outcome lies in the time, and deals that were first won in it.
    Period,
}

impl Basis {
    /// Every basis with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[("cohort", Self::Cohort), ("period", Self::Period)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, basis)| *basis == self).map_or("", |(word, _)| word)
    }
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
    pub(crate) fn covers(&self, at: Timestamp) -> bool {
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
    /// Where it stood since when, from its first response on.
    pub stays: Vec<Stay>,
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

/// Gives the deals of a lead that are won, with its standing.
#[must_use]
pub fn won_deals(lead: &Lead, standing: &Standing) -> Vec<WonDeal> {
    let taken = |fact: &DeliveryId| {
        !lead.withdrawn.contains(fact) && standing.impossible.iter().all(|skipped| skipped.id != *fact)
    };
    // Facts are kept in the order in which they happened.
    let first = |deal: &ExternalId, is: fn(&Move) -> bool| {
        let mut facts = lead.sales.iter().filter(|fact| fact.what.deal() == Some(deal) && is(&fact.what));
        facts.find(|fact| taken(&fact.id)).map(|fact| fact.at)
    };
    let deals = standing.deals.iter().filter(|deal| deal.state == DealState::Won);
    deals
        .map(|deal| WonDeal {
            id: deal.id.clone(),
            amount: deal.amount,
            at: deal.at,
            fact: deal.fact,
            opened: first(&deal.id, |what| matches!(what, Move::Opportunity { .. })),
            first_won: first(&deal.id, |what| matches!(what, Move::Won { .. })).unwrap_or(deal.at),
        })
        .collect()
}

impl Row {
    /// Takes from a lead what the report needs; `None` for a contact, since only leads count in funnels.
    #[must_use]
    pub fn of(lead: &Lead) -> Option<Self> {
        let responded_at = lead.responded_at?;
        let standing = lead.standing();
        let won = won_deals(lead, &standing);
        let touches = lead.touches.all().filter(|_| !won.is_empty());
        // What was said again of a deal, such as another amount, is no new win.
        let outcome = won.iter().map(|deal| deal.first_won).min().map_or(standing.outcome, Outcome::Won);
        let stays = stays_of(lead, responded_at, outcome);
        Some(Self {
            lead: lead.id.clone(),
            first_touch: lead.touches.first.clone(),
            touches: touches.map(|(touch, times)| (touch.clone(), times)).collect(),
            responded_at,
            outcome,
            won,
            stays,
        })
    }

    /// Tells whether it came as far as a stage of the path: whether it stood in it or in a further one, in any cycle.
    #[must_use]
    pub fn reached(&self, stage: Stage) -> bool {
        place(stage).is_some_and(|wanted| self.furthest() >= wanted)
    }

    /// Gives how far along the path it came.
    pub(crate) fn furthest(&self) -> usize {
        self.stays.iter().filter_map(|stay| place(stay.stage)).max().unwrap_or(0)
    }

    /// Gives the first contact: the first touch, where one is known to be earlier than the first response.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        self.first_touch.as_ref().map_or(self.responded_at, |touch| touch.at.min(self.responded_at))
    }
}

/// How far along the path a stage is. A lead that is kept warm stands at its beginning.
pub(crate) fn place(stage: Stage) -> Option<usize> {
    let stage = if stage == Stage::Nurturing { Stage::Inquiry } else { stage };
    PATH.iter().position(|known| *known == stage)
}

/// Gives where a lead stood since when, from its first response on.
fn stays_of(lead: &Lead, responded_at: Timestamp, outcome: Outcome) -> Vec<Stay> {
    let mut stays: Vec<Stay> = stays(lead).into_iter().filter(|stay| stay.stage != Stage::Contact).collect();
    // Who was a customer before anything was known of it begins as who asks again does.
    if let Some(first) = stays.first_mut().filter(|_| lead.was_customer) {
        *first = Stay { stage: Stage::Inquiry, since: responded_at, ..*first };
    }
    if let Outcome::Won(at) = outcome
        && stays.iter().all(|stay| stay.stage != Stage::Customer)
    {
        let place = stays.partition_point(|stay| stay.since <= at);
        stays.insert(place, Stay { stage: Stage::Customer, cycle: lead.cycle, since: at });
    }
    stays
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
    /// Leads that were handed to sales, or came further.
    pub qualified: u64,
    /// Leads that sales took, or that came further.
    pub accepted: u64,
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

/// A won deal as it counts.
#[derive(Clone, Debug)]
pub struct Counted<G> {
    /// The id that the CRM gave it.
    pub deal: ExternalId,
    /// The lead that counts it.
    pub lead: LeadId,
    /// That lead's group.
    pub group: G,
    /// What it brought, where somebody said so.
    pub amount: Option<Money>,
}

impl<G> Default for Deals<G> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<G> Deals<G> {
    /// Adds a won deal of a lead.
    pub fn add(&mut self, row: &Row, deal: &WonDeal, group: G) {
        self.add_of((row.first(), row.lead.clone()), deal, group);
    }

    /// Adds a won deal of a lead that came at a time.
    pub fn add_of(&mut self, first: (Timestamp, LeadId), deal: &WonDeal, group: G) {
        self.take(&deal.id, Share { group, first, latest: (deal.at, deal.fact), amount: deal.amount });
    }

    fn take(&mut self, deal: &ExternalId, share: Share<G>) {
        match self.0.get_mut(deal) {
            None => {
                self.0.insert(deal.clone(), share);
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

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(deal, share)| self.take(&deal, share));
    }

    /// Gives each deal once, in no order.
    pub fn finish(self) -> impl Iterator<Item = Counted<G>> {
        self.0.into_iter().map(|(deal, share)| {
            let Share { group, first: (_, lead), amount, .. } = share;
            Counted { deal, lead, group, amount }
        })
    }
}

/// A group's name, kept once however many touches carry it.
type Name = Option<Arc<str>>;

/// What led to a deal: the touches of all leads that share it, and the earliest moments that they know.
#[derive(Clone, Debug)]
struct Way {
    touches: Vec<(Timestamp, Name, u32)>,
    moments: Moments,
}

/// The report while leads are added.
#[derive(Clone, Debug, Default)]
pub struct Campaigns {
    lines: BTreeMap<Name, Line>,
    deals: Deals<Name>,
    ways: HashMap<ExternalId, Way>,
    names: BTreeSet<Arc<str>>,
}

impl Question {
    /// Gives the group that a lead counts in.
    #[must_use]
    pub fn group<'a>(&self, row: &'a Row) -> Option<&'a str> {
        row.first_touch.as_ref().and_then(|touch| self.group_by.of(touch))
    }

    /// Tells whether a lead counts.
    #[must_use]
    pub fn counts(&self, row: &Row) -> bool {
        match (self.basis, row.outcome) {
            (Basis::Cohort, _) => self.covers(row.first()),
            (Basis::Period, Outcome::Won(at) | Outcome::Lost(at)) => self.covers(at),
            (Basis::Period, Outcome::Open) => false,
        }
    }

    /// Gives the deals of a lead that count by what is known of it; in the period another lead may know of an earlier win.
    pub fn deals<'a>(&self, row: &'a Row) -> impl Iterator<Item = &'a WonDeal> {
        let counted = self.counts(row);
        row.won.iter().filter(move |deal| match self.basis {
            Basis::Cohort => counted,
            Basis::Period => self.covers(deal.first_won),
        })
    }

    /// Gives the deals of a lead that may count: in the period all, since it is the first win of all leads that share one
    /// that decides.
    fn candidates<'a>(&self, row: &'a Row) -> impl Iterator<Item = &'a WonDeal> {
        let all = self.basis == Basis::Period || self.counts(row);
        row.won.iter().filter(move |_| all)
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
            line.qualified += u64::from(row.reached(Stage::MarketingQualified));
            line.accepted += u64::from(row.reached(Stage::SalesAccepted));
            match row.outcome {
                Outcome::Won(_) => line.won += 1,
                Outcome::Lost(_) => line.lost += 1,
                Outcome::Open => line.open += 1,
            }
        }
        for deal in question.candidates(row) {
            self.deals.add(row, deal, group.clone());
            let touches = row.touches.iter().filter(|(touch, _)| touch.at <= deal.first_won);
            let touches: Vec<_> = touches
                .map(|(touch, times)| (touch.at, self.name(question.group_by.of(touch)), *times))
                .collect();
            let moments = Moments { created: row.responded_at, opened: deal.opened, won: deal.first_won };
            self.lead_to(deal.id.clone(), Way { touches, moments });
        }
    }

    fn lead_to(&mut self, deal: ExternalId, found: Way) {
        match self.ways.entry(deal) {
            Entry::Vacant(none) => {
                none.insert(found);
            }
            Entry::Occupied(mut known) => {
                let way = known.get_mut();
                way.touches.extend(found.touches);
                way.moments = way.moments.earliest(found.moments);
            }
        }
    }

    /// Takes in what was counted of other leads, in whatever order.
    pub fn merge(&mut self, other: Self) {
        for (name, line) in other.lines {
            // Sums of money are made at the end, of deals; until then a line holds counts only.
            let mine = self.lines.entry(name).or_default();
            mine.leads += line.leads;
            mine.qualified += line.qualified;
            mine.accepted += line.accepted;
            mine.won += line.won;
            mine.lost += line.lost;
            mine.open += line.open;
        }
        self.deals.merge(other.deals);
        other.ways.into_iter().for_each(|(deal, way)| self.lead_to(deal, way));
        self.names.extend(other.names);
    }

    /// Gives the lines by group, deals' revenue included; `None` stands for leads that came from nowhere known. The question
    /// is that for which leads were added.
    #[must_use]
    pub fn finish(mut self, question: &Question) -> BTreeMap<Option<String>, Line> {
        let weighing = Weighing::default();
        for Counted { deal, group, amount, .. } in self.deals.finish() {
            let Some(Way { mut touches, moments }) = self.ways.remove(&deal) else { continue };
            if question.basis == Basis::Period && !question.covers(moments.won) {
                continue;
            }
            if let Some(money) = amount {
                let line = self.lines.entry(group).or_default();
                line.overflow |= !add(&mut line.revenue, money);
            }
            // Where two leads touched at one moment the names decide, and not the scan.
            touches.sort_unstable();
            let times: Vec<(Timestamp, u32)> = touches.iter().map(|(at, _, times)| (*at, *times)).collect();
            for (_, model) in Model::WORDS {
                let weights = weighing.weights(*model, &times, &moments);
                let mut groups: BTreeMap<&Name, u128> = BTreeMap::new();
                for ((_, name, _), weight) in touches.iter().zip(weights) {
                    *groups.entry(name).or_default() += weight;
                }
                groups.retain(|_, weight| *weight > 0);
                if groups.is_empty() {
                    groups.insert(&None, 1);
                }
                let weights: Vec<u128> = groups.values().copied().collect();
                let deals = allot(CREDIT, &weights);
                let money = amount.map(|money| allot(money.minor, &weights));
                let mut money = money.into_iter().flatten();
                for (name, deals) in groups.into_keys().zip(deals) {
                    let line = self.lines.entry(name.clone()).or_default();
                    let credit = line.models.entry(*model).or_default();
                    credit.deals = credit.deals.saturating_add(deals);
                    if let (Some(minor), Some(Money { currency, .. })) = (money.next(), amount) {
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
