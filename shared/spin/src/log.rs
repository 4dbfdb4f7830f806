//! `Log`: standard output, which Spin keeps per component.

use tmcp_ports::Log;

/// Standard output.
pub struct Stdout;

impl Log for Stdout {
    #[allow(clippy::print_stdout)]
    fn line(&self, line: &str) {
        println!("{line}");
    }
}
