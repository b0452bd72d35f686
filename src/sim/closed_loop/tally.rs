//! What is counted in a closed loop.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::{MilliAmps, PerPhase};

use super::wiring::Wiring;

/// Overloads, writes and starts.
#[derive(Debug, Clone)]
pub struct Tally {
    looked_at: Mono,
    over: Duration,
    longest: Duration,
    longest_known: Duration,
    /// Since when each phase of each circuit has been above its limit.
    since: Vec<PerPhase<Option<Mono>>>,
    house: PerPhase<MilliAmps>,
    /// When it last rose on each phase.
    rose: PerPhase<Mono>,
    writes: Vec<u32>,
    starts: Vec<u32>,
}

impl Tally {
    pub(super) fn new(now: Mono, wiring: &Wiring, devices: usize) -> Self {
        Self {
            looked_at: now,
            over: Duration::ZERO,
            longest: Duration::ZERO,
            longest_known: Duration::ZERO,
            since: vec![PerPhase::all(None); wiring.limits().len()],
            house: PerPhase::default(),
            rose: PerPhase::all(now),
            writes: vec![0; devices],
            starts: vec![0; devices],
        }
    }

    /// How long something was above its limit.
    pub fn over(&self) -> Duration {
        self.over
    }

    /// The longest time that a phase of a circuit was above its limit without a break.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The longest time that a phase was above its limit without a break while the house took no
    /// more than before: whoever lowers the cars cannot know of what the house will switch on next.
    pub fn longest_known(&self) -> Duration {
        self.longest_known
    }

    /// Offers to each device.
    pub fn writes(&self) -> &[u32] {
        &self.writes
    }

    /// How often each device closed its contactor.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    pub(super) fn looked_at(&self) -> Mono {
        self.looked_at
    }

    pub(super) fn look(
        &mut self,
        now: Mono,
        limits: &[MilliAmps],
        carried: &[PerPhase<MilliAmps>],
        house: PerPhase<MilliAmps>,
    ) {
        let passed = now.since(self.looked_at);
        self.looked_at = now;
        for (phase, current) in house.iter() {
            if current > self.house[phase] {
                self.rose[phase] = now - passed;
            }
        }
        self.house = house;
        let mut any = false;
        for ((since, limit), carried) in self.since.iter_mut().zip(limits).zip(carried) {
            for (phase, current) in carried.iter() {
                let is_over = current > *limit;
                let began = since[phase].unwrap_or(now - passed);
                since[phase] = is_over.then_some(began);
                if is_over {
                    any = true;
                    self.longest = self.longest.max(now.since(began));
                    let known = now.since(began.max(self.rose[phase]));
                    self.longest_known = self.longest_known.max(known);
                }
            }
        }
        if any {
            self.over += passed;
        }
    }

    pub(super) fn count_write(&mut self, device: usize) {
        if let Some(writes) = self.writes.get_mut(device) {
            *writes += 1;
        }
    }

    pub(super) fn count_start(&mut self, device: usize, started: bool) {
        if let Some(starts) = self.starts.get_mut(device).filter(|_| started) {
            *starts += 1;
        }
    }
}
