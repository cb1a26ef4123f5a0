# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""count_tests.py RESULTS: prints `N passed, N failed[, N skipped]` for ctest's --output-junit file.

Skipped is only what said so itself; a test that ctest could not start counts as failed. Exits with 1 if
anything failed or nothing passed.
"""

import sys
import xml.etree.ElementTree as ElementTree

passed = failed = skipped = 0
for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
    note = case.find("skipped")
    if note is not None and note.get("message", "").startswith("SKIP_"):
        skipped += 1
    elif case.get("status") == "run":
        passed += 1
    else:
        failed += 1
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
