/**
 * Write a Soma neuron as one function:
 *
 *     import { neuron } from "./sdk/soma-neuron.js";
 *
 *     export const handler = neuron((task) => ({ hello: task.input.name }));
 *
 * Every task gets a fresh instance, as it was when all modules had been
 * loaded at build time: nothing in variables outlives a task. What must last
 * goes into an engram. Calls to the host wait without `await`, and that is
 * where STOP and deadlines get in; the neuron then never resumes.
 *
 * What a neuron uses, `neuron.toml` has to ask for: engrams under [engrams],
 * the rest under [grants]. `console` writes to the log, `Date` reads the
 * host's clock and `Math.random` draws from the host, where they are asked for.
 */

/** An interface of the contract, if the manifest asks for it. */
async function asked(name) {
  try {
    return await import(`soma:neuron/${name}@0.1.0`);
  } catch {
    return null;
  }
}

const wire = {
  engram: await asked("engram"),
  synapse: await asked("synapse"),
  clock: await asked("clock"),
  log: await asked("log"),
  random: await asked("random"),
  orchestration: await asked("orchestration"),
};

/** The line of `neuron.toml` by which a neuron asks for an interface. */
const LINES = {
  engram: 'a table [engrams.NAME] with access = "read-write"',
  synapse: 'synapse = ["PLAN"], with the types that it emits, under [grants]',
  clock: 'clock = "wall" under [grants]',
  log: "log = true under [grants]",
  random: 'random = "system" under [grants]',
  orchestration: "orchestration = true under [grants]",
};

function need(name) {
  const found = wire[name];
  if (found === null) {
    const message = `this neuron does not ask for ${name}; add to neuron.toml: ${LINES[name]}`;
    throw new Failure("NOT_ASKED_FOR", message);
  }
  return found;
}

/** Why a neuron could not do its task. Thrown, it becomes an ERROR signal. */
export class Failure extends Error {
  /**
   * @param {string} code stable and machine-readable, such as "NO_SOURCE"
   * @param {string} message one sentence for a person
   * @param {{recoverable?: boolean}} options whether trying again may help
   */
  constructor(code, message, { recoverable = false } = {}) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.recoverable = recoverable;
  }
}

/** A host call's error: `kind` is the contract's name of it. */
export class HostError extends Failure {
  constructor(kind, code, message, recoverable) {
    super(code, message, { recoverable });
    this.name = "HostError";
    this.kind = kind;
  }
}

/** The answer that ends a task. */
export class Reply {
  constructor(tag, val) {
    this.wire = { tag, val };
  }

  /** A finished task. `route` is what a flow takes next; "success" without. */
  static output(value, { route = null } = {}) {
    return new Reply("output", { value: json("output", value ?? null), route });
  }

  /** A question back; the answer is a new task, in `input.clarification`. */
  static clarification(question, { context } = {}) {
    return new Reply("clarification", { question, context: optionalJson("context", context) });
  }

  /** A request for leave; the decision is a new task, in `input.permission`. */
  static permission(action, { scope, reason = null, context } = {}) {
    return new Reply("permission", {
      action,
      scope: optionalJson("scope", scope),
      reason,
      context: optionalJson("context", context),
    });
  }
}

function json(what, value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new Failure("INVALID_OUTPUT", `${what}: ${error.message}`);
  }
  if (text === undefined) throw new Failure("INVALID_OUTPUT", `${what}: this is no JSON`);
  return text;
}

function optionalJson(what, value) {
  return value === undefined || value === null ? null : json(what, value);
}

const NO_PROMISE = "write it without async, host calls wait by themselves";

/** Set while a task is done: before, at build time, there is no host. */
let live = false;

/**
 * Makes a function the neuron: export what this returns as `handler`.
 *
 * The function takes a task `{id, traceId, neuron, attempt, input, context,
 * deadlineMs}` and returns a `Reply` or anything that is JSON. What it throws
 * is an ERROR: a `Failure` with its own code, anything else NEURON_ERROR.
 */
