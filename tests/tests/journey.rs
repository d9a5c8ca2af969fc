//! What a person does, from outside: the page in headless Chromium, served by `post-native`.
//!
//! Run by `cargo xtask test --only journey`, which builds the page, `post-native` and a bundle and says
//! where they are (`place`). A test opens a `Served` and a `Browser`; both end when they are dropped.
//! What the browser sent and stored is looked through after it has quit (`traces`).
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, missing_docs)]
// A harness: what today's journeys don't use, tomorrow's do.
#![allow(dead_code)]

#[path = "journey/accessible.rs"]
mod accessible;
#[path = "journey/behind.rs"]
mod behind;
#[path = "journey/browser.rs"]
mod browser;
#[path = "journey/canary.rs"]
mod canary;
#[path = "journey/downloads.rs"]
mod downloads;
#[path = "journey/driver.rs"]
mod driver;
#[path = "journey/early.rs"]
mod early;
#[path = "journey/emulate.rs"]
mod emulate;
#[path = "journey/faster.rs"]
mod faster;
#[path = "journey/harness.rs"]
mod harness;
#[path = "journey/keyboard.rs"]
mod keyboard;
#[path = "journey/library.rs"]
mod library;
#[path = "journey/limit.rs"]
mod limit;
#[path = "journey/loads.rs"]
mod loads;
#[path = "journey/netlog.rs"]
mod netlog;
#[path = "journey/newcomer.rs"]
mod newcomer;
#[path = "journey/offline.rs"]
mod offline;
#[path = "journey/onwards.rs"]
mod onwards;
#[path = "journey/options.rs"]
mod options;
#[path = "journey/place.rs"]
mod place;
#[path = "journey/real.rs"]
mod real;
#[path = "journey/resume.rs"]
mod resume;
#[path = "journey/server.rs"]
mod server;
#[path = "journey/smooth.rs"]
mod smooth;
#[path = "journey/steps.rs"]
mod steps;
#[path = "same/student.rs"]
mod student;
#[path = "journey/tasks.rs"]
mod tasks;
#[path = "journey/tiny.rs"]
mod tiny;
#[path = "journey/traces.rs"]
mod traces;
#[path = "journey/trouble.rs"]
mod trouble;
#[path = "journey/unattended.rs"]
mod unattended;
#[path = "journey/ways.rs"]
mod ways;
#[path = "journey/wire.rs"]
mod wire;
