//! The model's files, without a peer: what is loaded at any mini-batch is what was there.

use super::*;
use crate::{
    features::prepare,
    plan::PublicBounds,
    session::checkpoint::History,
    train::{error_ciphertexts::NegatedErrors, order::Batches},
};
use paillier::{Ciphertexts, SparseMatrix, fixtures::test_key};

const STEPS: u32 = 9;

/// The records of a file, or the bytes of a model.
type Records = Vec<Zeroizing<Vec<u8>>>;

/// A's side of a job whose errors are made up.
struct Alone {
    ready: Ready,
    rows_seed: [u8; 32],
    rng: ChaCha20Rng,
    /// The bytes of the model after each mini-batch.
    models: Vec<Records>,
    vault: MemoryVault,
}

fn bytes(weights: &EncryptedVector) -> Records {
    weights.snapshot(3).collect()
}

impl Alone {
    /// With mini-batches of `batch` rows on dense columns, and nothing on disk.
    fn new(seed: u64, batch: u32, l2: f64) -> Self {
        let data = made_up(seed, [batch as usize * 4, 200], false);
        let [train, test] = &data.a;
        let rows = |table: &Table| (0..table.ids.len()).collect::<Vec<_>>();
        let prepared = prepare(train, test, [&rows(train), &[], &rows(test)], false).unwrap();
        let asked = Parameters {
            batch_size: Some(batch),
            l2: Some(l2),
            ..small(STEPS.div_ceil(train.ids.len() as u32 / batch), 0.4)
        };
        let bounds: PublicBounds = prepared.bounds;
        let sizes = [prepared.train.len(), 0, prepared.test.len()];
        let plan = Plan::new(&asked, sizes, bounds, bounds).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let [own, peer] = [0, 1].map(|i| test_key(ModulusBits::B2048, i));
        let keys = Keys::new(own, peer.public().clone(), &mut rng).unwrap();
        let ready = Ready::new(Role::FeatureHolder, plan, prepared, keys);
        Self { ready, rows_seed: [5; 32], rng, models: Vec::new(), vault: MemoryVault::default() }
    }

    fn start() -> ChainHash {
        ChainHash::start(&[6; 32])
    }

    fn history(&self, vault: &mut MemoryVault) -> History {
        let store = &mut Store::new(vault, Role::FeatureHolder);
        History::read(store, &self.ready.plan, Self::start()).unwrap()
    }

    /// The model at a mini-batch, from a copy of the files.
    fn load(&self, step: u32) -> Records {
        let mut vault = self.vault.clone();
        bytes(self.resume(&mut vault, step).weights())
    }

