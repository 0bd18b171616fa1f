//! What people declare about campaigns: their channel, what they cost in each month, and the statuses that its members have.
//!
//! A campaign is known by the very text that its touches carry (`utm_campaign`), so that nothing has to be mapped.
//!
//! **A month's cost counts for as much of the month as is asked about.** A report from the 10th to the 20th of February
//! carries ten of 28 days, rounded to the cent; all days of a month, however they are divided into reports without gaps,
//! carry its cost but for the cents of that rounding. A month that has not begun was not spent yet and counts for nothing.

use crate::money::{Currency, Money};
use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt;

/// The most months of one campaign with a cost, times their currencies.
pub const MOST_COSTS: usize = 600;

/// A month of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// Reads a month such as `2026-02`; a day of it is none.
    ///
    /// # Errors
    ///
    /// What a month looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let digits =
            text.bytes().enumerate().all(|(at, b)| if at == 4 { b == b'-' } else { b.is_ascii_digit() });
        let first: Option<Date> =
            if text.len() == 7 && digits { format!("{text}-01").parse().ok() } else { None };
        match first {
            Some(date) if (1990..9999).contains(&date.year()) => Ok(Self(date)),
            _ => Err("is not a month; expected one such as 2026-02"),
        }
    }

    /// Gives its first moment in a time zone, and that of the month after.
    fn span(self, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let next = self.0.last_of_month().tomorrow().ok()?;
        let start = |date: Date| {
            let zoned = date.to_zoned(zone.clone()).ok()?;
            Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        };
        Some((start(self.0)?, start(next)?))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}

/// The most statuses of one campaign.
pub const MOST_STATUSES: usize = 12;

/// How a member may stand to a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name, such as `registered`.
    pub name: String,
    /// Whether who has it responded.
    pub responded: bool,
}

/// A campaign as people declared it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Campaign {
    /// What people call it.
    pub name: Option<String>,
    /// The channel that its cost belongs to.
    pub channel: Option<String>,
    /// What it cost, by month and currency, in minor units.
    pub costs: BTreeMap<(Month, Currency), i64>,
    /// How its members may stand to it, from least to most.
    pub statuses: Vec<Status>,
}

impl Campaign {
    /// Takes over what another word on the campaign says: its name, channel and statuses where it says them, and its months.
    pub fn overlay(&mut self, said: Self) {
        self.name = said.name.or(self.name.take());
        self.channel = said.channel.or(self.channel.take());
        self.costs.extend(said.costs);
        if !said.statuses.is_empty() {
            self.statuses = said.statuses;
        }
    }

    /// Gives the declared status of a name.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<&Status> {
        self.statuses.iter().find(|status| status.name == name)
    }

    /// Gives what the campaign cost from one moment to another, by currency; months are those of a time zone.
    #[must_use]
    pub fn spent(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        zone: &TimeZone,
        now: Timestamp,
    ) -> BTreeMap<Currency, i64> {
        let mut spent: BTreeMap<Currency, i64> = BTreeMap::new();
        for ((month, currency), minor) in &self.costs {
            let Some((start, end)) = month.span(zone) else { continue };
            let (first, last) = (from.unwrap_or(start).max(start), to.unwrap_or(end).min(end));
            if start <= now && first < last {
                let part = portion(*minor, last.since(first), end.since(start));
                let sum = spent.entry(*currency).or_default();
                *sum = sum.saturating_add(part);
            }
        }
        spent
    }
}

/// Gives `part` of `whole` of an amount, rounded to the nearest, halves away from zero.
fn portion(minor: i64, part: i64, whole: i64) -> i64 {
    let (whole, product) = (i128::from(whole.max(1)), i128::from(minor) * i128::from(part));
    let half = whole / 2 * product.signum();
    i64::try_from((product + half) / whole).unwrap_or(minor)
}

