/**
 * Does what the steps in its input say: plugins/puppet, in JavaScript, without
 * the steps that need the grant `orchestration`.
 *
 * Input: `{"do": [step, ..]}`. A step that fails is no reason to stop: its error
 * is said like any other result. Output, unless a step replies: `{"said":
 * [result, ..], "task": {id, trace, neuron, attempt, context, deadline_ms}}`.
 */

import { Binding, Failure, Reply, clock, emit, log, neuron, random } from "./sdk/soma-neuron.js";

/** Steps whose result is said, or not. */
const STEPS = {
  recall: ({ from, tag, top_k, deadline_ms, embedding }) => {
    const query = { tag, topK: top_k, deadlineMs: deadline_ms, embedding };
    const { hits, truncated } = new Binding(from).recall(query);
    return { hits: hits.map((hit) => hit.content), truncated };
  },
  write: ({ to, op, id, key, content, tags, idempotency, deadline_ms, send, embedding }) => {
    const options = { id, tags, idempotencyKey: idempotency, deadlineMs: deadline_ms, embedding, ack: !send };
    const binding = new Binding(to);
    const receipt = {
      add: () => binding.add(content, { ...options, mergeKey: key }),
      append: () => binding.append(content, { ...options, mergeKey: key }),
      merge: () => binding.merge(key ?? "", content, options),
      upsert: () => binding.upsert(key ?? "", content, options),
      delete: () => binding.deleteByKey(key ?? "", options),
    }[op]();
    return receipt && { id: receipt.id, version: receipt.version };
  },
  emit: ({ kind, payload }) => emit(kind, payload),
  random: (count) => Array.from(random.bytes(count), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  now: () => clock.nowMs(),
  sleep: (ms) => clock.sleepMs(ms),
  log: (line) => log.info(line),
  print: (line) => console.log(line),
};

const SILENT = ["sleep", "log", "print"];

/** Steps that end the task. */
const REPLIES = {
  output: ({ value, route }) => Reply.output(value, { route }),
  clarify: ({ question, context }) => Reply.clarification(question, { context }),
  ask_leave: ({ action, scope, reason }) => Reply.permission(action, { scope, reason }),
  fail({ code, recoverable }) {
    throw new Failure(code, `told to fail with ${code}`, { recoverable });
  },
  panic(words) {
    throw new TypeError(words);
  },
};

export const handler = neuron((task) => {
  const said = [];
  const reply = all(task.input.do, said);
  if (reply !== null) return reply;
  const { id, traceId: trace, neuron, attempt, context, deadlineMs: deadline_ms } = task;
  return { said, task: { id, trace, neuron, attempt, context, deadline_ms } };
});

function all(steps, said) {
  for (const step of steps) {
    const [name, told] = typeof step === "string" ? [step] : Object.entries(step)[0];
    if (name in REPLIES) return REPLIES[name](told);
    if (name === "repeat") {
      for (let time = 0; time < told.times; time++) {
        const reply = all(told.steps, said);
        if (reply !== null) return reply;
      }
      continue;
    }
    const result = attempt(() => STEPS[name](told));
    if (!SILENT.includes(name)) said.push(result);
  }
  return null;
}

function attempt(step) {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { code, message, recoverable } = error;
    return { error: { code, message, recoverable } };
  }
}
