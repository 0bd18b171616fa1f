//! The fake and the database keep the same promises, so that the fake cannot lie.
//!
//! First the store contract, promise by promise; then stories that nobody chose, told to the API on both, which must
//! answer the same and end the same; and the files of exports, in memory and on S3. With `LEADLOOP_TEST_ENDPOINT` set, the database is the DynamoDB that answers there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

#[path = "conformance/files.rs"]
mod files;
#[path = "conformance/stories.rs"]
mod stories;

mod memory {
    testkit::store_contract!(testkit::contract::Ports::in_memory());
}

mod dynamodb {
    testkit::store_contract!(testkit::contract::Ports::on_dynamo());
}
