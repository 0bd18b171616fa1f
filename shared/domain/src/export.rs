//! What an export of a segment holds, as people ask for it: by a request, or in the playbook.
//!
//! A [`Spec`] says how a file is written, what stands in it, what it is for, and whether it holds everybody or what changed
//! since the last one. [`Spec::row`] is what the file says of a lead; who may not be in it, and why, tells [`held_back`].
//! When one that the playbook names is to be made, tells [`schedule`].
//!
//! # Target
//!
//! Whoever takes only what changed keeps a copy somewhere, and that copy was made by exports of one *target*: the same
//! segment, format, contents and purpose. The [target's id](Spec::target) is made from these four and nothing else, so it
//! stays the same over playbook versions, and whether everything or what changed was asked for.

pub mod schedule;

use crate::attribute::{AttributeName, AttributeValue};
use crate::audience::{Destination, MATCHED_BY, Person};
use crate::condition::TouchField;
use crate::consent::{ConsentStatus, Purpose};
use crate::evaluation::Evaluation;
use crate::fault::Faults;
use crate::identity::{Email, Identity, Phone, Slug};
use crate::lead::Lead;
use crate::phase::Phase;
use crate::reader::{Node, Object};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The most columns that an export may have.
const MOST_COLUMNS: usize = 120;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Format {
    /// Every format with its word in the API, which is the file's ending too.
    pub const WORDS: &'static [(&'static str, Self)] = &[("csv", Self::Csv), ("jsonl", Self::JsonLines)];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// Gives the content type of the file.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
        }
    }
}

/// Since when an export tells what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It holds everybody.
    Nothing,
    /// It holds what changed since the last finished export of the same target.
    Last,
}

impl Since {
    /// Both with their words in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[("nothing", Self::Nothing), ("last", Self::Last)];

    /// Gives the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, since)| *since == self).map_or("", |(word, _)| word)
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// One of the fixed ones.
    Fixed(&'static str),
    /// An attribute.
    Attribute(AttributeName),
}

/// The fixed columns, in the order in which an export has them unless it asks for others; each has its arm in
/// [`Column::value`].
pub const FIXED: &[&str] = &[
    "lead_id",
    "email",
    "phone",
    "external_ids",
    "company",
    "country",
    "stage",
    "label",
    "fit",
    "engagement",
    "persona",
    "phase",
    "owner",
    "channel",
    "campaign",
    "landing_page",
    "created_at",
];

/// The columns that say who somebody is: what a removal tells of them.
pub const IDENTIFYING: &[&str] = &["lead_id", "email", "phone", "external_ids"];

impl Column {
    /// Reads the name of a column.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("attributes.") {
            return AttributeName::parse(name).map(Self::Attribute).map_err(str::to_owned);
        }
        let fixed = FIXED.iter().find(|name| **name == text);
        fixed
            .map(|name| Self::Fixed(name))
            .ok_or_else(|| format!("is no column; expected one of: {}, attributes.NAME", FIXED.join(", ")))
    }

    /// Gives its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fixed(name) => (*name).to_owned(),
            Self::Attribute(name) => format!("attributes.{name}"),
        }
    }

    /// Tells whether it says who somebody is.
    #[must_use]
    pub fn is_identifying(&self) -> bool {
        matches!(self, Self::Fixed(name) if IDENTIFYING.contains(name))
    }

    /// Gives a lead's value; null where there is none.
    #[must_use]
    pub fn value(&self, lead: &Lead, found: &Evaluation) -> Value {
        let touch = |field: TouchField| json!(lead.touches.first.as_ref().and_then(|touch| field.of(touch)));
        match self {
            Self::Attribute(name) => lead.attributes.get(name).map_or(Value::Null, |a| a.value.to_json()),
            Self::Fixed(name) => match *name {
                "lead_id" => json!(lead.id.as_str()),
                "email" => json!(lead.email().map(Email::as_str)),
                "phone" => json!(lead.phone().map(Phone::as_str)),
                "external_ids" => {
                    let ids: Vec<String> =
                        lead.external_ids().map(|id| format!("{}:{}", id.system(), id.id())).collect();
                    if ids.is_empty() { Value::Null } else { json!(ids.join(" ")) }
                }
                "company" => json!(lead.company.name.as_ref().or(lead.company.domain.as_ref())),
                "country" => lead.country().map_or(Value::Null, AttributeValue::to_json),
                "stage" => json!(lead.stage.as_str()),
                "label" => json!(found.score.label.to_string()),
                "fit" => json!(found.score.fit),
                "engagement" => json!(found.score.engagement),
                "persona" => json!(found.persona.as_ref().map(Slug::as_str)),
                "phase" => json!(found.phase.map(Phase::as_str)),
                "owner" => json!(lead.person.as_ref().map_or(lead.team().as_str(), |person| person.as_str())),
                "channel" => touch(TouchField::Channel),
                "campaign" => touch(TouchField::Campaign),
                "landing_page" => touch(TouchField::LandingPage),
                "created_at" => json!(lead.created_at.to_string()),
                _ => Value::Null,
            },
        }
    }
}

