//! What a client asks for, and the `job.toml` that says it.

use std::{fmt, path::Path};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ConfigError;

/// A training job. As a file:
///
/// ```toml
/// name = "credit default, joint model"
/// modulus_bits = 3072        # optional, 2048 or 3072
///
/// [data]                     # names in each node's catalogue
/// train_a = "credit-train"
/// test_a = "credit-test"
/// train_b = "credit-train"
/// test_b = "credit-test"
///
/// [training]                 # optional, as is each of its keys
/// epochs = 2
/// batch_size = 256
/// learning_rate = 0.1
/// l2 = 0.0
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Free text for people, at most 128 characters.
    #[serde(default)]
    pub name: String,
    /// The data sets.
    pub data: DataSets,
    /// Hyper-parameters; what is absent takes the node's documented default.
    #[serde(default)]
    pub training: Training,
    /// Length of the Paillier modulus; absent means 3072 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus_bits: Option<ModulusBits>,
}

/// Names in the two nodes' catalogues.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataSets {
    /// Training rows at A.
    pub train_a: String,
    /// Test rows at A.
    pub test_a: String,
    /// Training rows at B.
    pub train_b: String,
    /// Test rows at B.
    pub test_b: String,
}

/// Hyper-parameters of mini-batch gradient descent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the training rows, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Rows a mini-batch, at least 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Step size, above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// L2 penalty, 0 or more; never on the intercept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
}

/// Length of the Paillier modulus. Below 2048 bits there is nothing to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModulusBits {
    /// About 112 bits of security.
    Bits2048,
    /// About 128 bits of security, the default.
    Bits3072,
}

impl ModulusBits {
    /// The number of bits.
    pub const fn get(self) -> u32 {
        match self {
            Self::Bits2048 => 2048,
            Self::Bits3072 => 3072,
        }
    }
}

impl TryFrom<u32> for ModulusBits {
    type Error = ConfigError;

    fn try_from(bits: u32) -> Result<Self, ConfigError> {
        match bits {
            2048 => Ok(Self::Bits2048),
            3072 => Ok(Self::Bits3072),
            _ => Err(ConfigError::job("modulus_bits", "must be 2048 or 3072")),
        }
    }
}

impl fmt::Display for ModulusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<'de> Deserialize<'de> for ModulusBits {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Self::try_from(u32::deserialize(input)?).map_err(de::Error::custom)
    }
}

impl Serialize for ModulusBits {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u32(self.get())
    }
}

impl JobSpec {
    /// A job on these data sets with every default.
    pub fn new(data: DataSets) -> Self {
        Self { name: String::new(), data, training: Training::default(), modulus_bits: None }
    }

    /// Parses and checks the text of a `job.toml`.
    ///
    /// # Errors
    /// [`ConfigError::Toml`] with line and column, or [`ConfigError::Job`] naming the setting.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let spec: Self = toml::from_str(text)
            .map_err(|e| ConfigError::Toml { file: None, detail: e.to_string() })?;
        spec.validate()?;
        Ok(spec)
    }

    /// Reads a `job.toml`.
    ///
    /// # Errors
    /// As [`JobSpec::from_toml`], and [`ConfigError::Unreadable`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
        Self::from_toml(&text).map_err(|e| e.in_file(path))
    }

    /// Checks what can be checked without a node; a node checks everything again.
    ///
    /// # Errors
    /// [`ConfigError::Job`] naming the setting.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.name.chars().count() > 128 {
            return Err(ConfigError::job("name", "must have at most 128 characters"));
        }
        let data = &self.data;
        for (key, name) in [
            ("data.train_a", &data.train_a),
            ("data.test_a", &data.test_a),
            ("data.train_b", &data.train_b),
            ("data.test_b", &data.test_b),
        ] {
            if name.is_empty() {
                return Err(ConfigError::job(key, "must name a data set of the node's catalogue"));
            }
        }
        let t = &self.training;
        if t.epochs == Some(0) {
            return Err(ConfigError::job("training.epochs", "must be 1 or more"));
        }
        if t.batch_size.is_some_and(|n| n < 64) {
            return Err(ConfigError::job("training.batch_size", "must be 64 or more"));
        }
        if t.learning_rate.is_some_and(|x| !(x.is_finite() && x > 0.0)) {
            return Err(ConfigError::job("training.learning_rate", "must be a number above 0"));
        }
        if t.l2.is_some_and(|x| !(x.is_finite() && x >= 0.0)) {
            return Err(ConfigError::job("training.l2", "must be a number of 0 or more"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, JobSpec, ModulusBits};

    const DATA: &str =
        "[data]\ntrain_a = \"ta\"\ntest_a = \"sa\"\ntrain_b = \"tb\"\ntest_b = \"sb\"\n";

    #[test]
    fn a_full_file_is_read_key_by_key() {
        let text = format!(
            "name = \"n\"\nmodulus_bits = 2048\n{DATA}[training]\nepochs = 3\nbatch_size = 64\n\
             learning_rate = 0.5\nl2 = 0.001\n"
        );
        let spec = JobSpec::from_toml(&text).unwrap();
        assert_eq!(spec.name, "n");
        assert_eq!(spec.modulus_bits, Some(ModulusBits::Bits2048));
        assert_eq!(spec.data.train_a, "ta");
        assert_eq!(spec.data.test_a, "sa");
        assert_eq!(spec.data.train_b, "tb");
        assert_eq!(spec.data.test_b, "sb");
        assert_eq!(spec.training.epochs, Some(3));
        assert_eq!(spec.training.batch_size, Some(64));
        assert_eq!(spec.training.learning_rate, Some(0.5));
        assert_eq!(spec.training.l2, Some(0.001));
        let again = JobSpec::from_toml(&toml::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn all_but_the_data_can_be_left_out() {
        let spec = JobSpec::from_toml(DATA).unwrap();
        assert_eq!(spec, JobSpec::new(spec.data.clone()));
    }

    #[test]
    fn unknown_keys_are_refused_and_named() {
        for text in [
            format!("speed = 1\n{DATA}"),
            format!("{DATA}speed = 1\n"),
            format!("{DATA}[training]\nspeed = 1\n"),
        ] {
            let error = JobSpec::from_toml(&text).unwrap_err();
            assert!(matches!(error, ConfigError::Toml { .. }), "{error:?}");
            assert!(error.to_string().contains("speed"), "{error}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_and_named() {
        let cases = [
            ("epochs = 0", "training.epochs"),
            ("batch_size = 63", "training.batch_size"),
            ("learning_rate = 0.0", "training.learning_rate"),
            ("learning_rate = nan", "training.learning_rate"),
            ("learning_rate = inf", "training.learning_rate"),
            ("l2 = -0.1", "training.l2"),
            ("l2 = nan", "training.l2"),
        ];
        for (line, key) in cases {
            let error = JobSpec::from_toml(&format!("{DATA}[training]\n{line}\n")).unwrap_err();
            assert!(error.to_string().contains(key), "{line}: {error}");
        }
        for bits in ["1024", "2047", "4096"] {
            let error = JobSpec::from_toml(&format!("modulus_bits = {bits}\n{DATA}")).unwrap_err();
            assert!(error.to_string().contains("2048 or 3072"), "{bits}: {error}");
        }
        let empty = DATA.replace("\"sb\"", "\"\"");
        assert!(JobSpec::from_toml(&empty).unwrap_err().to_string().contains("data.test_b"));
    }
}
