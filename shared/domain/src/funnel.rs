//! The funnel report: how many leads came how far, how many of those went on, and how long that took.
//!
//! A pure fold over leads, as [`report`](mod@crate::report) is: one scan of the table is all it costs, and parts of a scan are
//! [merged](Funnel::merge) in any order.
//!
//! # Two ways to count
//!
//! * **Cohort**: leads whose first contact lies in the time, and how far they came by now. A lead *reached* a stage where
//!   it stood in it or in a further one of the [path](PATH), in any of its cycles: sales also finds deals on its own, and
//!   a deal that was won at once has passed every stage before. It *entered* those that it really stood in. So `reached`
//!   never grows along the path, and of those who reached a stage the share that reached the next one is a share.
//! * **Period**: what happened in the time, whoever it happened to. A lead *entered* a stage where a stay began in the time;
//!   it *left* it where one ended, and *advanced* where one ended in a further stage of the path. Who moved on in March
//!   came in February; so leads that entered the next stage are no share of those that entered this one, and conversion is
//!   the share of those that left it that advanced.
//!
//! Each lead counts once in each figure, however often it went around.
//!
//! # Open cohorts
//!
//! A young cohort looks worse than an old one, because its leads had no time. So `open` tells how many are neither won nor
//! lost, and of each stage how many came so far, no further, and may still go on.
//!
//! # Memory
//!
//! It grows with the number of groups and not of leads ([`Durations`]), and of groups at most [`MOST_GROUPS`] are told apart,
//! since anybody who posts a form can make up campaigns. Which ones is decided by a hash of their names: those beyond are
//! counted together, and which those are does not depend on the order of the leads.

mod durations;

pub use durations::{Durations, LONGEST_HOURS};

use crate::condition::TouchField;
use crate::lead::Lead;
use crate::report::{self, Basis, PATH, place};
use crate::sales::Outcome;
use crate::stage::Stage;
use crate::time::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// The most groups that are told apart.
pub const MOST_GROUPS: usize = 10_000;

/// What the rows stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Channel, campaign or landing page of the first touch.
    Touch(TouchField),
    /// The country.
    Country,
    /// The persona that it mirrors now.
    Persona,
    /// Each segment that it is in now.
    Segment,
    /// The label that it has now.
    Label,
    /// The person in sales who has it.
    Person,
    /// The month of the first contact.
    FirstContactMonth,
}

impl GroupBy {
    /// Every way to group with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("channel", Self::Touch(TouchField::Channel)),
        ("campaign", Self::Touch(TouchField::Campaign)),
        ("landing_page", Self::Touch(TouchField::LandingPage)),
        ("country", Self::Country),
        ("persona", Self::Persona),
        ("segment", Self::Segment),
        ("label", Self::Label),
        ("person", Self::Person),
        ("first_contact_month", Self::FirstContactMonth),
    ];
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the rows stand for.
    pub group_by: GroupBy,
    /// By which time leads are chosen.
    pub basis: Basis,
    /// From when, included.
    pub from: Option<Timestamp>,
    /// Until when, not included.
    pub to: Option<Timestamp>,
    /// The time zone of the months.
    pub zone: TimeZone,
}

/// What the report needs of one lead.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the campaigns report needs of it.
    pub lead: report::Row,
    /// Its country.
    country: Option<String>,
    /// The persona that it mirrors.
    persona: Option<String>,
    /// The segments that it is in.
    segments: Vec<String>,
    /// Its label.
    label: String,
    /// Who has it.
    person: Option<String>,
}

impl Row {
    /// Takes from a lead what the report needs; `None` for a contact, since only leads count in funnels.
    #[must_use]
    pub fn of(lead: &Lead) -> Option<Self> {
        let row = report::Row::of(lead)?;
        Some(Self {
            country: lead.country().map(ToString::to_string),
            persona: lead.persona.as_ref().map(ToString::to_string),
            segments: lead.segments.iter().map(ToString::to_string).collect(),
            label: lead.score.label.to_string(),
            person: lead.person.as_ref().map(ToString::to_string),
            lead: row,
        })
    }
}

/// What a lead counts for in one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Passage {
    /// Whether it came so far.
    pub reached: bool,
    /// Whether it stood there: in the cohort ever, in the period since some moment of it.
    pub entered: bool,
    /// Whether it came so far, no further, and may still go on.
    pub open: bool,
    /// Whether it left the stage in the period.
    pub left: bool,
    /// Whether it left it for a further one.
    pub advanced: bool,
    /// In the cohort how long it took from the stage before, in the period how long it stood there before it advanced; in
    /// milliseconds.
    pub took_ms: Option<i64>,
    /// How long after its first contact it came there, in milliseconds.
    pub since_first_ms: Option<i64>,
}

