//! Whether the cases about rules use the whole condition language.
//!
//! Which words there are is asked of the parser: what it refuses it answers with the words that it knows. So a word that
//! is added to the language is missed here until a case uses it.

use crate::case::{File, read};
use domain::playbook::Playbook;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The files of cases about scores and conditions.
const RULES: &[&str] = &[
    "conditions.yaml",
    "days.yaml",
    "decay.yaml",
    "logic.yaml",
    "points.yaml",
    "score.yaml",
    "signals.yaml",
    "standing.yaml",
    "values.yaml",
];

/// What no playbook says.
const NOTHING: &str = "nothing_that_exists";

/// Gives the faults of a playbook that has this beside what it needs: the last name of each pointer, and the words that
/// were expected there.
fn expected(part: Value) -> Vec<(String, Vec<String>)> {
    let faults = Playbook::parse(&part).expect_err("nothing is wrong with what does not exist");
    let words = |detail: &str| {
        if detail.ends_with("expected true or false") {
            return vec!["true".to_owned(), "false".to_owned()];
        }
        let list = ["must say exactly one of: ", "expected one of: ", "the fields are: "];
        let list = list.iter().find_map(|begin| detail.split_once(begin)).map_or("", |(_, list)| list);
        let list = list.split_once(" (").map_or(list, |(list, _)| list);
        list.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let last = |pointer: &str| pointer.rsplit('/').next().unwrap_or_default().to_owned();
    faults.iter().map(|fault| (last(&fault.pointer), words(&fault.detail))).collect()
}

/// Gives the words that are expected at a name.
fn expected_at(name: &str, part: Value) -> Vec<String> {
    expected(part).into_iter().filter(|(at, _)| at == name).flat_map(|(_, words)| words).collect()
}

fn segment(when: Value) -> Value {
    json!({"segments": [{"id": "s", "when": when}]})
}

/// The words with which a condition begins.
fn first_words() -> Vec<String> {
    expected_at("when", segment(json!({})))
}

/// Everything that the language can say: the first word of a condition with one of its fields, and the value of the
/// field where that is a word too, such as `source touch: last`.
fn language() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for first in first_words() {
        for field in expected_at(NOTHING, segment(json!({&first: NOTHING, NOTHING: 1}))) {
            let values = expected_at(&field, segment(json!({&first: NOTHING, &field: NOTHING})));
            all.extend(values.iter().map(|value| format!("{first} {field}: {value}")));
            if field != first {
                let inner = expected_at(NOTHING, segment(json!({&first: NOTHING, &field: {NOTHING: 1}})));
                all.extend(inner.iter().map(|inner| format!("{first} {field} {inner}")));
            }
            all.insert(format!("{first} {field}"));
        }
        // What stands behind the first word may be an object with fields of its own.
        let inner = expected_at(NOTHING, segment(json!({&first: {NOTHING: 1}})));
        all.extend(inner.iter().map(|field| format!("{first} {field}")));
    }
    let tests = json!({"signals": [{"id": "s", "kind": "k", "where": {"p": {NOTHING: 1}}}]});
    all.extend(expected_at(NOTHING, tests).iter().map(|field| format!("where {field}")));
    all
}

fn said(first: &str, object: &Map<String, Value>, all: &mut BTreeSet<String>) {
    for (field, value) in object {
        all.insert(format!("{first} {field}"));
        let inner = value.as_object().into_iter().flat_map(Map::keys);
        all.extend(inner.map(|inner| format!("{first} {field} {inner}")));
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values.iter().filter(|value| value.is_string() || value.is_boolean()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            all.insert(format!("{first} {field}: {value}"));
        }
    }
}

/// Collects what the conditions within a value say.
fn collect(value: &Value, first_words: &[String], all: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, first_words, all)),
        Value::Object(object) => {
            if let Some(first) = first_words.iter().find(|word| object.contains_key(*word)) {
                said(first, object, all);
                if let Some(range) = object[first].as_object() {
                    said(first, range, all);
                }
            }
            object.values().for_each(|item| collect(item, first_words, all));
        }
        _ => {}
    }
}

#[test]
fn at_least_150_cases_are_about_rules_and_together_they_say_all_that_the_language_can_say() {
    let first_words = first_words();
    let (mut names, mut used) = (BTreeSet::new(), BTreeSet::new());
    for file in RULES {
        let file: File = read(file);
        for (name, playbook) in file.playbooks(&Value::Null) {
            assert!(names.insert(name.to_owned()), "two cases say: {name}");
            for signal in playbook["signals"].as_array().into_iter().flatten() {
                for test in signal["where"].as_object().into_iter().flat_map(Map::values) {
                    test.as_object().into_iter().for_each(|test| said("where", test, &mut used));
                }
            }
            for part in ["fit", "engagement"] {
                for rule in playbook[part]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(|group| group["rules"].as_array())
                {
                    rule.iter().for_each(|rule| collect(&rule["when"], &first_words, &mut used));
                }
            }
            for when in [&playbook["marketing_qualified"]["when"], &playbook["lead_when"]] {
                collect(when, &first_words, &mut used);
            }
            for segment in playbook["segments"].as_array().into_iter().flatten() {
                collect(&segment["when"], &first_words, &mut used);
            }
        }
    }
    assert!(names.len() >= 150, "only {} cases", names.len());
    let semantics: Value = read("semantics.yaml");
    semantics["cases"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(|case| collect(&case["when"], &first_words, &mut used));
    let language = language();
    // So that a change of the parser's words cannot leave nothing to look for.
    for known in [
        "not not",
        "attribute in",
        "where exists",
        "fit at_least",
        "source touch: last",
        "stage stage: customer",
        "signal last_seen older_than_days",
        "owner team",
    ] {
        assert!(language.contains(known), "the parser no longer tells of: {known}");
    }
    let missing: Vec<&String> = language.difference(&used).collect();
    assert!(missing.is_empty(), "no case says: {missing:?}");
}
