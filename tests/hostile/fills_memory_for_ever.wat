;; Fills 32 MiB with one instruction, again and again: bulk operations check
;; nothing inside.
(core module $main
  (memory (export "memory") 512)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\00")
  (data (i32.const 64) "{}")
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (loop $again
      (memory.fill (i32.const 65536) (i32.const 1) (i32.const 33488896))
      (br $again))
    unreachable)
)
