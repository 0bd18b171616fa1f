//! What is asked: of reports, of a backtest, of a suggestion.

use crate::walk::Selection;
use adapters::http::Problem;
use adapters::http::body::parse_json;
use adapters::playbooks::{Stored, Version};
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use domain::attribute::AttributeName;
use domain::condition::{Level, TouchField};
use domain::fault::Faults;
use domain::playbook::Playbook;
use domain::reader::{Node, Object};
use domain::report::{Basis, Question};
use domain::time::{self, MINUTE_MS, Per, Timestamp};
use jiff::tz::TimeZone;
use learning::backtest::HORIZON_DAYS;
use learning::characteristics::Target;
use learning::segments::{self, MOST_SEGMENTATIONS, Segmentation};
use learning::suggest::MOST_RULES;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// The longest condition by which leads are chosen, in bytes; it stays with the signature of who saw the answer.
const LONGEST_CONDITION: usize = 4_000;
/// How many rules a suggested card has at most, unless asked.
const USUAL_RULES: i64 = 15;
/// The precision that a suggested line is to reach, unless asked.
const USUAL_PRECISION: f64 = 0.5;
/// How many periods the segments report has, unless a time is said.
const USUAL_PERIODS: i32 = 12;
/// The most periods of a segments report.
const MOST_PERIODS: usize = 400;
/// The most periods, times the segments of the playbook: a job notes a few numbers of each.
const MOST_CELLS: usize = 6_000;
/// For how long a report that took long is given to whoever asks the same, in milliseconds.
pub const FRESH_MS: i64 = 10 * MINUTE_MS;
/// For how many such stretches a question that is still worked on is met by whoever asks it again: an hour.
pub const REMEMBERED: i64 = 6;

/// The query of the campaigns report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CampaignsQuery {
    /// What the rows stand for: `channel`, `campaign` or `landing_page`, of the first touch; `channel` unless said.
    pub group_by: Option<String>,
    /// From when, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Until when, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
    /// `cohort` (by first contact) unless said, or `period` (by outcome).
    pub basis: Option<String>,
}

/// A question with the words in which it was asked.
#[derive(Clone, Debug)]
pub struct CampaignsAsked {
    /// The question.
    pub question: Question,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The word for the basis.
    pub basis: &'static str,
    /// The time zone's name.
    pub tz: String,
}

fn word<T: Copy + PartialEq>(words: &'static [(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn campaigns(query: &CampaignsQuery, default_zone: &TimeZone) -> Result<CampaignsAsked, Problem> {
    let faults = Faults::new();
    let choose = |name: &str, words: Vec<&'static str>, asked: &Option<String>| -> usize {
        let Some(text) = asked else { return 0 };
        words.iter().position(|word| word == text).unwrap_or_else(|| {
            faults.add(format!("/{name}"), format!("is \"{text}\"; expected one of: {}", words.join(", ")));
            0
        })
    };
    let group =
        choose("group_by", TouchField::WORDS.iter().map(|(word, _)| *word).collect(), &query.group_by);
    let basis = choose("basis", Basis::WORDS.iter().map(|(word, _)| *word).collect(), &query.basis);
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let group_by = TouchField::WORDS.get(group).map(|(_, field)| *field).unwrap_or(TouchField::Channel);
    let basis = Basis::WORDS.get(basis).map(|(_, basis)| *basis).unwrap_or(Basis::Cohort);
    let tz = zone.iana_name().unwrap_or("UTC").to_owned();
    let asked = CampaignsAsked::new(Question { group_by, basis, from, to }, tz);
    faults.into_result(Some(asked)).map_err(Problem::invalid)
}

impl CampaignsAsked {
    fn new(question: Question, tz: String) -> Self {
        let group_by = word(TouchField::WORDS, question.group_by);
        let basis = word(Basis::WORDS, question.basis);
        Self { question, group_by, basis, tz }
    }

    /// Gives the question as JSON, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "report": "campaigns",
            "group_by": self.group_by,
            "basis": self.basis,
            "from": self.question.from.map(|at| at.to_string()),
            "to": self.question.to.map(|at| at.to_string()),
            "tz": self.tz,
        })
    }

    /// Reads the question of a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let time = |name: &str| text(name).and_then(Timestamp::parse);
        let (group_by, basis) = (text("group_by")?, text("basis")?);
        let question = Question {
            group_by: TouchField::WORDS.iter().find(|(word, _)| *word == group_by)?.1,
            basis: Basis::WORDS.iter().find(|(word, _)| *word == basis)?.1,
            from: time("from"),
            to: time("to"),
        };
        Some(Self::new(question, text("tz")?.to_owned()))
    }
}

