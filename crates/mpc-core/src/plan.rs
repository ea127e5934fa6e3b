//! Admission: from public bounds to the numbers that a run uses (docs/SPEC.md, "Bounds").
//!
//! Both sides compute the same [`Plan`] from the same public inputs, so nothing of it is
//! negotiated. All logarithms and powers come from one portable library.

use paillier::{ModulusBits, PackLayout};
use thiserror::Error;

use crate::{
    features::ceil_log2,
    ring::Ring,
    session::parameters::{MIN_BATCH, MIN_TEST_ROWS, Parameters, Schedule},
    train::series::{ErrorSeries, MIN_PERIOD, SeriesShape},
    wire::{DecodeError, Message, Reader, Writer},
};

/// Fractional bits of dense values as they are given, and of the intercept's multipliers.
pub const FEATURE_BITS: u32 = 8;
/// Fractional bits of standardised values: nineteen of twenty are one digit of eight bits if they are
/// normal, and rounding adds a fifty-thousandth of their variance, (2^−6)²/12.
pub const STANDARDISED_BITS: u32 = 6;
/// Fractional bits of the error: its unit is step size / batch size / 2^10.
pub const ERROR_BITS: u32 = 10;
/// Bits below the unit of the error that its factors carry.
pub const TRUNCATED_BITS: u32 = 8;
/// Widest ring of the factors: an integer share of 64 more bits, ten bits of a public multiplier and 40
/// terms stay within 128 bits.
pub const MAX_FACTOR_BITS: u32 = 46;
/// Largest |value| of a fixed-point feature.
pub const MAX_FIXED: f64 = (1u32 << 20) as f64;
/// Most that an L2 penalty may shrink the model in one job, as log2.
pub const MAX_DECAY_BITS: f64 = 10.0;

/// Above this product of step size and mean squared row norm, one step can move a score out of the
/// short series' window on the wrong side, and the long series is used.
pub const LARGE_STEP: f64 = 160.0;
/// More bits of the error under a schedule, so that the last step size, a sixteenth of the first, is as
/// precise as without one.
const SCHEDULE_BITS: u32 = 4;
/// Largest weight of a row where their mean is 1. Every job with weights has room for it, so that nothing
/// of its weights shows in its sizes.
pub const MAX_ROW_WEIGHT: f64 = 64.0;
/// A step size this many times the default rule's brings a warning.
pub const RATE_WARNING: f64 = 5.0;

/// What a party publishes about its columns. Norms are rounded up to powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicBounds {
    /// Columns after constant ones were dropped, without the intercept.
    pub columns: u32,
    /// Whether any column is not an indicator.
    pub dense: bool,
    /// Whether the columns were standardised.
    pub standardised: bool,
    /// ⌈log2⌉ of the largest column's Σ|x| over the training rows.
    pub column_bits: u8,
    /// ⌈log2⌉ of the largest row's Σ|x| over training and test rows.
    pub row_bits: u8,
    /// ⌈log2⌉ of the mean of Σx² over the training rows.
    pub energy_bits: u8,
}

impl Message for PublicBounds {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u32(self.columns);
        out.u8(u8::from(self.dense) | u8::from(self.standardised) << 1);
        out.u8(self.column_bits);
        out.u8(self.row_bits);
        out.u8(self.energy_bits);
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let columns = r.u32("columns")?;
        let flags = r.u8("flags")?;
        let small =
            |v: u8, field| if v <= 64 { Ok(v) } else { Err(DecodeError::OutOfRange { field }) };
        let bounds = Self {
            columns,
            dense: flags & 1 != 0,
            standardised: flags & 2 != 0,
            column_bits: small(r.u8("column_bits")?, "column_bits")?,
            row_bits: small(r.u8("row_bits")?, "row_bits")?,
            energy_bits: small(r.u8("energy_bits")?, "energy_bits")?,
        };
        if flags > 3 {
            return Err(DecodeError::OutOfRange { field: "flags" });
        }
        r.finish()?;
        Ok(bounds)
    }
}

/// Step size, batch size and epochs after defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows of a mini-batch.
    pub batch_size: u32,
    /// Step size of the first epoch.
    pub learning_rate: f64,
    /// How it falls.
    pub schedule: Schedule,
    /// L2 coefficient.
    pub l2: f64,
    /// Most mini-batches of the job.
    pub max_steps: Option<u32>,
}

