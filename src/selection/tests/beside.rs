//! Filters, budgets, duplicates and joins: what is known beside the scores decides too.

use polars::prelude::*;

use super::super::{check_columns, join, named_columns, select};
use super::{names, recipe, rows, terms};
use crate::recipe::Join;
use crate::seed::Seed;
use crate::{ErrorKind, Result};

/// Samples `a`, `b`, ...: the first has the highest score.
fn ids(n: usize) -> Vec<String> {
    (0..n).map(|i| char::from(b'a' + i as u8).to_string()).collect()
}

fn scores(n: usize) -> LazyFrame {
    let score: Vec<f32> = (0..n).map(|i| 1.0 - i as f32 / n as f32).collect();
    let labels: Vec<i32> = (0..n).map(|i| i as i32 % 2).collect();
    df!("id" => ids(n), "label" => labels, "fold" => vec![0; n], "model" => vec![0; n], "entropy" => score)
        .unwrap()
        .lazy()
}

/// The reason of each sample, in the order of ids.
fn reasons(
    toml: &str,
    n: usize,
    metadata: Option<DataFrame>,
    clusters: Option<DataFrame>,
) -> Result<Vec<String>> {
    let recipe = recipe(toml);
    let (classes, seed) = (names(2), Seed::new(0));
    let terms = super::Terms { metadata, clusters, ..terms(&recipe, &classes, &seed) };
    let table = select(&scores(n), &terms)?;
    Ok(rows(&table).into_iter().map(|row| row.reason).collect())
}

