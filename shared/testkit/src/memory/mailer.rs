//! A mailer that remembers what it was given.

use super::lock;
use adapters::mail::Message;
use adapters::ports::{MailError, Mailer};
use async_trait::async_trait;
use std::sync::Mutex;

/// A mailer in memory.
#[derive(Debug, Default)]
pub struct MemoryMailer(Mutex<Vec<Message>>);

impl MemoryMailer {
    /// Makes one that was given nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives what it was given since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        tokio::task::yield_now().await;
        lock(&self.0).push(message.clone());
        Ok(message.id.clone())
    }
}
