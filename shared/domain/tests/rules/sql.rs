//! The second reading of a condition: SQL over SQLite, written from `docs/conditions.md` and from nothing else.
//!
//! It takes the condition as it is written, never as it was parsed, and shares no code with the evaluator but what makes
//! a lead of its description: the code of a country, and the label of a score. SQL's own logic has the same three
//! values. Texts are compared in lower case, which SQLite knows of ASCII only, so each text stands in lower case beside
//! itself.

use crate::semantics::Known;
use domain::attribute::AttributeValue;
use domain::country::Country;
use domain::playbook::Playbook;
use domain::time::Day;
use rusqlite::{Connection, params};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest window that the numbers reach.
const MOST_DAYS: i32 = 400;

/// Leads in tables, in the order in which they were given, on one day.
pub(crate) struct Database(Connection);

impl Database {
    pub(crate) fn of(leads: &[Known], playbook: &Playbook, today: Day) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE leads (n INTEGER PRIMARY KEY, id TEXT, today TEXT, label TEXT, fit INTEGER,
                    engagement INTEGER, stage TEXT, since TEXT, person TEXT);
                 CREATE TABLE attributes (n INTEGER, name TEXT, kind TEXT, text TEXT, number REAL);
                 CREATE TABLE hits (n INTEGER, signal TEXT, day TEXT, hits INTEGER);
                 CREATE TABLE touches (n INTEGER, which TEXT, field TEXT, text TEXT);
                 CREATE TABLE consents (n INTEGER, purpose TEXT, status TEXT);
                 CREATE TABLE draws (n INTEGER, name TEXT, draw REAL);
                 CREATE TABLE countries (code TEXT);
                 CREATE TABLE numbers (k INTEGER);
                 CREATE UNIQUE INDEX one_value ON attributes (n, name);
                 CREATE INDEX of_lead ON hits (n, signal);
                 CREATE INDEX touch_of_lead ON touches (n);
                 CREATE INDEX consent_of_lead ON consents (n);
                 CREATE INDEX draw_of_lead ON draws (n);",
            )
            .unwrap();
        let transaction = connection.transaction().unwrap();
        {
            let insert = |sql: &str| transaction.prepare(sql).unwrap();
            let mut into_leads = insert("INSERT INTO leads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
            let mut into_attributes = insert("INSERT INTO attributes VALUES (?, ?, ?, ?, ?)");
            let mut into_hits = insert("INSERT INTO hits VALUES (?, ?, ?, ?)");
            let mut into_touches = insert("INSERT INTO touches VALUES (?, ?, ?, ?)");
            let mut into_consents = insert("INSERT INTO consents VALUES (?, ?, ?)");
            let mut into_draws = insert("INSERT INTO draws VALUES (?, ?, ?)");
            for (n, lead) in (0_i64..).zip(leads) {
                let (id, label) = (lead.lead_id().to_string(), lead.label(playbook).to_string());
                let of_lead = params![
                    n,
                    id,
                    today.to_string(),
                    label,
                    lead.fit,
                    lead.engagement,
                    lead.stage,
                    lead.since,
                    lead.person
                ];
                into_leads.execute(of_lead).unwrap();
                for (name, value) in lead.attributes() {
                    let (kind, number) = match &value {
                        AttributeValue::Text(_) => ("text", None),
                        AttributeValue::Number(number) => ("number", Some(*number)),
                        AttributeValue::Flag(_) => ("flag", None),
                    };
                    into_attributes.execute(params![n, name, kind, value.to_string(), number]).unwrap();
                }
                for (signal, days) in &lead.s {
                    for (day, hits) in days {
                        into_hits.execute(params![n, signal, day, hits]).unwrap();
                    }
                }
                // Where there is one touch only, it is the latest as well.
                let last = lead.last.as_ref().or(lead.first.as_ref());
                for (which, touch) in [("first", lead.first.as_ref()), ("last", last)] {
                    for (field, text) in touch.into_iter().flatten() {
                        into_touches.execute(params![n, which, field, text]).unwrap();
                    }
                }
                for (purpose, status) in &lead.consent {
                    into_consents.execute(params![n, purpose, status]).unwrap();
                }
                for name in ["spring", "autumn"] {
                    let hash = Sha256::digest(format!("{name} {id}").as_bytes());
                    let first = u64::from_be_bytes(hash[..8].try_into().unwrap());
                    into_draws.execute(params![n, name, first as f64 / 2_f64.powi(64)]).unwrap();
                }
            }
            let mut into_countries = insert("INSERT INTO countries VALUES (?)");
            for code in ["AT", "CH", "DE", "ES", "FR", "PT"] {
                into_countries.execute([code]).unwrap();
            }
            let mut into_numbers = insert("INSERT INTO numbers VALUES (?)");
            for k in 0..MOST_DAYS {
                into_numbers.execute([k]).unwrap();
            }
        }
        transaction.commit().unwrap();
        Self(connection)
    }

    /// Asks a condition of every lead.
    pub(crate) fn ask(&self, when: &Value, playbook: &Value) -> Vec<Option<bool>> {
        let sql = format!("SELECT {} FROM leads ORDER BY n", Translator { playbook }.condition(when));
        let mut statement = self.0.prepare(&sql).unwrap_or_else(|error| panic!("{when}\n{error}\n{sql}"));
        let rows = statement.query_map([], |row| row.get::<_, Option<bool>>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// Writes a text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Gives one value or the values of a list.
fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn literals<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// Writes a text in lower case, of which SQLite knows only that of ASCII; the capitals of these alphabets beside it.
fn lower(expression: &str) -> String {
    let more = ["Öö", "Ää", "Üü", "Éé"];
    more.iter().fold(format!("lower({expression})"), |sql, pair| {
        let (capital, small) = pair.split_at(pair.len() / 2);
        format!("replace({sql}, {}, {})", literal(capital), literal(small))
    })
}

/// The day of a text that is a calendar day or a time with its offset; null where it is neither.
fn day_of(text: &str) -> String {
    let day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]";
    // SQLite takes the 30th of February for the 2nd of March.
    let real = format!("date(substr({text}, 1, 10), '+0 days') = substr({text}, 1, 10)");
    format!(
        "(CASE WHEN NOT {real} THEN NULL
               WHEN {text} GLOB '{day}' THEN date({text})
               WHEN {text} GLOB '{day}T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*' AND
                    ({text} GLOB '*Z' OR {text} GLOB '*[+-][0-9][0-9]:[0-9][0-9]') THEN date({text}) END)"
    )
}

