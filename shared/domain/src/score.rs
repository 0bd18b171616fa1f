//! Fit and engagement, and the explanation that adds up to them.
//!
//! Both are sums of points: fit of rules about who the lead is, engagement of rules about what it did. Rules stand in
//! groups, a group may have a cap, and the sum is clamped to 0 to 100. Points of a signal may fade:
//!
//! > contribution = points × Σ over the counted hits of 2^(−age / half-life), age in whole UTC days
//!
//! (exponential decay, as for any quantity with a half-life). Sums are kept in thousandths of a point; 2^−x comes
//! from a fixed-point table that is computed with integers alone, so that every machine gets the same points.
//!
//! The score and its explanation come from one walk over the rules (`walk`) with different listeners, so they cannot
//! disagree. A line of the explanation is a whole number: the rounded running sum after it less the one before it.
//! Hence the lines add up to the score exactly, and rounding shows where fractions arise, in the lines about fading.
//!
//! What machines showed gives no points; lines of their own say how many it would have given (`withheld`).
//!
//! Each line also says what it rests on ([`Basis`]), so that its points can be followed back to what the lead did:
//! hits of a signal by the day, times the points of each, less what the group's cap takes, less what faded. Only the
//! listener that writes lines gathers that; a score without an explanation never pays for it.

mod withheld;

use crate::attribute::{AttributeName, AttributeValue};
use crate::condition::{Condition, TouchField, View, WhichTouch};
use crate::consent::{ConsentStatus, Purpose};
use crate::identity::Slug;
use crate::ledger::Counts;
use crate::machine;
use crate::playbook::{Bands, EngagementRule, FitRule, Group, How, Playbook, Signal};
use crate::time::Day;
use std::fmt;

/// How many parts a point is kept in.
const MILLI: i64 = 1_000;
/// The number of binary digits of the decay table's factors.
const FACTOR_BITS: u32 = 30;
/// After how many half-lives points are gone.
const HORIZON_HALVINGS: u32 = 17;

/// The fit band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fit {
    /// The right person.
    A,
    /// Good.
    B,
    /// Fair.
    C,
    /// Not one of ours.
    D,
}

/// The engagement band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engagement {
    /// Very active.
    One,
    /// Active.
    Two,
    /// A little active.
    Three,
    /// Not active.
    Four,
}

/// Fit crossed with engagement: `A1` is the right person, very active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Who they are.
    pub fit: Fit,
    /// What they did.
    pub engagement: Engagement,
}

impl Label {
    /// Reads a label such as `A1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let (fit, engagement) = (chars.next()?.to_string(), chars.as_str());
        Some(Self {
            fit: Fit::WORDS.iter().find(|(word, _)| *word == fit)?.1,
            engagement: Engagement::WORDS.iter().find(|(word, _)| *word == engagement)?.1,
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fit = Fit::WORDS.iter().find(|(_, b)| *b == self.fit).map_or("", |(w, _)| w);
        let engagement = Engagement::WORDS.iter().find(|(_, b)| *b == self.engagement).map_or("", |(w, _)| w);
        write!(f, "{fit}{engagement}")
    }
}

/// A score: two numbers from 0 to 100, and the label that follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Who they are, 0 to 100.
    pub fit: u8,
    /// What they did, 0 to 100.
    pub engagement: u8,
    /// Both bands.
    pub label: Label,
}

impl Score {
    fn new(fit: u8, engagement: u8, bands: &Bands) -> Self {
        Self {
            fit,
            engagement,
            label: Label { fit: bands.fit(fit), engagement: bands.engagement(engagement) },
        }
    }
}

/// A half-life in days with its table of 2^(−age / half-life) for each age before the horizon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfLife {
    days: u16,
    table: Vec<u32>,
}

