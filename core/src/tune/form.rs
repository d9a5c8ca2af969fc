//! What of the prompt is tuned: its own numbers, or two thin factors of the way it has moved.

use burn::tensor::{Tensor, TensorData};

use super::config::LowRank;
use crate::optim::{SplitMix64, State, StateError};

/// How a prompt `[n, d]` comes of the numbers that are tuned.
pub(super) struct Form {
    shape: [usize; 2],
    factors: Option<Factors>,
}

/// P = P₀ + U·V; tuned are U `[n, r]` and then V `[r, d]`, row by row.
struct Factors {
    rank: usize,
    /// P₀
    initial: Vec<f32>,
}

impl Form {
    /// For a prompt `[n, d]` that starts at `initial`; with the numbers that tuning starts from.
    pub(super) fn new(
        initial: Vec<f32>,
        shape: [usize; 2],
        low_rank: Option<LowRank>,
    ) -> (Self, Vec<f32>) {
        let Some(LowRank { rank, seed }) = low_rank else {
            let factors = None;
            return (Self { shape, factors }, initial);
        };
        let mut coins = SplitMix64::new(seed);
        let size = 1.0 / (rank as f32).sqrt();
        let mut side = || {
            if coins.next_u64() >> 63 == 0 {
                size
            } else {
                -size
            }
        };
        let [n, d] = shape;
        let mut start: Vec<f32> = (0..n * rank).map(|_| side()).collect();
        start.resize(rank * (n + d), 0.0);
        let factors = Some(Factors { rank, initial });
        (Self { shape, factors }, start)
    }

    /// How many numbers are tuned: what is clipped and noised.
    pub(super) fn dimension(&self) -> usize {
        let [n, d] = self.shape;
        let factors = self.factors.as_ref();
        factors.map_or(n * d, |factors| factors.rank * (n + d))
    }

    /// The prompt `[n, d]` of the numbers `tuned`.
    pub(super) fn prompt(&self, tuned: &[f32]) -> Vec<f32> {
        let Some(Factors { rank, initial }) = &self.factors else {
            return tuned.to_vec();
        };
        let [n, d] = self.shape;
        let (u, v) = tuned.split_at(n * rank);
        let mut prompt = initial.clone();
        for (row, u) in prompt.chunks_exact_mut(d).zip(u.chunks_exact(*rank)) {
            for (u, v) in u.iter().zip(v.chunks_exact(d)) {
                row.iter_mut().zip(v).for_each(|(x, v)| *x += u * v);
            }
        }
        prompt
    }

    /// Gradients in the numbers `tuned` out of gradients in the prompt, `[b, n, d]`, row by row:
    /// dU = G·Vᵀ `[n, r]`, dV = Uᵀ·G `[r, d]`, as `[b, 1, r·(n + d)]`.
    ///
    /// Every example's is a product of its own, so no row can touch another.
    pub(super) fn gradients(&self, of_prompt: Tensor<3>, tuned: &[f32]) -> Tensor<3> {
        let Some(Factors { rank, .. }) = &self.factors else {
            return of_prompt;
        };
        let [b, n, d] = of_prompt.dims();
        let (u, v) = tuned.split_at(n * rank);
        let device = of_prompt.device();
        let upload = |x: &[f32], rows, columns| {
            let data = TensorData::new(x.to_vec(), [1, rows, columns]);
            let x = Tensor::<3>::from_data(data, &device).swap_dims(1, 2);
            x.expand([b, columns, rows])
        };
        let (u, v) = (upload(u, n, *rank), upload(v, *rank, d));
        let of_u = of_prompt.clone().matmul(v).reshape([b, 1, n * rank]);
        let of_v = u.matmul(of_prompt).reshape([b, 1, rank * d]);
        Tensor::cat(vec![of_u, of_v], 2)
    }

    /// A resumed run goes on from where the factors' prompt began.
    pub(super) fn save(&self, state: State) -> State {
        match &self.factors {
            None => state,
            Some(factors) => state.with_tensor("initial", factors.initial.clone()),
        }
    }

    pub(super) fn restore(&mut self, state: &mut State) -> Result<(), StateError> {
        if let Some(factors) = &mut self.factors {
            factors.initial = state.take("initial", factors.initial.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    const SHAPE: [usize; 2] = [3, 4];

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut generator = SplitMix64::new(seed);
        (0..count).map(|_| generator.unit() as f32 - 0.5).collect()
    }

    fn form(rank: usize) -> (Form, Vec<f32>) {
        Form::new(numbers(12, 1), SHAPE, Some(LowRank { rank, seed: 3 }))
    }

    #[test]
    fn a_prompt_starts_where_it_would_have_started() {
        let (form, start) = form(2);
        assert_eq!(form.dimension(), 2 * (3 + 4));
        assert_eq!(start.len(), form.dimension());
        assert_eq!(form.prompt(&start), numbers(12, 1));
        let size = 0.5f32.sqrt();
        assert!(start[..6].iter().all(|u| (u.abs() - size).abs() < 1e-6));
        assert!(start[..6].iter().any(|&u| u > 0.0) && start[..6].iter().any(|&u| u < 0.0));
        let (full, start) = Form::new(numbers(12, 1), SHAPE, None);
        assert_eq!((full.dimension(), full.prompt(&start)), (12, start.clone()));
    }

    /// f(P) = ⟨P, G⟩ has the gradient G, so that in the factors is checked by differences.
    #[test]
    fn gradients_follow_the_chain_rule() {
        let (form, _) = form(2);
        let (tuned, gradients) = (numbers(14, 5), numbers(24, 6));
        let data = TensorData::new(gradients.clone(), [2, 3, 4]);
        let found = form.gradients(Tensor::from_data(data, &Device::default()), &tuned);
        assert_eq!(found.dims(), [2, 1, 14]);
        let found: Vec<f32> = found.into_data().iter().collect();
        let value = |tuned: &[f32], g: &[f32]| -> f64 {
            let prompt = form.prompt(tuned);
            let pairs = prompt.iter().zip(g);
            pairs.map(|(&p, &g)| f64::from(p) * f64::from(g)).sum()
        };
        for (example, g) in gradients.chunks_exact(12).enumerate() {
            for at in 0..14 {
                let moved = |by: f32| {
                    let mut tuned = tuned.clone();
                    tuned[at] += by;
                    value(&tuned, g)
                };
                let slope = (moved(0.25) - moved(-0.25)) / 0.5;
                let found = f64::from(found[example * 14 + at]);
                assert!(
                    (slope - found).abs() < 1e-5,
                    "{example} {at}: {slope} {found}"
                );
            }
        }
    }

    /// dV at the start keeps the gradient's norm on average over U's coins.
    #[test]
    fn the_start_keeps_norms_on_average() {
        let g = numbers(12, 7);
        let square = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let mean = (0..2000).map(|seed| {
            let (form, start) = Form::new(vec![0.0; 12], SHAPE, Some(LowRank { rank: 2, seed }));
            let data = TensorData::new(g.clone(), [1, 3, 4]);
            let found = form.gradients(Tensor::from_data(data, &Device::default()), &start);
            square(&found.into_data().iter().collect::<Vec<f32>>()) / 2000.0
        });
        let ratio = mean.sum::<f64>() / square(&g);
        assert!((ratio - 1.0).abs() < 0.08, "{ratio}");
    }
}
