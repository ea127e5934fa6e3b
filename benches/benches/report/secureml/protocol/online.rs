//! The online part: mini-batch gradient descent on shares.

use rand::CryptoRng;

use super::{
    Activation, AnyError, Channel, Matrix, Role, Triples, from_bytes,
    matrix::{add, sub},
    to_bytes,
};

/// Fractional bits of data, weights, products and errors.
pub(crate) const FRACTION: u32 = 13;

/// One party: its shares of the weights, and its ends of the line and of the activation.
#[derive(Debug)]
pub(crate) struct Learner {
    pub(crate) role: Role,
    pub(crate) channel: Channel,
    pub(crate) activation: Activation,
    /// Share of the weights, one a column.
    pub(crate) w: Vec<u64>,
    /// The step size is 2 to the power of minus this.
    pub(crate) step_shift: u32,
}

impl Learner {
    /// One mini-batch: shares of the rows and of the labels, and triples of their shape. The number of
    /// rows is a power of two.
    pub(crate) fn step(
        &mut self,
        x: &Matrix,
        y: &[u64],
        triples: &Triples,
        rng: &mut impl CryptoRng,
    ) -> Result<(), AnyError> {
        // E = X − U and F = w − v; X·w = E·F + E·v + U·F + U·v.
        let e_share = sub(&x.values, &triples.u.values);
        let f_share = sub(&self.w, &triples.v);
        let e = Matrix::new(x.rows, x.columns, self.opened(&e_share)?);
        let f = self.opened(&f_share)?;
        let v = if self.role == Role::First { add(&triples.v, &f) } else { triples.v.clone() };
        let z = add(&add(&e.times(&v), &triples.u.times(&f)), &triples.z);
        let z: Vec<u64> = z.into_iter().map(|z| self.truncated(z, FRACTION)).collect();

        let error = sub(&self.activation.apply(z, rng)?, y);

        // The same E, transposed, with G = e − v'.
        let g = self.opened(&sub(&error, &triples.v_back))?;
        let v_back = if self.role == Role::First {
            add(&triples.v_back, &g)
        } else {
            triples.v_back.clone()
        };
        let gradient = add(&e.transposed_times(&v_back), &triples.u.transposed_times(&g));
        let gradient = add(&gradient, &triples.z_back);
        let shift = FRACTION + self.step_shift + x.rows.ilog2();
        for (w, gradient) in self.w.iter_mut().zip(gradient) {
            *w = w.wrapping_sub(truncate(self.role, gradient, shift));
        }
        Ok(())
    }

    /// The sum of both shares.
    fn opened(&self, share: &[u64]) -> Result<Vec<u64>, AnyError> {
        self.channel.send(to_bytes(share))?;
        Ok(add(share, &from_bytes(&self.channel.receive()?, share.len())?))
    }

    fn truncated(&self, share: u64, bits: u32) -> u64 {
        truncate(self.role, share, bits)
    }
}

/// A share of the number shifted down: wrong by at most one, but for a chance of its size over 2^63.
fn truncate(role: Role, share: u64, bits: u32) -> u64 {
    match role {
        Role::First => share >> bits,
        Role::Second => (share.wrapping_neg() >> bits).wrapping_neg(),
    }
}
