//! The kernel for processors with AVX512-IFMA: eight residues at a time.
//!
//! # Form
//!
//! Digit form as in [`portable`](super::portable), in radix 2^52: a residue x is kept as x·R mod n² with
//! R = 2^(52·L), as two digits of L = 10·K limbs, least significant limb first, padded to a multiple of 8
//! words. L leaves at least 8 bits to spare: R ≥ 2^8·n.
//!
//! Digits are redundant, **below 2n**, which makes final subtractions superfluous. For digits a, b below
//! 4n, the quotients q, t < R of the two reductions and d ≤ n with d + R − 1 ≡ 0 (mod n), a product is
//!
//! ```text
//! c0 = (a0·b0 + q·n)/R                               < 16n²/R + n             ≤ (1 + 1/16)·n,
//! c1 = (a0·b1 + a1·b0 + (d + R − 1 − q) + t·n)/R     < 32n²/R + n/R + 1 + n   ≤ (1 + 1/8)·n + 2,
//! ```
//!
//! both below 2n − 1. The value is c0 + c1·n with c0 taken as it is: nothing is owed to c1 when c0 ≥ n.
//! In place of −q, the second sum takes d + R − 1 − q ≡ −q (mod n), which is not negative in any limb.
//!
//! Residues outside are contiguous words, so that callers copy them and select among them; groups of
//! eight are transposed on the way in and out, which costs a few hundredths of a product.

mod fixed;
mod gather;
mod lanes;
mod radix;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Kernel, Powers, Residues};
use crate::limbs;
use crate::montgomery::Montgomery;
use lanes::{BLOCK, Cpu, Digit, Group, LANES, LIMB_BITS, LIMB_MASK, Modulus, Workspace};
use radix::{from_limbs, to_limbs};

/// Bits of the secret exponent that [`Kernel::power`] takes at a time.
const WINDOW: usize = 5;
/// Powers that it looks up.
const ENTRIES: usize = 1 << WINDOW;

pub(super) const NAME: &str = "ifma";

/// Whether the processor has the instructions.
pub(super) fn is_available() -> bool {
    Cpu::detect().is_some()
}

/// The kernel for n, where the processor has the instructions.
pub(super) fn kernel_for(n: &[u64]) -> Option<Arc<dyn Kernel>> {
    let cpu = Cpu::detect()?;
    // 520 bits a block, 8 of them all to spare.
    Some(match (64 * n.len() + 8).div_ceil(BLOCK * LIMB_BITS) {
        1 => Arc::new(Ifma::<1>::new(cpu, n)),
        2 => Arc::new(Ifma::<2>::new(cpu, n)),
        3 => Arc::new(Ifma::<3>::new(cpu, n)),
        4 => Arc::new(Ifma::<4>::new(cpu, n)),
        _ => Arc::new(Ifma::<6>::new(cpu, n)),
    })
}

/// See the module. K blocks of limbs a digit.
struct Ifma<const K: usize> {
    cpu: Cpu,
    modulus: Modulus<K>,
    /// The same n in 64-bit limbs, for inversions.
    field: Montgomery,
    /// The form of 1.
    one: Zeroizing<Vec<u64>>,
    /// The form of R in all lanes.
    r2: Zeroizing<Group<K>>,
    /// The residue 1 itself, in all lanes; multiplying by it leaves Montgomery form.
    unit: Digit<K>,
}

impl<const K: usize> Ifma<K> {
    /// Limbs a digit.
    const LIMBS: usize = BLOCK * K;
    /// Words a residue.
    const STRIDE: usize = Group::<K>::STRIDE;

