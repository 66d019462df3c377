//! What fresh models reach, if the run was evaluated.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::types::Measured;
use crate::error::Result;
use crate::run::evaluate::evaluations_of;
use crate::run::rows::{column, texts};
use crate::storage::Ledger;

/// The measures of the table of evaluations.
const MEASURES: [&str; 4] = ["accuracy", "worst_class", "class_spread", "ece"];

/// The evaluations of a run, one for each subset, test and budget; none if it has none. Shares and
/// samples are those of the first seed.
pub(super) fn evaluations(run: &Ledger) -> Result<Vec<Measured>> {
    evaluations_of(run)?.map_or_else(|| Ok(Vec::new()), |table| grouped(&table))
}

fn grouped(table: &RecordBatch) -> Result<Vec<Measured>> {
    let [test, budget, subset] =
        [texts(table, "test")?, texts(table, "budget")?, texts(table, "subset")?];
    let tested = column(table, "test_samples")?.as_primitive::<Int64Type>();
    let samples = column(table, "samples")?.as_primitive::<Int64Type>();
    let keep = column(table, "keep")?.as_primitive::<Float64Type>();
    let mut found: BTreeMap<_, Measured> = BTreeMap::new();
    for at in 0..table.num_rows() {
        let said = |texts: &[Option<String>]| texts[at].clone().unwrap_or_default();
        // Random subsets may differ in size from seed to seed, where some of their samples are held out.
        let key = (said(&test), tested.value(at), said(&budget), said(&subset));
        let entry = found.entry(key).or_insert_with(|| Measured {
            test: said(&test),
            test_samples: tested.value(at) as u64,
            budget: said(&budget),
            subset: said(&subset),
            keep: keep.value(at),
            samples: samples.value(at) as u64,
            measures: BTreeMap::new(),
        });
        for name in MEASURES {
            let value = column(table, name)?.as_primitive::<Float64Type>().value(at);
            entry.measures.entry(name.to_owned()).or_default().push(value);
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn seeds_of_one_subset_belong_together() {
        let texts = |values: [&'static str; 3]| Arc::new(StringArray::from(values.to_vec()));
        let ones = || Arc::new(Float64Array::from(vec![1.0; 3])) as ArrayRef;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("test", texts(["t"; 3])),
            ("budget", texts(["epochs"; 3])),
            ("subset", texts(["random", "coreset", "random"])),
            ("test_samples", Arc::new(Int64Array::from(vec![7; 3]))),
            ("samples", Arc::new(Int64Array::from(vec![5; 3]))),
            ("keep", Arc::new(Float64Array::from(vec![0.5; 3]))),
            ("accuracy", Arc::new(Float64Array::from(vec![0.1, 0.2, 0.3]))),
            ("worst_class", ones()),
            ("class_spread", ones()),
            ("ece", ones()),
        ];
        let found = grouped(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|e| (e.subset.as_str(), e.test_samples, e.measures["accuracy"].clone()))
            .collect();
        assert_eq!(told, [("coreset", 7, vec![0.2]), ("random", 7, vec![0.1, 0.3])]);
    }
}
