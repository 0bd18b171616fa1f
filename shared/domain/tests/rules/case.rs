//! The format of a case, and how one is played.
//!
//! Times are RFC 3339 or a day, which stands for its midnight in UTC. Unknown fields are refused, so that a misspelt
//! expectation cannot pass by saying nothing.

use domain::activity::Activity;
use domain::attribute::{read_attributes, read_properties};
use domain::calendar::{Schedule, Week};
use domain::change::{Capture, Change, Effect, Fact, Incoming, Outcome, Subject, advance, decide};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::fault::Faults;
use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, Phone, Slug};
use domain::lead::{Company, Lead, Touch};
use domain::money::{Currency, Money};
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::promise::{People, Person};
use domain::reader::Node;
use domain::routing::Room;
use domain::sales::{DeliveryId, Move};
use domain::score::{LineKind, Part, explain, score};
use domain::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The segments that tell whether the condition of a case is met: who is in neither, of them it cannot be known.
const MET: &str = "met";
const UNMET: &str = "unmet";

/// A file of cases about leads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// What the cases are about, for its reader.
    #[serde(rename = "about")]
    _about: String,
    /// The playbook of all cases.
    playbook: Value,
    /// People's records, by their ids.
    #[serde(default)]
    people: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What this case's playbook has otherwise, as a JSON merge patch (RFC 7386).
    #[serde(default)]
    playbook: Value,
    /// The condition that the case asks about with `is`.
    when: Option<Value>,
    /// Facts that came before.
    #[serde(default)]
    given: Vec<Step>,
    /// The facts that the case is about.
    facts: Vec<Step>,
    #[serde(default)]
    expect: Expect,
}

/// One fact on its way to the lead.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// When it happened.
    at: String,
    /// When it arrives: when it happened, unless said otherwise.
    arrives: Option<String>,
    /// The id of its delivery; one of its own unless said otherwise.
    id: Option<String>,
    history: bool,
    strict: bool,
    by: Option<String>,
    /// An identity that comes with it and that nobody owns.
    identity: Option<String>,
    captured: Option<Captured>,
    /// A kind alone, or an object of `kind` and properties.
    activity: Option<Value>,
    /// A kind alone, or an object of `kind` and details.
    sales: Option<Value>,
    follow_up: Option<String>,
    consent: Option<Said>,
    /// The id of the delivery that is taken back.
    withdrawn: Option<String>,
    /// Nothing but time has passed, or the playbook has this version now.
    review: Option<u32>,
    expect: Option<Expect>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Captured {
    attributes: Value,
    company: BTreeMap<String, String>,
    touch: Option<Value>,
    consents: Vec<Said>,
    activity: Option<Value>,
    responded: bool,
    customer: bool,
    public: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    purpose: String,
    status: String,
    at: Option<String>,
    text: Option<String>,
}

/// What must be true after a fact, or at the end. What is not mentioned may be anything.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// Whether the condition `when` is met: `yes`, `no`, or `unknown`.
    is: Option<String>,
    fit: Option<u8>,
    engagement: Option<u8>,
    label: Option<String>,
    /// The lines of the explanation, all of them: `fit right_size +10`.
    lines: Option<Vec<String>>,
    /// The reasons of the lines, all of them.
    because: Option<Vec<String>>,
    stage: Option<String>,
    team: Option<String>,
    person: Option<String>,
    cycle: Option<u32>,
    ready: Option<bool>,
    promise_due_at: Option<String>,
    /// When something about it changes by itself.
    due_at: Option<String>,
    responded_at: Option<String>,
    segments: Option<Vec<String>>,
    consent: Option<BTreeMap<String, String>>,
    /// Values of attributes; `null` for one that is not known.
    attributes: Option<BTreeMap<String, Value>>,
    company: Option<BTreeMap<String, String>>,
    /// The channels of the first and the latest touch.
    touches: Option<(String, String)>,
    activities: Option<u32>,
    /// What became of each of the facts.
    outcomes: Option<Vec<String>>,
    /// What the latest fact changed, the bare numbers of the score left out.
    effects: Option<Vec<String>>,
    /// The events of all the facts.
    events: Option<Vec<String>>,
    /// The first day on which something changes by itself.
    due_on: Option<String>,
    /// Scores on other days.
    on: BTreeMap<String, Later>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    fit: Option<u8>,
    engagement: Option<u8>,
    label: Option<String>,
}

