//! What people search for, as it was put on record: evidence of the kind `keyword_research`.

use crate::ports::{Catalog, CatalogKind, StoreError};
use domain::content::matrix::Keyword;
use domain::identity::Slug;
use serde_json::Value;

/// Lists every keyword on record, with the topic that it was said to be about and how often a month people search for it.
///
/// # Errors
///
/// [`StoreError`].
pub async fn keywords(catalog: &dyn Catalog) -> Result<Vec<Keyword>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list(CatalogKind::Evidence, 500, cursor.as_deref()).await?;
        all.extend(page.items.iter().filter_map(|record| keyword(&record.body)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

fn keyword(body: &Value) -> Option<Keyword> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("kind") != Some("keyword_research") {
        return None;
    }
    Some(Keyword {
        keyword: text("keyword")?.to_owned(),
        topic: text("topic").and_then(|topic| Slug::parse(topic).ok()),
        monthly_searches: body.get("monthly_searches").and_then(Value::as_u64)?,
    })
}
