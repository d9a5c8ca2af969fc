//! `post-native serve` with what the quickstart left behind.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::quickstart::Ready;
use crate::shell::{self, say};

/// Builds `post-native` and serves the page until it is interrupted.
///
/// # Errors
/// When it doesn't build, or the port is taken.
pub(super) fn run(dist: &Path, port: u16) -> Result<()> {
    let program = shell::build_tool()?;
    let ready = Ready::find();
    if ready.bundle.is_none() {
        say(
            "There is no bundle to offer yet: `cargo xtask quickstart` makes one, or name your own: \
             target/release/post-native serve --bundle FILE",
        );
    }
    shell::run(&mut command(&program, dist, port, &ready))
}

fn command(program: &Path, dist: &Path, port: u16, ready: &Ready) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").arg("--page").arg(dist);
    command.args(["--port", &port.to_string()]);
    if let Some(bundle) = &ready.bundle {
        command.arg("--bundle").arg(bundle);
    }
    if let Some((sample, task)) = &ready.sample {
        command.arg("--sample").arg(sample);
        command.args(["--sample-task", task]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ready: &Ready) -> Vec<String> {
        let command = command(Path::new("post-native"), Path::new("dist"), 8080, ready);
        let words = command.get_args().map(|word| word.to_string_lossy().into());
        words.collect()
    }

    #[test]
    fn what_the_quickstart_left_is_offered() {
        let bare = "serve --page dist --port 8080";
        assert_eq!(words(&Ready::default()).join(" "), bare);
        let ready = Ready {
            bundle: Some("s.post.safetensors".into()),
            sample: Some(("rows.csv".into(), "sst2")),
        };
        let all =
            format!("{bare} --bundle s.post.safetensors --sample rows.csv --sample-task sst2");
        assert_eq!(words(&ready).join(" "), all);
    }
}
