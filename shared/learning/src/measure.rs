//! Intervals, the area under the curve, lift.
//!
//! Everything here is counted from a histogram: how many leads of each rank were won and lost. A rank is a whole number
//! (fit + engagement, 0 to 200), so a histogram of any number of leads stays small, two of them add up, and no lead has
//! to be kept. Many leads share a rank; wherever an order is needed they share its place, too.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Below so many wins, or so many losses, nothing can be concluded.
pub const ENOUGH: u64 = 30;
/// How many standard errors a 95 % interval reaches to each side.
pub const Z95: f64 = 1.959_963_984_540_054;

/// What became of a lead, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Won in time.
    Positive,
    /// Lost, or not won in time.
    Negative,
    /// Too young to tell.
    Censored,
}

/// How many leads came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Tally {
    /// Won in time.
    pub positive: u64,
    /// Lost, or not won in time.
    pub negative: u64,
    /// Too young to tell.
    pub censored: u64,
}

impl From<[u64; 3]> for Tally {
    fn from([positive, negative, censored]: [u64; 3]) -> Self {
        Self { positive, negative, censored }
    }
}

impl From<Tally> for [u64; 3] {
    fn from(tally: Tally) -> Self {
        [tally.positive, tally.negative, tally.censored]
    }
}

impl Tally {
    /// Counts a lead.
    pub const fn add(&mut self, class: Class) {
        match class {
            Class::Positive => self.positive += 1,
            Class::Negative => self.negative += 1,
            Class::Censored => self.censored += 1,
        }
    }

    /// Adds another tally.
    pub const fn merge(&mut self, other: &Self) {
        self.positive += other.positive;
        self.negative += other.negative;
        self.censored += other.censored;
    }

    /// Gives how many can be judged.
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.positive + self.negative
    }

    /// Gives the share of those judged that were won.
    #[must_use]
    pub const fn win_rate(&self) -> Rate {
        Rate { hits: self.positive, of: self.judged() }
    }
}

/// How many leads of each rank, or of each anything, came to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram<K: Ord = u16>(pub BTreeMap<K, Tally>);

impl<K: Ord> Default for Histogram<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Histogram<K> {
    /// Counts a lead.
    pub fn add(&mut self, key: K, class: Class) {
        self.0.entry(key).or_default().add(class);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: Self) {
        for (key, tally) in other.0 {
            self.0.entry(key).or_default().merge(&tally);
        }
    }

    /// Adds up all of it.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.0.values().fold(Tally::default(), |mut sum, tally| {
            sum.merge(tally);
            sum
        })
    }
}

/// From where to where something lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// From.
    pub low: f64,
    /// To.
    pub high: f64,
}

impl Interval {
    /// Gives how wide it is.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

/// Counts as a float; exact up to 2^53, which no number of leads reaches.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
pub const fn float(n: u64) -> f64 {
    n as f64
}

/// Gives the interval of a share of `hits` among `of`, which may be fractions where leads share a place.
///
/// E. B. Wilson: Probable inference, the law of succession, and statistical inference. J. Am. Stat. Assoc. 22 (1927).
/// It stays between 0 and 1 and is honest for few leads and for shares of 0 and 1.
#[must_use]
pub fn wilson(hits: f64, of: f64) -> Option<Interval> {
    wilson_at(hits, of, Z95)
}

/// Gives the interval of a share that reaches `z` standard errors to each side.
#[must_use]
pub fn wilson_at(hits: f64, of: f64, z: f64) -> Option<Interval> {
    if of <= 0.0 {
        return None;
    }
    let (p, z2) = (hits / of, z * z);
    let centre = p + z2 / (2.0 * of);
    let half = z * (p * (1.0 - p) / of + z2 / (4.0 * of * of)).max(0.0).sqrt();
    let by = 1.0 + z2 / of;
    Some(Interval { low: ((centre - half) / by).max(0.0), high: ((centre + half) / by).min(1.0) })
}

/// Some of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Some.
    pub hits: u64,
    /// Of so many.
    pub of: u64,
}

