//! Mean cross-entropy of a batch and its gradient, computed in f64 on the host.

use candle_core::Tensor;

use crate::Result;

/// What a batch tells.
pub(super) struct BatchLoss {
    /// Sum of the samples' cross-entropies.
    pub(super) sum: f64,
    /// How many samples have their largest logit at their label.
    pub(super) correct: usize,
    /// A scalar whose gradient by the weights is that of the mean cross-entropy, scaled.
    pub(super) objective: Tensor,
}

/// The loss of `logits [batch, classes]` for `labels`; gradients are `scale` times those of its mean.
///
/// The gradient by the logits is `(softmax - onehot) / batch`; weighting the logits with it gives
/// a scalar with the same gradient by the weights.
pub(super) fn cross_entropy(logits: &Tensor, labels: &[u32], scale: f64) -> Result<BatchLoss> {
    let (_, classes) = logits.dims2()?;
    let values = logits.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
    let (mut sum, mut correct) = (0.0, 0);
    let mut gradient = Vec::with_capacity(values.len());
    for (row, &label) in values.chunks(classes).zip(labels) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp = |z: f32| (f64::from(z) - f64::from(top)).exp();
        let total: f64 = row.iter().map(|z| exp(*z)).sum();
        let own = row[label as usize];
        sum += total.ln() - (f64::from(own) - f64::from(top));
        correct += usize::from(row.iter().position(|z| *z >= top) == Some(label as usize));
        gradient.extend(row.iter().enumerate().map(|(class, z)| {
            let onehot = if class == label as usize { 1.0 } else { 0.0 };
            ((exp(*z) / total - onehot) / labels.len() as f64 * scale) as f32
        }));
    }
    let gradient = Tensor::from_vec(gradient, logits.shape(), logits.device())?;
    Ok(BatchLoss { sum, correct, objective: (logits * gradient)?.sum_all()? })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn agrees_with_candle_in_value_and_gradient() {
        let data = [[0.3_f32, -1.2, 2.0], [80.0, 79.0, -80.0]];
        let logits = Var::new(&data, &Device::Cpu).unwrap();
        let labels = Tensor::new(&[2_u32, 1], &Device::Cpu).unwrap();
        let theirs = candle_nn::loss::cross_entropy(&logits, &labels).unwrap();
        let [ours, scaled] = [1.0, 1024.0].map(|s| cross_entropy(&logits, &[2, 1], s).unwrap());
        let value = f64::from(theirs.to_scalar::<f32>().unwrap());
        assert!((ours.sum / 2.0 - value).abs() < 1e-6);
        assert_eq!(ours.correct, 1);
        assert_eq!((scaled.sum.to_bits(), scaled.correct), (ours.sum.to_bits(), 1));
        let grad = |t: &Tensor| {
            t.backward().unwrap().get(&logits).unwrap().flatten_all().unwrap().to_vec1::<f32>()
        };
        let [theirs, ours, scaled] =
            [&theirs, &ours.objective, &scaled.objective].map(|t| grad(t).unwrap());
        assert!(theirs.iter().zip(&ours).all(|(a, b)| (a - b).abs() < 1e-6));
        // A power of two changes no digit.
        assert!(ours.iter().zip(&scaled).all(|(a, b)| (a * 1024.0).to_bits() == b.to_bits()));
    }

    #[test]
    fn is_not_finite_for_logits_that_are_not() {
        let logits = Tensor::new(&[[f32::NAN, 0.0]], &Device::Cpu).unwrap();
        assert!(!cross_entropy(&logits, &[0], 1.0).unwrap().sum.is_finite());
    }
}
