//! Letters, composed and read back by somebody else's parser.

use super::*;
use crate::link::{Mail, MailLinks};
use adapters::signed_link::Links as Keys;
use domain::attribute::{Attribute, AttributeName, AttributeValue};
use domain::consent::{Basis, ConsentFact};
use domain::fault::Faults;
use domain::identity::Email;
use domain::playbook::Playbook;
use domain::reader::Node;
use lol_html::{RewriteStrSettings, element, rewrite_str};
use mail_parser::MessageParser;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use testkit::builders::{NOON, a_lead, email, slug, test_playbook, time};

const ADDRESS: &str = "Company GmbH, Straße 1 & 2, 1010 Wien";

/// The tests' playbook, with where the company is.
static PLAYBOOK: LazyLock<Playbook> = LazyLock::new(|| {
    let mut document = test_playbook();
    document["nurture"] = json!({
        "postal_address": ADDRESS, "site": "https://www.company.example/", "reply_to": "ada.sales@company.example",
    });
    Playbook::parse(&document).unwrap()
});

fn attribute(value: AttributeValue) -> Attribute {
    Attribute { value, set_at: time(NOON), set_by: "test".to_owned(), known_at: None }
}

fn text(value: &str) -> Attribute {
    attribute(AttributeValue::Text(value.to_owned()))
}

static ADA: LazyLock<Lead> = LazyLock::new(|| a_lead().known_by(email("ada@company.example")).lead());

fn lead(attributes: &[(&str, &str)]) -> Lead {
    let mut lead = ADA.clone();
    lead.attributes =
        attributes.iter().map(|(name, value)| (AttributeName::parse(name).unwrap(), text(value))).collect();
    lead
}

fn content(url: &str) -> Content {
    let body = json!({ "title": "Savings & <more>", "url": url, "kind": "guide" });
    Content::stored("savings", &body).unwrap()
}

/// Reads a template as it is sent, or says what is wrong with it.
fn read(body: &Value) -> Result<Template, Vec<(String, String)>> {
    let faults = Faults::new();
    let object = Node::root(body, &faults).object().unwrap();
    let template = Template::read(&object, slug("t"));
    object.finish();
    faults
        .into_result(template)
        .map_err(|faults| faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect())
}

fn one(body: &str) -> Value {
    json!({ "variants": [{ "language": "en", "subject": "{{ content.title }}", "body": body }] })
}

/// The links of a mail to Ada.
fn signed(lead: &Lead) -> MailLinks {
    let catalog = Arc::new(testkit::MemoryCatalog::new());
    let keys = Keys::new(catalog, Arc::new(adapters::clock::SetClock::at(time(NOON))));
    let mail = Mail {
        lead: lead.id.clone(),
        number: 3,
        program: Some(slug("newcomers")),
        content: Some(slug("savings")),
        made_at: time(NOON),
    };
    futures::executor::block_on(MailLinks::new(&keys, "https://leads.company.example", mail)).unwrap()
}

fn mailbox() -> Mailbox {
    Mailbox { name: Some("Company".to_owned()), email: Email::parse("news@company.example").unwrap() }
}

/// Composes a letter, with signed links where some are given.
fn composed(
    template: &Template,
    lead: &Lead,
    url: &str,
    links: Option<&MailLinks>,
) -> Result<Message, ComposeError> {
    let (program, content, from) = (slug("newcomers"), content(url), mailbox());
    let ways = links.map_or(Ways::Shown, |links| Ways::Signed {
        links,
        purpose: Purpose::Marketing,
        opens: true,
        clicks: true,
    });
    compose(&Order {
        lead,
        number: 3,
        playbook: &PLAYBOOK,
        program: Program { id: &program, name: "Newcomers" },
        content: &content,
        why: None,
        template,
        from: &from,
        ways,
        now: time(NOON),
    })
}

fn letter(template: &Template, attributes: &[(&str, &str)]) -> Message {
    composed(template, &lead(attributes), "https://www.company.example/savings", None).unwrap()
}

