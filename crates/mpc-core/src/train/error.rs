//! The error of a row from a masked score: what each role computes in the clear (docs/SPEC.md, "Error on
//! shares").
//!
//! Let Δ = z + λ be the score under a uniform mask λ = a + b of which A knows a and B knows b. With
//! B's coefficients α_k, β_k of the negated error,
//!
//! −e(Δ − λ) = c + Σ_k sin kΔ·F_k + cos kΔ·G_k,
//! F_k = α_k·cos kλ + β_k·sin kλ,   G_k = β_k·cos kλ − α_k·sin kλ.
//!
//! F_k and G_k, the **factors**, do not depend on the score: both parties get shares of them before,
//! from products of a number that A knows (sin ka, cos ka) and one that B knows. B's numbers carry the
//! label, the step size and all other public factors; A's are pure. When Δ is public, what is left is
//! a sum with public multipliers.

use std::f64::consts::TAU;

use super::{series::ErrorSeries, target::Target};

/// A's sines and cosines are rounded to multiples of 1/255, so that ±1 fits nine bits.
pub const SINE_SCALE: f64 = 255.0;
/// log2 of the scale of the public sines and cosines of Δ.
pub const PUBLIC_BITS: u32 = 10;

/// Sines and cosines of k = 1 … K times the angle of a number modulo the period 2^`period_bits`.
fn angles(number: u128, period_bits: u32, harmonics: usize) -> impl Iterator<Item = (f64, f64)> {
    let reduced = number & ((1u128 << period_bits) - 1);
    let angle = libm::ldexp(reduced as f64, -(period_bits as i32)) * TAU;
    (1..=harmonics).map(move |k| libm::sincos(k as f64 * angle))
}

/// A's operands for one row, 2K of them: round(255·sin ka), round(255·cos ka), for each k.
pub fn feature_operands(mask: u128, period_bits: u32, harmonics: usize, out: &mut Vec<i16>) {
    for (sin, cos) in angles(mask, period_bits, harmonics) {
        out.push(libm::rint(SINE_SCALE * sin) as i16);
        out.push(libm::rint(SINE_SCALE * cos) as i16);
    }
}

/// B's operands for one row, in F_k and in G_k, for each of A's; and the constant c. `unit` is how many
/// units of the factors make an error of 1 in a row of weight 1; the constant is in units of
/// 2^−[`PUBLIC_BITS`] of those.
///
/// With u = α cos kb + β sin kb and v = β cos kb − α sin kb: F_k = cos ka·u + sin ka·v and
/// G_k = cos ka·v − sin ka·u.
pub fn label_operands(
    mask: u128,
    period_bits: u32,
    series: &ErrorSeries,
    target: &Target,
    unit: f64,
    out: &mut Vec<[i64; 2]>,
) -> i128 {
    // e₀(z) = −e₁(−z): the even terms change sign. The leading −1 is the negation.
    let even = if target.label { -1.0 } else { 1.0 };
    let unit = unit * target.weight;
    let gain = unit / SINE_SCALE;
    for ((sin, cos), (sine, cosine)) in
        angles(mask, period_bits, series.harmonics()).zip(series.sine.iter().zip(&series.cosine))
    {
        let (alpha, beta) = (-sine, even * cosine);
        let u = libm::rint(gain * (alpha * cos + beta * sin)) as i64;
        let v = libm::rint(gain * (beta * cos - alpha * sin)) as i64;
        out.push([v, -u]);
        out.push([u, v]);
    }
    libm::rint(libm::ldexp(unit, PUBLIC_BITS as i32) * even * series.constant) as i128
}

/// One party's share of the negated error from its shares of the 2K factors F₁, G₁, … and the public Δ,
/// in units of 2^−[`PUBLIC_BITS`] of the factors'. Either party's constant is added by the caller.
pub fn evaluate(masked: u128, period_bits: u32, factors: &[i128]) -> i128 {
    let scale = libm::ldexp(1.0, PUBLIC_BITS as i32);
    angles(masked, period_bits, factors.len() / 2)
        .zip(factors.chunks_exact(2))
        .map(|((sin, cos), factors)| {
            let public = [sin, cos].map(|v| libm::rint(scale * v) as i128);
            public[0] * factors[0] + public[1] * factors[1]
        })
        .sum()
}

/// A's side of the truncation: `bits` dropped, rounding down.
pub fn truncate_down(share: i128, bits: u32) -> i128 {
    share >> bits
}

/// B's side: rounding up. With A's share rounded down, the sum is the truncated value to within one
/// unit, always: ⌊v / 2^bits⌋ or that plus one.
pub fn truncate_up(share: i128, bits: u32) -> i128 {
    -(-share >> bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ideal::factors, ring::Ring, train::series::SeriesShape};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn truncation_is_exact_to_one_unit(value in -1i128 << 60..1 << 60, a in -1i128 << 110..1 << 110, bits in 1u32..40) {
            let sum = truncate_down(a, bits) + truncate_up(value - a, bits);
            prop_assert!((0..=1).contains(&(sum - (value >> bits))), "off by {}", sum - (value >> bits));
        }

        #[test]
        fn factors_and_a_masked_score_give_the_negated_error(a: u128, b: u128, z in -23.0f64..23.0, label: bool, weight in 0.0f64..64.0) {
            let (bits, unit) = (40, libm::ldexp(1.0, 18));
            let series = ErrorSeries::fit(&SeriesShape::SHORT, 48.0);
            let ring = Ring::new(bits).unwrap();
            let score = ring.from_signed(libm::rint(z / 48.0 * libm::ldexp(1.0, 40)) as i128);
            let masked = ring.add(score, ring.add(ring.reduce(a), ring.reduce(b)));
            let (mut xs, mut ys) = (Vec::new(), Vec::new());
            feature_operands(a, bits, 7, &mut xs);
            let constant = label_operands(b, bits, &series, &Target { label, weight }, unit, &mut ys);
            prop_assert!(xs.iter().all(|x| x.abs() <= 255));
            let sum = constant + evaluate(masked, bits, &factors(&xs, &ys));
            let error = -libm::ldexp(sum as f64, -(PUBLIC_BITS as i32)) / unit;
            prop_assert!((error - weight * series.error(z, label)).abs() < 0.01 * weight.max(1.0));
        }
    }
}
