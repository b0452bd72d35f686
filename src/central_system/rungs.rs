//! The forms of charging profile that a wallbox may understand, the likeliest first.

use super::plan::{Kind, ProfileSettings, Purpose, Unit};
use super::profile::{Place, Shape};
use super::set_up::{Known, RateUnits};

/// Where a profile may be installed, the likeliest place first. `only` says that the wallbox has
/// this connector alone: what governs the whole wallbox may then be used.
pub(super) fn places(settings: &ProfileSettings, only: bool) -> Vec<Place> {
    match (settings.purpose, only) {
        (Some(purpose), _) => vec![(purpose, purpose == Purpose::ChargePointMax)],
        (None, false) => vec![(Purpose::TxDefault, false), (Purpose::Tx, false)],
        (None, true) => vec![
            (Purpose::TxDefault, false),
            (Purpose::Tx, false),
            (Purpose::ChargePointMax, true),
            (Purpose::TxDefault, true),
        ],
    }
}

/// Every form in every place, and then every form everywhere.
pub(super) fn rungs(settings: &ProfileSettings, known: &Known, places: &[Place]) -> Vec<Shape> {
    let forms = forms(settings, known);
    let mut all = single(&forms, places);
    all.extend(everywhere(&forms));
    all
}

/// How far a form is from the usual one: in its stack level, its unit and its kind.
type Ranks = [usize; 3];

/// Kinds, units and stack levels in all combinations.
fn forms(settings: &ProfileSettings, known: &Known) -> Vec<(Ranks, Shape)> {
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
    let mut forms = Vec::new();
    for (level_rank, &stack_level) in levels.iter().enumerate() {
        for (unit_rank, &unit) in units.iter().enumerate() {
            for (kind_rank, &kind) in kinds.iter().enumerate() {
                let form = Shape {
                    kind,
                    stack_level,
                    unit,
                    ..Shape::PLAIN
                };
                forms.push(([level_rank, unit_rank, kind_rank], form));
            }
        }
    }
    forms
}

/// Those that differ from the usual one in one respect come before those that differ in two.
fn single(forms: &[(Ranks, Shape)], places: &[Place]) -> Vec<Shape> {
    let mut all = Vec::new();
    for &(ranks, form) in forms {
        for (place_rank, &(purpose, whole_box)) in places.iter().enumerate() {
            for (whole_rank, whole) in [false, true].into_iter().enumerate() {
                let [level_rank, unit_rank, kind_rank] = ranks;
                let order = [whole_rank, place_rank, level_rank, unit_rank, kind_rank];
                let away = order.iter().filter(|rank| **rank > 0).count();
                // Whole amperes are a matter of amperes.
                if !(whole && form.unit == Unit::Watts) {
                    let shape = Shape {
                        purpose,
                        whole_box,
                        whole,
                        ..form
                    };
                    all.push(((away, order), shape));
                }
            }
        }
    }
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, shape)| shape).collect()
}

/// Each attempt takes seconds, so those come first that together leave little out: few wallboxes
/// are choosy about the stack level and want the usual kind. In amperes they are whole: some
/// wallboxes ignore fractions, and what obeys so little may lose an ampere.
fn everywhere(forms: &[(Ranks, Shape)]) -> Vec<Shape> {
    let both_kinds = forms.iter().any(|(ranks, _)| ranks[2] > 0);
    let both_levels = forms.iter().any(|(ranks, _)| ranks[0] > 0);
    let rank = |[level, unit, kind]: Ranks| {
        let unlikely = both_kinds && both_levels && kind != level;
        (unlikely, unit, kind != unit)
    };
    let shapes = forms.iter().map(|&(ranks, form)| {
        let shape = Shape {
            whole: form.unit == Unit::Amps,
            everywhere: true,
            ..form
        };
        (rank(ranks), shape)
    });
    let mut all: Vec<_> = shapes.collect();
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, shape)| shape).collect()
}

fn given<T: Copy>(setting: Option<T>, otherwise: &[T]) -> Vec<T> {
    setting.map_or_else(|| otherwise.to_vec(), |one| vec![one])
}
