//! What a client asks for, and the `job.toml` that says it.

use std::{fmt, path::Path};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ConfigError;

/// A training job. As a file:
///
/// ```toml
/// name = "credit default, joint model"
/// modulus_bits = 3072        # optional, 2048 or 3072
/// priority = 0               # optional, -100 to 100; higher is taken from the queue first
///
/// [data]                     # names in each node's catalogue
/// train_a = "credit-train"
/// test_a = "credit-test"
/// train_b = "credit-train"
/// test_b = "credit-test"
/// features_a = ["*", "!zip*"]    # optional: names with * and ?, the last that matches decides
/// features_b = ["income*"]
///
/// [training]                 # optional, as is each of its keys
/// epochs = 2
/// batch_size = 256
/// learning_rate = 0.1
/// schedule = "cosine"        # or "constant", "linear": to a sixteenth in the last epoch
/// l2 = 0.0
/// max_steps = 5000
/// max_train_seconds = 3600
/// whiten = true
/// class_weight = "balanced"  # or how much a positive row counts beside a negative one
/// sample_weights = true      # B's data set names a column of weights
/// validation = 0.2           # A's data set allows it
/// patience = 3
/// positive_class = "gold"    # optional: label 1 for this class of B's label column, 0 for others
/// ```
///
/// In place of `test_a` and `test_b` the training sets can be divided:
///
/// ```toml
/// [data.split]               # by a public hash of the id, alike on both sides
/// hash = { test = 0.25, salt = "2026" }
/// ```
///
/// ```toml
/// [data.split]               # by a column that one side has
/// side = "B"
/// column = "fold"
/// test = ["2024"]
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
    /// A queued job with a higher priority is taken first; −100 to 100.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(priority: &i32) -> bool {
    *priority == 0
}

/// Names in the two nodes' catalogues, and what is used of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataSets {
    /// Training rows at A.
    pub train_a: String,
    /// Test rows at A; empty with a `split`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_a: String,
    /// Training rows at B.
    pub train_b: String,
    /// Test rows at B; empty with a `split`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_b: String,
    /// Which of A's columns are used: names with `*` and `?`, `!` in front of what is left out; the last
    /// pattern that matches decides. None for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features_a: Vec<String>,
    /// Which of B's columns are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features_b: Vec<String>,
    /// How the training sets are divided where there are no test sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// How each side's training set is divided into training and test rows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Split {
    /// By a public hash of the id.
    Hash(ByHash),
    /// By the text in a column of one side; the other side's rows may be either.
    Column(ByColumn),
}

/// The key `hash` of `[data.split]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ByHash {
    /// Share and salt.
    pub hash: HashShare,
}

/// A share of the ids.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HashShare {
    /// Share of the test rows, above 0 and below 1.
    pub test: f64,
    /// Another salt is another division.
    #[serde(default)]
    pub salt: String,
}

/// The keys of `[data.split]` with a column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ByColumn {
    /// Whose column it is, `A` or `B`.
    pub side: String,
    /// Its name; it is no feature then.
    pub column: String,
    /// What stands in it at test rows.
    pub test: Vec<String>,
}

