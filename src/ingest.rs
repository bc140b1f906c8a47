//! The way in: decoding of what arrives. Nothing is acknowledged here before it is durable.

pub mod decode;
