//! From the columns of a file to the fields of the API.
//!
//! A field is written as in the API, with dots: `email`, `source.channel`, `attributes.company_size`,
//! `amount.currency`. An id names its system: `external_id:olist`, `deal:crm`. For feedback, `lead.email`,
//! `lead.phone`, `lead.lead_id` and `lead.external_id:SYSTEM` say who is meant, and so they do for activities, whose details
//! are `properties.NAME`. `consent.marketing` takes yes or no. A row about a campaign has one month's cost: `month`,
//! `cost.amount`, `cost.currency`. One about an address that nobody may write to has `email`, `reason`, `at`, `source`.

use super::Fields;
use domain::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::path::Path;
use thiserror::Error;

/// Says what is wrong with a mapping.
#[derive(Debug, Error)]
pub enum MappingError {
    /// A flag has no `=`.
    #[error("--{0} {1}: expected {2}")]
    Form(&'static str, String, &'static str),
    /// The file has no such column.
    #[error("the file has no column \"{0}\"; its columns are: {1}")]
    Column(String, String),
    /// There is no such field.
    #[error("there is no field \"{0}\"; the fields are: {1}")]
    Field(String, &'static str),
    /// Nothing says who is meant.
    #[error("no column says who or what is meant; map one to {0}")]
    Nobody(&'static str),
    /// The mapping file cannot be read.
    #[error("{0}: {1}")]
    File(String, String),
    /// The time zone is none.
    #[error("\"{0}\" is not a time zone; expected a name of the IANA database, such as Europe/Vienna")]
    Zone(String),
}

const LEAD_FIELDS: &str = "email, phone, external_id:SYSTEM, occurred_at, stage, attributes.NAME, company.name, \
    company.domain, company.external_id:SYSTEM, source.channel, source.campaign, source.landing_page, consent.PURPOSE";
const FEEDBACK_FIELDS: &str = "lead.lead_id, lead.email, lead.phone, lead.external_id:SYSTEM, kind, occurred_at, by, \
    id, note, reason, deal:SYSTEM, amount.amount, amount.currency, channel, result, to, not_before, purpose, \
    about.campaign, about.content, sentiment, quote";

const ACTIVITY_FIELDS: &str = "lead.lead_id, lead.email, lead.phone, lead.external_id:SYSTEM, kind, occurred_at, id, \
    properties.NAME";
const CAMPAIGN_FIELDS: &str = "id, name, channel, month, cost.amount, cost.currency";
const SUPPRESSION_FIELDS: &str = "email, reason, at, source";

/// What the rows are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Leads.
    Leads,
    /// What sales reported.
    Feedback,
    /// What leads did.
    Activities,
    /// Campaigns.
    Campaigns,
    /// Addresses that nobody may write to.
    Suppressions,
}

impl Rows {
    const fn fields(self) -> &'static str {
        match self {
            Self::Leads => LEAD_FIELDS,
            Self::Feedback => FEEDBACK_FIELDS,
            Self::Activities => ACTIVITY_FIELDS,
            Self::Campaigns => CAMPAIGN_FIELDS,
            Self::Suppressions => SUPPRESSION_FIELDS,
        }
    }
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    /// To a place in the item.
    Text(Vec<String>),
    /// To a place that holds a time.
    Time(Vec<String>),
    /// To a place that holds a text or a number.
    Free(Vec<String>),
    /// To a place that holds an id of a system.
    Id(Vec<String>, String),
    /// To the list of consents.
    Consent(String),
}

