//! Content: what marketing has to say, to whom, when, in which language, and until when it holds.
//!
//! A piece of content is planned by persona and phase. Where it names no persona it is for everybody, also for those who
//! mirror none, and where it names no phase it is for every phase; where it names no language it speaks to all, as a
//! price calculator does. Everything that chooses or counts content asks the same question, [`Content::lacks`], so that
//! the matrix says of a lead what the next choice will do.
//!
//! # Layout
//!
//! * this file – a piece of content, read, stored, and whether it fits;
//! * [`language`] – in which language to speak to a lead;
//! * [`results`] – what each piece did, counted from the leads' facts;
//! * [`choice`] – the next piece for a lead, and why;
//! * [`matrix`] – persona × phase: what is there, who waits, and which gap matters most.

pub mod choice;
pub mod language;
pub mod matrix;
pub mod results;

use crate::fault::Faults;
use crate::identity::{LeadId, Slug};
use crate::lead::Lead;
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::reader::{Node, Object};
use crate::time::Day;
use language::{Language, Tongue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The longest title, in characters.
const TITLE: usize = 200;
/// The longest address, in characters.
const URL: usize = 2_000;
/// The most personas, phases or topics that one piece may name.
const MOST_NAMED: usize = 50;

/// What a piece of content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An article or a post.
    Article,
    /// What a customer says of us.
    CaseStudy,
    /// A list to tick off.
    Checklist,
    /// The product, shown.
    Demo,
    /// An event to come to.
    Event,
    /// A guide or an e-book.
    Guide,
    /// An offer.
    Offer,
    /// Anything else.
    Other,
    /// Something to listen to.
    Podcast,
    /// A calculator or another tool.
    Tool,
    /// The product, to be tried.
    Trial,
    /// Something to watch.
    Video,
    /// A webinar.
    Webinar,
    /// A white paper.
    Whitepaper,
}

impl Kind {
    /// Every kind with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("article", Self::Article),
        ("case_study", Self::CaseStudy),
        ("checklist", Self::Checklist),
        ("demo", Self::Demo),
        ("event", Self::Event),
        ("guide", Self::Guide),
        ("offer", Self::Offer),
        ("other", Self::Other),
        ("podcast", Self::Podcast),
        ("tool", Self::Tool),
        ("trial", Self::Trial),
        ("video", Self::Video),
        ("webinar", Self::Webinar),
        ("whitepaper", Self::Whitepaper),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its id, which activities name in their property `content`.
    pub id: Slug,
    /// Its title.
    pub title: String,
    /// Where it is: `https://…`, or a path of our own site.
    pub url: String,
    /// What it is.
    pub kind: Kind,
    /// Whom it speaks to; everybody where it names nobody.
    pub personas: BTreeSet<Slug>,
    /// In which phases; in every one where it names none.
    pub phases: BTreeSet<Phase>,
    /// What it is about.
    pub topics: BTreeSet<Slug>,
    /// Its language; none where it has no words to speak of.
    pub language: Option<Language>,
    /// The first day on which it holds.
    pub valid_from: Option<Day>,
    /// The last day on which it holds.
    pub valid_until: Option<Day>,
}

/// Why a piece of content is not for a lead today. The order of the variants is the order in which they are looked at:
/// each piece is left out for the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// It no longer holds.
    Expired,
    /// It does not hold yet.
    NotYetValid,
    /// It speaks to others.
    OtherPersona,
    /// It is for another phase.
    OtherPhase,
    /// It is in a language that is not the lead's.
    OtherLanguage,
    /// The lead had it.
    HadBefore,
}

impl Lack {
    /// Every reason with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("expired", Self::Expired),
        ("not_yet_valid", Self::NotYetValid),
        ("other_persona", Self::OtherPersona),
        ("other_phase", Self::OtherPhase),
        ("other_language", Self::OtherLanguage),
        ("had_before", Self::HadBefore),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, lack)| *lack == self).map_or("", |(word, _)| word)
    }
}

/// What choosing content needs to know of a lead.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// The lead.
    pub lead: &'a LeadId,
    /// The persona that it mirrors.
    pub persona: Option<&'a Slug>,
    /// The phase that it is in.
    pub phase: Option<Phase>,
    /// Its language.
    pub tongue: Tongue,
    /// What it had.
    pub had: &'a BTreeMap<Slug, Day>,
}

impl<'a> Reader<'a> {
    /// Takes from a lead what choosing content needs.
    #[must_use]
    pub fn of(lead: &'a Lead) -> Self {
        Self {
            lead: &lead.id,
            persona: lead.persona.as_ref(),
            phase: lead.phase,
            tongue: Tongue::of(&lead.attributes),
            had: &lead.content,
        }
    }
}

fn address(text: &str) -> Result<String, &'static str> {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"\\^`{|}".contains(c));
    let host =
        text.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let path = text.starts_with('/') && !text.starts_with("//");
    if clean && (path || host.is_some_and(|host| !host.is_empty() && !host.contains('@'))) {
        Ok(text.to_owned())
    } else {
        Err("is no address of content; expected https://… or a path such as /papers/savings")
    }
}

