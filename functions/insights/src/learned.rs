//! What won and lost teach: what best and worst customers have in common, and a draft whose points follow from it.
//!
//! Both look at each lead as it was on the thirtieth day after its capture, or just before sales first touched it, with
//! only what was known then; attributes of which that cannot be said are named and left out. They need the leads side by
//! side, so they look at 100,000 of them at most, chosen by their ids, always the same ones.

use crate::backtest::{FirstPass, Seen};
use crate::request::{self, CharacteristicsQuery, SpanAsked, SuggestAsked};
use crate::walk::{Selection, Stand, Story, Study, page, walk};
use crate::{App, Worked, begin, response, timely};
use adapters::attributes::known_at_capture;
use adapters::http::auth::MarketingAndSales;
use adapters::http::{BodyBytes, Caller, Problem, Query};
use adapters::jobs::{Job, JobKind};
use adapters::playbooks::Version;
use adapters::ports::StoreError;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::attribute::{AttributeName, AttributeValue};
use domain::change::Incoming;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::money::Currency;
use domain::playbook::Playbook;
use domain::replay::{Declared, Replay, as_known};
use domain::sales::{DealState, Outcome as Ended};
use domain::stage::Stage;
use domain::time::{DAY_MS, Timestamp};
use learning::backtest::{HORIZON_DAYS, Known, Past};
use learning::characteristics::{Target, characteristics as common};
use learning::dataset::{Dataset, Outcome};
use learning::measure::Class;
use learning::suggest::{Goal, Wish, suggest as fit};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// The most leads that are looked at side by side.
const MOST_LEADS: u64 = 100_000;
/// How long fitting may take for each lead, many times over.
const FIT_A_LEAD: Duration = Duration::from_micros(500);
/// How many days after its capture a lead is looked at.
pub(crate) const DAYS: i64 = 30;
/// Within how many days before that signals count.
const WITHIN_DAYS: u16 = 90;
/// From how many days after the purchase a customer that stayed is called retained.
const RETAINED_DAYS: i64 = 180;

/// Tells what best and worst customers have in common: per value of each attribute and per signal how many have it, their
/// win rate with its 95 % interval, lift, weight of evidence and information value; best and worst first. Roles: marketing,
/// sales, admin.
///
/// `target=won` asks who is won; `revenue` who of the won brings more than the median; `retained` who of the won is still a
/// customer half a year later. Nothing below a minimum support is shown. `left_out` names the attributes whose values were
/// known too late, are undated, or look as if they were written with the outcome. The report that takes longer than 20
/// seconds is answered with 202: ask again with the same words until it is 200.
#[utoipa::path(get, path = "/v1/reports/characteristics", tag = "reports", security(("token" = ["marketing", "sales"])),
    params(CharacteristicsQuery),
    responses((status = 200, description = "Best and worst; CSV with `Accept: text/csv`"),
        (status = 202, description = "Still counting; ask again"), (status = 422, description = "Every fault")))]
pub(crate) async fn characteristics(
    State(app): State<App>,
    _: Caller<MarketingAndSales>,
    Query(query): Query<CharacteristicsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let zone = app.playbooks.active().await?.playbook.timezone.clone();
    let asked = request::characteristics(&query, &zone)?;
    match timely(&app, &asked, report(&app, &asked)).await? {
        Ok(report) if request::wants_csv(&headers) => response::characteristics_csv(&report),
        Ok(report) => Ok(response::whole(&report)),
        Err(job) => Ok(response::later(&job)),
    }
}

/// Writes a draft playbook whose points come from won and lost. Roles: marketing, sales, admin.
///
/// At most `rules` rules (15), whole points in fives, each with its support and reason, fitted by regularised logistic
/// regression on weights of evidence and chosen on inner folds; bands and the line that qualifies for a wanted `precision`,
/// or for so many `hand_offs_per_week`. The rest of the document is the active playbook's. The draft is stored as a version
/// and goes through the two keys like any other. What takes longer than 20 seconds is answered with 202: GET
/// /v1/jobs/{job_id} has the result.
#[utoipa::path(post, path = "/v1/playbooks/suggest", tag = "playbook", security(("token" = ["marketing", "sales"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the request")),
    request_body(content = Option<Value>, content_type = "application/json", example = json!({"rules": 15, "precision": 0.5,
        "behaviour": ["total_visits"], "from": "2018-01-01", "to": "2018-04-01"})),
    responses((status = 200, description = "The job with its `result`: the draft's `version`, `document`, `rules` and what is `expected` of it"),
        (status = 202, description = "The job; it goes on"), (status = 422, description = "Every fault")))]
