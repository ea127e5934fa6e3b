//! Does the time of secret operations depend on secrets? The test of Reparaz, Balasch and Verbauwhede
//! (DATE 2017), on both kernels: inputs of two classes, a fixed one and random ones, take turns by
//! chance, and Welch's t compares their times. |t| above 5 that grows with the length of a run is a
//! leak; `control` leaks by design and shows that the method sees it here.
//!
//! `cargo dudect [-- --filter NAME]`; `docs/constant-time.md` has a run and what it does not show.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    hint::black_box,
    sync::Arc,
};

use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use num_bigint::BigUint;
use paillier::fixtures::{test_key_on, test_primes};
use paillier::kernel::{Choice, Kernel, choose};
use paillier::{
    Ciphertexts, HEADROOM_BITS, ModulusBits, OwnerEncryptor, PackLayout, Plaintext, Sanitiser,
    UniformMask, pack,
};
use rand::RngExt;
use rand::rand_core::{TryCryptoRng, TryRng};

const BITS: ModulusBits = ModulusBits::B2048;
/// Residues a call: what the table scan of the vector kernel looks up together.
const LANES: usize = 64;

/// Runs `count` calls on inputs of both classes in random order, all made before the first is timed.
fn compare<I, O>(
    runner: &mut CtRunner,
    rng: &mut BenchRng,
    count: usize,
    mut input: impl FnMut(Class, &mut BenchRng) -> I,
    mut call: impl FnMut(I) -> O,
) {
    // The classes' inputs are made and kept alike, so that caches do not tell them apart.
    let inputs: Vec<(Class, I)> = (0..count)
        .map(|_| {
            let class = if rng.random() { Class::Left } else { Class::Right };
            (class, input(class, rng))
        })
        .collect();
    let call = RefCell::new(&mut call);
    for (class, input) in inputs {
        let input = Cell::new(Some(input));
        runner.run_one(class, || {
            let input = input.take().expect("the harness calls once");
            call.borrow_mut()(black_box(input))
        });
    }
}

/// The fixed input in the left class, random words in the right one. Both allocate the same way: where
/// an input lies in memory must not tell its class.
fn words(class: Class, count: usize, fixed: u64, rng: &mut BenchRng) -> Vec<u64> {
    let mut words: Vec<u64> = (0..count).map(|_| rng.random()).collect();
    if matches!(class, Class::Left) {
        words.fill(fixed);
    }
    words
}

fn limbs(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|limb| u64::from_le_bytes(*limb)).collect()
}

/// Modulo p², as decryption and the owner's encryption compute.
fn secret_kernel(choice: Choice) -> Arc<dyn Kernel> {
    choose(choice, &limbs(&test_primes(BITS, 0)[0]))
}

/// Residues below the modulus: both digits zero but for their lowest words, or random.
fn residues(class: Class, kernel: &dyn Kernel, count: usize, rng: &mut BenchRng) -> Vec<u64> {
    let h = kernel.digit_limbs();
    let mut digits = words(class, 2 * h * count, 0, rng);
    for digit in digits.chunks_exact_mut(h) {
        digit[0] |= 1;
        digit[h - 1] >>= 1;
    }
    kernel.import(&digits).words.to_vec()
}

/// Products: carries, final subtractions.
fn multiply(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let kernel = secret_kernel(choice);
    let factor = residues(Class::Right, kernel.as_ref(), 8, rng);
    compare(
        runner,
        rng,
        50_000,
        |class, rng| residues(class, kernel.as_ref(), 8, rng),
        |mut acc| {
            kernel.multiply(&mut acc, &factor);
            acc
        },
    );
}

/// Table scans of powers of a fixed base, with exponents 0 and random ones.
fn fixed_base(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    const EXPONENT: usize = 1;
    let kernel = secret_kernel(choice);
    let base = residues(Class::Right, kernel.as_ref(), 1, rng);
    let table = Arc::clone(&kernel).fixed_base(&base, 64 * EXPONENT);
    compare(
        runner,
        rng,
        20_000,
        |class, rng| words(class, EXPONENT * LANES, 0, rng),
        |exponents| table.powers(&exponents, EXPONENT),
    );
}

/// Powers with one secret exponent, 0 and random ones.
fn power(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let kernel = secret_kernel(choice);
    let bases = residues(Class::Right, kernel.as_ref(), 8, rng);
    compare(
        runner,
        rng,
        20_000,
        |class, rng| words(class, 1, 0, rng),
        |exponent| kernel.power(&bases, &exponent),
    );
}

/// A generator that gives out words prepared before: zeros in the left class. The top bit of every word
/// is clear, so that no number is ever drawn again.
struct Prepared(std::vec::IntoIter<u64>);

impl Prepared {
    fn new(class: Class, count: usize, rng: &mut BenchRng) -> Self {
        let words: Vec<u64> = words(class, count, 0, rng).iter().map(|word| word >> 1).collect();
        Self(words.into_iter())
    }
}

impl TryRng for Prepared {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next().expect("enough words were prepared"))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Prepared {}

