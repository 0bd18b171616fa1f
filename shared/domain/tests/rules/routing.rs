//! Whose a lead is: territories, qualifiers and who answers for them; and pools, whose fairness is stated as properties.

use crate::case::{Play, Step, lead_id, patched, people, playbook, read, slug, time, yaml};
use domain::attribute::{Attribute, AttributeName, AttributeValue};
use domain::calendar::Calendar;
use domain::change::{Effect, Pace, assign, review};
use domain::identity::Slug;
use domain::playbook::{Member, Playbook, Territory};
use domain::promise::{People, Person};
use domain::routing::{Load, Pick, Room, Rotation, Routed, Rule, pick, qualify};
use domain::stage::Team;
use domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    playbook: Value,
    people: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    playbook: Value,
    #[serde(default)]
    people: Value,
    /// Its attributes.
    lead: BTreeMap<String, Value>,
    /// The kinds of what it did.
    #[serde(default)]
    facts: Vec<String>,
    #[serde(default)]
    loads: BTreeMap<String, Loaded>,
    company: Option<String>,
    qualify: Option<Expected>,
    #[serde(default)]
    picks: Vec<Option<Picked>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Loaded {
    open: u32,
    elsewhere_today: u32,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    to: String,
    territory: Option<String>,
    rule: String,
    #[serde(default)]
    passed: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Picked {
    To(String),
    Why {
        to: String,
        rule: String,
        #[serde(default)]
        passed: Vec<String>,
        has_company: Option<bool>,
    },
}

fn now() -> Timestamp {
    time("2026-03-02T12:00:00Z")
}

fn seen(routed: &Routed) -> Expected {
    Expected {
        to: routed.to.to_string(),
        territory: routed.territory.as_ref().map(Slug::to_string),
        rule: routed.rule.as_str().to_owned(),
        passed: routed.passed.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn everybody_gets_what_is_theirs_and_it_is_said_why() {
    let file: File = read("routing.yaml");
    assert!(file.cases.len() >= 30);
    for case in &file.cases {
        let document = patched(file.playbook.clone(), &case.playbook);
        let playbook = playbook(&document);
        let records = patched(file.people.clone(), &case.people);
        let records: BTreeMap<String, Value> = serde_json::from_value(records).unwrap();
        let people = people(&records, None);
        let mut play = Play::new(&playbook, lead_id(1));
        let step = |step: Value| serde_json::from_value::<Step>(step).unwrap();
        play.step(&step(json!({"at": "2026-03-01", "captured": {"attributes": case.lead}})));
        for kind in &case.facts {
            play.step(&step(json!({"at": "2026-03-01", "activity": kind})));
        }
        let lead = play.lead();
        let territory = playbook.territory(lead, now().day());
        if let Some(expected) = &case.qualify {
            let routed = qualify(&playbook, territory, &people, now());
            assert_eq!(seen(&routed), *expected, "{}", case.name);
        }
        assert!(case.qualify.is_some() == case.picks.is_empty(), "{}", case.name);
        let loads = case
            .loads
            .iter()
            .map(|(id, load)| (slug(id), Load { open: load.open, elsewhere_today: load.elsewhere_today }));
        let (loads, company) = (loads.collect(), case.company.as_deref().map(slug));
        let mut rotation = Rotation::default();
        for (n, expected) in case.picks.iter().enumerate() {
            let found = pick(territory.unwrap(), &rotation, &people, &loads, company.as_ref(), now());
            match (found, expected) {
                (Some(found), Some(expected)) => {
                    check(&found, expected, &format!("{} {n}", case.name));
                    // As it is stored and read again.
                    rotation = Rotation::read(&found.rotation.to_json());
                    assert_eq!(rotation, found.rotation);
                }
                (found, expected) => assert!(found.is_none() && expected.is_none(), "{} {n}", case.name),
            }
        }
    }
}

fn check(found: &Pick, expected: &Picked, what: &str) {
    match expected {
        Picked::To(to) => assert_eq!(found.routed.to.as_str(), to, "{what}"),
        Picked::Why { to, rule, passed, has_company } => {
            let expected = Expected {
                to: to.clone(),
                territory: Some("pooled".to_owned()),
                rule: rule.clone(),
                passed: passed.clone(),
            };
            assert_eq!(seen(&found.routed), expected, "{what}");
            assert!(has_company.is_none_or(|has| has == found.has_company), "{what}");
        }
    }
}

fn a_pool(weights: &[u16]) -> Territory {
    let member = |(n, weight): (usize, &u16)| json!({"person": format!("p{n}"), "weight": weight});
    let document = json!({
        "name": "Pool", "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 60, "2": 40, "3": 20}},
        "marketing_qualified": {"labels": ["A1"]}, "default_qualifier": "eu-1",
        "territories": [{"id": "pooled", "countries": ["AT"], "qualifier": "at-1",
            "pool": weights.iter().enumerate().map(member).collect::<Vec<_>>()}],
    });
    playbook(&document).territories.into_iter().next().unwrap()
}

fn person(n: usize) -> Slug {
    slug(&format!("p{n}"))
}

/// Somebody who is there, or who left.
fn somebody(there: bool) -> Person {
    let left_at = (!there).then(|| Timestamp::from_secs(0));
    Person { calendar: Calendar::default(), left_at, room: Room::default(), ..Person::default() }
}

/// Plays turns; at each, `there` says who is there. Gives who got each lead; none where nobody could.
fn played(territory: &Territory, there: &[Vec<bool>]) -> Vec<Option<usize>> {
    let mut rotation = Rotation::default();
    there
        .iter()
        .map(|there| {
            let people: People =
                there.iter().enumerate().map(|(n, there)| (person(n), somebody(*there))).collect();
            let found = pick(territory, &rotation, &people, &BTreeMap::new(), None, now())?;
            rotation = found.rotation;
            (0..there.len()).find(|n| person(*n) == found.routed.to)
        })
        .collect()
}

/// Gives the least and the most that a sum of these, over any of them in a row, comes to.
fn extremes(each: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut least, mut most, mut low, mut high) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for one in each {
        (low, high) = ((low + one).min(0.0), (high + one).max(0.0));
        (least, most) = (least.min(low), most.max(high));
    }
    (least, most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn while_the_same_people_are_there_nobody_is_a_lead_away_from_their_share(
        weights in prop::collection::vec(1_u16..13, 1..9)
    ) {
        let whole: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        let got = played(&a_pool(&weights), &vec![vec![true; weights.len()]; 3 * whole]);
        for (n, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / whole as f64;
            let ahead = |one: &Option<usize>| f64::from(u8::from(*one == Some(n))) - share;
            let mut sum = 0.0;
            for one in &got {
                sum += ahead(one);
                prop_assert!(sum.abs() < 1.0, "{n} is {sum} ahead");
            }
            let (least, most) = extremes(got.iter().map(ahead));
            prop_assert!(least > -2.0 && most < 2.0, "{n}: {least} {most}");
            for row in got.windows(whole) {
                prop_assert_eq!(row.iter().filter(|one| **one == Some(n)).count(), usize::from(*weight));
            }
        }
    }

    #[test]
    fn of_equal_weight_nobody_gets_two_more_than_somebody_else_over_any_leads_in_a_row(
        n in 2_usize..7, there in prop::collection::vec(prop::collection::vec(any::<bool>(), 6), 1..80),
        always in (0_usize..6, 1_usize..6)
    ) {
        // Two are there all the time, and the others come and go.
        let (a, b) = (always.0 % n, (always.0 + 1 + (always.1 - 1) % (n - 1)) % n);
        let there: Vec<Vec<bool>> = there
            .into_iter()
            .map(|row| (0..n).map(|one| one == a || one == b || row[one]).collect())
            .collect();
        let got = played(&a_pool(&vec![1; n]), &there);
        let step = |one: &Option<usize>| f64::from(i8::from(*one == Some(a)) - i8::from(*one == Some(b)));
        let (least, most) = extremes(got.iter().map(step));
        prop_assert!(least >= -1.0 && most <= 1.0, "{a} and {b}: {least} {most}");
    }

    #[test]
    fn who_is_not_there_gets_nothing_and_a_lead_waits_only_where_nobody_is(
        weights in prop::collection::vec(1_u16..6, 1..6),
        there in prop::collection::vec(prop::collection::vec(any::<bool>(), 6), 1..60)
    ) {
        let there: Vec<Vec<bool>> =
            there.into_iter().map(|row| row[..weights.len()].to_vec()).collect();
        for (one, there) in played(&a_pool(&weights), &there).iter().zip(&there) {
            match one {
                Some(one) => prop_assert!(there[*one]),
                None => prop_assert!(there.iter().all(|there| !there)),
            }
        }
    }

    #[test]
    fn room_for_a_day_is_never_exceeded_and_comes_back_with_the_next(
        rooms in prop::collection::vec(prop::option::of(0_u32..4), 1..5), leads in prop::collection::vec(0_u8..10, 1..80)
    ) {
        let territory = a_pool(&vec![1; rooms.len()]);
        let people: People = rooms
            .iter()
            .enumerate()
            .map(|(n, room)| (person(n), Person { room: Room { a_day: *room, open: None }, ..somebody(true) }))
            .collect();
        let (mut rotation, mut at) = (Rotation::default(), now());
        let mut got: BTreeMap<(i32, Slug), u32> = BTreeMap::new();
        for pause in leads {
            // A new day now and then.
            at = at.plus(if pause == 0 { DAY_MS } else { 1 });
            let today = |n: usize| got.get(&(at.day().0, person(n))).copied().unwrap_or(0);
            let room = rooms.iter().enumerate().any(|(n, room)| room.is_none_or(|room| today(n) < room));
            let found = pick(&territory, &rotation, &people, &BTreeMap::new(), None, at);
            prop_assert_eq!(found.is_some(), room);
            let Some(found) = found else { continue };
            rotation = Rotation::read(&found.rotation.to_json());
            let mine = got.entry((at.day().0, found.routed.to.clone())).or_default();
            *mine += 1;
            let n = (0..rooms.len()).find(|n| person(*n) == found.routed.to).unwrap();
            prop_assert!(rooms[n].is_none_or(|room| *mine <= room));
        }
    }

    #[test]
    fn there_is_always_an_owner_who_was_asked_for_or_answers_for_them(
        missing in prop::collection::vec(0_u8..4, 4), deputies in prop::collection::vec(prop::option::of(0_usize..4), 8)
    ) {
        let ids = ["at-1", "eu-1", "x", "y"];
        let person = |n: usize| {
            let other = |at: usize| deputies[at].map(|m| slug(ids[m]));
            let left_at = (missing[n] == 1).then_some(now());
            let record = if missing[n] == 2 { json!({"holidays": ["2026-03-02"]}) } else { json!({}) };
            let known = people(&[(ids[n].to_owned(), record)].into(), None).get(&slug(ids[n])).clone();
            Person { left_at, deputy: other(n), manager: other(4 + n), ..known }
        };
        let people: People = (0..4).map(|n| (slug(ids[n]), person(n))).collect();
        let document = json!({
            "name": "Pool", "bands": {"fit": {"A": 60, "B": 40, "C": 20}, "engagement": {"1": 60, "2": 40, "3": 20}},
            "marketing_qualified": {"labels": ["A1"]}, "default_qualifier": "eu-1",
            "territories": [{"id": "alps", "countries": ["AT"], "qualifier": "at-1"}],
        });
        let playbook = playbook(&document);
        let routed = qualify(&playbook, playbook.territories.first(), &people, now());
        let there = |id: &Slug| domain::routing::missing(people.get(id), now()).is_none();
        let passed: BTreeSet<&Slug> = routed.passed.iter().map(|passed| &passed.person).collect();
        prop_assert_eq!(passed.len(), routed.passed.len(), "nobody is passed over twice");
        prop_assert!(passed.iter().all(|id| !there(id)));
        prop_assert!(there(&routed.to) || routed.to.as_str() == "at-1" || routed.rule == Rule::DefaultQualifier);
        // Whoever is not there has it only where nobody else could be asked.
        if !there(&routed.to) {
            prop_assert!(passed.contains(&slug("at-1")));
        }
        if there(&slug("at-1")) {
            prop_assert_eq!((&routed.to, routed.rule), (&slug("at-1"), Rule::Qualifier));
        }
    }

    #[test]
    fn the_order_of_territories_says_nothing(turns in 0_usize..20, n in 0_usize..7, lead in 0_usize..12) {
        let file: File = read("routing.yaml");
        let mut other = file.playbook.clone();
        let list = other["territories"].as_array_mut().unwrap();
        list.rotate_left(turns % 7);
        list.swap(0, n);
        let (one, other) = (playbook(&file.playbook), playbook(&other));
        let mut play = Play::new(&one, lead_id(1));
        play.step(&serde_json::from_value(json!({"at": "2026-03-01", "captured": {}})).unwrap());
        let mut lead_of = play.lead().clone();
        let countries = ["AT", "CH", "DE", "BE", "US", "JP"];
        let mut say = |name: &str, value: &str| {
            let value = AttributeValue::Text(value.to_owned());
            let attribute = Attribute { value, set_at: now(), set_by: "test".to_owned(), known_at: None };
            lead_of.attributes.insert(AttributeName::parse(name).unwrap(), attribute);
        };
        say("country", countries[lead / 2]);
        if lead % 2 == 1 {
            say("language", "fr");
        }
        let id = |playbook: &domain::playbook::Playbook| {
            playbook.territory(&lead_of, now().day()).map(|territory| territory.id.clone())
        };
        prop_assert_eq!(id(&one), id(&other));
    }
}

#[test]
fn a_member_who_leaves_the_pool_is_forgotten_with_the_next_day() {
    let territory = a_pool(&[1, 1]);
    let people = People::default();
    let found = pick(&territory, &Rotation::default(), &people, &BTreeMap::new(), None, now()).unwrap();
    let mut smaller = territory.clone();
    smaller.pool.retain(|Member { person, .. }| *person != found.routed.to);
    let next = |rotation: &Rotation, at| {
        pick(&smaller, rotation, &people, &BTreeMap::new(), None, at).unwrap().rotation
    };
    let today = next(&found.rotation, now());
    assert_eq!(today.given_on(&found.routed.to, now().day()), 1, "another pool may still ask");
    let tomorrow = next(&today, now().plus(DAY_MS)).to_json();
    assert_eq!(tomorrow["people"].as_object().unwrap().len(), 1);
}

const POOLED: &str = "
name: Pooled
signals: [{id: asked, kind: asked}]
fit: []
engagement: [{id: e, rules: [{id: asks, points: 60, signal: asked, half_life_days: 30}]}]
bands: {fit: {A: 60, B: 40, C: 20}, engagement: {1: 60, 2: 40, 3: 20}}
marketing_qualified: {labels: [D1]}
territories: [{id: alps, countries: [AT], qualifier: at-1, pool: [{person: ann}, {person: bob}]}]
default_qualifier: eu-1
";

/// Plays a lead of Austria that sales accepted on March 2nd, and then `steps`.
fn accepted<'a>(playbook: &'a Playbook, steps: &[Value]) -> Play<'a> {
    let mut play = Play::new(playbook, lead_id(1));
    let before = [
        json!({"at": "2026-03-01", "captured": {"attributes": {"country": "AT"}, "responded": true}}),
        json!({"at": "2026-03-01T01:00:00Z", "activity": "asked"}),
        json!({"at": "2026-03-02", "sales": "accepted"}),
    ];
    for step in before.iter().chain(steps) {
        play.step(&serde_json::from_value::<Step>(step.clone()).unwrap());
    }
    play
}

#[test]
fn a_real_prospect_waits_for_its_pool_until_somebody_has_it_or_it_goes_on() {
    let playbook = playbook(&yaml(POOLED));
    let qualified = || json!({"at": "2026-03-03", "id": "q", "sales": "qualified"});
    let cases: &[(&str, bool, Vec<Value>)] = &[
        ("it was found to be one", true, vec![qualified()]),
        (
            "it did something since",
            true,
            vec![qualified(), json!({"at": "2026-03-03T01:00:00Z", "activity": "asked"})],
        ),
        ("nobody said so", false, vec![]),
        (
            "somebody was given it",
            false,
            vec![qualified(), json!({"at": "2026-03-04", "sales": {"kind": "assigned", "to": "zoe"}})],
        ),
        (
            "it was given away before",
            true,
            vec![
                json!({"at": "2026-03-02T01:00:00Z", "sales": {"kind": "assigned", "to": "zoe"}}),
                qualified(),
            ],
        ),
        (
            "that was heard of late",
            true,
            vec![
                qualified(),
                json!({"at": "2026-03-02T01:00:00Z", "arrives": "2026-03-04", "sales": {"kind": "assigned", "to": "zoe"}}),
            ],
        ),
        (
            "who was given it was a mistake, and it stays with whoever had it before",
            false,
            vec![
                qualified(),
                json!({"at": "2026-03-04", "id": "a", "sales": {"kind": "assigned", "to": "zoe"}}),
                json!({"at": "2026-03-04", "withdrawn": "a"}),
                json!({"at": "2026-03-05", "id": "q2", "sales": "qualified"}),
            ],
        ),
        ("it was a mistake", false, vec![qualified(), json!({"at": "2026-03-04", "withdrawn": "q"})]),
        ("it was given back", false, vec![qualified(), json!({"at": "2026-03-04", "sales": "not_ready"})]),
        (
            "a deal is open",
            false,
            vec![
                qualified(),
                json!({"at": "2026-03-04", "sales": {"kind": "opportunity", "deal": "crm D-1"}}),
            ],
        ),
        ("it was imported", false, vec![json!({"at": "2026-03-03", "history": true, "sales": "qualified"})]),
        (
            "it is long ago",
            false,
            vec![json!({"at": "2026-03-03", "arrives": "2026-03-20", "sales": "qualified"})],
        ),
        (
            "it is said twice",
            false,
            vec![
                qualified(),
                json!({"at": "2026-03-04", "sales": {"kind": "assigned", "to": "zoe"}}),
                json!({"at": "2026-03-05", "sales": "qualified"}),
            ],
        ),
        (
            "it moved to where there is no pool",
            false,
            vec![qualified(), json!({"at": "2026-03-04", "captured": {"attributes": {"country": "FR"}}})],
        ),
    ];
    for (what, waits, steps) in cases {
        let play = accepted(&playbook, steps);
        let lead = play.lead();
        assert_eq!(lead.to_assign.is_some(), *waits, "{what}");
        assert!(lead.person.is_some() || lead.stage.team() == Team::Marketing, "{what}");
        if *waits {
            assert!(lead.due_at.is_some_and(|due| due <= time("2026-03-20")), "{what}: it is due");
            // The playbook has no pool any more.
            let without = patched(
                yaml(POOLED),
                &json!({"territories": [{"id": "alps", "countries": ["AT"], "qualifier": "at-1"}]}),
            );
            let (without, now) = (crate::case::playbook(&without), time("2026-03-20"));
            let after = review(lead, &without, 2, None, Pace::Hold, &People::default(), now).unwrap().lead;
            assert_eq!(after.to_assign, None, "{what}");
        }
    }
}

#[test]
fn who_is_given_a_lead_has_it_and_its_timeline_says_why() {
    let playbook = playbook(&yaml(POOLED));
    let play = accepted(&playbook, &[json!({"at": "2026-03-03", "sales": "qualified"})]);
    let (lead, people, now) = (play.lead(), People::default(), time("2026-03-02T12:00:00Z"));
    let territory = playbook.territory(lead, now.day()).unwrap();
    let found = pick(territory, &Rotation::default(), &people, &BTreeMap::new(), None, now).unwrap();
    let change = assign(lead, found.routed.clone(), &playbook, &people, now);
    // Behind the fact that found it to be one, though the clock that said so was ahead.
    assert!(change.entries[0].at > time("2026-03-03"));
    assert_eq!((change.lead.person, change.lead.to_assign), (Some(slug("ann")), None));
    assert_eq!(change.expected, Some(lead.version));
    assert!(change.entries[0].effects.contains(&Effect::Routed(found.routed)));
    let events: Vec<&str> = change.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(events, ["assigned"]);
}