pub(crate) async fn suggest(
    State(app): State<App>,
    caller: Caller<MarketingAndSales>,
    headers: HeaderMap,
    BodyBytes(bytes): BodyBytes,
) -> Result<Response, Problem> {
    let active = app.playbooks.active().await?;
    let declared = known_at_capture(app.catalog.as_ref()).await?;
    let asked = request::suggest(&bytes, &active, caller.name(), &declared)?;
    let id = request::job_id("suggestion", caller.name(), &headers, &asked, app.clock.now());
    begin(&app, &id, JobKind::Suggestion, &asked).await
}

/// What is known of the leads before they are looked at one by one.
pub(crate) struct Ground {
    pub(crate) known: Known,
    pub(crate) declared: BTreeSet<AttributeName>,
    /// The currency in which most deals were won: revenue in others cannot be compared with it.
    pub(crate) currency: Option<Currency>,
    pub(crate) now: Timestamp,
}

/// A lead as it was, with only what was known then, and the signals that it had shown lately.
pub(crate) struct Then<'a> {
    pub(crate) lead: Lead,
    pub(crate) signals: Vec<(&'a Slug, u32)>,
}

impl Ground {
    /// Plays a lead until a moment, as if what nobody can have known then had never been written.
    pub(crate) fn then<'a>(
        &self,
        playbook: &'a Playbook,
        lead: &Lead,
        facts: &[Incoming],
        at: Timestamp,
    ) -> Option<Then<'a>> {
        let said = |name: &AttributeName| match (self.known.refuses(name), self.declared.contains(name)) {
            (true, _) => Declared::Hidden,
            (false, true) => Declared::AtCapture,
            (false, false) => Declared::Nothing,
        };
        let facts = as_known(facts, &said).facts;
        let lead = Replay::new(lead.id.clone(), playbook, &facts).until(at)?.clone();
        let today = at.day();
        let from = today.plus(1 - i32::from(WITHIN_DAYS));
        let times = |key| lead.ledger.get(key).map_or(0, |counts| counts.between(from, today));
        let signals = playbook.signals.iter().map(|s| (&s.id, times(s.key))).collect();
        Some(Then { lead, signals })
    }

    /// Says why each attribute that is left out is.
    pub(crate) fn left_out(&self) -> Vec<Value> {
        let refused = self.known.iter().filter(|(_, times)| times.refused());
        refused.map(|(name, times)| json!({ "attribute": name, "because": times.because(name) })).collect()
    }
}

impl Then<'_> {
    /// Gives what was known of the lead.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&AttributeName, &AttributeValue)> {
        self.lead.attributes.iter().map(|(name, attribute)| (name, &attribute.value))
    }
}

/// The leads side by side, while they are looked at.
struct Gathered<'a> {
    ground: &'a Ground,
    playbook: &'a Playbook,
    dataset: Dataset,
    state: Value,
}

impl Gathered<'_> {
    fn outcome(&self, lead: &Lead, won: bool) -> Outcome {
        let standing = lead.standing();
        let deals = standing.deals.iter().filter(|deal| deal.state == DealState::Won);
        let amounts =
            deals.filter_map(|deal| deal.amount.filter(|a| Some(a.currency) == self.ground.currency));
        let revenue = amounts.map(|amount| amount.minor).reduce(i64::saturating_add);
        let retained = match standing.outcome {
            Ended::Won(_) if standing.stage != Stage::Customer => Some(false),
            Ended::Won(at) if self.ground.now.since(at) >= RETAINED_DAYS * DAY_MS => Some(true),
            _ => None,
        };
        Outcome { won, revenue: revenue.filter(|_| won), retained: retained.filter(|_| won) }
    }
}

impl Study for Gathered<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        let Ok(past) = Past::of(lead, facts, self.ground.now) else { return };
        let at = past.after(DAYS);
        let won = match past.class(at, HORIZON_DAYS, self.ground.now) {
            Class::Positive => true,
            Class::Negative => false,
            Class::Censored => return,
        };
        let Some(then) = self.ground.then(self.playbook, lead, facts, at) else { return };
        let outcome = self.outcome(lead, won);
        let signals = then.signals.iter().copied();
        self.dataset.add(then.attributes(), signals, outcome);
        match lead.external_ids().next() {
            Some(id) => self.dataset.known_as(&format!("{} {}", id.system(), id.id())),
            None => self.dataset.known_as(lead.id.as_str()),
        }
    }

    fn save(&self, stand: &Stand) -> Value {
        // The leads side by side are too many to be kept: whoever takes the job up gathers them anew.
        let mut state = self.state.clone();
        if let Some(map) = state.as_object_mut() {
            map.insert("progress".to_owned(), json!({ "pass": 2, "leads": stand.leads }));
        }
        state
    }
}

