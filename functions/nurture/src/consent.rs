//! What somebody agreed to, from mails: the mail that asks them to confirm, and the two pages that its links and those of
//! every other mail lead to.
//!
//! * **The link is the permission.** It was sent to the address and to nobody else, so whoever has it speaks for the address:
//!   they need no account and no cookie, and may say yes as well as no.
//! * **Only a POST changes anything.** Mail programs and scanners follow every link that they find.
//! * **What is kept as proof** is in the timeline, for as long as that is kept: the statement with the form, the moment and
//!   the version of the text; the mail that asked; and the answer with its moment, the text, and the mail's number. No address
//!   of the internet is kept: it would be a personal datum that proves nothing that the signed link does not.
//!
//! # Layout
//!
//! * this file – how both pages look, and what purposes are called;
//! * [`ask`] – the mail that asks; [`confirm`] – the page behind its link;
//! * [`preferences`] – the page behind every mail's way out.

pub mod ask;
pub mod confirm;
pub mod preferences;

use crate::App;
use adapters::http::form_page;
use adapters::mail::{Mailbox, discreet, one_line};
use adapters::signed_link::Refused;
use axum::http::StatusCode;
use axum::response::Response;
use domain::consent::{ConsentState, Purpose};
use domain::playbook::Playbook;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use utoipa_axum::router::OpenApiRouter;

/// The longest name of a form or a place, in characters.
const NAME: usize = 80;

/// The looks. The policy lets in exactly this, by its hash, and nothing else.
const STYLE: &str = "
:root { font: 17px/1.5 system-ui, sans-serif; color: #1b1f24; color-scheme: light; }
body { max-width: 34rem; margin: 1.5rem auto; padding: 0 1rem 2rem; background: #fff; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .6rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
form { border: 1px solid #c9cfd6; border-radius: 10px; padding: .9rem 1rem; margin: 1rem 0; }
label { display: grid; grid-template-columns: 1.6rem 1fr; gap: .1rem .6rem; padding: .7rem 0; border-top: 1px solid #e3e7eb; }
label:first-of-type { border-top: 0; } label b, label span { grid-column: 2; }
input { width: 1.25rem; height: 1.25rem; margin: .15rem 0 0; grid-row: 1; }
button { font: inherit; min-height: 2.75rem; padding: .45rem 1.2rem; border: 0; border-radius: 8px; background: #1f5fbf; color: #fff; cursor: pointer; }
button.quiet { background: #fff; color: #1f5fbf; border: 1px solid #1f5fbf; }
span, p.note { font-size: .88rem; color: #4f5761; } p.said { border-left: 4px solid #1f5fbf; padding-left: .8rem; }
p.fault { border-left: 4px solid #a3231a; padding-left: .8rem; } li { margin: .3rem 0; }
";

/// Gives the routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(confirm::routes()).merge(preferences::routes())
}

/// Gives what a purpose is called.
pub(crate) const fn title(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Marketing => "Mails from us",
        Purpose::Tracking => "Recognising you on our website",
        Purpose::AdAudience => "Our ads on other sites",
        Purpose::Phone => "Calls from us",
    }
}

/// Says what we do where somebody agreed to a purpose.
pub(crate) const fn meaning(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Marketing => "News, guides, invitations and offers by e-mail.",
        Purpose::Tracking => "We see which of our pages you look at.",
        Purpose::AdAudience => {
            "Networks that show ads match a code made from your address, and show you ours."
        }
        Purpose::Phone => "We call you about what may be of use to you.",
    }
}

/// Says where and when a statement was made, and which text was shown: as far as that is known.
pub(crate) fn made(state: &ConsentState, playbook: &Playbook) -> String {
    let form = |id: &str| playbook.form(id).map_or_else(|| id.to_owned(), |form| form.title.clone());
    let place = match state.source.as_deref().map(|source| (source, source.rsplit_once("form:"))) {
        Some((_, Some((_, id)))) => format!(" in our form “{}”", discreet(&form(id), NAME)),
        Some((source, None)) => format!(" ({})", discreet(source, NAME)),
        None => String::new(),
    };
    let at = state.at().map(|at| format!("on {}", at.said_in(&playbook.timezone))).unwrap_or_default();
    let text =
        state.text.as_deref().map(|text| format!(", text {}", discreet(text, NAME))).unwrap_or_default();
    format!("{at}{place}{text}")
}

/// Gives the name by which readers know who writes.
pub(crate) fn sender(from: &Mailbox) -> String {
    from.name.as_deref().map_or_else(|| from.email.domain().to_owned(), |name| one_line(name, NAME))
}

/// Wraps a page.
pub(crate) fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (body) }
        }
    };
    form_page(status, text.into_string(), STYLE)
}

/// Says that a link is not believed, and what to do instead.
pub(crate) fn refused(app: &App, refused: Refused) -> Response {
    match refused {
        Refused::NotOurs => page(
            StatusCode::NOT_FOUND,
            "No such link",
            &html! { p { "Perhaps a part of it got lost on the way: copy it whole from the mail." } (otherwise(app)) },
        ),
        Refused::Ended => gone(app, "This link has ended."),
    }
}

/// Says that a link leads nowhere any more, why, and what to do instead.
pub(crate) fn gone(app: &App, why: &str) -> Response {
    page(StatusCode::GONE, "This link has ended", &html! { p { (why) } (otherwise(app)) })
}

/// Says how to unsubscribe without a link.
fn otherwise(app: &App) -> Markup {
    html! {
        p {
            "To get no more mails from us, follow “unsubscribe” in the latest one, or answer any of them with the word stop"
            @if let Some(post) = &app.post {
                @let address = post.from.email.as_str();
                " to " a href=(format!("mailto:{address}?subject=stop")) { (address) }
            }
            ". Somebody will see to it."
        }
    }
}
