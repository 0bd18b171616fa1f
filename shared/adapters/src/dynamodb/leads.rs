//! Leads, their timelines, visitors and lists on DynamoDB.

use super::{Item, catalog, cursor_of, entry_record, keys, lead_record, start_key, store_error};
use crate::config::Tables;
use crate::ports::{
    Commit, Direction, InboxLine, LeadLists, LeadStore, Page, Put as CatalogPut, StoreError, Timeline,
    Visitors,
};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, KeysAndAttributes, Put, ReturnConsumedCapacity,
    TransactWriteItem,
};
use domain::change::{Change, Entry, Event};
use domain::identity::{AnonymousId, Identity, LeadId, Slug};
use domain::lead::Lead;
use domain::time::{DAY_MS, Timestamp};

/// For how long an event waits to be fetched, in milliseconds.
const OUTBOX_MS: i64 = 7 * DAY_MS;
/// For how long a visitor's activity is kept, in milliseconds.
const VISITOR_MS: i64 = 90 * DAY_MS;
/// How many items a page of a scan reads at most; its size in bytes is limited by DynamoDB.
const SCAN_PAGE: i32 = 1_000;

/// Leads, timelines, visitors and lists on DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoLeadStore {
    pub(super) client: Client,
    pub(super) tables: Tables,
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

fn broken(error: &aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Refused(error.to_string())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Which part of a transaction an item of it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Lead,
    Identity,
    Entry(usize),
    Event,
    Catalog,
}

