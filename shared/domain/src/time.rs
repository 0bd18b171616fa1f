//! Moments and days.
//!
//! A moment is kept to the millisecond, in UTC; a day is a UTC day. Scores fade by the day, so that all of a day's
//! evaluations of one lead agree and a ledger of daily counts is enough. Time zones matter only to people's reports.

use jiff::tz::TimeZone;
use std::fmt;

/// One second in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Reads a time zone by its name.
///
/// # Errors
///
/// What would be right.
pub fn zone(name: &str) -> Result<TimeZone, &'static str> {
    TimeZone::get(name)
        .map_err(|_| "is not a time zone; expected a name of the IANA database, such as Europe/Vienna")
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

impl Timestamp {
    /// The earliest time that a fact may carry: 1990-01-01T00:00:00Z. Anything before is a mistyped year.
    pub const EARLIEST: Self = Self(631_152_000_000);
    /// The latest time that can be written with a four-digit year: 9999-12-30T22:00:00Z.
    pub const LATEST: Self = Self(253_402_207_200_000);

    /// Makes a moment from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Makes a moment from seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(SECOND_MS))
    }

    /// Gives milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Gives whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    /// Reads an RFC 3339 time with its offset; finer than a millisecond is cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.trim().parse().ok()?;
        let time = Self(parsed.as_millisecond());
        (time <= Self::LATEST).then_some(time)
    }

    /// Reads a calendar day such as `2026-02-01` as its midnight in a time zone, or an RFC 3339 time. A time of day without
    /// its offset is neither, rather than a day whose time is lost.
    #[must_use]
    pub fn parse_in(text: &str, zone: &TimeZone) -> Option<Self> {
        if let Some(time) = Self::parse(text) {
            return Some(time);
        }
        Day::parse(text).map(|day| day.midnight_in(zone))
    }

    /// Gives the moment `ms` milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Tells how many milliseconds lie between an earlier moment and this one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Gives the UTC day of the moment.
    #[must_use]
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX))
    }

    /// Gives the calendar day of the moment in a time zone, for people's reports.
    #[must_use]
    pub fn day_in(self, zone: &TimeZone) -> Day {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        self.plus(i64::from(zone.to_offset(time).seconds()) * SECOND_MS).day()
    }

    /// Says a moment to people by the clock on their wall, such as `Monday 23 November 2026, 14:00 CET`.
    #[must_use]
    pub fn said_in(self, zone: &TimeZone) -> String {
        self.written_in(zone, "%A %-d %B %Y, %H:%M %Z")
    }

    /// Writes a moment by the clock on the wall, in a form of `strftime`; names of days and months are English.
    #[must_use]
    pub fn written_in(self, zone: &TimeZone, form: &str) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_zoned(zone.clone());
        time.strftime(form).to_string()
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with milliseconds only where there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        if self.0.rem_euclid(SECOND_MS) == 0 { write!(f, "{time:.0}") } else { write!(f, "{time:.3}") }
    }
}

impl Day {
    /// Reads a calendar day such as `2026-02-01`, and nothing shorter or longer.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let shape = |(at, byte): (usize, u8)| {
            if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() }
        };
        if text.len() != 10 || !text.bytes().enumerate().all(shape) {
            return None;
        }
        Self::of(text.parse().ok()?)
    }

    fn of(date: jiff::civil::Date) -> Option<Self> {
        let start = date.to_zoned(TimeZone::UTC).ok()?;
        Some(Timestamp(start.timestamp().as_millisecond()).day())
    }

    fn date(self) -> jiff::civil::Date {
        self.known_date().unwrap_or_default()
    }

    /// Gives the date; none before or behind all years that can be written.
    fn known_date(self) -> Option<jiff::civil::Date> {
        let time = jiff::Timestamp::from_millisecond(self.start().millis()).ok()?;
        Some(time.to_zoned(TimeZone::UTC).date())
    }

    /// Gives the year of the day.
    #[must_use]
    pub fn year(self) -> i16 {
        self.date().year()
    }

    /// Gives the same day of another year: for 29 February the 28th, where that year has none.
    #[must_use]
    pub fn in_year(self, year: i16) -> Option<Self> {
        let date = self.date();
        let same = jiff::civil::Date::new(year, date.month(), date.day());
        Self::of(same.or_else(|_| jiff::civil::Date::new(year, date.month(), 28)).ok()?)
    }

    /// Gives the first moment of the day.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp((self.0 as i64).saturating_mul(DAY_MS))
    }

    /// Gives the moment at which the day begins in a time zone.
    #[must_use]
    pub fn midnight_in(self, zone: &TimeZone) -> Timestamp {
        let midnight = self.known_date().and_then(|date| date.to_zoned(zone.clone()).ok());
        midnight.map_or(self.start(), |midnight| Timestamp(midnight.timestamp().as_millisecond()))
    }

    /// Gives the day of the week, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub const fn weekday(self) -> u8 {
        // The first day of 1970 was a Thursday.
        self.0.saturating_add(3).rem_euclid(7) as u8
    }

    /// Gives the Monday of the day's week.
    #[must_use]
    pub const fn monday(self) -> Self {
        self.plus(-(self.weekday() as i32))
    }

    /// Writes the day's week after ISO 8601, such as `2026-W09`: it belongs to the year that its Thursday lies in.
    #[must_use]
    pub fn iso_week(self) -> String {
        let week = self.date().iso_week_date();
        format!("{}-W{:02}", week.year(), week.week())
    }

    /// Gives the day `days` later.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

