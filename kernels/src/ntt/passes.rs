//! The order in which the levels of a transform are done, for any arithmetic.
//!
//! Everything here is `inline(always)`, so that it is compiled into the functions of each variant with their
//! instructions.

use super::{Roots, Scale};

/// Values that are transformed breadth first: 16 KiB, half of a first-level cache.
const BLOCK: usize = 1 << 11;

/// Lazily reduced arithmetic modulo one prime on vectors of `L` words.
///
/// The ranges of the values are the implementation's; see the table in the parent module.
pub(super) trait Lanes<const L: usize>: Copy {
    /// `L` values.
    type Vector: Copy;
    /// A twiddle for each lane, with its Shoup constant.
    type Twiddle: Copy;
    /// Whether three levels in one pass fit the registers.
    const RADIX_8: bool;

    /// The values of a chunk.
    fn load(self, chunk: &[u64; L]) -> Self::Vector;
    /// Puts values into a chunk.
    fn store(self, chunk: &mut [u64; L], values: Self::Vector);
    /// One twiddle for all lanes.
    fn twiddle(self, root: u64, shoup: u64) -> Self::Twiddle;

    /// `x + w·y` and `x - w·y`.
    fn forward<const REDUCE: bool>(self, x: Self::Vector, y: Self::Vector, twiddle: Self::Twiddle)
    -> [Self::Vector; 2];
    /// The last log2(L) forward levels, on the 2L values of each pair of vectors, below
    /// the nodes from `node` on; the result is canonical.
    fn forward_tail<const P: usize>(
        self,
        pairs: [[Self::Vector; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[Self::Vector; 2]; P];

    /// `x + y` and `(x - y)·w`.
    fn inverse(self, x: Self::Vector, y: Self::Vector, twiddle: Self::Twiddle) -> [Self::Vector; 2];
    /// `(x + y)·n` and `(x - y)·w`, canonical.
    fn inverse_scaled(
        self,
        x: Self::Vector,
        y: Self::Vector,
        n_inverse: Self::Twiddle,
        root: Self::Twiddle,
    ) -> [Self::Vector; 2];
    /// The first log2(L) inverse levels, on the 2L values of each pair of vectors, below the nodes from `node` on.
    fn inverse_tail<const P: usize>(
        self,
        pairs: [[Self::Vector; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[Self::Vector; 2]; P];
}

impl<'a> Roots<'a> {
    #[inline(always)]
    pub(super) fn at<const L: usize, A: Lanes<L>>(self, lanes: A, node: usize) -> A::Twiddle {
        lanes.twiddle(self.roots[node], self.shoup[node])
    }

    /// `COUNT` twiddles from `node` on and their Shoup constants.
    #[inline(always)]
    pub(super) fn run<const COUNT: usize>(self, node: usize) -> (&'a [u64; COUNT], &'a [u64; COUNT]) {
        let run = |table: &'a [u64]| table[node..].first_chunk().expect("a run of twiddles is inside the table");
        (run(self.roots), run(self.shoup))
    }
}

/// One pass over the values: `levels` levels, on nodes of `size` chunks.
#[derive(Debug, Clone, Copy, Default)]
struct Pass {
    levels: u32,
    size: usize,
}

/// The passes of a transform from the root to the nodes of four chunks, which the finishing pass does.
struct Plan {
    passes: [Pass; Self::MOST],
    count: usize,
}

impl Plan {
    const MOST: usize = 32;

    #[inline(always)]
    fn new(chunks: usize, radix_8: bool) -> Self {
        let mut plan = Plan { passes: [Pass::default(); Self::MOST], count: 0 };
        let mut size = chunks;
        while size > 4 {
            let left = size.trailing_zeros() - 2;
            let levels = match left {
                1 => 1,
                2 | 4 => 2,
                _ if radix_8 => 3,
                _ => 2,
            };
            plan.passes[plan.count] = Pass { levels, size };
            plan.count += 1;
            size >>= levels;
        }
        plan
    }
}

/// The forward transform.
#[inline(always)]
pub(super) fn forward<const L: usize, A: Lanes<L>>(lanes: A, values: &mut [u64], roots: Roots<'_>) {
    let (chunks, _) = values.as_chunks_mut::<L>();
    let plan = Plan::new(chunks.len(), A::RADIX_8);
    let block = chunks.len().min(BLOCK / L);
    for start in (0..chunks.len()).step_by(block) {
        for &pass in &plan.passes[..plan.count] {
            let span = pass.size.max(block);
            if start % span == 0 {
                let node = (chunks.len() + start) / pass.size;
                forward_pass(lanes, &mut chunks[start..start + span], pass, roots, node);
            }
        }
        let node = (chunks.len() + start) / 4;
        forward_finish(lanes, &mut chunks[start..start + block], roots, node);
    }
}

/// One pass over the nodes from `first_node` on.
#[inline(always)]
fn forward_pass<const L: usize, A: Lanes<L>>(
    lanes: A,
    chunks: &mut [[u64; L]],
    pass: Pass,
    roots: Roots<'_>,
    first_node: usize,
) {
    for (group, node) in chunks.chunks_exact_mut(pass.size).zip(first_node..) {
        match pass.levels {
            1 => forward_radix_2(lanes, group, roots, node),
            2 => forward_radix_4(lanes, group, roots, node),
            _ => forward_radix_8(lanes, group, roots, node),
        }
    }
}

#[inline(always)]
fn forward_radix_2<const L: usize, A: Lanes<L>>(lanes: A, group: &mut [[u64; L]], roots: Roots<'_>, node: usize) {
    let twiddle = roots.at(lanes, node);
    let mut parts = Parts::<L, 2>::of(group);
    for i in 0..parts.length {
        let [x, y] = parts.load(lanes, i);
        parts.store(lanes, i, lanes.forward::<true>(x, y, twiddle));
    }
}

#[inline(always)]
fn forward_radix_4<const L: usize, A: Lanes<L>>(lanes: A, group: &mut [[u64; L]], roots: Roots<'_>, node: usize) {
    let twiddles = twiddles_4(lanes, roots, node);
    let mut parts = Parts::<L, 4>::of(group);
    for i in 0..parts.length {
        let v = parts.load(lanes, i);
        parts.store(lanes, i, forward_4(lanes, v, twiddles));
    }
}

#[inline(always)]
fn forward_radix_8<const L: usize, A: Lanes<L>>(lanes: A, group: &mut [[u64; L]], roots: Roots<'_>, node: usize) {
    let twiddles = twiddles_8(lanes, roots, node);
    let mut parts = Parts::<L, 8>::of(group);
    for i in 0..parts.length {
        let v = parts.load(lanes, i);
        parts.store(lanes, i, forward_8(lanes, v, twiddles));
    }
}

/// The last 2 + log2(L) levels, four chunks at a time.
#[inline(always)]
fn forward_finish<const L: usize, A: Lanes<L>>(lanes: A, chunks: &mut [[u64; L]], roots: Roots<'_>, first_node: usize) {
    for (group, node) in chunks.chunks_exact_mut(4).zip(first_node..) {
        let twiddles = twiddles_4(lanes, roots, node);
        let mut parts = Parts::<L, 4>::of(group);
        let [a, b, c, d] = forward_4(lanes, parts.load(lanes, 0), twiddles);
        let [[a, b], [c, d]] = lanes.forward_tail([[a, b], [c, d]], roots, 2 * node);
        parts.store(lanes, 0, [a, b, c, d]);
    }
}

/// Two levels on one value of each quarter of a node.
#[inline(always)]
fn forward_4<const L: usize, A: Lanes<L>>(lanes: A, v: [A::Vector; 4], w: [A::Twiddle; 3]) -> [A::Vector; 4] {
    let [a, b, c, d] = v;
    let [a, c] = lanes.forward::<true>(a, c, w[0]);
    let [b, d] = lanes.forward::<true>(b, d, w[0]);
    let [a, b] = lanes.forward::<false>(a, b, w[1]);
    let [c, d] = lanes.forward::<false>(c, d, w[2]);
    [a, b, c, d]
}

/// Three levels on one value of each eighth of a node.
#[inline(always)]
fn forward_8<const L: usize, A: Lanes<L>>(lanes: A, v: [A::Vector; 8], w: [A::Twiddle; 7]) -> [A::Vector; 8] {
    let [a, b, c, d, e, f, g, h] = v;
    let [a, c, e, g] = forward_4(lanes, [a, c, e, g], [w[0], w[1], w[2]]);
    let [b, d, f, h] = forward_4(lanes, [b, d, f, h], [w[0], w[1], w[2]]);
    let [a, b] = lanes.forward::<true>(a, b, w[3]);
    let [c, d] = lanes.forward::<true>(c, d, w[4]);
    let [e, f] = lanes.forward::<true>(e, f, w[5]);
    let [g, h] = lanes.forward::<true>(g, h, w[6]);
    [a, b, c, d, e, f, g, h]
}

/// The inverse transform.
#[inline(always)]
pub(super) fn inverse<const L: usize, A: Lanes<L>>(lanes: A, values: &mut [u64], roots: Roots<'_>, scale: Scale) {
    let (chunks, _) = values.as_chunks_mut::<L>();
    let plan = Plan::new(chunks.len(), A::RADIX_8);
    let block = chunks.len().min(BLOCK / L);
    for start in (0..chunks.len()).step_by(block) {
        let end = start + block;
        let node = (chunks.len() + start) / 4;
        inverse_start(lanes, &mut chunks[start..end], roots, node);
        for &pass in plan.passes[..plan.count].iter().rev() {
            let span = pass.size.max(block);
            if end % span == 0 {
                let node = (chunks.len() + end - span) / pass.size;
                inverse_pass(lanes, &mut chunks[end - span..end], pass, roots, node, scale);
            }
        }
    }
}

/// One pass over the nodes from `first_node` on; the last one scales.
#[inline(always)]
fn inverse_pass<const L: usize, A: Lanes<L>>(
    lanes: A,
    chunks: &mut [[u64; L]],
    pass: Pass,
    roots: Roots<'_>,
    first_node: usize,
    scale: Scale,
) {
    if first_node == 1 {
        let top = Top {
            n_inverse: lanes.twiddle(scale.n_inverse.0, scale.n_inverse.1),
            root: lanes.twiddle(scale.root.0, scale.root.1),
        };
        return match pass.levels {
            1 => inverse_radix_2(lanes, chunks, top),
            2 => inverse_radix_4(lanes, chunks, roots, 1, top),
            _ => inverse_radix_8(lanes, chunks, roots, 1, top),
        };
    }
    for (group, node) in chunks.chunks_exact_mut(pass.size).zip(first_node..) {
        let below = Below { root: roots.at(lanes, node) };
        match pass.levels {
            1 => inverse_radix_2(lanes, group, below),
            2 => inverse_radix_4(lanes, group, roots, node, below),
            _ => inverse_radix_8(lanes, group, roots, node, below),
        }
    }
}

/// How the last level of an inverse pass is done.
trait Merge<const L: usize, A: Lanes<L>>: Copy {
    fn merge(self, lanes: A, x: A::Vector, y: A::Vector) -> [A::Vector; 2];
}

/// At the root of the tree.
#[derive(Clone, Copy)]
struct Top<T> {
    n_inverse: T,
    root: T,
}

/// Below the root of the tree.
#[derive(Clone, Copy)]
struct Below<T> {
    root: T,
}

impl<const L: usize, A: Lanes<L>> Merge<L, A> for Top<A::Twiddle> {
    #[inline(always)]
    fn merge(self, lanes: A, x: A::Vector, y: A::Vector) -> [A::Vector; 2] {
        lanes.inverse_scaled(x, y, self.n_inverse, self.root)
    }
}

impl<const L: usize, A: Lanes<L>> Merge<L, A> for Below<A::Twiddle> {
    #[inline(always)]
    fn merge(self, lanes: A, x: A::Vector, y: A::Vector) -> [A::Vector; 2] {
        lanes.inverse(x, y, self.root)
    }
}

#[inline(always)]
fn inverse_radix_2<const L: usize, A: Lanes<L>>(lanes: A, group: &mut [[u64; L]], last: impl Merge<L, A>) {
    let mut parts = Parts::<L, 2>::of(group);
    for i in 0..parts.length {
        let [x, y] = parts.load(lanes, i);
        parts.store(lanes, i, last.merge(lanes, x, y));
    }
}

#[inline(always)]
fn inverse_radix_4<const L: usize, A: Lanes<L>>(
    lanes: A,
    group: &mut [[u64; L]],
    roots: Roots<'_>,
    node: usize,
    last: impl Merge<L, A>,
) {
    let [_, w1, w2] = twiddles_4(lanes, roots, node);
    let mut parts = Parts::<L, 4>::of(group);
    for i in 0..parts.length {
        let v = parts.load(lanes, i);
        parts.store(lanes, i, inverse_4(lanes, v, [w1, w2], last));
    }
}

#[inline(always)]
fn inverse_radix_8<const L: usize, A: Lanes<L>>(
    lanes: A,
    group: &mut [[u64; L]],
    roots: Roots<'_>,
    node: usize,
    last: impl Merge<L, A>,
) {
    let [_, twiddles @ ..] = twiddles_8(lanes, roots, node);
    let mut parts = Parts::<L, 8>::of(group);
    for i in 0..parts.length {
        let v = parts.load(lanes, i);
        parts.store(lanes, i, inverse_8(lanes, v, twiddles, last));
    }
}

/// The first 2 + log2(L) levels, four chunks at a time.
#[inline(always)]
fn inverse_start<const L: usize, A: Lanes<L>>(lanes: A, chunks: &mut [[u64; L]], roots: Roots<'_>, first_node: usize) {
    for (group, node) in chunks.chunks_exact_mut(4).zip(first_node..) {
        let [w0, w1, w2] = twiddles_4(lanes, roots, node);
        let mut parts = Parts::<L, 4>::of(group);
        let [a, b, c, d] = parts.load(lanes, 0);
        let [[a, b], [c, d]] = lanes.inverse_tail([[a, b], [c, d]], roots, 2 * node);
        parts.store(lanes, 0, inverse_4(lanes, [a, b, c, d], [w1, w2], Below { root: w0 }));
    }
}

/// Two levels on one value of each quarter of a node.
#[inline(always)]
fn inverse_4<const L: usize, A: Lanes<L>>(
    lanes: A,
    v: [A::Vector; 4],
    w: [A::Twiddle; 2],
    last: impl Merge<L, A>,
) -> [A::Vector; 4] {
    let [a, b, c, d] = v;
    let [a, b] = lanes.inverse(a, b, w[0]);
    let [c, d] = lanes.inverse(c, d, w[1]);
    let [a, c] = last.merge(lanes, a, c);
    let [b, d] = last.merge(lanes, b, d);
    [a, b, c, d]
}

/// Three levels on one value of each eighth of a node.
#[inline(always)]
fn inverse_8<const L: usize, A: Lanes<L>>(
    lanes: A,
    v: [A::Vector; 8],
    w: [A::Twiddle; 6],
    last: impl Merge<L, A>,
) -> [A::Vector; 8] {
    let [a, b, c, d, e, f, g, h] = v;
    let [a, b] = lanes.inverse(a, b, w[2]);
    let [c, d] = lanes.inverse(c, d, w[3]);
    let [e, f] = lanes.inverse(e, f, w[4]);
    let [g, h] = lanes.inverse(g, h, w[5]);
    let [a, c, e, g] = inverse_4(lanes, [a, c, e, g], [w[0], w[1]], last);
    let [b, d, f, h] = inverse_4(lanes, [b, d, f, h], [w[0], w[1]], last);
    [a, b, c, d, e, f, g, h]
}

/// The twiddles of a node and of its children.
#[inline(always)]
fn twiddles_4<const L: usize, A: Lanes<L>>(lanes: A, roots: Roots<'_>, node: usize) -> [A::Twiddle; 3] {
    [roots.at(lanes, node), roots.at(lanes, 2 * node), roots.at(lanes, 2 * node + 1)]
}

/// The twiddles of a node, of its children and of theirs.
#[inline(always)]
fn twiddles_8<const L: usize, A: Lanes<L>>(lanes: A, roots: Roots<'_>, node: usize) -> [A::Twiddle; 7] {
    let [w0, w1, w2] = twiddles_4(lanes, roots, node);
    let at = 4 * node;
    let w3 = roots.at(lanes, at);
    let w4 = roots.at(lanes, at + 1);
    let w5 = roots.at(lanes, at + 2);
    let w6 = roots.at(lanes, at + 3);
    [w0, w1, w2, w3, w4, w5, w6]
}

/// A stretch of chunks as `R` equal parts.
struct Parts<'a, const L: usize, const R: usize> {
    parts: [&'a mut [[u64; L]]; R],
    length: usize,
}

impl<'a, const L: usize, const R: usize> Parts<'a, L, R> {
    #[inline(always)]
    fn of(group: &'a mut [[u64; L]]) -> Self {
        let length = group.len() / R;
        let mut rest = group.chunks_exact_mut(length);
        let parts = std::array::from_fn(|_| rest.next().expect("a node has as many parts as the radix"));
        Parts { parts, length }
    }

    #[inline(always)]
    fn load<A: Lanes<L>>(&self, lanes: A, i: usize) -> [A::Vector; R] {
        let mut values = [lanes.load(&self.parts[0][i]); R];
        for (value, part) in values.iter_mut().zip(&self.parts) {
            *value = lanes.load(&part[i]);
        }
        values
    }

    #[inline(always)]
    fn store<A: Lanes<L>>(&mut self, lanes: A, i: usize, values: [A::Vector; R]) {
        for (value, part) in values.into_iter().zip(&mut self.parts) {
            lanes.store(&mut part[i], value);
        }
    }
}
