//! Persona × phase: what there is to say, who waits for something, and which gap matters most.
//!
//! A piece of content counts in each cell that it is for: one for everybody in every cell of its phases. A lead waits
//! where the next choice would find nothing for it, because nothing fits or it had all that does. Leads that mirror no
//! persona or are in no phase have no cell; they are counted apart. Who was disqualified waits for nothing.
//!
//! A cell is a gap where somebody waits or nothing is there. Gaps are ranked by `waiting × (1 + demand ÷ demand of all
//! topics)`, where the demand is how often a month people search for the keywords of the topics about which the cell has
//! nothing: a lead that waits counts once, and up to twice where what is missing is what people look for. Equal gaps, such
//! as those where nobody waits yet, stand in the order of their demand.

use super::language::Tongue;
use super::{Content, Reader};
use crate::evidence::Keyword;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::stage::Stage;
use crate::time::Day;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Gives how often a month people search for each topic of a playbook: for the keywords that were said to be about it, and
/// for those that were said to be about nothing and contain one of its own. A keyword counts once per topic.
#[must_use]
pub fn demand(playbook: &Playbook, keywords: &[Keyword]) -> BTreeMap<Slug, u64> {
    let mut counted: BTreeMap<(&Slug, String), u64> = BTreeMap::new();
    for keyword in keywords {
        let Some(searches) = keyword.monthly_searches else { continue };
        for topic in &playbook.topics {
            let said = keyword.topic.as_ref().map(|said| *said == topic.id);
            if said.unwrap_or_else(|| topic.has(&keyword.keyword)) {
                let most = counted.entry((&topic.id, keyword.keyword.to_lowercase())).or_default();
                *most = searches.max(*most);
            }
        }
    }
    let mut demand: BTreeMap<Slug, u64> = playbook.topics.iter().map(|topic| (topic.id.clone(), 0)).collect();
    for ((topic, _), searches) in counted {
        if let Some(sum) = demand.get_mut(topic) {
            *sum = sum.saturating_add(searches);
        }
    }
    demand
}

/// Where in the matrix something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The persona.
    pub persona: Slug,
    /// The phase.
    pub phase: Phase,
    /// The language, where it was asked for; none then for leads whose language nobody knows.
    pub language: Option<String>,
}

/// Leads, and those of them who wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leads {
    /// How many.
    pub leads: u64,
    /// How many of them have nothing to come.
    pub waiting: u64,
}

impl Leads {
    const fn add(&mut self, waits: bool) {
        self.leads += 1;
        self.waiting += waits as u64;
    }

    /// Adds others.
    pub const fn merge(&mut self, other: &Self) {
        self.leads += other.leads;
        self.waiting += other.waiting;
    }
}

/// Why a lead has no cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Apart {
    /// It mirrors none of the active playbook's personas.
    NoPersona,
    /// It is in no phase.
    NoPhase,
    /// Neither.
    Neither,
}

impl Apart {
    /// Every reason with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("no_persona", Self::NoPersona), ("no_phase", Self::NoPhase), ("neither", Self::Neither)];
}

/// The leads by where they stand, while they are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Those with a cell.
    pub cells: BTreeMap<At, Leads>,
    /// Those without one.
    pub apart: BTreeMap<Apart, Leads>,
    /// Those who were disqualified.
    pub disqualified: u64,
}

impl Waiting {
    /// Counts a lead.
    pub fn add(
        &mut self,
        lead: &Lead,
        playbook: &Playbook,
        catalog: &[Content],
        by_language: bool,
        today: Day,
    ) {
        if lead.stage == Stage::Disqualified {
            self.disqualified += 1;
            return;
        }
        let reader = Reader::of(lead);
        let waits = catalog.iter().all(|content| content.lacks(&reader, today).is_some());
        let persona = lead.persona.as_ref().filter(|persona| playbook.persona(persona.as_str()).is_some());
        let apart = match (persona, lead.phase) {
            (Some(persona), Some(phase)) => {
                let language = reader.tongue.language().filter(|_| by_language);
                let language = language.map(|language| language.base().to_owned());
                let at = At { persona: persona.clone(), phase, language };
                self.cells.entry(at).or_default().add(waits);
                return;
            }
            (None, Some(_)) => Apart::NoPersona,
            (Some(_), None) => Apart::NoPhase,
            (None, None) => Apart::Neither,
        };
        self.apart.entry(apart).or_default().add(waits);
    }

    /// Adds what was counted of other leads.
    pub fn merge(&mut self, other: Self) {
        for (at, leads) in other.cells {
            self.cells.entry(at).or_default().merge(&leads);
        }
        for (apart, leads) in other.apart {
            self.apart.entry(apart).or_default().merge(&leads);
        }
        self.disqualified += other.disqualified;
    }
}

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixCell {
    /// Where it stands.
    pub at: At,
    /// How many pieces of content it has today.
    pub content: usize,
    /// The leads in it.
    pub leads: Leads,
    /// The topics about which it has nothing, with how often a month people search for them, the most first.
    pub missing: Vec<(Slug, u64)>,
    /// How often a month people search for what is missing.
    pub demand: u64,
    /// By how much it matters, where it is a gap.
    pub rank: Option<f64>,
}