/// Reads a YAML file of `tests/cases` into a type.
pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_value(yaml(&text)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Reads YAML as the JSON that it stands for.
pub(crate) fn yaml(text: &str) -> Value {
    // Strict, so that `NO` is Norway.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Applies a JSON merge patch (RFC 7386).
pub(crate) fn patched(mut document: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return if patch.is_null() { document } else { patch.clone() } };
    if !document.is_object() {
        document = Value::Object(serde_json::Map::new());
    }
    let map = document.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            let before = map.remove(key).unwrap_or_default();
            map.insert(key.clone(), patched(before, value));
        }
    }
    document
}

/// Reads a playbook that has no faults.
pub(crate) fn playbook(document: &Value) -> Playbook {
    Playbook::parse(document).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// Reads a time, or a day as its midnight.
pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC).unwrap_or_else(|| panic!("{text} is no time"))
}

/// Reads an identity such as `email:a@b.example` or `external:crm#42`.
pub(crate) fn identity(text: &str) -> Identity {
    let (kind, value) = text.split_once(':').unwrap();
    match kind {
        "email" => Identity::Email(Email::parse(value).unwrap()),
        "phone" => Identity::Phone(Phone::parse(value).unwrap()),
        "anonymous" => Identity::Anonymous(AnonymousId::parse(value).unwrap()),
        "external" => {
            let (system, id) = value.split_once('#').unwrap();
            Identity::External(ExternalId::new(system, id).unwrap())
        }
        _ => panic!("{kind} is no kind of identity"),
    }
}

