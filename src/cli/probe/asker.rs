//! One question at a time to the device that is probed.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::ids::DeviceId;
use crate::modbus::bus::LineHandle;
use crate::modbus::{Answer, Failure, Request, Table};

/// Longer than the line pauses after its first failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks and waits.
pub(super) struct Asker {
    pub(super) line: LineHandle,
    pub(super) answers: mpsc::Receiver<(DeviceId, Answer)>,
    /// Something was answered.
    pub(super) proven: bool,
}

impl Asker {
    /// Reads registers; what fails although the device answered before is tried twice.
    pub(super) async fn read(
        &mut self,
        unit: u8,
        table: Table,
        address: u16,
        count: u16,
    ) -> Answer {
        let request = Request::Read {
            table,
            address,
            count,
        };
        let first = self.ask(unit, request.clone()).await;
        match first {
            Err(Failure::NoConnection(_)) if self.proven => {
                sleep(PAUSE).await;
                self.ask(unit, request).await
            }
            answer => answer,
        }
    }

    async fn ask(&mut self, unit: u8, request: Request) -> Answer {
        self.line.ask(DeviceId::Meter(0), unit, request);
        let answer = match self.answers.recv().await {
            Some((_, answer)) => answer,
            None => Err(Failure::NoConnection("the line has ended".to_owned())),
        };
        self.proven |= is_alive(&answer);
        answer
    }
}

/// Whether the unit that was asked is there: a gateway answers for units that are not.
pub(super) const fn is_alive(answer: &Answer) -> bool {
    match answer {
        Ok(_) => true,
        Err(Failure::Exception(code)) => !matches!(*code, 10 | 11),
        Err(Failure::Silent | Failure::NoConnection(_)) => false,
    }
}
