//! The command line of the demo.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use caesar_client::{DataSets, JobSpec, ModulusBits, Training};
use caesar_e2e::{Party, workspace_root};
use clap::Parser;

use crate::{
    DemoError,
    files::{Columns, PartyData},
};

/// Train one model on the data of a bank (B, it has the labels) and a platform (A) with two nodes
/// on this machine.
///
/// Without arguments it takes the repository's default_credit. A file ends in .csv, .csv.gz, .svm
/// or .svm.gz; a .svm file has its ids, one a line, in a file of the same name with .ids (or
/// .ids.gz) instead.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
pub(crate) struct Args {
    /// A's training rows
    #[arg(long, value_name = "TRAIN_A", requires_all = ["party_b", "test_a", "test_b"])]
    party_a: Option<PathBuf>,
    /// B's training rows
    #[arg(long, value_name = "TRAIN_B", requires_all = ["party_a", "test_a", "test_b"])]
    party_b: Option<PathBuf>,
    /// A's test rows
    #[arg(long, value_name = "TEST_A", requires_all = ["party_a", "party_b", "test_b"])]
    test_a: Option<PathBuf>,
    /// B's test rows
    #[arg(long, value_name = "TEST_B", requires_all = ["party_a", "party_b", "test_a"])]
    test_b: Option<PathBuf>,
    /// Name of the id column in CSV files
    #[arg(long, default_value = "id", value_name = "COLUMN")]
    id: String,
    /// Name of B's label column in CSV files
    #[arg(long, default_value = "y", value_name = "COLUMN")]
    label: String,
    /// Passes over the training rows [default: by docs/SPEC.md, "Default hyper-parameters"]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Rows a mini-batch [default: as for --epochs]
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,
    /// Step size [default: as for --epochs]
    #[arg(long, value_name = "R")]
    learning_rate: Option<f64>,
    /// L2 penalty [default: as for --epochs]
    #[arg(long, value_name = "L")]
    l2: Option<f64>,
    /// Length of the Paillier modulus, 2048 or 3072 [default: 3072]
    #[arg(long, value_name = "N")]
    modulus_bits: Option<u32>,
    /// Also write the report as JSON
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    /// Also write the report as an HTML page
    #[arg(long, value_name = "OUT.html")]
    report: Option<PathBuf>,
}

/// The data of both.
pub(crate) struct Parties {
    pub(crate) a: PartyData,
    pub(crate) b: PartyData,
}

impl Args {
    /// The four files, found and named.
    pub(crate) fn parties(&self) -> Result<Parties, DemoError> {
        let [train_a, train_b, test_a, test_b] =
            match (&self.party_a, &self.party_b, &self.test_a, &self.test_b) {
                (Some(a), Some(b), Some(c), Some(d)) => [a, b, c, d].map(Clone::clone),
                // clap has refused anything between all and none.
                _ => default_files(),
            };
        let columns = Columns { id: &self.id, label: &self.label };
        Ok(Parties {
            a: PartyData::find(Party::A, &train_a, &test_a, &columns)?,
            b: PartyData::find(Party::B, &train_b, &test_b, &columns)?,
        })
    }

    /// Where the report goes as JSON and as a page, opened before minutes of work depend on it.
    pub(crate) fn output_files(&self) -> Result<[Option<(&Path, File)>; 2], DemoError> {
        Ok([created(self.json.as_deref())?, created(self.report.as_deref())?])
    }

    /// The job on those files.
    pub(crate) fn job(&self) -> Result<JobSpec, DemoError> {
        let usage = |e: caesar_client::ConfigError| DemoError::Usage(e.to_string());
        let modulus_bits = self.modulus_bits.map(ModulusBits::try_from);
        let job = JobSpec {
            name: "demo".to_owned(),
            data: DataSets::alike(PartyData::TRAIN, PartyData::TEST),
            training: Training {
                epochs: self.epochs,
                batch_size: self.batch_size,
                learning_rate: self.learning_rate,
                l2: self.l2,
                ..Training::default()
            },
            modulus_bits: modulus_bits.transpose().map_err(usage)?,
            priority: 0,
        };
        job.validate().map_err(usage)?;
        Ok(job)
    }
}

fn created(path: Option<&Path>) -> Result<Option<(&Path, File)>, DemoError> {
    let open = |path: &Path| {
        File::create(path).map_err(|e| DemoError::Usage(format!("{}: {e}", path.display())))
    };
    path.map(|path| Ok((path, open(path)?))).transpose()
}

/// default_credit of the repository: train A, train B, test A, test B.
fn default_files() -> [PathBuf; 4] {
    let set = workspace_root().join("data/default_credit");
    ["train/party_a", "train/party_b", "test/party_a", "test/party_b"]
        .map(|file| set.join(format!("{file}.csv.gz")))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Args;

    #[test]
    fn the_grammar_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn files_come_all_four_or_not_at_all() {
        assert!(Args::try_parse_from(["demo"]).is_ok());
        let all = ["--party-a", "a", "--party-b", "b", "--test-a", "c", "--test-b", "d"];
        assert!(Args::try_parse_from(["demo"].into_iter().chain(all)).is_ok());
        for left_out in 0..4 {
            let mut some = all.to_vec();
            some.drain(2 * left_out..2 * left_out + 2);
            assert!(Args::try_parse_from(["demo"].into_iter().chain(some)).is_err());
        }
    }

    #[test]
    fn settings_reach_the_job_and_are_checked() {
        let parse = |args: &[&str]| Args::try_parse_from(args).unwrap().job();
        let job = parse(&[
            "demo",
            "--epochs",
            "3",
            "--batch-size",
            "128",
            "--learning-rate",
            "0.5",
            "--l2",
            "0.01",
            "--modulus-bits",
            "2048",
        ])
        .unwrap();
        let t = job.training;
        assert_eq!((t.epochs, t.batch_size), (Some(3), Some(128)));
        assert_eq!((t.learning_rate, t.l2), (Some(0.5), Some(0.01)));
        assert_eq!(job.modulus_bits.unwrap().get(), 2048);
        assert!(parse(&["demo", "--modulus-bits", "1024"]).is_err());
        assert!(parse(&["demo", "--learning-rate", "nan"]).is_err());
    }
}