/// The whole encryption: plaintexts and randomness 0, or random.
fn encrypt(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = test_key_on(choice, BITS, 0);
    let owner = OwnerEncryptor::new(&key, rng);
    compare(
        runner,
        rng,
        2_000,
        |class, rng| {
            let plaintexts: Vec<Plaintext> = (0..8)
                .map(|_| {
                    let random = Plaintext::random(key.public(), rng);
                    match class {
                        Class::Left => Plaintext::from_u128(BITS, 0),
                        Class::Right => random,
                    }
                })
                .collect();
            (plaintexts, Prepared::new(class, 8 * (BITS.bytes() / 8), rng))
        },
        |(plaintexts, mut randomness)| owner.encrypt(&plaintexts, &mut randomness),
    );
}

/// The whole decryption, of one ciphertext and of random ones.
fn decrypt(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = test_key_on(choice, BITS, 0);
    let owner = OwnerEncryptor::new(&key, rng);
    let fixed = owner.encrypt_signed(&[0; 8], rng).encode();
    compare(
        runner,
        rng,
        2_000,
        |class, rng| {
            let random = owner.encrypt_signed(&[rng.random(); 8], rng).encode();
            let bytes = match class {
                Class::Left => fixed.clone(),
                Class::Right => random,
            };
            Ciphertexts::decode(key.public(), &bytes, 8).expect("just encoded")
        },
        |ciphertexts| key.decrypt(&ciphertexts),
    );
}

/// Masking and sanitising: masks and flood exponents 0, or random.
fn sanitise(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = test_key_on(choice, BITS, 0);
    let owner = OwnerEncryptor::new(&key, rng);
    let sanitiser = Sanitiser::new(key.public(), 40, rng);
    let layout = PackLayout::new(BITS, BITS.bits() - HEADROOM_BITS, 64).expect("one slot fits");
    let sent = owner.encrypt_signed(&[7; 8], rng);
    let c = Ciphertexts::decode(key.public(), &sent.encode(), 8).expect("just encoded");
    compare(
        runner,
        rng,
        2_000,
        |class, rng| {
            let mut randomness = Prepared::new(class, 8 * (2 * (BITS.bytes() / 8) + 4), rng);
            let masks: Vec<UniformMask> =
                (0..8).map(|_| UniformMask::random(key.public(), &mut randomness)).collect();
            (pack(&c, layout).expect("the same key"), masks, randomness)
        },
        |(packed, masks, mut randomness)| {
            sanitiser.mask_and_sanitise(packed, masks, &mut randomness)
        },
    );
}

/// Products with small numbers, 0 and random ones.
fn mul_small(choice: Choice, runner: &mut CtRunner, rng: &mut BenchRng) {
    let key = test_key_on(choice, BITS, 0);
    let owner = OwnerEncryptor::new(&key, rng);
    let sent = owner.encrypt_signed(&[7; 16], rng);
    let c = Ciphertexts::decode(key.public(), &sent.encode(), 16).expect("just encoded");
    compare(
        runner,
        rng,
        2_000,
        |class, rng| -> Vec<i32> {
            words(class, 16, 0, rng).iter().map(|&word| word as i32).collect()
        },
        |scalars| c.mul_small(&scalars),
    );
}

/// Square and multiply, which skips the multiplications of zero bits.
fn control(runner: &mut CtRunner, rng: &mut BenchRng) {
    let n = BigUint::from_bytes_le(&test_primes(BITS, 0)[0]);
    compare(
        runner,
        rng,
        20_000,
        |class, rng| words(class, 1, 1, rng)[0],
        |exponent| {
            let (mut acc, mut base) = (BigUint::from(1u8), BigUint::from(3u8));
            let mut rest = exponent;
            while rest > 0 {
                if rest & 1 == 1 {
                    acc = acc * &base % &n;
                }
                base = &base * &base % &n;
                rest >>= 1;
            }
            acc
        },
    );
}

/// One function a test and kernel, as the harness wants them.
macro_rules! on_both {
    ($($test:ident: $fast:ident, $portable:ident;)+) => {
        $(
            fn $fast(runner: &mut CtRunner, rng: &mut BenchRng) {
                one_thread(|| $test(Choice::Fastest, runner, rng));
            }
            fn $portable(runner: &mut CtRunner, rng: &mut BenchRng) {
                one_thread(|| $test(Choice::Portable, runner, rng));
            }
        )+
        ctbench_main!(control, $($fast, $portable),+);
    };
}

on_both! {
    multiply: multiply_fastest, multiply_portable;
    fixed_base: fixed_base_fastest, fixed_base_portable;
    power: power_fastest, power_portable;
    encrypt: encrypt_fastest, encrypt_portable;
    decrypt: decrypt_fastest, decrypt_portable;
    sanitise: sanitise_fastest, sanitise_portable;
    mul_small: mul_small_fastest, mul_small_portable;
}

/// Where the work is done matters more to a clock than what it is.
fn one_thread(test: impl FnOnce() + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread starts");
    pool.install(test);
}
