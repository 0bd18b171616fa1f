//! Whom a lead mirrors, which phase it is in, and why it came to a segment or left it.

use crate::case::{lead_id, patched, playbook, yaml};
use domain::activity::Activity;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Change, Effect, Fact, Incoming, Subject, advance, decide};
use domain::content::results::{Count, Results, Sums};
use domain::identity::Slug;
use domain::lead::{HadBy, Lead, MOST_CONTENT, MOST_CONTENT_BYTES, MOST_TOLD};
use domain::phase::Phase;
use domain::playbook::diff::{Agree, condition_of, diff, needs_sales, reasons_in_words};
use domain::promise::People;
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
        let change = decide(
            subject,
            Vec::new(),
            &[],
            &[fact],
            &playbook(&self.document),
            People::nobody(),
            at(self.n),
        );
        self.n += 1;
        self.said(change)
    }

    /// Lets days pass.
    fn wait(&mut self, days: i64) -> Vec<String> {
        self.n += days;
        let lead = self.lead.as_ref().unwrap();
        let change = advance(lead, &playbook(&self.document), 1, None, People::nobody(), at(self.n)).unwrap();
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
        content.iter().map(|(id, had)| (id.as_str(), had.on)).collect::<Vec<_>>(),
        [("guide", at(3).day())]
    );
    for n in 0..64 {
        world.take(had(&format!("paper-{n}"), "email_sent"));
    }
    assert!(remembered(&world).len() == 64 && !remembered(&world).contains(&"guide"));
    for n in 0..64 {
        world.take(had(&format!("{n:02}-{}", "x".repeat(37)), "email_sent"));
    }
    assert_eq!(remembered(&world).len(), 64, "all of the usual length");
    for n in 0..64 {
        world.take(had(&format!("{n:02}-{}", "y".repeat(60)), "email_sent"));
    }
    let bytes: usize = remembered(&world).iter().map(|id| id.len()).sum();
    assert!(bytes <= MOST_CONTENT_BYTES && remembered(&world).len() == 40, "{bytes}");
    assert!(remembered(&world).iter().any(|id| id.starts_with("63-y")), "the latest is there");
}

#[test]
fn content_whose_mail_came_back_was_not_had_unless_otherwise_or_since() {
    let came_back = |before: &[(i64, &str)], bounced: i64| {
        let mut world = World::new();
        world.take(is(&[("country", "AT")]));
        for (day, kind) in before {
            world.n = *day;
            world.take(had("guide", kind));
        }
        world.n = bounced;
        world.take(had("guide", "email_bounced"));
        remembered(&world).is_empty()
    };
    assert!(came_back(&[(1, "email_sent")], 2) && came_back(&[(1, "email_sent"), (2, "email_delivered")], 3));
    assert!(!came_back(&[(4, "email_sent")], 2), "it was sent again before anybody told of the bounce");
    for own in ["content_downloaded", "email_opened", "email_clicked"] {
        assert!(!came_back(&[(1, own)], 3), "{own}");
        assert!(!came_back(&[(1, own), (2, "email_sent")], 3), "{own}");
        assert!(!came_back(&[(1, "email_sent"), (2, own)], 3), "{own}");
    }
}

#[test]
fn content_whose_mail_came_back_for_now_was_had_and_for_good_was_not() {
    for (by, permanent, had_it) in [
        ("mail", Some(true), false),
        ("mail", Some(false), true),
        ("api:mailer", Some(true), false),
        ("api:mailer", Some(false), true),
        ("api:mailer", None, false),
    ] {
        let mut world = World::new();
        world.take(is(&[("country", "AT")]));
        told(&mut world, "mail", "guide", "email_delivered");
        let mut fact = Incoming { by: by.to_owned(), ..incoming(world.n, had("guide", "email_bounced")) };
        if let (Fact::Activity(activity), Some(permanent)) = (&mut fact.fact, permanent) {
            activity.properties.insert("permanent".to_owned(), AttributeValue::Flag(permanent));
        }
        let subject = Subject::Existing(Box::new(world.lead.take().unwrap()));
        let playbook = playbook(&world.document);
        let change = decide(subject, Vec::new(), &[], &[fact], &playbook, People::nobody(), at(world.n));
        assert_eq!(change.lead.content.len(), usize::from(had_it), "{by} {permanent:?}");
    }
}

/// Tells of content as somebody, under a playbook with a form that asks for content and one that does not.
fn told(world: &mut World, by: &str, content: &str, kind: &str) {
    world.document["forms"] = json!([
        {"id": "paper", "fields": {"email": "email", "content": "properties.content"}},
        {"id": "contact", "fields": {"email": "email"}},
    ]);
    let subject = Subject::Existing(Box::new(world.lead.take().unwrap()));
    let fact = Incoming { by: by.to_owned(), ..incoming(world.n, had(content, kind)) };
    let change =
        decide(subject, Vec::new(), &[], &[fact], &playbook(&world.document), People::nobody(), at(world.n));
    world.n += 1;
    world.lead = Some(change.lead);
}

