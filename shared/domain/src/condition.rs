//! The condition language: one for segments, the lead definition, fit rules and signals.
//!
//! A condition is a tree of `all`, `any` and `not` over simple tests. Its logic has three values: a test of something
//! that is not known is neither true nor false but *unknown*, `not` of unknown is unknown, and only what is true is
//! met. So "country is not AT" does not catch a lead whose country nobody knows; to catch it, ask `exists: false`.
//!
//! Texts compare without regard to upper and lower case. A condition may use only what is evaluated before it
//! ([`Level`]); the playbook's parser checks that.

use crate::attribute::{AttributeName, AttributeValue, Attributes};
use crate::consent::{ConsentStatus, Consents, Purpose};
use crate::identity::Slug;
use crate::lead::{Touch, Touches};
use crate::ledger::{Ledger, SignalKey};
use crate::score::{Engagement, Fit, Label, Score};
use crate::stage::Stage;
use crate::time::Day;
use regex_lite::Regex;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A test of one value.
#[derive(Clone, Debug)]
pub enum Test {
    /// Is one of these.
    OneOf(Vec<AttributeValue>),
    /// Is a number between these, both included.
    Range {
        /// At least this.
        least: Option<f64>,
        /// At most this.
        most: Option<f64>,
    },
    /// Is known, or is not.
    Exists(bool),
    /// Matches a regular expression somewhere.
    Matches(Regex),
    /// Starts with this text.
    StartsWith(String),
    /// Contains this text.
    Contains(String),
}

fn starts_with_folded(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
        || (!(text.is_ascii() && start.is_ascii()) && text.to_lowercase().starts_with(&start.to_lowercase()))
}

fn same_text(a: &str, b: &str) -> bool {
    // Most texts differ in the first letter already, which is itself in any alphabet's lower case when it is ASCII.
    if let (Some(first), Some(other)) = (a.bytes().next(), b.bytes().next())
        && first.is_ascii()
        && other.is_ascii()
        && !first.eq_ignore_ascii_case(&other)
    {
        return false;
    }
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// Compares two values; texts without regard to case.
#[must_use]
pub fn same(a: &AttributeValue, b: &AttributeValue) -> bool {
    match (a, b) {
        (AttributeValue::Text(a), AttributeValue::Text(b)) => same_text(a, b),
        (AttributeValue::Number(a), AttributeValue::Number(b)) => {
            (a - b).abs() < f64::EPSILON * a.abs().max(1.0)
        }
        (AttributeValue::Flag(a), AttributeValue::Flag(b)) => a == b,
        _ => false,
    }
}

fn in_words(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

impl Test {
    /// Tests a value, or the lack of one.
    #[must_use]
    pub fn eval(&self, value: Option<&AttributeValue>) -> Option<bool> {
        let Some(value) = value else {
            return if let Self::Exists(wanted) = self { Some(!wanted) } else { None };
        };
        match (self, value) {
            (Self::Exists(wanted), _) => Some(*wanted),
            (Self::OneOf(values), _) => Some(values.iter().any(|wanted| same(wanted, value))),
            (Self::Range { least, most }, AttributeValue::Number(n)) => {
                Some(least.is_none_or(|least| *n >= least) && most.is_none_or(|most| *n <= most))
            }
            (Self::Range { .. }, AttributeValue::Flag(_)) => None,
            (_, value) => self.eval_text(&in_words(value)),
        }
    }

    /// Tests a text.
    fn eval_text(&self, text: &str) -> Option<bool> {
        Some(match self {
            Self::Exists(wanted) => *wanted,
            Self::OneOf(values) => values
                .iter()
                .any(|wanted| matches!(wanted, AttributeValue::Text(wanted) if same_text(wanted, text))),
            // A number that came through a form is still a number.
            Self::Range { .. } => {
                let n = text.trim().parse().ok().filter(|n: &f64| n.is_finite())?;
                return self.eval(Some(&AttributeValue::Number(n)));
            }
            Self::Matches(regex) => regex.is_match(text),
            Self::StartsWith(start) => starts_with_folded(text, start),
            Self::Contains(part) => text.to_lowercase().contains(&part.to_lowercase()),
        })
    }
}

/// Which touch of a lead is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichTouch {
    /// The first one.
    First,
    /// The latest one.
    Last,
}

/// Which part of a touch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchField {
    /// The channel.
    Channel,
    /// The campaign.
    Campaign,
    /// The landing page.
    LandingPage,
}

impl TouchField {
    /// Every field with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("channel", Self::Channel), ("campaign", Self::Campaign), ("landing_page", Self::LandingPage)];

    /// Gives the field of a touch.
    #[must_use]
    pub fn of(self, touch: &Touch) -> Option<&str> {
        match self {
            Self::Channel => touch.channel.as_deref(),
            Self::Campaign => touch.campaign.as_deref(),
            Self::LandingPage => touch.landing_page.as_deref(),
        }
    }
}

