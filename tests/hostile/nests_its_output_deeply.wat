;; Answers with 10 000 opening brackets: no JSON reader may recurse that deep.
(core module $main
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\00\10\00\00\10\27\00\00\00")
  (func (export "handle")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    (memory.fill (i32.const 4096) (i32.const 91) (i32.const 10000))
    (i32.const 0))
)
