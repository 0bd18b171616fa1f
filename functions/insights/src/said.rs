//! What customers said about the marketing: how often they liked it, by campaign or by content, and the latest of their words.
//!
//! It is counted on a walk over all timelines, which are the only place where the words are. What was counted is kept short
//! ([`domain::said`]), since a long report is a job; and a job lives for a week, while a word may be withdrawn and a lead
//! erased in a moment. So whenever a report is shown, quotes are left out whose lead is gone or that do not stand any more.

use crate::request::said::{SaidQuery, question, said as read};
use crate::request::wants_csv;
use crate::walk::{Selection, Stand, Story, Study, page, stand_of, walk};
use crate::{App, response, timely};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::Job;
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::funnel::Group;
use domain::identity::{LeadId, Slug};
use domain::said::{Line, Question, Quote, SENTIMENTS, Said};
use domain::sales::DeliveryId;
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Tells what customers said about the marketing, as sales heard it: how often it was positive, neutral, negative or unrated,
/// by the campaign or the content that it was about, and the latest three quotes of each. Roles: marketing, sales, admin.
///
/// Each word counts once, by when it was said; what was withdrawn does not count. A quote is the first 200 characters in one
/// line, with the lead whose dossier has all of it. Names are as they were typed, letter by letter; what was about nothing
/// named stands in the row without a name. 80 names are told apart, all others are counted together (`"others": true`).
/// A report that takes longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/marketing-feedback", tag = "reports",
    security(("token" = ["marketing", "sales"])), params(SaidQuery),
    responses((status = 200, description = "The rows, of which most was said first; CSV with `Accept: text/csv`, a line for each row with its latest quote"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn marketing_feedback(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<SaidQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = read(&query, &zone)?;
    let found = match timely(&app, &asked, report(&app, &asked)).await? {
        Ok(found) => found,
        Err(job) => return Ok(response::later(&job)),
    };
    let mut said = said_from(&found).ok_or_else(Problem::internal)?;
    standing(&app, &mut said).await?;
    let (group_by, _) = question(&asked).ok_or_else(Problem::internal)?;
    let total = line(&said.total());
    let rows = said.finish();
    if wants_csv(&headers) {
        return response::csv(table(group_by, &rows)).ok_or_else(Problem::internal);
    }
    let mut report = asked;
    if let Some(map) = report.as_object_mut() {
        map.insert("as_of".to_owned(), found.get("as_of").cloned().unwrap_or_default());
        map.insert("total".to_owned(), total.into());
        map.insert("rows".to_owned(), rows.iter().map(|(group, line)| row(group_by, group, line)).collect());
    }
    Ok(response::whole(&report))
}

fn damaged(asked: &Value) -> StoreError {
    StoreError::Damaged(format!("the question {asked}"))
}

/// Counts, while somebody waits; in the form in which a job keeps it.
async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let (_, question) = question(asked).ok_or_else(|| damaged(asked))?;
    let (mut said, mut stand, now) = (Said::default(), Stand::default(), app.clock.now());
    while !stand.done {
        for Story { lead, facts, .. } in page(app, &Selection::default(), &mut stand, now).await? {
            said.add(&question, &lead, &facts);
        }
    }
    Ok(json!({ "said": said_json(&said), "as_of": now.to_string() }))
}

/// What is counted on the walk of a job.
struct Heard {
    question: Question,
    said: Said,
}

impl Study for Heard {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.said.add(&self.question, lead, facts);
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({ "walk": stand, "said": said_json(&self.said), "progress": { "leads": stand.leads } })
    }
}

/// Works on the report as a job; `false` where time is over before its end.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<bool, StoreError> {
    let (_, question) = question(&job.request).ok_or_else(|| damaged(&job.request))?;
    let mut heard = Heard { question, said: said_from(&job.state).unwrap_or_default() };
    let mut stand = stand_of(&job.state, "walk");
    if !walk(app, job, &Selection::default(), &mut stand, until, &mut heard).await? {
        return Ok(false);
    }
    let report = json!({ "said": said_json(&heard.said), "as_of": job.created_at.to_string() });
    app.jobs.finish(job, report).await?;
    Ok(true)
}

