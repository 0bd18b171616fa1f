//! A CRM's changes as feedback.
//!
//! Whatever a CRM sends is one item or a list of them; each item is about one record and tells of one change
//! (`propertyName`, `propertyValue`) or holds the whole record, field by field. Both are read as changes: a field with its
//! value. A rule names a field and the values that it is about, and gives the feedback that a person would have given, whose
//! texts are templates over the item. So whatever feedback may be, a CRM can say, and the same reader judges it.
//!
//! **An echo** is a change to a value that the CRM held already as far as we know: we sent it, or heard it before
//! ([`super::Holds`]). It changes nothing. Nor does feedback that says how things stand anyway ([`stands`]). So a value that
//! no rule is about is told too: without it a change to another value and back again would look like an echo.

use super::{pointer, template};
use crate::change::Fact;
use crate::consent::ConsentStatus;
use crate::fault::Faults;
use crate::identity::ExternalId;
use crate::lead::Lead;
use crate::reader::Node;
use crate::sales::Move;
use crate::stage::{Stage, Step};
use crate::template::{People, Template};
use serde_json::{Map, Value, json};

/// The most rules of a mapping.
const MOST_RULES: usize = 200;
/// The most values that a rule names.
const MOST_VALUES: usize = 100;
/// The longest name of a field or value, in characters.
const LONGEST: usize = 200;
/// How deep feedback is nested, at most.
const DEEPEST: usize = 4;

/// The ready ones, by name.
pub const PRESETS: &[(&str, &str)] = &[
    ("hubspot", include_str!("presets/hubspot.json")),
    ("salesforce", include_str!("presets/salesforce.json")),
];

/// The kinds of feedback that a CRM gives.
pub const KINDS: &[&str] = &[
    "accepted",
    "rejected",
    "not_ready",
    "qualified",
    "assigned",
    "opportunity",
    "won",
    "lost",
    "disqualified",
    "churned",
    "opted_out",
    "follow_up",
];

/// In which form an item tells of changes.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// One change.
    One { name: Template, value: Template },
    /// A record; the fields stand under this pointer.
    Whole { under: String },
}

/// What a change of a field says.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    field: String,
    /// The values that it is about; any that is not empty where none is named.
    is: Vec<String>,
    feedback: Shape,
}

/// Feedback with templates for texts.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Text(Template),
    Fixed(Value),
    Object(Vec<(String, Shape)>),
}

/// How a CRM's changes are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// How the CRM is called among external ids.
    pub system: String,
    /// The webhook by which we tell the same CRM, so that echoes are recognised.
    pub subscriber: Option<String>,
    /// Where the list of items stands.
    items: String,
    id: Option<Template>,
    record_id: Option<Template>,
    email: Option<Template>,
    occurred_at: Option<Template>,
    form: Form,
    rules: Vec<Rule>,
    document: Value,
}

/// What an item tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The id of the event, where it has one.
    pub id: Option<String>,
    /// The record's id in the CRM.
    pub record_id: Option<String>,
    /// The address of whom it is about.
    pub email: Option<String>,
    /// The changes that a rule is about.
    pub changes: Vec<Changed>,
    /// Fields of rules with values that none of them is about.
    pub others: Vec<(String, Value)>,
}

/// A change that a rule is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The field.
    pub field: String,
    /// What it holds now.
    pub value: Value,
    /// The feedback that this is, or why it is none.
    pub feedback: Result<Value, String>,
}

