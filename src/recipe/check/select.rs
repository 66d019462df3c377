//! The laws of `[select]`, `[[join]]` and `score.own`: what is kept, and what may decide it.

use std::collections::BTreeSet;

use super::super::address;
use super::super::suggest::nearest;
use super::super::types::{
    Amount, By, CellQuota, Classes, Join, Method, Mode, Recipe, Select, Stages, Strategy,
};
use super::{Laws, ROUNDING, distinct};

/// All of them.
pub(super) fn laws(laws: &mut Laws, recipe: &Recipe) {
    let select = &recipe.select;
    own(laws, recipe);
    keep(laws, select);
    classes(laws, select);
    strategy(laws, recipe);
    stages(laws, recipe);
    budget(laws, select);
    select.quota.iter().for_each(|cells| quota(laws, cells));
    recipe.join.iter().for_each(|table| join(laws, table));
}

fn own(laws: &mut Laws, recipe: &Recipe) {
    let own = &recipe.score.own;
    let names: Vec<&str> = own.iter().map(|own| own.name.as_str()).collect();
    laws.hold(distinct(&names), &["score.own"], "`score.own` has two scores of one name");
    let clash = names.iter().find(|name| Method::ALL.iter().any(|m| m.name() == **name));
    let clash = clash.copied().unwrap_or_default();
    laws.hold(
        clash.is_empty(),
        &["score.own"],
        format!("`score.own` has a score named `{clash}`, which is a method; give it another name"),
    );
    let By::Own(by) = &recipe.select.by else { return };
    let known = Method::ALL.iter().map(|method| method.name()).chain(names.iter().copied());
    let hint = match nearest(by, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a method, or say in `score.own` how it is computed and which end is kept"
            .to_owned(),
    };
    laws.hold(
        names.contains(&by.as_str()),
        &["select.by"],
        format!("`select.by` is `{by}`, which is no score; {hint}"),
    );
}

fn keep(laws: &mut Laws, select: &Select) {
    let amounts = [
        ("keep", select.keep.is_some()),
        ("prune", select.prune.is_some()),
        ("keep_rows", select.keep_rows.is_some()),
        ("budget", select.budget.is_some()),
    ];
    let given: Vec<&str> = amounts.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    laws.hold(
        !given.is_empty(),
        &["select.keep"],
        "[select] needs `keep` or `prune` (a share), `keep_rows` (a number) or `budget`",
    );
    laws.hold(
        given.len() < 2,
        match given.get(1) {
            Some(&"prune") => &["select.prune"],
            Some(&"budget") => &["select.budget"],
            _ => &["select.keep_rows", "select.keep"],
        },
        format!("[select] has `{}`; give one of them", given.join("` and `")),
    );
    let keep = select.keep_share().unwrap_or(0.0);
    let asks = if select.prune.is_some() { "1 - `select.prune`" } else { "`select.keep`" };
    laws.hold(
        keep + select.drop_hardest <= 1.0 + ROUNDING,
        &["select.drop_hardest", "select.keep", "select.prune"],
        format!(
            "`select.drop_hardest` ({}) leaves less than {asks} ({keep}) asks for",
            select.drop_hardest
        ),
    );
}

fn classes(laws: &mut Laws, select: &Select) {
    laws.hold(
        !crossed(select.floor, select.cap),
        &["select.floor", "select.cap"],
        "`select.floor` is above `select.cap`: no class can keep both",
    );
    let Some(target) = &select.target else { return };
    let sum: f64 = target.values().sum();
    laws.hold(
        (sum - 1.0).abs() <= ROUNDING,
        &["select.target"],
        format!("the shares in `select.target` sum to {sum}, but must sum to 1"),
    );
    laws.hold(
        select.floor.is_none() && select.cap.is_none() && select.classes == Classes::Global,
        &["select.target", "select.classes", "select.floor", "select.cap"],
        "`select.target` says what every class keeps: drop it, or `select.classes`, `floor` and `cap`",
    );
}

fn crossed(least: Option<Amount>, most: Option<Amount>) -> bool {
    match (least, most) {
        (Some(Amount::Rows(least)), Some(Amount::Rows(most))) => least > most,
        (Some(Amount::Share(least)), Some(Amount::Share(most))) => least > most,
        _ => false,
    }
}

fn strategy(laws: &mut Laws, recipe: &Recipe) {
    let select = &recipe.select;
    laws.hold(
        select.strategy != Strategy::Auto || recipe.judge.is_on(),
        &["select.strategy", "judge.seeds"],
        "the strategy `auto` lets the judge choose, but `judge.seeds` is 0: give it seeds, or name a strategy",
    );
    let bound = select.floor.is_some() || select.cap.is_some() || select.target.is_some();
    let alone = matches!(select.classes, Classes::Global | Classes::Proportional) && !bound;
    laws.hold(
        select.strategy != Strategy::RandomStratified || alone,
        &["select.strategy", "select.classes", "select.floor", "select.cap", "select.target"],
        "`random_stratified` says what every class keeps: its share; use `random` with other rules for classes",
    );
}

