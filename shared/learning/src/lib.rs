//! What won and lost leads teach: how well a playbook separates them, what they have in common, which points they
//! suggest.
//!
//! Pure like `domain`: numbers in, numbers out; no clock, no store, no randomness that is not seeded by its input.
//!
//! # Layout
//!
//! * [`measure`] – intervals, the area under the curve, lift;
//! * [`backtest`] – a playbook confronted with outcomes, lead by lead, as of then;
//! * [`quality`] – how good the active score was, by month;
//! * [`segments`] – what became of the leads of each segment; [`separation`] – how well groups tell won from lost;
//! * [`dataset`] – leads with what was known of them, in columns; [`bins`] – weight of evidence;
//! * [`characteristics`] – what best and worst have in common;
//! * [`effect`] – what a treatment did: leads that had it against leads that were held out by lot;
//! * [`nurtured`] – whether nurturing did anything, program by program; [`mailed`] – what became of its mails;
//! * [`mining`] – what the database shows of a persona;
//! * [`suggest`] – a card of points fitted to won and lost; `fit` – the logistic regression that it starts from;
//! * `dice` – luck that is always the same.

pub mod backtest;
pub mod bins;
pub mod characteristics;
pub mod dataset;
mod dice;
pub mod effect;
mod fit;
pub mod mailed;
pub mod measure;
pub mod mining;
pub mod nurtured;
pub mod quality;
pub mod segments;
pub mod separation;
pub mod suggest;
