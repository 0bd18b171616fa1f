//! What holds for every sequence of facts, and where it says so, under every playbook.

use crate::case::{lead_id, playbook, yaml};
use crate::drawn::{BRISK, any_playbook, arrive, brisk, deliver, delivery, some_facts, start, subject};
use domain::change::{
    Capture, Change, Effect, Entry, Fact, Incoming, Outcome, Pace, Recount, STALE_MS, advance, decide, review,
};
use domain::condition::{TouchField, View};
use domain::consent::Purpose;
use domain::identity::ExternalId;
use domain::lead::{Lead, Touch};
use domain::playbook::{EngagementRule, How, Playbook};
use domain::promise::People;
use domain::report::{Campaigns, Question, Row, WonDeal};
use domain::sales::{DeliveryId, Standing, stays};
use domain::score::{Part, explain, score};
use domain::segment::segments;
use domain::stage::{Stage, Team};
use domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn sum(part: Part, explanation: &domain::score::Explanation) -> i64 {
    explanation.lines.iter().filter(|line| line.part == part).map(|line| line.points).sum()
}

/// Works the engagement out from its definition, with fractions: points × Σ 2^(−age / half-life) over the newest hits.
fn engagement(playbook: &Playbook, view: &View<'_>) -> f64 {
    let rule = |rule: &EngagementRule| {
        let times = match &rule.how {
            How::When(condition) => f64::from(u8::from(condition.met(view))),
            How::PerHit { key, max_hits, half_life, .. } => {
                let days = view.ledger.get(*key).map_or(&[][..], |counts| counts.days);
                let ages = days.iter().rev().filter(|(day, _)| *day <= view.today);
                let ages = ages.flat_map(|(day, hits)| (0..*hits).map(|_| f64::from(view.today.0 - day.0)));
                let days = half_life.as_ref().map_or(f64::INFINITY, |half_life| f64::from(half_life.days()));
                ages.take(*max_hits as usize).map(|age| (-age / days).exp2()).sum()
            }
        };
        f64::from(rule.points) * times
    };
    let groups = playbook.engagement.iter().map(|group| {
        let cap = group.cap.map_or(f64::INFINITY, f64::from);
        group.rules.iter().map(rule).sum::<f64>().min(cap)
    });
    groups.sum::<f64>().clamp(0.0, 100.0)
}

/// Lets no two facts happen at one time, no form be public, and no value be said twice.
fn told_apart(mut facts: Vec<(Timestamp, Incoming)>) -> Vec<(Timestamp, Incoming)> {
    let mut said = BTreeSet::new();
    for (n, (_, fact)) in facts.iter_mut().enumerate() {
        fact.occurred_at = fact.occurred_at.plus(n as i64);
        if let Fact::Captured(capture) = &mut fact.fact {
            capture.public = false;
            capture.attributes.retain(|name, new| said.insert(format!("{name} {}", new.value)));
        }
    }
    facts
}

/// Gives the delivery that an entry of the timeline tells of.
fn delivered(entry: &Entry) -> Incoming {
    Incoming {
        delivery: DeliveryId::parse(&entry.id).unwrap(),
        occurred_at: entry.at,
        history: entry.history,
        by: entry.by.clone(),
        strict: false,
        fact: entry.fact.clone(),
    }
}

/// Puts every list of a document into another order: no list of a playbook says anything by its order.
fn shuffled(document: &Value, seed: u64) -> Value {
    match document {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| shuffled(item, seed)).collect();
            items.sort_by_cached_key(|item| DeliveryId::new(&seed.to_string(), &item.to_string()));
            Value::Array(items)
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), shuffled(item, seed))).collect())
        }
        simple => simple.clone(),
    }
}

