//! A thread that serves one port.
//!
//! Each service gets a thread with a runtime of its own, for two reasons. It blocks: dynoxide runs SQLite, and its wait
//! for the disk, inside the request; on the caller's runtime that would stop everything else on a machine with two
//! cores. And it must end for certain: connections run as detached tasks that hold the database open, and a client that
//! sent half a request would hold a graceful shutdown for ever. Dropping a runtime ends every task on it, so joining the
//! thread proves that the files are closed. One thread is enough, since a mutex lets one request at a time into the
//! database anyway.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdTcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long requests that already run may take to finish, once the server is asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Resolves when the server is asked to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<()>);

impl Stop {
    pub(crate) async fn requested(mut self) {
        // The sender never sends: it is dropped, which is the one way in which this ends, so a value means nothing.
        while self.0.changed().await.is_ok() {}
    }
}

/// A running server; dropping it stops it and waits for its thread, at most a little longer than two seconds.
#[derive(Debug)]
pub(crate) struct Server {
    endpoint: String,
    /// Dropped to ask the server to stop.
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Takes a free port on 127.0.0.1 and runs `serve` on a new thread until the server is dropped.
    ///
    /// The port is open when this returns: a client that connects before `serve` accepts waits in the backlog.
    pub(crate) fn start<S, F>(name: &str, serve: S) -> io::Result<Self>
    where
        S: FnOnce(TcpListener, Stop) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let listener = StdTcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (sender, receiver) = watch::channel(());
        let stop = Stop(receiver);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                let out_of_patience = {
                    let stop = stop.clone();
                    async move {
                        stop.requested().await;
                        tokio::time::sleep(GRACE).await;
                    }
                };
                tokio::select! {
                    () = serve(listener, stop) => {}
                    () = out_of_patience => tracing::debug!("connections still open when the server stopped"),
                }
            });
            // Ends the tasks of connections that did not finish in time, and with them the last use of the data.
            drop(runtime);
        })?;
        Ok(Self { endpoint, stop: Some(sender), thread: Some(thread) })
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(endpoint = self.endpoint, "the server's thread panicked");
        }
    }
}
