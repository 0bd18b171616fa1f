//! The words of a letter: templates with `{{ expressions }}`, and with `if` and `for` around what not everybody gets.
//!
//! The engine is `minijinja`, as for field maps ([`domain::template`]), and most of it is shut out again, by other rules,
//! since a letter needs blocks. What is left cannot grow: a value comes from the mail's context or from one expression, and
//! an expression is at most [`LONGEST_TAG`] long. So there is no `set`, no macro and no multiplication, a loop runs over what
//! the context holds and nothing else, and what comes out is bounded besides. The engine includes nothing: it knows no other
//! template.
//!
//! **What a tag may be is found out before it runs** ([`faults`]), not when the first lead comes along for whom its branch is
//! taken: an unknown name, an unknown filter, a block that is none of the few.
//!
//! **A value is escaped where it stands in HTML**, always; there is no filter that lets one through. What is not there is a
//! fault, unless the template says what to take instead (`| default("there")`) or asks first (`{% if persona %}`).

use domain::attribute::AttributeName;
use minijinja::value::{Serde, Value as Given};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Value;
use std::collections::BTreeSet;

/// The longest tag, in characters.
pub(super) const LONGEST_TAG: usize = 400;
/// How many steps one text may take.
const FUEL: u64 = 50_000;
/// The filters that there are.
const FILTERS: &[&str] = &["capitalize", "default", "lower", "trim", "truncate", "upper"];
/// The blocks that there are, apart from `for`.
const BLOCKS: &[&str] = &["if", "elif", "else", "endif", "endfor"];

/// What a text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain text: a subject, or the part for those who read no HTML.
    Text,
    /// HTML or MJML, in which every value is escaped.
    Html,
}

/// What stands between `{{` and `}}`, or between `{%` and `%}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag<'a> {
    Expression(&'a str),
    Block(&'a str),
}

/// Takes the tags out of a text. Where a tag ends is seen as the engine sees it as long as no tag holds a brace outside of
/// quotation marks, and one that does is refused.
fn tags(source: &str) -> Vec<Tag<'_>> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(at) = rest.find(['{']) {
        let (_, from) = rest.split_at(at);
        if let Some(behind) = from.strip_prefix("{#") {
            rest = behind.split_once("#}").map_or("", |(_, after)| after);
        } else if let Some(behind) = from.strip_prefix("{{") {
            let (inside, after) = until(behind, "}}");
            found.push(Tag::Expression(inside));
            rest = after;
        } else if let Some(behind) = from.strip_prefix("{%") {
            let (inside, after) = until(behind, "%}");
            found.push(Tag::Block(inside));
            rest = after;
        } else {
            rest = from.strip_prefix('{').unwrap_or("");
        }
    }
    found
}

/// Cuts a text at the first end that stands outside of quotation marks.
fn until<'a>(text: &'a str, end: &str) -> (&'a str, &'a str) {
    let mut open: Option<char> = None;
    let mut skip = false;
    for (at, c) in text.char_indices() {
        let (before, from) = text.split_at(at);
        match open {
            Some(_) if skip => skip = false,
            Some(_) if c == '\\' => skip = true,
            Some(mark) if c == mark => open = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => open = Some(c),
            None => {
                if let Some(after) = from.strip_prefix(end) {
                    return (before, after);
                }
            }
        }
    }
    (text, "")
}

