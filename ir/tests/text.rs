//! The text form of the three IRs: what prints parses back, what cannot be read says where.

use paf_ir::IrError;
use paf_ir::ckks::CkksProgram;
use paf_ir::slots::SlotProgram;
use paf_ir::tensor::Graph;

const TENSOR: &str = include_str!("data/tensor.txt");
const SLOTS: &str = include_str!("data/slots.txt");
const CKKS: &str = include_str!("data/ckks.txt");

/// Reads a text after one replacement and expects that line's error.
#[track_caller]
fn check(read: impl Fn(&str) -> Option<IrError>, text: &str, (from, to): (&str, &str), line: usize, reason: &str) {
    assert!(text.contains(from), "`{from}` is not in the text");
    match read(&text.replacen(from, to, 1)) {
        Some(IrError::Parse { line: found, message }) => {
            assert!(found == line && message.contains(reason), "`{to}`: line {found}: {message}");
        }
        other => panic!("`{to}`: expected `{reason}`, got {other:?}"),
    }
}

#[track_caller]
fn tensor(change: (&str, &str), line: usize, reason: &str) {
    check(|text| Graph::from_text(text).err(), TENSOR, change, line, reason);
}

#[track_caller]
fn slots(change: (&str, &str), line: usize, reason: &str) {
    check(|text| SlotProgram::from_text(text).err(), SLOTS, change, line, reason);
}

#[track_caller]
fn ckks(change: (&str, &str), line: usize, reason: &str) {
    check(|text| CkksProgram::from_text(text).err(), CKKS, change, line, reason);
}

#[test]
fn tensor_text_reads_back() {
    let graph = Graph::from_text(TENSOR).unwrap();
    assert_eq!(graph.to_text(), TENSOR);
    assert_eq!(graph.node(paf_ir::tensor::NodeId(3)).name, "a \"quoted\" \\ name\n");
}

#[test]
fn slots_text_reads_back() {
    let program = SlotProgram::from_text(SLOTS).unwrap();
    program.verify().unwrap();
    program.maps.iter().for_each(|map| map.check_complete().unwrap());
    assert_eq!(program.to_text(), SLOTS);
}

#[test]
fn ckks_text_reads_back() {
    let program = CkksProgram::from_text(CKKS).unwrap().verify().unwrap();
    assert_eq!(program.to_text(), CKKS);
}

#[test]
fn listings_leave_out_weights() {
    let listing = Graph::from_text(TENSOR).unwrap().to_listing();
    let without_weights: Vec<&str> = TENSOR.lines().filter(|line| !line.starts_with("const")).collect();
    assert_eq!(listing.lines().collect::<Vec<_>>(), without_weights);
    let listing = SlotProgram::from_text(SLOTS).unwrap().to_listing();
    assert!(listing.contains("map #0 \"/fc\": 3 to 2 elements, 1 babies, 1 giants, 1 folds"), "{listing}");
    assert!(!listing.contains("const @") && listing.contains("%9 \"/add\" = add %8, %6 : vec<2, 8>"), "{listing}");
}

#[test]
fn space_and_comments_do_not_matter() {
    let spaced = format!("# a comment\n\n   {}  ", TENSOR.replace(' ', "  ").replace("\n", "\n\t# more\r\n\n"));
    let graph = Graph::from_text(&spaced.replace("a  \\\"quoted\\\"  \\\\  name", "a \\\"quoted\\\" \\\\ name"));
    assert_eq!(graph.unwrap().to_text(), TENSOR);
}

#[test]
fn constants_are_read_whole() {
    tensor(("f64[2, 1, 2, 2]", "f64[2, 1, 2, 3]"), 1, "8 values do not fill the shape [2, 1, 2, 3]");
    tensor(("f64[2, 1, 2, 2]", "f64[4294967296, 4294967296, 2]"), 1, "do not fill the shape");
    tensor(("[1.0, -0.5,", "[1.0, half,"), 1, "`half` is not a number");
    tensor(("[1.0, -0.5,", "[1.0 -0.5,"), 1, "expected `]`");
    tensor(("@0 f64[2, 1", "@-1 f64[2, 1"), 1, "`-1` is not a number");
    tensor(("const @0 f64", "const @0 f32"), 1, "expected `f64`, found `f32[2, 1, 2, 2] = [1`");
    tensor(("{conv @0", "{conv @9"), 8, "no constant @9");
}

