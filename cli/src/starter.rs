//! The starter playbook and the people it names, built into the command so that a fresh stack has something to start
//! from; and the check of a playbook file.

use adapters::http::Problem;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, CatalogKind, Put, StoreError};
use domain::identity::Slug;
use domain::playbook::Playbook;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// The starter playbook.
pub const PLAYBOOK: &str = include_str!("../../playbooks/b2b-starter.yaml");
/// The people whom it names; placeholders to be edited.
pub const PEOPLE: &str = include_str!("../../playbooks/b2b-starter.people.yaml");

/// Says why a playbook could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// It is not YAML.
    #[error("{0} is not YAML: {1}")]
    NotYaml(String, String),
    /// It is not a playbook.
    #[error("{0} has {n} to mend:\n{1}", n = faults(.1))]
    Invalid(String, String),
    /// The reader and the published schema differ about it.
    #[error(
        "{0} can be read, but the published schema takes it for wrong, which is a fault of Leadloop:\n{1}"
    )]
    Schema(String, String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn faults(lines: &str) -> String {
    match lines.lines().count() {
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    }
}

/// Reads a playbook's document from a file and makes sure that it is one.
///
/// # Errors
///
/// [`LoadError`] with every fault.
pub fn read(file: &Path) -> Result<Value, LoadError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| LoadError::Unreadable(name.clone(), error))?;
    document(&name, &text)
}

fn document(name: &str, text: &str) -> Result<Value, LoadError> {
    let document = playbook::yaml::read(text).map_err(|error| LoadError::NotYaml(name.to_owned(), error))?;
    match Playbook::parse(&document) {
        Ok(_) => Ok(document),
        Err(faults) => {
            let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
            Err(LoadError::Invalid(name.to_owned(), lines.join("\n")))
        }
    }
}

/// Checks a playbook file, by the reader and then by the published schema, and says what it holds.
///
/// # Errors
///
/// [`LoadError`] with every fault.
pub fn check(file: &Path) -> Result<(), LoadError> {
    let document = read(file)?;
    by_schema(&file.display().to_string(), &document)?;
    let Ok(playbook) = Playbook::parse(&document) else { return Ok(()) };
    let rules = playbook.fit.iter().map(|g| g.rules.len()).sum::<usize>()
        + playbook.engagement.iter().map(|g| g.rules.len()).sum::<usize>();
    println!(
        "{} is valid: {} signals, {rules} scoring rules, {} territories, {} forms, {} segments",
        file.display(),
        playbook.signals.len(),
        playbook.territories.len(),
        playbook.forms.len(),
        playbook.segments.len()
    );
    Ok(())
}

/// Holds a playbook that can be read to the schema by which editors check it: what one takes, the other has to.
fn by_schema(name: &str, document: &Value) -> Result<(), LoadError> {
    let wrong = |lines: Vec<String>| LoadError::Schema(name.to_owned(), lines.join("\n"));
    let schema: Value = serde_json::from_str(playbook::SCHEMA).map_err(|e| wrong(vec![format!("  {e}")]))?;
    let validator = jsonschema::draft202012::new(&schema).map_err(|e| wrong(vec![format!("  {e}")]))?;
    let faults: Vec<String> =
        validator.iter_errors(document).map(|error| format!("  {} {error}", error.instance_path())).collect();
    if faults.is_empty() { Ok(()) } else { Err(wrong(faults)) }
}

/// Makes a playbook active where none is, with a record for everybody it names; gives the number of the active one.
///
/// # Errors
///
/// [`LoadError`].
pub async fn load(
    catalog: &Arc<dyn Catalog>,
    playbooks: &Playbooks,
    own: Option<&Path>,
) -> Result<u32, LoadError> {
    if let Some(active) = playbooks.pointer().await? {
        return Ok(active.number);
    }
    let document = match own {
        Some(file) => read(file)?,
        None => document("the starter playbook", PLAYBOOK)?,
    };
    people(catalog, &document).await?;
    let stored = playbooks.add(&document, "leadloop", None).await?;
    let stored = stored.map_err(|_| LoadError::Invalid("the playbook".to_owned(), String::new()))?;
    playbooks.activate_first(stored.number, "leadloop").await?;
    Ok(stored.number)
}

/// Writes a record for everybody whom the playbook names and who has none: from the starter's list where they stand in
/// it, else a placeholder; and for those of the list whom others have as their manager or deputy.
async fn people(catalog: &Arc<dyn Catalog>, document: &Value) -> Result<(), LoadError> {
    let known =
        playbook::yaml::read(PEOPLE).map_err(|error| LoadError::NotYaml("the people".to_owned(), error))?;
    let Ok(playbook) = Playbook::parse(document) else { return Ok(()) };
    let listed = |id: &str| {
        known
            .as_array()
            .into_iter()
            .flatten()
            .find(|person| person.get("id").and_then(Value::as_str) == Some(id))
    };
    let mut ids: Vec<&str> = playbook.people().into_iter().map(Slug::as_str).collect();
    let mut at = 0;
    while let Some(id) = ids.get(at).copied() {
        for key in ["manager", "deputy"] {
            let named = listed(id).and_then(|person| person.get(key)?.as_str());
            ids.extend(named.filter(|named| !ids.contains(named)));
        }
        at += 1;
    }
    for id in ids {
        let mut body = listed(id).cloned().unwrap_or_else(|| {
            serde_json::json!({
                "name": format!("Qualifier {id}"), "email": format!("{id}@company.example"), "team": "sales",
            })
        });
        if let Some(map) = body.as_object_mut() {
            map.remove("id");
        }
        let body = playbook::request::person(&body).map_err(|problem: Problem| {
            LoadError::Invalid(format!("the record of {id}"), format!("  {}", problem.to_json()))
        })?;
        // Whoever has a record keeps it.
        let _is_new = catalog.put(&[Put::new(CatalogKind::Person, id, body)]).await?;
    }
    Ok(())
}
