"""Reading records: leaderboards, frames, reports."""
