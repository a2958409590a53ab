#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

/// One of everything, and nested components that are known by name, by an outer
/// alias and by an export.
const SAMPLE: &str = r#"
(component
  (core module $main
    (type (func))
    (import "a" "f" (func))
    (memory 1)
    (table 1 funcref)
    (global i32 (i32.const 0))
    (func (local i32 i64 i64)
      block block block
        i32.const 0
        br_table 0 1 2 0
      end end end)
    (func)
    (elem (i32.const 0) func 1)
    (data (i32.const 0) "x")
    (export "f" (func 1))
    (@custom "words" "here"))
  (type (component (type (instance (type u8)))))
  (component $inner
    (core module $empty (func (export "f")))
    (core instance $given (instantiate $empty))
    (core instance (instantiate $main (with "a" (instance $given)))))
  (component $outer
    (instance (instantiate $inner))
    (instance (instantiate $inner)))
  (export $again "again" (component $outer))
  (instance (instantiate $again))
  (instance (instantiate $inner)))
"#;

fn refusal(text: &str) -> String {
    let wasm = wat::parse_str(text).unwrap();
    Extent::of(&wasm, &Extent::MOST).unwrap_err().to_string()
}

#[test]
fn a_component_is_measured_with_all_that_it_instantiates() {
    let wasm = wat::parse_str(SAMPLE).unwrap();
    let found = Extent::of(&wasm, &Extent::MOST).unwrap();
    let expected = Extent {
        bytes: wasm.len() as u64,
        custom_bytes: found.custom_bytes,
        modules: 2,
        component_depth: 2,
        type_depth: 2,
        // One of a component, one of an instance in it, one of a number in that,
        // and one in each module.
        types: 5,
        imports: 1,
        exports: 3,
        globals: 1,
        element_segments: 1,
        data_segments: 1,
        functions: 3,
        function_bytes: found.function_bytes,
        locals: 3,
        block_depth: 3,
        branch_targets: 3,
        // Three times the inner one: its own module, and the main one.
        core_instances: 6,
        memories: 3,
        tables: 3,
        definitions: found.definitions,
    };
    assert_eq!(found, expected);
    assert!(found.custom_bytes >= "here".len() as u64);
    // Three times the inner one's two, the outer one's two, two instances and an
    // export; aliases beside them.
    assert!((11..20).contains(&found.definitions), "{found:?}");
}

