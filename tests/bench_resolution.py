#!/usr/bin/env python3
"""Accuracy and speed of `jinke resolve` beside Splink, on the same data in one run.

usage: bench_resolution.py JINKE [SET…]

SET `growth` makes 100,000, 1,000,000 and 5,000,000 records with the generator that JINKE_TRAPS
names (target/release/examples/traps) and shows how time and memory grow; GROWTH="n n n" sets
other numbers.

JINKE_ER names a folder with `data/`, `baselines/` and their README. Archives in `data/` are
unpacked once into ER_DATA (default: a folder below the system's temporary one). The baselines
are run from that folder as they are, where this Python has splink; their best figures are in
the README. One default setting serves every set: the specs below name columns and types, and
`mode = "link"` where both sources are free of duplicates.

Both sides are timed from CSV to clusters, training included and measuring against the truth left
out. Ours is a run without `--truth`, the whole process from its start to its end; a second run with
`--truth` tells the quality and the seconds by phase. Splink's figures are the sums of its stages:
starting Python and measuring are in neither its seconds nor its CPU-seconds.
"""
import importlib.util, json, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, time

PERSON = {"given_name": "given_name", "surname": "surname", "street_number": "category",
          "address_1": "address", "address_2": "address", "suburb": "city", "postcode": "postcode",
          "state": "category", "date_of_birth": "date_of_birth", "soc_sec_id": "identifier"}
BUSINESS = {"name": "org_name", "uscc": "uscc", "phone": "phone", "email": "email",
            "website": "domain", "province": "city", "city": "city", "district": "city",
            "address": "address", "contact_name": "person_name", "bank_account": "bank_account"}
SETS = {
    "febrl1": (PERSON, "dedupe", ["splink_persons.py", "febrl1"]),
    "febrl2": (PERSON, "dedupe", ["splink_persons.py", "febrl2"]),
    "febrl3": (PERSON, "dedupe", ["splink_persons.py", "febrl3"]),
    "splink-fake1000": ({"first_name": "given_name", "surname": "surname", "dob": "date_of_birth",
                         "city": "city", "email": "email"}, "dedupe",
                        ["splink_persons.py", "splink-fake1000"]),
    "fodors-zagats": ({"name": "org_name", "addr": "address", "city": "city", "phone": "phone",
                       "type": "category"}, "link", ["splink_bench_sets.py", "fodors-zagats"]),
    "dblp-acm": ({"title": "text", "authors": "person_name", "venue": "text", "year": "year"},
                 "link", ["splink_bench_sets.py", "dblp-acm"]),
    "cn-tiny": (BUSINESS, "dedupe", None),
    "cn-easy-100k": (BUSINESS, "dedupe", ["splink_cn.py", "cn-easy-100k", "0.5"]),
    "cn-hard-100k": (BUSINESS, "dedupe", ["splink_cn.py", "cn-hard-100k", "0.5"]),
    "cn-hard-1m": (BUSINESS, "dedupe", ["splink_cn.py", "cn-hard-1m", "0.99"]),
}


def unpacked(er):
    """The folder with every set: archives are unpacked, plain folders linked."""
    place = pathlib.Path(os.environ.get("ER_DATA", pathlib.Path(tempfile.gettempdir()) / "jinke-er"))
    place.mkdir(parents=True, exist_ok=True)
    items = sorted((er / "data").iterdir())
    for item in items:
        if item.is_dir() and not (place / item.name).exists():
            (place / item.name).symlink_to(item)
    for item in items:
        if item.name.endswith(".tar.gz") and not all((place / name).exists() for name in SETS):
            with tarfile.open(item) as tar:
                tar.extractall(place, filter="data")
    return place


def run(command, env=None):
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    lines = [l for l in done.stdout.splitlines() if l.startswith("{")]
    if done.returncode or not lines:
        print(f"  failed: {' '.join(map(str, command))}\n{done.stderr[-800:]}", file=sys.stderr)
    return [json.loads(l) for l in lines]


