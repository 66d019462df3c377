//! Any bytes as a commit record: only what was committed is found again.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use unseen::storage::{Dir, Ledger, Record};

fuzz_target!(|bytes: &[u8]| {
    let store = Arc::new(InMemory::new());
    let at = Path::from("commits/ingest.json");
    let put = store.put(&at, bytes.to_vec().into());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(put).expect("memory takes everything");
    let _ = ledger(store, "run").find("ingest");

    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let ledger = ledger(Arc::new(InMemory::new()), &record.run);
    if ledger.commit(&record).is_ok() {
        assert_eq!(ledger.find(&record.task).expect("it was committed"), Some(record));
    }
});

fn ledger(store: Arc<dyn ObjectStore>, run: &str) -> Ledger {
    Ledger::new(Dir::on(store, "memory:run"), run)
}