impl Rate {
    /// Gives the share; none of nothing.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| float(self.hits) / float(self.of))
    }

    /// Gives its interval.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        wilson(float(self.hits), float(self.of))
    }

    /// Gives it for an answer: the share with its interval, and what it was counted from.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let interval = self.interval();
        json!({
            "rate": self.share().map(rounded),
            "low": interval.map(|interval| rounded(interval.low)),
            "high": interval.map(|interval| rounded(interval.high)),
            "hits": self.hits,
            "of": self.of,
        })
    }
}

/// Rounds to four places, beyond which nothing here means anything.
#[must_use]
pub fn rounded(x: f64) -> f64 {
    (x * 10_000.0).round() / 10_000.0
}

/// The area under the curve: how often a won lead ranks above a lost one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auc {
    /// The area, ties counted half.
    pub value: f64,
    /// Where it lies with 95 % confidence.
    pub interval: Interval,
}

/// Gives the area under the curve with its interval; none without a win or without a loss.
///
/// The area is the mean over all pairs of a won and a lost lead of 1 where the won one ranks higher and ½ where both
/// rank the same. Its variance is that of E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson: Comparing the areas under
/// two or more correlated receiver operating characteristic curves: a nonparametric approach. Biometrics 44 (1988),
/// 837–845: with V10 of a won lead the share of lost leads that it beats, and V01 of a lost lead the share of won ones
/// that beat it, it is var(V10) / wins + var(V01) / losses. All leads of a rank share their V, so one walk is enough.
///
/// Where there is nothing to vary, since the ranks separate wins and losses completely or there is but one of a kind,
/// that variance is zero or undefined. The interval is then Wilson's with as many trials as there are of the rarer kind.
#[must_use]
pub fn auc(histogram: &Histogram) -> Option<Auc> {
    let total = histogram.total();
    if total.positive == 0 || total.negative == 0 {
        return None;
    }
    let (wins, losses) = (float(total.positive), float(total.negative));
    // Of each rank: wins, losses, V10 and V01.
    let (mut wins_below, mut losses_below) = (0.0, 0.0);
    let placed: Vec<(f64, f64, f64, f64)> = histogram
        .0
        .values()
        .map(|tally| {
            let (won, lost) = (float(tally.positive), float(tally.negative));
            let beats = (losses_below + lost / 2.0) / losses;
            let beaten = (wins - wins_below - won / 2.0) / wins;
            wins_below += won;
            losses_below += lost;
            (won, lost, beats, beaten)
        })
        .collect();
    let value = placed.iter().map(|(won, _, beats, _)| won * beats).sum::<f64>() / wins;
    let spread = |n: f64, sum: f64| if n > 1.0 { sum / (n - 1.0) } else { 0.0 };
    let v10 = spread(wins, placed.iter().map(|(won, _, beats, _)| won * (beats - value).powi(2)).sum());
    let v01 = spread(losses, placed.iter().map(|(_, lost, _, beaten)| lost * (beaten - value).powi(2)).sum());
    let half = Z95 * (v10 / wins + v01 / losses).sqrt();
    let rarer = wins.min(losses);
    let interval = if half < 1e-9 || rarer < 2.0 {
        wilson(value * rarer, rarer)?
    } else {
        Interval { low: (value - half).max(0.0), high: (value + half).min(1.0) }
    };
    Some(Auc { value, interval })
}

/// Some leads of a ranking, those at its edge in part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slice {
    /// How many leads.
    pub leads: f64,
    /// How many of them were won.
    pub wins: f64,
}

impl Slice {
    /// Gives the win rate.
    #[must_use]
    pub fn win_rate(&self) -> Option<f64> {
        (self.leads > 0.0).then(|| self.wins / self.leads)
    }
}

/// Gives the judged leads between two shares of the ranking, best first: `0.0` to `0.1` are the best tenth. Leads that
/// share a rank are cut through, each giving an equal part.
#[must_use]
pub fn slice(histogram: &Histogram, from: f64, to: f64) -> Slice {
    let all = float(histogram.total().judged());
    let (from, to) = (from * all, to * all);
    let (mut above, mut slice) = (0.0, Slice::default());
    for tally in histogram.0.values().rev() {
        let leads = float(tally.judged());
        let taken = (to.min(above + leads) - from.max(above)).max(0.0);
        if taken > 0.0 {
            slice.leads += taken;
            slice.wins += float(tally.positive) * taken / leads;
        }
        above += leads;
    }
    slice
}

