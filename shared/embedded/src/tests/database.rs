use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem};

use super::TEMPLATE;
use crate::{ACCESS_KEY, CreateTablesError, Database, DatabaseError, FolderError, REGION, SECRET_KEY};
use crate::{Template, create_tables};

fn client(database: &Database) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(database.endpoint())
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "local"))
        .build();
    Client::from_conf(config)
}

async fn with_tables(database: &Database, with_streams: bool) -> Client {
    let client = client(database);
    let template = Template::parse(TEMPLATE).unwrap();
    create_tables(&client, &template.tables, str::to_owned, with_streams).await.unwrap();
    client
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A lead that is due in shard 3.
fn lead(id: &str, due_at: i64) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("lead_id".to_owned(), text(id)),
        ("due_shard".to_owned(), number(3)),
        ("due_at".to_owned(), number(due_at)),
        ("stage".to_owned(), text("nurturing")),
    ])
}

async fn put(client: &Client, id: &str) {
    client.put_item().table_name("Leads").set_item(Some(lead(id, 1))).send().await.unwrap();
}

async fn exists(client: &Client, id: &str) -> bool {
    let answer = client.get_item().table_name("Leads").key("lead_id", text(id)).send().await.unwrap();
    answer.item.is_some()
}

/// Writes a lead that must be new.
fn new_lead(id: &str) -> TransactWriteItem {
    let put = Put::builder()
        .table_name("Leads")
        .set_item(Some(lead(id, 1)))
        .condition_expression("attribute_not_exists(lead_id)")
        .build()
        .unwrap();
    TransactWriteItem::builder().put(put).build()
}

#[tokio::test]
async fn tables_are_made_once_and_found_again() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, false).await;
    put(&client, "l-1").await;
    with_tables(&database, false).await;
    assert!(exists(&client, "l-1").await);
    let stored = client.describe_table().table_name("Outbox").send().await.unwrap().table.unwrap();
    assert!(stored.stream_specification.is_none(), "streams were not asked for");

    with_tables(&database, true).await;
    let stored = client.describe_table().table_name("Outbox").send().await.unwrap().table.unwrap();
    assert_eq!(stored.stream_specification.map(|stream| stream.stream_enabled), Some(true));
}

#[tokio::test]
async fn an_older_database_gets_the_indexes_that_the_template_has_since() {
    let database = Database::in_memory().unwrap();
    let client = client(&database);
    let template = Template::parse(TEMPLATE).unwrap();
    let mut older = template.tables.clone();
    older[0].indexes.clear();
    older[0].attributes.retain(|attribute| attribute.attribute_name() == "lead_id");
    create_tables(&client, &older, str::to_owned, false).await.unwrap();
    put(&client, "l-1").await;

    create_tables(&client, &template.tables, str::to_owned, false).await.unwrap();
    assert_eq!(due(&client, 10).await, ["l-1"], "the new index holds what was there before");
}

#[tokio::test]
async fn a_table_with_another_key_is_an_error() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, false).await;
    let mut tables = Template::parse(TEMPLATE).unwrap().tables;
    tables[0].key_schema = tables[1].key_schema.clone();
    tables[0].attributes = tables[1].attributes.clone();
    tables[0].indexes.clear();
    let error = create_tables(&client, &tables, str::to_owned, false).await.unwrap_err();
    assert!(
        matches!(&error, CreateTablesError::Differs { table, what } if table == "Leads" && what == "key"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_named_in_the_error() {
    let database = Database::in_memory().unwrap();
    let client = client(&database);
    database.shutdown().await;
    let tables = Template::parse(TEMPLATE).unwrap().tables;
    let error = create_tables(&client, &tables, str::to_owned, false).await.unwrap_err();
    assert!(
        error.to_string().starts_with("table Leads: ") && error.to_string().contains("onnect"),
        "{error}"
    );
}

/// The ids of the leads of shard 3 that are due by a time.
async fn due(client: &Client, by: i64) -> Vec<String> {
    let answer = client
        .query()
        .table_name("Leads")
        .index_name("due")
        .key_condition_expression("due_shard = :shard AND due_at <= :by")
        .expression_attribute_values(":shard", number(3))
        .expression_attribute_values(":by", number(by))
        .send()
        .await
        .unwrap();
    answer
        .items()
        .iter()
        .map(|item| {
            assert!(!item.contains_key("stage"), "the index projects keys only");
            item["lead_id"].as_s().unwrap().clone()
        })
        .collect()
}

#[tokio::test]
async fn an_index_answers_in_order_of_its_sort_key() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, false).await;
    for (id, due_at) in [("late", 30), ("soon", 9), ("next", 20)] {
        client.put_item().table_name("Leads").set_item(Some(lead(id, due_at))).send().await.unwrap();
    }
    assert_eq!(due(&client, 25).await, ["soon", "next"], "as numbers, not as text");
}

#[tokio::test]
async fn a_transaction_that_is_cancelled_says_which_item_is_why() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, false).await;
    put(&client, "taken").await;
    let error = client
        .transact_write_items()
        .transact_items(new_lead("free"))
        .transact_items(new_lead("taken"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("{error}")
    };
    let codes: Vec<_> =
        cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert!(!exists(&client, "free").await, "all or nothing");
}