/// The matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The cells: personas in the playbook's order, then phases, then languages.
    pub cells: Vec<MatrixCell>,
    /// How often a month people search for all topics together.
    pub demand: u64,
    /// Pieces that name a persona or topic that the active playbook no longer has.
    pub strays: Vec<Slug>,
}

impl Matrix {
    /// Makes the matrix.
    #[must_use]
    pub fn new(
        playbook: &Playbook,
        catalog: &[Content],
        waiting: &Waiting,
        demand: &BTreeMap<Slug, u64>,
        by_language: bool,
        today: Day,
    ) -> Self {
        let whole: u64 = demand.values().fold(0, |sum, searches| sum.saturating_add(*searches));
        let valid: Vec<&Content> = catalog.iter().filter(|content| content.stale(today).is_none()).collect();
        let mut languages: BTreeSet<Option<String>> = BTreeSet::new();
        if by_language {
            languages.extend(
                valid
                    .iter()
                    .filter_map(|content| content.language.as_ref())
                    .map(|l| Some(l.base().to_owned())),
            );
            languages.extend(waiting.cells.keys().map(|at| at.language.clone()));
        } else {
            languages.insert(None);
        }
        let mut cells = Vec::new();
        for persona in &playbook.personas {
            for (_, phase) in Phase::WORDS {
                for language in &languages {
                    let at = At { persona: persona.id.clone(), phase: *phase, language: language.clone() };
                    let is_own = |content: &Content| {
                        content.is_for(Some(&persona.id))
                            && content.is_in(Some(*phase))
                            && (!by_language || speaks(content, language.as_deref()))
                    };
                    let own: Vec<&Content> =
                        valid.iter().copied().filter(|content| is_own(content)).collect();
                    let leads = waiting.cells.get(&at).copied().unwrap_or_default();
                    let missing = missing(demand, &own);
                    let lacking =
                        missing.iter().fold(0_u64, |sum, (_, searches)| sum.saturating_add(*searches));
                    let is_gap = own.is_empty() || leads.waiting > 0;
                    let rank = is_gap.then(|| rank(leads.waiting, lacking, whole));
                    cells.push(MatrixCell { at, content: own.len(), leads, missing, demand: lacking, rank });
                }
            }
        }
        let strays = catalog.iter().filter(|content| {
            content.personas.iter().any(|id| playbook.persona(id.as_str()).is_none())
                || content.topics.iter().any(|id| playbook.topic(id.as_str()).is_none())
        });
        Self { cells, demand: whole, strays: strays.map(|content| content.id.clone()).collect() }
    }

    /// Gives the gaps, what matters most first.
    #[must_use]
    pub fn gaps(&self) -> Vec<&MatrixCell> {
        let mut gaps: Vec<&MatrixCell> = self.cells.iter().filter(|cell| cell.rank.is_some()).collect();
        // Stable: equal gaps stay in the order of the matrix.
        gaps.sort_by(|a, b| {
            let by_rank = b.rank.partial_cmp(&a.rank).unwrap_or(Ordering::Equal);
            by_rank.then_with(|| b.demand.cmp(&a.demand)).then_with(|| a.content.cmp(&b.content))
        });
        gaps
    }
}

/// Tells whether content belongs to the cells of a language; what has none belongs to all of them. Where nobody knows the
/// language, what such leads get does.
fn speaks(content: &Content, language: Option<&str>) -> bool {
    match (&content.language, language) {
        (None, _) => true,
        (Some(own), Some(language)) => own.base() == language,
        (Some(own), None) => Tongue::Unknown.takes(Some(own)),
    }
}

/// Gives the topics about which nothing is there, what people search for most first.
#[must_use]
pub fn missing(demand: &BTreeMap<Slug, u64>, own: &[&Content]) -> Vec<(Slug, u64)> {
    let has = |topic: &Slug| own.iter().any(|content| content.topics.contains(topic));
    let mut missing: Vec<(Slug, u64)> = demand
        .iter()
        .filter(|(topic, _)| !has(topic))
        .map(|(topic, searches)| (topic.clone(), *searches))
        .collect();
    missing.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    missing
}

#[allow(
    clippy::cast_precision_loss,
    reason = "the rank is an order; the last digits of large counts do not matter"
)]
fn rank(waiting: u64, demand: u64, whole: u64) -> f64 {
    let share = if whole == 0 { 0.0 } else { demand as f64 / whole as f64 };
    waiting as f64 * (1.0 + share)
}
