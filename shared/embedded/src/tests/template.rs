use std::time::Duration;

use aws_sdk_dynamodb::types::{ProjectionType, ScalarAttributeType, StreamViewType};
use serde_json::json;

use super::TEMPLATE;
use crate::{Cadence, Template, TemplateError};

fn fault(text: &str) -> String {
    Template::parse(text).unwrap_err().to_string()
}

/// A template with one table, whose properties are given.
fn one_table(properties: &str) -> String {
    format!("Resources:\n  LeadsTable:\n    Type: AWS::DynamoDB::Table\n    Properties: {properties}\n")
}

#[test]
fn tables_are_read_with_their_keys_indexes_and_streams() {
    let template = Template::parse(TEMPLATE).unwrap();
    let names: Vec<_> = template.tables.iter().map(|table| (&*table.logical_id, &*table.name)).collect();
    assert_eq!(names, [("LeadsTable", "Leads"), ("Outbox", "Outbox")]);

    let leads = template.table("Leads").unwrap();
    assert_eq!(leads.key_schema[0].attribute_name(), "lead_id");
    let shard = leads.attributes.iter().find(|one| one.attribute_name() == "due_shard").unwrap();
    assert_eq!(shard.attribute_type(), &ScalarAttributeType::N, "YAML 1.1 would read `N` as `false`");
    let [due, inbox] = leads.indexes.as_slice() else { panic!("two indexes") };
    assert_eq!(due.index_name(), "due");
    assert_eq!(due.key_schema().len(), 2);
    assert_eq!(inbox.projection().unwrap().projection_type(), Some(&ProjectionType::Include));
    assert_eq!(inbox.projection().unwrap().non_key_attributes(), ["label", "stage"]);
    assert!(!leads.has_stream());
    assert_eq!(leads.ttl_attribute, None);

    let outbox = template.table("Outbox").unwrap();
    assert_eq!(outbox.stream, Some(StreamViewType::NewImage), "given by `!If`");
    assert_eq!(outbox.ttl_attribute.as_deref(), Some("expires_at"), "given by `!FindInMap`");
}

#[test]
fn schedules_are_read_with_the_parameters_defaults() {
    let template = Template::parse(TEMPLATE).unwrap();
    let [nightly, tick] = template.schedules.as_slice() else { panic!("two schedules, and no HTTP event") };
    assert_eq!((&*tick.function, &*tick.event), ("RescoreFunction", "Tick"));
    assert_eq!(tick.expression, "rate(5 minutes)");
    assert_eq!(tick.cadence, Cadence::Every(Duration::from_secs(300)));
    assert_eq!(tick.input, json!({"kind": "tick", "stage": "dev", "keep": "${Stage}"}));
    assert!(tick.enabled);
    assert_eq!(nightly.cadence, Cadence::Cron("0 3 * * ? *".to_owned()));
    assert_eq!(nightly.input, json!({}));
    assert!(!nightly.enabled);
}

#[test]
fn a_missing_template_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    let error = Template::read(&path).unwrap_err();
    assert!(matches!(error, TemplateError::Unreadable { .. }));
    let expected = format!("the template {} cannot be read: No such file or directory", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_damaged_template_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    std::fs::write(&path, "Resources:\n  LeadsTable: [\n").unwrap();
    let error = Template::read(&path).unwrap_err().to_string();
    assert!(error.contains("template.yaml is damaged: ") && error.contains("line 2"), "{error}");
    assert!(!error.contains('\n'), "one sentence: {error}");

    assert_eq!(fault("just words"), "it has no `Resources`");
    assert_eq!(fault(""), "it has no `Resources`");
    assert!(fault("Resources: {A: 1, A: 2}").contains("duplicate"), "{}", fault("Resources: {A: 1, A: 2}"));
}

#[test]
fn a_table_that_dynamodb_would_refuse_is_refused() {
    let key = "KeySchema: [{AttributeName: id, KeyType: HASH}]";
    let cases = [
        ("{}", "missing field `KeySchema`"),
        ("{KeySchema: [], AttributeDefinitions: []}", "a key is one `HASH` element"),
        (
            &format!("{{{key}, AttributeDefinitions: []}}"),
            "key attribute `id` has no `AttributeDefinitions` entry",
        ),
        (
            &format!("{{{key}, AttributeDefinitions: [{{AttributeName: id, AttributeType: X}}]}}"),
            "`X` is no attribute type; it is one of B, N, S",
        ),
        (
            &format!(
                "{{{key}, AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}, \
                 {{AttributeName: email, AttributeType: S}}]}}"
            ),
            "attribute `email` is defined and part of no key",
        ),
        ("{KeySchema: !Ref Somewhere, AttributeDefinitions: []}", "invalid type: map, expected a sequence"),
    ];
    for (properties, reason) in cases {
        let fault = fault(&one_table(properties));
        assert!(fault.starts_with("LeadsTable: ") && fault.contains(reason), "{properties}: {fault}");
    }
}

#[test]
fn a_schedule_that_cannot_tick_is_refused() {
    let event = |properties: &str| {
        format!(
            "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      Events:\n        \
             Tick: {{Type: ScheduleV2, Properties: {properties}}}\n"
        )
    };
    for expression in
        ["rate(0 minutes)", "rate(5 seconds)", "every day", "cron(* * *)", "at(2026-01-01T00:00:00)"]
    {
        let fault = fault(&event(&format!("{{ScheduleExpression: '{expression}'}}")));
        assert!(fault.starts_with("A.Tick: ") && fault.contains(expression), "{fault}");
    }
    let fault = fault(&event("{ScheduleExpression: rate(1 day), Input: '{'}"));
    assert!(fault.contains("`Input` is not JSON"), "{fault}");
}

#[test]
fn conditions_that_go_in_circles_come_to_an_end() {
    let text = "Conditions: {A: !Condition B, B: !Not [!Condition A]}\n\
                Resources: {T: {Type: AWS::DynamoDB::Table, Condition: A}}";
    assert!(fault(text).contains("never comes to an end"), "{}", fault(text));
    let text = "Resources: {T: {Type: AWS::DynamoDB::Table, Condition: Gone}}";
    assert_eq!(fault(text), "condition `Gone`: it is used and not defined");
}
