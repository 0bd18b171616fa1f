//! The condition language as it is written in a playbook.
//!
//! A condition is an object whose first word says what it asks; they are the [`WORDS`], and `docs/conditions.md` says
//! what each means.

use super::Region;
use super::read::country;
use crate::attribute::{AttributeName, AttributeValue, COUNTRY, normalise};
use crate::condition::{Comparison, Condition, DayTest, Level, Test, TouchField, WhichTime, WhichTouch};
use crate::consent::{ConsentStatus, Purpose};
use crate::country::Country;
use crate::identity::Slug;
use crate::ledger::SignalKey;
use crate::phase::Phase;
use crate::reader::{Node, Object};
use crate::score::Label;
use crate::stage::{Stage, Team};
use crate::time::Day;
use std::collections::BTreeMap;

/// The deepest nesting of conditions, which protects the stack; a human reads no deeper.
const DEEPEST: usize = 32;

/// The words with which a condition begins.
const WORDS: &[&str] = &[
    "all",
    "any",
    "not",
    "attribute",
    "country",
    "region",
    "signal",
    "source",
    "consent",
    "sample",
    "label",
    "fit",
    "engagement",
    "persona",
    "stage",
    "in_stage_days",
    "owner",
    "phase",
    "segment",
];

/// The words that test a value.
const TESTS: &[&str] =
    &["equals", "in", "at_least", "at_most", "exists", "matches", "starts_with", "contains"];

/// The words that test the day on which something was.
const PAST_DAYS: &[&str] = &["after", "before", "on", "within_last_days", "older_than_days"];

/// The words that test the day of a date, beside those.
const OTHER_DAYS: &[&str] = &["within_next_days", "anniversary_within_days"];

/// The words that compare an attribute with another one.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("equals_attribute", Comparison::Same),
    ("before_attribute", Comparison::Before),
    ("after_attribute", Comparison::After),
];

/// The words that may stand together.
const PAIRS: &[(&str, &str)] = &[("at_least", "at_most"), ("after", "before")];

/// The most days that a test of a day looks back or ahead: a hundred years.
const MOST_DAYS: i64 = 36_525;

/// What a condition may refer to.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) signals: &'a BTreeMap<Slug, (usize, SignalKey)>,
    pub(super) regions: &'a [Region],
    /// The personas of the playbook.
    pub(super) personas: &'a [Slug],
    /// The segments of the playbook.
    pub(super) segments: &'a [Slug],
}

