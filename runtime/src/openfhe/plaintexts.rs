//! The plaintexts of one linear map at one place in a program: values, or encoded ahead.

use std::collections::BTreeMap;

use openfhe_sys as fhe;
use paf_ir::ckks::Level;
use paf_ir::diagonals::PackedMap;

use crate::engine::Result;
use crate::error::RuntimeError;
use crate::openfhe::Scheme;

/// Giant index and baby rotation.
pub(crate) type Key = (usize, i64);

/// `[output ciphertext][input ciphertext]` to plaintexts by key.
pub(crate) type Blocks<T> = Vec<Vec<BTreeMap<Key, Stored<T>>>>;

/// Where and at which scale plaintexts are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    dropped: u32,
    scale: f64,
}

impl Encoding {
    /// The scale of the plaintexts.
    pub(crate) fn scale(self) -> f64 {
        self.scale
    }
}

/// A pointer to a plaintext of OpenFHE. Values repeat over the slots, which takes no more than encoding one period.
pub(crate) trait Encoded: Sized {
    /// Encodes one period of values.
    fn encode(context: &fhe::Context, values: &[f64], at: Encoding) -> Result<Self, fhe::Exception>;
}

impl Encoded for fhe::UniquePtr<fhe::Plaintext> {
    fn encode(context: &fhe::Context, values: &[f64], at: Encoding) -> Result<Self, fhe::Exception> {
        fhe::encode(context, values, values.len() as u32, at.dropped, at.scale)
    }
}

impl Encoded for fhe::UniquePtr<fhe::ExtendedPlaintext> {
    fn encode(context: &fhe::Context, values: &[f64], at: Encoding) -> Result<Self, fhe::Exception> {
        fhe::encode_extended(context, values, values.len() as u32, at.dropped, at.scale)
    }
}

/// One plaintext: its values until it is encoded ahead.
pub(crate) enum Stored<T> {
    Values(Vec<f64>),
    Encoded(T),
}

/// A plaintext for one use.
pub(crate) enum Ready<'p, T> {
    Kept(&'p T),
    Made(T),
}

impl<T> std::ops::Deref for Ready<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Ready::Kept(plaintext) => plaintext,
            Ready::Made(plaintext) => plaintext,
        }
    }
}

impl<T: Encoded> Stored<T> {
    /// The plaintext, encoded for the occasion if need be.
    pub(crate) fn ready(&self, context: &fhe::Context, at: Encoding) -> Result<Ready<'_, T>, fhe::Exception> {
        match self {
            Stored::Encoded(plaintext) => Ok(Ready::Kept(plaintext)),
            Stored::Values(values) => T::encode(context, values, at).map(Ready::Made),
        }
    }

    fn encode_ahead(&mut self, context: &fhe::Context, at: Encoding) -> Result<(), fhe::Exception> {
        if let Stored::Values(values) = self {
            *self = Stored::Encoded(T::encode(context, values, at)?);
        }
        Ok(())
    }
}

/// The plaintexts in the form that the evaluation takes.
pub(crate) enum Form {
    /// Over Q: for plans without babies, whose operand is never rotated.
    Plain(Blocks<fhe::UniquePtr<fhe::Plaintext>>),
    /// Over Q·P: for babies that stay in the extended basis.
    Extended(Blocks<fhe::UniquePtr<fhe::ExtendedPlaintext>>),
}

/// All plaintexts of one map.
pub(crate) struct MapPlaintexts {
    pub(crate) form: Form,
    /// Of the diagonals.
    pub(crate) encoding: Encoding,
    /// One per output ciphertext, or none.
    pub(crate) bias: Vec<Stored<fhe::UniquePtr<fhe::Plaintext>>>,
    /// Of the bias.
    pub(crate) bias_encoding: Encoding,
    bytes: u64,
}

impl MapPlaintexts {
    /// Expands the diagonals of a map that takes level `from` to level `to`.
    pub(crate) fn new(scheme: &Scheme, map: &PackedMap, from: Level, to: Level) -> Self {
        let product_level = Level(to.0 + 1);
        let encoding = Encoding { dropped: scheme.dropped(product_level), scale: scheme.adjusting_scale(from, to) };
        let bias_encoding = Encoding { dropped: scheme.dropped(to), scale: scheme.scale(to) };
        let expanded = map.plaintexts();
        let extended = !map.plan.babies().is_empty();
        let count: usize = expanded.iter().flatten().map(BTreeMap::len).sum();
        let bytes = count as u64 * scheme.polynomial_bytes(product_level, extended);
        let form = if extended { Form::Extended(stored(expanded)) } else { Form::Plain(stored(expanded)) };
        let bias = map.bias_slots().unwrap_or_default().into_iter().map(Stored::Values).collect();
        MapPlaintexts { form, encoding, bias, bias_encoding, bytes }
    }

    /// Bytes of the diagonals when encoded ahead; a bias is one more and not counted.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.bytes
    }

    /// Encodes all that is not encoded yet.
    pub(crate) fn encode_all(&mut self, scheme: &Scheme) -> Result<()> {
        let context = scheme.context();
        let bias = &mut self.bias;
        match &mut self.form {
            Form::Plain(blocks) => encode_blocks(context, blocks, self.encoding),
            Form::Extended(blocks) => encode_blocks(context, blocks, self.encoding),
        }
        .and_then(|()| bias.iter_mut().try_for_each(|vector| vector.encode_ahead(context, self.bias_encoding)))
        .map_err(RuntimeError::openfhe("encode"))
    }
}

fn stored<T>(expanded: Vec<Vec<BTreeMap<Key, Vec<f64>>>>) -> Blocks<T> {
    let block = |values: BTreeMap<Key, Vec<f64>>| {
        values.into_iter().map(|(key, values)| (key, Stored::Values(values))).collect()
    };
    expanded.into_iter().map(|row| row.into_iter().map(block).collect()).collect()
}

fn encode_blocks<T: Encoded>(
    context: &fhe::Context,
    blocks: &mut Blocks<T>,
    at: Encoding,
) -> Result<(), fhe::Exception> {
    let plaintexts = blocks.iter_mut().flatten().flat_map(BTreeMap::values_mut);
    plaintexts.into_iter().try_for_each(|plaintext| plaintext.encode_ahead(context, at))
}
