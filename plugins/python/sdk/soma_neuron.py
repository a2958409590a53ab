"""Write a Soma neuron as one function:

    from soma_neuron import neuron

    @neuron
    def handle(task):
        return {"hello": task.input["name"]}

Every task gets a fresh instance, as it was when all modules had been imported
at build time: nothing in variables outlives a task, and nothing can be imported
later, so imports stand at the top. What must last goes into an engram. Calls to
the host wait, and that is where STOP and deadlines get in; the neuron then
never resumes.

What a neuron uses, `neuron.toml` has to ask for: engrams under [engrams], the
rest under [grants]. `print` writes to the log, `time` and `datetime` read the
host's clock and `random`, `secrets` and `uuid` draw from the host, where they
are asked for. There are no files, no threads and no sockets.
"""

import json
from dataclasses import dataclass, field as _field
from typing import Any, Callable, Iterable, Optional

from componentize_py_types import Err, Ok
from wit_world.imports import types as _types

import soma_system
from soma_system import asked, need

__all__ = [
    "Binding",
    "Failure",
    "HostError",
    "Reply",
    "Task",
    "clock",
    "emit",
    "field",
    "field_or",
    "log",
    "neuron",
    "orchestration",
    "random",
]


class Failure(Exception):
    """Why a neuron could not do its task. Raised, it becomes an ERROR signal.

    `code` is stable and machine-readable, such as "NO_SOURCE"; `message` is one
    sentence for a person; `recoverable` says whether trying again may help.
    """

    def __init__(self, code: str, message: str, recoverable: bool = False):
        super().__init__(message)
        self.code = code
        self.message = message
        self.recoverable = recoverable


class HostError(Failure):
    """A host call's error; `kind` is the contract's name of it."""

    def __init__(self, kind: str, code: str, message: str, recoverable: bool):
        super().__init__(code, message, recoverable)
        self.kind = kind


@dataclass
class Task:
    """What the neuron is asked to do."""

    id: str
    trace_id: str
    neuron: str
    attempt: int
    input: Any
    context: list
    deadline_ms: Optional[int]


class Reply:
    """The answer that ends a task."""

    def __init__(self, wire):
        self.wire = wire

    @classmethod
    def output(cls, value: Any, route: Optional[str] = None) -> "Reply":
        """A finished task. `route` is what a flow takes next; "success" without."""
        return cls(_types.Reply_Output(_types.Output(_json("output", value), route)))

    @classmethod
    def clarification(cls, question: str, context: Any = None) -> "Reply":
        """A question back; the answer is a new task, in `input["clarification"]`."""
        context = _optional_json("context", context)
        return cls(_types.Reply_Clarification(_types.Clarification(question, context)))

    @classmethod
    def permission(
        cls, action: str, scope: Any = None, reason: Optional[str] = None, context: Any = None
    ) -> "Reply":
        """A request for leave; the decision is a new task, in `input["permission"]`."""
        scope, context = _optional_json("scope", scope), _optional_json("context", context)
        return cls(_types.Reply_Permission(_types.Permission(action, scope, reason, context)))


