//! A card of points fitted to won and lost: a draft that people can read, argue about and sign.
//!
//! # From leads to a card
//!
//! 1. What is known of the leads is binned ([`Binned`]). A candidate for a rule is a test that the condition language
//!    can say: a number from a cut on, a text, given or not.
//! 2. Rules are chosen one after the other. All candidates are ranked by how much a logistic regression on the rules
//!    so far would gain by each (the score test), and the best few are fitted on four of five folds of the leads and
//!    judged on the fifth: the one with the least loss is added, and where none lessens it the card is complete.
//!    A lead's fold follows from who it is ([`Dataset::known_as`]), so a suggestion can be repeated, also on a base that
//!    was imported anew.
//! 3. Weights become whole points in fives. Several scales are tried, then points are moved a step at a time, and rules
//!    are turned into their opposite with opposite points where that uses the scale better, as long as the score
//!    (clamped as the playbook clamps it) ranks the won before the others more often.
//! 4. Bands and labels are chosen for what was wished: the most wins at that precision or that many hand-offs.
//!
//! What the card is expected to do is not read off the leads that it was fitted to: for each fold, the whole of it is
//! done once more on the others, and the sum over the folds is reported ([`Expected`]).
//!
//! Two ideas are from the literature on scores that people can add up by hand: rules chosen by the score test on
//! sparse logistic models, then points by search over scales (Liu et al., *FasterRisk*, 2022; Ustun and Rudin, *Learning
//! optimized risk scores*, 2019).

use crate::bins::{Bin, Binned, Count, Source, information_value, minimum_support};
use crate::characteristics::{Leak, leaks};
use crate::dataset::{Dataset, spread};
use crate::fit::{Cholesky, PENALTY, Row, log_loss, log_odds, logistic, probability, set_bits};
use domain::attribute::{AttributeName, AttributeValue, number_to_json};
use domain::playbook::Bands;
use domain::score::{Engagement, Fit, Label, Part};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How many rules a card has unless asked otherwise.
pub const RULES: usize = 15;
/// The most rules that can be asked for: each is a bit of a pattern.
pub const MOST_RULES: usize = 30;
/// The least won leads, and the least others, that anything can be learned from.
pub const LEAST_OUTCOMES: u32 = 30;

const FOLDS: usize = 5;
/// In about how many bands numbers are cut, so that a cut near the right place is among them.
const BANDS: usize = 25;
/// How many candidates are tried on the folds for each rule.
const TRIED: usize = 6;
/// The least score statistic of a candidate that is tried; chance alone gives 1 on average.
const LEAST_GAIN: f64 = 2.0;
/// The step of points.
const STEP: i16 = 5;
/// How many different values the score of a part has: 0 to 100 in steps.
const LEVELS: usize = 21;

/// What the qualification line is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Of those handed over, at least this share shall be won.
    Precision(f64),
    /// At most so many shall be handed over.
    HandOffs {
        /// So many in a week.
        a_week: f64,
        /// Of so many leads that come in a week.
        leads_a_week: f64,
    },
}

/// What is wished of a card.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The most rules.
    pub most_rules: usize,
    /// The attributes that measure what a lead did, such as visits: their rules belong to the engagement.
    pub behaviour: BTreeSet<AttributeName>,
    /// Within how many days the signals were counted that were handed in; always where none is given.
    pub within_days: Option<u16>,
    /// What the qualification line is to do.
    pub goal: Goal,
}

/// Why there is no card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCard {
    /// Too little is known.
    #[error(
        "{won} won leads and {others} others are too few to learn from; at least {LEAST_OUTCOMES} of each are needed"
    )]
    TooFew {
        /// So many were won.
        won: u32,
        /// So many were not.
        others: u32,
    },
    /// Nothing that is known helps.
    #[error("nothing that was known of the leads in time tells the won from the others")]
    NothingTells,
}

/// A suggested rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Fit or engagement.
    pub part: Part,
    /// What it is about.
    pub source: Source,
    /// The points, in fives.
    pub points: i16,
    /// The condition, as a playbook writes it.
    pub condition: Value,
    /// The condition in words.
    pub title: String,
    /// Whom it applies to, and how many of them were won.
    pub count: Count,
    /// How much that tells by itself.
    pub weight_of_evidence: f64,
    /// The same in a sentence.
    pub reason: String,
}

/// What a card does to leads that it was not fitted to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expected {
    /// All of them.
    pub all: Count,
    /// Those beyond the qualification line.
    pub qualified: Count,
    /// How often a won lead stands before another one.
    pub auc: f64,
}

impl Expected {
    /// Gives the share of the qualified that are won.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.qualified.rate()
    }

    /// Gives the share of the won that are qualified.
    #[must_use]
    pub fn recall(&self) -> f64 {
        f64::from(self.qualified.wins) / f64::from(self.all.wins.max(1))
    }

    /// Gives the share of all that are qualified.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.qualified.leads) / f64::from(self.all.leads.max(1))
    }
}

/// A suggested card.
#[derive(Clone, Debug)]
pub struct Card {
    /// The rules, those of the fit first, in each part those that matter most first.
    pub rules: Vec<Rule>,
    /// The bands.
    pub bands: Bands,
    /// The labels that qualify.
    pub labels: Vec<Label>,
    /// The leads it was fitted to.
    pub leads: Count,
    /// What it is expected to do, from leads that each had no part in the card it was judged by.
    pub expected: Expected,
    /// What was left out since it looks as if it were known only after the outcome.
    pub leaks: Vec<Leak>,
}

