//! What holds for every sequence of facts.
//!
//! The facts are drawn at random: live and old ones, imports, forms, activities, everything that sales reports,
//! consent, and facts that take earlier ones back, arriving up to twenty days late and a few minutes early.

use crate::case::{lead_id, patched, playbook, time, yaml};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Effect, Fact, Incoming, Outcome, STALE_MS, Subject, advance, decide};
use domain::condition::TouchField;
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{ExternalId, Slug};
use domain::lead::{Company, Lead, Touch};
use domain::playbook::Playbook;
use domain::report::{Campaigns, Question, Row, WonDeal};
use domain::sales::{DeliveryId, Move, Standing};
use domain::score::{Part, explain, score};
use domain::segment::segments;
use domain::stage::{Stage, Team};
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A playbook in which much depends on time, and little time passes until all is quiet.
const BRISK: &str = "
name: Brisk
signals:
  - {id: asked, kind: asked}
  - {id: pricing, kind: page_viewed, where: {path: /pricing}}
  - {id: left, kind: unsubscribed}
fit:
  - id: market
    cap: 50
    rules:
      - {id: here, points: 40, when: {attribute: country, exists: true}}
      - {id: big, points: 25, when: {attribute: size, at_least: 2}}
  - {id: bad, cap: 0, rules: [{id: small, points: -30, when: {attribute: size, equals: 1}}]}
engagement:
  - id: interest
    cap: 90
    rules:
      - {id: asks, points: 60, signal: asked, max_hits: 1, half_life_days: 2}
      - {id: prices, points: 15, signal: pricing, max_hits: 3, half_life_days: 1}
      - {id: keen, points: 20, when: {signal: pricing, at_least: 2, within_days: 3}}
  - {id: away, rules: [{id: leaves, points: -40, signal: left, half_life_days: 2}]}
bands:
  fit: {A: 60, B: 40, C: 20}
  engagement: {1: 60, 2: 40, 3: 15}
marketing_qualified:
  labels: [A1, A2, A3, B1, B2]
  when: {not: {signal: left, at_least: 1, within_days: 2}}
territories:
  - {id: alps, countries: [AT], qualifier: at-1}
  - {id: germany, countries: [DE], qualifier: de-1}
default_qualifier: eu-1
segments:
  - {id: keen, when: {signal: pricing, at_least: 2, within_days: 7}}
  - {id: silent, when: {not: {signal: pricing, within_days: 5}}}
  - {id: warm_and_keen, when: {all: [{segment: warm}, {segment: keen}]}}
  - {id: warm, when: {engagement: {at_least: 30}}}
  - {id: with_sales, when: {stage: [marketing_qualified, sales_accepted]}}
  - {id: by_search, when: {source: channel, touch: last, equals: search}}
  - {id: reachable, when: {consent: marketing}}
";

fn brisk() -> Playbook {
    playbook(&yaml(BRISK))
}

fn start() -> Timestamp {
    time("2026-03-02")
}

