//! Conditions as sentences.
//!
//! Two conditions that differ in meaning read differently: texts that could be taken for something else stand in
//! quotes, and a title that two signals share comes with the id.

use super::{country_name, meaning};
use crate::reason::{Reason, part};
use serde_json::{Map, Value, json};

/// Says a condition as an English sentence, without a capital and a full stop: it goes on after "when".
///
/// Signals and segments go by their titles where the playbook's document has them, and by their ids in the empty one.
#[must_use]
pub fn in_words(condition: &Value, playbook: &Value) -> String {
    Words::of(playbook).condition(&meaning::condition(condition))
}

/// Gives the condition of an item of a playbook's document, as it is written: of a segment or persona by its id, or of a
/// phase by its word.
#[must_use]
pub fn condition_of<'a>(document: &'a Value, section: &str, id: &str) -> Option<&'a Value> {
    condition_at(document, section, id, "when")
}

/// Gives one of the conditions of an item as it is written.
#[must_use]
pub fn condition_at<'a>(document: &'a Value, section: &str, id: &str, field: &str) -> Option<&'a Value> {
    match document.get(section)? {
        Value::Array(items) => {
            let named = |item: &&Value| item.get("id").and_then(Value::as_str) == Some(id);
            items.iter().find(named)?.get(field)
        }
        phases => phases.get(id).filter(|when| !when.is_null()),
    }
}

/// Says the parts of a condition that decided it, each as a sentence.
#[must_use]
pub fn reasons_in_words(reasons: &[Reason], condition: &Value, playbook: &Value) -> Vec<String> {
    let say = |reason: &Reason| {
        let part = part(condition, reason.part)?;
        Some(match reason.answer {
            Some(true) => in_words(part, playbook),
            Some(false) => in_words(&json!({ "not": part }), playbook),
            None => format!("nobody knows whether {}", in_words(part, playbook)),
        })
    };
    reasons.iter().filter_map(say).collect()
}

/// Says what a playbook has, by the titles of its document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    playbook: &'a Value,
}

impl<'a> Words<'a> {
    pub(super) const fn of(playbook: &'a Value) -> Self {
        Self { playbook }
    }

    /// Says an item of a list of the playbook by its title.
    pub(super) fn title(&self, section: &str, id: &str) -> String {
        let items = self.playbook.get(section).and_then(Value::as_array).into_iter().flatten();
        let title = |item: &Value| {
            let said = item.get("title").or_else(|| item.get("name"));
            let said = said.and_then(Value::as_str).map(|text| text.trim().to_owned());
            said.or_else(|| Some(item.get("id")?.as_str()?.replace(['_', '-'], " ")))
        };
        let mut with_id = items.clone().filter(|item| item.get("id").is_some_and(|known| known == id));
        match with_id.next().and_then(title) {
            Some(text) if items.filter(|item| title(item).as_ref() == Some(&text)).count() > 1 => {
                format!("{} ({id})", quoted(&text))
            }
            Some(text) => quoted(&text),
            None => id.to_owned(),
        }
    }

    /// Says a condition that is in the form of [`meaning`].
    pub(super) fn condition(&self, condition: &Value) -> String {
        self.part(condition, false)
    }

