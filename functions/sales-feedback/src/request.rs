//! What sales sends.

use adapters::http::Problem;
use adapters::routing::Leaving;
use adapters::wire;
use adapters::wire::feedback::{Sent, fact};
use axum::http::{HeaderMap, header};
use domain::attribute::AttributeValue;
use domain::change::Incoming;
use domain::country::Country;
use domain::fault::Faults;
use domain::identity::{LeadRef, Slug};
use domain::inbox::{Pressing, Rank};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::reader::Node;
use domain::score::Label;
use domain::stage::Stage;
use domain::time::{Day, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The query of the dossier.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TimelineQuery {
    /// How many entries of the timeline, 1 to 200; 50 unless said.
    pub limit: Option<u32>,
    /// Where the page of the timeline starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// The query of the score.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ScoreQuery {
    /// The day, as an RFC 3339 time or a date; now unless said.
    pub at: Option<String>,
    /// The playbook version by which to score; the lead's own unless said.
    pub version: Option<u32>,
}

/// The query of a lead's labels over time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LabelsQuery {
    /// The first day, such as 2026-02-01; that of the lead's first fact unless said.
    pub from: Option<String>,
    /// The last day, included; today unless said.
    pub to: Option<String>,
    /// The playbook version by which to score; the lead's own unless said.
    pub version: Option<u32>,
}

/// The most days that a series spans.
const MOST_DAYS: i32 = 1_500;

/// Reads the days of a series; where more are asked for than it may span, the fault.
///
/// # Errors
///
/// Every fault.
pub fn days(query: &LabelsQuery, first: Day, today: Day) -> Result<(Day, Day), Problem> {
    let faults = Faults::new();
    let read = |name: &str, asked: Option<&str>, otherwise: Day| {
        let Some(text) = asked else { return otherwise };
        let day = Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC).map(Timestamp::day);
        day.unwrap_or_else(|| {
            faults.add(format!("/{name}"), "is not a day; expected one such as 2026-02-01");
            otherwise
        })
    };
    let to = read("to", query.to.as_deref(), today);
    let from = read("from", query.from.as_deref(), first.max(to.plus(1 - MOST_DAYS)));
    if faults.is_empty() && from > to && query.from.is_some() {
        faults.add("/to", "lies before \"from\"");
    }
    if faults.is_empty() && to.0 - from.0 >= MOST_DAYS {
        faults.add("/from", format!("is too long ago; a series spans at most {MOST_DAYS} days"));
    }
    faults.into_result(Some((from, to))).map_err(Problem::invalid)
}

/// The query of the inbox.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// Whose inbox.
    pub owner: Option<String>,
    /// Only leads in this stage.
    pub stage: Option<String>,
    /// Only leads with this label, such as A1.
    pub label: Option<String>,
    /// Only leads of this country: its code or its name.
    pub country: Option<String>,
    /// Only leads of this territory of the active playbook; `default` for those of none.
    pub territory: Option<String>,
    /// Only leads that mirror this persona.
    pub persona: Option<String>,
    /// Only leads in this segment.
    pub segment: Option<String>,
    /// Only leads whose promise stands so: `broken`, `due_soon`, `running`, `none`.
    pub promise: Option<String>,
    /// `true`: only leads whose promise is broken.
    pub overdue: Option<bool>,
    /// Only what came into the inbox since: a `marker` of an earlier answer, or a time.
    pub new_since: Option<String>,
    /// How many, 1 to 200; 100 unless said, in CSV all.
    pub limit: Option<u32>,
    /// Where the page starts: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What an inbox is to have.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub owner: Option<Slug>,
    /// Behind which rank, and for which moment that was.
    pub cursor: Option<(Timestamp, Rank)>,
    stage: Option<Stage>,
    label: Option<Label>,
    country: Option<Country>,
    territory: Option<Slug>,
    persona: Option<Slug>,
    segment: Option<Slug>,
    promise: Option<Pressing>,
    new_since: Option<Timestamp>,
}

