//! Admission: from public bounds to the numbers that a run uses (docs/SPEC.md, "Bounds").
//!
//! Both sides compute the same [`Plan`] from the same public inputs, so nothing of it is
//! negotiated. All logarithms and powers come from one portable library.

use paillier::{ModulusBits, PackLayout};
use thiserror::Error;

use crate::{
    features::ceil_log2,
    ring::Ring,
    session::parameters::{MIN_BATCH, MIN_TEST_ROWS, Parameters},
    train::series::{ErrorSeries, MIN_PERIOD, SeriesShape},
    wire::{DecodeError, Message, Reader, Writer},
};

/// Fractional bits of a scaled (dense) feature value.
pub const FEATURE_BITS: u32 = 8;
/// Fractional bits of the error: its unit is step size / batch size / 2^10.
pub const ERROR_BITS: u32 = 10;
/// Bits below the unit of the error that the OLEs carry and the truncation drops.
pub const TRUNCATED_BITS: u32 = 8;
/// Largest |value| of a fixed-point feature.
pub const MAX_FIXED: f64 = (1u32 << 20) as f64;
/// Most that an L2 penalty may shrink the model in one job, as log2.
pub const MAX_DECAY_BITS: f64 = 10.0;

/// Above this product of step size and mean squared row norm, one step can move a score out of the
/// short series' window on the wrong side, and the long series is used.
pub const LARGE_STEP: f64 = 160.0;
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
    /// Constant step size.
    pub learning_rate: f64,
    /// L2 coefficient.
    pub l2: f64,
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
        l2: asked.l2.unwrap_or(0.0),
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
    /// Rows of the training and the test intersection.
    pub rows: [usize; 2],
    /// Bounds of A's and B's columns.
    pub bounds: [PublicBounds; 2],
    /// Fractional bits of dense values in this job: 8, or 0 when all columns are indicators.
    pub feature_bits: u32,
    /// Harmonics, period and window of the error series.
    pub shape: SeriesShape,
    /// log2 of the period of the series in units of z, at the first batch.
    pub period_bits: u32,
    /// The ring of weights, errors and z: modulo 2^L.
    pub ring: Ring,
    /// The ring in which the OLEs are shared: modulo 2^(L + 8).
    pub ole_ring: Ring,
    /// Value of one unit of an indicator's weight (and of the error) at the first batch.
    pub error_unit: f64,
    /// Packing of A's and of B's partial products.
    pub layouts: [PackLayout; 2],
    /// Bits of the offset that makes packed values positive, for A and B.
    pub value_bits: [u32; 2],
}

