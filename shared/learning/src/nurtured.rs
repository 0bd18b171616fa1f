//! Whether nurturing did anything: of each program, leads that it wrote to against leads that it held out by lot.
//!
//! # Intention to treat
//!
//! A lead counts in the arm that it was drawn into, from the day on which it first was eligible, whatever came of that: who
//! unsubscribed after the first mail was nurtured, and so was who never got one, since the lot fell before anybody could
//! know. To count only those who read the mails would compare eager leads with all. Persona and phase are as they were on
//! that day, because a program may change them; and what happened before that day counts for neither arm.
//!
//! # Exposure
//!
//! All leads count, also those of yesterday. They are too young to have become ready, which makes both shares smaller and the
//! difference with them, and tilts nothing: the lot gives both arms leads of the same age. Who wants to see leads that had
//! a quarter's time asks for those eligible until a quarter ago. How long until leads become ready counts each for as long as
//! it was seen.
//!
//! # What counts
//!
//! *Ready* is a lead that came from marketing to sales after that day, by a hand-off or because sales found it; *won* one with
//! a deal first won after it. What sales withdrew never was. A deal's revenue counts once in a program, for the lead of it
//! that was known first: by a time before the lot, since who hears of a deal may be the program's doing.
//!
//! # What to mistrust
//!
//! The rows of one persona in one phase come with intervals and claim nothing: of forty intervals two miss zero by chance. What
//! [the mails of one content](crate::mailed) did has nobody to be compared with at all: who was written to by it was chosen, not
//! drawn. And colleagues talk: where one is nurtured and the other held out, the difference is smaller than what
//! nurturing does.

use crate::effect::{self, Comparison, Earned, Pair, Reached, Waits};
use crate::measure::{ENOUGH, Rate, float};
use domain::funnel::Durations;
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::money::{Currency, Money};
use domain::phase::Phase;
use domain::report::{Deals, WonDeal, won_deals};
use domain::sales::stays;
use domain::stage::{Stage, Team};
use domain::time::Timestamp;
use std::collections::BTreeMap;

/// The most programs that are told apart, those with most leads.
pub const MOST_PROGRAMS: usize = 100;
/// The most rows of a persona in a phase, those with most leads.
pub const MOST_ROWS: usize = 200;
/// To how many percent of leads it is told how long it took.
pub const PERCENT: [u64; 3] = [10, 25, 50];

/// Which leads are asked for.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Eligible from then on.
    pub from: Option<Timestamp>,
    /// Eligible before.
    pub to: Option<Timestamp>,
    /// Of this program; of every one unless said.
    pub program: Option<Slug>,
}

/// Which leads are compared with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Those whom the program writes to.
    Nurtured,
    /// Those who were drawn to be left alone.
    HeldOut,
}

impl Side {
    /// Both arms with their words in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("nurtured", Self::Nurtured), ("held_out", Self::HeldOut)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, side)| *side == self).map_or("", |(word, _)| word)
    }

    fn of<T>(self, pair: &mut Pair<T>) -> &mut T {
        match self {
            Self::Nurtured => &mut pair.treated,
            Self::HeldOut => &mut pair.control,
        }
    }
}

/// What a lead was on the day on which it was first eligible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The persona that it mirrored.
    pub persona: Option<Slug>,
    /// The phase that it was in.
    pub phase: Option<Phase>,
}

/// A lead in a program, from the day of eligibility on.
#[derive(Clone, Debug)]
pub struct Eligible<'a> {
    /// The program.
    pub program: &'a Slug,
    /// When it was first eligible.
    pub at: Timestamp,
    /// The arm that it was drawn into.
    pub side: Side,
    /// How many of a hundred were held out then.
    pub share: u8,
    /// Persona and phase then.
    pub cell: Cell,
}

/// What became of a lead after a day.
#[derive(Clone, Debug)]
pub struct Since {
    /// When it first came to sales.
    pub ready: Option<Timestamp>,
    /// Its won deals.
    pub won: Vec<WonDeal>,
}

