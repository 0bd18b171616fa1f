//! What nurturing did: of each program the leads that it wrote to against those that it held out, the same by persona and
//! phase, and what became of the mails of each piece of content; and the leads behind the figures of the arms.
//!
//! Programs and personas in phases are counted in one scan of the leads, which know what they were enrolled in. What became of
//! mails stands in the timelines, so these are read, and only of leads that got any.

use crate::content::written;
use crate::request::nurture::{
    GroupBy, NurtureAsked, NurtureFigure, NurtureLeadsAsked, NurtureLeadsQuery, NurtureQuery,
    nurture as read, nurture_leads,
};
use crate::request::wants_csv;
use crate::walk::{Selection, Stand, Story, Study, every_lead, find, page, stand_of, walk};
use crate::{App, Worked, alive, response, timely, version_of};
use adapters::http::auth::MarketingAndSales;
use adapters::http::{Caller, Problem, Query};
use adapters::jobs::Job;
use adapters::ports::StoreError;
use adapters::wire::money_json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::money::{Currency, Money};
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::time::Timestamp;
use learning::effect::{Comparison, Pair};
use learning::mailed::{Asked, Mails, READY_WITHIN_DAYS, Sums};
use learning::measure::{Rate, rounded};
use learning::nurtured::{
    Counter, Effect, Figure, Line, MOST_PROGRAMS, MOST_ROWS, PERCENT, Question, Row, Since, Told, money,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// What the rows of personas and phases are not.
const NO_CLAIM: &str = "Rows of a persona in a phase claim nothing: with so many of them, one of twenty 95 % intervals misses \
                        zero by chance alone.";
/// What the rows of content are not.
const NO_COMPARISON: &str = "These figures describe and prove nothing: to whom a piece was sent was chosen, not drawn by \
                             lot. What nurturing changes is told by program.";

/// The columns of programs as CSV, a line for each figure.
const PROGRAM_COLUMNS: &[(&str, &str)] = &[
    ("program", "/program"),
    ("nurtured_leads", "/nurtured/leads"),
    ("held_out_leads", "/held_out/leads"),
    ("figure", "/effect/figure"),
    ("currency", "/effect/currency"),
    ("nurtured", "/effect/nurtured"),
    ("held_out", "/effect/held_out"),
    ("difference", "/effect/difference"),
    ("low", "/effect/low"),
    ("high", "/effect/high"),
    ("claimed", "/effect/claimed"),
    ("says", "/effect/says"),
];

/// The columns of personas in phases as CSV.
const CELL_COLUMNS: &[(&str, &str)] = &[
    ("program", "/program"),
    ("persona", "/persona"),
    ("phase", "/phase"),
    ("nurtured_leads", "/nurtured/leads"),
    ("held_out_leads", "/held_out/leads"),
    ("nurtured_ready", "/nurtured/ready/hits"),
    ("held_out_ready", "/held_out/ready/hits"),
    ("ready_difference", "/differences/0/difference"),
    ("ready_low", "/differences/0/low"),
    ("ready_high", "/differences/0/high"),
    ("nurtured_won", "/nurtured/won/hits"),
    ("held_out_won", "/held_out/won/hits"),
    ("won_difference", "/differences/1/difference"),
    ("won_low", "/differences/1/low"),
    ("won_high", "/differences/1/high"),
];

/// The columns of content as CSV.
const CONTENT_COLUMNS: &[(&str, &str)] = &[
    ("program", "/program"),
    ("content", "/content"),
    ("sent", "/sent"),
    ("delivered", "/delivered/hits"),
    ("bounced", "/bounced/hits"),
    ("opened", "/opened/hits"),
    ("clicked", "/clicked/hits"),
    ("unsubscribed", "/unsubscribed/hits"),
    ("complained", "/complained/hits"),
    ("judged", "/ready/of"),
    ("ready", "/ready/hits"),
    ("ready_rate", "/ready/rate"),
];

/// Tells what nurturing did: of each program the leads that were nurtured against those that were held out by lot. Roles:
/// marketing, sales, admin.
///
/// Leads count in the arm that they were drawn into, from the day on which they were first eligible (`from`, `to`), whatever
/// came of it: intention to treat. `ready` came from marketing to sales since then, `won` has a deal first won since then, and
/// its `revenue` counts once in a program. `effects` compares each of them: `difference` is nurtured less held out, `low` and
/// `high` its 95 % interval for one look; `claimed` that it shows an effect, by a rule that would claim one where there is
/// none in at most one of twenty programs however often the report is read; `says` puts it in words, or how many leads it
/// would take. Leads that were drawn under different shares (`shares`) are compared share by share.
/// `hours_to_ready` is after how long 10, 25 and 50 percent of an arm were ready, with those still waiting taken into account.
///
/// `group_by=persona_phase` gives both arms by persona and phase as of the day of eligibility, without claims.
/// `group_by=content` gives what became of the mails of each piece, opens and clicks of machines left out, and how many of
/// their leads were ready within 30 days; it compares with nobody. `GET /v1/reports/nurture/leads` gives the leads behind a
/// figure. A report that takes longer than 20 seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/nurture", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(NurtureQuery),
    responses((status = 200, description = "The rows, most leads first; CSV with `Accept: text/csv`, of programs a line for each figure"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn nurture(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<NurtureQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let playbook = app.playbooks.active().await?.playbook;
    let asked = read(&query, &playbook.timezone)?;
    let report = match timely(&app, &asked.to_json(), report(&app, &asked)).await? {
        Ok(report) => report,
        Err(job) => return Ok(response::later(&job)),
    };
    if !wants_csv(&headers) {
        return Ok(response::whole(&report));
    }
    let rows = written::listed(&report, "rows");
    match asked.group_by {
        GroupBy::Program => written::csv(&rows.flat_map(lines).collect::<Vec<_>>(), PROGRAM_COLUMNS),
        GroupBy::PersonaPhase => written::csv(rows, CELL_COLUMNS),
        GroupBy::Content => written::csv(rows, CONTENT_COLUMNS),
    }
}

/// Gives a line for each figure of a program.
fn lines(row: &Value) -> Vec<Value> {
    let line = |effect: &Value| {
        let mut line = row.clone();
        if let Some(map) = line.as_object_mut() {
            map.insert("effect".to_owned(), effect.clone());
        }
        line
    };
    written::listed(row, "effects").map(line).collect()
}

/// Makes the report.
///
/// # Errors
///
/// [`StoreError`].
async fn report(app: &App, asked: &NurtureAsked) -> Result<Value, StoreError> {
    let now = app.clock.now();
    if asked.group_by != GroupBy::Content {
        return compared(app, asked, now).await;
    }
    let active = app.playbooks.active().await?;
    let of = Asked { question: &asked.question, playbook: &active.playbook, now };
    let (mut mails, mut stand) = (Mails::default(), Stand::default());
    while !stand.done {
        for Story { lead, facts, .. } in page(app, &nurtured(&asked.question), &mut stand, now).await? {
            mails.add(&of, &lead, &facts);
        }
    }
    Ok(of_content(asked, &mails, now))
}

/// Works on the report as a job.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<Worked, StoreError> {
    let asked = NurtureAsked::from_json(&job.request);
    let asked = asked.ok_or_else(|| StoreError::Damaged(format!("job {}", job.id())))?;
    let now = job.created_at;
    let report = if asked.group_by == GroupBy::Content {
        let version = version_of(app, job).await?;
        let playbook = app.playbooks.version(version).await?;
        let of = Asked { question: &asked.question, playbook: &playbook, now };
        let mails = job.state.get("mails").and_then(Mails::from_json).unwrap_or_default();
        let mut read = Read { of, mails, version };
        let mut stand = stand_of(&job.state, "walk");
        if !walk(app, job, &nurtured(&asked.question), &mut stand, until, &mut read).await? {
            return Ok(Worked::Onward);
        }
        of_content(&asked, &read.mails, now)
    } else {
        alive(app, job, compared(app, &asked, now)).await?
    };
    app.jobs.finish(job, report).await?;
    Ok(Worked::Done)
}

fn nurtured(question: &Question) -> Selection {
    Selection { nurtured: Some(question.clone()), ..Selection::default() }
}

/// What is counted on the walk of a job.
struct Read<'a> {
    of: Asked<'a>,
    mails: Mails,
    version: u32,
}

impl Study for Read<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        self.mails.add(&self.of, lead, facts);
    }

    fn save(&self, stand: &Stand) -> Value {
        json!({
            "walk": stand, "mails": self.mails.to_json(), "version": self.version,
            "progress": { "leads": stand.leads },
        })
    }
}

