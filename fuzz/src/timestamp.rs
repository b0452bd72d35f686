//! Points in time.

use chargewarden::ocpp::timestamp::{format, parse_lenient};
use jiff::tz::Offset;

/// What is read as a time is written in the one form that everybody reads, and is the same second.
pub fn timestamp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(time) = parse_lenient(text) else {
        return;
    };
    let written = format(time);
    assert_eq!(written.len(), "2026-01-15T10:00:00Z".len(), "{written}");
    let again = parse_lenient(&written).expect("what is written can be read");
    let meant = Offset::UTC.to_datetime(time);
    let meant = meant.with().subsec_nanosecond(0).build().unwrap();
    assert_eq!(Offset::UTC.to_datetime(again), meant, "{text}");
}
