//! What each word of a condition means, read twice.
//!
//! The evaluator reads a condition, and so does [`crate::sql`], which was written from `docs/conditions.md` alone. Both
//! have to give what the cases say, and to agree on leads and conditions that nobody chose.

use crate::case::{lead_id, playbook, read, time};
use crate::sql::Database;
use crate::starter::text;
use domain::attribute::{Attribute, AttributeName, AttributeValue, Attributes, normalise};
use domain::condition::{Condition, Level, View};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Consents, Purpose};
use domain::fault::Faults;
use domain::identity::{LeadId, Slug};
use domain::lead::{Touch, Touches};
use domain::ledger::Ledger;
use domain::persona::persona;
use domain::phase::{Phase, phase};
use domain::playbook::Playbook;
use domain::reader::Node;
use domain::score::{Label, Score};
use domain::segment::segments;
use domain::stage::Stage;
use domain::time::Day;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The day on which all are asked, unless said otherwise.
const TODAY: &str = "2026-03-02";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    playbook: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The sentence of the reference.
    says: String,
    when: Value,
    today: Option<String>,
    /// Leads that are met, that are not, and of whom it cannot be known.
    #[serde(default)]
    yes: Vec<Known>,
    #[serde(default)]
    no: Vec<Known>,
    #[serde(default)]
    unknown: Vec<Known>,
}

/// What is known of a lead.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Known {
    pub(crate) id: u8,
    /// Attributes.
    pub(crate) a: Map<String, Value>,
    /// How often each signal was seen on which days.
    pub(crate) s: BTreeMap<String, BTreeMap<String, u32>>,
    /// The first touch and the latest, where that is another.
    pub(crate) first: Option<BTreeMap<String, String>>,
    pub(crate) last: Option<BTreeMap<String, String>>,
    pub(crate) consent: BTreeMap<String, String>,
    pub(crate) fit: u8,
    pub(crate) engagement: u8,
    pub(crate) stage: String,
    pub(crate) since: String,
    pub(crate) person: Option<String>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            id: 1,
            a: Map::new(),
            s: BTreeMap::new(),
            first: None,
            last: None,
            consent: BTreeMap::new(),
            fit: 0,
            engagement: 0,
            stage: "contact".to_owned(),
            since: TODAY.to_owned(),
            person: None,
        }
    }
}

impl Known {
    pub(crate) fn lead_id(&self) -> LeadId {
        lead_id(self.id)
    }

    /// Gives the attributes as the lead keeps them: a country by its code, where it is recognised.
    pub(crate) fn attributes(&self) -> BTreeMap<String, AttributeValue> {
        let value = |value: &Value| match value {
            Value::String(text) => AttributeValue::Text(text.clone()),
            Value::Bool(flag) => AttributeValue::Flag(*flag),
            other => AttributeValue::Number(other.as_f64().unwrap()),
        };
        let name = |name: &str| AttributeName::parse(name).unwrap();
        self.a.iter().map(|(n, v)| (n.clone(), normalise(&name(n), value(v)))).collect()
    }

    pub(crate) fn label(&self, playbook: &Playbook) -> Label {
        Label { fit: playbook.bands.fit(self.fit), engagement: playbook.bands.engagement(self.engagement) }
    }

