//! The published JSON Schema of the playbook says what its reader says.
//!
//! Editors check a playbook by the schema, the server by the reader. A schema cannot say everything: what it lets pass
//! is listed in [`ONLY_THE_READER`], and nothing else.

use crate::case::{patched, read, yaml};
use crate::diff::{RICH, other};
use crate::starter::text;
use domain::playbook::Playbook;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

/// What only the reader finds: names that refer to nothing, twice the same, numbers that contradict each other, and
/// what needs a table of the world.
const ONLY_THE_READER: &[&str] = &[
    "is used twice",
    "names no signal",
    "names no segment",
    "names no region",
    "names no persona",
    "names no territory",
    "names no reason",
    "overlaps with another span",
    "ends when it begins",
    "is not an e-mail address",
    "is no address of a site",
    "is no day of the calendar",
    "refer to each other in a circle",
    "means the same as the signal",
    "can never be met",
    "must fall from",
    "is not a time zone",
    "is not a country",
    "is not a language",
    "one person qualifies a country",
    "is not a regular expression",
    "is not among the form's fields",
    "goes where another field goes",
    "which goes somewhere else already",
    "is a field that people fill in",
    "is nested deeper",
];

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&text("functions/playbook/src/playbook.schema.json")).unwrap());

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// Gives the faults that a schema could find as well.
fn structural(document: &Value) -> Vec<(String, String)> {
    let faults = Playbook::parse(document).err().into_iter().flatten();
    let semantic = |detail: &str| ONLY_THE_READER.iter().any(|words| detail.contains(words));
    faults.filter(|f| !semantic(&f.detail)).map(|fault| (fault.pointer, fault.detail)).collect()
}

fn refused_at(document: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(document).map(|error| error.instance_path().to_string()).collect()
}

