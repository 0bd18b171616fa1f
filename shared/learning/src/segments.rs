//! What became of the leads of each segment, and which way of grouping leads tells won from lost best.
//!
//! Three questions, three ways to look, each because the others would lie:
//!
//! * *Who was on the list?* Members over time and the flow in and out are the record ([`domain::membership`]): what the
//!   system said in those days, under the playbooks of those days.
//! * *What became of them?* The cohort of a segment are the leads that were in it at some moment of the time while nothing
//!   was decided yet: until their first hand-off, or, where there was none, just before sales first touched them. Who
//!   looked at members after the outcome would find that the segment "customers" wins always. So each lead's own facts are
//!   played again up to that moment ([`Replay`]), without what sales did, and under the active playbook: a segment that was
//!   written yesterday can be judged on last year's leads.
//! * *Which segmentation works best?* Each lead falls into one group of each segmentation, as it was at the last such
//!   moment; [`crate::separation`] judges the groups by won and lost.
//!
//! # What to mistrust
//!
//! A segment that looks at stage, owner or time in stage, itself or through a phase or another one, can say little here, since
//! before the outcome nearly everybody stands in the same stage; it is named. Attributes of whose values more than half are
//! undated, or were known only at or after sales' first contact, are named, too: what sales wrote with the outcome
//! separates perfectly, and teaches nothing. Nothing is hidden for that, as a report shows the segments as they are.
//!
//! # Memory
//!
//! What is kept are sums: by segment and period, by segment, and by pairs of groups; so a job can note it after each page,
//! in less than the 400 KB that an item of DynamoDB may have.
//! Whose revenue a deal is has to be known beforehand ([`Ground`]), since a deal counts once, however many leads report
//! it. Beforehand, too, it is counted how many leads have which value of what is compared. An attribute may have another
//! one for each lead, such as an address or a number of a customer; what has more than [`MOST_VALUES`] is no way to group
//! leads, so with the first value beyond them all are let go and no more are held: whoever has a value is in one group, and
//! the report says so. Whether it comes to that depends on how many values there are, and not on the order of the leads.
//! So four segmentations hold 40,000 values at most, of at most 1,000 characters: 40 MB of plain letters in the worst case,
//! and less than one in the usual.

use crate::backtest::{ApartTally, Known, Past, attributes_of, said, uses};
use crate::bins::{Count, minimum_support};
use crate::measure::{ENOUGH, Tally, rounded};
use crate::quality::{Answers, answer};
use crate::separation::{Crossed, Difference, Separation, difference, enough, separation};
use domain::attribute::{AttributeName, COUNTRY};
use domain::change::Incoming;
use domain::condition::{Condition, Level, TouchField};
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::membership::Moves;
use domain::money::{Currency, Money};
use domain::playbook::Playbook;
use domain::replay::{Declared, Replay, as_known, hand_offs, is_of_sales};
use domain::report::{Deals, Row};
use domain::sales::Outcome;
use domain::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most segmentations that are compared.
pub const MOST_SEGMENTATIONS: usize = 4;
/// The most groups of a segmentation that have a name of their own.
pub const MOST_GROUPS: usize = 24;
/// The most values that are counted to find the groups of a segmentation.
pub const MOST_VALUES: usize = 10_000;
/// Up to how many days the time to win is kept to the day; beyond, to the week.
const TO_THE_DAY: i64 = 90;
/// The longest time to win that is told from longer ones, in days.
const LONGEST_DAYS: i64 = 1_095;

/// The group of those who are in none of the segments.
const NONE_OF_THESE: &str = "none of these";
/// The group of those of whom the value is not known.
const NOT_GIVEN: &str = "not given";
/// The group of those with a value that few have.
const ANYTHING_ELSE: &str = "anything else";
/// The same where there were too many values to name any. It is the last group's name, by which a report knows, and a job
/// keeps it with the other names.
const OF_TOO_MANY: &str = "anything else, of too many values";

/// A way of dividing leads into groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// By the first of these segments that holds the lead.
    Segments(Vec<Slug>),
    /// By label.
    Label,
    /// By the persona that it mirrors.
    Persona,
    /// By the channel of the first touch.
    Channel,
    /// By the value of an attribute; numbers are told apart as they are.
    Attribute(AttributeName),
}

impl Segmentation {
    /// Reads a segmentation as it is asked for: `label`, `persona`, `country`, `channel`, `attribute:industry`, or segments with
    /// commas between them. A word that is also a segment's id is the word.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, playbook: &Playbook) -> Result<Self, String> {
        let attribute = |name: &str| AttributeName::parse(name).map(Self::Attribute);
        match text {
            "label" => return Ok(Self::Label),
            "persona" => return Ok(Self::Persona),
            "channel" => return Ok(Self::Channel),
            "country" => return attribute(COUNTRY).map_err(|error| error.to_string()),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("attribute:") {
            return attribute(name).map_err(|error| format!("names no attribute: {error}"));
        }
        let mut segments: Vec<Slug> = Vec::new();
        for id in text.split(',') {
            let Some(segment) = playbook.segment(id) else {
                return Err(format!(
                    "names \"{}\", which is no segment of the active playbook; expected segments with commas between \
                     them, or one of: label, persona, channel, country, attribute:NAME",
                    id.chars().take(80).collect::<String>()
                ));
            };
            if segments.contains(&segment.id) {
                return Err(format!("names \"{id}\" twice"));
            }
            segments.push(segment.id.clone());
        }
        if segments.len() > MOST_GROUPS {
            return Err(format!("names {} segments; expected at most {MOST_GROUPS}", segments.len()));
        }
        Ok(Self::Segments(segments))
    }

