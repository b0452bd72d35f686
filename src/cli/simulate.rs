//! `simulate`: stand-ins for devices, for commissioning and for trying things out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::ctrl_c;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{WallboxArgs, amps, exit, output};
use crate::clock::Random;
use crate::config::{self, LogFormat};
use crate::daemon::logging;
use crate::ids::ConnectorId;
use crate::modbus::Address;
use crate::sim::modbus_server::{self, MeteredHouse, Port, PowerBrainWithDrivers, Unit, Units};
use crate::sim::{
    Car, Draws, House, Meter, MeterMap, MeterPlan, PowerBrain, PowerBrainPlan, PowerBrainQuirk,
    Quirk, Script, Target, Visit, Wallbox, WallboxPlan, runner,
};
use crate::units::{MilliAmps, PerPhase};

mod backend;

pub(super) use backend::{BackendArgs, backend, help as backend_help};

/// How long a simulation may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// `simulate power-brain`.
#[derive(Debug, Clone, PartialEq, Args)]
pub(super) struct PowerBrainArgs {
    /// Where it listens for Modbus TCP
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4701", value_parser = tcp)]
    pub(super) listen: Address,
    /// Modbus RTU on this line instead, for example /dev/ttyUSB0,9600,8,n,1
    #[arg(long, value_name = "LINE", value_parser = serial, conflicts_with = "listen")]
    pub(super) serial: Option<Address>,
    /// Modbus unit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=247))]
    pub(super) id: u8,
    /// Phases that the car charges on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(super) phases: u8,
    /// What the wallbox itself allows at most, in A
    #[arg(long, value_name = "A", default_value = "16", value_parser = amps)]
    pub(super) hardware_max: MilliAmps,
    /// What the car takes at most, in A
    #[arg(long, value_name = "A", default_value = "16", value_parser = amps)]
    pub(super) car_max: MilliAmps,
    /// The card that the driver shows
    #[arg(long, default_value = "04A2B3C4D5")]
    pub(super) tag: String,
    /// When the car arrives, counted from the start, for example 10s
    #[arg(long, value_name = "AFTER", default_value = "0s", value_parser = config::duration::parse)]
    pub(super) arrive: Duration,
    /// Cars come and go without end instead; the same seed brings the same cars
    #[arg(long, value_name = "SEED", conflicts_with_all = ["arrive", "tag", "car_max", "phases"])]
    pub(super) traffic: Option<u64>,
    /// It may switch between one and three phases while a car is plugged
    #[arg(long)]
    pub(super) switches_phases: bool,
    /// A bad habit; may be given several times
    #[arg(long, value_name = "NAME", value_parser = str::parse::<PowerBrainQuirk>)]
    pub(super) quirk: Vec<PowerBrainQuirk>,
}

/// `simulate meter`.
#[derive(Debug, Clone, PartialEq, Args)]
pub(super) struct MeterArgs {
    /// Where it listens for Modbus TCP
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5020", value_parser = tcp)]
    pub(super) listen: Address,
    /// Modbus RTU on this line instead, for example /dev/ttyUSB0,9600,8,n,1
    #[arg(long, value_name = "LINE", value_parser = serial, conflicts_with = "listen")]
    pub(super) serial: Option<Address>,
    /// Modbus unit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=247))]
    pub(super) id: u8,
    /// Which registers it has: sdm630, power-brain-meter, sunspec-203 or sunspec-213
    #[arg(long, value_name = "NAME", default_value = "sdm630", value_parser = str::parse::<MeterMap>)]
    pub(super) device: MeterMap,
    /// What the house takes: calm, brutal (about 40 switchings an hour), or steadily this much from
    /// each phase, for example 3,2.5,-1; negative = into the grid
    #[arg(long, value_name = "calm|brutal|A,A,A", default_value = "calm", value_parser = household, allow_hyphen_values = true)]
    pub(super) house: Household,
    /// The same seed makes the house live the same life
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// The house lives so many times as fast as the clock
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) pace: u32,
    /// What it shows is so old
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = config::duration::parse)]
    pub(super) latency: Duration,
    /// And up to this much wrong, in A
    #[arg(long, value_name = "A", default_value = "0.02", value_parser = amps)]
    pub(super) noise: MilliAmps,
    /// It is wired the wrong way round: import reads negative
    #[arg(long)]
    pub(super) invert: bool,
}

