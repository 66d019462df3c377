//! Random changes of training images.

use crate::recipe::Train;
use crate::samples::Shape;
use crate::seed::Seed;
use crate::{Error, Result};

/// Which changes a recipe asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Augment {
    flip: bool,
    crop: usize,
}

impl Augment {
    /// What a recipe asks for, if anything.
    ///
    /// # Errors
    /// `InvalidRecipe` for inputs that are not images, or padding that could hide all of one.
    pub(super) fn new(train: &Train, shape: Shape) -> Result<Option<Self>> {
        if !train.flip && train.crop == 0 {
            return Ok(None);
        }
        let Shape::Image { height, width, .. } = shape else {
            return Err(Error::recipe(
                "train.flip and train.crop change images, but the dataset has features: \
                 remove them",
            ));
        };
        if train.crop >= height.min(width) {
            return Err(Error::recipe(format!(
                "train.crop = {} must be smaller than the images ({height}x{width})",
                train.crop
            )));
        }
        Ok(Some(Self { flip: train.flip, crop: train.crop }))
    }

    /// The view of one sample in one epoch: it depends on `seed` and the sample's index alone.
    pub(super) fn view(self, seed: &Seed, index: u32) -> View {
        let mut random = seed.of(&format!("sample={index}")).rng();
        let flip = self.flip && random.coin();
        let mut shift = || random.below(2 * self.crop as u32 + 1) as isize - self.crop as isize;
        View { flip, dy: shift(), dx: shift() }
    }
}

/// One augmented view: output pixel `(y, x)` is input pixel `(y + dy, x + dx)`, where pixels
/// outside the image are 0 as in torchvision's `RandomCrop(padding)`, then mirrored if `flip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    flip: bool,
    dy: isize,
    dx: isize,
}

impl View {
    /// One channel of an image, each pixel as what `table` makes of it.
    pub(super) fn plane(self, pixels: &[u8], out: &mut [f32], width: usize, table: &[f32; 256]) {
        for (y, out) in out.chunks_mut(width).enumerate() {
            let row = y.checked_add_signed(self.dy);
            match row.and_then(|row| pixels.chunks(width).nth(row)) {
                Some(row) => self.row(row, out, table),
                None => out.fill(table[0]),
            }
        }
    }

    fn row(self, pixels: &[u8], out: &mut [f32], table: &[f32; 256]) {
        let (width, black) = (out.len(), self.dx.unsigned_abs());
        let seen = width - black;
        let (left, inside) =
            if self.dx < 0 { (black, &pixels[..seen]) } else { (0, &pixels[black..]) };
        let set = |(out, pixel): (&mut f32, &u8)| *out = table[usize::from(*pixel)];
        out.fill(table[0]);
        if self.flip {
            out[black - left..][..seen].iter_mut().rev().zip(inside).for_each(set);
        } else {
            out[left..][..seen].iter_mut().zip(inside).for_each(set);
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // these numbers are exact
mod tests {
    use super::*;

    #[test]
    fn views_shift_mirror_and_pad_with_black() {
        let table: [f32; 256] = std::array::from_fn(|p| p as f32);
        let plane = |flip, dy, dx| {
            let mut out = [9.0; 6];
            View { flip, dy, dx }.plane(&[1, 2, 3, 4, 5, 6], &mut out, 3, &table);
            out
        };
        assert_eq!(plane(false, 0, 0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(plane(true, 0, 0), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(plane(false, 1, 0), [4.0, 5.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(plane(false, 0, 1), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(plane(true, -1, -1), [0.0, 0.0, 0.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn a_view_depends_on_seed_and_sample_and_uses_its_whole_range() {
        let augment = Augment { flip: true, crop: 1 };
        let seed = Seed::new(4);
        let views: Vec<_> = (0..200).map(|i| augment.view(&seed, i)).collect();
        assert_eq!(views[7], augment.view(&seed, 7));
        for wanted in -1..=1 {
            assert!(views.iter().any(|v| v.dy == wanted) && views.iter().any(|v| v.dx == wanted));
        }
        assert!(views.iter().any(|v| v.flip) && views.iter().any(|v| !v.flip));
        assert!(views.iter().all(|v| v.dy.abs() <= 1 && v.dx.abs() <= 1));
    }
}