    /// Names it as it is asked for.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Segments(ids) => ids.iter().map(Slug::as_str).collect::<Vec<_>>().join(","),
            Self::Label => "label".to_owned(),
            Self::Persona => "persona".to_owned(),
            Self::Channel => "channel".to_owned(),
            Self::Attribute(name) if name.as_str() == COUNTRY => COUNTRY.to_owned(),
            Self::Attribute(name) => format!("attribute:{name}"),
        }
    }

    /// Gives the group of a lead by name; none where its value is not known. Not for segments.
    fn value(&self, lead: &Lead) -> Option<String> {
        match self {
            Self::Segments(_) => None,
            Self::Label => Some(lead.score.label.to_string()),
            Self::Persona => lead.persona.as_ref().map(Slug::to_string),
            Self::Channel => {
                let touch = lead.touches.first.as_ref()?;
                TouchField::Channel.of(touch).map(str::to_lowercase)
            }
            Self::Attribute(name) => {
                lead.attributes.get(name).map(|attribute| attribute.value.to_string().to_lowercase())
            }
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The active playbook.
    pub playbook: &'a Playbook,
    /// Where the periods begin, and where the last one ends, which is not later than `now`.
    pub bounds: Vec<Timestamp>,
    /// What is compared.
    pub compare: Vec<Segmentation>,
    /// The attributes that people declared known at capture.
    pub declared: BTreeSet<AttributeName>,
    /// The time of the whole report.
    pub now: Timestamp,
}

/// How many leads have which value, as long as there are not too many values.
#[derive(Clone, Debug, Default)]
struct Values {
    counts: HashMap<String, u64>,
    too_many: bool,
}

impl Values {
    fn add(&mut self, value: String) {
        if self.too_many {
            return;
        }
        *self.counts.entry(value).or_default() += 1;
        if self.counts.len() > MOST_VALUES {
            *self = Self { counts: HashMap::new(), too_many: true };
        }
    }
}

/// What has to be known of all leads before they are looked at one by one: whose revenue each deal is, and which values
/// are frequent enough to be groups.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    deals: Deals,
    values: Vec<Values>,
    revenue: HashMap<LeadId, BTreeMap<Currency, i64>>,
}

impl Ground {
    /// Adds a lead.
    pub fn add(&mut self, question: &Question<'_>, lead: &Lead) {
        let Some(row) = Row::of(lead) else { return };
        for deal in &row.won {
            self.deals.add(&row, deal, ());
        }
        self.values.resize_with(question.compare.len(), Values::default);
        for (segmentation, values) in question.compare.iter().zip(&mut self.values) {
            if let Some(value) = segmentation.value(lead) {
                values.add(value);
            }
        }
    }

    /// Ends it, and gives the names of each segmentation's groups: the most frequent values, and those without one.
    #[must_use]
    pub fn finish(&mut self, question: &Question<'_>) -> Vec<Vec<String>> {
        for deal in std::mem::take(&mut self.deals).finish() {
            let Some(Money { minor, currency }) = deal.amount else { continue };
            let sum = self.revenue.entry(deal.lead).or_default().entry(currency).or_default();
            *sum = sum.saturating_add(minor);
        }
        let mut values = std::mem::take(&mut self.values);
        values.resize_with(question.compare.len(), Values::default);
        let named = |(segmentation, values): (&Segmentation, Values)| match segmentation {
            Segmentation::Segments(ids) => {
                ids.iter().map(Slug::to_string).chain([NONE_OF_THESE.to_owned()]).collect()
            }
            _ => {
                let rest = if values.too_many { OF_TOO_MANY } else { ANYTHING_ELSE };
                let mut values: Vec<(String, u64)> = values.counts.into_iter().collect();
                values.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
                values.truncate(MOST_GROUPS);
                values.sort();
                let names = values.into_iter().map(|(name, _)| name);
                names.chain([NOT_GIVEN, rest].map(str::to_owned)).collect()
            }
        };
        question.compare.iter().zip(values).map(named).collect()
    }
}

/// What became of the leads that were in a segment while nothing was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cohort {
    outcomes: Tally,
    /// What sales answered to those that were handed to it.
    answers: Answers,
    /// By currency, in minor units.
    revenue: BTreeMap<String, i64>,
    /// How many were won after so many days.
    days: BTreeMap<i64, u64>,
}

impl Cohort {
    /// Gives the time to win in the middle of all, in days: the lower one where two are in the middle.
    fn median_days(&self) -> Option<i64> {
        let all: u64 = self.days.values().sum();
        let mut so_far = 0;
        self.days.iter().find_map(|(days, n)| {
            so_far += n;
            (so_far * 2 >= all).then_some(*days)
        })
    }

    fn to_json(&self) -> Value {
        let handed = self.answers.acceptance().of + self.answers.unanswered;
        let revenue = self.revenue.iter().filter_map(|(currency, minor)| {
            let money = Money { minor: *minor, currency: Currency::parse(currency).ok()? };
            Some(json!({ "currency": currency, "amount": money.to_string() }))
        });
        json!({
            "leads": self.outcomes.judged() + self.outcomes.censored,
            "handed_off": handed,
            "accepted": self.answers.accepted,
            "rejected": self.answers.rejected,
            "not_ready": self.answers.not_ready,
            "unanswered": self.answers.unanswered,
            "acceptance": self.answers.acceptance().to_json(),
            "won": self.outcomes.positive,
            "lost": self.outcomes.negative,
            "open": self.outcomes.censored,
            "win_rate": self.outcomes.win_rate().to_json(),
            "revenue": revenue.collect::<Vec<_>>(),
            "days_to_win": { "median": self.median_days(), "of": self.days.values().sum::<u64>() },
        })
    }
}

/// What is counted of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counted {
    /// Members now.
    members: u64,
    /// The labels that they have now.
    labels: BTreeMap<String, u64>,
    /// Members just before the first period.
    before: u64,
    /// By period: how often somebody came in, and how often somebody left.
    flow: BTreeMap<usize, [u64; 2]>,
    cohort: Cohort,
}

/// All that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    apart: ApartTally,
    /// Leads of which nothing was decided at some moment of the time.
    leads: u64,
    segments: BTreeMap<String, Counted>,
    /// By segmentation and group.
    groups: Vec<BTreeMap<usize, Tally>>,
    /// By pair of segmentations, in their order, and pair of groups: how many were won, and how many lost.
    pairs: Vec<BTreeMap<usize, [u32; 2]>>,
    known: Known,
}

/// Gives the pairs of so many things.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |one| (one + 1..n).map(move |other| (one, other)))
}

/// Groups are told apart by one number, since names of fields in JSON are.
const PLACES: usize = 64;

impl Tallies {
    /// Writes them down.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Reads what was written down.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    fn segment(&mut self, id: &Slug) -> &mut Counted {
        self.segments.entry(id.to_string()).or_default()
    }
}

/// Counts leads.
#[derive(Clone, Debug)]
pub struct Counter<'a> {
    /// What is asked.
    pub question: &'a Question<'a>,
    /// What is known of all.
    pub ground: &'a Ground,
    /// The names of the groups.
    pub groups: &'a [Vec<String>],
}

