//! The engine as Spin configures it, so that what is measured here says something of Spin: instances come from a pool, whose
//! memories keep their pages, and a guest that only computes is interrupted. Figures: Spin's defaults.

use anyhow::Result;
use wasmtime::{Config, Engine, PoolingAllocationConfig};

/// Instances that can live at once.
const INSTANCES: u32 = 1000;
/// Core instances that they are made of, and tables that these have.
const CORE_INSTANCES: u32 = 4 * INSTANCES;
const TABLES: u32 = 2 * INSTANCES;
const TABLE_ELEMENTS: usize = 100_000;
/// What wasmtime itself may need for one instance.
const INSTANCE_BYTES: usize = 10 << 20;
/// The address space of one instance's memory.
const MEMORY_BYTES: usize = 4 << 30;
/// What stays mapped of a memory and of a table for the next instance that gets it, to be cleared rather than faulted in anew.
const MEMORY_KEPT: usize = 2 << 20;
const TABLE_KEPT: usize = 1 << 19;

/// The engine; instances are allocated on demand where there is no address space for the pool (terabytes of it, none of it used).
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true).allocation_strategy(pool());
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            eprintln!("spin-host: no pool of instances, which will take longer to make: {error:#}");
            Ok(Engine::new(Config::new().epoch_interruption(true))?)
        }
    }
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_stacks(INSTANCES)
        .total_core_instances(CORE_INSTANCES)
        .total_tables(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_core_instances_per_component(200)
        .max_memories_per_component(32)
        .max_tables_per_component(64)
        .max_memories_per_module(2)
        .max_tables_per_module(2)
        .max_memory_size(MEMORY_BYTES)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT);
    pool
}
