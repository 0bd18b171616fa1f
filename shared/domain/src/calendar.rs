//! When a person works: what turns "an answer within eight hours" into a moment.
//!
//! A calendar is a time zone, the hours of each day of the week, public holidays and absences. Two questions are asked
//! of it: when so much working time has passed ([`Calendar::due`]), and how much of it lies between two moments
//! ([`Calendar::elapsed`]); they are each other's inverse. Both count real time in milliseconds, like
//! [`Timestamp::plus`] and [`Timestamp::since`], so that the parts of a clock that was stopped add up exactly.
//!
//! * **Somebody works at a moment exactly when the clock on their wall says so**: the date is no holiday, the time
//!   lies within the hours of that day of the week, and they are not absent. Nothing else is needed for the nights in
//!   which clocks change: an hour that a clock skips is not there to be worked, and one that it shows twice is worked
//!   twice. A shift over midnight is the end of one day and the beginning of the next, and a holiday is free from
//!   midnight to midnight also where a shift runs into it.
//! * **Between two changes of the clock its offset from UTC is one number**, so a day's hours are two additions and no
//!   time of day is ever looked up that may not exist. The walk goes from change to change and from day to day.
//! * **Who says nothing works always.** [`Calendar::default`] has all hours of all days, so that hours of the clock are
//!   working hours of that calendar and not a second way to count.
//! * **Somebody may never work**: on sick leave without an end. No question loops for that: [`Calendar::due`] looks
//!   [`LOOK_AHEAD_DAYS`] ahead and then says that there is no such moment.

use crate::fault::Faults;
use crate::reader::{Node, Object};
use crate::time::{DAY_MS, Day, MINUTE_MS, SECOND_MS, Timestamp, zone};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// How far ahead working time is looked for: 40 years, in which even the longest promise, 2,000 hours, ends for somebody
/// who works an hour a week.
pub const LOOK_AHEAD_DAYS: i64 = 14_610;

/// The most holidays of a person's record, some thirty years of them.
const MOST_HOLIDAYS: usize = 500;
/// The most absences of a person's record.
const MOST_ABSENCES: usize = 200;

/// The days of the week with their words, Monday first.
const DAYS: [(&str, &str); 7] = [
    ("monday", "Monday"),
    ("tuesday", "Tuesday"),
    ("wednesday", "Wednesday"),
    ("thursday", "Thursday"),
    ("friday", "Friday"),
    ("saturday", "Saturday"),
    ("sunday", "Sunday"),
];

/// The minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// Hours of one day in minutes from its midnight, the end not included.
type Span = (u16, u16);

/// The hours of each day of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week([Vec<Span>; 7]);

impl Default for Week {
    /// All hours of all days.
    fn default() -> Self {
        Self(std::array::from_fn(|_| vec![(0, DAY_MINUTES)]))
    }
}

impl Week {
    /// Reads an object of days, each with a span of hours such as `09:00-17:00` or a list of them. A span that ends
    /// before it begins goes on over midnight.
    #[must_use]
    pub fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object()?;
        let mut days: [Vec<Span>; 7] = Default::default();
        for (at, (word, _)) in DAYS.iter().enumerate() {
            let Some(node) = object.optional(word) else { continue };
            if node.value().as_array().is_some_and(Vec::is_empty) {
                node.fault("is an empty list; leave the day out where nobody works on it");
            }
            for node in node.list_or_one() {
                let Some((from, to)) = node.parsed(span) else { continue };
                let tonight = (at, (from, if from < to { to } else { DAY_MINUTES }));
                let tomorrow = ((at + 1) % 7, (0, if from < to { 0 } else { to }));
                for (day, (from, to)) in [tonight, tomorrow] {
                    let Some(spans) = days.get_mut(day).filter(|_| from < to) else { continue };
                    if spans.iter().any(|known| known.0 < to && from < known.1) {
                        node.fault("overlaps with another span of these hours");
                    }
                    spans.push((from, to));
                }
            }
        }
        object.finish();
        if node.value().as_object().is_some_and(|days| days.values().all(Value::is_null)) {
            node.fault(
                "names no day; expected at least one with its hours; leave it out for all hours of all days",
            );
        }
        Some(Self(days.map(joined)))
    }

    /// Gives the hours as a document that reads back as the same.
    #[must_use]
    pub(crate) fn written(&self) -> Value {
        let days = DAYS.iter().zip(&self.0).filter(|(_, spans)| !spans.is_empty());
        let days: Map<String, Value> =
            days.map(|((word, _), spans)| ((*word).to_owned(), texts(spans).into())).collect();
        days.into()
    }

    /// Reads a document again that may be wrong, and says nothing of what is.
    pub(crate) fn of(document: &Value) -> Option<Self> {
        let faults = Faults::new();
        let week = Self::read(&Node::root(document, &faults));
        week.filter(|_| faults.is_empty())
    }
}