impl Counter<'_> {
    /// Counts a lead with all its facts and moves.
    pub fn add(&self, tallies: &mut Tallies, lead: &Lead, facts: &[Incoming], moves: &Moves) {
        self.members(tallies, lead, moves);
        self.results(tallies, lead, facts);
    }

    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.question.bounds.first().copied().zip(self.question.bounds.last().copied())
    }

    /// Counts in which segments a lead is and was.
    fn members(&self, tallies: &mut Tallies, lead: &Lead, moves: &Moves) {
        for segment in &lead.segments {
            let counted = tallies.segment(segment);
            counted.members += 1;
            *counted.labels.entry(lead.score.label.to_string()).or_default() += 1;
        }
        let Some((from, to)) = self.span() else { return };
        for (segment, course) in moves.courses(lead) {
            let before = course.before(from);
            let within: Vec<(Timestamp, bool)> =
                course.moves().filter(|(at, _)| *at >= from && *at < to).collect();
            if !before && within.is_empty() {
                continue;
            }
            let counted = tallies.segment(segment);
            counted.before += u64::from(before);
            for (at, entered) in within {
                // Which period: the bounds up to the moment, less the first.
                let period = self.question.bounds.partition_point(|bound| *bound <= at).saturating_sub(1);
                let [came, left] = counted.flow.entry(period).or_default();
                *(if entered { came } else { left }) += 1;
            }
        }
    }

    /// Counts what became of a lead, where it was one of the time while nothing was decided.
    fn results(&self, tallies: &mut Tallies, lead: &Lead, facts: &[Incoming]) {
        let Question { playbook, declared, now, .. } = self.question;
        let Some((from, to)) = self.span() else { return };
        let past = match Past::of(lead, facts, *now) {
            Ok(past) => past,
            Err(apart) => {
                tallies.apart.add(apart);
                return;
            }
        };
        // Sales may have answered at the very time of the hand-off, where only days are known.
        let handed = hand_offs(facts)
            .map(|hand_off| hand_off.occurred_at)
            .find(|at| past.contact.is_none_or(|contact| contact >= *at));
        let moment = handed.unwrap_or(past.last);
        if past.captured >= to || moment < from {
            return;
        }
        tallies.known.add(lead, facts, declared, *now);
        let end = moment.min(to.plus(-1));
        let known = |name: &AttributeName| match said(name, declared) {
            Declared::Nothing => Declared::WithFact,
            other => other,
        };
        let mut own = as_known(facts, &known).facts;
        own.retain(|incoming| !is_of_sales(&incoming.fact));
        let mut replay = Replay::new(lead.id.clone(), playbook, &own);
        let mut was_in = replay.until(from).map(|lead| lead.segments.clone()).unwrap_or_default();
        replay.watch(end, &mut |lead| was_in.extend(lead.segments.iter().cloned()));
        let Some(then) = replay.until(end) else { return };
        tallies.leads += 1;
        let mut outcome = Tally::default();
        match past.outcome {
            Outcome::Won(_) => outcome.positive += 1,
            Outcome::Lost(_) => outcome.negative += 1,
            Outcome::Open => outcome.censored += 1,
        }
        let answered = handed.map(|at| answer(facts, at));
        let days = match past.outcome {
            Outcome::Won(at) => Some(at.since(past.captured) / DAY_MS),
            _ => None,
        };
        let days =
            days.map(|days| if days > TO_THE_DAY { days / 7 * 7 } else { days.max(0) }.min(LONGEST_DAYS));
        for segment in &was_in {
            let cohort = &mut tallies.segment(segment).cohort;
            cohort.outcomes.merge(&outcome);
            if let Some(answered) = &answered {
                cohort.answers.add(answered.as_ref());
            }
            for (currency, minor) in self.ground.revenue.get(&lead.id).into_iter().flatten() {
                let sum = cohort.revenue.entry(currency.to_string()).or_default();
                *sum = sum.saturating_add(*minor);
            }
            if let Some(days) = days {
                *cohort.days.entry(days).or_default() += 1;
            }
        }
        self.compared(tallies, then, outcome);
    }

    /// Counts the group of each segmentation in which a lead was.
    fn compared(&self, tallies: &mut Tallies, then: &Lead, outcome: Tally) {
        let compare = &self.question.compare;
        let groups: Vec<usize> = compare
            .iter()
            .zip(self.groups)
            .map(|(segmentation, names)| match segmentation {
                Segmentation::Segments(ids) => {
                    ids.iter().position(|id| then.segments.contains(id)).unwrap_or(ids.len())
                }
                _ => {
                    let value = segmentation.value(then);
                    let value = value.as_deref().unwrap_or(NOT_GIVEN);
                    names.iter().position(|name| name == value).unwrap_or(names.len().saturating_sub(1))
                }
            })
            .collect();
        tallies.groups.resize_with(compare.len(), BTreeMap::new);
        for (group, sums) in groups.iter().zip(&mut tallies.groups) {
            sums.entry(*group).or_default().merge(&outcome);
        }
        if outcome.judged() == 0 {
            return;
        }
        let all: Vec<(usize, usize)> = pairs(compare.len()).collect();
        tallies.pairs.resize_with(all.len(), BTreeMap::new);
        for ((one, other), sums) in all.into_iter().zip(&mut tallies.pairs) {
            if let (Some(one), Some(other)) = (groups.get(one), groups.get(other)) {
                let [won, lost] = sums.entry(one * PLACES + other).or_default();
                *(if outcome.positive > 0 { won } else { lost }) += 1;
            }
        }
    }
}

/// What a condition looks at, itself and through other segments.
#[derive(Clone, Debug, Default)]
struct Looks<'a> {
    outcome: bool,
    attributes: BTreeSet<&'a AttributeName>,
}

impl<'a> Looks<'a> {
    fn of(playbook: &'a Playbook, condition: &'a Condition) -> Self {
        let mut looks = Self { outcome: false, attributes: attributes_of(condition, playbook) };
        let (mut at_score, mut others): (bool, BTreeSet<Slug>) = (false, BTreeSet::new());
        let mut phases = false;
        condition.visit(&mut |part| match part {
            Condition::Segment(id) => {
                others.insert(id.clone());
            }
            Condition::Phase(_) => phases = true,
            Condition::Persona(_) => {
                at_score |= playbook.personas.iter().any(|persona| persona.when.level() >= Level::Score);
            }
            // A stage, and what is decided with it.
            part => {
                looks.outcome |= part.level() >= Level::Stage;
                at_score |= part.level() == Level::Score;
            }
        });
        if at_score {
            looks.take(Self::at_score(playbook));
        }
        if phases {
            for (_, when) in &playbook.phases.conditions {
                looks.take(Self::of(playbook, when));
            }
        }
        // Segments refer to others before them only, and phases to neither, so this ends.
        for other in others.iter().filter_map(|id| playbook.segment(id.as_str())) {
            looks.take(Self::of(playbook, &other.when));
        }
        looks
    }

    /// Gives what the score looks at.
    fn at_score(playbook: &'a Playbook) -> Self {
        Self { outcome: false, attributes: uses(playbook).into_iter().flat_map(|(_, names)| names).collect() }
    }

