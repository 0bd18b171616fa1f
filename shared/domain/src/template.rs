//! Templates: texts with `{{ expressions }}` in them, which people write and which may do nothing but give a value.
//!
//! The engine is `minijinja`, and most of it is shut out. There are no blocks, so nothing loops, includes or assigns; no
//! globals; and the only filters are those below, each with a bound of its own. What is left can make a value no longer than
//! what it is made of, times the length of the template. Multiplication is refused, since `"x" * 1000000000` is a text too.
//!
//! **A value, never a piece of JSON.** A template that is one expression gives that expression's value: a number stays a
//! number, nothing stays nothing. Any other gives a text. Either is put into its document as a value, so no name with a
//! quotation mark in it can break out. In an address each value is percent-encoded.
//!
//! **Strict.** What is not there is a fault, unless the template says what to take instead: `{{ lead.attributes.job_title |
//! default(none) }}`.

use crate::time::Timestamp;
use minijinja::value::{Serde, Value as Given};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest template, in bytes.
pub const LONGEST: usize = 2_000;
/// The longest that one may come out, in bytes.
pub const LONGEST_RENDERED: usize = 16 * 1024;
/// How many steps one may take.
const FUEL: u64 = 2_000;
/// What an address may hold as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A template that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

/// Words that a template looks up by the filter `person`, such as a CRM's owner ids.
pub type People = BTreeMap<String, String>;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a part of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        if text.contains("{%") || text.contains("{#") {
            return Err("has a block; a template holds expressions in {{ }} and nothing else".to_owned());
        }
        if expressions(text).contains('*') {
            return Err("multiplies, which no template does".to_owned());
        }
        let environment = environment(&People::new(), false);
        let compiled = match alone(text) {
            Some(expression) => environment.compile_expression(expression).map(|_| ()),
            None => environment.template_from_str(text).map(|_| ()),
        };
        match compiled {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("is no template: {error}")),
        }
    }

    /// Gives it as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Renders it to a value. `people` is what the filter `person` knows.
    ///
    /// # Errors
    ///
    /// Why it has none. It never quotes what it was given, which may be somebody's name.
    pub fn render(&self, context: &Value, people: &People) -> Result<Value, String> {
        let environment = environment(people, false);
        let rendered = match alone(&self.0) {
            Some(expression) => environment.compile_expression(expression).and_then(|expression| {
                let value = expression.eval(Given::from(Serde(context)))?;
                if value.is_undefined() {
                    return Err(Error::from(ErrorKind::UndefinedError));
                }
                serde_json::to_value(&value).map_err(|_| Error::from(ErrorKind::BadSerialization))
            }),
            None => text(&environment, &self.0, context).map(Value::String),
        };
        let value = rendered.map_err(|error| what_failed(&error))?;
        // The parts of a value are as long as the template and what it was given; a list may repeat them.
        if value.to_string().len() > 2 * LONGEST_RENDERED {
            return Err("comes out too long".to_owned());
        }
        Ok(value)
    }

    /// Renders it to an address, in which every value is percent-encoded; one that is nothing or empty is a fault, since it
    /// would make another address.
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub fn render_url(&self, context: &Value) -> Result<String, String> {
        let url = text(&environment(&People::new(), true), &self.0, context)
            .map_err(|error| what_failed(&error))?;
        // Dots cannot be encoded away: a server that takes `..` for a step up would find another address.
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(|step| step == "." || step == "..") {
            return Err("comes out with a step of dots, which leads elsewhere".to_owned());
        }
        Ok(url)
    }
}

/// Gives the part of a text in which its expressions are, from where the first begins to where the last ends. Where one of
/// them ends only the engine knows: `}}` may also end two lists of words, one in the other.
fn expressions(text: &str) -> &str {
    let behind = text.split_once("{{").map_or("", |(_, behind)| behind);
    behind.rsplit_once("}}").map_or(behind, |(inside, _)| inside)
}