fn refusal(toml: &str, n: usize, metadata: Option<DataFrame>) -> (ErrorKind, String) {
    let error = reasons(toml, n, metadata, None).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn what_the_filter_refuses_is_never_kept_and_still_counts() {
    // In another order than the scores.
    let metadata = df!("id" => ["d", "c", "b", "a"], "licence" => [Some("mit"), Some("mit"), None, Some("gpl")]);
    let metadata = metadata.unwrap();
    let of = |toml: &str| reasons(toml, 4, Some(metadata.clone()), None);
    let got = of("keep = 0.5\nfilter = \"licence = 'mit'\"").unwrap();
    assert_eq!(got, ["filtered", "filtered", "kept", "kept"]);
    let got = of("keep = 0.25\nfilter = \"label = 'class 1' AND licence IS NOT NULL\"").unwrap();
    assert_eq!(got, ["filtered", "filtered", "filtered", "kept"]);
    let guarded =
        "keep = 0.25\ndrop_hardest = 0.25\nfilter = \"licence = 'mit' OR licence = 'gpl'\"";
    assert_eq!(of(guarded).unwrap(), ["noise-guard", "filtered", "kept", "below-cut"]);
    let (kind, says) =
        refusal("keep = 0.75\nfilter = \"licence = 'mit'\"", 4, Some(metadata.clone()));
    assert_eq!(kind, ErrorKind::InvalidRecipe);
    assert!(
        says.contains("3 of 4 samples are to be kept, but only 2 may be: select.filter refuses 2"),
        "{says}"
    );
    for (filter, wanted) in [
        (
            "licens = 'mit'",
            "names the column `licens`, which does not exist; the columns are id, licence, label; did you mean `licence`?",
        ),
        ("licence + 1", "select.filter `licence + 1`"),
        ("licence", "not true or false"),
        ("SUM(1) > 2", "one row at a time"),
        ("licence = ", "is no SQL condition"),
    ] {
        let (kind, says) =
            refusal(&format!("keep = 0.5\nfilter = \"{filter}\""), 4, Some(metadata.clone()));
        assert!(kind == ErrorKind::InvalidRecipe && says.contains(wanted), "{says}");
    }
}

#[test]
fn metadata_must_fit_the_samples() {
    let toml = "keep = 0.5\nfilter = 'x > 0'";
    let lost = df!("id" => ["a", "b"], "x" => [1, 2]).unwrap();
    let (kind, says) = refusal(toml, 4, Some(lost));
    assert!(
        kind == ErrorKind::InvalidInput && says.contains("no row for 2 samples, such as `c`, `d`"),
        "{says}"
    );
    let twice = df!("id" => ["a", "b", "c", "d", "b"], "x" => [1, 2, 3, 4, 5]).unwrap();
    let (_, says) = refusal(toml, 4, Some(twice));
    assert!(says.contains("more than one row for 1 samples, such as `b`"), "{says}");
}

#[test]
fn a_budget_buys_the_most_value_for_its_cost() {
    // Values 1, 0.75, 0.5, 0.25; per cost 0.1, 0.75, infinite, 0.125.
    let costs = df!("id" => ids(4), "tokens" => [10i64, 1, 0, 2]).unwrap();
    let of = |budget: &str| {
        reasons(
            &format!("budget = {{ column = 'tokens', {budget} }}"),
            4,
            Some(costs.clone()),
            None,
        )
    };
    assert_eq!(of("total = 3.0").unwrap(), ["budget", "kept", "kept", "kept"]);
    assert_eq!(of("total = 2.5").unwrap(), ["budget", "kept", "kept", "budget"]);
    assert_eq!(
        of("total = 11.0").unwrap(),
        ["budget", "kept", "kept", "kept"],
        "passes over what does not fit"
    );
    assert_eq!(of("total = 0.5").unwrap(), ["budget", "budget", "kept", "budget"]);
    assert_eq!(of("share = 1.0").unwrap(), ["kept"; 4]);
    assert_eq!(of("share = 0.5").unwrap(), ["budget", "kept", "kept", "kept"]);
    let small = df!("id" => ids(2), "tokens" => [5.5, 4.5]).unwrap();
    let (_, says) = refusal("budget = { column = 'tokens', total = 4.0 }", 2, Some(small));
    assert!(says.contains("buys no sample up to stage 1: the cheapest costs 4.5"), "{says}");
    let bad =
        df!("id" => ids(4), "tokens" => [Some(1.0), None, Some(f64::NAN), Some(-1.0)]).unwrap();
    let (kind, says) = refusal("budget = { column = 'tokens', share = 0.5 }", 4, Some(bad));
    assert!(
        kind == ErrorKind::InvalidInput
            && says.contains(
                "3 samples have no cost of 0 or more in the column `tokens`, such as `b`, `c`, `d`"
            ),
        "{says}"
    );
    let text = df!("id" => ids(2), "tokens" => ["1", "2"]).unwrap();
    let (_, says) = refusal("budget = { column = 'tokens', share = 0.5 }", 2, Some(text));
    assert!(says.contains("a cost is a number"), "{says}");
}

#[test]
fn rounding_does_not_eat_the_last_of_a_budget() {
    let tenths: Vec<f64> = (0..26).map(|i| 0.1 + 0.01 * f64::from(i)).collect();
    let costs = df!("id" => ids(26), "cost" => tenths).unwrap();
    let all = reasons("budget = { column = 'cost', share = 1.0 }", 26, Some(costs), None).unwrap();
    assert_eq!(all, ["kept"; 26]);
}

#[test]
fn one_of_a_cluster_stands_for_it() {
    let clusters = df!(
        "id" => ids(6),
        "cluster" => [Some("a"), None, Some("a"), Some("d"), Some("d"), Some("a")],
    )
    .unwrap();
    let of = |toml: &str| reasons(toml, 6, None, Some(clusters.clone()));
    let all = "keep_rows = 3\nduplicates = 'all'";
    assert_eq!(of(all).unwrap(), ["kept", "kept", "kept", "below-cut", "below-cut", "below-cut"]);
    let one = "keep_rows = 3\nduplicates = 'one'";
    assert_eq!(of(one).unwrap(), ["kept", "kept", "duplicate", "kept", "duplicate", "duplicate"]);
    // If the hardest is under the noise guard, the next one stands for the cluster.
    let guarded = "keep_rows = 3\nduplicates = 'one'\ndrop_hardest = 0.17";
    let got = of(guarded).unwrap();
    assert_eq!(got, ["noise-guard", "kept", "kept", "kept", "duplicate", "duplicate"]);
    let says = of("keep_rows = 4\nduplicates = 'one'").unwrap_err().to_string();
    assert!(says.contains("only 3 may be") && says.contains("select.duplicates 3"), "{says}");
}

fn joins(toml: &str) -> Vec<Join> {
    #[derive(serde::Deserialize)]
    struct Tables {
        join: Vec<Join>,
    }
    toml::from_str::<Tables>(toml).unwrap().join
}

#[test]
fn tables_join_on_the_id_and_say_what_is_missing() {
    let samples = df!("id" => ["1", "2", "3"], "x" => [7, 8, 9]).unwrap();
    let (one, two) = (
        df!("id" => [3i64, 1], "source" => ["web", "book"]).unwrap(),
        df!("key" => ["2", "1", "3", "9"], "y" => [2.0, 1.0, 3.0, 9.0], "z" => [1, 1, 1, 1])
            .unwrap(),
    );
    let spec =
        joins("[[join]]\nuri = 'a.csv'\n[[join]]\nuri = 'b.json'\non = 'key'\ncolumns = ['y']");
    let joined = join(samples.clone(), &spec, vec![one.clone(), two]).unwrap();
    let want = df!(
        "id" => ["1", "2", "3"], "x" => [7, 8, 9],
        "source" => [Some("book"), None, Some("web")], "y" => [1.0, 2.0, 3.0],
    )
    .unwrap();
    assert!(joined.table.equals_missing(&want), "{}", joined.table);
    assert_eq!(joined.missing, [1, 0]);
    assert_eq!(joined.notes, ["a.csv: it has no row for 1 samples, such as `2`"]);
    let refused = |toml: &str, table: &DataFrame| {
        join(samples.clone(), &joins(toml), vec![table.clone()]).unwrap_err().to_string()
    };
    let twice = df!("id" => [1, 2, 2, 3, 3, 3], "s" => [1; 6]).unwrap();
    let list = Series::new("l".into(), [Series::new("".into(), [1, 2])]);
    let lists = df!("id" => ["1"], "l" => list).unwrap();
    for (toml, table, says) in [
        ("missing = 'refuse'", &one, "a.csv: it has no row for 1 samples, such as `2`; add them"),
        (
            "",
            &twice,
            "2 ids have more than one row, such as `2`, `3`: joining would multiply samples",
        ),
        ("columns = ['sorce']", &one, "no column `sorce`; its columns are id, source"),
        ("on = 'key'", &one, "no column `key`"),
        ("", &df!("id" => ["1"], "x" => [1]).unwrap(), "the column `x` is there already"),
        ("", &df!("id" => ["1"], "label" => [1]).unwrap(), "the column `label` is there already"),
        ("", &df!("id" => [1.5], "s" => [1]).unwrap(), "of type f64; strings and integers"),
        ("", &df!("id" => [Some("1"), None], "s" => [1, 2]).unwrap(), "1 rows have no id"),
        ("", &lists, "its column `l` is of type list"),
    ] {
        let error = refused(&format!("[[join]]\nuri = 'a.csv'\n{toml}"), table);
        assert!(error.starts_with("a.csv: ") && error.contains(says), "{error}");
    }
}

#[test]
fn the_columns_that_a_selection_names_are_known_before_it_runs() {
    let recipe = recipe(
        "keep = 0.5\nfilter = \"a > 1 AND label = 'x'\"\nquota = [{ each = ['b', 'label'], min = 1 }]",
    );
    assert_eq!(named_columns(&recipe.select).unwrap(), ["a", "b"]);
    let columns = df!("id" => ["s"], "a" => [1], "b" => ["x"]).unwrap();
    check_columns(&recipe.select, &columns).unwrap();
    let error = check_columns(&recipe.select, &columns.drop("b").unwrap()).unwrap_err();
    assert!(error.to_string().contains("select.quota names the column `b`"), "{error}");
}