impl Since {
    /// Tells what became of a lead after a day.
    #[must_use]
    pub fn of(lead: &Lead, day: Timestamp) -> Self {
        let stays = stays(lead);
        // A customer whose interest is new comes to sales again; who was there and goes on there does not.
        let comes = |before: Stage, then: Stage| match before {
            Stage::Customer => then.in_inbox(),
            before => before.team() == Team::Marketing && then.team() == Team::Sales,
        };
        let moves = stays.iter().zip(stays.iter().skip(1));
        let ready = moves.filter(|(before, then)| comes(before.stage, then.stage) && then.since > day);
        let mut won = won_deals(lead, &lead.standing());
        won.retain(|deal| deal.first_won > day);
        Self { ready: ready.map(|(_, then)| then.since).min(), won }
    }
}

impl Question {
    /// Gives the programs that a lead counts in.
    pub fn eligible<'a>(&'a self, lead: &'a Lead) -> impl Iterator<Item = Eligible<'a>> {
        eligible(lead).filter(move |eligible| {
            self.program.as_ref().is_none_or(|program| program == eligible.program)
                && self.from.is_none_or(|from| eligible.at >= from)
                && self.to.is_none_or(|to| eligible.at < to)
        })
    }
}

fn eligible(lead: &Lead) -> impl Iterator<Item = Eligible<'_>> {
    lead.nurture.enrolments.iter().map(|(program, enrolment)| Eligible {
        program,
        at: enrolment.eligible_at,
        side: if enrolment.held_out { Side::HeldOut } else { Side::Nurtured },
        share: enrolment.share,
        cell: Cell { persona: enrolment.persona.clone(), phase: enrolment.phase },
    })
}

/// What is counted of leads that were drawn into one arm, with one share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    leads: u64,
    ready: u64,
    won: u64,
}

/// Where a lead counts.
type Place = (Cell, u8, Side);

#[derive(Debug, Default)]
struct Program {
    tallies: BTreeMap<(Cell, u8), Pair<Tally>>,
    waits: BTreeMap<u8, Pair<Waits>>,
    followed: Pair<Durations>,
    deals: Deals<Place>,
}

/// The report while leads are added.
#[derive(Debug)]
pub struct Counter<'a> {
    question: &'a Question,
    now: Timestamp,
    programs: BTreeMap<Slug, Program>,
}

impl<'a> Counter<'a> {
    /// Begins to count for a question, at a time.
    #[must_use]
    pub const fn new(question: &'a Question, now: Timestamp) -> Self {
        Self { question, now, programs: BTreeMap::new() }
    }

    /// Counts a lead.
    pub fn add(&mut self, lead: &Lead) {
        for Eligible { program, at, side, share, cell } in self.question.eligible(lead) {
            let since = Since::of(lead, at);
            let program = self.programs.entry(program.clone()).or_default();
            let tally = side.of(program.tallies.entry((cell.clone(), share)).or_default());
            tally.leads += 1;
            tally.ready += u64::from(since.ready.is_some());
            tally.won += u64::from(!since.won.is_empty());
            let waits = side.of(program.waits.entry(share).or_default());
            match since.ready {
                Some(ready) => waits.ended.add(ready.since(at)),
                None => waits.lasting.add(self.now.since(at)),
            }
            side.of(&mut program.followed).add(self.now.since(at));
            let came = (lead.created_at, lead.id.clone());
            for deal in &since.won {
                program.deals.add_of(came.clone(), deal, (cell.clone(), share, side));
            }
        }
    }

    /// Gives the programs, those with most leads first.
    #[must_use]
    pub fn finish(self) -> Vec<(Slug, Told)> {
        let told = self.programs.into_iter().map(|(slug, program)| (slug, Told::of(program)));
        let mut told: Vec<(Slug, Told)> = told.collect();
        // Stable: programs of as many leads stay in the order of their ids.
        told.sort_by_key(|(_, told)| std::cmp::Reverse(told.arms.treated.leads + told.arms.control.leads));
        told
    }
}

/// What is told of an arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Leads.
    pub leads: u64,
    /// Leads that became ready.
    pub ready: u64,
    /// Leads that were won.
    pub won: u64,
    /// What they brought, by currency in minor units.
    pub revenue: BTreeMap<Currency, i128>,
    /// The median of the hours since leads were eligible.
    pub followed_hours: Option<u16>,
    /// After how many hours so many [`PERCENT`] of leads were ready.
    pub hours_to_ready: [Reached; 3],
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How many became ready.
    Ready,
    /// How many were won.
    Won,
    /// What a lead brought.
    Revenue(Currency),
}

