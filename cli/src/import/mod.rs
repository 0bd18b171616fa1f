//! Leads, feedback, activities, campaigns, suppressed addresses, evidence and content from files, through the API, so that an import passes the same
//! checks as everything else.
//!
//! Each row becomes one item; 100 items are one request, a few requests are under way at a time. A row that the API
//! refuses goes, with the reason, into a rejects file beside the input. Run again, nothing changes: a lead's row with
//! its own time is recognised by its content, feedback and activities by an id made from their content, evidence by what it says, and a
//! campaign's months and an address that nobody may write to are what they are. In JSON Lines each line is an item as the API takes it, and nothing is mapped.
//!
//! # Layout
//!
//! * this file – the run; [`mapping`] – from columns to fields; [`content`] – the catalog of content;
//! * [`evidence`] – quotes as JSON Lines; [`keywords`] – keyword lists as Google Ads exports them.

pub mod content;
pub mod evidence;
pub mod keywords;
pub mod mapping;

use crate::api::{Api, ApiError, Body, Where, explain};
use adapters::config::Environment;
use clap::Subcommand;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapping::{Mapping, MappingError, Rows};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How many items one request holds.
const PER_REQUEST: usize = 100;
/// How many requests are under way at a time.
const BESIDE: usize = 4;

/// What a file holds.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Leads, for POST /v1/leads/batch.
    Leads(Arguments),
    /// What sales reported, for POST /v1/feedback/batch.
    Feedback(Arguments),
    /// What leads did, or how they stand to a campaign (`kind=campaign_member`), for POST /v1/activities.
    Activities(Arguments),
    /// Campaigns with a month's cost in each row, for POST /v1/campaigns.
    Campaigns(Arguments),
    /// Addresses that nobody may write to, for POST /v1/suppressions: unsubscribed, unless the column `reason` says otherwise.
    Suppressions(Arguments),
    /// What a persona stands on, for POST /v1/personas/{id}/evidence: JSON Lines, or keywords as Google Ads exports them.
    Evidence(evidence::Arguments),
    /// What there is to say to leads, for PUT /v1/content/{id}.
    Content(content::Arguments),
}

/// The arguments of an import.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The CSV file, with a header line, in UTF-8; or JSON Lines, where its name ends in .jsonl or .ndjson.
    file: PathBuf,
    /// Where a column goes, as COLUMN=FIELD; may be repeated. A column that is named as a field goes there by itself.
    #[arg(long, value_name = "COLUMN=FIELD")]
    map: Vec<String>,
    /// A field that is the same in every row, as FIELD=VALUE; may be repeated.
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// A YAML file with `map:` and `set:`, instead of or besides the flags.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// `history` for what happened long ago: it starts no hand-off; `live` otherwise.
    #[arg(long, default_value = "live", value_parser = ["live", "history"])]
    mode: String,
    /// The time zone of dates and times without one.
    #[arg(long, default_value = "UTC")]
    timezone: String,
    #[command(flatten)]
    api: Where,
    /// Where rejected rows go; FILE.rejects.csv unless given.
    #[arg(long)]
    rejects: Option<PathBuf>,
}

/// Says why an import stopped.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    File(String, String),
    /// The mapping is wrong.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// It is not clear what the file holds.
    #[error("{0}: {1}")]
    Unclear(String, String),
    /// The API did not take a whole request.
    #[error("{0}; rows before are stored, and the same import may be run again")]
    Api(#[from] ApiError),
    /// Some rows were rejected.
    #[error("{0} of {1} rows were rejected; {2} says why")]
    Rejected(usize, usize, String),
}

/// One kind of import.
#[derive(Clone, Copy)]
struct Kind<'a> {
    route: &'a str,
    list: &'static str,
    role: &'static str,
    noun: &'static str,
}

const LEADS: Kind<'static> =
    Kind { route: "/v1/leads/batch", list: "leads", role: "marketing", noun: "leads" };
const FEEDBACK: Kind<'static> =
    Kind { route: "/v1/feedback/batch", list: "feedback", role: "sales", noun: "facts" };
const ACTIVITIES: Kind<'static> =
    Kind { route: "/v1/activities", list: "activities", role: "capture", noun: "activities" };
