//! What `sales-feedback` promises.

mod confirm;
mod dossier;
mod feedback;
mod inbox;
mod score;