    fn resume<'v>(&self, vault: &'v mut MemoryVault, step: u32) -> Model<'v> {
        let history = self.history(vault);
        let position = Position { step, hash: history.chain(step).unwrap() };
        let store = Store::new(vault, Role::FeatureHolder);
        Model::resume(store, &self.ready, &self.rows_seed, history, position).unwrap()
    }

    /// Trains from `from` to `to` mini-batches, confirmed by an echo.
    fn train(&mut self, from: u32, to: u32) {
        let mut vault = std::mem::take(&mut self.vault);
        let mut model = if vault.files().next().is_some() {
            self.resume(&mut vault, from)
        } else {
            let store = Store::new(&mut vault, Role::FeatureHolder);
            Model::empty(store, &self.ready, Self::start()).unwrap()
        };
        self.models.truncate(from as usize);
        self.models.push(bytes(model.weights()));
        let (mut link, mut echo) = MemoryLink::pair(TIMEOUT);
        let mut channel = Channel::new(&mut link, Role::FeatureHolder);
        let mut batches = Batches::new(&self.rows_seed, &self.ready.plan);
        for step in from..to {
            let updates: Vec<(SparseMatrix, NegatedErrors)> = batches
                .get(step)
                .to_vec()
                .chunks(CHUNK_ROWS)
                .map(|rows| self.update(step, rows))
                .collect();
            let finished = model.finish_batch(&mut channel, updates).unwrap();
            let word = echo.receive(Step::BatchEnd, 100).unwrap();
            echo.send(Step::BatchEnd, word).unwrap();
            model.confirm(&mut channel, finished).unwrap();
            self.models.push(bytes(model.weights()));
        }
        self.vault = vault;
    }

    fn update(&mut self, step: u32, rows: &[u32]) -> (SparseMatrix, NegatedErrors) {
        let Ready { plan, prepared, columns, keys } = &self.ready;
        let errors: Vec<u128> = rows.iter().map(|_| self.rng.random_range(0..1 << 40)).collect();
        let plain: Vec<_> =
            errors.iter().map(|&e| paillier::Plaintext::from_u128(ModulusBits::B2048, e)).collect();
        let sent = keys.sanitiser.encrypt(&plain, &mut self.rng).unwrap();
        let received = Ciphertexts::decode(&keys.peer, &sent.encode(), rows.len()).unwrap();
        let matrix = columns.select(&prepared.train, rows, Intercept::backward(plan, step));
        (matrix, NegatedErrors(received))
    }

    /// Starts of the snapshots on disk.
    fn snapshots(&self) -> Vec<u32> {
        let start = |f| if let RecordFile::Snapshot(s) = f { Some(s) } else { None };
        self.vault.files().filter_map(start).collect()
    }
}