/// Gives the expression of a text that is nothing else.
fn alone(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.trim_start_matches('-').trim_end_matches('-');
    (!inside.contains("{{") && !inside.contains("}}")).then_some(inside)
}

fn text(environment: &Environment<'_>, source: &str, context: &Value) -> Result<String, Error> {
    let mut written = Bounded(Vec::new());
    environment.template_from_str(source)?.render_captured_to(Given::from(Serde(context)), &mut written)?;
    String::from_utf8(written.0).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

fn what_failed(error: &Error) -> String {
    match error.kind() {
        ErrorKind::UndefinedError => {
            "uses what is not there; say what to take instead: | default(none)".to_owned()
        }
        ErrorKind::WriteFailure => "comes out too long".to_owned(),
        ErrorKind::OutOfFuel => "takes too many steps".to_owned(),
        kind => format!("cannot be rendered: {kind}"),
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_RENDERED {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn environment(people: &People, address: bool) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_formatter(move |out, _, value| {
        let text = if value.is_none() { String::new() } else { value.to_string() };
        match (address, text.is_empty()) {
            (true, true) => return Err(Error::from(ErrorKind::UndefinedError)),
            (true, false) => write!(out, "{}", utf8_percent_encode(&text, UNRESERVED))?,
            (false, _) => out.write_str(&text)?,
        }
        Ok(())
    });
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("lower", |text: &str| text.to_lowercase());
    environment.add_filter("upper", |text: &str| text.to_uppercase());
    environment.add_filter("trim", |text: &str| text.trim().to_owned());
    environment.add_filter("length", |value: Given| value.len().map_or(0, |n| n));
    environment
        .add_filter("text", |value: Given| if value.is_none() { value } else { value.to_string().into() });
    environment.add_filter("number", number);
    environment.add_filter("truncate", |text: &str, most: usize| text.chars().take(most).collect::<String>());
    environment.add_filter("join", join);
    environment.add_filter("day", day);
    environment.add_filter("millis", millis);
    environment.add_filter("time", time);
    let people = people.clone();
    environment.add_filter("person", move |id: Given| {
        let known = people.get(&id.to_string());
        known.cloned().ok_or_else(|| Error::from(ErrorKind::NonKey))
    });
    environment
}

/// Reads a number from a text; a number is one already.
fn number(value: Given) -> Result<Given, Error> {
    let Some(text) = value.as_str() else { return Ok(value) };
    let text = text.trim();
    let whole = text.parse::<i64>().map(Given::from);
    let read = whole.or_else(|_| text.parse::<f64>().map(Given::from));
    read.map_err(|_| Error::from(ErrorKind::InvalidOperation))
}

/// Joins the parts of a list. A text is no list here: joined with itself again and again it would grow without end.
fn join(list: Given, between: &str) -> Result<String, Error> {
    if list.as_str().is_some() {
        return Err(Error::from(ErrorKind::InvalidOperation));
    }
    let mut joined = String::new();
    for (at, part) in list.try_iter()?.enumerate() {
        if at > 0 {
            joined.push_str(between);
        }
        joined.push_str(&part.to_string());
        if joined.len() > LONGEST_RENDERED {
            return Err(Error::from(ErrorKind::WriteFailure));
        }
    }
    Ok(joined)
}

fn moment(value: &Given) -> Result<Timestamp, Error> {
    let millis = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let read = match millis {
        Some(millis) => Some(Timestamp::from_millis(millis)).filter(|at| *at >= Timestamp::EARLIEST),
        None => value.as_str().and_then(|text| Timestamp::parse_in(text, &jiff::tz::TimeZone::UTC)),
    };
    read.ok_or_else(|| Error::from(ErrorKind::InvalidOperation))
}

/// Gives the day of a time, as in 2026-11-22.
fn day(value: Given) -> Result<String, Error> {
    Ok(moment(&value)?.to_string().chars().take(10).collect())
}

/// Gives a time in milliseconds since 1970.
fn millis(value: Given) -> Result<i64, Error> {
    Ok(moment(&value)?.millis())
}

/// Gives a time as it is written here, from milliseconds or any RFC 3339 time.
fn time(value: Given) -> Result<String, Error> {
    Ok(moment(&value)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn context() -> Value {
        json!({"lead": {"email": "ada@company.example", "name": "Ada \"The\" Example\n{{ x }}", "score": 45,
            "tags": ["a", "b"], "none": null, "attributes": {"full_name": "Ada Example"}}, "item": {"at": 1_795_348_800_000_i64}})
    }

    fn rendered(text: &str) -> Result<Value, String> {
        Template::parse(text)?.render(&context(), &People::from([("77".to_owned(), "at-1".to_owned())]))
    }

    #[test]
    fn one_expression_gives_its_value_and_anything_else_a_text() {
        let cases = [
            ("{{ lead.email }}", json!("ada@company.example")),
            ("{{ lead.score }}", json!(45)),
            ("{{ lead.score / 2 > 20 }}", json!(true)),
            ("{{ lead.none }}", json!(null)),
            ("{{ lead.tags }}", json!(["a", "b"])),
            ("{{ lead.tags | join(';') }}", json!("a;b")),
            ("plain", json!("plain")),
            ("Score {{ lead.score }}{{ lead.none }}", json!("Score 45")),
            ("{{ lead.name }}", json!("Ada \"The\" Example\n{{ x }}")),
            ("{{ {'a': 'x', 'b': 'y'}['b'] }}", json!("y")),
            ("{{ {'a': 'x'}[lead.email] | default(none) }}", json!(null)),
            ("{{ lead.attributes.job | default(none) }}", json!(null)),
            ("{{ lead.attributes.last_name | default(lead.attributes.full_name) }}", json!("Ada Example")),
            ("{{ lead.attributes.a | default(lead.attributes.b | default('?')) }}", json!("?")),
            ("{{ 'x' if lead.score > 50 else 'y' }}", json!("y")),
            ("{{ '12.5' | number }}", json!(12.5)),
            ("{{ lead.score | text }}", json!("45")),
            ("{{ item.at | time }}", json!("2026-11-22T12:00:00Z")),
            ("{{ item.at | day }}", json!("2026-11-22")),
            ("{{ '2026-11-22' | millis }}", json!(1_795_305_600_000_i64)),
            ("{{ 77 | person }}", json!("at-1")),
        ];
        for (text, value) in cases {
            assert_eq!(rendered(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_a_fault_and_nothing_of_a_value_is_in_its_words() {
        for text in
            ["{{ lead.nam }}", "Dear {{ lead.nam }}", "{{ lead.nam.first }}", "{{ lead.attributes.x ~ 'y' }}"]
        {
            assert!(rendered(text).unwrap_err().contains("default(none)"), "{text}");
        }
        for text in ["{{ lead.email | number }}", "{{ lead.email | person }}", "{{ lead.email | day }}"] {
            assert!(!rendered(text).unwrap_err().contains("ada@"), "{text}");
        }
    }

    #[test]
    fn what_is_more_than_an_expression_is_refused_when_it_is_read() {
        let long = "x".repeat(LONGEST + 1);
        for text in [
            "{% for x in lead.tags %}{% endfor %}",
            "{% include 'secret' %}",
            "{# a #}",
            "{{ 'x' * 1000000000 }}",
            "{{ lead.",
            "{{ lead.email | replace('a', 'b') }}",
            &long,
        ] {
            let read = Template::parse(text).and_then(|read| read.render(&context(), &People::new()));
            assert!(read.is_err(), "{text}");
        }
        // `}}` need not be the end; the engine counts brackets, and would multiply.
        for text in [
            "{{ {'a': {'b': 'x'}}['a']['b'] * 1000000000 }}",
            "a{{ {'a': {'b': 'x'}}['a']['b'] * 1000000000 }}b",
        ] {
            assert!(Template::parse(text).unwrap_err().starts_with("multiplies"), "{text}");
        }
        assert!(Template::parse("5 * 3 is no expression").is_ok());
    }

    #[test]
    fn no_way_to_grow_leads_past_the_bound() {
        let doubling = format!("{{{{ {}lead.email{} }}}}", "[".repeat(40), "]".repeat(40));
        let chained = format!("{{{{ lead.email{} }}}}", " | join('aaaaaaaaaa')".repeat(60));
        let many = format!("{{{{ [{}] | join(', ') }}}}", "lead.name,".repeat(190));
        for text in [doubling, chained, many] {
            let length = rendered(&text).map_or(0, |value| value.to_string().len());
            assert!(length <= 2 * LONGEST_RENDERED, "{length}");
        }
        let wide = Template::parse("{{ a }}{{ a }}{{ a }}").unwrap();
        let context = json!({ "a": "x".repeat(LONGEST_RENDERED / 2) });
        assert_eq!(wide.render(&context, &People::new()), Err("comes out too long".to_owned()));
    }

    #[test]
    fn an_address_is_that_of_the_template_whatever_the_values_are() {
        let url = Template::parse("https://crm.example/contacts/{{ id }}?by=email").unwrap();
        let of = |id: Value| url.render_url(&json!({ "id": id }));
        assert_eq!(
            of(json!("a b/../?#@x")).unwrap(),
            "https://crm.example/contacts/a%20b%2F..%2F%3F%23%40x?by=email"
        );
        assert_eq!(of(json!(7)).unwrap(), "https://crm.example/contacts/7?by=email");
        assert!(of(json!(null)).is_err() && of(json!("")).is_err() && url.render_url(&json!({})).is_err());
        assert!(of(json!("..")).is_err() && of(json!(".")).is_err() && of(json!("...")).is_ok());
        let two = Template::parse("https://crm.example/contacts/{{ a }}{{ b }}/x").unwrap();
        assert!(two.render_url(&json!({ "a": ".", "b": "." })).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_refused_or_renders_to_bounded_json(
            parts in proptest::collection::vec(prop_oneof![
                Just("{{".to_owned()), Just("}}".to_owned()), Just("lead".to_owned()), Just(".email".to_owned()),
                Just(".tags".to_owned()), Just("[0]".to_owned()), Just("[::-1]".to_owned()), Just(" | ".to_owned()),
                Just("default(".to_owned()), Just("join(".to_owned()), Just("number".to_owned()), Just("(".to_owned()),
                Just(")".to_owned()), Just("[".to_owned()), Just("]".to_owned()), Just("{'a': ".to_owned()),
                Just(" ~ ".to_owned()), Just(" if ".to_owned()), Just(" else ".to_owned()), Just("99999999999999999999".to_owned()),
                Just(" // 0".to_owned()), Just(" % 0".to_owned()), Just(" - ".to_owned()), Just("truncate(".to_owned()),
                Just("\"".to_owned()), Just("'x'".to_owned()), Just("{%".to_owned()), Just(" * ".to_owned()), "\\PC{0,8}",
            ], 0..40),
            value in "\\PC{0,60}",
        ) {
            let text = parts.concat();
            let context = json!({"lead": {"email": value, "tags": [value, 7, null]}});
            if let Ok(template) = Template::parse(&text) {
                if let Ok(rendered) = template.render(&context, &People::new()) {
                    let written = rendered.to_string();
                    prop_assert!(written.len() <= 2 * LONGEST_RENDERED);
                    prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), rendered);
                }
                drop(template.render_url(&context));
            }
        }

        #[test]
        fn whatever_a_value_is_it_comes_out_as_itself(value in "\\PC{0,200}") {
            let template = Template::parse("{{ v }}").unwrap();
            prop_assert_eq!(template.render(&json!({ "v": value }), &People::new()), Ok(Value::String(value)));
        }
    }
}
