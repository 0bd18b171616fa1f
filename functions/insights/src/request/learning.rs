//! What is asked of a backtest, of a suggested card, and of what best and worst have in common.

use super::{SpanAsked, names, span_json, span_of};
use crate::walk::Selection;
use adapters::http::Problem;
use adapters::http::body::parse_json;
use adapters::playbooks::{Stored, Version};
use axum::body::Bytes;
use domain::attribute::AttributeName;
use domain::condition::Level;
use domain::fault::Faults;
use domain::playbook::Playbook;
use domain::reader::{Node, Object};
use jiff::tz::TimeZone;
use learning::backtest::HORIZON_DAYS;
use learning::characteristics::Target;
use learning::suggest::MOST_RULES;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// The longest condition by which leads are chosen, in bytes; it stays with the signature of who saw the answer.
const LONGEST_CONDITION: usize = 4_000;
/// How many rules a suggested card has at most, unless asked.
const USUAL_RULES: i64 = 15;
/// The precision that a suggested line is to reach, unless asked.
const USUAL_PRECISION: f64 = 0.5;

/// The query of the characteristics report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CharacteristicsQuery {
    /// What makes a good customer: `won` unless said, `revenue` or `retained`.
    pub target: Option<String>,
    /// Leads captured from then on, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Leads captured before, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
}

/// Reads the query of the characteristics report, in the form in which a job keeps it.
///
/// # Errors
///
/// Every fault.
pub fn characteristics(query: &CharacteristicsQuery, default_zone: &TimeZone) -> Result<Value, Problem> {
    let faults = Faults::new();
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let mut asked = span_json("characteristics", from, to, &zone);
    let target = query.target.as_deref().unwrap_or("won");
    if !Target::WORDS.iter().any(|(word, _)| *word == target) {
        let words: Vec<&str> = Target::WORDS.iter().map(|(word, _)| *word).collect();
        faults.add("/target", format!("is \"{target}\"; expected one of: {}", words.join(", ")));
    }
    if let Some(map) = asked.as_object_mut() {
        map.insert("target".to_owned(), target.into());
    }
    faults.into_result(Some(asked)).map_err(Problem::invalid)
}

/// Reads which leads a body asks for, in the form in which a job keeps it.
fn leads(object: &Object<'_>, playbook: &Playbook) -> Map<String, Value> {
    let text = |key: &'static str| object.optional(key).and_then(|node| node.text(100).map(str::to_owned));
    let (from, to, tz) = (text("from"), text("to"), text("tz"));
    let (from, to, zone) = span_of(&from, &to, &tz, &playbook.timezone, object.faults());
    let mut asked = span_json("", from, to, &zone);
    let condition = object.optional("where").and_then(|node| {
        let size = node.value().to_string().len();
        if size > LONGEST_CONDITION {
            node.fault(format!("has {size} bytes; expected at most {LONGEST_CONDITION}"));
            return None;
        }
        // Facts only: who chose leads by their stage or label would choose them by their outcome.
        playbook.condition(&node, Level::Facts)?;
        Some(node.value().clone())
    });
    let mut asked = asked.as_object_mut().map(std::mem::take).unwrap_or_default();
    asked.remove("report");
    asked.insert("where".to_owned(), condition.unwrap_or_default());
    asked
}

/// Reads a JSON object; an empty body is an empty one.
fn body(bytes: &Bytes) -> Result<Value, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(json!({})) } else { parse_json(bytes) }
}

/// What is asked of a backtest, as its job keeps it.
#[derive(Clone, Debug)]
pub struct BacktestAsked {
    /// The version to test.
    pub version: u32,
    /// The version that was active then.
    pub active: u32,
    /// Within how many days a lead has to be won.
    pub horizon_days: u16,
    asked: Value,
}

/// Reads the body of a backtest, in the form in which its job keeps it.
///
/// # Errors
///
/// Every fault.
pub fn backtest(
    bytes: &Bytes,
    tested: &Stored,
    active: &Version,
    declared: &BTreeSet<AttributeName>,
) -> Result<Value, Problem> {
    adapters::wire::one(&body(bytes)?, |node| {
        let object = node.object()?;
        let mut asked = leads(&object, &active.playbook);
        let horizon = match object.optional("horizon_days") {
            Some(node) => node.integer(1, 1_000),
            None => Some(i64::from(HORIZON_DAYS)),
        };
        object.finish();
        asked.insert("horizon_days".to_owned(), horizon?.into());
        asked.insert("version".to_owned(), tested.number.into());
        asked.insert("sha256".to_owned(), tested.hash.as_str().into());
        asked.insert("active".to_owned(), active.number.into());
        asked.insert("declared".to_owned(), names(declared));
        Some(Value::Object(asked))
    })
}

