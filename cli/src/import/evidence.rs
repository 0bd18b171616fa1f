//! Evidence about a persona from files: interviews and social mentions as JSON Lines, keywords as Google Ads exports them.
//!
//! A line of JSON Lines is a piece of evidence as the API takes it; what is the same in all of them stands in a flag, and a
//! line that says it itself is right. Who wrote a post stays in the file: fields that name an author are dropped here,
//! before anything is sent.

use super::{Files, ImportError, Kind, Row, keywords, rejects_of, send};
use crate::api::Where;
use adapters::config::Environment;
use domain::evidence::Kind as EvidenceKind;
use domain::identity::Slug;
use domain::time::Day;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// What exports of social networks call whoever wrote a post.
const AUTHORS: &[&str] = &[
    "author",
    "author_id",
    "author_name",
    "author_url",
    "avatar",
    "email",
    "handle",
    "name",
    "profile_url",
    "screen_name",
    "user",
    "user_id",
    "user_name",
    "username",
];

/// The arguments of an import of evidence.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// JSON Lines, or for keyword_research an export of Google Ads' Keyword Planner.
    file: PathBuf,
    /// The persona that it is about.
    #[arg(long, value_parser = |text: &str| Slug::parse(text))]
    persona: Slug,
    /// The kind of evidence, such as social_listening or keyword_research.
    #[arg(long, value_parser = words())]
    kind: String,
    /// The statements that it speaks for; may be repeated.
    #[arg(long, value_name = "STATEMENT", value_delimiter = ',')]
    supports: Vec<String>,
    /// The statements that it speaks against; may be repeated.
    #[arg(long, value_name = "STATEMENT", value_delimiter = ',')]
    contradicts: Vec<String>,
    /// Where it comes from.
    #[arg(long)]
    source: Option<String>,
    /// Of which day it is, such as 2026-03-01; an export of keywords says so itself.
    #[arg(long, value_parser = day)]
    date: Option<String>,
    /// How much each piece counts, 1 to 5.
    #[arg(long)]
    weight: Option<u8>,
    /// The topic that the keywords are about; the playbook's topics tell unless given.
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    api: Where,
    /// Where rejected lines go; FILE.rejects.csv unless given.
    #[arg(long)]
    rejects: Option<PathBuf>,
}

fn words() -> clap::builder::PossibleValuesParser {
    EvidenceKind::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().into()
}

fn day(text: &str) -> Result<String, String> {
    Day::parse(text).map(|day| day.to_string()).ok_or_else(|| "expected a day such as 2026-03-01".to_owned())
}

/// Runs an import of evidence.
///
/// # Errors
///
/// [`ImportError`].
pub(super) async fn run(arguments: &Arguments, environment: &Environment) -> Result<(), ImportError> {
    let file = arguments.file.display().to_string();
    let bytes =
        std::fs::read(&arguments.file).map_err(|error| ImportError::File(file.clone(), error.to_string()))?;
    let (header, rows) = read(&bytes, arguments).map_err(|what| ImportError::Unclear(file, what))?;
    let api = arguments.api.api("marketing", environment)?;
    let rejects = rejects_of(&arguments.file, arguments.rejects.as_deref())?;
    let route = format!("/v1/personas/{}/evidence", arguments.persona);
    let kind = Kind { route: &route, list: "evidence", role: "marketing", noun: "pieces of evidence" };
    let files = Files { rejects, header: &header, rows: rows.len() as u64 };
    send(kind, files, rows.into_iter().map(Ok), |items| json!({ (kind.list): items }), &api).await
}

