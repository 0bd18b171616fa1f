//! Personas: fictional ideal customers, with what is said of them and which leads mirror them.
//!
//! What is said of a persona stands in the playbook as statements, each with an id that stays: evidence for and against
//! it, which comes in day by day and needs nobody's signature, refers to it by that. A lead mirrors the first persona,
//! by priority, whose condition it meets, and only that one, so that shares of the base add up; who meets several is
//! counted, since personas that overlap tell marketing that they are drawn badly.
//!
//! # Layout
//!
//! * this file – what a persona is, and who mirrors it;
//! * [`card`] – what it stands on; [`figures`] – how many leads mirror it; [`talk`] – what to say to them.

pub mod card;
pub mod figures;
pub mod talk;

use crate::condition::{Condition, View};
use crate::identity::Slug;
use crate::playbook::Playbook;
use std::collections::BTreeSet;

/// What a statement about a persona is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Where they come from.
    History,
    /// What they want to reach.
    Goal,
    /// What hurts.
    Pain,
    /// What drives them.
    Motivation,
    /// What worries them.
    Concern,
    /// What they say against buying.
    Objection,
}

impl Aspect {
    /// Every aspect with its word in the API, which is that of its list in the playbook.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("history", Self::History),
        ("goals", Self::Goal),
        ("pains", Self::Pain),
        ("motivations", Self::Motivation),
        ("concerns", Self::Concern),
        ("objections", Self::Objection),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, aspect)| *aspect == self).map_or("", |(word, _)| word)
    }
}

/// What a statement is said to rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// On evidence, which is on record.
    Evidence,
    /// On a guess.
    Speculation,
}

impl Basis {
    /// Both with their words in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("evidence", Self::Evidence), ("speculation", Self::Speculation)];

    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Speculation => "speculation",
        }
    }
}

/// A statement about a persona.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id, unique within the persona.
    pub id: Slug,
    /// What it is about.
    pub aspect: Aspect,
    /// What it says.
    pub text: String,
    /// What it is said to rest on.
    pub basis: Basis,
}

/// A persona.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Its id.
    pub id: Slug,
    /// Its name, such as "Olga, who runs the plant".
    pub name: String,
    /// A day in their life, in a few sentences.
    pub portrait: Option<String>,
    /// What is said of them, in the order in which it stands in the playbook.
    pub statements: Vec<Statement>,
    /// The channels that they prefer.
    pub channels: BTreeSet<Slug>,
    /// Who mirrors them.
    pub when: Condition,
    /// Who comes first where a lead mirrors several: the lowest number, and of equal ones the first by id.
    pub priority: u16,
}

impl Persona {
    /// Gives the statement with an id.
    #[must_use]
    pub fn statement(&self, id: &str) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.id.as_str() == id)
    }
}

/// Gives the persona that a lead mirrors: the first of those whose condition it meets.
#[must_use]
pub fn persona<'a>(playbook: &'a Playbook, view: &View<'_>) -> Option<&'a Persona> {
    mirrored(playbook, view).next()
}

/// Gives every persona whose condition a lead meets, the first by priority first.
pub fn mirrored<'a>(playbook: &'a Playbook, view: &View<'_>) -> impl Iterator<Item = &'a Persona> {
    playbook.personas.iter().filter(move |persona| persona.when.met(view))
}
