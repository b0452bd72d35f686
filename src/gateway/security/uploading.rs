//! The log of a charge point, which its backend may ask for (`GetLog`, `LogStatusNotification`).

use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, GetLog, GetLogResponse, GetLogStatus, LogStatusNotification, UploadLogStatus,
};

use super::super::commands;
use super::super::gateway::{Gateway, Urgent};
use super::super::io::{Context, Output};
use super::super::obeying::REJECTED;
use super::log_upload::{Location, UploadOutcome, file_name};

impl Gateway {
    /// Whether the log is ours to upload; the wallbox is not asked for its own then.
    pub(in crate::gateway) fn uploads_log(&self) -> bool {
        self.plan.upload_log
    }

    pub(super) fn get_log(
        &mut self,
        context: &mut Context<'_>,
        id: &MessageId,
        payload: &RawValue,
    ) {
        let checked = commands::check_get_log(payload);
        let said = match checked.and_then(|()| messages::parse::<GetLog>(payload)) {
            Ok(said) => said,
            Err(error) => return self.refuse(id, error.code, &error.what),
        };
        let backend = self.plan.shown_url().into_owned();
        let (backend, client_id) = (backend.as_str(), self.plan.client_id.as_str());
        let Some(location) = Location::parse(&said.log.remote_location) else {
            warn!(
                backend,
                client_id,
                "the backend wants the log where it cannot go: only http and https are possible"
            );
            self.answer(id, REJECTED);
            return;
        };
        let now = context.now;
        let filename = file_name(client_id, now.wall);
        info!(
            backend,
            client_id,
            log = said.log_type.as_str(),
            request = said.request_id,
            filename,
            "the backend wants our log"
        );
        let canceled = self.log_upload.begin(now.mono, &said, location, &filename);
        let answer = messages::write(&GetLogResponse {
            status: if canceled {
                GetLogStatus::AcceptedCanceled
            } else {
                GetLogStatus::Accepted
            },
            filename: Some(filename),
        });
        self.answer(id, &answer);
        self.tell_log_status(self.log_upload.status());
        self.upload_log(context);
    }

    /// Makes the attempt that is due.
    pub(in crate::gateway) fn upload_log(&mut self, context: &Context<'_>) {
        if let Some(mut order) = self.log_upload.next(context.now.mono) {
            order.roots = self.safe.roots().to_vec();
            self.output(Output::Upload(order));
        }
    }

    /// An attempt came to an end.
    pub(in crate::gateway) fn take_uploaded(
        &mut self,
        context: &Context<'_>,
        attempt: u64,
        outcome: UploadOutcome,
    ) {
        let told = self.log_upload.take(context.now.mono, attempt, outcome);
        let Some(status) = told else {
            return;
        };
        let backend = self.plan.shown_url().into_owned();
        let (backend, client_id) = (backend.as_str(), self.plan.client_id.as_str());
        let request = status.request_id;
        if status.status == UploadLogStatus::Uploaded {
            info!(backend, client_id, request, "our log was uploaded");
        } else {
            let status = status.status.as_str();
            warn!(
                backend,
                client_id, request, status, "our log was not uploaded"
            );
        }
        if self.connection.link().is_some() {
            self.tell_log_status(status);
        } else {
            self.log_upload.keep(status);
        }
    }

    /// The backend is back, and may wait for the end of an upload.
    pub(in crate::gateway) fn catch_up_on_log(&mut self) {
        if let Some(status) = self.log_upload.untold() {
            self.tell_log_status(status);
        }
    }

    /// Says how it stands, because the backend asks.
    pub(super) fn answer_log_trigger(&mut self) {
        self.tell_log_status(self.log_upload.status());
    }

    fn tell_log_status(&mut self, status: LogStatusNotification) {
        self.tell(Urgent::Notice {
            action: "LogStatusNotification".to_owned(),
            payload: messages::write(&status),
        });
    }
}
