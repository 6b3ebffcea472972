//! Fused operations for candle's tape, each with its own backward pass.
//!
//! candle differentiates the graph; what it lacks or does slowly on a CPU is here: convolutions of every geometry,
//! constant sparse maps, channel-wise affine maps, batch normalization, PAFs, exact pools. A kernel sees the whole batch
//! and works on samples in parallel. Tensors are `[batch, elements]`, elements row-major as in the IR.
//!
//! Sums over samples run over fixed groups of samples in a fixed order, so results do not depend on the number of
//! threads.

pub(super) mod activation;
pub(super) mod channels;
pub(super) mod convolution;
pub(super) mod function;
pub(super) mod pool;
pub(super) mod sparse;

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, WithDType,
};
use ndarray::LinalgScalar;
use paf_ir::lanes::vectorized;
use rayon::prelude::*;

/// Samples whose contributions to a gradient are added up before they join the others.
const SAMPLES_A_GROUP: usize = 8;

/// The number types of training: `f32`, and `f64` for checks of gradients.
pub(super) trait Real: WithDType + LinalgScalar + std::iter::Sum {}

impl Real for f32 {}
impl Real for f64 {}

/// An operation on `[batch, …]` operands (parameters have no batch) with a result `[batch, width]`.
pub(super) trait Kernel: Send + Sync + 'static {
    /// Name in candle's messages.
    const NAME: &'static str;

    /// Elements of one sample of the first operand and of the result.
    fn widths(&self) -> (usize, usize);

    /// The result for all samples.
    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T>;

    /// The gradient of each operand that is `wanted`.
    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>>;
}

/// Puts a kernel's operation on the tape.
pub(super) fn apply<K: Kernel>(kernel: &Arc<K>, operands: &[&Tensor]) -> Result<Tensor> {
    let op = OnTape(kernel.clone());
    let operands = operands.iter().map(|operand| operand.contiguous()).collect::<Result<Vec<_>>>()?;
    match operands.as_slice() {
        [x] => x.apply_op1(op),
        [x, a] => x.apply_op2(a, op),
        [x, a, b] => x.apply_op3(a, b, op),
        _ => candle_core::bail!("{} has {} operands", K::NAME, operands.len()),
    }
}

struct OnTape<K>(Arc<K>);

impl<K: Kernel> OnTape<K> {
    fn run(&self, storages: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        match storages[0].0 {
            CpuStorage::F32(_) => self.run_as::<f32>(storages),
            CpuStorage::F64(_) => self.run_as::<f64>(storages),
            _ => candle_core::bail!("{} takes f32 and f64", K::NAME),
        }
    }

    fn run_as<T: Real>(&self, storages: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let slices =
            storages.iter().map(|(storage, layout)| slice_of::<T>(storage, layout)).collect::<Result<Vec<_>>>()?;
        let (inputs, outputs) = self.0.widths();
        let batch = slices[0].len() / inputs.max(1);
        Ok((T::to_cpu_storage_owned(self.0.forward(&slices)), Shape::from((batch, outputs))))
    }

    fn gradients(&self, operands: &[&Tensor], gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        match gradient.dtype() {
            DType::F32 => self.gradients_as::<f32>(operands, gradient),
            DType::F64 => self.gradients_as::<f64>(operands, gradient),
            _ => candle_core::bail!("{} takes f32 and f64", K::NAME),
        }
    }

    fn gradients_as<T: Real>(&self, operands: &[&Tensor], gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.contiguous()?;
        let wanted: Vec<bool> = operands.iter().map(|operand| operand.track_op()).collect();
        let guards: Vec<_> = operands.iter().map(|operand| operand.storage_and_layout()).collect();
        let slices =
            guards.iter().map(|(storage, layout)| host_slice::<T>(storage, layout)).collect::<Result<Vec<_>>>()?;
        let (storage, layout) = gradient.storage_and_layout();
        let found = self.0.backward(&slices, host_slice::<T>(&storage, layout)?, &wanted);
        let tensor = |(found, operand): (Option<Vec<T>>, &&Tensor)| {
            found.map(|values| Tensor::from_vec(values, operand.shape(), operand.device())).transpose()
        };
        found.into_iter().zip(operands).map(tensor).collect()
    }
}

