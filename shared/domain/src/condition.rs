//! The condition language: one for segments, the lead definition, fit rules and signals.
//!
//! A condition is a tree of `all`, `any` and `not` over simple tests. Its logic has three values: a test of something
//! that is not known is neither true nor false but *unknown*, `not` of unknown is unknown, and only what is true is
//! met. So "country is not AT" does not catch a lead whose country nobody knows; to catch it, ask `exists: false`.
//! `docs/conditions.md` says what each word means, and what of it may be unknown.
//!
//! Texts compare without regard to upper and lower case. A condition may use only what is evaluated before it
//! ([`Level`]); the playbook's parser checks that.
//!
//! # Days
//!
//! A date is looked at as a UTC day, whether it is an attribute's, a signal's or that of a stage. All of them are asked
//! with one [`DayTest`], which also knows on which days its answer turns ([`Condition::next_turn`]): so what time alone
//! changes is found by looking at those days, and not at every day to come.

use crate::attribute::{AttributeName, AttributeValue, Attributes};
use crate::consent::{ConsentStatus, Consents, Purpose};
use crate::country::Country;
use crate::identity::{LeadId, Slug};
use crate::lead::{Touch, Touches};
use crate::ledger::{Ledger, SignalKey};
use crate::phase::Phase;
use crate::score::{Engagement, Fit, Label, Score};
use crate::stage::{Stage, Team};
use crate::time::{Day, Timestamp};
use regex_lite::Regex;
use sha2::{Digest, Sha256};
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

/// A test of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DayTest {
    /// Lies between these days, both included.
    Between {
        /// Not before this day.
        from: Option<Day>,
        /// Not after this day.
        to: Option<Day>,
    },
    /// Lies so many days before today, both included; a day to come lies less than none before it.
    Ago {
        /// At least so many.
        least: Option<i32>,
        /// At most so many.
        most: Option<i32>,
    },
    /// Comes round again within so many days, today included: on the same day of a later year, and on 28 February
    /// where it is the 29th and the year has none.
    Anniversary(u16),
}

impl DayTest {
    /// Tests a day.
    #[must_use]
    pub fn eval(&self, day: Day, today: Day) -> bool {
        match self {
            Self::Between { from, to } => {
                from.is_none_or(|from| day >= from) && to.is_none_or(|to| day <= to)
            }
            Self::Ago { least, most } => {
                let ago = today.0.saturating_sub(day.0);
                least.is_none_or(|least| ago >= least) && most.is_none_or(|most| ago <= most)
            }
            Self::Anniversary(within) => {
                let end = today.plus(i32::from(*within));
                anniversaries(day, today).any(|again| today <= again && again < end)
            }
        }
    }

    /// Gives the first today after `after` on which the answer may be another one than the day before.
    fn next_turn(&self, day: Day, after: Day) -> Option<Day> {
        let later = |turn: &Day| *turn > after;
        match self {
            Self::Between { .. } => None,
            Self::Ago { least, most } => {
                let ends = [least.map(|least| day.plus(least)), most.map(|most| day.plus(most).plus(1))];
                ends.into_iter().flatten().filter(later).min()
            }
            Self::Anniversary(within) => {
                let ends = |again: Day| [again.plus(1 - i32::from(*within)), again.plus(1)];
                anniversaries(day, after).flat_map(ends).filter(later).min()
            }
        }
    }
}

/// Gives the anniversaries of a day in the year of another day, or its own first ones, and the two years after.
fn anniversaries(day: Day, near: Day) -> impl Iterator<Item = Day> {
    let first = near.year().max(day.year().saturating_add(1));
    (first..=first.saturating_add(2)).filter_map(move |year| day.in_year(year))
}

/// How one attribute compares with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Has the same value.
    Same,
    /// Is a date on an earlier day.
    Before,
    /// Is a date on a later day.
    After,
}

/// Reads the day of a value: a calendar day, or the UTC day of a time.
fn day_of(value: &AttributeValue) -> Option<Day> {
    match value {
        AttributeValue::Text(text) => Day::parse(text).or_else(|| Some(Timestamp::parse(text)?.day())),
        _ => None,
    }
}

