//! The page, the pictures and the records of a finished run.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, StringArray};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use serde_json::Value;

use crate::judging::SUREST;
use crate::support::{Place, Toy, run, succeed, toy_recipe, write_parquet};

/// Names that try to leave their place.
const HOSTILE: [&str; 3] =
    ["</style><script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>", "a & b \u{202E}"];

/// Toy rows with hostile ids, classes and texts, one of which cannot be used.
fn write_hostile(place: &Place) {
    let toy = Toy::new(240, 3);
    let rows = 0..240;
    let ids = rows.clone().map(|i| format!("<id {i:03}>"));
    let classes = rows.clone().map(|i| HOSTILE[i % 3]);
    let texts = rows.map(|i| format!("<b>{i}</b></blockquote>"));
    let mut values: Vec<f32> = toy.features.iter().flatten().copied().collect();
    values[14] = f32::NAN;
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = FixedSizeListArray::new(item, 2, Arc::new(Float32Array::from(values)), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from_iter_values(ids))),
        ("label", Arc::new(StringArray::from_iter_values(classes))),
        ("features", Arc::new(vectors)),
        ("words", Arc::new(StringArray::from_iter_values(texts))),
    ];
    write_parquet(&place.path("toy.parquet"), &RecordBatch::try_from_iter(columns).unwrap(), 64);
}

/// Runs the toy recipe and gives the run's address.
fn pruned(place: &Place, name: &str, set: &[&str]) -> String {
    if !place.path("toy.parquet").exists() {
        write_hostile(place);
    }
    let text = toy_recipe(&place.text("toy.parquet"), &place.text(name), "");
    let recipe = place.recipe(&format!("{name}.toml"), &text);
    let mut args = vec!["run", &recipe, "--quiet", "--set", "data.max_quarantined=0.1"];
    set.iter().for_each(|set| args.extend(["--set", set]));
    succeed(&args);
    place.text(name)
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path(name)).unwrap()
}

#[test]
fn a_report_has_each_part_and_holds_hostile_names() {
    let place = Place::new();
    let unseen = pruned(&place, "run", &["score.label_errors=true"]);
    let fitting = pruned(&place, "fitting", &["mode=fitting", "select.stages=1"]);
    let told = succeed(&["report", &unseen, "--against", &fitting]);
    assert!(told.contains(&format!("{unseen}/report.html")), "{told}");
    let page = read(&place, "run/report.html");
    for part in [
        "summary",
        "scores",
        "agreement",
        "stages",
        "classes",
        "samples",
        "labels",
        "quarantine",
        "provenance",
    ] {
        assert!(page.contains(&format!("<section id=\"{part}\"")), "no {part}");
        assert!(page.contains(&format!("<a href=\"#{part}\">")), "no link to {part}");
    }
    assert!(!page.contains("<section id=\"evaluation\""), "nobody evaluated");
    for wanted in [
        "fitting: models saw what they scored",
        "Held against",
        "&lt;id 007&gt;",
        "unseen verify",
        "features = ",
    ] {
        assert!(page.contains(wanted), "{wanted} is missing");
    }
    harmless(&page);
    // What is still valid is still proved.
    succeed(&["verify", &unseen]);
    let again = place.text("again.html");
    succeed(&["report", &unseen, "--against", &fitting, "--out", &again]);
    assert_eq!(read(&place, "again.html"), page, "the same run gives the same bytes");
    // Its own place is that of the newest one; another file is replaced if that is asked for.
    std::fs::write(place.path("run/report.html"), "old").unwrap();
    succeed(&["report", &unseen, "--against", &fitting]);
    assert_eq!(read(&place, "run/report.html"), page);
    std::fs::write(&again, "mine").unwrap();
    let taken = run(&["report", &unseen, "--out", &again]);
    let error = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(!taken.status.success() && error.contains("is there already"), "{error}");
    assert_eq!(read(&place, "again.html"), "mine");
    succeed(&["report", &unseen, "--against", &fitting, "--out", &again, "--replace"]);
    assert_eq!(read(&place, "again.html"), page);
}

