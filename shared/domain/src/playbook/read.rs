//! The playbook's document, section by section.

use super::conditions::{self, Names};
use super::diff::meaning_of_tests;
use super::personas::{ids, personas, phases, topics};
use super::programs::{nurturing, programs};
use super::promises::promises;
use super::territories::territories;
use super::{
    Bands, ConsentBox, Definition, EngagementRule, FeedbackReason, FitRule, Form, FormTarget, Group, How,
    LeadWhen, Playbook, Region, Segment, Signal,
};
use crate::activity::parse_kind;
use crate::attribute::AttributeName;
use crate::condition::{Condition, Level};
use crate::consent::Purpose;
use crate::country::Country;
use crate::export::Spec;
use crate::export::schedule::{Every, Scheduled, WEEKDAYS, parse_time};
use crate::fault::{Fault, Faults};
use crate::identity::Slug;
use crate::ledger::SignalKey;
use crate::machine::{Rule, Withhold, is_about};
use crate::reader::{Node, Object};
use crate::score::HalfLife;
use crate::stage::Step;
use crate::time::zone;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The longest title, in characters.
pub(super) const TITLE: usize = 200;

/// The steps for which sales gives reasons.
pub(super) const GIVEN_BACK: [Step; 4] = [Step::Reject, Step::NotReady, Step::Lose, Step::Disqualify];

/// The fields that Leadloop's own page script sends with every form; a form cannot use them for anything else.
pub(crate) const RESERVED_FIELDS: &[&str] = &[
    "submission_id",
    "anonymous_id",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "landing_page",
    "page",
    "referrer",
];

pub(super) fn playbook(document: &Value) -> Result<Playbook, Vec<Fault>> {
    let faults = Faults::new();
    let playbook = sections(&Node::root(document, &faults));
    faults.into_result(playbook)
}

fn sections(root: &Node<'_>) -> Option<Playbook> {
    let object = root.object()?;
    let name = object.required("name").and_then(|node| node.text(TITLE).map(str::to_owned));
    let timezone = match object.optional("timezone") {
        Some(node) => node.parsed(zone),
        None => Some(jiff::tz::TimeZone::UTC),
    };
    let machines = machines(&object);
    let signals = signals(&object, &machines);
    let mut by_id = BTreeMap::new();
    for (at, signal) in signals.iter().enumerate() {
        by_id.insert(signal.id.clone(), (at, signal.key));
    }
    let regions = regions(&object);
    let (persona_ids, segment_ids) = (ids(&object, "personas"), ids(&object, "segments"));
    let names = Names { signals: &by_id, regions: &regions, personas: &persona_ids, segments: &segment_ids };
    let mut rule_ids = BTreeSet::new();
    let fit = groups(&object, "fit", &mut rule_ids, |rule, id, title, points| {
        let when = rule.required("when").and_then(|node| names.condition(&node, Level::Facts));
        Some(FitRule { id, title, points, when: when? })
    });
    let engagement = groups(&object, "engagement", &mut rule_ids, |rule, id, title, points| {
        Some(EngagementRule { id, title, points, how: how(rule, &names)? })
    });
    let bands = bands(&object);
    let lead_when = match object.optional("lead_when") {
        None => Some(LeadWhen::AnyResponse),
        Some(node) if node.value() == "any_response" => Some(LeadWhen::AnyResponse),
        Some(node) if node.value().is_string() => {
            node.fault("is not known; expected any_response or a condition");
            None
        }
        Some(node) => names.condition(&node, Level::Facts).map(LeadWhen::Met),
    };
    let marketing_qualified = object.required("marketing_qualified").and_then(|node| {
        let object = node.object()?;
        let labels = object.required("labels").and_then(|node| conditions::labels(&node));
        let when = object.optional("when").map(|node| names.condition(&node, Level::Persona));
        object.finish();
        Some(Definition { labels: labels?, when: when.map_or(Some(None), |when| when.map(Some))? })
    });
    let territories = territories(&object, &names);
    let default_qualifier = object.required("default_qualifier").and_then(|node| node.parsed(Slug::parse));
    let reasons = reasons(&object);
    let promises = promises(&object, &ids(&object, "territories"), &reasons, timezone.as_ref());
    let (single_opt_in, soft_opt_in) =
        object.optional("consent").and_then(|node| node.object()).map_or_else(Default::default, |consent| {
            let listed = |key| consent.optional(key).map(|node| countries(&node)).unwrap_or_default();
            let lists = (listed("single_opt_in"), listed("soft_opt_in"));
            consent.finish();
            lists
        });
    let forms = forms(&object);
    let personas = personas(&object, &names);
    let phases = phases(&object, &names);
    let topics = topics(&object);
    let segments = segments(&object, &names);
    let programs = programs(&object, &names, &reasons);
    let nurture = nurturing(&object);
    let exports = exports(&object, &segment_ids);
    object.finish();
    let mut playbook = Playbook {
        name: name?,
        timezone: timezone?,
        signals,
        fit,
        engagement,
        bands: bands?,
        lead_when: lead_when?,
        marketing_qualified: marketing_qualified?,
        regions,
        territories,
        default_qualifier: default_qualifier?,
        promises: promises?,
        reasons,
        single_opt_in,
        soft_opt_in,
        machines,
        forms,
        personas,
        phases,
        topics,
        segments,
        nurture: nurture?,
        programs,
        exports,
        lookback_days: 0,
    };
    playbook.lookback_days = lookback(&playbook);
    Some(playbook)
}

