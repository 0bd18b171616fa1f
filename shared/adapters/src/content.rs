//! The catalog of content, and what content did as of its latest count.
//!
//! Results are sums by content, persona and phase. They stand in jobs and in one record of the catalog, both of which hold
//! 400 KB, so they are written as lists of numbers under the names of what they are sums of.

use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use domain::content::Content;
use domain::content::results::{Cell, Results, Sums};
use domain::identity::Slug;
use domain::phase::Phase;
use domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// The id of the record with the latest results.
const LATEST: &str = "latest";
/// Stands for no persona or no phase.
const NONE: &str = "-";

/// Lists all content, by id.
///
/// # Errors
///
/// [`StoreError`].
pub async fn contents(catalog: &dyn Catalog) -> Result<Vec<Content>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list(CatalogKind::Content, 500, cursor.as_deref()).await?;
        for record in &page.items {
            all.push(content(record)?);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Reads a piece of content.
///
/// # Errors
///
/// Where the record is none.
pub fn content(record: &Record) -> Result<Content, StoreError> {
    Content::stored(&record.id, &record.body)
        .ok_or_else(|| StoreError::Damaged(format!("content {}", record.id)))
}

/// Writes results.
#[must_use]
pub fn results_json(results: &Results) -> Value {
    let mut contents: Map<String, Value> = Map::new();
    for (cell, sums) in &results.cells {
        let persona = cell.persona.as_ref().map_or(NONE, Slug::as_str);
        let phase = cell.phase.map_or(NONE, Phase::as_str);
        let of = contents.entry(cell.content.as_str()).or_insert_with(|| json!({}));
        if let Some(of) = of.as_object_mut() {
            of.insert(format!("{persona} {phase}"), json!(sums.numbers()));
        }
    }
    json!({ "contents": contents, "left_out": results.left_out, "unknown": results.unknown })
}

/// Reads results; none where what is written are none.
#[must_use]
pub fn results_from(json: &Value) -> Option<Results> {
    let number = |name: &str| json.get(name).and_then(Value::as_u64);
    let mut results =
        Results { left_out: number("left_out")?, unknown: number("unknown")?, ..Results::default() };
    for (content, cells) in json.get("contents")?.as_object()? {
        for (place, numbers) in cells.as_object()? {
            let (persona, phase) = place.split_once(' ')?;
            let persona = if persona == NONE { None } else { Some(Slug::parse(persona).ok()?) };
            let phase = if phase == NONE { None } else { Some(Phase::parse(phase)?) };
            let cell = Cell { content: Slug::parse(content).ok()?, persona, phase };
            let numbers: Vec<u64> = numbers.as_array()?.iter().filter_map(Value::as_u64).collect();
            results.cells.insert(cell, Sums::from_numbers(numbers.try_into().ok()?));
        }
    }
    Some(results)
}

/// What content did, as of a time.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// The results; empty before the first count.
    pub results: Results,
    /// As of when; none before the first count.
    pub as_of: Option<Timestamp>,
}

/// Reads the latest results.
///
/// # Errors
///
/// [`StoreError`].
pub async fn latest(catalog: &dyn Catalog) -> Result<Latest, StoreError> {
    let Some(record) = catalog.get(CatalogKind::ContentResults, LATEST).await? else {
        return Ok(Latest::default());
    };
    let results = record.body.get("results").and_then(results_from);
    let as_of = record.body.get("as_of").and_then(Value::as_str).and_then(Timestamp::parse);
    let results = results.ok_or_else(|| StoreError::Damaged("the latest results of content".to_owned()))?;
    Ok(Latest { results, as_of })
}

/// Keeps results as the latest ones, unless there are later ones.
///
/// # Errors
///
/// [`StoreError`]; [`StoreError::Busy`] where somebody else wrote at the same time.
pub async fn keep(catalog: &dyn Catalog, results: &Results, as_of: Timestamp) -> Result<(), StoreError> {
    let body = json!({ "as_of": as_of.to_string(), "results": results_json(results) });
    let put = match catalog.get(CatalogKind::ContentResults, LATEST).await? {
        Some(record) => {
            let known = record.body.get("as_of").and_then(Value::as_str).and_then(Timestamp::parse);
            if known.is_some_and(|known| known > as_of) {
                return Ok(());
            }
            Put::over(&record, body)
        }
        None => Put::new(CatalogKind::ContentResults, LATEST, body),
    };
    if catalog.put(std::slice::from_ref(&put)).await? {
        Ok(())
    } else {
        Err(StoreError::Busy("somebody else writes what content did".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::content::results::MOST_CELLS;

    fn cell(content: &str, persona: Option<&str>, phase: Option<Phase>) -> Cell {
        let slug = |text: &str| Slug::parse(text).unwrap();
        Cell { content: slug(content), persona: persona.map(slug), phase }
    }

    #[test]
    fn results_read_back_as_they_were_written() {
        let mut results = Results { left_out: 3, unknown: 4, ..Results::default() };
        let sums = Sums::from_numbers([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        results.cells.insert(cell("a", None, None), sums);
        results.cells.insert(cell("a", Some("it_lead"), Some(Phase::Decision)), sums);
        results.cells.insert(cell("b", Some("it_lead"), None), Sums::default());
        assert_eq!(results_from(&results_json(&results)), Some(results));
        assert_eq!(results_from(&json!({})), None);
    }

    #[test]
    fn as_many_results_as_are_kept_fit_into_a_record() {
        let mut results = Results::default();
        let sums = Sums::from_numbers([999_999; 10]);
        for n in 0..MOST_CELLS {
            let content = format!("a-rather-long-name-of-a-white-paper-{:04}", n / 4);
            let persona = format!("a_long_persona_{}", n % 4);
            results.cells.insert(cell(&content, Some(&persona), Some(Phase::Consideration)), sums);
        }
        assert_eq!(results.cells.len(), MOST_CELLS);
        assert!(
            results_json(&results).to_string().len() < 500_000,
            "{}",
            results_json(&results).to_string().len()
        );
    }
}