/// The documented default rule (docs/SPEC.md, "Default hyper-parameters"): only rows, columns and
/// scaling enter, never labels or results.
///
/// - batch size: the power of two nearest to rows / 224, from 64 to 4096;
/// - epochs: as many as give 96 steps, at least one;
/// - step size: 0.1 with standardised columns and 1 without, less where the mean squared row norm
///   (as published, rounded up) is above 160: a step must not overshoot the curvature.
pub fn defaults(asked: &Parameters, rows: usize, a: &PublicBounds, b: &PublicBounds) -> Hyper {
    let batch_size = asked.batch_size.unwrap_or_else(|| {
        let exponent = libm::round(libm::log2((rows as f64 / 224.0).max(1.0))) as u32;
        (1u32 << exponent.clamp(6, 12)).max(MIN_BATCH)
    });
    let steps_per_epoch = (rows as u32 / batch_size).max(1);
    Hyper {
        epochs: asked.epochs.unwrap_or(96u32.div_ceil(steps_per_epoch)),
        batch_size,
        learning_rate: asked.learning_rate.unwrap_or_else(|| default_rate(a, b)),
        schedule: asked.schedule,
        l2: asked.l2.unwrap_or(0.0),
        max_steps: asked.max_steps,
    }
}

/// The step size of the default rule.
fn default_rate(a: &PublicBounds, b: &PublicBounds) -> f64 {
    let standardised = a.standardised || b.standardised;
    let (most, reach) = if standardised { (0.1, 16.0) } else { (1.0, LARGE_STEP) };
    f64::min(most, reach / energy(a, b))
}

/// Mean squared norm of a joint row, as published.
fn energy(a: &PublicBounds, b: &PublicBounds) -> f64 {
    exp2(u32::from(a.energy_bits)) + exp2(u32::from(b.energy_bits))
}

/// Why a job cannot run. The message says which setting to change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdmissionError {
    /// Fewer rows than a mini-batch.
    #[error("the {rows} common training rows are fewer than one mini-batch of {batch_size}")]
    TooFewRows {
        /// Rows of the training intersection.
        rows: usize,
        /// The mini-batch.
        batch_size: u32,
    },
    /// Fewer test rows than may be opened.
    #[error("the {rows} common test rows are fewer than {MIN_TEST_ROWS}")]
    TooFewTestRows {
        /// Rows of the test intersection.
        rows: usize,
    },
    /// Fewer validation rows than may be opened.
    #[error("the {rows} common rows set aside for validation are fewer than {MIN_TEST_ROWS}")]
    TooFewValidationRows {
        /// Rows that were set aside.
        rows: usize,
    },
    /// A limit that ends training within the first epoch.
    #[error("max_steps is {max_steps}, less than the {epoch} mini-batches of an epoch")]
    TooFewSteps {
        /// The limit.
        max_steps: u32,
        /// Mini-batches of an epoch.
        epoch: u32,
    },
    /// Neither side has a column.
    #[error("neither side has a usable column")]
    NoColumns,
    /// The numbers do not fit the plaintext or the ring.
    #[error("the job does not fit: {what} needs {needed} bits of {available}; {setting}")]
    DoesNotFit {
        /// What does not fit.
        what: &'static str,
        /// Bits it needs.
        needed: u32,
        /// Bits there are.
        available: u32,
        /// The setting to change, and in which direction.
        setting: &'static str,
    },
}

/// Everything numeric that the two sides agree on. Public.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Length of the Paillier moduli.
    pub modulus_bits: ModulusBits,
    /// Step size, batch size, epochs, penalty.
    pub hyper: Hyper,
    /// Common rows that are trained on, and common test rows.
    pub rows: [usize; 2],
    /// Common training rows that are set aside; none without validation.
    pub validation_rows: usize,
    /// Whether rows have weights, of mean 1 and at most [`MAX_ROW_WEIGHT`].
    pub weighted: bool,
    /// Whether B may end training after any epoch.
    pub may_stop: bool,
    /// Bounds of A's and B's columns.
    pub bounds: [PublicBounds; 2],
    /// Fractional bits of dense values in this job: 6 when they are standardised and there is no
    /// penalty, 0 when all columns are indicators, else 8.
    pub feature_bits: u32,
    /// Harmonics, period and window of the error series.
    pub shape: SeriesShape,
    /// log2 of the period of the series in units of z, at the first batch.
    pub period_bits: u32,
    /// The ring in which test scores are opened, modulo 2^L: twice as wide as any score, and so are
    /// the integers in ciphertexts.
    pub ring: Ring,
    /// log2 of the ring in which factors of the error are shared: four times as wide as any of them.
    pub factor_bits: u32,
    /// Value of one unit of an indicator's weight (and of the error) at the first batch.
    pub error_unit: f64,
    /// Step size of each epoch.
    rates: Vec<f64>,
    /// The scalar of the penalty before each epoch.
    scales: Vec<f64>,
    /// Packing of partial scores in training, which count modulo the period only.
    pub score_layout: PackLayout,
    /// Packing of partial scores of test rows, modulo 2^L.
    pub test_layout: PackLayout,
}

