//! A lead as it was: its facts played again, up to any moment, with only what was known then.
//!
//! A stored lead says how things are. What it was on an earlier day, or would have been under another playbook, is
//! counted anew from its timeline: [`facts_of`] makes facts of the entries, and a [`Replay`] plays them in the order in
//! which they happened. Between two facts it does what time alone does, on the same days as the live system would: a
//! window runs out, points fade below a band. It hands nobody off, since what happened is history; the hand-offs that
//! did happen are facts like any other.
//!
//! # What was known then
//!
//! Facts carry the time of which they speak, which is not always the time at which anybody knew. An import of won and
//! lost deals writes the budget beside the e-mail address, as if both had been known on the first day; whoever learns
//! from that learns to predict what has already happened. So before a lead is judged as of then, [`as_known`] moves
//! each value to when it was known, and hides those of which nobody says when that was.

use crate::attribute::{AttributeName, NewAttribute};
use crate::change::{Capture, Effect, Entry, Fact, Incoming, Subject, elapse, first_difference, take};
use crate::identity::{LeadId, Slug};
use crate::lead::Lead;
use crate::machine::mark;
use crate::phase::Phase;
use crate::playbook::Playbook;
use crate::promise::People;
use crate::sales::{DeliveryId, Move};
use crate::score::{Score, score};
use crate::time::{Day, Timestamp};
use std::collections::BTreeMap;

/// Makes facts of a timeline's entries, to be played again: in the order in which they happened, and as history.
///
/// A hand-off, or what is said of a promise, is no entry of its own but an effect of the one that caused it; here it
/// becomes a fact behind it, so that what sales answered to it makes sense.
#[must_use]
pub fn facts_of(entries: impl IntoIterator<Item = Entry>) -> Vec<Incoming> {
    let mut facts = Vec::new();
    for entry in entries {
        let incoming = |delivery, occurred_at, by: String, fact| Incoming {
            delivery,
            occurred_at,
            history: true,
            by,
            strict: false,
            fact,
        };
        for effect in &entry.effects {
            let what = match effect {
                Effect::HandedOff { to, promise_due_at, .. } => {
                    Move::MarketingQualified { owner: to.clone(), promise_due_at: *promise_due_at }
                }
                Effect::PromiseDueSoon { .. } => Move::PromiseDueSoon,
                Effect::PromiseBroken { to, .. } => Move::PromiseBroken { to: to.clone() },
                _ => continue,
            };
            let delivery = DeliveryId::new(what.step().as_str(), &entry.id);
            let at = entry.recorded_at.max(entry.at);
            let fact = Fact::Sales { what, by: None, note: None };
            facts.push(incoming(delivery, at, "system".to_owned(), fact));
        }
        if let Some(delivery) = DeliveryId::parse(&entry.id)
            && !matches!(entry.fact, Fact::Reviewed)
        {
            facts.push(incoming(delivery, entry.at, entry.by, entry.fact));
        }
    }
    mark(&mut facts);
    facts.sort_by_key(place);
    facts
}

/// Gives the order in which facts are played. Of one time, as from a CRM that exports days, sales answered what the
/// lead did.
fn place(fact: &Incoming) -> (Timestamp, bool, DeliveryId) {
    (fact.occurred_at, is_of_sales(&fact.fact), fact.delivery)
}

/// Tells whether a fact is something that happened in sales: a hand-off to it, or something that it did.
#[must_use]
pub const fn is_of_sales(fact: &Fact) -> bool {
    matches!(fact, Fact::Sales { .. } | Fact::FollowUp { .. } | Fact::MarketingFeedback { .. })
}

/// Gives the hand-offs to sales, earliest first.
pub fn hand_offs(facts: &[Incoming]) -> impl Iterator<Item = &Incoming> {
    facts.iter().filter(|incoming| is_hand_off(&incoming.fact))
}

const fn is_hand_off(fact: &Fact) -> bool {
    matches!(fact, Fact::Sales { what: Move::MarketingQualified { .. }, .. })
}

/// Tells whether Leadloop itself says so rather than sales: a hand-off, or that a promise is due or broken.
const fn is_ours(fact: &Fact) -> bool {
    matches!(fact, Fact::Sales { what, .. } if what.is_ours())
}

