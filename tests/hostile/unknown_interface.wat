;; Wants an interface that the contract does not have.
(component
  (type $shell (instance (export "run" (func (param "command" string)))))
  (import "soma:neuron/shell@0.1.0" (instance (type $shell)))
)
