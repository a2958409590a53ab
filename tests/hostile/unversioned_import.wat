;; Wants an interface of the contract without saying of which version.
(component
  (type $clock (instance (export "wall-ms" (func (result u64)))))
  (import "soma:neuron/clock" (instance (type $clock)))
)
