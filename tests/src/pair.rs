//! Two nodes that know each other, and a client that both know.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use caesar_client::{Client, ClientConfig};
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    Dataset, HarnessError, Limits, NodeProcess, Party, START_DEADLINE,
    config::{ClientEntry, ClientFile, Log, NodeConfig, Peer, Tls},
    proxy::FaultProxy,
};

/// What a [`Pair`] is to be.
#[derive(Debug)]
pub struct PairPlan {
    /// The executable of both nodes.
    pub binary: PathBuf,
    /// A's catalogue.
    pub datasets_a: Vec<Dataset>,
    /// B's catalogue.
    pub datasets_b: Vec<Dataset>,
    /// Who connects to the other; the other listens.
    pub connector: Party,
    /// Limits of both nodes.
    pub limits: Limits,
    /// `log.level` of both nodes.
    pub log_level: &'static str,
    /// A party whose configuration pins a certificate that its peer does not have.
    pub mistaken: Option<Party>,
    /// Whether a [`FaultProxy`] stands between the two.
    pub proxied: bool,
}

impl PairPlan {
    /// Two nodes with these catalogues; A connects to B.
    pub fn new(binary: PathBuf, datasets_a: Vec<Dataset>, datasets_b: Vec<Dataset>) -> Self {
        let limits = Limits::default();
        Self {
            binary,
            datasets_a,
            datasets_b,
            connector: Party::A,
            limits,
            log_level: "info",
            mistaken: None,
            proxied: false,
        }
    }
}

/// Two running nodes in a temporary folder with fresh certificates. Dropping it ends both and
/// removes the folder.
#[derive(Debug)]
pub struct Pair {
    // Dropped in this order: processes before the folder they write to.
    a: NodeProcess,
    b: NodeProcess,
    proxy: Option<FaultProxy>,
    connector: Party,
    binary: PathBuf,
    folder: TempDir,
}

/// Identities that are made for every pair. `stranger` is known to nobody.
const IDENTITIES: [&str; 4] = ["platform", "bank", "client", "stranger"];

impl Pair {
    /// Makes certificates and configurations and starts both nodes.
    ///
    /// # Errors
    /// Whatever keeps a node from starting.
    pub fn start(plan: &PairPlan) -> Result<Self, HarnessError> {
        let folder = tempfile::Builder::new()
            .prefix("caesar-")
            .tempdir()
            .map_err(HarnessError::io("cannot make a temporary folder"))?;
        for name in IDENTITIES {
            keygen(&plan.binary, folder.path(), name)?;
        }
        // The one that connects has to be told the other's port.
        let listener = plan.connector.other();
        write_node_config(plan, folder.path(), listener, None)?;
        let listening = start_node(&plan.binary, folder.path(), listener)?;
        let proxy = match plan.proxied {
            true => Some(FaultProxy::start(listening.address())?),
            false => None,
        };
        let target = proxy.as_ref().map_or(listening.address(), FaultProxy::address);
        write_node_config(plan, folder.path(), plan.connector, Some(target))?;
        let connecting = start_node(&plan.binary, folder.path(), plan.connector)?;
        let (a, b) = match plan.connector {
            Party::A => (connecting, listening),
            Party::B => (listening, connecting),
        };
        for (party, node) in [(Party::A, &a), (Party::B, &b)] {
            let path = client_file(folder.path(), "client", party);
            write_client_config(&path, "client", party, node.address())?;
        }
        Ok(Self { a, b, proxy, connector: plan.connector, binary: plan.binary.clone(), folder })
    }

    /// Settings of the client that both nodes list, for one of them. Usable as `caesar --config`.
    pub fn client_file(&self, party: Party) -> PathBuf {
        client_file(self.folder.path(), "client", party)
    }

    /// A connection of that client.
    ///
    /// # Errors
    /// Those of the client library.
    pub async fn client(&self, party: Party) -> Result<Client, HarnessError> {
        let config = ClientConfig::from_file(self.client_file(party))?;
        Ok(Client::connect(config).await?)
    }

