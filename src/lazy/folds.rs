//! Folds, as expressions.

use polars::prelude::*;

use crate::folds;
use crate::recipe::{Duplicates, Folds};
use crate::seed::Seed;
use crate::selection::{labels, unfit, whole};

/// The fold, from 0 to `k` - 1, of each id, an `i32` named `fold`: the keyed hash of the id modulo `k`, as
/// a run with `folds.by = "hash"` and this seed has it. It depends on nothing but the id, so appended rows
/// move no other. `id` holds strings; null stays null.
///
/// ```
/// # use polars::prelude::*;
/// use unseen::lazy::fold;
/// use unseen::seed::Seed;
///
/// let folds = |ids: &[&str]| -> PolarsResult<Vec<Option<i32>>> {
///     let table = df!("id" => ids)?.lazy().select([fold(col("id"), 4, &Seed::new(0))]);
///     Ok(table.collect()?.column("fold")?.i32()?.to_vec())
/// };
/// assert_eq!(folds(&["a", "b", "c"])?, folds(&["a", "b"])?.into_iter().chain(folds(&["c"])?).collect::<Vec<_>>());
/// # PolarsResult::Ok(())
/// ```
pub fn fold(id: Expr, k: u32, seed: &Seed) -> Expr {
    let seed = seed.clone();
    let compute = move |ids: Column| {
        let of = |id: &str| folds::hashed(id, k as usize, &seed) as i32;
        let folds: Int32Chunked = ids.str()?.iter().map(|id| id.map(of)).collect();
        Ok(folds.with_name("fold".into()).into_column())
    };
    let field = move |_: &Schema, id: &Field| {
        check_id(id)?;
        if k < 2 {
            return Err(unfit(format!("{k} folds are too few; there must be 2 at least")));
        }
        Ok(Field::new("fold".into(), DataType::Int32))
    };
    id.map(compute, field).alias("fold")
}

/// Whether a column may hold ids.
fn check_id(field: &Field) -> PolarsResult<()> {
    if *field.dtype() == DataType::String {
        return Ok(());
    }
    let (name, kind) = (field.name(), field.dtype());
    Err(unfit(format!("column `{name}` is {kind}; ids must be strings")))
}

/// The fold of each row as [`folds::assign`] deals it, from the columns `id`, `label` and the group.
pub(super) fn assigned(spec: &Folds, seed: &Seed) -> Expr {
    let label = spec.stratify.then(|| col("label"));
    let group = spec.group.as_deref().map(|name| col(name).cast(DataType::String));
    let inputs: Vec<Expr> = [Some(col("id")), label, group].into_iter().flatten().collect();
    let (spec, seed) = (spec.clone(), seed.clone());
    whole("fold", DataType::Int32, &inputs, move |columns| {
        if spec.duplicates != Duplicates::Ignore || spec.near.is_some() {
            let message = "duplicates are not known here; name a column of them as `group`";
            return Err(unfit(message.to_owned()));
        }
        let folds = deal(&rows(columns, &spec)?, &spec, &seed)?;
        Ok(Int32Chunked::from_vec("fold".into(), folds).into_series())
    })
}

/// What the fold of a row may depend on.
struct Row {
    id: String,
    label: u32,
    group: Option<String>,
}

fn rows(columns: &[Column], spec: &Folds) -> PolarsResult<Vec<Row>> {
    let ids = columns[0].str()?;
    let labels = if spec.stratify { labels(&columns[1])? } else { vec![0; ids.len()] };
    let groups: Vec<Option<&str>> = match columns {
        [_, .., groups] if spec.group.is_some() => groups.str()?.iter().collect(),
        _ => vec![None; ids.len()],
    };
    let rows = ids.iter().zip(labels).zip(groups).map(|((id, label), group)| {
        let id = id.ok_or_else(|| unfit("a row has no id".to_owned()))?.to_owned();
        Ok(Row { id, label: label as u32, group: group.map(str::to_owned) })
    });
    rows.collect()
}

fn deal(rows: &[Row], spec: &Folds, seed: &Seed) -> PolarsResult<Vec<i32>> {
    // Folds are dealt in ascending order of ids.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by_key(|row| &rows[*row].id);
    if let Some(pair) = order.windows(2).find(|pair| rows[pair[0]].id == rows[pair[1]].id) {
        let id = &rows[pair[0]].id;
        return Err(unfit(format!("id `{id}` occurs twice; ids must be unique")));
    }
    let sorted = || order.iter().map(|row| &rows[*row]);
    let ids: Vec<String> = sorted().map(|row| row.id.clone()).collect();
    let labels: Vec<u32> = sorted().map(|row| row.label).collect();
    let groups: Option<Vec<_>> =
        spec.group.as_ref().map(|_| sorted().map(|row| row.group.clone()).collect());
    let dealt = folds::assign(&ids, &labels, groups.as_deref(), spec, seed)
        .map_err(|e| unfit(e.to_string()))?;
    let mut folds = vec![0; rows.len()];
    order.into_iter().zip(dealt).for_each(|(row, fold)| folds[row] = fold as i32);
    Ok(folds)
}
