# SPDX-License-Identifier: GPL-2.0-or-later
"""What was aimed at, and whether it was reached: a verdict for each goal and kernel."""
from collections import namedtuple

from figures import family, is_ours, is_peer, request_of

MIB = 1 << 20
# got is None where it was not measured: then note says why, else of what it was made.
Verdict = namedtuple("Verdict", "name wanted at_least got note")
Missing = namedtuple("Missing", "why")

CPU_GOALS = {"read-128k-8": 0.75, "write-128k-8": 0.75, "randread-4k-16": 0.75, "randwrite-4k-1": 0.60}
SWITCHES_WORKLOAD, SWITCHES_GOAL = "read-128k-8", 0.11
LIMIT_GOAL = 1.10
PROXY, WALL_WORKLOADS, WALL_GOAL = "nbd-client-tls", ("read-128k-8", "write-128k-8"), 1.5
NVME, BESIDE_NVME, NVME_GOAL = "nvme-tcp-tls", "tls-beside-nvme", 1.0
ATTACH_GOALS = {"tls": 0.7, "plain": 1.0}
PRIVATE_GOAL_MIB, PSS_GOAL_MIB, PSS_DEVICES = 0.6, 1.0, 64


def is_met(verdict):
    return verdict.got is not None and (verdict.got >= verdict.wanted if verdict.at_least else verdict.got <= verdict.wanted)


def missed_by(verdict):
    """"10.0 %", of what is wanted"""
    return f"{abs(verdict.got / verdict.wanted - 1) * 100:.1f} %"


def word(verdict):
    if verdict.got is None:
        return "not measured"
    return "met" if is_met(verdict) else f"missed by {missed_by(verdict)}"


def our_tls(row):
    return is_ours(row) and family(row) == "tls" and row != BESIDE_NVME


def peer_tls(row):
    return is_peer(row) and family(row) == "tls"


def is_nbd_client(row):
    return row.startswith("nbd-client-")


def missing(results, kernel, wanted, what, *workloads):
    reason = results.reason(kernel, wanted, *workloads)
    return Missing(f"no {what}" + (f": {reason}" if reason else ""))


def missing_row(results, kernel, wanted, workload, whose):
    return missing(results, kernel, wanted, f"figure of {whose} in {workload}", workload)


def of_best(results, kernel, workload, what="busy_ns", clock="icount"):
    """Our best row with TLS to a peer's, or Missing"""
    ours = results.best(kernel, workload, our_tls, what, clock)
    peer = results.best(kernel, workload, peer_tls, what, clock)
    if not ours:
        return missing_row(results, kernel, our_tls, workload, "nbd-attach with TLS")
    if not peer:
        return missing_row(results, kernel, peer_tls, workload, "any peer with TLS")
    if not peer[1]:
        return Missing(f"{peer[0]} has 0 in {workload}")
    return ours[1] / peer[1], f"{ours[0]} to {peer[0]}"


def to_nvme(results, kernel, workload):
    """Of servers that are equally far"""
    ours, nvme = (results.per_unit(kernel, row, workload) for row in (BESIDE_NVME, NVME))
    if ours is None:
        return missing_row(results, kernel, BESIDE_NVME.__eq__, workload, "nbd-attach beside NVMe")
    if nvme is None:
        return missing_row(results, kernel, NVME.__eq__, workload, "NVMe over TCP with TLS")
    return ours / nvme, f"{BESIDE_NVME} to {NVME}"


def verdict(name, wanted, found, at_least=False):
    if isinstance(found, Missing):
        return Verdict(name, wanted, at_least, None, found.why)
    return Verdict(name, wanted, at_least, *found)


def over_limit(results, kernel, workload):
    """Our best row with TLS whose limit is known"""
    best = results.best(kernel, workload, lambda row: our_tls(row) and results.limit(kernel, row, workload))
    if best:
        return best[1] / results.limit(kernel, best[0], workload), f"{best[0]} to its limit"
    if not results.best(kernel, workload, our_tls):
        return missing_row(results, kernel, our_tls, workload, "nbd-attach with TLS")
    if results.per_unit(kernel, "plain", workload) is None:
        return missing_row(results, kernel, "plain".__eq__, workload, "plain")
    if any(results.cipher(kernel, row, workload) for row in filter(our_tls, results.measured(kernel, workload, results.rows))):
        return Missing("the limit is not known, as the cipher alone was not measured")
    return Missing("the limit is not known, as no row tells its cipher")


