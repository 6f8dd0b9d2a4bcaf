//! A suite that is opened in both ways, shared by the tests of suites.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::Path;

use candor::fault::Result;
use candor::tokens::{Item, Suite};

/// Opens a suite in memory and on the disk, which have to be the same suite or fail alike.
pub fn open(folder: &Path) -> Result<Suite> {
    let held = Suite::open(folder);
    match (&held, Suite::open_on_disk(folder)) {
        (Ok(held), Ok(stored)) => {
            let items: Vec<Item> = stored.items.iter().map(Result::unwrap).collect();
            assert_eq!(items, held.items);
            assert_eq!(stored.items.len(), held.items.len());
            let middle = held.items.len() / 2..held.items.len();
            assert_eq!(
                stored.items.range(middle.clone()).unwrap(),
                held.items[middle]
            );
            for (place, item) in held.items.iter().enumerate() {
                let pair = stored.items.pair_of(place).map(|pair| &held.items[pair].id);
                assert_eq!(pair, item.pair.as_ref());
            }
            assert!(stored.items.get(held.items.len()).is_err());
            assert_eq!(
                (&stored.digest, &stored.sources),
                (&held.digest, &held.sources)
            );
        }
        (Err(held), Err(stored)) => assert_eq!(held.to_string(), stored.to_string()),
        (held, stored) => panic!("in memory {held:?}, on the disk {stored:?}"),
    }
    held
}
