//! What would make a lead ready, and when what it has fades.
//!
//! Both look ahead with the functions that decide: a rule's points on a day to come are counted as on any other, and a
//! way to become marketing-qualified is tried on a copy of the lead and put before the function that hands leads off.
//! So caps, points below zero, windows and the definition's own condition count as they will, and nothing here can
//! promise what the playbook does not keep.
//!
//! # How ways are found
//!
//! What a lead may still do or become known as is read from the playbook: hits of the signals that some rule or
//! condition listens for, values of attributes that it tests and that nobody knows yet, consents that it asks for.
//! A known value is never proposed to change: a lead does not move to another country for us. Each test says which
//! value would satisfy it; a regular expression does not, so what asks for one is left out, and so is what asks for a
//! date, a region or another attribute. A way is tried with one value and told in words that stand for all that pass the
//! same tests.
//!
//! Sets of steps are tried in the order of their number and then of their effort ([`MOST_EFFORT`]), which is one for
//! each hit, value or consent. A set that contains a way found before is passed over, and everything that a set
//! contains came before it: so what is found is minimal and comes nearest first. The search ends with
//! [`MOST_WAYS`] ways or after [`MOST_TRIALS`] sets.
//!
//! Each signal is counted by itself, although one activity may show several.

use crate::attribute::{Attribute, AttributeName, AttributeValue, normalise};
use crate::change::{LOOK_AHEAD_DAYS, is_ready};
use crate::condition::{Condition, Level, Test, same};
use crate::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use crate::identity::Slug;
use crate::lead::Lead;
use crate::ledger::SignalKey;
use crate::playbook::{How, Playbook, Signal};
use crate::score::Rule;
use crate::stage::Stage;
use crate::time::{DAY_MS, Day};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most ways that are given.
pub const MOST_WAYS: usize = 5;
/// The most sets of steps that are tried for one lead.
pub const MOST_TRIALS: u32 = 10_000;
/// The most hits, values and consents that a way of one, two or three steps may take together.
pub const MOST_EFFORT: [u32; 3] = [20, 8, 6];

/// When the points of a rule fade, with nothing happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fading {
    /// The first day on which at most half of today's points are left; none within [`LOOK_AHEAD_DAYS`].
    pub half_on: Option<Day>,
    /// The first day on which no whole point is left; none within [`LOOK_AHEAD_DAYS`].
    pub gone_on: Option<Day>,
}

/// Tells of each rule that gives or takes points today when they will have faded, be it with a half-life or because a
/// window runs out. Each rule is looked at by itself, before any cap.
#[must_use]
pub fn fading(lead: &Lead, playbook: &Playbook, today: Day) -> Vec<(Slug, Fading)> {
    let on = |rule: Rule<'_>, day| rule.net(playbook, &lead.view(day));
    // Behind this day every window has run out and every point has faded, but a date may still pass.
    let last = lead.ledger.iter().map(|(_, counts)| counts.last()).max().unwrap_or(today);
    let quiet = last.plus(playbook.lookback_days + 1).min(today.plus(LOOK_AHEAD_DAYS));
    let view = lead.view(today);
    let mut all = Vec::new();
    for rule in Rule::all(playbook) {
        let (now, whole) = on(rule, today);
        if whole == 0 {
            continue;
        }
        let mut end = quiet;
        if let Some(condition) = rule.when() {
            condition.visit(&mut |part| {
                if part.next_turn(&view).is_some() {
                    end = today.plus(LOOK_AHEAD_DAYS);
                }
            });
        }
        let mut fading = Fading { half_on: None, gone_on: None };
        let mut day = today.plus(1);
        while day <= end && fading.gone_on.is_none() {
            let (then, whole) = on(rule, day);
            if fading.half_on.is_none() && then.saturating_abs().saturating_mul(2) <= now.saturating_abs() {
                fading.half_on = Some(day);
            }
            fading.gone_on = (whole == 0).then_some(day);
            day = day.plus(1);
        }
        // Less than a point may be gone before it is halved.
        fading.half_on = fading.half_on.or(fading.gone_on);
        all.push((rule.id().clone(), fading));
    }
    all
}

