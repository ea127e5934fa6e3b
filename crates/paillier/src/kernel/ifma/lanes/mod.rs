//! Eight residues side by side in AVX-512 registers.
//!
//! **The only module of the crate with `unsafe` code.** Its surface is safe. What it relies on:
//!
//! - *Instructions.* Functions compiled for more than the base instruction set are called through
//!   wrappers that take a [`Cpu`], which only [`Cpu::detect`] makes, and only where the processor has
//!   every feature named in [`with_features!`].
//! - *Memory.* Loads and stores go through references to arrays of exactly a register's size, so length
//!   and validity are the type system's business; unaligned instructions are used wherever the type
//!   does not give the alignment.
//! - *Bit patterns.* A register is 512 plain bits; any value is valid.
#![allow(unsafe_code)]

mod arithmetic;
mod lookup;
mod transpose;

use core::arch::x86_64::{__m512i, _mm512_storeu_si512};

use zeroize::{DefaultIsZeroes, Zeroize};

pub(super) use arithmetic::{Modulus, Workspace};
pub(super) use lookup::{Indices, PLANE_LANES, PLANES};

/// Limbs a block, the unit of the multiplication loops: a tile of 10 × 10 products has 20 column sums
/// and 10 operands, which is what 32 registers hold.
pub(super) const BLOCK: usize = 10;
/// Bits a limb.
pub(super) const LIMB_BITS: usize = 52;
/// A limb's largest value.
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// Residues a group.
pub(super) const LANES: usize = 8;

/// Ten limbs of eight numbers: one register a limb, one 64-bit lane a number.
pub(super) type Block = [__m512i; BLOCK];
/// Eight numbers of K blocks.
pub(super) type Digit<const K: usize> = [Block; K];

/// Proof that the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu(());

impl Cpu {
    /// The proof, where it holds.
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi");
        all.then_some(Self(()))
    }
}

/// Defines functions for a processor with the features that [`Cpu`] vouches for.
macro_rules! with_features {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident $(<$(const $generic:ident: $kind:ty),+>)? ($($args:tt)*) $(-> $out:ty)? $body:block)+) => {
        $(
            $(#[$meta])*
            #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi")]
            $vis fn $name $(<$(const $generic: $kind),+>)? ($($args)*) $(-> $out)? $body
        )+
    };
}
use with_features;

/// Eight residues in digit form.
#[derive(Clone)]
pub(super) struct Group<const K: usize> {
    /// First digits.
    pub(super) low: Digit<K>,
    /// Second digits.
    pub(super) high: Digit<K>,
}

impl<const K: usize> Group<K> {
    /// Eight zeros.
    pub(super) const fn zero() -> Self {
        Self { low: zero_digit(), high: zero_digit() }
    }

    /// Words of one residue that the group holds.
    pub(super) const WORDS: usize = 2 * BLOCK * K;

    /// Words a residue outside, where it is padded to whole registers.
    pub(super) const STRIDE: usize = Self::WORDS.next_multiple_of(LANES);
}

impl<const K: usize> Zeroize for Group<K> {
    fn zeroize(&mut self) {
        wipe(&mut self.low);
        wipe(&mut self.high);
    }
}

/// Eight zeros.
pub(super) const fn zero_digit<const K: usize>() -> Digit<K> {
    // SAFETY: all bits zero is a valid value of a register.
    unsafe { core::mem::zeroed() }
}

/// Overwrites digits that can be secret.
pub(super) fn wipe<const K: usize>(digit: &mut Digit<K>) {
    digit.as_flattened_mut().iter_mut().for_each(Zeroize::zeroize);
}

/// The eight lanes of every limb of a digit: `limbs[i][lane]`.
pub(super) fn lanes_of<const K: usize>(cpu: Cpu, digit: &Digit<K>, limbs: &mut [[u64; LANES]]) {
    let Cpu(()) = cpu;
    for (out, register) in limbs.iter_mut().zip(digit.as_flattened()) {
        // SAFETY: the processor has AVX-512F; `out` is as long as a register.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *register) };
    }
}

/// 64 bytes of a table, aligned like a register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

impl Default for Line {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl DefaultIsZeroes for Line {}
