//! Loops that are compiled for each width of vectors that the processor may have.

/// A piece of work on slices. Its `run`, and what it calls in its loops, must be `#[inline(always)]`:
/// what is not inlined is compiled for the narrowest vectors.
pub(super) trait Work {
    type Output;

    fn run(self) -> Self::Output;
}

/// Does `work` with the widest vectors there are.
#[cfg(not(target_family = "wasm"))]
pub(super) fn wide<W: Work>(work: W) -> W::Output {
    struct Compiled<W>(W);

    impl<W: Work> pulp::WithSimd for Compiled<W> {
        type Output = W::Output;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> W::Output {
            self.0.run()
        }
    }

    pulp::Arch::new().dispatch(Compiled(work))
}

/// Does `work`: in a tab all vectors have one width, and code is loaded by everybody.
#[cfg(target_family = "wasm")]
pub(super) fn wide<W: Work>(work: W) -> W::Output {
    work.run()
}

/// Partial sums side by side: as many as the widest vector has places.
const LANES: usize = 16;

/// Σᵢ term(x₁ᵢ, x₂ᵢ, …) over slices of one length, in an order that does not depend on the processor.
#[inline(always)]
pub(super) fn sum<const N: usize>(slices: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let len = slices[0].len();
    let slices = slices.map(|slice| &slice[..len]);
    let mut lanes = [0.0; LANES];
    let mut at = 0;
    while at + LANES <= len {
        let parts = slices.map(|slice| &slice[at..at + LANES]);
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += term(parts.map(|part| part[lane]));
        }
        at += LANES;
    }
    for (lane, total) in lanes.iter_mut().take(len - at).enumerate() {
        *total += term(slices.map(|slice| slice[at + lane]));
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

/// The largest number of a slice.
#[inline(always)]
pub(super) fn largest(slice: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = slice.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(
        f32::NEG_INFINITY,
        |most, &x| if x > most { x } else { most },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima_of_every_length() {
        for len in 0..70 {
            let x: Vec<f32> = (0..len).map(|i| ((i * 37) % 19) as f32 - 9.0).collect();
            let squares: f32 = x.iter().map(|x| x * x).sum();
            assert_eq!(sum([&x, &x], |[a, b]| a * b), squares);
            let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(largest(&x), most);
        }
    }
}
