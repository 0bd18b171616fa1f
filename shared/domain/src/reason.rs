//! Why a condition holds, or no longer does: which of its parts decided it.
//!
//! A part is a simple test, numbered in the order in which the condition is written. What is kept of a reason is the
//! number and the answer, a few bytes; whoever shows it has the playbook's document and says the part in words.

use crate::condition::{Condition, View};
use std::fmt;

/// The most parts that a reason names.
const MOST: usize = 8;

/// A part of a condition with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The number of the part, from 0.
    pub part: u16,
    /// Its answer; none where it cannot be known.
    pub answer: Option<bool>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.answer {
            Some(true) => "",
            Some(false) => "!",
            None => "?",
        };
        write!(f, "{mark}{}", self.part)
    }
}

impl Reason {
    /// Reads what [`Reason`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (answer, part) = match (text.strip_prefix('!'), text.strip_prefix('?')) {
            (Some(part), _) => (Some(false), part),
            (_, Some(part)) => (None, part),
            _ => (Some(true), text),
        };
        Some(Self { part: part.parse().ok()?, answer })
    }
}

/// Why one thing took the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Because {
    /// Whether the parts are those of the old one, which is met no longer, rather than of the new one.
    pub ended: bool,
    /// The parts that decided; none where there is no condition.
    pub parts: Vec<Reason>,
}

/// Gives the parts that decide a condition as it is now, the first few in the order in which it is written.
#[must_use]
pub fn deciding(condition: &Condition, now: &View<'_>) -> Vec<Reason> {
    let mut found = all_deciding(condition, now);
    found.truncate(MOST);
    found
}

/// Gives those of the deciding parts that had another answer before.
#[must_use]
pub fn turned(condition: &Condition, before: &View<'_>, now: &View<'_>) -> Vec<Reason> {
    let answers = answers(condition, before);
    let turned =
        |reason: &Reason| answers.get(usize::from(reason.part)).is_some_and(|was| *was != reason.answer);
    let mut found = all_deciding(condition, now);
    found.retain(turned);
    found.truncate(MOST);
    found
}

fn all_deciding(condition: &Condition, now: &View<'_>) -> Vec<Reason> {
    let mut found = Vec::new();
    decide(condition, now, &mut 0, &mut found);
    found
}

/// Gives the answer of every part.
fn answers(condition: &Condition, view: &View<'_>) -> Vec<Option<bool>> {
    let mut answers = Vec::new();
    condition.visit(&mut |part| answers.push(part.eval(view)));
    answers
}

/// Collects the parts that give the condition its answer: of an `all` that is met, every part; of one that is not, those
/// that fail it; of an `any`, the other way round.
fn decide(condition: &Condition, view: &View<'_>, next: &mut u16, found: &mut Vec<Reason>) {
    let answer = condition.eval(view);
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                if part.eval(view) == answer {
                    decide(part, view, next, found);
                } else {
                    part.visit(&mut |_| *next = next.saturating_add(1));
                }
            }
        }
        Condition::Not(part) => decide(part, view, next, found),
        _ => {
            found.push(Reason { part: *next, answer });
            *next = next.saturating_add(1);
        }
    }
}

/// Gives a part of a condition as it is written, by its number.
#[must_use]
pub fn part(written: &serde_json::Value, number: u16) -> Option<&serde_json::Value> {
    fn find<'a>(written: &'a serde_json::Value, left: &mut u16) -> Option<&'a serde_json::Value> {
        let inner = ["all", "any"].iter().find_map(|word| written.get(word)?.as_array());
        if let Some(parts) = inner {
            return parts.iter().find_map(|part| find(part, left));
        }
        if let Some(part) = written.get("not") {
            return find(part, left);
        }
        if *left == 0 {
            return Some(written);
        }
        *left -= 1;
        None
    }
    find(written, &mut { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_the_number_that_the_parsed_condition_counts() {
        let written = serde_json::json!({"all": [
            {"attribute": "a", "exists": true},
            {"not": {"any": [{"attribute": "b", "exists": true}, {"attribute": "c", "exists": true}]}},
            {"attribute": "d", "exists": true},
        ]});
        let names: Vec<_> =
            (0..5).map(|n| part(&written, n).map(|part| part["attribute"].as_str().unwrap())).collect();
        assert_eq!(names, [Some("a"), Some("b"), Some("c"), Some("d"), None]);
    }

    #[test]
    fn what_is_written_reads_back() {
        for answer in [Some(true), Some(false), None] {
            let reason = Reason { part: 17, answer };
            assert_eq!(Reason::parse(&reason.to_string()), Some(reason));
        }
        assert_eq!(Reason::parse("x"), None);
    }
}
