//! What to talk about with somebody who mirrors a persona.
//!
//! What is said of a persona is a guess until evidence speaks for it, and whoever picks up the phone should know which of
//! the two it is. So each point carries the verdict of its statement; what is contradicted is no point at all. What stands
//! comes first, and of what stands equally what more weight speaks for.

use super::Aspect;
use super::card::{Card, Judged, Verdict};
use std::cmp::Reverse;

/// The most points; more are not remembered during a call.
pub const MOST: usize = 8;

/// Something to say, or to be ready for.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// What to do with it: speak to it, or be ready for it.
    pub how: &'static str,
    /// The statement that it follows from, with what it rests on.
    pub judged: &'a Judged<'a>,
    /// The best that somebody said for it.
    pub quote: Option<&'a str>,
}

/// Tells what to do with what is known under an aspect; nothing with somebody's history.
const fn how(aspect: Aspect) -> Option<&'static str> {
    match aspect {
        Aspect::Goal => Some("Show how we help them reach it"),
        Aspect::Pain => Some("Ask whether it hurts them too"),
        Aspect::Motivation => Some("Speak to it"),
        Aspect::Concern => Some("Take the worry before they name it"),
        Aspect::Objection => Some("Have an answer ready"),
        Aspect::History => None,
    }
}

/// Gives what to talk about, what stands firmest first.
#[must_use]
pub fn points<'a>(card: &'a Card<'a>) -> Vec<Point<'a>> {
    let mut points: Vec<Point<'a>> = card
        .statements
        .iter()
        .filter(|judged| judged.verdict != Verdict::Contradicted)
        .filter_map(|judged| {
            let how = how(judged.statement.aspect)?;
            let quote = judged.supports.evidence.first().map(|one| one.text.as_str());
            Some(Point { how, judged, quote })
        })
        .collect();
    // Stable: of those alike the order of the playbook stays.
    points.sort_by_key(|point| (point.judged.verdict, Reverse(point.judged.supports.weight)));
    points.truncate(MOST);
    points
}