fn host_slice<'s, T: Real>(storage: &'s Storage, layout: &Layout) -> Result<&'s [T]> {
    match storage {
        Storage::Cpu(storage) => slice_of(storage, layout),
        _ => candle_core::bail!("training runs on the CPU"),
    }
}

fn slice_of<'s, T: Real>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => candle_core::bail!("an operand is not contiguous"),
    }
}

impl<K: Kernel> CustomOp1 for OnTape<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(&[(storage, layout)])
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.gradients(&[x], gradient)?.swap_remove(0))
    }
}

impl<K: Kernel> CustomOp2 for OnTape<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(&[(s1, l1), (s2, l2)])
    }

    fn bwd(&self, x: &Tensor, a: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut found = self.gradients(&[x, a], gradient)?.into_iter();
        Ok((found.next().flatten(), found.next().flatten()))
    }
}

impl<K: Kernel> CustomOp3 for OnTape<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(&[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut found = self.gradients(&[x, a, b], gradient)?.into_iter();
        Ok((found.next().flatten(), found.next().flatten(), found.next().flatten()))
    }
}

/// Maps every sample of `x` to a sample of the result.
fn each_sample<T: Real>(x: &[T], widths: (usize, usize), f: impl Fn(&[T], &mut [T]) + Sync) -> Vec<T> {
    each_sample_with(x, widths, 0, |x, y, _| f(x, y))
}

/// As [`each_sample`], with room for `scratch` numbers, zero at first and then as the last sample left them.
fn each_sample_with<T: Real>(
    x: &[T],
    widths: (usize, usize),
    scratch: usize,
    f: impl Fn(&[T], &mut [T], &mut [T]) + Sync,
) -> Vec<T> {
    let mut result = vec![T::from_f64(0.0); x.len() / widths.0 * widths.1];
    let room = || vec![T::from_f64(0.0); scratch];
    let samples = result.par_chunks_mut(widths.1).zip(x.par_chunks(widths.0));
    samples.for_each_init(room, |room, (y, x)| vectorized(|| f(x, y, room)));
    result
}

/// Maps every sample of two tensors to a sample of the result.
fn each_pair<T: Real>(
    (x, x_width): (&[T], usize),
    (g, g_width): (&[T], usize),
    width: usize,
    f: impl Fn(&[T], &[T], &mut [T]) + Sync,
) -> Vec<T> {
    let mut result = vec![T::from_f64(0.0); x.len() / x_width * width];
    let operands = x.par_chunks(x_width).zip(g.par_chunks(g_width));
    result.par_chunks_mut(width).zip(operands).for_each(|(y, (x, g))| vectorized(|| f(x, g, y)));
    result
}

/// The sum over all samples of `length` numbers that `add` adds for each sample.
fn sum_over_samples<A: Copy + Send + Sync + std::ops::AddAssign>(
    samples: usize,
    zero: &[A],
    add: impl Fn(usize, &mut [A]) + Sync,
) -> Vec<A> {
    sum_over_samples_with(samples, zero, || (), |sample, sum, ()| add(sample, sum))
}

/// As [`sum_over_samples`], with a scratch space for each group of samples.
fn sum_over_samples_with<A: Copy + Send + Sync + std::ops::AddAssign, S>(
    samples: usize,
    zero: &[A],
    scratch: impl Fn() -> S + Sync,
    add: impl Fn(usize, &mut [A], &mut S) + Sync,
) -> Vec<A> {
    let groups = samples.div_ceil(SAMPLES_A_GROUP);
    let group_sum = |group: usize| {
        let (mut sum, mut scratch) = (zero.to_vec(), scratch());
        let first = group * SAMPLES_A_GROUP;
        (first..samples.min(first + SAMPLES_A_GROUP))
            .for_each(|sample| vectorized(|| add(sample, &mut sum, &mut scratch)));
        sum
    };
    let partial: Vec<Vec<A>> = (0..groups).into_par_iter().map(group_sum).collect();
    partial.into_iter().fold(zero.to_vec(), |mut total, part| {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        total
    })
}
