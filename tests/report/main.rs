//! Reports: every format from one made-up audit.

mod exhibits;
mod exit;
mod html;
mod json;
mod outputs;
mod parquet;
mod synthetic;
mod table;