    fn new(cpu: Cpu, n: &[u64]) -> Self {
        let h = n.len();
        assert!(n[h - 1] >> 63 == 1, "the modulus of a kernel fills its limbs");
        assert!(64 * h + 8 <= LIMB_BITS * Self::LIMBS, "a digit has bits to spare");
        // R modulo n² and then R², by doubling 1.
        let mut power = Zeroizing::new(vec![0; 2 * h]);
        power[0] = 1;
        let doubled = |power: &mut [u64]| {
            for _ in 0..LIMB_BITS * Self::LIMBS {
                super::portable::double(power, n);
            }
            Self::split(power, h)
        };
        let one = doubled(&mut power);
        // (1 − R) mod n, or n itself.
        let mut d = Zeroizing::new(n.to_vec());
        limbs::sub_assign(&mut d, &power[..h]);
        limbs::add_assign(&mut d, &[1]);
        let r2 = doubled(&mut power);
        let mut twice = Zeroizing::new(n.to_vec());
        let top = limbs::double(&mut twice);
        twice.push(top);
        let digit = |limbs: &[u64]| {
            let mut digit = Zeroizing::new(vec![0; Self::LIMBS]);
            to_limbs(&mut digit, limbs);
            digit
        };
        let n_inv = limbs::negated_inverse_of_limb(n[0]) & LIMB_MASK;
        let modulus = Modulus::new(&digit(n), n_inv, &digit(&d), &digit(&twice));
        let mut all = Zeroizing::new(Group::zero());
        all.load(cpu, [r2.as_slice(); LANES]);
        let mut unit = Group::<K>::zero();
        let mut words = vec![0; Self::STRIDE];
        words[0] = 1;
        unit.load(cpu, [words.as_slice(); LANES]);
        Self { cpu, modulus, field: Montgomery::new(n), one, r2: all, unit: unit.low }
    }

    /// Canonical digits of residues, each of twice `h` words, in radix 2^52 and the layout of residues.
    fn split(canonical: &[u64], h: usize) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(vec![0; canonical.len() / (2 * h) * Self::STRIDE]);
        for (words, x) in words.chunks_exact_mut(Self::STRIDE).zip(canonical.chunks_exact(2 * h)) {
            to_limbs(&mut words[..Self::LIMBS], &x[..h]);
            to_limbs(&mut words[Self::LIMBS..2 * Self::LIMBS], &x[h..]);
        }
        words
    }

    /// Calls `step` for every group of up to eight residues of `words`, which it may change.
    fn for_each_group(&self, words: &mut [u64], mut step: impl FnMut(usize, &mut Group<K>)) {
        let mut group = Zeroizing::new(Group::zero());
        let mut stored = Zeroizing::new(vec![0; LANES * Self::STRIDE]);
        for (i, words) in words.chunks_mut(LANES * Self::STRIDE).enumerate() {
            self.load(&mut group, words);
            step(i, &mut group);
            if words.len() == stored.len() {
                group.store(self.cpu, words);
            } else {
                group.store(self.cpu, &mut stored);
                words.copy_from_slice(&stored[..words.len()]);
            }
        }
    }

    /// Loads 1 to 8 residues; lanes that are left repeat the last one.
    fn load(&self, group: &mut Group<K>, words: &[u64]) {
        let count = words.len() / Self::STRIDE;
        group.load(
            self.cpu,
            core::array::from_fn(|lane| {
                &words[lane.min(count - 1) * Self::STRIDE..][..Self::STRIDE]
            }),
        );
    }

    /// Loads the numbers below R that `lane_words` gives as 64-bit limbs into one digit.
    fn load_digits<'a>(&self, lane_words: impl Iterator<Item = &'a [u64]>) -> Zeroizing<Group<K>> {
        let mut words = Zeroizing::new(vec![0; LANES * Self::STRIDE]);
        for (out, limbs) in words.chunks_exact_mut(Self::STRIDE).zip(lane_words) {
            to_limbs(&mut out[..Self::LIMBS], limbs);
        }
        let mut group = Zeroizing::new(Group::zero());
        self.load(&mut group, &words);
        group
    }

    /// `group.high += group.low·(form of m)`: multiplies by 1 + m·n, where `m` is below n·R/(2n).
    fn add_multiple(&self, group: &mut Group<K>, m: &Digit<K>, w: &mut Workspace<K>) {
        let mut term = Zeroizing::new(Group::<K>::zero());
        term.low = group.low;
        self.modulus.multiply_digit(&mut term.low, m, w);
        self.modulus.add(&mut group.high, &term.low, w);
    }

    /// Canonical digits, 2h words a residue, of residues in canonical digits of 52-bit limbs.
    fn join(&self, words: &[u64], out: &mut [u64]) {
        let h = self.field.len();
        for (words, out) in words.chunks_exact(Self::STRIDE).zip(out.chunks_exact_mut(2 * h)) {
            let (x0, x1) = out.split_at_mut(h);
            from_limbs(x0, &words[..Self::LIMBS]);
            from_limbs(x1, &words[Self::LIMBS..]);
        }
    }
}

impl<const K: usize> Kernel for Ifma<K> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn stride(&self) -> usize {
        Self::STRIDE
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn digit_limbs(&self) -> usize {
        self.field.len()
    }

