//! Safe primes: a sieve over p' and 2p' + 1 together, then Fermat and Miller–Rabin tests.

use std::sync::OnceLock;

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::montgomery::{Montgomery, Scratch};
use crate::{limbs, random};

/// Small primes go up to here. A candidate pair survives with a chance of about 1 in 230.
const SIEVE_BOUND: usize = 1 << 20;
/// Candidates p', p' + 2, p' + 4, … that are sieved at a time; for 1536-bit primes about as many as
/// are needed to meet one.
const SIEVE_LENGTH: usize = 1 << 19;
/// Rounds of Miller–Rabin: a composite p' passes with probability at most 4^−40 = 2^−80.
const ROUNDS: usize = 40;

/// The odd primes below [`SIEVE_BOUND`].
pub(super) fn small_primes() -> &'static [u32] {
    static PRIMES: OnceLock<Vec<u32>> = OnceLock::new();
    PRIMES.get_or_init(|| {
        let mut composite = vec![false; SIEVE_BOUND];
        let mut primes = Vec::new();
        for i in (3..SIEVE_BOUND).step_by(2) {
            if !composite[i] {
                primes.push(i as u32);
                (i * i..SIEVE_BOUND).step_by(2 * i).for_each(|j| composite[j] = true);
            }
        }
        primes
    })
}

/// x mod r.
pub(super) fn remainder(x: &[u64], r: u32) -> u32 {
    let r = u64::from(r);
    x.iter().rev().fold(0u64, |rest, limb| {
        let rest = ((rest << 32) | (limb >> 32)) % r;
        ((rest << 32) | (limb & 0xffff_ffff)) % r
    }) as u32
}

/// A random safe prime p = 2p' + 1 of exactly 64·`limbs` bits with its two top bits set; p' is odd,
/// so p ≡ 3 (mod 4).
///
/// Each window of candidates starts at a fresh random number and the first safe prime in it is
/// taken: the usual incremental search, which costs a negligible part of the entropy (Brandt and
/// Damgård, 1992). `tested` is called with the number of candidates that each window had tested.
pub(super) fn safe_prime<R: CryptoRng + ?Sized>(
    limbs: usize,
    rng: &mut R,
    tested: &mut dyn FnMut(usize),
) -> Zeroizing<Vec<u64>> {
    loop {
        let mut start = Zeroizing::new(vec![0; limbs]);
        random::fill_bits(&mut start, 64 * limbs - 1, rng);
        start[limbs - 1] |= 0b11 << 61;
        start[0] |= 1;
        let survivors = sieve(&start);
        let found = survivors.par_iter().find_first(|&&i| {
            let half = candidate(&start, i);
            has_safe_shape(&half) && is_safe_half(&half)
        });
        tested(survivors.len());
        if let Some(&i) = found {
            return double_plus_one(&candidate(&start, i));
        }
    }
}

/// Indices i for which neither c = start + 2i nor 2c + 1 has a small odd factor.
fn sieve(start: &[u64]) -> Vec<u32> {
    let mut composite = vec![false; SIEVE_LENGTH];
    for &r in small_primes() {
        let rest = remainder(start, r);
        let inverse_of_two = u64::from(r.div_ceil(2));
        // start + 2i ≡ 0, and start + 2i ≡ −1/2 = (r − 1)/2 (mod r).
        for target in [0, (r - 1) / 2] {
            let first = u64::from(target + r - rest) * inverse_of_two % u64::from(r);
            let mut i = first as usize;
            while i < SIEVE_LENGTH {
                composite[i] = true;
                i += r as usize;
            }
        }
    }
    (0..SIEVE_LENGTH as u32).filter(|&i| !composite[i as usize]).collect()
}

fn candidate(start: &[u64], i: u32) -> Zeroizing<Vec<u64>> {
    let mut c = Zeroizing::new(start.to_vec());
    limbs::add_assign(&mut c, &[2 * u64::from(i)]);
    c
}

fn double_plus_one(half: &[u64]) -> Zeroizing<Vec<u64>> {
    let mut p = Zeroizing::new(half.to_vec());
    limbs::double(&mut p);
    p[0] |= 1;
    p
}

/// Whether p' is odd and 2p' + 1 fills its limbs with the two top bits set.
fn has_safe_shape(half: &[u64]) -> bool {
    half[0] & 1 == 1 && half[half.len() - 1] >> 61 == 0b011
}

