//! Bootstraps and parameters of programs that are too deep for any chain of primes.

use paf_ir::ckks::{Op as CkksOp, Verified};
use paf_ir::program::{InputPort, InputScaling, OutputPort};
use paf_ir::slots::{Op, SlotProgram};
use paf_ir::{Layout, Shape};
use paf_passes::PassError;
use paf_passes::schedule::{Bootstraps, Magnitudes, ScheduleRequest, Scheduled, schedule};
use paf_scheme::{EngineProfile, Secret, Work, log_qp_limit_128};

const SLOTS: usize = 1 << 12;

const SECURE: ScheduleRequest = ScheduleRequest {
    precision: None,
    memory: None,
    insecure: false,
    bootstraps: Bootstraps::WhereNeeded,
    iterations: None,
    lost_bits: 0.0,
    least_bits: 0.0,
    profile: EngineProfile::openfhe(),
    slowness: Work::ONES,
};

/// A program that multiplies its input by itself again and again; every third value is added to the last such one, so
/// that shortcuts run beside the chain.
fn program(products: usize) -> SlotProgram {
    let (layout, shape) = (Layout::dense(SLOTS, SLOTS), Shape(vec![SLOTS]));
    let port = InputPort {
        name: "x".into(),
        shape: shape.clone(),
        layout: layout.clone(),
        scaling: InputScaling::shared(1.0, (-1.0, 1.0)),
    };
    let mut program = SlotProgram::new(SLOTS, vec![], vec![port]);
    let mut value = program.push("x", Op::Input(0)).unwrap();
    let mut shortcut = value;
    for step in 1..=products {
        value = program.push(format!("product {step}"), Op::Mul(value, value)).unwrap();
        if step % 3 == 0 {
            value = program.push(format!("sum {step}"), Op::Add(value, shortcut)).unwrap();
            shortcut = value;
        }
    }
    program.outputs.push(OutputPort { name: "y".into(), value, shape, layout, scale: 1.0 });
    program
}

fn all_small(program: &SlotProgram) -> Magnitudes {
    Magnitudes(vec![0.9; program.len()])
}

/// Names of the refreshed values.
fn refreshed(program: &Verified) -> Vec<String> {
    let bootstraps = program.values().filter(|(_, value)| matches!(value.op, CkksOp::Bootstrap { .. }));
    bootstraps.map(|(_, value)| value.name.to_string()).collect()
}

fn check(scheduled: &Scheduled) {
    let Scheduled { program, parameters, .. } = scheduled;
    let bootstrap = parameters.bootstrap.expect("the program is deep");
    assert_eq!(parameters.secret, Secret::UniformTernaryEncapsulated);
    assert!(parameters.security_bits == 128 && parameters.log_qp < log_qp_limit_128(parameters.ring_dimension));
    assert_eq!(parameters.usable_levels().0 + bootstrap.depth, parameters.levels.0);
    assert!(program.top_level() <= parameters.levels);
    for (_, value) in program.values() {
        if let CkksOp::Bootstrap { input, slots, level } = value.op {
            assert!(level <= parameters.usable_levels() && slots == SLOTS);
            assert_eq!(program.value(input).ty.level.0, 1, "a refreshed value runs where operations are cheapest");
        }
    }
}

#[test]
fn a_deep_program_is_refreshed() {
    let slots = program(120);
    let scheduled = schedule(&slots, &all_small(&slots), &SECURE).unwrap();
    check(&scheduled);
    let bootstraps = refreshed(&scheduled.program).len();
    // The first ciphertext has all levels, each bootstrap gives back the usable ones less the one it takes.
    let parameters = &scheduled.parameters;
    let least = (120 - parameters.levels.0).div_ceil(parameters.usable_levels().0 - 1) as usize;
    assert!(bootstraps >= least && bootstraps <= least + 2, "{bootstraps} bootstraps, {least} at least");
    assert!(scheduled.optimal && !scheduled.alternatives.is_empty());
    let fastest = scheduled.alternatives.iter().map(|other| other.seconds).fold(f64::INFINITY, f64::min);
    assert!(scheduled.seconds <= 1.1 * fastest, "without a limit, a plan about as fast as the fastest");
    let limited = ScheduleRequest { memory: Some(1 << 40), ..SECURE };
    assert_eq!(schedule(&slots, &all_small(&slots), &limited).unwrap().seconds, fastest);
}

#[test]
fn sums_are_refreshed_where_shortcuts_run() {
    let slots = program(120);
    let scheduled = schedule(&slots, &all_small(&slots), &SECURE).unwrap();
    for name in refreshed(&scheduled.program) {
        assert!(name.starts_with("sum "), "`{name}` is refreshed while a shortcut is alive");
    }
}

