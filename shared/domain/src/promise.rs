//! What sales and marketing promised each other, and whether they keep it.
//!
//! Sales promises a first answer within so many hours, and so many tries before it gives somebody up; marketing promises
//! so many qualified leads a week. The playbook says how much ([`Promises`]), people's records say when somebody works
//! ([`Person`]), and a lead's facts say what was done ([`Turn`]).
//!
//! * **A promise is the moment that was said.** When a fact starts a clock or gives it to somebody else, the moment by
//!   which it has to be answered is computed once, with the calendars of that day ([`promised`], [`Clock::moved`]), and
//!   stands in the fact. The fold over the facts ([`clocks`]) asks no calendar: what was kept stays kept when somebody's
//!   holidays are entered later, when the playbook promises less, or when a person leaves.
//! * **The clock** starts with the hand-off and stops with the first follow-up or decision. It stands still outside of
//!   its owner's working hours, and before the date that sales gave when it returned the lead, should the lead be handed
//!   over earlier all the same. Nothing else pauses it: a lead that was handed over always has an owner. Given to
//!   somebody else, the time that is left runs on in their working hours; who takes over an overdue lead does not mend
//!   the promise.
//! * **Whoever never works keeps no lead.** Where a calendar has no such moment, hours of the clock count, so that the
//!   promise breaks and the lead goes on to somebody who is there.
//! * **Raised once, then a fact**: that a promise is due soon (in the last part of its time) or broken is a fact as well,
//!   and the fold remembers it. A tick that was away for days says only that it is broken.
//! * **A broken promise stays with sales.** The lead goes to its owner's deputy, who has as long again, then to the
//!   manager; whoever is not there ([`missing`]) is passed over, and nobody gets it twice. It is broken once all the same, and it is the
//!   promise of whoever had the lead when it broke.
//! * **Marketing's week** is an ISO week in the time zone of its promise. Nobody is judged before it is over, nor while
//!   what sales has not decided on could still turn it.
//!
//! # Who asks
//!
//! * [`change`](crate::change), with the [`People`] concerned: at a hand-off [`promised`], at an assignment
//!   [`Clock::moved`]; after every fact [`Clock::next_at`] of the [`running`] clock is a part of the lead's `due_at`, and
//!   a review then records what [`Clock::raise`] says. A lapse that names somebody is an assignment to them.
//! * Reports: [`Clock::state`], [`Clock::tries`] and [`Tally`] of each of a lead's clocks; the time to the first answer
//!   is [`Calendar::elapsed`] from [`Clock::runs_from`].

pub mod kept;

use crate::calendar::{Calendar, Week};
use crate::identity::Slug;
use crate::lead::Lead;
use crate::routing::{Room, missing};
use crate::sales::Move;
use crate::time::{Day, HOUR_MS, Timestamp};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What the playbook promises.
#[derive(Clone, Debug)]
pub struct Promises {
    /// Within how many hours sales gives a first answer.
    pub first_answer_hours: u16,
    /// In the last how many percent of that time the promise is due soon; 0 says nothing beforehand.
    pub due_soon_percent: u8,
    /// The hours of those whose record has none; all hours where there are none either.
    pub working_hours: Option<Week>,
    /// How often sales tries before it gives up.
    pub tries: Option<Tries>,
    /// What marketing promises, the first territory first.
    pub marketing: Vec<Delivery>,
}

/// How often sales tries to reach somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    /// At least so often.
    pub at_least: u16,
    /// The reasons with which a lead is given up; others, such as a wrong size, need no try.
    pub before: BTreeSet<String>,
}

/// So many qualified leads a week.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// For which territory; for the leads of none of them where none is named.
    pub territory: Option<Slug>,
    /// Where its week begins and ends.
    pub timezone: TimeZone,
    /// How many leads handed off in a week.
    pub leads: u32,
    /// How many percent of them sales accepts, where that was promised.
    pub accepted_percent: Option<u8>,
}

