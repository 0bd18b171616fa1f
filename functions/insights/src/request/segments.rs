//! What is asked of the segments report.

use super::{declared, names, span_json, span_of, word};
use adapters::http::Problem;
use adapters::playbooks::Version;
use domain::attribute::AttributeName;
use domain::fault::Faults;
use domain::playbook::Playbook;
use domain::time::{Per, Timestamp};
use jiff::tz::TimeZone;
use learning::segments::{self, MOST_SEGMENTATIONS, Segmentation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// How many periods the segments report has, unless a time is said.
const USUAL_PERIODS: i32 = 12;
/// The most periods of a segments report.
const MOST_PERIODS: usize = 400;
/// The most periods, times the segments of the playbook: a job notes a few numbers of each.
const MOST_CELLS: usize = 6_000;

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
