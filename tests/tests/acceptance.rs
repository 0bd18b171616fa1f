//! What the API promises, told through its routers.
//!
//! Most of it runs in memory, in milliseconds; what depends on the database runs on DynamoDB too. Time is set, so nothing
//! waits. What cannot be shown here: API Gateway itself, the Lambda runtime, and IAM; `.ci/system` is for those.
//!
//! # Layout
//!
//! * `lead_capture/…`, `sales_feedback/…` – a module per function, each with files by subject;
//! * `campaigns` – what campaigns cost, and the report that divides deals among them;
//! * `events` – every sample event of those functions, through its router;
//! * `roles` – who may do what, held against the OpenAPI documents;
//! * `attacks` – what strangers and careless clients tried;
//! * `consent` – what links in mails do to it, and addresses that nobody may write to; `opt_in` – the mail that asks;
//! * `races`, `faults` – many at once, and a store that fails at every step;
//! * `tracking` – the pixel and the links of mails;
//! * `templates` – how letters look;
//! * `shuffled` – rows of an export in a hundred orders;
//! * `logs` – what they must not hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

#[path = "acceptance/attacks.rs"]
mod attacks;
#[path = "acceptance/campaigns.rs"]
mod campaigns;
#[path = "acceptance/consent.rs"]
mod consent;
#[path = "acceptance/events.rs"]
mod events;
#[path = "acceptance/evidence.rs"]
mod evidence;
#[path = "acceptance/faults.rs"]
mod faults;
#[path = "acceptance/lead_capture/mod.rs"]
mod lead_capture;
#[path = "acceptance/logs.rs"]
mod logs;
#[path = "acceptance/opt_in.rs"]
mod opt_in;
#[path = "acceptance/races.rs"]
mod races;
#[path = "acceptance/roles.rs"]
mod roles;
#[path = "acceptance/sales_feedback/mod.rs"]
mod sales_feedback;
#[path = "acceptance/shuffled.rs"]
mod shuffled;
#[path = "acceptance/templates.rs"]
mod templates;
#[path = "acceptance/tracking.rs"]
mod tracking;