impl Plan {
    /// Computes the plan, or says what does not fit.
    pub fn new(
        asked: &Parameters,
        rows: [usize; 2],
        a: PublicBounds,
        b: PublicBounds,
    ) -> Result<Self, AdmissionError> {
        let hyper = defaults(asked, rows[0], &a, &b);
        if rows[0] < hyper.batch_size as usize {
            return Err(AdmissionError::TooFewRows { rows: rows[0], batch_size: hyper.batch_size });
        }
        if rows[1] < MIN_TEST_ROWS {
            return Err(AdmissionError::TooFewTestRows { rows: rows[1] });
        }
        if a.columns == 0 && b.columns == 0 {
            return Err(AdmissionError::NoColumns);
        }
        let steps = f64::from(hyper.epochs) * f64::from(rows[0] as u32 / hyper.batch_size);
        let decay = decay_bits(&hyper, steps);
        if decay.is_nan() || decay > MAX_DECAY_BITS {
            return Err(AdmissionError::DoesNotFit {
                what: "the decay by l2",
                needed: if decay.is_finite() { decay.min(1e6) as u32 + 1 } else { u32::MAX },
                available: MAX_DECAY_BITS as u32,
                setting: "lower l2, learning_rate or epochs",
            });
        }
        let feature_bits = if a.dense || b.dense || hyper.l2 > 0.0 { FEATURE_BITS } else { 0 };

        let large = hyper.learning_rate * energy(&a, &b) > LARGE_STEP;
        let shape = if large { SeriesShape::LONG } else { SeriesShape::SHORT };

        // The unit is chosen so that the period is exactly a power of two.
        let wanted = hyper.learning_rate / f64::from(hyper.batch_size) / exp2(ERROR_BITS);
        let period_bits =
            libm::round(libm::log2(shape.period / wanted)) as i64 + 2 * i64::from(feature_bits);
        // A period of a few units would leave nothing of the score.
        let period_bits = u32::try_from(period_bits.max(12)).unwrap_or(u32::MAX);

        // True values: |w_j| ≤ epochs · step / batch · ‖x_j‖₁ · sup|e|, the score Σ|x_j||w_j|.
        let supremum = supremum(&shape);
        let reach = f64::from(hyper.epochs) * hyper.learning_rate / f64::from(hyper.batch_size);
        let caps = [Caps::of(&a), Caps::of(&b).with_intercept(rows[0], decay)];
        let score = caps.map(|c| exp2(c.column + c.row)).iter().sum::<f64>() * reach * supremum;
        let widest = caps.map(|c| c.column).into_iter().fold(0, u32::max);
        let weight = exp2(widest + feature_bits) * reach * supremum;
        let guard =
            libm::ceil(libm::log2(2.0 * score.max(weight) / shape.period).max(0.0) + decay) as u32;
        let ring_bits = period_bits.saturating_add(guard).saturating_add(2);
        let ole_bits = ring_bits.saturating_add(TRUNCATED_BITS);
        let (Some(ring), Some(ole_ring)) = (Ring::new(ring_bits), Ring::new(ole_bits)) else {
            return Err(AdmissionError::DoesNotFit {
                what: "the ring of the weights",
                needed: ole_bits,
                available: Ring::MAX_BITS,
                setting: if guard > period_bits {
                    "lower learning_rate or epochs, or scale the columns"
                } else {
                    "raise learning_rate or lower batch_size"
                },
            });
        };

        // Integers in ciphertexts: 2^(L+1) a row and visit instead of sup|e|.
        let epoch_bits = u32::BITS - (hyper.epochs - 1).leading_zeros();
        let visits = ring_bits + 1 + epoch_bits + 2 * feature_bits + decay.ceil() as u32;
        let value_bits = caps.map(|c| visits + c.column + c.row);
        let mut layouts = Vec::with_capacity(2);
        for bits in value_bits {
            layouts.push(PackLayout::new(asked.modulus_bits, bits + 2).map_err(|_| {
                AdmissionError::DoesNotFit {
                    what: "a packed score",
                    needed: bits + 2,
                    available: asked.modulus_bits.bits() - paillier::HEADROOM_BITS,
                    setting: "lower epochs, scale the columns or raise modulus_bits",
                }
            })?);
        }
        Ok(Self {
            modulus_bits: asked.modulus_bits,
            hyper,
            rows,
            bounds: [a, b],
            feature_bits,
            shape,
            period_bits,
            ring,
            ole_ring,
            error_unit: shape.period * exp2(2 * feature_bits) / exp2(period_bits),
            layouts: [layouts[0], layouts[1]],
            value_bits,
        })
    }

