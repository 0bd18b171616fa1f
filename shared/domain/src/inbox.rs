//! What sales works on first: the order of an inbox, and why a lead stands where it stands.
//!
//! The order goes by these parts, each only where all before it are the same, so that "why is this one above that one?"
//! always has one answer, the first part in which they differ:
//!
//! 1. **promise** – broken, then due soon, then running, then none open: a promise is kept before anything else is done;
//! 2. **label** – the better first, counted in bands: `A1` is 0 bands from the best, `B1` and `A2` one, `D4` six; of those
//!    equally far the more active one, since they are at it now;
//! 3. **due** – of open promises the one that was or is due first;
//! 4. **tries** – whom fewest have tried to reach since the hand-off, up to as often as sales promised to try;
//! 5. **fresh** – who did something latest, by day;
//! 6. the lead's id, so that the order is a whole one.
//!
//! Sums of points would mix what cannot be compared: no label makes up for a promise that is broken.
//!
//! A rank is computed on read, for a moment: overdue moves with time, and nothing is written because it did.

use crate::identity::LeadId;
use crate::lead::Lead;
use crate::promise::Promises;
use crate::sales::{Move, SalesFact};
use crate::score::{Engagement, Fit};
use crate::time::{DAY_MS, Day, HOUR_MS, MINUTE_MS, Timestamp};
use std::cmp::Reverse;

/// How the promise of a first answer stands, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressing {
    /// The time is over and nobody answered.
    Broken,
    /// The last part of the time runs.
    DueSoon,
    /// There is time.
    Running,
    /// It was kept, or nothing was promised.
    Nothing,
}

impl Pressing {
    /// Every state with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("broken", Self::Broken),
        ("due_soon", Self::DueSoon),
        ("running", Self::Running),
        ("none", Self::Nothing),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    /// Tells how a lead's promise stands at a moment. That it is due soon goes by its owner's working hours, so it is so
    /// once that was said; one that was broken stays so until somebody answers, whoever has the lead by then.
    #[must_use]
    pub fn of(lead: &Lead, now: Timestamp) -> Self {
        let Some(due_at) = lead.promise_due_at else { return Self::Nothing };
        let said = || since_hand_off(lead).map(|fact| &fact.what);
        if due_at <= now || said().any(|what| matches!(what, Move::PromiseBroken { .. })) {
            Self::Broken
        } else if said().any(|what| *what == Move::PromiseDueSoon) {
            Self::DueSoon
        } else {
            Self::Running
        }
    }
}

/// Where a lead stands in an inbox; the smallest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How its promise stands.
    pub promise: Pressing,
    /// How many bands its label is from the best one, and how many of them in engagement.
    pub bands: (u8, u8),
    /// When its promise was or is due; the end of time where none is open.
    pub due_at: Timestamp,
    /// How often somebody tried to reach it since it was handed over, up to as often as sales promised.
    pub tries: u16,
    /// The day on which it last did something, or came.
    pub fresh: Reverse<Day>,
    /// Which lead.
    pub lead: LeadId,
}

