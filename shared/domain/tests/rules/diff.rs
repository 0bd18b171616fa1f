//! What changed between two playbooks: as cases, and as properties of changes that nobody chose.
//!
//! The properties hold the words to the reader: two documents read into the same playbook exactly where nothing is
//! said to have changed.

use crate::case::{patched, playbook, read, yaml};
use crate::starter::document;
use domain::playbook::Playbook;
use domain::playbook::diff::{Agree, diff, in_words, needs_sales};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::LazyLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differing {
    #[serde(rename = "about")]
    _about: String,
    /// The playbook before, in all cases.
    playbook: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What the playbook before has otherwise, as a merge patch.
    #[serde(default)]
    from: Value,
    /// What the playbook after has otherwise than the one before.
    #[serde(default)]
    to: Value,
    /// Who agrees, the section, the subject, and the words.
    expect: Vec<(String, String, Option<String>, String)>,
}

#[test]
fn what_changed_is_said_as_people_would_say_it_and_who_has_to_agree() {
    let file: Differing = read("diff.yaml");
    let mut wrong = Vec::new();
    for case in &file.cases {
        let from = patched(file.playbook.clone(), &case.from);
        let to = patched(from.clone(), &case.to);
        playbook(&from);
        playbook(&to);
        let differences = diff(&from, &to);
        let both = differences.iter().any(|difference| difference.agree == Agree::Both);
        assert_eq!(needs_sales(&differences), both, "{}", case.name);
        let found: Vec<_> = differences
            .into_iter()
            .map(|d| (d.agree.as_str().to_owned(), d.section, d.subject, d.text))
            .collect();
        if found != case.expect {
            let lines: Vec<String> = found.iter().map(|line| format!("      - {}", json!(line))).collect();
            wrong.push(format!("{}\n{}", case.name, lines.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    #[serde(rename = "about")]
    _about: String,
    /// The playbook that gives the titles.
    playbook: Value,
    /// Conditions, each with its sentence.
    cases: Vec<(Value, String)>,
}

#[test]
fn a_condition_reads_as_a_sentence() {
    let file: Sentences = read("words.yaml");
    let mut wrong = Vec::new();
    for (condition, sentence) in &file.cases {
        let mut document = file.playbook.clone();
        let segments = document["segments"].as_array_mut().unwrap();
        segments.push(json!({"id": "asked", "when": condition}));
        playbook(&document);
        let found = in_words(condition, &file.playbook);
        if found != *sentence {
            wrong.push(format!("  - [{condition}, {}]", json!(found)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_first_playbook_is_new_in_each_section_and_needs_both() {
    let to = document();
    for from in [Value::Null, json!({})] {
        let differences = diff(&from, &to);
        assert_eq!(differences.len(), to.as_object().unwrap().len());
        assert!(differences.iter().all(|d| d.agree == Agree::Both && d.text == "everything is new"));
    }
}

#[test]
fn sections_of_marketing_s_own_that_are_yet_to_come_need_marketing_alone_and_unknown_ones_both() {
    let from = document();
    for (section, agree) in [("content", Agree::Marketing), ("prices", Agree::Both)] {
        let to = patched(from.clone(), &json!({section: [{"id": "a"}]}));
        for (from, to) in [(&from, &to), (&to, &from)] {
            let differences = diff(from, to);
            assert_eq!(differences.len(), 1, "{differences:?}");
            assert_eq!((differences[0].agree, differences[0].section.as_str()), (agree, section));
        }
    }
}

#[test]
fn a_field_that_has_no_words_yet_has_changed_all_the_same() {
    let from = document();
    let mut found = 0;
    for (pointer, value) in places(&from) {
        if value.is_object() {
            let mut to = from.clone();
            let object = to.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            object.insert("zzz".to_owned(), json!("new"));
            let differences = diff(&from, &to);
            assert!(!differences.is_empty(), "{pointer}");
            assert_eq!(needs_sales(&differences), !is_marketings(&pointer), "{pointer}");
            found += 1;
        }
    }
    assert!(found > 100, "{found} objects");
}

/// Tells whether a place lies in a section to which marketing agrees alone.
fn is_marketings(pointer: &str) -> bool {
    ["/segments", "/exports", "/personas", "/phases", "/topics", "/nurture", "/programs"]
        .iter()
        .any(|section| pointer.starts_with(section))
}

/// Gives every value of a document with its pointer.
pub(crate) fn places(document: &Value) -> Vec<(String, Value)> {
    let mut found = vec![(String::new(), document.clone())];
    let inside: Vec<(String, &Value)> = match document {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (format!("/{}", key.replace('~', "~0").replace('/', "~1")), value))
            .collect(),
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (format!("/{n}"), value)).collect(),
        _ => Vec::new(),
    };
    for (head, value) in inside {
        found.extend(places(value).into_iter().map(|(tail, value)| (format!("{head}{tail}"), value)));
    }
    found
}

/// The starter with every word of the condition language, so that a mutation can meet each.
fn rich() -> Value {
    let mut document = document();
    let more = yaml(
        "
- {id: r1, when: {all: [{fit: {at_least: 20, at_most: 80}}, {engagement: {at_most: 50}}, {label: B2}]}}
- {id: r2, when: {any: [{attribute: budget, at_least: 10.5, at_most: 99}, {attribute: budget, exists: false}]}}
- {id: r3, when: {not: {signal: pricing_viewed, exactly: 2, within_days: 30}}}
- {id: r4, when: {signal: product_viewed, at_least: 1, at_most: 4}}
- {id: r5, when: {source: campaign, touch: last, starts_with: spring}}
- {id: r6, when: {source: channel, in: [paid, organic]}}
- {id: r7, when: {consent: tracking, status: [pending, withdrawn]}}
- {id: r8, when: {attribute: job_title, contains: head}}
- {id: r9, when: {all: [{attribute: vip, equals: true}, {segment: r8}, {stage: customer}]}}
- {id: r10, when: {any: [{attribute: born, after: 1990-01-31, before: 2001-02-01}, {attribute: born, on: 2000-02-29}]}}
- {id: r11, when: {any: [{attribute: born, within_last_days: 30}, {attribute: born, older_than_days: 6574}]}}
- {id: r12, when: {any: [{attribute: born, within_next_days: 30}, {attribute: born, anniversary_within_days: 7}]}}
- {id: r13, when: {any: [{attribute: country, equals_attribute: site}, {attribute: born, before_attribute: page}]}}
- {id: r14, when: {all: [{attribute: born, after_attribute: page}, {country: [AT, FR]}, {region: [alps, nordics]}]}}
- {id: r15, when: {all: [{signal: pricing_viewed, never: true}, {sample: {percent: 10, of: page}}]}}
- {id: r16, when: {signal: pricing_viewed, first_seen: {after: 2026-01-31}}}
- {id: r17, when: {signal: pricing_viewed, last_seen: {older_than_days: 30}}}
- {id: r18, when: {all: [{in_stage_days: {at_least: 7, at_most: 30}}, {owner: {team: sales}}]}}
- {id: r20, when: {any: [{persona: [olga, nils]}, {phase: [decision, customer]}, {not: {phase: awareness}}]}}
- {id: r19, when: {any: [{owner: {person: [at-1, de-1]}}, {in_stage_days: {at_least: 90}}, {region: alps}]}}
",
    );
    document["segments"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    let signals = document["signals"].as_array_mut().unwrap();
    let demo =
        "{id: demo, kind: [demo_booked, demo_attended], where: {minutes: {at_least: 10}, live: true, p: x}}";
    signals.push(yaml(demo));
    let facts =
        "{all: [{any: [{consent: marketing}, {signal: demo}]}, {not: {source: channel, equals: paid}}]}";
    document["fit"][0]["rules"][0]["when"] = yaml(facts);
    let score = "{all: [{any: [{fit: {at_least: 20}}, {label: A1}, {engagement: {at_least: 5}}]}, {not: {persona: nils}}]}";
    document["marketing_qualified"]["when"] = yaml(score);
    document["personas"] = yaml(
        "
- id: olga
  name: Olga, who runs the plant
  portrait: Comes in at six.
  history: [{id: came_up, text: Came up from the floor, basis: evidence}]
  goals: [{id: uptime, text: No stop longer than an hour}]
  pains: [{id: paper, text: Everything is on paper, basis: speculation}]
  motivations: [{id: pride, text: Is proud of her people}]
  concerns: [{id: it, text: Fears the project with IT}]
  objections: [{id: price, text: Too dear for one plant}]
  channels: [phone, email]
  when: {all: [{any: [{attribute: job_title, contains: plant}, {fit: {at_least: 60}}]}, {not: {label: D4}}]}
  priority: 7
- {id: nils, name: Nils, when: {engagement: {at_least: 10}}}
",
    );
    document["phases"] = yaml(
        "
awareness: {not: {stage: disqualified}}
consideration: {signal: product_viewed}
decision: {all: [{any: [{persona: [olga, nils]}, {in_stage_days: {at_most: 9}}]}, {not: {owner: {team: sales}}}]}
customer: {stage: customer}
",
    );
    document["reasons"] = yaml(
        "
rejected: [{id: wrong_size, title: Wrong size}, {id: rival, then: disqualify}]
not_ready: [{id: budget}, {id: later, title: Next year}]
lost: [{id: later, then: nurture}, {id: closed, title: Closed down, then: disqualify}]
disqualified: [{id: student}]
",
    );
    document["topics"] = yaml("[{id: pricing, title: Prices, keywords: [price, Cost]}, {id: safety}]");
    document["promises"] = yaml(
        "
first_answer_hours: 8
due_soon_percent: 30
working_hours:
  monday: 09:00-17:00
  tuesday: [13:00-17:00, 08:00-12:00]
  wednesday: 09:00-17:00
  thursday: 09:00-17:00
  friday: [22:00-06:00]
  saturday: 12:00-24:00
  sunday: 10:00-11:00
follow_up: {tries: 3, before: [budget, later]}
marketing:
  - {leads_a_week: 40}
  - {territory: british_isles, timezone: Asia/Kolkata, leads_a_week: 5, accepted_percent: 60}
",
    );
    let more = yaml(
        "
- {id: polar, priority: 60, regions: [nordics], countries: [FI], qualifier: eu-1, pool: [{person: at-1}, {person: de-1, weight: 3}]}
- {id: keen, languages: [de, fr], when: {any: [{persona: olga}, {attribute: employees, at_least: 9}]}, qualifier: eu-1}
",
    );
    document["territories"].as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    let form = &mut document["forms"][0];
    form["page_activities"] = json!(["page_viewed", "video_played"]);
    document["consent"]["single_opt_in"] = json!(["GB", "IE"]);
    document["consent"]["soft_opt_in"] = json!(["AT", "DE"]);
    document["machines"] = json!({ "withhold": ["head", "too_soon", "many_links"] });
    // One column only: the order of columns is the file's, so it says something.
    document["exports"] = yaml(
        "
- {id: e1, title: One, segment: r1, format: csv, purpose: marketing, columns: [email], since: last, every: day, at: '05:00'}
- {id: e2, segment: r2, preset: meta_custom_audiences, every: week, weekday: friday, at: '23:59'}
",
    );
    document["nurture"] = yaml(
        "
postal_address: Company GmbH, Hauptstraße 1, 1010 Wien
reply_to: hello@company.example
site: https://www.company.example
hours: {monday: 08:00-18:00, tuesday: [13:00-17:00, 08:00-12:00], friday: 08:00-12:00}
holidays: [2026-12-25, 2026-12-26]
most_per_week: 3
track_opens: always
track_clicks: never
sunset: {after_mails: 6, template: still_there, wait_days: 10}
",
    );
    document["programs"] = yaml(
        "
- id: warm_up
  title: Warm up
  priority: 40
  for: marketing
  audience: {any: [{stage: [inquiry, nurturing]}, {persona: olga}]}
  given_back_for: [budget, later]
  goal: {engagement: {at_least: 60}}
  exit: {all: [{stage: customer}, {segment: r1}]}
  content: [first-paper]
  template: newsletter
  first_after_days: 2
  gap_days: 5
  hours: {tuesday: 10:00-12:00}
  again_after_days: 90
  exhausted: move_on
  holdout_percent: 20
- {id: owners, for: customer, audience: {stage: customer}}
",
    );
    document["regions"] =
        yaml("[{id: alps, title: The Alps, countries: [AT, CH]}, {id: nordics, countries: [Denmark, SE]}]");
    document
}

/// A document with every place in it, and what the reader makes of it.
pub(crate) struct Rich {
    pub(crate) document: Value,
    pub(crate) places: Vec<(String, Value)>,
    meaning: Option<String>,
}

pub(crate) static RICH: LazyLock<Rich> = LazyLock::new(|| {
    let document = rich();
    let (places, meaning) = (places(&document), meaning(&document));
    assert!(meaning.is_some());
    Rich { document, places, meaning }
});

/// Another value in the place of one, the `n`-th of those that come to mind.
pub(crate) fn other(value: &Value, n: usize) -> Value {
    let texts = ["AT", "country", "customer", "A4", "phone", "pricing_viewed", "page", "FR", "last", "email"];
    match value {
        Value::Number(number) => {
            let by = [1.0, -1.0, 7.0, -7.0, 0.5][n % 5];
            domain::attribute::number_to_json(number.as_f64().unwrap() + by)
        }
        Value::Bool(flag) => json!(!flag),
        Value::String(text) => match n % 4 {
            // No country has a code of another one with a Q.
            0 => json!(format!("{text}q")),
            1 => json!(text.chars().skip(1).collect::<String>()),
            2 => json!(text.to_uppercase()),
            _ => json!(texts[n / 4 % texts.len()]),
        },
        Value::Array(list) => {
            let mut list = list.clone();
            if !list.is_empty() {
                let at = n % list.len();
                if n.is_multiple_of(3) {
                    list.remove(at);
                } else {
                    // A value that stands there already says nothing more.
                    let more = other(&list[at], n / 3);
                    list.extend((!list.contains(&more)).then_some(more));
                }
            }
            Value::Array(list)
        }
        Value::Object(map) => {
            let mut map = map.clone();
            let key = map.keys().nth(n % map.len().max(1)).cloned();
            if let Some(key) = key {
                let value = map.remove(&key);
                if n.is_multiple_of(2) {
                    map.insert(format!("{key}x"), value.unwrap());
                }
            }
            Value::Object(map)
        }
        Value::Null => json!("something"),
    }
}

/// What the reader makes of a document. The order of what has an id says nothing, nor does that of `in`'s values.
fn meaning(document: &Value) -> Option<String> {
    let mut playbook = Playbook::parse(document).ok()?;
    playbook.segments.sort_by(|a, b| a.id.cmp(&b.id));
    Some(format!("{playbook:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        max_global_rejects: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_change_of_meaning_is_said_and_nothing_else(at in any::<prop::sample::Index>(), n in 0_usize..1_000) {
        let Rich { document: from, places, meaning: known } = &*RICH;
        let (pointer, value) = &places[at.index(places.len())];
        let mut to = from.clone();
        *to.pointer_mut(pointer).unwrap() = other(value, n);
        let read = meaning(&to);
        prop_assume!(read.is_some());
        let differences = diff(from, &to);
        let same = *known == read;
        prop_assert_eq!(differences.is_empty(), same, "{} {:?}", pointer, differences);
        prop_assert_eq!(diff(&to, from).is_empty(), same);
        for difference in &differences {
            let own = pointer.is_empty() || pointer.starts_with(&format!("/{}", difference.section));
            prop_assert!(own, "{pointer}: {difference:?}");
            // Who mirrors a persona decides here who is ready; the rest of a persona does not.
            let mirrors = pointer.ends_with("/priority") || pointer.contains("/when");
            let whole = pointer.matches('/').count() <= 2 || pointer.ends_with("/id");
            let both = difference.section == "personas" && (mirrors || whole);
            let alone = is_marketings(&format!("/{}", difference.section));
            prop_assert!(both || (difference.agree == Agree::Marketing) == alone, "{pointer}");
            prop_assert!(!(alone && mirrors && both) || difference.agree == Agree::Both, "{pointer}");
        }
    }

    #[test]
    fn order_that_says_nothing_is_no_difference(turns in prop::collection::vec(0_usize..20, 60)) {
        let from = &RICH.document;
        let mut to = from.clone();
        let mut turns = turns.into_iter().cycle();
        turn_lists(&mut to, &mut turns);
        prop_assert!(Playbook::parse(&to).is_ok());
        prop_assert_eq!(diff(from, &to), vec![]);
    }
}

/// Turns each list, so that another item comes first. No list of a playbook says anything by its order, but for the content of a
/// program, of which the playbook above has one piece.
fn turn_lists(value: &mut Value, turns: &mut impl Iterator<Item = usize>) {
    match value {
        Value::Array(list) => {
            let by = turns.next().unwrap() % list.len().max(1);
            list.rotate_left(by);
            list.iter_mut().for_each(|value| turn_lists(value, turns));
        }
        Value::Object(map) => map.values_mut().for_each(|value| turn_lists(value, turns)),
        _ => {}
    }
}
