//! DynamoDB for one test.
//!
//! By default that is an embedded one in memory, which ends with the handle. Where `LEADLOOP_TEST_ENDPOINT` is set, it is
//! the one that answers there (credentials as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` say, or made-up ones), and
//! each test gets tables of its own, which are left behind: the suite is the same, so it can hold the embedded database
//! against the real one.

use crate::memory::{Outbox, SentEvent};
use adapters::config::{Environment, Tables};
use adapters::dynamodb::{DynamoCatalog, DynamoLeadStore, keys};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::identity::LeadId;
use embedded::{Database, Template, create_tables};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that names another DynamoDB.
const ENDPOINT: &str = "LEADLOOP_TEST_ENDPOINT";

/// Gives the root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::read(&root().join("template.yaml")).expect("the template can be read"))
}

/// A DynamoDB with the tables of the template.
#[derive(Debug)]
pub struct Dynamo {
    /// The client.
    pub client: Client,
    /// The names of the tables.
    pub tables: Tables,
    /// Dropped last: until then the client has somebody to talk to.
    _database: Option<Database>,
}

impl Dynamo {
    /// Makes the tables in an empty database.
    pub async fn start() -> Self {
        let environment = Environment::read();
        match environment.optional(ENDPOINT) {
            None => {
                let database = Database::in_memory().expect("the database starts");
                let client = client(database.endpoint(), embedded::ACCESS_KEY, embedded::SECRET_KEY);
                Self::with_tables(client, "", Some(database)).await
            }
            Some(endpoint) => {
                static COUNT: AtomicU32 = AtomicU32::new(0);
                let of = |name, or: &str| environment.optional(name).unwrap_or_else(|| or.to_owned());
                let (key, secret) = (of("AWS_ACCESS_KEY_ID", "test"), of("AWS_SECRET_ACCESS_KEY", "test"));
                let count = COUNT.fetch_add(1, Ordering::Relaxed);
                let prefix = format!("test-{}-{count}-", std::process::id());
                Self::with_tables(client(&endpoint, &key, &secret), &prefix, None).await
            }
        }
    }

    async fn with_tables(client: Client, prefix: &str, database: Option<Database>) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        create_tables(&client, &template().tables, name, false).await.expect("the tables can be made");
        let plain = Tables::plain();
        let tables = Tables {
            leads: name(&plain.leads),
            timeline: name(&plain.timeline),
            identities: name(&plain.identities),
            catalog: name(&plain.catalog),
            outbox: name(&plain.outbox),
        };
        Self { client, tables, _database: database }
    }

    /// Gives the store of leads.
    #[must_use]
    pub fn leads(&self) -> DynamoLeadStore {
        DynamoLeadStore::new(self.client.clone(), self.tables.clone())
    }

    /// Gives the catalog.
    #[must_use]
    pub fn catalog(&self) -> DynamoCatalog {
        DynamoCatalog::new(self.client.clone(), self.tables.catalog.clone())
    }

    /// Gives every item of a table.
    pub async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let scan =
                self.client.scan().table_name(table).consistent_read(true).set_exclusive_start_key(start);
            let answer = scan.send().await.expect("the table can be scanned");
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }
}

fn client(endpoint: &str, key: &str, secret: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(embedded::REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

#[async_trait]
impl Outbox for Dynamo {
    async fn sent(&self) -> Vec<SentEvent> {
        let mut sent: Vec<SentEvent> = self
            .items(&self.tables.outbox)
            .await
            .iter()
            .map(|item| SentEvent {
                lead: LeadId::parse(item[keys::LEAD_ID].as_s().unwrap()).unwrap(),
                version: item[keys::OUTBOX_VERSION].as_n().unwrap().parse().unwrap(),
                id: item[keys::ENTRY_ID].as_s().unwrap().clone(),
                kind: item[keys::KIND].as_s().unwrap().clone(),
            })
            .collect();
        sent.sort_by(|a, b| (&a.lead, &a.id).cmp(&(&b.lead, &b.id)));
        sent
    }
}
