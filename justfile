# The commands themselves stand in .ci/run, which needs no `just`.

# Everything CI does
all:
    .ci/run

# Unit and integration tests
test:
    .ci/run test

# Format and clippy
lint:
    .ci/run lint

# The documentation of the crate
docs:
    .ci/run docs

# The daemon against charge points written by others
interop:
    .ci/run interop

# Licences, advisories and sources of the dependencies (needs cargo-deny)
deny:
    .ci/run deny

# All benchmarks: the allocator, a brutal house, a day, the time to react, a queue
bench:
    cargo bench --no-fail-fast --bench allocate --bench reaction --bench drain --bench day --bench house

# The allocator on a million random sites, and ten minutes of storm over real sockets
long:
    ALLOCATOR_SITES=80000 cargo test --lib load::properties
    tests/interop/run storm 600

# Looks for inputs that break a promise (needs nightly and cargo-fuzz), so long for each kind
fuzz seconds="60":
    fuzz/run {{seconds}}

# Three simulated wallboxes behind one fuse
demo:
    cargo run --release -- demo
