//! What changed between two playbooks, in words, and who has to agree to it.
//!
//! Both documents are brought into the one form that their meaning has (`meaning`) and compared there, field by field.
//! So what means the same is no difference, however it is written; and since every field that differs makes a phrase,
//! with words of its own or as "… changed", no change can hide behind words that nobody wrote for it.
//!
//! Who has to agree follows from the section alone: what marketing sends, and to whom, is marketing's; everything else
//! decides which leads sales gets and what it owes them. One exception: where the definition of a ready lead asks for
//! its persona, who mirrors which persona is both teams'.

mod meaning;
mod words;

use crate::calendar::Week;
use crate::country::Country;
use crate::export::FIXED;
use crate::persona::Aspect;
use crate::phase::Phase;
use crate::playbook::territories::PRIORITY;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use meaning::tests as meaning_of_tests;
use words::{Words, list, quoted};
pub use words::{condition_at, condition_of, in_words, reasons_in_words};

/// The sections to which marketing agrees alone.
const MARKETING: &[&str] =
    &["personas", "phases", "topics", "segments", "exports", "content", "nurture", "programs"];

/// The sections in the order in which people read them; others follow.
const ORDER: &[&str] = &[
    "name",
    "timezone",
    "signals",
    "fit",
    "engagement",
    "bands",
    "lead_when",
    "marketing_qualified",
    "regions",
    "territories",
    "default_qualifier",
    "promises",
    "reasons",
    "consent",
    "machines",
    "forms",
    "personas",
    "phases",
    "topics",
    "segments",
    "nurture",
    "programs",
    "exports",
];

/// Who has to agree to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agree {
    /// Marketing and sales.
    Both,
    /// Marketing alone.
    Marketing,
}

impl Agree {
    /// Gives the word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Marketing => "marketing",
        }
    }
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Who has to agree to it.
    pub agree: Agree,
    /// The section of the document.
    pub section: String,
    /// The id of the rule, territory, form or whatever else in the section changed, where one did.
    pub subject: Option<String>,
    /// What changed, in words.
    pub text: String,
}

/// Tells whether sales has to agree to any of the differences.
#[must_use]
pub fn needs_sales(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| difference.agree == Agree::Both)
}

/// Writes the hours of a week for people.
fn hours(written: Option<&Value>) -> String {
    written.and_then(Week::of).map_or_else(|| "as for all mails".to_owned(), |week| week.to_string())
}

/// Says what changed from one playbook's document to another's, what both teams must agree to first.
///
/// Where there was none before (`null` or an empty object), both must agree to each section as a whole.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Vec<Difference> {
    if from.is_null() || from.as_object().is_some_and(Map::is_empty) {
        let sections = to.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        return in_order(sections.map(|(section, _)| section.as_str()))
            .map(|section| Difference {
                agree: Agree::Both,
                section: section.to_owned(),
                subject: None,
                text: "everything is new".to_owned(),
            })
            .collect();
    }
    let sides = Sides {
        from: meaning::playbook(from),
        to: meaning::playbook(to),
        words_from: Words::of(from),
        words_to: Words::of(to),
    };
    let mut differences = Vec::new();
    for section in in_order(sides.from.keys().chain(sides.to.keys()).map(String::as_str)) {
        differences.extend(sides.section(section).into_iter().map(|(subject, text)| Difference {
            agree: sides.agree(section, subject.as_deref()),
            section: section.to_owned(),
            subject,
            text,
        }));
    }
    differences.sort_by_key(|difference| difference.agree);
    differences
}

fn in_order<'a>(sections: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let place = |section: &&str| ORDER.iter().position(|known| known == section).unwrap_or(ORDER.len());
    let mut sections: Vec<&str> = sections.collect::<BTreeSet<_>>().into_iter().collect();
    sections.sort_by_key(place);
    sections.into_iter()
}

/// A line about one subject.
type Line = (Option<String>, String);
type Fields = Map<String, Value>;

/// Both playbooks in the form of `meaning`, with the words of each.
struct Sides<'a> {
    from: Fields,
    to: Fields,
    words_from: Words<'a>,
    words_to: Words<'a>,
}

