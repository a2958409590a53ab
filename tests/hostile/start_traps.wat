;; Traps in its start function.
(core module $main
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\00")
  (data (i32.const 64) "{}")
  (func $start unreachable)
  (start $start)
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (i32.const 0))
)