impl fmt::Display for Week {
    /// Writes the hours for people, days that have the same ones together: `Monday to Friday 09:00-17:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(&str, &str, &Vec<Span>)> = Vec::new();
        let mut yesterday: Option<&Vec<Span>> = None;
        for ((_, name), spans) in DAYS.iter().zip(&self.0) {
            match runs.last_mut().filter(|_| yesterday == Some(spans)) {
                Some((_, last, _)) => *last = name,
                None => runs.push((name, name, spans)),
            }
            yesterday = Some(spans);
        }
        let runs = runs.into_iter().filter(|(_, _, spans)| !spans.is_empty());
        let said = runs.map(|(first, last, spans)| {
            let days = if first == last { first.to_owned() } else { format!("{first} to {last}") };
            format!("{days} {}", texts(spans).join(" and "))
        });
        f.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}

/// Reads `09:00-17:00`.
fn span(text: &str) -> Result<Span, &'static str> {
    const WRONG: &str =
        "is not a span of hours; expected from and to, such as 09:00-17:00, or 22:00-06:00 over midnight";
    let (from, to) = text.split_once('-').ok_or(WRONG)?;
    match (minute(from).ok_or(WRONG)?, minute(to).ok_or(WRONG)?) {
        (DAY_MINUTES, _) => Err(WRONG),
        (from, to) if from == to => Err("ends when it begins; a whole day is 00:00-24:00"),
        span => Ok(span),
    }
}

/// Reads the time of day `HH:MM`, `24:00` included, in minutes.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u16>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

fn texts(spans: &[Span]) -> Vec<String> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    spans.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect()
}

/// Sorts spans and joins those that touch or overlap.
fn joined<T: Copy + Ord>(mut spans: Vec<(T, T)>) -> Vec<(T, T)> {
    spans.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => joined.push((from, to)),
        }
    }
    joined
}

/// What a person's record says of when they work.
#[derive(Clone, Debug)]
pub struct Schedule {
    zone: TimeZone,
    hours: Option<Week>,
    holidays: BTreeSet<Day>,
    /// From and to, the end not included.
    absences: Vec<(Timestamp, Timestamp)>,
}

impl Schedule {
    /// Gives the time zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Reads the fields `timezone`, `working_hours`, `holidays` and `absences` of a person's record; none is required.
    #[must_use]
    pub fn read(object: &Object<'_>) -> Option<Self> {
        let known = object.optional("timezone").map_or(Some(TimeZone::UTC), |node| node.parsed(zone));
        let hours = object.optional("working_hours").map(|node| Week::read(&node));
        let holidays = listed(object, "holidays", MOST_HOLIDAYS);
        let holidays = holidays.iter().filter_map(|node| node.parsed(day)).collect();
        // Read on in UTC where the zone is wrong, so that the faults behind it show too.
        let near = known.clone().unwrap_or(TimeZone::UTC);
        let absences = listed(object, "absences", MOST_ABSENCES);
        let absences = absences.iter().filter_map(|node| absence(node, &near)).collect();
        Some(Self {
            zone: known?,
            hours: hours.map_or(Some(None), |hours| hours.map(Some))?,
            holidays,
            absences,
        })
    }

    /// Makes the calendar; `usual` are the hours of those who have none of their own.
    #[must_use]
    pub fn calendar(&self, usual: Option<&Week>) -> Calendar {
        Calendar {
            zone: self.zone.clone(),
            week: self.hours.as_ref().or(usual).cloned().unwrap_or_default(),
            holidays: self.holidays.clone(),
            absences: joined(self.absences.clone()),
        }
    }
}

fn listed<'a>(object: &Object<'a>, key: &'static str, most: usize) -> Vec<Node<'a>> {
    let Some(node) = object.optional(key) else { return Vec::new() };
    let list = node.list().unwrap_or_default();
    if list.len() > most {
        node.fault(format!(
            "has {} entries; expected {most} at most: leave out those that are over",
            list.len()
        ));
    }
    list
}

fn day(text: &str) -> Result<Day, &'static str> {
    Day::parse(text).ok_or("is no day of the calendar; expected one such as 2026-12-25")
}

/// Reads an absence: from a day or a moment through a day or to a moment; without an end it lasts until further notice.
fn absence(node: &Node<'_>, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    const WRONG: &str = "is neither a day nor a time; expected 2026-07-01, or 2026-07-01T12:00:00+02:00";
    let object = node.object()?;
    let moment = |node: &Node<'_>, last: i32| {
        node.parsed(|text| {
            let day = Day::parse(text).map(|day| day.plus(last).midnight_in(zone));
            day.or_else(|| Timestamp::parse(text)).ok_or(WRONG)
        })
    };
    let (first, last) = (object.required("from"), object.optional("through"));
    object.finish();
    let from = first.as_ref().and_then(|node| moment(node, 0));
    let through = last.as_ref().map_or(Some(Timestamp::LATEST), |node| moment(node, 1));
    let (from, through) = (from?, through?);
    // Of two days the days are compared: where the date line was moved, a day has no time in it.
    let day = |node: &Option<Node<'_>>| node.as_ref().and_then(|node| Day::parse(node.value().as_str()?));
    let backwards = match (day(&first), day(&last)) {
        (Some(first), Some(last)) => last < first,
        _ => through <= from,
    };
    if backwards {
        node.fault("ends before it begins");
    }
    Some((from, through))
}

