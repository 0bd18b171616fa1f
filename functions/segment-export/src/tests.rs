//! Stories of previews and exports, in memory.