/// A figure of the campaigns report that leads stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// All leads of a row.
    Leads,
    /// Those with a won deal.
    Won,
    /// Those that were lost or disqualified.
    Lost,
    /// Those that are neither.
    Open,
    /// Those whose touches a model credits.
    Credited,
}

impl Figure {
    /// Every figure with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("leads", Self::Leads),
        ("won", Self::Won),
        ("lost", Self::Lost),
        ("open", Self::Open),
        ("credited", Self::Credited),
    ];
}

/// The query of the leads behind a figure of the campaigns report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LeadsQuery {
    /// As in the report.
    pub group_by: Option<String>,
    /// As in the report.
    pub from: Option<String>,
    /// As in the report.
    pub to: Option<String>,
    /// As in the report.
    pub tz: Option<String>,
    /// As in the report.
    pub basis: Option<String>,
    /// The row's name; empty for the one without a name; every row unless said.
    pub row: Option<String>,
    /// `leads` unless said, `won`, `lost`, `open` or `credited`.
    pub figure: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the leads behind a figure.
#[derive(Clone, Debug)]
pub struct LeadsAsked {
    /// The report's question.
    pub report: CampaignsAsked,
    /// The row, where one is meant; inside it the name, where it has one.
    pub row: Option<Option<String>>,
    /// The figure.
    pub figure: Figure,
    /// The word for it.
    pub figure_word: &'static str,
    /// How many.
    pub limit: usize,
    /// Which page of all leads to go on with.
    pub cursor: Option<String>,
    /// How many of its leads were looked at already.
    pub skip: usize,
}

/// Reads the query; every fault at once, but for one of `limit` or `cursor`.
///
/// # Errors
///
/// The faults.
pub fn leads_behind(query: &LeadsQuery, default_zone: &TimeZone) -> Result<LeadsAsked, Problem> {
    let faults = Faults::new();
    let figure_word = query.figure.as_deref().unwrap_or("leads");
    let figure = Figure::WORDS.iter().find(|(known, _)| *known == figure_word);
    if figure.is_none() {
        let words: Vec<&str> = Figure::WORDS.iter().map(|(word, _)| *word).collect();
        faults.add("/figure", format!("is \"{figure_word}\"; expected one of: {}", words.join(", ")));
    }
    let report = CampaignsQuery {
        group_by: query.group_by.clone(),
        from: query.from.clone(),
        to: query.to.clone(),
        tz: query.tz.clone(),
        basis: query.basis.clone(),
    };
    let report = match campaigns(&report, default_zone) {
        Ok(report) => Some(report),
        Err(problem) => {
            problem.faults().iter().for_each(|fault| faults.add(fault.pointer.clone(), fault.detail.clone()));
            None
        }
    };
    let limit = adapters::wire::limit(query.limit, 100)?;
    let (skip, cursor) = match query.cursor.as_deref() {
        None => (Some(0), None),
        Some(text) => {
            let (skip, cursor) = text.split_once('.').unwrap_or((text, ""));
            (skip.parse().ok(), Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty()))
        }
    };
    if skip.is_none() {
        faults.add("/cursor", "is none that a page before gave");
    }
    let row = query.row.as_ref().map(|name| Some(name.clone()).filter(|name| !name.is_empty()));
    let asked = report.zip(figure).zip(skip).map(|((report, (figure_word, figure)), skip)| LeadsAsked {
        report,
        row,
        figure: *figure,
        figure_word,
        limit,
        cursor,
        skip,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}

/// Reads a span of time: its first and last moment in a time zone.
fn span_of(
    from: &Option<String>,
    to: &Option<String>,
    tz: &Option<String>,
    default_zone: &TimeZone,
    faults: &Faults,
) -> (Option<Timestamp>, Option<Timestamp>, TimeZone) {
    let zone = match tz {
        None => default_zone.clone(),
        Some(name) => time::zone(name).unwrap_or_else(|wrong| {
            faults.add("/tz", wrong);
            TimeZone::UTC
        }),
    };
    let time = |name: &str, asked: &Option<String>| {
        let text = asked.as_deref()?;
        let at = Timestamp::parse_in(text, &zone);
        if at.is_none() {
            faults.add(
                format!("/{name}"),
                "is not a time; expected a date such as 2026-02-01, or 2026-02-01T12:00:00Z",
            );
        }
        at
    };
    let (from, to) = (time("from", from), time("to", to));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        faults.add("/to", "does not lie after \"from\"; it is not included");
    }
    (from, to, zone)
}

