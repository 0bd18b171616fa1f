//! Bad input gets one clear answer that names every fault and what would be right.
//!
//! A fault points into the document that was sent with a JSON pointer (RFC 6901), so that a form can show it beside
//! its field and a playbook's author finds the line. Faults are collected, never thrown: the reader goes on to the
//! end of the document and the caller decides.

use std::cell::RefCell;
use std::fmt;

/// Says what is wrong at one place of a document, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The JSON pointer to the place, empty for the whole document.
    pub pointer: String,
    /// What is wrong and what would be right, as a sentence for the person who sent it.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the document" } else { &self.pointer };
        write!(f, "{place}: {}", self.detail)
    }
}

/// Collects faults while a document is read.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// Makes an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault.
    pub fn add(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.borrow_mut().push(Fault { pointer: pointer.into(), detail: detail.into() });
    }

    /// Tells how many faults there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Tells whether nothing was found wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Gives the value if nothing was found wrong, and every fault otherwise.
    ///
    /// # Errors
    ///
    /// All faults, in the order in which they were found.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Vec<Fault>> {
        let mut faults = self.0.into_inner();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => {
                if faults.is_empty() {
                    faults.push(Fault { pointer: String::new(), detail: "could not be read".to_owned() });
                }
                Err(faults)
            }
        }
    }
}