/// Reads the file, whatever it is, with what the flags say of every piece.
fn read(bytes: &[u8], arguments: &Arguments) -> Result<(csv::StringRecord, Vec<Row>), String> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let mut shared = shared(arguments);
    let (header, mut rows) = if arguments.kind == EvidenceKind::KeywordResearch.as_str() && !is_json {
        let keywords = keywords::read(bytes)?;
        if !shared.contains_key("date") {
            let day = keywords.day.ok_or("does not say of which day it is; say so with --date")?;
            shared.insert("date".to_owned(), day.to_string().into());
        }
        shared.entry("source").or_insert_with(|| "Google Ads Keyword Planner".into());
        (keywords.header, keywords.rows)
    } else {
        (csv::StringRecord::from(vec!["json"]), lines(bytes)?)
    };
    for row in &mut rows {
        if let Ok(Value::Object(item)) = &mut row.item {
            for (name, value) in &shared {
                item.entry(name.as_str()).or_insert_with(|| value.clone());
            }
        }
    }
    Ok((header, rows))
}

fn shared(arguments: &Arguments) -> Map<String, Value> {
    let list = |ids: &[String]| (!ids.is_empty()).then(|| json!(ids));
    let fields = [
        ("kind", Some(json!(arguments.kind))),
        ("supports", list(&arguments.supports)),
        ("contradicts", list(&arguments.contradicts)),
        ("source", arguments.source.as_ref().map(|source| json!(source))),
        ("date", arguments.date.as_ref().map(|date| json!(date))),
        ("weight", arguments.weight.map(|weight| json!(weight))),
        ("topic", arguments.topic.as_ref().map(|topic| json!(topic))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Reads JSON Lines: each line by itself, so that one that is none is rejected alone.
fn lines(bytes: &[u8]) -> Result<Vec<Row>, String> {
    let (text, _, damaged) = encoding_rs::UTF_8.decode(bytes);
    if damaged {
        return Err("is not UTF-8".to_owned());
    }
    let filled = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let rows = filled.map(|(text, line)| {
        let item = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(mut item)) => {
                item.retain(|name, _| !AUTHORS.contains(&name.as_str()));
                Ok(Value::Object(item))
            }
            Ok(_) => Err("is no JSON object".to_owned()),
            Err(error) => Err(format!("is not JSON: {error}")),
        };
        Row { line, record: csv::StringRecord::from(vec![text]), item }
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(kind: &str) -> Arguments {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let line =
            ["import", "file", "--persona", "olga", "--kind", kind, "--supports", "a,b", "--weight", "2"];
        <Line as clap::Parser>::try_parse_from(line).unwrap().arguments
    }

    #[test]
    fn what_a_line_says_itself_is_right_and_its_author_stays_at_home() {
        let text = "{\"text\": \"Never again\", \"network\": \"reddit\", \"date\": \"2026-03-01\", \"author\": \"ada\", \"weight\": 5}\n\n[]\n{";
        let (_, rows) = read(text.as_bytes(), &arguments("social_listening")).unwrap();
        let [said, list, broken] = rows.try_into().unwrap_or_else(|rows: Vec<Row>| panic!("{}", rows.len()));
        assert_eq!(
            said.item.unwrap(),
            json!({"kind": "social_listening", "text": "Never again", "network": "reddit", "date": "2026-03-01",
                "weight": 5, "supports": ["a", "b"]})
        );
        assert_eq!((list.line, list.item.unwrap_err().as_str()), (3, "is no JSON object"));
        assert!(broken.item.unwrap_err().starts_with("is not JSON"));
    }

    #[test]
    fn keywords_have_the_day_of_their_export_or_that_of_the_flag() {
        let dated = "Keyword Stats 2026-09-18 at 1\nx\nKeyword,Avg. monthly searches\na,10\n";
        let (_, rows) = read(dated.as_bytes(), &arguments("keyword_research")).unwrap();
        let item = rows[0].item.clone().unwrap();
        assert_eq!(
            (&item["date"], &item["source"]),
            (&json!("2026-09-18"), &json!("Google Ads Keyword Planner"))
        );
        let undated = b"Keyword,Avg. monthly searches\na,10\n";
        assert!(read(undated, &arguments("keyword_research")).unwrap_err().contains("--date"));
        let said = Arguments { date: Some("2026-01-01".to_owned()), ..arguments("keyword_research") };
        assert_eq!(read(undated, &said).unwrap().1[0].item.clone().unwrap()["date"], json!("2026-01-01"));
    }
}