impl Mapping {
    /// Reads a mapping.
    #[must_use]
    pub fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object()?;
        let system = object.required("system").and_then(|node| node.parsed(ExternalId::parse_system));
        let subscriber = object.optional("subscriber").map(|node| node.text(LONGEST).map(str::to_owned));
        let items = object.optional("items").map(|node| pointer(&node));
        let of = |name: &'static str| object.optional(name).map(|node| template(&node));
        let (id, record_id, email, occurred_at) = (of("id"), of("record_id"), of("email"), of("occurred_at"));
        if record_id.is_none() && email.is_none() {
            object.fault("says not who is meant; expected \"record_id\", \"email\" or both");
        }
        let change = object.optional("change").map(|node| {
            let object = node.object()?;
            let name = object.required("field").and_then(|node| template(&node));
            let value = object.required("value").and_then(|node| template(&node));
            object.finish();
            Some(Form::One { name: name?, value: value? })
        });
        let whole = object.optional("fields").map(|node| pointer(&node).map(|under| Form::Whole { under }));
        let form = match (change, whole) {
            (Some(form), None) | (None, Some(form)) => form,
            (None, None) => Some(Form::Whole { under: String::new() }),
            (Some(_), Some(_)) => {
                object.fault("says two forms of a change; expected \"change\" or \"fields\"");
                None
            }
        };
        let rules = object.required("rules").and_then(|node| rules(&node));
        object.finish();
        let whole = |read: Option<Option<Template>>| match read {
            Some(None) => Err(()),
            Some(read) => Ok(read),
            None => Ok(None),
        };
        Some(Self {
            system: system?,
            subscriber: match subscriber {
                Some(subscriber) => Some(subscriber?),
                None => None,
            },
            items: items.unwrap_or_else(|| Some(String::new()))?,
            id: whole(id).ok()?,
            record_id: whole(record_id).ok()?,
            email: whole(email).ok()?,
            occurred_at: whole(occurred_at).ok()?,
            form: form?,
            rules: rules?,
            document: node.value().clone(),
        })
    }

    /// Reads one that was stored.
    #[must_use]
    pub fn stored(document: &Value) -> Option<Self> {
        let faults = Faults::new();
        let read = Self::read(&Node::root(document, &faults));
        faults.into_result(read).ok()
    }

    /// Gives it as it was written.
    #[must_use]
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// Gives the items of what a CRM sent.
    ///
    /// # Errors
    ///
    /// The pointer under which none stand, with what is wrong.
    pub fn items<'a>(&self, body: &'a Value) -> Result<Vec<&'a Value>, (String, &'static str)> {
        match body.pointer(&self.items) {
            Some(Value::Array(items)) => Ok(items.iter().collect()),
            Some(item @ Value::Object(_)) => Ok(vec![item]),
            Some(_) => Err((self.items.clone(), "is neither a list nor an object")),
            None => Err((self.items.clone(), "is required by the mapping")),
        }
    }

    /// Reads an item. `people` has the persons by the CRM's ids.
    ///
    /// # Errors
    ///
    /// What is wrong with it, by the names of the mapping's own fields.
    pub fn told(&self, item: &Value, people: &People) -> Result<Told, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let context = json!({ "item": item });
        let mut text = |name: &str, template: Option<&Template>| {
            let rendered = template?.render(&context, people);
            match rendered {
                Ok(value) => plain(&value),
                Err(error) => {
                    faults.push((format!("/{name}"), error));
                    None
                }
            }
        };
        let (id, record_id) = (text("id", self.id.as_ref()), text("record_id", self.record_id.as_ref()));
        let (email, at) =
            (text("email", self.email.as_ref()), text("occurred_at", self.occurred_at.as_ref()));
        let at = at.map(|at| {
            let time =
                Template::parse("{{ at | time }}").and_then(|time| time.render(&json!({ "at": at }), people));
            time.map_err(|_| faults.push(("/occurred_at".to_owned(), "is no time".to_owned())))
        });
        let fields = match self.fields(item, &context) {
            Ok(fields) => fields,
            Err(fault) => {
                faults.push(fault);
                Vec::new()
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let at = at.and_then(Result::ok);
        let (mut changes, mut others) = (Vec::new(), Vec::new());
        for (field, value) in fields {
            let mut rules = self.rules.iter().filter(|rule| rule.field == field).peekable();
            if rules.peek().is_none() {
                continue;
            }
            let Some(rule) = rules.find(|rule| rule.is_about(&value)) else {
                others.push((field, value));
                continue;
            };
            let context = json!({ "item": item, "field": field, "value": value });
            let feedback = rule.feedback.render(&context, people).map(|mut feedback| {
                if let (Some(at), Some(map)) = (&at, feedback.as_object_mut()) {
                    map.entry("occurred_at").or_insert_with(|| at.clone());
                }
                feedback
            });
            changes.push(Changed { field, value, feedback });
        }
        Ok(Told { id, record_id, email, changes, others })
    }

    fn fields(&self, item: &Value, context: &Value) -> Result<Vec<(String, Value)>, (String, String)> {
        let none = People::new();
        match &self.form {
            Form::One { name, value } => {
                // Events of other kinds, such as that a record was made, name no field.
                let Some(name) = name.render(context, &none).ok().as_ref().and_then(plain) else {
                    return Ok(Vec::new());
                };
                let value =
                    value.render(context, &none).map_err(|error| ("/change/value".to_owned(), error))?;
                Ok(vec![(name, value)])
            }
            Form::Whole { under } => match item.pointer(under) {
                Some(Value::Object(map)) => {
                    // In the order of the rules, which somebody thought about.
                    let mut named: Vec<&str> = Vec::new();
                    for rule in &self.rules {
                        if !named.contains(&rule.field.as_str()) {
                            named.push(&rule.field);
                        }
                    }
                    let held = |name: &str| Some((name.to_owned(), map.get(name)?.clone()));
                    Ok(named.into_iter().filter_map(held).collect())
                }
                _ => Err((under.clone(), "is no object".to_owned())),
            },
        }
    }
}

