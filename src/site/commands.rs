//! What a person tells the site through the control socket.

use tracing::info;

use crate::clock::Now;
use crate::ids::{CircuitName, EvseName};

use super::Site;
use super::control::Signal;
use super::memory;
use super::site::persist;

impl Site {
    /// Switches an EVSE on or off until the next reload or restart.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn set_enabled(&mut self, now: Now, evse: &EvseName, enabled: bool) -> Result<(), String> {
        if self.plan.load.observe {
            return Err("load-management is \"observe\": nothing is switched".to_owned());
        }
        let Some((name, _)) = self.by_evse.get_key_value(evse) else {
            let known: Vec<&str> = self.by_evse.keys().map(EvseName::as_str).collect();
            return Err(format!(
                "no EVSE is called {evse}; there are: {}",
                known.join(", ")
            ));
        };
        self.load.set_enabled(now, &name.clone(), enabled);
        self.settle(now);
        Ok(())
    }

    /// Takes an external limit signal (§14a EnWG and the like). It is kept over restarts.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn set_signal(
        &mut self,
        now: Now,
        name: &CircuitName,
        signal: Signal,
    ) -> Result<(), String> {
        if self.plan.load.observe {
            return Err("load-management is \"observe\": nothing is limited".to_owned());
        }
        if !self
            .plan
            .load
            .circuits
            .iter()
            .any(|circuit| circuit.name == *name)
        {
            let names = self
                .plan
                .load
                .circuits
                .iter()
                .map(|circuit| circuit.name.as_str());
            let known: Vec<&str> = names.collect();
            return Err(format!(
                "no circuit is called {name}; there are: {}",
                known.join(", ")
            ));
        }
        let watts = match signal {
            Signal::Off => None,
            Signal::Watts(watts) => Some(watts),
            Signal::On => match self.plan.limit_signals.get(name) {
                Some(watts) => Some(*watts),
                None => {
                    return Err(format!(
                        "circuit {name} has no limit-signal; write it into the configuration, or name the watts"
                    ));
                }
            },
        };
        info!(circuit = %name, watts = watts.map(|watts| watts.0), at = %now.wall, "the limit signal of a circuit was set");
        let seq = persist(
            &mut self.written,
            &mut self.outputs,
            memory::signal(name, watts),
        );
        self.load_rests_on = self.load_rests_on.max(seq);
        self.load.set_signal(now, name, watts);
        self.settle(now);
        Ok(())
    }
}
