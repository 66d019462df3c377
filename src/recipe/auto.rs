//! What `select.strategy = "auto"` chooses from: selections that differ in how they use the scores.

use std::fmt::Write as _;

use super::types::{Classes, Copies, Select, Stages, Strategy};

impl Select {
    /// The selections that `auto` tries on `rows` usable samples, the simplest reading of the scores
    /// first, the random one last. None of them contradicts this one: rules for classes and a noise guard
    /// that it gives hold for all. Where every sample is kept there is nothing to try: the random one alone.
    ///
    /// 1. the most wanted, in the given stages; 2. in one stage; 3. each class its share;
    /// 4. strata (CCS); 5. strata without the hardest; 6. half of them at random; 7. all at random.
    pub fn candidates(&self, rows: u64) -> Vec<Self> {
        let of = |strategy| Self { strategy, ..self.clone() };
        let once = |strategy| Self { stages: Stages::Equal(1), ..of(strategy) };
        if self.keeps_all(rows) {
            return vec![once(self.random())];
        }
        let mut all = vec![of(Strategy::Top), once(Strategy::Top)];
        // With a budget the law allows nothing else.
        if self.budget.is_none() {
            if self.classes == Classes::Global && !self.bounds_classes() {
                all.push(Self { classes: Classes::Proportional, ..of(Strategy::Top) });
            }
            all.push(once(Strategy::Strata));
            if self.drop_hardest == 0.0 && !self.leaves_out() {
                let drop_hardest = cut_off(self.prune_share(rows));
                all.push(Self { drop_hardest, ..once(Strategy::Strata) });
            }
            all.push(of(Strategy::Mixed));
            all.push(once(self.random()));
        }
        let mut different: Vec<Self> = Vec::new();
        for one in all {
            if !different.contains(&one) {
                different.push(one);
            }
        }
        different
    }

    /// Whether it looks at no score.
    pub fn is_random(&self) -> bool {
        matches!(self.strategy, Strategy::Random | Strategy::RandomStratified)
    }

    /// The strategy with what sets candidates apart, for people: `strata with cut-off 0.1`.
    pub fn in_words(&self) -> String {
        let stages = match &self.stages {
            Stages::Equal(number) => *number,
            Stages::Shares(shares) => shares.len(),
        };
        let mut words = self.strategy.name().to_owned();
        if self.drop_hardest > 0.0 {
            let _ = write!(words, " with cut-off {}", self.drop_hardest);
        }
        if self.classes == Classes::Proportional && self.strategy != Strategy::RandomStratified {
            words.push_str(", each class its share");
        }
        if stages > 1 { format!("{words}, in {stages} stages") } else { words }
    }

    fn bounds_classes(&self) -> bool {
        self.floor.is_some()
            || self.cap.is_some()
            || self.target.is_some()
            || !self.quota.is_empty()
    }

    /// Whether something may leave too few samples once the hardest are dropped.
    fn leaves_out(&self) -> bool {
        self.bounds_classes() || self.filter.is_some() || self.duplicates != Copies::All
    }

    /// The random strategy that goes with the rules for classes.
    fn random(&self) -> Strategy {
        let open = matches!(self.classes, Classes::Global | Classes::Proportional);
        if open && !self.bounds_classes() { Strategy::RandomStratified } else { Strategy::Random }
    }

    /// Whether none of `rows` usable samples is left out.
    fn keeps_all(&self, rows: u64) -> bool {
        self.budget.is_none() && self.prune_share(rows) * (rows as f64) < 0.5
    }

    /// The share of `rows` usable samples that is not kept.
    fn prune_share(&self, rows: u64) -> f64 {
        let kept = self.keep_rows.map(|kept| kept as f64 / rows.max(1) as f64);
        1.0 - self.keep_share().or(kept).unwrap_or(1.0).min(1.0)
    }
}

/// The share of the hardest that strata leave out at a prune rate: `0.4 r²`, to two digits. It lies between
/// what CCS used for CIFAR-10 (0, 0, 0.1, 0.1, 0.3 at 30, 50, 70, 80, 90 %) and for CIFAR-100 (0.1, 0.2,
/// 0.2, 0.4, 0.5), near that for ImageNet (0, 0.1, 0.2, 0.2, 0.3), and is never above the rate.
fn cut_off(prune: f64) -> f64 {
    (40.0 * prune * prune).round() / 100.0
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "rounded values are exact")]
mod tests {
    use super::*;
    use crate::recipe::{Recipe, parse};

    fn recipe(select: &str) -> Recipe {
        let text = format!(
            "data = {{uri = 'a', image = 'i'}}\noutput.uri = 'b'\n[select]\nstrategy = 'auto'\n{select}"
        );
        parse(&text, "auto", &[]).unwrap()
    }

    fn names(select: &str) -> Vec<String> {
        let recipe = recipe(select);
        let all = recipe.select.candidates(1000);
        for select in &all {
            // Each is a recipe of its own.
            Recipe { select: select.clone(), ..recipe.clone() }.check().unwrap();
        }
        all.iter().map(Select::in_words).collect()
    }

    #[test]
    fn candidates_range_from_the_scores_to_chance() {
        assert_eq!(
            names("keep = 0.5"),
            [
                "top, in 3 stages",
                "top",
                "top, each class its share, in 3 stages",
                "strata",
                "strata with cut-off 0.1",
                "mixed, in 3 stages",
                "random_stratified"
            ]
        );
        assert_eq!(names("keep_rows = 500"), names("keep = 0.5"));
        let all = recipe("keep = 0.5").select.candidates(1000);
        assert_eq!(all.iter().map(Select::is_random).collect::<Vec<_>>()[5..], [false, true]);
    }

    #[test]
    fn none_says_what_the_recipe_says_otherwise_and_none_comes_twice() {
        assert_eq!(
            names("keep = 0.5\nstages = 1"),
            [
                "top",
                "top, each class its share",
                "strata",
                "strata with cut-off 0.1",
                "mixed",
                "random_stratified"
            ]
        );
        assert_eq!(
            names("keep = 0.5\nstages = 1\nclasses = 'uniform'"),
            ["top", "strata", "strata with cut-off 0.1", "mixed", "random"]
        );
        assert_eq!(
            names("keep = 0.5\nstages = 1\ncap = 0.6"),
            ["top", "strata", "mixed", "random"]
        );
        assert_eq!(
            names("keep = 0.5\nstages = 1\ndrop_hardest = 0.2"),
            [
                "top with cut-off 0.2",
                "top with cut-off 0.2, each class its share",
                "strata with cut-off 0.2",
                "mixed with cut-off 0.2",
                "random_stratified with cut-off 0.2"
            ]
        );
        assert_eq!(
            names("budget = { column = 'bytes', share = 0.5 }"),
            ["top, in 3 stages", "top"]
        );
    }

    #[test]
    fn nothing_is_tried_where_every_sample_is_kept() {
        assert_eq!(names("keep = 1.0"), ["random_stratified"]);
        assert_eq!(names("keep_rows = 1000"), ["random_stratified"]);
        assert_eq!(names("keep = 0.9999\nclasses = 'uniform'"), ["random"]);
        // A cut-off of 0 is none.
        assert_eq!(names("keep_rows = 999").len(), 6);
    }

    #[test]
    fn the_cut_off_grows_with_the_prune_rate_and_stays_below_it() {
        assert_eq!([0.3, 0.5, 0.7, 0.8, 0.9].map(cut_off), [0.04, 0.1, 0.2, 0.26, 0.32]);
        assert!((0..=100).map(|i| f64::from(i) / 100.0).all(|rate| cut_off(rate) <= rate));
    }
}
