//! What the properties are tried with, drawn at random: facts, and playbooks.
//!
//! The facts are live and old ones, imports, forms, activities, everything that sales reports, consent, and facts that
//! take earlier ones back, arriving up to twenty days late and a few minutes early. The playbooks have any rules, caps,
//! half-lives, windows, bands, definitions and segments, about just the things that these facts are about.

use crate::case::{lead_id, patched, playbook, time, yaml};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Fact, Incoming, Subject, decide};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{ExternalId, Slug};
use domain::lead::{Company, Lead, Touch};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::{DeliveryId, Move};
use domain::stage::Stage;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

/// A playbook in which much depends on time, and little time passes until all is quiet.
pub(crate) const BRISK: &str = "
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
regions:
  - {id: dach, countries: [AT, CH, DE]}
  - {id: iberia, countries: [ES, PT]}
reasons: {rejected: [{id: rival, then: disqualify}], lost: [{id: gone, then: disqualify}]}
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
  - {id: renewal, when: {attribute: until, within_next_days: 5}}
  - {id: faithful, when: {attribute: since, anniversary_within_days: 2}}
  - {id: faded, when: {signal: asked, last_seen: {older_than_days: 9}}}
  - {id: stuck, when: {in_stage_days: {at_least: 6}}}
";

pub(crate) fn brisk() -> Playbook {
    playbook(&yaml(BRISK))
}

pub(crate) fn start() -> Timestamp {
    time("2026-03-02")
}