    /// Asks the evaluator of the language; of the segments, each after those that it refers to.
    fn asked(&self, condition: &Condition, playbook: &Playbook, today: Day) -> Option<bool> {
        let attributes: Attributes = self
            .attributes()
            .into_iter()
            .map(|(name, value)| {
                let (set_at, set_by) = (today.start(), "test".to_owned());
                (AttributeName::parse(&name).unwrap(), Attribute { value, set_at, set_by, known_at: None })
            })
            .collect();
        let mut ledger = Ledger::default();
        for (signal, days) in &self.s {
            let key = playbook.signals.iter().find(|known| known.id.as_str() == signal).unwrap().key;
            days.iter().for_each(|(day, hits)| ledger.add(key, Day::parse(day).unwrap(), *hits));
        }
        let touch = |touch: &BTreeMap<String, String>, at: &str| Touch {
            at: time(at),
            channel: touch.get("channel").cloned(),
            campaign: touch.get("campaign").cloned(),
            landing_page: touch.get("landing_page").cloned(),
        };
        let touches = Touches {
            first: self.first.as_ref().map(|first| touch(first, "2026-01-01")),
            latest: self.last.as_ref().map(|last| touch(last, "2026-01-02")),
            ..Touches::default()
        };
        let mut consents = Consents::default();
        for (purpose, status) in &self.consent {
            consents.take(&ConsentFact {
                purpose: Purpose::WORDS.iter().find(|(word, _)| word == purpose).unwrap().1,
                status: ConsentStatus::WORDS.iter().find(|(word, _)| word == status).unwrap().1,
                basis: Basis::Consent,
                text: None,
                source: None,
                at: time("2026-01-01"),
            });
        }
        let score = Score { fit: self.fit, engagement: self.engagement, label: self.label(playbook) };
        let person = self.person.as_deref().map(|person| Slug::parse(person).unwrap());
        let stage = Stage::WORDS.iter().find(|(word, _)| *word == self.stage).unwrap().1;
        let (id, none) = (self.lead_id(), BTreeSet::new());
        let view = View {
            id: &id,
            attributes: &attributes,
            ledger: &ledger,
            withheld: &Ledger::default(),
            touches: &touches,
            consents: &consents,
            today,
            score: Some(&score),
            persona: None,
            stage: None,
            stage_since: time(&self.since),
            person: person.as_ref(),
            phase: None,
            segments: &none,
        };
        let mirrors = persona(playbook, &view).map(|persona| &persona.id);
        let view = View { persona: mirrors, stage: Some(stage), ..view };
        let view = View { phase: phase(playbook, &view), ..view };
        let found = segments(playbook, &view);
        condition.eval(&View { segments: &found, ..view })
    }
}

static FILE: LazyLock<File> = LazyLock::new(|| read("semantics.yaml"));
static PLAYBOOK: LazyLock<Playbook> = LazyLock::new(|| playbook(&FILE.playbook));

/// Reads a condition that has no faults.
fn condition(when: &Value) -> Condition {
    let faults = Faults::new();
    let read = PLAYBOOK.condition(&Node::root(when, &faults), Level::Segments);
    assert!(faults.is_empty(), "{when}: {faults:?}");
    read.unwrap()
}

