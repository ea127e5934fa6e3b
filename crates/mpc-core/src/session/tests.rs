//! Secure against ideal, and runs whose messages were tampered with.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use paillier::{EncryptedVector, SecretKey};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::{
    channel::Channel,
    checkpoint::{ChainHash, Model, Position},
    correlate::{FeatureRole, LabelRole},
    memory::{Interceptor, MemoryLink},
    report::Labels,
    setup::{self, Aligned, Ready},
    training,
    work::Work,
    *,
};
use crate::{
    baseline::{self, Csr},
    features::Rows,
    ideal::{Activation, IdealTrainer},
    matrix::{Features, Table},
    metrics,
    plan::Plan,
    train::{
        batch::{Columns, Intercept},
        keys::Keys,
        order::epoch_batches,
        series::sigmoid,
        target::Target,
    },
};
use paillier::ModulusBits;

mod agreement;
mod alignment;
mod announced;
mod at_rest;
mod checkpoint;
mod crash;
mod options;
mod real_data;
mod resume;
mod secrecy;
mod vectors;

const TIMEOUT: Duration = Duration::from_secs(600);

fn run_of(seed: u64, parameters: Parameters) -> Run {
    Run {
        job: [seed as u8; 16],
        attempt: 0,
        certificate_a: [1; 32],
        certificate_b: [2; 32],
        parameters,
        options: LabelOptions::default(),
    }
}

fn small(epochs: u32, rate: f64) -> Parameters {
    Parameters {
        modulus_bits: ModulusBits::B2048,
        epochs: Some(epochs),
        batch_size: Some(64),
        learning_rate: Some(rate),
        ..Parameters::default()
    }
}

/// Train and test tables of A and of B.
struct Data {
    a: [Table; 2],
    b: [Table; 2],
}

/// Made-up rows: dense columns at both, or one-hot fields at both; labels from a random model; 10 %
/// of each side's rows are missing at the other.
fn made_up(seed: u64, rows: [usize; 2], sparse: bool) -> Data {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let width = if sparse { 24 } else { 5 };
    let truth: Vec<f64> = (0..2 * width).map(|_| rng.random_range(-1.5..1.5)).collect();
    let [mut a, mut b] = [Vec::new(), Vec::new()];
    for rows in rows {
        let [mut ids_a, mut ids_b] = [Vec::new(), Vec::new()];
        let mut labels = Vec::new();
        let [mut xa, mut xb] = [Vec::new(), Vec::new()];
        for i in 0..rows {
            let x: Vec<f64> = if sparse {
                let mut x = vec![0.0; 2 * width];
                for field in 0..6 {
                    x[field * 8 + rng.random_range(0..8)] = 1.0;
                }
                x
            } else {
                (0..2 * width).map(|_| rng.random_range(-1.7..1.7)).collect()
            };
            let z: f64 = x.iter().zip(&truth).map(|(x, w)| x * w).sum();
            let id = format!("row-{rows}-{i:05}");
            if i % 10 != 3 {
                ids_a.push(id.clone());
                xa.push(x[..width].to_vec());
            }
            if i % 10 != 7 {
                ids_b.push(id);
                xb.push(x[width..].to_vec());
                labels.push(rng.random_bool(sigmoid(z)));
            }
        }
        a.push(Table { ids: ids_a, features: features(&xa, sparse), labels: None, weights: None });
        let features = features(&xb, sparse);
        b.push(Table { ids: ids_b, features, labels: Some(labels), weights: None });
    }
    let pair = |v: Vec<Table>| v.try_into().expect("two tables");
    Data { a: pair(a), b: pair(b) }
}

fn features(rows: &[Vec<f64>], sparse: bool) -> Features {
    let columns = rows[0].len();
    if !sparse {
        let names = (0..columns).map(|j| format!("x{j}")).collect();
        return Features::dense(names, &rows.concat());
    }
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in rows {
        for (j, &v) in row.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            indices.push(j as u32);
            values.push(v);
        }
        indptr.push(indices.len());
    }
    Features::Sparse { columns, indptr, indices, values }
}

/// One role after training, with everything still in the hands of its owner.
struct Trained {
    aligned: Aligned,
    ready: Ready,
    weights: EncryptedVector,
    steps: u32,
    /// At B: of the rows that were trained on, and of the test rows.
    targets: Vec<Target>,
    test_labels: Vec<bool>,
}

