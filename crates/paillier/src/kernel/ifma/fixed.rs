//! Powers of one base: tables, and products of their entries.
//!
//! An entry b0 + b1·n is kept as b0 and v = b1/b0 mod n, because b0 + b1·n ≡ b0·(1 + v·n) (mod n²): the
//! product of entries is (∏ b0)·(1 + n·Σ v). Multiplying by b0 alone takes 4h² limb products in place
//! of 5h², and the v are added up; 1 + n·Σ v is multiplied in once, at the end.

use std::sync::Arc;

use rayon::prelude::*;
use zeroize::Zeroizing;

use super::lanes::{
    Digit, Group, Indices, LANES, LIMB_BITS, Line, PLANE_LANES, PLANES, Workspace, lanes_of, wipe,
    zero_digit,
};
use super::{Ifma, Residues};
use crate::invert::invert_one;
use crate::kernel::{self, Kernel, Powers};
use crate::limbs;

/// Bytes one table may take: windows of 8 bits where they fit, else 7. At 8 bits a 2048-bit key's
/// tables take 9 MB a prime and 38 MB modulo n², a 3072-bit key's 21 MB and 85 MB. With 9 bits, large
/// batches gained at most 5 %, and small ones lost 20 %: reading the table takes longer.
const TABLE_BYTES: usize = 96 << 20;
/// Residues that walk the table together, so that each position's entries come from memory once for
/// all of them. Fewer were measured slower: 3 % with 512, 10 % with 128.
const TOGETHER: usize = 16 * PLANE_LANES;

/// g^(d·2^(w·i)) for every position i and digit d of w bits.
pub(super) struct Table<const K: usize> {
    kernel: Arc<Ifma<K>>,
    window: usize,
    /// `[position][b0, then v][limb][byte of the limb][d]`.
    lines: Zeroizing<Vec<Line>>,
}

/// Eight groups on their way along the table.
struct State<const K: usize> {
    products: Zeroizing<Vec<Group<K>>>,
    sums: [Digit<K>; LANES],
    factors: [Digit<K>; LANES],
    indices: Zeroizing<Indices>,
}

impl<const K: usize> Drop for State<K> {
    fn drop(&mut self) {
        self.sums.iter_mut().chain(&mut self.factors).for_each(wipe);
    }
}

impl<const K: usize> Table<K> {
    /// Lines that one digit of all entries takes.
    const fn digit_lines(window: usize) -> usize {
        (Ifma::<K>::LIMBS * PLANES) << (window - 6)
    }

    pub(super) fn new(kernel: Arc<Ifma<K>>, base: &[u64], exponent_bits: usize) -> Self {
        let bytes = |w: usize| exponent_bits.div_ceil(w) * 2 * Self::digit_lines(w) * 64;
        let window = if bytes(8) <= TABLE_BYTES { 8 } else { 7 };
        let positions = exponent_bits.div_ceil(window);
        // The sum of all v is below 2^(spare bits − 1)·n, which `Ifma::add_multiple` can take.
        let spare = LIMB_BITS * Ifma::<K>::LIMBS - 64 * kernel.field.len();
        assert!(
            (positions.ilog2() as usize) < spare - 1,
            "as many positions as a lazy sum may have"
        );
        // g^(2^(w·i)) and its inverse, for every position i.
        let mut bases = Zeroizing::new(base.to_vec());
        bases.extend_from_slice(&invert_one(kernel.as_ref(), &kernel.field, base));
        let pair = bases.len();
        for i in 1..positions {
            bases.extend_from_within((i - 1) * pair..);
            kernel.square(&mut bases[i * pair..], window);
        }
        let position_lines = 2 * Self::digit_lines(window);
        let mut lines = Zeroizing::new(vec![Line::default(); positions * position_lines]);
        lines
            .par_chunks_mut(LANES * position_lines)
            .zip(bases.par_chunks(LANES * pair))
            .for_each(|(lines, bases)| Self::fill(&kernel, window, lines, bases));
        Self { kernel, window, lines }
    }

