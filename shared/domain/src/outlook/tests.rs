//! The nearest ways and the fading, by cases and by brute force.

use super::*;
use crate::activity::Activity;
use crate::attribute::NewAttribute;
use crate::change::{Capture, Fact, Incoming, Subject, decide};
use crate::identity::LeadId;
use crate::promise::People;
use crate::sales::{DeliveryId, Move};
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: &str = "2026-03-02T09:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn today() -> Day {
    now().day()
}

/// Caps, points below zero, windows and a definition with a condition of its own.
fn document() -> Value {
    json!({
        "name": "Outlook",
        "signals": [
            {"id": "asked", "title": "Asked", "kind": "asked"},
            {"id": "pricing", "title": "Looked at the prices", "kind": "pricing"},
            {"id": "webinar", "title": "Attended a webinar", "kind": "webinar"},
            {"id": "jobs", "title": "Looked at our vacancies", "kind": "jobs"},
            {"id": "left", "title": "Unsubscribed", "kind": "left"},
        ],
        "fit": [
            {"id": "company", "cap": 50, "rules": [
                {"id": "size", "points": 30, "when": {"attribute": "company_size", "at_least": 50, "at_most": 1000}},
                {"id": "industry", "points": 30, "when": {"attribute": "industry", "in": ["Food", "Chemicals"]}},
                {"id": "decides", "points": 50, "when": {"attribute": "job_title", "matches": "head of"}},
            ]},
            {"id": "market", "cap": 20, "rules": [
                {"id": "home", "points": 20, "when": {"attribute": "country", "equals": "AT"}},
            ]},
            {"id": "not_for_us", "cap": 0, "rules": [
                {"id": "competitor", "points": -100, "when": {"attribute": "relationship", "equals": "competitor"}},
            ]},
        ],
        "engagement": [
            {"id": "talks", "cap": 60, "rules": [
                {"id": "asks", "points": 60, "signal": "asked", "max_hits": 1, "half_life_days": 30},
            ]},
            {"id": "looks", "cap": 40, "rules": [
                {"id": "prices", "points": 10, "signal": "pricing", "max_hits": 3, "half_life_days": 14},
                {"id": "attends", "points": 25, "signal": "webinar", "max_hits": 2},
                {"id": "keen", "points": 15, "when": {"signal": "pricing", "at_least": 3, "within_days": 7}},
            ]},
            {"id": "away", "cap": 0, "rules": [
                {"id": "job_hunter", "points": -30, "signal": "jobs", "max_hits": 1},
            ]},
        ],
        "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 60, "2": 40, "3": 15}},
        "marketing_qualified": {
            "labels": ["A1", "A2", "B1"],
            "when": {"not": {"signal": "left", "at_least": 1, "within_days": 30}},
        },
        "territories": [],
        "default_qualifier": "eu-1",
    })
}

fn playbook(document: &Value) -> Playbook {
    Playbook::parse(document).unwrap()
}

fn activity(kind: &str) -> Fact {
    Fact::Activity(Activity { kind: kind.to_owned(), properties: BTreeMap::new() })
}

fn incoming(n: usize, at: Timestamp, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("test", &format!("{at} {n}"));
    Incoming { delivery, occurred_at: at, history: false, by: "test".to_owned(), strict: false, fact }
}