/// Gives what sales did, without what was withdrawn. Being handed a lead is nothing that it did.
pub fn sales_did(facts: &[Incoming]) -> impl Iterator<Item = &Incoming> {
    let withdrawn = |delivery: DeliveryId| {
        facts.iter().any(|other| matches!(other.fact, Fact::Withdrawn { id, .. } if id == delivery))
    };
    facts.iter().filter(move |incoming| {
        is_of_sales(&incoming.fact) && !is_ours(&incoming.fact) && !withdrawn(incoming.delivery)
    })
}

/// Gives when sales first touched the lead: from then on, what becomes of it and what is known of it is sales' doing.
#[must_use]
pub fn first_contact(facts: &[Incoming]) -> Option<Timestamp> {
    sales_did(facts).map(|incoming| incoming.occurred_at).min()
}

/// A moment at which a lead met the definition, with its score then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// When.
    pub at: Timestamp,
    /// The score.
    pub score: Score,
}

/// Whom a lead mirrored and where it stood, from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From when.
    pub at: Timestamp,
    /// The persona.
    pub persona: Option<Slug>,
    /// The phase.
    pub phase: Option<Phase>,
}

/// A lead's facts being played again under a playbook. It only goes forward.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    id: LeadId,
    playbook: &'a Playbook,
    facts: Vec<&'a Incoming>,
    next: usize,
    lead: Option<Lead>,
    /// The last day up to which time alone is known to change nothing.
    seen: Day,
    crossed: Option<Crossing>,
    places: Vec<Place>,
}

impl<'a> Replay<'a> {
    /// Starts before the first fact. The facts may stand in any order.
    #[must_use]
    pub fn new(id: LeadId, playbook: &'a Playbook, facts: impl IntoIterator<Item = &'a Incoming>) -> Self {
        let mut facts: Vec<&Incoming> = facts.into_iter().collect();
        facts.sort_by_key(|fact| place(fact));
        Self {
            id,
            playbook,
            facts,
            next: 0,
            lead: None,
            seen: Day::default(),
            crossed: None,
            places: Vec::new(),
        }
    }

    /// Plays up to a moment, included, and gives the lead as it was; none before its first fact. An earlier moment than
    /// was played already plays nothing.
    ///
    /// As in a stored lead, the numbers of its score are those of its latest evaluation: they fade every day and are
    /// counted from [`Lead::view`] for the day that is asked for.
    pub fn until(&mut self, at: Timestamp) -> Option<&Lead> {
        while self.step(at) {}
        self.lead.as_ref()
    }

    /// Plays up to a moment, included, and shows the lead after each moment at which something changed.
    pub fn watch(&mut self, at: Timestamp, see: &mut dyn FnMut(&Lead)) {
        while self.step(at) {
            if let Some(lead) = &self.lead {
                see(lead);
            }
        }
    }

    /// Gives the score on the day of a moment, with all facts up to it; none before the first fact.
    pub fn score(&mut self, at: Timestamp) -> Option<Score> {
        let playbook = self.playbook;
        self.until(at).map(|lead| score(playbook, &lead.view(at.day())))
    }

    /// Plays until the lead first meets the definition, but no further than a moment, included.
    pub fn first_ready(&mut self, until: Timestamp) -> Option<Crossing> {
        while self.crossed.is_none() && self.step(until) {}
        self.crossed.filter(|crossing| crossing.at <= until)
    }

    /// Plays up to a moment, included, and gives the lead's personas and phases up to then: one for its first fact, and one
    /// for each moment at which either changed.
    pub fn places(&mut self, until: Timestamp) -> &[Place] {
        self.until(until);
        &self.places
    }

    /// Plays the next moment at which something happens and tells whether there was one.
    fn step(&mut self, until: Timestamp) -> bool {
        let fact_at =
            self.facts.get(self.next).map(|incoming| incoming.occurred_at).filter(|at| *at <= until);
        if let Some(lead) = &mut self.lead {
            let through = fact_at.unwrap_or(until).day();
            let due = first_difference(lead, self.playbook, self.seen, through)
                .filter(|day| fact_at.is_none_or(|at| day.start() < at));
            if let Some(day) = due {
                elapse(lead, self.playbook, day.start());
                self.came_to(day.start());
                return true;
            }
            self.seen = self.seen.max(through);
        }
        let Some(at) = fact_at else { return false };
        let count = self.facts.iter().skip(self.next).take_while(|fact| fact.occurred_at == at).count();
        let facts: Vec<Incoming> = self
            .facts
            .iter()
            .skip(self.next)
            .take(count)
            .map(|fact| Incoming { history: true, strict: false, ..(*fact).clone() })
            .collect();
        self.next += count;
        let subject = match self.lead.take() {
            Some(lead) => Subject::Existing(Box::new(lead)),
            None => Subject::New { id: self.id.clone(), playbook_version: 0 },
        };
        self.lead = Some(take(subject, Vec::new(), &[], &facts, self.playbook, People::nobody(), at).lead);
        self.came_to(at);
        true
    }

