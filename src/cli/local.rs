//! The commands that run or look after a node in this process.

use super::{BenchArgs, CheckArgs, DevArgs, Exit, MigrateArgs, Screen, ServeArgs};

pub(super) fn dev(_args: &DevArgs, _screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired in this branch")
}

pub(super) fn serve(_args: &ServeArgs, _screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired in this branch")
}

pub(super) fn check(_args: &CheckArgs, _screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired in this branch")
}

pub(super) fn migrate(_args: &MigrateArgs, _screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired in this branch")
}

pub(super) fn bench(_args: &BenchArgs, _screen: &mut Screen<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired in this branch")
}
