//! The environment, read once.

use std::collections::BTreeMap;
use thiserror::Error;

/// Says which variable of the environment is missing.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the environment variable {0} is not set; template.yaml sets it")]
pub struct MissingVariable(pub &'static str);

/// The environment as it was when the process started.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the environment of the process.
    #[must_use]
    pub fn read() -> Self {
        Self(std::env::vars().collect())
    }

    /// Makes an environment for a test.
    #[must_use]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Gives a variable that must be set.
    ///
    /// # Errors
    ///
    /// [`MissingVariable`] where it is not set or empty.
    pub fn required(&self, name: &'static str) -> Result<String, MissingVariable> {
        self.optional(name).ok_or(MissingVariable(name))
    }

    /// Gives a variable if it is set and not empty.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// The names of the five tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// One item per lead.
    pub leads: String,
    /// The facts.
    pub timeline: String,
    /// Who owns which identity.
    pub identities: String,
    /// Playbooks, people, tokens, jobs.
    pub catalog: String,
    /// Events on their way out.
    pub outbox: String,
}

impl Tables {
    /// Reads the names from the environment.
    ///
    /// # Errors
    ///
    /// [`MissingVariable`] for the first that is not set.
    pub fn from_environment(environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self {
            leads: environment.required("LEADS_TABLE")?,
            timeline: environment.required("TIMELINE_TABLE")?,
            identities: environment.required("IDENTITIES_TABLE")?,
            catalog: environment.required("CATALOG_TABLE")?,
            outbox: environment.required("OUTBOX_TABLE")?,
        })
    }

    /// Gives the plain names that `leadloop dev` and the tests use.
    #[must_use]
    pub fn plain() -> Self {
        let name = str::to_owned;
        Self {
            leads: name("Leads"),
            timeline: name("Timeline"),
            identities: name("Identities"),
            catalog: name("Catalog"),
            outbox: name("Outbox"),
        }
    }
}
