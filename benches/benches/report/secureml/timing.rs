//! Speeds of the baseline over a line.

use caesar_e2e::proxy::FaultProxy;
use paillier::{ModulusBits, fixtures::test_key};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::protocol::{
    Activation, AnyError, Channel, HeSession, Learner, Matrix, Offline, OtSession, Role, Triples,
    connect, run,
};
use crate::link::Link;

/// Size of the keys of [`Method::He`], the smaller one of the two that nodes have.
const MODULUS: ModulusBits = ModulusBits::B2048;

/// How triples are generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Oblivious transfer.
    Ot,
    /// Homomorphic encryption.
    He,
}

impl Method {
    /// As the report names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ot => "ot",
            Self::He => "he",
        }
    }
}

/// Mini-batches of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    pub(crate) count: usize,
    /// Rows of each, a power of two.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Batches {
    fn rows_per_second(&self, seconds: f64) -> f64 {
        (self.count * self.rows) as f64 / seconds
    }
}

/// Both ends of a line, and the proxy that it is.
fn line(link: &Link) -> Result<([Channel; 2], Option<FaultProxy>), AnyError> {
    let mut proxy = None;
    let ends = connect(|listening| {
        let Some(shape) = link.shape() else { return Ok(listening) };
        let proxy = proxy.insert(FaultProxy::start(listening)?);
        proxy.shape_both(shape);
        Ok(proxy.address())
    })?;
    Ok((ends, proxy))
}

fn generator(seed: u64, role: Role) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed ^ (role as u64 + 1))
}

/// Rows a second of the offline part, without keys, base transfers and other set-up.
pub(crate) fn offline(
    link: &Link,
    method: Method,
    batches: Batches,
    seed: u64,
) -> Result<f64, AnyError> {
    let (ends, _proxy) = line(link)?;
    let prepare = |role, channel: Channel| {
        let mut rng = generator(seed, role);
        let offline = match method {
            Method::Ot => Offline::Ot(Box::new(OtSession::start(&channel, role, &mut rng)?)),
            Method::He => {
                let [own, peer] = [role as usize, 1 - role as usize].map(|i| test_key(MODULUS, i));
                Offline::He(Box::new(HeSession::new(own, peer.public(), &mut rng)))
            }
        };
        let matrix = |_| Matrix::random(batches.rows, batches.columns, &mut rng);
        let matrices: Vec<Matrix> = (0..batches.count).map(matrix).collect();
        Ok((channel, offline, matrices, rng))
    };
    let work = |(channel, mut offline, matrices, mut rng): (_, Offline, _, ChaCha20Rng)| {
        offline.generate(&channel, matrices, &mut rng).map(drop)
    };
    let (_, took) = run(ends, prepare, work)?;
    Ok(batches.rows_per_second(took.as_secs_f64()))
}

/// Rows a second of the online part.
pub(crate) fn online(link: &Link, batches: Batches, seed: u64) -> Result<f64, AnyError> {
    let (ends, _proxy) = line(link)?;
    let mut dealer = ChaCha20Rng::seed_from_u64(seed);
    let dealt = (0..batches.count)
        .map(|_| Triples::dealt(batches.rows, batches.columns, &mut dealer))
        .map(|[first, second]| (first, second));
    let (first, second): (Vec<_>, Vec<_>) = dealt.unzip();
    let [end_first, end_second] = ends;
    let [activation_first, activation_second] = Activation::pair();
    let inputs = [(end_first, activation_first, first), (end_second, activation_second, second)];
    let prepare = |role, (channel, activation, triples): (_, _, Vec<Triples>)| {
        let mut rng = generator(seed, role);
        // Any numbers take as long as shares of data.
        let x = Matrix::random(batches.rows, batches.columns, &mut rng);
        let y: Vec<u64> = (0..batches.rows).map(|_| rng.random()).collect();
        let w = vec![0; batches.columns];
        let learner = Learner { role, channel, activation, w, step_shift: 3 };
        Ok((learner, x, y, triples, rng))
    };
    let work = |(mut learner, x, y, triples, mut rng): (Learner, _, Vec<u64>, _, _)| {
        for triples in &triples {
            learner.step(&x, &y, triples, &mut rng)?;
        }
        Ok(())
    };
    let (_, took) = run(inputs, prepare, work)?;
    Ok(batches.rows_per_second(took.as_secs_f64()))
}
