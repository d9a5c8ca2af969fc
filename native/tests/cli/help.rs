use super::{post, refused, stdout};

/// The subcommands that `--help` lists.
fn commands() -> Vec<String> {
    let help = stdout(&post(&["--help"]));
    let listed = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let commands = commands();
    assert!(commands.len() > 2, "{commands:?}");
    for command in commands.iter().filter(|name| *name != "help") {
        let help = post(&[command, "--help"]);
        assert!(help.status.success(), "{command}");
        let text = stdout(&help);
        assert!(
            text.contains("Example"),
            "{command} --help has no example:\n{text}"
        );
        assert!(
            text.contains(&format!("post-native {command}")),
            "{command}:\n{text}"
        );
    }
}

#[test]
fn no_command_at_all_is_wrong_usage() {
    refused(&[], 2, &["Usage: post-native", "Commands:"]);
    refused(
        &["frobnicate"],
        2,
        &["unrecognized subcommand 'frobnicate'"],
    );
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&post(&["completions", shell]));
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
    refused(&["completions", "tcsh9"], 2, &["possible values", "bash"]);
}

#[test]
fn no_colour_is_written_where_no_terminal_is() {
    assert!(!stdout(&post(&["--help"])).contains('\u{1b}'));
}
