//! What the catalogue says about the columns of a table: kinds, missing values, scaling, encoding.

use std::collections::BTreeMap;

use mpc_core::matrix::{Encode, MAX_LEVELS, Missing, Recipe, Scale};
use serde::Deserialize;

/// Cells of a CSV that mean a missing value where the catalogue has no list of its own. White space around
/// a cell does not count.
pub const MISSING_VALUES: [&str; 7] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"];
/// Columns of a hashed column and levels of a one-hot column, at most.
const MOST_COLUMNS: u32 = 1 << 16;

/// `[datasets.schema.NAME]` and `[datasets.defaults]`; what is absent has a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSettings {
    /// Absent: numeric if all cells are numbers, else categorical.
    #[serde(rename = "type")]
    pub kind: Option<ColumnType>,
    /// What stands for a missing value; `indicator`.
    pub missing: Option<MissingRule>,
    /// Numeric: how numbers are scaled; `standardise`.
    pub scale: Option<ScaleRule>,
    /// Numeric: v becomes sign(v)·ln(1 + |v|), after `clip`; `false`.
    pub log: Option<bool>,
    /// Numeric: the range to which values are clipped first.
    pub clip: Option<[f64; 2]>,
    /// Categorical: the columns it becomes; `one-hot`.
    pub encode: Option<EncodeRule>,
    /// Categorical: more levels in training are refused where they are one-hot; 1024.
    pub max_levels: Option<u32>,
}

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Every cell is a finite number or missing; anything else is an error.
    Numeric,
    /// Cells are text.
    Categorical,
    /// The column is not read.
    Ignore,
}

/// `missing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingRule {
    /// Numeric: the mean, and an indicator. Categorical: a level of its own.
    Indicator,
    /// Numeric: the mean of the training rows.
    Mean,
    /// Numeric: their median.
    Median,
    /// Numeric: 0. Categorical: no level.
    Zero,
    /// There must be none.
    Refuse,
}

/// `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleRule {
    /// Mean 0 and standard deviation 1.
    Standardise,
    /// 0 to 1.
    MinMax,
    /// As they are.
    None,
}

/// `encode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncodeRule {
    /// A column a level.
    OneHot,
    /// So many columns, picked by a hash of the level.
    Hash(u32),
}

impl ColumnSettings {
    /// The kind that the settings name or imply.
    fn implied(&self) -> Option<ColumnType> {
        let numeric = self.scale.is_some()
            || self.log.is_some()
            || self.clip.is_some()
            || matches!(self.missing, Some(MissingRule::Mean | MissingRule::Median));
        let categorical = self.encode.is_some() || self.max_levels.is_some();
        match self.kind {
            None if numeric => Some(ColumnType::Numeric),
            None if categorical => Some(ColumnType::Categorical),
            given => given,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            kind: self.kind.or(other.kind),
            missing: self.missing.or(other.missing),
            scale: self.scale.or(other.scale),
            log: self.log.or(other.log),
            clip: self.clip.or(other.clip),
            encode: self.encode.or(other.encode),
            max_levels: self.max_levels.or(other.max_levels),
        }
    }

    fn recipe(self) -> Recipe {
        let default = Recipe::default();
        Recipe {
            missing: match self.missing {
                None | Some(MissingRule::Indicator) => Missing::Indicator,
                Some(MissingRule::Mean) => Missing::Mean,
                Some(MissingRule::Median) => Missing::Median,
                Some(MissingRule::Zero) => Missing::Zero,
                Some(MissingRule::Refuse) => Missing::Refuse,
            },
            clip: self.clip,
            log: self.log.unwrap_or(false),
            scale: match self.scale {
                None | Some(ScaleRule::Standardise) => Scale::Standardise,
                Some(ScaleRule::MinMax) => Scale::MinMax,
                Some(ScaleRule::None) => Scale::None,
            },
            encode: match self.encode {
                None | Some(EncodeRule::OneHot) => default.encode,
                Some(EncodeRule::Hash(columns)) => Encode::Hash(columns),
            },
            max_levels: self.max_levels.unwrap_or(MAX_LEVELS),
        }
    }

    /// What is wrong with the values themselves.
    fn problem(&self) -> Option<&'static str> {
        if self.clip.is_some_and(|[low, high]| !(low.is_finite() && high.is_finite() && low < high))
        {
            return Some("`clip` is two numbers, the lower first");
        }
        if let Some(EncodeRule::Hash(columns)) = self.encode
            && !(2..=MOST_COLUMNS).contains(&columns)
        {
            return Some("`encode.hash` is 2 to 65536");
        }
        if self.max_levels.is_some_and(|levels| !(1..=MOST_COLUMNS).contains(&levels)) {
            return Some("`max_levels` is 1 to 65536");
        }
        None
    }

    /// What contradicts the kind of the column.
    fn contradiction(&self) -> Option<&'static str> {
        let numeric = self.scale.is_some() || self.log.is_some() || self.clip.is_some();
        let mean = matches!(self.missing, Some(MissingRule::Mean | MissingRule::Median));
        let categorical = self.encode.is_some() || self.max_levels.is_some();
        match self.implied() {
            Some(ColumnType::Numeric) if categorical => {
                Some("`encode` and `max_levels` are for categorical columns")
            }
            Some(ColumnType::Categorical) if numeric || mean => Some(
                "`scale`, `log`, `clip` and the missing values `mean` and `median` are for numeric columns",
            ),
            Some(ColumnType::Ignore) if *self != Self { kind: self.kind, ..Self::default() } => {
                Some("a column that is ignored has no other setting")
            }
            _ => None,
        }
    }
}

