//! Sends a message to where a person said, and to nowhere else.
//!
//! A client library resolves, connects, redirects, pools and asks proxies by itself, and each of these is a way around a
//! check of the address. So the steps stand here one after the other: the name is resolved, what is no address of the
//! public internet is dropped ([`domain::webhook::address`]), and one connection is opened to an address of those that are
//! left. A name that leads elsewhere a moment later changes nothing. Of the answer to an event the
//! status is all that counts; a redirect is an answer like any other and is not followed. Everything together has [`ALL_IN_ALL`], so a receiver that answers byte
//! by byte holds nobody up.

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, Uri, header};
use domain::time::Timestamp;
use domain::webhook::address::{is_private_name, is_public};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self as tls, CertificateError, ClientConfig, RootCertStore};

/// How long a message may take, from the name to the answer's last byte.
pub const ALL_IN_ALL: Duration = Duration::from_secs(15);
/// How much of an answer is read before the connection is closed, in bytes. One that is longer is not kept.
const MOST_OF_AN_ANSWER: usize = 64 * 1024;
/// How long the head of an answer may be, in bytes.
const MOST_OF_A_HEAD: usize = 16 * 1024;
/// How long an address may be, in characters.
const LONGEST_URL: usize = 2_000;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync + Debug {
    /// Resolves a name, or an address in words, for a port.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;
}

/// Asks the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Where a message goes, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    /// Reads an address; `loopback` says whether this machine itself may be meant, and without TLS then.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a part of a sentence.
    pub fn parse(url: &str, loopback: bool) -> Result<Self, &'static str> {
        if url.len() > LONGEST_URL {
            return Err("is longer than 2,000 characters");
        }
        let uri: Uri =
            url.parse().map_err(|_| "is no URL; expected one such as https://hooks.example/leads")?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("is no absolute URL; expected one such as https://hooks.example/leads");
        };
        if authority.as_str().contains('@') {
            return Err("holds a user name or password; the signature tells who sends");
        }
        if url.contains('#') {
            return Err("has a fragment, which no server ever sees");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let secure = scheme == "https";
        let beside = match host.parse::<IpAddr>() {
            Ok(address) => !is_public(address),
            Err(_) => is_private_name(host),
        };
        if !(secure || loopback && scheme == "http") {
            return Err("does not begin with https://; messages go over TLS only");
        }
        if beside && !(loopback && is_this_machine(host)) {
            return Err("leads to a private network; expected a host of the public internet");
        }
        if !secure && !is_this_machine(host) {
            return Err("does not begin with https://; only this machine itself is reached without TLS");
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What a receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks us to wait, in milliseconds.
    pub retry_after_ms: Option<i64>,
}

/// What a receiver answered, with the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Its body; none where it is too long to be kept.
    pub body: Option<Bytes>,
}

impl Reply {
    /// Reads the body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.body.as_ref()?).ok()
    }
}