impl Figure {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Won => "won",
            Self::Revenue(_) => "revenue",
        }
    }
}

/// A figure of both arms, compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The figure.
    pub figure: Figure,
    /// Both arms; none where they cannot be compared yet.
    pub comparison: Option<Comparison>,
    /// Whether it shows an effect.
    pub claimed: bool,
    /// Where it shows none, how many leads of both arms would tell, if the difference stays what it seems.
    pub leads_needed: Option<(u64, u64)>,
}

/// What is told of a persona in a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The persona and the phase.
    pub cell: Cell,
    /// Both arms.
    pub arms: Pair<Line>,
    /// How many became ready, and how many were won, compared.
    pub compared: [Option<Comparison>; 2],
}

/// What is told of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Both arms.
    pub arms: Pair<Line>,
    /// How many were in which arm by the share that was held out.
    pub shares: BTreeMap<u8, Pair<u64>>,
    /// The figures compared.
    pub effects: Vec<Effect>,
    /// Personas in phases, those with most leads first.
    pub rows: Vec<Row>,
}

/// What each lead of an arm brought, by currency.
type Amounts = BTreeMap<Place, BTreeMap<Currency, BTreeMap<LeadId, i128>>>;

fn amounts(deals: Deals<Place>) -> Amounts {
    let mut amounts = Amounts::new();
    for deal in deals.finish() {
        let Some(Money { minor, currency }) = deal.amount else { continue };
        let of_lead = amounts.entry(deal.group).or_default().entry(currency).or_default();
        *of_lead.entry(deal.lead).or_default() += i128::from(minor);
    }
    amounts
}

#[allow(clippy::cast_precision_loss, reason = "an average needs no more digits than a double has")]
const fn amount(minor: i128) -> f64 {
    minor as f64
}

impl Told {
    fn of(program: Program) -> Self {
        let Program { tallies, waits, followed, deals } = program;
        let amounts = amounts(deals);
        let mut shares: BTreeMap<u8, Pair<Tally>> = BTreeMap::new();
        let mut cells: BTreeMap<Cell, BTreeMap<u8, Pair<Tally>>> = BTreeMap::new();
        for ((cell, share), pair) in tallies {
            let sum = shares.entry(share).or_default();
            add(&mut sum.treated, pair.treated);
            add(&mut sum.control, pair.control);
            cells.entry(cell).or_default().insert(share, pair);
        }
        let mut arms = lines(&shares, &amounts, |_| true);
        let hours = |durations: &Durations| durations.quantile(50);
        arms.treated.followed_hours = hours(&followed.treated);
        arms.control.followed_hours = hours(&followed.control);
        let waits: Vec<Pair<Waits>> = waits.into_values().collect();
        if let Some(Pair { treated, control }) = effect::reached(&waits, PERCENT) {
            arms.treated.hours_to_ready = treated;
            arms.control.hours_to_ready = control;
        }
        let rows = cells.iter().map(|(cell, shares)| Row {
            cell: cell.clone(),
            arms: lines(shares, &amounts, |(of, _, _)| of == cell),
            compared: [compare(shares, |tally| tally.ready), compare(shares, |tally| tally.won)],
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.arms.treated.leads + row.arms.control.leads));
        let effects = effects(&shares, &amounts, &arms);
        let counted = |pair: &Pair<Tally>| Pair { treated: pair.treated.leads, control: pair.control.leads };
        Self {
            arms,
            shares: shares.iter().map(|(share, pair)| (*share, counted(pair))).collect(),
            effects,
            rows,
        }
    }
}

const fn add(sum: &mut Tally, tally: Tally) {
    sum.leads += tally.leads;
    sum.ready += tally.ready;
    sum.won += tally.won;
}