/// Suggests a card.
///
/// # Errors
///
/// [`NoCard`] where there is too little to learn from.
pub fn suggest(dataset: &Dataset, wish: &Wish) -> Result<Card, NoCard> {
    let won: Vec<bool> = dataset.outcomes.iter().map(|outcome| outcome.won).collect();
    let leads = count(&won);
    if leads.wins.min(leads.losses()) < LEAST_OUTCOMES {
        return Err(NoCard::TooFew { won: leads.wins, others: leads.losses() });
    }
    let everybody: Vec<usize> = (0..won.len()).collect();
    let mut columns = Binned::all(dataset, &everybody, BANDS);
    let leaks = leaks(&columns, &won);
    columns.retain(|column| leaks.iter().all(|leak| leak.source != column.source));

    let folds: Vec<usize> = everybody.iter().map(|lead| dataset.fold(*lead, FOLDS)).collect();
    let learner = Learner { columns: &columns, won: &won, folds: &folds, wish };
    let learned = learner.learn(&everybody).ok_or(NoCard::NothingTells)?;
    let mut expected = Expected::default();
    for fold in 0..FOLDS {
        let (judged, others): (Vec<usize>, Vec<usize>) =
            everybody.iter().partition(|lead| folds.get(**lead) == Some(&fold));
        if let Some(card) = learner.learn(&others) {
            let part = learner.judge(&card, &judged);
            expected.auc += part.auc * f64::from(part.all.leads) / f64::from(leads.leads);
            expected.all = [expected.all, part.all].into_iter().sum();
            expected.qualified = [expected.qualified, part.qualified].into_iter().sum();
        }
    }

    let mut rules: Vec<Rule> = learned
        .rules
        .iter()
        .zip(&learned.card.points)
        .map(|(rule, points)| learner.rule(rule, *points, leads))
        .collect();
    rules.sort_by_key(|rule| (rule.part == Part::Engagement, Reverse(rule.points.abs())));
    Ok(Card { rules, bands: learned.line.bands, labels: learned.line.labels, leads, expected, leaks })
}

fn count(won: &[bool]) -> Count {
    let mut count = Count::default();
    won.iter().for_each(|won| count.add(*won));
    count
}

/// What a rule asks.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Given(bool),
    AtLeast(f64),
    Below(f64),
    Is(AttributeValue),
    IsNot(AttributeValue),
}

/// A rule that a card could have.
#[derive(Clone, Debug)]
struct Candidate<'a> {
    /// What it is about.
    binned: &'a Binned,
    test: Test,
    /// Does it apply also to those of whom the attribute is not known?
    or_not_given: bool,
    /// To which bins of the column it applies.
    bins: Vec<bool>,
}

impl<'a> Candidate<'a> {
    fn new(binned: &'a Binned, test: Test, or_not_given: bool) -> Self {
        let bins = binned
            .bins
            .iter()
            .map(|bin| match (bin, &test) {
                (Bin::NotGiven, Test::Given(wanted)) => !wanted,
                (Bin::NotGiven, _) => or_not_given,
                (_, Test::Given(wanted)) => *wanted,
                (Bin::Band { least, .. }, Test::AtLeast(from)) => least.is_some_and(|least| least >= *from),
                (Bin::Band { below, .. }, Test::Below(to)) => below.is_some_and(|below| below <= *to),
                (_, Test::AtLeast(_) | Test::Below(_)) => false,
                (bin, Test::Is(wanted)) => matches!(bin, Bin::Value(value) if value == wanted),
                (bin, Test::IsNot(wanted)) => !matches!(bin, Bin::Value(value) if value == wanted),
            })
            .collect();
        Self { binned, test, or_not_given, bins }
    }

    /// Tells whether the rule applies to a lead.
    fn holds(&self, lead: usize) -> bool {
        let place = self.binned.places.get(lead).map(|place| usize::from(*place));
        place.and_then(|place| self.bins.get(place).copied()).unwrap_or_default()
    }

    /// Gives the rule that applies to all others, where one test can say it.
    fn opposite(&self) -> Option<Self> {
        let test = match &self.test {
            Test::Given(wanted) => Test::Given(!wanted),
            Test::AtLeast(from) => Test::Below(*from),
            Test::Below(to) => Test::AtLeast(*to),
            Test::Is(value) => Test::IsNot(value.clone()),
            Test::IsNot(value) => Test::Is(value.clone()),
        };
        let unknown = self.binned.bins.contains(&Bin::NotGiven) && !matches!(test, Test::Given(_));
        let opposite = Self::new(self.binned, test, unknown && !self.or_not_given);
        let all_others = opposite.bins.iter().zip(&self.bins).all(|(a, b)| a != b);
        all_others.then_some(opposite)
    }

    fn condition(&self, within_days: Option<u16>) -> Value {
        let source = &self.binned.source;
        let ask = |test: &[(&str, Value)]| {
            let mut condition = source.to_json();
            let window = within_days.filter(|_| matches!(source, Source::Signal(_)));
            let window = window.map(|days| ("within_days", json!(days)));
            let words = test.iter().cloned().chain(window);
            if let Some(object) = condition.as_object_mut() {
                object.extend(words.map(|(word, value)| (word.to_owned(), value)));
            }
            condition
        };
        let is = |value: &AttributeValue| ask(&[("equals", value.to_json())]);
        let known = match &self.test {
            Test::Given(wanted) => ask(&[("exists", json!(wanted))]),
            Test::AtLeast(from) => ask(&[("at_least", number_to_json(*from))]),
            Test::Below(to) if self.binned.whole => ask(&[("at_most", number_to_json(to - 1.0))]),
            Test::Below(to) => json!({"not": ask(&[("at_least", number_to_json(*to))])}),
            Test::Is(value) => is(value),
            Test::IsNot(value) => json!({"not": is(value)}),
        };
        if self.or_not_given { json!({"any": [known, ask(&[("exists", json!(false))])]}) } else { known }
    }

