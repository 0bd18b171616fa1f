//! Makes a fresh stack usable, with the operator's own AWS credentials: the starter playbook, its people, and the
//! first admin token, each written only where there is none.

use crate::starter;
use adapters::clock::SystemClock;
use adapters::dynamodb::DynamoCatalog;
use adapters::http::{Role, Tokens};
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, StoreError};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// The arguments of `leadloop bootstrap`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The name of the CloudFormation stack.
    #[arg(long)]
    stack: String,
    /// A playbook to start with, instead of the starter.
    #[arg(long)]
    playbook: Option<PathBuf>,
}

/// Says why a stack was not made usable.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The stack could not be read.
    #[error("the stack {0} cannot be read: {1}; is the name right, and are AWS credentials and region set?")]
    Stack(String, String),
    /// The stack is not one of ours.
    #[error("the stack {0} has no output {1}; is it Leadloop's?")]
    Output(String, &'static str),
    /// The playbook could not be loaded.
    #[error(transparent)]
    Load(#[from] starter::LoadError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a stack usable and prints its first admin token.
///
/// # Errors
///
/// [`BootstrapError`].
pub async fn run(arguments: Arguments) -> Result<(), BootstrapError> {
    let config = adapters::dynamodb::sdk_config().await;
    let stacks = aws_sdk_cloudformation::Client::new(&config);
    let unreadable = |error: String| BootstrapError::Stack(arguments.stack.clone(), error);
    let answer = stacks.describe_stacks().stack_name(&arguments.stack).send().await.map_err(|error| {
        use aws_sdk_cloudformation::error::ProvideErrorMetadata;
        unreadable(error.message().or(error.code()).unwrap_or("no answer").to_owned())
    })?;
    let stack = answer.stacks().first().ok_or_else(|| unreadable("there is none".to_owned()))?;
    let output = |name: &'static str| {
        let found = stack.outputs().iter().find(|output| output.output_key() == Some(name));
        found
            .and_then(|output| output.output_value())
            .map(str::to_owned)
            .ok_or_else(|| BootstrapError::Output(arguments.stack.clone(), name))
    };
    let (table, url) = (output("CatalogTable")?, output("ApiUrl")?);
    let client = aws_sdk_dynamodb::Client::new(&config);
    let catalog: Arc<dyn Catalog> = Arc::new(DynamoCatalog::new(client, table));
    let clock = Arc::new(SystemClock);
    let playbooks = Playbooks::new(Arc::clone(&catalog), clock.clone());
    let version = starter::load(&catalog, &playbooks, arguments.playbook.as_deref()).await?;
    println!("API       {url}");
    println!("playbook  version {version} is active");
    let tokens = Tokens::new(catalog, clock);
    if tokens.list().await?.iter().any(|token| token.role == Role::Admin) {
        println!("token     an admin token exists already; POST /v1/tokens makes more");
        return Ok(());
    }
    let (secret, _) = tokens.create(Role::Admin, "bootstrap", None).await?;
    println!("token     the first admin token, shown this once: {secret}");
    Ok(())
}