/// What stands between a lead and being marketing-qualified.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlook {
    /// Nothing: it meets the definition.
    Ready,
    /// It stands where the definition is not asked: it is no lead yet, sales owns it, or it will never buy.
    Elsewhere(Stage),
    /// Sales gave it back and wants it left alone; what it does counts again from this day.
    Resting(Day),
    /// One of these, the nearest first.
    Ways(Vec<Way>),
    /// More than a few steps that can be named.
    OutOfReach,
}

impl Outlook {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Elsewhere(_) => "elsewhere",
            Self::Resting(_) => "resting",
            Self::Ways(_) => "ways",
            Self::OutOfReach => "out_of_reach",
        }
    }
}

impl fmt::Display for Outlook {
    /// Writes the reason as a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("meets the definition of marketing-qualified"),
            Self::Elsewhere(Stage::Contact) => {
                f.write_str("has not responded to anything, so it is no lead yet")
            }
            Self::Elsewhere(Stage::Disqualified) => f.write_str("was disqualified"),
            Self::Elsewhere(Stage::Customer) => f.write_str("is a customer"),
            Self::Elsewhere(stage) => write!(f, "is with sales, in the stage {stage}"),
            Self::Resting(day) => {
                write!(f, "was given back by sales; what it does counts again from {day}")
            }
            Self::Ways(ways) => match ways.as_slice() {
                [_] => f.write_str("would be marketing-qualified in this way"),
                _ => f.write_str("would be marketing-qualified in any of these ways"),
            },
            Self::OutOfReach => f.write_str("would need more than a few steps that can be named"),
        }
    }
}

/// A way to become marketing-qualified: all of its steps are needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The steps.
    pub steps: Vec<Step>,
}

/// A step on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It shows a signal today.
    Does {
        /// The signal.
        signal: Slug,
        /// What people call it.
        title: String,
        /// How many times more.
        times: u32,
    },
    /// An attribute that nobody knows becomes known.
    Is {
        /// Which.
        attribute: AttributeName,
        /// What it has to be, in words; empty where any value will do.
        test: String,
        /// A value that it was tried with.
        value: AttributeValue,
    },
    /// It confirms a consent.
    Agrees {
        /// What for.
        purpose: Purpose,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Does { title, times: 1, .. } => write!(f, "{title}, once more"),
            Self::Does { title, times, .. } => write!(f, "{title}, {times} times more"),
            Self::Is { attribute, test, .. } if test.is_empty() => write!(f, "{attribute} becomes known"),
            Self::Is { attribute, test, .. } => write!(f, "{attribute} becomes known as {test}"),
            Self::Agrees { purpose } => write!(f, "agrees to {}", purpose.as_str()),
        }
    }
}

/// Finds the nearest few ways in which a lead would be marketing-qualified today.
#[must_use]
pub fn ways_to_qualify(lead: &Lead, playbook: &Playbook, today: Day) -> Outlook {
    if !matches!(lead.stage, Stage::Inquiry | Stage::Nurturing) {
        return Outlook::Elsewhere(lead.stage);
    }
    if is_ready(lead, playbook, today) {
        return Outlook::Ready;
    }
    if let Some(from) = lead.counts_from.map(|from| from.day()).filter(|from| *from > today) {
        return Outlook::Resting(from);
    }
    let options = options(lead, playbook);
    let mut search = Search {
        playbook,
        today,
        options: &options,
        lead: lead.clone(),
        chosen: Vec::new(),
        found: Vec::new(),
        left: MOST_TRIALS,
    };
    for (steps, most) in (1_u32..).zip(MOST_EFFORT) {
        for effort in steps..=most {
            search.extend(0, steps, effort);
        }
    }
    let ways: Vec<Way> = search
        .found
        .iter()
        .map(|way| Way {
            steps: way.iter().filter_map(|(at, times)| Some(options.get(*at)?.step(*times))).collect(),
        })
        .collect();
    if ways.is_empty() { Outlook::OutOfReach } else { Outlook::Ways(ways) }
}

/// Something that a lead may still do or become known as.
#[derive(Debug)]
enum Choice<'p> {
    Hits(&'p Signal),
    Value { name: &'p AttributeName, value: AttributeValue, words: String },
    Consent(Purpose),
}

/// A choice with how often it can matter.
#[derive(Debug)]
struct Candidate<'p> {
    choice: Choice<'p>,
    most: u32,
}