/// Gives what one of `count` cost, rounded to the nearest, halves away from zero; none where there are none.
#[must_use]
pub fn each(cost: Money, count: u64) -> Option<Money> {
    let count = i64::try_from(count).ok().filter(|count| *count > 0)?;
    Some(Money { minor: portion(cost.minor, 1, count), ..cost })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vienna() -> TimeZone {
        TimeZone::get("Europe/Vienna").unwrap()
    }

    fn euro() -> Currency {
        Currency::parse("EUR").unwrap()
    }

    fn campaign(costs: &[(&str, i64)]) -> Campaign {
        let costs = costs.iter().map(|(month, minor)| ((Month::parse(month).unwrap(), euro()), *minor));
        Campaign { costs: costs.collect(), ..Campaign::default() }
    }

    fn spent(campaign: &Campaign, from: Option<&str>, to: Option<&str>) -> Option<i64> {
        let time = |text: &str| Timestamp::parse_in(text, &vienna()).unwrap();
        let now = time("2026-11-22");
        campaign.spent(from.map(time), to.map(time), &vienna(), now).get(&euro()).copied()
    }

    #[test]
    fn a_month_is_read_and_shown_in_one_form() {
        assert_eq!(Month::parse(" 2026-02 ").unwrap().to_string(), "2026-02");
        for text in ["", "2026", "2026-2", "2026-13", "2026-02-01", "26-02", "2026/02", "1989-12", "9999-01"]
        {
            assert!(Month::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_counts_for_the_days_that_are_asked_about() {
        let campaign = campaign(&[("2026-02", 28_000), ("2026-03", 31_000), ("2026-12", 99_900)]);
        // Months are those of the time zone; the one that has not begun is not spent.
        assert_eq!(spent(&campaign, None, None), Some(59_000));
        assert_eq!(spent(&campaign, Some("2026-02-01"), Some("2026-03-01")), Some(28_000));
        assert_eq!(spent(&campaign, Some("2026-02-10"), Some("2026-02-20")), Some(10_000));
        assert_eq!(spent(&campaign, Some("2026-02-28"), Some("2026-03-02")), Some(1_000 + 1_001));
        assert_eq!(spent(&campaign, Some("2026-04-01"), None), None);
        assert_eq!(spent(&campaign, None, Some("2026-02-01")), None);
    }

    #[test]
    fn a_later_word_keeps_what_it_does_not_mention() {
        let mut known = campaign(&[("2026-02", 1), ("2026-03", 2)]);
        known.name = Some("Spring".to_owned());
        known.overlay(Campaign {
            channel: Some("email".to_owned()),
            ..campaign(&[("2026-03", 5), ("2026-04", 3)])
        });
        let expected = campaign(&[("2026-02", 1), ("2026-03", 5), ("2026-04", 3)]);
        assert_eq!(known.costs, expected.costs);
        assert_eq!((known.name.as_deref(), known.channel.as_deref()), (Some("Spring"), Some("email")));
    }

    #[test]
    fn a_cost_per_lead_is_rounded_to_the_cent() {
        let cost = |minor, count| each(Money { minor, currency: euro() }, count).map(|money| money.minor);
        assert_eq!((cost(1_000, 3), cost(1_001, 2), cost(5, 0)), (Some(333), Some(501), None));
        assert_eq!((cost(-1_001, 2), cost(i64::MAX, 1)), (Some(-501), Some(i64::MAX)));
    }

    proptest! {
        #[test]
        fn the_days_of_a_month_divided_anywhere_carry_its_cost_but_for_a_rounded_cent(
            minor in 0_i64..10_000_000, day in 2_u8..=28
        ) {
            let campaign = campaign(&[("2026-03", minor)]);
            let cut = format!("2026-03-{day:02}");
            let parts = spent(&campaign, None, Some(&cut)).unwrap() + spent(&campaign, Some(&cut), None).unwrap();
            prop_assert!((parts - minor).abs() <= 1, "{parts} of {minor}");
        }
    }
}