    fn title(&self, within_days: Option<u16>) -> String {
        let name = &self.binned.source;
        let number = |n: f64| AttributeValue::Number(n).to_string();
        let mut title = match (name, &self.test) {
            (Source::Signal(_), Test::AtLeast(n)) if *n <= 1.0 => format!("{name}: seen"),
            (Source::Signal(_), Test::Below(n)) if *n <= 1.0 => format!("{name}: not seen"),
            (Source::Signal(_), Test::AtLeast(n)) => format!("{name}: seen at least {} times", number(*n)),
            (Source::Signal(_), Test::Below(n)) => format!("{name}: seen fewer than {} times", number(*n)),
            (_, Test::Given(true)) => format!("{name}: given"),
            (_, Test::Given(false)) => format!("{name}: not given"),
            (_, Test::AtLeast(n)) => format!("{name}: at least {}", number(*n)),
            (_, Test::Below(n)) => format!("{name}: below {}", number(*n)),
            (_, Test::Is(value)) => format!("{name}: {value}"),
            (_, Test::IsNot(value)) => format!("{name}: not {value}"),
        };
        if self.or_not_given {
            title.push_str(", or not given");
        }
        if let (Source::Signal(_), Some(days)) = (name, within_days) {
            title.push_str(&format!(" within {days} days"));
        }
        title
    }
}

/// Lists the rules that a column could give.
///
/// Lists of texts are not among them. Which texts to put together would have to be seen from the outcome, and such
/// lists, tried on real leads that came later, made cards worse.
fn candidates(binned: &Binned) -> Vec<Candidate<'_>> {
    let mut tests = Vec::new();
    let some_unknown = binned.bins.contains(&Bin::NotGiven);
    if some_unknown {
        tests.push(Test::Given(true));
    }
    let only_numbers = binned.bins.iter().all(|bin| matches!(bin, Bin::Band { .. }));
    for bin in &binned.bins {
        match bin {
            Bin::Band { least: Some(least), .. } => {
                tests.push(Test::AtLeast(*least));
                // Where everybody has a number, "below" is the opposite of "at least" and learns the same.
                if !only_numbers {
                    tests.push(Test::Below(*least));
                }
            }
            Bin::Value(value) => {
                tests.push(Test::Is(value.clone()));
                // Where some did not say, to have said something else is more than the opposite.
                if some_unknown {
                    tests.push(Test::IsNot(value.clone()));
                }
            }
            Bin::Band { .. } | Bin::NotGiven | Bin::Other => {}
        }
    }
    tests.into_iter().map(|test| Candidate::new(binned, test, false)).collect()
}

/// Whole points for rules, each a bit of a pattern.
#[derive(Clone, Debug)]
struct Points {
    points: Vec<i16>,
    /// Which rules are turned into their opposite.
    turned: u32,
    /// Which rules belong to the engagement.
    engagement: u32,
}

impl Points {
    /// Scores a pattern, in steps, as the playbook would.
    fn levels(&self, mask: u32) -> [usize; 2] {
        let met = mask ^ self.turned;
        let sum = |mask: u32| {
            let sum: i16 = set_bits(mask, &self.points).sum();
            usize::try_from(sum.clamp(0, 100) / STEP).unwrap_or(0)
        };
        [sum(met & !self.engagement), sum(met & self.engagement)]
    }

    /// Counts in how many pairs of a won lead and another the won one has the higher score, a tie as a half; doubled.
    fn pairs(&self, patterns: &[(u32, Count)]) -> u64 {
        let mut levels = [Count::default(); 2 * LEVELS];
        for (mask, count) in patterns {
            let [fit, engagement] = self.levels(*mask);
            if let Some(level) = levels.get_mut(fit + engagement) {
                *level = [*level, *count].into_iter().sum();
            }
        }
        pairs(&levels)
    }
}

/// Does so for counts that stand in the order of their score, the lowest first.
fn pairs(levels: &[Count]) -> u64 {
    let mut below = 0;
    let mut pairs = 0;
    for level in levels {
        let losses = u64::from(level.losses());
        pairs += u64::from(level.wins) * (2 * below + losses);
        below += losses;
    }
    pairs
}

/// Where bands begin and which labels qualify.
#[derive(Clone, Debug)]
struct Line {
    bands: Bands,
    labels: Vec<Label>,
}

/// A card, before it is put in words.
struct Learned<'a> {
    rules: Vec<Candidate<'a>>,
    card: Points,
    line: Line,
}

struct Learner<'a> {
    columns: &'a [Binned],
    won: &'a [bool],
    /// The fold of each lead.
    folds: &'a [usize],
    wish: &'a Wish,
}

/// The patterns that leads show of the rules so far: one bit per rule, above the intercept's.
struct Patterns {
    /// The bits of each pattern.
    masks: Vec<u32>,
    /// The pattern of each lead.
    of: Vec<usize>,
}

impl Patterns {
    fn rows(&self, won: &[bool]) -> Vec<Row> {
        let mut rows: Vec<Row> =
            self.masks.iter().map(|mask| Row { mask: *mask, leads: 0.0, wins: 0.0 }).collect();
        for (pattern, won) in self.of.iter().zip(won) {
            if let Some(row) = rows.get_mut(*pattern) {
                row.leads += 1.0;
                row.wins += f64::from(u8::from(*won));
            }
        }
        rows
    }

    /// Adds a rule that applies to those leads of which `met` says so.
    fn with(&self, rule: usize, met: impl Iterator<Item = bool>) -> Self {
        let mut seen: Vec<[Option<usize>; 2]> = vec![[None; 2]; self.masks.len()];
        let mut masks = Vec::new();
        let mut of = Vec::with_capacity(self.of.len());
        for (pattern, met) in self.of.iter().zip(met) {
            let old = self.masks.get(*pattern).copied().unwrap_or_default();
            let (Some([no, yes]), mask) = (seen.get_mut(*pattern), old | u32::from(met) << (rule + 1)) else {
                continue;
            };
            let slot = if met { yes } else { no };
            of.push(*slot.get_or_insert_with(|| {
                masks.push(mask);
                masks.len() - 1
            }));
        }
        Self { masks, of }
    }
}

