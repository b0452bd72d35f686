//! `cert`: makes certificates and requests, and says what a file holds.

mod certificate;
mod found;
mod key;
mod show;
mod time;
mod together;
mod words;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::ToSpan as _;

use self::together::{TogetherError, Wanted};
use super::{exit, output};
use crate::daemon::clock::Clock;
use crate::daemon::host;
use crate::net::issue::{self, Issued, Name, Subject};
use crate::net::self_signed::{days, own_names};

/// `cert`.
#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// Makes a certificate that is signed by itself, and its key (EC P-256)
    ///
    /// Whoever shall trust it must be told to trust exactly this one. Without NAME it is for this
    /// machine: its host name, localhost and its addresses. The daemon makes such a one by itself
    /// at its first start; this is for other names, or for a gateway's client certificate.
    #[command(after_long_help = "\
Examples:
  chargewarden cert new
  chargewarden cert new garage.example 192.168.1.5 --days 825
  chargewarden cert new --common-name DE*ABC*E1 --certificate client.crt --private-key client.key

Wallboxes that offer only ECDHE_RSA need an RSA key, which openssl makes: see certs/README.md.")]
    New(NewArgs),
    /// Makes a key (EC P-256) and a request that a CA makes a certificate of
    ///
    /// The request (CSR, PKCS#10) goes to whoever runs the CA, for example the billing operator;
    /// the key stays here. All of the subject is UTF-8. A client certificate of a charge point
    /// usually has the operator as organization and the serial number as common name.
    #[command(after_long_help = "\
Examples:
  chargewarden cert request --organization 'Tiefgarage Köln GmbH' --common-name SN-4711
  chargewarden cert request garage.example --request server.csr --private-key server.key")]
    Request(RequestArgs),
    /// Says of every certificate, request and key in a file what it is and what will accept it
    ///
    /// Version, kind of key, whom it names, how long it holds, SHA-256 fingerprint, and whether it
    /// serves as a server's, a client's or a CA's certificate. With several files it says which key
    /// belongs to which certificate, and who signed whom. Ends with 74 where something cannot be
    /// read.
    #[command(after_long_help = "\
Examples:
  chargewarden cert show server.crt server.key
  chargewarden cert show /var/lib/chargewarden/server.crt")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Host names and IP addresses that the certificate shall be valid for
    #[arg(value_name = "NAME", value_parser = name)]
    names: Vec<Name>,
    #[command(flatten)]
    subject: SubjectArgs,
    /// How many days it holds, from today
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Where the certificate is written
    #[arg(long, value_name = "FILE", default_value = "server.crt")]
    certificate: PathBuf,
    /// Where the key is written, for its owner alone
    #[arg(long, value_name = "FILE", default_value = "server.key")]
    private_key: PathBuf,
    /// Replace files that are there already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// Host names and IP addresses for a server; a client needs none
    #[arg(value_name = "NAME", value_parser = name, required_unless_present = "common_name")]
    names: Vec<Name>,
    #[command(flatten)]
    subject: SubjectArgs,
    /// Where the request is written
    #[arg(long, value_name = "FILE", default_value = "client.csr")]
    request: PathBuf,
    /// Where the key is written, for its owner alone
    #[arg(long, value_name = "FILE", default_value = "client.key")]
    private_key: PathBuf,
    /// Replace files that are there already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// PEM files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct SubjectArgs {
    /// CN; default: the first NAME
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    common_name: Option<String>,
    /// O
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    organization: Option<String>,
    /// OU
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    unit: Option<String>,
    /// L: the town
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    locality: Option<String>,
    /// ST: the state or province
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    state: Option<String>,
    /// C: the two letters of the country
    #[arg(long, value_name = "XX", value_parser = country)]
    country: Option<String>,
}

impl SubjectArgs {
    fn subject(self, names: &[Name]) -> Subject {
        let first = names.first().map(|name| match name {
            Name::Host(host) => host.clone(),
            Name::Address(address) => address.to_string(),
        });
        Subject {
            common_name: self.common_name.or(first).unwrap_or_default(),
            organization: self.organization,
            unit: self.unit,
            locality: self.locality,
            state: self.state,
            country: self.country,
        }
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).ok_or_else(|| {
        "write a host name or an IP address, nothing around it; letters beyond a to z are written \
         as xn--…"
            .to_owned()
    })
}

/// As much text as X.509 takes (RFC 5280 appendix A: ub-common-name and others).
fn filled(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("it is empty: leave the option out".to_owned()),
        1..=64 => Ok(text.to_owned()),
        _ => Err("X.509 takes up to 64 characters".to_owned()),
    }
}

fn country(text: &str) -> Result<String, String> {
    let plain = text.len() == 2 && text.bytes().all(|it| it.is_ascii_alphabetic());
    plain
        .then(|| text.to_ascii_uppercase())
        .ok_or_else(|| "write two letters, for example DE".to_owned())
}

/// Does what `cert …` says.
pub(super) fn cert(command: CertCommand) -> ExitCode {
    match command {
        CertCommand::New(args) => new(args),
        CertCommand::Request(args) => request(args),
        CertCommand::Show(args) => show::show(&args.files),
    }
}

fn new(args: NewArgs) -> ExitCode {
    let names = if args.names.is_empty() && args.subject.common_name.is_none() {
        own_names(&host::name(), &host::addresses())
    } else {
        args.names
    };
    let subject = args.subject.subject(&names);
    let span = i64::from(args.days).days();
    let now = Clock::start().now().wall;
    let issued = issue::self_signed(&subject, &names, days(now, span));
    write(issued, &args.certificate, &args.private_key, args.overwrite)
}

fn request(args: RequestArgs) -> ExitCode {
    let subject = args.subject.subject(&args.names);
    let issued = issue::request(&subject, &args.names);
    write(issued, &args.request, &args.private_key, args.overwrite)
}

/// Writes both files, or neither, and shows what is in them.
fn write(
    issued: Result<Issued, rcgen::Error>,
    public: &Path,
    private: &Path,
    overwrite: bool,
) -> ExitCode {
    let issued = match issued {
        Ok(issued) => issued,
        Err(error) => {
            output::print_error(&format!("error: it cannot be made: {error}\n"));
            return ExitCode::from(exit::SOFTWARE);
        }
    };
    let key = Wanted {
        path: private,
        text: &issued.key,
        mode: 0o600,
    };
    let certificate = Wanted {
        path: public,
        text: &issued.pem,
        mode: 0o644,
    };
    if let Err(error) = together::write(&[key, certificate], overwrite) {
        let (help, code) = match &error {
            TogetherError::Same(..) => ("give each a name of its own", exit::USAGE),
            TogetherError::File { error, .. } => (remedy(error), exit::CANNOT_CREATE),
        };
        output::print_error(&format!("error: {error}\n  help: {help}\n"));
        return ExitCode::from(code);
    }
    show::show(&[public.to_owned(), private.to_owned()])
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "name another file, or say --overwrite: what is there is lost then"
        }
        io::ErrorKind::NotFound => "make its folder first: mkdir -p",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied => "say sudo, or name a file in a folder of your own",
        _ => "name another file",
    }
}
