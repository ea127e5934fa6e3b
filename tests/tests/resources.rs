//! What the harness sees of a process. In a program of its own: tests that run beside it would open
//! files and give back memory while it looks.

use std::{fs::File, net::TcpListener};

use caesar_e2e::resources::Resources;

#[test]
fn own_files_sockets_and_memory_are_seen() {
    let pid = std::process::id();
    let before = Resources::of(pid).unwrap();
    let file = File::open("/proc/self/status").unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let memory = vec![1u8; 32 << 20];
    let with = Resources::of(pid).unwrap();
    assert!(with.resident_kib > before.resident_kib + 16 * 1024, "{before:?} {with:?}");
    assert_eq!(with.open_files, before.open_files + 2, "{before:?} {with:?}");
    assert_eq!(with.sockets, before.sockets + 1, "{before:?} {with:?}");
    drop((file, socket, memory));
    let after = Resources::of(pid).unwrap();
    assert_eq!((after.open_files, after.sockets), (before.open_files, before.sockets));
    // The kernel counts pages in batches, a few dozen a thread.
    assert!(after.peak_resident_kib + 1024 > with.resident_kib, "{with:?} {after:?}");
    assert!(after.peak_resident_kib > after.resident_kib + 16 * 1024, "{after:?}");
    assert!(Resources::of(u32::MAX).is_err());
}
