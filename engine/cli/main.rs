//! The `tercel` command.

fn main() -> anyhow::Result<()> {
    Ok(())
}
