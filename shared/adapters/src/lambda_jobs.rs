//! Jobs that a function starts by invoking itself once more, so that its answer does not wait for them.

use crate::ports::{JobStarter, StoreError};
use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::{Value, json};

/// Invokes a function with `{"job": "…"}` and does not wait.
#[derive(Clone, Debug)]
pub struct LambdaJobStarter {
    client: Client,
    function: String,
}

impl LambdaJobStarter {
    /// Makes it; `function` is the name that Lambda gives in `AWS_LAMBDA_FUNCTION_NAME`.
    #[must_use]
    pub fn new(client: Client, function: impl Into<String>) -> Self {
        Self { client, function: function.into() }
    }
}

#[async_trait]
impl JobStarter for LambdaJobStarter {
    async fn start(&self, job: &str) -> Result<(), StoreError> {
        self.client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(json!({ "job": job }).to_string()))
            .send()
            .await
            .map(|_| ())
            .map_err(|_| StoreError::Busy("the job could not be started".to_owned()))
    }
}

/// Gives the job of an event that a function sent to itself; `None` for any other event.
#[must_use]
pub fn job_of(event: &Value) -> Option<&str> {
    let map = event.as_object()?;
    map.get("job").filter(|_| map.len() == 1)?.as_str()
}
