//! The campaigns report: which channels, campaigns and landing pages brought leads, which of them revenue, what each
//! model of attribution credits them with, and what they cost; and the leads behind each of its figures.

use crate::request::{self, CampaignsAsked, CampaignsQuery, Figure, LeadsAsked, LeadsQuery};
use crate::walk::{every_lead, find};
use crate::{App, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::campaign::Campaign;
use domain::condition::TouchField;
use domain::lead::Lead;
use domain::member::{Tally, counted};
use domain::report::{Campaigns, Question, Row};
use domain::sales::Outcome;
use domain::stage::Stage;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tells which channels, campaigns or landing pages brought leads, and which of them revenue. Roles: marketing, sales, admin.
///
/// `qualified` are leads that were handed to sales or came further, `accepted` those that sales took or that came further.
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
/// With `group_by=campaign` a row also has the members of its campaign by the furthest `status` that they came to, and how many of
/// them `responded`: with `basis=cohort` of those who became members in the time, with `basis=period` of those who came to their
/// status in it.
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
    let declared = adapters::campaigns::all(app.catalog.as_ref()).await?;
    let mut counted = Counted::default();
    every_lead(app, |lead| counted.add(&asked.question, &declared, lead)).await?;
    Ok(response::report(asked, counted, &declared, now))
}

/// What is counted of all leads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// Leads and their deals.
    pub(crate) campaigns: Campaigns,
    /// Members of campaigns.
    pub(crate) members: Tally,
}

impl Counted {
    /// Counts a lead or a contact.
    pub(crate) fn add(&mut self, question: &Question, declared: &BTreeMap<String, Campaign>, lead: &Lead) {
        Row::of(lead).iter().for_each(|row| self.campaigns.add(question, row));
        self.members_of(question, declared, lead);
    }

    /// Counts in which campaigns it is a member of which status: in a report by campaign, since these are theirs.
    pub(crate) fn members_of(
        &mut self,
        question: &Question,
        declared: &BTreeMap<String, Campaign>,
        lead: &Lead,
    ) {
        if question.group_by == TouchField::Campaign {
            self.members.add(question, declared, lead);
        }
    }
}

/// Gives the leads behind a figure of the campaigns report. Roles: marketing, sales, admin.
///
/// `figure` is `leads`, `qualified`, `accepted`, `won`, `lost` or `open` as in the report, `members` of the campaign that `row` names
/// (of one `status`, or of any), or `credited`: leads with a counted won deal and a touch of
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
    let declared = match asked.figure {
        Figure::Members => adapters::campaigns::all(app.catalog.as_ref()).await?,
        _ => BTreeMap::new(),
    };
    let shown = |lead: &Lead| match asked.figure {
        Figure::Members => member(&asked, &declared, lead),
        _ => Some(response::behind(&Row::of(lead).filter(|row| is_behind(&asked, row))?)),
    };
    let (found, next) = find(&app, &asked.place, asked.limit, shown).await?;
    Ok(response::leads_behind(&asked, found, next))
}

/// Gives a member of the row's campaign, where it has the status that is asked for.
fn member(asked: &LeadsAsked, declared: &BTreeMap<String, Campaign>, lead: &Lead) -> Option<Value> {
    let id = asked.row.as_ref()?.as_deref()?;
    let campaign = declared.get(id)?;
    let status = counted(&asked.report.question, lead, id, campaign)?;
    let wanted = asked.status.as_ref().is_none_or(|wanted| *wanted == status.name);
    wanted.then(|| response::member(lead, id, status))
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
        (Figure::Qualified, _) => row.reached(Stage::MarketingQualified),
        (Figure::Accepted, _) => row.reached(Stage::SalesAccepted),
        // Members are looked for otherwise, since contacts are among them.
        (Figure::Leads | Figure::Credited | Figure::Members, _) => true,
    };
    outcome && question.counts(row) && of_row(question.group(row))
}
