//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable, Tables};

/// The configuration of `deliver`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables: webhooks, and the leads that CRMs are told of.
    pub tables: Tables,
    /// The address of the queue of messages.
    pub queue: String,
    /// The address of the queue of those that were set aside.
    pub dead_letters: String,
    /// How this installation calls itself in its events.
    pub source: String,
    /// Whether messages may go to this machine itself: never on AWS, where the template sets no value.
    pub loopback: bool,
}

impl Config {
    /// Reads it from the environment.
    ///
    /// # Errors
    ///
    /// [`MissingVariable`].
    pub fn from_environment(environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self {
            tables: Tables::from_environment(environment)?,
            queue: environment.required("DELIVERIES_QUEUE")?,
            dead_letters: environment.required("DELIVERIES_DEAD_LETTERS")?,
            source: environment.required("EVENT_SOURCE")?,
            loopback: environment.optional("WEBHOOKS_TO_LOOPBACK").as_deref() == Some("yes"),
        })
    }
}
