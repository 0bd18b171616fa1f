//! What a treatment did: leads that had it against leads that were held out by lot.
//!
//! # Strata
//!
//! The lot makes the two arms alike, in what is known of leads and in what is not, and gives both the same time to show
//! what becomes of them. It does so among leads that were drawn with the same share. Where the share changed, from a tenth
//! in spring to a half in autumn, spring's leads fill the one arm and autumn's the other, and all of them thrown together
//! tell spring from autumn (E. H. Simpson: The interpretation of interaction in contingency tables. J. R. Stat. Soc. B 13
//! (1951)). So arms are compared share by share, and the differences are averaged with the weights of N. Mantel and
//! W. Haenszel (J. Natl. Cancer Inst. 22 (1959)), n₁n₀ / (n₁ + n₀): by the share and nothing else, since the chance of a lead
//! to be drawn is all that has to be equal (P. R. Rosenbaum, D. B. Rubin: The central role of the propensity score.
//! Biometrika 70 (1983)). A weighted arm counts as [so many leads](Arm::size) as an unweighted one of the same variance would
//! have (L. Kish: Survey Sampling, 1965); with one stratum, as it nearly always is, nothing of this changes a number.
//!
//! # Intervals
//!
//! * Of shares, Newcombe's: the Wilson intervals of both arms, put together (R. G. Newcombe: Interval estimation for the
//!   difference between independent proportions: comparison of eleven methods. Stat. Med. 17 (1998), method 10). It holds for
//!   few leads, and for none or all of them.
//! * Of money, most leads bring nothing and few bring very much. The variance of a small arm that happened to miss the large
//!   deals is too small, just when its mean is: the usual interval (Welch's) of a holdout of a tenth then holds in 85 to
//!   90 % rather than 95. So what a won lead brings is estimated from the winners of both arms together, and only how many are
//!   won from each arm itself, with two of each kind added (A. Agresti, B. A. Coull: Approximate is better than “exact”.
//!   Am. Stat. 52 (1998)). A revenue per lead that is S with probability p has the variance p·var(S) + p(1 − p)·mean(S)².
//!   The tests show how often it holds.
//!
//! # When an effect is claimed
//!
//! A 95 % interval misses zero in one of twenty looks where there is no effect. Two things make that worse here, and both are
//! accounted for. Several figures are looked at: S. Holm's procedure (A simple sequentially rejective multiple test procedure.
//! Scand. J. Stat. 6 (1979)) makes it one in twenty for all of them together. And a report is read again and again until
//! something shows. So a claim needs more than an interval: it has to lie beyond a boundary that a difference of nothing
//! crosses *ever*, at any of all looks, in one of twenty programs: that of H. Robbins (Statistical methods related to the law
//! of the iterated logarithm. Ann. Math. Stat. 41 (1970)); see S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon: Time-uniform,
//! nonparametric, nonasymptotic confidence sequences. Ann. Stat. 49 (2021), §3.2. It lies at three to three and a half
//! standard errors and costs about twice as many leads as one look at a time fixed before.

use crate::measure::{ENOUGH, Interval, Rate, Z95, float, wilson_at};
use domain::funnel::Durations;
use std::collections::BTreeMap;

/// How seldom an effect may be claimed where there is none, over all figures and looks together.
const ALPHA: f64 = 0.05;
/// How many standard errors a difference has to lie beyond a boundary to be found in four of five cases.
const Z80: f64 = 0.841_621_233_572_914_3;
/// At how much information the boundary begins to be as near as it gets, in events that a half of all leads had: five times
/// as much, and far beyond, it hardly moves.
const TUNED_FOR: f64 = 5.0;
/// The most times as many leads of which is said that they would tell.
const MOST_TIMES: f64 = 1_000.0;

/// Two arms of leads that were drawn with the same share.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pair<T> {
    /// Those who had the treatment.
    pub treated: T,
    /// Those who were held out.
    pub control: T,
}

/// The leads of an arm with what the won ones brought.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Earned {
    /// How many leads.
    pub leads: u64,
    /// What each lead that was won brought.
    pub won: Vec<f64>,
}

