//! One test for each file of cases.

use crate::case::{self, Play, Step, identity, lead_id, patched, playbook, read, time};
use domain::condition::TouchField;
use domain::identity::Identity;
use domain::lead::Lead;
use domain::money::{Currency, Money};
use domain::playbook::Playbook;
use domain::promise::People;
use domain::report::{Basis, Campaigns, Question, Row};
use domain::resolve::resolve;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn points_add_up_to_scores_as_the_playbook_says() {
    case::play("score.yaml");
}

#[test]
fn groups_caps_and_bands_make_a_score_of_points() {
    case::play("points.yaml");
}

#[test]
fn points_fade_by_the_day() {
    case::play("decay.yaml");
}

#[test]
fn a_day_is_a_utc_day_in_any_zone_and_any_year() {
    case::play("days.yaml");
}

#[test]
fn a_value_is_tested_as_what_it_is() {
    case::play("values.yaml");
}

#[test]
fn what_is_not_known_stays_unknown_until_something_decides() {
    case::play("logic.yaml");
}

#[test]
fn signals_are_counted_ever_and_within_windows() {
    case::play("signals.yaml");
}

#[test]
fn a_condition_may_ask_where_a_lead_came_from_and_where_it_stands() {
    case::play("standing.yaml");
}

#[test]
fn conditions_are_met_only_by_what_is_certainly_true() {
    case::play("conditions.yaml");
}

#[test]
fn a_lead_is_due_on_the_first_day_on_which_time_alone_changes_an_answer() {
    case::play("turns.yaml");
}

#[test]
fn a_ready_lead_is_handed_to_the_one_person_who_qualifies_its_country() {
    case::play("hand-off.yaml");
}

#[test]
fn a_promise_is_dated_in_working_hours_and_raised_once_when_it_is_due_soon_or_broken() {
    case::play_with("promised.yaml", &case::read::<serde_json::Value>("hand-off.yaml")["playbook"]);
}

#[test]
fn a_lead_that_sales_gave_back_comes_again_only_when_it_earned_it_anew() {
    case::play("return.yaml");
}

#[test]
fn facts_change_what_is_known_of_a_lead() {
    case::play("facts.yaml");
}

#[test]
fn what_sales_reports_moves_the_stage() {
    case::play("sales.yaml");
}

