//! Finding out which form of charging profile a wallbox understands.
//!
//! Some wallboxes know only some purposes, kinds, stack levels or units; some accept what they do
//! not obey. Each rung of the ladder is one form. A refusal leads to the next rung at once. Current
//! above the limit leads to the same form once more, and then to rungs that are told everywhere: in
//! every place that a profile may have, so that a few of them are enough. What works is remembered
//! for this wallbox and its firmware, and used first from then on.

use crate::units::MilliAmps;

use super::plan::{ProfileSettings, Purpose};
use super::profile::{Place, Shape, WHOLE};
use super::rungs::{places, rungs};
use super::set_up::Known;

/// The rungs for one connector, and where we stand.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Vec<Shape>,
    places: Vec<Place>,
    at: usize,
    /// Where every car begins, as long as nothing works.
    home: usize,
    /// The rung that was taken last, itself and not its stand-in.
    works: Option<usize>,
    /// Where a row of refusals began, and whether that was in a transaction: what is possible
    /// differs.
    refused_from: Option<(usize, bool)>,
    /// A rung was told again because it was not obeyed.
    told_again: bool,
    /// Rungs that were told everywhere since a car came.
    tried: Vec<usize>,
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
        let places = places(settings, only);
        let mut rungs = rungs(settings, known, &places);
        if let Some(at) = rungs.iter().position(|rung| Some(*rung) == worked) {
            let worked = rungs.remove(at);
            rungs.insert(0, worked);
        }
        Self {
            rungs,
            places,
            at: 0,
            home: 0,
            works: None,
            refused_from: None,
            told_again: false,
            tried: Vec::new(),
        }
    }

    /// The form to use now. Without a transaction a `TxProfile` is always refused (OCPP 1.6
    /// §5.16.2): its place takes the `TxDefaultProfile` below it.
    pub(super) fn shape(&self, in_transaction: bool) -> Shape {
        let shape = self.rungs.get(self.at).copied().unwrap_or(Shape::PLAIN);
        if shape.everywhere {
            return shape;
        }
        Shape {
            purpose: stand_in(shape.purpose, in_transaction),
            ..shape
        }
    }

    /// Where a form is told that is told everywhere.
    pub(super) fn places(&self, in_transaction: bool) -> Vec<Place> {
        let mut places = self.places.clone();
        for (purpose, _) in &mut places {
            *purpose = stand_in(*purpose, in_transaction);
        }
        places.dedup();
        places
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
        if tried.everywhere {
            return self.climb();
        }
        if let Some(at) = self.whole_of(tried, limit) {
            self.at = at;
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
            let same = self.shape(in_transaction) == tried || rung.everywhere;
            let pointless = rung.whole && limit.floor_to(WHOLE) == limit;
            let impossible = rung.purpose == Purpose::Tx && !in_transaction;
            if !(same || pointless || impossible) {
                return true;
            }
        }
    }

    /// The rung of the same form in whole amperes: where a form that works is refused with a
    /// fraction, it is not the form.
    fn whole_of(&self, tried: Shape, limit: MilliAmps) -> Option<usize> {
        let worked = self.works == Some(self.at) && self.rungs.get(self.at) == Some(&tried);
        if !worked || tried.whole || limit.floor_to(WHOLE) == limit {
            return None;
        }
        let whole = Shape {
            whole: true,
            ..tried
        };
        self.rungs.iter().position(|rung| *rung == whole)
    }

    /// The wallbox does what it was not told. True if the limit is to be told again, in the same
    /// form or in the next one; false when every form was tried in vain since the car came.
    pub(super) fn disobeyed(&mut self) -> bool {
        if !self.told_again {
            self.told_again = true;
            return true;
        }
        if !self.climb() {
            // It may be the car's fault: the next one begins with the usual form.
            self.works = None;
            self.home = self.rungs.iter().position(|it| !it.everywhere).unwrap_or(0);
            return false;
        }
        true
    }

    /// The current rung is not obeyed as far as we know.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.told_again
    }

    /// The wallbox allows less than it took. True if the same form shall be told again, at last
    /// everywhere. No further: something that we took away could be what holds it.
    pub(super) fn held_back(&mut self) -> bool {
        let everywhere = self.rungs.get(self.at).is_some_and(|rung| rung.everywhere);
        (!self.told_again || !everywhere) && self.disobeyed()
    }

    /// Goes to the next form that is told everywhere, beginning with that of the current rung.
    fn climb(&mut self) -> bool {
        let Some(now) = self.rungs.get(self.at).copied() else {
            return false;
        };
        if now.everywhere {
            self.tried.push(self.at);
        }
        let is_alike = |rung: &Shape| {
            (rung.kind, rung.stack_level, rung.unit) == (now.kind, now.stack_level, now.unit)
        };
        let rungs = self.rungs.iter().enumerate();
        let left = rungs.filter(|(at, rung)| rung.everywhere && !self.tried.contains(at));
        let next = left.min_by_key(|(at, rung)| (!is_alike(rung), *at));
        if let Some((at, _)) = next {
            self.at = at;
            self.refused_from = None;
        }
        next.is_some()
    }

    /// Another car: forms that were not obeyed may be tried again, and refusals without a
    /// transaction say nothing of forms that need one. What worked, or is likeliest, comes first.
    pub(super) fn begin(&mut self) {
        self.told_again = false;
        self.tried.clear();
        self.refused_from = None;
        self.at = self.works.unwrap_or(self.home);
    }
}

