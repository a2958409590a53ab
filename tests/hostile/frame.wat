;; A neuron around a core module: everything that the contract asks for, and
;; nothing more. `CORE` stands for the core module $main, which exports `memory`,
;; `realloc` and `handle`. `handle` gets the task in 13 flat parameters and returns
;; the address of a `result<reply, failure>`.
(component
  (type $types (instance
    (type $text string)
    (export "signal-id" (type $signal-id (eq $text)))
    (export "trace-id" (type $trace-id (eq $text)))
    (export "json" (type $json (eq $text)))
    (type $context (list $json))
    (type $deadline (option u64))
    (type $task' (record
      (field "id" $signal-id)
      (field "trace-id" $trace-id)
      (field "neuron" string)
      (field "attempt" u32)
      (field "input" $json)
      (field "context" $context)
      (field "deadline-ms" $deadline)))
    (export "task" (type $task (eq $task')))
    (type $maybe-text (option string))
    (type $maybe-json (option $json))
    (type $output' (record (field "value" $json) (field "route" $maybe-text)))
    (export "output" (type $output (eq $output')))
    (type $clarification' (record (field "question" string) (field "context" $maybe-json)))
    (export "clarification" (type $clarification (eq $clarification')))
    (type $permission' (record
      (field "action" string)
      (field "scope" $maybe-json)
      (field "reason" $maybe-text)
      (field "context" $maybe-json)))
    (export "permission" (type $permission (eq $permission')))
    (type $reply' (variant
      (case "output" $output)
      (case "clarification" $clarification)
      (case "permission" $permission)))
    (export "reply" (type $reply (eq $reply')))
    (type $failure' (record
      (field "code" string)
      (field "message" string)
      (field "recoverable" bool)))
    (export "failure" (type $failure (eq $failure')))
  ))
  (import "soma:neuron/types@0.1.0" (instance $types (type $types)))
  (alias export $types "task" (type $task))
  (alias export $types "reply" (type $reply))
  (alias export $types "failure" (type $failure))

  CORE
  (core instance $main (instantiate $main))

  (func $handle (param "task" $task) (result (result $reply (error $failure)))
    (canon lift (core func $main "handle")
      (memory (core memory $main "memory"))
      (realloc (core func $main "realloc"))))
  (instance $handler
    (export "task" (type $task))
    (export "reply" (type $reply))
    (export "failure" (type $failure))
    (export "handle" (func $handle)))
  (export "soma:neuron/handler@0.1.0" (instance $handler))
)