/// Gives every playbook that stands in the cases, with the name of its case.
fn of_cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let file: Value = read(&name);
        let base = &file["playbook"];
        found.push((name.clone(), base.clone()));
        for case in file["cases"].as_array().unwrap() {
            let mut document = base.clone();
            if case.get("when").is_some() {
                let mut document = document.clone();
                let segments = document["segments"].as_array().into_iter().flatten().cloned();
                let asked = json!({"id": "asked-by-the-case", "when": case["when"]});
                document["segments"] = segments.chain([asked]).collect();
                found.push((format!("{name}: {}", case["when"]), document));
            }
            for patch in ["playbook", "from", "to"] {
                if case.get(patch).is_some_and(|patch| !patch.is_null()) {
                    document = patched(document, &case[patch]);
                    found.push((format!("{name}: {}", case["name"]), document.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn the_schema_is_one_and_has_its_address() {
    assert!(jsonschema::meta::is_valid(&SCHEMA));
    assert_eq!(SCHEMA["$id"], "/v1/schemas/playbook.json");
}

#[test]
fn every_right_playbook_of_the_repository_passes() {
    let mut documents = vec![
        ("starter".to_owned(), yaml(&text("playbooks/b2b-starter.yaml"))),
        ("olist".to_owned(), yaml(&text("tests/olist/playbook.yaml"))),
        ("testkit".to_owned(), serde_json::from_str(&text("shared/testkit/src/playbook.json")).unwrap()),
    ];
    assert!(documents.iter().all(|(_, document)| Playbook::parse(document).is_ok()));
    documents.extend(of_cases().into_iter().filter(|(_, document)| Playbook::parse(document).is_ok()));
    assert!(documents.len() > 80, "{} playbooks", documents.len());
    for (name, document) in documents {
        let errors: Vec<String> =
            VALIDATOR.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}\n{}", errors.join("\n"));
    }
}

#[test]
fn what_the_reader_finds_wrong_the_schema_refuses_but_for_what_only_the_reader_can_find() {
    let mut found = 0;
    for (name, document) in of_cases().into_iter().filter(|(_, document)| Playbook::parse(document).is_err())
    {
        let refused = refused_at(&document);
        let structural = structural(&document);
        assert_eq!(refused.is_empty(), structural.is_empty(), "{name}: {refused:?}");
        for (pointer, detail) in structural {
            // Of a choice between several forms, the schema says only that none of them fits; of what an object
            // lacks, it says so at the object.
            let at_the_top = pointer.matches('/').count() <= 1;
            let near = |at: &String| pointer.starts_with(at.as_str()) || at.starts_with(&pointer);
            let found_too = refused.iter().any(|at| near(at) && (at_the_top || !at.is_empty()));
            assert!(found_too, "{name}: {pointer} {detail}, refused at {refused:?}");
            found += 1;
        }
    }
    assert!(found > 50, "{found} faults");
}

#[test]
fn each_word_of_the_list_is_one_that_the_reader_says() {
    let said: Vec<String> = of_cases()
        .iter()
        .filter_map(|(_, document)| Playbook::parse(document).err())
        .flatten()
        .map(|fault| fault.detail)
        .collect();
    let deep = (0..34).fold(json!({"stage": "customer"}), |inner, _| json!({"not": inner}));
    let deep = patched(RICH.document.clone(), &json!({"segments": [{"id": "deep", "when": deep}]}));
    let deep = Playbook::parse(&deep).unwrap_err();
    for words in ONLY_THE_READER {
        let said = said.iter().chain(deep.iter().map(|fault| &fault.detail)).any(|said| said.contains(words));
        assert!(said, "nothing is said to be wrong in the words \"{words}\"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schema_and_reader_agree_on_any_change(at in any::<prop::sample::Index>(), n in 0_usize..1_000) {
        let (pointer, value) = &RICH.places[at.index(RICH.places.len())];
        let mut document = RICH.document.clone();
        *document.pointer_mut(pointer).unwrap() = other(value, n);
        let (passes, structural) = (VALIDATOR.is_valid(&document), structural(&document));
        prop_assert!(!passes || structural.is_empty(), "{pointer}: {structural:?}");
        prop_assert!(passes || Playbook::parse(&document).is_err(), "{pointer}: {:?}", refused_at(&document));
    }
}

/// An object of a document with the part of the schema that is for it, each with its pointer.
type Level<'a> = (String, &'a Value);

/// Finds the parts of the schema that know the fields of each object of a document.
fn levels<'a>(part: &'a Value, instance: &Value, pointer: &str, found: &mut Vec<Level<'a>>) {
    if let Some(reference) = part["$ref"].as_str() {
        return levels(SCHEMA.pointer(reference.trim_start_matches('#')).unwrap(), instance, pointer, found);
    }
    for choice in ["anyOf", "oneOf"].iter().filter_map(|word| part[word].as_array()).flatten() {
        levels(choice, instance, pointer, found);
    }
    match instance {
        Value::Array(list) if part["items"].is_object() => {
            for (n, item) in list.iter().enumerate() {
                levels(&part["items"], item, &format!("{pointer}/{n}"), found);
            }
        }
        Value::Object(map) => {
            let required = part["required"].as_array().into_iter().flatten();
            if required.into_iter().any(|key| !map.contains_key(key.as_str().unwrap())) {
                return;
            }
            if part["properties"].is_object() {
                found.push((pointer.to_owned(), part));
            }
            for (key, value) in map {
                let inside = &part["properties"][key];
                let inside = if inside.is_object() { inside } else { &part["additionalProperties"] };
                levels(inside, value, &format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_fields_of_the_schema_are_those_of_the_reader_at_each_level() {
    let document = &RICH.document;
    let mut found = Vec::new();
    levels(&SCHEMA, document, "", &mut found);
    let mut seen = BTreeSet::new();
    for (pointer, part) in found {
        let mut wrong = document.clone();
        wrong.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().insert("zzz".to_owned(), json!(1));
        let faults = Playbook::parse(&wrong).unwrap_err();
        let fault = faults.iter().find(|fault| fault.pointer == format!("{pointer}/zzz"));
        let detail = &fault.unwrap_or_else(|| panic!("{pointer} takes any field")).detail;
        let known = detail.strip_prefix("is not a field here; the fields are: ").unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        let said: BTreeSet<&str> =
            part["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, said, "{pointer}");
        assert!(!VALIDATOR.is_valid(&wrong), "{pointer}");
        assert!(seen.insert(std::ptr::from_ref(part)) || !pointer.is_empty());
    }
    // The document above has an object for each part of the schema that knows fields.
    for (pointer, part) in crate::diff::places(&SCHEMA) {
        // What stands under `allOf` says more of fields that are known already.
        if part["properties"].is_object() && !pointer.contains("/allOf/") {
            let original = SCHEMA.pointer(&pointer).unwrap();
            assert!(seen.contains(&std::ptr::from_ref(original)), "nothing tests {pointer}");
            assert_eq!(part["additionalProperties"], false, "{pointer}");
        }
    }
}

#[test]
fn the_examples_and_defaults_of_the_schema_are_right_by_itself() {
    let mut found = 0;
    for (pointer, part) in crate::diff::places(&SCHEMA) {
        let default = part.get("default").into_iter();
        for example in part["examples"].as_array().into_iter().flatten().chain(default) {
            let mut alone = part.clone();
            alone["$defs"] = SCHEMA["$defs"].clone();
            let validator = jsonschema::draft202012::new(&alone).unwrap();
            assert!(validator.is_valid(example), "{pointer}: {example}");
            found += 1;
        }
    }
    assert!(found > 50, "{found} examples");
}
