;; Wants a function of its own invention.
(component
  (import "run-shell" (func (param "command" string)))
)
