//! How long something took, over any number of leads, in little room.
//!
//! A median of durations needs all of them, or a sketch. This is the plainest sketch there is: whole hours up to 30 days,
//! whole days up to three years, and one place for what took longer: fewer than 1,800 places, whatever the number of leads.
//! Durations are rounded down to their place, and a quantile is the place that holds it, by nearest rank: so what is read
//! is never more than an hour too small up to 30 days, nor more than a day beyond. Two of them add up, in any order.

use crate::time::{DAY_MS, HOUR_MS};
use std::collections::BTreeMap;

/// Up to how many hours a duration is kept to the hour: 30 days.
const TO_THE_HOUR: i64 = 30 * 24;
/// The longest duration that is told from longer ones, in hours: three years.
pub const LONGEST_HOURS: i64 = 1_095 * 24;

/// How often something took how long.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Durations(BTreeMap<u16, u64>);

impl Durations {
    /// Counts a duration in milliseconds; one that ends before it begins took no time.
    pub fn add(&mut self, ms: i64) {
        let hours = (ms.max(0) / HOUR_MS).min(LONGEST_HOURS);
        let place = if hours < TO_THE_HOUR { hours } else { ms / DAY_MS * 24 };
        let place = u16::try_from(place.min(LONGEST_HOURS)).unwrap_or(u16::MAX);
        *self.0.entry(place).or_default() += 1;
    }

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (place, n) in other.0 {
            *self.0.entry(place).or_default() += n;
        }
    }

    /// Gives each place that was counted, in hours, with how often.
    pub fn places(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.iter().map(|(hours, n)| (*hours, *n))
    }

    /// Tells how many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// Gives the smallest number of hours that `percent` of all did not exceed; none where there are none. Of an even number
    /// the median is the lower one of the two in the middle.
    #[must_use]
    pub fn quantile(&self, percent: u64) -> Option<u16> {
        let all = self.count();
        let mut so_far = 0;
        self.0.iter().find_map(|(hours, n)| {
            so_far += n;
            (so_far.saturating_mul(100) >= all.saturating_mul(percent)).then_some(*hours)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(durations: &[i64]) -> Durations {
        let mut all = Durations::default();
        durations.iter().for_each(|ms| all.add(*ms));
        all
    }

    #[test]
    fn quantiles_are_those_of_a_list_by_nearest_rank() {
        let hours = |hours: &[i64]| of(&hours.iter().map(|h| h * HOUR_MS + 59 * 60_000).collect::<Vec<_>>());
        assert_eq!(of(&[]).quantile(50), None);
        assert_eq!(hours(&[7]).quantile(50), Some(7));
        assert_eq!(hours(&[1, 2, 3, 4]).quantile(50), Some(2));
        assert_eq!(hours(&(1..=10).collect::<Vec<_>>()).quantile(90), Some(9));
        assert_eq!(hours(&(1..=11).collect::<Vec<_>>()).quantile(90), Some(10));
        // Beyond 30 days by the day, beyond three years alike, and never before it began.
        assert_eq!(hours(&[719]).quantile(50), Some(719));
        assert_eq!(hours(&[731]).quantile(50), Some(720));
        assert_eq!(hours(&[30_000]).quantile(50), Some(26_280));
        assert_eq!(of(&[i64::MAX]).quantile(50), Some(26_280));
        assert_eq!(of(&[-5 * HOUR_MS]).quantile(50), Some(0));
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_an_hour_too_small_within_30_days_and_a_day_beyond(
            durations in prop::collection::vec(0_i64..1_095 * DAY_MS, 1..200), percent in 1_u64..=100
        ) {
            let mut sorted = durations.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() as u64 * percent).div_ceil(100) as usize;
            let exact = sorted[rank - 1];
            let found = i64::from(of(&durations).quantile(percent).unwrap()) * HOUR_MS;
            let slack = if exact < 30 * DAY_MS { HOUR_MS } else { DAY_MS };
            prop_assert!(found <= exact && exact - found < slack, "{found} of {exact}");
        }
    }
}
