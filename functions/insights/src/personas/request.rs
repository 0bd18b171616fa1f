//! How evidence is read: every fault at once, and nobody's name.

use adapters::http::Problem;
use adapters::wire;
use domain::attribute::AttributeName;
use domain::evidence::{
    About, Competition, Detail, Evidence, Finding, Keyword, Kind, MOST_WEIGHT, USUAL_WEIGHT, With,
    names::without_author,
};
use domain::identity::Slug;
use domain::persona::Persona;
use domain::playbook::Playbook;
use domain::reader::{Node, Object};
use domain::time::{Day, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::IntoParams;

/// The longest id of a piece of evidence, in bytes.
pub const LONGEST_ID: usize = 100;
/// How many pieces a list has unless somebody says.
const USUAL_LIMIT: usize = 100;
/// The longest quote or finding, in characters.
const TEXT: usize = 2_000;
/// The longest source, keyword or value, in characters.
const SHORT: usize = 300;
/// The longest address of a post, in characters.
const URL: usize = 1_000;
/// The most searches a month, and leads of a finding.
const MOST: i64 = 1_000_000_000_000;
/// What other systems call the author of a post.
const AUTHORS: &[&str] = &["author", "user", "username", "handle", "name", "email"];

/// The query of a list of evidence: whatever was sent, so that every fault of it can be named.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many, 1 to 200; 100 unless said.
    #[param(value_type = Option<u32>)]
    pub limit: Option<String>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Of this kind only.
    pub kind: Option<String>,
    /// Only what speaks for or against this statement.
    pub statement: Option<String>,
    /// What nobody asked for.
    #[serde(flatten)]
    #[param(ignore)]
    pub others: BTreeMap<String, String>,
}

/// Which evidence is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    kind: Option<Kind>,
    statement: Option<Slug>,
}

impl Wanted {
    /// Tells whether a piece is.
    #[must_use]
    pub fn has(&self, one: &Evidence) -> bool {
        self.kind.is_none_or(|kind| one.kind() == kind)
            && self
                .statement
                .as_ref()
                .is_none_or(|id| one.supports.contains(id) || one.contradicts.contains(id))
    }
}

/// Reads the query of a list: how many are asked for, and which.
///
/// # Errors
///
/// Every fault.
pub fn wanted(query: &ListQuery) -> Result<(usize, Wanted), Problem> {
    let text = |text: &String| Value::from(text.as_str());
    // Digits are a number here, and anything else is told what was expected.
    let number = |limit: &String| limit.parse::<u32>().map_or_else(|_| text(limit), Value::from);
    let mut sent: Map<String, Value> =
        query.others.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let known = [
        ("limit", query.limit.as_ref().map(number)),
        ("kind", query.kind.as_ref().map(text)),
        ("statement", query.statement.as_ref().map(text)),
    ];
    sent.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    wire::one(&sent.into(), |node| {
        let object = node.object()?;
        let limit = match object.optional("limit") {
            Some(node) => node.integer(1, 200).and_then(|n| usize::try_from(n).ok()),
            None => Some(USUAL_LIMIT),
        };
        let kind = object.optional("kind").and_then(|node| node.one_of(Kind::WORDS));
        let statement = object.optional("statement").and_then(|node| node.parsed(Slug::parse));
        object.finish();
        Some((limit?, Wanted { kind, statement }))
    })
}

/// Gives the pieces of a body that has several; none of one that is a piece itself.
///
/// # Errors
///
/// The faults of the envelope.
pub fn many(body: &Value) -> Result<Option<Vec<Value>>, Problem> {
    if body.get("evidence").is_none() {
        return Ok(None);
    }
    let values = wire::one(body, |node| {
        let object = node.object()?;
        let items = wire::items(&object, "evidence");
        object.finish();
        Some(items?.iter().map(|node| node.value().clone()).collect())
    })?;
    Ok(Some(values))
}