/// Reads the items of a list, each an object with an id that is unique in `seen`.
pub(super) fn items<'a>(
    object: &Object<'a>,
    key: &'static str,
    seen: &mut BTreeSet<Slug>,
    mut each: impl FnMut(&Object<'a>, Slug),
) {
    let Some(list) = object.optional(key).and_then(|node| node.list()) else { return };
    for node in list {
        let Some(item) = node.object() else { continue };
        let id = item.required("id").and_then(|id| {
            let slug = id.parsed(Slug::parse)?;
            if !seen.insert(slug.clone()) {
                id.fault(format!("\"{slug}\" is used twice; every id stands once"));
            }
            Some(slug)
        });
        // Read on with a stand-in where the id is wrong, so that the faults behind it show too.
        if let Some(id) = id.or_else(|| Slug::parse("unnamed").ok()) {
            each(&item, id);
        }
        item.finish();
    }
}

pub(super) fn title(object: &Object<'_>, id: &Slug) -> String {
    object
        .optional("title")
        .and_then(|node| node.text(TITLE).map(str::to_owned))
        .unwrap_or_else(|| id.as_str().replace(['_', '-'], " "))
}

/// Reads which rules withhold what they find; all do where nothing is said.
fn machines(object: &Object<'_>) -> Withhold {
    let Some(section) = object.optional("machines").and_then(|node| node.object()) else {
        return Withhold::default();
    };
    let listed = section.optional("withhold").and_then(|node| node.list());
    section.finish();
    listed.map_or_else(Withhold::default, |rules| {
        Withhold(rules.iter().filter_map(|node| node.one_of(Rule::WORDS)).collect())
    })
}

fn signals(object: &Object<'_>, machines: &Withhold) -> Vec<Signal> {
    let mut signals: Vec<Signal> = Vec::new();
    items(object, "signals", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let kinds: Vec<String> = item
            .required("kind")
            .map(|node| node.list_or_one().iter().filter_map(|node| node.parsed(parse_kind)).collect())
            .unwrap_or_default();
        let mut tests = Vec::new();
        if let Some(properties) = item.optional("where").and_then(|node| node.object()) {
            for (name, node) in properties.entries() {
                // `path: /pricing` is short for `path: {equals: /pricing}`.
                let test = if node.value().is_object() {
                    node.object().and_then(|object| {
                        let test = conditions::test(&object);
                        object.finish();
                        test
                    })
                } else {
                    if node.value().as_str().is_some_and(|text| text.trim().is_empty()) {
                        node.fault("is empty; to ask whether a value is known, say exists: false");
                    }
                    crate::attribute::AttributeValue::read(&node)
                        .map(|v| crate::condition::Test::OneOf(vec![v]))
                };
                tests.extend(test.map(|test| (name.to_owned(), test)));
            }
        }
        let key = signal_key(&kinds, item.optional("where").map(|node| node.value()), machines);
        if let Some(other) = signals.iter().find(|signal| signal.key == key) {
            item.fault(format!("means the same as the signal \"{}\"; one definition has one name", other.id));
        }
        signals.push(Signal { id, title, key, kinds, tests });
    });
    signals
}

/// Makes the key of a signal from its meaning: its kinds and tests, not its name; of mails also which machines count.
fn signal_key(kinds: &[String], tests: Option<&Value>, machines: &Withhold) -> SignalKey {
    let mut kinds = kinds.to_vec();
    kinds.sort();
    kinds.dedup();
    // A signal that asks nothing more was always hashed with no tests at all: keys stand in stored ledgers.
    let tests = tests.map(|tests| meaning_of_tests(Some(tests)));
    let mut meaning = vec![serde_json::json!(kinds), serde_json::json!(tests)];
    // That all are withheld, as where nothing is said, is no part of the key.
    if is_about(&kinds) && *machines != Withhold::default() {
        meaning.push(machines.0.iter().map(|rule| rule.as_str()).collect());
    }
    let hash = Sha256::digest(Value::from(meaning).to_string().as_bytes());
    let mut bytes = hash.iter().copied();
    let mut next = || u32::from(bytes.next().unwrap_or_default());
    SignalKey(next() << 16 | next() << 8 | next())
}

