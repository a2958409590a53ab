use parking_lot::Mutex;

use super::*;

/// Balances under limits.
#[derive(Debug, Default)]
struct Purse {
    limit: Mutex<(u64, u64)>,
    held: Mutex<(u64, u64)>,
}

impl Purse {
    fn limited(store: u64, journal: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: Mutex::new((store, journal)),
            held: Mutex::default(),
        })
    }

    fn held(&self) -> (u64, u64) {
        *self.held.lock()
    }
}

impl Ledger for Purse {
    fn reserve(&self, what: Held, bytes: u64) -> Result<(), String> {
        let limit = *self.limit.lock();
        let mut held = self.held.lock();
        let (held, limit, name) = match what {
            Held::Store => (&mut held.0, limit.0, "store"),
            Held::Journal => (&mut held.1, limit.1, "journal"),
        };
        if *held + bytes > limit {
            return Err(format!("{name} is full"));
        }
        *held += bytes;
        Ok(())
    }

    fn release(&self, what: Held, bytes: u64) {
        let mut held = self.held.lock();
        match what {
            Held::Store => held.0 -= bytes,
            Held::Journal => held.1 -= bytes,
        }
    }
}

const PLENTY: u64 = 1 << 40;

#[tokio::test]
async fn everything_rolled_back_leaves_both_balances_at_zero() {
    let purse = Purse::limited(PLENTY, PLENTY);
    let bench = memory_with(purse.clone());
    let scope = bench.trace();
    for number in 0..2_000 {
        let write = upsert(&format!("k{}", number % 7), json!({"n": number}));
        bench
            .write_on(&scope, write.once(&number.to_string()))
            .await;
    }
    bench.write_on(&scope, delete().key("k1")).await;
    let (store, journal) = purse.held();
    assert!(store > 2_000 * 100 && journal > 2_000 * 100);
    bench.engram.rollback(&scope.trace).await;
    assert_eq!(purse.held(), (0, 0));
}

#[tokio::test]
async fn a_commit_leaves_what_the_visible_entries_cost() {
    let purse = Purse::limited(PLENTY, PLENTY);
    let bench = memory_with(purse.clone());
    let scope = bench.trace();
    for number in 0..2_000 {
        bench
            .write_on(&scope, upsert("k", json!("x".repeat(number))))
            .await;
    }
    bench.write_on(&scope, add(json!(1)).id("gone")).await;
    bench.write_on(&scope, delete().id("gone")).await;
    bench.engram.commit(&scope.trace).await;

    let alone = Purse::limited(PLENTY, PLENTY);
    let other = memory_with(alone.clone());
    other
        .write(upsert("k", json!("x".repeat(1_999))))
        .await
        .unwrap();
    assert_eq!(purse.held(), alone.held());
    drop(bench);
    assert_eq!(purse.held(), (0, 0));
}

#[tokio::test]
async fn a_refused_write_changes_nothing() {
    let purse = Purse::limited(PLENTY, PLENTY);
    let bench = memory_with(purse.clone());
    let scope = bench.trace();
    bench
        .write_on(&scope, upsert("k", json!("small")).id("x"))
        .await;
    let held = purse.held();
    for (store, journal, words) in [
        (held.0 + 100, PLENTY, "store is full"),
        (PLENTY, held.1 + 10, "journal is full"),
    ] {
        *purse.limit.lock() = (store, journal);
        let write = upsert("k", json!("large".repeat(100))).once("o");
        let refusal = bench.engram.imprint(write, Some(&scope)).await;
        assert_eq!(refusal, Err(EngramError::Quota(words.to_owned())));
        assert_eq!(purse.held(), held);
        assert_eq!(bench.contents().await, [json!("small")]);
        assert_eq!(bench.engram.journaled(&scope.trace), 1);
    }
}

#[tokio::test]
async fn the_charge_grows_with_all_that_a_writer_can_make_long() {
    let cost = async |imprint: Imprint| {
        let purse = Purse::limited(PLENTY, PLENTY);
        memory_with(purse.clone());
        let bench = memory_with(purse.clone());
        bench.write(imprint).await.unwrap();
        purse.held().0
    };
    let long = "x".repeat(400);
    let least = cost(add(json!(null))).await;
    let number: Value = serde_json::from_str(&"1".repeat(400)).unwrap();
    let mut meta = add(json!(null));
    meta.entry.meta.insert(long.clone(), json!(null));
    for imprint in [
        add(json!(long)),
        add(json!({ long.as_str(): 1 })),
        add(json!([[long]])),
        add(number),
        add(json!(null)).id(&long),
        add(json!(null)).key(&long),
        add(json!(null)).tags(&[&long]),
        meta,
    ] {
        assert!(cost(imprint.clone()).await >= least + 350, "{imprint:?}");
    }
}
