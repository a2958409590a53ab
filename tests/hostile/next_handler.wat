;; Offers the handler of a contract that is not there yet.
(component
  (instance $handler)
  (export "soma:neuron/handler@0.2.0" (instance $handler))
)