fn groups<R>(
    object: &Object<'_>,
    key: &'static str,
    rule_ids: &mut BTreeSet<Slug>,
    mut read: impl FnMut(&Object<'_>, Slug, String, i16) -> Option<R>,
) -> Vec<Group<R>> {
    let mut groups = Vec::new();
    items(object, key, &mut BTreeSet::new(), |item, id| {
        let title_of_group = title(item, &id);
        let cap =
            item.optional("cap").and_then(|node| node.integer(0, 100)).and_then(|n| u8::try_from(n).ok());
        let mut rules = Vec::new();
        items(item, "rules", rule_ids, |rule, id| {
            let title = title(rule, &id);
            let points = rule.required("points").and_then(|node| node.integer(-100, 100));
            let points = points.and_then(|n| i16::try_from(n).ok());
            // Read the rest also where the points are wrong, so that its faults show too.
            if let Some(read) = read(rule, id, title, points.unwrap_or_default()) {
                rules.push(read);
            }
        });
        if rules.is_empty() && !item.has("rules") {
            item.fault("has no rules");
        }
        groups.push(Group { id, title: title_of_group, cap, rules });
    });
    groups
}

fn how(rule: &Object<'_>, names: &Names<'_>) -> Option<How> {
    match (rule.has("signal"), rule.has("when")) {
        (true, false) => {
            let found = rule.optional("signal").and_then(|node| names.signal(&node));
            let max_hits = match rule.optional("max_hits") {
                Some(node) => node.integer(1, 1_000),
                None => Some(1_000),
            };
            let half_life = rule.optional("half_life_days").map(|node| node.integer(1, 730));
            let (_, signal, key) = found?;
            Some(How::PerHit {
                signal,
                key,
                max_hits: u32::try_from(max_hits?).ok()?,
                half_life: match half_life {
                    Some(days) => Some(HalfLife::new(u16::try_from(days?).ok()?)),
                    None => None,
                },
            })
        }
        (false, true) => {
            rule.optional("when").and_then(|node| names.condition(&node, Level::Facts)).map(How::When)
        }
        _ => {
            rule.fault("must say either \"signal\" (points for each hit) or \"when\" (points while a condition is met)");
            // Their faults are found all the same.
            let _seen = (rule.optional("signal"), rule.optional("when"));
            None
        }
    }
}

fn bands(object: &Object<'_>) -> Option<Bands> {
    let bands = object.required("bands")?.object()?;
    let three = |key: &'static str, words: [&'static str; 3]| -> Option<[u8; 3]> {
        let band = bands.required(key)?;
        let object = band.object()?;
        let read = words.map(|word| object.required(word).and_then(|node| node.integer(1, 100)));
        object.finish();
        let [Some(a), Some(b), Some(c)] = read else { return None };
        if !(a > b && b > c) {
            band.fault(format!("must fall from {} over {} to {}", words[0], words[1], words[2]));
            return None;
        }
        Some([u8::try_from(a).ok()?, u8::try_from(b).ok()?, u8::try_from(c).ok()?])
    };
    let fit = three("fit", ["A", "B", "C"]);
    let engagement = three("engagement", ["1", "2", "3"]);
    bands.finish();
    Some(Bands { fit: fit?, engagement: engagement? })
}

pub(super) fn countries(node: &Node<'_>) -> Vec<Country> {
    node.list().unwrap_or_default().iter().filter_map(country).collect()
}

pub(super) fn country(node: &Node<'_>) -> Option<Country> {
    node.parsed(|text| Country::parse(text).ok_or("is not a country; expected an ISO 3166 code, such as AT"))
}

fn regions(object: &Object<'_>) -> Vec<Region> {
    let mut regions = Vec::new();
    items(object, "regions", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let listed = item.required("countries");
        let mut countries = listed.as_ref().map(countries).unwrap_or_default();
        if let Some(node) = listed.filter(|node| node.value().as_array().is_some_and(Vec::is_empty)) {
            node.fault("is an empty list; expected at least one country");
        }
        countries.sort();
        countries.dedup();
        regions.push(Region { id, title, countries });
    });
    regions
}

