//! What a template may name, and nothing besides.
//!
//! * **No score and no label**, and nothing of what sales said: what a lead reads of how it was rated, it reads with anger.
//!   Marketing has persona, stage and phase to tell readers apart by, which is what a letter needs.
//! * **No address, no number, no id of the lead.** A mail is passed on. No secret is near: a context is made of the lead, the
//!   playbook, the content and the links of this one mail.
//! * **What a stranger typed in is discreet** ([`adapters::mail::discreet`]): one line of bounded length in which no address
//!   and no link is left, since a form that takes any name would else send any text with any link to any address, in our
//!   name.

use super::Order;
use adapters::mail::{discreet, one_line};
use domain::attribute::{AttributeName, AttributeValue};
use domain::content::Kind;
use domain::introduction;
use domain::lead::Lead;
use domain::phase::Phase;
use domain::stage::Stage;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The longest name of a person or a company in a letter, in characters.
const NAME: usize = 60;
/// The longest other value of a lead.
const VALUE: usize = 200;

/// Every name, apart from the lead's attributes.
pub(super) const NAMES: &[&str] = &[
    "content.id",
    "content.kind",
    "content.title",
    "content.topics",
    "content.url",
    "lead.company",
    "lead.country",
    "lead.first_name",
    "lead.full_name",
    "lead.language",
    "lead.last_name",
    "persona.id",
    "persona.name",
    "phase",
    "postal_address",
    "preferences_url",
    "program.id",
    "program.name",
    "sender.email",
    "sender.name",
    "stage",
    "unsubscribe_url",
    "why",
];

/// What a text of a lead says in the sample: it would be seen at once where it becomes a part of an address, or ends an
/// attribute that has no quotation marks.
pub(super) const STRANGE: &str = "lead-value.invalid onleadloop=x";
/// The part of [`STRANGE`] that would be a host.
pub(super) const STRANGE_HOST: &str = "lead-value.invalid";

/// Tells whether a letter knows a name, or the thing that it is a part of.
pub(super) fn is_known(name: &str) -> bool {
    let attribute =
        name.strip_prefix("lead.attributes.").is_some_and(|name| AttributeName::parse(name).is_ok());
    let part_of =
        |known: &&str| known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    attribute || NAMES.iter().any(part_of)
}

fn attribute(lead: &Lead, name: &str) -> Option<String> {
    let name = AttributeName::parse(name).ok()?;
    lead.attributes.get(&name).map(|attribute| attribute.value.to_string())
}

/// Gives what a lead is called: its first name, or the first word of its name where that is no title.
fn first_name(lead: &Lead) -> Option<String> {
    let of_name = || {
        let name = introduction::name(lead)?;
        name.split_whitespace().next().filter(|word| !word.ends_with('.')).map(str::to_owned)
    };
    attribute(lead, "first_name").or_else(of_name)
}

/// Puts together what the templates of a mail may name.
pub(super) fn of(order: &Order<'_>, postal_address: &str, content_url: &str, unsubscribe: &str) -> Value {
    let lead = order.lead;
    let said = |text: Option<String>, most: usize| {
        text.map(|text| discreet(&text, most)).filter(|text| !text.is_empty())
    };
    let mut of_lead = Map::new();
    for (name, value) in [
        ("first_name", said(first_name(lead), NAME)),
        ("last_name", said(attribute(lead, "last_name"), NAME)),
        ("full_name", said(introduction::name(lead), NAME)),
        ("company", said(lead.company.name.clone(), NAME)),
        ("country", said(attribute(lead, "country"), VALUE)),
        ("language", said(attribute(lead, "language"), VALUE)),
    ] {
        of_lead.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    let attributes = lead.attributes.iter().map(|(name, attribute)| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => discreet(text, VALUE).into(),
            other => other.to_json(),
        };
        (name.as_str().to_owned(), value)
    });
    of_lead.insert("attributes".to_owned(), attributes.collect::<Map<_, _>>().into());
    let persona = lead.persona.as_ref().and_then(|id| order.playbook.personas.iter().find(|p| p.id == *id));
    let topics = order.content.topics.iter();
    let topics = topics.filter_map(|id| order.playbook.topic(id.as_str()).map(|topic| topic.title.as_str()));
    json!({
        "lead": of_lead,
        "persona": persona.map(|persona| json!({ "id": persona.id.as_str(), "name": persona.name })),
        "stage": lead.stage.as_str(),
        "phase": lead.phase.map(Phase::as_str),
        "program": { "id": order.program.id.as_str(), "name": order.program.name },
        "content": {
            "id": order.content.id.as_str(), "title": order.content.title, "url": content_url,
            "kind": order.content.kind.as_str(), "topics": topics.collect::<Vec<_>>(),
        },
        "why": order.why.map(|why| one_line(why, VALUE)),
        "sender": { "name": sender(order), "email": order.from.email.as_str() },
        "postal_address": postal_address,
        "unsubscribe_url": unsubscribe,
        "preferences_url": unsubscribe,
    })
}

