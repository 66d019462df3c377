//! The commands that ask about runs, and those that make tables beside or without a run.

use std::io::Write;
use std::path::Path;

use super::args::{
    Curve, Diff, Evaluate, Explain, Extend, FoldsOf, Plot, Records, Report, Score, Select,
    Stability, Sweep, storage,
};
use super::progress::Progress;
use super::{memory, pool, print, text};
use crate::error::Result;
use crate::external::{self, Scores, Selected};
use crate::recipe::{Recipe, Storage, parse};
use crate::records::{self, Said};
use crate::report;
use crate::run;
use crate::seed::Seed;
use crate::storage::{NewFile, read_text};

/// The place of a new table.
fn table(uri: &str, storage: &Storage) -> Result<NewFile> {
    NewFile::at(uri, storage)?.ending("parquet")
}

pub(super) fn explain(args: &Explain, out: &mut dyn Write) -> Result<()> {
    let told = run::explain(&args.on.run, &args.id, &args.on.storage()?)?;
    print(out, args.on.json, &told, text::explanation)
}

/// The place of a file that can be made again.
fn derived(uri: &str, replace: bool, storage: &Storage) -> Result<NewFile> {
    if replace { NewFile::over(uri, storage) } else { NewFile::at(uri, storage) }
}

/// The places of the files of a picture.
fn drawings(uris: &[String], replace: bool, storage: &Storage) -> Result<Vec<NewFile>> {
    uris.iter().map(|uri| derived(uri, replace, storage)).collect()
}

/// Draws into each file what its name says.
fn draw(chart: &report::Chart, places: &[NewFile]) -> Result<()> {
    for place in places {
        let png = Path::new(place.uri()).extension().is_some_and(|end| end == "png");
        place.write(if png { chart.png()? } else { chart.document().into_bytes() })?;
    }
    Ok(())
}

pub(super) fn curve(args: &Curve, out: &mut dyn Write) -> Result<()> {
    let storage = args.on.storage()?;
    let places = drawings(&args.plot, false, &storage)?;
    let curve = run::curve(&args.on.run, &storage)?;
    draw(&report::Plot::keep(&curve), &places)?;
    print(out, args.on.json, &curve, text::curve)
}

pub(super) fn diff(args: &Diff, out: &mut dyn Write) -> Result<()> {
    let found = run::diff(&args.a, &args.b, &storage(&args.storage)?)?;
    print(out, args.json, &found, text::difference)
}

/// Says whether all gates hold.
pub(super) fn evaluate(args: &Evaluate, out: &mut dyn Write) -> Result<bool> {
    pool(args.effort.threads)?;
    let job = run::Evaluate {
        run: &args.on.run,
        test: &args.test,
        filter: args.test_filter.as_deref(),
        seeds: args.seeds,
        budget: args.budget.map(Into::into),
        gates: &args.gate,
        storage: &args.on.storage()?,
        memory: memory(args.effort.memory),
        device: args.on_device.device.as_deref(),
    };
    let progress = Progress::new(args.effort.quiet);
    let evaluation = run::evaluate(&job, &progress);
    progress.finish();
    let evaluation = evaluation?;
    print(out, args.on.json, &evaluation, text::evaluation)?;
    Ok(evaluation.passed)
}

/// Says whether all gates hold.
pub(super) fn stability(args: &Stability, out: &mut dyn Write) -> Result<bool> {
    let job = run::StabilityJob {
        a: &args.a,
        b: args.b.as_deref(),
        by: args.by.as_deref(),
        keep: args.keep,
        gates: &args.gate,
        storage: &storage(&args.storage)?,
    };
    let found = run::stability(&job)?;
    print(out, args.json, &found, text::stability)?;
    Ok(found.passed)
}

pub(super) fn report(args: &Report, out: &mut dyn Write) -> Result<()> {
    let storage = args.on.storage()?;
    let place = derived(&args.out(), args.replaces(), &storage)?;
    let question = run::Question {
        run: &args.on.run,
        against: args.against.as_deref(),
        sweep: args.sweep.as_deref(),
        samples: true,
        text: args.text.as_deref(),
        storage: &storage,
    };
    let evidence = run::evidence(&question)?;
    place.write(report::page(&evidence))?;
    let told = |_: &run::Evidence| format!("Report     {}  (open it in a browser)\n", place.uri());
    print(out, args.on.json, &evidence, told)
}