/// Leaves out the quotes whose lead is gone, or that were withdrawn since they were counted.
async fn standing(app: &App, said: &mut Said) -> Result<(), StoreError> {
    let mut ids: Vec<LeadId> =
        said.0.values().flat_map(|line| &line.quotes).map(|quote| quote.lead.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let withdrawn: BTreeMap<LeadId, Vec<DeliveryId>> =
        app.leads.load(&ids).await?.into_iter().map(|lead| (lead.id, lead.withdrawn)).collect();
    for line in said.0.values_mut() {
        line.quotes
            .retain(|quote| withdrawn.get(&quote.lead).is_some_and(|facts| !facts.contains(&quote.fact)));
    }
    Ok(())
}

/// Writes down what was counted, as a job keeps it.
fn said_json(said: &Said) -> Value {
    let quote = |quote: &Quote| {
        json!([
            quote.at.millis(),
            quote.fact.to_string(),
            quote.lead.as_str(),
            quote.sentiment,
            quote.words,
            quote.by.as_ref().map(Slug::as_str),
        ])
    };
    let rows = said.0.iter().map(|(group, line)| {
        let name = match group {
            Group::Of(name) => json!(name),
            Group::Others => json!(false),
        };
        json!([name, line.rated, line.unrated, line.quotes.iter().map(quote).collect::<Vec<_>>()])
    });
    rows.collect()
}

/// Reads what was written down.
fn said_from(state: &Value) -> Option<Said> {
    let quote = |quote: &Value| {
        let text = |place: usize| quote.get(place).and_then(Value::as_str);
        Some(Quote {
            at: Timestamp::from_millis(quote.get(0)?.as_i64()?),
            fact: DeliveryId::parse(text(1)?)?,
            lead: LeadId::parse(text(2)?).ok()?,
            sentiment: text(3).map(str::to_owned),
            words: text(4)?.to_owned(),
            by: text(5).and_then(|by| Slug::parse(by).ok()),
        })
    };
    let row = |row: &Value| {
        let group = match row.get(0)? {
            Value::Bool(_) => Group::Others,
            name => Group::Of(name.as_str().map(str::to_owned)),
        };
        let rated: Vec<u64> = row.get(1)?.as_array()?.iter().filter_map(Value::as_u64).collect();
        let quotes: Option<Vec<Quote>> = row.get(3)?.as_array()?.iter().map(quote).collect();
        Some((group, Line { rated: rated.try_into().ok()?, unrated: row.get(2)?.as_u64()?, quotes: quotes? }))
    };
    let rows: Option<BTreeMap<Group, Line>> = state.get("said")?.as_array()?.iter().map(row).collect();
    rows.map(Said)
}

/// Shows the counts of a line.
fn line(line: &Line) -> Map<String, Value> {
    let rated = SENTIMENTS.iter().zip(line.rated).map(|(word, n)| ((*word).to_owned(), n.into()));
    let whole = ("said".to_owned(), line.said().into());
    std::iter::once(whole).chain(rated).chain([("unrated".to_owned(), line.unrated.into())]).collect()
}

fn row(group_by: &str, group: &Group, counted: &Line) -> Value {
    let mut row = Map::new();
    match group {
        Group::Of(name) => row.insert(group_by.to_owned(), json!(name)),
        Group::Others => {
            row.insert(group_by.to_owned(), Value::Null);
            row.insert("others".to_owned(), true.into())
        }
    };
    row.extend(line(counted));
    let quote = |quote: &Quote| {
        json!({
            "lead_id": quote.lead.as_str(),
            "fact_id": quote.fact.to_string(),
            "said_at": quote.at.to_string(),
            "sentiment": quote.sentiment,
            "quote": quote.words,
            "heard_by": quote.by.as_ref().map(Slug::as_str),
        })
    };
    row.insert("quotes".to_owned(), counted.quotes.iter().map(quote).collect());
    row.into()
}

/// Gives the rows as a table, the head first.
fn table(group_by: &str, rows: &[(Group, Line)]) -> Vec<Vec<String>> {
    let latest = ["latest_quote", "latest_said_at", "latest_sentiment", "latest_lead_id"];
    let head = [group_by, "said"].into_iter().chain(SENTIMENTS).chain(["unrated"]).chain(latest);
    let mut table = vec![head.map(str::to_owned).collect::<Vec<String>>()];
    for (group, line) in rows {
        let name = match group {
            Group::Of(name) => name.as_deref().unwrap_or_default(),
            Group::Others => "(others)",
        };
        let numbers = [line.said()].into_iter().chain(line.rated).chain([line.unrated]);
        let mut cells = vec![harmless_cell(name).into_owned()];
        cells.extend(numbers.map(|n| n.to_string()));
        cells.extend(line.quotes.first().map_or_else(Default::default, |quote| {
            [
                harmless_cell(&quote.words).into_owned(),
                quote.at.to_string(),
                quote.sentiment.clone().unwrap_or_default(),
                quote.lead.to_string(),
            ]
        }));
        table.push(cells);
    }
    table
}
