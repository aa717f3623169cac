//! The program `spfde`; everything it does is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    spfde::app().main()
}
