//! CRMs: what they are told of a lead, and what they tell us.
//!
//! A subscriber that is a CRM wants a record rather than an event: made once, changed from then on. [`Crm`] says with which
//! requests, and what stands in which field, as [templates](crate::template). The id that the CRM gives the record becomes one
//! of the lead's external ids, which is how the next delivery knows to change and not to make.
//!
//! # Layout
//!
//! * this file – the requests and their fields;
//! * [`context`] – what templates see of a lead;
//! * [`mapping`] – a CRM's changes as feedback, and what is only an echo of our own.
//!
//! `presets/` holds the ready ones. A preset is a document like any other that somebody could have written; what is given
//! beside it goes over it, field by field.

pub mod context;
pub mod mapping;

use crate::fault::Faults;
use crate::identity::{ExternalId, Slug};
use crate::reader::{Node, Object};
use crate::sales::DeliveryId;
use crate::template::{People, Template};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most fields that are written.
pub const MOST_FIELDS: usize = 100;
/// The longest name of a field, in characters.
const LONGEST_NAME: usize = 200;
/// The longest JSON pointer, in characters.
const LONGEST_POINTER: usize = 200;

/// The ready ones, by name.
pub const PRESETS: &[(&str, &str)] = &[
    ("hubspot_contacts", include_str!("crm/presets/hubspot_contacts.json")),
    ("salesforce_leads", include_str!("crm/presets/salesforce_leads.json")),
];

/// A verb that writes.
const VERBS: &[(&str, &str)] = &[("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")];

/// A request in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The verb.
    pub method: &'static str,
    /// Where to.
    pub url: Template,
}

/// How a record comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// A request that makes a record each time it is sent.
    Create(Request),
    /// A request that makes the record or, where there is one under its key, changes it.
    Upsert(Request),
}

/// How a record that may be there is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// What is asked; 404 says that there is none.
    pub url: Template,
    /// Where the id stands in the answer; nothing there says that there is none.
    pub id: String,
}

/// What a CRM is told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crm {
    /// How it is called among external ids.
    pub system: String,
    /// How a record is made.
    pub making: Making,
    /// How it is changed.
    pub update: Request,
    /// How one that may be there is looked for.
    pub find: Option<Find>,
    /// Where the id stands in the answer to making one, as a JSON pointer.
    pub record_id: String,
    /// In which field of the body the fields stand; in the body itself where none is named.
    under: Option<String>,
    fields: Vec<(String, Template)>,
    /// The CRM's ids of people, beside those in their records.
    owners: BTreeMap<Slug, String>,
    document: Value,
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// The verb.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// The body.
    pub body: Value,
    /// What the CRM will hold, by field.
    pub holds: Holds,
}

/// What a CRM holds of a lead as far as we know, by field: marks of the values, not the values.
pub type Holds = BTreeMap<String, String>;

/// Marks a value. A number and its text are one value, since CRMs tell of either as the other. The lead is part of the mark,
/// so that equal ones say nothing of two leads.
#[must_use]
pub fn mark(lead: &str, field: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    DeliveryId::new(&format!("{lead} {field}"), &text).to_string()
}

