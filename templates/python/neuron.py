"""Keeps a note and says which earlier ones mention a word."""

from soma_neuron import Binding, field, log, neuron


@neuron
def handle(task):
    note = field(task.input, "input", "note", str)
    about = field(task.input, "input", "about", str)
    notes = Binding("notes")
    earlier = [hit.content for hit in notes.recall(text=about).hits]
    notes.append(note, tags=["note"])
    log.info(f"{len(earlier)} earlier notes", about=about)
    return {"earlier": earlier}
