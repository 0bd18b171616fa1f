//! Where the rules of `domain` meet the world: ports, their implementations on AWS, and the glue of HTTP functions.
//!
//! # Layout
//!
//! * [`ports`] – one narrow trait per capability, which a function's IAM policy mirrors.
//! * [`dynamodb`] – the ports on DynamoDB; only [`dynamodb::keys`] spells a key prefix.
//! * [`s3`] – files; [`jobs`] – long work with a lease and a cursor; [`lambda_jobs`] – how it is started.
//! * [`write_path`] – the one way in which facts become stored facts; [`erasure`] – the one in which a lead is forgotten.
//! * [`history`] – all that happened to a lead, to be played again.
//! * [`playbooks`] – playbook versions and the active one, cached; [`people`] – people's records, cached; [`attributes`] – what people declared about attributes;
//!   [`campaigns`] – about campaigns.
//! * [`content`] – the catalog of content and what it did; [`evidence`] – what personas stand on, and the keywords among
//!   it; [`won`] – the latest won leads.
//! * [`markdown`] – texts of others made harmless there.
//! * [`cloud_event`] – events as other systems read them; [`webhooks`] – who is told, and the messages on their way;
//!   [`sqs`] – the queue they are in; [`crm`] – what is known of a lead's record in a CRM.
//! * [`mail`] – a mail before anybody knows how it is sent; [`signed_link`] – links that stand for a permission; [`claims`] –
//!   doing something outside once.
//! * [`http`] – problems, tokens and roles, bodies, OpenAPI, Lambda.
//! * [`wire`] – pieces of the wire format that several functions share.
//! * [`config`], [`telemetry`], [`clock`] – the environment, logs, time.
//!
//! # The invariant not to break
//!
//! A lead is written in one place, [`ports::LeadStore::commit`], and deleted in one, [`ports::LeadStore::erase`]; each is one
//! transaction, conditional on the lead's version.

pub mod attributes;
pub mod campaigns;
pub mod claims;
pub mod clock;
pub mod cloud_event;
pub mod config;
pub mod content;
pub mod crm;
pub mod dynamodb;
pub mod erasure;
pub mod evidence;
pub mod history;
pub mod http;
pub mod jobs;
pub mod lambda_jobs;
pub mod mail;
pub mod markdown;
pub mod people;
pub mod playbooks;
pub mod ports;
pub mod routing;
pub mod s3;
pub mod signed_link;
pub mod sqs;
pub mod suppressions;
pub mod telemetry;
pub mod webhooks;
pub mod wire;
pub mod won;
pub mod write_path;