fn in_words(is: Option<bool>) -> &'static str {
    match is {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

impl Case {
    fn today(&self) -> Day {
        Day::parse(self.today.as_deref().unwrap_or(TODAY)).unwrap()
    }

    /// Gives every lead with what the case says of it.
    fn leads(&self) -> impl Iterator<Item = (&Known, Option<bool>)> {
        (self.yes.iter().map(|lead| (lead, Some(true))))
            .chain(self.no.iter().map(|lead| (lead, Some(false))))
            .chain(self.unknown.iter().map(|lead| (lead, None)))
    }
}

#[test]
fn each_word_means_what_its_sentence_says_to_both_readers() {
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for case in &FILE.cases {
        let (when, today) = (condition(&case.when), case.today());
        let (leads, expected): (Vec<Known>, Vec<Option<bool>>) =
            case.leads().map(|(lead, is)| (lead.clone(), is)).unzip();
        let database = Database::of(&leads, &PLAYBOOK, today);
        let translated = database.ask(&case.when, &FILE.playbook);
        for ((lead, is), sql) in leads.iter().zip(expected).zip(translated) {
            asked += 1;
            for (reader, found) in [("the evaluator", lead.asked(&when, &PLAYBOOK, today)), ("SQL", sql)] {
                if found != is {
                    let (is, found) = (in_words(is), in_words(found));
                    wrong.push(format!(
                        "{}\n  {}: {lead:?}\n  {is}, {reader} says {found}",
                        case.says, case.when
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked >= 200, "only {asked} cases");
}

#[test]
fn each_sentence_of_the_reference_has_cases_and_each_case_its_sentence() {
    let text = text("docs/conditions.md");
    let sections = text.split("\n## ").skip(1).filter(|section| !section.starts_with("When time alone"));
    let rows = sections.flat_map(str::lines).filter(|line| line.starts_with("| "));
    // The first column names the words, the second is the sentence; the table of three values has more of them.
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 2);
    let sentences: BTreeSet<&str> = cells
        .map(|cells| cells[1].trim_end_matches(" |"))
        .filter(|sentence| *sentence != "sentence" && *sentence != "---")
        .collect();
    let said: BTreeSet<&str> = FILE.cases.iter().map(|case| case.says.as_str()).collect();
    assert!(sentences.len() > 60, "{} sentences", sentences.len());
    let without: Vec<_> = sentences.difference(&said).collect();
    assert!(without.is_empty(), "no case for: {without:#?}");
    let beyond: Vec<_> = said.difference(&sentences).collect();
    assert!(beyond.is_empty(), "the reference does not say: {beyond:#?}");
}

/// Draws a value of an attribute, each kind of it often enough to be asked for.
fn a_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![Just("red"), Just("Red wine"), Just("ÖBB"), Just("öbb"), Just("10%"), Just("a_b")];
    let number = prop_oneof![
        (-2_i32..20).prop_map(|n| json!(n)),
        (0_i32..10).prop_map(|n| json!(f64::from(n) + 0.5)),
    ];
    prop_oneof![
        2 => word.prop_map(Value::from),
        2 => number.clone(),
        1 => number.prop_map(|n| json!(n.to_string())),
        1 => any::<bool>().prop_map(Value::from),
        1 => a_date(),
    ]
}

fn a_day() -> impl Strategy<Value = Day> {
    let today = Day::parse(TODAY).unwrap();
    prop_oneof![
        6 => (-45_i32..45).prop_map(move |days| today.plus(days)),
        2 => (-15_000_i32..1_500).prop_map(move |days| today.plus(days)),
        1 => Just(Day::parse("2024-02-29").unwrap()),
        2 => (1_i16..40, -8_i32..8).prop_map(move |(years, days)| {
            today.plus(days).in_year(today.year() - years).unwrap()
        }),
    ]
}

fn a_date() -> impl Strategy<Value = Value> {
    let zone = prop_oneof![Just("Z"), Just("+01:00"), Just("-02:00")];
    prop_oneof![
        6 => a_day().prop_map(|day| json!(day.to_string())),
        2 => (a_day(), 0_u8..24, zone).prop_map(|(day, hour, zone)| json!(format!("{day}T{hour:02}:30:00{zone}"))),
        1 => prop_oneof![Just(json!("soon")), Just(json!("2026-02-30")), Just(json!("20260302"))],
    ]
}

fn a_touch() -> impl Strategy<Value = Option<BTreeMap<String, String>>> {
    let field = |words: [&'static str; 3]| prop::option::of(prop::sample::select(words.to_vec()));
    let fields = (
        field(["search", "email", "Print"]),
        field(["spring", "Spring-26", "winter"]),
        field(["/", "/demo", "/en"]),
    );
    prop::option::of(fields.prop_map(|(channel, campaign, page)| {
        let all = [("channel", channel), ("campaign", campaign), ("landing_page", page)];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }))
}

fn a_lead() -> impl Strategy<Value = Known> {
    let country = prop_oneof![
        3 => prop::sample::select(vec!["AT", "Österreich", "CH", "DE", "FR", "PT"]).prop_map(Value::from),
        1 => prop_oneof![Just(json!("Atlantis")), Just(json!(43)), Just(json!(true))],
    ];
    let attributes = (
        [prop::option::of(a_value()), prop::option::of(a_value())],
        [prop::option::of(a_date()), prop::option::of(a_date())],
        prop::option::weighted(0.7, country),
        prop::option::of((0_i32..3).prop_map(|n| json!(n))),
    );
    let attributes = attributes.prop_map(|([a, b], [d, e], country, x)| {
        let all = [("a", a), ("b", b), ("d", d), ("e", e), ("country", country), ("x", x)];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    });
    let today = Day::parse(TODAY).unwrap();
    let day = prop_oneof![4 => -20_i32..=0, 1 => -900_i32..0, 1 => Just(1)];
    let days = prop::collection::btree_map(day.prop_map(move |n| today.plus(n).to_string()), 1_u32..4, 1..4);
    let signals = [prop::option::of(days.clone()), prop::option::of(days)].prop_map(|[asked, pricing]| {
        let all = [("asked", asked), ("pricing", pricing)];
        all.into_iter().filter_map(|(name, days)| Some((name.to_owned(), days?))).collect()
    });
    let purpose = prop::sample::select(vec!["marketing", "tracking", "ad_audience", "phone"]);
    let status = prop::sample::select(vec!["pending", "confirmed", "withdrawn"]);
    let consent = (purpose.prop_map(str::to_owned), status.prop_map(str::to_owned));
    let consent = prop::collection::btree_map(consent.0, consent.1, 0..3);
    let stages: Vec<&str> = Stage::WORDS.iter().map(|(word, _)| *word).collect();
    let stage = (prop::sample::select(stages), -1_i32..50, 0_u8..24);
    let stage = stage.prop_map(move |(stage, days, hour)| {
        (stage.to_owned(), format!("{}T{hour:02}:10:00Z", today.plus(-days)))
    });
    let person = prop::option::of(prop::sample::select(vec!["at-1", "at-2", "de-1"]).prop_map(str::to_owned));
    let rest = (a_touch(), a_touch(), consent, (0_u8..=100, 0_u8..=100), stage, person);
    (0_u8..=255, attributes, signals, rest).prop_map(
        |(id, a, s, (first, last, consent, score, stage, person))| {
            let last = last.filter(|_| first.is_some());
            let ((fit, engagement), (stage, since)) = (score, stage);
            Known { id, a, s, first, last, consent, fit, engagement, stage, since, person }
        },
    )
}

/// Draws a test of a value, in words that every value can be asked.
fn a_test() -> impl Strategy<Value = Value> {
    let bound = || (-2_i32..20).prop_map(|n| json!(n));
    let part = || prop::sample::select(vec!["red", "ö", "0", "%", "_", "r", "search", "SPRING", "/"]);
    let pattern = vec!["^red", "red$", "wine|bb", "^1", "^true$", "spring|search"];
    prop_oneof![
        3 => a_value().prop_map(|value| json!({"equals": value})),
        2 => prop::collection::vec(a_value(), 1..4).prop_map(|values| json!({"in": values})),
        1 => bound().prop_map(|n| json!({"at_least": n})),
        1 => bound().prop_map(|n| json!({"at_most": n})),
        1 => (-2_i32..20, 0_i32..9).prop_map(|(n, more)| json!({"at_least": n, "at_most": n + more})),
        1 => any::<bool>().prop_map(|known| json!({"exists": known})),
        1 => part().prop_map(|text| json!({"contains": text})),
        1 => part().prop_map(|text| json!({"starts_with": text})),
        1 => prop::sample::select(pattern).prop_map(|text| json!({"matches": text})),
    ]
}

/// Draws a test of a day that lies behind us.
fn a_past_day() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => a_day().prop_map(|day| json!({"after": day.to_string()})),
        2 => a_day().prop_map(|day| json!({"before": day.to_string()})),
        2 => (a_day(), 2_i32..90).prop_map(|(day, days)| {
            json!({"after": day.to_string(), "before": day.plus(days).to_string()})
        }),
        1 => a_day().prop_map(|day| json!({"on": day.to_string()})),
        3 => (1_u16..60).prop_map(|n| json!({"within_last_days": n})),
        3 => (1_u16..60).prop_map(|n| json!({"older_than_days": n})),
    ]
}

fn with(head: Value, tail: Value) -> Value {
    crate::case::patched(head, &tail)
}

/// Draws one test of everything that the language can ask.
fn a_simple_condition() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "d", "e", "country", "x"]);
    let date = prop_oneof![
        3 => a_past_day(),
        1 => (1_u16..60).prop_map(|n| json!({"within_next_days": n})),
        2 => prop_oneof![3 => 1_u16..60, 1 => 1_u16..=365].prop_map(|n| json!({"anniversary_within_days": n})),
        1 => name().prop_map(|other| json!({"equals_attribute": other})),
        1 => name().prop_map(|other| json!({"before_attribute": other})),
        1 => name().prop_map(|other| json!({"after_attribute": other})),
    ];
    let dated = prop_oneof![4 => prop::sample::select(vec!["d", "e"]), 1 => name()];
    let signal = || prop::sample::select(vec!["asked", "pricing"]);
    let window = prop::option::of(1_u16..40).prop_map(|n| json!({"within_days": n}));
    let often = prop_oneof![
        Just(json!({})),
        Just(json!({"never": true})),
        (0_u8..5).prop_map(|n| json!({"at_least": n})),
        (0_u8..5).prop_map(|n| json!({"at_most": n})),
        (0_u8..5).prop_map(|n| json!({"exactly": n})),
        (0_u8..3, 0_u8..3).prop_map(|(n, more)| json!({"at_least": n, "at_most": n + more})),
    ];
    let which = prop::sample::select(vec!["first_seen", "last_seen"]);
    let touch = prop_oneof![Just(json!({})), Just(json!({"touch": "first"})), Just(json!({"touch": "last"}))];
    let source = prop::sample::select(vec!["channel", "campaign", "landing_page"]);
    let purpose = prop::sample::select(vec!["marketing", "tracking", "ad_audience", "phone"]);
    let statuses = prop::option::of(subsequence(vec!["pending", "confirmed", "withdrawn"], 1..3));
    let labels: Vec<String> = "ABCD".chars().flat_map(|f| (1..=4).map(move |n| format!("{f}{n}"))).collect();
    let stages: Vec<&str> = Stage::WORDS.iter().map(|(word, _)| *word).collect();
    let phases: Vec<&str> = Phase::WORDS.iter().map(|(word, _)| *word).collect();
    let range = |most: u16| {
        prop_oneof![
            (0..=most).prop_map(|n| json!({"at_least": n})),
            (0..=most).prop_map(|n| json!({"at_most": n})),
            (0..=most, 0..=most).prop_map(|(a, b)| json!({"at_least": a.min(b), "at_most": a.max(b)})),
        ]
    };
    let people = subsequence(vec!["at-1", "at-2", "de-1"], 1..3);
    let countries = subsequence(vec!["AT", "Suisse", "DEU", "FR", "Portugal"], 1..4);
    prop_oneof![
        6 => (name(), a_test()).prop_map(|(name, test)| with(json!({"attribute": name}), test)),
        6 => (dated, date).prop_map(|(name, test)| with(json!({"attribute": name}), test)),
        1 => countries.prop_map(|countries| json!({"country": countries})),
        1 => subsequence(vec!["dach", "iberia"], 1..=2).prop_map(|regions| json!({"region": regions})),
        4 => (signal(), window, often)
            .prop_map(|(signal, window, often)| with(with(json!({"signal": signal}), window), often)),
        3 => (signal(), which, a_past_day())
            .prop_map(|(signal, which, test)| json!({"signal": signal, which: test})),
        3 => (source, touch, a_test())
            .prop_map(|(source, touch, test)| with(with(json!({"source": source}), touch), test)),
        2 => (purpose, statuses)
            .prop_map(|(purpose, status)| with(json!({"consent": purpose}), json!({"status": status}))),
        1 => subsequence(labels, 1..6).prop_map(|labels| json!({"label": labels})),
        1 => range(100).prop_map(|range| json!({"fit": range})),
        1 => range(100).prop_map(|range| json!({"engagement": range})),
        1 => subsequence(vec!["olga", "nils", "olaf"], 1..3).prop_map(|ids| json!({"persona": ids})),
        1 => subsequence(phases, 1..3).prop_map(|phases| json!({"phase": phases})),
        1 => subsequence(stages, 1..4).prop_map(|stages| json!({"stage": stages})),
        2 => range(50).prop_map(|range| json!({"in_stage_days": range})),
        1 => prop::sample::select(vec!["marketing", "sales"]).prop_map(|team| json!({"owner": {"team": team}})),
        1 => people.prop_map(|people| json!({"owner": {"person": people}})),
        1 => prop::sample::select(vec!["here", "there"]).prop_map(|id| json!({"segment": id})),
        1 => (1_u8..=100, prop::sample::select(vec!["spring", "autumn"]))
            .prop_map(|(percent, of)| json!({"sample": {"percent": percent, "of": of}})),
    ]
}

