//! Numbers made by the reference implementations, each with the script that made them.

mod data;
mod gguf;
mod gguf_families;
mod halves;
mod hf;
mod model;
mod peft;
mod prompts;
mod published;
mod relative;
mod smollm;
mod tokenizer;
