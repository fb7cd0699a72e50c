"""What each measure of the scanner gains: cold scans with it on and off."""

from harness import inputs, rounds
from harness.context import Context
from harness.report import Section, Table
from harness.servers import Lazaret
from sections.cold import FORGETFUL, ColdPass

# Name: (settings, environment) that differ from the default. A new measure adds its switch here.
VARIANTS: dict[str, tuple[dict, dict]] = {
    "as it is": ({}, {}),
    "engine.huge_pages=false": ({"engine.huge_pages": "false"}, {}),
    "engine.skip_unmatched=false": ({"engine.skip_unmatched": "false"}, {}),
    "engine.share_match_state=false": ({"engine.share_match_state": "false"}, {}),
    "none of the three": ({"engine.huge_pages": "false", "engine.skip_unmatched": "false", "engine.share_match_state": "false"}, {}),
    "glibc.malloc.hugetlb=1": ({}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
    "large malloc thresholds": ({}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2000000000:"
                                                       "glibc.malloc.top_pad=268435456"}),
}


def run(context: Context) -> Section:
    signatures = inputs.signatures(context)
    rows = []
    servers = {}
    try:
        for name, (settings, environment) in VARIANTS.items():
            context.progress.step(f"switches: starting {name}")
            servers[name] = Lazaret(context, signatures, {**FORGETFUL, "engine.scanners": context.cores, **settings}, environment)
            servers[name].__enter__()
        for kind in ("mixed", "text", "pe"):
            corpus, about = inputs.corpus(context, kind)
            passes = {name: ColdPass(context, server, corpus, about["files"]) for name, server in servers.items()}
            results = rounds.in_turn(context, f"switches {kind}", {name: each.rate for name, each in passes.items()})
            cpu = {name: each.cpu_ms for name, each in passes.items()}
            rows += [[kind if name == "as it is" else "", name, rounds.spread(values, 1), f"{rounds.ratio(results, name, 'as it is'):.2f}",
                      f"{rounds.median(cpu[name]):.1f}", f"{rounds.ratio(cpu, 'as it is', name):.2f}"]
                     for name, values in results.items()]
    finally:
        for server in servers.values():
            server.__exit__()
    return Section("Measures of the scanner", [Table("Cold files a second", ["corpus", "variant", "files/s", "of as it is", "CPU ms each", "as it is/variant"], rows)])
