//! Which persona, phase and segments a lead came to or left, and why.

use super::Effect;
use crate::condition::Condition;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::reason::{Reason, reasons};
use crate::time::Day;

/// Lists what is another now than it was before; a new lead had nothing.
pub(super) fn moves(before: Option<&Lead>, lead: &Lead, playbook: &Playbook, today: Day) -> Vec<Effect> {
    let was = before.map(|before| before.evaluated(today));
    let now = lead.evaluated(today);
    let why = |condition: Option<&Condition>| -> Vec<Reason> {
        condition.map(|condition| reasons(condition, was.as_ref(), &now)).unwrap_or_default()
    };
    let mut effects = Vec::new();
    let (from, to) = (before.and_then(|before| before.persona.clone()), lead.persona.clone());
    if from != to {
        let asked = to.as_ref().or(from.as_ref()).and_then(|id| playbook.persona(id.as_str()));
        let because = why(asked.map(|persona| &persona.when));
        effects.push(Effect::PersonaChanged { from, to, because });
    }
    let (from, to) = (before.and_then(|before| before.phase), lead.phase);
    if from != to {
        let when = |phase| playbook.phases.when(phase);
        let because = why(to.and_then(when).or_else(|| from.and_then(when)));
        effects.push(Effect::PhaseChanged { from, to, because });
    }
    let segment = |id: &Slug| why(playbook.segment(id.as_str()).map(|segment| &segment.when));
    let none = std::collections::BTreeSet::new();
    let earlier = before.map_or(&none, |before| &before.segments);
    for id in lead.segments.difference(earlier) {
        effects.push(Effect::SegmentEntered { segment: id.clone(), because: segment(id) });
    }
    for id in earlier.difference(&lead.segments) {
        effects.push(Effect::SegmentLeft { segment: id.clone(), because: segment(id) });
    }
    effects
}