impl Plan {
    /// Computes the plan, or says what does not fit. `rows`: those that are trained on, set aside for
    /// validation, and test rows.
    pub fn new(
        asked: &Parameters,
        rows: [usize; 3],
        a: PublicBounds,
        b: PublicBounds,
    ) -> Result<Self, AdmissionError> {
        let [train_rows, validation_rows, test_rows] = rows;
        let rows = [train_rows, test_rows];
        let hyper = defaults(asked, rows[0], &a, &b);
        if rows[0] < hyper.batch_size as usize {
            return Err(AdmissionError::TooFewRows { rows: rows[0], batch_size: hyper.batch_size });
        }
        if rows[1] < MIN_TEST_ROWS {
            return Err(AdmissionError::TooFewTestRows { rows: rows[1] });
        }
        if asked.validation.is_some() && validation_rows < MIN_TEST_ROWS {
            return Err(AdmissionError::TooFewValidationRows { rows: validation_rows });
        }
        if a.columns == 0 && b.columns == 0 {
            return Err(AdmissionError::NoColumns);
        }
        let steps_per_epoch = rows[0] as u32 / hyper.batch_size;
        // Of a model that has seen less than an epoch nothing is opened.
        if let Some(max_steps) = hyper.max_steps.filter(|&most| most < steps_per_epoch) {
            return Err(AdmissionError::TooFewSteps { max_steps, epoch: steps_per_epoch });
        }
        let rates: Vec<f64> = (0..hyper.epochs)
            .map(|epoch| hyper.learning_rate * hyper.schedule.factor(epoch, hyper.epochs))
            .collect();
        let (scales, decay) = decay(&rates, hyper.l2, steps_per_epoch);
        if decay.is_nan() || decay > MAX_DECAY_BITS {
            return Err(AdmissionError::DoesNotFit {
                what: "the decay by l2",
                needed: if decay.is_finite() { decay.min(1e6) as u32 + 1 } else { u32::MAX },
                available: MAX_DECAY_BITS as u32,
                setting: "lower l2, learning_rate or epochs",
            });
        }
        let as_given = |p: &PublicBounds| p.dense && !p.standardised;
        let feature_bits = if hyper.l2 > 0.0 || as_given(&a) || as_given(&b) {
            FEATURE_BITS
        } else if a.dense || b.dense {
            STANDARDISED_BITS
        } else {
            0
        };

        let large = hyper.learning_rate * energy(&a, &b) > LARGE_STEP;
        let shape = if large { SeriesShape::LONG } else { SeriesShape::SHORT };

        // The unit is chosen so that the period is exactly a power of two.
        let falls = if hyper.schedule == Schedule::Constant { 0 } else { SCHEDULE_BITS };
        let error_bits = ERROR_BITS + falls;
        let wanted = hyper.learning_rate / f64::from(hyper.batch_size) / exp2(error_bits);
        let period_bits =
            libm::round(libm::log2(shape.period / wanted)) as i64 + 2 * i64::from(feature_bits);
        // A period of a few units would leave nothing of the score.
        let period_bits = u32::try_from(period_bits.max(12)).unwrap_or(u32::MAX);

        // True values: |w_j| ≤ epochs · step / batch · ‖x_j‖₁ · sup|e|, the score Σ|x_j||w_j|.
        let heaviest = if asked.weighted { MAX_ROW_WEIGHT } else { 1.0 };
        let supremum = heaviest * supremum(&shape);
        let reach = rates.iter().sum::<f64>() / f64::from(hyper.batch_size);
        let caps = [Caps::of(&a), Caps::of(&b).with_intercept(rows[0], decay)];
        let score = caps.map(|c| exp2(c.column + c.row)).iter().sum::<f64>() * reach * supremum;
        let widest = caps.map(|c| c.column).into_iter().fold(0, u32::max);
        let weight = exp2(widest + feature_bits) * reach * supremum;
        let guard =
            libm::ceil(libm::log2(2.0 * score.max(weight) / shape.period).max(0.0) + decay) as u32;
        let ring_bits = period_bits.saturating_add(guard).saturating_add(2);
        let Some(ring) = Ring::new(ring_bits) else {
            return Err(AdmissionError::DoesNotFit {
                what: "the ring of the scores",
                needed: ring_bits,
                available: Ring::MAX_BITS,
                setting: if guard > period_bits {
                    "lower learning_rate or epochs, or scale the columns"
                } else {
                    "raise learning_rate or lower batch_size"
                },
            });
        };

        // A factor is at most the amplitude of its harmonic; 255 steps of a sine are rounded.
        let unit = exp2(error_bits + TRUNCATED_BITS) * std::f64::consts::SQRT_2 * libm::exp2(decay);
        let factor = 1.01 * heaviest * amplitude(&shape) * unit + 256.0;
        let factor_bits = 2 + libm::ceil(libm::log2(factor)) as u32;
        if factor_bits > MAX_FACTOR_BITS {
            return Err(AdmissionError::DoesNotFit {
                what: "the ring of the error",
                needed: factor_bits,
                available: MAX_FACTOR_BITS,
                setting: "lower l2, learning_rate or epochs",
            });
        }

        // The widest period of the job; and what a score may carry into the slot above.
        let widest_period = period_bits + libm::round(decay) as u32;
        let layout = |slot_bits: u32| {
            PackLayout::new(asked.modulus_bits, slot_bits, ring_bits).map_err(|_| {
                AdmissionError::DoesNotFit {
                    what: "a packed score",
                    needed: slot_bits.max(ring_bits + 1),
                    available: asked.modulus_bits.bits() - paillier::HEADROOM_BITS,
                    setting: "lower epochs, scale the columns or raise modulus_bits",
                }
            })
        };
        let (score_layout, test_layout) = (layout(widest_period)?, layout(ring_bits)?);
        Ok(Self {
            modulus_bits: asked.modulus_bits,
            hyper,
            rows,
            validation_rows,
            weighted: asked.weighted,
            may_stop: asked.may_stop,
            bounds: [a, b],
            feature_bits,
            shape,
            period_bits,
            ring,
            factor_bits,
            error_unit: shape.period * exp2(2 * feature_bits) / exp2(period_bits),
            rates,
            scales,
            score_layout,
            test_layout,
        })
    }

