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

/// How the step size falls from epoch to epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// The same step size throughout.
    #[default]
    Constant,
    /// Along a line, to a sixteenth in the last epoch.
    Linear,
    /// Along half a cosine, to a sixteenth in the last epoch.
    Cosine,
}

impl Schedule {
    /// Every schedule; a schedule's place is its code on the wire.
    pub const ALL: [Self; 3] = [Self::Constant, Self::Linear, Self::Cosine];
    /// Where the step size ends, as a part of the first.
    pub const LAST: f64 = 1.0 / 16.0;

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
        }
    }

    /// The schedule of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schedule| schedule.name() == name)
    }

    /// The step size of `epoch` out of `epochs`, as a part of the first.
    pub fn factor(self, epoch: u32, epochs: u32) -> f64 {
        let done = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
        let left = match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - done,
            Self::Cosine => 0.5 + 0.5 * libm::cos(std::f64::consts::PI * done),
        };
        Self::LAST + (1.0 - Self::LAST) * left
    }
}

/// What the client asked for, known to both parties; absent values take the defaults of
/// [`crate::plan::defaults`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Length of the Paillier moduli.
    pub modulus_bits: ModulusBits,
    /// Passes over the training rows, 1 to 1000.
    pub epochs: Option<u32>,
    /// Rows of a mini-batch, [`MIN_BATCH`] to [`MAX_BATCH`].
    pub batch_size: Option<u32>,
    /// Step size of the first epoch, above 0 and at most 100.
    pub learning_rate: Option<f64>,
    /// Coefficient of ½‖w‖² in the mean loss, 0 to 10; the intercept is not penalised.
    pub l2: Option<f64>,
    /// How the step size falls.
    pub schedule: Schedule,
    /// Most mini-batches of the job, at least 1.
    pub max_steps: Option<u32>,
    /// Whether each party rotates its own standardised columns so that they are uncorrelated and of
    /// variance 1 on its training rows.
    pub whiten: bool,
    /// Whether B weights its rows. How, only B knows ([`super::LabelOptions`]).
    pub weighted: bool,
    /// Part of the common training rows that is set aside and whose scores are opened to B after every
    /// epoch, 0.01 to 0.5. A agrees to it by its catalogue.
    pub validation: Option<f64>,
    /// Whether B may end training after any epoch.
    pub may_stop: bool,
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
            schedule: Schedule::Constant,
            max_steps: None,
            whiten: false,
            weighted: false,
            validation: None,
            may_stop: false,
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
        check(self.l2.is_none_or(|v| (0.0..=10.0).contains(&v)), "l2", "from 0 to 10")?;
        check(self.max_steps != Some(0), "max_steps", "1 or more")?;
        check(
            self.validation.is_none_or(|v| (0.01..=0.5).contains(&v)),
            "validation",
            "from 0.01 to 0.5",
        )
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
        out.u8(self.schedule as u8);
        out.u32(self.max_steps.unwrap_or(0));
        let flags = [self.whiten, self.weighted, self.may_stop];
        out.u8(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)));
        out.u64(self.validation.unwrap_or(0.0).to_bits());
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let out_of = |field| DecodeError::OutOfRange { field };
        let mut r = Reader::new(body);
        let bits = r.u32("modulus_bits")?;
        let epochs = r.u32("epochs")?;
        let batch = r.u32("batch_size")?;
        let rate = f64::from_bits(r.u64("learning_rate")?);
        let l2 = r.u64("l2")?;
        let schedule = r.u8("schedule")?;
        let max_steps = r.u32("max_steps")?;
        let flags = r.u8("flags")?;
        let validation = f64::from_bits(r.u64("validation")?);
        r.finish()?;
        if flags > 7 {
            return Err(out_of("flags"));
        }
        let decoded = Self {
            modulus_bits: ModulusBits::from_bits(bits).ok_or(out_of("modulus_bits"))?,
            epochs: (epochs != 0).then_some(epochs),
            batch_size: (batch != 0).then_some(batch),
            learning_rate: (rate.to_bits() != 0).then_some(rate),
            l2: (l2 != f64::NAN.to_bits()).then_some(f64::from_bits(l2)),
            schedule: *Schedule::ALL.get(usize::from(schedule)).ok_or(out_of("schedule"))?,
            max_steps: (max_steps != 0).then_some(max_steps),
            whiten: flags & 1 != 0,
            weighted: flags & 2 != 0,
            may_stop: flags & 4 != 0,
            validation: (validation.to_bits() != 0).then_some(validation),
        };
        decoded.validate().map_err(|e| out_of(e.name))?;
        Ok(decoded)
    }
}