fn profile(attributes: &[(&str, AttributeValue)]) -> Fact {
    let attributes = attributes.iter().map(|(name, value)| {
        let value = NewAttribute { value: value.clone(), known_at: None };
        (AttributeName::parse(name).unwrap(), value)
    });
    Fact::Captured(Box::new(Capture {
        attributes: attributes.collect(),
        responded: true,
        ..Capture::default()
    }))
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

/// Lets facts arrive at a lead, so many days ago each.
fn lead(playbook: &Playbook, facts: &[(i64, Fact)]) -> Lead {
    let id = LeadId::from_bytes([1; 16]);
    let mut subject = Subject::New { id, playbook_version: 1 };
    let mut lead: Option<Lead> = None;
    for (n, (ago, fact)) in facts.iter().enumerate() {
        let at = now().plus(-ago * DAY_MS);
        let lead = lead.insert(
            decide(
                subject,
                Vec::new(),
                &[],
                &[incoming(n, at, fact.clone())],
                playbook,
                People::nobody(),
                at,
            )
            .lead,
        );
        subject = Subject::Existing(Box::new(lead.clone()));
    }
    lead.unwrap()
}

fn sentences(outlook: &Outlook) -> Vec<String> {
    match outlook {
        Outlook::Ways(ways) => ways
            .iter()
            .map(|way| way.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            .collect(),
        other => vec![format!("{} {other}", other.as_str())],
    }
}

fn ways(playbook: &Playbook, facts: &[(i64, Fact)]) -> Vec<String> {
    sentences(&ways_to_qualify(&lead(playbook, facts), playbook, today()))
}

#[test]
fn a_definition_that_asks_for_a_persona_is_met_by_what_makes_one() {
    let mut document = document();
    document["personas"] = json!([
        {"id": "olga", "name": "Olga", "when": {"attribute": "department", "equals": "plant"}},
    ]);
    document["marketing_qualified"]["when"] = json!({"persona": "olga"});
    let known =
        [("industry", text("Food")), ("company_size", AttributeValue::Number(60.0)), ("country", text("AT"))];
    let found = ways(&playbook(&document), &[(5, profile(&known)), (0, activity("asked"))]);
    assert_eq!(found, ["department becomes known as plant"]);
}

/// Takes a step by hand.
fn apply(step: &Step, lead: &mut Lead, playbook: &Playbook) {
    match step {
        Step::Does { signal, times, .. } => {
            let key = playbook.signals.iter().find(|known| known.id == *signal).unwrap().key;
            lead.ledger.add(key, today(), *times);
            if lead.counts_from.is_some() {
                lead.ledger_since.add(key, today(), *times);
            }
        }
        Step::Is { attribute, value, .. } => {
            let set_by = "test".to_owned();
            let value = Attribute { value: value.clone(), set_at: now(), set_by, known_at: None };
            assert_eq!(lead.attributes.insert(attribute.clone(), value), None);
        }
        Step::Agrees { purpose } => {
            let (status, basis) = (ConsentStatus::Confirmed, Basis::Consent);
            let fact = ConsentFact { purpose: *purpose, status, basis, text: None, source: None, at: now() };
            assert!(lead.consents.take(&fact));
        }
    }
}

/// Lists every smaller set of the same steps.
fn parts(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    for step in steps {
        let mut variants = vec![None];
        match step {
            Step::Does { signal, title, times } => variants.extend(
                (1..=*times)
                    .map(|times| Some(Step::Does { signal: signal.clone(), title: title.clone(), times })),
            ),
            other => variants.push(Some(other.clone())),
        }
        all = all
            .iter()
            .flat_map(|part: &Vec<Step>| {
                variants.iter().map(|more| part.iter().chain(more).cloned().collect())
            })
            .collect();
    }
    all.retain(|part| part != steps);
    all
}

#[test]
fn the_nearest_ways_come_first_and_none_contains_another() {
    let playbook = playbook(&document());
    let known = profile(&[("country", text("AT"))]);
    assert_eq!(
        ways(&playbook, &[(0, known.clone()), (0, activity("asked"))]),
        ["company_size becomes known as 50 to 1000", "industry becomes known as Food or Chemicals"],
        "with 20 for the market either makes B1 of C1"
    );
    let outlook = ways(&playbook, &[(0, known), (0, activity("webinar"))]);
    assert_eq!(
        outlook,
        [
            "Asked, once more; company_size becomes known as 50 to 1000",
            "Asked, once more; industry becomes known as Food or Chemicals",
            "Attended a webinar, once more; company_size becomes known as 50 to 1000; industry becomes known as Food or Chemicals",
            "Looked at the prices, 2 times more; company_size becomes known as 50 to 1000; industry becomes known as Food or Chemicals",
        ]
        .map(|way| way.to_owned())
    );
}

#[test]
fn caps_and_points_below_zero_count() {
    let mut document = document();
    let known = [profile(&[("country", text("AT")), ("company_size", AttributeValue::Number(80.0))])];
    let known = known.map(|fact| (0, fact));
    let open = ways(&playbook(&document), &known);
    assert_eq!(open[0], "Asked, once more");
    assert!(!open.iter().any(|way| way.contains("vacancies") || way.contains("Unsubscribed")), "{open:?}");
    // What takes points has to be made up for.
    let hunter = [known[0].clone(), (0, activity("jobs"))];
    let open = ways(&playbook(&document), &hunter);
    assert_eq!(open[0], "Asked, once more; Attended a webinar, 2 times more");
    // With 50 at most for talking, asking is no longer enough.
    document["engagement"][0]["cap"] = json!(50);
    let capped = ways(&playbook(&document), &known);
    assert_eq!(capped[0], "Asked, once more; Looked at the prices, once more");
}

#[test]
fn the_condition_of_the_definition_counts() {
    let mut document = document();
    let facts = [
        (0, profile(&[("country", text("AT")), ("company_size", AttributeValue::Number(80.0))])),
        (0, activity("asked")),
    ];
    assert_eq!(
        ways(&playbook(&document), &facts)[0],
        "elsewhere is with sales, in the stage marketing_qualified"
    );
    let when = |document: &mut Value, when: Value| document["marketing_qualified"]["when"] = when;
    when(&mut document, json!({"signal": "webinar", "at_least": 2}));
    assert_eq!(ways(&playbook(&document), &facts), ["Attended a webinar, 2 times more"]);
    when(&mut document, json!({"consent": "marketing"}));
    assert_eq!(ways(&playbook(&document), &facts), ["agrees to marketing"]);
    when(&mut document, json!({"not": {"attribute": "relationship", "in": ["competitor", "supplier"]}}));
    assert_eq!(
        ways(&playbook(&document), &facts),
        ["relationship becomes known as anything but competitor or supplier"]
    );
    when(&mut document, json!({"attribute": "email_note", "matches": "yes"}));
    assert_eq!(
        ways(&playbook(&document), &facts),
        ["out_of_reach would need more than a few steps that can be named"]
    );
    // Whoever unsubscribed waits for the window to run out.
    when(&mut document, json!({"not": {"signal": "left", "at_least": 1, "within_days": 30}}));
    let left = [facts[0].clone(), (3, activity("left"))];
    assert_eq!(
        ways_to_qualify(&lead(&playbook(&document), &left), &playbook(&document), today()),
        Outlook::OutOfReach
    );
}

#[test]
fn a_known_value_is_not_proposed_to_change() {
    let playbook = playbook(&document());
    let known = profile(&[("country", text("DE")), ("industry", text("Retail"))]);
    let open = ways(&playbook, &[(0, known), (0, activity("asked"))]);
    assert_eq!(open, ["out_of_reach would need more than a few steps that can be named"]);
}

#[test]
fn for_a_lead_that_sales_gave_back_only_what_it_does_then_counts() {
    let playbook = playbook(&document());
    let sales = |what| Fact::Sales { what, by: None, note: None };
    let known = profile(&[("country", text("AT")), ("company_size", AttributeValue::Number(80.0))]);
    let back = [
        (20, known),
        (20, activity("asked")),
        (10, sales(Move::NotReady { reason: None, not_before: None })),
    ];
    assert_eq!(ways(&playbook, &back)[0], "Asked, once more");
    let asked_again = [back.as_slice(), &[(0, activity("asked"))]].concat();
    assert_eq!(ways(&playbook, &asked_again), ["elsewhere is with sales, in the stage marketing_qualified"]);
    let until = now().plus(5 * DAY_MS);
    let rests = sales(Move::NotReady { reason: None, not_before: Some(until) });
    let resting = [back[0].clone(), back[1].clone(), (10, rests)];
    let outlook = ways_to_qualify(&lead(&playbook, &resting), &playbook, today());
    assert_eq!(outlook, Outlook::Resting(until.day()));
}

#[test]
fn whoever_is_not_in_marketings_funnel_has_no_ways() {
    let playbook = playbook(&document());
    let Fact::Captured(mut known) = profile(&[("country", text("AT"))]) else { unreachable!() };
    known.responded = false;
    let outlook = ways_to_qualify(&lead(&playbook, &[(0, Fact::Captured(known))]), &playbook, today());
    assert_eq!(outlook, Outlook::Elsewhere(Stage::Contact));
    let mut known = lead(&playbook, &[(0, profile(&[("country", text("AT"))]))]);
    known.attributes.insert(
        AttributeName::parse("company_size").unwrap(),
        Attribute {
            value: AttributeValue::Number(80.0),
            set_at: now(),
            set_by: String::new(),
            known_at: None,
        },
    );
    known.ledger.add(playbook.signals[0].key, today(), 1);
    assert_eq!(ways_to_qualify(&known, &playbook, today()), Outlook::Ready);
}

#[test]
fn a_way_that_is_gone_hands_the_lead_off() {
    let playbook = playbook(&document());
    let facts = [(0, profile(&[("country", text("AT"))])), (0, activity("webinar"))];
    let Outlook::Ways(ways) = ways_to_qualify(&lead(&playbook, &facts), &playbook, today()) else {
        panic!("there are ways")
    };
    for way in &ways {
        let mut facts = facts.to_vec();
        for step in &way.steps {
            match step {
                Step::Does { signal, times, .. } => {
                    facts.extend((0..*times).map(|_| (0, activity(signal.as_str()))));
                }
                Step::Is { attribute, value, .. } => {
                    facts.push((0, profile(&[(attribute.as_str(), value.clone())])));
                }
                Step::Agrees { .. } => {}
            }
        }
        let before = lead(&playbook, &facts[..facts.len() - 1]);
        let after = lead(&playbook, &facts);
        assert_eq!((before.stage, after.stage), (Stage::Inquiry, Stage::MarketingQualified), "{way:?}");
    }
}

#[test]
fn a_value_is_found_for_each_test_but_an_expression() {
    let name = AttributeName::parse("country").unwrap();
    let number = AttributeValue::Number;
    let range = |least, most| Test::Range { least, most };
    let cases = [
        (Test::OneOf(vec![text("AT"), text("BE"), text("CH")]), true, Some((text("AT"), "AT, BE or CH"))),
        (Test::OneOf(vec![text("AT")]), false, Some((text("other"), "anything but AT"))),
        (
            Test::OneOf(vec![AttributeValue::Flag(true)]),
            false,
            Some((AttributeValue::Flag(false), "anything but true")),
        ),
        (Test::OneOf(vec![number(1.0), number(4.0)]), false, Some((number(5.0), "anything but 1 or 4"))),
        (range(Some(50.0), None), true, Some((number(50.0), "at least 50"))),
        (range(None, Some(9.0)), true, Some((number(9.0), "at most 9"))),
        (range(Some(1.0), Some(9.0)), false, Some((number(10.0), "less than 1 or more than 9"))),
        (range(Some(1.0), None), false, Some((number(0.0), "less than 1"))),
        (range(None, Some(1.0)), false, Some((number(2.0), "more than 1"))),
        (Test::Exists(true), true, Some((text("any"), ""))),
        (Test::Exists(false), false, Some((text("any"), ""))),
        (Test::Exists(false), true, None),
        (Test::StartsWith("Head".to_owned()), true, Some((text("Head"), "starting with \"Head\""))),
        (Test::Contains("chief".to_owned()), true, Some((text("chief"), "containing \"chief\""))),
        (Test::Contains("the".to_owned()), false, None),
        (Test::Matches(regex_lite::Regex::new("x").unwrap()), true, None),
        (Test::Matches(regex_lite::Regex::new("x").unwrap()), false, Some((text("other"), "not matching x"))),
    ];
    for (test, holds, expected) in cases {
        let value = value_for(&test, holds, &name);
        let found = value.map(|value| (in_words(&value, [(&test, holds)].into_iter()), value));
        assert_eq!(found, expected.map(|(value, words)| (words.to_owned(), value)), "{test:?} {holds}");
    }
}

#[test]
fn the_words_say_all_that_the_value_passes() {
    let one_of = |values: &[&str]| Test::OneOf(values.iter().map(|value| text(value)).collect());
    let range = |least, most| Test::Range { least, most };
    let words = |value: AttributeValue, tests: &[(Test, bool)]| {
        in_words(&value, tests.iter().map(|(test, holds)| (test, *holds)))
    };
    let countries =
        [(one_of(&["AT", "DE", "FR"]), true), (one_of(&["DE", "FR"]), true), (one_of(&["FR"]), false)];
    assert_eq!(words(text("DE"), &countries), "DE");
    assert_eq!(words(text("AT"), &countries), "AT or DE");
    let sizes = [
        (range(Some(10.0), None), true),
        (range(Some(50.0), Some(1000.0)), true),
        (range(None, Some(9.0)), false),
        (range(Some(600.0), None), false),
    ];
    assert_eq!(words(AttributeValue::Number(50.0), &sizes), "50 to 1000 and less than 600");
    assert_eq!(words(AttributeValue::Number(10.0), &sizes), "at least 10 and less than 600");
    let kinds = [(one_of(&["competitor"]), false), (one_of(&["supplier", "Competitor"]), false)];
    assert_eq!(words(text("other"), &kinds), "anything but competitor or supplier");
}

#[test]
fn points_fade_with_their_half_life_and_with_their_window() {
    let playbook = playbook(&document());
    let facts = [
        (0, profile(&[("country", text("AT"))])),
        (30, activity("asked")),
        (2, activity("pricing")),
        (1, activity("pricing")),
        (0, activity("pricing")),
        (0, activity("webinar")),
    ];
    let in_days = |fading: &Fading| {
        let days = |day: Option<Day>| day.map(|day| day.0 - today().0);
        (days(fading.half_on), days(fading.gone_on))
    };
    let found = fading(&lead(&playbook, &facts), &playbook, today());
    let found: Vec<_> = found.iter().map(|(rule, fading)| (rule.as_str(), in_days(fading))).collect();
    // 60 points 30 days old are 30 now and 15 in 30 days; below half a point they are nothing: 60 / 2^(207/30).
    // The third look falls out of its week on day 5.
    assert_eq!(
        found,
        [
            ("home", (None, None)),
            ("asks", (Some(30), Some(178))),
            ("prices", (Some(14), Some(82))),
            ("attends", (None, None)),
            ("keen", (Some(5), Some(5))),
        ]
    );
}

#[test]
fn points_that_hang_on_a_date_fade_on_its_day_and_are_won_back_by_a_signal_that_is_seen_again() {
    let mut document = document();
    let renews = json!({"id": "renews", "points": 20, "when": {"attribute": "ends", "within_next_days": 30}});
    document["fit"] = json!([{"id": "contract", "rules": [renews]}]);
    let back = json!({"id": "back", "points": 100, "when": {"signal": "asked", "last_seen": {"within_last_days": 7}}});
    document["engagement"] = json!([{"id": "interest", "rules": [back]}]);
    let known = json!({"attribute": "ends", "exists": true});
    document["marketing_qualified"] = json!({"labels": ["A1", "B1", "C1", "D1"], "when": known});
    let playbook = playbook(&document);
    let facts = [(30, activity("asked")), (0, profile(&[("ends", text("2026-03-05"))]))];
    let lead = lead(&playbook, &facts);
    let gone = Fading { half_on: Some(today().plus(4)), gone_on: Some(today().plus(4)) };
    assert_eq!(fading(&lead, &playbook, today()), [(Slug::parse("renews").unwrap(), gone)]);
    assert_eq!(sentences(&ways_to_qualify(&lead, &playbook, today())), ["Asked, once more"]);
}

/// What a lead is drawn from: hits by signal and days ago, values, the days since sales gave it back.
type Drawn = (Vec<(usize, i32, u32)>, [Option<AttributeValue>; 4], Option<i32>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let value = |values: &'static [&'static str]| {
        prop::option::weighted(0.4, prop::sample::select(values).prop_map(text))
    };
    let size = prop::option::weighted(0.4, prop::sample::select(vec![5.0, 80.0, 4_000.0]));
    let values = (value(&["AT", "DE"]), value(&["Food", "Retail"]), value(&["competitor", "customer"]), size);
    let values = values.prop_map(|(country, industry, relationship, size)| {
        [country, industry, relationship, size.map(AttributeValue::Number)]
    });
    let hits = prop::collection::vec((0_usize..5, 0_i32..60, 1_u32..4), 0..6);
    (hits, values, prop::option::weighted(0.3, 0_i32..40))
}

fn drawn_lead((hits, values, back): &Drawn, playbook: &Playbook) -> Lead {
    let mut lead = lead(playbook, &[(60, profile(&[]))]);
    lead.stage = Stage::Nurturing;
    for (signal, ago, n) in hits {
        let (key, day) = (playbook.signals[*signal].key, today().plus(-ago));
        lead.ledger.add(key, day, *n);
        if back.is_some_and(|back| *ago < back) {
            lead.ledger_since.add(key, day, *n);
        }
    }
    lead.counts_from = back.map(|ago| today().plus(-ago).start());
    for (name, value) in ["country", "industry", "relationship", "company_size"].iter().zip(values) {
        if let Some(value) = value.clone() {
            let value = Attribute { value, set_at: now(), set_by: String::new(), known_at: None };
            lead.attributes.insert(AttributeName::parse(name).unwrap(), value);
        }
    }
    lead
}

fn drawn_playbook() -> impl Strategy<Value = Playbook> {
    let when = prop::sample::select(vec![
        json!({"not": {"signal": "left", "at_least": 1, "within_days": 30}}),
        json!({"signal": "webinar", "at_most": 2}),
        json!({"all": [{"consent": "marketing"}, {"attribute": "country", "exists": true}]}),
        json!({"any": [{"attribute": "industry", "equals": "Chemicals"}, {"engagement": {"at_least": 75}}]}),
        json!({"not": {"attribute": "relationship", "equals": "competitor"}}),
    ]);
    let points = prop::collection::vec(-40_i64..80, 4);
    let caps = prop::collection::vec(prop::option::of(20_u8..100), 2);
    (when, points, caps).prop_map(|(when, points, caps)| {
        let mut document = document();
        document["marketing_qualified"]["when"] = when;
        for (n, points) in points.iter().enumerate() {
            document["engagement"][usize::from(n > 0)]["rules"][n.saturating_sub(1)]["points"] =
                json!(points);
        }
        for (n, cap) in caps.iter().enumerate() {
            document["engagement"][n]["cap"] = json!(cap);
        }
        playbook(&document)
    })
}

fn ready_after(steps: &[Step], lead: &Lead, playbook: &Playbook) -> bool {
    let mut lead = lead.clone();
    steps.iter().for_each(|step| apply(step, &mut lead, playbook));
    is_ready(&lead, playbook, today())
}

/// Tells whether a way takes nothing that the steps do not have.
fn within(way: &Way, steps: &[Step]) -> bool {
    way.steps.iter().all(|needed| {
        steps.iter().any(|step| match (needed, step) {
            (Step::Does { signal, times, .. }, Step::Does { signal: other, times: t, .. }) => {
                signal == other && times <= t
            }
            (needed, step) => needed == step,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_way_makes_the_lead_ready_and_no_part_of_it_does(drawn in drawn(), playbook in drawn_playbook()) {
        let lead = drawn_lead(&drawn, &playbook);
        let outlook = ways_to_qualify(&lead, &playbook, today());
        prop_assert_eq!(outlook == Outlook::Ready, is_ready(&lead, &playbook, today()));
        let Outlook::Ways(ways) = &outlook else { return Ok(()) };
        prop_assert!((1..=MOST_WAYS).contains(&ways.len()));
        for way in ways {
            prop_assert!(ready_after(&way.steps, &lead, &playbook), "{:?}", way);
            for part in parts(&way.steps) {
                prop_assert!(!ready_after(&part, &lead, &playbook), "{:?} of {:?}", part, way);
            }
        }
        prop_assert!(ways.is_sorted_by_key(|way| way.steps.len()));
    }

    #[test]
    fn no_near_way_is_overlooked(drawn in drawn(), playbook in drawn_playbook()) {
        let lead = drawn_lead(&drawn, &playbook);
        let ways = match ways_to_qualify(&lead, &playbook, today()) {
            Outlook::Ways(ways) => ways,
            Outlook::OutOfReach => Vec::new(),
            _ => return Ok(()),
        };
        prop_assume!(ways.len() < MOST_WAYS);
        let does = |at: usize, times: u32| Step::Does {
            signal: playbook.signals[at].id.clone(),
            title: playbook.signals[at].title.clone(),
            times,
        };
        for a in 0..5 {
            for b in a..5 {
                for (m, n) in [(1, 1), (1, 2), (2, 1), (3, 1), (3, 3)] {
                    let steps = if a == b { vec![does(a, m)] } else { vec![does(a, m), does(b, n)] };
                    if ready_after(&steps, &lead, &playbook) {
                        prop_assert!(ways.iter().any(|way| within(way, &steps)), "{:?} not in {:?}", steps, ways);
                    }
                }
            }
        }
    }

    #[test]
    fn fading_dates_are_those_of_the_formula(drawn in drawn(), playbook in drawn_playbook()) {
        let lead = drawn_lead(&drawn, &playbook);
        let found: BTreeMap<Slug, Fading> = fading(&lead, &playbook, today()).into_iter().collect();
        for rule in playbook.engagement.iter().flat_map(|group| &group.rules) {
            let points = |ahead: i32| {
                let day = today().plus(ahead);
                match &rule.how {
                    How::When(condition) => {
                        f64::from(rule.points) * f64::from(u8::from(condition.met(&lead.view(day))))
                    }
                    How::PerHit { key, max_hits, half_life, .. } => {
                        let days = lead.ledger.get(*key).map(|counts| counts.days.to_vec());
                        let mut hits: Vec<i32> = days.unwrap_or_default().iter()
                            .flat_map(|(hit, n)| (0..*n).map(|_| day.0 - hit.0))
                            .collect();
                        hits.sort_unstable();
                        hits.truncate(*max_hits as usize);
                        let left = |age: &i32| half_life.as_ref().map_or(1.0, |half_life| {
                            (-f64::from(*age) / f64::from(half_life.days())).exp2()
                        });
                        f64::from(rule.points) * hits.iter().map(left).sum::<f64>()
                    }
                }.abs()
            };
            let today = points(0);
            let Some(fading) = found.get(&rule.id) else {
                prop_assert!(today < 0.51, "{} gives {today}", rule.id);
                continue;
            };
            for (on, limit) in [(fading.half_on, today / 2.0), (fading.gone_on, 0.5)] {
                let on = on.map_or(LOOK_AHEAD_DAYS + 1, |on| on.0 - self::today().0);
                for ahead in 1..on {
                    prop_assert!(points(ahead) > limit - 0.01, "{} in {ahead} days", rule.id);
                }
                // Where less than a point is left, it is gone before it is halved.
                let most = if fading.half_on == fading.gone_on { 0.51 } else { limit + 0.01 };
                prop_assert!(on > LOOK_AHEAD_DAYS || points(on) < most, "{} in {on} days", rule.id);
            }
        }
    }
}