    /// Mini-batches of an epoch; the incomplete last one is dropped.
    pub fn steps_per_epoch(&self) -> u32 {
        self.rows[0] as u32 / self.hyper.batch_size
    }
    /// Mini-batches of the job, unless B ends training before.
    pub fn steps(&self) -> u32 {
        let all = self.hyper.epochs * self.steps_per_epoch();
        self.hyper.max_steps.map_or(all, |most| all.min(most))
    }
    /// Epochs of the job, the last one perhaps cut short.
    pub fn epochs(&self) -> u32 {
        self.steps().div_ceil(self.steps_per_epoch())
    }
    /// Mini-batches done after `epochs` epochs.
    pub fn steps_after(&self, epochs: u32) -> u32 {
        self.steps().min(epochs * self.steps_per_epoch())
    }
    /// The step size of batch `step` (from 0).
    pub fn rate_at(&self, step: u32) -> f64 {
        self.rates[self.epoch_of(step)]
    }
    /// The public scalar s of w = s·v before batch `step` (from 0).
    pub fn scale_before(&self, step: u32) -> f64 {
        if self.hyper.l2 == 0.0 {
            return 1.0;
        }
        let epoch = self.epoch_of(step);
        let within = step - epoch as u32 * self.steps_per_epoch();
        self.scales[epoch] * libm::pow(1.0 - self.rates[epoch] * self.hyper.l2, f64::from(within))
    }
    /// The epoch of batch `step`; the end of the job counts with its last epoch.
    fn epoch_of(&self, step: u32) -> usize {
        (step / self.steps_per_epoch()).min(self.hyper.epochs - 1) as usize
    }
    /// Width of the period and the period itself, in units of z and of v·x, at batch `step`: as s
    /// shrinks, the power of two that keeps the real period nearest to the shape's.
    pub fn period_at(&self, step: u32) -> (u32, f64) {
        let s = self.scale_before(step);
        let more = libm::round(-libm::log2(s)) as u32;
        let period = self.shape.period * s * exp2(more);
        debug_assert!(period >= MIN_PERIOD);
        (self.period_bits + more, period)
    }
    /// The ring of scores and their masks at batch `step`: modulo the period.
    pub fn score_ring(&self, step: u32) -> Ring {
        Ring::new(self.period_at(step).0).expect("a period is narrower than the ring of the scores")
    }
    /// Units of the error per 1 of σ(z) − y at batch `step`.
    pub fn error_gain(&self, step: u32) -> f64 {
        self.rate_at(step)
            / f64::from(self.hyper.batch_size)
            / (self.error_unit * self.scale_before(step + 1))
    }
    /// Value of one unit of z, after `steps` batches.
    pub fn score_unit(&self, steps: u32) -> f64 {
        self.error_unit * self.scale_before(steps) / exp2(2 * self.feature_bits)
    }
    /// A warning when the step size is far above the default rule.
    pub fn rate_warning(&self) -> Option<String> {
        let usual = default_rate(&self.bounds[0], &self.bounds[1]);
        let rate = self.hyper.learning_rate;
        (rate > RATE_WARNING * usual).then(|| {
            format!(
                "learning_rate {rate} is {:.0} times the default rule's {usual} for these columns: \
                 steps may overshoot; lower it if the scores are unstable",
                rate / usual
            )
        })
    }
    /// BLAKE3 of the plan; both sides compare it before they spend work.
    pub fn digest(&self) -> [u8; 32] {
        let mut h = blake3::Hasher::new_derive_key("caesar/v1 plan");
        let mut word = |v: u64| {
            h.update(&v.to_le_bytes());
        };
        word(u64::from(self.modulus_bits.bits()));
        word(u64::from(self.hyper.epochs));
        word(u64::from(self.hyper.batch_size));
        word(self.hyper.learning_rate.to_bits());
        word(self.hyper.schedule as u64);
        word(self.hyper.l2.to_bits());
        word(u64::from(self.steps()));
        self.rows.iter().for_each(|&v| word(v as u64));
        word(self.validation_rows as u64);
        word(u64::from(self.weighted));
        word(u64::from(self.may_stop));
        word(u64::from(self.feature_bits));
        word(self.shape.harmonics as u64);
        word(u64::from(self.period_bits));
        word(u64::from(self.ring.bits()));
        word(u64::from(self.factor_bits));
        word(u64::from(self.score_layout.slot_bits()));
        for p in &self.bounds {
            h.update(&p.to_bytes());
        }
        *h.finalize().as_bytes()
    }
}

