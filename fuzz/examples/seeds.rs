//! Writes one valid input or more for each target to `corpus/`, for the fuzzers to start from:
//! `cargo run --no-default-features --example seeds`. The same bytes every time, but for the TLS
//! key and checkpoints, which are made afresh; the corpus keeps those it has.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use caesar_fuzz::{
    TARGETS,
    files::vault,
    session::{ATTEMPT, Script, job, tables},
};
use caesar_node::{
    job::JobId,
    peer::{CHUNK_BYTES, split},
    tls::keygen,
    wire,
};
use caesar_proto::v1::{
    Accept, Ack, Heartbeat, Hello, Interrupt, JobSpec, Offer, Outcome, PeerMessage, Reason, Resume,
    Standing, SubmitRequest, Training, peer_message::Kind, training::ClassWeight,
};
use flate2::{Compression, write::GzEncoder};
use mpc_core::{
    binding::Binding,
    features::Transform,
    matrix::{Column, Encode, Missing, Recipe, Scale, Values},
    ot::{
        Corrections, ExtensionReceiver, ExtensionSender, OleShape, TreeDepth, lift,
        ole::{choose, respond},
    },
    plan::PublicBounds,
    psi::{Blinded, Doubled, Next, Opening},
    session::{
        Link, LinkError, MemoryVault, NoObserver, RecordFile, Role, Vault as _, memory::MemoryLink,
        run_a, run_b,
    },
    step::Step,
    wire::Message,
};
use paillier::{ModulusBits, ModulusProof, OwnerEncryptor, Plaintext, fixtures};
use parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type},
    file::writer::{SerializedFileWriter, SerializedRowGroupWriter},
    schema::parser::parse_message_type,
};
use prost::Message as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

const SEED: u64 = 1;

/// A corpus folder.
struct Corpus(PathBuf);

