;; A core module.
(module (func (export "handle")))
