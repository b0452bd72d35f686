//! A WebSocket on a connection that has passed the upgrade.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// Read at once from the connection, and held by each: the library would take 128 KiB. OCPP frames
/// are small; a larger one gets room of its own while it arrives.
const READ_BUFFER: usize = 2 * 1024;
/// What may wait to be written: only a peer that does not read ever lets it grow.
const WRITE_BUFFER: usize = 1024 * 1024;

/// Either side of a WebSocket. Answers pings by itself, as long as it is asked to read.
pub struct WebSocket<S> {
    stream: WebSocketStream<S>,
    unsent: bool,
}

/// What happens on a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything that was queued has left.
    Sent,
    /// A text message; also a binary one that is UTF-8.
    Text(String),
    /// A binary message that is no text; its length.
    Binary(usize),
    /// A ping; the pong is queued.
    Ping,
    /// A pong.
    Pong,
    /// It is over.
    Ended(End),
}

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer said goodbye, with this code.
    Closed(Option<u16>),
    /// The connection broke or was dropped without a goodbye.
    Lost(io::ErrorKind),
    /// A message was longer than allowed.
    TooLarge,
    /// A text message was no UTF-8.
    NotText,
    /// The peer broke the WebSocket protocol.
    Protocol,
}

impl End {
    /// The close code that tells the peer, where there is still somebody to tell.
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Closed(_) | Self::Lost(_) => None,
            Self::TooLarge => Some(1009),
            Self::NotText => Some(1007),
            Self::Protocol => Some(1002),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Some(code)) => write!(f, "closed by the peer, code {code}"),
            Self::Closed(None) => f.write_str("closed by the peer"),
            Self::Lost(io::ErrorKind::UnexpectedEof) => {
                f.write_str("connection dropped without a close frame")
            }
            Self::Lost(kind) => write!(f, "connection lost: {kind}"),
            Self::TooLarge => f.write_str("message larger than allowed"),
            Self::NotText => f.write_str("text message is not UTF-8"),
            Self::Protocol => f.write_str("WebSocket protocol broken"),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Takes the server's side over after the upgrade; `early` is what was read beyond the head.
    pub async fn server(stream: S, early: Vec<u8>, max_message_size: usize) -> Self {
        Self::new(stream, early, max_message_size, Role::Server).await
    }

    /// Takes the client's side over after the upgrade; `early` is what was read beyond the head.
    pub async fn client(stream: S, early: Vec<u8>, max_message_size: usize) -> Self {
        Self::new(stream, early, max_message_size, Role::Client).await
    }

    async fn new(stream: S, early: Vec<u8>, max_message_size: usize, role: Role) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(
                WRITE_BUFFER
                    .max(max_message_size)
                    .saturating_add(READ_BUFFER),
            )
            .max_message_size(Some(max_message_size))
            .max_frame_size(Some(max_message_size));
        let stream = WebSocketStream::from_partially_read(stream, early, role, Some(config)).await;
        Self {
            stream,
            unsent: false,
        }
    }

    /// Is something queued that has not left yet?
    pub const fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Queues a text message. It leaves while [`next`](Self::next) is awaited.
    ///
    /// # Errors
    /// When the WebSocket is over.
    pub fn queue_text(&mut self, text: String) -> Result<(), End> {
        self.queue(Message::text(text))
    }

    /// Queues a ping.
    ///
    /// # Errors
    /// When the WebSocket is over.
    pub fn queue_ping(&mut self) -> Result<(), End> {
        self.queue(Message::Ping(Bytes::new()))
    }

    fn queue(&mut self, message: Message) -> Result<(), End> {
        self.unsent = true;
        Pin::new(&mut self.stream)
            .start_send(message)
            .map_err(|error| end(&error))
    }

    /// Writes what is queued, reads if `read`, and waits for the first thing that happens.
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self, read: bool) -> Event {
        poll_fn(|cx| self.poll(cx, read)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Event> {
        if self.unsent
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.unsent = false;
            return Poll::Ready(
                flushed.map_or_else(|error| Event::Ended(end(&error)), |()| Event::Sent),
            );
        }
        if !read {
            return Poll::Pending;
        }
        let event = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
            Some(Ok(Message::Text(text))) => Event::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => match std::str::from_utf8(&bytes) {
                Ok(text) => Event::Text(text.to_owned()),
                Err(_) => Event::Binary(bytes.len()),
            },
            Some(Ok(Message::Ping(_))) => {
                self.unsent = true;
                Event::Ping
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Event::Pong,
            Some(Ok(Message::Close(frame))) => {
                Event::Ended(End::Closed(frame.map(|frame| frame.code.into())))
            }
            Some(Err(error)) => Event::Ended(end(&error)),
            None => Event::Ended(End::Lost(io::ErrorKind::UnexpectedEof)),
        };
        Poll::Ready(event)
    }

    /// Says goodbye, with a code if the peer has not said it first, and waits until the peer has
    /// gone, too: else what it was sent might never reach it. The caller bounds the time.
    pub async fn close(mut self, goodbye: Option<(u16, &'static str)>) {
        if let Some((code, reason)) = goodbye {
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            // It fails if the peer is gone already; then there is nobody to tell.
            let _ = self.stream.close(Some(frame)).await;
        }
        while !matches!(self.next(true).await, Event::Ended(_)) {}
        // The answer to the peer's own close frame.
        let _ = poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx)).await;
        drain(self.stream.get_mut()).await;
    }
}

/// Ends our side and reads on until the peer has ended its own.
///
/// Closing with unread bytes would reset the connection, and the peer would lose our last words.
pub async fn drain<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    if stream.shutdown().await.is_ok() {
        let mut waste = [0; 512];
        while let Ok(1..) = stream.read(&mut waste).await {}
    }
}

fn end(error: &Error) -> End {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            End::Lost(io::ErrorKind::UnexpectedEof)
        }
        Error::Io(error) => End::Lost(error.kind()),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => End::TooLarge,
        Error::Utf8(_) => End::NotText,
        _ => End::Protocol,
    }
}
