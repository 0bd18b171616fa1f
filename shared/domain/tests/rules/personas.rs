//! Whom a lead mirrors, which phase it is in, and why it came to a segment or left it.

use crate::case::{lead_id, patched, playbook, yaml};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Effect, Fact, Incoming, Subject, advance, decide};
use domain::lead::Lead;
use domain::phase::Phase;
use domain::playbook::diff::{Agree, condition_of, diff, needs_sales, reasons_in_words};
use domain::reason::Reason;
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};

const DOCUMENT: &str = "
name: Audience
signals:
  - {id: visit, title: Came by, kind: page_viewed}
  - {id: asked, title: Asked, kind: asked}
fit: [{id: who, rules: [{id: here, points: 40, when: {attribute: country, equals: AT}}]}]
engagement: [{id: interest, rules: [{id: asks, points: 60, signal: asked}]}]
bands: {fit: {A: 60, B: 40, C: 20}, engagement: {1: 60, 2: 40, 3: 20}}
marketing_qualified: {labels: [B1], when: {persona: olga}}
default_qualifier: eu-1
personas:
  - {id: olga, name: Olga, priority: 1, when: {attribute: job, equals: plant}}
  - {id: nils, name: Nils, priority: 2, when: {any: [{attribute: job, exists: true}, {fit: {at_least: 40}}]}}
phases:
  consideration: {signal: visit, within_days: 3}
  decision: {all: [{signal: asked}, {not: {persona: nils}}]}
segments:
  - {id: keen, when: {all: [{attribute: country, equals: AT}, {any: [{signal: visit, at_least: 2, within_days: 5}, {phase: decision}]}]}}
  - {id: strangers, when: {not: {attribute: country, equals: AT}}}
";

fn at(days: i64) -> Timestamp {
    Timestamp::parse("2026-03-02T09:00:00Z").unwrap().plus(days * DAY_MS)
}

fn incoming(n: i64, fact: Fact) -> Incoming {
    let delivery = DeliveryId::new("test", &n.to_string());
    Incoming { delivery, occurred_at: at(n), history: false, by: "api:test".to_owned(), strict: false, fact }
}

fn does(kind: &str) -> Fact {
    Fact::Activity(Activity { kind: kind.to_owned(), properties: [].into() })
}

fn is(attributes: &[(&str, &str)]) -> Fact {
    let read = |(name, value): &(&str, &str)| {
        let value = NewAttribute { value: AttributeValue::Text((*value).to_owned()), known_at: None };
        (AttributeName::parse(name).unwrap(), value)
    };
    let attributes = attributes.iter().map(read).collect();
    Fact::Captured(Box::new(Capture { attributes, responded: true, ..Capture::default() }))
}

struct World {
    document: Value,
    lead: Option<Lead>,
    n: i64,
}

impl World {
    fn new() -> Self {
        Self { document: yaml(DOCUMENT), lead: None, n: 0 }
    }

    /// Delivers a fact, each on the day after the one before, and gives what it changed of personas, phases, segments.
    fn take(&mut self, fact: Fact) -> Vec<String> {
        let subject = match self.lead.take() {
            Some(lead) => Subject::Existing(Box::new(lead)),
            None => Subject::New { id: lead_id(1), playbook_version: 1 },
        };
        let fact = incoming(self.n, fact);
        let change = decide(subject, Vec::new(), &[], &[fact], &playbook(&self.document), at(self.n));
        self.n += 1;
        self.said(change)
    }

    /// Lets days pass.
    fn wait(&mut self, days: i64) -> Vec<String> {
        self.n += days;
        let lead = self.lead.as_ref().unwrap();
        let change = advance(lead, &playbook(&self.document), 1, None, at(self.n)).unwrap();
        self.said(change)
    }

    fn said(&mut self, change: Change) -> Vec<String> {
        self.lead = Some(change.lead);
        let effects = change.entries.iter().flat_map(|entry| &entry.effects);
        effects.filter_map(|effect| self.words(effect)).collect()
    }