/// Leaves out why something changed: a reason names a part of a condition by its number.
fn unreasoned(mut change: Change) -> Change {
    for effect in change.entries.iter_mut().flat_map(|entry| &mut entry.effects) {
        match effect {
            Effect::PersonaChanged { because, .. } | Effect::PhaseChanged { because, .. } => {
                because.parts.clear();
            }
            Effect::SegmentEntered { because, .. } | Effect::SegmentLeft { because, .. } => because.clear(),
            _ => {}
        }
    }
    change
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lines_of_an_explanation_add_up_to_the_score(
        facts in some_facts(14), rules in any_playbook(), days in 0_i32..60
    ) {
        let playbook = playbook(&rules);
        let (lead, now) = arrive(&facts, &playbook);
        let view = lead.view(now.day().plus(days));
        let explanation = explain(&playbook, &view);
        prop_assert_eq!(explanation.score, score(&playbook, &view));
        prop_assert_eq!(sum(Part::Fit, &explanation), i64::from(explanation.score.fit));
        prop_assert_eq!(sum(Part::Engagement, &explanation), i64::from(explanation.score.engagement));
        prop_assert!(explanation.score.fit <= 100 && explanation.score.engagement <= 100);
    }

    #[test]
    fn the_engagement_is_the_sum_that_its_definition_says(
        facts in some_facts(14), rules in any_playbook(), days in -20_i32..60
    ) {
        let playbook = playbook(&rules);
        let (lead, now) = arrive(&facts, &playbook);
        let view = lead.view(now.day().plus(days));
        let (exact, found) = (engagement(&playbook, &view), score(&playbook, &view).engagement);
        // Each rule is cut off to a thousandth of a point before the sum is rounded.
        prop_assert!((exact - f64::from(found)).abs() <= 0.52, "{exact} became {found}");
    }

    #[test]
    fn the_order_of_rules_groups_conditions_and_segments_does_not_matter(
        facts in some_facts(12), rules in any_playbook(), seed in any::<u64>()
    ) {
        let (there, here) = (playbook(&shuffled(&rules, seed)), playbook(&rules));
        let ((a, now), (b, _)) = (arrive(&facts, &there), arrive(&facts, &here));
        prop_assert_eq!(&a, &b);
        for ahead in [1, 2, 10] {
            let later = now.plus(ahead * DAY_MS);
            let review = |lead, playbook| advance(lead, playbook, 1, None, People::nobody(), later).map(unreasoned);
            prop_assert_eq!(review(&a, &there), review(&b, &here));
        }
    }

    #[test]
    fn no_path_leaves_a_lead_without_a_stage_that_it_came_to_or_an_owner(facts in some_facts(16), ahead in 0_i64..40) {
        let playbook = brisk();
        let mut lead = None;
        for (now, fact) in &facts {
            let known = deliver(lead.take(), fact, &playbook, *now).lead;
            // Marketing owns the top of the funnel as a team; in sales somebody does by name.
            prop_assert!(known.team() == Team::Marketing || !known.stage.in_inbox() || known.person.is_some());
            let stays = stays(&known);
            let last = stays.last().unwrap();
            prop_assert_eq!((last.stage, last.cycle, last.since), (known.stage, known.cycle, known.stage_since));
            prop_assert!(stays.windows(2).all(|two| two[0].cycle <= two[1].cycle));
            lead = Some(known);
        }
        let (lead, now) = (lead.unwrap(), facts.last().unwrap().0.plus(ahead * DAY_MS));
        let later = advance(&lead, &playbook, 1, None, People::nobody(), now).map_or(lead, |change| change.lead);
        prop_assert!(!later.stage.in_inbox() || later.person.is_some());
    }

    #[test]
    fn any_number_of_equal_deliveries_is_one(
        facts in some_facts(14), repeats in prop::collection::vec(any::<Index>(), 14)
    ) {
        let playbook = brisk();
        let (once, _) = arrive(&facts, &playbook);
        let mut lead = None;
        let mut taken: Vec<&Incoming> = Vec::new();
        for ((now, fact), repeat) in facts.iter().zip(&repeats) {
            let change = deliver(lead, fact, &playbook, *now);
            // What said nothing new left no trace by which a repeat could be known; it is as if it had never come.
            if change.outcomes != [Outcome::Unchanged] {
                taken.push(fact);
            }
            let mut current = change.lead;
            if !taken.is_empty() {
                for again in [repeat.get(&taken), taken.last().unwrap()] {
                    let change = deliver(Some(current.clone()), again, &playbook, *now);
                    prop_assert!(change.is_empty() && change.events.is_empty());
                    prop_assert_eq!(change.outcomes, vec![Outcome::Unchanged]);
                    prop_assert_eq!(&change.lead, &current);
                    current = change.lead;
                }
            }
            lead = Some(current);
        }
        prop_assert_eq!(lead.unwrap(), once);
    }

    #[test]
    fn facts_that_come_together_do_what_they_do_one_by_one(facts in some_facts(10)) {
        let playbook = brisk();
        let now = facts.last().unwrap().0;
        let all: Vec<Incoming> = facts.into_iter().map(|(_, fact)| fact).collect();
        let mut together = decide(subject(None), Vec::new(), &[], &all, &playbook, People::nobody(), now);
        let at_once: Vec<(Timestamp, Incoming)> = all.into_iter().map(|fact| (now, fact)).collect();
        let (one_by_one, _) = arrive(&at_once, &playbook);
        // A fact that says nothing new still tells, together with others, since when the lead is known.
        prop_assume!(!together.outcomes.contains(&Outcome::Unchanged));
        together.lead.version = one_by_one.version;
        prop_assert_eq!(together.lead, one_by_one);
    }

    #[test]
    fn reviewing_twice_changes_nothing_the_second_time(
        facts in some_facts(14), days in 0_i64..80, version in 1_u32..3, rules in any_playbook()
    ) {
        let (lead, now) = arrive(&facts, &brisk());
        let now = now.plus(days * DAY_MS);
        let playbook = if version == 1 { brisk() } else { playbook(&rules) };
        if let Some(change) = advance(&lead, &playbook, version, None, People::nobody(), now) {
            prop_assert_eq!(change.expected, Some(lead.version));
            prop_assert_eq!(change.lead.version, lead.version + 1);
            prop_assert!(!change.is_empty());
            prop_assert_eq!(advance(&change.lead, &playbook, version, None, People::nobody(), now), None);
        }
    }

    #[test]
    fn folding_the_ledger_changes_no_score_from_that_day_on(
        facts in some_facts(14), days in 0_i64..60, hits in 1_u32..2_000
    ) {
        let playbook = brisk();
        let (mut lead, now) = arrive(&facts, &playbook);
        let many: Vec<_> = lead.ledger.iter().map(|(key, counts)| (key, counts.last())).collect();
        many.into_iter().for_each(|(key, day)| lead.ledger.add(key, day, hits));
        let today = now.plus(days * DAY_MS).day();
        let mut folded = lead.clone();
        folded.ledger = lead.ledger.folded(playbook.horizon(today));
        for ahead in 0..40 {
            let (a, b) = (lead.view(today.plus(ahead)), folded.view(today.plus(ahead)));
            prop_assert_eq!(score(&playbook, &a), score(&playbook, &b));
            prop_assert_eq!(segments(&playbook, &a), segments(&playbook, &b));
        }
    }

    #[test]
    fn no_review_before_a_lead_is_due_has_anything_to_write(facts in some_facts(14)) {
        let playbook = brisk();
        let (lead, now) = arrive(&facts, &playbook);
        let due = lead.due_at.map(Timestamp::day);
        for ahead in 1..70 {
            let day = now.day().plus(ahead);
            if due.is_some_and(|due| day >= due) {
                break;
            }
            prop_assert_eq!(advance(&lead, &playbook, 1, None, People::nobody(), day.start()), None, "on {}", day);
        }
    }

    #[test]
    fn a_lead_in_an_inbox_has_a_person_and_every_step_is_one_version(facts in some_facts(20)) {
        let playbook = brisk();
        let mut lead: Option<Lead> = None;
        for (now, fact) in &facts {
            let before = lead.as_ref().map_or(0, |lead| lead.version);
            let change = deliver(lead, fact, &playbook, *now);
            let after = &change.lead;
            prop_assert!(!after.stage.in_inbox() || after.person.is_some(), "{} without a person", after.stage);
            prop_assert!(after.promise_due_at.is_none() || after.stage == Stage::MarketingQualified);
            prop_assert!(!after.ready || matches!(after.stage, Stage::Inquiry | Stage::Nurturing));
            prop_assert_eq!(after.team() == Team::Sales, after.stage.in_inbox() || after.stage == Stage::Customer);
            prop_assert_eq!(after.version - before, u64::from(!change.is_empty()));
            prop_assert_eq!(change.entries.len(), usize::from(change.outcomes != [Outcome::Unchanged]));
            let quiet = fact.history || now.since(fact.occurred_at) > STALE_MS;
            let mut effects = change.entries.iter().flat_map(|entry| &entry.effects);
            let handed = effects.any(|effect| matches!(effect, Effect::HandedOff { .. }));
            prop_assert!(!quiet || (change.events.is_empty() && !handed), "what is old starts something");
            let ids: BTreeSet<&str> = change.events.iter().map(|event| event.id.as_str()).collect();
            prop_assert_eq!(ids.len(), change.events.len());
            lead = Some(change.lead);
        }
    }

    #[test]
    fn who_waits_is_ready_and_marketings_and_goes_to_whom_it_waits_for(
        facts in some_facts(16), document in any_playbook(), days in prop::collection::vec((0_i64..4, 0_u8..4), 0..8)
    ) {
        let before = brisk();
        let (mut lead, mut now) = arrive(&facts, &before);
        let Ok(playbook) = Playbook::parse(&document) else { return Ok(()) };
        let paces = [Pace::AtOnce, Pace::Hold, Pace::HoldAll, Pace::Release];
        for (step, (days, pace)) in [(0, 1)].into_iter().chain(days).enumerate() {
            now = now.plus(days * DAY_MS);
            let pace = paces[usize::from(pace)];
            let waited = lead.held_for.clone();
            let Some(change) = review(&lead, &playbook, 2, None, pace, People::nobody(), now) else { continue };
            let after = &change.lead;
            let handed = after.stage == Stage::MarketingQualified && lead.stage != Stage::MarketingQualified;
            prop_assert!(
                after.held_for.is_none() || after.ready && after.team() == Team::Marketing && after.person.is_none()
            );
            let owner = playbook.qualifier(after, now.day()).1;
            prop_assert!(after.held_for.as_ref().is_none_or(|held| held == owner), "by the playbook of today");
            match pace {
                Pace::Hold | Pace::HoldAll => prop_assert!(!handed, "step {}", step),
                Pace::AtOnce => prop_assert!(!(handed && waited.is_some()), "time alone does not overtake the turn"),
                Pace::Release => prop_assert!(!handed || waited.is_some(), "only whose turn it is"),
            }
            prop_assert!(!handed || after.person.as_ref() == Some(owner) && after.held_for.is_none());
            let again = review(after, &playbook, 2, None, Pace::Release, People::nobody(), now);
            let released = again.as_ref().is_some_and(|change| change.lead.stage == Stage::MarketingQualified);
            prop_assert!(!released || after.stage == Stage::MarketingQualified || after.held_for.is_some());
            prop_assert!(after.held_for.is_none() || released, "its turn hands it off");
            lead = change.lead;
        }
    }

    /// Exceptions, since they are decided when a fact arrives: hand-offs (so all facts are history here), a customer
    /// who is imported (`customer`), a `lead_when` that is a condition, what a public form may still fill in, the name
    /// of the company, of which the last word to arrive counts, and since when a mere contact is known, which a fact
    /// that says nothing new does not tell.
    #[test]
    fn facts_in_any_order_of_arrival_give_one_stage_team_consent_and_source(
        facts in some_facts(12), order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let playbook = brisk();
        let now = facts.last().unwrap().0;
        let quiet: Vec<(Timestamp, Incoming)> =
            facts.into_iter().map(|(_, fact)| (now, Incoming { history: true, ..fact })).collect();
        let shuffled: Vec<_> = order.iter().filter_map(|n| quiet.get(*n).cloned()).collect();
        let ((a, _), (b, _)) = (arrive(&quiet, &playbook), arrive(&shuffled, &playbook));
        let (mine, other) = (a.standing(), b.standing());
        let since = if mine.stage == Stage::Contact { mine.since } else { other.since };
        prop_assert_eq!(&mine, &Standing { since, ..other });
        prop_assert_eq!((a.stage, a.team(), a.cycle), (b.stage, b.team(), b.cycle));
        // Whom no fact names, its territory does, which goes by what is known of it.
        prop_assert!(mine.person.is_none() || a.person == b.person);
        prop_assert_eq!((a.promise_due_at, &a.sales), (b.promise_due_at, &b.sales));
        for purpose in [Purpose::Marketing, Purpose::Phone] {
            prop_assert_eq!(a.consents.status(purpose), b.consents.status(purpose));
        }
        prop_assert_eq!(a.touches, b.touches);
        prop_assert_eq!((a.responded_at, a.activities), (b.responded_at, b.activities));
        prop_assert_eq!(a.ledger, b.ledger);
    }

    /// Two exceptions, since they are decided when a fact arrives: what a public form may still fill in, and a value that
    /// is said again, whose newer time is not kept.
    #[test]
    fn the_timeline_played_again_in_any_order_and_batches_gives_the_stored_ledger_and_score(
        facts in some_facts(14), rules in any_playbook(), reviews in prop::collection::vec(any::<bool>(), 14),
        seed in any::<u64>(), batch in 1_usize..6
    ) {
        let playbook = playbook(&rules);
        let facts = told_apart(facts);
        let now = facts.last().unwrap().0;
        let (mut lead, mut timeline) = (None, Vec::new());
        for ((now, fact), review) in facts.iter().zip(reviews) {
            let change = deliver(lead, fact, &playbook, *now);
            timeline.extend(change.entries);
            // A review drops the days that no rule looks at any more.
            let reviewed = advance(&change.lead, &playbook, 1, None, People::nobody(), *now).filter(|_| review);
            lead = Some(reviewed.map_or(change.lead, |change| change.lead));
        }
        let stored = lead.unwrap();
        timeline.sort_by_cached_key(|entry| DeliveryId::new(&seed.to_string(), &entry.id));
        let mut again = None;
        for entries in timeline.chunks(batch) {
            let facts: Vec<Incoming> = entries.iter().map(delivered).collect();
            again = Some(decide(subject(again), Vec::new(), &[], &facts, &playbook, People::nobody(), now).lead);
        }
        let again = again.unwrap();
        let known = BTreeSet::new();
        let mut recount = Recount::new(&playbook, &known, &stored);
        timeline.iter().for_each(|entry| recount.take(entry));
        prop_assert_eq!(&recount.finish().ledger, &again.ledger);
        let horizon = playbook.horizon(now.day());
        prop_assert_eq!(stored.ledger.folded(horizon), again.ledger.folded(horizon));
        for ahead in 0..40 {
            let day = now.day().plus(ahead);
            prop_assert_eq!(score(&playbook, &stored.view(day)), score(&playbook, &again.view(day)));
        }
        prop_assert_eq!(&stored.attributes, &again.attributes);
        prop_assert_eq!((stored.touches, stored.activities), (again.touches, again.activities));
    }

    #[test]
    fn the_report_is_the_same_whatever_the_order_of_the_scan(
        deals in prop::collection::vec((0_u8..3, 0_u8..3, 0_i64..9, prop::option::of(1_u8..50)), 1..7),
        order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let euro = domain::money::Currency::parse("EUR").unwrap();
        let rows: Vec<Row> = deals.iter().enumerate().map(|(n, (channel, deal, day, amount))| {
            let at = start().plus(day * DAY_MS);
            let deal = ExternalId::new("crm", &deal.to_string()).unwrap();
            let amount = amount.map(|minor| domain::money::Money { minor: i64::from(minor), currency: euro });
            let channel = Some(channel.to_string());
            Row {
                lead: lead_id(n as u8),
                first_touch: Some(Touch { at: start(), channel, campaign: None, landing_page: None }),
                touches: Vec::new(),
                responded_at: start(),
                outcome: domain::sales::Outcome::Won(at),
                won: vec![WonDeal { id: deal, amount, at, fact: delivery(n), opened: None, first_won: at }],
                stays: Vec::new(),
            }
        }).collect();
        let basis = domain::report::Basis::Cohort;
        let question = Question { group_by: TouchField::Channel, basis, from: None, to: None };
        let report = |rows: &mut dyn Iterator<Item = &Row>| {
            let mut report = Campaigns::default();
            rows.for_each(|row| report.add(&question, row));
            report.finish(&question)
        };
        prop_assert_eq!(report(&mut rows.iter()), report(&mut order.iter().filter_map(|n| rows.get(*n))));
    }
}