/// Somebody who answers leads, as far as promises go.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// When they work.
    pub calendar: Calendar,
    /// Who gets what they leave unanswered.
    pub deputy: Option<Slug>,
    /// Who gets what the deputy leaves unanswered.
    pub manager: Option<Slug>,
    /// When they left the company; they get nothing from then on.
    pub left_at: Option<Timestamp>,
    /// How many leads they can have.
    pub room: Room,
}

impl Person {
    /// Tells whether they are no longer with the company.
    #[must_use]
    pub fn has_left(&self, now: Timestamp) -> bool {
        self.left_at.is_some_and(|at| at <= now)
    }
}

/// The people whom a lead's clock may concern. Who has no record works always and has nobody to answer for them.
#[derive(Clone, Debug, Default)]
pub struct People {
    known: BTreeMap<Slug, Person>,
    unknown: Person,
}

impl FromIterator<(Slug, Person)> for People {
    fn from_iter<I: IntoIterator<Item = (Slug, Person)>>(people: I) -> Self {
        Self { known: people.into_iter().collect(), unknown: Person::default() }
    }
}

/// The people of whom nothing is known.
static NOBODY: LazyLock<People> = LazyLock::new(People::default);

impl People {
    /// Gives the people where nobody has a record: for what is played again, which hands nobody anything.
    #[must_use]
    pub fn nobody() -> &'static Self {
        &NOBODY
    }

    /// Lets somebody be gone from a moment on, whatever their record says.
    pub fn leaves(&mut self, id: &Slug, at: Timestamp) {
        self.known.entry(id.clone()).or_default().left_at = Some(at);
    }

    /// Lists who is no longer with the company.
    pub fn gone(&self, now: Timestamp) -> impl Iterator<Item = &Slug> {
        self.known.iter().filter(move |(_, person)| person.has_left(now)).map(|(id, _)| id)
    }

    /// Gives somebody.
    #[must_use]
    pub fn get(&self, id: &Slug) -> &Person {
        self.known.get(id).unwrap_or(&self.unknown)
    }
}

/// Whether a promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody can tell yet.
    Open,
    /// It was.
    Kept,
    /// It was not.
    Broken,
}

/// Says by when a lead that is handed over at a moment is promised to be answered.
#[must_use]
pub fn promised(calendar: &Calendar, at: Timestamp, not_before: Option<Timestamp>, hours: u16) -> Timestamp {
    after(calendar, not_before.map_or(at, |date| date.max(at)), i64::from(hours) * HOUR_MS)
}

fn after(calendar: &Calendar, at: Timestamp, work_ms: i64) -> Timestamp {
    calendar.due(at, work_ms).unwrap_or(at.plus(work_ms)).min(Timestamp::LATEST)
}

/// Gives the working time between two moments; all of the time where there is none.
fn within(calendar: &Calendar, from: Timestamp, to: Timestamp) -> i64 {
    match calendar.elapsed(from, to) {
        0 => to.since(from),
        work_ms => work_ms,
    }
}

/// What a fact does to the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The lead was handed over: a promise begins.
    HandedOff {
        /// To whom.
        to: Slug,
        /// By when they answer.
        due_at: Timestamp,
    },
    /// Somebody else has it.
    Assigned {
        /// Who.
        to: Slug,
        /// By when they answer; as before where nothing is said.
        due_at: Option<Timestamp>,
    },
    /// Sales tried to reach it.
    FollowedUp,
    /// Sales took it, gave it back, or got further with it.
    Decided {
        /// Whether sales took it.
        accepted: bool,
        /// Whether it was given up, so that tries are asked for.
        gave_up: bool,
        /// Before when sales does not want it back.
        not_before: Option<Timestamp>,
    },
    /// It was said that the promise is due soon.
    DueSoonRaised,
    /// It was said that whoever had it let the time pass.
    LapseRaised {
        /// Who has it since, and by when they answer.
        to: Option<(Slug, Timestamp)>,
    },
}

