//! The database of a benchmark, and the way to it.

use crate::Failure;
use adapters::clock::{Clock, SystemClock};
use adapters::config::Tables;
use adapters::dynamodb::{DynamoCatalog, DynamoLeadStore, lead_record};
use adapters::http::{Role, Tokens, split};
use adapters::playbooks::Playbooks;
use adapters::ports::Catalog;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Intercept, Region};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, StatusCode};
use domain::lead::Lead;
use embedded::{ACCESS_KEY, Database, REGION, SECRET_KEY, Template, create_tables};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tower::ServiceExt;

/// The token with which benchmarks call; the database is gone when they end.
pub(crate) const TOKEN: &str = "a-token-for-benchmarks";

/// The active playbook version.
pub(crate) const VERSION: u32 = 2;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs an empty database with the template's tables, the starter playbook and a token until standard input ends, and
/// says on one line where it is. The active playbook is version 2, so that a sweep can find leads that are behind it.
pub(crate) async fn serve() -> Result<(), Failure> {
    let database = Database::in_memory()?;
    let world = World::at(database.endpoint());
    let template = Template::read(&root().join("template.yaml"))?;
    create_tables(&world.client, &template.tables, str::to_owned, false).await?;
    let playbooks = Playbooks::new(Arc::clone(&world.catalog), Arc::clone(&world.clock));
    let starter = playbook::yaml::read(&std::fs::read_to_string(root().join("playbooks/b2b-starter.yaml"))?)?;
    let mut earlier = starter.clone();
    if let Some(name) = earlier.get_mut("name") {
        *name = json!("Before the starter");
    }
    for document in [&earlier, &starter] {
        playbooks.add(document, "benchmarks", None).await?.map_err(|faults| format!("{faults:?}"))?;
    }
    playbooks.activate_first(VERSION, "benches").await?;
    let tokens = Tokens::new(Arc::clone(&world.catalog), Arc::clone(&world.clock));
    tokens.put(TOKEN, Role::Admin, "benchmarks", None).await?;
    println!("{}", json!({"endpoint": database.endpoint(), "pid": std::process::id(), "token": TOKEN}));
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    database.shutdown().await;
    Ok(())
}

/// A database in a process of its own, which ends with the handle.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)?;
        let endpoint = said.get("endpoint").and_then(Value::as_str).ok_or("no endpoint")?;
        Ok(Self { child, endpoint: endpoint.to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if self.child.wait().is_err() {
            println!("the database did not end");
        }
    }
}

fn config(endpoint: &str) -> Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "benchmarks"))
}

/// The stores on a database.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) store: Arc<DynamoLeadStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl World {
    pub(crate) fn at(endpoint: &str) -> Self {
        Self::with(config(endpoint))
    }

    /// The same, where somebody looks at each request and its answer.
    pub(crate) fn watched(endpoint: &str, by: impl Intercept + 'static) -> Self {
        Self::with(config(endpoint).interceptor(by))
    }

    fn with(config: Builder) -> Self {
        let (client, tables) = (Client::from_conf(config.build()), Tables::plain());
        Self {
            store: Arc::new(DynamoLeadStore::new(client.clone(), tables.clone())),
            catalog: Arc::new(DynamoCatalog::new(client.clone(), tables.catalog)),
            clock: Arc::new(SystemClock),
            client,
        }
    }

    /// Puts leads into the table, new ones or over what is there, without transactions: see `embedded::database`.
    pub(crate) async fn put(&self, leads: &[Lead]) -> Result<(), Failure> {
        let table = Tables::plain().leads;
        for batch in leads.chunks(25) {
            let mut puts = Vec::with_capacity(batch.len());
            for lead in batch {
                let put = PutRequest::builder().set_item(Some(lead_record::to_item(lead))).build()?;
                puts.push(WriteRequest::builder().put_request(put).build());
            }
            let answer = self.client.batch_write_item().request_items(&table, puts).send().await?;
            if answer.unprocessed_items().is_some_and(|rest| !rest.is_empty()) {
                return Err("the database did not take all".into());
            }
        }
        Ok(())
    }

    /// The routes of `lead-capture`.
    pub(crate) fn capture(&self) -> Router {
        let (store, catalog, clock) =
            (Arc::clone(&self.store), Arc::clone(&self.catalog), Arc::clone(&self.clock));
        split(lead_capture::router(lead_capture::App::new(store, catalog, clock))).0
    }
}

/// Makes a request with a body of JSON and the token.
pub(crate) fn post(path: &str, body: &Value) -> Result<Request<Body>, Failure> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {TOKEN}"));
    Ok(request.body(Body::from(body.to_string()))?)
}

/// Sends a request to a router and gives the answer, which must be a success.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Result<(StatusCode, Bytes), Failure> {
    let (parts, body) = router.clone().oneshot(request).await?.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    if parts.status.is_success() {
        Ok((parts.status, body))
    } else {
        Err(format!("{}: {}", parts.status, String::from_utf8_lossy(&body)).into())
    }
}