#[test]
fn lines_are_read_to_their_end() {
    tensor((": [1, 2, 4, 4]", ": [1, 2, 4, 4] twice"), 7, "unexpected text at the end of the line");
    slots(("slots 8", "slots 8 or 9"), 1, "unexpected text");
    ckks((" : ct<1, level 5, 2 parts, rest>", ""), 5, "expected `:`");
    ckks(("\"x\" = input", "\"x = input"), 5, "a string does not end");
    tensor(("name\\u{a}", "name\\u{d800}"), 10, "no character has the code `d800`");
}

#[test]
fn values_are_numbered_in_order() {
    tensor(("%1 \"/conv\"", "%2 \"/conv\""), 8, "expected `%1`, found `%2 \"/conv\"");
    slots(("map #1", "map #2"), 6, "expected map #1, found #2");
    tensor(("relu (%2)", "relu (%30)"), 10, "no operand %30");
    tensor(("relu (%2)", "relu (%99999999999)"), 10, "is not a number that fits");
    slots(("%2, %1", "%2, %3"), 12, "operand %3 does not come before");
    slots(("linear #0", "linear #7"), 10, "no map #7");
    slots(("port=0", "port=2"), 9, "there is no such port");
}

#[test]
fn operations_are_known_and_take_their_operands() {
    tensor(("relu (%2)", "gelu (%2)"), 10, "unknown operation `gelu`");
    tensor(("relu (%2)", "relu (%2, %1)"), 10, "relu takes 1 operands, got 2");
    tensor(("} scale=1.0 inputs=32 bias=@1 repeat=8 (%0)", "} scale=1.0 inputs=32 ()"), 8, "linear takes 1 operands");
    tensor(("sub (%5, %1)", "sub (%5)"), 13, "sub takes 2 operands, got 1");
    tensor(("= relu", "= "), 10, "expected a word");
    slots(("= rotate", "= turn"), 11, "unknown operation `turn`");
    ckks(("= relinearize", "= relinearise"), 11, "unknown operation `relinearise`");
    tensor(("then permute", "then transpose"), 18, "unknown linear factor `transpose`");
    tensor(("$0 = softmax", "$0 = hardmax"), 29, "no operation `hardmax` of [1]");
    tensor(("$1 = arg_max [0, 0]", "$1 = arg_max [0]"), 30, "no operation `arg_max` of [0]");
    tensor(("$2 = log", "$3 = log"), 31, "expected $2, found $3");
    tensor((" real", " imaginary"), 33, "unknown kind of result `imaginary`");
}

#[test]
fn shapes_and_types_are_inferred_again() {
    tensor(("relu (%2) : [1, 2, 4, 2]", "relu (%2) : [1, 2, 8]"), 10, "the shape must be [1, 2, 4, 2]");
    tensor(("sub (%5, %1)", "sub (%5, %0)"), 13, "operands have shapes [1, 2, 4, 2] and [1, 2, 4, 4]");
    tensor((": [1, 16]", ": [1, 15]"), 17, "have not the same number of elements");
    tensor((": [1, 16]", ": [4294967296, 4294967296, 16]"), 17, "no tensor has the shape");
    tensor((": [1, 2, 4, 4]", ": [1, 0, 4, 4]"), 7, "no tensor has the shape");
    tensor(("repeat=8 (%0) : [1, 2, 4, 2]", "repeat=8 (%0) : [1, 2, 4, 3]"), 8, "a map of 32 to 16 elements");
    slots(("%1 : vec<1, 2>", "%1 : vec<1, 4>"), 11, "the type must be vec<1, 2>");
    slots(("sub %6, %7", "sub %6, %5"), 17, "operands are vec<2, 8> and vec<1, 2>");
    slots(("linear #1 %5", "linear #1 %0"), 15, "takes vec<1, 2>, got vec<1, 4>");
    slots(("by=0.1", "by=NaN"), 13, "constant NaN");
    tensor(("scale -0.5", "scale inf"), 15, "constant inf");
    ckks(("rescale %6", "rescale %1"), 12, "needs a product above level 0");
}

#[test]
fn normalizations_have_a_value_a_channel() {
    tensor(("batch_norm @2", "batch_norm @5"), 9, "1 parameters for 2 channels");
    tensor(("batch_norm @2", "batch_norm @6"), 9, "no constant @6");
}

