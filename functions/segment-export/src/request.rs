//! What is asked of an export.

use crate::columns::{Column, FIXED};
use adapters::http::Problem;
use adapters::wire;
use axum::http::HeaderMap;
use domain::condition::{Condition, Level};
use domain::consent::Purpose;
use domain::playbook::Playbook;
use domain::sales::DeliveryId;
use serde_json::{Value, json};

/// The longest condition of a preview, in bytes: each of its parts is counted on its own.
const LONGEST_CONDITION: usize = 8_000;
/// The most columns that an export may have.
const MOST_COLUMNS: usize = 120;

/// Reads a condition that stands in no playbook, with how it is written.
///
/// # Errors
///
/// Every fault.
pub fn condition(body: &Value, playbook: &Playbook) -> Result<(Condition, Value), Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let when = object.required("where");
        let condition = when.as_ref().and_then(|node| {
            let size = node.value().to_string().len();
            if size > LONGEST_CONDITION {
                node.fault(format!("has {size} bytes; a preview takes {LONGEST_CONDITION}"));
                return None;
            }
            playbook.condition(node, Level::Segments)
        });
        object.finish();
        Some((condition?, when?.value().clone()))
    })
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Format {
    /// Every format with its word in the API, which is also the ending of its files.
    pub const WORDS: &'static [(&'static str, Self)] = &[("csv", Self::Csv), ("jsonl", Self::JsonLines)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// Gives the media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl",
        }
    }
}

/// What an export is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The segment.
    pub segment: String,
    /// The playbook version that says who is in it.
    pub playbook_version: u32,
    /// The format.
    pub format: Format,
    /// What the file is for; who has not consented to it is left out.
    pub purpose: Purpose,
    /// The columns.
    pub columns: Vec<Column>,
}

impl Asked {
    /// Tells whether the same was asked for, whatever playbook version was active.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { segment, playbook_version: _, format, purpose, columns } = self;
        (segment, format, purpose, columns) == (&other.segment, &other.format, &other.purpose, &other.columns)
    }

    /// Gives it as JSON, for the job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "segment": self.segment,
            "playbook_version": self.playbook_version,
            "format": self.format.as_str(),
            "purpose": self.purpose.as_str(),
            "columns": self.columns.iter().map(Column::name).collect::<Vec<_>>(),
        })
    }

    /// Reads it from a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let columns: Option<Vec<Column>> =
            json.get("columns")?.as_array()?.iter().map(|name| Column::parse(name.as_str()?).ok()).collect();
        let (format, purpose) = (text("format")?, text("purpose")?);
        Some(Self {
            segment: text("segment")?.to_owned(),
            playbook_version: u32::try_from(json.get("playbook_version")?.as_u64()?).ok()?,
            format: Format::WORDS.iter().find(|(word, _)| *word == format)?.1,
            purpose: Purpose::WORDS.iter().find(|(word, _)| *word == purpose)?.1,
            columns: columns?,
        })
    }
}

/// Reads what an export is to hold.
///
/// # Errors
///
/// Every fault.
pub fn export(body: &Value, segment: &str, playbook_version: u32) -> Result<Asked, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let format = object.required("format").and_then(|node| node.one_of(Format::WORDS));
        let purpose = object.required("purpose").and_then(|node| node.one_of(Purpose::WORDS));
        let columns = match object.optional("columns") {
            None => Some(FIXED.iter().map(|name| Column::Fixed(name)).collect()),
            Some(node) => node.list().map(|list| {
                if list.is_empty() || list.len() > MOST_COLUMNS {
                    node.fault(format!("has {} columns; expected 1 to {MOST_COLUMNS}", list.len()));
                }
                let mut columns: Vec<Column> = Vec::new();
                for node in list {
                    let Some(column) = node.parsed(Column::parse) else { continue };
                    if columns.contains(&column) {
                        node.fault("stands there twice");
                    }
                    columns.push(column);
                }
                columns
            }),
        };
        object.finish();
        Some(Asked {
            segment: segment.to_owned(),
            playbook_version,
            format: format?,
            purpose: purpose?,
            columns: columns?,
        })
    })
}

/// Chooses the id of an export: from the caller's key, or a new one.
///
/// # Errors
///
/// What is wrong with the key.
pub fn export_id(headers: &HeaderMap, segment: &str) -> Result<String, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    let id = key.map_or_else(wire::unrepeatable, |key| DeliveryId::new(&format!("export {segment}"), &key));
    Ok(format!("export-{id}"))
}
