//! Starts Safelight; everything is in the library.

fn main() -> std::process::ExitCode {
    safelight::cli::main()
}