/// Every value of an attribute in a document, as a browser reads it.
fn values(html: &str, selector: &str, name: &str) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let settings = RewriteStrSettings::new().append_element_content_handler(element!(selector, |element| {
        let value = element.get_attribute(name).unwrap_or_default();
        found.borrow_mut().push(html_escape::decode_html_entities(&value).into_owned());
        Ok(())
    }));
    rewrite_str(html, settings).unwrap();
    found.into_inner()
}

#[test]
fn the_built_in_template_has_no_fault_and_speaks_each_of_its_languages() {
    let built_in = Template::built_in().unwrap();
    let read = read(&built_in.to_json()).unwrap();
    assert_eq!(read.variants, built_in.variants);
    for (language, greeting, off) in [
        ("en-GB", "Hello Ada,", "Unsubscribe"),
        ("de-AT", "Guten Tag Ada Example,", "Abmelden"),
        ("fr", "Bonjour Ada Example,", "Se désabonner"),
        ("pl", "Hello Ada,", "Unsubscribe"),
    ] {
        let letter = letter(&built_in, &[("language", language), ("full_name", "Ada Example")]);
        for part in [greeting, off, "Savings & <more>", ADDRESS] {
            assert!(plain::shows(&letter.text, part), "{language}: {part}\n{}", letter.text);
        }
        assert_eq!(
            letter.html.matches("Company GmbH").count(),
            1,
            "the template shows it, so no footer does"
        );
        assert!(
            letter.html.contains(&format!("lang=\"{}\"", language.get(..2).unwrap().replace("pl", "en")))
        );
    }
    assert!(letter(&built_in, &[]).text.starts_with("Hello,\n"), "{}", letter(&built_in, &[]).text);
}

#[test]
fn links_of_the_web_are_marked_and_wrapped_and_others_are_left_alone() {
    let body = r##"<p><a href="/papers/a?x=1&amp;utm_content=own#top">A</a> <a href="https://b.example">B</a>
        <a href="{{ content.url }}">C</a> <a href="mailto:a@b.example">M</a> <a href="tel:+431">T</a> <a href="#top">Top</a>
        <a href="{{ unsubscribe_url }}">Off</a> <img src="/logo.png"></p>"##;
    let template = read(&one(body)).unwrap();
    let lead = lead(&[]);
    let plain = composed(&template, &lead, "/papers/savings", None).unwrap();
    let utm = "utm_source=nurture&utm_medium=email&utm_campaign=newcomers";
    let expected = [
        format!("https://www.company.example/papers/a?x=1&utm_content=own&{utm}#top"),
        format!("https://b.example/?{utm}&utm_content=savings"),
        format!("https://www.company.example/papers/savings?{utm}&utm_content=savings"),
        "mailto:a@b.example".to_owned(),
        "tel:+431".to_owned(),
        "#top".to_owned(),
        "https://preview.invalid/unsubscribe".to_owned(),
    ];
    let mut links = values(&plain.html, "a[href]", "href");
    assert_eq!(
        links.pop().as_deref(),
        Some("https://preview.invalid/unsubscribe"),
        "the footer, for the address"
    );
    assert_eq!(links, expected);
    assert_eq!(values(&plain.html, "img", "src"), ["https://www.company.example/logo.png"]);

    let signer = signed(&lead);
    let sent = composed(&template, &lead, "/papers/savings", Some(&signer)).unwrap();
    let off = signer.unsubscribe(Purpose::Marketing);
    let hrefs = values(&sent.html, "a[href]", "href");
    let wrapped: Vec<String> = expected.iter().take(3).map(|url| signer.click(url).unwrap()).collect();
    assert_eq!(hrefs.get(..3).unwrap(), wrapped);
    assert_eq!(hrefs.get(3..6).unwrap(), &expected[3..6]);
    assert_eq!(hrefs.get(6), Some(&off));
    assert_eq!(
        values(&sent.html, "img", "src"),
        ["https://www.company.example/logo.png".to_owned(), signer.pixel()]
    );
    // The text has the same links, whole, each in its line.
    for link in wrapped.iter().chain([&off]) {
        assert!(sent.text.lines().any(|line| line.ends_with(link)), "{link}\n{}", sent.text);
    }
}