impl BacktestAsked {
    /// Reads what a job keeps.
    #[must_use]
    pub fn from_json(asked: &Value) -> Option<Self> {
        let number = |name: &str| asked.get(name).and_then(Value::as_u64);
        Some(Self {
            version: number("version").and_then(|n| u32::try_from(n).ok())?,
            active: number("active").and_then(|n| u32::try_from(n).ok())?,
            horizon_days: number("horizon_days").and_then(|n| u16::try_from(n).ok())?,
            asked: asked.clone(),
        })
    }

    /// Gives the leads that are asked for.
    #[must_use]
    pub fn selection(&self, playbook: &Playbook) -> Option<Selection> {
        SpanAsked::with_condition(&self.asked, playbook)
    }
}

/// What is asked of a suggestion, as its job keeps it.
#[derive(Clone, Debug)]
pub struct SuggestAsked {
    /// The most rules.
    pub rules: usize,
    /// The precision that the line is to reach.
    pub precision: f64,
    /// How many leads a week are wanted instead.
    pub hand_offs_per_week: Option<f64>,
    /// The attributes that say what a lead did.
    pub behaviour: BTreeSet<AttributeName>,
    /// The version that gives everything but the points.
    pub active: u32,
    /// Who asks, and so is the draft's author.
    pub by: String,
    asked: Value,
}

/// Reads the body of a suggestion, in the form in which its job keeps it.
///
/// # Errors
///
/// Every fault.
pub fn suggest(
    bytes: &Bytes,
    active: &Version,
    by: &str,
    declared: &BTreeSet<AttributeName>,
) -> Result<Value, Problem> {
    let playbook = &active.playbook;
    adapters::wire::one(&body(bytes)?, |node| {
        let object = node.object()?;
        let mut asked = leads(&object, playbook);
        let rules = match object.optional("rules") {
            Some(node) => node.integer(1, i64::try_from(MOST_RULES).unwrap_or(1)),
            None => Some(USUAL_RULES),
        };
        let within = |node: Node<'_>, least: f64, most: f64, what: &str| match node.number() {
            Some(n) if (least..=most).contains(&n) => Some(n),
            Some(_) => {
                node.fault(format!("is {what}; expected a number from {least} to {most}"));
                None
            }
            None => None,
        };
        let both = object.has("precision") && object.has("hand_offs_per_week");
        let precision = match object.optional("precision") {
            Some(node) => within(node, 0.01, 1.0, "no share").map(Some),
            None => Some(None),
        };
        let hand_offs = match object.optional("hand_offs_per_week") {
            Some(node) => within(node, 0.1, 1_000_000.0, "no number of leads").map(Some),
            None => Some(None),
        };
        if both {
            object.fault("says both \"precision\" and \"hand_offs_per_week\"; expected one of them");
        }
        let behaviour: Vec<String> = object
            .optional("behaviour")
            .map(|node| node.list_or_one())
            .unwrap_or_default()
            .iter()
            .filter_map(|node| node.parsed(AttributeName::parse))
            .map(|name| name.as_str().to_owned())
            .collect();
        object.finish();
        asked.insert("rules".to_owned(), rules?.into());
        asked.insert("precision".to_owned(), json!(precision?.unwrap_or(USUAL_PRECISION)));
        asked.insert("hand_offs_per_week".to_owned(), json!(hand_offs?));
        asked.insert("behaviour".to_owned(), behaviour.into());
        asked.insert("active".to_owned(), active.number.into());
        asked.insert("declared".to_owned(), names(declared));
        asked.insert("by".to_owned(), by.into());
        Some(Value::Object(asked))
    })
}

impl SuggestAsked {
    /// Reads what a job keeps.
    #[must_use]
    pub fn from_json(asked: &Value) -> Option<Self> {
        let number = |name: &str| asked.get(name).and_then(Value::as_u64);
        let behaviour = asked.get("behaviour")?.as_array()?.iter();
        Some(Self {
            rules: number("rules").and_then(|n| usize::try_from(n).ok())?,
            precision: asked.get("precision")?.as_f64()?,
            hand_offs_per_week: asked.get("hand_offs_per_week").and_then(Value::as_f64),
            behaviour: behaviour.filter_map(|name| AttributeName::parse(name.as_str()?).ok()).collect(),
            active: number("active").and_then(|n| u32::try_from(n).ok())?,
            by: asked.get("by")?.as_str()?.to_owned(),
            asked: asked.clone(),
        })
    }

    /// Gives the leads that are asked for.
    #[must_use]
    pub fn selection(&self, playbook: &Playbook) -> Option<Selection> {
        SpanAsked::with_condition(&self.asked, playbook)
    }
}
