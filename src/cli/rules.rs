//! `candor rules`
