//! The dossier to be pasted into the note of a CRM: as Markdown, and as a page.
//!
//! What stands in it was written by others, strangers among them. In HTML every value is escaped when the page is put
//! together; in Markdown each mark that would mean something is taken its meaning, and what may be an address is shown as
//! code. Neither loads or links anything. It is short: what a caller reads in a minute, the rest is in the JSON.

use super::brief::Brief;
use adapters::markdown::plain;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// How many lines of the story are shown.
const MOST_LINES: usize = 12;
/// How many pieces of content, campaigns and reports are shown.
const MOST_OF_EACH: usize = 5;

/// Its looks; without any of it the page reads as well.
const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 46rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1rem; margin: 1.1rem 0 .25rem; border-bottom: 1px solid #d0d5db; }
p { margin: .2rem 0; } ul { margin: .2rem 0; padding-left: 1.2rem; } li { margin: .1rem 0; }
small { color: #57606a; } .next { background: #fff4d6; border-left: 4px solid #b7791f; padding: .5rem .8rem; margin: .8rem 0; }
s { color: #57606a; } @page { margin: 15mm; } h2 { break-after: avoid; } li { break-inside: avoid; }
";

/// A part with its lines; a line may have a smaller one beneath it.
struct Part {
    title: &'static str,
    lines: Vec<(String, Option<String>)>,
}

/// What is called how many are left out.
fn more(lines: &mut Vec<(String, Option<String>)>, all: usize, shown: usize) {
    if all > shown {
        lines.push((format!("and {} more", all - shown), None));
    }
}

fn title(brief: &Brief) -> String {
    let who = &brief.who;
    let name =
        who.name.as_deref().or(who.reach.first().map(String::as_str)).unwrap_or("A lead without a name");
    match &who.company {
        Some(company) => format!("{name}, {company}"),
        None => name.to_owned(),
    }
}

/// The lines under the title.
fn head(brief: &Brief) -> Vec<String> {
    let who = &brief.who;
    let about: Vec<&str> = [&who.job_title, &who.country].into_iter().flatten().map(String::as_str).collect();
    let mut lines = Vec::new();
    if !about.is_empty() {
        lines.push(about.join(", "));
    }
    if !who.reach.is_empty() {
        lines.push(who.reach.join(", "));
    }
    lines.extend([brief.standing.clone(), format!("Consent: {}", brief.consent)]);
    lines
}

fn trend(brief: &Brief) -> Option<String> {
    let trend = brief.trend.as_ref()?;
    let ago = |point: &super::brief::TrendPoint| {
        let change = point.change?;
        Some(format!("{change:+} points in {} days", point.days_ago))
    };
    let ago: Vec<String> = trend.points.iter().filter_map(ago).collect();
    let ago = if ago.is_empty() { "new".to_owned() } else { ago.join(", ") };
    Some(format!("{} ({ago})", trend.direction))
}

fn parts(brief: &Brief) -> Vec<Part> {
    let bare = |text: &String| (text.clone(), None);
    let mut score = vec![(brief.score.clone(), trend(brief))];
    score.extend(brief.score_because.iter().map(bare));
    let talk = brief.talking_points.iter();
    let talk = talk.map(|point| (format!("{}: {}", point.how, point.text), Some(point.because.clone())));
    let persona = brief.persona_card.iter().flat_map(|card| {
        let worries =
            card.concerns.iter().map(|said| (format!("Concern: {}", said.text), Some(said.says.to_owned())));
        std::iter::once((card.name.clone(), card.portrait.clone())).chain(worries)
    });
    let mut story: Vec<_> = (brief.story.iter().take(MOST_LINES))
        .map(|line| (line.says.clone(), (!line.then.is_empty()).then(|| line.then.join("; "))))
        .collect();
    more(&mut story, brief.story.len(), MOST_LINES);
    let mut content: Vec<_> = (brief.content.iter().take(MOST_OF_EACH))
        .map(|had| {
            let reaction =
                if had.reaction.is_empty() { had.had_by.to_owned() } else { had.reaction.join("; ") };
            (had.title.clone().unwrap_or_else(|| had.content_id.clone()), Some(reaction))
        })
        .collect();
    more(&mut content, brief.content.len(), MOST_OF_EACH);
    let mut campaigns: Vec<_> = (brief.campaigns.iter().take(MOST_OF_EACH))
        .map(|one| {
            let name = one.name.as_ref().or(one.campaign.as_ref()).or(one.channel.as_ref());
            let name = name.map_or("no campaign", String::as_str);
            let times = if one.touches == 1 { "once".to_owned() } else { format!("{} times", one.touches) };
            let said = (!one.said.is_empty()).then(|| one.said.join("; "));
            (format!("{name}, {times}, last on {}", one.last_at.split('T').next().unwrap_or_default()), said)
        })
        .collect();
    more(&mut campaigns, brief.campaigns.len(), MOST_OF_EACH);
    let standing = brief.feedback.iter().filter(|one| !one.withdrawn);
    let mut feedback: Vec<_> = standing
        .clone()
        .take(MOST_OF_EACH)
        .map(|one| (one.says.clone(), one.at.split('T').next().map(str::to_owned)))
        .collect();
    more(&mut feedback, standing.count(), MOST_OF_EACH);
    let similar = brief.similar_won.iter().map(|one| bare(&one.says)).collect();
    vec![
        Part { title: "What to talk about", lines: talk.collect() },
        Part { title: "Persona", lines: persona.collect() },
        Part { title: "Score", lines: score },
        Part { title: "What happened", lines: story },
        Part { title: "Content", lines: content },
        Part { title: "Campaigns", lines: campaigns },
        Part { title: "What sales reported", lines: feedback },
        Part { title: "Won, and alike", lines: similar },
    ]
}

/// Gives the dossier as Markdown.
#[must_use]
pub fn markdown(brief: &Brief) -> String {
    let mut lines = vec![format!("# {}", plain(&title(brief))), String::new()];
    lines.extend(head(brief).iter().map(|line| format!("* {}", plain(line))));
    let next = &brief.next_step;
    lines.push(String::new());
    lines.push(format!("**Next: {}** Because {}.", plain(&next.says), plain(&next.because)));
    lines.extend(next.mind.iter().map(|mind| format!("**Mind:** {}", plain(mind))));
    for part in parts(brief).into_iter().filter(|part| !part.lines.is_empty()) {
        lines.extend([String::new(), format!("## {}", part.title), String::new()]);
        for (line, beneath) in part.lines {
            let beneath = beneath.map(|text| format!(" – {}", plain(&text))).unwrap_or_default();
            lines.push(format!("* {}{beneath}", plain(&line)));
        }
    }
    lines.extend([String::new(), format!("As of {}.", brief.as_of), String::new()]);
    lines.join("\n")
}

/// Gives the dossier as a page.
#[must_use]
pub fn html(brief: &Brief) -> String {
    page(brief).into_string()
}

fn page(brief: &Brief) -> Markup {
    let next = &brief.next_step;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title(brief)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title(brief)) }
                @for line in head(brief) { p { (line) } }
                div.next {
                    p { b { "Next: " (next.says) } }
                    p { "Because " (next.because) "." }
                    @for mind in &next.mind { p { b { (mind) } } }
                }
                @for part in parts(brief).iter().filter(|part| !part.lines.is_empty()) {
                    h2 { (part.title) }
                    ul {
                        @for (line, beneath) in &part.lines {
                            li {
                                (line)
                                @if let Some(beneath) = beneath { " " small { "– " (beneath) } }
                            }
                        }
                    }
                }
                p { small { "As of " (brief.as_of) "." } }
            }
        }
    }
}
