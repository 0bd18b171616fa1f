//! Where the buyer is, seen from content: what a lead needs to read next.
//!
//! The phases are the same for everybody; which lead is in which is a condition of the playbook. Where a lead meets
//! several, the furthest counts: who asks for an offer is past comparing.

use crate::condition::{Condition, View};
use crate::playbook::Playbook;
use std::fmt;

/// A phase of the buyer's journey. The order of the variants is the order of the journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Sees a problem.
    Awareness,
    /// Compares ways to solve it.
    Consideration,
    /// Chooses whom to buy from.
    Decision,
    /// Has bought.
    Customer,
}

impl Phase {
    /// Every phase with its word in the API, in the order of the journey.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("awareness", Self::Awareness),
        ("consideration", Self::Consideration),
        ("decision", Self::Decision),
        ("customer", Self::Customer),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, phase)| *phase == self).map_or("", |(word, _)| word)
    }

    /// Reads the word of the API.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, phase)| *phase)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a playbook says of the phases.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// The phases that have a condition, the furthest first.
    pub conditions: Vec<(Phase, Condition)>,
    /// The phase of who meets none of them, where there is one.
    pub otherwise: Option<Phase>,
}

impl Phases {
    /// Gives the condition of a phase.
    #[must_use]
    pub fn when(&self, phase: Phase) -> Option<&Condition> {
        self.conditions.iter().find(|(of, _)| *of == phase).map(|(_, when)| when)
    }
}

/// Gives the phase that a lead is in: the furthest whose condition it meets.
#[must_use]
pub fn phase(playbook: &Playbook, view: &View<'_>) -> Option<Phase> {
    let met = playbook.phases.conditions.iter().find(|(_, when)| when.met(view));
    met.map(|(phase, _)| *phase).or(playbook.phases.otherwise)
}