/// ⌈log2⌉ of the caps of one party's columns as the products see them.
#[derive(Clone, Copy)]
struct Caps {
    column: u32,
    row: u32,
}

impl Caps {
    fn of(bounds: &PublicBounds) -> Self {
        Self { column: u32::from(bounds.column_bits), row: u32::from(bounds.row_bits) }
    }
    /// Every row has the intercept, with multiplier 1, or up to 1/s = 2^`decay` with a penalty.
    fn with_intercept(self, rows: usize, decay: f64) -> Self {
        Self {
            column: self.column.max(u32::from(ceil_log2(rows as f64))),
            row: self.row.max(libm::ceil(decay) as u32) + 1,
        }
    }
}

/// sup|e| over all periods that a job with decay can reach.
fn supremum(shape: &SeriesShape) -> f64 {
    largest(shape, ErrorSeries::supremum).max(1.05)
}

/// The largest amplitude of a harmonic over the same periods.
fn amplitude(shape: &SeriesShape) -> f64 {
    largest(shape, ErrorSeries::amplitude)
}

fn largest(shape: &SeriesShape, of: impl Fn(&ErrorSeries) -> f64) -> f64 {
    [std::f64::consts::FRAC_1_SQRT_2, 1.0, std::f64::consts::SQRT_2]
        .map(|stretch| of(&ErrorSeries::fit(shape, shape.period * stretch)))
        .into_iter()
        .fold(0.0, f64::max)
        // For the periods between the three.
        * 1.05
}