/// Puts what was given over the preset that it names. `instance` is the host that the preset leaves open.
///
/// # Errors
///
/// What is wrong, with its pointer.
pub fn with_preset(given: &Value, presets: &[(&str, &str)]) -> Result<Value, (&'static str, String)> {
    let mut given = given.clone();
    let Some(map) = given.as_object_mut() else { return Ok(given) };
    let (preset, instance) = (map.remove("preset"), map.remove("instance"));
    let Some(preset) = preset else {
        return match instance {
            Some(_) => Err(("/instance", "belongs to a preset".to_owned())),
            None => Ok(given),
        };
    };
    let found = presets.iter().find(|(name, _)| preset.as_str() == Some(name));
    let Some((_, text)) = found else {
        let names: Vec<&str> = presets.iter().map(|(name, _)| *name).collect();
        return Err(("/preset", format!("is no preset; expected one of: {}", names.join(", "))));
    };
    let text = match instance.as_ref().map(Value::as_str) {
        None if text.contains("INSTANCE") => {
            let detail = "is required by the preset: the CRM's own host, such as company.my.salesforce.com";
            return Err(("/instance", detail.to_owned()));
        }
        None => (*text).to_owned(),
        Some(Some(host)) if text.contains("INSTANCE") && is_host(host) => text.replace("INSTANCE", host),
        Some(_) => return Err(("/instance", "is no host, or the preset leaves none open".to_owned())),
    };
    let mut whole: Value = serde_json::from_str(&text).unwrap_or_default();
    for (key, value) in std::mem::take(map) {
        match (whole.get_mut(&key).and_then(Value::as_object_mut), value) {
            (Some(own), Value::Object(over)) if key == "fields" => own.extend(over),
            (_, value) => {
                if let Some(whole) = whole.as_object_mut() {
                    whole.insert(key, value);
                }
            }
        }
    }
    Ok(whole)
}

fn is_host(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    !text.is_empty() && text.len() <= 253 && text.chars().all(ok)
}

/// Reads a template.
pub(crate) fn template(node: &Node<'_>) -> Option<Template> {
    node.parsed(Template::parse)
}

/// Reads a JSON pointer.
pub(crate) fn pointer(node: &Node<'_>) -> Option<String> {
    let text = node.value().as_str().unwrap_or("?");
    let ok = (text.is_empty() || text.starts_with('/')) && text.len() <= LONGEST_POINTER;
    if !ok {
        node.fault("is no JSON pointer; expected one such as /id");
    }
    ok.then(|| text.to_owned())
}

/// Reads an address: the host stands there as it is, and what is behind it may hold expressions.
fn url(node: &Node<'_>, check: &dyn Fn(&str) -> Result<(), &'static str>) -> Option<Template> {
    let template = template(node)?;
    let fixed = template.as_str().split("{{").next().unwrap_or_default();
    let has_host = fixed.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if !has_host {
        node.fault("begins with no host of its own; expected one such as https://api.crm.example/contacts/{{ record_id }}");
        return None;
    }
    let sample = match template.render_url(&context::sample()) {
        Ok(sample) => sample,
        Err(error) => {
            node.fault(error);
            return None;
        }
    };
    match check(&sample) {
        Ok(()) => Some(template),
        Err(error) => {
            node.fault(error);
            None
        }
    }
}

fn request(node: &Node<'_>, check: &dyn Fn(&str) -> Result<(), &'static str>) -> Option<Request> {
    let object = node.object()?;
    let method = object.required("method").and_then(|node| node.one_of(VERBS));
    let url = object.required("url").and_then(|node| url(&node, check));
    object.finish();
    Some(Request { method: method?, url: url? })
}

impl Crm {
    /// Reads what a CRM is told; `check` says where messages may go.
    ///
    /// Each template is tried on two leads that are made up: one of whom everything is known, and one of whom nothing is.
    #[must_use]
    pub fn read(node: &Node<'_>, check: &dyn Fn(&str) -> Result<(), &'static str>) -> Option<Self> {
        let object = node.object()?;
        let system = object.required("system").and_then(|node| node.parsed(ExternalId::parse_system));
        let making = making(&object, check);
        let update = object.required("update").and_then(|node| request(&node, check));
        let find = object.optional("find").map(|node| {
            let object = node.object()?;
            let url = object.required("url").and_then(|node| url(&node, check));
            let id = object.required("id").and_then(|node| pointer(&node));
            object.finish();
            Some(Find { url: url?, id: id? })
        });
        let record_id = object.required("record_id").and_then(|node| pointer(&node));
        let under = object.optional("under").map(|node| node.text(LONGEST_NAME).map(str::to_owned));
        let fields = object.required("fields").and_then(|node| fields(&node));
        let owners = object.optional("owners").map(|node| owners(&node));
        object.finish();
        Some(Self {
            system: system?,
            making: making?,
            update: update?,
            find: match find {
                Some(find) => Some(find?),
                None => None,
            },
            record_id: record_id?,
            under: match under {
                Some(under) => Some(under?),
                None => None,
            },
            fields: fields?,
            owners: owners.unwrap_or_else(|| Some(BTreeMap::new()))?,
            document: node.value().clone(),
        })
    }

