//! Presented cards: the device shows the last one and counts.

use std::time::Duration;

use crate::clock::Mono;
use crate::ids::IdTag;

/// The length of an id tag (OCPP 1.6 `IdToken`).
pub(super) const LONGEST_TAG: usize = 20;

/// A card that is held to the reader is read more than once.
const HELD: Duration = Duration::from_secs(3);

/// Knows a card that is presented from one that was there before.
#[derive(Debug, Default)]
pub(super) struct CardReader {
    count: Option<u16>,
    last: Option<(IdTag, Mono)>,
}

impl CardReader {
    /// What was presented while nobody looked does not count.
    pub(super) fn look_away(&mut self) {
        self.count = None;
    }

    /// The card, if the counter rose. It wraps at 16 bits; one that falls belongs to a device that
    /// was restarted.
    pub(super) fn see(&mut self, now: Mono, text: &str, count: u16) -> Option<IdTag> {
        let before = self.count.replace(count)?;
        let rose = (1..=u16::MAX / 2).contains(&count.wrapping_sub(before));
        if !rose || text.is_empty() {
            return None;
        }
        let text: String = text.chars().take(LONGEST_TAG).collect();
        let tag = IdTag::from(text.as_str());
        let held = self
            .last
            .as_ref()
            .is_some_and(|(last, at)| *last == tag && now.since(*at) < HELD);
        self.last = Some((tag.clone(), now));
        (!held).then_some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn watching(count: u16) -> CardReader {
        let mut reader = CardReader::default();
        assert_eq!(reader.see(at(0), "OLD", count), None);
        reader
    }

    #[test]
    fn a_card_that_was_there_before_is_not_presented() {
        let mut reader = watching(7);
        assert_eq!(reader.see(at(1), "OLD", 7), None);
        reader.look_away();
        assert_eq!(reader.see(at(9), "NEW", 8), None);
        assert_eq!(reader.see(at(10), "NEW", 9), Some("NEW".into()));
    }

    #[test]
    fn the_same_card_again_is_known_by_the_counter_also_where_it_wraps() {
        let mut reader = watching(65_534);
        assert_eq!(reader.see(at(10), "04A2", 65_535), Some("04A2".into()));
        assert_eq!(reader.see(at(20), "04A2", 65_535), None);
        assert_eq!(reader.see(at(30), "04a2", 0), Some("04A2".into()));
    }

    #[test]
    fn a_counter_that_falls_is_a_restart_and_no_card() {
        let mut reader = watching(7);
        assert_eq!(reader.see(at(10), "OLD", 0), None);
        assert_eq!(reader.see(at(11), "", 1), None, "nor is an empty text");
        assert_eq!(reader.see(at(20), "NEW", 2), Some("NEW".into()));
    }

    #[test]
    fn a_card_held_to_the_reader_counts_once() {
        let mut reader = watching(7);
        let seen: Vec<_> = (8..=12)
            .filter_map(|n| reader.see(at(10 + u64::from(n)), "04A2", n))
            .collect();
        assert_eq!(seen.len(), 1);
        assert_eq!(reader.see(at(30), "04A2", 13), Some("04A2".into()));
    }

    #[test]
    fn a_text_that_is_too_long_for_an_id_tag_is_cut() {
        let mut reader = watching(7);
        let tag = reader.see(at(10), "0123456789ABCDEF0123456789ABCD", 8);
        assert_eq!(tag, Some("0123456789ABCDEF0123".into()));
    }
}
