//! Working hours and the clocks that run in them.
//!
//! A calendar is held to a second reader of its document, which knows nothing but what a clock on the wall shows: it looks
//! at every minute by itself and counts those on which somebody works.

use crate::case::{Play, lead_id, patched, people, playbook, read, schedule, slug, time, yaml};
use crate::starter::document;
use domain::calendar::{Calendar, Schedule, Week};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::promise::{Clock, Delivery, People, State, Tally, Turn, Verdict, clocks, promised, turns};
use domain::reader::Node;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "about")]
    _about: String,
    /// What people's records say of when they work.
    calendars: BTreeMap<String, Value>,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    calendar: String,
    /// What this case's record has otherwise, as a merge patch.
    #[serde(default)]
    with: Value,
    /// The hours of those who have none.
    usual: Option<Value>,
    /// From when on `minutes` of work take until `due`, or `worked` lie until `end`.
    start: Option<String>,
    minutes: Option<i64>,
    due: Option<String>,
    end: Option<String>,
    worked: Option<i64>,
    /// A moment at which somebody `works` or not, and the `next` at which they do.
    at: Option<String>,
    works: Option<bool>,
    next: Option<String>,
}

fn week(hours: &Value) -> Week {
    let faults = Faults::new();
    let week = Week::read(&Node::root(hours, &faults));
    faults.into_result(week).unwrap()
}

fn calendar(record: &Value) -> Calendar {
    schedule(record).calendar(None)
}