struct Translator<'a> {
    playbook: &'a Value,
}

impl Translator<'_> {
    fn condition(&self, when: &Value) -> String {
        let object = when.as_object().unwrap();
        for (word, between) in [("all", " AND "), ("any", " OR ")] {
            if let Some(parts) = object.get(word) {
                let parts: Vec<String> = listed(parts).into_iter().map(|part| self.condition(part)).collect();
                return format!("({})", parts.join(between));
            }
        }
        let has = |word: &str| object.contains_key(word);
        if has("not") {
            format!("(NOT {})", self.condition(&when["not"]))
        } else if has("attribute") {
            attribute(when)
        } else if has("country") {
            country_in(&listed(&when["country"]))
        } else if has("region") {
            let regions = self.playbook["regions"].as_array().unwrap();
            let countries = listed(&when["region"]).into_iter().flat_map(|id| {
                listed(&regions.iter().find(|region| region["id"] == *id).unwrap()["countries"])
            });
            country_in(&countries.collect::<Vec<_>>())
        } else if has("signal") {
            signal(when)
        } else if has("source") {
            let which = if when["touch"] == "last" { "last" } else { "first" };
            let value = format!(
                "(SELECT text FROM touches t WHERE t.n = leads.n AND which = '{which}' AND field = {})",
                literal(text(&when["source"]))
            );
            test(when, &Asked { kind: "'text'".to_owned(), text: value, number: "NULL".to_owned() })
        } else if has("consent") {
            let confirmed = Value::from("confirmed");
            let statuses = listed(when.get("status").filter(|s| !s.is_null()).unwrap_or(&confirmed));
            format!(
                "EXISTS (SELECT 1 FROM consents c WHERE c.n = leads.n AND purpose = {} AND status IN ({}))",
                literal(text(&when["consent"])),
                literals(statuses.into_iter().map(text))
            )
        } else if has("label") {
            format!("label IN ({})", literals(listed(&when["label"]).into_iter().map(text)))
        } else if has("fit") {
            range(&when["fit"], "fit")
        } else if has("engagement") {
            range(&when["engagement"], "engagement")
        } else if has("persona") {
            let asked = literals(listed(&when["persona"]).into_iter().map(text));
            format!("coalesce({} IN ({asked}), 0)", self.persona())
        } else if has("phase") {
            let asked = literals(listed(&when["phase"]).into_iter().map(text));
            format!("coalesce({} IN ({asked}), 0)", self.phase())
        } else if has("stage") {
            format!("stage IN ({})", literals(listed(&when["stage"]).into_iter().map(text)))
        } else if has("in_stage_days") {
            range(&when["in_stage_days"], "max(julianday(today) - julianday(date(since)), 0)")
        } else if has("owner") {
            self.owner(&when["owner"])
        } else if has("segment") {
            let segments = self.playbook["segments"].as_array().unwrap();
            let segment = segments.iter().find(|segment| segment["id"] == when["segment"]).unwrap();
            // Who is not certainly in it is not in it.
            format!("({} IS TRUE)", self.condition(&segment["when"]))
        } else {
            let sample = &when["sample"];
            format!(
                "(SELECT draw * 100 < {} FROM draws d WHERE d.n = leads.n AND name = {})",
                sample["percent"],
                literal(text(&sample["of"]))
            )
        }
    }

    /// The persona with the lowest priority, 100 where it says none, of those that are certainly met; the first by id
    /// of those that share it.
    fn persona(&self) -> String {
        let mut personas: Vec<&Value> = self.playbook["personas"].as_array().unwrap().iter().collect();
        personas.sort_by_key(|persona| {
            (persona.get("priority").map_or(100, |n| n.as_i64().unwrap()), text(&persona["id"]))
        });
        let cases = personas.iter().map(|persona| {
            format!(
                "WHEN ({}) IS TRUE THEN {}",
                self.condition(&persona["when"]),
                literal(text(&persona["id"]))
            )
        });
        format!("(CASE {} END)", cases.collect::<Vec<_>>().join(" "))
    }

    /// The furthest phase that is certainly met; the first one where it has no condition.
    fn phase(&self) -> String {
        let phases = &self.playbook["phases"];
        let cases = ["customer", "decision", "consideration", "awareness"].iter().filter_map(|word| {
            let when = phases.get(word)?;
            Some(format!("WHEN ({}) IS TRUE THEN '{word}'", self.condition(when)))
        });
        let last = if phases.get("awareness").is_none() { "ELSE 'awareness'" } else { "" };
        format!("(CASE {} {last} END)", cases.collect::<Vec<_>>().join(" "))
    }

    fn owner(&self, owner: &Value) -> String {
        if let Some(people) = owner.get("person") {
            return format!("coalesce(person IN ({}), 0)", literals(listed(people).into_iter().map(text)));
        }
        let of_sales = "stage IN ('marketing_qualified', 'sales_accepted', 'sales_qualified', 'opportunity', 'customer')";
        if owner["team"] == "sales" { of_sales.to_owned() } else { format!("(NOT {of_sales})") }
    }
}