#[test]
fn an_evaluated_run_says_what_it_is_worth() {
    let place = Place::new();
    let run_dir = pruned(&place, "run", &["data.filter=id < '<id 160>'", "train.epochs=20"]);
    let page = || {
        succeed(&["report", &run_dir]);
        read(&place, "run/report.html")
    };
    succeed(&["evaluate", &run_dir, "-q", "--seeds", "2"]);
    let held_out = page();
    for wanted in [
        "<section id=\"evaluation\"",
        "<a href=\"#evaluation\">",
        "No test data were given",
        "samples held out of the training data:",
        "class=\"whisker a\"",
        "<dt>Accuracy</dt>",
    ] {
        assert!(held_out.contains(wanted), "{wanted} is missing");
    }
    harmless(&held_out);
    let told = held_out.matches("<p class=\"verdict").count();
    assert!(told >= 2, "in the head and in its section");

    // Test rows of its own go before; their condition is hostile, too.
    let rows = ["--test-filter", "id >= '<id 160>'"];
    succeed(&[&["evaluate", &run_dir, "-q", "--seeds", "2"], &rows[..]].concat());
    let both = page();
    let at = |text: &str| both.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(
        at("where id &gt;= &#39;&lt;id 160&gt;&#39; (content ") < at("No test data were given")
    );
    harmless(&both);

    let (svg, png) = (place.text("evaluation.svg"), place.text("evaluation.png"));
    succeed(&["plot", &run_dir, "--what", "evaluation", "--out", &svg, &png]);
    assert!(read(&place, "evaluation.svg").contains("where id &gt;= "));
    let picture = image::open(png).unwrap().to_rgb8();
    assert_eq!(picture.width(), 1440);
    let blue = picture.pixels().filter(|pixel| pixel.0 == [0, 0x72, 0xb2]).count();
    assert!(blue > 100, "the coreset's bar has its colour: {blue}");
}

#[test]
fn a_coreset_that_is_worse_than_random_cannot_be_overlooked() {
    let place = Place::new();
    Toy::new(300, 3).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = place.recipe("run.toml", &text);
    // The surest samples are of one class, or almost.
    let mut args = vec!["run", &recipe, "-q"];
    for set in [SUREST, "select.by=surest", "select.keep=0.1", "train.epochs=30"] {
        args.extend(["--set", set]);
    }
    succeed(&args);
    let told = succeed(&["evaluate", &place.text("run"), "-q", "--seeds", "4"]);
    assert!(told.contains("WORSE than a subset drawn at random"), "{told}");
    succeed(&["report", &place.text("run")]);
    let page = read(&place, "run/report.html");
    let head = page.split("</header>").next().unwrap();
    assert!(
        head.contains("<p class=\"verdict worse\"><strong>WORSE than random</strong>"),
        "{head}"
    );
}