/// The query of a report over leads by their capture.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SpanQuery {
    /// Leads captured from then on, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Leads captured before, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
}

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

fn span_json(report: &str, from: Option<Timestamp>, to: Option<Timestamp>, zone: &TimeZone) -> Value {
    json!({
        "report": report,
        "from": from.map(|at| at.to_string()),
        "to": to.map(|at| at.to_string()),
        "tz": zone.iana_name().unwrap_or("UTC"),
    })
}

/// Reads the query of a report over leads by their capture, in the form in which a job keeps it.
///
/// # Errors
///
/// Every fault.
pub fn span(report: &str, query: &SpanQuery, default_zone: &TimeZone) -> Result<Value, Problem> {
    let faults = Faults::new();
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    faults.into_result(Some(span_json(report, from, to, &zone))).map_err(Problem::invalid)
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

/// The query of the segments report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SegmentsQuery {
    /// From when, included: a date in the time zone, or an RFC 3339 time; twelve periods before the end unless said.
    pub from: Option<String>,
    /// Until when, not included; now unless said, and not later.
    pub to: Option<String>,
    /// The time zone of the dates and periods, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
    /// The periods: `month` unless said, `week` or `day`.
    pub per: Option<String>,
    /// What is compared, up to four with `|` (`%7C`) between them: segments with commas between them (each lead falls in the
    /// first that holds it), `label`, `channel`, `country`, or `attribute:NAME`.
    pub compare: Option<String>,
}

/// What is asked of the segments report, as its job keeps it.
#[derive(Clone, Debug)]
pub struct SegmentsAsked {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    zone: TimeZone,
    per: Per,
    compare: Vec<String>,
    /// The version that is active.
    pub version: u32,
    /// The attributes that were declared known at capture.
    pub declared: BTreeSet<AttributeName>,
}

/// Reads the query of the segments report; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn segments(
    query: &SegmentsQuery,
    active: &Version,
    declared: BTreeSet<AttributeName>,
    now: Timestamp,
) -> Result<SegmentsAsked, Problem> {
    let faults = Faults::new();
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, &active.playbook.timezone, &faults);
    let per = match query.per.as_deref() {
        None => Per::Month,
        Some(text) => match Per::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, per)) => *per,
            None => {
                let words: Vec<&str> = Per::WORDS.iter().map(|(word, _)| *word).collect();
                faults.add("/per", format!("is \"{text}\"; expected one of: {}", words.join(", ")));
                Per::Month
            }
        },
    };
    let compare: Vec<String> =
        query.compare.iter().flat_map(|text| text.split('|')).map(|part| part.trim().to_owned()).collect();
    if compare.len() > MOST_SEGMENTATIONS {
        faults.add(
            "/compare",
            format!("names {} segmentations; expected at most {MOST_SEGMENTATIONS}", compare.len()),
        );
    }
    for (place, text) in compare.iter().enumerate() {
        if let Err(fault) = Segmentation::parse(text, &active.playbook) {
            faults.add("/compare", fault);
        }
        if compare.iter().take(place).any(|before| before == text) {
            faults.add("/compare", format!("names \"{text}\" twice"));
        }
    }
    let asked = SegmentsAsked { from, to, zone, per, compare, version: active.number, declared };
    if from.is_some_and(|from| from >= now) {
        faults.add("/from", "does not lie in the past");
    } else if faults.is_empty() {
        let most = MOST_CELLS / active.playbook.segments.len().max(1);
        if asked.bounds(now, most.min(MOST_PERIODS)).is_none() {
            faults.add(
                "/per",
                format!(
                    "makes too many periods; expected at most {MOST_PERIODS}, and {MOST_CELLS} by segment: a shorter \
                     time, or longer periods"
                ),
            );
        }
    }
    faults.into_result(Some(asked)).map_err(Problem::invalid)
}

