//! What a Power Brain would hold against its master.

use std::collections::BTreeMap;

use super::registers::{Keeps, is_current, is_documented, keeps};

/// How many complaints are kept.
const COMPLAINTS: usize = 100;

#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    violations: Vec<String>,
    writes: BTreeMap<u16, u32>,
}

impl Judge {
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How often each register was written.
    pub(super) fn writes(&self) -> &BTreeMap<u16, u32> {
        &self.writes
    }

    pub(super) fn flash_writes(&self) -> u32 {
        let in_flash = |register: u16| keeps(register) == Some(Keeps::InFlash);
        let writes = self.writes.iter();
        writes.filter(|(r, _)| in_flash(**r)).map(|(_, n)| n).sum()
    }

    /// A request names a register.
    pub(super) fn names(&mut self, verb: &str, register: u16) {
        if !is_documented(register) {
            self.complain(format!(
                "{verb} register {register}, which nothing documents"
            ));
        }
    }

    /// A value was refused.
    pub(super) fn refused(&mut self, register: u16, value: u16) {
        self.complain(if is_current(register) && value < 60 {
            format!("{register} := {value} is below 6 A")
        } else {
            format!("{register} cannot be {value}")
        });
    }

    /// Neighbouring registers were written, each with what it held before and what it holds now.
    pub(super) fn written(&mut self, registers: &[(u16, u16, u16)]) {
        for (register, _, _) in registers {
            let times = self.writes.entry(*register).or_default();
            *times = times.saturating_add(1);
        }
        let mut flash = registers
            .iter()
            .filter(|(register, _, _)| keeps(*register) == Some(Keeps::InFlash))
            .peekable();
        let Some((first, _, _)) = flash.peek().copied() else {
            return;
        };
        if self.writes.get(first).is_some_and(|times| *times > 1) {
            self.complain(format!("flash register {first} was written again"));
        } else if flash.all(|(_, before, after)| before == after) {
            self.complain(format!(
                "flash register {first} already held what was written"
            ));
        }
    }

    fn complain(&mut self, what: String) {
        if self.violations.len() < COMPLAINTS {
            self.violations.push(what);
        }
    }
}
