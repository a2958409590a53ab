;; Built for a contract that is not there yet.
(component
  (type $engram (instance (export "forget" (func (param "binding" string)))))
  (import "soma:neuron/engram@0.2.0" (instance (type $engram)))
)
