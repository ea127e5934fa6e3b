//! The parameters of a job that both sides agree on before it starts.

use paillier::ModulusBits;
use thiserror::Error;

use crate::wire::{DecodeError, Message, Reader, Writer};

/// Smallest mini-batch: a smaller one would let a step stand for too few rows.
pub const MIN_BATCH: u32 = 64;
/// Largest mini-batch.
pub const MAX_BATCH: u32 = 65_536;
/// Fewest test rows whose scores may be opened.
pub const MIN_TEST_ROWS: usize = 50;

/// What the client asked for; absent values take the defaults of [`crate::plan::defaults`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Length of the Paillier moduli.
    pub modulus_bits: ModulusBits,
    /// Passes over the training rows, 1 to 1000.
    pub epochs: Option<u32>,
    /// Rows of a mini-batch, [`MIN_BATCH`] to [`MAX_BATCH`].
    pub batch_size: Option<u32>,
    /// Constant step size, above 0 and at most 100.
    pub learning_rate: Option<f64>,
    /// Coefficient of ½‖w‖² in the mean loss, 0 to 10; the intercept is not penalised.
    pub l2: Option<f64>,
}

/// A parameter outside its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} must be {range}")]
pub struct ParameterError {
    /// The parameter as users write it.
    pub name: &'static str,
    /// Its range in words.
    pub range: &'static str,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            modulus_bits: ModulusBits::B3072,
            epochs: None,
            batch_size: None,
            learning_rate: None,
            l2: None,
        }
    }
}

impl Parameters {
    /// Checks every range.
    pub fn validate(&self) -> Result<(), ParameterError> {
        let check =
            |ok: bool, name, range| if ok { Ok(()) } else { Err(ParameterError { name, range }) };
        check(self.epochs.is_none_or(|v| (1..=1000).contains(&v)), "epochs", "from 1 to 1000")?;
        check(
            self.batch_size.is_none_or(|v| (MIN_BATCH..=MAX_BATCH).contains(&v)),
            "batch_size",
            "from 64 to 65536",
        )?;
        check(
            self.learning_rate.is_none_or(|v| v > 0.0 && v <= 100.0),
            "learning_rate",
            "above 0 and at most 100",
        )?;
        check(self.l2.is_none_or(|v| (0.0..=10.0).contains(&v)), "l2", "from 0 to 10")
    }
}

impl Message for Parameters {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u32(self.modulus_bits.bits());
        out.u32(self.epochs.unwrap_or(0));
        out.u32(self.batch_size.unwrap_or(0));
        out.u64(self.learning_rate.unwrap_or(0.0).to_bits());
        // 0 is a valid penalty, so absence is written as a NaN with a fixed pattern.
        out.u64(self.l2.unwrap_or(f64::NAN).to_bits());
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let bits = r.u32("modulus_bits")?;
        let epochs = r.u32("epochs")?;
        let batch = r.u32("batch_size")?;
        let rate = f64::from_bits(r.u64("learning_rate")?);
        let l2 = r.u64("l2")?;
        r.finish()?;
        let decoded = Self {
            modulus_bits: ModulusBits::from_bits(bits)
                .ok_or(DecodeError::OutOfRange { field: "modulus_bits" })?,
            epochs: (epochs != 0).then_some(epochs),
            batch_size: (batch != 0).then_some(batch),
            learning_rate: (rate.to_bits() != 0).then_some(rate),
            l2: (l2 != f64::NAN.to_bits()).then_some(f64::from_bits(l2)),
        };
        decoded.validate().map_err(|e| DecodeError::OutOfRange { field: e.name })?;
        Ok(decoded)
    }
}
