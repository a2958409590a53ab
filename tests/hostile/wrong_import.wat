;; Wants the contract's clock with another type.
(component
  (type $clock (instance (export "sleep-ms" (func (param "ms" string)))))
  (import "soma:neuron/clock@0.1.0" (instance (type $clock)))
  (core module $main (func (export "handle")))
  (core instance $main (instantiate $main))
  (func $handle (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "soma:neuron/handler@0.1.0" (instance $handler))
)