impl Candidate<'_> {
    fn step(&self, times: u32) -> Step {
        match &self.choice {
            Choice::Hits(signal) => {
                Step::Does { signal: signal.id.clone(), title: signal.title.clone(), times }
            }
            Choice::Value { name, value, words } => {
                Step::Is { attribute: (*name).clone(), test: words.clone(), value: value.clone() }
            }
            Choice::Consent(purpose) => Step::Agrees { purpose: *purpose },
        }
    }
}

/// Calls `take` with every simple test of a condition and with whether it has to hold for the condition to be `wanted`.
fn wishes<'p>(condition: &'p Condition, wanted: bool, take: &mut impl FnMut(&'p Condition, bool)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| wishes(part, wanted, take));
        }
        Condition::Not(part) => wishes(part, !wanted, take),
        simple => take(simple, wanted),
    }
}

/// A test of an attribute that nobody knows.
struct Asked<'p> {
    name: &'p AttributeName,
    test: &'p Test,
    /// Whether it should hold or certainly not hold.
    holds: bool,
    /// Whether a value that does so gains anything.
    helps: bool,
}

/// Lists what a lead may still do or become known as, in the order of the playbook.
fn options<'p>(lead: &Lead, playbook: &'p Playbook) -> Vec<Candidate<'p>> {
    let mut hits: BTreeMap<SignalKey, u32> = BTreeMap::new();
    let mut hear = |key: SignalKey, most: u32| {
        let known = hits.entry(key).or_default();
        *known = (*known).max(most);
    };
    let (mut asked, mut purposes): (Vec<Asked<'p>>, BTreeSet<Purpose>) = Default::default();
    let mut take_all = |condition: &'p Condition, wanted: bool, hear: &mut dyn FnMut(SignalKey, u32)| {
        wishes(condition, wanted, &mut |part, holds| match part {
            Condition::Signal { key, at_least, .. } if holds => hear(*key, *at_least),
            Condition::Signal { key, at_most: Some(most), .. } => hear(*key, most.saturating_add(1)),
            Condition::Seen { key, .. } => hear(*key, 1),
            Condition::Attribute { name, test } if !lead.attributes.contains_key(name) => {
                // A rule that takes points does not apply to what is not known, unless it asks just that.
                let helps = wanted || matches!(test, Test::Exists(_));
                asked.push(Asked { name, test, holds, helps });
            }
            Condition::Consent { purpose, status } if holds && status.contains(&ConsentStatus::Confirmed) => {
                purposes.insert(*purpose);
            }
            _ => {}
        });
    };
    for rule in Rule::all(playbook) {
        match rule {
            Rule::Fit(rule) => take_all(&rule.when, rule.points > 0, &mut hear),
            Rule::Engagement(rule) => match &rule.how {
                How::When(condition) => take_all(condition, rule.points > 0, &mut hear),
                How::PerHit { key, max_hits, .. } if rule.points > 0 => hear(*key, *max_hits),
                How::PerHit { .. } => {}
            },
        }
    }
    if let Some(condition) = &playbook.marketing_qualified.when {
        take_all(condition, true, &mut hear);
        if condition.level() >= Level::Persona {
            // One may have to begin, and one that comes before it to end.
            for (persona, wanted) in playbook.personas.iter().flat_map(|p| [(p, true), (p, false)]) {
                take_all(&persona.when, wanted, &mut hear);
            }
        }
    }
    let heard = playbook.signals.iter().filter_map(|signal| {
        let most = hits.get(&signal.key).copied().filter(|most| *most > 0)?;
        Some(Candidate { choice: Choice::Hits(signal), most })
    });
    let mut all: Vec<Candidate<'p>> = heard.collect();
    for Asked { name, test, holds, .. } in asked.iter().filter(|asked| asked.helps) {
        let Some(value) = value_for(test, *holds, name) else { continue };
        let tests = asked.iter().filter(|asked| asked.name == *name).map(|asked| (asked.test, asked.holds));
        let words = in_words(&value, tests);
        let known = all.iter().any(|candidate| match &candidate.choice {
            Choice::Value { name: other, value: known, words: said } => {
                other == name && (same(known, &value) || *said == words)
            }
            _ => false,
        });
        if !known {
            all.push(Candidate { choice: Choice::Value { name, value, words }, most: 1 });
        }
    }
    // What somebody withdrew is as well known as a country.
    let open =
        |purpose: &Purpose| matches!(lead.consents.status(*purpose), None | Some(ConsentStatus::Pending));
    let consents = purposes.into_iter().filter(open);
    all.extend(consents.map(|purpose| Candidate { choice: Choice::Consent(purpose), most: 1 }));
    all
}