impl DataSets {
    fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem| Err(ConfigError::job(key, problem));
        for (key, name, is_test) in [
            ("data.train_a", &self.train_a, false),
            ("data.test_a", &self.test_a, true),
            ("data.train_b", &self.train_b, false),
            ("data.test_b", &self.test_b, true),
        ] {
            match (name.is_empty(), is_test && self.split.is_some()) {
                (true, false) => {
                    return wrong(key, "must name a data set of the node's catalogue");
                }
                (false, true) => return wrong(key, "must be left out where data.split is set"),
                _ => {}
            }
        }
        for (key, patterns) in
            [("data.features_a", &self.features_a), ("data.features_b", &self.features_b)]
        {
            if patterns.iter().any(String::is_empty) {
                return wrong(key, "has an empty pattern; `*` stands for all columns");
            }
        }
        match &self.split {
            Some(Split::Hash(ByHash { hash })) if !(hash.test > 0.0 && hash.test < 1.0) => {
                wrong("data.split.hash.test", "must be above 0 and below 1")
            }
            Some(Split::Column(by)) if !["A", "B"].contains(&by.side.as_str()) => {
                wrong("data.split.side", "must be \"A\" or \"B\"")
            }
            Some(Split::Column(by)) if by.column.is_empty() => {
                wrong("data.split.column", "must name a column")
            }
            Some(Split::Column(by)) if by.test.is_empty() => {
                wrong("data.split.test", "must have at least one value")
            }
            _ => Ok(()),
        }
    }

    /// Both nodes call their data sets the same.
    pub fn alike(train: &str, test: &str) -> Self {
        let [train_a, train_b] = [train, train].map(str::to_owned);
        let [test_a, test_b] = [test, test].map(str::to_owned);
        Self { train_a, test_a, train_b, test_b, ..Self::default() }
    }
}

/// Hyper-parameters of mini-batch gradient descent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Passes over the training rows, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Rows a mini-batch, at least 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Step size of the first epoch, above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How the step size falls.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// L2 penalty, 0 or more; never on the intercept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// Most mini-batches, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// Training ends with the epoch in which this time is over, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_train_seconds: Option<u32>,
    /// Each side makes its own standardised columns uncorrelated, so that fewer epochs are needed.
    #[serde(skip_serializing_if = "is_false")]
    pub whiten: bool,
    /// How much the classes count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<ClassWeight>,
    /// B's rows count as its data set's column of weights says.
    #[serde(skip_serializing_if = "is_false")]
    pub sample_weights: bool,
    /// Part of the common training rows that is set aside, 0.01 to 0.5. Their scores are opened to B after
    /// every epoch, which A's data set must allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Training ends when the KS of the validation rows has not risen for so many epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// The class in B's label column whose label is 1; all others are 0. Absent: labels are 0 and 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_class: Option<String>,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// How the step size falls from epoch to epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// Along a line, to a sixteenth in the last epoch.
    Linear,
    /// Along half a cosine, to a sixteenth in the last epoch.
    Cosine,
}

impl Schedule {
    /// The name in files and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
        }
    }

    // The signature is serde's.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_constant(&self) -> bool {
        *self == Self::Constant
    }
}

/// How much the classes count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassWeight {
    /// Both the same in sum; `"balanced"` in a file.
    Balanced,
    /// A positive row counts so many times a negative one; a number in a file.
    Positive(f64),
}

impl<'de> Deserialize<'de> for ClassWeight {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Word(String),
        }
        match Written::deserialize(input)? {
            Written::Number(times) => Ok(Self::Positive(times)),
            Written::Word(word) if word == "balanced" => Ok(Self::Balanced),
            Written::Word(_) => {
                Err(de::Error::custom("class_weight must be \"balanced\" or a number above 0"))
            }
        }
    }
}

