//! The reason of the selection table as a sentence.

use super::{Explanation, StageOf};
use crate::recipe::Select;

/// Why the sample is kept or not.
pub(super) fn why(told: &Explanation, select: &Select, decided: bool) -> String {
    let by = select.by.name();
    let last = told.stages.iter().rev().find(|stage| stage.score.is_some());
    let Some(reason) = told.reason.as_deref() else {
        return "The run has not selected yet.".to_owned();
    };
    let later = if decided { "" } else { " The run is not finished: a later stage may add it." };
    match (reason, last) {
        ("kept", _) => kept(told, by),
        ("below-cut", Some(stage)) => format!("{}{later}", below_cut(stage, by)),
        ("quota", Some(stage)) => format!("{}{later}", quota(told, stage, by)),
        ("noise-guard", _) => format!(
            "It is among the hardest {} % by stage 1, which `select.drop_hardest` sets aside as likely mislabelled.",
            100.0 * select.drop_hardest
        ),
        ("filtered", _) => format!(
            "`select.filter` leaves it out: {}.",
            select.filter.as_deref().unwrap_or("it does not hold")
        ),
        ("duplicate", _) => duplicate(told),
        ("budget", _) => budget(told, select),
        (other, _) => format!("{other}.{later}"),
    }
}

fn kept(told: &Explanation, by: &str) -> String {
    match told.stages.iter().find(|stage| stage.entered) {
        Some(stage) => format!(
            "Stage {} took it: rank {} of {} by `{by}`, of which {} were added.",
            stage.stage,
            stage.rank.unwrap_or_default(),
            stage.ranked,
            stage.added
        ),
        None => "It is kept.".to_owned(),
    }
}

fn below_cut(stage: &StageOf, by: &str) -> String {
    format!(
        "Other samples were wanted more: in stage {} it had rank {} of {} by `{by}`, and {} were added{}.",
        stage.stage,
        stage.rank.unwrap_or_default(),
        stage.ranked,
        stage.added,
        cut(stage.cut)
    )
}

fn quota(told: &Explanation, stage: &StageOf, by: &str) -> String {
    let full = told.cells.iter().find(|cell| cell.is_full());
    let decided = match (full, &told.class) {
        (Some(cell), _) => {
            format!("its cell {} was full: {} of {}", cell.name, cell.kept, cell.samples)
        }
        (None, Some(class)) if told.cells.is_empty() => format!(
            "its class `{}` was full: {} of {}{}",
            class.name,
            class.kept,
            class.samples,
            cut(stage.class_cut)
        ),
        _ => "the place was kept for another cell or class that lacked samples (its own cells are not full)"
            .to_owned(),
    };
    format!(
        "Its rank {} by `{by}` was among the {} that stage {} added, but {decided}.",
        stage.rank.unwrap_or_default(),
        stage.added,
        stage.stage
    )
}

fn budget(told: &Explanation, select: &Select) -> String {
    let cost = match (told.cost, &select.budget) {
        (Some(cost), Some(budget)) => format!(" ({cost} of `{}`)", budget.column),
        _ => String::new(),
    };
    format!(
        "It costs more{cost} than was left of `select.budget` when its turn came, in the order of value per cost."
    )
}

fn duplicate(told: &Explanation) -> String {
    match told.cluster.as_ref().map(|cluster| cluster.kept.as_slice()) {
        Some([one, ..]) => format!("`{one}` of the same cluster of duplicates stands for it."),
        _ => "Another sample of its cluster of duplicates is wanted more.".to_owned(),
    }
}

fn cut(score: Option<f64>) -> String {
    score.map_or(String::new(), |score| format!(", the last at {score:.4}"))
}