#[tokio::test]
async fn a_transaction_sent_again_with_its_token_is_done_once() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, false).await;
    let send = |id: &str| {
        client
            .transact_write_items()
            .client_request_token("one-delivery")
            .transact_items(new_lead(id))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
    };
    let first = send("l-1").await.unwrap();
    let again = send("l-1").await.unwrap();
    // Two units for the table, being in a transaction, and one for the index.
    assert_eq!(first.consumed_capacity()[0].write_capacity_units(), Some(3.0));
    assert_eq!(again.consumed_capacity()[0].write_capacity_units(), None, "a repeat is billed as a read");
    assert_eq!(again.consumed_capacity()[0].read_capacity_units(), Some(2.0));
    let other = send("l-2").await.unwrap_err().into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception(), "{other}");
}

#[tokio::test]
async fn two_databases_in_memory_know_nothing_of_each_other() {
    let (one, other) = (Database::in_memory().unwrap(), Database::in_memory().unwrap());
    assert_ne!(one.endpoint(), other.endpoint());
    let (one_client, other_client) = (with_tables(&one, false).await, with_tables(&other, false).await);
    put(&one_client, "l-1").await;
    assert!(!exists(&other_client, "l-1").await);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/by/open");
    let database = Database::open(&folder).unwrap();
    let client = with_tables(&database, false).await;
    put(&client, "l-1").await;
    database.shutdown().await;
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(
        !files.iter().any(|file| file.to_string_lossy().ends_with("-wal")),
        "the log is merged: {files:?}"
    );

    let database = Database::open(&folder).unwrap();
    assert!(exists(&with_tables(&database, false).await, "l-1").await);
    drop(database);
    Database::open(&folder).expect("dropping frees the folder as shutting down does");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    let client = with_tables(&database, false).await;
    put(&client, "l-1").await;

    // What a process leaves behind that is killed now: its files as they are, and the log's index lost with it. The log
    // ends in half a record, as if a write had been under way.
    let crashed = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    copy("dynamodb.sqlite");
    assert!(copy("dynamodb.sqlite-wal") > 0, "the write is in the log only");
    let log = std::fs::File::options().append(true).open(crashed.path().join("dynamodb.sqlite-wal")).unwrap();
    std::io::Write::write_all(&mut &log, &[7; 1000]).unwrap();

    let survivor = Database::open(crashed.path()).unwrap();
    assert!(exists(&with_tables(&survivor, false).await, "l-1").await);
}

#[tokio::test]
async fn a_damaged_file_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    std::fs::write(&file, "these are not the bytes of a database, not even of a small one").unwrap();
    let Err(error) = Database::open(folder.path()) else { panic!("a text is no database") };
    assert!(matches!(error, DatabaseError::Unreadable { .. }));
    let expected = format!(
        "the database {} cannot be read; put a good copy in its place, or delete it to start empty",
        file.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(std::fs::read(&file).unwrap()[..5], *b"these", "the damaged file is left as it was");
}

#[tokio::test]
async fn a_file_that_lost_its_end_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    with_tables(&database, false).await;
    database.shutdown().await;
    let file = std::fs::File::options().write(true).open(folder.path().join("dynamodb.sqlite")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(matches!(Database::open(folder.path()), Err(DatabaseError::Unreadable { .. })));
}

#[test]
fn a_folder_that_cannot_be_used_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let unusable = |path: &Path| match Database::open(path) {
        Err(DatabaseError::Folder(error @ FolderError::Unusable { .. })) => error.to_string(),
        _ => panic!("{} is no folder", path.display()),
    };
    assert!(unusable(&file).starts_with(&format!("the folder {} cannot be used: ", file.display())));
    assert!(unusable(&file.join("below")).contains("Not a directory"));
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Database::open(folder.path()).unwrap();
    let second = Database::open(folder.path());
    assert!(matches!(second, Err(DatabaseError::Folder(FolderError::InUse { .. }))));
    drop(first);
    Database::open(folder.path()).unwrap();
}

#[tokio::test]
async fn what_has_expired_goes_when_it_is_swept() {
    let database = Database::in_memory().unwrap();
    let client = with_tables(&database, true).await;
    for (entry, expires_at) in [("old", 1_000_000_000), ("new", 9_000_000_000_i64)] {
        client
            .put_item()
            .table_name("Outbox")
            .item("lead_id", text("l-1"))
            .item("entry_id", text(entry))
            .item("expires_at", number(expires_at))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(client.scan().table_name("Outbox").send().await.unwrap().count(), 2);
    // DynamoDB, and this engine after it, does not expire what is more than five years past: so that an old unit of
    // time, taken for seconds, deletes nothing.
    assert_eq!(database.sweep_ttl().await.unwrap(), 1);
    assert_eq!(client.scan().table_name("Outbox").send().await.unwrap().count(), 1);
}

#[tokio::test]
async fn many_connections_are_served_at_once() {
    let database = Database::in_memory().unwrap();
    let client = Arc::new(with_tables(&database, false).await);
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..300 {
        let client = Arc::clone(&client);
        writes.spawn(async move { put(&client, &format!("l-{n}")).await });
    }
    writes.join_all().await;
    let stored = client
        .scan()
        .table_name("Leads")
        .select(aws_sdk_dynamodb::types::Select::Count)
        .send()
        .await
        .unwrap();
    assert_eq!(stored.count(), 300);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    let address = database.endpoint().strip_prefix("http://").unwrap().to_owned();
    let mut half = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut half, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        .unwrap();
    database.shutdown().await;
    Database::open(folder.path()).unwrap();
}
