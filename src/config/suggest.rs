//! "Did you mean …?"

/// The known key that `unknown` most likely is a misspelling of.
pub(super) fn closest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = unknown.to_ascii_lowercase().replace(['_', ' '], "-");
    let far = |key: &str| distance(&written, key);
    let best = known.iter().min_by_key(|key| far(key))?;
    // A third of the letters may be wrong; more is another word.
    (far(best) * 3 <= best.chars().count()).then_some(*best)
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        for (j, (y, pair)) in b.iter().zip(last.windows(2)).enumerate() {
            let &[diagonal, above] = pair else { continue };
            let mut cell = (diagonal + usize::from(x != *y))
                .min(above + 1)
                .min(left + 1);
            let swapped = j > 0 && previous == Some(*y) && b.get(j - 1) == Some(&x);
            if let (true, Some(corner)) = (swapped, before.get(j.wrapping_sub(1))) {
                cell = cell.min(corner + 1);
            }
            row.push(cell);
            left = cell;
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(x);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_mistakes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("ca", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_misspelled_key_finds_the_right_one_and_another_word_finds_none() {
        let known = ["max-current", "max-power", "name", "parent", "port"];
        assert_eq!(closest("max_current", &known), Some("max-current"));
        assert_eq!(closest("Max-Curent", &known), Some("max-current"));
        assert_eq!(closest("nmae", &known), Some("name"));
        assert_eq!(closest("colour", &known), None);
        assert_eq!(closest("x", &[]), None);
    }
}
