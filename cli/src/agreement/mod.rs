//! Playbooks from the file to the two keys: checked, compared, pushed, tested on outcomes, proposed, signed, activated.
//!
//! # Layout
//!
//! * this file – the commands; `text` – answers as people read them.

mod text;

use crate::api::{Api, ApiError, Body, Where};
use crate::starter::{self, LoadError};
use adapters::config::Environment;
use clap::Subcommand;
use domain::playbook::diff::{Agree, diff};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What to do with playbooks.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "clap takes the text of a flattened field for the command's own")]
pub enum What {
    /// Checks a file and names every fault.
    Validate {
        /// The playbook, YAML or JSON.
        file: PathBuf,
    },
    /// Prints the JSON Schema of playbooks, for editors.
    Schema,
    /// Says in words what changed, and who has to agree to it.
    Diff {
        /// The playbook: a file, or the number of a version.
        to: String,
        /// What to compare with: a file, the number of a version, or `active`.
        #[arg(long, default_value = "active")]
        from: String,
        #[command(flatten)]
        api: Where,
    },
    /// Lists the versions.
    List(Where),
    /// Stores a file as a new version: a draft.
    Push {
        /// The playbook, YAML or JSON.
        file: PathBuf,
        /// What changed and why.
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        api: Where,
    },
    /// Asks marketing and sales to sign a version.
    Propose {
        /// The number of the version.
        version: u32,
        #[command(flatten)]
        api: Where,
    },
    /// Signs a version for a team.
    Sign {
        /// The number of the version.
        version: u32,
        /// For which team, where the tokens of `leadloop dev` are used; otherwise the token says it.
        #[arg(long = "as", default_value = "marketing", value_parser = ["marketing", "sales"])]
        team: String,
        /// The backtest that you have seen, by its id.
        #[arg(long)]
        backtest: Option<String>,
        /// What you want to say.
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        api: Where,
    },
    /// Makes a version the active one, if its keys are there.
    Activate {
        /// The number of the version.
        version: u32,
        #[command(flatten)]
        api: Where,
    },
    /// Tells what a playbook would have done on leads whose outcome is known.
    Backtest {
        /// The playbook: a file, which is stored as a draft first, or the number of a version.
        playbook: String,
        #[command(flatten)]
        leads: Leads,
        /// Prints the whole answer as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        api: Where,
    },
    /// Writes a draft whose points come from won and lost.
    Suggest {
        /// The most rules.
        #[arg(long, default_value_t = 15)]
        rules: u8,
        /// The precision that the line is to reach, such as 0.5.
        #[arg(long, conflicts_with = "hand_offs_per_week")]
        precision: Option<f64>,
        /// How many leads a week sales wants.
        #[arg(long)]
        hand_offs_per_week: Option<f64>,
        /// An attribute that says what a lead did and not who it is; may be repeated.
        #[arg(long, value_name = "ATTRIBUTE")]
        behaviour: Vec<String>,
        /// A file to write the draft to, YAML, or JSON where its name ends in `.json`.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        leads: Leads,
        #[command(flatten)]
        api: Where,
    },
    /// Declares that attributes whose values carry no time were known when the lead was captured.
    Declare {
        /// The attributes.
        #[arg(required = true)]
        attributes: Vec<String>,
        /// Why you know.
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        api: Where,
    },
}

/// Which leads are looked at.
#[derive(Clone, Debug, clap::Args)]
pub struct Leads {
    /// Captured from this day on.
    #[arg(long)]
    from: Option<String>,
    /// Captured before this day.
    #[arg(long)]
    to: Option<String>,
    /// A condition in the playbook's language, as JSON or YAML.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Within how many days a lead has to be won.
    #[arg(long)]
    horizon_days: Option<u32>,
}

impl Leads {
    fn body(&self) -> Result<Map<String, Value>, AgreementError> {
        let condition = match &self.condition {
            Some(text) => Some(playbook::yaml::read(text).map_err(AgreementError::Condition)?),
            None => None,
        };
        let body = json!({
            "from": self.from, "to": self.to, "where": condition, "horizon_days": self.horizon_days,
        });
        let mut body = body.as_object().cloned().unwrap_or_default();
        body.retain(|_, value| !value.is_null());
        Ok(body)
    }
}

/// Says why a command failed.
#[derive(Debug, Error)]
pub enum AgreementError {
    /// A playbook cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The condition cannot be read.
    #[error("--where is neither JSON nor YAML: {0}")]
    Condition(String),
    /// The API did not do it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Won and lost taught nothing.
    #[error("no card: {0}")]
    NoCard(String),
    /// The draft cannot be written.
    #[error("{0}: {1}")]
    File(String, String),
}

