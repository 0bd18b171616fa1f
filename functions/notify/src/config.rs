//! What the function needs from its environment.

use crate::Pages;
use adapters::config::{Environment, MissingVariable, Tables};
use mail::{Settings, SettingsError};
use thiserror::Error;

/// The configuration of `notify`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The address of the queue of what people are told.
    pub queue: String,
    /// The address of the queue of what could not be told.
    pub dead_letters: String,
    /// How mails are sent; none where they are off.
    pub mail: Option<Settings>,
    /// Where links lead.
    pub pages: Pages,
}

/// Says what the environment lacks.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A variable.
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// What mails need.
    #[error(transparent)]
    Mail(#[from] SettingsError),
}

impl Config {
    /// Reads it from the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            tables: Tables::from_environment(environment)?,
            queue: environment.required("NOTICES_QUEUE")?,
            dead_letters: environment.required("NOTIFY_DEAD_LETTERS")?,
            mail: Settings::from_environment(environment)?,
            pages: Pages::new(environment.optional("PUBLIC_BASE_URL"), environment.optional("LEAD_PAGE_URL")),
        })
    }
}
