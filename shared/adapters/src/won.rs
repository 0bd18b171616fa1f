//! The latest won leads and what they are like, in the catalog: one record, written by whoever walks over all leads.

use crate::ports::{Catalog, CatalogKind, Put, StoreError};
use domain::identity::LeadId;
use domain::similar::{LatestWon, Trait, Traits, Won};
use domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// The id of the record.
const LATEST: &str = "latest";

/// The latest won leads as of a time.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// They; none before the first walk.
    pub won: LatestWon,
    /// As of when; none before the first walk.
    pub as_of: Option<Timestamp>,
}

/// Writes won leads: what is kept, and what a part of a walk hands on.
#[must_use]
pub fn to_json(won: &LatestWon) -> Value {
    let traits = |traits: Traits| -> Map<String, Value> {
        traits.into_iter().map(|(name, value)| (name.as_str().to_owned(), value.into())).collect()
    };
    let one = |won: Won| json!([won.lead.as_str(), won.at.millis(), traits(won.traits)]);
    won.iter().map(one).collect()
}

/// Reads what [`to_json`] wrote; a trait that is not known any more is left out.
#[must_use]
pub fn from_json(json: &Value) -> Option<LatestWon> {
    let known = |word: &String| Trait::WORDS.iter().find(|(known, _)| known == word).map(|(_, one)| *one);
    let one = |json: &Value| {
        let [lead, at, traits] = json.as_array()?.as_slice() else { return None };
        let traits = traits.as_object()?.iter();
        Some(Won {
            lead: LeadId::parse(lead.as_str()?).ok()?,
            at: Timestamp::from_millis(at.as_i64()?),
            traits: traits
                .filter_map(|(word, value)| Some((known(word)?, value.as_str()?.to_owned())))
                .collect(),
        })
    };
    let mut won = LatestWon::default();
    won.extend(json.as_array()?.iter().map(one).collect::<Option<Vec<Won>>>()?);
    Some(won)
}

/// Reads the latest won leads.
///
/// # Errors
///
/// [`StoreError`].
pub async fn latest(catalog: &dyn Catalog) -> Result<Latest, StoreError> {
    let Some(record) = catalog.get(CatalogKind::Won, LATEST).await? else { return Ok(Latest::default()) };
    let won = record.body.get("won").and_then(from_json);
    let won = won.ok_or_else(|| StoreError::Damaged("the latest won leads".to_owned()))?;
    Ok(Latest { won, as_of: record.body.get("as_of").and_then(Value::as_str).and_then(Timestamp::parse) })
}

/// Makes the record of the latest won leads. It takes the place of whatever was there: who counted last knows best.
#[must_use]
pub fn put(won: &LatestWon, as_of: Timestamp) -> Put {
    let body = json!({ "as_of": as_of.to_string(), "won": to_json(won) });
    Put { force: true, ..Put::new(CatalogKind::Won, LATEST, body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::similar::{LONGEST_TRAIT, MOST};

    fn won(n: usize, value: &str) -> Won {
        let traits = Trait::WORDS.iter().map(|(_, one)| (*one, value.to_owned())).collect();
        let lead = LeadId::parse(&format!("{n:0>26}").replace(['0', '1', '8', '9'], "a")).unwrap();
        Won { lead, at: Timestamp::from_secs(1_700_000_000 + n as i64), traits }
    }

    #[test]
    fn what_is_kept_reads_back_as_it_was_written() {
        let mut all = LatestWon::default();
        all.extend([won(2, "\"Ü\""), won(3, "b")]);
        assert_eq!(from_json(&to_json(&all)), Some(all));
        assert_eq!(from_json(&json!([])), Some(LatestWon::default()));
        for damaged in [json!({}), json!([["x"]]), json!([["x", 1, {}]])] {
            assert_eq!(from_json(&damaged), None);
        }
    }

    #[test]
    fn as_many_as_are_kept_fit_into_a_record() {
        let mut all = LatestWon::default();
        // Each with a time of its own, so that equal ids are no repeats.
        all.extend((0..MOST + 10).map(|n| won(n, &"x".repeat(LONGEST_TRAIT))));
        assert_eq!(all.iter().count(), MOST);
        let bytes = to_json(&all).to_string().len();
        assert!(bytes < 400_000, "{bytes}");
    }
}