/// Makes the id of a lead from a small number.
pub(crate) fn lead_id(n: u8) -> LeadId {
    LeadId::from_bytes([n; 16])
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn word<T: Copy>(words: &[(&str, T)], text: &str) -> T {
    words.iter().find(|(word, _)| *word == text).unwrap_or_else(|| panic!("{text} is no word here")).1
}

/// Reads `KIND` or `{kind: KIND, …}` into the kind and the rest.
fn kind_and_rest(value: &Value) -> (String, Value) {
    match value {
        Value::String(kind) => (kind.clone(), Value::Object(serde_json::Map::new())),
        _ => {
            let mut map = value.as_object().unwrap().clone();
            let kind = map.remove("kind").unwrap().as_str().unwrap().to_owned();
            (kind, Value::Object(map))
        }
    }
}

pub(crate) fn activity(value: &Value) -> Activity {
    let (kind, properties) = kind_and_rest(value);
    let faults = Faults::new();
    let properties = read_properties(&Node::root(&properties, &faults));
    assert!(faults.is_empty(), "{faults:?}");
    Activity { kind: domain::activity::parse_kind(&kind).unwrap(), properties }
}

fn consent(said: &Said, at: Timestamp) -> ConsentFact {
    ConsentFact {
        purpose: word(Purpose::WORDS, &said.purpose),
        status: word(ConsentStatus::WORDS, &said.status),
        basis: Basis::Consent,
        text: said.text.clone(),
        source: None,
        at: said.at.as_deref().map_or(at, time),
    }
}

fn capture(captured: &Captured, at: Timestamp) -> Capture {
    let faults = Faults::new();
    let attributes = match &captured.attributes {
        Value::Null => BTreeMap::new(),
        value => read_attributes(&Node::root(value, &faults)),
    };
    assert!(faults.is_empty(), "{faults:?}");
    let text = |value: &Value, key: &str| value.get(key).map(|v| v.as_str().unwrap().to_owned());
    Capture {
        attributes,
        company: Company {
            name: captured.company.get("name").cloned(),
            domain: captured.company.get("domain").cloned(),
            external_id: None,
        },
        touch: captured.touch.as_ref().map(|touch| Touch {
            at: text(touch, "at").map_or(at, |text| time(&text)),
            channel: text(touch, "channel"),
            campaign: text(touch, "campaign"),
            landing_page: text(touch, "landing_page"),
        }),
        consents: captured.consents.iter().map(|said| consent(said, at)).collect(),
        activity: captured.activity.as_ref().map(activity),
        responded: captured.responded,
        customer: captured.customer,
        public: captured.public,
    }
}

fn sales(value: &Value) -> Move {
    let (kind, rest) = kind_and_rest(value);
    let text = |key: &str| rest.get(key).map(|v| v.as_str().unwrap().to_owned());
    let deal = || ExternalId::new("crm", &text("deal").unwrap()).unwrap();
    let amount = || {
        let amount = text("amount")?;
        let (amount, currency) = amount.split_once(' ').unwrap();
        Some(Money::parse(amount, Currency::parse(currency).unwrap()).unwrap())
    };
    let reason = text("reason");
    match kind.as_str() {
        "accepted" => Move::Accepted,
        "rejected" => Move::Rejected { reason },
        "not_ready" => Move::NotReady { reason, not_before: text("not_before").map(|text| time(&text)) },
        "qualified" => Move::Qualified,
        "assigned" => Move::Assigned { to: slug(&text("to").unwrap()), promise_due_at: None },
        "opportunity" => Move::Opportunity { deal: deal(), amount: amount() },
        "won" => Move::Won { deal: deal(), amount: amount() },
        "lost" => Move::Lost { deal: rest.get("deal").map(|_| deal()), reason },
        "disqualified" => Move::Disqualified { reason },
        "churned" => Move::Churned,
        _ => panic!("{kind} is no kind of feedback"),
    }
}

fn delivery(id: &str) -> DeliveryId {
    DeliveryId::new("case", id)
}

impl Case {
    /// Gives the case's playbook as a document.
    fn playbook(&self, document: &Value) -> Value {
        let mut document = patched(document.clone(), &self.playbook);
        if let Some(when) = &self.when {
            document["segments"] = json!([{"id": MET, "when": when}, {"id": UNMET, "when": {"not": when}}]);
        }
        document
    }
}

impl Step {
    fn arrives(&self) -> Timestamp {
        time(self.arrives.as_deref().unwrap_or(&self.at))
    }

    fn incoming(&self, number: usize) -> Incoming {
        let at = time(&self.at);
        let person = self.by.as_deref().map(slug);
        let mut facts = Vec::new();
        facts.extend(self.captured.as_ref().map(|c| Fact::Captured(Box::new(capture(c, at)))));
        facts.extend(self.activity.as_ref().map(|value| Fact::Activity(activity(value))));
        facts.extend(self.sales.as_ref().map(|value| Fact::Sales {
            what: sales(value),
            by: person.clone(),
            note: None,
        }));
        facts.extend(self.follow_up.as_ref().map(|channel| Fact::FollowUp {
            channel: channel.clone(),
            result: None,
            by: person.clone(),
            note: None,
        }));
        facts.extend(self.consent.as_ref().map(|said| Fact::Consent(consent(said, at))));
        facts.extend(self.withdrawn.as_ref().map(|id| Fact::Withdrawn { id: delivery(id), note: None }));
        assert_eq!(facts.len(), 1, "the fact at {} must say exactly one thing", self.at);
        Incoming {
            delivery: delivery(&self.id.clone().unwrap_or_else(|| number.to_string())),
            occurred_at: at,
            history: self.history,
            by: "test".to_owned(),
            strict: self.strict,
            fact: facts.remove(0),
        }
    }
}

/// Reads what a person's record says of when they work.
pub(crate) fn schedule(record: &Value) -> Schedule {
    let faults = Faults::new();
    let object = Node::root(record, &faults).object().unwrap();
    let schedule = Schedule::read(&object);
    object.finish();
    faults.into_result(schedule).unwrap_or_else(|faults| panic!("{record}: {faults:?}"))
}

/// Makes people of their records; `usual` are the hours of those who have none.
pub(crate) fn people(records: &BTreeMap<String, Value>, usual: Option<&Week>) -> People {
    let one = |(id, record): (&String, &Value)| {
        let mut record = record.clone();
        let mut field =
            |key: &str| record.as_object_mut().unwrap().remove(key).filter(|field| !field.is_null());
        let [deputy, manager] =
            ["deputy", "manager"].map(|key| field(key).map(|id| slug(id.as_str().unwrap())));
        let left_at = field("left_at").map(|at| time(at.as_str().unwrap()));
        let mut room = |key: &str| field(key).map(|n| u32::try_from(n.as_u64().unwrap()).unwrap());
        let room = Room { a_day: room("daily_capacity"), open: room("open_capacity") };
        let calendar = schedule(&record).calendar(usual);
        (slug(id), Person { calendar, deputy, manager, left_at, room })
    };
    records.iter().map(one).collect()
}

/// A lead while its facts arrive.
pub(crate) struct Play<'a> {
    playbook: &'a Playbook,
    people: People,
    id: LeadId,
    lead: Option<Lead>,
    now: Timestamp,
    number: usize,
    outcomes: Vec<String>,
    events: Vec<String>,
    effects: Vec<String>,
}