#[test]
fn each_bound_is_met_exactly_and_told_with_its_place() {
    let wasm = wat::parse_str(SAMPLE).unwrap();
    let found = Extent::of(&wasm, &Extent::MOST).unwrap();
    assert_eq!(Extent::of(&wasm, &found).unwrap(), found);
    let mut told = String::new();
    macro_rules! one_less {
        ($($figure:ident)*) => {$(
            let mut most = found.clone();
            most.$figure -= 1;
            let refused = Extent::of(&wasm, &most).unwrap_err();
            writeln!(told, "{}: {refused}", stringify!($figure)).unwrap();
        )*};
    }
    one_less!(
        bytes custom_bytes modules component_depth type_depth types imports exports globals
        element_segments data_segments functions function_bytes locals block_depth branch_targets
        core_instances memories tables definitions
    );
    expect![[r#"
        bytes: the file has 417 bytes; at most 416 are taken
        custom_bytes: the component, read up to offset 0x1a1, has 156 bytes of custom sections; at most 155 are taken
        modules: the component, read up to offset 0xaa, has 2 core modules; at most 1 are taken
        component_depth: the component, read up to offset 0xa0, has 2 components within each other; at most 1 are taken
        type_depth: the component, read up to offset 0x91, has 2 types within each other; at most 1 are taken
        types: the component, read up to offset 0xb0, has 5 types; at most 4 are taken
        imports: the component, read up to offset 0x22, has 1 imports; at most 0 are taken
        exports: the component, read up to offset 0x163, has 3 exports; at most 2 are taken
        globals: the component, read up to offset 0x3a, has 1 globals; at most 0 are taken
        element_segments: the component, read up to offset 0x4a, has 1 element segments; at most 0 are taken
        data_segments: the component, read up to offset 0x71, has 1 data segments; at most 0 are taken
        functions: the component, read up to offset 0xb4, has 3 functions; at most 2 are taken
        function_bytes: function 1 of core module 0 (at offset 0x4e) has 23 bytes of code; at most 22 are taken
        locals: function 1 of core module 0 (at offset 0x4e) has 3 locals; at most 2 are taken
        block_depth: function 1 of core module 0 (at offset 0x4e) has 3 nested blocks; at most 2 are taken
        branch_targets: function 1 of core module 0 (at offset 0x4e) has 3 targets of one br_table; at most 2 are taken
        core_instances: the component, read up to offset 0x169, has 6 core instances; at most 5 are taken
        memories: the component, read up to offset 0x169, has 3 memories; at most 2 are taken
        tables: the component, read up to offset 0x169, has 3 tables; at most 2 are taken
        definitions: the component, read up to offset 0x169, has 16 definitions in all instances together; at most 15 are taken
    "#]].assert_eq(&told);
}

#[test]
fn what_is_handed_in_from_outside_is_not_instantiated() {
    let mut told = String::new();
    for text in [
        r#"(component (import "m" (core module $m)) (core instance (instantiate $m)))"#,
        r#"(component (import "c" (component $c)) (instance (instantiate $c)))"#,
        r#"(component
            (component $a (component $c (export "c")))
            (instance $a (instantiate $a))
            (alias export $a "c" (component $c))
            (instance (instantiate $c)))"#,
    ] {
        writeln!(told, "{}", refusal(text)).unwrap();
    }
    expect![[r#"
        the component instantiates a core module that is an import or an export, not one of its own (at offset 0x19); how much that makes cannot be told
        the component instantiates a component that is an import or an export, not one of its own (at offset 0x18); how much that makes cannot be told
        the component instantiates a component that is an import or an export, not one of its own (at offset 0x67); how much that makes cannot be told
    "#]].assert_eq(&told);
}

#[test]
fn types_within_types_are_counted_before_they_are_read() {
    let nested = |levels: usize| {
        let (open, close) = ("(type (component ".repeat(levels), "))".repeat(levels));
        format!("(component {open}{close})")
    };
    let wasm = wat::parse_str(nested(16)).unwrap();
    assert_eq!(Extent::of(&wasm, &Extent::MOST).unwrap().type_depth, 16);
    expect!["the component, read up to offset 0x3b, has 17 types within each other; at most 16 are taken"].assert_eq(&refusal(&nested(17)));

    // A million levels in a few bytes each: the parser's own reader would run
    // out of stack.
    let level = [0x41, 0x01, 0x01];
    let types = [
        &[0x01][..],
        &level.repeat(1_000_000),
        &[0x40, 0x00, 0x01, 0x00],
    ]
    .concat();
    let mut wasm = b"\0asm\x0d\0\x01\0\x07".to_vec();
    let mut length = types.len();
    while length > 0x7f {
        wasm.push(0x80 | u8::try_from(length & 0x7f).unwrap());
        length >>= 7;
    }
    wasm.push(u8::try_from(length).unwrap());
    wasm.extend(types);
    let refused = Extent::of(&wasm, &Extent::MOST).unwrap_err();
    expect!["the component, read up to offset 0x3e, has 17 types within each other; at most 16 are taken"].assert_eq(&refused.to_string());
}

#[test]
fn broken_bytes_are_refused_or_measured_and_never_a_panic() {
    let wasm = wat::parse_str(SAMPLE).unwrap();
    for end in 0..wasm.len() {
        let (cut, _) = wasm.split_at(end);
        drop(Extent::of(cut, &Extent::MOST));
    }
    for place in 0..wasm.len() {
        for flip in [0x01, 0x40, 0x80, 0xff] {
            let mut garbled = wasm.clone();
            *garbled.get_mut(place).unwrap() ^= flip;
            drop(Extent::of(&garbled, &Extent::MOST));
        }
    }
}
