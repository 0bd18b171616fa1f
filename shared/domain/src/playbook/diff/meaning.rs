//! A playbook's document in the one form that all documents of the same meaning share.
//!
//! Defaults are spelled out, short forms written long, texts trimmed, and lists whose order says nothing are sorted, or
//! become objects by the id of their items. So two documents mean the same exactly where their forms are equal. What
//! this file does not know, it leaves as it is: a difference too many is asked about, one too few is signed unseen.

use crate::attribute::{COUNTRY, number_to_json};
use crate::calendar::Week;
use crate::content::language::Language;
use crate::country::Country;
use crate::export::FIXED;
use crate::identity::Email;
use crate::machine::Rule;
use crate::persona::Aspect;
use crate::playbook::programs::{FIRST_AFTER_DAYS, GAP_DAYS, MOST_PER_WEEK, WAIT_DAYS, usual_hours};
use crate::playbook::promises::{DUE_SOON_PERCENT, FIRST_ANSWER_HOURS};
use crate::playbook::territories::PRIORITY;
use serde_json::{Map, Value, json};

/// Brings a whole document into the form.
pub(super) fn playbook(document: &Value) -> Map<String, Value> {
    let Value::Object(mut sections) = tidy(document) else { return Map::new() };
    const LISTS: [&str; 9] = [
        "signals",
        "regions",
        "territories",
        "forms",
        "personas",
        "topics",
        "segments",
        "exports",
        "programs",
    ];
    for key in LISTS {
        let item = match key {
            "signals" => signal,
            "regions" => region,
            "territories" => territory,
            "forms" => form,
            "personas" => persona,
            "topics" => topic,
            "exports" => export,
            "programs" => program,
            _ => segment,
        };
        let items = by_id(sections.remove(key), item);
        sections.insert(key.to_owned(), items);
    }
    for key in ["fit", "engagement"] {
        let groups = groups(sections.remove(key));
        sections.insert(key.to_owned(), groups);
    }
    let reasons = sections.entry("reasons").or_insert_with(|| json!({}));
    for (kind, list) in reasons.as_object_mut().into_iter().flatten() {
        *list = by_id(Some(list.take()), |reason| {
            if ["rejected", "lost"].contains(&kind.as_str()) {
                reason.entry("then").or_insert_with(|| json!("nurture"));
            }
        });
    }
    let phases = sections.entry("phases").or_insert_with(|| json!({}));
    for when in phases.as_object_mut().into_iter().flat_map(Map::values_mut) {
        *when = condition(when);
    }
    sections.entry("timezone").and_modify(timezone).or_insert_with(|| json!("UTC"));
    sections
        .entry("lead_when")
        .and_modify(|when| *when = condition(when))
        .or_insert_with(|| json!("any_response"));
    let promised = sections.entry("promises").or_insert_with(|| json!({}));
    if let Value::Object(promised) = promised {
        promises(promised);
    }
    let nurture = sections.entry("nurture").or_insert_with(|| json!({}));
    if let Value::Object(nurture) = nurture {
        nurturing(nurture);
    }
    let consent = sections.entry("consent").or_insert_with(|| json!({}));
    if let Value::Object(consent) = consent {
        for list in ["single_opt_in", "soft_opt_in"] {
            change(consent, list, |list| sorted(list.into_iter().map(country)));
        }
    }
    let machines = sections.entry("machines").or_insert_with(|| json!({}));
    if let Value::Object(machines) = machines {
        let all: Vec<&str> = Rule::WORDS.iter().map(|(word, _)| *word).collect();
        machines.entry("withhold").or_insert_with(|| json!(all));
        change(machines, "withhold", sorted);
    }
    if let Some(Value::Object(qualified)) = sections.get_mut("marketing_qualified") {
        change(qualified, "labels", sorted);
        if let Some(when) = qualified.get_mut("when") {
            *when = condition(when);
        }
    }
    sections
}