#[test]
fn windows_are_possible() {
    tensor(("kernel=[2, 2] strides", "kernel=[2] strides"), 8, "kernel has 1 values, not 2");
    tensor(("strides=[1, 2]", "strides=[0, 2]"), 8, "a size is zero");
    tensor(("pads=[0, 1, 1, 0]", "pads=[0, 1, 99999999999, 0]"), 8, "a size is above 131072");
    tensor(("pads=[0, 1, 1, 0]", "pads=[0, 1, -1, 0]"), 8, "`-1` is not a number that fits");
    tensor(("count_pad=0", "count_pad=2"), 8, "count_pad is 0 or 1, not 2");
    tensor(("max_pool input=[2, 4, 2]", "max_pool input=[4, 4, 2]"), 11, "window over [4, 4, 2]");
    tensor(
        ("kernel=[3, 1] strides=[1, 1] pads=[1", "kernel=[3, 1] strides=[1, 1] pads=[3"),
        11,
        "wholly in the padding",
    );
    tensor(("kernel=[3, 1] strides=[1", "kernel=[3, 1] strides=[4"), 11, "wholly in the padding");
}

#[test]
fn linear_factors_fit_each_other() {
    tensor(("groups=2", "groups=18446744073709551615"), 8, "groups");
    tensor(("left=2", "left=99999999999"), 18, "the size of a factor");
    tensor(("left=2", "left=99999999999999999999"), 18, "is not a number that fits");
    tensor(("[1, 0] [-1, 1]", "[1, 0] [-2, 1]"), 18, "-2 is no index");
    tensor(("[1, 0] [-1, 1]", "[1, 0] [4294967296, 1]"), 18, "4294967296 is no index");
    tensor(("[1, 0] [-1, 1]", "[1, 0] [4294967295, 1]"), 18, "4294967295 is no index");
    tensor(("[1, 0] [-1, 1]", "[1, 0] [2, 1]"), 18, "select index 2 on axis 1");
    tensor(("axes=[2, 0, 1]", "axes=[2, 0, 0]"), 18, "is no permutation");
    tensor(("repeat=2 size=4", "repeat=0 size=4"), 18, "repeats 0 times");
    tensor(("repeat=2 size=4", "repeat=2 size=5"), 18, "a factor takes 5 elements and gets 4");
    tensor(("inputs=6", "inputs=0"), 19, "0 inputs");
    tensor(("scale=3.0 inputs=6", "scale=inf inputs=6"), 19, "the scale is not finite");
    tensor(("bias=@5 repeat=1", "bias=@5 repeat=0"), 18, "empty bias");
    slots(("{dense @0", "{dense @1"), 5, "dense weights must have two axes");
}

#[test]
fn layouts_are_possible() {
    let layout = "the layout does not fit its slots";
    slots(("layout period=4", "layout period=99999999999"), 5, layout);
    slots(("layout period=4", "layout period=68719476736"), 5, layout);
    slots(("layout period=4", "layout period=0"), 5, layout);
    slots(("period=4 ciphertexts=1", "period=4 ciphertexts=4611686018427387904"), 5, layout);
    slots(("digits=[3, 1]", "digits=[3, 9223372036854775807]"), 5, layout);
    slots(("digits=[3, 1]", "digits=[99999999999, 1]"), 5, layout);
    slots(("digits=[3, 1]", "digits=[4294967296, 1, 4294967296, 1]"), 5, layout);
    slots(("digits=[3, 1]", "digits=[3, 2]"), 5, layout);
    slots(("digits=[3, 1]", "digits=[3, 1, 2]"), 5, "are not pairs of a positive size and a stride");
    slots(("digits=[3, 1]", "digits=[-3, 1]"), 5, "are not pairs of a positive size");
    slots(("first=0", "first=-1"), 5, "`-1` is not a number");
    slots(("table=[0, 1,", "table=[1, 1,"), 6, layout);
    slots(("gaps=zero", "gaps=none"), 5, "gaps are zero or leftover, not `none`");
}

#[test]
fn ports_are_read_whole() {
    slots(("range=[-2.0, 2.0]", "range=[-2.0]"), 7, "a range has two ends");
    slots(("range=[-2.0, 2.0]", "range=[-2.0, 2.0] own repeat=1 count=3 {1: [0.5]}"), 7, "a column has an offset");
    slots(("giants {-3: [4];", "giants {-3 [4];"), 5, "expected `:`");
    slots(("modulus=2 folds=[2]", "modulus=-2 folds=[2]"), 5, "`-2` is not a number");
}

#[test]
fn a_layout_without_elements_reads_back() {
    let text =
        "slots 4\ninput \"x\" shape=[0] scale=1.0 range=[0.0, 1.0] layout period=4 ciphertexts=1 gaps=zero table=[]\n";
    let program = SlotProgram::from_text(text).unwrap();
    assert_eq!((program.to_text().as_str(), program.inputs[0].layout.size()), (text, 0));
}
