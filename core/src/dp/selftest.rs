//! The self-test at the start of every run: no mechanism without it.

use burn::tensor::Tensor;

use super::{
    ClipError, Mechanism,
    clip::{GRID, device},
    sample::{MicroBatch, PoissonBatch, Step},
};

/// Relative L2 error that a known answer may have: floats of two devices differ by 1e-5.
pub const TOLERANCE: f64 = 1e-3;

/// The run must not start.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError<E> {
    /// The add-one test failed.
    #[error(
        "adding one example ({probe}) changed the clipped sum by {ratio:.3} C instead of at most C, so the guarantee would be void; per-example gradients must not see each other"
    )]
    Sensitivity {
        /// Which pair.
        probe: &'static str,
        /// ‖f(D ∪ {x}) − f(D)‖/C.
        ratio: f64,
    },
    /// The device computes something else.
    #[error(
        "this device's gradient is off by {error:.1e} of its reference (allowed: 1e-3), so its results cannot be trusted; choose another device"
    )]
    KnownAnswer {
        /// Relative L2 error, or NaN.
        error: f64,
    },
    /// Nothing reached the sum.
    #[error(
        "{count} giant gradients summed to only {ratio:.3} C: they vanish, overflow, or are clipped together"
    )]
    Blind {
        /// Examples, each of norm C after clipping.
        count: usize,
        /// ‖sum‖/C, which should be `count`.
        ratio: f64,
    },
    /// Integers go wrong.
    #[error("this device's integer arithmetic is not exact; choose another device")]
    Inexact,
    /// Nothing to test with.
    #[error("the self-test needs at least one row")]
    NoRows,
    /// The kernel itself.
    #[error("the gradient kernel failed in the self-test: {0}")]
    Kernel(E),
    /// The clipper.
    #[error(transparent)]
    Clip(#[from] ClipError),
}

/// A gradient of the live kernel and what it must be.
pub struct KnownAnswer<'a> {
    /// From the device of the run.
    pub live: &'a [f32],
    /// From elsewhere: a golden file, or the CPU.
    pub reference: &'a [f32],
}

/// A mechanism that hands out nothing until its kernel has passed.
pub struct Untested(pub(super) Mechanism);

impl Untested {
    /// Runs add-one pairs made of `rows` through `kernel`, in micro-batches of the run's `size`,
    /// and compares `known`.
    ///
    /// `kernel` must be the run's own: it gives the gradients `[size, n, d]` of the micro-batch's
    /// rows, each row's loss multiplied by its weight.
    ///
    /// # Errors
    /// Whatever makes the guarantee doubtful; there is no way round it.
    pub async fn test<E>(
        self,
        rows: &[usize],
        size: usize,
        known: KnownAnswer<'_>,
        mut kernel: impl AsyncFnMut(&MicroBatch) -> Result<Tensor<3>, E>,
    ) -> Result<Mechanism, SelfTestError<E>> {
        known_answer(&known)?;
        let probes = Probes {
            mechanism: &self.0,
            size: size.max(1),
        };
        probes.run(rows, &mut kernel).await?;
        Ok(self.0)
    }
}

fn known_answer<E>(known: &KnownAnswer<'_>) -> Result<(), SelfTestError<E>> {
    let square = |x: f64| x * x;
    let pairs = known.live.iter().zip(known.reference);
    let off: f64 = pairs
        .map(|(&a, &b)| square(f64::from(a) - f64::from(b)))
        .sum();
    let size: f64 = known.reference.iter().map(|&b| square(f64::from(b))).sum();
    let error = (off / size).sqrt();
    // An empty or zero reference makes NaN, which passes nothing.
    if known.live.len() == known.reference.len() && error <= TOLERANCE {
        Ok(())
    } else {
        Err(SelfTestError::KnownAnswer { error })
    }
}

/// Rows and what their losses are multiplied with.
type Examples = Vec<(usize, f32)>;

