//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable, Tables};

/// The configuration of `segment-export`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The bucket of the files.
    pub bucket: String,
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
            bucket: environment.required("EXPORTS_BUCKET")?,
            function: environment.required("AWS_LAMBDA_FUNCTION_NAME")?,
        })
    }
}