/// What stands in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Chosen columns.
    Columns(Vec<Column>),
    /// What an advertisers' audience is matched by.
    Audience(Destination),
}

/// What an export is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The format.
    pub format: Format,
    /// What stands in a row.
    pub contents: Contents,
    /// What the file is for; who has not consented to it is left out.
    pub purpose: Purpose,
    /// Whether it holds everybody or what changed.
    pub since: Since,
}

impl Spec {
    /// Reads it from the fields `format`, `columns` or `preset`, `purpose` and `since` of an object, and leaves the
    /// others to the caller.
    #[must_use]
    pub fn read(object: &Object<'_>) -> Option<Self> {
        let since = object.optional("since").map_or(Some(Since::Nothing), |node| node.one_of(Since::WORDS));
        let Some(node) = object.optional("preset") else {
            let format = object.required("format").and_then(|node| node.one_of(Format::WORDS));
            let purpose = object.required("purpose").and_then(|node| node.one_of(Purpose::WORDS));
            let columns = match object.optional("columns") {
                None => Some(FIXED.iter().map(|name| Column::Fixed(name)).collect()),
                Some(node) => columns(&node, since == Some(Since::Last)),
            };
            let contents = Contents::Columns(columns?);
            return Some(Self { format: format?, contents, purpose: purpose?, since: since? });
        };
        let preset = node.one_of(Destination::WORDS);
        if let Some(columns) = object.optional("columns") {
            columns.fault(
                "stands beside a preset, which has the columns of its destination; expected one of the two",
            );
        }
        if let Some(node) = object.optional("format")
            && node.one_of(Format::WORDS).is_some_and(|format| format != Format::Csv)
        {
            node.fault("is not what the destination takes; expected csv, or no format beside a preset");
        }
        if let Some(node) = object.optional("purpose")
            && node.one_of(Purpose::WORDS).is_some_and(|purpose| purpose != Purpose::AdAudience)
        {
            node.fault(
                "is not enough: who is matched in an advertiser's audience must have consented to just that; expected \
                 ad_audience, or no purpose beside a preset",
            );
        }
        let contents = Contents::Audience(preset?);
        Some(Self { format: Format::Csv, contents, purpose: Purpose::AdAudience, since: since? })
    }

