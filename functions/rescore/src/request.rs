//! The events: the schedule's, and the state machine's.

use domain::fault::Faults;
use domain::reader::{Node, Object};
use serde_json::Value;

/// One stretch of a sweep; the whole state of its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The job.
    pub job: String,
    /// Which part of the table.
    pub segment: u32,
    /// Of how many.
    pub of: u32,
    /// Where in it to go on; its start where none.
    pub cursor: Option<String>,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Handle what is due, and take up jobs that nobody works on.
    Due,
    /// Bring a stretch of leads to a playbook version.
    Sweep(Stretch),
    /// Look for stragglers and end a sweep.
    SweepFinish {
        /// The job.
        job: String,
    },
}

#[derive(Clone, Copy)]
enum Word {
    Due,
    Sweep,
    SweepFinish,
}

/// Reads an event; every fault at once.
///
/// # Errors
///
/// The faults, as a sentence.
pub fn action(event: &Value) -> Result<Action, String> {
    let faults = Faults::new();
    let action = read(&Node::root(event, &faults));
    faults.into_result(action).map_err(|faults| {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })
}

fn read(node: &Node<'_>) -> Option<Action> {
    let object = node.object()?;
    let word = object.required("action").and_then(|node| {
        node.one_of(&[("due", Word::Due), ("sweep", Word::Sweep), ("sweep_finish", Word::SweepFinish)])
    })?;
    let job = || object.required("job").and_then(|node| node.text(200).map(str::to_owned));
    let action = match word {
        Word::Due => Some(Action::Due),
        Word::SweepFinish => job().map(|job| Action::SweepFinish { job }),
        Word::Sweep => stretch(&object, job()).map(Action::Sweep),
    };
    object.finish();
    action
}

fn stretch(object: &Object<'_>, job: Option<String>) -> Option<Stretch> {
    let number = |key: &'static str, least: i64| {
        let n = object.required(key).and_then(|node| node.integer(least, 1_000));
        n.and_then(|n| u32::try_from(n).ok())
    };
    let (segment, of) = (number("segment", 0), number("of", 1));
    let cursor = object.optional("cursor").map(|node| node.text(4_000).map(str::to_owned));
    if let (Some(segment), Some(of)) = (segment, of)
        && segment >= of
    {
        object.fault("has a segment that is not below \"of\"");
    }
    let cursor = match cursor {
        Some(cursor) => Some(cursor?),
        None => None,
    };
    Some(Stretch { job: job?, segment: segment?, of: of?, cursor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_states_of_a_sweep_are_read() {
        let event = json!({"action": "sweep", "job": "sweep-2-1", "segment": 3, "of": 8, "cursor": null});
        let stretch = Stretch { job: "sweep-2-1".to_owned(), segment: 3, of: 8, cursor: None };
        assert_eq!(action(&event), Ok(Action::Sweep(stretch)));
        assert_eq!(action(&json!({"action": "due"})), Ok(Action::Due));
    }

    #[test]
    fn every_fault_of_an_event_is_named() {
        let error = action(&json!({"action": "sweep", "segment": 9, "of": 8, "x": 1})).unwrap_err();
        for part in ["/job", "not below", "/x"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(action(&json!({"action": "dance"})).unwrap_err().contains("due, sweep, sweep_finish"));
    }
}
