;; Its output begins inside its memory and ends far outside.
(core module $main
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\ff\ff\ff\7f\00")
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (i32.const 0))
)