#[test]
fn a_text_of_its_own_is_led_too_and_what_it_leaves_out_stands_at_its_end() {
    let body = json!({ "variants": [{ "language": "de", "subject": "s", "body": "<p>x</p>",
        "text": "Lesen Sie {{ content.title }} ({{ content.url }}), oder https://b.example/x." }] });
    let letter = letter(&read(&body).unwrap(), &[]);
    let utm = "utm_source=nurture&utm_medium=email&utm_campaign=newcomers&utm_content=savings";
    assert_eq!(
        letter.text,
        format!(
            "Lesen Sie Savings & <more> (https://www.company.example/savings?{utm}), oder https://b.example/x?{utm}.\n\
             \n{ADDRESS}\nAbmelden: https://preview.invalid/unsubscribe\n"
        )
    );
    assert_eq!(values(&letter.html, "a", "href"), ["https://preview.invalid/unsubscribe"]);
}

#[test]
fn a_letter_has_the_headers_that_mailboxes_want_and_reads_back_whole() {
    let lead = lead(&[("first_name", "Żaneta"), ("last_name", "王")]);
    let signer = signed(&lead);
    let template = Template::built_in().unwrap();
    let sent = composed(&template, &lead, "https://www.company.example/savings", Some(&signer)).unwrap();
    let bytes = mail::mime::write(&sent).unwrap().formatted();
    assert!(bytes.is_ascii() && bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
    let parsed = MessageParser::default().parse(&bytes).unwrap();
    let header = |name: &str| parsed.header_raw(name).map(|text| text.trim().to_owned());
    assert_eq!(header("List-Unsubscribe"), Some(format!("<{}>", signer.unsubscribe(Purpose::Marketing))));
    assert_eq!(header("List-Unsubscribe-Post").as_deref(), Some("List-Unsubscribe=One-Click"));
    assert_eq!(header("List-Id").as_deref(), Some("<newcomers.company.example>"));
    assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(parsed.message_id(), Some(format!("nurture.{}.3@company.example", lead.id).as_str()));
    assert_eq!(parsed.reply_to().unwrap().first().unwrap().address(), Some("ada.sales@company.example"));
    assert_eq!(parsed.subject(), Some("Savings & <more>"));
    assert_eq!(parsed.to().unwrap().first().unwrap().name(), Some("Żaneta 王"));
    assert!(parsed.body_text(0).unwrap().contains("Hello Żaneta,"));
    let html = parsed.body_html(0).unwrap();
    assert!(html.contains("Hello Żaneta,") && html.contains("Savings &amp; &lt;more&gt;"));
    assert!(!html.contains("fonts.googleapis") && !html.contains("http-equiv=refresh"));
    let tags: Vec<(&str, &str)> = sent.tags.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        tags,
        [("lead", lead.id.as_str()), ("message", "3"), ("program", "newcomers"), ("content", "savings")]
    );
}

#[test]
fn without_an_address_of_the_lead_of_the_company_or_of_its_site_there_is_no_letter() {
    let template = Template::built_in().unwrap();
    let mut nobody = lead(&[]);
    nobody.identities.clear();
    assert_eq!(composed(&template, &nobody, "https://a.example", None).unwrap_err(), ComposeError::NoAddress);
    let bare = Playbook::parse(&test_playbook()).unwrap();
    let (program, ada) = (slug("newcomers"), lead(&[]));
    let (from, signer) = (mailbox(), signed(&ada));
    let write = |playbook: &Playbook, ways: Ways<'_>| {
        write(&Order {
            lead: &ada,
            number: 1,
            playbook,
            program: Program { id: &program, name: "Newcomers" },
            content: &content("/papers/savings"),
            why: None,
            template: &template,
            from: &from,
            ways,
            now: time(NOON),
        })
    };
    let ways = Ways::of(&signer, &ada, &bare.nurture);
    assert_eq!(write(&bare, ways).unwrap_err(), ComposeError::NoPostalAddress);
    let mut homeless = PLAYBOOK.clone();
    homeless.nurture.site = None;
    assert_eq!(write(&homeless, ways).unwrap_err(), ComposeError::NoSite);
    assert!(write(&PLAYBOOK, ways).is_ok());
    let shown = write(&bare, Ways::Shown).unwrap();
    assert!(
        shown.text.contains("(your postal address)")
            && shown.html.contains("https://preview.invalid/papers/savings")
    );
}