fn train_role(role: Role, run: &Run, tables: &[Table; 2], link: MemoryLink, seed: u64) -> Trained {
    let mut link = link;
    let mut observer = NoObserver;
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let mut channel = Channel::new(&mut link, role);
    let work = &mut Work::new(&mut observer, 0, 0);
    let [train, test] = tables;
    let mut vault = MemoryVault::default();
    let store = Store::new(&mut vault, role);
    let aligned = setup::align(&mut channel, run, [train, test], work, rng).unwrap();
    let (mut targets, mut test_labels) = (Vec::new(), Vec::new());
    let mut judge = None;
    if role == Role::LabelHolder {
        let labels = Labels::of([train, test], &aligned.sets).unwrap();
        targets = run.options.targets(train, &aligned.sets.train, &labels.train).unwrap();
        test_labels = labels.test;
        judge = Some(Judge { labels: labels.validation, patience: run.options.patience });
    }
    let ready = setup::ready(&mut channel, run, &aligned, [train, test], work, rng).unwrap();
    let rows_seed = &aligned.rows_seed;
    let mut model = Model::empty(store, &ready, ChainHash::start(&[0; 32])).unwrap();
    let course = &mut begin_course(&ready, &mut model).unwrap();
    let (channel, model) = (&mut channel, &mut model);
    match role {
        Role::FeatureHolder => {
            let role = FeatureRole::start(channel, &aligned.binding, rng).unwrap();
            let with = Training { rows_seed, role, judge: None };
            training::train(channel, &ready, with, model, course, work, rng).unwrap();
        }
        Role::LabelHolder => {
            let role = LabelRole::start(channel, &aligned.binding, &targets, rng).unwrap();
            let with = Training { rows_seed, role, judge: judge.as_ref() };
            training::train(channel, &ready, with, model, course, work, rng).unwrap();
        }
    }
    let (weights, steps) = (model.weights().clone(), model.step());
    Trained { aligned, ready, weights, steps, targets, test_labels }
}

fn train_both(run: &Run, data: &Data, seed: u64) -> [Trained; 2] {
    let (link_a, link_b) = MemoryLink::pair(TIMEOUT);
    thread::scope(|s| {
        let a = s.spawn(|| train_role(Role::FeatureHolder, run, &data.a, link_a, seed));
        let b = s.spawn(|| train_role(Role::LabelHolder, run, &data.b, link_b, seed + 1));
        [a.join().unwrap(), b.join().unwrap()]
    })
}

/// Opens a model with the other party's key, which only a test can do: true weights.
fn open(holder: &Trained, key_owner: &Trained) -> Vec<f64> {
    open_weights(&holder.ready, &holder.weights, &key_owner.ready.keys.own)
}

fn open_weights(holder: &Ready, weights: &EncryptedVector, key_owner: &SecretKey) -> Vec<f64> {
    let Ready { plan, columns, .. } = holder;
    let mut out = vec![0.0; columns.len()];
    let touched: Vec<usize> = (0..out.len()).filter(|&j| weights.is_touched(j)).collect();
    let opened = key_owner.decrypt(&weights.ciphertexts(&touched).unwrap());
    for (j, m) in touched.into_iter().zip(opened.unwrap()) {
        // The plaintext is signed modulo N before it is one modulo 2^L.
        let m = m.to_signed(key_owner.public()).expect("weights fit 128 bits");
        let m = plan.ring.to_signed(plan.ring.from_signed(m));
        out[j] = true_weight(plan, columns.dense()[j], m);
    }
    out
}

fn true_weight(plan: &Plan, dense: bool, units: i128) -> f64 {
    // Of a job that ran to its end.
    let fixed = if dense { libm::ldexp(1.0, -(plan.feature_bits as i32)) } else { 1.0 };
    units as f64 * plan.error_unit * fixed * plan.scale_before(plan.steps())
}

