//! What is made of text and numbers alone: a task's template, the report's tables and plots.
//!
//! `post-core` has them as its own (`task::Template`, `report`). They are a crate of themselves so that the
//! page, which draws and computes nothing, is compiled without the engine.

pub mod report;
pub mod template;