impl Serialize for ClassWeight {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Balanced => out.serialize_str("balanced"),
            Self::Positive(times) => out.serialize_f64(*times),
        }
    }
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
        Self {
            name: String::new(),
            data,
            training: Training::default(),
            modulus_bits: None,
            priority: 0,
        }
    }

    /// The same job for one class against all others of B's label column; its name says so.
    ///
    /// # Errors
    /// [`ConfigError::Job`] if the class is empty or the name gets too long.
    pub fn for_class(&self, class: &str) -> Result<Self, ConfigError> {
        let mut spec = self.clone();
        spec.training.positive_class = Some(class.to_owned());
        let separator = if spec.name.is_empty() { "" } else { ": " };
        spec.name = format!("{}{separator}{class}", spec.name);
        spec.validate()?;
        Ok(spec)
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
        if !(-100..=100).contains(&self.priority) {
            return Err(ConfigError::job("priority", "must be -100 to 100"));
        }
        self.data.validate()?;
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
        for (key, value) in [
            ("training.max_steps", t.max_steps),
            ("training.max_train_seconds", t.max_train_seconds),
            ("training.patience", t.patience),
        ] {
            if value == Some(0) {
                return Err(ConfigError::job(key, "must be 1 or more"));
            }
        }
        if let Some(ClassWeight::Positive(times)) = t.class_weight
            && !(times.is_finite() && times > 0.0)
        {
            return Err(ConfigError::job("training.class_weight", "must be a number above 0"));
        }
        if t.validation.is_some_and(|part| !(0.01..=0.5).contains(&part)) {
            return Err(ConfigError::job("training.validation", "must be from 0.01 to 0.5"));
        }
        if t.patience.is_some() && t.validation.is_none() {
            return Err(ConfigError::job("training.patience", "needs training.validation"));
        }
        if t.positive_class.as_ref().is_some_and(|class| class.trim().is_empty()) {
            return Err(ConfigError::job("training.positive_class", "must not be empty"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ByColumn, ByHash, ClassWeight, ConfigError, HashShare, JobSpec, ModulusBits, Schedule,
        Split, Training,
    };

    const DATA: &str =
        "[data]\ntrain_a = \"ta\"\ntest_a = \"sa\"\ntrain_b = \"tb\"\ntest_b = \"sb\"\n";

    #[test]
    fn a_full_file_is_read_key_by_key() {
        let text = format!(
            "name = \"n\"\nmodulus_bits = 2048\npriority = 7\n{DATA}[training]\nepochs = 3\nbatch_size = 64\n\
             learning_rate = 0.5\nl2 = 0.001\nschedule = \"cosine\"\nmax_steps = 9\n\
             max_train_seconds = 60\nwhiten = true\nclass_weight = 2\nsample_weights = true\n\
             validation = 0.25\npatience = 4\n"
        );
        let spec = JobSpec::from_toml(&text).unwrap();
        assert_eq!(spec.name, "n");
        assert_eq!(spec.modulus_bits, Some(ModulusBits::Bits2048));
        assert_eq!(spec.priority, 7);
        assert_eq!(spec.data.train_a, "ta");
        assert_eq!(spec.data.test_a, "sa");
        assert_eq!(spec.data.train_b, "tb");
        assert_eq!(spec.data.test_b, "sb");
        let expected = Training {
            epochs: Some(3),
            batch_size: Some(64),
            learning_rate: Some(0.5),
            schedule: Schedule::Cosine,
            l2: Some(0.001),
            max_steps: Some(9),
            max_train_seconds: Some(60),
            whiten: true,
            class_weight: Some(ClassWeight::Positive(2.0)),
            sample_weights: true,
            validation: Some(0.25),
            patience: Some(4),
            positive_class: None,
        };
        assert_eq!(spec.training, expected);
        let again = JobSpec::from_toml(&toml::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn features_classes_and_divisions_are_read_and_written_again() {
        let with = |rest: &str| {
            let text = format!("[data]\ntrain_a = \"ta\"\ntrain_b = \"tb\"\n{rest}");
            let spec = JobSpec::from_toml(&text).unwrap_or_else(|e| panic!("{rest}: {e}"));
            assert_eq!(JobSpec::from_toml(&toml::to_string(&spec).unwrap()).unwrap(), spec);
            spec
        };
        let hash = with(
            "features_a = [\"*\", \"!zip*\"]\nfeatures_b = [\"x?\"]\n\
             [data.split]\nhash = { test = 0.25, salt = \"s\" }\n[training]\npositive_class = \"gold\"",
        );
        let share = HashShare { test: 0.25, salt: "s".to_owned() };
        assert_eq!(hash.data.split, Some(Split::Hash(ByHash { hash: share })));
        assert_eq!(hash.data.features_a, ["*", "!zip*"]);
        assert_eq!(hash.data.features_b, ["x?"]);
        assert_eq!(hash.training.positive_class.as_deref(), Some("gold"));
        let column = with("[data.split]\nside = \"B\"\ncolumn = \"fold\"\ntest = [\"2024\"]");
        let test = vec!["2024".to_owned()];
        let by = ByColumn { side: "B".to_owned(), column: "fold".to_owned(), test };
        assert_eq!(column.data.split, Some(Split::Column(by)));
    }

    #[test]
    fn one_against_the_rest_is_a_job_of_that_class_with_a_name_of_its_own() {
        let spec = JobSpec::from_toml(&format!("name = \"n\"\n{DATA}")).unwrap();
        let gold = spec.for_class("gold").unwrap();
        assert_eq!(
            (gold.name.as_str(), gold.training.positive_class.as_deref()),
            ("n: gold", Some("gold"))
        );
        assert_eq!(
            JobSpec { name: spec.name.clone(), training: spec.training.clone(), ..gold },
            spec
        );
        assert!(spec.for_class("").unwrap_err().to_string().contains("positive_class"));
        assert!(spec.for_class(&"x".repeat(128)).unwrap_err().to_string().contains("name"));
    }

    #[test]
    fn divisions_and_lists_that_say_nothing_are_refused_and_named() {
        let refused = |text: &str| JobSpec::from_toml(text).unwrap_err().to_string();
        let train = "[data]\ntrain_a = \"ta\"\ntrain_b = \"tb\"\n";
        assert!(refused(train).contains("data.test_a"));
        for (rest, key) in [
            ("hash = { test = 0.0 }", "split.hash.test"),
            ("hash = { test = 1.0 }", "split.hash.test"),
            ("hash = { test = nan }", "split.hash.test"),
            ("side = \"C\"\ncolumn = \"f\"\ntest = [\"1\"]", "split.side"),
            ("side = \"A\"\ncolumn = \"\"\ntest = [\"1\"]", "split.column"),
            ("side = \"A\"\ncolumn = \"f\"\ntest = []", "split.test"),
            ("speed = 1", "data"),
        ] {
            let message = refused(&format!("{train}[data.split]\n{rest}"));
            assert!(message.contains(key), "{rest}: {message}");
        }
        let both = format!("{DATA}[data.split]\nhash = {{ test = 0.5 }}");
        assert!(refused(&both).contains("data.test_a must be left out"), "{}", refused(&both));
        assert!(refused(&format!("{DATA}features_b = [\"\"]")).contains("features_b"));
        let class = format!("{DATA}[training]\npositive_class = \" \"");
        assert!(refused(&class).contains("positive_class"));
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
            ("max_steps = 0", "training.max_steps"),
            ("max_train_seconds = 0", "training.max_train_seconds"),
            ("class_weight = 0.0", "training.class_weight"),
            ("class_weight = \"even\"", "class_weight must be"),
            ("schedule = \"steep\"", "steep"),
            ("validation = 0.6", "training.validation"),
            ("validation = 0.2\npatience = 0", "training.patience"),
            ("patience = 2", "needs training.validation"),
        ];
        for (line, key) in cases {
            let error = JobSpec::from_toml(&format!("{DATA}[training]\n{line}\n")).unwrap_err();
            assert!(error.to_string().contains(key), "{line}: {error}");
        }
        for priority in [-101, 101] {
            let text = format!("priority = {priority}\n{DATA}");
            let error = JobSpec::from_toml(&text).unwrap_err();
            assert!(error.to_string().contains("priority"), "{priority}: {error}");
        }
        for bits in ["1024", "2047", "4096"] {
            let error = JobSpec::from_toml(&format!("modulus_bits = {bits}\n{DATA}")).unwrap_err();
            assert!(error.to_string().contains("2048 or 3072"), "{bits}: {error}");
        }
        let empty = DATA.replace("\"sb\"", "\"\"");
        assert!(JobSpec::from_toml(&empty).unwrap_err().to_string().contains("data.test_b"));
    }
}
