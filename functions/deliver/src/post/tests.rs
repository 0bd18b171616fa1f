use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::{Manner, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate that signed itself, for `localhost` and `hooks.example`, and its key: for these tests and nothing else.
const CERTIFICATE: &[u8] = include_bytes!("../../tests/localhost.cert.pem");
const KEY: &[u8] = include_bytes!("../../tests/localhost.key.pem");

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// Answers what a test says, one answer after the other, and counts how often it was asked.
#[derive(Debug, Default)]
struct SetResolver {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl SetResolver {
    fn saying(answers: &[&[&str]], port: u16) -> Arc<Self> {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), port);
        let answers = answers.iter().rev().map(|list| list.iter().map(address).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for SetResolver {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers.lock().unwrap().pop().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

fn roots(trusting: bool) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if trusting {
        roots.add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap()).unwrap();
    }
    roots
}

/// A poster as on a developer's machine, with a time that tests can wait for.
fn poster() -> Poster {
    let poster = Poster::trusting(roots(true), Arc::new(SystemResolver), true);
    poster.within(Duration::from_millis(400))
}

async fn post(poster: &Poster, url: &str) -> Result<Answer, Failed> {
    let headers = [("webhook-id", "evt_1".to_owned())];
    poster.post(url, &headers, Bytes::from_static(b"{\"a\":1}"), NOW).await
}

/// A receiver with TLS, whose port is given; it answers 204 to everything.
async fn secure_receiver() -> u16 {
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = [0; 4_096];
            if stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {
                drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
            }
        }
    });
    port
}

#[test]
fn a_message_has_fifteen_seconds() {
    assert_eq!(Poster::new(false).time, Duration::from_secs(15));
}

#[tokio::test]
async fn a_message_arrives_as_it_was_sent() {
    let receiver = Receiver::start(Manner::Answers(204)).await;
    assert_eq!(post(&poster(), &receiver.url).await, Ok(Answer { status: 204, retry_after_ms: None }));
    let [heard] = receiver.take().try_into().unwrap();
    assert_eq!((heard.path.as_str(), heard.body.as_str()), ("/hook?for=leads", "{\"a\":1}"));
    assert_eq!(heard.header("webhook-id"), "evt_1");
    assert_eq!(heard.header("content-length"), "7");
    assert!(receiver.url.contains(heard.header("host")));
}

#[tokio::test]
async fn a_status_is_an_answer_whatever_it_says() {
    let receiver = Receiver::start(Manner::Answers(500)).await;
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().status, 500);
    receiver.now(Manner::Says(429, "Retry-After", "120".to_owned()));
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().retry_after_ms, Some(120_000));
    // A minute after `NOW`.
    receiver.now(Manner::Says(503, "Retry-After", "Wed, 18 Nov 2026 11:07:40 GMT".to_owned()));
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().retry_after_ms, Some(60_000));
    receiver.now(Manner::Says(503, "Retry-After", "soon".to_owned()));
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().retry_after_ms, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::start(Manner::Answers(200)).await;
    let receiver = Receiver::start(Manner::Says(307, "Location", other.url.clone())).await;
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().status, 307);
    receiver.now(Manner::Says(302, "Location", "http://169.254.169.254/latest/meta-data/".to_owned()));
    assert_eq!(post(&poster(), &receiver.url).await.unwrap().status, 302);
    assert!(other.take().is_empty());
}