/// The same run by the trusted party.
fn ideal<'a>(
    a: &'a Trained,
    b: &'a Trained,
    targets: &[Target],
    activation: Activation,
    seed: u64,
) -> IdealTrainer<'a> {
    let plan = &a.ready.plan;
    let columns = [&a.ready.columns, &b.ready.columns];
    let rows = [&a.ready.prepared.train, &b.ready.prepared.train];
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut ideal = IdealTrainer::new(plan, columns.map(Columns::len), activation);
    let mut step = 0;
    for epoch in 0..plan.hyper.epochs {
        let size = plan.hyper.batch_size as usize;
        for batch in epoch_batches(&a.aligned.rows_seed, epoch, plan.rows[0], size) {
            let pick = |i: usize, intercept| columns[i].select(rows[i], &batch, intercept);
            let forward = [0, 1].map(|i| pick(i, Intercept::forward(plan, step)));
            let backward = [0, 1].map(|i| pick(i, Intercept::backward(plan, step)));
            if step == a.steps {
                break;
            }
            let targets: Vec<Target> = batch.iter().map(|&i| targets[i as usize]).collect();
            let [fa, fb] = &forward;
            let [ba, bb] = &backward;
            ideal.step(step, [fa, fb], [ba, bb], &targets, &mut rng);
            step += 1;
        }
    }
    ideal
}

/// KS of weights on the test rows.
fn ks(a: &Trained, b: &Trained, weights: [&[f64]; 2]) -> f64 {
    let test = [&a.ready.prepared.test, &b.ready.prepared.test];
    let intercept = weights[1].last().copied().unwrap_or(0.0);
    let scores: Vec<f64> = (0..test[0].len())
        .map(|i| {
            (0..2)
                .map(|p| test[p].row(i).map(|(j, x)| weights[p][j as usize] * x).sum::<f64>())
                .sum::<f64>()
                + intercept
        })
        .collect();
    metrics::evaluate(&scores, &b.test_labels).unwrap().ks
}

/// Rows of both parties side by side, B's columns after A's.
fn joined(a: &Trained, b: &Trained, pick: impl Fn(&Trained) -> &Rows) -> Rows {
    let shift = a.ready.prepared.columns as u32;
    let (ra, rb) = (pick(a), pick(b));
    let mut out = Rows { indptr: vec![0], indices: Vec::new(), values: Vec::new() };
    for i in 0..ra.len() {
        for (j, v) in ra.row(i).chain(rb.row(i).map(|(j, v)| (j + shift, v))) {
            out.indices.push(j);
            out.values.push(v);
        }
        out.indptr.push(out.indices.len());
    }
    out
}

/// KS of floating-point gradient descent with the same steps and the exact sigmoid.
fn float_ks(a: &Trained, b: &Trained) -> f64 {
    let plan = &a.ready.plan;
    let columns = a.ready.prepared.columns + b.ready.prepared.columns;
    let train = joined(a, b, |t| &t.ready.prepared.train);
    let x = Csr { columns, indptr: &train.indptr, indices: &train.indices, values: &train.values };
    let batches: Vec<Vec<usize>> = (0..plan.hyper.epochs)
        .flat_map(|epoch| {
            let size = plan.hyper.batch_size as usize;
            epoch_batches(&a.aligned.rows_seed, epoch, plan.rows[0], size)
        })
        .map(|batch| batch.into_iter().map(|i| i as usize).collect())
        .collect();
    let model = baseline::float_sgd(
        &x,
        &b.targets.iter().map(|t| t.label).collect::<Vec<_>>(),
        batches.iter().map(Vec::as_slice),
        plan.hyper.learning_rate,
        plan.hyper.l2,
    )
    .unwrap();
    let mut weights_b = model.weights[a.ready.prepared.columns..].to_vec();
    weights_b.push(model.intercept);
    ks(a, b, [&model.weights[..a.ready.prepared.columns], &weights_b])
}

/// What a comparison of the three ways to train found.
#[derive(Debug)]
struct Compared {
    /// Largest difference between a secure and an ideal weight.
    weights: f64,
    /// KS of the secure model, the ideal one and floating-point descent.
    ks: [f64; 3],
    /// Largest difference that the rows' weights make to an ideal weight.
    by_row_weights: f64,
    /// Mini-batches done.
    steps: u32,
}

