//! Registers of the Eastron SDM630.

use super::map::{Reading, float, watt_hours};
use crate::sim::image::Image;

/// Everything up to here can be read, used or not.
const REGISTERS: usize = 0x182;

/// Currents and apparent powers carry no sign: the direction is in the power.
pub(super) fn image(reading: &Reading, is_number: bool) -> Image {
    let mut image = Image::zeros(0, REGISTERS);
    let volts = reading.volts();
    let import = watt_hours(reading.imported) / 1000.0;
    let export = watt_hours(reading.exported) / 1000.0;
    let absolute = reading.amps().map(f64::abs);
    let rows = [
        (0x00, [volts; 3]),
        (0x06, absolute),
        (0x0C, reading.watts()),
        (0x12, absolute.map(|amps| amps * volts)),
        (0x46, [50.0, import, export]),
    ];
    for (address, values) in rows {
        image.put(
            address,
            values.map(|value| float(value, is_number)).concat(),
        );
    }
    image.put(0x34, float(reading.total_watts(), is_number));
    image.put(0x156, float(import + export, is_number));
    image
}