    fn came_to(&mut self, at: Timestamp) {
        self.seen = at.day();
        if let Some(Lead { persona, phase, .. }) = &self.lead
            && self.places.last().is_none_or(|last| last.persona != *persona || last.phase != *phase)
        {
            self.places.push(Place { at, persona: persona.clone(), phase: *phase });
        }
        if let Some(lead) = self.lead.as_ref().filter(|lead| lead.ready && self.crossed.is_none()) {
            self.crossed = Some(Crossing { at, score: lead.score });
        }
    }
}

/// Gives the scores from one day to another, both included, each as it was at the day's end: one for the first day on
/// which the lead was known, and one for each on which its fit, its engagement or its label changed. That of today is
/// as it is now.
#[must_use]
pub fn labels(
    lead: &LeadId,
    facts: &[Incoming],
    playbook: &Playbook,
    from: Day,
    to: Day,
) -> Vec<(Day, Score)> {
    let mut replay = Replay::new(lead.clone(), playbook, facts);
    let mut points: Vec<(Day, Score)> = Vec::new();
    for day in (from.0..=to.0).map(Day) {
        let Some(score) = replay.score(day.plus(1).start().plus(-1)) else { continue };
        if points.last().is_none_or(|(_, last)| *last != score) {
            points.push((day, score));
        }
    }
    points
}

/// What is said of when an attribute's values were known, where they do not say so themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Declared {
    /// Nothing: a value from a public form was known when that was sent, any other is undated and hidden.
    #[default]
    Nothing,
    /// A person declared them known when the lead was captured: its first value counts from the lead's first fact.
    AtCapture,
    /// They are taken to be known since the fact that brought them, as the live score does.
    WithFact,
    /// They are left out, also where they say since when they are known.
    Hidden,
}

/// A lead's facts with each value where it became known.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AsKnown {
    /// The facts, in their order; those that only say what was known already at another time are made up.
    pub facts: Vec<Incoming>,
    /// For each attribute that the lead was ever given and that is not left out, since when it was known; none where
    /// every value of it is undated, and so hidden.
    pub since: BTreeMap<AttributeName, Option<Timestamp>>,
}

