//! The values that the destinations of audiences publish, `tests/audience/`: each file names its source.

use domain::audience::{google, meta, sha256_hex};
use serde_json::Value;
use std::fs;

/// Writes a field as a destination wants it.
type Rule = fn(&str, &str) -> Option<String>;

fn google(field: &str, text: &str) -> Option<String> {
    match field {
        "email" => google::email(text),
        "phone" => google::phone(text),
        "given_name" | "family_name" => google::name(text),
        "region_code" => google::country(text),
        "postal_code" => google::postal_code(text),
        "hash" => sha256_hex(text),
        _ => panic!("no rule for {field}"),
    }
}

fn meta(field: &str, text: &str) -> Option<String> {
    match field {
        "email" => meta::email(text),
        "phone" => meta::phone(text),
        "given_name" | "family_name" => meta::name(text),
        "region_code" => meta::country(text),
        "postal_code" => meta::postal_code(text, None),
        "hash" => sha256_hex(text),
        _ => panic!("no rule for {field}"),
    }
}

/// Holds a rule against a file, and tells how many values stood in it.
fn hold(file: &str, rule: Rule) -> usize {
    let path = format!("{}/tests/audience/{file}", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut held = 0;
    for vector in vectors["hashed"].as_array().unwrap() {
        let (field, normalized) = (vector["field"].as_str().unwrap(), vector["normalized"].as_str().unwrap());
        for input in vector["inputs"].as_array().unwrap() {
            let written = rule(field, input.as_str().unwrap());
            assert_eq!(written.as_deref(), Some(normalized), "{input}");
            assert_eq!(written.and_then(|text| sha256_hex(&text)).as_deref(), vector["sha256_hex"].as_str());
            held += 1;
        }
    }
    for (field, pairs) in vectors["format_only"].as_object().unwrap() {
        for pair in pairs.as_array().unwrap() {
            assert_eq!(rule(field, pair[0].as_str().unwrap()).as_deref(), pair[1].as_str(), "{field} {pair}");
            held += 1;
        }
    }
    for (field, inputs) in vectors["must_error"].as_object().unwrap() {
        // What is not there cannot be handed to a rule at all.
        for input in inputs.as_array().unwrap().iter().filter_map(Value::as_str) {
            assert_eq!(rule(field, input), None, "{field} {input:?}");
            held += 1;
        }
    }
    held
}

#[test]
fn google_customer_match_is_as_google_publishes_it() {
    assert!(hold("google_customer_match.json", google) > 35);
}

#[test]
fn meta_custom_audiences_are_as_meta_publishes_it() {
    assert!(hold("meta_custom_audiences.json", meta) > 15);
}

#[test]
fn the_destinations_disagree_on_dots_tags_and_phone_numbers() {
    let gmail = "Jane.Doe+news@gmail.com";
    assert_eq!(google::email(gmail).as_deref(), Some("janedoe@gmail.com"));
    assert_eq!(meta::email(gmail).as_deref(), Some("jane.doe+news@gmail.com"));
    let elsewhere = "Jane.Doe+news@company.example";
    assert_eq!(google::email(elsewhere), meta::email(elsewhere));
    assert_eq!(google::phone("+44 113 496 0987").as_deref(), Some("+441134960987"));
    assert_eq!(meta::phone("+44 113 496 0987").as_deref(), Some("441134960987"));
    assert_eq!(google::name(" O'Brien ").as_deref(), Some("o'brien"));
    assert_eq!(meta::name(" O’Brien ").as_deref(), Some("obrien"));
}