/// An arm over all strata: its weighted share, or mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arm {
    /// The share of leads, or what a lead brought on average.
    pub value: f64,
    /// Of how many leads; fewer than there are where the weights of strata differ.
    pub size: f64,
}

/// How wide an interval is, given by how many standard errors it shall reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    Newcombe,
    Normal(f64),
}

/// Two arms compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Those who had the treatment.
    pub treated: Arm,
    /// Those who were held out.
    pub control: Arm,
    spread: Spread,
    information: f64,
}

/// Gives the weight of each stratum; none where no stratum has both arms.
fn weights(sizes: &[(u64, u64)]) -> Option<Vec<f64>> {
    let weight = |(treated, control): &(u64, u64)| {
        let (treated, control) = (float(*treated), float(*control));
        if treated * control > 0.0 { treated * control / (treated + control) } else { 0.0 }
    };
    let weights: Vec<f64> = sizes.iter().map(weight).collect();
    let all: f64 = weights.iter().sum();
    (all > 0.0).then(|| weights.iter().map(|weight| weight / all).collect())
}

/// Gives how many unweighted leads tell as much.
fn size(weights: &[f64], leads: impl Iterator<Item = u64>) -> f64 {
    let parts = weights.iter().zip(leads).filter(|(_, leads)| *leads > 0);
    1.0 / parts.map(|(weight, leads)| weight * weight / float(leads)).sum::<f64>()
}

fn arm(weights: &[f64], strata: impl Iterator<Item = (f64, u64)> + Clone) -> Arm {
    let parts = weights.iter().zip(strata.clone()).filter(|(_, (_, leads))| *leads > 0);
    Arm {
        value: parts.map(|(weight, (sum, leads))| weight * sum / float(leads)).sum(),
        size: size(weights, strata.map(|(_, leads)| leads)),
    }
}

/// Gives how much is known: of leads that count in both arms, and of these whether it happened.
fn information(strata: impl Iterator<Item = (Rate, Rate)>) -> f64 {
    let of = |(treated, control): (Rate, Rate)| {
        let (n1, n0) = (float(treated.of), float(control.of));
        let share = float(treated.hits + control.hits) / (n1 + n0);
        if n1 * n0 > 0.0 { n1 * n0 / (n1 + n0) * share * (1.0 - share) } else { 0.0 }
    };
    strata.map(of).sum()
}

/// Compares shares; none where no stratum has leads of both arms.
#[must_use]
pub fn shares(strata: &[Pair<Rate>]) -> Option<Comparison> {
    let sizes: Vec<(u64, u64)> = strata.iter().map(|pair| (pair.treated.of, pair.control.of)).collect();
    let weights = weights(&sizes)?;
    let counted = |rate: Rate| (float(rate.hits), rate.of);
    Some(Comparison {
        treated: arm(&weights, strata.iter().map(|pair| counted(pair.treated))),
        control: arm(&weights, strata.iter().map(|pair| counted(pair.control))),
        spread: Spread::Newcombe,
        information: information(strata.iter().map(|pair| (pair.treated, pair.control))),
    })
}

/// Compares what a lead brought on average; none where no stratum has leads of both arms, or fewer than [`ENOUGH`] leads of
/// both arms together were won: what a deal brings cannot be told from fewer.
#[must_use]
pub fn means(strata: &[Pair<Earned>]) -> Option<Comparison> {
    let sizes: Vec<(u64, u64)> = strata.iter().map(|pair| (pair.treated.leads, pair.control.leads)).collect();
    let weights = weights(&sizes)?;
    let won = || strata.iter().flat_map(|pair| pair.treated.won.iter().chain(&pair.control.won));
    let wins = won().count() as u64;
    if wins < ENOUGH {
        return None;
    }
    let mean = won().sum::<f64>() / float(wins);
    let variance = won().map(|amount| (amount - mean).powi(2)).sum::<f64>() / (float(wins) - 1.0);
    let earned = |earned: &Earned| (earned.won.iter().sum::<f64>(), earned.leads);
    let rate = |earned: &Earned| Rate { hits: earned.won.len() as u64, of: earned.leads };
    let treated = arm(&weights, strata.iter().map(|pair| earned(&pair.treated)));
    let control = arm(&weights, strata.iter().map(|pair| earned(&pair.control)));
    let paid = shares(
        &strata
            .iter()
            .map(|pair| Pair { treated: rate(&pair.treated), control: rate(&pair.control) })
            .collect::<Vec<_>>(),
    )?;
    let of = |arm: Arm| {
        let share = (arm.value * arm.size + 2.0) / (arm.size + 4.0);
        share.mul_add(variance, share * (1.0 - share) * mean * mean) / arm.size
    };
    let error = (of(paid.treated) + of(paid.control)).sqrt();
    Some(Comparison { treated, control, spread: Spread::Normal(error), information: paid.information })
}

