//! The secrets of a webhook: the one that signs, and those that still sign beside it until their receivers have the new
//! one.

use crate::signature::Secret;
use adapters::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::time::Timestamp;
use serde_json::{Value, json};

/// The kind of their records.
pub const KIND: CatalogKind = CatalogKind::WebhookSecret;
/// How many may sign side by side.
pub const MOST: usize = 4;

/// A secret with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    secret: Secret,
    created_at: Timestamp,
    /// From when on it no longer signs; the newest has no end.
    ends_at: Option<Timestamp>,
}

/// The secrets of a webhook, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(Vec<Kept>);

impl Secrets {
    /// Makes the first one.
    #[must_use]
    pub fn fresh(now: Timestamp) -> Self {
        Self(vec![Kept { secret: Secret::fresh(), created_at: now, ends_at: None }])
    }

    /// Adds a new one; those before it go on signing until `ends_at`, or their own end where that is sooner. `None` where
    /// too many sign already.
    #[must_use]
    pub fn rotated(&self, now: Timestamp, ends_at: Timestamp) -> Option<Self> {
        let signing = |kept: &&Kept| kept.ends_at.is_none_or(|end| end > now);
        let mut all = Self::fresh(now).0;
        for kept in self.0.iter().filter(signing) {
            let end = kept.ends_at.map_or(ends_at, |end| end.min(ends_at));
            if end > now {
                all.push(Kept { ends_at: Some(end), ..kept.clone() });
            }
        }
        (all.len() <= MOST).then_some(Self(all))
    }

    /// Gives those that sign at a moment, the newest first.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Vec<Secret> {
        let signing = self.0.iter().filter(|kept| kept.ends_at.is_none_or(|end| end > now));
        signing.map(|kept| kept.secret.clone()).collect()
    }

    /// Gives the newest as people copy it.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.first().map(|kept| kept.secret.reveal()).unwrap_or_default()
    }

    /// Tells when those that signed before no longer do: the last of their ends.
    #[must_use]
    pub fn old_ends_at(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|kept| kept.ends_at).max()
    }

    /// Writes the body of their record.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let one = |kept: &Kept| {
            json!({
                "secret": kept.secret.reveal(),
                "created_at": kept.created_at.to_string(),
                "ends_at": kept.ends_at.map(|at| at.to_string()),
            })
        };
        json!({ "secrets": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    /// Reads them from their record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`].
    pub fn from_record(record: &Record) -> Result<Self, StoreError> {
        let one = |kept: &Value| {
            let time = |name: &str| kept.get(name).and_then(Value::as_str).and_then(Timestamp::parse);
            Some(Kept {
                secret: Secret::parse(kept.get("secret")?.as_str()?)?,
                created_at: time("created_at")?,
                ends_at: time("ends_at"),
            })
        };
        let list = record.body.get("secrets").and_then(Value::as_array);
        let all = list.and_then(|list| list.iter().map(one).collect::<Option<Vec<_>>>());
        let all = all.filter(|all| !all.is_empty());
        all.map(Self).ok_or_else(|| StoreError::Damaged(format!("the secrets of webhook {}", record.id)))
    }

    /// Makes the write of the first ones.
    #[must_use]
    pub fn put(&self, webhook: &str) -> Put {
        Put::new(KIND, webhook, self.to_body())
    }
}

/// Reads a webhook's secrets with their record.
///
/// # Errors
///
/// [`StoreError`]; also where there are none, since every webhook has some.
pub async fn read(catalog: &dyn Catalog, webhook: &str) -> Result<(Record, Secrets), StoreError> {
    let record = catalog.get(KIND, webhook).await?;
    let record = record.ok_or_else(|| StoreError::Damaged(format!("webhook {webhook} has no secret")))?;
    let secrets = Secrets::from_record(&record)?;
    Ok((record, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_secs(1_795_000_000 + hour * 3_600)
    }

    #[test]
    fn old_and_new_sign_side_by_side_until_the_old_one_ends() {
        let first = Secrets::fresh(at(0));
        let second = first.rotated(at(1), at(25)).unwrap();
        assert_ne!(first.reveal(), second.reveal());
        assert_eq!(
            second.signing(at(24)),
            [second.signing(at(24))[0].clone(), first.signing(at(0))[0].clone()]
        );
        assert_eq!(second.signing(at(25)).len(), 1);
        assert_eq!(second.old_ends_at(), Some(at(25)));
        let record =
            Record { kind: KIND, id: "w".to_owned(), version: 1, body: second.to_body(), expires_at: None };
        assert_eq!(Secrets::from_record(&record).unwrap(), second);
    }

    #[test]
    fn an_old_one_may_end_at_once_and_none_lives_longer_than_it_was_given() {
        let first = Secrets::fresh(at(0));
        assert_eq!(first.rotated(at(1), at(1)).unwrap().signing(at(1)).len(), 1);
        let third = first.rotated(at(1), at(3)).unwrap().rotated(at(2), at(50)).unwrap();
        assert_eq!(third.signing(at(2)).len(), 3);
        assert_eq!(third.signing(at(3)).len(), 2);
        assert_eq!(third.signing(at(50)).len(), 1);
    }

    #[test]
    fn there_is_an_end_to_how_many_sign() {
        let mut secrets = Secrets::fresh(at(0));
        for n in 1..4 {
            secrets = secrets.rotated(at(n), at(100)).unwrap();
        }
        assert_eq!(secrets.rotated(at(5), at(100)), None);
        assert!(secrets.rotated(at(101), at(200)).is_some(), "ended ones do not count");
        assert!(secrets.rotated(at(5), at(5)).is_some(), "nor those that end now");
    }

    #[test]
    fn a_damaged_record_is_named_by_its_webhook_and_by_nothing_in_it() {
        let body = json!({ "secrets": [{ "secret": "whsec_%%geheim", "created_at": at(0).to_string() }] });
        let record = Record { kind: KIND, id: "webhook-7".to_owned(), version: 1, body, expires_at: None };
        let error = Secrets::from_record(&record).unwrap_err().to_string();
        assert!(error.contains("webhook-7") && !error.contains("geheim"), "{error}");
    }
}
