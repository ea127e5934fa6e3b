//! All figures: as JSON for programs, as Markdown for readers.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    e2e::{self, E2e, TimeToKs},
    machine::Machine,
    micro::{self, Micro},
    plain::{self, Plain},
    psi::{self, Psi},
    secureml::{self, SecureMl},
    yardstick::Yardstick,
};

/// The figures; names are read by other programs and stay.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) seed: u64,
    /// What each part was measured on.
    pub(crate) parts: BTreeMap<String, Machine>,
    pub(crate) micro: Vec<Micro>,
    pub(crate) yardstick: Vec<Yardstick>,
    pub(crate) e2e: Vec<E2e>,
    pub(crate) time_to_ks: Vec<TimeToKs>,
    /// What was left out of the end-to-end cases.
    pub(crate) e2e_notes: Vec<String>,
    pub(crate) secureml: Vec<SecureMl>,
    pub(crate) plain: Vec<Plain>,
    pub(crate) psi: Vec<Psi>,
}

impl Report {
    /// The figures of an earlier run; none if there is no file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path);
        let text = text.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("cannot read {}: {e}", path.display()))
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and text")
    }

    /// This run's parts, and those of an earlier run that it did not measure.
    pub(crate) fn or_earlier(mut self, mut earlier: Self) -> Self {
        let ran = |part: &str| self.parts.contains_key(part);
        if !ran("micro") {
            (self.micro, self.yardstick) = (earlier.micro, earlier.yardstick);
        }
        if !ran("e2e") {
            (self.e2e, self.time_to_ks) = (earlier.e2e, earlier.time_to_ks);
            self.e2e_notes = earlier.e2e_notes;
        }
        if !ran("secureml") {
            (self.secureml, self.plain) = (earlier.secureml, earlier.plain);
        }
        if !ran("psi") {
            self.psi = earlier.psi;
        }
        earlier.parts.append(&mut self.parts);
        self.parts = earlier.parts;
        self
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "# Benchmarks\n\nWritten by `cargo bench-report`, which keeps the tables of the parts that it \
             does not run; seed {}.\n",
            self.seed
        );
        let mut section = |part: &str, title: &str, text: &str| {
            if let Some(on) = self.parts.get(part) {
                let _ = write!(
                    out,
                    "\n## {title}\n\n`cargo bench-report -- --only {part}` on {}, {} cores, {}, {}, \
                     commit {}.\n\n{text}",
                    on.processor, on.cores, on.system, on.compiler, on.commit,
                );
            }
        };
        section(
            "micro",
            "Operations of homomorphic encryption",
            &micro::markdown(&self.micro, &self.yardstick),
        );
        section("e2e", "End to end", &e2e::markdown(&self.e2e, &self.time_to_ks, &self.e2e_notes));
        section("secureml", "Beside SecureML", &secureml::markdown(&self.secureml));
        section("secureml", "Without cryptography", &plain::markdown(&self.plain));
        section("psi", "Private set intersection", &psi::markdown(&self.psi));
        out
    }
}
