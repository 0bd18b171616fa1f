//! What is asked of a report.

use adapters::http::Problem;
use axum::http::{HeaderMap, header};
use domain::condition::TouchField;
use domain::fault::Faults;
use domain::report::{Basis, Question};
use domain::time::{MINUTE_MS, Timestamp};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// For how long a report that took long is given to whoever asks the same, in milliseconds.
const FRESH_MS: i64 = 10 * MINUTE_MS;

/// The query of the campaigns report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CampaignsQuery {
    /// What the rows stand for: `channel`, `campaign` or `landing_page`, of the first touch; `channel` unless said.
    pub group_by: Option<String>,
    /// From when, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Until when, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
    /// `cohort` (by first contact) unless said, or `period` (by outcome).
    pub basis: Option<String>,
}

/// A question with the words in which it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The word for the basis.
    pub basis: &'static str,
    /// The time zone's name.
    pub tz: String,
}

fn word<T: Copy + PartialEq>(words: &'static [(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn campaigns(query: &CampaignsQuery, default_zone: &TimeZone) -> Result<Asked, Problem> {
    let faults = Faults::new();
    let choose = |name: &str, words: Vec<&'static str>, asked: &Option<String>| -> usize {
        let Some(text) = asked else { return 0 };
        words.iter().position(|word| word == text).unwrap_or_else(|| {
            faults.add(format!("/{name}"), format!("is \"{text}\"; expected one of: {}", words.join(", ")));
            0
        })
    };
    let group =
        choose("group_by", TouchField::WORDS.iter().map(|(word, _)| *word).collect(), &query.group_by);
    let basis = choose("basis", Basis::WORDS.iter().map(|(word, _)| *word).collect(), &query.basis);
    let zone = match &query.tz {
        None => default_zone.clone(),
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            faults.add(
                "/tz",
                "is not a time zone; expected a name of the IANA database, such as Europe/Vienna",
            );
            TimeZone::UTC
        }),
    };
    let time = |name: &str, asked: &Option<String>| {
        let text = asked.as_deref()?;
        let at = Timestamp::parse_in(text, &zone);
        if at.is_none() {
            faults.add(
                format!("/{name}"),
                "is not a time; expected a date such as 2026-02-01, or 2026-02-01T12:00:00Z",
            );
        }
        at
    };
    let (from, to) = (time("from", &query.from), time("to", &query.to));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        faults.add("/to", "does not lie after \"from\"; it is not included");
    }
    let group_by = TouchField::WORDS.get(group).map(|(_, field)| *field).unwrap_or(TouchField::Channel);
    let basis = Basis::WORDS.get(basis).map(|(_, basis)| *basis).unwrap_or(Basis::Cohort);
    let tz = zone.iana_name().unwrap_or("UTC").to_owned();
    let asked = Asked::new(Question { group_by, basis, from, to }, tz);
    faults.into_result(Some(asked)).map_err(Problem::invalid)
}

impl Asked {
    fn new(question: Question, tz: String) -> Self {
        let group_by = word(TouchField::WORDS, question.group_by);
        let basis = word(Basis::WORDS, question.basis);
        Self { question, group_by, basis, tz }
    }

    /// Gives the question as JSON, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "report": "campaigns",
            "group_by": self.group_by,
            "basis": self.basis,
            "from": self.question.from.map(|at| at.to_string()),
            "to": self.question.to.map(|at| at.to_string()),
            "tz": self.tz,
        })
    }

    /// Reads the question of a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let time = |name: &str| text(name).and_then(Timestamp::parse);
        let (group_by, basis) = (text("group_by")?, text("basis")?);
        let question = Question {
            group_by: TouchField::WORDS.iter().find(|(word, _)| *word == group_by)?.1,
            basis: Basis::WORDS.iter().find(|(word, _)| *word == basis)?.1,
            from: time("from"),
            to: time("to"),
        };
        Some(Self::new(question, text("tz")?.to_owned()))
    }

    /// Gives the id of the job that answers this question at this time.
    #[must_use]
    pub fn job_id(&self, now: Timestamp) -> String {
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(self.to_json().to_string().as_bytes()));
        let hash: String = hash.chars().take(16).collect();
        format!("report-{hash}-{}", now.millis().div_euclid(FRESH_MS))
    }
}

/// Tells whether the caller prefers CSV.
#[must_use]
pub fn wants_csv(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/csv"))
}
