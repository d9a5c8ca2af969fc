//! Numbers made by the reference implementations, each with the script that made them.

mod gguf;
mod hf;
mod model;
mod peft;
mod prompts;
mod smollm;
mod tokenizer;