/// The leads that may be looked at, with what is known of them at hand.
struct Look<'a, 'l> {
    leads: &'l [usize],
    won: Vec<bool>,
    folds: Vec<usize>,
    support: u32,
    /// What is known, with the rules that it could give.
    columns: Vec<(&'a Binned, Vec<Candidate<'a>>)>,
}

impl<'a, 'l> Look<'a, 'l> {
    fn new(learner: &Learner<'a>, leads: &'l [usize]) -> Self {
        let won: Vec<bool> = leads.iter().filter_map(|lead| learner.won.get(*lead).copied()).collect();
        let folds = leads.iter().filter_map(|lead| learner.folds.get(*lead).copied()).collect();
        let columns = learner.columns.iter().map(|binned| (binned, candidates(binned)));
        Self { leads, folds, support: minimum_support(leads.len()), columns: columns.collect(), won }
    }

    /// Gives the candidates that a regression on the rules so far would gain most by, the best first.
    fn best(&self, patterns: &Patterns, weights: &[f64]) -> Vec<&Candidate<'a>> {
        // Of each pattern: how its leads' probability bends, and how far it may be off.
        let expected: Vec<f64> =
            patterns.masks.iter().map(|mask| probability(log_odds(*mask, weights))).collect();
        let rows = patterns.rows(&self.won);
        let mut information = vec![vec![0.0; weights.len()]; weights.len()];
        for (row, p) in rows.iter().zip(&expected) {
            let v = row.leads * p * (1.0 - p);
            for line in set_bits(row.mask, &mut information) {
                set_bits(row.mask, line).for_each(|cell| *cell += v);
            }
        }
        for (at, line) in information.iter_mut().enumerate().skip(1) {
            if let Some(cell) = line.get_mut(at) {
                *cell += PENALTY;
            }
        }
        let information = Cholesky::of(&information);

        let mut ranked: Vec<(f64, &Candidate<'a>, Vec<u32>)> = Vec::new();
        for (column, candidates) in &self.columns {
            let bins = self.sums(column, patterns, &expected, weights.len());
            for candidate in candidates {
                let mut sum = Sums { shared: vec![0.0; weights.len()], ..Sums::default() };
                for (bin, _) in bins.iter().zip(&candidate.bins).filter(|(_, holds)| **holds) {
                    sum.leads += bin.leads;
                    sum.gradient += bin.gradient;
                    sum.shared.iter_mut().zip(&bin.shared).for_each(|(sum, bin)| *sum += bin);
                }
                let all = u32::try_from(self.leads.len()).unwrap_or(u32::MAX);
                if sum.leads < self.support || all.saturating_sub(sum.leads) < self.support {
                    continue;
                }
                let own = sum.shared.first().copied().unwrap_or(0.0);
                let left = own - information.inverse_form(&sum.shared);
                let gain = sum.gradient * sum.gradient / (left + PENALTY);
                if left > 1e-3 && gain > LEAST_GAIN {
                    ranked.push((gain, candidate, bins.iter().map(|bin| bin.leads).collect()));
                }
            }
        }
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Cuts that stand side by side are nearly the same candidate; one of them is tried.
        let mut best: Vec<&Candidate<'a>> = Vec::new();
        for (_, candidate, bins) in &ranked {
            let like = |other: &&Candidate<'_>| {
                let apart = |same: bool| {
                    let held = candidate.bins.iter().zip(&other.bins);
                    bins.iter().zip(held).filter(|(_, (a, b))| (a == b) == same).map(|(n, _)| n).sum::<u32>()
                };
                other.binned.source == candidate.binned.source
                    && 50 * u64::from(apart(false).min(apart(true))) < self.leads.len() as u64
            };
            if best.len() < TRIED && !best.iter().any(like) {
                best.push(candidate);
            }
        }
        best
    }

    fn sums(&self, column: &Binned, patterns: &Patterns, expected: &[f64], weights: usize) -> Vec<Sums> {
        let width = column.bins.len();
        let mut cells = vec![Count::default(); width * patterns.masks.len()];
        for ((place, pattern), won) in places(column, self.leads).zip(&patterns.of).zip(&self.won) {
            if let Some(cell) = cells.get_mut(pattern * width + usize::from(place)) {
                cell.add(*won);
            }
        }
        let mut bins = vec![Sums { shared: vec![0.0; weights], ..Sums::default() }; width];
        for ((counts, mask), p) in cells.chunks(width).zip(&patterns.masks).zip(expected) {
            for (bin, count) in bins.iter_mut().zip(counts).filter(|(_, count)| count.leads > 0) {
                let leads = f64::from(count.leads);
                bin.leads += count.leads;
                bin.gradient += f64::from(count.wins) - leads * p;
                set_bits(*mask, &mut bin.shared).for_each(|sum| *sum += leads * p * (1.0 - p));
            }
        }
        bins
    }

    /// Gives the mean loss on each fold of a regression on the others; `None` where none can be fitted.
    fn loss(&self, patterns: &Patterns, weights: &[f64]) -> Option<f64> {
        let mut folds: [Vec<Row>; FOLDS] = std::array::from_fn(|_| patterns.rows(&[]));
        for ((fold, pattern), won) in self.folds.iter().zip(&patterns.of).zip(&self.won) {
            let fold = folds.get_mut(*fold);
            if let Some(row) = fold.and_then(|fold| fold.get_mut(*pattern)) {
                row.leads += 1.0;
                row.wins += f64::from(u8::from(*won));
            }
        }
        let all = patterns.rows(&self.won);
        let mut loss = 0.0;
        for fold in &folds {
            let others: Vec<Row> = all
                .iter()
                .zip(fold)
                .map(|(all, fold)| Row {
                    mask: all.mask,
                    leads: all.leads - fold.leads,
                    wins: all.wins - fold.wins,
                })
                .collect();
            loss += log_loss(fold, &logistic(&others, weights.to_vec())?);
        }
        Some(loss / self.leads.len() as f64)
    }

    /// Chooses the rules: them, the patterns of the leads, and their weights, the intercept's first.
    fn choose(&self, most: usize) -> Option<(Vec<Candidate<'a>>, Patterns, Vec<f64>)> {
        let mut rules: Vec<Candidate<'a>> = Vec::new();
        let mut patterns = Patterns { masks: vec![1], of: vec![0; self.leads.len()] };
        let mut weights = logistic(&patterns.rows(&self.won), vec![0.0])?;
        let mut least = self.loss(&patterns, &weights)?;
        while rules.len() < most.min(MOST_RULES) {
            let mut start = weights.clone();
            start.push(0.0);
            let tried = self.best(&patterns, &weights).into_iter().filter_map(|candidate| {
                let with = patterns.with(rules.len(), self.leads.iter().map(|lead| candidate.holds(*lead)));
                let loss = self.loss(&with, &start)?;
                Some((loss, candidate, with))
            });
            let Some((loss, candidate, with)) = tried.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
            if loss >= least - 1e-6 {
                break;
            }
            weights = logistic(&with.rows(&self.won), start)?;
            (least, patterns) = (loss, with);
            rules.push(candidate.clone());
        }
        (!rules.is_empty()).then_some((rules, patterns, weights))
    }
}