/// `at_least` and `at_most`, as far as they are given.
fn range(range: &Value, number: &str) -> String {
    let bounds = [("at_least", ">="), ("at_most", "<=")];
    let asked =
        bounds.iter().filter_map(|(word, sign)| Some(format!("{number} {sign} {}", range.get(word)?)));
    format!("({})", asked.collect::<Vec<_>>().join(" AND "))
}

/// The expressions that a value is asked by: its kind, the text that it is or is written as, the number that it is.
struct Asked {
    kind: String,
    text: String,
    number: String,
}

impl Asked {
    fn attribute(name: &Value) -> Self {
        let field = |field: &str| {
            let name = literal(text(name));
            format!("(SELECT {field} FROM attributes a WHERE a.n = leads.n AND a.name = {name})")
        };
        Self { kind: field("kind"), text: field("text"), number: field("number") }
    }

    /// Its day, where it is a text that is a date.
    fn day(&self) -> String {
        format!("(CASE WHEN {} = 'text' THEN {} END)", self.kind, day_of(&self.text))
    }
}

fn attribute(when: &Value) -> String {
    let asked = Asked::attribute(&when["attribute"]);
    if let Some(other) = when.get("equals_attribute") {
        let other = Asked::attribute(other);
        let same =
            format!("({} = {} AND {} = {})", asked.kind, other.kind, lower(&asked.text), lower(&other.text));
        return format!("(CASE WHEN {} NOT NULL AND {} NOT NULL THEN {same} END)", asked.kind, other.kind);
    }
    for (word, sign) in [("before_attribute", "<"), ("after_attribute", ">")] {
        if let Some(other) = when.get(word) {
            return format!("({} {sign} {})", asked.day(), Asked::attribute(other).day());
        }
    }
    day_test(when, &asked.day()).unwrap_or_else(|| {
        let country = when["attribute"] == "country";
        if country { test(&with_codes(when), &asked) } else { test(when, &asked) }
    })
}

