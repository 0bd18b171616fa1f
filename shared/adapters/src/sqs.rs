//! Queues on SQS.

use crate::ports::{MessageHolder, MessageSender, MessageTaker, StoreError, Taken};
use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

/// For how long a message that was taken is hidden from others, in seconds.
const HIDDEN_S: i32 = 60;
/// The longest that SQS hides a message, in seconds.
const LONGEST_S: u32 = 12 * 60 * 60;

/// Builds the client.
#[must_use]
pub fn client(config: &aws_config::SdkConfig) -> Client {
    Client::new(config)
}

/// A queue on SQS.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Makes it from the queue's address.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

fn busy(what: &str) -> StoreError {
    StoreError::Busy(format!("{what} got no answer from SQS"))
}

#[async_trait]
impl MessageSender for SqsQueue {
    async fn send(&self, messages: &[String]) -> Result<Vec<usize>, StoreError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(message);
            entries.push(entry.build().map_err(|error| StoreError::Refused(error.to_string()))?);
        }
        let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send();
        let answer = sent.await.map_err(|_| busy("sending"))?;
        let taken = |at: &usize| answer.successful().iter().any(|entry| entry.id() == at.to_string());
        // Whatever is not said to have been taken was not.
        Ok((0..messages.len()).filter(|at| !taken(at)).collect())
    }
}

#[async_trait]
impl MessageHolder for SqsQueue {
    async fn hold(&self, receipt: &str, seconds: u32) -> Result<(), StoreError> {
        let seconds = i32::try_from(seconds.min(LONGEST_S)).unwrap_or(0);
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(receipt).visibility_timeout(seconds).send();
        change.await.map(|_| ()).map_err(|_| busy("holding a message"))
    }
}

#[async_trait]
impl MessageTaker for SqsQueue {
    async fn take(&self) -> Result<Vec<Taken>, StoreError> {
        let asked = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        // A short wait asks all of SQS's servers; without one an answer may be empty although there are messages.
        let answer = asked.wait_time_seconds(1).visibility_timeout(HIDDEN_S).send().await;
        let messages = answer.map_err(|_| busy("taking messages"))?.messages.unwrap_or_default();
        let taken = |message: aws_sdk_sqs::types::Message| {
            Some(Taken { receipt: message.receipt_handle?, body: message.body.unwrap_or_default() })
        };
        Ok(messages.into_iter().filter_map(taken).collect())
    }

    async fn remove(&self, receipt: &str) -> Result<(), StoreError> {
        let removed = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send();
        removed.await.map(|_| ()).map_err(|_| busy("removing a message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use serde_json::{Value, json};
    use testkit::{Manner, Receiver};

    fn queue(aws: &Receiver) -> SqsQueue {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(&aws.url)
            .retry_config(RetryConfig::disabled())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        SqsQueue::new(Client::from_conf(config), "https://sqs.example/1/deliveries")
    }

    fn heard(aws: &Receiver) -> Value {
        let [heard] = aws.take().try_into().unwrap();
        serde_json::from_str(&heard.body).unwrap()
    }

    #[tokio::test]
    async fn each_message_that_sqs_does_not_take_is_named() {
        let taken = |id: &str| json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "x" });
        let failed = json!([{ "Id": "1", "Code": "InternalError", "SenderFault": false }]);
        let answer = json!({ "Successful": [taken("0"), taken("2")], "Failed": failed });
        let aws = Receiver::start(Manner::Replies(200, answer.to_string())).await;
        let messages = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(queue(&aws).send(&messages).await.unwrap(), [1]);
        let sent = heard(&aws);
        assert_eq!(sent["Entries"][2]["MessageBody"], "c");
        aws.now(Manner::Replies(200, json!({ "Successful": [], "Failed": [] }).to_string()));
        assert_eq!(
            queue(&aws).send(&messages).await.unwrap(),
            [0, 1, 2],
            "not said to be taken is not taken"
        );
        aws.now(Manner::Replies(500, "{}".to_owned()));
        assert!(queue(&aws).send(&messages).await.unwrap_err().may_retry());
    }

    #[tokio::test]
    async fn a_message_is_held_for_no_longer_than_sqs_allows() {
        let aws = Receiver::start(Manner::Replies(200, "{}".to_owned())).await;
        queue(&aws).hold("receipt", 7_200).await.unwrap();
        let asked = heard(&aws);
        assert_eq!(
            (&asked["ReceiptHandle"], &asked["VisibilityTimeout"]),
            (&json!("receipt"), &json!(7_200))
        );
        queue(&aws).hold("receipt", 100_000).await.unwrap();
        assert_eq!(heard(&aws)["VisibilityTimeout"], 43_200);
    }

    #[tokio::test]
    async fn messages_are_taken_with_what_removes_them() {
        let answer = json!({ "Messages": [{ "MessageId": "m", "ReceiptHandle": "r", "Body": "hello" }] });
        let aws = Receiver::start(Manner::Replies(200, answer.to_string())).await;
        let taken = queue(&aws).take().await.unwrap();
        assert_eq!(taken, [Taken { receipt: "r".to_owned(), body: "hello".to_owned() }]);
        drop(aws.take());
        queue(&aws).remove("r").await.unwrap();
        assert_eq!(heard(&aws)["ReceiptHandle"], "r");
        aws.now(Manner::Replies(200, "{}".to_owned()));
        assert!(queue(&aws).take().await.unwrap().is_empty());
    }
}
