//! What the rules of the domain promise: as cases in data files, and as properties of facts that nobody chose.
//!
//! A case (`cases/*.yaml`) says what is `given`, which `facts` arrive under which `playbook`, and what to `expect`. The
//! properties hold for every random sequence of facts that was tried.
//!
//! Neither can prove that what was decided is stored, that requests are read into the right facts, or that two writers
//! at once leave one truth: those are promises of the adapters and functions, and are tested there.
//!
//! # Layout
//!
//! * `rules/attribution.rs` – how a won deal is divided among its touches;
//! * `rules/audience.rs` – the hashes that the destinations of audiences publish;
//! * `rules/case.rs` – the format of a case, and how one is played;
//! * `rules/cases.rs` – one test for each file;
//! * `rules/clock.rs` – working hours and promises, against a second reader that counts minutes;
//! * `rules/content.rs` – which content comes next: `rules/content.yaml` by hand, properties, whole campaigns;
//! * `rules/language.rs` – whether the cases use the whole condition language;
//! * `rules/drawn.rs` – facts and playbooks, drawn at random;
//! * `rules/dossier.rs` – sentences, the next step, similar won leads; `rules/inbox.rs` – what to do first, who may take it;
//! * `rules/machines.rs` – opens and clicks that machines made;
//! * `rules/nurture.rs` – who is in which program, when mails may go, and lives of leads that keep the pace;
//! * `rules/permission.rs` – no message without consent, over any history; no flood of questions either;
//! * `rules/personas.rs` – personas, phases, and why a lead came to a segment or left it;
//! * `rules/properties.rs` – the properties of facts;
//! * `rules/days.rs` – the properties of time;
//! * `rules/diff.rs` – what changed between two playbooks, and conditions as sentences;
//! * `rules/said.rs` – what customers said about the marketing, against a recount;
//! * `rules/schema.rs` – the published schema of the playbook says what its reader says;
//! * `rules/routing.rs` – whose a lead is, and what is fair among a pool;
//! * `rules/semantics.rs` – what each word of a condition means, by two readers; `rules/sql.rs` is the second one;
//! * `rules/starter.rs` – the starter playbook and the examples of `docs/playbook.md`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; .clippy.toml allows it only inside of test functions"
)]

#[path = "rules/attribution.rs"]
mod attribution;
#[path = "rules/audience.rs"]
mod audience;
#[path = "rules/case.rs"]
mod case;
#[path = "rules/cases.rs"]
mod cases;
#[path = "rules/clock.rs"]
mod clock;
#[path = "rules/content.rs"]
mod content;
#[path = "rules/days.rs"]
mod days;
#[path = "rules/diff.rs"]
mod diff;
#[path = "rules/dossier.rs"]
mod dossier;
#[path = "rules/drawn.rs"]
mod drawn;
#[path = "rules/funnel.rs"]
mod funnel;
#[path = "rules/inbox.rs"]
mod inbox;
#[path = "rules/kept.rs"]
mod kept;
#[path = "rules/language.rs"]
mod language;
#[path = "rules/machines.rs"]
mod machines;
#[path = "rules/nurture.rs"]
mod nurture;
#[path = "rules/permission.rs"]
mod permission;
#[path = "rules/personas.rs"]
mod personas;
#[path = "rules/properties.rs"]
mod properties;
#[path = "rules/routing.rs"]
mod routing;
#[path = "rules/said.rs"]
mod said;
#[path = "rules/schema.rs"]
mod schema;
#[path = "rules/semantics.rs"]
mod semantics;
#[path = "rules/sql.rs"]
mod sql;
#[path = "rules/starter.rs"]
mod starter;
