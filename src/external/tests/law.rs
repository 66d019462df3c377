//! Every way in which predictions can break their contract.

use super::*;

/// The error of the toy after `change`.
fn refused(change: impl FnOnce(&mut Vec<Said>)) -> String {
    let mut said = toy();
    change(&mut said);
    Place::new().score(&said, |_| {}).unwrap_err().to_string()
}

type Change = fn(&mut Vec<Said>);

#[test]
fn predictions_that_cannot_be_scored_are_named() {
    let cases: [(Change, &str); 8] = [
        (
            |s| s[1].3.push(0.0),
            "1 prediction with another number of logits than the usual 2: `s4` by model `a` has 3",
        ),
        (|s| s[2].3[1] = f32::NAN, "`s1` by model `b` is NaN or null for class 1"),
        (|s| s[2].3[0] = f32::INFINITY, "`s1` by model `b` is infinite for class 0"),
        (|s| s[3].4 = 2, "`s2` has 2"),
        (|s| s[3].4 = -1, "sample `s2` has the label -1"),
        (
            |s| {
                let twice = s[0].clone();
                s.push(twice);
            },
            "given twice: `s3` by model `a` in epoch 0",
        ),
        (
            |s| {
                s.push(("s1", "a", 0, vec![0.0, 1.0], 0));
            },
            "trained on the sample: `s1` by model `a`; leave them out with --drop-seen",
        ),
        (
            |s| {
                s.remove(3);
            },
            "1 sample without a score: `s2`",
        ),
    ];
    for (change, says) in cases {
        let error = refused(change);
        assert!(error.contains(says), "{error}\ndoes not say: {says}");
    }
    let contradiction = refused(|s| {
        s.push(("s1", "b", 1, vec![0.0, 1.0], 1));
    });
    assert!(contradiction.contains("sample `s1` has the labels 0 and 1"), "{contradiction}");
}

#[test]
fn probabilities_must_be_a_distribution() {
    let cases: [(&[f32], &str); 3] = [
        (&[0.9, 0.4], "`s3` by model `a` has probabilities that sum to 1.3000, not 1"),
        (&[-0.1, 1.1], "has the probability -0.1 for class 0"),
        (&[f32::NAN, 1.0], "is NaN or null for class 0"),
    ];
    for (row, says) in cases {
        let mut said = toy();
        for s in &mut *said {
            s.3 = vec![0.25, 0.75];
        }
        said[0].3 = row.to_vec();
        let place = Place::new();
        let predictions = place.write("p.parquet", columns(&said, "probabilities"));
        let members = place.members(&MEMBERS);
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn epochs_must_be_whole() {
    let mut gap = trained();
    gap.retain(|s| s.2 != 2);
    let error = Place::new().score(&gap, |_| {}).unwrap_err().to_string();
    let says =
        "4 pairs of sample and model with a gap in their epochs: `s3` by model `a` has [1, 3]";
    assert!(error.contains(says), "{error}");
    // The odd one is named, be it the first or another.
    for (id, model) in [("s3", "a"), ("s2", "b")] {
        let mut short = trained();
        short.retain(|s| !(s.0 == id && s.2 == 3));
        let error = Place::new().score(&short, |_| {}).unwrap_err().to_string();
        let says = format!(
            "1 pair of sample and model with other epochs than 1 to 3: `{id}` by model `{model}` has 1 to 2"
        );
        assert!(error.contains(&says), "{error}");
    }
}

#[test]
fn members_must_fit_the_predictions() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("s1", "a"), ("s3", "c")], "1 model of the members table without predictions: `c`"),
        (&[("s1", "a"), ("s2", "a")], "1 model without members: `b`"),
        (&[("s1", "a"), ("s9", "b")], "1 sample without a score: `s9`"),
    ];
    for (members, says) in cases {
        let place = Place::new();
        let predictions = place.write("p.parquet", columns(&toy(), "logits"));
        let members = place.members(members);
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&toy(), "logits"));
    let error = place.score_tables(&predictions, None, |_| {}).unwrap_err();
    assert!(
        error.exit_code() == 2 && error.to_string().contains("--members is missing"),
        "{error}"
    );
}

#[test]
fn what_a_model_saw_is_dropped_on_request_and_fine_in_fitting_mode() {
    let mut said = toy();
    said.push(("s1", "a", 0, vec![0.0, 1.0], 0));
    let scored = Place::new().score(&said, |ask| ask.drop_seen = true).unwrap();
    assert_eq!((scored.rows, scored.dropped), (4, 1));
    let fitting: Vec<Said> = toy().into_iter().map(|s| (s.0, "all", s.2, s.3, s.4)).collect();
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&fitting, "logits"));
    let fit = |ask: &mut Ask| ask.mode = Mode::Fitting;
    assert_eq!(place.score_tables(&predictions, None, fit).unwrap().rows, 4);
    let table = place.table(&[Method::Margin, Method::El2n]);
    assert_eq!(table["fold"].null_count(), 4);
}