#[tokio::test]
async fn whoever_does_not_answer_in_time_did_not_answer() {
    let receiver = Receiver::start(Manner::IsSilent).await;
    assert_eq!(post(&poster(), &receiver.url).await, Err(Failed::Time(0)));
    // Each byte comes in time; the whole does not.
    receiver.now(Manner::Drips);
    let began = std::time::Instant::now();
    assert_eq!(post(&poster(), &receiver.url).await, Err(Failed::Time(0)));
    assert!(began.elapsed() < Duration::from_secs(3));
    receiver.now(Manner::HangsUp);
    assert_eq!(post(&poster(), &receiver.url).await, Err(Failed::Http));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_counts_by_its_status() {
    let receiver = Receiver::start(Manner::Floods).await;
    assert_eq!(post(&poster().within(Duration::from_secs(5)), &receiver.url).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_failure() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let failed = post(&poster(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(failed, Err(Failed::Connection(std::io::ErrorKind::ConnectionRefused)));
}

#[tokio::test]
async fn over_tls_only_a_receiver_with_a_good_certificate_is_talked_to() {
    let port = secure_receiver().await;
    let url = format!("https://localhost:{port}/hook");
    let time = Duration::from_secs(5);
    assert_eq!(post(&poster().within(time), &url).await.unwrap().status, 204);
    let stranger = Poster::trusting(roots(false), Arc::new(SystemResolver), true).within(time);
    let Err(Failed::Tls(reason)) = post(&stranger, &url).await else { panic!("it was believed") };
    assert!(reason.contains("nobody knows"), "{reason}");
    // The right certificate for another name.
    let resolver = SetResolver::saying(&[&["127.0.0.1"]], port);
    let elsewhere = Poster::trusting(roots(true), resolver, true).within(time);
    let Err(Failed::Tls(reason)) = post(&elsewhere, &format!("https://other.example:{port}/")).await else {
        panic!("it was believed")
    };
    assert!(reason.contains("another host's"), "{reason}");
    // And a receiver that does not speak TLS at all.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", plain.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Kept open: what is tried is the refusal, not the end of a connection.
        std::future::pending::<()>().await;
    });
    assert!(matches!(post(&poster().within(time), &url).await, Err(Failed::Tls(_))));
}

#[tokio::test]
async fn no_name_leads_to_a_private_address_whatever_it_resolves_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for address in [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.9.9",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.1.1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "::",
        "64:ff9b::a00:1",
    ] {
        let resolver = SetResolver::saying(&[&[address]], port);
        let poster = Poster::trusting(roots(true), resolver, false).within(Duration::from_secs(2));
        let sent = post(&poster, &format!("https://hooks.example:{port}/")).await;
        assert_eq!(sent, Err(Failed::Private), "{address}");
    }
    // Nobody ever knocked.
    let knocked = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(knocked.is_err());
}

#[tokio::test]
async fn of_several_addresses_the_private_ones_are_passed_over() {
    let resolver = SetResolver::saying(&[&["10.0.0.1", "::1", "192.0.0.192", "8.8.8.8"]], 443);
    let poster = Poster::trusting(roots(true), resolver, false);
    let target = Target::parse("https://hooks.example/", false).unwrap();
    assert_eq!(poster.addresses(&target).await, Ok(vec!["8.8.8.8:443".parse().unwrap()]));
}

#[tokio::test]
async fn where_one_address_does_not_answer_the_next_one_is_tried() {
    let port = secure_receiver().await;
    // Nobody listens on the first.
    let resolver = SetResolver::saying(&[&["127.0.0.3", "127.0.0.1"]], port);
    let poster = Poster::trusting(roots(true), resolver, true).within(Duration::from_secs(5));
    assert_eq!(post(&poster, &format!("https://hooks.example:{port}/")).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_a_moment_later_is_asked_once_and_held_to_what_it_said() {
    let port = secure_receiver().await;
    let trap = TcpListener::bind("127.0.0.2:0").await.unwrap();
    // Second answers would lead into the trap; whoever checks one answer and connects to the next falls into it.
    let resolver = SetResolver::saying(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2"]], port);
    let poster =
        Poster::trusting(roots(true), Arc::clone(&resolver) as _, true).within(Duration::from_secs(5));
    let url = format!("https://hooks.example:{port}/");
    assert_eq!(post(&poster, &url).await.unwrap().status, 204);
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
    let knocked = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(knocked.is_err());
    // On AWS the same name is refused at once when it turns private between two messages.
    let resolver = SetResolver::saying(&[&["127.0.0.1"]], port);
    let poster = Poster::trusting(roots(true), resolver, false);
    assert_eq!(post(&poster, &url).await, Err(Failed::Private));
}

#[test]
fn addresses_that_can_only_be_private_are_refused_when_they_are_written_down() {
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.8/hook",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://[fc00::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://localhost/",
        "https://api.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://router/",
        "http://hooks.example/",
        "http://127.0.0.1/",
        "ftp://hooks.example/",
        "hooks.example",
        "/hook",
        "",
        "https://user:pw@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example/with space",
        "https:///nothing",
    ] {
        assert!(Target::parse(url, false).is_err(), "{url}");
    }
    for url in [
        "https://hooks.example",
        "https://hooks.example:8443/a/b?c=d",
        "https://8.8.8.8/",
        "https://[2606:4700::1]/",
    ] {
        assert!(Target::parse(url, false).is_ok(), "{url}");
    }
    let long = format!("https://hooks.example/{}", "x".repeat(2_000));
    assert!(Target::parse(&long, false).is_err());
}

#[test]
fn a_developers_machine_reaches_itself_and_no_other_private_address() {
    for url in ["http://127.0.0.1:8080/", "http://localhost:8080/", "http://[::1]:1/", "https://localhost/"] {
        assert!(Target::parse(url, true).is_ok(), "{url}");
    }
    for url in
        ["http://hooks.example/", "http://10.0.0.1/", "https://192.168.0.1/", "http://169.254.169.254/"]
    {
        assert!(Target::parse(url, true).is_err(), "{url}");
    }
}

#[tokio::test]
async fn without_tls_a_name_of_the_public_internet_is_not_reached_even_there() {
    let resolver = SetResolver::saying(&[&["8.8.8.8"]], 80);
    let poster = Poster::trusting(roots(true), resolver, true);
    // `localhost` that leads elsewhere: the address decides, not the name.
    assert_eq!(post(&poster, "http://localhost/").await, Err(Failed::Private));
}

#[test]
fn what_failed_is_said_without_naming_the_address() {
    for failed in [
        Failed::Private,
        Failed::Name,
        Failed::Http,
        Failed::Time(15),
        Failed::Connection(std::io::ErrorKind::ConnectionReset),
        Failed::Target("is no URL"),
    ] {
        assert!(!failed.to_string().contains("http://"), "{failed}");
    }
}