fn delivery(n: usize) -> DeliveryId {
    DeliveryId::new("random", &n.to_string())
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A fact with the hours since the one before it arrived, and how many minutes before its arrival it happened.
#[derive(Clone, Debug)]
struct Drawn {
    gap_hours: i64,
    delay_minutes: i64,
    history: bool,
    fact: Fact,
}

fn an_activity() -> impl Strategy<Value = Activity> {
    let kind = prop_oneof![Just("asked"), Just("page_viewed"), Just("page_viewed"), Just("unsubscribed")];
    (kind, any::<bool>()).prop_map(|(kind, pricing)| {
        let path = AttributeValue::Text(if pricing { "/pricing" } else { "/" }.to_owned());
        Activity { kind: kind.to_owned(), properties: [("path".to_owned(), path)].into() }
    })
}

fn a_consent() -> impl Strategy<Value = ConsentFact> {
    let status = prop_oneof![
        Just(ConsentStatus::Pending),
        Just(ConsentStatus::Confirmed),
        Just(ConsentStatus::Withdrawn)
    ];
    let purpose = prop_oneof![Just(Purpose::Marketing), Just(Purpose::Phone)];
    (purpose, status, 0_i64..72).prop_map(|(purpose, status, hours)| ConsentFact {
        purpose,
        status,
        basis: Basis::Consent,
        text: None,
        source: None,
        at: start().plus(hours * HOUR_MS),
    })
}

fn a_touch() -> impl Strategy<Value = Touch> {
    let channel = prop_oneof![Just("search"), Just("email"), Just("print")];
    (channel, 0_i64..72).prop_map(|(channel, hours)| Touch {
        at: start().plus(hours * HOUR_MS),
        channel: Some(channel.to_owned()),
        campaign: None,
        landing_page: None,
    })
}

fn a_capture() -> impl Strategy<Value = Capture> {
    let country = prop::option::of(prop_oneof![Just("AT"), Just("DE"), Just("PT"), Just("Atlantis")]);
    let parts = (
        country,
        prop::option::of(0_u8..4),
        prop::option::of(a_touch()),
        prop::collection::vec(a_consent(), 0..2),
        prop::option::of(an_activity()),
        any::<[bool; 3]>(),
    );
    parts.prop_map(|(country, size, touch, consents, activity, [responded, public, acme])| {
        let country = country.map(|country| ("country", AttributeValue::Text(country.to_owned())));
        let size = size.map(|size| ("size", AttributeValue::Number(f64::from(size))));
        let attributes = country.into_iter().chain(size).map(|(name, value)| {
            (AttributeName::parse(name).unwrap(), NewAttribute { value, known_at: None })
        });
        let company = Company { name: acme.then(|| "Acme".to_owned()), ..Company::default() };
        let attributes = attributes.collect();
        Capture { attributes, company, touch, consents, activity, responded, customer: false, public }
    })
}

fn a_move() -> impl Strategy<Value = Move> {
    let deal = |n: u8| ExternalId::new("crm", &format!("D-{n}")).unwrap();
    prop_oneof![
        Just(Move::Accepted),
        Just(Move::Rejected { reason: None }),
        prop::option::of(0_i64..12).prop_map(|days| Move::NotReady {
            reason: None,
            not_before: days.map(|days| start().plus(days * DAY_MS)),
        }),
        Just(Move::Qualified),
        Just(Move::Assigned { to: slug("at-2") }),
        (0_u8..2).prop_map(move |n| Move::Opportunity { deal: deal(n), amount: None }),
        (0_u8..2).prop_map(move |n| Move::Won { deal: deal(n), amount: None }),
        prop::option::of(0_u8..2).prop_map(move |n| Move::Lost { deal: n.map(deal), reason: None }),
        Just(Move::Disqualified { reason: None }),
        Just(Move::Churned),
    ]
}

fn a_fact() -> impl Strategy<Value = Fact> {
    let person = || prop::option::of(Just(slug("at-1")));
    prop_oneof![
        4 => a_capture().prop_map(|capture| Fact::Captured(Box::new(capture))),
        6 => an_activity().prop_map(Fact::Activity),
        4 => (a_move(), person()).prop_map(|(what, by)| Fact::Sales { what, by, note: None }),
        1 => person().prop_map(|by| Fact::FollowUp { channel: "phone".to_owned(), result: None, by, note: None }),
        1 => a_consent().prop_map(Fact::Consent),
        1 => (0_usize..16).prop_map(|n| Fact::Withdrawn { id: delivery(n), note: None }),
    ]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let delay = prop_oneof![5 => Just(0_i64), 3 => 0_i64..60 * 48, 1 => 0_i64..60 * 24 * 20, 1 => -9_i64..0];
    (0_i64..60, delay, prop::bool::weighted(0.1), a_fact()).prop_map(
        |(gap_hours, delay_minutes, history, fact)| Drawn { gap_hours, delay_minutes, history, fact },
    )
}

fn some_facts(most: usize) -> impl Strategy<Value = Vec<(Timestamp, Incoming)>> {
    prop::collection::vec(drawn(), 1..most).prop_map(|all| {
        let mut now = start();
        let arrive = |(n, drawn): (usize, Drawn)| {
            now = now.plus(drawn.gap_hours * HOUR_MS);
            let incoming = Incoming {
                delivery: delivery(n),
                occurred_at: now.plus(-drawn.delay_minutes * MINUTE_MS),
                history: drawn.history,
                by: "test".to_owned(),
                strict: false,
                fact: drawn.fact,
            };
            (now, incoming)
        };
        all.into_iter().enumerate().map(arrive).collect()
    })
}

fn subject(lead: Option<Lead>) -> Subject {
    match lead {
        Some(lead) => Subject::Existing(Box::new(lead)),
        None => Subject::New { id: lead_id(1), playbook_version: 1 },
    }
}

fn deliver(lead: Option<Lead>, fact: &Incoming, playbook: &Playbook, now: Timestamp) -> Change {
    decide(subject(lead), Vec::new(), &[], std::slice::from_ref(fact), playbook, now)
}

/// Lets facts arrive one by one and gives the lead, with the time of the last arrival.
fn arrive(facts: &[(Timestamp, Incoming)], playbook: &Playbook) -> (Lead, Timestamp) {
    let mut lead = None;
    for (now, fact) in facts {
        lead = Some(deliver(lead, fact, playbook, *now).lead);
    }
    (lead.unwrap(), facts.last().unwrap().0)
}

fn sum(part: Part, explanation: &domain::score::Explanation) -> i64 {
    explanation.lines.iter().filter(|line| line.part == part).map(|line| line.points).sum()
}

/// Points, which of three things they are for, most hits, half-life.
type AnyRule = (i64, usize, u32, Option<u16>);
/// A cap and its rules.
type AnyGroup = (Option<u8>, Vec<AnyRule>);

fn any_groups() -> impl Strategy<Value = Vec<AnyGroup>> {
    let rule = (-100_i64..=100, 0_usize..3, 1_u32..60, prop::option::of(1_u16..40));
    let group = (prop::option::of(0_u8..=100), prop::collection::vec(rule, 0..4));
    prop::collection::vec(group, 0..4)
}

/// Writes groups as a playbook has them, each rule with what `rule` says of it.
fn written(part: &str, groups: &[AnyGroup], rule: impl Fn(&AnyRule) -> Value) -> Value {
    let group = |(n, (cap, rules)): (usize, &AnyGroup)| {
        let rules: Vec<Value> = rules
            .iter()
            .enumerate()
            .map(|(m, any)| patched(json!({"id": format!("{part}-{n}-{m}"), "points": any.0}), &rule(any)))
            .collect();
        json!({"id": format!("{part}-{n}"), "cap": cap, "rules": rules})
    };
    groups.iter().enumerate().map(group).collect()
}

/// Draws a playbook with any points, caps, hits and half-lives.
fn any_rules() -> impl Strategy<Value = Value> {
    (any_groups(), any_groups()).prop_map(|(fit, engagement)| {
        let mut document = yaml(BRISK);
        document["fit"] = written("fit", &fit, |(_, which, ..)| match which {
            0 => json!({"when": {"attribute": "country", "exists": true}}),
            size => json!({"when": {"attribute": "size", "equals": size}}),
        });
        document["engagement"] = written("engagement", &engagement, |(_, which, hits, half_life)| {
            let signal = ["asked", "pricing", "left"][*which];
            json!({"signal": signal, "max_hits": hits, "half_life_days": half_life})
        });
        document
    })
}

/// Turns every list of the playbook whose order says nothing round by some places.
fn turned(document: &Value, by: usize) -> Value {
    let mut document = document.clone();
    for section in ["signals", "fit", "engagement", "territories", "segments"] {
        if let Some(list) = document[section].as_array_mut() {
            for item in list.iter_mut() {
                if let Some(rules) = item.get_mut("rules").and_then(Value::as_array_mut) {
                    rules.reverse();
                    let by = by.checked_rem(rules.len()).unwrap_or(0);
                    rules.rotate_left(by);
                }
            }
            let by = by.checked_rem(list.len()).unwrap_or(0);
            list.rotate_left(by);
        }
    }
    document
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_lines_of_an_explanation_add_up_to_the_score(
        facts in some_facts(14), rules in any_rules(), days in 0_i32..60
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
    fn the_order_of_independent_rules_does_not_matter(
        facts in some_facts(12), rules in any_rules(), by in 0_usize..5
    ) {
        let (there, here) = (playbook(&turned(&rules, by)), playbook(&rules));
        prop_assert_eq!(arrive(&facts, &there).0, arrive(&facts, &here).0);
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
        let mut together = decide(subject(None), Vec::new(), &[], &all, &playbook, now);
        let at_once: Vec<(Timestamp, Incoming)> = all.into_iter().map(|fact| (now, fact)).collect();
        let (one_by_one, _) = arrive(&at_once, &playbook);
        // A fact that says nothing new still tells, together with others, since when the lead is known.
        prop_assume!(!together.outcomes.contains(&Outcome::Unchanged));
        together.lead.version = one_by_one.version;
        prop_assert_eq!(together.lead, one_by_one);
    }

    #[test]
    fn reviewing_twice_changes_nothing_the_second_time(
        facts in some_facts(14), days in 0_i64..80, version in 1_u32..3, rules in any_rules()
    ) {
        let (lead, now) = arrive(&facts, &brisk());
        let now = now.plus(days * DAY_MS);
        let playbook = if version == 1 { brisk() } else { playbook(&rules) };
        if let Some(change) = advance(&lead, &playbook, version, None, now) {
            prop_assert_eq!(change.expected, Some(lead.version));
            prop_assert_eq!(change.lead.version, lead.version + 1);
            prop_assert!(!change.is_empty());
            prop_assert_eq!(advance(&change.lead, &playbook, version, None, now), None);
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
    fn a_lead_is_due_no_later_than_the_first_day_on_which_something_about_it_changes(facts in some_facts(14)) {
        let playbook = brisk();
        let (lead, now) = arrive(&facts, &playbook);
        let due = lead.due_at.map(Timestamp::day);
        for ahead in 1..70 {
            let day = now.day().plus(ahead);
            if due.is_some_and(|due| day >= due) {
                break;
            }
            prop_assert_eq!(advance(&lead, &playbook, 1, None, day.start()), None, "on {}", day);
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
        for purpose in [Purpose::Marketing, Purpose::Phone] {
            prop_assert_eq!(a.consents.status(purpose), b.consents.status(purpose));
        }
        prop_assert_eq!(a.touches, b.touches);
        prop_assert_eq!((a.responded_at, a.activities), (b.responded_at, b.activities));
        prop_assert_eq!(a.ledger, b.ledger);
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
                responded_at: start(),
                outcome: domain::sales::Outcome::Won(at),
                won: vec![WonDeal { id: deal, amount, at, fact: delivery(n) }],
            }
        }).collect();
        let basis = domain::report::Basis::Cohort;
        let question = Question { group_by: TouchField::Channel, basis, from: None, to: None };
        let report = |rows: &mut dyn Iterator<Item = &Row>| {
            let mut report = Campaigns::default();
            rows.for_each(|row| report.add(&question, row.clone()));
            report.finish()
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