/// Brings a condition into the form; each word then has all of its fields.
pub(super) fn condition(written: &Value) -> Value {
    let Value::Object(mut object) = tidy(written) else { return tidy(written) };
    for word in ["all", "any"] {
        if object.contains_key(word) {
            change(&mut object, word, |parts| sorted(parts.iter().map(condition)));
        }
    }
    if let Some(part) = object.get_mut("not") {
        *part = condition(part);
    }
    if let Some(name) = object.get("attribute") {
        let of_country = name == COUNTRY;
        test(&mut object, of_country);
    }
    if object.contains_key("source") {
        object.entry("touch").or_insert_with(|| json!("first"));
        test(&mut object, false);
    }
    if object.contains_key("signal") {
        let never = object.remove("never").map(|_| json!(0));
        if let Some(exactly) = object.remove("exactly").or(never) {
            object.insert("at_least".to_owned(), exactly.clone());
            object.insert("at_most".to_owned(), exactly);
        }
        let least = i32::from(!object.contains_key("at_most"));
        if !object.contains_key("first_seen") && !object.contains_key("last_seen") {
            object.entry("at_least").or_insert_with(|| json!(least));
        }
    }
    if object.contains_key("consent") {
        object.entry("status").or_insert_with(|| json!("confirmed"));
    }
    for word in ["status", "label", "persona", "stage", "phase", "region"] {
        if object.contains_key(word) {
            change(&mut object, word, sorted);
        }
    }
    if object.contains_key("country") {
        change(&mut object, "country", |list| sorted(list.into_iter().map(country)));
    }
    if let Some(Value::Object(owner)) = object.get_mut("owner")
        && owner.contains_key("person")
    {
        change(owner, "person", sorted);
    }
    for word in ["fit", "engagement"] {
        if let Some(Value::Object(range)) = object.get_mut(word) {
            range.entry("at_least").or_insert_with(|| json!(0));
            range.entry("at_most").or_insert_with(|| json!(100));
        }
    }
    Value::Object(object)
}

/// Brings what a signal asks of an activity's properties into the form.
pub(in crate::playbook) fn tests(written: Option<&Value>) -> Value {
    let Some(Value::Object(tests)) = written.map(tidy) else { return json!({}) };
    tests
        .into_iter()
        .map(|(name, asked)| match asked {
            Value::Object(mut object) => {
                test(&mut object, false);
                (name, Value::Object(object))
            }
            value => (name, json!({"in": [value]})),
        })
        .collect()
}

/// Writes `equals` as `in`, and the values of `in` in order.
fn test(object: &mut Map<String, Value>, of_country: bool) {
    if let Some(value) = object.remove("equals") {
        object.insert("in".to_owned(), json!([value]));
    }
    if object.contains_key("in") {
        let value = |value| if of_country { country(value) } else { value };
        change(object, "in", |values| sorted(values.into_iter().map(value)));
    }
}

/// Drops what is not there, trims texts and writes whole numbers as such.
fn tidy(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.trim()),
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), number_to_json),
        Value::Array(list) => list.iter().map(tidy).collect(),
        Value::Object(object) => object
            .iter()
            .filter(|(_, value)| !value.is_null())
            // A form's fields name their targets to the letter.
            .map(|(key, value)| (key.clone(), if key == "fields" { value.clone() } else { tidy(value) }))
            .collect(),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// Changes a list in its place; one value is a list of one, and what is not there an empty one.
fn change(object: &mut Map<String, Value>, key: &str, change: impl FnOnce(Vec<Value>) -> Value) {
    let list = match object.remove(key) {
        Some(Value::Array(list)) => list,
        Some(value) => vec![value],
        None => Vec::new(),
    };
    object.insert(key.to_owned(), change(list));
}

fn sorted(values: impl IntoIterator<Item = Value>) -> Value {
    let mut values: Vec<Value> = values.into_iter().collect();
    values.sort_by_cached_key(Value::to_string);
    values.dedup();
    Value::Array(values)
}

fn country(written: Value) -> Value {
    match written.as_str().and_then(Country::parse) {
        Some(country) => json!(country.as_str()),
        None => written,
    }
}

