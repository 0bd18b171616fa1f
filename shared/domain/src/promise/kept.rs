//! How both sides kept what they promised, counted over any number of leads.
//!
//! Sales' promise is one for each hand-off; marketing's one for each week of a territory. A lead counts in the territory in
//! which it is now. Two counts add up, in any order.

use super::{Clock, Delivery, People, Promises, State, Tally, Verdict, clocks, turns};
use crate::funnel::Durations;
use crate::identity::{LeadId, Slug};
use crate::lead::Lead;
use crate::time::{Day, Timestamp};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// How many of those who waited longest are kept of a row.
pub const MOST_WAITED: usize = 3;
/// How many weeks of marketing's promises are judged at most, the latest ones: five years.
pub const MOST_WEEKS: usize = 260;

/// What the rows of sales' side stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupBy {
    /// The territory.
    Territory,
    /// Whose promise it was.
    Person,
    /// The week of the hand-off, by its Monday.
    Week,
}

impl GroupBy {
    /// Every grouping with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("territory", Self::Territory), ("person", Self::Person), ("week", Self::Week)];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, group)| *group == self).map_or("", |(word, _)| word)
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of hand-offs from then on.
    pub from: Option<Timestamp>,
    /// Of hand-offs before.
    pub to: Option<Timestamp>,
    /// Where sales' weeks begin.
    pub zone: TimeZone,
    /// What the rows stand for, each once.
    pub group_by: Vec<GroupBy>,
}

/// The names of a row, in the order of the groupings; none for the leads of no territory.
pub type Names = Vec<Option<String>>;

impl Question {
    /// Tells whether a hand-off is asked for.
    #[must_use]
    pub fn counts(&self, clock: &Clock) -> bool {
        self.from.is_none_or(|from| clock.started_at >= from)
            && self.to.is_none_or(|to| clock.started_at < to)
    }

    /// Gives the row in which a hand-off of a territory's lead stands.
    #[must_use]
    pub fn names(&self, clock: &Clock, territory: Option<&Slug>) -> Names {
        let name = |group: &GroupBy| match group {
            GroupBy::Territory => territory.map(ToString::to_string),
            GroupBy::Person => Some(clock.owner.to_string()),
            GroupBy::Week => Some(clock.started_at.day_in(&self.zone).monday().to_string()),
        };
        self.group_by.iter().map(name).collect()
    }
}

/// How long a lead waited for its first answer, or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// In milliseconds of its owner's working time.
    pub ms: i64,
    /// Which lead.
    pub lead: LeadId,
    /// Whose promise it was.
    pub owner: Slug,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was answered by now.
    pub answered: bool,
}

impl Waited {
    /// The longest first; of equal ones the same first in every order of counting.
    fn place(&self) -> (std::cmp::Reverse<i64>, Timestamp, &LeadId) {
        (std::cmp::Reverse(self.ms), self.since, &self.lead)
    }
}

/// How sales kept its promises.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Count {
    /// How many were given: one for each hand-off.
    pub promised: u64,
    /// How many were kept.
    pub kept: u64,
    /// How many were broken.
    pub broken: u64,
    /// How many nobody can tell yet.
    pub open: u64,
    /// How many leads were given up for a reason before which tries were promised.
    pub gave_up: u64,
    /// How many of these were tried so often as was promised.
    pub tried_enough: u64,
    /// How long the first answers took, in working time.
    pub took: Durations,
    /// Those who waited longest.
    pub waited: Vec<Waited>,
}

impl Count {
    fn add(&mut self, clock: &Clock, promises: &Promises, people: &People, lead: &Lead, now: Timestamp) {
        self.promised += 1;
        match clock.state(now) {
            State::Kept => self.kept += 1,
            State::Broken => self.broken += 1,
            State::Running | State::Paused { .. } => self.open += 1,
        }
        if let Some(promised) = &promises.tries {
            let verdict = clock.tries(promised);
            self.gave_up += u64::from(verdict != Verdict::Open);
            self.tried_enough += u64::from(verdict == Verdict::Kept);
        }
        let until = clock.answered_at.unwrap_or(now);
        let ms = people.get(&clock.owner).calendar.elapsed(clock.runs_from, until);
        if clock.answered_at.is_some() {
            self.took.add(ms);
        }
        let (owner, since, answered) = (clock.owner.clone(), clock.started_at, clock.answered_at.is_some());
        self.waited.push(Waited { ms, lead: lead.id.clone(), owner, since, answered });
        self.tidy();
    }