impl Names<'_> {
    /// Reads the id of a signal of the playbook.
    pub(super) fn signal(&self, node: &Node<'_>) -> Option<(Slug, usize, SignalKey)> {
        let id = node.parsed(Slug::parse)?;
        match self.signals.get(&id) {
            Some((at, key)) => Some((id, *at, *key)),
            None => {
                let known: Vec<&str> = self.signals.keys().map(Slug::as_str).collect();
                node.fault(format!(
                    "names no signal of this playbook; the signals are: {}",
                    known.join(", ")
                ));
                None
            }
        }
    }

    /// Reads a condition that may use no more than `level` allows.
    pub(super) fn condition(&self, node: &Node<'_>, level: Level) -> Option<Condition> {
        let condition = self.part(node, 0)?;
        if condition.level() > level {
            let facts = "attributes, country, region, signals, source, consent";
            let may = match level {
                Level::Facts => format!("{facts} and sample"),
                Level::Score => format!("{facts}, sample, score and label"),
                Level::Persona => format!("{facts}, sample, score, label and persona"),
                Level::Stage => "anything but phase and segments".to_owned(),
                Level::Phase | Level::Segments => "anything but segments".to_owned(),
            };
            node.fault(format!("uses what is decided only later; here a condition may use {may}"));
            return None;
        }
        Some(condition)
    }

    fn part(&self, node: &Node<'_>, depth: usize) -> Option<Condition> {
        if depth > DEEPEST {
            node.fault(format!("is nested deeper than {DEEPEST}"));
            return None;
        }
        let object = node.object()?;
        let parts = |key: &'static str| -> Option<Vec<Condition>> {
            let list = object.optional(key)?.list()?;
            if list.is_empty() {
                node.fault(format!("has an empty \"{key}\"; expected at least one condition in it"));
                return None;
            }
            let read: Vec<_> = list.iter().map(|node| self.part(node, depth + 1)).collect();
            read.into_iter().collect()
        };
        let words: Vec<&&str> = WORDS.iter().filter(|word| object.has(word)).collect();
        let [word] = words.as_slice() else {
            node.fault(format!("must say exactly one of: {}", WORDS.join(", ")));
            return None;
        };
        let condition = match **word {
            "all" => parts("all").map(Condition::All),
            "any" => parts("any").map(Condition::Any),
            "not" => object
                .optional("not")
                .and_then(|node| self.part(&node, depth + 1))
                .map(|part| Condition::Not(Box::new(part))),
            "attribute" => attribute(&object),
            "country" => object.optional("country").and_then(|node| {
                let listed: Vec<_> = node.list_or_one().iter().map(country).collect();
                if listed.is_empty() {
                    node.fault("is an empty list; expected at least one country");
                    return None;
                }
                one_of_countries(listed.into_iter().collect::<Option<_>>()?)
            }),
            "region" => object.optional("region").and_then(|node| self.region(&node)),
            "signal" => self.signal_condition(&object),
            "source" => {
                let field = object.optional("source").and_then(|node| node.one_of(TouchField::WORDS));
                let touch = match object.optional("touch") {
                    Some(node) => node.one_of(&[("first", WhichTouch::First), ("last", WhichTouch::Last)]),
                    None => Some(WhichTouch::First),
                };
                let test = test(&object);
                field.zip(touch).zip(test).map(|((field, touch), test)| Condition::Source {
                    touch,
                    field,
                    test,
                })
            }
            "consent" => {
                let purpose = object.optional("consent").and_then(|node| node.one_of(Purpose::WORDS));
                let status = match object.optional("status") {
                    Some(node) => words_of(&node, ConsentStatus::WORDS),
                    None => Some(vec![ConsentStatus::Confirmed]),
                };
                purpose.zip(status).map(|(purpose, status)| Condition::Consent { purpose, status })
            }
            "sample" => object.optional("sample").and_then(|node| sample(&node)),
            "label" => object.optional("label").and_then(|node| labels(&node)).map(Condition::Label),
            "fit" => object.optional("fit").and_then(|n| score_range(&n)).map(|(a, b)| Condition::Fit(a, b)),
            "engagement" => object
                .optional("engagement")
                .and_then(|n| score_range(&n))
                .map(|(a, b)| Condition::Engagement(a, b)),
            "persona" => object.optional("persona").and_then(|node| self.personas(&node)),
            "phase" => {
                object.optional("phase").and_then(|node| words_of(&node, Phase::WORDS)).map(Condition::Phase)
            }
            "stage" => {
                object.optional("stage").and_then(|node| words_of(&node, Stage::WORDS)).map(Condition::Stage)
            }
            "in_stage_days" => object
                .optional("in_stage_days")
                .and_then(|node| range(&node, MOST_DAYS))
                .map(|(least, most)| Condition::InStage(DayTest::Ago { least, most })),
            "owner" => object.optional("owner").and_then(|node| owner(&node)),
            _ => object.optional("segment").and_then(|node| {
                let id = node.parsed(Slug::parse)?;
                if !self.segments.contains(&id) {
                    node.fault("names no segment of this playbook");
                    return None;
                }
                Some(Condition::Segment(id))
            }),
        };
        object.finish();
        condition
    }

    /// Reads the ids of one persona or of several.
    fn personas(&self, node: &Node<'_>) -> Option<Condition> {
        let listed = node.list_or_one();
        if listed.is_empty() {
            node.fault("is an empty list; expected at least one persona");
            return None;
        }
        let read = listed.iter().map(|node| {
            let id = node.parsed(Slug::parse)?;
            if !self.personas.contains(&id) {
                node.fault("names no persona of this playbook");
                return None;
            }
            Some(id)
        });
        let read: Vec<_> = read.collect();
        read.into_iter().collect::<Option<_>>().map(Condition::Persona)
    }

    /// Reads the ids of one region or of several.
    fn region(&self, node: &Node<'_>) -> Option<Condition> {
        self.regions(node).and_then(one_of_countries)
    }

    /// Reads the ids of one region or of several, and gives their countries.
    pub(super) fn regions(&self, node: &Node<'_>) -> Option<Vec<Country>> {
        let mut all = Vec::new();
        let listed = node.list_or_one();
        if listed.is_empty() {
            node.fault("is an empty list; expected at least one region");
            return None;
        }
        for node in listed {
            let id = node.parsed(Slug::parse)?;
            let Some(region) = self.regions.iter().find(|region| region.id == id) else {
                node.fault("names no region of this playbook");
                return None;
            };
            all.extend(&region.countries);
        }
        Some(all)
    }

    fn signal_condition(&self, object: &Object<'_>) -> Option<Condition> {
        const OFTEN: &[&str] = &["at_least", "at_most", "exactly", "never", "within_days"];
        let count = |key: &'static str| object.optional(key).and_then(|node| node.integer(0, 100_000));
        let found = object.optional("signal").and_then(|node| self.signal(&node));
        let (exactly, least, most) = (count("exactly"), count("at_least"), count("at_most"));
        let never = object.optional("never").and_then(|node| {
            let never = node.value() == true;
            if !never {
                node.fault("is not true; that it was seen is what a signal asks by itself");
            }
            never.then_some(0)
        });
        let within_days = object.optional("within_days").and_then(|node| node.integer(1, 1_000));
        let seen = |key: &'static str, which| {
            let object = object.optional(key)?.object()?;
            let test = day_test(&object, PAST_DAYS);
            let said = says_one(&object, PAST_DAYS);
            object.finish();
            test.filter(|_| said).map(|test| (which, test))
        };
        let seen = [seen("first_seen", WhichTime::First), seen("last_seen", WhichTime::Last)];
        let often = OFTEN.iter().any(|word| object.has(word));
        let days = ["first_seen", "last_seen"].iter().filter(|word| object.has(word)).count();
        if days > 1 || (days == 1 && often) {
            object.fault("says more than one of how often, first_seen and last_seen; expected one of them");
            return None;
        }
        if days == 1 {
            let ((signal, _, key), (which, test)) = found.zip(seen.into_iter().flatten().next())?;
            return Some(Condition::Seen { signal, key, which, test });
        }
        if never.is_some() && ["at_least", "at_most", "exactly"].iter().any(|word| object.has(word)) {
            object.fault("says both \"never\" and how often; expected one of them");
            return None;
        }
        let exactly = exactly.or(never);
        if exactly.is_some() && (least.is_some() || most.is_some()) {
            object.fault("says both \"exactly\" and \"at_least\" or \"at_most\"; expected one of them");
            return None;
        }
        let least = exactly.or(least).unwrap_or(if most.is_some() { 0 } else { 1 });
        let most = exactly.or(most);
        if most.is_some_and(|most| most < least) {
            object.fault("can never be met: \"at_most\" is less than \"at_least\"");
            return None;
        }
        let (signal, _, key) = found?;
        Some(Condition::Signal {
            signal,
            key,
            at_least: u32::try_from(least).ok()?,
            at_most: most.and_then(|most| u32::try_from(most).ok()),
            within_days: within_days.and_then(|days| u16::try_from(days).ok()),
        })
    }
}