#[test]
fn an_address_that_no_line_holds_is_seen_all_the_same() {
    let mut playbook = PLAYBOOK.clone();
    let address =
        "株式会社サンプル東京都千代田区丸の内一丁目二番三号丸の内サンプルビルディング十五階総務部広報課御中";
    playbook.nurture.postal_address = Some(address.to_owned());
    let (program, ada, from) = (slug("newcomers"), lead(&[]), mailbox());
    let written = write(&Order {
        lead: &ada,
        number: 1,
        playbook: &playbook,
        program: Program { id: &program, name: "Newcomers" },
        content: &content("https://a.example/x"),
        why: None,
        template: &Template::built_in().unwrap(),
        from: &from,
        ways: Ways::Shown,
        now: time(NOON),
    })
    .unwrap();
    assert_eq!(written.html.matches(address).count(), 1, "no footer says it again");
}

#[test]
fn what_is_tracked_is_what_the_playbook_says_and_the_lead_agreed_to() {
    let lead = lead(&[]);
    let signer = signed(&lead);
    let tracked = |opens: Track, clicks: Track, lead: &Lead| {
        let mut nurture = PLAYBOOK.nurture.clone();
        (nurture.opens, nurture.clicks) = (opens, clicks);
        match Ways::of(&signer, lead, &nurture) {
            Ways::Signed { opens, clicks, purpose: Purpose::Marketing, .. } => (opens, clicks),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tracked(Track::Always, Track::Never, &lead), (true, false));
    assert_eq!(tracked(Track::WithConsent, Track::WithConsent, &lead), (false, false));
    let mut agreed = lead.clone();
    agreed.consents.take(&ConsentFact {
        purpose: Purpose::Tracking,
        status: ConsentStatus::Confirmed,
        basis: Basis::Consent,
        text: None,
        source: None,
        at: time(NOON),
    });
    assert_eq!(tracked(Track::Never, Track::WithConsent, &agreed), (false, true));
    // What is not tracked leads straight on.
    let (program, from) = (slug("newcomers"), mailbox());
    let quiet = compose(&Order {
        lead: &lead,
        number: 3,
        playbook: &PLAYBOOK,
        program: Program { id: &program, name: "Newcomers" },
        content: &content("https://a.example/x"),
        why: Some("You asked for it."),
        template: &Template::built_in().unwrap(),
        from: &from,
        ways: Ways::Signed { links: &signer, purpose: Purpose::Marketing, opens: false, clicks: false },
        now: time(NOON),
    })
    .unwrap();
    assert!(
        values(&quiet.html, "img", "src").is_empty()
            && !quiet.html.contains("/t/c/")
            && !quiet.text.contains("/t/c/")
    );
    assert!(
        quiet.html.contains("https://a.example/x?utm_source=nurture")
            && quiet.text.contains("You asked for it.")
    );
}

#[test]
fn every_fault_of_a_template_is_named_at_once_with_its_place() {
    let long = "x".repeat(500);
    let body = json!({ "colour": "red", "name": 7, "variants": [
        { "language": "en", "fallback": true, "subject": "{{ lead.frist_name }}", "body": "{% set x = 1 %}{{ score }}" },
        { "language": "german", "subject": long, "preheader": 7, "size": 1 },
    ] });
    let mut places: Vec<String> = read(&body).unwrap_err().into_iter().map(|(place, _)| place).collect();
    places.sort();
    assert_eq!(
        places,
        [
            "/colour",
            "/name",
            "/variants/1/body",
            "/variants/1/language",
            "/variants/1/preheader",
            "/variants/1/size",
            "/variants/1/subject"
        ]
    );
    let body = json!({ "variants": [
        { "language": "en", "subject": "{{ lead.frist_name }}", "body": "{% set x = 1 %}{{ score }}" },
        { "language": "en", "subject": "a {{ b", "body": "<mjml><mj-body></mjml>" },
    ] });
    let mut faults = read(&body).unwrap_err();
    faults.sort();
    let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["/variants", "/variants/1"]);
    let body = json!({ "variants": [
        { "language": "en", "fallback": true, "subject": "{{ lead.frist_name }}", "body": "{% set x = 1 %}{{ score }}" },
        { "language": "de", "subject": "a {{ b", "body": "x" },
        { "language": "fr", "subject": "a", "preheader": "{{ lead.first_name }}", "body": "<mjml><mj-body></mjml>" },
    ] });
    let faults = read(&body).unwrap_err();
    let at =
        |place: &str| faults.iter().filter(|(p, _)| p == place).map(|(_, d)| d.as_str()).collect::<Vec<_>>();
    assert!(at("/variants/0/subject")[0].contains("\"lead.frist_name\""));
    assert_eq!(at("/variants/0/body").len(), 2);
    assert_eq!(at("/variants/1/subject").len(), 1);
    assert!(at("/variants/2/preheader")[0].contains("what a lead may lack"));
    assert!(at("/variants/2/body")[0].starts_with("is no MJML"), "{faults:?}");
}

