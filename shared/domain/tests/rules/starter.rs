//! The starter playbook, its people, and the examples of its reference.

use crate::case::{self, playbook, yaml};
use domain::identity::{Email, Slug};
use domain::playbook::{FormTarget, Playbook};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Reads a file of the repository.
pub(crate) fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the starter playbook as JSON.
pub(crate) fn document() -> Value {
    yaml(&text("playbooks/b2b-starter.yaml"))
}

fn starter() -> Playbook {
    playbook(&document())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    id: String,
    name: String,
    email: String,
    timezone: String,
    team: String,
    manager: Option<String>,
    deputy: Option<String>,
}

#[test]
fn the_starter_playbook_has_no_faults() {
    let playbook = starter();
    assert_eq!(playbook.default_qualifier.as_str(), "eu-1");
    assert!(playbook.segments.len() >= 5 && playbook.forms.len() == 3);
}

#[test]
fn everybody_whom_the_starter_playbook_names_has_a_record_and_so_do_their_deputies() {
    let people: Vec<Person> =
        serde_json::from_value(yaml(&text("playbooks/b2b-starter.people.yaml"))).unwrap();
    let by_id: BTreeMap<&str, &Person> = people.iter().map(|person| (person.id.as_str(), person)).collect();
    assert_eq!(by_id.len(), people.len(), "an id stands twice");
    for id in starter().people() {
        let person = by_id.get(id.as_str()).unwrap_or_else(|| panic!("{id} has no record"));
        assert_eq!(person.team, "sales", "{id} qualifies leads");
    }
    for person in &people {
        Slug::parse(&person.id).unwrap();
        assert!(
            Email::parse(&person.email).unwrap().domain().ends_with(".example"),
            "{} is a real address",
            person.id
        );
        jiff::tz::TimeZone::get(&person.timezone).unwrap();
        assert!(!person.name.is_empty() && ["sales", "marketing"].contains(&person.team.as_str()));
        for other in [&person.manager, &person.deputy].into_iter().flatten() {
            assert!(by_id.contains_key(other.as_str()) && *other != person.id, "{} names {other}", person.id);
        }
    }
}

#[test]
fn the_starter_playbook_s_contact_form_has_the_fields_of_the_demo_page() {
    let playbook = starter();
    let form = playbook.form("contact").unwrap();
    for field in ["email", "full_name", "company", "country", "phone", "message"] {
        assert!(form.fields.contains_key(field), "{field} goes nowhere");
    }
    assert_eq!(form.fields["company"], FormTarget::CompanyName);
    for form in &playbook.forms {
        assert!(form.honeypot.is_some() && !form.consents.is_empty(), "{}", form.id);
        for origin in ["http://127.0.0.1:3000", "http://localhost:3000"] {
            assert!(form.allowed_origins.iter().any(|allowed| allowed == origin), "{}", form.id);
        }
        assert_eq!(form.thank_you.as_deref(), Some("/thank-you"));
    }
}

#[test]
fn every_fit_and_engagement_rule_of_the_starter_playbook_can_be_earned() {
    let playbook = starter();
    let best = |caps: Vec<Option<u8>>| caps.into_iter().map(|cap| u32::from(cap.unwrap_or(100))).sum::<u32>();
    assert!(best(playbook.fit.iter().map(|group| group.cap).collect()) >= u32::from(playbook.bands.fit[0]));
    assert!(
        best(playbook.engagement.iter().map(|group| group.cap).collect())
            >= u32::from(playbook.bands.engagement[0])
    );
    assert!(!playbook.territories.is_empty());
}

#[test]
fn the_starter_playbook_does_what_its_comments_say() {
    case::play_with("starter.yaml", &document());
}

/// Gives the fenced blocks of a document whose info string is `yaml KIND`, with the line on which each begins.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((n, line)) = lines.next() {
        if line == format!("```yaml {kind}") {
            let inside: Vec<&'a str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((n + 1, inside.join("\n")));
        }
    }
    blocks
}

#[test]
fn the_examples_of_the_reference_are_right() {
    let text = text("docs/playbook.md");
    let whole = blocks(&text, "playbook");
    assert!(!whole.is_empty());
    for (line, block) in whole {
        Playbook::parse(&yaml(&block)).unwrap_or_else(|faults| panic!("docs/playbook.md:{line}: {faults:?}"));
    }
    let parts = blocks(&text, "section");
    assert!(parts.len() >= 7, "{} sections", parts.len());
    for (line, block) in parts {
        let mut part = yaml(&block);
        let mut document = document();
        // Signals come beside those that the starter's rules name; other sections take the place of its own.
        if let Some(more) = part.get_mut("signals").map(Value::take) {
            let signals = document["signals"].as_array_mut().unwrap();
            signals.extend(more.as_array().unwrap().iter().cloned());
            part.as_object_mut().unwrap().remove("signals");
        }
        let document = case::patched(document, &part);
        Playbook::parse(&document).unwrap_or_else(|faults| panic!("docs/playbook.md:{line}: {faults:?}"));
    }
    let conditions = blocks(&text, "condition");
    assert!(conditions.len() >= 8, "{} conditions", conditions.len());
    for (line, block) in conditions {
        let mut document = document();
        let segment = serde_json::json!({"id": "example", "when": yaml(&block)});
        document["segments"].as_array_mut().unwrap().push(segment);
        Playbook::parse(&document).unwrap_or_else(|faults| panic!("docs/playbook.md:{line}: {faults:?}"));
    }
}
