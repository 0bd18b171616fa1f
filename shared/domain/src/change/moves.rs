//! Which persona, phase and segments a lead came to or left, and why.

use super::Effect;
use crate::condition::{Condition, View};
use crate::identity::Slug;
use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::reason::{Because, Reason, deciding, turned};
use crate::time::Day;
use std::collections::BTreeSet;

/// What brought a lead to where it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A fact.
    Fact,
    /// Time, or another playbook.
    Time,
}

/// Says why conditions are met now or no longer.
struct Why<'a> {
    /// The lead as it was, where a fact changed it. What time turned cannot be told from this, since it is seen on
    /// today's date.
    was: Option<View<'a>>,
    now: View<'a>,
}

impl Why<'_> {
    /// Gives the parts that the fact turned or, where it turned none, all that decide.
    fn of(&self, condition: Option<&Condition>) -> Vec<Reason> {
        let turned = self.turned(condition);
        if turned.is_empty() { self.deciding(condition) } else { turned }
    }

    fn turned(&self, condition: Option<&Condition>) -> Vec<Reason> {
        let both = condition.zip(self.was.as_ref());
        both.map(|(condition, was)| turned(condition, was, &self.now)).unwrap_or_default()
    }

    fn deciding(&self, condition: Option<&Condition>) -> Vec<Reason> {
        condition.map(|condition| deciding(condition, &self.now)).unwrap_or_default()
    }

    /// Says why one thing took the place of another: because the new one began or, where nothing about that is new,
    /// because the old one ended.
    fn instead(&self, from: Option<&Condition>, to: Option<&Condition>) -> Because {
        let began = self.turned(to);
        let over = from.is_some_and(|from| !from.met(&self.now));
        if began.is_empty() && over {
            return Because { ended: true, parts: self.of(from) };
        }
        Because { ended: false, parts: if began.is_empty() { self.deciding(to) } else { began } }
    }
}

/// Lists what is another now than it was before; a new lead had nothing.
pub(super) fn moves(
    before: Option<&Lead>,
    cause: Cause,
    lead: &Lead,
    playbook: &Playbook,
    today: Day,
) -> Vec<Effect> {
    let was = before.filter(|_| cause == Cause::Fact).map(|before| before.evaluated(today));
    let why = Why { was, now: lead.evaluated(today) };
    let mut effects = Vec::new();
    let (from, to) = (before.and_then(|before| before.persona.clone()), lead.persona.clone());
    if from != to {
        let when = |id: &Option<Slug>| Some(&playbook.persona(id.as_ref()?.as_str())?.when);
        let because = why.instead(when(&from), when(&to));
        effects.push(Effect::PersonaChanged { from, to, because });
    }
    let (from, to) = (before.and_then(|before| before.phase), lead.phase);
    if from != to {
        let when = |phase| playbook.phases.when(phase);
        let because = why.instead(from.and_then(when), to.and_then(when));
        effects.push(Effect::PhaseChanged { from, to, because });
    }
    let of = |id: &Slug| why.of(playbook.segment(id.as_str()).map(|segment| &segment.when));
    let none = BTreeSet::new();
    let earlier = before.map_or(&none, |before| &before.segments);
    for id in lead.segments.difference(earlier) {
        effects.push(Effect::SegmentEntered { segment: id.clone(), because: of(id) });
    }
    for id in earlier.difference(&lead.segments) {
        effects.push(Effect::SegmentLeft { segment: id.clone(), because: of(id) });
    }
    effects
}
