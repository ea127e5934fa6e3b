//! Between residues in contiguous words and groups of eight.

use core::arch::x86_64::*;

use super::{Cpu, Group, LANES, with_features};

impl<const K: usize> Group<K> {
    /// Loads eight residues of [`STRIDE`](Self::STRIDE) words.
    pub(in super::super) fn load(&mut self, cpu: Cpu, residues: [&[u64]; LANES]) {
        let Cpu(()) = cpu;
        // SAFETY: `Cpu` proves the features.
        unsafe { load(self, residues) };
    }

    /// Writes eight residues of [`STRIDE`](Self::STRIDE) words, one after the other.
    pub(in super::super) fn store(&self, cpu: Cpu, out: &mut [u64]) {
        let Cpu(()) = cpu;
        // SAFETY: `Cpu` proves the features.
        unsafe { store(self, out) };
    }
}

with_features! {
    fn load<const K: usize>(group: &mut Group<K>, residues: [&[u64]; LANES]) {
        let words = group.low.as_flattened_mut().iter_mut();
        let mut words = words.chain(group.high.as_flattened_mut());
        let columns = residues.map(|residue| residue[..Group::<K>::STRIDE].as_chunks::<LANES>().0);
        for chunk in 0..Group::<K>::STRIDE / LANES {
            let mut block = [_mm512_setzero_si512(); LANES];
            for (register, column) in block.iter_mut().zip(&columns) {
                *register = load_eight(&column[chunk]);
            }
            // The last block is longer than what is left where the stride is padded.
            for (register, word) in transpose(block).into_iter().zip(words.by_ref()) {
                *word = register;
            }
        }
    }

    fn store<const K: usize>(group: &Group<K>, out: &mut [u64]) {
        let mut words = group.low.as_flattened().iter().chain(group.high.as_flattened());
        let out = out[..LANES * Group::<K>::STRIDE].as_chunks_mut::<LANES>().0;
        for chunk in 0..Group::<K>::STRIDE / LANES {
            let mut block = [_mm512_setzero_si512(); LANES];
            for (register, word) in block.iter_mut().zip(words.by_ref()) {
                *register = *word;
            }
            for (lane, register) in transpose(block).into_iter().enumerate() {
                store_eight(&mut out[lane * (Group::<K>::STRIDE / LANES) + chunk], register);
            }
        }
    }

    #[inline]
    fn load_eight(words: &[u64; LANES]) -> __m512i {
        // SAFETY: `words` is as long as a register, and the load is an unaligned one.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline]
    fn store_eight(words: &mut [u64; LANES], register: __m512i) {
        // SAFETY: `words` is as long as a register, and the store is an unaligned one.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), register) };
    }

    /// The transpose of an 8 × 8 matrix of words: pairs of rows are interleaved, then quarters of
    /// registers are moved twice.
    #[inline]
    fn transpose(r: [__m512i; LANES]) -> [__m512i; LANES] {
        let mut even = [_mm512_setzero_si512(); 4];
        let mut odd = even;
        for i in 0..4 {
            even[i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
            odd[i] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
        }
        let [w0, w2, w4, w6] = gather_quarters(even);
        let [w1, w3, w5, w7] = gather_quarters(odd);
        [w0, w1, w2, w3, w4, w5, w6, w7]
    }

    /// Quarter j of register i becomes quarter i of register j.
    #[inline]
    fn gather_quarters(t: [__m512i; 4]) -> [__m512i; 4] {
        let u = [
            _mm512_shuffle_i64x2::<0x88>(t[0], t[1]),
            _mm512_shuffle_i64x2::<0xdd>(t[0], t[1]),
            _mm512_shuffle_i64x2::<0x88>(t[2], t[3]),
            _mm512_shuffle_i64x2::<0xdd>(t[2], t[3]),
        ];
        [
            _mm512_shuffle_i64x2::<0x88>(u[0], u[2]),
            _mm512_shuffle_i64x2::<0x88>(u[1], u[3]),
            _mm512_shuffle_i64x2::<0xdd>(u[0], u[2]),
            _mm512_shuffle_i64x2::<0xdd>(u[1], u[3]),
        ]
    }
}