/// What a simulated house takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Household {
    /// [`House::calm`].
    Calm,
    /// [`House::brutal`].
    Brutal,
    /// [`House::steady`].
    Steady(PerPhase<MilliAmps>),
}

/// What stands below the options of `simulate wallbox`.
pub(super) fn wallbox_help() -> String {
    let examples = "\
Examples:
  chargewarden simulate wallbox --id CB-4711 --arrive 5s
  chargewarden simulate wallbox --url wss://192.168.1.10:19520 --id CB-2 --phases 1 --car-max 32";
    let quirks = Quirk::ALL.iter().map(|it| (it.as_str(), it.about()));
    with_quirks(examples, quirks)
}

/// What stands below the options of `simulate power-brain`.
pub(super) fn power_brain_help() -> String {
    let examples = "\
Examples:
  chargewarden simulate power-brain --arrive 5s
  chargewarden simulate power-brain --serial /dev/ttyUSB0,9600,8,n,1 --id 2 --traffic 7

The [[evse]] that goes with the first one:
  device = \"power-brain\"
  address = \"127.0.0.1:4701\"
  max-current = 16";
    let quirks = PowerBrainQuirk::ALL.iter();
    with_quirks(examples, quirks.map(|it| (it.as_str(), it.about())))
}

fn with_quirks(
    examples: &str,
    quirks: impl Iterator<Item = (&'static str, &'static str)>,
) -> String {
    let mut text = format!("{examples}\n\nQuirks:");
    for (name, about) in quirks {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {name:<24} {about}");
    }
    text
}

/// A wallbox with a car at its first connector, until Ctrl-C.
pub(super) fn wallbox(args: &WallboxArgs) -> ExitCode {
    let quirks: Result<BTreeSet<Quirk>, _> = args.quirk.iter().map(|name| name.parse()).collect();
    let quirks = match quirks {
        Ok(quirks) => quirks,
        Err(error) => return usage(&error),
    };
    let plan = WallboxPlan {
        connectors: args.connectors,
        phases: args.phases,
        hardware_max: args.hardware_max,
        quirks,
        ..WallboxPlan::new(&args.id)
    };
    let target = match Target::new(&args.url, &plan.id, args.password.as_deref()) {
        Ok(target) => target,
        Err(error) => return usage(&error),
    };
    let script = one_car(args.phases, args.car_max, args.arrive, &args.tag);
    let wallbox = Wallbox::new(plan, Random::new(seed()));
    until_ctrl_c("info", async |stop| {
        runner::run(wallbox, target, script, Draws::default(), stop).await;
        ExitCode::SUCCESS
    })
}

/// A Power Brain with cars, until Ctrl-C.
pub(super) fn power_brain(args: &PowerBrainArgs) -> ExitCode {
    let plan = PowerBrainPlan {
        unit: args.id,
        phases: args.phases,
        hardware_max: args.hardware_max,
        switches_while_plugged: args.switches_phases,
        quirks: args.quirk.iter().copied().collect(),
        ..PowerBrainPlan::new("SIMULATED")
    };
    let script = match args.traffic {
        Some(seed) => Script::endless(seed, 1),
        None => one_car(args.phases, args.car_max, args.arrive, &args.tag),
    };
    let brain = PowerBrain::new(plan, seed());
    let unit = PowerBrainWithDrivers::new(brain, script, Draws::default());
    let address = args.serial.as_ref().unwrap_or(&args.listen);
    serve(address, args.id, Box::new(unit))
}

/// A meter with a house, until Ctrl-C.
pub(super) fn meter(args: &MeterArgs) -> ExitCode {
    let plan = MeterPlan {
        unit: args.id,
        latency: args.latency,
        noise: args.noise,
        inverted: args.invert,
        ..MeterPlan::new(args.device)
    };
    let house = match args.house {
        Household::Calm => House::calm(args.seed),
        Household::Brutal => House::brutal(args.seed),
        Household::Steady(current) => House::steady(current),
    };
    let meter = Meter::new(plan, args.seed);
    let unit = MeteredHouse::new(meter, house, Draws::default(), args.pace);
    let address = args.serial.as_ref().unwrap_or(&args.listen);
    serve(address, args.id, Box::new(unit))
}

