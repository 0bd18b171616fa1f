//! Mails as files: what `leadloop dev` does instead of sending.
//!
//! A mail's file is named by its id, so that the same mail a second time is no second file.

use crate::mime;
use adapters::mail::Message;
use adapters::ports::{MailError, Mailer};
use async_trait::async_trait;
use std::path::PathBuf;

/// Writes mails into a folder.
#[derive(Clone, Debug)]
pub struct FolderMailer(PathBuf);

impl FolderMailer {
    /// Makes it; the folder is made with the first mail.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        let bytes = mime::write(message)?.formatted();
        let name = format!("{}.eml", message.id);
        let (whole, part) = (self.0.join(&name), self.0.join(format!("{name}.part")));
        let write = async {
            tokio::fs::create_dir_all(&self.0).await?;
            tokio::fs::write(&part, bytes).await?;
            // A reader finds all of it or nothing.
            tokio::fs::rename(&part, &whole).await
        };
        write.await.map_err(|error| MailError::NotNow(format!("its file cannot be written: {error}")))?;
        Ok(name)
    }
}