/// Tells whether a value is one of these countries; `None` where it names no country.
fn in_countries(value: &AttributeValue, countries: &[Country]) -> Option<bool> {
    let AttributeValue::Text(text) = value else { return None };
    Some(countries.contains(&Country::parse(text)?))
}

/// Tells whether a lead is in the share of a name: the same leads each time, more of them with each percent, and others
/// for another name.
fn sampled(id: &LeadId, percent: u8, of: &Slug) -> bool {
    let hash = Sha256::digest(format!("{of} {id}").as_bytes());
    let draw = hash.iter().take(8).fold(0_u128, |draw, byte| draw << 8 | u128::from(*byte));
    (draw * 100) >> 64 < u128::from(percent)
}

/// Which time of several is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichTime {
    /// The first one.
    First,
    /// The latest one.
    Last,
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
    /// Attributes, country, signals, source, consent, a random share.
    Facts,
    /// Also score and label.
    Score,
    /// Also the persona.
    Persona,
    /// Also stage, for how long, and owner.
    Stage,
    /// Also the phase.
    Phase,
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
    /// A test of the day of an attribute that is a date.
    Date {
        /// Which.
        name: AttributeName,
        /// What is asked of its day.
        test: DayTest,
    },
    /// A comparison of an attribute with another one.
    Compared {
        /// Which.
        name: AttributeName,
        /// How it compares.
        how: Comparison,
        /// With which other one.
        other: AttributeName,
    },
    /// Is the country one of these?
    Country {
        /// The attribute that holds it.
        name: AttributeName,
        /// The countries, in the order of their codes.
        countries: Vec<Country>,
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
    /// A test of the day on which a signal was seen.
    Seen {
        /// The signal's id in the playbook.
        signal: Slug,
        /// The signal's key in the ledger.
        key: SignalKey,
        /// Which day.
        which: WhichTime,
        /// What is asked of it.
        test: DayTest,
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
    /// Is the persona one of these?
    Persona(Vec<Slug>),
    /// Is the stage one of these?
    Stage(Vec<Stage>),
    /// A test of the day since which it is in its stage.
    InStage(DayTest),
    /// Does this team own the lead?
    Team(Team),
    /// Does one of these people have the lead?
    Person(Vec<Slug>),
    /// Is the phase one of these?
    Phase(Vec<Phase>),
    /// Is the lead in another segment?
    Segment(Slug),
    /// Is the lead in a random share of all, which is always the same?
    Sample {
        /// So many of a hundred.
        percent: u8,
        /// The name of the draw.
        of: Slug,
    },
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The lead's id.
    pub id: &'a LeadId,
    /// The attributes.
    pub attributes: &'a Attributes,
    /// The signals.
    pub ledger: &'a Ledger,
    /// The signals that machines showed, which count for nothing.
    pub withheld: &'a Ledger,
    /// Where the lead came from.
    pub touches: &'a Touches,
    /// What it agreed to.
    pub consents: &'a Consents,
    /// The day of the evaluation.
    pub today: Day,
    /// The score, once it is known.
    pub score: Option<&'a Score>,
    /// The persona that it mirrors, once it is known.
    pub persona: Option<&'a Slug>,
    /// The stage, once it is known.
    pub stage: Option<Stage>,
    /// Since when the lead is in its stage.
    pub stage_since: Timestamp,
    /// The person who has it.
    pub person: Option<&'a Slug>,
    /// The phase that it is in, once it is known.
    pub phase: Option<Phase>,
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

    /// Tells on which day a signal was first or last seen. A hit that lies ahead of today, by a clock that runs ahead,
    /// is no first one yet and makes today the last.
    #[must_use]
    pub fn seen(&self, key: SignalKey, which: WhichTime) -> Option<Day> {
        let counts = self.ledger.get(key).filter(|counts| counts.until(self.today) > 0)?;
        Some(match which {
            WhichTime::First => counts.first,
            WhichTime::Last => counts.last().min(self.today),
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
            Self::Persona(personas) => Some(view.persona.is_some_and(|persona| personas.contains(persona))),
            Self::Stage(stages) => view.stage.map(|stage| stages.contains(&stage)),
            Self::Phase(phases) => Some(view.phase.is_some_and(|phase| phases.contains(&phase))),
            Self::Segment(id) => Some(view.segments.contains(id)),
            seldom => seldom.eval_seldom(view),
        }
    }

    /// Evaluates what few rules ask, apart from the rest so that the rest stays as fast as it is.
    #[inline(never)]
    fn eval_seldom(&self, view: &View<'_>) -> Option<bool> {
        match self {
            Self::Date { test, .. } | Self::Seen { test, .. } => Some(test.eval(self.day(view)?, view.today)),
            Self::Compared { name, how, other } => {
                let value = |name| view.attributes.get(name).map(|attribute| &attribute.value);
                let (a, b) = (value(name)?, value(other)?);
                Some(match how {
                    Comparison::Same => same(a, b),
                    Comparison::Before => day_of(a)? < day_of(b)?,
                    Comparison::After => day_of(a)? > day_of(b)?,
                })
            }
            Self::Country { name, countries } => in_countries(&view.attributes.get(name)?.value, countries),
            Self::InStage(test) => view.stage.and(self.day(view)).map(|day| test.eval(day, view.today)),
            Self::Team(team) => view.stage.map(|stage| stage.team() == *team),
            Self::Person(people) => {
                view.stage.map(|_| view.person.is_some_and(|person| people.contains(person)))
            }
            Self::Sample { percent, of } => Some(sampled(view.id, *percent, of)),
            _ => None,
        }
    }

    /// Gives the day that a simple test asks about, where there is one.
    fn day(&self, view: &View<'_>) -> Option<Day> {
        match self {
            Self::Date { name, .. } => day_of(&view.attributes.get(name)?.value),
            Self::Seen { key, which, .. } => view.seen(*key, *which),
            // A change of stage that lies ahead, by a clock that runs ahead, is one of today.
            Self::InStage(_) => Some(view.stage_since.day().min(view.today)),
            _ => None,
        }
    }

    /// Gives the first day after the view's today on which time alone may change a simple test of a day, with nothing
    /// happening. What depends on counts of signals is not among these: it may change on any day until all windows have
    /// run out.
    #[must_use]
    pub fn next_turn(&self, view: &View<'_>) -> Option<Day> {
        match self {
            Self::Date { test, .. } | Self::Seen { test, .. } | Self::InStage(test) => {
                test.next_turn(self.day(view)?, view.today)
            }
            _ => None,
        }
    }

    /// Gives the attributes that a simple test looks at.
    #[must_use]
    pub fn attributes(&self) -> Vec<&AttributeName> {
        match self {
            Self::Attribute { name, .. } | Self::Date { name, .. } | Self::Country { name, .. } => vec![name],
            Self::Compared { name, other, .. } => vec![name, other],
            _ => Vec::new(),
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
            Self::Attribute { .. }
            | Self::Date { .. }
            | Self::Compared { .. }
            | Self::Country { .. }
            | Self::Signal { .. }
            | Self::Seen { .. }
            | Self::Source { .. }
            | Self::Consent { .. }
            | Self::Sample { .. } => Level::Facts,
            Self::Label(_) | Self::Fit(..) | Self::Engagement(..) => Level::Score,
            Self::Persona(_) => Level::Persona,
            Self::Stage(_) | Self::InStage(_) | Self::Team(_) | Self::Person(_) => Level::Stage,
            Self::Phase(_) => Level::Phase,
            Self::Segment(_) => Level::Segments,
        }
    }

    /// Tells how many days back its windows over signals look; 0 where it has none.
    #[must_use]
    pub fn lookback_days(&self) -> i32 {
        let mut days = 0;
        self.visit(&mut |part| {
            if let Self::Signal { within_days: Some(window), .. } = part {
                days = days.max(i32::from(*window));
            }
        });
        days
    }

    /// Calls `visit` with every simple test in the condition.
    pub fn visit<'c>(&'c self, visit: &mut impl FnMut(&'c Self)) {
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
