//! What a fuse remembers of an overload: it gets warm with the square of the current and cools in
//! minutes. A fuse that is warmer than its rated current would make it gets that much less.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::MilliAmps;

/// How fast it warms and cools.
const TAU: Duration = Duration::from_mins(5);

/// What the rated current leads to in the end.
const RATED: i64 = 1_000_000_000;

/// It counts as cool again below this ...
const COOL: i64 = RATED / 100 * 97;

/// ... and not sooner than after this.
const AT_LEAST: Duration = Duration::from_mins(1);

/// One phase of a circuit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heat {
    theta: i64,
    measured: Option<Mono>,
    hot: Option<Hot>,
}

#[derive(Debug, Clone, Copy)]
struct Hot {
    since: Mono,
    /// The largest overload since.
    over: MilliAmps,
}

impl Heat {
    /// Takes a current, in whatever direction it flows.
    pub(super) fn measure(&mut self, now: Mono, current: MilliAmps, rated: MilliAmps) {
        let current = current.max(-current);
        let span = self.measured.map_or(Duration::ZERO, |at| now.since(at));
        self.measured = Some(now);
        self.theta = after(self.theta, square_of_ratio(current, rated), span.min(TAU));
        let over = (current - rated).max(MilliAmps::ZERO);
        match &mut self.hot {
            None if self.theta > RATED => self.hot = Some(Hot { since: now, over }),
            None => {}
            Some(hot) if self.theta < COOL && now.since(hot.since) >= AT_LEAST => self.hot = None,
            Some(hot) => hot.over = hot.over.max(over),
        }
    }

    /// By how much less it may be loaded.
    pub(super) fn reduction(&self) -> MilliAmps {
        self.hot.map_or(MilliAmps::ZERO, |hot| hot.over)
    }
}

/// A step of `theta' = ((I/In)² − theta) / tau`.
fn after(theta: i64, target: i64, span: Duration) -> i64 {
    let millis = |span: Duration| i128::try_from(span.as_millis()).unwrap_or(0);
    let change = i128::from(target - theta) * millis(span) / millis(TAU);
    theta + i64::try_from(change).unwrap_or(0)
}

fn square_of_ratio(current: MilliAmps, rated: MilliAmps) -> i64 {
    let square = |amps: MilliAmps| i128::from(amps.0) * i128::from(amps.0);
    let ratio = square(current) * i128::from(RATED) / square(rated).max(1);
    i64::try_from(ratio)
        .unwrap_or(i64::MAX / 2)
        .min(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATED: MilliAmps = MilliAmps::from_amps(63);

    /// So many seconds of a current; when it became hot or cool.
    fn run(heat: &mut Heat, seconds: std::ops::Range<u64>, amps: i32) -> Option<u64> {
        let before = heat.reduction();
        let mut changed = None;
        for seconds in seconds {
            let now = Mono(Duration::from_secs(seconds));
            heat.measure(now, MilliAmps::from_amps(amps), RATED);
            if heat.reduction() != before {
                changed.get_or_insert(seconds);
            }
        }
        changed
    }

    #[test]
    fn the_rated_current_never_makes_it_hot() {
        let mut heat = Heat::default();
        assert_eq!(run(&mut heat, 0..7200, 63), None);
        assert_eq!(heat.reduction(), MilliAmps::ZERO);
    }

    #[test]
    fn a_third_more_makes_a_warm_fuse_hot_in_a_minute_and_a_cold_one_in_four() {
        let mut cold = Heat::default();
        let hot = run(&mut cold, 0..600, 84).unwrap();
        assert!(
            (240..=255).contains(&hot),
            "300 s * ln(1.78 / 0.78) = {hot}"
        );
        assert_eq!(cold.reduction(), MilliAmps::from_amps(21));
        let mut warm = Heat::default();
        run(&mut warm, 0..1800, 58);
        let hot = run(&mut warm, 1800..2400, 84).unwrap() - 1800;
        assert!((45..=75).contains(&hot), "{hot}");
    }

    #[test]
    fn it_is_cool_again_below_97_percent_and_not_before_a_minute_is_over() {
        let mut heat = Heat::default();
        let hot = run(&mut heat, 0..250, 84).unwrap();
        let cool = run(&mut heat, 250..600, 0).unwrap();
        assert_eq!(cool, hot + 60);
        run(&mut heat, 600..1600, 84);
        let cool = run(&mut heat, 1600..3000, 60).unwrap();
        // From 1.71 to 0.97, on the way to 0.907.
        assert!((740..=790).contains(&(cool - 1600)), "{}", cool - 1600);
    }

    #[test]
    fn feeding_in_warms_it_too_and_absurd_values_do_no_harm() {
        let mut heat = Heat::default();
        assert!(run(&mut heat, 0..600, -84).is_some());
        for (millis, amps) in (0..1000).zip([i32::MIN, i32::MAX, 0].into_iter().cycle()) {
            let now = Mono(Duration::from_millis(millis));
            heat.measure(now, MilliAmps(amps), MilliAmps(amps));
            heat.measure(now, MilliAmps(amps), MilliAmps::ZERO);
        }
    }
}
