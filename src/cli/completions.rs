//! `completions`: a script that completes the command line in a shell. Made from the commands themselves.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, Screen};

const HELP: &str = "\
Examples:
  evenkeel completions bash > ~/.local/share/bash-completion/completions/evenkeel
  evenkeel completions zsh > \"${fpath[1]}/_evenkeel\"
  evenkeel completions fish > ~/.config/fish/completions/evenkeel.fish
  evenkeel completions elvish >> ~/.config/elvish/rc.elv
  evenkeel completions powershell >> $PROFILE

They hold from the next shell on. bash needs the package bash-completion; zsh needs
`autoload -U compinit && compinit` in ~/.zshrc.";

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    // Without the hidden commands: the scripts would offer them too.
    let all = Cli::command();
    let offered = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut offered = clap::Command::new("evenkeel").version(env!("CARGO_PKG_VERSION")).subcommands(offered);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut offered, "evenkeel", &mut script);
    screen.line(String::from_utf8(script)?.trim_end())?;
    Ok(Exit::Done)
}