/// When somebody works.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    week: Week,
    holidays: BTreeSet<Day>,
    // INVARIANT: sorted, and none touches another.
    absences: Vec<(Timestamp, Timestamp)>,
}

impl Default for Calendar {
    /// The calendar of somebody of whom nothing is known: all hours of all days.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, week: Week::default(), holidays: BTreeSet::new(), absences: Vec::new() }
    }
}

impl Calendar {
    /// Makes a calendar without absences.
    #[must_use]
    pub const fn new(zone: TimeZone, week: Week, holidays: BTreeSet<Day>) -> Self {
        Self { zone, week, holidays, absences: Vec::new() }
    }

    /// Gives the first moment by which `work_ms` milliseconds of working time have passed since `start`: `start` itself
    /// where that is nothing. None where there is not that much within [`LOOK_AHEAD_DAYS`].
    #[must_use]
    pub fn due(&self, start: Timestamp, work_ms: i64) -> Option<Timestamp> {
        if work_ms <= 0 {
            return Some(start);
        }
        let mut left = work_ms;
        for (from, to) in self.working(start, look_ahead(start)) {
            let here = to.since(from);
            if left <= here {
                return Some(from.plus(left));
            }
            left -= here;
        }
        None
    }

    /// Tells how many milliseconds of working time lie between two moments; none where the second is not later.
    #[must_use]
    pub fn elapsed(&self, start: Timestamp, end: Timestamp) -> i64 {
        self.working(start, end).map(|(from, to)| to.since(from)).sum()
    }

    /// Tells whether they work at a moment.
    #[must_use]
    pub fn is_working(&self, at: Timestamp) -> bool {
        self.working(at, at.plus(1)).next().is_some()
    }

    /// Gives the first moment from `at` on at which they work; none where that is not within [`LOOK_AHEAD_DAYS`].
    #[must_use]
    pub fn next_working(&self, at: Timestamp) -> Option<Timestamp> {
        self.working(at, look_ahead(at)).next().map(|(from, _)| from)
    }

    /// Gives the first moment between two at which they begin to work, having not worked just before.
    #[must_use]
    pub fn begins(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.working(from, until).map(|(start, _)| start).find(|start| !self.is_working(start.plus(-1)))
    }

    /// Tells whether they are absent at a moment, which is more than being off work for the night.
    #[must_use]
    pub fn is_absent(&self, at: Timestamp) -> bool {
        self.absences.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// Gives the day that it is for them at a moment.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        at.day_in(&self.zone)
    }

    /// Tells whether it is one of their holidays at a moment.
    #[must_use]
    pub fn is_holiday(&self, at: Timestamp) -> bool {
        self.holidays.contains(&self.day(at))
    }

    /// Walks the stretches of work between two moments, in order.
    fn working(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        self.offsets(from, until)
            .flat_map(move |(start, end, offset)| {
                let (first, last) = (start.plus(offset).day(), end.plus(offset - 1).day());
                (first.0..=last.0).map(Day).flat_map(move |day| {
                    let midnight = day.start().plus(-offset);
                    self.hours(day).iter().map(move |(from, to)| {
                        let moment = |minute: u16| midnight.plus(i64::from(minute) * MINUTE_MS);
                        (moment(*from).max(start), moment(*to).min(end))
                    })
                })
            })
            .filter(|(from, to)| from < to)
            .flat_map(|(from, to)| self.present(from, to))
    }

    /// Cuts the time between two moments where the clock changes, and gives each part with its offset from UTC in
    /// milliseconds.
    fn offsets(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp, i64)> + '_ {
        let instant = |at: Timestamp| jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
        let changes = move || {
            let changes = self.zone.following(instant(from));
            let changes = changes.map(|change| Timestamp::from_millis(change.timestamp().as_millisecond()));
            changes.take_while(move |at| *at < until)
        };
        let starts = std::iter::once(from).chain(changes());
        let ends = changes().chain(std::iter::once(until));
        starts.zip(ends).filter(|(start, end)| start < end).map(move |(start, end)| {
            let offset = i64::from(self.zone.to_offset(instant(start)).seconds()) * SECOND_MS;
            (start, end, offset)
        })
    }

    fn hours(&self, day: Day) -> &[Span] {
        if self.holidays.contains(&day) {
            return &[];
        }
        let weekday = usize::from(day.weekday());
        self.week.0.get(weekday).map_or(&[], Vec::as_slice)
    }

    /// Leaves out of a stretch of work what they are absent of it.
    fn present(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let away = move || self.absences.iter().filter(move |absence| absence.0 < to && from < absence.1);
        let starts = std::iter::once(from).chain(away().map(|absence| absence.1));
        let ends = away().map(|absence| absence.0).chain(std::iter::once(to));
        starts.zip(ends).filter(|(start, end)| start < end)
    }
}

fn look_ahead(from: Timestamp) -> Timestamp {
    from.plus(LOOK_AHEAD_DAYS * DAY_MS).min(Timestamp::LATEST)
}