def timed(command):
    """Wall and CPU-seconds of a whole process, and its peak memory in MB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    if child.returncode:
        print(f"  failed: {' '.join(map(str, command))}", file=sys.stderr)
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def ours_of(jinke, spec, out, truth):
    """What one run of ours took, and how good it was; nothing when it failed."""
    command = [jinke, "resolve", "--spec", spec, "--out", out]
    wall, cpu, mb = timed(command)
    found = run([*command, "--truth", truth])
    return [{**o, "wall": max(wall, .01), "cpu": max(cpu, .01), "mb": mb} for o in found]


def phases(o):
    """Where the seconds went, as the second run tells."""
    return ", ".join(f"{k} {v:.2f}" for k, v in o["seconds"].items() if k != "total" and v >= .01)


def spec_of(folder, columns, mode, work):
    several = not (folder / "records.csv").exists()
    files = [f for f in sorted(folder.glob("*.csv")) if f.name != "truth.csv"]
    lines = [f"inputs = {json.dumps([str(f.resolve()) for f in files])}", 'source = "source"',
             f'key = "{"source_id" if several else "record_id"}"', f'mode = "{mode}"', "[columns]"]
    lines += [f"{json.dumps(c)} = \"{t}\"" for c, t in columns.items()]
    path = work / "spec.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def show(name, who, f1, b3, cpu, wall, n, mb, note=""):
    print(f"{name:16} {who:28} {f1:.4f} {b3:.4f} {cpu:8.1f} {wall:8.1f} {n / max(wall, .01):10.0f} {mb:7.0f} {note}",
          flush=True)


def thresholds(o):
    """What the machine merges alone, and what it leaves to a steward."""
    return f"merge P {o['merge']['precision']:.4f} R {o['merge']['recall']:.4f}, reviews/1000 {o['reviews_per_1000']}, " \
           f"asked {o['steward']['asked_per_1000']} for F1 {o['steward']['pairwise']['f1']:.4f}"


def growth(jinke, work):
    """Time and memory a record at growing numbers of records of one kind."""
    traps = os.environ.get("JINKE_TRAPS", str(pathlib.Path(jinke).parent / "examples" / "traps"))
    last = None
    for n in map(int, os.environ.get("GROWTH", "100000 1000000 5000000").split()):
        subprocess.run([traps, "--rows", str(n), "--write", work], check=True)
        folder = work / f"customers-cn-{n}"
        for o in ours_of(jinke, folder / "spec.toml", work / "out.csv", folder / "truth.csv"):
            each = 1e6 * o["wall"] / o["records"]
            note = f"{each:.2f} us and {1024 * o['mb'] / o['records']:.2f} KB a record"
            note += f", time x{each / last:.2f}" if last else ""
            show(f"growth-{n}", "jinke", o["pairwise"]["f1"], o["b_cubed"]["f1"], o["cpu"], o["wall"],
                 o["records"], o["mb"], f"{note}; {phases(o)}")
            last = each
        shutil.rmtree(folder)


def main():
    er = pathlib.Path(os.environ["JINKE_ER"])
    jinke, wanted = sys.argv[1], sys.argv[2:] or [*SETS, "growth"]
    data = unpacked(er)
    splink = importlib.util.find_spec("splink") is not None
    if not splink:
        print("this Python has no splink: its rows are left out (pip install splink duckdb pandas pyarrow rapidfuzz opencc-python-reimplemented)")
    print(f"{'set':16} {'engine':28} {'F1':6} {'B3 F1':6} {'CPU s':>8} {'wall s':>8} {'records/s':>10} {'MB':>7}")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for name in wanted:
            if name == "growth":
                growth(jinke, work)
                continue
            columns, mode, baseline = SETS[name]
            if not (data / name).exists():
                print(f"{name:16} is not in {data}")
                continue
            spec = spec_of(data / name, columns, mode, work)
            ours = ours_of(jinke, spec, work / "out.csv", data / name / "truth.csv")
            for o in ours:
                show(name, "jinke " + o["engine"][:20], o["pairwise"]["f1"], o["b_cubed"]["f1"],
                     o["cpu"], o["wall"], o["records"], o["mb"], f"{thresholds(o)}; {phases(o)}")
            if splink and baseline:
                env = dict(os.environ, ER_DATA=str(data), ER_OUT=str(work))
                for b in run([sys.executable, er / "baselines" / baseline[0], *baseline[1:]], env):
                    cpu = sum(b["cpu_stages"].values())
                    ratio = "".join(f"jinke {b['e2e_s'] / o['wall']:.1f}x less wall, {cpu / o['cpu']:.1f}x less CPU"
                                    for o in ours)
                    show(name, b["baseline"].split("/")[0], b["f1"], b["b3_f1"], cpu, b["e2e_s"],
                         b["records"], b["peak_rss_mb"], ratio)


if __name__ == "__main__":
    main()
