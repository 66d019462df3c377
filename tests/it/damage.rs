//! Every artefact of a finished run is cut and has bits flipped: nothing of it is accepted.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use unseen::recipe::Storage;
use unseen::run::{Memory, Run, Silent, verify_in};
use unseen::seed::{Random, Seed};
use unseen::storage::Dir;

use crate::support::{Place, Toy, toy_recipe};

const FLIPS: usize = 64;

/// A finished run in memory.
struct Finished {
    store: Arc<InMemory>,
    artefacts: Vec<(Path, bytes::Bytes)>,
    runtime: tokio::runtime::Runtime,
}

impl Finished {
    fn new(recipe: &str) -> Self {
        let store = Arc::new(InMemory::new());
        let recipe = unseen::recipe::parse(recipe, "toy.toml", &[]).unwrap();
        Run::on(recipe, Dir::on(store.clone(), "memory:run")).unwrap().execute(&Silent).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let artefacts = runtime.block_on(async {
            let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
            let mut artefacts = Vec::new();
            for meta in listed.into_iter().filter(|m| !m.location.as_ref().contains("claims/")) {
                let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
                artefacts.push((meta.location, bytes));
            }
            artefacts
        });
        Self { store, artefacts, runtime }
    }

    /// What a verification says with these bytes in the place of an artefact; `None` if nothing.
    fn objection(&self, at: &Path, bytes: Vec<u8>) -> Option<String> {
        self.put(at, bytes.into());
        let dir = Dir::on(self.store.clone(), "memory:run");
        match verify_in(dir, &Storage::default(), Memory::default()) {
            Err(e) => Some(e.to_string()),
            Ok(result) => {
                let failed = result.checks.into_iter().filter(|check| !check.passed);
                let details: Vec<String> = failed.map(|check| check.detail).collect();
                (!result.passed).then(|| details.join("\n"))
            }
        }
    }

    fn put(&self, at: &Path, bytes: bytes::Bytes) {
        self.runtime.block_on(async { self.store.put(at, bytes.into()).await }).unwrap();
    }
}

/// The artefact cut at six places and with single bits flipped.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let length = bytes.len();
    let cuts = [0, 1, 4, length / 2, length.saturating_sub(8), length - 1];
    let mut all: Vec<Vec<u8>> = cuts.map(|cut| bytes[..cut.min(length)].to_vec()).into();
    for _ in 0..FLIPS {
        let bit = random.below(8 * length as u32) as usize;
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        all.push(flipped);
    }
    all
}

#[test]
fn no_damaged_artefact_is_accepted() {
    let place = Place::new();
    Toy::new(60, 2).write(&place.path("toy.parquet"));
    let recipe = toy_recipe(&place.text("toy.parquet"), &place.text("run"), "");
    let run = Finished::new(&recipe.replace("judge.seeds = 0", "judge.seeds = 1"));
    assert!(run.artefacts.iter().any(|(at, _)| at.as_ref().starts_with("evaluate/tasks/train")));
    assert_eq!(run.objection(&run.artefacts[0].0, run.artefacts[0].1.to_vec()), None);
    let mut random = Seed::new(17).rng();
    let mut tried = 0;
    for (at, whole) in &run.artefacts {
        for bytes in damaged(whole, &mut random).into_iter().filter(|bytes| *bytes != *whole) {
            let objection = run.objection(at, bytes);
            let objection = objection.unwrap_or_else(|| panic!("damage of {at} was accepted"));
            assert!(objection.contains(at.as_ref()), "{at} is not named: {objection}");
            tried += 1;
        }
        run.put(at, whole.clone());
    }
    println!("{} artefacts, {tried} damaged: all found and named", run.artefacts.len());
    assert!(run.artefacts.len() > 40, "only {} artefacts", run.artefacts.len());
}
