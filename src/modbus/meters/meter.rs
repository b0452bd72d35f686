//! [`Meter`]: when what is asked, and what is wrong now.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::frozen::Frozen;
use super::judge::{Readings, oddity, sample};
use super::layout::{Block, Layout, Pace};
use super::plan::{Kind, MeterPlan, Sample};
use super::register::Value;
use super::sunspec::{Search, Step};
use crate::clock::{Mono, Random};
use crate::modbus::{Answer, Failure, Request};

/// How often what changes slowly is read.
const SELDOM: Duration = Duration::from_secs(10);

/// An energy register that went back, but comes up again before this, only slipped.
const LONGEST_SLIP: Duration = Duration::from_mins(1);

/// What is refused is asked for again after this at the latest.
const LONGEST_MISS: Duration = Duration::from_mins(10);

const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);

const OLD_SDM72: &str = "this SDM72 does not measure single phases and cannot guard a fuse; use \
                         one with -M-2 in its name, or an SDM630";

/// The machine that reads one meter. It has at most one question outstanding, which whoever
/// carries it answers exactly once.
///
/// Every `poll` it reads currents and powers together and says a [`Sample`] as soon as they are
/// there; what changes slowly follows behind it. What cannot be true is no sample: the last one
/// grows old, and [`view`](Self::view) says why.
#[derive(Debug, Clone)]
pub struct Meter {
    plan: MeterPlan,
    source: Source,
    readings: Readings,
    frozen: Frozen,
    import: Counter,
    export: Counter,
    asked: Option<Asked>,
    next: Mono,
    /// In a row.
    failures: u32,
    last: Option<(Mono, Sample)>,
    complaint: Option<Complaint>,
    outputs: VecDeque<MeterOutput>,
}

/// What comes out of a [`Meter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeterOutput {
    /// To be asked; the next question waits for its answer.
    Ask(Request),
    /// What was measured just now.
    Sample(Sample),
}

/// What a [`Meter`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterView<'a> {
    /// The last sample and when it was measured.
    pub last: Option<(Mono, &'a Sample)>,
    /// What is wrong now and what to do about it, in one sentence.
    pub complaint: Option<&'a str>,
}

#[derive(Debug, Clone)]
enum Source {
    /// For a SunSpec model.
    Searching(Search),
    Known {
        layout: Layout,
        /// Of each block.
        due: Vec<Due>,
        /// How it was found.
        search: Option<Search>,
    },
}

/// When a block is read again.
#[derive(Debug, Clone, Copy, Default)]
struct Due {
    at: Mono,
    /// How often in a row it was not to be had.
    misses: u32,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Search,
    /// The block of this number.
    Block(usize),
}

#[derive(Debug, Clone)]
struct Complaint {
    text: String,
    /// A single lost answer is not worth a line in the log.
    logged: bool,
}

