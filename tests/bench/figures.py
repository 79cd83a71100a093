# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/bench/run has measured: read, checked, and what follows from it by arithmetic."""
import json
import math
import re

GIB = 1 << 30
RECORD_BYTES = 16384  # a TLS record holds no more
REQUEST_BYTES, REPLY_BYTES = 28, 16  # an NBD request and a simple reply, without data
UNITS = {"GiB": "GiB", "io": "I/O"}
CLOCKS = ("icount", "wall")
CIPHERS = {"aes128": "aes-128-gcm", "aes256": "aes-256-gcm", "chacha20": "chacha20-poly1305"}
# In the order in which they are shown; what is not named here follows, as it comes.
ROWS = {
    "plain": "nbd-attach, not encrypted",
    "plain-4": "the same, 4 connections",
    "tls": "nbd-attach with TLS, cipher as it chooses",
    "tls-aes128-gcm": "nbd-attach with TLS, AES-128-GCM",
    "tls-aes256-gcm": "nbd-attach with TLS, AES-256-GCM",
    "tls-chacha20": "nbd-attach with TLS, ChaCha20-Poly1305",
    "tls-aes128-gcm-4": "nbd-attach with TLS, AES-128-GCM, 4 connections",
    "nbd-client-plain": "nbd-client of Debian, not encrypted",
    "nbd-client-3.27-plain": "nbd-client 3.27, not encrypted",
    "nbd-client-tls": "nbd-client of Debian with TLS (a proxy in user space)",
    "nbd-client-3.27-tls": "nbd-client 3.27 with TLS",
    "qemu-nbd-tls": "qemu-nbd -c over an export with TLS",
    "nbdfuse-tls": "nbdfuse with TLS",
    "nvme-tcp-tls": "NVMe over TCP with TLS: another protocol, no peer",
    "tls-beside-nvme": "nbd-attach with TLS, AES-128-GCM, to a server in the virtual machine in which NVMe's is",
}
WORKLOADS = {
    "read-128k-8": "read in sequence, 128 KiB, 8 at a time",
    "write-128k-8": "write in sequence, 128 KiB, 8 at a time",
    "read-1m-4": "read in sequence, 1 MiB, 4 at a time",
    "write-1m-4": "write in sequence, 1 MiB, 4 at a time",
    "randread-4k-16": "read at random, 4 KiB, 16 at a time",
    "randread-4k-1": "read at random, 4 KiB, one at a time",
    "randwrite-4k-16": "write at random, 4 KiB, 16 at a time",
    "randwrite-4k-1": "write at random, 4 KiB, one at a time",
    "flush-16": "write 4 KiB, with a flush after each 16",
    "ext4-untar": "unpack an archive on ext4",
    "git-clone": "clone a repository on ext4",
}


class Trouble(Exception):
    """What is wrong with the results, for people."""


def family(row):
    """What a row is held against: "tls" or "plain"."""
    return "tls" if re.search(r"(^|-)tls(-|$)", row) else "plain"


def is_ours(row):
    return row.split("-")[0] in ("plain", "tls")


def is_peer(row):
    return not is_ours(row) and not row.startswith("nvme-")


def request_of(workload):
    """(bytes of a request, is it read) of a workload that is nothing but such requests, else None"""
    match = re.fullmatch(r"(?:rand)?(read|write)-(\d+)([km])-\d+", workload)
    return match and (int(match[2]) << {"k": 10, "m": 20}[match[3]], match[1] == "read")


def ns_per_gib(aead):
    """Of a cipher alone, in records as large as may be"""
    return GIB // RECORD_BYTES * aead["ns_per_record"] + GIB * aead["ns_per_byte"]


def by_table(names, table):
    known = [name for name in table if name in names]
    return known + [name for name in dict.fromkeys(names) if name not in table]


def not_a_number(word):
    raise Trouble(f"{word} is no measurement")


