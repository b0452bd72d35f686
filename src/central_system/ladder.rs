//! Finding out which form of charging profile a wallbox understands.
//!
//! Some wallboxes know only some purposes, kinds, stack levels or units; some accept what they do
//! not obey. Each rung of the ladder is one form. A refusal leads to the next rung at once, current
//! above the limit leads to the same form once more and then to the next rung. What works is
//! remembered for this wallbox and its firmware, and used first from then on.

use crate::units::MilliAmps;

use super::plan::{Kind, ProfileSettings, Purpose, Unit};
use super::profile::Shape;
use super::set_up::{Known, RateUnits};

/// The rungs for one connector, and where we stand.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Vec<Shape>,
    at: usize,
    /// The rung that was taken last, itself and not its stand-in.
    works: Option<usize>,
    /// Where a row of refusals began, and whether that was in a transaction: what is possible
    /// differs.
    refused_from: Option<(usize, bool)>,
    /// The current rung was told again because it was not obeyed.
    told_again: bool,
    /// Rungs that were not obeyed since a car came.
    disobeyed: usize,
}

impl Ladder {
    /// For a connector with these overrides, of a wallbox of which this is known. `only` says that
    /// the wallbox has this connector alone: what governs the whole wallbox may then be used.
    pub(super) fn new(
        settings: &ProfileSettings,
        known: &Known,
        worked: Option<Shape>,
        only: bool,
    ) -> Self {
        let mut rungs = rungs(settings, known, only);
        if let Some(at) = rungs.iter().position(|rung| Some(*rung) == worked) {
            let worked = rungs.remove(at);
            rungs.insert(0, worked);
        }
        Self {
            rungs,
            at: 0,
            works: None,
            refused_from: None,
            told_again: false,
            disobeyed: 0,
        }
    }

    /// The form to use now. Without a transaction a `TxProfile` is always refused (OCPP 1.6
    /// §5.16.2): its place takes the `TxDefaultProfile` below it.
    pub(super) fn shape(&self, in_transaction: bool) -> Shape {
        let shape = self.rungs.get(self.at).copied().unwrap_or(Shape::PLAIN);
        match shape.purpose {
            Purpose::Tx if !in_transaction => Shape {
                purpose: Purpose::TxDefault,
                ..shape
            },
            Purpose::Tx | Purpose::TxDefault | Purpose::ChargePointMax => shape,
        }
    }

    /// The wallbox accepted this form. Returns it if it is worth remembering: not as a stand-in.
    pub(super) fn accepted(&mut self, tried: Shape) -> Option<Shape> {
        self.refused_from = None;
        let rung = self.rungs.get(self.at).copied();
        let itself = rung.filter(|rung| *rung == tried);
        if itself.is_some() {
            self.works = Some(self.at);
        }
        itself
    }

    /// The wallbox refused this form. True if there is another one to try for this limit.
    pub(super) fn refused(&mut self, tried: Shape, limit: MilliAmps, in_transaction: bool) -> bool {
        if let Some((began, _)) = self
            .refused_from
            .take_if(|(_, then)| *then != in_transaction)
        {
            // A transaction began or ended meanwhile: forms that were passed by are possible now.
            self.at = began;
            return true;
        }
        if self.shape(in_transaction) != tried {
            return true;
        }
        let (began, _) = *self.refused_from.get_or_insert((self.at, in_transaction));
        loop {
            self.at = (self.at + 1) % self.rungs.len().max(1);
            if self.at == began {
                self.refused_from = None;
                return false;
            }
            let Some(rung) = self.rungs.get(self.at) else {
                return false;
            };
            let same = self.shape(in_transaction) == tried;
            let pointless = rung.whole && limit.floor_to(WHOLE) == limit;
            let impossible = rung.purpose == Purpose::Tx && !in_transaction;
            if !(same || pointless || impossible) {
                return true;
            }
        }
    }

    /// More flows than was allowed. True if the limit is to be told again, in the same form or in
    /// the next one; false when every form was tried in vain since the car came.
    pub(super) fn disobeyed(&mut self) -> bool {
        if self.disobeyed >= self.rungs.len() {
            return false;
        }
        if !self.told_again {
            self.told_again = true;
            return true;
        }
        self.told_again = false;
        self.works = None;
        self.disobeyed += 1;
        self.at = (self.at + 1) % self.rungs.len().max(1);
        self.disobeyed < self.rungs.len()
    }

    /// Another car: forms that were not obeyed may be tried again, and refusals without a
    /// transaction say nothing of forms that need one. What worked, or is likeliest, comes first.
    pub(super) fn begin(&mut self) {
        self.told_again = false;
        self.disobeyed = 0;
        self.refused_from = None;
        self.at = self.works.unwrap_or(0);
    }
}