impl Sides<'_> {
    /// Says who has to agree to what changed about a subject of a section.
    fn agree(&self, section: &str, subject: Option<&str>) -> Agree {
        if !MARKETING.contains(&section) {
            return Agree::Both;
        }
        let mirrors = |side: &Fields| {
            let persona = fields_of(inner(side, "personas").get(subject.unwrap_or_default()));
            (persona.get("when").cloned(), persona.get("priority").cloned())
        };
        let decides = [&self.from, &self.to].into_iter().any(|side| {
            let qualified = inner(side, "marketing_qualified");
            let territories = inner(side, "territories");
            let asks = |fields: &Fields| fields.get("when").is_some_and(asks_for_personas);
            asks(&qualified) || territories.values().filter_map(Value::as_object).any(asks)
        });
        if section == "personas" && decides && mirrors(&self.from) != mirrors(&self.to) {
            return Agree::Both;
        }
        Agree::Marketing
    }

    fn section(&self, section: &str) -> Vec<Line> {
        let (from, to) = (self.from.get(section), self.to.get(section));
        if from == to {
            return Vec::new();
        }
        let one = |text: String| vec![(None, text)];
        let (before, after) = (fields_of(from), fields_of(to));
        let lines = match section {
            "name" | "timezone" => {
                let what = if section == "name" { "Name" } else { "Time zone" };
                one(arrow(what, &said(from), &said(to), ""))
            }
            "signals" => self.items("signal", &before, &after, &signal, &|before, after| {
                let mut phrases =
                    each(before, after, &["title", "kind", "where"], |key, from, to| match key {
                        "kind" => Some(arrow("kind", &kinds(from), &kinds(to), "")),
                        "where" => Some(arrow("where", &asked(from), &asked(to), "")),
                        _ => None,
                    });
                if ["kind", "where"].iter().any(|key| before.get(*key) != after.get(*key)) {
                    phrases.push("its counts start anew".to_owned());
                }
                phrases
            }),
            "fit" | "engagement" => self.rules(&before, &after),
            "bands" => bands(&before, &after),
            "lead_when" => one(format!("A contact becomes a lead {}", self.becomes_lead(from, to))),
            "marketing_qualified" => self.marketing_qualified(&before, &after),
            "regions" => self.items(
                "region",
                &before,
                &after,
                &|_, region| countries(region.get("countries")).join(", "),
                &|before, after| {
                    each(before, after, &["title", "countries"], |key, from, to| {
                        (key == "countries").then(|| now_and_no_longer(&countries(from), &countries(to)))?
                    })
                },
            ),
            "territories" => self.territories(&before, &after),
            "default_qualifier" => {
                one(arrow("All other countries: qualifier", &person(from), &person(to), ""))
            }
            "promises" => self.promises(&before, &after),
            "reasons" => self.reasons(&before, &after),
            "consent" => lines(each(&before, &after, &[], |key, from, to| {
                let changed = || now_and_no_longer(&countries(from), &countries(to));
                let enough = match key {
                    "single_opt_in" => "A tick is consent enough",
                    "soft_opt_in" => "Customers are written to until they object",
                    _ => return None,
                };
                changed().map(|text| format!("{enough}, {text}"))
            })),
            "machines" => lines(each(&before, &after, &[], |key, from, to| {
                let changed = || now_and_no_longer(&texts(from), &texts(to));
                (key == "withhold").then(changed)?.map(|text| {
                    format!("What machines do with our mails is withheld by rule, {text}; signals of mails are counted anew")
                })
            })),
            "forms" => self.items("form", &before, &after, &|_, _| String::new(), &form),
            "personas" => self.items("persona", &before, &after, &|_, _| String::new(), &|before, after| {
                self.persona(before, after)
            }),
            "phases" => {
                let order: Vec<&str> = Phase::WORDS.iter().map(|(word, _)| *word).collect();
                lines(each(&before, &after, &order, |phase, from, to| {
                    Some(self.conditions(&format!("{phase}:"), from, to))
                }))
            }
            "topics" => self.items("topic", &before, &after, &|_, _| String::new(), &|before, after| {
                each(before, after, &["title", "keywords"], |key, from, to| {
                    let changed = || now_and_no_longer(&texts(from), &texts(to));
                    (key == "keywords").then(changed)?.map(|text| format!("keywords {text}"))
                })
            }),
            "segments" => self.items(
                "segment",
                &before,
                &after,
                &|words, segment| segment.get("when").map(|when| words.condition(when)).unwrap_or_default(),
                &|before, after| {
                    each(before, after, &["title", "when"], |key, from, to| {
                        (key == "when").then(|| self.conditions("who:", from, to))
                    })
                },
            ),
            "nurture" => lines(each(&before, &after, &["postal_address", "hours"], |key, from, to| {
                let key = key.replace('_', " ");
                match key.as_str() {
                    "hours" => Some(format!("hours {}", hours(to))),
                    "holidays" => {
                        now_and_no_longer(&texts(from), &texts(to)).map(|text| format!("{key} {text}"))
                    }
                    _ if from.is_some_and(Value::is_object) || to.is_some_and(Value::is_object) => None,
                    _ => Some(arrow(&key, &said(from), &said(to), "")),
                }
            })),
            "programs" => self.items(
                "program",
                &before,
                &after,
                &|words, program| program.get("audience").map(|who| words.condition(who)).unwrap_or_default(),
                &|before, after| {
                    each(before, after, &["title", "audience", "goal", "exit"], |key, from, to| match key {
                        "audience" => Some(self.conditions("who:", from, to)),
                        "goal" | "exit" if from.is_some() && to.is_some() => {
                            Some(self.conditions(&format!("{key}:"), from, to))
                        }
                        "goal" | "exit" => None,
                        "hours" => Some(format!("hours {}", hours(to))),
                        "given_back_for" => now_and_no_longer(&texts(from), &texts(to))
                            .map(|text| format!("given back for {text}")),
                        "content" => Some(match to {
                            Some(Value::Array(_)) => {
                                format!("content in this order: {}", texts(to).join(", "))
                            }
                            _ => "content: what did best".to_owned(),
                        }),
                        _ => Some(arrow(&key.replace('_', " "), &said(from), &said(to), "")),
                    })
                },
            ),
            "exports" => self.items("export", &before, &after, &export, &|before, after| {
                const KEYS: &[&str] = &[
                    "title", "segment", "preset", "columns", "format", "purpose", "since", "every",
                    "weekday", "at",
                ];
                each(before, after, KEYS, |key, from, to| match key {
                    "segment" => {
                        let title =
                            |words: Words<'_>, id| words.title("segments", str_of(id).unwrap_or_default());
                        let (a, b) = (title(self.words_from, from), title(self.words_to, to));
                        let (a, b) = if a == b { (said(from), said(to)) } else { (a, b) };
                        Some(arrow("segment", &a, &b, ""))
                    }
                    "columns" if from.is_some() && to.is_some() => {
                        let changed = now_and_no_longer(&texts(from), &texts(to));
                        Some(
                            changed.map_or("columns in another order".to_owned(), |text| {
                                format!("columns {text}")
                            }),
                        )
                    }
                    // A preset says what stands in it.
                    "columns" => {
                        Some(format!("{} columns of one's own", if to.is_some() { "now" } else { "no" }))
                    }
                    "purpose" => Some(arrow("for the purpose", &said(from), &said(to), "")),
                    "since" => Some(arrow("holds", holds(from), holds(to), "")),
                    _ => Some(arrow(key, &said(from), &said(to), "")),
                })
            }),
            _ => Vec::new(),
        };
        if lines.is_empty() { one(format!("{} changed", section.replace('_', " "))) } else { lines }
    }

    /// Says which items are new, gone or changed; `whole` says one of them, `changed` what differs in it.
    fn items(
        &self,
        noun: &str,
        before: &Fields,
        after: &Fields,
        whole: &dyn Fn(&Words<'_>, &Fields) -> String,
        changed: &dyn Fn(&Fields, &Fields) -> Vec<String>,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        for id in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (from, to) = (before.get(id), after.get(id));
            if from == to {
                continue;
            }
            let (old, new) = (fields_of(from), fields_of(to));
            let with = |text: String| if text.is_empty() { text } else { format!(": {text}") };
            let text = if from.is_none() {
                // What has no words as a whole is said field by field, beside one in which nothing is filled in.
                let whole = Some(whole(&self.words_to, &new)).filter(|text| !text.is_empty());
                let text = whole.unwrap_or_else(|| {
                    let mut blank = new.clone();
                    blank.retain(|key, value| key == "title" || value.as_array().is_some_and(Vec::is_empty));
                    joined(&changed(&blank, &new))
                });
                format!("New {noun} {}{}", quoted(&title(&new)), with(text))
            } else if to.is_none() {
                format!("No {noun} {} any more{}", quoted(&title(&old)), with(whole(&self.words_from, &old)))
            } else {
                let mut phrases = changed(&old, &new);
                if old.get("title") != new.get("title") {
                    phrases.insert(0, format!("renamed from {}", quoted(&title(&old))));
                }
                format!("{}: {}", title(&new), joined(&phrases))
            };
            lines.push((Some(id.clone()), text));
        }
        lines
    }

    fn rules(&self, before: &Fields, after: &Fields) -> Vec<Line> {
        let (groups_before, groups_after) = (inner(before, "groups"), inner(after, "groups"));
        let points =
            |cap: Option<&Value>| cap.map_or_else(|| "none".to_owned(), |cap| format!("{cap} points"));
        let mut lines = self.items(
            "group",
            &groups_before,
            &groups_after,
            &|_, group| {
                group.get("cap").map_or_else(|| "no cap".to_owned(), |cap| format!("cap {cap} points"))
            },
            &|before, after| {
                each(before, after, &["title", "cap"], |key, from, to| {
                    (key == "cap").then(|| match (from, to) {
                        (Some(from), Some(to)) => arrow("cap", &from.to_string(), &to.to_string(), " points"),
                        _ => arrow("cap", &points(from), &points(to), ""),
                    })
                })
            },
        );
        let group = |groups: &Fields, id: Option<&Value>| {
            let id = id.and_then(Value::as_str).unwrap_or_default();
            quoted(&title(&fields_of(groups.get(id))))
        };
        lines.extend(self.items(
            "rule",
            &inner(before, "rules"),
            &inner(after, "rules"),
            &rule,
            &|old, new| {
                let counts = |rule: &Fields| rule.contains_key("signal");
                // Where a rule counted and now asks, or the other way round, its fields do not compare.
                if counts(old) != counts(new) {
                    let (from, to) = (rule(&self.words_from, old), rule(&self.words_to, new));
                    let mut phrases = vec![arrow("now", &from, &to, "")];
                    phrases.extend(
                        (old.get("group") != new.get("group")).then(|| {
                            format!("moved to the group {}", group(&groups_after, new.get("group")))
                        }),
                    );
                    return phrases;
                }
                let order = ["title", "group", "points", "signal", "when", "max_hits", "half_life_days"];
                each(old, new, &order, |key, from, to| {
                    Some(match key {
                        "group" => {
                            let (from, to) = (group(&groups_before, from), group(&groups_after, to));
                            format!("moved from the group {from} to {to}")
                        }
                        "points" => format!("{} → {} points", said(from), said(to)),
                        "signal" => {
                            let title =
                                |words: Words<'_>, id| words.title("signals", str_of(id).unwrap_or_default());
                            let (a, b) = (title(self.words_from, from), title(self.words_to, to));
                            let (a, b) = if a == b { (said(from), said(to)) } else { (a, b) };
                            arrow("for each", &a, &b, "")
                        }
                        "when" => self.conditions("when", from, to),
                        "max_hits" => arrow("counted at most", &said(from), &said(to), " times"),
                        "half_life_days" => match (from, to) {
                            (None, _) => format!("never faded, now half-life {} days", said(to)),
                            (_, None) => format!("half-life {} days → never fades", said(from)),
                            _ => arrow("half-life", &said(from), &said(to), " days"),
                        },
                        _ => return None,
                    })
                })
            },
        ));
        lines
    }

    fn reasons(&self, before: &Fields, after: &Fields) -> Vec<Line> {
        let kinds = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
        let then = |then: Option<&Value>| match str_of(then) {
            Some("disqualify") => "then disqualified".to_owned(),
            Some("nurture") => "then kept warm".to_owned(),
            _ => String::new(),
        };
        let of_kind = |kind: &String| {
            let noun = format!("reason for {}", kind.replace('_', " "));
            self.items(
                &noun,
                &inner(before, kind),
                &inner(after, kind),
                &|_, reason| then(reason.get("then")),
                &|before, after| {
                    each(before, after, &["title", "then"], |key, from, to| {
                        (key == "then").then(|| format!("{} → {}", then(from), then(to)))
                    })
                },
            )
        };
        kinds.into_iter().flat_map(of_kind).collect()
    }

    fn persona(&self, before: &Fields, after: &Fields) -> Vec<String> {
        const KEYS: &[&str] = &["title", "when", "priority", "portrait", "channels"];
        each(before, after, KEYS, |key, from, to| {
            if let Some((word, _)) = Aspect::WORDS.iter().find(|(word, _)| *word == key) {
                let (from, to) = (fields_of(from), fields_of(to));
                let said = |statements: &Fields| -> Vec<String> {
                    let say = |(id, statement): (&String, &Value)| {
                        let field = |key| said(statement.get(key));
                        format!("{id} {} ({})", field("text"), field("basis"))
                    };
                    statements.iter().map(say).collect()
                };
                let changed = now_and_no_longer(&said(&from), &said(&to));
                return changed.map(|text| format!("{word} {text}"));
            }
            match key {
                "when" if from.is_none() => to.map(|when| format!("who: {}", self.words_to.condition(when))),
                "when" => Some(self.conditions("who:", from, to)),
                "priority" if from.is_none() => Some(format!("priority {}", said(to))),
                "priority" => Some(arrow("priority", &said(from), &said(to), "")),
                "channels" => {
                    now_and_no_longer(&texts(from), &texts(to)).map(|text| format!("channels {text}"))
                }
                _ => None,
            }
        })
    }

    fn becomes_lead(&self, from: Option<&Value>, to: Option<&Value>) -> String {
        let say = |words: Words<'_>, when: Option<&Value>| match when {
            Some(condition) if condition.is_object() => format!("when {}", words.condition(condition)),
            _ => "with any response".to_owned(),
        };
        match (say(self.words_from, from), say(self.words_to, to)) {
            (a, b) if a == b => self.conditions("when", from, to),
            (a, b) => format!("{a} → {b}"),
        }
    }

    fn marketing_qualified(&self, before: &Fields, after: &Fields) -> Vec<Line> {
        lines(each(before, after, &["labels", "when"], |key, from, to| match key {
            "labels" => now_and_no_longer(&texts(from), &texts(to)).map(|text| format!("Qualifies {text}")),
            "when" => Some(match (from, to) {
                (None, Some(when)) => format!("Asked besides: {}", self.words_to.condition(when)),
                (Some(when), None) => format!("Asked no longer: {}", self.words_from.condition(when)),
                _ => self.conditions("Asked besides:", from, to),
            }),
            _ => None,
        }))
    }

    /// Says a condition as it was and as it is; by ids where both read the same by titles.
    fn conditions(&self, what: &str, from: Option<&Value>, to: Option<&Value>) -> String {
        let say = |words: Words<'_>, when: Option<&Value>| {
            when.map_or_else(|| "nothing".to_owned(), |when| words.condition(when))
        };
        let (mut a, mut b) = (say(self.words_from, from), say(self.words_to, to));
        if a == b {
            let ids = Words::of(&Value::Null);
            (a, b) = (say(ids, from), say(ids, to));
        }
        arrow(what, &a, &b, "")
    }

    fn promises(&self, before: &Fields, after: &Fields) -> Vec<Line> {
        const KEYS: &[&str] =
            &["first_answer_hours", "due_soon_percent", "working_hours", "follow_up", "marketing"];
        let hours = |hours: Option<&Value>| match hours.and_then(Week::of) {
            Some(week) => week.to_string(),
            None => "all hours".to_owned(),
        };
        let (mut delivered, mut without) = (Vec::new(), [before.clone(), after.clone()]);
        let [old, new] = without.each_mut().map(|side| fields_of(side.remove("marketing").as_ref()));
        for id in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let (from, to) = (old.get(id), new.get(id));
            if from != to {
                let (from, to) = (delivery(from), delivery(to));
                let words = if to == "nothing" { self.words_from } else { self.words_to };
                let place = match id.as_str() {
                    "" => "where there is no territory".to_owned(),
                    id => format!("for {}", words.title("territories", id)),
                };
                let text = arrow(&format!("Marketing promises {place}:"), &from, &to, "");
                delivered.push((Some(id.clone()).filter(|id| !id.is_empty()), text));
            }
        }
        let [before, after] = &without;
        let mut found = lines(each(before, after, KEYS, |key, from, to| {
            Some(match key {
                "first_answer_hours" => {
                    arrow("First answer promised within", &said(from), &said(to), " hours")
                }
                "due_soon_percent" => {
                    arrow("Due soon in the last", &said(from), &said(to), " percent of the time")
                }
                "working_hours" => {
                    arrow("Working hours, unless somebody has their own:", &hours(from), &hours(to), "")
                }
                "follow_up" => arrow("Sales tries", &tries(from), &tries(to), ""),
                _ => return None,
            })
        }));
        found.extend(delivered);
        found
    }

    fn territories(&self, before: &Fields, after: &Fields) -> Vec<Line> {
        let items = |before: &Fields, after: &Fields| {
            self.items("territory", before, after, &territory, &|before, after| self.territory(before, after))
        };
        // Where a country alone says whose a lead is, each has a qualifier before and after, and is said by itself.
        let by_country = |territories: &Fields| {
            territories.values().filter_map(Value::as_object).all(|territory| {
                let more = ["regions", "languages", "when"].iter().any(|word| territory.contains_key(*word));
                !more && territory.get("priority").and_then(Value::as_u64) == Some(u64::from(PRIORITY))
            })
        };
        if !by_country(before) || !by_country(after) {
            return items(before, after);
        }
        let without = |territories: &Fields| -> Fields {
            let mut territories = territories.clone();
            for territory in territories.values_mut().filter_map(Value::as_object_mut) {
                territory.remove("countries");
            }
            territories
        };
        let mut found = items(&without(before), &without(after));
        let (homes_before, homes_after) = (homes(before), homes(after));
        let mut moves: BTreeMap<(Option<&String>, Option<&String>), Vec<String>> = BTreeMap::new();
        for country in homes_before.keys().chain(homes_after.keys()).collect::<BTreeSet<_>>() {
            let (from, to) = (homes_before.get(country).copied(), homes_after.get(country).copied());
            if from != to {
                moves.entry((from, to)).or_default().push(country_name(country));
            }
        }
        for ((from, to), countries) in moves {
            let place = |territories: &Fields, home: Option<&String>, by_title: bool| match home {
                None => "no territory".to_owned(),
                Some(id) if by_title => quoted(&title(&fields_of(territories.get(id)))),
                Some(id) => id.clone(),
            };
            let qualifier = |side: &Fields, territories: &Fields, home: Option<&String>| match home {
                Some(id) => person(fields_of(territories.get(id)).get("qualifier")),
                None => person(side.get("default_qualifier")),
            };
            let (a, b) = (qualifier(&self.from, before, from), qualifier(&self.to, after, to));
            let same_title = place(before, from, true) == place(after, to, true);
            let (here, there) = (place(before, from, !same_title), place(after, to, !same_title));
            let qualifier =
                if a == b { format!("qualifier still {a}") } else { format!("qualifier {a} → {b}") };
            let text = format!("{}: {qualifier}, moved from {here} to {there}", countries.join(", "));
            found.push((to.or(from).cloned(), text));
        }
        found
    }

    fn territory(&self, before: &Fields, after: &Fields) -> Vec<String> {
        const KEYS: &[&str] =
            &["title", "priority", "countries", "regions", "languages", "when", "qualifier", "pool"];
        let any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
        each(before, after, KEYS, |key, from, to| {
            let (old, new) = match key {
                "countries" => (countries(from), countries(to)),
                "pool" => (pool(from), pool(to)),
                _ => (texts(from), texts(to)),
            };
            match key {
                "priority" => Some(arrow("priority", &said(from), &said(to), "")),
                "qualifier" => Some(arrow("qualifier", &person(from), &person(to), "")),
                "when" if from.is_none() => {
                    to.map(|when| format!("asked besides: {}", self.words_to.condition(when)))
                }
                "when" if to.is_none() => {
                    from.map(|when| format!("asked no longer: {}", self.words_from.condition(when)))
                }
                "when" => Some(self.conditions("asked besides:", from, to)),
                "countries" | "regions" | "languages" if from.is_none() || to.is_none() => {
                    Some(arrow(key, &any(&old), &any(&new), ""))
                }
                "countries" | "regions" | "languages" | "pool" => {
                    now_and_no_longer(&old, &new).map(|text| format!("{key} {text}"))
                }
                _ => None,
            }
        })
    }
}