/// What takes the place of a `TxProfile` without a transaction.
fn stand_in(purpose: Purpose, in_transaction: bool) -> Purpose {
    match purpose {
        Purpose::Tx if !in_transaction => Purpose::TxDefault,
        Purpose::Tx | Purpose::TxDefault | Purpose::ChargePointMax => purpose,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Kind, Unit};
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
            everywhere: false,
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
    fn a_fraction_that_is_refused_where_the_form_works_is_left_out() {
        let mut ladder = ladder();
        let form = ladder.shape(true);
        ladder.accepted(form);
        assert!(ladder.refused(form, LIMIT, true));
        let whole = Shape {
            whole: true,
            ..form
        };
        assert_eq!(ladder.shape(true), whole);
        let refusals = climb(&mut ladder, true, |s| s.unit == Unit::Watts);
        assert!(refusals.is_some(), "all others are tried after it");
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
        let single = ladder.rungs.iter().filter(|rung| !rung.everywhere);
        assert_eq!(seen.len(), single.count());
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
    fn what_is_not_obeyed_is_told_once_more_and_then_everywhere() {
        let mut ladder = ladder();
        let first = ladder.shape(true);
        assert!(ladder.disobeyed());
        assert_eq!(ladder.shape(true), first);
        let mut forms = Vec::new();
        while ladder.disobeyed() {
            let shape = ladder.shape(true);
            assert!(shape.everywhere);
            ladder.accepted(shape);
            forms.push((shape.kind, shape.stack_level, shape.unit));
        }
        let first_four = [
            (Kind::Absolute, 8, Unit::Amps),
            (Kind::Relative, 0, Unit::Amps),
            (Kind::Relative, 0, Unit::Watts),
            (Kind::Absolute, 8, Unit::Watts),
        ];
        assert_eq!(forms[..4], first_four);
        assert_eq!(forms.len(), 8, "each once");
        ladder.begin();
        assert_eq!(ladder.shape(true), first, "the next car is another chance");
        assert!(ladder.disobeyed());
    }

    #[test]
    fn a_form_that_is_obeyed_everywhere_is_the_first_for_the_next_car() {
        let mut ladder = ladder();
        for _ in 0..3 {
            assert!(ladder.disobeyed());
            ladder.accepted(ladder.shape(true));
        }
        let obeyed = ladder.shape(true);
        assert_eq!((obeyed.kind, obeyed.everywhere), (Kind::Relative, true));
        ladder.begin();
        assert_eq!(ladder.shape(false), obeyed);
        let again = Ladder::new(&ProfileSettings::default(), &known(), Some(obeyed), true);
        assert_eq!(again.shape(true), obeyed);
    }

    #[test]
    fn a_form_that_is_refused_everywhere_gives_way_to_the_next_that_is_told_everywhere() {
        let mut ladder = ladder();
        assert!(ladder.disobeyed() && ladder.disobeyed());
        let mut seen = vec![ladder.shape(true)];
        while ladder.refused(ladder.shape(true), LIMIT, true) {
            assert!(!seen.contains(&ladder.shape(true)), "twice");
            seen.push(ladder.shape(true));
        }
        assert!(seen.len() == 8 && seen.iter().all(|shape| shape.everywhere));
    }

    #[test]
    fn who_is_held_back_is_told_everywhere_in_the_same_form_and_no_other() {
        let mut ladder = ladder();
        let first = ladder.shape(true);
        assert!(ladder.held_back());
        assert_eq!(ladder.shape(true), first);
        assert!(ladder.held_back());
        let shape = ladder.shape(true);
        assert_eq!((shape.kind, shape.everywhere), (first.kind, true));
        assert!(!ladder.held_back());
        assert_eq!(ladder.shape(true), shape);
    }

    #[test]
    fn everywhere_is_every_place_that_is_possible_now() {
        use Purpose::{ChargePointMax, Tx, TxDefault};
        let all = [
            (TxDefault, false),
            (Tx, false),
            (ChargePointMax, true),
            (TxDefault, true),
        ];
        assert_eq!(ladder().places(true), all);
        assert_eq!(ladder().places(false), [all[0], all[2], all[3]]);
        let several = Ladder::new(&ProfileSettings::default(), &known(), None, false);
        assert_eq!(several.places(true), all[..2]);
    }

    #[test]
    fn overrides_leave_only_what_they_allow() {
        let settings = ProfileSettings {
            purpose: Some(Purpose::ChargePointMax),
            unit: Some(Unit::Watts),
            ..ProfileSettings::default()
        };
        let ladder = Ladder::new(&settings, &known(), None, true);
        let (everywhere, single): (Vec<Shape>, Vec<Shape>) =
            ladder.rungs.iter().partition(|rung| rung.everywhere);
        let is_allowed = |s: &Shape| s.purpose == Purpose::ChargePointMax && s.unit == Unit::Watts;
        assert!(single.len() == 4 && single.iter().all(is_allowed));
        assert!(everywhere.len() == 4 && everywhere.iter().all(|s| s.unit == Unit::Watts));
        assert_eq!(ladder.places(true), [(Purpose::ChargePointMax, true)]);
    }

    #[test]
    fn a_wallbox_with_several_connectors_is_never_limited_as_a_whole() {
        let ladder = Ladder::new(&ProfileSettings::default(), &known(), None, false);
        assert!(ladder.rungs.iter().all(|s| !s.whole_box));
    }
}