impl<'a> Play<'a> {
    pub(crate) fn new(playbook: &'a Playbook, id: LeadId) -> Self {
        Self {
            playbook,
            people: People::default(),
            id,
            lead: None,
            now: Timestamp::default(),
            number: 0,
            outcomes: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Lets people with records answer for the lead.
    fn by(self, people: &BTreeMap<String, Value>) -> Self {
        let people = self::people(people, self.playbook.promises.working_hours.as_ref());
        Self { people, ..self }
    }

    pub(crate) fn lead(&self) -> &Lead {
        self.lead.as_ref().unwrap()
    }

    /// Lets one fact arrive.
    pub(crate) fn step(&mut self, step: &Step) {
        self.now = step.arrives();
        self.number += 1;
        if let Some(version) = step.review {
            match advance(self.lead(), self.playbook, version, None, &self.people, self.now) {
                Some(change) => self.take(change, "reviewed"),
                None => {
                    self.outcomes.push("unchanged".to_owned());
                    self.effects.clear();
                }
            }
            return;
        }
        let subject = match self.lead.take() {
            Some(lead) => Subject::Existing(Box::new(lead)),
            None => Subject::New { id: self.id.clone(), playbook_version: 1 },
        };
        let claims = step.identity.iter().map(|text| identity(text)).collect();
        let incoming = step.incoming(self.number);
        let change = decide(subject, claims, &[], &[incoming], self.playbook, &self.people, self.now);
        let outcome = match change.outcomes.first().unwrap() {
            Outcome::Created { .. } => "created".to_owned(),
            Outcome::Updated { .. } => "updated".to_owned(),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Illegal { stage, legal } => format!("illegal in {stage}: {}", legal.join(", ")),
        };
        self.take(change, &outcome);
    }

    fn take(&mut self, change: Change, outcome: &str) {
        self.outcomes.push(outcome.to_owned());
        self.events.extend(change.events.iter().map(|event| event.kind.as_str().to_owned()));
        self.effects = change.entries.iter().flat_map(|entry| &entry.effects).filter_map(shown).collect();
        self.lead = Some(change.lead);
    }

    fn check(&self, expect: &Expect) -> Vec<String> {
        let lead = self.lead();
        let mut wrong = Vec::new();
        let mut same = |what: &str, wanted: Option<String>, found: String| {
            if let Some(wanted) = wanted
                && wanted != found
            {
                wrong.push(format!("{what}: expected {wanted}, found {found}"));
            }
        };
        let none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
        let list = |texts: &[String]| texts.join(" | ");
        let today = score(self.playbook, &lead.view(self.now.day()));
        same("fit", expect.fit.map(|n| n.to_string()), today.fit.to_string());
        same("engagement", expect.engagement.map(|n| n.to_string()), today.engagement.to_string());
        same("label", expect.label.clone(), today.label.to_string());
        let explained = explain(self.playbook, &lead.view(self.now.day()));
        assert_eq!(explained.score, today, "the explanation explains another score");
        let lines: Vec<String> = explained.lines.iter().map(line).collect();
        same("lines", expect.lines.as_deref().map(list), list(&lines));
        let because: Vec<String> = explained.lines.iter().map(|line| line.because.clone()).collect();
        same("because", expect.because.as_deref().map(list), list(&because));
        same("stage", expect.stage.clone(), lead.stage.to_string());
        same("team", expect.team.clone(), lead.team().as_str().to_owned());
        same("person", expect.person.clone(), none(lead.person.as_ref().map(ToString::to_string)));
        same("cycle", expect.cycle.map(|n| n.to_string()), lead.cycle.to_string());
        same("ready", expect.ready.map(|ready| ready.to_string()), lead.ready.to_string());
        let moment = |text: &Option<String>| {
            text.as_ref().map(|text| if text == "none" { text.clone() } else { time(text).to_string() })
        };
        same(
            "promise_due_at",
            moment(&expect.promise_due_at),
            none(lead.promise_due_at.map(|at| at.to_string())),
        );
        same("due_at", moment(&expect.due_at), none(lead.due_at.map(|at| at.to_string())));
        same("responded_at", moment(&expect.responded_at), none(lead.responded_at.map(|at| at.to_string())));
        let is = |id: &str| lead.segments.contains(&slug(id));
        let is = if is(MET) {
            "yes"
        } else if is(UNMET) {
            "no"
        } else {
            "unknown"
        };
        same("is", expect.is.clone(), is.to_owned());
        let segments: Vec<String> = lead.segments.iter().map(ToString::to_string).collect();
        same("segments", expect.segments.as_deref().map(list), list(&segments));
        for (purpose, status) in expect.consent.iter().flatten() {
            let found = lead.consents.status(word(Purpose::WORDS, purpose));
            let found = none(found.map(|status| status.as_str().to_owned()));
            same(&format!("consent {purpose}"), Some(status.clone()), found);
        }
        for (name, value) in expect.attributes.iter().flatten() {
            let found = lead.attributes.get(name.as_str()).map_or(Value::Null, |a| a.value.to_json());
            same(&format!("attribute {name}"), Some(value.to_string()), found.to_string());
        }
        for (name, value) in expect.company.iter().flatten() {
            let found = if name == "name" { &lead.company.name } else { &lead.company.domain };
            same(&format!("company {name}"), Some(value.clone()), none(found.clone()));
        }
        if let Some((first, last)) = &expect.touches {
            let channel = |touch: Option<&Touch>| none(touch.and_then(|touch| touch.channel.clone()));
            same("first touch", Some(first.clone()), channel(lead.touches.first.as_ref()));
            same("last touch", Some(last.clone()), channel(lead.touches.last()));
        }
        same("activities", expect.activities.map(|n| n.to_string()), lead.activities.to_string());
        same("outcomes", expect.outcomes.as_deref().map(list), list(&self.outcomes));
        same("effects", expect.effects.as_deref().map(list), list(&self.effects));
        same("events", expect.events.as_deref().map(list), list(&self.events));
        same("due_on", expect.due_on.clone(), none(lead.due_at.map(|at| at.day().to_string())));
        for (day, later) in &expect.on {
            let found = score(self.playbook, &lead.view(time(day).day()));
            same(&format!("fit on {day}"), later.fit.map(|n| n.to_string()), found.fit.to_string());
            same(
                &format!("engagement on {day}"),
                later.engagement.map(|n| n.to_string()),
                found.engagement.to_string(),
            );
            same(&format!("label on {day}"), later.label.clone(), found.label.to_string());
        }
        wrong
    }
}

fn line(line: &domain::score::Line) -> String {
    let part = if line.part == Part::Fit { "fit" } else { "engagement" };
    let what = match line.kind {
        LineKind::Points => String::new(),
        kind => format!(" {}", kind.as_str()),
    };
    let rule = line.rule.as_ref().map(|rule| format!(" {rule}")).unwrap_or_default();
    format!("{part}{what}{rule} {:+}", line.points)
}

/// Says an effect in a few words; the bare numbers of a score are no effect worth a word.
fn shown(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Created => "created".to_owned(),
        Effect::IdentityAdded { kind } => format!("known by {kind}"),
        Effect::PossibleDuplicate { lead } => format!("possible duplicate {lead}"),
        Effect::AttributeChanged { name, old: None, new } => format!("{name} = {new}"),
        Effect::AttributeChanged { name, old: Some(old), new } => format!("{name} = {new}, was {old}"),
        Effect::AttributeProposed { name, value } => format!("proposed {name} = {value}"),
        Effect::ConsentChanged { purpose, status } => format!("{} {}", purpose.as_str(), status.as_str()),
        Effect::ScoreChanged { old: Some(old), new } if old.label != new.label => {
            format!("{} to {}", old.label, new.label)
        }
        Effect::ScoreChanged { .. } => return None,
        Effect::StageChanged { from, to, skipped } => {
            let skipped: Vec<&str> = skipped.iter().map(|stage| stage.as_str()).collect();
            let over =
                if skipped.is_empty() { String::new() } else { format!(" over {}", skipped.join(", ")) };
            format!("{from} to {to}{over}")
        }
        Effect::HandedOff { to, territory: Some(territory), .. } => format!("handed to {to} for {territory}"),
        Effect::HandedOff { to, territory: None, .. } => format!("handed to {to}"),
        Effect::Routed(routed) => {
            let passed: Vec<String> = routed.passed.iter().map(ToString::to_string).collect();
            format!("{} by {} past {}", routed.to, routed.rule.as_str(), passed.join(", "))
        }
        Effect::PromiseDueSoon { owner, due_at } => format!("{owner} owes it an answer by {due_at}"),
        Effect::PromiseBroken { owner, to: None } => format!("{owner} let it pass"),
        Effect::PromiseBroken { owner, to: Some((to, due_at)) } => {
            format!("{owner} let it pass to {to} by {due_at}")
        }
        Effect::Held { owner } => format!("held for {owner}"),
        Effect::PersonaChanged { from, to, .. } => {
            let name = |id: &Option<Slug>| id.as_ref().map_or("none".to_owned(), ToString::to_string);
            format!("persona {} to {}", name(from), name(to))
        }
        Effect::PhaseChanged { from, to, .. } => {
            let name = |phase: &Option<Phase>| phase.map_or("none", Phase::as_str);
            format!("phase {} to {}", name(from), name(to))
        }
        Effect::SegmentEntered { segment, .. } => format!("into {segment}"),
        Effect::SegmentLeft { segment, .. } => format!("out of {segment}"),
        Effect::ProgramEntered { program, held_out, .. } => {
            format!("{} {program}", if *held_out { "held out of" } else { "in" })
        }
        Effect::ProgramLeft { program, exit, .. } => format!("out of {program}: {}", exit.as_str()),
        Effect::ContentExhausted { program } => format!("nothing left in {program}"),
        Effect::Impossible { step, stage } => format!("{} makes no sense in {stage}", step.as_str()),
        Effect::PlaybookChanged { from, to } => format!("playbook {from} to {to}"),
    })
}

