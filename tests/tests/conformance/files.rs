//! Files in memory and on S3 keep the same promises. The S3 is the embedded one, behind the real SDK.
//!
//! What it cannot show: the embedded one does not compare the tags of parts when it puts a file together, so that a part
//! that came late is tried in memory only.

use adapters::clock::SetClock;
use adapters::jobs::{JobStatus, Jobs};
use adapters::ports::{Catalog, FileStore};
use adapters::s3::{self, S3Files};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use domain::export::Asked;
use domain::lead::Lead;
use embedded::Files;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use testkit::builders::{NOON, a_lead, activate, email, time};
use testkit::{MemoryCatalog, MemoryFiles, MemoryJobStarter, MemoryLeadStore, test_playbook};

const BUCKET: &str = "exports";

async fn on_s3(files: &Files) -> S3Files {
    let credentials = Credentials::new(embedded::ACCESS_KEY, embedded::SECRET_KEY, None, None, "embedded");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(embedded::REGION))
        .endpoint_url(files.endpoint())
        .credentials_provider(credentials);
    S3Files::new(s3::client(&config.load().await), BUCKET)
}

async fn small_files(files: &dyn FileStore) {
    assert_eq!(files.read("a/b.txt").await.unwrap(), None, "what is not there is not there");
    files.put("a/b.txt", "text/plain", "b.txt", b"one".to_vec()).await.unwrap();
    files.put("a/b.txt", "text/plain", "b.txt", b"two".to_vec()).await.unwrap();
    assert_eq!(files.read("a/b.txt").await.unwrap().as_deref(), Some(b"two".as_slice()));
    files.remove("a/b.txt").await.unwrap();
    files.remove("a/b.txt").await.unwrap();
    assert_eq!(files.read("a/b.txt").await.unwrap(), None);
}

async fn uploads(files: &dyn FileStore) {
    let mut upload = files.start("a/big.csv", "text/csv", "big.csv").await.unwrap();
    let part = vec![b'x'; 5 * 1024 * 1024];
    files.add(&mut upload, part.clone()).await.unwrap();
    // A worker that went on from before the second part sends it again.
    let noted = upload.clone();
    files.add(&mut upload, b"lost".to_vec()).await.unwrap();
    upload = noted;
    files.add(&mut upload, b"end".to_vec()).await.unwrap();
    assert_eq!(files.read("a/big.csv").await.unwrap(), None, "nothing has the final name before the end");
    files.complete(&upload).await.unwrap();
    let whole = files.read("a/big.csv").await.unwrap().unwrap();
    assert_eq!((whole.len(), whole.ends_with(b"xend")), (part.len() + 3, true));
    assert_eq!(files.size("a/big.csv").await.unwrap(), Some(whole.len() as u64));
    assert_eq!(files.size("a/none.csv").await.unwrap(), None);
    // It cannot be put together twice.
    assert!(files.complete(&upload).await.is_err());
    assert_eq!(files.read("a/big.csv").await.unwrap(), Some(whole));
}

#[tokio::test]
async fn in_memory() {
    let files = MemoryFiles::new();
    small_files(&files).await;
    uploads(&files).await;
}

#[tokio::test]
async fn on_the_embedded_s3() {
    let folder = tempfile::tempdir().unwrap();
    let server = Files::open(folder.path(), BUCKET).unwrap();
    let files = on_s3(&server).await;
    small_files(&files).await;
    uploads(&files).await;
}

fn consenting(n: usize) -> Lead {
    let fact = domain::consent::ConsentFact {
        purpose: domain::consent::Purpose::Marketing,
        status: domain::consent::ConsentStatus::Confirmed,
        basis: domain::consent::Basis::Consent,
        text: None,
        source: None,
        at: time(NOON),
    };
    let mut lead = a_lead().known_by(email(&format!("lead{n}@company.example"))).ready().lead();
    lead.consents.take(&fact);
    lead
}

#[tokio::test]
async fn an_export_of_changes_goes_from_worker_to_worker_on_s3() {
    let folder = tempfile::tempdir().unwrap();
    let server = Files::open(folder.path(), BUCKET).unwrap();
    let files = Arc::new(on_s3(&server).await);
    let (store, clock) = (Arc::new(MemoryLeadStore::new()), Arc::new(SetClock::at(time(NOON))));
    let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new());
    activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&clock) as _).await;
    let starter = Arc::new(MemoryJobStarter::new());
    let mut app = segment_export::App::new(
        Arc::clone(&store) as _,
        Arc::clone(&catalog),
        Arc::clone(&files) as _,
        Arc::clone(&starter) as _,
        Arc::clone(&clock) as _,
    );
    // Each worker reads one round of leads and hands on.
    app.work_for = std::time::Duration::ZERO;
    let jobs = Jobs::new(Arc::clone(&catalog), Arc::clone(&clock) as _);
    let leads: Vec<Lead> = (0..30).map(consenting).collect();
    leads.iter().for_each(|lead| store.put(lead.clone()));
    let spec = json!({"format": "jsonl", "purpose": "marketing", "columns": ["email"], "since": "last"});
    let made = async |id: &str| -> (Value, String) {
        let asked = Asked {
            segment: "newsletter".to_owned(),
            playbook_version: 1,
            spec: domain::export::Spec::from_json(&spec).unwrap(),
            scheduled: None,
        };
        jobs.add(id, adapters::jobs::JobKind::Export, &asked.to_json()).await.unwrap();
        for _ in 0..20 {
            segment_export::run_job(&app, id).await.unwrap();
            if jobs.get(id).await.unwrap().unwrap().status == JobStatus::Done {
                break;
            }
        }
        let file = jobs.get(id).await.unwrap().unwrap().state["files"][0].clone();
        let bytes = files.read(file["key"].as_str().unwrap()).await.unwrap().unwrap();
        let sum = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        assert_eq!(file["manifest"]["sha256"], json!(sum));
        let beside = files.read(file["manifest_key"].as_str().unwrap()).await.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&beside).unwrap(), file["manifest"]);
        (file["manifest"].clone(), String::from_utf8(bytes).unwrap())
    };
    let (first, text) = made("export-1").await;
    assert_eq!((&first["rows"], text.lines().count()), (&json!(30), 30));
    store.forget(&leads[3].id);
    let (second, text) = made("export-2").await;
    assert_eq!(second["since"]["export_id"], "export-1");
    let row: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(row, json!({"change": "removed", "reason": "erased", "email": "lead3@company.example"}));
}