    fn take(&mut self, other: Self) {
        self.outcome |= other.outcome;
        self.attributes.extend(other.attributes);
    }
}

/// A segmentation as it was found.
struct Compared<'a> {
    segmentation: &'a Segmentation,
    /// The groups that somebody was in, by their place, with their names.
    groups: BTreeMap<usize, (String, Tally)>,
    /// To which group each place belongs, where small ones were joined.
    joined: BTreeMap<usize, usize>,
    separation: Option<Separation>,
}

fn count(tally: &Tally) -> Count {
    let float = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Count { leads: float(tally.judged()), wins: float(tally.positive) }
}

impl<'a> Compared<'a> {
    fn new(segmentation: &'a Segmentation, names: &[String], sums: &BTreeMap<usize, Tally>) -> Self {
        let judged: u64 = sums.values().map(Tally::judged).sum();
        let support = u64::from(minimum_support(usize::try_from(judged).unwrap_or(usize::MAX)));
        let rest = names.len().saturating_sub(1);
        let (mut groups, mut joined) = (BTreeMap::new(), BTreeMap::new());
        for (place, tally) in sums {
            // Segments stand as they were asked for; of values, those that few have are one group.
            let own = matches!(segmentation, Segmentation::Segments(_)) || tally.judged() >= support;
            let to = if own { *place } else { rest };
            let name = names.get(to).cloned().unwrap_or_default();
            groups.entry(to).or_insert_with(|| (name, Tally::default())).1.merge(tally);
            joined.insert(*place, to);
        }
        let counts: Vec<Count> = groups.values().map(|(_, tally)| count(tally)).collect();
        let counts: Vec<Count> = counts.into_iter().filter(|count| count.leads > 0).collect();
        Self { segmentation, groups, joined, separation: separation(&counts) }
    }

    fn all(&self) -> Count {
        self.groups.values().map(|(_, tally)| count(tally)).sum()
    }

    fn beyond_chance(&self) -> f64 {
        self.separation.map_or(0.0, |separation| separation.beyond_chance())
    }

    fn to_json(&self, looks: &[String]) -> Value {
        let group = |(name, tally): &(String, Tally)| {
            json!({
                "group": name,
                "leads": tally.judged() + tally.censored,
                "won": tally.positive,
                "lost": tally.negative,
                "open": tally.censored,
                "win_rate": tally.win_rate().to_json(),
            })
        };
        let (all, separation) = (self.all(), self.separation);
        json!({
            "by": self.segmentation.name(),
            "groups": self.groups.values().map(group).collect::<Vec<_>>(),
            "won": all.wins,
            "lost": all.losses(),
            "information_value": separation.map(|found| rounded(found.value)),
            "by_chance": separation.map(|found| rounded(found.by_chance)),
            "beyond_chance": separation.map(|found| json!({
                "value": rounded(found.beyond_chance()),
                "low": rounded(found.interval.low),
                "high": rounded(found.interval.high),
            })),
            "looks_at_the_outcome": looks,
        })
    }
}

/// The answer.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was asked.
    pub question: &'a Question<'a>,
    /// The names of the groups.
    pub groups: &'a [Vec<String>],
    /// What was counted.
    pub tallies: &'a Tallies,
}

