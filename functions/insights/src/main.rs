//! The Lambda `insights`.
fn main() {}
