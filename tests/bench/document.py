# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/benchmarks.md, whole."""
import textwrap

from figures import ROWS, WORKLOADS
from goals import of_kernel, word
from tables import all_tables, as_markdown, beside, goals_table, skipped_lines

HEAD = """<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- made by tests/bench/report: change that, or measure again, in place of editing -->
# Benchmarks
"""
MEANING = """## What the figures mean

The client is a virtual machine with one CPU, emulated by QEMU's TCG with `-icount shift=0,sleep=on`: one instruction of the guest counts
as one nanosecond of its CPU. The servers run outside of it and cost it nothing. A figure is the time for which that CPU is not idle, per GiB
or per I/O: of the kernel, supervisors, proxies and the load generator together, whose start and end are left out. It is the *number of
instructions* that the client has to execute. What fio and the block layer take of it is the same in each row, so that the rows differ by
more than their ratios say.

In parentheses stands the multiple of the best peer's figure in the same column: rows with TLS are held against the peers with TLS, those
without against the peers without. NVMe is another protocol and no peer; its server is a kernel's, and so in an emulated machine, which answers
later: it is held against `tls-beside-nvme` alone, whose server is there, too. A peer is measured with the cipher that it chooses, which may be
AES-256-GCM: like with like is its row and `tls-aes256-gcm`. The *limit* is what would be left if TLS cost nothing but its cipher: the row
`plain` (`plain-4` for four connections) plus the cipher alone, as it was measured by itself in the same run, for the data in records of 16 KiB
and for one record more a request, which goes the other way.
"""
NOT_MEANING = """## What they do not mean

- An instruction is not a nanosecond on a real CPU. There, cache misses, mispredicted branches and the cost of entering and leaving the kernel
  come on top, all of which weigh on what copies more and switches more.
- Ciphers are emulated: AES instructions and vectors take as many instructions as on a real CPU, and not as long. Between two ciphers
  these figures decide nothing; between two programs with the same cipher they do.
- What is copied costs one instruction for eight bytes (string instructions are counted by the round), be it in the cache or not.
- When answers come is up to the machine that emulates, and several that come at once cost less than one by one. A figure is made of
  at least five looks at a load that goes on, and of up to ten where they differ, without those a quarter off; where chance may still have
  moved it by more than 1.5 % (the width of their middle half by the root of their count), "±" says by how much.
- They are not MiB/s. How fast a disk is on a given network, CPU and server, they do not say; only what is headed "By the wall clock" was
  timed, on an emulated machine, and is good for comparison within its column alone.
- The network is a tap device with the offloads of a virtual machine. A card that encrypts by itself, or one without offloads, is
  another matter.
- The servers are nbdkit's memory plugin: no disk, no distance, no errors.
"""


def fill(prose):
    """Each paragraph and item in lines of 100 columns"""
    out, part = [], []
    for line in [*prose.splitlines(), ""]:
        if part and (not line or line.startswith("- ")):
            out += textwrap.wrap(" ".join(part), 100, subsequent_indent="  " if part[0].startswith("- ") else "", break_on_hyphens=False)
            part = []
        if not line or line.startswith("#"):
            out.append(line)
        else:
            part.append(line.strip())
    return "\n".join(out).rstrip() + "\n"


def tally(results):
    verdicts = [word(verdict) for kernel in results.kernels for verdict in of_kernel(results, kernel)]
    return ", ".join(f"{sum(said.startswith(kind) for said in verdicts)} {kind}" for kind in ("met", "missed", "not measured"))


def cell(said):
    return said.replace("|", r"\|")


def kernel_part(results, kernel):
    yield from [f"## Linux {results.kernels[kernel]}", ""]
    for title, head, lines in all_tables(results, kernel):
        if lines:
            yield from [f"### {title}, Linux {kernel}", "", *as_markdown(head, lines), ""]


def goals_part(results):
    yield from ["## Goals", "", *fill(f"""Of each kernel, nbd-attach's best row with TLS to the best of the peers' with TLS, unless it says
otherwise. In all: {tally(results)}.""").splitlines(), ""]
    for kernel in results.kernels:
        head, lines = goals_table(results, kernel)
        lines = [[line[0], *line[1:3], f"**{line[3]}**" if line[3].startswith("missed") else line[3], line[4]] for line in lines]
        yield from [f"### Goals, Linux {kernel}", "", *as_markdown(head, lines), ""]


def make(results, charts):
    """CHARTS: {name of the file: why there is none, or None}"""
    out = [HEAD, *fill(f"""What the *client* has to do for a disk over NBD, with nbd-attach and with others. Made by
`{results.command}`, {results.made}. How to set a disk up to be fast is in [performance.md](performance.md).""").splitlines(), ""]
    if beside(results):
        out += [*fill(f"""The machine had other work at the time ({beside(results)} on average). That makes the bench slow, and its figures less steady, though
they count instructions.""").splitlines(), ""]
    for name, why in charts.items():
        out += fill(f"{name} was not drawn: {why}.").splitlines() if why else [f"![{name.removesuffix('.svg')}]({name})"]
        out.append("")
    out += [fill(MEANING), fill(NOT_MEANING), *goals_part(results)]
    for kernel in results.kernels:
        out += kernel_part(results, kernel)
    if results.skipped:
        out += ["## Not measured", "", *(line for entry in skipped_lines(results) for line in fill(f"- {entry}").splitlines()), ""]
    out += ["## Rows and workloads", "", "| Row | |", "|---|---|", *(f"| {row} | {ROWS.get(row, '')} |" for row in results.rows), "",
            "| Workload | |", "|---|---|", *(f"| {name} | {WORKLOADS.get(name, '')} |" for name in results.workloads), "",
            *fill("fio, with `--direct=1 --ioengine=io_uring`, but for the two on ext4.").splitlines(), "",
            "## Versions", "", "| | |", "|---|---|",
            *(f"| {cell(name)} | {cell(version)} |" for name, version in results.versions.items()),
            *(f"| Linux {cell(name)} | {cell(version)} |" for name, version in results.kernels.items()), ""]
    return "\n".join(out)
