"""kernels_test.py LFM-BENCH: a dry run of every kernel variant gives rows of the schema that bench/README.md tells, and two tables."""

import json
import subprocess
import sys

command = [sys.argv[1], "kernels", "--emulated", "--batch", "1", "--size", "48", "--gpu", "h200"]
done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
report = json.loads(done.stdout)
assert report["schema"] == "lfm-bench/1" and report["mode"] == "kernels" and report["data_sheet"] == "H200 SXM", report
assert any("dry run" in note for note in report["notes"]), report["notes"]
seen = set()
for row in report["rows"]:
    assert row["part"] in ("inference kernel", "training kernel") and row["batch"] == 1 and row["size"] == 48, row
    assert row["milliseconds"]["p10"] <= row["milliseconds"]["median"] <= row["milliseconds"]["p90"], row
    assert row["share_of_bound"] > 0 and row["samples"] == 1, row
    seen.add((row["part"], row["operation"], row["variant"], row["precision"]))
assert len(seen) == len(report["rows"]) > 50, "a row does not have a name of its own"
for operation in ("rbld", "rks, positions", "rks, values", "average_pool", "bce_with_logits", "head_backward"):
    assert any(row[1] == operation for row in seen), operation
for precision in ("fp32", "tf32", "fp16", "bf16"):
    assert any(row[3] == precision for row in seen), precision

text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
assert text.count("| operation | variant |") == 2 and "H200 SXM" in text, text
