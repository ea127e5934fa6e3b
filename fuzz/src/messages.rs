//! Bodies of protocol messages: `mpc-core` and `paillier`.

use std::sync::OnceLock;

use mpc_core::{
    features::Transform,
    ot::{
        ChoiceBits, Corrections, ExtensionMessage, OleShape, SetupReply, SetupRequest, TopBits,
        TreeDepth, Wraps,
    },
    plan::{Plan, PublicBounds},
    psi::{Blinded, Doubled, SetSize},
    ring::Ring,
    session::{Parameters, Schedule},
    train::masked_scores::MaskedScores,
    wire::Message,
};
use paillier::{Ciphertexts, ModulusBits, ModulusProof, PublicKey, SecretKey, fixtures};

use crate::split;

/// Largest count that a target is told to expect.
const MOST: usize = 64;

/// An accepted message is the only encoding of itself.
fn canonical<M: Message>(body: &[u8], params: M::Params<'_>) -> Option<M> {
    let message = M::decode(body, params).ok()?;
    assert!(message.to_bytes() == body, "accepted an encoding that is not canonical");
    Some(message)
}

/// Set sizes, blinded ids and fingerprints.
pub(crate) fn psi(data: &[u8]) {
    let Some(([kind, count], body)) = split(data) else { return };
    let count = usize::from(count) % (MOST + 1);
    match kind % 3 {
        0 => drop(canonical::<SetSize>(body, ())),
        1 => drop(canonical::<Blinded>(body, count)),
        _ => drop(canonical::<Doubled>(body, count)),
    }
}

/// Set-up and extension of the oblivious transfers, the messages of products and lift, masked scores.
pub(crate) fn ot(data: &[u8]) {
    let Some(([kind, depth, rows, terms, ring], body)) = split(data) else { return };
    let depth = if depth % 2 == 0 { TreeDepth::Four } else { TreeDepth::Eight };
    let shape = || OleShape::new(rows.into(), usize::from(terms) % 16, u32::from(ring) % 160).ok();
    let rows = usize::from(rows);
    match kind % 8 {
        0 => drop(canonical::<SetupRequest>(body, ())),
        1 => drop(canonical::<SetupReply>(body, depth)),
        2 => {
            let count = rows * usize::from(terms);
            drop(canonical::<ExtensionMessage>(body, (depth, count)));
        }
        3 => drop(shape().and_then(|shape| canonical::<ChoiceBits>(body, shape))),
        4 => drop(shape().and_then(|shape| canonical::<Corrections>(body, shape))),
        5 => drop(canonical::<TopBits>(body, rows)),
        6 => drop(canonical::<Wraps>(body, rows)),
        _ => {
            let ring = Ring::new(u32::from(ring) % 160);
            drop(ring.and_then(|ring| canonical::<MaskedScores>(body, (ring, rows))));
        }
    }
}

/// A job's parameters, as B offers them.
pub(crate) fn parameters(data: &[u8]) {
    if let Some(parameters) = canonical::<Parameters>(data, ()) {
        parameters.validate().expect("a decoded parameter is in its range");
    }
}

/// What makes rows of numbers of a table, as it lies on disk.
pub(crate) fn transform(data: &[u8]) {
    let Some(transform) = canonical::<Transform>(data, ()) else { return };
    assert_eq!(transform.dense().len(), transform.columns());
    assert!(transform.columns() <= 1 << 24);
}

/// A peer's bounds, and the plan that follows from them.
pub(crate) fn bounds(data: &[u8]) {
    const BOUNDS: usize = 8;
    let Some(([rows, tests, epochs, batch, rate, decay], body)) = split(data) else { return };
    let Some((theirs, ours)) = body.split_at_checked(BOUNDS) else { return };
    let Some(theirs) = canonical::<PublicBounds>(theirs, ()) else { return };
    let Some(ours) = canonical::<PublicBounds>(ours, ()) else { return };
    let asked = Parameters {
        modulus_bits: if rows % 2 == 0 { ModulusBits::B2048 } else { ModulusBits::B3072 },
        epochs: (epochs > 0).then(|| u32::from(epochs) * 3),
        batch_size: (batch > 0).then(|| u32::from(batch) * 256),
        learning_rate: (rate > 0).then(|| f64::from(rate) * f64::from(rate) / 650.0),
        l2: (decay > 0).then(|| f64::from(decay) / 25.5),
        schedule: Schedule::ALL[usize::from(tests) % Schedule::ALL.len()],
        weighted: tests % 2 == 1,
        ..Parameters::default()
    };
    if asked.validate().is_err() {
        return;
    }
    let rows = [1 << (rows / 8), 0, usize::from(tests)];
    if let Ok(plan) = Plan::new(&asked, rows, theirs, ours) {
        let last = plan.steps() - 1;
        for step in [0, last] {
            assert!(plan.error_gain(step).is_finite());
            assert!(plan.score_unit(step) > 0.0);
            assert!(plan.period_at(step).1 > 16.0, "a period that the design refuses");
        }
    }
}

fn key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| fixtures::test_key(ModulusBits::B2048, 0))
}

/// Ciphertexts under a key that everybody knows.
pub(crate) fn ciphertexts(data: &[u8]) {
    let Some(([count], body)) = split(data) else { return };
    let count = usize::from(count) % 8;
    let public: &PublicKey = key().public();
    if let Ok(ciphertexts) = Ciphertexts::decode(public, body, count) {
        assert_eq!(ciphertexts.len(), count);
        assert!(fixtures::encode_for_tests(&ciphertexts) == body, "not canonical");
        key().decrypt(&ciphertexts).expect("a decoded ciphertext can be decrypted");
    }
}

/// A public key with the proof that it is one. The corpus has a proof of another run, which must fail
/// in its first rounds: verifying all of them takes half a minute under the sanitisers.
pub(crate) fn modulus_proof(data: &[u8]) {
    let Some(([bits], body)) = split(data) else { return };
    let bits = if bits % 2 == 0 { ModulusBits::B2048 } else { ModulusBits::B3072 };
    let Some((modulus, proof)) = body.split_at_checked(bits.bytes()) else { return };
    let Ok(proof) = ModulusProof::decode(bits, proof) else { return };
    assert!(proof.verify(bits, modulus, &[1; 32]).is_err(), "a proof of another run passes");
}

/// A secret key, as it is kept in a file.
pub(crate) fn secret_key(data: &[u8]) {
    let Some(([bits], body)) = split(data) else { return };
    let bits = if bits % 2 == 0 { ModulusBits::B2048 } else { ModulusBits::B3072 };
    if let Ok(key) = SecretKey::from_secret_bytes(bits, body) {
        assert!(key.to_secret_bytes().as_slice() == body, "not canonical");
    }
}
