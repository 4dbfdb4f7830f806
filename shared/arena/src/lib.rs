//! The allocator of components that live for one request: Spin.
//!
//! A request takes memory a few hundred times, mostly some bytes, and gives them back one by one, just before the host takes all of it.
//! So the small ones come from an arena, one behind the other, and only the last that was taken can be given back. What is large, and
//! all when the arena is full, is the system's. Where C code gives back what a host put into memory, as wasi-libc does, the host's pieces
//! must come from the system: [`realloc_for_host`].
//!
//! ```text
//!  take ──▶ small, and room left? ── yes ─▶ the next bytes of the arena       give back ──▶ of the arena? ── the last one ─▶ room again
//!                     └───────────── no ──▶ the system                                          └── no ─▶ the system
//! ```
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// What is larger is the system's, which can use it again: buffers that grow, values.
const LARGE: usize = 1024;
/// Where the arena begins; it serves nothing that must lie at larger multiples.
const ALIGN: usize = 16;

#[repr(C, align(16))]
struct Room<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

/// An arena of `SIZE` bytes before the system's allocator.
///
/// For one thread alone.
pub struct Arena<const SIZE: usize> {
    room: Room<SIZE>,
    used: Cell<usize>,
}

impl<const SIZE: usize> Arena<SIZE> {
    /// An empty one.
    ///
    /// # Safety
    /// It is used by one thread, or in a program that has no others, such as a component.
    pub const unsafe fn new() -> Self {
        Self { room: Room(UnsafeCell::new([0; SIZE])), used: Cell::new(0) }
    }

    fn begin(&self) -> *mut u8 {
        self.room.0.get().cast()
    }

    /// Where in the arena something lies; `None` where it is the system's.
    fn place(&self, at: *mut u8) -> Option<usize> {
        let place = (at as usize).wrapping_sub(self.begin() as usize);
        (place < SIZE).then_some(place)
    }

    /// Whether nothing was taken after it.
    fn is_last(&self, place: usize, size: usize) -> bool {
        place + size == self.used.get()
    }
}

// SAFETY: whoever makes one promises that there is one thread.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

// SAFETY: what lies in the arena is within its bounds and aligned; `used` grows past it, and shrinks only over what lies last in it when
// that is given back, so that no two overlap. Everything else is the system's, and goes back to it.
unsafe impl<const SIZE: usize> GlobalAlloc for Arena<SIZE> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() <= LARGE && layout.align() <= ALIGN {
            let place = self.used.get().next_multiple_of(layout.align());
            if place + layout.size() <= SIZE {
                self.used.set(place + layout.size());
                // SAFETY: the sum was compared with the arena's size.
                return unsafe { self.begin().add(place) };
            }
        }
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match self.place(at) {
            Some(place) if self.is_last(place, layout.size()) => self.used.set(place),
            Some(_) => {}
            // SAFETY: what is not in the arena came from the system.
            None => unsafe { System.dealloc(at, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place(at) else {
            // SAFETY: as above.
            return unsafe { System.realloc(at, layout, size) };
        };
        if self.is_last(place, layout.size()) && size <= LARGE && place + size <= SIZE {
            self.used.set(place + size);
            return at;
        }
        if size <= layout.size() {
            return at;
        }
        // SAFETY: `size` is none that overflows with this alignment, the caller says; both places have at least as many bytes as are
        // copied, and do not overlap, since the old one is still taken.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                at.copy_to_nonoverlapping(moved, layout.size());
                self.dealloc(at, layout);
            }
            moved
        }
    }
}