/// Finds a value with which a test of an attribute holds, or certainly does not.
fn value_for(test: &Test, holds: bool, name: &AttributeName) -> Option<AttributeValue> {
    let text = |text: &str| AttributeValue::Text(text.to_owned());
    let value = match (test, holds) {
        (Test::OneOf(values), true) => values.first()?.clone(),
        (Test::OneOf(values), false) => match values.first()? {
            AttributeValue::Flag(flag) => AttributeValue::Flag(!flag),
            AttributeValue::Number(_) => {
                let numbers = values.iter().filter_map(|value| match value {
                    AttributeValue::Number(n) => Some(*n),
                    _ => None,
                });
                AttributeValue::Number(numbers.fold(0.0, f64::max) + 1.0)
            }
            AttributeValue::Text(_) => text("other"),
        },
        (Test::Range { least, most }, true) => AttributeValue::Number((*least).or(*most)?),
        (Test::Range { least, most }, false) => {
            AttributeValue::Number(most.map(|most| most + 1.0).or(least.map(|least| least - 1.0))?)
        }
        (Test::StartsWith(part) | Test::Contains(part), true) => text(part),
        // A value that is there is never one that does not exist; an expression does not say what it matches.
        (Test::Exists(known), holds) if *known == holds => text("any"),
        (Test::Exists(_), _) | (Test::Matches(_), true) => return None,
        (Test::StartsWith(_) | Test::Contains(_) | Test::Matches(_), false) => text("other"),
    };
    let value = normalise(name, value);
    (test.eval(Some(&value)) == Some(holds)).then_some(value)
}

/// Says what a value has to be to pass those of the tests that this one passes: empty where any will do.
fn in_words<'p>(value: &AttributeValue, tests: impl Iterator<Item = (&'p Test, bool)>) -> String {
    let passes = |value: &AttributeValue, (test, holds): (&Test, bool)| test.eval(Some(value)) == Some(holds);
    let passed: Vec<(&Test, bool)> = tests.filter(|test| passes(value, *test)).collect();
    let (mut least, mut most): (Option<f64>, Option<f64>) = (None, None);
    let mut but: Vec<&AttributeValue> = Vec::new();
    for (test, holds) in &passed {
        match (test, holds) {
            // A list says it all, once whatever else is asked has thinned it out.
            (Test::OneOf(values), true) => {
                let values = values.iter().filter(|value| passed.iter().all(|test| passes(value, *test)));
                return listed(&values.collect::<Vec<_>>());
            }
            (Test::OneOf(values), false) => {
                for value in values {
                    if !but.iter().any(|known| same(known, value)) {
                        but.push(value);
                    }
                }
            }
            (Test::Range { least: from, most: to }, true) => {
                least = from.map(|from| least.map_or(from, |least| least.max(from))).or(least);
                most = to.map(|to| most.map_or(to, |most| most.min(to))).or(most);
            }
            _ => {}
        }
    }
    let number = |n: &f64| AttributeValue::Number(*n).to_string();
    let mut words: Vec<String> = Vec::new();
    words.extend(match (&least, &most) {
        (Some(least), Some(most)) => Some(format!("{} to {}", number(least), number(most))),
        (Some(least), None) => Some(format!("at least {}", number(least))),
        (None, Some(most)) => Some(format!("at most {}", number(most))),
        (None, None) => None,
    });
    if !but.is_empty() {
        words.push(format!("anything but {}", listed(&but)));
    }
    for (test, holds) in passed {
        let not = if holds { "" } else { "not " };
        words.extend(match test {
            Test::Range { least: from, most: to } if !holds => {
                let below = least.zip(*to).is_some_and(|(least, to)| least > to);
                let above = most.zip(*from).is_some_and(|(most, from)| most < from);
                let outside = match (from, to) {
                    (Some(from), Some(to)) => {
                        format!("less than {} or more than {}", number(from), number(to))
                    }
                    (Some(from), None) => format!("less than {}", number(from)),
                    (None, to) => format!("more than {}", number(&to.unwrap_or_default())),
                };
                (!below && !above).then_some(outside)
            }
            Test::StartsWith(part) => Some(format!("{not}starting with \"{part}\"")),
            Test::Contains(part) => Some(format!("{not}containing \"{part}\"")),
            Test::Matches(regex) => Some(format!("{not}matching {}", regex.as_str())),
            Test::OneOf(_) | Test::Range { .. } | Test::Exists(_) => None,
        });
    }
    let mut seen = BTreeSet::new();
    words.retain(|part| seen.insert(part.clone()));
    words.join(" and ")
}

