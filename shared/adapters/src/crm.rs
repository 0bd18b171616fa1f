//! CRMs as the catalog keeps them: what we know of a lead's record there, how a CRM's changes are read, and who is who.
//!
//! **One record for one lead.** Making a record and writing down its id are two steps in two systems, and a worker may die
//! between them, or two deliveries of one lead may be at it at once. So whoever makes a record claims it first
//! ([`Standing::Making`]); a claim that is [`CLAIM_MS`] old belongs to nobody who is still alive, and says that there may be a
//! record nobody wrote down. `deliver` makes the claims; `sales-feedback` only notes what it hears.
//!
//! [`hook`] – how a CRM shows that it is the one that it says.

pub mod hook;

use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use crate::write_path::{About, RecordError, WritePath};
use domain::change::{Fact, Incoming};
use domain::crm::Holds;
use domain::crm::context::Owner;
use domain::crm::mapping::Mapping;
use domain::identity::{ExternalId, Identity};
use domain::lead::Lead;
use domain::sales::DeliveryId;
use domain::template::People;
use domain::time::{MINUTE_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The kind of what is known of a lead's record.
pub const RECORD: CatalogKind = CatalogKind::CrmRecord;
/// The kind of mappings.
pub const MAPPING: CatalogKind = CatalogKind::CrmMapping;
/// For how long a claim holds, in milliseconds: twice as long as whoever made it can live.
pub const CLAIM_MS: i64 = 2 * MINUTE_MS;
/// Stands before the id of a mapping that is a channel itself.
const OF_MAPPING: &str = "mapping-";
/// The most fields whose marks are kept.
const MOST_HELD: usize = 200;

/// What was heard of a record, by field: the mark of what it holds now, or none where that is not to be recognised again.
pub type Heard = BTreeMap<String, Option<String>>;

/// How far a record has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// None was made that we know of.
    #[default]
    None,
    /// Somebody is making it, or died of it.
    Making {
        /// Since when.
        since: Timestamp,
    },
    /// It has this id.
    Made {
        /// The id in the CRM.
        id: String,
    },
}

/// What is known of a lead's record in a CRM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How far it has come.
    pub standing: Standing,
    /// What it holds.
    pub holds: Holds,
}

/// Gives the id of what is known of a lead's record. `channel` is the webhook by which the CRM is told or, where it only
/// tells us, [`channel_of`] its mapping.
#[must_use]
pub fn id(channel: &str, lead: &str) -> String {
    format!("{channel}#{lead}")
}

/// Gives the channel of a mapping.
#[must_use]
pub fn channel_of(id: &str, mapping: &Mapping) -> String {
    mapping.subscriber.clone().unwrap_or_else(|| format!("{OF_MAPPING}{id}"))
}

/// Gives every channel by which something may be known of leads' records, whatever is said of it otherwise.
///
/// # Errors
///
/// [`StoreError`].
pub async fn channels(catalog: &dyn Catalog) -> Result<Vec<String>, StoreError> {
    let mut channels = Vec::new();
    for (kind, prefix) in [(CatalogKind::Webhook, ""), (MAPPING, OF_MAPPING)] {
        let mut cursor = None;
        loop {
            let page = catalog.list(kind, 100, cursor.as_deref()).await?;
            channels.extend(page.items.iter().map(|record| format!("{prefix}{}", record.id)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(channels)
}

/// Gives the id under which a mapping's secret stands among those of webhooks.
#[must_use]
pub fn secret_of(mapping: &str) -> String {
    format!("mapping#{mapping}")
}

impl Known {
    /// Takes in what the record will hold, and tells whether that is news.
    pub fn will_hold(&mut self, holds: &Holds) -> bool {
        let before = self.holds.clone();
        for (field, mark) in holds {
            if self.holds.len() < MOST_HELD || self.holds.contains_key(field) {
                self.holds.insert(field.clone(), mark.clone());
            }
        }
        self.holds != before
    }

    /// Takes in what was heard of the record: the marks of fields that hold something new, and none for those of which it is
    /// only known that they no longer hold what they did. Tells whether that is news.
    pub fn hears(&mut self, heard: &Heard) -> bool {
        let before = self.holds.clone();
        let told = heard.iter().filter_map(|(field, mark)| Some((field.clone(), mark.clone()?)));
        self.will_hold(&told.collect());
        self.holds.retain(|field, _| heard.get(field) != Some(&None));
        self.holds != before
    }

    /// Writes the body of its record.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let (since, made) = match &self.standing {
            Standing::None => (None, None),
            Standing::Making { since } => (Some(since.to_string()), None),
            Standing::Made { id } => (None, Some(id)),
        };
        json!({ "making_since": since, "made": made, "holds": self.holds })
    }

    fn read(body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let standing = match (text("making_since"), text("made")) {
            (_, Some(id)) => Standing::Made { id: id.to_owned() },
            (Some(since), None) => Standing::Making { since: Timestamp::parse(since)? },
            (None, None) => Standing::None,
        };
        let holds = body.get("holds")?.as_object()?;
        let holds = holds.iter().map(|(field, mark)| Some((field.clone(), mark.as_str()?.to_owned())));
        Some(Self { standing, holds: holds.collect::<Option<_>>()? })
    }
}

/// What is known of a record, with where it stands.
#[derive(Clone, Debug)]
pub struct Kept {
    id: String,
    record: Option<Record>,
    /// What is known.
    pub known: Known,
}

impl Kept {
    /// Reads it; nothing is known of a record that nobody wrote about.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read(catalog: &dyn Catalog, id: &str) -> Result<Self, StoreError> {
        let record = catalog.get(RECORD, id).await?;
        let known = match &record {
            None => Known::default(),
            Some(record) => Known::read(&record.body)
                .ok_or_else(|| StoreError::Damaged(format!("what is known of the CRM's record {id}")))?,
        };
        Ok(Self { id: id.to_owned(), record, known })
    }

    /// Writes it; `false` where somebody else wrote since it was read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn write(&mut self, catalog: &dyn Catalog) -> Result<bool, StoreError> {
        let body = self.known.to_body();
        let put = match &self.record {
            None => Put::new(RECORD, self.id.clone(), body),
            Some(record) => Put::over(record, body),
        };
        let written = catalog.put(std::slice::from_ref(&put)).await?;
        if written {
            self.record = Some(put.record);
        }
        Ok(written)
    }
}