#[test]
fn only_small_values_are_refreshed() {
    let slots = program(120);
    let small = |name: &str| name.starts_with("sum ") && name.ends_with(['0', '2', '4', '6', '8']);
    let magnitudes = slots.values().map(|(_, value)| if small(&value.name) { 0.9 } else { 1.7 }).collect();
    let scheduled = schedule(&slots, &Magnitudes(magnitudes), &SECURE).unwrap();
    check(&scheduled);
    for name in refreshed(&scheduled.program) {
        assert!(small(&name), "`{name}` is too large for a bootstrap");
    }
    let none = Magnitudes(vec![1.7; slots.len()]);
    assert!(matches!(schedule(&slots, &none, &SECURE), Err(PassError::TooDeep { needed: 120, .. })));
    assert!(matches!(schedule(&slots, &Magnitudes::unknown(), &SECURE), Err(PassError::TooDeep { .. })));
}

#[test]
fn bootstraps_can_be_refused_and_asked_for() {
    let deep = program(120);
    let never = ScheduleRequest { bootstraps: Bootstraps::Never, ..SECURE };
    assert!(matches!(schedule(&deep, &all_small(&deep), &never), Err(PassError::TooDeep { .. })));
    let shallow = program(11);
    let four = ScheduleRequest { bootstraps: Bootstraps::UpTo(4), ..SECURE };
    let refused = schedule(&shallow, &Magnitudes(vec![1.7; shallow.len()]), &four);
    assert_eq!(refused.map(drop), Err(PassError::NotRefreshed { levels: 4 }));
    let plain = schedule(&shallow, &all_small(&shallow), &SECURE).unwrap();
    assert_eq!((refreshed(&plain.program).len(), plain.parameters.bootstrap), (0, None));
    for insecure in [false, true] {
        let wanted = ScheduleRequest { bootstraps: Bootstraps::UpTo(4), insecure, ..SECURE };
        let scheduled = schedule(&shallow, &all_small(&shallow), &wanted).unwrap();
        assert_eq!(scheduled.parameters.usable_levels().0, 4);
        assert!(scheduled.program.top_level().0 <= 4, "fresh ciphertexts are no higher either");
        assert!(refreshed(&scheduled.program).len() >= 3);
        assert_eq!(scheduled.parameters.security_bits, if insecure { 0 } else { 128 });
    }
}

#[test]
fn a_second_iteration_gives_more_bits_for_more_time() {
    let slots = program(120);
    let with = |iterations| {
        schedule(&slots, &all_small(&slots), &ScheduleRequest { iterations: Some(iterations), ..SECURE }).unwrap()
    };
    let (once, twice) = (with(1), with(2));
    check(&once);
    check(&twice);
    assert!(twice.seconds > 1.5 * once.seconds, "{} and {} s", once.seconds, twice.seconds);
    assert!(twice.precision_bits > once.precision_bits + 10.0, "{} bits", twice.precision_bits);
}

/// What is asked for is kept by the fastest means that does: a larger scale, then a second iteration, or refused with what
/// can be had.
#[test]
fn a_precision_that_is_asked_for_is_kept_or_refused() {
    let slots = program(120);
    let with = |precision, iterations| {
        let request = ScheduleRequest { precision: Some(precision), iterations, ..SECURE };
        schedule(&slots, &all_small(&slots), &request)
    };
    let unasked = schedule(&slots, &all_small(&slots), &SECURE).unwrap();
    let iterations = |scheduled: &Scheduled| scheduled.parameters.bootstrap.unwrap().iterations();
    for (wanted, expected) in [(5.0, 1), (8.5, 1), (13.0, 2), (20.0, 2)] {
        let kept = with(wanted, None).unwrap();
        check(&kept);
        assert!(kept.precision_bits >= wanted, "{} bits for {wanted}", kept.precision_bits);
        assert_eq!(iterations(&kept), expected, "for {wanted} bits");
    }
    assert!(with(8.5, None).unwrap().seconds <= 1.01 * unasked.seconds, "fewer bits take no longer");
    for (wanted, given) in [(30.0, None), (13.0, Some(1)), (30.0, Some(2))] {
        match with(wanted, given) {
            Err(PassError::TooImprecise { best: Some(best), .. }) => {
                assert!(best < wanted && with(best, given).unwrap().precision_bits >= best, "{best}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn less_memory_takes_another_plan_and_more_time() {
    let slots = program(120);
    let with = |memory| schedule(&slots, &all_small(&slots), &ScheduleRequest { memory, ..SECURE });
    let free = with(Some(1 << 40)).unwrap();
    let tight = with(Some(free.peak_bytes - 1)).unwrap();
    check(&tight);
    assert!(tight.peak_bytes < free.peak_bytes && tight.seconds >= free.seconds);
    match with(Some(1 << 30)) {
        Err(PassError::TooBig { needed, limit }) => {
            assert!(needed > limit);
            assert_eq!(with(Some(needed)).unwrap().peak_bytes, needed);
        }
        other => panic!("{other:?}"),
    }
}
