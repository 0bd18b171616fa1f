//! What is left of a lead that is gone, deleted from DynamoDB.
//!
//! Only keys are read, and deleted in batches. What a batch did not get to is still there when it is looked again.

use super::{DynamoLeadStore, Item, cursor_of, keys, start_key, store_error};
use crate::ports::{Remains, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use domain::change::EventKind;
use domain::identity::LeadId;

/// How many keys are read at a time.
const KEYS: i32 = 100;
/// How many items DynamoDB deletes at once, at most.
const BATCH: usize = 25;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

impl DynamoLeadStore {
    /// Deletes items of a partition that are none of `but`'s kind, and tells whether there may be more.
    pub(super) async fn forget(
        &self,
        table: &str,
        partition: &str,
        but: Option<EventKind>,
    ) -> Result<bool, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(table)
            .key_condition_expression("lead_id = :l")
            .expression_attribute_values(":l", text(partition))
            .projection_expression("#l, #e, #k")
            .expression_attribute_names("#l", keys::LEAD_ID)
            .expression_attribute_names("#e", keys::ENTRY_ID)
            .expression_attribute_names("#k", keys::KIND)
            .consistent_read(true)
            .limit(KEYS)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let more = answer.last_evaluated_key.is_some();
        let kind_of = |item: &Item| item.get(keys::KIND).and_then(|kind| kind.as_s().ok()).cloned();
        let stays = |item: &Item| but.is_some_and(|but| kind_of(item).as_deref() == Some(but.as_str()));
        let mut found = answer.items.unwrap_or_default();
        found.retain(|item| !stays(item));
        for item in &mut found {
            item.retain(|name, _| name == keys::LEAD_ID || name == keys::ENTRY_ID);
        }
        Ok(self.delete_all(table, found).await? || more)
    }

    /// Deletes items by their keys, and tells whether some were not got to.
    async fn delete_all(&self, table: &str, found: Vec<Item>) -> Result<bool, StoreError> {
        let mut more = false;
        for batch in found.chunks(BATCH) {
            let requests: Result<Vec<WriteRequest>, _> = batch
                .iter()
                .map(|key| DeleteRequest::builder().set_key(Some(key.clone())).build())
                .map(|delete| delete.map(|delete| WriteRequest::builder().delete_request(delete).build()))
                .collect();
            let requests = requests.map_err(|error| StoreError::Refused(error.to_string()))?;
            let answer = self
                .client
                .batch_write_item()
                .request_items(table, requests)
                .send()
                .await
                .map_err(|error| store_error(&error))?;
            more |= answer.unprocessed_items.is_some_and(|left| !left.is_empty());
        }
        Ok(more)
    }
}

#[async_trait]
impl Remains for DynamoLeadStore {
    async fn forget_entries(&self, lead: &LeadId) -> Result<bool, StoreError> {
        self.forget(&self.tables.timeline, lead.as_str(), None).await
    }

    async fn forget_events(&self, lead: &LeadId) -> Result<bool, StoreError> {
        self.forget(&self.tables.outbox, lead.as_str(), Some(EventKind::Erased)).await
    }

    async fn forget_identities(
        &self,
        lead: &LeadId,
        cursor: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let answer = self
            .client
            .scan()
            .table_name(&self.tables.identities)
            .filter_expression("lead_id = :l")
            .expression_attribute_values(":l", text(lead.as_str()))
            .projection_expression("#i")
            .expression_attribute_names("#i", keys::IDENTITY)
            .consistent_read(true)
            .set_exclusive_start_key(start_key(cursor)?)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let next = answer.last_evaluated_key.as_ref().map(cursor_of);
        if self.delete_all(&self.tables.identities, answer.items.unwrap_or_default()).await? {
            return Err(StoreError::Busy("identities are still to be deleted".to_owned()));
        }
        Ok(next)
    }
}