fn compare(run: &Run, data: &Data, seed: u64) -> Compared {
    let [a, b] = train_both(run, data, seed);
    let secure = [open(&a, &b), open(&b, &a)];
    let plan = &a.ready.plan;
    let trusted = |targets: &[Target]| {
        let trusted = ideal(&a, &b, targets, Activation::Series, seed + 2);
        [(&trusted.weights_a, &a), (&trusted.weights_b, &b)].map(|(w, holder)| {
            let dense = holder.ready.columns.dense();
            w.iter().zip(dense.iter()).map(|(&w, &d)| true_weight(plan, d, w)).collect::<Vec<f64>>()
        })
    };
    let exact = trusted(&b.targets);
    let alike: Vec<Target> = b.targets.iter().map(|t| Target { weight: 1.0, ..*t }).collect();
    let by_row_weights = crash::distance(&exact, &trusted(&alike));
    let off =
        |i: usize| secure[i].iter().zip(&exact[i]).map(|(s, e)| (s - e).abs()).fold(0.0, f64::max);
    Compared {
        weights: off(0).max(off(1)),
        ks: [
            ks(&a, &b, [&secure[0], &secure[1]]),
            ks(&a, &b, [&exact[0], &exact[1]]),
            float_ks(&a, &b),
        ],
        by_row_weights,
        steps: a.steps,
    }
}

/// The bounds of the specification: weights within 2^−8 of the ideal ones, KS within 0.002 of the
/// ideal functionality and 0.005 of floating point.
fn assert_close(found: &Compared, float: f64, what: &str) {
    let [secure, exact, descent] = found.ks;
    println!("{what}: weights {} off, KS {:?}", found.weights, found.ks);
    assert!(found.weights < 1.0 / 256.0, "{what}: {found:?}");
    assert!((secure - exact).abs() <= 0.002, "{what}: {found:?}");
    assert!((secure - descent).abs() <= float, "{what}: {found:?}");
}

#[test]
fn secure_training_equals_the_ideal_functionality() {
    for (seed, sparse, rate, l2) in
        [(1, false, 0.4, 0.0), (2, true, 1.0, 0.0), (3, false, 0.4, 0.1)]
    {
        let data = made_up(seed, [420, 400], sparse);
        let run = run_of(seed, Parameters { l2: Some(l2), ..small(2, rate) });
        // So few test rows leave a KS of their own granularity to floating point.
        assert_close(
            &compare(&run, &data, seed),
            0.02,
            &format!("seed {seed}, sparse {sparse}, l2 {l2}"),
        );
    }
}

/// Two mini-batches of three chunks each, in two windows: correlations are sent ahead within a mini-batch
/// and over its end.
#[test]
fn mini_batches_of_several_windows_equal_the_ideal_functionality() {
    let seed = 7;
    let batch = 2 * CHUNK_ROWS + 52;
    let parameters = Parameters { batch_size: Some(batch as u32), ..small(2, 1.0) };
    let found = compare(&run_of(seed, parameters), &made_up(seed, [2_700, 150], true), seed);
    assert_close(&found, 0.02, &format!("seed {seed}, batch {batch}"));
}

#[test]
fn a_whole_run_reports_what_both_sides_computed() {
    let data = made_up(5, [420, 400], false);
    let run = run_of(5, small(2, 0.4));
    let (mut link_a, mut link_b) = MemoryLink::pair(TIMEOUT);
    let (a, b) = thread::scope(|s| {
        let a = s.spawn(|| {
            let rng = &mut ChaCha20Rng::seed_from_u64(50);
            run_a(
                &run,
                &data.a[0],
                &data.a[1],
                &mut link_a,
                &mut MemoryVault::default(),
                &mut NoObserver,
                rng,
            )
        });
        let b = s.spawn(|| {
            let rng = &mut ChaCha20Rng::seed_from_u64(51);
            run_b(
                &run,
                &data.b[0],
                &data.b[1],
                &mut link_b,
                &mut MemoryVault::default(),
                &mut NoObserver,
                rng,
            )
        });
        (a.join().unwrap().unwrap(), b.join().unwrap().unwrap())
    });
    assert_eq!(b.rows, [378, 378]);
    assert_eq!(b.intersections[0].rows.len(), 336);
    for i in 0..2 {
        assert_eq!(a.intersections[i].sha256, b.intersections[i].sha256);
    }
    assert_eq!((a.iterations, b.iterations), (10, 10));
    assert_eq!(a.ciphertexts, b.ciphertexts);
    assert!(b.joint.ks > b.bank_only.ks + 0.05, "{} against {}", b.joint.ks, b.bank_only.ks);
    assert!(b.warnings.is_empty(), "{:?}", b.warnings);
}

