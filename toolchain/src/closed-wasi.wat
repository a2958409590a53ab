;; Answers WASI 0.1 inside the component and imports nothing: no arguments, no
;; environment, no files, output that goes nowhere. `wit-component` adapts a
;; module by it and keeps the functions that the module calls.
;;
;; It may not call the host: the host lets no guest do so while it lowers
;; values, and that is when a Go runtime asks for the time. So the clock only
;; moves by being read and the random numbers are always the same. An SDK gives
;; its authors the host's.
(module
  (import "env" "memory" (memory 0))

  ;; Nanoseconds; each reading adds a microsecond.
  (global $time (mut i64) (i64.const 1700000000000000000))
  ;; State of a xorshift generator; never 0.
  (global $random (mut i64) (i64.const 0x9E3779B97F4A7C15))

  (func (export "sched_yield") (result i32) i32.const 0)

  (func (export "proc_exit") (param i32) unreachable)

  ;; No arguments and no variables: both counts are 0.
  (func $none (param i32 i32) (result i32) i32.const 0)
  (func $counts (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    i32.const 0)
  (export "args_get" (func $none))
  (export "args_sizes_get" (func $counts))
  (export "environ_get" (func $none))
  (export "environ_sizes_get" (func $counts))

  (func (export "clock_res_get") (param i32 i32) (result i32)
    (i64.store (local.get 1) (i64.const 1000))
    i32.const 0)

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (global.set $time (i64.add (global.get $time) (i64.const 1000)))
    (i64.store (local.get $to) (global.get $time))
    i32.const 0)

  (func (export "random_get") (param $to i32) (param $count i32) (result i32)
    (local $x i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $x (global.get $random))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (global.set $random (local.get $x))
        (i32.store8 (local.get $to) (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 24))))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    i32.const 0)

  ;; All bytes count as written.
  (func (export "fd_write") (param $fd i32) (param $from i32) (param $pieces i32) (param $to i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $pieces)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $pieces (i32.sub (local.get $pieces) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $to) (local.get $sum))
    i32.const 0)

  ;; What is left needs a descriptor, and there is none: 8 is `badf`.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) i32.const 8)
  (func (export "fd_close") (param i32) (result i32) i32.const 8)
  (func (export "fd_datasync") (param i32) (result i32) i32.const 8)
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) i32.const 8)
  (func (export "fd_filestat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) i32.const 8)
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_get") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) i32.const 8)
  (func (export "fd_renumber") (param i32 i32) (result i32) i32.const 8)
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) i32.const 8)
  (func (export "fd_sync") (param i32) (result i32) i32.const 8)
  (func (export "fd_tell") (param i32 i32) (result i32) i32.const 8)
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) i32.const 8)
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) i32.const 8)
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_accept") (param i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) i32.const 8)
  (func (export "sock_shutdown") (param i32 i32) (result i32) i32.const 8)

  ;; Waiting and raising are not offered: 52 is `nosys`.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) i32.const 52)
  (func (export "proc_raise") (param i32) (result i32) i32.const 52)
)
