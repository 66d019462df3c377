//! The tables of `docs/results.md` say what the raw files in `docs/results` say. `UNSEEN_UPDATE=1 cargo test
//! --test it results` writes them again; `benches/results` makes the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use unseen::evaluation::Interval;

const KEEPS: [&str; 3] = ["0.3", "0.5", "0.7"];
const BEGIN: &str = "<!-- results: ";
const END: &str = "<!-- end of results -->";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The rows of a table with a head, as maps from column to value; no value has a comma.
fn csv(name: &str) -> Vec<BTreeMap<String, String>> {
    let path = docs().join("results").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines();
    let head: Vec<String> = lines.next().unwrap().split(',').map(str::to_owned).collect();
    let row = |line: &str| {
        let values: Vec<String> = line.split(',').map(str::to_owned).collect();
        assert_eq!(values.len(), head.len(), "{name}: {line}");
        head.iter().cloned().zip(values).collect()
    };
    lines.map(row).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// What models were trained on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    subset: String,
    mode: String,
    strategy: String,
    by: String,
    stages: String,
}

impl Line {
    fn of(row: &BTreeMap<String, String>) -> Self {
        let [subset, mode, strategy, by, stages] =
            ["subset", "mode", "strategy", "by", "stages"].map(|name| row[name].clone());
        Self { subset, mode, strategy, by, stages }
    }

    fn alone(subset: &str) -> Self {
        let empty = String::new;
        Self {
            subset: subset.into(),
            mode: empty(),
            strategy: empty(),
            by: empty(),
            stages: empty(),
        }
    }

    fn name(&self) -> String {
        let Self { subset, mode, strategy, by, stages } = self;
        match (subset.as_str(), strategy.as_str()) {
            ("full", _) => "everything".to_owned(),
            ("random", _) => "random".to_owned(),
            ("random_stratified", _) => "random, each class its share".to_owned(),
            (_, "top") if stages == "1" => format!("{mode}, `{by}`, one step"),
            (_, "top") => format!("{mode}, `{by}`, {stages} stages"),
            (_, strategy) => format!("{mode}, `{by}`, `{strategy}`"),
        }
    }
}

/// The models of a dataset.
struct Models(Vec<BTreeMap<String, String>>);

impl Models {
    fn of(name: &str) -> Self {
        Self(csv(&format!("{name}.csv")))
    }

    /// A metric of all seeds, in per cent.
    fn values(&self, line: &Line, keep: &str, metric: &str) -> Vec<f64> {
        let keep = if line.subset == "full" { 1.0 } else { number(keep) };
        let rows = self.0.iter().filter(|row| {
            Line::of(row) == *line && (number(&row["select_keep"]) - keep).abs() < 1e-9
        });
        rows.map(|row| 100.0 * number(&row[metric])).collect()
    }

    fn mean(&self, line: &Line, keep: &str, metric: &str) -> f64 {
        Interval::of(&self.values(line, keep, metric)).mean
    }

    /// The coresets, in the order of the file.
    fn coresets(&self) -> Vec<Line> {
        let mut seen = BTreeSet::new();
        let lines = self.0.iter().map(Line::of).filter(|line| line.subset == "coreset");
        lines.filter(|line| seen.insert(line.clone())).collect()
    }

    /// The mean over coresets and keep rates of how far each is above another line, and in how many cells
    /// it is.
    fn above(
        &self,
        metric: &str,
        of: impl Fn(&Line) -> bool,
        other: impl Fn(&Line) -> Line,
    ) -> (f64, usize, usize) {
        let lines: Vec<Line> = self.coresets().into_iter().filter(of).collect();
        let pairs = lines.iter().flat_map(|line| KEEPS.map(|keep| (line, keep)));
        let points: Vec<f64> = pairs
            .map(|(line, keep)| {
                self.mean(line, keep, metric) - self.mean(&other(line), keep, metric)
            })
            .collect();
        let better = points.iter().filter(|points| **points > 0.0).count();
        (points.iter().sum::<f64>() / points.len() as f64, better, points.len())
    }

    /// The recipe that users start with.
    fn plain_over_full(&self, keep: &str) -> f64 {
        let plain = self.coresets().into_iter().find(|line| {
            (line.strategy.as_str(), line.mode.as_str(), line.stages.as_str())
                == ("top", "unseen", "3")
                && line.by == "margin"
        });
        let of = |line: &Line| self.mean(line, keep, "accuracy");
        of(&plain.unwrap()) - of(&Line::alone("full"))
    }

