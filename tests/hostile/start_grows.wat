;; Takes all the memory that it can get in its start function, then traps.
(core module $main
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\00")
  (data (i32.const 64) "{}")
  (func $start
    (loop $again
      (br_if $again (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
    unreachable)
  (start $start)
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (i32.const 0))
)