    /// Mini-batches of an epoch; the incomplete last one is dropped.
    pub fn steps_per_epoch(&self) -> u32 {
        self.rows[0] as u32 / self.hyper.batch_size
    }
    /// Mini-batches of the job.
    pub fn steps(&self) -> u32 {
        self.hyper.epochs * self.steps_per_epoch()
    }
    /// The public scalar s of w = s·v before batch `step` (from 0).
    pub fn scale_before(&self, step: u32) -> f64 {
        libm::pow(1.0 - self.hyper.learning_rate * self.hyper.l2, f64::from(step))
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
    /// Units of the error per 1 of σ(z) − y at batch `step`.
    pub fn error_gain(&self, step: u32) -> f64 {
        self.hyper.learning_rate
            / f64::from(self.hyper.batch_size)
            / (self.error_unit * self.scale_before(step + 1))
    }
    /// Value of one unit of z, after `steps` batches.
    pub fn score_unit(&self, steps: u32) -> f64 {
        self.error_unit * self.scale_before(steps) / exp2(2 * self.feature_bits)
    }
    /// OLE terms a row: a sine and a cosine for each harmonic.
    pub fn terms(&self) -> usize {
        2 * self.shape.harmonics
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
        word(self.hyper.l2.to_bits());
        self.rows.iter().for_each(|&v| word(v as u64));
        word(u64::from(self.feature_bits));
        word(self.shape.harmonics as u64);
        word(u64::from(self.period_bits));
        word(u64::from(self.ring.bits()));
        self.value_bits.iter().for_each(|&v| word(u64::from(v)));
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
    [std::f64::consts::FRAC_1_SQRT_2, 1.0, std::f64::consts::SQRT_2]
        .map(|stretch| ErrorSeries::fit(shape, shape.period * stretch).supremum())
        .into_iter()
        .fold(1.0, f64::max)
        // For the periods between the three.
        * 1.05
}

/// log2(1/s) after all steps; infinite where a single step would turn the sign.
fn decay_bits(hyper: &Hyper, steps: f64) -> f64 {
    if hyper.l2 == 0.0 {
        return 0.0;
    }
    let keep = 1.0 - hyper.learning_rate * hyper.l2;
    if keep <= 0.0 { f64::INFINITY } else { -libm::log2(keep) * steps }
}

fn exp2(bits: u32) -> f64 {
    libm::ldexp(1.0, bits as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
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
        /// collects the worst weights: neither the integers in a slot nor the true score wrap.
        #[test]
        fn the_worst_case_fits(
            dense: [bool; 2],
            column_bits in prop::array::uniform2(0u8..20),
            row_bits in prop::array::uniform2(0u8..12),
            epochs in 1u32..40,
            batch_bits in 6u32..13,
            rate in -6.0f64..4.0,
            penalised: bool,
            rows in 8192usize..400_000,
        ) {
            let rate = libm::exp2(rate);
            let l2 = if penalised { 2.0 / rate / f64::from(epochs) / (rows as f64 / f64::from(1 << batch_bits)) } else { 0.0 };
            let [a, b] = [0, 1].map(|i| bounds(dense[i], column_bits[i], row_bits[i]));
            let Ok(plan) = Plan::new(&asked(epochs, 1 << batch_bits, rate, l2), [rows, 100], a, b) else {
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
                // Integers: each visit adds up to 2^(L+1) times the value, dense values times 2^fx on
                // the way in and on the way out, indicators 2^(2 fx) on the way out.
                let weight = (BigInt::from(epochs) << (plan.ring.bits() + 1))
                    * BigInt::from(libm::ceil(column) as u64);
                let score = (weight * BigInt::from(libm::ceil(row) as u64)) << (2 * fx);
                // In a slot, −2^V ..= 2^V is lifted by 2^V and has room below 2^(V+2).
                prop_assert!(score <= BigInt::from(1) << plan.value_bits[party], "packed score wraps");
                prop_assert!(plan.layouts[party].slot_bits() >= plan.value_bits[party] + 2);
                // Truth: the gain of the last step is the largest.
                let sup = ErrorSeries::fit(&plan.shape, plan.shape.period).supremum();
                let weight_units = f64::from(epochs) * column * plan.error_gain(steps - 1) * sup;
                prop_assert!(weight_units * libm::ldexp(1.0, fx as i32) < libm::ldexp(1.0, plan.ring.bits() as i32 - 1));
                true_score += weight_units * row * libm::ldexp(1.0, 2 * fx as i32);
            }
            prop_assert!(true_score < libm::ldexp(1.0, plan.ring.bits() as i32 - 1), "score wraps");
            prop_assert!(plan.layouts.iter().all(|l| l.slots() as u32 * l.slot_bits() <= plan.modulus_bits.bits() - 66));
            for step in [0, steps / 2, steps - 1] {
                let (bits, period) = plan.period_at(step);
                prop_assert!(bits <= plan.ring.bits(), "the period divides the ring");
                prop_assert!(period > 0.7 * plan.shape.period && period < 1.42 * plan.shape.period);
            }
        }
    }

    #[test]
    fn a_job_that_does_not_fit_names_the_setting() {
        let refuse = |rate, l2, epochs, bits: u8| {
            let p = bounds(true, bits, bits);
            Plan::new(&asked(epochs, 128, rate, l2), [10_000, 100], p, p).unwrap_err().to_string()
        };
        assert!(refuse(1e-25, 0.0, 1, 10).contains("raise learning_rate"));
        assert!(refuse(100.0, 0.0, 1000, 55).contains("lower learning_rate or epochs"));
        assert!(refuse(1.0, 10.0, 10, 10).contains("lower l2"));
        assert!(refuse(1.0, 0.5, 10, 10).contains("lower l2"));
    }

    #[test]
    fn too_few_rows_and_no_columns_are_refused() {
        let p = bounds(true, 10, 5);
        let plan = |rows, p| Plan::new(&Parameters::default(), rows, p, p).unwrap_err();
        assert_eq!(plan([63, 100], p), AdmissionError::TooFewRows { rows: 63, batch_size: 64 });
        assert_eq!(plan([64, 49], p), AdmissionError::TooFewTestRows { rows: 49 });
        let none = PublicBounds { columns: 0, ..p };
        assert_eq!(plan([64, 50], none), AdmissionError::NoColumns);
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
                let plan = Plan::new(&Parameters::default(), [10_000, 100], p, p).unwrap();
                assert_eq!(plan.shape, SeriesShape::SHORT);
                assert_eq!(plan.rate_warning(), None);
            }
        }
    }
}
