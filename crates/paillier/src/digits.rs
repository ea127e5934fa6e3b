//! Signed digits of small multipliers.

/// The digits of `value` in base 2^`width` (width ≥ 2), lowest first, each in
/// −2^(width−1) < d ≤ 2^(width−1), as (position, digit) where not zero.
pub(crate) fn signed_digits(value: i32, width: u32) -> impl Iterator<Item = (u32, i64)> {
    debug_assert!(width >= 2);
    let (base, mut rest) = (1i64 << width, i64::from(value));
    (0..)
        .map_while(move |position| {
            if rest == 0 {
                return None;
            }
            let low = rest.rem_euclid(base);
            let digit = if low > base / 2 { low - base } else { low };
            rest = (rest - digit) / base;
            Some((position, digit))
        })
        .filter(|&(_, digit)| digit != 0)
}

/// The width between 2 and `widest` that makes `cost(width, non-zero digits of all values)` least.
pub(crate) fn best_width(values: &[i32], widest: u32, cost: impl Fn(u32, usize) -> f64) -> u32 {
    let total = |width| {
        let digits = values.iter().map(|&v| signed_digits(v, width).count()).sum();
        cost(width, digits)
    };
    let mut best = (2, total(2));
    for width in 3..=widest {
        let cost = total(width);
        if cost < best.1 {
            best = (width, cost);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_add_up_and_stay_in_range() {
        for width in 2..=10 {
            let half = 1i64 << (width - 1);
            for value in (-5_000..5_000).chain([(1 << 20) - 1, 1 - (1 << 20), 1 << 19]) {
                let mut sum = 0;
                for (position, digit) in signed_digits(value, width) {
                    assert!(-half < digit && digit <= half && digit != 0, "{value} at {width}");
                    sum += digit << (width * position);
                }
                assert_eq!(sum, i64::from(value), "width {width}");
            }
        }
    }

    #[test]
    fn the_cheapest_width_wins() {
        assert_eq!(best_width(&[1000; 8], 8, |w, _| f64::from(w.abs_diff(5))), 5);
        assert_eq!(best_width(&[120; 8], 8, |_, digits| digits as f64), 8);
    }
}
