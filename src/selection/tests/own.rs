//! Scores of one's own.

use polars::prelude::*;

use super::super::{check_scores, one_score, select};
use super::{names, recipe, terms};
use crate::recipe::{By, End, Own, Score};
use crate::seed::Seed;

fn spec(sql: &str) -> Score {
    let own = Own { name: "mine".to_owned(), sql: sql.to_owned(), keep: End::High };
    Score { own: vec![own], ..Score::default() }
}

/// Two models; `el2n` and `margin` of four samples.
fn scores() -> DataFrame {
    df!(
        "id" => ["a", "b", "c", "d", "a", "b", "c", "d"], "label" => [0; 8], "fold" => [0; 8],
        "model" => [0, 0, 0, 0, 1, 1, 1, 1],
        "el2n" => [0.0f32, 1.0, 2.0, 3.0, 0.0, 3.0, 2.0, 5.0],
        "margin" => [0.5f32, 0.5, 0.0, 1.0, 0.5, 0.5, 0.0, 1.0],
        "entropy" => [Some(1.0f32), None, Some(f32::NAN), Some(0.0), Some(1.0), None, Some(0.5), Some(0.0)],
    )
    .unwrap()
}

fn values(sql: &str) -> Vec<Option<f64>> {
    let by = By::Own("mine".to_owned());
    let shuffled = scores().sort(["el2n"], SortMultipleOptions::default()).unwrap();
    let table = one_score(shuffled.lazy(), &spec(sql), &by).unwrap();
    assert_eq!(table.get_column_names(), ["id", "label", "fold", "score"]);
    table["score"].f64().unwrap().iter().collect()
}

#[test]
fn own_scores_are_sql_over_aggregated_scores() {
    let some = |values: [f64; 4]| values.map(Some).to_vec();
    assert_eq!(values("el2n"), some([0.0, 2.0, 2.0, 4.0]));
    assert_eq!(values("2 * el2n - margin"), some([-0.5, 3.5, 4.0, 7.0]));
    // 1 is the end that is kept: of `margin` the low one. Ties share the mean of their ranks.
    assert_eq!(values("rank(el2n)"), some([0.0, 0.5, 0.5, 1.0]));
    assert_eq!(values("RANK( \"margin\" )"), some([0.5, 0.5, 1.0, 0.0]));
    assert_eq!(values("0.5 * rank(margin) + 0.5*rank(el2n)"), some([0.25, 0.5, 0.75, 0.5]));
    assert_eq!(values("CASE WHEN margin > 0.9 THEN 1 ELSE 0 END"), some([0.0, 0.0, 0.0, 1.0]));
    assert_eq!(values("el2n - AVG(el2n)"), some([-2.0, 0.0, 0.0, 2.0]));
    // What is missing stays missing, and what is not finite is.
    assert_eq!(values("entropy"), [Some(1.0), None, None, Some(0.0)]);
    assert_eq!(values("rank(entropy)"), [Some(1.0), None, None, Some(0.0)]);
    assert_eq!(values("1.0 / el2n"), [None, Some(0.5), Some(0.5), Some(0.25)]);
}

#[test]
fn own_scores_decide_like_any_other() {
    let mut recipe = recipe("keep_rows = 2\nby = 'mine'\nstages = 1");
    recipe.score = spec("rank(margin) + rank(el2n)");
    let (classes, seed) = (names(1), Seed::new(0));
    let kept = |recipe: &crate::recipe::Recipe| {
        let table = select(&scores().lazy(), &terms(recipe, &classes, &seed)).unwrap();
        let kept = table.filter(table["kept"].bool().unwrap()).unwrap();
        kept["id"].str().unwrap().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let high = kept(&recipe);
    assert!(high.contains(&"c".to_owned()) && !high.contains(&"a".to_owned()), "{high:?}");
    recipe.score.own[0].keep = End::Low;
    assert!(kept(&recipe).contains(&"a".to_owned()));
}

#[test]
fn wrong_expressions_are_told_before_anything_runs() {
    let check = |sql: &str| {
        let select = recipe("keep = 0.5\nby = 'mine'").select;
        check_scores(&spec(sql), &select)
    };
    check("0.7 * rank(margin) + 0.3 * rank(el2n)").unwrap();
    for (sql, says) in [
        ("margin +", "is no SQL expression"),
        ("margn * 2", "names the column `margn`, which does not exist"),
        ("grand * 2", "names the column `grand`, which does not exist"),
        ("rank(margn)", "ranks the column `margn`, which does not exist"),
        ("rank(margin + el2n)", "rank(x) takes one column"),
        ("rank(rank(margin))", "rank(x) takes one column"),
        ("margin > 0.5", "gives bool, not a number"),
        ("'text'", "gives"),
        ("AVG(margin)", "gives 1 values for 0 rows"),
        ("margin, el2n", "is no SQL expression"),
        ("", "is no SQL expression"),
    ] {
        let error = check(sql).unwrap_err().to_string();
        assert!(error.contains(says), "{sql}: {error}");
        assert!(error.contains("score.own `mine`"), "{error}");
        let columns = "the columns are entropy, margin, least_confidence, el2n, cross_entropy";
        assert!(error.contains(columns), "{error}");
    }
    let beta = recipe("keep = 0.5\nby = 'margin'\nstrategy = 'beta'").select;
    let error = check_scores(&Score::default(), &beta).unwrap_err();
    assert!(error.to_string().contains("of `margin` it is the low one"), "{error}");
}
