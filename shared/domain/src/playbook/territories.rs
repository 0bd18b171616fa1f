//! Whose leads are whose: the part of the playbook's document that says it, and the questions asked of it.
//!
//! A territory takes a lead that meets all that it asks: where the lead is, which language it reads, and a condition. A
//! lead may meet several, and the order of a playbook's lists says nothing; so territories have an order of their own
//! ([`Territory::place`]), and the first that takes the lead has it: the lowest `priority`, then who asks more, then who
//! has fewer countries, then the first by id. What is in no territory is the default qualifier's, who cannot be missing.

use super::Playbook;
use super::conditions::Names;
use super::read::{countries, items, title};
use crate::attribute::AttributeValue;
use crate::condition::{Condition, Level, View};
use crate::content::language::{Language, Tongue};
use crate::country::Country;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::reader::{Node, Object};
use crate::time::Day;
use std::collections::{BTreeMap, BTreeSet};

/// The place of a territory that says nothing of it.
pub(super) const PRIORITY: u16 = 100;
/// The most people of a pool: their leads of a day ride in one record.
const MOST_MEMBERS: usize = 100;

/// Somebody of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who, by the id of the person's record.
    pub person: Slug,
    /// How many leads they get where somebody of weight 1 gets one.
    pub weight: u16,
}

/// Leads that one person qualifies.
#[derive(Clone, Debug)]
pub struct Territory {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub title: String,
    /// Which comes first where a lead is in several: the lowest.
    pub priority: u16,
    /// Its countries, those of its regions among them; any where it says nothing of them.
    pub countries: Option<BTreeSet<Country>>,
    /// The languages of its leads; any where there are none.
    pub languages: Vec<Language>,
    /// What else its leads meet.
    pub when: Option<Condition>,
    /// Who qualifies, by the id of the person's record.
    pub qualifier: Slug,
    /// Who gets what was found to be a real prospect, the first by id first; it stays with the qualifier where nobody is
    /// named.
    pub pool: Vec<Member>,
}

impl Territory {
    /// Gives its place among the territories.
    fn place(&self) -> (u16, usize, usize, &Slug) {
        let asked = [self.countries.is_some(), !self.languages.is_empty(), self.when.is_some()];
        let not_asked = asked.into_iter().filter(|asked| !asked).count();
        (self.priority, not_asked, self.countries.as_ref().map_or(usize::MAX, BTreeSet::len), &self.id)
    }

    /// Tells whether a lead is in it.
    #[must_use]
    pub fn takes(&self, country: Option<Country>, view: &View<'_>) -> bool {
        let speaks = || {
            let tongue = Tongue::of(view.attributes);
            tongue.language().is_some_and(|own| self.languages.iter().any(|language| own.reads(language)))
        };
        let there = |countries: &BTreeSet<Country>| country.is_some_and(|own| countries.contains(&own));
        self.countries.as_ref().is_none_or(there)
            && (self.languages.is_empty() || speaks())
            && self.when.as_ref().is_none_or(|when| when.met(view))
    }
}

impl Playbook {
    /// Gives the territory that a lead is in; none where it is the default qualifier's.
    #[must_use]
    pub fn territory(&self, lead: &Lead, today: Day) -> Option<&Territory> {
        let (country, view) = (country_of(lead), lead.evaluated(today));
        self.territories.iter().find(|territory| territory.takes(country, &view))
    }

    /// Gives who qualifies a lead, with its territory where it is in one.
    #[must_use]
    pub fn qualifier(&self, lead: &Lead, today: Day) -> (Option<&Territory>, &Slug) {
        let territory = self.territory(lead, today);
        (territory, territory.map_or(&self.default_qualifier, |territory| &territory.qualifier))
    }
}

fn country_of(lead: &Lead) -> Option<Country> {
    match lead.country() {
        Some(AttributeValue::Text(text)) => Country::parse(text),
        _ => None,
    }
}

/// Reads the territories, the first by place first.
pub(super) fn territories(object: &Object<'_>, names: &Names<'_>) -> Vec<Territory> {
    let mut territories = Vec::new();
    let mut taken: BTreeMap<(u16, Country), Slug> = BTreeMap::new();
    items(object, "territories", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let priority = match item.optional("priority") {
            Some(node) => node.integer(0, 10_000).and_then(|n| u16::try_from(n).ok()),
            None => Some(PRIORITY),
        };
        let listed = item.optional("countries");
        let named = listed.as_ref().map(countries);
        let regions = item.optional("regions").map(|node| names.regions(&node));
        let languages = item.optional("languages").map(|node| languages(&node)).unwrap_or_default();
        let when = item.optional("when").map(|node| names.condition(&node, Level::Persona));
        if ["countries", "regions", "languages", "when"].iter().all(|word| !item.has(word)) {
            item.fault("asks for nothing; expected countries, regions, languages or when");
        }
        // What asks for nothing else would leave to chance who qualifies a country that two of them name.
        if let (Some(node), false) = (&listed, item.has("languages") || item.has("when")) {
            for country in named.iter().flatten() {
                let known = priority.and_then(|priority| taken.insert((priority, *country), id.clone()));
                if let Some(other) = known {
                    node.fault(format!(
                        "{} stands in \"{other}\" too; one person qualifies a country",
                        country.as_str()
                    ));
                }
            }
        }
        let qualifier = item.required("qualifier").and_then(|node| node.parsed(Slug::parse));
        let pool = item.optional("pool").map(|node| pool(&node)).unwrap_or_default();
        let countries = (named.is_some() || regions.is_some())
            .then(|| named.into_iter().chain(regions.flatten()).flatten().collect::<BTreeSet<_>>());
        let when = when.map_or(Some(None), |when| when.map(Some));
        if let (Some(priority), Some(when), Some(qualifier)) = (priority, when, qualifier) {
            territories.push(Territory { id, title, priority, countries, languages, when, qualifier, pool });
        }
    });
    territories.sort_by(|a, b| a.place().cmp(&b.place()));
    territories
}

fn languages(node: &Node<'_>) -> Vec<Language> {
    let listed = node.list_or_one();
    if listed.is_empty() {
        node.fault("is an empty list; expected at least one language");
    }
    let mut languages: Vec<Language> =
        listed.iter().filter_map(|node| node.parsed(Language::parse)).collect();
    languages.sort_by_cached_key(Language::to_string);
    languages.dedup();
    languages
}

fn pool(node: &Node<'_>) -> Vec<Member> {
    let mut pool: Vec<Member> = Vec::new();
    let listed = node.list().unwrap_or_default();
    if node.value().is_array() && !(1..=MOST_MEMBERS).contains(&listed.len()) {
        node.fault(format!("has {} people; expected 1 to {MOST_MEMBERS}", listed.len()));
    }
    for node in listed {
        let Some(object) = node.object() else { continue };
        let person = object.required("person").and_then(|node| {
            let person = node.parsed(Slug::parse)?;
            if pool.iter().any(|member| member.person == person) {
                node.fault(format!("\"{person}\" is used twice; a weight gives somebody more leads"));
            }
            Some(person)
        });
        let weight = match object.optional("weight") {
            Some(node) => node.integer(1, 100).and_then(|n| u16::try_from(n).ok()),
            None => Some(1),
        };
        object.finish();
        pool.extend(person.zip(weight).map(|(person, weight)| Member { person, weight }));
    }
    // The order of a list says nothing in a playbook.
    pool.sort_by(|a, b| a.person.cmp(&b.person));
    pool
}
