//! Statistics of tests that something is uniform.

/// χ² with 255 degrees of freedom of one byte of the values, the one that begins at bit `shift`. A
/// uniform source exceeds [`LIMIT`] with probability 4·10⁻¹¹.
pub(crate) fn chi_square_of_byte(values: impl Iterator<Item = u128>, shift: u32) -> f64 {
    let mut counts = [0u32; 256];
    values.for_each(|v| counts[(v >> shift & 255) as usize] += 1);
    let mean = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts.iter().map(|&c| (f64::from(c) - mean).powi(2) / mean).sum()
}

/// See [`chi_square_of_byte`].
pub(crate) const LIMIT: f64 = 430.0;