export function neuron(handle) {
  if (typeof handle !== "function") throw new TypeError("neuron() takes the function that does a task");
  if (handle.constructor.name === "AsyncFunction") throw new TypeError(`the handler is async: ${NO_PROMISE}`);
  return {
    handle(task) {
      live = true;
      try {
        const value = handle(read(task));
        if (typeof value?.then === "function") {
          throw new Failure("INVALID_OUTPUT", `the neuron returned a promise; ${NO_PROMISE}`);
        }
        return (value instanceof Reply ? value : Reply.output(value)).wire;
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

function read(task) {
  try {
    return { ...task, input: JSON.parse(task.input), context: task.context.map((entry) => JSON.parse(entry)) };
  } catch (error) {
    throw new Failure("INVALID_INPUT", `input: ${error.message}`);
  }
}

function failure(error) {
  if (error instanceof Failure) {
    return { code: error.code, message: error.message, recoverable: error.recoverable };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (wire.log !== null) log.error(message, { stack: error?.stack ?? "" });
  return { code: "NEURON_ERROR", message, recoverable: false };
}

// Reading input.

const KINDS = {
  string: [(value) => typeof value === "string", "a string"],
  number: [(value) => typeof value === "number", "a number"],
  count: [
    (value) => Number.isInteger(value) && value >= 0 && value <= 4294967295,
    "a whole number from 0 to 4294967295",
  ],
  boolean: [(value) => typeof value === "boolean", "a boolean"],
  list: [Array.isArray, "a list"],
  object: [(value) => typeof value === "object" && value !== null && !Array.isArray(value), "an object"],
};

/**
 * The value under `key` of an input object. What is missing or of another kind
 * is refused as INVALID_INPUT with the place. `path` says where the object is:
 * "input", "input.document". Kinds: "string", "number", "count", "boolean",
 * "list", "object".
 */
export function field(object, path, key, kind) {
  const [fits, expected] = KINDS[kind];
  if (!Object.hasOwn(object, key)) {
    throw new Failure("INVALID_INPUT", `${path}: missing field \`${key}\``);
  }
  const value = object[key];
  if (!fits(value)) {
    throw new Failure("INVALID_INPUT", `${path}.${key}: invalid type: ${told(value)}, expected ${expected}`);
  }
  return value;
}

/** As `field`, for a key that may be missing. */
export function fieldOr(object, path, key, kind, otherwise) {
  return Object.hasOwn(object, key) ? field(object, path, key, kind) : otherwise;
}

function told(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "sequence";
  switch (typeof value) {
    case "string":
      return `string ${JSON.stringify(value)}`;
    case "number":
      return `${Number.isInteger(value) ? "integer" : "floating point"} \`${value}\``;
    case "boolean":
      return `boolean \`${value}\``;
    default:
      return "map";
  }
}

// Host calls.

/** Calls the host; an error of the contract is thrown in words. */
function call(run, explain) {
  try {
    return run();
  } catch (error) {
    const payload = error?.payload ?? error;
    if (typeof payload?.tag !== "string") throw error;
    throw explain(payload);
  }
}

const ENGRAM_ERRORS = {
  "not-bound": ["ENGRAM_NOT_BOUND", "engram not bound: ", false],
  denied: ["ENGRAM_DENIED", "engram access denied: ", false],
  timeout: ["ENGRAM_TIMEOUT", "the engram did not answer in time", true],
  cancelled: ["ENGRAM_CANCELLED", "the trace was stopped", false],
  overloaded: ["ENGRAM_OVERLOADED", "engram overloaded: ", true],
  quota: ["ENGRAM_QUOTA", "engram quota used up: ", false],
  invalid: ["ENGRAM_INVALID", "invalid engram request: ", false],
  backend: ["ENGRAM_BACKEND", "engram failed: ", true],
};

const EMIT_ERRORS = {
  invalid: ["EMIT_INVALID", "invalid signal: ", false],
  denied: ["EMIT_DENIED", "signal denied: ", false],
  cancelled: ["EMIT_CANCELLED", "the trace was stopped", false],
};

const ORCHESTRATION_ERRORS = {
  unroutable: ["UNROUTABLE", "unroutable: ", false],
  timeout: ["TIMEOUT", "no reply in time: ", true],
  closed: ["CLOSED", "the awaited trace was stopped: ", true],
  denied: ["DENIED", "denied: ", false],
  overloaded: ["OVERLOADED", "overloaded: ", true],
  invalid: ["INVALID_REQUEST", "invalid request: ", false],
};

function explainer(table) {
  return ({ tag, val }) => {
    const [code, words, recoverable] = table[tag];
    return new HostError(tag, code, words + (val ?? ""), recoverable);
  };
}

const engramError = explainer(ENGRAM_ERRORS);

/** Shared memory: a local name that the operator ties to a real engram. */
export class Binding {
  constructor(name) {
    this.name = name;
  }

  /**
   * Looks for entries that match every part that is set: `id`, `text`, `tag`,
   * `mergeKey`, `embedding` (ranks by similarity), `topK`; and, of the answer,
   * `deadlineMs`, `mode`, `minConfidence`, `tags`, `sinceMs`, `untilMs`.
   * Returns `{hits, truncated, tookMs}`; a hit is `{id, content, tags, meta,
   * mergeKey, version, score}`.
   */
  recall(query = {}) {
    const { recall } = need("engram");
    return recalled(call(() => recall(this.name, wireQuery(query), recallOptions(query)), engramError));
  }

  /** Several recalls at once: for each its answer or the error. */
  recallMany(queries, options = {}) {
    const { recallMany } = need("engram");
    const answers = recallMany(this.name, queries.map(wireQuery), recallOptions(options));
    return answers.map(({ tag, val }) => (tag === "ok" ? recalled(val) : engramError(val)));
  }

  /**
   * A new entry; an id that exists is an error. Options: `id`, `tags`, `meta`,
   * `embedding`, `mergeKey`, `idempotencyKey`, `deadlineMs`, and `ack: false`
   * not to wait. Returns the receipt `{engram, op, id, version, tookMs}`.
   */
  add(content, options = {}) {
    return this.#imprint("add", { ...options, content });
  }

  /** A new entry; it gets a fresh id where the chosen one is taken. */
  append(content, options = {}) {
    return this.#imprint("append", { ...options, content });
  }

  /** Changes the newest entry with the merge key; no such entry is an error. */
  merge(mergeKey, content, options = {}) {
    return this.#imprint("merge", { ...options, mergeKey, content });
  }

  /** Replaces the newest entry with the merge key, or adds one. */
  upsert(mergeKey, content, options = {}) {
    return this.#imprint("upsert", { ...options, mergeKey, content });
  }

  /** Removes the entry with this id. Nothing there is no error. */
  delete(id, options = {}) {
    return this.#imprint("delete", { ...options, id });
  }

  /** Removes the newest entry with the merge key. */
  deleteByKey(mergeKey, options = {}) {
    return this.#imprint("delete", { ...options, mergeKey });
  }

  /**
   * Several writes with the same op ("add", "append", ...), done in order; an
   * entry is `{content, ...options}`. For each its receipt or the error.
   */
  imprintMany(op, entries) {
    const { imprintMany } = need("engram");
    const answers = imprintMany(this.name, op, entries.map(wireEntry), { awaitAck: true, deadlineMs: null });
    return answers.map(({ tag, val }) => (tag === "ok" ? val : engramError(val)));
  }

  #imprint(op, { ack = true, deadlineMs = null, ...entry }) {
    const { imprint } = need("engram");
    const options = { awaitAck: ack, deadlineMs };
    return call(() => imprint(this.name, op, wireEntry(entry), options), engramError);
  }
}

function wireEntry({ id, content, tags, meta, embedding, mergeKey, idempotencyKey }) {
  return {
    id: id ?? null,
    content: json("content", content ?? null),
    tags: tags ?? [],
    meta: json("meta", meta ?? {}),
    embedding: embedding ? Array.from(embedding) : null,
    mergeKey: mergeKey ?? null,
    idempotencyKey: idempotencyKey ?? null,
  };
}

function wireQuery({ id, text, tag, mergeKey, embedding, topK }) {
  return {
    id: id ?? null,
    text: text ?? null,
    tag: tag ?? null,
    mergeKey: mergeKey ?? null,
    embedding: embedding ? Array.from(embedding) : null,
    topK: topK ?? null,
  };
}

function recallOptions({ deadlineMs, mode, minConfidence, tags, sinceMs, untilMs }) {
  const filtered = tags !== undefined || sinceMs !== undefined || untilMs !== undefined;
  return {
    deadlineMs: deadlineMs ?? null,
    mode: mode ?? "first",
    minConfidence: minConfidence ?? null,
    filters: filtered ? { tags: tags ?? [], sinceMs: sinceMs ?? null, untilMs: untilMs ?? null } : null,
  };
}

function recalled({ hits, truncated, tookMs }) {
  const read = (hit) => ({ ...hit, content: JSON.parse(hit.content), meta: JSON.parse(hit.meta) });
  return { hits: hits.map(read), truncated, tookMs };
}

/**
 * Publishes a cognition signal whose parent is the task: "PLAN",
 * "MEMORY_APPEND", "ESCALATION", "CONSENSUS", "CONTEXT_SYNC", "CRITIQUE" or
 * "AUDIT", with the keys of that type. Returns the signal's id.
 */
export function emit(type, payload) {
  const kind = type.toLowerCase().replaceAll("_", "-");
  const { emit } = need("synapse");
  return call(() => emit(kind, json("payload", payload)), explainer(EMIT_ERRORS));
}

/** Structured lines on the task's trace: `log.info("read", {pages: 3})`. */
export const log = {
  write(level, message, fields = {}) {
    need("log").write(level, String(message), json("fields", fields));
  },
};

for (const level of ["trace", "debug", "info", "warn", "error"]) {
  log[level] = (message, fields) => log.write(level, message, fields);
}

/** Time, as the host has it: virtual under test. */
export const clock = {
  /** Milliseconds since 1970. */
  nowMs: () => Number(need("clock").wallMs()),
  /** Milliseconds since some fixed point, with fractions. */
  monotonicMs: () => Number(need("clock").monotonicNs()) / 1e6,
  /** Waits, in whole milliseconds, rounded up. */
  sleepMs: (ms) => need("clock").sleepMs(Math.ceil(ms)),
};

/** Randomness, as the host has it: seeded and repeatable under test. */
export const random = {
  /** At most 65 536 bytes. */
  bytes: (count) => Uint8Array.from(need("random").bytes(count)),
  /** A BigInt out of all 64-bit numbers. */
  u64() {
    return random.bytes(8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  },
  /** A number in [0, 1). */
  unit() {
    return Number(random.u64() >> 11n) / 2 ** 53;
  },
};

const orchestrationError = explainer(ORCHESTRATION_ERRORS);

/**
 * Other neurons' tasks, by the grant `orchestration`. A target is
 * `{neuron: id}`, `{capabilities: [..]}` or `{}`. An outcome is `{output,
 * route}`, `{clarification}`, `{permission}` or `{failure}`.
 */
export const orchestration = {
  /** Options: `traceId`, `finalize`, `timeoutMs`. */
  dispatchAndWait(target, input, options = {}) {
    const { dispatchAndWait } = need("orchestration");
    const run = () => dispatchAndWait(wireTarget(target), json("input", input), dispatchOptions(options));
    return ended(call(run, orchestrationError));
  },

  /**
   * Options: `maxAttempts` 3, `timeoutMs` 30 000, `backoff` such as
   * `{linear: 100}`, `maxDelayMs` 30 000, `rollbackOnRetry`, `reason`.
   */
  runWithRetry(target, input, options = {}) {
    const { runWithRetry } = need("orchestration");
    const run = () => runWithRetry(wireTarget(target), json("input", input), retryStrategy(options));
    return ended(call(run, orchestrationError));
  },

  /** Stops a trace that this neuron started; options: `rollback`, `reason`. */
  stopTrace(traceId, { rollback = false, reason = null } = {}) {
    const { stopTrace } = need("orchestration");
    return call(() => stopTrace(traceId, { rollback, reason }), orchestrationError);
  },
};

function wireTarget({ neuron, capabilities }) {
  if (neuron !== undefined) return { tag: "neuron", val: neuron };
  return capabilities === undefined ? { tag: "any" } : { tag: "capabilities", val: capabilities };
}

function dispatchOptions({ traceId, finalize, timeoutMs }) {
  return { traceId: traceId ?? null, finalize: finalize ?? false, timeoutMs: timeoutMs ?? null };
}

function retryStrategy(options) {
  const [tag, val] = Object.entries(options.backoff ?? { none: undefined })[0];
  return {
    maxAttempts: options.maxAttempts ?? 3,
    timeoutMs: options.timeoutMs ?? 30000,
    backoff: { tag, val },
    maxDelayMs: options.maxDelayMs ?? 30000,
    rollbackOnRetry: options.rollbackOnRetry ?? false,
    reason: options.reason ?? "retry",
  };
}

function ended({ traceId, taskId, outcome }) {
  return { traceId, taskId, outcome: readOutcome(outcome) };
}

function readOutcome({ tag, val }) {
  if (tag === "failed") return { failure: val };
  const read = (text) => (text === null ? null : JSON.parse(text));
  switch (val.tag) {
    case "output":
      return { output: JSON.parse(val.val.value), route: val.val.route };
    case "clarification":
      return { clarification: { ...val.val, context: read(val.val.context) } };
    default:
      return { permission: { ...val.val, scope: read(val.val.scope), context: read(val.val.context) } };
  }
}

// What JavaScript has of its own, answered by the host. Without WASI the engine
// would trap.

const { WASI } = await import("../soma-build.js").catch(() => ({ WASI: false }));

function text(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack ?? ""}`.trimEnd();
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

const builtIn = globalThis.console;
const LEVELS = { log: "info", info: "info", debug: "debug", trace: "trace", warn: "warn", error: "error" };
globalThis.console = Object.fromEntries(
  Object.entries(LEVELS).map(([name, level]) => [
    name,
    (...values) => {
      if (!live) return builtIn?.log?.(...values);
      if (wire.log !== null) log.write(level, values.map(text).join(" "));
    },
  ]),
);

if (!WASI || wire.clock !== null) {
  const RealDate = Date;
  const realNow = RealDate.now;
  const now = () => (live ? clock.nowMs() : realNow());
  RealDate.now = now;
  globalThis.Date = new Proxy(RealDate, {
    apply: () => new RealDate(now()).toString(),
    construct: (target, values, made) =>
      Reflect.construct(target, values.length > 0 ? values : [now()], made === globalThis.Date ? target : made),
  });
}

const realRandom = Math.random;
Math.random = () => (live ? random.unit() : realRandom());
