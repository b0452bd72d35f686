//! Registers of an S0 meter of a Power Brain.

use super::map::{Reading, integer};
use crate::sim::image::{Image, words};

/// 8000 to 8071.
const REGISTERS: usize = 72;

/// Currents carry no sign and count tenths of an ampere; a power of -1 is none.
pub(super) fn image(reading: &Reading, is_number: bool) -> Image {
    let mut image = Image::zeros(8000, REGISTERS);
    image.put(8000, [0xCF05, 0, 1, 0x101, 0x0100, 7, 0x0100]);
    image.put(8057, [1]);
    image.put(8058, words(reading.imported.0.to_be_bytes()));
    let power = if is_number {
        integer(reading.total_watts())
    } else {
        -1
    };
    image.put(8062, words(power.to_be_bytes()));
    let tenths = |amps: f64| {
        let tenths = integer(amps.abs() * 10.0);
        words(if is_number { tenths } else { -1 }.to_be_bytes())
    };
    image.put(8064, reading.amps().map(tenths).concat());
    image
}