    /// Writes it as fields that [`Spec::read`] reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (columns, preset) = match &self.contents {
            Contents::Columns(columns) => (Some(columns.iter().map(Column::name).collect::<Vec<_>>()), None),
            Contents::Audience(destination) => (None, Some(destination.as_str())),
        };
        json!({
            "format": self.format.as_str(),
            "columns": columns,
            "preset": preset,
            "purpose": self.purpose.as_str(),
            "since": self.since.as_str(),
        })
    }

    /// Reads what [`Spec::to_json`] wrote, among other fields.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let faults = Faults::new();
        let spec = Self::read(&Node::root(json, &faults).object()?);
        faults.into_result(spec).ok()
    }

    /// Gives the id of what exports like this one keep up to date.
    #[must_use]
    pub fn target(&self, segment: &str) -> String {
        // Whether it holds everybody or what changed is left out: both lead to the same copy.
        let Self { format, contents, purpose, since: _ } = self;
        let contents = match contents {
            Contents::Columns(columns) => json!(columns.iter().map(Column::name).collect::<Vec<_>>()),
            Contents::Audience(destination) => json!(destination.as_str()),
        };
        let text = json!([segment, format.as_str(), contents, purpose.as_str()]).to_string();
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        hash.chars().take(24).collect()
    }

    /// Gives the names of what stands in a row.
    #[must_use]
    pub fn header(&self) -> Vec<String> {
        match &self.contents {
            Contents::Columns(columns) => columns.iter().map(Column::name).collect(),
            Contents::Audience(destination) => destination.headers().map(str::to_owned).to_vec(),
        }
    }

    /// Gives what the file says of a lead; `None` where the destination could not match it by anything.
    #[must_use]
    pub fn row(&self, lead: &Lead, found: &Evaluation) -> Option<Vec<Value>> {
        match &self.contents {
            Contents::Columns(columns) => {
                Some(columns.iter().map(|column| column.value(lead, found)).collect())
            }
            Contents::Audience(destination) => {
                let row = matched(*destination, &Person::of(lead));
                self.known_by(&row).iter().any(Option::is_some).then_some(row)
            }
        }
    }

    /// Gives the rows of a lead who withdrew consent to be in an audience, one for each address and number that it has: by
    /// none of them may anybody be in it. None of anybody else, and none where rows are told apart by more than hashes.
    #[must_use]
    pub fn withdrawn(&self, lead: &Lead) -> Vec<Vec<Value>> {
        let Contents::Audience(destination) = &self.contents else { return Vec::new() };
        if lead.consents.status(self.purpose) != Some(ConsentStatus::Withdrawn) {
            return Vec::new();
        }
        let first = Person::of(lead);
        let others = lead.identities.iter().filter_map(|identity| match identity {
            Identity::Email(email) => {
                Some(Person { email: Some(email.as_str().to_owned()), ..first.clone() })
            }
            Identity::Phone(phone) => {
                Some(Person { phone: Some(phone.as_str().to_owned()), ..first.clone() })
            }
            Identity::External(_) | Identity::Anonymous(_) => None,
        });
        std::iter::once(first.clone()).chain(others).map(|person| matched(*destination, &person)).collect()
    }

    /// Tells whether at this place in a row stands a phone number in E.164, which is one by its type and not by its looks.
    #[must_use]
    pub fn is_phone(&self, at: usize) -> bool {
        match &self.contents {
            Contents::Columns(columns) => matches!(columns.get(at), Some(Column::Fixed("phone"))),
            Contents::Audience(_) => false,
        }
    }

    /// Gives the places in a row of what somebody is known by to whoever takes the file, each for itself: what an
    /// audience is matched by; the lead's id; or, where that is no column, all that says who somebody is.
    fn known_at(&self) -> Vec<Vec<usize>> {
        match &self.contents {
            Contents::Audience(_) => MATCHED_BY.iter().map(|places| places.to_vec()).collect(),
            Contents::Columns(columns) => {
                let id = columns.iter().position(|column| matches!(column, Column::Fixed("lead_id")));
                let all = (0..).zip(columns).filter(|(_, column)| column.is_identifying()).map(|(at, _)| at);
                vec![id.map_or_else(|| all.collect(), |at| vec![at])]
            }
        }
    }

    /// Gives what a row's person is known by, each for itself: if one of these is another one later, what it was has to be
    /// taken back. `None` where an audience could not be matched by it.
    #[must_use]
    pub fn known_by<'a>(&self, row: &'a [Value]) -> Vec<Option<Vec<&'a Value>>> {
        let whole = matches!(self.contents, Contents::Audience(_));
        let fields = |places: &Vec<usize>| {
            let fields: Vec<&Value> = places.iter().filter_map(|at| row.get(*at)).collect();
            (!whole || fields.iter().all(|field| !field.is_null())).then_some(fields)
        };
        self.known_at().iter().map(fields).collect()
    }

    /// Gives of a row some of what [`Spec::known_by`] gives, and null for the rest.
    #[must_use]
    pub fn only(&self, row: &[Value], wanted: impl Fn(usize) -> bool) -> Vec<Value> {
        let known_at = self.known_at();
        let places: Vec<usize> =
            (0..).zip(known_at).filter(|(n, _)| wanted(*n)).flat_map(|(_, places)| places).collect();
        let field =
            |(at, value): (usize, &Value)| if places.contains(&at) { value.clone() } else { Value::Null };
        (0..).zip(row).map(field).collect()
    }

    /// Gives of a row what says who somebody is, and null for the rest: all that has to be remembered of somebody to
    /// tell of the removal.
    #[must_use]
    pub fn identifying(&self, row: &[Value]) -> Vec<Value> {
        match &self.contents {
            Contents::Audience(_) => row.to_vec(),
            Contents::Columns(columns) => {
                let of = |(column, value): (&Column, &Value)| {
                    if column.is_identifying() { value.clone() } else { Value::Null }
                };
                columns.iter().zip(row).map(of).collect()
            }
        }
    }
}

/// Gives what a destination matches a person by.
fn matched(destination: Destination, person: &Person) -> Vec<Value> {
    destination.row(person).into_iter().map(|field| json!(field)).collect()
}

/// An export that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The segment.
    pub segment: String,
    /// The playbook version that says who is in it.
    pub playbook_version: u32,
    /// What it is to hold.
    pub spec: Spec,
    /// The playbook's export that asks for it by itself.
    pub scheduled: Option<String>,
}