struct Probes<'a> {
    mechanism: &'a Mechanism,
    size: usize,
}

impl Probes<'_> {
    /// Four pairs: an ordinary example in front, so that all others move; a giant among ordinary
    /// ones; one that is infinite; a giant that opposes giants.
    async fn run<E>(
        &self,
        rows: &[usize],
        kernel: &mut impl AsyncFnMut(&MicroBatch) -> Result<Tensor<3>, E>,
    ) -> Result<(), SelfTestError<E>> {
        let (&x, others) = rows.split_first().ok_or(SelfTestError::NoRows)?;
        let count = self.size.saturating_sub(1).max(1);
        let others = if others.is_empty() { rows } else { others };
        let base: Examples = others
            .iter()
            .cycle()
            .take(count)
            .map(|&row| (row, 1.0))
            .collect();
        let clip = self.mechanism.plan().clip();
        let giant = ((clip.max_grad_norm + clip.clipping.gamma()) * f64::from(1 << 20)) as f32;
        let giants: Examples = vec![(x, giant); count];
        let against = -2.0 * giant * count as f32;

        let before = self.sum(&base, kernel).await?;
        let front: Examples = [(x, 1.0)].into_iter().chain(base.iter().copied()).collect();
        within("an ordinary one", &before, &self.sum(&front, kernel).await?)?;
        for (probe, weight) in [("a giant one", giant), ("a broken one", f32::INFINITY)] {
            let with = with(base.clone(), (x, weight));
            within(probe, &before, &self.sum(&with, kernel).await?)?;
        }

        let before = self.sum(&giants, kernel).await?;
        within(
            "a giant one",
            &before,
            &self.sum(&with(giants, (x, against)), kernel).await?,
        )?;
        let ratio = norm(before.iter().copied());
        if ratio < 0.9 * count as f64 {
            return Err(SelfTestError::Blind { count, ratio });
        }
        Ok(())
    }

    /// The clipped sum of `examples`, by the run's own path.
    async fn sum<E>(
        &self,
        examples: &[(usize, f32)],
        kernel: &mut impl AsyncFnMut(&MicroBatch) -> Result<Tensor<3>, E>,
    ) -> Result<Vec<i64>, SelfTestError<E>> {
        let rows = examples.iter().map(|example| example.0).collect();
        let mut weights = examples.iter().map(|example| example.1);
        let step = Step { run: 0, number: 0 };
        let mut clipper = self.mechanism.clip(PoissonBatch { rows, step });
        while let Some(mut micro) = clipper.next_micro(self.size) {
            let real = micro.real;
            micro.weights[..real].fill_with(|| weights.next().unwrap_or(0.0));
            let gradients = kernel(&micro).await.map_err(SelfTestError::Kernel)?;
            if !device::is_exact(&gradients.device(), self.mechanism.dimension).await? {
                return Err(SelfTestError::Inexact);
            }
            clipper.add(micro, gradients).await?;
        }
        Ok(clipper.finish().await?.sum)
    }
}

fn with(mut examples: Examples, one: (usize, f32)) -> Examples {
    examples.push(one);
    examples
}

/// Exact: ‖after − before‖² ≤ 2²⁸ in integers.
fn within<E>(probe: &'static str, before: &[i64], after: &[i64]) -> Result<(), SelfTestError<E>> {
    let change = || after.iter().zip(before).map(|(a, b)| a - b);
    let square: i128 = change().map(|x| i128::from(x).pow(2)).sum();
    if square <= i128::from(GRID * GRID) {
        return Ok(());
    }
    Err(SelfTestError::Sensitivity {
        probe,
        ratio: norm(change()),
    })
}

/// L2 norm over C.
fn norm(x: impl Iterator<Item = i64>) -> f64 {
    x.map(|x| (x as f64).powi(2)).sum::<f64>().sqrt() / GRID as f64
}
