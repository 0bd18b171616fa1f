//! What people declared about attributes: that values which do not say when they became known were known at capture.

use crate::ports::{Catalog, CatalogKind, StoreError};
use domain::attribute::AttributeName;
use serde_json::Value;
use std::collections::BTreeSet;

/// Lists every declaration by the attribute's name.
///
/// # Errors
///
/// [`StoreError`].
pub async fn declared(catalog: &dyn Catalog) -> Result<Vec<(String, Value)>, StoreError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list(CatalogKind::Attribute, 100, cursor.as_deref()).await?;
        all.extend(page.items.into_iter().map(|record| (record.id, record.body)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Gives the attributes that are declared to be known at capture.
///
/// # Errors
///
/// [`StoreError`].
pub async fn known_at_capture(catalog: &dyn Catalog) -> Result<BTreeSet<AttributeName>, StoreError> {
    let known = |body: &Value| body.get("known_at_capture") == Some(&Value::Bool(true));
    let all = declared(catalog).await?;
    let names = all.iter().filter(|(_, body)| known(body));
    Ok(names.filter_map(|(name, _)| AttributeName::parse(name).ok()).collect())
}
