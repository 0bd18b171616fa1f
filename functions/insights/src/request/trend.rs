//! What is asked of the figures that were kept day by day.

use super::{chosen, word};
use adapters::http::Problem;
use domain::condition::TouchField;
use domain::fault::Faults;
use domain::funnel::GroupBy;
use domain::report::Basis;
use domain::time::Day;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// How many days a trend has, unless a time is said.
const USUAL_DAYS: i32 = 30;
/// How many days a page has, unless said.
const USUAL_PAGE: u32 = 31;
/// The most days of a page.
const MOST_PAGE: u32 = 92;

/// The query of a trend.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TrendQuery {
    /// As in the report.
    pub group_by: Option<String>,
    /// `period` (what happened on each day) unless said, or `cohort` (all leads as they stood after it).
    pub basis: Option<String>,
    /// The first day, such as 2026-02-01; 30 days before the end unless said.
    pub from: Option<String>,
    /// The day after the last one; today unless said.
    pub to: Option<String>,
    /// The row's name; empty for the one without a name; every row unless said.
    pub row: Option<String>,
    /// How many days, 1 to 92; 31 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the figures of some days.
#[derive(Clone, Debug)]
pub struct TrendAsked {
    /// Whose figures: `funnel` or `campaigns`.
    pub report: &'static str,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The word for the basis.
    pub basis: &'static str,
    /// The first day.
    pub from: Day,
    /// The day after the last one.
    pub to: Day,
    /// The row, where one is meant; inside it the name, where it has one.
    pub row: Option<Option<String>>,
    /// The first day of this page.
    pub start: Day,
    /// How many days.
    pub limit: usize,
}

/// The words for the basis; what happened day by day is what a trend is asked for.
const BASES: &[(&str, Basis)] = &[("period", Basis::Period), ("cohort", Basis::Cohort)];

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn trend(report: &'static str, query: &TrendQuery, today: Day) -> Result<TrendAsked, Problem> {
    let faults = Faults::new();
    let group_by = match report {
        "funnel" => chosen("group_by", GroupBy::WORDS, &query.group_by, &faults).0,
        _ => chosen("group_by", TouchField::WORDS, &query.group_by, &faults).0,
    };
    let (_, basis) = chosen("basis", BASES, &query.basis, &faults);
    let day = |name: &str, asked: &Option<String>, usual: Day| {
        let Some(text) = asked else { return Some(usual) };
        let day = Day::parse(text);
        if day.is_none() {
            faults.add(format!("/{name}"), "is not a day; expected one such as 2026-02-01");
        }
        day
    };
    let to = day("to", &query.to, today);
    let from = day("from", &query.from, to.unwrap_or(today).plus(-USUAL_DAYS));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        faults.add("/to", "does not lie after \"from\"; it is not included");
    }
    let limit = query.limit.unwrap_or(USUAL_PAGE);
    if !(1..=MOST_PAGE).contains(&limit) {
        faults.add("/limit", format!("is {limit}; expected 1 to {MOST_PAGE}"));
    }
    let start = query.cursor.as_deref().map(Day::parse);
    if start == Some(None) {
        faults.add("/cursor", "is none that a page before gave");
    }
    let row = query.row.as_ref().map(|name| Some(name.clone()).filter(|name| !name.is_empty()));
    let asked = basis.zip(from.zip(to)).map(|(basis, (from, to))| TrendAsked {
        report,
        group_by,
        basis: word(Basis::WORDS, basis),
        from,
        to,
        row,
        start: start.flatten().map_or(from, |start| start.max(from)),
        limit: limit as usize,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}

impl TrendAsked {
    /// Gives the question as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "report": self.report,
            "group_by": self.group_by,
            "basis": self.basis,
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "row": self.row.clone().flatten(),
        })
    }
}