impl Asked {
    /// Tells whether the same was asked for, whatever playbook version was active.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { segment, playbook_version: _, spec, scheduled: _ } = self;
        (segment, spec) == (&other.segment, &other.spec)
    }

    /// Gives the id of what exports like this one keep up to date.
    #[must_use]
    pub fn target(&self) -> String {
        self.spec.target(&self.segment)
    }

    /// Gives it as JSON, for the job.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.spec.to_json();
        let more = [
            ("segment", json!(self.segment)),
            ("playbook_version", json!(self.playbook_version)),
            ("scheduled", json!(self.scheduled)),
        ];
        if let Value::Object(fields) = &mut json {
            fields.extend(more.map(|(key, value)| (key.to_owned(), value)));
        }
        json
    }

    /// Reads it from a job.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            segment: text("segment")?,
            playbook_version: u32::try_from(json.get("playbook_version")?.as_u64()?).ok()?,
            spec: Spec::from_json(json)?,
            scheduled: text("scheduled"),
        })
    }
}

fn columns(node: &Node<'_>, changes: bool) -> Option<Vec<Column>> {
    let list = node.list()?;
    if list.is_empty() || list.len() > MOST_COLUMNS {
        node.fault(format!("has {} columns; expected 1 to {MOST_COLUMNS}", list.len()));
    }
    let mut columns: Vec<Column> = Vec::new();
    for node in list {
        let Some(column) = node.parsed(Column::parse) else { continue };
        if columns.contains(&column) {
            node.fault("stands there twice");
        }
        columns.push(column);
    }
    if changes && !columns.iter().any(Column::is_identifying) {
        node.fault(format!(
            "do not say who somebody is, so nobody's removal could be told; with since last expected at least one of: {}",
            IDENTIFYING.join(", ")
        ));
    }
    Some(columns)
}

/// Why somebody is not in a file, or no longer in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nobody ever said anything of consent for the purpose.
    NoConsent,
    /// Consent was ticked and not confirmed.
    ConsentPending,
    /// Consent was withdrawn.
    ConsentWithdrawn,
    /// Nobody may write to the address.
    Suppressed,
    /// The destination could not find them by anything that is known.
    NothingToMatchBy,
    /// Somebody whom an audience's destination cannot tell from them withdrew consent.
    WithdrewElsewhere,
    /// The segment's condition is no longer met.
    LeftSegment,
    /// There is no such lead any more.
    Erased,
    /// They are known by something else now, and another row says by what.
    Replaced,
}

impl Reason {
    /// Every reason with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("no_consent", Self::NoConsent),
        ("consent_pending", Self::ConsentPending),
        ("consent_withdrawn", Self::ConsentWithdrawn),
        ("suppressed", Self::Suppressed),
        ("nothing_to_match_by", Self::NothingToMatchBy),
        ("withdrew_elsewhere", Self::WithdrewElsewhere),
        ("left_segment", Self::LeftSegment),
        ("erased", Self::Erased),
        ("replaced", Self::Replaced),
    ];

    /// The reasons for which somebody in the segment is left out, in the order in which they are counted.
    pub const LEFT_OUT: [Self; 6] = [
        Self::NoConsent,
        Self::ConsentPending,
        Self::ConsentWithdrawn,
        Self::Suppressed,
        Self::NothingToMatchBy,
        Self::WithdrewElsewhere,
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, reason)| *reason == self).map_or("", |(word, _)| word)
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, reason)| *reason)
    }
}

