//! Evaluation keys: which there are, what they serve, and whose they are.

use paf_ir::ckks::Level;
use paf_scheme::key_uses;

use super::cases::{arithmetic_case, network_case, refreshing_case, relu_case};
use super::interpret::{Party, single};
use crate::{Engine, EngineError, KeySet as _, Result};

/// Keys are made in the order of their ids, serve the levels on the list, and are those that operations ask for.
pub fn keys_serve_the_levels_they_are_made_for<E: Engine>() {
    for case in [arithmetic_case(), network_case(), refreshing_case()] {
        let party = Party::<E>::without_keys(&case);
        let keys = party.engine.generate_keys(&party.secret, &party.list).collect::<Result<Vec<_>>>().expect("keys");
        let ids: Vec<_> = keys.iter().map(|key| party.engine.id_of(key)).collect();
        assert_eq!(ids, party.ids(), "{}: keys come in the order of the list", case.name);
        assert!(ids.is_sorted() && !ids.is_empty());
        for (key, (id, level)) in keys.iter().zip(party.list.levels()) {
            let Some(Level(level)) = level else { continue };
            assert!((0..=level).all(|level| party.engine.serves(key, Level(level))), "{}: key {id}", case.name);
        }
        for (operation, needed) in key_uses(&case.program, &case.parameters) {
            for key in needed {
                let ids = party.engine.key_ids(key).expect("ids");
                let is_listed = ids.iter().all(|id| party.ids().contains(id));
                assert!(is_listed && !ids.is_empty(), "{}: operation {operation} needs {ids:?}", case.name);
            }
        }
    }
}

/// An operation without its key is an error; keys can be removed and inserted at any time.
pub fn keys_come_and_go<E: Engine>() {
    let case = network_case();
    let party = Party::<E>::without_keys(&case);
    let run = || party.run(&case, &case.samples[0], 0);
    run().expect_err("no key is there");
    let keys = || party.engine.generate_keys(&party.secret, &party.list).collect::<Result<Vec<_>>>().expect("keys");
    party.keys.insert(keys()).expect("a set takes keys");
    run().expect("all keys are there");
    for id in party.ids() {
        party.keys.remove(&[id]).expect("the key is there");
        run().expect_err("a key is missing");
        let back = keys().into_iter().filter(|key| party.engine.id_of(key) == id).collect();
        party.keys.insert(back).expect("a set takes keys");
        run().expect("all keys are there again");
    }
    party.keys.remove(&party.ids()).expect("the keys are there");
    party.keys.remove(&party.ids()).expect("keys that are not there are passed over");
    run().expect_err("no key is there");
}

/// Two sets of one key pair, as a file that is loaded twice makes them: each has its own keys.
pub fn sets_do_not_know_each_other<E: Engine>() {
    let case = relu_case();
    let first = Party::<E>::new(&case);
    let second = first.engine.key_set(&first.public).expect("a key set");
    let keys = first.engine.generate_keys(&first.secret, &first.list).collect::<Result<_>>().expect("keys");
    second.insert(keys).expect("a set takes keys");
    second.remove(&first.ids()).expect("its own keys are there");
    first.run(&case, &case.samples[0], 0).expect("the first set has its keys still");
    drop(second);
    first.run(&case, &case.samples[0], 0).expect("the first set has its keys still");
}

/// Ciphertexts of another key pair are refused.
pub fn other_keys_are_told_apart<E: Engine>() {
    let case = relu_case();
    let (own, other) = (Party::<E>::new(&case), Party::<E>::new(&case));
    let ty = single(case.program.value(paf_ir::program::ValueId(0)).ty);
    let encrypted = |party: &Party<E>| party.encrypt(&case, &case.samples[0]).expect("encryption").remove(0);
    let foreign = encrypted(&other);
    assert!(own.keys.owns(&encrypted(&own)) && !own.keys.owns(&foreign));
    assert!(own.engine.is_of(&own.secret, &encrypted(&own)) && !own.engine.is_of(&own.secret, &foreign));
    let refused = own.engine.decrypt(&own.secret, &foreign, ty).expect_err("another key");
    assert!(matches!(refused, EngineError::OtherKey), "{refused}");
    let refused = own.keys.admit(foreign).map(drop).expect_err("another key");
    assert!(matches!(refused, EngineError::OtherKey), "{refused}");
}