const CAMPAIGNS: Kind<'static> =
    Kind { route: "/v1/campaigns", list: "campaigns", role: "marketing", noun: "campaigns" };
const SUPPRESSIONS: Kind<'static> =
    Kind { route: "/v1/suppressions", list: "suppressions", role: "marketing", noun: "addresses" };

/// Runs an import.
///
/// # Errors
///
/// [`ImportError`].
pub async fn run(what: What, environment: &Environment) -> Result<(), ImportError> {
    let (kind, about, arguments) = match what {
        What::Leads(arguments) => (LEADS, Rows::Leads, arguments),
        What::Feedback(arguments) => (FEEDBACK, Rows::Feedback, arguments),
        What::Activities(arguments) => (ACTIVITIES, Rows::Activities, arguments),
        What::Campaigns(arguments) => (CAMPAIGNS, Rows::Campaigns, arguments),
        What::Suppressions(arguments) => (SUPPRESSIONS, Rows::Suppressions, arguments),
        What::Evidence(arguments) => return evidence::run(&arguments, environment).await,
        What::Content(arguments) => {
            let api = arguments.api.api(content::CONTENT.role, environment)?;
            return content::import(&arguments, &api).await;
        }
    };
    let api = arguments.api.api(kind.role, environment)?;
    import(kind, about, &arguments, &api).await
}

/// A row with its line in the file and, once it is read, its item.
#[derive(Debug)]
struct Row {
    line: u64,
    record: csv::StringRecord,
    item: Result<Value, String>,
}

#[derive(Default)]
struct Tally {
    created: usize,
    updated: usize,
    unchanged: usize,
    rejected: usize,
}

/// What is known of a file before its rows are sent, and where what is rejected of them goes.
struct Files<'a> {
    rejects: PathBuf,
    header: &'a csv::StringRecord,
    rows: u64,
}

/// Gives the file for what is rejected of an input; FILE.rejects.csv unless one is given.
fn rejects_of(input: &Path, given: Option<&Path>) -> Result<PathBuf, ImportError> {
    let rejects = given.map(Path::to_owned).unwrap_or_else(|| {
        let mut name = input.file_stem().unwrap_or_default().to_owned();
        name.push(".rejects.csv");
        input.with_file_name(name)
    });
    let is_input = std::fs::canonicalize(&rejects)
        .is_ok_and(|path| std::fs::canonicalize(input).is_ok_and(|input| input == path));
    if is_input {
        return Err(ImportError::File(rejects.display().to_string(), "is the input itself".to_owned()));
    }
    Ok(rejects)
}

async fn import(kind: Kind<'_>, about: Rows, arguments: &Arguments, api: &Api) -> Result<(), ImportError> {
    let rows_in_all = count(&arguments.file)?;
    let (header, rows) = read(about, arguments)?;
    let rejects = rejects_of(&arguments.file, arguments.rejects.as_deref())?;
    let mut seen = std::collections::HashMap::new();
    let rows = rows.map(|row| {
        let mut row = row?;
        match (about, &mut row.item) {
            (Rows::Feedback, Ok(item)) => identify(item, &mut seen),
            (Rows::Activities, Ok(item)) => match item.get("occurred_at") {
                // By its time it is found among all that a lead ever did; by its id among the latest only.
                None => {
                    row.item =
                        Err("/occurred_at is required: without it a second run would count it again"
                            .to_owned())
                }
                Some(_) => identify(item, &mut seen),
            },
            (Rows::Campaigns, Ok(item)) => list_cost(item),
            (Rows::Suppressions, Ok(Value::Object(item))) => {
                item.entry("reason").or_insert_with(|| "unsubscribed".into());
            }
            _ => {}
        }
        Ok::<Row, ImportError>(row)
    });
    let files = Files { rejects, header: &header, rows: rows_in_all };
    let body = |items: Vec<&Value>| match about {
        // What a campaign cost starts nothing, and a no counts from now on: there is no history to tell from the present.
        Rows::Campaigns | Rows::Suppressions => json!({ (kind.list): items }),
        Rows::Leads | Rows::Feedback | Rows::Activities => {
            json!({ "mode": arguments.mode, (kind.list): items })
        }
    };
    send(kind, files, rows, body, api).await
}

