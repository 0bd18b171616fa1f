//! Whom marketing speaks to and of what, as the playbook's document says it: personas, phases, topics.

use super::Topic;
use super::conditions::Names;
use super::read::{TITLE, items, title};
use crate::condition::Level;
use crate::identity::Slug;
use crate::persona::{Aspect, Basis, Persona, Statement};
use crate::phase::{Phase, Phases};
use crate::reader::Object;
use std::collections::BTreeSet;

/// The longest portrait, in characters.
const PORTRAIT: usize = 4_000;
/// The longest statement, in characters.
const STATEMENT: usize = 500;
/// The priority of a persona that says none.
const PRIORITY: u16 = 100;

/// Gives the ids that stand in a list, before its items are read.
pub(super) fn ids(object: &Object<'_>, key: &'static str) -> Vec<Slug> {
    let list = object.optional(key).and_then(|node| node.value().as_array()).into_iter().flatten();
    list.filter_map(|item| Slug::parse(item.get("id")?.as_str()?).ok()).collect()
}

pub(super) fn personas(object: &Object<'_>, names: &Names<'_>) -> Vec<Persona> {
    let mut personas = Vec::new();
    items(object, "personas", &mut BTreeSet::new(), |item, id| {
        let name = item.required("name").and_then(|node| node.text(TITLE).map(str::to_owned));
        let portrait = item.optional("portrait").and_then(|node| node.text(PORTRAIT).map(str::to_owned));
        let statements = statements(item);
        let channels = item.optional("channels").map(|node| node.list_or_one()).unwrap_or_default();
        let channels = channels.iter().filter_map(|node| node.parsed(Slug::parse)).collect();
        let priority = item.optional("priority").and_then(|node| node.integer(1, 1_000));
        let when = item.required("when").and_then(|node| names.condition(&node, Level::Score));
        if let (Some(name), Some(when)) = (name, when) {
            let priority = priority.and_then(|n| u16::try_from(n).ok()).unwrap_or(PRIORITY);
            personas.push(Persona { id, name, portrait, statements, channels, when, priority });
        }
    });
    // By id where priorities are the same: the order of a list says nothing in a playbook.
    personas.sort_by(|a, b| (a.priority, &a.id).cmp(&(b.priority, &b.id)));
    personas
}

fn statements(item: &Object<'_>) -> Vec<Statement> {
    let (mut statements, mut seen) = (Vec::new(), BTreeSet::new());
    for (word, aspect) in Aspect::WORDS {
        items(item, word, &mut seen, |item, id| {
            let text = item.required("text").and_then(|node| node.text(STATEMENT).map(str::to_owned));
            let basis = match item.optional("basis") {
                Some(node) => node.one_of(Basis::WORDS),
                None => Some(Basis::Speculation),
            };
            if let (Some(text), Some(basis)) = (text, basis) {
                statements.push(Statement { id, aspect: *aspect, text, basis });
            }
        });
    }
    statements
}

/// Reads the phases. Who meets none of their conditions is at the beginning, unless that has a condition too.
pub(super) fn phases(object: &Object<'_>, names: &Names<'_>) -> Phases {
    let Some(phases) = object.optional("phases").and_then(|node| node.object()) else {
        return Phases::default();
    };
    if Phase::WORDS.iter().all(|(word, _)| !phases.has(word)) {
        phases.fault("says nothing; expected the condition of at least one phase");
    }
    let mut conditions = Vec::new();
    for (word, phase) in Phase::WORDS.iter().rev() {
        let when = phases.optional(word).and_then(|node| names.condition(&node, Level::Stage));
        conditions.extend(when.map(|when| (*phase, when)));
    }
    let otherwise = (!phases.has(Phase::Awareness.as_str())).then_some(Phase::Awareness);
    phases.finish();
    Phases { conditions, otherwise }
}

pub(super) fn topics(object: &Object<'_>) -> Vec<Topic> {
    let mut topics = Vec::new();
    items(object, "topics", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let keywords = item.optional("keywords").map(|node| node.list_or_one()).unwrap_or_default();
        let keywords = keywords.iter().filter_map(|node| node.text(TITLE).map(str::to_lowercase)).collect();
        topics.push(Topic { id, title, keywords });
    });
    topics
}
