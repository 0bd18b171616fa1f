//! Makes the template's tables in a database, through the SDK.
//!
//! It goes through the SDK, and not through the engine's own functions, so that the very same requests could be sent to
//! DynamoDB: a key schema that AWS would refuse is refused here. A database that is opened again may be older than the
//! template, so what exists is compared: what is missing is added (a table, an index, a time to live, a stream), and what
//! cannot be changed in DynamoDB either (a key, an index's projection) is an error that says so. What the template no
//! longer has is left alone.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate, Projection,
    StreamSpecification, StreamViewType, TableDescription, TableStatus, TimeToLiveSpecification,
    TimeToLiveStatus,
};

use crate::template::TableDefinition;

/// How often and how long to ask whether a table is ready: ten seconds in all. dynoxide is at the first.
const POLLS: u32 = 200;
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Why the tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTablesError {
    /// The database refused a request or did not answer.
    #[error("table {table}: {}", DisplayErrorContext(source))]
    Refused {
        /// The table's name in the database.
        table: String,
        /// What the SDK reported.
        source: Box<aws_sdk_dynamodb::Error>,
    },
    /// The table exists with another shape, and DynamoDB has no way to change that.
    #[error(
        "table {table} was made with another {what} than the template has; delete the database to start anew"
    )]
    Differs {
        /// The table's name in the database.
        table: String,
        /// What differs, such as "key".
        what: String,
    },
    /// The table was accepted and did not become ready within ten seconds.
    #[error("table {table} did not become active within ten seconds")]
    NotActive {
        /// The table's name in the database.
        table: String,
    },
}

/// Makes the tables that are missing, and brings those that exist up to the template.
///
/// `name` turns a definition's short name (`Leads`) into the table's name in the database. Calling it again changes
/// nothing. Without `with_streams` no table gets its stream: in dynoxide a write becomes slower the more records its
/// table's stream holds, and nothing trims them.
///
/// # Errors
///
/// Where a request fails, or a table exists with a shape that cannot be changed.
pub async fn create_tables(
    client: &Client,
    tables: &[TableDefinition],
    name: impl Fn(&str) -> String,
    with_streams: bool,
) -> Result<(), CreateTablesError> {
    for definition in tables {
        let table = name(&definition.name);
        let stream = definition.stream.clone().filter(|_| with_streams);
        Creation { client, definition, table: &table, stream }.run().await?;
    }
    Ok(())
}

/// One table on its way into the database.
struct Creation<'a> {
    client: &'a Client,
    definition: &'a TableDefinition,
    table: &'a str,
    stream: Option<StreamViewType>,
}

impl Creation<'_> {
    async fn run(&self) -> Result<(), CreateTablesError> {
        match self.describe().await? {
            None => self.create().await?,
            Some(stored) => self.update(&stored).await?,
        }
        self.enable_ttl().await
    }

    async fn create(&self) -> Result<(), CreateTablesError> {
        let definition = self.definition;
        let indexes = Some(definition.indexes.clone()).filter(|indexes| !indexes.is_empty());
        self.client
            .create_table()
            .table_name(self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(definition.key_schema.clone()))
            .set_attribute_definitions(Some(definition.attributes.clone()))
            .set_global_secondary_indexes(indexes)
            .set_stream_specification(self.stream_specification()?)
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        self.active().await
    }

    async fn update(&self, stored: &TableDescription) -> Result<(), CreateTablesError> {
        let definition = self.definition;
        if stored.key_schema() != definition.key_schema {
            return Err(self.differs("key"));
        }
        for attribute in &definition.attributes {
            let name = attribute.attribute_name();
            let before = stored.attribute_definitions().iter().find(|one| one.attribute_name() == name);
            if before.is_some_and(|before| before != attribute) {
                return Err(self.differs(&format!("type of attribute {name}")));
            }
        }
        for index in &definition.indexes {
            let name = index.index_name();
            let before = stored.global_secondary_indexes().iter().find(|one| one.index_name() == Some(name));
            match before {
                None => self.add_index(index).await?,
                Some(before) => {
                    let same = before.key_schema() == index.key_schema()
                        && projected(before.projection()) == projected(index.projection());
                    if !same {
                        return Err(self.differs(&format!("index {name}")));
                    }
                }
            }
        }
        let streams = stored.stream_specification().is_some_and(|stream| stream.stream_enabled());
        if let Some(specification) = self.stream_specification()?
            && !streams
        {
            self.client
                .update_table()
                .table_name(self.table)
                .stream_specification(specification)
                .send()
                .await
                .map_err(|error| self.refused(error))?;
            self.active().await?;
        }
        Ok(())
    }

    async fn add_index(
        &self,
        index: &aws_sdk_dynamodb::types::GlobalSecondaryIndex,
    ) -> Result<(), CreateTablesError> {
        let action = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.index_name())
            .set_key_schema(Some(index.key_schema().to_vec()))
            .set_projection(index.projection().cloned())
            .build()
            .map_err(|error| self.refused(error))?;
        self.client
            .update_table()
            .table_name(self.table)
            .set_attribute_definitions(Some(self.definition.attributes.clone()))
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(action).build())
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        self.active().await
    }

    async fn enable_ttl(&self) -> Result<(), CreateTablesError> {
        let Some(attribute) = &self.definition.ttl_attribute else { return Ok(()) };
        let stored = self
            .client
            .describe_time_to_live()
            .table_name(self.table)
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        if let Some(stored) = stored.time_to_live_description()
            && stored.time_to_live_status() == Some(&TimeToLiveStatus::Enabled)
        {
            return match stored.attribute_name() == Some(attribute) {
                true => Ok(()),
                false => Err(self.differs("time-to-live attribute")),
            };
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build()
            .map_err(|error| self.refused(error))?;
        self.client
            .update_time_to_live()
            .table_name(self.table)
            .time_to_live_specification(specification)
            .send()
            .await
            .map_err(|error| self.refused(error))?;
        Ok(())
    }

    /// Waits until the table takes requests.
    async fn active(&self) -> Result<(), CreateTablesError> {
        for _ in 0..POLLS {
            let stored = self.describe().await?;
            if stored.is_some_and(|stored| stored.table_status() == Some(&TableStatus::Active)) {
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Err(CreateTablesError::NotActive { table: self.table.to_owned() })
    }

    async fn describe(&self) -> Result<Option<TableDescription>, CreateTablesError> {
        match self.client.describe_table().table_name(self.table).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    fn stream_specification(&self) -> Result<Option<StreamSpecification>, CreateTablesError> {
        let Some(view) = &self.stream else { return Ok(None) };
        StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(view.clone())
            .build()
            .map(Some)
            .map_err(|error| self.refused(error))
    }

    fn refused(&self, source: impl Into<aws_sdk_dynamodb::Error>) -> CreateTablesError {
        CreateTablesError::Refused { table: self.table.to_owned(), source: Box::new(source.into()) }
    }

    fn differs(&self, what: &str) -> CreateTablesError {
        CreateTablesError::Differs { table: self.table.to_owned(), what: what.to_owned() }
    }
}

/// What an index projects, in a form in which equal means the same: attributes have no order.
fn projected(projection: Option<&Projection>) -> Option<(String, BTreeSet<&str>)> {
    let projection = projection?;
    let attributes = projection.non_key_attributes().iter().map(String::as_str).collect();
    Some((projection.projection_type()?.to_string(), attributes))
}
