//! A token for each role.

use adapters::clock::Clock;
use adapters::http::{Role, Tokens};
use adapters::ports::{Catalog, StoreError};
use std::sync::Arc;

/// The secrets of one token per role. The sales token belongs to `at-1`, a person of both test playbooks; the others
/// belong to nobody's inbox.
#[derive(Clone, Debug)]
pub struct RoleTokens {
    /// May do everything.
    pub admin: String,
    /// Marketing.
    pub marketing: String,
    /// Sales, as the person `at-1`.
    pub sales: String,
    /// A site or an app.
    pub capture: String,
}

impl RoleTokens {
    /// Makes the four tokens.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let tokens = Tokens::new(catalog, clock);
        let make = async |role, holder| tokens.create(role, holder, None).await.map(|(secret, _)| secret);
        Ok(Self {
            admin: make(Role::Admin, "operator").await?,
            marketing: make(Role::Marketing, "mia").await?,
            sales: make(Role::Sales, "at-1").await?,
            capture: make(Role::Capture, "site").await?,
        })
    }

    /// Gives the token of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Admin => &self.admin,
            Role::Marketing => &self.marketing,
            Role::Sales => &self.sales,
            Role::Capture => &self.capture,
        }
    }
}
