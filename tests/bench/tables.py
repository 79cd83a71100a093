# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures as tables: of text for a terminal, and in Markdown."""
from figures import CIPHERS, GIB, ROWS, UNITS, WORKLOADS, by_table, family, is_ours, is_peer, ns_per_gib
from goals import MIB, of_kernel, word

CIPHER_NAMES = {"aes-128-gcm": "AES-128-GCM", "aes-256-gcm": "AES-256-GCM", "chacha20-poly1305": "ChaCha20-Poly1305"}
TEXTS = ("what", "verdict", "of what")  # columns that are not figures
SURE = 0.015  # an error that need not be shown
BUSY = 1.5  # other processes, from which on they are mentioned
AT_ONCE = 5  # columns of figures; more would be too wide for a terminal


def cipher_name(cipher):
    return CIPHER_NAMES.get(cipher, cipher)


def digits(figure):
    """Three that count, and those before the point"""
    return f"{figure:.0f}" if figure >= 99.95 else f"{figure:#.3g}"


def duration(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{digits(ns / size)} {unit}"
    return f"{digits(ns)} ns"


def unsure(error):
    """What is shown of it: nothing, where it is as small as it should be"""
    return f" ± {error * 100:.0f} %" if error > SURE else ""


def count(figure):
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def in_groups(results):
    """Workloads of one unit, few enough for one table"""
    for unit in UNITS:
        names = [name for name in results.workloads if results.unit(name) == unit]
        for at in range(0, len(names), AT_ONCE):
            yield unit, names[at : at + AT_ONCE]


def limit_rows(results, kernel, workloads):
    """[name, one figure or None for each workload] of the limit with each cipher"""
    for row, cipher in [(f"tls-{part}" + ("-gcm" if "aes" in part else ""), cipher) for part, cipher in CIPHERS.items()]:
        figures = [results.limit(kernel, row, workload) for workload in workloads]
        if any(figures):
            yield f"limit, {cipher_name(cipher)}", figures


def cpu_table(results, kernel, workloads):
    """Head, and lines: absolute, and in parentheses as a multiple of the best peer's"""
    def cells(figures, its_family, row=None):
        for workload, figure in zip(workloads, figures):
            best = results.best(kernel, workload, lambda name: is_peer(name) and family(name) == its_family)
            ratio = f" ({figure / best[1]:.2f})" if figure is not None and best and best[1] else ""
            yield "-" if figure is None else duration(figure) + unsure(results.error(kernel, row, workload)) + ratio

    lines = [[name, *cells(figures, "tls")] for name, figures in limit_rows(results, kernel, workloads)]
    for row in results.rows:
        figures = [results.per_unit(kernel, row, workload) for workload in workloads]
        if any(figure is not None for figure in figures):
            lines.append([row, *cells(figures, family(row), row)])
    return ["", *workloads], lines


def switches_table(results, kernel, workloads):
    lines = []
    for row in results.rows:
        figures = [results.per_unit(kernel, row, workload, "switches") for workload in workloads]
        if any(figure is not None for figure in figures):
            lines.append([row, *("-" if figure is None else count(figure) for figure in figures)])
    return ["", *workloads], lines


def wall_table(results, kernel):
    """Speed; of what is counted by something else than bytes, the duration of one"""
    names = by_table([workload for its_kernel, _, workload, clock in results.cells if (its_kernel, clock) == (kernel, "wall")], WORKLOADS)
    lines = []
    for row in results.rows:
        figures = [results.per_unit(kernel, row, workload, "elapsed_ns", "wall") for workload in names]
        if any(figure is not None for figure in figures):
            lines.append([row, *(wall_cell(results, workload, figure) for workload, figure in zip(names, figures))])
    return ["", *names], lines


def wall_cell(results, workload, figure):
    if figure is None:
        return "-"
    if results.unit(workload, "wall") == "GiB":
        return f"{GIB / MIB / (figure / 1e9):.0f} MiB/s"
    return f"{duration(figure)} each"


def events_table(results, kernel):
    lines = []
    for (its_kernel, row, what), entry in results.events.items():
        if its_kernel == kernel:
            # Of how long a request waited no CPU time is known.
            figures = [duration(entry[key][part]) if entry[key]["p99"] else "-" for key in ("busy_ns", "elapsed_ns") for part in ("p50", "p99")]
            lines.append([row, what, str(entry["count"]), *figures])
    lines.sort(key=lambda line: (list(ROWS).index(line[0]) if line[0] in ROWS else len(ROWS), line[1]))
    return ["", "what", "times", "CPU, median", "CPU, 99 %", "elapsed, median", "elapsed, 99 %"], lines


def memory_table(results, kernel):
    lines = []
    for (its_kernel, devices), entry in results.memory.items():
        if its_kernel == kernel:
            sizes = [entry.get("private_bytes"), entry.get("pss_bytes")]
            wakeups = entry.get("wakeups_per_minute")
            shown = ["-" if size is None else f"{size / MIB:.2f} MiB" for size in sizes]
            lines.append([str(devices), *shown, "-" if wakeups is None else count(wakeups)])
    return ["devices", "private", "PSS", "wake-ups a minute"], lines


def aead_table(results, kernel):
    lines = []
    for (its_kernel, cipher), entry in results.aead.items():
        if its_kernel == kernel:
            figures = (entry["ns_per_record"], entry["ns_per_byte"], ns_per_gib(entry))
            lines.append([cipher_name(cipher), *map(duration, figures)])
    return ["", "a record", "a byte", "a GiB in records of 16 KiB"], lines


def goals_table(results, kernel):
    lines = []
    for verdict in of_kernel(results, kernel):
        wanted = f"{'≥' if verdict.at_least else '≤'} {verdict.wanted:.2f}"
        got = "-" if verdict.got is None else f"{verdict.got:.2f}"
        lines.append([verdict.name, wanted, got, word(verdict), verdict.note])
    return ["goal", "wanted", "got", "verdict", "of what"], lines


def all_tables(results, kernel):
    """(title, head, lines) of one kernel"""
    for unit, workloads in in_groups(results):
        yield (f"CPU of the client per {UNITS[unit]}", *cpu_table(results, kernel, workloads))
    for unit, workloads in in_groups(results):
        yield (f"Context switches of the client per {UNITS[unit]}", *switches_table(results, kernel, workloads))
    yield ("By the wall clock", *wall_table(results, kernel))
    yield ("Attaching, detaching, outages", *events_table(results, kernel))
    yield ("Supervisors", *memory_table(results, kernel))
    yield ("The cipher alone", *aead_table(results, kernel))


def as_text(head, lines):
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    for line in [head, *lines]:
        cells = [cell.ljust(width) if at == 0 or head[at] in TEXTS else cell.rjust(width) for at, (cell, width) in enumerate(zip(line, widths))]
        yield "  " + "  ".join(cells).rstrip()


def as_markdown(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|---" + "".join("|---" if name in TEXTS else "|---:" for name in head[1:]) + "|"
    for line in lines:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |"


def print_all(results):
    print(f"{results.command}, {results.made}" + (f" ({beside(results)} beside)" if beside(results) else ""))
    for kernel, version in results.kernels.items():
        print(f"\nLinux {version}")
        for title, head, lines in all_tables(results, kernel):
            if lines:
                print(f"\n{title}", *as_text(head, lines), sep="\n")
        head, lines = goals_table(results, kernel)
        print("\nGoals", *as_text(head, lines), sep="\n")
    if results.skipped:
        print("\nNot measured")
        for line in skipped_lines(results):
            print(f"  {line}")


def beside(results):
    """How much other work the machine had, if that is worth a word"""
    return f"{results.beside:.0f} other processes" if results.beside and results.beside >= BUSY else ""


def skipped_lines(results):
    for entry in results.skipped:
        about = [entry[key] for key in ("kernel", "row", "workload") if isinstance(entry.get(key), str) and entry[key] != "*"]
        yield f"{', '.join(about) or 'everything'}: {entry['reason']}"