fn lines(
    shares: &BTreeMap<u8, Pair<Tally>>,
    amounts: &Amounts,
    is_meant: impl Fn(&Place) -> bool,
) -> Pair<Line> {
    let line = |side: Side| {
        let mut sum = Tally::default();
        shares.values().for_each(|pair| add(&mut sum, *side.of(&mut pair.clone())));
        let mut revenue: BTreeMap<Currency, i128> = BTreeMap::new();
        let meant = amounts.iter().filter(|(place, _)| place.2 == side && is_meant(place));
        for (currency, leads) in meant.flat_map(|(_, by_currency)| by_currency) {
            *revenue.entry(*currency).or_default() += leads.values().sum::<i128>();
        }
        Line { leads: sum.leads, ready: sum.ready, won: sum.won, revenue, ..Line::default() }
    };
    Pair { treated: line(Side::Nurtured), control: line(Side::HeldOut) }
}

fn compare(shares: &BTreeMap<u8, Pair<Tally>>, hits: fn(&Tally) -> u64) -> Option<Comparison> {
    let rate = |tally: &Tally| Rate { hits: hits(tally), of: tally.leads };
    let pairs =
        shares.values().map(|pair| Pair { treated: rate(&pair.treated), control: rate(&pair.control) });
    effect::shares(&pairs.collect::<Vec<_>>())
}

fn effects(shares: &BTreeMap<u8, Pair<Tally>>, amounts: &Amounts, arms: &Pair<Line>) -> Vec<Effect> {
    let earned = |share: u8, leads: u64, side: Side, currency: Currency| {
        let meant = amounts.iter().filter(|(place, _)| place.1 == share && place.2 == side);
        let won = meant.filter_map(|(_, by_currency)| by_currency.get(&currency)).flat_map(BTreeMap::values);
        Earned { leads, won: won.copied().map(amount).collect() }
    };
    let brought = |currency: Currency| {
        let pairs = shares.iter().map(|(share, pair)| Pair {
            treated: earned(*share, pair.treated.leads, Side::Nurtured, currency),
            control: earned(*share, pair.control.leads, Side::HeldOut, currency),
        });
        effect::means(&pairs.collect::<Vec<_>>())
    };
    let currencies: std::collections::BTreeSet<Currency> =
        arms.treated.revenue.keys().chain(arms.control.revenue.keys()).copied().collect();
    let mut figures = vec![
        (Figure::Ready, compare(shares, |tally| tally.ready)),
        (Figure::Won, compare(shares, |tally| tally.won)),
    ];
    figures.extend(currencies.into_iter().map(|currency| (Figure::Revenue(currency), brought(currency))));
    let compared: Vec<Option<Comparison>> = figures.iter().map(|(_, comparison)| *comparison).collect();
    let claimed = effect::claims(&compared);
    figures
        .into_iter()
        .zip(claimed)
        .map(|((figure, comparison), claimed)| {
            let times = comparison.filter(|_| !claimed).and_then(|c| c.times_needed(compared.len()));
            let leads_needed =
                times.map(|times| (more(arms.treated.leads, times), more(arms.control.leads, times)));
            Effect { figure, comparison, claimed, leads_needed }
        })
        .collect()
}

/// Gives so many times as many leads, in numbers that do not pretend to be exact.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a thousand times as many leads at most"
)]
fn more(leads: u64, times: f64) -> u64 {
    let wanted = (float(leads) * times).ceil().max(1.0);
    let step = 10_f64.powf((wanted.log10().floor() - 1.0).max(0.0));
    ((wanted / step).ceil() * step) as u64
}

/// Gives a share as people write it.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Gives an amount in a currency that was counted in minor units.
#[must_use]
pub fn money(minor: f64, currency: Currency) -> Money {
    #[allow(clippy::cast_possible_truncation, reason = "an amount beyond the range becomes its end")]
    let minor = minor.round() as i64;
    Money { minor, currency }
}