impl HalfLife {
    /// Makes the table for a half-life of at least one day.
    #[must_use]
    pub fn new(days: u16) -> Self {
        let days = days.max(1);
        // roots[k] = 2^(−1/2^(k+1)) in 60 binary digits, each the square root of the one before.
        const ONE: u128 = 1 << 60;
        let mut roots = Vec::with_capacity(30);
        let mut root = ONE / 2;
        for _ in 0..30 {
            root = (root * ONE).isqrt();
            roots.push(root);
        }
        let first: Vec<u32> = (0..u64::from(days))
            .map(|r| {
                // r / days as 30 binary digits; each digit set multiplies by its root.
                let fraction = ((r << 30) + u64::from(days) / 2) / u64::from(days);
                let product = roots
                    .iter()
                    .enumerate()
                    .filter(|(k, _)| fraction >> (29 - k) & 1 == 1)
                    .fold(ONE, |product, (_, root)| (product * root) >> 60);
                u32::try_from((product + (1 << 29)) >> 30).unwrap_or(u32::MAX)
            })
            .collect();
        let table =
            (0..HORIZON_HALVINGS).flat_map(|halvings| first.iter().map(move |f| f >> halvings)).collect();
        Self { days, table }
    }

    /// Gives the half-life in days.
    #[must_use]
    pub const fn days(&self) -> u16 {
        self.days
    }

    /// Gives 2^(−age / half-life) in units of 2^−30; 0 from [`Self::horizon_days`] on, so that the days that the
    /// ledger drops behind it are worth nothing, however many hits they have.
    #[must_use]
    pub fn factor(&self, age_days: u32) -> u32 {
        self.table.get(age_days as usize).copied().unwrap_or(0)
    }

    /// Gives the age in days from which a hit counts for nothing: one of 100 points would count for less than a
    /// thousandth of a point.
    #[must_use]
    pub const fn horizon_days(&self) -> i32 {
        self.days as i32 * HORIZON_HALVINGS as i32
    }
}

/// Which of the two numbers a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who they are.
    Fit,
    /// What they did.
    Engagement,
}

/// What a line of the explanation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A rule gave or took points.
    Points,
    /// Points faded with time.
    Fading,
    /// A group reached its cap.
    Cap,
    /// The sum left the range of 0 to 100.
    Clamp,
    /// Points were withheld: machines did what they are for. The line itself gives none.
    Withheld,
}

impl LineKind {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Fading => "fading",
            Self::Cap => "cap",
            Self::Clamp => "clamp",
            Self::Withheld => "withheld",
        }
    }
}

/// What a line rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Basis {
    /// Hits of a signal: the points of the line are `each` times `hits`.
    Hits {
        /// The signal.
        signal: Slug,
        /// The points of each hit.
        each: i16,
        /// How many hits count; the latest ones do.
        hits: u32,
        /// How many count on each day, oldest first. Where points never fade, days that are no longer kept have hits
        /// that are not among these.
        days: Vec<(Day, u32)>,
    },
    /// A condition that was met, with everything that it looks at.
    Condition(Vec<Seen>),
    /// Points that halve in so many days.
    HalfLife(u16),
    /// The most that the rules of the group may give together.
    Cap(i64),
    /// The range of a score.
    Range,
    /// Hits that machines showed, which give no points.
    Withheld {
        /// The points that they would give.
        points: i64,
        /// How many there are, by the rule that tells them.
        hits: Vec<(machine::Rule, u32)>,
    },
}

/// Something that a condition looks at, with what it found.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// An attribute.
    Attribute {
        /// Which.
        name: AttributeName,
        /// Its value, where it is known.
        value: Option<AttributeValue>,
    },
    /// How often a signal was seen.
    Signal {
        /// Which.
        signal: Slug,
        /// How often.
        hits: u32,
        /// Within how many days, today included; ever where none is given.
        within_days: Option<u16>,
    },
    /// Where the lead came from.
    Source {
        /// Which touch.
        touch: WhichTouch,
        /// Which part of it.
        field: TouchField,
        /// What it says, where it is known.
        value: Option<String>,
    },
    /// A consent.
    Consent {
        /// What for.
        purpose: Purpose,
        /// Its status, where anything was said.
        status: Option<ConsentStatus>,
    },
}

impl Seen {
    /// Looks at everything that a condition about facts looks at, once each.
    fn of(condition: &Condition, view: &View<'_>) -> Vec<Self> {
        let mut all = Vec::new();
        condition.visit(&mut |part| {
            for name in part.attributes() {
                let value = view.attributes.get(name).map(|attribute| attribute.value.clone());
                let seen = Self::Attribute { name: name.clone(), value };
                if !all.contains(&seen) {
                    all.push(seen);
                }
            }
            let seen = match part {
                Condition::Signal { signal, key, within_days, .. } => Self::Signal {
                    signal: signal.clone(),
                    hits: view.hits(*key, *within_days),
                    within_days: *within_days,
                },
                Condition::Seen { signal, key, .. } => {
                    Self::Signal { signal: signal.clone(), hits: view.hits(*key, None), within_days: None }
                }
                Condition::Source { touch, field, .. } => Self::Source {
                    touch: *touch,
                    field: *field,
                    value: view.touched(*touch, *field).map(str::to_owned),
                },
                Condition::Consent { purpose, .. } => {
                    Self::Consent { purpose: *purpose, status: view.consents.status(*purpose) }
                }
                // Rules look at facts only, and a random share rests on none.
                _ => return,
            };
            if !all.contains(&seen) {
                all.push(seen);
            }
        });
        all
    }
}

