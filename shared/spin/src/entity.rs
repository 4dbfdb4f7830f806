//! `Entities`: versioned rows. Wake-ups come with maintenance and on access.

use crate::{Inner, SpinPlatform};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use tmcp_ports::{Clock, Context, Entities, EntityError, EntityKind, Platform, Random, Tasks, rows};

/// Entities as rows.
pub struct SpinEntities {
    inner: Weak<Inner>,
    conflicts: AtomicU64,
}

impl SpinEntities {
    pub(crate) fn new(inner: Weak<Inner>) -> Self {
        Self { inner, conflicts: AtomicU64::new(0) }
    }

    fn platform(&self) -> Result<SpinPlatform, EntityError> {
        self.inner.upgrade().map(SpinPlatform).ok_or_else(|| EntityError::Unavailable("the request is over".to_owned()))
    }
}

impl Entities for SpinEntities {
    async fn ask<E: EntityKind>(&self, id: &str, command: E::Command) -> Result<E::Reply, EntityError> {
        let platform = self.platform()?;
        let context = Context { now: platform.clock().now(), random: platform.random().bytes() };
        let rows::Asked { reply, effects, conflicts } = rows::ask::<E>(&*platform.sql().open()?, id, command, context)?;
        self.conflicts.fetch_add(conflicts.into(), Ordering::Relaxed);
        if effects {
            let (later, id) = (platform.clone(), id.to_owned());
            platform.tasks().after(async move {
                // What fails here is found again by maintenance.
                let _ = rows::run_effects::<E, _>(&later, || later.sql().open(), &id).await;
            });
        }
        Ok(reply)
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    async fn waiting(&self) -> Result<Option<i64>, EntityError> {
        Ok(rows::waiting(&*self.platform()?.sql().open()?)?)
    }

    async fn maintain<E: EntityKind>(&self, limit: i64) -> Result<i64, EntityError> {
        let platform = self.platform()?;
        rows::maintain::<E, _>(&platform, || platform.sql().open(), limit).await
    }
}
