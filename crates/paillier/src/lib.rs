//! Additively homomorphic Paillier encryption.
