//! What is asked of the funnel, and of the leads behind its figures.

use super::{Place, chosen, span_json, span_of, word};
use adapters::http::Problem;
use domain::fault::Faults;
use domain::funnel::{GroupBy, Question};
use domain::report::Basis;
use domain::stage::Stage;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The query of the funnel.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FunnelQuery {
    /// What the rows stand for: `channel` (unless said), `campaign` or `landing_page` of the first touch, `country`, `persona`,
    /// `segment`, `label`, `person` (in sales, who has the lead), or `first_contact_month`.
    pub group_by: Option<String>,
    /// From when, included: a date in the time zone, or an RFC 3339 time.
    pub from: Option<String>,
    /// Until when, not included.
    pub to: Option<String>,
    /// The time zone of the dates and months, such as Europe/Vienna; the playbook's unless said.
    pub tz: Option<String>,
    /// `cohort` (leads by first contact) unless said, or `period` (what happened in the time).
    pub basis: Option<String>,
}

/// A question with the words in which it was asked.
#[derive(Clone, Debug)]
pub struct FunnelAsked {
    /// The question.
    pub question: Question,
    /// The word for what the rows stand for.
    pub group_by: &'static str,
    /// The word for the basis.
    pub basis: &'static str,
}

/// Reads the query; every fault at once.
///
/// # Errors
///
/// The faults.
pub fn funnel(query: &FunnelQuery, default_zone: &TimeZone) -> Result<FunnelAsked, Problem> {
    let faults = Faults::new();
    let asked = read(query, default_zone, &faults);
    faults.into_result(asked).map_err(Problem::invalid)
}

fn read(query: &FunnelQuery, default_zone: &TimeZone, faults: &Faults) -> Option<FunnelAsked> {
    let (_, group_by) = chosen("group_by", GroupBy::WORDS, &query.group_by, faults);
    let (_, basis) = chosen("basis", Basis::WORDS, &query.basis, faults);
    let (from, to, zone) = span_of(&query.from, &query.to, &query.tz, default_zone, faults);
    Some(FunnelAsked::new(Question { group_by: group_by?, basis: basis?, from, to, zone }))
}

impl FunnelAsked {
    /// Gives a question its words.
    #[must_use]
    pub fn new(question: Question) -> Self {
        let group_by = word(GroupBy::WORDS, question.group_by);
        let basis = word(Basis::WORDS, question.basis);
        Self { question, group_by, basis }
    }

    /// Gives the question as JSON, for a job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut asked = span_json("funnel", self.question.from, self.question.to, &self.question.zone);
        if let Some(map) = asked.as_object_mut() {
            map.insert("group_by".to_owned(), self.group_by.into());
            map.insert("basis".to_owned(), self.basis.into());
        }
        asked
    }

    /// Reads the question of a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let time = |name: &str| text(name).and_then(Timestamp::parse);
        let (group_by, basis) = (text("group_by")?, text("basis")?);
        Some(Self::new(Question {
            group_by: GroupBy::WORDS.iter().find(|(word, _)| *word == group_by)?.1,
            basis: Basis::WORDS.iter().find(|(word, _)| *word == basis)?.1,
            from: time("from"),
            to: time("to"),
            zone: TimeZone::get(text("tz")?).ok()?,
        }))
    }
}

/// A figure of the funnel that leads stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunnelFigure {
    /// All leads of a row.
    Leads,
    /// Those with a won deal.
    Won,
    /// Those that were lost or disqualified.
    Lost,
    /// Those that are neither; of a stage, those that came so far, no further, and are neither.
    Open,
    /// Those that came as far as a stage.
    Reached,
    /// Those that stood in it.
    Entered,
    /// Those that left it.
    Left,
    /// Those that left it for a further one.
    Advanced,
}

impl FunnelFigure {
    /// Every figure with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("leads", Self::Leads),
        ("won", Self::Won),
        ("lost", Self::Lost),
        ("open", Self::Open),
        ("reached", Self::Reached),
        ("entered", Self::Entered),
        ("left", Self::Left),
        ("advanced", Self::Advanced),
    ];

    /// Tells whether it is one of a row and not of a stage.
    const fn is_of_row(self) -> bool {
        matches!(self, Self::Leads | Self::Won | Self::Lost)
    }

    /// Tells whether it is one of a stage and not of a row.
    const fn is_of_stage(self) -> bool {
        matches!(self, Self::Reached | Self::Entered | Self::Left | Self::Advanced)
    }
}

/// The query of the leads behind a figure of the funnel.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FunnelLeadsQuery {
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
    /// The stage that the figure is of; none for one of the whole row.
    pub stage: Option<String>,
    /// `leads` unless said, `won`, `lost` or `open`; of a stage `reached`, `entered`, `open`, `left` or `advanced`.
    pub figure: Option<String>,
    /// How many, 1 to 200; 100 unless said.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A question for the leads behind a figure.
#[derive(Clone, Debug)]
pub struct FunnelLeadsAsked {
    /// The report's question.
    pub report: FunnelAsked,
    /// The row, where one is meant; inside it the name, where it has one.
    pub row: Option<Option<String>>,
    /// The stage, where the figure is of one.
    pub stage: Option<Stage>,
    /// The figure.
    pub figure: FunnelFigure,
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
pub fn funnel_leads(query: &FunnelLeadsQuery, default_zone: &TimeZone) -> Result<FunnelLeadsAsked, Problem> {
    let faults = Faults::new();
    let report = FunnelQuery {
        group_by: query.group_by.clone(),
        from: query.from.clone(),
        to: query.to.clone(),
        tz: query.tz.clone(),
        basis: query.basis.clone(),
    };
    let report = read(&report, default_zone, &faults);
    let stage = query.stage.as_ref().and_then(|_| {
        // A contact is no lead, and so stands behind no figure.
        chosen("stage", Stage::WORDS.get(1..).unwrap_or_default(), &query.stage, &faults).1
    });
    let (figure_word, figure) = chosen("figure", FunnelFigure::WORDS, &query.figure, &faults);
    match figure {
        Some(figure) if figure.is_of_stage() && query.stage.is_none() => {
            faults.add("/stage", format!("is required: \"{figure_word}\" is a figure of a stage"));
        }
        Some(figure) if figure.is_of_row() && query.stage.is_some() => {
            faults.add("/stage", format!("is not expected: \"{figure_word}\" is a figure of the whole row"));
        }
        _ => {}
    }
    let limit = adapters::wire::limit(query.limit, 100)?;
    let place = Place::read(query.cursor.as_deref(), &faults);
    let row = query.row.as_ref().map(|name| Some(name.clone()).filter(|name| !name.is_empty()));
    let asked = report.zip(figure).zip(place).map(|((report, figure), place)| FunnelLeadsAsked {
        report,
        row,
        stage,
        figure,
        figure_word,
        limit,
        place,
    });
    faults.into_result(asked).map_err(Problem::invalid)
}