/// Reads one word or a list of words of a fixed set.
fn words_of<T: Copy>(node: &Node<'_>, words: &[(&str, T)]) -> Option<Vec<T>> {
    let read: Vec<_> = node.list_or_one().iter().map(|node| node.one_of(words)).collect();
    if read.is_empty() {
        node.fault("is an empty list; expected at least one");
        return None;
    }
    read.into_iter().collect()
}

/// Reads one label or a list of labels.
pub(super) fn labels(node: &Node<'_>) -> Option<Vec<Label>> {
    let read: Vec<_> = node
        .list_or_one()
        .iter()
        .map(|node| {
            node.parsed(|text| {
                Label::parse(text).ok_or("is not a label; expected A to D with 1 to 4, such as A1")
            })
        })
        .collect();
    if read.is_empty() {
        node.fault("is an empty list; expected at least one label");
        return None;
    }
    read.into_iter().collect()
}

fn score_range(node: &Node<'_>) -> Option<(u8, u8)> {
    let (least, most) = range(node, 100)?;
    Some((u8::try_from(least.unwrap_or(0)).ok()?, u8::try_from(most.unwrap_or(100)).ok()?))
}

/// Reads `at_least`, `at_most` or both: whole numbers from 0 to `end`.
fn range(node: &Node<'_>, end: i64) -> Option<(Option<i32>, Option<i32>)> {
    let object = node.object()?;
    let bound = |key: &'static str| {
        object.optional(key).and_then(|node| node.integer(0, end)).and_then(|n| i32::try_from(n).ok())
    };
    let (least, most) = (bound("at_least"), bound("at_most"));
    if !object.has("at_least") && !object.has("at_most") {
        object.fault("says nothing; expected at_least, at_most or both");
    }
    object.finish();
    if least.zip(most).is_some_and(|(least, most)| least > most) {
        node.fault("can never be met: \"at_most\" is less than \"at_least\"");
        return None;
    }
    Some((least, most))
}

