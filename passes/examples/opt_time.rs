use paf_ir::linear::{LinearMap, Primitive};
use paf_ir::tensor::*;
use paf_passes::approximate::{Options, approximate};
fn main() {
    for paf in ["alpha7", "alpha10", "alpha13"] {
        let mut graph = Graph::default();
        let s = Shape(vec![4]);
        let x = graph.input("x", s.clone(), false);
        let w = std::sync::Arc::new(Tensor::new(Shape(vec![4, 4]), (0..16).map(|i| i as f64 * 0.1 - 0.7).collect()));
        let map = LinearMap::of(Primitive::Dense { weight: w, left: 1, right: 1 }, None);
        let mut a = graph.linear("a", map.clone(), x, s.clone()).unwrap();
        for _ in 0..2 {
            let r = graph.add("r", Op::Relu, &[a]).unwrap();
            a = graph.linear("b", map.clone(), r, s.clone()).unwrap();
        }
        graph.outputs = vec![Output { name: "y".into(), node: a, post: PostProcess::None }];
        let o = Options {
            default_paf: paf_passes::paf::Paf::by_name(paf).unwrap(),
            per_node: Default::default(),
            margin: 1.1,
            input_range: (-1.0, 1.0),
        };
        let p = approximate(&graph, &o, &vec![]).unwrap().graph;
        let t = std::time::Instant::now();
        let (g, rep) = paf_passes::optimize::optimize(&p).unwrap();
        let muls = g.nodes().filter(|(_, n)| n.op == Op::Mul).count();
        println!("{paf} {:?} muls {muls} {rep:?}", t.elapsed());
    }
}
