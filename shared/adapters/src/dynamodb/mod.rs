//! The ports on DynamoDB.
//!
//! # Layout
//!
//! * [`keys`] – every key and prefix, spelled once.
//! * [`lead_record`], [`entry_record`] – what items look like; `item`, `document`, `moves`, `packed` – what these are written with.
//! * [`leads`] – leads, timelines, visitors, lists.
//! * [`catalog`] – the catalog.
//! * [`stream`] – records of the outbox's stream.
//! * this file – the client, and what its errors mean.

pub mod catalog;
mod document;
pub mod entry_record;
mod item;
pub mod keys;
pub mod lead_record;
pub mod leads;
mod moves;
mod nurture_record;
mod packed;
mod remains;
pub mod stream;

use crate::ports::StoreError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

pub use catalog::DynamoCatalog;
pub use leads::DynamoLeadStore;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// Reads the AWS configuration of the process: region, credentials, and `AWS_ENDPOINT_URL` where it is set.
pub async fn sdk_config() -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await
}

/// Builds the client and opens its connection, which belongs into a Lambda's init, where the CPU is full. Every function
/// may read the catalog.
pub async fn connect(config: &aws_config::SdkConfig, catalog: &str) -> Client {
    let client = Client::new(config);
    // Any answer will do, also an error: the connection stands, the credentials are resolved.
    let warmed = client
        .get_item()
        .table_name(catalog)
        .key(keys::KIND, AttributeValue::S("warm-up".to_owned()))
        .key(keys::ID, AttributeValue::S("warm-up".to_owned()))
        .send()
        .await;
    if let Err(error) = warmed {
        tracing::debug!(code = error.code(), "the warm-up read failed");
    }
    client
}

/// Says what an SDK error means for the caller; it never carries an item.
pub(crate) fn store_error<E>(error: &SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let code = error.code().unwrap_or("no code");
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            StoreError::Busy("no answer from DynamoDB".to_owned())
        }
        _ => match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "TransactionCanceledException" => StoreError::Busy(code.to_owned()),
            _ => StoreError::Refused(code.to_owned()),
        },
    }
}

/// Writes a key as an opaque cursor.
pub(crate) fn cursor_of(key: &Item) -> String {
    let pairs: std::collections::BTreeMap<&str, serde_json::Value> = key
        .iter()
        .filter_map(|(name, value)| match value {
            AttributeValue::S(text) => Some((name.as_str(), serde_json::json!({ "S": text }))),
            AttributeValue::N(number) => Some((name.as_str(), serde_json::json!({ "N": number }))),
            _ => None,
        })
        .collect();
    let json = serde_json::to_vec(&pairs).unwrap_or_default();
    data_encoding::BASE64URL_NOPAD.encode(&json)
}

/// Reads a cursor back; `None` where it is none of ours.
pub(crate) fn key_of(cursor: &str) -> Option<Item> {
    let json = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let pairs: HashMap<String, HashMap<String, String>> = serde_json::from_slice(&json).ok()?;
    pairs
        .into_iter()
        .map(|(name, value)| {
            let (kind, text) = value.into_iter().next()?;
            let value = match kind.as_str() {
                "S" => AttributeValue::S(text),
                "N" => AttributeValue::N(text),
                _ => return None,
            };
            Some((name, value))
        })
        .collect()
}

/// Refuses a cursor that is none of ours.
pub(crate) fn start_key(cursor: Option<&str>) -> Result<Option<Item>, StoreError> {
    match cursor {
        None => Ok(None),
        Some(cursor) => key_of(cursor)
            .map(Some)
            .ok_or_else(|| StoreError::Refused("the cursor is not one of this list".to_owned())),
    }
}