fn listed(values: &[&AttributeValue]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    match values.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => values.concat(),
    }
}

/// A set of choices by their places, each with how often.
type Chosen = Vec<(usize, u32)>;

struct Search<'a> {
    playbook: &'a Playbook,
    today: Day,
    options: &'a [Candidate<'a>],
    /// The lead with all that is chosen.
    lead: Lead,
    chosen: Chosen,
    found: Vec<Chosen>,
    left: u32,
}

impl Search<'_> {
    /// Tries every set that adds to what is chosen exactly so many choices, from the place `from` on, of exactly so
    /// much effort.
    fn extend(&mut self, from: usize, steps: u32, effort: u32) {
        for (at, candidate) in self.options.iter().enumerate().skip(from) {
            if self.excluded(&candidate.choice) {
                continue;
            }
            let least = if steps == 1 { effort } else { 1 };
            for times in least..=candidate.most.min(effort.saturating_sub(steps - 1)) {
                if self.found.len() >= MOST_WAYS || self.left == 0 {
                    return;
                }
                self.left -= 1;
                self.chosen.push((at, times));
                if !self.contains_a_way() {
                    self.try_with(&candidate.choice, times, |search| {
                        if steps > 1 {
                            search.extend(at + 1, steps - 1, effort - times);
                        } else if is_ready(&search.lead, search.playbook, search.today) {
                            search.found.push(search.chosen.clone());
                        }
                    });
                }
                self.chosen.pop();
            }
        }
    }

    /// Tells whether a choice cannot stand beside what is chosen: an attribute has one value.
    fn excluded(&self, choice: &Choice<'_>) -> bool {
        matches!(choice, Choice::Value { name, .. } if self.lead.attributes.contains_key(*name))
    }

    fn contains_a_way(&self) -> bool {
        let contains = |(at, times): &(usize, u32)| self.chosen.iter().any(|(a, t)| a == at && t >= times);
        self.found.iter().any(|way| way.iter().all(contains))
    }

    /// Does something while the lead is as if it had made a choice so many times today.
    fn try_with(&mut self, choice: &Choice<'_>, times: u32, then: impl FnOnce(&mut Self)) {
        let (lead, today) = (&mut self.lead, self.today);
        match choice {
            Choice::Hits(signal) => {
                let before = (lead.ledger.clone(), lead.ledger_since.clone());
                lead.ledger.add(signal.key, today, times);
                if lead.counts_from.is_some() {
                    lead.ledger_since.add(signal.key, today, times);
                }
                then(self);
                (self.lead.ledger, self.lead.ledger_since) = before;
            }
            Choice::Value { name, value, .. } => {
                let value = Attribute {
                    value: value.clone(),
                    set_at: today.start(),
                    set_by: String::new(),
                    known_at: None,
                };
                lead.attributes.insert((*name).clone(), value);
                then(self);
                self.lead.attributes.remove(*name);
            }
            Choice::Consent(purpose) => {
                let before = lead.consents.clone();
                lead.consents.take(&ConsentFact {
                    purpose: *purpose,
                    status: ConsentStatus::Confirmed,
                    basis: Basis::Consent,
                    text: None,
                    source: None,
                    // The end of the day, behind all that was said on it.
                    at: today.start().plus(DAY_MS - 1),
                });
                then(self);
                self.lead.consents = before;
            }
        }
    }
}

#[cfg(test)]
mod tests;
