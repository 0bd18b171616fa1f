//! What reports and suggestions answer.

use crate::campaigns::Counted;
use crate::request::{CampaignsAsked, LeadsAsked, Place, SegmentsAsked};
use adapters::http::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::attribution::{CREDIT, Model};
use domain::campaign::{Campaign, Status, each};
use domain::condition::TouchField;
use domain::lead::Lead;
use domain::money::{Currency, Money};
use domain::report::{Credit, Line, Row, WonDeal};
use domain::sales::Outcome;
use domain::score::Part;
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use learning::characteristics::{Characteristics, Leak, Trait};
use learning::measure::{rounded, wilson};
use learning::suggest::Card;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What each row cost, by currency in minor units.
type Costs = BTreeMap<Option<String>, BTreeMap<Currency, i64>>;

/// Gives what each row cost. A landing page has no cost of its own; a campaign without a channel stands in the unnamed one.
fn costs(asked: &CampaignsAsked, declared: &BTreeMap<String, Campaign>, now: Timestamp) -> Costs {
    let mut costs = Costs::new();
    if asked.question.group_by == TouchField::LandingPage {
        return costs;
    }
    let zone = TimeZone::get(&asked.tz).unwrap_or(TimeZone::UTC);
    for (id, campaign) in declared {
        let spent = campaign.spent(asked.question.from, asked.question.to, &zone, now);
        let by_campaign = asked.question.group_by == TouchField::Campaign;
        let row = if by_campaign { Some(id.clone()) } else { campaign.channel.clone() };
        for (currency, minor) in spent {
            let sum = costs.entry(row.clone()).or_default().entry(currency).or_default();
            *sum = sum.saturating_add(minor);
        }
    }
    costs
}

pub use adapters::http::page;

#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
pub(crate) fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Gives the whole report as JSON.
pub(crate) fn report(
    asked: &CampaignsAsked,
    counted: Counted,
    declared: &BTreeMap<String, Campaign>,
    now: Timestamp,
) -> Value {
    let mut costs = costs(asked, declared, now);
    let Counted { campaigns, members } = counted;
    let mut lines = campaigns.finish(&asked.question);
    // What cost money and brought nobody is a row too, and so is what has members who did not respond.
    for name in costs.keys().cloned().chain(members.0.keys().cloned().map(Some)) {
        lines.entry(name).or_default();
    }
    let mut lines: Vec<(Option<String>, Line)> = lines.into_iter().collect();
    lines.sort_by(|(a_name, a), (b_name, b)| b.leads.cmp(&a.leads).then_with(|| a_name.cmp(b_name)));
    let rows: Vec<Value> = lines
        .iter()
        .map(|(name, line)| {
            let cost = costs.remove(name).unwrap_or_default();
            let mut row = row(asked.group_by, name.as_deref(), line, &cost);
            if asked.question.group_by == TouchField::Campaign {
                let id = name.as_deref().unwrap_or_default();
                row.extend(members_of(members.0.get(id), declared.get(id)));
            }
            row.into()
        })
        .collect();
    let mut report = asked.to_json();
    if let Some(map) = report.as_object_mut() {
        map.insert("as_of".to_owned(), now.to_string().into());
        map.insert("rows".to_owned(), rows.into());
    }
    report
}

fn sums(sums: &BTreeMap<Currency, i64>) -> Value {
    let money = |(currency, minor): (&Currency, &i64)| Money { minor: *minor, currency: *currency };
    sums.iter().map(|sum| adapters::wire::money_json(&money(sum))).collect()
}

