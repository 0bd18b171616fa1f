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

use crate::condition::View;
use crate::identity::Slug;
use crate::playbook::{Bands, EngagementRule, Group, How, Playbook};
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
        }
    }
}

/// A line of the explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which number it belongs to.
    pub part: Part,
    /// What kind of line it is.
    pub kind: LineKind,
    /// The rule, or the group for a cap; none for a clamp.
    pub rule: Option<Slug>,
    /// The points, which may be negative.
    pub points: i64,
    /// Why, in a sentence.
    pub because: String,
}

/// A score with the lines that add up to it: those of [`Part::Fit`] to the fit, the others to the engagement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The score.
    pub score: Score,
    /// The lines, in the order of the playbook.
    pub lines: Vec<Line>,
}

/// What a step of the walk is about.
enum Event<'a> {
    FitRule(&'a crate::playbook::FitRule),
    Hits { rule: &'a EngagementRule, title: &'a str, hits: u32, last: Day },
    When { rule: &'a EngagementRule },
    Fading { rule: &'a EngagementRule, half_life: u16 },
    Cap { id: &'a Slug, title: &'a str, cap: i64 },
    Clamp,
}

/// Hears every change of the running sum.
trait Listener {
    fn hear(&mut self, part: Part, event: &Event<'_>, before: i64, after: i64);
}

struct Silent;

impl Listener for Silent {
    fn hear(&mut self, _: Part, _: &Event<'_>, _: i64, _: i64) {}
}

struct Writer<'a> {
    view: &'a View<'a>,
    lines: Vec<Line>,
}

const fn round(milli: i64) -> i64 {
    (milli + MILLI / 2).div_euclid(MILLI)
}

impl Listener for Writer<'_> {
    fn hear(&mut self, part: Part, event: &Event<'_>, before: i64, after: i64) {
        let points = round(after) - round(before);
        let (kind, rule, because) = match event {
            Event::FitRule(rule) => (LineKind::Points, Some(&rule.id), rule.because(self.view)),
            Event::Hits { rule, title, hits, last } => {
                (LineKind::Points, Some(&rule.id), format!("{hits} × {title}, last on {last}"))
            }
            Event::When { rule } => (LineKind::Points, Some(&rule.id), rule.title.clone()),
            Event::Fading { rule, half_life } => {
                (LineKind::Fading, Some(&rule.id), format!("faded with a half-life of {half_life} days"))
            }
            Event::Cap { id, title, cap } => {
                (LineKind::Cap, Some(*id), format!("{title} counts for at most {cap}"))
            }
            Event::Clamp => (LineKind::Clamp, None, "a score lies between 0 and 100".to_owned()),
        };
        if points != 0 || kind == LineKind::Points {
            self.lines.push(Line { part, kind, rule: rule.cloned(), points, because });
        }
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
            for rule in &group.rules {
                add(rule, &mut sum);
            }
            if let Some(cap) = group.cap.map(i64::from)
                && sum.milli - start > cap * MILLI
            {
                sum.set(&Event::Cap { id: &group.id, title: &group.title, cap }, start + cap * MILLI);
            }
        }
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

fn engagement_rule<L: Listener>(
    rule: &EngagementRule,
    playbook: &Playbook,
    view: &View<'_>,
    sum: &mut Sum<'_, L>,
) {
    match &rule.how {
        How::When(condition) => {
            if condition.met(view) {
                sum.add(&Event::When { rule }, i64::from(rule.points) * MILLI);
            }
        }
        How::PerHit { signal, key, max_hits, half_life } => {
            let Some(counts) = view.ledger.get(*key) else { return };
            let today = view.today;
            let title = || playbook.signals.get(*signal).map_or("", |s| s.title.as_str());
            let points = i64::from(rule.points) * MILLI;
            let Some(half_life) = half_life else {
                let hits = counts.until(today).min(*max_hits);
                if hits > 0 {
                    let known = counts.days.iter().rev().map(|(day, _)| *day).find(|day| *day <= today);
                    let last = known.unwrap_or(counts.first);
                    let event = Event::Hits { rule, title: title(), hits, last };
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
                sum.add(&Event::Hits { rule, title: title(), hits, last }, raw);
                if faded != raw {
                    sum.add(&Event::Fading { rule, half_life: half_life.days() }, faded - raw);
                }
            }
        }
    }
}

/// Walks all rules once; whoever wants an explanation listens.
fn walk(playbook: &Playbook, view: &View<'_>, listener: &mut impl Listener) -> Score {
    let fit = Sum::of(Part::Fit, &playbook.fit, listener, |rule, sum| {
        if rule.when.met(view) {
            sum.add(&Event::FitRule(rule), i64::from(rule.points) * MILLI);
        }
    });
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
    let mut writer = Writer { view, lines: Vec::new() };
    let score = walk(playbook, view, &mut writer);
    Explanation { score, lines: writer.lines }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
