//! Gates: conditions that a pipeline must hold, such as `accuracy >= full - 0.5`.
//!
//! ```text
//! gate      = metric comparison target
//! comparison = ">=" | "<=" | ">" | "<"
//! target    = number | reference [("+" | "-") number]
//! ```

use serde::Serialize;

use crate::error::{Error, Result};

/// What rounding may take from two numbers that are meant to be equal.
const ROUNDING: f64 = 1e-9;

/// A condition on a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    text: String,
    metric: String,
    comparison: Comparison,
    /// What the number is added to; `None` for a number alone.
    reference: Option<String>,
    number: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// The longer sign first, or it would never be seen.
const SIGNS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// A gate and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gated {
    /// The gate as written.
    pub gate: String,
    /// Whether it holds.
    pub passed: bool,
    /// The numbers that decided.
    pub why: String,
}

impl Gate {
    /// Reads a gate on one of `metrics`, against a number or one of `references`.
    ///
    /// # Errors
    /// `InvalidRecipe` that says which part is wrong and what is possible.
    pub fn parse(text: &str, metrics: &[&str], references: &[&str]) -> Result<Self> {
        let wrong = |what: &str| Error::recipe(format!("gate `{text}`: {what}"));
        let (metric, comparison, target) = SIGNS
            .into_iter()
            .find_map(|(sign, comparison)| {
                let (metric, target) = text.split_once(sign)?;
                Some((metric.trim(), comparison, target.trim()))
            })
            .ok_or_else(|| wrong("there is no comparison; write >=, <=, > or <"))?;
        if !metrics.contains(&metric) {
            return Err(wrong(&format!(
                "`{metric}` is no metric; there are {}",
                metrics.join(", ")
            )));
        }
        let (name, number) = target_parts(target).ok_or_else(|| {
            let names = references.iter().map(|name| format!("{name} - 0.5"));
            let examples: Vec<String> = ["a number".to_owned()].into_iter().chain(names).collect();
            wrong(&format!("`{target}` is no target; write {}", examples.join(" or ")))
        })?;
        if name.is_some_and(|name| !references.contains(&name)) {
            let known = if references.is_empty() { "numbers only" } else { &references.join(", ") };
            return Err(wrong(&format!("`{target}` cannot be compared with; there are {known}")));
        }
        Ok(Self {
            text: text.to_owned(),
            metric: metric.to_owned(),
            comparison,
            reference: name.map(str::to_owned),
            number,
        })
    }

    /// The metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// What the number is added to, if it does not stand alone.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The number: of the target alone, or added to the reference.
    pub fn number(&self) -> f64 {
        self.number
    }

    /// Holds a value against the gate; `reference` is the value of [`Gate::reference`]. A value that is
    /// not known does not pass.
    pub fn check(&self, value: Option<f64>, reference: Option<f64>) -> Gated {
        let target = match &self.reference {
            Some(_) => reference.map(|reference| reference + self.number),
            None => Some(self.number),
        };
        let gated = |passed, why| Gated { gate: self.text.clone(), passed, why };
        let metric = &self.metric;
        let (Some(value), Some(target)) = (value, target) else {
            return gated(false, format!("{metric} is not known"));
        };
        let passed = match self.comparison {
            Comparison::AtLeast => value >= target - ROUNDING,
            Comparison::AtMost => value <= target + ROUNDING,
            Comparison::Above => value > target + ROUNDING,
            Comparison::Below => value < target - ROUNDING,
        };
        let of = match (&self.reference, reference) {
            (Some(name), Some(reference)) => format!(" ({name} {reference:.3} {:+})", self.number),
            _ => String::new(),
        };
        gated(passed, format!("{metric} is {value:.3}, the bound is {target:.3}{of}"))
    }
}

/// The name and the number of a target: `0.8`, `full`, `full - 0.5`.
fn target_parts(text: &str) -> Option<(Option<&str>, f64)> {
    let finite = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(number) = finite(text) {
        return Some((None, number));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = (&text[..end], text[end..].trim());
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match rest.split_at_checked(1) {
        _ if !is_name => None,
        _ if rest.is_empty() => Some((Some(name), 0.0)),
        // Not `- -1`: one sign says enough.
        Some(("+", number)) if number.trim().starts_with(|c: char| c.is_ascii_digit()) => {
            Some((Some(name), finite(number)?))
        }
        Some(("-", number)) if number.trim().starts_with(|c: char| c.is_ascii_digit()) => {
            Some((Some(name), -finite(number)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(text: &str) -> Result<Gate> {
        Gate::parse(text, &["accuracy", "ece"], &["full", "random_stratified"])
    }

    fn passes(text: &str, value: f64, reference: f64) -> bool {
        gate(text).unwrap().check(Some(value), Some(reference)).passed
    }

    #[test]
    fn a_gate_compares_with_a_number_or_a_reference() {
        assert!(passes("accuracy >= full - 0.5", 84.5, 85.0));
        assert!(!passes("accuracy >= full - 0.5", 84.4, 85.0));
        assert!(passes("accuracy>full", 85.1, 85.0) && !passes("accuracy > full", 85.0, 85.0));
        assert!(passes("ece <= random_stratified + 1", 5.9, 5.0));
        assert!(passes("ece < 5", 4.9, 99.0) && !passes("ece < 5", 5.0, 0.0));
        assert!(passes("accuracy >= -1", 0.0, 0.0));
        // 0.1 + 0.2 is not 0.3.
        assert!(passes("accuracy >= full + 0.2", 0.3, 0.1));
    }

    #[test]
    fn what_is_not_known_does_not_pass() {
        let gated = gate("accuracy >= full - 0.5").unwrap().check(Some(1.0), None);
        assert!(!gated.passed && gated.why.contains("not known"));
        assert!(!gate("ece <= 5").unwrap().check(None, None).passed);
        assert!(!gate("ece <= 5").unwrap().check(Some(f64::NAN), None).passed);
    }

    #[test]
    fn the_reason_has_the_numbers() {
        let gated = gate("accuracy >= full - 0.5").unwrap().check(Some(84.0), Some(85.0));
        assert_eq!(gated.why, "accuracy is 84.000, the bound is 84.500 (full 85.000 -0.5)");
        assert_eq!(gated.gate, "accuracy >= full - 0.5");
    }

    #[test]
    fn a_wrong_gate_says_which_part() {
        for (text, says) in [
            ("accuracy", "no comparison"),
            ("accuracy = 5", "no comparison"),
            ("acuracy >= 5", "`acuracy` is no metric; there are accuracy, ece"),
            ("accuracy >= ", "is no target"),
            ("accuracy >= full * 2", "`full * 2` is no target"),
            ("accuracy >= full - -2", "is no target"),
            ("accuracy >= full - x", "is no target"),
            ("accuracy >= nan", "cannot be compared with"),
            ("accuracy >= random", "there are full, random_stratified"),
        ] {
            let error = gate(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        let error = Gate::parse("pearson >= full", &["pearson"], &[]).unwrap_err();
        assert!(error.to_string().contains("numbers only"), "{error}");
    }
}
