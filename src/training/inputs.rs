//! From stored pixels and features to the numbers a model sees: scaled, in batches, ahead of the model.
//! Images were decoded and resized when they were loaded, once; here a pixel costs one look into a table.

use std::sync::mpsc::sync_channel;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::augment::{Augment, View};
use crate::models::Scaling;
use crate::samples::{Inputs, Shape, floats};
use crate::seed::Seed;
use crate::{Error, Result};

/// So many threads that compute have one beside them that gathers, which takes a small part of the time even
/// of a small net.
const COMPUTE: usize = 8;

/// Gathers batches: scaled, and augmented if wanted.
pub(super) struct Gather<'a> {
    inputs: &'a Inputs,
    scaling: Scaling,
    /// For images: what each of the 256 pixel values becomes, per channel.
    tables: Vec<[f32; 256]>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(inputs: &'a Inputs, scaling: &Scaling) -> Self {
        let parameters = scaling.mean.iter().zip(&scaling.std);
        let table =
            |(mean, std): (&f32, &f32)| std::array::from_fn(|p| (p as f32 / 255.0 - mean) / std);
        let tables = match inputs.shape() {
            Shape::Image { .. } => parameters.map(table).collect(),
            Shape::Features { .. } => Vec::new(),
        };
        Self { inputs, scaling: scaling.clone(), tables }
    }

    /// The inputs of `batch` as `[batch, shape.len()]`, augmented with the seed of an epoch.
    ///
    /// # Errors
    /// `Unavailable` if an input cannot be read.
    pub(super) fn batch(
        &self,
        batch: &[u32],
        augment: Option<(Augment, &Seed)>,
    ) -> Result<Vec<f32>> {
        let shape = self.inputs.shape();
        let mut out = vec![0.0; batch.len() * shape.len()];
        let rows = out.par_chunks_mut(shape.len()).zip(batch);
        rows.try_for_each_init(Vec::new, |buffer, (out, &index)| {
            let bytes = self.inputs.get(index, buffer)?;
            match shape {
                Shape::Image { .. } => {
                    self.image(bytes, shape, augment.map(|(a, seed)| a.view(seed, index)), out);
                }
                Shape::Features { .. } => self.features(bytes, out),
            }
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }

    /// Hands the gathered `batches` to `work` in their order; while it works on one, the next is gathered
    /// by threads that do nothing else: those that compute are neither needed nor held up by a slow disk.
    ///
    /// # Errors
    /// As [`Gather::batch`]; and whatever `work` returns.
    pub(super) fn ahead<'b>(
        &self,
        batches: impl Iterator<Item = &'b [u32]> + Send,
        augment: Option<(Augment, &Seed)>,
        mut work: impl FnMut(&'b [u32], Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        readers()?.in_place_scope(|scope| {
            // No room in the channel: one batch is worked on, one waits to be taken.
            let (give, take) = sync_channel(0);
            scope.spawn(move |_| {
                for batch in batches {
                    // The worker has stopped if nobody takes.
                    if give.send((batch, self.batch(batch, augment))).is_err() {
                        break;
                    }
                }
            });
            take.into_iter().try_for_each(|(batch, values)| work(batch, values?))
        })
    }

    fn image(&self, pixels: &[u8], shape: Shape, view: Option<View>, out: &mut [f32]) {
        let Shape::Image { channels, width, .. } = shape else { return };
        let plane = pixels.len() / channels;
        let planes = pixels.chunks(plane).zip(out.chunks_mut(plane)).zip(&self.tables);
        for ((pixels, out), table) in planes {
            match view {
                Some(view) => view.plane(pixels, out, width, table),
                None => out.iter_mut().zip(pixels).for_each(|(o, p)| *o = table[usize::from(*p)]),
            }
        }
    }

    fn features(&self, values: &[u8], out: &mut [f32]) {
        let scaling = self.scaling.mean.iter().zip(&self.scaling.std);
        for ((out, x), (mean, std)) in out.iter_mut().zip(floats(values)).zip(scaling) {
            *out = (x - mean) / std;
        }
    }
}

/// The threads that gather.
fn readers() -> Result<ThreadPool> {
    let count = rayon::current_num_threads().div_ceil(COMPUTE);
    let pool = ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|e| Error::internal("the threads that gather inputs cannot be made").because(e))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // these numbers are exact
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::samples::{Packed, ReadAt};

    /// As everywhere in training, whoever calls may be a thread of a pool: if all of them wait for inputs,
    /// somebody else must bring these.
    #[test]
    fn gathering_needs_no_thread_of_those_that_compute() {
        let inputs = Inputs::features(&[1.0, 2.0, 3.0, 4.0], 1);
        let gather = Gather::new(&inputs, &Scaling::identity(inputs.shape()));
        let seen = rayon::broadcast(|_| {
            let mut seen = Vec::new();
            let batches = [&[0, 1][..], &[2], &[3]];
            gather
                .ahead(batches.into_iter(), None, |batch, values| {
                    seen.push((batch.len(), values));
                    Ok(())
                })
                .unwrap();
            seen
        });
        let wanted = [(2, vec![1.0, 2.0]), (1, vec![3.0]), (1, vec![4.0])];
        assert!(seen.iter().all(|seen| *seen == wanted), "{seen:?}");
    }

    /// A file of ones that counts how many samples were read.
    #[derive(Debug, Default)]
    struct Counted(AtomicUsize);

    impl ReadAt for Counted {
        fn read_at(&self, _: u64, out: &mut [u8]) -> Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            out.fill(1);
            Ok(())
        }
    }

    #[test]
    fn one_batch_at_most_is_gathered_ahead() {
        let counted = Arc::new(Counted::default());
        let shape = Shape::Image { channels: 1, height: 1, width: 1 };
        let inputs = Inputs::new(shape, Packed::Elsewhere(counted.clone()), (0..60).collect());
        let gather = Gather::new(&inputs, &Scaling::identity(shape));
        let all: Vec<u32> = (0..60).collect();
        let mut taken = 0;
        gather
            .ahead(all.chunks(3), None, |batch, _| {
                taken += batch.len();
                std::thread::sleep(Duration::from_millis(2));
                let read = counted.0.load(Ordering::SeqCst);
                assert!((taken..=taken + 3).contains(&read), "{read} read, {taken} taken");
                Ok(())
            })
            .unwrap();
        assert_eq!(taken, 60);
    }
}