/// Reads one piece.
///
/// # Errors
///
/// Every fault.
pub fn evidence(
    value: &Value,
    persona: &Persona,
    playbook: &Playbook,
    now: Timestamp,
) -> Result<Evidence, Problem> {
    wire::one(value, |node| read(node, persona, playbook, now))
}

fn read(node: &Node<'_>, persona: &Persona, playbook: &Playbook, now: Timestamp) -> Option<Evidence> {
    let object = node.object()?;
    let kind = object.required("kind").and_then(|node| node.one_of(Kind::WORDS));
    let source = object.optional("source").and_then(|node| node.text(SHORT).map(str::to_owned));
    let day = object.required("date").and_then(|node| day(&node, now));
    let weight = match object.optional("weight") {
        Some(node) => node.integer(1, i64::from(MOST_WEIGHT)).and_then(|n| u8::try_from(n).ok()),
        None => Some(USUAL_WEIGHT),
    };
    let supports = statements(&object, "supports", persona);
    let contradicts = statements(&object, "contradicts", persona);
    for both in supports.intersection(&contradicts) {
        object.fault(format!("both supports and contradicts \"{both}\"; expected one of them"));
    }
    for author in AUTHORS {
        if let Some(node) = object.optional(author) {
            node.fault("is not kept: what was said counts, and not who said it; leave it out");
        }
    }
    // Which fields there are besides depends on the kind.
    let kind = kind?;
    let detail = detail(&object, kind, playbook);
    let text = |node: &Node<'_>| node.text(TEXT).map(str::to_owned);
    let text = match (kind, &detail) {
        (Kind::KeywordResearch, Some(Detail::KeywordResearch(keyword))) if !object.has("text") => {
            let _absent = object.optional("text");
            Some(searched(keyword))
        }
        (Kind::KeywordResearch, None) => object.optional("text").and_then(|node| text(&node)),
        _ => object.required("text").and_then(|node| text(&node)),
    };
    object.finish();
    let (persona, detail) = (persona.id.clone(), detail?);
    let (text, day, weight) = (text?, day?, weight?);
    Some(Evidence { persona, detail, text, source, day, weight, supports, contradicts }.without_names())
}

fn day(node: &Node<'_>, now: Timestamp) -> Option<Day> {
    let text = node.value().as_str().unwrap_or_default();
    // Exports of posts have times.
    let Some(day) = Day::parse(text).or_else(|| Timestamp::parse(text).map(Timestamp::day)) else {
        node.fault("is not a day; expected one such as \"2026-02-01\"");
        return None;
    };
    // Somewhere it is tomorrow already.
    if day < Timestamp::EARLIEST.day() || day > now.day().plus(1) {
        node.fault(format!("lies before 1990 or ahead; it is {} now", now.day()));
        return None;
    }
    Some(day)
}

fn statements(object: &Object<'_>, key: &'static str, persona: &Persona) -> BTreeSet<Slug> {
    let mut ids = BTreeSet::new();
    for node in object.optional(key).map(|node| node.list_or_one()).unwrap_or_default() {
        let Some(id) = node.parsed(Slug::parse) else { continue };
        if persona.statement(id.as_str()).is_some() {
            ids.insert(id);
        } else {
            let known: Vec<&str> = persona.statements.iter().map(|statement| statement.id.as_str()).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            node.fault(format!(
                "names no statement of the persona \"{}\"; its statements: {known}",
                persona.id
            ));
        }
    }
    ids
}