/// Reads the reasons that sales may give. Only who is rejected or lost may be kept warm or not; who is not ready is kept
/// warm, and who is disqualified is not.
fn reasons(object: &Object<'_>) -> BTreeMap<Step, Vec<FeedbackReason>> {
    let mut all = BTreeMap::new();
    let Some(section) = object.optional("reasons").and_then(|node| node.object()) else { return all };
    for step in GIVEN_BACK {
        let mut reasons = Vec::new();
        items(&section, step.as_str(), &mut BTreeSet::new(), |item, id| {
            let title = title(item, &id);
            let chosen = matches!(step, Step::Reject | Step::Lose);
            let then = chosen.then(|| item.optional("then")).flatten();
            let then = then.and_then(|node| node.one_of(&[("nurture", false), ("disqualify", true)]));
            let disqualifies = then.unwrap_or(step == Step::Disqualify);
            reasons.push(FeedbackReason { id, title, disqualifies });
        });
        if let Some(list) =
            section.optional(step.as_str()).filter(|node| node.value().as_array().is_some_and(Vec::is_empty))
        {
            list.fault("is an empty list; expected at least one reason");
        }
        if section.has(step.as_str()) {
            all.insert(step, reasons);
        }
    }
    section.finish();
    all
}

fn forms(object: &Object<'_>) -> Vec<Form> {
    let mut forms = Vec::new();
    items(object, "forms", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let activity = match item.optional("activity") {
            Some(node) => node.parsed(parse_kind).unwrap_or_default(),
            None => "form_submitted".to_owned(),
        };
        let fields = item.required("fields").map(|node| fields(&node)).unwrap_or_default();
        if !fields.values().any(|target| matches!(target, FormTarget::Email | FormTarget::Phone)) {
            item.fault("has neither an email nor a phone field; nobody could be known by it");
        }
        let required: Vec<String> = item
            .optional("required")
            .and_then(|node| node.list())
            .unwrap_or_default()
            .iter()
            .filter_map(|node| {
                let name = node.text(100)?;
                if !fields.contains_key(name) {
                    node.fault("is not among the form's fields");
                }
                Some(name.to_owned())
            })
            .collect();
        let mut consents = Vec::new();
        for node in item.optional("consent").and_then(|node| node.list()).unwrap_or_default() {
            let Some(object) = node.object() else { continue };
            let field = object.required("field").and_then(|node| field_name(&node));
            let purpose = object.required("purpose").and_then(|node| node.one_of(Purpose::WORDS));
            let text = object.required("text").and_then(|node| node.text(TITLE).map(str::to_owned));
            object.finish();
            if let (Some(field), Some(purpose), Some(text)) = (field, purpose, text) {
                if fields.contains_key(&field) {
                    node.fault(format!("uses the field \"{field}\", which goes somewhere else already"));
                }
                consents.push(ConsentBox { field, purpose, text });
            }
        }
        let honeypot = item.optional("honeypot").and_then(|node| {
            let name = field_name(&node)?;
            if fields.contains_key(&name) || consents.iter().any(|c| c.field == name) {
                node.fault("is a field that people fill in; expected one of its own, which they do not see");
            }
            Some(name)
        });
        let allowed_origins =
            item.optional("allowed_origins").and_then(|node| node.list()).unwrap_or_default();
        let allowed_origins = allowed_origins.iter().filter_map(origin).collect();
        let page_activities = match item.optional("page_activities") {
            Some(node) => node.list_or_one().iter().filter_map(|node| node.parsed(parse_kind)).collect(),
            None => vec!["page_viewed".to_owned()],
        };
        let thank_you = item.optional("thank_you").and_then(|node| {
            let text = node.text(500)?;
            let ok = text.starts_with("https://") || text.starts_with("http://") || text.starts_with('/');
            if !ok || text.starts_with("//") || text.chars().any(|c| c.is_control() || c == ' ') {
                node.fault("is not an address; expected https://… or a path that starts with /");
            }
            Some(text.to_owned())
        });
        forms.push(Form {
            id,
            title,
            activity,
            fields,
            required,
            consents,
            honeypot,
            allowed_origins,
            page_activities,
            thank_you,
        });
    });
    forms
}

fn field_name(node: &Node<'_>) -> Option<String> {
    let name = node.text(100)?;
    if RESERVED_FIELDS.contains(&name) {
        node.fault(format!("\"{name}\" is filled in by the page's script; expected another name"));
        return None;
    }
    Some(name.to_owned())
}

