//! `wasi:random`: all three interfaces draw from the guest's one source.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::neuron::guest::Guest;

impl random::Host for Guest {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        self.random_bytes("get-random-bytes", len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.random().u64())
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        self.random_bytes("get-insecure-random-bytes", len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.random().u64())
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.enter()?;
        Ok((self.random().u64(), self.random().u64()))
    }
}
