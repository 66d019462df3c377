//! Every storage operation of a tiny run, on the input and on the run directory, goes wrong once in
//! each of four ways; the run is then resumed, and its results never differ.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use unseen::recipe::Storage;
use unseen::run::{Run, Silent};
use unseen::storage::Dir;

use crate::support::{Place, Toy, toy_recipe, write_parquet};

/// When the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The operation has no effect.
    Before,
    /// The operation has its effect, and the answer is lost.
    After,
    /// A read ends early, and nothing says so. Other operations fail as with [`Fault::After`].
    Short,
    /// The operation has its effect, and no answer ever comes.
    Hang,
}

/// A store whose `at`-th operation fails.
#[derive(Debug)]
struct Faulty {
    inner: Arc<InMemory>,
    at: usize,
    fault: Fault,
    operations: AtomicUsize,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failing store")
    }
}

impl Faulty {
    fn strikes(&self) -> bool {
        self.operations.fetch_add(1, Ordering::SeqCst) == self.at
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        if !self.strikes() {
            return operation.await;
        }
        if self.fault != Fault::Before {
            drop(operation.await);
        }
        if self.fault == Fault::Hang {
            std::future::pending::<()>().await;
        }
        Err(lost())
    }
}

fn lost() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "the connection is lost".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.run(self.inner.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run(self.inner.put_multipart_opts(at, options)).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        if self.fault != Fault::Short || options.head {
            return self.run(self.inner.get_opts(at, options)).await;
        }
        let strikes = self.strikes();
        let got = self.inner.get_opts(at, options).await?;
        if !strikes {
            return Ok(got);
        }
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let (attributes, extensions) = (got.attributes.clone(), got.extensions.clone());
        let bytes = got.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let payload = GetResultPayload::Stream(stream::iter([Ok(half)]).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match (self.strikes(), self.fault) {
            (false, _) => self.inner.list(prefix),
            (true, Fault::Hang) => stream::pending().boxed(),
            (true, _) => stream::iter([Err(lost())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        // As S3 answers; the way of local disk is that of the tests that kill.
        if options.mode == CopyMode::Create {
            let source = "no create-only copies".into();
            return self.run(async { Err(object_store::Error::NotSupported { source }) }).await;
        }
        self.run(self.inner.copy_opts(from, to, options)).await
    }
}

/// Time-outs that a store in memory never meets, unless it hangs.
fn patience() -> Storage {
    Storage { timeout_seconds: 0.05, retry_seconds: 0.0, ..Storage::default() }
}

/// Runs the recipe with input and run directory on one store; returns the manifest.
fn run_on<S: ObjectStore>(recipe: &str, store: &Arc<S>) -> unseen::Result<String> {
    let dir = |name: &str| {
        let below = PrefixStore::new(Arc::clone(store) as Arc<dyn ObjectStore>, name);
        Dir::on_with(Arc::new(below), &format!("memory:{name}"), &patience())
    };
    let recipe = unseen::recipe::parse(recipe, "toy.toml", &[])?;
    let run = Run::over(recipe, dir("run"), dir("data").objects()?)?;
    run.execute(&Silent)?;
    let manifest = run.dir().read("manifest.json")?;
    Ok(String::from_utf8(manifest.to_vec()).unwrap())
}

/// A store with the tiny dataset: 2 classes, read in 2 row groups.
fn filled(place: &Place) -> Arc<InMemory> {
    let path = place.path("toy.parquet");
    write_parquet(&path, &Toy::new(60, 2).batch(0..60), 32);
    let store = Arc::new(InMemory::new());
    let dir = Dir::on(Arc::clone(&store) as Arc<dyn ObjectStore>, "memory:");
    dir.create("data/toy.parquet", std::fs::read(path).unwrap()).unwrap();
    store
}

#[test]
fn a_fault_at_any_storage_operation_changes_nothing() {
    let filled = filled(&Place::new());
    let recipe = toy_recipe("data/toy.parquet", "run", "")
        .replace("epochs = 3", "epochs = 2\ncheckpoint_epochs = 1");
    let faulty = |at, fault, inner: &Arc<InMemory>| {
        Arc::new(Faulty { inner: Arc::clone(inner), at, fault, operations: AtomicUsize::new(0) })
    };
    let undisturbed = faulty(usize::MAX, Fault::Before, &Arc::new(filled.fork()));
    let expected = run_on(&recipe, &undisturbed).unwrap();
    let operations = undisturbed.operations.load(Ordering::SeqCst);
    assert!(operations > 150, "only {operations} operations");
    let (mut failed, mut settled) = (0, 0);
    for fault in [Fault::Before, Fault::After, Fault::Short, Fault::Hang] {
        for at in 0..operations {
            let inner = Arc::new(filled.fork());
            match run_on(&recipe, &faulty(at, fault, &inner)) {
                Ok(manifest) => {
                    settled += 1;
                    assert_eq!(manifest, expected, "operation {at} {fault:?}, settled");
                }
                Err(_) => failed += 1,
            }
            let resumed = run_on(&recipe, &inner)
                .unwrap_or_else(|e| panic!("operation {at} {fault:?}, resumed: {e}"));
            assert_eq!(resumed, expected, "operation {at} {fault:?}");
        }
    }
    let all = 4 * operations;
    println!(
        "{operations} operations x 4 faults: {failed} stopped, {settled} went on, {all} ended equal"
    );
    assert!(failed > 2 * operations && failed + settled == all);
}