/// What a condition may look at; each level sees all before it. The order is the order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Attributes, signals, source, consent.
    Facts,
    /// Also score and label.
    Score,
    /// Also stage and owner.
    Stage,
    /// Also other segments.
    Segments,
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of these.
    All(Vec<Condition>),
    /// Any of these.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A test of an attribute.
    Attribute {
        /// Which.
        name: AttributeName,
        /// What is asked of it.
        test: Test,
    },
    /// How often a signal was seen.
    Signal {
        /// The signal's id in the playbook.
        signal: Slug,
        /// The signal's key in the ledger.
        key: SignalKey,
        /// At least so often.
        at_least: u32,
        /// At most so often.
        at_most: Option<u32>,
        /// Within so many days, today included.
        within_days: Option<u16>,
    },
    /// A test of where the lead came from.
    Source {
        /// Which touch.
        touch: WhichTouch,
        /// Which part of it.
        field: TouchField,
        /// What is asked of it.
        test: Test,
    },
    /// Is the status of a consent one of these?
    Consent {
        /// What for.
        purpose: Purpose,
        /// Which statuses.
        status: Vec<ConsentStatus>,
    },
    /// Is the label one of these?
    Label(Vec<Label>),
    /// Is the fit between these, both included?
    Fit(u8, u8),
    /// Is the engagement between these, both included?
    Engagement(u8, u8),
    /// Is the stage one of these?
    Stage(Vec<Stage>),
    /// Is the lead in another segment?
    Segment(Slug),
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The attributes.
    pub attributes: &'a Attributes,
    /// The signals.
    pub ledger: &'a Ledger,
    /// Where the lead came from.
    pub touches: &'a Touches,
    /// What it agreed to.
    pub consents: &'a Consents,
    /// The day of the evaluation.
    pub today: Day,
    /// The score, once it is known.
    pub score: Option<&'a Score>,
    /// The stage, once it is known.
    pub stage: Option<Stage>,
    /// The segments found so far.
    pub segments: &'a BTreeSet<Slug>,
}

impl<'a> View<'a> {
    /// Tells how often a signal was seen: within so many days, today included, or ever.
    #[must_use]
    pub fn hits(&self, key: SignalKey, within_days: Option<u16>) -> u32 {
        self.ledger.get(key).map_or(0, |counts| match within_days {
            Some(days) => counts.between(self.today.plus(1 - i32::from(days)), self.today),
            None => counts.until(self.today),
        })
    }

    /// Tells what a touch says of where the lead came from.
    #[must_use]
    pub fn touched(&self, touch: WhichTouch, field: TouchField) -> Option<&'a str> {
        let touch = match touch {
            WhichTouch::First => self.touches.first.as_ref(),
            WhichTouch::Last => self.touches.last(),
        };
        touch.and_then(|touch| field.of(touch))
    }
}

impl Condition {
    /// Evaluates the condition; `None` means that it cannot be known.
    #[must_use]
    pub fn eval(&self, view: &View<'_>) -> Option<bool> {
        match self {
            Self::All(parts) => {
                let mut known = true;
                for part in parts {
                    match part.eval(view) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => known = false,
                    }
                }
                known.then_some(true)
            }
            Self::Any(parts) => {
                let mut known = true;
                for part in parts {
                    match part.eval(view) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = false,
                    }
                }
                known.then_some(false)
            }
            Self::Not(part) => part.eval(view).map(|met| !met),
            Self::Attribute { name, test } => test.eval(view.attributes.get(name).map(|a| &a.value)),
            Self::Signal { key, at_least, at_most, within_days, .. } => {
                let n = view.hits(*key, *within_days);
                Some(n >= *at_least && at_most.is_none_or(|most| n <= most))
            }
            Self::Source { touch, field, test } => match view.touched(*touch, *field) {
                Some(text) => test.eval_text(text),
                None => test.eval(None),
            },
            Self::Consent { purpose, status } => {
                Some(view.consents.status(*purpose).is_some_and(|known| status.contains(&known)))
            }
            Self::Label(labels) => view.score.map(|score| labels.contains(&score.label)),
            Self::Fit(least, most) => view.score.map(|score| (*least..=*most).contains(&score.fit)),
            Self::Engagement(least, most) => {
                view.score.map(|score| (*least..=*most).contains(&score.engagement))
            }
            Self::Stage(stages) => view.stage.map(|stage| stages.contains(&stage)),
            Self::Segment(id) => Some(view.segments.contains(id)),
        }
    }

    /// Tells whether the condition is certainly met.
    #[must_use]
    pub fn met(&self, view: &View<'_>) -> bool {
        self.eval(view) == Some(true)
    }

    /// Gives the level that the condition needs.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().map(Self::level).max().unwrap_or(Level::Facts)
            }
            Self::Not(part) => part.level(),
            Self::Attribute { .. } | Self::Signal { .. } | Self::Source { .. } | Self::Consent { .. } => {
                Level::Facts
            }
            Self::Label(_) | Self::Fit(..) | Self::Engagement(..) => Level::Score,
            Self::Stage(_) => Level::Stage,
            Self::Segment(_) => Level::Segments,
        }
    }

    /// Calls `visit` with every simple test in the condition.
    pub fn visit(&self, visit: &mut impl FnMut(&Self)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(visit)),
            Self::Not(part) => part.visit(visit),
            simple => visit(simple),
        }
    }
}

impl Fit {
    /// Every band with its letter.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("A", Self::A), ("B", Self::B), ("C", Self::C), ("D", Self::D)];
}

impl Engagement {
    /// Every band with its number.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("1", Self::One), ("2", Self::Two), ("3", Self::Three), ("4", Self::Four)];
}