/// What is summed up over the leads of a bin.
#[derive(Clone, Debug, Default)]
struct Sums {
    leads: u32,
    /// Wins beyond those expected.
    gradient: f64,
    /// The information that the bin shares with the intercept and each rule.
    shared: Vec<f64>,
}

fn places<'a>(column: &'a Binned, leads: &'a [usize]) -> impl Iterator<Item = u8> + 'a {
    leads.iter().map(|lead| column.places.get(*lead).copied().unwrap_or_default())
}

impl<'a> Learner<'a> {
    /// Makes a card from some of the leads; `None` where nothing tells.
    fn learn(&self, leads: &[usize]) -> Option<Learned<'a>> {
        let look = Look::new(self, leads);
        let (rules, patterns, weights) = look.choose(self.wish.most_rules)?;
        // Without the intercept's bit, which gives no points.
        let mut counts = vec![Count::default(); patterns.masks.len()];
        for (pattern, won) in patterns.of.iter().zip(&look.won) {
            if let Some(count) = counts.get_mut(*pattern) {
                count.add(*won);
            }
        }
        let counts: Vec<(u32, Count)> = patterns.masks.iter().map(|mask| mask >> 1).zip(counts).collect();
        let opposites: Vec<Option<Candidate<'a>>> = rules.iter().map(Candidate::opposite).collect();
        let engagement = bits(rules.iter().map(|rule| self.part(rule) == Part::Engagement));
        let turnable = bits(opposites.iter().map(Option::is_some));
        let card = points(&counts, weights.get(1..).unwrap_or(&[]), engagement, turnable);
        let line = line(&card, &counts, self.wish.goal);

        // As it stands in the playbook: rules in the direction they were turned to, and none without points.
        let mut kept: Vec<(Candidate<'a>, i16)> = Vec::new();
        for (at, ((rule, opposite), points)) in rules.into_iter().zip(opposites).zip(&card.points).enumerate()
        {
            let turned = card.turned >> at & 1 == 1;
            let rule = opposite.filter(|_| turned).unwrap_or(rule);
            // Two that turned out to be one.
            match kept
                .iter_mut()
                .find(|(known, _)| known.binned.source == rule.binned.source && known.bins == rule.bins)
            {
                Some((_, sum)) => *sum = sum.saturating_add(*points),
                None => kept.push((rule, *points)),
            }
        }
        kept.retain(|(_, points)| *points != 0);
        let (rules, points): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let engagement = bits(rules.iter().map(|rule| self.part(rule) == Part::Engagement));
        Some(Learned { rules, card: Points { points, turned: 0, engagement }, line })
    }

    fn part(&self, rule: &Candidate<'_>) -> Part {
        match &rule.binned.source {
            Source::Attribute(name) if !self.wish.behaviour.contains(name) => Part::Fit,
            _ => Part::Engagement,
        }
    }

    /// Confronts a card with leads that it has not seen.
    fn judge(&self, learned: &Learned<'_>, leads: &[usize]) -> Expected {
        let mut expected = Expected::default();
        let mut levels = [Count::default(); 2 * LEVELS];
        for lead in leads {
            let [fit, engagement] =
                learned.card.levels(bits(learned.rules.iter().map(|rule| rule.holds(*lead))));
            let won = self.won.get(*lead).copied().unwrap_or_default();
            expected.all.add(won);
            if let Some(level) = levels.get_mut(fit + engagement) {
                level.add(won);
            }
            if learned.line.labels.contains(&label(learned.line.bands, [fit, engagement])) {
                expected.qualified.add(won);
            }
        }
        let all = u64::from(expected.all.wins) * u64::from(expected.all.losses());
        expected.auc = if all == 0 { 0.5 } else { pairs(&levels) as f64 / (2 * all) as f64 };
        expected
    }

    /// Puts a rule in words.
    fn rule(&self, rule: &Candidate<'_>, points: i16, all: Count) -> Rule {
        let mut count = Count::default();
        let won = self.won.iter().enumerate().filter(|(lead, _)| rule.holds(*lead));
        won.for_each(|(_, won)| count.add(*won));
        let weight_of_evidence = count.weight_of_evidence(all);
        let reason = format!(
            "{} of {} leads; {:.0} % won against {:.0} % of all; weight of evidence {weight_of_evidence:+.2}",
            grouped(count.leads),
            grouped(all.leads),
            100.0 * count.rate(),
            100.0 * all.rate(),
        );
        Rule {
            part: self.part(rule),
            source: rule.binned.source.clone(),
            points,
            condition: rule.condition(self.wish.within_days),
            title: rule.title(self.wish.within_days),
            count,
            weight_of_evidence,
            reason,
        }
    }
}

