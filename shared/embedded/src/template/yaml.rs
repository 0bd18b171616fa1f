//! YAML with CloudFormation's short tags, as JSON with the long functions.
//!
//! serde-saphyr does not fail at a tag that it does not know: it drops it, so that `!Ref Name` read into a plain JSON
//! value would be the string `Name`, and a table could come to have a key called like a parameter. It does hand a tag to
//! whoever asks for it with `Tagged`, at every level. So this module asks at every node, and writes the tag out as the
//! function that it abbreviates. A tag that it was never told about is written out as well: nothing is lost silently.
//!
//! Booleans are YAML 1.2's, `true` and `false`. With YAML 1.1's words an `AttributeType: N` would be `false`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;

use super::TemplateFault;

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<Value, TemplateFault> {
    // No snippet: the message becomes part of a sentence, and it names line and column.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let Node(value) = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| TemplateFault::Yaml(Box::new(error)))?;
    Ok(value)
}

/// A node with its tag written out.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        Ok(Self(write_out(tag.as_deref(), value)))
    }
}

/// Turns a value with a short tag into the function that it stands for.
fn write_out(tag: Option<&str>, value: Value) -> Value {
    // YAML's own tags are resolved names (`tag:yaml.org,2002:str`); a lone `!` only says "not a number".
    let Some(short) = tag.and_then(|tag| tag.strip_prefix('!')).filter(|short| !short.is_empty()) else {
        return value;
    };
    let (function, argument) = match (short, value) {
        ("Ref" | "Condition", name) => (short.to_owned(), name),
        // `!GetAtt Table.StreamArn` has its argument as a list, split at the first dot.
        ("GetAtt", Value::String(path)) => {
            let parts = match path.split_once('.') {
                Some((resource, attribute)) => vec![resource.into(), attribute.into()],
                None => vec![Value::String(path)],
            };
            ("Fn::GetAtt".to_owned(), Value::Array(parts))
        }
        (_, argument) => (format!("Fn::{short}"), argument),
    };
    Value::Object(Map::from_iter([(function, argument)]))
}

/// A node whose own tag has been dealt with; what it contains are nodes with tags again.
struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode).map(Self)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Node(value) = entries.next_value()?;
            // A key that is there twice has been refused by the parser.
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
