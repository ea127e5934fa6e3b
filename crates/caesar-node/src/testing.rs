//! Material for tests: certificates, configurations, an engine that computes nothing.

use std::{fs, path::Path, sync::Arc, time::Duration};

use caesar_proto::v1::{JobResult, JobSpec};
use mpc_core::{
    matrix::Table,
    session::{RecordFile, Vault},
    step::Step,
};
use tempfile::TempDir;

use crate::{
    config::Config,
    error::{Failure, Side, code},
    job::{Context, Engine, Live, Report},
    peer::{CHUNK_BYTES, JobLink, LinkFault},
    tls::{Fingerprint, Material, keygen},
};

/// A folder with the certificates of `bank`, `platform`, `ops` and `stranger`.
pub(crate) struct Pki {
    pub(crate) folder: TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bank", "platform", "ops", "stranger"] {
            keygen(folder.path(), name, &[]).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn material(&self, name: &str) -> Material {
        let file = |kind: &str| self.path().join(format!("{name}.{kind}.pem"));
        Material::load(&file("cert"), &file("key")).unwrap()
    }

    pub(crate) fn pin(&self, name: &str) -> Fingerprint {
        self.material(name).fingerprint()
    }

    /// Writes both parties' tables.
    pub(crate) fn write_data(&self) {
        let table = |head: &str, cell: fn(usize) -> String| {
            (0..8).fold(format!("{head}\n"), |text, i| text + &format!("id{i},{}\n", cell(i)))
        };
        fs::write(self.path().join("a.csv"), table("id,f", |i| i.to_string())).unwrap();
        fs::write(self.path().join("b.csv"), table("id,y,g", |i| format!("{},{i}", i % 2)))
            .unwrap();
    }

    /// A's configuration as text; A waits for the connection.
    pub(crate) fn text_a(&self) -> String {
        r#"
            role = "A"
            listen = "127.0.0.1:0"
            data_dir = "data-a"
            [tls]
            certificate = "platform.cert.pem"
            key = "platform.key.pem"
            [peer]
            name = "bank"
            certificate = "bank.cert.pem"
            [[clients]]
            name = "ops"
            certificate = "ops.cert.pem"
            role = "client"
            [[datasets]]
            name = "a"
            format = "csv"
            path = "a.csv"
            id_column = "id"
            allow_peers = ["bank"]
            [[datasets]]
            name = "secret"
            format = "csv"
            path = "a.csv"
            id_column = "id"
            [limits]
            peer_timeout_seconds = 2
            reconnect_timeout_seconds = 6
            step_timeout_seconds = 20
            handshake_timeout_seconds = 2
        "#
        .to_owned()
    }

    /// B's configuration as text; B connects.
    pub(crate) fn text_b(&self, connect: &str) -> String {
        format!(
            r#"
            role = "B"
            listen = "127.0.0.1:0"
            data_dir = "data-b"
            [tls]
            certificate = "bank.cert.pem"
            key = "bank.key.pem"
            [peer]
            name = "platform"
            certificate = "platform.cert.pem"
            connect = "{connect}"
            [[clients]]
            name = "ops"
            certificate = "ops.cert.pem"
            role = "client"
            [[datasets]]
            name = "b"
            format = "csv"
            path = "b.csv"
            id_column = "id"
            label_column = "y"
            [limits]
            peer_timeout_seconds = 2
            reconnect_timeout_seconds = 6
            step_timeout_seconds = 20
            handshake_timeout_seconds = 2
        "#
        )
    }

    pub(crate) fn load(&self, name: &str, text: &str) -> Config {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        Config::load(&path).unwrap()
    }

    pub(crate) fn config_a(&self) -> Config {
        self.load("a.toml", &self.text_a())
    }

    pub(crate) fn config_b(&self, connect: &str) -> Config {
        self.load("b.toml", &self.text_b(connect))
    }
}

/// A job that both configurations know.
pub(crate) fn spec() -> JobSpec {
    let dataset = |name: &str| name.to_owned();
    JobSpec {
        name: "toy".to_owned(),
        train_a: dataset("a"),
        test_a: dataset("a"),
        train_b: dataset("b"),
        test_b: dataset("b"),
        ..JobSpec::default()
    }
}

