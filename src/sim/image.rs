//! Registers as a simulated device shows them.

/// Big-endian registers of a number.
pub(super) fn words<const N: usize>(bytes: [u8; N]) -> Vec<u16> {
    bytes.chunks(2).map(word).collect()
}

/// Two ASCII characters a register, padded with NUL.
pub(super) fn text(text: &str, registers: usize) -> Vec<u16> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(2 * registers, 0);
    bytes.chunks(2).map(word).collect()
}

fn word(pair: &[u8]) -> u16 {
    pair.iter()
        .fold(0, |word, byte| (word << 8) | u16::from(*byte))
}

/// The values of neighbouring registers.
#[derive(Debug, Clone)]
pub(super) struct Image {
    first: u16,
    values: Vec<u16>,
}

impl Image {
    /// `count` zeros from register `first` on.
    pub(super) fn zeros(first: u16, count: usize) -> Self {
        Self {
            first,
            values: vec![0; count],
        }
    }

    /// Overwrites registers; what lies outside is dropped.
    pub(super) fn put(&mut self, at: u16, values: impl IntoIterator<Item = u16>) {
        let skipped = usize::from(at.saturating_sub(self.first));
        for (place, value) in self.values.iter_mut().skip(skipped).zip(values) {
            *place = value;
        }
    }

    /// `count` registers; `None` if one lies outside.
    pub(super) fn read(&self, at: u16, count: u16) -> Option<Vec<u16>> {
        let begin = usize::from(at.checked_sub(self.first)?);
        let values = self.values.get(begin..begin + usize::from(count))?;
        Some(values.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_highest_bits_first_and_texts_their_first_character() {
        assert_eq!(words(0xCF05_0000_u32.to_be_bytes()), [0xCF05, 0]);
        assert_eq!(text("fcf5", 3), [26_211, 26_165, 0]);
    }

    #[test]
    fn an_image_has_an_end_on_both_sides() {
        let mut image = Image::zeros(10, 3);
        image.put(11, [7, 8, 9]);
        assert_eq!(image.read(10, 3), Some(vec![0, 7, 8]));
        assert_eq!(image.read(9, 1), None);
        assert_eq!(image.read(12, 2), None);
    }
}
