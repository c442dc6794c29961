//! What embed.c does without tangents, in Rust: one input, given by its scores.
//!   rustc embed.rs $(pkg-config --libs smoothbound_c)
//!   embed < scores
//! The structures are those of smoothbound.h, field by field. Each one begins with its size.
use std::ffi::CStr;
use std::io::Read;
use std::mem::size_of;
use std::os::raw::{c_char, c_void};

#[repr(C)]
struct Options {
    struct_size: usize,
    n_bins: usize,
    sigma: f64,
    alpha: f64,
    a: f64,
    b: f64,
    side: i32,
    bound: i32,
    band: i32,
    threads: i32,
    radii: *const f64,
    n_radii: usize,
    thresholds: *const f64,
    n_thresholds: usize,
    mean: i32,
    reserved: i32,
    n_pilot: u64,
    order: i32,
    reserved_2: i32,
    seed: u64,
    cancel: Option<extern "C" fn(*mut c_void) -> i32>,
    cancel_context: *mut c_void,
}

#[repr(C)]
struct Scores {
    struct_size: usize,
    data: *const c_void,
    n_inputs: usize,
    n_draws: usize,
    input_stride: isize,
    draw_stride: isize,
    kind: i32, // `type` in C
    reserved: i32,
    first_input: u64,
}

#[repr(C)]
struct Certificates {
    struct_size: usize,
    bounds: *mut f64,
    n_bounds: usize,
    radius: *mut f64,
    n_radius: usize,
}

#[repr(C)]
struct Failure {
    struct_size: usize,
    input: usize,
    draw: usize,
    status: i32,
    message: [c_char; 252],
}

extern "C" {
    fn smoothbound_options_init(options: *mut Options, struct_size: usize);
    fn smoothbound_certify(
        scores: *const Scores,
        options: *const Options,
        out: *const Certificates,
        failure: *mut Failure,
    ) -> i32;
}

const FLOAT64: i32 = 8;

/// Returns a certificate of one input: the bounds at the radii, the radii of the thresholds.
fn certify(
    draws: &[f64],
    sigma: f64,
    radii: &[f64],
    thresholds: &[f64],
) -> Result<(Vec<f64>, Vec<f64>), String> {
    let (mut bounds, mut radius) = (vec![0.0; radii.len()], vec![0.0; thresholds.len()]);
    let scores = Scores {
        struct_size: size_of::<Scores>(),
        data: draws.as_ptr().cast(),
        n_inputs: 1,
        n_draws: draws.len(),
        input_stride: 0,
        draw_stride: size_of::<f64>() as isize,
        kind: FLOAT64,
        reserved: 0,
        first_input: 0,
    };
    let out = Certificates {
        struct_size: size_of::<Certificates>(),
        bounds: bounds.as_mut_ptr(),
        n_bounds: bounds.len(),
        radius: radius.as_mut_ptr(),
        n_radius: radius.len(),
    };
    let mut failure = Failure {
        struct_size: size_of::<Failure>(),
        input: 0,
        draw: 0,
        status: 0,
        message: [0; 252],
    };
    // SAFETY: the structures have the layout of smoothbound.h, and their zeros are valid. What they
    // point to outlives the calls. `message` ends with a zero.
    unsafe {
        let mut options: Options = std::mem::zeroed();
        smoothbound_options_init(&mut options, size_of::<Options>());
        options.sigma = sigma;
        options.radii = radii.as_ptr();
        options.n_radii = radii.len();
        options.thresholds = thresholds.as_ptr();
        options.n_thresholds = thresholds.len();
        match smoothbound_certify(&scores, &options, &out, &mut failure) {
            0 => Ok((bounds, radius)),
            _ => Err(CStr::from_ptr(failure.message.as_ptr())
                .to_string_lossy()
                .into_owned()),
        }
    }
}

fn main() {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("scores are text");
    let draws: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    let draws = draws.expect("scores are numbers");
    match certify(&draws, 0.25, &[0.0, 0.25], &[0.5]) {
        Ok((bounds, radius)) => println!("{:?} {:?} {:?}", bounds[0], bounds[1], radius[0]),
        Err(message) => {
            eprintln!("embed: {}", message);
            std::process::exit(1);
        }
    }
}
