//! What is asked of what customers said about the marketing.

use super::{chosen, span_json, span_of};
use adapters::http::Problem;
use domain::fault::Faults;
use domain::said::{GroupBy, Question};
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The query of the report on what customers said.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SaidQuery {
    /// What the rows stand for: the `campaign` (unless said) or the `content` that it was about.
    pub group_by: Option<String>,
    /// Said from then on, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Said before, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
}

/// Reads the query in the form in which a job keeps it; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn said(query: &SaidQuery, default_zone: &TimeZone) -> Result<Value, Problem> {
    let faults = Faults::new();
    let (word, _) = chosen("group_by", GroupBy::WORDS, &query.group_by, &faults);
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let mut asked = span_json("marketing-feedback", from, to, &zone);
    if let Some(map) = asked.as_object_mut() {
        map.insert("group_by".to_owned(), word.into());
    }
    faults.into_result(Some(asked)).map_err(Problem::invalid)
}

/// Gives what is asked, with its word for what the rows stand for.
#[must_use]
pub fn question(asked: &Value) -> Option<(&'static str, Question)> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(Timestamp::parse);
    let group_by = text("group_by")?;
    let (word, group_by) = GroupBy::WORDS.iter().find(|(word, _)| *word == group_by)?;
    Some((word, Question { group_by: *group_by, from: time("from"), to: time("to") }))
}