#[test]
fn what_has_no_place_in_a_letter_is_a_fault() {
    let deep = format!("<mjml><mj-body>{}</mj-body></mjml>", "<mj-section>".repeat(200));
    let column = "<mj-divider />".repeat(300);
    let fat = format!(
        "<mjml><mj-body><mj-section><mj-column><mj-text>x</mj-text>{column}</mj-column></mj-section></mj-body></mjml>"
    );
    let long = "x".repeat(65 * 1024);
    for (body, word) in [
        ("<script>alert(1)</script>", "an element script"),
        ("<form action='/x'><input></form>", "an element form"),
        ("<base href='https://evil.example/'>", "an element base"),
        ("<a href='javascript:alert(1)'>x</a>", "leads nowhere"),
        ("<a href='papers/a'>x</a>", "leads nowhere"),
        ("<img src='logo.png'>", "a picture that is nowhere"),
        (
            "<a href='https://{{ lead.attributes.site | default(\"a.example\") }}/'>x</a>",
            "which strangers write",
        ),
        ("<a title={{ lead.first_name | default('x') }}>x</a>", "without quotation marks"),
        ("<mjml><mj-body><mj-include path='/etc/passwd' /></mj-body></mjml>", "mj-include"),
        ("<mjml><mj-body><mj-bogus>x</mj-bogus></mj-body></mjml>", "an element mj-bogus where"),
        (&deep, "deep in each other"),
        (&fat, "of which Gmail"),
        (&long, "is longer than 65536 bytes"),
        ("<p>x</p><style>p { color: red }", "leaves something open"),
        ("<p>x</p><!-- ", "leaves something open"),
        ("<p>{{ content }}</p>", "name the part"),
        ("<img src='https://a.example/x.png'>", "no pictures"),
        ("<mjml><mj-body>\n<mj-section <b></mj-body></mjml>", "is no MJML"),
        ("<html><plaintext><p>x", "leaves something open"),
    ] {
        let faults = read(&one(body)).expect_err(body);
        assert!(faults.iter().all(|(place, _)| place == "/variants/0/body"), "{faults:?}");
        assert!(faults.iter().any(|(_, detail)| detail.contains(word)), "{body}: {faults:?}");
    }
}

#[test]
fn what_a_stranger_typed_in_brings_no_link_and_no_address_into_a_letter() {
    let template =
        read(&one("<p>{{ lead.first_name | default('x') }} {{ lead.attributes.note | default('') }}</p>"))
            .unwrap();
    let letter = letter(
        &template,
        &[
            ("first_name", "Win https://evil.example now"),
            ("note", "write to eve@evil.example or www.evil.example"),
        ],
    );
    assert!(!letter.html.contains("evil") && !letter.text.contains("evil"), "{}", letter.text);
}

