//! Mining: the system writes its own evidence about a persona, from what its leads have in common.
//!
//! It looks at leads as characteristics do: each as it was on its thirtieth day, or just before sales first touched it, with
//! only what was known then. Whom a lead mirrored then is asked of the same: a persona whose condition looks at what nobody
//! knows the time of has no leads here, and the answer names the attribute to vouch for. What a finding says of a statement
//! is not guessed: it stands beside them until somebody says so.
//!
//! A run replaces the findings of the run before it, so that they do not pile up: first the new ones are written, which are
//! the same records where they say the same, then those are deleted that are not among them. A worker that dies between the
//! two is followed by one that does both again.

use super::no_persona;
use crate::backtest::FirstPass;
use crate::learned::{DAYS, Ground, sampled};
use crate::walk::{Selection, Stand, Story, Study, walk};
use crate::{App, Worked, begin, request};
use adapters::attributes::known_at_capture;
use adapters::evidence::{self as stored, OnRecord};
use adapters::http::auth::MarketingOnly;
use adapters::http::{Caller, Problem};
use adapters::jobs::{Job, JobKind};
use adapters::ports::StoreError;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::condition::Condition;
use domain::evidence::{Detail, Evidence, USUAL_WEIGHT};
use domain::persona::Persona;
use domain::playbook::Playbook;
use learning::backtest::{HORIZON_DAYS, Past};
use learning::bins::Source;
use learning::dataset::{Dataset, Outcome};
use learning::measure::Class;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Looks for what a persona's leads have in common and puts it on record as evidence of its own. Roles: marketing, admin.
///
/// What the won among them have more or less often than its other leads, and what its leads have more often than the whole
/// base: in words, with lift, support and a 95 % interval. Only what was known in time counts; `left_out` says why an
/// attribute does not. The findings of the run before are replaced. What takes longer than 20 seconds is answered with
/// 202: GET /v1/jobs/{job_id} has the result.
#[utoipa::path(post, path = "/v1/personas/{persona_id}/mining", tag = "personas", security(("token" = ["marketing"])),
    params(("persona_id" = String, Path, description = "The persona"),
        ("Idempotency-Key" = Option<String>, Header, description = "Marks a repeat of the request")),
    responses((status = 200, description = "The job with its `result`: the findings, what was left out and what to mind"),
        (status = 202, description = "The job; it goes on"), (status = 404, description = "No such persona")))]
pub(crate) async fn mine(
    State(app): State<App>,
    caller: Caller<MarketingOnly>,
    Path(persona): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let active = app.playbooks.active().await?;
    let persona = active.playbook.persona(&persona).ok_or_else(no_persona)?;
    let declared = known_at_capture(app.catalog.as_ref()).await?;
    let declared: Vec<&str> = declared.iter().map(|name| name.as_str()).collect();
    let asked = json!({ "report": "mining", "persona": persona.id.as_str(), "active": active.number,
        "declared": declared, "by": caller.name() });
    let id = request::job_id("mining", caller.name(), &headers, &asked, app.clock.now());
    begin(&app, &id, JobKind::Report, &asked).await
}

/// The leads side by side, while they are looked at.
struct Gathered<'a> {
    ground: &'a Ground,
    playbook: &'a Playbook,
    persona: &'a Persona,
    /// The persona's leads that can be judged, and whether they were won.
    among: Dataset,
    /// Everybody, and whether they mirrored it.
    base: Dataset,
    state: Value,
}

impl Study for Gathered<'_> {
    fn add(&mut self, Story { lead, facts, .. }: &Story) {
        let Ok(past) = Past::of(lead, facts, self.ground.now) else { return };
        let at = past.after(DAYS);
        let Some(then) = self.ground.then(self.playbook, lead, facts, at) else { return };
        let mirrors = then.lead.persona.as_ref() == Some(&self.persona.id);
        let outcome = |won| Outcome { won, revenue: None, retained: None };
        self.base.add(then.attributes(), then.signals.iter().copied(), outcome(mirrors));
        let won = match past.class(at, HORIZON_DAYS, self.ground.now) {
            Class::Positive => true,
            Class::Negative => false,
            Class::Censored => return,
        };
        if mirrors {
            self.among.add(then.attributes(), then.signals.iter().copied(), outcome(won));
        }
    }

    fn save(&self, stand: &Stand) -> Value {
        // As with a suggestion: whoever takes the job up gathers the leads anew.
        let mut state = self.state.clone();
        if let Some(map) = state.as_object_mut() {
            map.insert("progress".to_owned(), json!({ "pass": 2, "leads": stand.leads }));
        }
        state
    }
}

