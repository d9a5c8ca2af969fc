//! The worker: everything that computes.

fn main() {
    post_web::worker::run();
}
