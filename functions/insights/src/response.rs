//! What a report answers.

use crate::request::Asked;
use adapters::http::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::money::Money;
use domain::report::{Campaigns, Line};
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};

#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Gives the whole report as JSON.
#[must_use]
pub fn report(asked: &Asked, campaigns: Campaigns, now: Timestamp) -> Value {
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
pub fn answer(asked: &Asked, report: &Value, as_csv: bool) -> Result<Response, Problem> {
    if !as_csv {
        return Ok(with_type(StatusCode::OK, report.to_string(), "application/json"));
    }
    let text = csv_of(asked, report).ok_or_else(Problem::internal)?;
    Ok(with_type(StatusCode::OK, text, "text/csv; charset=utf-8"))
}

fn csv_of(asked: &Asked, report: &Value) -> Option<String> {
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