/// What a component exports as `cabi_realloc`: where its host puts what it gives. From the system, whose `free` wasi-libc calls on some of it,
/// and to which an [`Arena`] gives back what is not its own.
///
/// # Safety
/// As the Canonical ABI has it: `old` is null and `old_len` 0, or it is what an earlier call gave for `old_len` bytes; `align` is a power
/// of two, the same for both.
pub unsafe fn realloc_for_host(old: *mut u8, old_len: usize, align: usize, len: usize) -> *mut u8 {
    let layout = |size| Layout::from_size_align(size, align).ok();
    if len == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    let Some(new) = layout(len) else { std::process::abort() };
    let at = match layout(old_len) {
        // SAFETY: `len` is not 0; what was given for `old_len` bytes came from here.
        Some(before) if old_len > 0 => unsafe { System.realloc(old, before, len) },
        _ => unsafe { System.alloc(new) },
    };
    if at.is_null() {
        std::process::abort();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Something that was taken, and what was written into it.
    struct Taken {
        at: *mut u8,
        layout: Layout,
        filling: u8,
    }

    impl Taken {
        fn fill(&self) {
            // SAFETY: as many bytes were taken.
            unsafe { self.at.write_bytes(self.filling, self.layout.size()) };
        }

        fn is_whole(&self) -> bool {
            // SAFETY: they were filled.
            let bytes = unsafe { std::slice::from_raw_parts(self.at, self.layout.size()) };
            self.at.align_offset(self.layout.align()) == 0 && bytes.iter().all(|byte| *byte == self.filling)
        }
    }

    fn layout(size: usize, power: u32) -> Layout {
        Layout::from_size_align(size, 1 << power).unwrap()
    }

    proptest! {
        /// Whatever is taken, given back and made larger or smaller, in whatever order: nobody writes into what is another's.
        #[test]
        fn nothing_overlaps(steps in prop::collection::vec((0..3_u8, any::<usize>(), 1..3000_usize, 0..7_u32), 1..200)) {
            // SAFETY: one thread has it.
            let arena = unsafe { Arena::<8192>::new() };
            let mut all: Vec<Taken> = Vec::new();
            for (n, (step, which, size, power)) in steps.into_iter().enumerate() {
                let filling = n as u8;
                let size = if size % 3 == 0 { size } else { size % 50 + 1 };
                match (step, all.len()) {
                    (0, _) | (_, 0) => {
                        let layout = layout(size, power);
                        let taken = Taken { at: unsafe { arena.alloc(layout) }, layout, filling };
                        taken.fill();
                        all.push(taken);
                    }
                    (1, count) => {
                        let Taken { at, layout, .. } = all.swap_remove(which % count);
                        unsafe { arena.dealloc(at, layout) };
                    }
                    (_, count) => {
                        let taken = &mut all[which % count];
                        let kept = taken.layout.size().min(size);
                        taken.at = unsafe { arena.realloc(taken.at, taken.layout, size) };
                        taken.layout = Layout::from_size_align(kept, taken.layout.align()).unwrap();
                        prop_assert!(taken.is_whole());
                        taken.layout = Layout::from_size_align(size, taken.layout.align()).unwrap();
                        taken.filling = filling;
                        taken.fill();
                    }
                }
                prop_assert!(all.iter().all(Taken::is_whole));
            }
            for Taken { at, layout, .. } in all {
                unsafe { arena.dealloc(at, layout) };
            }
        }
    }

    #[test]
    fn the_last_makes_room_again_and_grows_where_it_lies() {
        // SAFETY: one thread has it.
        let arena = unsafe { Arena::<64>::new() };
        let (small, larger) = (layout(16, 3), layout(24, 3));
        unsafe {
            let first = arena.alloc(small);
            assert_eq!(arena.realloc(first, small, 24), first);
            let second = arena.alloc(small);
            arena.dealloc(first, larger);
            arena.dealloc(second, small);
            assert_eq!(arena.alloc(small), second);
        }
    }

    #[test]
    fn what_a_host_gives_is_the_systems() {
        unsafe {
            let first = realloc_for_host(std::ptr::null_mut(), 0, 4, 8);
            first.write_bytes(7, 8);
            let second = realloc_for_host(first, 8, 4, 4000);
            assert_eq!(std::slice::from_raw_parts(second, 8), [7; 8]);
            System.dealloc(second, layout(4000, 2));
            assert_eq!(realloc_for_host(std::ptr::null_mut(), 0, 4, 0) as usize, 4);
        }
    }

    #[test]
    fn the_system_has_what_is_large_or_does_not_fit() {
        // SAFETY: one thread has it.
        let arena = unsafe { Arena::<2048>::new() };
        for layout in [layout(LARGE + 1, 0), layout(8, 5)] {
            let at = unsafe { arena.alloc(layout) };
            assert_eq!(arena.place(at), None);
            unsafe { arena.dealloc(at, layout) };
        }
        let full = layout(LARGE, 0);
        let taken = [(); 3].map(|()| unsafe { arena.alloc(full) });
        assert_eq!(taken.map(|at| arena.place(at)), [Some(0), Some(LARGE), None]);
        unsafe { arena.dealloc(taken[2], full) };
        assert_eq!(arena.used.get(), 2048);
    }
}