impl SegmentsAsked {
    /// Gives where the periods begin and where the last one ends; none where there are more than `most`.
    #[must_use]
    pub fn bounds(&self, now: Timestamp, most: usize) -> Option<Vec<Timestamp>> {
        let to = self.to.map_or(now, |to| to.min(now));
        let from = match self.from {
            Some(from) => from,
            // Twelve periods: the one in which the last moment lies, and eleven before it.
            None => self.per.start(to.plus(-1), 1 - USUAL_PERIODS, &self.zone)?,
        };
        self.per.cut(from, to, &self.zone, most)
    }

    /// Gives the question; none where its playbook does not know its words.
    #[must_use]
    pub fn question<'a>(&self, playbook: &'a Playbook, now: Timestamp) -> Option<segments::Question<'a>> {
        let compare = self.compare.iter().map(|text| Segmentation::parse(text, playbook).ok());
        Some(segments::Question {
            playbook,
            bounds: self.bounds(now, usize::MAX)?,
            compare: compare.collect::<Option<_>>()?,
            declared: self.declared.clone(),
            now,
        })
    }

    /// Gives what is asked as JSON, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut asked = span_json("segments", self.from, self.to, &self.zone);
        if let Some(map) = asked.as_object_mut() {
            map.insert("per".to_owned(), word(Per::WORDS, self.per).into());
            map.insert("compare".to_owned(), json!(self.compare));
            map.insert("version".to_owned(), self.version.into());
            map.insert("declared".to_owned(), names(&self.declared));
        }
        asked
    }

    /// Reads what a job keeps.
    #[must_use]
    pub fn from_json(asked: &Value) -> Option<Self> {
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        let time = |name: &str| text(name).and_then(Timestamp::parse);
        let per = text("per")?;
        let compare = asked.get("compare")?.as_array()?.iter();
        Some(Self {
            from: time("from"),
            to: time("to"),
            zone: TimeZone::get(text("tz")?).ok()?,
            per: Per::WORDS.iter().find(|(word, _)| *word == per)?.1,
            compare: compare.filter_map(Value::as_str).map(str::to_owned).collect(),
            version: asked.get("version").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())?,
            declared: declared(asked),
        })
    }
}

/// A span of time, as a job keeps it.
#[derive(Clone, Copy, Debug)]
pub struct SpanAsked;

impl SpanAsked {
    /// Gives the leads that are asked for.
    #[must_use]
    pub fn selection(asked: &Value) -> Selection {
        let time = |name: &str| asked.get(name).and_then(Value::as_str).and_then(Timestamp::parse);
        Selection { from: time("from"), to: time("to"), ..Selection::default() }
    }

    /// Gives the leads that are asked for, a condition included; `None` where the playbook does not know its words.
    fn with_condition(asked: &Value, playbook: &Playbook) -> Option<Selection> {
        let condition = match asked.get("where").filter(|value| !value.is_null()) {
            None => None,
            Some(value) => {
                let faults = Faults::new();
                let condition = playbook.condition(&Node::root(value, &faults), Level::Facts);
                Some(faults.into_result(condition).ok()?)
            }
        };
        Some(Selection { condition, ..Self::selection(asked) })
    }
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

fn names(declared: &BTreeSet<AttributeName>) -> Value {
    declared.iter().map(|name| Value::from(name.as_str())).collect()
}

/// Gives the attributes that were declared known at capture when the job was asked for.
#[must_use]
pub fn declared(asked: &Value) -> BTreeSet<AttributeName> {
    let names = asked.get("declared").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| AttributeName::parse(name.as_str()?).ok()).collect()
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

fn sixteen(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())).chars().take(16).collect()
}

/// Gives the id of the job that answers a question at this time, or so many stretches of time ago: for some minutes,
/// whoever asks the same meets it.
#[must_use]
pub fn report_id(asked: &Value, now: Timestamp, ago: i64) -> String {
    format!("report-{}-{}", sixteen(&asked.to_string()), now.millis().div_euclid(FRESH_MS) - ago)
}

/// Gives the id of a new job; the same one for a repeat that says so.
#[must_use]
pub fn job_id(kind: &str, caller: &str, headers: &HeaderMap, asked: &Value, now: Timestamp) -> String {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    match key {
        Some(key) => format!("{kind}-{}", sixteen(&format!("{caller} {key} {asked}"))),
        None => format!("{kind}-{}", sixteen(&format!("{caller} {now} {}", adapters::clock::new_lead_id()))),
    }
}

/// Tells whether the caller prefers CSV.
#[must_use]
pub fn wants_csv(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/csv"))
}