/// Makes a record's id one of a lead's external ids, as a fact like any other; `false` where there is no such lead any more.
/// `channel` is as in [`id`], so that who made the record and who heard of it record one fact.
///
/// # Errors
///
/// [`StoreError`].
pub async fn attach(
    write_path: &WritePath,
    channel: &str,
    lead: &Lead,
    record: ExternalId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let fact = Incoming {
        delivery: DeliveryId::new(&format!("crm {channel}"), record.id()),
        occurred_at: now,
        history: false,
        by: format!("crm:{}", record.system()),
        strict: false,
        fact: Fact::Captured(Box::default()),
    };
    let about = About::Also(lead.id.clone(), vec![Identity::External(record)]);
    match write_path.record(&about, &[fact]).await {
        Ok(_) => Ok(true),
        Err(RecordError::NoSuchLead) => Ok(false),
        Err(RecordError::Busy) => Err(StoreError::Busy("the lead is being changed by too many".to_owned())),
        Err(RecordError::Store(error)) => Err(error),
    }
}

/// Reads a mapping.
///
/// # Errors
///
/// [`StoreError`].
pub async fn mapping(catalog: &dyn Catalog, id: &str) -> Result<Option<(Record, Mapping)>, StoreError> {
    let Some(record) = catalog.get(MAPPING, id).await? else { return Ok(None) };
    let mapping = Mapping::stored(&record.body);
    let mapping = mapping.ok_or_else(|| StoreError::Damaged(format!("the CRM mapping {id}")))?;
    Ok(Some((record, mapping)))
}

/// Reads somebody as templates see them.
///
/// # Errors
///
/// [`StoreError`].
pub async fn owner(catalog: &dyn Catalog, person: &str) -> Result<Owner, StoreError> {
    let record = catalog.get(CatalogKind::Person, person).await?;
    let text = |name: &str| {
        record.as_ref().and_then(|r| r.body.get(name)).and_then(Value::as_str).map(str::to_owned)
    };
    Ok(Owner { id: person.to_owned(), name: text("name"), email: text("email"), crm_id: text("crm_id") })
}

/// Reads who is who in a CRM: persons by the CRM's ids, from their records and, over them, from what the webhook says that
/// tells this CRM.
///
/// # Errors
///
/// [`StoreError`].
pub async fn people(catalog: &dyn Catalog, subscriber: Option<&str>) -> Result<People, StoreError> {
    let (mut people, mut cursor) = (People::new(), None);
    loop {
        let page = catalog.list(CatalogKind::Person, 100, cursor.as_deref()).await?;
        let one =
            |record: &Record| Some((record.body.get("crm_id")?.as_str()?.to_owned(), record.id.clone()));
        people.extend(page.items.iter().filter_map(one));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if let Some(subscriber) = subscriber
        && let Some(record) = catalog.get(CatalogKind::Webhook, subscriber).await?
    {
        let owners = record.body.pointer("/crm/owners").and_then(Value::as_object);
        let id = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        people.extend(owners.into_iter().flatten().map(|(person, crm)| (id(crm), person.clone())));
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_reads_back_whatever_its_standing_is() {
        let since = Timestamp::from_secs(1_795_000_000);
        for standing in [Standing::None, Standing::Making { since }, Standing::Made { id: "4711".to_owned() }]
        {
            let mut known = Known { standing, holds: Holds::new() };
            assert!(known.will_hold(&Holds::from([("email".to_owned(), "ab".to_owned())])));
            assert!(
                !known.will_hold(&Holds::from([("email".to_owned(), "ab".to_owned())])),
                "that is no news"
            );
            assert_eq!(Known::read(&known.to_body()), Some(known));
        }
        assert_eq!(Known::read(&json!({ "holds": { "a": 1 } })), None);
    }
}