/// Makes an object of a list of items, by their ids, each with its title.
fn by_id(list: Option<Value>, item: impl Fn(&mut Map<String, Value>)) -> Value {
    let Some(Value::Array(list)) = list else { return json!({}) };
    let mut items = Map::new();
    for written in list {
        let Value::Object(mut object) = written else { continue };
        let Some(Value::String(id)) = object.remove("id") else { continue };
        object.entry("title").or_insert_with(|| json!(id.replace(['_', '-'], " ")));
        item(&mut object);
        items.insert(id, Value::Object(object));
    }
    Value::Object(items)
}

/// Lays out rules beside their groups, since a rule keeps its id in another group.
fn groups(list: Option<Value>) -> Value {
    let mut groups = by_id(list, |_| {});
    let mut all = Map::new();
    for (id, group) in groups.as_object_mut().into_iter().flatten() {
        let Value::Object(group) = group else { continue };
        let rules = by_id(group.remove("rules"), |rule| {
            rule.insert("group".to_owned(), json!(id));
            if rule.contains_key("signal") {
                rule.entry("max_hits").or_insert_with(|| json!(1_000));
            }
            if let Some(when) = rule.get_mut("when") {
                *when = condition(when);
            }
        });
        all.extend(rules.as_object().cloned().unwrap_or_default());
    }
    json!({"groups": groups, "rules": all})
}

fn signal(signal: &mut Map<String, Value>) {
    change(signal, "kind", sorted);
    let tests = tests(signal.get("where"));
    signal.insert("where".to_owned(), tests);
}

fn region(region: &mut Map<String, Value>) {
    change(region, "countries", |list| sorted(list.into_iter().map(country)));
}

fn territory(territory: &mut Map<String, Value>) {
    territory.entry("priority").or_insert_with(|| json!(PRIORITY));
    if territory.contains_key("countries") {
        region(territory);
    }
    if territory.contains_key("regions") {
        change(territory, "regions", sorted);
    }
    if territory.contains_key("languages") {
        let language = |written: Value| {
            let read = written.as_str().and_then(|text| Language::parse(text).ok());
            read.map_or(written, |language| json!(language.to_string()))
        };
        change(territory, "languages", |list| sorted(list.into_iter().map(language)));
    }
    segment(territory);
    // Who is in the pool, each with their weight.
    let mut pool = Map::new();
    for member in territory.remove("pool").as_ref().and_then(Value::as_array).into_iter().flatten() {
        let Some(person) = member.get("person").and_then(Value::as_str) else { continue };
        pool.insert(person.to_owned(), member.get("weight").cloned().unwrap_or_else(|| json!(1)));
    }
    if !pool.is_empty() {
        territory.insert("pool".to_owned(), Value::Object(pool));
    }
}

fn promises(promises: &mut Map<String, Value>) {
    promises.entry("first_answer_hours").or_insert_with(|| json!(FIRST_ANSWER_HOURS));
    promises.entry("due_soon_percent").or_insert_with(|| json!(DUE_SOON_PERCENT));
    if let Some(hours) = promises.get_mut("working_hours")
        && let Some(week) = Week::of(hours)
    {
        *hours = week.written();
    }
    if let Some(Value::Object(tries)) = promises.get_mut("follow_up") {
        change(tries, "before", sorted);
    }
    // One promise for each territory, which is its id; the one for the leads of none of them has none.
    let list = promises.remove("marketing");
    let mut marketing = Map::new();
    for written in list.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let Value::Object(mut delivery) = written.clone() else { continue };
        delivery.entry("timezone").and_modify(timezone);
        let territory = delivery.remove("territory");
        let id = territory.as_ref().and_then(Value::as_str).unwrap_or_default();
        marketing.insert(id.to_owned(), Value::Object(delivery));
    }
    promises.insert("marketing".to_owned(), Value::Object(marketing));
}

fn timezone(name: &mut Value) {
    let zone = name.as_str().and_then(|name| jiff::tz::TimeZone::get(name).ok());
    if let Some(known) = zone.as_ref().and_then(jiff::tz::TimeZone::iana_name) {
        *name = json!(known);
    }
}

