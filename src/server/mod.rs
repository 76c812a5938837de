//! Ties the layers together.

pub mod web;