/// How a lead ended, as the report counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has a won deal.
    Won,
    /// It was lost or disqualified.
    Lost,
    /// Neither.
    Open,
}

impl Question {
    fn covers(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    /// Tells whether a lead counts: in the cohort by its first contact, in the period by any move.
    #[must_use]
    pub fn counts(&self, row: &Row) -> bool {
        match (self.basis, row.lead.outcome) {
            (Basis::Cohort, _) => self.covers(row.lead.first()),
            (Basis::Period, Outcome::Won(at) | Outcome::Lost(at)) if self.covers(at) => true,
            (Basis::Period, _) => row.lead.stays.iter().any(|stay| self.covers(stay.since)),
        }
    }

    /// Gives the groups that a lead counts in; `None` is that of those without a name.
    #[must_use]
    pub fn groups(&self, row: &Row) -> Vec<Option<String>> {
        let one = match self.group_by {
            GroupBy::Touch(field) => {
                row.lead.first_touch.as_ref().and_then(|touch| field.of(touch)).map(str::to_owned)
            }
            GroupBy::Country => row.country.clone(),
            GroupBy::Persona => row.persona.clone(),
            GroupBy::Segment if !row.segments.is_empty() => {
                return row.segments.iter().cloned().map(Some).collect();
            }
            GroupBy::Segment => None,
            GroupBy::Label => Some(row.label.clone()),
            GroupBy::Person => row.person.clone(),
            GroupBy::FirstContactMonth => {
                let day = row.lead.first().day_in(&self.zone).to_string();
                day.rsplit_once('-').map(|(month, _)| month.to_owned())
            }
        };
        vec![one]
    }

    /// Tells how a lead that counts ended: in the period only what happened in it.
    #[must_use]
    pub fn ending(&self, row: &Row) -> Ending {
        let in_time = |at| self.basis == Basis::Cohort || self.covers(at);
        match row.lead.outcome {
            Outcome::Won(at) if in_time(at) => Ending::Won,
            Outcome::Lost(at) if in_time(at) => Ending::Lost,
            _ => Ending::Open,
        }
    }

    /// Tells what a lead that counts counts for in a stage.
    #[must_use]
    pub fn passage(&self, row: &Row, stage: Stage) -> Passage {
        match self.basis {
            Basis::Cohort => cohort(row, stage),
            Basis::Period => self.period(row, stage),
        }
    }

    fn period(&self, row: &Row, stage: Stage) -> Passage {
        let mut passage = Passage::default();
        for (at, stay) in row.lead.stays.iter().enumerate().filter(|(_, stay)| stay.stage == stage) {
            if self.covers(stay.since) && !passage.entered {
                passage.entered = true;
                passage.reached = true;
                passage.since_first_ms = Some(stay.since.since(row.lead.first()));
            }
            let Some(next) = row.lead.stays.get(at + 1).filter(|next| self.covers(next.since)) else {
                continue;
            };
            passage.left = true;
            if place(next.stage).zip(place(stage)).is_some_and(|(next, this)| next > this) {
                passage.advanced = true;
                passage.took_ms = Some(next.since.since(stay.since));
            }
        }
        passage
    }
}

/// Tells how far a lead came by now.
fn cohort(row: &Row, stage: Stage) -> Passage {
    let entry = |stage: Stage| row.lead.stays.iter().find(|stay| stay.stage == stage).map(|stay| stay.since);
    let entered = entry(stage);
    let mut passage = Passage {
        reached: entered.is_some(),
        entered: entered.is_some(),
        since_first_ms: entered.map(|at| at.since(row.lead.first())),
        ..Passage::default()
    };
    if let Some(this) = PATH.iter().position(|known| *known == stage) {
        let furthest = row.lead.furthest();
        passage.reached = furthest >= this;
        passage.open = furthest == this && row.lead.outcome == Outcome::Open;
        let before = this.checked_sub(1).and_then(|before| PATH.get(before)).and_then(|stage| entry(*stage));
        passage.took_ms = entered.zip(before).map(|(at, before)| at.since(before));
    }
    passage
}

/// What is counted of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Count {
    /// Leads that came so far.
    pub reached: u64,
    /// Leads that stood there.
    pub entered: u64,
    /// Leads that came so far, no further, and may still go on.
    pub open: u64,
    /// Leads that left it in the period.
    pub left: u64,
    /// Leads that left it for a further one.
    pub advanced: u64,
    /// How long it took: see [`Passage::took_ms`].
    pub took: Durations,
    /// How long after their first contact they came there.
    pub since_first: Durations,
}

impl Count {
    fn add(&mut self, passage: &Passage) {
        self.reached += u64::from(passage.reached);
        self.entered += u64::from(passage.entered);
        self.open += u64::from(passage.open);
        self.left += u64::from(passage.left);
        self.advanced += u64::from(passage.advanced);
        passage.took_ms.into_iter().for_each(|ms| self.took.add(ms));
        passage.since_first_ms.into_iter().for_each(|ms| self.since_first.add(ms));
    }