/// Makes the report on characteristics.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn report(app: &App, asked: &Value) -> Result<Value, StoreError> {
    let active = app.playbooks.active().await?;
    let (selection, now) = (SpanAsked::selection(asked), app.clock.now());
    let declared = known_at_capture(app.catalog.as_ref()).await?;
    let (mut known, mut stand, mut judged) = (Known::default(), Stand::default(), 0);
    let mut currencies: BTreeMap<Currency, u64> = BTreeMap::new();
    while !stand.done {
        for Story { lead, facts, .. } in page(app, &selection, &mut stand, now).await? {
            known.add(&lead, &facts, &declared, now);
            judged += u64::from(Past::of(&lead, &facts, now).is_ok());
            for deal in lead.standing().deals.iter().filter(|deal| deal.state == DealState::Won) {
                if let Some(amount) = deal.amount {
                    *currencies.entry(amount.currency).or_default() += 1;
                }
            }
        }
    }
    let currency = currencies.iter().max_by_key(|(_, n)| **n).map(|(currency, _)| *currency);
    let ground = Ground { known, declared, currency, now };
    let selection = sampled(selection, judged);
    let mut gathered = gather(&ground, &active.playbook);
    let mut stand = Stand::default();
    while !stand.done {
        for story in page(app, &selection, &mut stand, now).await? {
            gathered.add(&story);
        }
    }
    let target = asked.get("target").and_then(Value::as_str);
    let target =
        Target::WORDS.iter().find(|(word, _)| Some(*word) == target).map_or(Target::Won, |(_, t)| *t);
    let found = common(&gathered.dataset, target);
    Ok(response::characteristics(asked, &found, ground.left_out(), currency, now))
}

fn gather<'a>(ground: &'a Ground, playbook: &'a Playbook) -> Gathered<'a> {
    Gathered { ground, playbook, dataset: Dataset::default(), state: Value::Null }
}

/// Chooses as many as can be looked at side by side, of so many that can be judged.
#[allow(clippy::cast_precision_loss, reason = "counts of leads stay far below 2^53")]
pub(crate) fn sampled(selection: Selection, judged: u64) -> Selection {
    let one_in = (judged > MOST_LEADS).then(|| judged as f64 / MOST_LEADS as f64);
    Selection { one_in, ..selection }
}

/// Works on a suggestion until a time.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<Worked, StoreError> {
    let damaged = || StoreError::Damaged(format!("job {}", job.id()));
    let asked = SuggestAsked::from_json(&job.request).ok_or_else(damaged)?;
    let playbook = app.playbooks.version(asked.active).await?;
    let base = app.playbooks.stored(asked.active).await?.ok_or_else(damaged)?;
    let active = Version { number: asked.active, playbook };
    let selection: Selection = asked.selection(&active.playbook).ok_or_else(damaged)?;
    let Some(first) = FirstPass::go_on(app, job, &selection, until).await? else { return Ok(Worked::Onward) };
    let cautions = first.cautions(&job.request);
    let FirstPass { known, declared, now, seen } = first;
    let ground = Ground { known, declared, currency: None, now };
    let selection = sampled(selection, seen.judged);
    let mut gathered = Gathered { state: job.state.clone(), ..gather(&ground, &active.playbook) };
    if !walk(app, job, &selection, &mut Stand::default(), until, &mut gathered).await? {
        return Ok(Worked::Anew);
    }
    let Gathered { dataset, .. } = gathered;
    // Fitting asks nobody for the time: where a caller waits, only what is soon done.
    if Instant::now() + FIT_A_LEAD.saturating_mul(u32::try_from(dataset.len()).unwrap_or(u32::MAX)) > until {
        return Ok(Worked::Anew);
    }
    let result = match fit(&dataset, &wish(&asked, &seen)) {
        Err(none) => {
            let leaks = common(&dataset, Target::Won).leaks;
            response::no_card(&none.to_string(), ground.left_out(), &leaks, &cautions)
        }
        Ok(card) => {
            let document = card.to_document(Some(&base.document));
            let comment =
                format!("Suggested from {} leads, {} of them won.", card.leads.leads, card.leads.wins);
            let stored = app.playbooks.add(&document, &asked.by, Some(&comment)).await?;
            // A card that is no playbook would be our fault; the job shows it rather than nothing.
            let version = stored.as_ref().ok().map(|stored| stored.number);
            response::suggestion(&card, version, &document, ground.left_out(), &cautions)
        }
    };
    app.jobs.finish(job, result).await?;
    Ok(Worked::Done)
}

fn wish(asked: &SuggestAsked, seen: &Seen) -> Wish {
    let days = seen.span.map_or(0, |(first, last)| (last - first) / DAY_MS + 1);
    #[allow(clippy::cast_precision_loss, reason = "counts of days and leads stay far below 2^53")]
    let leads_a_week = seen.judged as f64 * 7.0 / days.max(7) as f64;
    let goal = match asked.hand_offs_per_week {
        Some(a_week) => Goal::HandOffs { a_week, leads_a_week },
        None => Goal::Precision(asked.precision),
    };
    Wish { most_rules: asked.rules, behaviour: asked.behaviour.clone(), within_days: Some(WITHIN_DAYS), goal }
}
