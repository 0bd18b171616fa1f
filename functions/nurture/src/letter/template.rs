//! Templates: what marketing writes once for many letters, in one language or several.
//!
//! A template that was taken renders for every lead. So all that could fail is looked at when it is written: the words of
//! each text (`words`), its MJML, its links, how long it comes out, with leads of whom everything is known and leads of
//! whom nothing is, in every stage and phase; and everything that is wrong is said at once.

use super::address::Links;
use super::context::{self, SAMPLE_ADDRESS, SAMPLE_UNSUBSCRIBE};
use super::words::{self, Form};
use super::{Frame, Ways, page, plain, whole};
use adapters::ports::{Catalog, CatalogKind, Record, StoreError};
use domain::content::language::{Language, Tongue};
use domain::fault::Faults;
use domain::identity::Slug;
use domain::reader::{Node, Object};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The id of the template that there always is.
pub const BUILT_IN: &str = "default";

/// The most variants of a template.
const MOST_VARIANTS: usize = 12;
/// The longest name, in characters.
const NAME: usize = 200;
/// The longest subject or preheader, as a template and as it comes out, in characters.
const LINE: usize = 400;
const SUBJECT: usize = 200;
/// The longest body and the longest text of a template, in bytes; all of a template fits into one record.
const BODY: usize = 64 * 1024;
const ALL: usize = 240 * 1024;
/// The longest that a letter may come out, in bytes. Gmail shows 102 KB of a letter, and hides the rest with its link to
/// unsubscribe; there is room left for the links of a real letter, which are longer.
const LONGEST_HTML: usize = 90_000;
/// The longest that anything may come out before it is looked at.
pub(super) const LONGEST: usize = 256 * 1024;

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub name: Option<String>,
    /// What it says in each language; exactly one of them is the fallback.
    pub variants: Vec<Variant>,
}

/// What a template says in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The language.
    pub language: Language,
    /// Whether it is for those whose language the template has not.
    pub fallback: bool,
    /// The subject.
    pub subject: String,
    /// What mailboxes show beside the subject.
    pub preheader: Option<String>,
    /// The body: MJML, or HTML.
    pub body: String,
    /// The text for those who read no HTML; made of the body where there is none.
    pub text: Option<String>,
}

fn source(node: &Node<'_>, most: usize) -> Option<String> {
    let text = node.text(usize::MAX)?;
    if text.len() > most {
        node.fault(format!("is longer than {most} bytes"));
        return None;
    }
    Some(text.to_owned())
}

impl Variant {
    fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object()?;
        let line = |text: Option<Node<'_>>| text.map(|node| node.text(LINE).map(str::to_owned));
        let language = object.required("language").and_then(|node| node.parsed(Language::parse));
        let fallback = object.optional("fallback").map_or(Some(false), |node| node.boolean());
        let subject = line(object.required("subject")).flatten();
        let preheader = line(object.optional("preheader"));
        let body = object.required("body").and_then(|node| source(&node, BODY));
        let text = object.optional("text").map(|node| source(&node, BODY));
        object.finish();
        // Given and not readable is a fault, which stands already.
        let (preheader, text) =
            (preheader.map_or(Some(None), |p| p.map(Some))?, text.map_or(Some(None), |t| t.map(Some))?);
        Some(Self {
            language: language?,
            fallback: fallback?,
            subject: subject?,
            preheader,
            body: body?,
            text,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "language": self.language.to_string(), "fallback": self.fallback, "subject": self.subject,
            "preheader": self.preheader, "body": self.body, "text": self.text,
        })
    }

    /// Every text with its name, and what becomes of it.
    fn sources(&self) -> impl Iterator<Item = (&'static str, &str, Form)> {
        let all = [
            ("subject", Some(&self.subject), Form::Text),
            ("preheader", self.preheader.as_ref(), Form::Text),
            ("body", Some(&self.body), Form::Html),
            ("text", self.text.as_ref(), Form::Text),
        ];
        all.into_iter().filter_map(|(name, source, form)| Some((name, source?.as_str(), form)))
    }

    /// Looks at everything that could fail, and says what would under the variant's pointer.
    fn check(&self, pointer: &str, faults: &Faults) {
        let before = faults.len();
        for (name, source, _) in self.sources() {
            for fault in words::faults(source, context::is_known) {
                faults.add(format!("{pointer}/{name}"), fault);
            }
        }
        if faults.len() > before {
            return;
        }
        let attributes: BTreeSet<String> =
            self.sources().flat_map(|(_, source, _)| words::attributes(source)).collect();
        let mut found: BTreeSet<(&str, String)> = BTreeSet::new();
        let mut bodies = BTreeSet::new();
        for sample in context::samples(&attributes) {
            for (name, source, form) in self.sources() {
                match words::render(source, form, &sample, LONGEST) {
                    Err(fault) => {
                        found.insert((name, fault));
                    }
                    Ok(written) => match name {
                        "subject" if written.trim().is_empty() => {
                            found.insert((
                                name,
                                "comes out empty for a lead of whom nothing is known".to_owned(),
                            ));
                        }
                        "subject" if written.chars().count() > SUBJECT => {
                            found.insert((name, format!("comes out longer than {SUBJECT} characters")));
                        }
                        "body" => {
                            bodies.insert(written);
                        }
                        _ => {}
                    },
                }
            }
        }
        for body in bodies {
            found.extend(
                body_faults(&body, &self.language.to_string()).into_iter().map(|fault| ("body", fault)),
            );
        }
        for (name, fault) in found {
            faults.add(format!("{pointer}/{name}"), fault);
        }
    }
}