/// Compares both arms of each program.
async fn compared(app: &App, asked: &NurtureAsked, now: Timestamp) -> Result<Value, StoreError> {
    let playbook = app.playbooks.active().await?.playbook;
    let mut counter = Counter::new(&asked.question, now);
    every_lead(app, |lead| counter.add(lead)).await?;
    let programs = counter.finish();
    let (mut rows, most): (Vec<Value>, usize) = match asked.group_by {
        GroupBy::PersonaPhase => {
            let rows = programs.iter().flat_map(|(id, told)| told.rows.iter().map(move |row| (id, row)));
            let mut rows: Vec<(&Slug, &Row)> = rows.collect();
            rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.arms.treated.leads + row.arms.control.leads));
            (rows.into_iter().map(|(id, row)| cell(id, row)).collect(), MOST_ROWS)
        }
        _ => (programs.iter().map(|(id, told)| program(&playbook, id, told)).collect(), MOST_PROGRAMS),
    };
    let left_out = rows.len().saturating_sub(most);
    rows.truncate(most);
    let caution = (asked.group_by == GroupBy::PersonaPhase).then_some(NO_CLAIM);
    Ok(whole(asked, rows, json!({ "as_of": now.to_string(), "rows_left_out": left_out, "caution": caution })))
}

fn whole(asked: &NurtureAsked, rows: Vec<Value>, more: Value) -> Value {
    let mut report = asked.to_json();
    if let (Some(map), Value::Object(more)) = (report.as_object_mut(), more) {
        map.extend(more);
        map.insert("rows".to_owned(), rows.into());
    }
    report
}

