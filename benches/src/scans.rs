//! P8: the memory and time of what reads every lead: the campaigns report, a segment's preview and its export.

use crate::Failure;
use crate::cpu::{Stopwatch, memory_mib};
use crate::items;
use crate::world::{TOKEN, VERSION, World, post, send};
use adapters::clock::new_lead_id;
use adapters::http::split;
use adapters::jobs::JobKind;
use adapters::ports::{FileStore, JobStarter, LeadLists, StoreError, Upload};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use domain::export::{Asked, Spec};
use domain::identity::{Email, Identity};
use domain::lead::Lead;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Makes leads like the one that the API makes of an example.
pub(crate) async fn fill(endpoint: &str, leads: usize) -> Result<(), Failure> {
    const AT_A_TIME: usize = 1_000;
    let world = World::at(endpoint);
    send(&world.capture(), post("/v1/leads", &items::lead(0, "example@company.example"))?).await?;
    let example = world.store.scan(0, 1, None).await?.items.pop().ok_or("no lead to copy")?;
    for start in (1..leads).step_by(AT_A_TIME) {
        let some: Vec<Lead> =
            (start..leads.min(start + AT_A_TIME)).map(|n| like(&example, n)).collect::<Result<_, _>>()?;
        world.put(&some).await?;
    }
    println!("fill leads={leads}");
    Ok(())
}

fn like(example: &Lead, n: usize) -> Result<Lead, Failure> {
    const CHANNELS: [&str; 6] =
        ["paid_search", "organic_search", "social", "referral", "email", "trade_fair"];
    let mut lead = example.clone();
    lead.id = new_lead_id();
    lead.identities =
        vec![Identity::Email(Email::parse(&format!("annemarie.hinterberger{n}@company.example"))?)];
    if let Some(first) = &mut lead.touches.first {
        first.channel = CHANNELS.get(n % CHANNELS.len()).map(|channel| (*channel).to_owned());
        first.campaign = Some(format!("campaign-{}", n % 40));
    }
    Ok(lead)
}

pub(crate) async fn report(endpoint: &str) -> Result<(), Failure> {
    let world = World::at(endpoint);
    let (store, catalog) = (Arc::clone(&world.store), Arc::clone(&world.catalog));
    let mut app = insights::App::new(store, catalog, Arc::new(Nothing), Arc::clone(&world.clock));
    app.answer_within = Duration::from_secs(3_600);
    measure("report", &split(insights::router(app)).0, "/v1/reports/campaigns?group_by=channel").await
}

pub(crate) async fn preview(endpoint: &str) -> Result<(), Failure> {
    let world = World::at(endpoint);
    let lists = Arc::clone(&world.store) as Arc<dyn LeadLists>;
    let (catalog, clock) = (Arc::clone(&world.catalog), Arc::clone(&world.clock));
    let mut app = segment_export::App::new(lists, catalog, Arc::new(Nothing), Arc::new(Nothing), clock);
    app.answer_within = Duration::from_secs(3_600);
    measure("preview", &split(segment_export::router(app)).0, "/v1/segments/newsletter/preview").await
}

/// Exports a segment to a folder: everybody, or with `last` what changed since the export before, of which the folder and
/// the database know.
pub(crate) async fn export(endpoint: &str, folder: &str, since: &str) -> Result<(), Failure> {
    let world = World::at(endpoint);
    let lists = Arc::clone(&world.store) as Arc<dyn LeadLists>;
    let (catalog, clock) = (Arc::clone(&world.catalog), Arc::clone(&world.clock));
    let files = Arc::new(Disk(PathBuf::from(folder)));
    let app = segment_export::App::new(lists, catalog, files, Arc::new(Nothing), clock);
    let spec = json!({"format": "csv", "purpose": "marketing", "since": since});
    let asked = Asked {
        segment: "newsletter".to_owned(),
        playbook_version: VERSION,
        spec: Spec::from_json(&spec).ok_or("no export")?,
        scheduled: None,
    };
    let id = format!("export-{}", new_lead_id());
    app.jobs.add(&id, JobKind::Export, &asked.to_json()).await?;
    let pid = std::process::id();
    let (before, watch) = (memory_mib(pid, "VmRSS"), Stopwatch::start());
    segment_export::run_job(&app, &id).await?;
    let job = app.jobs.get(&id).await?.ok_or("no job")?;
    let manifest = job.state.pointer("/files/0/manifest").ok_or("not done")?;
    println!(
        "export since={since} cpu_ms={:.0} wall_ms={:.0} rss_before={before:.1}MiB peak={:.1}MiB rows={} bytes={}",
        watch.cpu_ms(),
        watch.wall_ms(),
        memory_mib(pid, "VmHWM"),
        manifest.get("rows").cloned().unwrap_or_default(),
        manifest.get("bytes").cloned().unwrap_or_default(),
    );
    Ok(())
}

