//! The campaigns report: which channels, campaigns and landing pages brought leads, which of them revenue, what each
//! model of attribution credits them with, and what they cost; and the leads behind each of its figures.

use crate::request::{self, CampaignsAsked, CampaignsQuery, Figure, LeadsAsked, LeadsQuery};
use crate::response::Costs;
use crate::walk::{every_lead, find};
use crate::{App, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::condition::TouchField;
use domain::lead::Lead;
use domain::report::{Campaigns, Question, Row};
use domain::sales::Outcome;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Tells which channels, campaigns or landing pages brought leads, and which of them revenue. Roles: marketing, sales, admin.
///
/// `conversion_rate` = won / leads; `win_rate` = won / (won + lost), null where neither; a deal's revenue counts once
/// however many leads share it, in the row of the lead that came first. With `basis=cohort` the leads are those whose
/// first contact lies in the time, and what became of them by now; with `basis=period` those that were won or lost in
/// it. Lost counts leads that were lost or disqualified, with no won deal and nothing opened since.
/// `win_rate_interval` is Wilson's at 95%.
///
/// `models` divides each won deal among the touches of all counted leads that share it, up to its first win: `first_touch`,
/// `last_touch`, `linear`, `u_shaped` (40% first, 40% the one that made the lead, 20% the others), `w_shaped` (30% each for
/// these and the one that made the opportunity, 10% the others), `time_decay` (half-life of 7 days). In every model the
/// credit of a deal adds up to exactly 1, and its money to its amount, to the cent; a deal without a touch before its win is
/// the unnamed row's. `cost` is what the campaigns of the row cost in the time, by their records (`PUT
/// /v1/campaigns/{campaign_id}`); `cost_per_lead` and `cost_per_won` divide it by `leads` and `won`.
///
/// `GET /v1/reports/campaigns/leads` gives the leads behind a figure. A report that takes longer than 20 seconds is
/// answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/campaigns", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(CampaignsQuery),
    responses((status = 200, description = "The rows, most leads first; CSV with `Accept: text/csv`"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn campaigns(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<CampaignsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::campaigns(&query, &zone)?;
    let csv = request::wants_csv(&headers);
    let report = match timely(&app, &asked.to_json(), report(&app, &asked)).await? {
        Ok(report) => report,
        Err(job) => return Ok(response::later(&job)),
    };
    response::answer(&asked, &report, csv)
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &CampaignsAsked) -> Result<Value, StoreError> {
    let now = app.clock.now();
    let costs = costs(app, asked, now).await?;
    let counted = count(app, &asked.question).await?;
    Ok(response::report(asked, counted, costs, now))
}

/// Gives what each row cost. A landing page has no cost of its own; a campaign without a channel stands in the unnamed one.
pub(crate) async fn costs(app: &App, asked: &CampaignsAsked, now: Timestamp) -> Result<Costs, StoreError> {
    let mut costs = Costs::new();
    if asked.question.group_by == TouchField::LandingPage {
        return Ok(costs);
    }
    let zone = TimeZone::get(&asked.tz).unwrap_or(TimeZone::UTC);
    for (id, campaign) in adapters::campaigns::all(app.catalog.as_ref()).await? {
        let spent = campaign.spent(asked.question.from, asked.question.to, &zone, now);
        let row = if asked.question.group_by == TouchField::Campaign { Some(id) } else { campaign.channel };
        for (currency, minor) in spent {
            let sum = costs.entry(row.clone()).or_default().entry(currency).or_default();
            *sum = sum.saturating_add(minor);
        }
    }
    Ok(costs)
}

/// Counts over all leads.
async fn count(app: &App, question: &Question) -> Result<Campaigns, StoreError> {
    let mut report = Campaigns::default();
    every_lead(app, |lead| {
        Row::of(lead).iter().for_each(|row| report.add(question, row));
    })
    .await?;
    Ok(report)
}

/// Gives the leads behind a figure of the campaigns report. Roles: marketing, sales, admin.
///
/// `figure` is `leads`, `won`, `lost` or `open` as in the report, or `credited`: leads with a counted won deal and a touch of
/// the row before it was won (for the unnamed row also those without any touch before), behind what the models credit. A
/// page may hold fewer than `limit` while `next_cursor` leads on, since all leads are looked through.
#[utoipa::path(get, path = "/v1/reports/campaigns/leads", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(LeadsQuery),
    responses((status = 200, description = "The leads, in no order"), (status = 422, description = "Every fault")))]
pub(crate) async fn leads(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<LeadsQuery>,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::leads_behind(&query, &zone)?;
    let shown = |lead: &Lead| Some(response::behind(&Row::of(lead).filter(|row| is_behind(&asked, row))?));
    let (found, next) = find(&app, &asked.place, asked.limit, shown).await?;
    Ok(response::leads_behind(&asked, found, next))
}

fn is_behind(asked: &LeadsAsked, row: &Row) -> bool {
    let question = &asked.report.question;
    let of_row = |name: Option<&str>| asked.row.as_ref().is_none_or(|row| row.as_deref() == name);
    if asked.figure == Figure::Credited {
        return question.deals(row).any(|deal| {
            let mut touches =
                row.touches.iter().map(|(touch, _)| touch).filter(|t| t.at <= deal.first_won).peekable();
            (touches.peek().is_none() && of_row(None))
                || touches.any(|touch| of_row(question.group_by.of(touch)))
        });
    }
    let outcome = match (asked.figure, row.outcome) {
        (Figure::Won, outcome) => matches!(outcome, Outcome::Won(_)),
        (Figure::Lost, outcome) => matches!(outcome, Outcome::Lost(_)),
        (Figure::Open, outcome) => outcome == Outcome::Open,
        (Figure::Leads | Figure::Credited, _) => true,
    };
    outcome && question.counts(row) && of_row(question.group(row))
}
