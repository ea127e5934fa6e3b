//! What a client asks of B alone. A learns that rows are weighted and that training may end early, not how
//! or why.

use super::error::SessionError;
use crate::{
    matrix::Table,
    train::target::{ClassWeight, Target, targets},
};

/// Options that B keeps to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LabelOptions {
    /// How much the classes count.
    pub class_weight: ClassWeight,
    /// Whether the table's weights are used.
    pub sample_weights: bool,
    /// Training ends when the KS of the validation rows has not risen for so many epochs.
    pub patience: Option<u32>,
}

impl LabelOptions {
    /// Whether rows have weights.
    pub fn weighted(&self) -> bool {
        self.sample_weights || self.class_weight != ClassWeight::None
    }

    /// Labels and weights of the rows that are trained on.
    pub(crate) fn targets(
        &self,
        table: &Table,
        rows: &[usize],
        labels: &[bool],
    ) -> Result<Vec<Target>, SessionError> {
        let sample: Option<Vec<f64>> = match (self.sample_weights, &table.weights) {
            (false, _) => None,
            (true, Some(weights)) => Some(rows.iter().map(|&i| weights[i]).collect()),
            (true, None) => return Err(SessionError::NoWeights),
        };
        Ok(targets(labels, sample.as_deref(), self.class_weight)?)
    }

    /// Hash of the options, for the checkpoint of a job that must go on with the same ones.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let class = match self.class_weight {
            ClassWeight::None => [0, 0],
            ClassWeight::Balanced => [1, 0],
            ClassWeight::Positive(times) => [2, times.to_bits()],
        };
        let mut h = blake3::Hasher::new_derive_key("caesar/v1 label options");
        let patience = self.patience.map_or([0, 0], |epochs| [1, u64::from(epochs)]);
        for word in class.into_iter().chain([u64::from(self.sample_weights)]).chain(patience) {
            h.update(&word.to_le_bytes());
        }
        *h.finalize().as_bytes()
    }
}
