//! `probe`: reads a Power Brain or a meter once and prints every value.

mod asker;
mod meter;
mod power_brain;
mod silence;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::asker::Asker;
use super::{exit, output};
use crate::clock::Random;
use crate::modbus::bus::line;
use crate::modbus::meters::Layout;
use crate::modbus::{Address, Answer, Failure, Table};

/// `probe`.
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// host:port, or a serial line such as /dev/ttyUSB0,9600,8,n,1
    #[arg(value_parser = address)]
    address: Address,
    /// The Modbus unit
    #[arg(long, value_name = "N", default_value_t = 1)]
    id: u8,
    /// What it is, where that cannot be found out
    #[arg(long, value_name = "KIND")]
    device: Option<Device>,
}

/// What can be probed; the words of `device` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    PowerBrain,
    PowerBrainMeter,
    Sdm630,
    Sdm72,
    #[value(name = "sunspec")]
    SunSpec,
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).ok_or_else(|| {
        "write host:port, for example 192.168.1.50:502 (a Power Brain has 4701), or a serial line \
         such as /dev/ttyUSB0,9600,8,n,1"
            .to_owned()
    })
}

/// Probes once.
pub(super) fn probe(args: &ProbeArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let shown = match runtime {
        Ok(runtime) => runtime.block_on(look(args)),
        Err(error) => Err(format!("{error}\n")),
    };
    match shown {
        Ok(text) => exit::after_printing(&output::print(&text)),
        Err(text) => {
            output::print_error(&text);
            ExitCode::from(exit::IO)
        }
    }
}

/// What there is to see, or why there is nothing.
async fn look(args: &ProbeArgs) -> Result<String, String> {
    let (sender, answers) = mpsc::channel(1);
    // One look needs no spread.
    let (handle, line) = line(args.address.clone(), Random::new(0), sender);
    let mut asker = Asker {
        line: handle,
        answers,
        proven: false,
    };
    tokio::select! {
        shown = show(args, &mut asker) => shown,
        () = line.run(CancellationToken::new()) => Err("the line has ended\n".to_owned()),
    }
}

async fn show(args: &ProbeArgs, asker: &mut Asker) -> Result<String, String> {
    let device = match args.device {
        Some(device) => device,
        None => detect(args, asker).await?,
    };
    let unit = args.id;
    let shown = match device {
        Device::PowerBrain => power_brain::show(asker, unit).await,
        Device::PowerBrainMeter => {
            let what = "meter in a Power Brain".to_owned();
            let shown = meter::show(asker, unit, &Layout::power_brain()).await;
            shown.map(|table| (what, table))
        }
        Device::Sdm630 | Device::Sdm72 => {
            let what = "Eastron SDM630 or SDM72".to_owned();
            let shown = meter::show(asker, unit, &Layout::eastron()).await;
            shown.map(|table| (what, table))
        }
        Device::SunSpec => match meter::search(asker, unit).await {
            Ok((model, at, layout)) => {
                let what = format!("SunSpec meter, model {model} at register {at}");
                let shown = meter::show(asker, unit, &layout).await;
                shown.map(|table| (what, table))
            }
            Err(why) if asker.proven => {
                return Err(format!("{}, unit {unit}: {why}\n", args.address));
            }
            Err(_) => Err(Failure::Silent),
        },
    };
    match shown {
        Ok((what, table)) => Ok(format!("{}, unit {unit}: {what}\n\n{table}", args.address)),
        Err(failure) if asker.proven => Err(format!("{}, unit {unit}: {failure}\n", args.address)),
        Err(failure) => Err(silence::explain(&args.address, unit, &failure, asker).await),
    }
}

/// Asks what only one kind of device answers.
async fn detect(args: &ProbeArgs, asker: &mut Asker) -> Result<Device, String> {
    let unit = args.id;
    let vendor = asker.read(unit, Table::Holding, 8000, 2).await;
    if power_brain::is_one(&vendor) {
        return Ok(Device::PowerBrain);
    }
    if let Err(failure @ Failure::NoConnection(_)) = &vendor {
        return Err(silence::explain(&args.address, unit, failure, asker).await);
    }
    let phases = asker.read(unit, Table::Input, 0, 18).await;
    if meter::is_eastron(&phases) {
        return Ok(Device::Sdm630);
    }
    match meter::search(asker, unit).await {
        Ok(_) => return Ok(Device::SunSpec),
        Err(why) if asker.proven => return Err(unknown(args, &vendor, &phases, &why)),
        Err(_) => {}
    }
    let failure = phases.err().unwrap_or(Failure::Silent);
    Err(silence::explain(&args.address, unit, &failure, asker).await)
}

fn unknown(args: &ProbeArgs, vendor: &Answer, phases: &Answer, sunspec: &str) -> String {
    let said = |answer: &Answer| match answer {
        Ok(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{word:04X}")).collect();
            words.join(" ")
        }
        Err(failure) => failure.to_string(),
    };
    format!(
        "{}, unit {}: it answers, but is none of the devices that chargewarden knows.\n\n  \
         holding registers 8000–8001 (Power Brain: CF05 …): {}\n  \
         input registers 0–17 (Eastron: voltages, currents, powers): {}\n  \
         SunSpec: {sunspec}\n\n\
         Look at the id, or say with --device what it is. Any other meter can be described with \
         device = \"custom\" and [meter.registers].\n",
        args.address,
        args.id,
        said(vendor),
        said(phases),
    )
}
