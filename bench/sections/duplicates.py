"""The same contents again and again, with the caches of both sides."""

from harness import inputs, load, rounds
from harness.context import Context
from harness.report import Section, Table
from harness.servers import Clamd, Lazaret
from sections.cold import CONNECTIONS, ClamdPass


def run(context: Context) -> Section:
    signatures = inputs.signatures(context)
    corpus, about = inputs.corpus(context, "duplicates")
    rows = []
    with Lazaret(context, signatures) as server, Clamd(context, signatures, context.cores, cache=True) as clamd:
        def ours() -> float:
            return load.run(context, server.url, corpus=corpus, passes=1, connections=CONNECTIONS)["rate"]

        for name, count in (("first pass", 1), ("later passes", context.rounds)):
            results = rounds.in_turn(context, f"duplicates, {name}", {"Lazaret": ours, "clamd": ClamdPass(clamd, corpus, about["files"]).rate}, count)
            rows.append([name, rounds.spread(results["Lazaret"]), rounds.spread(results["clamd"]),
                         f"{rounds.ratio(results, 'Lazaret', 'clamd'):.2f}"])
        scans = server.scans()
    return Section("Duplicates", [Table(f"Files a second, {about['files']} files of {about['contents']} contents",
                                        ["", "Lazaret over HTTP", "clamdscan --multiscan --fdpass", "ratio"], rows,
                                        f"Lazaret made {scans} scans in all.")])
