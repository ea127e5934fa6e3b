//! One node as a process.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::HarnessError;

/// A running `caesar-node serve`. Dropping it kills the process and waits for its end; should this
/// program end without that, a guard does it.
#[derive(Debug)]
pub struct NodeProcess {
    name: String,
    child: Child,
    guard: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl NodeProcess {
    /// Starts a node and waits until it has printed its address. Its standard error is appended to
    /// `log`.
    ///
    /// # Errors
    /// [`HarnessError::Node`] with the end of its log if it stops or is silent for `deadline`.
    pub fn start(
        binary: &Path,
        name: &str,
        config: &Path,
        log: &Path,
        deadline: Duration,
    ) -> Result<Self, HarnessError> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(HarnessError::io(format!("cannot write {}", log.display())))?;
        let mut child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(HarnessError::io(format!("cannot start {}", binary.display())))?;
        let stdout = child.stdout.take().expect("stdout was piped above");
        let guard = match guard(child.id()) {
            Ok(guard) => guard,
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(HarnessError::io("cannot start sh")(error));
            }
        };
        // From here on the drop of `node` ends the process, whatever happens.
        let mut node = Self {
            name: name.to_owned(),
            child,
            guard,
            address: SocketAddr::from(([0; 4], 0)),
            log: log.to_owned(),
        };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Reads on after the address, so that the node never blocks on a full pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on ") {
                    let _ = tell.send(address.parse());
                }
            }
        });
        let what = match told.recv_timeout(deadline) {
            Ok(Ok(address)) => {
                node.address = address;
                return Ok(node);
            }
            Ok(Err(_)) => "printed an address that cannot be read".to_owned(),
            Err(mpsc::RecvTimeoutError::Timeout) => format!("was not ready within {deadline:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                format!("stopped at its start ({})", node.kill()?)
            }
        };
        Err(HarnessError::Node { name: node.name.clone(), what, log: node.log_tail(20) })
    }

    /// Where it listens for its peer and for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        let runs = matches!(self.child.try_wait(), Ok(None));
        if !runs {
            self.dismiss_guard();
        }
        runs
    }

    /// Its number, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop (SIGTERM) and waits; kills it after `grace`.
    ///
    /// # Errors
    /// [`HarnessError::Node`] if it had to be killed.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus, HarnessError> {
        let action = || HarnessError::io(format!("cannot stop node {}", self.name));
        if let Some(status) = self.child.try_wait().map_err(action())? {
            self.dismiss_guard();
            return Ok(status);
        }
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(|e| action()(e.into()))?;
        let until = Instant::now() + grace;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().map_err(action())? {
                self.dismiss_guard();
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.kill()?;
        let what = format!("did not stop within {grace:?} of SIGTERM and was killed");
        Err(HarnessError::Node { name: self.name.clone(), what, log: self.log_tail(20) })
    }

    /// Freezes it (SIGSTOP): its connections stay, but nothing answers.
    ///
    /// # Errors
    /// [`HarnessError::Io`] if the system refuses.
    pub fn freeze(&self) -> Result<(), HarnessError> {
        kill_process(Pid::from_child(&self.child), Signal::STOP)
            .map_err(|e| HarnessError::io(format!("cannot freeze node {}", self.name))(e.into()))
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// [`HarnessError::Io`] if the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus, HarnessError> {
        let action = || HarnessError::io(format!("cannot kill node {}", self.name));
        self.child.kill().map_err(action())?;
        let status = self.child.wait().map_err(action())?;
        self.dismiss_guard();
        Ok(status)
    }

    /// The guard must not outlive the process: its number may be given to another one.
    fn dismiss_guard(&mut self) {
        let _ = self.guard.kill().and_then(|()| self.guard.wait());
    }

    /// The last lines of its standard error.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Fails only if the process has ended already.
        let _ = self.kill();
    }
}

/// Kills the process `pid` when this program is gone, however it went: the end of the pipe tells.
/// A signal from the terminal or from `timeout` reaches the nodes and not the guard.
fn guard(pid: u32) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", "trap '' INT TERM HUP; read -r _; kill -9 \"$0\"", &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
