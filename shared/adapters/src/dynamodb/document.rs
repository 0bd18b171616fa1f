//! How a document inside an entry is written and read, and the values that it holds.

use super::item::{Damage, required, slug};
use super::moves::of_words;
use domain::attribute::{AttributeValue, NewAttribute, number_to_json};
use domain::identity::{ExternalId, LeadId, Slug};
use domain::money::{Currency, Money};
use domain::sales::DeliveryId;
use domain::score::{Label, Score};
use domain::stage::Stage;
use domain::time::Timestamp;
use serde_json::{Map, Value};

/// Fills a JSON object and leaves out what says nothing.
#[derive(Default)]
pub(super) struct Doc(pub(super) Map<String, Value>);

impl From<Doc> for Value {
    fn from(doc: Doc) -> Self {
        Self::Object(doc.0)
    }
}

impl Doc {
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn with_text(self, name: &str, text: Option<&str>) -> Self {
        self.with_some(name, text)
    }

    pub(super) fn with_slug(self, name: &str, slug: Option<&Slug>) -> Self {
        self.with_text(name, slug.map(Slug::as_str))
    }

    pub(super) fn with_time(self, name: &str, at: Option<Timestamp>) -> Self {
        self.with_some(name, at.map(Timestamp::millis))
    }

    pub(super) fn with_flag(self, name: &str, flag: bool) -> Self {
        self.with_some(name, flag.then_some(true))
    }

    /// Adds an object, unless it is empty.
    pub(super) fn with_doc(self, name: &str, doc: Self) -> Self {
        if doc.0.is_empty() { self } else { self.with(name, doc) }
    }

    pub(super) fn with_list(self, name: &str, list: Vec<Value>) -> Self {
        if list.is_empty() { self } else { self.with(name, list) }
    }
}

/// Reads the fields of a JSON object; `null` counts as not there.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

pub(super) const UNREADABLE: &str = "does not read as what it should hold";

impl<'a> Fields<'a> {
    pub(super) fn of(name: &'static str, value: &'a Value) -> Result<Self, Damage> {
        value.as_object().map(Self).ok_or_else(|| Damage::new(name, "is no object"))
    }

