//! Cutting a sequence of sizes into parts of bounded, even size.

/// The lengths of consecutive parts whose sizes add up to at most `bound`; an item above the bound
/// is a part of its own.
///
/// There are as few parts as filling one after the other gives, and the largest is as small as that
/// number allows, so that no small rest is left for the last one.
pub(super) fn even_parts(bytes: &[u64], bound: u64) -> Vec<usize> {
    let count = filled(bytes, bound).len();
    let total: u64 = bytes.iter().sum();
    let (mut low, mut high) = (total / count.max(1) as u64, bound);
    // A larger capacity never needs more parts, so the smallest that suffices is found by halving.
    while low < high {
        let middle = low + (high - low) / 2;
        if filled(bytes, middle).len() <= count {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    filled(bytes, high)
}

/// The lengths of parts that are each filled up to `capacity` before the next one begins.
fn filled(bytes: &[u64], capacity: u64) -> Vec<usize> {
    let (mut lengths, mut sum) = (Vec::new(), 0_u64);
    for &size in bytes {
        sum = sum.saturating_add(size);
        match lengths.last_mut() {
            Some(length) if sum <= capacity => *length += 1,
            _ => {
                lengths.push(1);
                sum = size;
            }
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leaves_no_small_rest() {
        assert_eq!(even_parts(&[10; 11], 100), [6, 5]);
        assert_eq!(even_parts(&[10; 10], 100), [10]);
        assert_eq!(even_parts(&[], 100), [0; 0]);
        assert_eq!(even_parts(&[0, 500, 0, 3], 100), [1, 1, 2]);
    }

    proptest! {
        #[test]
        fn parts_cover_everything_in_few_bounded_parts(
            bytes in prop::collection::vec(0_u64..300, 0..200),
            bound in 1_u64..1000,
        ) {
            let parts = even_parts(&bytes, bound);
            prop_assert_eq!(parts.iter().sum::<usize>(), bytes.len());
            prop_assert_eq!(parts.len(), filled(&bytes, bound).len());
            let mut start = 0;
            for length in parts {
                let sum: u64 = bytes[start..start + length].iter().sum();
                prop_assert!(length == 1 || (length > 0 && sum <= bound));
                start += length;
            }
        }

        #[test]
        fn parts_differ_by_little(size in 1_u64..50, rows in 1_usize..500, bound in 50_u64..2000) {
            let parts = even_parts(&vec![size; rows], bound);
            let (largest, last) = (parts[0], parts[parts.len() - 1]);
            prop_assert!(largest - last < parts.len());
        }
    }
}