impl DynamoLeadStore {
    /// Makes it.
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        Self { client, tables }
    }

    fn put(table: &str, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(|error| broken(&error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn pieces(&self, change: &Change) -> Result<Vec<(Piece, TransactWriteItem)>, StoreError> {
        let lead = &change.lead;
        let mut pieces = Vec::new();
        let put = Put::builder().table_name(&self.tables.leads).set_item(Some(lead_record::to_item(lead)));
        let put = match change.expected {
            None => put.condition_expression("attribute_not_exists(lead_id)"),
            Some(version) => put
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", keys::VERSION)
                .expression_attribute_values(":v", AttributeValue::N(version.to_string())),
        };
        let put = put.build().map_err(|error| broken(&error))?;
        pieces.push((Piece::Lead, TransactWriteItem::builder().put(put).build()));
        for identity in &change.claims {
            let item = Item::from([
                (keys::IDENTITY.to_owned(), AttributeValue::S(keys::identity_key(identity))),
                (keys::LEAD_ID.to_owned(), text(lead.id.as_str())),
            ]);
            let put = Self::put(&self.tables.identities, item, Some("attribute_not_exists(#i)"));
            pieces.push((Piece::Identity, named(put?, "#i", keys::IDENTITY)));
        }
        for (at, entry) in change.entries.iter().enumerate() {
            let item = entry_record::to_item(lead.id.as_str(), entry, None);
            let put = Self::put(&self.tables.timeline, item, Some("attribute_not_exists(entry_id)"))?;
            pieces.push((Piece::Entry(at), put));
        }
        for event in &change.events {
            let recorded_at = change.entries.first().map_or(event.at, |entry| entry.recorded_at);
            let item =
                entry_record::event_to_item(&lead.id, lead.version, event, recorded_at.plus(OUTBOX_MS));
            pieces.push((Piece::Event, Self::put(&self.tables.outbox, item, None)?));
        }
        Ok(pieces)
    }

    /// Reads items by their keys, consistently; those that are not there are left out.
    async fn read(&self, table: &str, mut wanted: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::with_capacity(wanted.len());
        // What did not fit into one answer comes back as unprocessed.
        while !wanted.is_empty() {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(|error| broken(&error))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(table, request)
                .send()
                .await
                .map_err(|error| store_error(&error))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let rest = answer.unprocessed_keys.unwrap_or_default();
            wanted = rest.into_values().flat_map(|request| request.keys).collect();
        }
        Ok(found)
    }

    async fn get_many(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError> {
        let mut leads = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(100) {
            let wanted =
                chunk.iter().map(|id| Item::from([(keys::LEAD_ID.to_owned(), text(id.as_str()))])).collect();
            for item in self.read(&self.tables.leads, wanted).await? {
                leads.push(lead_record::from_item(&item).map_err(damaged)?);
            }
        }
        Ok(leads)
    }
}

/// Gives a put's condition the name that it uses.
fn named(item: TransactWriteItem, placeholder: &str, name: &str) -> TransactWriteItem {
    match item.put {
        Some(mut put) => {
            put.expression_attribute_names = Some([(placeholder.to_owned(), name.to_owned())].into());
            TransactWriteItem::builder().put(put).build()
        }
        None => item,
    }
}

fn refused(pieces: &[Piece], reasons: &[CancellationReason]) -> Commit {
    let failed: Vec<Piece> = pieces
        .iter()
        .zip(reasons)
        .filter(|(_, reason)| reason.code().is_some_and(|code| code != "None"))
        .map(|(piece, _)| *piece)
        .collect();
    let entries: Vec<usize> = failed
        .iter()
        .filter_map(|piece| if let Piece::Entry(at) = piece { Some(*at) } else { None })
        .collect();
    let conditional =
        reasons.iter().all(|r| matches!(r.code(), None | Some("None" | "ConditionalCheckFailed")));
    if conditional && entries.len() == failed.len() && !entries.is_empty() {
        Commit::Repeated(entries)
    } else {
        Commit::Conflict
    }
}

#[async_trait]
impl LeadStore for DynamoLeadStore {
    async fn owners(&self, identities: &[Identity]) -> Result<Vec<(Identity, LeadId)>, StoreError> {
        let mut keyed: Vec<(String, &Identity)> =
            identities.iter().map(|identity| (keys::identity_key(identity), identity)).collect();
        keyed.sort();
        keyed.dedup();
        let wanted =
            keyed.iter().map(|(key, _)| Item::from([(keys::IDENTITY.to_owned(), text(key))])).collect();
        let mut owners = Vec::new();
        for item in self.read(&self.tables.identities, wanted).await? {
            let get = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
            let (Some(key), Some(lead)) = (get(keys::IDENTITY), get(keys::LEAD_ID)) else {
                return Err(damaged("an identity without its lead"));
            };
            let lead = LeadId::parse(lead).map_err(damaged)?;
            owners.extend(keyed.iter().filter(|(k, _)| k == key).map(|(_, i)| ((*i).clone(), lead.clone())));
        }
        Ok(owners)
    }

    async fn owner_by_key(&self, key: &str) -> Result<Option<LeadId>, StoreError> {
        let wanted = vec![Item::from([(keys::IDENTITY.to_owned(), text(key))])];
        let Some(item) = self.read(&self.tables.identities, wanted).await?.pop() else { return Ok(None) };
        let lead = item.get(keys::LEAD_ID).and_then(|value| value.as_s().ok());
        let lead = lead.ok_or_else(|| damaged("an identity without its lead"))?;
        LeadId::parse(lead).map(Some).map_err(damaged)
    }

    async fn load(&self, ids: &[LeadId]) -> Result<Vec<Lead>, StoreError> {
        let [id] = ids else { return self.get_many(ids).await };
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.leads)
            .key(keys::LEAD_ID, text(id.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        match answer.item {
            Some(item) => Ok(vec![lead_record::from_item(&item).map_err(damaged)?]),
            None => Ok(Vec::new()),
        }
    }

    async fn commit_with(&self, change: &Change, also: &[CatalogPut]) -> Result<Commit, StoreError> {
        let mut pieces = self.pieces(change)?;
        for put in also {
            pieces.push((Piece::Catalog, catalog::to_write(&self.tables.catalog, put)?));
        }
        let (pieces, items): (Vec<Piece>, Vec<TransactWriteItem>) = pieces.into_iter().unzip();
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                units::note(&answer);
                Ok(Commit::Done)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    Ok(refused(&pieces, canceled.cancellation_reasons()))
                }
                _ => Err(store_error(&error)),
            },
        }
    }

    async fn erase(&self, lead: &Lead, event: &Event, also: &[CatalogPut]) -> Result<bool, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables.leads)
            .key(keys::LEAD_ID, text(lead.id.as_str()))
            .condition_expression("#v = :v")
            .expression_attribute_names("#v", keys::VERSION)
            .expression_attribute_values(":v", AttributeValue::N(lead.version.to_string()));
        let mut deletes = vec![delete];
        // What leads to somebody else is not this lead's to take along: after a backup its address may have a new owner.
        let owners = self.owners(&lead.identities).await?;
        for (identity, _) in owners.iter().filter(|(_, owner)| *owner == lead.id) {
            let delete = Delete::builder()
                .table_name(&self.tables.identities)
                .key(keys::IDENTITY, AttributeValue::S(keys::identity_key(identity)))
                .condition_expression("lead_id = :l")
                .expression_attribute_values(":l", text(lead.id.as_str()));
            deletes.push(delete);
        }
        let mut items = Vec::new();
        for delete in deletes {
            let delete = delete.build().map_err(|error| broken(&error))?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        let event = entry_record::event_to_item(&lead.id, lead.version + 1, event, event.at.plus(OUTBOX_MS));
        items.push(Self::put(&self.tables.outbox, event, None)?);
        for put in also {
            items.push(catalog::to_write(&self.tables.catalog, put)?);
        }
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(_)) => Ok(false),
                _ => Err(store_error(&error)),
            },
        }
    }
}

