//! One open socket or serial port.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::client::{Client as _, Context, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};
use tokio_modbus::{Error, Request as Frame, Response};
use tokio_serial::{DataBits, SerialPortBuilderExt as _, SerialStream, StopBits};

use super::wire::Wire;
use crate::modbus::{Address, Parity, Request, Table};

const CONNECT: Duration = Duration::from_secs(3);

/// How long a device behind a socket may take, and the most on a serial line.
const ANSWER: Duration = Duration::from_secs(1);

/// How long a device on a serial line may think; the time of the bits is added.
const THINK: Duration = Duration::from_millis(250);
const LEAST_ANSWER: Duration = Duration::from_millis(300);

/// Frames on a serial line are told apart by silence: 3.5 characters, and what adapters need.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// So long must a newly opened serial line be silent before it is used.
const SILENCE: Duration = Duration::from_millis(50);
const LONGEST_DRAIN: Duration = Duration::from_secs(1);

/// A connection that must be dropped, and why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Nothing came in time.
    #[error("the device does not answer")]
    Silent,
    /// It is gone.
    #[error("{}", plain(.0))]
    Closed(io::Error),
    /// What came is no answer to what was asked.
    #[error("{0}")]
    Garbled(String),
}

/// One open socket or serial port, with nothing outstanding.
pub(super) struct Connection {
    modbus: Context,
    /// Bits per second of a serial line.
    baud: Option<u32>,
    /// When the last byte may have passed.
    used: Instant,
    /// Something was answered on it.
    pub(super) proven: bool,
}

impl Connection {
    pub(super) async fn open(address: &Address) -> io::Result<Self> {
        let (modbus, baud) = match address {
            Address::Tcp { host, port } => (open_tcp(host, *port).await?, None),
            Address::Serial { baud, .. } => (open_serial(address).await?, Some(*baud)),
        };
        Ok(Self {
            modbus,
            baud,
            used: Instant::now(),
            proven: false,
        })
    }

    /// Asks and waits for the answer: registers, none after a write, or an exception code.
    pub(super) async fn call(
        &mut self,
        unit: u8,
        request: &Request,
    ) -> Result<Result<Vec<u16>, u8>, Broken> {
        if let Some(baud) = self.baud {
            sleep_until(self.used + LEAST_PAUSE.max(time_of(4, baud))).await;
        }
        self.modbus.set_slave(Slave(unit));
        let asked = self.modbus.call(frame(request));
        let came = timeout(longest_answer(self.baud, request), asked).await;
        self.used = Instant::now();
        let answer = match came {
            Err(_) => return Err(Broken::Silent),
            Ok(Err(Error::Transport(error))) if error.kind() != io::ErrorKind::InvalidData => {
                return Err(Broken::Closed(error));
            }
            Ok(Err(error)) => return Err(Broken::Garbled(error.to_string())),
            Ok(Ok(Err(exception))) => Err(exception.into()),
            Ok(Ok(Ok(response))) => Ok(registers(request, response)?),
        };
        self.proven = true;
        Ok(answer)
    }
}

async fn open_tcp(host: &str, port: u16) -> io::Result<Context> {
    let socket = timeout(CONNECT, TcpStream::connect((host, port)))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "nobody answers there"))??;
    socket.set_nodelay(true)?;
    Ok(tcp::attach(Wire(socket)))
}

async fn open_serial(address: &Address) -> io::Result<Context> {
    let mut port = open_serial_port(address)?;
    drain(&mut port).await?;
    Ok(rtu::attach(Wire(port)))
}

/// Opens a serial line as its address says.
///
/// # Errors
/// If the system does not let it, or the address is that of no serial line.
pub fn open_serial_port(address: &Address) -> io::Result<SerialStream> {
    let Address::Serial {
        device,
        baud,
        data_bits,
        parity,
        stop_bits,
    } = address
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let port = tokio_serial::new(device, *baud)
        .data_bits(match data_bits {
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        })
        .parity(match parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(match stop_bits {
            2 => StopBits::Two,
            _ => StopBits::One,
        })
        .open_native_async()?;
    Ok(port)
}

/// The error without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_owned()
}

