# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures as pictures. Text and bars bring their own background, and go dark with it where the reader's screen is."""
import math
from xml.sax.saxutils import escape

from figures import WORKLOADS
from goals import CPU_GOALS, our_tls, peer_tls
from tables import cipher_name, count

WIDTH, MARGIN, LABELS, VALUES = 760, 24, 170, 64
BAR, GAP, GROUP_GAP, HEAD, FOOT = 16, 5, 34, 86, 54
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
  .title { font-size: 17px; font-weight: 600 } .note, .tick { fill: #57606a } .tick { font-size: 11px } .group { font-weight: 600 }
  .card { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #d8dee4 } .line { stroke: #cf222e; stroke-width: 1.5 } .mark { fill: #cf222e }
  .ours { fill: #0969da } .peer { fill: #8c959f } .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note, .tick { fill: #9198a1 } .card { fill: #0d1117; stroke: #3d444d } .grid { stroke: #2a313c }
    .line { stroke: #f85149 } .mark { fill: #f85149 } .ours { fill: #4493f8 } .peer { fill: #656c76 }
  }"""


def text(x, y, said, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def nice_step(most):
    """Between gridlines: 1, 2 or 5 times a power of ten, some four to nine of them"""
    power = 10 ** math.floor(math.log10(most / 4))
    return next(step * power for step in (1, 2, 5, 10) if most / (step * power) <= 9)


def bars(title, notes, groups, line=None, said=count):
    """GROUPS: (name, [(label, figure, is ours)]); LINE: (at, what it is)"""
    most = max(figure for _, rows in groups for _, figure, _ in rows) * 1.02
    step = nice_step(most)
    left, right = MARGIN + LABELS, WIDTH - MARGIN - VALUES
    height = HEAD + FOOT + sum(GROUP_GAP + len(rows) * (BAR + GAP) for _, rows in groups)
    bottom = height - FOOT + 6

    def at(figure):
        return left + figure / most * (right - left)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
           "<!-- SPDX-License-Identifier: GPL-2.0-or-later, made by tests/bench/report -->",
           f"<title>{escape(title)}</title>", f"<style>{STYLE}\n</style>",
           f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
           text(MARGIN, 32, title, "title"), *(text(MARGIN, 53 + 18 * row, note, "note") for row, note in enumerate(notes))]
    for tick in range(int(most / step) + 1):
        x = at(tick * step)
        out += [f'<line class="grid" x1="{x:.1f}" y1="{HEAD}" x2="{x:.1f}" y2="{bottom}"/>',
                text(x, bottom + 15, f"{tick * step:g}", "tick", "middle")]
    y = HEAD
    for name, rows in groups:
        out.append(text(MARGIN, y + GROUP_GAP - 10, name, "group"))
        y += GROUP_GAP
        for label, figure, ours in rows:
            strong = " strong" if ours else ""
            out += [text(left - 8, y + 12.5, label, strong.strip(), "end"),
                    f'<rect class="{"ours" if ours else "peer"}" x="{left}" y="{y}" width="{at(figure) - left:.1f}" height="{BAR}" rx="2"/>',
                    text(at(figure) + 6, y + 12.5, said(figure), strong.strip())]
            y += BAR + GAP
    if line:
        x = at(line[0])
        out += [f'<line class="line" x1="{x:.1f}" y1="{HEAD}" x2="{x:.1f}" y2="{bottom}" stroke-dasharray="5 3"/>',
                text(x, bottom + 31, line[1], "mark", "middle")]
    return "\n".join([*out, "</svg>", ""])


def of_workload(results, kernel, workload, what="busy_ns"):
    """Our best row with TLS, then each peer's: the least first"""
    ours = results.best(kernel, workload, our_tls, what)
    peers = results.measured(kernel, workload, filter(peer_tls, results.rows), what)
    return ours, sorted(peers.items(), key=lambda item: item[1])


def cpu(results, kernel):
    """Relative to the limit, or None and why there is none"""
    groups, ciphers = [], set()
    for workload in CPU_GOALS:
        ours, peers = of_workload(results, kernel, workload)
        limit = ours and results.limit(kernel, ours[0], workload)
        if limit and peers:
            ciphers.add(cipher_name(results.cipher(kernel, ours[0], workload)))
            rows = [("nbd-attach", ours[1] / limit, True), *((row.removesuffix("-tls"), figure / limit, False) for row, figure in peers)]
            groups.append((WORKLOADS[workload], rows))
    if not groups:
        return None, "for no workload is there a figure of nbd-attach with TLS, of a peer, and the limit"
    notes = [f"relative to the limit: the same I/O by nbd-attach without TLS, plus the cipher alone ({', '.join(sorted(ciphers))})",
             f"less is better; Linux {results.kernels[kernel]}, guest instructions counted by QEMU"]
    return bars("CPU of the client, disks over TLS", notes, groups, (1, "limit"), lambda figure: f"{figure:.2f}"), None


def switches(results, kernel):
    groups = []
    for workload in CPU_GOALS:
        ours, peers = of_workload(results, kernel, workload, "switches")
        if ours and peers and results.unit(workload) == "GiB":
            rows = [("nbd-attach", ours[1], True), *((row.removesuffix("-tls"), figure, False) for row, figure in peers)]
            groups.append((WORKLOADS[workload], rows))
    if not groups:
        return None, "for no workload is there a figure of nbd-attach with TLS and of a peer"
    notes = ["per GiB", f"less is better; Linux {results.kernels[kernel]}"]
    return bars("Context switches of the client, disks over TLS", notes, groups), None


CHARTS = {"bench-cpu.svg": cpu, "bench-switches.svg": switches}
