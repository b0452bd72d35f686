//! `simulate`: stand-ins for devices, for commissioning and for trying things out.

use std::collections::BTreeSet;
use std::process::ExitCode;

use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

use super::{WallboxArgs, exit, output};
use crate::clock::Random;
use crate::config::LogFormat;
use crate::daemon::logging;
use crate::ids::ConnectorId;
use crate::sim::{Car, Quirk, Script, Target, Visit, Wallbox, WallboxPlan, runner};

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
    let car = Car {
        phases: args.phases,
        max: args.car_max,
        ..Car::default()
    };
    let tag = args.tag.as_str().into();
    let visit = Visit {
        after: args.arrive,
        stays: None,
        car,
        tag,
    };
    let script = Script::once(ConnectorId(1), visit);
    if let Err(error) = logging::init(LogFormat::Text, "info") {
        output::print_error(&format!("{error}\n"));
        return ExitCode::from(exit::SOFTWARE);
    }
    let wallbox = Wallbox::new(plan, Random::new(getrandom::u64().unwrap_or(1)));
    let stop = CancellationToken::new();
    let run = async {
        tokio::select! {
            () = runner::run(wallbox, target, script, stop.clone()) => Ok(()),
            pressed = ctrl_c() => pressed,
        }
    };
    match tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&format!("the simulation cannot run: {error}\n"));
            ExitCode::from(exit::IO)
        }
    }
}

fn usage(error: &dyn std::fmt::Display) -> ExitCode {
    output::print_error(&format!("error: {error}\n"));
    ExitCode::from(exit::USAGE)
}
