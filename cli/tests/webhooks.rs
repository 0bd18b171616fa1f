//! A receiver that goes away and comes back, as its keeper sees it at a terminal: the compiled `leadloop`, against a
//! `leadloop dev` of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, also where a function is none"
)]

mod dev;

use dev::Dev;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Reads a message of HTTP with its body.
fn read(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut text, mut bytes) = (String::new(), [0; 4_096]);
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return text;
            }
        }
        match stream.read(&mut bytes).unwrap() {
            0 => return text,
            n => text.push_str(std::str::from_utf8(&bytes[..n]).unwrap()),
        }
    }
}

/// A receiver that answers with a status that a test sets, and keeps the ids of the events it heard.
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (status, heard) = (Arc::new(AtomicU16::new(status)), Arc::<Mutex<BTreeSet<String>>>::default());
        let receiver = Self { url, status: Arc::clone(&status), heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let text = read(&mut stream);
                let event: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
                heard.lock().unwrap().insert(event["id"].as_str().unwrap().to_owned());
                let answer =
                    format!("HTTP/1.1 {} So\r\ncontent-length: 0\r\n\r\n", status.load(Ordering::SeqCst));
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        receiver
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// Calls the API with a role's token.
fn call(dev: &Dev, role: &str, method: &str, path: &str, body: &Value) -> Value {
    let tokens = std::fs::read_to_string(dev.folder.join("tokens.json")).unwrap();
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let host = dev.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let (token, body) = (tokens[role].as_str().unwrap(), body.to_string());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_a_receiver_missed_while_it_was_gone_comes_with_a_replay() {
    let dev = Dev::start("webhooks");
    let receiver = Receiver::start(410);
    let made = call(&dev, "admin", "POST", "/v1/webhooks", &json!({ "url": receiver.url }));
    let id = made["id"].as_str().unwrap();
    let lead = json!({ "email": "ada@company.example", "country": "Austria", "submission_id": "1" });
    call(&dev, "capture", "POST", "/v1/forms/contact", &lead);
    until("switched off", || dev.does(&["webhooks", "list"]).contains("switched_off"));
    let waiting = |queue: &str| {
        let text = std::fs::read_to_string(dev.folder.join(queue)).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        kept["messages"].as_array().map_or(0, Vec::len)
    };
    until("set aside", || waiting("deliveries.json") == 0 && waiting("dead-letters.json") > 0);
    let aside = waiting("dead-letters.json");
    let listed = dev.does(&["webhooks", "list"]);
    assert!(listed.contains(id) && listed.contains("gone (410)"), "{listed}");
    let refused = dev.refuses(&["webhooks", "replay", id]);
    assert!(refused.contains("paused or switched off"), "{refused}");
    assert!(dev.does(&["webhooks", "replay"]).is_empty(), "of those that are on there is none");
    receiver.status.store(200, Ordering::SeqCst);
    assert!(dev.does(&["webhooks", "test", id]).contains("answered 200"));
    call(&dev, "admin", "PUT", &format!("/v1/webhooks/{id}"), &json!({ "url": receiver.url }));
    let _missed = receiver.take();
    let said = dev.does(&["webhooks", "replay"]);
    assert_eq!(said.trim(), format!("{id}: {aside} sent once more"));
    until("heard", || receiver.heard.lock().unwrap().len() == aside);
    assert!(dev.refuses(&["webhooks", "test", "webhook-0"]).contains("no such webhook"));
}
