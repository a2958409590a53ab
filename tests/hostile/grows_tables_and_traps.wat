;; Grows a table until it is refused, then traps.
(core module $main
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\00")
  (data (i32.const 64) "{}")
  (table $table 1 funcref)
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (loop $again
      (br_if $again (i32.ge_s
        (table.grow $table (ref.null func) (i32.const 100)) (i32.const 0))))
    unreachable)
)
