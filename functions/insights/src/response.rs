//! What reports and suggestions answer.

use crate::request::{CampaignsAsked, SegmentsAsked};
use adapters::http::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::money::{Currency, Money};
use domain::report::{Campaigns, Line};
use domain::score::Part;
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use learning::characteristics::{Characteristics, Leak, Trait};
use learning::measure::rounded;
use learning::suggest::Card;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Answers with a page that may load nothing and run nothing, whatever is in it.
#[must_use]
pub fn page(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = axum::response::Html(page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Gives the whole report as JSON.
#[must_use]
pub fn report(asked: &CampaignsAsked, campaigns: Campaigns, now: Timestamp) -> Value {
    let mut lines: Vec<(Option<String>, Line)> = campaigns.finish().into_iter().collect();
    lines.sort_by(|(a_name, a), (b_name, b)| b.leads.cmp(&a.leads).then_with(|| a_name.cmp(b_name)));
    let rows: Vec<Value> =
        lines.iter().map(|(name, line)| row(asked.group_by, name.as_deref(), line)).collect();
    let mut report = asked.to_json();
    if let Some(map) = report.as_object_mut() {
        map.insert("as_of".to_owned(), now.to_string().into());
        map.insert("rows".to_owned(), rows.into());
    }
    report
}

fn row(group_by: &str, name: Option<&str>, line: &Line) -> Value {
    let revenue: Vec<Value> = line
        .revenue
        .iter()
        .map(|(currency, minor)| {
            let money = Money { minor: *minor, currency: *currency };
            json!({ "currency": currency.as_str(), "amount": money.to_string() })
        })
        .collect();
    let mut row = Map::new();
    row.insert(group_by.to_owned(), json!(name));
    row.insert("leads".to_owned(), line.leads.into());
    row.insert("won".to_owned(), line.won.into());
    row.insert("lost".to_owned(), line.lost.into());
    row.insert("open".to_owned(), line.open.into());
    row.insert("conversion_rate".to_owned(), json!(rate(line.won, line.leads)));
    row.insert("win_rate".to_owned(), json!(rate(line.won, line.won + line.lost)));
    row.insert("revenue".to_owned(), revenue.into());
    row.into()
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
    let text = csv_of(asked, report).ok_or_else(Problem::internal)?;
    Ok(with_type(StatusCode::OK, text, "text/csv; charset=utf-8"))
}

fn csv_of(asked: &CampaignsAsked, report: &Value) -> Option<String> {
    let rows = report.get("rows")?.as_array()?;
    let mut currencies: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.get("revenue")?.as_array())
        .flatten()
        .filter_map(|money| money.get("currency")?.as_str())
        .collect();
    currencies.sort_unstable();
    currencies.dedup();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head = vec![asked.group_by.to_owned()];
    const NUMBERS: &[&str] = &["leads", "won", "lost", "open", "conversion_rate", "win_rate"];
    head.extend(NUMBERS.iter().map(|name| (*name).to_owned()));
    head.extend(currencies.iter().map(|currency| format!("revenue_{}", currency.to_lowercase())));
    writer.write_record(&head).ok()?;
    for row in rows {
        let name = row.get(asked.group_by).and_then(Value::as_str).unwrap_or_default();
        let mut cells = vec![harmless_cell(name).into_owned()];
        cells.extend(NUMBERS.iter().map(|name| match row.get(*name) {
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }));
        let revenue = row.get("revenue").and_then(Value::as_array);
        cells.extend(currencies.iter().map(|currency| {
            let money = revenue
                .into_iter()
                .flatten()
                .find(|money| money.get("currency").and_then(Value::as_str) == Some(*currency));
            money.and_then(|money| money.get("amount")?.as_str()).unwrap_or_default().to_owned()
        }));
        writer.write_record(&cells).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
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
