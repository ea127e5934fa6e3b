//! The consistency check of the extension: a universal hash over GF(2^128).
//!
//! A's choice bits u and both sides' 128 columns are cut into blocks of 128 bits, read as elements of
//! GF(2)[x]/(x^128 + x^7 + x^2 + x + 1), and hashed as Σ X_b·χ^(n−b) for b = 1..n. The hash is linear
//! over GF(2), so columns that satisfy q = t ⊕ Δ·u before hashing satisfy it after. If they do not,
//! the relation survives for at most n of the 2^128 values of χ. χ comes from a random oracle over
//! A's message, after A can no longer change it (Fiat and Shamir).
//!
//! **Why nothing leaks.** Block n is sacrificed: its 128 transfers are never used. Its coefficient
//! is 1, so A's hash of u is the hash of the real choices plus a block that is uniform to B. The
//! hash of A's columns is a function of that value and of what B knows, and carries nothing else.
//!
//! Columns are hashed after transposition: word r of the state holds bit r of the hash of all 128
//! columns. χ is public, and the only thing whose value shows in the running time.

use zeroize::{Zeroize, Zeroizing};

use super::extension::Span;
use super::prg::{halves, join, xor_words};

/// Derives χ from everything that fixes A's message.
pub(super) fn challenge(tag: &[u8; 32], span: &Span, corrections: &[u128]) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("caesar/v1 transfer extension: challenge");
    hasher.update(tag);
    hasher.update(&span.first_block.to_le_bytes());
    hasher.update(&(span.count as u64).to_le_bytes());
    hasher.update(&(corrections.len() as u64).to_le_bytes());
    let mut buffer = Vec::with_capacity(1 << 14);
    for part in corrections.chunks(1 << 10) {
        buffer.clear();
        buffer.extend(part.iter().flat_map(|c| c.to_le_bytes()));
        hasher.update(&buffer);
    }
    let mut chi = [0u8; 16];
    hasher.finalize_xof().fill(&mut chi);
    u128::from_le_bytes(chi)
}

/// Hash of the 128 columns given by their rows; `rows` is a whole number of blocks.
pub(super) fn hash_columns_vartime(rows: &[u128], chi: u128) -> Zeroizing<[u128; 128]> {
    let digits = windows(chi);
    let mut state = Zeroizing::new(Sliced::default());
    for block in rows.chunks_exact(128) {
        state.multiply_vartime(&digits);
        for (s, row) in state.words.chunks_exact_mut(2).zip(block) {
            xor_words(s, &halves(*row));
        }
    }
    Zeroizing::new(std::array::from_fn(|r| join(state.words[2 * r], state.words[2 * r + 1])))
}

/// Hash of one column given as blocks.
pub(super) fn hash_bits_vartime(blocks: &[u128], chi: u128) -> u128 {
    blocks.iter().fold(0, |state, block| multiply_vartime(state, chi) ^ block)
}

/// What A proves about its columns: one digest in place of 2 KiB.
pub(super) fn digest(tag: &[u8; 32], chi: u128, columns: &[u128; 128]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("caesar/v1 transfer extension: columns");
    hasher.update(tag);
    hasher.update(&chi.to_le_bytes());
    for word in columns {
        hasher.update(&word.to_le_bytes());
    }
    let digest = *hasher.finalize().as_bytes();
    hasher.zeroize();
    digest
}

/// Writes χ as Σ x^shift·w with w one of 1, 1 + x, 1 + x^2, 1 + x + x^2, given as index 0 to 3.
fn windows(chi: u128) -> Vec<(usize, usize)> {
    let mut digits = Vec::with_capacity(43);
    let mut shift = 0;
    while shift < 128 && chi >> shift != 0 {
        shift += (chi >> shift).trailing_zeros() as usize;
        digits.push((shift, (chi >> shift >> 1 & 3) as usize));
        shift += 3;
    }
    digits
}

/// 128 field elements: words 2·r and 2·r + 1 hold bit r of all of them.
#[derive(Zeroize)]
struct Sliced {
    words: [u64; 256],
    /// Scratch of the multiplication: the elements times 1, 1 + x, 1 + x^2, 1 + x + x^2.
    multiples: [[u64; 260]; 4],
    /// Scratch of the multiplication: the product before reduction.
    wide: [u64; 516],
}

impl Default for Sliced {
    fn default() -> Self {
        Self { words: [0; 256], multiples: [[0; 260]; 4], wide: [0; 516] }
    }
}

impl Sliced {
    /// Multiplies every element by Σ of the digits of [`windows`].
    ///
    /// Multiplication by x moves the bits by one place, which is free here, so the multiples take
    /// four additions and every digit one.
    fn multiply_vartime(&mut self, digits: &[(usize, usize)]) {
        for (index, multiple) in self.multiples.iter_mut().enumerate() {
            multiple[..256].copy_from_slice(&self.words);
            multiple[256..].fill(0);
            for place in (1..3).filter(|place| index >> (place - 1) & 1 == 1) {
                xor_words(&mut multiple[2 * place..], &self.words);
            }
        }
        self.wide.fill(0);
        for &(shift, index) in digits {
            xor_words(&mut self.wide[2 * shift..], &self.multiples[index]);
        }
        // The product has degree 254 at most; x^r = x^(r−128)·(1 + x + x^2 + x^7).
        for word in (256..510).rev() {
            let high = self.wide[word];
            for tap in [0, 1, 2, 7] {
                self.wide[word - 256 + 2 * tap] ^= high;
            }
        }
        self.words.copy_from_slice(&self.wide[..256]);
    }
}

/// One product in the field; `chi` shows in the running time, `a` does not.
fn multiply_vartime(a: u128, chi: u128) -> u128 {
    (0..128).rev().fold(0u128, |product, bit| {
        let carry = (product >> 127).wrapping_neg() & 0x87;
        let doubled = (product << 1) ^ carry;
        if (chi >> bit) & 1 == 1 { doubled ^ a } else { doubled }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ot::transpose::transpose;

    /// x·x^127 = x^7 + x^2 + x + 1, and a product computed by hand.
    #[test]
    fn field_reduces_by_its_polynomial() {
        assert_eq!(multiply_vartime(2, 1 << 127), 0x87);
        assert_eq!(multiply_vartime(0b11, 0b101), 0b1111);
        assert_eq!(multiply_vartime(1, u128::MAX), u128::MAX);
    }

    #[test]
    fn sliced_product_equals_128_products() {
        let mut columns = [0u128; 128];
        let mut v = 1u128;
        for c in &mut columns {
            v = multiply_vartime(v, 0xdead_beef_0000_0000_1234_5678_9abc_def1);
            *c = v;
        }
        for chi in [0, 1, 2, 7 << 125, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            // Hashing the columns and then a block of zeros multiplies them by χ once.
            let mut rows = columns;
            transpose(&mut rows);
            let mut sliced = *hash_columns_vartime(&[rows, [0; 128]].concat(), chi);
            transpose(&mut sliced);
            assert_eq!(sliced, columns.map(|c| multiply_vartime(c, chi)), "{chi:#x}");
        }
    }
}