impl Filter {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Every fault.
    pub fn read(query: &InboxQuery, playbook: &Playbook) -> Result<Self, Problem> {
        let faults = Faults::new();
        let slug = |name: &str, asked: &Option<String>| {
            asked.as_deref().and_then(|text| {
                Slug::parse(text).map_err(|error| faults.add(format!("/{name}"), error.to_string())).ok()
            })
        };
        fn asked<T>(
            faults: &Faults,
            name: &str,
            asked: &Option<String>,
            read: impl Fn(&str) -> Option<T>,
            expected: &str,
        ) -> Option<T> {
            let found = read(asked.as_deref()?);
            if found.is_none() {
                faults.add(format!("/{name}"), format!("is not one; expected {expected}"));
            }
            found
        }
        let stages: Vec<&str> =
            Stage::WORDS.iter().filter(|(_, s)| s.in_inbox()).map(|(word, _)| *word).collect();
        let stage = |text: &str| Stage::parse(text).filter(|stage| stage.in_inbox());
        let states: Vec<&str> = Pressing::WORDS.iter().map(|(word, _)| *word).collect();
        let state =
            |text: &str| Pressing::WORDS.iter().find(|(word, _)| *word == text).map(|(_, state)| *state);
        let territories = || playbook.territories.iter().map(|territory| &territory.id);
        let territory = |text: &str| {
            territories()
                .find(|id| id.as_str() == text)
                .cloned()
                .or(Slug::parse(text).ok().filter(|_| text == NO_TERRITORY))
        };
        let known: Vec<&str> = territories().map(Slug::as_str).chain([NO_TERRITORY]).collect();
        let time = |text: &str| Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC);
        let promise =
            asked(&faults, "promise", &query.promise, state, &format!("one of: {}", states.join(", ")));
        if query.overdue == Some(true) && promise.is_some_and(|promise| promise != Pressing::Broken) {
            faults.add("/overdue", "asks for broken promises only, and \"promise\" for others");
        }
        let filter = Self {
            owner: slug("owner", &query.owner),
            cursor: asked(&faults, "cursor", &query.cursor, read_cursor, "next_cursor of the page before"),
            stage: asked(
                &faults,
                "stage",
                &query.stage,
                stage,
                &format!("a stage of the inbox: {}", stages.join(", ")),
            ),
            label: asked(&faults, "label", &query.label, Label::parse, "a label such as A1"),
            country: asked(
                &faults,
                "country",
                &query.country,
                Country::parse,
                "a country, such as AT or Austria",
            ),
            territory: asked(
                &faults,
                "territory",
                &query.territory,
                territory,
                &format!("one of: {}", known.join(", ")),
            ),
            persona: slug("persona", &query.persona),
            segment: slug("segment", &query.segment),
            promise: promise.or((query.overdue == Some(true)).then_some(Pressing::Broken)),
            new_since: asked(
                &faults,
                "new_since",
                &query.new_since,
                time,
                "the marker of an earlier answer, or a time such as 2026-02-01T12:00:00Z",
            ),
        };
        faults.into_result(Some(filter)).map_err(Problem::invalid)
    }

    /// Tells whether a lead is to be shown.
    #[must_use]
    pub fn has(&self, lead: &Lead, playbook: &Playbook, now: Timestamp) -> bool {
        let country = || match lead.country() {
            Some(AttributeValue::Text(text)) => Country::parse(text),
            _ => None,
        };
        let territory =
            || playbook.territory(lead, now.day()).map_or(NO_TERRITORY, |territory| territory.id.as_str());
        self.stage.is_none_or(|stage| lead.stage == stage)
            && self.label.is_none_or(|label| lead.score.label == label)
            && self.country.is_none_or(|asked| country() == Some(asked))
            && self.territory.as_ref().is_none_or(|asked| territory() == asked.as_str())
            && self.persona.as_ref().is_none_or(|persona| lead.persona.as_ref() == Some(persona))
            && self.segment.as_ref().is_none_or(|segment| lead.segments.contains(segment))
            && self.promise.is_none_or(|state| Pressing::of(lead, now) == state)
            && self.new_since.is_none_or(|since| lead.person_since.is_some_and(|at| at > since))
    }
}

/// Stands for the leads of no territory.
const NO_TERRITORY: &str = "default";

