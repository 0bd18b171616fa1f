//! The repository checks itself: what stands in two places must say the same in both.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a failure is the answer"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The template with its short tags dropped, which is enough for what is asked here.
fn resources() -> BTreeMap<String, Value> {
    let template = playbook::yaml::read(&read("template.yaml")).unwrap();
    template["Resources"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, resource)| (name.clone(), resource.clone()))
        .collect()
}

fn folders() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// `lead-capture` → `LeadCapture`.
fn stem(folder: &str) -> String {
    folder
        .split('-')
        .map(|word| {
            let mut chars = word.chars();
            chars.next().unwrap().to_uppercase().collect::<String>() + chars.as_str()
        })
        .collect()
}

fn functions() -> BTreeMap<String, Value> {
    resources().into_iter().filter(|(_, r)| r["Type"] == "AWS::Serverless::Function").collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_folder_of_functions_has_its_resources_and_the_template_none_without_a_folder() {
    let resources = resources();
    for folder in folders() {
        for suffix in ["Function", "LogGroup", "DeadLetters", "ErrorsAlarm", "DeadLettersAlarm"] {
            let name = format!("{}{suffix}", stem(&folder));
            assert!(resources.contains_key(&name), "template.yaml has no {name} for functions/{folder}");
        }
        let function = &resources[&format!("{}Function", stem(&folder))];
        assert_eq!(function["Properties"]["CodeUri"], format!("functions/{folder}"));
        let events = root().join("events").join(&folder);
        let count = std::fs::read_dir(&events).map_or(0, Iterator::count);
        assert!(count > 0, "events/{folder} has no sample event");
    }
    let known: BTreeSet<String> =
        folders().iter().map(|folder| format!("{}Function", stem(folder))).collect();
    let present: BTreeSet<String> = functions().into_keys().collect();
    assert_eq!(present, known);
}

#[test]
fn no_function_depends_on_another_and_the_domain_on_nothing_of_ours() {
    let folders = folders();
    for folder in &folders {
        let manifest = read(format!("functions/{folder}/Cargo.toml"));
        for other in folders.iter().filter(|other| *other != folder) {
            assert!(!manifest.contains(&format!("\n{other}.workspace")), "{folder} depends on {other}");
        }
        assert!(!manifest.contains("embedded.workspace"), "{folder} depends on what is embedded");
    }
    let domain = read("shared/domain/Cargo.toml");
    for forbidden in ["adapters", "aws-", "lambda_", "tokio", "axum", "async-trait"] {
        assert!(!domain.contains(&format!("\n{forbidden}")), "domain depends on {forbidden}");
    }
}

#[test]
fn every_environment_variable_that_is_read_is_set_in_the_template_and_the_other_way_round() {
    let mut files = Vec::new();
    sources(&root().join("functions"), &mut files);
    sources(&root().join("shared/adapters/src"), &mut files);
    sources(&root().join("shared/mail/src"), &mut files);
    let mut asked = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for part in text.split(".required(\"").skip(1).chain(text.split(".optional(\"").skip(1)) {
            let name = part.split('"').next().unwrap();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                asked.insert(name.to_owned());
            }
        }
    }
    let template = playbook::yaml::read(&read("template.yaml")).unwrap();
    let mut set: BTreeSet<String> = BTreeSet::new();
    let mut add = |variables: &Value| {
        set.extend(variables.as_object().into_iter().flatten().map(|(name, _)| name.clone()))
    };
    add(&template["Globals"]["Function"]["Environment"]["Variables"]);
    functions().values().for_each(|function| add(&function["Properties"]["Environment"]["Variables"]));
    // Those that start with AWS_ are Lambda's and the SDK's own.
    let ours = |names: BTreeSet<String>| {
        names.into_iter().filter(|n| !n.starts_with("AWS_")).collect::<BTreeSet<_>>()
    };
    assert_eq!(ours(asked), ours(set));
}

/// The anchor that a heading gets: lower case, spaces to dashes, the rest of the punctuation dropped.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// Gives what the links of a page lead to, those into the web left out.
fn led_to(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:") && !target.contains(' '))
}