fn of_content(asked: &NurtureAsked, mails: &Mails, now: Timestamp) -> Value {
    let row = |(program, content, sums): (&Slug, &Slug, &Sums)| {
        let mut row = sums.to_json();
        row.insert("program".to_owned(), program.as_str().into());
        row.insert("content".to_owned(), content.as_str().into());
        Value::Object(row)
    };
    let rows = mails.rows().into_iter().map(row).collect();
    let others = mails.others().map(Sums::to_json);
    let more = json!({
        "as_of": now.to_string(), "others": others, "ready_within_days": READY_WITHIN_DAYS, "caution": NO_COMPARISON,
    });
    whole(asked, rows, more)
}

fn program(playbook: &Playbook, id: &Slug, told: &Told) -> Value {
    let shares = told.shares.iter().map(|(share, pair)| {
        json!({ "holdout_percent": share, "nurtured": pair.treated, "held_out": pair.control })
    });
    json!({
        "program": id.as_str(),
        "title": playbook.program(id.as_str()).map(|program| &program.title),
        "leads": told.arms.treated.leads + told.arms.control.leads,
        "nurtured": with_hours(&told.arms.treated),
        "held_out": with_hours(&told.arms.control),
        "shares": shares.collect::<Vec<_>>(),
        "effects": told.effects.iter().map(|effect| effect_json(effect, &told.arms)).collect::<Vec<_>>(),
    })
}

fn cell(id: &Slug, row: &Row) -> Value {
    let figures = ["ready", "won"].into_iter().zip(row.compared);
    let differences = figures.map(|(figure, compared)| {
        let mut shown = compared.map(|comparison| shares(&comparison)).unwrap_or_default();
        shown.insert("figure".to_owned(), figure.into());
        Value::Object(shown)
    });
    json!({
        "program": id.as_str(),
        "persona": row.cell.persona.as_ref().map(Slug::as_str),
        "phase": row.cell.phase.map(Phase::as_str),
        "leads": row.arms.treated.leads + row.arms.control.leads,
        "nurtured": arm(&row.arms.treated),
        "held_out": arm(&row.arms.control),
        "differences": differences.collect::<Vec<_>>(),
    })
}

