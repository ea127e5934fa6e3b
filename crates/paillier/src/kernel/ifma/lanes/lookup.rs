//! Table look-ups whose instructions and addresses do not depend on what is looked up.
//!
//! A table holds words of 52 bits as seven *planes* of bytes: plane j has byte j of every entry. One
//! `vpermi2b` picks 64 bytes for 64 independent indices out of 128 entries held in two registers, so 64
//! residues are looked up together, and the whole table is read whatever the indices are.

use core::arch::x86_64::*;

use zeroize::Zeroize;

use super::{BLOCK, Block, Cpu, Digit, Group, LANES, Line, with_features};
use crate::limbs;

/// Bytes of a 52-bit word.
pub(in super::super) const PLANES: usize = 7;
/// Residues looked up together: eight groups.
pub(in super::super) const PLANE_LANES: usize = 64;

/// One index of 8 bits for each of 64 residues. Wiped by its owner.
pub(in super::super) struct Indices {
    low: Line,
    /// The highest bits of all indices.
    high: u64,
}

impl Indices {
    pub(in super::super) fn new() -> Self {
        Self { low: Line::default(), high: 0 }
    }

    /// Sets the index of a residue.
    pub(in super::super) fn set(&mut self, residue: usize, index: u64) {
        // Interleaving bytes to words leaves lanes 2m and 2m + 1 of group g at bytes 16m + 2g and the
        // next.
        let (group, lane) = (residue / LANES, residue % LANES);
        let at = 16 * (lane / 2) + 2 * group + lane % 2;
        self.low.0[at] = index as u8 & 0x7f;
        self.high = (self.high & !(1 << at)) | ((index >> 7 & 1) << at);
    }

    /// Looks up a digit of each residue. The table has 2^`window` entries (7 or 8), word by word,
    /// plane by plane.
    pub(in super::super) fn look_up<const K: usize>(
        &self,
        cpu: Cpu,
        table: &[Line],
        window: usize,
        digits: &mut [Digit<K>; LANES],
    ) {
        let Cpu(()) = cpu;
        assert_eq!(table.len(), (BLOCK * K * PLANES) << (window - 6), "a table of whole words");
        // SAFETY: `Cpu` proves the features.
        unsafe {
            match window {
                7 => look_up::<K, 2>(self, table, digits),
                8 => look_up::<K, 4>(self, table, digits),
                _ => unreachable!("windows have 7 or 8 bits"),
            }
        }
    }
}

impl Zeroize for Indices {
    fn zeroize(&mut self) {
        self.low.zeroize();
        self.high.zeroize();
    }
}

impl<const K: usize> Group<K> {
    /// Copies entry `pick` of a table of N, which is the same one for all lanes, reading every entry.
    pub(in super::super) fn select<const N: usize>(
        &mut self,
        cpu: Cpu,
        table: &[Self; N],
        pick: u64,
    ) {
        let Cpu(()) = cpu;
        let mut masks = [0; N];
        for (e, mask) in masks.iter_mut().enumerate() {
            *mask = limbs::mask(limbs::is_zero(&[pick ^ e as u64]));
        }
        for block in 0..K {
            // SAFETY: `Cpu` proves the features.
            unsafe {
                select(
                    &mut self.low[block],
                    table.each_ref().map(|entry| &entry.low[block]),
                    &masks,
                );
                select(
                    &mut self.high[block],
                    table.each_ref().map(|entry| &entry.high[block]),
                    &masks,
                );
            }
        }
        masks.zeroize();
    }
}

with_features! {
    /// REGISTERS registers hold a plane.
    fn look_up<const K: usize, const REGISTERS: usize>(
        indices: &Indices,
        table: &[Line],
        digits: &mut [Digit<K>; LANES],
    ) {
        let index = load_line(&indices.low);
        let (planes, _) = table.as_chunks::<REGISTERS>();
        let (words, _) = planes.as_chunks::<PLANES>();
        for (k, word) in words.iter().enumerate() {
            let mut bytes = [_mm512_setzero_si512(); LANES];
            for (out, plane) in bytes.iter_mut().zip(word) {
                let pick = |at: usize| {
                    _mm512_permutex2var_epi8(load_line(&plane[at]), index, load_line(&plane[at + 1]))
                };
                *out = match REGISTERS {
                    2 => pick(0),
                    _ => _mm512_mask_blend_epi8(indices.high, pick(0), pick(2)),
                };
            }
            for (digit, register) in digits.iter_mut().zip(join_bytes(bytes)) {
                digit.as_flattened_mut()[k] = register;
            }
        }
    }

    /// Words out of their bytes: `b[j]` holds byte j of 64 words. The order of the words is what
    /// [`Indices::set`] expects.
    #[inline]
    fn join_bytes(b: [__m512i; 8]) -> [__m512i; 8] {
        let mut pairs = [[_mm512_setzero_si512(); 2]; 4];
        for (j, pair) in pairs.iter_mut().enumerate() {
            *pair = [
                _mm512_unpacklo_epi8(b[2 * j], b[2 * j + 1]),
                _mm512_unpackhi_epi8(b[2 * j], b[2 * j + 1]),
            ];
        }
        let mut out = [_mm512_setzero_si512(); 8];
        for half in 0..2 {
            let [p, q, r, s] = pairs.map(|pair| pair[half]);
            let low = [_mm512_unpacklo_epi16(p, q), _mm512_unpackhi_epi16(p, q)];
            let high = [_mm512_unpacklo_epi16(r, s), _mm512_unpackhi_epi16(r, s)];
            for quarter in 0..2 {
                let at = 4 * half + 2 * quarter;
                out[at] = _mm512_unpacklo_epi32(low[quarter], high[quarter]);
                out[at + 1] = _mm512_unpackhi_epi32(low[quarter], high[quarter]);
            }
        }
        out
    }

    /// As [`Group::select`], for one block of every entry.
    fn select<const N: usize>(out: &mut Block, entries: [&Block; N], masks: &[u64; N]) {
        let mut sum = [_mm512_setzero_si512(); BLOCK];
        for (entry, &mask) in entries.iter().zip(masks) {
            let mask = _mm512_set1_epi64(mask as i64);
            for (sum, x) in sum.iter_mut().zip(*entry) {
                // sum | (x & mask)
                *sum = _mm512_ternarylogic_epi64::<0xf8>(*sum, *x, mask);
            }
        }
        *out = sum;
    }

    #[inline]
    fn load_line(line: &Line) -> __m512i {
        // SAFETY: a line has the size and alignment of a register.
        unsafe { _mm512_load_si512(core::ptr::from_ref(line).cast()) }
    }
}
