//! The configuration file: model, loading with positions, checks; builds the plan.