impl Turn {
    /// Says what a sales fact does to the clock.
    #[must_use]
    pub fn of(what: &Move, tries: Option<&Tries>) -> Self {
        let gave_up = tries.zip(what.reason()).is_some_and(|(tries, why)| tries.before.contains(why));
        let returned = |not_before| Self::Decided { accepted: false, gave_up, not_before };
        match what {
            Move::MarketingQualified { owner, promise_due_at } => {
                Self::HandedOff { to: owner.clone(), due_at: *promise_due_at }
            }
            Move::Assigned { to, promise_due_at } => {
                Self::Assigned { to: to.clone(), due_at: *promise_due_at }
            }
            Move::FollowedUp => Self::FollowedUp,
            Move::PromiseDueSoon => Self::DueSoonRaised,
            Move::PromiseBroken { to } => Self::LapseRaised { to: to.clone() },
            Move::NotReady { not_before, .. } => returned(*not_before),
            Move::Rejected { .. } | Move::Lost { .. } | Move::Disqualified { .. } | Move::Churned => {
                returned(None)
            }
            Move::Accepted | Move::Qualified | Move::Opportunity { .. } | Move::Won { .. } => {
                Self::Decided { accepted: true, gave_up: false, not_before: None }
            }
        }
    }
}

/// Gives a lead's turns in the order in which they happened: its sales facts, but for those that were withdrawn or made
/// no sense.
#[must_use]
pub fn turns(lead: &Lead, tries: Option<&Tries>) -> Vec<(Timestamp, Turn)> {
    let impossible = lead.standing().impossible;
    let counts = |id| !lead.withdrawn.contains(id) && impossible.iter().all(|fact| fact.id != *id);
    let facts = lead.sales.iter().filter(|fact| counts(&fact.id));
    facts.map(|fact| (fact.at, Turn::of(&fact.what, tries))).collect()
}

/// Gives the clock of a lead's latest hand-off, while a first answer is owed.
#[must_use]
pub fn running(lead: &Lead) -> Option<Clock> {
    // Most leads owe nothing, and then nothing is folded.
    lead.promise_due_at?;
    clocks(turns(lead, None)).pop()
}

/// How a promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The clock stands still until a date.
    Paused {
        /// Which.
        until: Timestamp,
    },
    /// Nobody answered yet, and there is time.
    Running,
    /// It was answered in time.
    Kept,
    /// It was not answered in time, though perhaps later.
    Broken,
}

/// The promise of a first answer: one for each hand-off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whose promise it is: who has the lead, or had it when the promise was kept or broken.
    pub owner: Slug,
    /// When the lead was handed over.
    pub started_at: Timestamp,
    /// From when on the time counts.
    pub runs_from: Timestamp,
    /// By when it is to be answered; that moment itself is in time.
    pub due_at: Timestamp,
    /// When it was first followed up or decided on.
    pub answered_at: Option<Timestamp>,
    /// What sales first decided: whether it took the lead.
    pub accepted: Option<bool>,
    /// Who has it by now.
    has: Slug,
    /// How often sales tried, until it gave up.
    tries: u16,
    gave_up: bool,
    due_soon_raised: bool,
    /// When whoever has it lets the time pass; none where nobody is left to get it.
    lapses_at: Option<Timestamp>,
    lapsed: bool,
    /// Who got it because others let the time pass.
    passed_to: Vec<Slug>,
}

/// Folds a lead's turns, in the order in which they happened, into its clocks; the last one is that of its latest hand-off.
#[must_use]
pub fn clocks(turns: impl IntoIterator<Item = (Timestamp, Turn)>) -> Vec<Clock> {
    let mut clocks: Vec<Clock> = Vec::new();
    let mut not_before = None;
    for (at, turn) in turns {
        if let Turn::HandedOff { to, due_at } = turn {
            clocks.push(Clock::new(to, at, not_before, due_at));
            continue;
        }
        if let Turn::Decided { not_before: date, .. } = &turn {
            not_before = *date;
        }
        if let Some(clock) = clocks.last_mut() {
            clock.take(at, turn);
        }
    }
    clocks
}