/// Everything that the catalogue says about the columns of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Of single columns.
    pub columns: BTreeMap<String, ColumnSettings>,
    /// Of all others, as far as their kind has a use for them; without `type`.
    pub defaults: ColumnSettings,
    /// Cells of a CSV that mean a missing value, instead of [`MISSING_VALUES`].
    pub missing_values: Option<Vec<String>>,
}

impl Schema {
    /// The first contradiction: the setting, and what is wrong with it.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        if self.defaults.kind.is_some() {
            return Some(("defaults".to_owned(), "`type` is for single columns"));
        }
        if let Some(problem) = self.defaults.problem() {
            return Some(("defaults".to_owned(), problem));
        }
        self.columns.iter().find_map(|(name, settings)| {
            let problem = settings.problem().or_else(|| settings.contradiction())?;
            Some((format!("schema.{name}"), problem))
        })
    }

    /// The kind that is set or implied for a column; `None` if its cells are to tell.
    pub(super) fn kind(&self, column: &str) -> Option<ColumnType> {
        self.columns.get(column)?.implied()
    }

    /// How a column becomes numbers.
    pub(super) fn recipe(&self, column: &str) -> Recipe {
        self.columns.get(column).copied().unwrap_or_default().or(self.defaults).recipe()
    }

    /// Whether a cell of a CSV means that the value is missing.
    pub(super) fn is_missing(&self, cell: &str) -> bool {
        let cell = cell.trim_ascii();
        match &self.missing_values {
            Some(values) => values.iter().any(|value| value == cell),
            None => cell.len() <= 4 && MISSING_VALUES.contains(&cell),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(text: &str) -> ColumnSettings {
        toml::from_str(text).unwrap()
    }

    fn schema(text: &str) -> Schema {
        Schema { columns: [("c".to_owned(), column(text))].into(), ..Schema::default() }
    }

    #[test]
    fn every_key_reads_and_reaches_the_recipe() {
        let numeric =
            schema("missing = \"median\"\nscale = \"min-max\"\nlog = true\nclip = [0, 1e6]");
        assert_eq!(numeric.problem(), None);
        assert_eq!(numeric.kind("c"), Some(ColumnType::Numeric));
        let wanted = Recipe {
            missing: Missing::Median,
            scale: Scale::MinMax,
            log: true,
            clip: Some([0.0, 1e6]),
            ..Recipe::default()
        };
        assert_eq!(numeric.recipe("c"), wanted);
        let hashed = schema("missing = \"zero\"\nencode = { hash = 256 }");
        assert_eq!(hashed.kind("c"), Some(ColumnType::Categorical));
        assert_eq!(hashed.recipe("c").encode, Encode::Hash(256));
        assert_eq!(hashed.recipe("c").missing, Missing::Zero);
        let levels = schema("encode = \"one-hot\"\nmax_levels = 9");
        assert_eq!((levels.recipe("c").encode, levels.recipe("c").max_levels), (Encode::OneHot, 9));
        assert_eq!(levels.recipe("other"), Recipe::default());
        assert_eq!(schema("missing = \"refuse\"").kind("c"), None);
    }

    #[test]
    fn defaults_fill_in_what_a_column_does_not_say() {
        let defaults = column("missing = \"mean\"\nscale = \"none\"\nmax_levels = 5");
        let schema = Schema { defaults, ..schema("scale = \"min-max\"") };
        assert_eq!(schema.problem(), None);
        assert_eq!(schema.recipe("c").scale, Scale::MinMax);
        assert_eq!(schema.recipe("c").missing, Missing::Mean);
        assert_eq!(schema.recipe("other").scale, Scale::None);
        assert_eq!(schema.kind("other"), None, "a default decides no kind");
    }

    #[test]
    fn contradictions_are_found() {
        for text in [
            "clip = [1, 1]",
            "clip = [2, 1]",
            "clip = [nan, 1]",
            "clip = [0, inf]",
            "encode = { hash = 1 }",
            "encode = { hash = 65537 }",
            "max_levels = 0",
            "type = \"categorical\"\nlog = true",
            "type = \"categorical\"\nmissing = \"mean\"",
            "type = \"numeric\"\nencode = \"one-hot\"",
            "log = true\nencode = \"one-hot\"",
            "type = \"ignore\"\nlog = false",
        ] {
            let (setting, _) = schema(text).problem().expect(text);
            assert_eq!(setting, "schema.c", "{text}");
        }
        let defaults = column("type = \"numeric\"");
        assert!(Schema { defaults, ..Schema::default() }.problem().is_some());
        for text in
            ["speed = 1", "missing = \"average\"", "scale = \"min_max\"", "encode = \"hash\""]
        {
            assert!(toml::from_str::<ColumnSettings>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_list_of_missing_cells_can_be_another() {
        let plain = Schema::default();
        for cell in ["", " ", "NA", " NaN ", "null"] {
            assert!(plain.is_missing(cell), "{cell:?}");
        }
        for cell in ["0", "na", "none", "-999", "?"] {
            assert!(!plain.is_missing(cell), "{cell:?}");
        }
        let own = Schema { missing_values: Some(vec!["-999".to_owned()]), ..plain };
        assert!(own.is_missing(" -999") && !own.is_missing("NA") && !own.is_missing(""));
    }
}
