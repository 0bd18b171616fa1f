//! What `lead-capture` promises.

mod activities;
mod consent;
mod erasure;
mod forms;
mod identity;
mod leads;
mod page_activity;