#[test]
fn samples_need_equally_many_scores() {
    let error = refused(|s| {
        s.push(("s1", "c", 0, vec![0.0, 1.0], 0));
    });
    assert!(error.contains("1 model without members: `c`"), "{error}");
    let mut said = toy();
    said.push(("s1", "c", 0, vec![0.0, 1.0], 0));
    let place = Place::new();
    let predictions = place.write("p.parquet", columns(&said, "logits"));
    let members = place.members(&[&MEMBERS[..], &[("s4", "c")]].concat());
    let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1 sample with another number of scores than the usual 1: `s1` has 2"),
        "{error}"
    );
}

#[test]
fn labels_may_come_from_a_table_of_their_own() {
    let bare = || -> Vec<(&'static str, ArrayRef)> {
        columns(&toy(), "logits").into_iter().filter(|(name, _)| *name != "label").collect()
    };
    let with = |ids: &[&str], labels: Vec<i64>| {
        let place = Place::new();
        let (predictions, members) = (place.write("p.parquet", bare()), place.members(&MEMBERS));
        let labels: ArrayRef = Arc::new(Int64Array::from(labels));
        let labels = place.write("l.parquet", vec![("id", texts(ids)), ("label", labels)]);
        place
            .score_tables(&predictions, Some(&members), |ask| ask.labels = Some(labels.clone()))
            .map_err(|e| e.to_string())
    };
    assert_eq!(with(&["s1", "s2", "s3", "s4"], vec![0, 1, 0, 1]).unwrap().models[1].accuracy, 0.5);
    let cases = [
        (
            with(&["s1", "s2", "s3"], vec![0, 1, 0]),
            "1 sample with predictions but without a row in the labels table: `s4`",
        ),
        (
            with(&["s1", "s2", "s3", "s4", "s1"], vec![0; 5]),
            "given twice in the labels table: `s1`",
        ),
        (with(&["s1", "s2", "s3", "s4", "s5"], vec![0; 5]), "1 sample without a score: `s5`"),
        (with(&["s1", "s2", "s3", "s4"], vec![0, 1, 0, 7]), "`s4` has 7"),
    ];
    for (found, says) in cases {
        let error = found.unwrap_err();
        assert!(error.contains(says), "{error}\ndoes not say: {says}");
    }
    let place = Place::new();
    let (predictions, members) = (place.write("p.parquet", bare()), place.members(&MEMBERS));
    let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err().to_string();
    assert!(error.contains("or from --labels") && error.contains("no column `label`"), "{error}");
}

#[test]
fn columns_of_other_types_are_named() {
    let cases: [(usize, &'static str, ArrayRef, &str); 5] = [
        (
            0,
            "id",
            Arc::new(Float64Array::from(vec![1.0; 4])),
            "the column `id` is Float64, but must hold strings and integers",
        ),
        (
            1,
            "modl",
            texts(&["a"; 4]),
            "there is no column `model`; it has `id`, `modl`, `logits`, `label`",
        ),
        (
            2,
            "logits",
            texts(&["a"; 4]),
            "the column `logits` is Utf8, but must hold lists of numbers",
        ),
        (2, "scores", texts(&["a"; 4]), "needs a column `logits` or a column `probabilities`"),
        (
            0,
            "id",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), None])),
            "row 1 has no `id` (null)",
        ),
    ];
    for (at, name, values, says) in cases {
        let place = Place::new();
        let mut columns = columns(&toy(), "logits");
        columns[at] = (name, values);
        let (predictions, members) = (place.write("p.parquet", columns), place.members(&MEMBERS));
        let error = place.score_tables(&predictions, Some(&members), |_| {}).unwrap_err();
        assert!(error.to_string().contains(says), "{error}\ndoes not say: {says}");
    }
}

#[test]
fn methods_that_predictions_do_not_suffice_for_are_refused() {
    let cases = [
        (Method::Herding, 1, "there is no column `embedding`"),
        (Method::Grand, 1, "there is no column `embedding`"),
        (Method::Forgetting, 2, "needs a column `epoch`"),
    ];
    for (method, code, says) in cases {
        let error = Place::new().score(&toy(), |ask| ask.methods = vec![method]).unwrap_err();
        assert!(error.exit_code() == code && error.to_string().contains(says), "{error}");
    }
    let short = Place::new().score(&trained(), |ask| ask.methods = vec![Method::Tdds]);
    let error = short.unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("window"), "{error}");
}

#[test]
fn embeddings_that_cannot_be_compared_are_named() {
    let wrong: [(Vec<f32>, &str); 2] = [
        (
            vec![0.0, 1.0],
            "another number of coordinates than the usual 3: `s03` by model `b` has 2",
        ),
        (vec![0.0, f32::NAN, 1.0], "`s03` by model `b` is NaN or null for coordinate 1"),
    ];
    for (row, says) in wrong {
        let place = Place::new();
        let (mut columns, mut points) = embedded();
        points[3] = row;
        columns[4].1 = lists(&points);
        let predictions = place.write("predictions.parquet", columns);
        let ask = |ask: &mut Ask| (ask.mode, ask.methods) = (Mode::Fitting, vec![Method::KCenter]);
        let error = place.score_tables(&predictions, None, ask).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
