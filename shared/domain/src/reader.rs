//! Walks a JSON document and collects every fault on the way.
//!
//! `serde` stops at the first mistake; people who write playbooks and forms deserve all of them at once. So documents
//! that people or other systems send are walked by hand: each step either gives a value or has recorded why not, and
//! an [`Object`] refuses, when it is finished, the fields that nobody asked for. Playbooks and request bodies are
//! read with this same reader.

use crate::fault::Faults;
use crate::time::Timestamp;
use serde_json::{Map, Value};
use std::cell::RefCell;

/// Points at one value of a document.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    value: &'a Value,
    pointer: String,
    faults: &'a Faults,
}

/// Reads the fields of one object and remembers which were asked for.
#[derive(Debug)]
pub struct Object<'a> {
    map: &'a Map<String, Value>,
    pointer: String,
    faults: &'a Faults,
    asked: RefCell<Vec<&'a str>>,
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => format!("\"{}\"", s.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

impl<'a> Node<'a> {
    /// Starts at the root of a document.
    #[must_use]
    pub fn root(value: &'a Value, faults: &'a Faults) -> Self {
        Self { value, pointer: String::new(), faults }
    }

    /// Starts at a value that stands at `pointer` of a larger document.
    #[must_use]
    pub fn at(value: &'a Value, pointer: impl Into<String>, faults: &'a Faults) -> Self {
        Self { value, pointer: pointer.into(), faults }
    }

    /// Gives the value as it was sent.
    #[must_use]
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Gives the JSON pointer to this value.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Gives the collection into which faults go.
    #[must_use]
    pub fn faults(&self) -> &'a Faults {
        self.faults
    }

    /// Records what is wrong with this value.
    pub fn fault(&self, detail: impl Into<String>) {
        self.faults.add(self.pointer.clone(), detail);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.fault(format!("is {}; expected {what}", shown(self.value)));
        None
    }

    /// Reads an object.
    #[must_use]
    pub fn object(&self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(map) => Some(Object {
                map,
                pointer: self.pointer.clone(),
                faults: self.faults,
                asked: RefCell::default(),
            }),
            _ => self.expected("an object"),
        }
    }

    /// Reads a list.
    #[must_use]
    pub fn list(&self) -> Option<Vec<Node<'a>>> {
        match self.value {
            Value::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, value)| Node {
                        value,
                        pointer: format!("{}/{i}", self.pointer),
                        faults: self.faults,
                    })
                    .collect(),
            ),
            _ => self.expected("a list"),
        }
    }

    /// Reads a list, or one value as a list of one.
    #[must_use]
    pub fn list_or_one(&self) -> Vec<Node<'a>> {
        match self.value {
            Value::Array(_) => self.list().unwrap_or_default(),
            _ => vec![self.clone()],
        }
    }

    /// Reads a text that is not blank, trimmed, of at most `most` characters.
    #[must_use]
    pub fn text(&self, most: usize) -> Option<&'a str> {
        let Value::String(text) = self.value else { return self.expected("a text") };
        let text = text.trim();
        if text.is_empty() {
            return self.expected("a text that is not empty");
        }
        if text.chars().count() > most {
            self.fault(format!("is longer than {most} characters"));
            return None;
        }
        Some(text)
    }

    /// Reads `true` or `false`.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(b) => Some(*b),
            _ => self.expected("true or false"),
        }
    }

    /// Reads a whole number between `least` and `most`, both included.
    #[must_use]
    pub fn integer(&self, least: i64, most: i64) -> Option<i64> {
        match self.value.as_i64() {
            Some(n) if (least..=most).contains(&n) => Some(n),
            _ => self.expected(&format!("a whole number from {least} to {most}")),
        }
    }

    /// Reads a finite number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value.as_f64() {
            Some(n) if n.is_finite() => Some(n),
            _ => self.expected("a number"),
        }
    }

    /// Reads an RFC 3339 time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let Value::String(text) = self.value else {
            return self.expected("a time such as \"2026-02-01T12:00:00Z\"");
        };
        match Timestamp::parse(text) {
            Some(time) => Some(time),
            None => self.expected("an RFC 3339 time with its offset, such as \"2026-02-01T12:00:00Z\""),
        }
    }

    /// Reads one of a fixed set of words.
    #[must_use]
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        if let Value::String(text) = self.value
            && let Some((_, value)) = words.iter().find(|(word, _)| word == text)
        {
            return Some(*value);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.expected(&format!("one of: {}", all.join(", ")))
    }

    /// Reads a text through a parser whose error says what would be right.
    #[must_use]
    pub fn parsed<T, E: std::fmt::Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let Value::String(text) = self.value else { return self.expected("a text") };
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(error.to_string());
                None
            }
        }
    }
}

impl<'a> Object<'a> {
    /// Gives the JSON pointer to the object.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Records what is wrong with the object as a whole.
    pub fn fault(&self, detail: impl Into<String>) {
        self.faults.add(self.pointer.clone(), detail);
    }

    /// Gives the collection into which faults go.
    #[must_use]
    pub fn faults(&self) -> &'a Faults {
        self.faults
    }

    /// Gives a field if it is there; `null` counts as not there.
    #[must_use]
    pub fn optional(&self, key: &'static str) -> Option<Node<'a>> {
        self.asked.borrow_mut().push(key);
        self.node(key)
    }

    /// Gives a field, or records that it is missing.
    #[must_use]
    pub fn required(&self, key: &'static str) -> Option<Node<'a>> {
        let node = self.optional(key);
        if node.is_none() {
            self.faults.add(format!("{}/{key}", self.pointer), "is required");
        }
        node
    }

    fn node(&self, key: &str) -> Option<Node<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node { value, pointer: format!("{}/{}", self.pointer, escape(key)), faults: self.faults })
    }

    /// Gives every field with its name, for objects whose keys are free.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        self.map
            .iter()
            .map(|(key, value)| {
                let pointer = format!("{}/{}", self.pointer, escape(key));
                (key.as_str(), Node { value, pointer, faults: self.faults })
            })
            .collect()
    }

    /// Tells whether the object has a field of that name, `null` excepted.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Refuses the fields that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for key in self.map.keys().filter(|key| !asked.contains(&key.as_str())) {
            let mut known = asked.clone();
            known.sort_unstable();
            known.dedup();
            self.faults.add(
                format!("{}/{}", self.pointer, escape(key)),
                format!("is not a field here; the fields are: {}", known.join(", ")),
            );
        }
    }
}
