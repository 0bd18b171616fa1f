//! `leadloop dev`: the whole product on one machine.
//!
//! The functions' own routers on one port, the real AWS SDK against DynamoDB and S3 embedded in this process, the
//! tables and schedules of `template.yaml`. What is stored lies under `--data-dir` and is there after a restart.
//!
//! # Layout
//!
//! * this file – the start, the running and the end;
//! * [`outbox`] – what happened, on its way to webhooks; [`queue`] – the queue that it waits in;
//! * [`site`] – the demonstration page; [`mails`] – the mails that would have been sent;
//! * [`tokens`] – one token per role, and where they are written.

pub mod mails;
pub mod outbox;
pub mod queue;
pub mod site;
pub mod tokens;

use crate::starter;
use adapters::clock::{Clock, SystemClock};
use adapters::config::{Environment, Tables};
use adapters::dynamodb::{DynamoCatalog, DynamoLeadStore};
use adapters::http::Tokens;
use adapters::mail::Mailbox;
use adapters::playbooks::Playbooks;
use adapters::ports::{Catalog, JobStarter, Mailer, StoreError};
use adapters::s3::S3Files;
use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use axum::Router;
use domain::identity::Email;
use embedded::{Cadence, Database, Files, Template};
use queue::LocalQueue;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The bucket of exports.
const BUCKET: &str = "exports";

/// How this installation calls itself in its events.
const SOURCE: &str = "urn:leadloop:dev";

/// How often the outbox and the queue of webhooks' messages are looked into.
const LOOK_FOR_EVENTS: Duration = Duration::from_millis(500);

/// How long requests that already run may take to finish, once Ctrl-C was pressed.
const GRACE: Duration = Duration::from_secs(2);

/// The arguments of `leadloop dev`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The port of the API; 0 takes any that is free and prints it.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Where everything is stored.
    #[arg(long, default_value = ".leadloop")]
    data_dir: PathBuf,
    /// The template whose tables and schedules are used.
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// A playbook to start with, instead of the starter; later ones go through POST /v1/playbooks.
    #[arg(long)]
    playbook: Option<PathBuf>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            port: 3000,
            host: IpAddr::from([127, 0, 0, 1]),
            data_dir: PathBuf::from(".leadloop"),
            template: PathBuf::from("template.yaml"),
            playbook: None,
        }
    }
}

