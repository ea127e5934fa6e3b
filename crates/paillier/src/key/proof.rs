//! Proof that a modulus is a product of two primes fit for Paillier.

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::prime;
use super::public::{ModulusBits, PublicKey, random_unit};
use super::secret::{Half, Recombination, SecretKey};
use crate::error::KeyError;
use crate::kernel::Choice;
use crate::limbs;
use crate::montgomery::{Montgomery, Scratch};

/// Rounds of the proof. A false statement passes with probability at most 2^−128 a guess; because the
/// challenges come from a hash, a cheating prover may try many, and 128 rounds leave no shortcut.
pub const PROOF_ROUNDS: usize = 128;

/// The Paillier–Blum modulus proof (Canetti, Gennaro, Goldfeder, Makriyannis and Peled, CCS 2020,
/// figure "Π^mod"), made non-interactive by deriving the challenges y_i from N, w and a tag that binds
/// the run.
///
/// It shows that N is the product of two primes ≡ 3 (mod 4) with gcd(N, φ(N)) = 1, and nothing more:
/// the verifier learns fourth roots and N-th roots of numbers chosen by the hash. It does not show
/// that the primes are safe or of equal length; that protects the owner, who chose them.
///
/// For each i: x_i⁴ = (−1)^a_i·w^b_i·y_i and z_i^N = y_i modulo N, where w has Jacobi symbol −1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulusProof {
    bits: ModulusBits,
    w: Vec<u64>,
    rounds: Vec<Round>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Round {
    x: Vec<u64>,
    z: Vec<u64>,
    a: bool,
    b: bool,
}

impl ModulusProof {
    /// Proves the key's modulus for the run that `tag` identifies. Costs four exponentiations modulo a
    /// prime a round.
    pub fn prove<R: CryptoRng + ?Sized>(key: &SecretKey, tag: &[u8; 32], rng: &mut R) -> Self {
        let public = key.public();
        let factors = key.factors();
        let p = Prover::new(&factors.p, factors.q.field.modulus());
        let q = Prover::new(&factors.q, factors.p.field.modulus());
        // w is a square modulo exactly one of the primes.
        let (w, root_p, root_q) = loop {
            let w = random_unit(public, rng);
            let (root_p, root_q) = (p.fourth_root(&w), q.fourth_root(&w));
            if root_p.is_square != root_q.is_square {
                break (w, root_p, root_q);
            }
        };
        let n = public.modulus_limbs();
        let rounds = challenges(n, &w, tag)
            .par_iter()
            .map(|y| {
                let (y_p, y_q) = (p.fourth_root(y), q.fourth_root(y));
                // The square among ±y and ±w·y; fourth roots multiply.
                let b = y_p.is_square != y_q.is_square;
                let a = !(y_p.is_square ^ (b & !root_p.is_square));
                let x_p = p.times_if(&y_p.root, &root_p.root, b);
                let x_q = q.times_if(&y_q.root, &root_q.root, b);
                let mut recombination = Recombination::new();
                let z = factors.combine(&p.nth_root(y), &q.nth_root(y), &mut recombination);
                let x = factors.combine(&x_p, &x_q, &mut recombination);
                Round { x: x.to_vec(), z: z.to_vec(), a, b }
            })
            .collect();
        Self { bits: public.bits(), w: w.to_vec(), rounds }
    }