impl Comparison {
    /// Gives by how much those who had the treatment are ahead.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.treated.value - self.control.value
    }

    /// Gives where the difference lies with 95 % confidence, for whoever looks once.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.interval_at(Z95)
    }

    fn interval_at(&self, z: f64) -> Interval {
        let difference = self.difference();
        let half = match self.spread {
            Spread::Normal(error) => Some((z * error, z * error)),
            Spread::Newcombe => {
                let wilson = |arm: Arm| wilson_at(arm.value * arm.size, arm.size, z);
                wilson(self.treated).zip(wilson(self.control)).map(|(treated, control)| {
                    let (one, other) = (self.treated.value, self.control.value);
                    (
                        (one - treated.low).hypot(control.high - other),
                        (treated.high - one).hypot(other - control.low),
                    )
                })
            }
        };
        let (below, above) = half.unwrap_or((f64::INFINITY, f64::INFINITY));
        Interval { low: difference - below, high: difference + above }
    }

    /// Tells whether the difference lies beyond the boundary that a difference of nothing crosses so seldom, at all looks
    /// together.
    fn crosses(&self, alpha: f64) -> bool {
        boundary(alpha, self.information).is_some_and(|z| {
            let interval = self.interval_at(z);
            interval.low > 0.0 || interval.high < 0.0
        })
    }

    /// Gives the standard error.
    fn error(&self) -> f64 {
        match self.spread {
            Spread::Normal(error) => error,
            Spread::Newcombe => {
                let variance = |arm: Arm| arm.value * (1.0 - arm.value) / arm.size;
                (variance(self.treated) + variance(self.control)).sqrt()
            }
        }
    }

    /// Gives what so many times as many leads of the same kinds would show.
    fn of_more(self, times: f64) -> Self {
        let more = |arm: Arm| Arm { size: arm.size * times, ..arm };
        let spread = match self.spread {
            Spread::Normal(error) => Spread::Normal(error / times.sqrt()),
            Spread::Newcombe => Spread::Newcombe,
        };
        let (treated, control) = (more(self.treated), more(self.control));
        Self { treated, control, spread, information: self.information * times }
    }

    /// Gives how many times as many leads, in the same proportion, would make a claim in four of five cases, if the
    /// difference is what it seems: it then lies beyond the boundary, and by as much more as luck takes away in one of five
    /// (J. L. Fleiss, B. Levin, M. C. Paik: Statistical Methods for Rates and Proportions, 3rd edition 2003, ch. 4). It is one
    /// of so many figures. None where no number in reach would.
    #[must_use]
    pub fn times_needed(&self, figures: usize) -> Option<f64> {
        let alpha = ALPHA / float(figures.max(1) as u64);
        let tells = |times: &f64| {
            let more = self.of_more(*times);
            let margin = Z80 * more.error();
            boundary(alpha, more.information).is_some_and(|z| {
                let interval = more.interval_at(z);
                interval.low >= margin || interval.high <= -margin
            })
        };
        // Coarse on purpose: steps of a tenth are finer than anybody can know it.
        std::iter::successors(Some(1.0), |times: &f64| Some(times * 1.1))
            .take_while(|times| *times <= MOST_TIMES)
            .find(tells)
    }
}

/// Gives how many standard errors a difference of nothing ever comes to with this probability, by when so much is known: the
/// boundary of a normal mixture.
fn boundary(alpha: f64, information: f64) -> Option<f64> {
    let known = information / TUNED_FOR;
    (known > 0.0).then(|| ((1.0 + 1.0 / known) * (known.ln_1p() - 2.0 * alpha.ln())).sqrt())
}

