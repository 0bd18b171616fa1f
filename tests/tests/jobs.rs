//! What runs by itself and what takes longer than a caller waits: rescoring, sweeps, exports, reports; and the
//! playbook's routes that start some of it; and what happened, on its way to other systems.
//!
//! On the memory store, the last one on the embedded database; with a set clock. What cannot be shown here: the scheduler, the state machine and S3, which
//! `.ci/system` is for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

mod jobs {
    pub(crate) mod addresses;
    pub(crate) mod agreement;
    pub(crate) mod attacks;
    pub(crate) mod content;
    pub(crate) mod crm;
    pub(crate) mod erasure;
    pub(crate) mod export;
    pub(crate) mod funnel;
    pub(crate) mod kept;
    pub(crate) mod learning;
    pub(crate) mod mail;
    pub(crate) mod nurture;
    pub(crate) mod nurture_report;
    pub(crate) mod nurture_year;
    pub(crate) mod personas;
    pub(crate) mod playbook;
    pub(crate) mod promises;
    pub(crate) mod release;
    pub(crate) mod report;
    pub(crate) mod rescore;
    pub(crate) mod routing;
    pub(crate) mod said;
    pub(crate) mod segments;
    pub(crate) mod setting;
    pub(crate) mod thirty_days;
    pub(crate) mod told;
    pub(crate) mod webhooks;
}
