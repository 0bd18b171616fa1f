//! Leads that were won and are like this one, and in what.
//!
//! What tells a sales person something is a case: "like you, they make machines in Austria and came by the price list, and
//! they bought in May". So the traits of the latest won leads are kept, few words each, and those are shown that share most
//! traits with a lead; of equally many, those whose shared traits fewer of the won have, since to share what all have says
//! nothing; then the latest.
//!
//! The record is bounded: the latest [`MOST`] by the time they were first won, and no trait longer than
//! [`LONGEST_TRAIT`] bytes. It is a sum that parts of a scan join into in any order: of two halves the latest are the
//! latest of both.

use crate::attribute::{AttributeName, AttributeValue};
use crate::country::Country;
use crate::identity::LeadId;
use crate::lead::Lead;
use crate::sales::{DealState, Outcome};
use crate::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many won leads are kept.
pub const MOST: usize = 500;
/// The longest value of a trait, in bytes; a longer one is none.
pub const LONGEST_TRAIT: usize = 64;
/// How many traits a lead must share to be called similar.
const AT_LEAST: usize = 2;

/// What may be alike in two leads, in the order in which it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// The persona that they mirror.
    Persona,
    /// Their industry.
    Industry,
    /// How many people work at their company.
    Size,
    /// Their country.
    Country,
    /// Their job.
    Job,
    /// The channel of their first touch.
    Channel,
    /// The campaign of their first touch.
    Campaign,
    /// The landing page of their first touch.
    LandingPage,
}

impl Trait {
    /// Every trait with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("persona", Self::Persona),
        ("industry", Self::Industry),
        ("company_size", Self::Size),
        ("country", Self::Country),
        ("job_title", Self::Job),
        ("channel", Self::Channel),
        ("campaign", Self::Campaign),
        ("landing_page", Self::LandingPage),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| word)
    }
}

/// What a lead is like.
pub type Traits = BTreeMap<Trait, String>;

/// Gives what a lead is like, as far as that is known.
#[must_use]
pub fn traits(lead: &Lead) -> Traits {
    let attribute = |name: &str| {
        let name = AttributeName::parse(name).ok()?;
        Some(&lead.attributes.get(&name)?.value)
    };
    let words = |name: &str| match attribute(name)? {
        AttributeValue::Text(text) => Some(text.trim().to_lowercase()),
        _ => None,
    };
    let size = || match attribute("company_size")? {
        AttributeValue::Number(n) => Some(band(*n).to_owned()),
        AttributeValue::Text(text) => Some(band(text.trim().parse().ok()?).to_owned()),
        AttributeValue::Flag(_) => None,
    };
    let country = || match lead.country()? {
        AttributeValue::Text(text) => Country::parse(text).map(|country| country.to_string()),
        _ => None,
    };
    let first = lead.touches.first.as_ref();
    let all = [
        (Trait::Persona, lead.persona.as_ref().map(ToString::to_string)),
        (Trait::Industry, words("industry")),
        (Trait::Size, size()),
        (Trait::Country, country()),
        (Trait::Job, words("job_title")),
        (Trait::Channel, first.and_then(|touch| touch.channel.clone())),
        (Trait::Campaign, first.and_then(|touch| touch.campaign.clone())),
        (Trait::LandingPage, first.and_then(|touch| touch.landing_page.clone())),
    ];
    let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.filter(|(_, value)| !value.is_empty() && value.len() <= LONGEST_TRAIT).collect()
}

/// Gives the size of a company as people speak of it.
fn band(people: f64) -> &'static str {
    match people {
        ..10.0 => "1 to 9",
        10.0..50.0 => "10 to 49",
        50.0..250.0 => "50 to 249",
        250.0..1_000.0 => "250 to 999",
        _ => "1000 and more",
    }
}

/// A lead that was won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Won {
    /// Which.
    pub lead: LeadId,
    /// When its first deal was won.
    pub at: Timestamp,
    /// What it is like.
    pub traits: Traits,
}

impl Won {
    /// Gives a lead as one that was won; none where it was not.
    #[must_use]
    pub fn of(lead: &Lead) -> Option<Self> {
        let standing = lead.standing();
        let Outcome::Won(at) = standing.outcome else { return None };
        let any = standing.deals.iter().any(|deal| deal.state == DealState::Won);
        any.then(|| Self { lead: lead.id.clone(), at, traits: traits(lead) })
    }
}

/// The latest leads that were won.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LatestWon {
    won: BTreeMap<(Reverse<Timestamp>, LeadId), Traits>,
}

/// A won lead that is like another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar {
    /// The won lead.
    pub won: Won,
    /// What both are.
    pub shared: Vec<(Trait, String)>,
}

impl LatestWon {
    /// Takes in a lead, if it was won.
    pub fn add(&mut self, lead: &Lead) {
        self.insert(Won::of(lead));
    }

    /// Takes in won leads, from a record.
    pub fn extend(&mut self, won: impl IntoIterator<Item = Won>) {
        won.into_iter().for_each(|won| self.insert(Some(won)));
    }

    /// Joins what another part of a scan found.
    pub fn merge(&mut self, other: Self) {
        self.won.extend(other.won);
        self.cut();
    }

    fn insert(&mut self, won: Option<Won>) {
        let Some(Won { lead, at, traits }) = won else { return };
        self.won.insert((Reverse(at), lead), traits);
        self.cut();
    }

    fn cut(&mut self) {
        while self.won.len() > MOST {
            self.won.pop_last();
        }
    }

    /// Gives them, the latest first.
    pub fn iter(&self) -> impl Iterator<Item = Won> {
        let one = |((Reverse(at), lead), traits): (&(Reverse<Timestamp>, LeadId), &Traits)| Won {
            lead: lead.clone(),
            at: *at,
            traits: traits.clone(),
        };
        self.won.iter().map(one)
    }

    /// Gives the won leads that are most like one, up to `most`.
    #[must_use]
    pub fn like(&self, lead: &Lead, most: usize) -> Vec<Similar> {
        let own = traits(lead);
        let mut common: BTreeMap<(Trait, &str), usize> = BTreeMap::new();
        for traits in self.won.values() {
            for (name, value) in traits.iter().filter(|(name, value)| own.get(name) == Some(*value)) {
                *common.entry((*name, value.as_str())).or_default() += 1;
            }
        }
        let mut found: Vec<(Reverse<usize>, usize, Similar)> = Vec::new();
        for won in self.iter().filter(|won| won.lead != lead.id) {
            let shared: Vec<(Trait, String)> = won
                .traits
                .iter()
                .filter(|(n, v)| own.get(n) == Some(*v))
                .map(|(n, v)| (*n, v.clone()))
                .collect();
            if shared.len() < AT_LEAST {
                continue;
            }
            let have = shared.iter().map(|(n, v)| common.get(&(*n, v.as_str())).copied().unwrap_or(0)).sum();
            found.push((Reverse(shared.len()), have, Similar { won, shared }));
        }
        // Stable: of those that are equally alike the latest stays first.
        found.sort_by_key(|(shared, have, _)| (*shared, *have));
        found.into_iter().take(most).map(|(_, _, similar)| similar).collect()
    }
}
