//! A whole run whose peer sends what it likes, on a vault that holds what it likes: messages and
//! records that nothing public decodes alone.

use std::collections::VecDeque;

use mpc_core::{
    matrix::{Features, Table},
    session::{
        LabelOptions, Link, LinkError, MemoryVault, NoObserver, Parameters, RecordFile, Role, Run,
        Vault, run_a, run_b,
    },
    step::Step,
};
use paillier::ModulusBits;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use zeroize::Zeroizing;

/// Rows of the training and the test table: as few as a job may have.
const ROWS: [usize; 2] = [64, 50];

/// A run of the party `role` as bytes: what its vault holds, then what its peer sends.
///
/// | part | bytes |
/// |---|---|
/// | role: A if even | 1 |
/// | number of records | 1 |
/// | record: file (set-up, snapshot, log, openings), its number, length, content | 1 + 1 + 3 + … |
/// | message: length, content; to the end | 3 + … |
#[derive(Clone, Debug)]
pub struct Script {
    /// Whose run it is.
    pub role: Role,
    /// What its vault holds, in order.
    pub records: Vec<(RecordFile, Vec<u8>)>,
    /// What its peer sends.
    pub messages: Vec<Vec<u8>>,
}

impl Script {
    /// The bytes.
    ///
    /// # Panics
    /// If there are more than 255 records, or one has a number above 255.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.role == Role::LabelHolder)];
        out.push(u8::try_from(self.records.len()).expect("few records"));
        let blob = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes()[..3]);
            out.extend_from_slice(bytes);
        };
        for (file, record) in &self.records {
            let (kind, number) = match file {
                RecordFile::Setup => (0, 0),
                RecordFile::Snapshot(number) => (1, *number),
                RecordFile::Log(number) => (2, *number),
                RecordFile::Openings => (3, 0),
                RecordFile::Transform => (4, 0),
            };
            out.extend_from_slice(&[kind, u8::try_from(number).expect("a small number")]);
            blob(&mut out, record);
        }
        self.messages.iter().for_each(|message| blob(&mut out, message));
        out
    }

    /// As much of the bytes as there is.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut take = |count: usize| -> Option<&[u8]> {
            let (head, rest) = bytes.split_at_checked(count.min(bytes.len()))?;
            bytes = rest;
            (head.len() == count).then_some(head)
        };
        let role = if take(1)?[0] % 2 == 0 { Role::FeatureHolder } else { Role::LabelHolder };
        let count = take(1)?[0];
        let length = |three: &[u8]| {
            usize::from(three[0]) | usize::from(three[1]) << 8 | usize::from(three[2]) << 16
        };
        let mut records = Vec::new();
        for _ in 0..count {
            let head = take(5)?;
            let number = u32::from(head[1]);
            let file = match head[0] % 5 {
                0 => RecordFile::Setup,
                1 => RecordFile::Snapshot(number),
                2 => RecordFile::Log(number),
                3 => RecordFile::Openings,
                _ => RecordFile::Transform,
            };
            let length = length(&head[2..]);
            records.push((file, take(length)?.to_vec()));
        }
        let mut messages = Vec::new();
        while let Some(message) = take(3).map(length).and_then(&mut take) {
            messages.push(message.to_vec());
        }
        Some(Self { role, records, messages })
    }
}

/// Says what the script says, and does not listen.
struct Scripted(VecDeque<Vec<u8>>);

impl Link for Scripted {
    fn send(&mut self, _: Step, _: Vec<u8>) -> Result<(), LinkError> {
        Ok(())
    }

    fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, LinkError> {
        match self.0.pop_front() {
            None => Err(LinkError::Lost { detail: "the script has ended".to_owned() }),
            Some(body) if body.len() > max_len => Err(LinkError::TooLarge { step }),
            Some(body) => Ok(body),
        }
    }
}

/// Tables of a party, for training and testing: one dense column, all ids common.
pub fn tables(role: Role) -> [Table; 2] {
    ROWS.map(|rows| Table {
        ids: (0..rows).map(|row| format!("id{row}")).collect(),
        features: Features::dense(
            vec!["f".to_owned()],
            &(0..rows).map(|row| ((row * 7) % 11) as f64).collect::<Vec<_>>(),
        ),
        labels: (role == Role::LabelHolder).then(|| (0..rows).map(|row| row % 3 == 0).collect()),
        weights: None,
    })
}

/// The job of all scripts. The attempt enters the tags of its messages.
pub fn job(attempt: u32) -> Run {
    Run {
        job: [7; 16],
        attempt,
        certificate_a: [1; 32],
        certificate_b: [2; 32],
        parameters: Parameters {
            modulus_bits: ModulusBits::B2048,
            epochs: Some(2),
            batch_size: Some(64),
            learning_rate: Some(0.1),
            l2: Some(0.0),
            ..Parameters::default()
        },
        options: LabelOptions::default(),
    }
}

/// The attempt that scripts are of. Others made what is in their vaults.
pub const ATTEMPT: u32 = 2;

/// A run on whatever the bytes say. It ends with an error; the peer's proofs do not fit ours.
pub(crate) fn session(data: &[u8]) {
    let Some(script) = Script::decode(data) else { return };
    let mut vault = MemoryVault::default();
    for (file, record) in script.records {
        let put = match file {
            // Files that are written as a whole have all their records at once.
            RecordFile::Setup | RecordFile::Transform | RecordFile::Snapshot(_) => {
                let mut records = vault.records(file).to_vec();
                records.push(Zeroizing::new(record));
                vault.write(file, &mut records.into_iter())
            }
            RecordFile::Log(_) | RecordFile::Openings => vault.append(file, &record),
        };
        put.expect("memory takes everything");
    }
    let [train, test] = tables(script.role);
    let mut link = Scripted(script.messages.into());
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let run = job(ATTEMPT);
    let failed = match script.role {
        Role::FeatureHolder => {
            run_a(&run, &train, &test, &mut link, &mut vault, &mut NoObserver, &mut rng).err()
        }
        Role::LabelHolder => {
            run_b(&run, &train, &test, &mut link, &mut vault, &mut NoObserver, &mut rng).err()
        }
    };
    let failed = failed.expect("nobody guesses the transcript of a run");
    assert!(!failed.to_string().is_empty());
}