#[async_trait]
impl Timeline for DynamoLeadStore {
    async fn entries(
        &self,
        lead: &LeadId,
        direction: Direction,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.timeline)
            .key_condition_expression("lead_id = :l")
            .expression_attribute_values(":l", text(lead.as_str()))
            .scan_index_forward(direction == Direction::Forward)
            .consistent_read(true)
            .limit(i32::try_from(limit.clamp(1, 1_000)).unwrap_or(1_000))
            .set_exclusive_start_key(start_key(cursor)?)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let items = answer.items.unwrap_or_default();
        let entries: Result<Vec<Entry>, _> = items.iter().map(entry_record::from_item).collect();
        Ok(Page { items: entries.map_err(damaged)?, next: answer.last_evaluated_key.as_ref().map(cursor_of) })
    }
}

#[async_trait]
impl Visitors for DynamoLeadStore {
    async fn remember(&self, visitor: &AnonymousId, entries: &[Entry]) -> Result<(), StoreError> {
        let partition = keys::visitor_partition(visitor);
        for entry in entries {
            let item = entry_record::to_item(&partition, entry, Some(entry.recorded_at.plus(VISITOR_MS)));
            // The same delivery has the same key and the same content: writing it twice is writing it once.
            self.client
                .put_item()
                .table_name(&self.tables.timeline)
                .set_item(Some(item))
                .send()
                .await
                .map_err(|error| store_error(&error))?;
        }
        Ok(())
    }

    async fn recall(&self, visitor: &AnonymousId, most: usize) -> Result<Vec<Entry>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.timeline)
            .key_condition_expression("lead_id = :l")
            .expression_attribute_values(":l", text(&keys::visitor_partition(visitor)))
            .scan_index_forward(false)
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let mut entries: Vec<Entry> = answer
            .items
            .unwrap_or_default()
            .iter()
            .map(entry_record::from_item)
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        entries.reverse();
        Ok(entries)
    }

    async fn forget_visitor(&self, visitor: &AnonymousId) -> Result<bool, StoreError> {
        self.forget(&self.tables.timeline, &keys::visitor_partition(visitor), None).await
    }
}

/// Gives the lead that an item of an index stands for.
fn id_in_index(item: &Item) -> Result<LeadId, StoreError> {
    let id = item.get(keys::LEAD_ID).and_then(|id| id.as_s().ok()).map_or("", String::as_str);
    LeadId::parse(id).map_err(damaged)
}

