//! `simulate backend`: a billing operator's central system, to be watched and commanded.

use std::io::{self, BufRead as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::select;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{seed, until_ctrl_c, with_quirks};
use crate::cli::{exit, output};
use crate::clock::Random;
use crate::config;
use crate::daemon::clock::Clock;
use crate::daemon::host;
use crate::ids::{ChargeBoxId, IdTag};
use crate::net::self_signed::{self, SelfSignedError};
use crate::net::tls::TlsServer;
use crate::ocpp::messages::{
    AuthorizationStatus, DataTransferStatus, IdTagInfo, RegistrationStatus,
};
use crate::sim::backend::{DataTransferAnswer, Server, TransactionIds, listen, serve};
use crate::sim::{Backend, BackendPlan, BackendQuirk};

mod lines;
mod orders;

use orders::Order;

/// Enough to see what happened last; more would fill the memory over weeks.
const LEDGER: usize = 1000;

/// `simulate backend`.
#[derive(Debug, Clone, PartialEq, Args)]
pub(in crate::cli) struct BackendArgs {
    /// Where it listens for charge points; any client id is let in
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9520")]
    pub(in crate::cli) listen: SocketAddr,
    /// wss instead of ws, with the self-signed certificate of this directory; made if there is none
    #[arg(long, value_name = "DIRECTORY")]
    pub(in crate::cli) tls: Option<PathBuf>,
    /// The password that charge points must send by HTTP Basic
    #[arg(long)]
    pub(in crate::cli) password: Option<String>,
    /// The answer to BootNotification
    #[arg(long, value_name = "STATUS", default_value = "accepted")]
    pub(in crate::cli) boot: Boot,
    /// Every connection must begin with BootNotification
    #[arg(long)]
    pub(in crate::cli) forgets_boots: bool,
    /// The heartbeat interval that charge points are told
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = config::duration::parse)]
    pub(in crate::cli) heartbeat: Duration,
    /// A known tag; may be given several times, for example 04A2B3C4D5=accepted or 04FF=accepted,FAMILY
    #[arg(long, value_name = "TAG=STATUS[,PARENT]", value_parser = tag)]
    pub(in crate::cli) tag: Vec<KnownTag>,
    /// What it says of all other tags: accepted, blocked, expired or invalid
    #[arg(long, value_name = "STATUS", default_value = "accepted", value_parser = verdict)]
    pub(in crate::cli) unknown_tags: AuthorizationStatus,
    /// The number of the first transaction; may be 0 or negative
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_hyphen_values = true
    )]
    pub(in crate::cli) first_transaction: i64,
    /// All transactions get that number
    #[arg(long)]
    pub(in crate::cli) same_transaction: bool,
    /// The answer to DataTransfer: a status of OCPP, or echo
    #[arg(long, value_name = "STATUS|echo", default_value = "UnknownVendorId", value_parser = data_answer)]
    pub(in crate::cli) data: DataTransferAnswer,
    /// How late the quirk late-answers is
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = config::duration::parse)]
    pub(in crate::cli) late: Duration,
    /// How often the quirk fails-transactions fails each message
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(in crate::cli) failures: u32,
    /// How long the quirks pending-at-first and rejects-at-first last
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = config::duration::parse)]
    pub(in crate::cli) hesitation: Duration,
    /// A bad habit; may be given several times
    #[arg(long, value_name = "NAME", value_parser = str::parse::<BackendQuirk>)]
    pub(in crate::cli) quirk: Vec<BackendQuirk>,
}

/// The answer to BootNotification, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Boot {
    Accepted,
    Pending,
    Rejected,
}

/// A tag and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct KnownTag {
    tag: IdTag,
    verdict: IdTagInfo,
}

/// What stands below the options of `simulate backend`.
pub(in crate::cli) fn help() -> String {
    let examples = format!(
        "\
Examples:
  chargewarden simulate backend
  chargewarden simulate backend --unknown-tags invalid --tag 04A2B3C4D5=accepted,FAMILY
  chargewarden simulate backend --listen 0.0.0.0:9520 --tls ./backend --password secret
  chargewarden simulate backend --quirk loses-answers --quirk closes-each-minute

The [evse.gateway] that goes with the first one:
  url = \"ws://127.0.0.1:9520\"
  client-id = \"DE*ABC*E1\"

It prints what charge points send (>) and what they are sent (<), and takes commands:
{}",
        orders::list()
    );
    let quirks = BackendQuirk::ALL.iter();
    with_quirks(&examples, quirks.map(|it| (it.as_str(), it.about())))
}

/// A backend, until Ctrl-C or `quit`.
pub(in crate::cli) fn backend(args: &BackendArgs) -> ExitCode {
    let tls = match args.tls.as_deref().map(certificate).transpose() {
        Ok(tls) => tls,
        Err(error) => return cannot_create(error.as_ref()),
    };
    let mut backend = Backend::new(plan(args), Random::new(seed()));
    backend.inspect(|entry| {
        if let Some(line) = lines::line(entry) {
            say(&line);
        }
    });
    until_ctrl_c("warn", async |stop| {
        let listener = match listen(args.listen, tls, args.password.as_deref()) {
            Ok(listener) => listener,
            Err(error) => return cannot_create(&error),
        };
        let scheme = if args.tls.is_some() { "wss" } else { "ws" };
        let at = SocketAddr::new(args.listen.ip(), listener.local_port());
        say(&format!(
            "charge points may connect to {scheme}://{at}; type help for the commands"
        ));
        let server = serve(listener, backend, stop.clone());
        attend(&server, &stop).await;
        stop.cancel();
        server.ended().await;
        ExitCode::SUCCESS
    })
}

