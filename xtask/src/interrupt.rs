//! Signals become flags: every wait in xtask looks at them, so that what was started can be stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

struct Flags {
    stop: Arc<AtomicBool>,
    restart: Arc<AtomicBool>,
    homeserver: Arc<AtomicBool>,
}

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// Turns Ctrl-C, termination and hang-up into "stop", SIGUSR1 into "start the server again", and SIGUSR2 into the same for the
/// homeserver.
pub fn install() -> Result<()> {
    let flags = FLAGS.get_or_init(|| Flags { stop: Arc::default(), restart: Arc::default(), homeserver: Arc::default() });
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&flags.stop)).context("no signals here")?;
    }
    signal_hook::flag::register(SIGUSR1, Arc::clone(&flags.restart)).context("no signals here")?;
    signal_hook::flag::register(SIGUSR2, Arc::clone(&flags.homeserver)).context("no signals here")?;
    Ok(())
}

/// Whether the user, or whoever runs us, wants an end.
pub fn stop_wanted() -> bool {
    FLAGS.get().is_some_and(|flags| flags.stop.load(Ordering::SeqCst))
}

/// Whether the server is to be started again; asking clears the wish.
pub fn take_restart() -> bool {
    FLAGS.get().is_some_and(|flags| flags.restart.swap(false, Ordering::SeqCst))
}

/// Whether the homeserver is to be started again; asking clears the wish.
pub fn take_homeserver_restart() -> bool {
    FLAGS.get().is_some_and(|flags| flags.homeserver.swap(false, Ordering::SeqCst))
}