/// Sets a bit for each that is true.
fn bits(which: impl Iterator<Item = bool>) -> u32 {
    which.take(32).enumerate().fold(0, |mask, (at, set)| mask | u32::from(set) << at)
}

/// Writes a number with commas between the thousands.
fn grouped(n: u32) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Turns weights into whole points that rank the won before the others as often as possible.
fn points(patterns: &[(u32, Count)], weights: &[f64], engagement: u32, turnable: u32) -> Points {
    const SCALES: [f64; 9] = [8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 25.0, 30.0];
    const ROUNDS: usize = 50;
    let negative = bits(weights.iter().map(|w| *w < 0.0)) & turnable;
    let all: Count = patterns.iter().map(|(_, count)| *count).sum();
    // A gain of less than a millionth is no reason to move a point.
    let enough = u64::from(all.wins) * u64::from(all.losses()) / 500_000;

    let start = |turned: u32, scale: f64| {
        let points = weights.iter().enumerate().map(|(at, w)| {
            let w = if turned >> at & 1 == 1 { -w } else { *w };
            #[allow(clippy::cast_possible_truncation, reason = "clamped to -20 to 20")]
            let steps = (w * scale / f64::from(STEP)).round().clamp(-20.0, 20.0) as i16;
            steps * STEP
        });
        Points { points: points.collect(), turned, engagement }
    };
    let mut best = start(0, 10.0);
    let mut most = best.pairs(patterns);
    let mut take = |best: &mut Points, other: Points, enough: u64| {
        let pairs = other.pairs(patterns);
        let better = pairs > most + enough;
        if better {
            (*best, most) = (other, pairs);
        }
        better
    };
    for turned in [0, negative] {
        for scale in SCALES {
            take(&mut best, start(turned, scale), 0);
        }
    }
    let moved = |card: &Points, moves: &[(usize, i16)]| {
        let mut card = card.clone();
        for (at, by) in moves {
            if let Some(points) = card.points.get_mut(*at) {
                *points = (*points + by).clamp(-100, 100);
            }
        }
        card
    };
    for _ in 0..ROUNDS {
        let mut any = false;
        for at in 0..weights.len() {
            for by in [STEP, -STEP, 2 * STEP, -2 * STEP] {
                let other = moved(&best, &[(at, by)]);
                any |= take(&mut best, other, enough);
            }
            if turnable >> at & 1 == 1 {
                let mut other = best.clone();
                other.turned ^= 1 << at;
                if let Some(points) = other.points.get_mut(at) {
                    *points = -*points;
                }
                any |= take(&mut best, other, enough);
            }
        }
        if any {
            continue;
        }
        // Only where no single move helps: one rule gives what another takes.
        let mut two = (0..weights.len()).flat_map(|up| (0..weights.len()).map(move |down| (up, down)));
        let found = two.any(|(up, down)| {
            let other = moved(&best, &[(up, STEP), (down, -STEP)]);
            up != down && take(&mut best, other, enough)
        });
        if !found {
            break;
        }
    }
    best
}

/// Gives the label of a score, which is given in steps.
fn label(bands: Bands, [fit, engagement]: [usize; 2]) -> Label {
    let points = |level: usize| u8::try_from(level).unwrap_or(u8::MAX).saturating_mul(STEP as u8);
    Label { fit: bands.fit(points(fit)), engagement: bands.engagement(points(engagement)) }
}

/// Chooses bands and labels: those by which the most wins reach the goal; of equal ones those that tell the most.
fn line(card: &Points, patterns: &[(u32, Count)], goal: Goal) -> Line {
    let mut scores: BTreeMap<[usize; 2], Count> = BTreeMap::new();
    for (mask, count) in patterns {
        let score = scores.entry(card.levels(*mask)).or_default();
        *score = [*score, *count].into_iter().sum();
    }
    let scores: Vec<([usize; 2], Count)> = scores.into_iter().collect();
    let mut triples = Vec::new();
    for a in 3..LEVELS {
        for b in 2..a {
            triples
                .extend((1..b).map(|c| [a, b, c].map(|level| u8::try_from(level).unwrap_or(0) * STEP as u8)));
        }
    }
    let used = |part: usize| scores.iter().any(|(score, _)| score.get(part).is_some_and(|level| *level > 0));
    let mut bands = Bands { fit: [65, 45, 20], engagement: [60, 35, 10] };
    // Each part in turn, twice: the best bands of one depend on the other's.
    for part in [0, 1, 0, 1] {
        // A part that no rule speaks of keeps what it has.
        if !used(part) {
            continue;
        }
        let with = |triple: &[u8; 3]| match part {
            0 => Bands { fit: *triple, ..bands },
            _ => Bands { engagement: *triple, ..bands },
        };
        let worth = |bands: Bands| {
            let cells = cells(&scores, bands);
            let (labels, reached) = qualified(&cells, goal);
            let sum: Count = labels.iter().filter_map(|label| cells.get(label).copied()).sum();
            let mut by_band: BTreeMap<(Option<Fit>, Option<Engagement>), Count> = BTreeMap::new();
            for (label, count) in &cells {
                let band = if part == 0 { (Some(label.fit), None) } else { (None, Some(label.engagement)) };
                let sum = by_band.entry(band).or_default();
                *sum = [*sum, *count].into_iter().sum();
            }
            let by_band: Vec<Count> = by_band.into_values().collect();
            // Where the goal is out of reach: as near to it as can be.
            let near = match goal {
                _ if reached => f64::from(sum.wins),
                Goal::Precision(_) => sum.rate() - 1.0,
                Goal::HandOffs { .. } => -f64::from(sum.leads),
            };
            (near, information_value(&by_band))
        };
        let worths = triples.iter().map(with).map(|bands| (worth(bands), bands));
        let best =
            worths.max_by(|((a, told_a), _), ((b, told_b), _)| a.total_cmp(b).then(told_a.total_cmp(told_b)));
        if let Some((_, best)) = best {
            bands = best;
        }
    }
    let (labels, _) = qualified(&cells(&scores, bands), goal);
    Line { bands, labels }
}

