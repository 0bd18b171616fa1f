//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable, Tables};

/// The configuration of `lead-capture`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The function that deletes what is left of leads.
    pub rescore: String,
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
            rescore: environment.required("RESCORE_FUNCTION")?,
        })
    }
}
