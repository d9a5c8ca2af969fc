//! Hostile files: each must be an error that names the place, never a panic, never gigabytes.

mod bundle;
mod checkpoint_gguf;
mod checkpoint_mutations;
mod checkpoint_safetensors;
mod data;
mod prompts;
mod tasks;
mod tiny;
