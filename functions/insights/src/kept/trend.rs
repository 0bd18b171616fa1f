//! How a report went over days: what was kept of each, read and not counted again.
//!
//! Every report that is kept has its route, since API Gateway knows a path by its words; behind them is one function. A page
//! of days is one query for each month that it touches, since the ids of what is kept of a month begin alike.

use super::campaigns::Touched;
use super::content::Did;
use super::funnel::Funnels;
use super::name;
use super::personas::Mirrored;
use super::promises::Promised;
use crate::request::{self, TrendAsked, TrendQuery};
use crate::{App, in_time, response};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::{CatalogKind, Record, StoreError};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::report::Basis;
use domain::time::Day;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many months are read beside each other.
const BESIDE: usize = 4;

/// Lines of cells, the head first.
pub type Table = Vec<Vec<String>>;

/// A report that is kept by date: in which words it is asked for, and how a day of it is shown.
pub trait Trend {
    /// What rows stand for.
    type GroupBy: Copy + 'static;
    /// Whose figures.
    const REPORT: &'static str;
    /// The words for what rows stand for, the usual one first.
    const GROUPS: &'static [(&'static str, Self::GroupBy)];
    /// The words for the bases; what happened day by day is what a trend is asked for, where that is kept.
    const BASES: &'static [(&'static str, Basis)] = &[("period", Basis::Period), ("cohort", Basis::Cohort)];

    /// Shows what was kept of a day, of one row where one is meant; none where it is damaged.
    fn shown(asked: &TrendAsked, kept: Value) -> Option<Value>;

    /// Shows days, which were shown, as a table whose first column is the day; none where it cannot be made.
    fn table(asked: &TrendAsked, days: &[Value]) -> Option<Table>;
}

/// Leaves of the list at a place the row that is meant, where one is: by the field with its name.
pub(super) fn only(asked: &TrendAsked, day: &mut Value, at: &str, field: &str) {
    if let (Some(rows), Some(name)) = (day.pointer_mut(at).and_then(Value::as_array_mut), &asked.row) {
        rows.retain(|row| row.get(field).and_then(Value::as_str) == name.as_deref());
    }
}

/// Says of which day something is.
pub(super) fn of_day(day: &str, mut body: Value) -> Value {
    if let Some(map) = body.as_object_mut() {
        map.insert("day".to_owned(), day.into());
    }
    body
}

/// Puts the tables of days, whose heads are alike, under each other, with the day before each line.
pub(super) fn dated(days: &[Value], table: impl Fn(&Value) -> Option<Table>) -> Option<Table> {
    let mut whole = Table::new();
    for day in days {
        let name = day.get("day")?.as_str()?;
        let (head, lines) = (std::iter::once("day"), std::iter::repeat(name));
        let lines = head.chain(lines).zip(table(day)?).skip(usize::from(!whole.is_empty()));
        whole.extend(lines.map(|(day, line)| std::iter::once(day.to_owned()).chain(line).collect()));
    }
    Some(whole)
}

/// Gives the funnel of each day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// With `basis=period` a day's figures are what happened on it, with `basis=cohort` how all leads stood when it was counted
/// (`as_of`). Days are those of the playbook's time zone. Of each day the 25 rows with most leads are kept, the others counted
/// together, for three years. A day that was not counted is not counted later: `missing` names it.
#[utoipa::path(get, path = "/v1/reports/funnel/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn funnel(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trend::<Funnels>(&app, &query, &headers).await
}

/// Gives the campaigns report of each day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// With `basis=period` a day's figures are the leads that were won or lost on it, with `basis=cohort` how all leads stood when
/// it was counted (`as_of`). Days are those of the playbook's time zone. Of each day the 25 rows with most leads are kept, for
/// three years; `rows_left_out` tells how many there were besides. A day that was not counted is not counted later: `missing`
/// names it.
#[utoipa::path(get, path = "/v1/reports/campaigns/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn campaigns(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trend::<Touched>(&app, &query, &headers).await
}