    fn words(&self, effect: &Effect) -> Option<String> {
        let because = |section: &str, id: &str, reasons: &[Reason]| {
            let written = condition_of(&self.document, section, id).unwrap();
            reasons_in_words(reasons, written, &self.document).join("; ")
        };
        Some(match effect {
            Effect::PersonaChanged { from, to, because: why } => {
                let of = if why.ended { from } else { to };
                let said = of.as_ref().map(|id| because("personas", id.as_str(), &why.parts));
                format!("mirrors {:?}: {}", to.as_ref().map(|id| id.as_str()), said.unwrap_or_default())
            }
            Effect::PhaseChanged { from, to, because: why } => {
                let of = if why.ended { from } else { to };
                let of = of.filter(|_| !why.parts.is_empty());
                let said = of.map(|phase| because("phases", phase.as_str(), &why.parts));
                format!("in {:?}: {}", to.map(Phase::as_str), said.unwrap_or_default())
            }
            Effect::SegmentEntered { segment, because: why } => {
                format!("into {segment}: {}", because("segments", segment.as_str(), why))
            }
            Effect::SegmentLeft { segment, because: why } => {
                format!("out of {segment}: {}", because("segments", segment.as_str(), why))
            }
            _ => return None,
        })
    }
}

#[test]
fn a_new_lead_is_told_all_that_holds_it_and_a_fact_only_what_it_turned() {
    let mut world = World::new();
    assert_eq!(
        world.take(is(&[("country", "DE"), ("job", "plant")])),
        [
            r#"mirrors Some("olga"): job is plant"#,
            r#"in Some("awareness"): "#,
            "into strangers: country is not AT",
        ]
    );
    assert_eq!(
        world.take(does("page_viewed")),
        [r#"in Some("consideration"): "Came by" at least once within 3 days"#]
    );
    assert_eq!(
        world.take(is(&[("country", "AT")])),
        ["out of strangers: country is AT"],
        "what is known already is not said again"
    );
    assert_eq!(
        world.take(does("page_viewed")),
        [r#"into keen: "Came by" at least 2 times within 5 days"#],
        "the country was right before"
    );
}

#[test]
fn a_phase_that_runs_out_says_so_and_not_that_the_one_before_it_is_met() {
    let mut world = World::new();
    world.document["phases"]["decision"] = json!({"signal": "asked", "within_days": 3});
    world.document["phases"]["consideration"] = json!({"signal": "visit"});
    world.take(is(&[("job", "plant")]));
    world.take(does("page_viewed"));
    world.take(does("asked"));
    assert_eq!(world.wait(4), [r#"in Some("consideration"): "Asked" never within 3 days"#]);
}

#[test]
fn where_time_turns_several_parts_all_that_decide_are_told() {
    let mut world = World::new();
    let either = json!([{"engagement": {"at_least": 40}}, {"signal": "visit", "within_days": 3}]);
    world.document["segments"] = json!([{"id": "warm", "when": {"any": either}}]);
    world.document["engagement"][0]["rules"][0]["half_life_days"] = json!(3);
    world.take(is(&[("job", "plant")]));
    world.take(does("asked"));
    world.take(does("page_viewed"));
    let said = world.wait(4);
    let segment = said.iter().find(|said| said.starts_with("out of warm")).unwrap();
    assert_eq!(segment, r#"out of warm: the engagement is less than 40; "Came by" never within 3 days"#);
}

#[test]
fn what_time_alone_ends_names_each_part_that_no_longer_holds() {
    let mut world = World::new();
    world.take(is(&[("country", "AT"), ("job", "plant")]));
    world.take(does("page_viewed"));
    world.take(does("page_viewed"));
    assert_eq!(
        world.wait(6),
        [
            r#"in Some("awareness"): "Came by" never within 3 days"#,
            r#"out of keen: "Came by" less than 2 times within 5 days; the phase is not decision"#,
        ]
    );
}

#[test]
fn the_first_persona_by_priority_is_mirrored_and_the_definition_may_ask_for_it() {
    let mut world = World::new();
    let said = world.take(is(&[("country", "AT")]));
    assert_eq!(said[0], r#"mirrors Some("nils"): the fit is at least 40"#);
    world.take(does("asked"));
    let lead = world.lead.as_ref().unwrap();
    assert_eq!(
        (lead.score.label.to_string().as_str(), lead.ready, lead.phase),
        ("B1", false, Some(Phase::Awareness))
    );
    let said = world.take(is(&[("job", "plant")]));
    assert_eq!(
        said[..2],
        [r#"mirrors Some("olga"): job is plant"#, r#"in Some("decision"): does not mirror "Nils""#]
    );
    let lead = world.lead.as_ref().unwrap();
    assert!(lead.person.is_some(), "it was handed off: {lead:?}");
    let said = world.take(is(&[("job", "office")]));
    assert_eq!(said[0], r#"mirrors Some("nils"): job is not plant"#, "nils was met before: olga ended");
}

#[test]
fn a_persona_that_the_definition_asks_for_is_both_teams_in_who_mirrors_it_and_marketings_in_the_rest() {
    let from = yaml(DOCUMENT);
    let personas = |change: Value| {
        let mut personas = from["personas"].clone();
        personas[1] = patched(personas[1].clone(), &change);
        patched(from.clone(), &json!({"personas": personas}))
    };
    for (change, both) in [
        (json!({"when": {"attribute": "job", "equals": "office"}}), true),
        (json!({"priority": 1}), true),
        (json!({"name": "Nick", "portrait": "Tall."}), false),
        (json!({"goals": [{"id": "g", "text": "More"}]}), false),
    ] {
        let differences = diff(&from, &personas(change.clone()));
        assert_eq!((differences.len(), needs_sales(&differences)), (1, both), "{change}: {differences:?}");
    }
    let without = patched(from.clone(), &json!({"marketing_qualified": {"labels": ["B1"], "when": null}}));
    let changed = patched(without.clone(), &json!({"personas": [from["personas"][0]]}));
    assert!(!needs_sales(&diff(&without, &changed)));
    let differences = diff(&from, &patched(from.clone(), &json!({"personas": [from["personas"][0]]})));
    assert!(differences.iter().any(|difference| difference.agree == Agree::Both), "{differences:?}");
}

fn had(content: &str, kind: &str) -> Fact {
    let properties = [("content".to_owned(), AttributeValue::Text(content.to_owned()))].into();
    Fact::Activity(Activity { kind: kind.to_owned(), properties })
}

fn remembered(world: &World) -> Vec<&str> {
    world.lead.as_ref().unwrap().content.keys().map(|id| id.as_str()).collect()
}

#[test]
fn content_that_a_lead_had_is_remembered_with_the_latest_day_and_the_oldest_goes_first() {
    let mut world = World::new();
    world.take(is(&[("country", "AT")]));
    world.take(had("guide", "content_downloaded"));
    world.take(had("A title, no id", "content_downloaded"));
    world.take(had("Guide", "email_opened"));
    let content = &world.lead.as_ref().unwrap().content;
    assert_eq!(
        content.iter().map(|(id, day)| (id.as_str(), *day)).collect::<Vec<_>>(),
        [("guide", at(3).day())]
    );
    for n in 0..64 {
        world.take(had(&format!("paper-{n}"), "email_sent"));
    }
    assert!(remembered(&world).len() == 64 && !remembered(&world).contains(&"guide"));
    for n in 0..40 {
        world.take(had(&format!("{n}-{}", "x".repeat(50)), "email_sent"));
    }
    let bytes: usize = remembered(&world).iter().map(|id| id.len()).sum();
    assert!(bytes <= 1_024 && remembered(&world).len() >= 18, "{bytes}");
    assert!(remembered(&world).iter().any(|id| id.starts_with("39-")), "the latest is there");
}

#[test]
fn content_whose_mail_came_back_was_not_had() {
    let mut world = World::new();
    world.take(is(&[("country", "AT")]));
    world.take(had("guide", "email_sent"));
    world.take(had("guide", "email_bounced"));
    assert!(remembered(&world).is_empty());
    world.take(had("guide", "content_downloaded"));
    assert_eq!(remembered(&world), ["guide"]);
}

#[test]
fn a_stranger_tells_of_content_only_by_a_form_that_asks_and_drives_nothing_out() {
    let mut world = World::new();
    world.document["forms"] = json!([
        {"id": "paper", "fields": {"email": "email", "content": "properties.content"}},
        {"id": "contact", "fields": {"email": "email"}},
    ]);
    world.take(is(&[("country", "AT")]));
    world.take(had("guide", "email_sent"));
    let playbook = playbook(&world.document);
    let mut told = |by: &str, content: &str| {
        let lead = world.lead.take().unwrap();
        let fact = Incoming { by: by.to_owned(), ..incoming(world.n, had(content, "content_downloaded")) };
        world.n += 1;
        let subject = Subject::Existing(Box::new(lead));
        world.lead = Some(decide(subject, Vec::new(), &[], &[fact], &playbook, at(world.n)).lead);
        world.lead.as_ref().unwrap().content.len()
    };
    assert_eq!(told("page:contact", "a"), 1);
    assert_eq!(told("form:contact", "a"), 1);
    assert_eq!(told("form:paper", "a"), 2);
    let most = (0..100).map(|n| told("form:paper", &format!("p-{n}"))).max();
    assert_eq!(most, Some(domain::lead::MOST_TOLD));
    assert!(remembered(&world).contains(&"guide"));
}