impl Effect {
    /// Says in words what the comparison shows, or why it shows nothing yet.
    #[must_use]
    pub fn says(&self, arms: &Pair<Line>) -> String {
        let Some(comparison) = &self.comparison else { return self.cannot_say(arms) };
        let in_words = |value: f64| match self.figure {
            Figure::Ready | Figure::Won => percent(value),
            Figure::Revenue(currency) => format!("{} {currency}", money(value, currency)),
        };
        // A difference of shares is one of points, lest it be taken for a share of a share.
        let difference = |value: f64| match self.figure {
            Figure::Ready | Figure::Won => format!("{:.1}", value * 100.0),
            Figure::Revenue(currency) => money(value, currency).to_string(),
        };
        let unit = match self.figure {
            Figure::Ready | Figure::Won => "points".to_owned(),
            Figure::Revenue(currency) => currency.to_string(),
        };
        let (value, interval) = (comparison.difference(), comparison.interval());
        let (low, high) = (difference(interval.low), difference(interval.high));
        let both = format!(
            "{} against {} of those held out, a difference of {} {unit}",
            in_words(comparison.treated.value),
            in_words(comparison.control.value),
            difference(value),
        );
        if self.claimed {
            let done = match (self.figure, value > 0.0) {
                (Figure::Ready, true) => "became ready more often",
                (Figure::Ready, false) => "became ready less often",
                (Figure::Won, true) => "were won more often",
                (Figure::Won, false) => "were won less often",
                (Figure::Revenue(_), true) => "brought more",
                (Figure::Revenue(_), false) => "brought less",
            };
            return format!("Nurtured leads {done}: {both}, with 95 % confidence {low} to {high}.");
        }
        let asked = match self.figure {
            Figure::Ready => "become ready more often",
            Figure::Won => "are won more often",
            Figure::Revenue(_) => "bring more",
        };
        let once = if interval.low > 0.0 || interval.high < 0.0 {
            ", were this the only look; it may be luck, since there are many"
        } else {
            ""
        };
        let needed = match self.leads_needed {
            Some((nurtured, held_out)) => format!(
                "If it stays what it seems, about {nurtured} nurtured leads and {held_out} held out would tell."
            ),
            None => "If it stays what it seems, no number of leads in reach would tell.".to_owned(),
        };
        format!(
            "Too early to tell whether nurtured leads {asked}: {both} that may be anything from {low} to {high}{once}. \
             {needed}"
        )
    }