    /// Fills up to eight positions, whose bases and their inverses alternate.
    fn fill(kernel: &Ifma<K>, window: usize, lines: &mut [Line], bases: &[u64]) {
        let stride = Ifma::<K>::STRIDE;
        let mut w = Workspace::new(kernel.cpu);
        let zero = || Zeroizing::new(Group::<K>::zero());
        let (mut base, mut inverse) = (zero(), zero());
        let last = bases.len() / (2 * stride) - 1;
        let residue = |i: usize| &bases[i * stride..(i + 1) * stride];
        base.load(kernel.cpu, core::array::from_fn(|lane| residue(2 * lane.min(last))));
        inverse.load(kernel.cpu, core::array::from_fn(|lane| residue(2 * lane.min(last) + 1)));
        let (mut entry, mut reciprocal) = (zero(), zero());
        kernel.load(&mut entry, &kernel.one);
        kernel.load(&mut reciprocal, &kernel.one);
        let mut limbs = Zeroizing::new(vec![[0; LANES]; Ifma::<K>::LIMBS]);
        let digit_lines = Self::digit_lines(window);
        for d in 0..1 << window {
            let mut ratio = zero();
            ratio.low = entry.high;
            kernel.modulus.multiply_digit(&mut ratio.low, &reciprocal.low, &mut w);
            kernel.modulus.canonical_digit(&mut ratio.low, &w);
            for (half, digit) in [&entry.low, &ratio.low].into_iter().enumerate() {
                lanes_of(kernel.cpu, digit, &mut limbs);
                for (lane, position) in lines.chunks_exact_mut(2 * digit_lines).enumerate() {
                    let planes = position[half * digit_lines..][..digit_lines]
                        .chunks_exact_mut(1 << (window - 6));
                    let bytes =
                        limbs.iter().flat_map(|limb| (0..PLANES).map(|j| limb[lane] >> (8 * j)));
                    for (plane, byte) in planes.zip(bytes) {
                        plane[d / 64].0[d % 64] = byte as u8;
                    }
                }
            }
            kernel.modulus.multiply(&mut entry, &base, &mut w);
            kernel.modulus.multiply(&mut reciprocal, &inverse, &mut w);
        }
    }

    /// The powers of up to [`TOGETHER`] exponents.
    fn walk(&self, out: &mut [u64], exponents: &[u64], exponent_limbs: usize) {
        let (kernel, modulus) = (&*self.kernel, &self.kernel.modulus);
        let exponents = || exponents.chunks(PLANE_LANES * exponent_limbs);
        let mut w = Workspace::new(kernel.cpu);
        let mut states: Vec<State<K>> = exponents()
            .map(|exponents| State {
                products: Zeroizing::new(vec![
                    Group::zero();
                    (exponents.len() / exponent_limbs).div_ceil(LANES)
                ]),
                sums: [zero_digit(); LANES],
                factors: [zero_digit(); LANES],
                indices: Zeroizing::new(Indices::new()),
            })
            .collect();
        let digit_lines = Self::digit_lines(self.window);
        for (i, position) in self.lines.chunks_exact(2 * digit_lines).enumerate() {
            let (low, ratios) = position.split_at(digit_lines);
            for (state, exponents) in states.iter_mut().zip(exponents()) {
                for (residue, e) in exponents.chunks_exact(exponent_limbs).enumerate() {
                    state.indices.set(residue, limbs::bits(e, self.window * i, self.window));
                }
                let State { products, sums, factors, indices } = state;
                indices.look_up(kernel.cpu, low, self.window, factors);
                for (product, factor) in products.iter_mut().zip(&*factors) {
                    if i == 0 {
                        product.low = *factor;
                    } else {
                        modulus.multiply_short(product, factor, &mut w);
                    }
                }
                indices.look_up(kernel.cpu, ratios, self.window, factors);
                for (sum, factor) in sums.iter_mut().zip(&*factors) {
                    modulus.add_lazily(sum, factor, &w);
                }
            }
        }
        let mut stored = Zeroizing::new(vec![0; LANES * Ifma::<K>::STRIDE]);
        let products =
            states.iter_mut().flat_map(|state| state.products.iter_mut().zip(&mut state.sums));
        for ((product, sum), out) in products.zip(out.chunks_mut(stored.len())) {
            modulus.carry(sum, &w);
            kernel.add_multiple(product, sum, &mut w);
            product.store(kernel.cpu, &mut stored);
            out.copy_from_slice(&stored[..out.len()]);
        }
    }
}

impl<const K: usize> Powers for Table<K> {
    fn powers(&self, exponents: &[u64], exponent_limbs: usize) -> Residues {
        let stride = Ifma::<K>::STRIDE;
        let count = exponents.len() / exponent_limbs;
        let mut words = Zeroizing::new(vec![0; count * stride]);
        let size = kernel::chunk(self.kernel.as_ref(), count).min(TOGETHER);
        words
            .par_chunks_mut(size * stride)
            .zip(exponents.par_chunks(size * exponent_limbs))
            .for_each(|(out, exponents)| self.walk(out, exponents, exponent_limbs));
        Residues { words, stride }
    }
}
