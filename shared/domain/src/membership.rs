//! Since when a lead was in which segment, from the record of its timeline.
//!
//! Whenever a lead comes into a segment or leaves it, the entry that caused it says so. Together with the segments that it
//! is in now, these moves tell on which past days it was a member: from the present backwards, so that the answer is
//! right as far back as entries are kept, also where older ones have expired. It is what the system *said* in those days,
//! under the playbooks of those days: the list that somebody mailed. What a lead would have been in under another
//! playbook is asked of a [`crate::replay::Replay`].
//!
//! # When a move was
//!
//! A move counts at the moment it was recorded, since facts may arrive late: who was put on the list on Friday for what
//! they did on Monday was not on it on Tuesday. History is the exception. An import of last year is recorded in one
//! night, and the night says nothing; there a move counts when its fact was, but never before an earlier move of the same
//! segment.
//!
//! A lead cannot enter a segment twice without leaving it in between. So of each move only the time is taken from the
//! record, and whether it was an entry follows from the present state and the number of moves since. The record says the
//! same; but facts that were recorded in one moment have no order among them, and a lead that is in a segment minus one
//! times cannot come out of this.

use crate::change::{Effect, Entry};
use crate::identity::Slug;
use crate::lead::Lead;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// When a lead came into which segment or left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves(BTreeMap<Slug, Vec<Timestamp>>);

impl Moves {
    /// Reads the moves out of a lead's timeline; the entries may stand in any order.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut told: Vec<(&Entry, &Slug)> = entries
            .iter()
            .flat_map(|entry| entry.effects.iter().map(move |effect| (entry, effect)))
            .filter_map(|(entry, effect)| match effect {
                Effect::SegmentEntered { segment, .. } | Effect::SegmentLeft { segment, .. } => {
                    Some((entry, segment))
                }
                _ => None,
            })
            .collect();
        told.sort_by_key(|(entry, _)| (entry.recorded_at, entry.at, &entry.id));
        let mut moves = Self::default();
        for (entry, segment) in told {
            let at = if entry.history { entry.at.min(entry.recorded_at) } else { entry.recorded_at };
            let known = moves.0.entry(segment.clone()).or_default();
            let at = known.last().map_or(at, |last| at.max(*last));
            known.push(at);
        }
        moves
    }

    /// Gives every segment that the lead is in or ever moved into or out of, with when it was in it.
    pub fn courses<'a>(&'a self, lead: &'a Lead) -> impl Iterator<Item = (&'a Slug, Course)> {
        let others = lead.segments.iter().filter(|segment| !self.0.contains_key(*segment));
        let moved = self.0.iter().map(|(segment, moves)| (segment, moves.as_slice()));
        moved.chain(others.map(|segment| (segment, [].as_slice()))).map(|(segment, moves)| {
            (segment, Course::new(moves, lead.segments.contains(segment), lead.created_at))
        })
    }
}

/// When a lead was in one segment: out of it at first, then in and out by turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course(Vec<Timestamp>);

impl Course {
    fn new(moves: &[Timestamp], now: bool, created_at: Timestamp) -> Self {
        let mut moves = moves.to_vec();
        // The record no longer says when it came in: not before anybody knew the lead.
        if moves.len().is_multiple_of(2) == now {
            moves.insert(0, moves.first().map_or(created_at, |first| created_at.min(*first)));
        }
        Self(moves)
    }