/// Sizes of all messages of one run of A with `columns` sparse columns.
fn message_sizes(columns: usize) -> Vec<(Step, usize)> {
    let mut data = made_up(6, [200, 120], true);
    for table in &mut data.a {
        if let Features::Sparse { columns: d, indices, .. } = &mut table.features {
            // The same entries, spread over more columns.
            indices.iter_mut().for_each(|j| *j *= (columns / *d) as u32);
            *d = columns;
        }
    }
    let run = run_of(6, small(1, 0.5));
    let (mut link_a, link_b) = MemoryLink::pair(TIMEOUT);
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    link_a.intercept(Box::new(move |step, body| seen.lock().unwrap().push((step, body.len()))));
    thread::scope(|s| {
        let a = s.spawn(|| train_role(Role::FeatureHolder, &run, &data.a, link_a, 60));
        let b = s.spawn(|| train_role(Role::LabelHolder, &run, &data.b, link_b, 61));
        a.join().unwrap();
        b.join().unwrap();
    });
    let sizes = sizes.lock().unwrap();
    let first = sizes.iter().position(|(step, _)| *step == Step::OtExtension).unwrap();
    sizes[first..].to_vec()
}

#[test]
fn bytes_of_a_batch_do_not_depend_on_the_number_of_columns() {
    let few = message_sizes(1_000);
    assert!(few.len() >= 10, "two batches of five messages: {few:?}");
    assert_eq!(few, message_sizes(100_000));
}

/// Runs both sides with A's messages tampered with and returns how each side ended.
fn tampered(interceptor: Interceptor) -> [Result<(), SessionError>; 2] {
    let data = made_up(7, [160, 120], true);
    let run = run_of(7, small(1, 0.5));
    // The side that fails drops its end, which ends the other side at once.
    let (mut link_a, mut link_b) = MemoryLink::pair(TIMEOUT);
    link_a.intercept(interceptor);
    thread::scope(|s| {
        let (run, data) = (&run, &data);
        let a = s.spawn(move || {
            let rng = &mut ChaCha20Rng::seed_from_u64(70);
            run_a(
                run,
                &data.a[0],
                &data.a[1],
                &mut link_a,
                &mut MemoryVault::default(),
                &mut NoObserver,
                rng,
            )
            .map(drop)
        });
        let b = s.spawn(move || {
            let rng = &mut ChaCha20Rng::seed_from_u64(71);
            run_b(
                run,
                &data.b[0],
                &data.b[1],
                &mut link_b,
                &mut MemoryVault::default(),
                &mut NoObserver,
                rng,
            )
            .map(drop)
        });
        [a.join().unwrap(), b.join().unwrap()]
    })
}

/// Applies a change to the n-th message of one step.
fn change(at: Step, nth: usize, change: fn(&mut Vec<u8>)) -> Interceptor {
    let mut seen = 0;
    Box::new(move |step, body| {
        if step == at {
            if seen == nth {
                change(body);
            }
            seen += 1;
        }
    })
}