/// Gives a tag without what stands in quotation marks.
fn unquoted(tag: &str) -> String {
    let (mut text, mut open, mut skip) = (String::new(), None, false);
    for c in tag.chars() {
        match open {
            Some(_) if skip => skip = false,
            Some(_) if c == '\\' => skip = true,
            Some(mark) if c == mark => open = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => {
                open = Some(c);
                text.push('"');
            }
            None => text.push(c),
        }
    }
    text
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Says what one tag has that a letter may not have.
fn fault_of(tag: Tag<'_>) -> Option<String> {
    let (Tag::Expression(inside) | Tag::Block(inside)) = tag;
    let shown = inside.trim().chars().take(60).collect::<String>();
    let bare = unquoted(inside);
    let words: Vec<&str> =
        bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    if inside.chars().count() > LONGEST_TAG {
        return Some(format!("has a tag longer than {LONGEST_TAG} characters: {shown}"));
    }
    if bare.contains(['*', '{', '}', '[', '%']) {
        return Some(format!("has one of * % [ ] {{ }} in a tag, which a letter does without: {shown}"));
    }
    if words.contains(&"is") {
        return Some(format!("tests with \"is\"; a letter asks with if and a name: {shown}"));
    }
    for behind in bare.split('|').skip(1) {
        let filter = behind.trim().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        let filter = filter.unwrap_or_default();
        if !FILTERS.contains(&filter) {
            return Some(format!("uses the filter \"{filter}\"; there are: {}", FILTERS.join(", ")));
        }
    }
    let Tag::Block(_) = tag else { return None };
    let block = bare.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    let parts: Vec<&str> = block.split_whitespace().collect();
    match parts.as_slice() {
        ["for", name, "in", of] if is_name(name) && of.split('.').all(is_name) => None,
        ["for", ..] => {
            Some(format!("has a loop other than such as {{% for topic in content.topics %}}: {shown}"))
        }
        [word, ..] if BLOCKS.contains(word) => None,
        _ => Some(format!("has the block \"{shown}\"; a letter knows if, elif, else and for")),
    }
}

/// Says everything that a text has and a letter may not have: what the engine cannot read, a tag that is none of those that
/// there are, and names that no letter knows. `known` tells whether one does.
pub(super) fn faults(source: &str, known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults: BTreeSet<String> = tags(source).into_iter().filter_map(fault_of).collect();
    match environment(Form::Text).template_from_str(source) {
        Err(error) => {
            let line = error.line().map_or(String::new(), |line| format!(" in line {line}"));
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            faults.insert(format!("cannot be read{line}: {detail}"));
        }
        Ok(template) => {
            let unknown = template.undeclared_variables(true).into_iter().filter(|name| !known(name));
            faults.extend(unknown.map(|name| format!("uses \"{name}\", which no letter knows")));
        }
    }
    faults.into_iter().collect()
}

/// Gives the attributes of leads that a text names, as in `lead.attributes.industry`.
pub(super) fn attributes(source: &str) -> BTreeSet<String> {
    let Ok(template) =
        environment(Form::Text).template_from_str(source).map(|t| t.undeclared_variables(true))
    else {
        return BTreeSet::new();
    };
    let named = template.iter().filter_map(|name| name.strip_prefix("lead.attributes."));
    named.filter(|name| AttributeName::parse(name).is_ok()).map(str::to_owned).collect()
}

/// Renders a text, to at most so many bytes.
///
/// # Errors
///
/// Why it cannot be, as a part of a sentence. It never quotes what it was given.
pub(super) fn render(source: &str, form: Form, context: &Value, most: usize) -> Result<String, String> {
    let environment = environment(form);
    let mut written = Bounded { bytes: Vec::new(), most };
    let rendered = environment.template_from_str(source).and_then(|template| {
        template.render_captured_to(Given::from(Serde(context)), &mut written).map(drop)
    });
    match rendered {
        Ok(()) => String::from_utf8(written.bytes).map_err(|_| "comes out as no text".to_owned()),
        Err(error) => Err(what_failed(&error, most)),
    }
}

fn what_failed(error: &Error, most: usize) -> String {
    let line = error.line().map_or(String::new(), |line| format!(" in line {line}"));
    match error.kind() {
        ErrorKind::UndefinedError => format!(
            "uses{line} what a lead may lack; say what to take instead, as in {{{{ lead.first_name | default(\"there\") }}}}, or ask first, as in {{% if persona %}}"
        ),
        ErrorKind::WriteFailure => format!("comes out longer than {most} bytes"),
        ErrorKind::OutOfFuel => "takes too many steps".to_owned(),
        ErrorKind::BadSerialization => {
            format!("shows{line} a list or a thing of several parts; name the part that it means")
        }
        kind => format!("cannot be rendered{line}: {kind}"),
    }
}

/// Takes so much and no more.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn environment(form: Form) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_formatter(move |out, _, value| {
        if value.is_none() {
            return Ok(());
        }
        if value.as_str().is_none() && (value.len().is_some() || value.as_object().is_some()) {
            return Err(Error::from(ErrorKind::BadSerialization));
        }
        let text = value.to_string();
        match form {
            Form::Text => out.write_str(&text)?,
            Form::Html => out.write_str(&html_escape::encode_quoted_attribute(&text))?,
        }
        Ok(())
    });
    environment.add_filter("capitalize", |text: &str| {
        let mut chars = text.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    });
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("lower", |text: &str| text.to_lowercase());
    environment.add_filter("trim", |text: &str| text.trim().to_owned());
    environment.add_filter("truncate", |text: &str, most: usize| text.chars().take(most).collect::<String>());
    environment.add_filter("upper", |text: &str| text.to_uppercase());
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn known(name: &str) -> bool {
        ["lead", "lead.first_name", "content", "content.topics", "stage", "none", "text"].contains(&name)
            || name.starts_with("lead.attributes")
    }

    fn context() -> Value {
        json!({"lead": {"first_name": "<b onx=\"1\">Ada's</b> & co", "attributes": {}},
            "content": {"topics": ["energy", "heat"]}, "stage": "inquiry", "none": null})
    }

    fn html(source: &str) -> Result<String, String> {
        render(source, Form::Html, &context(), 1_000)
    }

    #[test]
    fn values_loops_conditions_and_defaults_come_out_and_values_are_escaped_in_html_alone() {
        assert_eq!(
            html("{{ lead.first_name }}").unwrap(),
            "&lt;b onx=&quot;1&quot;&gt;Ada&#x27;s&lt;/b&gt; &amp; co"
        );
        assert_eq!(
            render("{{ lead.first_name }}", Form::Text, &context(), 99).unwrap(),
            "<b onx=\"1\">Ada's</b> & co"
        );
        for (source, expected) in [
            (
                "{% for t in content.topics %}<li>{{ t | capitalize }}</li>{% endfor %}",
                "<li>Energy</li><li>Heat</li>",
            ),
            ("{% if persona %}x{% elif stage == 'inquiry' %}y{% else %}z{% endif %}", "y"),
            ("Hi {{ lead.attributes.nick | default('there') }}{{ none }}", "Hi there"),
            ("{{ '} }} {% * [' | upper }}", "} }} {% * ["),
            ("a{# {{ lead.wrong * }} #}b", "ab"),
            ("{{ lead.first_name | trim | truncate(2) | lower }}", "&lt;b"),
        ] {
            assert_eq!(html(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn whatever_could_grow_reach_elsewhere_or_is_unknown_is_named_before_it_runs() {
        let long = format!("{{{{ '{}' }}}}", "x".repeat(LONGEST_TAG));
        for (source, word) in [
            ("{{ 'x' * 1000000000 }}", "one of"),
            ("{{ ['x'] }}", "one of"),
            ("{{ {'a': 1} }}", "one of"),
            ("{% set x = stage %}", "the block"),
            ("{% macro m() %}{% endmacro %}", "the block"),
            ("{% include 'secret' %}", "the block"),
            ("{% raw %}{{ x }}{% endraw %}", "the block"),
            ("{% for x in (stage, stage) %}{% endfor %}", "a loop other"),
            ("{% for x in content.topics recursive %}{% endfor %}", "a loop other"),
            ("{% for x, y in content.topics %}{% endfor %}", "a loop other"),
            ("{% if stage is defined %}{% endif %}", "tests with"),
            ("{{ stage | safe }}", "the filter \"safe\""),
            ("{% if false %}{{ stage | replace('a', 'b') }}{% endif %}", "the filter \"replace\""),
            ("{% if false %}{{ lead.frist_name | default('x') }}{% endif %}", "\"lead.frist_name\""),
            ("{{ score }}", "\"score\""),
            ("{{ range(9) }}", "\"range\""),
            ("line\n{{ stage", "in line 2"),
            ("{% if stage %}", "cannot be read"),
            (&long, "longer than"),
        ] {
            let found = faults(source, known);
            assert!(found.iter().any(|fault| fault.contains(word)), "{source}: {found:?}");
        }
        assert_eq!(faults("{{ a }} {{ b | c }} {% set d = 1 %}", known).len(), 4, "all at once");
        let fine = "{% for t in content.topics %}{{ loop.index }} {{ t | upper }}{% endfor %} 5 * 3 [x] {y} {{- stage -}} {%- if not stage -%} 1 {% endif %}";
        assert_eq!(faults(fine, known), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_a_fault_and_so_is_what_has_no_words() {
        for source in
            ["{{ lead.attributes.nick }}", "{{ lead.attributes.nick | upper }}", "{{ persona.name }}"]
        {
            let error = html(source).unwrap_err();
            assert!(error.contains("default(") || error.contains("cannot be rendered"), "{source}: {error}");
        }
        for source in ["{{ lead }}", "{{ content.topics }}"] {
            assert!(html(source).unwrap_err().contains("name the part"), "{source}");
        }
        assert!(
            render("{{ stage }}", Form::Text, &context(), 3).unwrap_err().contains("longer than 3 bytes")
        );
        let nested = "{% for a in content.topics %}".repeat(30) + &"{% endfor %}".repeat(30);
        assert!(html(&nested).unwrap_err().contains("too many steps"));
    }

    #[test]
    fn the_attributes_that_a_text_names_are_found() {
        let named = attributes("{{ lead.attributes.a }} {% if lead.attributes.b_2 %}{{ stage }}{% endif %}");
        assert_eq!(named.into_iter().collect::<Vec<_>>(), ["a", "b_2"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_refused_or_renders_to_what_is_bounded(
            parts in proptest::collection::vec(prop_oneof![
                Just("{{ "), Just(" }}"), Just("{% "), Just(" %}"), Just("if "), Just("for x in "), Just("content.topics"),
                Just("endfor"), Just("endif"), Just("else"), Just("stage"), Just("x"), Just(" | "), Just("default("),
                Just("upper"), Just("("), Just(")"), Just("'"), Just("\""), Just("\\"), Just("{#"), Just("#}"), Just(" ~ "),
                Just(" + "), Just(" * "), Just("-"), Just("lead.first_name"), Just("{"), Just("}"), Just("%"), Just(", "),
                Just("99999999999999999999"), Just("truncate(3)"), Just("ä"), Just("\n"), Just("loop"), Just("lead"),
            ], 0..40),
        ) {
            let source = parts.concat();
            let refused = !faults(&source, known).is_empty();
            let rendered = render(&source, Form::Html, &context(), 1_000);
            if let Ok(rendered) = &rendered {
                prop_assert!(rendered.len() <= 1_000);
                prop_assert!(refused || !rendered.contains("<b onx"), "{source}");
            }
            if refused { return Ok(()); }
            // What is let through multiplies nothing.
            for tag in tags(&source) {
                let (Tag::Expression(inside) | Tag::Block(inside)) = tag;
                prop_assert!(!unquoted(inside).contains('*'));
            }
        }
    }
}
