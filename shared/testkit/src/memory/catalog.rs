//! The catalog in memory.

use super::{lock, page, start};
use adapters::ports::{Catalog, CatalogKind, Page, Put, Record, StoreError};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// The catalog in memory.
#[derive(Debug, Default)]
pub struct MemoryCatalog(Mutex<BTreeMap<(CatalogKind, String), Record>>);

impl MemoryCatalog {
    /// Makes an empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes records, all or none; `false` where one of them is not as expected.
    pub(super) fn write(&self, puts: &[Put]) -> Result<bool, StoreError> {
        let key = |put: &Put| (put.record.kind, put.record.id.clone());
        let different: BTreeSet<_> = puts.iter().map(key).collect();
        if different.len() < puts.len() || puts.is_empty() || puts.len() > 100 {
            return Err(StoreError::Refused("ValidationException".to_owned()));
        }
        let mut records = lock(&self.0);
        let as_expected = puts.iter().all(|put| {
            let stored = records.get(&key(put)).map(|record| record.version);
            put.force
                || match put.record.version {
                    0 | 1 => stored.is_none(),
                    version => stored == Some(version - 1),
                }
        });
        if as_expected {
            records.extend(puts.iter().map(|put| (key(put), put.record.clone())));
        }
        Ok(as_expected)
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn get(&self, kind: CatalogKind, id: &str) -> Result<Option<Record>, StoreError> {
        tokio::task::yield_now().await;
        Ok(lock(&self.0).get(&(kind, id.to_owned())).cloned())
    }

    async fn list_under(
        &self,
        kind: CatalogKind,
        under: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Record>, StoreError> {
        tokio::task::yield_now().await;
        let list = format!("{} {under}", kind.as_str());
        let after = start(&list, cursor)?;
        let records = lock(&self.0);
        let left = records
            .iter()
            .filter(|((of, id), _)| *of == kind && id.starts_with(under))
            .filter(|((_, id), _)| after.as_deref().is_none_or(|after| id.as_str() > after))
            .map(|((_, id), record)| (id.clone(), record.clone()));
        Ok(page(&list, left.collect(), limit.clamp(1, 1_000)))
    }

    async fn put(&self, puts: &[Put]) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        self.write(puts)
    }

    async fn delete(&self, kind: CatalogKind, id: &str) -> Result<bool, StoreError> {
        tokio::task::yield_now().await;
        Ok(lock(&self.0).remove(&(kind, id.to_owned())).is_some())
    }
}
