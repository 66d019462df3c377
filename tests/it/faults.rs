//! Every storage operation of a tiny run fails once, before and after its effect; the run is then
//! resumed, and its results never differ.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use unseen::run::{Run, Silent};
use unseen::storage::Dir;

use crate::support::{Place, Toy, toy_recipe};

/// When the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The operation has no effect.
    Before,
    /// The operation has its effect, and the answer is lost.
    After,
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
        let strikes = self.strikes();
        if strikes && self.fault == Fault::Before {
            return Err(lost());
        }
        let answer = operation.await;
        if strikes { Err(lost()) } else { answer }
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
        self.run(self.inner.get_opts(at, options)).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(self.inner.copy_opts(from, to, options)).await
    }
}

fn run_on(recipe: &str, store: Arc<dyn ObjectStore>) -> unseen::Result<String> {
    let recipe = unseen::recipe::parse(recipe, "toy.toml", &[])?;
    let run = Run::on(recipe, Dir::on(store, "memory:run"))?;
    run.execute(&Silent)?;
    let manifest = run.dir().read("manifest.json")?;
    Ok(String::from_utf8(manifest.to_vec()).unwrap())
}

#[test]
fn a_fault_at_any_storage_operation_changes_nothing() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let counting = |at, fault, inner: &Arc<InMemory>| {
        Arc::new(Faulty { inner: Arc::clone(inner), at, fault, operations: AtomicUsize::new(0) })
    };
    let undisturbed = counting(usize::MAX, Fault::Before, &Arc::new(InMemory::new()));
    let expected = run_on(&recipe, undisturbed.clone()).unwrap();
    let operations = undisturbed.operations.load(Ordering::SeqCst);
    assert!(operations > 100, "only {operations} operations");
    let (mut failed, mut settled) = (0, 0);
    for fault in [Fault::Before, Fault::After] {
        for at in 0..operations {
            let inner = Arc::new(InMemory::new());
            match run_on(&recipe, counting(at, fault, &inner)) {
                Ok(_) => settled += 1,
                Err(e) => {
                    failed += 1;
                    assert!(e.to_string().contains("lost"), "operation {at} {fault:?}: {e}");
                }
            }
            let resumed = run_on(&recipe, inner)
                .unwrap_or_else(|e| panic!("operation {at} {fault:?}, resumed: {e}"));
            assert_eq!(resumed, expected, "operation {at} {fault:?}");
        }
    }
    println!(
        "{operations} operations, 2 faults each: {failed} runs stopped, {settled} went on, all ended equal"
    );
    assert!(failed > operations);
}