    /// Settings of a client whose certificate no node lists.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn stranger_file(&self, party: Party) -> Result<PathBuf, HarnessError> {
        let path = client_file(self.folder.path(), "stranger", party);
        write_client_config(&path, "stranger", party, self.node(party).address())?;
        Ok(path)
    }

    /// The temporary folder. `platform`, `bank`, `client` and `stranger` have `NAME.cert.pem` and
    /// `NAME.key.pem` in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of the nodes.
    pub fn node(&self, party: Party) -> &NodeProcess {
        match party {
            Party::A => &self.a,
            Party::B => &self.b,
        }
    }

    /// One of the nodes, to stop or kill it.
    pub fn node_mut(&mut self, party: Party) -> &mut NodeProcess {
        match party {
            Party::A => &mut self.a,
            Party::B => &mut self.b,
        }
    }

    /// What stands between the two nodes, if the plan asked for it.
    pub fn proxy(&self) -> Option<&FaultProxy> {
        self.proxy.as_ref()
    }

    /// Starts a node again that has ended, with its old configuration and store. The one that
    /// listens comes back on another port: without a proxy between the two, which is told, the other
    /// does not find it.
    ///
    /// # Errors
    /// As [`Pair::start`].
    pub fn restart(&mut self, party: Party) -> Result<(), HarnessError> {
        let node = start_node(&self.binary, self.folder.path(), party)?;
        if let Some(proxy) = self.proxy.as_ref().filter(|_| party != self.connector) {
            proxy.set_upstream(node.address());
        }
        *self.node_mut(party) = node;
        let path = self.client_file(party);
        write_client_config(&path, "client", party, self.node(party).address())
    }

    /// Stops both nodes in an orderly way.
    ///
    /// # Errors
    /// If one had to be killed.
    pub fn stop(mut self) -> Result<(), HarnessError> {
        const GRACE: Duration = Duration::from_secs(10);
        let (a, b) = (self.a.stop(GRACE), self.b.stop(GRACE));
        a.and(b).map(drop)
    }
}

fn keygen(binary: &Path, folder: &Path, name: &str) -> Result<(), HarnessError> {
    let output = Command::new(binary)
        .args(["keygen", "--name", name, "--out"])
        .arg(folder)
        .output()
        .map_err(HarnessError::io(format!("cannot start {}", binary.display())))?;
    if output.status.success() {
        return Ok(());
    }
    Err(HarnessError::Keygen { stderr: String::from_utf8_lossy(&output.stderr).into_owned() })
}

fn certificate(name: &str) -> PathBuf {
    format!("{name}.cert.pem").into()
}

fn key(name: &str) -> PathBuf {
    format!("{name}.key.pem").into()
}

fn client_file(folder: &Path, client: &str, party: Party) -> PathBuf {
    folder.join(format!("{client}-of-{}.toml", party.name()))
}

fn start_node(binary: &Path, folder: &Path, party: Party) -> Result<NodeProcess, HarnessError> {
    let name = party.name();
    let config = folder.join(format!("{name}.toml"));
    let log = folder.join(format!("{name}.log"));
    NodeProcess::start(binary, name, &config, &log, START_DEADLINE)
}

fn write_node_config(
    plan: &PairPlan,
    folder: &Path,
    party: Party,
    connect: Option<SocketAddr>,
) -> Result<(), HarnessError> {
    let name = party.name();
    let peer = party.other().name();
    let pinned = if plan.mistaken == Some(party) { "stranger" } else { peer };
    let config = NodeConfig {
        role: party,
        listen: "127.0.0.1:0",
        data_dir: folder.join(name),
        tls: Tls { certificate: certificate(name), key: key(name) },
        peer: Peer {
            name: peer,
            certificate: certificate(pinned),
            connect: connect.map(|address| address.to_string()),
        },
        log: Log { level: plan.log_level },
        limits: plan.limits,
        clients: vec![ClientEntry {
            name: "client",
            certificate: certificate("client"),
            role: "client",
        }],
        datasets: match party {
            Party::A => &plan.datasets_a,
            Party::B => &plan.datasets_b,
        },
    };
    write_toml(&folder.join(format!("{name}.toml")), &config)
}

fn write_client_config(
    path: &Path,
    client: &str,
    party: Party,
    node: SocketAddr,
) -> Result<(), HarnessError> {
    let file = ClientFile {
        endpoint: node.to_string(),
        certificate: certificate(client),
        key: key(client),
        server_certificate: certificate(party.name()),
    };
    write_toml(path, &file)
}

fn write_toml(path: &Path, value: &impl Serialize) -> Result<(), HarnessError> {
    let text = toml::to_string(value).expect("plain tables of text, numbers and paths");
    fs::write(path, text).map_err(HarnessError::io(format!("cannot write {}", path.display())))
}