/// A line of the explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Which number it belongs to.
    pub part: Part,
    /// What kind of line it is.
    pub kind: LineKind,
    /// The group of the rule, whose cap it shares; none for a clamp.
    pub group: Option<Slug>,
    /// The rule, or the group for a cap; none for a clamp.
    pub rule: Option<Slug>,
    /// The points, which may be negative.
    pub points: i64,
    /// Why, in a sentence.
    pub because: String,
    /// What it rests on.
    pub basis: Basis,
}

/// A score with the lines that add up to it: those of [`Part::Fit`] to the fit, the others to the engagement.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The score.
    pub score: Score,
    /// The lines, in the order of the playbook.
    pub lines: Vec<Line>,
}

/// What a step of the walk is about.
enum Event<'a> {
    FitRule(&'a FitRule),
    Hits { rule: &'a EngagementRule, signal: &'a Signal, counts: Counts<'a>, hits: u32, last: Day },
    When { rule: &'a EngagementRule, condition: &'a Condition },
    Fading { rule: &'a EngagementRule, half_life: u16 },
    Cap { id: &'a Slug, title: &'a str, cap: i64 },
    Clamp,
}

/// Hears every change of the running sum.
trait Listener {
    /// Hears that the rules of a group follow, or that no group is left.
    fn enter(&mut self, group: Option<&Slug>);
    fn hear(&mut self, part: Part, event: &Event<'_>, before: i64, after: i64);
}

struct Silent;

impl Listener for Silent {
    fn enter(&mut self, _: Option<&Slug>) {}
    fn hear(&mut self, _: Part, _: &Event<'_>, _: i64, _: i64) {}
}

struct Writer<'a> {
    view: &'a View<'a>,
    group: Option<Slug>,
    lines: Vec<Line>,
}

const fn round(milli: i64) -> i64 {
    (milli + MILLI / 2).div_euclid(MILLI)
}

/// Tells on which days the latest `hits` hits up to `today` were, as far as days are kept.
fn latest(counts: &Counts<'_>, today: Day, hits: u32) -> Vec<(Day, u32)> {
    let mut left = hits;
    let mut days = Vec::new();
    for (day, n) in counts.days.iter().rev().filter(|(day, _)| *day <= today) {
        let counted = (*n).min(left);
        if counted == 0 {
            break;
        }
        left -= counted;
        days.push((*day, counted));
    }
    days.reverse();
    days
}

impl Listener for Writer<'_> {
    fn enter(&mut self, group: Option<&Slug>) {
        self.group = group.cloned();
    }

    fn hear(&mut self, part: Part, event: &Event<'_>, before: i64, after: i64) {
        let points = round(after) - round(before);
        let kind = match event {
            Event::FitRule(_) | Event::Hits { .. } | Event::When { .. } => LineKind::Points,
            Event::Fading { .. } => LineKind::Fading,
            Event::Cap { .. } => LineKind::Cap,
            Event::Clamp => LineKind::Clamp,
        };
        if points == 0 && kind != LineKind::Points {
            return;
        }
        let (rule, because, basis) = match event {
            Event::FitRule(rule) => {
                let seen = Seen::of(&rule.when, self.view);
                (Some(&rule.id), rule.because(self.view), Basis::Condition(seen))
            }
            Event::Hits { rule, signal, counts, hits, last } => {
                let days = latest(counts, self.view.today, *hits);
                let basis = Basis::Hits { signal: signal.id.clone(), each: rule.points, hits: *hits, days };
                (Some(&rule.id), format!("{hits} × {}, last on {last}", signal.title), basis)
            }
            Event::When { rule, condition } => {
                (Some(&rule.id), rule.title.clone(), Basis::Condition(Seen::of(condition, self.view)))
            }
            Event::Fading { rule, half_life } => {
                let because = format!("faded with a half-life of {half_life} days");
                (Some(&rule.id), because, Basis::HalfLife(*half_life))
            }
            Event::Cap { id, title, cap } => {
                (Some(*id), format!("{title} counts for at most {cap}"), Basis::Cap(*cap))
            }
            Event::Clamp => (None, "a score lies between 0 and 100".to_owned(), Basis::Range),
        };
        let (rule, group) = (rule.cloned(), self.group.clone());
        self.lines.push(Line { part, kind, group, rule, points, because, basis });
    }
}

/// The running sum of one part.
struct Sum<'l, L> {
    part: Part,
    milli: i64,
    listener: &'l mut L,
}

impl<'l, L: Listener> Sum<'l, L> {
    /// Adds up the groups of a part, each of whose rules `add` knows how to count.
    fn of<R>(part: Part, groups: &[Group<R>], listener: &'l mut L, add: impl Fn(&R, &mut Self)) -> u8 {
        let mut sum = Self { part, milli: 0, listener };
        for group in groups {
            let start = sum.milli;
            sum.listener.enter(Some(&group.id));
            for rule in &group.rules {
                add(rule, &mut sum);
            }
            if let Some(cap) = group.cap.map(i64::from)
                && sum.milli - start > cap * MILLI
            {
                sum.set(&Event::Cap { id: &group.id, title: &group.title, cap }, start + cap * MILLI);
            }
        }
        sum.listener.enter(None);
        let clamped = sum.milli.clamp(0, 100 * MILLI);
        if clamped != sum.milli {
            sum.set(&Event::Clamp, clamped);
        }
        u8::try_from(round(clamped)).unwrap_or(100)
    }

    fn add(&mut self, event: &Event<'_>, milli: i64) {
        self.set(event, self.milli.saturating_add(milli));
    }

    fn set(&mut self, event: &Event<'_>, milli: i64) {
        let before = std::mem::replace(&mut self.milli, milli);
        self.listener.hear(self.part, event, before, milli);
    }
}

fn fit_rule<L: Listener>(rule: &FitRule, view: &View<'_>, sum: &mut Sum<'_, L>) {
    if rule.when.met(view) {
        sum.add(&Event::FitRule(rule), i64::from(rule.points) * MILLI);
    }
}

// Without the hint it would be called from two places and cost the walk a fourteenth of its speed.
#[inline(always)]
fn engagement_rule<L: Listener>(
    rule: &EngagementRule,
    playbook: &Playbook,
    view: &View<'_>,
    sum: &mut Sum<'_, L>,
) {
    match &rule.how {
        How::When(condition) => {
            if condition.met(view) {
                sum.add(&Event::When { rule, condition }, i64::from(rule.points) * MILLI);
            }
        }
        How::PerHit { signal, key, max_hits, half_life } => {
            let Some(counts) = view.ledger.get(*key) else { return };
            let Some(signal) = playbook.signals.get(*signal) else { return };
            let today = view.today;
            let points = i64::from(rule.points) * MILLI;
            let Some(half_life) = half_life else {
                let hits = counts.until(today).min(*max_hits);
                if hits > 0 {
                    let known = counts.days.iter().rev().map(|(day, _)| *day).find(|day| *day <= today);
                    let last = known.unwrap_or(counts.first);
                    let event = Event::Hits { rule, signal, counts, hits, last };
                    sum.add(&event, points.saturating_mul(i64::from(hits)));
                }
                return;
            };
            let (mut hits, mut factors, mut last) = (0_u32, 0_u64, None);
            for (day, n) in counts.days.iter().rev().filter(|(day, _)| *day <= today) {
                let counted = (*n).min(max_hits.saturating_sub(hits));
                if counted == 0 {
                    break;
                }
                last = last.or(Some(*day));
                hits += counted;
                let age = u32::try_from(today.0 - day.0).unwrap_or(0);
                factors += u64::from(counted) * u64::from(half_life.factor(age));
            }
            if let Some(last) = last {
                let raw = points.saturating_mul(i64::from(hits));
                let faded =
                    i64::try_from((i128::from(points) * i128::from(factors)) >> FACTOR_BITS).unwrap_or(raw);
                sum.add(&Event::Hits { rule, signal, counts, hits, last }, raw);
                if faded != raw {
                    sum.add(&Event::Fading { rule, half_life: half_life.days() }, faded - raw);
                }
            }
        }
    }
}

/// Walks all rules once; whoever wants an explanation listens.
fn walk(playbook: &Playbook, view: &View<'_>, listener: &mut impl Listener) -> Score {
    let fit = Sum::of(Part::Fit, &playbook.fit, listener, |rule, sum| fit_rule(rule, view, sum));
    let engagement = Sum::of(Part::Engagement, &playbook.engagement, listener, |rule, sum| {
        engagement_rule(rule, playbook, view, sum);
    });
    Score::new(fit, engagement, &playbook.bands)
}

/// Scores what the view shows.
#[must_use]
pub fn score(playbook: &Playbook, view: &View<'_>) -> Score {
    walk(playbook, view, &mut Silent)
}

/// Scores what the view shows, and says why.
#[must_use]
pub fn explain(playbook: &Playbook, view: &View<'_>) -> Explanation {
    let mut writer = Writer { view, group: None, lines: Vec::new() };
    let score = walk(playbook, view, &mut writer);
    writer.lines.extend(withheld::lines(playbook, view));
    Explanation { score, lines: writer.lines }
}

/// A rule of either part.
#[derive(Clone, Copy)]
pub(crate) enum Rule<'a> {
    Fit(&'a FitRule),
    Engagement(&'a EngagementRule),
}

impl<'a> Rule<'a> {
    /// Gives every rule of a playbook, in its order.
    pub(crate) fn all(playbook: &'a Playbook) -> impl Iterator<Item = Self> {
        let fit = playbook.fit.iter().flat_map(|group| &group.rules).map(Self::Fit);
        fit.chain(playbook.engagement.iter().flat_map(|group| &group.rules).map(Self::Engagement))
    }

    pub(crate) const fn id(self) -> &'a Slug {
        match self {
            Self::Fit(rule) => &rule.id,
            Self::Engagement(rule) => &rule.id,
        }
    }

    /// Gives the condition that the rule asks, where it does not count a signal.
    pub(crate) const fn when(self) -> Option<&'a Condition> {
        match self {
            Self::Fit(rule) => Some(&rule.when),
            Self::Engagement(EngagementRule { how: How::When(condition), .. }) => Some(condition),
            Self::Engagement(_) => None,
        }
    }

    /// Gives what the rule alone comes to, before any cap: in thousandths of a point and in whole points.
    pub(crate) fn net(self, playbook: &Playbook, view: &View<'_>) -> (i64, i64) {
        let mut sum = Sum { part: Part::Fit, milli: 0, listener: &mut Silent };
        match self {
            Self::Fit(rule) => fit_rule(rule, view, &mut sum),
            Self::Engagement(rule) => engagement_rule(rule, playbook, view, &mut sum),
        }
        (sum.milli, round(sum.milli))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Attribute;
    use crate::consent::Consents;
    use crate::lead::Touches;
    use crate::ledger::Ledger;
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn the_decay_table_is_two_to_the_minus_age_over_half_life() {
        for days in [1_u16, 2, 7, 14, 30, 90, 365] {
            let half_life = HalfLife::new(days);
            for age in 0..u32::from(days) * 5 {
                let exact = (-f64::from(age) / f64::from(days)).exp2();
                let ours = f64::from(half_life.factor(age)) / f64::from(1_u32 << FACTOR_BITS);
                assert!((exact - ours).abs() < 1e-8, "half-life {days}, age {age}: {exact} {ours}");
            }
            assert_eq!(half_life.factor(u32::from(days) * 40), 0);
        }
    }

    #[test]
    fn labels_read_back() {
        for text in ["A1", "B3", "D4"] {
            assert_eq!(Label::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Label::parse("A5"), None);
        assert_eq!(Label::parse(""), None);
        assert_eq!(Label::parse("é1"), None);
    }

    #[test]
    fn halves_round_up_on_both_sides_of_zero() {
        assert_eq!((round(500), round(499), round(-500), round(-501)), (1, 0, 0, -1));
    }

    #[test]
    fn each_line_says_what_it_rests_on() {
        let playbook = Playbook::parse(&json!({
            "name": "Basis",
            "signals": [{"id": "pricing", "kind": "pricing"}, {"id": "webinar", "kind": "webinar"}],
            "fit": [{"id": "market", "rules": [{"id": "home", "points": 20, "when": {"any": [
                {"attribute": "country", "equals": "AT"}, {"attribute": "country", "equals": "DE"},
                {"attribute": "region", "equals": "Alps"}, {"signal": "webinar", "within_days": 3},
                {"source": "channel", "equals": "search"}, {"consent": "marketing"},
                {"attribute": "since", "older_than_days": 3}, {"attribute": "since", "before_attribute": "until"},
                {"country": "FR"}, {"signal": "webinar", "last_seen": {"older_than_days": 30}},
                {"sample": {"percent": 1, "of": "draw"}},
            ]}}]}],
            "engagement": [{"id": "interest", "cap": 50, "rules": [
                {"id": "prices", "points": 20, "signal": "pricing", "max_hits": 3, "half_life_days": 10},
                {"id": "attends", "points": 10, "signal": "webinar", "max_hits": 4},
            ]}, {"id": "more", "rules": [{"id": "keen", "points": 70, "when": {"signal": "pricing"}}]}],
            "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 60, "2": 40, "3": 15}},
            "marketing_qualified": {"labels": ["A1"]},
            "territories": [],
            "default_qualifier": "eu-1",
        }))
        .unwrap();
        let today = Day(20_000);
        let mut ledger = Ledger::default();
        for (signal, ago, hits) in [(0, 20, 2), (0, 10, 2), (0, 0, 1), (1, 30, 3), (1, 5, 2), (1, -1, 1)] {
            ledger.add(playbook.signals[signal].key, today.plus(-ago), hits);
        }
        // The older webinars are counted without their days.
        let ledger = ledger.folded(today.plus(-29));
        let country = Attribute {
            value: AttributeValue::Text("AT".to_owned()),
            set_at: today.start(),
            set_by: "test".to_owned(),
            known_at: None,
        };
        let attributes = [(AttributeName::parse("country").unwrap(), country.clone())].into();
        let view = View {
            id: &crate::identity::LeadId::from_bytes([1; 16]),
            attributes: &attributes,
            ledger: &ledger,
            withheld: &Ledger::default(),
            touches: &Touches::default(),
            consents: &Consents::default(),
            today,
            score: None,
            stage: None,
            stage_since: today.start(),
            person: None,
            persona: None,
            phase: None,
            segments: &BTreeSet::new(),
        };
        let explanation = explain(&playbook, &view);
        let slug = |text: &str| Slug::parse(text).unwrap();
        let hits = |signal: &str, hits, within_days| Seen::Signal { signal: slug(signal), hits, within_days };
        let attribute =
            |name: &str, value| Seen::Attribute { name: AttributeName::parse(name).unwrap(), value };
        let seen = vec![
            attribute("country", Some(country.value)),
            attribute("region", None),
            hits("webinar", 0, Some(3)),
            Seen::Source { touch: WhichTouch::First, field: TouchField::Channel, value: None },
            Seen::Consent { purpose: Purpose::Marketing, status: None },
            attribute("since", None),
            attribute("until", None),
            hits("webinar", 5, None),
        ];
        let (prices, attends) = (
            Basis::Hits {
                signal: slug("pricing"),
                each: 20,
                hits: 3,
                days: vec![(today.plus(-10), 2), (today, 1)],
            },
            Basis::Hits { signal: slug("webinar"), each: 10, hits: 4, days: vec![(today.plus(-5), 2)] },
        );
        let expected = [
            (Some("market"), Some("home"), 20, Basis::Condition(seen)),
            (Some("interest"), Some("prices"), 60, prices),
            (Some("interest"), Some("prices"), -20, Basis::HalfLife(10)),
            (Some("interest"), Some("attends"), 40, attends),
            (Some("interest"), Some("interest"), -30, Basis::Cap(50)),
            (Some("more"), Some("keen"), 70, Basis::Condition(vec![hits("pricing", 5, None)])),
            (None, None, -20, Basis::Range),
        ];
        let found = explanation.lines.iter().map(|line| {
            let words = |slug: &Option<Slug>| slug.as_ref().map(|slug| slug.as_str().to_owned());
            (words(&line.group), words(&line.rule), line.points, line.basis.clone())
        });
        let expected = expected.map(|(group, rule, points, basis)| {
            (group.map(str::to_owned), rule.map(str::to_owned), points, basis)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!((explanation.score.fit, explanation.score.engagement), (20, 100));
    }
}
