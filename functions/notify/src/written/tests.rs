use super::*;
use domain::score::{Engagement, Fit, Label};

/// What strangers type into fields.
const HOSTILE: &str =
    "</p><script>alert(1)</script>\"'><img src=x onerror=y>\r\nBcc: eve@evil.example\u{202e}\u{0}";

fn introduction(text: &str) -> Introduction {
    Introduction {
        name: text.to_owned(),
        company: Some(format!("{text} Ltd.")),
        title: Some(text.to_owned()),
        label: Label { fit: Fit::A, engagement: Engagement::One },
        persona: Some(text.to_owned()),
        phase: Some(domain::phase::Phase::Decision),
        reasons: vec![text.to_owned(), text.to_owned()],
    }
}

fn a_hand_over<'a>(lead: &'a Introduction, to: &'a str, why: Why) -> Handed<'a> {
    Handed {
        to,
        lead,
        why,
        did: vec![("Monday".to_owned(), lead.name.clone())],
        answer_by: Some(("Tuesday".to_owned(), false)),
        page: Some("https://crm.example/leads/1?a=1&b=2".to_owned()),
        confirm: Some("https://api.example/t/f/token".to_owned()),
        answers: ANSWERS.iter().map(|(_, word, said)| (*word, *said)).collect(),
    }
}

fn row(text: &str) -> Row {
    Row {
        lead: introduction(text),
        stage: Stage::MarketingQualified,
        is_new: true,
        promise: Some(("Monday".to_owned(), true)),
        page: Some("https://crm.example/leads/1?a=1&b=2".to_owned()),
    }
}

/// Takes the tags out of a document and gives their names, in order.
fn tags(html: &str) -> Vec<String> {
    let names =
        html.split('<').skip(1).map(|rest| rest.split([' ', '>', '/']).next().unwrap().to_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn nothing_that_a_stranger_typed_becomes_a_tag_a_line_or_a_turn_of_direction() {
    let (hostile, plain) = (introduction(HOSTILE), introduction("Ada"));
    let written = [
        (
            handed(&a_hand_over(&hostile, HOSTILE, Why::Ready)),
            handed(&a_hand_over(&plain, "Anna", Why::Ready)),
        ),
        (digest(HOSTILE, 30, 1, 1, &[row(HOSTILE)]), digest("Anna", 30, 1, 1, &[row("Ada")])),
    ];
    for ((subject, text, html), (_, plain_text, plain_html)) in written {
        assert_eq!(tags(&html), tags(&plain_html), "{html}");
        assert_eq!(text.lines().count(), plain_text.lines().count(), "{text}");
        assert!(text.lines().all(|line| !line.starts_with("Bcc:")), "{text}");
        for part in [&subject, &text, &html] {
            assert!(!part.contains(['\u{202e}', '\u{0}', '\r']), "{part:?}");
        }
        assert!(!subject.contains('\n'), "{subject:?}");
        assert!(html.contains("href=\"https://crm.example/leads/1?a=1&amp;b=2\""), "{html}");
    }
}

#[test]
fn a_name_of_a_thousand_letters_is_cut_and_the_mail_stays_small() {
    let long = "x".repeat(100_000);
    let (subject, text, html) = handed(&a_hand_over(&introduction(&long), &long, Why::Given));
    assert!(
        subject.chars().count() < 200 && text.len() < 3_000 && html.len() < 5_000,
        "{} {}",
        text.len(),
        html.len()
    );
    let rows: Vec<Row> = (0..25).map(|_| row(&long)).collect();
    let (_, text, html) = digest(&long, 25, 25, 25, &rows);
    assert!(text.len() < 20_000 && html.len() < 30_000, "{} {}", text.len(), html.len());
}

#[test]
fn a_mail_loads_nothing_and_links_only_where_it_says() {
    let lead = introduction("Ada");
    let (_, text, html) = handed(&a_hand_over(&lead, "Anna", Why::Unanswered));
    let links: Vec<&str> =
        html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let answer = "https://api.example/t/f/token";
    let [accepted, not_ready, rejected] =
        ["accepted", "not_ready", "rejected"].map(|word| format!("{answer}#{word}"));
    assert_eq!(links, [&accepted, &not_ready, &rejected, "https://crm.example/leads/1?a=1&amp;b=2"]);
    assert!(!html.contains("src=") && !html.contains("url("), "{html}");
    assert!(text.contains(&format!("Accept, Not ready yet, Reject:\n{answer}\n")), "{text}");
    assert!(text.contains("nobody answered this lead in time"), "{text}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let lead = Introduction {
        company: Some("Ada".to_owned()),
        title: None,
        persona: None,
        phase: None,
        reasons: Vec::new(),
        ..introduction("Ada")
    };
    let bare = Handed {
        did: Vec::new(),
        answer_by: None,
        page: None,
        confirm: None,
        ..a_hand_over(&lead, "Anna", Why::Ready)
    };
    let (subject, text, html) = handed(&bare);
    assert_eq!(subject, "New lead: Ada (A1)", "a company called as its lead is not named twice");
    assert_eq!(text, "Anna, this lead is ready, and yours:\n\nAda\nlabel A1\n");
    assert!(!html.contains("href") && !html.contains("<ul"), "{html}");
    let (subject, ..) = digest("Anna", 1, 0, 0, &[row("Ada")]);
    assert_eq!(subject, "Your inbox: 1 lead");
}