/// Gives how both sides kept their promises, day by day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// Rows are sales' side by `group_by` `territory` (unless said) or `person`: with `basis=period` the hand-offs of the day, many of
/// which nobody can judge that soon, with `basis=cohort` all hand-offs as they stood (`as_of`), so that the difference of two
/// days is what was kept and broken between them. Of each of marketing's promises the latest two weeks are kept, with
/// `basis=cohort`, since no day has a week. Of each day the 25 rows with most promises are kept, for three years, and not who
/// waited longest; `rows_left_out` tells how many there were besides. A day that was not counted is not counted later:
/// `missing` names it.
#[utoipa::path(get, path = "/v1/reports/promises/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn promises(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trend::<Promised>(&app, &query, &headers).await
}

/// Gives how many leads mirrored each persona, day by day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// All leads as they stood when they were counted (`as_of`), evaluated with the playbook that was active then: `basis=cohort`
/// and `group_by=persona`, and nothing else. Of each day the 25 personas that most mirror are kept, for three years;
/// `rows_left_out` tells how many there were besides. A day that was not counted is not counted later: `missing` names it.
#[utoipa::path(get, path = "/v1/reports/personas/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn personas(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trend::<Mirrored>(&app, &query, &headers).await
}

/// Gives what each piece of content had done by each day, as it was counted in the night after. Roles: marketing, sales, admin.
///
/// Of all leads who ever had a piece, as they stood when they were counted (`as_of`): `basis=cohort` and `group_by=content`, and
/// nothing else. Of each day the 25 pieces that most leads had are kept, for three years, each over all personas and phases;
/// `rows_left_out` tells how many there were besides. A day that was not counted is not counted later: `missing` names it.
#[utoipa::path(get, path = "/v1/reports/content/trend", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(TrendQuery),
    responses((status = 200, description = "The days in order; CSV with `Accept: text/csv`"),
        (status = 422, description = "Every fault")))]
pub(crate) async fn content(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<TrendQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    trend::<Did>(&app, &query, &headers).await
}

/// Answers with the days of a report.
async fn trend<T: Trend>(app: &App, query: &TrendQuery, headers: &HeaderMap) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let today = app.clock.now().day_in(&zone);
    let asked = request::trend(T::REPORT, T::GROUPS, T::BASES, query, today)?;
    let kept = in_time(app, read(app, &asked)).await?;
    let ended = asked.page().filter(|day| *day < today);
    let missing: Vec<String> =
        ended.filter(|day| !kept.contains_key(day)).map(|day| day.to_string()).collect();
    let shown = kept.into_iter().map(|(day, body)| Some(of_day(&day.to_string(), T::shown(&asked, body)?)));
    let days: Vec<Value> = shown.collect::<Option<_>>().ok_or_else(Problem::internal)?;
    if request::wants_csv(headers) {
        return T::table(&asked, &days).and_then(response::csv).ok_or_else(Problem::internal);
    }
    let mut answer = asked.to_json();
    if let Some(map) = answer.as_object_mut() {
        map.insert("items".to_owned(), days.into());
        map.insert("missing".to_owned(), missing.into());
        map.insert("next_cursor".to_owned(), json!(asked.next().map(|day| day.to_string())));
    }
    Ok(response::whole(&answer))
}

/// Reads what was kept of the days of a page: a query for each month, beside each other.
async fn read(app: &App, asked: &TrendAsked) -> Result<BTreeMap<Day, Value>, StoreError> {
    let name = name(asked.report, asked.group_by, asked.basis);
    let month = |day: Day| Some(format!("{name}{}-", day.to_string().rsplit_once('-')?.0));
    let mut months: Vec<String> = asked.page().filter_map(month).collect();
    months.dedup();
    let months = futures::stream::iter(months.into_iter().map(|month| month_of(app, month))).buffered(BESIDE);
    let records: Vec<Vec<Record>> = months.try_collect().await?;
    let kept = records.into_iter().flatten().filter_map(|record| {
        let day = Day::parse(record.id.rsplit_once('#')?.1)?;
        (asked.start..asked.end()).contains(&day).then_some((day, record.body))
    });
    Ok(kept.collect())
}

async fn month_of(app: &App, month: String) -> Result<Vec<Record>, StoreError> {
    let (mut records, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.catalog.list_under(CatalogKind::Report, &month, 100, cursor.as_deref()).await?;
        records.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(records);
        }
    }
}
