//! What each piece of content did, by the persona and phase that its readers had when they got it.
//!
//! A lead counts once per piece, with the first time it had it: sent, opened, read, in whatever way. Where it stood then
//! is where it stood just before, so that what the piece itself brought about, such as the phase of those who download
//! white papers, counts as brought about. Places come from the lead's facts, played again under one playbook, so that a
//! base whose personas were drawn yesterday has results today. What is counted is a handful of sums per piece, persona
//! and phase; sums of parts of the leads add up.
//!
//! Nobody is judged too early. Whether a lead moved on is asked of those who had the piece [`MOVES_WITHIN_DAYS`] days ago
//! or longer, also of those who moved on sooner: who is slow would be missing otherwise, and new content would look better
//! than it is. Whether it was won is asked as in a backtest, of those who were won or lost or had a year.
//!
//! Who may tell of content is what [`told`] says, here as in a lead's memory. What only forms told of, anybody may have
//! sent: it was had, and nobody is judged by it, so that no stranger decides what content seems to do; where somebody
//! trusted tells of the piece too, their time counts. What only mails brought that did not arrive was sent and not had; one
//! that came back for now may have arrived, and counts as any other.

use super::told;
use crate::activity::{Activity, content_of};
use crate::change::{Fact, Incoming};
use crate::identity::Slug;
use crate::lead::{HadBy, Lead};
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::replay::{Place, Replay};
use crate::sales::{DealState, Outcome};
use crate::time::{DAY_MS, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Within how many days after having had a piece of content a lead is to be in a further phase.
pub const MOVES_WITHIN_DAYS: i64 = 30;
/// Within how many days after having had a piece of content a lead is to be won.
pub const WINS_WITHIN_DAYS: i64 = 365;
/// The most sums that are kept: as many as fit into a record of the catalog, 400 KB.
pub const MOST_CELLS: usize = 3_000;

/// For whom something was counted: leads that had this persona and phase when they had the piece.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The piece of content.
    pub content: Slug,
    /// The persona; none for leads that mirrored none.
    pub persona: Option<Slug>,
    /// The phase; none for leads that were in none.
    pub phase: Option<Phase>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Leads that had it.
    pub leads: u64,
    /// Those to whom it was sent, whether it came back or not.
    pub sent: u64,
    /// Those who opened the mail with it.
    pub opened: u64,
    /// Those who clicked on it in a mail.
    pub clicked: u64,
    /// Those who had it otherwise: downloaded, viewed, attended.
    pub otherwise: u64,
    /// Those who had it so long ago that they can be asked whether they moved on.
    pub judged: u64,
    /// Of those judged, those who were in a further phase within [`MOVES_WITHIN_DAYS`] days.
    pub moved: u64,
    /// Of those judged, those who moved on or were won within [`MOVES_WITHIN_DAYS`] days: what choosing goes by.
    pub succeeded: u64,
    /// Those who were won within [`WINS_WITHIN_DAYS`] days.
    pub won: u64,
    /// Those who were won, or lost, or had it longer ago than that.
    pub decided: u64,
    /// Those to whom it was sent, whose mails did not arrive, and who did not have it otherwise; they are not among `leads`.
    pub bounced: u64,
    /// Of `leads`, those of whom only forms told; they are neither judged nor decided.
    pub told: u64,
}

impl Sums {
    /// The names of the sums in the API, in the order of [`Sums::numbers`].
    pub const NAMES: [&'static str; 12] = [
        "leads",
        "sent",
        "opened",
        "clicked",
        "otherwise",
        "judged",
        "moved",
        "succeeded",
        "won",
        "decided",
        "bounced",
        "told",
    ];

    /// Gives the sums in the order of [`Sums::NAMES`].
    #[must_use]
    pub const fn numbers(&self) -> [u64; 12] {
        let Self { leads, sent, opened, clicked, otherwise, judged, .. } = *self;
        let Self { moved, succeeded, won, decided, bounced, told, .. } = *self;
        [leads, sent, opened, clicked, otherwise, judged, moved, succeeded, won, decided, bounced, told]
    }

    /// Takes sums in the order of [`Sums::NAMES`].
    #[must_use]
    pub const fn from_numbers(numbers: [u64; 12]) -> Self {
        let [leads, sent, opened, clicked, otherwise, judged, rest @ ..] = numbers;
        let [moved, succeeded, won, decided, bounced, told] = rest;
        Self {
            leads,
            sent,
            opened,
            clicked,
            otherwise,
            judged,
            moved,
            succeeded,
            won,
            decided,
            bounced,
            told,
        }
    }