/// Tells which of the figures of one program show an effect. A figure that cannot be compared yet shows none and counts as one
/// that was looked at.
#[must_use]
pub fn claims(figures: &[Option<Comparison>]) -> Vec<bool> {
    let mut claimed = vec![false; figures.len()];
    // Holm: of those left, one beyond the boundary for as many as are left, and so on, until none is.
    loop {
        let left = claimed.iter().filter(|claimed| !**claimed).count();
        if left == 0 {
            return claimed;
        }
        let alpha = ALPHA / float(left as u64);
        let next = figures.iter().zip(&mut claimed).find(|(figure, claimed)| {
            !**claimed && figure.is_some_and(|comparison| comparison.crosses(alpha))
        });
        match next {
            Some((_, claimed)) => *claimed = true,
            None => return claimed,
        }
    }
}

/// How long leads of an arm waited until something happened, and how long those wait to whom it did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Waits {
    /// Of those to whom it happened, until it did.
    pub ended: Durations,
    /// Of all others, until now.
    pub lasting: Durations,
}

/// After how many hours something had happened to a share of leads, and between which hours that lies with 95 % confidence;
/// none where it is not yet to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// After how many hours.
    pub hours: Option<u16>,
    /// From.
    pub low: Option<u16>,
    /// To.
    pub high: Option<u16>,
}

impl Waits {
    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.ended.merge(other.ended);
        self.lasting.merge(other.lasting);
    }

    fn leads(&self) -> u64 {
        self.ended.count() + self.lasting.count()
    }
}

/// Gives after how many hours something had happened to so many percent of the leads of each arm; by E. L. Kaplan and
/// P. Meier (Nonparametric estimation from incomplete observations. J. Am. Stat. Assoc. 53 (1958)), so that those who came
/// late count for as long as they were seen. The interval is the one of R. Brookmeyer and J. Crowley (A confidence interval for
/// the median survival time. Biometrics 38 (1982)) with the variance of M. Greenwood on the scale log(−log S).
#[must_use]
pub fn reached(strata: &[Pair<Waits>], percent: [u64; 3]) -> Option<Pair<[Reached; 3]>> {
    let sizes: Vec<(u64, u64)> =
        strata.iter().map(|pair| (pair.treated.leads(), pair.control.leads())).collect();
    let weights = weights(&sizes)?;
    let of = |side: fn(&Pair<Waits>) -> &Waits| {
        // So weighted, the leads add up to as many as tell as much.
        let size = size(&weights, strata.iter().map(|pair| side(pair).leads()));
        let parts = weights.iter().zip(strata).filter(|(_, pair)| side(pair).leads() > 0);
        curve(parts.map(|(weight, pair)| (weight * size / float(side(pair).leads()), side(pair))), percent)
    };
    Some(Pair { treated: of(|pair| &pair.treated), control: of(|pair| &pair.control) })
}