/// A step of wallboxes that know whole amperes only.
pub(super) const WHOLE: MilliAmps = MilliAmps::from_amps(1);

/// Every form, the likeliest first: those that differ from the usual one in one respect come
/// before those that differ in two.
fn rungs(settings: &ProfileSettings, known: &Known, only: bool) -> Vec<Shape> {
    let kinds = given(settings.kind, &[Kind::Absolute, Kind::Relative]);
    let units = match known.units {
        RateUnits::Watts => given(settings.unit, &[Unit::Watts, Unit::Amps]),
        RateUnits::Unknown | RateUnits::Amps | RateUnits::Both => {
            given(settings.unit, &[Unit::Amps, Unit::Watts])
        }
    };
    let max = known.max_stack_level.unwrap_or(0);
    let mut levels = given(settings.stack_level, &[max, 0]);
    levels.dedup();
    let places = match (settings.purpose, only) {
        (Some(purpose), _) => vec![(purpose, purpose == Purpose::ChargePointMax)],
        (None, false) => vec![(Purpose::TxDefault, false), (Purpose::Tx, false)],
        (None, true) => vec![
            (Purpose::TxDefault, false),
            (Purpose::Tx, false),
            (Purpose::ChargePointMax, true),
            (Purpose::TxDefault, true),
        ],
    };
    let mut all = Vec::new();
    for (whole_rank, whole) in [false, true].into_iter().enumerate() {
        for (unit_rank, unit) in units.iter().enumerate() {
            for (place_rank, (purpose, whole_box)) in places.iter().enumerate() {
                for (level_rank, stack_level) in levels.iter().enumerate() {
                    for (kind_rank, kind) in kinds.iter().enumerate() {
                        let ranks = [kind_rank, unit_rank, place_rank, level_rank, whole_rank];
                        let away = ranks.iter().filter(|rank| **rank > 0).count();
                        let order = [whole_rank, place_rank, level_rank, unit_rank, kind_rank];
                        let shape = Shape {
                            purpose: *purpose,
                            whole_box: *whole_box,
                            kind: *kind,
                            stack_level: *stack_level,
                            unit: *unit,
                            whole,
                        };
                        // Whole amperes are a matter of amperes.
                        if !(whole && *unit == Unit::Watts) {
                            all.push(((away, order), shape));
                        }
                    }
                }
            }
        }
    }
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, shape)| shape).collect()
}

