;; Offers a handler that takes and gives nothing.
(component
  (core module $main (func (export "handle")))
  (core instance $main (instantiate $main))
  (func $handle (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "soma:neuron/handler@0.1.0" (instance $handler))
)
