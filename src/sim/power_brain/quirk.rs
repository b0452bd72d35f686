//! What real Power Brains do that their register table does not say.

use crate::sim::quirk::quirks;

quirks! {
    /// A deviation of a Power Brain from the usual one.
    PowerBrainQuirk:
    NoMeter = "no-meter", "Has no meter and refuses to read one.";
    EnergyZeroAfterBoot = "energy-zero-after-boot", "Its energy reads 0 for 10 seconds after a boot.";
    NoPowerWhenIdle = "no-power-when-idle", "Its power reads -1 while nothing flows.";
    FreeWhileCut = "free-while-cut", "Says that no car is there while the control pilot is cut.";
    SleepyCar = "sleepy-car", "Its cars sleep when offered nothing, until the control pilot is cut.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_found_by_its_name() {
        for quirk in PowerBrainQuirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(*quirk));
        }
    }
}