fn field(name: &str, rows: Rows) -> Option<Field> {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<String>>();
    if let Some((name, system)) = name.split_once(':') {
        let known: &[&str] = match rows {
            Rows::Leads => &["external_id", "company.external_id"],
            Rows::Feedback => &["lead.external_id", "deal"],
            Rows::Activities => &["lead.external_id"],
            Rows::Campaigns | Rows::Suppressions => &[],
        };
        return (known.contains(&name) && !system.is_empty())
            .then(|| Field::Id(path(name), system.to_owned()));
    }
    let texts: &[&str] = match rows {
        Rows::Leads => &[
            "email",
            "phone",
            "stage",
            "company.name",
            "company.domain",
            "source.channel",
            "source.campaign",
            "source.landing_page",
        ],
        Rows::Feedback => &[
            "lead.lead_id",
            "lead.email",
            "lead.phone",
            "kind",
            "by",
            "id",
            "note",
            "reason",
            "amount.amount",
            "amount.currency",
            "channel",
            "result",
            "to",
            "purpose",
            "about.campaign",
            "about.content",
            "sentiment",
            "quote",
        ],
        Rows::Activities => &["lead.lead_id", "lead.email", "lead.phone", "kind", "id"],
        Rows::Campaigns => &["id", "name", "channel", "month", "cost.amount", "cost.currency"],
        Rows::Suppressions => &["email", "reason", "source"],
    };
    match name {
        "at" if rows == Rows::Suppressions => Some(Field::Time(path(name))),
        "occurred_at" if !matches!(rows, Rows::Campaigns | Rows::Suppressions) => {
            Some(Field::Time(path(name)))
        }
        "not_before" if rows == Rows::Feedback => Some(Field::Time(path(name))),
        _ if texts.contains(&name) => Some(Field::Text(path(name))),
        _ if rows == Rows::Leads && name.starts_with("attributes.") => Some(Field::Free(path(name))),
        // The name of a property may hold a dot: it is one name all the same.
        _ if rows == Rows::Activities => {
            let property = name.strip_prefix("properties.").filter(|property| !property.is_empty())?;
            Some(Field::Free(vec!["properties".to_owned(), property.to_owned()]))
        }
        _ if rows == Rows::Leads => {
            name.strip_prefix("consent.").map(|purpose| Field::Consent(purpose.to_owned()))
        }
        _ => None,
    }
}

/// From columns to fields.
#[derive(Debug)]
pub struct Mapping {
    columns: Vec<(usize, Field)>,
    fixed: Vec<(Field, String)>,
    ignored: Vec<String>,
    zone: TimeZone,
}

impl Mapping {
    /// Puts the mapping together from the header, the flags and the mapping file.
    ///
    /// # Errors
    ///
    /// [`MappingError`].
    pub fn new(
        rows: Rows,
        header: &csv::StringRecord,
        map: &[String],
        set: &[String],
        file: Option<&Path>,
        zone: &str,
    ) -> Result<Self, MappingError> {
        let (mut maps, mut sets) = (Vec::new(), Vec::new());
        if let Some(file) = file {
            let (more_maps, more_sets) = from_file(file)?;
            maps.extend(more_maps);
            sets.extend(more_sets);
        }
        for (flag, texts, pairs, form) in [
            ("map", map, &mut maps, "COLUMN=FIELD, such as mql_id=external_id:olist"),
            ("set", set, &mut sets, "FIELD=VALUE, such as kind=won"),
        ] {
            for text in texts {
                let Some((left, right)) = text.split_once('=') else {
                    return Err(MappingError::Form(flag, text.clone(), form));
                };
                pairs.push((left.trim().to_owned(), right.trim().to_owned()));
            }
        }
        let known = rows.fields();
        let find = |name: &str| field(name, rows).ok_or_else(|| MappingError::Field(name.to_owned(), known));
        let mut columns = Vec::new();
        for (column, target) in &maps {
            let at = header.iter().position(|name| name.trim() == column).ok_or_else(|| {
                MappingError::Column(column.clone(), header.iter().collect::<Vec<_>>().join(", "))
            })?;
            columns.push((at, find(target)?));
        }
        let mut ignored = Vec::new();
        for (at, name) in header.iter().enumerate() {
            if columns.iter().any(|(used, _)| *used == at) {
                continue;
            }
            match field(name.trim(), rows) {
                Some(field) if !columns.iter().any(|(_, known)| *known == field) => columns.push((at, field)),
                _ => ignored.push(name.to_owned()),
            }
        }
        let fixed = sets
            .iter()
            .map(|(target, value)| Ok((find(target)?, value.clone())))
            .collect::<Result<Vec<_>, MappingError>>()?;
        let names_somebody = |field: &Field| match field {
            Field::Text(path) | Field::Id(path, _) => {
                let known: &[&str] = match rows {
                    Rows::Leads => &["email", "phone", "external_id"],
                    Rows::Feedback | Rows::Activities => &["lead"],
                    Rows::Campaigns => &["id"],
                    Rows::Suppressions => &["email"],
                };
                path.first().is_some_and(|first| known.contains(&first.as_str()))
            }
            _ => false,
        };
        if !columns.iter().any(|(_, field)| names_somebody(field)) {
            return Err(MappingError::Nobody(match rows {
                Rows::Leads => "email, phone or external_id:SYSTEM",
                Rows::Feedback | Rows::Activities => {
                    "lead.email, lead.phone, lead.lead_id or lead.external_id:SYSTEM"
                }
                Rows::Campaigns => "id",
                Rows::Suppressions => "email",
            }));
        }
        let zone = TimeZone::get(zone).map_err(|_| MappingError::Zone(zone.to_owned()))?;
        Ok(Self { columns, fixed, ignored, zone })
    }