/// Says why it did not start.
#[derive(Debug, Error)]
pub enum DevError {
    /// The port is taken.
    #[error(
        "port {0} is in use; stop what uses it, or choose another with --port (0 takes any that is free)"
    )]
    PortInUse(u16),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] embedded::TemplateError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] embedded::DatabaseError),
    /// The files cannot be used.
    #[error(transparent)]
    Files(#[from] embedded::FilesError),
    /// The tables cannot be made.
    #[error("the tables cannot be made: {0}")]
    Tables(#[from] embedded::CreateTablesError),
    /// The playbook cannot be loaded.
    #[error(transparent)]
    Load(#[from] starter::LoadError),
    /// A file of the data folder cannot be written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// What is stored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the SDK's configuration for an embedded service.
async fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(
        embedded::ACCESS_KEY,
        embedded::SECRET_KEY,
        None,
        None,
        "embedded",
    );
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(embedded::REGION))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .load()
        .await
}

/// Runs until Ctrl-C.
///
/// # Errors
///
/// [`DevError`]: one clear line.
pub async fn run(arguments: Arguments, environment: &Environment) -> Result<(), DevError> {
    logs(environment);
    let template = Template::read(&arguments.template)?;
    let (listener, address) = listen(&arguments).await?;
    let database = Database::open(&arguments.data_dir.join("database"))?;
    let files = Files::open(&arguments.data_dir.join("files"), BUCKET)?;
    let client = aws_sdk_dynamodb::Client::new(&sdk_config(database.endpoint()).await);
    embedded::create_tables(&client, &template.tables, str::to_owned, false).await?;
    let s3 = adapters::s3::client(&sdk_config(files.endpoint()).await);
    let queues = ["deliveries", "dead-letters", "notices", "notices-dead-letters"].map(|name| {
        let path = arguments.data_dir.join(format!("{name}.json"));
        let opened = LocalQueue::open(&path, Arc::new(SystemClock));
        opened.map_err(|error| DevError::File(path.display().to_string(), error))
    });
    let [deliveries, dead_letters, notices, unread] = queues;
    let url = format!("http://{address}");
    let outgoing = Outgoing {
        deliveries: deliveries?,
        dead_letters: dead_letters?,
        notices: notices?,
        unread: unread?,
        mails: arguments.data_dir.join("mails"),
        url: url.clone(),
    };
    let house = House::new(client, S3Files::new(s3, BUCKET), outgoing);
    let version = starter::load(&house.catalog, &house.playbooks, arguments.playbook.as_deref()).await?;
    let tokens = tokens::ready(&house.tokens, &arguments.data_dir.join("tokens.json")).await?;
    #[cfg(unix)]
    std::fs::set_permissions(&arguments.data_dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(|error| DevError::File(arguments.data_dir.display().to_string(), error))?;
    let endpoints = json!({ "api": url, "dynamodb": database.endpoint(), "s3": files.endpoint() });
    write(&arguments.data_dir.join("endpoints.json"), &endpoints)?;
    let mut ticking = house.tick(&template);
    ticking.extend(house.send_events());
    println!(
        "Leadloop runs, with playbook version {version}. Ctrl-C ends it; everything stays in {}.",
        arguments.data_dir.display()
    );
    println!("  page      {url}/");
    println!("  API       {url}/v1   documented at {url}/docs");
    println!("  mails     {url}/mails");
    println!("  tokens    {}", arguments.data_dir.join("tokens.json").display());
    println!("  DynamoDB  {}", database.endpoint());
    println!("  S3        {}", files.endpoint());
    let pages =
        site::router(site::Site::new(&house, &tokens)).merge(mails::router(arguments.data_dir.join("mails")));
    let router = house.router().merge(pages);
    let served = tokio::select! {
        served = axum::serve(listener, adapters::http::finish(router)).with_graceful_shutdown(ended()) => served,
        // A client that sent half a request must not hold up the end.
        () = async { ended().await; tokio::time::sleep(GRACE).await } => Ok(()),
    };
    ticking.iter().for_each(tokio::task::JoinHandle::abort);
    println!("\nstopping; everything is stored in {}", arguments.data_dir.display());
    files.shutdown().await;
    database.shutdown().await;
    served.map_err(|error| DevError::Listen(address, error))
}

/// Warnings, errors and the events that go out are written to standard error, in words; `RUST_LOG` asks for more.
fn logs(environment: &Environment) {
    let filter = environment.optional("RUST_LOG").unwrap_or_else(|| {
        "warn,leadloop=info,deliver=info,notify=info,nurture=info,dynoxide=error".to_owned()
    });
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

async fn listen(arguments: &Arguments) -> Result<(TcpListener, SocketAddr), DevError> {
    let wanted = SocketAddr::new(arguments.host, arguments.port);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => DevError::PortInUse(arguments.port),
        _ => DevError::Listen(wanted, error),
    };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(|error| DevError::Listen(wanted, error))?;
    Ok((listener, address))
}

fn write(path: &Path, body: &Value) -> Result<(), DevError> {
    std::fs::write(path, format!("{body}\n"))
        .map_err(|error| DevError::File(path.display().to_string(), error))
}

/// Waits for Ctrl-C, or for the signal by which a service manager ends a process.
async fn ended() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// All functions, wired to one database. They share one view of playbooks and tokens, so that an activation is seen at
/// once; on AWS each has its own, up to 30 seconds old.
struct House {
    catalog: Arc<dyn Catalog>,
    playbooks: Arc<Playbooks>,
    tokens: Arc<Tokens>,
    lead_capture: lead_capture::App,
    rescore: rescore::App,
    segment_export: segment_export::App,
    sales_feedback: sales_feedback::App,
    playbook: playbook::App,
    insights: insights::App,
    dispatch: dispatch::App,
    deliver: deliver::App,
    notify: notify::App,
    nurture: nurture::App,
    client: aws_sdk_dynamodb::Client,
    deliveries: LocalQueue,
    notices: LocalQueue,
}

/// What leaves the house, and where it waits.
struct Outgoing {
    deliveries: LocalQueue,
    dead_letters: LocalQueue,
    notices: LocalQueue,
    unread: LocalQueue,
    /// The folder of mails.
    mails: PathBuf,
    /// Where their links lead.
    url: String,
}

/// Who mails come from on one machine.
const SENDER: &str = "leadloop@dev.example";

impl House {
    fn new(client: aws_sdk_dynamodb::Client, files: S3Files, outgoing: Outgoing) -> Self {
        let Outgoing { deliveries, dead_letters, notices, unread, mails, url } = outgoing;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(DynamoLeadStore::new(client.clone(), Tables::plain()));
        let catalog: Arc<dyn Catalog> = Arc::new(DynamoCatalog::new(client.clone(), Tables::plain().catalog));
        let playbooks = Arc::new(Playbooks::new(Arc::clone(&catalog), Arc::clone(&clock)));
        let tokens = Arc::new(Tokens::new(Arc::clone(&catalog), Arc::clone(&clock)));

        let mut lead_capture =
            lead_capture::App::new(Arc::clone(&store), Arc::clone(&catalog), Arc::clone(&clock));
        lead_capture.write_path = lead_capture.write_path.with_playbooks(Arc::clone(&playbooks));
        lead_capture.playbooks = Arc::clone(&playbooks);
        lead_capture.tokens = Arc::clone(&tokens);

        let mut sales_feedback =
            sales_feedback::App::new(Arc::clone(&store), Arc::clone(&catalog), Arc::clone(&clock));
        sales_feedback.write_path = sales_feedback.write_path.with_playbooks(Arc::clone(&playbooks));
        sales_feedback.playbooks = Arc::clone(&playbooks);
        sales_feedback.tokens = Arc::clone(&tokens);

        let mut playbook = playbook::App::new(Arc::clone(&catalog), Arc::clone(&clock));
        playbook.playbooks = Arc::clone(&playbooks);
        playbook.tokens = Arc::clone(&tokens);

        let exports = Arc::new(Spawned::default());
        let mut segment_export = segment_export::App::new(
            store.clone(),
            Arc::clone(&catalog),
            Arc::new(files),
            exports.clone(),
            Arc::clone(&clock),
        );
        segment_export.playbooks = Arc::clone(&playbooks);
        segment_export.tokens = Arc::clone(&tokens);
        exports.run(|app: segment_export::App, job| async move { segment_export::run_job(&app, &job).await.map(drop) }, &segment_export);

        let reports = Arc::new(Spawned::default());
        let mut insights =
            insights::App::new(store.clone(), Arc::clone(&catalog), reports.clone(), Arc::clone(&clock));
        insights.playbooks = Arc::clone(&playbooks);
        insights.tokens = Arc::clone(&tokens);
        reports.run(|app: insights::App, job| async move { insights::run_job(&app, &job).await }, &insights);

        let dispatch = dispatch::App {
            catalog: Arc::clone(&catalog),
            bus: Arc::new(outbox::LoggedBus { notices: notices.clone() }),
            queue: Arc::new(deliveries.clone()),
            dead_letters: Arc::new(dead_letters.clone()),
            source: SOURCE.to_owned(),
        };
        let mut deliver = deliver::App::new(
            store.clone(),
            Arc::clone(&catalog),
            deliveries.clone(),
            dead_letters,
            deliver::post::Poster::new(true),
            SOURCE.to_owned(),
            Arc::clone(&clock),
        );
        deliver.tokens = Arc::clone(&tokens);
        deliver.write_path = deliver.write_path.with_playbooks(Arc::clone(&playbooks));

        let mailer = Arc::new(mail::FolderMailer::new(mails));
        let sender = Email::parse(SENDER).ok();
        let sender = sender.map(|email| Mailbox { name: Some("Leadloop".to_owned()), email });
        let post =
            sender.clone().map(|from| notify::Post { mailer: Arc::clone(&mailer) as Arc<dyn Mailer>, from });
        let mut notify = notify::App::new(
            Arc::clone(&store),
            Arc::clone(&catalog),
            (notices.clone(), unread),
            post,
            notify::Pages::new(Some(url.clone()), Some(format!("{url}/last-leads/{{lead_id}}"))),
            Arc::clone(&clock),
        );
        notify.playbooks = Arc::clone(&playbooks);

        let post = sender.map(|from| nurture::Post::new(mailer, from, &url));
        let mut nurture =
            nurture::App::new(Arc::clone(&store), Arc::clone(&catalog), post, Arc::clone(&clock));
        nurture.write_path = nurture.write_path.with_playbooks(Arc::clone(&playbooks));
        nurture.playbooks = Arc::clone(&playbooks);
        nurture.tokens = Arc::clone(&tokens);

        let mut rescore = rescore::App::on_one_machine(store, Arc::clone(&catalog), clock);
        rescore.resumers = rescore::resumers(reports, exports);
        let erasures = Arc::new(Spawned::default());
        erasures.run(
            |app: rescore::App, job| async move { rescore::run_job(&app, &job).await.map(drop) },
            &rescore,
        );
        lead_capture.starter = Some(erasures);
        Self {
            catalog,
            playbooks,
            tokens,
            lead_capture,
            rescore,
            segment_export,
            sales_feedback,
            playbook,
            insights,
            dispatch,
            deliver,
            notify,
            nurture,
            client,
            deliveries,
            notices,
        }
    }

    fn router(&self) -> Router {
        [
            lead_capture::router(self.lead_capture.clone()),
            segment_export::router(self.segment_export.clone()),
            sales_feedback::router(self.sales_feedback.clone()),
            playbook::router(self.playbook.clone()),
            insights::router(self.insights.clone()),
            deliver::router(self.deliver.clone()),
            nurture::router(self.nurture.clone()),
        ]
        .into_iter()
        .fold(Router::new(), |whole, part| whole.merge(part.split_for_parts().0))
    }

    /// Sends what happened to webhooks and as mails, one step after the other.
    fn send_events(&self) -> [tokio::task::JoinHandle<()>; 3] {
        let (client, dispatch) = (self.client.clone(), self.dispatch.clone());
        let feed = move || {
            let (client, dispatch) = (client.clone(), dispatch.clone());
            async move { outbox::feed(&client, &Tables::plain().outbox, &dispatch).await.map(drop) }
        };
        let (queue, app) = (self.deliveries.clone(), self.deliver.clone());
        let deliver = move || {
            let (queue, app) = (queue.clone(), app.clone());
            async move { outbox::deliver(&queue, &app).await }
        };
        let (queue, app) = (self.notices.clone(), self.notify.clone());
        let notify = move || {
            let (queue, app) = (queue.clone(), app.clone());
            async move { outbox::notify(&queue, &app).await }
        };
        [
            again_and_again(Instant::now(), LOOK_FOR_EVENTS, feed),
            again_and_again(Instant::now(), LOOK_FOR_EVENTS, deliver),
            again_and_again(Instant::now(), LOOK_FOR_EVENTS, notify),
        ]
    }

    /// Lets the template's schedules tick.
    fn tick(&self, template: &Template) -> Vec<tokio::task::JoinHandle<()>> {
        let mut ticking = Vec::new();
        for schedule in template.schedules.iter().filter(|schedule| schedule.enabled) {
            let Cadence::Every(every) = schedule.cadence else {
                tracing::warn!(schedule = schedule.event, "only rate(…) schedules tick on one machine");
                continue;
            };
            match schedule.function.as_str() {
                "RescoreFunction" => {
                    let (app, input) = (self.rescore.clone(), schedule.input.clone());
                    ticking.push(again_and_again(Instant::now(), every, move || {
                        let (app, input) = (app.clone(), input.clone());
                        async move { rescore::handle(&app, input).await.map(drop) }
                    }));
                }
                "InsightsFunction" => {
                    let (app, input) = (self.insights.clone(), schedule.input.clone());
                    // It reads every timeline: not while somebody waits for the start.
                    ticking.push(again_and_again(Instant::now() + every, every, move || {
                        let (app, input) = (app.clone(), input.clone());
                        async move { insights::scheduled(&app, &input).await.map(drop) }
                    }));
                }
                "NotifyFunction" => {
                    let (app, input) = (self.notify.clone(), schedule.input.clone());
                    ticking.push(again_and_again(Instant::now(), every, move || {
                        let (app, input) = (app.clone(), input.clone());
                        async move { notify::handle(&app, &input).await.map(drop) }
                    }));
                }
                "NurtureFunction" => {
                    let (app, input) = (self.nurture.clone(), schedule.input.clone());
                    ticking.push(again_and_again(Instant::now(), every, move || {
                        let (app, input) = (app.clone(), input.clone());
                        async move { nurture::handle(&app, &input).await.map(drop) }
                    }));
                }
                other => tracing::warn!(function = other, "no such function runs on one machine"),
            }
        }
        ticking
    }
}

/// Does something at a time and every so often after it; what fails is logged, and done again when it is due again.
fn again_and_again<F, E>(
    first: Instant,
    every: Duration,
    work: impl Fn() -> F + Send + 'static,
) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = Result<(), E>> + Send,
    E: std::fmt::Display,
{
    tokio::spawn(async move {
        let mut clock = tokio::time::interval_at(first, every);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if let Err(error) = work().await {
                tracing::error!(error = %error, "what is done again and again failed");
            }
        }
    })
}

/// What runs a job in a task of its own.
type RunJob =
    Box<dyn Fn(String) -> futures::future::BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// Starts jobs in tasks of this process, where AWS would invoke the function once more.
#[derive(Default)]
struct Spawned(OnceLock<RunJob>);

impl std::fmt::Debug for Spawned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spawned")
    }
}

impl Spawned {
    /// Says what a job runs. The app holds this starter, so it is told after both exist.
    fn run<A, R, F>(&self, run: R, app: &A)
    where
        A: Clone + Send + Sync + 'static,
        R: Fn(A, String) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let app = app.clone();
        let run: RunJob = Box::new(move |job| Box::pin(run(app.clone(), job)));
        if self.0.set(run).is_err() {
            tracing::debug!("a starter is told once what to run");
        }
    }
}

#[async_trait]
impl JobStarter for Spawned {
    async fn start(&self, job: &str) -> Result<(), StoreError> {
        let Some(run) = self.0.get() else {
            return Err(StoreError::Refused("no jobs run here yet".to_owned()));
        };
        let (work, job) = (run(job.to_owned()), job.to_owned());
        tokio::spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(job, error = %error, "a job failed; it is taken up again when it is asked for");
            }
        });
        Ok(())
    }
}
