//! S3 in this process: s3s on plain files.
//!
//! An object is a file `<folder>/<bucket>/<key>`, so that a developer can open an export with any tool; what a file
//! cannot say (content type, ETag, unfinished uploads) lies beside the buckets in hidden files. Requests are path-style
//! and must be signed with the local keys: a link that is not signed, is signed for something else or has expired is
//! refused, as in the cloud, so that presigned links are tested for what they are.
//!
//! Of what exports use, s3s-fs differs from S3 in this: part numbers of an upload must run from 1 without a gap;
//! `ListParts` gives no ETags, and completing does not compare them; completing twice is `AccessDenied` rather than
//! `NoSuchUpload`; `response-content-disposition` and its like in a link are ignored (set `Content-Disposition` when the
//! upload is created); nothing expires, and abandoned uploads stay.

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::folder::{Folder, FolderError};
use crate::server::{Server, Stop};
use crate::{ACCESS_KEY, SECRET_KEY};

/// Why the file store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The folder cannot be used, or somebody else uses it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// S3 would not allow a bucket of this name.
    #[error("`{name}` is not a name that S3 allows for a bucket")]
    BucketName {
        /// The name.
        name: String,
    },
    /// No port could be opened on the loopback address.
    #[error("the file store cannot listen on 127.0.0.1: {0}")]
    Listen(#[source] std::io::Error),
}

/// A running file store.
///
/// Dropping it stops the server and waits for that; in asynchronous code, prefer [`Files::shutdown`].
#[derive(Debug)]
pub struct Files {
    // Dropped in this order: the folder is free when nothing serves it any more.
    server: Server,
    _folder: Folder,
}

impl Files {
    /// Serves a folder, which is made where it is missing, and makes the bucket in it where that is missing.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be used or is in use, the bucket's name is not allowed, or no port is free.
    pub fn open(folder: &Path, bucket: &str) -> Result<Self, FilesError> {
        if !s3s::path::check_bucket_name(bucket) {
            return Err(FilesError::BucketName { name: bucket.to_owned() });
        }
        let folder = Folder::claim(folder)?;
        let unusable = |source| FolderError::Unusable { path: folder.path().to_owned(), source };
        std::fs::create_dir_all(folder.path().join(bucket)).map_err(unusable)?;
        // Its own error type hides its cause, and there is just one: the folder cannot be read.
        let store = FileSystem::new(folder.path())
            .map_err(|error| unusable(std::io::Error::other(format!("{error:?}"))))?;
        let mut service = S3ServiceBuilder::new(store);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let server = Server::start("s3", move |listener, stop| serve(listener, stop, service))
            .map_err(FilesError::Listen)?;
        Ok(Self { server, _folder: folder })
    }

    /// Returns the URL for the SDK's `endpoint_url`, such as `http://127.0.0.1:40124`; use it with path-style addresses.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.server.endpoint()
    }

    /// Stops serving, and lets running requests finish for up to two seconds.
    pub async fn shutdown(self) {
        if tokio::task::spawn_blocking(move || drop(self)).await.is_err() {
            tracing::error!("the file store did not shut down cleanly");
        }
    }
}

async fn serve(listener: TcpListener, stop: Stop, service: S3Service) {
    let connections = GracefulShutdown::new();
    let http = Builder::new(TokioExecutor::new());
    let mut stopped = std::pin::pin!(stop.requested());
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Out of file descriptors, most likely: turning at once would keep the processor busy with it.
                    tracing::warn!(%error, "the file store could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stopped => break,
        };
        // Answers are written at once: a small one would otherwise wait for the client to acknowledge the headers.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps delaying small packets");
        }
        let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection to the file store ended early");
            }
        });
    }
    drop(listener);
    connections.shutdown().await;
}
