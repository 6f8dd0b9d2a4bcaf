//! Items that lie on the disk and are read when they are needed: a suite may hold more of them than memory has room for.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::intake::{Place, Store};
use super::item::Item;
use super::wire::ItemWire;
use crate::fault::{Fault, Result};

/// Items that are read at once.
const AT_ONCE: usize = 256;

/// Items in a file of their own, without a name: the suite's file may change meanwhile.
#[derive(Debug)]
pub struct StoredItems {
    file: Mutex<File>,
    /// Where each item ends.
    ends: Vec<u64>,
    /// The counterpart of each.
    pairs: Vec<Option<Place>>,
}

/// Items on their way to the disk.
pub struct Writing {
    out: BufWriter<File>,
    ends: Vec<u64>,
}

impl Store for StoredItems {
    type Open = Writing;

    fn begin() -> Result<Writing> {
        let file = tempfile::tempfile().map_err(|error| kept(&error))?;
        Ok(Writing {
            out: BufWriter::new(file),
            ends: Vec::new(),
        })
    }

    fn add(to: &mut Writing, item: Item) -> Result<()> {
        let line =
            serde_json::to_vec(&ItemWire::from(item)).map_err(|error| kept(&error.into()))?;
        to.out.write_all(&line).map_err(|error| kept(&error))?;
        let before = to.ends.last().copied().unwrap_or(0);
        to.ends.push(before + line.len() as u64);
        Ok(())
    }

    fn finish(from: Writing, pairs: Vec<Option<Place>>) -> Result<Self> {
        let file = from.out.into_inner().map_err(|error| kept(error.error()))?;
        Ok(Self {
            file: Mutex::new(file),
            ends: from.ends,
            pairs,
        })
    }
}

impl StoredItems {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none. A suite has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The place of an item's counterpart.
    #[must_use]
    pub fn pair_of(&self, place: usize) -> Option<usize> {
        self.pairs.get(place).copied().flatten().map(Place::index)
    }

    /// One item.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn get(&self, place: usize) -> Result<Item> {
        let mut one = self.range(place..place.saturating_add(1))?;
        one.pop().ok_or_else(|| {
            Fault::failed(
                "reading an item of a suite",
                format!("no item {place} among {}", self.len()),
            )
        })
    }

    /// Some items, as far as they are there.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn range(&self, places: Range<usize>) -> Result<Vec<Item>> {
        let places = places.start.min(self.len())..places.end.min(self.len());
        let start = |place: usize| match place.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let first = start(places.start);
        let bytes = self.bytes(first, start(places.end.max(places.start)) - first)?;
        places
            .map(|place| {
                let from = usize::try_from(start(place) - first).unwrap_or(usize::MAX);
                let to = usize::try_from(start(place + 1) - first).unwrap_or(usize::MAX);
                let line = bytes.get(from..to).unwrap_or_default();
                Item::read(&String::from_utf8_lossy(line), &|| READING.to_owned())
            })
            .collect()
    }

    /// Every item, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Result<Item>> + '_ {
        let starts = (0..self.len()).step_by(AT_ONCE);
        starts.flat_map(|start| match self.range(start..start + AT_ONCE) {
            Ok(items) => items.into_iter().map(Ok).collect(),
            Err(fault) => vec![Err(fault)],
        })
    }

    fn bytes(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|error| kept(&error))?;
        Ok(bytes)
    }
}

const READING: &str = "reading items of a suite that were kept on the disk";

fn kept(error: &std::io::Error) -> Fault {
    Fault::failed(
        "keeping the items of a suite on the disk",
        error.to_string(),
    )
    .expected("room in the folder for temporary files")
    .hint("set TMPDIR to a folder with more room")
}
