//! The migrations of the ledger.
