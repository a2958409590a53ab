"""Does what the steps in its input say: plugins/puppet, in Python, without the
steps that need the grant `orchestration`.

Input: `{"do": [step, ..]}`. A step that fails is no reason to stop: its error is
said like any other result. Output, unless a step replies: `{"said": [result,
..], "task": {id, trace, neuron, attempt, context, deadline_ms}}`.
"""

from soma_neuron import Binding, Failure, Reply, clock, emit, log, neuron, random


def recall(told):
    options = {key: told[key] for key in ("tag", "top_k", "deadline_ms", "embedding") if key in told}
    found = Binding(told["from"]).recall(**options)
    return {"hits": [hit.content for hit in found.hits], "truncated": found.truncated}


def write(told):
    binding = Binding(told["to"])
    options = {key: told[key] for key in ("id", "tags", "deadline_ms", "embedding") if key in told}
    options |= {"idempotency_key": told.get("idempotency"), "ack": not told.get("send", False)}
    content, key = told.get("content"), told.get("key")
    match told["op"]:
        case "add":
            receipt = binding.add(content, merge_key=key, **options)
        case "append":
            receipt = binding.append(content, merge_key=key, **options)
        case "merge":
            receipt = binding.merge(key or "", content, **options)
        case "upsert":
            receipt = binding.upsert(key or "", content, **options)
        case "delete":
            receipt = binding.delete_by_key(key or "", **options)
    return receipt and {"id": receipt.id, "version": receipt.version}


# Steps whose result is said, and those that say nothing.
STEPS = {
    "recall": recall,
    "write": write,
    "emit": lambda told: emit(told["kind"], told["payload"]),
    "random": lambda count: random.bytes(count).hex(),
    "now": lambda _: clock.now_ms(),
}
SILENT = {"sleep": clock.sleep_ms, "log": log.info, "print": print}


@neuron
def handle(task):
    said = []
    reply = do_all(task.input["do"], said)
    if reply is not None:
        return reply
    facts = {
        "id": task.id,
        "trace": task.trace_id,
        "neuron": task.neuron,
        "attempt": task.attempt,
        "context": task.context,
        "deadline_ms": task.deadline_ms,
    }
    return {"said": said, "task": facts}


def do_all(steps, said):
    for step in steps:
        [(name, told)] = step.items() if isinstance(step, dict) else [(step, None)]
        if name == "repeat":
            for _ in range(told["times"]):
                reply = do_all(told["steps"], said)
                if reply is not None:
                    return reply
        elif name in STEPS:
            said.append(attempt(STEPS[name], told))
        elif name in SILENT:
            SILENT[name](told)
        else:
            return reply_of(name, told)
    return None


def attempt(step, told):
    try:
        return step(told)
    except Failure as failure:
        parts = ("code", "message", "recoverable")
        return {"error": {part: getattr(failure, part) for part in parts}}


def reply_of(name, told):
    """The steps that end the task."""
    match name:
        case "output":
            return Reply.output(told["value"], told.get("route"))
        case "clarify":
            return Reply.clarification(told["question"], told.get("context"))
        case "ask_leave":
            return Reply.permission(told["action"], told["scope"], told["reason"])
        case "fail":
            code = told["code"]
            raise Failure(code, f"told to fail with {code}", told.get("recoverable", False))
        case "panic":
            raise TypeError(told)