    /// Gives the columns that go nowhere.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Makes the item of a row.
    ///
    /// # Errors
    ///
    /// What is wrong with the row.
    pub fn item(&self, record: &csv::StringRecord) -> Result<Value, String> {
        let mut item = Fields::new();
        let mut wrong = Vec::new();
        let cells = self.columns.iter().map(|(at, field)| (field, record.get(*at).unwrap_or_default()));
        let fixed = self.fixed.iter().map(|(field, value)| (field, value.as_str()));
        for (field, text) in cells.chain(fixed) {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if let Err(reason) = self.put(&mut item, field, text) {
                wrong.push(reason);
            }
        }
        if wrong.is_empty() { Ok(Value::Object(item)) } else { Err(wrong.join("; ")) }
    }

    fn put(&self, item: &mut Fields, field: &Field, text: &str) -> Result<(), String> {
        match field {
            Field::Text(path) => place(item, path, json!(text)),
            Field::Free(path) => place(item, path, free(text)),
            Field::Id(path, system) => place(item, path, json!({ "system": system, "id": text })),
            Field::Time(path) => {
                let local = || {
                    let civil: jiff::civil::DateTime = text.parse().ok()?;
                    let zoned = civil.to_zoned(self.zone.clone()).ok()?;
                    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
                };
                let at = Timestamp::parse_in(text, &self.zone).or_else(local).ok_or_else(|| {
                    format!(
                        "/{} \"{text}\" is not a time; expected 2026-02-01 or 2026-02-01T12:00:00Z",
                        path.join("/")
                    )
                })?;
                place(item, path, json!(at.to_string()));
            }
            Field::Consent(purpose) => {
                let status = match text.to_lowercase().as_str() {
                    "yes" | "true" | "1" | "confirmed" | "y" => "confirmed",
                    "pending" => "pending",
                    "no" | "false" | "0" | "withdrawn" | "n" => "withdrawn",
                    _ => {
                        return Err(format!("/consent \"{text}\" is not known; expected yes, no or pending"));
                    }
                };
                let one = json!({ "purpose": purpose, "status": status, "source": "import" });
                if let Some(list) = item.entry("consent").or_insert_with(|| json!([])).as_array_mut() {
                    list.push(one);
                }
            }
        }
        Ok(())
    }
}

/// Takes what looks like a number as a number, unless its leading zero shows that it is a code.
fn free(text: &str) -> Value {
    let code = text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && !code && !text.starts_with('+') => {
            domain::attribute::number_to_json(number)
        }
        _ => json!(text),
    }
}

fn place(item: &mut Fields, path: &[String], value: Value) {
    match path {
        [last] => {
            item.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            if let Some(inner) = item.entry(first.clone()).or_insert_with(|| json!({})).as_object_mut() {
                place(inner, rest, value);
            }
        }
        [] => {}
    }
}

type Pairs = Vec<(String, String)>;

