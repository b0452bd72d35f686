//! The command line: what is typed, and what is printed for people.

mod cert;
mod check;
mod columns;
pub mod control_client;
mod demo;
pub mod evse;
pub mod exit;
mod grid;
pub mod limit;
pub mod output;
mod probe;
mod reload;
mod run;
mod simulate;
pub mod status;
pub mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config;
use crate::units::MilliAmps;

/// Reads the command line, does what it says and returns the exit code.
pub fn main() -> ExitCode {
    exit::on_panic();
    dispatch(Cli::parse())
}

fn dispatch(cli: Cli) -> ExitCode {
    match cli.command.unwrap_or(Command::Run(cli.bare)) {
        Command::Run(file) => run::run(&file.config),
        Command::Check(file) => check::check(&file.config),
        Command::Status(args) => status::status(&args.at.socket, args.json, args.watch),
        Command::Evse(EvseCommand::Enable(args)) => evse::evse(&args.at.socket, &args.name, true),
        Command::Evse(EvseCommand::Disable(args)) => evse::evse(&args.at.socket, &args.name, false),
        Command::Limit(args) => limit::limit(&args.at.socket, &args.circuit, args.signal),
        Command::Reload(args) => reload::reload(&args.socket),
        Command::Cert(command) => cert::cert(command),
        Command::Probe(args) => probe::probe(&args),
        Command::Demo => demo::demo(),
        Command::Simulate(SimulateCommand::Wallbox(args)) => simulate::wallbox(&args),
        Command::Simulate(SimulateCommand::PowerBrain(args)) => simulate::power_brain(&args),
        Command::Simulate(SimulateCommand::Meter(args)) => simulate::meter(&args),
        Command::Simulate(SimulateCommand::Backend(args)) => simulate::backend(&args),
    }
}

/// A charging manager: wallboxes that speak OCPP 1.6J share a building's fuse.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = "\
First steps:
  chargewarden demo                        watch simulated cars share a fuse with a house
  chargewarden check --config my.toml      judge a configuration without running it
  chargewarden run --config my.toml        run it; wallboxes connect to ws://this-machine:19520/
  chargewarden status --watch              see who charges, with how much, and why not more

Exit codes: 0 well, 2 usage, 69 the daemon cannot be reached, 70 a bug, 73 a file or socket cannot
be made, 74 input/output, 78 the configuration is wrong."
)]
pub struct Cli {
    #[command(flatten)]
    bare: ConfigFile,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon (also what a bare `chargewarden` does)
    ///
    /// Listens for wallboxes, shares the fuses among them and answers on the control socket until
    /// SIGTERM or SIGINT. Logs to the journal under systemd, else to standard error.
    #[command(after_long_help = "Example:\n  chargewarden run --config ./chargewarden.toml")]
    Run(ConfigFile),
    /// Reads and judges the configuration; prints what it understood
    ///
    /// Reports every mistake with its line and what to do about it, and ends with 78 if there is
    /// one. Passwords are never printed. Nothing is started and nothing is written.
    #[command(after_long_help = "Example:\n  chargewarden check --config ./chargewarden.toml")]
    Check(ConfigFile),
    /// EVSEs, circuits, meters and gateways of the running daemon, as a table
    ///
    /// The last column answers for each EVSE: why not more?
    #[command(after_long_help = "\
Examples:
  chargewarden status --watch
  chargewarden status --json | jq '.evses[] | {name, offered_a, reason}'")]
    Status(StatusArgs),
    /// Switches an EVSE on or off until the next reload or restart
    ///
    /// `disable` leaves the EVSE with what `manager.when-disabled` says; `enable` lets it take part
    /// again.
    #[command(
        subcommand,
        after_long_help = "Example:\n  chargewarden evse disable garage-left"
    )]
    Evse(EvseCommand),
    /// The external limit signal of a circuit (§14a EnWG, a ripple control receiver, a timer)
    ///
    /// The EVSEs below the circuit may together draw no more than WATTS until `off`. `on` applies
    /// the watts of `limit-signal` in the configuration. Kept over restarts; logged with its time.
    #[command(after_long_help = "\
Examples:
  chargewarden limit house 4200
  chargewarden limit house on
  chargewarden limit house off")]
    Limit(LimitArgs),
    /// Lets the running daemon read its configuration file again, like SIGHUP
    ///
    /// The file is judged whole first: with a mistake in it nothing changes, the mistakes are
    /// printed and the exit code is 78. Transactions, queues and limits go on, and wallboxes stay
    /// connected unless passwords or TLS changed. What was enabled and disabled by command is
    /// forgotten. Says which changed keys wait for a restart.
    #[command(after_long_help = "\