#[test]
fn a_tampered_message_ends_the_run_and_names_the_step() {
    type Case = (Step, usize, fn(&mut Vec<u8>), Step, &'static str);
    let ones: fn(&mut Vec<u8>) = |b| b.fill(0xff);
    let zeros: fn(&mut Vec<u8>) = |b| b.fill(0);
    let longer: fn(&mut Vec<u8>) = |b| b.push(0);
    let shorter: fn(&mut Vec<u8>) = |b| {
        b.pop();
    };
    let flip: fn(&mut Vec<u8>) = |b| b[0] ^= 1;
    let cases: [Case; 16] = [
        (Step::Seed, 1, flip, Step::Seed, "peer.bad_message"),
        (Step::PsiTrain, 1, ones, Step::PsiTrain, "peer.bad_message"),
        (Step::PsiTrain, 1, zeros, Step::PsiTrain, "peer.bad_message"),
        (Step::PsiTrain, 1, longer, Step::PsiTrain, "peer.message_too_large"),
        (Step::Bounds, 0, shorter, Step::Bounds, "peer.bad_message"),
        (Step::Keys, 0, flip, Step::Keys, "peer.disagreement"),
        (Step::Keys, 1, flip, Step::Keys, "peer.bad_message"),
        (Step::BaseOt, 0, flip, Step::BaseOt, "peer.bad_message"),
        (Step::OtExtension, 0, |b| b[20] ^= 1, Step::OtExtension, "peer.bad_message"),
        (Step::Forward, 0, ones, Step::Forward, "peer.bad_message"),
        (Step::Forward, 0, zeros, Step::Forward, "peer.bad_message"),
        (Step::ErrorOle, 0, shorter, Step::ErrorOle, "peer.bad_message"),
        (Step::ErrorLift, 0, shorter, Step::ErrorLift, "peer.bad_message"),
        (Step::MaskedScores, 0, shorter, Step::MaskedScores, "peer.bad_message"),
        (Step::ErrorCiphertexts, 0, ones, Step::ErrorCiphertexts, "peer.bad_message"),
        (Step::Evaluate, 1, ones, Step::Evaluate, "peer.bad_message"),
    ];
    for (at, nth, how, expected, code) in cases {
        let [a, b] = tampered(change(at, nth, how));
        let b = b.expect_err("B notices");
        assert_eq!((b.step(), b.code()), (Some(expected), code), "{at} {nth}: {b}");
        assert!(["A", "both"].contains(&b.side(Role::LabelHolder).as_str()), "{at}: {b}");
        assert!(a.is_err(), "A does not go on alone after {at}");
    }
}

#[test]
fn a_change_that_decodes_shows_in_the_transcript() {
    // A flipped choice bit is a valid message; only the transcript can tell. The first eight bytes
    // are the position, which is checked.
    let [a, b] = tampered(change(Step::ErrorOle, 0, |b| b[8] ^= 1));
    let codes = [a, b].map(|end| end.expect_err("neither side reports a result").code().to_owned());
    // The side that notices first ends, and the other may see only that.
    assert!(
        codes.iter().all(|c| ["peer.disagreement", "peer.lost"].contains(&c.as_str())),
        "{codes:?}"
    );
    assert!(codes.contains(&"peer.disagreement".to_owned()), "{codes:?}");
}

#[test]
fn bad_data_is_refused_with_its_code() {
    type Spoil = fn(&mut Data);
    let cases: [(Spoil, &str); 6] = [
        (|d| d.a[0].ids.iter_mut().for_each(|id| id.push('x')), "psi.empty_intersection"),
        (|d| d.b[0].labels.iter_mut().flatten().for_each(|l| *l = true), "train.single_class"),
        (|d| d.b[1].labels.iter_mut().flatten().for_each(|l| *l = false), "train.single_class"),
        (|d| d.b[1].labels = None, "data.missing_label_column"),
        (
            |d| d.a[1].features = features(&vec![vec![0.5; 5]; d.a[1].ids.len()], false),
            "data.layout_mismatch",
        ),
        (|d| d.a[0].ids[1] = d.a[0].ids[0].clone(), "data.duplicate_ids"),
    ];
    for (spoil, code) in cases {
        let mut data = made_up(8, [160, 120], true);
        spoil(&mut data);
        let run = run_of(8, small(1, 0.5));
        let (mut link_a, mut link_b) = MemoryLink::pair(TIMEOUT);
        let ends = thread::scope(|s| {
            let (run, data) = (&run, &data);
            let a = s.spawn(move || {
                let rng = &mut ChaCha20Rng::seed_from_u64(80);
                run_a(
                    run,
                    &data.a[0],
                    &data.a[1],
                    &mut link_a,
                    &mut MemoryVault::default(),
                    &mut NoObserver,
                    rng,
                )
                .err()
            });
            let b = s.spawn(move || {
                let rng = &mut ChaCha20Rng::seed_from_u64(81);
                run_b(
                    run,
                    &data.b[0],
                    &data.b[1],
                    &mut link_b,
                    &mut MemoryVault::default(),
                    &mut NoObserver,
                    rng,
                )
                .err()
            });
            [a.join().unwrap(), b.join().unwrap()]
        });
        let found: Vec<String> = ends.iter().flatten().map(|e| e.code().to_owned()).collect();
        assert!(found.iter().any(|c| c == code), "{code} is missing in {found:?}");
        assert_eq!(found.len(), 2, "both sides end");
    }
}
