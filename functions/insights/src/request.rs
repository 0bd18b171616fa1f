//! What is asked: of reports, of a backtest, of a suggestion.
//!
//! # Layout
//!
//! * this file – what all questions have in common: spans of time, the ids of their jobs, CSV;
//! * `campaigns` – of the campaigns report; `funnel` – of the funnel; `segments` – of the segments report;
//! * `promises` – of the promises of both sides; `nurture` – of what nurturing did; `trend` – of what was kept day by day;
//! * `said` – of what customers said about the marketing;
//! * `learning` – of a backtest, a suggested card, and what best and worst have in common.

pub mod campaigns;
pub mod funnel;
pub mod learning;
pub mod nurture;
pub mod promises;
pub mod said;
pub mod segments;
pub mod trend;

pub use campaigns::{
    CampaignsAsked, CampaignsQuery, Figure, LeadsAsked, LeadsQuery, campaigns, leads_behind,
};
pub use funnel::{FunnelAsked, FunnelLeadsAsked, FunnelLeadsQuery, FunnelQuery, funnel, funnel_leads};
pub use learning::{BacktestAsked, CharacteristicsQuery, SuggestAsked, backtest, characteristics, suggest};
pub use segments::{SegmentsAsked, SegmentsQuery, segments};
pub use trend::{TrendAsked, TrendQuery, trend};

use crate::walk::Selection;
use adapters::http::Problem;
use axum::http::{HeaderMap, header};
use domain::attribute::AttributeName;
use domain::condition::Level;
use domain::fault::Faults;
use domain::playbook::Playbook;
use domain::reader::Node;
use domain::time::{self, MINUTE_MS, Timestamp};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// For how long a report that took long is given to whoever asks the same, in milliseconds.
pub const FRESH_MS: i64 = 10 * MINUTE_MS;
/// For how many such stretches a question that is still worked on is met by whoever asks it again: an hour.
pub const REMEMBERED: i64 = 6;

fn word<T: Copy + PartialEq>(words: &'static [(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Reads which of some words is meant, the first one unless said; no value where it is none of them.
fn chosen<T: Copy>(
    name: &str,
    words: &'static [(&'static str, T)],
    asked: &Option<String>,
    faults: &Faults,
) -> (&'static str, Option<T>) {
    let meant = match asked {
        None => words.first(),
        Some(text) => words.iter().find(|(word, _)| word == text),
    };
    if let (None, Some(text)) = (meant, asked) {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        faults.add(format!("/{name}"), format!("is \"{text}\"; expected one of: {}", words.join(", ")));
    }
    meant.map_or(("", None), |(word, value)| (*word, Some(*value)))
}

/// How far somebody looked through all leads: page by page, and within a page.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Which page of all leads to go on with.
    pub cursor: Option<String>,
    /// How many of its leads were looked at already.
    pub skip: usize,
}

impl Place {
    fn read(text: Option<&str>, faults: &Faults) -> Option<Self> {
        let Some(text) = text else { return Some(Self::default()) };
        let (skip, cursor) = text.split_once('.').unwrap_or((text, ""));
        let cursor = Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty());
        let place = skip.parse().ok().map(|skip| Self { cursor, skip });
        if place.is_none() {
            faults.add("/cursor", "is none that a page before gave");
        }
        place
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.skip, self.cursor.as_deref().unwrap_or_default())
    }
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

fn names(declared: &BTreeSet<AttributeName>) -> Value {
    declared.iter().map(|name| Value::from(name.as_str())).collect()
}

/// Gives the attributes that were declared known at capture when the job was asked for.
#[must_use]
pub fn declared(asked: &Value) -> BTreeSet<AttributeName> {
    let names = asked.get("declared").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| AttributeName::parse(name.as_str()?).ok()).collect()
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
