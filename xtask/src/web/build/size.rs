//! What a data owner has to load.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::shell::say;

/// Says how large a program is as `post-native serve` sends it: gzipped, best compression.
///
/// # Errors
/// When it is larger than `limit` bytes.
pub(super) fn check(program: &str, limit: usize, dist: &Path) -> Result<()> {
    let file = dist.join(format!("{program}_bg.wasm"));
    let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let size = gzipped(&bytes)?;
    say(&format!("{program}: {size} bytes gzipped, at most {limit}"));
    ensure!(
        size <= limit,
        "{} has {size} bytes gzipped and may have {limit}: look for what came in with `twiggy top`",
        file.display()
    );
    Ok(())
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_grew_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("page_bg.wasm"), [0; 1000]).unwrap();
        let size = gzipped(&[0; 1000]).unwrap();
        assert!(size < 100);
        check("page", size, folder.path()).unwrap();
        let error = check("page", size - 1, folder.path()).unwrap_err();
        assert!(error.to_string().contains("page_bg.wasm has"), "{error}");
    }
}
