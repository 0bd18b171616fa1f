//! Reads what the local machine needs from `template.yaml`: the tables and the schedules.
//!
//! The template is what is deployed, so it is the one definition of a table's keys and of how often a function ticks.
//! Reading it takes three steps, each on its own: `yaml` turns the file into JSON with CloudFormation's short tags
//! written out (`!Ref X` becomes `{"Ref": "X"}`, as CloudFormation itself does); `intrinsics` evaluates the functions
//! that a single machine can answer, with the parameters' defaults; and this module picks the resources and checks them.
//! Everything else in the template is passed over: whether it is a *good* template is for `sam validate` and the tidy
//! tests to say.

mod intrinsics;
mod yaml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamViewType,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use intrinsics::Scope;

/// Why a template file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is not there, or cannot be read.
    #[error("the template {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is there, and its content is at fault.
    #[error("the template {} is damaged: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        fault: TemplateFault,
    },
}

/// What is wrong with a template's content.
#[derive(Debug, thiserror::Error)]
pub enum TemplateFault {
    /// The text is not YAML.
    #[error("{0}")]
    Yaml(Box<serde_saphyr::Error>),
    /// The text is YAML, and no CloudFormation template.
    #[error("it has no `Resources`")]
    NoResources,
    /// A condition leads back to itself, or conditions are nested beyond reason.
    #[error("condition `{0}` never comes to an end")]
    EndlessCondition(String),
    /// A resource is not what its type asks for.
    #[error("{resource}: {reason}")]
    Resource {
        /// The logical id, and for an event its name after a dot.
        resource: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The parts of a template that a single machine plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The tables, by logical id.
    pub tables: Vec<TableDefinition>,
    /// The schedules, by function and event.
    pub schedules: Vec<ScheduleDefinition>,
}

/// A table as the template defines it, in the SDK's words.
///
/// Its attributes are exactly those that its keys and its indexes' keys use, as DynamoDB demands.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDefinition {
    /// The resource's name in the template, such as `LeadsTable`.
    pub logical_id: String,
    /// The logical id without the suffix `Table`, such as `Leads`.
    pub name: String,
    /// The partition key and, where there is one, the sort key.
    pub key_schema: Vec<KeySchemaElement>,
    /// The types of all attributes that are part of a key.
    pub attributes: Vec<AttributeDefinition>,
    /// The global secondary indexes.
    pub indexes: Vec<GlobalSecondaryIndex>,
    /// The attribute that holds an item's time to live, where that is enabled.
    pub ttl_attribute: Option<String>,
    /// What the stream's records show, where the table has a stream.
    pub stream: Option<StreamViewType>,
}

impl TableDefinition {
    /// Tells whether the template gives the table a stream.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.stream.is_some()
    }
}

/// A function that is invoked by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleDefinition {
    /// The function's logical id, such as `RescoreFunction`.
    pub function: String,
    /// The event's name within the function, such as `Tick`.
    pub event: String,
    /// The expression as it is written, such as `rate(5 minutes)`.
    pub expression: String,
    /// What the expression means.
    pub cadence: Cadence,
    /// The event that the function receives: the schedule's `Input`, or an empty object where it has none.
    pub input: Value,
    /// Whether the schedule is switched on, given the parameters' defaults.
    pub enabled: bool,
}

/// How often a schedule ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cadence {
    /// Again and again after this time: `rate(…)`.
    Every(Duration),
    /// By the calendar: the six fields between the brackets of `cron(…)`, which are not looked into.
    Cron(String),
}

impl Cadence {
    /// Reads a schedule expression; nothing comes of one that EventBridge would refuse, or that fires just once.
    fn parse(expression: &str) -> Option<Self> {
        let (kind, rest) = expression.trim().split_once('(')?;
        let inner = rest.strip_suffix(')')?.trim();
        match kind {
            "rate" => {
                let (number, unit) = inner.split_once(' ')?;
                let number: u64 = number.parse().ok().filter(|&number| number > 0)?;
                let seconds = match unit.trim() {
                    "minute" | "minutes" => 60,
                    "hour" | "hours" => 60 * 60,
                    "day" | "days" => 24 * 60 * 60,
                    _ => return None,
                };
                Some(Self::Every(Duration::from_secs(number.checked_mul(seconds)?)))
            }
            "cron" if inner.split_whitespace().count() == 6 => Some(Self::Cron(inner.to_owned())),
            _ => None,
        }
    }
}

