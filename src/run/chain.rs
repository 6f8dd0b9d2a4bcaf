//! Pieces run on what is held between them, in whichever memory it lies.

use ndarray::Array2;

use super::device::shape_of;
use super::held::{Chosen, Held, Lies};
use super::resident::DeviceTensor;
use super::tried::{Piece, misshapen};
use crate::fault::{Fault, Result};

impl Piece {
    /// As [`Piece::run_for`], on the `chosen` tokens of what is held, which lies in the memory that the pieces were opened with; so does
    /// what is shown. `columns` are the ids whose logits are made.
    ///
    /// # Errors
    /// As [`Piece::run`], or what is held lies in the other memory.
    pub fn run_held(
        &self,
        ids: &Array2<i64>,
        given: &[(&str, &Held<'_>)],
        chosen: &Chosen<'_>,
        columns: &[i64],
        mut see: impl FnMut(&str, Held<'_>) -> Result<()>,
    ) -> Result<()> {
        let needed = given
            .iter()
            .filter(|(name, _)| self.session.given.iter().any(|own| own == name));
        let Some(device) = &self.device else {
            let values = needed
                .map(|(name, held)| Ok((*name, held.on_host(chosen)?)))
                .collect::<Result<Vec<_>>>()?;
            let views: Vec<_> = values
                .iter()
                .map(|(name, values)| (*name, values.view()))
                .collect();
            return self.run_for(ids, &views, columns, |name, values| {
                see(name, Held::view(values))
            });
        };
        let (rows, tokens) = ids.dim();
        let given = needed
            .map(|(name, held)| {
                let Lies::Device(held) = &held.0 else {
                    return Err(Fault::failed(
                        format!("giving `{name}` to a piece of the model"),
                        "a value in the host's memory",
                    ));
                };
                let shape = self.shapes.get(*name);
                let shape = shape.ok_or_else(|| misshapen(name, &[]))?.at(rows, tokens);
                let range: Vec<usize>;
                let from = match chosen {
                    Chosen::Range(all) if *all == (0..held.tokens()) => None,
                    Chosen::Range(some) => {
                        range = some.clone().collect();
                        Some(range.as_slice())
                    }
                    Chosen::At(at) => Some(*at),
                };
                Ok((*name, held, held.laid_out(from, None, &shape)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let made = self.session.chain(device, ids, &given, columns)?;
        drop(given);
        for (name, value) in self.session.wanted.iter().zip(made) {
            let shape = shape_of(&value);
            let (entries, width) = self.laid(name, &shape, ids.dim(), columns.len())?;
            let mut values = DeviceTensor::new(device, value, entries, width)?;
            if self.is_constant(name) {
                values = values.repeated(rows * tokens)?;
            }
            see(name, Held(Lies::Device(values)))?;
        }
        Ok(())
    }
}