fn curve<'a>(parts: impl Iterator<Item = (f64, &'a Waits)>, percent: [u64; 3]) -> [Reached; 3] {
    // Of each hour: to how many it happened, and how many were seen until then and no longer.
    let mut hours: BTreeMap<u16, (f64, f64)> = BTreeMap::new();
    for (weight, waits) in parts {
        for (hour, n) in waits.ended.places() {
            hours.entry(hour).or_default().0 += weight * float(n);
        }
        for (hour, n) in waits.lasting.places() {
            hours.entry(hour).or_default().1 += weight * float(n);
        }
    }
    let mut at_risk: f64 = hours.values().map(|(ended, lasting)| ended + lasting).sum();
    let (mut left, mut greenwood) = (1.0_f64, 0.0_f64);
    let mut reached = [Reached::default(); 3];
    for (hour, (ended, lasting)) in hours {
        // Leads of which nobody can tell any more are what rounding leaves.
        if ended > 0.0 && at_risk > 1e-9 {
            left *= (1.0 - ended / at_risk).max(0.0);
            greenwood += ended / (at_risk * (at_risk - ended)).max(1e-9);
            let half = Z95 * greenwood.sqrt() / left.ln().abs();
            // What is left, at most and at least, with 95 % confidence.
            let (most, least) = (left.powf((-half).exp()), left.powf(half.exp()));
            for (found, percent) in reached.iter_mut().zip(percent) {
                let wanted = 1.0 - float(percent) / 100.0 + 1e-12;
                let note = |place: &mut Option<u16>, left: f64| {
                    if left <= wanted {
                        place.get_or_insert(hour);
                    }
                };
                note(&mut found.hours, left);
                note(&mut found.low, least);
                note(&mut found.high, most);
            }
        }
        at_risk -= ended + lasting;
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use domain::time::{DAY_MS, HOUR_MS};

    /// How often a world is drawn.
    const SEEDS: u64 = 200;

    fn rate(hits: u64, of: u64) -> Rate {
        Rate { hits, of }
    }

    fn pair(treated: Rate, control: Rate) -> Pair<Rate> {
        Pair { treated, control }
    }

    #[test]
    fn intervals_are_those_that_newcombe_published() {
        // Table II, method 10.
        for ((one, other), (low, high)) in [
            ((rate(56, 70), rate(48, 80)), (0.0524, 0.3339)),
            ((rate(9, 10), rate(3, 10)), (0.1705, 0.8090)),
            ((rate(6, 7), rate(2, 7)), (0.0582, 0.8062)),
            ((rate(5, 56), rate(0, 29)), (-0.0381, 0.1926)),
            ((rate(0, 10), rate(0, 20)), (-0.1611, 0.2775)),
            ((rate(0, 10), rate(0, 10)), (-0.2775, 0.2775)),
            ((rate(10, 10), rate(0, 20)), (0.6791, 1.0)),
            ((rate(10, 10), rate(0, 10)), (0.6075, 1.0)),
        ] {
            let found = shares(&[pair(one, other)]).unwrap().interval();
            assert!((found.low - low).abs() < 6e-5 && (found.high - high).abs() < 6e-5, "{one:?}: {found:?}");
        }
        assert!(shares(&[pair(rate(3, 9), rate(0, 0))]).is_none() && shares(&[]).is_none());
    }

    #[test]
    fn what_only_the_changed_share_makes_of_two_arms_is_no_difference() {
        // In spring a tenth was held out and 40 % became ready, in autumn a half and 10 %: in each no difference at all.
        let strata = [pair(rate(360, 900), rate(40, 100)), pair(rate(50, 500), rate(50, 500))];
        let found = shares(&strata).unwrap();
        assert!(found.difference().abs() < 1e-12, "{found:?}");
        let expected = found.interval();
        // Thrown together they tell spring from autumn: 29 % against 15 %.
        let together = shares(&[pair(rate(410, 1_400), rate(90, 600))]).unwrap();
        assert!(together.interval().low > 0.1);
        // A stratum weighs n₁n₀ / (n₁ + n₀): here 10 and 100.
        let found = shares(&[pair(rate(10, 20), rate(0, 20)), pair(rate(0, 200), rate(0, 200))]).unwrap();
        assert!((found.difference() - 0.5 * 10.0 / 110.0).abs() < 1e-12);
        // A time in which nobody was held out compares with nothing, and strata of one share are one.
        let more = [strata[0].clone(), strata[1].clone(), pair(rate(99, 100), rate(0, 0))];
        assert_eq!(shares(&more).unwrap().interval(), expected);
        let halves = [pair(rate(20, 80), rate(10, 40)), pair(rate(20, 80), rate(10, 40))];
        let (halves, whole) =
            (shares(&halves).unwrap(), shares(&[pair(rate(40, 160), rate(20, 80))]).unwrap());
        assert!((halves.interval().low - whole.interval().low).abs() < 1e-12);
        assert!((halves.treated.size - 160.0).abs() < 1e-9);
    }

    /// A world in which leads are nurtured, or not.
    #[derive(Clone, Copy)]
    struct World {
        leads: u32,
        /// How many of a hundred are held out.
        holdout: u64,
        /// Of those held out, the share that becomes ready, and the share that is won.
        ready: f64,
        won: f64,
        /// By how much these shares are larger of those nurtured.
        more_ready: f64,
        more_won: f64,
        /// How much amounts vary: the standard deviation of their logarithm.
        spread: f64,
    }

    const PLAIN: World = World {
        leads: 2_000,
        holdout: 50,
        ready: 0.20,
        won: 0.05,
        more_ready: 0.0,
        more_won: 0.0,
        spread: 1.0,
    };

    /// What becomes of a lead, by day.
    struct Life {
        held_out: bool,
        eligible: f64,
        ready: Option<f64>,
        won: Option<(f64, f64)>,
    }

    impl World {
        fn with_effect(self) -> Self {
            Self { more_ready: 0.08, more_won: 0.03, ..self }
        }

        fn lives(&self, dice: &mut Dice) -> Vec<Life> {
            let life = |_| {
                let held_out = dice.next() % 100 < self.holdout;
                let (ready, won) = if held_out { (0.0, 0.0) } else { (self.more_ready, self.more_won) };
                let (ready, won) = (self.ready + ready, self.won + won);
                let eligible = dice.part() * 365.0;
                let becomes = dice.part() <= ready;
                let ready_at = eligible - 60.0 * dice.part().ln();
                let buys = becomes && dice.part() <= won / ready;
                let normal = (-2.0 * dice.part().ln()).sqrt() * (std::f64::consts::TAU * dice.part()).cos();
                let amount = (1_000.0 * (self.spread * normal).exp()).round();
                let won = buys.then(|| (ready_at + 90.0 * dice.part(), amount));
                Life { held_out, eligible, ready: becomes.then_some(ready_at), won }
            };
            (0..self.leads).map(life).collect()
        }

        /// What nurturing truly changes: ready, won, revenue.
        fn truth(&self) -> [f64; 3] {
            let amount = 1_000.0 * (self.spread * self.spread / 2.0).exp();
            [self.more_ready, self.more_won, self.more_won * amount]
        }
    }

    /// The figures of a report that is read on a day.
    fn figures(lives: &[Life], day: f64) -> [Option<Comparison>; 3] {
        let arm = |held_out: bool| {
            let arm = || lives.iter().filter(move |life| life.held_out == held_out && life.eligible <= day);
            let leads = arm().count() as u64;
            let ready = arm().filter(|life| life.ready.is_some_and(|at| at <= day)).count() as u64;
            let won = arm().filter_map(|life| life.won).filter(|(at, _)| *at <= day);
            let won: Vec<f64> = won.map(|(_, amount)| amount).collect();
            (rate(ready, leads), rate(won.len() as u64, leads), Earned { leads, won })
        };
        let (treated, control) = (arm(false), arm(true));
        [
            shares(&[pair(treated.0, control.0)]),
            shares(&[pair(treated.1, control.1)]),
            means(&[Pair { treated: treated.2, control: control.2 }]),
        ]
    }

    /// What two hundred reports say that are read once, when all has come to its end.
    #[derive(Default)]
    struct Found {
        /// Of each figure, how many have an interval, and how many of these hold the truth.
        intervals: [[u32; 2]; 3],
        /// How many claim any effect, and how many claim each.
        any: u32,
        each: [u32; 3],
    }

    fn read_once(world: &World) -> Found {
        let mut found = Found::default();
        for seed in 0..SEEDS {
            let figures =
                figures(&world.lives(&mut Dice(seed * 977 + u64::from(world.leads))), f64::INFINITY);
            for ((figure, truth), [all, held]) in figures.iter().zip(world.truth()).zip(&mut found.intervals)
            {
                let Some(interval) = figure.map(|figure| figure.interval()) else { continue };
                *all += 1;
                *held += u32::from((interval.low..=interval.high).contains(&truth));
            }
            let claims = claims(&figures);
            found.any += u32::from(claims.contains(&true));
            for (n, claimed) in found.each.iter_mut().zip(claims) {
                *n += u32::from(claimed);
            }
        }
        found
    }

    /// Worlds of many and of few leads, with holdouts of a half and a tenth, in which much happens and little.
    const WORLDS: [World; 7] = [
        PLAIN,
        World { leads: 600, ..PLAIN },
        World { leads: 5_000, holdout: 10, ..PLAIN },
        World { leads: 1_500, holdout: 10, ..PLAIN },
        World { ready: 0.40, won: 0.15, ..PLAIN },
        World { leads: 4_000, ready: 0.06, won: 0.015, ..PLAIN },
        World { leads: 5_000, holdout: 10, spread: 1.5, ..PLAIN },
    ];

    /// Prints what was measured, for docs/reports.md.
    fn told(world: &World, found: &Found) -> String {
        let World { leads, holdout, ready, won, .. } = world;
        let percent = |n: u32, of: u32| {
            if of == 0 { "none".to_owned() } else { format!("{:.1} %", f64::from(n) * 100.0 / f64::from(of)) }
        };
        let held = found.intervals.map(|[all, held]| format!("{} of {all}", percent(held, all)));
        let each = found.each.map(|n| percent(n, SEEDS as u32));
        let any = percent(found.any, SEEDS as u32);
        format!(
            "{leads} leads, {holdout} % held out, ready {ready}, won {won}: claims {any} (ready, won, revenue: {each:?}), intervals hold in {held:?}"
        )
    }

    #[test]
    fn without_an_effect_hardly_a_report_claims_one_and_intervals_hold_zero() {
        for world in WORLDS {
            let found = read_once(&world);
            println!("no effect: {}", told(&world, &found));
            assert!(found.any * 100 <= 9 * SEEDS as u32);
            assert!(found.intervals.iter().all(|[all, held]| held * 100 >= 91 * all));
        }
    }

    #[test]
    fn with_a_known_effect_the_intervals_hold_it() {
        for world in WORLDS.map(World::with_effect) {
            let found = read_once(&world);
            println!("effect: {}", told(&world, &found));
            assert!(found.intervals.iter().all(|[all, held]| held * 100 >= 91 * all));
            assert!(found.intervals.iter().all(|[all, _]| *all > SEEDS as u32 / 2), "most can be judged");
        }
        // And where there are enough leads it is found.
        let found = read_once(&World { leads: 6_000, ..PLAIN }.with_effect());
        println!("found: {}", told(&World { leads: 6_000, ..PLAIN }, &found));
        assert!(found.each[0] as u64 * 100 >= 99 * SEEDS && found.each[1] as u64 * 100 >= 80 * SEEDS);
    }

    #[test]
    fn who_reads_it_every_week_of_two_years_is_hardly_ever_misled() {
        for world in [PLAIN, World { leads: 4_000, holdout: 10, ..PLAIN }] {
            let (mut ever, mut by_intervals) = (0, 0);
            for seed in 0..SEEDS {
                let lives = world.lives(&mut Dice(seed * 31 + 7));
                let weeks = (1..=104).map(|week| figures(&lives, f64::from(week) * 7.0));
                let (mut claimed, mut looked_so) = (false, false);
                for figures in weeks {
                    claimed |= claims(&figures).contains(&true);
                    looked_so |= figures.iter().flatten().any(|figure| {
                        let interval = figure.interval();
                        interval.low > 0.0 || interval.high < 0.0
                    });
                }
                ever += u64::from(claimed);
                by_intervals += u64::from(looked_so);
            }
            println!(
                "read every week, {} leads, {} % held out: {} of {SEEDS} ever claim; an interval misses zero in {by_intervals}",
                world.leads, world.holdout, ever
            );
            assert!(ever * 100 <= 9 * SEEDS);
            // Were it not for the boundary, most would be misled sooner or later.
            assert!(by_intervals * 100 >= 30 * SEEDS);
        }
    }

    #[test]
    fn few_leads_claim_nothing_and_say_how_many_more_it_takes() {
        let found = shares(&[pair(rate(34, 120), rate(6, 30))]).unwrap();
        assert_eq!(claims(&[Some(found), None, None]), [false, false, false]);
        let times = found.times_needed(3).unwrap();
        // By hand: a difference of 8.33 points with a standard error of 8.38, which so many times as many leads make so many
        // times as small.
        assert!((10.0..30.0).contains(&times), "{times}");
        // With so many leads it is indeed found in about four of five cases: the difference lies so far beyond.
        let more = |n: u64| (n as f64 * times).round() as u64;
        let then = shares(&[pair(rate(more(34), more(120)), rate(more(6), more(30)))]).unwrap();
        assert_eq!(claims(&[Some(then), None, None]), [true, false, false]);
        // No difference is never found.
        assert!(shares(&[pair(rate(10, 50), rate(10, 50))]).unwrap().times_needed(3).is_none());
        // Nobody is certain by a handful, whatever the handful says.
        let handful = shares(&[pair(rate(6, 6), rate(0, 6))]).unwrap();
        assert!(handful.interval().low > 0.0 && !claims(&[Some(handful)])[0]);
        assert!(
            means(&[Pair {
                treated: Earned { leads: 500, won: vec![5.0; 29] },
                control: Earned { leads: 500, won: vec![] }
            }])
            .is_none()
        );
    }

    #[test]
    fn with_as_many_leads_as_it_is_said_to_take_four_of_five_reports_find_it() {
        // 28 % against 20 %, a tenth held out, in numbers from which nothing can be told yet.
        let found = shares(&[pair(rate(126, 450), rate(10, 50))]).unwrap();
        let times = found.times_needed(3).unwrap();
        let mut dice = Dice(5);
        let mut drawn = |of: f64, share: f64| {
            let of = (of * times).round() as u64;
            rate((0..of).filter(|_| dice.part() <= share).count() as u64, of)
        };
        let claimed = (0..SEEDS).filter(|_| {
            let found = shares(&[pair(drawn(450.0, 0.28), drawn(50.0, 0.20))]);
            claims(&[found, None, None])[0]
        });
        let claimed = claimed.count() as u64;
        println!("{times:.1} times as many leads: {claimed} of {SEEDS} claim it");
        assert!((72..=90).contains(&(claimed * 100 / SEEDS)));
    }

    #[test]
    fn figures_that_are_clear_make_room_for_others() {
        let clear = shares(&[pair(rate(600, 1_000), rate(400, 1_000))]).unwrap();
        // Beyond the boundary for one or two figures and not for three.
        let near = |hits| shares(&[pair(rate(hits, 1_000), rate(200, 1_000))]).unwrap();
        let hits = (200..300).find(|hits| near(*hits).crosses(ALPHA / 2.0)).unwrap();
        let near = near(hits);
        assert!(!near.crosses(ALPHA / 3.0));
        assert_eq!(claims(&[None, Some(near), None]), [false, false, false]);
        assert_eq!(claims(&[Some(clear), Some(near), None]), [true, true, false]);
        // A harm is claimed as well.
        let harm = shares(&[pair(rate(400, 1_000), rate(600, 1_000))]).unwrap();
        assert!(claims(&[Some(harm)])[0] && harm.difference() < 0.0);
    }

    #[test]
    fn waiting_times_are_those_of_a_known_trial() {
        // E. J. Freireich and others (Blood 21 (1963)): remission in weeks with 6-MP, and with a placebo; here in days.
        let of = |ended: &[i64], lasting: &[i64]| {
            let mut waits = Waits::default();
            ended.iter().for_each(|at| waits.ended.add(at * HOUR_MS));
            lasting.iter().for_each(|at| waits.lasting.add(at * HOUR_MS));
            waits
        };
        let treated = of(&[6, 6, 6, 7, 10, 13, 16, 22, 23], &[6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]);
        let control = of(&[1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], &[]);
        let strata = [Pair { treated, control }];
        let found = reached(&strata, [25, 50, 99]).unwrap();
        let at = |hours, low, high| Reached { hours, low, high };
        assert_eq!(found.treated[1], at(Some(23), Some(13), None));
        assert_eq!(found.control[1], at(Some(8), Some(4), Some(11)));
        assert_eq!(found.treated[0].hours, Some(13));
        assert_eq!(found.treated[2], Reached::default());
        // Two strata of the same leads tell the same, more surely.
        let twice = reached(&[strata[0].clone(), strata[0].clone()], [25, 50, 99]).unwrap();
        assert_eq!(twice.treated[1].hours, Some(23));
        assert!(
            twice.control[1].low >= found.control[1].low && twice.control[1].high <= found.control[1].high
        );
        assert!(
            reached(&[Pair { treated: Waits::default(), control: of(&[1], &[]) }], [25, 50, 99]).is_none()
        );
        let mut late = Waits::default();
        late.ended.add(400 * DAY_MS);
        assert_eq!(late.leads(), 1);
    }
}
