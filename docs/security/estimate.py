"""The bits of security of every limit and of the secrets of bootstraps, by the lattice estimator.

    python3 -m venv sage && sage/bin/pip install passagemath-standard
    git clone https://github.com/malb/lattice-estimator
    sage/bin/python docs/security/estimate.py lattice-estimator > docs/security/estimates.tsv

Rows: ring dimension, log2 of the modulus, secret, attack, bits with the cost model MATZOV (Matzov, "Report on the security of
LWE", 2022), and classical and quantum with the one of ePrint 2024/463's scripts for quantum adversaries (LaaMosPol14). The limits
are read from scheme/src/parameters.rs, so that the table is theirs.
"""
import math, re, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from sage.all import oo  # noqa: E402  (before the estimator, which needs the whole library)
from estimator import LWE, ND, RC  # noqa: E402

SOURCE = Path(__file__).parents[2] / "scheme/src/parameters.rs"


def limits():
    text = SOURCE.read_text()
    table = text[text.index("LOG_QP_LIMITS_128: ["):]
    table = table[:table.index("];")]
    return [(int(shift), int(log_qp)) for shift, log_qp in re.findall(r"\(1 << (\d+), (\d+)\)", table)]


def constant(name):
    value = re.search(rf"{name}: \w+ = (.*);", SOURCE.read_text()).group(1)
    return int(eval(value))


def bits(cost):
    return f"{math.log2(cost['rop']):.1f}"


def parameters(n, log_q, secret):
    return LWE.Parameters(n=n, q=2**log_q, Xs=secret, Xe=ND.DiscreteGaussian(3.19), m=oo)


def row(*fields):
    print(*fields, sep="\t", flush=True)


row("N", "log2(QP)", "secret", "attack", "bits", "bits, quantum")
for shift, log_qp in limits():
    problem = parameters(1 << shift, log_qp, ND.Uniform(-1, 1))
    classical = LWE.primal_usvp(problem, red_cost_model=RC.MATZOV)
    quantum = LWE.primal_usvp(problem, red_cost_model=RC.LaaMosPol14)
    row(1 << shift, log_qp, "uniform ternary", "primal uSVP", bits(classical), bits(quantum))
ring, log_qp = constant("ENCAPSULATION_RING"), constant("ENCAPSULATION_LOG_QP")
for n in (ring, 2 * ring, 4 * ring):
    problem = parameters(n, log_qp, ND.SparseTernary(16, 16, n))
    hybrid = LWE.primal_hybrid(problem, red_cost_model=RC.MATZOV, mitm=True, babai=True)
    row(n, log_qp, "32 of N", "primal hybrid", bits(hybrid), "")
