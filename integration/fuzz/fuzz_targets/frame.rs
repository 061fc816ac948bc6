#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let decoder = paddock_integration::decoders::DECODERS.iter().find(|decoder| decoder.name == "frame");
    (decoder.expect("each target has a decoder").run)(data);
});
