//! `leadloop`: everything on one machine, and the operator's commands.

use adapters::config::Environment;
use clap::Parser;
use leadloop::Command;
use std::process::ExitCode;

/// Leadloop: captures, scores, hands off and learns from leads. Without a command it starts `leadloop dev`.
#[derive(Debug, Parser)]
#[command(name = "leadloop", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let environment = Environment::read();
    leadloop::run(arguments.command.unwrap_or_default(), &environment).await
}