fn day(node: &Node<'_>) -> Option<Day> {
    node.parsed(|text| Day::parse(text).ok_or("is not a day; expected one such as 2026-02-01"))
}

impl Content {
    /// Reads a piece of content that somebody sends, against what the active playbook knows; `object` may have further
    /// fields, which the caller asks for and finishes.
    #[must_use]
    pub fn read(object: &Object<'_>, id: Slug, playbook: &Playbook) -> Option<Self> {
        Self::parse(object, id, Some(playbook))
    }

    /// Reads a piece of content as it is stored. What it names may have left the playbook since.
    #[must_use]
    pub fn stored(id: &str, body: &Value) -> Option<Self> {
        let faults = Faults::new();
        let content = Self::parse(&Node::root(body, &faults).object()?, Slug::parse(id).ok()?, None);
        faults.into_result(content).ok()
    }

    fn parse(object: &Object<'_>, id: Slug, playbook: Option<&Playbook>) -> Option<Self> {
        let known = |node: &Node<'_>, what: &str, has: &dyn Fn(&Playbook, &str) -> bool| {
            let slug = node.parsed(Slug::parse)?;
            if playbook.is_some_and(|playbook| !has(playbook, slug.as_str())) {
                node.fault(format!("is \"{slug}\", which is no {what} of the active playbook"));
                return None;
            }
            Some(slug)
        };
        let list = |key: &'static str| {
            let nodes = object.optional(key).map(|node| node.list_or_one()).unwrap_or_default();
            if nodes.len() > MOST_NAMED {
                object.fault(format!("names {} {key}; expected at most {MOST_NAMED}", nodes.len()));
                return Vec::new();
            }
            nodes
        };
        let title = object.required("title").and_then(|node| node.text(TITLE).map(str::to_owned));
        let url = object
            .required("url")
            .and_then(|node| node.text(URL).and_then(|_| node.parsed(|text| address(text.trim()))));
        let kind = object.required("kind").and_then(|node| node.one_of(Kind::WORDS));
        let personas = list("personas");
        let personas = personas
            .iter()
            .filter_map(|node| known(node, "persona", &|p, id| p.persona(id).is_some()))
            .collect();
        let phases = list("phases").iter().filter_map(|node| node.one_of(Phase::WORDS)).collect();
        let topics = list("topics");
        let topics =
            topics.iter().filter_map(|node| known(node, "topic", &|p, id| p.topic(id).is_some())).collect();
        let language = object.optional("language").and_then(|node| node.parsed(Language::parse));
        let valid_from = object.optional("valid_from").and_then(|node| day(&node));
        let until = object.optional("valid_until");
        let valid_until = until.as_ref().and_then(day);
        if let (Some(node), Some(from), Some(until)) = (&until, valid_from, valid_until)
            && until < from
        {
            node.fault(format!(
                "lies before valid_from, {from}; it is the last day on which the content holds"
            ));
        }
        let (title, url, kind) = (title?, url?, kind?);
        Some(Self { id, title, url, kind, personas, phases, topics, language, valid_from, valid_until })
    }

    /// Gives it as JSON, without its id, as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let slugs = |slugs: &BTreeSet<Slug>| -> Vec<Value> {
            slugs.iter().map(|slug| slug.as_str().into()).collect()
        };
        json!({
            "title": self.title,
            "url": self.url,
            "kind": self.kind.as_str(),
            "personas": slugs(&self.personas),
            "phases": self.phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>(),
            "topics": slugs(&self.topics),
            "language": self.language.as_ref().map(ToString::to_string),
            "valid_from": self.valid_from.map(|day| day.to_string()),
            "valid_until": self.valid_until.map(|day| day.to_string()),
        })
    }

    /// Says why it does not hold on a day; none where it does.
    #[must_use]
    pub fn stale(&self, today: Day) -> Option<Lack> {
        if self.valid_until.is_some_and(|until| until < today) {
            Some(Lack::Expired)
        } else if self.valid_from.is_some_and(|from| from > today) {
            Some(Lack::NotYetValid)
        } else {
            None
        }
    }

    /// Tells whether it speaks to a persona; to nobody in particular where none is given.
    #[must_use]
    pub fn is_for(&self, persona: Option<&Slug>) -> bool {
        self.personas.is_empty() || persona.is_some_and(|persona| self.personas.contains(persona))
    }

    /// Tells whether it is for a phase; for whoever is in none where none is given.
    #[must_use]
    pub fn is_in(&self, phase: Option<Phase>) -> bool {
        self.phases.is_empty() || phase.is_some_and(|phase| self.phases.contains(&phase))
    }

    /// Says why it is not for a lead today; none where it fits.
    #[must_use]
    pub fn lacks(&self, reader: &Reader<'_>, today: Day) -> Option<Lack> {
        let rest = || {
            if !self.is_for(reader.persona) {
                Some(Lack::OtherPersona)
            } else if !self.is_in(reader.phase) {
                Some(Lack::OtherPhase)
            } else if !reader.tongue.takes(self.language.as_ref()) {
                Some(Lack::OtherLanguage)
            } else {
                reader.had.contains_key(&self.id).then_some(Lack::HadBefore)
            }
        };
        self.stale(today).or_else(rest)
    }
}
