//! The engine: full slot vectors, text for bytes, and a count of what was done.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use paf_engine::{
    Engine, EngineError, EvaluationKeyId, Evaluator, KeyList, KeyNeeds, KeySet, LinearStep, Result, Watch,
};
use paf_ir::ckks::{Kind, Level, Type, Verified};
use paf_ir::diagonals::rotated_left;
use paf_scheme::{EngineProfile, KeyPurpose, Parameters};
use zeroize::Zeroizing;

static OPERATIONS: AtomicUsize = AtomicUsize::new(0);

/// Operations of this process so far.
pub(crate) fn operations() -> usize {
    OPERATIONS.load(Ordering::Relaxed)
}

fn log() {
    OPERATIONS.fetch_add(1, Ordering::Relaxed);
}

/// Numbers that nobody encrypts.
pub(crate) struct LoggedEngine(Parameters);

/// The slots, and whose they are: `owner level kind parts`.
#[derive(Clone)]
pub(crate) struct Numbers {
    slots: Vec<f64>,
    label: String,
}

/// Keys by id, and whose they are.
pub(crate) struct Ring {
    owner: String,
    held: Mutex<BTreeMap<EvaluationKeyId, Level>>,
    parameters: Parameters,
}

/// A key: its id and level.
pub(crate) struct Key(EvaluationKeyId, Level);

fn label(owner: &str, level: Level, kind: Kind, parts: u8) -> String {
    let kind = if kind == Kind::Rest { "rest" } else { "product" };
    format!("{owner} {level} {kind} {parts}")
}

impl Numbers {
    fn owner(&self) -> &str {
        self.label.split(' ').next().unwrap_or_default()
    }

    fn map(&self, ty: (Level, Kind, u8), f: impl Fn(f64) -> f64) -> Self {
        let slots = self.slots.iter().map(|&x| f(x)).collect();
        Numbers { slots, label: label(self.owner(), ty.0, ty.1, ty.2) }
    }

    fn zip(&self, other: &Numbers, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        self.slots.iter().zip(&other.slots).map(|(&a, &b)| f(a, b)).collect()
    }

    fn level(&self) -> Level {
        let level = self.label.split(' ').nth(1).and_then(|level| level.parse().ok());
        level.expect("labels are our own")
    }
}

fn text<'b>(what: &str, bytes: &'b [u8]) -> Result<Vec<&'b str>> {
    let words: Vec<&str> = str::from_utf8(bytes).unwrap_or_default().split(' ').collect();
    let is_whole = words.first() == Some(&what) && words.last() == Some(&"end");
    if is_whole { Ok(words) } else { Err(EngineError::Damaged(format!("this is no {what}"))) }
}

fn word<T: std::str::FromStr>(words: &[&str], index: usize) -> Result<T> {
    let word = words.get(index).and_then(|word| word.parse().ok());
    word.ok_or_else(|| EngineError::Damaged(format!("word {index} is missing")))
}

fn owner(what: &str, bytes: &[u8]) -> Result<String> {
    let words = text(what, bytes)?;
    if words.len() == 3 { word(&words, 1) } else { Err(EngineError::Damaged("it has other words".into())) }
}

impl Engine for LoggedEngine {
    const NAME: &'static str = "logged";
    const PROFILE: &'static EngineProfile = EngineProfile::openfhe();

    type SecretKey = String;
    type PublicKey = String;
    type EvaluationKey = Key;
    type Keys = Ring;
    type Ciphertext = Numbers;
    type Program = ();
    type Evaluator<'e> = Logging<'e>;

    fn new(parameters: &Parameters) -> Result<Self> {
        Ok(LoggedEngine(parameters.clone()))
    }

    fn parameters(&self) -> &Parameters {
        &self.0
    }

    fn generate_pair(&self) -> Result<(String, String)> {
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        Ok((name.clone(), name))
    }