fn said(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// A minute as the clock on the wall shows it: date, day of the week, minute of the day.
struct Wall {
    zone: jiff::tz::TimeZone,
    record: Value,
}

impl Wall {
    fn new(record: &Value) -> Self {
        let zone = jiff::tz::TimeZone::get(record["timezone"].as_str().unwrap_or("UTC")).unwrap();
        Self { zone, record: record.clone() }
    }

    fn works(&self, at: Timestamp) -> bool {
        let now = jiff::Timestamp::from_millisecond(at.millis()).unwrap().to_zoned(self.zone.clone());
        let today = now.date();
        let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
        let list = |key: &str| self.record[key].as_array().cloned().unwrap_or_default();
        if list("holidays").iter().any(|day| day.as_str().unwrap() == today.to_string()) {
            return false;
        }
        for absence in list("absences") {
            let (from, through) = (absence["from"].as_str().unwrap(), absence["through"].as_str());
            let day = |text: &str| text.parse::<jiff::civil::Date>().unwrap();
            let begun = if from.len() == 10 { day(from) <= today } else { time(from) <= at };
            let over = through
                .is_some_and(|text| if text.len() == 10 { day(text) < today } else { time(text) <= at });
            if begun && !over {
                return false;
            }
        }
        let Some(hours) = self.record["working_hours"].as_object() else { return true };
        let spans = |date: jiff::civil::Date| -> Vec<(i64, i64)> {
            let word = format!("{:?}", date.weekday()).to_lowercase();
            let listed = match hours.get(&word) {
                Some(Value::Array(list)) => list.clone(),
                Some(one) => vec![one.clone()],
                None => Vec::new(),
            };
            let minutes = |text: &str| {
                let (hour, minute) = text.split_once(':').unwrap();
                hour.parse::<i64>().unwrap() * 60 + minute.parse::<i64>().unwrap()
            };
            let span = |text: &Value| {
                let (from, to) = text.as_str().unwrap().split_once('-').unwrap();
                (minutes(from), minutes(to))
            };
            listed.iter().map(span).collect()
        };
        let tonight = |(from, to): &(i64, i64)| {
            if from < to { (*from..*to).contains(&minute) } else { minute >= *from }
        };
        let last_night = |(from, to): &(i64, i64)| from > to && minute < *to;
        spans(today).iter().any(tonight) || spans(today.yesterday().unwrap()).iter().any(last_night)
    }

    /// Counts the minutes of work between two moments, one by one.
    fn count(&self, start: Timestamp, end: Timestamp) -> i64 {
        let mut count = 0;
        let mut at = start;
        while at < end {
            count += i64::from(self.works(at));
            at = at.plus(MINUTE_MS);
        }
        count
    }
}

#[test]
fn working_time_passes_as_the_table_says_and_as_minutes_are_counted() {
    let table: Table = read("clock.yaml");
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for row in &table.cases {
        let mut record = patched(table.calendars[&row.calendar].clone(), &row.with);
        if let Some(hours) = &row.usual {
            week(hours);
        }
        let calendar = schedule(&record).calendar(row.usual.as_ref().map(week).as_ref());
        if let (Some(hours), None) = (&row.usual, record.get("working_hours")) {
            record["working_hours"] = hours.clone();
        }
        let wall = Wall::new(&record);
        let mut check = |what: &str, found: String, expected: String| {
            if found != expected {
                wrong.push(format!("{}: {what} {found}, expected {expected}", row.name));
            }
        };
        let start = row.start.as_deref().map(time);
        match (start, row.minutes, row.end.as_deref().map(time), row.at.as_deref().map(time)) {
            (Some(start), Some(minutes), None, None) => {
                let due = calendar.due(start, minutes * MINUTE_MS);
                check("due", said(due), row.due.clone().unwrap());
                let Some(due) = due else { continue };
                check("elapsed", (calendar.elapsed(start, due) / MINUTE_MS).to_string(), minutes.to_string());
                // What takes years is not counted, nor what does not begin with a minute.
                if due.since(start) < 40 * DAY_MS && start.millis() % MINUTE_MS == 0 {
                    check("counted", wall.count(start, due).to_string(), minutes.to_string());
                    let sooner = wall.count(start, due.plus(-MINUTE_MS));
                    check(
                        "a minute sooner",
                        (sooner < minutes || minutes == 0).to_string(),
                        true.to_string(),
                    );
                    counted += 1;
                }
            }
            (Some(start), None, Some(end), None) => {
                let worked = row.worked.unwrap().to_string();
                check("worked", (calendar.elapsed(start, end) / MINUTE_MS).to_string(), worked.clone());
                check("counted", wall.count(start, end).to_string(), worked);
                counted += 1;
            }
            (None, None, None, Some(at)) => {
                let works = row.works.unwrap();
                check("works", calendar.is_working(at).to_string(), works.to_string());
                check("by the wall", wall.works(at).to_string(), works.to_string());
                check("next", said(calendar.next_working(at)), row.next.clone().unwrap());
                counted += 1;
            }
            _ => panic!("{} asks nothing that is known", row.name),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(table.cases.len() >= 60 && counted >= 60, "{} cases, {counted} counted", table.cases.len());
}

#[test]
fn every_fault_of_a_record_s_working_time_is_named() {
    let record = json!({
        "timezone": "Vienna",
        "working_hours": {"monday": "9-17", "montag": "09:00-17:00"},
        "holidays": ["2026-02-29", "25.12.2026", 5],
        "absences": [
            {"from": "2026-03-05", "through": "2026-03-04"},
            {"from": "2026-03-02T12:00", "until": "2026-03-04"},
            {"through": "2026-03-04"},
            "2026-03-02",
        ],
    });
    let faults = Faults::new();
    let object = Node::root(&record, &faults).object().unwrap();
    let read = Schedule::read(&object);
    let faults = faults.into_result(read).unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    let expected = [
        "/timezone",
        "/working_hours/monday",
        "/working_hours/montag",
        "/holidays/0",
        "/holidays/1",
        "/holidays/2",
        "/absences/0",
        "/absences/1/until",
        "/absences/1/from",
        "/absences/2/from",
        "/absences/3",
    ];
    assert_eq!(pointers, expected, "{faults:?}");
    assert!(faults[6].detail.contains("ends before it begins"));

    let many = json!({"holidays": vec!["2026-01-01"; 501]});
    let faults = Faults::new();
    let read = Schedule::read(&Node::root(&many, &faults).object().unwrap());
    assert_eq!(faults.into_result(read).unwrap_err()[0].pointer, "/holidays");
}

const ZONES: &[&str] = &[
    "Europe/Vienna",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
    "UTC",
];

/// Days around which clocks change somewhere, or nothing happens, or a whole day was skipped (Apia, 30 December 2011).
const AROUND: &[&str] = &[
    "2026-03-27T00:00:00Z",
    "2026-10-23T00:00:00Z",
    "2026-03-06T00:00:00Z",
    "2026-10-30T00:00:00Z",
    "2026-04-03T00:00:00Z",
    "2026-10-02T00:00:00Z",
    "2028-02-27T00:00:00Z",
    "2011-12-28T00:00:00Z",
];

fn any_span() -> impl Strategy<Value = String> {
    (0_u32..96, 1_u32..96).prop_map(|(from, long)| {
        let to = (from + long) % 96;
        let clock = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
        format!("{}-{}", clock(from), if to == 0 { "24:00".to_owned() } else { clock(to) })
    })
}

/// A record near a moment: hours, night shifts included, holidays and absences. Spans that overlap are left out.
fn any_record() -> impl Strategy<Value = (Value, Timestamp)> {
    let days = prop::collection::btree_map(0_usize..7, prop::collection::vec(any_span(), 1..3), 0..7);
    let holidays = prop::collection::vec(0_i64..9, 0..2);
    let absences = prop::collection::vec((0_i64..9 * 1440, 1_i64..2 * 1440, any::<bool>()), 0..3);
    (0..ZONES.len(), 0..AROUND.len(), 0_i64..1440, days, holidays, absences).prop_map(
        |(zone, around, minute, days, holidays, absences)| {
            const WORDS: [&str; 7] =
                ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let base = time(AROUND[around]);
            let day = |ms: i64| base.plus(ms).day().to_string();
            let holidays: Vec<String> = holidays.iter().map(|n| day(n * DAY_MS)).collect();
            let absences: Vec<Value> = absences
                .iter()
                .map(|(from, long, whole)| {
                    let (from, to) = (from * MINUTE_MS, (from + long) * MINUTE_MS);
                    if *whole {
                        json!({"from": day(from), "through": day(to)})
                    } else {
                        json!({"from": base.plus(from).to_string(), "through": base.plus(to).to_string()})
                    }
                })
                .collect();
            let mut record = json!({"timezone": ZONES[zone], "holidays": holidays, "absences": absences});
            let mut hours = json!({});
            for (at, spans) in days {
                let mut more = hours.clone();
                more[WORDS[at]] = json!(spans);
                let faults = Faults::new();
                if Week::read(&Node::root(&more, &faults)).is_some() && faults.is_empty() {
                    hours = more;
                }
            }
            if hours != json!({}) {
                record["working_hours"] = hours;
            }
            (record, base.plus(minute * MINUTE_MS))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn working_time_is_what_counting_minutes_one_by_one_gives(
        (record, start) in any_record(), minutes in 1_i64..2_000, until in 0_i64..8 * 1440
    ) {
        let (calendar, wall) = (calendar(&record), Wall::new(&record));
        let end = start.plus(until * MINUTE_MS);
        prop_assert_eq!(calendar.elapsed(start, end), wall.count(start, end) * MINUTE_MS, "{}", record);
        prop_assert_eq!(calendar.is_working(end), wall.works(end));
        // The first moment by which so many minutes were counted, where that is within ten days.
        let (mut at, mut left) = (start, minutes);
        while left > 0 && at.since(start) < 10 * DAY_MS {
            left -= i64::from(wall.works(at));
            at = at.plus(MINUTE_MS);
        }
        let due = calendar.due(start, minutes * MINUTE_MS);
        if left == 0 {
            prop_assert_eq!(due, Some(at), "{}", record);
        } else {
            prop_assert!(due.is_none_or(|due| due > at), "{}", record);
        }
        let next = calendar.next_working(start).filter(|next| next.since(start) < 10 * DAY_MS);
        let mut minutes = (0..10 * 1440).map(|n| start.plus(n * MINUTE_MS));
        prop_assert_eq!(next, minutes.find(|at| wall.works(*at)), "{}", record);
    }

    #[test]
    fn what_is_due_has_elapsed_and_parts_add_up(
        (record, start) in any_record(), ms in 0_i64..500 * HOUR_MS, a in 0_i64..30 * DAY_MS, b in 0_i64..30 * DAY_MS
    ) {
        let calendar = calendar(&record);
        let start = start.plus(a % MINUTE_MS);
        if let Some(due) = calendar.due(start, ms) {
            prop_assert_eq!(calendar.elapsed(start, due), ms);
            prop_assert!(ms == 0 || calendar.elapsed(start, due.plus(-1)) < ms, "sooner is too soon");
        }
        let (middle, end) = (start.plus(a), start.plus(a + b));
        let parts = calendar.elapsed(start, middle) + calendar.elapsed(middle, end);
        prop_assert_eq!(calendar.elapsed(start, end), parts);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stories {
    #[serde(rename = "about")]
    _about: String,
    /// The playbook's section, in all cases.
    promises: Value,
    people: BTreeMap<String, Value>,
    cases: Vec<Story>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    name: String,
    #[serde(default)]
    promises: Value,
    steps: Vec<Step>,
    /// Whether the scheduler comes only once, at the end.
    #[serde(default)]
    asleep: bool,
    until: String,
    expect: Expect,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Step {
    at: String,
    /// When it is known, where that is later.
    arrives: Option<String>,
    handed_off: Option<String>,
    assigned: Option<String>,
    follow_up: Option<u8>,
    /// `accepted`, `returned` or `gave up`.
    decided: Option<String>,
    not_before: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// The states of the promises before the last one.
    #[serde(default)]
    earlier: Vec<String>,
    state: String,
    owner: String,
    due_at: String,
    #[serde(default)]
    raised: Vec<Raised>,
    tries: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Raised {
    at: String,
    what: String,
}

/// The wiring in miniature: facts that come in, and a scheduler.
struct Desk {
    people: People,
    promises: domain::promise::Promises,
    turns: Vec<(Timestamp, Turn)>,
    raised: Vec<Raised>,
}

impl Desk {
    fn new(section: &Value, records: &BTreeMap<String, Value>) -> Self {
        let promises = playbook(&patched(document(), &json!({"promises": section}))).promises;
        let people = people(records, promises.working_hours.as_ref());
        Self { people, promises, turns: Vec::new(), raised: Vec::new() }
    }

    fn clocks(&self) -> Vec<Clock> {
        let mut turns = self.turns.clone();
        turns.sort_by_key(|(at, _)| *at);
        clocks(turns)
    }

    /// Raises what is due now, and tells whether that was anything.
    fn tick(&mut self, now: Timestamp) -> bool {
        let turn = self.clocks().last().and_then(|clock| clock.raise(&self.people, &self.promises, now));
        let Some(turn) = turn else { return false };
        assert!(self.raised.len() < 100, "the same is said again and again: {:?}", self.raised.last());
        let what = match &turn {
            Turn::DueSoonRaised => "due soon".to_owned(),
            Turn::LapseRaised { to: Some((to, due_at)) } => format!("lapsed to {to} by {due_at}"),
            Turn::LapseRaised { to: None } => "lapsed".to_owned(),
            other => panic!("{other:?} is nothing to raise"),
        };
        self.raised.push(Raised { at: now.to_string(), what });
        self.turns.push((now, turn));
        true
    }

    /// Ticks exactly when there is something to raise, up to a moment.
    fn tick_until(&mut self, until: Timestamp) {
        while let Some(next) = self.next_at().filter(|next| *next <= until) {
            assert!(self.tick(next), "nothing was due at {next}");
        }
    }

    fn next_at(&self) -> Option<Timestamp> {
        self.clocks().last().and_then(|clock| clock.next_at(&self.people, &self.promises))
    }

    fn step(&mut self, step: &Step) {
        let at = time(&step.at);
        let not_before = step.not_before.as_deref().map(time);
        let turn = if let Some(to) = &step.handed_off {
            let before = self.turns.iter().rev().find_map(|(_, turn)| match turn {
                Turn::Decided { not_before, .. } => *not_before,
                _ => None,
            });
            let calendar = &self.people.get(&slug(to)).calendar;
            let due_at = promised(calendar, at, before, self.promises.first_answer_hours);
            Turn::HandedOff { to: slug(to), due_at }
        } else if let Some(to) = &step.assigned {
            let hours = self.promises.first_answer_hours;
            let due_at =
                self.clocks().last().and_then(|clock| clock.moved(&slug(to), at, &self.people, hours));
            Turn::Assigned { to: slug(to), due_at }
        } else if step.follow_up.is_some() {
            Turn::FollowedUp
        } else {
            let decided = step.decided.as_deref().unwrap();
            assert!(["accepted", "returned", "gave up"].contains(&decided), "{decided}");
            Turn::Decided { accepted: decided == "accepted", gave_up: decided == "gave up", not_before }
        };
        self.turns.push((at, turn));
    }
}

fn state(state: State) -> String {
    match state {
        State::Paused { until } => format!("paused until {until}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[test]
fn a_promise_runs_pauses_is_kept_or_broken_and_goes_down_the_line() {
    let stories: Stories = read("promise.yaml");
    for story in &stories.cases {
        let section = patched(stories.promises.clone(), &story.promises);
        let mut desk = Desk::new(&section, &stories.people);
        for step in &story.steps {
            if !story.asleep {
                desk.tick_until(time(step.arrives.as_deref().unwrap_or(&step.at)).plus(-1));
            }
            desk.step(step);
        }
        let until = time(&story.until);
        if story.asleep {
            while desk.tick(until) {}
        } else {
            desk.tick_until(until);
        }
        let (clocks, name, expect) = (desk.clocks(), &story.name, &story.expect);
        let (clock, earlier) = clocks.split_last().unwrap();
        let earlier: Vec<String> = earlier.iter().map(|clock| state(clock.state(until))).collect();
        if !expect.earlier.is_empty() {
            assert_eq!(earlier, expect.earlier, "{name}");
        }
        let found = (state(clock.state(until)), clock.owner.to_string(), clock.due_at.to_string());
        let expected = (expect.state.clone(), expect.owner.clone(), expect.due_at.clone());
        assert_eq!(found, expected, "{name}");
        assert_eq!(desk.raised, expect.raised, "{name}");
        if let Some(expected) = &expect.tries {
            let found = clock.tries(desk.promises.tries.as_ref().unwrap());
            assert_eq!(format!("{found:?}").to_lowercase(), *expected, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A scheduler that comes every half hour says the same as one that comes when it is asked to, at its next turn; and
    /// whatever comes, nothing is said twice.
    #[test]
    fn what_is_raised_is_raised_once_and_not_before_it_is_due(
        steps in prop::collection::vec((0_i64..12 * 48, 0_usize..6, 0_usize..5), 1..6)
    ) {
        let stories: Stories = read("promise.yaml");
        let names: Vec<&String> = stories.people.keys().collect();
        let start = time("2026-03-27T06:00:00Z");
        let mut steps = steps;
        steps.sort_unstable();
        steps.insert(0, (0, 0, steps[0].2));
        let mut desk = Desk::new(&stories.promises, &stories.people);
        let (mut exact, mut todo) = (None, steps.into_iter().peekable());
        for slot in 0..20 * 48 {
            let now = start.plus(slot * HOUR_MS / 2);
            // What a fact changes, it changes also of what is raised next.
            while let Some((_, what, who)) = todo.next_if(|(at, _, _)| *at <= slot) {
                let open = desk.clocks().last().is_some_and(|clock| clock.answered_at.is_none());
                let who = Some(names[who].clone());
                let at = now.to_string();
                let none = Step { at, arrives: None, handed_off: None, assigned: None, follow_up: None, decided: None, not_before: None };
                match what {
                    0 | 1 if !open => desk.step(&Step { handed_off: who, ..none }),
                    2 => desk.step(&Step { follow_up: Some(1), ..none }),
                    3 => desk.step(&Step { decided: Some("returned".into()), ..none }),
                    4 if open => desk.step(&Step { assigned: who, ..none }),
                    _ => {}
                }
                exact = desk.next_at();
            }
            let before = desk.raised.len();
            while desk.tick(now) {}
            let raised = &desk.raised[before..];
            prop_assert_eq!(!raised.is_empty(), exact.is_some_and(|at| at <= now), "at {}: {:?}", now, raised);
            prop_assert!(raised.len() <= 1, "{raised:?}");
            exact = desk.next_at();
        }
        for (n, clock) in desk.clocks().iter().enumerate() {
            let until = desk.clocks().get(n + 1).map_or(Timestamp::LATEST, |next| next.started_at);
            let here = |raised: &&Raised| (clock.started_at..until).contains(&time(&raised.at));
            let mut said: Vec<String> = desk.raised.iter().filter(here).map(|raised| raised.what.clone()).collect();
            for what in &mut said {
                *what = what.split(" by ").next().unwrap().to_owned();
            }
            let all = said.len();
            said.sort();
            said.dedup();
            prop_assert_eq!(said.len(), all, "{:?}", said);
            prop_assert!(all <= 4);
            // Kept or broken follows from the two moments alone.
            let late = clock.answered_at.is_none_or(|at| at > clock.due_at);
            let now = start.plus(90 * DAY_MS);
            prop_assert_eq!(clock.state(now), if late { State::Broken } else { State::Kept });
        }
    }
}

#[test]
fn a_lead_s_facts_turn_its_clock_but_for_what_was_withdrawn_or_made_no_sense() {
    let mut document = read::<Value>("hand-off.yaml")["playbook"].clone();
    document["promises"]["follow_up"] = json!({"tries": 2, "before": ["not_reached"]});
    let playbook = playbook(&document);
    let tries = playbook.promises.tries.as_ref();
    let mut play = Play::new(&playbook, lead_id(1));
    let mut step = |text: &str| {
        play.step(&serde_json::from_value(yaml(text)).unwrap());
        play.lead().clone()
    };
    let clock = |lead: &Lead| clocks(turns(lead, tries)).pop().unwrap();
    let now = time("2026-03-02T15:00:00Z");

    let asked =
        "{at: 2026-03-02T10:00:00Z, captured: {attributes: {country: AT}, activity: contact_requested}}";
    let lead = step(asked);
    let running = clock(&lead);
    assert_eq!((running.owner.as_str(), running.state(now)), ("at-1", State::Running));
    assert_eq!(Some(running.due_at), lead.promise_due_at);

    let returned = "{at: 2026-03-02T12:00:00Z, id: gone, sales: {kind: not_ready, reason: not_reached}}";
    let given_up = clock(&step(returned));
    assert_eq!((given_up.state(now), given_up.accepted), (State::Kept, Some(false)));
    assert_eq!(given_up.tries(tries.unwrap()), Verdict::Broken);

    let lead = step("{at: 2026-03-02T13:00:00Z, withdrawn: gone}");
    assert_eq!(clock(&lead), running, "it never stopped");
    // Nobody leaves who never bought: skipped by the stages, and by the clock.
    let lead = step("{at: 2026-03-02T13:30:00Z, sales: churned}");
    assert_eq!(clock(&lead), running);
    let lead = step("{at: 2026-03-02T14:00:00Z, by: at-1, sales: {kind: assigned, to: at-2}}");
    let assigned = clock(&lead);
    assert_eq!((assigned.owner.as_str(), assigned.due_at), ("at-2", running.due_at));
    assert_eq!(
        (lead.person.as_ref().map(Slug::as_str), lead.promise_due_at),
        (Some("at-2"), Some(running.due_at))
    );

    let called = time("2026-03-02T14:30:00Z");
    let lead = step("{at: 2026-03-02T14:30:00Z, id: call, follow_up: phone}");
    let answered = clock(&lead);
    assert_eq!((answered.state(now), answered.answered_at), (State::Kept, Some(called)));
    assert_eq!(lead.promise_due_at, None);
    let lead = step("{at: 2026-03-02T14:40:00Z, withdrawn: call}");
    assert_eq!((clock(&lead), lead.promise_due_at), (assigned, Some(running.due_at)), "it was somebody else");
    let taken = clock(&step("{at: 2026-03-02T14:45:00Z, sales: accepted}"));
    assert_eq!((taken.state(now), taken.accepted), (State::Kept, Some(true)));
    assert_eq!(taken.tries(tries.unwrap()), Verdict::Open);
}

#[test]
fn without_working_hours_anywhere_hours_of_the_clock_count_as_ever() {
    let playbook = playbook(&document());
    let people = people(&BTreeMap::from([("at-1".to_owned(), json!({"timezone": "Europe/Vienna"}))]), None);
    for start in ["2026-03-07T10:00:00Z", "2026-03-28T23:30:00Z", "2026-12-25T00:00:00Z"] {
        let start = time(start);
        for id in ["at-1", "nobody"] {
            let due =
                promised(&people.get(&slug(id)).calendar, start, None, playbook.promises.first_answer_hours);
            assert_eq!(due, start.plus(24 * HOUR_MS));
        }
    }
}

#[test]
fn what_is_left_of_whoever_is_away_by_now_is_never_more_work_than_was_promised() {
    let stories: Stories = read("promise.yaml");
    let desk = Desk::new(&stories.promises, &stories.people);
    // Eight hours were promised on Friday at five until Monday at five; over the weekend they fell sick.
    let off = Turn::HandedOff { to: slug("sick"), due_at: time("2026-03-09T16:00:00Z") };
    let clock = clocks([(time("2026-03-06T16:00:00Z"), off)]).remove(0);
    let given = |at: &str| clock.moved(&slug("alone"), time(at), &desk.people, 8).map(|due| due.to_string());
    // Seventy-one hours of the clock would be nine days of work.
    assert_eq!(given("2026-03-06T17:00:00Z").as_deref(), Some("2026-03-09T16:00:00Z"));
    assert_eq!(given("2026-03-09T12:00:00Z").as_deref(), Some("2026-03-09T16:00:00Z"));
    assert_eq!(given("2026-03-09T16:00:00.001Z"), None, "nothing is left");
}

#[test]
fn a_deputy_who_has_a_holiday_is_passed_over_as_one_who_is_absent() {
    let stories: Stories = read("promise.yaml");
    let mut people = stories.people;
    people.get_mut("dirk").unwrap()["holidays"] = json!(["2026-03-03"]);
    let mut desk = Desk::new(&stories.promises, &people);
    let due_at = time("2026-03-03T09:00:00Z");
    desk.turns.push((time("2026-03-02T09:00:00Z"), Turn::HandedOff { to: slug("anna"), due_at }));
    assert!(desk.tick(due_at.plus(1)));
    assert_eq!(desk.raised[0].what, "lapsed to mona by 2026-03-04T09:00:00.001Z");
}

#[test]
fn marketing_is_judged_by_whole_weeks_of_its_zone_and_by_what_nobody_can_turn_any_more() {
    let promised = yaml(
        "{first_answer_hours: 8, marketing: [{leads_a_week: 2}, {territory: alps, timezone: Asia/Kolkata, leads_a_week: 10, accepted_percent: 60}]}",
    );
    let playbook = playbook(&patched(document(), &json!({"promises": promised})));
    let [elsewhere, alps] = playbook.promises.marketing.as_slice() else { panic!("two promises") };
    assert_eq!((elsewhere.territory.as_ref(), alps.territory.as_ref()), (None, Some(&slug("alps"))));
    assert_eq!(elsewhere.timezone.iana_name(), Some("Europe/Vienna"), "the playbook's");

    // Half past eleven on Sunday in Vienna is Monday in Kolkata.
    let night = time("2026-03-08T22:30:00Z");
    let week = |delivery: &Delivery| delivery.week_of(night).to_string();
    assert_eq!((week(elsewhere).as_str(), week(alps).as_str()), ("2026-03-02", "2026-03-09"));

    let monday = alps.week_of(time("2026-03-04T00:00:00Z"));
    let (last, over) = (time("2026-03-08T18:29:59.999Z"), time("2026-03-08T18:30:00Z"));
    let verdict = |delivery: &Delivery, delivered, accepted, returned, now| {
        delivery.verdict(monday, Tally { delivered, accepted, returned }, now)
    };
    assert_eq!(verdict(alps, 20, 20, 0, last), Verdict::Open, "more may come and be given back");
    assert_eq!(verdict(alps, 10, 6, 0, over), Verdict::Kept, "six of ten, whatever happens to the others");
    assert_eq!(verdict(alps, 10, 5, 0, over), Verdict::Open);
    assert_eq!(verdict(alps, 10, 5, 4, over), Verdict::Open, "the last one decides");
    assert_eq!(verdict(alps, 10, 0, 5, over), Verdict::Broken, "five of ten cannot be six");
    assert_eq!(verdict(alps, 9, 9, 0, over), Verdict::Broken);
    assert_eq!(verdict(alps, 9, 9, 0, last), Verdict::Open);
    assert_eq!(verdict(elsewhere, 2, 0, 2, last), Verdict::Kept, "no acceptance was promised");
    assert_eq!(verdict(elsewhere, 1, 1, 0, over), Verdict::Open, "Vienna's week goes on");
    assert_eq!(verdict(elsewhere, 1, 1, 0, time("2026-03-08T23:00:00Z")), Verdict::Broken);
}

#[test]
fn a_week_s_tally_counts_hand_offs_and_what_sales_first_decided() {
    let decided = |accepted| Turn::Decided { accepted, gave_up: false, not_before: None };
    let off = || Turn::HandedOff { to: slug("anna"), due_at: time("2026-03-09T00:00:00Z") };
    let at = |n: i64| time("2026-03-02T00:00:00Z").plus(n);
    let leads = [
        vec![(at(0), off()), (at(1), decided(true)), (at(2), decided(false))],
        vec![(at(0), off()), (at(1), Turn::FollowedUp), (at(2), decided(false)), (at(3), off())],
    ];
    let (mut tally, mut second) = (Tally::default(), Tally::default());
    clocks(leads[0].clone()).iter().for_each(|clock| tally.add(clock));
    clocks(leads[1].clone()).iter().for_each(|clock| second.add(clock));
    tally.merge(second);
    assert_eq!(tally, Tally { delivered: 3, accepted: 1, returned: 1 });
}
