//! When an export that the playbook names is to be made.
//!
//! An export is asked for by the wall clock of the playbook's time zone, once a day or once a week. Each occurrence is
//! named by its calendar day, and whoever makes it makes one of that name: so it is made once, however often one asks.
//! It is due from its time on until its day ends, so that a tick that was missed is made up for, but not a day.
//!
//! Where the clocks go forward over its time, that time is as much later as the clocks went; where they go back and the
//! time comes twice, it is the first one.

use super::Spec;
use crate::identity::Slug;
use crate::time::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

/// How often an export is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Every day.
    Day,
    /// Every week on a day.
    Week(Weekday),
}

/// The days of the week with their words.
pub const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// An export that is made by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// The segment.
    pub segment: Slug,
    /// What it holds.
    pub spec: Spec,
    /// How often it is made.
    pub every: Every,
    /// At what time of the day, to the minute.
    pub at: Time,
}

/// Reads a time of the day such as `06:30`.
///
/// # Errors
///
/// What would be right.
pub fn parse_time(text: &str) -> Result<Time, &'static str> {
    const EXPECTED: &str = "is not a time of the day; expected hours and minutes, such as 06:30";
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<i8>().ok() } else { None }
    };
    let (hour, minute) = text.trim().split_once(':').ok_or(EXPECTED)?;
    let (hour, minute) = two(hour).zip(two(minute)).ok_or(EXPECTED)?;
    Time::new(hour, minute, 0, 0).map_err(|_| EXPECTED)
}

impl Scheduled {
    /// Gives the day whose export is to be made now, if it was not made yet.
    #[must_use]
    pub fn due(&self, zone: &TimeZone, now: Timestamp) -> Option<Date> {
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
        let today = now.to_zoned(zone.clone()).date();
        // Where the clocks go forward at midnight, the time of a day may fall on the next one.
        [Some(today), today.yesterday().ok()].into_iter().flatten().find(|date| {
            let at = date.to_datetime(self.at).to_zoned(zone.clone());
            self.is_on(*date) && at.is_ok_and(|at| at.timestamp() <= now && at.date() == today)
        })
    }

    fn is_on(&self, date: Date) -> bool {
        match self.every {
            Every::Day => true,
            Every::Week(weekday) => date.weekday() == weekday,
        }
    }

    /// Gives the id of the job that makes one of its files.
    #[must_use]
    pub fn job(&self, date: Date) -> String {
        format!("export-{}-{date}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, MINUTE_MS};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn at(time: &str, every: Every) -> Scheduled {
        let spec = Spec::from_json(&json!({"format": "csv", "purpose": "marketing"})).unwrap();
        let id = Slug::parse("daily").unwrap();
        let at = parse_time(time).unwrap();
        Scheduled { id: id.clone(), title: String::new(), segment: id, spec, every, at }
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Ticks every five minutes, and gives when each day's export was first due.
    fn ticks(scheduled: &Scheduled, zone: &TimeZone, from: &str, days: i64) -> Vec<(String, String)> {
        let (start, mut first) = (time(from), BTreeMap::new());
        for tick in 0..days * DAY_MS / (5 * MINUTE_MS) {
            let now = start.plus(tick * 5 * MINUTE_MS);
            if let Some(date) = scheduled.due(zone, now) {
                first.entry(date.to_string()).or_insert_with(|| now.to_string());
            }
        }
        first.into_iter().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(day, at)| ((*day).to_owned(), (*at).to_owned())).collect()
    }

    #[test]
    fn where_the_clocks_go_forward_over_its_time_it_is_made_that_much_later() {
        let found = ticks(&at("02:30", Every::Day), &zone("Europe/Vienna"), "2026-03-27T23:00:00Z", 3);
        let expected = pairs(&[
            ("2026-03-28", "2026-03-28T01:30:00Z"),
            ("2026-03-29", "2026-03-29T01:30:00Z"),
            ("2026-03-30", "2026-03-30T00:30:00Z"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn where_the_clocks_go_back_and_its_time_comes_twice_it_is_made_the_first_time_only() {
        let vienna = zone("Europe/Vienna");
        let found = ticks(&at("02:30", Every::Day), &vienna, "2026-10-23T22:00:00Z", 3);
        let expected = pairs(&[
            ("2026-10-24", "2026-10-24T00:30:00Z"),
            ("2026-10-25", "2026-10-25T00:30:00Z"),
            ("2026-10-26", "2026-10-26T01:30:00Z"),
        ]);
        assert_eq!(found, expected);
        // The second 02:30 is still the same day's.
        let again = at("02:30", Every::Day).due(&vienna, time("2026-10-25T01:30:00Z"));
        assert_eq!(again.map(|date| date.to_string()).as_deref(), Some("2026-10-25"));
    }

    #[test]
    fn midnight_that_the_clocks_skip_is_still_a_days_beginning() {
        // In Beirut the clocks go forward at midnight.
        let found = ticks(&at("00:00", Every::Day), &zone("Asia/Beirut"), "2026-03-27T22:00:00Z", 3);
        let expected = pairs(&[
            ("2026-03-28", "2026-03-27T22:00:00Z"),
            ("2026-03-29", "2026-03-28T22:00:00Z"),
            ("2026-03-30", "2026-03-29T21:00:00Z"),
            ("2026-03-31", "2026-03-30T21:00:00Z"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_missed_tick_is_made_up_for_within_the_day_and_not_after_it() {
        let (daily, vienna) = (at("06:00", Every::Day), zone("Europe/Vienna"));
        let due = |text: &str| daily.due(&vienna, time(text)).map(|date| date.to_string());
        assert_eq!(due("2026-06-10T03:55:00Z"), None);
        assert_eq!(due("2026-06-10T04:00:00Z").as_deref(), Some("2026-06-10"));
        assert_eq!(due("2026-06-10T21:59:00Z").as_deref(), Some("2026-06-10"));
        assert_eq!(due("2026-06-10T22:00:00Z"), None, "yesterday's is not made up for");
    }

    #[test]
    fn a_weekly_one_is_made_on_its_day_of_the_playbooks_time_zone() {
        let found = ticks(
            &at("00:30", Every::Week(Weekday::Monday)),
            &zone("Asia/Tokyo"),
            "2026-06-01T00:00:00Z",
            20,
        );
        let expected = pairs(&[
            ("2026-06-01", "2026-06-01T00:00:00Z"),
            ("2026-06-08", "2026-06-07T15:30:00Z"),
            ("2026-06-15", "2026-06-14T15:30:00Z"),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn every_occurrence_has_a_job_of_its_own() {
        let daily = at("06:00", Every::Day);
        let date = daily.due(&TimeZone::UTC, time("2026-06-10T06:00:00Z")).unwrap();
        assert_eq!(daily.job(date), "export-daily-2026-06-10");
    }

    #[test]
    fn a_time_is_hours_and_minutes() {
        assert_eq!(parse_time("06:30"), Time::new(6, 30, 0, 0).map_err(|_| ""));
        for wrong in ["6:30", "24:00", "06:60", "06", "06:30:00", "", "ab:cd", "+6:30"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
