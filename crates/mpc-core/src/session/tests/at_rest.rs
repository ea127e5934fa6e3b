//! No file holds a mask, a correlation, a share of an error or the state of a generator.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Mutex,
};

use super::{
    crash::{Job, JobRng, Plot, Vaults},
    *,
};
use crate::spy::{self, LEAST, Secret};

/// Byte strings of equal length to look for.
#[derive(Default)]
struct Needles(BTreeMap<usize, HashSet<Vec<u8>>>);

impl Needles {
    fn add(&mut self, secret: &[u8]) {
        // All zeros is no secret: the place of a leaf that B does not have, an empty share.
        if secret.iter().any(|&byte| byte != 0) {
            self.0.entry(secret.len()).or_default().insert(secret.to_vec());
        }
    }

    /// All windows of 16 bytes, at the steps of eight in which generators are asked.
    fn add_windows(&mut self, bytes: &[u8]) {
        bytes.windows(16).step_by(8).for_each(|window| self.add(window));
    }

    fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }

    /// How many places of the vault's records are one of these.
    fn found(&self, vault: &MemoryVault) -> usize {
        let records = vault.files().flat_map(|file| vault.records(file));
        records
            .map(|record| {
                let at = |(&len, set): (&usize, &HashSet<Vec<u8>>)| {
                    record.windows(len).filter(|window| set.contains(*window)).count()
                };
                self.0.iter().map(at).sum::<usize>()
            })
            .sum()
    }
}

#[test]
fn no_record_holds_what_is_used_once() {
    let job = Job::dense(34, [250, 130], 1);
    let mut vaults = Vaults::default();
    let mut secrets: BTreeMap<Secret, Needles> = BTreeMap::new();
    let mut draws = Needles::default();
    // A first attempt that dies in the third mini-batch, and one that goes on to the end: all files that
    // there are, before and after.
    let mut states = Vec::new();
    let plots = [
        Plot { die_at: Some((Role::LabelHolder, Step::MaskedScores, 2)), ..Plot::whole(1) },
        Plot::whole(2),
    ];
    for plot in plots {
        let seen = Mutex::new(Vec::new());
        let end = job.watched(&mut vaults, plot, spy::start, |_, rng: &JobRng| {
            seen.lock().unwrap().push((rng.given.clone(), spy::stop()));
        });
        assert_eq!(end.b.is_ok(), plot.attempt == 2);
        for (given, kept) in seen.into_inner().unwrap() {
            given.iter().for_each(|bytes| draws.add_windows(bytes));
            for (kind, bytes) in kept {
                assert!(bytes.len() >= LEAST);
                secrets.entry(kind).or_default().add(&bytes);
            }
        }
        states.push(vaults.clone());
    }
    let counts: BTreeMap<Secret, usize> = secrets.iter().map(|(k, n)| (*k, n.len())).collect();
    // 3 mini-batches and one opening of 64 and 104 rows at least, by both sides.
    assert!(counts[&Secret::MaskDigit] > 2 * (3 * 64 + 104), "{counts:?}");
    assert!(counts[&Secret::ScoreMask] > 2 * 3 * 64, "{counts:?}");
    assert!(counts[&Secret::Factor] > 2 * 3 * 64 * 14, "{counts:?}");
    assert!(counts[&Secret::ErrorShare] > 2 * 2 * 64, "{counts:?}");
    assert!(counts[&Secret::TransferSeed] >= 2 * 512, "{counts:?}");
    assert!(counts[&Secret::TransferPad] > 3 * 64 * 14 * 9, "{counts:?}");
    assert!(draws.len() > 10_000, "{}", draws.len());

    // The search finds what is there: the secret key in the set-up.
    let mut key = Needles::default();
    let own = paillier::fixtures::test_key(ModulusBits::B2048, 0);
    key.add_windows(&own.to_secret_bytes());
    assert_eq!(key.found(&vaults[0]), key.len());
    assert_eq!(key.found(&vaults[1]), 0, "B has A's key");

    for vault in states.iter().flatten() {
        assert!(vault.files().count() >= 3);
        for (kind, needles) in &secrets {
            assert_eq!(needles.found(vault), 0, "{kind:?} in {vault:?}");
        }
        assert_eq!(draws.found(vault), 0, "drawn bytes in {vault:?}");
    }
}