fn one_car(phases: u8, max: MilliAmps, after: Duration, tag: &str) -> Script {
    let car = Car {
        phases,
        max,
        ..Car::default()
    };
    let visit = Visit {
        after,
        stays: None,
        car,
        tag: tag.into(),
    };
    Script::once(ConnectorId(1), visit)
}

fn seed() -> u64 {
    getrandom::u64().unwrap_or(1)
}

fn serve(address: &Address, id: u8, unit: Box<dyn Unit>) -> ExitCode {
    until_ctrl_c("info", async |stop| {
        let port = match Port::open(address).await {
            Ok(port) => port,
            Err(error) => {
                output::print_error(&format!("{address} cannot be opened: {error}\n"));
                return ExitCode::from(exit::CANNOT_CREATE);
            }
        };
        info!(%address, id, "a master may ask");
        let served = modbus_server::run(port, Units::from([(id, unit)]), stop);
        served
            .await
            .map_or_else(|error| broken(&error), |()| ExitCode::SUCCESS)
    })
}

/// Runs a simulation that ends when it is told to; `level` is that of its log.
fn until_ctrl_c(
    level: &str,
    simulation: impl AsyncFnOnce(CancellationToken) -> ExitCode,
) -> ExitCode {
    if let Err(error) = logging::init(LogFormat::Text, level) {
        output::print_error(&format!("{error}\n"));
        return ExitCode::from(exit::SOFTWARE);
    }
    let run = async {
        let stop = CancellationToken::new();
        let mut simulation = pin!(simulation(stop.clone()));
        tokio::select! {
            ended = &mut simulation => return Ok(ended),
            pressed = ctrl_c() => pressed?,
        }
        stop.cancel();
        let ended = timeout(GOODBYE, simulation).await;
        Ok(ended.unwrap_or(ExitCode::SUCCESS))
    };
    let ended = tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(run));
    ended.unwrap_or_else(|error| broken(&error))
}

fn broken(error: &io::Error) -> ExitCode {
    output::print_error(&format!("the simulation cannot run: {error}\n"));
    ExitCode::from(exit::IO)
}

fn usage(error: &dyn std::fmt::Display) -> ExitCode {
    output::print_error(&format!("error: {error}\n"));
    ExitCode::from(exit::USAGE)
}

fn tcp(text: &str) -> Result<Address, &'static str> {
    let address = Address::parse(text).filter(|it| matches!(it, Address::Tcp { .. }));
    address.ok_or("write HOST:PORT, for example 127.0.0.1:4701")
}

fn serial(text: &str) -> Result<Address, &'static str> {
    let address = Address::parse(text).filter(|it| matches!(it, Address::Serial { .. }));
    address.ok_or("write a serial line, for example /dev/ttyUSB0,9600,8,n,1")
}

fn household(text: &str) -> Result<Household, &'static str> {
    match text {
        "calm" => return Ok(Household::Calm),
        "brutal" => return Ok(Household::Brutal),
        _ => {}
    }
    let amps = |amps: &str| amps.parse().ok().and_then(MilliAmps::from_amps_f64);
    let phases: Option<Vec<MilliAmps>> = text.split(',').map(amps).collect();
    let phases = phases.and_then(|phases| <[MilliAmps; 3]>::try_from(phases).ok());
    let current = phases.ok_or("write calm, brutal or three currents, for example 3,2.5,-1")?;
    Ok(Household::Steady(PerPhase(current)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_calm_brutal_or_steady() {
        assert_eq!(household("brutal"), Ok(Household::Brutal));
        let steady = PerPhase([3_000, 2_500, -1_000].map(MilliAmps));
        assert_eq!(household("3,2.5,-1"), Ok(Household::Steady(steady)));
        for nonsense in ["", "loud", "1,2", "1,2,3,4", "1,2,nan"] {
            assert!(household(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn sockets_and_serial_lines_are_told_apart() {
        assert!(tcp("127.0.0.1:4701").is_ok());
        assert!(tcp("/dev/ttyUSB0,9600,8,n,1").is_err());
        assert!(serial("/dev/ttyUSB0,9600,8,n,1").is_ok());
        assert!(serial("127.0.0.1:4701").is_err());
    }

    #[test]
    fn help_names_every_quirk() {
        let help = power_brain_help();
        for quirk in PowerBrainQuirk::ALL {
            assert!(help.contains(quirk.as_str()), "{quirk}");
        }
        assert!(wallbox_help().contains("\n  null-payloads "));
    }
}