fn row(
    group_by: &str,
    name: Option<&str>,
    line: &Line,
    cost: &BTreeMap<Currency, i64>,
) -> Map<String, Value> {
    let ended = line.won + line.lost;
    let interval = interval(line.won, ended);
    let per = |count: u64| -> Value {
        let money =
            |(currency, minor): (&Currency, &i64)| each(Money { minor: *minor, currency: *currency }, count);
        cost.iter().filter_map(money).map(|money| adapters::wire::money_json(&money)).collect()
    };
    let nothing = Credit::default();
    let models = Model::WORDS.iter().map(|(word, model)| {
        let credit = line.models.get(model).unwrap_or(&nothing);
        ((*word).to_owned(), json!({ "deals": deals(credit.deals), "revenue": sums(&credit.revenue) }))
    });
    let mut row = Map::new();
    row.insert(group_by.to_owned(), json!(name));
    row.insert("leads".to_owned(), line.leads.into());
    row.insert("qualified".to_owned(), line.qualified.into());
    row.insert("accepted".to_owned(), line.accepted.into());
    row.insert("won".to_owned(), line.won.into());
    row.insert("lost".to_owned(), line.lost.into());
    row.insert("open".to_owned(), line.open.into());
    row.insert("conversion_rate".to_owned(), json!(rate(line.won, line.leads)));
    row.insert("win_rate".to_owned(), json!(rate(line.won, ended)));
    row.insert("win_rate_interval".to_owned(), interval);
    row.insert("revenue".to_owned(), sums(&line.revenue));
    row.insert("models".to_owned(), models.collect::<Map<_, _>>().into());
    row.insert("cost".to_owned(), sums(cost));
    row.insert("cost_per_lead".to_owned(), per(line.leads));
    row.insert("cost_per_won".to_owned(), per(line.won));
    row
}