impl Rank {
    /// Gives the rank of a lead at a moment.
    #[must_use]
    pub fn of(lead: &Lead, promises: &Promises, now: Timestamp) -> Self {
        let fit = Fit::WORDS.iter().position(|(_, band)| *band == lead.score.label.fit);
        let engagement = Engagement::WORDS.iter().position(|(_, band)| *band == lead.score.label.engagement);
        let band = |place: Option<usize>| place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX);
        let (fit, engagement) = (band(fit), band(engagement));
        let did = lead.ledger.iter().map(|(_, counts)| counts.last()).max();
        Self {
            promise: Pressing::of(lead, now),
            bands: (fit.saturating_add(engagement), engagement),
            due_at: lead.promise_due_at.unwrap_or(Timestamp::LATEST),
            tries: tries(lead).min(promised_tries(promises)),
            fresh: Reverse(did.unwrap_or(lead.responded_at.unwrap_or(lead.created_at).day())),
            lead: lead.id.clone(),
        }
    }

    /// Says each part, in the order in which they count.
    #[must_use]
    pub fn because(&self, lead: &Lead, promises: &Promises, now: Timestamp) -> Vec<Part> {
        let part = |name, value: String, says: String| Part { name, value, says };
        let left = || span(self.due_at.since(now).abs());
        let promise = match self.promise {
            Pressing::Broken if self.due_at > now => {
                format!("the promise of an answer was broken; who has it now is to answer in {}", left())
            }
            Pressing::Broken => format!("the promise of an answer was broken {} ago", left()),
            Pressing::DueSoon => format!("the promise of an answer is due soon, in {}", left()),
            Pressing::Running => format!("the promise of an answer is due in {}", left()),
            Pressing::Nothing => "no promise is open".to_owned(),
        };
        let bands = match self.bands.0 {
            0 => "the best there is".to_owned(),
            1 => "one band from the best".to_owned(),
            n => format!("{n} bands from the best"),
        };
        let Reverse(fresh) = self.fresh;
        let mut parts = vec![
            part("promise", self.promise.as_str().to_owned(), promise),
            part("label", lead.score.label.to_string(), bands),
        ];
        if self.promise != Pressing::Nothing {
            let says = "of promises that stand alike, the one that is due first comes first".to_owned();
            parts.push(part("due", self.due_at.to_string(), says));
        }
        let tried = match self.tries {
            0 => "nobody has tried to reach them since they were handed over".to_owned(),
            n if n >= promised_tries(promises) => "they were tried as often as promised".to_owned(),
            n => format!("they were tried {n} of {} times", promised_tries(promises)),
        };
        parts.push(part("tries", self.tries.to_string(), tried));
        let days = now.day().0.saturating_sub(fresh.0);
        let did = match days {
            ..=0 => "did something today".to_owned(),
            1 => "did something yesterday".to_owned(),
            n => format!("last did something {n} days ago"),
        };
        parts.push(part("fresh", fresh.to_string(), did));
        parts
    }

    /// Writes the rank, so that a page can go on behind it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let promise = Pressing::WORDS.iter().position(|(_, state)| *state == self.promise).unwrap_or(0);
        let (bands, engagement) = self.bands;
        let (due, tried, fresh) = (self.due_at.millis(), self.tries, self.fresh.0.0);
        format!("{promise} {bands} {engagement} {due} {tried} {fresh} {}", self.lead)
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let rank = Self {
            promise: Pressing::WORDS.get(parts.next()?.parse::<usize>().ok()?)?.1,
            bands: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
            due_at: Timestamp::from_millis(parts.next()?.parse().ok()?),
            tries: parts.next()?.parse().ok()?,
            fresh: Reverse(Day(parts.next()?.parse().ok()?)),
            lead: LeadId::parse(parts.next()?).ok()?,
        };
        parts.next().is_none().then_some(rank)
    }
}

/// A part of a rank, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub name: &'static str,
    /// What it is for this lead.
    pub value: String,
    /// That as a sentence.
    pub says: String,
}

/// Gives what was reported since a lead was last handed over, or ever where it never was, but for what was withdrawn.
fn since_hand_off(lead: &Lead) -> impl Iterator<Item = &SalesFact> {
    let counts = |fact: &&SalesFact| !lead.withdrawn.contains(&fact.id);
    let handed = |fact: &SalesFact| matches!(fact.what, Move::MarketingQualified { .. }) && counts(&fact);
    let from = lead.sales.iter().rposition(handed).unwrap_or(0);
    lead.sales.iter().skip(from).filter(counts)
}

fn follow_ups(lead: &Lead) -> impl Iterator<Item = &SalesFact> {
    since_hand_off(lead).filter(|fact| fact.what == Move::FollowedUp)
}

/// Tells how often somebody tried to reach a lead since it was last handed over.
#[must_use]
pub fn tries(lead: &Lead) -> u16 {
    u16::try_from(follow_ups(lead).count()).unwrap_or(u16::MAX)
}

/// Tells when somebody last tried to reach a lead since it was last handed over.
#[must_use]
pub fn followed_up_at(lead: &Lead) -> Option<Timestamp> {
    follow_ups(lead).last().map(|fact| fact.at)
}

/// Tells how often sales promised to try; once where it promised nothing.
#[must_use]
pub fn promised_tries(promises: &Promises) -> u16 {
    promises.tries.as_ref().map_or(1, |tries| tries.at_least.max(1))
}

/// Says how long a time is, in the largest unit that fits.
#[must_use]
pub fn span(ms: i64) -> String {
    let (n, unit) = match ms {
        ..HOUR_MS => (ms / MINUTE_MS, "minute"),
        HOUR_MS..DAY_MS => (ms / HOUR_MS, "hour"),
        _ => (ms / DAY_MS, "day"),
    };
    if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") }
}