/// Sends rows and answers for them.
async fn send(
    kind: Kind<'_>,
    files: Files<'_>,
    rows: impl Iterator<Item = Result<Row, ImportError>>,
    body: impl Fn(Vec<&Value>) -> Value,
    api: &Api,
) -> Result<(), ImportError> {
    let Files { rejects: rejects_path, header, rows: rows_in_all } = files;
    let bar = progress(rows_in_all);
    let started = tokio::time::Instant::now();
    let body = &body;
    // Read as they are sent, so that a file of any size takes the memory of a few requests.
    let mut rows = rows.peekable();
    let requests = std::iter::from_fn(|| {
        rows.peek()?;
        Some(rows.by_ref().take(PER_REQUEST).collect::<Result<Vec<Row>, ImportError>>())
    });
    let mut done = futures::stream::iter(requests.map(|rows| async move {
        let rows = rows?;
        let items: Vec<&Value> = rows.iter().filter_map(|row| row.item.as_ref().ok()).collect();
        let results = if items.is_empty() { Vec::new() } else { post(api, kind.route, &body(items)).await? };
        Ok::<_, ImportError>((rows, results))
    }))
    .buffered(BESIDE);
    let mut tally = Tally::default();
    let mut rejects: Option<csv::Writer<std::fs::File>> = None;
    while let Some(batch) = done.next().await {
        let (rows, results) = batch?;
        let mut results = results.into_iter();
        for row in &rows {
            let reason = match &row.item {
                Err(reason) => Some(reason.clone()),
                Ok(_) => judge(&results.next().unwrap_or_default(), &mut tally),
            };
            if let Some(reason) = reason {
                tally.rejected += 1;
                reject(&mut rejects, &rejects_path, header, row, &reason)?;
            }
        }
        bar.inc(rows.len() as u64);
    }
    if let Some(rejects) = &mut rejects {
        rejects
            .flush()
            .map_err(|error| ImportError::File(rejects_path.display().to_string(), error.to_string()))?;
    }
    bar.finish_and_clear();
    report(kind, &tally, started.elapsed());
    let rows = tally.created + tally.updated + tally.unchanged + tally.rejected;
    match tally.rejected {
        0 => Ok(()),
        n => Err(ImportError::Rejected(n, rows, rejects_path.display().to_string())),
    }
}

/// Rows as they are read.
type Reading = Box<dyn Iterator<Item = Result<Row, ImportError>>>;

/// Opens the file: as JSON Lines where its name says so, as CSV otherwise. Gives the names of the columns too.
fn read(about: Rows, arguments: &Arguments) -> Result<(csv::StringRecord, Reading), ImportError> {
    let file = arguments.file.display().to_string();
    if is_json_lines(&arguments.file) {
        if !arguments.map.is_empty() || !arguments.set.is_empty() || arguments.mapping.is_some() {
            let problem =
                "is JSON Lines, whose lines are items already; --map, --set and --mapping are for CSV";
            return Err(ImportError::File(file, problem.to_owned()));
        }
        return json_lines(&arguments.file);
    }
    let unreadable = move |error: csv::Error| ImportError::File(file.clone(), error.to_string());
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).from_path(&arguments.file).map_err(&unreadable)?;
    let header = reader.headers().map_err(&unreadable)?.clone();
    let (map, set, mapping) = (&arguments.map, &arguments.set, arguments.mapping.as_deref());
    let mapping = Mapping::new(about, &header, map, set, mapping, &arguments.timezone)?;
    if !mapping.ignored().is_empty() {
        eprintln!("columns that go nowhere: {}", mapping.ignored().join(", "));
    }
    let columns = header.len();
    let rows = reader.into_byte_records().map(move |record| {
        let record = record.map_err(&unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let (record, item) = row(record, columns, &mapping);
        Ok(Row { line, record, item })
    });
    Ok((header, Box::new(rows)))
}