/// What a condition looks at.
fn asked_for(persona: &Persona) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    persona.when.visit(&mut |part| {
        sources.extend(part.attributes().into_iter().cloned().map(Source::Attribute));
        if let Condition::Signal { signal, .. } | Condition::Seen { signal, .. } = part {
            sources.insert(Source::Signal(signal.clone()));
        }
    });
    sources
}

/// Works on a run until a time.
pub(crate) async fn work(app: &App, job: &mut Job, until: Instant) -> Result<Worked, StoreError> {
    let damaged = || StoreError::Damaged(format!("job {}", job.id()));
    let text = |name: &str| job.request.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, by) = (text("persona").ok_or_else(damaged)?, text("by").ok_or_else(damaged)?);
    let version = job.request.get("active").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let playbook = app.playbooks.version(version.ok_or_else(damaged)?).await?;
    let persona = playbook.persona(&id).ok_or_else(damaged)?;
    let selection = Selection::default();
    let Some(first) = FirstPass::go_on(app, job, &selection, until).await? else { return Ok(Worked::Onward) };
    let mut cautions = first.cautions(&job.request);
    let FirstPass { known, declared, now, seen } = first;
    let ground = Ground { known, declared, currency: None, now };
    let mut gathered = Gathered {
        ground: &ground,
        playbook: &playbook,
        persona,
        among: Dataset::default(),
        base: Dataset::default(),
        state: job.state.clone(),
    };
    let selection = sampled(selection, seen.judged);
    if !walk(app, job, &selection, &mut Stand::default(), until, &mut gathered).await? {
        return Ok(Worked::Anew);
    }
    let asked_for = asked_for(persona);
    let unknown = asked_for.iter().filter_map(|source| match source {
        Source::Attribute(name) if ground.known.refuses(name) => Some(format!("`{name}`")),
        Source::Attribute(_) | Source::Signal(_) => None,
    });
    let unknown: Vec<String> = unknown.collect();
    if !unknown.is_empty() {
        cautions.push(format!(
            "the persona's condition looks at {}, which nobody can be said to have known in time: leads that mirror it by that \
             were left out; PUT /v1/attributes/{{name}} vouches for an attribute",
            unknown.join(", ")
        ));
    }
    let mined = learning::mining::mine(&gathered.among, &gathered.base, &asked_for);
    cautions.extend(mined.cautions);
    let source = format!("{} leads as they were on their thirtieth day", gathered.base.len());
    let (among, base) = (gathered.among.len(), gathered.base.len());
    let findings: Vec<Evidence> = mined
        .findings
        .into_iter()
        .map(|(text, finding)| {
            let evidence = Evidence {
                persona: persona.id.clone(),
                detail: Detail::DatabaseMining(finding),
                text,
                source: Some(source.clone()),
                day: now.day(),
                weight: USUAL_WEIGHT,
                supports: BTreeSet::new(),
                contradicts: BTreeSet::new(),
            };
            // A form may have asked for an address under any attribute's name.
            evidence.without_names()
        })
        .collect();
    let on_record: Vec<OnRecord> =
        findings.into_iter().map(|evidence| OnRecord { evidence, by: by.clone(), at: now }).collect();
    let replaced = replace(app, persona, &on_record).await?;
    let result = json!({
        "persona": persona.id.as_str(),
        "leads": base,
        "judged": among,
        "findings": on_record.iter().map(stored::to_json).collect::<Vec<_>>(),
        "withdrawn": replaced,
        "left_out": ground.left_out(),
        "caution": cautions,
    });
    app.jobs.finish(job, result).await?;
    Ok(Worked::Done)
}

/// Writes the findings and deletes those of the run before that are not among them; tells how many those were.
async fn replace(app: &App, persona: &Persona, findings: &[OnRecord]) -> Result<usize, StoreError> {
    let catalog = app.catalog.as_ref();
    for one in findings {
        stored::record(catalog, one).await?;
    }
    let told: BTreeSet<String> = findings.iter().map(|one| one.evidence.id()).collect();
    let mut withdrawn = 0;
    for one in stored::all(catalog, &persona.id).await? {
        let id = one.id();
        if one.own().is_some() && !told.contains(&id) {
            withdrawn += usize::from(stored::withdraw(catalog, &persona.id, &id).await?);
        }
    }
    Ok(withdrawn)
}