/// Writes the countries that a test of the country names by their codes.
fn with_codes(when: &Value) -> Value {
    let code = |value: &Value| match value.as_str().and_then(Country::parse) {
        Some(country) => Value::from(country.as_str()),
        None => value.clone(),
    };
    let mut when = when.clone();
    for word in ["equals", "in"] {
        if let Some(asked) = when.get_mut(word) {
            *asked = asked.as_array().map_or_else(|| code(asked), |list| list.iter().map(code).collect());
        }
    }
    when
}

fn country_in(countries: &[&Value]) -> String {
    let codes: Vec<Country> =
        countries.iter().map(|country| Country::parse(text(country)).unwrap()).collect();
    let asked = Asked::attribute(&Value::from("country"));
    format!(
        "(CASE WHEN {kind} = 'text' AND {text} IN (SELECT code FROM countries) THEN {text} IN ({}) END)",
        literals(codes.iter().map(Country::as_str)),
        kind = asked.kind,
        text = asked.text
    )
}

/// A test of a day; nothing where the condition has none. The day may be null.
fn day_test(when: &Value, day: &str) -> Option<String> {
    let days = |word: &str| when.get(word).map(|n| n.as_i64().unwrap());
    if let Some(n) = days("within_last_days") {
        return Some(format!("({day} BETWEEN date(today, '-{} days') AND today)", n - 1));
    }
    if let Some(n) = days("within_next_days") {
        return Some(format!("({day} BETWEEN today AND date(today, '+{} days'))", n - 1));
    }
    if let Some(n) = days("older_than_days") {
        return Some(format!("({day} < date(today, '-{} days'))", n - 1));
    }
    if let Some(n) = days("anniversary_within_days") {
        let coming = "date(today, '+' || k || ' days')";
        let same = format!("strftime('%m-%d', {coming}) = strftime('%m-%d', {day})");
        let leap = format!(
            "strftime('%m-%d', {day}) = '02-29' AND strftime('%m-%d', {coming}) = '02-28' AND
             strftime('%m-%d', {coming}, '+1 day') = '03-01'"
        );
        let later = format!("strftime('%Y', {coming}) > strftime('%Y', {day})");
        return Some(format!(
            "(CASE WHEN {day} IS NOT NULL THEN
                EXISTS (SELECT 1 FROM numbers WHERE k < {n} AND {later} AND ({same} OR ({leap}))) END)"
        ));
    }
    let bounds = [("on", "="), ("after", ">"), ("before", "<")];
    let asked = bounds
        .iter()
        .filter_map(|(word, sign)| Some(format!("{day} {sign} {}", literal(text(when.get(word)?)))));
    let asked: Vec<String> = asked.collect();
    (!asked.is_empty()).then(|| format!("({})", asked.join(" AND ")))
}

