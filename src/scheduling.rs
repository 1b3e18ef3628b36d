//! How the system schedules the I/O thread.

/// Lets the calling thread run soon after it is woken, also while other threads keep every processor busy, as a worker's own
/// computations do. Linux from 6.12 on lets a thread go first that runs for shorter times than the one that is running; it gets no
/// larger share of a processor by that. The I/O thread runs for microseconds, so it asks for the shortest slice that there is.
///
/// Where a filter of system calls is at work, nothing is asked: some end the process when it asks for what they do not allow. An error
/// may come from such a filter too.
#[cfg(target_os = "linux")]
pub fn take_short_slices() {
    use std::ffi::c_long;
    use std::mem;

    use libc::sched_attr;

    /// The shortest slice, in nanoseconds.
    const SLICE: u64 = 100_000;
    const SIZE: u32 = mem::size_of::<sched_attr>() as u32;
    const THIS_THREAD: c_long = 0;
    const NO_FLAGS: c_long = 0;

    // SAFETY: reads a number about this thread.
    if unsafe { libc::prctl(libc::PR_GET_SECCOMP) } != 0 {
        return;
    }
    let mut now = sched_attr {
        size: SIZE,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: writes at most `SIZE` bytes to what is as large.
    let answer = unsafe {
        libc::syscall(libc::SYS_sched_getattr, THIS_THREAD, &raw mut now, c_long::from(SIZE as i32), NO_FLAGS)
    };
    // Whoever has chosen another policy for the process knows better.
    if answer != 0 || now.sched_policy != libc::SCHED_OTHER as u32 {
        return;
    }
    let wanted = sched_attr { sched_runtime: SLICE, ..now };
    // SAFETY: reads a structure that says how large it is. When it is refused, nothing has changed.
    unsafe { libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, &raw const wanted, NO_FLAGS) };
}

/// Other systems offer nothing like it to everybody.
#[cfg(not(target_os = "linux"))]
pub fn take_short_slices() {}
