//! `leadloop`, the command.
//!
//! # Layout
//!
//! * [`dev`] – the whole product on one machine;
//! * [`import`] – leads, feedback, evidence and content from files, through the API;
//! * [`agreement`] – playbooks from the file to the two keys, and what they would have done;
//! * [`webhooks`] – how receivers of events do, and what was set aside for them;
//! * [`api`] – the API as these commands call it;
//! * [`bootstrap`] – makes a fresh stack usable;
//! * [`openapi`] – the API's description, from the code;
//! * [`starter`] – the starter playbook and the people it names.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command: what it prints is its answer"
)]

pub mod agreement;
pub mod api;
pub mod bootstrap;
pub mod dev;
pub mod import;
pub mod openapi;
pub mod starter;
pub mod webhooks;

use adapters::config::Environment;
use clap::Subcommand;
use std::process::ExitCode;

/// What `leadloop` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs everything on this machine: API, DynamoDB, S3, schedules.
    Dev(dev::Arguments),
    /// Imports leads, feedback, content or evidence about a persona from a file through the API.
    Import {
        /// What the file holds.
        #[command(subcommand)]
        what: import::What,
    },
    /// Makes a freshly deployed stack usable: the starter playbook and the first admin token.
    Bootstrap(bootstrap::Arguments),
    /// Writes, tests, signs and activates playbooks.
    Playbook {
        /// What to do.
        #[command(subcommand)]
        what: agreement::What,
    },
    /// Lets the leads that an import of history made ready go to sales, best first, as many a day as it can answer.
    GoLive(api::Where),
    /// Looks after the receivers of events.
    Webhooks {
        /// What to do.
        #[command(subcommand)]
        what: webhooks::What,
    },
    /// Prints the API's description, OpenAPI 3.1.
    Openapi,
}

impl Default for Command {
    fn default() -> Self {
        Self::Dev(dev::Arguments::default())
    }
}

/// Runs a command. What goes wrong is one clear line on standard error, and exit code 1.
pub async fn run(command: Command, environment: &Environment) -> ExitCode {
    let done = match command {
        Command::Dev(arguments) => dev::run(arguments, environment).await.map_err(|error| error.to_string()),
        Command::Import { what } => import::run(what, environment).await.map_err(|error| error.to_string()),
        Command::Bootstrap(arguments) => bootstrap::run(arguments).await.map_err(|error| error.to_string()),
        Command::Playbook { what } => agreement::run(what, environment).await.map_err(|e| e.to_string()),
        Command::GoLive(place) => agreement::go_live(&place, environment).await.map_err(|e| e.to_string()),
        Command::Webhooks { what } => webhooks::run(what, environment).await.map_err(|e| e.to_string()),
        Command::Openapi => {
            println!("{}", openapi::document());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leadloop: {error}");
            ExitCode::FAILURE
        }
    }
}
