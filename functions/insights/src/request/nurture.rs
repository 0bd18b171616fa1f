//! What is asked of the nurture report, and of the leads behind its figures.

use super::{Place, chosen, span_json, span_of, word};
use adapters::http::Problem;
use domain::fault::Faults;
use domain::identity::Slug;
use domain::phase::Phase;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use learning::nurtured::{Question, Side};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// What the rows stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Programs.
    Program,
    /// Personas in phases, program by program.
    PersonaPhase,
    /// Pieces of content, program by program.
    Content,
}

impl GroupBy {
    /// Every way to group with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("program", Self::Program), ("persona_phase", Self::PersonaPhase), ("content", Self::Content)];
}

/// The query of the nurture report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NurtureQuery {
    /// What the rows stand for: `program` (unless said), `persona_phase` (as of the day of eligibility), `content`.
    pub group_by: Option<String>,
    /// Of this program only.
    pub program: Option<String>,
    /// Leads eligible from when, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Until when, not included.
    pub to: Option<String>,
    /// The time zone of the dates, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
}

/// A question with the words in which it was asked.
#[derive(Clone, Debug)]
pub struct NurtureAsked {
    /// The question.
    pub question: Question,
    /// What the rows stand for.
    pub group_by: GroupBy,
    /// The time zone of the dates.
    pub zone: TimeZone,
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn nurture(query: &NurtureQuery, default_zone: &TimeZone) -> Result<NurtureAsked, Problem> {
    let faults = Faults::new();
    let (_, group_by) = chosen("group_by", GroupBy::WORDS, &query.group_by, &faults);
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    let program = slug("program", query.program.as_deref(), &faults);
    let question = Question { from, to, program };
    let asked = group_by.map(|group_by| NurtureAsked { question, group_by, zone });
    faults.into_result(asked).map_err(Problem::invalid)
}

fn slug(name: &str, text: Option<&str>, faults: &Faults) -> Option<Slug> {
    let parsed = Slug::parse(text?);
    if let Err(wrong) = &parsed {
        faults.add(format!("/{name}"), wrong.to_string());
    }
    parsed.ok()
}

impl NurtureAsked {
    /// Gives the question as JSON, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut asked = span_json("nurture", self.question.from, self.question.to, &self.zone);
        if let Some(map) = asked.as_object_mut() {
            map.insert("group_by".to_owned(), word(GroupBy::WORDS, self.group_by).into());
            map.insert("program".to_owned(), json!(self.question.program.as_ref().map(Slug::as_str)));
        }
        asked
    }

    /// Reads the question of a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let time = |name: &str| text(name).and_then(Timestamp::parse);
        let group_by = text("group_by")?;
        let program = text("program").map(Slug::parse).transpose().ok()?;
        Some(Self {
            question: Question { from: time("from"), to: time("to"), program },
            group_by: GroupBy::WORDS.iter().find(|(word, _)| *word == group_by)?.1,
            zone: TimeZone::get(text("tz")?).ok()?,
        })
    }
}

/// A figure of the nurture report that leads stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NurtureFigure {
    /// All leads.
    Leads,
    /// Those that became ready.
    Ready,
    /// Those that were won.
    Won,
}

impl NurtureFigure {
    /// Every figure with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("leads", Self::Leads), ("ready", Self::Ready), ("won", Self::Won)];
}

/// The query of the leads behind a figure of the nurture report.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NurtureLeadsQuery {
    /// Of which program.
    pub program: Option<String>,
    /// As in the report.
    pub from: Option<String>,
    /// As in the report.
    pub to: Option<String>,
    /// As in the report.
    pub tz: Option<String>,
    /// Of which arm: `nurtured` or `held_out`; of both unless said.
    pub arm: Option<String>,
    /// Of this persona on the day of eligibility; empty for those of none; of every one unless said.
    pub persona: Option<String>,
    /// In this phase on the day of eligibility; empty for those in none; in every one unless said.
    pub phase: Option<String>,
    /// `leads` unless said, `ready` or `won`.
    pub figure: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the leads behind a figure.
#[derive(Clone, Debug)]
pub struct NurtureLeadsAsked {
    /// The report's question.
    pub report: NurtureAsked,
    /// The arm, where one is meant.
    pub side: Option<Side>,
    /// The persona, where one is meant; inside it which, where it is one.
    pub persona: Option<Option<Slug>>,
    /// The phase, where one is meant; inside it which, where it is one.
    pub phase: Option<Option<Phase>>,
    /// The figure.
    pub figure: NurtureFigure,
    /// The word for it.
    pub figure_word: &'static str,
    /// How many.
    pub limit: usize,
    /// Where to go on.
    pub place: Place,
}

/// Reads the query; every fault at once, but for one of `limit`.
///
/// # Errors
///
/// The faults.
pub fn nurture_leads(
    query: &NurtureLeadsQuery,
    default_zone: &TimeZone,
) -> Result<NurtureLeadsAsked, Problem> {
    let faults = Faults::new();
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, &faults);
    if query.program.is_none() {
        faults.add("/program", "is required");
    }
    let program = slug("program", query.program.as_deref(), &faults);
    let side = query.arm.as_ref().and_then(|_| chosen("arm", Side::WORDS, &query.arm, &faults).1);
    let named = |text: &Option<String>| text.clone().map(|text| Some(text).filter(|text| !text.is_empty()));
    let persona = named(&query.persona).map(|text| slug("persona", text.as_deref(), &faults));
    let phase = named(&query.phase).map(|text| match text {
        Some(_) => chosen("phase", Phase::WORDS, &text, &faults).1,
        None => None,
    });
    let (figure_word, figure) = chosen("figure", NurtureFigure::WORDS, &query.figure, &faults);
    let limit = adapters::wire::limit(query.limit, 100)?;
    let place = Place::read(query.cursor.as_deref(), &faults);
    let report = NurtureAsked { question: Question { from, to, program }, group_by: GroupBy::Program, zone };
    let asked = figure.zip(place).map(|(figure, place)| NurtureLeadsAsked {
        report,
        side,
        persona,
        phase,
        figure,
        figure_word,
        limit,
        place,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}
