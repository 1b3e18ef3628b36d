#!/bin/sh
# Builds and tests the addon for musl. Runs in an Alpine container with Node.js, as root, in a checkout.
set -eu
apk add --no-cache build-base bash git redis rustup
rustup-init -y --profile minimal --default-toolchain stable --no-modify-path
export PATH="$HOME/.cargo/bin:$PATH"
# Rust's musl targets link everything statically by default, and a library that is loaded at run time cannot be.
export RUSTFLAGS="-C target-feature=-crt-static"
npm ci
npm run build
npm test
