//! How well groups of leads tell won from lost, and which of two ways of grouping tells more.
//!
//! The measure is the information value ([`information_value`]): how far the winners' spread over the groups differs from
//! the others'. Two things make it lie. Chance: groups that mean nothing have one, too, which grows with their number and
//! with how few leads there are. With k groups, W wins and L losses it is about (k − 1)(1/W + 1/L), the mean of the χ²
//! distribution to which the information value times WL/(W + L) tends; so many small groups look better than few large
//! ones. And spread: another year's leads would have given another number.
//!
//! So each value comes with what chance alone gives, and with a 95 % interval of what lies beyond that. The interval is a
//! *basic bootstrap* one (A. C. Davison, D. V. Hinkley: Bootstrap Methods and their Application, 1997, §5.2): leads are
//! drawn anew, as many as there are, with replacement, and from the value it is judged how far such draws lie from it. A
//! draw from leads that were drawn before adds the bias of chance a second time, by which the basic interval is put
//! right. Drawing one by one costs too much for a hundred thousand leads, so the number of each kind is drawn from a
//! Poisson distribution about what it is (J. A. Hanley, B. MacGibbon: Creating non-parametric bootstrap samples using
//! Poisson frequencies. Comput. Methods Programs Biomed. 83 (2006) 57–62).
//!
//! Two ways of grouping are compared on the same leads, drawn together: a draw with many lucky leads flatters both, and
//! only the difference counts. The dice start from the same number each time, so that the same leads give the same answer.

use crate::bins::{Count, information_value};
use crate::dice::Dice;
use crate::measure::{ENOUGH, Interval};
use std::collections::BTreeMap;

/// How often leads are drawn anew.
const DRAWS: usize = 999;

/// Leads by their group in one way of grouping and in another.
pub type Crossed = BTreeMap<(usize, usize), Count>;

/// How well groups separate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separation {
    /// The information value, as it was counted.
    pub value: f64,
    /// What groups that mean nothing would have on average.
    pub by_chance: f64,
    /// Where what lies beyond chance is with 95 % confidence.
    pub interval: Interval,
}

impl Separation {
    /// Gives what lies beyond chance.
    #[must_use]
    pub fn beyond_chance(&self) -> f64 {
        self.value - self.by_chance
    }

    /// Tells whether chance is no explanation.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.interval.low > 0.0
    }
}

/// How much more one way of grouping tells than another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// What lies beyond chance in the one, less that in the other.
    pub value: f64,
    /// Where it is with 95 % confidence.
    pub interval: Interval,
}

impl Difference {
    /// Tells whether the interval leaves no doubt which one tells more.
    #[must_use]
    pub fn certain(&self) -> bool {
        self.interval.low > 0.0 || self.interval.high < 0.0
    }
}

/// Tells whether there are enough wins and losses to conclude anything.
#[must_use]
pub fn enough(all: Count) -> bool {
    u64::from(all.wins.min(all.losses())) >= ENOUGH
}

/// Judges groups; none without a win or without a loss.
#[must_use]
pub fn separation(groups: &[Count]) -> Option<Separation> {
    let by_chance = by_chance(groups)?;
    let value = information_value(groups);
    let cells: Vec<Count> = groups.to_vec();
    let interval = basic(value, &cells, &mut information_value);
    Some(Separation { value, by_chance, interval })
}

/// Judges two ways of grouping the same leads; none without a win or without a loss.
#[must_use]
pub fn difference(crossed: &Crossed) -> Option<Difference> {
    let sides = |side: fn(&(usize, usize)) -> usize| {
        let groups = crossed.keys().map(|place| side(place) + 1).max().unwrap_or(0);
        let places: Vec<usize> = crossed.keys().map(side).collect();
        (groups, places)
    };
    let (one, other) = (sides(|(one, _)| *one), sides(|(_, other)| *other));
    let cells: Vec<Count> = crossed.values().copied().collect();
    let (in_one, in_other) = (summed(&one, &cells), summed(&other, &cells));
    let by_chance = by_chance(&in_one)? - by_chance(&in_other)?;
    let mut of =
        |cells: &[Count]| information_value(&summed(&one, cells)) - information_value(&summed(&other, cells));
    let value = of(&cells);
    let interval = basic(value, &cells, &mut of);
    Some(Difference { value: value - by_chance, interval })
}

/// Adds up cells by their groups; groups that nobody is in are left out.
fn summed((groups, places): &(usize, Vec<usize>), cells: &[Count]) -> Vec<Count> {
    let mut sums = vec![Count::default(); *groups];
    for (place, cell) in places.iter().zip(cells) {
        if let Some(sum) = sums.get_mut(*place) {
            sum.leads += cell.leads;
            sum.wins += cell.wins;
        }
    }
    sums.retain(|sum| sum.leads > 0);
    sums
}

