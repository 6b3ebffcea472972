//! The search for a choice against all choices there are.

use paf_passes::choose::candidates;
use paf_passes::choose::search::{Choice, ChoiceStep, Selection, depth, front};
use proptest::prelude::*;

/// Levels and errors of steps; small numbers, so that equal levels and equal errors come up.
fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = (0u32..5, 0u32..20).prop_map(|(levels, error)| Choice { levels, error: f64::from(error) });
    prop::collection::vec(choice, 1..4)
}

/// Chains of single steps and of two branches, the second of which may be empty, that meet again.
fn nested() -> impl Strategy<Value = Vec<ChoiceStep>> {
    let block = (prop::collection::vec(choices(), 1..3), prop::option::of(prop::option::of(choices())));
    prop::collection::vec(block, 1..3).prop_map(|blocks| {
        let mut steps = vec![step(&[], vec![Choice { levels: 0, error: 0.0 }])];
        for (long, short) in blocks {
            let start = steps.len() - 1;
            for choices in long {
                steps.push(step(&[steps.len() - 1], choices));
            }
            let Some(short) = short else { continue };
            let end = steps.len() - 1;
            let other = match short {
                Some(choices) => {
                    steps.push(step(&[start], choices));
                    steps.len() - 1
                }
                None => start,
            };
            steps.push(step(&[end, other], vec![Choice { levels: 0, error: 0.0 }]));
        }
        steps
    })
}

/// Steps that read any one or two earlier ones: branches cross, and some lead nowhere.
fn tangled() -> impl Strategy<Value = Vec<ChoiceStep>> {
    let one = (choices(), any::<prop::sample::Index>(), prop::option::of(any::<prop::sample::Index>()));
    prop::collection::vec(one, 1..6).prop_map(|all| {
        let mut steps = vec![step(&[], vec![Choice { levels: 1, error: 0.0 }])];
        for (choices, first, second) in all {
            let mut operands = vec![first.index(steps.len())];
            operands.extend(second.map(|second| second.index(steps.len())));
            steps.push(ChoiceStep { operands, choices });
        }
        steps
    })
}

fn step(operands: &[usize], choices: Vec<Choice>) -> ChoiceStep {
    ChoiceStep { operands: operands.to_vec(), choices }
}

fn error(steps: &[ChoiceStep], picks: &[usize]) -> f64 {
    steps.iter().zip(picks).map(|(step, &pick)| step.choices[pick].error).sum()
}

/// The least error of all choices within each number of levels that one of them has.
fn by_trying_all(steps: &[ChoiceStep], output: usize) -> Vec<(u32, f64)> {
    let mut all = vec![vec![]];
    for step in steps {
        let longer = |picks: &Vec<usize>| {
            (0..step.choices.len()).map(|pick| [picks.as_slice(), &[pick]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    let mut costs: Vec<(u32, f64)> =
        all.iter().map(|picks| (depth(steps, &[output], picks), error(steps, picks))).collect();
    costs.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    costs.retain(|&(_, error)| {
        let better = error < least;
        least = least.min(error);
        better
    });
    costs
}

fn costs(selections: &[Selection]) -> Vec<(u32, f64)> {
    selections.iter().map(|selection| (selection.levels, selection.error)).collect()
}

fn assert_sound(steps: &[ChoiceStep], output: usize, selections: &[Selection]) {
    for selection in selections {
        assert_eq!(selection.levels, depth(steps, &[output], &selection.picks));
        assert_eq!(selection.error, error(steps, &selection.picks));
    }
    assert!(selections.windows(2).all(|pair| pair[0].levels < pair[1].levels && pair[0].error > pair[1].error));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn branches_that_meet_again_get_the_best_choice(steps in nested()) {
        let output = steps.len() - 1;
        let selections = front(&steps, &[output]);
        assert_sound(&steps, output, &selections);
        prop_assert_eq!(costs(&selections), by_trying_all(&steps, output));
    }

    /// Nothing beats the best choice; one choice for all is never better.
    #[test]
    fn crossing_branches_get_choices_no_worse_than_the_same_for_all(steps in tangled()) {
        let output = steps.len() - 1;
        let selections = front(&steps, &[output]);
        assert_sound(&steps, output, &selections);
        let least = |costs: &[(u32, f64)], levels: u32| {
            costs.iter().rfind(|cost| cost.0 <= levels).map_or(f64::INFINITY, |cost| cost.1)
        };
        let (found, best) = (costs(&selections), by_trying_all(&steps, output));
        for &(levels, error) in &found {
            prop_assert!(least(&best, levels) <= error);
        }
        for index in 0..3 {
            let picks: Vec<usize> = steps.iter().map(|step| index.min(step.choices.len() - 1)).collect();
            prop_assert!(least(&found, depth(&steps, &[output], &picks)) <= error(&steps, &picks));
        }
    }
}

/// Two ReLUs in a row, one four times as sensitive as the other: six levels more go where they help.
#[test]
fn levels_go_to_the_sensitive_step() {
    let pafs = |sensitivity: f64| {
        [(4, 8.0), (7, 2.0), (10, 0.5)].map(|(levels, error)| Choice { levels, error: sensitivity * error }).to_vec()
    };
    let steps = [step(&[], pafs(1.0)), step(&[0], pafs(4.0))];
    let selections = front(&steps, &[1]);
    let within = selections.iter().rfind(|selection| selection.levels <= 14).unwrap();
    assert_eq!((&within.picks[..], within.levels, within.error), (&[0, 2][..], 14, 10.0));
}

/// `testdata/paf_errors.tsv`: no composite of up to 9 levels is as accurate as a polynomial of |x| with as few, and none
/// deeper is as accurate as the minimax ones.
#[test]
fn candidates_are_polynomials_of_relu_and_the_deeper_minimax_composites() {
    let names: Vec<String> = candidates().unwrap().into_iter().map(|paf| paf.name).collect();
    let polynomials = [2, 4, 8, 16, 32].map(|degree| [format!("abs{degree}"), format!("relu{degree}")]);
    let others = ["abs62", "relu63", "abs126"].map(String::from);
    let composites = (10..=15).map(|alpha| format!("alpha{alpha}"));
    assert_eq!(names, polynomials.into_iter().flatten().chain(others).chain(composites).collect::<Vec<_>>());
}
