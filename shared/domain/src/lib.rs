//! The rules of Leadloop, and nothing else: what a lead is, how it is scored, when it is ready, who gets it.
//!
//! Everything here is a pure function of its arguments. Time and new ids are passed in; nothing is read from a clock,
//! an environment, a file or a network; evaluation cannot fail, it answers with reasons and problems instead.
//!
//! # Layout
//!
//! * [`fault`] – bad input, every fault at once; [`reader`] walks a JSON document and collects them.
//! * [`time`], [`money`], [`country`], [`identity`], [`attribute`], [`consent`], [`activity`] – values that cannot be
//!   wrong once they exist.
//! * [`playbook`] – what marketing and sales agreed on, parsed once; [`condition`] is its condition language;
//!   [`agreement`] – how a version gets the keys that let it go live.
//! * [`ledger`] – how often and when a lead showed each signal, compactly; [`score`] – fit, engagement and the
//!   explanation that adds up to them.
//! * [`stage`] – the typed table of legal transitions; [`sales`] – what sales reported, folded into a standing.
//! * [`claim`] – who may take a lead; [`inbox`] – what to work on first.
//! * [`sentence`] – what happened, in words; [`similar`] – who was won and is alike; [`next_step`] – what to do.
//! * [`calendar`] – when somebody works; [`promise`] – what sales and marketing promised each other, with its clock.
//! * [`routing`] – who gets a lead: the qualifier of its territory, then somebody of the pool, in turn.
//! * [`hand_over`] – by which fact somebody got a lead; [`introduction`] – a lead in a few words; [`digest`] – when somebody
//!   gets that of their inbox.
//! * [`lead`] – the lead; [`touch`] – the campaigns that it answered to; [`resolve`] – which lead a delivery is about;
//!   [`change`] – the one way a lead changes.
//! * [`replay`] – a lead as it was; [`outlook`] – what would make it ready, and when what it has fades.
//! * [`persona`], [`phase`], [`segment`] – whom a lead mirrors, what it needs next, which lists it is on; [`reason`] –
//!   why; [`evaluation`] – all that a playbook says of a lead on a day; [`report`] – questions over many leads.
//! * [`campaign`] – what campaigns cost; [`attribution`] – how much of a deal each touch is given.
//! * [`evidence`] – what personas stand on; [`content`] – what to say to whom.
//! * [`export`] – what a file of a segment holds, and when it is made; [`audience`] – what advertisers' audiences are
//!   matched by.
//! * [`permission`] – who may be written to; [`suppression`] – addresses that nobody may write to; [`erasure`] – what of a no
//!   outlives whoever said it.
//! * [`member`] – how a lead stands to campaigns: sent, registered, attended; [`said`] – what customers said about the
//!   marketing.
//! * [`membership`] – since when a lead was in which segment.
//! * [`webhook`] – who outside is told, how often it is tried, and where messages may go; [`crm`] – what a CRM is told, and
//!   what it tells us; [`template`] – the texts with expressions in them that say so.
//!
//! # The invariant not to break
//!
//! [`change::decide`] is the only function that makes a new version of a lead. Whoever needs a lead to change hands
//! facts to it.

pub mod activity;
pub mod agreement;
pub mod attribute;
pub mod attribution;
pub mod audience;
pub mod calendar;
pub mod campaign;
pub mod change;
pub mod claim;
pub mod condition;
pub mod consent;
pub mod content;
pub mod country;
pub mod crm;
pub mod digest;
pub mod erasure;
pub mod evaluation;
pub mod evidence;
pub mod export;
pub mod fault;
pub mod funnel;
pub mod hand_over;
pub mod identity;
pub mod inbox;
pub mod introduction;
pub mod lead;
pub mod ledger;
pub mod machine;
pub mod member;
pub mod membership;
pub mod money;
pub mod next_step;
pub mod nurture;
pub mod outlook;
pub mod permission;
pub mod persona;
pub mod phase;
pub mod playbook;
pub mod promise;
pub mod reader;
pub mod reason;
pub mod replay;
pub mod report;
pub mod resolve;
pub mod routing;
pub mod said;
pub mod sales;
pub mod score;
pub mod segment;
pub mod sentence;
pub mod similar;
pub mod stage;
pub mod suppression;
pub mod template;
pub mod time;
pub mod touch;
pub mod webhook;
