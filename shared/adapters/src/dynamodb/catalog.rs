//! The catalog on DynamoDB.

use super::{Item, cursor_of, keys, start_key, store_error};
use crate::ports::{Catalog, CatalogKind, Page, Put, Record, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put as PutItem, ReturnValue, TransactWriteItem};
use domain::time::Timestamp;

/// The catalog on DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoCatalog {
    client: Client,
    table: String,
}

impl DynamoCatalog {
    /// Makes it.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    fn key(kind: CatalogKind, id: &str) -> Item {
        Item::from([
            (keys::KIND.to_owned(), AttributeValue::S(kind.as_str().to_owned())),
            (keys::ID.to_owned(), AttributeValue::S(id.to_owned())),
        ])
    }
}

fn to_item(record: &Record) -> Item {
    let mut item = DynamoCatalog::key(record.kind, &record.id);
    item.insert(keys::CATALOG_VERSION.to_owned(), AttributeValue::N(record.version.to_string()));
    item.insert(keys::CATALOG_BODY.to_owned(), AttributeValue::S(record.body.to_string()));
    if let Some(at) = record.expires_at {
        item.insert(keys::EXPIRES_AT.to_owned(), AttributeValue::N(at.secs().to_string()));
    }
    item
}

/// Makes the part of a transaction that writes a record.
pub(super) fn to_write(table: &str, Put { record, force }: &Put) -> Result<TransactWriteItem, StoreError> {
    let mut put = PutItem::builder().table_name(table).set_item(Some(to_item(record)));
    if !force {
        put = if record.version <= 1 {
            put.condition_expression("attribute_not_exists(#i)").expression_attribute_names("#i", keys::ID)
        } else {
            put.condition_expression("#v = :v")
                .expression_attribute_names("#v", keys::CATALOG_VERSION)
                .expression_attribute_values(":v", AttributeValue::N((record.version - 1).to_string()))
        };
    }
    let put = put.build().map_err(|error| StoreError::Refused(error.to_string()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn from_item(kind: CatalogKind, item: &Item) -> Result<Record, StoreError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok());
    let id = text(keys::ID).cloned().unwrap_or_default();
    let damaged = || StoreError::Damaged(format!("{} {id}", kind.as_str()));
    Ok(Record {
        kind,
        version: number(keys::CATALOG_VERSION).and_then(|n| n.parse().ok()).ok_or_else(damaged)?,
        body: text(keys::CATALOG_BODY)
            .and_then(|body| serde_json::from_str(body).ok())
            .ok_or_else(damaged)?,
        expires_at: number(keys::EXPIRES_AT).and_then(|n| n.parse().ok()).map(Timestamp::from_secs),
        id: id.clone(),
    })
}

#[async_trait]
impl Catalog for DynamoCatalog {
    async fn get(&self, kind: CatalogKind, id: &str) -> Result<Option<Record>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(kind, id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        answer.item.map(|item| from_item(kind, &item)).transpose()
    }

    async fn list_under(
        &self,
        kind: CatalogKind,
        start: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Record>, StoreError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#k = :k")
            .expression_attribute_names("#k", keys::KIND)
            .expression_attribute_values(":k", AttributeValue::S(kind.as_str().to_owned()))
            .consistent_read(true)
            .limit(i32::try_from(limit.clamp(1, 1_000)).unwrap_or(1_000));
        // DynamoDB takes no empty text in a key condition.
        if !start.is_empty() {
            query = query
                .key_condition_expression("#k = :k AND begins_with(#i, :i)")
                .expression_attribute_names("#i", keys::ID)
                .expression_attribute_values(":i", AttributeValue::S(start.to_owned()));
        }
        let from = start_key(cursor)?;
        let within = |key: &Item| {
            key.get(keys::ID).and_then(|id| id.as_s().ok()).is_some_and(|id| id.starts_with(start))
        };
        if from.as_ref().is_some_and(|key| !within(key)) {
            return Err(StoreError::Refused("the cursor is not one of this list".to_owned()));
        }
        let answer = query.set_exclusive_start_key(from).send().await.map_err(|error| store_error(&error))?;
        let records: Result<Vec<Record>, StoreError> =
            answer.items.unwrap_or_default().iter().map(|item| from_item(kind, item)).collect();
        Ok(Page { items: records?, next: answer.last_evaluated_key.as_ref().map(cursor_of) })
    }

    async fn put(&self, puts: &[Put]) -> Result<bool, StoreError> {
        let mut items = Vec::new();
        for put in puts {
            items.push(to_write(&self.table, put)?);
        }
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                    if canceled
                        .cancellation_reasons()
                        .iter()
                        .any(|reason| reason.code() == Some("ConditionalCheckFailed")) =>
                {
                    Ok(false)
                }
                _ => Err(store_error(&error)),
            },
        }
    }

    async fn delete(&self, kind: CatalogKind, id: &str) -> Result<bool, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(kind, id)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
    }
}