/// Says what is wrong with a body that came out for a sample.
fn body_faults(body: &str, language: &str) -> Vec<String> {
    let html = if page::is_mjml(body) {
        match page::from_mjml(body) {
            Ok(html) => html,
            Err(faults) => return faults,
        }
    } else {
        page::document(body.to_owned(), language)
    };
    let ways = Ways::Shown;
    let links = Links {
        site: "https://www.company.example",
        parameters: Vec::new(),
        unsubscribe: SAMPLE_UNSUBSCRIBE,
        ways: &ways,
    };
    let led = match page::led(&html, language, &links) {
        Ok(led) => led,
        Err(fault) => return vec![fault],
    };
    let mut faults = led.faults.clone();
    if led.html.len() > LONGEST_HTML {
        faults.push(format!("comes out longer than {LONGEST_HTML} bytes, of which Gmail would show a part"));
    }
    if plain::from_html(&led.html).is_ok_and(|text| text.trim().is_empty()) {
        faults.push("says nothing to those who see no pictures".to_owned());
    }
    let frame = Frame {
        preheader: None,
        postal_address: SAMPLE_ADDRESS,
        unsubscribe: ("Unsubscribe", SAMPLE_UNSUBSCRIBE),
        pixel: None,
    };
    faults.extend(whole(&led, None, &frame).err());
    faults
}

impl Template {
    /// Reads a template that somebody sends, and everything that is wrong with it; `object` may have further fields, which the
    /// caller asks for and finishes.
    #[must_use]
    pub fn read(object: &Object<'_>, id: Slug) -> Option<Self> {
        let before = object.faults().len();
        let template = Self::parse(object, id)?;
        if object.faults().len() > before {
            return None;
        }
        let size: usize =
            template.variants.iter().flat_map(Variant::sources).map(|(_, text, _)| text.len()).sum();
        if size > ALL {
            object.fault(format!("is longer than {ALL} bytes in all"));
        }
        for (at, variant) in template.variants.iter().enumerate() {
            variant.check(&format!("{}/variants/{at}", object.pointer()), object.faults());
        }
        Some(template)
    }

    /// Reads a template as it is stored.
    #[must_use]
    pub fn stored(id: &str, body: &Value) -> Option<Self> {
        let faults = Faults::new();
        let template = Self::parse(&Node::root(body, &faults).object()?, Slug::parse(id).ok()?);
        faults.into_result(template).ok()
    }

    fn parse(object: &Object<'_>, id: Slug) -> Option<Self> {
        let name = object.optional("name").map(|node| node.text(NAME).map(str::to_owned));
        let node = object.required("variants")?;
        let list = node.list()?;
        if list.is_empty() || list.len() > MOST_VARIANTS {
            node.fault(format!("has {} variants; expected 1 to {MOST_VARIANTS}", list.len()));
            return None;
        }
        let read: Vec<Option<Variant>> = list.iter().map(Variant::read).collect();
        let mut variants: Vec<Variant> = read.into_iter().collect::<Option<_>>()?;
        if let [only] = variants.as_mut_slice() {
            only.fallback = true;
        }
        for (at, (variant, place)) in variants.iter().zip(&list).enumerate() {
            if variants.iter().take(at).any(|other| other.language == variant.language) {
                place.fault(format!("is a second variant in {}", variant.language));
            }
        }
        let fallbacks = variants.iter().filter(|variant| variant.fallback).count();
        if fallbacks != 1 {
            node.fault(format!(
                "has {fallbacks} variants with \"fallback\": true; expected one, for readers of other languages"
            ));
        }
        Some(Self { id, name: name.map_or(Some(None), |name| name.map(Some))?, variants })
    }

