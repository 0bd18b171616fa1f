//! The crate's tests: the real SDK against the real services, over the loopback interface.
//!
//! They prove that requests are understood and data kept. They do not prove that DynamoDB and S3 answer the same: for
//! that, the conformance tests run against a deployed stack.

mod database;
mod files;
mod template;

/// A template as small as the tests need it, with CloudFormation's short tags in every form.
const TEMPLATE: &str = include_str!("tests/template.yaml");