    fn write_secret_key(&self, key: &String) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(format!("secret {key} end").into_bytes()))
    }

    fn read_secret_key(&self, bytes: &[u8]) -> Result<String> {
        owner("secret", bytes)
    }

    fn write_public_key(&self, key: &String) -> Result<Vec<u8>> {
        Ok(format!("public {key} end").into_bytes())
    }

    fn read_public_key(&self, bytes: &[u8]) -> Result<String> {
        owner("public", bytes)
    }

    fn check_public_key(&self, _: &String) -> Result<()> {
        Ok(())
    }

    fn encrypt(&self, key: &String, slots: &[f64], level: Level) -> Result<Numbers> {
        log();
        Ok(Numbers { slots: slots.to_vec(), label: label(key, level, Kind::Rest, 2) })
    }

    fn encrypt_with_secret(&self, key: &String, slots: &[f64], level: Level) -> Result<Numbers> {
        self.encrypt(key, slots, level)
    }

    fn decrypt(&self, key: &String, ciphertext: &Numbers, _: Type) -> Result<Vec<f64>> {
        log();
        if self.is_of(key, ciphertext) { Ok(ciphertext.slots.clone()) } else { Err(EngineError::OtherKey) }
    }

    fn is_of(&self, key: &String, ciphertext: &Numbers) -> bool {
        ciphertext.owner() == key
    }

    fn write_ciphertext(&self, ciphertext: &Numbers, bytes: &mut Vec<u8>) -> Result<()> {
        write(ciphertext, bytes);
        Ok(())
    }

    fn read_ciphertext(&self, bytes: &[u8], ty: Type) -> Result<Numbers> {
        let words = text("numbers", bytes)?;
        let name: String = word(&words, 1)?;
        let expected = label(&name, ty.level, ty.kind, ty.parts);
        if words.len() != 6 + self.0.slots || words[1..5].join(" ") != expected {
            return Err(EngineError::Damaged(format!("these are no numbers of {expected}")));
        }
        let slot = |index| word::<u64>(&words, index).map(f64::from_bits);
        Ok(Numbers { slots: (5..words.len() - 1).map(slot).collect::<Result<_>>()?, label: expected })
    }

    fn key_list(&self, needs: &KeyNeeds<'_>) -> Result<KeyList> {
        let mut list = KeyList::default();
        let mut need = |purpose, level| id_of(&self.0, purpose).map(|id| list.need(id, level));
        needs.rotations.iter().try_for_each(|(&steps, &level)| need(KeyPurpose::Rotation(steps), level))?;
        needs.relinearization.map_or(Ok(()), |level| need(KeyPurpose::Relinearization, level))?;
        for (steps, level) in self.0.bootstrap_rotations(needs.bootstrap_slots) {
            need(KeyPurpose::Rotation(steps), level)?;
        }
        if !needs.bootstrap_slots.is_empty() {
            need(KeyPurpose::Refresh, self.0.levels)?;
        }
        Ok(list)
    }

    fn key_ids(&self, purpose: KeyPurpose) -> Result<Vec<EvaluationKeyId>> {
        Ok(vec![id_of(&self.0, purpose)?])
    }

    fn generate_keys<'k>(&'k self, _: &'k String, list: &'k KeyList) -> impl Iterator<Item = Result<Key>> + 'k {
        list.levels().map(|(id, level)| Ok(Key(id, level.unwrap_or(self.0.levels))))
    }

    fn write_evaluation_key(&self, key: &Key, bytes: &mut Vec<u8>) -> Result<()> {
        *bytes = format!("key {} {} end", key.0, key.1).into_bytes();
        Ok(())
    }

    fn read_evaluation_key(&self, bytes: &[u8]) -> Result<Key> {
        let words = text("key", bytes)?;
        Ok(Key(EvaluationKeyId(word(&words, 1)?), word(&words, 2)?))
    }

    fn id_of(&self, key: &Key) -> EvaluationKeyId {
        key.0
    }

    fn serves(&self, key: &Key, level: Level) -> bool {
        level <= key.1
    }

    fn key_set(&self, public: &String) -> Result<Ring> {
        Ok(Ring { owner: public.clone(), held: Mutex::default(), parameters: self.0.clone() })
    }

    fn load(&self, _: &Verified) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, (): &mut (), _: u64, _: &mut Watch<'_>) -> Result<u64> {
        Ok(0)
    }

    fn evaluator<'e>(&'e self, (): &'e (), keys: &'e Ring) -> Logging<'e> {
        Logging(keys)
    }
}

fn write(numbers: &Numbers, bytes: &mut Vec<u8>) {
    let slots: Vec<String> = numbers.slots.iter().map(|slot| slot.to_bits().to_string()).collect();
    *bytes = format!("numbers {} {} end", numbers.label, slots.join(" ")).into_bytes();
}

fn id_of(parameters: &Parameters, purpose: KeyPurpose) -> Result<EvaluationKeyId> {
    Ok(EvaluationKeyId(match purpose {
        KeyPurpose::Relinearization => 1,
        KeyPurpose::Refresh => 2,
        KeyPurpose::Rotation(steps) => 3 + steps.rem_euclid(parameters.ring_dimension as i64 / 2) as u32,
    }))
}

impl KeySet<LoggedEngine> for Ring {
    fn insert(&self, keys: Vec<Key>) -> Result<()> {
        self.held.lock().unwrap().extend(keys.into_iter().map(|key| (key.0, key.1)));
        Ok(())
    }

