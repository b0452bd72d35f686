//! The search for a meter model in a SunSpec device.

use std::fmt::Write as _;

use super::layout::Layout;
use crate::modbus::{Answer, Failure, Request, Table};

/// Where the marker may be.
const PLACES: [u16; 3] = [40_000, 0, 50_000];

/// "`SunS`".
const MARKER: [u16; 2] = [0x5375, 0x6E53];

/// More models than any device has: the list is a ring or no list.
const MOST_MODELS: usize = 64;

const END: u16 = 0xFFFF;

/// Looks for the marker, then walks along the models behind it until one is a meter.
#[derive(Debug, Clone)]
pub struct Search {
    /// The places still to look at, the likeliest last.
    places: Vec<u16>,
    at: At,
    seen: Vec<u16>,
    found: Option<u16>,
    /// The device answered something in this round.
    alive: bool,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Marker,
    /// The id of a model is in this register.
    Model(u16),
}

/// What comes after an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask on.
    Ask,
    /// The meter model.
    Found {
        /// Its number.
        model: u16,
        /// Where its id is.
        at: u16,
        /// Where its values are.
        layout: Layout,
    },
    /// Nothing came; what is asked next is another question or the same one.
    Failed(Failure),
    /// There is no meter. Why, for people. The search begins anew with the next question.
    Nothing(String),
}

impl Default for Search {
    fn default() -> Self {
        Self {
            places: PLACES.into_iter().rev().collect(),
            at: At::Marker,
            seen: Vec::new(),
            found: None,
            alive: false,
        }
    }
}

impl Search {
    /// What to ask now.
    pub fn request(&self) -> Request {
        let address = match self.at {
            At::Marker => self.place(),
            At::Model(address) => address,
        };
        Request::Read {
            table: Table::Holding,
            address,
            count: 2,
        }
    }

    /// Takes the answer to [`request`](Self::request).
    pub fn handle(&mut self, answer: Answer) -> Step {
        let words = match answer {
            Ok(words) => words,
            Err(failure @ Failure::NoConnection(_)) => return Step::Failed(failure),
            Err(Failure::Silent) => return self.silence(),
            Err(Failure::Exception(_)) => Vec::new(),
        };
        self.alive = true;
        match (self.at, words.as_slice()) {
            (At::Marker, words) if *words == MARKER => {
                self.at = At::Model(self.place().saturating_add(2));
                Step::Ask
            }
            (At::Marker, _) => self.next_place(),
            (At::Model(_), [END, _]) => self.no_meter(),
            (At::Model(at), [model, length]) => self.pass(at, *model, *length),
            (At::Model(_), _) => self.no_meter(),
        }
    }

    /// The next search begins where this one found the marker.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut search = Self::default();
        search.places.retain(|place| Some(*place) != self.found);
        search.places.extend(self.found);
        search
    }

    fn place(&self) -> u16 {
        self.places.last().copied().unwrap_or(0)
    }

    fn pass(&mut self, at: u16, model: u16, length: u16) -> Step {
        if let Some(layout) = Layout::sunspec(model, at) {
            self.found = Some(self.place());
            return Step::Found { model, at, layout };
        }
        self.seen.push(model);
        match at.checked_add(2).and_then(|it| it.checked_add(length)) {
            Some(next) if self.seen.len() < MOST_MODELS => {
                self.at = At::Model(next);
                Step::Ask
            }
            _ => self.no_meter(),
        }
    }

    /// Some devices do not answer at all where they have no registers.
    fn silence(&mut self) -> Step {
        match self.next_place() {
            Step::Nothing(why) if self.alive => Step::Nothing(why),
            _ => Step::Failed(Failure::Silent),
        }
    }

    fn next_place(&mut self) -> Step {
        self.at = At::Marker;
        self.places.pop();
        if !self.places.is_empty() {
            return Step::Ask;
        }
        let alive = self.alive;
        *self = Self::default();
        self.alive = alive;
        Step::Nothing(
            "the device does not speak SunSpec: no marker at 40000, 0 or 50000".to_owned(),
        )
    }

    fn no_meter(&mut self) -> Step {
        let mut models = String::new();
        for model in &self.seen {
            // Writing to a String cannot fail.
            let _ = write!(models, " {model}");
        }
        *self = Self::default();
        Step::Nothing(format!(
            "the SunSpec device has no meter model (201–204, 211–214); it has{}",
            if models.is_empty() { " none" } else { &models }
        ))
    }
}