    /// Gives how many leads count as tries: they had it, and not by a form's word alone.
    #[must_use]
    pub const fn tries(&self) -> u64 {
        self.leads.saturating_sub(self.told)
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let mut numbers = self.numbers();
        numbers.iter_mut().zip(other.numbers()).for_each(|(sum, more)| *sum += more);
        *self = Self::from_numbers(numbers);
    }
}

/// What content did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// The sums.
    pub cells: BTreeMap<Cell, Sums>,
    /// How often a lead had something for which there was no room among the sums.
    pub left_out: u64,
    /// How often a lead had something that is not in the catalog.
    pub unknown: u64,
}

impl Results {
    /// Gives the sums of a piece of content over all personas and phases.
    #[must_use]
    pub fn of(&self, content: &Slug) -> Sums {
        let mut whole = Sums::default();
        self.cells.iter().filter(|(cell, _)| cell.content == *content).for_each(|(_, sums)| whole.add(sums));
        whole
    }

    fn add(&mut self, cell: Cell, sums: &Sums) {
        if self.cells.len() >= MOST_CELLS && !self.cells.contains_key(&cell) {
            self.left_out += 1;
            return;
        }
        self.cells.entry(cell).or_default().add(sums);
    }
}

/// In which way a lead had a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sent,
    Opened,
    Clicked,
    Otherwise,
    /// It reacted to the mail with it, and did nothing with the piece itself.
    Nothing,
}

fn way(kind: &str) -> Way {
    match kind {
        "email_sent" | "email_delivered" => Way::Sent,
        "email_opened" => Way::Opened,
        "email_clicked" => Way::Clicked,
        "unsubscribed" | "email_complained" => Way::Nothing,
        _ => Way::Otherwise,
    }
}

/// Counts what content did.
#[derive(Clone, Debug)]
pub struct Count<'a> {
    /// Under which playbook leads have their personas and phases.
    pub playbook: &'a Playbook,
    /// The pieces in the catalog; activities may name anything.
    pub known: &'a BTreeSet<Slug>,
    /// Leads that first had a piece from then on, included.
    pub from: Option<Timestamp>,
    /// Leads that first had a piece before.
    pub to: Option<Timestamp>,
    /// The time of the question.
    pub now: Timestamp,
}

impl Count<'_> {
    /// Counts a lead.
    pub fn add(&self, results: &mut Results, lead: &Lead, facts: &[Incoming]) {
        let had = had(facts, self.playbook);
        let asked = |at: Timestamp| {
            self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to) && at <= self.now
        };
        let mut asked: Vec<_> = had.iter().filter(|(_, had)| asked(had.first)).collect();
        let before = asked.len();
        asked.retain(|(content, _)| self.known.contains(*content));
        results.unknown += (before - asked.len()) as u64;
        if asked.is_empty() {
            return;
        }
        let mut replay = Replay::new(lead.id.clone(), self.playbook, facts);
        let places = replay.places(self.now);
        for (content, had) in asked {
            let then = place_before(places, had.first);
            let cell = Cell {
                content: content.clone(),
                persona: then.and_then(|place| place.persona.clone()),
                phase: then.and_then(|place| place.phase),
            };
            results.add(cell, &self.sums(lead, had, then, places));
        }
    }

    fn sums(&self, lead: &Lead, had: &Had, then: Option<&Place>, places: &[Place]) -> Sums {
        let at = had.first;
        let within = |days: i64, later: Timestamp| later >= at && later <= at.plus(days * DAY_MS);
        let old = |days: i64| at.plus(days * DAY_MS) <= self.now;
        let phase = then.and_then(|place| place.phase);
        let further = |place: &Place| phase.is_some_and(|phase| place.phase.is_some_and(|now| now > phase));
        let moved = places.iter().any(|place| within(MOVES_WITHIN_DAYS, place.at) && further(place));
        let standing = lead.standing();
        let wins = standing.deals.iter().filter(|deal| deal.state == DealState::Won).map(|deal| deal.at);
        let won = |days: i64| wins.clone().any(|win| within(days, win) && win <= self.now);
        let lost = matches!(standing.outcome, Outcome::Lost(end) if end >= at && end <= self.now);
        let tried = had.how == How::Tried;
        let judged = tried && old(MOVES_WITHIN_DAYS);
        let won_in_time = tried && won(WINS_WITHIN_DAYS);
        Sums {
            leads: (had.how != How::Bounced).into(),
            sent: had.sent.into(),
            opened: had.opened.into(),
            clicked: had.clicked.into(),
            otherwise: had.otherwise.into(),
            judged: judged.into(),
            moved: (judged && moved).into(),
            succeeded: (judged && (moved || won(MOVES_WITHIN_DAYS))).into(),
            won: won_in_time.into(),
            decided: (tried && (won_in_time || lost || old(WINS_WITHIN_DAYS))).into(),
            bounced: (had.how == How::Bounced).into(),
            told: (had.how == How::Told).into(),
        }
    }
}

