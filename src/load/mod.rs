//! The load manager: shares every fuse, per phase, among all EVSEs.
//!
//! | file | what is in it |
//! |---|---|
//! | `controller` | the machine: what is reported, what is seen |
//! | `round` | what each EVSE asks, whose turn it is, what each shall have |
//! | `transition` | in which order offers may change |
//! | `allocator`, `admission`, `filling`, `car` | who gets how much, as a pure function |
//! | `circuit`, `layout`, `usage` | the tree of circuits as numbers, and what is booked on it |
//! | `metering`, `meter_watch` | what the meters say, and whether it is still true |
//! | `house_load`, `thermostat`, `draw_history`, `capacities` | what the house takes, and what is left |
//! | `booking`, `contact`, `overdraw` | what one EVSE must be assumed to draw, and what if it does not obey |
//! | `appetite`, `phases_in_use` | what its car makes of it |
//! | `phasing`, `phase_switch` | when it is connected with one phase, and when with all |
//! | `turn`, `rest` | whose turn it is when there is not enough, and how soon again |
//! | `raise_budget`, `ramp`, `wear` | how often and how fast somebody is raised |
//! | `sparing` | which lowerings may wait until they serve somebody, and which raises until it is worth them |
//! | `heat` | what a fuse remembers of an overload |
//! | `request`, `plan` | what the allocator is asked; what the configuration says |

mod admission;
mod allocator;
mod appetite;
mod booking;
mod capacities;
mod car;
mod circuit;
mod contact;
mod controller;
mod draw_history;
mod filling;
mod heat;
mod house_load;
mod layout;
mod meter_watch;
mod metering;
mod overdraw;
mod phase_switch;
mod phases_in_use;
mod phasing;
pub mod plan;
mod pooling;
mod raise_budget;
mod ramp;
pub mod request;
mod rest;
mod round;
mod sparing;
mod thermostat;
mod transition;
mod turn;
mod usage;
mod wear;

#[cfg(test)]
mod orders_of_events;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod site_generator;
#[cfg(test)]
mod tests;

pub use allocator::Allocator;
pub use circuit::{Bookings, Circuits};
pub use controller::{CircuitView, Controller, EvseView, Output};
pub use metering::{MeterState, MeterView};
pub use plan::{
    CircuitPlan, Device, EvsePlan, LoadPlan, MeterPlan, PriorityMode, Rotation, WhenDisabled,
};
pub use request::{Request, Share, Wants};
