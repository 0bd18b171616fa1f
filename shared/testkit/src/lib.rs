//! What tests stand on: fakes, failing wrappers, builders, and the contract that every store must keep.
//!
//! The fakes are checked against the database by one suite, so that they cannot lie; whatever a fake cannot show is said
//! where it is defined. Real, fake and failing implementation share a stem: `LeadStore`, `DynamoLeadStore`,
//! `MemoryLeadStore`, `FailingLeadStore`.
//!
//! # Layout
//!
//! * [`memory`] – the ports in memory: [`MemoryLeadStore`], [`MemoryCatalog`], [`MemoryFiles`], [`MemoryJobStarter`],
//!   [`MemoryEventBus`], [`MemoryMailer`];
//! * [`failing`] – wrappers that throttle, lose races and lose answers, as a test tells them to;
//! * [`builders`] – a lead, a fact, a playbook, in one line each;
//! * [`dynamo`] – DynamoDB for one test, with the tables of `template.yaml`;
//! * [`receiver`] – a receiver of webhooks, well-behaved or not;
//! * [`tokens`] – a token for each role;
//! * [`contract`] – the suite.
//!
//! # The invariant not to break
//!
//! Nothing that runs in production depends on this crate; it depends on no function.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests call this, and a panic is how a test says that something is wrong"
)]

pub mod builders;
pub mod contract;
pub mod dynamo;
pub mod failing;
pub mod memory;
pub mod receiver;
pub mod tokens;

pub use builders::{a_lead, starter_playbook, test_playbook, time};
pub use dynamo::Dynamo;
pub use failing::{
    FailingCatalog, FailingEventBus, FailingLeadStore, FailingMailer, FailingQueue, Failure, Failures,
};
pub use memory::{
    MemoryCatalog, MemoryEventBus, MemoryFiles, MemoryJobStarter, MemoryLeadStore, MemoryMailer, Outbox,
    SentEvent,
};
pub use receiver::{Heard, Manner, Receiver, Said, Service};
pub use tokens::RoleTokens;