#[test]
fn a_stranger_tells_of_content_only_by_a_form_that_asks_and_drives_out_only_what_strangers_told() {
    let mut world = World::new();
    world.take(is(&[("country", "AT")]));
    for n in 0..MOST_TOLD {
        told(&mut world, "api:mailer", &format!("mailed-{n}"), "email_sent");
    }
    told(&mut world, "page:contact", "a", "content_downloaded");
    told(&mut world, "form:contact", "a", "content_downloaded");
    assert_eq!(remembered(&world).len(), MOST_TOLD);
    told(&mut world, "form:paper", "a", "content_downloaded");
    assert!(remembered(&world).contains(&"a"), "what others told takes no stranger's place");
    for n in 0..100 {
        told(&mut world, "form:paper", &format!("p-{n}"), "content_downloaded");
    }
    assert_eq!(remembered(&world).len(), MOST_TOLD * 2);
    assert_eq!(remembered(&world).iter().filter(|id| id.starts_with("mailed-")).count(), MOST_TOLD);
    assert!(remembered(&world).contains(&"p-99") && !remembered(&world).contains(&"p-83"), "the latest");
    // What is trusted takes its room from them, and where it fills the memory none is left.
    for n in 0..MOST_CONTENT {
        told(&mut world, "api:mailer", &format!("more-{n}"), "email_opened");
    }
    told(&mut world, "form:paper", "late", "content_downloaded");
    let own = remembered(&world).iter().filter(|id| id.starts_with("more-")).count();
    assert_eq!((own, remembered(&world).len()), (MOST_CONTENT, MOST_CONTENT));
}

#[test]
fn what_a_form_told_stays_when_the_mail_comes_back_in_whatever_order_they_came() {
    for order in [["api:mailer", "form:paper"], ["form:paper", "api:mailer"]] {
        let mut world = World::new();
        world.take(is(&[("country", "AT")]));
        for by in order {
            let kind = if by == "api:mailer" { "email_sent" } else { "content_downloaded" };
            told(&mut world, by, "guide", kind);
        }
        for stranger in ["page:contact", "form:paper"] {
            told(&mut world, stranger, "guide", "email_bounced");
        }
        let by = |world: &World| {
            world.lead.as_ref().unwrap().content.values().map(|had| had.by).collect::<Vec<_>>()
        };
        assert_eq!(by(&world), [HadBy::MailAndForm], "no stranger says that a mail came back");
        told(&mut world, "api:mailer", "guide", "email_bounced");
        assert_eq!(by(&world), [HadBy::Form]);
        told(&mut world, "api:mailer", "guide", "email_bounced");
        assert_eq!(by(&world), [HadBy::Form]);
    }
}

fn counted(facts: &[(&str, i64, &str)], until: i64) -> Sums {
    let mut world = World::new();
    world.document["forms"] =
        json!([{"id": "paper", "fields": {"email": "email", "content": "properties.content"}}]);
    world.take(is(&[("country", "AT")]));
    let tell = |(n, (by, day, kind)): (usize, &(&str, i64, &str))| Incoming {
        by: (*by).to_owned(),
        delivery: DeliveryId::new("test", &format!("told {n}")),
        ..incoming(*day, had("guide", kind))
    };
    let came = incoming(0, is(&[("country", "AT"), ("job", "plant")]));
    let facts: Vec<Incoming> = std::iter::once(came).chain(facts.iter().enumerate().map(tell)).collect();
    let (playbook, known) = (playbook(&world.document), [Slug::parse("guide").unwrap()].into());
    let mut results = Results::default();
    let count = Count { playbook: &playbook, known: &known, from: None, to: None, now: at(until) };
    count.add(&mut results, world.lead.as_ref().unwrap(), &facts);
    results.of(&Slug::parse("guide").unwrap())
}

#[test]
fn what_only_strangers_told_of_content_is_had_and_judges_nobody() {
    let nothing = Sums::default();
    for by in ["page:paper", "form:unknown"] {
        assert_eq!(counted(&[(by, 1, "content_downloaded"), (by, 2, "email_opened")], 400), nothing, "{by}");
    }
    let form = ("form:paper", 1, "content_downloaded");
    assert_eq!(counted(&[form], 400), Sums { leads: 1, otherwise: 1, told: 1, ..nothing });
    let sent = ("api:mailer", 20, "email_sent");
    let both = counted(&[form, sent], 49);
    assert_eq!(
        both,
        Sums { leads: 1, sent: 1, otherwise: 1, ..nothing },
        "the mail's time counts: too early"
    );
    assert_eq!(both.tries(), 1);
    assert_eq!(counted(&[sent, form], 50).judged, 1);
}

#[test]
fn what_came_back_was_sent_and_not_had() {
    let nothing = Sums::default();
    let (sent, back) = (("api:mailer", 1, "email_sent"), ("api:mailer", 2, "email_bounced"));
    let delivered = ("api:mailer", 1, "email_delivered");
    let bounced = Sums { sent: 1, bounced: 1, ..nothing };
    assert_eq!(counted(&[sent, delivered, back], 400), bounced);
    assert_eq!(counted(&[back, sent], 400), bounced, "in whatever order they came");
    assert_eq!(counted(&[back], 400), nothing);
    let forged = ("form:paper", 2, "email_bounced");
    assert_eq!(counted(&[sent, forged], 400), counted(&[sent], 400), "no stranger says so");
    for (kind, day) in [("email_opened", 3), ("content_downloaded", 1), ("email_sent", 5)] {
        let sums = counted(&[sent, back, ("api:mailer", day, kind)], 400);
        assert_eq!((sums.leads, sums.sent, sums.bounced, sums.judged), (1, 1, 0, 1), "{kind}");
    }
    let downloaded = counted(&[sent, back, ("form:paper", 9, "content_downloaded")], 400);
    assert_eq!(downloaded, Sums { leads: 1, sent: 1, otherwise: 1, told: 1, ..nothing });
}
