//! Queries: read into a type, and what is wrong with them told as everything else is.

use super::Problem;
use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;

/// The query of a request. Unlike axum's own, it refuses with a problem that names the parameter.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    axum::extract::Query<T>: FromRequestParts<S, Rejection = QueryRejection>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                // "Failed to deserialize query string: limit: invalid digit found in string"
                let text = rejection.body_text();
                let text = text.split_once(": ").map_or(text.as_str(), |(_, what)| what);
                match text.split_once(": ") {
                    Some((name, what)) if !name.contains(' ') => {
                        Err(Problem::fault(format!("/{name}"), what))
                    }
                    _ => Err(Problem::fault("", text)),
                }
            }
        }
    }
}
