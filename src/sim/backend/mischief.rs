//! Bad habits that need no charge point to ask for them.

use std::time::Duration;

use super::{Backend, BackendPlan, BackendQuirk, wire};
use crate::clock::{Mono, Now};
use crate::ids::LinkId;

/// The age at which [`BackendQuirk::ClosesEachMinute`] closes a connection.
const MINUTE: Duration = Duration::from_mins(1);

/// [`BackendQuirk::Floods`] sends in bursts.
const BURST_EACH: Duration = Duration::from_millis(100);
const BURST: usize = 5;

/// How often [`BackendQuirk::SendsGarbage`] does.
const GARBAGE_EACH: Duration = Duration::from_secs(1);

/// Begins the message ids of a flood, whose answers nobody looks at.
pub(super) const FLOOD: &str = "flood-";

/// The message id of a CALL in the garbage that ends too early; whoever can read it may answer.
pub(super) const CUT_OFF: &str = "cut-off";

/// No message, or one that makes no sense; one after the other.
const GARBAGE: [&str; 12] = [
    "",
    "hello",
    "{}",
    "[]",
    "null",
    "[2]",
    r#"[2,"cut-off","Reset",{"type":"#,
    r#"[3,"nobody-asked",{}]"#,
    r#"[4,"nobody-asked","FormatViolation","",{}]"#,
    r#"[5,"another-version",{}]"#,
    r#"[3,{"an":"object"},[]]"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// What is due on one link.
#[derive(Debug)]
pub(super) struct Mischief {
    since: Mono,
    flood_at: Mono,
    garbage_at: Mono,
    garbage: usize,
}

impl Mischief {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            since: now,
            flood_at: now + BURST_EACH,
            garbage_at: now + GARBAGE_EACH,
            garbage: 0,
        }
    }

    /// When something is to be done.
    pub(super) fn due(&self, plan: &BackendPlan) -> impl Iterator<Item = Mono> {
        let times = [
            (BackendQuirk::ClosesEachMinute, self.since + MINUTE),
            (BackendQuirk::Floods, self.flood_at),
            (BackendQuirk::SendsGarbage, self.garbage_at),
        ];
        let wanted = times.map(|(quirk, at)| plan.has(quirk).then_some(at));
        wanted.into_iter().flatten()
    }
}

impl Backend {
    pub(super) fn make_mischief(&mut self, now: Now, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let mischief = &mut link.mischief;
        let floods = self.plan.has(BackendQuirk::Floods) && mischief.flood_at <= now.mono;
        if floods {
            mischief.flood_at = now.mono + BURST_EACH;
        }
        let garbage = self.plan.has(BackendQuirk::SendsGarbage) && mischief.garbage_at <= now.mono;
        let kind = mischief.garbage;
        if garbage {
            mischief.garbage_at = now.mono + GARBAGE_EACH;
            mischief.garbage += 1;
        }
        let closes =
            self.plan.has(BackendQuirk::ClosesEachMinute) && mischief.since + MINUTE <= now.mono;
        let client_id = link.client_id.clone();
        if floods {
            for _ in 0..BURST {
                let message_id = format!("{FLOOD}{:016x}", self.random.next_u64());
                self.send(id, wire::call(&message_id, "GetConfiguration", "{}"));
            }
        }
        if garbage && let Some(text) = GARBAGE.get(kind % GARBAGE.len()) {
            self.send(id, (*text).to_owned());
        }
        if closes {
            self.hang_up(now, &client_id);
        }
    }
}