Examples:
  chargewarden check && chargewarden reload
  sudo systemctl reload chargewarden")]
    Reload(ControlSocket),
    /// Certificates: a self-signed one, a request (CSR), and what a PEM file holds
    ///
    /// Needs neither a configuration nor a running daemon. X.509 v1 certificates, as short openssl
    /// recipes make them, are understood too.
    #[command(
        subcommand,
        after_long_help = "Example:\n  chargewarden cert show server.crt server.key"
    )]
    Cert(cert::CertCommand),
    /// Reads a Power Brain or a meter once and prints every value
    ///
    /// Finds out what the device is: a Power Brain, an Eastron SDM630 or SDM72, or a SunSpec meter.
    /// Writes nothing. Where nothing answers it says what to look at, and ends with 74.
    #[command(after_long_help = "\
Examples:
  chargewarden probe 192.168.1.50:4701
  chargewarden probe 192.168.1.60:502 --id 2
  chargewarden probe /dev/ttyUSB0,9600,8,n,1 --id 3 --device sdm630")]
    Probe(probe::ProbeArgs),
    /// The daemon, on free loopback ports, with simulated devices; a table each second
    ///
    /// Two OCPP wallboxes and a Power Brain behind a metered fuse of 32 A. Cars come, share what the
    /// house leaves and go; a billing backend bills the two, limits one at times and goes away at
    /// others. Needs no configuration and leaves nothing behind; Ctrl-C ends it.
    #[command(after_long_help = "Example:\n  chargewarden demo")]
    Demo,
    /// Stand-ins for commissioning and tests
    ///
    /// A simulated device behaves as a correct one would, so that a configuration can be tried
    /// before the real ones are wired.
    #[command(subcommand)]
    Simulate(SimulateCommand),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct ControlSocket {
    /// The control socket of the daemon (manager.control-socket)
    #[arg(long, value_name = "PATH", default_value = config::DEFAULT_CONTROL_SOCKET)]
    socket: PathBuf,
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// The circuit's name in the configuration
    circuit: String,
    /// A number of watts, on or off
    #[arg(value_name = "WATTS|on|off", value_parser = limit::signal)]
    signal: limit::Signal,
    #[command(flatten)]
    at: ControlSocket,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    at: ControlSocket,
    /// Print the status document as the daemon sends it, one JSON object
    #[arg(long)]
    json: bool,
    /// Print it again each second, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Subcommand)]
enum EvseCommand {
    /// Lets an EVSE take part again
    ///
    /// It gets its share as soon as the others have made room for it.
    #[command(after_long_help = "Example:\n  chargewarden evse enable garage-left")]
    Enable(EvseArgs),
    /// Takes an EVSE out, until the next reload or restart
    ///
    /// It is left with what manager.when-disabled says; a session goes on with that. To keep it
    /// out, write enabled = false into its [[evse]].
    #[command(after_long_help = "Example:\n  chargewarden evse disable garage-left")]
    Disable(EvseArgs),
}

#[derive(Debug, Args)]
struct EvseArgs {
    /// Its name in the configuration
    name: String,
    #[command(flatten)]
    at: ControlSocket,
}

#[derive(Debug, Subcommand)]
enum SimulateCommand {
    /// An OCPP 1.6J wallbox with a car
    ///
    /// Connects, boots, lets a car arrive, charges within its limits and prints what it does.
    #[command(after_long_help = simulate::wallbox_help())]
    Wallbox(WallboxArgs),
    /// A Power Brain with a car, over Modbus TCP or RTU
    ///
    /// Its registers, its fail-safe timer and its card reader. Lets a car arrive, holds it until it
    /// is enabled, charges within its limit, and prints what it does and what its master does wrong.
    #[command(after_long_help = simulate::power_brain_help())]
    PowerBrain(simulate::PowerBrainArgs),
    /// A meter with a house, over Modbus TCP or RTU
    ///
    /// Prints what the house switches. Of what simulated wallboxes draw it knows nothing: only the
    /// demo has a meter that shows both.
    #[command(after_long_help = "\
Examples:
  chargewarden simulate meter --house brutal --pace 10
  chargewarden simulate meter --device sunspec-213 --house 20,3,3

The [[meter]] that goes with the first one:
  name = \"grid\"
  device = \"sdm630\"
  address = \"127.0.0.1:5020\"")]
    Meter(simulate::MeterArgs),
    /// The central system of a billing operator
    ///
    /// Lets any charge point in, answers what it sends as a correct backend would and prints it.
    /// Commands for charge points are typed; Ctrl-C ends it.
    #[command(after_long_help = simulate::backend_help())]
    Backend(simulate::BackendArgs),
}

