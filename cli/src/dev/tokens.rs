//! One token per role, in a file that only its owner may read.

use super::DevError;
use adapters::http::{Role, Tokens};
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Makes sure that there is a token per role, known to the catalog and written to the file; gives them by role.
///
/// # Errors
///
/// [`DevError`].
pub async fn ready(tokens: &Tokens, path: &Path) -> Result<Map<String, Value>, DevError> {
    let failed = |error: std::io::Error| DevError::File(path.display().to_string(), error);
    let known: Map<String, Value> = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut all = Map::new();
    for (word, role) in Role::WORDS {
        let secret = match known.get(*word).and_then(Value::as_str) {
            Some(secret) => {
                tokens.put(secret, *role, word, None).await?;
                secret.to_owned()
            }
            None => tokens.create(*role, word, None).await?.0,
        };
        all.insert((*word).to_owned(), secret.into());
    }
    if all != known {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        file.write_all(format!("{}\n", Value::Object(all.clone())).as_bytes()).map_err(failed)?;
    }
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(failed)?;
    Ok(all)
}
