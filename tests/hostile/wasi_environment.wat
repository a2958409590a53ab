;; Wants the environment variables of the host.
(component
  (type $environment (instance
    (type $pairs (list (tuple string string)))
    (export "get-environment" (func (result $pairs)))))
  (import "wasi:cli/environment@0.2.0" (instance (type $environment)))
)
