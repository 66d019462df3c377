//! Wrong recipes, and the exact words for what is wrong: keys, values, laws.

use crate::recipe::{GOOD, refusal};

/// `GOOD` with `from` replaced by `to`, and the words for what is then wrong.
fn refused(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD);
    refusal(&text, &[])
}

const WRONG_KEYS: &[(&str, &str, &str)] = &[
    ("keep = 0.5", "kep = 0.5", "8:1: unknown key `select.kep`; did you mean `keep`?"),
    (
        "seed = 1",
        "keep = 0.5",
        "1:1: unknown key `keep`; it belongs under [select] or under [sweep]",
    ),
    (
        "seed = 1",
        "by = 'margin'",
        "1:1: unknown key `by`; it belongs under [folds] or under [select] or under [sweep]",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nseed = 4",
        "9:1: unknown key `select.seed`; it belongs at the top, above the first table or under [sweep]",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\n  batchsize = 4",
        "9:3: unknown key `select.batchsize`; did you mean `batch_size` under [train]?",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ntemperature = 4",
        "9:1: unknown key `select.temperature`; [select] takes beta_exponent, budget, by, cap, classes, drop_hardest, duplicates, filter, floor, keep, keep_rows, models, prune, quota, random_share, stages, start, strata, strategy, target",
    ),
    ("[output]", "[outptu]", "10:2: unknown table [outptu]; did you mean [output]?"),
    (
        "[output]",
        "[output.data]\n[output]",
        "10:9: unknown table [output.data]; it belongs at the top, above the first table",
    ),
    ("[output]\nuri = 'runs/a'", "", "1:1: missing table [output] (What is written, and where)"),
    ("uri = 'runs/a'", "", "10:1: missing key `output.uri` (The run directory)"),
    ("keep = 0.5", "keep = 0.5\nkeep = 0.6", "9:1: this is not TOML: duplicate key"),
];

