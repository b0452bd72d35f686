//! Modbus over real sockets and pseudo terminals, against devices whose frames are written here by
//! hand: they must be able to answer late, by halves, wrongly or not at all.

mod fake;
mod probe;
mod rtu;
mod tcp;

use std::time::Duration;

use chargewarden::clock::Random;
use chargewarden::ids::DeviceId;
use chargewarden::modbus::bus::{LineHandle, line};
use chargewarden::modbus::{Address, Answer, Request, Table};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

const WALLBOX: DeviceId = DeviceId::ChargePoint(0);
const METER: DeviceId = DeviceId::Meter(0);

/// A line that runs as long as this lives.
struct Running {
    handle: LineHandle,
    answers: mpsc::Receiver<(DeviceId, Answer)>,
    _guard: DropGuard,
}

impl Running {
    fn start(address: Address) -> Self {
        let (sender, answers) = mpsc::channel(16);
        let (handle, line) = line(address, Random::new(1), sender);
        let cancel = CancellationToken::new();
        tokio::spawn(line.run(cancel.clone()));
        Self {
            handle,
            answers,
            _guard: cancel.drop_guard(),
        }
    }

    async fn answer(&mut self) -> (DeviceId, Answer) {
        tokio::time::timeout(Duration::from_secs(10), self.answers.recv())
            .await
            .expect("each request is answered")
            .expect("the line goes on")
    }
}

fn read(address: u16, count: u16) -> Request {
    Request::Read {
        table: Table::Holding,
        address,
        count,
    }
}

fn write(address: u16, value: u16) -> Request {
    Request::Write {
        address,
        values: vec![value],
    }
}