fn a_condition() -> impl Strategy<Value = Value> {
    a_simple_condition().prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| json!({"all": parts})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| json!({"any": parts})),
            inner.prop_map(|part| json!({"not": part})),
        ]
    })
}

/// Finds the first lead of which the two readers say different things.
fn disagreement(leads: &[Known], database: &Database, when: &Value) -> Option<String> {
    let today = Day::parse(TODAY).unwrap();
    let read = condition(when);
    let pairs = leads.iter().zip(database.ask(when, &FILE.playbook));
    let mut pairs = pairs.map(|(lead, sql)| (lead, lead.asked(&read, &PLAYBOOK, today), sql));
    let (lead, evaluated, sql) = pairs.find(|(_, evaluated, sql)| evaluated != sql)?;
    Some(format!("{when}\n{lead:?}\nthe evaluator says {}, SQL {}", in_words(evaluated), in_words(sql)))
}

/// A thousand leads, always the same.
static THOUSAND: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let leads = prop::collection::vec(a_lead(), 1_000);
    leads.new_tree(&mut TestRunner::deterministic()).unwrap().current()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_any_few_leads_and_conditions(
        leads in prop::collection::vec(a_lead(), 1..8), conditions in prop::collection::vec(a_condition(), 1..8)
    ) {
        let database = Database::of(&leads, &PLAYBOOK, Day::parse(TODAY).unwrap());
        for when in &conditions {
            let wrong = disagreement(&leads, &database, when);
            prop_assert!(wrong.is_none(), "{}", wrong.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_a_thousand_leads_under_two_hundred_conditions(when in a_condition()) {
        thread_local! {
            static DATABASE: Database = Database::of(&THOUSAND, &PLAYBOOK, Day::parse(TODAY).unwrap());
        }
        let wrong = DATABASE.with(|database| disagreement(&THOUSAND, database, &when));
        prop_assert!(wrong.is_none(), "{}", wrong.unwrap());
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says_and_lies_within_every_larger_one(
        percent in 1_u8..100, more in 0_u8..99, name in "[a-z]{1,8}", at in any::<Index>()
    ) {
        let share = |percent: u8| condition(&json!({"sample": {"percent": percent, "of": name}}));
        let today = Day::parse(TODAY).unwrap();
        let larger = percent.saturating_add(more).min(100);
        let inside = |share: &Condition, id: u8| {
            Known { id, ..Known::default() }.asked(share, &PLAYBOOK, today) == Some(true)
        };
        let id = at.index(256) as u8;
        prop_assert!(!inside(&share(percent), id) || inside(&share(larger), id));
        let share = share(percent);
        let found = (0..=255_u8).filter(|id| inside(&share, *id)).count() as f64;
        // Five deviations of the binomial distribution.
        let (n, p) = (256.0, f64::from(percent) / 100.0);
        prop_assert!((found - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt() + 1.0, "{found} of 256");
    }
}

/// Whether the random leads and conditions are worth asking: each answer comes often enough.
#[test]
fn all_three_answers_are_drawn_often() {
    let conditions = prop::collection::vec(a_condition(), 200);
    let conditions = conditions.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let today = Day::parse(TODAY).unwrap();
    let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
    for when in &conditions {
        let read = condition(when);
        for lead in THOUSAND.iter().step_by(10) {
            *answers.entry(in_words(lead.asked(&read, &PLAYBOOK, today))).or_default() += 1;
        }
    }
    assert!(answers.len() == 3 && answers.values().all(|n| *n > 2_000), "{answers:?}");
}