/// Tells whether the caller asked for a media type.
#[must_use]
pub fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(media_type))
}

/// Writes where the next page of the inbox starts.
#[must_use]
pub fn inbox_cursor(as_of: Timestamp, rank: &Rank) -> String {
    data_encoding::BASE64URL_NOPAD.encode(format!("{} {}", as_of.millis(), rank.to_text()).as_bytes())
}

fn read_cursor(text: &str) -> Option<(Timestamp, Rank)> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (as_of, rank) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    Some((Timestamp::from_millis(as_of.parse().ok()?), Rank::parse(rank)?))
}

/// Reads the day of a score.
///
/// # Errors
///
/// The fault.
pub fn at(asked: Option<&str>, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(text) = asked else { return Ok(now) };
    // A date means its end, so that all that happened on it counts.
    let end_of_day = Timestamp::parse(&format!("{}T23:59:59.999Z", text.trim()));
    Timestamp::parse(text).or(end_of_day).filter(|at| *at >= Timestamp::EARLIEST).ok_or_else(|| {
        Problem::fault("/at", "is not a time; expected one such as 2026-02-01T12:00:00Z, or 2026-02-01")
    })
}

/// Reads to whom somebody's leads go.
///
/// # Errors
///
/// Every fault.
pub fn leaving(body: &Value, from: Slug) -> Result<Leaving, Problem> {
    wire::one(body, |node| {
        let object = node.object()?;
        let to = object.optional("to").map(|node| {
            let to = node.parsed(Slug::parse)?;
            if to == from {
                node.fault("has them already; expected somebody else");
            }
            Some(to)
        });
        object.finish();
        Some(Leaving { from: from.clone(), to: to.map_or(Some(None), |to| to.map(Some))? })
    })
}

/// A fact with the lead that it is about.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// Which lead.
    pub lead: LeadRef,
    /// The fact.
    pub sent: Sent,
}

/// Gives what a reference is, for grouping.
#[must_use]
pub fn key(lead: &LeadRef) -> String {
    match lead {
        LeadRef::Id(id) => id.as_str().to_owned(),
        LeadRef::Known(identity) => adapters::dynamodb::keys::identity_key(identity),
    }
}

/// Reads one fact.
///
/// # Errors
///
/// Its faults.
pub fn feedback(body: &Value, headers: &HeaderMap, by: &str, now: Timestamp) -> Result<Sent, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    wire::one(body, |node| {
        let object = node.object()?;
        let fact = fact(node, &object, key.map(|key| format!("{key}#0")), by, now);
        object.finish();
        fact.map(|sent| Sent { fact: Incoming { strict: true, ..sent.fact }, ..sent })
    })
}

/// Reads up to 100 facts.
///
/// # Errors
///
/// The faults of the envelope.
pub fn batch(
    body: &Value,
    headers: &HeaderMap,
    by: &str,
    now: Timestamp,
) -> Result<Vec<Result<Feedback, Problem>>, Problem> {
    let key = wire::idempotency_key(headers).map_err(|detail| Problem::fault("", detail))?;
    let faults = Faults::new();
    let mut history = false;
    let items = Node::root(body, &faults).object().and_then(|object| {
        history = wire::history(&object);
        let items = wire::items(&object, "feedback");
        object.finish();
        items.map(|items| items.iter().map(|node| node.value().clone()).collect::<Vec<_>>())
    });
    let items = faults.into_result(items).map_err(Problem::invalid)?;
    let read = |(at, value): (usize, &Value)| {
        wire::one(value, |node| {
            let object = node.object()?;
            let lead = object.required("lead").and_then(|node| wire::lead_ref(&node));
            let key = key.as_ref().map(|key| format!("{key}#{at}"));
            // Facts without a time of their own happened in the order in which they were sent.
            let sent = fact(node, &object, key, by, now.plus(i64::try_from(at).unwrap_or(0)));
            object.finish();
            let sent = sent?;
            Some(Feedback { lead: lead?, sent: Sent { fact: Incoming { history, ..sent.fact }, ..sent } })
        })
    };
    Ok(items.iter().enumerate().map(read).collect())
}