/// Tells why a lead may not be in a file for a purpose; `None` where it may. An address that nobody may write to is neither
/// for mails nor for matching, whatever its owner agreed to.
#[must_use]
pub fn held_back(lead: &Lead, purpose: Purpose) -> Option<Reason> {
    let by_address = matches!(purpose, Purpose::Marketing | Purpose::AdAudience);
    match lead.consents.status(purpose) {
        Some(ConsentStatus::Confirmed) if by_address && lead.suppressed.is_some() => Some(Reason::Suppressed),
        Some(ConsentStatus::Confirmed) => None,
        Some(ConsentStatus::Pending) => Some(Reason::ConsentPending),
        Some(ConsentStatus::Withdrawn) => Some(Reason::ConsentWithdrawn),
        None => Some(Reason::NoConsent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn read(json: &Value) -> Result<Spec, Vec<Fault>> {
        let faults = Faults::new();
        let spec = Spec::read(&Node::root(json, &faults).object().unwrap());
        faults.into_result(spec)
    }

    fn pointers(json: &Value) -> Vec<String> {
        read(json).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        for json in [
            json!({"format": "jsonl", "purpose": "marketing"}),
            json!({"format": "csv", "purpose": "phone", "columns": ["email", "attributes.size"], "since": "last"}),
            json!({"preset": "google_customer_match"}),
            json!({"preset": "meta_custom_audiences", "format": "csv", "purpose": "ad_audience", "since": "last"}),
        ] {
            let spec = read(&json).unwrap();
            assert_eq!(Spec::from_json(&spec.to_json()), Some(spec.clone()));
            let asked =
                Asked { segment: "a".to_owned(), playbook_version: 3, spec, scheduled: Some("b".to_owned()) };
            assert_eq!(Asked::from_json(&asked.to_json()), Some(asked));
        }
        assert_eq!(Spec::from_json(&json!({"format": "csv"})), None);
    }

    #[test]
    fn a_preset_goes_with_its_own_columns_format_and_purpose_only() {
        let beside = |key: &str, value: Value| json!({"preset": "google_customer_match", key: value});
        for (json, pointer) in [
            (beside("columns", json!(["email"])), "/columns"),
            (beside("format", json!("jsonl")), "/format"),
            (beside("purpose", json!("marketing")), "/purpose"),
            (json!({"preset": "myspace"}), "/preset"),
        ] {
            assert_eq!(pointers(&json), [pointer]);
        }
        assert_eq!(pointers(&json!({})), ["/format", "/purpose"]);
    }

    #[test]
    fn changes_cannot_be_told_of_people_whom_no_column_names() {
        let asked = |since: &str, column: &str| json!({"format": "csv", "purpose": "marketing", "since": since, "columns": [column, "label"]});
        assert_eq!(pointers(&asked("last", "stage")), ["/columns"]);
        assert!(read(&asked("last", "phone")).is_ok() && read(&asked("nothing", "stage")).is_ok());
    }

    #[test]
    fn somebody_is_known_by_each_way_in_which_an_audience_matches_and_only_whole() {
        let spec = read(&json!({"preset": "google_customer_match"})).unwrap();
        let row = [json!("e"), Value::Null, json!("f"), json!("l"), json!("AT"), json!("1010")];
        let whole: Vec<bool> = spec.known_by(&row).iter().map(Option::is_some).collect();
        assert_eq!(whole, [true, false, true]);
        let name_only = [Value::Null, Value::Null, json!("f"), json!("l"), json!("AT"), Value::Null];
        assert!(spec.known_by(&name_only).iter().all(Option::is_none));
        let address = spec.only(&row, |n| n == 2);
        assert_eq!(address, [Value::Null, Value::Null, json!("f"), json!("l"), json!("AT"), json!("1010")]);
    }

    #[test]
    fn somebody_in_columns_is_known_by_the_id_or_by_all_that_says_who_it_is() {
        let spec = |columns: Value| {
            read(&json!({"format": "csv", "purpose": "marketing", "columns": columns})).unwrap()
        };
        let row = [json!("1"), json!("2"), json!("3")];
        let known_by = |columns: Value| -> Vec<Value> {
            let spec = spec(columns);
            spec.known_by(&row).into_iter().flatten().flatten().cloned().collect()
        };
        assert_eq!(known_by(json!(["email", "label", "lead_id"])), [json!("3")]);
        assert_eq!(known_by(json!(["email", "label", "phone"])), [json!("1"), json!("3")]);
        let remembered = spec(json!(["email", "label", "lead_id"])).identifying(&row);
        assert_eq!(remembered, [json!("1"), Value::Null, json!("3")]);
    }

    #[test]
    fn a_target_is_segment_format_contents_and_purpose_and_nothing_else() {
        let target = |json: Value, segment: &str| read(&json).unwrap().target(segment);
        let one = target(json!({"format": "csv", "purpose": "marketing", "columns": ["email"]}), "a");
        let same = json!({"format": "csv", "purpose": "marketing", "columns": ["email"], "since": "last"});
        assert_eq!(target(same, "a"), one);
        let others = [
            target(json!({"format": "csv", "purpose": "marketing", "columns": ["email"]}), "b"),
            target(json!({"format": "jsonl", "purpose": "marketing", "columns": ["email"]}), "a"),
            target(json!({"format": "csv", "purpose": "phone", "columns": ["email"]}), "a"),
            target(json!({"format": "csv", "purpose": "marketing", "columns": ["phone"]}), "a"),
            target(json!({"preset": "google_customer_match"}), "a"),
        ];
        assert!(others.iter().all(|other| *other != one));
    }
}
