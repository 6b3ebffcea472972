//! Models that must be refused, each by the error that names the cause.

use std::path::Path;

use paf_import::{ImportError, import};
use testkit::onnx::{floats, model, node, text};
use testkit::{entries, testdata};
use tract_onnx::pb::TensorProto;

use crate::support::{TemporaryFile, import_model, names_and_operators};

fn refused(name: &str) -> ImportError {
    import(&testdata("bad").join(name)).expect_err(name)
}

#[test]
fn every_bad_model_is_refused() {
    let models = entries(&testdata("bad"));
    assert!(models.len() >= 11);
    for model in models {
        assert!(import(&model).is_err(), "{}", model.display());
    }
}

#[test]
fn files_that_are_no_models() {
    assert!(matches!(refused("not_onnx.onnx"), ImportError::NotOnnx { .. }));
    assert!(matches!(refused("empty.onnx"), ImportError::NotOnnx { .. }));
    assert!(matches!(refused("truncated.onnx"), ImportError::Truncated { .. }));
    assert!(matches!(refused("there_is_no_such_file.onnx"), ImportError::Read { .. }));
    assert!(matches!(import(Path::new(".")), Err(ImportError::Read { .. })));
}

#[test]
fn git_lfs_pointer() {
    let file = TemporaryFile::new(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n");
    let problem = import(&file.path()).expect_err("a pointer").to_string();
    assert!(problem.contains("git lfs pull"), "{problem}");
}

#[test]
fn weights_that_are_not_finite() {
    for name in ["nan_weights.onnx", "inf_weights.onnx"] {
        let ImportError::NotFinite { name, index, value } = refused(name) else { panic!("{name}") };
        assert_eq!((name.as_str(), index), ("conv.weight", 15));
        assert!(!value.is_finite());
    }
}

#[test]
fn all_unsupported_nodes_come_together() {
    let problem = refused("unsupported_ops.onnx");
    let report = problem.to_string();
    let ImportError::Unsupported(nodes) = problem else { panic!("{report}") };
    let expected = [("tangents", "Tan"), ("noise", "RandomNormalLike")];
    assert_eq!(names_and_operators(&nodes), expected);
    assert!(report.starts_with("2 nodes cannot be compiled:\n  `tangents` (Tan): "), "{report}");
}

#[test]
fn control_flow() {
    let ImportError::Unsupported(nodes) = refused("control_flow.onnx") else { panic!() };
    assert_eq!(names_and_operators(&nodes), [("compare", "Greater"), ("brighter", "If")]);
    assert!(nodes[1].hint.contains("without control flow"), "{}", nodes[1].hint);
}

#[test]
fn softmax_in_the_middle() {
    let ImportError::Unsupported(nodes) = refused("softmax_in_the_middle.onnx") else { panic!() };
    assert_eq!(names_and_operators(&nodes), [("channel_attention", "Softmax")]);
    assert!(nodes[0].reason.contains("`relu` reads its result"), "{}", nodes[0].reason);
}

#[test]
fn symbolic_height_and_width() {
    let ImportError::DynamicAxis { input, axis, size } = refused("dynamic_shape.onnx") else { panic!() };
    assert_eq!((input.as_str(), axis, size.as_str()), ("image", 2, "`H`"));
}

#[test]
fn input_of_texts() {
    let ImportError::InputType { name, element_type } = refused("text_input.onnx") else { panic!() };
    assert_eq!((name.as_str(), element_type.as_str()), ("image", "STRING"));
}

#[test]
fn weights_of_a_wrong_shape() {
    let ImportError::Invalid { node, operator, problem } = refused("gemm_shape_mismatch.onnx") else { panic!() };
    assert_eq!((node.as_str(), operator.as_str()), ("gemm", "Gemm"));
    assert_eq!(problem, "the weight takes 31 values and gets 32");
}

/// Equations that name what is not there, and products that no circuit takes: words, and no panic.
#[test]
fn equations_that_mean_nothing() {
    let refusal = |equation: &str, operands: &str, weights: Vec<TensorProto>| {
        let nodes = vec![node("Einsum", operands, "y", vec![text("equation", equation)])];
        import_model(&model(13, &[1, 3, 4], nodes, weights)).expect_err(equation).to_string()
    };
    let matrix = || vec![floats("w", &[4, 5], &[0.5; 20])];
    for (equation, operands, weights, expected) in [
        ("bij,jk->bik", "x", vec![], "2 operands"),
        ("bi,jk->bik", "x w", matrix(), "does not name 3 axes"),
        ("bij,jk->biz", "x w", matrix(), "that no operand has"),
        ("bij,jk->bii", "x w", matrix(), "names an axis twice"),
        ("bij,kj->bik", "x w", matrix(), "sizes 4 and 5"),
        ("b?j->bj", "x", vec![], "does not name 3 axes"),
        ("......->b", "x", vec![], "does not name"),
        ("bij,bij->b", "x x", vec![], "depend on the input"),
        ("bij->", "x", vec![], ""),
    ] {
        if expected.is_empty() {
            let nodes = vec![node("Einsum", operands, "y", vec![text("equation", equation)])];
            import_model(&model(13, &[1, 3, 4], nodes, weights)).expect("a sum of everything");
            continue;
        }
        let problem = refusal(equation, operands, weights);
        assert!(problem.contains(expected), "`{equation}`: {problem}");
    }
    let empty = vec![floats("w", &[0], &[]), floats("v", &[5], &[0.5; 5])];
    let nodes = vec![node("Einsum", "x w v", "y", vec![text("equation", "bij,k,l->bijl")])];
    // The sum of nothing is zero.
    drop(import_model(&model(13, &[1, 3, 4], nodes, empty)));
}
