//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable, Tables};

/// The configuration of `insights`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The function's own name, by which it starts its jobs.
    pub function: String,
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
            function: environment.required("AWS_LAMBDA_FUNCTION_NAME")?,
        })
    }
}
