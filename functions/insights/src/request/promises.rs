//! What is asked of the promises of both sides, and of the leads behind their figures.

use super::{Place, chosen, span_json, span_of};
use adapters::http::Problem;
use domain::fault::Faults;
use domain::promise::kept::{GroupBy, Question};
use domain::time::{Day, Timestamp};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The query of the promises report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PromisesQuery {
    /// What the rows of sales' side stand for, one or several with commas between: `territory` (unless said), `person`
    /// (whose promise it was), `week` (of the hand-off).
    pub group_by: Option<String>,
    /// Hand-offs from when, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Until when, not included.
    pub to: Option<String>,
    /// The time zone of the dates and of sales' weeks, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn promises(query: &PromisesQuery, default_zone: &TimeZone) -> Result<Question, Problem> {
    let faults = Faults::new();
    let asked = read(query, default_zone, &faults);
    faults.into_result(asked).map_err(Problem::invalid)
}

fn read(query: &PromisesQuery, default_zone: &TimeZone, faults: &Faults) -> Option<Question> {
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, faults);
    let group_by = groups(query.group_by.as_deref().unwrap_or("territory"));
    if group_by.is_none() {
        let asked = query.group_by.as_deref().unwrap_or_default();
        faults.add(
            "/group_by",
            format!("is \"{asked}\"; expected one or several of territory, person, week, each once, with commas between"),
        );
    }
    Some(Question { from, to, zone, group_by: group_by? })
}

fn groups(text: &str) -> Option<Vec<GroupBy>> {
    let mut groups = Vec::new();
    for word in text.split(',') {
        let (_, group) = GroupBy::WORDS.iter().find(|(known, _)| *known == word)?;
        if groups.contains(group) {
            return None;
        }
        groups.push(*group);
    }
    Some(groups)
}

/// Gives the question as JSON, for a job.
#[must_use]
pub fn to_json(asked: &Question) -> Value {
    let mut json = span_json("promises", asked.from, asked.to, &asked.zone);
    if let Some(map) = json.as_object_mut() {
        let words: Vec<&str> = asked.group_by.iter().map(|group| group.as_str()).collect();
        map.insert("group_by".to_owned(), words.into());
    }
    json
}

/// Reads the question of a job.
#[must_use]
pub fn from_json(json: &Value) -> Option<Question> {
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).and_then(Timestamp::parse);
    let words: Option<Vec<&str>> = json.get("group_by")?.as_array()?.iter().map(Value::as_str).collect();
    Some(Question {
        from: time("from"),
        to: time("to"),
        zone: TimeZone::get(text("tz")?).ok()?,
        group_by: groups(&words?.join(","))?,
    })
}

/// A figure of sales' side that leads stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseFigure {
    /// All hand-offs.
    Promised,
    /// Those answered in time.
    Kept,
    /// Those that were not.
    Broken,
    /// Those of which nobody can tell yet.
    Open,
}

impl PromiseFigure {
    /// Every figure with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("promised", Self::Promised), ("kept", Self::Kept), ("broken", Self::Broken), ("open", Self::Open)];
}

/// The query of the leads behind a figure of the promises report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PromisesLeadsQuery {
    /// As in the report.
    pub from: Option<String>,
    /// As in the report.
    pub to: Option<String>,
    /// As in the report.
    pub tz: Option<String>,
    /// Leads of this territory; empty for those of none; of every one unless said.
    pub territory: Option<String>,
    /// Whose promise it was; everybody's unless said.
    pub person: Option<String>,
    /// Hand-offs of the week of this Monday; of every week unless said.
    pub week: Option<String>,
    /// `promised` unless said, `kept`, `broken` or `open`.
    pub figure: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the leads behind a figure.
#[derive(Clone, Debug)]
pub struct PromisesLeadsAsked {
    /// The report's question, by those groupings that a name was given for.
    pub question: Question,
    /// The names.
    pub names: Vec<Option<String>>,
    /// The figure.
    pub figure: PromiseFigure,
    /// The word for it.
    pub figure_word: &'static str,
    /// How many.
    pub limit: usize,
    /// Where to go on.
    pub place: Place,
}

/// Reads the query; every fault at once, but for one of `limit`.
///
/// # Errors
///
/// The faults.
pub fn promises_leads(
    query: &PromisesLeadsQuery,
    default_zone: &TimeZone,
) -> Result<PromisesLeadsAsked, Problem> {
    let faults = Faults::new();
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let (figure_word, figure) = chosen("figure", PromiseFigure::WORDS, &query.figure, &faults);
    let limit = adapters::wire::limit(query.limit, 100)?;
    let place = Place::read(query.cursor.as_deref(), &faults);
    let given = [
        (GroupBy::Territory, &query.territory),
        (GroupBy::Person, &query.person),
        (GroupBy::Week, &query.week),
    ];
    if let Some(week) = &query.week
        && Day::parse(week).is_none_or(|day| day.monday() != day)
    {
        faults.add("/week", format!("is \"{week}\"; expected a Monday such as 2026-03-02"));
    }
    let given = given.into_iter().filter_map(|(group, name)| Some((group, name.clone()?)));
    let (group_by, names): (Vec<GroupBy>, Vec<String>) = given.unzip();
    let names = names.into_iter().map(|name| Some(name).filter(|name| !name.is_empty())).collect();
    let question = Question { from, to, zone, group_by };
    let asked = figure.zip(place).map(|(figure, place)| PromisesLeadsAsked {
        question,
        names,
        figure,
        figure_word,
        limit,
        place,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}
