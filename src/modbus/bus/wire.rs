//! The bytes below `tokio-modbus`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than this unread before a request is no late answer but a babbling line.
const MOST_DISCARDED: usize = 4096;

/// A stream on which an answer always belongs to the last request: what lies unread when a request
/// is written came too late for an earlier one, and is thrown away.
///
/// RTU frames carry no number: without this a device that answers too late once would be taken,
/// for ever, to answer each request with the values of the one before.
#[derive(Debug)]
pub(super) struct Wire<S>(pub(super) S);

impl<S: AsyncRead + Unpin> Wire<S> {
    fn discard(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut bytes = [0; 256];
        let mut discarded = 0;
        loop {
            let mut unread = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.0).poll_read(cx, &mut unread) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            discarded += unread.filled().len();
            if unread.filled().is_empty() {
                return Err(closed());
            }
            if discarded > MOST_DISCARDED {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the line never falls silent",
                ));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        // `tokio-modbus` would report the end of the stream as whatever error was the last.
        Poll::Ready(if buf.filled().len() == before {
            Err(closed())
        } else {
            Ok(())
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.discard(cx)?;
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    /// Does nothing: neither stream keeps bytes back, and on a serial port this would block the
    /// thread until the last bit is sent.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the device closed the connection",
    )
}