    fn best_over_full(&self, keep: &str) -> (f64, String) {
        let full = self.mean(&Line::alone("full"), keep, "accuracy");
        let lines = self.coresets().into_iter();
        let points = |line: &Line| self.mean(line, keep, "accuracy") - full;
        let best = lines.max_by(|a, b| points(a).total_cmp(&points(b))).unwrap();
        (points(&best), best.name())
    }
}

fn accuracy_table(name: &str) -> String {
    let models = Models::of(name);
    let alone = ["full", "random", "random_stratified"].map(Line::alone);
    let random = alone[1].clone();
    let mut text = "| trained on | 30 % | 50 % | 70 % |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for line in alone.into_iter().chain(models.coresets()) {
        let _ = write!(text, "| {} |", line.name());
        for keep in KEEPS {
            let values = models.values(&line, keep, "accuracy");
            assert!(
                values.len() >= 3,
                "{name}: {} at {keep} has {} seeds",
                line.name(),
                values.len()
            );
            let over = Interval::of_difference(&values, &models.values(&random, keep, "accuracy"));
            let mark = match (line.subset.as_str(), over.holds_zero()) {
                ("coreset", Some(false)) if over.mean > 0.0 => " ▲",
                ("coreset", Some(false)) => " ▼",
                _ => "",
            };
            let Interval { mean, half_width, .. } = Interval::of(&values);
            let _ = write!(text, " {mean:.1} ± {:.1}{mark} |", half_width.unwrap());
        }
        text.push('\n');
    }
    text
}

fn listed(names: &str) -> Vec<String> {
    names.split(", ").map(str::to_owned).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Each claim of the paper as a row, each dataset as a column.
fn claims_table(names: &[String]) -> String {
    let all: Vec<Models> = names.iter().map(|name| Models::of(name)).collect();
    let scores: Vec<_> = names.iter().map(|name| csv(&format!("{name}-scores.csv"))).collect();
    let mut text =
        format!("| | {} |\n| --- |{}\n", names.join(" | "), " --- |".repeat(names.len()));
    let of_scores = |mode: &str, columns: &[&str]| -> Vec<String> {
        let rows = scores.iter().map(|rows| {
            let rows = rows.iter().filter(|row| row["mode"] == mode);
            mean(rows.flat_map(|row| columns.iter().map(|column| number(&row[*column]))))
        });
        rows.map(|mean| format!("{mean:.2}")).collect()
    };
    let top = |line: &Line, mode: &str, stages: &str| {
        line.strategy == "top" && line.mode == mode && line.stages == stages
    };
    let points = |of: &dyn Fn(&Models) -> (f64, usize, usize)| -> Vec<String> {
        all.iter()
            .map(of)
            .map(|(points, better, n)| format!("{points:+.1} ({better}/{n})"))
            .collect()
    };
    let best = |keep: &str| -> Vec<String> {
        let found = all.iter().map(|models| models.best_over_full(keep));
        found.map(|(points, name)| format!("{points:+.1}: {name}")).collect()
    };
    let plain = |keep: &str| -> Vec<String> {
        all.iter().map(|models| format!("{:+.1}", models.plain_over_full(keep))).collect()
    };
    let one_step = |models: &Models| {
        let fitting = |line: &Line| Line { mode: "fitting".into(), ..line.clone() };
        models.above("accuracy", |line| top(line, "unseen", "1"), fitting)
    };
    let stages = |models: &Models| {
        let one = |line: &Line| Line { stages: "1".into(), ..line.clone() };
        models.above("accuracy", |line| top(line, "unseen", "3"), one)
    };
    let random = |metric: &'static str, mode: &'static str, stages: &'static str| {
        move |models: &Models| {
            models.above(metric, |line| top(line, mode, stages), |_| Line::alone("random"))
        }
    };
    let rows: Vec<(&str, Vec<String>)> = vec![
        ("Pearson of two seeds, fitting", of_scores("fitting", &["pearson"])),
        ("Pearson of two seeds, unseen", of_scores("unseen", &["pearson"])),
        ("top half shared by two seeds (Jaccard), fitting", of_scores("fitting", &["jaccard"])),
        ("top half shared by two seeds (Jaccard), unseen", of_scores("unseen", &["jaccard"])),
        ("evenness of scores, fitting", of_scores("fitting", &["evenness_a", "evenness_b"])),
        ("evenness of scores, unseen", of_scores("unseen", &["evenness_a", "evenness_b"])),
        ("accuracy: unseen over fitting, one step", points(&one_step)),
        ("accuracy: three stages over one step, unseen", points(&stages)),
        ("accuracy: fitting over random, one step", points(&random("accuracy", "fitting", "1"))),
        ("accuracy: unseen over random, one step", points(&random("accuracy", "unseen", "1"))),
        ("accuracy: unseen over random, three stages", points(&random("accuracy", "unseen", "3"))),
        (
            "worst class: unseen over random, three stages",
            points(&random("worst_class", "unseen", "3")),
        ),
        (
            "spread over classes: unseen over random, three stages",
            points(&random("class_spread", "unseen", "3")),
        ),
        ("unseen margin in three stages over everything, 70 % kept", plain("0.7")),
        ("unseen margin in three stages over everything, 50 % kept", plain("0.5")),
        ("the best of twelve on these test data over everything, 70 % kept", best("0.7")),
        ("the best of twelve on these test data over everything, 50 % kept", best("0.5")),
    ];
    for (what, cells) in rows {
        let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
    }
    text
}

