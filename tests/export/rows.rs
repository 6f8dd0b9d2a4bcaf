//! Runs of two prompts, together or one after the other where the graph takes a single row.

use std::collections::BTreeMap;

use candor::run::{Feed, Session, Tensor};
use ndarray::{Array2, ArrayD, Axis, Slice, concatenate};

use super::fixture::Fixture;

/// The outputs named in `wanted`, all rows together; `extra` has a row for each prompt.
pub fn run(
    session: &Session,
    fixture: &Fixture,
    extra: &[(String, Tensor)],
    wanted: &[&str],
) -> Result<BTreeMap<String, ArrayD<f32>>, String> {
    let once = |ids: Array2<i64>, extra: Vec<(String, Tensor)>| {
        let mut feed = Feed::unpadded(ids);
        feed.extra = extra;
        session.run(&feed, wanted).map_err(|fault| fault.found)
    };
    if !fixture.one_row {
        return once(fixture.ids.clone(), extra.to_vec());
    }
    let rows = (0..fixture.ids.nrows()).map(|row| {
        let only = Slice::from(row..=row);
        let ids = fixture.ids.slice_axis(Axis(0), only).to_owned();
        let extra = extra.iter().map(|(name, value)| {
            let value = match value {
                Tensor::F32(all) => Tensor::F32(all.slice_axis(Axis(0), only).to_owned()),
                Tensor::I64(all) => Tensor::I64(all.slice_axis(Axis(0), only).to_owned()),
                Tensor::Bool(all) => Tensor::Bool(all.slice_axis(Axis(0), only).to_owned()),
            };
            (name.clone(), value)
        });
        once(ids, extra.collect())
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let joined = wanted.iter().map(|name| {
        let parts: Vec<_> = rows.iter().map(|outputs| outputs[*name].view()).collect();
        ((*name).to_owned(), concatenate(Axis(0), &parts).unwrap())
    });
    Ok(joined.collect())
}