/// Says why there is no answer. It names neither the address nor what was sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failed {
    /// The address is none that messages go to.
    #[error("the address {0}")]
    Target(&'static str),
    /// The name has no address.
    #[error("the name of the host cannot be resolved")]
    Name,
    /// None of the name's addresses is one of the public internet.
    #[error("the name of the host leads to a private network only")]
    Private,
    /// Nobody takes the connection.
    #[error("no connection: {0}")]
    Connection(std::io::ErrorKind),
    /// It does not speak TLS, or its certificate is not good.
    #[error("no TLS: {0}")]
    Tls(&'static str),
    /// It broke off, or does not speak HTTP/1.1.
    #[error("no HTTP answer, or one without end")]
    Http,
    /// It took too long.
    #[error("no whole answer within {0} s")]
    Time(u64),
    /// The server of tokens gave none.
    #[error("no token: {0}")]
    NoToken(String),
    /// It made a record and does not say which.
    #[error("an answer that names no record")]
    NoId,
}

/// Posts messages.
#[derive(Clone, Debug)]
pub struct Poster {
    resolver: Arc<dyn Resolver>,
    tls: Arc<ClientConfig>,
    loopback: bool,
    time: Duration,
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Poster {
    /// Makes one that trusts whom the machine trusts; `loopback` lets it reach this machine itself, which only a
    /// developer's machine does.
    #[must_use]
    pub fn new(loopback: bool) -> Self {
        let mut roots = RootCertStore::empty();
        let (added, ignored) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            tracing::error!(
                ignored,
                "the machine trusts no certificate authority: no webhook can be reached"
            );
        }
        Self::trusting(roots, Arc::new(SystemResolver), loopback)
    }

    /// Makes one that trusts certain authorities and asks a certain resolver.
    #[must_use]
    pub fn trusting(roots: RootCertStore, resolver: Arc<dyn Resolver>, loopback: bool) -> Self {
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { resolver, tls: Arc::new(tls), loopback, time: ALL_IN_ALL }
    }

    /// Gives it another time.
    #[must_use]
    pub const fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Tells whether it reaches this machine itself.
    #[must_use]
    pub const fn reaches_loopback(&self) -> bool {
        self.loopback
    }

    /// Posts a body with headers.
    ///
    /// # Errors
    ///
    /// [`Failed`], where there is no answer; an answer that says no is an answer.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        self.call(Method::POST, url, headers, body, now).await.map(|reply| reply.answer)
    }

    /// Sends a request of any kind and gives the answer with its body.
    ///
    /// # Errors
    ///
    /// [`Failed`], where there is no answer; an answer that says no is an answer.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
        now: Timestamp,
    ) -> Result<Reply, Failed> {
        let target = Target::parse(url, self.loopback).map_err(Failed::Target)?;
        let exchange = self.exchange(method, &target, headers, body, now);
        tokio::time::timeout(self.time, exchange).await.unwrap_or(Err(Failed::Time(self.time.as_secs())))
    }

    async fn exchange(
        &self,
        method: Method,
        target: &Target,
        headers: &[(&'static str, String)],
        body: Bytes,
        now: Timestamp,
    ) -> Result<Reply, Failed> {
        let stream = self.connect(&self.addresses(target).await?).await?;
        let stream: Box<dyn Stream> = if target.secure {
            let name = ServerName::try_from(target.host.clone()).map_err(|_| Failed::Name)?;
            let secured = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
            Box::new(secured.map_err(|error| Failed::Tls(what_failed(&error)))?)
        } else {
            Box::new(stream)
        };
        let request = request(method, target, headers, body).ok_or(Failed::Http)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_OF_A_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failed::Http)?;
        let answered = async move {
            let response = sender.send_request(request).await.map_err(|_| Failed::Http)?;
            let retry_after_ms = response.headers().get(header::RETRY_AFTER);
            let retry_after_ms = retry_after_ms.and_then(|value| wait_of(value.to_str().ok()?, now));
            let answer = Answer { status: response.status().as_u16(), retry_after_ms };
            // The rest is read, so that a receiver is not cut off while it writes; up to a limit.
            let rest = Limited::new(response.into_body(), MOST_OF_AN_ANSWER).collect().await;
            let too_long =
                |error: &(dyn std::error::Error + 'static)| error.is::<http_body_util::LengthLimitError>();
            match rest {
                Err(error) if !too_long(error.as_ref()) => Err(Failed::Http),
                rest => Ok(Reply { answer, body: rest.ok().map(|rest| rest.to_bytes()) }),
            }
        };
        let driven = async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a receiver's connection ended early");
            }
            // Whoever waits for the answer hears of it too.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answered => answer,
            () = driven => Err(Failed::Http),
        }
    }

    /// Gives the addresses that may be connected to.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failed> {
        let found = self.resolver.resolve(&target.host, target.port).await.map_err(|_| Failed::Name)?;
        if found.is_empty() {
            return Err(Failed::Name);
        }
        let may = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            (target.secure && is_public(ip)) || (self.loopback && ip.is_loopback())
        };
        let may: Vec<SocketAddr> = found.into_iter().filter(may).collect();
        if may.is_empty() { Err(Failed::Private) } else { Ok(may) }
    }

    /// Connects to the first address that answers: a host may have one of IPv6 where this machine has none.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failed> {
        let mut failed = Failed::Name;
        // INVARIANT: what is connected to are the addresses that were checked, and nothing resolves the name again.
        for address in addresses {
            match tokio::time::timeout(self.time / 3, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = Failed::Connection(error.kind()),
                Err(_) => failed = Failed::Connection(std::io::ErrorKind::TimedOut),
            }
        }
        Err(failed)
    }
}

fn request(
    method: Method,
    target: &Target,
    headers: &[(&'static str, String)],
    body: Bytes,
) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(method)
        .uri(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::USER_AGENT, HeaderValue::from_static("Leadloop"))
        .header(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(body)).ok()
}

/// Says why TLS failed. The library's own words name hosts, and what is said here ends in a log.
fn what_failed(error: &std::io::Error) -> &'static str {
    match error.get_ref().and_then(|error| error.downcast_ref::<tls::Error>()) {
        Some(tls::Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::UnknownIssuer => "the certificate is of an issuer that nobody knows",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is another host's"
            }
            _ => "the certificate is not valid",
        },
        _ => "the receiver does not agree on how to speak it",
    }
}

/// Reads `Retry-After`, in seconds or as a date; gives milliseconds.
fn wait_of(value: &str, now: Timestamp) -> Option<i64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(i64::from(seconds) * 1_000);
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some((date.timestamp().as_millisecond() - now.millis()).max(0))
}

#[cfg(test)]
mod tests;
