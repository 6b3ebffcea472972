"""What a build is made of, as CycloneDX 1.5: every crate of Cargo.lock, and the wheels that OpenFHE comes in.

    python3 supply-chain/sbom.py > sbom.cdx.json
"""
import json, re, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def crates():
    """Packages that programs are built of, not only tests."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    locked = r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([^"]+)"'
    checksums = {(name, version): sha for name, version, sha in re.findall(locked, (ROOT / "Cargo.lock").read_text())}
    for package in sorted(metadata["packages"], key=lambda package: (package["name"], package["version"])):
        component = {
            "type": "library",
            "name": package["name"],
            "version": package["version"],
            "purl": f"pkg:cargo/{package['name']}@{package['version']}",
            "licenses": [{"expression": (package["license"] or "NOASSERTION").replace("/", " OR ")}],
        }
        if (package["name"], package["version"]) in checksums:
            component["hashes"] = [{"alg": "SHA-256", "content": checksums[package["name"], package["version"]]}]
        yield component


def wheels():
    text = (ROOT / "openfhe-sys/build.rs").read_text()
    for name, version, digest in re.findall(r"^(\w+)==(\S+) --hash=sha256:(\w+)$", text, re.M):
        yield {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}",
               "hashes": [{"alg": "SHA-256", "content": digest}]}


components = [*crates(), *wheels()]
assert len(components) > 100 and sum("pypi" in component["purl"] for component in components) == 2
json.dump({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}, sys.stdout, indent=1)
print()
print(f"components: {len(components)}", file=sys.stderr)