def wall(results, kernel, workload):
    ours = results.best(kernel, workload, our_tls, "elapsed_ns", "wall")
    proxy = results.per_unit(kernel, PROXY, workload, "elapsed_ns", "wall")
    if not ours:
        return missing_row(results, kernel, our_tls, workload, "nbd-attach with TLS by the wall clock")
    if proxy is None:
        return missing_row(results, kernel, PROXY.__eq__, workload, f"{PROXY} by the wall clock")
    return proxy / ours[1], f"{ours[0]} to {PROXY}"


def attaching(results, kernel, row):
    """Nanoseconds of CPU to attach and detach, or None"""
    parts = [results.events.get((kernel, row, what)) for what in ("attach", "detach")]
    return sum(part["busy_ns"]["p50"] for part in parts) if all(parts) else None


def attach_ratio(results, kernel, its_family):
    rows = dict.fromkeys(row for its_kernel, row, _ in results.events if its_kernel == kernel and family(row) == its_family)
    costs = {row: attaching(results, kernel, row) for row in rows}
    costs = {row: cost for row, cost in costs.items() if cost}
    ours = min(filter(is_ours, costs), key=costs.get, default=None)
    peer = min(filter(is_nbd_client, costs), key=costs.get, default=None)
    if not ours:
        return missing(results, kernel, is_ours, "figure of nbd-attach attaching and detaching", "attach", "detach")
    if not peer:
        return missing(results, kernel, is_nbd_client, "figure of nbd-client attaching and detaching", "attach", "detach")
    return costs[ours] / costs[peer], f"{ours} to {peer}"


def memory(results, kernel, devices, key):
    entry = results.memory.get((kernel, devices), {})
    if entry.get(key) is None:
        return missing(results, kernel, lambda row: our_tls(row) or row == f"memory-{devices}", f"memory of {devices} device{'s' if devices > 1 else ''}", "memory")
    if key == "pss_bytes":
        return entry[key] / devices / MIB, f"MiB, of {entry[key] / MIB:.1f} for {devices}"
    return entry[key] / MIB, "MiB"


def of_kernel(results, kernel):
    verdicts = []
    for workload, wanted in CPU_GOALS.items():
        verdicts.append(verdict(f"CPU, {workload}", wanted, of_best(results, kernel, workload)))
    verdicts.append(verdict(f"context switches, {SWITCHES_WORKLOAD}", SWITCHES_GOAL, of_best(results, kernel, SWITCHES_WORKLOAD, "switches")))
    for workload in dict.fromkeys([*CPU_GOALS, *filter(request_of, results.workloads)]):
        verdicts.append(verdict(f"CPU over the limit, {workload}", LIMIT_GOAL, over_limit(results, kernel, workload)))
    for workload in CPU_GOALS:
        verdicts.append(verdict(f"CPU to NVMe/TCP's, {workload}", NVME_GOAL, to_nvme(results, kernel, workload)))
    for workload in WALL_WORKLOADS:
        verdicts.append(verdict(f"speed by the wall clock, {workload}", WALL_GOAL, wall(results, kernel, workload), at_least=True))
    for its_family, wanted in ATTACH_GOALS.items():
        name = "with TLS" if its_family == "tls" else "without TLS"
        verdicts.append(verdict(f"CPU to attach and detach {name}", wanted, attach_ratio(results, kernel, its_family)))
    verdicts.append(verdict("memory of a supervisor alone, MiB", PRIVATE_GOAL_MIB, memory(results, kernel, 1, "private_bytes")))
    verdicts.append(verdict(f"memory a device (PSS), of {PSS_DEVICES}, MiB", PSS_GOAL_MIB, memory(results, kernel, PSS_DEVICES, "pss_bytes")))
    return verdicts