    fn part(&self, condition: &Value, not: bool) -> String {
        let Value::Object(object) = condition else { return value(condition) };
        for (word, between) in [("all", " and "), ("any", " or ")] {
            if let Some(Value::Array(parts)) = object.get(word) {
                let parts: Vec<String> = parts.iter().map(|part| self.inner(part)).collect();
                let joined = parts.join(between);
                return if not { format!("not ({joined})") } else { joined };
            }
        }
        if let Some(part) = object.get("not") {
            return if not { format!("not ({})", self.part(part, true)) } else { self.part(part, true) };
        }
        if let Some(Value::String(name)) = object.get("attribute") {
            return test(object, &name.replace('_', " "), not);
        }
        if let Some(Value::String(id)) = object.get("signal") {
            return self.signal(object, id, not);
        }
        if let Some(Value::String(field)) = object.get("source") {
            let touch =
                if object.get("touch").is_some_and(|touch| touch == "last") { "latest" } else { "first" };
            return test(object, &format!("the {touch} {}", field.replace('_', " ")), not);
        }
        if let Some(Value::String(purpose)) = object.get("consent") {
            let subject = format!("the consent to {}", purpose.replace('_', " "));
            return one_of(object.get("status"), &subject, not);
        }
        if let Some(Value::Object(sample)) = object.get("sample") {
            let field = |key| sample.get(key).map(value).unwrap_or_default();
            let share = format!("the random {} % of {}", field("percent"), field("of"));
            return format!("{} {share}", if not { "not in" } else { "in" });
        }
        if let Some(Value::Array(countries)) = object.get("country") {
            let name = |code: &Value| Value::from(country_name(code.as_str().unwrap_or_default()));
            let named: Vec<Value> = countries.iter().map(name).collect();
            return one_of(Some(&Value::Array(named)), "the country", not);
        }
        if let Some(Value::Array(regions)) = object.get("region") {
            let titles = regions.iter().filter_map(Value::as_str).map(|id| self.title("regions", id));
            let titles: Vec<String> = titles.collect();
            let among = match (titles.as_slice(), not) {
                ([_], false) => "in the region",
                ([_], true) => "not in the region",
                (_, false) => "in one of the regions",
                (_, true) => "in none of the regions",
            };
            return format!("{among} {}", titles.join(", "));
        }
        if let Some(Value::Object(owner)) = object.get("owner") {
            return match owner.get("team") {
                Some(team) => format!("the team is {}{}", if not { "not " } else { "" }, value(team)),
                None => one_of(owner.get("person"), "the owner", not),
            };
        }
        if let Some(Value::Object(days)) = object.get("in_stage_days") {
            return test(days, "the number of days in its stage", not);
        }
        if let Some(Value::Array(personas)) = object.get("persona") {
            let titles = personas.iter().filter_map(Value::as_str).map(|id| self.title("personas", id));
            let titles: Vec<String> = titles.collect();
            let mirrors = match (titles.as_slice(), not) {
                ([_], false) => "mirrors",
                ([_], true) => "does not mirror",
                (_, false) => "mirrors one of",
                (_, true) => "mirrors none of",
            };
            return format!("{mirrors} {}", titles.join(", "));
        }
        for word in ["label", "stage", "phase"] {
            if object.contains_key(word) {
                return one_of(object.get(word), &format!("the {word}"), not);
            }
        }
        for word in ["fit", "engagement"] {
            if let Some(Value::Object(range)) = object.get(word) {
                // The ends of the scale say nothing.
                let bound = |key, end| range.get_key_value(key).filter(|(_, n)| n.as_i64() != Some(end));
                let bounds: Map<String, Value> = [bound("at_least", 0), bound("at_most", 100)]
                    .into_iter()
                    .flatten()
                    .map(|(key, n)| (key.clone(), n.clone()))
                    .collect();
                return test(if bounds.is_empty() { range } else { &bounds }, &format!("the {word}"), not);
            }
        }
        match object.get("segment") {
            Some(Value::String(id)) => {
                let title = self.title("segments", id);
                format!("{} the segment {title}", if not { "not in" } else { "in" })
            }
            _ => condition.to_string(),
        }
    }

    /// Says a part of several, in brackets where it has several parts itself.
    fn inner(&self, condition: &Value) -> String {
        let several =
            |word| condition.get(word).and_then(Value::as_array).is_some_and(|parts| parts.len() > 1);
        let said = self.part(condition, false);
        if several("all") || several("any") { format!("({said})") } else { said }
    }

    fn signal(&self, object: &Map<String, Value>, id: &str, not: bool) -> String {
        for (word, which) in [("first_seen", "first"), ("last_seen", "last")] {
            if let Some(Value::Object(days)) = object.get(word) {
                return test(
                    days,
                    &format!("the day on which {} was {which} seen", self.title("signals", id)),
                    not,
                );
            }
        }
        let count = |key| object.get(key).and_then(Value::as_i64);
        let (least, most) = (count("at_least").unwrap_or(1), count("at_most"));
        let often = match (least, most, not) {
            (0, Some(0), false) | (1, None, true) => "never".to_owned(),
            (least, None, false) => format!("at least {}", times(least)),
            (least, None, true) => format!("less than {}", times(least)),
            (0, Some(most), false) => format!("at most {}", times(most)),
            (0, Some(most), true) => format!("more than {}", times(most)),
            (least, Some(most), not) => {
                let not = if not { "not " } else { "" };
                if least == most {
                    format!("{not}exactly {}", times(least))
                } else {
                    format!("{not}{least} to {}", times(most))
                }
            }
        };
        let within = match count("within_days") {
            Some(1) => " today".to_owned(),
            Some(days) => format!(" within {days} days"),
            None => String::new(),
        };
        format!("{} {often}{within}", self.title("signals", id))
    }
}