fn one_of_countries(mut countries: Vec<Country>) -> Option<Condition> {
    countries.sort();
    countries.dedup();
    Some(Condition::Country { name: AttributeName::parse(COUNTRY).ok()?, countries })
}

fn sample(node: &Node<'_>) -> Option<Condition> {
    let object = node.object()?;
    let percent = object.required("percent").and_then(|node| node.integer(1, 100));
    let of = object.required("of").and_then(|node| node.parsed(Slug::parse));
    object.finish();
    Some(Condition::Sample { percent: u8::try_from(percent?).ok()?, of: of? })
}

fn owner(node: &Node<'_>) -> Option<Condition> {
    let object = node.object()?;
    let teams = &[Team::Marketing, Team::Sales].map(|team| (team.as_str(), team));
    let team = object.optional("team").and_then(|node| node.one_of(teams)).map(Condition::Team);
    let person = object.optional("person").and_then(|node| {
        let people: Vec<_> = node.list_or_one().iter().map(|node| node.parsed(Slug::parse)).collect();
        if people.is_empty() {
            node.fault("is an empty list; expected at least one person");
            return None;
        }
        people.into_iter().collect::<Option<_>>().map(Condition::Person)
    });
    let said = says_one(&object, &["team", "person"]);
    object.finish();
    team.or(person).filter(|_| said)
}

/// Tells whether an object says exactly one of several words, or two that may stand together; it is a fault otherwise.
fn says_one(object: &Object<'_>, words: &[&str]) -> bool {
    let said: Vec<&str> = words.iter().filter(|word| object.has(word)).copied().collect();
    let right = match said.as_slice() {
        [_] => true,
        [a, b] => PAIRS.contains(&(a, b)),
        _ => false,
    };
    if !right {
        let pairs = PAIRS.iter().filter(|(a, b)| words.contains(a) && words.contains(b));
        let pairs: Vec<String> = pairs.map(|(a, b)| format!("{a} and {b} may stand together")).collect();
        let pairs = if pairs.is_empty() { String::new() } else { format!(" ({})", pairs.join(", ")) };
        object.fault(format!("must say exactly one of: {}{pairs}", words.join(", ")));
    }
    right
}

/// Reads what is asked of an attribute.
fn attribute(object: &Object<'_>) -> Option<Condition> {
    let name = object.optional("attribute").and_then(|node| node.parsed(AttributeName::parse));
    let value = value_test(object, name.as_ref());
    let day = day_test(object, &[PAST_DAYS, OTHER_DAYS].concat());
    let compared: Vec<_> = COMPARISONS
        .iter()
        .filter_map(|(word, how)| {
            Some((*how, object.optional(word).and_then(|node| node.parsed(AttributeName::parse))?))
        })
        .collect();
    let comparisons: Vec<&str> = COMPARISONS.iter().map(|(word, _)| *word).collect();
    if !says_one(object, &[TESTS, PAST_DAYS, OTHER_DAYS, &comparisons].concat()) {
        return None;
    }
    let name = name?;
    match (value, day, compared.into_iter().next()) {
        (Some(test), _, _) => Some(Condition::Attribute { name, test }),
        (_, Some(test), _) => Some(Condition::Date { name, test }),
        (_, _, Some((how, other))) => Some(Condition::Compared { name, how, other }),
        _ => None,
    }
}

