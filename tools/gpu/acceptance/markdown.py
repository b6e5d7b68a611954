"""The rows of one call or of several as a report for people, Markdown. Whatever rows there are make a report, however a call ended."""

from __future__ import annotations

from typing import Callable, Iterable

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")


def table(head: Iterable[str], rows: Iterable[Iterable[object]], left: int = 1) -> list[str]:
    head, rows = list(head), [[cell(value) for value in row] for row in rows]
    if not rows:
        return []
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return ["| " + " | ".join(line) + " |" for line in [head, rule, *rows]] + [""]


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return number(value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def number(value: float) -> str:
    """Three figures and more: 123456, 12345, 123, 12.3, 0.123."""
    if value != value:
        return "NaN"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def of(rows: list[dict], kind: str) -> list[dict]:
    return [row for row in rows if row["row"] == kind]


def report(calls: list[list[dict]]) -> str:
    calls = [rows for rows in calls if rows]
    lines = ["# On a GPU", ""]
    if any(call["emulated"] for rows in calls for call in of(rows, "call")):
        lines = ["# Dry run on the emulated device: no figure here is a GPU's", ""]
    for rows in calls:
        lines += header(rows)
    every = [row for rows in calls for row in rows]
    for part in (states, programs, tests, sanitizers, samples, curves, ceilings, inference, layers, peers, training, kernels, counters, notes):
        lines += part(every)
    return "\n".join(lines).rstrip() + "\n"


def header(rows: list[dict]) -> list[str]:
    call = next(iter(of(rows, "call")), None)
    if not call:
        return []
    host, gpu, build = call["host"], call["device"], call["bundle"]
    lines = [f"## {call['call'].capitalize()}", ""]
    if gpu:
        lines += [f"{gpu['name']}, {gpu['memory_mib']} MiB, compute capability {gpu['compute_capability']}, driver {gpu['driver']}, power limit "
                  f"{cell(gpu['power_limit_w'])} W, clocks up to {gpu['max_sm_mhz']} (SM) and {gpu['max_memory_mhz']} MHz (memory)."]
    else:
        lines += [f"No GPU: {call['no_device']}."]
    lines += [f"Host: {host.get('cpu', 'unknown')}, {host['cores']} cores, {host.get('memory_gib', '?')} GiB, {host.get('system', 'unknown')}, "
              f"kernel {host['kernel']}. Built of commit {build['commit']}"
              f"{' for sm_' + build['architectures'].replace(';', ', sm_') if build['architectures'] else ''}, {build['compiler']}.",
              f"{call['date']}; a budget of {call['budget']:.0f} s"
              f"{'' if of(rows, 'end') else '; **the call was ended from outside**, and what follows is what it had measured'}.", ""]
    done = {row["step"]: row for row in of(rows, "step")}
    begun = [row["step"] for row in of(rows, "begin")]
    names = list(dict.fromkeys([*done, *begun]))
    summary = []
    for name in names:
        row = done.get(name)
        if row:
            summary.append([name, f"{row['outcome']}{': ' + row['reason'] if row['reason'] else ''}", f"{row['seconds']:.1f} s"])
        else:
            summary.append([name, "**under way**" if not of(rows, "end") else "not ended", ""])
    return lines + table(["step", "outcome", "time"], summary, 2)


def states(rows: list[dict]) -> list[str]:
    found = of(rows, "state")
    if not found:
        return []
    return ["### The GPU's state", ""] + table(
        ["when", "SM, MHz", "memory, MHz", "power, W", "temperature, C", "held back by"],
        [[row["when"], row["sm_mhz"], row["memory_mhz"], row["power_w"], row["temperature_c"], ", ".join(row["throttled"])] for row in found])


def programs(rows: list[dict]) -> list[str]:
    broken = [row for row in of(rows, "program") if not row["starts"]]
    return (["### Programs that don't start", ""] + table(["program", "why"], [[row["name"], row["reason"]] for row in broken])) if broken else []


def tests(rows: list[dict]) -> list[str]:
    found = of(rows, "tests")
    if not found:
        return []
    lines = ["### Tests", ""] + table(
        ["program", "outcome", "passed", "failed", "skipped", "seconds"],
        [[row["program"], "passed" if row["good"] else "cut off" if row["cut_off"] else "FAILED", row["passed"], len(row["failed"]),
          sum(row["skipped"].values()), row["seconds"]] for row in sorted(found, key=lambda row: (row["good"], row["program"]))], 2)
    failures = [f"* {row['program']}: {name}" for row in found for name in row["failed"]]
    reasons: dict[str, int] = {}
    for row in found:
        for reason, count in row["skipped"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    lines += ["Failed:", "", *failures, ""] if failures else []
    lines += ["Skipped:", "", *[f"* {count}: {reason}" for reason, count in reasons.items()], ""] if reasons else []
    return lines


def sanitizers(rows: list[dict]) -> list[str]:
    found = of(rows, "sanitizer")
    if not found:
        return []
    tools = list(dict.fromkeys(row["tool"] for row in found))
    by = {(row["program"], row["tool"]): row for row in found}
    programs_ = sorted({row["program"] for row in found})
    return ["### compute-sanitizer", ""] + table(
        ["program", *tools], [[program, *[told_by(by.get((program, kind))) for kind in tools]] for program in programs_], 1 + len(tools))


def told_by(row: dict | None) -> str:
    return "" if row is None else row["outcome"] + (f", {row['seconds']:.0f} s" if "seconds" in row else "")


def samples(rows: list[dict]) -> list[str]:
    found = of(rows, "samples")
    if not found:
        return []
    names = sorted(found[0]["cpu"])
    return ["### Logits of the samples", ""] + table(
        ["", *names, "worst deviation", "limit"],
        [["CPU, fp32", *[f"{found[0]['cpu'][name]:.4f}" for name in names], "", ""]]
        + [[f"{row['precision']}{'' if row['good'] else ', DIFFERS'}", *[f"{row['logits'][name]:.4f}" if name in row["logits"] else "none"
                                                                        for name in names], row["deviation"], row["limit"]] for row in found])


def curves(rows: list[dict]) -> list[str]:
    found = of(rows, "curve")
    if not found:
        return []
    steps = max(len(row["losses"]) for row in found)
    shown = sorted({1, 2, 3, 5, 10, 15, steps} & set(range(1, steps + 1)))
    cpu = next((row["losses"] for row in found if row["device"] == "cpu"), [])
    return ["### Loss of a short training run, from one seed", ""] + table(
        ["engine", *[f"step {step}" for step in shown], "farthest from the CPU's", "validation accuracy", "seconds"],
        [[f"{row['device']}, {row['precision']}", *[f"{row['losses'][step - 1]:.5f}" if step <= len(row["losses"]) else "" for step in shown],
          max((abs(a - b) for a, b in zip(row["losses"], cpu)), default=None) if row["device"] != "cpu" else "", row.get("accuracy"),
          row["seconds"]] for row in sorted(found, key=lambda row: row["device"] != "cpu")])


def measured(rows: list[dict], mode: str) -> list[dict]:
    return [row for row in of(rows, "measured") if row["mode"] == mode]


def errors(rows: list[dict]) -> list[str]:
    found = [f"* {row['operation']}, {row.get('variant') or row.get('precision', '')}: {row['error']}" for row in rows if "error" in row]
    return ["Not timed:", "", *found, ""] if found else []


def ceilings(rows: list[dict]) -> list[str]:
    found = measured(rows, "ceilings")
    if not found:
        return []
    return ["### Ceilings, measured", ""] + table(
        ["", "how", "TFLOP/s", "GB/s", "of the data sheet's"],
        [[row["operation"], row.get("variant"), row.get("tflops"), row.get("gigabytes_per_second"), share(row)] for row in found if "error" not in row],
        2) + errors(found)


def share(row: dict) -> str:
    return f"{row['share_of_bound']:.0%}" if "share_of_bound" in row else ""


def spread(row: dict) -> str:
    """Images a second at the median, and at the 90th and 10th percentile of the time."""
    times = row["milliseconds"]
    rates = [1e3 * row["batch"] / times[key] for key in ("median", "p90", "p10")]
    return f"{number(rates[0])} ({number(rates[1])}–{number(rates[2])})"


def grid(rows: list[dict], name: Callable[[dict], object]) -> list[str]:
    """A line for each precision and way, a column for each batch: images a second."""
    rows = [row for row in rows if "milliseconds" in row]
    batches = sorted({row["batch"] for row in rows})
    ways = sorted({(name(row), row["precision"]) for row in rows}, key=lambda way: (str(way[0]), PRECISIONS.index(way[1])))
    by = {(name(row), row["precision"], row["batch"]): row for row in rows}
    return table(["images/s, median (p10–p90)", "", *[f"batch {batch}" for batch in batches]],
                 [[way, precision, *[spread(by[way, precision, batch]) if (way, precision, batch) in by else "" for batch in batches]]
                  for way, precision in ways], 2)


def inference(rows: list[dict]) -> list[str]:
    resident = [row for row in measured(rows, "resident") if row["part"] == "batch"]
    whole = [row for row in measured(rows, "end-to-end") if row["part"] == "batch"]
    others = [row for row in of(rows, "peer") if row["phase"] in ("eager", "compiled", "libtorch") and "milliseconds" in row]
    if not resident and not whole and not others:
        return []
    ours = [{**row, "way": "lfm-cuda, resident"} for row in resident] + [
        {**row, "way": f"lfm-cuda, end to end{', ' + row['variant'] if row.get('variant') else ''}"} for row in whole]
    every = ours + [{**row, "way": row["peer"]} for row in others]
    lines = ["### The whole network", "",
             "Resident: pixels on the device, as bytes; the peers have theirs there normalised, channels last. End to end: from the host's memory to "
             "logits there. Pictures of random pixels, the inputs taking turns so that none is found in the cache.", ""]
    lines += grid(every, lambda row: row["way"])
    return lines + ratios(resident, others) + errors(resident + whole)


def ratios(resident: list[dict], others: list[dict]) -> list[str]:
    result = []
    for row in sorted((row for row in resident if "milliseconds" in row), key=lambda row: (PRECISIONS.index(row["precision"]), row["batch"])):
        same = [other for other in others if "milliseconds" in other and (other["precision"], other["batch"]) == (row["precision"], row["batch"])]
        if same:
            best = min(same, key=lambda other: other["milliseconds"]["median"])
            result.append([row["precision"], row["batch"], row["images_per_second"], f"{number(best['images_per_second'])} ({best['peer']})",
                           f"{best['milliseconds']['median'] / row['milliseconds']['median']:.2f}x"])
    return table(["resident", "batch", "images/s", "the fastest peer", "ratio"], result)


def layers(rows: list[dict]) -> list[str]:
    found = [row for row in measured(rows, "resident") if row["part"] == "layer" and "milliseconds" in row]
    if not found:
        return []
    batch = max((row["batch"] for row in found), key=lambda size: (size == 64, size))
    names = list(dict.fromkeys(row["operation"] for row in found))
    by = {(row["precision"], row["operation"]): row for row in found if row["batch"] == batch}
    precisions = [precision for precision in PRECISIONS if any(key[0] == precision for key in by)]
    return [f"### Layers, resident, batch {batch}: microseconds", ""] + table(
        ["precision", *names],
        [[precision, *[f"{1e3 * by[precision, name]['milliseconds']['median']:.1f} ({by[precision, name].get('share', 0):.0%})"
                       if (precision, name) in by else "" for name in names]] for precision in precisions])


def peers(rows: list[dict]) -> list[str]:
    found = [row for row in of(rows, "peer") if "deviation" in row]
    compiled = [row for row in of(rows, "peer") if "compile_seconds" in row]
    if not found:
        return []
    versions = {f"PyTorch {row['torch']}, cuDNN {row['cudnn']}." for row in of(rows, "peer") if "torch" in row}
    lines = ["### Outputs, compared before anything was timed", "", *versions, ""] + table(
        ["peer", "precision", "largest deviation from lfm-cuda's logits", ""],
        [[row["peer"], row["precision"], row["deviation"], "" if row["good"] else "DIFFERS"] for row in found], 2)
    if compiled:
        lines += [f"torch.compile took {number(sum(row['compile_seconds'] for row in compiled))} s for {len(compiled)} shapes.", ""]
    return lines


def training(rows: list[dict]) -> list[str]:
    steps = [{**row, "way": "lfm-cuda"} for row in measured(rows, "training") if row["part"] == "batch" or row.get("operation") == "training step"]
    others = [{**row, "way": row["peer"]} for row in of(rows, "peer")
                                                      if row["phase"] == "training" and "milliseconds" in row]
    if not steps and not others:
        return []
    sizes = sorted({row["size"] for row in steps + others})
    return [f"### Training step, {', '.join(f'{size}²' for size in sizes)}", ""] + grid(steps + others, lambda row: row["way"]) + errors(steps)


def kernels(rows: list[dict]) -> list[str]:
    found = measured(rows, "kernels")
    if not found:
        return []
    lines = ["### Each kernel", "", f"The bound is that of a data sheet: {found[0].get('data_sheet')}.", ""]
    return lines + table(
        ["operation", "variant", "us", "TFLOP/s", "GB/s", "of the bound"],
        [[row["operation"], row.get("variant"), 1e3 * row["milliseconds"]["median"], row.get("tflops"), row.get("gigabytes_per_second"), share(row)]
         for row in found if "milliseconds" in row], 2) + errors(found)


def counters(rows: list[dict]) -> list[str]:
    found = of(rows, "counters")
    keys = ("microseconds", "sm_percent", "memory_percent", "dram_percent", "tensor_percent", "warps_percent", "registers")
    return (["### Counters", ""] + table(
        ["pass", "kernel", "grid", "us", "SM, %", "memory, %", "DRAM, %", "tensor pipe, %", "warps active, %", "registers"],
        [[row["of"], row["kernel"], row["grid"], *[row.get(key) for key in keys]] for row in found], 3)) if found else []


def notes(rows: list[dict]) -> list[str]:
    found = list(dict.fromkeys(row["text"] for row in of(rows, "note")))
    return ["### Notes", "", *[f"* {text}" for text in found], ""] if found else []