impl Corpus {
    fn of(target: &str) -> Self {
        assert!(TARGETS.iter().any(|(name, _)| *name == target), "{target}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes `head` and `body` as the input `name`.
    fn put(&self, name: &str, head: &[u8], body: &[u8]) {
        fs::write(self.0.join(format!("seed-{name}")), [head, body].concat()).unwrap();
    }
}

fn main() {
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    psi(&mut rng);
    ot(&mut rng);
    parameters();
    keys(&mut rng);
    session();
    node();
    files();
    checkpoints();
}

fn psi(rng: &mut ChaCha20Rng) {
    let corpus = Corpus::of("psi_messages");
    let ids = |side: &str| -> Vec<String> { (0..5).map(|i| format!("{side}{i}")).collect() };
    let (a, b) = (ids("a"), ids("b"));
    let open = |ids, rng: &mut ChaCha20Rng| Opening::new(ids, [7; 32], 100, rng).unwrap();
    let (a, b) = (open(&a, rng), open(&b, rng));
    corpus.put("size", &[0, 0], &a.size().to_bytes());
    let (size_a, size_b) = (a.size(), b.size());
    let (blinded, _) = a.receive_size(size_b).unwrap().blind();
    corpus.put("blinded", &[1, 5], &blinded.to_bytes());
    let (_, mut waiting) = b.receive_size(size_a).unwrap().blind();
    while waiting.expected() == 0 {
        let (_, idle) = waiting.receive(Blinded::default()).unwrap();
        let Next::Chunk(next) = idle.receive(Doubled::default()).unwrap() else { return };
        waiting = next.blind().1;
    }
    let (doubled, _) = waiting.receive(blinded).unwrap();
    corpus.put("doubled", &[2, 5], &doubled.to_bytes());
}

fn ot(rng: &mut ChaCha20Rng) {
    let corpus = Corpus::of("ot_messages");
    let binding = Binding {
        session: [1; 32],
        attempt: 0,
        parameters: [2; 32],
        certificate_a: [3; 32],
        certificate_b: [4; 32],
    };
    for (head, depth) in [(0, TreeDepth::Four), (1, TreeDepth::Eight)] {
        let (waiting, request) = ExtensionSender::start(&binding, depth, rng);
        let (mut receiver, reply) = ExtensionReceiver::start(&binding, depth, &request, rng);
        let mut sender = waiting.finish(&reply).unwrap();
        corpus.put(&format!("request-{head}"), &[0, head, 0, 0, 0], &request.to_bytes());
        corpus.put(&format!("reply-{head}"), &[1, head, 0, 0, 0], &reply.to_bytes());
        let shape = OleShape::new(2, 3, 60).unwrap();
        let count = shape.ots_needed();
        let (mut ots, message) = receiver.extend(count + 2).unwrap();
        corpus.put(&format!("extension-{head}"), &[2, head, 56, 1, 0], &message.to_bytes());
        let mut pads = sender.extend(count + 2, &message).unwrap();
        let (shares, ots_a) = (vec![5, 1 << 20], ots.take(2).unwrap());
        let (bits, _) = lift::choose(shares.into(), 21, ots_a).unwrap();
        let (wraps, _) = lift::respond(&[7, 9], 21, pads.take(2).unwrap(), &bits).unwrap();
        corpus.put(&format!("top-bits-{head}"), &[5, head, 2, 0, 0], &bits.to_bytes());
        corpus.put(&format!("wraps-{head}"), &[6, head, 2, 0, 0], &wraps.to_bytes());
        corpus.put(
            &format!("masked-scores-{head}"),
            &[7, head, 2, 0, 26],
            &[1, 2, 3, head, 0, 0, 0, 3],
        );
        let (choices, _) = choose(&[1, -2, 3, -4, 5, -6], shape, ots).unwrap();
        let (corrections, _): (Corrections, _) =
            respond(&[[9, -9]; 6], shape, pads, &choices).unwrap();
        corpus.put(&format!("choices-{head}"), &[3, head, 2, 3, 60], &choices.to_bytes());
        corpus.put(&format!("corrections-{head}"), &[4, head, 2, 3, 60], &corrections.to_bytes());
    }
}

fn specification() -> JobSpec {
    JobSpec {
        name: "monthly".to_owned(),
        train_a: "train".to_owned(),
        test_a: "test".to_owned(),
        train_b: "train".to_owned(),
        test_b: "test".to_owned(),
        training: Some(Training {
            epochs: Some(4),
            batch_size: Some(64),
            learning_rate: Some(0.3),
            l2: Some(0.0),
            schedule: "cosine".to_owned(),
            max_steps: Some(500),
            whiten: true,
            class_weight: Some(ClassWeight::Balanced(true)),
            sample_weights: false,
            validation: Some(0.2),
            patience: Some(2),
            max_train_seconds: Some(60),
            positive_class: Some("gold".to_owned()),
        }),
        modulus_bits: 2048,
        ..JobSpec::default()
    }
}

fn parameters() {
    let corpus = Corpus::of("parameters");
    corpus.put("all", &[], &wire::parameters(&specification()).unwrap().1);
    let defaults = JobSpec { training: None, modulus_bits: 0, ..specification() };
    corpus.put("defaults", &[], &wire::parameters(&defaults).unwrap().1);

    let corpus = Corpus::of("bounds");
    let dense = PublicBounds {
        columns: 12,
        dense: true,
        standardised: true,
        column_bits: 14,
        row_bits: 5,
        energy_bits: 4,
    };
    let sparse = PublicBounds { dense: false, standardised: false, energy_bits: 6, ..dense };
    for (name, one, other) in
        [("dense", dense, dense), ("mixed", dense, sparse), ("sparse", sparse, sparse)]
    {
        let both = [one.to_bytes(), other.to_bytes()].concat();
        corpus.put(name, &[120, 100, 1, 1, 10, 0], &both);
        corpus.put(&format!("{name}-l2"), &[121, 100, 2, 0, 0, 1], &both);
    }
}

fn keys(rng: &mut ChaCha20Rng) {
    let key = fixtures::test_key(ModulusBits::B2048, 0);
    let plain: Vec<_> = (1..=2).map(|v| Plaintext::from_u128(ModulusBits::B2048, v)).collect();
    let sent = OwnerEncryptor::new(&key, rng).encrypt(&plain, rng).unwrap();
    Corpus::of("ciphertexts").put("two", &[2], &sent.encode());

    let proof = ModulusProof::prove(&key, &[0; 32], rng);
    let body = [key.public().to_bytes(), proof.encode()].concat();
    Corpus::of("modulus_proof").put("2048", &[0], &body);
    Corpus::of("secret_key").put("2048", &[0], &key.to_secret_bytes());
}

/// Sees what a run receives, and ends it after so many mini-batches.
struct Overheard {
    link: MemoryLink,
    messages: Arc<Mutex<Vec<Vec<u8>>>>,
    batches: Option<usize>,
}

impl Link for Overheard {
    fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), LinkError> {
        self.link.send(step, body)
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        if step == Step::BatchEnd
            && let Some(batches) = &mut self.batches
        {
            *batches = batches.checked_sub(1).ok_or(LinkError::Cancelled)?;
        }
        let body = self.link.receive(step, max_len)?;
        self.messages.lock().unwrap().push(body.clone());
        Ok(body)
    }
}

/// One attempt by both sides; returns what A and B received.
fn attempt(
    number: u32,
    vaults: &mut [MemoryVault; 2],
    batches: Option<usize>,
) -> [Vec<Vec<u8>>; 2] {
    let (a, b) = MemoryLink::pair(Duration::from_secs(600));
    let heard = [Arc::default(), Arc::default()];
    let overheard =
        |link, side: usize| Overheard { link, messages: Arc::clone(&heard[side]), batches };
    let (mut a, mut b) = (overheard(a, 0), overheard(b, 1));
    let run = job(number);
    let [vault_a, vault_b] = vaults;
    thread::scope(|scope| {
        scope.spawn(|| {
            let [train, test] = tables(Role::FeatureHolder);
            let mut rng = ChaCha20Rng::seed_from_u64(SEED + 10 * u64::from(number));
            let ended = run_a(&run, &train, &test, &mut a, vault_a, &mut NoObserver, &mut rng);
            assert_eq!(ended.is_ok(), batches.is_none());
            drop(a);
        });
        let [train, test] = tables(Role::LabelHolder);
        let mut rng = ChaCha20Rng::seed_from_u64(SEED + 10 * u64::from(number) + 1);
        let ended = run_b(&run, &train, &test, &mut b, vault_b, &mut NoObserver, &mut rng);
        assert_eq!(ended.is_ok(), batches.is_none());
        drop(b);
    });
    heard.map(|messages| messages.lock().unwrap().clone())
}

fn session() {
    /// Of the messages of one script: the first ones, up to about a mini-batch.
    const MOST_BYTES: usize = 60_000;
    let corpus = Corpus::of("session");
    let mut vaults = [MemoryVault::default(), MemoryVault::default()];
    let first = attempt(ATTEMPT - 1, &mut vaults, Some(1));
    let held = vaults.clone();
    let second = attempt(ATTEMPT, &mut vaults, None);
    let nothing = [MemoryVault::default(), MemoryVault::default()];
    for (name, vaults, heard) in
        [("first", &nothing, &first), ("again", &held, &second), ("done", &vaults, &second)]
    {
        for (side, role) in [Role::FeatureHolder, Role::LabelHolder].into_iter().enumerate() {
            let mut left = MOST_BYTES;
            let messages = heard[side].iter().take_while(|message| {
                let fits = message.len() <= left;
                left = left.saturating_sub(message.len());
                fits
            });
            let vault = &vaults[side];
            let records = vault.files().flat_map(|file| {
                vault.records(file).iter().map(move |record| (file, record.to_vec()))
            });
            let script =
                Script { role, records: records.collect(), messages: messages.cloned().collect() };
            let side = if side == 0 { "a" } else { "b" };
            corpus.put(&format!("{name}-{side}"), &[], &script.encode());
        }
    }
}

fn node() {
    let corpus = Corpus::of("peer_messages");
    let job = [5; 16];
    let parameters = wire::parameters(&specification()).unwrap().1;
    let reason = Reason {
        code: "data.empty".to_owned(),
        message: "no rows".to_owned(),
        side: "A".to_owned(),
        hint: "add some".to_owned(),
        step: "load".to_owned(),
    };
    let offer = Offer {
        job: job.to_vec(),
        attempt: 1,
        parameters,
        train_a: "train".to_owned(),
        test_a: "test".to_owned(),
        name: "monthly".to_owned(),
        ..Offer::default()
    };
    let interrupt = Interrupt { job: job.to_vec(), attempt: 1, reason: Some(reason.clone()) };
    let standing =
        Standing { job: job.to_vec(), outcome: Outcome::Failed.into(), reason: Some(reason) };
    let hello = Hello {
        protocol_version: 1,
        software: "caesar-node".to_owned(),
        role: "B".to_owned(),
        instance: vec![8; 16],
        window: 8 << 20,
    };
    let control = [
        Kind::Hello(hello),
        Kind::Offer(offer),
        Kind::Accept(Accept { job: job.to_vec(), attempt: 1 }),
        Kind::Resume(Resume { job: job.to_vec(), attempt: 1, received: 9, taken: 8 }),
        Kind::Ack(Ack { job: job.to_vec(), attempt: 1, taken: 9 }),
        Kind::Interrupt(interrupt),
        Kind::Heartbeat(Heartbeat { stamp: 5, echo: 4 }),
        Kind::Standing(standing),
    ];
    let stream = |kinds: &mut dyn Iterator<Item = Kind>| -> Vec<u8> {
        kinds.flat_map(|k| PeerMessage { kind: Some(k) }.encode_length_delimited_to_vec()).collect()
    };
    corpus.put("control", &[0, 1], &stream(&mut control.into_iter()));
    let frames = [vec![1; 30], vec![], vec![2; CHUNK_BYTES + 10]].into_iter().enumerate();
    let mut frames = frames.flat_map(|(sequence, body)| {
        split(JobId::from_bytes(job), 0, Step::Forward, sequence as u64, body).map(|mut frame| {
            // The target makes a whole chunk of it again.
            if !frame.last {
                frame.body.truncate(1);
            }
            Kind::Frame(frame)
        })
    });
    corpus.put("frames", &[7, 128], &stream(&mut frames));

    let request = SubmitRequest { request_id: "r".to_owned(), spec: Some(specification()) };
    Corpus::of("requests").put("whole", &[], &request.encode_to_vec());
}

fn checkpoints() {
    let corpus = Corpus::of("checkpoint_file");
    if corpus.0.join("seed-whole").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (files, mut vault) = vault(folder.path());
    let records = [b"one".to_vec(), vec![], vec![3; 100]];
    vault.write(RecordFile::Setup, &mut records.iter().map(|r| r.clone().into())).unwrap();
    records.iter().for_each(|record| vault.append(RecordFile::Log(0), record).unwrap());
    corpus.put("whole", &[0], &fs::read(files.join("setup")).unwrap());
    let appended = fs::read(files.join("log-0000000000")).unwrap();
    corpus.put("appended", &[1], &appended);
    corpus.put("torn", &[1], &appended[..appended.len() - 5]);
}

/// The rows of the typed seeds: a label, what divides them, numbers and categories with gaps.
const TYPED: &[u8] = b"id,y,fold,n,c\na,1,0,1.5,red\nb,0,1,,blue\nc,0,0,-2,\nd,1,1,7,red\n";

/// The same rows in Parquet.
fn parquet_table() -> Vec<u8> {
    fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, cells: &[Option<T::T>]) {
        let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
    }
    let text = |cells: [&'static str; 4]| -> Vec<Option<ByteArray>> {
        cells.iter().map(|cell| Some(ByteArray::from(*cell)).filter(|_| !cell.is_empty())).collect()
    };
    let schema = "message rows { optional binary id (utf8); optional boolean y; optional int32 fold; \
                  optional double n; optional binary c (utf8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    put::<ByteArrayType>(&mut group, &text(["a", "b", "c", "d"]));
    put::<BoolType>(&mut group, &[Some(true), Some(false), Some(false), Some(true)]);
    put::<Int32Type>(&mut group, &[Some(0), Some(1), Some(0), Some(1)]);
    put::<DoubleType>(&mut group, &[Some(1.5), None, Some(-2.0), Some(7.0)]);
    put::<ByteArrayType>(&mut group, &text(["red", "blue", "", "red"]));
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// What makes rows of numbers of the typed seeds.
fn transforms() -> [Vec<u8>; 2] {
    let column = |name: &str, values, recipe| Column { name: name.to_owned(), values, recipe };
    let numbers = || Values::Numeric([1.5, f64::NAN, -2.0, 7.0].into_iter().collect());
    let levels = [Some("red"), Some("blue"), None, Some("red")];
    let levels = || Values::Categorical(levels.into_iter().collect());
    let plain = Recipe::default();
    let shaped = Recipe { clip: Some([-1.0, 5.0]), log: true, scale: Scale::MinMax, ..plain };
    let hashed = Recipe { encode: Encode::Hash(16), missing: Missing::Zero, ..plain };
    let encoded = |columns: &[Column]| Transform::fit(columns, &[0, 1, 2, 3]).unwrap().to_bytes();
    [
        encoded(&[column("n", numbers(), plain), column("c", levels(), plain)]),
        encoded(&[column("n", numbers(), shaped), column("c", levels(), hashed)]),
    ]
}

fn files() {
    let corpus = Corpus::of("csv");
    let table = b"id,y,f,g\r\na1,0,1.5,-2\n\"b,2\",1, 3e2 ,0\nc3,1,0,0\n";
    corpus.put("plain", &[1], table);
    corpus.put("unlabelled", &[0], b"\xef\xbb\xbfid,f\na,1\nb,2\n");
    let mut zip = GzEncoder::new(Vec::new(), Compression::best());
    zip.write_all(table).unwrap();
    corpus.put("gzip", &[1], &zip.finish().unwrap());
    corpus.put("divided", &[7], TYPED);

    let corpus = Corpus::of("parquet");
    let table = parquet_table();
    corpus.put("whole", &[1], &table);
    corpus.put("divided", &[7], &table);
    corpus.put("cut", &[0], &table[..table.len() - 1]);

    let corpus = Corpus::of("transform");
    for (name, bytes) in ["plain", "shaped"].into_iter().zip(transforms()) {
        corpus.put(name, &[], &bytes);
    }

    let corpus = Corpus::of("libsvm");
    corpus.put("labelled", &[1, 0], b"+1 1:1 3:0.5\n# note\n-1 2:1 # end\n0 4:1e-3\n\0a\nb\nc\n");
    corpus.put("columns", &[0, 9], b"1:1 9:2\n5:0\n\0x\r\ny\r\n");

    let corpus = Corpus::of("node_config");
    for (role, label) in [("A", ""), ("B", "label_column = \"y\"\n")] {
        let pin = "ab".repeat(32);
        let client = "cd".repeat(32);
        let text = format!(
            "role = \"{role}\"\nlisten = \"127.0.0.1:7443\"\ndata_dir = \"state\"\n\
             [tls]\ncertificate = \"node.cert.pem\"\nkey = \"node.key.pem\"\n\
             [peer]\nname = \"other\"\nfingerprint = \"{pin}\"\nconnect = \"other.example:7443\"\n\
             [[clients]]\nname = \"ops\"\nfingerprint = \"{client}\"\nrole = \"client\"\n\
             [[datasets]]\nname = \"train\"\nformat = \"csv\"\npath = \"a.csv\"\n\
             id_column = \"id\"\n{label}allow_peers = [\"other\"]\n\
             [[datasets]]\nname = \"sparse\"\nformat = \"libsvm\"\npath = \"a.svm\"\ncolumns = 9\n\
             [limits]\nthreads = 2\nmax_rows = 1000\n[log]\nlevel = \"info\"\nformat = \"json\"\n"
        );
        corpus.put(role, &[], text.as_bytes());
    }

    let text = "name = \"n\"\nmodulus_bits = 2048\n[data]\ntrain_a = \"a\"\ntest_a = \"b\"\n\
                train_b = \"c\"\ntest_b = \"d\"\n[training]\nepochs = 2\nbatch_size = 64\n\
                learning_rate = 0.5\nl2 = 0.0\n";
    Corpus::of("job_spec").put("whole", &[], text.as_bytes());

    let corpus = Corpus::of("tls_material");
    if !corpus.0.join("seed-pair").exists() {
        let folder = tempfile::tempdir().unwrap();
        let made = keygen(folder.path(), "fuzz", &[]).unwrap();
        let (certificate, key) = (fs::read(made.certificate).unwrap(), fs::read(made.key).unwrap());
        corpus.put("pair", &certificate, &key);
        corpus.put("certificate", &certificate, &[]);
    }
}