/// Reads the test of a day that stands in an object, which may use these words.
fn day_test(object: &Object<'_>, words: &[&'static str]) -> Option<DayTest> {
    let asked = |key: &'static str| words.contains(&key).then(|| object.optional(key))?;
    let day = |key: &'static str| {
        asked(key).and_then(|node| {
            node.parsed(|text| {
                let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
                if text.trim().chars().map(shape).eq("0000-00-00".chars()) {
                    Day::parse(text).ok_or("is no day of the calendar")
                } else {
                    Err("is not a day; expected one such as 2026-02-01")
                }
            })
        })
    };
    let days = |key: &'static str, most: i64| {
        asked(key).and_then(|node| node.integer(1, most)).and_then(|days| i32::try_from(days).ok())
    };
    let (after, before, on) = (day("after"), day("before"), day("on"));
    let last = days("within_last_days", MOST_DAYS);
    let next = days("within_next_days", MOST_DAYS);
    let older = days("older_than_days", MOST_DAYS);
    let anniversary = days("anniversary_within_days", 365);
    let (from, to) = (after.map(|day| day.plus(1)), before.map(|day| day.plus(-1)));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        object.fault("can never be met: no day lies after \"after\" and before \"before\"");
        return None;
    }
    let ago = |least, most| Some(DayTest::Ago { least, most });
    match (last, next, older) {
        (Some(days), ..) => return ago(Some(0), Some(days - 1)),
        (_, Some(days), _) => return ago(Some(1 - days), Some(0)),
        (_, _, Some(days)) => return ago(Some(days), None),
        _ => {}
    }
    if let Some(within) = anniversary {
        return Some(DayTest::Anniversary(u16::try_from(within).ok()?));
    }
    let (from, to) = (on.or(from), on.or(to));
    (from.is_some() || to.is_some()).then_some(DayTest::Between { from, to })
}

/// Reads the one test of a value that stands in an object.
pub(super) fn test(object: &Object<'_>) -> Option<Test> {
    let test = value_test(object, None);
    if says_one(object, TESTS) { test } else { None }
}

/// Reads the test of a value that stands in an object; `name` is the attribute, where it is one, for its normal form.
fn value_test(object: &Object<'_>, name: Option<&AttributeName>) -> Option<Test> {
    let value = |node: &Node<'_>| {
        let value = AttributeValue::read(node);
        if value.is_none() && node.value().is_null() | node.value().is_string() {
            node.fault("is empty; to ask whether a value is known, say exists: false");
        }
        value.map(|value| match name {
            Some(name) => normalise(name, value),
            None => value,
        })
    };
    let text = |key: &'static str| object.optional(key).and_then(|node| node.text(200).map(str::to_owned));
    let equals = object.optional("equals").and_then(|node| value(&node)).map(|v| Test::OneOf(vec![v]));
    let one_of = object.optional("in").and_then(|node| {
        let read: Vec<_> = node.list()?.iter().map(&value).collect();
        if read.is_empty() {
            node.fault("is an empty list; expected at least one value");
            return None;
        }
        read.into_iter().collect::<Option<Vec<_>>>().map(Test::OneOf)
    });
    let least = object.optional("at_least").and_then(|node| node.number());
    let most = object.optional("at_most").and_then(|node| node.number());
    let exists = object.optional("exists").and_then(|node| node.boolean()).map(Test::Exists);
    let matches = object.optional("matches").and_then(|node| {
        let pattern = node.text(500)?;
        // Texts compare without regard to case, in expressions as elsewhere; `(?-i)` asks for it.
        match regex_lite::RegexBuilder::new(pattern).case_insensitive(true).size_limit(100_000).build() {
            Ok(regex) => Some(Test::Matches(regex)),
            Err(error) => {
                node.fault(format!("is not a regular expression: {error}"));
                None
            }
        }
    });
    let starts_with = text("starts_with").map(Test::StartsWith);
    let contains = text("contains").map(Test::Contains);
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        object.fault("can never be met: \"at_most\" is less than \"at_least\"");
        return None;
    }
    let range = (least.is_some() || most.is_some()).then_some(Test::Range { least, most });
    equals.or(one_of).or(range).or(exists).or(matches).or(starts_with).or(contains)
}