/// Gives how many times as many wins there are among the best of the ranking as among all; `0.1` is the best tenth.
#[must_use]
pub fn lift(histogram: &Histogram, best: f64) -> Option<f64> {
    let base = histogram.total().win_rate().share().filter(|base| *base > 0.0)?;
    Some(slice(histogram, 0.0, best).win_rate()? / base)
}

/// Gives the tenths of the ranking, best first, for an answer.
#[must_use]
pub fn tenths(histogram: &Histogram) -> Value {
    let tenth = |n: u32| {
        let slice = slice(histogram, f64::from(n) / 10.0, f64::from(n + 1) / 10.0);
        let interval = wilson(slice.wins, slice.leads);
        json!({
            "tenth": n + 1,
            "leads": rounded(slice.leads),
            "wins": rounded(slice.wins),
            "win_rate": slice.win_rate().map(rounded),
            "low": interval.map(|interval| rounded(interval.low)),
            "high": interval.map(|interval| rounded(interval.high)),
        })
    };
    (0..10).map(tenth).collect()
}

/// Gives the area for an answer.
#[must_use]
pub fn auc_json(auc: Option<Auc>) -> Value {
    json!({
        "value": auc.map(|auc| rounded(auc.value)),
        "low": auc.map(|auc| rounded(auc.interval.low)),
        "high": auc.map(|auc| rounded(auc.interval.high)),
    })
}