/// Counts the leads of each label.
fn cells(scores: &[([usize; 2], Count)], bands: Bands) -> BTreeMap<Label, Count> {
    let mut cells = BTreeMap::new();
    for (score, count) in scores {
        let cell: &mut Count = cells.entry(label(bands, *score)).or_default();
        *cell = [*cell, *count].into_iter().sum();
    }
    cells
}

/// Chooses the labels that qualify: the best, as many as the goal allows, and one where it allows none, which is told.
fn qualified(cells: &BTreeMap<Label, Count>, goal: Goal) -> (Vec<Label>, bool) {
    let all: Count = cells.values().copied().sum();
    // A few leads of the common kind are added, so that a label with two wins is not the best.
    let rate = |count: &Count| (f64::from(count.wins) + 5.0 * all.rate()) / (f64::from(count.leads) + 5.0);
    let mut order: Vec<(&Label, &Count)> = cells.iter().collect();
    order.sort_by(|(_, a), (_, b)| rate(b).total_cmp(&rate(a)));
    let mut sum = Count::default();
    let mut taken = 0;
    for (at, (_, count)) in order.iter().enumerate() {
        sum = [sum, **count].into_iter().sum();
        let holds = match goal {
            Goal::Precision(wanted) => sum.rate() >= wanted,
            Goal::HandOffs { a_week, leads_a_week } => {
                f64::from(sum.leads) * leads_a_week <= a_week * f64::from(all.leads)
            }
        };
        if holds {
            taken = at + 1;
        }
    }
    let reached = taken > 0;
    let taken: Vec<Label> = order.into_iter().take(taken.max(1)).map(|(label, _)| *label).collect();
    // A label that nobody had so far qualifies where a lesser one does.
    let every = Fit::WORDS.iter().flat_map(|(_, fit)| {
        Engagement::WORDS.iter().map(|(_, engagement)| Label { fit: *fit, engagement: *engagement })
    });
    let labels = every.filter(|label| {
        let lesser = |other: &Label| other.fit >= label.fit && other.engagement >= label.engagement;
        taken.contains(label) || !cells.contains_key(label) && taken.iter().any(lesser)
    });
    (labels.collect(), reached)
}