    /// Verifies a peer's modulus, little-endian and [`ModulusBits::bytes`] wide, and makes its public
    /// key. Besides the rounds: N has exactly its length, no factor below 2^20, and is not prime.
    ///
    /// # Errors
    /// The [`KeyError`] that says which check failed.
    pub fn verify(
        &self,
        bits: ModulusBits,
        modulus: &[u8],
        tag: &[u8; 32],
    ) -> Result<PublicKey, KeyError> {
        if modulus.len() != bits.bytes() || self.bits != bits {
            return Err(KeyError::WrongLength);
        }
        let n = limbs::from_le_bytes(modulus);
        if n[n.len() - 1] >> 63 != 1 {
            return Err(KeyError::WrongLength);
        }
        if n[0] & 1 == 0 || prime::small_primes().iter().any(|&r| prime::remainder(&n, r) == 0) {
            return Err(KeyError::SmallFactor);
        }
        if prime::is_fermat_probable_prime(&n) {
            return Err(KeyError::NotComposite);
        }
        let numbers = self.rounds.iter().flat_map(|round| [&round.x, &round.z]);
        if self.rounds.len() != PROOF_ROUNDS
            || numbers.chain([&self.w]).any(|x| limbs::is_less(x, &n) == 0)
        {
            return Err(KeyError::MalformedProof);
        }
        let public = PublicKey::new_trusted(bits, &n, Choice::Fastest);
        // Two primes ≡ 3 (mod 4) have a product ≡ 1.
        if n[0] & 3 != 1 {
            return Err(KeyError::InvalidProof);
        }
        // With w ≡ 0 modulo a factor, x = 0 would pass there whatever y is.
        if public.modulus().invert(&self.w).is_none() {
            return Err(KeyError::MalformedProof);
        }
        let challenges = challenges(&n, &self.w, tag);
        let valid = self
            .rounds
            .par_iter()
            .zip(&challenges)
            .all(|(round, y)| round.is_valid(public.modulus(), &self.w, y));
        if valid { Ok(public) } else { Err(KeyError::InvalidProof) }
    }

    /// Bytes of an encoded proof.
    pub const fn encoded_len(bits: ModulusBits) -> usize {
        bits.bytes() + PROOF_ROUNDS * (2 * bits.bytes() + 1)
    }

    /// w, then x ‖ z ‖ (a + 2b) of each round; numbers little-endian, as wide as N.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = limbs::to_le_bytes(&self.w);
        for round in &self.rounds {
            out.extend_from_slice(&limbs::to_le_bytes(&round.x));
            out.extend_from_slice(&limbs::to_le_bytes(&round.z));
            out.push(u8::from(round.a) | (u8::from(round.b) << 1));
        }
        out
    }

    /// The inverse of [`encode`](Self::encode).
    ///
    /// # Errors
    /// [`KeyError::MalformedProof`] for another length or a flag above 3.
    pub fn decode(bits: ModulusBits, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != Self::encoded_len(bits) {
            return Err(KeyError::MalformedProof);
        }
        let (w, rest) = bytes.split_at(bits.bytes());
        let rounds = rest
            .chunks_exact(2 * bits.bytes() + 1)
            .map(|round| {
                let flags = round[2 * bits.bytes()];
                let (x, z) = round[..2 * bits.bytes()].split_at(bits.bytes());
                let (x, z) = (limbs::from_le_bytes(x), limbs::from_le_bytes(z));
                (flags <= 3).then_some(Round { x, z, a: flags & 1 == 1, b: flags & 2 == 2 })
            })
            .collect::<Option<_>>()
            .ok_or(KeyError::MalformedProof)?;
        Ok(Self { bits, w: limbs::from_le_bytes(w), rounds })
    }
}

impl Round {
    fn is_valid(&self, n: &Montgomery, w: &[u64], y: &[u64]) -> bool {
        let mut scratch = Scratch::new();
        let mut enter = |x: &[u64]| {
            let mut form = x.to_vec();
            n.enter(&mut form, &mut scratch);
            form
        };
        let (mut x, z, w, mut expected) = (enter(&self.x), enter(&self.z), enter(w), enter(y));
        if *n.pow(&z, n.modulus()) != expected {
            return false;
        }
        n.square(&mut x, &mut scratch);
        n.square(&mut x, &mut scratch);
        if self.b {
            n.multiply(&mut expected, &w, &mut scratch);
        }
        n.negate_if(&mut expected, u64::from(self.a));
        x == expected
    }
}

