//! Attempts at one job that end in the middle, on vaults that stay.

use std::convert::Infallible;

use rand::rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::session::{
    checkpoint::{History, StoredSetup},
    setup::{plan_of, prepare_rows},
};

/// Both sides' vaults, A's first.
pub(super) type Vaults = [MemoryVault; 2];

/// A generator whose first 32 bytes, the nonce of an attempt from scratch, are the job's: so the order
/// of rows is the same in every attempt. All else is the attempt's own. Keeps what it gave.
pub(super) struct JobRng {
    job: ChaCha20Rng,
    attempt: ChaCha20Rng,
    /// Bytes of consecutive calls; a draw of four bytes starts a new piece.
    pub(super) given: Vec<Vec<u8>>,
    first: bool,
}

impl JobRng {
    pub(super) fn new(job: u64, attempt: u64) -> Self {
        let generator = ChaCha20Rng::seed_from_u64;
        Self {
            job: generator(job),
            attempt: generator(job ^ attempt << 32),
            given: vec![Vec::new()],
            first: true,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.given.last_mut().unwrap().extend_from_slice(bytes);
    }
}

impl TryRng for JobRng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.first = false;
        self.given.push(Vec::new());
        self.attempt.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.first = false;
        let word = self.attempt.try_next_u64()?;
        self.keep(&word.to_le_bytes());
        Ok(word)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if std::mem::take(&mut self.first) && bytes.len() == 32 {
            return self.job.try_fill_bytes(bytes);
        }
        self.attempt.try_fill_bytes(bytes)?;
        self.keep(bytes);
        Ok(())
    }
}

impl TryCryptoRng for JobRng {}

/// What an attempt is to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plot {
    /// The number of the attempt, in the binding.
    pub(super) attempt: u32,
    /// Seed of what is drawn, apart from the nonces.
    pub(super) draws: u64,
    /// How many messages A and B send before they are gone; `None`: all.
    pub(super) cut: [Option<usize>; 2],
    /// A side that is gone right before its n-th message of a step.
    pub(super) die_at: Option<(Role, Step, usize)>,
    /// Flips a bit of A's n-th message of this step, behind the position that it starts with.
    pub(super) flip: Option<(Step, usize)>,
}

impl Plot {
    /// An attempt that nothing happens to.
    pub(super) fn whole(attempt: u32) -> Self {
        Self { attempt, draws: u64::from(attempt), ..Self::default() }
    }

    /// One whose `role` is gone after `sent` messages.
    pub(super) fn cut(attempt: u32, role: Role, sent: usize) -> Self {
        let mut plot = Self::whole(attempt);
        plot.cut[role.index()] = Some(sent);
        plot
    }
}

/// How an attempt ended at both sides.
pub(super) struct Ends {
    pub(super) a: Result<SummaryA, SessionError>,
    pub(super) b: Result<Report, SessionError>,
    pub(super) notices: [Vec<Notice>; 2],
    pub(super) progress: [Vec<Progress>; 2],
    /// Messages of A and of B.
    pub(super) sent: [Vec<(Step, Vec<u8>)>; 2],
}

impl Ends {
    /// B's report of an attempt that must have ended well at both sides.
    #[track_caller]
    pub(super) fn report(self, what: &str) -> Report {
        if let Err(e) = &self.a {
            panic!("{what}: A ends with {} in {:?}: {e}", e.code(), e.step());
        }
        match self.b {
            Ok(report) => report,
            Err(e) => panic!("{what}: B ends with {} in {:?}: {e}", e.code(), e.step()),
        }
    }

    /// The codes of both ends, empty for a good one.
    pub(super) fn codes(&self) -> [&str; 2] {
        [
            self.a.as_ref().err().map_or("", SessionError::code),
            self.b.as_ref().err().map_or("", SessionError::code),
        ]
    }
}

/// A link whose process is gone after some messages.
struct Mortal {
    link: MemoryLink,
    left: Option<usize>,
    /// Gone before the n-th message of a step.
    die_at: Option<(Step, usize)>,
    sent: Vec<(Step, Vec<u8>)>,
}

impl Link for Mortal {
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(LinkError::Cancelled)?;
        }
        if let Some((at, left)) = &mut self.die_at
            && *at == step
        {
            *left = left.checked_sub(1).ok_or(LinkError::Cancelled)?;
        }
        self.sent.push((step, body.clone()));
        self.link.send(step, body)
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        self.link.receive(step, max_len)
    }
}

#[derive(Default)]
struct Watch {
    notices: Vec<Notice>,
    progress: Vec<Progress>,
}

impl Observer for Watch {
    fn progress(&mut self, progress: Progress) {
        self.progress.push(progress);
    }
    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

/// A job: its parameters and both sides' tables.
pub(super) struct Job {
    pub(super) run: Run,
    pub(super) data: Data,
    pub(super) seed: u64,
}

impl Job {
    /// On indicators, `rows` before alignment, mini-batches of 64.
    pub(super) fn new(seed: u64, rows: [usize; 2], epochs: u32) -> Self {
        let data = made_up(seed, rows, true);
        Self { run: run_of(seed, small(epochs, 1.0)), data, seed }
    }

    /// As [`Self::new`], on dense columns, whose ring is wider.
    pub(super) fn dense(seed: u64, rows: [usize; 2], epochs: u32) -> Self {
        let data = made_up(seed, rows, false);
        Self { run: run_of(seed, small(epochs, 0.4)), data, seed }
    }

