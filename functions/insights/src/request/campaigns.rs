//! What is asked of the campaigns report, and of the leads behind its figures.

use super::{Place, chosen, span_of, word};
use adapters::http::Problem;
use domain::condition::TouchField;
use domain::fault::Faults;
use domain::report::{Basis, Question};
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

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
pub struct CampaignsAsked {
    /// The question.
    pub question: Question,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The word for the basis.
    pub basis: &'static str,
    /// The time zone's name.
    pub tz: String,
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn campaigns(query: &CampaignsQuery, default_zone: &TimeZone) -> Result<CampaignsAsked, Problem> {
    let faults = Faults::new();
    let (_, group_by) = chosen("group_by", TouchField::WORDS, &query.group_by, &faults);
    let (_, basis) = chosen("basis", Basis::WORDS, &query.basis, &faults);
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let tz = zone.iana_name().unwrap_or("UTC").to_owned();
    let asked = group_by
        .zip(basis)
        .map(|(group_by, basis)| CampaignsAsked::new(Question { group_by, basis, from, to }, tz));
    faults.into_result(asked).map_err(Problem::invalid)
}

impl CampaignsAsked {
    /// Gives a question its words.
    #[must_use]
    pub fn new(question: Question, tz: String) -> Self {
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
}

/// A figure of the campaigns report that leads stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// All leads of a row.
    Leads,
    /// Those that were handed to sales, or came further.
    Qualified,
    /// Those that sales took, or that came further.
    Accepted,
    /// Those with a won deal.
    Won,
    /// Those that were lost or disqualified.
    Lost,
    /// Those that are neither.
    Open,
    /// Those whose touches a model credits.
    Credited,
    /// The members of a campaign.
    Members,
}

impl Figure {
    /// Every figure with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("leads", Self::Leads),
        ("qualified", Self::Qualified),
        ("accepted", Self::Accepted),
        ("won", Self::Won),
        ("lost", Self::Lost),
        ("open", Self::Open),
        ("credited", Self::Credited),
        ("members", Self::Members),
    ];
}

/// The query of the leads behind a figure of the campaigns report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LeadsQuery {
    /// As in the report.
    pub group_by: Option<String>,
    /// As in the report.
    pub from: Option<String>,
    /// As in the report.
    pub to: Option<String>,
    /// As in the report.
    pub tz: Option<String>,
    /// As in the report.
    pub basis: Option<String>,
    /// The row's name; empty for the one without a name; every row unless said.
    pub row: Option<String>,
    /// `leads` unless said, `qualified`, `accepted`, `won`, `lost`, `open`, `credited` or `members`.
    pub figure: Option<String>,
    /// The status of members; any unless said.
    pub status: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the leads behind a figure.
#[derive(Clone, Debug)]
pub struct LeadsAsked {
    /// The report's question.
    pub report: CampaignsAsked,
    /// The row, where one is meant; inside it the name, where it has one.
    pub row: Option<Option<String>>,
    /// The figure.
    pub figure: Figure,
    /// The word for it.
    pub figure_word: &'static str,
    /// The status of members, where one is meant.
    pub status: Option<String>,
    /// How many.
    pub limit: usize,
    /// Where to go on.
    pub place: Place,
}

/// Reads the query; every fault at once, but for one of `limit` or `cursor`.
///
/// # Errors
///
/// The faults.
pub fn leads_behind(query: &LeadsQuery, default_zone: &TimeZone) -> Result<LeadsAsked, Problem> {
    let faults = Faults::new();
    let (figure_word, figure) = chosen("figure", Figure::WORDS, &query.figure, &faults);
    let report = CampaignsQuery {
        group_by: query.group_by.clone(),
        from: query.from.clone(),
        to: query.to.clone(),
        tz: query.tz.clone(),
        basis: query.basis.clone(),
    };
    let report = match campaigns(&report, default_zone) {
        Ok(report) => Some(report),
        Err(problem) => {
            problem.faults().iter().for_each(|fault| faults.add(fault.pointer.clone(), fault.detail.clone()));
            None
        }
    };
    if figure == Some(Figure::Members) {
        if query.group_by.as_deref() != Some("campaign") {
            faults.add("/group_by", "is to be \"campaign\": members are a campaign's");
        }
        if query.row.as_deref().is_none_or(str::is_empty) {
            faults.add("/row", "is required: members are a campaign's");
        }
    } else if query.status.is_some() {
        faults.add("/status", "is not expected: only members have one");
    }
    let limit = adapters::wire::limit(query.limit, 100)?;
    let place = Place::read(query.cursor.as_deref(), &faults);
    let row = query.row.as_ref().map(|name| Some(name.clone()).filter(|name| !name.is_empty()));
    let asked = report.zip(figure).zip(place).map(|((report, figure), place)| LeadsAsked {
        report,
        row,
        figure,
        figure_word,
        status: query.status.clone(),
        limit,
        place,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}
