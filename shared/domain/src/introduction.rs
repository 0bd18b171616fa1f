//! A lead in a few words, as a mail, a page or a list introduces it.
//!
//! It names the person and the company and says why the lead is worth a call; how to reach them it does not say, since
//! mails are passed on and lie around: that stands in the dossier, behind a token.

use crate::attribute::AttributeName;
use crate::lead::Lead;
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::score::{Label, LineKind, explain};
use crate::time::Day;
use std::cmp::Reverse;

/// A lead in a few words. Names are as somebody typed them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// What they are called; that of the company, where no name is known.
    pub name: String,
    /// Where they work.
    pub company: Option<String>,
    /// What they do there.
    pub title: Option<String>,
    /// The label of the score.
    pub label: Label,
    /// The name of the persona that they mirror.
    pub persona: Option<String>,
    /// The phase that they are in.
    pub phase: Option<Phase>,
    /// What gave the most points, in sentences, the most first.
    pub reasons: Vec<String>,
}

/// Stands for a name that nobody gave.
const NAMELESS: &str = "A lead without a name";

/// Introduces a lead, with up to `most` reasons.
#[must_use]
pub fn introduce(lead: &Lead, playbook: &Playbook, today: Day, most: usize) -> Introduction {
    let company = lead.company.name.clone().or_else(|| lead.company.domain.clone());
    let persona = lead.persona.as_ref().and_then(|id| {
        let known = playbook.personas.iter().find(|persona| persona.id == *id)?;
        Some(known.name.clone())
    });
    let mut lines = explain(playbook, &lead.view(today)).lines;
    lines.retain(|line| line.kind == LineKind::Points && line.points > 0);
    // Stable: of equal points the one that the playbook has first.
    lines.sort_by_key(|line| Reverse(line.points));
    Introduction {
        name: name(lead).or_else(|| company.clone()).unwrap_or_else(|| NAMELESS.to_owned()),
        company,
        title: text(lead, "job_title"),
        label: lead.score.label,
        persona,
        phase: lead.phase,
        reasons: lines.into_iter().take(most).map(|line| line.because).collect(),
    }
}

fn text(lead: &Lead, name: &str) -> Option<String> {
    let name = AttributeName::parse(name).ok()?;
    lead.attributes.get(&name).map(|attribute| attribute.value.to_string())
}

/// Gives what somebody is called, by the attributes that usually hold it.
#[must_use]
pub fn name(lead: &Lead) -> Option<String> {
    let parts = || {
        let parts: Vec<String> =
            ["first_name", "last_name"].iter().filter_map(|part| text(lead, part)).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    text(lead, "full_name").or_else(|| text(lead, "name")).or_else(parts)
}
