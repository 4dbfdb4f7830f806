//! `Log`: the console, which `wrangler tail` and log push read.

use tmcp_ports::Log;

/// The console.
pub struct Console;

impl Log for Console {
    fn line(&self, line: &str) {
        worker::console_log!("{line}");
    }
}
