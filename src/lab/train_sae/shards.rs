//! Activations on disk, in bfloat16: shards that each fit into memory.
//!
//! While they are written every row is dealt to a shard at random; when a shard is read its rows are shuffled, and shards come in
//! another order in each pass. A batch so holds rows of texts from all over the corpus, and one shard at a time is in memory.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use half::bf16;
use ndarray::Array2;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, Result};

/// Bytes of rows that wait to be written, over all shards.
const WAITING: usize = 64 << 20;

/// Deals rows to shards.
pub struct Dealer {
    folder: PathBuf,
    shards: Vec<Shard>,
    random: ChaCha8Rng,
    each: usize,
}

struct Shard {
    path: PathBuf,
    rows: usize,
    waiting: Vec<u8>,
}

/// The file of a shard.
pub fn shard_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("shard-{shard:05}.bf16"))
}

impl Dealer {
    /// For so many shards in `folder`.
    pub fn new(folder: &Path, shards: usize, seed: u64) -> Self {
        let new = |shard| Shard {
            path: shard_path(folder, shard),
            rows: 0,
            waiting: Vec::new(),
        };
        Self {
            folder: folder.to_owned(),
            shards: (0..shards).map(new).collect(),
            random: ChaCha8Rng::seed_from_u64(seed),
            each: (WAITING / shards.max(1)).max(1),
        }
    }

    /// Writes a row to one of the shards.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn deal(&mut self, row: &[bf16]) -> Result<()> {
        let chosen = self.random.random_range(0..self.shards.len());
        let each = self.each;
        if let Some(shard) = self.shards.get_mut(chosen) {
            shard.rows += 1;
            put(row, &mut shard.waiting);
            if shard.waiting.len() >= each {
                shard.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what waits. Returns the rows of each shard.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn finish(mut self) -> Result<Vec<usize>> {
        self.shards.iter_mut().try_for_each(Shard::flush)?;
        tracing::debug!(folder = %self.folder.display(), shards = self.shards.len(), "dealt");
        Ok(self.shards.iter().map(|shard| shard.rows).collect())
    }
}

impl Shard {
    fn flush(&mut self) -> Result<()> {
        let mut options = OpenOptions::new();
        let mut written = || {
            let mut file = options.create(true).append(true).open(&self.path)?;
            file.write_all(&self.waiting)
        };
        written().map_err(|error| unwritable(&self.path, &error))?;
        self.waiting.clear();
        Ok(())
    }
}

/// Appends a row's bytes.
pub fn put(row: &[bf16], to: &mut Vec<u8>) {
    to.extend(row.iter().flat_map(|value| value.to_le_bytes()));
}

/// The disk is full or may not be written.
pub fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::failed(format!("writing `{}`", path.display()), error.to_string())
        .expected("a folder that can be written and has room for the activations")
        .hint("name another folder with --work, or take fewer tokens")
}

/// The values of a file of rows `d_in` wide.
///
/// # Errors
/// The file cannot be read, or has another length.
pub fn read(path: &Path, rows: usize, d_in: usize) -> Result<Vec<bf16>> {
    let doing = || format!("reading the activations `{}`", path.display());
    let bytes = fs::read(path).map_err(|error| Fault::failed(doing(), error.to_string()))?;
    if bytes.len() != rows * d_in * size_of::<bf16>() {
        return Err(Fault::usage(doing(), format!("{} bytes", bytes.len()))
            .expected(format!("{rows} rows of {d_in} bfloat16 values"))
            .hint("remove the work folder, so that activations are captured again"));
    }
    let (pairs, _) = bytes.as_chunks::<2>();
    Ok(pairs
        .iter()
        .map(|pair| bf16::from_le_bytes(*pair))
        .collect())
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Passes over all shards.
    pub pass: u64,
    /// Shards of this pass that are done.
    pub shard: usize,
    /// Rows of this shard that are done.
    pub row: usize,
}

/// Reads endless batches.
pub struct Reader {
    folder: PathBuf,
    rows: Vec<usize>,
    d_in: usize,
    scale: f32,
    seed: u64,
    position: Position,
    loaded: Option<Loaded>,
}

struct Loaded {
    of: (u64, usize),
    shard: usize,
    values: Vec<bf16>,
    order: Vec<u32>,
}

impl Reader {
    /// From a place on. Rows are multiplied by `scale`.
    pub fn new(
        folder: &Path,
        rows: Vec<usize>,
        d_in: usize,
        scale: f32,
        seed: u64,
        position: Position,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            rows,
            d_in,
            scale,
            seed,
            position,
            loaded: None,
        }
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Fills a batch `[rows, d_in]`.
    ///
    /// # Errors
    /// A shard cannot be read.
    pub fn fill(&mut self, batch: &mut Array2<f32>) -> Result<()> {
        for mut row in batch.rows_mut() {
            let (place, scale, d_in) = (self.next()?, self.scale, self.d_in);
            let values = self
                .loaded
                .as_ref()
                .map_or(&[][..], |loaded| &loaded.values);
            let values = values.iter().skip(place * d_in);
            for (to, value) in row.iter_mut().zip(values) {
                *to = value.to_f32() * scale;
            }
        }
        Ok(())
    }

