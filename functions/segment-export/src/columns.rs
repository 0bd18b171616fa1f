//! What stands in an export.

use domain::attribute::AttributeName;
use domain::condition::TouchField;
use domain::lead::Lead;
use domain::score::Score;
use serde_json::{Value, json};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// One of the fixed ones.
    Fixed(&'static str),
    /// An attribute.
    Attribute(AttributeName),
}

/// The fixed columns, in the order in which an export has them unless it asks for others.
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
    "owner",
    "channel",
    "campaign",
    "landing_page",
    "created_at",
];

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

    /// Gives a lead's value; null where there is none.
    #[must_use]
    pub fn value(&self, lead: &Lead, score: &Score) -> Value {
        let touch = |field: TouchField| json!(lead.touches.first.as_ref().and_then(|touch| field.of(touch)));
        match self {
            Self::Attribute(name) => lead.attributes.get(name).map_or(Value::Null, |a| a.value.to_json()),
            Self::Fixed(name) => match *name {
                "lead_id" => json!(lead.id.as_str()),
                "email" => json!(lead.email().map(domain::identity::Email::as_str)),
                "phone" => json!(lead.phone().map(domain::identity::Phone::as_str)),
                "external_ids" => {
                    let ids: Vec<String> =
                        lead.external_ids().map(|id| format!("{}:{}", id.system(), id.id())).collect();
                    if ids.is_empty() { Value::Null } else { json!(ids.join(" ")) }
                }
                "company" => json!(lead.company.name.as_ref().or(lead.company.domain.as_ref())),
                "country" => lead.country().map_or(Value::Null, domain::attribute::AttributeValue::to_json),
                "stage" => json!(lead.stage.as_str()),
                "label" => json!(score.label.to_string()),
                "fit" => json!(score.fit),
                "engagement" => json!(score.engagement),
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
