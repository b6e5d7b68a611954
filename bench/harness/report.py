"""results.json as Markdown."""


def fastest_peer(rows, precision):
    peers = [row for row in rows if not row["ours"] and row["precision"] == precision]
    return max(peers, key=lambda row: row["images_per_s"]["median"], default=None)


def ratio(row, other):
    return f"{row['images_per_s']['median'] / other['images_per_s']['median']:.2f}x" if other else ""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def network_table(entry, limits, with_memory_share):
    """ratio: this engine's rows to the fastest peer of their precision. limits: empty where the machine was too busy to know them."""
    limit = next((limit for limit in limits if limit["threads"] == entry["threads"]), {})
    peak, bandwidth = limit.get("sgemm_gflops"), limit.get("read_gb_per_s")
    head = ["", "images/s, median", "min", "ratio", "processor ms per image", "GFLOP/s", "of SGEMM", "peak memory, MB"]
    if with_memory_share:
        head[-1:-1] = ["of memory bandwidth"]
        head.append("largest deviation")
    rows = []
    for row in entry["rows"]:
        rate = row["images_per_s"]["median"]
        gflops = rate * entry["gflop_per_image"]
        cells = [row["name"], f"{rate:.1f}", f"{row['images_per_s']['min']:.1f}",
                 ratio(row, fastest_peer(entry["rows"], row["precision"])) if row["ours"] else "",
                 f"{row['processor_ms']:.1f}", f"{gflops:.0f}", f"{gflops / peak:.0%}" if peak and row["precision"] == "fp32" else ""]
        if with_memory_share:
            cells.append(f"{rate / entry['batch'] * entry['compulsory_mb'] / 1e3 / bandwidth:.1%}" if bandwidth else "")
        cells.append(f"{row['peak_bytes'] / 1e6:.0f}")
        if with_memory_share:
            cells.append(f"{row['deviation']:.1g}")
        rows.append(cells)
    return table(head, rows)


def summary(tables):
    """This engine's rows of every setting against the fastest peer of their precision."""
    rows = []
    for entry in tables:
        for row in entry["rows"]:
            peer = fastest_peer(entry["rows"], row["precision"])
            if row["ours"] and peer:
                rows.append([f"{entry['size']}², batch {entry['batch']}, {entry['threads']} threads", row["name"],
                             f"{row['images_per_s']['median']:.1f}", f"{peer['images_per_s']['median']:.1f} ({peer['name']})", ratio(row, peer)])
    return table(["setting", "engine", "images/s", "fastest peer, images/s", "ratio"], rows)


def growth_table(entries):
    names = list(dict.fromkeys(row["name"] for entry in entries for row in entry["rows"]))
    rows = []
    for entry in entries:
        rates = {row["name"]: row["images_per_s"]["median"] for row in entry["rows"]}
        rows.append([f"{entry['size']}², batch {entry['batch']}, {entry['threads']} threads",
                     *[f"{rates[name]:.1f}" if name in rates else "" for name in names],
                     f"{1e9 / rates[names[0]] / entry['size'] ** 2:.0f}"])
    return table(["setting", *[f"{name}, images/s" for name in names], f"{names[0]}, ns per pixel"], rows)


def pipeline_table(entry):
    rows = []
    reference = next((row for row in entry["rows"] if row.get("is_reference")), None)
    best = max((row for row in entry["rows"] if not row["ours"]), key=lambda row: row["images_per_s"]["median"], default=None)
    for row in entry["rows"]:
        rate = row["images_per_s"]
        rows.append([row["name"], f"{rate['median']:.2f}", f"{rate['min']:.2f}", f"{1000 / rate['median']:.1f}", f"{row['processor_ms']:.1f}",
                     *(ratio(row, other) if row["ours"] and row["compares"] else "" for other in (reference, best)),
                     f"{row['peak_bytes'] / 1e6:.0f}"])
    return table(["", "images/s, median", "min", "ms per image", "processor ms per image", "ratio to the reference pipeline", "ratio to the best peer",
                  "peak memory, MB"], rows)


def versions(results):
    seen = {}
    for part in ("inference", "training"):
        for entry in results.get(part) if isinstance(results.get(part), list) else []:
            for row in entry["rows"]:
                seen[row["description"]] = None
    return ", ".join(seen)


def markdown(results):
    machine = results["machine"]
    busy = machine["load_at_start"] > machine["cores"] / 2
    lines = [
        "# Measured against the peers",
        "",
        f"One run of `bench/compare` on {results['date']}: {machine['cpu']}, {machine['cores']} cores "
        f"({', '.join(machine['instructions'])}), {machine['memory_gb']} GB, {machine['system']}; "
        f"load average {machine['load_at_start']} before, {machine['load_at_end']} after.",
        f"{versions(results)}.",
        "",
        *(["**The machine was busy with other work during this run.** Contenders whose threads wait for one another suffer most "
           "from that, so rates and ratios on several threads tell little; compare processor time on one thread.", ""] if busy else []),
        "All run on the same weights and pixels, and agreed before they were timed. They took turns within the run, so ratios are "
        "worth more than rates. GFLOP/s counts a direct convolution's operations; a share of SGEMM above 100 % is Winograd's doing. "
        "Peers get normalised float pixels outside the measured time; this engine starts from bytes. \"of memory bandwidth\" counts "
        "what must be read at the least: the weights once per batch, and the pixels. The BF16 peer's deviation is stated, not judged.",
        "",
        *table(["threads", "SGEMM, GFLOP/s", "memory read, GB/s", "memory copy, GB/s"],
               [[str(limit["threads"]), f"{limit['sgemm_gflops']:.0f}" if limit["sgemm_gflops"] else "not measured",
                 f"{limit['read_gb_per_s']:.1f}", f"{limit['copy_gb_per_s']:.1f}"] for limit in results["limits"]]),
    ]
    titles = {"inference": "Inference", "training": "Training step", "files": "JPEG files to scores", "cold": "Cold start: one image",
              "curves": "Growth with images, pixels and threads"}
    for part, title in titles.items():
        if part not in results:
            continue
        lines += [f"## {title}", ""]
        if isinstance(results[part], dict):
            lines += [f"Not measured: {results[part]['error']}", ""]
            continue
        if part == "inference" and len(results[part][0]["rows"]) > 1:
            lines += summary(results[part])
        if part == "curves":
            lines += ["![Three charts](curves.svg)", "", *growth_table(results[part])]
            continue
        for entry in results[part]:
            if part in ("inference", "training"):
                lines += [f"### {entry['size']} × {entry['size']}, batch {entry['batch']}, {entry['threads']} threads", ""]
                lines += network_table(entry, [] if busy else results["limits"], part == "inference")
            else:
                lines += [f"### {entry['title']}", "", *pipeline_table(entry)]
    return "\n".join(lines).rstrip() + "\n"
