//! The state of a run as text.

use std::fmt::Write as _;

use serde_json::Value;

use crate::evaluation::Interval;
use crate::run::{Choice, Judgement, Status, TaskState, TaskStatus};

/// The state of a run as text.
pub(in crate::cli) fn status(status: &Status) -> String {
    let count = |state| status.tasks.iter().filter(|t| t.state == state).count();
    let (done, all) = (count(TaskState::Done), status.tasks.len());
    let mut text = String::new();
    for task in &status.tasks {
        let state = match task.state {
            TaskState::Done => "done".to_owned(),
            TaskState::Running => format!("running: {}", worker(task)),
            TaskState::Stopped => format!("stopped: {}", worker(task)),
            TaskState::Left => "left".to_owned(),
        };
        let _ = writeln!(text, "{:<16}{state}  {}", task.task, told(task));
    }
    let end = if status.finished {
        "finished"
    } else {
        "not finished: give the same `unseen run` again to go on"
    };
    let _ = writeln!(text, "{}: {done} of {all} tasks done, {end}", status.uri);
    text
}

/// What is known of a task.
fn told(task: &TaskStatus) -> String {
    let parts = task.parts.map(|parts| format!("{parts} tasks of candidates done"));
    parts.or_else(|| judged(&task.facts)).or_else(|| chosen(&task.facts)).unwrap_or_else(|| {
        let facts = task.facts.as_object().into_iter().flatten();
        let plain = facts.filter(|(_, value)| !value.is_object() && !value.is_array());
        plain.map(|(name, value)| format!("{name} {}", short(value))).collect::<Vec<_>>().join(", ")
    })
}

/// What a judge found, if these are its facts: `Below random, within noise: -0.4 ± 1.9 points`.
fn judged(facts: &Value) -> Option<String> {
    let judgement: Judgement = serde_json::from_value(facts.clone()).ok()?;
    let Some((standing, figures)) = judgement.standing.zip(judgement.figures) else {
        return Some(judgement.verdict);
    };
    let Interval { mean, half_width, .. } = figures.points;
    let half = half_width.map(|half| format!(" \u{b1} {half:.1}")).unwrap_or_default();
    Some(format!("{}: {mean:+.1}{half} points", standing.headline()))
}

/// What `auto` chose, if these are its facts.
fn chosen(facts: &Value) -> Option<String> {
    let choice: Choice = serde_json::from_value(facts.clone()).ok()?;
    let of = choice.candidates.len();
    choice.candidates.get(choice.chosen).map(|one| format!("{}, of {of} candidates", one.name))
}

/// Who works on a task, and when that was last seen.
fn worker(task: &TaskStatus) -> String {
    let by = task.by.as_deref().unwrap_or("nobody");
    let kept = task.checkpoint_seconds.map(|s| format!(", checkpoint of {s} s ago"));
    let silent = task.silent_seconds.unwrap_or(0);
    format!("{by}, last sign of life {silent} s ago{}", kept.unwrap_or_default())
}

fn short(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_f64() => {
            format!("{:.3}", n.as_f64().unwrap_or(f64::NAN))
        }
        Value::String(s) if s.chars().count() > 16 => {
            format!("{}…", s.chars().take(12).collect::<String>())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(name: &str, parts: Option<usize>, facts: Value) -> TaskStatus {
        TaskStatus {
            task: name.to_owned(),
            state: TaskState::Done,
            needs: Vec::new(),
            attempts: 1,
            by: None,
            silent_seconds: None,
            checkpoint_seconds: None,
            parts,
            facts,
        }
    }

    #[test]
    fn a_judge_tells_its_points_and_a_choice_its_progress() {
        let accuracy = json!({"mean": 0.8, "half_width": 0.01, "n": 2});
        let figures = json!({"test_samples": 100, "seeds": 2, "coreset": accuracy,
            "random_stratified": accuracy, "points": {"mean": -0.41, "half_width": 1.93, "n": 2}});
        let facts = json!({"verdict": "a long one", "standing": "below", "figures": figures});
        let text = told(&task("judge", None, facts));
        assert_eq!(text, "Below random, within noise: -0.4 \u{b1} 1.9 points");
        let unknown = json!({"verdict": "Not judged: every sample is kept."});
        assert_eq!(told(&task("judge", None, unknown)), "Not judged: every sample is kept.");
        assert_eq!(told(&task("auto", Some(7), Value::Null)), "7 tasks of candidates done");
        let plain = json!({"rows": 3, "digest": "0123456789abcdefg", "more": {"a": 1}});
        assert_eq!(told(&task("ingest", None, plain)), "rows 3, digest 0123456789ab\u{2026}");
    }
}
