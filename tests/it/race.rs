//! Sixteen writers race for one record, a hundred times, on every kind of store: one wins, and all
//! of them know who. A store that overwrites is found out by the same check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Barrier, Mutex};

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use unseen::storage::{Dir, FORMAT, Ledger, Record, Recorded, Written};

use crate::server::Bucket;
use crate::support::{Place, dir};

const WRITERS: usize = 16;
const ROUNDS: usize = 100;

/// What the writers of one round said: who won, and whom they saw win.
#[derive(Default)]
struct Round {
    winners: Vec<usize>,
    seen: BTreeSet<String>,
}

/// What `commit` answers: whether this writer won, and which attempt stands.
type Answer = unseen::Result<(bool, String)>;

/// Runs the race. A writer that fails is an error of the whole race, after all have come to an end.
fn race(commit: impl Fn(usize, usize) -> Answer + Sync) -> unseen::Result<Vec<Round>> {
    let start = Barrier::new(WRITERS);
    let rounds: Mutex<Vec<Round>> = Mutex::new((0..ROUNDS).map(|_| Round::default()).collect());
    let failed = Mutex::new(Ok(()));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (start, rounds, failed, commit) = (&start, &rounds, &failed, &commit);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    start.wait();
                    match commit(round, writer) {
                        Ok((won, stands)) => {
                            let round = &mut rounds.lock().unwrap()[round];
                            round.winners.extend(won.then_some(writer));
                            round.seen.insert(stands);
                        }
                        Err(e) => *failed.lock().unwrap() = Err(e),
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()?;
    Ok(rounds.into_inner().unwrap())
}

/// Rounds that had not exactly one winner, known to all.
fn disputed(rounds: &[Round]) -> usize {
    let clear = |r: &&Round| r.winners.len() == 1 && r.seen.iter().eq([&attempt(r.winners[0])]);
    rounds.len() - rounds.iter().filter(clear).count()
}

fn attempt(writer: usize) -> String {
    format!("writer-{writer}")
}

/// The race for a task's record.
fn records(place: &Dir) -> unseen::Result<Vec<Round>> {
    let ledger = Ledger::new(place.clone(), "race");
    race(|round, writer| {
        let record = Record {
            format: FORMAT,
            run: "race".to_owned(),
            task: format!("task-{round}"),
            attempt: attempt(writer),
            inputs: vec![],
            outputs: vec![],
            seed: 0,
            device: "cpu".to_owned(),
            facts: BTreeMap::new(),
        };
        Ok(match ledger.commit(&record)? {
            Recorded::Won(record) => (true, record.attempt),
            Recorded::Lost(record) => (false, record.attempt),
        })
    })
}

/// The race for a plain create-only object.
fn objects(place: &Dir) -> unseen::Result<Vec<Round>> {
    race(|round, writer| {
        let path = format!("objects/{round}");
        let written = place.create(&path, attempt(writer).into_bytes())?;
        let stands = String::from_utf8(place.read(&path)?.to_vec()).unwrap();
        Ok((written == Written::Created, stands))
    })
}

fn one_winner_each_round(place: &Dir) {
    assert_eq!(disputed(&records(place).unwrap()), 0, "records in {}", place.uri());
    assert_eq!(disputed(&objects(place).unwrap()), 0, "objects in {}", place.uri());
}

#[test]
fn one_of_sixteen_writers_wins_in_memory() {
    one_winner_each_round(&Dir::on(Arc::new(InMemory::new()), "memory:"));
}

#[test]
fn one_of_sixteen_writers_wins_on_local_disk() {
    let place = Place::new();
    one_winner_each_round(&dir(&place.text("run")));
}

#[test]
fn one_of_sixteen_writers_wins_on_s3() {
    let Some(bucket) = Bucket::open("race") else { return };
    one_winner_each_round(&dir(&bucket.uri("run")));
}

#[test]
fn the_race_finds_out_a_store_that_overwrites() {
    let overwriting = Dir::on(Arc::new(Overwriting(Arc::new(InMemory::new()))), "memory:");
    assert!(disputed(&records(&overwriting).unwrap()) > 0);
    assert!(disputed(&objects(&overwriting).unwrap()) > 0);
}

#[test]
fn the_race_finds_out_an_s3_store_that_overwrites() {
    let Some(bucket) = Bucket::open("overwriting-race") else { return };
    let store = Arc::clone(dir(&bucket.uri("")).store().0);
    let overwriting = Dir::on(Arc::new(Overwriting(store)), &bucket.uri("run"));
    assert!(disputed(&records(&overwriting).unwrap()) > 0);
}

/// A store for which "create" means "overwrite".
#[derive(Debug)]
struct Overwriting(Arc<dyn ObjectStore>);

impl fmt::Display for Overwriting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an overwriting store")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Overwriting {
    async fn put_opts(&self, at: &Path, put: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(at, put, PutOptions { mode: PutMode::Overwrite, ..options }).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