async fn measure(what: &str, router: &Router, path: &str) -> Result<(), Failure> {
    let pid = std::process::id();
    let (before, watch) = (memory_mib(pid, "VmRSS"), Stopwatch::start());
    let request =
        Request::builder().uri(path).header("authorization", format!("Bearer {TOKEN}")).body(Body::empty())?;
    let (_, answer) = send(router, request).await?;
    let answer = String::from_utf8_lossy(&answer);
    println!(
        "{what} cpu_ms={:.0} wall_ms={:.0} rss_before={before:.1}MiB peak={:.1}MiB answer={}",
        watch.cpu_ms(),
        watch.wall_ms(),
        memory_mib(pid, "VmHWM"),
        answer.chars().take(120).collect::<String>(),
    );
    Ok(())
}

/// Files and jobs that nobody asks for here.
#[derive(Debug)]
struct Nothing;

fn nothing<T>() -> Result<T, StoreError> {
    Err(StoreError::Refused("not in a benchmark".to_owned()))
}

#[async_trait]
impl JobStarter for Nothing {
    async fn start(&self, _: &str) -> Result<(), StoreError> {
        nothing()
    }
}

#[async_trait]
impl FileStore for Nothing {
    async fn start(&self, _: &str, _: &str, _: &str) -> Result<Upload, StoreError> {
        nothing()
    }
    async fn add(&self, _: &mut Upload, _: Vec<u8>) -> Result<(), StoreError> {
        nothing()
    }
    async fn complete(&self, _: &Upload) -> Result<(), StoreError> {
        nothing()
    }
    async fn put(&self, _: &str, _: &str, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
        nothing()
    }
    async fn read(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        nothing()
    }
    async fn size(&self, _: &str) -> Result<Option<u64>, StoreError> {
        nothing()
    }
    async fn remove(&self, _: &str) -> Result<(), StoreError> {
        nothing()
    }
    async fn link(&self, _: &str) -> Result<String, StoreError> {
        nothing()
    }
}

/// Files in a folder: what exports ask of S3, without its client.
#[derive(Debug)]
struct Disk(PathBuf);

impl Disk {
    fn path(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('/', "~"))
    }
}

fn of_disk(error: &std::io::Error) -> StoreError {
    StoreError::Busy(error.to_string())
}

#[async_trait]
impl FileStore for Disk {
    async fn start(&self, key: &str, _: &str, _: &str) -> Result<Upload, StoreError> {
        std::fs::create_dir_all(&self.0).map_err(|error| of_disk(&error))?;
        Ok(Upload { key: key.to_owned(), id: format!("{key}.unfinished"), parts: Vec::new() })
    }
    async fn add(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut open = std::fs::OpenOptions::new();
        let file = open.create(true).append(true).open(self.path(&upload.id));
        file.and_then(|mut file| file.write_all(&bytes)).map_err(|error| of_disk(&error))?;
        upload.parts.push(String::new());
        Ok(())
    }
    async fn complete(&self, upload: &Upload) -> Result<(), StoreError> {
        std::fs::rename(self.path(&upload.id), self.path(&upload.key)).map_err(|error| of_disk(&error))
    }
    async fn put(&self, key: &str, _: &str, _: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        std::fs::write(self.path(key), bytes).map_err(|error| of_disk(&error))
    }
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        std::fs::read(self.path(key)).map(Some).map_err(|error| of_disk(&error))
    }
    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(std::fs::metadata(self.path(key)).ok().map(|file| file.len()))
    }
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        std::fs::remove_file(self.path(key)).map_err(|error| of_disk(&error))
    }
    async fn link(&self, _: &str) -> Result<String, StoreError> {
        nothing()
    }
}
