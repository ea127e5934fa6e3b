//! Correlations of the error step, prepared windows ahead of their use: each role's part.
//!
//! A window passes through four messages, each of which A or B sends for all of its chunks:
//! choices (A, with the extension of the transfers) → corrections (B) → top bits (A) → wraps (B). The
//! training loop calls every method of [`Correlate`] at its place; a role does nothing where it is not
//! its turn.

use std::collections::VecDeque;

use rand::CryptoRng;

use super::{
    channel::Channel,
    error::SessionError,
    training::{Window, internal},
};
use crate::{
    binding::Binding,
    ot::{
        AwaitingSeeds, ChoiceBits, Corrections, ExtensionMessage, ExtensionReceiver,
        ExtensionSender, OtError, RandomOtsSender, SetupReply, SetupRequest, TopBits, TreeDepth,
        Wraps,
    },
    plan::Plan,
    step::Step,
    train::{
        correlations::{
            Factors, FeatureLift, FeatureProducts, LabelProducts, ScoreMasks, lifted_values,
            product_shape, transfers,
        },
        series::ErrorSeries,
        target::Target,
    },
};

/// Upper bound of one message of the correlation steps.
const MAX_BYTES: usize = 64 << 20;

/// A role's part in preparing the correlations of windows, in order.
pub(crate) trait Correlate {
    /// A extends the transfers of the window's chunks, draws masks and sends its choices.
    fn send_choices(
        &mut self,
        _channel: &mut Channel<'_>,
        _plan: &Plan,
        _window: &Window,
        _rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    /// B takes them.
    fn receive_choices(
        &mut self,
        _channel: &mut Channel<'_>,
        _plan: &Plan,
        _window: &Window,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    /// B draws masks and answers the choices that it has had for longest.
    fn send_corrections(
        &mut self,
        _channel: &mut Channel<'_>,
        _plan: &Plan,
        _window: &Window,
        _rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    /// A takes the corrections and sends its top bits.
    fn send_top_bits(
        &mut self,
        _channel: &mut Channel<'_>,
        _plan: &Plan,
        _window: &Window,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    /// B takes them; its factors are ready.
    fn receive_top_bits(
        &mut self,
        _channel: &mut Channel<'_>,
        _plan: &Plan,
        _window: &Window,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    /// The masks of each chunk of the window that has sent or received top bits last.
    fn masks(&mut self) -> Vec<ScoreMasks>;

    /// B answers the top bits.
    fn send_wraps(&mut self, _channel: &mut Channel<'_>) -> Result<(), SessionError> {
        Ok(())
    }

    /// The factors of each chunk; A takes the wraps first.
    fn factors(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
    ) -> Result<Vec<Factors>, SessionError>;
}

/// The feature holder's correlations.
pub(crate) struct FeatureRole {
    extension: ExtensionReceiver,
    /// Windows that wait for corrections, a chunk each.
    products: VecDeque<Vec<FeatureProducts>>,
    /// The window that waits for wraps, and its masks.
    lift: Vec<FeatureLift>,
    masks: Vec<ScoreMasks>,
}

/// The label holder's correlations, and its labels and weights.
pub(crate) struct LabelRole<'a> {
    extension: ExtensionSender,
    /// Windows that are to be answered, a chunk each.
    choices: VecDeque<Vec<(RandomOtsSender, ChoiceBits)>>,
    /// The window that waits for top bits.
    products: Vec<LabelProducts>,
    /// The window that is ready.
    masks: Vec<ScoreMasks>,
    factors: Vec<Factors>,
    wraps: Vec<Wraps>,
    targets: &'a [Target],
    series: Option<(u32, ErrorSeries)>,
}

impl FeatureRole {
    pub(crate) fn start(
        channel: &mut Channel<'_>,
        binding: &Binding,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SessionError> {
        let step = Step::BaseOt;
        let request = channel.receive_message::<SetupRequest>(step, MAX_BYTES, ())?;
        let (extension, reply) =
            ExtensionReceiver::start(binding, TreeDepth::default(), &request, rng);
        channel.send_message(step, &reply)?;
        Ok(Self { extension, products: VecDeque::new(), lift: Vec::new(), masks: Vec::new() })
    }
}

impl Correlate for FeatureRole {
    fn send_choices(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        let mut products = Vec::new();
        for chunk in window.chunks() {
            let count = transfers(plan, chunk.len()).iter().sum();
            let at = Step::OtExtension;
            channel.computing(at);
            let (ots, message) = self.extension.extend(count).map_err(|e| internal(at, e))?;
            channel.send_message(at, &message)?;
            let at = Step::ErrorOle;
            channel.computing(at);
            let (waiting, choices) =
                FeatureProducts::begin(plan, window.step, chunk.len(), ots, rng)
                    .map_err(|e| internal(at, e))?;
            channel.send_message(at, &choices)?;
            products.push(waiting);
        }
        self.products.push_back(products);
        Ok(())
    }

    fn send_top_bits(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
    ) -> Result<(), SessionError> {
        let at = Step::ErrorOle;
        let products = self.products.pop_front().ok_or_else(|| internal(at, OtError::Ended))?;
        for (chunk, products) in window.chunks().zip(products) {
            let shape = product_shape(plan, chunk.len()).map_err(|e| internal(at, e))?;
            let corrections = channel.receive_message::<Corrections>(at, MAX_BYTES, shape)?;
            let (masks, lift, bits) =
                products.receive(&corrections).map_err(|e| channel.bad(at, e))?;
            channel.send_message(Step::ErrorLift, &bits)?;
            self.masks.push(masks);
            self.lift.push(lift);
        }
        Ok(())
    }

    fn masks(&mut self) -> Vec<ScoreMasks> {
        std::mem::take(&mut self.masks)
    }

    fn factors(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
    ) -> Result<Vec<Factors>, SessionError> {
        let at = Step::ErrorLift;
        let lift = std::mem::take(&mut self.lift);
        let mut ready = Vec::with_capacity(lift.len());
        for (chunk, lift) in window.chunks().zip(lift) {
            let count = lifted_values(plan, chunk.len());
            let wraps = channel.receive_message::<Wraps>(at, MAX_BYTES, count)?;
            ready.push(lift.receive(&wraps).map_err(|e| channel.bad(at, e))?);
        }
        Ok(ready)
    }
}

impl<'a> LabelRole<'a> {
    pub(crate) fn start(
        channel: &mut Channel<'_>,
        binding: &Binding,
        targets: &'a [Target],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SessionError> {
        let step = Step::BaseOt;
        let depth = TreeDepth::default();
        let (waiting, request): (AwaitingSeeds, _) = ExtensionSender::start(binding, depth, rng);
        channel.send_message(step, &request)?;
        let reply = channel.receive_message::<SetupReply>(step, MAX_BYTES, depth)?;
        let extension = waiting.finish(&reply).map_err(|e| channel.bad(step, e))?;
        Ok(Self {
            extension,
            choices: VecDeque::new(),
            products: Vec::new(),
            masks: Vec::new(),
            factors: Vec::new(),
            wraps: Vec::new(),
            targets,
            series: None,
        })
    }

    /// The series of a mini-batch. Without a penalty the period never changes, so one fit serves the
    /// whole job.
    fn series(&mut self, plan: &Plan, step: u32) -> ErrorSeries {
        let of = if plan.hyper.l2 == 0.0 { 0 } else { step };
        match &self.series {
            Some((fitted, series)) if *fitted == of => series.clone(),
            _ => {
                let fit = ErrorSeries::fit(&plan.shape, plan.period_at(of).1);
                self.series.insert((of, fit)).1.clone()
            }
        }
    }
}

impl Correlate for LabelRole<'_> {
    fn receive_choices(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
    ) -> Result<(), SessionError> {
        let mut received = Vec::new();
        for chunk in window.chunks() {
            let count = transfers(plan, chunk.len()).iter().sum();
            let at = Step::OtExtension;
            let shape = (self.extension.depth(), count);
            let message = channel.receive_message::<ExtensionMessage>(at, MAX_BYTES, shape)?;
            let ots = self.extension.extend(count, &message).map_err(|e| channel.bad(at, e))?;
            let at = Step::ErrorOle;
            let shape = product_shape(plan, chunk.len()).map_err(|e| internal(at, e))?;
            received.push((ots, channel.receive_message::<ChoiceBits>(at, MAX_BYTES, shape)?));
        }
        self.choices.push_back(received);
        Ok(())
    }

    fn send_corrections(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        let at = Step::ErrorOle;
        channel.computing(at);
        let series = self.series(plan, window.step);
        let choices = self.choices.pop_front().ok_or_else(|| internal(at, OtError::Ended))?;
        for (chunk, (ots, choices)) in window.chunks().zip(choices) {
            let targets: Vec<Target> = chunk.iter().map(|&i| self.targets[i as usize]).collect();
            let (products, corrections) =
                LabelProducts::respond(plan, window.step, &series, &targets, ots, &choices, rng)
                    .map_err(|e| channel.bad(at, e))?;
            channel.send_message(at, &corrections)?;
            self.products.push(products);
        }
        Ok(())
    }

    fn receive_top_bits(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        window: &Window,
    ) -> Result<(), SessionError> {
        let at = Step::ErrorLift;
        for (chunk, products) in window.chunks().zip(std::mem::take(&mut self.products)) {
            let count = lifted_values(plan, chunk.len());
            let bits = channel.receive_message::<TopBits>(at, MAX_BYTES, count)?;
            let (masks, factors, wraps) =
                products.receive(&bits).map_err(|e| channel.bad(at, e))?;
            self.masks.push(masks);
            self.factors.push(factors);
            self.wraps.push(wraps);
        }
        Ok(())
    }

    fn masks(&mut self) -> Vec<ScoreMasks> {
        std::mem::take(&mut self.masks)
    }

    fn send_wraps(&mut self, channel: &mut Channel<'_>) -> Result<(), SessionError> {
        for wraps in self.wraps.drain(..) {
            channel.send_message(Step::ErrorLift, &wraps)?;
        }
        Ok(())
    }

    fn factors(
        &mut self,
        _: &mut Channel<'_>,
        _: &Plan,
        _: &Window,
    ) -> Result<Vec<Factors>, SessionError> {
        Ok(std::mem::take(&mut self.factors))
    }
}
