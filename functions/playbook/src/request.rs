//! What comes in: playbooks, people, tokens.

use crate::yaml;
use adapters::http::body::parse_json;
use adapters::http::{Problem, Role};
use adapters::wire;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use domain::calendar::Schedule;
use domain::identity::{Email, Slug};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// The query of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// The query of a new version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CommentQuery {
    /// What changed and why, in up to 500 characters.
    pub comment: Option<String>,
}

/// The query of a comparison.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The version to compare with, a number or `active`; `active` unless said.
    pub from: Option<String>,
}

/// What comes with a signature.
#[derive(Debug, Default)]
pub struct Signature {
    /// The hash of the content that the signer read.
    pub hash: Option<String>,
    /// The backtest that they had been shown.
    pub backtest: Option<String>,
    /// What they say.
    pub comment: Option<String>,
}

/// The longest comment, in characters.
const COMMENT: usize = 500;

/// Reads the comment of a new version.
///
/// # Errors
///
/// Where it is too long.
pub fn comment(text: Option<&str>) -> Result<Option<&str>, Problem> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > COMMENT => {
            Err(Problem::fault("/comment", format!("is longer than {COMMENT} characters")))
        }
        text => Ok(text),
    }
}

/// Reads what comes with a signature; an empty body says nothing.
///
/// # Errors
///
/// Every fault.
pub fn signature(bytes: &Bytes) -> Result<Signature, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Signature::default());
    }
    wire::one(&parse_json(bytes)?, |node| {
        let object = node.object()?;
        let text = |key: &'static str, most: usize| {
            object.optional(key).and_then(|node| node.text(most).map(str::to_owned))
        };
        let signature = Signature {
            hash: text("sha256", 64),
            backtest: text("backtest", 200),
            comment: text("comment", COMMENT),
        };
        object.finish();
        Some(signature)
    })
}

/// Reads what somebody declares about an attribute and gives it in its stored form.
///
/// # Errors
///
/// Every fault.
pub fn declaration(body: &Value, by: &str, now: Timestamp) -> Result<Value, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let known = object.required("known_at_capture").and_then(|node| node.boolean());
        let comment = object.optional("comment").map(|node| node.text(COMMENT));
        object.finish();
        Some(json!({
            "known_at_capture": known?,
            "comment": comment.flatten(),
            "declared_by": by,
            "declared_at": now.to_string(),
        }))
    })
}

/// How many earlier declarations of an attribute are kept.
const MOST_EARLIER: usize = 20;

/// Puts a declaration on top of the ones before, which stay readable: who vouched for what, and when, is never lost.
#[must_use]
pub fn over(before: Option<&Value>, said: &Value) -> Value {
    let mut said = said.clone();
    let mut earlier = Vec::new();
    if let Some(mut before) = before.cloned() {
        let known = before.as_object_mut().and_then(|map| map.remove("earlier"));
        earlier = known.and_then(|list| list.as_array().cloned()).unwrap_or_default();
        earlier.push(before);
    }
    let spare = earlier.len().saturating_sub(MOST_EARLIER);
    earlier.drain(..spare);
    if let Some(map) = said.as_object_mut() {
        map.insert("earlier".to_owned(), earlier.into());
    }
    said
}

/// Reads a playbook's document: JSON where the request says so, YAML otherwise (of which JSON is a part).
///
/// # Errors
///
/// Where it is neither.
pub fn document(headers: &HeaderMap, bytes: &Bytes) -> Result<Value, Problem> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.contains("json") {
        return parse_json(bytes);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::unreadable("is not UTF-8"))?;
    yaml::read(text).map_err(|error| Problem::unreadable(format!("is not YAML: {error}")))
}

/// Reads a person's record and gives it in its stored form.
///
/// # Errors
///
/// Every fault.
pub fn person(body: &Value) -> Result<Value, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let name = object.required("name").and_then(|node| node.text(200));
        let email = object.required("email").and_then(|node| node.parsed(Email::parse));
        let team = object
            .required("team")
            .and_then(|node| node.one_of(&[("sales", "sales"), ("marketing", "marketing")]));
        let schedule = Schedule::read(&object);
        let slug = |key: &'static str| object.optional(key).map(|node| node.parsed(Slug::parse));
        let (deputy, manager) = (slug("deputy"), slug("manager"));
        let capacity = |key: &'static str| object.optional(key).map(|node| node.integer(0, 10_000));
        let (daily, open) = (capacity("daily_capacity"), capacity("open_capacity"));
        let left_at = object.optional("left_at").map(|node| node.time());
        let crm_id = object.optional("crm_id").map(|node| node.text(200));
        // Kept as it was sent: whoever counts working hours reads it the same way.
        let sent = |key: &'static str| object.optional(key).map(|node| node.value().clone());
        let timezone = sent("timezone").unwrap_or_else(|| "UTC".into());
        let [working_hours, holidays, absences] = ["working_hours", "holidays", "absences"].map(sent);
        object.finish();
        schedule?;
        Some(json!({
            "name": name?,
            "email": email?.as_str(),
            "team": team?,
            "timezone": timezone,
            "working_hours": working_hours,
            "holidays": holidays,
            "absences": absences,
            "deputy": deputy.flatten().as_ref().map(Slug::as_str),
            "manager": manager.flatten().as_ref().map(Slug::as_str),
            "daily_capacity": daily.flatten(),
            "open_capacity": open.flatten(),
            "left_at": left_at.flatten().map(|at| at.to_string()),
            "crm_id": crm_id.flatten(),
        }))
    })
}

/// Reads what a new token is for: its role, its holder, and when it ends.
///
/// # Errors
///
/// Every fault.
pub fn token(body: &Value, now: Timestamp) -> Result<(Role, String, Option<Timestamp>), Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let role = object.required("role").and_then(|node| node.one_of(Role::WORDS));
        let holder = object.required("holder").and_then(|node| node.parsed(Slug::parse));
        let expires_at = match object.optional("expires_at") {
            None => Some(None),
            Some(node) => match node.time() {
                Some(at) if at <= now => {
                    node.fault("lies in the past; the token would never work");
                    None
                }
                at => at.map(Some),
            },
        };
        object.finish();
        Some((role?, holder?.as_str().to_owned(), expires_at?))
    })
}
