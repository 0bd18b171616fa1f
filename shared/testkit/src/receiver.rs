//! A receiver of webhooks on a loopback port, as well-behaved as a test tells it to be. It speaks HTTP by hand, since what
//! it has to do no server would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers with a status.
    Answers(u16),
    /// Answers with a status and a header.
    Says(u16, &'static str, String),
    /// Answers with a status and a body, as a service of AWS does.
    Replies(u16, String),
    /// Takes the request and never answers.
    IsSilent,
    /// Answers with 200, a byte at a time and without end.
    Drips,
    /// Answers with 200 and a body without end.
    Floods,
    /// Closes the connection instead of answering.
    HangsUp,
}

/// A status, headers and a body.
pub type Said = (u16, Vec<(&'static str, String)>, String);

/// A service that answers by what it is asked.
pub trait Service: Send + Sync + std::fmt::Debug {
    /// Gives status, headers and body; without them the connection is closed, and the asker does not know what became of it.
    fn answer(&self, heard: &Heard) -> Option<Said>;
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Heard {
    /// Gives a header, empty where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    service: Option<Arc<dyn Service>>,
    heard: Mutex<Vec<Heard>>,
}

/// A receiver on a loopback port; it ends with the handle.
#[derive(Debug)]
pub struct Receiver {
    /// Where it is.
    pub url: String,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// Where there is no free port.
    pub async fn start(manner: Manner) -> Self {
        Self::with(manner, None).await
    }

    /// Starts one that answers as a service does; a manner other than to answer comes before it.
    ///
    /// # Panics
    ///
    /// Where there is no free port.
    pub async fn serving(service: Arc<dyn Service>) -> Self {
        Self::with(Manner::Answers(200), Some(service)).await
    }

    async fn with(manner: Manner, service: Option<Arc<dyn Service>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?for=leads", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { manner: Mutex::new(manner), service, heard: Mutex::default() });
        let inner = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&inner)));
            }
        });
        Self { url, shared, serving }
    }

    /// Changes its manner.
    pub fn now(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Gives what it heard since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let Some(heard) = read(&mut stream).await else { return };
    let manner = shared.manner.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let served = shared.service.as_ref().filter(|_| matches!(manner, Manner::Answers(200)));
    let said = served.map(|service| service.answer(&heard));
    shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    if let Some(said) = said {
        let Some((status, headers, body)) = said else { return };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text = format!("HTTP/1.1 {status} So\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        drop(stream.write_all(text.as_bytes()).await);
        return;
    }
    // Whoever hangs up on us is gone; there is nobody to tell.
    drop(answer(&mut stream, &manner).await);
}

async fn answer(stream: &mut TcpStream, manner: &Manner) -> std::io::Result<()> {
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    match manner {
        Manner::Answers(status) => {
            let text = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nok");
            stream.write_all(text.as_bytes()).await
        }
        Manner::Says(status, name, value) => {
            let text = format!("HTTP/1.1 {status} So\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await
        }
        Manner::Replies(status, body) => {
            let length = body.len();
            let text = format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await
        }
        Manner::IsSilent => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Ok(())
        }
        Manner::Drips => {
            for byte in ENDLESS.iter().chain(std::iter::repeat(&b'x')) {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        }
        Manner::Floods => {
            stream.write_all(ENDLESS).await?;
            loop {
                stream.write_all(&[b'x'; 4_096]).await?;
            }
        }
        Manner::HangsUp => Ok(()),
    }
}

async fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let header = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Some(Heard { method, path, headers, body })
}