impl Template {
    /// Reads a template file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, is no CloudFormation template, or a table or schedule in it is at fault.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|fault| TemplateError::Damaged { path: path.to_owned(), fault })
    }

    /// Reads a template's text.
    ///
    /// # Errors
    ///
    /// Where it is no CloudFormation template, or a table or schedule in it is at fault.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let template = yaml::parse(text)?;
        let resources =
            template.get("Resources").and_then(Value::as_object).ok_or(TemplateFault::NoResources)?;
        let scope = Scope::of(&template);
        let mut tables = Vec::new();
        let mut schedules = Vec::new();
        for (logical_id, resource) in resources {
            if !scope.exists(resource)? {
                continue;
            }
            let properties = resource.get("Properties").unwrap_or(&Value::Null);
            match resource.get("Type").and_then(Value::as_str) {
                Some("AWS::DynamoDB::Table") => tables.push(table(logical_id, &scope.resolve(properties)?)?),
                Some("AWS::Serverless::Function") => {
                    let events = scope.resolve(properties.get("Events").unwrap_or(&Value::Null))?;
                    for (name, event) in events.as_object().unwrap_or(&Map::new()) {
                        schedules.extend(schedule(logical_id, name, event)?);
                    }
                }
                _ => {}
            }
        }
        tables.sort_by(|one: &TableDefinition, other| one.logical_id.cmp(&other.logical_id));
        schedules.sort_by(|one: &ScheduleDefinition, other| {
            (&one.function, &one.event).cmp(&(&other.function, &other.event))
        });
        Ok(Self { tables, schedules })
    }

    /// Finds a table by its short name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableDefinition> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// The properties of `AWS::DynamoDB::Table` that are read, as CloudFormation spells them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    key_schema: Vec<KeyElement>,
    attribute_definitions: Vec<Attribute>,
    #[serde(default)]
    global_secondary_indexes: Vec<Index>,
    #[serde(default)]
    local_secondary_indexes: Vec<Value>,
    time_to_live_specification: Option<TimeToLive>,
    stream_specification: Option<Stream>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: IndexProjection,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProjection {
    projection_type: String,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: Option<String>,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    stream_view_type: String,
}

fn table(logical_id: &str, properties: &Value) -> Result<TableDefinition, TemplateFault> {
    let fault = |reason: String| TemplateFault::Resource { resource: logical_id.to_owned(), reason };
    let properties: TableProperties = read(properties).map_err(fault)?;
    if !properties.local_secondary_indexes.is_empty() {
        return Err(fault("local secondary indexes are not read here; use a global one".to_owned()));
    }
    let attributes = properties
        .attribute_definitions
        .iter()
        .map(attribute)
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;
    let key_schema = key_schema(&properties.key_schema).map_err(fault)?;
    let indexes = properties
        .global_secondary_indexes
        .iter()
        .map(index)
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;

    // DynamoDB refuses both a key attribute without a type and a type without a key; its message names neither.
    let defined: BTreeSet<_> = attributes.iter().map(AttributeDefinition::attribute_name).collect();
    let used: BTreeSet<_> = key_schema
        .iter()
        .chain(indexes.iter().flat_map(GlobalSecondaryIndex::key_schema))
        .map(KeySchemaElement::attribute_name)
        .collect();
    if let Some(name) = used.difference(&defined).next() {
        return Err(fault(format!("key attribute `{name}` has no `AttributeDefinitions` entry")));
    }
    if let Some(name) = defined.difference(&used).next() {
        return Err(fault(format!("attribute `{name}` is defined and part of no key")));
    }

    let ttl_attribute = match properties.time_to_live_specification {
        Some(TimeToLive { enabled: true, attribute_name: None }) => {
            return Err(fault("the time to live is enabled and names no attribute".to_owned()));
        }
        Some(TimeToLive { enabled: true, attribute_name }) => attribute_name,
        Some(TimeToLive { enabled: false, .. }) | None => None,
    };
    let stream = properties
        .stream_specification
        .as_ref()
        .map(|stream| one_of(&stream.stream_view_type, StreamViewType::values(), "stream view type"))
        .transpose()
        .map_err(fault)?;
    Ok(TableDefinition {
        logical_id: logical_id.to_owned(),
        name: logical_id
            .strip_suffix("Table")
            .filter(|name| !name.is_empty())
            .unwrap_or(logical_id)
            .to_owned(),
        key_schema,
        attributes,
        indexes,
        ttl_attribute,
        stream: stream.map(StreamViewType::from),
    })
}

