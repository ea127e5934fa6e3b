//! The error of a row from additive shares of its score: what each role computes in the clear, and
//! the truncation of its share (docs/SPEC.md, "Error on shares").
//!
//! With z = a + b modulo the period, sin k(a+b) and cos k(a+b) split into products of a number that
//! A knows (sin ka, cos ka) and one that B knows. B's numbers carry the label, the step size and all
//! other public factors; A's are pure.

use std::f64::consts::TAU;

use super::series::ErrorSeries;
use crate::ring::Ring;

/// A's sines and cosines are rounded to multiples of 1/255, so that ±1 fits nine bits.
pub const SINE_SCALE: f64 = 255.0;

/// Sines and cosines of k = 1 … K times the angle of a share modulo the period 2^`period_bits`.
fn angles(share: u128, period_bits: u32, harmonics: usize) -> impl Iterator<Item = (f64, f64)> {
    let reduced = share & ((1u128 << period_bits) - 1);
    let angle = libm::ldexp(reduced as f64, -(period_bits as i32)) * TAU;
    (1..=harmonics).map(move |k| libm::sincos(k as f64 * angle))
}

/// A's operands for one row, 2K of them: round(255·sin ka), round(255·cos ka), for each k.
pub fn feature_operands(share: u128, period_bits: u32, harmonics: usize, out: &mut Vec<i16>) {
    for (sin, cos) in angles(share, period_bits, harmonics) {
        out.push(libm::rint(SINE_SCALE * sin) as i16);
        out.push(libm::rint(SINE_SCALE * cos) as i16);
    }
}

/// B's operands for one row of the **negated** error, and the constant that B adds to its share.
///
/// `unit` is how many units of the OLE ring make an error of 1.
pub fn label_operands(
    share: u128,
    period_bits: u32,
    series: &ErrorSeries,
    label: bool,
    unit: f64,
    out: &mut Vec<i64>,
) -> i128 {
    // e₀(z) = −e₁(−z): the even terms change sign. The leading −1 is the negation.
    let even = if label { -1.0 } else { 1.0 };
    let gain = unit / SINE_SCALE;
    for ((sin, cos), (sine, cosine)) in
        angles(share, period_bits, series.harmonics()).zip(series.sine.iter().zip(&series.cosine))
    {
        let (alpha, beta) = (-sine, even * cosine);
        out.push(libm::rint(gain * (alpha * cos - beta * sin)) as i64);
        out.push(libm::rint(gain * (alpha * sin + beta * cos)) as i64);
    }
    libm::rint(unit * even * series.constant) as i128
}

/// A's side of the exact modulus-dropping truncation: from modulo 2^(L+t) to 2^L, rounding down.
pub fn truncate_down(share: u128, from: Ring, to: Ring) -> u128 {
    share >> (from.bits() - to.bits())
}

/// B's side: rounding up. With A's share rounded down, the sum is the truncated value to within one
/// unit, always. The result lies in 0 ..= 2^L.
pub fn truncate_up(share: u128, from: Ring, to: Ring) -> u128 {
    let dropped = from.bits() - to.bits();
    (share + (1 << dropped) - 1) >> dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::series::SeriesShape;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn truncation_is_exact_to_one_unit(value: u128, mask: u128, l in 20u32..100) {
            let (from, to) = (Ring::new(l + 8).unwrap(), Ring::new(l).unwrap());
            let (value, a) = (from.reduce(value), from.reduce(mask));
            let b = from.sub(value, a);
            let sum = to.add(truncate_down(a, from, to), to.reduce(truncate_up(b, from, to)));
            let off = to.to_signed(to.sub(sum, value >> 8));
            prop_assert!((0..=1).contains(&off), "off by {off}");
        }

        #[test]
        fn products_of_shares_give_the_negated_error(a: u128, z in -23.0f64..23.0, label: bool) {
            let (bits, unit) = (40, libm::ldexp(1.0, 18));
            let series = ErrorSeries::fit(&SeriesShape::SHORT, 48.0);
            let ring = Ring::new(bits).unwrap();
            let score = ring.from_signed(libm::rint(z / 48.0 * libm::ldexp(1.0, 40)) as i128);
            let b = ring.sub(score, a);
            let (mut xs, mut ys) = (Vec::new(), Vec::new());
            feature_operands(a, bits, 7, &mut xs);
            let constant = label_operands(b, bits, &series, label, unit, &mut ys);
            prop_assert!(xs.iter().all(|x| x.abs() <= 255));
            let sum: i128 = constant + xs.iter().zip(&ys).map(|(&x, &y)| i128::from(x) * i128::from(y)).sum::<i128>();
            let error = -(sum as f64) / unit;
            prop_assert!((error - series.error(z, label)).abs() < 0.01);
        }
    }
}
