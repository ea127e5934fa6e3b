//! The ideal functionality on whole data sets: quick, because nothing is encrypted.

use std::collections::HashMap;
use std::path::Path;

use mpc_core::baseline::{Csr, float_sgd};
use mpc_core::features::{Prepared, Rows, prepare};
use mpc_core::ideal::{Activation, IdealTrainer};
use mpc_core::matrix::Table;
use mpc_core::metrics::evaluate;
use mpc_core::plan::Plan;
use mpc_core::session::Parameters;
use mpc_core::train::batch::{Columns, Intercept};
use mpc_core::train::order::epoch_batches;
use mpc_core::train::target::Target;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::files;

/// Both parties' columns, aligned in the clear.
pub(crate) struct Aligned {
    prepared: [Prepared; 2],
    /// Of the training and the test rows.
    labels: [Vec<bool>; 2],
}

/// What two ways to train reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) ideal: f64,
    pub(crate) float: f64,
    /// Largest difference of a weight between two runs that share nothing but the order of rows.
    pub(crate) spread: f64,
}

fn rows_in_common(a: &Table, b: &Table) -> [Vec<usize>; 2] {
    let row_of: HashMap<&str, usize> = (0..).zip(&b.ids).map(|(i, id)| (id.as_str(), i)).collect();
    let mut common: Vec<(&str, usize, usize)> = (0..)
        .zip(&a.ids)
        .filter_map(|(i, id)| row_of.get(id.as_str()).map(|&j| (id.as_str(), i, j)))
        .collect();
    common.sort_unstable();
    [common.iter().map(|c| c.1).collect(), common.iter().map(|c| c.2).collect()]
}

impl Aligned {
    pub(crate) fn read(folder: &Path) -> Self {
        let [train, test] = ["train", "test"].map(|split| {
            let (a, b) = (files::table(folder, split, 'a'), files::table(folder, split, 'b'));
            let rows = rows_in_common(&a, &b);
            ([a, b], rows)
        });
        let labels = [&train, &test].map(|(tables, rows)| {
            let labels = tables[1].labels.as_ref().unwrap();
            rows[1].iter().map(|&i| labels[i]).collect()
        });
        let prepared = [0, 1].map(|p| {
            prepare(&train.0[p], &test.0[p], [&train.1[p], &[], &test.1[p]], false).unwrap()
        });
        Self { prepared, labels }
    }

    fn plan(&self, asked: &Parameters) -> Plan {
        let rows = [self.labels[0].len(), 0, self.labels[1].len()];
        Plan::new(asked, rows, self.prepared[0].bounds, self.prepared[1].bounds).unwrap()
    }

    pub(crate) fn train(&self, asked: &Parameters, seed: u64) -> Reached {
        let plan = self.plan(asked);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let batches: Vec<Vec<u32>> = (0..plan.hyper.epochs)
            .flat_map(|e| epoch_batches(&key, e, plan.rows[0], plan.hyper.batch_size as usize))
            .collect();
        let columns = [0, 1].map(|p| Columns::new(&self.prepared[p], p == 1, &plan));
        let (scores, weights) = self.ideal(&plan, &columns, &batches, seed);
        let (_, again) = self.ideal(&plan, &columns, &batches, seed + 1);
        let far = |a: &f64, b: &f64| (a - b).abs();
        Reached {
            ideal: evaluate(&scores, &self.labels[1]).unwrap().ks,
            float: self.float(&plan, &batches),
            spread: weights.iter().zip(&again).map(|(a, b)| far(a, b)).fold(0.0, f64::max),
        }
    }

    /// Scores of the test rows and the weights, in units of 1.
    fn ideal(
        &self,
        plan: &Plan,
        columns: &[Columns; 2],
        batches: &[Vec<u32>],
        seed: u64,
    ) -> (Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut trainer =
            IdealTrainer::new(plan, [columns[0].len(), columns[1].len()], Activation::Series);
        for (step, batch) in (0..).zip(batches) {
            let pick = |p: usize, i| columns[p].select(&self.prepared[p].train, batch, i);
            let forward = [0, 1].map(|p| pick(p, Intercept::forward(plan, step)));
            let backward = [0, 1].map(|p| pick(p, Intercept::backward(plan, step)));
            let label = |&i: &u32| Target { label: self.labels[0][i as usize], weight: 1.0 };
            let targets: Vec<Target> = batch.iter().map(label).collect();
            let [fa, fb] = &forward;
            let [ba, bb] = &backward;
            trainer.step(step, [fa, fb], [ba, bb], &targets, &mut rng);
        }
        let all: Vec<u32> = (0..plan.rows[1] as u32).collect();
        let last = Intercept::forward(plan, plan.steps());
        let [a, b] = [0, 1].map(|p| columns[p].select(&self.prepared[p].test, &all, last));
        let scores = trainer.scores(plan.steps(), [&a, &b]);
        let weights = [(&trainer.weights_a, &columns[0]), (&trainer.weights_b, &columns[1])];
        let in_units = |w: i128, dense: bool| {
            let bits = if dense { plan.feature_bits as i32 } else { 0 };
            w as f64 * plan.error_unit * (-f64::from(bits)).exp2() * plan.scale_before(plan.steps())
        };
        let weights = weights
            .iter()
            .flat_map(|(w, c)| w.iter().zip(c.dense().iter()).map(|(&w, &d)| in_units(w, d)))
            .collect();
        (scores, weights)
    }

    /// Floating-point descent with the same steps and the exact sigmoid.
    fn float(&self, plan: &Plan, batches: &[Vec<u32>]) -> f64 {
        let joined = |pick: fn(&Prepared) -> &Rows| {
            let shift = self.prepared[0].columns as u32;
            let (a, b) = (pick(&self.prepared[0]), pick(&self.prepared[1]));
            let mut out = Rows { indptr: vec![0], indices: Vec::new(), values: Vec::new() };
            for i in 0..a.len() {
                for (j, v) in a.row(i).chain(b.row(i).map(|(j, v)| (j + shift, v))) {
                    out.indices.push(j);
                    out.values.push(v);
                }
                out.indptr.push(out.indices.len());
            }
            out
        };
        let columns = self.prepared[0].columns + self.prepared[1].columns;
        fn csr(rows: &Rows, columns: usize) -> Csr<'_> {
            Csr { columns, indptr: &rows.indptr, indices: &rows.indices, values: &rows.values }
        }
        let (train, test) = (joined(|p| &p.train), joined(|p| &p.test));
        let batches: Vec<Vec<usize>> =
            batches.iter().map(|b| b.iter().map(|&i| i as usize).collect()).collect();
        let model = float_sgd(
            &csr(&train, columns),
            &self.labels[0],
            batches.iter().map(Vec::as_slice),
            plan.hyper.learning_rate,
            plan.hyper.l2,
        )
        .unwrap();
        evaluate(&model.decision(&csr(&test, columns)), &self.labels[1]).unwrap().ks
    }
}