    fn merge(&mut self, other: Self) {
        self.reached += other.reached;
        self.entered += other.entered;
        self.open += other.open;
        self.left += other.left;
        self.advanced += other.advanced;
        self.took.merge(other.took);
        self.since_first.merge(other.since_first);
    }
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// Leads.
    pub leads: u64,
    /// Leads with a won deal.
    pub won: u64,
    /// Leads that were lost or disqualified.
    pub lost: u64,
    /// Leads that are neither.
    pub open: u64,
    /// What is counted of each stage; one in which nothing happened is left out.
    pub stages: BTreeMap<Stage, Count>,
}

impl Line {
    fn add(&mut self, ending: Ending, passages: &[(Stage, Passage)]) {
        self.leads += 1;
        match ending {
            Ending::Won => self.won += 1,
            Ending::Lost => self.lost += 1,
            Ending::Open => self.open += 1,
        }
        for (stage, passage) in passages.iter().filter(|(_, passage)| *passage != Passage::default()) {
            self.stages.entry(*stage).or_default().add(passage);
        }
    }

    fn merge(&mut self, other: Self) {
        self.leads += other.leads;
        self.won += other.won;
        self.lost += other.lost;
        self.open += other.open;
        for (stage, count) in other.stages {
            self.stages.entry(stage).or_default().merge(count);
        }
    }
}

/// Which group a line is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Of this name; `None` for those without one.
    Of(Option<String>),
    /// Of all that are not told apart.
    Others,
}

/// The report while leads are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funnel {
    /// Every lead once, whatever its groups.
    total: Line,
    nameless: Option<Line>,
    /// By the hash of the name first.
    lines: BTreeMap<([u8; 8], String), Line>,
    others: Option<Line>,
    most: usize,
}

impl Default for Funnel {
    fn default() -> Self {
        Self::with_room_for(MOST_GROUPS)
    }
}

/// Gives a number for a name that nobody chose.
pub(crate) fn hash(name: &str) -> [u8; 8] {
    use sha2::{Digest, Sha256};
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(Sha256::digest(name.as_bytes())).for_each(|(to, from)| *to = from);
    bytes
}

impl Funnel {
    /// Makes one that tells so many groups apart.
    #[must_use]
    pub fn with_room_for(most: usize) -> Self {
        Self { total: Line::default(), nameless: None, lines: BTreeMap::new(), others: None, most }
    }

    /// Adds a lead.
    pub fn add(&mut self, question: &Question, row: &Row) {
        if !question.counts(row) {
            return;
        }
        let ending = question.ending(row);
        let stages = Stage::WORDS.iter().map(|(_, stage)| *stage);
        let passages: Vec<(Stage, Passage)> =
            stages.map(|stage| (stage, question.passage(row, stage))).collect();
        self.total.add(ending, &passages);
        for group in question.groups(row) {
            let line = match group {
                None => self.nameless.get_or_insert_default(),
                Some(name) => self.lines.entry((hash(&name), name)).or_default(),
            };
            line.add(ending, &passages);
        }
        self.make_room();
    }

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.total.merge(other.total);
        for (mine, theirs) in [(&mut self.nameless, other.nameless), (&mut self.others, other.others)] {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().merge(theirs);
            }
        }
        for (key, line) in other.lines {
            self.lines.entry(key).or_default().merge(line);
        }
        self.make_room();
    }

    /// Counts the groups of the highest hashes together. One that stays was never among these, whatever came in which
    /// order, so nothing of it is missing.
    fn make_room(&mut self) {
        while self.lines.len() > self.most {
            let Some((_, line)) = self.lines.pop_last() else { return };
            self.others.get_or_insert_default().merge(line);
        }
    }

    /// Gives the line of all leads, each once, and those of the groups, most leads first: the first `most` of them by
    /// themselves, and the others together at the end.
    #[must_use]
    pub fn finish(self, most: usize) -> (Line, Vec<(Group, Line)>) {
        let named = self.lines.into_iter().map(|((_, name), line)| (Group::Of(Some(name)), line));
        let mut lines: Vec<(Group, Line)> =
            self.nameless.map(|line| (Group::Of(None), line)).into_iter().chain(named).collect();
        lines.sort_by(|(a_name, a), (b_name, b)| b.leads.cmp(&a.leads).then_with(|| a_name.cmp(b_name)));
        let mut others = self.others;
        for (_, line) in lines.split_off(most.min(lines.len())) {
            others.get_or_insert_default().merge(line);
        }
        lines.extend(others.map(|line| (Group::Others, line)));
        (self.total, lines)
    }

    /// Gives the names that are told apart.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.lines.keys().map(|(_, name)| name.as_str()).collect()
    }
}