/// Each setting as a row, each dataset as a column: how far it is above the plain one in the mean over keep
/// rates, and above random subsets where it is least.
fn settings_table(names: &[String]) -> String {
    let all: Vec<_> = names.iter().map(|name| csv(&format!("{name}-settings.csv"))).collect();
    let mut settings: Vec<&String> = Vec::new();
    for row in all.iter().flatten() {
        if !settings.contains(&&row["setting"]) {
            settings.push(&row["setting"]);
        }
    }
    let mut text =
        format!("| | {} |\n| --- |{}\n", names.join(" | "), " ---: |".repeat(names.len()));
    for setting in settings {
        let _ = write!(text, "| {setting} |");
        for rows in &all {
            let accuracy = |setting: &str, subset: &str, keep: &str| -> Vec<f64> {
                let rows = rows.iter().filter(|row| {
                    let same = (number(&row["select_keep"]) - number(keep)).abs() < 1e-9;
                    row["setting"] == setting && row["subset"] == subset && same
                });
                rows.map(|row| 100.0 * number(&row["accuracy"])).collect()
            };
            let over = |other: &[f64], keep| {
                mean(accuracy(setting, "coreset", keep).into_iter()) - mean(other.iter().copied())
            };
            let plain = KEEPS.map(|keep| over(&accuracy("plain", "coreset", keep), keep));
            let random = KEEPS.map(|keep| {
                let own = accuracy(setting, "random_stratified", keep);
                let plain = accuracy("plain", "random_stratified", keep);
                over(if own.is_empty() { &plain } else { &own }, keep)
            });
            let plain = mean(plain.into_iter());
            let least = random.into_iter().fold(f64::INFINITY, f64::min);
            let _ = write!(text, " {plain:+.1} ({least:+.1}) |");
        }
        text.push('\n');
    }
    text
}

