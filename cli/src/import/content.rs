//! Content from a CSV or JSON Lines file, piece by piece.
//!
//! A row is a whole record: what the file leaves out is taken away. Content that somebody changed since the last import is
//! overwritten with the file's, as of the version that the import found at its start; content that changes while it runs is
//! rejected rather than overwritten. Run again, nothing changes.

use super::{
    BESIDE, ImportError, Kind, Row, Tally, is_json_lines, json_lines, judge, progress, reject, rejects_of,
    report,
};
use crate::api::{Api, ApiError, Body, Where};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The columns of a CSV file, and whether a cell holds a list.
const COLUMNS: &[(&str, bool)] = &[
    ("id", false),
    ("title", false),
    ("url", false),
    ("kind", false),
    ("personas", true),
    ("phases", true),
    ("topics", true),
    ("language", false),
    ("valid_from", false),
    ("valid_until", false),
];

pub(super) const CONTENT: Kind =
    Kind { route: "/v1/content", list: "items", role: "marketing", noun: "pieces" };

/// The arguments of an import of content.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The file: CSV with a header line (id, title, url, kind, personas, phases, topics, language, valid_from, valid_until;
    /// several personas, phases or topics in a cell are divided by `;`), or JSON Lines where its name ends in .jsonl or .ndjson.
    file: PathBuf,
    #[command(flatten)]
    pub(super) api: Where,
    /// Where rejected rows go; FILE.rejects.csv unless given.
    #[arg(long)]
    rejects: Option<PathBuf>,
}

/// Imports a file.
pub(super) async fn import(arguments: &Arguments, api: &Api) -> Result<(), ImportError> {
    let rejects_path = rejects_of(&arguments.file, arguments.rejects.as_deref())?;
    let (header, mut rows) = read(&arguments.file)?;
    once(&mut rows);
    let known = versions(api).await?;
    let (bar, started) = (progress(rows.len() as u64), tokio::time::Instant::now());
    let known = &known;
    let mut done = futures::stream::iter(rows.into_iter().map(|row| async move {
        let answer = match &row.item {
            Err(reason) => Err(reason.clone()),
            Ok(item) => put(api, item, known).await?,
        };
        Ok::<_, ImportError>((row, answer))
    }))
    .buffered(BESIDE);
    let (mut tally, mut rejects) = (Tally::default(), None);
    while let Some(one) = done.next().await {
        let (row, answer) = one?;
        let reason = match answer {
            Ok(answer) => judge(&answer, &mut tally),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = reason {
            tally.rejected += 1;
            reject(&mut rejects, &rejects_path, &header, &row, &reason)?;
        }
        bar.inc(1);
    }
    if let Some(mut rejects) = rejects {
        let failed =
            |error: std::io::Error| ImportError::File(rejects_path.display().to_string(), error.to_string());
        rejects.flush().map_err(failed)?;
    }
    bar.finish_and_clear();
    report(CONTENT, &tally, started.elapsed());
    match tally.rejected {
        0 => Ok(()),
        n => {
            let rows = tally.created + tally.updated + tally.unchanged + n;
            Err(ImportError::Rejected(n, rows, rejects_path.display().to_string()))
        }
    }
}

/// Gives the version of each piece that is there already.
async fn versions(api: &Api) -> Result<BTreeMap<String, u64>, ImportError> {
    let (mut known, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = api.get(&format!("{}?limit=200{cursor}", CONTENT.route)).await?;
        for item in page.get(CONTENT.list).and_then(Value::as_array).into_iter().flatten() {
            if let (Some(id), Some(version)) =
                (item.get("id").and_then(Value::as_str), item.get("version").and_then(Value::as_u64))
            {
                known.insert(id.to_owned(), version);
            }
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            // A cursor is made of letters, digits, `-` and `_`, which a query takes as they are.
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(known),
        }
    }
}

/// Sends a piece; what the API refuses is the inner error.
async fn put(
    api: &Api,
    item: &Value,
    known: &BTreeMap<String, u64>,
) -> Result<Result<Value, String>, ImportError> {
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
    let mut body = item.clone();
    if let (Some(map), Some(version)) = (body.as_object_mut(), known.get(id)) {
        map.insert("version".to_owned(), (*version).into());
    }
    match api.send(Method::PUT, &format!("{}/{id}", CONTENT.route), Body::Json(&body), None).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(ApiError::Refused(reason)) => Ok(Err(reason)),
        Err(error) => Err(error.into()),
    }
}

