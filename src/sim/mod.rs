//! Simulated wallboxes with cars, meters with houses, and a whole world in virtual time.
//!
//! | | |
//! |---|---|
//! | [`car`], [`wallbox`], [`quirk`] | a correct OCPP 1.6 charge point with cars, pure, and what real ones do differently |
//! | [`power_brain`] | a Power Brain with a car, pure: its registers, and what a master may not do to them |
//! | [`script`] | what drivers do |
//! | [`backend`] | the central system of a billing operator, pure, and behind a real socket: `simulate backend`, `demo` |
//! | [`house`], [`meter`] | what else hangs on the fuse, and what measures it all, pure |
//! | [`closed_loop`] | a load manager with devices, cars, a house and its meter in simulated time: tests and benches |
//! | [`runner`], [`dial`] | one wallbox over a real WebSocket, by real clocks: `simulate wallbox`, `demo` |
//! | [`modbus_server`], [`draws`] | Power Brains and meters over real sockets and serial lines: `simulate power-brain`, `simulate meter`, `demo` |
//! | [`world`] | the site, all of these devices, lines and a disk in virtual time, and the promises looked at after every event: tests |

pub mod backend;
pub mod car;
pub mod closed_loop;
pub mod dial;
pub mod draws;
pub mod house;
mod image;
pub mod meter;
pub mod modbus_server;
pub mod power_brain;
pub mod quirk;
pub mod runner;
pub mod script;
pub mod wallbox;
pub mod world;

pub use backend::{Backend, BackendPlan, BackendQuirk};
pub use car::Car;
pub use dial::Target;
pub use draws::Draws;
pub use house::House;
pub use meter::{Meter, MeterFault, MeterMap, MeterPlan};
pub use power_brain::{PowerBrain, PowerBrainPlan, PowerBrainQuirk};
pub use quirk::Quirk;
pub use script::{Act, Script, Visit};
pub use wallbox::{Wallbox, WallboxPlan};
pub use world::{World, WorldPlan};
