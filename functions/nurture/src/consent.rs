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
//! * this file – how both pages look; `words` – what they and the mail say, in each language;
//! * [`ask`] – the mail that asks; [`confirm`] – the page behind its link;
//! * [`preferences`] – the page behind every mail's way out.

pub mod ask;
pub mod confirm;
pub mod preferences;
pub(crate) mod words;

use crate::App;
use adapters::http::form_page;
use adapters::mail::{Mailbox, discreet, one_line};
use adapters::signed_link::Refused;
use axum::http::StatusCode;
use axum::response::Response;
use domain::consent::ConsentState;
use domain::playbook::Playbook;
use domain::time::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use utoipa_axum::router::OpenApiRouter;
use words::{Words, filled};

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

/// Says where and when a statement was made, and which text was shown: as far as that is known.
pub(crate) fn made(words: &Words, state: &ConsentState, playbook: &Playbook) -> String {
    let form = |id: &str| playbook.form(id).map_or_else(|| id.to_owned(), |form| form.title.clone());
    let place = match state.source.as_deref().map(|source| (source, source.rsplit_once("form:"))) {
        Some((_, Some((_, id)))) => filled(words.in_form, "form", &discreet(&form(id), NAME)),
        Some((source, None)) => filled(words.at_place, "place", &discreet(source, NAME)),
        None => String::new(),
    };
    let at = state.at().map(|at| filled(words.on, "at", &said_at(words, at, playbook))).unwrap_or_default();
    let text = state.text.as_deref().map(|text| filled(words.with_text, "text", &discreet(text, NAME)));
    format!("{at}{place}{}", text.unwrap_or_default())
}

/// Says a moment by the company's clock.
pub(crate) fn said_at(words: &Words, at: Timestamp, playbook: &Playbook) -> String {
    at.written_in(&playbook.timezone, words.moment())
}

/// Gives the name by which readers know who writes.
pub(crate) fn sender(from: &Mailbox) -> String {
    from.name.as_deref().map_or_else(|| from.email.domain().to_owned(), |name| one_line(name, NAME))
}

/// Wraps a page.
pub(crate) fn page(words: &Words, status: StatusCode, title: &str, body: &Markup) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang=(words.language) {
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

/// Says that a link is not believed, and what to do instead. Whoever follows it is nobody that we know.
pub(crate) fn refused(app: &App, refused: Refused) -> Response {
    let words = Words::common();
    match refused {
        Refused::NotOurs => page(
            words,
            StatusCode::NOT_FOUND,
            "No such link",
            &html! { p { "Perhaps a part of it got lost on the way: copy it whole from the mail." } (otherwise(words, app)) },
        ),
        Refused::Ended => gone(words, app, None),
    }
}

/// Says that a link leads nowhere any more, perhaps why, and what to do instead.
pub(crate) fn gone(words: &Words, app: &App, why: Option<&str>) -> Response {
    let body = html! { @if let Some(why) = why { p { (why) } } (otherwise(words, app)) };
    page(words, StatusCode::GONE, words.link_ended, &body)
}

/// Says how to unsubscribe without a link.
fn otherwise(words: &Words, app: &App) -> Markup {
    html! {
        p {
            (words.otherwise)
            @if let Some(post) = &app.post {
                @let address = post.from.email.as_str();
                (words.otherwise_to) a href=(format!("mailto:{address}?subject=stop")) { (address) }
            }
            (words.otherwise_end)
        }
    }
}