fn arm(line: &Line) -> Map<String, Value> {
    let rate = |hits: u64| Rate { hits, of: line.leads }.to_json();
    let sum = |(currency, minor): (&Currency, &i128)| {
        let minor = i64::try_from(*minor).unwrap_or(if *minor < 0 { i64::MIN } else { i64::MAX });
        money_json(&Money { minor, currency: *currency })
    };
    [
        ("leads", line.leads.into()),
        ("ready", rate(line.ready)),
        ("won", rate(line.won)),
        ("revenue", line.revenue.iter().map(sum).collect()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

fn with_hours(line: &Line) -> Value {
    let hours = PERCENT.into_iter().zip(line.hours_to_ready).map(|(percent, reached)| {
        json!({ "percent": percent, "hours": reached.hours, "low": reached.low, "high": reached.high })
    });
    let mut shown = arm(line);
    shown.insert("hours_to_ready".to_owned(), hours.collect());
    shown.insert("followed_hours".to_owned(), json!({ "median": line.followed_hours }));
    Value::Object(shown)
}

/// Gives shares compared.
fn shares(comparison: &Comparison) -> Map<String, Value> {
    let shown = |value: f64| json!(rounded(value));
    numbers(comparison, shown)
}

fn numbers(comparison: &Comparison, shown: impl Fn(f64) -> Value) -> Map<String, Value> {
    let interval = comparison.interval();
    [
        ("nurtured", comparison.treated.value),
        ("held_out", comparison.control.value),
        ("difference", comparison.difference()),
        ("low", interval.low),
        ("high", interval.high),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), shown(value)))
    .collect()
}

fn effect_json(effect: &Effect, arms: &Pair<Line>) -> Value {
    let mut shown = match (effect.comparison, effect.figure) {
        (None, _) => Map::new(),
        (Some(comparison), Figure::Ready | Figure::Won) => shares(&comparison),
        (Some(comparison), Figure::Revenue(currency)) => {
            numbers(&comparison, |value| money(value, currency).to_string().into())
        }
    };
    if let Figure::Revenue(currency) = effect.figure {
        shown.insert("currency".to_owned(), currency.as_str().into());
    }
    let needed =
        effect.leads_needed.map(|(nurtured, held_out)| json!({ "nurtured": nurtured, "held_out": held_out }));
    shown.insert("figure".to_owned(), effect.figure.as_str().into());
    shown.insert("claimed".to_owned(), effect.claimed.into());
    shown.insert("leads_needed".to_owned(), json!(needed));
    shown.insert("says".to_owned(), effect.says(arms).into());
    Value::Object(shown)
}

/// Gives the leads behind a figure of the nurture report. Roles: marketing, sales, admin.
///
/// `figure` is `leads`, `ready` or `won` as in the report, of the `program`, and of the `arm`, `persona` and `phase` that are
/// given. A page may hold fewer than `limit` while `next_cursor` leads on, since all leads are looked through.
#[utoipa::path(get, path = "/v1/reports/nurture/leads", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(NurtureLeadsQuery),
    responses((status = 200, description = "The leads with what became of them, in no order"), (status = 422, description = "Every fault")))]
pub(crate) async fn leads(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<NurtureLeadsQuery>,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = nurture_leads(&query, &zone)?;
    let (found, next) = find(&app, &asked.place, asked.limit, |lead| behind(&asked, lead)).await?;
    let mut answer = asked.report.to_json();
    if let Some(map) = answer.as_object_mut() {
        map.remove("group_by");
        map.insert("figure".to_owned(), asked.figure_word.into());
        map.insert("arm".to_owned(), json!(asked.side.map(learning::nurtured::Side::as_str)));
        map.insert("items".to_owned(), found.into());
        map.insert("next_cursor".to_owned(), json!(next.map(|place| place.to_string())));
    }
    Ok(response::whole(&answer))
}

/// Gives a lead with what became of it, where it stands behind the figure.
fn behind(asked: &NurtureLeadsAsked, lead: &Lead) -> Option<Value> {
    let eligible = asked.report.question.eligible(lead).next()?;
    let since = Since::of(lead, eligible.at);
    let is_meant = asked.side.is_none_or(|side| side == eligible.side)
        && asked.persona.as_ref().is_none_or(|persona| *persona == eligible.cell.persona)
        && asked.phase.is_none_or(|phase| phase == eligible.cell.phase)
        && match asked.figure {
            NurtureFigure::Leads => true,
            NurtureFigure::Ready => since.ready.is_some(),
            NurtureFigure::Won => !since.won.is_empty(),
        };
    is_meant.then(|| {
        json!({
            "lead_id": lead.id.as_str(),
            "arm": eligible.side.as_str(),
            "eligible_at": eligible.at.to_string(),
            "persona": eligible.cell.persona.as_ref().map(Slug::as_str),
            "phase": eligible.cell.phase.map(Phase::as_str),
            "ready_at": since.ready.map(|at| at.to_string()),
            "won_deals": since.won.iter().map(response::won_deal).collect::<Vec<_>>(),
        })
    })
}
