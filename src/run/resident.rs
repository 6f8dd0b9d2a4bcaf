//! Activations that stay where the model runs: matrices of tokens in the device's memory, which a piece has made and the next is given.
//! Rows are taken, written and read there by small graphs ([`tokens`]).

use std::sync::Arc;

use ndarray::{Array2, ArrayD, Ix2, IxDyn};
use ort::value::{DynValue, TensorElementType, ValueType};

use super::device::{Device, Lies, Sent, misfit, shape_of};
use super::feed::Tensor;
use super::values;
use crate::fault::Result;
use crate::instrument::tokens::{self, Float, Step};

/// A matrix of tokens on a device.
#[derive(Clone)]
pub(super) struct DeviceTensor {
    device: Arc<Device>,
    value: Arc<DynValue>,
    element: Float,
    tokens: usize,
    width: usize,
}

/// Rows on a device, to be written there.
pub(super) struct DeviceRows(DynValue);

/// Rows that are written to places of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Writes<'w> {
    pub rows: &'w DeviceRows,
    /// Which of them.
    pub which: &'w [usize],
    /// Where each of these goes.
    pub at: &'w [usize],
}

impl DeviceTensor {
    /// What a piece has made, as that many tokens of that width; a value that is the same for every token counts once.
    pub fn new(device: &Arc<Device>, value: DynValue, tokens: usize, width: usize) -> Result<Self> {
        let element = match value.dtype() {
            ValueType::Tensor { ty, .. } => match ty {
                TensorElementType::Float32 => Some(Float::F32),
                TensorElementType::Float16 => Some(Float::F16),
                TensorElementType::Bfloat16 => Some(Float::Bf16),
                _ => None,
            },
            _ => None,
        };
        let element = element.ok_or_else(|| {
            misfit(value.dtype().to_string()).expected("a tensor of float32, float16 or bfloat16")
        })?;
        let found = shape_of(&value);
        if found.iter().product::<usize>() != tokens * width {
            return Err(misfit(format!("the shape {found:?}"))
                .expected(format!("{tokens} tokens of {width} values")));
        }
        Ok(Self {
            device: Arc::clone(device),
            value: Arc::new(value),
            element,
            tokens,
            width,
        })
    }