fn attribute(attribute: &Attribute) -> Result<AttributeDefinition, String> {
    let kind = one_of(&attribute.attribute_type, ScalarAttributeType::values(), "attribute type")?;
    AttributeDefinition::builder()
        .attribute_name(&attribute.attribute_name)
        .attribute_type(kind.into())
        .build()
        .map_err(|error| error.to_string())
}

fn key_schema(elements: &[KeyElement]) -> Result<Vec<KeySchemaElement>, String> {
    let schema = elements
        .iter()
        .map(|element| {
            let kind = one_of(&element.key_type, KeyType::values(), "key type")?;
            KeySchemaElement::builder()
                .attribute_name(&element.attribute_name)
                .key_type(kind.into())
                .build()
                .map_err(|error| error.to_string())
        })
        .collect::<Result<Vec<_>, String>>()?;
    let kinds: Vec<&KeyType> = schema.iter().map(KeySchemaElement::key_type).collect();
    match kinds.as_slice() {
        [KeyType::Hash] | [KeyType::Hash, KeyType::Range] => Ok(schema),
        _ => Err("a key is one `HASH` element, and at most one `RANGE` element after it".to_owned()),
    }
}

fn index(index: &Index) -> Result<GlobalSecondaryIndex, String> {
    let kind = one_of(&index.projection.projection_type, ProjectionType::values(), "projection type")?;
    let attributes =
        Some(index.projection.non_key_attributes.clone()).filter(|attributes| !attributes.is_empty());
    let projection =
        Projection::builder().projection_type(kind.into()).set_non_key_attributes(attributes).build();
    GlobalSecondaryIndex::builder()
        .index_name(&index.index_name)
        .set_key_schema(Some(key_schema(&index.key_schema)?))
        .projection(projection)
        .build()
        .map_err(|error| error.to_string())
}

/// Checks a word against those that the SDK knows; the SDK itself takes any, for services that are newer than it is.
fn one_of<'a>(word: &'a str, known: &[&str], what: &str) -> Result<&'a str, String> {
    if known.contains(&word) {
        return Ok(word);
    }
    Err(format!("`{word}` is no {what}; it is one of {}", known.join(", ")))
}

/// The properties of the two event types that are read; `Schedule` is the older one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleProperties {
    #[serde(alias = "Schedule")]
    schedule_expression: String,
    input: Option<Value>,
    state: Option<String>,
    enabled: Option<bool>,
}

fn schedule(
    function: &str,
    event: &str,
    definition: &Value,
) -> Result<Option<ScheduleDefinition>, TemplateFault> {
    if !matches!(definition.get("Type").and_then(Value::as_str), Some("ScheduleV2" | "Schedule")) {
        return Ok(None);
    }
    let fault = |reason: String| TemplateFault::Resource { resource: format!("{function}.{event}"), reason };
    let properties: ScheduleProperties =
        read(definition.get("Properties").unwrap_or(&Value::Null)).map_err(fault)?;
    let expression = properties.schedule_expression;
    let Some(cadence) = Cadence::parse(&expression) else {
        return Err(fault(format!("`{expression}` is neither `rate(…)` nor `cron(…)`")));
    };
    let input = match properties.input {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(json)) => serde_json::from_str(&json).map_err(|error| {
            fault(format!("its `Input` is not JSON with the parameters' defaults: {error}"))
        })?,
        Some(_) => return Err(fault("its `Input` is not a string of JSON".to_owned())),
    };
    let enabled = properties.enabled.unwrap_or(true) && properties.state.as_deref() != Some("DISABLED");
    Ok(Some(ScheduleDefinition {
        function: function.to_owned(),
        event: event.to_owned(),
        expression,
        cadence,
        input,
        enabled,
    }))
}

fn read<T: DeserializeOwned>(properties: &Value) -> Result<T, String> {
    T::deserialize(properties).map_err(|error| error.to_string())
}
