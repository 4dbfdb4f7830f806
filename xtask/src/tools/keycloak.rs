//! Keycloak, the identity provider that sign-in is tested against: from Maven Central, into the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::paths::Paths;
use crate::process;
use crate::progress::Progress;
use crate::tools;

/// The one version that is used.
pub const VERSION: &str = "26.7.3";
/// What to do where Java or Maven is missing.
pub const ADVICE: &str = "install Java 17 or later and Maven (Debian: apt-get install default-jdk-headless maven): only --with-keycloak and the browser tests need them";

/// Where it is installed.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.tools().join(format!("keycloak-{VERSION}"))
}

/// Whether it is there.
pub fn is_installed(paths: &Paths) -> bool {
    folder(paths).join("installed").is_file()
}

/// A command of Keycloak's own script.
pub fn command(paths: &Paths) -> Command {
    let mut command = Command::new("bash");
    command.arg(script(paths));
    command
}

/// That script.
pub fn script(paths: &Paths) -> PathBuf {
    folder(paths).join("bin/kc.sh")
}

/// Installs it if it is missing; Java and Maven come from Debian where that can be.
pub fn ensure(paths: &Paths, progress: &Progress) -> Result<()> {
    java(paths, progress)?;
    if is_installed(paths) {
        return Ok(());
    }
    let step = progress.step(format!("installing Keycloak {VERSION} from Maven Central"));
    let (folder, log) = (folder(paths), paths.log("install-keycloak"));
    // What an interrupted install left would only confuse this one.
    let _ = fs::remove_dir_all(&folder);
    let unpacked = paths.tools().join("keycloak-unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    files::make_folder(&unpacked)?;
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack"]);
    maven.arg(format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"));
    maven.arg(format!("-DoutputDirectory={}", unpacked.display())).current_dir(&unpacked);
    process::run(&step, &mut maven, &log).context("failed to install Keycloak; is Maven Central reachable?")?;
    fs::rename(unpacked.join(format!("keycloak-{VERSION}")), &folder).context("Keycloak's archive is not as expected")?;
    // Done once, so that no start has to: with a database in memory, since every run begins with nothing.
    let mut build = command(paths);
    build.args(["build", "--db=dev-mem"]);
    process::run(&step, &mut build, &log).context("failed to prepare Keycloak")?;
    fs::write(folder.join("installed"), VERSION)?;
    step.done();
    Ok(())
}

fn java(paths: &Paths, progress: &Progress) -> Result<()> {
    if process::which("java").is_some() && (process::which("mvn").is_some() || is_installed(paths)) {
        return Ok(());
    }
    if !tools::is_debian_root() {
        bail!("there is no Java or no Maven on PATH: {ADVICE}");
    }
    tools::apt_install(paths, progress, "Java and Maven", &["default-jdk-headless", "maven"])
}