fn stages(laws: &mut Laws, recipe: &Recipe) {
    let select = &recipe.select;
    let count = match &select.stages {
        Stages::Equal(count) => *count,
        Stages::Shares(shares) => {
            shares_hold(laws, select, shares);
            shares.len()
        }
    };
    laws.hold(
        recipe.mode == Mode::Unseen || count == 1,
        &["select.stages", "mode"],
        "mode `fitting` selects in one stage; set `select.stages` to 1 or leave it out",
    );
    laws.hold(
        select.keep_rows.is_none_or(|rows| rows >= count as u64),
        &["select.keep_rows", "select.stages"],
        format!(
            "each of the {count} stages adds a row, so `select.keep_rows` must be at least {count}"
        ),
    );
}

fn shares_hold(laws: &mut Laws, select: &Select, shares: &[f64]) {
    laws.hold(
        shares.iter().all(|share| *share > 0.0),
        &["select.stages"],
        "each share in `select.stages` must be more than 0",
    );
    let budget = select.budget.as_ref();
    let (whole, name) = match (budget, select.prune) {
        (Some(budget), _) => (budget.share, "select.budget.share"),
        (None, Some(_)) => (select.keep_share(), "1 - select.prune"),
        (None, None) => (select.keep, "select.keep"),
    };
    laws.hold(
        whole.is_some(),
        &["select.stages"],
        if budget.is_some() {
            "`select.stages` as shares needs `select.budget.share`; with `total`, give a number"
        } else {
            "`select.stages` as shares needs `select.keep`; with `keep_rows`, give a number"
        },
    );
    let (sum, whole) = (shares.iter().sum::<f64>(), whole);
    laws.hold(
        whole.is_none_or(|whole| (sum - whole).abs() <= ROUNDING),
        &["select.stages", "select.keep", "select.prune", "select.budget"],
        format!("`select.stages` sums to {sum}, but `{name}` is {}", whole.unwrap_or_default()),
    );
}

fn budget(laws: &mut Laws, select: &Select) {
    let Some(budget) = &select.budget else { return };
    laws.hold(
        budget.total.is_some() != budget.share.is_some(),
        &["select.budget"],
        "`select.budget` takes either `total` or `share`",
    );
    laws.hold(
        matches!(select.strategy, Strategy::Top | Strategy::Auto),
        &["select.strategy", "select.budget"],
        "`select.budget` buys what is wanted most for its cost; it goes with the strategies `top` and `auto` alone",
    );
    let bound = select.floor.is_some() || select.cap.is_some() || select.target.is_some();
    laws.hold(
        select.classes == Classes::Global && !bound && select.quota.is_empty(),
        &[
            "select.budget",
            "select.classes",
            "select.floor",
            "select.cap",
            "select.target",
            "select.quota",
        ],
        "with `select.budget` the number of samples is open, so `classes`, `floor`, `cap`, `target` and `quota` cannot hold; drop them, or keep a share",
    );
}

fn quota(laws: &mut Laws, cells: &CellQuota) {
    let key: &'static [&'static str] = &["select.quota"];
    laws.hold(
        cells.is.is_some() != cells.each.is_some(),
        key,
        "a `select.quota` speaks of one cell (`is`) or of every cell of some columns (`each`)",
    );
    let columns: Vec<&str> = cells.columns().collect();
    laws.hold(distinct(&columns), key, "a `select.quota` names a column twice");
    let bounds = [cells.min.is_some(), cells.max.is_some()];
    let of_kept = [cells.min_of_kept.is_some(), cells.max_of_kept.is_some()];
    laws.hold(
        bounds.into_iter().chain(of_kept).any(|given| given),
        key,
        "a `select.quota` needs `min`, `max`, `min_of_kept` or `max_of_kept`",
    );
    let shares = cells.min_of_kept.zip(cells.max_of_kept).is_some_and(|(min, max)| min > max);
    laws.hold(
        !shares && !crossed(cells.min, cells.max),
        key,
        "a `select.quota` asks for more than it allows: its minimum is above its maximum",
    );
}

fn join(laws: &mut Laws, table: &Join) {
    let key: &'static [&'static str] = &["join"];
    if let Err(why) = address::parse(&table.uri) {
        laws.hold(false, key, format!("`join.uri` {why}"));
    }
    laws.hold(
        table.format().is_some(),
        key,
        "a [[join]] is a table in one file: its `uri` ends in .parquet, .csv, .json, .jsonl or .ndjson",
    );
    let Some(columns) = &table.columns else { return };
    let taken: BTreeSet<&str> = BTreeSet::from(["id", "label", table.on.as_str()]);
    laws.hold(
        distinct(columns) && !columns.iter().any(|name| taken.contains(name.as_str())),
        key,
        "`join.columns` names a column twice, or one of `id`, `label` and the column with ids",
    );
}
