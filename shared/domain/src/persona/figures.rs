//! How many leads mirror which persona, how many none or several, and what became of them.
//!
//! A pure fold over leads as they are now, so that one scan of the table is all it costs. A lead is counted for the one
//! persona that it mirrors, so that shares add up; beside that, for each whose condition it meets, since personas that
//! overlap are drawn badly.

use super::mirrored;
use crate::evaluation::Evaluation;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::sales::Outcome;
use crate::score::Label;
use crate::time::Day;
use std::collections::BTreeMap;

/// Leads and contacts that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// All of them.
    pub all: u64,
    /// Those who responded, and so are leads.
    pub leads: u64,
    /// How many have which label.
    pub labels: BTreeMap<Label, u64>,
    /// How many are in which phase.
    pub phases: BTreeMap<Option<Phase>, u64>,
    /// Leads with a won deal.
    pub won: u64,
    /// Leads that were lost or disqualified.
    pub lost: u64,
}

impl Group {
    fn add(&mut self, lead: &Lead, found: &Evaluation) {
        self.all += 1;
        *self.labels.entry(found.score.label).or_default() += 1;
        *self.phases.entry(found.phase).or_default() += 1;
        // Only leads count in funnels.
        if lead.responded_at.is_some() {
            self.leads += 1;
            match lead.standing().outcome {
                Outcome::Won(_) => self.won += 1,
                Outcome::Lost(_) => self.lost += 1,
                Outcome::Open => {}
            }
        }
    }
}

/// How many leads mirror which persona.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Everybody.
    pub base: Group,
    /// Who mirrors each persona.
    pub personas: BTreeMap<Slug, Group>,
    /// Who mirrors none.
    pub none: Group,
    /// How many meet the condition of each persona, whichever they mirror.
    pub meet: BTreeMap<Slug, u64>,
    /// How many meet those of several.
    pub several: u64,
    /// How many meet both of two, the first by priority first.
    pub overlaps: BTreeMap<(Slug, Slug), u64>,
}

impl Figures {
    /// Counts a lead as a playbook sees it on a day.
    pub fn add(&mut self, lead: &Lead, playbook: &Playbook, today: Day) {
        let found = Evaluation::of(lead, playbook, today);
        let view = found.view(lead, today);
        let meets: Vec<&Slug> = mirrored(playbook, &view).map(|persona| &persona.id).collect();
        self.base.add(lead, &found);
        match meets.first() {
            None => self.none.add(lead, &found),
            Some(first) => self.personas.entry((*first).clone()).or_default().add(lead, &found),
        }
        self.several += u64::from(meets.len() > 1);
        for (at, one) in meets.iter().enumerate() {
            *self.meet.entry((*one).clone()).or_default() += 1;
            for other in meets.iter().skip(at + 1) {
                *self.overlaps.entry(((*one).clone(), (*other).clone())).or_default() += 1;
            }
        }
    }
}