/// Gives a value as a text; nothing where it is empty or no single value.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

impl Rule {
    fn is_about(&self, value: &Value) -> bool {
        let Some(text) = plain(value) else { return false };
        self.is.is_empty() || self.is.iter().any(|one| one.eq_ignore_ascii_case(&text))
    }
}

impl Shape {
    fn read(node: &Node<'_>, depth: usize) -> Option<Self> {
        match node.value() {
            Value::String(_) => template(node).map(Self::Text),
            Value::Object(_) if depth < DEEPEST => {
                let entries = node.object()?.entries();
                let read: Vec<Option<(String, Self)>> = entries
                    .iter()
                    .map(|(name, node)| Some(((*name).to_owned(), Self::read(node, depth + 1)?)))
                    .collect();
                Some(Self::Object(read.into_iter().collect::<Option<_>>()?))
            }
            Value::Object(_) | Value::Array(_) => {
                node.fault("is a list, or nested too deep; feedback has texts, numbers and objects");
                None
            }
            fixed => Some(Self::Fixed(fixed.clone())),
        }
    }

    fn render(&self, context: &Value, people: &People) -> Result<Value, String> {
        match self {
            Self::Text(template) => template.render(context, people),
            Self::Fixed(value) => Ok(value.clone()),
            Self::Object(parts) => {
                let mut map = Map::new();
                for (name, part) in parts {
                    let value = part.render(context, people).map_err(|error| format!("{name} {error}"))?;
                    if !value.is_null() {
                        map.insert(name.clone(), value);
                    }
                }
                Ok(Value::Object(map))
            }
        }
    }
}

fn rules(node: &Node<'_>) -> Option<Vec<Rule>> {
    let list = node.list()?;
    if list.is_empty() || list.len() > MOST_RULES {
        node.fault(format!("has no rule, or more than {MOST_RULES}"));
        return None;
    }
    let read: Vec<Option<Rule>> = list.iter().map(rule).collect();
    read.into_iter().collect()
}

fn rule(node: &Node<'_>) -> Option<Rule> {
    let object = node.object()?;
    let field = object.required("field").and_then(|node| node.text(LONGEST).map(str::to_owned));
    let is = object.optional("is").map(|node| {
        let list = node.list_or_one();
        if list.is_empty() || list.len() > MOST_VALUES {
            node.fault(format!("names no value, or more than {MOST_VALUES}; leave it out for any"));
            return None;
        }
        let one = |node: &Node<'_>| match plain(node.value()) {
            Some(text) if text.chars().count() <= LONGEST => Some(text),
            _ => {
                node.fault("is no value; expected a text, a number, true or false");
                None
            }
        };
        let read: Vec<Option<String>> = list.iter().map(one).collect();
        read.into_iter().collect::<Option<Vec<String>>>()
    });
    let feedback = object.required("feedback").and_then(|node| {
        let shape = Shape::read(&node, 0);
        let kind = node.value().get("kind").and_then(Value::as_str);
        if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            node.fault(format!("has no \"kind\" that a CRM gives; expected one of: {}", KINDS.join(", ")));
            return None;
        }
        shape
    });
    object.finish();
    Some(Rule { field: field?, is: is.unwrap_or_else(|| Some(Vec::new()))?, feedback: feedback? })
}

