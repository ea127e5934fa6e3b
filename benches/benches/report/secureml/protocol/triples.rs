//! The offline part: Beaver triples of matrices, two a mini-batch, with one random matrix U in both.
//!
//! Forward U·v for the products with the weights, backward Uᵀ·v' for the gradient. Each party's own
//! share of U times its own share of v is local; the two cross terms are what costs.

use rand::{CryptoRng, RngExt};

use super::{
    AnyError, Channel,
    he::HeSession,
    matrix::{Matrix, View, add, sub},
    ot::OtSession,
};

/// Shares of one mini-batch's triples.
#[derive(Debug)]
pub(crate) struct Triples {
    /// Of U, rows x columns.
    pub(crate) u: Matrix,
    /// Of v, one number a column.
    pub(crate) v: Vec<u64>,
    /// Of U·v, one number a row.
    pub(crate) z: Vec<u64>,
    /// Of v', one number a row.
    pub(crate) v_back: Vec<u64>,
    /// Of Uᵀ·v', one number a column.
    pub(crate) z_back: Vec<u64>,
}

impl Triples {
    /// The triples of both parties as a trusted dealer would hand them out: the online part does not see
    /// where they come from, and is timed by itself.
    pub(crate) fn dealt(rows: usize, columns: usize, rng: &mut impl CryptoRng) -> [Self; 2] {
        let whole = {
            let u = Matrix::random(rows, columns, rng);
            let (v, v_back) = (random(columns, rng), random(rows, rng));
            let (z, z_back) = (u.times(&v), u.transposed_times(&v_back));
            Self { u, v, z, v_back, z_back }
        };
        let first = Self {
            u: Matrix::random(rows, columns, rng),
            v: random(columns, rng),
            z: random(rows, rng),
            v_back: random(rows, rng),
            z_back: random(columns, rng),
        };
        let second = Self {
            u: Matrix::new(rows, columns, sub(&whole.u.values, &first.u.values)),
            v: sub(&whole.v, &first.v),
            z: sub(&whole.z, &first.z),
            v_back: sub(&whole.v_back, &first.v_back),
            z_back: sub(&whole.z_back, &first.z_back),
        };
        [first, second]
    }
}

fn random(count: usize, rng: &mut impl CryptoRng) -> Vec<u64> {
    (0..count).map(|_| rng.random()).collect()
}

/// How the cross terms are made.
#[derive(Debug)]
pub(crate) enum Offline {
    /// By oblivious transfer.
    Ot(Box<OtSession>),
    /// By homomorphic encryption.
    He(Box<HeSession>),
}

impl Offline {
    /// The triples of some mini-batches, in order, for this party's random shares of their U.
    pub(crate) fn generate(
        &mut self,
        channel: &Channel,
        matrices: Vec<Matrix>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Triples>, AnyError> {
        match self {
            Self::Ot(session) => matrices.into_iter().map(|u| by_ot(session, channel, u)).collect(),
            Self::He(session) => by_he(session, channel, matrices, rng),
        }
    }
}

/// The share of a product from the local term and the two cross terms.
fn share(own: Vec<u64>, cross: &[Vec<u64>; 2]) -> Vec<u64> {
    cross.iter().fold(own, |sum, term| add(&sum, term))
}

fn by_ot(session: &mut OtSession, channel: &Channel, u: Matrix) -> Result<Triples, AnyError> {
    let mut product = |view: View<'_>| -> Result<(Vec<u64>, Vec<u64>), AnyError> {
        let (chosen, offered) = session.extend(channel, view.inputs(), view.inputs())?;
        let cross = session.products(channel, view, &chosen, &offered)?;
        let z = share(view.times(&chosen.vector), &cross);
        Ok((chosen.vector, z))
    };
    let (v, z) = product(View::of(&u))?;
    let (v_back, z_back) = product(View::transposed(&u))?;
    Ok(Triples { u, v, z, v_back, z_back })
}

/// Vectors of the next mini-batch are on their way while the products of this one are computed.
fn by_he(
    session: &HeSession,
    channel: &Channel,
    matrices: Vec<Matrix>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Triples>, AnyError> {
    let mut triples: Vec<Triples> = matrices
        .into_iter()
        .map(|u| {
            let (v, v_back) = (random(u.columns, rng), random(u.rows, rng));
            Triples { u, v, z: Vec::new(), v_back, z_back: Vec::new() }
        })
        .collect();
    send_vectors(session, channel, triples.first(), rng)?;
    for k in 0..triples.len() {
        send_vectors(session, channel, triples.get(k + 1), rng)?;
        let now = &mut triples[k];
        let view = View::transposed(&now.u);
        let (answer, share) = session.multiply(view, &channel.receive()?, rng)?;
        now.z_back = add(&view.times(&now.v_back), &share);
        channel.send(answer)?;
        let view = View::of(&now.u);
        let (answer, share) = session.multiply(view, &channel.receive()?, rng)?;
        now.z = add(&view.times(&now.v), &share);
        channel.send(answer)?;
        if let Some(before) = k.checked_sub(1) {
            receive_answers(session, channel, &mut triples[before])?;
        }
    }
    if let Some(last) = triples.last_mut() {
        receive_answers(session, channel, last)?;
    }
    Ok(triples)
}

/// The shorter vector first: the peer can begin with it.
fn send_vectors(
    session: &HeSession,
    channel: &Channel,
    of: Option<&Triples>,
    rng: &mut impl CryptoRng,
) -> Result<(), AnyError> {
    let Some(of) = of else { return Ok(()) };
    channel.send(session.encrypt(&of.v_back, rng))?;
    channel.send(session.encrypt(&of.v, rng))
}

fn receive_answers(
    session: &HeSession,
    channel: &Channel,
    of: &mut Triples,
) -> Result<(), AnyError> {
    let (rows, columns) = (of.u.rows, of.u.columns);
    let backward = session.open(&channel.receive()?, rows, columns)?;
    of.z_back = add(&of.z_back, &backward);
    let forward = session.open(&channel.receive()?, columns, rows)?;
    of.z = add(&of.z, &forward);
    Ok(())
}