fn plan(args: &BackendArgs) -> BackendPlan {
    let tags = args.tag.iter();
    let plan = BackendPlan::default().unknown_tags(args.unknown_tags);
    BackendPlan {
        boot: match args.boot {
            Boot::Accepted => RegistrationStatus::Accepted,
            Boot::Pending => RegistrationStatus::Pending,
            Boot::Rejected => RegistrationStatus::Rejected,
        },
        heartbeat_interval: args.heartbeat,
        remembers_boots: !args.forgets_boots,
        tags: tags
            .map(|known| (known.tag.clone(), known.verdict.clone()))
            .collect(),
        transaction_ids: if args.same_transaction {
            TransactionIds::Always(args.first_transaction)
        } else {
            TransactionIds::From(args.first_transaction)
        },
        data_transfer: args.data.clone(),
        lateness: args.late,
        failures: args.failures,
        hesitation: args.hesitation,
        ledger_limit: LEDGER,
        quirks: args.quirk.iter().copied().collect(),
        ..plan
    }
}

/// Carries out what is typed, until `quit`. Where nothing can be typed any more it goes on.
async fn attend(server: &Server, stop: &CancellationToken) {
    let mut typed = keyboard();
    loop {
        let line = select! {
            () = stop.cancelled() => return,
            Some(line) = typed.recv() => line,
        };
        let connected = server.with(|_, backend| backend.connected().cloned().collect());
        let connected: Vec<ChargeBoxId> = connected.await.unwrap_or_default();
        match orders::parse(&line, &connected) {
            Ok(Order::Command(client_id, command)) => {
                let sent = server.with(move |now, it| it.command(now, &client_id, *command));
                if let Some(Err(error)) = sent.await {
                    say(&error.to_string());
                }
            }
            Ok(Order::Help) => say(&orders::list()),
            Ok(Order::Quit) => return,
            Ok(Order::Nothing) => {}
            Err(why) => say(&why),
        }
    }
}

/// Lines of standard input, read by a thread of its own: nothing can interrupt a read, and the
/// process need not wait for it.
fn keyboard() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn certificate(directory: &Path) -> Result<TlsServer, Box<dyn std::error::Error>> {
    let now = Clock::start().now().wall;
    std::fs::create_dir_all(directory).map_err(|error| SelfSignedError::File {
        path: directory.to_owned(),
        error,
    })?;
    let addresses = host::addresses();
    let own = self_signed::load_or_make(directory, &host::name(), &addresses, now)?;
    Ok(TlsServer::new(&own.identity, None)?)
}

fn cannot_create(error: &dyn std::error::Error) -> ExitCode {
    output::print_error(&format!("error: {error}\n"));
    ExitCode::from(exit::CANNOT_CREATE)
}

/// Prints a line; where nobody reads any more there is nobody to tell.
fn say(line: &str) {
    let _ = output::print(&format!("{line}\n"));
}

fn tag(text: &str) -> Result<KnownTag, &'static str> {
    const FORM: &str = "write TAG=STATUS or TAG=STATUS,PARENT, for example 04A2B3C4D5=accepted";
    let (tag, rest) = text.split_once('=').ok_or(FORM)?;
    let (status, parent) = match rest.split_once(',') {
        Some((status, parent)) => (status, Some(parent)),
        None => (rest, None),
    };
    let fits = |tag: &str| (1..=20).contains(&tag.chars().count());
    if !fits(tag) || !parent.is_none_or(fits) {
        return Err("a tag has 1 to 20 characters");
    }
    Ok(KnownTag {
        tag: tag.into(),
        verdict: IdTagInfo {
            status: verdict(status)?,
            expiry_date: None,
            parent_id_tag: parent.map(IdTag::from),
        },
    })
}

fn verdict(text: &str) -> Result<AuthorizationStatus, &'static str> {
    AuthorizationStatus::parse(text)
        .ok_or("write accepted, blocked, expired, invalid or concurrenttx")
}

fn data_answer(text: &str) -> Result<DataTransferAnswer, &'static str> {
    if text == "echo" {
        return Ok(DataTransferAnswer::Echo);
    }
    let status = DataTransferStatus::parse(text).map(DataTransferAnswer::Status);
    status.ok_or("write Accepted, Rejected, UnknownMessageId, UnknownVendorId or echo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_a_status_and_may_have_a_parent() {
        let known = tag("04A2=blocked,FAMILY").unwrap();
        assert_eq!(known.tag, IdTag::from("04A2"));
        assert_eq!(known.verdict.status, AuthorizationStatus::Blocked);
        assert_eq!(known.verdict.parent_id_tag, Some("FAMILY".into()));
        assert_eq!(tag("T=accepted").unwrap().verdict.parent_id_tag, None);
        for nonsense in ["", "T", "=accepted", "T=maybe", "T=accepted,"] {
            assert!(tag(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn the_answer_to_data_is_a_status_or_an_echo() {
        assert_eq!(data_answer("echo"), Ok(DataTransferAnswer::Echo));
        let rejected = DataTransferAnswer::Status(DataTransferStatus::Rejected);
        assert_eq!(data_answer("rejected"), Ok(rejected));
        assert!(data_answer("maybe").is_err());
    }

    #[test]
    fn help_names_every_quirk_and_every_command() {
        let help = help();
        for quirk in BackendQuirk::ALL {
            assert!(help.contains(quirk.as_str()), "{quirk}");
        }
        assert!(help.contains("limit CP CONNECTOR AMPS"));
    }
}
