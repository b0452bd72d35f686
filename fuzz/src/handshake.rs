//! HTTP heads: the request of a wallbox, and the answer of a backend.

use std::collections::BTreeMap;

use chargewarden::ids::ChargeBoxId;
use chargewarden::net::client::{self, Answer, Key};
use chargewarden::net::directory::{Directory, Password};
use chargewarden::net::handshake::{Progress, Verdict, judge, read_head};
use chargewarden::net::http::{MAX_HEAD, Request, Response};

/// A head ends where it ends, and whatever is in it, the answer is one answer of HTTP.
pub fn handshake(bytes: &[u8]) {
    let length = match read_head(bytes) {
        Progress::Complete(length) => length,
        Progress::Incomplete => return assert!(bytes.len() < MAX_HEAD),
        Progress::TooLarge => return assert!(bytes.len() >= MAX_HEAD),
    };
    assert!(length <= MAX_HEAD);
    let head = &bytes[..length];
    assert_eq!(read_head(head), Progress::Complete(length));
    assert_eq!(read_head(&bytes[..length - 1]), Progress::Incomplete);

    let mut directory = Directory {
        known: BTreeMap::from([
            (ChargeBoxId::from("CB-1"), None),
            (ChargeBoxId::from("Säule 2"), None),
            (ChargeBoxId::from("locked"), Some(Password::new("right"))),
        ]),
        certificate_names_id: true,
        ..Directory::default()
    };
    let names = ["cb-1".to_owned()];
    request(head, &directory, None);
    request(head, &directory, Some(&names));
    directory.accept_unknown = true;
    request(head, &directory, None);
    answer(head);
}

fn request(head: &[u8], directory: &Directory, names: Option<&[String]>) {
    let (response, statuses) = match judge(head, directory, names) {
        Verdict::Accept {
            address,
            unknown,
            response,
            ..
        } => {
            assert_eq!(directory.known.contains_key(&address), !unknown);
            assert!(!unknown || directory.accept_unknown);
            assert!(!address.as_str().chars().any(char::is_control));
            assert!(names.is_none() || address.as_str() == "CB-1");
            let has_password =
                Request::parse(head).is_some_and(|it| it.headers.first("Authorization").is_some());
            assert!(has_password || address.as_str() != "locked");
            (response, 101..102)
        }
        Verdict::AcceptThenClose { response, .. } => (response, 101..102),
        Verdict::Refuse { response, why } => {
            assert!(!why.to_string().chars().any(char::is_control), "{why:?}");
            (response, 400..506)
        }
    };
    assert_eq!(read_head(&response).end(), response.len() - body(&response));
    let said = Response::parse(&response).expect("what is answered is HTTP");
    assert!(statuses.contains(&said.status));
    let protocols: Vec<_> = said.headers.list("Sec-WebSocket-Protocol").collect();
    let is_ours = |it: &[u8]| {
        [&b"ocpp1.6"[..], b"ocpp1.6j", b"ocpp16"]
            .iter()
            .any(|ours| it.eq_ignore_ascii_case(ours))
    };
    assert!(protocols.len() <= 1 && protocols.into_iter().all(is_ours));
    // Nothing that the wallbox says can begin a line of its own.
    let lines = response.split(|byte| *byte == b'\n').count();
    assert!(lines <= 9, "{}", response.escape_ascii());
}

/// What follows the head, as the header says.
fn body(response: &[u8]) -> usize {
    let said = Response::parse(response).expect("what is answered is HTTP");
    let length = said.headers.first("Content-Length").unwrap_or(b"0");
    std::str::from_utf8(length).unwrap().parse().unwrap()
}

/// Without the proof that the server has read our request there is no WebSocket.
fn answer(head: &[u8]) {
    const PROOF: &[u8] = b"CdXSYUsvsaMthlEXWDNURGWA/1o=";
    if let Answer::Upgraded(_) = client::judge(head, &Key::new([7; 16])) {
        assert!(head.windows(PROOF.len()).any(|part| part == PROOF));
    }
}

trait End {
    fn end(self) -> usize;
}

impl End for Progress {
    fn end(self) -> usize {
        match self {
            Self::Complete(length) => length,
            Self::Incomplete | Self::TooLarge => panic!("the answer has no end"),
        }
    }
}
