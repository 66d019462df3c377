//! The order of training samples: shuffled anew in each epoch, cut into batches.

use crate::seed::Seed;

/// `members` in the order of `epoch`.
pub(super) fn shuffled(members: &[u32], seed: &Seed, epoch: usize) -> Vec<u32> {
    let mut order = members.to_vec();
    seed.of(&format!("epoch={epoch}")).rng().shuffle(&mut order);
    order
}

/// How many steps an epoch over `samples` samples has.
pub fn steps_per_epoch(samples: usize, size: usize) -> usize {
    let size = size.max(1);
    let full = samples.div_ceil(size);
    if full > 1 && size > 1 && samples % size == 1 { full - 1 } else { full }
}

/// Cuts an order into batches of `size`; the last may be smaller. A last batch of one sample joins
/// the batch before it, because batch norm cannot learn from a single sample.
pub(super) fn cut(order: &[u32], size: usize) -> impl Iterator<Item = &[u32]> {
    let (size, count) = (size.max(1), steps_per_epoch(order.len(), size));
    (0..count).map(move |i| {
        let end = if i + 1 == count { order.len() } else { (i + 1) * size };
        &order[i * size..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_the_order_and_a_single_last_sample_joins() {
        let order: Vec<u32> = (0..9).collect();
        let sizes = |n: usize, size| cut(&order[..n], size).map(<[u32]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(9, 4), [4, 5]);
        assert_eq!(sizes(8, 4), [4, 4]);
        assert_eq!(sizes(7, 4), [4, 3]);
        assert_eq!(sizes(1, 4), [1]);
        assert_eq!(sizes(3, 1), [1, 1, 1]);
        assert_eq!(cut(&order, 4).flatten().copied().collect::<Vec<_>>(), order);
    }

    #[test]
    fn every_epoch_has_its_own_order_of_the_same_members() {
        let members: Vec<u32> = (0..100).map(|i| 3 * i).collect();
        let seed = Seed::new(1);
        let mut first = shuffled(&members, &seed, 0);
        assert_eq!(first, shuffled(&members, &seed, 0));
        assert_ne!(first, shuffled(&members, &seed, 1));
        first.sort_unstable();
        assert_eq!(first, members);
    }
}