#[test]
fn mjml_and_html_as_a_part_or_a_whole_all_get_what_no_letter_lacks() {
    for body in [
        "Hi",
        "<p>Hi</p>",
        "<!DOCTYPE html><html><head><title>x</title></head><body class=\"b\"><p>Hi</p></body></html>",
        "<html><p>Hi</p></html>",
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>",
    ] {
        let mut sent = one(body);
        sent["variants"][0]["preheader"] = json!("Look {{ stage }} <b>");
        let lead = lead(&[]);
        let signer = signed(&lead);
        let letter = composed(&read(&sent).unwrap(), &lead, "https://a.example", Some(&signer)).unwrap();
        assert!(
            letter.html.contains("Look inquiry &lt;b&gt;") || letter.html.contains("&lt;b&gt;</div>"),
            "{}",
            letter.html
        );
        assert!(letter.html.contains("Straße 1 &amp; 2"), "{}", letter.html);
        assert_eq!(values(&letter.html, "a", "href"), [signer.unsubscribe(Purpose::Marketing)]);
        assert_eq!(values(&letter.html, "img", "src"), [signer.pixel()]);
        assert!(!letter.text.contains("Look"), "the line beside the subject is no part of the letter");
        assert!(letter.text.starts_with("Hi\n") && letter.text.contains(ADDRESS), "{}", letter.text);
    }
}

#[test]
fn a_letter_of_several_bytes_before_an_angle_bracket_breaks_no_mjml() {
    for text in ["฿>", "größer ä > 3", "王>", "é->", "<b title=\"é\">x</b>"] {
        let mjml = format!(
            "<mjml><mj-head><mj-style>.ü > b {{ color: red }}</mj-style></mj-head><mj-body><mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section></mj-body></mjml>"
        );
        let sent = letter(&read(&one(&mjml)).unwrap(), &[]);
        assert!(sent.html.contains("color: red"), "{}", sent.html);
    }
}

/// Texts that would like to be more than a text.
fn hostile() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "<script>alert(1)</script>",
        "\"><img onerror=x>",
        "' onclick='x",
        "-->",
        "]]>",
        "\r\nBcc: eve@evil.example\r\n",
        "\r\n\r\n<html>",
        "{{ lead }}",
        "{% raw %}",
        "</mj-text>",
        "<mj-raw><b>",
        "javascript:alert(1)",
        "https://evil.example/",
        "eve@evil.example",
        "\0",
        "\u{202e}",
        "&lt;b&gt;",
        "&",
        "=",
        "ä王",
        " ",
        "%0d%0aBcc:",
        "=?utf-8?q?x?=",
    ];
    let piece = prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "\\PC{0,12}"];
    proptest::collection::vec(piece, 0..6).prop_map(|parts| parts.concat())
}

const EVERYWHERE: &str = r#"<p title="{{ lead.first_name | default("x") }}" class='{{ lead.company | default("x") }}'>
    {{ lead.first_name | default("x") }} {{ lead.attributes.note | default("x") }}<!-- {{ lead.attributes.note | default("x") }} -->
    <a href="https://a.example/{{ lead.attributes.note | default("x") }}?q={{ lead.first_name | default("x") }}">x</a></p>"#;

const EVERYWHERE_MJML: &str = r#"<mjml><mj-body><mj-section><mj-column>
    <mj-text>{{ lead.first_name | default("x") }} {{ lead.attributes.note | default("x") }}</mj-text>
    <mj-button href="https://a.example/?q={{ lead.attributes.note | default("x") }}" title="{{ lead.first_name | default("x") }}">{{ lead.company | default("x") }}</mj-button>
    <mj-image src="https://a.example/x.png" alt="{{ lead.attributes.note | default("x") }}" />
    </mj-column></mj-section></mj-body></mjml>"#;

/// The names of a document's elements and of their attributes: its shape, whatever its texts are.
fn shape(html: &str) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let settings = RewriteStrSettings::new().append_element_content_handler(element!("*", |element| {
        let mut names: Vec<String> = element.attributes().iter().map(|attribute| attribute.name()).collect();
        names.insert(0, element.tag_name());
        found.borrow_mut().push(names.join(" "));
        Ok(())
    }));
    rewrite_str(html, settings).unwrap();
    found.into_inner()
}