/// Gives whose mail it is.
fn sender<'a>(order: &'a Order<'_>) -> &'a str {
    order.from.name.as_deref().unwrap_or_else(|| order.from.email.domain())
}

/// Gives what templates are tried with: leads of whom everything is known and leads of whom nothing is, in every stage and
/// phase, with content of every kind. `attributes` are those that the templates name.
pub(super) fn samples(attributes: &BTreeSet<String>) -> Vec<Value> {
    let phases: Vec<Option<&str>> =
        std::iter::once(None).chain(Phase::WORDS.iter().map(|(word, _)| Some(*word))).collect();
    let kinds: Vec<&str> = Kind::WORDS.iter().map(|(word, _)| *word).collect();
    let stages: Vec<&str> = Stage::WORDS.iter().map(|(word, _)| *word).collect();
    let most = stages.len().max(kinds.len()).max(phases.len());
    let pick =
        |words: &[&'static str], at: usize| words.get(at % words.len().max(1)).copied().unwrap_or_default();
    let mut samples = Vec::new();
    for at in 0..most {
        for whole in [true, false] {
            let text = |whole: bool| if whole { json!(STRANGE) } else { Value::Null };
            let mut lead = Map::new();
            if whole {
                for name in NAMES.iter().filter_map(|name| name.strip_prefix("lead.")) {
                    lead.insert(name.to_owned(), text(whole));
                }
            }
            let attributes = attributes.iter().filter(|_| whole).map(|name| (name.clone(), text(whole)));
            lead.insert("attributes".to_owned(), attributes.collect::<Map<_, _>>().into());
            let phase = phases.get(at % phases.len()).copied().flatten();
            samples.push(json!({
                "lead": lead,
                "persona": whole.then(|| json!({ "id": "persona", "name": "Persona" })),
                "stage": pick(&stages, at),
                "phase": phase.filter(|_| whole),
                "program": { "id": "program", "name": "Program" },
                "content": { "id": "content", "title": "Title", "url": "https://www.company.example/title",
                    "kind": pick(&kinds, at), "topics": if whole { vec!["Topic"] } else { Vec::new() } },
                "why": whole.then_some("Why"),
                "sender": { "name": "Sender", "email": "sender@company.example" },
                "postal_address": SAMPLE_ADDRESS,
                "unsubscribe_url": SAMPLE_UNSUBSCRIBE,
                "preferences_url": SAMPLE_UNSUBSCRIBE,
            }));
        }
    }
    samples
}

/// The postal address of the samples; its `&` would be seen where the letter shows its HTML as a text.
pub(super) const SAMPLE_ADDRESS: &str = "Company & Co, 1 Street, 1010 Vienna";
/// The site that is nowhere.
pub(super) const SAMPLE_SITE: &str = "https://preview.invalid";
/// The link by which nobody unsubscribes.
pub(super) const SAMPLE_UNSUBSCRIBE: &str = "https://preview.invalid/unsubscribe";
