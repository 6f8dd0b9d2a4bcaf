//! Files that would be large once they are decoded: what opening them takes is bounded by their length.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an allocator that counts is unsafe by its signature; a test that cannot go on fails"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candor::model::{Architecture, Model};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// All of the process is counted.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

const MIB: usize = 1 << 20;

/// 64 MiB and 64 times the file, and not more than 1 GiB and twice the file: see `model/wire.rs`.
fn allowed(len: usize) -> usize {
    (64 * MIB + 64 * len).min(1024 * MIB + 2 * len)
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// A length-delimited field.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [
        varint(number << 3 | 2),
        varint(content.len()),
        content.to_vec(),
    ]
    .concat()
}

/// The field `path` from the model down, the last one `count` times with `content`, beside a graph with one node.
fn bomb(path: &[usize], content: &[u8], count: usize) -> Vec<u8> {
    let (last, above) = path.split_last().unwrap();
    let mut bytes = field(*last, content).repeat(count);
    for number in above.iter().rev() {
        bytes = field(*number, &bytes);
    }
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Neg")].concat();
    let graph = [field(1, &node), field(11, &field(1, b"x"))].concat();
    [field(7, &graph), bytes].concat()
}

/// Opens the file, searches it, and gives back the most memory that was in use, in bytes, and whether it was refused.
fn measure(bytes: Vec<u8>, path: &Path) -> (usize, bool) {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let opened = Model::from_bytes(bytes.into(), path);
    let refused = opened.is_err();
    if let Ok(model) = &opened {
        let _ = Architecture::find(model);
    }
    drop(opened);
    (MOST.load(Relaxed) - before, refused)
}

/// Every field of the format that may be repeated, as numbers of fields from the model down, with its smallest content.
const REPEATED: [(&[usize], &[u8]); 52] = [
    (&[8], b""),
    (&[14], b""),
    (&[20], b""),
    (&[25], b""),
    (&[26], b""),
    (&[26, 3], b""),
    (&[25, 4], b""),
    (&[25, 5], b""),
    (&[25, 6], b""),
    (&[25, 7], b""),
    (&[25, 9], b""),
    (&[25, 11], b""),
    (&[25, 12], b""),
    (&[25, 14], b""),
    (&[20, 3], b""),
    (&[7, 1], b""),
    (&[7, 5], b""),
    (&[7, 11], b""),
    (&[7, 12], b""),
    (&[7, 13], b""),
    (&[7, 14], b""),
    (&[7, 14, 2], b""),
    (&[7, 15], b""),
    (&[7, 16], b""),
    (&[7, 1, 1], b""),
    (&[7, 1, 2], b""),
    (&[7, 1, 5], b""),
    (&[7, 1, 9], b""),
    (&[7, 1, 10], b""),
    (&[7, 1, 10, 2], b""),
    (&[7, 1, 10, 2, 3], b""),
    (&[7, 1, 10, 2, 4], b""),
    (&[7, 1, 10, 2, 4, 2], b""),
    (&[7, 1, 5, 9], b""),
    (&[7, 1, 5, 10], b""),
    (&[7, 1, 5, 11], b""),
    (&[7, 1, 5, 15], b""),
    (&[7, 1, 5, 23], b""),
    (&[7, 1, 5, 8], b"\x01"),
    (&[7, 1, 5, 7], b"\0\0\0\0"),
    (&[7, 5, 1], b"\x01"),
    (&[7, 5, 4], b"\0\0\0\0"),
    (&[7, 5, 5], b"\x01"),
    (&[7, 5, 6], b""),
    (&[7, 5, 7], b"\x01"),
    (&[7, 5, 10], b"\0\0\0\0\0\0\0\0"),
    (&[7, 5, 11], b"\x01"),
    (&[7, 5, 13], b""),
    (&[7, 5, 16], b""),
    (&[7, 11, 2, 1, 2, 1], b""),
    (&[7, 11, 2, 4, 1, 4, 1, 1, 2, 1], b""),
    (&[7, 11, 4], b""),
];

#[test]
fn memory_is_bounded_by_the_length_of_the_file() {
    let _alone = alone();
    let mut worst = (0.0, String::new());
    let mut largest = (0.0, String::new());
    for (path, content) in REPEATED {
        for count in [1_000, 40_000, 200_000] {
            let bytes = bomb(path, content, count);
            let len = bytes.len();
            let (most, refused) = measure(bytes, Path::new("bomb.onnx"));
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let share = most as f64 / allowed(len) as f64;
            // Indexes over what was decoded come on top.
            assert!(share < 2.0, "{path:?} × {count}: {most} bytes for {len}");
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let times = most as f64 / len as f64;
            let text = format!("{path:?} × {count}: {len} → {most}, refused: {refused}");
            if times > worst.0 {
                worst = (times, text.clone());
            }
            if share > largest.0 {
                largest = (share, text);
            }
        }
    }
    println!("most for its length: {:.0} times, {}", worst.0, worst.1);
    println!("most of what is allowed: {:.2}, {}", largest.0, largest.1);
}

#[test]
fn a_model_as_exporters_write_it_is_far_from_the_bound() {
    let _alone = alone();
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/zoo");
    let Ok(folders) = std::fs::read_dir(shared) else {
        println!("skipped: ../shared is not here");
        return;
    };
    for folder in folders {
        let path = folder.unwrap().path().join("model.onnx");
        let bytes = std::fs::read(&path).unwrap();
        let len = bytes.len();
        let (most, refused) = measure(bytes, &path);
        println!("{len} bytes, {most} in memory");
        assert!(!refused && most < allowed(len) / 8, "{most} for {len}");
    }
}

/// Numbers that are packed are counted one by one, and weights not at all.
#[test]
fn packed_numbers_and_raw_weights() {
    let _alone = alone();
    let packed = bomb(&[7, 5, 7], &vec![1_u8; 8 << 20], 1);
    let len = packed.len();
    let (most, refused) = measure(packed, Path::new("bomb.onnx"));
    assert!(!refused && most < allowed(len), "{most} for {len}");
    let mut tensor = field(9, &vec![0_u8; 8 << 20]);
    tensor.extend([vec![2 << 3, 2, 1 << 3], varint(8 << 20)].concat());
    let raw = bomb(&[7, 5], &tensor, 1);
    let (most, refused) = measure(raw, Path::new("bomb.onnx"));
    assert!(!refused && most < MIB, "{most}");
}