#[test]
fn a_thousand_hits_of_a_hundred_points_are_nothing_when_their_days_are_dropped() {
    let mut document = yaml(BRISK);
    let rule = json!({"id": "r", "points": 100, "signal": "pricing", "max_hits": 1000, "half_life_days": 2});
    document["engagement"] = json!([{"id": "g", "rules": [rule]}]);
    document["segments"] = json!([]);
    let playbook = playbook(&document);
    let mut lead = arrive_at_once(&playbook);
    let (key, today) = (playbook.signals[1].key, start().day());
    lead.ledger.add(key, today, 1_000);
    // Its own last day is always kept; that of another hit keeps none of these.
    lead.ledger.add(key, today.plus(40), 1);
    for ahead in 0..60 {
        let day = today.plus(ahead);
        let folded = Lead { ledger: lead.ledger.folded(playbook.horizon(day)), ..lead.clone() };
        assert_eq!(
            score(&playbook, &lead.view(day)),
            score(&playbook, &folded.view(day)),
            "after {ahead} days"
        );
    }
    assert_eq!(score(&playbook, &lead.view(today.plus(33))).engagement, 1);
    assert_eq!(score(&playbook, &lead.view(today.plus(34))).engagement, 0);
}

fn arrive_at_once(playbook: &Playbook) -> Lead {
    let fact = Fact::Captured(Box::new(Capture { responded: true, ..Capture::default() }));
    let by = "test".to_owned();
    let incoming =
        Incoming { delivery: delivery(0), occurred_at: start(), history: false, by, strict: false, fact };
    deliver(None, &incoming, playbook, start()).lead
}

