//! Registers of a `SunSpec` meter: a list of models behind a marker at 40000.

use super::map::{Reading, float, integer, watt_hours};
use crate::sim::image::{Image, text, words};

const MARKER: u16 = 40_000;

/// The common model (who made it), with the length of its body.
const COMMON: (u16, u16) = (1, 66);

const WYE_OF_INTEGERS: (u16, u16) = (203, 105);
const WYE_OF_FLOATS: (u16, u16) = (213, 124);

const END: [u16; 2] = [0xFFFF, 0];

/// What an integer says that is not there.
const NOTHING: u16 = 0x8000;

/// The whole list with an empty meter model, and where that begins.
fn list((id, length): (u16, u16), empty: [u16; 2]) -> (Image, u16) {
    let meter = MARKER + 2 + 2 + COMMON.1;
    let end = meter + 2 + length;
    let mut image = Image::zeros(MARKER, usize::from(end + 2 - MARKER));
    image.put(MARKER, text("SunS", 2));
    image.put(MARKER + 2, [COMMON.0, COMMON.1]);
    image.put(MARKER + 4, text("chargewarden", 16));
    image.put(MARKER + 20, text("Simulated", 16));
    image.put(meter, [id, length]);
    let body = empty.into_iter().cycle().take(usize::from(length));
    image.put(meter + 2, body);
    image.put(end, END);
    (image, meter)
}

/// Model 203: currents in 0.01 A, voltages in 0.1 V, powers in 10 W.
pub(super) fn image_of_integers(reading: &Reading, is_number: bool) -> Image {
    let (mut image, meter) = list(WYE_OF_INTEGERS, [NOTHING; 2]);
    let scaled = |value: f64| {
        let value = i16::try_from(integer(value)).unwrap_or(i16::MIN);
        if is_number {
            value.cast_unsigned()
        } else {
            NOTHING
        }
    };
    let [w1, w2, w3] = reading.watts();
    image.put(meter + 3, reading.amps().map(|amps| scaled(amps * 100.0)));
    image.put(meter + 8, [scaled(reading.volts() * 10.0); 3]);
    let watts = [reading.total_watts(), w1, w2, w3];
    image.put(meter + 18, watts.map(|watts| scaled(watts / 10.0)));
    for (offset, energy) in [(38, reading.exported), (46, reading.imported)] {
        let energy = u32::try_from(energy.0).ok().filter(|_| is_number);
        image.put(meter + offset, words(energy.unwrap_or(0).to_be_bytes()));
    }
    for (offset, power_of_ten) in [(6, -2_i16), (15, -1), (22, 1), (54, 0)] {
        image.put(meter + offset, [power_of_ten.cast_unsigned()]);
    }
    image
}

/// Model 213: the same in A, V, W and Wh.
pub(super) fn image_of_floats(reading: &Reading, is_number: bool) -> Image {
    let (mut image, meter) = list(WYE_OF_FLOATS, [0x7FC0, 0]);
    let [a1, a2, a3] = reading.amps();
    let [w1, w2, w3] = reading.watts();
    let volts = reading.volts();
    let values = [
        (4, a1),
        (6, a2),
        (8, a3),
        (12, volts),
        (14, volts),
        (16, volts),
        (26, 50.0),
        (28, reading.total_watts()),
        (30, w1),
        (32, w2),
        (34, w3),
        (60, watt_hours(reading.exported)),
        (68, watt_hours(reading.imported)),
    ];
    for (offset, value) in values {
        image.put(meter + offset, float(value, is_number));
    }
    image
}