/// Rejects the rows that name an id that a row before them named.
fn once(rows: &mut [Row]) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let Some(id) = row.item.as_ref().ok().and_then(|item| item.get("id")?.as_str()).map(str::to_owned)
        else {
            continue;
        };
        match seen.get(&id) {
            Some(line) => row.item = Err(format!("names {id} again; line {line} did")),
            None => {
                seen.insert(id, row.line);
            }
        }
    }
}

/// Reads a file: its header and its rows. A catalog fits into memory.
fn read(file: &Path) -> Result<(csv::StringRecord, Vec<Row>), ImportError> {
    if is_json_lines(file) { read_lines(file) } else { read_csv(file) }
}

fn read_csv(file: &Path) -> Result<(csv::StringRecord, Vec<Row>), ImportError> {
    let failed = |error: csv::Error| ImportError::File(file.display().to_string(), error.to_string());
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let header: csv::StringRecord =
        header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    let unknown: Vec<&str> =
        header.iter().filter(|name| !COLUMNS.iter().any(|(known, _)| known == name)).collect();
    if !unknown.is_empty() {
        eprintln!("columns that go nowhere: {}", unknown.join(", "));
    }
    let mut rows = Vec::new();
    for record in reader.into_byte_records() {
        let record = record.map_err(failed)?;
        let line = record.position().map_or(0, csv::Position::line);
        let (record, item) = super::as_text(record, header.len(), |record| item(&header, record));
        rows.push(Row { line, record, item });
    }
    Ok((header, rows))
}

fn item(header: &csv::StringRecord, record: &csv::StringRecord) -> Result<Value, String> {
    let mut fields = Map::new();
    for (name, cell) in header.iter().zip(record).map(|(name, cell)| (name, cell.trim())) {
        let Some((_, list)) = COLUMNS.iter().find(|(known, _)| *known == name) else { continue };
        if cell.is_empty() {
            continue;
        }
        let value = if *list {
            let parts = cell.split(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '|'));
            parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().into()
        } else {
            cell.into()
        };
        fields.insert(name.to_owned(), value);
    }
    identified(Value::Object(fields))
}

fn read_lines(file: &Path) -> Result<(csv::StringRecord, Vec<Row>), ImportError> {
    let (header, rows) = json_lines(file)?;
    let rows = rows.map(|row| row.map(|row| Row { item: row.item.and_then(identified), ..row }));
    Ok((header, rows.collect::<Result<_, _>>()?))
}

/// Makes sure that an item says which piece it is, since its id stands in the address.
fn identified(item: Value) -> Result<Value, String> {
    let id = item.get("id").and_then(Value::as_str);
    match id.map(domain::identity::Slug::parse) {
        Some(Ok(_)) => Ok(item),
        Some(Err(error)) => Err(format!("/id {error}")),
        None => Err("/id is required".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_becomes_a_piece_and_an_empty_cell_says_nothing() {
        let header = csv::StringRecord::from(vec!["id", "title", "personas", "phases", "language", "owner"]);
        let row =
            csv::StringRecord::from(vec!["savings", " Savings ", "it_lead; purchaser", "awareness", "", "x"]);
        let piece = json!({
            "id": "savings", "title": "Savings", "personas": ["it_lead", "purchaser"], "phases": ["awareness"],
        });
        assert_eq!(item(&header, &row), Ok(piece));
        let nobody = csv::StringRecord::from(vec!["", "x", "", "", "", ""]);
        assert_eq!(item(&header, &nobody), Err("/id is required".to_owned()));
        let wrong = csv::StringRecord::from(vec!["a/../b", "x", "", "", "", ""]);
        assert!(item(&header, &wrong).unwrap_err().starts_with("/id "));
    }

    #[test]
    fn a_piece_that_a_file_names_twice_is_taken_once() {
        let row = |line| Row { line, record: csv::StringRecord::new(), item: Ok(json!({ "id": "a" })) };
        let mut rows = [row(2), row(3)];
        once(&mut rows);
        assert!(rows[0].item.is_ok());
        assert_eq!(rows[1].item, Err("names a again; line 2 did".to_owned()));
    }
}