const WRONG_VALUES: &[(&str, &str, &str)] = &[
    ("keep = 0.5", "keep = '0.5'", "8:8: `select.keep` is a string, but takes a number"),
    ("keep = 0.5", "keep = 2020-01-01", "8:8: `select.keep` is a date, but takes a number"),
    (
        "keep = 0.5",
        "keep = nan",
        "8:8: `select.keep` is nan, but must be a finite number of 64 bits",
    ),
    ("keep = 0.5", "keep = 0.0", "8:8: `select.keep` is 0.0, but must be more than 0"),
    ("keep = 0.5", "keep = 1.5", "8:8: `select.keep` is 1.5, but must be at most 1"),
    ("keep = 0.5", "keep_rows = 0", "8:13: `select.keep_rows` is 0, but must be at least 1"),
    (
        "keep = 0.5",
        "keep = 0.5\nby = 'margn'",
        "9:1: `select.by` is `margn`, which is no score; did you mean `margin`?",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nby = 'gradient'",
        "9:1: `select.by` is `gradient`, which is no score; name a method, or say in `score.own` how it is computed and which end is kept",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstart = 'fresh'",
        "9:9: `fresh` is not a value of `select.start`. One of: scratch, continue",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nclasses = 3",
        "9:11: `select.classes` is an integer, but takes one of global, proportional, uniform, hard_class",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = 'three'",
        "9:10: `select.stages` is a string, but takes an integer or an array of numbers",
    ),
    ("keep = 0.5", "keep = 0.5\nstages = 0", "9:10: `select.stages` is 0, but must be at least 1"),
    ("keep = 0.5", "keep = 0.5\nstages = []", "9:10: `select.stages` must not be empty"),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = [0.2, 'x']",
        "9:16: `select.stages[1]` is a string, but takes a number",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ndrop_hardest = 1",
        "9:16: `select.drop_hardest` is 1, but must be less than 1",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nrandom_share = 2",
        "9:16: `select.random_share` is 2, but must be at most 1",
    ),
    ("keep = 0.5", "keep = 0.5\nfloor = 1.5", "9:9: `select.floor` is 1.5, but must be at most 1"),
    ("keep = 0.5", "keep = 0.5\ncap = 0", "9:7: `select.cap` is 0, but must be at least 1"),
    (
        "keep = 0.5",
        "keep = 0.5\ncap = 'all'",
        "9:7: `select.cap` is a string, but takes an integer or a number",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ntarget = 'cat'",
        "9:10: `select.target` is a string, but takes a table",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\n[select.target]\ncat = 0.5\ndog = '0.5'",
        "11:7: `select.target.dog` is a string, but takes a number",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ntarget = { cat = 1.5, dog = -0.5 }",
        "9:18: `select.target.cat` is 1.5, but must be at most 1",
    ),
    ("keep = 0.5", "keep = 0.5\ntarget = {}", "9:10: `select.target` must not be empty"),
    (
        "seed = 1",
        "score.outputs = 'train'",
        "1:17: `train` is not a value of `score.outputs`; did you mean `training`? One of: clean, training",
    ),
    (
        "seed = 1",
        "folds.duplicates = true",
        "1:20: `folds.duplicates` is a boolean, but takes one of ignore, together",
    ),
    ("seed = 1", "seed = -1", "1:8: `seed` is -1, but must be at least 0"),
    (
        "seed = 1",
        "seed = 99999999999999999999",
        "1:8: `seed` is 99999999999999999999, but must be a finite number of 64 bits",
    ),
    (
        "seed = 1",
        "mode = 'fiting'",
        "1:8: `fiting` is not a mode; did you mean `fitting`? One of: unseen, fitting",
    ),
    ("seed = 1", "train = 5", "1:9: `train` is an integer, but takes a table"),
    (
        "seed = 1",
        "train.optimizer = 'adam'",
        "1:19: `adam` is not an optimizer; did you mean `adamw`? One of: sgd, adamw",
    ),
    ("seed = 1", "train.lr = 0", "1:12: `train.lr` is 0, but must be more than 0"),
    ("seed = 1", "train.epochs = 0", "1:16: `train.epochs` is 0, but must be at least 1"),
    ("seed = 1", "train.momentum = 1", "1:18: `train.momentum` is 1, but must be less than 1"),
    ("seed = 1", "train.flip = 1", "1:14: `train.flip` is an integer, but takes true or false"),
    ("seed = 1", "model.hidden = [9, 0]", "1:20: `model.hidden[1]` is 0, but must be at least 1"),
    ("seed = 1", "folds.k = 1", "1:11: `folds.k` is 1, but must be at least 2"),
    ("seed = 1", "score.methods = []", "1:17: `score.methods` must not be empty"),
    (
        "seed = 1",
        "score.methods = 'el2n'",
        "1:17: `score.methods` is a string, but takes an array of strings",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = 10000000000000",
        "9:10: `select.stages` is 10000000000000, but must be at most 1000",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nmodels = 2000000000",
        "9:10: `select.models` is 2000000000, but must be at most 1000",
    ),
    (
        "seed = 1",
        "train.epochs = 9000000000000000000",
        "1:16: `train.epochs` is 9000000000000000000, but must be at most 1000000",
    ),
    (
        "seed = 1",
        "train.batch_size = 9000000000000000000",
        "1:20: `train.batch_size` is 9000000000000000000, but must be at most 1000000",
    ),
    (
        "seed = 1",
        "train.warmup_epochs = 1e300",
        "1:23: `train.warmup_epochs` is 1e300, but must be at most 1000000",
    ),
    ("seed = 1", "train.crop = 10001", "1:14: `train.crop` is 10001, but must be at most 10000"),
    (
        "seed = 1",
        "model.hidden = [4611686018427387904]",
        "1:17: `model.hidden[0]` is 4611686018427387904, but must be at most 1000000",
    ),
    (
        "seed = 1",
        "model.width = 100001",
        "1:15: `model.width` is 100001, but must be at most 100000",
    ),
    ("seed = 1", "model.blocks = 21", "1:16: `model.blocks` is 21, but must be at most 20"),
    ("seed = 1", "folds.k = 10001", "1:11: `folds.k` is 10001, but must be at most 10000"),
    ("image = 'image'", "image = ''", "5:9: `data.image` must not be empty"),
    (
        "image = 'image'",
        "image = 'image'\nresize = [32]",
        "6:10: `data.resize` takes 2 items, but has 1",
    ),
    (
        "'runs/a'",
        "'runs/a'\nshard_bytes = '5XB'",
        "12:15: `5XB` is not a size: write 500MB, 2GiB or a number",
    ),
];