    /// Runs an attempt on these vaults.
    pub(super) fn attempt(&self, vaults: &mut Vaults, plot: Plot) -> Ends {
        self.watched(vaults, plot, || {}, |_, _| {})
    }

    /// As [`Self::attempt`]; on each side's own thread, `before` is called first and `seen` last, with
    /// the side's generator.
    pub(super) fn watched(
        &self,
        vaults: &mut Vaults,
        plot: Plot,
        before: impl Fn() + Sync,
        seen: impl Fn(Role, &JobRng) + Sync,
    ) -> Ends {
        let run = Run { attempt: plot.attempt, ..self.run.clone() };
        let (mut link_a, link_b) = MemoryLink::pair(TIMEOUT);
        if let Some((step, nth)) = plot.flip {
            link_a.intercept(change(step, nth, |body| body[8] ^= 1));
        }
        let mortal = |link, role: Role| Mortal {
            link,
            left: plot.cut[role.index()],
            die_at: plot.die_at.filter(|(who, ..)| *who == role).map(|(_, step, n)| (step, n)),
            sent: Vec::new(),
        };
        let (mut link_a, mut link_b) =
            (mortal(link_a, Role::FeatureHolder), mortal(link_b, Role::LabelHolder));
        let [vault_a, vault_b] = vaults;
        let (run, data, before, seen) = (&run, &self.data, &before, &seen);
        let rng = |side| JobRng::new(self.seed << 8 | side, plot.draws);
        thread::scope(|s| {
            let a = s.spawn(move || {
                before();
                let (mut watch, mut rng) = (Watch::default(), rng(0));
                let [train, test] = &data.a;
                let end = run_a(run, train, test, &mut link_a, vault_a, &mut watch, &mut rng);
                seen(Role::FeatureHolder, &rng);
                (end, watch, link_a.sent)
            });
            let b = s.spawn(move || {
                before();
                let (mut watch, mut rng) = (Watch::default(), rng(1));
                let [train, test] = &data.b;
                let end = run_b(run, train, test, &mut link_b, vault_b, &mut watch, &mut rng);
                seen(Role::LabelHolder, &rng);
                (end, watch, link_b.sent)
            });
            let (a, watch_a, sent_a) = a.join().unwrap();
            let (b, watch_b, sent_b) = b.join().unwrap();
            Ends {
                a,
                b,
                notices: [watch_a.notices, watch_b.notices],
                progress: [watch_a.progress, watch_b.progress],
                sent: [sent_a, sent_b],
            }
        })
    }

    /// What both sides' set-ups on disk say, with the keys, which only a test can bring together.
    pub(super) fn sides(&self, vaults: &Vaults) -> [Side; 2] {
        [Role::FeatureHolder, Role::LabelHolder].map(|role| {
            let mut vault = vaults[role.index()].clone();
            let setup = StoredSetup::read(&mut Store::new(&mut vault, role)).unwrap();
            let setup = setup.expect("a set-up is there");
            let [train, test] = [&self.data.a, &self.data.b][role.index()];
            let sets = setup.sets(&self.run, [train, test]);
            let transform = setup.transform.clone();
            let prepared = prepare_rows(&self.run, role, [train, test], &sets, transform).unwrap();
            let rows = sets.counts();
            let plan = plan_of(&self.run, role, rows, prepared.bounds, setup.peer_bounds).unwrap();
            let (rows_seed, start) = (setup.rows_seed, ChainHash::start(&setup.digest(role)));
            let rng = &mut ChaCha20Rng::seed_from_u64(0);
            let keys = Keys::new(setup.own, setup.peer, rng).unwrap();
            Side { ready: Ready::new(role, plan, prepared, keys), rows_seed, start }
        })
    }
}

/// One side's part of a job, from its set-up.
pub(super) struct Side {
    pub(super) ready: Ready,
    rows_seed: [u8; 32],
    start: ChainHash,
}

impl Side {
    /// Mini-batches that a vault holds, and the model after them.
    fn model(&self, role: Role, vault: &MemoryVault) -> (u32, EncryptedVector) {
        let mut vault = vault.clone();
        let mut store = Store::new(&mut vault, role);
        let history = History::read(&mut store, &self.ready.plan, self.start).unwrap();
        let step = history.newest();
        let position = Position { step, hash: history.chain(step).unwrap() };
        let model = Model::resume(store, &self.ready, &self.rows_seed, history, position).unwrap();
        (step, model.weights().clone())
    }
}

/// Both sides' true weights after all of training, from disk.
pub(super) fn final_weights(sides: &[Side; 2], vaults: &Vaults) -> [Vec<f64>; 2] {
    [Role::FeatureHolder, Role::LabelHolder].map(|role| {
        let [own, peer] = [role, role.peer()].map(|role| &sides[role.index()]);
        let (step, weights) = own.model(role, &vaults[role.index()]);
        assert_eq!(step, own.ready.plan.steps(), "all of training is on disk at {role}");
        open_weights(&own.ready, &weights, &peer.ready.keys.own)
    })
}

/// Largest difference between two models.
pub(super) fn distance(a: &[Vec<f64>; 2], b: &[Vec<f64>; 2]) -> f64 {
    assert_eq!(a.each_ref().map(Vec::len), b.each_ref().map(Vec::len));
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}