static TEMPLATES: LazyLock<Vec<(Template, Vec<String>)>> = LazyLock::new(|| {
    [EVERYWHERE, EVERYWHERE_MJML]
        .into_iter()
        .map(|body| {
            let mut sent = one(body);
            sent["variants"][0]["subject"] = json!(
                "For {{ lead.first_name | default('you') }}: {{ lead.attributes.note | default('x') }}"
            );
            sent["variants"][0]["preheader"] = json!("{{ lead.attributes.note | default('x') }}");
            let template = read(&sent).unwrap();
            let shape = shape(&letter(&template, &[]).html);
            (template, shape)
        })
        .collect()
});

/// What templates are made of, in any order.
const PARTS: &[&str] = &[
    "<mjml>",
    "<mj-head>",
    "</mj-head>",
    "<mj-body>",
    "</mj-body>",
    "</mjml>",
    "<mj-section>",
    "</mj-section>",
    "<mj-column>",
    "</mj-column>",
    "<mj-text>",
    "</mj-text>",
    "<mj-button href=\"{{ content.url }}\">",
    "</mj-button>",
    "<mj-raw>",
    "</mj-raw>",
    "<mj-image src=\"/x.png\" />",
    "<mj-include path=\"x\" />",
    "<mj-style>",
    "{{ content.title }}",
    "{{ lead.first_name | default(stage) }}",
    "{% if persona %}",
    "{% endif %}",
    "{% for t in content.topics %}",
    "{% endfor %}",
    "<a href=",
    "\"",
    "'",
    ">",
    "</a>",
    "<table><tr><td>",
    "</td></tr></table>",
    "<!--",
    "-->",
    "<![CDATA[",
    "<style>",
    "</style>",
    "<body>",
    "</body>",
    "<html>",
    "&#0;",
    "&",
    "ä",
    "<title>",
    "<textarea>",
    "<plaintext>",
    "<svg>",
    "<li>",
    "<pre>",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_lead_is_called_its_letter_has_the_shape_of_its_template_and_no_header_more(
        first in hostile(), note in hostile(), company in hostile(),
    ) {
        for (template, shape_of_all) in TEMPLATES.iter() {
            let mut lead = lead(&[("first_name", &first), ("note", &note), ("full_name", &note)]);
            lead.company.name = Some(company.clone());
            let sent = composed(template, &lead, "https://a.example/x", None).unwrap();
            prop_assert_eq!(&shape(&sent.html), shape_of_all, "{}", sent.html);
            for href in values(&sent.html, "a", "href") {
                prop_assert!(href.starts_with("https://a.example/") || href == "https://preview.invalid/unsubscribe", "{}", href);
            }
            let bytes = mail::mime::write(&sent).unwrap().formatted();
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            let mut names: Vec<String> = parsed.headers().iter().map(|header| header.name().to_lowercase()).collect();
            names.sort();
            prop_assert_eq!(names, ["auto-submitted", "content-type", "date", "from", "list-id", "list-unsubscribe",
                "list-unsubscribe-post", "message-id", "mime-version", "reply-to", "subject", "to"]);
            let to = parsed.to().unwrap();
            prop_assert_eq!(to.iter().filter_map(|to| to.address()).collect::<Vec<_>>(), ["ada@company.example"]);
        }
    }

    #[test]
    fn a_template_of_any_shape_is_refused_or_makes_a_letter_for_everybody(
        parts in proptest::collection::vec(
            prop_oneof![6 => proptest::sample::select(PARTS).prop_map(str::to_owned), 1 => "\\PC{0,9}"], 1..30),
        whole in any::<bool>(), note in hostile(),
    ) {
        let mut body = parts.concat();
        if whole {
            body = format!("<mjml><mj-body><mj-section><mj-column><mj-text>{body}</mj-text></mj-column></mj-section></mj-body></mjml>");
        }
        let Ok(template) = read(&one(&body)) else { return Ok(()) };
        for lead in [lead(&[]), lead(&[("first_name", &note), ("language", &note)])] {
            let sent = composed(&template, &lead, "/x", None);
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => return Err(TestCaseError::fail(format!("{body}: {error}"))),
            };
            prop_assert!(mail::mime::write(&sent).is_ok());
            for text in [plain::from_html(&sent.html).unwrap(), sent.text] {
                prop_assert!(plain::shows(&text, ADDRESS) && text.contains("preview.invalid/unsubscribe"), "{}", text);
            }
        }
    }
}
