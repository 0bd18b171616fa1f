//! All leads, in rounds of one page of each of some parts of the table at once.
//!
//! Several parts, because a scan is mostly waiting; few, because memory holds one page of each. Where it stands can be
//! written down after every round, and somebody else goes on from there.

use adapters::ports::{LeadLists, Page, StoreError};
use domain::lead::Lead;
use futures::future::try_join_all;
use serde_json::{Value, json};

/// Into how many parts the table is divided.
const PARTS: u32 = 4;

/// Where one part goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Start,
    Cursor(String),
    End,
}

/// A scan of all leads and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan(Vec<At>);

impl Scan {
    /// Begins a scan of all leads.
    #[must_use]
    pub fn all() -> Self {
        Self((0..PARTS).map(|_| At::Start).collect())
    }

    /// Tells whether all leads were read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.iter().all(|at| *at == At::End)
    }

    /// Reads the next page of each part that is not at its end. Where one cannot be read, none was.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn round(&mut self, lists: &dyn LeadLists) -> Result<Vec<Lead>, StoreError> {
        let of = u32::try_from(self.0.len()).unwrap_or(PARTS);
        let pages = try_join_all(self.0.iter().zip(0..).map(|(at, part)| async move {
            let cursor = match at {
                At::Start => None,
                At::Cursor(cursor) => Some(cursor.as_str()),
                At::End => return Ok(None),
            };
            lists.scan(part, of, cursor).await.map(Some)
        }))
        .await?;
        let mut leads = Vec::new();
        for (at, page) in self.0.iter_mut().zip(pages) {
            if let Some(Page { items, next }) = page {
                leads.extend(items);
                *at = next.map_or(At::End, At::Cursor);
            }
        }
        Ok(leads)
    }

    /// Writes down where it stands.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|at| match at {
                At::Start => Value::Null,
                At::Cursor(cursor) => json!(cursor),
                At::End => json!(true),
            })
            .collect()
    }

    /// Goes on where one stood that was written down.
    #[must_use]
    pub fn from_json(json: &Value) -> Option<Self> {
        let parts = json.as_array().filter(|parts| !parts.is_empty())?;
        let parts: Option<Vec<At>> = parts
            .iter()
            .map(|at| match at {
                Value::Null => Some(At::Start),
                Value::Bool(true) => Some(At::End),
                Value::String(cursor) => Some(At::Cursor(cursor.clone())),
                _ => None,
            })
            .collect();
        parts.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let scan = Scan(vec![At::Start, At::Cursor("c".to_owned()), At::End]);
        assert_eq!(Scan::from_json(&scan.to_json()), Some(scan));
        assert_eq!(Scan::from_json(&Value::Null), None);
        assert_eq!(Scan::from_json(&json!([])), None);
    }
}
