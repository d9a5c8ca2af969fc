//! Where randomness comes from.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The seed of one run: 32 bytes that nobody else has.
///
/// Sampling and noise each get a ChaCha20 stream of their own from it. It can be neither cloned nor
/// read, and a mechanism consumes it, so no stream is ever used twice.
pub struct Entropy {
    seed: [u8; 32],
    private: bool,
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error(
    "no secure randomness from the operating system or browser ({0}); nothing private can be made here"
)]
pub struct EntropyError(String);

impl Entropy {
    /// From the operating system, or from `crypto.getRandomValues` in a browser.
    ///
    /// # Errors
    /// When that source is missing; there is no fallback.
    pub fn from_os() -> Result<Self, EntropyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| EntropyError(error.to_string()))?;
        Ok(Self {
            seed,
            private: true,
        })
    }

    /// Reproducible and therefore worthless: whatever is made with it is marked as not private.
    #[cfg(any(test, feature = "insecure-rng"))]
    pub fn insecure(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self {
            seed,
            private: false,
        }
    }

    /// Whether nobody can predict it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// As the key of a keyed hash, in hex.
    pub(super) fn into_key(self) -> String {
        self.seed.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The generators of sampling and of noise: two streams of one key, which never overlap.
    pub(super) fn streams(self) -> (ChaCha20Rng, ChaCha20Rng) {
        let stream = |number| {
            let mut rng = ChaCha20Rng::from_seed(self.seed);
            rng.set_stream(number);
            rng
        };
        (stream(0), stream(1))
    }
}
