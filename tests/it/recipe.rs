//! Recipes: what is understood. `recipe_words` has what is not.

use std::path::{Path, PathBuf};

use unseen::recipe::{Amount, Mode, OneOrMany, Override, Recipe, Stages, parse_with};
use unseen::seed::{Random, Seed};
use unseen::{ErrorKind, Result};

/// A recipe with nothing but what is required.
pub(crate) const GOOD: &str = "\
seed = 1

[data]
uri = 'in/a.parquet'
image = 'image'

[select]
keep = 0.5

[output]
uri = 'runs/a'
";

fn read(text: &str, sets: &[&str]) -> Result<Recipe> {
    let sets: Vec<Override> = sets.iter().map(|s| s.parse().unwrap()).collect();
    let env = |name: &str| (name == "HERE" || name == "UNSEEN_DATA").then(|| "/here".to_owned());
    parse_with(text, "r.toml", &sets, &env)
}

/// The words for what is wrong with a recipe.
pub(crate) fn refusal(text: &str, sets: &[&str]) -> String {
    let error = read(text, sets).expect_err(text);
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidRecipe, 2));
    error.to_string()
}

#[test]
fn a_model_has_at_most_a_hundred_layers() {
    assert_eq!(
        read(GOOD, &[&format!("model.hidden={:?}", [8; 100])]).unwrap().model.hidden.len(),
        100
    );
    let words = refusal(GOOD, &[&format!("model.hidden={:?}", [8; 101])]);
    assert!(words.ends_with("`model.hidden` takes at most 100 items, but has 101"), "{words}");
}

#[test]
fn an_output_inside_the_input_is_seen_through_relative_addresses() {
    let here = std::env::current_dir().unwrap();
    let text = GOOD.replace("in/a.parquet", here.join("in").to_str().unwrap());
    assert!(refusal(&text.replace("runs/a", "x/../in/run"), &[]).contains("lies inside the input"));
    assert!(read(&text.replace("runs/a", "in/../run"), &[]).is_ok());
}

#[test]
fn fitting_mode_has_one_stage() {
    let fitting = GOOD.replace("seed = 1", "mode = 'fitting'");
    let recipe = read(&fitting, &[]).unwrap();
    assert_eq!((recipe.mode, recipe.select.stages), (Mode::Fitting, Stages::Equal(1)));
    assert_eq!(read(GOOD, &[]).unwrap().select.stages, Stages::Equal(3));
    assert_eq!(
        refusal(&fitting.replace("keep = 0.5", "keep = 0.5\nstages = 2"), &[]),
        "r.toml:9:1: mode `fitting` selects in one stage; set `select.stages` to 1 or leave it out"
    );
}