const BROKEN_LAWS: &[(&str, &str, &str)] = &[
    ("image = 'image'", "", "3:2: [data] needs `image` or `features`: the column that models see"),
    (
        "image = 'image'",
        "image = 'image'\nfeatures = 'f'",
        "6:1: [data] has `image` and `features`; models see one of them",
    ),
    (
        "image = 'image'",
        "features = 'f'\nresize = [8, 8]",
        "6:1: `data.resize` is for images, but the recipe has no `data.image`",
    ),
    (
        "image = 'image'",
        "features = 'f'\n[model]\narch = 'convnet'",
        "7:1: `convnet`, ResNets and `vit_tiny` take images, but the recipe has no `data.image`; use `mlp` or \
         `linear`",
    ),
    (
        "image = 'image'",
        "features = 'f'\n[train]\nflip = true",
        "7:1: `train.flip` is for images, but the recipe has no `data.image`",
    ),
    (
        "image = 'image'",
        "features = 'f'\n[train]\ncrop = 4",
        "7:1: `train.crop` is for images, but the recipe has no `data.image`",
    ),
    ("image = 'image'", "features = ['a', 'a']", "5:1: `data.features` names a column twice"),
    (
        "keep = 0.5",
        "",
        "7:2: [select] needs `keep` or `prune` (a share), `keep_rows` (a number) or `budget`",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nprune = 0.5",
        "9:1: [select] has `keep` and `prune`; give one of them",
    ),
    (
        "keep = 0.5",
        "prune = 0.3\nstages = [0.3, 0.3]",
        "9:1: `select.stages` sums to 0.6, but `1 - select.prune` is 0.7",
    ),
    (
        "keep = 0.5",
        "prune = 0.3\ndrop_hardest = 0.4",
        "9:1: `select.drop_hardest` (0.4) leaves less than 1 - `select.prune` (0.7) asks for",
    ),
    (
        "keep = 0.5",
        "budget = { column = 'bytes', total = 5, share = 0.5 }",
        "8:1: `select.budget` takes either `total` or `share`",
    ),
    (
        "keep = 0.5",
        "budget = { column = 'bytes', share = 0.5 }\nstrategy = 'random'",
        "9:1: `select.budget` buys what is wanted most for its cost; it goes with the strategies `top` and `auto` alone",
    ),
    (
        "keep = 0.5",
        "budget = { column = 'bytes', share = 0.5 }\ncap = 5",
        "8:1: with `select.budget` the number of samples is open, so `classes`, `floor`, `cap`, `target` and `quota` cannot hold; drop them, or keep a share",
    ),
    (
        "keep = 0.5",
        "budget = { column = 'bytes', total = 5 }\nstages = [0.5, 0.5]",
        "9:1: `select.stages` as shares needs `select.budget.share`; with `total`, give a number",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstrategy = 'random_stratified'\ncap = 5",
        "9:1: `random_stratified` says what every class keeps: its share; use `random` with other rules for classes",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstrategy = 'auto'\n[judge]\nseeds = 0",
        "9:1: the strategy `auto` lets the judge choose, but `judge.seeds` is 0: give it seeds, or name a strategy",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nquota = [{ min = 5 }]",
        "9:1: a `select.quota` speaks of one cell (`is`) or of every cell of some columns (`each`)",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nquota = [{ each = ['a', 'a'], min = 5 }]",
        "9:1: a `select.quota` names a column twice",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nquota = [{ each = ['a'] }]",
        "9:1: a `select.quota` needs `min`, `max`, `min_of_kept` or `max_of_kept`",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nquota = [{ each = ['a'], min = 5, max = 4 }]",
        "9:1: a `select.quota` asks for more than it allows: its minimum is above its maximum",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nby = 'entrpy'",
        "9:1: `select.by` is `entrpy`, which is no score; did you mean `entropy`?",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\n[[score.own]]\nname = 'margin'\nsql = 'el2n'",
        "9:9: `score.own` has a score named `margin`, which is a method; give it another name",
    ),
    (
        "seed = 1",
        "join = [{ uri = 'a.txt' }]",
        "1:1: a [[join]] is a table in one file: its `uri` ends in .parquet, .csv, .json, .jsonl or .ndjson",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nkeep_rows = 9",
        "9:1: [select] has `keep` and `keep_rows`; give one of them",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = [0.2, 0.2]",
        "9:1: `select.stages` sums to 0.4, but `select.keep` is 0.5",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = [0.6, -0.1]",
        "9:1: each share in `select.stages` must be more than 0",
    ),
    (
        "keep = 0.5",
        "keep_rows = 9\nstages = [0.5]",
        "9:1: `select.stages` as shares needs `select.keep`; with `keep_rows`, give a number",
    ),
    (
        "keep = 0.5",
        "keep_rows = 2",
        "8:1: each of the 3 stages adds a row, so `select.keep_rows` must be at least 3",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ndrop_hardest = 0.6",
        "9:1: `select.drop_hardest` (0.6) leaves less than `select.keep` (0.5) asks for",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nstages = 2\n[folds]\nby = 'hash'\nstratify = true",
        "12:1: folds by hash cannot be stratified: the hash alone decides; use `by = \"random\"`",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\n[folds]\nduplicates = 'together'\nstratify = true",
        "11:1: folds that keep duplicates together cannot be stratified: they move as one; drop `stratify`, or `duplicates` and `near`",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\nfloor = 0.6\ncap = 0.5",
        "9:1: `select.floor` is above `select.cap`: no class can keep both",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ntarget = { cat = 0.5, dog = 0.4 }",
        "9:1: the shares in `select.target` sum to 0.9, but must sum to 1",
    ),
    (
        "keep = 0.5",
        "keep = 0.5\ntarget = { cat = 1 }\ncap = 0.5",
        "9:1: `select.target` says what every class keeps: drop it, or `select.classes`, `floor` and `cap`",
    ),
    (
        "seed = 1",
        "device = 'gpu'",
        "1:1: `gpu` is not a device; write `cpu`, `cuda:0`, `cuda:0,1` for several, or `cuda` for all",
    ),
    ("seed = 1", "device = 'cuda:1,1'", "1:1: `cuda:1,1` names device 1 twice"),
    (
        "seed = 1",
        "train.precision = 'bf16'",
        "1:7: `bf16` and `f16` are for CUDA devices, on the CPU they are slower than `f32`: set `train.precision` to `f32`, or `device` to `cuda`",
    ),
    (
        "seed = 1",
        "model.hidden = []",
        "1:7: `mlp` needs a hidden layer: set `model.hidden`, or use `linear`",
    ),
    (
        "seed = 1",
        "train.momentum = 0",
        "1:7: Nesterov momentum needs `train.momentum` above 0; set it, or set `train.nesterov` to false",
    ),
    (
        "seed = 1",
        "train = { warmup_epochs = 9, epochs = 3 }",
        "1:11: the warm-up takes 9 epochs, but `train.epochs` is 3",
    ),
    (
        "seed = 1",
        "train.step_epochs = [3]",
        "1:7: `train.step_epochs` needs `train.schedule` to be `step`",
    ),
    (
        "seed = 1",
        "train.schedule = 'step'",
        "1:7: the schedule `step` needs `train.step_epochs`: the epochs at which the rate falls",
    ),
    (
        "seed = 1",
        "train = { schedule = 'step', step_epochs = [3, 3] }",
        "1:30: `train.step_epochs` must ascend",
    ),
    (
        "'runs/a'",
        "'runs/a'\nsplit = 'a-b'",
        "12:1: `a-b` is not a split name; use letters, digits and _",
    ),
    (
        "'runs/a'",
        "'runs/a'\nrow_group_bytes = '10'",
        "12:1: `output.row_group_bytes` must be at least 1000",
    ),
    (
        "'runs/a'",
        "'runs/a'\nshard_bytes = '1MB'",
        "12:1: a shard holds whole row groups, so `output.shard_bytes` must not be below `output.row_group_bytes`",
    ),
    (
        "'runs/a'",
        "'in/a.parquet'",
        "11:1: `output.uri` (in/a.parquet) lies inside the input in/a.parquet: the run would read what it writes; choose a directory outside of it",
    ),
    (
        "'runs/a'",
        "'ftp://b/a'",
        "11:1: `output.uri` is ftp://b/a, but ftp:// is not known; paths, file://, s3://, gs:// and az:// are",
    ),
    (
        "'in/a.parquet'",
        "['x', 's3://key:secret@b/a']",
        "4:1: `data.uri` is s3://***@b/a: credentials do not belong into an address, where logs and files would show them; use the environment or a profile",
    ),
    (
        "'in/a.parquet'",
        "'${THERE}/a'",
        "4:1: `data.uri` needs the environment variable THERE: run `export THERE=...` first",
    ),
    (
        "'runs/a'",
        "'~/runs/a'",
        "11:1: `output.uri` is ~/runs/a, but only a shell knows `~`: write ${HOME}/... instead",
    ),
    (
        "'in/a.parquet'",
        "['x', '~/a']",
        "4:1: `data.uri` is ~/a, but only a shell knows `~`: write ${HOME}/... instead",
    ),
    ("'runs/a'", "'${HERE/a'", "11:1: `output.uri` has a `${` without its `}`"),
];

#[test]
fn wrong_recipes_are_refused_in_exact_words() {
    let all = [WRONG_KEYS, WRONG_VALUES, BROKEN_LAWS].concat().into_iter();
    let told = all.map(|(from, to, expected)| (refused(from, to), format!("r.toml:{expected}")));
    let other: Vec<_> = told.filter(|(told, expected)| told != expected).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert_eq!(refusal("", &[]), "r.toml:1:1: missing table [data] (The dataset)");
}