impl Clock {
    fn new(owner: Slug, at: Timestamp, not_before: Option<Timestamp>, due_at: Timestamp) -> Self {
        Self {
            has: owner.clone(),
            owner,
            started_at: at,
            runs_from: not_before.map_or(at, |date| date.max(at)),
            due_at,
            answered_at: None,
            accepted: None,
            tries: 0,
            gave_up: false,
            due_soon_raised: false,
            lapses_at: Some(due_at),
            lapsed: false,
            passed_to: Vec::new(),
        }
    }

    fn take(&mut self, at: Timestamp, turn: Turn) {
        match turn {
            Turn::HandedOff { .. } => {}
            Turn::FollowedUp => {
                self.answered_at.get_or_insert(at);
                self.tries = self.tries.saturating_add(u16::from(!self.gave_up));
            }
            Turn::Decided { accepted, gave_up, .. } => {
                self.answered_at.get_or_insert(at);
                self.accepted.get_or_insert(accepted);
                self.gave_up |= gave_up;
            }
            // What happened in time and was reported late makes what was raised meanwhile void.
            _ if self.answered_at.is_some() => {}
            Turn::Assigned { to, due_at } => {
                if self.lapses_at.is_some_and(|lapse| at <= lapse) {
                    self.lapses_at = due_at.or(self.lapses_at);
                    if !self.lapsed {
                        self.owner = to.clone();
                        self.due_at = due_at.unwrap_or(self.due_at);
                    }
                }
                self.has = to;
            }
            Turn::DueSoonRaised => self.due_soon_raised = true,
            Turn::LapseRaised { to } => {
                if !self.lapsed {
                    self.lapsed = true;
                    // Said is said, also where a fact that came late would have given more time.
                    self.due_at = self.due_at.min(at);
                }
                self.lapses_at = to.as_ref().map(|(_, due_at)| *due_at);
                if let Some((to, _)) = to {
                    self.has = to.clone();
                    self.passed_to.push(to);
                }
            }
        }
    }

