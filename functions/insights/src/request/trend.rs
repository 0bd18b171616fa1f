//! What is asked of the figures that were kept day by day.

use super::chosen;
use adapters::http::Problem;
use domain::fault::Faults;
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
    /// `period` (what happened on each day) unless said, or `cohort` (all leads as they stood after it); of personas and
    /// content there is `cohort` only.
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
    /// Whose figures, such as `funnel`.
    pub report: &'static str,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The basis.
    pub basis: Basis,
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

/// Reads the query of a report that is kept by these groups and in these bases, the usual ones first; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn trend<G: Copy>(
    report: &'static str,
    groups: &'static [(&'static str, G)],
    bases: &'static [(&'static str, Basis)],
    query: &TrendQuery,
    today: Day,
) -> Result<TrendAsked, Problem> {
    let faults = Faults::new();
    let (group_by, _) = chosen("group_by", groups, &query.group_by, &faults);
    let (_, basis) = chosen("basis", bases, &query.basis, &faults);
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
        basis,
        from,
        to,
        row,
        start: start.flatten().map_or(from, |start| start.max(from)),
        limit: limit as usize,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}

impl TrendAsked {
    /// Gives the day after the last one of this page.
    #[must_use]
    pub fn end(&self) -> Day {
        self.start.plus(i32::try_from(self.limit).unwrap_or(i32::MAX)).min(self.to)
    }

    /// Gives the days of this page.
    pub fn page(&self) -> impl Iterator<Item = Day> {
        let end = self.end();
        std::iter::successors(Some(self.start), |day| Some(day.plus(1))).take_while(move |day| *day < end)
    }

    /// Gives the day with which the next page begins, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<Day> {
        Some(self.end()).filter(|end| *end < self.to)
    }

    /// Gives the question as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "report": self.report,
            "group_by": self.group_by,
            "basis": self.basis.as_str(),
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "row": self.row.clone().flatten(),
        })
    }
}
