//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable};

/// The configuration of `dispatch`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The table of webhooks.
    pub catalog: String,
    /// The bus that every event goes to.
    pub bus: String,
    /// The address of the queue of webhooks' messages.
    pub queue: String,
    /// The address of the queue of records that cannot be read.
    pub dead_letters: String,
    /// How this installation calls itself in its events.
    pub source: String,
}

impl Config {
    /// Reads it from the environment.
    ///
    /// # Errors
    ///
    /// [`MissingVariable`].
    pub fn from_environment(environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self {
            catalog: environment.required("CATALOG_TABLE")?,
            bus: environment.required("EVENT_BUS")?,
            queue: environment.required("DELIVERIES_QUEUE")?,
            dead_letters: environment.required("DISPATCH_DEAD_LETTERS")?,
            source: environment.required("EVENT_SOURCE")?,
        })
    }
}
