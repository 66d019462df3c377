//! The dataset card: what the Hub and `load_dataset` need to know, and what a reader wants to know.

use std::fmt::Write as _;

use arrow::datatypes::{Schema, SchemaRef};

use super::encode::shard_schema;
use super::features::{Known, features};
use super::yaml::Yaml;
use crate::recipe::{Form, Mode, Recipe};

/// The most source files that the card lists by name.
const FILES_LISTED: usize = 20;

/// What the card tells.
#[derive(Clone, Copy, Debug)]
pub struct CardInfo<'a> {
    /// The recipe of the run.
    pub recipe: &'a Recipe,
    /// The score that decided and which of its ends is kept, as a person says it.
    pub score: &'a str,
    /// The schema of the source, with its metadata.
    pub schema: &'a SchemaRef,
    /// The addresses of the source files.
    pub files: &'a [String],
    /// The names of the label column's integers (the index is the value stored in the source), if
    /// it has integers and they have names.
    pub label_names: Option<&'a [String]>,
    /// How many samples each class had and kept, in the order of the classes.
    pub classes: &'a [ClassCount],
    /// How many samples each stage added, from stage 1.
    pub stages: &'a [u64],
    /// What the judge of the run found, if it has one.
    pub judge: Option<&'a str>,
    /// Samples that could be used.
    pub usable: u64,
    /// Samples that could not.
    pub quarantined: u64,
    /// Samples kept.
    pub kept: u64,
    /// Uncompressed bytes of the kept rows.
    pub data_bytes: u64,
    /// Bytes of all shards as files.
    pub shard_bytes: u64,
    /// The SHA-256 of the selection.
    pub selection_sha256: &'a str,
    /// The command that made it.
    pub command: &'a str,
}

/// The size of one class before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its usable samples.
    pub total: u64,
    /// Its kept samples.
    pub kept: u64,
}

/// The text of the coreset's `README.md`. It has no clock and no machine in it: the same run gives
/// the same card.
pub fn card(info: &CardInfo<'_>) -> String {
    let mut text = String::new();
    if info.recipe.output.form == Form::Copy {
        let _ = writeln!(text, "---\n{}---\n", front_matter(info).document());
    }
    let (kept, usable) = (info.kept, info.usable);
    let _ = writeln!(
        text,
        "# Coreset of {kept} samples\n\n{kept} of {usable} usable samples (keep {}, prune {}), \
         chosen by `unseen` {}. Each row is a copy of its source row; nothing was re-encoded, and \
         the order is shuffled.\n",
        percent(kept, usable),
        percent(usable.saturating_sub(kept), usable),
        env!("CARGO_PKG_VERSION"),
    );
    text + &facts(info) + &classes(info.classes) + &usage(info)
}

fn front_matter(info: &CardInfo<'_>) -> Yaml {
    let split = || Yaml::text(&info.recipe.output.split);
    let path = Yaml::text(format!("data/{}-*", info.recipe.output.split));
    let size = Yaml::map([
        ("name", split()),
        ("num_bytes", Yaml::number(info.data_bytes)),
        ("num_examples", Yaml::number(info.kept)),
    ]);
    let columns = columns(info).map(|features| ("features".to_owned(), features));
    let rest = [
        ("splits".to_owned(), Yaml::List(vec![size])),
        ("download_size".to_owned(), Yaml::number(info.shard_bytes)),
        ("dataset_size".to_owned(), Yaml::number(info.data_bytes)),
    ];
    let data = Yaml::map([("split", split()), ("path", path)]);
    let config =
        Yaml::map([("config_name", Yaml::text("default")), ("data_files", Yaml::List(vec![data]))]);
    Yaml::map([
        ("dataset_info", Yaml::Map(columns.into_iter().chain(rest).collect())),
        ("configs", Yaml::List(vec![config])),
    ])
}

fn columns(info: &CardInfo<'_>) -> Option<Yaml> {
    let schema = shard_schema(info.schema, info.recipe.output.scores).ok()?;
    let data = &info.recipe.data;
    let known = Known {
        image: data.image.as_deref(),
        classes: info.label_names.map(|names| (data.label.as_str(), names)),
    };
    features(Schema::as_ref(&schema), known)
}

fn facts(info: &CardInfo<'_>) -> String {
    let recipe = info.recipe;
    let stages: Vec<String> = info.stages.iter().map(ToString::to_string).collect();
    let mut rows = vec![
        ("Scored by", mode(recipe.mode).to_owned()),
        ("Score", info.score.to_owned()),
        ("Samples added by stage", stages.join(", ")),
        ("Quarantined (unusable, not in the shares above)", info.quarantined.to_string()),
        ("Seed", recipe.seed.to_string()),
        ("Selection (SHA-256)", format!("`{}`", info.selection_sha256)),
        ("Made by", format!("`{}`", info.command)),
    ];
    if let Some(judge) = info.judge {
        rows.push(("Judged", judge.to_owned()));
    }
    if let Some(filter) = &recipe.data.filter {
        rows.push(("Rows considered", format!("`{filter}`")));
    }
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    text + &sources(info.files)
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Unseen => {
            "models that never saw the sample (out of fold in stage 1, trained on the coreset so \
             far later)"
        }
        Mode::Fitting => "in stage 1 one model that was trained on every sample (baseline mode)",
    }
}

