/** Keeps a note and says which earlier ones mention a word. */

import { Binding, field, log, neuron } from "./sdk/soma-neuron.js";

export const handler = neuron((task) => {
  const note = field(task.input, "input", "note", "string");
  const about = field(task.input, "input", "about", "string");
  const notes = new Binding("notes");
  const earlier = notes.recall({ text: about }).hits.map((hit) => hit.content);
  notes.append(note, { tags: ["note"] });
  log.info(`${earlier.length} earlier notes`, { about });
  return { earlier };
});