fn origin(node: &Node<'_>) -> Option<String> {
    let text = node.text(200)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' ', '?', '#'])) {
        node.fault("is not an origin; expected scheme and host only, such as https://www.company.example");
        return None;
    }
    Some(text.to_ascii_lowercase())
}

fn fields(node: &Node<'_>) -> BTreeMap<String, FormTarget> {
    let mut fields = BTreeMap::new();
    let Some(object) = node.object() else { return fields };
    for (name, node) in object.entries() {
        if RESERVED_FIELDS.contains(&name) {
            node.fault(format!("\"{name}\" is filled in by the page's script; expected another name"));
            continue;
        }
        let target = node.parsed(|text| match text.split_once('.') {
            None if text == "email" => Ok(FormTarget::Email),
            None if text == "phone" => Ok(FormTarget::Phone),
            Some(("company", "name")) => Ok(FormTarget::CompanyName),
            Some(("attributes", attribute)) => {
                AttributeName::parse(attribute).map(FormTarget::Attribute).map_err(str::to_owned)
            }
            Some(("properties", property)) if !property.is_empty() && property.chars().count() <= 64 => {
                Ok(FormTarget::Property(property.to_owned()))
            }
            _ => Err("goes nowhere; expected email, phone, company.name, attributes.NAME or properties.NAME"
                .to_owned()),
        });
        if let Some(target) = target {
            if fields.values().any(|other| *other == target) {
                node.fault("goes where another field goes already");
            }
            fields.insert(name.to_owned(), target);
        }
    }
    fields
}

fn segments(object: &Object<'_>, names: &Names<'_>) -> Vec<Segment> {
    let mut segments = Vec::new();
    items(object, "segments", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let when = item.required("when").and_then(|node| names.condition(&node, Level::Segments));
        segments.extend(when.map(|when| Segment { id, title, when }));
    });
    // Each after those that it refers to; what is left over refers to itself in a circle.
    let mut ordered: Vec<Segment> = Vec::new();
    while !segments.is_empty() {
        // What has a fault of its own is not among them, and nobody waits for it.
        let waiting: Vec<Slug> = segments.iter().map(|segment| segment.id.clone()).collect();
        let mut rest = Vec::new();
        for segment in segments {
            let mut ready = true;
            segment.when.visit(&mut |part| {
                if let Condition::Segment(id) = part {
                    ready &= !waiting.contains(id);
                }
            });
            if ready { ordered.push(segment) } else { rest.push(segment) }
        }
        segments = rest;
        if segments.len() == waiting.len() {
            let circle: Vec<&str> = segments.iter().map(|segment| segment.id.as_str()).collect();
            let pointer = format!("{}/segments", object.pointer());
            object.faults().add(pointer, format!("refer to each other in a circle: {}", circle.join(", ")));
            break;
        }
    }
    ordered
}

fn exports(object: &Object<'_>, segments: &[Slug]) -> Vec<Scheduled> {
    const EVERY: &[(&str, bool)] = &[("day", false), ("week", true)];
    let mut exports = Vec::new();
    items(object, "exports", &mut BTreeSet::new(), |item, id| {
        let title = title(item, &id);
        let segment = item.required("segment").and_then(|node| {
            let segment = node.parsed(Slug::parse)?;
            if !segments.contains(&segment) {
                node.fault("names no segment of this playbook");
            }
            Some(segment)
        });
        let spec = Spec::read(item);
        let every = item.required("every").and_then(|node| node.one_of(EVERY)).and_then(|weekly| {
            if weekly {
                return item.required("weekday").and_then(|node| node.one_of(WEEKDAYS)).map(Every::Week);
            }
            if let Some(node) = item.optional("weekday") {
                node.fault("says nothing of what is made every day; expected it beside every: week only");
            }
            Some(Every::Day)
        });
        // Where `every` is wrong, `weekday` is a field all the same.
        let _seen = item.optional("weekday");
        let at = item.required("at").and_then(|node| node.parsed(parse_time));
        let read = segment.zip(spec).zip(every.zip(at));
        exports.extend(read.map(|((segment, spec), (every, at))| Scheduled {
            id,
            title,
            segment,
            spec,
            every,
            at,
        }));
    });
    exports
}

/// Finds how many days back any rule or condition counts.
fn lookback(playbook: &Playbook) -> i32 {
    let mut days = playbook.conditions().map(Condition::lookback_days).max().unwrap_or(0);
    for rule in playbook.engagement.iter().flat_map(|group| &group.rules) {
        if let How::PerHit { half_life: Some(half_life), .. } = &rule.how {
            days = days.max(half_life.horizon_days());
        }
    }
    days
}
