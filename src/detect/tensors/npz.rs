//! NumPy's `.npz`: a zip archive of `.npy` arrays (NEP 1). Arrays of objects are pickles and are never read.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::element::Element;

/// An archive in memory or in a map of a file.
pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// What may be unpacked: this much, and so many times the file. Weights hardly compress; a bomb does.
const UNPACKED: u64 = 64 << 20;
const UNPACKED_TIMES: u64 = 64;
/// Arrays in one archive.
const MOST_ENTRIES: usize = 4096;
/// Length of the header of an array, which holds its type and shape alone.
const LONGEST_HEADER: usize = 1 << 16;
/// How much is unpacked at a time.
const PIECE: usize = 1 << 20;

/// An array of an archive.
#[derive(Debug, Clone)]
pub(super) struct Array {
    pub(super) name: String,
    pub(super) descr: String,
    pub(super) shape: Vec<usize>,
    pub(super) fortran: bool,
    /// Which entry of the archive.
    index: usize,
    /// Bytes before the first element.
    header: usize,
}

/// Whether the bytes are a zip archive of arrays: its first entry is one.
pub(super) fn is_npz(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
        && ZipArchive::new(Cursor::new(bytes)).is_ok_and(|archive| {
            archive
                .name_for_index(0)
                .is_some_and(|name| name.strip_suffix(".npy").is_some())
        })
}

/// Opens an archive and reads the headers of its arrays. The error says what was found.
pub(super) fn open(bytes: &[u8]) -> Result<(Archive<'_>, Vec<Array>), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    if archive.len() > MOST_ENTRIES {
        return Err(format!("{} entries in the archive", archive.len()));
    }
    let file = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let most = UNPACKED.max(file.saturating_mul(UNPACKED_TIMES));
    let mut unpacked = 0_u64;
    let mut arrays = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = entry.name().to_owned();
        let Some(name) = name.strip_suffix(".npy") else {
            return Err(format!("`{name}` in the archive"));
        };
        let size = entry.size();
        unpacked = unpacked.saturating_add(size);
        if unpacked > most {
            return Err(format!(
                "arrays that unpack to at least {unpacked} bytes from a file of {file}"
            ));
        }
        let (header, text) = header(entry).map_err(|found| format!("`{name}`: {found}"))?;
        let array = parse(&text)
            .map(|(descr, fortran, shape)| Array {
                name: name.to_owned(),
                descr,
                shape,
                fortran,
                index,
                header,
            })
            .ok_or_else(|| format!("`{name}` with the header `{}`", text.trim()))?;
        if array.descr.contains('O') {
            return Err(format!("`{name}` holds pickled Python objects"));
        }
        if let Some(element) = Element::of_numpy(&array.descr) {
            let elements = array.shape.iter().try_fold(1_u64, |product, side| {
                product.checked_mul(u64::try_from(*side).ok()?)
            });
            let bytes = elements
                .and_then(|elements| elements.checked_mul(u64::try_from(element.size()).ok()?))
                .and_then(|bytes| bytes.checked_add(u64::try_from(header).ok()?));
            if bytes != Some(size) {
                return Err(format!(
                    "`{name}` of shape {:?} and type `{}` in {size} bytes",
                    array.shape, array.descr
                ));
            }
        }
        arrays.push(array);
    }
    Ok((archive, arrays))
}

/// The elements of an array in the order in which they lie.
pub(super) fn values(
    archive: &mut Archive<'_>,
    array: &Array,
    element: Element,
    values: &mut Vec<f32>,
) -> Result<(), String> {
    let mut entry = archive
        .by_index(array.index)
        .map_err(|error| error.to_string())?;
    let told = |error: std::io::Error| format!("`{}`: {error}", array.name);
    let mut skipped = vec![0; array.header];
    entry.read_exact(&mut skipped).map_err(told)?;
    let mut left: usize = array.shape.iter().product::<usize>() * element.size();
    let mut piece = vec![0; PIECE.min(left)];
    while left > 0 {
        let length = piece.len().min(left);
        let Some(part) = piece.get_mut(..length) else {
            break;
        };
        entry.read_exact(part).map_err(told)?;
        element.append(part, values);
        left -= length;
    }
    // Reading past the end compares the checksum.
    match entry.read(&mut [0]).map_err(told)? {
        0 => Ok(()),
        _ => Err(format!("`{}`: more bytes than its header says", array.name)),
    }
}

/// Length and text of the header of an array.
fn header(mut entry: impl Read) -> Result<(usize, String), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut start = [0; 8];
    entry.read_exact(&mut start).map_err(told)?;
    let [magic @ .., major, _minor] = start;
    if magic != *b"\x93NUMPY" {
        return Err("no NumPy array".to_owned());
    }
    let (length, before) = if major == 1 {
        let mut length = [0; 2];
        entry.read_exact(&mut length).map_err(told)?;
        (usize::from(u16::from_le_bytes(length)), 10)
    } else {
        let mut length = [0; 4];
        entry.read_exact(&mut length).map_err(told)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        (length, 12)
    };
    if length > LONGEST_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let mut text = vec![0; length];
    entry.read_exact(&mut text).map_err(told)?;
    let text = String::from_utf8(text).map_err(|_| "a header that is no text".to_owned())?;
    Ok((before + length, text))
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, the one form that NumPy writes.
fn parse(header: &str) -> Option<(String, bool, Vec<usize>)> {
    let field = |name: &str| {
        let (_, after) = header.split_once(&format!("'{name}':"))?;
        Some(after.trim_start())
    };
    let descr = field("descr")?;
    let descr = match descr.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next()?,
        // Records are lists of fields.
        None => descr.split(", 'fortran_order'").next()?,
    };
    let order = field("fortran_order")?;
    let fortran = match (order.starts_with("True"), order.starts_with("False")) {
        (true, false) => true,
        (false, true) => false,
        _ => return None,
    };
    let (sides, _) = field("shape")?.strip_prefix('(')?.split_once(')')?;
    let shape = sides
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    Some((descr.to_owned(), fortran, shape))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n";
        let parsed = parse(header);
        assert_eq!(parsed, Some(("<f4".to_owned(), false, vec![3, 4])));
        let header = "{'descr': '|O', 'fortran_order': True, 'shape': (), }";
        assert_eq!(parse(header), Some(("|O".to_owned(), true, vec![])));
        for bad in [
            "",
            "{'descr': '<f4', 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