#[test]
fn overrides_change_values_and_take_the_blame() {
    let sets = [
        "select.by=margin",
        "seed=2",
        "seed=3",
        "folds.k=4",
        "model.hidden=[8, 4]",
        "data.uri=[\"x\", \"y\"]",
        "data.filter=split = 'train'",
        "output.shard_bytes=2GiB",
    ];
    let recipe = read(GOOD, &sets).unwrap();
    assert_eq!((recipe.seed, recipe.folds.k), (3, 4));
    assert_eq!(recipe.model.hidden, [8, 4]);
    assert_eq!(recipe.data.uri.as_slice(), ["x", "y"]);
    assert_eq!(recipe.data.filter.as_deref(), Some("split = 'train'"));
    assert_eq!(recipe.output.shard_bytes.0, 2 << 30);

    let blamed = [
        ("select.kep=2", "unknown key `select.kep`; did you mean `keep`?"),
        ("select.keep=2", "`select.keep` is 2, but must be at most 1"),
        ("select.keep=half", "`select.keep` is a string, but takes a number"),
        ("select.keep_rows=5", "[select] has `keep` and `keep_rows`; give one of them"),
        ("select.stages=[0.1]", "`select.stages` sums to 0.1, but `select.keep` is 0.5"),
        ("seed.x=1", "a part of the key is a value, not a table"),
        ("output.shard_bytes=5XB", "`5XB` is not a size: write 500MB, 2GiB or a number"),
        (
            "output.uri=${NO}",
            "`output.uri` needs the environment variable NO: run `export NO=...` first",
        ),
    ];
    let blamed_text = [
        (
            "data.features=[a,b]",
            r#"the value is no TOML; texts stand in quotes: --set 'data.features=["a", "b"]'"#,
        ),
        ("data.uri={a", r#"the value is no TOML; texts stand in quotes: --set 'data.uri="{a"'"#),
        (
            "data.filter='a' = b",
            r#"the value is no TOML; texts stand in quotes: --set 'data.filter="'\''a'\'' = b"'"#,
        ),
        (
            "data.uri=nan",
            r#"`data.uri` is a number with a fraction, but takes a string or an array of strings; for a text, write --set 'data.uri="nan"'"#,
        ),
        (
            "data.id=7",
            r#"`data.id` is an integer, but takes a string; for a text, write --set 'data.id="7"'"#,
        ),
        (
            "select.by=7",
            r#"`select.by` is an integer, but takes one of entropy, margin, least_confidence, el2n, cross_entropy, grand, self_confidence, normalized_margin, confidence_weighted_entropy, forgetting, aum_logit_mean, aum_prob_sum, tdds, dyn_unc, dual, mean_confidence, moderate, prototypicality, k_center, herding, cal, d2, facility_location or a string; for a text, write --set 'select.by="7"'"#,
        ),
    ];
    for (set, expected) in blamed.into_iter().chain(blamed_text) {
        assert_eq!(refusal(GOOD, &[set]), format!("--set {set}: {expected}"));
    }
    let staged = GOOD.replace("keep = 0.5", "keep = 0.5\nstages = [0.25, 0.25]");
    assert_eq!(
        refusal(&staged, &["select.keep=0.4"]),
        "--set select.keep=0.4: `select.stages` sums to 0.5, but `select.keep` is 0.4"
    );
}

#[test]
fn environment_variables_are_taken_in_addresses_only() {
    let text = GOOD.replace("'in/a.parquet'", "['${HERE}/a', 'b']").replace("runs", "${HERE}/r");
    let recipe = read(&text.replace("'image'", "'${HERE}'"), &[]).unwrap();
    let uris = OneOrMany::Many(vec!["/here/a".to_owned(), "b".to_owned()]);
    assert_eq!((recipe.data.uri, recipe.output.uri.as_str()), (uris, "/here/r/a"));
    assert_eq!(recipe.data.image.as_deref(), Some("${HERE}"));
}

#[test]
fn a_resolved_recipe_reads_back_as_itself() {
    let sets: [&[&str]; 8] = [
        &[],
        &["mode=fitting", "data.resize=[32, 16]"],
        &["select.stages=[0.2, 0.2, 0.1]", "train.lr=1e-9", "train.weight_decay=0"],
        &["score.methods=[\"el2n\"]", "select.by=margin", "seed=9223372036854775807"],
        &["data.filter=label != 'a\"b\\c'", "output.as=view", "folds.group=cluster"],
        &["select.floor=1", "select.cap=1.0", "score.outputs=training"],
        &["select.target={ 'a b' = 0.25, c = 0.75 }", "folds.duplicates=together"],
        &["select.target.cat=0.5", "select.target.dog=0.5"],
    ];
    for set in sets {
        let recipe = read(GOOD, set).unwrap();
        let text = recipe.to_toml().unwrap();
        assert_eq!(read(&text, &[]).unwrap(), recipe, "{text}");
        recipe.check().unwrap();
        for key in [
            "mode",
            "device",
            "stages",
            "fit_on",
            "aggregate",
            "outputs",
            "duplicates",
            "shard_bytes",
        ] {
            assert!(text.contains(&format!("\n{key} = ")), "{key} is not in\n{text}");
        }
    }
}

#[test]
fn a_point_tells_a_share_from_a_number() {
    let of = |value: &str| read(GOOD, &[&format!("select.cap={value}")]).unwrap().select.cap;
    assert_eq!(of("1"), Some(Amount::Rows(1)));
    assert_eq!(of("1.0"), Some(Amount::Share(1.0)));
    assert_eq!(of("0.25"), Some(Amount::Share(0.25)));
    // And so it does in `run.json`.
    let recipe = read(GOOD, &["select.cap=1.0", "select.floor=1"]).unwrap();
    let json = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
}

#[test]
fn a_recipe_built_in_code_is_held_to_the_same_rules() {
    let mut recipe = read(GOOD, &[]).unwrap();
    recipe.train.lr = f64::NAN;
    let message = recipe.check().unwrap_err().to_string();
    assert!(
        message.ends_with("`train.lr` is nan, but must be a finite number of 64 bits"),
        "{message}"
    );
}

#[test]
fn the_deciding_score_is_computed_even_if_not_listed() {
    let recipe = read(GOOD, &["score.methods=[\"el2n\"]", "select.by=margin"]).unwrap();
    let names: Vec<_> = recipe.score.methods.iter().map(|m| m.name()).collect();
    assert_eq!(names, ["el2n", "margin"]);
}

#[test]
fn differences_are_named_by_key() {
    let old = read(GOOD, &[]).unwrap();
    let new = read(GOOD, &["select.keep=0.25", "data.filter=x > 1", "model.hidden=[8]"]).unwrap();
    let told = |a: &Recipe, b: &Recipe| -> Vec<String> {
        a.diff(b).into_iter().map(|(key, old, new)| format!("{key}: {old} -> {new}")).collect()
    };
    assert_eq!(
        told(&old, &new),
        ["data.filter: not set -> x > 1", "model.hidden: [256] -> [8]", "select.keep: 0.5 -> 0.25"]
    );
    assert_eq!(told(&old, &old), [""; 0]);
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn shipped_recipes_are_right_and_explicit() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(repository("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let recipe = read(&text, &[]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(recipe.output.uri, format!("runs/{name}"));
        assert_eq!(recipe.data.filter.as_deref(), Some("split = 'train'"), "{name}");
        for key in ["seed", "arch", "epochs", "batch_size", "optimizer", "lr", "by", "keep"] {
            assert!(text.contains(&format!("\n{key} = ")), "{name} leaves {key} to a default");
        }
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["banking77", "cifar10", "fashion-mnist", "letter", "quickstart"]);
}

#[test]
fn the_quickstart_needs_nothing_but_this_repository() {
    let text = std::fs::read_to_string(repository("pipelines/quickstart.toml")).unwrap();
    let recipe = parse_with(&text, "quickstart.toml", &[], &|_| None).unwrap();
    for uri in recipe.data.uri.as_slice() {
        assert!(repository(uri).is_file(), "{uri} is not shipped");
    }
    // The README shows this recipe, word for word.
    if let Ok(readme) = std::fs::read_to_string(repository("README.md")) {
        assert!(readme.contains(text.trim()), "README.md shows another quickstart.toml");
    }
}

#[test]
fn mutations_are_read_or_refused_with_a_place() {
    let text = std::fs::read_to_string(repository("pipelines/quickstart.toml")).unwrap();
    let mut rng = Seed::new(0).of("mutations").rng();
    let mut refused = 0;
    for _ in 0..500 {
        let mutant = mutate(&text, &mut rng);
        let Err(error) = read(&mutant, &[]) else { continue };
        refused += 1;
        let message = error.to_string();
        let place: Vec<&str> = message.splitn(4, ':').collect();
        assert_eq!(place[0], "r.toml", "{message}");
        let line: usize = place[1].parse().unwrap();
        assert!((1..=mutant.lines().count() + 1).contains(&line), "{message}\n{mutant}");
        assert!(place[2].parse::<usize>().unwrap() >= 1, "{message}");
    }
    assert!(refused > 200, "only {refused} of 500 mutations did harm");
}

/// One to three edits: a character replaced, dropped or put in, a line dropped, doubled or moved.
fn mutate(text: &str, rng: &mut Random) -> String {
    let mut lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    for _ in 0..=rng.below(3) {
        let at = rng.below(lines.len() as u32) as usize;
        match rng.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines.swap(at, 0),
            edit => {
                let line = &mut lines[at];
                let column = rng.below(line.len() as u32 + 1) as usize;
                let odd: Vec<char> = "=[]{}'\"\\.#,-+_ \t0919aeu$é\u{1F9EA}\u{0}".chars().collect();
                let new = odd[rng.below(odd.len() as u32) as usize];
                if edit < 5 && column < line.len() {
                    line.remove(column);
                }
                if edit > 3 {
                    line.insert(column.min(line.len()), new);
                }
            }
        }
    }
    let lines: Vec<String> = lines.into_iter().map(|line| line.into_iter().collect()).collect();
    lines.join("\n")
}
