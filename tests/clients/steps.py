"""Named steps that print what went well and what did not."""

import contextlib
import sys
import traceback


def check(holds, what):
    if not holds:
        raise AssertionError(what)


class Steps:
    def __init__(self):
        self.failed = 0

    @contextlib.contextmanager
    def step(self, name):
        try:
            yield
        except Exception:
            self.failed += 1
            print(f"failed: {name}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok: {name}", flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)
