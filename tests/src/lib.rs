//! What the integration tests need from a library: only libraries have documentation tests.

mod misuse;
