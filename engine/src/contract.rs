//! What an engine supplies beside the operations: parameters, keys, ciphertexts, and the bytes of both.

use std::time::Duration;

use paf_ir::ckks::{Level, Type, Verified};
use paf_scheme::{EngineProfile, KeyPurpose, Parameters};
use zeroize::Zeroizing;

use crate::{EvaluationKeyId, Evaluator, KeyList, KeyNeeds, Result, Watch};

/// One set of parameters on one kind of ciphertexts.
///
/// A key pair, the keys made of it and the ciphertexts under it belong together, and an engine knows what does: bytes say
/// it too. What files hold around these bytes is the caller's.
pub trait Engine: Sized + Send + Sync + 'static {
    /// The engine's name, for people.
    const NAME: &'static str;
    /// What it takes, costs and errs, for whoever plans for it.
    const PROFILE: &'static EngineProfile;

    /// Decrypts. Its memory is overwritten when it is dropped.
    type SecretKey: Send + Sync;
    /// Encrypts.
    type PublicKey: Send + Sync;
    /// One evaluation key that is not in use.
    type EvaluationKey: Send;
    /// The evaluation keys of one client that are in use.
    type Keys: KeySet<Self>;
    /// One ciphertext.
    type Ciphertext: Send;
    /// A program as the engine evaluates it, for any keys.
    type Program: Send + Sync;
    /// A program with keys.
    type Evaluator<'e>: Evaluator<Ciphertext = Self::Ciphertext>;

    /// The engine for a circuit's parameters.
    ///
    /// # Errors
    /// [`ParameterMismatch`](crate::EngineError::ParameterMismatch) if the engine makes something else of them, their
    /// security included.
    fn new(parameters: &Parameters) -> Result<Self>;

    /// The parameters as the circuit declares them.
    fn parameters(&self) -> &Parameters;

    /// A fresh key pair.
    ///
    /// # Errors
    /// What the engine reports.
    fn generate_pair(&self) -> Result<(Self::SecretKey, Self::PublicKey)>;

    /// The bytes of a secret key.
    ///
    /// # Errors
    /// What the engine reports.
    fn write_secret_key(&self, key: &Self::SecretKey) -> Result<Zeroizing<Vec<u8>>>;

    /// A secret key from its bytes.
    ///
    /// # Errors
    /// [`Damaged`](crate::EngineError::Damaged).
    fn read_secret_key(&self, bytes: &[u8]) -> Result<Self::SecretKey>;

    /// The bytes of a public key: always the same ones, since their checksum names the key pair.
    ///
    /// # Errors
    /// What the engine reports.
    fn write_public_key(&self, key: &Self::PublicKey) -> Result<Vec<u8>>;

    /// A public key from its bytes.
    ///
    /// # Errors
    /// [`Damaged`](crate::EngineError::Damaged).
    fn read_public_key(&self, bytes: &[u8]) -> Result<Self::PublicKey>;

    /// Refuses a public key under which everybody could read what it encrypts. One whose secret somebody else knows looks
    /// like any other.
    ///
    /// # Errors
    /// [`Damaged`](crate::EngineError::Damaged).
    fn check_public_key(&self, key: &Self::PublicKey) -> Result<()>;

    /// Encrypts the values of all slots at a level.
    ///
    /// # Errors
    /// What the engine reports.
    fn encrypt(&self, key: &Self::PublicKey, slots: &[f64], level: Level) -> Result<Self::Ciphertext>;

    /// Encrypts the values of all slots at a level with the secret key. The key set of the pair takes the result as any
    /// other.
    ///
    /// # Errors
    /// What the engine reports.
    fn encrypt_with_secret(&self, key: &Self::SecretKey, slots: &[f64], level: Level) -> Result<Self::Ciphertext>;

    /// The values of all slots of a ciphertext of a type.
    ///
    /// # Errors
    /// [`OtherKey`](crate::EngineError::OtherKey); [`Undecryptable`](crate::EngineError::Undecryptable) if too little is
    /// left of the values.
    fn decrypt(&self, key: &Self::SecretKey, ciphertext: &Self::Ciphertext, ty: Type) -> Result<Vec<f64>>;

    /// Whether a ciphertext is one of a key pair.
    fn is_of(&self, key: &Self::SecretKey, ciphertext: &Self::Ciphertext) -> bool;

    /// Replaces `bytes` by those of a ciphertext.
    ///
    /// # Errors
    /// What the engine reports.
    fn write_ciphertext(&self, ciphertext: &Self::Ciphertext, bytes: &mut Vec<u8>) -> Result<()>;

    /// A ciphertext from its bytes, which must be of a type.
    ///
    /// # Errors
    /// [`Damaged`](crate::EngineError::Damaged).
    fn read_ciphertext(&self, bytes: &[u8], ty: Type) -> Result<Self::Ciphertext>;

    /// The evaluation keys that a circuit needs.
    ///
    /// # Errors
    /// [`RotationTooLarge`](crate::EngineError::RotationTooLarge),
    /// [`BootstrapUnsupported`](crate::EngineError::BootstrapUnsupported), and what the engine reports.
    fn key_list(&self, needs: &KeyNeeds<'_>) -> Result<KeyList>;

    /// The ids of the keys of one purpose.
    ///
    /// # Errors
    /// [`RotationTooLarge`](crate::EngineError::RotationTooLarge), and what the engine reports.
    fn key_ids(&self, purpose: KeyPurpose) -> Result<Vec<EvaluationKeyId>>;

    /// Makes the keys of a list, in the order of their ids, each when it is asked for.
    fn generate_keys<'k>(
        &'k self,
        secret: &'k Self::SecretKey,
        list: &'k KeyList,
    ) -> impl Iterator<Item = Result<Self::EvaluationKey>> + 'k;

    /// Replaces `bytes` by those of an evaluation key.
    ///
    /// # Errors
    /// What the engine reports.
    fn write_evaluation_key(&self, key: &Self::EvaluationKey, bytes: &mut Vec<u8>) -> Result<()>;

    /// An evaluation key from its bytes.
    ///
    /// # Errors
    /// [`Damaged`](crate::EngineError::Damaged).
    fn read_evaluation_key(&self, bytes: &[u8]) -> Result<Self::EvaluationKey>;

    /// The id of an evaluation key.
    fn id_of(&self, key: &Self::EvaluationKey) -> EvaluationKeyId;

    /// Whether a key that has levels serves ciphertexts of this one.
    fn serves(&self, key: &Self::EvaluationKey, level: Level) -> bool;

    /// An empty set of evaluation keys of the key pair that a public key is of.
    ///
    /// # Errors
    /// What the engine reports.
    fn key_set(&self, public: &Self::PublicKey) -> Result<Self::Keys>;

    /// Makes a program ready to be evaluated.
    ///
    /// # Errors
    /// [`RotationTooLarge`](crate::EngineError::RotationTooLarge),
    /// [`BootstrapUnsupported`](crate::EngineError::BootstrapUnsupported), and what the engine reports.
    fn load(&self, program: &Verified) -> Result<Self::Program>;

    /// Does work ahead that each evaluation would repeat, as far as what it leaves in memory fits into `budget` bytes;
    /// the observer gets the parts done and the total. Gives the bytes in use.
    ///
    /// # Errors
    /// [`Cancelled`](crate::EngineError::Cancelled), and what the engine reports.
    fn prepare(&self, program: &mut Self::Program, budget: u64, watch: &mut Watch<'_>) -> Result<u64>;

    /// What all evaluations of a program so far have spent on work that [`Engine::prepare`] could have done.
    fn unprepared_time(&self, _program: &Self::Program) -> Duration {
        Duration::ZERO
    }

    /// A program with keys. Keys may come and go while it is in use; an operation needs its own only.
    fn evaluator<'e>(&'e self, program: &'e Self::Program, keys: &'e Self::Keys) -> Self::Evaluator<'e>;
}