    pub fn tokens(&self) -> usize {
        self.tokens
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn element(&self) -> TensorElementType {
        match self.element {
            Float::F32 => TensorElementType::Float32,
            Float::F16 => TensorElementType::Float16,
            Float::Bf16 => TensorElementType::Bfloat16,
        }
    }

    /// Tokens `from` (`None` for all), with rows written among them, laid out as `shape`.
    pub fn laid_out(
        &self,
        from: Option<&[usize]>,
        writes: Option<Writes<'_>>,
        shape: &[usize],
    ) -> Result<Arc<DynValue>> {
        let is_all = |from: &&[usize]| {
            from.len() == self.tokens && from.iter().enumerate().all(|(at, from)| at == *from)
        };
        let from = from.filter(|from| !is_all(from));
        if from.is_none() && writes.is_none() && shape_of(&self.value) == shape {
            return Ok(Arc::clone(&self.value));
        }
        let step = Step::Move {
            takes: from.is_some(),
            writes: writes.is_some(),
        };
        let device = &self.device;
        let shape = device.numbers(tokens::SHAPE, shape, false)?;
        let flat = self.flat(tokens::FLAT)?;
        let mut inputs: Vec<(&str, &DynValue)> =
            vec![(tokens::VALUES, &self.value), (tokens::SHAPE, &shape)];
        if from.is_some() || writes.is_some() {
            inputs.push((tokens::FLAT, &flat));
        }
        let from = from.map(|from| device.numbers(tokens::FROM, from, false));
        let from = from.transpose()?;
        inputs.extend(from.iter().map(|from| (tokens::FROM, from)));
        let places = writes.map(|writes| {
            Ok((
                device.numbers(tokens::AT, writes.at, true)?,
                device.numbers(tokens::WHICH, writes.which, false)?,
            ))
        });
        let places = places.transpose()?;
        if let (Some(writes), Some((at, which))) = (writes, &places) {
            inputs.push((tokens::ROWS, &writes.rows.0));
            inputs.push((tokens::AT, at));
            inputs.push((tokens::WHICH, which));
        }
        let made = device.step(step, self.element, &inputs, &[(tokens::MADE, Lies::Device)])?;
        let made = made.into_iter().next();
        made.map(Arc::new).ok_or_else(|| misfit("nothing was made"))
    }

    /// As [`Self::laid_out`], as a matrix of its own.
    pub fn moved(&self, from: Option<&[usize]>, writes: Option<Writes<'_>>) -> Result<Self> {
        let tokens = from.map_or(self.tokens, <[usize]>::len);
        let value = self.laid_out(from, writes, &[tokens, self.width])?;
        Ok(Self {
            value,
            tokens,
            ..self.clone()
        })
    }

    /// One token, repeated.
    pub fn repeated(&self, tokens: usize) -> Result<Self> {
        self.moved(Some(&vec![0; tokens]), None)
    }

    /// Tokens `at` `[n, width]`, or `[n, columns]`, brought to the host.
    pub fn read(&self, at: &[usize], columns: Option<&[usize]>) -> Result<Array2<f32>> {
        let width = columns.map_or(self.width, <[usize]>::len);
        if at.is_empty() || width == 0 {
            return Ok(Array2::zeros((at.len(), width)));
        }
        let step = Step::Read {
            columns: columns.is_some(),
        };
        let device = &self.device;
        let from = device.numbers(tokens::FROM, at, false)?;
        let flat = self.flat(tokens::FLAT)?;
        let columns = columns.map(|columns| device.numbers(tokens::COLUMNS, columns, false));
        let columns = columns.transpose()?;
        let mut inputs = vec![
            (tokens::VALUES, &*self.value),
            (tokens::FLAT, &flat),
            (tokens::FROM, &from),
        ];
        inputs.extend(columns.iter().map(|columns| (tokens::COLUMNS, columns)));
        let made = device.step(step, self.element, &inputs, &[(tokens::MADE, Lies::Host)])?;
        let made = made.first().ok_or_else(|| misfit("nothing was made"))?;
        values::read(tokens::MADE, made, |view| matrix(view.to_owned()))
    }

    /// Sends rows up, `[k, width]`, and says of each whether it is what token `at` holds already.
    pub fn stage(&self, at: &[usize], rows: Array2<f32>) -> Result<(DeviceRows, Vec<bool>)> {
        let device = &self.device;
        let flat = self.flat(tokens::FLAT)?;
        let from = device.numbers(tokens::FROM, at, false)?;
        let rows = device.send(
            tokens::ROWS,
            Tensor::F32(rows.into_dyn()),
            TensorElementType::Float32,
            Sent::Values,
        )?;
        let inputs = [
            (tokens::VALUES, &*self.value),
            (tokens::FLAT, &flat),
            (tokens::FROM, &from),
            (tokens::ROWS, &rows),
        ];
        let outputs = [(tokens::MADE, Lies::Device), (tokens::SAME, Lies::Host)];
        let made = device.step(Step::Stage, self.element, &inputs, &outputs)?;
        let [made, same]: [DynValue; 2] = made
            .try_into()
            .map_err(|_| misfit("not two tensors were made"))?;
        let same = values::read(tokens::SAME, &same, |view| {
            Ok(view.iter().map(|same| *same > 0.0).collect())
        })?;
        Ok((DeviceRows(made), same))
    }

    /// All tokens of `parts`, one behind another.
    pub fn joined(parts: Vec<Self>) -> Result<Self> {
        let mut parts = parts;
        // Two at a time, so that no token is copied more often than there are doublings.
        while parts.len() > 1 {
            let mut halved = Vec::with_capacity(parts.len().div_ceil(2));
            let mut rest = parts.into_iter();
            while let Some(first) = rest.next() {
                halved.push(match rest.next() {
                    Some(second) => first.before(&second)?,
                    None => first,
                });
            }
            parts = halved;
        }
        parts.pop().ok_or_else(|| misfit("no tokens to join"))
    }

    fn before(&self, other: &Self) -> Result<Self> {
        let [more, more_flat] = tokens::MORE;
        let (flat, other_flat) = (self.flat(tokens::FLAT)?, other.flat(more_flat)?);
        let inputs = [
            (tokens::VALUES, &*self.value),
            (tokens::FLAT, &flat),
            (more, &*other.value),
            (more_flat, &other_flat),
        ];
        let outputs = [(tokens::MADE, Lies::Device)];
        let made = self
            .device
            .step(Step::Join, self.element, &inputs, &outputs)?;
        let made = made.into_iter().next();
        let made = made.ok_or_else(|| misfit("nothing was made"))?;
        Self::new(&self.device, made, self.tokens + other.tokens, self.width)
    }

    fn flat(&self, name: &str) -> Result<DynValue> {
        self.device.numbers(name, &[self.tokens, self.width], false)
    }
}

fn matrix(values: ArrayD<f32>) -> Result<Array2<f32>> {
    let shape = IxDyn(values.shape());
    values
        .into_dimensionality::<Ix2>()
        .map_err(|_| misfit(format!("the shape {shape:?}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use half::{bf16, f16};
    use ndarray::{Array1, Axis};
    use proptest::prelude::*;

    use super::super::held::{Held, Lies as Memory};
    use super::super::{Runtime, RuntimeOptions};
    use super::*;

    fn device() -> Arc<Device> {
        static DEVICE: std::sync::OnceLock<Arc<Device>> = std::sync::OnceLock::new();
        let made = DEVICE.get_or_init(|| {
            let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
            Arc::new(Device::new(&runtime).unwrap())
        });
        Arc::clone(made)
    }

    /// `[tokens, width]` as a piece might make it: with an axis of its own between the two.
    fn up(values: &Array2<f32>, element: Float) -> DeviceTensor {
        let device = device();
        let (tokens, width) = values.dim();
        let shaped = values.clone().into_shape_with_order((tokens, 1, width));
        let shaped = shaped.unwrap().into_dyn();
        let value = match element {
            Float::F32 => ort::value::Tensor::from_array(shaped).unwrap().into_dyn(),
            Float::F16 => ort::value::Tensor::from_array(shaped.mapv(f16::from_f32))
                .unwrap()
                .into_dyn(),
            Float::Bf16 => ort::value::Tensor::from_array(shaped.mapv(bf16::from_f32))
                .unwrap()
                .into_dyn(),
        };
        DeviceTensor::new(&device, value, tokens, width).unwrap()
    }

    fn down(held: &Held<'_>) -> Array2<f32> {
        let all: Vec<usize> = (0..held.tokens()).collect();
        let looked = held.look(&all, None).unwrap();
        let rows: Vec<_> = all.iter().map(|&at| looked.row(at).unwrap()).collect();
        ndarray::stack(Axis(0), &rows).unwrap()
    }

    fn rounded(values: &Array2<f32>, element: Float) -> Array2<f32> {
        match element {
            Float::F32 => values.clone(),
            Float::F16 => values.mapv(|value| f16::from_f32(value).to_f32()),
            Float::Bf16 => values.mapv(|value| bf16::from_f32(value).to_f32()),
        }
    }

    fn elements() -> impl Strategy<Value = Float> {
        prop_oneof![Just(Float::F32), Just(Float::F16), Just(Float::Bf16)]
    }

    /// A matrix, tokens to take of it, rows to write, whether each stays as it is, and their places among those taken.
    #[derive(Debug, Clone)]
    struct Case {
        values: Array2<f32>,
        from: Option<Vec<usize>>,
        rows: Vec<(Array1<f32>, bool, usize)>,
        columns: Vec<usize>,
    }

    fn cases() -> impl Strategy<Value = Case> {
        (1_usize..6, 1_usize..5).prop_flat_map(|(tokens, width)| {
            let matrix = prop::collection::vec(-9.0_f32..9.0, tokens * width);
            let from = prop::option::of(prop::collection::vec(0..tokens, 1..8));
            (matrix, from).prop_flat_map(move |(values, from)| {
                let places: Vec<usize> = (0..from.as_ref().map_or(tokens, Vec::len)).collect();
                let row = (prop::collection::vec(-9.0_f32..9.0, width), any::<bool>());
                let (some, last) = (1..=places.len(), places.len());
                (
                    prop::sample::subsequence(places, some),
                    prop::collection::vec(row, last),
                    prop::collection::vec(0..width, 1..4),
                )
                    .prop_map(move |(at, rows, columns)| Case {
                        values: Array2::from_shape_vec((tokens, width), values.clone()).unwrap(),
                        from: from.clone(),
                        rows: rows
                            .into_iter()
                            .zip(at)
                            .map(|((row, same), at)| (row.into(), same, at))
                            .collect(),
                        columns,
                    })
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_are_taken_written_and_read_on_the_device_as_on_the_host(
            case in cases(),
            element in elements(),
        ) {
            let values = rounded(&case.values, element);
            let source = |at: usize| case.from.as_ref().map_or(at, |from| from[at]);
            let at: Vec<usize> = case.rows.iter().map(|(_, _, at)| *at).collect();
            let before: Vec<usize> = at.iter().map(|&at| source(at)).collect();
            let rows: Vec<Array1<f32>> = case
                .rows
                .iter()
                .zip(&before)
                .map(|((row, same, _), &before)| match same {
                    true => values.row(before).to_owned(),
                    false => row.clone(),
                })
                .collect();
            let through = |held: Held<'static>| {
                let (staged, same) = held.stage(&before, rows.clone()).unwrap();
                let which: Vec<usize> = (0..rows.len()).filter(|&row| !same[row]).collect();
                let to: Vec<usize> = which.iter().map(|&row| at[row]).collect();
                let held = held.written(case.from.as_deref(), &staged, &which, &to).unwrap();
                (same, held)
            };
            let on_device = Held(Memory::Device(up(&case.values, element)));
            let (same, moved) = through(Held::from(values.clone()));
            let (known, held) = through(on_device);
            for (row, own) in rows.iter().enumerate() {
                let rounded = rounded(&own.clone().insert_axis(Axis(0)), element);
                let there = rounded.row(0) == values.row(before[row]);
                prop_assert_eq!(known[row], there);
                prop_assert!(known[row] || !same[row]);
            }
            prop_assert_eq!(down(&held), rounded(&down(&moved), element));
            let some = held.look(&[0], Some(&case.columns)).unwrap();
            let expected = down(&moved).select(Axis(1), &case.columns);
            let expected = rounded(&expected, element);
            prop_assert_eq!(some.row(0).unwrap(), expected.row(0));
            prop_assert!(some.row(1).is_err());
        }

        #[test]
        fn parts_are_joined_in_order(sizes in prop::collection::vec(1_usize..4, 1..8), element in elements()) {
            let mut next = 0.0;
            let parts: Vec<Array2<f32>> = sizes
                .iter()
                .map(|&tokens| Array2::from_shape_simple_fn((tokens, 2), || { next += 1.0; next }))
                .collect();
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            let expected = ndarray::concatenate(Axis(0), &views).unwrap();
            let joined = Held::joined(
                parts.iter().map(|part| Held(Memory::Device(up(part, element)))).collect(),
            );
            prop_assert_eq!(down(&joined.unwrap()), expected);
        }
    }

    #[test]
    fn what_a_run_has_made_outlives_the_next_run_of_its_session() {
        let values = Array2::from_shape_vec((4, 3), (0_u8..12).map(f32::from).collect()).unwrap();
        let held = Held(Memory::Device(up(&values, Float::F32)));
        let first = held.taken(&[3, 1]).unwrap();
        let second = held.taken(&[0, 2]).unwrap();
        assert_eq!(down(&first), values.select(Axis(0), &[3, 1]));
        assert_eq!(down(&second), values.select(Axis(0), &[0, 2]));
    }

    #[test]
    fn what_lies_in_no_known_way_is_refused() {
        let device = device();
        let integers = ort::value::Tensor::from_array(([2_usize], vec![1_i64, 2])).unwrap();
        let refused = DeviceTensor::new(&device, integers.into_dyn(), 2, 1);
        assert!(refused.is_err_and(|fault| fault.expected.contains("float16")));
        let floats = ort::value::Tensor::from_array(([2_usize], vec![1.0_f32, 2.0])).unwrap();
        let refused = DeviceTensor::new(&device, floats.into_dyn(), 3, 1);
        assert!(refused.is_err_and(|fault| fault.found.contains("[2]")));
    }
}
