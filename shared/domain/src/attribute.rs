//! What is known of a lead: named values, each with when and by whom it was set.
//!
//! A value that arrives late never overwrites a newer one, an empty value never erases one, and a public form only
//! fills what is empty: what a stranger types into a form must not change what sales found out.

use crate::country::Country;
use crate::fault::Faults;
use crate::reader::Node;
use crate::time::Timestamp;
use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The most attributes that one lead may have.
pub const MOST_ATTRIBUTES: usize = 100;
/// The longest text that one attribute may hold, in characters.
pub const LONGEST_TEXT: usize = 1_000;
/// The most that all attributes of one lead may hold together, in bytes of names and texts.
pub const MOST_BYTES: usize = 24 * 1024;
/// The attribute that holds the country, normalised to its ISO 3166-1 code where it is recognised.
pub const COUNTRY: &str = "country";

/// The value of an attribute or of an activity's property.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A text, not blank.
    Text(String),
    /// A finite number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl AttributeValue {
    /// Reads a value from JSON; `null` and blank texts are no value, lists and objects are a fault.
    #[must_use]
    pub fn read(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(_) => node.text(LONGEST_TEXT).map(|text| Self::Text(text.to_owned())),
            Value::Number(_) => node.number().map(Self::Number),
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            Value::Array(_) | Value::Object(_) => {
                node.fault("is a list or an object; expected a text, a number, true or false");
                None
            }
        }
    }

    /// Gives the value as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(n) => number_to_json(*n),
            Self::Flag(flag) => Value::Bool(*flag),
        }
    }

    /// Gives the size that counts towards [`MOST_BYTES`].
    #[must_use]
    pub fn size(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 8 }
    }
}

/// Writes whole numbers without a decimal point, as they were sent.
#[must_use]
pub fn number_to_json(n: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() < EXACT {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "whole and below 2^53, so the conversion is exact"
        )]
        return Value::Number(Number::from(n as i64));
    }
    Number::from_f64(n).map_or(Value::Null, Value::Number)
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(_) => write!(f, "{}", self.to_json()),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// The name of an attribute: lower case, digits and underscores, starting with a letter.
///
/// Scoring compares names far more often than anybody reads them, so the first sixteen bytes stand beside the text as
/// numbers: nearly every comparison ends there and never follows the pointer. The order is that of the texts.
#[derive(Clone)]
pub struct AttributeName {
    /// The first bytes, highest first, zero behind a shorter name.
    head: [u64; 2],
    text: Box<str>,
}

impl AttributeName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// A sentence that says what a name looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let ok = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if ok {
            let mut bytes = text.bytes();
            let mut eight = || (0..8).fold(0, |word, _| word << 8 | u64::from(bytes.next().unwrap_or(0)));
            Ok(Self { head: [eight(), eight()], text: text.into() })
        } else {
            Err(
                "is not the name of an attribute; expected 1 to 64 of a-z, 0-9 and _, starting with a letter, such as company_size",
            )
        }
    }

    /// Gives the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::borrow::Borrow<str> for AttributeName {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl PartialEq for AttributeName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AttributeName {}

impl PartialOrd for AttributeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AttributeName {
    fn cmp(&self, other: &Self) -> Ordering {
        // A name holds no zero byte: a last byte of zero says that there is no more to compare.
        self.head.cmp(&other.head).then_with(|| match self.head {
            [_, last] if last & 0xff == 0 => Ordering::Equal,
            _ => self.text.cmp(&other.text),
        })
    }
}

impl std::hash::Hash for AttributeName {
    /// As a text does, since a map may be asked for one.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttributeName").field(&self.text).finish()
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The value.
    pub value: AttributeValue,
    /// When the fact that set it happened.
    pub set_at: Timestamp,
    /// What set it: `form:contact`, `api`, `import`, `sales`.
    pub set_by: String,
    /// When it became known, where the client says so: what was known before the outcome may be learned from.
    pub known_at: Option<Timestamp>,
}

/// A value on its way to a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttribute {
    /// The value.
    pub value: AttributeValue,
    /// When it became known, where the client says so.
    pub known_at: Option<Timestamp>,
}

/// The attributes of a lead, by name.
pub type Attributes = BTreeMap<AttributeName, Attribute>;

/// Attributes on their way to a lead, by name.
pub type NewAttributes = BTreeMap<AttributeName, NewAttribute>;

/// Brings a value into the normal form of its attribute: countries become ISO codes where they are recognised.
#[must_use]
pub fn normalise(name: &AttributeName, value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::Text(text) if name.as_str() == COUNTRY => match Country::parse(&text) {
            Some(country) => AttributeValue::Text(country.as_str().to_owned()),
            None => AttributeValue::Text(text),
        },
        other => other,
    }
}

/// Reads an object of attributes. A value may stand alone or as `{"value": …, "known_at": …}`.
#[must_use]
pub fn read_attributes(node: &Node<'_>) -> NewAttributes {
    let mut attributes = NewAttributes::new();
    let Some(object) = node.object() else { return attributes };
    let entries = object.entries();
    if entries.len() > MOST_ATTRIBUTES {
        node.fault(format!("has {} attributes; a lead may have {MOST_ATTRIBUTES}", entries.len()));
        return attributes;
    }
    for (name, value) in entries {
        let name = match AttributeName::parse(name) {
            Ok(name) => name,
            Err(error) => {
                value.fault(error);
                continue;
            }
        };
        let (value, known_at) = match value.value() {
            Value::Object(_) => {
                let Some(object) = value.object() else { continue };
                let inner = object.required("value").and_then(|value| AttributeValue::read(&value));
                let known_at = object.optional("known_at").and_then(|at| at.time());
                object.finish();
                (inner, known_at)
            }
            _ => (AttributeValue::read(&value), None),
        };
        if let Some(value) = value {
            attributes.insert(name.clone(), NewAttribute { value: normalise(&name, value), known_at });
        }
    }
    attributes
}

/// Reads an activity's properties: any names, simple values.
#[must_use]
pub fn read_properties(node: &Node<'_>) -> BTreeMap<String, AttributeValue> {
    const MOST: usize = 50;
    let mut properties = BTreeMap::new();
    let Some(object) = node.object() else { return properties };
    let entries = object.entries();
    if entries.len() > MOST {
        node.fault(format!("has {} properties; an activity may have {MOST}", entries.len()));
        return properties;
    }
    for (name, value) in entries {
        if name.is_empty() || name.chars().count() > 64 {
            value.fault("is not the name of a property; expected 1 to 64 characters");
        } else if let Some(value) = AttributeValue::read(&value) {
            properties.insert(name.to_owned(), value);
        }
    }
    properties
}

/// Checks that the attributes of a lead stay within the size that one item can hold.
pub fn check_size(attributes: &NewAttributes, pointer: &str, faults: &Faults) {
    let bytes: usize = attributes.iter().map(|(name, a)| name.as_str().len() + a.value.size()).sum();
    if bytes > MOST_BYTES {
        faults.add(
            pointer,
            format!("holds {bytes} bytes; all attributes of a lead together may hold {MOST_BYTES}"),
        );
    }
}
