//! The `tercel` command.

// Its tests are its only user until a command writes reports.
#[cfg(test)]
mod report;

fn main() -> anyhow::Result<()> {
    Ok(())
}