fn sources(files: &[String]) -> String {
    let mut text = "\n## Source\n\n".to_owned();
    for file in files.iter().take(FILES_LISTED) {
        let _ = writeln!(text, "- `{file}`");
    }
    if files.len() > FILES_LISTED {
        let _ = writeln!(text, "- and {} more files", files.len() - FILES_LISTED);
    }
    text
}

fn classes(classes: &[ClassCount]) -> String {
    let mut text =
        "\n## Classes\n\n| class | kept | of | share |\n|---|---:|---:|---:|\n".to_owned();
    for ClassCount { name, total, kept } in classes {
        let share = percent(*kept, *total);
        let _ = writeln!(text, "| {} | {kept} | {total} | {share} |", cell(name));
    }
    text
}

fn usage(info: &CardInfo<'_>) -> String {
    let split = &info.recipe.output.split;
    let text = match info.recipe.output.form {
        Form::Copy => format!(
            "```python\nfrom datasets import load_dataset\n\ncoreset = \
             load_dataset(\"path/to/coreset\", split=\"{split}\")\n```\n"
        ),
        Form::View => {
            "The rows stay in the source: `_view/view.parquet` names file, row group and \
                       row of each.\n"
                .to_owned()
        }
    };
    format!("\n## Use\n\n{text}")
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A text that cannot end its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn text(output: &str, names: Option<&[String]>) -> String {
        let recipe = format!(
            r#"{{"data": {{"uri": "a", "filter": "x = '|'"}}, "select": {{"keep": 0.5, "by": "margin"}},
                "output": {{"uri": "run", {output}}}}}"#
        );
        let recipe: Recipe = serde_json::from_str(&recipe).unwrap();
        let fields = [("id", DataType::Utf8), ("label", DataType::Int32)];
        let fields = fields.map(|(name, kind)| Field::new(name, kind, false));
        let class = |name: &str, kept| ClassCount { name: name.to_owned(), total: 4, kept };
        card(&CardInfo {
            recipe: &recipe,
            score: "margin (low is kept)",
            schema: &Arc::new(Schema::new(fields.to_vec())),
            files: &vec!["a.parquet".to_owned(); 22],
            label_names: names,
            classes: &[class("a|b", 3), class("c\nd", 1)],
            stages: &[3, 1],
            judge: Some("50 % kept: level with random."),
            usable: 8,
            quarantined: 1,
            kept: 4,
            data_bytes: 1000,
            shard_bytes: 700,
            selection_sha256: "abc",
            command: "unseen run recipe.yaml",
        })
    }

    #[test]
    fn front_matter_is_what_load_dataset_reads() {
        let names = ["a|b".to_owned(), "c\nd".to_owned()];
        let text = text(r#""scores": true"#, Some(&names));
        let wanted = r#"---
dataset_info:
  features:
    - name: id
      dtype: string
    - name: label
      dtype:
        class_label:
          names:
            "0": "a|b"
            "1": "c\U0000000Ad"
    - name: unseen_score
      dtype: float64
    - name: unseen_rank
      dtype: int64
    - name: unseen_stage
      dtype: int32
  splits:
    - name: train
      num_bytes: 1000
      num_examples: 4
  download_size: 700
  dataset_size: 1000
configs:
  - config_name: default
    data_files:
      - split: train
        path: "data/train-*"
---
"#;
        assert!(text.starts_with(wanted), "{text}");
    }

    #[test]
    fn text_says_what_was_done() {
        let text = text(r#""split": "fit""#, None);
        for part in [
            "4 of 8 usable samples (keep 50.00 %, prune 50.00 %)",
            "margin (low is kept)",
            "| Samples added by stage | 3, 1 |",
            "| Judged | 50 % kept: level with random. |",
            "| a\\|b | 3 | 4 | 75.00 % |\n| c d | 1 | 4 | 25.00 % |",
            "`x = '\\|'`",
            "- and 2 more files",
            "split=\"fit\"",
            "path: \"data/fit-*\"",
        ] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
    }

    #[test]
    fn a_view_has_no_data_files_to_load() {
        let text = text(r#""as": "view""#, None);
        assert!(text.starts_with("# Coreset of 4 samples"));
        assert!(text.contains("_view/view.parquet") && !text.contains("load_dataset"));
    }
}
