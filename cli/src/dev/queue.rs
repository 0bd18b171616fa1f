//! A queue as SQS has it, for one process: messages that are hidden while somebody holds them and come again unless they are
//! removed. What waits is kept in a file, so a restart loses nothing.

use adapters::clock::Clock;
use adapters::ports::{MessageHolder, MessageSender, MessageTaker, StoreError, Taken};
use async_trait::async_trait;
use domain::time::{MINUTE_MS, SECOND_MS, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many messages a worker gets at once, as the template says for the real one.
const BATCH: usize = 10;
/// For how long a message is hidden from others while a worker holds it, in milliseconds.
const HIDDEN_MS: i64 = 6 * MINUTE_MS;

#[derive(Clone, Debug, PartialEq)]
struct Message {
    body: String,
    sent_at: Timestamp,
    visible_at: Timestamp,
    receives: u32,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    messages: BTreeMap<u64, Message>,
}

/// A queue of this process.
#[derive(Clone, Debug)]
pub struct LocalQueue {
    state: Arc<Mutex<State>>,
    file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl LocalQueue {
    /// Makes one that ends with the process.
    #[must_use]
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), file: None, clock }
    }

    /// Opens one that is kept in a file.
    ///
    /// # Errors
    ///
    /// Where the file is there and cannot be read.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let state = match std::fs::read(path) {
            Ok(bytes) => {
                from_json(&serde_json::from_slice(&bytes)?).ok_or(std::io::ErrorKind::InvalidData)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { state: Arc::new(Mutex::new(state)), file: Some(path.to_owned()), clock })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is in the queue, and the file with it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.state();
        let done = change(&mut state);
        if let Some(file) = &self.file {
            let beside = file.with_extension("new");
            let written = std::fs::write(&beside, to_json(&state).to_string());
            let written = written.and_then(|()| std::fs::rename(&beside, file));
            written
                .map_err(|error| StoreError::Busy(format!("a queue's file cannot be written: {error}")))?;
        }
        Ok(done)
    }

    /// Tells how many messages there are, hidden ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().messages.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells when the next message can be taken.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.state().messages.values().map(|message| message.visible_at).min()
    }

    /// Hands a batch over, as Lambda does; an event without records where nothing is to be done.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn receive(&self) -> Result<Value, StoreError> {
        if self.next_at().is_none_or(|at| at > self.clock.now()) {
            return Ok(json!({ "Records": [] }));
        }
        let records: Vec<Value> = self
            .hide(HIDDEN_MS)?
            .into_iter()
            .map(|(id, message)| {
                json!({
                    "messageId": id.to_string(),
                    "receiptHandle": receipt(id, &message),
                    "body": message.body,
                    "attributes": {
                        "ApproximateReceiveCount": message.receives.to_string(),
                        "SentTimestamp": message.sent_at.millis().to_string(),
                    },
                    "eventSource": "aws:sqs",
                })
            })
            .collect();
        Ok(json!({ "Records": records }))
    }

    fn hide(&self, hidden_ms: i64) -> Result<Vec<(u64, Message)>, StoreError> {
        let now = self.clock.now();
        self.change(|state| {
            let visible = state.messages.iter_mut().filter(|(_, message)| message.visible_at <= now);
            let hide = |(id, message): (&u64, &mut Message)| {
                message.visible_at = now.plus(hidden_ms);
                message.receives += 1;
                (*id, message.clone())
            };
            visible.take(BATCH).map(hide).collect()
        })
    }

    /// Removes the messages of a batch that the worker did not report as failed, as Lambda does.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn settle(&self, batch: &Value, answer: &Value) -> Result<(), StoreError> {
        let list = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let failed: Vec<String> =
            list(answer, "batchItemFailures").iter().map(|one| text(one, "itemIdentifier")).collect();
        for record in list(batch, "Records") {
            if !failed.contains(&text(&record, "messageId")) {
                self.drop_message(&text(&record, "receiptHandle"))?;
            }
        }
        Ok(())
    }

    fn drop_message(&self, receipt: &str) -> Result<(), StoreError> {
        match self.held(receipt) {
            Some(id) => self.change(|state| drop(state.messages.remove(&id))),
            None => Ok(()),
        }
    }

    /// Finds the message behind a receipt, which is void once somebody else took the message.
    fn held(&self, wanted: &str) -> Option<u64> {
        let state = self.state();
        state.messages.iter().find(|(id, message)| receipt(**id, message) == wanted).map(|(id, _)| *id)
    }
}

fn receipt(id: u64, message: &Message) -> String {
    format!("{id}-{}", message.receives)
}

fn to_json(state: &State) -> Value {
    let message = |(id, message): (&u64, &Message)| {
        json!([id, message.body, message.sent_at.millis(), message.visible_at.millis(), message.receives])
    };
    json!({ "next": state.next, "messages": state.messages.iter().map(message).collect::<Vec<_>>() })
}

fn from_json(json: &Value) -> Option<State> {
    let message = |message: &Value| {
        let number = |at: usize| message.get(at).and_then(Value::as_i64);
        let read = Message {
            body: message.get(1)?.as_str()?.to_owned(),
            sent_at: Timestamp::from_millis(number(2)?),
            visible_at: Timestamp::from_millis(number(3)?),
            receives: u32::try_from(number(4)?).ok()?,
        };
        Some((message.get(0)?.as_u64()?, read))
    };
    Some(State {
        next: json.get("next")?.as_u64()?,
        messages: json.get("messages")?.as_array()?.iter().map(message).collect::<Option<_>>()?,
    })
}

#[async_trait]
impl MessageSender for LocalQueue {
    async fn send(&self, messages: &[String]) -> Result<Vec<usize>, StoreError> {
        let now = self.clock.now();
        self.change(|state| {
            for body in messages {
                let message = Message { body: body.clone(), sent_at: now, visible_at: now, receives: 0 };
                state.messages.insert(state.next, message);
                state.next += 1;
            }
            Vec::new()
        })
    }
}

#[async_trait]
impl MessageHolder for LocalQueue {
    async fn hold(&self, receipt: &str, seconds: u32) -> Result<(), StoreError> {
        let until = self.clock.now().plus(i64::from(seconds) * SECOND_MS);
        let Some(id) = self.held(receipt) else {
            return Err(StoreError::Refused("the receipt is void".to_owned()));
        };
        self.change(|state| {
            if let Some(message) = state.messages.get_mut(&id) {
                message.visible_at = until;
            }
        })
    }
}

#[async_trait]
impl MessageTaker for LocalQueue {
    async fn take(&self) -> Result<Vec<Taken>, StoreError> {
        let taken = self.hide(MINUTE_MS)?;
        Ok(taken
            .into_iter()
            .map(|(id, message)| Taken { receipt: receipt(id, &message), body: message.body })
            .collect())
    }

    async fn remove(&self, receipt: &str) -> Result<(), StoreError> {
        self.drop_message(receipt)
    }
}
