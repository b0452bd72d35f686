//! Printing that survives a closed pipe: `chargewarden check | head -1` ends well.

use std::io::{ErrorKind, Result, Write};

/// Writes text to standard output.
///
/// # Errors
///
/// Those of writing; that nobody reads any more is none.
pub fn print(text: &str) -> Result<()> {
    write(&mut std::io::stdout().lock(), text)
}

/// Writes text to standard error. If even that fails there is nobody to tell.
pub fn print_error(text: &str) {
    let _ = write(&mut std::io::stderr().lock(), text);
}

fn write(out: &mut impl Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_the_end_and_a_full_disk_is_an_error() {
        assert!(write(&mut Failing(ErrorKind::BrokenPipe), "x").is_ok());
        assert!(write(&mut Failing(ErrorKind::StorageFull), "x").is_err());
    }
}
