//! Writes each target's first corpus: `seed DIRECTORY` makes `DIRECTORY/<target>/<number>`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let to = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "corpus".into()));
    for decoder in paddock_integration::decoders::DECODERS {
        let directory = to.join(decoder.name);
        std::fs::create_dir_all(&directory)?;
        let seeds = (decoder.seeds)();
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{at:03}")), seed)?;
        }
        println!("{}: {} seeds", decoder.name, seeds.len());
    }
    Ok(())
}