#[test]
fn every_file_of_cases_is_played() {
    let source = concat!(
        include_str!("attribution.rs"),
        include_str!("cases.rs"),
        include_str!("clock.rs"),
        include_str!("diff.rs"),
        include_str!("routing.rs"),
        include_str!("semantics.rs"),
        include_str!("starter.rs")
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(source.contains(&format!("(\"{name}\"")), "no test plays {name}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolving {
    #[serde(rename = "about")]
    _about: String,
    /// The leads that there are, with what they are known by. An identity belongs to the first lead that has it.
    leads: BTreeMap<String, Vec<String>>,
    cases: Vec<Delivery>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    name: String,
    delivered: Vec<String>,
    lead: String,
    #[serde(default)]
    claims: Vec<String>,
    #[serde(default)]
    possible_duplicates: Vec<String>,
}

#[test]
fn a_delivery_is_about_the_lead_that_its_strongest_known_identity_names() {
    let file: Resolving = read("resolve.yaml");
    let empty = playbook(&serde_json::json!({
        "name": "Empty",
        "bands": {"fit": {"A": 3, "B": 2, "C": 1}, "engagement": {"1": 3, "2": 2, "3": 1}},
        "marketing_qualified": {"labels": ["A1"]},
        "default_qualifier": "eu-1",
    }));
    let names: Vec<&String> = file.leads.keys().collect();
    let name_of = |id| {
        let at = (0..names.len()).find(|n| lead_id(*n as u8) == id);
        at.map_or_else(|| "unknown".to_owned(), |n| names[n].clone())
    };
    let mut owners: Vec<(Identity, Lead)> = Vec::new();
    for (n, known) in file.leads.values().enumerate() {
        let known: Vec<Identity> = known.iter().map(|text| identity(text)).collect();
        let lead = lead_known_by(&empty, n as u8, &known);
        for one in known {
            if !owners.iter().any(|(owned, _)| *owned == one) {
                owners.push((one, lead.clone()));
            }
        }
    }
    let mut wrong = Vec::new();
    for case in &file.cases {
        let mut delivered: Vec<Identity> = case.delivered.iter().map(|text| identity(text)).collect();
        let among: Vec<_> = owners.iter().filter(|(owned, _)| delivered.contains(owned)).cloned().collect();
        // Identities come in any order: each is the first one once.
        for _ in 0..delivered.len() {
            delivered.rotate_left(1);
            let found = resolve(&delivered, &among);
            let lead = found.lead.map_or_else(|| "new".to_owned(), name_of);
            let duplicates: Vec<String> = found.possible_duplicates.into_iter().map(name_of).collect();
            let claims: Vec<Identity> = case.claims.iter().map(|text| identity(text)).collect();
            if (&lead, &duplicates, &found.claims) != (&case.lead, &case.possible_duplicates, &claims) {
                wrong
                    .push(format!("{}: {lead}, claims {:?}, beside {duplicates:?}", case.name, found.claims));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn lead_known_by(playbook: &Playbook, n: u8, known: &[Identity]) -> Lead {
    use domain::change::{Capture, Fact, Incoming, Subject, decide};
    let fact = Incoming {
        delivery: domain::sales::DeliveryId::new("case", "first"),
        occurred_at: time("2026-03-02"),
        history: false,
        by: "test".to_owned(),
        strict: false,
        fact: Fact::Captured(Box::new(Capture { responded: true, ..Capture::default() })),
    };
    let subject = Subject::New { id: lead_id(n), playbook_version: 1 };
    decide(subject, known.to_vec(), &[], &[fact], playbook, People::nobody(), time("2026-03-02")).lead
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faulty {
    #[serde(rename = "about")]
    _about: String,
    /// A playbook without faults.
    playbook: Value,
    cases: Vec<FaultyCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultyCase {
    name: String,
    /// What is wrong about it, as a merge patch; or a whole other document.
    playbook: Value,
    /// Every fault: the pointer to its place, and what it says.
    expect: Vec<(String, String)>,
}

#[test]
fn every_fault_of_a_playbook_is_reported_at_once_with_its_place_and_what_would_be_right() {
    let file: Faulty = read("faults.yaml");
    playbook(&file.playbook);
    let mut wrong = Vec::new();
    for case in &file.cases {
        let document = patched(file.playbook.clone(), &case.playbook);
        let mut found: Vec<(String, String)> = match Playbook::parse(&document) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect(),
        };
        let mut expected = case.expect.clone();
        found.sort();
        expected.sort();
        let missing = expected.iter().filter(|fault| !found.contains(fault)).map(|f| format!("  not: {f:?}"));
        let beyond = found.iter().filter(|fault| !expected.contains(fault)).map(|f| format!("  but: {f:?}"));
        let lines: Vec<String> = missing.chain(beyond).collect();
        if found != expected {
            wrong.push(format!("{}\n{}", case.name, lines.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reporting {
    #[serde(rename = "about")]
    _about: String,
    playbook: Value,
    leads: BTreeMap<String, Vec<Step>>,
    cases: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    /// The leads that there are; all of them unless said otherwise.
    leads: Option<BTreeSet<String>>,
    group_by: String,
    basis: String,
    from: Option<String>,
    to: Option<String>,
    /// Leads, won, lost, open and revenue of each group.
    expect: BTreeMap<String, (u64, u64, u64, u64, Vec<String>)>,
}

#[test]
fn the_campaigns_report_counts_each_lead_and_each_deal_once() {
    let file: Reporting = read("report.yaml");
    let playbook = playbook(&file.playbook);
    let mut rows = BTreeMap::new();
    for (n, (name, steps)) in file.leads.iter().enumerate() {
        let mut play = Play::new(&playbook, lead_id(n as u8));
        steps.iter().for_each(|step| play.step(step));
        rows.insert(name.clone(), Row::of(play.lead()));
    }
    let mut wrong = Vec::new();
    for case in &file.cases {
        let word = |words: &[(&str, TouchField)]| words.iter().find(|(w, _)| *w == case.group_by).unwrap().1;
        let question = Question {
            group_by: word(TouchField::WORDS),
            basis: Basis::WORDS.iter().find(|(word, _)| *word == case.basis).unwrap().1,
            from: case.from.as_deref().map(time),
            to: case.to.as_deref().map(time),
        };
        let chosen: Vec<&Row> = rows
            .iter()
            .filter(|(name, _)| case.leads.as_ref().is_none_or(|leads| leads.contains(*name)))
            .filter_map(|(_, row)| row.as_ref())
            .collect();
        // A scan comes in any order: each lead is the first one once.
        for turn in 0..chosen.len().max(1) {
            let mut report = Campaigns::default();
            let (before, after) = chosen.split_at(turn);
            after.iter().chain(before).for_each(|row| report.add(&question, row));
            let found: BTreeMap<_, _> = report
                .finish(&question)
                .into_iter()
                .map(|(group, line)| {
                    let revenue = line.revenue.iter().map(|(currency, minor)| in_words(*minor, *currency));
                    let row = (line.leads, line.won, line.lost, line.open, revenue.collect());
                    (group.unwrap_or_else(|| "unknown".to_owned()), row)
                })
                .collect();
            if found != case.expect {
                wrong.push(format!("{} (turn {turn}): {found:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn in_words(minor: i64, currency: Currency) -> String {
    format!("{} {currency}", Money { minor, currency })
}