    /// Reads one that was stored.
    #[must_use]
    pub fn stored(document: &Value) -> Option<Self> {
        let faults = Faults::new();
        let read = Self::read(&Node::root(document, &faults), &|_| Ok(()));
        faults.into_result(read).ok()
    }

    /// Gives it as it was written.
    #[must_use]
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// Gives where records are made, for people to read.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.making {
            Making::Create(request) | Making::Upsert(request) => request.url.as_str(),
        }
    }

    /// Gives the CRM's id of a person.
    #[must_use]
    pub fn owner(&self, person: &Slug) -> Option<&str> {
        self.owners.get(person).map(String::as_str)
    }

    /// Makes a request ready that writes the fields of a lead.
    ///
    /// # Errors
    ///
    /// Each template that gives no value, with its pointer; nothing of the lead is in the words.
    pub fn ready(&self, request: &Request, lead: &str, context: &Value) -> Result<Ready, String> {
        let url = request.url.render_url(context).map_err(|error| format!("the URL {error}"));
        let (fields, mut faults) = rendered(&self.fields, context);
        let url = url.map_err(|fault| faults.push(fault));
        let (Ok(url), true) = (url, faults.is_empty()) else { return Err(faults.join("; ")) };
        let holds = fields.iter().map(|(name, value)| (name.clone(), mark(lead, name, value))).collect();
        let body = match &self.under {
            Some(under) => json!({ under.as_str(): fields }),
            None => Value::Object(fields),
        };
        Ok(Ready { method: request.method, url, body, holds })
    }
}

/// Renders fields; what comes out as nothing is left out.
fn rendered(fields: &[(String, Template)], context: &Value) -> (Map<String, Value>, Vec<String>) {
    let (mut all, mut faults) = (Map::new(), Vec::new());
    for (name, template) in fields {
        match template.render(context, &People::new()) {
            Ok(Value::Null) => {}
            Ok(value) => {
                all.insert(name.clone(), value);
            }
            Err(error) => faults.push(format!("the field {name} {error}")),
        }
    }
    (all, faults)
}

fn making(object: &Object<'_>, check: &dyn Fn(&str) -> Result<(), &'static str>) -> Option<Making> {
    let create = object.optional("create").map(|node| request(&node, check).map(Making::Create));
    let upsert = object.optional("upsert").map(|node| request(&node, check).map(Making::Upsert));
    match (create, upsert) {
        (Some(making), None) | (None, Some(making)) => making,
        (None, None) => {
            object.fault("says no way to make a record; expected \"create\" or \"upsert\"");
            None
        }
        (Some(_), Some(_)) => {
            object.fault("says two ways to make a record; expected \"create\" or \"upsert\"");
            None
        }
    }
}

/// Reads the fields; one that is nothing takes away the preset's.
fn fields(node: &Node<'_>) -> Option<Vec<(String, Template)>> {
    let entries = node.object()?.entries();
    if entries.len() > MOST_FIELDS {
        node.fault(format!("has more than {MOST_FIELDS} fields"));
        return None;
    }
    let leads = [context::sample(), context::bare_sample()];
    let mut all = Some(Vec::new());
    for (name, node) in entries.iter().filter(|(_, node)| !node.value().is_null()) {
        let read = template(node).filter(|template| {
            let tried = leads.iter().try_for_each(|lead| template.render(lead, &People::new()).map(drop));
            tried.map_err(|error| node.fault(error)).is_ok()
        });
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            node.fault(format!("has a name that is empty or longer than {LONGEST_NAME} characters"));
        }
        match (read, &mut all) {
            (Some(template), Some(all)) => all.push(((*name).to_owned(), template)),
            _ => all = None,
        }
    }
    if all.as_ref().is_some_and(Vec::is_empty) {
        node.fault("names no field; expected at least one");
        return None;
    }
    all
}

