//! A file over HTTP.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, split};

use super::connect::{DialError, Step, broken, open, within};
use super::receiver::Receiver;
use super::tls::TlsClient;
use super::upgrade::Misfit;
use crate::net::handshake::for_people;
use crate::net::http::{Progress, Response, read_head};

/// All steps with both methods may take this many times as long as one step.
const STEPS: u32 = 6;

/// Sending and waiting for the answer may take this many times as long as another step.
const EXCHANGE: u32 = 3;

/// Uploads this text with PUT, and with POST where the server knows no PUT. `patience` is for each
/// step, and all of it takes six times that at most. Returns the SHA-256 of the server's
/// certificate.
///
/// Redirects are not followed: whoever names the place would need only a redirect to have us send
/// to one that the log does not show.
///
/// # Errors
/// When the server does not say that it has it.
pub async fn upload(
    to: &Receiver,
    tls: &TlsClient,
    text: &str,
    patience: Duration,
) -> Result<Option<String>, DialError> {
    let attempts = async {
        match exchange(to, tls, "PUT", text, patience).await {
            Err(DialError::Refused {
                status: 405 | 501, ..
            }) => exchange(to, tls, "POST", text, patience).await,
            other => other,
        }
    };
    within(patience * STEPS, Step::Upload, attempts).await
}

async fn exchange(
    to: &Receiver,
    tls: &TlsClient,
    method: &str,
    text: &str,
    patience: Duration,
) -> Result<Option<String>, DialError> {
    let tls = to.tls().then_some(tls);
    let (transport, fingerprint) = open(to.host(), to.port(), tls, patience).await?;
    let (mut incoming, mut outgoing) = split(transport);
    let send = async {
        let head = to.request(method, text.len());
        outgoing.write_all(head.as_bytes()).await?;
        outgoing.write_all(text.as_bytes()).await?;
        outgoing.flush().await
    };
    let exchange = async {
        let mut answer = pin!(answer(&mut incoming));
        // Who does not want it may say so before it has read it, and stop reading.
        tokio::select! {
            answer = &mut answer => answer,
            _ = send => answer.await,
        }
    };
    within(patience * EXCHANGE, Step::Upload, exchange).await?;
    Ok(fingerprint)
}

/// Reads the head of the final answer; what follows does not matter.
async fn answer(incoming: &mut (impl AsyncRead + Unpin)) -> Result<(), DialError> {
    let mut head = Vec::with_capacity(1024);
    loop {
        match read_head(&head) {
            Progress::Incomplete => {}
            Progress::TooLarge => return Err(DialError::Misfit(Misfit::TooLarge)),
            Progress::Complete(length) => {
                let rest = head.split_off(length);
                let Some(response) = Response::parse(&head) else {
                    return Err(DialError::Misfit(Misfit::NotHttp));
                };
                match response.status {
                    // Another one follows.
                    100..=199 => {}
                    200..=299 => return Ok(()),
                    status => {
                        let reason = for_people(&String::from_utf8_lossy(response.reason));
                        return Err(DialError::Refused { status, reason });
                    }
                }
                head = rest;
                continue;
            }
        }
        if incoming.read_buf(&mut head).await.map_err(broken)? == 0 {
            let nothing = head.is_empty();
            let why = if nothing {
                Misfit::Nothing
            } else {
                Misfit::NotHttp
            };
            return Err(DialError::Misfit(why));
        }
    }
}
