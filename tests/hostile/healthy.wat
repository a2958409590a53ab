;; Answers `{}`: shows that the frame itself is sound.
(core module $main
  (memory (export "memory") 1)
  ;; Where the host puts the task's strings: over and over the same place.
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  ;; ok, output, text at 64 of 2 bytes, no route
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\40\00\00\00\02\00\00\00\00")
  (data (i32.const 64) "{}")
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (i32.const 0))
)
