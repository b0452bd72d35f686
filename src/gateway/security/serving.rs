//! The commands of the security extension.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::certificates::{certificates, fingerprint};
use crate::clock::{Mono, Now};
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, BootNotification, CertificateSigned, CertificateUse, DeleteCertificate,
    DeleteCertificateResponse, ExtendedTrigger, ExtendedTriggerMessage, FoundStatus,
    GetInstalledCertificateIds, GetInstalledCertificateIdsResponse, InstallCertificate,
    InstallCertificateResponse, InstallCertificateStatus, SignCertificate,
};

use super::super::gateway::{Gateway, Urgent};
use super::super::io::{Context, Output};
use super::super::obeying::{ACCEPTED, NOT_IMPLEMENTED, REJECTED};
use super::events::Event;
use super::safe::PrivateKey;

/// The answer to what changed the connection has so long to leave before the connection ends.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// A backend that does not sign is asked again after this.
const ASK_AGAIN: Duration = Duration::from_hours(24);

/// Names in certificates are no longer (RFC 5280 appendix A.1).
const LONGEST_NAME: usize = 64;

/// Whom a certificate is to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// CN: the serial number of the charge point.
    pub common_name: String,
    /// O: who operates it.
    pub organization: String,
}

/// A new key, and the request for a certificate for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// PKCS#10 as PEM.
    pub csr: String,
    /// The key.
    pub key: PrivateKey,
}

/// Whether a command concerns the link to the backend and nothing behind it.
pub(in crate::gateway) fn is_of_security(action: &str) -> bool {
    matches!(
        action,
        "InstallCertificate"
            | "DeleteCertificate"
            | "GetInstalledCertificateIds"
            | "CertificateSigned"
            | "ExtendedTriggerMessage"
    )
}

impl Gateway {
    /// Carries out one of these commands.
    pub(in crate::gateway) fn serve_security(
        &mut self,
        context: &mut Context<'_>,
        id: &MessageId,
        action: &str,
        payload: &RawValue,
    ) {
        let now = context.now;
        let answer = match action {
            "InstallCertificate" => messages::parse(payload).map(|said| self.install(now, &said)),
            "DeleteCertificate" => messages::parse(payload).map(|said| self.delete(now, &said)),
            "GetInstalledCertificateIds" => messages::parse(payload).map(|it| self.installed(&it)),
            "CertificateSigned" => messages::parse(payload).map(|said| self.signed(now, &said)),
            "GetLog" => return self.get_log(context, id, payload),
            _ => {
                match messages::parse::<ExtendedTriggerMessage>(payload) {
                    Ok(said) => self.extended_trigger(context, id, &said, payload),
                    Err(error) => self.refuse(id, error.code, &error.what),
                }
                return;
            }
        };
        self.settle(id, answer);
    }

    fn install(&mut self, now: Now, said: &InstallCertificate) -> String {
        let is_for_us = said.certificate_type == CertificateUse::CentralSystemRootCertificate;
        let status = if is_for_us && self.is_secure() && self.plan.has_ca {
            let before = self.safe.clone();
            let status = self.safe.install(now.wall, &said.certificate);
            if self.safe != before {
                let all = certificates(said.certificate.as_bytes()).unwrap_or_default();
                let fingerprint = all.first().map(|der| fingerprint(der));
                info!(
                    backend = &*self.plan.shown_url(),
                    client_id = self.plan.client_id,
                    fingerprint,
                    "the backend installs a root certificate, which counts beside ca from now on"
                );
                self.remember_safe();
                self.reconfigured(now, "InstallCertificate");
            }
            status
        } else {
            InstallCertificateStatus::Rejected
        };
        messages::write(&InstallCertificateResponse { status })
    }