/// `simulate wallbox`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct WallboxArgs {
    /// Where the central system is; the ChargeBox ID is appended
    #[arg(long, default_value = "ws://127.0.0.1:19520")]
    pub url: String,
    /// ChargeBox ID
    #[arg(long, default_value = "CB-1")]
    pub id: String,
    /// Number of connectors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub connectors: u32,
    /// Phases that the car charges on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub phases: u8,
    /// What the wallbox itself allows at most, in A
    #[arg(long, value_name = "A", default_value = "32", value_parser = amps)]
    pub hardware_max: MilliAmps,
    /// What the car takes at most, in A
    #[arg(long, value_name = "A", default_value = "16", value_parser = amps)]
    pub car_max: MilliAmps,
    /// The id tag that the driver shows
    #[arg(long, default_value = "04A2B3C4D5")]
    pub tag: String,
    /// The password for HTTP Basic
    #[arg(long)]
    pub password: Option<String>,
    /// When the car arrives, counted from the start, for example 10s
    #[arg(long, value_name = "AFTER", default_value = "0s", value_parser = config::duration::parse)]
    pub arrive: Duration,
    /// A bad habit of some real wallbox; may be given several times
    #[arg(long, value_name = "NAME")]
    pub quirk: Vec<String>,
}

fn amps(text: &str) -> Result<MilliAmps, String> {
    let amps = text.parse().ok().and_then(MilliAmps::from_amps_f64);
    let in_range = |amps: &MilliAmps| (MilliAmps::ZERO..=MilliAmps::from_amps(1000)).contains(amps);
    amps.filter(in_range)
        .ok_or_else(|| "write 0 to 1000 A".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{BackendQuirk, MeterMap, PowerBrainQuirk};

    fn parse(words: &[&str]) -> Command {
        let words = std::iter::once("chargewarden").chain(words.iter().copied());
        let cli = Cli::try_parse_from(words).unwrap();
        cli.command.unwrap_or(Command::Run(cli.bare))
    }

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_runs_with_or_without_a_file() {
        let config = |words: &[&str]| match parse(words) {
            Command::Run(file) => file.config,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            config(&[]),
            PathBuf::from("/etc/chargewarden/chargewarden.toml")
        );
        assert_eq!(config(&["--config", "x.toml"]), PathBuf::from("x.toml"));
        assert_eq!(
            config(&["run", "--config", "x.toml"]),
            PathBuf::from("x.toml")
        );
    }

    #[test]
    fn a_simulated_wallbox_has_sensible_defaults_and_may_have_several_quirks() {
        let Command::Simulate(SimulateCommand::Wallbox(args)) = parse(&["simulate", "wallbox"])
        else {
            panic!()
        };
        assert_eq!(
            (args.url.as_str(), args.id.as_str()),
            ("ws://127.0.0.1:19520", "CB-1")
        );
        assert_eq!((args.connectors, args.phases), (1, 3));
        assert_eq!(args.car_max, MilliAmps::from_amps(16));

        let words = [
            "simulate", "wallbox", "--arrive", "1min 5s", "--quirk", "a", "--quirk", "b",
        ];
        let Command::Simulate(SimulateCommand::Wallbox(args)) = parse(&words) else {
            panic!()
        };
        assert_eq!(args.arrive, Duration::from_secs(65));
        assert_eq!(args.quirk, ["a", "b"]);
    }

    #[test]
    fn simulated_modbus_devices_listen_where_they_are_told_or_hang_on_a_line() {
        let words = ["simulate", "power-brain", "--quirk", "no-meter"];
        let Command::Simulate(SimulateCommand::PowerBrain(args)) = parse(&words) else {
            panic!()
        };
        assert_eq!(args.listen.to_string(), "127.0.0.1:4701");
        assert_eq!((args.id, args.serial), (1, None));
        assert_eq!(args.quirk, [PowerBrainQuirk::NoMeter]);

        let line = "/dev/ttyUSB0,9600,8,n,1";
        let words = ["simulate", "meter", "--serial", line, "--house", "-1,2,3"];
        let Command::Simulate(SimulateCommand::Meter(args)) = parse(&words) else {
            panic!()
        };
        assert_eq!(args.serial.unwrap().to_string(), line);
        assert_eq!(args.device, MeterMap::Sdm630);
    }

    #[test]
    fn a_simulated_backend_may_count_its_transactions_from_anywhere() {
        let words = [
            "simulate",
            "backend",
            "--first-transaction",
            "-1",
            "--quirk",
            "floods",
            "--tag",
            "T=blocked",
        ];
        let Command::Simulate(SimulateCommand::Backend(args)) = parse(&words) else {
            panic!()
        };
        assert_eq!(args.listen.to_string(), "127.0.0.1:9520");
        assert_eq!((args.first_transaction, args.tag.len()), (-1, 1));
        assert_eq!(args.quirk, [BackendQuirk::Floods]);
    }

    #[test]
    fn absurd_options_are_usage_errors() {
        for words in [
            ["--phases", "4"],
            ["--car-max", "nan"],
            ["--car-max", "-1"],
            ["--arrive", "5"],
        ] {
            for device in ["wallbox", "power-brain"] {
                let all = ["chargewarden", "simulate", device].into_iter();
                let error = Cli::try_parse_from(all.chain(words)).unwrap_err();
                assert_eq!(error.exit_code(), 2, "{words:?}");
            }
        }
    }
}