pub(super) fn plot(args: &Plot, out: &mut dyn Write) -> Result<()> {
    let (storage, run) = (args.on.storage()?, &args.on.run);
    let places = drawings(&args.out, args.replace, &storage)?;
    let chart = match args.what {
        report::Plot::Sweep => report::Plot::sweep(&run::swept(run, &storage)?),
        report::Plot::Keep => report::Plot::keep(&run::curve(run, &storage)?),
        what => {
            let against = args.against.as_deref();
            let (sweep, text, samples) = (None, None, false);
            let question = run::Question { run, against, sweep, samples, text, storage: &storage };
            what.of(&run::evidence(&question)?)?
        }
    };
    draw(&chart, &places)?;
    let told: Vec<&str> = places.iter().map(NewFile::uri).collect();
    print(out, args.on.json, &told, |told| format!("Plot       {}\n", told.join("\n           ")))
}

pub(super) fn records(args: &Records, out: &mut dyn Write) -> Result<()> {
    let (storage, run) = (args.on.storage()?, args.on.run.trim_end_matches('/'));
    let said = Said {
        license: args.license.clone(),
        creator: args.creator.clone(),
        url: args.url.clone(),
    };
    let records = records::records(&run::finished(run, &storage)?, &said, args.out.as_deref())?;
    let place = |record: &records::Record| derived(&record.uri, args.out.is_none(), &storage);
    // All places are looked at before the first file is written.
    let places = records.iter().map(place).collect::<Result<Vec<_>>>()?;
    for (record, place) in records.iter().zip(&places) {
        place.write(record.text.clone())?;
    }
    let told: Vec<&str> = places.iter().map(NewFile::uri).collect();
    print(out, args.on.json, &told, |told| format!("Records    {}\n", told.join("\n           ")))
}

pub(super) fn folds(args: &FoldsOf, out: &mut dyn Write) -> Result<()> {
    let recipe = args.on.load()?;
    let place = table(&args.output, &recipe.storage)?;
    let folds = run::folds_of(recipe, memory(args.memory), &place)?;
    print(out, args.json, &folds, text::folds)
}

pub(super) fn score(args: &Score, out: &mut dyn Write) -> Result<()> {
    let (recipe, storage) = (args.recipe()?, storage(&args.to.storage)?);
    let place = table(&args.to.output, &storage)?;
    let errors = args.label_errors.as_ref().map(|uri| table(uri, &storage)).transpose()?;
    let job = external::Job {
        predictions: &args.predictions,
        members: args.members.as_deref(),
        labels: args.labels.as_deref(),
        mode: args.mode,
        drop_seen: args.drop_seen,
        score: &recipe.score,
        seed: &Seed::new(recipe.seed),
        storage: &storage,
    };
    print(out, args.to.json, &external::score(&job, &place, errors.as_ref())?, text::scored)
}

pub(super) fn select(args: &Select, out: &mut dyn Write) -> Result<()> {
    let (changes, storage) = (args.changes()?, storage(&args.storage)?);
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let place = output.map(|uri| table(uri, &storage)).transpose()?;
    let selected = match &args.run {
        Some(run) => run::select_again(run, &changes, &storage, place.as_ref())?,
        None => select_from_tables(args, place.as_ref())?,
    };
    print(out, args.json, &selected, text::selected)
}

fn select_from_tables(args: &Select, place: Option<&NewFile>) -> Result<Selected> {
    let (changes, given) = (args.changes()?, storage(&args.storage)?);
    let recipe = match &args.recipe {
        Some(path) => parse(&read_text(path)?, path, &[])?.in_one_step(&changes)?,
        None => Recipe::for_scores(&changes)?,
    };
    let storage = given.over(&recipe.storage);
    let mut scores = Scores::read(&args.scores, &recipe, &storage)?;
    if let Some(uri) = &args.metadata {
        scores = scores.beside(uri, &recipe.select, &storage)?;
    }
    scores.select_into(&recipe, place)
}

pub(super) fn extend(args: &Extend, out: &mut dyn Write) -> Result<()> {
    let storage = args.on.storage()?;
    let place = NewFile::at(&args.output, &storage)?;
    let job = run::Appended {
        run: &args.on.run,
        data: &args.data,
        filter: args.filter.as_deref(),
        by: args.by,
        storage: &storage,
        device: args.on_device.device.as_deref(),
    };
    print(out, args.on.json, &run::extend(&job, &place)?, text::extended)
}

pub(super) fn sweep(args: &Sweep, out: &mut dyn Write) -> Result<()> {
    pool(args.effort.threads)?;
    let progress = Progress::new(args.effort.quiet);
    let recipe = args.on.load()?;
    let swept = run::sweep(&recipe, memory(args.effort.memory), &progress);
    progress.finish();
    let swept = swept?;
    let place = format!("{}/sweep.svg", swept.uri.trim_end_matches('/'));
    draw(&report::Plot::sweep(&swept), &[NewFile::over(&place, &recipe.storage)?])?;
    print(out, args.json, &swept, |swept| format!("{}Plot       {place}\n", text::swept(swept)))
}
