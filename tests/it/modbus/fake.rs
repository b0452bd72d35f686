//! The other end of a line, one frame at a time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_serial::{SerialPort as _, SerialStream};

use chargewarden::modbus::Address;

const PATIENCE: Duration = Duration::from_secs(10);

/// What arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    transaction: u16,
    pub(super) unit: u8,
    pub(super) pdu: Vec<u8>,
}

/// A Modbus TCP server with one connection at a time.
pub(super) struct Server(TcpListener);

impl Server {
    pub(super) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn address(&self) -> Address {
        Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.0.local_addr().unwrap().port(),
        }
    }

    /// The next connection, whenever it comes.
    pub(super) async fn accept_patiently(&self) -> Socket {
        Socket(self.0.accept().await.unwrap().0)
    }

    pub(super) async fn accept(&self) -> Socket {
        let accepted = timeout(PATIENCE, self.0.accept()).await;
        Socket(accepted.expect("a connection").unwrap().0)
    }
}

pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) async fn asked(&mut self) -> Asked {
        timeout(PATIENCE, self.next())
            .await
            .expect("a request")
            .unwrap()
    }

    /// `None` when the other side is gone.
    pub(super) async fn next(&mut self) -> Option<Asked> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await.ok()?;
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
        self.0.read_exact(&mut pdu).await.ok()?;
        Some(Asked {
            transaction: u16::from_be_bytes([head[0], head[1]]),
            unit: head[6],
            pdu,
        })
    }

    pub(super) async fn answer(&mut self, asked: &Asked, pdu: &[u8]) {
        self.raw(&frame(asked, pdu)).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        // The other side may have hung up.
        let _ = self.0.write_all(bytes).await;
    }
}

pub(super) fn frame(asked: &Asked, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap();
    let mut frame = asked.transaction.to_be_bytes().to_vec();
    frame.extend([0, 0]);
    frame.extend(length.to_be_bytes());
    frame.push(asked.unit);
    frame.extend(pdu);
    frame
}

/// The answer to a read of holding registers.
pub(super) fn registers(words: &[u16]) -> Vec<u8> {
    let mut pdu = vec![3, u8::try_from(words.len() * 2).unwrap()];
    pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    pdu
}

/// The far end of a serial line that is a pseudo terminal. The near end is opened by its name.
pub(super) struct Serial {
    far: SerialStream,
    name: String,
}

impl Serial {
    pub(super) fn new() -> Self {
        let (far, near) = SerialStream::pair().unwrap();
        let name = near.name().unwrap();
        Self { far, name }
    }

    pub(super) fn address(&self) -> Address {
        Address::parse(&format!("{},9600,8,n,1", self.name)).unwrap()
    }

    /// A request of eight bytes, which reads and single writes are.
    pub(super) async fn asked(&mut self) -> Asked {
        let frame = timeout(PATIENCE, self.eight()).await.expect("a request");
        assert_eq!(crc(&frame[..6]), frame[6..], "{frame:02x?}");
        Asked {
            transaction: 0,
            unit: frame[0],
            pdu: frame[1..6].to_vec(),
        }
    }

    async fn eight(&mut self) -> [u8; 8] {
        let mut frame = [0; 8];
        // A pseudo terminal whose other end nobody has open reads as an error.
        while self.far.read_exact(&mut frame).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        frame
    }

    pub(super) async fn answer(&mut self, unit: u8, pdu: &[u8]) {
        let mut frame = [&[unit], pdu].concat();
        frame.extend(crc(&frame));
        self.raw(&frame).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        // Nobody may listen.
        let _ = self.far.write_all(bytes).await;
    }
}

fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xA001
            } else {
                crc >> 1
            };
        }
    }
    crc.to_le_bytes()
}
