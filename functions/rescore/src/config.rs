//! What the function needs from its environment.

use adapters::config::{Environment, MissingVariable, Tables};

/// The configuration of `rescore`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The ARN of the state machine that sweeps.
    pub state_machine: String,
    /// The function whose backtests, suggestions and reports are started once more when their worker died.
    pub insights: String,
    /// The one whose exports are.
    pub export: String,
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
            state_machine: environment.required("SWEEP_STATE_MACHINE")?,
            insights: environment.required("INSIGHTS_FUNCTION")?,
            export: environment.required("EXPORT_FUNCTION")?,
        })
    }
}