/// Moves each value of an attribute to when it was known.
#[must_use]
pub fn as_known(facts: &[Incoming], declared: &dyn Fn(&AttributeName) -> Declared) -> AsKnown {
    let mut sorted: Vec<&Incoming> = facts.iter().collect();
    sorted.sort_by_key(|fact| place(fact));
    let first = sorted.first().map(|incoming| incoming.occurred_at);
    let mut known = AsKnown::default();
    // Each value with its fact's time and since when it was known, for those that something newer has overtaken.
    let mut values: Vec<(&AttributeName, Timestamp, Timestamp)> = Vec::new();
    let mut moved: Vec<(Timestamp, &Incoming, &Capture, &AttributeName, &NewAttribute)> = Vec::new();
    for incoming in &sorted {
        let Fact::Captured(capture) = &incoming.fact else {
            known.facts.push((*incoming).clone());
            continue;
        };
        let mut stays = capture.clone();
        stays.attributes.clear();
        for (name, attribute) in &capture.attributes {
            let at = incoming.occurred_at;
            let since = match (declared(name), attribute.known_at) {
                (Declared::Hidden, _) => continue,
                (_, Some(known_at)) => Some(known_at.max(at)),
                (Declared::WithFact, None) => Some(at),
                (_, None) if capture.public => Some(at),
                (Declared::AtCapture, None) => {
                    if known.since.contains_key(name) {
                        Some(at)
                    } else {
                        first
                    }
                }
                (Declared::Nothing, None) => None,
            };
            let earliest = known.since.entry(name.clone()).or_default();
            *earliest = match (*earliest, since) {
                (Some(earliest), Some(since)) => Some(earliest.min(since)),
                (earliest, since) => earliest.or(since),
            };
            let Some(since) = since else { continue };
            if !capture.public {
                values.push((name, at, since));
            }
            if since == at {
                stays.attributes.insert(name.clone(), attribute.clone());
            } else {
                moved.push((since, incoming, capture, name, attribute));
            }
        }
        known.facts.push(Incoming { fact: Fact::Captured(stays), ..(*incoming).clone() });
    }
    for (since, incoming, capture, name, attribute) in moved {
        // An old value that was learned late does not displace a newer one that was known by then.
        let overtaken = values
            .iter()
            .any(|(other, at, known)| *other == name && *at > incoming.occurred_at && *known <= since);
        if !overtaken {
            let attributes = [(name.clone(), attribute.clone())].into();
            let said = Capture { attributes, public: capture.public, ..Capture::default() };
            known.facts.push(Incoming {
                delivery: DeliveryId::new("known", &format!("{} {name}", incoming.delivery)),
                occurred_at: since,
                fact: Fact::Captured(Box::new(said)),
                ..incoming.clone()
            });
        }
    }
    known.facts.sort_by_key(place);
    known
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::activity::Activity;
    use crate::attribute::AttributeValue;
    use crate::change::{advance, decide};
    use crate::identity::Slug;
    use crate::time::{DAY_MS, HOUR_MS};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    pub(crate) fn playbook() -> Playbook {
        Playbook::parse(&json!({
            "name": "Replayed",
            "signals": [{"id": "asked", "kind": "asked"}, {"id": "looked", "kind": "page_viewed"}],
            "fit": [{"id": "who", "rules": [
                {"id": "here", "points": 40, "when": {"attribute": "country", "exists": true}},
                {"id": "rich", "points": 30, "when": {"attribute": "budget", "at_least": 100}}
            ]}],
            "engagement": [{"id": "what", "rules": [
                {"id": "asks", "points": 60, "signal": "asked", "max_hits": 1, "half_life_days": 10},
                {"id": "looks", "points": 15, "signal": "looked", "max_hits": 3, "half_life_days": 5},
                {"id": "spam", "points": -100, "when": {"signal": "looked", "at_least": 4, "within_days": 3}}
            ]}],
            "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 60, "2": 30, "3": 10}},
            "marketing_qualified": {"labels": ["A1", "A2", "B1", "B2"]},
            "default_qualifier": "eu-1",
            "personas": [
                {"id": "rich", "name": "Rich", "when": {"attribute": "budget", "at_least": 100}, "priority": 1},
                {"id": "keen", "name": "Keen", "when": {"engagement": {"at_least": 30}}}
            ],
            "phases": {
                "consideration": {"signal": "looked", "within_days": 5},
                "decision": {"any": [{"in_stage_days": {"at_least": 9}}, {"persona": "keen"}]}
            },
            "segments": [
                {"id": "warm", "when": {"engagement": {"at_least": 20}}},
                {"id": "at_sales", "when": {"stage": ["marketing_qualified", "sales_accepted"]}},
                {"id": "new_here", "when": {"all": [
                    {"signal": "looked", "at_least": 1, "within_days": 4}, {"not": {"segment": "warm"}}
                ]}}
            ]
        }))
        .unwrap()
    }

    pub(crate) fn day(n: i64) -> Timestamp {
        Timestamp::parse("2026-03-01T09:00:00Z").unwrap().plus(n * DAY_MS)
    }

    pub(crate) fn incoming(id: &str, at: Timestamp, fact: Fact) -> Incoming {
        let delivery = DeliveryId::new("test", id);
        Incoming { delivery, occurred_at: at, history: false, by: "api:t".to_owned(), strict: false, fact }
    }

    fn did(id: &str, at: Timestamp, kind: &str) -> Incoming {
        let activity = Activity { kind: kind.to_owned(), properties: BTreeMap::new() };
        incoming(id, at, Fact::Activity(activity))
    }

    fn name(text: &str) -> AttributeName {
        AttributeName::parse(text).unwrap()
    }

    pub(crate) fn given(id: &str, at: Timestamp, values: &[(&str, f64, Option<Timestamp>)]) -> Incoming {
        let value = |(text, n, known_at): &(&str, f64, Option<Timestamp>)| {
            (name(text), NewAttribute { value: AttributeValue::Number(*n), known_at: *known_at })
        };
        let attributes = values.iter().map(value).collect();
        let capture = Capture { attributes, responded: true, ..Capture::default() };
        incoming(id, at, Fact::Captured(Box::new(capture)))
    }

    fn sales(id: &str, at: Timestamp, what: Move) -> Incoming {
        incoming(id, at, Fact::Sales { what, by: Slug::parse("eu-1").ok(), note: None })
    }

    pub(crate) fn id() -> LeadId {
        LeadId::from_bytes([7; 16])
    }

    /// Lets facts arrive as they happen, reviews the lead when it is due, and gives it with its timeline.
    pub(crate) fn live(
        facts: &[Incoming],
        playbook: &Playbook,
        until: Timestamp,
    ) -> (Option<Lead>, Vec<Entry>) {
        let (mut lead, mut entries): (Option<Lead>, Vec<Entry>) = (None, Vec::new());
        let review = |lead: &mut Option<Lead>, entries: &mut Vec<Entry>, until: Timestamp| {
            while let Some((current, due)) = lead.as_ref().and_then(|l| Some((l, l.due_at?))) {
                if due > until {
                    break;
                }
                let Some(change) =
                    advance(current, playbook, current.playbook_version, None, People::nobody(), due)
                else {
                    break;
                };
                entries.extend(change.entries);
                *lead = Some(change.lead);
            }
        };
        for fact in facts {
            review(&mut lead, &mut entries, fact.occurred_at.plus(-1));
            let subject = match lead.clone() {
                Some(lead) => Subject::Existing(Box::new(lead)),
                None => Subject::New { id: id(), playbook_version: 1 },
            };
            let change = decide(
                subject,
                Vec::new(),
                &[],
                std::slice::from_ref(fact),
                playbook,
                People::nobody(),
                fact.occurred_at,
            );
            // What says nothing new is not stored, nor is when the lead would be due by it.
            if !change.is_empty() {
                entries.extend(change.entries);
                lead = Some(change.lead);
            }
        }
        review(&mut lead, &mut entries, until);
        (lead, entries)
    }

    pub(crate) fn any_fact() -> impl Strategy<Value = Fact> {
        let at = day(0);
        prop_oneof![
            6 => prop_oneof![Just("asked"), Just("page_viewed")].prop_map(move |kind| did("", at, kind).fact),
            3 => (0..3_u8, prop::bool::ANY).prop_map(move |(n, rich)| {
                let which = if rich { "budget" } else { "country" };
                given("", at, &[(which, f64::from(n) * 80.0, None)]).fact
            }),
            3 => prop_oneof![
                Just(Move::Accepted),
                Just(Move::Rejected { reason: None }),
                Just(Move::NotReady { reason: None, not_before: None }),
            ]
            .prop_map(move |what| sales("", at, what).fact),
            1 => (0..20_usize).prop_map(|n| Fact::Withdrawn {
                id: DeliveryId::new("test", &n.to_string()),
                note: None
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_lead_played_again_stands_where_the_stored_one_does(
            drawn in prop::collection::vec((1_i64..200, any_fact()), 1..20), rest in 0_i64..60
        ) {
            let (playbook, mut now) = (playbook(), day(0));
            let facts: Vec<Incoming> = drawn.into_iter().enumerate().map(|(n, (hours, fact))| {
                now = now.plus(hours * HOUR_MS);
                incoming(&n.to_string(), now, fact)
            }).collect();
            let until = now.plus(rest * DAY_MS);
            let (stored, entries) = live(&facts, &playbook, until);
            let stored = stored.unwrap();
            let again = facts_of(entries);
            let mut replay = Replay::new(id(), &playbook, &again);
            prop_assert_eq!(replay.score(until), Some(score(&playbook, &stored.view(until.day()))));
            let lead = replay.until(until).unwrap();
            prop_assert_eq!(&lead.attributes, &stored.attributes);
            prop_assert_eq!(lead.score.label, stored.score.label);
            prop_assert_eq!((lead.stage, lead.cycle, lead.ready), (stored.stage, stored.cycle, stored.ready));
            prop_assert_eq!((&lead.persona, lead.phase), (&stored.persona, stored.phase));
            prop_assert_eq!((&lead.segments, &lead.content), (&stored.segments, &stored.content));
        }

        #[test]
        fn the_first_day_on_which_it_was_ready_is_found_as_by_looking_at_every_hour(
            drawn in prop::collection::vec((0_i64..200, any_fact()), 1..12)
        ) {
            let (playbook, mut now) = (playbook(), day(0));
            let facts: Vec<Incoming> = drawn.into_iter().enumerate().map(|(n, (hours, fact))| {
                now = now.plus(hours * HOUR_MS);
                incoming(&n.to_string(), now, fact)
            }).filter(|fact| !is_of_sales(&fact.fact)).collect();
            let end = now.plus(30 * DAY_MS);
            let found = Replay::new(id(), &playbook, &facts).first_ready(end).map(|crossing| crossing.at);
            // Reviews happen at midnight, facts at nine and whole hours later.
            let mut by_hours = Replay::new(id(), &playbook, &facts);
            let mut at = day(0);
            let looked = loop {
                let ready = by_hours.until(at).is_some_and(|lead| {
                    crate::change::is_ready(lead, &playbook, at.day())
                });
                if ready || at > end {
                    break ready.then_some(at);
                }
                at = at.plus(HOUR_MS);
            };
            prop_assert_eq!(found, looked);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whoever_watches_misses_no_segment_that_looking_at_every_hour_finds(
            drawn in prop::collection::vec((0_i64..100, any_fact()), 1..12), from in 0_i64..20, days in 0_i64..30
        ) {
            let (playbook, mut now) = (playbook(), day(0));
            let facts: Vec<Incoming> = drawn.into_iter().enumerate().map(|(n, (hours, fact))| {
                now = now.plus(hours * HOUR_MS);
                incoming(&n.to_string(), now, fact)
            }).collect();
            let (from, end) = (day(from), day(from + days));
            let mut watched = Replay::new(id(), &playbook, &facts);
            let mut seen = watched.until(from).map(|lead| lead.segments.clone()).unwrap_or_default();
            watched.watch(end, &mut |lead| seen.extend(lead.segments.iter().cloned()));
            let (mut by_hours, mut at, mut looked) = (Replay::new(id(), &playbook, &facts), from, BTreeSet::new());
            while at <= end {
                looked.extend(by_hours.until(at).iter().flat_map(|lead| lead.segments.iter().cloned()));
                at = at.plus(HOUR_MS);
            }
            prop_assert_eq!(seen, looked);
        }
    }

    #[test]
    fn a_window_that_runs_out_makes_a_lead_ready_at_midnight() {
        let mut facts = vec![given("1", day(0), &[("country", 1.0, None)]), did("2", day(0), "asked")];
        facts.extend((0..4).map(|n| did(&format!("look {n}"), day(0).plus(-HOUR_MS), "page_viewed")));
        let playbook = playbook();
        let mut replay = Replay::new(id(), &playbook, &facts);
        assert!(!replay.until(day(2)).unwrap().ready);
        // On the third day after, the four page views are no longer within three days.
        let crossing = replay.first_ready(day(30)).unwrap();
        assert_eq!(crossing.at, day(3).day().start());
        assert_eq!(crossing.score.label.to_string(), "B1");
        assert_eq!(Replay::new(id(), &playbook, &facts).first_ready(day(2)), None);
    }

    #[test]
    fn a_replay_hands_nobody_off_and_knows_the_hand_offs_that_happened() {
        let playbook = playbook();
        let facts = [given("1", day(0), &[("country", 1.0, None)]), did("2", day(1), "asked")];
        let lead = Replay::new(id(), &playbook, &facts).until(day(5)).unwrap().clone();
        assert!(lead.ready && lead.sales.is_empty());
        let (stored, entries) = live(&facts, &playbook, day(5));
        let again = facts_of(entries);
        assert_eq!(hand_offs(&again).map(|fact| fact.occurred_at).collect::<Vec<_>>(), [day(1)]);
        assert_eq!(Replay::new(id(), &playbook, &again).until(day(5)).unwrap().stage, stored.unwrap().stage);
    }

    #[test]
    fn later_facts_are_left_out() {
        let playbook = playbook();
        let facts = [given("1", day(0), &[("country", 1.0, None)]), did("2", day(9), "asked")];
        let mut replay = Replay::new(id(), &playbook, &facts);
        assert_eq!(replay.score(day(0).plus(-1)), None);
        assert_eq!(replay.score(day(8)).map(|score| (score.fit, score.engagement)), Some((40, 0)));
        assert_eq!(replay.score(day(9)).map(|score| (score.fit, score.engagement)), Some((40, 60)));
        assert_eq!(replay.score(day(19)).map(|score| (score.fit, score.engagement)), Some((40, 30)));
    }

    #[test]
    fn the_series_has_a_point_for_the_first_day_and_for_each_change() {
        let playbook = playbook();
        let facts = [given("1", day(0), &[("country", 1.0, None)]), did("2", day(5), "asked")];
        let id = LeadId::from_bytes([7; 16]);
        let points = labels(&id, &facts, &playbook, day(-3).day(), day(7).day());
        let points: Vec<(i32, u8, u8)> =
            points.iter().map(|(at, score)| (at.0 - day(0).day().0, score.fit, score.engagement)).collect();
        assert_eq!(points, [(0, 40, 0), (5, 40, 60), (6, 40, 56), (7, 40, 52)]);
        assert_eq!(labels(&id, &facts, &playbook, day(2).day(), day(4).day()).len(), 1);
    }

    #[test]
    fn what_sales_first_did_is_neither_the_hand_off_nor_what_was_withdrawn() {
        let hand_off =
            Move::MarketingQualified { owner: Slug::parse("eu-1").unwrap(), promise_due_at: day(2) };
        let call = Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
        let facts = [
            sales("handed", day(1), hand_off),
            incoming("call", day(2), call),
            sales("accepted", day(3), Move::Accepted),
            incoming("oops", day(4), Fact::Withdrawn { id: DeliveryId::new("test", "call"), note: None }),
        ];
        assert_eq!(first_contact(&facts), Some(day(3)));
        assert_eq!(first_contact(&facts[..3]), Some(day(2)));
        assert_eq!(first_contact(&facts[..1]), None);
    }

    fn budgets(known: &AsKnown) -> Vec<(Timestamp, f64)> {
        known
            .facts
            .iter()
            .filter_map(|incoming| match &incoming.fact {
                Fact::Captured(capture) => match capture.attributes.get("budget").map(|a| &a.value) {
                    Some(AttributeValue::Number(n)) => Some((incoming.occurred_at, *n)),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_value_moves_to_when_it_was_known_and_an_undated_one_is_hidden() {
        let facts = [
            did("0", day(-1), "page_viewed"),
            given("1", day(0), &[("budget", 5.0, Some(day(4))), ("country", 1.0, None)]),
        ];
        let known = as_known(&facts, &|_| Declared::Nothing);
        assert_eq!(budgets(&known), [(day(4), 5.0)]);
        assert_eq!(known.since[&name("budget")], Some(day(4)));
        assert_eq!(known.since[&name("country")], None);
        let playbook = playbook();
        let fit = |declared: Declared, at| {
            let facts = as_known(&facts, &|_| declared).facts;
            Replay::new(id(), &playbook, &facts).score(at).unwrap().fit
        };
        assert_eq!(fit(Declared::Nothing, day(9)), 0);
        assert_eq!(fit(Declared::WithFact, day(0)), 40);
        assert_eq!(fit(Declared::WithFact, day(-1)), 0);
        // Declared known at capture, it counts from the first fact of all.
        assert_eq!(fit(Declared::AtCapture, day(-1)), 40);
        assert_eq!(budgets(&as_known(&facts, &|_| Declared::Hidden)), []);
    }

    #[test]
    fn a_form_knows_since_when_and_an_earlier_time_moves_nothing() {
        let mut form = given("1", day(2), &[("country", 1.0, None), ("budget", 5.0, Some(day(0)))]);
        if let Fact::Captured(capture) = &mut form.fact {
            capture.public = true;
        }
        let known = as_known(std::slice::from_ref(&form), &|_| Declared::Nothing);
        assert_eq!(known.facts, [form]);
        assert!(known.since.values().all(|since| *since == Some(day(2))));
    }

    #[test]
    fn an_old_value_learned_late_does_not_displace_a_newer_one() {
        let facts = [
            given("1", day(0), &[("budget", 5.0, Some(day(9)))]),
            given("2", day(3), &[("budget", 7.0, Some(day(3)))]),
            given("3", day(12), &[("budget", 8.0, None)]),
        ];
        let known = as_known(&facts, &|_| Declared::Nothing);
        assert_eq!(budgets(&known), [(day(3), 7.0)]);
        assert_eq!(known.since[&name("budget")], Some(day(3)));
    }
}
