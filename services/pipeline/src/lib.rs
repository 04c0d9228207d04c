//! The pipeline service: leads, opportunities, activities, tasks and their timers.