/// The evaluation keys of one client that are in use; dropping a set frees them.
///
/// Sets do not know each other, whatever the bytes say that their keys came from. Ciphertexts of the key pair come from
/// outside, are admitted before an evaluation, and released after it.
pub trait KeySet<E: Engine>: Send + Sync {
    /// Adds keys; one with an id that is there replaces it.
    ///
    /// # Errors
    /// What the engine reports.
    fn insert(&self, keys: Vec<E::EvaluationKey>) -> Result<()>;

    /// Removes and frees keys; those that are not there are passed over.
    ///
    /// # Errors
    /// What the engine reports.
    fn remove(&self, ids: &[EvaluationKeyId]) -> Result<()>;

    /// Whether a ciphertext from outside is one of the key pair.
    fn owns(&self, ciphertext: &E::Ciphertext) -> bool;

    /// Makes a ciphertext from outside one that operations with these keys take.
    ///
    /// # Errors
    /// [`OtherKey`](crate::EngineError::OtherKey).
    fn admit(&self, ciphertext: E::Ciphertext) -> Result<E::Ciphertext>;

    /// The opposite of [`KeySet::admit`].
    ///
    /// # Errors
    /// What the engine reports.
    fn release(&self, ciphertext: E::Ciphertext) -> Result<E::Ciphertext>;

    /// Replaces `bytes` by those that [`Engine::write_ciphertext`] gives for an admitted ciphertext once it is released.
    ///
    /// # Errors
    /// What the engine reports.
    fn write_admitted(&self, ciphertext: &E::Ciphertext, bytes: &mut Vec<u8>) -> Result<()>;
}