    /// Reads a field through a reader of its value.
    pub(super) fn get<T>(
        self,
        name: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Damage> {
        let value = self.0.get(name).filter(|value| !value.is_null());
        value.map(|value| read(value).ok_or_else(|| Damage::new(name, UNREADABLE))).transpose()
    }

    pub(super) fn need<T>(
        self,
        name: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Damage> {
        required(name, self.get(name, read)?)
    }

    pub(super) fn text(self, name: &'static str) -> Result<Option<String>, Damage> {
        self.get(name, owned)
    }

    pub(super) fn slug(self, name: &'static str) -> Result<Option<Slug>, Damage> {
        self.get(name, |value| slug(value.as_str()?))
    }

    pub(super) fn time(self, name: &'static str) -> Result<Option<Timestamp>, Damage> {
        self.get(name, time)
    }

    pub(super) fn flag(self, name: &'static str) -> Result<bool, Damage> {
        Ok(self.get(name, Value::as_bool)?.unwrap_or(false))
    }

    pub(super) fn word<T: Copy>(self, name: &'static str, words: &[(&str, T)]) -> Result<T, Damage> {
        self.need(name, |value| of_words(words, value.as_str()?))
    }

    /// Reads an object inside; an absent one reads as an empty one.
    pub(super) fn inner<T>(
        self,
        name: &'static str,
        read: impl FnOnce(Fields<'_>) -> Result<T, Damage>,
    ) -> Result<T, Damage> {
        let none = Map::new();
        let inner = self.get(name, Value::as_object)?.unwrap_or(&none);
        read(Fields(inner)).map_err(|damage| damage.within(name))
    }

    /// Reads an object inside, where there is one.
    pub(super) fn optional_inner<T>(
        self,
        name: &'static str,
        read: impl FnOnce(Fields<'_>) -> Result<T, Damage>,
    ) -> Result<Option<T>, Damage> {
        let inner = self.get(name, Value::as_object)?;
        inner.map(|inner| read(Fields(inner)).map_err(|damage| damage.within(name))).transpose()
    }

    /// Reads a list of objects; an absent one is empty.
    pub(super) fn list<T>(
        self,
        name: &'static str,
        read: impl Fn(Fields<'_>) -> Result<T, Damage>,
    ) -> Result<Vec<T>, Damage> {
        let values = self.get(name, Value::as_array)?.map(Vec::as_slice).unwrap_or_default();
        values
            .iter()
            .map(|value| Fields::of("(item)", value).and_then(&read).map_err(|damage| damage.within(name)))
            .collect()
    }
}

pub(super) fn owned(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_millis)
}

pub(super) fn delivery(value: &Value) -> Option<DeliveryId> {
    value.as_str().and_then(DeliveryId::parse)
}

pub(super) fn stage(value: &Value) -> Option<Stage> {
    value.as_str().and_then(Stage::parse)
}

pub(super) fn lead_id(value: &Value) -> Option<LeadId> {
    LeadId::parse(value.as_str()?).ok()
}

pub(super) fn version(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

pub(super) const NUMBER: &str = "number";
pub(super) const VALUE: &str = "value";
pub(super) const KNOWN_AT: &str = "known_at";

/// Writes a value so that it reads back to the last bit.
pub(super) fn value_to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => Value::from(text.as_str()),
        AttributeValue::Flag(flag) => Value::from(*flag),
        AttributeValue::Number(n) => {
            let plain = number_to_json(*n);
            // serde_json reads long decimals only nearly right, JSON has neither NaN nor infinity, and whole numbers
            // lose the sign of minus zero. What would not come back stands in a text instead.
            let read = if let Some(whole) = plain.as_i64() {
                #[allow(clippy::cast_precision_loss, reason = "below 2^53, or refused by the comparison")]
                Some(whole as f64)
            } else {
                serde_json::from_str(&plain.to_string()).ok()
            };
            match read {
                Some(read) if read.to_bits() == n.to_bits() => plain,
                _ => Doc::default().with(NUMBER, format!("{n:e}")).into(),
            }
        }
    }
}

pub(super) fn value_from_json(value: &Value) -> Option<AttributeValue> {
    Some(match value {
        Value::String(text) => AttributeValue::Text(text.clone()),
        Value::Bool(flag) => AttributeValue::Flag(*flag),
        Value::Number(n) => AttributeValue::Number(n.as_f64()?),
        Value::Object(tagged) => AttributeValue::Number(tagged.get(NUMBER)?.as_str()?.parse().ok()?),
        Value::Null | Value::Array(_) => return None,
    })
}

/// Writes a value alone, or with when it became known.
pub(super) fn new_attribute_to_json(attribute: &NewAttribute) -> Value {
    let value = value_to_json(&attribute.value);
    match attribute.known_at {
        None => value,
        known_at => Doc::default().with(VALUE, value).with_time(KNOWN_AT, known_at).into(),
    }
}

pub(super) fn new_attribute_from_json(value: &Value) -> Option<NewAttribute> {
    match value.get(VALUE) {
        None => Some(NewAttribute { value: value_from_json(value)?, known_at: None }),
        Some(inner) => {
            Some(NewAttribute { value: value_from_json(inner)?, known_at: Some(time(value.get(KNOWN_AT)?)?) })
        }
    }
}

/// Writes an external id as `[system, id]`.
pub(super) fn external_to_json(id: &ExternalId) -> Value {
    Value::from(vec![id.system(), id.id()])
}

pub(super) fn external_from_json(value: &Value) -> Option<ExternalId> {
    let [system, id] = value.as_array()?.as_slice() else { return None };
    ExternalId::new(system.as_str()?, id.as_str()?).ok()
}

/// Writes an amount as `[minor units, currency]`.
pub(super) fn money_to_json(money: &Money) -> Value {
    Value::Array(vec![money.minor.into(), money.currency.as_str().into()])
}

pub(super) fn money_from_json(value: &Value) -> Option<Money> {
    let [minor, currency] = value.as_array()?.as_slice() else { return None };
    Some(Money { minor: minor.as_i64()?, currency: Currency::parse(currency.as_str()?).ok()? })
}

/// Writes a score as `[fit, engagement, label]`.
pub(super) fn score_to_json(score: &Score) -> Value {
    Value::Array(vec![score.fit.into(), score.engagement.into(), score.label.to_string().into()])
}

pub(super) fn score_from_json(value: &Value) -> Option<Score> {
    let [fit, engagement, label] = value.as_array()?.as_slice() else { return None };
    Some(Score {
        fit: fit.as_u64()?.try_into().ok()?,
        engagement: engagement.as_u64()?.try_into().ok()?,
        label: Label::parse(label.as_str()?)?,
    })
}