/// Runs a command.
///
/// # Errors
///
/// [`AgreementError`].
pub async fn run(what: What, environment: &Environment) -> Result<(), AgreementError> {
    match what {
        What::Validate { file } => Ok(starter::check(&file)?),
        What::Schema => {
            println!("{}", playbook::SCHEMA.trim_end());
            Ok(())
        }
        What::Diff { to, from, api } => {
            let api = api.api("marketing", environment);
            let (from, to) = (document(&api, &from).await?, document(&api, &to).await?);
            show_differences(&from, &to);
            Ok(())
        }
        What::List(api) => list(&api.api("marketing", environment)?).await,
        What::Push { file, comment, api } => {
            let pushed = push(&api.api("marketing", environment)?, &file, comment.as_deref()).await?;
            println!(
                "version {}, {}, sha256 {}",
                at(&pushed, "version"),
                word(&pushed, "status"),
                word(&pushed, "sha256")
            );
            Ok(())
        }
        What::Propose { version, api } => {
            let api = api.api("marketing", environment)?;
            let proposed = api.post(&format!("/v1/playbooks/{version}/propose"), Body::None).await?;
            println!(
                "version {version} is {}; it needs the sign-off of {}",
                word(&proposed, "status"),
                needs(&proposed)
            );
            Ok(())
        }
        What::Sign { version, team, backtest, comment, api } => {
            let api = api.api(&team, environment)?;
            // What is signed is what was read: the hash goes along.
            let read = api.get(&format!("/v1/playbooks/{version}")).await?;
            let body = json!({ "sha256": at(&read, "sha256"), "backtest": backtest, "comment": comment });
            let path = format!("/v1/playbooks/{version}/signoffs");
            let signed = api.post(&path, Body::Json(&body)).await?;
            for sign_off in at(&signed, "sign_offs").as_array().into_iter().flatten() {
                let shown = at(at(sign_off, "backtest"), "job").as_str();
                println!(
                    "signed for {} by {}, {}{}",
                    word(sign_off, "team"),
                    word(sign_off, "holder"),
                    word(sign_off, "at"),
                    shown.map(|job| format!(", who had seen {job}")).unwrap_or_default()
                );
            }
            Ok(())
        }
        What::Activate { version, api } => {
            let api = api.api("marketing", environment)?;
            let active = api.post(&format!("/v1/playbooks/{version}/activate"), Body::None).await?;
            println!(
                "version {} is {}; GET /v1/playbooks/{version} tells how far the sweep is",
                at(&active, "version"),
                word(&active, "status")
            );
            Ok(())
        }
        What::Backtest { playbook, leads, json, api } => {
            let api = api.api("marketing", environment)?;
            let version = match playbook.parse::<u32>() {
                Ok(version) => version.to_string(),
                Err(_) => at(&push(&api, Path::new(&playbook), None).await?, "version").to_string(),
            };
            let path = format!("/v1/playbooks/{version}/backtest");
            let started = api.post(&path, Body::Json(&Value::Object(leads.body()?))).await?;
            let job = api.wait(started).await?;
            if json {
                println!("{job:#}");
            } else {
                print!("{}", text::backtest(&job));
            }
            Ok(())
        }
        What::Suggest { rules, precision, hand_offs_per_week, behaviour, out, leads, api } => {
            let api = api.api("marketing", environment)?;
            let mut body = leads.body()?;
            body.insert("rules".to_owned(), rules.into());
            for (name, value) in [("precision", precision), ("hand_offs_per_week", hand_offs_per_week)] {
                if let Some(value) = value {
                    body.insert(name.to_owned(), value.into());
                }
            }
            if !behaviour.is_empty() {
                body.insert("behaviour".to_owned(), behaviour.into());
            }
            let started = api.post("/v1/playbooks/suggest", Body::Json(&Value::Object(body))).await?;
            suggested(at(&api.wait(started).await?, "result"), out.as_deref())
        }
        What::Declare { attributes, comment, api } => {
            let api = api.api("marketing", environment)?;
            for attribute in attributes {
                let body = json!({ "known_at_capture": true, "comment": comment });
                let path = format!("/v1/attributes/{attribute}");
                let declared = api.send(Method::PUT, &path, Body::Json(&body), None).await?;
                println!("{attribute}: known at capture, as declared by {}", word(&declared, "declared_by"));
            }
            Ok(())
        }
    }
}

