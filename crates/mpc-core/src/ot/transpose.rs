//! Transposition of 128 × 128 bit matrices in portable code.

/// Transposes in place: bit c of word r becomes bit r of word c.
///
/// Eklundh's method: seven passes, each swapping the off-diagonal blocks of one size.
pub(super) fn transpose(m: &mut [u128; 128]) {
    pass::<64>(m);
    pass::<32>(m);
    pass::<16>(m);
    pass::<8>(m);
    pass::<4>(m);
    pass::<2>(m);
    pass::<1>(m);
}

fn pass<const STEP: usize>(m: &mut [u128; 128]) {
    // Ones in the low half of each group of 2·STEP bits.
    let mask = u128::MAX / ((1 << STEP) + 1);
    for group in m.chunks_exact_mut(2 * STEP) {
        let (upper, lower) = group.split_at_mut(STEP);
        for (a, b) in upper.iter_mut().zip(lower) {
            let swap = ((*a >> STEP) ^ *b) & mask;
            *a ^= swap << STEP;
            *b ^= swap;
        }
    }
}