def number(entry, key, where, above=None, least=0):
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Trouble(f"{where}: \"{key}\" is {json.dumps(value)}, not a number")
    if value < least or (above is not None and value <= above):
        raise Trouble(f"{where}: \"{key}\" is {value}")
    return value


def word(entry, key, where, allowed=None):
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise Trouble(f"{where}: \"{key}\" is {json.dumps(value)}, not a text")
    if allowed is not None and value not in allowed:
        raise Trouble(f"{where}: \"{key}\" is \"{value}\", none of {', '.join(allowed)}")
    return value


def entries(data, key):
    part = data.get(key, [])
    if not isinstance(part, list) or not all(isinstance(entry, dict) for entry in part):
        raise Trouble(f"\"{key}\" is not a list of objects")
    return [(f"{key}[{at}]", entry) for at, entry in enumerate(part)]


def texts(data, key):
    part = data.get(key, {})
    if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
        raise Trouble(f"\"{key}\" is not an object of texts")
    return part


class Results:
    """Durations are nanoseconds, and None where nothing was measured."""

    def __init__(self, data):
        if not isinstance(data, dict) or "cells" not in data:
            raise Trouble("these are no results of tests/bench/run: there are no \"cells\"")
        if data.get("format") != 1:
            raise Trouble(f"\"format\" is {json.dumps(data.get('format'))}; this report reads 1")
        self.made = word(data, "made", "the results")
        self.beside = None if data.get("beside") is None else number(data, "beside", "the results")
        self.command = word(data, "command", "the results")
        self.versions, self.kernels = texts(data, "versions"), texts(data, "kernels")
        self.cells, self.aead, self.events, self.memory, self.skipped = {}, {}, {}, {}, []
        for where, cell in entries(data, "cells"):
            self._add_cell(cell, where)
        for where, entry in entries(data, "aead"):
            self._add_aead(entry, where)
        for where, entry in entries(data, "events"):
            self._add_event(entry, where)
        for where, entry in entries(data, "memory"):
            devices = number(entry, "devices", where, above=0)
            for key in ("private_bytes", "pss_bytes", "wakeups_per_minute"):
                if entry.get(key) is not None:
                    number(entry, key, where)
            self.memory[self._kernel(entry, where), devices] = entry
        for where, entry in entries(data, "skipped"):
            word(entry, "reason", where)
            self.skipped.append(entry)
        self.rows = by_table([row for _, row, _, _ in self.cells], ROWS)
        self.workloads = by_table([workload for _, _, workload, _ in self.cells], WORKLOADS)

    def _kernel(self, entry, where):
        return word(entry, "kernel", where, self.kernels)

    def _add_cell(self, cell, where):
        key = (self._kernel(cell, where), word(cell, "row", where), word(cell, "workload", where), word(cell, "clock", where, CLOCKS))
        where = f"{where} ({', '.join(key)})"
        word(cell, "unit", where, UNITS)
        number(cell, "count", where, above=0)
        for name in ("busy_ns", "elapsed_ns", "switches"):
            number(cell, name, where, above=0 if name.endswith("_ns") else None)
        if "cipher" in cell:
            word(cell, "cipher", where)
        if "looks" in cell:
            number(cell, "looks", where, above=0)
            number(cell, "spread", where)
        if key in self.cells:
            raise Trouble(f"{where} is there twice")
        self.cells[key] = cell

    def _add_aead(self, entry, where):
        cipher = word(entry, "cipher", where)
        cipher = CIPHERS.get(cipher, cipher.lower())
        for name in ("ns_per_record", "ns_per_byte"):
            number(entry, name, where, least=-math.inf)  # of a line that was laid through measurements
        self.aead[self._kernel(entry, where), cipher] = entry

    def _add_event(self, entry, where):
        for what in ("busy_ns", "elapsed_ns"):
            if not isinstance(entry.get(what), dict):
                raise Trouble(f"{where}: \"{what}\" has no p50 and p99")
            for part in ("p50", "p99"):
                number(entry[what], part, f"{where}, {what}")
        number(entry, "count", where, above=0)
        self.events[self._kernel(entry, where), word(entry, "row", where), word(entry, "what", where)] = entry

    def per_unit(self, kernel, row, workload, what="busy_ns", clock="icount"):
        cell = self.cells.get((kernel, row, workload, clock))
        return cell and cell[what] / cell["count"]

    def error(self, kernel, row, workload, clock="icount"):
        """By which part of it chance may have moved a figure: how wide the looks at it lay, which weighs less the more they are"""
        cell = self.cells.get((kernel, row, workload, clock), {})
        return cell["spread"] / math.sqrt(cell["looks"]) if cell.get("looks", 1) > 1 else 0

    def unit(self, workload, clock="icount"):
        """Of a GiB or of an I/O"""
        for (_, _, name, its_clock), cell in self.cells.items():
            if (name, its_clock) == (workload, clock):
                return cell["unit"]
        return None

    def measured(self, kernel, workload, rows, what="busy_ns", clock="icount"):
        """{row: figure} of those that there are"""
        figures = {row: self.per_unit(kernel, row, workload, what, clock) for row in rows}
        return {row: figure for row, figure in figures.items() if figure is not None}

    def best(self, kernel, workload, wanted, what="busy_ns", clock="icount", least=True):
        """(row, figure) of the best row for which WANTED holds, or None"""
        figures = self.measured(kernel, workload, [row for row in self.rows if wanted(row)], what, clock)
        best = (min if least else max)(figures, key=figures.get, default=None)
        return best and (best, figures[best])

    def reason(self, kernel, wanted, *workloads):
        """Why no row for which WANTED holds was measured; what an entry does not name, it is about all of."""
        for entry in self.skipped:
            its_kernel, row, its_workload = (entry.get(key) or "*" for key in ("kernel", "row", "workload"))
            if its_kernel in ("*", kernel) and its_workload in ("*", *workloads) and (row == "*" or wanted(row)):
                return entry["reason"]
        return None

    def cipher(self, kernel, row, workload):
        """Of a row of ours: by its name, or as its cell says, "AES-128-GCM" as status has it"""
        for part, cipher in CIPHERS.items():
            if part in row.split("-"):
                return cipher
        return self.cells.get((kernel, row, workload, "icount"), {}).get("cipher", "").lower()

    def cipher_ns(self, kernel, cipher, workload):
        """What the cipher alone costs: each request's data in records as large as may be, its header with the data that goes the
        same way, and a record for what goes the other way."""
        aead, request, unit = self.aead.get((kernel, cipher)), request_of(workload), self.unit(workload)
        if not aead or not request or unit not in ("GiB", "io"):
            return None
        headers = aead["ns_per_record"] + (REQUEST_BYTES + REPLY_BYTES) * aead["ns_per_byte"]
        if unit == "GiB":
            return ns_per_gib(aead) + GIB / request[0] * headers
        return -(-request[0] // RECORD_BYTES) * aead["ns_per_record"] + request[0] * aead["ns_per_byte"] + headers

    def limit(self, kernel, row, workload):
        """What ROW could not undercut: the same without TLS, and the cipher."""
        plain = self.per_unit(kernel, "plain-4" if row.endswith("-4") else "plain", workload)
        cipher = self.cipher_ns(kernel, self.cipher(kernel, row, workload), workload)
        return plain + cipher if plain is not None and cipher is not None else None


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file, parse_constant=not_a_number)
    except FileNotFoundError:
        raise Trouble("there is no such file; `make bench` makes it") from None
    except OSError as error:
        raise Trouble(error.strerror) from None
    except UnicodeDecodeError:
        raise Trouble("this is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Trouble(f"this is not JSON: {error.msg}, in line {error.lineno}, column {error.colno}") from None
    return Results(data)
