//! Which node gets which degree, by what the nodes' errors add up to and what the circuit costs.

use std::collections::{BTreeMap, BTreeSet};

use paf_passes::choose::search;

use crate::cost::{Cost, Costs};

/// What one node may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Menu {
    /// Name of the node.
    pub(super) node: String,
    /// The square of the error of each polynomial, in parts of the node's own results; infinite where it cannot be used.
    pub(super) squares: Vec<f64>,
    /// Levels with each.
    pub(super) levels: Vec<u32>,
}

/// A choice for every node, in graph order.
pub(super) type Mix = Vec<usize>;

/// A mix that loses least for what it costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offer {
    pub(super) mix: Mix,
    /// The sum of squared errors.
    pub(super) square: f64,
    pub(super) cost: Cost,
}

/// The sum of squared errors of a mix.
pub(super) fn square(menus: &[Menu], mix: &[usize]) -> f64 {
    menus.iter().zip(mix).map(|(menu, &pick)| menu.squares[pick]).sum()
}

/// What a mix is expected to cost.
fn cost(menus: &[Menu], mix: &[usize], costs: &Costs<'_>) -> Cost {
    let levels = menus.iter().zip(mix).map(|(menu, &pick)| (menu.node.clone(), menu.levels[pick]));
    costs.expected(&levels.collect())
}

/// The mixes that lose least for their levels, and where those do not suffice for their bootstraps; the cheapest first.
pub(super) fn offers(menus: &[Menu], costs: &Costs<'_>) -> Vec<Offer> {
    let usable = |menu: &Menu| -> Vec<(usize, search::Choice)> {
        let choices = menu.squares.iter().zip(&menu.levels);
        let choice = |(&error, &levels): (&f64, &u32)| search::Choice { levels, error };
        choices.map(choice).enumerate().filter(|(_, choice)| choice.error.is_finite()).collect()
    };
    let usable: BTreeMap<&str, Vec<(usize, search::Choice)>> =
        menus.iter().map(|menu| (menu.node.as_str(), usable(menu))).collect();
    let choices = usable.iter().map(|(&node, usable)| (node.to_owned(), usable.iter().map(|it| it.1).collect()));
    let picks = |front: BTreeMap<String, usize>| -> Option<Mix> {
        menus.iter().map(|menu| Some(usable[menu.node.as_str()].get(*front.get(&menu.node)?)?.0)).collect()
    };
    let mixes: BTreeSet<Mix> = costs.fronts(&choices.collect()).into_iter().filter_map(picks).collect();
    let mut offers: Vec<Offer> = mixes.into_iter().map(|mix| offer(menus, costs, mix)).collect();
    offers.sort_by(|a, b| a.cost.expected_order(&b.cost).then(a.square.total_cmp(&b.square)));
    offers
}

/// A mix with its errors and cost.
pub(super) fn offer(menus: &[Menu], costs: &Costs<'_>, mix: Mix) -> Offer {
    Offer { square: square(menus, &mix), cost: cost(menus, &mix, costs), mix }
}

/// The cheapest of the offers whose squared errors sum up to at most this.
pub(super) fn cheapest(offers: &[Offer], most: f64) -> Option<&Offer> {
    offers.iter().find(|offer| offer.square <= most)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paf_ir::LinearMap;
    use paf_ir::linear::Primitive;
    use paf_ir::tensor::{BatchAxis, Graph, NodeId, Op, Output, Shape, Tensor};
    use paf_passes::approximate::Reduction;
    use paf_passes::choose::LevelGraph;
    use paf_passes::lower::LowerOptions;
    use paf_passes::paf::{DEFAULT_PAF, Paf};
    use paf_scheme::EngineProfile;

    use super::*;
    use crate::target::Target;

    const SIZE: usize = 16;

    /// ReLUs with a map before each.
    fn chain(names: &[String]) -> Graph {
        let mut graph = Graph::default();
        let shape = || Shape(vec![SIZE]);
        let map = |graph: &mut Graph, x: NodeId| {
            let values = Arc::new(Tensor::new(Shape(vec![1]), vec![2.0]));
            let map = LinearMap::of(Primitive::Diagonal { values, repeat: SIZE, size: SIZE }, None);
            graph.linear("map", map, x, shape()).unwrap()
        };
        let mut node = graph.input("x", shape(), BatchAxis::Absent);
        for name in names {
            let scaled = map(&mut graph, node);
            node = graph.add(name.clone(), Op::Relu, &[scaled]).unwrap();
        }
        graph.outputs = vec![Output { name: "y".into(), node }];
        graph
    }

    fn menus(squares: &[[f64; 3]]) -> Vec<Menu> {
        let menu = |(index, squares): (usize, &[f64; 3])| {
            let levels = vec![3, 4, 5];
            Menu { node: format!("relu{index}"), squares: squares.to_vec(), levels }
        };
        squares.iter().enumerate().map(menu).collect()
    }

    fn with_offers(menus: &[Menu], check: impl Fn(&[Offer])) {
        let names: Vec<String> = menus.iter().map(|menu| menu.node.clone()).collect();
        let profile = EngineProfile::openfhe();
        let options = LowerOptions::new(Paf::by_name(DEFAULT_PAF).unwrap(), profile);
        let target = Target { options, samples: Arc::new(vec![]) };
        let levels = LevelGraph::new(&chain(&names), Reduction::default(), profile).unwrap();
        check(&offers(menus, &Costs::new(&levels, &target).unwrap()));
    }

    #[test]
    fn levels_go_where_they_cost_least() {
        let menus = menus(&[[0.9, 0.3, 0.1], [0.5, 0.11, 0.1]]);
        with_offers(&menus, |offers| {
            let mix = |most| cheapest(offers, most).map(|offer| offer.mix.clone());
            assert_eq!(mix(0.1), None);
            assert_eq!(mix(0.2), Some(vec![2, 2]));
            assert_eq!(mix(0.22), Some(vec![2, 1]));
            assert_eq!(mix(0.42), Some(vec![1, 1]));
            assert_eq!(mix(10.0), Some(vec![0, 0]));
        });
    }

    #[test]
    fn what_cannot_be_used_is_not_offered() {
        let menus = menus(&[[f64::INFINITY, 0.3, 0.1], [0.5, 0.1, 0.05]]);
        with_offers(&menus, |offers| {
            assert_eq!(offers[0].mix, [1, 0]);
            assert!(offers.iter().all(|offer| offer.square.is_finite() && offer.mix[0] > 0), "{offers:?}");
        });
    }

    /// A deep chain: no offer costs as much as another one and loses more, and the cheapest have fewest bootstraps.
    #[test]
    fn deep_chains_are_offered_by_their_bootstraps() {
        let menus = menus(&[[0.9, 0.3, 0.1]; 12]);
        with_offers(&menus, |offers| {
            let costs: Vec<Cost> = offers.iter().map(|offer| offer.cost).collect();
            assert!(costs.is_sorted_by(|a, b| a.expected_order(b).is_le()));
            let most = |bootstraps: u32| costs.iter().filter(|cost| cost.bootstraps <= bootstraps).count();
            assert!(most(0) == 0 && most(u32::MAX - 1) == costs.len(), "{costs:?}");
            let least = cheapest(offers, 2.0).unwrap().cost;
            assert!(cheapest(offers, 12.0 * 0.9).unwrap().cost.seconds < least.seconds, "{least:?}");
        });
    }
}