pub(crate) fn delivery(n: usize) -> DeliveryId {
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

/// Draws a date near the facts or years before them, now and then as a time, and now and then what is none.
fn a_date() -> impl Strategy<Value = String> {
    let near = (-40_i32..480).prop_map(|days| start().day().plus(days));
    let born = (0_i32..13_000).prop_map(|days| start().day().plus(-days));
    let leap = Just(time("2024-02-29").day());
    let day = prop_oneof![6 => near, 2 => born, 1 => leap];
    prop_oneof![
        8 => day.clone().prop_map(|day| day.to_string()),
        1 => day.prop_map(|day| format!("{day}T23:30:00-02:00")),
        1 => Just("soon".to_owned()),
    ]
}

fn a_capture() -> impl Strategy<Value = Capture> {
    let country = prop::option::of(prop_oneof![Just("AT"), Just("DE"), Just("PT"), Just("Atlantis")]);
    let parts = (
        country,
        prop::option::of(0_u8..4),
        [prop::option::weighted(0.3, a_date()), prop::option::weighted(0.3, a_date())],
        prop::option::of(a_touch()),
        prop::collection::vec(a_consent(), 0..2),
        prop::option::of(an_activity()),
        any::<[bool; 3]>(),
    );
    parts.prop_map(|(country, size, dates, touch, consents, activity, [responded, public, acme])| {
        let country = country.map(|country| ("country", AttributeValue::Text(country.to_owned())));
        let size = size.map(|size| ("size", AttributeValue::Number(f64::from(size))));
        let dates = ["since", "until"].into_iter().zip(dates);
        let dates = dates.filter_map(|(name, date)| Some((name, AttributeValue::Text(date?))));
        let attributes = country.into_iter().chain(size).chain(dates).map(|(name, value)| {
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
        prop::option::of(Just("rival".to_owned())).prop_map(|reason| Move::Rejected { reason }),
        prop::option::of(0_i64..12).prop_map(|days| Move::NotReady {
            reason: None,
            not_before: days.map(|days| start().plus(days * DAY_MS)),
        }),
        Just(Move::Qualified),
        Just(Move::Assigned { to: slug("at-2"), promise_due_at: None }),
        (0_u8..2).prop_map(move |n| Move::Opportunity { deal: deal(n), amount: None }),
        (0_u8..2).prop_map(move |n| Move::Won { deal: deal(n), amount: None }),
        (prop::option::of(0_u8..2), prop::option::of(Just("gone".to_owned())))
            .prop_map(move |(n, reason)| Move::Lost { deal: n.map(deal), reason }),
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

pub(crate) fn some_facts(most: usize) -> impl Strategy<Value = Vec<(Timestamp, Incoming)>> {
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

pub(crate) fn subject(lead: Option<Lead>) -> Subject {
    match lead {
        Some(lead) => Subject::Existing(Box::new(lead)),
        None => Subject::New { id: lead_id(1), playbook_version: 1 },
    }
}

pub(crate) fn deliver(lead: Option<Lead>, fact: &Incoming, playbook: &Playbook, now: Timestamp) -> Change {
    decide(subject(lead), Vec::new(), &[], std::slice::from_ref(fact), playbook, People::nobody(), now)
}

/// Lets facts arrive one by one and gives the lead, with the time of the last arrival.
pub(crate) fn arrive(facts: &[(Timestamp, Incoming)], playbook: &Playbook) -> (Lead, Timestamp) {
    let mut lead = None;
    for (now, fact) in facts {
        lead = Some(deliver(lead, fact, playbook, *now).lead);
    }
    (lead.unwrap(), facts.last().unwrap().0)
}

/// Draws a condition that looks at facts only; its windows are of up to forty times `pace` days.
fn about_facts(pace: u16) -> BoxedStrategy<Value> {
    let window = prop::option::weighted(0.7, (1_u16..=40).prop_map(move |days| days * pace));
    let signal = prop_oneof![Just("asked"), Just("pricing"), Just("left")];
    let count = prop_oneof![
        Just(json!({})),
        (1_u8..4).prop_map(|n| json!({"at_least": n})),
        (0_u8..3).prop_map(|n| json!({"at_most": n})),
        (0_u8..3).prop_map(|n| json!({"exactly": n})),
    ];
    let size = prop_oneof![
        (0_u8..4).prop_map(|n| json!({"attribute": "size", "at_least": n})),
        (0_u8..4).prop_map(|n| json!({"attribute": "size", "at_most": n})),
        (0_u8..4).prop_map(|n| json!({"attribute": "size", "equals": n})),
    ];
    let other = prop_oneof![
        any::<bool>().prop_map(|known| json!({"attribute": "country", "exists": known})),
        Just(json!({"attribute": "country", "in": ["AT", "DE"]})),
        Just(json!({"source": "channel", "touch": "last", "equals": "search"})),
        Just(json!({"consent": "marketing", "status": ["pending", "confirmed"]})),
    ];
    let simple = prop_oneof![
        6 => (signal, window, count).prop_map(|(signal, window, count)| {
            patched(json!({"signal": signal, "within_days": window}), &count)
        }),
        1 => size,
        1 => other,
        3 => about_days(pace),
        1 => about_places(),
    ];
    nested(simple.boxed())
}

/// Draws a condition over dates and over the times of signals.
fn about_days(pace: u16) -> impl Strategy<Value = Value> {
    let days = move || (1_u16..=40).prop_map(move |days| days * pace);
    let fixed = || {
        (-60_i32..60, 2_i32..60).prop_map(|(from, days)| {
            let day = |days| start().day().plus(days).to_string();
            json!({"after": day(from), "before": day(from + days)})
        })
    };
    let past = move || {
        prop_oneof![
            2 => days().prop_map(|n| json!({"within_last_days": n})),
            2 => days().prop_map(|n| json!({"older_than_days": n})),
            1 => fixed(),
            1 => (-9_i32..9).prop_map(|n| json!({"on": start().day().plus(n).to_string()})),
        ]
    };
    let date = prop_oneof![
        3 => past(),
        1 => days().prop_map(|n| json!({"within_next_days": n})),
        1 => (1_u16..=365).prop_map(|n| json!({"anniversary_within_days": n})),
        1 => Just(json!({"before_attribute": "until"})),
        1 => Just(json!({"after_attribute": "since"})),
        1 => Just(json!({"equals_attribute": "until"})),
    ];
    let name = prop_oneof![Just("since"), Just("until")];
    let signal = prop_oneof![Just("asked"), Just("pricing"), Just("left")];
    let which = prop_oneof![Just("first_seen"), Just("last_seen")];
    prop_oneof![
        2 => (name, date).prop_map(|(name, date)| patched(json!({"attribute": name}), &date)),
        1 => (signal, which, past()).prop_map(|(signal, which, past)| json!({"signal": signal, which: past})),
    ]
}

/// Draws a condition over countries and shares.
fn about_places() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"country": ["AT", "PT"]})),
        Just(json!({"region": "dach"})),
        Just(json!({"region": ["dach", "iberia"]})),
        (1_u8..=100).prop_map(|percent| json!({"sample": {"percent": percent, "of": "draw"}})),
    ]
}

/// Draws a condition that may look at the score too.
fn about_scores(pace: u16) -> BoxedStrategy<Value> {
    let range =
        (0_u8..=100, 0_u8..=100).prop_map(|(a, b)| json!({"at_least": a.min(b), "at_most": a.max(b)}));
    let simple = prop_oneof![
        3 => about_facts(pace),
        2 => range.clone().prop_map(|range| json!({"engagement": range})),
        1 => range.prop_map(|range| json!({"fit": range})),
        1 => some_labels().prop_map(|labels| json!({"label": labels})),
    ];
    nested(simple.boxed())
}

/// Draws what the definition of a ready lead may ask besides its label.
fn about_definitions(pace: u16) -> BoxedStrategy<Value> {
    let persona = prop_oneof![Just(json!({"persona": "p1"})), Just(json!({"not": {"persona": "p2"}}))];
    nested(prop_oneof![3 => about_scores(pace), 1 => persona].boxed())
}

fn nested(simple: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let two = prop::collection::vec(simple.clone(), 1..3);
    prop_oneof![
        4 => simple.clone(),
        1 => simple.prop_map(|part| json!({"not": part})),
        1 => two.clone().prop_map(|parts| json!({"all": parts})),
        1 => two.prop_map(|parts| json!({"any": parts})),
    ]
    .boxed()
}

fn some_labels() -> impl Strategy<Value = Vec<String>> {
    let all: Vec<String> = "ABCD".chars().flat_map(|fit| (1..=4).map(move |n| format!("{fit}{n}"))).collect();
    subsequence(all, 1..=16)
}

/// A cap, and rules of points and what else they say.
type AnyGroup = (Option<u8>, Vec<(i64, Value)>);

/// Draws groups of rules, each rule with points and what `rule` says of it.
fn groups(part: &'static str, rule: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let rules = prop::collection::vec((-100_i64..=100, rule), 0..4);
    prop::collection::vec((prop::option::of(0_u8..=100), rules), 0..4).prop_map(move |groups| {
        let group = |(n, (cap, rules)): (usize, &AnyGroup)| {
            let rule = |(m, (points, rule)): (usize, &(i64, Value))| {
                patched(json!({"id": format!("{part}-{n}-{m}"), "points": points}), rule)
            };
            let rules: Vec<Value> = rules.iter().enumerate().map(rule).collect();
            json!({"id": format!("{part}-{n}"), "cap": cap, "rules": rules})
        };
        groups.iter().enumerate().map(group).collect()
    })
}

fn bands(words: [&'static str; 3]) -> impl Strategy<Value = Value> {
    subsequence((1..=100).collect::<Vec<u8>>(), 3)
        .prop_map(move |begins| json!({words[0]: begins[2], words[1]: begins[1], words[2]: begins[0]}))
}

/// Draws a condition that may look at what is known once the stage is.
fn about_standing(pace: u16) -> BoxedStrategy<Value> {
    let stages: Vec<&str> = Stage::WORDS.iter().map(|(word, _)| *word).collect();
    let simple = prop_oneof![
        3 => about_scores(pace),
        1 => subsequence(stages, 1..4).prop_map(|stages| json!({"stage": stages})),
        1 => (0_u16..=20).prop_map(move |days| json!({"in_stage_days": {"at_least": days * pace}})),
        1 => Just(json!({"persona": "p1"})),
    ];
    nested(simple.boxed())
}

/// Draws two personas, the second of which may come first.
fn some_personas(pace: u16) -> impl Strategy<Value = Value> {
    (about_scores(pace), about_scores(pace), any::<bool>()).prop_map(|(a, b, turned)| {
        json!([
            {"id": "p1", "name": "One", "when": a, "priority": if turned { 2 } else { 1 }},
            {"id": "p2", "name": "Two", "when": b, "priority": 1},
        ])
    })
}

/// Draws phases, some of which have a condition.
fn some_phases(pace: u16) -> impl Strategy<Value = Value> {
    let when = || prop::option::of(about_standing(pace));
    (when(), when(), when(), prop::option::weighted(0.2, about_standing(pace))).prop_map(
        |(consideration, decision, customer, awareness)| {
            let all = [&consideration, &decision, &customer, &awareness];
            if all.iter().all(|when| when.is_none()) {
                return Value::Null;
            }
            json!({
                "consideration": consideration, "decision": decision, "customer": customer,
                "awareness": awareness,
            })
        },
    )
}

/// Draws segments, each of which may ask for those before it.
fn some_segments(pace: u16) -> impl Strategy<Value = Vec<Value>> {
    let stages: Vec<&str> = Stage::WORDS.iter().map(|(word, _)| *word).collect();
    let when = prop_oneof![
        5 => about_scores(pace),
        1 => subsequence(stages, 1..4).prop_map(|stages| json!({"stage": stages})),
        1 => (0_u16..=20, 0_u16..=20).prop_map(move |(least, more)| {
            json!({"in_stage_days": {"at_least": least * pace, "at_most": (least + more) * pace}})
        }),
        1 => prop_oneof![
            Just(json!({"persona": "p1"})),
            Just(json!({"persona": ["p1", "p2"]})),
            Just(json!({"phase": ["awareness", "decision"]})),
            Just(json!({"phase": "consideration"})),
        ],
        1 => prop_oneof![
            Just(json!({"owner": {"team": "sales"}})),
            Just(json!({"owner": {"team": "marketing"}})),
            Just(json!({"owner": {"person": ["at-1", "de-1"]}})),
        ],
    ];
    prop::collection::vec((when, any::<Option<(bool, prop::sample::Index)>>()), 1..6).prop_map(|all| {
        let segment = |(n, (when, other)): (usize, (Value, Option<(bool, prop::sample::Index)>))| {
            let other = other.filter(|_| n > 0).map(|(with, at)| {
                let other = json!({"segment": format!("s{}", at.index(n))});
                if with { other } else { json!({"not": other}) }
            });
            let parts: Vec<Value> = other.into_iter().chain([when]).collect();
            json!({"id": format!("s{n}"), "when": {"all": parts}})
        };
        all.into_iter().enumerate().map(segment).collect()
    })
}

fn a_playbook(pace: u16) -> impl Strategy<Value = Value> {
    let hits = (
        prop_oneof![Just("asked"), Just("pricing"), Just("left")],
        1_u32..60,
        prop::option::weighted(0.8, (1_u16..=6).prop_map(move |days| days * pace)),
    )
        .prop_map(|(signal, hits, half_life)| {
            json!({"signal": signal, "max_hits": hits, "half_life_days": half_life})
        });
    let when = || about_facts(pace).prop_map(|condition| json!({"when": condition}));
    let parts = (
        groups("fit", when().boxed()),
        groups("engagement", prop_oneof![3 => hits, 1 => when()].boxed()),
        bands(["A", "B", "C"]),
        bands(["1", "2", "3"]),
        (some_labels(), prop::option::of(about_definitions(pace))),
        prop::option::weighted(0.3, about_facts(pace)),
        (some_personas(pace), prop::option::of(some_phases(pace)), some_segments(pace)),
    );
    parts.prop_map(|(fit, engagement, fit_bands, engagement_bands, (labels, when), lead_when, audience)| {
        let (personas, phases, segments) = audience;
        let mut document = yaml(BRISK);
        document["personas"] = personas;
        document["phases"] = json!(phases);
        document["fit"] = fit;
        document["engagement"] = engagement;
        document["bands"] = json!({"fit": fit_bands, "engagement": engagement_bands});
        document["marketing_qualified"] = json!({"labels": labels, "when": when});
        document["lead_when"] = json!(lead_when);
        document["segments"] = json!(segments);
        document
    })
}

/// Draws a playbook; in one of ten, points fade and windows end over years rather than weeks.
pub(crate) fn any_playbook() -> impl Strategy<Value = Value> {
    prop_oneof![9 => a_playbook(1), 1 => a_playbook(12)]
}