    fn tidy(&mut self) {
        self.waited.sort_by(|a, b| a.place().cmp(&b.place()));
        self.waited.truncate(MOST_WAITED);
    }

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.promised += other.promised;
        self.kept += other.kept;
        self.broken += other.broken;
        self.open += other.open;
        self.gave_up += other.gave_up;
        self.tried_enough += other.tried_enough;
        self.took.merge(other.took);
        self.waited.extend(other.waited);
        self.tidy();
    }
}

/// How both sides kept their promises.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Kept {
    /// Sales, by row.
    pub sales: BTreeMap<Names, Count>,
    /// What marketing brought in a week, by its promise's territory and the week's Monday.
    brought: BTreeMap<(Option<Slug>, Day), Tally>,
}

/// A week of one of marketing's promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week {
    /// Its Monday.
    pub monday: Day,
    /// What marketing brought.
    pub tally: Tally,
    /// Whether it kept its promise.
    pub verdict: Verdict,
}

impl Kept {
    /// Counts the hand-offs of a lead, which is now in a territory.
    pub fn add(
        &mut self,
        question: &Question,
        promises: &Promises,
        people: &People,
        lead: &Lead,
        territory: Option<&Slug>,
        now: Timestamp,
    ) {
        for clock in clocks(turns(lead, promises.tries.as_ref())) {
            if !question.counts(&clock) {
                continue;
            }
            let row = self.sales.entry(question.names(&clock, territory)).or_default();
            row.add(&clock, promises, people, lead, now);
            if let Some(promise) = promises.marketing.iter().find(|p| p.territory.as_ref() == territory) {
                let week = (promise.territory.clone(), promise.week_of(clock.started_at));
                self.brought.entry(week).or_default().add(&clock);
            }
        }
    }

    /// Takes in what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (names, count) in other.sales {
            self.sales.entry(names).or_default().merge(count);
        }
        for (week, tally) in other.brought {
            self.brought.entry(week).or_default().merge(tally);
        }
    }

    /// Gives the same by one of its groupings alone, with the question that it answers: what was counted by several at once
    /// is not counted again for each.
    #[must_use]
    pub fn by(&self, question: &Question, group: GroupBy) -> (Question, Self) {
        let place = question.group_by.iter().position(|known| *known == group);
        let mut sales: BTreeMap<Names, Count> = BTreeMap::new();
        for (names, count) in &self.sales {
            let name = place.and_then(|place| names.get(place)).cloned();
            sales.entry(name.into_iter().collect()).or_default().merge(count.clone());
        }
        let group_by = place.map(|_| group).into_iter().collect();
        (Question { group_by, ..question.clone() }, Self { sales, brought: self.brought.clone() })
    }

    /// Gives all of sales' rows as one.
    #[must_use]
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        self.sales.values().cloned().for_each(|count| total.merge(count));
        total
    }

    /// Judges marketing's weeks of a promise, those in which it brought nothing among them: from the first that is asked
    /// for, or else the first in which it brought something, to the last that is asked for and has begun.
    ///
    /// A week counts where all of it is asked for, since half of its leads would break its promise.
    #[must_use]
    pub fn weeks(&self, question: &Question, promise: &Delivery, now: Timestamp) -> Vec<Week> {
        let of =
            |(territory, monday): &(Option<Slug>, Day)| (*territory == promise.territory).then_some(*monday);
        let midnight = |monday: Day| monday.midnight_in(&promise.timezone);
        let first = match question.from {
            Some(from) => {
                let monday = promise.week_of(from);
                Some(if midnight(monday) < from { monday.plus(7) } else { monday })
            }
            None => self.brought.keys().filter_map(of).min(),
        };
        let Some(first) = first else { return Vec::new() };
        let asked_for = |monday: Day| {
            midnight(monday) <= now && question.to.is_none_or(|to| midnight(monday.plus(7)) <= to)
        };
        let mondays = std::iter::successors(Some(first), |monday| Some(monday.plus(7)));
        let mut weeks: Vec<Week> = mondays
            .take_while(|monday| asked_for(*monday))
            .map(|monday| {
                let tally =
                    self.brought.get(&(promise.territory.clone(), monday)).copied().unwrap_or_default();
                Week { monday, tally, verdict: promise.verdict(monday, tally, now) }
            })
            .collect();
        weeks.drain(..weeks.len().saturating_sub(MOST_WEEKS));
        weeks
    }
}
