//! What a playbook says of a lead on a day, in the order in which one needs the other: score and label, persona, phase,
//! segments. Where the lead stands in the funnel follows from facts and comes with the lead.

use crate::condition::View;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::persona::persona;
use crate::phase::{Phase, phase};
use crate::playbook::Playbook;
use crate::score::{Score, score};
use crate::segment::segments;
use crate::time::Day;
use std::collections::BTreeSet;

/// What a playbook says of a lead on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The score with its label.
    pub score: Score,
    /// The persona that it mirrors.
    pub persona: Option<Slug>,
    /// The phase that it is in.
    pub phase: Option<Phase>,
    /// The segments that it is in.
    pub segments: BTreeSet<Slug>,
}

impl Evaluation {
    /// Evaluates a lead.
    #[must_use]
    pub fn of(lead: &Lead, playbook: &Playbook, today: Day) -> Self {
        let facts = lead.view(today);
        let score = score(playbook, &facts);
        let view = View { score: Some(&score), ..facts };
        let persona = persona(playbook, &view).map(|persona| persona.id.clone());
        let view = View { persona: persona.as_ref(), stage: Some(lead.stage), ..view };
        let phase = phase(playbook, &view);
        let segments = segments(playbook, &View { phase, ..view });
        Self { score, persona, phase, segments }
    }

    /// Shows the lead to conditions that may look at all of this.
    #[must_use]
    pub fn view<'a>(&'a self, lead: &'a Lead, today: Day) -> View<'a> {
        View {
            score: Some(&self.score),
            persona: self.persona.as_ref(),
            stage: Some(lead.stage),
            phase: self.phase,
            segments: &self.segments,
            ..lead.view(today)
        }
    }
}