fn segment(segment: &mut Map<String, Value>) {
    if let Some(when) = segment.get_mut("when") {
        *when = condition(when);
    }
}

fn persona(persona: &mut Map<String, Value>) {
    // A persona has a name where others have a title.
    if let Some(name) = persona.remove("name") {
        persona.insert("title".to_owned(), name);
    }
    for (word, _) in Aspect::WORDS {
        let statements = by_id(persona.remove(*word), |statement| {
            statement.remove("title");
            statement.entry("basis").or_insert_with(|| json!("speculation"));
        });
        if statements.as_object().is_some_and(|statements| !statements.is_empty()) {
            persona.insert((*word).to_owned(), statements);
        }
    }
    change(persona, "channels", sorted);
    persona.entry("priority").or_insert_with(|| json!(100));
    segment(persona);
}

fn topic(topic: &mut Map<String, Value>) {
    let keyword =
        |keyword: Value| keyword.as_str().map_or(keyword.clone(), |text| json!(text.to_lowercase()));
    change(topic, "keywords", |list| sorted(list.into_iter().map(keyword)));
}

fn export(export: &mut Map<String, Value>) {
    export.entry("since").or_insert_with(|| json!("nothing"));
    if export.contains_key("preset") {
        export.entry("format").or_insert_with(|| json!("csv"));
        export.entry("purpose").or_insert_with(|| json!("ad_audience"));
    } else {
        export.entry("columns").or_insert_with(|| json!(FIXED));
    }
}

fn nurturing(nurture: &mut Map<String, Value>) {
    nurture.entry("hours").or_insert_with(usual_hours);
    hours(nurture);
    change(nurture, "holidays", sorted);
    nurture.entry("most_per_week").or_insert_with(|| json!(MOST_PER_WEEK));
    nurture.entry("track_opens").or_insert_with(|| json!("with_consent"));
    nurture.entry("track_clicks").or_insert_with(|| json!("always"));
    if let Some(Value::String(site)) = nurture.get_mut("site") {
        *site = site.trim_end_matches('/').to_owned();
    }
    if let Some(Value::String(address)) = nurture.get_mut("reply_to")
        && let Ok(email) = Email::parse(address)
    {
        *address = email.as_str().to_owned();
    }
    if let Some(Value::Object(sunset)) = nurture.get_mut("sunset") {
        sunset.entry("wait_days").or_insert_with(|| json!(WAIT_DAYS));
    }
}

/// Writes the hours of each day in the one way that they have.
fn hours(object: &mut Map<String, Value>) {
    if let Some(hours) = object.get_mut("hours")
        && let Some(week) = Week::of(hours)
    {
        *hours = week.written();
    }
}

fn program(program: &mut Map<String, Value>) {
    for (key, usual) in [
        ("priority", json!(PRIORITY)),
        ("for", json!("marketing")),
        ("content", json!("best_next")),
        ("first_after_days", json!(FIRST_AFTER_DAYS)),
        ("gap_days", json!(GAP_DAYS)),
        ("exhausted", json!("tell")),
        ("holdout_percent", json!(0)),
    ] {
        program.entry(key).or_insert(usual);
    }
    hours(program);
    if program.contains_key("given_back_for") {
        change(program, "given_back_for", sorted);
    }
    for key in ["audience", "goal", "exit"] {
        if let Some(when) = program.get_mut(key) {
            *when = condition(when);
        }
    }
}

fn form(form: &mut Map<String, Value>) {
    form.entry("activity").or_insert_with(|| json!("form_submitted"));
    form.entry("page_activities").or_insert_with(|| json!("page_viewed"));
    for key in ["required", "consent", "page_activities"] {
        change(form, key, sorted);
    }
    change(form, "allowed_origins", |list| {
        sorted(list.iter().map(|origin| json!(origin.as_str().unwrap_or_default().to_ascii_lowercase())))
    });
}
