//! What simulated EVSEs draw, for the simulated meter above them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::units::{MilliAmps, PerPhase};

/// The currents of everybody behind one meter, on the phases of the grid. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Draws(Arc<Mutex<BTreeMap<String, PerPhase<MilliAmps>>>>);

impl Draws {
    /// From now on `who` draws this.
    pub fn set(&self, who: &str, draws: PerPhase<MilliAmps>) {
        self.all().insert(who.to_owned(), draws);
    }

    /// What everybody draws together.
    pub fn sum(&self) -> PerPhase<MilliAmps> {
        let mut sum = PerPhase::default();
        for draws in self.all().values() {
            for (phase, current) in draws.iter() {
                sum[phase] += current;
            }
        }
        sum
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, PerPhase<MilliAmps>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_counts_with_what_he_draws_last() {
        let draws = Draws::default();
        let amps = |amps: [i32; 3]| PerPhase(amps.map(MilliAmps::from_amps));
        draws.set("a", amps([16, 16, 16]));
        draws.clone().set("b", amps([0, 8, 0]));
        draws.set("a", amps([6, 6, 6]));
        assert_eq!(draws.sum(), amps([6, 14, 6]));
    }
}