/// Waits until the line is silent: somebody may still be answering what was asked before.
async fn drain(port: &mut SerialStream) -> io::Result<()> {
    let mut bytes = [0; 256];
    let silent = async {
        while let Ok(read) = timeout(SILENCE, port.read(&mut bytes)).await {
            read?;
        }
        Ok(())
    };
    timeout(LONGEST_DRAIN, silent).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the line never falls silent",
        ))
    })
}

fn frame(request: &Request) -> Frame<'_> {
    match request {
        Request::Read {
            table: Table::Input,
            address,
            count,
        } => Frame::ReadInputRegisters(*address, *count),
        Request::Read {
            table: Table::Holding,
            address,
            count,
        } => Frame::ReadHoldingRegisters(*address, *count),
        Request::Write { address, values } => match values.as_slice() {
            [value] => Frame::WriteSingleRegister(*address, *value),
            values => Frame::WriteMultipleRegisters(*address, values.into()),
        },
    }
}

/// What was asked for and nothing else: a frame may be well-formed and still answer another
/// question.
fn registers(request: &Request, response: Response) -> Result<Vec<u16>, Broken> {
    match (request, response) {
        (
            Request::Read { count, .. },
            Response::ReadInputRegisters(words) | Response::ReadHoldingRegisters(words),
        ) if words.len() == usize::from(*count) => Ok(words),
        (Request::Write { address, values }, Response::WriteSingleRegister(at, value))
            if at == *address && values.as_slice() == [value] =>
        {
            Ok(Vec::new())
        }
        (Request::Write { address, values }, Response::WriteMultipleRegisters(at, count))
            if at == *address && values.len() == usize::from(count) =>
        {
            Ok(Vec::new())
        }
        (_, response) => Err(Broken::Garbled(format!(
            "it answers something else: {response:?}"
        ))),
    }
}

fn longest_answer(baud: Option<u32>, request: &Request) -> Duration {
    let characters = match request {
        Request::Read { count, .. } => 8 + 5 + 2 * u32::from(*count),
        Request::Write { values, .. } => 9 + 8 + 2 * u32::try_from(values.len()).unwrap_or(123),
    };
    baud.map_or(ANSWER, |baud| {
        (THINK + time_of(characters, baud)).clamp(LEAST_ANSWER, ANSWER)
    })
}

/// How long characters (of 11 bits) take on a serial line.
fn time_of(characters: u32, baud: u32) -> Duration {
    Duration::from_secs(11) * characters / baud.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(count: u16) -> Request {
        Request::Read {
            table: Table::Input,
            address: 0,
            count,
        }
    }

    #[test]
    fn a_slow_line_has_longer_to_answer_and_none_longer_than_a_second() {
        assert_eq!(longest_answer(None, &read(1)), Duration::from_secs(1));
        let millis = |baud, count| longest_answer(Some(baud), &read(count)).as_millis();
        assert_eq!(millis(115_200, 2), 300);
        assert_eq!(millis(9600, 18), 306);
        assert_eq!(millis(9600, 125), 551);
        assert_eq!(millis(1200, 125), 1000);
    }

    #[test]
    fn a_well_formed_answer_to_another_question_is_none() {
        let write = Request::Write {
            address: 8093,
            values: vec![100],
        };
        let words = |count| Response::ReadInputRegisters(vec![0; count]);
        assert!(registers(&read(2), words(2)).is_ok());
        assert!(registers(&read(2), words(3)).is_err());
        assert!(registers(&write, Response::WriteSingleRegister(8093, 100)).is_ok());
        assert!(registers(&write, Response::WriteSingleRegister(8093, 60)).is_err());
        assert!(registers(&write, Response::WriteSingleRegister(8094, 100)).is_err());
        assert!(registers(&write, words(2)).is_err());
    }
}
