//! The mails that would have been sent: a list of the folder's `.eml` files, and each as a mail program shows it.
//!
//! They are read by a library that had no part in writing them, so what is seen here is what a reader would see. A mail's
//! HTML is shown in a frame that may run nothing; its links open in a window of their own. Its pictures are loaded, as a mail
//! program would, so that looking at a letter here is an opening like any other.

use super::site::own_name_only;
use adapters::http::Problem;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use mail_parser::MessageParser;
use maud::{DOCTYPE, Markup, html};
use std::path::PathBuf;

/// How many mails are listed, the latest first.
const LISTED: usize = 100;

/// Lets a mail's HTML have its looks and its pictures, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; sandbox allow-popups \
                      allow-popups-to-escape-sandbox";

/// Gives the routes of the mails in a folder.
pub fn router(folder: PathBuf) -> Router {
    Router::new()
        .route("/mails", get(list))
        .route("/mails/{name}", get(show))
        .route("/mails/{name}/html", get(as_html))
        .route("/mails/{name}/source", get(source))
        .layer(from_fn(own_name_only))
        .with_state(folder)
}

/// A mail as it is read back.
struct Mail {
    name: String,
    from: String,
    to: String,
    subject: String,
    date: String,
    text: String,
    html: String,
}

fn read(name: &str, bytes: &[u8]) -> Option<Mail> {
    let parsed = MessageParser::default().parse(bytes)?;
    let address = |address: Option<&mail_parser::Address<'_>>| {
        let one = address?.first()?;
        Some(format!("{} <{}>", one.name().unwrap_or_default(), one.address().unwrap_or_default()))
    };
    Some(Mail {
        name: name.to_owned(),
        from: address(parsed.from()).unwrap_or_default(),
        to: address(parsed.to()).unwrap_or_default(),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        date: parsed.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        text: parsed.body_text(0).unwrap_or_default().into_owned(),
        html: parsed.body_html(0).unwrap_or_default().into_owned(),
    })
}

/// Reads a mail's file; nothing outside of the folder has a name that is taken.
async fn bytes(folder: &std::path::Path, name: &str) -> Result<Vec<u8>, Problem> {
    let none = || Problem::not_found("no such mail; /mails lists them");
    let id = name.strip_suffix(".eml").filter(|id| mail::mime::is_id(id)).ok_or_else(none)?;
    tokio::fs::read(folder.join(format!("{id}.eml"))).await.map_err(|_| none())
}

async fn mail(folder: &std::path::Path, name: &str) -> Result<Mail, Problem> {
    let bytes = bytes(folder, name).await?;
    read(name, &bytes).ok_or_else(|| Problem::not_found("the file is no mail"))
}

async fn list(State(folder): State<PathBuf>) -> Html<String> {
    let mut mails = Vec::new();
    if let Ok(mut files) = tokio::fs::read_dir(&folder).await {
        while let Ok(Some(file)) = files.next_entry().await {
            let name = file.file_name().to_string_lossy().into_owned();
            mails.extend(mail(&folder, &name).await.ok());
        }
    }
    mails.sort_by(|a, b| (&b.date, &b.name).cmp(&(&a.date, &a.name)));
    Html(page(
        "Mails",
        &html! {
            h1 { "Mails that would have been sent" }
            p { "They lie in " code { (folder.display()) } "." }
            @if mails.is_empty() { p { "None yet: send a form that makes a lead ready." } }
            @else {
                table {
                    tr { th { "When" } th { "To" } th { "Subject" } }
                    @for mail in mails.iter().take(LISTED) {
                        tr { td { (mail.date) } td { (mail.to) } td { a href=(format!("/mails/{}", mail.name)) { (mail.subject) } } }
                    }
                }
            }
        },
    ))
}

async fn show(State(folder): State<PathBuf>, Path(name): Path<String>) -> Result<Html<String>, Problem> {
    let mail = mail(&folder, &name).await?;
    Ok(Html(page(
        &mail.subject,
        &html! {
            p { a href="/mails" { "All mails" } " · " a href=(format!("/mails/{name}/source")) { "Source" } }
            h1 { (mail.subject) }
            p { "From " (mail.from) br; "To " (mail.to) br; (mail.date) }
            iframe sandbox="allow-popups allow-popups-to-escape-sandbox" src=(format!("/mails/{name}/html")) title="The mail as HTML" {}
            h2 { "As text" }
            pre { (mail.text) }
        },
    )))
}

async fn as_html(State(folder): State<PathBuf>, Path(name): Path<String>) -> Result<Response, Problem> {
    let html = mail(&folder, &name).await?.html;
    Ok(([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(leading_out(&html))).into_response())
}

/// Lets the links of a document open in a window of their own: none must take the place of the mail in its frame.
fn leading_out(html: &str) -> String {
    let base = "<base target=\"_blank\">";
    let lower = html.to_ascii_lowercase();
    let behind_head = ["<head>", "<head "].iter().filter_map(|tag| lower.find(tag)).min().and_then(|at| {
        let (_, from) = lower.split_at_checked(at)?;
        html.split_at_checked(at + from.find('>')? + 1)
    });
    match behind_head {
        Some((before, behind)) => format!("{before}{base}{behind}"),
        None => format!("{html}{base}"),
    }
}

async fn source(State(folder): State<PathBuf>, Path(name): Path<String>) -> Result<Response, Problem> {
    let bytes = bytes(&folder, &name).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes).into_response())
}

fn page(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
                style { "body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }"
                    "td, th { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top }"
                    "iframe { width: 100%; height: 32rem; border: 1px solid #c9cfd6 } pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f2f4f7; padding: 1rem }" }
            }
            body { (body) }
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_every_document_open_in_a_window_of_their_own() {
        for (html, expected) in [
            ("<html><head><title>x</title>", "<html><head><base target=\"_blank\"><title>x</title>"),
            ("<HTML><HEAD lang=\"ä\"><title>", "<HTML><HEAD lang=\"ä\"><base target=\"_blank\"><title>"),
            ("<header><p>ä", "<header><p>ä<base target=\"_blank\">"),
        ] {
            assert_eq!(leading_out(html), expected);
        }
    }
}