fn detail(object: &Object<'_>, kind: Kind, playbook: &Playbook) -> Option<Detail> {
    let short = |key: &'static str| object.optional(key).and_then(|node| node.text(SHORT));
    match kind {
        Kind::InterviewProspect => {
            let with = match object.optional("with") {
                Some(node) => node.one_of(With::WORDS),
                None => Some(With::Prospect),
            };
            with.map(Detail::InterviewProspect)
        }
        Kind::InterviewSales => Some(Detail::InterviewSales),
        Kind::InterviewCustomerService => Some(Detail::InterviewCustomerService),
        Kind::SocialListening => {
            let network = object.required("network").and_then(|node| node.text(SHORT).map(str::to_lowercase));
            let url = object.optional("url").and_then(|node| {
                let url = without_author(node.text(URL)?);
                if url.is_none() {
                    node.fault(
                        "is no address of a page; expected one such as \"https://network.example/posts/17\"",
                    );
                }
                url
            });
            Some(Detail::SocialListening { network: network?, url })
        }
        Kind::KeywordResearch => {
            let keyword = object.required("keyword").and_then(|node| node.text(SHORT));
            let searches = object.optional("monthly_searches").and_then(|node| node.integer(0, MOST));
            let competition = object.optional("competition").and_then(|node| node.one_of(Competition::WORDS));
            let topic = object.optional("topic").and_then(|node| topic(&node, playbook));
            Some(Detail::KeywordResearch(Keyword {
                keyword: keyword?.split_whitespace().collect::<Vec<_>>().join(" "),
                monthly_searches: searches.and_then(|n| u64::try_from(n).ok()),
                competition,
                topic,
            }))
        }
        Kind::DatabaseMining => {
            let attribute = object.optional("attribute").and_then(|node| node.parsed(AttributeName::parse));
            let signal = object.optional("signal").and_then(|node| signal(&node, playbook));
            if attribute.is_some() && signal.is_some() {
                object.fault("names both an attribute and a signal; expected one of them");
            }
            let lift = object.optional("lift").and_then(|node| {
                let lift = node.number()?;
                if lift < 0.0 {
                    node.fault("is negative; expected how many times as often");
                }
                Some(lift)
            });
            let support = object.optional("support").and_then(|node| node.integer(0, MOST));
            Some(Detail::DatabaseMining(Finding {
                about: attribute.map(About::Attribute).or(signal.map(About::Signal)),
                value: short("value").map(str::to_owned),
                lift,
                support: support.and_then(|n| u64::try_from(n).ok()),
                interval: object.optional("interval").and_then(|node| interval(&node)),
                own: None,
            }))
        }
    }
}

fn topic(node: &Node<'_>, playbook: &Playbook) -> Option<Slug> {
    let id = node.parsed(Slug::parse)?;
    if playbook.topics.iter().any(|topic| topic.id == id) {
        return Some(id);
    }
    let known: Vec<&str> = playbook.topics.iter().map(|topic| topic.id.as_str()).collect();
    node.fault(format!("names no topic of the active playbook; its topics: {}", known.join(", ")));
    None
}

fn signal(node: &Node<'_>, playbook: &Playbook) -> Option<Slug> {
    let id = node.parsed(Slug::parse)?;
    if playbook.signals.iter().any(|signal| signal.id == id) {
        return Some(id);
    }
    node.fault("names no signal of the active playbook");
    None
}

fn interval(node: &Node<'_>) -> Option<(f64, f64)> {
    let object = node.object()?;
    let low = object.required("low").and_then(|node| node.number());
    let high = object.required("high").and_then(|node| node.number());
    object.finish();
    let (low, high) = (low?, high?);
    if (0.0..=1.0).contains(&low) && (low..=1.0).contains(&high) {
        return Some((low, high));
    }
    node.fault("is no interval of a share; expected 0 ≤ low ≤ high ≤ 1");
    None
}

/// Says what a keyword shows, where nobody said it better.
fn searched(keyword: &Keyword) -> String {
    let searches = match keyword.monthly_searches {
        Some(n) => format!("searched {n} times a month"),
        None => "searched, nobody says how often".to_owned(),
    };
    let competition = keyword.competition.map(|degree| format!(", competition {}", degree.as_str()));
    format!("“{}”: {searches}{}", keyword.keyword, competition.unwrap_or_default())
}