/// Gives where a lead stood just before a moment; for one that was not known before, where its first fact put it.
fn place_before(places: &[Place], at: Timestamp) -> Option<&Place> {
    places.iter().rev().find(|place| place.at < at).or(places.first())
}

/// Whether a lead had a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It did.
    Tried,
    /// A form says so.
    Told,
    /// It was sent, and did not arrive.
    Bounced,
}

/// How a lead had one piece of content.
#[derive(Clone, Copy, Debug)]
struct Had {
    how: How,
    first: Timestamp,
    sent: bool,
    opened: bool,
    clicked: bool,
    otherwise: bool,
}

/// What is told of a lead and one piece of content.
#[derive(Clone, Debug, Default)]
struct Tale {
    mails: Vec<Timestamp>,
    bounces: Vec<Timestamp>,
    own: Vec<Timestamp>,
    forms: Vec<Timestamp>,
    opened: bool,
    clicked: bool,
    otherwise: bool,
}

impl Tale {
    fn add(&mut self, activity: &Activity, by: HadBy, at: Timestamp) {
        match (activity.kind.as_str(), by) {
            // A form knows of no mail.
            ("email_bounced", HadBy::Form) => return,
            ("email_bounced", _) if activity.is_lost_mail() => return self.bounces.push(at),
            ("email_bounced", _) => return,
            (_, HadBy::Form) => self.forms.push(at),
            (_, HadBy::Mail) => self.mails.push(at),
            (_, HadBy::Own | HadBy::MailAndForm) => self.own.push(at),
        }
        match way(&activity.kind) {
            Way::Sent | Way::Nothing => {}
            Way::Opened => self.opened = true,
            Way::Clicked => self.clicked = true,
            Way::Otherwise => self.otherwise = true,
        }
    }

    /// Gives how the lead had the piece; none where nobody says that it did.
    fn had(&self) -> Option<Had> {
        let back = self.bounces.iter().max();
        let reached = self.mails.iter().filter(|at| back.is_none_or(|back| *at > back));
        let first = |how: How, at: Option<&Timestamp>| at.map(|at| (how, *at));
        let (how, first) = first(How::Tried, self.own.iter().chain(reached).min())
            .or_else(|| first(How::Told, self.forms.iter().min()))
            .or_else(|| first(How::Bounced, self.mails.iter().min()))?;
        let Self { opened, clicked, otherwise, .. } = *self;
        Some(Had { how, first, sent: !self.mails.is_empty(), opened, clicked, otherwise })
    }
}

/// Gives what a lead had, without what was withdrawn or withheld.
fn had(facts: &[Incoming], playbook: &Playbook) -> BTreeMap<Slug, Had> {
    let withdrawn: BTreeSet<_> = facts
        .iter()
        .filter_map(|incoming| match incoming.fact {
            Fact::Withdrawn { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    let mut all: BTreeMap<Slug, Tale> = BTreeMap::new();
    for incoming in facts.iter().filter(|incoming| !withdrawn.contains(&incoming.delivery)) {
        let Some(activity) = activity_of(&incoming.fact) else { continue };
        if playbook.withheld(activity).is_none()
            && let Some(content) = content_of(activity)
            && let Some(by) = told(&activity.kind, &incoming.by, playbook)
        {
            all.entry(content).or_default().add(activity, by, incoming.occurred_at);
        }
    }
    all.into_iter().filter_map(|(content, tale)| Some((content, tale.had()?))).collect()
}

fn activity_of(fact: &Fact) -> Option<&Activity> {
    match fact {
        Fact::Activity(activity) => Some(activity),
        Fact::Captured(capture) => capture.activity.as_ref(),
        _ => None,
    }
}
