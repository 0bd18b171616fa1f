//! Benchmarks of the goals in docs/performance.md, which says how each is run and what came out.
//!
//! Each prints a line of figures and asserts no time: machines are shared. CPU time is the kernel's own count of the
//! process; the database always runs in a process of its own, so that none of its time is counted as ours.
//!
//! # Layout
//!
//! * this file – the commands;
//! * `score` – P1; `sweep` – P2; `items` – P3; `due` – P4; `mails` – P4, for mails; `units` – P5; `capture` – P6 and P8; `scans` – P8;
//! * `world` – the database, and what is in it; `cpu` – what a process used;
//! * `bin/hello.rs` – an empty function, for P7; `cold.py` measures it and ours under AWS's emulator;
//! * `scan.py` – reads every lead with boto3, for P2;
//! * `rounds.py` – runs ours and what a user would pick instead in turns, on one database;
//! * `scoring.yaml` – thirty rules.

#![allow(clippy::print_stdout, reason = "what a benchmark is for is its figures on standard output")]

mod capture;
mod cpu;
mod due;
mod items;
mod mails;
mod scans;
mod score;
mod sweep;
mod units;
mod world;

/// Whatever keeps a benchmark from going on; there is nobody to handle it.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "benches score FILE [PASSES]
benches serve
benches items [ENDPOINT]
benches units [ENDPOINT]
benches capture ENDPOINT SERVER_PID REQUESTS
benches fill ENDPOINT LEADS
benches report ENDPOINT
benches preview ENDPOINT
benches export ENDPOINT FOLDER [last]
benches sweep ENDPOINT [BEHIND]
benches due LEADS DAYS
benches mails LEADS DUE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["score", file] => score::run(file, 5),
        ["score", file, passes] => score::run(file, passes.parse()?),
        ["serve"] => world::serve().await,
        ["items"] => items::run(&world::Server::start()?.endpoint).await,
        ["items", endpoint] => items::run(endpoint).await,
        ["units"] => units::run(&world::Server::start()?.endpoint).await,
        ["units", endpoint] => units::run(endpoint).await,
        ["capture", endpoint, pid, requests] => capture::run(endpoint, pid.parse()?, requests.parse()?).await,
        ["fill", endpoint, leads] => scans::fill(endpoint, leads.parse()?).await,
        ["report", endpoint] => scans::report(endpoint).await,
        ["preview", endpoint] => scans::preview(endpoint).await,
        ["export", endpoint, folder] => scans::export(endpoint, folder, "nothing").await,
        ["export", endpoint, folder, since] => scans::export(endpoint, folder, since).await,
        ["sweep", endpoint] => sweep::run(endpoint, 0).await,
        ["sweep", endpoint, behind] => sweep::run(endpoint, behind.parse()?).await,
        ["due", leads, days] => {
            due::run(&world::Server::start()?.endpoint, leads.parse()?, days.parse()?).await
        }
        ["mails", leads, due] => {
            mails::run(&world::Server::start()?.endpoint, leads.parse()?, due.parse()?).await
        }
        _ => Err(USAGE.into()),
    }
}