/// A test of a value.
fn test(when: &Value, asked: &Asked) -> String {
    let Asked { kind, text: value, number } = asked;
    let known = |sql: String| format!("(CASE WHEN {value} IS NOT NULL THEN {sql} END)");
    if let Some(exists) = when.get("exists") {
        return format!("({value} IS {}NULL)", if *exists == true { "NOT " } else { "" });
    }
    if let Some(values) = when.get("equals").or(when.get("in")) {
        let one = |wanted: &Value| match wanted {
            Value::String(wanted) => {
                let wanted = wanted.trim().to_lowercase();
                format!("({kind} = 'text' AND {} = {})", lower(value), literal(&wanted))
            }
            Value::Bool(flag) => format!("({kind} = 'flag' AND {value} = '{flag}')"),
            wanted => format!("({kind} = 'number' AND {number} = {wanted})"),
        };
        let any: Vec<String> = listed(values).into_iter().map(one).collect();
        return known(format!("({})", any.join(" OR ")));
    }
    if when.get("at_least").is_some() || when.get("at_most").is_some() {
        // A sign, digits, and perhaps a point with digits behind it.
        let digits = format!("ltrim({value}, '+-')");
        let is_number = format!(
            "length({value}) - length({digits}) <= 1 AND {digits} GLOB '[0-9]*' AND {digits} NOT GLOB '*[^0-9.]*'
             AND {digits} NOT GLOB '*.*.*'"
        );
        let number = format!(
            "(CASE WHEN {kind} = 'number' THEN {number} WHEN {kind} = 'text' AND {is_number} THEN CAST({value} AS REAL) END)"
        );
        return range(when, &number);
    }
    let part = |word: &str| when.get(word).map(|part| literal(&text(part).to_lowercase()));
    let value = lower(value);
    if let Some(part) = part("contains") {
        return format!("(instr({value}, {part}) > 0)");
    }
    if let Some(part) = part("starts_with") {
        return format!("(substr({value}, 1, length({part})) = {part})");
    }
    // Of the expressions those that are made of plain texts: one of several, at the beginning, at the end.
    let one = |pattern: &str| {
        let plain = pattern.trim_start_matches('^').trim_end_matches('$').to_lowercase();
        assert!(!plain.contains(|c: char| "\\.[](){}*+?^$".contains(c)), "{pattern} is beyond this reading");
        let plain = literal(&plain);
        match (pattern.starts_with('^'), pattern.ends_with('$')) {
            (true, true) => format!("{value} = {plain}"),
            (true, false) => format!("substr({value}, 1, length({plain})) = {plain}"),
            (false, true) => format!("substr({value}, -length({plain})) = {plain}"),
            (false, false) => format!("instr({value}, {plain}) > 0"),
        }
    };
    let any: Vec<String> = text(&when["matches"]).split('|').map(one).collect();
    format!("({})", any.join(" OR "))
}

/// How often a signal was seen, or when.
fn signal(when: &Value) -> String {
    let hits = format!(
        "FROM hits h WHERE h.n = leads.n AND signal = {} AND day <= today",
        literal(text(&when["signal"]))
    );
    if let Some(asked) = when.get("first_seen") {
        return day_test(asked, &format!("(SELECT min(day) {hits})")).unwrap();
    }
    if let Some(asked) = when.get("last_seen") {
        // What is dated after today makes today the last day, of what was seen by today at all.
        let latest = format!(
            "(SELECT min(max(day), today) FROM hits h WHERE h.n = leads.n AND signal = {})",
            literal(text(&when["signal"]))
        );
        let day = format!("(CASE WHEN EXISTS (SELECT 1 {hits}) THEN {latest} END)");
        return day_test(asked, &day).unwrap();
    }
    let window = match when.get("within_days").and_then(Value::as_i64) {
        Some(n) => format!(" AND day > date(today, '-{n} days')"),
        None => String::new(),
    };
    let count = format!("(SELECT coalesce(sum(hits), 0) {hits}{window})");
    if when.get("never").is_some() {
        format!("({count} = 0)")
    } else if let Some(n) = when.get("exactly") {
        format!("({count} = {n})")
    } else if when.get("at_least").is_some() || when.get("at_most").is_some() {
        range(when, &count)
    } else {
        format!("({count} > 0)")
    }
}
