#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let decoder = paddock_integration::decoders::DECODERS.iter().find(|decoder| decoder.name == "acl");
    (decoder.expect("each target has a decoder").run)(data);
});
