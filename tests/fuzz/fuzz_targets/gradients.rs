#![no_main]

libfuzzer_sys::fuzz_target!(init: spfde_fuzz::begin(), |bytes: &[u8]| {
    spfde_tests::fuzz::run("gradients", bytes)
});