fn from_file(file: &Path) -> Result<(Pairs, Pairs), MappingError> {
    let name = file.display().to_string();
    let failed = |error: String| MappingError::File(name.clone(), error);
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let document = playbook::yaml::read(&text).map_err(failed)?;
    let pairs = |key: &str| -> Result<Pairs, MappingError> {
        let Some(value) = document.get(key) else { return Ok(Vec::new()) };
        let map = value
            .as_object()
            .ok_or_else(|| failed(format!("\"{key}\" is not a list of NAME: VALUE lines")))?;
        map.iter()
            .map(|(left, right)| match right {
                Value::String(right) => Ok((left.clone(), right.clone())),
                Value::Number(_) | Value::Bool(_) => Ok((left.clone(), right.to_string())),
                _ => Err(failed(format!("\"{key}.{left}\" is not a text"))),
            })
            .collect()
    };
    Ok((pairs("map")?, pairs("set")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(rows: Rows, header: &[&str], map: &[&str], set: &[&str]) -> Result<Mapping, MappingError> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        Mapping::new(
            rows,
            &csv::StringRecord::from(header.to_vec()),
            &own(map),
            &own(set),
            None,
            "Europe/Vienna",
        )
    }

    #[test]
    fn a_row_becomes_an_item() {
        let mapping = mapping(
            Rows::Leads,
            &["mql_id", "first_contact_date", "origin", "attributes.size", "zip", "x", "consent.marketing"],
            &[
                "mql_id=external_id:olist",
                "first_contact_date=occurred_at",
                "origin=source.channel",
                "zip=attributes.zip",
            ],
            &["source.campaign=spring"],
        )
        .unwrap();
        assert_eq!(mapping.ignored(), ["x"]);
        let item = mapping.item(&csv::StringRecord::from(vec![
            "a1",
            "2018-07-01",
            "social",
            "120",
            "0123",
            "y",
            "yes",
        ]));
        assert_eq!(
            item.unwrap(),
            json!({
                "external_id": {"system": "olist", "id": "a1"}, "occurred_at": "2018-06-30T22:00:00Z",
                "source": {"channel": "social", "campaign": "spring"}, "attributes": {"size": 120, "zip": "0123"},
                "consent": [{"purpose": "marketing", "status": "confirmed", "source": "import"}]
            })
        );
    }

    #[test]
    fn a_row_becomes_an_activity_with_its_properties() {
        let mapping = mapping(
            Rows::Activities,
            &["Attendee", "Joined", "Status", "properties.minutes"],
            &["Attendee=lead.email", "Joined=occurred_at", "Status=properties.status"],
            &["kind=campaign_member", "properties.campaign=webinar"],
        )
        .unwrap();
        let cells = vec!["a@b.example", "2026-02-01 18:00", "attended", "42"];
        assert_eq!(
            mapping.item(&csv::StringRecord::from(cells)).unwrap(),
            json!({
                "lead": {"email": "a@b.example"}, "occurred_at": "2026-02-01T17:00:00Z", "kind": "campaign_member",
                "properties": {"status": "attended", "minutes": 42, "campaign": "webinar"}
            })
        );
    }

    #[test]
    fn an_empty_cell_says_nothing() {
        let mapping = mapping(Rows::Leads, &["email", "source.channel"], &[], &[]).unwrap();
        let item = mapping.item(&csv::StringRecord::from(vec!["a@b.example", " "]));
        assert_eq!(item.unwrap(), json!({"email": "a@b.example"}));
    }

    #[test]
    fn a_mapping_that_goes_nowhere_is_refused() {
        assert!(matches!(mapping(Rows::Leads, &["a"], &["b=email"], &[]), Err(MappingError::Column(..))));
        assert!(matches!(mapping(Rows::Leads, &["a"], &["a=mail"], &[]), Err(MappingError::Field(..))));
        assert!(matches!(mapping(Rows::Leads, &["a"], &["a"], &[]), Err(MappingError::Form(..))));
        assert!(matches!(
            mapping(Rows::Leads, &["a"], &["a=attributes.x"], &[]),
            Err(MappingError::Nobody(..))
        ));
        assert!(matches!(mapping(Rows::Feedback, &["email"], &[], &[]), Err(MappingError::Nobody(..))));
        assert!(matches!(mapping(Rows::Campaigns, &["name"], &[], &[]), Err(MappingError::Nobody(..))));
        assert!(matches!(mapping(Rows::Activities, &["kind"], &[], &[]), Err(MappingError::Nobody(..))));
        let by = mapping(Rows::Activities, &["lead.email", "x"], &["x=by"], &[]);
        assert!(matches!(by, Err(MappingError::Field(..))), "who tells is whose token it is");
        assert!(matches!(
            mapping(Rows::Campaigns, &["id", "x"], &["x=email"], &[]),
            Err(MappingError::Field(..))
        ));
    }
}
