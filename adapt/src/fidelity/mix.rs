//! Which node gets which degree, by what the nodes' errors add up to.

/// What one node may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Menu {
    /// The square of the error of each polynomial, in parts of the node's own results; infinite where it cannot be used.
    pub(super) squares: Vec<f64>,
    /// Levels with each.
    pub(super) levels: Vec<u32>,
}

/// A choice for every node.
pub(super) type Mix = Vec<usize>;

/// The sum of squared errors of a mix.
pub(super) fn square(menus: &[Menu], mix: &[usize]) -> f64 {
    menus.iter().zip(mix).map(|(menu, &pick)| menu.squares[pick]).sum()
}

/// The mix of fewest levels in all whose squared errors sum up to at most this: from the most accurate one on, a level is
/// taken away where it adds the least error, as long as the sum allows it; `None` if the most accurate one, with the
/// `deepest` polynomial everywhere, has more.
pub(super) fn cheapest(menus: &[Menu], deepest: usize, most: f64) -> Option<Mix> {
    let mut mix: Mix = vec![deepest; menus.len()];
    let mut sum = square(menus, &mix);
    if sum > most {
        return None;
    }
    loop {
        let step = |(node, menu): (usize, &Menu)| {
            let (from, to) = (mix[node], mix[node].checked_sub(1)?);
            let added = menu.squares[to] - menu.squares[from];
            let saved = f64::from(menu.levels[from] - menu.levels[to]).max(1.0);
            (sum + added <= most).then_some((added / saved, node, added))
        };
        let steps = menus.iter().enumerate().filter_map(step);
        let Some((_, node, added)) = steps.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) else {
            return Some(mix);
        };
        mix[node] -= 1;
        sum += added;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_where_they_cost_least() {
        let menu = |squares: [f64; 3]| Menu { squares: squares.to_vec(), levels: vec![3, 4, 5] };
        let menus = [menu([0.9, 0.3, 0.1]), menu([0.5, 0.11, 0.1])];
        assert_eq!(cheapest(&menus, 2, 0.1), None);
        assert_eq!(cheapest(&menus, 2, 0.2), Some(vec![2, 2]));
        assert_eq!(cheapest(&menus, 2, 0.22), Some(vec![2, 1]));
        assert_eq!(cheapest(&menus, 2, 0.42), Some(vec![1, 1]));
        assert_eq!(cheapest(&menus, 2, 10.0), Some(vec![0, 0]));
        assert_eq!(cheapest(&menus, 1, 0.42), Some(vec![1, 1]));
    }
}