    fn one(&self) -> &[u64] {
        &self.one
    }

    fn import(&self, canonical: &[u64]) -> Residues {
        let mut words = Self::split(canonical, self.field.len());
        let mut w = Workspace::new(self.cpu);
        self.for_each_group(&mut words, |_, group| self.modulus.multiply(group, &self.r2, &mut w));
        Residues { words, stride: Self::STRIDE }
    }

    fn export(&self, residues: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(residues.to_vec());
        let mut w = Workspace::new(self.cpu);
        self.for_each_group(&mut words, |_, group| {
            self.modulus.multiply_short(group, &self.unit, &mut w);
            self.modulus.canonical(group, &w);
        });
        let count = residues.len() / Self::STRIDE;
        let mut out = Zeroizing::new(vec![0; count * 2 * self.field.len()]);
        self.join(&words, &mut out);
        out
    }

    fn multiply(&self, acc: &mut [u64], operands: &[u64]) {
        let mut w = Workspace::new(self.cpu);
        let mut factor = Zeroizing::new(Group::zero());
        self.for_each_group(acc, |i, group| {
            let rest = &operands[i * LANES * Self::STRIDE..];
            self.load(&mut factor, &rest[..rest.len().min(LANES * Self::STRIDE)]);
            self.modulus.multiply(group, &factor, &mut w);
        });
    }

    fn multiply_gather(&self, acc: &mut [u64], operands: &[u64], plan: &[(u32, u32)]) {
        gather::multiply(self, acc, operands, plan);
    }

    fn square(&self, acc: &mut [u64], times: usize) {
        let mut w = Workspace::new(self.cpu);
        self.for_each_group(acc, |_, group| {
            for _ in 0..times {
                self.modulus.square(group, &mut w);
            }
        });
    }

    fn power(&self, bases: &[u64], exponent: &[u64]) -> Residues {
        let mut words = Zeroizing::new(bases.to_vec());
        let mut w = Workspace::new(self.cpu);
        let mut table = Zeroizing::new(vec![Group::zero(); ENTRIES]);
        let mut factor = Zeroizing::new(Group::zero());
        self.load(&mut table[0], &self.one);
        self.for_each_group(&mut words, |_, group| {
            for e in 1..ENTRIES {
                let (done, next) = table.split_at_mut(e);
                next[0].clone_from(&done[e - 1]);
                self.modulus.multiply(&mut next[0], group, &mut w);
            }
            let table: &[_; ENTRIES] = table.first_chunk().expect("as many entries");
            group.clone_from(&table[0]);
            for position in (0..(64 * exponent.len()).div_ceil(WINDOW)).rev() {
                for _ in 0..WINDOW {
                    self.modulus.square(group, &mut w);
                }
                let digit = limbs::bits(exponent, WINDOW * position, WINDOW);
                factor.select(self.cpu, table, digit);
                self.modulus.multiply(group, &factor, &mut w);
            }
        });
        Residues { words, stride: Self::STRIDE }
    }

    fn add_plain(&self, acc: &mut [u64], m: &[u64]) {
        let h = self.field.len();
        let mut w = Workspace::new(self.cpu);
        self.for_each_group(acc, |i, group| {
            let mut m = self.load_digits(m[i * LANES * h..].chunks_exact(h));
            self.modulus.multiply_digit(&mut m.low, &self.r2.low, &mut w);
            self.add_multiple(group, &m.low, &mut w);
        });
    }

    fn add_plain_canonical(&self, canonical: &mut [u64], m: &[u64]) {
        let h = self.field.len();
        let mut words = Self::split(canonical, h);
        let mut w = Workspace::new(self.cpu);
        self.for_each_group(&mut words, |i, group| {
            let mut m = self.load_digits(m[i * LANES * h..].chunks_exact(h));
            self.modulus.multiply_digit(&mut m.low, &self.r2.low, &mut w);
            self.add_multiple(group, &m.low, &mut w);
            self.modulus.canonical_digit(&mut group.high, &w);
        });
        self.join(&words, canonical);
    }

    fn fixed_base(self: Arc<Self>, base: &[u64], exponent_bits: usize) -> Box<dyn Powers> {
        Box::new(fixed::Table::new(self, base, exponent_bits))
    }
}

impl<const K: usize> fmt::Debug for Ifma<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ifma").field("limbs", &self.field.len()).finish_non_exhaustive()
    }
}