def _json(what: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure("INVALID_OUTPUT", f"{what}: {error}") from None


def _optional_json(what: str, value: Any) -> Optional[str]:
    return None if value is None else _json(what, value)


_handle: Optional[Callable[[Task], Any]] = None


def neuron(handle: Callable[[Task], Any]) -> Callable[[Task], Any]:
    """Makes a function the neuron of this component.

    It takes a `Task` and returns a `Reply` or anything that is JSON. What it
    raises is an ERROR: a `Failure` with its own code, anything else
    NEURON_ERROR.
    """
    global _handle
    _handle = handle
    return handle


class Handler:
    """What the component exports."""

    def handle(self, task):
        soma_system.start()
        try:
            value = _handle(_read(task))
            return (value if isinstance(value, Reply) else Reply.output(value)).wire
        except BaseException as error:
            raise Err(_failure(error)) from None
        finally:
            soma_system.end()


def _read(task) -> Task:
    try:
        given = json.loads(task.input)
        context = [json.loads(entry) for entry in task.context]
    except (ValueError, RecursionError) as error:
        raise Failure("INVALID_INPUT", f"input: {error}") from None
    return Task(
        task.id, task.trace_id, task.neuron, task.attempt, given, context, task.deadline_ms
    )


def _failure(error: BaseException):
    if isinstance(error, Failure):
        return _types.Failure(error.code, error.message, error.recoverable)
    message = f"{type(error).__name__}: {error}"
    if asked("log"):
        log.error(message, traceback=soma_system.traceback_of(error))
    code = "NOT_ASKED_FOR" if isinstance(error, soma_system.NotAskedFor) else "NEURON_ERROR"
    return _types.Failure(code, message, False)


# Reading input.

_KINDS = {
    str: (lambda value: isinstance(value, str), "a string"),
    bool: (lambda value: isinstance(value, bool), "a boolean"),
    int: (
        lambda value: type(value) is int and 0 <= value <= 4294967295,
        "a whole number from 0 to 4294967295",
    ),
    float: (lambda value: type(value) in (int, float), "a number"),
    list: (lambda value: isinstance(value, list), "a list"),
    dict: (lambda value: isinstance(value, dict), "an object"),
}


def field(given: dict, path: str, key: str, kind: type) -> Any:
    """The value under `key` of an input object.

    What is missing or of another kind is refused as INVALID_INPUT with the
    place. `path` says where the object is: "input", "input.document". Kinds are
    str, bool, int (0 to 4294967295), float, list and dict.
    """
    fits, expected = _KINDS[kind]
    if key not in given:
        raise Failure("INVALID_INPUT", f"{path}: missing field `{key}`")
    value = given[key]
    if not fits(value):
        raise Failure(
            "INVALID_INPUT", f"{path}.{key}: invalid type: {_told(value)}, expected {expected}"
        )
    return value


def field_or(given: dict, path: str, key: str, kind: type, otherwise: Any) -> Any:
    """As `field`, for a key that may be missing."""
    return field(given, path, key, kind) if key in given else otherwise


def _told(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f"string {json.dumps(value, ensure_ascii=False)}"
        case list():
            return "sequence"
        case _:
            return "map"


# Host calls.

_ENGRAM_ERRORS = {
    "NotBound": ("ENGRAM_NOT_BOUND", "engram not bound: ", False),
    "Denied": ("ENGRAM_DENIED", "engram access denied: ", False),
    "Timeout": ("ENGRAM_TIMEOUT", "the engram did not answer in time", True),
    "Cancelled": ("ENGRAM_CANCELLED", "the trace was stopped", False),
    "Overloaded": ("ENGRAM_OVERLOADED", "engram overloaded: ", True),
    "Quota": ("ENGRAM_QUOTA", "engram quota used up: ", False),
    "Invalid": ("ENGRAM_INVALID", "invalid engram request: ", False),
    "Backend": ("ENGRAM_BACKEND", "engram failed: ", True),
}

_EMIT_ERRORS = {
    "Invalid": ("EMIT_INVALID", "invalid signal: ", False),
    "Denied": ("EMIT_DENIED", "signal denied: ", False),
    "Cancelled": ("EMIT_CANCELLED", "the trace was stopped", False),
}

_ORCHESTRATION_ERRORS = {
    "Unroutable": ("UNROUTABLE", "unroutable: ", False),
    "Timeout": ("TIMEOUT", "no reply in time: ", True),
    "Closed": ("CLOSED", "the awaited trace was stopped: ", True),
    "Denied": ("DENIED", "denied: ", False),
    "Overloaded": ("OVERLOADED", "overloaded: ", True),
    "Invalid": ("INVALID_REQUEST", "invalid request: ", False),
}


def _explained(error: Any, table: dict) -> HostError:
    kind = type(error).__name__.split("_", 1)[1]
    code, words, recoverable = table[kind]
    return HostError(kind, code, words + getattr(error, "value", ""), recoverable)


def _call(table: dict, function: Callable, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Err as error:
        raise _explained(error.value, table) from None


@dataclass
class Hit:
    """One entry that was found; `score` is 1 for an exact or unranked match."""

    id: str
    content: Any
    tags: list
    meta: dict
    merge_key: Optional[str]
    version: int
    score: float


@dataclass
class Recalled:
    """What a recall found, best first."""

    hits: list
    truncated: bool
    took_ms: int


@dataclass
class Receipt:
    """The engram's word that a write is done."""

    engram: str
    op: str
    id: Optional[str]
    version: Optional[int]
    took_ms: int


@dataclass
class Query:
    """What to look for: every part that is set must match."""

    id: Optional[str] = None
    text: Optional[str] = None
    tag: Optional[str] = None
    merge_key: Optional[str] = None
    embedding: Optional[Iterable[float]] = None
    top_k: Optional[int] = None


@dataclass
class Entry:
    """What is to be written."""

    content: Any = None
    id: Optional[str] = None
    tags: Iterable[str] = ()
    meta: dict = _field(default_factory=dict)
    embedding: Optional[Iterable[float]] = None
    merge_key: Optional[str] = None
    idempotency_key: Optional[str] = None


class Binding:
    """Shared memory: a local name that the operator ties to a real engram."""

    def __init__(self, name: str):
        self.name = name

    def recall(
        self,
        *,
        id: Optional[str] = None,
        text: Optional[str] = None,
        tag: Optional[str] = None,
        merge_key: Optional[str] = None,
        embedding: Optional[Iterable[float]] = None,
        top_k: Optional[int] = None,
        **options: Any,
    ) -> Recalled:
        """Looks for entries that match every part that is set.

        An embedding ranks by similarity. Options: `deadline_ms`, `mode` ("first",
        "merge", "all"), `min_confidence`, `tags`, `since_ms`, `until_ms`.
        """
        query = _wire_query(Query(id, text, tag, merge_key, embedding, top_k))
        engram = need("engram")
        return _recalled(
            _call(_ENGRAM_ERRORS, engram.recall, self.name, query, _recall_options(**options))
        )

    def recall_many(self, queries: Iterable[Query], **options: Any) -> list:
        """Several recalls at once: for each its answer or the error."""
        queries = [_wire_query(query) for query in queries]
        answers = need("engram").recall_many(self.name, queries, _recall_options(**options))
        return [
            _recalled(answer.value)
            if isinstance(answer, Ok)
            else _explained(answer.value, _ENGRAM_ERRORS)
            for answer in answers
        ]

    def add(self, content: Any, **options: Any) -> Optional[Receipt]:
        """A new entry; an id that exists is an error.

        Options: `id`, `tags`, `meta`, `embedding`, `merge_key`,
        `idempotency_key`, `deadline_ms`, and `ack=False` not to wait: then there
        is no receipt.
        """
        return self._imprint("add", content=content, **options)

    def append(self, content: Any, **options: Any) -> Optional[Receipt]:
        """A new entry; it gets a fresh id where the chosen one is taken."""
        return self._imprint("append", content=content, **options)

    def merge(self, merge_key: str, content: Any, **options: Any) -> Optional[Receipt]:
        """Changes the newest entry with the merge key; none is an error."""
        return self._imprint("merge", merge_key=merge_key, content=content, **options)

    def upsert(self, merge_key: str, content: Any, **options: Any) -> Optional[Receipt]:
        """Replaces the newest entry with the merge key, or adds one."""
        return self._imprint("upsert", merge_key=merge_key, content=content, **options)

    def delete(self, id: str, **options: Any) -> Optional[Receipt]:
        """Removes the entry with this id. Nothing there is no error."""
        return self._imprint("delete", id=id, **options)

    def delete_by_key(self, merge_key: str, **options: Any) -> Optional[Receipt]:
        """Removes the newest entry with the merge key."""
        return self._imprint("delete", merge_key=merge_key, **options)

    def imprint_many(self, op: str, entries: Iterable[Entry]) -> list:
        """Several writes with the same op, done in order.

        For each its receipt or the error.
        """
        engram = need("engram")
        entries = [_wire_entry(entry) for entry in entries]
        options = engram.ImprintOptions(True, None)
        answers = engram.imprint_many(self.name, engram.Op[op.upper()], entries, options)
        return [
            _receipt(answer.value)
            if isinstance(answer, Ok)
            else _explained(answer.value, _ENGRAM_ERRORS)
            for answer in answers
        ]

    def _imprint(
        self, op: str, ack: bool = True, deadline_ms: Optional[int] = None, **parts: Any
    ) -> Optional[Receipt]:
        engram = need("engram")
        entry = _wire_entry(Entry(**parts))
        options = engram.ImprintOptions(ack, deadline_ms)
        op = engram.Op[op.upper()]
        return _receipt(_call(_ENGRAM_ERRORS, engram.imprint, self.name, op, entry, options))


def _vector(numbers: Optional[Iterable[float]]) -> Optional[list]:
    return None if numbers is None else [float(number) for number in numbers]


def _wire_query(query: Query):
    return need("engram").Query(
        query.id, query.text, query.tag, query.merge_key, _vector(query.embedding), query.top_k
    )


def _wire_entry(entry: Entry):
    return need("engram").Entry(
        entry.id,
        _json("content", entry.content),
        list(entry.tags),
        _json("meta", entry.meta),
        _vector(entry.embedding),
        entry.merge_key,
        entry.idempotency_key,
    )


def _recall_options(
    deadline_ms=None, mode="first", min_confidence=None, tags=None, since_ms=None, until_ms=None
):
    engram = need("engram")
    filtered = tags is not None or since_ms is not None or until_ms is not None
    filters = engram.Filters(list(tags or ()), since_ms, until_ms) if filtered else None
    mode = engram.RecallMode[mode.upper()]
    return engram.RecallOptions(deadline_ms, mode, min_confidence, filters)


def _recalled(found) -> Recalled:
    hits = [
        Hit(
            hit.id,
            json.loads(hit.content),
            hit.tags,
            json.loads(hit.meta),
            hit.merge_key,
            hit.version,
            hit.score,
        )
        for hit in found.hits
    ]
    return Recalled(hits, found.truncated, found.took_ms)


def _receipt(receipt) -> Optional[Receipt]:
    if receipt is None:
        return None
    op = receipt.op.name.lower()
    return Receipt(receipt.engram, op, receipt.id, receipt.version, receipt.took_ms)


def emit(type: str, payload: dict) -> str:
    """Publishes a cognition signal whose parent is the task; returns its id.

    Types: "PLAN", "MEMORY_APPEND", "ESCALATION", "CONSENSUS", "CONTEXT_SYNC",
    "CRITIQUE" and "AUDIT", each with the keys of that type.
    """
    synapse = need("synapse")
    kind = synapse.EmissionType[type]
    return _call(_EMIT_ERRORS, synapse.emit, kind, _json("payload", payload))


class log:
    """Structured lines on the task's trace: `log.info("read", pages=3)`."""

    @staticmethod
    def write(level: str, message: str, fields: dict) -> None:
        wire = need("log")
        wire.write(wire.Level[level.upper()], str(message), _json("fields", fields))

    @staticmethod
    def trace(message: str, **fields: Any) -> None:
        log.write("trace", message, fields)

    @staticmethod
    def debug(message: str, **fields: Any) -> None:
        log.write("debug", message, fields)

    @staticmethod
    def info(message: str, **fields: Any) -> None:
        log.write("info", message, fields)

    @staticmethod
    def warn(message: str, **fields: Any) -> None:
        log.write("warn", message, fields)

    @staticmethod
    def error(message: str, **fields: Any) -> None:
        log.write("error", message, fields)


class clock:
    """Time, as the host has it: virtual under test."""

    @staticmethod
    def now_ms() -> int:
        """Milliseconds since 1970."""
        return need("clock").wall_ms()

    @staticmethod
    def monotonic_ns() -> int:
        """Nanoseconds since some fixed point; never goes back."""
        return need("clock").monotonic_ns()

    @staticmethod
    def sleep_ms(milliseconds: int) -> None:
        """Waits. STOP and the task's deadline end it; nothing then resumes."""
        need("clock").sleep_ms(milliseconds)


class random:
    """Randomness, as the host has it: seeded and repeatable under test."""

    @staticmethod
    def bytes(count: int) -> bytes:
        """At most 65 536 bytes."""
        return need("random").bytes(count)

    @staticmethod
    def u64() -> int:
        """A number out of all 64-bit numbers."""
        return need("random").u64()

    @staticmethod
    def unit() -> float:
        """A number in [0, 1)."""
        return (random.u64() >> 11) / 2**53


class orchestration:
    """Other neurons' tasks, by the grant `orchestration`.

    A target is `neuron="id"` or `capabilities=[..]` or neither. What comes back
    is a dict with `trace_id`, `task_id` and one of `output` (with `route`),
    `clarification`, `permission` or `failure`.
    """

    @staticmethod
    def dispatch_and_wait(
        input: dict,
        *,
        neuron: Optional[str] = None,
        capabilities: Optional[Iterable[str]] = None,
        trace_id: Optional[str] = None,
        finalize: bool = False,
        timeout_ms: Optional[int] = None,
    ) -> dict:
        """Starts a task and waits for its reply."""
        wire = need("orchestration")
        target = _target(neuron, capabilities)
        options = wire.DispatchOptions(trace_id, finalize, timeout_ms)
        given = _json("input", input)
        return _ended(
            _call(_ORCHESTRATION_ERRORS, wire.dispatch_and_wait, target, given, options)
        )

    @staticmethod
    def run_with_retry(
        input: dict,
        *,
        neuron: Optional[str] = None,
        capabilities: Optional[Iterable[str]] = None,
        max_attempts: int = 3,
        timeout_ms: int = 30_000,
        backoff: tuple = ("none", 0),
        max_delay_ms: int = 30_000,
        rollback_on_retry: bool = False,
        reason: str = "retry",
    ) -> dict:
        """Starts a task, and again while it fails recoverably or is late.

        `backoff` is ("constant", ms), ("linear", ms), ("exponential", ms) or
        ("decorrelated-jitter", ms).
        """
        wire = need("orchestration")
        name, base = backoff
        case = getattr(wire, "Backoff_" + "".join(part.title() for part in name.split("-")))
        strategy = wire.RetryStrategy(
            max_attempts,
            timeout_ms,
            case() if name == "none" else case(base),
            max_delay_ms,
            rollback_on_retry,
            reason,
        )
        target, given = _target(neuron, capabilities), _json("input", input)
        return _ended(_call(_ORCHESTRATION_ERRORS, wire.run_with_retry, target, given, strategy))

    @staticmethod
    def stop_trace(
        trace_id: str, *, rollback: bool = False, reason: Optional[str] = None
    ) -> list:
        """Stops a trace that this neuron started."""
        wire = need("orchestration")
        options = wire.StopOptions(rollback, reason)
        return _call(_ORCHESTRATION_ERRORS, wire.stop_trace, trace_id, options)


def _target(neuron: Optional[str], capabilities: Optional[Iterable[str]]):
    wire = need("orchestration")
    if neuron is not None:
        return wire.Target_Neuron(neuron)
    if capabilities is not None:
        return wire.Target_Capabilities(list(capabilities))
    return wire.Target_Any()


def _ended(result) -> dict:
    def read(text):
        return None if text is None else json.loads(text)

    told = {"trace_id": result.trace_id, "task_id": result.task_id}
    outcome = result.outcome.value
    if type(result.outcome).__name__ == "Outcome_Failed":
        return told | {"failure": vars(outcome)}
    match type(outcome).__name__, outcome.value:
        case "Reply_Output", output:
            return told | {"output": read(output.value), "route": output.route}
        case "Reply_Clarification", asked_back:
            asked_back = vars(asked_back) | {"context": read(asked_back.context)}
            return told | {"clarification": asked_back}
        case _, leave:
            parts = {"scope": read(leave.scope), "context": read(leave.context)}
            return told | {"permission": vars(leave) | parts}
