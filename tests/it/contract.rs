//! object_store's own integration functions, run on stores as the library opens them, with all that
//! it wraps around them.
//!
//! Those functions delete whatever they find. They only ever see a store through a prefix: of a
//! folder or a place in the bucket that is the test's own.

use std::sync::Arc;

use object_store::integration as check;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore};
use unseen::storage::Dir;

use crate::server::Bucket;
use crate::support::{Place, dir};

/// What a kind of store can do beyond the rest.
struct Can {
    /// Conditional create and, if `Some(true)`, conditional update; `None` if the server's update is
    /// broken (radosgw 16 refuses a right ETag), so that only [`super::race`] covers create.
    conditional_put: Option<bool>,
    /// Copying to a name only if it is free.
    create_only_copy: bool,
    /// Attributes come back as they were given (radosgw turns `_` in their names into `-`).
    attributes: bool,
}

fn holds(place: &Dir, can: &Can) {
    let (store, root) = place.store();
    assert!(root.parts().count() > 0 || place.uri() == "memory:", "the whole store of {root}");
    let store = PrefixStore::new(Arc::clone(store), root.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        basics(&store).await;
        if let Some(update) = can.conditional_put {
            check::put_opts(&store, update).await;
        }
        if can.create_only_copy {
            check::copy_if_not_exists(&store).await;
            check::copy_rename_nonexistent_object(&store).await;
        }
        if can.attributes {
            check::put_get_attributes(&store).await;
        }
    });
}

async fn basics(store: &PrefixStore<Arc<dyn ObjectStore>>) {
    check::put_get_delete_list(store).await;
    check::list_with_offset_exclusivity(store).await;
    check::get_opts(store).await;
    check::list_uses_directories_correctly(store).await;
    check::list_with_delimiter(store).await;
    check::rename_and_copy(store).await;
    check::stream_get(store).await;
    check::multipart_out_of_order(store).await;
    check::multipart_race_condition(store, true).await;
    let missing = check::get_nonexistent_object(store, None).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

#[test]
fn a_store_in_memory_keeps_the_contract() {
    let place = Dir::on(Arc::new(InMemory::new()), "memory:");
    holds(&place, &Can { conditional_put: Some(true), create_only_copy: true, attributes: true });
}

#[test]
fn local_disk_keeps_the_contract() {
    let place = Place::new();
    let can = Can { conditional_put: Some(false), create_only_copy: true, attributes: true };
    holds(&dir(&place.text("store")), &can);
}

#[test]
fn s3_keeps_the_contract() {
    let Some(bucket) = Bucket::open("contract") else { return };
    let can = Can { conditional_put: None, create_only_copy: false, attributes: false };
    holds(&dir(&bucket.uri("store")), &can);
}