    /// Tells how the promise stands.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        match self.answered_at {
            Some(at) if at <= self.due_at => State::Kept,
            Some(_) => State::Broken,
            None if self.lapsed || now > self.due_at => State::Broken,
            None if now < self.runs_from => State::Paused { until: self.runs_from },
            None => State::Running,
        }
    }

    /// Tells whether sales tried as often as it promised; nobody asks before it gives up.
    #[must_use]
    pub const fn tries(&self, promised: &Tries) -> Verdict {
        if !self.gave_up {
            Verdict::Open
        } else if self.tries >= promised.at_least {
            Verdict::Kept
        } else {
            Verdict::Broken
        }
    }

    /// Says by when somebody else who gets the lead at a moment is to answer it: what is left of the time goes on in their
    /// calendar. None where nothing is left, or it was answered.
    ///
    /// Whoever has it may be away by now, so that none of their working time is left of it. Hours of the clock would make a
    /// weekend weeks of work then, so they count up to the `hours` that are promised.
    #[must_use]
    pub fn moved(&self, to: &Slug, at: Timestamp, people: &People, hours: u16) -> Option<Timestamp> {
        let due_at = self.lapses_at.filter(|due_at| self.answered_at.is_none() && at <= *due_at)?;
        let from = at.max(self.runs_from);
        let left = match people.get(&self.has).calendar.elapsed(from, due_at) {
            0 => due_at.since(from).min(i64::from(hours) * HOUR_MS),
            work_ms => work_ms,
        };
        Some(after(&people.get(to).calendar, from, left))
    }

    /// Tells when there is something to raise next.
    #[must_use]
    pub fn next_at(&self, people: &People, promises: &Promises) -> Option<Timestamp> {
        let lapse = self.lapse()?;
        Some(self.due_soon(people, promises).map_or(lapse, |soon| soon.min(lapse)))
    }

    /// Says what to raise now, if anything; recorded as a turn, it is not said again.
    #[must_use]
    pub fn raise(&self, people: &People, promises: &Promises, now: Timestamp) -> Option<Turn> {
        let lapse = self.lapse()?;
        if lapse <= now {
            let due_at =
                |to: &Slug| promised(&people.get(to).calendar, now, None, promises.first_answer_hours);
            return Some(Turn::LapseRaised { to: self.heir(people, now).map(|to| (to.clone(), due_at(to))) });
        }
        self.due_soon(people, promises).filter(|soon| *soon <= now).map(|_| Turn::DueSoonRaised)
    }

    /// Gives the first moment at which whoever has it is too late.
    fn lapse(&self) -> Option<Timestamp> {
        self.lapses_at.filter(|_| self.answered_at.is_none()).map(|at| at.plus(1))
    }

    /// Gives the moment from which on the promise is due soon, where that is still to be said.
    fn due_soon(&self, people: &People, promises: &Promises) -> Option<Timestamp> {
        let percent = i64::from(promises.due_soon_percent);
        if self.due_soon_raised || self.lapsed || percent == 0 {
            return None;
        }
        let calendar = &people.get(&self.has).calendar;
        let all = within(calendar, self.runs_from, self.due_at);
        Some(after(calendar, self.runs_from, all - all.saturating_mul(percent) / 100))
    }

    /// Finds who gets it next: of those who answer for its owner the first who is there and did not have it yet.
    fn heir<'a>(&self, people: &'a People, now: Timestamp) -> Option<&'a Slug> {
        let owner = people.get(&self.owner);
        let had = |id: &Slug| *id == self.owner || *id == self.has || self.passed_to.contains(id);
        let mut chain = [&owner.deputy, &owner.manager].into_iter().flatten();
        chain.find(|id| !had(id) && missing(people.get(id), now).is_none())
    }
}

/// How many leads marketing handed over in a week, and what sales made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many were handed over.
    pub delivered: u32,
    /// How many of them sales took.
    pub accepted: u32,
    /// How many of them sales gave back.
    pub returned: u32,
}

impl Tally {
    /// Counts a hand-off.
    pub fn add(&mut self, clock: &Clock) {
        self.delivered += 1;
        self.accepted += u32::from(clock.accepted == Some(true));
        self.returned += u32::from(clock.accepted == Some(false));
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.accepted += other.accepted;
        self.returned += other.returned;
    }
}

impl Delivery {
    /// Gives the Monday of the week in which a moment lies.
    #[must_use]
    pub fn week_of(&self, at: Timestamp) -> Day {
        at.day_in(&self.timezone).monday()
    }

    /// Tells whether marketing kept its promise in the week that begins on a Monday, as far as that can be told by now.
    #[must_use]
    pub fn verdict(&self, monday: Day, tally: Tally, now: Timestamp) -> Verdict {
        let enough = tally.delivered >= self.leads;
        let is_over = self.week_of(now) > monday;
        let Some(percent) = self.accepted_percent else {
            return match (enough, is_over) {
                (true, _) => Verdict::Kept,
                (false, true) => Verdict::Broken,
                (false, false) => Verdict::Open,
            };
        };
        if !is_over {
            return Verdict::Open;
        }
        // As if sales gave back all that it has not decided on, and as if it took all of it.
        let enough_of =
            |leads: u32| u64::from(leads) * 100 >= u64::from(percent) * u64::from(tally.delivered);
        if !enough || !enough_of(tally.delivered.saturating_sub(tally.returned)) {
            Verdict::Broken
        } else if enough_of(tally.accepted) {
            Verdict::Kept
        } else {
            Verdict::Open
        }
    }
}
