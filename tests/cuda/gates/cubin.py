# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""What is in a cubin, without the toolkit's disassembler: instructions by name, slow paths, launch bounds.

Instructions of sm_70 and later take 16 bytes, of which the lowest 12 bits are the opcode. OPCODES names
those that the gates count; gates/calibration.cu holds a known number of each, so that a wrong row of the
table fails for the architecture it is wrong for.
"""

import collections
import pathlib
import re
import struct
import subprocess

OPCODES = {
    0x23C: "HMMA",
    0x83B: "LDSM",
    0xFAE: "LDGSTS",
    0xB1D: "BAR",
    0x983: "LDL",
    0x387: "STL",
    0x987: "STL",
    0x981: "LDG",
    0x986: "STG",
    0x984: "LDS",
    0x388: "STS",
    0x988: "STS",
    0xF89: "SHFL",
    0x308: "MUFU",
    0x908: "MUFU",
}
SHN_LORESERVE = 0xFF00
EIFMT_SVAL, EIATTR_MAX_THREADS = 0x04, 0x05


class Kernel:
    """One kernel of a cubin."""

    def __init__(self, symbol, text):
        self.symbol = symbol
        codes = (struct.unpack_from("<H", text, i)[0] & 0xFFF for i in range(0, len(text), 16))
        counts = collections.Counter(codes)
        self.instructions = collections.Counter()
        for code, count in counts.items():
            self.instructions[OPCODES.get(code, f"0x{code:03x}")] += count
        self.slow_paths = []
        self.threads = 0  # of __launch_bounds__


class Cubin:
    """The sections and symbols of an ELF file of 64 bits that the gates need."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        (table,) = struct.unpack_from("<Q", self.data, 0x28)
        count, names = struct.unpack_from("<HH", self.data, 0x3C)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, table + 64 * i) for i in range(count)]
        self.sections = []  # name, contents
        for header in headers:
            name = self.string(headers[names][4] + header[0])
            self.sections.append((name, self.data[header[4] : header[4] + header[5]]))

    def string(self, offset):
        return self.data[offset : self.data.index(b"\0", offset)].decode()

    def kernels(self):
        by_section = {}
        for index, (name, contents) in enumerate(self.sections):
            if name.startswith(".text."):
                by_section[index] = Kernel(name[len(".text.") :], contents)
        for symbol, section in self.symbols():
            if "slowpath" in symbol and section in by_section:
                by_section[section].slow_paths.append(symbol.rsplit("$", 1)[-1])
        infos = dict(self.sections)
        for kernel in by_section.values():
            kernel.threads = max_threads(infos.get(".nv.info." + kernel.symbol, b""))
        return list(by_section.values())

    def symbols(self):
        contents = dict(self.sections)
        strings = contents[".strtab"]
        for at in range(0, len(contents[".symtab"]), 24):
            name, _, _, section = struct.unpack_from("<IBBH", contents[".symtab"], at)
            if section < SHN_LORESERVE:
                yield strings[name : strings.index(b"\0", name)].decode(), section


def max_threads(info):
    """Threads of a block by __launch_bounds__; 0 without."""
    at = 0
    while at + 4 <= len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == EIFMT_SVAL:
            if attribute == EIATTR_MAX_THREADS:
                x, y, z = struct.unpack_from("<III", info, at)
                return x * y * z
            at += size
    return 0


def demangled(symbols):
    """Names as they stand in the table: without namespaces of ours, result and parameters."""
    run = subprocess.run(["c++filt", "-p"], input="\n".join(symbols), capture_output=True, text=True, check=True)
    names = {}
    for symbol, name in zip(symbols, run.stdout.splitlines()):
        name = re.sub(r"^void ", "", name)
        names[symbol] = re.sub(r"(\(anonymous namespace\)|deltanet|cuda)::", "", name)
    return names