/// Gives the members of a campaign by the statuses that it declares, in their order.
fn members_of(counts: Option<&BTreeMap<String, u64>>, campaign: Option<&Campaign>) -> Map<String, Value> {
    let of = |status: &Status| counts.and_then(|counts| counts.get(&status.name)).copied().unwrap_or(0);
    let statuses = campaign.map(|campaign| campaign.statuses.as_slice()).unwrap_or_default();
    let all: u64 = statuses.iter().map(of).sum();
    let responded: u64 = statuses.iter().filter(|status| status.responded).map(of).sum();
    let shown = statuses
        .iter()
        .map(|status| json!({ "status": status.name, "responded": status.responded, "leads": of(status) }));
    let shown: Vec<Value> = shown.collect();
    [("members", json!(all)), ("responded", json!(responded)), ("statuses", shown.into())]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Gives a member of a campaign.
pub(crate) fn member(lead: &Lead, campaign: &str, status: &Status) -> Value {
    json!({
        "lead_id": lead.id.as_str(),
        "responded_at": lead.responded_at.map(|at| at.to_string()),
        "status": status.name,
        "status_at": lead.members.0.get(campaign).and_then(|told| told.get(&status.name)).map(ToString::to_string),
        "member_since": lead.members.since(campaign).map(|at| at.to_string()),
    })
}

#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
pub(crate) fn interval(won: u64, ended: u64) -> Value {
    let interval = wilson(won as f64, ended as f64);
    json!(interval.map(|i| json!({ "low": rounded(i.low), "high": rounded(i.high) })))
}

/// Gives credit in deals. A double has the digits for a thousand million deals in millionths, and shows no more than these.
#[allow(clippy::cast_precision_loss, reason = "credits of fewer than 2^53 millionths")]
fn deals(credit: i64) -> f64 {
    credit as f64 / CREDIT as f64
}

/// Gives a lead behind a figure.
#[must_use]
pub fn behind(row: &Row) -> Value {
    let (outcome, at) = match row.outcome {
        Outcome::Open => ("open", None),
        Outcome::Won(at) => ("won", Some(at)),
        Outcome::Lost(at) => ("lost", Some(at)),
    };
    json!({
        "lead_id": row.lead.as_str(),
        "responded_at": row.responded_at.to_string(),
        "outcome": outcome,
        "outcome_at": at.map(|at| at.to_string()),
        "first_touch": row.first_touch.as_ref().map(adapters::wire::touch_json),
        "won_deals": row.won.iter().map(won_deal).collect::<Vec<_>>(),
    })
}

/// Gives a won deal.
pub(crate) fn won_deal(deal: &WonDeal) -> Value {
    json!({
        "deal": { "system": deal.id.system(), "id": deal.id.id() },
        "amount": deal.amount.as_ref().map(adapters::wire::money_json),
        "won_at": deal.first_won.to_string(),
    })
}

/// Answers with the leads behind a figure; `next` is how far all leads were looked through.
#[must_use]
pub fn leads_behind(asked: &LeadsAsked, items: Vec<Value>, next: Option<Place>) -> Response {
    let mut answer = asked.report.to_json();
    if let Some(map) = answer.as_object_mut() {
        map.insert("figure".to_owned(), asked.figure_word.into());
        map.insert("row".to_owned(), json!(asked.row.clone().flatten()));
        map.insert("status".to_owned(), json!(asked.status));
        map.insert("items".to_owned(), items.into());
        map.insert("next_cursor".to_owned(), json!(next.map(|place| place.to_string())));
    }
    whole(&answer)
}

/// Answers with the report, as JSON or CSV.
///
/// # Errors
///
/// Where the CSV cannot be written.
pub fn answer(asked: &CampaignsAsked, report: &Value, as_csv: bool) -> Result<Response, Problem> {
    if !as_csv {
        return Ok(with_type(StatusCode::OK, report.to_string(), "application/json"));
    }
    let rows = report.get("rows").and_then(Value::as_array).ok_or_else(Problem::internal)?;
    csv(campaigns_table(&[asked.group_by], rows)).ok_or_else(Problem::internal)
}

/// A column of the CSV: where its value stands in a row, its name, and the currency where the value is a sum in it.
type Column = (String, String, Option<String>);

/// Gives the columns: numbers, and for each sum one for each currency that it has in any row. What the report said first
/// stands first, so that nothing that is read by its place moves.
fn columns(rows: &[Value]) -> Vec<Column> {
    let number = |at: &str, name: &str| (format!("/{at}"), name.to_owned(), None);
    let money = |at: &str, name: &str| {
        let at = format!("/{at}");
        let sums = rows.iter().filter_map(|row| row.pointer(&at)?.as_array()).flatten();
        let mut found: Vec<&str> = sums.filter_map(|money| money.get("currency")?.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        let column = |currency: &str| {
            (at.clone(), format!("{name}_{}", currency.to_lowercase()), Some(currency.to_owned()))
        };
        found.into_iter().map(column).collect::<Vec<Column>>()
    };
    let mut columns: Vec<Column> = Vec::new();
    for name in ["leads", "won", "lost", "open", "conversion_rate", "win_rate"] {
        columns.push(number(name, name));
    }
    columns.extend(money("revenue", "revenue"));
    columns.push(number("win_rate_interval/low", "win_rate_low"));
    columns.push(number("win_rate_interval/high", "win_rate_high"));
    for (word, _) in Model::WORDS {
        columns.push(number(&format!("models/{word}/deals"), &format!("{word}_deals")));
        columns.extend(money(&format!("models/{word}/revenue"), &format!("{word}_revenue")));
    }
    for name in ["cost", "cost_per_lead", "cost_per_won"] {
        columns.extend(money(name, name));
    }
    for name in ["qualified", "accepted"] {
        columns.push(number(name, name));
    }
    if rows.iter().any(|row| row.get("members").is_some()) {
        columns.extend(["members", "responded"].map(|name| number(name, name)));
    }
    columns
}

/// Gives rows of the campaigns report as a table, the head first: their names, then their figures.
pub(crate) fn campaigns_table(names: &[&str], rows: &[Value]) -> Vec<Vec<String>> {
    let columns = columns(rows);
    let head = names.iter().copied().chain(columns.iter().map(|(_, name, _)| name.as_str()));
    let mut table = vec![head.map(str::to_owned).collect::<Vec<String>>()];
    table.extend(rows.iter().map(|row| {
        let name = |name: &&str| {
            let name = row.get(*name).and_then(Value::as_str).unwrap_or_default();
            harmless_cell(name).into_owned()
        };
        let cells = columns.iter().map(|(at, _, currency)| match (row.pointer(at), currency) {
            (Some(Value::Number(number)), None) => number.to_string(),
            (Some(Value::Array(sums)), Some(currency)) => {
                let is = |money: &&Value| money.get("currency").and_then(Value::as_str) == Some(currency);
                let money = sums.iter().find(is).and_then(|money| money.get("amount")?.as_str());
                money.unwrap_or_default().to_owned()
            }
            _ => String::new(),
        });
        names.iter().map(name).chain(cells).collect()
    }));
    table
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Answers with a table as CSV; none where it cannot be written.
#[must_use]
pub fn csv(table: Vec<Vec<String>>) -> Option<Response> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in table {
        writer.write_record(line).ok()?;
    }
    let text = String::from_utf8(writer.into_inner().ok()?).ok()?;
    Some(with_type(StatusCode::OK, text, "text/csv; charset=utf-8"))
}

/// Answers that the report is still being counted.
#[must_use]
pub fn later(id: &str) -> Response {
    let body =
        json!({ "status": "running", "job": id, "detail": "still counting; ask again with the same words" });
    let mut response = with_type(StatusCode::ACCEPTED, body.to_string(), "application/json");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Answers with a report as it is.
#[must_use]
pub fn whole(report: &Value) -> Response {
    with_type(StatusCode::OK, report.to_string(), "application/json")
}

/// Gives the report on what best and worst have in common.
#[must_use]
pub fn characteristics(
    asked: &Value,
    found: &Characteristics,
    mut left_out: Vec<Value>,
    currency: Option<Currency>,
    now: Timestamp,
) -> Value {
    left_out.extend(found.leaks.iter().map(leak));
    let traits = |those: &[Trait]| -> Vec<Value> { those.iter().map(characteristic).collect() };
    let information = found.information.iter();
    let information = information.map(|(source, value)| {
        let mut json = source.to_json();
        if let Some(map) = json.as_object_mut() {
            map.insert("information_value".to_owned(), json!(rounded(*value)));
        }
        json
    });
    let mut report = asked.clone();
    if let Some(map) = report.as_object_mut() {
        map.insert("as_of".to_owned(), now.to_string().into());
        map.insert("leads".to_owned(), found.all.leads.into());
        map.insert("wanted".to_owned(), found.all.wins.into());
        map.insert("currency".to_owned(), json!(currency.map(|c| c.as_str().to_owned())));
        map.insert("best".to_owned(), traits(&found.best).into());
        map.insert("worst".to_owned(), traits(&found.worst).into());
        map.insert("information".to_owned(), information.collect());
        map.insert("left_out".to_owned(), left_out.into());
        map.insert("caution".to_owned(), json!(few(found)));
    }
    report
}

/// Says that there is too little to conclude from.
fn few(found: &Characteristics) -> Vec<String> {
    let (wanted, others) = (found.all.wins, found.all.leads - found.all.wins);
    if wanted.min(others) >= 30 {
        return Vec::new();
    }
    vec![format!(
        "{wanted} of the wanted kind and {others} others are too few to conclude from; 30 of each are"
    )]
}

fn characteristic(one: &Trait) -> Value {
    let mut json = one.source.to_json();
    if let Some(map) = json.as_object_mut() {
        map.insert("says".to_owned(), one.title.as_str().into());
        map.insert("leads".to_owned(), one.count.leads.into());
        map.insert("wanted".to_owned(), one.count.wins.into());
        map.insert("rate".to_owned(), json!(rounded(one.rate)));
        map.insert(
            "interval".to_owned(),
            json!(one.interval.map(|i| json!({ "low": rounded(i.low), "high": rounded(i.high) }))),
        );
        map.insert("lift".to_owned(), json!(rounded(one.lift)));
        map.insert("weight_of_evidence".to_owned(), json!(rounded(one.weight_of_evidence)));
    }
    json
}

fn leak(leak: &Leak) -> Value {
    json!({ "attribute": leak.source.as_str(), "because": leak.to_string() })
}

/// Answers with the characteristics as CSV.
///
/// # Errors
///
/// Where it cannot be written.
pub fn characteristics_csv(report: &Value) -> Result<Response, Problem> {
    let text = characteristics_rows(report).ok_or_else(Problem::internal)?;
    Ok(with_type(StatusCode::OK, text, "text/csv; charset=utf-8"))
}

fn characteristics_rows(report: &Value) -> Option<String> {
    const NUMBERS: &[&str] = &["leads", "wanted", "rate", "lift", "weight_of_evidence"];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["side", "says"].iter().chain(NUMBERS)).ok()?;
    for side in ["best", "worst"] {
        for row in report.get(side)?.as_array()? {
            let says = row.get("says").and_then(Value::as_str).unwrap_or_default();
            let mut cells = vec![side.to_owned(), harmless_cell(says).into_owned()];
            cells.extend(NUMBERS.iter().map(|name| row.get(*name).map(Value::to_string).unwrap_or_default()));
            writer.write_record(&cells).ok()?;
        }
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

/// Gives the segments report: what was asked, with what was counted.
#[must_use]
pub fn segments(asked: &SegmentsAsked, counted: Value, bounds: &[Timestamp]) -> Value {
    let mut report = asked.to_json();
    if let (Some(map), Value::Object(counted)) = (report.as_object_mut(), counted) {
        // The time that was really looked at, also where nothing was said of it.
        for (name, at) in [("from", bounds.first()), ("to", bounds.last())] {
            map.insert(name.to_owned(), json!(at.map(Timestamp::to_string)));
        }
        if let Some(version) = map.remove("version") {
            map.insert("playbook_version".to_owned(), version);
        }
        map.extend(counted);
    }
    report
}

/// Answers with the segments as CSV: a line for each, with a column for its members at the end of each period.
///
/// # Errors
///
/// Where it cannot be written.
pub fn segments_csv(report: &Value) -> Result<Response, Problem> {
    let text = segments_rows(report).ok_or_else(Problem::internal)?;
    Ok(with_type(StatusCode::OK, text, "text/csv; charset=utf-8"))
}

fn segments_rows(report: &Value) -> Option<String> {
    const COHORT: &[(&str, &str)] = &[
        ("leads", "/leads"),
        ("handed_off", "/handed_off"),
        ("accepted", "/accepted"),
        ("rejected", "/rejected"),
        ("not_ready", "/not_ready"),
        ("acceptance", "/acceptance/rate"),
        ("won", "/won"),
        ("lost", "/lost"),
        ("open", "/open"),
        ("win_rate", "/win_rate/rate"),
        ("win_rate_low", "/win_rate/low"),
        ("win_rate_high", "/win_rate/high"),
        ("median_days_to_win", "/days_to_win/median"),
    ];
    fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
        value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
    }
    let rows = report.get("segments")?.as_array()?;
    let currency = |money: &Value| Some(money.get("currency")?.as_str()?.to_owned());
    let currencies: BTreeSet<String> =
        rows.iter().flat_map(|row| list(row, "/cohort/revenue")).filter_map(currency).collect();
    let ends = rows.iter().take(1).flat_map(|row| list(row, "/periods"));
    let mut head = vec!["segment".to_owned(), "title".to_owned(), "members".to_owned()];
    head.extend(COHORT.iter().map(|(name, _)| (*name).to_owned()));
    head.extend(currencies.iter().map(|currency| format!("revenue_{}", currency.to_lowercase())));
    head.extend(["entered", "left"].map(str::to_owned));
    head.extend(ends.map(|period| {
        format!("members_until_{}", period.get("to").and_then(Value::as_str).unwrap_or_default())
    }));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&head).ok()?;
    for row in rows {
        let number = |pointer: &str| match row.pointer(pointer) {
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut cells = vec![text("segment").to_owned(), harmless_cell(text("title")).into_owned()];
        cells.push(number("/members"));
        cells.extend(COHORT.iter().map(|(_, pointer)| number(&format!("/cohort{pointer}"))));
        cells.extend(currencies.iter().map(|wanted| {
            let money = list(row, "/cohort/revenue").find(|money| currency(money).as_ref() == Some(wanted));
            money.and_then(|money| money.get("amount")?.as_str()).unwrap_or_default().to_owned()
        }));
        let flow = |name: &str| -> u64 {
            list(row, "/periods").filter_map(|period| period.get(name)?.as_u64()).sum()
        };
        cells.extend([flow("entered").to_string(), flow("left").to_string()]);
        cells.extend(
            list(row, "/periods")
                .map(|period| period.get("members").map(Value::to_string).unwrap_or_default()),
        );
        writer.write_record(&cells).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

/// Says why there is no card.
#[must_use]
pub fn no_card(because: &str, mut left_out: Vec<Value>, leaks: &[Leak], cautions: &[String]) -> Value {
    left_out.extend(leaks.iter().map(leak));
    json!({ "version": null, "because": because, "left_out": left_out, "caution": cautions })
}

/// Gives a suggested card.
#[must_use]
pub fn suggestion(
    card: &Card,
    version: Option<u32>,
    document: &Value,
    mut left_out: Vec<Value>,
    cautions: &[String],
) -> Value {
    left_out.extend(card.leaks.iter().map(leak));
    let rules = card.rules.iter().map(|rule| {
        json!({
            "says": rule.title,
            "points": rule.points,
            "part": if rule.part == Part::Fit { "fit" } else { "engagement" },
            "leads": rule.count.leads,
            "wins": rule.count.wins,
            "weight_of_evidence": rounded(rule.weight_of_evidence),
            "because": rule.reason,
        })
    });
    json!({
        "version": version,
        "leads": card.leads.leads,
        "wins": card.leads.wins,
        "rules": rules.collect::<Vec<_>>(),
        "expected": {
            "auc": rounded(card.expected.auc),
            "precision": rounded(card.expected.precision()),
            "recall": rounded(card.expected.recall()),
            "share_qualified": rounded(card.expected.share()),
        },
        "left_out": left_out,
        "caution": cautions,
        "document": document,
    })
}