fn is_json_lines(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default();
    ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads JSON Lines, whose empty lines say nothing.
fn json_lines(file: &Path) -> Result<(csv::StringRecord, Reading), ImportError> {
    let name = file.display().to_string();
    let failed = move |error: std::io::Error| ImportError::File(name.clone(), error.to_string());
    let lines = std::io::BufReader::new(std::fs::File::open(file).map_err(&failed)?).split(b'\n');
    let filled = (1..)
        .zip(lines)
        .filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.iter().all(u8::is_ascii_whitespace)));
    let rows = filled.map(move |(line, text)| Ok(json_row(line, &text.map_err(&failed)?)));
    Ok((csv::StringRecord::from(vec!["json"]), Box::new(rows)))
}

/// Reads a line of JSON; one that is none is kept as it is with the reason.
fn json_row(line: u64, text: &[u8]) -> Row {
    // Some programs begin a file with a byte order mark, which is no JSON.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let item = serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"));
    let text = String::from_utf8_lossy(text);
    Row { line, record: csv::StringRecord::from(vec![text.trim_end()]), item }
}

/// Makes a row's month and cost the one entry of a campaign's costs.
fn list_cost(item: &mut Value) {
    let Some(map) = item.as_object_mut() else { return };
    let cost: Map<String, Value> =
        ["month", "cost"].into_iter().filter_map(|name| Some((name.to_owned(), map.remove(name)?))).collect();
    if !cost.is_empty() {
        map.insert("costs".to_owned(), json!([cost]));
    }
}

/// Reads a row by a mapping.
fn row(
    record: csv::ByteRecord,
    columns: usize,
    mapping: &Mapping,
) -> (csv::StringRecord, Result<Value, String>) {
    as_text(record, columns, |record| mapping.item(record))
}

/// Reads a row; one that is not like the header, or not text, is kept as it is with the reason.
fn as_text(
    record: csv::ByteRecord,
    columns: usize,
    item: impl FnOnce(&csv::StringRecord) -> Result<Value, String>,
) -> (csv::StringRecord, Result<Value, String>) {
    match csv::StringRecord::from_byte_record(record) {
        Ok(record) if record.len() == columns => {
            let item = item(&record);
            (record, item)
        }
        Ok(record) => {
            let reason = format!("has {} cells where the header has {columns}", record.len());
            (record, Err(reason))
        }
        Err(error) => {
            let record = csv::StringRecord::from_byte_record_lossy(error.into_byte_record());
            (record, Err("is not UTF-8; save the file as UTF-8".to_owned()))
        }
    }
}

fn count(file: &Path) -> Result<u64, ImportError> {
    if is_json_lines(file) {
        let failed = |error: std::io::Error| ImportError::File(file.display().to_string(), error.to_string());
        let lines = std::io::BufReader::new(std::fs::File::open(file).map_err(failed)?).split(b'\n');
        return Ok(lines.count() as u64);
    }
    let failed = |error: csv::Error| ImportError::File(file.display().to_string(), error.to_string());
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).map_err(failed)?;
    let (mut record, mut rows) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record).map_err(failed)? {
        rows += 1;
    }
    Ok(rows)
}

/// Gives a fact an id made from its content, so that the same row in a second run is the same fact; equal rows of one
/// file are different facts.
fn identify(item: &mut Value, seen: &mut std::collections::HashMap<String, u32>) {
    use sha2::{Digest, Sha256};
    let Some(map) = item.as_object_mut() else { return };
    if map.contains_key("id") {
        return;
    }
    let text = Value::Object(map.clone()).to_string();
    let times = seen.entry(text.clone()).or_default();
    *times += 1;
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(format!("{times} {text}").as_bytes()));
    map.insert("id".to_owned(), format!("import-{hash}").into());
}

fn progress(rows: u64) -> ProgressBar {
    // Drawn only where standard error is a terminal.
    let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} rows, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Sends a request and gives the results of its items.
async fn post(api: &Api, route: &str, body: &Value) -> Result<Vec<Value>, ImportError> {
    let answer = api.send(Method::POST, route, Body::Json(body), key_of(body).as_deref()).await?;
    let results = answer.get("results").and_then(Value::as_array).cloned();
    Ok(results.ok_or_else(|| ApiError::Refused(format!("{route} answered without results")))?)
}

/// Makes the key by which leads without a time of their own are recognised in a second run; the others are by content.
fn key_of(body: &Value) -> Option<String> {
    use sha2::{Digest, Sha256};
    let leads = body.get(LEADS.list).and_then(Value::as_array)?;
    let untimed = leads.iter().any(|lead| lead.get("occurred_at").is_none());
    untimed.then(|| data_encoding::HEXLOWER.encode(&Sha256::digest(body.to_string().as_bytes())))
}

