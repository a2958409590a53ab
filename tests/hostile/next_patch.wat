;; Built for a later patch of the contract, whose functions may be missing here.
(component
  (type $clock (instance (export "wall-ms" (func (result u64)))))
  (import "soma:neuron/clock@0.1.7" (instance (type $clock)))
)
