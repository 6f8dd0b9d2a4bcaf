//! A device: its memory, runs whose inputs and outputs lie there, and a count of what crosses to it and back.
//!
//! Every run has a binding of its own: an output bound to a device is overwritten by the next run of its binding, not by that of
//! another.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::{Array1, Axis};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, TensorElementType, ValueType};

use super::feed::{self, Tensor};
use super::session::load;
use super::{Provider, Runtime};
use crate::fault::{Fault, Result};
use crate::instrument::tokens::{self, Float, Step};

/// Where activations lie between the pieces of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// In the memory of this process; what a piece makes is copied there.
    Host,
    /// Where the model runs, and nowhere else. On the processor that is the same memory, but not the same way: it is there to be
    /// compared.
    Device,
}

impl Memory {
    /// What suits a provider.
    #[must_use]
    pub fn of(provider: Provider) -> Self {
        match provider {
            Provider::Cpu => Self::Host,
            Provider::Cuda => Self::Device,
        }
    }
}

/// Bytes that were handed from the host to the device and back since the model was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Values of activations that were sent up.
    pub written: u64,
    /// Values of activations and logits that were brought down, and one number for each row that was sent up.
    pub read: u64,
    /// Token ids, masks and positions, and which rows to take: what the host alone knows.
    pub indices: u64,
}

type Loaded = Arc<Mutex<ort::session::Session>>;

/// A device, and the small graphs that were needed on it so far.
pub(super) struct Device {
    runtime: Runtime,
    memory: MemoryInfo<'static>,
    host: MemoryInfo<'static>,
    steps: Mutex<HashMap<(Step, Float), Loaded>>,
    written: AtomicU64,
    read: AtomicU64,
    indices: AtomicU64,
}

/// Where an output is to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    Device,
    Host,
}

/// What crosses from the host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent {
    Values,
    Indices,
}

fn failed(error: &ort::Error) -> Fault {
    Fault::failed("moving activations on the device", error.message().trim())
}

pub(super) fn misfit(found: impl Into<String>) -> Fault {
    Fault::failed("moving activations on the device", found)
}

impl Device {
    pub fn new(runtime: &Runtime) -> Result<Self> {
        let at = |device| MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default);
        let device = match runtime.provider() {
            Provider::Cpu => AllocationDevice::CPU,
            Provider::Cuda => AllocationDevice::CUDA,
        };
        Ok(Self {
            runtime: runtime.clone(),
            memory: at(device).map_err(|error| failed(&error))?,
            host: at(AllocationDevice::CPU).map_err(|error| failed(&error))?,
            steps: Mutex::default(),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            indices: AtomicU64::new(0),
        })
    }

    pub fn traffic(&self) -> Traffic {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic {
            written: of(&self.written),
            read: of(&self.read),
            indices: of(&self.indices),
        }
    }

    /// Runs a session on values that lie anywhere; what it makes comes in the order of `outputs`.
    pub fn run(
        &self,
        session: &mut ort::session::Session,
        inputs: &[(&str, &DynValue)],
        outputs: &[(&str, Lies)],
    ) -> Result<Vec<DynValue>> {
        let failed = |error: ort::Error| failed(&error);
        let mut binding = session.create_binding().map_err(failed)?;
        for (name, value) in inputs {
            binding.bind_input(*name, *value).map_err(failed)?;
        }
        for (name, into) in outputs {
            let memory = match into {
                Lies::Device => &self.memory,
                Lies::Host => &self.host,
            };
            binding
                .bind_output_to_device(*name, memory)
                .map_err(failed)?;
        }
        // What is sent up may still be on its way.
        binding.synchronize_inputs().map_err(failed)?;
        let mut made = session.run_binding(&binding).map_err(failed)?;
        let made = outputs
            .iter()
            .map(|(name, into)| {
                let value = made
                    .remove(name)
                    .ok_or_else(|| misfit(format!("no output `{name}`")))?;
                if *into == Lies::Host {
                    self.read.fetch_add(bytes(&value), Ordering::Relaxed);
                }
                Ok(value)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(made)
    }

    /// A value on the host, to be bound to an input.
    pub fn send(
        &self,
        name: &str,
        tensor: Tensor,
        wanted: TensorElementType,
        sent: Sent,
    ) -> Result<DynValue> {
        let value = feed::encode_owned(name, tensor, wanted)?;
        let count = match sent {
            Sent::Values => &self.written,
            Sent::Indices => &self.indices,
        };
        count.fetch_add(bytes(&value), Ordering::Relaxed);
        Ok(value)
    }

    pub fn numbers(&self, name: &str, numbers: &[usize], column: bool) -> Result<DynValue> {
        let numbers = numbers.iter().map(|&number| i64::try_from(number));
        let numbers: Array1<i64> = numbers
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| misfit(error.to_string()))?;
        let numbers = if column {
            numbers.insert_axis(Axis(1)).into_dyn()
        } else {
            numbers.into_dyn()
        };
        let wanted = TensorElementType::Int64;
        self.send(name, Tensor::I64(numbers), wanted, Sent::Indices)
    }

    pub fn step(
        &self,
        step: Step,
        element: Float,
        inputs: &[(&str, &DynValue)],
        outputs: &[(&str, Lies)],
    ) -> Result<Vec<DynValue>> {
        let session = self.loaded(step, element)?;
        let mut session = lock(&session);
        self.run(&mut session, inputs, outputs)
    }

    fn loaded(&self, step: Step, element: Float) -> Result<Loaded> {
        let mut steps = lock(&self.steps);
        if let Some(known) = steps.get(&(step, element)) {
            return Ok(Arc::clone(known));
        }
        let bytes = tokens::step(step, element);
        let shared = |builder: SessionBuilder| {
            builder
                .with_env_allocators()?
                .with_memory_pattern(false)
                .map_err(ort::Error::from)
        };
        let session = load(&self.runtime, &bytes, Path::new(""), shared)?;
        let session = Arc::new(Mutex::new(session));
        steps.insert((step, element), Arc::clone(&session));
        Ok(session)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes(value: &DynValue) -> u64 {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return 0;
    };
    let all = ty.byte_size(shape.num_elements());
    all.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
}

pub(super) fn shape_of(value: &DynValue) -> Vec<usize> {
    match value.dtype() {
        ValueType::Tensor { shape, .. } => shape
            .iter()
            .map(|&size| usize::try_from(size).unwrap_or(0))
            .collect(),
        _ => Vec::new(),
    }
}