fn owners(node: &Node<'_>) -> Option<BTreeMap<Slug, String>> {
    let entries = node.object()?.entries();
    let one = |(person, node): &(&str, Node<'_>)| {
        let person = Slug::parse(person).map_err(|error| node.fault(format!("the person {error}"))).ok();
        let id = match node.value() {
            Value::Number(id) => Some(id.to_string()),
            _ => node.text(LONGEST_NAME).map(str::to_owned),
        };
        Some((person?, id?))
    };
    let read: Vec<Option<(Slug, String)>> = entries.iter().map(one).collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &Value) -> Result<Crm, Vec<String>> {
        let faults = Faults::new();
        let check =
            |url: &str| if url.contains("10.0.0.1") { Err("leads to a private network") } else { Ok(()) };
        let read = Crm::read(&Node::root(document, &faults), &check);
        faults.into_result(read).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    fn preset(name: &str, over: Value) -> Value {
        let mut given = over;
        given["preset"] = name.into();
        with_preset(&given, PRESETS).unwrap()
    }

    #[test]
    fn hubspot_contacts_are_ready() {
        let crm = read(&preset("hubspot_contacts", json!({}))).unwrap();
        let Making::Create(create) = &crm.making else { panic!("made by a create") };
        let ready = crm.ready(create, "l", &context::sample()).unwrap();
        assert_eq!(
            (ready.method, ready.url.as_str()),
            ("POST", "https://api.hubapi.com/crm/v3/objects/contacts")
        );
        let fields = &ready.body["properties"];
        assert_eq!(fields["email"], "ada@company.example");
        assert_eq!(fields["hubspot_owner_id"], "77");
        assert_eq!(fields["hs_lead_status"], "NEW");
        let ready = crm.ready(&crm.update, "l", &context::sample()).unwrap();
        assert_eq!(
            (ready.method, ready.url.as_str()),
            ("PATCH", "https://api.hubapi.com/crm/v3/objects/contacts/4711")
        );
        assert_eq!(ready.holds["email"], mark("l", "email", &"ada@company.example".into()));
        // Of whom nothing is known, nothing is said.
        let bare = crm.ready(create, "l", &context::bare_sample()).unwrap();
        assert!(bare.body["properties"].get("email").is_none());
        let find = crm.find.unwrap();
        assert_eq!(
            find.url.render_url(&context::sample()).unwrap(),
            "https://api.hubapi.com/crm/v3/objects/contacts/ada%40company.example?idProperty=email"
        );
        assert!(
            find.url.render_url(&context::bare_sample()).is_err(),
            "without an address it cannot be asked"
        );
    }

    #[test]
    fn salesforce_leads_are_ready() {
        let crm =
            read(&preset("salesforce_leads", json!({"instance": "company.my.salesforce.com"}))).unwrap();
        let Making::Upsert(upsert) = &crm.making else { panic!("made by an upsert") };
        for mut lead in [context::sample(), context::bare_sample()] {
            lead["record_id"] = Value::Null;
            let ready = crm.ready(upsert, "l", &lead).unwrap();
            assert_eq!(ready.method, "PATCH");
            assert!(
                ready.url.starts_with("https://company.my.salesforce.com/services/data/v"),
                "{}",
                ready.url
            );
            assert!(
                ready.url.ends_with("/sobjects/Lead/Leadloop_Id__c/aaaaaaaaaaaaaaaaaaaaaaaaaa"),
                "{}",
                ready.url
            );
            // Salesforce takes no lead without these two.
            assert!(
                ready.body["LastName"].is_string() && ready.body["Company"].is_string(),
                "{}",
                ready.body
            );
            assert!(ready.body.get("Leadloop_Id__c").is_none(), "the key stands in the URL and nowhere else");
        }
    }

    #[test]
    fn what_sales_knows_better_in_salesforce_is_not_written_over_with_nothing() {
        let crm =
            read(&preset("salesforce_leads", json!({"instance": "company.my.salesforce.com"}))).unwrap();
        let update = |lead: &Value| crm.ready(&crm.update, "l", lead).unwrap().body;
        // Somebody found out the name, and that no mail is wanted; we know of neither.
        let body = update(&context::bare_sample());
        for field in ["LastName", "Company", "HasOptedOutOfEmail"] {
            assert!(body.get(field).is_none(), "{body}");
        }
        assert!(
            update(&context::sample()).get("HasOptedOutOfEmail").is_none(),
            "a consent here is none there"
        );
        let mut out = context::sample();
        out["lead"]["consents"]["marketing"] = "withdrawn".into();
        assert_eq!(update(&out)["HasOptedOutOfEmail"], true);
    }

    #[test]
    fn what_is_given_goes_over_the_preset_field_by_field() {
        let over =
            json!({"fields": {"jobtitle": null, "score": "{{ lead.score.fit }}"}, "owners": {"at-1": 9}});
        let crm = read(&preset("hubspot_contacts", over)).unwrap();
        let names: Vec<&str> = crm.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"score") && names.contains(&"email") && !names.contains(&"jobtitle"));
        assert_eq!(crm.owner(&Slug::parse("at-1").unwrap()), Some("9"));
        assert_eq!(Crm::stored(crm.document()).unwrap(), crm);
        for (given, at) in [
            (json!({"preset": "x"}), "/preset"),
            (json!({"preset": "salesforce_leads"}), "/instance"),
            (json!({"preset": "salesforce_leads", "instance": "a/b"}), "/instance"),
            (json!({"preset": "hubspot_contacts", "instance": "a"}), "/instance"),
            (json!({"instance": "a"}), "/instance"),
        ] {
            assert_eq!(with_preset(&given, PRESETS).unwrap_err().0, at, "{given}");
        }
    }

    #[test]
    fn every_fault_is_named_and_templates_are_tried_on_a_lead_of_whom_nothing_is_known() {
        let document = json!({
            "system": "My CRM", "create": {"method": "GET", "url": "https://{{ lead.company.domain }}/x"},
            "update": {"method": "PATCH", "url": "https://10.0.0.1/{{ record_id }}"}, "record_id": "id", "under": 7,
            "fields": {"a": "{{ lead.attributes.job_title }}", "b": "{{ lead.", "c": "{{ lead.email | number }}",
                "d": "{% raw %}", "ok": "{{ lead.email }}"},
            "owners": {"AT 1": "x"}, "more": 1});
        let faults = read(&document).unwrap_err();
        let wanted = [
            "/system",
            "/create/method",
            "/create/url",
            "/update/url",
            "/record_id",
            "/under",
            "/fields/a",
            "/fields/b",
            "/fields/c",
            "/fields/d",
            "/owners/AT 1",
            "/more",
        ];
        for pointer in wanted {
            assert!(faults.iter().any(|at| at == pointer), "{pointer}: {faults:?}");
        }
        assert!(!faults.iter().any(|at| at == "/fields/ok"));
    }

    #[test]
    fn a_mark_is_of_a_value_in_whatever_form_and_of_one_lead() {
        assert_eq!(mark("l", "f", &json!(45)), mark("l", "f", &json!("45")));
        assert_ne!(mark("l", "f", &json!("45")), mark("m", "f", &json!("45")));
        assert_ne!(mark("l", "f", &json!("45")), mark("l", "g", &json!("45")));
    }
}
