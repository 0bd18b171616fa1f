//! Tokens and roles.
//!
//! A token is random, shown once and stored only as a hash. Every route takes a [`Caller`] of the roles that may use
//! it; a handler without one is public, and a test holds the list of those. `admin` may do everything.

use super::Problem;
use crate::clock::{Clock, fresh_secret};
use crate::ports::{Catalog, CatalogKind, Put, StoreError};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::{header, request::Parts};
use domain::time::{SECOND_MS, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// For how long a token that was looked up is believed, in milliseconds; so long one that was deleted may still work.
pub const TOKEN_CACHE_MS: i64 = 30 * SECOND_MS;
/// The most tokens that are remembered at a time.
const MOST_CACHED: usize = 1_000;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sends leads and activities: a site, an app.
    Capture,
    /// Marketing.
    Marketing,
    /// Sales.
    Sales,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("capture", Self::Capture),
        ("marketing", Self::Marketing),
        ("sales", Self::Sales),
        ("admin", Self::Admin),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, role)| *role == self).map_or("", |(word, _)| word)
    }
}

/// A token, as it is stored: without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id, made from its hash.
    pub id: String,
    /// What it may do.
    pub role: Role,
    /// The person or system that it belongs to.
    pub holder: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it no longer works.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Gives it as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "role": self.role.as_str(),
            "holder": self.holder,
            "created_at": self.created_at.to_string(),
            "expires_at": self.expires_at.map(|at| at.to_string()),
        })
    }

    fn read(id: &str, body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let role = text("role")?;
        Some(Self {
            id: id.to_owned(),
            role: Role::WORDS.iter().find(|(word, _)| *word == role)?.1,
            holder: text("holder")?.to_owned(),
            created_at: text("created_at").and_then(Timestamp::parse)?,
            expires_at: text("expires_at").and_then(Timestamp::parse),
        })
    }
}

fn id_of(secret: &str) -> String {
    // 128 of the 256 bits; whoever reads them cannot go back to the token.
    data_encoding::HEXLOWER.encode(&Sha256::digest(secret.as_bytes())).chars().take(32).collect()
}

/// Makes, finds and deletes tokens.
#[derive(Debug)]
pub struct Tokens {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    cache: Mutex<HashMap<String, (Option<Token>, Timestamp)>>,
}

impl Tokens {
    /// Makes it with an empty cache.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, cache: Mutex::default() }
    }

    /// Makes a token and gives the secret, which nobody will see again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create(
        &self,
        role: Role,
        holder: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(String, Token), StoreError> {
        let random = data_encoding::BASE64URL_NOPAD.encode(&fresh_secret());
        let secret = format!("ll_{}_{random}", role.as_str());
        let token = self.put(&secret, role, holder, expires_at).await?;
        Ok((secret, token))
    }

    /// Makes a token known whose secret somebody else chose.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put(
        &self,
        secret: &str,
        role: Role,
        holder: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<Token, StoreError> {
        let token = Token {
            id: id_of(secret),
            role,
            holder: holder.to_owned(),
            created_at: self.clock.now(),
            expires_at,
        };
        let mut put = Put::new(CatalogKind::Token, token.id.clone(), token.to_json());
        put.force = true;
        self.catalog.put(&[put]).await?;
        Ok(token)
    }

    /// Finds the token behind a secret.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find(&self, secret: &str) -> Result<Option<Token>, StoreError> {
        let (now, id) = (self.clock.now(), id_of(secret));
        let alive = |token: &Token| token.expires_at.is_none_or(|at| at > now);
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((token, read)) = cache.get(&id)
                && (0..TOKEN_CACHE_MS).contains(&now.since(*read))
            {
                return Ok(token.clone().filter(alive));
            }
        }
        let record = self.catalog.get(CatalogKind::Token, &id).await?;
        let token = record.and_then(|record| Token::read(&record.id, &record.body));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MOST_CACHED {
            cache.clear();
        }
        // A token that is not there is not remembered: it may be made the next moment.
        if token.is_some() {
            cache.insert(id, (token.clone(), now));
        }
        Ok(token.filter(alive))
    }

    /// Lists all tokens.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let (mut tokens, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.catalog.list(CatalogKind::Token, 100, cursor.as_deref()).await?;
            tokens.extend(page.items.iter().filter_map(|record| Token::read(&record.id, &record.body)));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(tokens);
            }
        }
    }

    /// Deletes a token; `false` where there was none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        let deleted = self.catalog.delete(CatalogKind::Token, id).await?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(deleted)
    }
}

/// The roles that may call a route.
pub trait Allowed: Send + Sync {
    /// Those besides `admin`.
    const ROLES: &'static [Role];
}

macro_rules! allowed {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),*];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Allowed for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),*];
        }
    )*};
}

allowed! {
    /// Only admins.
    Admins = [];
    /// Sites and apps.
    Capturing = [Capture];
    /// Marketing.
    MarketingOnly = [Marketing];
    /// Sales.
    SalesOnly = [Sales];
    /// Marketing and sales.
    MarketingAndSales = [Marketing, Sales];
}

/// Who calls: extracted from the token, for a route that the roles of `A` may call.
#[derive(Clone, Debug)]
pub struct Caller<A> {
    /// The token.
    pub token: Token,
    allowed: PhantomData<A>,
}

impl<A> Caller<A> {
    /// Names the caller in facts: the token's holder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.token.holder
    }
}

impl<S, A> FromRequestParts<S> for Caller<A>
where
    S: Send + Sync,
    A: Allowed,
    Arc<Tokens>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tokens = Arc::<Tokens>::from_ref(state);
        let secret = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| secret.trim());
        let Some(secret) = secret.filter(|secret| secret.len() <= 200) else {
            return Err(Problem::unauthorized());
        };
        let Some(token) = tokens.find(secret).await? else { return Err(Problem::unauthorized()) };
        if token.role != Role::Admin && !A::ROLES.contains(&token.role) {
            let mut may: Vec<&str> = A::ROLES.iter().map(|role| role.as_str()).collect();
            may.push(Role::Admin.as_str());
            let role = token.role.as_str();
            return Err(Problem::forbidden(format!(
                "a {role} token may not do this; {} may",
                may.join(" or ")
            )));
        }
        Ok(Self { token, allowed: PhantomData })
    }
}
