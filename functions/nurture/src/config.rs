//! What the function needs from its environment.

use crate::rate::USUAL;
use adapters::config::{Environment, MissingVariable, Tables};
use mail::{Settings, SettingsError};
use thiserror::Error;

/// The configuration of `nurture`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// How mails are sent; none where they are off.
    pub mail: Option<Settings>,
    /// How many mails a second may go: below what the account may send.
    pub mails_per_second: u32,
    /// Where the API is reached from outside; without it no mail goes to a lead, since nobody could unsubscribe from it.
    pub base: Option<String>,
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
    /// A rate that is none.
    #[error("MAILS_PER_SECOND is no whole number from 1 to 1000")]
    Rate,
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
            mail: Settings::from_environment(environment)?,
            mails_per_second: match environment.optional("MAILS_PER_SECOND") {
                None => USUAL,
                Some(text) => {
                    text.parse().ok().filter(|n| (1..=1_000).contains(n)).ok_or(ConfigError::Rate)?
                }
            },
            base: environment.optional("PUBLIC_BASE_URL"),
        })
    }
}