    /// Gives the moves, earliest first; `true` where it came in.
    pub fn moves(&self) -> impl Iterator<Item = (Timestamp, bool)> + '_ {
        self.0.iter().enumerate().map(|(place, at)| (*at, place.is_multiple_of(2)))
    }

    /// Tells whether the lead was in the segment just before a moment.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> bool {
        !self.0.partition_point(|moved| *moved < at).is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Fact;
    use crate::replay::tests::{any_fact, day, given, id, incoming, live, playbook};
    use crate::replay::{Replay, facts_of};
    use crate::time::{DAY_MS, HOUR_MS};
    use proptest::prelude::*;

    fn warm() -> Slug {
        Slug::parse("warm").unwrap()
    }

    fn entry(id: &str, at: i64, recorded_at: i64, effects: &[bool]) -> Entry {
        let effect = |entered: &bool| match entered {
            true => Effect::SegmentEntered { segment: warm(), because: Vec::new() },
            false => Effect::SegmentLeft { segment: warm(), because: Vec::new() },
        };
        Entry {
            id: id.to_owned(),
            at: day(at),
            recorded_at: day(recorded_at),
            by: "test".to_owned(),
            history: at != recorded_at,
            fact: Fact::Reviewed,
            effects: effects.iter().map(effect).collect(),
            playbook_version: 1,
        }
    }

    /// A lead that was captured on day 0 and is in the segment, or is not.
    fn lead(member: bool) -> Lead {
        let (lead, _) = live(&[given("1", day(0), &[])], &playbook(), day(0));
        Lead { segments: member.then(warm).into_iter().collect(), ..lead.unwrap() }
    }

    fn course(entries: &[Entry], member: bool) -> Vec<(i64, bool)> {
        let (moves, lead) = (Moves::of(entries), lead(member));
        let found = moves.courses(&lead).find(|(segment, _)| **segment == warm());
        let days = |at: Timestamp| at.since(day(0)) / DAY_MS;
        found
            .map(|(_, course)| course.moves().map(|(at, entered)| (days(at), entered)).collect())
            .unwrap_or_default()
    }

    #[test]
    fn a_lead_that_comes_back_is_a_member_twice() {
        let entries = [entry("a", 1, 1, &[true]), entry("b", 4, 4, &[false]), entry("c", 6, 6, &[true])];
        assert_eq!(course(&entries, true), [(1, true), (4, false), (6, true)]);
        let moves = Moves::of(&entries);
        let (lead, warm) = (lead(true), warm());
        let (_, course) = moves.courses(&lead).find(|(segment, _)| **segment == warm).unwrap();
        let was: Vec<bool> = (0..8).map(|n| course.before(day(n))).collect();
        assert_eq!(was, [false, false, true, true, true, false, false, true]);
        // Just before the moment: what happens in it comes after.
        assert!(course.before(day(1).plus(1)) && !course.before(day(4).plus(1)));
    }

    #[test]
    fn what_was_recorded_late_counts_from_then_and_history_from_when_it_was() {
        let late = Entry { history: false, ..entry("a", 1, 5, &[true]) };
        assert_eq!(course(&[late], true), [(5, true)]);
        assert_eq!(
            course(&[entry("a", 1, 50, &[true]), entry("b", 3, 51, &[false])], false),
            [(1, true), (3, false)]
        );
        // An import that is not in the order of time: it left no earlier than it came.
        assert_eq!(
            course(&[entry("a", 3, 50, &[true]), entry("b", 1, 51, &[false])], false),
            [(3, true), (3, false)]
        );
    }

    #[test]
    fn where_entries_have_expired_it_came_in_when_the_lead_was_first_heard_of() {
        assert_eq!(course(&[], true), [(0, true)]);
        assert_eq!(course(&[entry("b", 4, 4, &[false])], false), [(0, true), (4, false)]);
        assert_eq!(course(&[], false), []);
    }

    #[test]
    fn facts_of_one_moment_make_nobody_a_member_minus_one_times() {
        // Recorded together: entered for what was on day 5, left for what was on day 3, in this order.
        let entries = [entry("b", 5, 50, &[true]), entry("a", 3, 50, &[false])];
        assert_eq!(course(&entries, false), [(3, true), (5, false)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn members_on_each_day_are_those_found_by_playing_every_lead_again(
            drawn in prop::collection::vec((1_i64..200, any_fact()), 1..20), rest in 0_i64..40
        ) {
            let (playbook, mut now) = (playbook(), day(0));
            let facts: Vec<_> = drawn.into_iter().enumerate().map(|(n, (hours, fact))| {
                now = now.plus(hours * HOUR_MS);
                incoming(&n.to_string(), now, fact)
            }).collect();
            let until = now.plus(rest * DAY_MS);
            let (stored, entries) = live(&facts, &playbook, until);
            let (stored, moves) = (stored.unwrap(), Moves::of(&entries));
            let again = facts_of(entries);
            let mut replay = Replay::new(id(), &playbook, &again);
            let mut at = day(0).day().start();
            while at <= until {
                let was: Vec<Slug> =
                    moves.courses(&stored).filter(|(_, course)| course.before(at)).map(|(s, _)| s.clone()).collect();
                let then = replay.until(at.plus(-1)).map(|lead| lead.segments.iter().cloned().collect::<Vec<_>>());
                prop_assert_eq!(was, then.unwrap_or_default(), "on {}", at);
                at = at.plus(DAY_MS);
            }
        }
    }
}