/// Nothing runs, nothing is fetched, and nothing that came from the data is markup.
fn harmless(page: &str) {
    for never in [
        "<script",
        "<img src=x",
        "onerror=alert(2)>",
        "javascript:",
        "http://",
        "https://",
        "url(",
        "@import",
        "<link",
        "<iframe",
        "<b>1",
        "\u{202E}",
    ] {
        assert!(!page.contains(never), "the page holds {never}");
    }
    assert!(page.contains("&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("default-src 'none'"));
    // Each element that is opened is closed.
    for element in ["section", "table", "figure", "svg", "ul", "li", "details", "main", "style"] {
        let opened = page.matches(&format!("<{element}>")).count()
            + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
    assert_eq!(page.matches("<svg").count(), page.matches("role=\"img\" aria-label=").count());
}

#[test]
fn samples_are_shown_as_they_are_and_a_source_that_is_gone_is_told() {
    let place = Place::new();
    let run_dir = pruned(&place, "run", &[]);
    let page = |name: &str, more: &[&str]| {
        let out = place.text(name);
        succeed(&[&["report", &run_dir, "--out", &out], more].concat());
        read(&place, name)
    };
    assert!(page("bars.html", &[]).contains("aria-label=\"2 features from"));
    let texts = page("texts.html", &["--text", "words"]);
    assert!(texts.contains("<blockquote>&lt;b&gt;") && !texts.contains("features from"));
    let out = place.text("wrong.html");
    let wrong = run(&["report", &run_dir, "--text", "word", "--out", &out]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
    std::fs::rename(place.path("toy.parquet"), place.path("moved.parquet")).unwrap();
    let gone = page("gone.html", &[]);
    assert!(gone.contains("The source cannot be read, so there are ids only"), "no note");
    assert!(gone.contains("&lt;id 0") && !gone.contains("features from"));
}

#[test]
fn pictures_are_whole_files_and_what_is_not_there_is_said() {
    let place = Place::new();
    let run_dir = pruned(&place, "run", &["select.stages=1"]);
    let plot = |what: &str| {
        run(&["plot", &run_dir, "--what", what, "--out", &place.text(&format!("{what}.svg"))])
    };
    for what in ["scores", "agreement", "classes", "keep"] {
        assert!(plot(what).status.success(), "{what}");
        let svg = read(&place, &format!("{what}.svg"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(
            svg.contains("<title id=\"title\">") && svg.contains("<desc id=\"desc\">"),
            "{svg}"
        );
        assert!(!svg.contains("<script"), "{svg}");
    }
    let taken = plot("scores");
    assert!(String::from_utf8_lossy(&taken.stderr).contains("is there already"));
    let old = read(&place, "scores.svg");
    std::fs::write(place.path("scores.svg"), "old").unwrap();
    let out = place.text("scores.svg");
    succeed(&["plot", &run_dir, "--what", "scores", "--out", &out, "--replace"]);
    assert_eq!(read(&place, "scores.svg"), old);
    let none = run(&["plot", &run_dir, "--out", &place.text("sweep.svg")]);
    let error = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && error.contains("no sweep ended here"), "{error}");
    for (what, why) in [("stages", "selected in one stage"), ("evaluation", "unseen evaluate")] {
        let output = plot(what);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(why), "{error}");
    }
}

#[test]
fn a_run_that_is_not_finished_has_no_report() {
    let place = Place::new();
    Toy::new(60, 3).write(&place.path("toy.parquet"));
    let text = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let recipe = place.recipe("run.toml", &text);
    succeed(&["run", &recipe, "--begin"]);
    for command in ["report", "records"] {
        let output = run(&[command, &place.text("run")]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("the run is not finished"), "{error}");
    }
}

#[test]
fn records_say_what_the_manifest_says() {
    let place = Place::new();
    let run_dir =
        pruned(&place, "run", &["output.shard_bytes=2000", "output.row_group_bytes=1000"]);
    succeed(&["records", &run_dir]);
    let again = place.text("again");
    succeed(&["records", &run_dir, "--out", &again, "--license", "MIT", "--creator", "me"]);
    for same in ["openlineage.json", "mlflow_dataset.json"] {
        assert_eq!(
            read(&place, &format!("run/records/{same}")),
            read(&place, &format!("again/{same}"))
        );
    }
    // Here they are always those of the last call.
    succeed(&["records", &run_dir, "--license", "MIT"]);
    assert!(read(&place, "run/croissant.json").contains("MIT"));
    let json = |name: &str| -> Value { serde_json::from_str(&read(&place, name)).unwrap() };
    let manifest = json("run/manifest.json");
    let event = json("again/openlineage.json");
    let statistics = &event["outputs"][0]["outputFacets"]["outputStatistics"];
    assert_eq!(statistics["rowCount"], manifest["kept"]);
    assert_eq!(event["inputs"][0]["name"], place.text("toy.parquet"));
    let dataset = json("again/croissant.json");
    assert_eq!((&dataset["license"], &dataset["creator"]["name"]), (&"MIT".into(), &"me".into()));
    let files = dataset["distribution"].as_array().unwrap();
    assert!(files.len() > 2, "several shards and their set");
    for file in files.iter().filter(|file| file["@type"] == "cr:FileObject") {
        let path = file["contentUrl"].as_str().unwrap().strip_prefix("../run/").unwrap();
        assert!(place.path("again").join("../run").join(path).exists(), "{path}");
        let published = manifest["files"].as_array().unwrap().iter().find(|f| f["path"] == path);
        assert_eq!(file["sha256"], published.unwrap()["sha256"], "{path}");
    }
    let digest = manifest["selection_sha256"].as_str().unwrap();
    assert_eq!(json("again/mlflow_dataset.json")["digest"], digest[..10]);
    succeed(&["verify", &run_dir]);
}
