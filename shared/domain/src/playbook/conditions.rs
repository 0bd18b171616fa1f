//! The condition language as it is written in a playbook.
//!
//! A condition is an object whose first word says what it asks: `all`, `any`, `not`, `attribute`, `signal`, `source`,
//! `consent`, `label`, `fit`, `engagement`, `stage`, `segment`.

use crate::attribute::{AttributeName, AttributeValue, normalise};
use crate::condition::{Condition, Level, Test, TouchField, WhichTouch};
use crate::consent::{ConsentStatus, Purpose};
use crate::identity::Slug;
use crate::ledger::SignalKey;
use crate::reader::{Node, Object};
use crate::score::Label;
use crate::stage::Stage;
use std::collections::BTreeMap;

/// The deepest nesting of conditions; a human reads no deeper.
const DEEPEST: usize = 12;

/// What a condition may refer to.
pub(super) struct Names<'a> {
    pub(super) signals: &'a BTreeMap<Slug, (usize, SignalKey)>,
    /// The segments of the playbook, where segments may be referred to.
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
            let may = match level {
                Level::Facts => "attributes, signals, source and consent",
                Level::Score => "attributes, signals, source, consent, score and label",
                Level::Stage | Level::Segments => "anything but segments",
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
        const WORDS: &[&str] = &[
            "all",
            "any",
            "not",
            "attribute",
            "signal",
            "source",
            "consent",
            "label",
            "fit",
            "engagement",
            "stage",
            "segment",
        ];
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
            "attribute" => {
                let name = object.optional("attribute").and_then(|node| node.parsed(AttributeName::parse));
                let test = test(&object, name.as_ref());
                name.zip(test).map(|(name, test)| Condition::Attribute { name, test })
            }
            "signal" => self.signal_counts(&object),
            "source" => {
                let field = object.optional("source").and_then(|node| node.one_of(TouchField::WORDS));
                let touch = match object.optional("touch") {
                    Some(node) => node.one_of(&[("first", WhichTouch::First), ("last", WhichTouch::Last)]),
                    None => Some(WhichTouch::First),
                };
                let test = test(&object, None);
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
            "label" => object.optional("label").and_then(|node| labels(&node)).map(Condition::Label),
            "fit" => object.optional("fit").and_then(|n| score_range(&n)).map(|(a, b)| Condition::Fit(a, b)),
            "engagement" => object
                .optional("engagement")
                .and_then(|n| score_range(&n))
                .map(|(a, b)| Condition::Engagement(a, b)),
            "stage" => {
                object.optional("stage").and_then(|node| words_of(&node, Stage::WORDS)).map(Condition::Stage)
            }
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

    fn signal_counts(&self, object: &Object<'_>) -> Option<Condition> {
        let count = |key: &'static str| object.optional(key).and_then(|node| node.integer(0, 100_000));
        let found = object.optional("signal").and_then(|node| self.signal(&node));
        let (exactly, least, most) = (count("exactly"), count("at_least"), count("at_most"));
        let within_days = object.optional("within_days").and_then(|node| node.integer(1, 1_000));
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
    let object = node.object()?;
    let bound = |key: &'static str| object.optional(key).and_then(|node| node.integer(0, 100));
    let (least, most) = (bound("at_least"), bound("at_most"));
    if !object.has("at_least") && !object.has("at_most") {
        object.fault("says nothing; expected at_least, at_most or both");
    }
    object.finish();
    let (least, most) = (least.unwrap_or(0), most.unwrap_or(100));
    if least > most {
        node.fault("can never be met: \"at_most\" is less than \"at_least\"");
        return None;
    }
    Some((u8::try_from(least).ok()?, u8::try_from(most).ok()?))
}

/// Reads the one test that stands in an object; `name` is the attribute, where it is one, for its normal form.
pub(super) fn test(object: &Object<'_>, name: Option<&AttributeName>) -> Option<Test> {
    const WORDS: &[&str] =
        &["equals", "in", "at_least", "at_most", "exists", "matches", "starts_with", "contains"];
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
    let said: Vec<&&str> = WORDS.iter().filter(|word| object.has(word)).collect();
    match said.as_slice() {
        [a, b] if **a == "at_least" && **b == "at_most" => {}
        [_] => {}
        _ => {
            object.fault(format!(
                "must say exactly one of: {} (at_least and at_most may stand together)",
                WORDS.join(", ")
            ));
            return None;
        }
    }
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        object.fault("can never be met: \"at_most\" is less than \"at_least\"");
        return None;
    }
    let range = (least.is_some() || most.is_some()).then_some(Test::Range { least, most });
    equals.or(one_of).or(range).or(exists).or(matches).or(starts_with).or(contains)
}
