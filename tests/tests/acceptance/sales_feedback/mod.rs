//! What `sales-feedback` promises.

mod dossier;
mod feedback;
mod inbox;
mod score;