/// Tells whether things stand already as a fact says.
#[must_use]
pub fn stands(lead: &Lead, fact: &Fact) -> bool {
    match fact {
        Fact::Sales { what: Move::Assigned { to, .. }, .. } => lead.person.as_ref() == Some(to),
        Fact::Sales { what, .. } if what.deal().is_some() => lead.standing().stands_so(what),
        Fact::Sales { what, .. } => {
            let stage = match what.step() {
                Step::Accept => Stage::SalesAccepted,
                Step::SalesQualify => Stage::SalesQualified,
                Step::Disqualify => Stage::Disqualified,
                Step::Reject | Step::NotReady | Step::Lose => Stage::Nurturing,
                _ => return false,
            };
            lead.stage == stage
        }
        Fact::Consent(consent) => {
            consent.status == ConsentStatus::Withdrawn
                && lead.consents.status(consent.purpose) == Some(ConsentStatus::Withdrawn)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::with_preset;
    use super::*;
    use proptest::prelude::*;

    fn read(document: &Value) -> Result<Mapping, Vec<String>> {
        let faults = Faults::new();
        let read = Mapping::read(&Node::root(document, &faults));
        faults.into_result(read).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    fn ready(name: &str) -> Mapping {
        read(&with_preset(&json!({ "preset": name }), PRESETS).unwrap()).unwrap()
    }

    fn people() -> People {
        People::from([("77".to_owned(), "at-1".to_owned())])
    }

    fn feedback(mapping: &Mapping, item: &Value) -> Vec<Result<Value, String>> {
        mapping.told(item, &people()).unwrap().changes.into_iter().map(|change| change.feedback).collect()
    }

    fn hubspot(name: &str, value: Value) -> Value {
        json!({"eventId": 9, "subscriptionId": 8, "portalId": 1, "occurredAt": 1_795_348_800_000_i64, "attemptNumber": 0,
            "subscriptionType": "contact.propertyChange", "objectId": 4711, "propertyName": name, "propertyValue": value})
    }

    #[test]
    fn a_change_at_hubspot_is_what_sales_would_have_said() {
        let mapping = ready("hubspot");
        let at = "2026-11-22T12:00:00Z";
        let cases = [
            ("hs_lead_status", json!("IN_PROGRESS"), json!({"kind": "accepted", "occurred_at": at})),
            ("hs_lead_status", json!("CONNECTED"), json!({"kind": "qualified", "occurred_at": at})),
            ("hubspot_owner_id", json!("77"), json!({"kind": "assigned", "to": "at-1", "occurred_at": at})),
            (
                "hs_email_optout",
                json!("true"),
                json!({"kind": "opted_out", "purpose": "marketing", "occurred_at": at}),
            ),
        ];
        for (name, value, wanted) in cases {
            assert_eq!(feedback(&mapping, &hubspot(name, value)), [Ok(wanted)], "{name}");
        }
        assert_eq!(
            feedback(&mapping, &hubspot("hs_lead_status", "UNQUALIFIED".into()))[0].as_ref().unwrap()["kind"],
            "disqualified"
        );
        for (name, value) in [("hs_email_optout", "false"), ("firstname", "Ada"), ("hubspot_owner_id", "")] {
            assert_eq!(feedback(&mapping, &hubspot(name, value.into())), [], "{name}");
        }
        assert!(
            feedback(&mapping, &hubspot("hubspot_owner_id", "78".into()))[0].is_err(),
            "nobody has this id"
        );
        let told = mapping.told(&hubspot("hs_lead_status", "NEW".into()), &people()).unwrap();
        assert_eq!(
            (told.record_id.as_deref(), told.id.as_deref()),
            (Some("4711"), Some("9-8-1795348800000"))
        );
        assert_eq!(told.others, [("hs_lead_status".to_owned(), json!("NEW"))], "it holds that now");
        let told = mapping.told(&hubspot("firstname", "Ada".into()), &people()).unwrap();
        assert_eq!(told.others, [], "no rule is about the field");
        let made = json!({"eventId": 1, "subscriptionId": 8, "occurredAt": 1_795_348_800_000_i64, "objectId": 4711,
            "subscriptionType": "contact.creation"});
        assert_eq!(feedback(&mapping, &made), []);
    }

    #[test]
    fn a_record_of_salesforce_says_all_of_its_fields() {
        let mapping = ready("salesforce");
        let item = json!({"Id": "00Q1", "Email": "ada@company.example", "LastModifiedDate": "2026-11-22T12:00:00.000+0000",
            "Status": "Working - Contacted", "OwnerId": 77, "HasOptedOutOfEmail": true,
            "Opportunity": {"Id": "006", "StageName": "Closed Won", "Amount": 1200.5}});
        let said = feedback(&mapping, &item);
        let kinds: Vec<&Value> = said.iter().map(|said| &said.as_ref().unwrap()["kind"]).collect();
        assert_eq!(kinds, ["accepted", "assigned", "opted_out"]);
        let deal = json!({"Id": "00Q1", "DealId": "006", "DealStage": "Closed Won", "DealAmount": "1200.50", "DealCurrency": "EUR"});
        let said = feedback(&mapping, &deal);
        let wanted = json!({"kind": "won", "deal": {"system": "salesforce", "id": "006"},
            "amount": {"amount": "1200.50", "currency": "EUR"}});
        assert_eq!(said, [Ok(wanted)]);
    }

    #[test]
    fn items_are_a_list_or_one_wherever_the_mapping_says() {
        let document = json!({"system": "crm", "items": "/data/records", "record_id": "{{ item.id }}", "fields": "/now",
            "rules": [{"field": "status", "is": ["Won", 7], "feedback": {"kind": "accepted", "by": "{{ value | person }}"}}]});
        let mapping = read(&document).unwrap();
        let body = json!({"data": {"records": [{"id": 1, "now": {"status": "won"}}, {"id": 2, "now": {"status": 7}}]}});
        assert_eq!(mapping.items(&body).unwrap().len(), 2);
        assert_eq!(mapping.items(&json!({"data": {"records": {}}})).unwrap().len(), 1);
        assert!(
            mapping.items(&json!([])).is_err() && mapping.items(&json!({"data": {"records": 7}})).is_err()
        );
        assert_eq!(feedback(&mapping, &body["data"]["records"][0]).len(), 1, "words of either case");
        assert!(mapping.told(&json!({"id": 1}), &people()).is_err());
        assert_eq!(Mapping::stored(mapping.document()), Some(mapping));
    }

    #[test]
    fn every_fault_is_named() {
        let document = json!({"system": "A B", "items": "x", "id": "{{", "occurred_at": 7, "change": {"field": "{{ item.a }}"},
            "rules": [{"field": "", "is": [[]], "feedback": {"kind": "bought", "a": "{{ * }}"}}, {"feedback": {"kind": "won", "deal": []}}],
            "x": 1});
        let faults = read(&document).unwrap_err();
        let wanted = [
            "",
            "/system",
            "/items",
            "/id",
            "/occurred_at",
            "/change/value",
            "/rules/0/field",
            "/rules/0/is/0",
            "/rules/0/feedback",
            "/rules/0/feedback/a",
            "/rules/1/field",
            "/rules/1/feedback/deal",
            "/x",
        ];
        for pointer in wanted {
            assert!(faults.iter().any(|at| at == pointer), "{pointer}: {faults:?}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(
                    prop_oneof![
                        Just("objectId".to_owned()),
                        Just("propertyName".to_owned()),
                        Just("propertyValue".to_owned()),
                        Just("occurredAt".to_owned()),
                        Just("Id".to_owned()),
                        Just("Status".to_owned()),
                        "\\PC{0,6}",
                    ],
                    inner,
                    0..5
                )
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_crm_sends_is_read_or_refused(body in any_json()) {
            for name in ["hubspot", "salesforce"] {
                let mapping = ready(name);
                for item in mapping.items(&body).unwrap_or_default() {
                    for change in mapping.told(item, &people()).map(|told| told.changes).unwrap_or_default() {
                        if let Ok(feedback) = change.feedback {
                            prop_assert!(KINDS.contains(&feedback["kind"].as_str().unwrap()));
                        }
                    }
                }
            }
        }
    }
}
