//! CloudFormation's functions, as far as one machine can answer them.
//!
//! A table may be given a stream by `!If`, a schedule its rate by `!Ref`. With the parameters' defaults those have an
//! answer, and a fresh stack would be deployed with the same one. What has none without a deployment (a resource's name
//! or address, an import) stays as it is, a function in its long form: a reader that needs a string there says so, and
//! one that does not look there is not disturbed.

use serde_json::{Map, Value};

use super::TemplateFault;
use crate::REGION;

/// How deeply conditions may refer to each other.
const MAX_DEPTH: usize = 32;

/// What the names in a template stand for.
pub(super) struct Scope<'a> {
    parameters: Option<&'a Map<String, Value>>,
    conditions: Option<&'a Map<String, Value>>,
    mappings: Option<&'a Map<String, Value>>,
}

impl<'a> Scope<'a> {
    /// Takes the names from a template.
    pub(super) fn of(template: &'a Value) -> Self {
        let section = |name| template.get(name).and_then(Value::as_object);
        Self {
            parameters: section("Parameters"),
            conditions: section("Conditions"),
            mappings: section("Mappings"),
        }
    }

    /// Tells whether a resource is made at all, by its `Condition`.
    pub(super) fn exists(&self, resource: &Value) -> Result<bool, TemplateFault> {
        match resource.get("Condition").and_then(Value::as_str) {
            Some(name) => self.condition(name, 0),
            None => Ok(true),
        }
    }

    /// Evaluates every function in a value that has an answer here.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, TemplateFault> {
        Ok(self.value(value)?.unwrap_or(Value::Null))
    }

    /// Evaluates a value; nothing is left of `AWS::NoValue`.
    fn value(&self, value: &Value) -> Result<Option<Value>, TemplateFault> {
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            Value::Object(object) => {
                if let Some((function, argument)) = only_entry(object) {
                    match function {
                        "Ref" if argument == "AWS::NoValue" => return Ok(None),
                        "Ref" => return Ok(Some(self.reference(argument).unwrap_or_else(|| value.clone()))),
                        "Fn::If" => {
                            if let Some([Value::String(name), then, otherwise]) = elements(argument) {
                                return self.value(if self.condition(name, 0)? { then } else { otherwise });
                            }
                        }
                        "Fn::Sub" => {
                            return Ok(Some(self.substitute(argument)?.unwrap_or_else(|| value.clone())));
                        }
                        "Fn::FindInMap" => {
                            let argument = self.resolve(argument)?;
                            return Ok(Some(self.find_in_map(&argument).unwrap_or_else(|| value.clone())));
                        }
                        _ => {}
                    }
                }
                let mut resolved = Map::new();
                for (name, member) in object {
                    if let Some(member) = self.value(member)? {
                        resolved.insert(name.clone(), member);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    /// Finds what a name stands for: a pseudo parameter, or a parameter's default.
    fn reference(&self, name: &Value) -> Option<Value> {
        match name.as_str()? {
            "AWS::Region" => Some(REGION.into()),
            "AWS::Partition" => Some("aws".into()),
            "AWS::AccountId" => Some("000000000000".into()),
            "AWS::StackName" => Some("leadloop".into()),
            "AWS::URLSuffix" => Some("amazonaws.com".into()),
            name => self.parameters?.get(name)?.get("Default").cloned(),
        }
    }

    fn condition(&self, name: &str, depth: usize) -> Result<bool, TemplateFault> {
        if depth > MAX_DEPTH {
            return Err(TemplateFault::EndlessCondition(name.to_owned()));
        }
        match self.conditions.and_then(|conditions| conditions.get(name)) {
            Some(expression) => self.holds(expression, name, depth + 1),
            None => Err(TemplateFault::Resource {
                resource: format!("condition `{name}`"),
                reason: "it is used and not defined".to_owned(),
            }),
        }
    }

    /// Evaluates an expression of the `Conditions` section; `within` is the condition it belongs to.
    fn holds(&self, expression: &Value, within: &str, depth: usize) -> Result<bool, TemplateFault> {
        let fault = || TemplateFault::Resource {
            resource: format!("condition `{within}`"),
            reason: "it is not made of `Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not` and `Condition`"
                .to_owned(),
        };
        let (function, argument) = expression.as_object().and_then(only_entry).ok_or_else(fault)?;
        if let ("Condition", Some(name)) = (function, argument.as_str()) {
            return self.condition(name, depth);
        }
        let arguments = elements(argument).ok_or_else(fault)?;
        match (function, arguments) {
            ("Fn::Equals", [one, other]) => Ok(text(&self.resolve(one)?) == text(&self.resolve(other)?)),
            ("Fn::Not", [negated]) => Ok(!self.holds(negated, within, depth)?),
            ("Fn::And" | "Fn::Or", all) => {
                let mut results = all.iter().map(|one| self.holds(one, within, depth));
                match function {
                    "Fn::And" => results.try_fold(true, |so_far, result| Ok(so_far & result?)),
                    _ => results.try_fold(false, |so_far, result| Ok(so_far | result?)),
                }
            }
            _ => Err(fault()),
        }
    }

    /// Fills the `${names}` of a `Fn::Sub`; those without an answer stay.
    fn substitute(&self, argument: &Value) -> Result<Option<Value>, TemplateFault> {
        let (template, names) = match argument {
            Value::String(template) => (template, Value::Null),
            Value::Array(items) => match items.as_slice() {
                [Value::String(template), names] => (template, self.resolve(names)?),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let mut filled = String::new();
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            let literal = name.strip_prefix('!');
            let known = || names.get(name).cloned().or_else(|| self.reference(&name.into()));
            match (literal, known()) {
                (None, Some(value)) => filled.push_str(&text(&value)),
                (literal, _) => filled.push_str(&format!("${{{}}}", literal.unwrap_or(name))),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(Some(filled.into()))
    }

    fn find_in_map(&self, argument: &Value) -> Option<Value> {
        let [map, first, second] = elements(argument)? else { return None };
        self.mappings?.get(map.as_str()?)?.get(text(first))?.get(text(second)).cloned()
    }
}

/// Returns the entry of an object that has just one, which is how a function is written.
fn only_entry(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    let (name, value) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), value))
}

fn elements(value: &Value) -> Option<&[Value]> {
    value.as_array().map(Vec::as_slice)
}

/// Writes a value as CloudFormation does where it needs a string: parameters are strings, whatever they look like.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