impl File {
    /// Gives the name and the playbook of every case; `document` is what the file's own playbook stands on.
    pub(crate) fn playbooks(&self, document: &Value) -> Vec<(&str, Value)> {
        let document = patched(document.clone(), &self.playbook);
        self.cases.iter().map(|case| (case.name.as_str(), case.playbook(&document))).collect()
    }
}

/// Plays every case of a file, and panics with everything that came out otherwise.
pub(crate) fn play(name: &str) {
    play_with(name, &Value::Null);
}

/// Plays every case of a file that has no playbook of its own.
pub(crate) fn play_with(name: &str, document: &Value) {
    let file: File = read(name);
    let mut wrong = Vec::new();
    for (case, (_, document)) in file.cases.iter().zip(file.playbooks(document)) {
        let playbook = playbook(&document);
        let mut play = Play::new(&playbook, lead_id(1)).by(&file.people);
        let mut found = Vec::new();
        for (at, step) in case.given.iter().chain(&case.facts).enumerate() {
            if at == case.given.len() {
                play.outcomes.clear();
                play.events.clear();
            }
            play.step(step);
            let expected = step.expect.as_ref().map(|expect| play.check(expect)).unwrap_or_default();
            found.extend(expected.iter().map(|text| format!("after the fact at {}: {text}", step.at)));
        }
        found.extend(play.check(&case.expect));
        wrong.extend(found.iter().map(|text| format!("{}\n    {text}", case.name)));
    }
    assert!(wrong.is_empty(), "{name}\n{}", wrong.join("\n"));
}