#[test]
fn every_link_of_the_docs_leads_to_a_file_and_a_heading_that_is_there() {
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/adr"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    let mut wrong = Vec::new();
    for page in &pages {
        let folder = Path::new(page).parent().unwrap().to_owned();
        let text = read(page);
        for target in led_to(&text) {
            let (file, heading) = target.split_once('#').map_or((target, None), |(f, h)| (f, Some(h)));
            let file = if file.is_empty() { PathBuf::from(page) } else { folder.join(file) };
            let there = root().join(&file).exists();
            let headed = there
                && heading.is_none_or(|heading| {
                    let lines = read(&file);
                    lines
                        .lines()
                        .filter(|line| line.starts_with('#'))
                        .any(|line| anchor(line.trim_start_matches('#')) == heading)
                });
            if !headed {
                wrong.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(pages.len() > 30);
}

#[test]
fn every_alarm_has_a_heading_in_the_runbook_and_every_heading_an_alarm() {
    let runbook = read("docs/runbook.md");
    let headings: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let mut targets = BTreeSet::new();
    for (name, resource) in resources().iter().filter(|(_, r)| r["Type"] == "AWS::CloudWatch::Alarm") {
        let description = resource["Properties"]["AlarmDescription"].as_str().unwrap_or_default();
        let target = description.rsplit("docs/runbook.md#").next().unwrap_or_default().trim_end_matches('.');
        assert!(
            headings.contains(target),
            "{name} points at runbook heading \"{target}\", which is not there"
        );
        targets.insert(target.to_owned());
    }
    assert_eq!(targets, headings);
}

#[test]
fn what_a_function_counts_in_its_log_is_a_metric_and_the_other_way_round() {
    let mut counted = BTreeSet::new();
    for folder in folders() {
        let mut files = Vec::new();
        sources(&root().join("functions").join(&folder).join("src"), &mut files);
        for text in files.iter().map(read) {
            // A field of a line of the log that is a number: `name = 1`, or `name = *number`.
            for call in text.split("tracing::").skip(1) {
                let Some((_, fields)) = call.split_once("!(") else { continue };
                let Some((name, value)) = fields.split_once(',').and_then(|(first, _)| first.split_once('='))
                else {
                    continue;
                };
                if value.trim() == "1" || value.trim().starts_with('*') {
                    counted.insert((format!("{}LogGroup", stem(&folder)), name.trim().to_owned()));
                }
            }
        }
    }
    let filters = resources().into_values().filter(|resource| resource["Type"] == "AWS::Logs::MetricFilter");
    let metrics: BTreeSet<(String, String)> = filters
        .map(|filter| {
            let properties = &filter["Properties"];
            let pattern = properties["FilterPattern"].as_str().unwrap();
            let (_, field) = pattern.split_once("$.fields.").unwrap();
            let field = field.split_once(" = * }").unwrap().0;
            let value = properties["MetricTransformations"][0]["MetricValue"].as_str().unwrap();
            assert_eq!(value, format!("$.fields.{field}"));
            (properties["LogGroupName"].as_str().unwrap().to_owned(), field.to_owned())
        })
        .collect();
    assert_eq!(counted, metrics);
}

#[test]
fn every_path_that_a_document_mentions_exists() {
    // Made by running something, so not in the repository.
    const MADE: &[&str] = &[".leadloop", "target/", ".aws-sam"];
    let mut documents = vec![PathBuf::from("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    for document in documents {
        let text = read(&document);
        let folder = document.parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(
                root().join(&folder).join(path).exists(),
                "{}: the link {link} leads nowhere",
                document.display()
            );
        }
        for code in text.split('`').skip(1).step_by(2) {
            let known = [
                "shared/",
                "functions/",
                "cli/",
                "tests/",
                "docs/",
                "playbooks/",
                "events/",
                ".ci/",
                "statemachines/",
            ];
            let looks = known.iter().any(|start| code.starts_with(start))
                && !code.contains(['<', '*', ' ', '{', '…', '$']);
            if looks && !MADE.iter().any(|made| code.starts_with(made)) {
                let path = code.split(':').next().unwrap();
                assert!(
                    root().join(path).exists(),
                    "{} mentions {code}, which is not there",
                    document.display()
                );
            }
        }
    }
}

#[test]
fn what_each_schedule_sends_is_among_the_sample_events() {
    for folder in folders() {
        let function = &resources()[&format!("{}Function", stem(&folder))];
        let samples: Vec<Value> = std::fs::read_dir(root().join("events").join(&folder))
            .unwrap()
            .map(|file| {
                serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap()
            })
            .collect();
        for (name, event) in function["Properties"]["Events"].as_object().into_iter().flatten() {
            if let Some(input) = event["Properties"]["Input"].as_str() {
                let input: Value = serde_json::from_str(input).unwrap();
                assert!(samples.contains(&input), "events/{folder} has no sample of {name}: {input}");
            }
        }
    }
}

#[test]
fn the_rule_of_notices_names_the_events_that_the_function_tells_of() {
    let rule = &resources()["NoticesRule"]["Properties"]["EventPattern"]["detail-type"];
    let named: BTreeSet<&str> = rule.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let told: Vec<String> =
        notify::TELLS.iter().map(|kind| adapters::cloud_event::type_of(kind.as_str())).collect();
    assert_eq!(named, told.iter().map(String::as_str).collect());
}

fn template_routes() -> BTreeSet<(String, String)> {
    functions()
        .values()
        .flat_map(|function| function["Properties"]["Events"].as_object().cloned().unwrap_or_default())
        .filter(|(_, event)| event["Type"] == "Api")
        .map(|(_, event)| {
            let properties = &event["Properties"];
            let method = properties["Method"].as_str().unwrap().to_lowercase();
            (method, properties["Path"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn every_route_of_the_template_is_in_the_api_description_and_the_other_way_round() {
    let api: Value = serde_json::from_str(&leadloop::openapi::document()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("responses").is_some() {
                described.insert((method.clone(), path.clone()));
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path} does not say what it does");
            }
        }
    }
    assert_eq!(template_routes(), described);
}

#[test]
fn the_committed_api_description_is_the_one_that_the_code_gives() {
    let committed: Value = serde_json::from_str(&read("docs/openapi.json")).unwrap();
    let current: Value = serde_json::from_str(&leadloop::openapi::document()).unwrap();
    assert!(committed == current, "docs/openapi.json is stale: cargo run -- openapi > docs/openapi.json");
    assert!(committed["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn the_starter_playbook_names_only_people_who_have_a_record() {
    let document = playbook::yaml::read(leadloop::starter::PLAYBOOK).unwrap();
    let people = playbook::yaml::read(leadloop::starter::PEOPLE).unwrap();
    let known: BTreeSet<&str> =
        people.as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    for person in domain::playbook::Playbook::parse(&document).unwrap().people() {
        assert!(known.contains(person.as_str()), "{person} has no record in b2b-starter.people.yaml");
    }
}
