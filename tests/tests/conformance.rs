//! The store contract, kept by the fake and by the database, so that the fake cannot lie.
//!
//! With `LEADLOOP_TEST_ENDPOINT` set, the same runs against the DynamoDB that answers there.

mod memory {
    testkit::store_contract!(testkit::contract::Ports::in_memory());
}

mod dynamodb {
    testkit::store_contract!(testkit::contract::Ports::on_dynamo());
}
