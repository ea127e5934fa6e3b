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

/// One index, up to 9 bits, for each of 64 residues. Wiped by its owner.
pub(in super::super) struct Indices {
    low: Line,
    /// Bits 7 and 8 of all indices.
    high: [u64; 2],
}

impl Indices {
    pub(in super::super) fn new() -> Self {
        Self { low: Line::default(), high: [0; 2] }
    }

    /// Sets the index of a residue.
    pub(in super::super) fn set(&mut self, residue: usize, index: u64) {
        // Interleaving bytes to words leaves lanes 2m and 2m + 1 of group g at bytes 16m + 2g and the
        // next.
        let (group, lane) = (residue / LANES, residue % LANES);
        let at = 16 * (lane / 2) + 2 * group + lane % 2;
        self.low.0[at] = index as u8 & 0x7f;
        for (bit, mask) in self.high.iter_mut().enumerate() {
            *mask = (*mask & !(1 << at)) | ((index >> (7 + bit) & 1) << at);
        }
    }

    /// Looks up a digit of each residue. The table has 2^`window` entries (7, 8 or 9), word by word,
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
                9 => look_up::<K, 8>(self, table, digits),
                _ => unreachable!("windows have 7 to 9 bits"),
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
    /// Copies entry `pick` of a table, which is the same one for all lanes, reading every entry.
    pub(in super::super) fn select(&mut self, cpu: Cpu, table: &[Self], pick: u64) {
        let Cpu(()) = cpu;
        for block in 0..K {
            // SAFETY: `Cpu` proves the features.
            unsafe {
                select(&mut self.low[block], table.iter().map(|entry| &entry.low[block]), pick);
                select(&mut self.high[block], table.iter().map(|entry| &entry.high[block]), pick);
            }
        }
    }
}

/// As [`Group::select`], for one block of every entry.
#[target_feature(enable = "avx512f")]
fn select<'a>(out: &mut Block, entries: impl Iterator<Item = &'a Block>, pick: u64) {
    let mut sum = [_mm512_setzero_si512(); BLOCK];
    for (e, entry) in entries.enumerate() {
        let mask = _mm512_set1_epi64(limbs::mask(limbs::is_zero(&[pick ^ e as u64])) as i64);
        for (sum, x) in sum.iter_mut().zip(entry) {
            // sum | (x & mask)
            *sum = _mm512_ternarylogic_epi64::<0xf8>(*sum, *x, mask);
        }
    }
    *out = sum;
}

with_features! {
    /// REGISTERS registers hold a plane.
    fn look_up<const K: usize, const REGISTERS: usize>(
        indices: &Indices,
        table: &[Line],
        digits: &mut [Digit<K>; LANES],
    ) {
        let index = load_line(&indices.low);
        let [bit7, bit8] = indices.high;
        let (planes, _) = table.as_chunks::<REGISTERS>();
        let (words, _) = planes.as_chunks::<PLANES>();
        for (k, word) in words.iter().enumerate() {
            let mut bytes = [_mm512_setzero_si512(); LANES];
            for (out, plane) in bytes.iter_mut().zip(word) {
                let pick = |at: usize| {
                    _mm512_permutex2var_epi8(load_line(&plane[at]), index, load_line(&plane[at + 1]))
                };
                let pick_of_256 =
                    |at: usize| _mm512_mask_blend_epi8(bit7, pick(at), pick(at + 2));
                *out = match REGISTERS {
                    2 => pick(0),
                    4 => pick_of_256(0),
                    _ => _mm512_mask_blend_epi8(bit8, pick_of_256(0), pick_of_256(4)),
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

    #[inline]
    fn load_line(line: &Line) -> __m512i {
        // SAFETY: a line has the size and alignment of a register.
        unsafe { _mm512_load_si512(core::ptr::from_ref(line).cast()) }
    }
}