fn by_chance(groups: &[Count]) -> Option<f64> {
    let all: Count = groups.iter().copied().sum();
    if all.wins == 0 || all.losses() == 0 {
        return None;
    }
    let used = groups.iter().filter(|group| group.leads > 0).count();
    let used = u32::try_from(used.saturating_sub(1)).unwrap_or(u32::MAX);
    Some(f64::from(used) * (1.0 / f64::from(all.wins) + 1.0 / f64::from(all.losses())))
}

/// Gives the basic bootstrap interval of what is counted from cells.
fn basic(value: f64, cells: &[Count], of: &mut dyn FnMut(&[Count]) -> f64) -> Interval {
    let mut dice = Dice(0x5eed);
    let mut drawn: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let again: Vec<Count> = cells
                .iter()
                .map(|cell| {
                    let (wins, losses) = (dice.poisson(cell.wins), dice.poisson(cell.losses()));
                    Count { leads: wins + losses, wins }
                })
                .collect();
            of(&again)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    // Of 999 draws the 25th and the 975th: 2.5 % and 97.5 % of a thousand.
    let at = |place: usize| drawn.get(place).copied().unwrap_or(value);
    Interval { low: 2.0 * value - at(974), high: 2.0 * value - at(24) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(all: &[(u32, u32)]) -> Vec<Count> {
        all.iter().map(|(wins, losses)| Count { leads: wins + losses, wins: *wins }).collect()
    }

    /// Lets leads win by chance alone, one in three, in so many groups, and tells what is said of them.
    fn by_luck(dice: &mut Dice, leads: u32, kinds: u64) -> Vec<Count> {
        let mut all = vec![Count::default(); kinds as usize];
        for _ in 0..leads {
            all[(dice.next() % kinds) as usize].add(dice.next().is_multiple_of(3));
        }
        all
    }

    #[test]
    fn the_value_is_the_one_counted_by_hand() {
        // 30 of 40 wins and 10 of 60 losses in the first group, smoothed by a half.
        let found = separation(&groups(&[(30, 10), (10, 50)])).unwrap();
        let (w, l): (f64, f64) = (30.5 / 41.0, 10.5 / 61.0);
        let (v, m): (f64, f64) = (10.5 / 41.0, 50.5 / 61.0);
        let by_hand = (w - l) * (w / l).ln() + (v - m) * (v / m).ln();
        assert!((found.value - by_hand).abs() < 1e-12);
        assert!((found.by_chance - (1.0 / 40.0 + 1.0 / 60.0)).abs() < 1e-12);
        assert!(found.tells() && found.interval.low < found.beyond_chance());
        assert!(separation(&groups(&[(5, 0), (9, 0)])).is_none() && separation(&[]).is_none());
    }

    #[test]
    fn groups_that_mean_nothing_have_what_chance_gives_and_are_seldom_said_to_tell() {
        let mut dice = Dice(3);
        for kinds in [2, 12] {
            let found: Vec<Separation> =
                (0..200).map(|_| separation(&by_luck(&mut dice, 600, kinds)).unwrap()).collect();
            let mean = |of: fn(&Separation) -> f64| found.iter().map(of).sum::<f64>() / 200.0;
            let (value, by_chance) = (mean(|s| s.value), mean(|s| s.by_chance));
            assert!((value / by_chance - 1.0).abs() < 0.2, "{kinds}: {value} {by_chance}");
            // 95 % of them, give or take; the bootstrap errs to the side of caution here.
            assert!(found.iter().filter(|s| s.tells()).count() <= 10, "{kinds}");
        }
    }

    /// Leads of whom `a` is the cause, `b` a worse guess at it, and `c` means nothing.
    fn crowd(leads: u32) -> [Crossed; 2] {
        let mut dice = Dice(11);
        let (mut worse, mut luck) = (Crossed::new(), Crossed::new());
        for _ in 0..leads {
            let a = (dice.next() % 2) as usize;
            let b = if dice.next().is_multiple_of(3) { (dice.next() % 2) as usize } else { a };
            let c = (dice.next() % 20) as usize;
            let win = dice.next() % 10 < if a == 0 { 6 } else { 2 };
            worse.entry((a, b)).or_default().add(win);
            luck.entry((a, c)).or_default().add(win);
        }
        [worse, luck]
    }

    #[test]
    fn the_better_of_two_is_found_where_there_are_enough_leads_and_left_open_where_not() {
        let [worse, luck] = crowd(4_000);
        assert!(difference(&worse).unwrap().interval.low > 0.0);
        assert!(difference(&luck).unwrap().interval.low > 0.0);
        let turned: Crossed = worse.iter().map(|((a, b), count)| ((*b, *a), *count)).collect();
        assert!(difference(&turned).unwrap().interval.high < 0.0);
        let [few, _] = crowd(150);
        assert!(!difference(&few).unwrap().certain());
        assert!(difference(&Crossed::new()).is_none());
        // The same groups twice differ by nothing.
        let same: Crossed = [((0, 0), (30, 10)), ((1, 1), (10, 50))]
            .map(|(place, (wins, losses))| (place, Count { leads: wins + losses, wins }))
            .into();
        let none = difference(&same).unwrap();
        assert!(none.value.abs() < 1e-12 && !none.certain());
    }
}
