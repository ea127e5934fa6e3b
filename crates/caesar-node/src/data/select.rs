//! A job's list of features: names with `*` and `?`, and exclusions.

use wildmatch::WildMatch;

/// Which columns a job uses. The last pattern that matches a name decides; `!` in front of a pattern leaves
/// out what it matches. A name that none matches is used only if all patterns are exclusions.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    patterns: Vec<(bool, WildMatch)>,
    otherwise: bool,
}

impl Selection {
    /// No pattern selects everything.
    pub(super) fn new(patterns: &[String]) -> Self {
        let read = |pattern: &String| match pattern.strip_prefix('!') {
            Some(excluded) => (false, WildMatch::new(excluded)),
            None => (true, WildMatch::new(pattern)),
        };
        let patterns: Vec<(bool, WildMatch)> = patterns.iter().map(read).collect();
        let otherwise = patterns.iter().all(|(included, _)| !included);
        Self { patterns, otherwise }
    }

    pub(super) fn includes(&self, column: &str) -> bool {
        let last = self.patterns.iter().rfind(|(_, pattern)| pattern.matches(column));
        last.map_or(self.otherwise, |(included, _)| *included)
    }
}

#[cfg(test)]
mod tests {
    use super::Selection;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let columns = ["age", "zip", "zip4", "income", "in?ome"];
        let selected = |patterns: &[&str]| -> Vec<&str> {
            let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
            let selection = Selection::new(&patterns);
            columns.into_iter().filter(|column| selection.includes(column)).collect()
        };
        assert_eq!(selected(&[]), columns);
        assert_eq!(selected(&["*", "!zip*"]), ["age", "income", "in?ome"]);
        assert_eq!(selected(&["!zip*"]), ["age", "income", "in?ome"]);
        assert_eq!(selected(&["!zip*", "zip4"]), ["zip4"]);
        assert_eq!(selected(&["in?ome", "age"]), ["age", "income", "in?ome"]);
        assert_eq!(selected(&["*", "!*", "age"]), ["age"]);
        assert_eq!(selected(&["AGE", "z"]), Vec::<&str>::new(), "whole names, case counts");
    }
}