impl Meter {
    /// Begins to read at once.
    pub fn new(now: Mono, plan: MeterPlan) -> Self {
        let source = Layout::of(&plan.kind).map_or_else(
            || Source::Searching(Search::default()),
            |layout| Source::known(&plan, layout, None),
        );
        Self {
            plan,
            source,
            readings: Readings::new(),
            frozen: Frozen::default(),
            import: Counter::default(),
            export: Counter::default(),
            asked: None,
            next: now,
            failures: 0,
            last: None,
            complaint: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes the answer to the last question.
    pub fn handle_answer(&mut self, now: Mono, random: &mut Random, answer: Answer) {
        match self.asked.take() {
            Some(Asked::Search) => self.searched(now, random, answer),
            Some(Asked::Block(number)) => self.block_read(now, random, number, answer),
            None => debug!(meter = %self.plan.name, "an answer came to no question"),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.asked.is_some() || now < self.next {
            return;
        }
        self.next = now + self.plan.poll;
        match &self.source {
            Source::Searching(search) => {
                let request = search.request();
                self.ask(Asked::Search, request);
            }
            Source::Known { .. } => {
                self.ask_next(now, 0, Pace::Each);
            }
        }
    }

    /// Says what to do, until `None`.
    pub fn poll_output(&mut self) -> Option<MeterOutput> {
        self.outputs.pop_front()
    }

    /// Says when to call [`handle_timeout`](Self::handle_timeout); `None` while an answer is
    /// awaited.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.asked.is_none().then_some(self.next)
    }

    /// Shows what is known.
    pub fn view(&self) -> MeterView<'_> {
        MeterView {
            last: self.last.as_ref().map(|(at, sample)| (*at, sample)),
            complaint: self.complaint.as_ref().map(|it| it.text.as_str()),
        }
    }

    fn ask(&mut self, asked: Asked, request: Request) {
        self.asked = Some(asked);
        self.outputs.push_back(MeterOutput::Ask(request));
    }

    /// Asks for the next block of this pace, from this number on, that is due.
    fn ask_next(&mut self, now: Mono, from: usize, pace: Pace) -> bool {
        let Source::Known { layout, due, .. } = &self.source else {
            return false;
        };
        let blocks = layout.blocks.iter().zip(due).enumerate().skip(from);
        let mut ready = blocks.filter(|(_, (block, due))| block.pace == pace && due.at <= now);
        let Some((number, (block, _))) = ready.next() else {
            return false;
        };
        let request = block.request();
        self.ask(Asked::Block(number), request);
        true
    }

    fn searched(&mut self, now: Mono, random: &mut Random, answer: Answer) {
        let Source::Searching(search) = &mut self.source else {
            return;
        };
        match search.handle(answer) {
            Step::Ask => {
                let request = search.request();
                self.ask(Asked::Search, request);
            }
            Step::Found { model, at, layout } => {
                debug!(meter = %self.plan.name, model, at, "a SunSpec meter model was found");
                self.source = Source::known(&self.plan, layout, Some(search.clone()));
                self.ask_next(now, 0, Pace::Each);
            }
            Step::Failed(failure) => {
                let text = what_failed(&failure);
                self.fail(now, random, text);
            }
            Step::Nothing(why) => {
                let text = format!("{why}; look at the device and id of this meter");
                self.fail(now, random, text);
            }
        }
    }

    fn block_read(&mut self, now: Mono, random: &mut Random, number: usize, answer: Answer) {
        let Source::Known { layout, due, .. } = &mut self.source else {
            return;
        };
        let (Some(block), Some(due)) = (layout.blocks.get(number), due.get_mut(number)) else {
            return;
        };
        let pace = block.pace;
        match answer {
            Ok(words) => {
                due.misses = 0;
                due.at = if pace == Pace::Each {
                    now
                } else {
                    now + SELDOM
                };
                let block = block.clone();
                self.decode(now, &block, &words);
            }
            Err(failure) if block.is_needed(&layout.needed) => {
                let text = self.what_is_refused(&failure);
                self.fail(now, random, text);
                return;
            }
            Err(failure) => {
                debug!(meter = %self.plan.name, address = block.address, why = %failure, "a meter does not say what can be missed");
                let wait = SELDOM * 2_u32.saturating_pow(due.misses.min(6));
                due.at = now + wait.min(LONGEST_MISS);
                due.misses += 1;
                for field in &block.fields {
                    self.readings.remove(&field.value);
                }
            }
        }
        if pace == Pace::Each && !self.ask_next(now, number + 1, Pace::Each) {
            self.conclude(now);
            self.ask_next(now, 0, Pace::Seldom);
        }
    }

    fn decode(&mut self, now: Mono, block: &Block, words: &[u16]) {
        for field in &block.fields {
            let value = field.decode(words);
            let value = match field.value {
                Value::ImportEnergy => value.and_then(|wh| self.import.read(now, wh)),
                Value::ExportEnergy => value.and_then(|wh| self.export.read(now, wh)),
                _ => value,
            };
            match value {
                Some(value) => self.readings.insert(field.value, value),
                None => self.readings.remove(&field.value),
            };
        }
    }

    /// Currents and powers are there.
    fn conclude(&mut self, now: Mono) {
        let Source::Known { layout, .. } = &self.source else {
            return;
        };
        self.failures = 0;
        let verdict = match self.frozen.check(now, layout, &self.readings) {
            Some(frozen) => Err(frozen),
            None if self.is_old_sdm72() => Err(OLD_SDM72.to_owned()),
            None => sample(&self.readings, &layout.needed, self.plan.invert),
        };
        match verdict {
            Ok(sample) => {
                self.last = Some((now, sample));
                self.outputs.push_back(MeterOutput::Sample(sample));
                self.complain(oddity(&self.readings));
            }
            Err(why) => self.complain(Some(why)),
        }
    }

    // Quirk: Eastron SDM72 without -M-2: zeros or an exception where its sisters have the phases.
    fn is_old_sdm72(&self) -> bool {
        let nothing = |value: &Value| self.readings.get(value).is_none_or(|volts| *volts == 0.0);
        self.plan.kind == Kind::Sdm72 && Value::VOLTAGES.iter().all(nothing)
    }

    fn what_is_refused(&self, failure: &Failure) -> String {
        match (failure, &self.plan.kind) {
            (Failure::Exception(2), Kind::Sdm72) => OLD_SDM72.to_owned(),
            (failure, _) => what_failed(failure),
        }
    }

    /// The first retry comes soon; later ones spare a line that the meter shares with others.
    fn fail(&mut self, now: Mono, random: &mut Random, text: String) {
        self.failures += 1;
        self.frozen = Frozen::default();
        self.next = now + self.plan.poll;
        if self.failures > 1 {
            let wait = FIRST_BACK_OFF * 2_u32.saturating_pow(self.failures.min(6) - 2);
            let wait = wait.min(LONGEST_BACK_OFF);
            let fifth = u64::try_from(wait.as_millis() / 5).unwrap_or(0);
            let jitter = Duration::from_millis(random.below(fifth));
            self.next = self.next.max(now + wait - jitter);
        }
        if let Source::Known {
            search: Some(search),
            ..
        } = &self.source
        {
            self.source = Source::Searching(search.again());
        }
        self.complain(Some(text));
    }

    fn complain(&mut self, text: Option<String>) {
        let before = self.complaint.take();
        let Some(text) = text else {
            if before.is_some_and(|it| it.logged) {
                info!(meter = %self.plan.name, "a meter is well again");
            }
            return;
        };
        let logged = before.as_ref().is_some_and(|it| it.logged);
        if before.is_some() && !logged {
            warn!(meter = %self.plan.name, why = text, "something is wrong with a meter");
        }
        self.complaint = Some(Complaint {
            logged: before.is_some(),
            text,
        });
    }
}

impl Source {
    fn known(plan: &MeterPlan, layout: Layout, search: Option<Search>) -> Self {
        let layout = if plan.bills { layout.billing() } else { layout };
        Self::Known {
            due: vec![Due::default(); layout.blocks.len()],
            layout,
            search,
        }
    }
}

fn what_failed(failure: &Failure) -> String {
    match failure {
        Failure::Exception(_) => {
            format!(
                "{failure}; its device or id may be wrong: `chargewarden probe` shows what is there"
            )
        }
        Failure::Silent => {
            format!("{failure}; look at its power, its cable and its id")
        }
        Failure::NoConnection(_) => format!("{failure}; look at its address and its cable"),
    }
}

/// An energy register. Some devices show 0, or less than before, for a moment after they start:
/// that counts only if it stays.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    last: Option<f64>,
    doubted: Option<(Mono, f64)>,
}

impl Counter {
    fn read(&mut self, now: Mono, value: f64) -> Option<f64> {
        let since = match self.doubted {
            Some((since, doubted)) if value >= doubted => since,
            _ => now,
        };
        let stays = now.since(since) >= LONGEST_SLIP;
        if stays || self.last.map_or(value > 0.0, |last| value >= last) {
            self.last = Some(value);
            self.doubted = None;
        } else {
            self.doubted = Some((since, value));
        }
        self.last
    }
}