fn json(name: &str) -> serde_json::Value {
    let path = docs().join(format!("results/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(values: &serde_json::Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// What `examples/compare_with_random.rs` wrote.
fn comparison_table(name: &str) -> String {
    let mut text = "| trained on | samples | epochs | steps | accuracy |\n| --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for arm in json(name)["arms"].as_array().unwrap() {
        let values: Vec<f64> =
            numbers(&arm["accuracy"]).iter().map(|share| 100.0 * share).collect();
        let Interval { mean, half_width, .. } = Interval::of(&values);
        let on = arm["trained_on"].as_str().unwrap().to_lowercase();
        let [samples, epochs, steps] = ["samples", "epochs", "steps"].map(|name| &arm[name]);
        let half = half_width.unwrap();
        let _ = writeln!(text, "| {on} | {samples} | {epochs} | {steps} | {mean:.2} ± {half:.2} |");
    }
    text
}

/// What `benches/label_errors` wrote: how well scores find wrong labels, and what was suspected.
fn label_errors_table(name: &str) -> String {
    let methods = [
        "self_confidence",
        "normalized_margin",
        "confidence_weighted_entropy",
        "el2n",
        "entropy",
        "margin",
    ];
    let (rows, mut last) = (json(name), String::new());
    let head = |columns: &[&str]| {
        let columns = columns.join(" | ");
        format!(
            "| labels | scored by | {columns} |\n| --- | --- |{}\n",
            " ---: |".repeat(columns.split('|').count())
        )
    };
    let (mut auc, mut suspected) = (head(&methods), head(&["suspected", "precision", "recall"]));
    for row in rows.as_array().unwrap() {
        let [labels, mode] = ["labels", "mode"].map(|name| row[name].as_str().unwrap());
        let wrong = 100.0 * row["wrong"].as_f64().unwrap();
        let named =
            if last == labels { String::new() } else { format!("`{labels}`, {wrong:.1} % wrong ") };
        labels.clone_into(&mut last);
        let cells = methods.map(|method| format!("{:.3}", row["auc"][method].as_f64().unwrap()));
        let _ = writeln!(auc, "| {named}| {mode} | {} |", cells.join(" | "));
        let [precision, recall] = ["precision", "recall"].map(|name| row[name].as_f64().unwrap());
        let count = &row["suspected"];
        let _ = writeln!(suspected, "| {named}| {mode} | {count} | {precision:.3} | {recall:.3} |");
    }
    format!(
        "{auc}\nSuspected labels by confident learning (`score.label_errors`), against the truth:\n\n{suspected}"
    )
}

/// The same recipe here and in PyTorch, as `benches/accuracy` wrote.
fn pytorch_table(name: &str) -> String {
    let rows = csv(&format!("{name}.csv"));
    let nets: BTreeSet<&String> = rows.iter().map(|row| &row["net"]).collect();
    let mut text =
        "| net | unseen | PyTorch | difference |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for net in nets {
        let of = |side: &str| -> Vec<f64> {
            let rows = rows.iter().filter(|row| &row["net"] == net && row["side"] == side);
            rows.map(|row| 100.0 * number(&row["accuracy"])).collect()
        };
        let (ours, theirs) = (of("unseen"), of("pytorch"));
        let cells =
            [Interval::of(&ours), Interval::of(&theirs), Interval::of_difference(&ours, &theirs)];
        let cells = cells.map(|interval| (interval.mean, interval.half_width.unwrap()));
        let [(ours, a), (theirs, b), (over, c)] = cells;
        let _ = writeln!(
            text,
            "| `{net}` | {ours:.1} ± {a:.1} | {theirs:.1} ± {b:.1} | {over:+.1} ± {c:.1} |"
        );
    }
    text
}

#[test]
fn tables_say_what_the_raw_files_say() {
    let path = docs().join("results.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let files = std::fs::read_dir(docs().join("results")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A recipe that has not run yet has no file.
    let names: BTreeSet<String> = files
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| docs().join(format!("results/{name}.csv")).exists())
        .collect();
    let (mut new, mut shown) = (String::new(), BTreeSet::new());
    let mut parts = old.split(BEGIN);
    new.push_str(parts.next().unwrap());
    for part in parts {
        let (what, rest) = part.split_once(" -->").unwrap();
        let (_, after) = rest.split_once(END).expect("a table of results ends");
        let table = match what.split_once(" of ") {
            Some(("claims", names)) => claims_table(&listed(names)),
            Some(("settings", names)) => settings_table(&listed(names)),
            Some(("comparison", name)) => comparison_table(name),
            Some(("label errors", name)) => label_errors_table(name),
            Some(("accuracy", name)) => pytorch_table(name),
            _ => accuracy_table(what),
        };
        shown.insert(what.to_owned());
        let _ = write!(new, "{BEGIN}{what} -->\n{table}{END}{after}");
    }
    let missing: Vec<_> = names.difference(&shown).collect();
    assert!(missing.is_empty(), "docs/results.md has no table of {missing:?}");
    if std::env::var_os("UNSEEN_UPDATE").is_some() {
        std::fs::write(&path, &new).unwrap();
    }
    assert!(
        old == new || std::env::var_os("UNSEEN_UPDATE").is_some(),
        "docs/results.md says something else than the raw files; run with UNSEEN_UPDATE=1"
    );
}