/// What a toy engine does between its first and its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Ends well.
    Finish,
    /// Exchanges messages for some seconds before it ends well.
    Patient,
    /// Waits for a message that never comes.
    Hang,
    /// Computes for seconds without a look at the link.
    Compute,
    /// At B: the disk refuses in the first attempt.
    DiskFull,
    /// Panics with a text that must not get out.
    Panic,
    /// Fails with a code of its own.
    Fail,
    /// Sends a message of a step that the other side does not expect.
    WrongStep,
}

/// Exchanges messages, several chunks long, and echoes them; knows nothing of cryptography.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToyEngine(pub(crate) Behaviour);

impl ToyEngine {
    pub(crate) fn shared(behaviour: Behaviour) -> Arc<dyn Engine> {
        Arc::new(Self(behaviour))
    }

    fn run(self, side: Side, mut link: JobLink, live: &Live) -> Result<(), Failure> {
        let fault = |fault: LinkFault| {
            let code = match fault {
                LinkFault::Frame(_) => "toy.frame",
                _ => "toy.link",
            };
            Failure::new(code, side, "toy link", "").in_step("forward")
        };
        let body: Vec<u8> = (0..5 * CHUNK_BYTES / 2).map(|i| (i % 251) as u8).collect();
        let report = |iteration, work_done| Report {
            phase: "train",
            step: Step::Forward,
            iteration,
            iterations: 2,
            rows_done: 64,
            work_done,
        };
        live.report(report(0, 0.0));
        // Both send before either receives, as in the protocol.
        link.send(Step::Forward, body.clone()).map_err(fault)?;
        assert!(link.receive(Step::Forward, body.len()).map_err(fault)? == body);
        std::thread::sleep(Duration::from_millis(20));
        live.report(report(1, 0.5));
        match self.0 {
            Behaviour::Finish | Behaviour::DiskFull => {}
            Behaviour::Patient => {
                let until = std::time::Instant::now() + Duration::from_secs(5);
                let mut last = false;
                while !last {
                    // B says when it is enough.
                    let enough = side == Side::B && std::time::Instant::now() > until;
                    let message = [&[u8::from(enough)], body.as_slice()].concat();
                    link.send(Step::Forward, message).map_err(fault)?;
                    let theirs = link.receive(Step::Forward, body.len() + 1).map_err(fault)?;
                    assert!(theirs[1..] == body);
                    last = enough || theirs[0] == 1;
                }
            }
            Behaviour::Hang => drop(link.receive(Step::ErrorOle, 10).map_err(fault)?),
            Behaviour::Compute => std::thread::sleep(Duration::from_secs(8)),
            Behaviour::Panic => panic!("customer 4711 owes 12"),
            Behaviour::Fail => return Err(Failure::new("toy.fail", side, "toy failure", "a hint")),
            Behaviour::WrongStep => link.send(Step::Keys, vec![1]).map_err(fault)?,
        }
        link.send(Step::Finish, Vec::new()).map_err(fault)?;
        link.receive(Step::Finish, 0).map_err(fault).map(drop)
    }
}

/// Counts the attempts in the vault.
fn remember(vault: &mut dyn Vault) -> u32 {
    vault.append(RecordFile::Openings, b"an attempt").unwrap();
    let mut attempts = 0;
    vault
        .read(RecordFile::Openings, &mut |_| {
            attempts += 1;
            true
        })
        .unwrap();
    attempts
}

impl Engine for ToyEngine {
    fn run_a(
        &self,
        _: &Context,
        _: Arc<Table>,
        _: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<(), Failure> {
        remember(&mut *vault);
        self.run(Side::A, link, &live)
    }

    fn run_b(
        &self,
        _: &Context,
        train: Arc<Table>,
        _: Arc<Table>,
        link: JobLink,
        mut vault: Box<dyn Vault>,
        live: Arc<Live>,
    ) -> Result<JobResult, Failure> {
        let attempts = remember(&mut *vault);
        if self.0 == Behaviour::DiskFull && attempts == 1 {
            return Err(Failure::new(code::IO_CHECKPOINT, Side::B, "the disk is full", "free it"));
        }
        self.run(Side::B, link, &live)?;
        let rows_b = train.ids.len() as u64;
        Ok(JobResult { rows_b, iterations: attempts, ..JobResult::default() })
    }
}