fn given<T: Copy>(setting: Option<T>, otherwise: &[T]) -> Vec<T> {
    setting.map_or_else(|| otherwise.to_vec(), |one| vec![one])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            max_stack_level: Some(8),
            ..Known::default()
        }
    }

    fn ladder() -> Ladder {
        Ladder::new(&ProfileSettings::default(), &known(), None, true)
    }

    const LIMIT: MilliAmps = MilliAmps(10_700);

    /// Climbs until `takes` says yes; how many refusals that took.
    fn climb(
        ladder: &mut Ladder,
        in_transaction: bool,
        takes: impl Fn(Shape) -> bool,
    ) -> Option<usize> {
        for refusals in 0.. {
            let tried = ladder.shape(in_transaction);
            if takes(tried) {
                ladder.accepted(tried);
                return Some(refusals);
            }
            if !ladder.refused(tried, LIMIT, in_transaction) {
                return None;
            }
        }
        None
    }

    #[test]
    fn the_first_form_is_an_absolute_default_profile_at_the_highest_level_in_amperes() {
        let first = ladder().shape(false);
        let expected = Shape {
            purpose: Purpose::TxDefault,
            whole_box: false,
            kind: Kind::Absolute,
            stack_level: 8,
            unit: Unit::Amps,
            whole: false,
        };
        assert_eq!(first, expected);
    }

    #[test]
    fn every_single_limitation_of_a_wallbox_is_found_within_a_few_refusals() {
        type Takes = fn(Shape) -> bool;
        let limitations: [(&str, Takes); 7] = [
            ("relative", |s| s.kind == Kind::Relative),
            ("level 0", |s| s.stack_level == 0),
            ("watts", |s| s.unit == Unit::Watts),
            ("transaction profile", |s| s.purpose == Purpose::Tx),
            ("charge point maximum", |s| {
                s.purpose == Purpose::ChargePointMax
            }),
            ("connector 0", |s| {
                s.purpose == Purpose::TxDefault && s.whole_box
            }),
            ("whole amperes", |s| s.whole),
        ];
        for (name, takes) in limitations {
            let refusals = climb(&mut ladder(), true, takes);
            assert!(refusals.is_some_and(|n| n <= 8), "{name}: {refusals:?}");
        }
    }

    #[test]
    fn limitations_that_come_together_are_found_too() {
        let refusals = climb(&mut ladder(), true, |s| {
            s.kind == Kind::Relative && s.stack_level == 0 && s.unit == Unit::Watts
        });
        assert!(refusals.is_some());
    }

    #[test]
    fn a_wallbox_that_takes_nothing_is_given_up_after_every_form_was_tried_once() {
        let mut ladder = ladder();
        let mut seen = vec![ladder.shape(true)];
        while ladder.refused(ladder.shape(true), LIMIT, true) {
            assert!(!seen.contains(&ladder.shape(true)), "twice");
            seen.push(ladder.shape(true));
        }
        assert_eq!(seen.len(), ladder.rungs.len());
        assert_eq!(
            ladder.shape(true),
            seen[0],
            "and the next limit begins anew"
        );
    }

    #[test]
    fn what_worked_before_comes_first() {
        let worked = Shape {
            kind: Kind::Relative,
            stack_level: 0,
            ..ladder().shape(false)
        };
        let again = Ladder::new(&ProfileSettings::default(), &known(), Some(worked), true);
        assert_eq!(again.shape(false), worked);
    }

    #[test]
    fn a_transaction_profile_is_stood_in_for_while_there_is_no_transaction() {
        let mut ladder = ladder();
        climb(&mut ladder, true, |s| s.purpose == Purpose::Tx);
        assert_eq!(ladder.shape(true).purpose, Purpose::Tx);
        assert_eq!(ladder.shape(false).purpose, Purpose::TxDefault);
        let stand_in = ladder.shape(false);
        assert_eq!(ladder.accepted(stand_in), None, "a stand-in proves nothing");
    }

    #[test]
    fn a_transaction_that_begins_in_the_middle_of_the_climb_misses_no_form() {
        let takes = |shape: Shape| shape.purpose == Purpose::Tx && shape.unit == Unit::Watts;
        let refusals_in_vain = |ladder: &mut Ladder| {
            let shape = ladder.shape(false);
            ladder.refused(shape, LIMIT, false)
        };
        for begins_after in 0..20 {
            let mut ladder = ladder();
            for _ in 0..begins_after {
                refusals_in_vain(&mut ladder);
            }
            climb(&mut ladder, true, takes);
            let found = ladder.shape(true);
            assert!(
                takes(found) && found.stack_level == 8,
                "{begins_after}: {found:?}"
            );
        }
    }

    #[test]
    fn a_transaction_that_begins_in_the_middle_of_the_climb_begins_with_what_worked() {
        let worked = Shape {
            purpose: Purpose::Tx,
            kind: Kind::Relative,
            ..ladder().shape(false)
        };
        let mut ladder = Ladder::new(&ProfileSettings::default(), &known(), Some(worked), true);
        for _ in 0..7 {
            let shape = ladder.shape(false);
            ladder.refused(shape, LIMIT, false);
        }
        ladder.begin();
        assert_eq!(ladder.shape(true), worked);
    }

    #[test]
    fn a_stand_in_that_is_refused_when_the_transaction_has_begun_says_nothing_of_the_form_itself() {
        let mut ladder = ladder();
        climb(&mut ladder, true, |s| s.purpose == Purpose::Tx);
        let (stand_in, itself) = (ladder.shape(false), ladder.shape(true));
        assert!(ladder.refused(stand_in, LIMIT, true));
        assert_eq!(ladder.shape(true), itself);
    }

    #[test]
    fn what_is_not_obeyed_is_told_once_more_and_then_in_another_form() {
        let mut ladder = ladder();
        let first = ladder.shape(true);
        assert!(ladder.disobeyed());
        assert_eq!(ladder.shape(true), first);
        assert!(ladder.disobeyed());
        assert_ne!(ladder.shape(true), first);
    }

    #[test]
    fn who_obeys_nothing_is_not_written_to_for_ever() {
        let mut ladder = ladder();
        let told = (0..1000).filter(|_| ladder.disobeyed()).count();
        assert!(told < 2 * ladder.rungs.len());
        ladder.begin();
        assert!(ladder.disobeyed(), "the next car is another chance");
    }

    #[test]
    fn overrides_leave_only_what_they_allow() {
        let settings = ProfileSettings {
            purpose: Some(Purpose::ChargePointMax),
            unit: Some(Unit::Watts),
            ..ProfileSettings::default()
        };
        let ladder = Ladder::new(&settings, &known(), None, true);
        assert!(
            ladder
                .rungs
                .iter()
                .all(|s| s.purpose == Purpose::ChargePointMax && s.unit == Unit::Watts)
        );
        assert_eq!(ladder.rungs.len(), 4);
    }

    #[test]
    fn a_wallbox_with_several_connectors_is_never_limited_as_a_whole() {
        let ladder = Ladder::new(&ProfileSettings::default(), &known(), None, false);
        assert!(ladder.rungs.iter().all(|s| !s.whole_box));
    }
}