#[test]
fn every_mini_batch_that_is_left_is_loaded_exactly() {
    // With a penalty, B's and A's columns of later batches have other multipliers.
    for (seed, l2) in [(61, 0.0), (62, 0.05)] {
        let mut alone = Alone::new(seed, 64, l2);
        for done in 1..=STEPS {
            alone.train(done - 1, done);
            let history = alone.history(&mut alone.vault.clone());
            assert!(history.corrupt.is_empty(), "{:?}", history.corrupt);
            assert_eq!(history.newest(), done);
            // A snapshot every two mini-batches, and the one before.
            let first = (done / 2 * 2).saturating_sub(2);
            assert_eq!((history.oldest(), alone.snapshots()[0]), (first, first), "after {done}");
            assert!(alone.vault.files().count() <= 4, "{:?}", alone.vault);
            for step in first..=done {
                let found = alone.load(step);
                assert!(found == alone.models[step as usize], "{step} of {done}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_mini_batch_of_several_chunks_counts_when_all_of_them_are_there() {
    let mut alone = Alone::new(63, CHUNK_ROWS as u32 + 10, 0.0);
    alone.train(0, 1);
    // Large mini-batches bring a snapshot each.
    assert_eq!(alone.snapshots(), [0, 1]);
    let log = RecordFile::Log(0);
    assert_eq!(alone.vault.records(log).len(), 2);
    assert!(alone.vault.records(log).iter().all(|record| record.len() <= 1 << 20));
    alone.vault.remove(RecordFile::Snapshot(1)).unwrap();
    assert!(alone.load(1) == alone.models[1]);
    alone.vault.truncate(log, 1).unwrap();
    let history = alone.history(&mut alone.vault.clone());
    assert_eq!((history.newest(), history.corrupt.len()), (0, 0), "half a mini-batch is none");
    // The half is not in the way of what follows.
    alone.train(0, 1);
    assert_eq!(alone.vault.records(log).len(), 2);
    alone.vault.remove(RecordFile::Snapshot(1)).unwrap();
    assert!(alone.load(1) == alone.models[1]);
}

#[test]
fn corrupt_and_foreign_records_are_not_used() {
    use RecordFile::{Log, Snapshot};
    let mut alone = Alone::new(64, 64, 0.0);
    alone.train(0, 5);
    assert_eq!(alone.snapshots(), [2, 4]);
    let newest = |change: &dyn Fn(&mut MemoryVault)| {
        let mut vault = alone.vault.clone();
        change(&mut vault);
        let history = alone.history(&mut vault);
        (history.oldest(), history.newest(), history.corrupt)
    };
    let rewrite = |vault: &mut MemoryVault, file, change: &dyn Fn(&mut Records)| {
        let mut records = vault.records(file).to_vec();
        change(&mut records);
        vault.write(file, &mut records.into_iter()).unwrap();
    };
    assert_eq!(newest(&|_| {}), (2, 5, vec![]));
    assert_eq!(newest(&|v| v.corrupt(Snapshot(4), 1)), (2, 4, vec![Snapshot(4)]));
    assert_eq!(newest(&|v| v.corrupt(Log(4), 0)), (2, 4, vec![Log(4)]));
    // A gap: the older generation leads nowhere.
    assert_eq!(newest(&|v| v.corrupt(Log(2), 1)), (4, 5, vec![Log(2)]));
    assert_eq!(newest(&|v| v.remove(Log(2)).unwrap()), (4, 5, vec![]));
    // A snapshot that is not whole, or another's.
    let cut = |v: &mut MemoryVault| rewrite(v, Snapshot(4), &|r| drop(r.pop()));
    assert_eq!(newest(&cut), (2, 4, vec![Snapshot(4)]));
    let swap = |v: &mut MemoryVault| {
        let other = v.records(Snapshot(2)).to_vec();
        rewrite(v, Snapshot(4), &|r| r.clone_from(&other));
    };
    assert_eq!(newest(&swap), (2, 4, vec![Snapshot(4)]));
    // A log with a mini-batch that is missing, repeated, of another attempt, or too long.
    let skip = |v: &mut MemoryVault| rewrite(v, Log(2), &|r| drop(r.remove(0)));
    assert_eq!(newest(&skip), (4, 5, vec![Log(2)]));
    let twice = |v: &mut MemoryVault| rewrite(v, Log(4), &|r| r.push(r[0].clone()));
    assert_eq!(newest(&twice), (2, 5, vec![Log(4)]));
    let other = |v: &mut MemoryVault| rewrite(v, Log(4), &|r| r[0][8] ^= 1);
    assert_eq!(newest(&other), (2, 4, vec![Log(4)]));
    let longer = |v: &mut MemoryVault| rewrite(v, Log(4), &|r| r[0].push(0));
    assert_eq!(newest(&longer), (2, 4, vec![Log(4)]));
    // The first snapshot of another set-up.
    let mut vault = MemoryVault::default();
    let store = Store::new(&mut vault, Role::FeatureHolder);
    Model::empty(store, &alone.ready, ChainHash::start(&[7; 32])).unwrap();
    assert_eq!(alone.history(&mut vault).corrupt, [Snapshot(0)]);
}

#[test]
fn what_is_not_synced_is_less_than_a_generation() {
    let mut alone = Alone::new(65, 64, 0.0);
    for done in 1..=STEPS {
        alone.train(done - 1, done);
        let mut vault = alone.vault.clone();
        vault.cut_power();
        let left = alone.history(&mut vault).newest();
        assert!(done - left <= 1, "a power cut after {done} leaves {left}");
    }
}

#[test]
fn going_back_forgets_what_came_later() {
    let mut alone = Alone::new(66, 64, 0.0);
    alone.train(0, 5);
    let before = alone.models.clone();
    for back in [4, 3, 2] {
        let mut vault = alone.vault.clone();
        drop(alone.resume(&mut vault, back));
        let history = alone.history(&mut vault);
        assert_eq!((history.oldest(), history.newest()), (2, back));
    }
    // Another way from 3 on: the files are the new way's.
    alone.train(3, 7);
    assert_eq!(alone.history(&mut alone.vault.clone()).newest(), 7);
    assert!(alone.models[4] != before[4] && alone.models[3] == before[3]);
    for step in alone.snapshots()[0]..=7 {
        assert!(alone.load(step) == alone.models[step as usize], "{step}");
    }
}
