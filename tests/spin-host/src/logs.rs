//! What components write to stdout and stderr: appended to a file each, and passed through unless told to be quiet.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Which of the host's own streams output is passed on to.
#[derive(Clone, Copy)]
pub enum PassOn {
    /// The file alone.
    Nowhere,
    /// The host's stdout.
    Stdout,
    /// The host's stderr.
    Stderr,
}

/// The log file of one component's stdout or stderr.
pub struct Log {
    file: File,
    pass_on: PassOn,
}

impl Log {
    /// Opens the file to append to.
    pub fn open(path: &Path, pass_on: PassOn) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().append(true).create(true).open(path)?, pass_on })
    }

    /// The stream for one instance.
    pub fn stream(self: &Arc<Self>) -> LogStream {
        LogStream(Arc::new(Mutex::new(Lines { log: Arc::clone(self), pending: Vec::new() })))
    }

    /// A log that cannot be written must not fail the request.
    fn write(&self, lines: &[u8]) {
        let _ = (&self.file).write_all(lines);
        let _ = match self.pass_on {
            PassOn::Nowhere => Ok(()),
            PassOn::Stdout => io::stdout().write_all(lines),
            PassOn::Stderr => io::stderr().write_all(lines),
        };
    }
}

/// Whole lines of one instance, so that concurrent requests do not write into each other's. The rest goes out with the instance.
struct Lines {
    log: Arc<Log>,
    pending: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.pending.split_off(end + 1);
            self.log.write(&self.pending);
            self.pending = rest;
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.pending.push(b'\n');
            self.log.write(&self.pending);
        }
    }
}

/// One instance's stdout or stderr. All streams that the guest opens on it share the unfinished line.
#[derive(Clone)]
pub struct LogStream(Arc<Mutex<Lines>>);

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    /// Asked for by WASI 0.1 and 0.3 alone, which this host does not serve.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