    /// Gives it as JSON, without its id, as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "variants": self.variants.iter().map(Variant::to_json).collect::<Vec<_>>() })
    }

    /// Gives the variant in a reader's language: that very one, else one that they read, else the fallback. `None` where there
    /// is no variant at all.
    #[must_use]
    pub fn for_reader(&self, tongue: &Tongue) -> Option<&Variant> {
        let own = tongue.language();
        let same = self.variants.iter().find(|variant| own == Some(&variant.language));
        let read =
            || self.variants.iter().find(|variant| own.is_some_and(|own| own.reads(&variant.language)));
        let fallback = || self.variants.iter().find(|variant| variant.fallback);
        same.or_else(read).or_else(fallback)
    }

    /// Gives the template that there always is: what the content is, where, and why somebody hears of it.
    #[must_use]
    pub fn built_in() -> Option<Self> {
        let variants = WORDS.iter().map(|words| {
            Some(Variant {
                language: Language::parse(words.language).ok()?,
                fallback: words.language == "en",
                subject: "{{ content.title }}".to_owned(),
                preheader: Some(words.preheader.to_owned()),
                body: BODY_OF_ALL
                    .replace("GREETING", words.greeting)
                    .replace("OPENING", words.preheader)
                    .replace("BUTTON", words.button)
                    .replace("WHY", words.why)
                    .replace("UNSUBSCRIBE", words.unsubscribe),
                text: None,
            })
        });
        Some(Self {
            id: Slug::parse(BUILT_IN).ok()?,
            name: Some("The built-in template".to_owned()),
            variants: variants.collect::<Option<_>>()?,
        })
    }
}

/// Gives a template by its id: the stored one, or the built-in one where nobody wrote one in its place. `None` where there is
/// none.
///
/// # Errors
///
/// [`StoreError`].
pub async fn template(catalog: &dyn Catalog, id: &str) -> Result<Option<Template>, StoreError> {
    match catalog.get(CatalogKind::Template, id).await? {
        Some(record) => from_record(&record).map(Some),
        None if id == BUILT_IN => Ok(Template::built_in()),
        None => Ok(None),
    }
}

/// Reads a template's record.
///
/// # Errors
///
/// Where the record is none.
pub fn from_record(record: &Record) -> Result<Template, StoreError> {
    Template::stored(&record.id, &record.body)
        .ok_or_else(|| StoreError::Damaged(format!("template {}", record.id)))
}

/// The words of the built-in template.
struct Words {
    language: &'static str,
    greeting: &'static str,
    preheader: &'static str,
    button: &'static str,
    why: &'static str,
    unsubscribe: &'static str,
}

const WORDS: &[Words] = &[
    Words {
        language: "en",
        greeting: "Hello{% if lead.first_name %} {{ lead.first_name }}{% endif %},",
        preheader: "we thought that this may be of use to you:",
        button: "Have a look",
        why: "You get this because you agreed to hear from {{ sender.name }}.",
        unsubscribe: "Unsubscribe",
    },
    Words {
        language: "de",
        greeting: "Guten Tag{% if lead.full_name %} {{ lead.full_name }}{% endif %},",
        preheader: "wir denken, dass Ihnen das nützen kann:",
        button: "Ansehen",
        why: "Sie erhalten das, weil Sie eingewilligt haben, von {{ sender.name }} zu hören.",
        unsubscribe: "Abmelden",
    },
    Words {
        language: "fr",
        greeting: "Bonjour{% if lead.full_name %} {{ lead.full_name }}{% endif %},",
        preheader: "nous pensons que ceci pourra vous être utile :",
        button: "Consulter",
        why: "Vous recevez ce message parce que vous avez accepté de recevoir des nouvelles de {{ sender.name }}.",
        unsubscribe: "Se désabonner",
    },
    Words {
        language: "es",
        greeting: "Hola{% if lead.first_name %} {{ lead.first_name }}{% endif %}:",
        preheader: "pensamos que esto le puede ser útil:",
        button: "Ver",
        why: "Recibe este mensaje porque aceptó recibir noticias de {{ sender.name }}.",
        unsubscribe: "Darse de baja",
    },
];

/// Says in a reader's language that a link unsubscribes.
pub(super) fn unsubscribe_in(language: &Language) -> &'static str {
    let known = WORDS.iter().find(|words| words.language == language.base());
    known.map_or("Unsubscribe", |words| words.unsubscribe)
}

/// The body of the built-in template in every language.
const BODY_OF_ALL: &str = r##"<mjml>
  <mj-head>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="1.5" color="#1b1f24" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="#f2f4f7" width="600px">
    <mj-section background-color="#ffffff" padding="24px 16px 8px 16px">
      <mj-column>
        <mj-text>GREETING</mj-text>
        <mj-text>OPENING</mj-text>
        <mj-text font-size="20px" font-weight="bold">{{ content.title }}</mj-text>
        <mj-button href="{{ content.url }}" background-color="#1f5fbf" color="#ffffff" align="left">BUTTON</mj-button>
      </mj-column>
    </mj-section>
    <mj-section padding="16px">
      <mj-column>
        <mj-text font-size="12px" color="#555c66" align="center">{% if why %}{{ why }}{% else %}WHY{% endif %}<br />
          {{ postal_address }}<br />
          <a href="{{ unsubscribe_url }}" style="color: #555c66">UNSUBSCRIBE</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>"##;