/// Draws a small JSON value, often one that stands somewhere in playbooks.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-200_i64..200).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("AT"),
            Just("A1"),
            Just("pricing_viewed"),
            Just("newsletter"),
            Just("email"),
            Just("é"),
            Just("")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let word = prop_oneof![
            Just("all"),
            Just("any"),
            Just("not"),
            Just("attribute"),
            Just("signal"),
            Just("segment"),
            Just("equals"),
            Just("in"),
            Just("at_least"),
            Just("matches"),
            Just("id"),
            Just("rules"),
            Just("points"),
            Just("a/b~c"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word, inner), 0..4)
                .prop_map(|all| Value::Object(all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// Lists the pointers to all values of a document.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{here}/{n}"), all));
        }
        Value::Object(map) => {
            for (key, item) in map {
                places(item, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_playbook_that_was_mutilated_is_refused_with_places_that_exist(
        wounds in prop::collection::vec((any::<Index>(), any_value()), 1..6)
    ) {
        let mut document = crate::starter::document();
        for (at, value) in wounds {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            let place: &String = at.get(&all);
            *document.pointer_mut(place).unwrap() = value;
        }
        if let Err(faults) = Playbook::parse(&document) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.detail.is_empty());
                // A field that is missing has only its object.
                let parent = fault.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                prop_assert!(document.pointer(parent).is_some(), "{} is nowhere", fault.pointer);
            }
        }
    }
}
