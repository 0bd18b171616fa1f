//! When somebody gets the digest of their inbox: once on each day on which they work, as their work begins.
//!
//! Nothing is stored for that but which days had one. A day's digest is due from the moment at which its work begins, by the
//! person's own calendar (so not on holidays, nor while they are absent), and no longer than [`LATE_MS`]: after an outage
//! it comes late, and one of the morning does not come at night. What is new in it is what came since the work of the last
//! such day began, so that Monday's has the weekend in it.

use crate::calendar::{Calendar, Schedule, Week};
use crate::reader::Node;
use crate::time::{DAY_MS, Day, HOUR_MS, Timestamp};
use serde_json::json;

/// For how long after the beginning of work a digest is still worth reading, in milliseconds.
pub const LATE_MS: i64 = 6 * HOUR_MS;
/// How many days back the last working day is looked for; whoever was away for longer finds as much as new.
const LOOK_BACK_DAYS: i32 = 21;
/// When the day begins for whoever works all night and all day, in milliseconds from midnight.
const MORNING_MS: i64 = 8 * HOUR_MS;

/// A digest that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The day, by the person's own clock: there is one digest for each.
    pub day: Day,
    /// Since when what came is new.
    pub since: Timestamp,
}

/// Gives the hours of those of whom nobody said any, neither they nor the playbook: an office's.
#[must_use]
pub fn office_hours() -> Option<Week> {
    let day = "08:00-17:00";
    Week::of(&json!({ "monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day }))
}

/// Tells which digest of a person is due.
#[must_use]
pub fn due(schedule: &Schedule, usual: Option<&Week>, now: Timestamp) -> Option<Due> {
    let office = office_hours();
    let calendar = schedule.calendar(usual.or(office.as_ref()));
    let today = now.day_in(schedule.zone());
    let start = start(&calendar, schedule, today)?;
    if now < start || now.since(start) >= LATE_MS {
        return None;
    }
    let before = (1..=LOOK_BACK_DAYS).find_map(|back| self::start(&calendar, schedule, today.plus(-back)));
    let since = before.unwrap_or_else(|| start.plus(-i64::from(LOOK_BACK_DAYS) * DAY_MS));
    Some(Due { day: today, since })
}

/// Gives when the work of a day begins; none where there is no work on it.
fn start(calendar: &Calendar, schedule: &Schedule, day: Day) -> Option<Timestamp> {
    let (from, until) = (day.midnight_in(schedule.zone()), day.plus(1).midnight_in(schedule.zone()));
    let morning = from.plus(MORNING_MS);
    calendar.begins(from, until).or_else(|| calendar.is_working(morning).then_some(morning))
}

/// Reads whether a person's record wants a digest; who says nothing does.
#[must_use]
pub fn wanted(node: Option<Node<'_>>) -> Option<bool> {
    node.map_or(Some(true), |node| node.boolean())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Faults;
    use serde_json::Value;

    fn schedule(record: &Value) -> Schedule {
        let faults = Faults::new();
        Schedule::read(&Node::root(record, &faults).object().unwrap()).unwrap()
    }

    /// Each moment at which a digest is due of all quarters of an hour between two days, with its day.
    fn days(record: &Value, usual: Option<&Value>, from: &str, to: &str) -> Vec<(String, String)> {
        let schedule = schedule(record);
        let usual = usual.and_then(Week::of);
        let (mut at, end) = (Day::parse(from).unwrap().start(), Day::parse(to).unwrap().start());
        let mut found: Vec<(String, String)> = Vec::new();
        while at < end {
            if let Some(due) = due(&schedule, usual.as_ref(), at) {
                let day = due.day.to_string();
                if found.iter().all(|(known, _)| *known != day) {
                    found.push((day, at.said_in(schedule.zone())));
                }
            }
            at = at.plus(HOUR_MS / 4);
        }
        found
    }

    fn mornings(record: &Value, usual: Option<&Value>, from: &str, to: &str) -> Vec<String> {
        days(record, usual, from, to).into_iter().map(|(_, at)| at).collect()
    }

    #[test]
    fn it_comes_as_work_begins_on_days_of_work_and_on_no_other() {
        let vienna = json!({"timezone": "Europe/Vienna", "holidays": ["2026-12-08"],
            "absences": [{"from": "2026-12-10", "through": "2026-12-11"}]});
        let wanted = [
            "Friday 4 December 2026, 08:00 CET",
            "Monday 7 December 2026, 08:00 CET",
            "Wednesday 9 December 2026, 08:00 CET",
            "Monday 14 December 2026, 08:00 CET",
        ];
        assert_eq!(mornings(&vienna, None, "2026-12-04", "2026-12-15"), wanted);
    }

    #[test]
    fn hours_are_the_persons_own_then_the_playbooks_then_an_offices() {
        let usual = json!({"monday": "07:30-16:00", "saturday": "10:00-12:00"});
        let week = |record: &Value, usual| mornings(record, usual, "2026-11-23", "2026-11-30");
        assert_eq!(
            week(&json!({}), Some(&usual)),
            ["Monday 23 November 2026, 07:30 UTC", "Saturday 28 November 2026, 10:00 UTC"]
        );
        let own = json!({"working_hours": {"sunday": "09:00-10:00"}});
        assert_eq!(week(&own, Some(&usual)), ["Sunday 29 November 2026, 09:00 UTC"]);
        assert_eq!(week(&json!({}), None).len(), 5);
    }

    #[test]
    fn whoever_works_at_night_gets_it_as_the_night_begins_and_who_always_works_in_the_morning() {
        let night = json!({"working_hours": {"monday": "22:00-06:00", "tuesday": "22:00-06:00"}});
        let wanted = ["Monday 23 November 2026, 22:00 UTC", "Tuesday 24 November 2026, 22:00 UTC"];
        assert_eq!(mornings(&night, None, "2026-11-23", "2026-11-30"), wanted);
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let always: serde_json::Map<_, _> =
            days.iter().map(|day| ((*day).to_owned(), json!("00:00-24:00"))).collect();
        let always = json!({"working_hours": always});
        let all = mornings(&always, None, "2026-11-23", "2026-11-30");
        assert_eq!((all.len(), all[0].as_str()), (7, "Monday 23 November 2026, 08:00 UTC"));
    }

    #[test]
    fn a_change_of_the_clock_neither_skips_nor_doubles_a_day() {
        for zone in
            ["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]
        {
            // From a Sunday to a Sunday, 39 weeks with both changes in them.
            let found = days(&json!({"timezone": zone}), None, "2026-03-01", "2026-11-29");
            assert_eq!(found.len(), 39 * 5, "{zone}");
            assert!(found.iter().all(|(_, at)| at.contains(", 08:00 ")), "{zone}");
        }
    }

    #[test]
    fn it_comes_late_after_an_outage_but_not_at_night_and_what_is_new_reaches_back_to_the_last_day_of_work() {
        let record = schedule(&json!({"timezone": "Europe/Vienna"}));
        let at = |text: &str| due(&record, None, Timestamp::parse(text).unwrap());
        let monday = at("2026-11-23T07:00:00Z").unwrap();
        assert_eq!(monday.since.to_string(), "2026-11-20T07:00:00Z", "Friday, as work began");
        assert_eq!(at("2026-11-23T12:59:59Z"), Some(monday));
        assert_eq!(at("2026-11-23T06:59:59.999Z"), None);
        assert_eq!(at("2026-11-23T13:00:00Z"), None);
        assert_eq!(at("2026-11-22T08:00:00Z"), None, "a Sunday");
        let away = schedule(&json!({"absences": [{"from": "2026-01-01", "through": "2026-11-22"}]}));
        let back = due(&away, None, Timestamp::parse("2026-11-23T09:00:00Z").unwrap()).unwrap();
        assert_eq!(back.since.to_string(), "2026-11-02T08:00:00Z", "three weeks, and not a year");
    }
}