    /// The next row's place in the loaded shard.
    fn next(&mut self) -> Result<usize> {
        loop {
            if self.position.shard >= self.rows.len() {
                self.position = Position {
                    pass: self.position.pass + 1,
                    ..Position::default()
                };
            }
            let position = self.position;
            if self
                .loaded
                .as_ref()
                .is_none_or(|loaded| loaded.of != (position.pass, position.shard))
            {
                self.load()?;
            }
            let order = self.loaded.as_ref().map_or(&[][..], |loaded| &loaded.order);
            if let Some(place) = order.get(position.row) {
                self.position.row += 1;
                return Ok(*place as usize);
            }
            self.position.shard += 1;
            self.position.row = 0;
        }
    }

    fn load(&mut self) -> Result<()> {
        let Position { pass, shard, .. } = self.position;
        let mut shards: Vec<usize> = (0..self.rows.len()).collect();
        shards.shuffle(&mut self.random(pass, u64::MAX));
        let chosen = shards.get(shard).copied().unwrap_or(0);
        let rows = self.rows.get(chosen).copied().unwrap_or(0);
        let same = self.loaded.take().filter(|loaded| loaded.shard == chosen);
        let values = match same {
            Some(loaded) => loaded.values,
            None => read(&shard_path(&self.folder, chosen), rows, self.d_in)?,
        };
        #[allow(clippy::cast_possible_truncation, reason = "shards are smaller")]
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.shuffle(&mut self.random(pass, chosen as u64));
        self.loaded = Some(Loaded {
            of: (pass, shard),
            shard: chosen,
            values,
            order,
        });
        Ok(())
    }

    fn random(&self, pass: u64, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ pass.rotate_left(32));
        random.set_stream(stream);
        random
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may unwrap")]
mod tests {
    use super::*;

    const ROWS: usize = 100;

    fn dealt(folder: &Path, shards: usize) -> Vec<usize> {
        let mut dealer = Dealer::new(folder, shards, 3);
        for row in 0_u8..100 {
            dealer.deal(&[bf16::from(row), bf16::ONE]).unwrap();
        }
        dealer.finish().unwrap()
    }

    fn read_on(reader: &mut Reader, rows: usize) -> Vec<f32> {
        let mut batch = Array2::zeros((rows, 2));
        reader.fill(&mut batch).unwrap();
        assert!(batch.column(1).iter().all(|one| (*one - 0.5).abs() < 1e-9));
        batch.column(0).to_vec()
    }

    #[test]
    fn every_pass_has_every_row_once_in_another_order() {
        let folder = tempfile::tempdir().unwrap();
        let rows = dealt(folder.path(), 4);
        assert_eq!(rows.iter().sum::<usize>(), ROWS);
        let open = |at| Reader::new(folder.path(), rows.clone(), 2, 0.5, 7, at);
        let mut reader = open(Position::default());
        // Batches that end where no pass and no shard ends.
        let read: Vec<f32> = (0..20).flat_map(|_| read_on(&mut reader, 30)).collect();
        let passes: Vec<&[f32]> = read.chunks(ROWS).collect();
        let expected: Vec<f32> = (0_u8..100).map(|row| f32::from(row) * 0.5).collect();
        for pass in &passes {
            let mut sorted = pass.to_vec();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, expected);
        }
        assert_ne!(passes[0], passes[1]);
        assert_ne!(passes[0], expected);
        // A reader that begins where another stood goes on as that one does.
        let mut reader = open(Position::default());
        read_on(&mut reader, 130);
        let mut other = open(reader.position());
        assert_eq!(read_on(&mut reader, 77), read_on(&mut other, 77));
    }

    #[test]
    fn an_empty_shard_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let rows = dealt(folder.path(), 400);
        assert!(rows.contains(&0));
        let mut reader = Reader::new(folder.path(), rows, 2, 0.5, 7, Position::default());
        let mut read = read_on(&mut reader, ROWS);
        read.sort_by(f32::total_cmp);
        read.dedup();
        assert_eq!(read.len(), ROWS);
    }
}