/// The scalar s of w = s·v before each epoch, and log2(1/s) after the last; that is infinite where a
/// single step would turn the sign.
fn decay(rates: &[f64], l2: f64, steps_per_epoch: u32) -> (Vec<f64>, f64) {
    let (mut scales, mut bits) = (Vec::with_capacity(rates.len()), 0.0);
    for rate in rates {
        scales.push(libm::exp2(-bits));
        let keep = 1.0 - rate * l2;
        if keep <= 0.0 {
            return (scales, f64::INFINITY);
        }
        bits -= libm::log2(keep) * f64::from(steps_per_epoch);
    }
    (scales, bits)
}

fn exp2(bits: u32) -> f64 {
    libm::ldexp(1.0, bits as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(dense: bool, column_bits: u8, row_bits: u8) -> PublicBounds {
        PublicBounds {
            columns: 10,
            dense,
            standardised: dense,
            column_bits,
            row_bits,
            energy_bits: 4,
        }
    }

    fn asked(epochs: u32, batch: u32, rate: f64, l2: f64) -> Parameters {
        Parameters {
            epochs: Some(epochs),
            batch_size: Some(batch),
            learning_rate: Some(rate),
            l2: Some(l2),
            ..Parameters::default()
        }
    }

    proptest! {
        /// Every visit of every row adds the worst error to the worst column, and the worst row
        /// collects the worst weights: no score wraps, packed or opened, and no factor of an error.
        #[test]
        fn the_worst_case_fits(
            dense: [bool; 2],
            column_bits in prop::array::uniform2(0u8..20),
            row_bits in prop::array::uniform2(0u8..12),
            epochs in 1u32..40,
            batch_bits in 6u32..13,
            rate in -6.0f64..4.0,
            penalised: bool,
            schedule in prop::sample::select(&Schedule::ALL),
            weighted: bool,
            rows in 8192usize..400_000,
        ) {
            let rate = libm::exp2(rate);
            let l2 = if penalised { 2.0 / rate / f64::from(epochs) / (rows as f64 / f64::from(1 << batch_bits)) } else { 0.0 };
            let [a, b] = [0, 1].map(|i| bounds(dense[i], column_bits[i], row_bits[i]));
            let asked = Parameters { schedule, weighted, ..asked(epochs, 1 << batch_bits, rate, l2) };
            let heaviest = if weighted { MAX_ROW_WEIGHT } else { 1.0 };
            let Ok(plan) = Plan::new(&asked, [rows, 0, 100], a, b) else {
                return Ok(());
            };
            let fx = plan.feature_bits;
            let steps = plan.steps();
            let biggest_inverse = 1.0 / plan.scale_before(steps);
            let mut true_score = 0.0;
            for (party, p) in [a, b].into_iter().enumerate() {
                // Σ|x| of the worst column in one epoch, Σ|x| of the worst row.
                let intercept = party == 1;
                let column = libm::exp2(f64::from(p.column_bits)).max(if intercept { rows as f64 } else { 0.0 });
                let row = libm::exp2(f64::from(p.row_bits)) + if intercept { biggest_inverse } else { 0.0 };
                // Dense values count 2^fx on the way in and on the way out, indicators 2^(2 fx) on the
                // way out. The gain of an epoch's last step is its largest.
                let sup = heaviest * ErrorSeries::fit(&plan.shape, plan.shape.period).supremum();
                let gain = (1..=epochs).map(|n| plan.error_gain(plan.steps_after(n) - 1)).sum::<f64>();
                let weight_units = column * gain * sup;
                prop_assert!(weight_units * libm::ldexp(1.0, fx as i32) < libm::ldexp(1.0, plan.ring.bits() as i32 - 1));
                true_score += weight_units * row * libm::ldexp(1.0, 2 * fx as i32);
            }
            prop_assert!(true_score < libm::ldexp(1.0, plan.ring.bits() as i32 - 1), "score wraps");
            for layout in [plan.score_layout, plan.test_layout] {
                // As integers: a row's scores fill a slot and up to 2^L of them the ones above.
                let sum = (layout.slots() as u32 - 1) * layout.slot_bits() + plan.ring.bits() + 1;
                prop_assert!(sum <= plan.modulus_bits.bits() - 66, "packed scores wrap");
            }
            prop_assert!(plan.test_layout.slot_bits() == plan.ring.bits());
            for step in [0, steps / 2, steps - 1] {
                let (bits, period) = plan.period_at(step);
                prop_assert!(bits <= plan.score_layout.slot_bits(), "a slot has the whole period");
                prop_assert!(bits <= plan.ring.bits());
                let unit = plan.error_gain(step) * libm::exp2(f64::from(TRUNCATED_BITS));
                let series = ErrorSeries::fit(&plan.shape, period);
                let harmonics = series.sine.iter().zip(&series.cosine);
                let factor = heaviest * harmonics.map(|(a, b)| libm::hypot(*a, *b)).fold(0.0, f64::max) * unit;
                // Sines rounded to 1/255, operands to 1: at most 256 units apart.
                let most = 256.0 / 255.0 * factor + 256.0;
                prop_assert!(most < libm::exp2(f64::from(plan.factor_bits - 2)), "a factor wraps");
                prop_assert!(period > 0.7 * plan.shape.period && period < 1.42 * plan.shape.period);
            }
        }
    }

    #[test]
    fn a_job_that_does_not_fit_names_the_setting() {
        let refuse = |rate, l2, epochs, bits: u8| {
            let p = bounds(true, bits, bits);
            Plan::new(&asked(epochs, 128, rate, l2), [10_000, 0, 100], p, p)
                .unwrap_err()
                .to_string()
        };
        assert!(refuse(1e-27, 0.0, 1, 10).contains("raise learning_rate"));
        assert!(refuse(100.0, 0.0, 1000, 55).contains("lower learning_rate or epochs"));
        assert!(refuse(1.0, 10.0, 10, 10).contains("lower l2"));
        assert!(refuse(1.0, 0.5, 10, 10).contains("lower l2"));
    }

    #[test]
    fn too_few_rows_or_steps_and_no_columns_are_refused() {
        let p = bounds(true, 10, 5);
        let plan = |rows, p| Plan::new(&Parameters::default(), rows, p, p).unwrap_err();
        assert_eq!(plan([63, 0, 100], p), AdmissionError::TooFewRows { rows: 63, batch_size: 64 });
        assert_eq!(plan([64, 0, 49], p), AdmissionError::TooFewTestRows { rows: 49 });
        let of_steps = |max_steps| {
            let asked = Parameters { max_steps: Some(max_steps), ..asked(2, 64, 0.1, 0.0) };
            Plan::new(&asked, [300, 0, 100], p, p).map(|plan| plan.steps())
        };
        assert_eq!(of_steps(3), Err(AdmissionError::TooFewSteps { max_steps: 3, epoch: 4 }));
        assert_eq!((of_steps(4), of_steps(5), of_steps(9)), (Ok(4), Ok(5), Ok(8)));
        let none = PublicBounds { columns: 0, ..p };
        assert_eq!(plan([64, 0, 50], none), AdmissionError::NoColumns);
    }

    #[test]
    fn defaults_follow_the_documented_rule() {
        let of = |rows, standardised, energy_bits| {
            let p = PublicBounds { standardised, energy_bits, ..bounds(true, 10, 5) };
            let h = defaults(&Parameters::default(), rows, &p, &p);
            (h.batch_size, h.epochs, h.learning_rate)
        };
        assert_eq!(of(22_450, true, 4), (128, 1, 0.1));
        assert_eq!(of(36_736, false, 4), (128, 1, 1.0));
        assert_eq!(of(3_108, false, 8), (64, 2, 0.3125));
        assert_eq!(of(410, true, 5), (64, 16, 0.1));
        assert_eq!(of(64, true, 9), (64, 96, 0.015625));
        assert_eq!(of(10_000_000, false, 4), (4096, 1, 1.0));
    }

    #[test]
    fn the_default_rule_never_needs_the_long_series() {
        for energy_bits in 0..20 {
            for standardised in [false, true] {
                let p = PublicBounds { standardised, energy_bits, ..bounds(true, 10, 5) };
                let plan = Plan::new(&Parameters::default(), [10_000, 0, 100], p, p).unwrap();
                assert_eq!(plan.shape, SeriesShape::SHORT);
                assert_eq!(plan.rate_warning(), None);
            }
        }
    }
}