impl Card {
    /// Writes the playbook that the card makes of another one, which gives everything but the points: signals,
    /// territories, forms and segments. Without one, the least is written that a playbook must have, and a signal is
    /// the kind of activity of the same name.
    #[must_use]
    pub fn to_document(&self, base: Option<&Value>) -> Value {
        let mut document = base.cloned().unwrap_or_else(|| {
            let signals = self.rules.iter().filter_map(|rule| match &rule.source {
                Source::Signal(id) => Some(id.as_str()),
                Source::Attribute(_) => None,
            });
            let signals: BTreeSet<&str> = signals.collect();
            let signals: Vec<Value> =
                signals.into_iter().map(|id| json!({"id": id, "kind": id.replace('-', "_")})).collect();
            json!({"name": "Suggested card", "signals": signals, "default_qualifier": "unassigned"})
        });
        let rules = |part: Part, id: &str, title: &str| {
            let rules: Vec<Value> = self
                .rules
                .iter()
                .filter(|rule| rule.part == part)
                .map(|rule| {
                    // Of what it asks, so that the diff to a later suggestion says what really changed.
                    let asked = format!("{:016x}", spread(&rule.condition.to_string()));
                    let asked: String = asked.chars().take(6).collect();
                    let source: String = rule.source.as_str().chars().take(50).collect();
                    let id = format!("{source}_{asked}");
                    let reason = format!(" ({})", rule.reason);
                    let room = 200_usize.saturating_sub(reason.chars().count());
                    let mut title: String = rule.title.chars().take(room).collect();
                    if title.len() < rule.title.len() {
                        title.pop();
                        title.push('…');
                    }
                    json!({"id": id, "title": title + &reason, "points": rule.points, "when": rule.condition})
                })
                .collect();
            if rules.is_empty() { json!([]) } else { json!([{"id": id, "title": title, "rules": rules}]) }
        };
        let three = |words: [&str; 3], from: [u8; 3]| -> Value {
            words.iter().zip(from).map(|(word, from)| ((*word).to_owned(), json!(from))).collect()
        };
        let labels: Vec<String> = self.labels.iter().map(ToString::to_string).collect();
        let sections = [
            ("fit", rules(Part::Fit, "learned_fit", "Who was won before")),
            ("engagement", rules(Part::Engagement, "learned_engagement", "What the won did before")),
            (
                "bands",
                json!({
                    "fit": three(["A", "B", "C"], self.bands.fit),
                    "engagement": three(["1", "2", "3"], self.bands.engagement),
                }),
            ),
            ("marketing_qualified", json!({"labels": labels})),
        ];
        if let Some(document) = document.as_object_mut() {
            document.extend(sections.map(|(section, value)| (section.to_owned(), value)));
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Outcome;
    use crate::dataset::tests::{name, text};
    use domain::identity::Slug;
    use domain::playbook::Playbook;

    /// Numbers that look random and are always the same.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }
    }

    fn wish(goal: Goal) -> Wish {
        Wish { most_rules: RULES, behaviour: [name("visits")].into(), within_days: Some(30), goal }
    }

    /// Leads of whom size, visits and a signal decide, a colour does not, and a deal's value leaks.
    fn leads(n: u64) -> Dataset {
        let mut dice = Dice(7);
        let seen = Slug::parse("pricing_viewed").unwrap();
        let [size, visits, colour, id, deal] = ["size", "visits", "colour", "id", "deal"].map(name);
        let mut dataset = Dataset::default();
        for i in 0..n {
            let industry = ["Food", "Wood", "Steel"][dice.roll(3) as usize];
            let (people, n, hits) = (dice.roll(1_000), dice.roll(20), dice.roll(4));
            let odds = 5 + 40 * u64::from(people >= 500) + 20 * u64::from(n >= 10) + 25 * u64::from(hits > 0);
            let won = dice.roll(100) < odds * if industry == "Steel" { 1 } else { 2 } / 2;
            let values = [
                (&size, AttributeValue::Number(people as f64)),
                (&visits, text(&n.to_string())),
                (&colour, text(["red", "blue"][dice.roll(2) as usize])),
                (&id, text(&format!("lead {i}"))),
                (&deal, text("large")),
            ];
            let industry = (name("industry"), text(industry));
            let known =
                values.iter().filter(|(name, _)| *name != &deal || won).map(|(name, value)| (*name, value));
            let known = known.chain((dice.roll(10) > 0).then_some((&industry.0, &industry.1)));
            let signals = (hits > 0).then_some((&seen, hits as u32));
            dataset.add(known, signals, Outcome { won, revenue: None, retained: None });
        }
        dataset
    }

    #[test]
    fn the_card_finds_what_decides_and_names_what_leaks() {
        let card = suggest(&leads(4_000), &wish(Goal::Precision(0.7))).unwrap();
        let of = |source: &str| {
            card.rules.iter().filter(|rule| rule.source.as_str() == source).collect::<Vec<_>>()
        };
        assert!(card.rules.len() <= RULES);
        assert!(card.rules.iter().all(|rule| rule.points % STEP == 0 && rule.points != 0));
        assert!(of("size").iter().all(|rule| rule.part == Part::Fit));
        assert!(of("visits").iter().all(|rule| rule.part == Part::Engagement));
        for source in ["size", "visits", "industry", "pricing_viewed"] {
            assert!(!of(source).is_empty(), "{source} in {:#?}", card.rules);
        }
        assert!(of("id").is_empty() && of("deal").is_empty());
        assert_eq!(card.leaks.iter().map(|leak| leak.source.as_str()).collect::<Vec<_>>(), ["deal"]);
        let cut = of("size").iter().any(|rule| {
            rule.condition["at_least"].as_f64().is_some_and(|n| n == 500.0)
                || rule.condition["at_most"] == json!(499)
        });
        assert!(cut, "{:#?}", of("size"));
        assert!(card.expected.auc > 0.7, "{:?}", card.expected);
        assert!((card.expected.precision() - 0.7).abs() < 0.1, "{:?}", card.expected);
    }

    #[test]
    fn the_same_leads_give_the_same_card() {
        let [a, b] = [(), ()].map(|()| suggest(&leads(800), &wish(Goal::Precision(0.6))).unwrap());
        assert_eq!(a.to_document(None), b.to_document(None));
    }

    #[test]
    fn hand_offs_stay_within_what_is_wished() {
        let goal = Goal::HandOffs { a_week: 10.0, leads_a_week: 100.0 };
        let card = suggest(&leads(4_000), &wish(goal)).unwrap();
        let share = card.expected.share();
        assert!(share > 0.03 && share < 0.13, "{share}");
        assert!(card.expected.precision() > 1.3 * card.leads.rate());
    }

    #[test]
    fn the_document_is_a_playbook_that_keeps_the_rest() {
        let card = suggest(&leads(2_000), &wish(Goal::Precision(0.6))).unwrap();
        let alone = Playbook::parse(&card.to_document(None)).unwrap();
        let rules = alone.fit.iter().flat_map(|group| &group.rules).map(|rule| &rule.title);
        let when = alone.engagement.iter().flat_map(|group| &group.rules).map(|rule| &rule.title);
        let titles: Vec<&String> = rules.chain(when).collect();
        assert_eq!(titles.len(), card.rules.len());
        assert!(titles.iter().all(|title| title.contains(" of 2,000 leads; ")), "{titles:?}");

        let base = json!({
            "name": "Ours",
            "signals": [{"id": "pricing_viewed", "kind": "page_viewed", "where": {"path": "/pricing"}}],
            "fit": [{"id": "old", "rules": [{"id": "old_rule", "points": 5, "when": {"attribute": "x", "exists": true}}]}],
            "bands": {}, "marketing_qualified": {}, "default_qualifier": "at-1",
            "territories": [{"id": "alps", "countries": ["AT"], "qualifier": "at-1"}],
        });
        let ours = Playbook::parse(&card.to_document(Some(&base))).unwrap();
        assert_eq!((ours.name.as_str(), ours.territories.len(), ours.signals.len()), ("Ours", 1, 1));
        assert_eq!(ours.marketing_qualified.labels, card.labels);
        assert_eq!(ours.bands, card.bands);
        assert!(ours.fit.iter().all(|group| group.id.as_str() != "old"));
    }

    #[test]
    fn too_little_is_refused() {
        let error = suggest(&leads(40), &wish(Goal::Precision(0.5))).unwrap_err();
        assert!(matches!(error, NoCard::TooFew { .. }), "{error}");
        let mut nothing = Dataset::default();
        for i in 0..200 {
            nothing.add([], [], Outcome { won: i % 2 == 0, revenue: None, retained: None });
        }
        assert_eq!(suggest(&nothing, &wish(Goal::Precision(0.5))).unwrap_err(), NoCard::NothingTells);
    }

    #[test]
    fn a_test_and_its_opposite_divide_the_leads() {
        let dataset = leads(500);
        let everybody: Vec<usize> = (0..500).collect();
        let columns = Binned::all(&dataset, &everybody, BANDS);
        let mut turned = 0;
        for binned in &columns {
            for candidate in candidates(binned) {
                if let Some(opposite) = candidate.opposite() {
                    turned += 1;
                    assert!(everybody.iter().all(|lead| candidate.holds(*lead) != opposite.holds(*lead)));
                }
            }
        }
        assert!(turned > 30, "{turned}");
    }
}