/// Counts a result; gives the reason where the item was rejected.
fn judge(result: &Value, tally: &mut Tally) -> Option<String> {
    match result.get("status").and_then(Value::as_str) {
        Some("created") => tally.created += 1,
        Some("updated") => tally.updated += 1,
        Some("unchanged") => tally.unchanged += 1,
        _ => return Some(explain(result.get("problem").unwrap_or(result))),
    }
    None
}

fn reject(
    rejects: &mut Option<csv::Writer<std::fs::File>>,
    path: &Path,
    header: &csv::StringRecord,
    row: &Row,
    reason: &str,
) -> Result<(), ImportError> {
    let failed = |error: csv::Error| ImportError::File(path.display().to_string(), error.to_string());
    let writer = match rejects {
        Some(writer) => writer,
        None => {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_path(path).map_err(failed)?;
            writer.write_record(["line", "reason"].into_iter().chain(header)).map_err(failed)?;
            rejects.insert(writer)
        }
    };
    let line = row.line.to_string();
    writer.write_record([line.as_str(), reason].into_iter().chain(&row.record)).map_err(failed)
}

fn report(kind: Kind<'_>, tally: &Tally, took: Duration) {
    let rows = tally.created + tally.updated + tally.unchanged + tally.rejected;
    let seconds = took.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a count of rows, shown as a rate")]
    let rate = rows as f64 / seconds.max(0.001);
    println!(
        "{rows} {}: {} created, {} updated, {} unchanged, {} rejected, in {seconds:.1} s ({rate:.0} a second)",
        kind.noun, tally.created, tally.updated, tally.unchanged, tally.rejected
    );
}

/// The fields of a row, by name.
pub(crate) type Fields = Map<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        let header = csv::StringRecord::from(vec!["email", "attributes.a"]);
        Mapping::new(Rows::Leads, &header, &[], &[], None, "UTC").unwrap()
    }

    #[test]
    fn a_row_that_is_not_like_the_header_or_not_text_is_rejected_alone() {
        let read = |cells: Vec<&[u8]>| row(csv::ByteRecord::from(cells), 2, &mapping()).1;
        assert!(read(vec![b"a@b.example", b"1"]).is_ok());
        assert!(read(vec![b"a@b.example"]).unwrap_err().contains("1 cells where the header has 2"));
        assert!(read(vec![b"a@b.example", b"\xff"]).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn a_line_of_json_is_an_item_also_behind_a_byte_order_mark_and_before_a_carriage_return() {
        let read = |text: &[u8]| json_row(1, text);
        assert_eq!(read(b"\xef\xbb\xbf{\"id\": \"a\"}\r").item, Ok(json!({ "id": "a" })));
        assert!(read(b"{").item.unwrap_err().starts_with("is not JSON"));
        let broken = read(b"\"\xff\"\r");
        assert!(broken.item.is_err());
        assert_eq!(&broken.record[0], "\"\u{fffd}\"");
    }

    #[test]
    fn equal_rows_of_feedback_are_different_facts_and_the_same_in_a_second_run() {
        let ids = || {
            let mut seen = std::collections::HashMap::new();
            let mut id = |kind: &str| {
                let mut item = json!({ "kind": kind });
                identify(&mut item, &mut seen);
                item.get("id").cloned()
            };
            [id("follow_up"), id("follow_up"), id("won")]
        };
        let [first, second, other] = ids();
        assert!(first != second && first != other && first.is_some());
        assert_eq!(ids(), [first, second, other]);
    }

    #[test]
    fn leads_without_a_time_of_their_own_get_a_key_of_their_content() {
        let timed = json!({ "leads": [{ "email": "a@b.example", "occurred_at": "2026-01-01T00:00:00Z" }] });
        let untimed = json!({ "leads": [{ "email": "a@b.example" }] });
        assert_eq!(key_of(&timed), None);
        assert!(key_of(&untimed).is_some());
        assert_eq!(key_of(&json!({ "feedback": [{}] })), None);
    }
}