/// Says that there are too few to conclude, where there are.
#[must_use]
pub fn too_few(histogram: &Histogram) -> Option<String> {
    let total = histogram.total();
    let counted = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let few = match (total.positive < ENOUGH, total.negative < ENOUGH) {
        (false, false) => return None,
        (true, false) => counted(total.positive, "win", "wins"),
        (false, true) => counted(total.negative, "loss", "losses"),
        (true, true) => format!(
            "{} and {}",
            counted(total.positive, "win", "wins"),
            counted(total.negative, "loss", "losses")
        ),
    };
    Some(match auc(histogram) {
        Some(auc) => {
            format!("too few to conclude: {few}; the AUC's interval is {:.2} wide", auc.interval.width())
        }
        None => format!("too few to conclude: {few}; there is no AUC"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Makes a histogram of (rank, wins, losses).
    fn histogram(bars: &[(u16, u64, u64)]) -> Histogram {
        let tally = |(rank, positive, negative): &(u16, u64, u64)| {
            (*rank, Tally { positive: *positive, negative: *negative, censored: 5 })
        };
        Histogram(bars.iter().map(tally).collect())
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_area_and_its_interval_are_those_counted_by_hand() {
        // Wins at 3 and 1, losses at 2 and 0: three of four pairs are in order. V10 = (1, ½), V01 = (½, 1): each varies
        // by ⅛, so the variance is ⅛ / 2 + ⅛ / 2 = ⅛.
        let auc = auc(&histogram(&[(0, 0, 1), (1, 1, 0), (2, 0, 1), (3, 1, 0)])).unwrap();
        assert!(close(auc.value, 0.75));
        assert!(close(auc.interval.low, 0.75 - Z95 * 0.125_f64.sqrt()) && close(auc.interval.high, 1.0));
        // All of one rank: every pair counts half.
        let tied = super::auc(&histogram(&[(7, 3, 9)])).unwrap();
        assert!(close(tied.value, 0.5) && tied.interval.width() > 0.5);
    }

    #[test]
    fn a_tie_between_some_counts_half() {
        // Wins at 2, 2, 1; losses at 2, 0, 0, 0: pairs 3.5 + 3.5 + 3 of 12. V10 = ⅞, ⅞, ¾ about ⅚;
        // V01 = ⅓ (one tie in three of wins at 2: ½ + ½ + 0), 1, 1, 1.
        let auc = auc(&histogram(&[(0, 0, 3), (1, 1, 0), (2, 2, 1)])).unwrap();
        assert!(close(auc.value, 10.0 / 12.0));
        let mean: f64 = 10.0 / 12.0;
        let v10 = (2.0 * (0.875 - mean) * (0.875 - mean) + (0.75 - mean) * (0.75 - mean)) / 2.0;
        let v01 = ((1.0 / 3.0 - mean) * (1.0 / 3.0 - mean) + 3.0 * (1.0 - mean) * (1.0 - mean)) / 3.0;
        assert!(close(auc.interval.low, mean - Z95 * (v10 / 3.0 + v01 / 4.0).sqrt()));
    }

    #[test]
    fn complete_separation_does_not_make_few_leads_certain() {
        let auc = auc(&histogram(&[(10, 0, 12), (90, 12, 0)])).unwrap();
        assert!(close(auc.value, 1.0));
        assert!(auc.interval.low < 0.80, "{auc:?}");
        assert!(super::auc(&histogram(&[(10, 0, 12)])).is_none());
    }

    proptest! {
        #[test]
        fn the_area_is_that_of_all_pairs(
            wins in prop::collection::vec(0_u16..20, 1..40), losses in prop::collection::vec(0_u16..20, 1..40)
        ) {
            let mut histogram = Histogram::default();
            wins.iter().for_each(|rank| histogram.add(*rank, Class::Positive));
            losses.iter().for_each(|rank| histogram.add(*rank, Class::Negative));
            let pairs: f64 = wins.iter().flat_map(|win| losses.iter().map(move |loss| match win.cmp(loss) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            })).sum();
            let auc = auc(&histogram).unwrap();
            prop_assert!(close(auc.value, pairs / (wins.len() * losses.len()) as f64));
            prop_assert!(auc.interval.low <= auc.value + 1e-9 && auc.value <= auc.interval.high + 1e-9);
            let tenths: f64 = (0..10).map(|n| {
                slice(&histogram, f64::from(n) / 10.0, f64::from(n + 1) / 10.0).wins
            }).sum();
            prop_assert!(close(tenths, wins.len() as f64));
        }
    }

    #[test]
    fn wilson_gives_the_intervals_of_the_textbook() {
        let interval = wilson(81.0, 263.0).unwrap();
        // Newcombe (1998), Statistics in Medicine 17: 81 of 263 lies between 0.2553 and 0.3662.
        assert!((interval.low - 0.2553).abs() < 5e-5 && (interval.high - 0.3662).abs() < 5e-5);
        let none = wilson(0.0, 20.0).unwrap();
        assert!(none.low.abs() < 1e-12 && (none.high - 0.1611).abs() < 5e-5);
        assert_eq!(wilson(0.0, 0.0), None);
    }

    #[test]
    fn leads_of_one_rank_share_the_edge_of_a_tenth() {
        // Ten leads: the best two share a rank and one of them won, so the best tenth holds half a win.
        let histogram = histogram(&[(1, 1, 7), (9, 1, 1)]);
        assert_eq!(slice(&histogram, 0.0, 0.1), Slice { leads: 1.0, wins: 0.5 });
        assert!(close(lift(&histogram, 0.1).unwrap(), 2.5) && close(lift(&histogram, 0.2).unwrap(), 2.5));
        assert_eq!(lift(&super::tests::histogram(&[(1, 0, 4)]), 0.1), None);
    }

    #[test]
    fn too_few_is_said_with_the_width_of_the_interval() {
        assert_eq!(
            too_few(&histogram(&[(1, 2, 60), (5, 10, 10)])).unwrap(),
            "too few to conclude: 12 wins; the AUC's interval is 0.24 wide"
        );
        assert_eq!(
            too_few(&histogram(&[(1, 0, 1)])).unwrap(),
            "too few to conclude: 0 wins and 1 loss; there is no AUC"
        );
        assert_eq!(too_few(&histogram(&[(1, 30, 30)])), None);
    }

    #[test]
    fn a_histogram_reads_back_from_json() {
        let histogram = histogram(&[(0, 1, 0), (200, 3, 4)]);
        let json = serde_json::to_value(&histogram).unwrap();
        assert_eq!(json, json!({"0": [1, 0, 5], "200": [3, 4, 5]}));
        assert_eq!(serde_json::from_value::<Histogram>(json).unwrap(), histogram);
    }
}