/// The numbers y_i below N: exactly uniform if the hash is a random function.
fn challenges(n: &[u64], w: &[u64], tag: &[u8; 32]) -> Vec<Vec<u64>> {
    let mut hash = blake3::Hasher::new_derive_key("paillier v1 modulus proof challenges");
    hash.update(tag);
    hash.update(&limbs::to_le_bytes(n));
    hash.update(&limbs::to_le_bytes(w));
    let mut stream = hash.finalize_xof();
    let mut bytes = vec![0; 8 * n.len()];
    let mut draw = || {
        loop {
            stream.fill(&mut bytes);
            let y = limbs::from_le_bytes(&bytes);
            if limbs::is_less(&y, n) == 1 {
                return y;
            }
        }
    };
    (0..PROOF_ROUNDS).map(|_| draw()).collect()
}

/// Roots modulo one prime, in constant time.
struct Prover<'a> {
    half: &'a Half,
    /// ((p + 1)/4)² mod (p − 1).
    fourth: Zeroizing<Vec<u64>>,
    /// N⁻¹ mod (p − 1).
    nth: Zeroizing<Vec<u64>>,
}

struct FourthRoot {
    /// A fourth root of v if v is a square modulo p, else of −v.
    root: Zeroizing<Vec<u64>>,
    is_square: bool,
}

impl<'a> Prover<'a> {
    fn new(half: &'a Half, other: &[u64]) -> Self {
        let mut scratch = Scratch::new();
        let h = half.field.len();
        // p' = (p − 1)/2, and 1/2 modulo p' is (p' + 1)/2.
        let shifted = |x: &[u64]| -> Zeroizing<Vec<u64>> {
            let next = |i: usize| x.get(i + 1).map_or(0, |limb| limb << 63);
            Zeroizing::new((0..h).map(|i| (x[i] >> 1) | next(i)).collect())
        };
        let order = shifted(half.field.modulus());
        let subgroup = Montgomery::new(&order);
        let mut fourth = shifted(&order);
        limbs::add_assign(&mut fourth, &[1]);
        let inverse_of_two = fourth.clone();
        // Squares have order p', and ((p + 1)/4)² = 1/4 modulo p'.
        subgroup.multiply_plain(&mut fourth, &inverse_of_two, &mut scratch);
        // The inverse of N modulo 2p': the odd one of its representatives modulo p'. N ≡ q, as p ≡ 1.
        let n = subgroup.residue(other, &mut scratch);
        let mut nth = subgroup.invert(&n).expect("gcd(N, φ(N)) = 1");
        let even = 1 ^ (nth[0] & 1);
        limbs::add_assign_if(&mut nth, &order, even);
        Self { half, fourth, nth }
    }

    /// v mod p in Montgomery form, for v below N.
    fn enter(&self, v: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut scratch = Scratch::new();
        let mut form = self.half.field.residue(v, &mut scratch);
        self.half.field.enter(&mut form, &mut scratch);
        form
    }

    fn fourth_root(&self, v: &[u64]) -> FourthRoot {
        let (field, mut scratch) = (&self.half.field, Scratch::new());
        let v = self.enter(v);
        let root = field.pow(&v, &self.fourth);
        let mut power = root.clone();
        field.square(&mut power, &mut scratch);
        field.square(&mut power, &mut scratch);
        FourthRoot { is_square: *power == *v, root }
    }

    /// Canonical root·other^b. The flag is part of the proof, so it may be branched on.
    fn times_if(&self, root: &[u64], other: &[u64], b: bool) -> Zeroizing<Vec<u64>> {
        let (field, mut scratch) = (&self.half.field, Scratch::new());
        let mut x = Zeroizing::new(root.to_vec());
        if b {
            field.multiply(&mut x, other, &mut scratch);
        }
        field.leave(&mut x, &mut scratch);
        x
    }

    /// Canonical N-th root of y.
    fn nth_root(&self, y: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut z = self.half.field.pow(&self.enter(y), &self.nth);
        self.half.field.leave(&mut z, &mut Scratch::new());
        z
    }
}