/// Whether p' and 2p' + 1 are prime, for a p' of the right shape.
///
/// Cheap tests come first. Once p' is prime, the base-2 test of p = 2p' + 1 is a proof (Pocklington:
/// p' > √p divides p − 1, and gcd(2² − 1, p) = 1).
fn is_safe_half(half: &[u64]) -> bool {
    let p = double_plus_one(half);
    remainder(&p, 3) != 0
        && is_fermat_probable_prime(&p)
        && is_fermat_probable_prime(half)
        && is_probable_prime(half)
}

/// Whether p is a safe prime of exactly its limbs' length with the two top bits set.
pub(super) fn is_safe_prime(p: &[u64]) -> bool {
    let mut half = Zeroizing::new(p.to_vec());
    for i in 0..p.len() {
        half[i] = (p[i] >> 1) | p.get(i + 1).map_or(0, |x| x << 63);
    }
    p[0] & 1 == 1 && has_safe_shape(&half) && is_safe_half(&half)
}

/// Whether 2^(n − 1) ≡ 1 (mod n), for an odd n of at least a quarter of its limbs' range. Every prime
/// passes.
pub(super) fn is_fermat_probable_prime(n: &[u64]) -> bool {
    let field = Montgomery::new(n);
    let mut scratch = Scratch::new();
    let mut exponent = Zeroizing::new(n.to_vec());
    exponent[0] ^= 1;
    let mut acc = Zeroizing::new(field.one().to_vec());
    for i in (0..64 * n.len()).rev() {
        field.square(&mut acc, &mut scratch);
        let mut doubled = acc.clone();
        field.add(&mut doubled, &acc);
        let take = limbs::mask(limbs::bits(&exponent, i, 1));
        for (a, d) in acc.iter_mut().zip(doubled.iter()) {
            *a ^= (*a ^ d) & take;
        }
    }
    acc.as_slice() == field.one()
}

/// [`ROUNDS`] rounds of Miller–Rabin on n ≡ 3 or 1 (mod 4), with bases derived from n by a hash: they
/// need no generator, and whoever chose n cannot choose them independently of it.
fn is_probable_prime(n: &[u64]) -> bool {
    let field = Montgomery::new(n);
    let mut minus_one = Zeroizing::new(field.one().to_vec());
    field.negate(&mut minus_one);
    let mut even = Zeroizing::new(n.to_vec());
    even[0] ^= 1;
    let twos = (0..64 * n.len()).take_while(|&i| limbs::bits(&even, i, 1) == 0).count();
    let mut odd = Zeroizing::new(even.to_vec());
    for (i, limb) in odd.iter_mut().enumerate() {
        let at = twos + 64 * i;
        *limb = limbs::bits(&even, at, 32) | (limbs::bits(&even, at + 32, 32) << 32);
    }
    let mut hash = blake3::Hasher::new_derive_key("paillier v1 miller-rabin bases");
    hash.update(&Zeroizing::new(limbs::to_le_bytes(n)));
    let mut stream = hash.finalize_xof();
    let mut bases = Zeroizing::new(vec![0; 8 * n.len() * ROUNDS]);
    stream.fill(&mut bases);
    bases.par_chunks(8 * n.len()).all(|bytes| {
        let mut scratch = Scratch::new();
        // A base above n is as good: only its residue counts, and `multiply` takes any below R.
        let mut base = Zeroizing::new(limbs::from_le_bytes(bytes));
        field.enter(&mut base, &mut scratch);
        let mut x = field.pow(&base, &odd);
        if x.as_slice() == field.one() {
            return true;
        }
        for _ in 0..twos {
            if *x == *minus_one {
                return true;
            }
            field.square(&mut x, &mut scratch);
        }
        limbs::is_zero(&base) == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_primes_are_complete() {
        let primes = small_primes();
        assert_eq!(primes.len(), 82_025 - 1); // π(2^20) without 2
        assert_eq!((primes[0], primes[primes.len() - 1]), (3, 1_048_573));
    }

    #[test]
    fn remainders_agree_with_native_ones() {
        let x = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128;
        for r in [3, 65_537, 1_048_573, u32::MAX] {
            let expected = (x % u128::from(r)) as u32;
            assert_eq!(remainder(&[x as u64, (x >> 64) as u64], r), expected, "modulus {r}");
        }
    }
}