impl DynamoLeadStore {
    /// Reads a page of a partition of index `inbox`.
    async fn index_inbox(
        &self,
        owner: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<InboxLine>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.leads)
            .index_name(keys::INDEX_INBOX)
            .key_condition_expression("#o = :o")
            .expression_attribute_names("#o", keys::OWNER)
            .expression_attribute_values(":o", text(owner))
            .limit(i32::try_from(limit.clamp(1, 1_000)).unwrap_or(1_000))
            .set_exclusive_start_key(start_key(cursor)?)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let lines: Result<Vec<InboxLine>, StoreError> = answer
            .items
            .unwrap_or_default()
            .iter()
            .map(|item| {
                let due = item.get(keys::PROMISE_DUE_AT).and_then(|due| due.as_n().ok());
                let due = due.and_then(|due| due.parse().ok()).ok_or_else(|| damaged("the inbox index"))?;
                Ok(InboxLine { lead: id_in_index(item)?, promise_due_at: Timestamp::from_secs(due) })
            })
            .collect();
        Ok(Page { items: lines?, next: answer.last_evaluated_key.as_ref().map(cursor_of) })
    }
}

#[async_trait]
impl LeadLists for DynamoLeadStore {
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError> {
        let answer = self
            .client
            .scan()
            .table_name(&self.tables.leads)
            .segment(i32::try_from(segment).unwrap_or(0))
            .total_segments(i32::try_from(of).unwrap_or(1))
            .limit(SCAN_PAGE)
            .set_exclusive_start_key(start_key(cursor)?)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        // A lead that cannot be read must not keep everybody else from being swept, exported or counted.
        let readable = |item: &Item| match lead_record::from_item(item) {
            Ok(lead) => Some(lead),
            Err(error) => {
                tracing::error!(error = %error, "a lead cannot be read and is left out");
                None
            }
        };
        let leads = answer.items.unwrap_or_default().iter().filter_map(readable).collect();
        Ok(Page { items: leads, next: answer.last_evaluated_key.as_ref().map(cursor_of) })
    }

    async fn due(&self, shard: u8, until: Timestamp, most: usize) -> Result<Vec<LeadId>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.leads)
            .index_name(keys::INDEX_DUE)
            .key_condition_expression("due_shard = :s AND due_at <= :u")
            .expression_attribute_values(":s", number(i64::from(shard)))
            .expression_attribute_values(":u", number(until.secs()))
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        answer.items.unwrap_or_default().iter().map(id_in_index).collect()
    }

    async fn inbox(
        &self,
        owner: &Slug,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<InboxLine>, StoreError> {
        self.index_inbox(owner.as_str(), limit, cursor).await
    }

    async fn held(&self, owner: &Slug, most: usize) -> Result<Vec<LeadId>, StoreError> {
        let page = self.index_inbox(&keys::held_for(owner), most, None).await?;
        Ok(page.items.into_iter().map(|line| line.lead).collect())
    }

    async fn about(&self) -> Result<u64, StoreError> {
        let answer = self.client.describe_table().table_name(&self.tables.leads).send().await;
        let table = answer.map_err(|error| store_error(&error))?.table;
        Ok(table.and_then(|table| table.item_count).and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    async fn put_off(&self, lead: &LeadId, due_at: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        let sent = self
            .client
            .update_item()
            .table_name(&self.tables.leads)
            .key(keys::LEAD_ID, text(lead.as_str()))
            .update_expression("SET due_at = :u")
            .condition_expression("due_at <= :d")
            .expression_attribute_values(":u", number(until.secs()))
            .expression_attribute_values(":d", number(due_at.secs()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // Somebody dealt with the lead meanwhile.
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(store_error(&error)),
        }
    }
}

/// Counts the write units that commits cost, for benchmarks and the cost command.
pub mod units {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    static COUNTED: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

    pub(super) fn note(answer: &TransactWriteItemsOutput) {
        let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        for capacity in answer.consumed_capacity() {
            let table = capacity.table_name().unwrap_or_default();
            let own = capacity.table().and_then(|c| c.capacity_units()).unwrap_or_default();
            *counted.entry(table.to_owned()).or_default() += own;
            for (index, capacity) in capacity.global_secondary_indexes().into_iter().flatten() {
                *counted.entry(format!("{table}/{index}")).or_default() +=
                    capacity.capacity_units().unwrap_or_default();
            }
        }
    }

    /// Gives what was counted since the last call, by table and by `table/index`.
    pub fn take() -> BTreeMap<String, f64> {
        std::mem::take(&mut *COUNTED.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