/// Lets an imported base go to sales in turn.
///
/// # Errors
///
/// [`AgreementError`].
pub async fn go_live(place: &Where, environment: &Environment) -> Result<(), AgreementError> {
    let api = place.api("admin", environment)?;
    let started = api.post("/v1/go-live", Body::None).await?;
    eprintln!("asked for; the schedule takes it up within five minutes");
    let done = api.wait(started).await?;
    let progress = at(&done, "progress");
    println!(
        "leads looked at: {}, changed: {}; each owner gets those that are ready, best first, as many a day as their record says",
        at(progress, "swept"),
        at(progress, "changed")
    );
    Ok(())
}

fn at<'a>(json: &'a Value, name: &str) -> &'a Value {
    json.get(name).unwrap_or(&Value::Null)
}

fn word<'a>(json: &'a Value, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or("?")
}

fn needs(version: &Value) -> String {
    let teams: Vec<&str> =
        at(version, "needs").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    teams.join(" and of ")
}

/// Reads a playbook from a file, or a version from the API.
async fn document(api: &Result<Api, ApiError>, named: &str) -> Result<Value, AgreementError> {
    if named != "active" && named.parse::<u32>().is_err() {
        return Ok(starter::read(Path::new(named))?);
    }
    match api {
        Ok(api) => Ok(at(&api.get(&format!("/v1/playbooks/{named}")).await?, "document").clone()),
        Err(_) => Err(ApiError::NoToken.into()),
    }
}

async fn push(api: &Api, file: &Path, comment: Option<&str>) -> Result<Value, AgreementError> {
    let document = starter::read(file)?;
    let path = match comment {
        Some(comment) => {
            let query: String = reqwest::Url::parse_with_params("http://x/", [("comment", comment)])
                .ok()
                .and_then(|url| url.query().map(str::to_owned))
                .unwrap_or_default();
            format!("/v1/playbooks?{query}")
        }
        None => "/v1/playbooks".to_owned(),
    };
    Ok(api.post(&path, Body::Json(&document)).await?)
}

async fn list(api: &Api) -> Result<(), AgreementError> {
    let versions = api.get("/v1/playbooks").await?;
    for version in at(&versions, "items").as_array().into_iter().flatten() {
        let signed: Vec<String> = at(version, "sign_offs")
            .as_array()
            .into_iter()
            .flatten()
            .map(|s| format!("{} {}", word(s, "team"), word(s, "holder")))
            .collect();
        println!(
            "{:>4}  {:<9} {}  {}  {}  {}",
            at(version, "version").to_string(),
            word(version, "status"),
            word(version, "created_at"),
            word(version, "author"),
            if signed.is_empty() { "unsigned".to_owned() } else { format!("signed: {}", signed.join(", ")) },
            at(version, "comment").as_str().unwrap_or_default(),
        );
    }
    Ok(())
}

fn show_differences(from: &Value, to: &Value) {
    let differences = diff(from, to);
    if differences.is_empty() {
        println!("nothing differs in meaning");
    }
    for (agree, head) in [
        (Agree::Both, "Marketing and sales have to agree to:"),
        (Agree::Marketing, "Marketing decides alone:"),
    ] {
        let those: Vec<_> = differences.iter().filter(|difference| difference.agree == agree).collect();
        if !those.is_empty() {
            println!("{head}");
            those.iter().for_each(|difference| println!("  {}: {}", difference.section, difference.text));
        }
    }
}

/// Prints a suggestion and writes its playbook into a file, YAML or JSON by the file's name.
fn suggested(result: &Value, out: Option<&Path>) -> Result<(), AgreementError> {
    let document = at(result, "document");
    if at(result, "version").is_null() {
        let mut left_out = String::new();
        text::left_out(&mut left_out, result);
        print!("{left_out}");
        return Err(AgreementError::NoCard(word(result, "because").to_owned()));
    }
    print!("{}", text::suggestion(result));
    if let Some(path) = out {
        let failed = |error: String| AgreementError::File(path.display().to_string(), error);
        let json = path.extension().is_some_and(|extension| extension == "json");
        let written = if json {
            format!("{document:#}\n")
        } else {
            serde_saphyr::to_string(document).map_err(|error| failed(error.to_string()))?
        };
        std::fs::write(path, written).map_err(|error| failed(error.to_string()))?;
        println!("\n{} has it to edit", path.display());
    }
    Ok(())
}