impl Report<'_> {
    /// Writes it for the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let compared = self.compared();
        let differences = self.differences(&compared);
        let playbook = self.question.playbook;
        let known: BTreeSet<&str> = playbook.segments.iter().map(|segment| segment.id.as_str()).collect();
        let gone = self.tallies.segments.keys().filter(|id| !known.contains(id.as_str()));
        let segments = playbook.segments.iter().map(|segment| segment.id.as_str());
        let segments: Vec<Value> =
            segments.chain(gone.map(String::as_str)).map(|id| self.segment(id)).collect();
        let names: Vec<String> = compared.iter().map(|one| one.segmentation.name()).collect();
        let named = |place: usize| names.get(place).cloned().unwrap_or_default();
        json!({
            "as_of": self.question.now.to_string(),
            "leads": self.tallies.leads,
            "apart": self.tallies.apart.to_json(),
            "segments": segments,
            "compare": compared.iter().map(|one| one.to_json(&self.outcome_in(one.segmentation))).collect::<Vec<_>>(),
            "differences": differences.iter().map(|(one, other, found)| json!({
                "one": named(*one),
                "other": named(*other),
                "value": rounded(found.value),
                "low": rounded(found.interval.low),
                "high": rounded(found.interval.high),
                "certain": found.certain(),
            })).collect::<Vec<_>>(),
            "answer": answer_of(&compared, &differences),
            "caution": self.cautions(&compared),
        })
    }

    fn segment(&self, id: &str) -> Value {
        let (playbook, nothing) = (self.question.playbook, Counted::default());
        let counted = self.tallies.segments.get(id).unwrap_or(&nothing);
        let defined = playbook.segment(id);
        let mut members = counted.before;
        let bounds = self.question.bounds.iter().zip(self.question.bounds.iter().skip(1));
        let periods = bounds.enumerate().map(|(period, (from, to))| {
            let [entered, left] = counted.flow.get(&period).copied().unwrap_or_default();
            members = (members + entered).saturating_sub(left);
            json!({
                "from": from.to_string(), "to": to.to_string(), "members": members, "entered": entered, "left": left,
            })
        });
        let mut json = Map::new();
        json.insert("segment".to_owned(), id.into());
        json.insert("title".to_owned(), json!(defined.map(|segment| segment.title.as_str())));
        json.insert("in_playbook".to_owned(), defined.is_some().into());
        let looks = defined.is_some_and(|segment| Looks::of(playbook, &segment.when).outcome);
        json.insert("looks_at_the_outcome".to_owned(), looks.into());
        json.insert("members".to_owned(), counted.members.into());
        json.insert("labels".to_owned(), json!(counted.labels));
        json.insert("members_before".to_owned(), counted.before.into());
        json.insert("periods".to_owned(), periods.collect());
        // Who would have been in it cannot be said of a segment whose condition is gone.
        json.insert("cohort".to_owned(), json!(defined.map(|_| counted.cohort.to_json())));
        json.into()
    }

    fn compared(&self) -> Vec<Compared<'_>> {
        let nobody = BTreeMap::new();
        let all = self.question.compare.iter().zip(self.groups).enumerate();
        all.map(|(place, (segmentation, names))| {
            Compared::new(segmentation, names, self.tallies.groups.get(place).unwrap_or(&nobody))
        })
        .collect()
    }

    fn differences(&self, compared: &[Compared<'_>]) -> Vec<(usize, usize, Difference)> {
        let found = pairs(compared.len()).zip(&self.tallies.pairs).filter_map(|((one, other), sums)| {
            let (a, b) = (compared.get(one)?, compared.get(other)?);
            let mut crossed = Crossed::new();
            for (places, [won, lost]) in sums {
                let place = (*a.joined.get(&(places / PLACES))?, *b.joined.get(&(places % PLACES))?);
                let cell = crossed.entry(place).or_default();
                cell.leads += won + lost;
                cell.wins += won;
            }
            Some((one, other, difference(&crossed)?))
        });
        found.collect()
    }

    /// Gives the segments of a segmentation that look at the outcome.
    fn outcome_in(&self, segmentation: &Segmentation) -> Vec<String> {
        let Segmentation::Segments(ids) = segmentation else { return Vec::new() };
        let segments = ids.iter().filter_map(|id| self.question.playbook.segment(id.as_str()));
        let looking = segments.filter(|segment| Looks::of(self.question.playbook, &segment.when).outcome);
        looking.map(|segment| segment.id.to_string()).collect()
    }

    fn cautions(&self, compared: &[Compared<'_>]) -> Vec<String> {
        let playbook = self.question.playbook;
        let looks = playbook.segments.iter().filter(|segment| Looks::of(playbook, &segment.when).outcome);
        let outcome = looks.map(|segment| {
            format!(
                "`{}` looks at stage or owner; its leads here are those that it held before anything was decided",
                segment.id
            )
        });
        let mut attributes: BTreeSet<&AttributeName> = BTreeSet::new();
        for segment in &playbook.segments {
            attributes.extend(Looks::of(playbook, &segment.when).attributes);
        }
        for one in compared {
            match one.segmentation {
                Segmentation::Attribute(name) => {
                    attributes.insert(name);
                }
                Segmentation::Label => attributes.extend(Looks::at_score(playbook).attributes),
                Segmentation::Persona => {
                    let personas = playbook.personas.iter();
                    attributes
                        .extend(personas.flat_map(|persona| Looks::of(playbook, &persona.when).attributes));
                }
                Segmentation::Segments(_) | Segmentation::Channel => {}
            }
        }
        let known: BTreeMap<&str, _> = self.tallies.known.iter().collect();
        let refused =
            attributes.into_iter().filter(|name| self.tallies.known.refuses(name)).filter_map(|name| {
                known.get(name.as_str())?.because(name.as_str()).map(|because| {
                    format!("{because}; what rests on it may have been written with the outcome")
                })
            });
        let few = compared.iter().find(|one| !enough(one.all())).map(|one| too_few(one.all()));
        let crowded = self.question.compare.iter().zip(self.groups);
        let crowded = crowded.filter(|(_, names)| names.last().is_some_and(|last| last == OF_TOO_MANY));
        let crowded = crowded.map(|(segmentation, _)| {
            format!(
                "`{}` has more than {MOST_VALUES} values, too many to be groups: whoever has one is in `{OF_TOO_MANY}`; make \
                 segments of its values to compare them",
                segmentation.name()
            )
        });
        few.into_iter().chain(crowded).chain(outcome).chain(refused).collect()
    }
}

fn too_few(all: Count) -> String {
    format!("too few to conclude: {} won and {} lost; {ENOUGH} of each are needed", all.wins, all.losses())
}

/// Says which segmentation works best, or that it cannot be said.
fn answer_of(compared: &[Compared<'_>], differences: &[(usize, usize, Difference)]) -> Option<String> {
    let best = (0..compared.len()).max_by(|one, other| {
        let of = |place: &usize| compared.get(*place).map_or(0.0, Compared::beyond_chance);
        // The earlier one of equals.
        of(one).total_cmp(&of(other)).then_with(|| other.cmp(one))
    })?;
    let first = compared.get(best)?;
    if !enough(first.all()) {
        return Some(too_few(first.all()));
    }
    let name = first.segmentation.name();
    if !first.separation.is_some_and(|found| found.tells()) {
        return Some(match compared.len() {
            1 => format!("`{name}` tells won from lost no better than chance may"),
            _ => "none of them tells won from lost better than chance may".to_owned(),
        });
    }
    let doubtful: Vec<String> = differences
        .iter()
        .filter(|(one, other, found)| (*one == best || *other == best) && !found.certain())
        .filter_map(|(one, other, _)| compared.get(if *one == best { *other } else { *one }))
        .map(|other| format!("`{}`", other.segmentation.name()))
        .collect();
    Some(match (compared.len(), doubtful.as_slice()) {
        (1, _) => format!("`{name}` tells won from lost better than chance"),
        (_, []) => format!("`{name}` tells won from lost best"),
        (_, doubtful) => format!(
            "`{name}` comes first, but the difference to {} lies within its uncertainty",
            doubtful.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tests::{Story, day};
    use crate::bins::information_value;
    use domain::attribute::{AttributeValue, NewAttribute};
    use domain::change::{Capture, Effect, Entry, Fact, Subject, advance, decide};
    use domain::identity::ExternalId;
    use domain::promise::People;
    use domain::replay::facts_of;
    use domain::sales::Move;

    fn playbook() -> Playbook {
        Playbook::parse(&json!({
            "name": "Segmented",
            "signals": [{"id": "asked", "kind": "asked"}],
            "fit": [{"id": "who", "rules": [
                {"id": "big", "points": 40, "when": {"attribute": "size", "at_least": 60}}
            ]}],
            "engagement": [{"id": "what", "rules": [
                {"id": "asks", "points": 60, "signal": "asked", "max_hits": 1}
            ]}],
            "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 50, "2": 30, "3": 10}},
            "marketing_qualified": {"labels": ["A1"]},
            "default_qualifier": "eu-1",
            "segments": [
                {"id": "big", "title": "Big ones", "when": {"attribute": "size", "at_least": 60}},
                {"id": "active", "when": {"signal": "asked", "at_least": 1, "within_days": 10}},
                {"id": "both", "when": {"all": [{"segment": "big"}, {"segment": "active"}]}},
                {"id": "customers", "when": {"stage": "customer"}},
                {"id": "not_yet", "when": {"all": [{"segment": "big"}, {"not": {"segment": "customers"}}]}},
                {"id": "fitting", "when": {"fit": {"at_least": 10}}}
            ]
        }))
        .unwrap()
    }

    fn won(deal: &str, amount: Option<(&str, &str)>) -> Move {
        let money = |(amount, currency): (&str, &str)| {
            Money::parse(amount, Currency::parse(currency).unwrap()).unwrap()
        };
        Move::Won { deal: ExternalId::new("crm", deal).unwrap(), amount: amount.map(money) }
    }

    fn lost() -> Move {
        Move::Lost { deal: None, reason: None }
    }

    /// Lets a story happen, reviews included, as it does in the live system.
    fn told(story: &Story, now: Timestamp) -> (Lead, Vec<Incoming>, Moves) {
        let (playbook, mut lead, mut entries) = (playbook(), None::<Lead>, Vec::<Entry>::new());
        let review = |lead: &mut Option<Lead>, entries: &mut Vec<Entry>, until: Timestamp| {
            while let Some((known, due)) = lead.as_ref().and_then(|lead| Some((lead, lead.due_at?))) {
                let change = if due > until {
                    None
                } else {
                    advance(known, &playbook, 1, None, People::nobody(), due)
                };
                let Some(change) = change else { break };
                entries.extend(change.entries);
                *lead = Some(change.lead);
            }
        };
        for fact in &story.facts {
            review(&mut lead, &mut entries, fact.occurred_at.plus(-1));
            let subject = match lead.clone() {
                Some(lead) => Subject::Existing(Box::new(lead)),
                None => Subject::New { id: story.id(), playbook_version: 1 },
            };
            let facts = std::slice::from_ref(fact);
            let change =
                decide(subject, Vec::new(), &[], facts, &playbook, People::nobody(), fact.occurred_at);
            if !change.is_empty() {
                entries.extend(change.entries);
                lead = Some(change.lead);
            }
        }
        review(&mut lead, &mut entries, now);
        let moves = Moves::of(&entries);
        (lead.unwrap(), facts_of(entries), moves)
    }

    /// Asks about the days from 0 to 40 in tens, as of day 50.
    fn asked<'a>(playbook: &'a Playbook, compare: &[&str]) -> Question<'a> {
        let compare = compare.iter().map(|text| Segmentation::parse(text, playbook).unwrap());
        let bounds = (0..=4).map(|n| day(n * 10).day().start()).collect();
        Question { playbook, bounds, compare: compare.collect(), declared: BTreeSet::new(), now: day(50) }
    }

    fn report_of(question: &Question<'_>, stories: &[Story]) -> Value {
        let all: Vec<_> = stories.iter().map(|story| told(story, question.now)).collect();
        let mut ground = Ground::default();
        all.iter().for_each(|(lead, ..)| ground.add(question, lead));
        let groups = ground.finish(question);
        let counter = Counter { question, ground: &ground, groups: &groups };
        let mut tallies = Tallies::default();
        for (lead, facts, moves) in &all {
            counter.add(&mut tallies, lead, facts, moves);
            // As a job does that is taken up by another call after each lead.
            let again = Tallies::from_json(&tallies.to_json()).unwrap();
            assert_eq!(again, tallies);
            tallies = again;
        }
        Report { question, groups: &groups, tallies: &tallies }.to_json()
    }

    fn report(stories: &[Story], compare: &[&str]) -> Value {
        report_of(&asked(&playbook(), compare), stories)
    }

    fn segment<'a>(report: &'a Value, id: &str) -> &'a Value {
        let all = report["segments"].as_array().unwrap();
        all.iter().find(|segment| segment["segment"] == id).unwrap()
    }

    fn cohort<'a>(report: &'a Value, id: &str) -> &'a Value {
        &segment(report, id)["cohort"]
    }

    fn flow(report: &Value, id: &str) -> Vec<[u64; 3]> {
        let periods = segment(report, id)["periods"].as_array().unwrap();
        let number = |period: &Value, name: &str| period[name].as_u64().unwrap();
        periods.iter().map(|p| ["members", "entered", "left"].map(|name| number(p, name))).collect()
    }

    #[test]
    fn members_come_leave_and_come_back() {
        // Active on days 2 to 11 and from day 25 to 34; another one from before the time on.
        let back = Story::new(1).given(2, "size", 5.0, None).did(2, "asked").did(25, "asked");
        let early = Story::new(2).given(-5, "size", 80.0, None);
        let report = report(&[back, early], &[]);
        assert_eq!(flow(&report, "active"), [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1]]);
        assert_eq!(flow(&report, "big"), [[1, 0, 0]; 4]);
        assert_eq!(segment(&report, "big")["members_before"], 1);
        assert_eq!(
            (&segment(&report, "active")["members"], &segment(&report, "big")["members"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(segment(&report, "big")["labels"], json!({"B4": 1}));
        assert_eq!(report["leads"], 2);
        // Who left long ago was there while nothing was decided: it is still open.
        assert_eq!(
            (&cohort(&report, "active")["leads"], &cohort(&report, "active")["open"]),
            (&json!(1), &json!(1))
        );
    }

    #[test]
    fn who_came_in_after_the_outcome_is_a_member_and_not_of_the_cohort() {
        let later =
            Story::new(1).given(1, "size", 5.0, None).sales(5, won("a", None)).given(6, "size", 90.0, None);
        let before = Story::new(2).given(1, "size", 90.0, None).sales(5, lost());
        let report = report(&[later, before], &["big", "customers,not_yet"]);
        assert_eq!(segment(&report, "big")["members"], 2);
        assert_eq!((&cohort(&report, "big")["won"], &cohort(&report, "big")["lost"]), (&json!(0), &json!(1)));
        // Nobody is a customer before being won.
        assert_eq!(
            (&segment(&report, "customers")["members"], &cohort(&report, "customers")["leads"]),
            (&json!(1), &json!(0))
        );
        let looks: Vec<bool> = ["big", "both", "customers", "not_yet", "fitting"]
            .map(|id| segment(&report, id)["looks_at_the_outcome"].as_bool().unwrap())
            .into();
        assert_eq!(looks, [false, false, true, true, false]);
        assert_eq!(report["compare"][1]["looks_at_the_outcome"], json!(["customers", "not_yet"]));
        let groups: Vec<(&Value, &Value)> = report["compare"][1]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| (&group["group"], &group["leads"]))
            .collect();
        assert_eq!(groups, [(&json!("not_yet"), &json!(1)), (&json!("none of these"), &json!(1))]);
        assert_eq!(report["answer"], "too few to conclude: 1 won and 1 lost; 30 of each are needed");
    }

    #[test]
    fn what_a_lead_brought_with_it_counts_where_it_is_handed_off_in_the_same_moment() {
        let at_once = |n| Story::new(n).given(1, "size", 90.0, None).did(1, "asked").handed(1);
        let stories = [
            at_once(1).sales(2, Move::Accepted).sales(20, won("a", None)),
            at_once(2).sales(3, Move::Rejected { reason: None }),
            at_once(3),
            at_once(4)
                .sales(2, Move::NotReady { reason: None, not_before: None })
                .given(4, "size", 5.0, None),
        ];
        let report = report(&stories, &[]);
        let both = cohort(&report, "both");
        let numbers =
            ["leads", "handed_off", "accepted", "rejected", "not_ready", "unanswered", "won", "open"];
        assert_eq!(numbers.map(|name| both[name].as_u64().unwrap()), [4, 4, 1, 1, 1, 1, 1, 3]);
        assert_eq!((&both["acceptance"]["hits"], &both["acceptance"]["of"]), (&json!(1), &json!(3)));
        // Wilson's interval of 1 of 1.
        assert_eq!((&both["win_rate"]["rate"], &both["win_rate"]["low"]), (&json!(1.0), &json!(0.2065)));
        assert_eq!(both["days_to_win"], json!({"median": 19, "of": 1}));
    }

    #[test]
    fn a_deal_counts_once_for_the_lead_that_came_first_and_each_currency_by_itself() {
        let stories = [
            Story::new(1).given(2, "size", 90.0, None).sales(10, won("shared", Some(("100.00", "EUR")))),
            Story::new(2)
                .given(1, "size", 5.0, None)
                .did(1, "asked")
                .sales(11, won("shared", Some(("120.00", "EUR")))),
            Story::new(3).given(3, "size", 70.0, None).sales(9, won("own", Some(("50", "JPY")))),
            Story::new(4).given(3, "size", 70.0, None).sales(9, won("euros", Some(("1.50", "EUR")))),
        ];
        let report = report(&stories, &[]);
        let money = |id: &str| cohort(&report, id)["revenue"].clone();
        assert_eq!(
            money("big"),
            json!([{"currency": "EUR", "amount": "1.50"}, {"currency": "JPY", "amount": "50"}])
        );
        // The latest word on the amount, for the lead that came first.
        assert_eq!(money("active"), json!([{"currency": "EUR", "amount": "120.00"}]));
        // All three were won all the same; after 6, 6 and 8 days.
        assert_eq!(cohort(&report, "big")["won"], 3);
        assert_eq!(cohort(&report, "big")["days_to_win"], json!({"median": 6, "of": 3}));
    }

    #[test]
    fn leads_that_were_decided_before_or_captured_after_the_time_are_not_of_it() {
        let stories = [
            Story::new(1).given(-9, "size", 90.0, None).sales(-1, won("a", None)),
            Story::new(2).given(45, "size", 90.0, None),
            // Captured before and decided within.
            Story::new(3).given(-9, "size", 90.0, None).sales(1, won("b", None)),
            // Captured within and decided after, when it was no longer small.
            Story::new(4).given(39, "size", 5.0, None).given(44, "size", 90.0, None).sales(45, lost()),
            // Imported as days: what it did comes first.
            Story::new(5).given(7, "size", 90.0, None).sales(7, lost()),
        ];
        let report = report(&stories, &["big"]);
        assert_eq!((&report["leads"], &cohort(&report, "big")["leads"]), (&json!(3), &json!(2)));
        let groups: Vec<(u64, u64)> = report["compare"][0]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| (group["won"].as_u64().unwrap(), group["lost"].as_u64().unwrap()))
            .collect();
        assert_eq!(groups, [(1, 1), (0, 1)]);
    }

    #[test]
    fn a_segment_that_is_no_longer_defined_has_its_history_and_no_cohort() {
        let playbook = playbook();
        let question = asked(&playbook, &[]);
        let story = Story::new(1).given(2, "size", 90.0, None);
        let (lead, facts, _) = told(&story, question.now);
        let gone = || Slug::parse("old").unwrap();
        let entry = |at: i64, effect| Entry {
            id: at.to_string(),
            at: day(at),
            recorded_at: day(at),
            by: "t".to_owned(),
            history: false,
            fact: Fact::Reviewed,
            effects: vec![effect],
            playbook_version: 1,
        };
        let entered = entry(3, Effect::SegmentEntered { segment: gone(), because: Vec::new() });
        let moves =
            Moves::of(&[entered, entry(15, Effect::SegmentLeft { segment: gone(), because: Vec::new() })]);
        let mut tallies = Tallies::default();
        let ground = Ground::default();
        Counter { question: &question, ground: &ground, groups: &[] }.add(
            &mut tallies,
            &lead,
            &facts,
            &moves,
        );
        let report = Report { question: &question, groups: &[], tallies: &tallies }.to_json();
        let old = segment(&report, "old");
        assert_eq!(
            (&old["in_playbook"], &old["cohort"], &old["title"]),
            (&json!(false), &Value::Null, &Value::Null)
        );
        assert_eq!(flow(&report, "old"), [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]);
    }

    /// Leads of whom 60 in 100 are won where they are big and 20 where not; half of them are; a colour says nothing.
    fn crowd() -> Vec<Story> {
        let colour = |n: i64| {
            let value = AttributeValue::Text(["Red", "blue", "GREEN"][n as usize % 3].to_owned());
            let known_at = Some(day(n % 30));
            let attributes =
                [(AttributeName::parse("colour").unwrap(), NewAttribute { value, known_at })].into();
            Fact::Captured(Box::new(Capture { attributes, responded: true, ..Capture::default() }))
        };
        (0..200)
            .map(|n| {
                let at = n % 30;
                let big = n < 100;
                let win = n % 10 < if big { 6 } else { 2 };
                let size = if big { 90.0 } else { 5.0 };
                let story = Story::new(n as u8).given(at, "size", size, Some(at)).at(day(at), colour(n));
                story.sales(at + 5, if win { won(&n.to_string(), None) } else { lost() })
            })
            .collect()
    }

    #[test]
    fn the_segmentation_that_tells_more_is_found_with_the_value_counted_by_hand() {
        let report = report(&crowd(), &["attribute:colour", "big", "label"]);
        let compare = report["compare"].as_array().unwrap();
        let by_hand = information_value(&[Count { leads: 100, wins: 60 }, Count { leads: 100, wins: 20 }]);
        assert_eq!(compare[1]["information_value"], json!(rounded(by_hand)));
        // The label follows from the size alone.
        assert_eq!(compare[2]["information_value"], compare[1]["information_value"]);
        assert_eq!(
            report["answer"],
            "`big` comes first, but the difference to `label` lies within its uncertainty"
        );
        let colours: Vec<&str> =
            compare[0]["groups"].as_array().unwrap().iter().map(|g| g["group"].as_str().unwrap()).collect();
        assert_eq!(colours, ["blue", "green", "red"]);
        assert!(compare[0]["beyond_chance"]["low"].as_f64().unwrap() < 0.0);
        assert_eq!(report["differences"].as_array().unwrap().len(), 3);
        assert_eq!(
            report["caution"],
            json!([
                "`customers` looks at stage or owner; its leads here are those that it held before anything was decided",
                "`not_yet` looks at stage or owner; its leads here are those that it held before anything was decided"
            ])
        );
        let alone = super::tests::report(&crowd(), &["attribute:colour", "big"]);
        assert_eq!(alone["answer"], "`big` tells won from lost best");
        let nothing = super::tests::report(&crowd(), &["attribute:colour"]);
        assert_eq!(nothing["answer"], "`attribute:colour` tells won from lost no better than chance may");
    }

    #[test]
    fn what_was_written_with_the_outcome_is_named() {
        let stories: Vec<Story> = (0..4)
            .map(|n| {
                // Nobody says since when the size is known, and it came when the lead was won.
                Story::new(n)
                    .did(0, "asked")
                    .at(day(0), Fact::Captured(Box::new(Capture { responded: true, ..Capture::default() })))
                    .given(3, "size", 90.0, Some(4))
                    .sales(4, won(&n.to_string(), None))
            })
            .collect();
        let report = report(&stories, &[]);
        let caution = report["caution"][2].as_str().unwrap();
        assert!(
            caution.starts_with("`size` is known only after the outcome in 100 % of its values"),
            "{caution}"
        );
        assert_eq!(cohort(&report, "big")["leads"], 0);
    }

    #[test]
    fn values_that_few_have_are_one_group() {
        let mut stories = crowd();
        for story in stories.iter_mut().take(20) {
            *story = story.clone().given(0, "place", 1.0, None);
        }
        let report = report(&stories, &["attribute:place"]);
        // 20 of 200 are fewer than 30.
        let groups: Vec<&str> = report["compare"][0]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| g["group"].as_str().unwrap())
            .collect();
        assert_eq!(groups, ["not given", "anything else"]);
    }

    #[test]
    fn what_has_too_many_values_has_no_groups_in_whatever_order_the_leads_come() {
        let playbook = playbook();
        let question = asked(&playbook, &["attribute:number", "attribute:place"]);
        let (template, ..) = told(&Story::new(1).given(2, "number", 1.0, None).did(2, "asked"), question.now);
        // The last one has the value of the first, so that there is one value fewer than leads.
        let lead = |n: usize, values: usize| {
            let mut lead = template.clone();
            for (name, n) in [("number", n % values), ("place", n % 2)] {
                let name = AttributeName::parse(name).unwrap();
                let mut attribute = template.attributes.values().next().unwrap().clone();
                attribute.value = AttributeValue::Text(format!("V{n}"));
                lead.attributes.insert(name, attribute);
            }
            lead
        };
        let groups = |values: usize, backwards: bool| {
            let mut ground = Ground::default();
            for n in 0..=values {
                ground.add(&question, &lead(if backwards { values - n } else { n }, values));
                assert!(ground.values.iter().all(|values| values.counts.len() <= MOST_VALUES));
            }
            ground.finish(&question)
        };
        let places = ["v0", "v1", NOT_GIVEN, ANYTHING_ELSE];
        let as_many_as_may_be = groups(MOST_VALUES, false);
        assert_eq!(as_many_as_may_be, groups(MOST_VALUES, true));
        // The one value that two have is among the most frequent ones.
        assert_eq!((as_many_as_may_be[0].len(), as_many_as_may_be[0][0].as_str()), (MOST_GROUPS + 2, "v0"));
        assert_eq!(as_many_as_may_be[1], places);
        for backwards in [false, true] {
            let names = groups(MOST_VALUES + 1, backwards);
            assert_eq!(names[0], [NOT_GIVEN, OF_TOO_MANY]);
            assert_eq!(names[1], places);
        }

        let question = asked(&playbook, &["attribute:number"]);
        let ground = Ground::default();
        let report = |names: &[&str]| {
            let names = [names.iter().map(|name| (*name).to_owned()).collect()];
            let counter = Counter { question: &question, ground: &ground, groups: &names };
            let mut tallies = Tallies::default();
            let story = Story::new(1).given(2, "number", 1.0, None).sales(5, lost());
            let (lead, facts, moves) = told(&story, question.now);
            counter.add(&mut tallies, &lead, &facts, &moves);
            Report { question: &question, groups: &names, tallies: &tallies }.to_json()
        };
        let crowded = report(&[NOT_GIVEN, OF_TOO_MANY]);
        assert_eq!(crowded["compare"][0]["groups"][0]["group"], OF_TOO_MANY);
        assert_eq!(
            crowded["caution"][1],
            "`attribute:number` has more than 10000 values, too many to be groups: whoever has one is in \
             `anything else, of too many values`; make segments of its values to compare them"
        );
        assert!(!report(&[NOT_GIVEN, ANYTHING_ELSE])["caution"].to_string().contains("too many"));
    }

    #[test]
    fn what_a_job_notes_fits_into_an_item_however_much_there_is_of_everything() {
        let (segments, periods, places) = (60, 100, MOST_GROUPS + 2);
        let cohort = Cohort {
            outcomes: Tally { positive: 1_000_000, negative: 1_000_000, censored: 1_000_000 },
            revenue: [("EUR".to_owned(), i64::MAX)].into(),
            days: (0..=LONGEST_DAYS).filter(|d| *d <= TO_THE_DAY || d % 7 == 0).map(|d| (d, 1_000)).collect(),
            ..Cohort::default()
        };
        let counted = Counted {
            labels: (0..16).map(|n| (format!("L{n}"), 1_000_000)).collect(),
            flow: (0..periods).map(|period| (period, [10_000, 10_000])).collect(),
            cohort,
            ..Counted::default()
        };
        let tally = Tally { positive: 1_000_000, negative: 1_000_000, censored: 1_000_000 };
        let crossed = || (0..places * places).map(|n| (n / places * PLACES + n % places, [10_000, 10_000]));
        let tallies = Tallies {
            segments: (0..segments)
                .map(|n| (format!("a_segment_with_a_name_{n}"), counted.clone()))
                .collect(),
            groups: vec![(0..places).map(|place| (place, tally)).collect(); MOST_SEGMENTATIONS],
            pairs: pairs(MOST_SEGMENTATIONS).map(|_| crossed().collect()).collect(),
            ..Tallies::default()
        };
        let size = tallies.to_json().to_string().len();
        assert!((250_000..390_000).contains(&size), "{size}");
    }

    #[test]
    fn a_segmentation_is_read_as_it_is_named() {
        let playbook = playbook();
        for text in ["big", "big,active", "label", "persona", "channel", "country", "attribute:size"] {
            assert_eq!(Segmentation::parse(text, &playbook).unwrap().name(), text);
        }
        for wrong in ["", "big,", "big,big", "nobody", "attribute:", "Big"] {
            assert!(Segmentation::parse(wrong, &playbook).is_err(), "{wrong}");
        }
    }
}