    fn delete(&mut self, now: Now, said: &DeleteCertificate) -> String {
        let status = self.safe.delete(&said.certificate_hash_data);
        if status == FoundStatus::Accepted {
            info!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "the backend deletes a root certificate that it had installed"
            );
            self.remember_safe();
            self.reconfigured(now, "DeleteCertificate");
        }
        messages::write(&DeleteCertificateResponse { status })
    }

    fn installed(&self, said: &GetInstalledCertificateIds) -> String {
        let all = match said.certificate_type {
            CertificateUse::CentralSystemRootCertificate => self.safe.installed(),
            CertificateUse::ManufacturerRootCertificate => Vec::new(),
        };
        let status = if all.is_empty() {
            FoundStatus::NotFound
        } else {
            FoundStatus::Accepted
        };
        messages::write(&GetInstalledCertificateIdsResponse {
            status,
            certificate_hash_data: all,
        })
    }

    fn signed(&mut self, now: Now, said: &CertificateSigned) -> String {
        match self.safe.sign(now.wall, &said.certificate_chain) {
            Ok(()) => {
                info!(
                    backend = &*self.plan.shown_url(),
                    client_id = self.plan.client_id,
                    "the backend has signed a certificate, which is shown from now on"
                );
                self.remember_safe();
                self.shown = super::Shown::default();
                self.reconfigured(now, "CertificateSigned");
                self.come_back(now.mono);
                ACCEPTED.to_owned()
            }
            Err(why) => {
                warn!(
                    backend = &*self.plan.shown_url(),
                    client_id = self.plan.client_id,
                    %why,
                    "the backend sends a certificate that is of no use"
                );
                let event = Event::InvalidChargePointCertificate;
                self.happened(now.wall, event, Some(&why.to_string()));
                REJECTED.to_owned()
            }
        }
    }

    fn extended_trigger(
        &mut self,
        context: &mut Context<'_>,
        id: &MessageId,
        said: &ExtendedTriggerMessage,
        payload: &RawValue,
    ) {
        match ExtendedTrigger::parse(&said.requested_message) {
            // Without TLS nobody would look at it.
            Some(ExtendedTrigger::SignChargePointCertificate) if !self.is_secure() => {
                self.answer(id, REJECTED);
            }
            Some(ExtendedTrigger::SignChargePointCertificate) => {
                self.answer(id, ACCEPTED);
                self.ask_for_certificate(context.now.mono);
            }
            // A wallbox that is there for it has its own log, and may be uploading it.
            Some(ExtendedTrigger::LogStatusNotification)
                if self.plan.leads && !self.members.are_emulated() && !self.uploads_log() =>
            {
                self.relay(id, "ExtendedTriggerMessage", payload);
            }
            Some(ExtendedTrigger::LogStatusNotification) => {
                self.answer(id, ACCEPTED);
                self.answer_log_trigger();
            }
            // The same message, and wallboxes know it better by its older name.
            Some(
                ExtendedTrigger::BootNotification
                | ExtendedTrigger::FirmwareStatusNotification
                | ExtendedTrigger::Heartbeat
                | ExtendedTrigger::MeterValues
                | ExtendedTrigger::StatusNotification,
            ) => self.trigger(context.now, id, payload),
            None => self.answer(id, NOT_IMPLEMENTED),
        }
    }

    fn ask_for_certificate(&mut self, now: Mono) {
        self.certificate_asked = Some(now);
        let boot: BootNotification = serde_json::from_str(&self.boot_payload()).unwrap_or_default();
        let first = |text: &str| text.chars().take(LONGEST_NAME).collect::<String>();
        let serial = boot.charge_point_serial_number;
        let serial = serial.filter(|serial| !serial.trim().is_empty());
        let operator = self.keys.value("CpoName").unwrap_or_default();
        let organization = match operator.trim() {
            "" => first(&boot.charge_point_vendor),
            name => first(name),
        };
        let common_name = first(serial.as_ref().unwrap_or(&self.plan.client_id));
        self.output(Output::Request(Subject {
            common_name,
            organization,
        }));
    }

    /// A certificate that ends soon is asked for again, without being told to.
    pub(in crate::gateway) fn renew_certificate(&mut self, now: Now) {
        let lately = |at: Mono| now.mono.since(at) < ASK_AGAIN;
        if self.is_secure()
            && self.safe.ends_soon(now.wall)
            && !self.certificate_asked.is_some_and(lately)
        {
            self.ask_for_certificate(now.mono);
        }
    }

    /// There is a new key.
    pub(in crate::gateway) fn take_request(&mut self, requested: Option<Requested>) {
        let Some(Requested { csr, key }) = requested else {
            warn!(
                client_id = self.plan.client_id,
                "no key could be made: the backend gets no request for a certificate"
            );
            return;
        };
        self.safe.requests(key);
        self.remember_safe();
        if self.connection.link().is_some() {
            self.tell(Urgent::Notice {
                action: "SignCertificate".to_owned(),
                payload: messages::write(&SignCertificate { csr }),
            });
        }
    }

    /// The connection is to be made anew with what has changed.
    pub(super) fn come_back(&mut self, now: Mono) {
        self.come_back_at.get_or_insert(now + COME_BACK_AFTER);
    }

    /// Makes it anew where nobody waits for anything on it.
    pub(in crate::gateway) fn end_for_anew(&mut self, context: &mut Context<'_>) {
        let due = self.come_back_at.is_some_and(|at| at <= context.now.mono);
        let idle = self.rpc.is_idle() && self.orders.is_empty() && self.calls.is_empty();
        if due && idle {
            self.hang_up(context, "credentials changed", true);
        } else if due {
            self.come_back_at = Some(context.now.mono + COME_BACK_AFTER);
        }
    }

    pub(in crate::gateway) fn remember_safe(&mut self) {
        let memory = self.safe.memory();
        self.remember_text("certificates", &memory);
    }
}