/// Says each field that differs; what `say` has no words for has changed all the same. Titles are said by the caller.
fn each(
    before: &Fields,
    after: &Fields,
    order: &[&str],
    say: impl Fn(&str, Option<&Value>, Option<&Value>) -> Option<String>,
) -> Vec<String> {
    let mut keys: Vec<&String> =
        before.keys().chain(after.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    keys.sort_by_key(|key| order.iter().position(|known| known == key).unwrap_or(order.len()));
    let differ = |key: &&String| before.get(*key) != after.get(*key) && *key != "title";
    keys.into_iter()
        .filter(differ)
        .map(|key| {
            say(key, before.get(key), after.get(key))
                .unwrap_or_else(|| format!("{} changed", key.replace('_', " ")))
        })
        .collect()
}

/// Says a value as it was and as it is. Two that read the same are still two.
fn arrow(what: &str, from: &str, to: &str, unit: &str) -> String {
    if from == to {
        format!("{what} {to}{unit}, said otherwise")
    } else {
        format!("{what} {from} → {to}{unit}")
    }
}

/// Says what came to a list and what went; nothing where the lists read the same.
fn now_and_no_longer(before: &[String], after: &[String]) -> Option<String> {
    let beyond = |these: &[String], those: &[String]| {
        let beyond: Vec<&str> = these.iter().filter(|one| !those.contains(one)).map(String::as_str).collect();
        (!beyond.is_empty()).then(|| beyond.join(", "))
    };
    match (beyond(after, before), beyond(before, after)) {
        (Some(now), Some(gone)) => Some(format!("now: {now}; no longer: {gone}")),
        (Some(now), None) => Some(format!("now: {now}")),
        (None, Some(gone)) => Some(format!("no longer: {gone}")),
        (None, None) => None,
    }
}

/// Joins phrases so that their own commas do not run into each other.
fn joined(phrases: &[String]) -> String {
    let inside = phrases.iter().any(|phrase| phrase.contains([',', ';']));
    phrases.join(if inside { "; " } else { ", " })
}

fn lines(phrases: Vec<String>) -> Vec<Line> {
    phrases.into_iter().map(|text| (None, text)).collect()
}

fn fields_of(value: Option<&Value>) -> Fields {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn inner(fields: &Fields, key: &str) -> Fields {
    fields_of(fields.get(key))
}

fn title(item: &Fields) -> String {
    str_of(item.get("title")).unwrap_or_default().to_owned()
}

fn str_of(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// Tells whether a condition asks for personas.
fn asks_for_personas(condition: &Value) -> bool {
    match condition {
        Value::Object(object) => {
            object.contains_key("persona")
                || ["all", "any", "not"].iter().filter_map(|word| object.get(*word)).any(asks_for_personas)
        }
        Value::Array(parts) => parts.iter().any(asks_for_personas),
        _ => false,
    }
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), words::value)
}

fn person(id: Option<&Value>) -> String {
    str_of(id).map_or_else(|| "nobody".to_owned(), |id| format!("`{id}`"))
}

fn values(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(list: Option<&Value>) -> Vec<String> {
    values(list).iter().map(words::value).collect()
}

fn country_name(code: &str) -> String {
    Country::parse(code)
        .map(|country| country.name_en())
        .filter(|name| !name.is_empty())
        .unwrap_or(code)
        .to_owned()
}

fn countries(list: Option<&Value>) -> Vec<String> {
    values(list).iter().filter_map(Value::as_str).map(country_name).collect()
}

/// Says a territory as a whole, but for who is in it by country.
fn territory(words: &Words<'_>, territory: &Fields) -> String {
    let listed =
        |key: &str, list: Vec<String>| (!list.is_empty()).then(|| format!("{key} {}", list.join(", ")));
    let of = |key: &str| texts(territory.get(key));
    let said = [
        listed("countries", countries(territory.get("countries"))),
        listed("regions", of("regions")),
        listed("languages", of("languages")),
        territory.get("when").map(|when| words.condition(when)),
        Some(format!("qualifier {}", person(territory.get("qualifier")))),
        listed("pool", pool(territory.get("pool"))),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Says who is in a pool.
fn pool(pool: Option<&Value>) -> Vec<String> {
    let members = pool.and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(id, weight)| match weight.as_i64() {
            Some(1) => format!("`{id}`"),
            _ => format!("`{id}` with weight {weight}"),
        })
        .collect()
}

/// Gives the territory of each country.
fn homes(territories: &Fields) -> BTreeMap<&str, &String> {
    let mut homes = BTreeMap::new();
    for (id, territory) in territories {
        for country in values(territory.get("countries")).iter().filter_map(Value::as_str) {
            homes.insert(country, id);
        }
    }
    homes
}

fn kinds(list: Option<&Value>) -> String {
    texts(list).join(" or ")
}

fn asked(tests: Option<&Value>) -> String {
    tests.and_then(words::tests).unwrap_or_else(|| "anything".to_owned())
}

fn signal(_: &Words<'_>, signal: &Fields) -> String {
    let kinds = kinds(signal.get("kind"));
    match signal.get("where").and_then(words::tests) {
        Some(tests) => format!("{kinds} where {tests}"),
        None => kinds,
    }
}

fn rule(words: &Words<'_>, rule: &Fields) -> String {
    let points = rule.get("points").and_then(Value::as_i64).unwrap_or_default();
    let points = format!("{points:+} point{}", if points.abs() == 1 { "" } else { "s" });
    match (str_of(rule.get("signal")), rule.get("when")) {
        (Some(id), _) => {
            let most = match rule.get("max_hits").and_then(Value::as_i64) {
                Some(1_000) | None => String::new(),
                Some(1) => ", once".to_owned(),
                Some(n) => format!(", at most {n} times"),
            };
            let half_life = rule.get("half_life_days").map(|days| format!(", half-life {days} days"));
            let signal = words.title("signals", id);
            format!("{points} for each {signal}{most}{}", half_life.unwrap_or_default())
        }
        (None, Some(when)) => format!("{points} when {}", words.condition(when)),
        (None, None) => points,
    }
}

fn tries(promised: Option<&Value>) -> String {
    let promised = fields_of(promised);
    match promised.get("tries").and_then(Value::as_i64) {
        None => "as often as it likes".to_owned(),
        Some(n) => {
            let times = if n == 1 { "once".to_owned() } else { format!("{n} times") };
            format!("{times} before it gives up with {}", list(values(promised.get("before"))))
        }
    }
}

fn delivery(promised: Option<&Value>) -> String {
    let Some(promised) = promised.and_then(Value::as_object) else { return "nothing".to_owned() };
    let leads = format!("{} leads a week", said(promised.get("leads_a_week")));
    let accepted = promised.get("accepted_percent").map(|percent| format!("{percent} % of them accepted"));
    let zone = promised.get("timezone").map(|zone| format!("weeks of {}", words::value(zone)));
    [Some(leads), accepted, zone].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn bands(before: &Fields, after: &Fields) -> Vec<Line> {
    let mut found = Vec::new();
    for band in before.keys().chain(after.keys()).collect::<BTreeSet<_>>().into_iter().rev() {
        let (before, after) = (inner(before, band), inner(after, band));
        found.extend(each(&before, &after, &[], |key, from, to| {
            Some(arrow(&format!("{band} {key} from"), &said(from), &said(to), ""))
        }));
    }
    lines(found)
}

fn form(before: &Fields, after: &Fields) -> Vec<String> {
    const KEYS: &[&str] = &[
        "activity",
        "fields",
        "required",
        "consent",
        "honeypot",
        "allowed_origins",
        "page_activities",
        "thank_you",
    ];
    each(before, after, KEYS, |key, from, to| {
        let changed = |what: &str, before: &[String], after: &[String]| {
            now_and_no_longer(before, after).map(|text| format!("{what} {text}"))
        };
        match key {
            "activity" if from.is_none() => Some(format!("counts as {}", said(to))),
            "activity" => Some(arrow("counts as", &said(from), &said(to), "")),
            "fields" => {
                let targets = |fields: Option<&Value>| -> Vec<String> {
                    fields_of(fields)
                        .iter()
                        .map(|(name, target)| format!("{name} ({})", said(Some(target))))
                        .collect()
                };
                changed("fields", &targets(from), &targets(to))
            }
            "required" => changed("required", &texts(from), &texts(to)),
            "consent" => {
                let boxes =
                    |list: Option<&Value>| -> Vec<String> { values(list).iter().map(consent_box).collect() };
                changed("consent boxes", &boxes(from), &boxes(to))
            }
            "honeypot" => Some(arrow("honeypot", &said(from), &said(to), "")),
            "allowed_origins" => {
                let pages = |origins: Option<&Value>| match values(origins) {
                    [] => "any page".to_owned(),
                    origins => list(origins),
                };
                if values(from).is_empty() || values(to).is_empty() {
                    Some(arrow("posted from", &pages(from), &pages(to), ""))
                } else {
                    changed("posted from", &texts(from), &texts(to))
                }
            }
            "page_activities" => changed("its page may report", &texts(from), &texts(to)),
            "thank_you" => Some(arrow("thank-you page", &said(from), &said(to), "")),
            _ => None,
        }
    })
}

fn holds(since: Option<&Value>) -> &'static str {
    if str_of(since) == Some("last") { "what changed since the last one" } else { "everybody" }
}

fn export(words: &Words<'_>, export: &Fields) -> String {
    let field = |key| said(export.get(key));
    let segment = words.title("segments", str_of(export.get("segment")).unwrap_or_default());
    let what = match export.get("preset") {
        Some(preset) => said(Some(preset)),
        None if texts(export.get("columns")) == FIXED => {
            format!("{} with the usual columns", field("format"))
        }
        None => format!("{} with {}", field("format"), list(values(export.get("columns")))),
    };
    let day = export.get("weekday").map_or_else(|| "day".to_owned(), |day| said(Some(day)));
    let (holds, purpose) = (holds(export.get("since")), field("purpose"));
    format!("{holds} of {segment} as {what}, for the purpose {purpose}, every {day} at {}", field("at"))
}

fn consent_box(written: &Value) -> String {
    let field = |key| said(written.get(key));
    format!("{} for {} under {}", field("field"), field("purpose"), field("text"))
}