    fn cannot_say(&self, arms: &Pair<Line>) -> String {
        let (nurtured, held_out) = (&arms.treated, &arms.control);
        if nurtured.leads == 0 {
            return "Nothing can be told: nobody was nurtured.".to_owned();
        }
        if held_out.leads == 0 {
            return "Nothing can be told: nobody was held out.".to_owned();
        }
        match self.figure {
            Figure::Revenue(currency) if nurtured.won + held_out.won > 0 => format!(
                "Too early to tell whether nurtured leads bring more: what a deal brings in {currency} can be told from \
                 {ENOUGH} won leads on."
            ),
            _ => "Nothing can be told: never were leads of one time on both sides.".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::backtest::tests::{Story, day};
    use domain::identity::ExternalId;
    use domain::nurture::Enrolment;
    use domain::sales::{DeliveryId, Move};

    pub(crate) fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    /// Puts a lead into a program.
    pub(crate) fn enrolled(mut lead: Lead, program: &str, at: i64, held_out: bool, share: u8) -> Lead {
        let (eligible_at, entered_at) = (day(at), day(at));
        let (persona, phase) = (Some(slug("ada")), Some(Phase::Awareness));
        let enrolment =
            Enrolment { eligible_at, held_out, share, persona, phase, entered_at, left: None, messages: 0 };
        lead.nurture.enrolments.insert(slug(program), enrolment);
        lead
    }

    fn deal(story: Story, at: i64, deal: &str, amount: &str) -> Story {
        let money = Money::parse(amount, Currency::parse("EUR").unwrap()).unwrap();
        story.sales(at, Move::Won { deal: ExternalId::new("crm", deal).unwrap(), amount: Some(money) })
    }

    fn told(question: &Question, leads: &[Lead]) -> Vec<(Slug, Told)> {
        let mut counter = Counter::new(question, day(100));
        leads.iter().for_each(|lead| counter.add(lead));
        counter.finish()
    }

    fn new(n: u8) -> Story {
        Story::new(n).given(0, "size", 1.0, None)
    }

    #[test]
    fn a_lead_counts_in_its_arm_from_the_day_of_eligibility_whatever_came_of_it() {
        let now = day(100);
        let leads = [
            // Ready and won afterwards.
            enrolled(deal(new(1).handed(20), 30, "D-1", "100.50").lead(now), "warm", 10, false, 10),
            // Won before it was eligible, and ready before; given back and never ready again.
            enrolled(new(2).handed(2).won(5).lead(now), "warm", 10, false, 10),
            // Never anything, and has left: it still counts.
            {
                let mut lead = enrolled(new(3).lead(now), "warm", 10, false, 10);
                let enrolment = lead.nurture.enrolments.get_mut(&slug("warm")).unwrap();
                enrolment.left = Some((day(11), domain::nurture::Exit::Permission));
                lead
            },
            // Held out, and found by sales all the same.
            enrolled(deal(new(4), 40, "D-4", "50.00").lead(now), "warm", 20, true, 10),
            // In another program.
            enrolled(new(5).lead(now), "other", 10, true, 10),
            // In none.
            new(6).lead(now),
        ];
        let all = told(&Question::default(), &leads);
        assert_eq!(all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["warm", "other"]);
        let (_, warm) = &all[0];
        let (nurtured, held_out) = (&warm.arms.treated, &warm.arms.control);
        let eur = Currency::parse("EUR").unwrap();
        assert_eq!((nurtured.leads, nurtured.ready, nurtured.won), (3, 1, 1));
        assert_eq!(nurtured.revenue, BTreeMap::from([(eur, 10_050)]));
        assert_eq!((held_out.leads, held_out.ready, held_out.won), (1, 1, 1));
        assert_eq!(held_out.revenue, BTreeMap::from([(eur, 5_000)]));
        // 10 days of three leads: a third was ready then.
        assert_eq!(nurtured.hours_to_ready[1].hours, Some(240));
        assert_eq!(nurtured.hours_to_ready[2].hours, None);
        assert_eq!((nurtured.followed_hours, held_out.followed_hours), (Some(90 * 24), Some(80 * 24)));
        assert_eq!(warm.shares, BTreeMap::from([(10, Pair { treated: 3, control: 1 })]));
        assert_eq!(warm.rows.len(), 1);
        assert_eq!(warm.rows[0].cell.persona, Some(slug("ada")));
        assert_eq!(warm.rows[0].arms.treated.revenue, nurtured.revenue);
        // By the day of eligibility.
        let late = Question { from: Some(day(15)), ..Question::default() };
        let late = told(&late, &leads);
        assert_eq!((late.len(), late[0].1.arms.treated.leads, late[0].1.arms.control.leads), (1, 0, 1));
        assert_eq!(late[0].1.effects[0].says(&late[0].1.arms), "Nothing can be told: nobody was nurtured.");
        let early = Question { to: Some(day(15)), program: Some(slug("warm")), ..Question::default() };
        let early = told(&early, &leads);
        assert_eq!((early.len(), early[0].1.arms.treated.leads, early[0].1.arms.control.leads), (1, 3, 0));
        assert_eq!(early[0].1.effects[1].says(&early[0].1.arms), "Nothing can be told: nobody was held out.");
    }

    #[test]
    fn a_deal_of_colleagues_counts_once_for_the_one_who_was_known_first() {
        let now = day(100);
        let later = Story::new(2).given(3, "size", 1.0, None);
        let leads = [
            enrolled(deal(later, 30, "D", "80.00").lead(now), "warm", 10, false, 50),
            enrolled(deal(new(1), 31, "D", "100.00").lead(now), "warm", 10, true, 50),
        ];
        for leads in [leads.to_vec(), leads.iter().rev().cloned().collect()] {
            let told = &told(&Question::default(), &leads)[0].1;
            assert!(told.arms.treated.revenue.is_empty());
            // What was said last of the amount holds.
            assert_eq!(told.arms.control.revenue.values().copied().collect::<Vec<_>>(), [10_000]);
            assert_eq!((told.arms.treated.won, told.arms.control.won), (1, 1));
        }
    }

    #[test]
    fn what_was_withdrawn_never_was_and_who_was_with_sales_does_not_come_to_it() {
        let now = day(100);
        let mut lead = new(1).handed(20).lead(now);
        assert!(Since::of(&lead, day(10)).ready.is_some());
        // Strictly after: what made it eligible is nothing that the program did.
        assert!(Since::of(&lead, day(20)).ready.is_none());
        let hand_off: DeliveryId = lead.sales[0].id;
        lead.withdrawn.push(hand_off);
        assert!(Since::of(&lead, day(10)).ready.is_none());
        let accepted = new(2).handed(5).sales(30, Move::Accepted).sales(40, Move::Qualified).lead(now);
        assert!(Since::of(&accepted, day(10)).ready.is_none());
        let back = new(3)
            .handed(5)
            .sales(30, Move::NotReady { reason: None, not_before: None })
            .handed(50)
            .lead(now);
        assert_eq!(Since::of(&back, day(10)).ready, Some(day(50)));
        let customer = new(4).handed(5).won(8).sales(60, Move::Qualified).lead(now);
        assert_eq!(Since::of(&customer, day(10)).ready, Some(day(60)));
        assert!(Since::of(&customer, day(10)).won.is_empty());
    }

    #[test]
    fn the_report_says_in_words_what_it_knows_and_what_it_takes_to_know() {
        let line = |leads, ready, won| Line { leads, ready, won, ..Line::default() };
        let arms = Pair { treated: line(1_000, 300, 80), control: line(1_000, 200, 60) };
        let shares =
            BTreeMap::from([(50, Pair { treated: tally(1_000, 300, 80), control: tally(1_000, 200, 60) })]);
        let effects = effects(&shares, &Amounts::new(), &arms);
        assert_eq!(
            effects[0].says(&arms),
            "Nurtured leads became ready more often: 30.0 % against 20.0 % of those held out, a difference of 10.0 points, \
             with 95 % confidence 6.2 to 13.7."
        );
        assert_eq!(
            effects[1].says(&arms),
            "Too early to tell whether nurtured leads are won more often: 8.0 % against 6.0 % of those held out, a \
             difference of 2.0 points that may be anything from -0.2 to 4.3. If it stays what it seems, about 6200 \
             nurtured leads and 6200 held out would tell."
        );
        assert!(effects[0].claimed && effects[0].leads_needed.is_none());
        let eur = Currency::parse("EUR").unwrap();
        let few =
            Effect { figure: Figure::Revenue(eur), comparison: None, claimed: false, leads_needed: None };
        assert_eq!(
            few.says(&arms),
            "Too early to tell whether nurtured leads bring more: what a deal brings in EUR can be told from 30 won \
             leads on."
        );
        // Leads of one time on the one side and of another on the other compare with nobody.
        let apart = BTreeMap::from([
            (0, Pair { treated: tally(10, 3, 0), control: tally(0, 0, 0) }),
            (100, Pair { treated: tally(0, 0, 0), control: tally(10, 3, 0) }),
        ]);
        let effects = super::effects(&apart, &Amounts::new(), &arms);
        assert_eq!(
            effects[0].says(&arms),
            "Nothing can be told: never were leads of one time on both sides."
        );
    }

    fn tally(leads: u64, ready: u64, won: u64) -> Tally {
        Tally { leads, ready, won }
    }

    #[test]
    fn numbers_of_leads_needed_pretend_no_exactness() {
        assert_eq!(more(1_234, 4.1), 5_100);
        assert_eq!(more(7, 1.0), 7);
        assert_eq!(more(99, 1.01), 100);
        assert_eq!(more(0, 3.0), 1);
    }

    #[test]
    fn money_is_compared_by_what_each_lead_brought_of_all_leads() {
        let now = day(100);
        let lead = |n: u8| {
            let mut story = new(n);
            if n.is_multiple_of(3) {
                story = deal(deal(story, 30, &format!("A-{n}"), "10.00"), 40, &format!("B-{n}"), "5.00");
            }
            enrolled(story.lead(now), "warm", 10, n.is_multiple_of(2), 50)
        };
        let leads: Vec<Lead> = (1..=200).map(lead).collect();
        let told = &told(&Question::default(), &leads)[0].1;
        let revenue = told.effects.iter().find(|effect| matches!(effect.figure, Figure::Revenue(_))).unwrap();
        let comparison = revenue.comparison.unwrap();
        // 33 of 100 on each side brought 15.00 each.
        assert!((comparison.treated.value - 1500.0 * 33.0 / 100.0).abs() < 1e-9);
        assert!(comparison.difference().abs() < 1e-9 && !revenue.claimed);
        let words = revenue.says(&told.arms);
        assert!(
            words.contains("4.95 EUR against 4.95 EUR of those held out, a difference of 0.00 EUR"),
            "{words}"
        );
        assert!(words.ends_with("no number of leads in reach would tell."), "{words}");
    }
}