/// A period of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A calendar month.
    Month,
    /// A week, from Monday on.
    Week,
    /// A day.
    Day,
}

impl Per {
    /// Every period with its word in the API, the usual one first.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("month", Self::Month), ("week", Self::Week), ("day", Self::Day)];

    /// Gives the first day of the period `later` periods after the one of a day; before it, where that is negative.
    fn first_of(self, day: Day, later: i32) -> Option<Day> {
        match self {
            Self::Month => {
                let months = jiff::Span::new().try_months(later).ok()?;
                Day::of(day.date().first_of_month().checked_add(months).ok()?)
            }
            Self::Week => Some(day.monday().plus(later.saturating_mul(7))),
            Self::Day => Some(day.plus(later)),
        }
    }

    /// Gives when a period begins in a time zone: so many periods after the one in which a moment lies, or before it.
    #[must_use]
    pub fn start(self, at: Timestamp, later: i32, zone: &TimeZone) -> Option<Timestamp> {
        Some(self.first_of(at.day_in(zone), later)?.midnight_in(zone))
    }

    /// Cuts a time into its periods in a time zone: its beginning, each beginning of a period within it, and its end.
    /// None where that makes more than `most` periods.
    #[must_use]
    pub fn cut(self, from: Timestamp, to: Timestamp, zone: &TimeZone, most: usize) -> Option<Vec<Timestamp>> {
        let mut bounds = vec![from];
        let mut last = from;
        while let Some(next) = self.start(last, 1, zone).filter(|next| *next < to) {
            if bounds.len() >= most {
                return None;
            }
            bounds.push(next);
            last = next;
        }
        bounds.push(to);
        Some(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        for text in ["2018-02-01T12:00:00Z", "2026-11-22T02:02:44.123Z", "1990-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Timestamp::parse("2018-02-01T13:00:00+01:00").unwrap().to_string(),
            "2018-02-01T12:00:00Z"
        );
        assert_eq!(Timestamp::parse("2018-02-01"), None);
        assert_eq!(Timestamp::parse("2018-02-01T12:00:00"), None);
    }

    #[test]
    fn a_day_of_one_year_is_the_same_of_another_but_for_the_29th_of_february() {
        let day = |text: &str| Day::parse(text).unwrap();
        assert_eq!(day("2024-03-31").in_year(2026), Some(day("2026-03-31")));
        assert_eq!(day("2024-02-29").in_year(2026), Some(day("2026-02-28")));
        assert_eq!(day("2024-02-29").in_year(2028), Some(day("2028-02-29")));
        assert_eq!((day("1969-12-31"), day("1969-12-31").year()), (Day(-1), 1969));
        for wrong in
            ["2026-02-29", "2026-13-01", "2026-3-01", "20260301", "2026-03-01T12:00:00Z", "+026-03-01"]
        {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_starts_at_midnight_in_its_zone() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        assert_eq!(Timestamp::parse_in("2026-07-01", &zone).unwrap().to_string(), "2026-06-30T22:00:00Z");
        assert_eq!(Timestamp::parse_in("2026-07-01T10:00:00", &zone), None);
        assert_eq!(Timestamp::parse("2018-02-01T12:00:00Z").unwrap().day().to_string(), "2018-02-01");
        let midnight = |day: &str, name: &str| {
            Day::parse(day).unwrap().midnight_in(&super::zone(name).unwrap()).to_string()
        };
        assert_eq!(midnight("2026-07-01", "Europe/Vienna"), "2026-06-30T22:00:00Z");
        // Where clocks go forward at midnight, the day begins at one.
        assert_eq!(midnight("2018-11-04", "America/Sao_Paulo"), "2018-11-04T03:00:00Z");
        assert!(super::zone("Vienna").is_err());
        // The day after the last one that can be written is still later than it.
        let last = Timestamp::LATEST.day();
        assert!(last.plus(1).midnight_in(&zone) > last.midnight_in(&zone));
    }

    #[test]
    fn a_moment_is_said_by_the_clock_on_the_wall() {
        let said =
            |text: &str, zone: &str| Timestamp::parse(text).unwrap().said_in(&super::zone(zone).unwrap());
        assert_eq!(said("2026-11-23T13:00:00Z", "Europe/Vienna"), "Monday 23 November 2026, 14:00 CET");
        assert_eq!(said("2026-07-01T22:30:00Z", "Europe/Vienna"), "Thursday 2 July 2026, 00:30 CEST");
        assert_eq!(said("2026-07-01T22:30:00Z", "UTC"), "Wednesday 1 July 2026, 22:30 UTC");
    }

    #[test]
    fn a_week_begins_on_monday_and_belongs_to_the_year_of_its_thursday() {
        let weeks = [
            ("2026-03-02", 0, "2026-03-02", "2026-W10"),
            ("2026-03-08", 6, "2026-03-02", "2026-W10"),
            ("2026-12-31", 3, "2026-12-28", "2026-W53"),
            ("2027-01-03", 6, "2026-12-28", "2026-W53"),
            ("2027-01-04", 0, "2027-01-04", "2027-W01"),
            ("2024-12-30", 0, "2024-12-30", "2025-W01"),
            ("1969-12-31", 2, "1969-12-29", "1970-W01"),
        ];
        for (text, weekday, monday, week) in weeks {
            let day = Day::parse(text).unwrap();
            assert_eq!((day.weekday(), day.monday().to_string().as_str()), (weekday, monday), "{text}");
            assert_eq!((day.iso_week().as_str(), day.monday().iso_week()), (week, day.iso_week()), "{text}");
        }
    }

    #[test]
    fn a_time_is_cut_into_the_periods_of_its_zone() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let at = |text: &str| Timestamp::parse_in(text, &zone).unwrap();
        let cut = |per: Per, from, to| per.cut(at(from), at(to), &zone, 400).unwrap();
        let days = |days: &[&str]| days.iter().map(|day| at(day)).collect::<Vec<_>>();
        // Clocks go forward on 29 March, a Sunday: that day and its week are an hour shorter.
        let march = ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"];
        assert_eq!(cut(Per::Day, "2026-03-28", "2026-03-31"), days(&march));
        let weeks = ["2026-03-20", "2026-03-23", "2026-03-30", "2026-03-31"];
        assert_eq!(cut(Per::Week, "2026-03-20", "2026-03-31"), days(&weeks));
        let months = ["2025-12-31", "2026-01-01", "2026-02-01", "2026-02-02"];
        assert_eq!(cut(Per::Month, "2025-12-31", "2026-02-02"), days(&months));
        assert_eq!(Per::Month.start(at("2026-03-31"), -1, &zone), Some(at("2026-02-01")));
        assert_eq!(Per::Week.start(at("2026-03-31"), -11, &zone), Some(at("2026-01-12")));
        assert_eq!(Per::Day.cut(at("2026-01-01"), at("2026-01-05"), &zone, 3), None);
        assert!(Per::Day.cut(at("2026-01-01"), at("2026-01-04"), &zone, 3).is_some());
        // Behind the last day that can be written no period begins.
        let (from, to) = (at("9999-12-29"), Timestamp::LATEST);
        for per in [Per::Month, Per::Week] {
            assert_eq!(per.cut(from, to, &zone, 3), Some(vec![from, to]), "{per:?}");
        }
        assert_eq!(Per::Day.cut(from, to, &zone, 3), Some(vec![from, at("9999-12-30"), to]));
    }
}
