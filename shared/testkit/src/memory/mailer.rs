//! A mailer that remembers what it was given.

use super::lock;
use adapters::mail::Message;
use adapters::ports::{MailError, Mailer};
use async_trait::async_trait;
use domain::identity::Email;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// A mailer in memory.
#[derive(Debug, Default)]
pub struct MemoryMailer {
    taken: Mutex<Vec<Message>>,
    gone: Mutex<BTreeSet<Email>>,
}

impl MemoryMailer {
    /// Makes one that was given nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives what it was given since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *lock(&self.taken))
    }

    /// Lets there be no mailbox of an address.
    pub fn has_no(&self, address: &Email) {
        lock(&self.gone).insert(address.clone());
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        tokio::task::yield_now().await;
        if lock(&self.gone).contains(&message.to.email) {
            return Err(MailError::NoSuchMailbox("there is none".to_owned()));
        }
        lock(&self.taken).push(message.clone());
        Ok(message.id.clone())
    }
}
