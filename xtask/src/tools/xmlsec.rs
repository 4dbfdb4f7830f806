//! `xmlsec1`, by which pysaml2 signs and encrypts: the machine's, else Debian's package.

use std::path::PathBuf;

use anyhow::Result;

use crate::paths::Paths;
use crate::progress::Progress;
use crate::tools;

const ADVICE: &str = "install xmlsec1 (Debian: apt-get install xmlsec1): only the browser tests need it";

/// The program; installed where it is missing and can be.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<PathBuf> {
    tools::program_or_package(paths, progress, "xmlsec1", &["xmlsec1"], "xmlsec1", ADVICE)
}
