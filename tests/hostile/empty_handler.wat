;; Offers a handler without its function.
(component
  (instance $handler)
  (export "soma:neuron/handler@0.1.0" (instance $handler))
)
