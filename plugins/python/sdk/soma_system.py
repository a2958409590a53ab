"""What Python asks of a system, answered by the host: output, time, randomness.

Without WASI the interpreter would trap without a word. Part of the SDK; authors
need nothing of it.
"""

import builtins
import importlib
import io
import linecache
import math
import os
import random
import sys
import time
import traceback
from importlib.machinery import PathFinder

try:
    from soma_build import WASI
except ImportError:
    # Away from a build, such as in an editor.
    WASI = False

# The line of neuron.toml by which a neuron asks for an interface.
_LINES = {
    "engram": 'a table [engrams.NAME] with access = "read-write"',
    "synapse": 'synapse = ["PLAN"], with the types that it emits, under [grants]',
    "clock": 'clock = "wall" under [grants]',
    "log": "log = true under [grants]",
    "random": 'random = "system" under [grants]',
    "orchestration": "orchestration = true under [grants]",
}


def _imported(name):
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ImportError:
        return None


_WIRE = {name: _imported(name) for name in _LINES}


class NotAskedFor(Exception):
    """The neuron calls what its manifest does not ask for."""


def asked(name):
    """Whether the manifest asks for this interface."""
    return _WIRE[name] is not None


def need(name):
    """The interface's bindings."""
    found = _WIRE[name]
    if found is None:
        raise NotAskedFor(
            f"this neuron does not ask for {name}; add to neuron.toml: {_LINES[name]}"
        )
    return found


# Set while a task is done. Before, at build time, there is no host, but a
# system that answers.
_live = False


def start():
    """The host is there from now on."""
    global _live
    _live = True
    sys.stdout, sys.stderr = _STREAMS
    linecache.updatecache = lambda *arguments, **options: []
    if not WASI:
        # Modules came in at build time; there are no files to find others in.
        sys.meta_path[:] = [one for one in sys.meta_path if one is not PathFinder]
        sys.meta_path.append(_NoMoreModules)
        builtins.open = io.open = _no_files


def end():
    """The task is done."""
    for stream in _STREAMS:
        stream.end()


# Output.


class _Lines(io.TextIOBase):
    """A stream whose lines are log lines."""

    def __init__(self, level):
        self._level = level
        self._open = ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def end(self):
        """A last line without its end is a line too."""
        if self._open:
            self._say(self._open)
            self._open = ""

    def _say(self, line):
        if asked("log"):
            wire = need("log")
            wire.write(wire.Level[self._level], line, "{}")


_STREAMS = _Lines("INFO"), _Lines("WARN")

# Modules and files.


class _NoMoreModules:
    @staticmethod
    def find_spec(name, path=None, target=None):
        raise ImportError(
            f"`{name}` was not imported at build time; import it at the top of a module", name=name
        )


def _no_files(*arguments, **options):
    raise PermissionError(
        "this neuron has no files; add to neuron.toml, under [grants]: "
        'wasi = true and files = { data = "read" }'
    )


# Tracebacks. The lines of the source are kept: there is no file to read later.


def traceback_of(error):
    """The traceback as text, without the SDK's own part."""
    trace = error.__traceback__
    lines = traceback.format_exception(type(error), error, trace and trace.tb_next)
    # Where the author's folder was at build time.
    return "".join(lines).replace('"/0/', '"')


def keep_source(module):
    """Keeps the lines of what lies where this module does, or below."""
    folder = os.path.dirname(module.__file__) + "/"
    for one in list(sys.modules.values()):
        path = getattr(one, "__file__", None)
        if isinstance(path, str) and path.startswith(folder):
            linecache.getlines(path)
    # What a traceback imports when it is made is there from now on.
    try:
        raise NotAskedFor
    except NotAskedFor as error:
        "".join(traceback.format_exception(error))


linecache.checkcache = lambda filename=None: None
# It parses parts of a line, and a part that is no Python is looked up in a file.
traceback._extract_caret_anchors_from_line_segment = lambda segment: None

# Time and randomness.


def _replace(module, name, interface, ours):
    """Puts `ours` in the place of a function, while a task is done."""
    theirs = getattr(module, name)
    if asked(interface) or not WASI:
        setattr(module, name, lambda *given: ours(*given) if _live else theirs(*given))


# The implementation in C would ask the system, this one asks `time`.
if asked("clock") or not WASI:
    sys.modules["_datetime"] = None

_replace(time, "time", "clock", lambda: need("clock").wall_ms() / 1e3)
_replace(time, "time_ns", "clock", lambda: need("clock").wall_ms() * 1_000_000)
for _name in ("monotonic", "perf_counter", "process_time", "thread_time"):
    if hasattr(time, _name):
        _replace(time, _name, "clock", lambda: need("clock").monotonic_ns() / 1e9)
        _replace(time, f"{_name}_ns", "clock", lambda: need("clock").monotonic_ns())
_replace(time, "sleep", "clock", lambda seconds: need("clock").sleep_ms(math.ceil(seconds * 1e3)))
_replace(os, "urandom", "random", lambda count: need("random").bytes(count))
random._urandom = os.urandom

_seeded = False


def _seeding(function, draws=True):
    """Makes the module's generator the task's own with the first number drawn:
    it was seeded at build time, the same for all tasks."""

    def seeded(*given, **options):
        global _seeded
        if _live and not _seeded:
            _seeded = True
            if draws:
                random._inst.seed(int.from_bytes(os.urandom(8)))
        return function(*given, **options)

    return seeded


for _name, _function in list(vars(random).items()):
    if getattr(_function, "__self__", None) is random._inst:
        setattr(random, _name, _seeding(_function, draws=_name not in ("seed", "setstate")))