/// Says what is asked of an activity's properties; nothing where nothing is.
pub(super) fn tests(tests: &Value) -> Option<String> {
    let asked: Vec<String> = tests
        .as_object()?
        .iter()
        .filter_map(|(name, asked)| Some(test(asked.as_object()?, &bare_or_quoted(name), false)))
        .collect();
    (!asked.is_empty()).then(|| asked.join(" and "))
}

/// Says what is asked of one value.
fn test(object: &Map<String, Value>, subject: &str, not: bool) -> String {
    if let Some(exists) = object.get("exists") {
        return format!("{subject} is {}known", if (exists == true) == not { "not " } else { "" });
    }
    if object.contains_key("in") {
        return one_of(object.get("in"), subject, not);
    }
    let does = |verb: &str, verb_not: &str, asked: &Value| {
        format!("{subject} {} {}", if not { verb_not } else { verb }, value(asked))
    };
    match (object.get("at_least"), object.get("at_most")) {
        (Some(least), Some(most)) => {
            return format!("{} to {}", does("is from", "is not from", least), value(most));
        }
        (Some(least), None) => return does("is at least", "is less than", least),
        (None, Some(most)) => return does("is at most", "is more than", most),
        (None, None) => {}
    }
    if let (Some(after), Some(before)) = (object.get("after"), object.get("before")) {
        return format!("{} and before {}", does("is after", "is not after", after), value(before));
    }
    for (word, verb, verb_not) in [
        ("within_last_days", "is within the last", "is not within the last"),
        ("within_next_days", "is within the next", "is not within the next"),
        ("older_than_days", "lies before the last", "does not lie before the last"),
        ("anniversary_within_days", "has an anniversary within", "has no anniversary within"),
    ] {
        if let Some(asked) = object.get(word) {
            return format!("{} day{}", does(verb, verb_not, asked), if *asked == 1 { "" } else { "s" });
        }
    }
    for (word, verb, verb_not) in [
        ("equals_attribute", "is the same as", "is not the same as"),
        ("before_attribute", "is before", "is not before"),
        ("after_attribute", "is after", "is not after"),
    ] {
        if let Some(Value::String(other)) = object.get(word) {
            let verb = if not { verb_not } else { verb };
            return format!("{subject} {verb} its {}", other.replace('_', " "));
        }
    }
    for (word, verb, verb_not) in [
        ("after", "is after", "is not after"),
        ("before", "is before", "is not before"),
        ("on", "is on", "is not on"),
        ("matches", "matches", "does not match"),
        ("starts_with", "starts with", "does not start with"),
        ("contains", "contains", "does not contain"),
    ] {
        if let Some(asked) = object.get(word) {
            return does(verb, verb_not, asked);
        }
    }
    format!("{subject} is as in {}", Value::Object(object.clone()))
}

fn one_of(values: Option<&Value>, subject: &str, not: bool) -> String {
    let values = values.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match values {
        [one] => format!("{subject} is {}{}", if not { "not " } else { "" }, value(one)),
        several => format!("{subject} is {} of {}", if not { "none" } else { "one" }, list(several)),
    }
}

/// Says values one after the other.
pub(super) fn list(values: &[Value]) -> String {
    values.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// Says a value.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => bare_or_quoted(text),
        other => other.to_string(),
    }
}

/// Puts a text in quotes, unless it is one word that nothing else could be meant by.
fn bare_or_quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-/.:+@".contains(c);
    let taken =
        text.parse::<f64>().is_ok() || ["true", "false", "and", "or", "to", "known", ""].contains(&text);
    if taken || !text.chars().all(plain) { quoted(text) } else { text.to_owned() }
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn times(n: i64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}
