//! Where `cargo xtask test` put what the journeys need.

use std::env;
use std::path::PathBuf;

fn named(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => path.into(),
        None => {
            panic!("{variable} is not set; run `cargo xtask test --only journey`, which sets it")
        }
    }
}

/// The `post-native` to serve with.
pub(crate) fn post_native() -> PathBuf {
    named("POST_JOURNEY_NATIVE")
}

/// The folder of the built page.
pub(crate) fn page() -> PathBuf {
    named("POST_JOURNEY_PAGE")
}

/// The quickstart's student: six blocks of SmolLM2-135M, 101 MB.
pub(crate) fn student() -> PathBuf {
    named("POST_JOURNEY_STUDENT")
}

/// axe-core's script.
pub(crate) fn axe() -> PathBuf {
    named("POST_JOURNEY_AXE")
}

/// Where screenshots and logs go.
pub(crate) fn output() -> PathBuf {
    named("POST_JOURNEY_OUTPUT")
}

/// The chromedriver of the installed Chromium.
pub(crate) fn chromedriver() -> PathBuf {
    named("CHROMEDRIVER")
}