    fn remove(&self, ids: &[EvaluationKeyId]) -> Result<()> {
        self.held.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(())
    }

    fn owns(&self, ciphertext: &Numbers) -> bool {
        ciphertext.owner() == self.owner
    }

    fn admit(&self, ciphertext: Numbers) -> Result<Numbers> {
        if self.owns(&ciphertext) { Ok(ciphertext) } else { Err(EngineError::OtherKey) }
    }

    fn release(&self, ciphertext: Numbers) -> Result<Numbers> {
        Ok(ciphertext)
    }

    fn write_admitted(&self, ciphertext: &Numbers, bytes: &mut Vec<u8>) -> Result<()> {
        write(ciphertext, bytes);
        Ok(())
    }
}

/// The operations.
pub(crate) struct Logging<'e>(&'e Ring);

impl Logging<'_> {
    fn need(&self, purpose: KeyPurpose, level: Level) -> Result<()> {
        log();
        let held = self.0.held.lock().unwrap().get(&id_of(&self.0.parameters, purpose)?).copied();
        let serves = held.is_some_and(|held| level <= held);
        if serves { Ok(()) } else { Err(EngineError::MissingKey(format!("{purpose:?}"))) }
    }
}

impl Evaluator for Logging<'_> {
    const PROFILE: &'static EngineProfile = LoggedEngine::PROFILE;

    type Ciphertext = Numbers;

    fn duplicate(&self, input: &Numbers) -> Result<Numbers> {
        Ok(input.clone())
    }

    fn linear(&self, step: LinearStep<'_>, inputs: &[Numbers]) -> Result<Vec<Numbers>> {
        for steps in step.map.plan.rotations().into_iter().filter(|&steps| steps != 0) {
            self.need(KeyPurpose::Rotation(steps), step.to)?;
        }
        log();
        let vectors: Vec<Vec<f64>> = inputs.iter().map(|input| input.slots.clone()).collect();
        let results = step.map.apply(&vectors, self.0.parameters.slots).into_iter();
        let label = label(inputs[0].owner(), step.to, Kind::Rest, 2);
        Ok(results.map(|slots| Numbers { slots, label: label.clone() }).collect())
    }

    fn rotate(&self, input: &Numbers, steps: i64, ty: Type) -> Result<Numbers> {
        if steps != 0 {
            self.need(KeyPurpose::Rotation(steps), ty.level)?;
        }
        Ok(Numbers { slots: rotated_left(&input.slots, steps, input.slots.len()), label: input.label.clone() })
    }

    fn add(&self, left: Numbers, right: &Numbers) -> Result<Numbers> {
        log();
        let label = left.label.clone().max(right.label.clone());
        Ok(Numbers { slots: left.zip(right, |a, b| a + b), label })
    }

    fn sub(&self, left: Numbers, right: &Numbers) -> Result<Numbers> {
        log();
        let label = left.label.clone().max(right.label.clone());
        Ok(Numbers { slots: left.zip(right, |a, b| a - b), label })
    }

    fn mul(&self, left: &Numbers, right: &Numbers) -> Result<Numbers> {
        log();
        let label = label(left.owner(), left.level(), Kind::Product, 3);
        Ok(Numbers { slots: left.zip(right, |a, b| a * b), label })
    }

    fn square(&self, input: &Numbers) -> Result<Numbers> {
        self.mul(input, input)
    }

    fn mul_constant(&self, input: Numbers, constant: f64, _: Type, level: Level) -> Result<Numbers> {
        log();
        Ok(input.map((level, Kind::Product, 2), |x| x * constant))
    }

    fn add_constant(&self, input: Numbers, constant: f64, ty: Type) -> Result<Numbers> {
        log();
        Ok(input.map((ty.level, ty.kind, ty.parts), |x| x + constant))
    }

    fn relinearize(&self, input: Numbers, ty: Type) -> Result<Numbers> {
        self.need(KeyPurpose::Relinearization, ty.level)?;
        Ok(input.map((ty.level, ty.kind, 2), |x| x))
    }

    fn rescale(&self, input: Numbers, ty: Type) -> Result<Numbers> {
        log();
        Ok(input.map((Level(ty.level.0 - 1), Kind::Rest, 2), |x| x))
    }

    fn drop_to(&self, input: Numbers, _: Type, level: Level) -> Result<Numbers> {
        log();
        Ok(input.map((level, Kind::Rest, 2), |x| x))
    }

    fn bootstrap(&self, input: Numbers, _: Type, _: usize, level: Level) -> Result<Numbers> {
        self.need(KeyPurpose::Refresh, level)?;
        Ok(input.map((level, Kind::Rest, 2), |x| x))
    }
}
